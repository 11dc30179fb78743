"""One load measured: patterns are stored in a fresh memory and recalled from their cues; how well, on average."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import ThreadpoolController

from neuromem.api import build
from neuromem.capacity.criteria import Criterion
from neuromem.capacity.streams import BLOCK, PatternStream
from neuromem.capacity.task import Task
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.ir.memory_needed import check_fits, growth
from neuromem.kernels.bits import Patterns
from neuromem.runs.batches import Batch, read_batch
from neuromem.runs.matrix_session import MatrixSession
from neuromem.runs.recalled import overlap

MOST_SETS = 64
"""Independent sets of patterns for a small memory, at most."""

SMALL = 2048
"""Matrices of so many units are multiplied by one thread: several spin longer than they work, and ruin each other on busy cores."""

NEARLY = 0.99
"""Real answers count as exact from this cosine with their pattern on."""

SUMS = ("exact", "overlap", "bit_error")
"""What is summed over answers, in this order."""

FAR, FEWEST_PARTS, FEWEST_CUES = 4.5, 8, 512
"""A load is left when its value is this many standard errors off the criterion, after so many parts and cues at least."""


@dataclass(frozen=True)
class Measured:
    """Means over ``n_cues`` recalled patterns of ``n_sets`` sets of ``n_patterns``; ``unsettled``: the fraction of recalls that did not converge.

    ``overlap``: with the stored pattern (``neuromem.runs.recalled.overlap``). ``exact``: no unit is wrong, or a cosine of at least 0.99.
    """

    n_patterns: int
    exact: float
    overlap: float
    bit_error: float
    unsettled: float
    n_cues: int
    n_sets: int


class Laboratory:
    """Measures one task, on one backend, as a function of seed and load.

    Each seed stands for ``n_sets`` independent sets of patterns, nested in the load; about ``n_cues`` patterns are recalled at
    each load: the first of each set, or where order matters, evenly chosen ones.
    """

    def __init__(self, task: Task, criterion: Criterion, backend: str = "cpu", n_sets: int = 1, n_cues: int = 4096) -> None:
        self.task, self.criterion, self.backend, self.n_sets, self.n_cues = task, criterion, backend, n_sets, n_cues
        self.known: dict[tuple[int, int], Measured] = {}
        self._streams: dict[int, PatternStream] = {}
        self._seed = -1
        self._blas = ThreadpoolController()

    def __call__(self, seed: int, n_patterns: int) -> float:
        """Return the criterion's quantity at a load; loads far beyond or below the criterion take fewer cues."""
        found = self.known.get((seed, n_patterns))
        if found is None:
            found = self.known[seed, n_patterns] = self.measure(seed, n_patterns, until_far=True)
        return float(getattr(found, self.criterion.quantity))

    def measure(self, seed: int, n_patterns: int, until_far: bool = False) -> Measured:
        """Store the first ``n_patterns`` of each set in a fresh memory, and recall ``n_cues`` of them in all."""
        if self.task.program.post.size <= SMALL:
            with self._blas.limit(limits=1, user_api="blas"):
                return self._measure(seed, n_patterns, until_far)
        return self._measure(seed, n_patterns, until_far)

    def _measure(self, seed: int, n_patterns: int, until_far: bool) -> Measured:
        sums: list[np.ndarray] = []
        last = 0
        for number, session, pre, post in self.filled(seed, n_patterns):
            last = number + 1
            for part, chosen in enumerate(self.parts(n_patterns)):
                cues = self.stream(seed, number).cues(pre[chosen], part)
                sums.append(self.compare(session, cues, post[chosen]))
                if until_far and self._far(sums):
                    return _means(n_patterns, sums, last)
        return _means(n_patterns, sums, last)

    def coarser(self, n_patterns: int, n_cues: int) -> Laboratory:
        """Return a laboratory that recalls about ``n_cues`` of the same patterns at each load, for curves and basins."""
        return Laboratory(self.task, self.criterion, self.backend, min(self.n_sets, math.ceil(n_cues / n_patterns)), n_cues)

    def filled(self, seed: int, n_patterns: int) -> Iterator[tuple[int, MatrixSession, np.ndarray, np.ndarray]]:
        """Yield, for each set, its number, a memory that holds ``n_patterns``, the cues without errors, and what they should give."""
        task, program, lag = self.task, self.task.program, self.task.program.lag
        for number in range(self.n_sets):
            pre, post = self.stream(seed, number).first(n_patterns + lag)
            session = build(task.memory, self.backend, seed=seed * MOST_SETS + number)
            check_fits(task.memory, growth(program, n_patterns))
            # The session would check again what was drawn to be right, and work out at every load what theory says of it.
            before, after = pre[: len(pre) - lag], post[lag:]
            stored = read_batch(before, program.pre, "capacity")[0]
            same = program.auto_associative
            session.simulation.store(stored, stored if same else read_batch(after, program.post, "capacity")[0])
            yield number, session, before, after

    def stream(self, seed: int, number: int) -> PatternStream:
        """Return the stream of a set; those of one seed are kept."""
        if seed != self._seed:
            self._streams, self._seed = {}, seed
        if number not in self._streams:
            self._streams[number] = PatternStream(self.task, seed, number)
        return self._streams[number]

    def parts(self, n_patterns: int) -> Iterator[np.ndarray]:
        """Yield the numbers of the patterns that are recalled of each set, in parts."""
        count = min(n_patterns, math.ceil(self.n_cues / self.n_sets))
        chosen = np.arange(count) if self.task.exchangeable else np.arange(count) * n_patterns // count
        for first in range(0, count, BLOCK):
            yield chosen[first : first + BLOCK]

    def compare(self, session: MatrixSession, cues: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Recall cues and return sums over them: exact, overlap, bit error, unsettled, and their number."""
        with quiet():
            recalled = session.recall(cues, graded=False)
        target, _ = read_batch(wanted, self.task.program.post, "capacity")
        exact, overlap, wrong = agreement(recalled.state, target, self.task.alphabet)
        return np.array([exact.sum(), overlap.sum(), wrong.sum(), (~recalled.converged).sum(), len(exact)], np.float64)

    def _far(self, sums: list[np.ndarray]) -> bool:
        if len(sums) < FEWEST_PARTS:
            return False
        column = SUMS.index(self.criterion.quantity)
        parts, cues = np.array(sums)[:, column], np.array(sums)[:, -1]
        if cues.sum() < FEWEST_CUES:
            return False
        error = np.std(parts / cues, ddof=1) / math.sqrt(len(parts))
        return bool(abs(parts.sum() / cues.sum() - self.criterion.level) > FAR * error)


def agreement(answer: Batch, target: Batch, alphabet: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each of B answers, whether it is exact, its overlap with the target, and the fraction of wrong units, see ``Measured``."""
    found = overlap(answer, target, alphabet)
    if not isinstance(answer, Patterns) or not isinstance(target, Patterns):
        return found >= NEARLY, found, np.full(len(found), np.nan)
    wrong = np.bitwise_count(answer.words ^ target.words).sum(axis=1, dtype=np.int64)
    return wrong == 0, found, wrong / target.n


class quiet(warnings.catch_warnings):
    """Silences what the laboratory is about: overload, and recall that does not converge, which it reports as a fraction."""

    def __enter__(self) -> None:
        super().__enter__()
        for kind in (OverloadWarning, NotConvergedWarning):
            warnings.simplefilter("ignore", kind)


def _means(n_patterns: int, sums: list[np.ndarray], n_sets: int) -> Measured:
    exact, overlap, wrong, unsettled, cues = (float(x) for x in np.sum(sums, axis=0))
    return Measured(n_patterns, exact / cues, overlap / cues, wrong / cues, unsettled / cues, int(cues), n_sets)
