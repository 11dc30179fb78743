"""8-bit tables on the device: sums and counts are the reference's at all edges of vectors, tiles and grids."""

from __future__ import annotations

import numpy as np
import pytest
from emulated.twins import twin

from neuromem.kernels.reference import counters as reference

device = twin("counters")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import counters, runtime  # noqa: E402


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def check(w: np.ndarray, us: np.ndarray, vs: np.ndarray, *bounds: int) -> int:
    """Compare with the reference, and return how many weights were pushed."""
    expected, found = w.copy(), w.copy()
    pushed = reference.hebb_batch(expected, us, vs, *bounds)
    assert device.hebb_batch(found, us, vs, *bounds) == pushed
    assert np.array_equal(found, expected)
    return pushed


def test_one_pair_by_hand() -> None:
    """Pushed: 126 + 1 = 127 and 127 + 1 to 127, -127 - 1 to -127. Not pushed: 127 left alone, 127 drawn back."""
    w = np.array([[0, 126, 127, -127, 127], [5, 0, 0, 0, 127]], np.int8)
    assert device.hebb_batch(w, np.array([[1, -2]], np.int8), np.array([[3, 1, 1, -1, 0]], np.int8)) == 3
    assert w.tolist() == [[3, 127, 127, -127, 127], [-1, -2, -2, 2, 127]]


# one weight; less than a vector; whole vectors and no tile; whole tiles; more than a tile in both directions
@pytest.mark.parametrize("shape", [(1, 1), (7, 31), (5, 48), (128, 128), (131, 272), (130, 129), (3, 0), (0, 3)])
@pytest.mark.parametrize("batch", [0, 1, 4, 5, 33])
def test_edges(shape: tuple[int, int], batch: int) -> None:
    rng = np.random.default_rng(batch)
    w, us, vs = drawn(rng, *shape), drawn(rng, batch, shape[0]), drawn(rng, batch, shape[1])
    pushed = check(w, us, vs)
    assert batch == 0 or w.size < 200 or pushed > w.size // 4  # sums are wide: many weights end at a bound
    check(w, us // 64, vs // 64, -100, 90)


def test_sums_have_more_than_16_bits() -> None:
    least = np.full((300, 1), -128, np.int8)  # 300 x 2^14
    assert check(np.array([[-128]], np.int8), least, least) == 1


def test_more_rows_than_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MOST_BLOCKS", 2)
    rng = np.random.default_rng(1)
    check(drawn(rng, 5 * 128 + 3, 16), drawn(rng, 2, 5 * 128 + 3), drawn(rng, 2, 16))


def test_some_rows_of_the_pairs() -> None:
    """Tiles of a large matrix take their part of the pairs, which is not contiguous; the count is all that is got."""
    rng = np.random.default_rng(2)
    w, us, vs = drawn(rng, 20, 33), drawn(rng, 3, 50), drawn(rng, 3, 33)
    expected = w.copy()
    pushed = reference.hebb_batch(expected, us[:, 11:31], vs)
    on_device, at_rows, at_columns = (runtime.put(x) for x in (w, us, vs))
    before = runtime.traffic.copy()
    assert counters.hebb_batch(on_device, at_rows[:, 11:31], at_columns) == pushed
    since = runtime.traffic.since(before)
    assert (since.launches, since.gets, since.bytes_to_host, since.puts) == (1, 1, 8, 0)
    assert np.array_equal(runtime.get(on_device), expected)
