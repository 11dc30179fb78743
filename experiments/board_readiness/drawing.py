"""The figure of this experiment: two rows of panels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, percent

LINES = {
    "float_all": ("float, all events", BLUE, "o", "-"),
    "fixed_all": ("fixed point, all events", SKY, "s", "--"),
    "five_sigma": ("the same, 5-sigma ring buffers", GREEN, "^", ":"),
    "float_15": ("float, 15 events", ORANGE, "D", "-"),
    "board": ("board: fixed point, 15 events", VERMILION, "v", "--"),
}
"""Variants that are drawn: label, colour, marker, line."""

KINDS = {"store": "store\n", "recall_by_cue": "recall\nby cue", "recall_by_content": "recall\nby content"}
SHADES = {"spinn3": ("#cfe8f7", "one SpiNN-3"), "spinn5": ("#8fc3e6", "one SpiNN-5"), "several": ("#f3d9a4", "several boards"), "refused": ("#dddddd", "refused: numbers")}  # fmt: skip


def drawn(results: dict[str, Any]) -> Figure:
    """Return the figure; panels for which a quick run measured nothing stay empty."""
    measured, settings = results["measured"], results["settings"]
    figure = Figure(figsize=(13.6, 8.0), layout="constrained")
    figure.suptitle(
        "CA3 memory on SpiNNaker, emulated: up to 64 x 32 only the memory of 15 events does harm, not fixed point or buffers",
        fontsize=12, fontweight="bold", x=0.01, ha="left",
    )  # fmt: skip
    axes = figure.subplots(2, 3)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    for ax, side in zip(axes[0], ("cue", "content"), strict=False):
        _quality(ax, measured["quality"], side)
    axes[0, 0].legend(frameon=False, fontsize=9, loc="lower left")
    _buffers(axes[0, 2], measured["buffers"], settings["buffers"])
    _boards(axes[1, 0], measured["limits"]["smallest_board"], settings)
    _largest(axes[1, 1], measured["limits"])
    _energy(axes[1, 2], measured["costs"])
    return figure


def write(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG of 256 colours, a third of the bytes of one in full colour, without any record of when and by which program."""
    full = io.BytesIO()
    figure.savefig(full, dpi=100, metadata={"Software": None})
    with Image.open(full) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


def _right(counts: list[dict[str, Any]]) -> tuple[list[float], list[list[float]]]:
    values, (below, above) = percent([{"wrong": c["of"] - c["wrong"], "of": c["of"]} for c in counts])
    return values, [below, above]


def _quality(ax: Axes, quality: dict[str, Any], side: str) -> None:
    sizes = list(quality)
    for i, (variant, (label, colour, marker, line)) in enumerate(LINES.items()):
        values, errors = _right([quality[size][variant]["random"][side] for size in sizes])
        x = np.arange(len(sizes)) + 0.06 * (i - 2)  # side by side, for several agree
        ax.errorbar(x, values, yerr=errors, color=colour, marker=marker, linestyle=line, markersize=5, capsize=2, label=label)
    for variant, colour in (("float_all", BLUE), ("board", VERMILION)):
        values, _ = _right([quality[size][variant]["stress"][side] for size in sizes])
        ax.plot(range(len(sizes)), values, "x", color=colour, markersize=8, markeredgewidth=2)
    ax.set_xticks(range(len(sizes)), [s.replace("x", " x ") for s in sizes])
    ax.set(ylim=(-3, 106), xlabel="cues x content bits", ylabel=f"right recalls by {side} (%), 95 % interval")
    ax.set_title(f"recall by {side}: random workloads; x: stress protocol", fontsize=10, loc="left")


def _buffers(ax: Axes, buffers: dict[str, Any], packets: list[int]) -> None:
    for (size, rows), colour, marker in zip(buffers.items(), (BLUE, SKY, GREEN, ORANGE, VERMILION), "osD^v", strict=False):
        counts = [_both(rows[f"holds_{n}"]["stress"]) for n in packets]
        ax.plot(packets, _right(counts)[0], color=colour, marker=marker, markersize=5, label=size.replace("x", " x "))
    ax.axvline(255, color=GREY, linestyle="--")
    ax.text(240, 3, "a board's", color=GREY, fontsize=8, ha="right")
    ax.set_xscale("log", base=2)
    ax.set_xticks(packets[::2], [str(n) for n in packets[::2]])
    ax.set(ylim=(-3, 106), xlabel="packets that a core holds in one step", ylabel="right recalls (%)")
    ax.set_title("packets lost: stress protocol, all events", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(0.95, 0.08))


def _both(counts: dict[str, Any]) -> dict[str, int]:
    return {key: sum(counts[side][key] for side in ("cue", "content")) for key in ("wrong", "of")}


def _boards(ax: Axes, rows: dict[str, list[str]], settings: dict[str, Any]) -> None:
    ax.set_title("smallest board, by cores, SDRAM and numbers", fontsize=10, loc="left")
    if not rows:
        return
    cues, content = np.array(settings["grid_cues"]), np.array(settings["grid_content"])
    order = list(SHADES)
    field = np.array([[order.index(kind) for kind in rows[str(m)]] for m in content])
    ax.pcolormesh(
        cues, content, field, cmap=ListedColormap([c for c, _ in SHADES.values()]), vmin=-0.5, vmax=len(order) - 0.5, shading="nearest"
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(cues[0], cues[-1])
    ax.set_ylim(content[0], content[-1])
    line = np.geomspace(cues[0], cues[-1], 200)
    ax.plot(line, 10562 / line, color=VERMILION, linewidth=2)
    ax.text(60, 250, "beyond the line, many\nmatches at once turn\ninhibition around", color=VERMILION, fontsize=8)
    ax.set(xlabel="cues", ylabel="content bits")
    ax.legend(handles=[Patch(color=c, label=label) for c, label in SHADES.values()], fontsize=7, loc="lower left", framealpha=0.9)


NAMES = {
    "events": "15 events\n(random)",
    "wraps": "inhibition\n(sign)",
    "packets": "input\nbuffer",
    "cores": "cores",
    "sdram": "SDRAM",
}
BARS = {"spinn3": BLUE, "spinn5": ORANGE}


def _largest(ax: Axes, limits: dict[str, Any]) -> None:
    ax.set_title("32 content bits: what suffices up to how many cues", fontsize=10, loc="left")
    if not limits["largest"]:
        return
    rows = {board: row | {"events": limits["enough_events_content_32"]} for board, row in limits["largest"]["content_32"].items()}
    shown = list(NAMES)
    for offset, (board, colour) in zip((0.2, -0.2), BARS.items(), strict=True):
        y = np.arange(len(shown))[::-1] + offset
        values = [rows[board][name] for name in shown]
        ax.barh(y, values, height=0.36, color=colour, label={"spinn3": "SpiNN-3", "spinn5": "SpiNN-5"}[board])
        for at, value in zip(y, values, strict=True):
            ax.text(value * 1.08, at, f"{value:,}", va="center", fontsize=8)
    ax.set_yticks(range(len(shown)), [NAMES[name] for name in reversed(shown)])
    ax.set_xscale("log")
    ax.set(xlim=(3, 300_000), xlabel="cues")
    ax.legend(frameon=False, fontsize=9, loc="upper right")


PARTS = (("events", "events", GREEN), ("cells", "updating cells", PURPLE), ("board", "idle board", GREY))


def _energy(ax: Axes, costs: dict[str, Any]) -> None:
    sizes = [size for size in ("5x10", "64x32") if size in costs]
    groups = [(size, kind) for size in sizes for kind in KINDS]
    for x, (size, kind) in enumerate(groups):
        small, large = (costs[size][kind]["joules"][board] for board in ("spinn3", "spinn5"))
        for i, (part, _, colour) in enumerate(PARTS):
            at = x + 0.27 * (i - 1)
            ax.bar(at, 1e6 * small[part], width=0.25, color=colour)
            ax.plot(at, 1e6 * large[part], marker="D", color="black", markersize=4)
        ax.errorbar(x - 0.27, 1e6 * small["events"], yerr=[[0.0], [1e6 * small["events_deviation"]]], color="black", capsize=2, linewidth=1)
    ax.set_yscale("log")
    ax.set_xticks(range(len(groups)), [f"{KINDS[kind]}\n{size.replace('x', ' x ')}" for size, kind in groups], fontsize=8)
    ax.set(ylim=(1, 2e7), ylabel="one operation of 14 ms (uJ)")
    ax.set_title("energy: ESTIMATES from published prices", fontsize=10, loc="left")
    handles: list[Artist] = [Patch(color=c, label=label) for _, label, c in PARTS]
    handles.append(Line2D([], [], marker="D", color="black", linestyle="", markersize=4, label="SpiNN-5 (bars: SpiNN-3)"))
    ax.legend(handles=handles, frameon=False, fontsize=8, loc="upper left", ncols=2)
