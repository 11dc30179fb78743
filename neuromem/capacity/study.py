"""A capacity study: the largest load that meets a criterion, over seeds; the curve around it, the basin of attraction, and theory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from neuromem.backends import load_backend
from neuromem.capacity.criteria import Criterion, Quantity
from neuromem.capacity.intervals import FEWEST_SEEDS, Interval, seeds_interval
from neuromem.capacity.measure import MOST_SETS, SUMS, Laboratory, Measured
from neuromem.capacity.predictions import Theory, predict
from neuromem.capacity.search import CapacitySearch, SearchInterrupted, find_capacity
from neuromem.capacity.task import Task, make_task
from neuromem.errors import SpecError
from neuromem.spec.memory import MemoryModel
from neuromem.spec.trial import Trial
from neuromem.theory.bracket import largest
from neuromem.theory.information import bits_per_synapse

RESOLUTION = 0.005
"""A search stops within this fraction of the capacity."""

LIMIT, HIDDEN_LIMIT = 2**24, 2**15
"""Most patterns by default; recall of a dense memory takes time in proportion to what is stored."""

AROUND = (0.4, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.9)
"""Loads of the curve, relative to the capacity."""

FEWEST_CUES, MOST_CUES = 4096, 8192
"""Patterns recalled at each load of the search, over all sets; most where the capacity is small, and scatters."""

CURVE_CUES = 2048
"""Those of each load and seed of the curve, and half as many of each error of the basin."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Point:
    """Seeds averaged at one load (or one error of the cues): mean and Student interval of the criterion's quantity."""

    x: float
    n_patterns: int
    value: Interval
    unsettled: float


@dataclass(frozen=True)
class Basin:
    """The criterion's ``quantity`` against the errors of the cue: ``error`` names them, ``points`` have them as fractions ``x``.

    ``level``: where the basin ends: one half of the patterns recalled exactly, or the criterion's own overlap or fraction of wrong units.
    """

    error: str
    n_patterns: int
    points: tuple[Point, ...]
    quantity: Quantity = "exact"
    level: float = 0.5

    @property
    def radius(self) -> float | None:
        """The error at which the quantity passes the level, interpolated; None when it never does."""
        x, y = [p.x for p in self.points], [self._above(p) for p in self.points]
        for i in range(len(x) - 1):
            if y[i] >= 0 > y[i + 1]:
                return x[i] + y[i] / (y[i] - y[i + 1]) * (x[i + 1] - x[i])
        return None

    @property
    def empty(self) -> bool:
        """Whether even cues without errors are beyond the level."""
        return self._above(self.points[0]) < 0

    def _above(self, point: Point) -> float:
        """Return how far a point is on the good side of the level."""
        return (self.level - point.value.value) * (1 if self.quantity == "bit_error" else -1)


@dataclass(frozen=True, eq=False)
class Study:
    """What was found of one task. ``measured`` has all points of the search, ``complete`` is False after an interruption."""

    task: Task
    criterion: Criterion
    backend: str
    n_sets: int
    search: CapacitySearch
    measured: dict[tuple[int, int], Measured]
    theory: Theory
    curve: tuple[Point, ...] = ()
    basins: tuple[Basin, ...] = ()
    complete: bool = True

    @property
    def capacity(self) -> Interval | None:
        """Mean and 95 % Student interval over seeds, no narrower than the search resolves; None when no seed was finished.

        The interval is (-inf, inf) of fewer than three seeds, and of a search that its limit stopped.
        """
        found = [float(seed.capacity) for seed in self.search.seeds]
        if not found:
            return None
        if self.search.at_limit:
            return Interval(float(np.mean(found)), -math.inf, math.inf)
        return seeds_interval(found, max(0.5, RESOLUTION * float(np.mean(found))))

    @property
    def few_seeds(self) -> bool:
        """Whether there are too few seeds for an interval."""
        return len(self.search.seeds) < FEWEST_SEEDS

    @property
    def at_capacity(self) -> list[Measured]:
        """What was measured at the capacity of each seed (of those that hold at least one pattern)."""
        return [self.measured[s.seed, s.capacity] for s in self.search.seeds if s.capacity > 0]

    @property
    def n_synapses(self) -> float | None:
        """Number of weights at the capacity."""
        return None if self.capacity is None else self.task.n_synapses(self.capacity.value)

    @property
    def stored_bits(self) -> float | None:
        """Bits per synapse of the patterns that are recalled exactly at the capacity; None of real patterns."""
        return self._bits(self.task.bits())

    @property
    def gained_bits(self) -> float | None:
        """The same beyond what the cues tell."""
        return self._bits(self.task.gained_bits())

    def _bits(self, of_a_pattern: float | None) -> float | None:
        if self.capacity is None or of_a_pattern is None or self.n_synapses is None:
            return None
        found = self.at_capacity
        exact = float(np.mean([m.exact for m in found])) if found else 0.0
        return bits_per_synapse(self.capacity.value, max(0.0, of_a_pattern), exact, self.n_synapses)

    @property
    def unsettled(self) -> float | None:
        """The fraction of recalls at the capacity that did not converge within the memory's limit."""
        return float(np.mean([m.unsettled for m in self.at_capacity])) if self.at_capacity else None


class StudyInterrupted(KeyboardInterrupt):
    """The user interrupted a study; ``study`` is what was measured by then."""

    def __init__(self, study: Study) -> None:
        super().__init__("interrupted")
        self.study = study


def study(
    memory: MemoryModel,
    criterion: Criterion,
    *,
    errors: Trial | None = None,
    seeds: Iterable[int] = (0, 1, 2),
    backend: str = "cpu",
    limit: int | None = None,
    curve: bool = False,
    basin: bool = False,
    progress: Progress | None = None,
) -> Study:
    """Find the largest number of random patterns that meets ``criterion``, for each seed, and what else is asked for.

    Args:
        memory: one without spikes.
        criterion: see ``read_criterion``.
        errors: of the cues (default: one wrong unit, see ``make_task``); none with a criterion of clean cues.
        seeds: of which each stands for independent sets of patterns.
        backend: the engine.
        limit: most patterns that are tried (default: 2**24, of dense memories 2**15; and half of all that there are).
        curve: measure loads around the capacity too.
        basin: measure recall against errors of the cue, at half the capacity and at the capacity.
        progress: called with (points measured, points expected).

    Raises ``SpecError``, ``UnsupportedError``, ``LimitError``, and ``StudyInterrupted`` on Ctrl-C.
    """
    wanted = list(seeds)
    if not wanted or len(set(wanted)) != len(wanted):
        raise SpecError(f"seeds are {wanted}; expected at least one, all distinct")
    load_backend(backend)  # or say now why not
    task = make_task(memory, Trial(1) if criterion.clean and errors is None else errors)
    theory = predict(task, criterion)
    most = _limit(task, limit)
    counter = _Counter(progress, 10 * len(wanted) + 6 + (len(AROUND) * len(wanted) if curve else 0) + (2 * len(wanted) if basin else 0))
    result = Study(task, criterion, backend, 1, CapacitySearch((), (), most), {}, theory, complete=False)
    try:
        start = _pilot(Laboratory(task, criterion, backend), wanted[0], theory, most, counter)
        n_cues = min(MOST_CUES, max(FEWEST_CUES, FEWEST_CUES * 1024 // start))
        laboratory = Laboratory(task, criterion, backend, min(MOST_SETS, math.ceil(n_cues / start)), n_cues)
        result = replace(result, n_sets=laboratory.n_sets, measured=laboratory.known)
        found = find_capacity(
            laboratory, criterion.holds, seeds=wanted, start=start, limit=most, resolution=RESOLUTION, progress=lambda point: counter()
        )
        result = replace(result, search=found)
        capacity = round(found.interval().value)
        if curve:
            loads = sorted({min(most, max(1, round(f * capacity))) for f in AROUND})
            for load in loads:
                result = replace(result, curve=(*result.curve, _averaged(laboratory, wanted, load, counter)))
        if basin:
            for load in sorted({max(1, capacity // 2), max(1, capacity)}):
                result = replace(result, basins=(*result.basins, measure_basin(laboratory, wanted, load, counter)))
    except SearchInterrupted as stopped:
        raise StudyInterrupted(replace(result, search=stopped.result)) from None
    except KeyboardInterrupt:
        raise StudyInterrupted(result) from None
    return replace(result, complete=True)


def measure_basin(laboratory: Laboratory, seeds: Sequence[int], n_patterns: int, done: Callable[[], None] = lambda: None) -> Basin:
    """Measure the criterion's quantity against the cue's errors: flips, deletions, moves or noise, whichever the cues have."""
    task, criterion, laboratory = laboratory.task, laboratory.criterion, laboratory.coarser(n_patterns, CURVE_CUES // 2)
    column = SUMS.index(criterion.quantity)
    error, levels = _levels(task)
    values: dict[float, list[float]] = {level: [] for level in levels}
    unsettled: dict[float, list[float]] = {level: [] for level in levels}
    for seed in seeds:
        sums = {level: np.zeros(5) for level in levels}
        for number, session, pre, post in laboratory.filled(seed, n_patterns):
            for part, chosen in enumerate(laboratory.parts(n_patterns)):
                for level in levels:
                    stream = laboratory.stream(seed, number)
                    cues = stream.cues(pre[chosen], part, Trial(1, **{error: level}))  # type: ignore[arg-type]
                    sums[level] += laboratory.compare(session, cues, post[chosen])
        for level in levels:
            values[level].append(float(sums[level][column] / sums[level][-1]))
            unsettled[level].append(float(sums[level][3] / sums[level][-1]))
        done()
    points = (Point(level, n_patterns, seeds_interval(values[level]), float(np.mean(unsettled[level]))) for level in levels)
    return Basin(error, n_patterns, tuple(points), criterion.quantity, 0.5 if criterion.quantity == "exact" else criterion.level)


def _levels(task: Task) -> tuple[str, list[float]]:
    """Return which error the basin is measured with, and its levels: whole numbers of units, as fractions."""
    if task.program.pre.cell.alphabet == "bipolar":
        error, of, most = "flips", task.program.pre.size, 0.45
    elif task.program.pre.cell.alphabet == "real":
        return "noise", [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]
    else:
        error, of = ("moves" if task.grouped else "deletions"), task.k_pre
        most = (of - 1) / of
    return error, [count / of for count in sorted({round(i / 8 * most * of) for i in range(9)})]


def _pilot(laboratory: Laboratory, seed: int, theory: Theory, most: int, done: Callable[[], None]) -> int:
    """Return the first load of a study, from a rough search with one set of patterns."""

    def holds(n_patterns: int) -> bool:
        done()
        return laboratory.criterion.holds(laboratory(seed, n_patterns))

    guess = theory.guess
    first = laboratory.task.program.post.size / 10 if guess is None or not math.isfinite(guess) else guess
    start, _ = largest(holds, start=min(most, max(1, round(first))), limit=most, resolution=0.1)
    return max(1, start)


def _limit(task: Task, limit: int | None) -> int:
    if limit is not None and limit < 1:
        raise SpecError(f"limit is {limit}; expected a number of patterns, at least 1")
    usual = HIDDEN_LIMIT if task.program.hidden is not None else LIMIT
    there_are = round(2**task.possible) / 2 if task.possible < 60 else math.inf  # of a logarithm of a whole number
    return int(max(1, min(usual if limit is None else limit, there_are)))


def _averaged(laboratory: Laboratory, seeds: Sequence[int], load: int, done: Callable[[], None]) -> Point:
    coarse, measured = laboratory.coarser(load, CURVE_CUES), []
    for seed in seeds:
        measured.append(coarse.measure(seed, load))
        done()
    values = [float(getattr(m, laboratory.criterion.quantity)) for m in measured]
    return Point(load, load, seeds_interval(values), float(np.mean([m.unsettled for m in measured])))


@dataclass
class _Counter:
    """Counts points for a progress bar; what is expected is a guess, and grows."""

    progress: Progress | None
    expected: int
    done: int = field(default=0)

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, max(self.expected, self.done + 1))
