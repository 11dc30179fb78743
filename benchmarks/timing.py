"""Interleaved timing: every contestant once a round, so that a drifting machine drifts for all."""

from __future__ import annotations

import statistics
import time
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


def timed(
    contestants: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, Spread]:
    """Return the seconds of each contestant, in turn; by default of process CPU time, which others on the machine disturb less."""

    def contestant(run: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            began = clock()
            run()
            return clock() - began

        return seconds

    return interleaved({name: contestant(run) for name, run in contestants.items()}, rounds)


def asked(what: str, limit: float, found: float, *, at_most: bool = False) -> None:
    """Print a target and what was found."""
    met = found <= limit if at_most else found >= limit
    print(f"  asked {'at most' if at_most else 'at least'} {limit:g}x {what}, measured {found:.3g}x: {'met' if met else 'NOT MET'}")


def times(slow: Spread, fast: Spread) -> float:
    """Return the median of the round-by-round ratios."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))
