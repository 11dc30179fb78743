"""Interleaved timing: every contestant once a round, so that a drifting machine drifts for all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Seconds of several rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median round."""
        return statistics.median(self.seconds)

    def text(self, scale: float, unit: str) -> str:
        """Return ``median (lowest .. highest) unit``."""
        low, high = min(self.seconds), max(self.seconds)
        return f"{self.median * scale:.4g} ({low * scale:.4g} .. {high * scale:.4g}) {unit}"


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Spread]:
    """Run every contestant once uncounted, then ``rounds`` times in turn; each returns its own seconds."""
    for run in contestants.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            taken[name].append(run())
    return {name: Spread(tuple(seconds)) for name, seconds in taken.items()}


def ratio(slow: Spread, fast: Spread) -> str:
    """Return the median of the round-by-round ratios with its extremes."""
    ratios = sorted(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))
    return f"{statistics.median(ratios):.3g}x ({ratios[0]:.3g} .. {ratios[-1]:.3g})"
