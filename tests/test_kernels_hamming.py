"""Exact best match of packed patterns: against counting by hand, and compiled against the reference."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import pack
from neuromem.kernels.cpu import hamming as cpu
from neuromem.kernels.reference import hamming as reference

both = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])


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


def test_the_layout_is_one_for_both() -> None:
    words = random_words(6, 600, 190)
    blocks = cpu.block(words, threads=2)
    assert blocks.shape == (3, 3, 256)
    assert blocks.ctypes.data % 64 == 0
    assert (blocks == reference.block(words)).all()
    assert blocks[1, 2, 7] == words[256 + 7, 2]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6), st.integers(1, 700), st.integers(1, 900), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 0.1, 0.5])
)
def test_compiled_equals_reference(seed: int, m: int, n: int, k: int, threads: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.random((rng.integers(1, m + 1), n)) < rng.random()
    patterns = kinds[rng.integers(len(kinds), size=m)]  # some of them equal
    cues = pack(patterns[rng.integers(m, size=5)] ^ (rng.random((5, n)) < noise))
    blocks = reference.block(pack(patterns))
    for ours, theirs in (
        (cpu.best_match(blocks, m, cues, threads), reference.best_match(blocks, m, cues)),
        (cpu.top_k(blocks, m, cues, k, threads), reference.top_k(blocks, m, cues, k)),
        ((cpu.distances(blocks, m, cues, threads),), (reference.distances(blocks, m, cues),)),
    ):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            assert (a == b).all()
