"""8-bit tables: sums, one clip and the count of weights at a bound by hand; the compiled kernel does what the reference does."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.cpu import counters as cpu
from neuromem.kernels.reference import counters as reference

either = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share even the smallest tables among threads."""
    monkeypatch.setattr(cpu, "PART", 1)


def bytes_of(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.int8)


@either
def test_one_pair_by_hand(kernels: ModuleType) -> None:
    """Pushed: 126 + 1 = 127 and 127 + 1 to 127, -127 - 1 to -127. Not pushed: 127 left alone, 127 drawn back."""
    w = bytes_of([[0, 126, 127, -127, 127], [5, 0, 0, 0, 127]])
    pushed = kernels.hebb_batch(w, bytes_of([[1, -2]]), bytes_of([[3, 1, 1, -1, 0]]))
    assert w.tolist() == [[3, 127, 127, -127, 127], [-1, -2, -2, 2, 127]]
    assert pushed == 3


@either
def test_a_batch_is_clipped_once(kernels: ModuleType) -> None:
    """100 + 127 - 120 = 107: in turn it would be clipped to 127 first, and end at 7."""
    w = bytes_of([[100]])
    assert kernels.hebb_batch(w, bytes_of([[127], [-120]]), bytes_of([[1], [1]])) == 0
    assert w.tolist() == [[107]]


@either
def test_bounds_of_ones_own(kernels: ModuleType) -> None:
    """Weights that were outside of new bounds come inside, and are not said to have been pushed there."""
    w = bytes_of([[90, -90, 9, -9, 0]])
    assert kernels.hebb_batch(w, bytes_of([[1]]), bytes_of([[-1, 1, 1, -1, 4]]), -10, 10) == 2
    assert w.tolist() == [[10, -10, 10, -10, 4]]


@either
@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_the_largest_products_do_not_overflow(kernels: ModuleType, n: int) -> None:
    """n 128^2 + 127 has 15 to 18 bits."""
    w, least, most = np.array([[127, -128]], np.int8), np.full((n, 1), -128, np.int8), np.full((n, 2), (-128, 127), np.int8)
    assert kernels.hebb_batch(w, least, most) == 2
    assert w.tolist() == [[127, -127]]


@either
def test_the_weight_itself_may_be_what_leaves_16_bits(kernels: ModuleType) -> None:
    """3 x 86 x 127 = 32766 has 15 bits; with 127 more it has 16."""
    w = bytes_of([[127, -127]])
    assert kernels.hebb_batch(w, np.full((3, 1), 86, np.int8), bytes_of([[127, -127]] * 3)) == 2
    assert w.tolist() == [[127, -127]]


@either
def test_no_pairs_and_no_weights(kernels: ModuleType) -> None:
    w = bytes_of([[-128, 127, 3]])
    assert kernels.hebb_batch(w, np.empty((0, 1), np.int8), np.empty((0, 3), np.int8)) == 0
    assert w.tolist() == [[-127, 127, 3]]
    for shape in ((0, 4), (4, 0)):
        assert kernels.hebb_batch(np.empty(shape, np.int8), np.ones((2, shape[0]), np.int8), np.ones((2, shape[1]), np.int8)) == 0


@given(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from([(1, 1), (7, 31), (5, 64), (3, cpu.COLUMNS + 17)]),
    batch=st.sampled_from([1, 2, 7, 8, 9, 20]),
    largest=st.sampled_from([1, 11, 128]),
    threads=st.sampled_from([1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_the_references_bits_and_count(seed: int, shape: tuple[int, int], batch: int, largest: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.integers(-128, 128, shape).astype(np.int8)
    us, vs = (rng.integers(-largest, min(largest, 127) + 1, (batch, n)).astype(np.int8) for n in shape)
    low, high = sorted(int(x) for x in rng.integers(-128, 128, 2))
    for bounds in ((), (low, high)):
        expected, found = w.copy(), w.copy()
        pushed = reference.hebb_batch(expected, us, vs, *bounds)
        assert cpu.hebb_batch(found, us, vs, *bounds, threads=threads) == pushed
        assert np.array_equal(found, expected)


@either
def test_a_saturated_table_has_lost_what_the_count_says(kernels: ModuleType) -> None:
    """Every pair (1, 1) adds 1: after 127 of 130 the weight is full, and each of the last 4 updates says so."""
    w, one = bytes_of([[0]]), bytes_of([[1]])
    assert [kernels.hebb_batch(w, one, one) for _ in range(130)] == [0] * 126 + [1] * 4
    assert kernels.hebb_batch(w, -one, one) == 0
    assert w.tolist() == [[126]]
