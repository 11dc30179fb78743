"""One bit a synapse: clipped Hebbian tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns, n_words, pack
from neuromem.spec.units import KWinners, Threshold


class BitTable(Table):
    """``table[i]`` holds the outputs of pre unit i, 64 to a word."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self.table = self.arrays.zeros((program.pre.size, n_words(program.post.size)), np.uint64)

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        self.kernels.willshaw.store(self.table, pre.rows, post.rows, threads=self.threads)
        self._cut()
        self.n_stored += len(pre)

    def _cut(self) -> None:
        """Clear the bits of pairs that are not connected."""
        if self.program.wiring == "no self":
            unit = self.xp.arange(self.program.pre.size)
            self.table[unit, unit // 64] &= ~(np.uint64(1) << (unit % 64).astype(np.uint64))
        elif self.program.wiring == "other groups":
            n, groups = self.program.post.size, self.program.groups
            keep = self.arrays.put(pack(~np.repeat(np.eye(groups, dtype=np.bool_), n // groups, axis=1)))
            for g in range(groups):
                self.table[g * n // groups : (g + 1) * n // groups] &= keep[g]

    def support(self, state: Patterns) -> np.ndarray:
        """See ``Table.support``."""
        counted: np.ndarray = self.kernels.willshaw.counts(self.table, state.rows, self.program.post.size, threads=self.threads)
        return counted

    def step(self, state: Patterns) -> Any:
        """See ``Table.step``; whole-table winners and thresholds never write counts down."""
        cell, n, kernels = self.program.post.cell, self.program.post.size, self.kernels.willshaw
        if isinstance(cell, Threshold):
            if cell.theta is None:
                return self.as_patterns(words=kernels.recall_all(self.table, state.rows, threads=self.threads))
            thresholds = self.xp.full(len(state), int(np.ceil(cell.theta)), np.int64)
            return self.as_patterns(words=kernels.recall_threshold(self.table, state.rows, n, thresholds, threads=self.threads))
        if isinstance(cell, KWinners) and cell.groups == 1 and cell.ties == "all":
            return self.as_patterns(words=kernels.recall_winners(self.table, state.rows, n, cell.k, threads=self.threads))
        return self.activate(self.support(state), state)

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        bits: np.ndarray = self.kernels.bits.unpack(self.table, self.program.post.size)
        return bits

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"table": self.snapshot(self.table), "n_stored": self.n_stored}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self.table[:], self.n_stored = arrays["table"], arrays["n_stored"]
