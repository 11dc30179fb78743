"""A picture of a fit: how full the ring buffers and the memories of the cores are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuromem.analysis.picture import FONT, new_figure
from neuromem.hardware_targets.spinnaker.fitted import Fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORST, VOLLEY, SEEN, FULL = "#9ECAE1", "#0072B2", "#D55E00", "#A3003A"


def fit_figure(fitted: Fitted, counts: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return two panels: loads of ring buffers against what they hold, and DTCM of cores against what they have.

    ``counts[population]["peak"]`` are the largest sums (nA) of an emulation.
    """
    loads = [load for load in fitted.loads if load.worst]
    cores = [q for q in fitted.placements if not q.is_source]
    figure = new_figure(11.0, 1.6 + 0.28 * max(len(loads), len(cores)))
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for y, load in enumerate(loads):
        seen = counts.get(load.population, {}).get("peak", (0.0, 0.0))[load.receptor == "inhibitory"]
        left.barh(y, load.worst / load.capacity, height=0.7, color=WORST, label="everything at once" if y == 0 else None)
        left.barh(y, load.volley / load.capacity, height=0.42, color=VOLLEY, label="a volley" if y == 0 else None)
        left.plot([seen / load.capacity], [y], "D", color=SEEN, markersize=5, label="seen in emulation" if y == 0 else None)
    most = max((load.worst / load.capacity for load in loads), default=1.0)
    _finish(
        left,
        [f"{load.population}, {load.receptor[:3]}" for load in loads],
        most,
        "sum in one step, as a part of what the ring buffer holds",
    )
    if loads:
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
    for y, q in enumerate(cores):
        right.barh(y, q.dtcm / fitted.board["core.dtcm"], height=0.7, color=VOLLEY)
    _finish(right, [q.name for q in cores], 1.0, "DTCM of the fullest core, as a part of all")
    figure.suptitle(f"Fit to {fitted.board.title}", fontfamily=FONT, fontsize=11)
    figure.tight_layout()
    return figure


def _finish(axes: Axes, names: list[str], most: float, label: str) -> None:
    axes.axvline(1.0, color=FULL, linewidth=1.5)
    axes.set_xlim(0, max(1.08, 1.05 * most))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names, fontsize=8, fontfamily=FONT)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(label, fontsize=8, fontfamily=FONT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
