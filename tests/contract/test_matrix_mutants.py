"""The tests of matrix memories are not vacuous: for each wrong table, the test named beside it notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import test_matrix_contract as contract
import test_models_bcpnn as bcpnn
import test_models_dense as dense
import test_models_hetero as hetero
import test_models_hopfield as hopfield
import test_models_sequence as sequence
import test_models_willshaw as willshaw
from matrix_variants import VARIANTS, Variant

from neuromem.backends import matrix
from neuromem.backends.tables import make_table
from neuromem.backends.tables.base import Kernels, Table, wired
from neuromem.backends.tables.bits import BitTable
from neuromem.backends.tables.counts import CountTable
from neuromem.backends.tables.hidden import BipolarHidden
from neuromem.backends.tables.matrix import ProjectionMatrix, StorkeyMatrix
from neuromem.backends.tables.outer import OuterTable
from neuromem.backends.tables.patterns import PatternTable
from neuromem.backends.tables.traces import TraceTable
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels import activation
from neuromem.kernels.bits import Patterns


class KeepsSelfCoupling(PatternTable):
    """Units feel themselves."""

    def support(self, state: Patterns) -> np.ndarray:
        overlaps = self.kernels.hopfield.overlaps(self.pre_words, state.words, self.program.pre.size)
        h: np.ndarray = self.kernels.hopfield.fields(self.post_by_unit, self.n_stored, overlaps)
        return h


class TakesOffOneForEachPattern(PatternTable):
    """The self-coupling of a sequence is taken for that of patterns with themselves."""

    own = property(lambda self: self.n_stored)  # type: ignore[assignment]


class Backwards(PatternTable):
    """Weights from post to pre."""

    def store(self, pre: Patterns, post: Patterns) -> None:
        super().store(post, pre)


class BitsBackwards(BitTable):
    """Weights from post to pre."""

    def store(self, pre: Patterns, post: Patterns) -> None:
        super().store(post, pre)


class OneOfEquals(BitTable):
    """The first of tied winners wins alone."""

    def step(self, state: Patterns) -> Patterns:
        cell, n = self.program.post.cell, self.program.post.size
        return Patterns(n, bits=activation.winners(self.support(state), getattr(cell, "k", 1), 1, "first"))


class OneUnitMayBeMissing(BitTable):
    """A threshold one too low."""

    def step(self, state: Patterns) -> Patterns:
        return Patterns(self.program.post.size, bits=self.support(state) >= np.maximum(state.bits.sum(axis=1) - 1, 1)[:, None])


class WithinHypercolumns(CountTable):
    """Units of one hypercolumn are connected."""

    def learned(self) -> tuple[np.ndarray, np.ndarray]:
        return self._from_counts()


class WithoutBias(CountTable):
    """All units are equally likely."""

    def learned(self) -> tuple[np.ndarray, np.ndarray]:
        weights, bias = super().learned()
        return weights, np.zeros_like(bias)


class CountsOnly(CountTable):
    """Covariance without the product of the means."""

    def _from_counts(self) -> tuple[np.ndarray, np.ndarray]:
        return self.both.astype(np.float32), np.zeros(self.program.post.size, np.float32)


class ForgetsHalf(CountTable):
    """Only the coactivity is taken out."""

    def forget(self, pre: Patterns, post: Patterns) -> None:
        before = self.pre_active.copy()
        super().forget(pre, post)
        self.pre_active = before


class AllAtOnce(TraceTable):
    """A batch is one step towards its mean."""

    def store(self, pre: Patterns, post: Patterns) -> None:
        if len(pre) == 1:
            super().store(pre, post)
            return
        x = pre.bits.astype(np.float32).mean(axis=0)
        self.kernels.bcpnn.traces_update(self.p_i, self.p_j, self.p_ij, self.matrix, self.bias, x, x, self.alpha)
        wired(self.matrix, self.program, np)
        self.n_stored += len(pre)


class HebbForStorkey(StorkeyMatrix):
    """What is stored already is not looked at."""

    def store(self, pre: Patterns, post: Patterns) -> None:
        x = 2.0 * pre.bits - 1
        self._matrix += (x.T @ x / self.program.pre.size).astype(np.float32)
        np.fill_diagonal(self._matrix, 0)
        self.n_stored += len(pre)


class HebbForProjection(ProjectionMatrix):
    """Correlations are not taken out."""

    matrix = property(lambda self: self.correlations())  # type: ignore[assignment]

    def correlations(self) -> np.ndarray:
        x = 2.0 * Patterns(self.program.pre.size, words=self._words).bits - 1
        return wired((x.T @ x / self.program.pre.size).astype(np.float32), self.program, np)


class AllAtOneTime(PatternTable):
    """Asynchronous recall that updates all units together."""

    def visit(self, state: Patterns, orders: np.ndarray, max_sweeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for _ in range(max_sweeps):
            state = self.activate(self.support(state), state)  # type: ignore[assignment]
        return 2 * state.bits.astype(np.int8) - 1, np.ones(len(state), np.int32), np.ones(len(state), np.bool_)


class KeepsAll(BipolarHidden):
    """Forgets nothing."""

    def forget(self, pre: Patterns, post: Patterns) -> None:
        self.n_stored -= 0


class CubesForAll(BipolarHidden):
    """Any interaction is the cubic one."""

    def support(self, state: Patterns) -> np.ndarray:
        h: np.ndarray = self.kernels.dense.polynomial_fields(self.blocks, self.n_stored, self.program.post.size, state.words, 3, False)
        return h


class ReadsBackwards(OuterTable):
    """y = W^T k."""

    def support(self, state: np.ndarray) -> np.ndarray:
        return state @ self.matrix


class AddsUp(OuterTable):
    """Every rule is plain Hebb."""

    def store(self, pre: np.ndarray, post: np.ndarray) -> None:
        self.kernels.outer.decay_hebb_batch(self.matrix, post, pre, 1.0, self.write.rate)
        self.n_stored += len(pre)


class SharesItsArrays(CountTable):
    """A checkpoint that changes with the memory."""

    def saved(self) -> dict[str, Any]:
        return super().saved() | {"both": self.both, "pre_active": self.pre_active}

    def load(self, arrays: Any) -> None:
        self.both, self.pre_active, self.post_active = (arrays[name] for name in ("both", "pre_active", "post_active"))
        self.n_stored, self._learned = arrays["n_stored"], None


def of(*words: str) -> Variant:
    return next(v for v in VARIANTS if all(word in str(v) for word in words))


NOTICED: dict[type[Table], Callable[[], None]] = {
    KeepsSelfCoupling: lambda: hopfield.test_hebb_by_hand("reference"),
    TakesOffOneForEachPattern: lambda: contract.test_inputs_are_sums_of_weights(of("hebbian", "lag=1"), "reference"),
    Backwards: lambda: sequence.test_hebb_by_hand("reference"),
    BitsBackwards: lambda: sequence.test_clipped_by_hand("reference"),
    OneOfEquals: lambda: willshaw.test_by_hand("reference"),
    OneUnitMayBeMissing: lambda: willshaw.test_by_hand("reference"),
    WithinHypercolumns: lambda: bcpnn.test_weights_by_hand("reference"),
    WithoutBias: lambda: bcpnn.test_weights_by_hand("reference"),
    CountsOnly: lambda: hopfield.test_covariance_by_hand("reference"),
    ForgetsHalf: lambda: contract.test_what_is_forgotten_was_never_stored(of("covariance", "hypercolumns"), "reference"),
    AllAtOnce: lambda: contract.test_a_batch_is_its_patterns_one_after_the_other(of("bcpnn", "tau=10.0"), "reference"),
    HebbForStorkey: lambda: hopfield.test_storkey_by_hand("reference"),
    HebbForProjection: lambda: hopfield.test_pseudo_inverse_by_hand_and_as_a_projection("reference"),
    AllAtOneTime: lambda: hopfield.test_energy_never_rises_in_asynchronous_recall("reference", "hebb"),
    KeepsAll: lambda: contract.test_what_is_forgotten_was_never_stored(of("dense", "power=3"), "reference"),
    CubesForAll: lambda: dense.test_softmax_by_hand("reference"),
    ReadsBackwards: lambda: hetero.test_rules_by_hand("reference", "delta"),
    AddsUp: lambda: hetero.test_rules_by_hand("reference", "delta"),
    SharesItsArrays: lambda: contract.test_restored_to_the_last_bit(of("bcpnn", "tau=None"), "reference"),
}


@pytest.mark.parametrize("wrong", NOTICED, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning", "ignore::neuromem.errors.OverloadWarning")
def test_a_wrong_table_is_noticed(wrong: type[Table], monkeypatch: pytest.MonkeyPatch) -> None:
    check = NOTICED[wrong]
    check()

    def make(program: MatrixProgram, kernels: Kernels) -> Table:
        right = make_table(program, kernels)
        return wrong(program, kernels) if isinstance(right, wrong.__mro__[1]) else right

    monkeypatch.setattr(matrix, "make_table", make)
    with pytest.raises((AssertionError, pytest.fail.Exception)):  # the latter where a warning did not come
        check()
