"""Plastic matrices on the device: edges of vectors, blocks and grids, rows longer than registers hold, and no transfers."""

from __future__ import annotations

import numpy as np
import pytest
from emulated.twins import twin

from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule
from neuromem.kernels.reference import outer as reference

device = twin("outer")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import outer, runtime  # noqa: E402

# rows that are no multiple of 4, and such that are; less than a block, whole blocks, more; more rows than a block, a tile
SIZES = [(3, 31), (64, 1024), (65, 1028), (131, 1030), (130, 256)]
sizes = pytest.mark.parametrize("size", SIZES)


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def coarse(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return eighths from -1 to 1: sums of up to 2^18 of their products are exact in float32, in any order."""
    return (rng.integers(-8, 9, shape) / 8).astype(np.float32)


@sizes
def test_rank_one_is_the_references_bit_for_bit(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    w, u, v = floats(rng, *size), floats(rng, size[0]), floats(rng, size[1])
    w[0, 0], w[-1, -1] = np.nan, np.inf
    expected, found = w.copy(), w.copy()
    reference.decay_hebb(expected, u, v, 0.9, 0.3, -0.7, 0.9)
    device.decay_hebb(found, u, v, 0.9, 0.3, -0.7, 0.9)
    assert np.array_equal(found, expected, equal_nan=True)


@sizes
def test_a_batch_is_its_parts_one_after_the_other(size: tuple[int, int]) -> None:
    """Pairs are added in ascending order, by whichever kernel: in eights to the rows, or all to a tile."""
    rng = np.random.default_rng(2)
    w, us, vs = floats(rng, *size), floats(rng, 21, size[0]), floats(rng, 21, size[1])
    together, parts = w.copy(), w.copy()
    device.decay_hebb_batch(together, us, vs, 0.9, 0.3)
    for first in (0, 8, 16):
        device.decay_hebb_batch(parts, us[first : first + 8], vs[first : first + 8], 0.9 if first == 0 else 1.0, 0.3)
    assert np.array_equal(together, parts)
    expected, found = coarse(rng, *size), np.empty(size, np.float32)
    for pairs in (7, 21):
        found[:] = expected
        us, vs = coarse(rng, pairs, size[0]), coarse(rng, pairs, size[1])
        reference.decay_hebb_batch(expected, us, vs, 0.5, 0.25, -2.0, 2.0)
        device.decay_hebb_batch(found, us, vs, 0.5, 0.25, -2.0, 2.0)
        assert np.array_equal(found, expected)


@sizes
@pytest.mark.parametrize("keys", [0, 1, 3])
def test_responses(size: tuple[int, int], keys: int) -> None:
    rng = np.random.default_rng(3)
    w, k = coarse(rng, *size), coarse(rng, keys, size[1])
    found = device.read(w, k)
    assert found.dtype == np.float32
    assert np.array_equal(found, reference.read(w, k))


# in registers: 256 threads x 8 x 4 columns = 8,192
@pytest.mark.parametrize("n_keys", [8192, 8196, 9000, 9001])
@pytest.mark.parametrize(
    "rule",
    [
        WriteRule(Loss.SQUARED_ERROR, rate=0.5),
        WriteRule(Loss.VARIANCE, retention=Retention.OJA, rate=0.5),
        WriteRule(Loss.SQUARED_ERROR, gamma=0.5, step=Step.MOMENTUM, rate=0.5, momentum=0.25, low=-3.0, high=3.0),
    ],
    ids=["delta", "oja", "momentum"],
)
def test_rows_longer_than_registers_hold(n_keys: int, rule: WriteRule) -> None:
    rng = np.random.default_rng(4)
    w, speed, keys, values = coarse(rng, 3, n_keys), coarse(rng, 3, n_keys), rng.integers(-1, 2, (1, n_keys)), coarse(rng, 1, 3)
    state = speed if rule.step == Step.MOMENTUM else None
    expected, found = w.copy(), w.copy()
    expected_state, found_state = (None if state is None else state.copy() for _ in range(2))
    keys = keys.astype(np.float32)
    reference.write(expected, expected_state, keys, values, rule)
    device.write(found, found_state, keys, values, rule)
    assert np.array_equal(found, expected)
    assert state is None or np.array_equal(found_state, expected_state)


def test_many_pairs_are_single_ones_however_many_rows_are_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outer, "CACHE", 0)
    monkeypatch.setattr(outer, "LEAST_ROWS", 2)
    rng = np.random.default_rng(5)
    w, keys, values = floats(rng, 5, 8300) / 90, floats(rng, 4, 8300) / 90, floats(rng, 4, 5)
    together, single, rule = w.copy(), w.copy(), WriteRule(Loss.SQUARED_ERROR, rate=0.5)
    device.write(together, None, keys, values, rule)
    for m in range(4):
        device.write(single, None, keys[m : m + 1], values[m : m + 1], rule)
    assert np.array_equal(together, single)


def test_column_sums_of_several_parts_of_the_rows() -> None:
    """300 rows are five parts of at most 64."""
    rng = np.random.default_rng(6)
    w, key, value = coarse(rng, 300, 37), rng.integers(-1, 2, (1, 37)).astype(np.float32), coarse(rng, 1, 300)
    expected, found, rule = w.copy(), w.copy(), WriteRule(Loss.SQUARED_ERROR, step=Step.ORTHOGONAL, rate=0.5)
    reference.write(expected, None, key, value, rule)
    device.write(found, None, key, value, rule)
    assert np.array_equal(found, expected)


def test_more_rows_than_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outer, "MOST_BLOCKS", 2)
    rng = np.random.default_rng(7)
    w, us, vs = coarse(rng, 5 * 128 + 3, 20), coarse(rng, 9, 5 * 128 + 3), coarse(rng, 9, 20)
    for pairs in (1, 9):
        expected, found = w.copy(), w.copy()
        reference.decay_hebb_batch(expected, us[:pairs], vs[:pairs], 0.5, 0.25)
        device.decay_hebb_batch(found, us[:pairs], vs[:pairs], 0.5, 0.25)
        assert np.array_equal(found, expected)
    rule = WriteRule(step=Step.ORTHOGONAL, rate=0.5)
    expected, found = w.copy(), w.copy()
    reference.write(expected, None, vs[:1], us[:1], rule)
    device.write(found, None, vs[:1], us[:1], rule)
    assert np.array_equal(found, expected)


def test_nothing_goes_to_the_host_and_pairs_are_one_launch() -> None:
    """Also with the part of the pairs that some rows of a large matrix take, which is not contiguous."""
    rng = np.random.default_rng(8)
    w, keys, values = coarse(rng, 6, 40), rng.integers(-1, 2, (3, 40)).astype(np.float32), coarse(rng, 3, 20)
    for rule, launches in (
        (WriteRule(Loss.SQUARED_ERROR, low=-2.0), 1),
        (WriteRule(Loss.SQUARED_ERROR, step=Step.ORTHOGONAL), 3 * 4),
        (WriteRule(), 1),
    ):
        expected = w.copy()
        reference.write(expected, None, keys, values[:, 9:15], rule)
        matrix, at_columns, at_rows = (runtime.put(x) for x in (w, keys, values))
        before = runtime.traffic.copy()
        outer.write(matrix, None, at_columns, at_rows[:, 9:15], rule)
        assert runtime.traffic.since(before) == runtime.Traffic(launches=launches)
        if rule.step == Step.PLAIN:  # three writes of eighths are still exact
            assert np.array_equal(runtime.get(matrix), expected)
