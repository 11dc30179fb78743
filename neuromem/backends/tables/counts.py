"""Counts of coactivity, of which the weights are functions: Hebbian, covariance and Bayesian rules of binary units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table, numbers, wired
from neuromem.errors import SpecError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.spec.hebbian import BayesianHebbian, Covariance

ROWS = 256
"""Rows of weights that are worked out at once."""

BLOCK = 2**16
"""Patterns counted at once: sums of ones in float32 are exact below 2**24."""


class CountTable(Table):
    """``both[i, j]`` patterns in which i and j were active together, ``pre_active[i]``, ``post_active[j]``; int32."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self.both = self.arrays.zeros((program.pre.size, program.post.size), np.int32)
        self.pre_active, self.post_active = (self.arrays.zeros((n,), np.int64) for n in (program.pre.size, program.post.size))
        self._learned: tuple[np.ndarray, np.ndarray] | None = None

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        self._count(pre, post, 1)

    def forget(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.forget``; raise ``SpecError`` for patterns that cannot have been stored."""
        self._count(pre, post, -1)
        if self.n_stored < 0 or any(
            self.number(x.min()) < 0 or self.number(x.max()) > self.n_stored for x in (self.both, self.pre_active, self.post_active)
        ):
            self._count(pre, post, 1)  # counts are whole: this is what was
            raise SpecError(f"{self.program.name}: forget; these patterns were not stored: expected patterns that were.")

    def _count(self, pre: Patterns, post: Patterns, sign: int) -> None:
        hopfield, n_pre = self.kernels.hopfield, self.program.pre.size
        for first in range(0, len(pre), BLOCK):
            x, y = (p.part(first, first + BLOCK) for p in (pre, post))
            if post is pre:
                both = hopfield.coactivity_matrix(hopfield.transpose(x.words, n_pre), len(x), threads=self.threads)
            else:
                both = (x.bits.astype(np.float32).T @ y.bits.astype(np.float32)).astype(np.int32)
            if sign > 0:
                self.both += both
            else:
                self.both -= both
            self.pre_active += sign * x.bits.sum(axis=0)
            self.post_active += sign * y.bits.sum(axis=0)
        self.n_stored += sign * len(pre)
        self._learned = None

    def learned(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (n_pre, n_post) and bias (n_post,), float32."""
        if self._learned is None:
            weights, bias = self._from_counts()
            self._learned = wired(weights, self.program, self.xp), bias
        return self._learned

    def _from_counts(self) -> tuple[np.ndarray, np.ndarray]:
        rule, m = self.program.rule, self.n_stored
        no_bias = self.arrays.zeros((self.program.post.size,), np.float32)
        if isinstance(rule, Covariance):
            a = rule.activity
            weights = self.xp.empty(self.both.shape, np.float32)
            for i in range(0, len(weights), ROWS):  # float64 by some rows: no room for a matrix of them
                weights[i : i + ROWS] = self.both[i : i + ROWS] - a * (self.pre_active[i : i + ROWS, None] + self.post_active) + m * a * a
            return weights, no_bias
        if isinstance(rule, BayesianHebbian):
            unit = self.program.groups / self.program.post.size  # 1 / units of a hypercolumn
            p_pre = (self.pre_active + rule.prior * unit) / (m + rule.prior)
            p_post = (self.post_active + rule.prior * unit) / (m + rule.prior)
            weights = self.both.astype(np.float32)
            weights /= p_pre.astype(np.float32)[:, None]
            weights /= p_post.astype(np.float32)[None, :]
            weights += np.float32(rule.prior)
            weights /= np.float32(m + rule.prior)
            return self.xp.log(weights, out=weights), self.xp.log(p_post).astype(np.float32)
        return self.both.astype(np.float32), no_bias

    def support(self, state: Any) -> np.ndarray:
        """See ``Table.support``."""
        weights, bias = self.learned()
        h: np.ndarray = numbers(state, bipolar=False) @ weights
        h += bias
        return h

    def energy(self, state: Patterns) -> np.ndarray:
        """Return ``-1/2 sum_ij w_ij s_i s_j - sum_j bias_j s_j``, float64 (B,)."""
        s = numbers(state, bipolar=False).astype(np.float64)
        weights, bias = self.learned()
        h = self.arrays.zeros(s.shape, np.float64)
        for i in range(0, len(weights), ROWS):  # no room for a matrix in float64
            h += s[:, i : i + ROWS] @ weights[i : i + ROWS].astype(np.float64)
        result: np.ndarray = -0.5 * (h * s).sum(axis=1) - s @ bias.astype(np.float64)
        return result

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        return self.snapshot(self.learned()[0])

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        snapshot = self.snapshot
        counts = {name: snapshot(getattr(self, name)) for name in ("both", "pre_active", "post_active")}
        return counts | {"n_stored": self.n_stored}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self.both, self.pre_active, self.post_active = (arrays[name] for name in ("both", "pre_active", "post_active"))
        self.n_stored, self._learned = arrays["n_stored"], None
