"""Float32 weights of bipolar units: Storkey's rule and the pseudo-inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table, numbers, wired
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns, n_words


class BipolarMatrix(Table):
    """A symmetric ``matrix`` (n, n) from a unit to a unit."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self._matrix: np.ndarray = self.arrays.zeros((program.pre.size, program.post.size), np.float32)

    @property
    def matrix(self) -> np.ndarray:
        """The weights, not a copy."""
        return self._matrix

    def support(self, state: Patterns) -> np.ndarray:
        """See ``Table.support``."""
        h: np.ndarray = numbers(state, bipolar=True) @ self.matrix
        return h

    def visit(self, state: Patterns, orders: np.ndarray, max_sweeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (states as bipolar int8, sweeps, converged) of updates one unit after the other."""
        spins = (2 * state.bits.astype(np.int8) - 1).astype(np.int8)
        states, sweeps, _, converged = self.kernels.hopfield.async_recall(self.matrix, spins, orders, max_sweeps, threads=self.threads)
        return states, sweeps, converged

    def energy(self, state: Patterns) -> np.ndarray:
        """Return ``-1/2 sum_ij w_ij s_i s_j``, float64 (B,)."""
        s = numbers(state, bipolar=True)
        result: np.ndarray = -0.5 * ((s @ self.matrix).astype(np.float64) * s).sum(axis=1)
        return result

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        return self.snapshot(self.matrix)

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"matrix": self.snapshot(self._matrix), "n_stored": self.n_stored}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self._matrix, self.n_stored = arrays["matrix"], arrays["n_stored"]


class StorkeyMatrix(BipolarMatrix):
    """Storkey's rule, pattern by pattern."""

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        self.kernels.hopfield.storkey_store(self._matrix, pre.bits, threads=self.threads)
        self.n_stored += len(pre)


class ProjectionMatrix(BipolarMatrix):
    """The pseudo-inverse rule; the matrix is made anew from all patterns when it is next needed."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self._words = self.arrays.zeros((0, n_words(program.pre.size)), np.uint64)
        self._stale = False

    def _keep(self, words: np.ndarray) -> None:
        self._words, self.n_stored, self._stale = words, len(words), True

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        self._keep(self.xp.concatenate([self._words, pre.words]))

    def forget(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.forget``; raise ``SpecError`` when a pattern is not there."""
        self._keep(self._words[self.staying((self._words,), (pre.words,))])

    @property
    def matrix(self) -> np.ndarray:
        """See ``BipolarMatrix.matrix``."""
        if self._stale:
            patterns = self.kernels.bits.unpack(self._words, self.program.pre.size)
            self._matrix = wired(self.kernels.hopfield.pinv_matrix(patterns), self.program, self.xp)
            self._stale = False
        return self._matrix

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"words": self.snapshot(self._words)}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self._keep(arrays["words"])
