"""The picture of the experiment: cues, recalls of every memory and truth, framed where wrong, beside counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

# The memories whose curves are drawn; those left out are at 0 throughout.
CURVES = {
    "dense_attention": (BLUE, "o-"),
    "bcpnn": (VERMILION, "s-"),
    "dense_exponential": (SKY, "^-"),
    "hetero_delta": (GREEN, "D-"),
    "pseudo_inverse": (PURPLE, "v-"),
    "willshaw": (ORANGE, "P-"),
    "storkey": (GREY, "x--"),
    "hebb": ("black", "s:"),
}


def picture(results: dict[str, Any]) -> Figure:
    """Return rows of images, cue first and truth last, and the fraction recalled exactly against the number of images stored."""
    settings, recalled, grey = results["settings"], results["recalled"], results["measured"]["grey"]
    truth, labels = np.array(recalled["truth"]), results["labels"]
    shown, levels, (rows, columns) = f"stored_{settings['shown_stored']}", settings["levels"], settings["shape"]
    figure = Figure(figsize=(11.5, 7.8))
    finding = ": alike patterns break Hebb's rule" if settings["source"] == "Digits" else ""
    figure.text(0.012, 0.972, f"{settings['source']} completed from their upper halves{finding}", fontsize=12, fontweight="bold")
    names = ("cue", *labels, "truth")
    grid = figure.add_gridspec(len(names), len(truth), left=0.235, right=0.615, top=0.915, bottom=0.065, hspace=0.12, wspace=0.06)
    for line, name in enumerate(names):
        counts = results["measured"]["sequence"]["clipped"] if name == "sequence" else grey["wrong"].get(name, {})
        exact = next(iter(counts.values())) if name == "sequence" else counts.get(shown)
        for column in range(len(truth)):
            ax = figure.add_subplot(grid[line, column])
            cue = name == "cue" or (name == "sequence" and column == 0)
            pixels = truth[column] if cue or name == "truth" else np.array(recalled[name][column])
            _image(ax, pixels.reshape(rows, columns), truth[column].reshape(rows, columns), levels, cue)
            if column == 0:
                label = labels.get(name, name)
                ax.text(-0.12, 0.65 if exact else 0.5, label, transform=ax.transAxes, ha="right", va="center", fontsize=9)
                if exact:
                    count = f"{exact['of'] - exact['wrong']} of {exact['of']} exact"
                    ax.text(-0.12, 0.25, count, transform=ax.transAxes, ha="right", va="center", fontsize=8, color=GREY)
    figure.text(
        0.012,
        0.938,
        f"{settings['shown_stored']} images stored; the first {len(truth)} are shown, framed where recall is not exact",
        fontsize=9,
    )
    figure.text(0.235, 0.03, "hatched: the half that a cue leaves out", fontsize=8, color=GREY)

    curves = figure.add_axes((0.695, 0.5, 0.285, 0.385))
    curves.spines[["top", "right"]].set_visible(False)
    for name, (colour, style) in CURVES.items():
        rates = grey["wrong"][name]
        sizes = [rate["of"] for rate in rates.values()]
        right = [100 * (1 - rate["wrong"] / rate["of"]) for rate in rates.values()]
        curves.plot(sizes, right, style, color=colour, label=labels[name], markersize=5, linewidth=1.2, clip_on=False)
    curves.set(xscale="log", xlabel="images stored", ylabel="recalled to the last pixel (%)", ylim=(0, 100))
    curves.set_xticks(sizes, [str(m) for m in sizes], minor=False)
    curves.minorticks_off()
    zero = [
        labels[name]
        for name in labels
        if name not in CURVES and name in grey["wrong"] and all(r["wrong"] == r["of"] for r in grey["wrong"][name].values())
    ]
    # Below the axes: eight curves leave no corner free.
    handles, words = curves.get_legend_handles_labels()
    figure.legend(handles, words, loc="upper left", bbox_to_anchor=(0.66, 0.42), frameon=False, fontsize=9)
    if zero:
        figure.text(0.668, 0.15, "at 0 throughout, too:\n" + "\n".join(zero), fontsize=8, color=GREY, va="top")
    return figure


def _image(ax: Axes, pixels: np.ndarray, truth: np.ndarray, levels: int, cue: bool) -> None:
    """Draw an image, black on white; a cue with its lower half hatched, a recall framed if it is not the truth."""
    rows, columns = pixels.shape
    ax.imshow(
        -pixels[: rows // 2] if cue else -pixels, cmap="gray", vmin=1 - levels, vmax=0, extent=(0, columns, rows // 2 if cue else rows, 0)
    )
    ax.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set(color="#BBBBBB", linewidth=0.6)
    if cue:
        ax.fill_between([0, columns], rows // 2, rows, facecolor="#F4F4F4", edgecolor="#BBBBBB", hatch="////", linewidth=0)
        return
    if (pixels != truth).any():
        ax.spines[:].set(color=VERMILION, linewidth=1.6)
