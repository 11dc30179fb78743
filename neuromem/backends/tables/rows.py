"""Clipped Hebbian tables that are too large to write down bit by bit: the set bits of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table
from neuromem.errors import UnsupportedError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.kernels.sparse import SparseTable
from neuromem.spec.units import KWinners, Threshold


class RowTable(Table):
    """The ``sparse_rows`` table of the kernels; memory grows with what is stored."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        cell = program.post.cell
        if program.wiring == "other groups" or not (
            (isinstance(cell, KWinners) and cell.groups == 1 and cell.ties == "all") or (isinstance(cell, Threshold) and cell.theta is None)
        ):
            raise UnsupportedError(
                f"{program.name}: {cell} in a table of {program.pre.size} x {program.post.size} synapses, which is stored by rows; "
                "expected KWinners without groups and with all ties, or Threshold of all active units."
            )
        self.table = SparseTable(self.arrays.zeros((program.pre.size + 1,), np.int64), self.arrays.zeros((0,), np.uint8), program.post.size)

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        kernels, p = self.kernels.sparse_rows, self.program
        more = kernels.build(pre.rows, post.rows, p.pre.size, p.post.size, self_synapses=p.wiring == "all", threads=self.threads)
        self.table = more if self.n_stored == 0 else kernels.merge(self.table, more, threads=self.threads)
        self.n_stored += len(pre)

    def step(self, state: Patterns) -> Patterns:
        """See ``Table.step``."""
        cell, kernels = self.program.post.cell, self.kernels.sparse_rows
        if isinstance(cell, KWinners):
            return self.as_patterns(rows=kernels.recall_winners(self.table, state.rows, cell.k, threads=self.threads))
        return self.as_patterns(rows=kernels.recall_all(self.table, state.rows, threads=self.threads))

    def support(self, state: Patterns) -> np.ndarray:
        """See ``Table.support``; refused, for it would be as long as the population for each cue."""
        raise UnsupportedError(
            f"{self.program.name}: inputs of all {self.program.post.size} units for each cue; recall with graded=False in a memory of this size."
        )

    def weights(self) -> np.ndarray:
        """See ``Table.weights``; refused, for it is the table that is too large to write down."""
        raise UnsupportedError(
            f"{self.program.name}: a matrix of {self.program.pre.size} x {self.program.post.size} weights; expected a smaller memory."
        )

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``; tables of rows are replaced, never changed, so that they need no copy."""
        return {"table": self.table, "n_stored": self.n_stored}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self.table, self.n_stored = arrays["table"], arrays["n_stored"]
