"""A trial of a memory without spikes: random patterns are stored, and each is recalled from a cue with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.backends import Backend, load_backend
from neuromem.backends.matrix import Progress
from neuromem.errors import SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.memory_needed import check_fits, growth
from neuromem.ir.randomness import generator
from neuromem.kernels.bits import Patterns
from neuromem.runs.batches import Batch, read_batch
from neuromem.runs.matrix_session import MatrixSession
from neuromem.runs.predict import choose
from neuromem.runs.recalled import Recalled, overlap
from neuromem.runs.trial_patterns import check_errors, noisy, possible_errors, suitable_patterns, suited
from neuromem.runs.work import room
from neuromem.spec.memory import MemoryModel
from neuromem.spec.trial import Trial

__all__ = ["TrialResult", "noisy", "possible_errors", "run_trial", "suitable_patterns", "suited"]


@dataclass(frozen=True, eq=False, repr=False)
class TrialResult:
    """What a trial came to, for each of B cues.

    ``patterns`` are what should come back, ``keys`` what they were stored under (the same where the memory is auto-associative, the pattern
    before in a sequence), ``cues`` the keys with errors (in a sequence, but for its start: the answer before). ``errors``: wrong units of
    each answer, or of real ones the squared distance; ``cue_errors`` those of the cue. ``exact``: no unit is wrong; of real
    units, no stored pattern is nearer to the answer than its own. All (B,). ``session`` holds what was stored.
    """

    memory: MemoryModel
    trial: Trial
    session: MatrixSession
    patterns: Batch
    keys: Batch
    cues: Batch
    recalled: Recalled
    cue_errors: np.ndarray
    errors: np.ndarray
    exact: np.ndarray

    @property
    def real(self) -> bool:
        """Whether the answers are real numbers."""
        return not isinstance(self.patterns, Patterns)

    @property
    def overlap(self) -> np.ndarray:
        """The overlap of each answer with what should come back, float64 (B,), see ``neuromem.runs.recalled.overlap``."""
        return overlap(self.recalled.state, self.patterns, self.recalled.alphabet)

    def summary(self) -> str:
        """Return the result in one line."""
        moving = int((~self.recalled.converged).sum())
        kind, errors = ("nearest to their own pattern", "mean squared error") if self.real else ("exact", "mean wrong units")
        return (
            f"{int(self.exact.sum())} of {self.exact.size} {kind}; {errors} {self.errors.mean():.3g} (cues {self.cue_errors.mean():.3g})"
            + (f"; {moving} not converged" if moving else "")
            + f"; digest {self.session.program.digest[:12]}; backend {self.session.backend}"
        )

    def __repr__(self) -> str:
        return f"<TrialResult: {self.memory.name}, {self.summary()}>"


def run_trial(
    memory: MemoryModel, trial: Trial, backend: Backend | str = "cpu", seed: int = 0, progress: Progress | None = None, **options: Any
) -> TrialResult:
    """Store the trial's patterns in ``memory``, recall each from a cue with the trial's errors, and return what came back.

    Patterns and errors depend on ``seed`` and the memory's name, not on the backend. A sequence memory stores one sequence and recalls
    it step by step from its start, of which alone the cue has errors. ``options`` are the backend's. Raises ``SpecError`` for a spiking
    memory, for patterns that it cannot have and for errors that they cannot have, and what ``store`` and ``recall`` raise.
    """
    if not isinstance(memory, MemoryModel) or not isinstance(trial, Trial):
        raise SpecError(f"run_trial: {type(memory).__name__}, {type(trial).__name__}; expected a MemoryModel and a Trial.")
    if has_spikes(memory.network):
        raise SpecError(f"{memory.name}: a trial of a spiking memory; expected one without spikes, or a protocol.")
    program = lower_matrix_memory(memory, seed)
    check_errors(program, trial)
    if program.lag and trial.n_patterns < 2:
        raise SpecError(f"{memory.name}: a trial of 1 pattern; expected at least 2, a sequence.")
    check_fits(memory, growth(program, trial.n_patterns) + room(program, trial.n_patterns))
    if backend == "auto":
        backend = choose(memory, trial.n_patterns).backend
    session = MatrixSession(memory, load_backend(backend, **options) if isinstance(backend, str) else backend, seed)
    before, after = suitable_patterns(program, trial.n_patterns, generator(seed, memory.name, "patterns of the trial"), memory.parameters)
    rng = generator(seed, memory.name, "errors of the trial's cues")
    keys, wanted = before, after
    if program.lag:
        session.store(before)
        keys, wanted = before[:-1], after[1:]
        cues, recalled = _steps(session, noisy(program, before[:1], trial, rng), len(keys), progress)
    else:
        session.store(before, None if program.recurrent else after)
        given = noisy(program, before, trial, rng)
        graded = program.storage != "rows"  # such tables are too large to write down the input of every unit
        recalled = session.recall(given, graded=graded, progress=progress)
        cues = read_batch(given, program.pre, "trial")[0]
    known, patterns = read_batch(keys, program.pre, "trial")[0], read_batch(wanted, program.post, "trial")[0]
    errors = distances(recalled.state, patterns)
    exact = errors == 0 if isinstance(patterns, Patterns) else nearest(recalled.state, patterns) == np.arange(len(patterns))
    return TrialResult(memory, trial, session, patterns, known, cues, recalled, distances(cues, known), errors, exact)


def distances(a: Batch, b: Batch) -> np.ndarray:
    """Return in how many units the patterns of two batches differ, int64 (B,), or the squared distance of real ones, float64."""
    if isinstance(a, Patterns) and isinstance(b, Patterns):
        return np.asarray(np.bitwise_count(a.words ^ b.words).sum(axis=1, dtype=np.int64))
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return np.asarray((difference**2).sum(axis=1))


def nearest(answers: Batch, patterns: Batch) -> np.ndarray:
    """Return the number of the pattern that is nearest to each real-valued answer, (B,)."""
    y, p = np.asarray(answers, np.float64), np.asarray(patterns, np.float64)
    return np.asarray(((p**2).sum(axis=1) - 2.0 * (y @ p.T)).argmin(axis=1))


def _steps(session: MatrixSession, start: np.ndarray, length: int, progress: Progress | None) -> tuple[Batch, Recalled]:
    """Recall a sequence from its start, each pattern from the answer before; return cues and answers as batches."""
    cue, n, given, found = start, session.program.post.size, [], []
    for step in range(length):
        given.append(read_batch(cue, session.program.pre, "trial")[0])
        found.append(session.recall(cue))
        cue = found[-1].answer
        if progress is not None:
            progress(step + 1, length)

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(answer, name) for answer in found])

    def states(batches: Sequence[Batch]) -> Patterns:
        return Patterns(n, words=np.concatenate([batch.words for batch in batches if isinstance(batch, Patterns)]))

    return states(given), Recalled(
        states([answer.state for answer in found]),
        found[0].alphabet,
        steps=all_of("steps"),
        converged=all_of("converged"),
        cue_overlap=all_of("cue_overlap"),
        margin=all_of("margin"),
        support=all_of("support"),
    )
