"""Exact best match of packed patterns: against counting by hand, and compiled against the reference."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import pack
from neuromem.kernels.cpu import hamming as cpu
from neuromem.kernels.reference import hamming as reference

cupy = twin("hamming")
both = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
compiled = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])


def random_words(seed: int, m: int, n: int) -> np.ndarray:
    return pack(np.random.default_rng(seed).random((m, n)) < 0.5)


@both
def test_the_nearest_is_the_one_with_the_fewest_different_bits(kernels: ModuleType) -> None:
    n = 300
    staircase = np.arange(n) < np.arange(n, 0, -1)[:, None]  # pattern m has its first n - m bits set
    blocks = kernels.block(pack(staircase))
    cue = np.arange(n) < 120
    index, distance = kernels.best_match(blocks, n, pack(cue[None]))
    assert (index[0], distance[0]) == (n - 120, 0)
    index, distance = kernels.top_k(blocks, n, pack(cue[None]), 5)
    assert index[0].tolist() == [180, 179, 181, 178, 182]  # equal distances in order of index
    assert distance[0].tolist() == [0, 1, 1, 2, 2]
    assert kernels.distances(blocks, n, pack(cue[None]))[0].tolist() == [abs(n - m - 120) for m in range(n)]


@both
@pytest.mark.parametrize("threads", [1, 3])
def test_of_equal_patterns_the_first_wins(kernels: ModuleType, threads: int) -> None:
    blocks = kernels.block(np.tile(random_words(1, 1, 200), (1000, 1)))
    cues = random_words(2, 4, 200)
    index, distance = kernels.best_match(blocks, 1000, cues, threads=threads)
    assert index.tolist() == [0] * 4
    assert kernels.top_k(blocks, 1000, cues, 3, threads=threads)[0].tolist() == [[0, 1, 2]] * 4
    assert distance.tolist() == np.bitwise_count(cues ^ random_words(1, 1, 200)).sum(axis=1).tolist()


@both
def test_a_pattern_that_begins_like_the_cue_deceives_nobody(kernels: ModuleType) -> None:
    n = 1024
    cue = np.random.default_rng(3).random(n) < 0.5
    deceiver, winner = cue.copy(), cue.copy()
    deceiver[600:] ^= True  # equal where the search looks first, then far away
    winner[:300] ^= True
    for at in (0, 255, 256, 1999):
        patterns = np.tile(~cue, (2000, 1))
        patterns[1000], patterns[at] = deceiver, winner
        index, distance = kernels.best_match(kernels.block(pack(patterns)), 2000, pack(cue[None]))
        assert (index[0], distance[0]) == (at, 300)


@both
def test_what_is_not_there_is_infinitely_far(kernels: ModuleType) -> None:
    cues = random_words(4, 2, 130)
    nothing = kernels.block(np.zeros((0, 3), np.uint64))
    assert [found.tolist() for found in kernels.best_match(nothing, 0, cues)] == [[-1, -1], [kernels.NONE] * 2]
    index, distance = kernels.top_k(kernels.block(cues[:1]), 1, cues, 2)
    assert index.tolist() == [[0, -1]] * 2
    assert (distance[:, 1] == kernels.NONE).all()
    assert kernels.distances(nothing, 0, cues).shape == (2, 0)
    assert kernels.best_match(kernels.block(cues), 2, cues[:0])[0].shape == (0,)


@both
def test_spare_rows_of_the_last_block_are_no_patterns(kernels: ModuleType) -> None:
    blocks = kernels.block(np.full((257, 2), ~np.uint64(0)))
    index, distance = kernels.best_match(blocks, 257, np.zeros((1, 2), np.uint64))  # a spare row would be equal
    assert (index[0], distance[0]) == (0, 128)
    index, distance = kernels.top_k(blocks, 257, np.zeros((1, 2), np.uint64), 300)
    assert (index[0] >= 0).sum() == 257


@both
def test_patterns_may_come_one_by_one(kernels: ModuleType) -> None:
    words = random_words(5, 700, 100)
    blocks, n = kernels.block(words[:0]), 0
    for size in (1, 0, 254, 1, 1, 300, 143):
        blocks = kernels.append(blocks, n, words[n : n + size])
        n += size
    assert n == 700
    assert (kernels.take(blocks, np.arange(n)) == words).all()
    index, distance = kernels.best_match(blocks, n, words[::50])
    assert index.tolist() == list(range(0, 700, 50))
    assert not distance.any()


def test_appending_copies_only_now_and_then() -> None:
    blocks, copies = cpu.block(np.zeros((0, 1), np.uint64)), 0
    for n in range(20 * cpu.ROWS):
        grown = cpu.append(blocks, n, np.full((1, 1), n, np.uint64))
        copies += grown is not blocks
        blocks = grown
    assert copies <= 9  # 1, 2, 3, 4, 6, 9, 13, 19, 28 blocks
    assert (cpu.take(blocks, np.arange(20 * cpu.ROWS))[:, 0] == np.arange(20 * cpu.ROWS)).all()


def test_appending_on_the_device_copies_only_now_and_then() -> None:
    at_home, words = device(), np.arange(20 * cpu.ROWS, dtype=np.uint64)[:, None]
    blocks, copies = at_home.block(put(words[:0])), 0
    for n in range(0, len(words), 64):
        grown = at_home.append(blocks, n, put(words[n : n + 64]))
        copies += grown is not blocks
        blocks = grown
    assert copies == 9
    assert blocks.shape == (28, 1, 256)
    assert (blocks.get()[:20, 0].ravel() == words[:, 0]).all()
    assert not blocks.get()[20:].any()


def test_the_layout_is_one_for_all() -> None:
    words = random_words(6, 600, 190)
    blocks = cpu.block(words, threads=2)
    assert blocks.shape == (3, 3, 256)
    assert blocks.ctypes.data % 64 == 0
    assert (blocks == reference.block(words)).all()
    assert (blocks == cupy.block(words)).all()
    assert blocks[1, 2, 7] == words[256 + 7, 2]


@both
def test_patterns_are_taken_in_any_order(kernels: ModuleType) -> None:
    words = random_words(7, 600, 340)  # six words: one and a half times what a thread of a device takes
    index = np.array([599, 0, 256, 255, 0, 513])
    assert (kernels.take(kernels.block(words), index) == words[index]).all()
    assert kernels.take(kernels.block(words), index[:0]).shape == (0, 6)


@compiled
@pytest.mark.parametrize("b", [1, 2, 3, 5, 8, 13])
def test_the_lowest_of_every_block(kernels: ModuleType, b: int) -> None:
    words, cues = random_words(8, 701, 400), random_words(9, b, 400)
    cues[0] = 0  # a spare row would be equal
    apart = np.bitwise_count(words ^ cues[:, None]).astype(np.int32)
    blocks = kernels.block(words)
    for n_words in (7, 3):
        counted = apart[:, :, :n_words].sum(axis=2)
        expected = [[row[at : at + 256].min() for at in (0, 256, 512)] for row in counted]
        assert kernels.lowest_distances(blocks, 701, cues, n_words).tolist() == expected
    assert (kernels.distances(blocks, 701, cues) == apart.sum(axis=2)).all()


@pytest.mark.parametrize("b", [1, 2, 3, 7, 8, 20])
def test_groups_of_blocks_and_tiles_of_cues_are_searched_alike(b: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = random_words(10, 2100, 100)
    words[[1, 300, 2099]] = words[1030]  # equal ones in several blocks, of one group and of two
    cues = np.concatenate([words[1030:1031], words[2099:1500:-7]])[:b]
    blocks = reference.block(words)
    expected = reference.best_match(blocks, 2100, cues)
    assert expected[0][0] == 1
    for groups in (1, 2, 5, 8192):
        monkeypatch.setattr(device(), "GROUPS", groups)
        for ours, theirs in zip(cupy.best_match(blocks, 2100, cues), expected, strict=True):
            assert (ours == theirs).all()


@pytest.mark.parametrize("k", [1, 2, 200, 700, 1199, 1200, 1500])
def test_the_k_nearest_come_from_all_parts_in_order(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distances of 1,200 patterns are given: many equal ones in every part, and some that need two digits."""
    n, m = 4000, 1200
    apart = np.random.default_rng(11).choice([0, 1, 2047, 2048, 2049, 3999, 4000], m)
    words = pack(np.arange(n) < apart[:, None])
    cues = np.zeros((3, words.shape[1]), np.uint64)
    cues[1:] = words[apart == 2048][0]
    monkeypatch.setattr(device(), "LEAST_PART", 256)
    for room, parts in ((1, 2), (1 << 28, 1024)):  # a cue at a time in two parts, and all of them in five
        monkeypatch.setattr(device(), "ROOM", room)
        monkeypatch.setattr(device(), "PARTS", parts)
        index, distance = cupy.top_k(reference.block(words), m, cues, k)
        for q, seen in enumerate([apart, abs(apart - 2048), abs(apart - 2048)]):
            order = sorted(range(m), key=lambda i: (seen[i], i))[:k]
            assert index[q].tolist() == order + [-1] * (k - len(order))
            assert distance[q].tolist() == [seen[i] for i in order] + [cupy.NONE] * (k - len(order))


def device() -> ModuleType:
    """Return the module that takes arrays of the device."""
    return importlib.import_module("neuromem.kernels.cupy.hamming")


def put(array: np.ndarray) -> object:
    return importlib.import_module("neuromem.kernels.cupy.runtime").put(array)


@compiled
@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10**6), st.integers(1, 700), st.integers(1, 900), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 0.1, 0.5])
)
def test_compiled_equals_reference(kernels: ModuleType, seed: int, m: int, n: int, k: int, threads: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.random((rng.integers(1, m + 1), n)) < rng.random()
    patterns = kinds[rng.integers(len(kinds), size=m)]  # some of them equal
    cues = pack(patterns[rng.integers(m, size=5)] ^ (rng.random((5, n)) < noise))
    blocks = reference.block(pack(patterns))
    for ours, theirs in (
        (kernels.best_match(blocks, m, cues, threads), reference.best_match(blocks, m, cues)),
        (kernels.top_k(blocks, m, cues, k, threads), reference.top_k(blocks, m, cues, k)),
        ((kernels.distances(blocks, m, cues, threads),), (reference.distances(blocks, m, cues),)),
    ):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            assert (a == b).all()
