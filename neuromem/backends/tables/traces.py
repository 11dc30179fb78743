"""Bayesian-Hebbian weights from running averages: older patterns fade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table, numbers, wired
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.spec.hebbian import BayesianHebbian


class TraceTable(Table):
    """``p_i``, ``p_j`` and ``p_ij`` follow the patterns with step ``1 / tau``, from independent units on."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        n_pre, n_post, unit = program.pre.size, program.post.size, program.groups / program.post.size
        assert isinstance(program.rule, BayesianHebbian)
        assert program.rule.tau is not None
        self.alpha = 1.0 / program.rule.tau
        full = self.xp.full
        self.p_i, self.p_j = full(n_pre, unit, np.float32), full(n_post, unit, np.float32)
        self.p_ij = full((n_pre, n_post), unit * unit, np.float32)
        self.matrix: np.ndarray = self.arrays.zeros((n_pre, n_post), np.float32)
        self.bias = self.xp.log(self.p_j)

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        x, y = pre.bits.astype(np.float32), post.bits.astype(np.float32)
        for m in range(len(x)):
            self.kernels.bcpnn.traces_update(
                self.p_i, self.p_j, self.p_ij, self.matrix, self.bias, x[m], y[m], self.alpha, threads=self.threads
            )
        wired(self.matrix, self.program, self.xp)
        self.n_stored += len(x)

    def support(self, state: Any) -> np.ndarray:
        """See ``Table.support``."""
        h: np.ndarray = numbers(state, bipolar=False) @ self.matrix
        h += self.bias
        return h

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        return self.snapshot(self.matrix)

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        names = ("p_i", "p_j", "p_ij", "matrix", "bias")
        return {name: self.snapshot(getattr(self, name)) for name in names} | {"n_stored": self.n_stored}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        for name in ("p_i", "p_j", "p_ij", "matrix", "bias"):
            setattr(self, name, arrays[name])
        self.n_stored = arrays["n_stored"]
