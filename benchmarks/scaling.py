"""What matrix memories cost as they grow: time and bytes against units N and patterns M.

``python -m benchmarks.scaling [--rounds N] [--small] [--out FOLDER]`` prints a table with the fitted exponents of the larger half of
each line, and draws it log-log. Times are process CPU seconds of one thread, the median of a few rounds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neuromem
from neuromem import models
from neuromem.capacity.fits import power_law
from neuromem.cues import random_active, random_bits, random_winners
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.spec import MemoryModel


@dataclass(frozen=True)
class Line:
    """A memory, how many units or patterns it has along the line, and random patterns for it."""

    name: str
    build: Callable[[int], MemoryModel]
    patterns: Callable[[int, int, np.random.Generator], np.ndarray]
    n: tuple[int, ...]
    m: tuple[int, ...]
    cues: int = 64

    def points(self) -> list[tuple[int, int]]:
        """(N, M) along the line: one of the two has one value only."""
        return list(itertools.product(self.n, self.m))


def log2(n: int) -> int:
    """Return the number of active units of a sparse pattern."""
    return (n - 1).bit_length()


def columns(n: int) -> int:
    """Return a number of hypercolumns of 32 units."""
    return n // 32


BY_UNITS, BY_PATTERNS = "units N", "patterns M"
LINES = {
    BY_UNITS: (
        Line("willshaw, M = 2,000", lambda n: models.willshaw(n=n), lambda m, n, r: random_active(m, n, log2(n), r),
             (1024, 2048, 4096, 8192, 16384, 32768, 65536), (2000,)),
        Line("hopfield, M = 200", lambda n: models.hopfield(n=n), random_bits, (1024, 2048, 4096, 8192, 16384, 32768, 65536), (200,)),
        Line("bcpnn, M = 500", lambda n: models.bcpnn(n=n, hypercolumns=columns(n)), lambda m, n, r: random_winners(m, n, columns(n), r),
             (256, 512, 1024, 2048, 4096), (500,)),
        Line("dense, M = 2,000", lambda n: models.dense(n=n, interaction="softmax"), random_bits, (256, 512, 1024, 2048, 4096, 8192), (2000,)),
    ),
    BY_PATTERNS: (
        Line("willshaw, N = 16,384", lambda n: models.willshaw(n=n), lambda m, n, r: random_active(m, n, log2(n), r),
             (16384,), (1000, 3000, 10_000, 30_000, 100_000, 300_000)),
        Line("hopfield, N = 16,384", lambda n: models.hopfield(n=n), random_bits, (16384,), (50, 100, 200, 400, 800, 1600)),
        Line("bcpnn, N = 1,024", lambda n: models.bcpnn(n=n, hypercolumns=columns(n)), lambda m, n, r: random_winners(m, n, columns(n), r),
             (1024,), (300, 1000, 3000, 10_000, 30_000)),
        Line("dense, N = 1,024", lambda n: models.dense(n=n, interaction="softmax"), random_bits, (1024,), (1000, 3000, 10_000, 30_000, 100_000, 300_000)),
    ),
}  # fmt: skip
MEASURES = ("store all, seconds", "recall a cue, seconds", "table, bytes")


def cost(line: Line, n: int, m: int, rounds: int) -> tuple[float, float, float]:
    """Return CPU seconds to store m patterns, CPU seconds to recall one cue in a batch (one update), and bytes of the table."""
    rng = np.random.default_rng(0)
    memory = line.build(n)
    patterns = line.patterns(m, n, rng)
    stores, recalls = [], []
    for _ in range(rounds + 1):  # the first one warms up
        session = neuromem.build(memory, "cpu", threads=1)
        began = time.process_time()
        session.store(patterns)
        stores.append(time.process_time() - began)
        began = time.process_time()
        session.recall(patterns[: line.cues], max_steps=1, graded=False)
        recalls.append((time.process_time() - began) / line.cues)
    return statistics.median(stores[1:]), statistics.median(recalls[1:]), float(neuromem.memory_needed(memory, m))


def scaling(rounds: int, small: bool, folder: Path) -> None:
    """Print and draw all lines."""
    found: dict[str, dict[str, tuple[list[int], list[list[float]]]]] = {}
    for axis, lines in LINES.items():
        print(f"\n## against {axis}: {', '.join(MEASURES)}")
        found[axis] = {}
        for line in lines:
            points = line.points()[: 3 if small else None]
            xs = [n if axis == BY_UNITS else m for n, m in points]
            costs = [list(cost(line, n, m, rounds)) for n, m in points]
            found[axis][line.name] = xs, costs
            for x, values in zip(xs, costs, strict=True):
                print(f"  {line.name:22s} {x:8d}  " + "  ".join(f"{v:.3g}" for v in values))
            print(f"  {'':22s} exponents " + ", ".join(exponent(xs, [c[k] for c in costs]) for k in range(len(MEASURES))))
    draw(found, folder)


def exponent(xs: list[int], ys: list[float]) -> str:
    """Return the exponent of the larger half of a line, with its standard error."""
    half = max(0, min(len(xs) - 3, len(xs) // 2))
    law = power_law(xs[half:], ys[half:])
    return f"{law.exponent:.2f} +- {law.exponent_error:.2f}"


def draw(found: dict[str, dict[str, tuple[list[int], list[list[float]]]]], folder: Path) -> None:
    """Draw two rows (against N, against M) of three panels (store, recall, bytes)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    figure = Figure(figsize=(12, 10), layout="constrained")
    panels = figure.subplots(len(found), len(MEASURES))
    for row, (axis, lines) in zip(panels, found.items(), strict=True):
        for k, (axes, measure) in enumerate(zip(row, MEASURES, strict=True)):
            styles = zip(("#0072B2", "#D55E00", "#009E73", "#B0518D"), "osD^", lines.items(), strict=True)
            for colour, marker, (name, (xs, costs)) in styles:
                ys = [c[k] for c in costs]
                axes.plot(xs, ys, color=colour, marker=marker, label=f"{name}: {exponent(xs, ys)}")
            axes.set(xscale="log", yscale="log", xlabel=axis, title=measure)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8, title="slope of the larger half", title_fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    figure.suptitle("Cost of matrix memories on the cpu backend, one thread")
    FigureCanvasAgg(figure).print_png(folder / "scaling.png")
    print(f"  drawn: {folder / 'scaling.png'}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("--out", type=Path, default=Path("out"))
    given = arguments.parse_args()
    warnings.simplefilter("ignore", OverloadWarning)
    warnings.simplefilter("ignore", NotConvergedWarning)
    scaling(given.rounds, given.small, given.out)
