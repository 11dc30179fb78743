"""Dense memories: the stored patterns are the weights of hidden units, one unit a pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table
from neuromem.errors import SpecError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns, n_words
from neuromem.spec.units import Exponential, Polynomial, Softmax

READ_ROUNDING = 1e-6
"""Softmax reads are exact to this (``kernels.reference.dense``)."""

FIELD_ROUNDING = 1e-13
"""Exponential fields are float64 sums of terms of at most 1, each rounded by 2**-53; the largest come one or two at a time."""


class BipolarHidden(Table):
    """Patterns of Sign units, packed in the blocks of the ``hamming`` kernels."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self._keep(self.arrays.zeros((0, n_words(program.post.size)), np.uint64))

    def _keep(self, words: np.ndarray) -> None:
        self.blocks, self.n_stored = self.kernels.hamming.block(words, threads=self.threads), len(words)

    @property
    def words(self) -> np.ndarray:
        """The stored patterns, packed, (M, n_words)."""
        taken: np.ndarray = self.kernels.hamming.take(self.blocks, self.xp.arange(self.n_stored))
        return taken

    def store(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.store``."""
        self.blocks = self.kernels.hamming.append(self.blocks, self.n_stored, pre.words, threads=self.threads)
        self.n_stored += len(pre)

    def forget(self, pre: Patterns, post: Patterns) -> None:
        """See ``Table.forget``; raise ``SpecError`` when a pattern is not there."""
        words = self.words
        self._keep(words[self.staying((words,), (pre.words,))])

    def support(self, state: Patterns) -> np.ndarray:
        """See ``Table.support``: the softmax read, or the difference of energies that decides each unit.

        What rounding may have made of a tie counts as 0, so that a unit keeps its state, on every engine.
        """
        n, hidden, dense = self.program.post.size, self.program.hidden, self.kernels.dense
        if self.n_stored == 0:
            return self.arrays.zeros((len(state), n), np.float64)  # type: ignore[no-any-return]
        if isinstance(hidden, Softmax):
            values: np.ndarray = dense.read_softmax(self.blocks, self.n_stored, n, state.words, hidden.beta, threads=self.threads).values
            return self.xp.where(abs(values) <= READ_ROUNDING, np.float32(0), values)  # type: ignore[no-any-return]
        if isinstance(hidden, Polynomial):
            fields: np.ndarray = dense.polynomial_fields(
                self.blocks, self.n_stored, n, state.words, hidden.power, hidden.rectified, threads=self.threads
            )
            return fields
        assert isinstance(hidden, Exponential)
        fields = dense.exponential_fields(self.blocks, self.n_stored, n, state.words, 1.0, threads=self.threads)
        return self.xp.where(abs(fields) <= FIELD_ROUNDING, 0.0, fields)  # type: ignore[no-any-return]

    def energy(self, state: Patterns) -> np.ndarray:
        """Return ``-sum_m F(o_m)``, or ``-log(sum_m exp(beta o_m)) / beta`` of softmax units, float64 (B,)."""
        hidden, n = self.program.hidden, self.program.post.size
        if self.n_stored == 0 or len(state) == 0:
            return self.arrays.zeros((len(state),), np.float64)  # type: ignore[no-any-return]
        overlaps: np.ndarray = n - 2.0 * self.kernels.hamming.distances(self.blocks, self.n_stored, state.words, threads=self.threads)
        if isinstance(hidden, Polynomial):
            factor = self.xp.maximum(overlaps, 0) if hidden.rectified else overlaps
            energies = factor.copy()
            for _ in range(hidden.power - 1):  # exact for whole numbers, as a power on a device is not
                energies *= factor
            return -energies.sum(axis=1)
        beta = hidden.beta if isinstance(hidden, Softmax) else 1.0
        top = overlaps.max(axis=1)
        logs: np.ndarray = beta * top + self.xp.log(self.xp.exp(beta * (overlaps - top[:, None])).sum(axis=1))
        return -logs / beta

    def weights(self) -> np.ndarray:
        """Return the weights of the hidden units, int8 (M, n)."""
        bits = self.kernels.bits.unpack(self.words, self.program.post.size)
        return 2 * bits.astype(np.int8) - 1  # type: ignore[no-any-return]

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"words": self.words}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self._keep(arrays["words"])


class RealHidden(Table):
    """Patterns of Linear units, float32 (M, n); the read is that of attention."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        self._parts: list[np.ndarray] = []

    @property
    def patterns(self) -> np.ndarray:
        """The stored patterns (M, n)."""
        if len(self._parts) != 1:
            self._parts = [self.xp.concatenate([self.arrays.zeros((0, self.program.post.size), np.float32), *self._parts])]
        return self._parts[0]

    def store(self, pre: np.ndarray, post: np.ndarray) -> None:
        """See ``Table.store``."""
        self._parts.append(pre)
        self.n_stored += len(pre)

    def forget(self, pre: np.ndarray, post: np.ndarray) -> None:
        """See ``Table.forget``; raise ``SpecError`` when a pattern is not there."""
        self.load({"patterns": self.patterns[self.staying((self.patterns,), (pre,))]})

    def support(self, state: np.ndarray) -> np.ndarray:
        """See ``Table.support``."""
        if self.n_stored == 0:
            return self.xp.zeros_like(state)  # type: ignore[no-any-return]
        assert isinstance(self.program.hidden, Softmax)
        read = self.kernels.dense.read_softmax_real(self.patterns, state, self.program.hidden.beta, threads=self.threads)
        values: np.ndarray = read.values
        if not self.number(self.xp.isfinite(values).all()):
            raise SpecError(f"{self.program.name}, recall: overlaps beyond float32; expected patterns and cues of length about 1.")
        return values

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Return ``|s|^2 / 2 - log(sum_m exp(beta o_m)) / beta``, float64 (B,) (arXiv:2008.02217, without its constants)."""
        if self.n_stored == 0:
            return self._half_square(state)
        assert isinstance(self.program.hidden, Softmax)
        beta = self.program.hidden.beta
        read = self.kernels.dense.read_softmax_real(self.patterns, state, beta, threads=self.threads)
        return self._half_square(state) - read.log_sum / beta  # type: ignore[no-any-return]

    def _half_square(self, state: np.ndarray) -> np.ndarray:
        s = state.astype(np.float64)
        half: np.ndarray = (s * s).sum(axis=1) / 2
        return half

    def weights(self) -> np.ndarray:
        """Return the weights of the hidden units, float32 (M, n)."""
        return self.snapshot(self.patterns)

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {"patterns": self.snapshot(self.patterns)}

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self._parts, self.n_stored = [arrays["patterns"]], len(arrays["patterns"])
