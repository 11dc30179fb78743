"""What a memory without spikes answers to a batch of cues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuromem.kernels.bits import Patterns, Rows
from neuromem.spec.units import Alphabet


@dataclass(frozen=True, eq=False, repr=False)
class Recalled:
    """Answers to B cues; with a single cue of shape (n,), ``answer`` and ``support`` have no batch axis.

    ``steps``: updates until nothing changed. ``converged``: False where the cue still changed at the limit; its answer is
    where it was then. ``overlap`` with the cue, of auto-associative memories: ``sum s_i c_i / n`` of bipolar patterns, active
    units in common over active units of the cue of binary ones, the cosine of real ones; NaN of others. ``margin``: by how much the
    answer is decided (``neuromem.backends.matrix.margin``). ``support``: the inputs of the units, their graded output.
    Where the recall was not ``graded``, margins are NaN and ``support`` is None. All arrays are (B,) or (B, n).
    """

    state: Patterns | np.ndarray
    alphabet: Alphabet
    steps: np.ndarray
    converged: np.ndarray
    overlap: np.ndarray
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

    def __repr__(self) -> str:
        moving = int((~self.converged).sum())
        return (
            f"<Recalled: {self.steps.size} answers of {self.state.n if isinstance(self.state, Patterns) else self.state.shape[1]} units"
            + (f", {moving} not converged>" if moving else ">")
        )
