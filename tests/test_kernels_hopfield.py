"""Hopfield kernels: small cases by hand, the physics they must obey, and the compiled ones against the definitions."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import n_words, pack
from neuromem.kernels.cpu import hopfield as cpu
from neuromem.kernels.cpu import threads as threads_of_kernels
from neuromem.kernels.reference import hopfield as reference

cupy = twin("hopfield")
ALL = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
COMPILED = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])
UNIT = 2.0**-24  # of rounding to float32

SIZES = st.tuples(st.integers(1, 150), st.integers(0, 140), st.integers(0, 4), st.integers(0, 2**32), st.sampled_from([1, 2, 3]))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share even the smallest work among threads."""
    monkeypatch.setattr(threads_of_kernels, "WORTH", 1)


class Case:
    """Random patterns, packed both ways, and random cues."""

    def __init__(self, n: int, m: int, b: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.m = n, m
        self.bits, cues = rng.random((m, n)) < 0.5, rng.random((b, n)) < 0.5
        self.x, self.cues = pack(self.bits), pack(cues)
        self.xt = reference.transpose(self.x, n)
        self.states = np.where(cues, 1, -1).astype(np.int8)
        self.orders = np.array([rng.permutation(n) for _ in range(b)], np.int32).reshape(b, n)


def bipolar(*rows: str) -> np.ndarray:
    """Return patterns written with + and - as booleans."""
    return np.array([[mark == "+" for mark in row] for row in rows])


def same(a: reference.Settled, b: reference.Settled) -> None:
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert x.dtype == y.dtype, name
        assert np.array_equal(x, y), name


# By hand


@ALL
def test_two_patterns_of_three_units(kernels: ModuleType) -> None:
    bits = bipolar("++-", "+--")
    x = pack(bits)
    xt = kernels.transpose(x, 3)
    assert xt.tolist() == [[0b11, 0b01, 0b00]]  # unit 0 is 1 in both patterns, unit 1 in the first, unit 2 in none
    assert kernels.hebb_matrix(xt, 2).tolist() == [[0, 0, -2], [0, 0, 0], [-2, 0, 0]]
    assert kernels.coactivity_matrix(xt, 2).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    state = pack(bipolar("+++"))
    overlaps = kernels.overlaps(x, state, 3)
    assert overlaps.tolist() == [[1, -1]]
    assert kernels.fields(xt, 2, overlaps).tolist() == [[0, 2, 0]]  # (1, 1, -1) - (1, -1, -1)
    assert kernels.energy_patterns(x, state, 3).tolist() == [2.0]  # -1/2 (1 + 1 - 2 * 3)
    assert kernels.energy_patterns(x, state, 3, self_coupling=True).tolist() == [-1.0]
    assert kernels.energy(kernels.hebb_matrix(xt, 2), np.ones((1, 3), np.int8)).tolist() == [2.0]


@ALL
def test_storkey_by_hand(kernels: ModuleType) -> None:
    """After (+ + -): w_01 = 1/3, w_02 = w_12 = -1/3. Then, for (+ - -), h_01 = w_02 y_2 = 1/3, and likewise h_10 = 1/3, h_02 = -1/3,
    h_20 = 1/3, h_12 = 1/3, h_21 = -1/3; so w_01 += (-1 - 1/3 + 1/3) / 3, w_02 += (-1 - 1/3 - 1/3) / 3, w_12 += (1 - 1/3 + 1/3) / 3."""
    w = np.zeros((3, 3), np.float32)
    kernels.storkey_store(w, bipolar("++-", "+--"))
    by_hand = np.array([[0, 0, -8 / 9], [0, 0, 0], [-8 / 9, 0, 0]])
    assert np.abs(w - by_hand).max() <= 16 * UNIT  # no number on the way is above 2, in fewer than eight operations


@ALL
def test_projection_of_one_pattern_repeated(kernels: ModuleType) -> None:
    x = bipolar("++-+")
    s = np.where(x[0], 1.0, -1.0)
    w = kernels.pinv_matrix(np.concatenate([x, x, ~x]))
    assert w.dtype == np.float32
    assert np.abs(w - np.outer(s, s) / 4).max() <= 8 * UNIT
    assert not kernels.pinv_matrix(np.zeros((0, 4), np.bool_)).any()


@ALL
def test_a_tie_keeps_the_state_and_a_bias_breaks_it(kernels: ModuleType) -> None:
    w, order = np.zeros((3, 3), np.int16), np.arange(3, dtype=np.int32)[np.newaxis]
    state = np.array([[1, -1, 1]], np.int8)
    settled = kernels.async_recall(w, state, order, 5)
    assert settled.states.tolist() == [[1, -1, 1]]
    assert (settled.sweeps.tolist(), settled.flips.tolist(), settled.converged.tolist()) == ([1], [0], [True])
    settled = kernels.async_recall(w, state, order, 5, bias=np.array([-0.5, 0.0, 0.25]))
    assert settled.states.tolist() == [[-1, -1, 1]]
    assert (settled.sweeps.tolist(), settled.flips.tolist(), settled.converged.tolist()) == ([2], [1], [True])
    settled = kernels.async_recall(w, state, order, 1, bias=np.array([-0.5, 0.0, 0.25]))
    assert (settled.states.tolist(), settled.converged.tolist()) == ([[-1, -1, 1]], [False])  # no sweep was quiet
    settled = kernels.async_recall(w, state, order, 0)
    assert (settled.sweeps.tolist(), settled.converged.tolist()) == ([0], [False])
    assert state.tolist() == [[1, -1, 1]]  # cues stay as they were


@ALL
def test_weights_that_do_not_fit_are_refused(kernels: ModuleType) -> None:
    xt = np.zeros((n_words(40_000), 2), np.uint64)
    with pytest.raises(ValueError, match=r"^hebb_matrix: weights up to 40000; int16 holds up to 32767\.$"):
        kernels.hebb_matrix(xt, 40_000)
    assert kernels.hebb_matrix(xt, 40_000, np.int32).tolist() == [[0, 40_000], [40_000, 0]]
    with pytest.raises(ValueError, match=r"^hebb_matrix: dtype = float32; expected int16 or int32\.$"):
        kernels.hebb_matrix(xt, 2, np.float32)


# Physics


@ALL
def test_below_capacity_stored_patterns_are_fixed_points(kernels: ModuleType) -> None:
    """N = 400, M = 10: the noise of a unit has a deviation of sqrt(N M) = 63 against a signal of N - M; 6 deviations, for 4,000 units."""
    case = Case(400, 10, 10, seed=5)
    stored = np.where(case.bits, 1, -1).astype(np.int8)
    h = kernels.fields(case.xt, 10, kernels.overlaps(case.x, case.x, 400)) - 10 * stored
    assert (h * stored > 0).all()
    settled = kernels.async_recall_patterns(case.x, case.xt, 10, stored, case.orders, 3)
    assert np.array_equal(settled.states, stored)
    assert settled.flips.tolist() == [0] * 10
    assert settled.converged.all()
    storkey = np.zeros((400, 400), np.float32)
    kernels.storkey_store(storkey, case.bits)
    assert not kernels.async_recall(storkey, stored, case.orders, 3).flips.any()


@ALL
@pytest.mark.parametrize("packed", [True, False], ids=["patterns", "matrix"])
def test_energy_never_rises(kernels: ModuleType, packed: bool) -> None:
    """Unit by unit, far above capacity; with whole weights every flip lowers E by at least 2."""
    case = Case(70, 40, 1, seed=6)
    w = kernels.hebb_matrix(case.xt, case.m)
    state, flips = case.states, 0
    for unit in np.tile(case.orders[0], 2 if kernels is cupy else 6):
        order = np.array([[unit]], np.int32)
        if packed:
            settled = kernels.async_recall_patterns(case.x, case.xt, case.m, state, order, 1)
            before, after = (kernels.energy_patterns(case.x, pack(s > 0), case.n)[0] for s in (state, settled.states))
        else:
            settled = kernels.async_recall(w, state, order, 1)
            before, after = (kernels.energy(w, s)[0] for s in (state, settled.states))
        assert after <= before - 2 * settled.flips[0]
        assert (after == before) == (settled.flips[0] == 0)
        state, flips = settled.states, flips + int(settled.flips[0])
    assert flips > 20


@ALL
@settings(max_examples=15, deadline=None)
@given(st.integers(2, 80), st.integers(1, 20), st.integers(0, 2**32))
def test_permuting_units_commutes_with_recall(kernels: ModuleType, n: int, m: int, seed: int) -> None:
    case = Case(n, m, 2, seed)
    to = np.random.default_rng(seed + 1).permutation(n)  # unit i of the permuted network is unit to[i]
    now = np.argsort(to).astype(np.int32)
    settled = kernels.async_recall_patterns(case.x, case.xt, m, case.states, case.orders, 20)
    x = pack(case.bits[:, to])
    permuted = kernels.async_recall_patterns(x, kernels.transpose(x, n), m, case.states[:, to], now[case.orders], 20)
    same(settled._replace(states=settled.states[:, to]), permuted)


@pytest.mark.parametrize(("m", "n"), [(20, 200), (150, 100)])
def test_the_projection_keeps_its_patterns(m: int, n: int) -> None:
    """W = A^T A with r orthonormal rows a, each rounded to float32, sums of r products: an error of at most (r + 2) u |A|^T |A|, and
    ``sum_j (|A|^T |A|)_ij <= |a_i| sum_j |a_j| <= sqrt(r n)``. The singular vectors err by less than u, being float64."""
    bits = Case(n, m, 0, seed=7).bits
    bits[-1] = ~bits[0]  # dependent
    x = np.where(bits, 1.0, -1.0)
    w = reference.pinv_matrix(bits)
    rank = min(m - 1, n)
    assert np.abs(w @ x.T - x.T).max() <= 1.01 * (rank + 3) * UNIT * np.sqrt(rank * n)
    assert np.abs(w - w.T).max() <= 2.02 * rank * UNIT  # |a_i| <= 1
    assert np.trace(w) == pytest.approx(rank, abs=(rank + 3) * UNIT * n)


# Compiled against the definitions


@COMPILED
@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_integer_kernels_equal_the_definitions(kernels: ModuleType, size: tuple[int, int, int, int, int]) -> None:
    *numbers, threads = size
    case = Case(*numbers)
    n, m = case.n, case.m
    assert np.array_equal(kernels.transpose(case.x, n, threads), case.xt)
    for dtype in (np.int16, np.int32):
        w = kernels.hebb_matrix(case.xt, m, dtype, threads)
        assert w.dtype == dtype
        assert np.array_equal(w, reference.hebb_matrix(case.xt, m, dtype))
    both = kernels.coactivity_matrix(case.xt, m, threads)
    assert both.dtype == np.int32
    assert np.array_equal(both, reference.coactivity_matrix(case.xt, m))
    overlaps = kernels.overlaps(case.x, case.cues, n, threads)
    assert overlaps.dtype == np.int32
    assert np.array_equal(overlaps, reference.overlaps(case.x, case.cues, n))
    h = kernels.fields(case.xt, m, overlaps, threads)
    assert h.dtype == np.int64
    assert np.array_equal(h, reference.fields(case.xt, m, overlaps))
    assert np.array_equal(kernels.energy(w, case.states, threads), reference.energy(w, case.states))
    for coupled in (False, True):
        assert np.array_equal(
            kernels.energy_patterns(case.x, case.cues, n, coupled, threads), reference.energy_patterns(case.x, case.cues, n, coupled)
        )


@COMPILED
@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 12), st.booleans())
def test_recall_equals_the_definition(kernels: ModuleType, size: tuple[int, int, int, int, int], sweeps: int, biased: bool) -> None:
    """Whole float32 weights are summed exactly, so that they too come to the very same states."""
    *numbers, threads = size
    case = Case(*numbers)
    w = reference.hebb_matrix(case.xt, case.m)
    bias = np.random.default_rng(1).integers(-3, 4, case.n) * 0.5 if biased else None
    expected = reference.async_recall(w, case.states, case.orders, sweeps, bias)
    for dtype in (np.int16, np.int32, np.float32):
        same(kernels.async_recall(w.astype(dtype), case.states, case.orders, sweeps, bias, threads), expected)
    if not biased:
        same(kernels.async_recall_patterns(case.x, case.xt, case.m, case.states, case.orders, sweeps, threads=threads), expected)


@COMPILED
@settings(max_examples=40, deadline=None)
@given(SIZES, st.booleans())
def test_recall_from_pairs_equals_the_definition(kernels: ModuleType, size: tuple[int, int, int, int, int], coupled: bool) -> None:
    *numbers, threads = size
    case = Case(*numbers)
    y = reference.transpose(pack(np.random.default_rng(2).random((case.m, case.n)) < 0.5), case.n)
    arguments = (case.x, y, case.m, case.states, case.orders, 6, coupled)
    same(kernels.async_recall_patterns(*arguments, threads=threads), reference.async_recall_patterns(*arguments))


@COMPILED
@pytest.mark.parametrize("n", [255, 256, 257])
def test_numbers_of_units_that_need_another_plane(kernels: ModuleType, n: int) -> None:
    """All units differ from a pattern, or none: a count of n, which has nine bits from 256 on."""
    case = Case(n, 2, 2, seed=8)
    case.states[:] = np.where(case.bits[0], 1, -1)
    case.states[1] *= -1
    arguments = (case.x, case.xt, 2, case.states, case.orders, 6)
    same(kernels.async_recall_patterns(*arguments), reference.async_recall_patterns(*arguments))
    overlaps = np.array([[2**31 - 1, -(2**31)], [n, -n]], np.int32)
    assert np.array_equal(kernels.fields(case.xt, 2, overlaps), reference.fields(case.xt, 2, overlaps))


def storkey_as_written(bits: np.ndarray) -> np.ndarray:
    """The rule with its h_ij, as its source has it, in float64."""
    n = bits.shape[1]
    w = np.zeros((n, n))
    for x in 2.0 * bits - 1.0:
        h = (w @ x)[:, np.newaxis] - w * x
        w += (np.outer(x, x) - x[:, np.newaxis] * h.T - h * x) / n
        np.fill_diagonal(w, 0.0)
    return w


@ALL
@pytest.mark.parametrize(("n", "m"), [(2, 5), (16, 4), (64, 3)])
def test_storkey_without_rounding_is_the_rule(kernels: ModuleType, n: int, m: int) -> None:
    """With N a power of 2, weights after m patterns are multiples of N^-m: these all fit into 24 bits, and into float64 as well."""
    bits = Case(n, m, 0, seed=10).bits
    w = np.zeros((n, n), np.float32)
    kernels.storkey_store(w, bits)
    assert np.array_equal(w, storkey_as_written(bits))
    kernels.storkey_store(w, bits[:0])
    assert np.array_equal(w, storkey_as_written(bits))


@ALL
@pytest.mark.parametrize("n", [43, 100])
def test_storkey_of_20_patterns_within_its_rounding(kernels: ModuleType, n: int) -> None:
    """With u = 2^-24, w = max |w_ij| and s = max_i sum_j |w_ij|: H errs by 3 u s for the float32 sums of four, v by u |v| more, where
    |v| <= (1/2 + s) / n; the new weight is made in four roundings of numbers up to (1 + 2/n) w + 2 |v|. So a pattern adds to each weight's error
    6 u s / n + 2 u |v| + 4 u ((1 + 2/n) w + 2 |v|) at most. What was there, E, it maps to (1 + 2/n) E - P E - E P without a diagonal; with
    P = x x^T / n and Q = 1 - P that is Q E Q - P E P + 2/n E: in the Frobenius norm it grows by 1 + 2/n at most. Doubled for squares of u."""
    bits = Case(n, 20, 0, seed=10).bits
    w = np.zeros((n, n), np.float32)
    off = 0.0
    for m in range(20):
        before, after = storkey_as_written(bits[:m]), storkey_as_written(bits[: m + 1])
        s = np.abs(before).sum(axis=1).max()
        v, size = (0.5 + s) / n, max(np.abs(before).max(), np.abs(after).max())
        once = UNIT * (6 * s / n + 2 * v + 4 * ((1 + 2 / n) * size + 2 * v))
        off = (1 + 2 / n) * off + n * once  # n^2 entries: n times the largest is a bound of the norm
        kernels.storkey_store(w, bits[m : m + 1])
        assert np.linalg.norm(w - after) <= 2 * off
    assert np.array_equal(w, w.T)


@COMPILED
@pytest.mark.parametrize("n", [1, 2, 3, 43, 64, 65, 150])
@pytest.mark.parametrize("threads", [1, 3])
def test_storkey_has_the_bits_of_its_definition(monkeypatch: pytest.MonkeyPatch, kernels: ModuleType, n: int, threads: int) -> None:
    monkeypatch.setattr(threads_of_kernels, "WORTH", 1)
    rng = np.random.default_rng(11)
    drawn = np.triu(rng.normal(size=(n, n)), 1).astype(np.float32)
    bits = rng.random((20, n)) < 0.5
    for w in (np.zeros((n, n), np.float32), drawn + drawn.T):
        expected, singly = w.copy(), w.copy()
        reference.storkey_store(expected, bits)
        for x in bits:
            kernels.storkey_store(singly, x[np.newaxis], threads)
        kernels.storkey_store(w, bits, threads)
        for found in (w, singly, w.T):
            assert np.array_equal(found, expected)


@COMPILED
def test_float_energy_within_its_rounding(kernels: ModuleType) -> None:
    """An input is a float32 sum of n weights: n u sum_j |w_ij|; the energy adds halves of these."""
    rng = np.random.default_rng(12)
    w = rng.normal(size=(90, 90)).astype(np.float32)
    w += w.T
    states = Case(90, 0, 5, seed=13).states
    assert np.abs(kernels.energy(w, states) - reference.energy(w, states)).max() <= 0.5 * 91 * UNIT * np.abs(w).sum(dtype=np.float64)


def test_work_is_shared_only_where_it_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_of_kernels, "WORTH", 1000)
    assert [threads_of_kernels.worth(3, words) for words in (0, 999, 1000, 2000, 10**9)] == [1, 1, 2, 3, 3]
