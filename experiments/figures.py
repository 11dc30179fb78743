"""What the figures of all experiments share: colours (Okabe and Ito's, told apart by all readers), size, writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromem.experiments.intervals import binomial_interval

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#777777"


def panels(title: str, widths: tuple[float, ...], height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``title``, which says the finding, and one panel for each of ``widths`` (inches)."""
    figure = Figure(figsize=(sum(widths), height), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def percent(rates: list[dict[str, Any]]) -> tuple[list[float], list[list[float]]]:
    """Return rates in percent and the lengths of their 95 % error bars, below and above, as matplotlib takes them."""
    values = [100 * r["wrong"] / r["of"] for r in rates]
    intervals = [binomial_interval(r["wrong"], r["of"]) for r in rates]
    below = [max(0.0, v - 100 * low) for v, (low, _) in zip(values, intervals, strict=True)]
    above = [max(0.0, 100 * high - v) for v, (_, high) in zip(values, intervals, strict=True)]
    return values, [below, above]


def write(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG without any record of when and by which program."""
    figure.savefig(path, dpi=100, metadata={"Software": None})
