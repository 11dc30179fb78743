"""The picture of an agreement report: where spikes differ, and how far weights are apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromem.analysis.agreement import AgreementReport, EngineRow, spikes_text, weights_text
from neuromem.analysis.palette import WRONG
from neuromem.analysis.picture import FONT, new_figure, text_size
from neuromem.ir.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EQUAL, ONLY_BASELINE, ONLY_ENGINE = "#9A9A9A", "#0072B2", "#D55E00"
STRIP, BAND, PANEL, TOP, BOTTOM, BETWEEN = 8.0, 0.17, 2.6, 0.75, 0.3, 0.74  # inches
ZERO = -19.0  # where a difference of exactly 0 stands on the axis of powers of ten


def agreement_figure(report: AgreementReport) -> Figure:
    """Return the figure: for each engine a strip of spikes by population over time, and its weight differences.

    Axes have the gids ``spikes:ENGINE`` and ``weights:ENGINE``.
    """
    figure = new_figure(1.0, 1.0)
    program, rows, idle = report.program, report.compared, [row for row in report.rows if not row.ran]
    plastic = [p.name for p in program.plastic]
    left = 0.25 + max(text_size(figure, p.name, 7.5)[0] for p in program.populations)
    middle = 0.35 + max([0.4, *(text_size(figure, name, 7.5)[0] for name in [*plastic, "static"])])
    wide = left + STRIP + middle + PANEL + 0.3
    strip = BAND * len(program.populations)
    tall = TOP + len(rows) * (strip + BETWEEN) + BOTTOM + 0.2 * len(idle)
    figure.set_size_inches(wide, tall)

    def write(x: float, y: float, text: str, size: float, gid: str, **style: Any) -> None:
        figure.text(x / wide, 1 - y / tall, text, size=size, va="top", family=FONT, parse_math=False, gid=gid, **style)

    base = f", compared with {report.baseline.engine}" if report.baseline is not None else ""
    write(0.15, 0.12, report.verdict(), 12, "verdict", weight="bold")
    write(0.15, 0.38, f"{report.memory}, protocol {report.protocol}: {program.n_steps} steps of {program.dt:g} ms{base}", 9, "subtitle")
    y = TOP
    for row in rows:
        write(left, y, f"{row.engine}:  spikes {spikes_text(row)};  weights {weights_text(row)}", 9, f"row:{row.engine}",
              color="black" if row.agrees else WRONG, weight="normal" if row.agrees else "bold")  # fmt: skip
        y += 0.24
        spikes = figure.add_axes((left / wide, 1 - (y + strip) / tall, STRIP / wide, strip / tall), gid=f"spikes:{row.engine}")
        draw_strip(spikes, report, row)
        weights = figure.add_axes(
            ((left + STRIP + middle) / wide, 1 - (y + strip) / tall, PANEL / wide, strip / tall), gid=f"weights:{row.engine}"
        )
        draw_weights(weights, row, plastic)
        y += strip + BETWEEN - 0.24
    for row in idle:
        write(0.15, y, f"{row.engine}: {row.status}: {row.reason}"[:200], 8, f"row:{row.engine}", color="#555555")
        y += 0.2
    if rows:
        write(left, tall - 0.3, "grey: a spike that both have;  blue triangle down: only the baseline;  orange triangle up: only this engine", 7.5, "notes", color="#444444")  # fmt: skip
        write(left + STRIP + middle, tall - 0.3, "dot: largest difference;  bar: its bound", 7.5, "notes:weights", color="#444444")
    return figure


def split_spikes(a: Recording, b: Recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the spikes of both, of ``a`` alone, and of ``b`` alone, as arrays of (replica, step, unit) of shape (n, 3)."""
    columns = [np.stack([r.replica, r.step, r.unit], axis=1) for r in (a, b)]
    together, count = np.unique(np.concatenate(columns), axis=0, return_counts=True)
    only = together[count == 1]
    in_a = {tuple(key) for key in columns[0].tolist()} if only.size else set()
    mine = np.array([tuple(key) in in_a for key in only.tolist()], dtype=bool)
    return together[count > 1], only[mine], only[~mine]


def draw_strip(axes: Axes, report: AgreementReport, row: EngineRow) -> None:
    """Draw the spikes of one engine over those of the baseline, every population a band."""
    from matplotlib.ticker import MaxNLocator

    program, baseline = report.program, report.baseline
    assert baseline is not None
    assert baseline.recording is not None
    assert row.recording is not None
    tables = sorted(program.populations, key=lambda p: p.first)
    size = np.repeat([p.size for p in tables], [p.size for p in tables])
    band = np.repeat(np.arange(len(tables)), [p.size for p in tables])
    height = band + (np.arange(program.n_units) - np.repeat([p.first for p in tables], [p.size for p in tables]) + 0.5) / size
    both, only_base, only_row = split_spikes(baseline.recording, row.recording)
    for spikes, marker, colour, points, name in (
        (both, "|", EQUAL, 3.0, "both"),
        (only_base, "v", ONLY_BASELINE, 4.5, "only:baseline"),
        (only_row, "^", ONLY_ENGINE, 4.5, "only:engine"),
    ):
        axes.plot(spikes[:, 1], height[spikes[:, 2]], marker, color=colour, markersize=points, linestyle="none", gid=name)
    if row.first_difference is not None:
        axes.axvline(row.first_difference.step, color=WRONG, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0, gid="first")
    axes.set_xlim(-0.5, max(program.n_steps, 1) - 0.5)
    axes.set_ylim(len(tables), 0)
    axes.set_yticks(np.arange(len(tables)) + 0.5, [p.name for p in tables], fontsize=7.5, family=FONT)
    axes.hlines(np.arange(1, len(tables)), -0.5, program.n_steps - 0.5, color="#DDDDDD", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=15, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("step", size=8, family=FONT, labelpad=1)


def draw_weights(axes: Axes, row: EngineRow, plastic: list[str]) -> None:
    """Draw, on powers of ten, the largest difference and its bound of each plastic projection and of all static ones."""
    groups = [(name, [w for w in row.weights if w.projection == name]) for name in plastic]
    groups.append(("static", [w for w in row.weights if w.projection not in plastic]))
    groups = [(name, found) for name, found in groups if found]
    for i, (_, found) in enumerate(groups):
        worst = max(found, key=lambda w: (not w.within, w.difference))
        axes.plot(
            [power(worst.difference)], [i], "o", color="black" if worst.within else WRONG, markersize=5, gid="difference", clip_on=False
        )
        if row.spikes_equal:  # else the bound does not hold, nor is it asked for
            axes.plot([power(worst.bound)], [i], "|", color="#555555", markersize=12, markeredgewidth=1.5, gid="bound", clip_on=False)
    axes.set_xlim(ZERO - 0.5, 3.0)
    ticks = [ZERO, -16, -12, -8, -4, 0]
    axes.set_xticks(ticks, ["0", *(f"1e{t}" if t else "1" for t in ticks[1:])], fontsize=7.5, family=FONT)
    axes.set_yticks(range(len(groups)), [name for name, _ in groups], fontsize=7.5, family=FONT)
    axes.set_ylim(max(len(groups), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("weight difference (nA)", size=8, family=FONT, labelpad=1)


def power(value: float) -> float:
    """Return the power of ten of a difference; ``ZERO`` for none."""
    return max(math.log10(value), ZERO) if value > 0.0 else ZERO
