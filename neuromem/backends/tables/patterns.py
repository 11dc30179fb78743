"""Hebbian weights of bipolar units, kept as the patterns that they are sums of: no matrix is ever written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns, n_words


class PatternTable(Table):
    """Row m of ``pre_words`` and ``post_words`` is pair m, packed; ``w_ij = sum_m x_mi y_mj`` of bipolar patterns."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self.pre_words = self.arrays.zeros((0, n_words(program.pre.size)), np.uint64)
        self.post_words = self.arrays.zeros((0, n_words(program.post.size)), np.uint64)
        self._post_by_unit: np.ndarray | None = None

    def _keep(self, pre: np.ndarray, post: np.ndarray) -> None:
        self.pre_words = pre
        self.post_words = pre if self.program.auto_associative else post
        self.n_stored, self._post_by_unit = len(pre), None

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        join = self.xp.concatenate
        self._keep(join([self.pre_words, pre.words]), join([self.post_words, post.words]))

    def forget(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.forget``; raise ``SpecError`` when a pattern is not there."""
        keep = self.staying((self.pre_words, self.post_words), (pre.words, post.words))
        self._keep(self.pre_words[keep], self.post_words[keep])

    @property
    def post_by_unit(self) -> np.ndarray:
        """The post patterns unit by unit."""
        if self._post_by_unit is None:
            self._post_by_unit = self.kernels.hopfield.transpose(self.post_words, self.program.post.size)
        return self._post_by_unit

    def support(self, state: Patterns) -> np.ndarray:
        """See ``Table.support``."""
        kernels, n = self.kernels.hopfield, self.program.pre.size
        if self.n_stored == 0:
            return self.arrays.zeros((len(state), self.program.post.size), np.int64)  # type: ignore[no-any-return]
        overlaps = kernels.overlaps(self.pre_words, state.words, n, threads=self.threads)
        h: np.ndarray = kernels.fields(self.post_by_unit, self.n_stored, overlaps, threads=self.threads)
        if self.program.wiring == "no self":
            h -= self.own * (2 * state.bits.astype(h.dtype) - 1)
        return h

    @property
    def own(self) -> np.ndarray | int:
        """``w_ii = sum_m x_mi y_mi``: the number of patterns, where they are associated with themselves."""
        if self.program.auto_associative:
            return self.n_stored
        differ: np.ndarray = self.kernels.bits.unpack(self.pre_words ^ self.post_words, self.program.pre.size).sum(axis=0)
        return self.n_stored - 2 * differ

    def visit(self, state: Patterns, orders: np.ndarray, max_sweeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (states as bipolar int8, sweeps, converged) of updates one unit after the other."""
        spins = (2 * state.bits.astype(np.int8) - 1).astype(np.int8)
        kernels = self.kernels.hopfield
        if self.n_stored == 0:
            return spins, self.xp.ones(len(state), np.int32), self.xp.ones(len(state), np.bool_)
        states, sweeps, _, converged = kernels.async_recall_patterns(
            self.pre_words, self.post_by_unit, self.n_stored, spins, orders, max_sweeps,
            self_coupling=self.program.wiring == "all", threads=self.threads,
        )  # fmt: skip
        return states, sweeps, converged

    def energy(self, state: Patterns) -> np.ndarray:
        """Return ``-1/2 sum_ij w_ij s_i s_j``, float64 (B,)."""
        if self.n_stored == 0:
            return self.arrays.zeros((len(state),), np.float64)  # type: ignore[no-any-return]
        overlaps = self.kernels.hopfield.overlaps(self.pre_words, state.words, self.program.pre.size, threads=self.threads).astype(
            np.float64
        )
        own = self.n_stored * self.program.pre.size if self.program.wiring == "no self" else 0
        result: np.ndarray = -0.5 * ((overlaps * overlaps).sum(axis=1) - own)
        return result

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        unpack, p = self.kernels.bits.unpack, self.program
        pre, post = (2.0 * unpack(words, units.size) - 1 for words, units in ((self.pre_words, p.pre), (self.post_words, p.post)))
        weights: np.ndarray = (pre.T @ post).astype(np.int32)
        if self.program.wiring == "no self":
            self.xp.fill_diagonal(weights, 0)
        return weights

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"pre_words": self.snapshot(self.pre_words), "post_words": self.snapshot(self.post_words)}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self._keep(arrays["pre_words"], arrays["post_words"])
