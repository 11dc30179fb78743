"""Hopfield kernels on the device: what they have that the host's have not, as paths for many and for few, tiles, and loops over too large a grid."""

from __future__ import annotations

import numpy as np
import pytest
from emulated.twins import twin

from neuromem.kernels.bits import pack
from neuromem.kernels.reference import hopfield as reference

device = twin("hopfield")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import hopfield, hopfield_patterns, runtime  # noqa: E402


def drawn(m: int, n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((m, n)) < 0.5


def spins(bits: np.ndarray) -> np.ndarray:
    return np.where(bits, 1, -1).astype(np.int8)


def same(found: reference.Settled, expected: reference.Settled) -> None:
    for name, x, y in zip(found._fields, found, expected, strict=True):
        assert x.dtype == y.dtype, name
        assert np.array_equal(x, y), name


@pytest.mark.parametrize("n", [64, 65, 128, 192, 1025, 4160, 8320])
@pytest.mark.parametrize(("cues", "m"), [(1, 70), (2, 3), (8, 33), (9, 66)])
def test_overlaps_of_one_few_and_many_cues(n: int, cues: int, m: int) -> None:
    """Words by one and by two at a time, one pattern and several to a warp, tiles."""
    x, states = pack(drawn(m, n)), pack(drawn(cues, n, 2))
    assert np.array_equal(device.overlaps(x, states, n), reference.overlaps(x, states, n))


@pytest.mark.parametrize(("m", "n"), [(1, 2100), (65, 1030), (200, 64), (130, 1)])
def test_bits_change_places_over_tiles(m: int, n: int) -> None:
    x = pack(drawn(m, n))
    assert np.array_equal(device.transpose(x, n), reference.transpose(x, n))


def test_pairs_of_more_patterns_than_a_tile_is_deep() -> None:
    m, n = 1100, 70
    xt = reference.transpose(pack(drawn(m, n)), n)
    assert np.array_equal(device.hebb_matrix(xt, m), reference.hebb_matrix(xt, m))
    assert np.array_equal(device.coactivity_matrix(xt, m), reference.coactivity_matrix(xt, m))


def test_inputs_of_overlaps_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    m, n = 200, 300
    xt = reference.transpose(pack(drawn(m, n)), n)
    rng = np.random.default_rng(3)
    overlaps = np.stack([rng.integers(-(2**bits), 2**bits, m) for bits in (31, 30, 24, 23, 5, 0)]).astype(np.int32)
    expected = reference.fields(xt, m, overlaps)
    assert np.array_equal(device.fields(xt, m, overlaps), expected)
    monkeypatch.setattr(hopfield_patterns, "ROOM", 1)  # a cue at a time
    assert np.array_equal(device.fields(xt, m, overlaps), expected)


def test_more_than_a_grid_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (hopfield_patterns, hopfield):
        monkeypatch.setattr(module, "MOST_BLOCKS", 1)
    monkeypatch.setattr(hopfield_patterns, "MOST_WARPS", 1)
    m, n = 140, 70
    bits, cues = drawn(m, n), drawn(67, n, 2)
    x, states, xt = pack(bits), pack(cues), reference.transpose(pack(bits), n)
    assert np.array_equal(device.transpose(x, n), xt)
    assert np.array_equal(device.hebb_matrix(xt, m), reference.hebb_matrix(xt, m))
    for some in (states, states[:3], states[:1]):
        overlaps = reference.overlaps(x, some, n)
        assert np.array_equal(device.overlaps(x, some, n), overlaps)
        assert np.array_equal(device.fields(xt, m, overlaps), reference.fields(xt, m, overlaps))
    w = reference.hebb_matrix(xt, m)
    assert np.array_equal(device.energy(w, spins(cues)), reference.energy(w, spins(cues)))


@pytest.mark.parametrize(("n", "m"), [(9, 2047), (9, 2100), (5, 10300)])
def test_recall_from_more_patterns_than_a_warp_or_shared_memory_has_room_for(n: int, m: int) -> None:
    x = pack(drawn(m, n))
    xt, cues = reference.transpose(x, n), spins(drawn(3, n, 2))
    orders = np.array([np.random.default_rng(b).permutation(n) for b in range(3)], np.int32)
    same(device.async_recall_patterns(x, xt, m, cues, orders, 4), reference.async_recall_patterns(x, xt, m, cues, orders, 4))


@pytest.mark.parametrize("visits", [0, 1, 40, 400])
def test_units_may_be_visited_again_or_never(visits: int) -> None:
    """More visits than a block looks at at once, the same unit twice among these, and none."""
    n, m = 130, 40
    x = pack(drawn(m, n))
    xt, cues = reference.transpose(x, n), spins(drawn(2, n, 2))
    orders = np.random.default_rng(4).integers(0, n, (2, visits)).astype(np.int32)
    w = reference.hebb_matrix(xt, m)
    expected = reference.async_recall(w, cues, orders, 3)
    assert expected.flips.any() == (visits > 0)
    same(device.async_recall(w, cues, orders, 3), expected)
    same(device.async_recall_patterns(x, xt, m, cues, orders, 3), expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("n", [6, 202, 332])
def test_whole_weights_are_summed_exactly(dtype: type, n: int) -> None:
    """All weights to unit 0 are the largest of their kind, and half of the units, at random, cancel the other half; but the last weight is 1.
    A sum that rounds, or a lane's that is as narrow as the weights, loses this 1, or the tie."""
    largest = 2**24 if dtype == np.float32 else np.iinfo(dtype).max
    state = np.ones(n, np.int8)
    state[1 + np.random.default_rng(n).permutation(n - 2)[: n // 2 - 1]] = -1
    w = np.zeros((n, n), dtype)
    w[0, 1:] = w[1:, 0] = largest
    w[0, n - 1] = w[n - 1, 0] = 1
    state[0] = -1
    order = np.zeros((1, 1), np.int32)
    for last in (-1, 1):
        state[n - 1] = last
        for bias in (0.0, -float(last), -2.0 * last):
            for cues in (1, 2):
                settled = device.async_recall(w, np.stack([state] * cues), np.repeat(order, cues, axis=0), 1, np.full(n, bias))
                assert settled.flips.tolist() == [int(last + bias > 0)] * cues


@pytest.mark.parametrize("cues", [1, 9])
@pytest.mark.parametrize("n", [90, 92])
def test_recall_with_real_weights_is_that_of_the_reference(n: int, cues: int) -> None:
    """Inputs of both are float64: they differ by (2 N + F) 2**-53 sum_i |w_ij| < 1e-11, F < 500. Only an input nearer to 0 could have another sign;
    with inputs spread over sqrt(N) there is one among 5,000 visits with odds of 1e-8, and these seeds have none."""
    rng = np.random.default_rng(5)
    w = rng.normal(size=(n, n)).astype(np.float32)
    w += w.T
    orders = np.array([rng.permutation(n) for _ in range(cues)], np.int32)
    states, bias = spins(drawn(cues, n)), rng.normal(size=n)
    for max_sweeps, biases in ((50, None), (50, bias), (1, bias)):
        expected = reference.async_recall(w, states, orders, max_sweeps, biases)
        assert expected.flips.sum() < 500 * cues
        same(device.async_recall(w, states, orders, max_sweeps, biases), expected)


def test_storkey_of_more_rows_than_are_added_up_at_once() -> None:
    for n in (257, 300, 515):
        w = np.zeros((n, n), np.float32)
        expected = w.copy()
        device.storkey_store(w, drawn(4, n))
        reference.storkey_store(expected, drawn(4, n))
        assert np.array_equal(w, expected)


def test_recall_stays_on_the_device() -> None:
    """However many sweeps: the launches are counted, and nothing is put or got."""
    n, m = 70, 30
    bits = drawn(m, n)
    x = pack(bits)
    xt = reference.transpose(x, n)
    w = runtime.put(reference.hebb_matrix(xt, m))
    x_there, xt_there, states = runtime.put(x), runtime.put(xt), runtime.put(spins(drawn(3, n, 2)))
    orders = runtime.put(np.tile(np.arange(n, dtype=np.int32), (3, 1)))
    for recall, launches in (
        (lambda: hopfield.async_recall(w, states, orders, 50), 2),
        (lambda: hopfield.async_recall_patterns(x_there, xt_there, m, states, orders, 50), 5),
    ):
        before = runtime.traffic.copy()
        settled = recall()
        done = runtime.traffic.since(before)
        assert (done.launches, done.gets, done.puts) == (launches, 0, 0)
        assert runtime.get(settled.converged).all()
        assert runtime.get(settled.sweeps).min() > 1
        assert runtime.get(settled.flips).min() > 0


def test_no_cues_no_patterns() -> None:
    n = 70
    nothing, none = np.zeros((0, n), np.bool_), np.zeros((0, n), np.int8)
    x, orders = pack(nothing), np.zeros((0, n), np.int32)
    xt = device.transpose(x, n)
    assert xt.shape == (0, n)
    w = device.hebb_matrix(xt, 0)
    assert not w.any()
    assert not device.coactivity_matrix(xt, 0).any()
    assert device.overlaps(x, pack(nothing), n).shape == (0, 0)
    assert device.fields(xt, 0, np.zeros((2, 0), np.int32)).tolist() == [[0] * n] * 2
    assert device.fields(xt, 0, np.zeros((0, 0), np.int32)).shape == (0, n)
    assert device.energy(w, none).shape == device.energy_patterns(x, x, n).shape == (0,)
    for settled in (device.async_recall(w, none, orders, 3), device.async_recall_patterns(x, xt, 0, none, orders, 3)):
        assert settled.states.shape == (0, n)
    state = np.ones((1, n), np.int8)
    quiet = device.async_recall_patterns(x, xt, 0, state, np.arange(n, dtype=np.int32)[np.newaxis], 3)
    assert (quiet.sweeps.tolist(), quiet.converged.tolist()) == ([1], [True])
    before = w.astype(np.float32)
    device.storkey_store(before, nothing)
    assert not before.any()
