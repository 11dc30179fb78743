"""Pictures of capacity studies: what was measured against the load, with theory beside it, the basin of attraction, bits per synapse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuromem.analysis.palette import role_colours, tint
from neuromem.analysis.picture import FONT, new_figure, save_figure, text_size
from neuromem.capacity.criteria import QUANTITIES
from neuromem.capacity.intervals import seeds_interval
from neuromem.capacity.report import fraction, interval_text, number
from neuromem.capacity.study import Point, Study
from neuromem.runs.parameters import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = tuple(role_colours(("cue", "content", "gate", "interneuron", "readout", "a", "b", "c", "d", "e")).values())
MARKS = "os^Dv*PX<>"
LINES = ("--", ":", "-.")
GRID = "#E4E4E4"
ERRORS = {
    "flips": "units of the cue inverted, fraction",
    "deletions": "active units of the cue deleted, fraction",
    "moves": "hypercolumns of the cue wrong, fraction",
    "noise": "noise of the cue, relative to the pattern",
}


def draw_study(study: Study, path: Path | str) -> None:
    """Write the picture of one study (.png, .svg, .pdf)."""
    save_figure(study_figure(study), path)


def draw_comparison(studies: Sequence[Study], path: Path | str) -> None:
    """Write the picture of several studies side by side."""
    save_figure(comparison_figure(studies), path)


def study_figure(study: Study) -> Figure:
    """Return the figure of one study: the criterion's quantity against the load (axes ``load``), and the ``basin``, if measured."""
    figure = new_figure(10.5 if study.basins else 6.4, 4.6)
    panels = figure.subplots(1, 2 if study.basins else 1, squeeze=False)[0]
    taken = _heading(figure, heading(study.task.memory), subtitle(study))
    figure.subplots_adjust(left=0.075 if study.basins else 0.12, right=0.98, bottom=0.13, top=1 - (taken + 0.15) / 4.6, wspace=0.2)
    load = panels[0]
    load.set_gid("load")
    _draw_load(load, study)
    _legend(load)
    if study.basins:
        panels[1].set_gid("basin")
        for basin, colour, mark in zip(study.basins, COLOURS, MARKS, strict=False):
            _points(panels[1], basin.points, colour, mark, f"{basin.n_patterns} patterns stored", joined=True)
        _style(panels[1], ERRORS[study.basins[0].error], QUANTITIES[study.criterion.quantity])
        _zero_to_one(panels[1], study)
        _legend(panels[1])
    return figure


def comparison_figure(studies: Sequence[Study]) -> Figure:
    """Return the figure of several studies: axes ``load`` (all curves, loads in proportion), ``basin`` and ``bits``."""
    figure = new_figure(14.5, 5.4)
    load, basin, bits = figure.subplots(1, 3, width_ratios=(1.25, 1.0, 0.8))
    bars = "" if studies[0].few_seeds else "; bars: 95 % over seeds"
    taken = _heading(figure, "Capacity: " + ", ".join(labels(studies)), f"{studies[0].criterion.name}: {studies[0].criterion}{bars}")
    legends = 0.19 * ((len(studies) + 1) // 2 + (len(studies) + 1) % 2) + 0.2  # in two columns, above their panels
    figure.subplots_adjust(left=0.055, right=0.985, bottom=0.12, top=1 - (taken + legends) / 5.4, wspace=0.3)
    for axes, gid in ((load, "load"), (basin, "basin"), (bits, "bits")):
        axes.set_gid(gid)
    for study, label, colour, mark in zip(studies, labels(studies), itertools.cycle(COLOURS), itertools.cycle(MARKS), strict=False):
        if study.capacity is not None:
            _points(load, study.curve or _of_search(study), colour, mark, f"{label}: {number(study.capacity.value)}")
            _theory(load, study, colour, named=False)
        if study.basins:
            half = study.basins[0]
            _points(basin, half.points, colour, mark, f"{label}, {half.n_patterns} patterns, {half.error}", joined=True)
    load.plot([], [], "--", color="#555555", label="theory")
    _style(load, "patterns stored (log)", QUANTITIES[studies[0].criterion.quantity])
    _log_axis(load)
    _level(load, studies[0])
    _legend(load, above=True)
    _style(basin, "error of the cue, as a fraction", QUANTITIES[studies[0].criterion.quantity] + ",\nhalf the capacity stored")
    _zero_to_one(basin, studies[0])
    _legend(basin, above=True)
    _draw_bits(bits, studies)
    return figure


def labels(studies: Sequence[Study]) -> list[str]:
    """Return a name for each study: the model, and its rule where it has several."""
    names = [study.task.memory.name for study in studies]
    return [
        f"{name} ({study.task.memory.parameters['rule']})" if study.task.memory.parameters.get("rule") else name
        for name, study in zip(names, studies, strict=True)
    ]


def subtitle(study: Study) -> str:
    """Return the capacity in words."""
    capacity = study.capacity
    if capacity is None:
        return "interrupted before the first seed was finished"
    spread = "" if math.isinf(capacity.low) else f" (95 %: {interval_text(study)})"
    least = "at least " if study.search.at_limit else ""
    bits = "" if study.stored_bits is None else f"; {fraction(study.stored_bits)} bits per synapse stored"
    gained = "" if study.gained_bits is None else f", {fraction(study.gained_bits)} gained"
    return (
        f"{study.criterion.name}: {least}{number(capacity.value)} patterns{spread}{bits}{gained}\n"
        f"errors of a cue: {study.task}; {_count(len(study.search.seeds), 'seed')} of {_count(study.n_sets, 'set')} of patterns"
    )


def _heading(figure: Figure, first: str, second: str) -> float:
    """Write title and subtitle, wrapped at the figure's width; return how many inches they take from the top."""
    width, height = figure.get_size_inches()
    above, below = wrapped(figure, first, 11, width - 0.4, bold=True), wrapped(figure, second, 9, width - 0.4)
    y = 0.2 + text_size(figure, above, 11)[1]
    figure.text(0.2 / width, 1 - 0.16 / height, above, size=11, weight="bold", va="top", family=FONT, parse_math=False, gid="title")
    figure.text(0.2 / width, 1 - y / height, below, size=9, va="top", family=FONT, color="#333333", parse_math=False, gid="subtitle")
    return y + text_size(figure, below, 9)[1]


def wrapped(figure: Figure, text: str, size: float, width: float, bold: bool = False) -> str:
    """Return the text with line breaks between words, so that no line is wider than ``width`` inches."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append("")
        for word in line.split(" "):
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and text_size(figure, longer, size, bold)[0] > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _log_axis(axes: Axes) -> None:
    """Make the loads logarithmic, with some six whole numbers as ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [s * 10.0**d for d in range(9) for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) <= 7:
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _zero_to_one(axes: Axes, study: Study) -> None:
    """Show all of a fraction; wrong units are few."""
    axes.set_ylim(*((-0.01, None) if study.criterion.quantity == "bit_error" else (-0.03, 1.03)))


def _draw_load(axes: Axes, study: Study) -> None:
    _points(
        axes,
        study.curve or _of_search(study),
        COLOURS[0],
        MARKS[0],
        "measured" + ("" if study.few_seeds else ", 95 % over seeds"),
    )
    _theory(axes, study, "#333333", named=True)
    _level(axes, study)
    capacity = study.capacity
    if capacity is not None:
        axes.axvline(capacity.value, color=COLOURS[0], lw=1, zorder=1)
        if not math.isinf(capacity.low):
            axes.axvspan(capacity.low, capacity.high, color=tint(COLOURS[0], 0.18), lw=0, zorder=0)
    _style(axes, "patterns stored", QUANTITIES[study.criterion.quantity])
    _, right = axes.get_xlim()
    axes.set_xlim(0, right)
    for figure, line in zip(study.theory.capacities, LINES, strict=False):
        if not study.theory.curves and figure.value < right:
            axes.axvline(figure.value, color="#333333", ls=line, lw=1, label=f"theory: {figure.name}")


def _theory(axes: Axes, study: Study, colour: str, named: bool) -> None:
    points = study.curve or _of_search(study)
    if not points:
        return
    loads = np.unique(np.rint(np.linspace(max(1.0, min(p.x for p in points)), max(p.x for p in points), 40)))
    for curve, line in zip(study.theory.curves[: None if named else 1], LINES, strict=False):
        axes.plot(loads, [curve.at(float(m)) for m in loads], line, color=colour, lw=1.3, label=f"theory: {curve.name}" if named else None)


def _points(axes: Axes, points: Sequence[Point], colour: str, mark: str, label: str, joined: bool = False) -> None:
    x, y = np.array([p.x for p in points]), np.array([p.value.value for p in points])
    spread = np.array([p.value.half_width if math.isfinite(p.value.half_width) else 0.0 for p in points])
    axes.errorbar(x, y, spread, fmt=mark + ("-" if joined else ""), ms=5, color=colour, capsize=2, lw=0.8, label=label, zorder=3)


def _of_search(study: Study) -> list[Point]:
    """Return the points of the search, seeds together, where no curve was measured."""
    loads = sorted({p.n_patterns for p in study.search.points})
    found = ((m, [p.value for p in study.search.points if p.n_patterns == m]) for m in loads)
    return [Point(m, m, seeds_interval(values), 0.0) for m, values in found]


def _level(axes: Axes, study: Study) -> None:
    axes.axhline(study.criterion.level, color="#999999", lw=0.8, zorder=1)
    bottom, top = axes.get_ylim()
    if study.criterion.quantity != "bit_error":
        axes.set_ylim(max(-0.03, bottom), 1.03)
    else:
        axes.set_ylim(-0.03 * top, top)


def _draw_bits(axes: Axes, studies: Sequence[Study]) -> None:
    rows = np.arange(len(studies))[::-1]
    for row, study, label, colour in zip(rows, studies, labels(studies), itertools.cycle(COLOURS), strict=False):
        stored, gained = study.stored_bits, study.gained_bits
        axes.barh(row + 0.18, stored or 0.0, 0.34, color=colour)
        axes.barh(row - 0.18, gained or 0.0, 0.34, color=tint(colour, 0.35), hatch="//", edgecolor=colour, lw=0.5)
        words = (
            "no bits: real patterns" if stored is None else f"{stored:.3f} stored" + ("" if gained is None else f", {gained:.3f} gained")
        )
        axes.text(0.0, row + 0.39, f" {label}: {words}", size=8, va="bottom", family=FONT, parse_math=False)
    _style(axes, "bits per synapse: stored (full), gained (hatched)", "")
    axes.set_yticks([])
    axes.set_ylim(-0.6, len(studies) - 0.3)


def _style(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, family=FONT, size=9)
    axes.set_ylabel(y, family=FONT, size=9)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes, above: bool = False) -> None:
    if not axes.get_legend_handles_labels()[1]:
        return
    font = {"family": FONT, "size": 8}
    if above:  # several curves leave no place free
        axes.legend(prop=font, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.2, handletextpad=0.4)
    else:
        axes.legend(prop=font, framealpha=0.9, edgecolor="none", loc="best")
