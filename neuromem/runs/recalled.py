"""What a memory without spikes answers to a batch of cues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuromem.ir.matrix_program import UnitTable
from neuromem.kernels.bits import Patterns, Rows
from neuromem.runs.batches import Batch, read_batch
from neuromem.spec.units import Alphabet, PatternSource


@dataclass(frozen=True, eq=False, repr=False)
class Recalled:
    """Answers to B cues; with a single cue of shape (n,), ``answer`` and ``support`` have no batch axis.

    ``steps``: updates until nothing changed. ``converged``: False where the cue still changed at the limit; its answer is
    where it was then. ``cue_overlap`` of the answer with its cue, of auto-associative memories: ``sum s_i c_i / n`` of bipolar patterns, active
    units in common over active units of the cue of binary ones, the cosine of real ones; NaN of others. (Of the answer with what it
    should be: ``overlap_with``.) ``margin``: by how much the answer is decided (``neuromem.backends.matrix.margin``). ``support``: the inputs of the units, their graded output.
    Where the recall was not ``graded``, margins are NaN and ``support`` is None. All arrays are (B,) or (B, n).
    """

    state: Batch
    alphabet: Alphabet
    steps: np.ndarray
    converged: np.ndarray
    cue_overlap: np.ndarray
    margin: np.ndarray
    support: np.ndarray | None
    single: bool = False

    @property
    def answer(self) -> np.ndarray:
        """The patterns: int8 of -1 and 1, booleans, or float32."""
        if not isinstance(self.state, Patterns):
            values = self.state
        else:
            values = self.state.bits if self.alphabet == "binary" else np.where(self.state.bits, np.int8(1), np.int8(-1))
        return values[0] if self.single else values

    @property
    def active(self) -> Rows:
        """The active units of each answer, for binary and bipolar units: less room than ``answer`` where few are active."""
        if not isinstance(self.state, Patterns):
            raise TypeError("Recalled.active: answers of real-valued units have no active units; expected a binary or bipolar memory.")
        return self.state.rows

    def equals(self, target: object) -> np.ndarray:
        """Return, for each cue, whether the answer is ``target`` to the last unit, (B,)."""
        wanted, own = np.asarray(target), self.answer
        if wanted.shape != own.shape:
            raise ValueError(f"Recalled.equals: a target of shape {wanted.shape}; expected {own.shape}.")
        same = (wanted > 0) == (own > 0) if isinstance(self.state, Patterns) else wanted == own
        return np.atleast_1d(same.all(axis=-1))

    def overlap_with(self, patterns: object) -> np.ndarray:
        """Return the overlap of each answer with the pattern that it should be, float64 (B,), see ``overlap``; raise ``SpecError`` or ``ValueError``."""
        units = UnitTable("", "", 0, self._n, PatternSource(self.alphabet))
        target, _ = read_batch(patterns, units, "Recalled.overlap_with")
        if len(target) != len(self.state):
            raise ValueError(f"Recalled.overlap_with: {len(target)} patterns; expected {len(self.state)}, one for each answer.")
        return overlap(self.state, target, self.alphabet)

    @property
    def _n(self) -> int:
        return self.state.n if isinstance(self.state, Patterns) else int(self.state.shape[1])

    def __repr__(self) -> str:
        moving = int((~self.converged).sum())
        return f"<Recalled: {self.steps.size} answers of {self._n} units" + (f", {moving} not converged>" if moving else ">")


def overlap(answer: Batch, target: Batch, alphabet: str) -> np.ndarray:
    """Return the overlap of each of B answers with its target, float64 (B,): 1 where they are equal, 0 by chance.

    Bipolar: ``sum x_i s_i / n``. Binary: ``c / k - f / (n - k)``, with c right and f false active units where k of n are active in
    the target. Real: the cosine, 0 for an answer of zeros.
    """
    if not isinstance(answer, Patterns) or not isinstance(target, Patterns):
        a, t = np.asarray(answer, np.float64), np.asarray(target, np.float64)
        size = np.linalg.norm(a, axis=1) * np.linalg.norm(t, axis=1)
        return np.asarray(np.divide((a * t).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0))
    n = target.n
    if alphabet == "bipolar":
        return np.asarray(1.0 - 2.0 * np.bitwise_count(answer.words ^ target.words).sum(axis=1, dtype=np.int64) / n)
    k = np.bitwise_count(target.words).sum(axis=1, dtype=np.int64)
    right = np.bitwise_count(answer.words & target.words).sum(axis=1, dtype=np.int64)
    false = np.bitwise_count(answer.words).sum(axis=1, dtype=np.int64) - right
    return np.asarray(right / np.maximum(1, k) - false / np.maximum(1, n - k))
