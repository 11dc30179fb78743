"""A trial of a memory without spikes: random patterns are stored, and each is recalled from a cue with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.backends import Backend, load_backend
from neuromem.backends.matrix import Progress
from neuromem.errors import SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.randomness import generator
from neuromem.kernels.bits import Patterns
from neuromem.runs.batches import read_batch
from neuromem.runs.matrix_session import Batch, MatrixSession
from neuromem.runs.recalled import Recalled
from neuromem.runs.trial_patterns import check_errors, noisy, possible_errors, suitable_patterns, suited
from neuromem.spec.memory import MemoryModel
from neuromem.spec.trial import Trial

__all__ = ["TrialResult", "noisy", "possible_errors", "run_trial", "suitable_patterns", "suited"]


@dataclass(frozen=True, eq=False, repr=False)
class TrialResult:
    """What a trial came to, for each of B cues.

    ``patterns`` are what should come back, ``cues`` what was given (of a sequence: its start, then each answer). ``errors``: wrong units of
    each answer, or of real ones the squared distance; ``cue_errors`` those of the cue, NaN where cue and answer are of different
    units. ``exact``: no unit is wrong; of real units, no stored pattern is nearer to the answer than its own. All (B,).
    ``session`` holds what was stored.
    """

    memory: MemoryModel
    trial: Trial
    session: MatrixSession
    patterns: Batch
    cues: Batch
    recalled: Recalled
    cue_errors: np.ndarray
    errors: np.ndarray
    exact: np.ndarray

    @property
    def real(self) -> bool:
        """Whether the answers are real numbers."""
        return not isinstance(self.patterns, Patterns)

    def summary(self) -> str:
        """Return the result in one line."""
        moving = int((~self.recalled.converged).sum())
        kind, errors = ("nearest to their own pattern", "mean squared error") if self.real else ("exact", "mean wrong units")
        of_cues = "" if np.isnan(self.cue_errors).all() else f" (cues {np.nanmean(self.cue_errors):.3g})"
        return (
            f"{int(self.exact.sum())} of {self.exact.size} {kind}; {errors} {self.errors.mean():.3g}{of_cues}"
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
    session = MatrixSession(memory, load_backend(backend, **options) if isinstance(backend, str) else backend, seed)
    before, after = suitable_patterns(
        program, trial.n_patterns, generator(seed, memory.name, "patterns of the trial"), memory.parameters
    )
    rng = generator(seed, memory.name, "errors of the trial's cues")
    graded = program.storage != "rows"  # such tables are too large to write down the input of every unit
    if program.lag:
        session.store(before)
        given, recalled = _steps(session, noisy(program, before[:1], trial, rng), len(before) - 1, progress)
        wanted = read_batch(after[1:], program.post, "trial")[0]
    else:
        session.store(before, None if program.recurrent else after)
        noised = noisy(program, before, trial, rng)
        recalled = session.recall(noised, graded=graded, progress=progress)
        given, wanted = (read_batch(x, units, "trial")[0] for x, units in ((noised, program.pre), (after, program.post)))
    errors = distances(recalled.state, wanted)
    exact = errors == 0 if isinstance(wanted, Patterns) else nearest(recalled.state, wanted) == np.arange(len(wanted))
    own = wanted if program.recurrent else read_batch(before, program.pre, "trial")[0]
    cue_errors = np.full(len(errors), np.nan) if program.lag else distances(given, own)
    return TrialResult(memory, trial, session, wanted, given, recalled, cue_errors, errors, exact)


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

    def joined(states: list[Any]) -> Patterns:
        return Patterns(n, words=np.concatenate([s.words for s in states]))

    supports = [r.support for r in found if r.support is not None]
    arrays = (np.concatenate([getattr(r, name) for r in found]) for name in ("steps", "converged", "overlap", "margin"))
    return joined(given), Recalled(joined([r.state for r in found]), found[0].alphabet, *arrays, np.concatenate(supports))
