"""The largest number of patterns that meets a criterion, over seeds, with every point that was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from neuromem.capacity.intervals import Interval, mean_interval
from neuromem.errors import SpecError
from neuromem.theory.bracket import largest


@dataclass(frozen=True)
class Point:
    """What was measured for one seed with ``n_patterns`` stored, and whether it met the criterion."""

    seed: int
    n_patterns: int
    value: float
    holds: bool


@dataclass(frozen=True)
class SeedCapacity:
    """The capacity found for one seed; ``at_limit``: the search was stopped by the limit, so that this is a lower bound."""

    seed: int
    capacity: int
    at_limit: bool


@dataclass(frozen=True)
class CapacitySearch:
    """What a search found: ``seeds`` that were finished, and all ``points`` in the order in which they were measured."""

    seeds: tuple[SeedCapacity, ...]
    points: tuple[Point, ...]
    limit: int

    @property
    def at_limit(self) -> bool:
        """Whether any seed was stopped by the limit: the mean is then a lower bound, and its interval too narrow."""
        return any(seed.at_limit for seed in self.seeds)

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the mean capacity and its Student interval over seeds."""
        return mean_interval([seed.capacity for seed in self.seeds], confidence)


class SearchInterrupted(KeyboardInterrupt):
    """The user interrupted a search; ``result`` is the search as far as it came."""

    def __init__(self, result: CapacitySearch) -> None:
        super().__init__(f"interrupted after {len(result.points)} points, {len(result.seeds)} seeds finished")
        self.result = result


def find_capacity(
    measure: Callable[[int, int], float],
    holds: Callable[[float], bool],
    *,
    seeds: Iterable[int],
    start: int = 1,
    limit: int,
    resolution: float = 0.0,
    progress: Callable[[Point], None] | None = None,
) -> CapacitySearch:
    """Find, for each seed, the largest number of patterns up to ``limit`` whose measured value meets the criterion.

    Args:
        measure: (seed, number of patterns) -> value, for example the fraction exactly recalled. The
            same arguments must give the same value. Patterns are best nested - the first M of one
            stream of the seed - so that neighbouring loads share their noise.
        holds: the criterion, value -> whether it is met; ``lambda fraction: fraction >= 0.9``.
        seeds: distinct whole numbers; each is searched alone, from the capacity of the one before.
        start: the first number tried, for the first seed; the guess of a theory saves calls.
        limit: the largest number that memory allows.
        resolution: stop when the bracket is no wider than this fraction of the capacity (0: to 1 pattern).
        progress: called with every point as it is measured.

    Returns:
        The capacities and all points. No point is measured twice.

    Raises:
        SearchInterrupted: on Ctrl-C; its ``result`` holds what was measured.
        SpecError: no seeds, a seed given twice, a value that is NaN, or as ``largest``.
    """
    wanted = list(seeds)
    if not wanted or len(set(wanted)) != len(wanted):
        raise SpecError(f"seeds are {wanted}; expected at least one, all distinct")
    points: list[Point] = []
    found: list[SeedCapacity] = []
    try:
        for seed in wanted:
            tried = _Tried(measure, holds, seed, points, progress)
            capacity, at_limit = largest(tried, start=start, limit=limit, resolution=resolution)
            found.append(SeedCapacity(seed, capacity, at_limit))
            start = max(1, capacity)
    except KeyboardInterrupt:
        raise SearchInterrupted(CapacitySearch(tuple(found), tuple(points), limit)) from None
    return CapacitySearch(tuple(found), tuple(points), limit)


class _Tried:
    """The criterion of one seed as a function of the number of patterns; it measures each number once."""

    def __init__(
        self,
        measure: Callable[[int, int], float],
        holds: Callable[[float], bool],
        seed: int,
        points: list[Point],
        progress: Callable[[Point], None] | None,
    ) -> None:
        self.measure, self.holds, self.seed, self.points, self.progress = measure, holds, seed, points, progress
        self.known: dict[int, bool] = {}

    def __call__(self, n_patterns: int) -> bool:
        if n_patterns not in self.known:
            value = float(self.measure(self.seed, n_patterns))
            if math.isnan(value):
                raise SpecError(f"seed {self.seed}, {n_patterns} patterns: the measured value is NaN; expected a number")
            point = Point(self.seed, n_patterns, value, bool(self.holds(value)))
            self.known[n_patterns] = point.holds
            self.points.append(point)
            if self.progress is not None:
                self.progress(point)
        return self.known[n_patterns]
