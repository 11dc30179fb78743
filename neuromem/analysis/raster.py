"""The raster of a run: every population a band, every operation a shaded span with its label.

Lengths are inches: the y axis of the picture is in inches from the top of the first band
downwards, so that bands and labels can be laid out by adding sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuromem.analysis.labels import fits_across, label_lines, thin_out
from neuromem.analysis.palette import RIGHT, WRONG, role_colours, tint
from neuromem.analysis.picture import FONT, new_figure, save_figure, text_size
from neuromem.ir.program import PopulationTable, Program
from neuromem.ir.recording import Recording
from neuromem.runs.outcomes import Outcome
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Measure = Callable[[str, bool], tuple[float, float]]
"""Width and height in inches of a text, bold or not."""

SPAN_COLOURS = {"store": "#EFE3BF", "recall": "#D9E6F2", "forget": "#F3DADF"}
STEP_WIDTH, OPERATION_WIDTH = 0.11, 0.2  # wished for; the limits below go first
MIN_WIDTH, STEPS_WIDTH, MAX_WIDTH = 7.0, 10.0, 24.0  # steps alone do not widen the axis beyond STEPS_WIDTH
ROW, MIN_BAND, MAX_BAND, SHARED_BAND = 0.058, 0.24, 1.0, 5.0  # few bands share SHARED_BAND
BAND_GAP, MARK_STRIP, TITLE, FOOT, RIGHT_MARGIN = 0.07, 0.13, 0.62, 0.62, 0.75
LABEL, SMALL = 7.5, 7.0  # points


@dataclass(frozen=True)
class Band:
    """The place of one population: ``top`` and ``height`` in inches, unit 0 in the uppermost row."""

    table: PopulationTable
    top: float
    height: float

    @property
    def row(self) -> float:
        """Height of one unit."""
        return self.height / self.table.size

    def y(self, units: np.ndarray) -> np.ndarray:
        """Return the middle of the rows of ``units``."""
        return self.top + (units + 0.5) * self.row


def draw_raster(
    memory: MemoryModel, protocol: Protocol, recording: Recording, outcomes: Sequence[Outcome], path: Path | str, replica: int = 0
) -> None:
    """Draw the raster of one replica and write it to ``path`` (.png, .svg or .pdf), replacing what is there.

    Raises ``FileError`` for another ending and ``StoreError`` when ``path`` cannot be written.
    """
    save_figure(raster_figure(memory, protocol, recording, outcomes, replica), path)


def raster_figure(memory: MemoryModel, protocol: Protocol, recording: Recording, outcomes: Sequence[Outcome], replica: int = 0) -> Figure:
    """Return the raster as a matplotlib figure; its artists have gids such as ``spikes:s1_cue`` and ``label:3``."""
    program = recording.program
    bands = stack_bands(program)
    depth = bands[-1].top + bands[-1].height
    width = axis_width(program.n_steps, len(outcomes))

    figure = new_figure(width, 1.0)
    labels = arrange_labels(outcomes, width, max(program.n_steps, 1), lambda text, bold: text_size(figure, text, LABEL, bold))
    left = 0.2 + max(text_size(figure, band_name(band.table), 9.0)[0] for band in bands)
    title = f"{memory.title or memory.name}"
    subtitle = summary(protocol, recording, outcomes)
    wide = max(left + width + RIGHT_MARGIN, text_size(figure, subtitle, 9.0)[0] + 0.4)
    tall = TITLE + labels.height + MARK_STRIP + depth + FOOT
    figure.set_size_inches(wide, tall)
    axes = figure.add_axes((left / wide, FOOT / tall, width / wide, depth / tall))
    axes.set_xlim(-0.5, max(program.n_steps, 1) - 0.5)
    axes.set_ylim(depth, 0.0)

    figure.text(0.15 / wide, 1 - 0.12 / tall, title, size=12, weight="bold", va="top", family=FONT, parse_math=False, gid="title")
    figure.text(0.15 / wide, 1 - 0.36 / tall, subtitle, size=9, va="top", family=FONT, color="#333333", parse_math=False, gid="subtitle")
    step_points = width / max(program.n_steps, 1) * 72.0
    draw_spans(axes, outcomes, program.n_steps, depth, step_points)
    draw_labels(axes, outcomes, labels, width)
    draw_bands(axes, bands, memory, recording, replica, step_points)
    draw_answers(axes, bands, memory, outcomes, step_points)
    if recording.n_steps < program.n_steps:
        draw_rest(axes, recording, depth)
    finish_axes(axes, program, labels, len(outcomes))
    return figure


def axis_width(n_steps: int, n_operations: int) -> float:
    """Return the length of the time axis: it grows with steps a little, with operations more, up to a limit."""
    wished = max(min(STEP_WIDTH * n_steps, STEPS_WIDTH), OPERATION_WIDTH * n_operations)
    return min(max(wished, MIN_WIDTH), MAX_WIDTH)


def stack_bands(program: Program) -> list[Band]:
    """Give every population its band: sources on top, then the others as declared."""
    tables = sorted(program.populations, key=lambda p: not p.is_source)
    tallest = max(MAX_BAND, SHARED_BAND / len(tables))
    bands: list[Band] = []
    top = 0.0
    for table in tables:
        height = min(max(ROW * table.size, MIN_BAND), tallest)
        bands.append(Band(table, top, height))
        top += height + BAND_GAP
    return bands


def band_name(table: PopulationTable) -> str:
    """Return the text at the left of a band."""
    return f"{table.name}  {table.size}"


def summary(protocol: Protocol, recording: Recording, outcomes: Sequence[Outcome]) -> str:
    """Return the line under the title."""
    right = sum(outcome.correct for outcome in outcomes)
    program = recording.program
    ran = f"{program.n_steps} steps" if recording.complete else f"{recording.n_steps} of {program.n_steps} steps"
    did = f"{len(outcomes)} operations, {right} right, {len(outcomes) - right} wrong" if outcomes else "no operations"
    return f"protocol {protocol.name}: {did}; {ran} of {program.dt:g} ms"


def spans_of(outcomes: Sequence[Outcome], n_steps: int) -> list[tuple[float, float]]:
    """Return (begin, length) in steps of every operation: until all is out, or the next operation begins."""
    starts = [outcome.operation.at for outcome in outcomes]
    stops = [*starts[1:], n_steps][: len(starts)]
    return [
        (start - 0.5, min(start + outcome.form.n_steps, stop) - start) for outcome, start, stop in zip(outcomes, starts, stops, strict=True)
    ]


@dataclass(frozen=True)
class Labels:
    """The labels that are shown, as (operation, x in steps, text), and the ``height`` in inches that they take."""

    shown: tuple[tuple[int, float, str], ...]
    rotated: bool
    height: float


def arrange_labels(outcomes: Sequence[Outcome], width: float, n_steps: int, measure: Measure) -> Labels:
    """Write labels across where all fit, else upright; where not even those fit, wrong operations first, then as many as do."""
    if not outcomes:
        return Labels((), False, 0.0)
    per_step = width / n_steps
    spans = spans_of(outcomes, n_steps)
    lines = [label_lines(outcome) for outcome in outcomes]
    blocks = ["\n".join(parts) for parts in lines]
    sizes = [measure(block, not outcome.correct) for block, outcome in zip(blocks, outcomes, strict=True)]
    margin = 0.04
    if fits_across([w + margin for w, _ in sizes], [(begin + 0.5) * per_step for begin, _ in spans], width + RIGHT_MARGIN):
        shown = tuple((i, begin, block) for i, ((begin, _), block) in enumerate(zip(spans, blocks, strict=True)))
        return Labels(shown, False, max(h for _, h in sizes) + margin)
    centres = [begin + length / 2 for begin, length in spans]
    wrong = [i for i, outcome in enumerate(outcomes) if not outcome.correct]
    kept = thin_out([c * per_step for c in centres], wrong, LABEL * 1.35 / 72.0)
    shown = tuple((i, centres[i], " ".join(lines[i])) for i in kept)
    return Labels(shown, True, max(measure(text, not outcomes[i].correct)[0] for i, _, text in shown) + 2 * margin)


def draw_spans(axes: Axes, outcomes: Sequence[Outcome], n_steps: int, depth: float, step_points: float) -> None:
    """Shade the operations by kind, and hatch the wrong ones (shade them where a hatch would not be seen)."""
    spans = spans_of(outcomes, n_steps)
    narrow = min((length for _, length in spans), default=1.0) * step_points < 8.0
    place = (-MARK_STRIP, depth + MARK_STRIP)
    for kind, colour in SPAN_COLOURS.items():
        part = [span for span, outcome in zip(spans, outcomes, strict=True) if outcome.operation.kind == kind]
        if part:
            axes.broken_barh(
                part, place, facecolor=colour, edgecolor="white", linewidth=0.0 if narrow else 1.0, clip_on=False, zorder=0.5,
                gid=f"spans:{kind}",
            )  # fmt: skip
    wrong = [span for span, outcome in zip(spans, outcomes, strict=True) if not outcome.correct]
    if wrong:
        axes.broken_barh(
            wrong, place, facecolor="#DDC3CC" if narrow else "none", edgecolor="#C9A9B3", hatch=None if narrow else "///", linewidth=0.0,
            clip_on=False, zorder=0.6, gid="spans:wrong",
        )  # fmt: skip


def draw_labels(axes: Axes, outcomes: Sequence[Outcome], labels: Labels, width: float) -> None:
    """Write the labels above the bands, and a cross above every wrong operation, labelled or not."""
    for index, x, text in labels.shown:
        correct = outcomes[index].correct
        axes.text(
            x, -MARK_STRIP - 0.04, text, size=LABEL, family=FONT, parse_math=False, gid=f"label:{index}", clip_on=False,
            color=RIGHT if correct else WRONG, weight="normal" if correct else "bold",
            rotation=90 if labels.rotated else 0, ha="center" if labels.rotated else "left", va="bottom", linespacing=1.2,
        )  # fmt: skip
    wrong = [outcome.operation.at + outcome.form.answer_at for outcome in outcomes if not outcome.correct]
    if wrong:
        size = min(5.0, max(width / len(outcomes) * 72.0 * 0.6, 1.5))
        axes.plot(
            wrong, [-MARK_STRIP / 2] * len(wrong), "x", color=WRONG, markersize=size, markeredgewidth=size / 3, clip_on=False,
            gid="marks:wrong",
        )  # fmt: skip


def draw_bands(axes: Axes, bands: Sequence[Band], memory: MemoryModel, recording: Recording, replica: int, step_points: float) -> None:
    """Draw every population: its name, its frame, its spikes, and at the right the roles of its parts."""
    program = recording.program
    colours = role_colours(band.table.role for band in bands)
    recorded = {p.population for p in program.probes if p.variable == "spikes"}
    end = max(program.n_steps, 1) - 0.5
    for band in bands:
        name, colour = band.table.name, colours[band.table.role]
        axes.broken_barh(
            [(-0.5, end + 0.5)], (band.top, band.height), facecolor=(1, 1, 1, 0.55), edgecolor=tint(colour, 0.45), linewidth=0.8,
            zorder=1, gid=f"band:{name}",
        )  # fmt: skip
        middle = band.top + band.height / 2
        axes.annotate(
            band_name(band.table), (0.0, middle), xycoords=axes.get_yaxis_transform(), xytext=(-6, 0), textcoords="offset points",
            size=9, ha="right", va="center", color=colour, family=FONT, parse_math=False, gid=f"name:{name}",
        )  # fmt: skip
        step, unit = recording.spikes_of(name, replica)
        if step.size == 0:
            axes.text(
                end / 2, middle, "no spikes" if name in recorded else "spikes not recorded", size=SMALL, ha="center", va="center",
                style="italic", color="#777777", family=FONT, gid=f"note:{name}",
            )  # fmt: skip
        axes.plot(
            step, band.y(unit), "|", color=colour, zorder=3, gid=f"spikes:{name}",
            markersize=min(band.row * 0.85, 0.09) * 72.0, markeredgewidth=min(max(step_points * 0.5, 0.9), 3.5),
        )  # fmt: skip
    for band in bands:
        draw_roles(axes, band, memory, end)


def draw_roles(axes: Axes, band: Band, memory: MemoryModel, end: float) -> None:
    """Name the roles that a band's parts play for input and readout, with a line between them."""
    for role in memory.roles:
        for view in dict.fromkeys((role.input, role.readout)):
            if view.population != band.table.name or view.size == band.table.size:
                continue
            top, bottom = band.top + view.start * band.row, band.top + view.stop * band.row
            if view.start > 0:
                axes.plot([-0.5, end], [top, top], color="#B0B0B0", linewidth=0.6, zorder=1.5)
            axes.annotate(
                role.name, (1.0, (top + bottom) / 2), xycoords=axes.get_yaxis_transform(), xytext=(5, 0), textcoords="offset points",
                size=SMALL, ha="left", va="center", color="#444444", family=FONT, parse_math=False, gid=f"role:{band.table.name}:{role.name}",
            )  # fmt: skip


def draw_answers(axes: Axes, bands: Sequence[Band], memory: MemoryModel, outcomes: Sequence[Outcome], step_points: float) -> None:
    """Frame the step at which an answer is read, ring what is missing from it, and cross out what is too much."""
    places = {band.table.name: band for band in bands}
    frames: dict[str, list[float]] = {}
    missing: list[tuple[float, float]] = []
    extra: list[tuple[float, float]] = []
    for outcome in outcomes:
        at = outcome.operation.at + outcome.form.answer_at
        for role, expected in outcome.expected.items():
            view, answer = memory.role(role).readout, outcome.answer[role]
            frames.setdefault(role, []).append(at)
            band = places[view.population]
            for units, points in ((set(expected) - set(answer), missing), (set(answer) - set(expected), extra)):
                points += [(at, float(y)) for y in band.y(np.array(sorted(units)) + view.start)]
    for role, steps in frames.items():
        view = memory.role(role).readout
        band = places[view.population]
        axes.broken_barh(
            [(at - 0.5, 1.0) for at in steps], (band.top + view.start * band.row, view.size * band.row), facecolor="white",
            edgecolor="#777777", linewidth=min(step_points * 0.08, 0.7), zorder=2, gid=f"answers:{role}",
        )  # fmt: skip
    row = min((places[role.readout.population].row for role in memory.roles), default=ROW)
    size = min(4.5, max(1.6 * row * 72.0, 1.5))
    for points, marker, name in ((missing, "o", "missing"), (extra, "x", "unexpected")):
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(
                x, y, marker, color=WRONG, markersize=size, markerfacecolor="none", markeredgewidth=size / 4, zorder=4, gid=f"answer:{name}"
            )


def draw_rest(axes: Axes, recording: Recording, depth: float) -> None:
    """Cover the steps that an interrupted run did not reach."""
    begin, end = recording.n_steps - 0.5, recording.program.n_steps - 0.5
    axes.broken_barh(
        [(begin, end - begin)], (0, depth), facecolor="#E4E4E4", edgecolor="#BBBBBB", hatch="xx", linewidth=0, zorder=5, gid="rest"
    )
    axes.text(
        (begin + end) / 2, depth / 2, "not run", size=10, ha="center", va="center", zorder=6, family=FONT,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.0},
    )  # fmt: skip


def finish_axes(axes: Axes, program: Program, labels: Labels, n_operations: int) -> None:
    """Name the time axis, explain the marks, and take away what would distract."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(f"step ({program.dt:g} ms each)", size=9, family=FONT)
    notes = ["unit 0 is the top row of each band"]
    if n_operations:
        notes.append("framed: the step at which the answer is read")
    if any(line.get_gid() == "answer:missing" for line in axes.lines):
        notes.append("ring: missing from the answer")
    if any(line.get_gid() == "answer:unexpected" for line in axes.lines):
        notes.append("cross: not expected")
    if len(labels.shown) < n_operations:
        notes.append(f"{len(labels.shown)} of {n_operations} operations are labelled")
    axes.annotate(
        "; ".join(notes), (0.0, 0.0), xycoords="axes fraction", xytext=(0, -30), textcoords="offset points", size=SMALL, ha="left", va="top",
        color="#555555", family=FONT, gid="notes", annotation_clip=False,
    )  # fmt: skip
