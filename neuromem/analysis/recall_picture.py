"""The picture of a trial: cue, answer and truth of its first patterns, as images, with wrong units in colour."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromem.analysis.labels import RIGHT_MARK, WRONG_MARK
from neuromem.analysis.palette import RIGHT, WRONG
from neuromem.analysis.picture import FONT, new_figure, save_figure, text_size
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.runs.trial import TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("cue", "answer", "truth")
MAX_PATTERNS = 16
STRIP = 48  # units up to which a pattern is one line
MAX_SIDE = 48  # units along the side of an image; more are drawn together
TILE, LINE, GAP, LABEL = 1.0, 0.16, 0.07, 0.3  # inches
TOP, BOTTOM, LEFT, BETWEEN = 0.98, 0.45, 0.3, 0.35

# Silent, active, wrongly silent, wrongly active: from doi:10.1038/nmeth.1618, and distinct as greys, too.
SILENT, ACTIVE, MISSING, EXTRA = 0, 1, 2, 3
COLOURS = ("#F0F0F0", "#1A1A1A", "#56B4E9", "#D55E00")
LEGEND = ("silent", "active", "wrongly silent", "wrongly active")


def draw_recall(result: TrialResult, path: Path | str) -> None:
    """Draw what a trial came to and write it to ``path`` (.png, .svg or .pdf), replacing what is there.

    Raises ``FileError`` for another ending and ``StoreError`` when ``path`` cannot be written.
    """
    save_figure(recall_figure(result), path)


def recall_figure(result: TrialResult) -> Figure:
    """Return the picture as a matplotlib figure; the images have gids ``cue:3``, ``answer:3``, ``truth:3`` by the pattern's number."""
    program = result.session.program
    shown = min(MAX_PATTERNS, result.exact.size)
    shapes = [image_shape(program, kind) for kind in KINDS]
    flat = all(rows == 1 for rows, _ in shapes)
    columns = 1 if flat or shown <= 4 else 2 if shown <= 8 else 4
    rows = math.ceil(shown / columns)
    widths = [columns_of / STRIP * 2.6 if flat else TILE for _, columns_of in shapes]
    heights = [LINE if flat else min(2 * TILE, max(LINE, TILE * r / c)) for r, c in shapes]
    block, line = sum(widths) + 2 * GAP, max(heights) + (GAP if flat else LABEL)
    figure = new_figure(1.0, 1.0)
    title = result.memory.title or result.memory.name
    note = subtitle(result, shown)
    wide = max(
        2 * LEFT + columns * block + (columns - 1) * BETWEEN + (1.0 if flat else 0.0),
        text_size(figure, title, 12.0, bold=True)[0] + 2 * LEFT,
        text_size(figure, note, 8.5)[0] + 2 * LEFT,
        5.6,
    )
    tall = TOP + rows * line + BOTTOM
    figure.set_size_inches(wide, tall)

    def write(x: float, y: float, text: str, size: float, gid: str, **style: Any) -> None:
        figure.text(x / wide, 1 - y / tall, text, size=size, family=FONT, parse_math=False, gid=gid, **style)

    write(LEFT, 0.14, title, 12, "title", va="top", weight="bold")
    write(LEFT, 0.4, note, 8.5, "subtitle", va="top", color="#444444")
    limit = largest(result, shown)
    for i in range(shown):
        column, row = divmod(i, rows)
        x, y = LEFT + column * (block + BETWEEN), TOP + row * line
        for kind, width, height in zip(KINDS, widths, heights, strict=True):
            if row == 0:
                write(x + width / 2, TOP - 0.07, kind, 8.5, f"head:{kind}", ha="center", va="bottom")
            axes = figure.add_axes((x / wide, 1 - (y + height) / tall, width / wide, height / tall))
            draw_pattern(axes, result, kind, i, limit, f"{kind}:{i + program.lag}")
            x += width + GAP
        text, colour = verdict(result, i), RIGHT if result.exact[i] else WRONG
        if flat:
            write(x, y + LINE / 2, text, 7.5, f"verdict:{i + program.lag}", va="center", color=colour)
        else:
            write(x - block - GAP, y + max(heights) + 0.04, text, 7.5, f"verdict:{i + program.lag}", va="top", color=colour)
    if result.real:
        write(LEFT, tall - 0.16, f"orange: above 0, violet: below 0, full colour at {limit:.2g}", 8, "legend", va="center")
    else:
        draw_legend(figure, wide, tall)
    return figure


def subtitle(result: TrialResult, shown: int) -> str:
    """Return what was done and what it came to."""
    of = "" if shown == result.exact.size else f"; the first {shown} are drawn"
    program = result.session.program
    stored = f"{result.exact.size + 1} stored in order, recalled step by step" if program.lag else f"{result.session.n_stored} stored"
    return f"{stored}: {result.summary().split('; digest')[0]}{of}"


def verdict(result: TrialResult, i: int) -> str:
    """Return a mark, the pattern's number, and what is wrong with the answer."""
    mark = RIGHT_MARK if result.exact[i] else WRONG_MARK
    number = i + result.session.program.lag
    if result.real:
        return f"{mark} {number}: error {result.errors[i]:.2g}"
    wrong = int(result.errors[i])
    moving = "" if result.recalled.converged[i] else ", not converged"
    return f"{mark} {number}{f': {wrong} wrong' if wrong else ''}{moving}"


def image_shape(program: MatrixProgram, kind: str) -> tuple[int, int]:
    """Return rows and columns of the images of a kind: a row for each group, a line where all patterns are short, or nearly a square."""
    units = program.pre if kind == "cue" else program.post
    n, groups = units.size, int(getattr(units.cell, "groups", 1))
    if groups > 1 and n <= 4 * groups**2 <= 16 * n:  # neither side is longer than four times the other
        return groups, n // groups
    if max(program.pre.size, program.post.size) <= STRIP:
        return 1, n
    columns = math.ceil(math.sqrt(n))
    return math.ceil(n / columns), columns


def states(result: TrialResult, kind: str, i: int) -> np.ndarray:
    """Return what is drawn of a pattern, (n,): numbers of ``COLOURS``, or the numbers of real units."""
    batch = {"cue": result.cues, "answer": result.recalled.state, "truth": result.patterns}[kind]
    if not isinstance(batch, Patterns):
        return np.asarray(batch[i], np.float64)
    bits = batch.part(i, i + 1).bits[0]
    right = result.keys if kind == "cue" else result.patterns
    assert isinstance(right, Patterns)
    true = right.part(i, i + 1).bits[0]
    return np.where(bits == true, np.where(bits, ACTIVE, SILENT), np.where(bits, EXTRA, MISSING))


def image(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the values as an image of this shape, smaller where it is too large: a point shows its largest value, so that errors stay.

    Points beyond the last unit are NaN.
    """
    rows, columns = shape
    full = np.full(rows * columns, np.nan)
    full[: values.size] = values
    picture = full.reshape(rows, columns)
    for axis in (0, 1):
        by = math.ceil(picture.shape[axis] / MAX_SIDE)
        if by > 1:
            starts = np.arange(0, picture.shape[axis], by)
            picture = np.fmax.reduceat(picture, starts, axis=axis)
    return picture


def draw_pattern(axes: Axes, result: TrialResult, kind: str, i: int, limit: float, gid: str) -> None:
    """Draw one pattern."""
    from matplotlib.colors import ListedColormap

    values = states(result, kind, i)
    shape = image_shape(result.session.program, kind)
    real = np.issubdtype(values.dtype, np.floating)
    colours: Any = "PuOr_r" if real else ListedColormap(COLOURS)
    low, high = (-limit, limit) if real else (-0.5, 3.5)
    axes.imshow(image(values, shape), cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect="auto", gid=gid)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(linewidth=0.6, color="#888888")


def largest(result: TrialResult, shown: int) -> float:
    """Return the size of the largest number that is drawn of real units, or 1."""
    batches = [b for b in (result.cues, result.recalled.state, result.patterns) if not isinstance(b, Patterns)]
    return max([float(np.abs(b[:shown]).max()) for b in batches] or [1.0]) or 1.0


def draw_legend(figure: Figure, wide: float, tall: float) -> None:
    """Draw what the colours stand for."""
    from matplotlib.patches import Rectangle

    x = LEFT
    for text, colour in zip(LEGEND, COLOURS, strict=True):
        figure.add_artist(
            Rectangle((x / wide, 0.11 / tall), 0.12 / wide, 0.12 / tall, facecolor=colour, edgecolor="#888888", linewidth=0.6)
        )
        figure.text((x + 0.18) / wide, 0.17 / tall, text, size=8, va="center", family=FONT, gid=f"legend:{text}")
        x += 0.45 + text_size(figure, text, 8.0)[0]
