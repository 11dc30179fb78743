"""What units make of their inputs on the device: by hand, and as the host makes it."""

from __future__ import annotations

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels import activation as host

device = twin("activation")

KINDS = pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
TIES = pytest.mark.parametrize("ties", ["first", "all"])
UNIT = 2.0**-24  # of rounding to float32


def same_winners(h: np.ndarray, k: int, groups: int, ties: str) -> None:
    found = device.winners(h, k, groups, ties)
    assert found.dtype == np.bool_
    assert np.array_equal(found, host.winners(h, k, groups, ties))


@KINDS
def test_sign_by_hand(dtype: type) -> None:
    h = np.array([[3, 0, 0, -3], [-1, 1, 0, 0]], dtype)
    bits = np.array([[False, True, False, True], [True, False, True, False]])
    found = device.sign(h, bits)
    assert found.dtype == np.bool_
    assert found.tolist() == [[True, True, False, False], [False, True, True, False]]


def test_sign_of_odd_numbers() -> None:
    h = np.array([[-0.0, -0.0, np.nan, np.nan, np.inf, -np.inf, 1e-45, -1e-45]], np.float32)
    bits = np.array([[True, False] * 4])
    assert device.sign(h, bits).tolist() == host.sign(h, bits).tolist() == [[True, False, False, False, True, False, True, False]]


@KINDS
def test_winners_by_hand(dtype: type) -> None:
    h = np.array([[5, 1, 5, 2, 0, 0], [3, 4, 3, 7, 7, 7]], dtype)
    assert device.winners(h, 2, 1, "first").tolist() == [[True, False, True, False, False, False], [False, False, False, True, True, False]]
    assert device.winners(h, 2, 1, "all").tolist() == [[True, False, True, False, False, False], [False, False, False, True, True, True]]
    in_groups = device.winners(h, 2, 2, "first")
    assert in_groups.tolist() == [[True, False, False, True, False, False], [False, True, False, True, False, False]]
    above_zero = device.winners(h[:1], 6, 1, "all")
    assert above_zero.tolist() == [[True, True, True, True, False, False]]
    assert device.winners(h[:1], 6, 1, "first").all()


@KINDS
@TIES
@given(st.integers(0, 4), st.integers(1, 3), st.integers(1, 80), st.integers(0, 10**6), st.integers(1, 500))
@settings(max_examples=25, deadline=None)
def test_winners_equal_the_host(dtype: type, ties: str, b: int, groups: int, size: int, seed: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    h = rng.integers(-spread, spread + 1, (b, groups * size)).astype(dtype)
    same_winners(h, groups * int(rng.integers(1, size + 1)), groups, ties)


@TIES
@pytest.mark.parametrize("size", [255, 257, 2048, 2049, 5000])
def test_ties_over_warps_rounds_and_the_rest(size: int, ties: str) -> None:
    rng = np.random.default_rng(size)
    for h in (np.zeros((1, size)), np.ones((1, size)), rng.integers(0, 3, (2, size)), rng.normal(size=(1, size))):
        for k in {1, 2, 200, size - 1, size}:
            same_winners(h.astype(np.float32), k, 1, ties)


@KINDS
@TIES
def test_numbers_at_the_ends_of_their_kind(dtype: type, ties: str) -> None:
    """Keys that differ in the highest bit, in the lowest, or nowhere."""
    kind = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
    values = np.array([kind.max, kind.min, 0, 1, -1, kind.max, kind.min, 0], dtype)
    h = np.stack([values, values[::-1], np.full(8, kind.max, dtype), np.full(8, kind.min, dtype), np.sort(values)])
    for k in range(1, 9):
        same_winners(h, k, 1, ties)
    if isinstance(kind, np.finfo):
        tiny = kind.smallest_subnormal
        close = np.array([[1, np.nextafter(dtype(1), dtype(2)), 1, tiny, -tiny, 0, np.inf, -np.inf, -0.0, 0.0]], dtype)
        for k in range(1, 11):
            same_winners(close, k, 1, ties)


@TIES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_wins_only_where_it_wins_in_numpy(dtype: type, ties: str) -> None:
    nan = np.nan
    h = np.array([[1, nan, 3, 3, nan, 2, 3, np.inf], [nan] * 8, [0, 0, -nan, 0, 0, 0, 0, 0], [-1, -2, -3, nan, -3, -3, -3, -3]], dtype)
    for k in range(1, 9):
        same_winners(h, k, 1, ties)
    same_winners(h, 4, 4, ties)


def close_to_truth(h: np.ndarray, groups: int, gain: float) -> None:
    """Against float64, with float32's own exponents where inputs are float32: 5 u and 1 u, as the docstring of ``soft`` derives; exp of
    float64 errs by 1 unit of 2**-53, sums of n by n of these, all of it below 2**-40; of subnormal numbers the unit is 2**-149, of
    which there may be one of exp and one of the last rounding."""
    b, n = h.shape
    grouped = h.reshape(b, groups, n // groups)
    exponents = (gain * (grouped - grouped.max(axis=2, keepdims=True))).astype(np.float64)
    exact = np.exp(exponents)
    exact = (exact / exact.sum(axis=2, keepdims=True)).reshape(b, n)
    found = device.soft(h, groups, gain)
    assert found.dtype == np.float32
    units = 5.001 if h.dtype == np.float32 else 1.001
    assert (np.abs(found - exact) <= units * UNIT * exact + 2 * 2.0**-149).all()


@KINDS
def test_soft_by_hand(dtype: type) -> None:
    h = np.array([[0, 0, 2, 2, 2, 2], [7, 7, 9, 9, 9, 9]], dtype)
    assert device.soft(h, 3, 4.0).tolist() == [[0.5] * 6] * 2
    third = device.soft(h[:, 2:5], 1, 1.0)
    assert third.tolist() == [[np.float32(1 / 3)] * 3] * 2
    assert device.soft(h, 6, 1.0).tolist() == [[1.0] * 6] * 2


@KINDS
@pytest.mark.parametrize(("groups", "size"), [(1, 1), (3, 10), (2, 128), (2, 129), (1, 700)])
@pytest.mark.parametrize("gain", [0.1, 1.0, 7.3])
def test_soft_within_its_bound(dtype: type, groups: int, size: int, gain: float) -> None:
    """Against the host as well: its ``np.exp`` of float32 errs by 4 units in the last place, 8 u, its sum by these and by n u of its own, its
    quotient by u: 17 + n, beside the 5 of the device."""
    h = (3 * np.random.default_rng(size).normal(size=(4, groups * size))).astype(dtype)
    close_to_truth(h, groups, gain)
    if dtype == np.float32:
        found, expected = device.soft(h, groups, gain), host.soft(h, groups, gain)
        assert (np.abs(found - expected) <= 1.001 * (22 + size) * UNIT * expected + 4 * 2.0**-149).all()


def test_soft_of_odd_numbers() -> None:
    """An infinite largest input is none that the others can be compared with: NaN, as on the host."""
    h = np.array([[np.inf, 1], [np.nan, 1], [-np.inf, 1], [-np.inf, -np.inf]], np.float32)
    with np.errstate(invalid="ignore"):
        expected = host.soft(h, 1, 1.0)
    assert np.array_equal(device.soft(h, 1, 1.0), expected, equal_nan=True)
    assert expected[2].tolist() == [0.0, 1.0]
    close_to_truth(np.array([[0, -60, -87, -95, -103, -104, -200]], np.float32), 1, 1.0)
    close_to_truth(np.array([[2**62, -(2**62), 5]], np.int64), 1, 1e-18)


def test_no_cues() -> None:
    h = np.zeros((0, 6), np.float32)
    assert device.sign(h, h > 0).shape == device.winners(h, 2, 1, "all").shape == device.soft(h, 2, 1.0).shape == (0, 6)
