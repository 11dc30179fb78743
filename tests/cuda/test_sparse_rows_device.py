"""Sparse rows on the device: parts of batches, more work than blocks, many active units, and what is got from the device."""

from __future__ import annotations

import numpy as np
import pytest
from emulated.twins import twin

from neuromem.kernels.bits import Rows
from neuromem.kernels.reference import sparse_rows as reference
from neuromem.kernels.sparse import SparseTable

device = twin("sparse_rows")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import runtime, sparse_rows  # noqa: E402


def random_rows(rng: np.random.Generator, b: int, n: int, least: int, most: int) -> Rows:
    """Return b patterns of ``least`` to ``most`` active units."""
    patterns = [np.sort(rng.choice(n, rng.integers(least, most + 1), replace=False)) for _ in range(b)]
    return Rows(np.cumsum([0, *map(len, patterns)]).astype(np.int64), np.concatenate(patterns).astype(np.int32))


def same(a: SparseTable | Rows, b: SparseTable | Rows) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("cues_at_once", [2, 7])
def test_more_rows_and_cues_than_blocks_and_room(cues_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_rows, "MOST_BLOCKS", 3)
    monkeypatch.setattr(sparse_rows, "WORDS", cues_at_once * 8 * 5)  # the bits of 300 units are five words
    rng = np.random.default_rng(1)
    pre, post, cues = random_rows(rng, 9, 20, 0, 6), random_rows(rng, 9, 300, 0, 40), random_rows(rng, 7, 20, 0, 5)
    table = reference.build(pre, post, 20, 300)
    assert same(device.build(pre, post, 20, 300), table)
    assert same(device.merge(table, table), table)
    assert same(device.recall_all(table, cues), reference.recall_all(table, cues))
    assert same(device.recall_winners(table, cues, 25), reference.recall_winners(table, cues, 25))


@pytest.mark.parametrize("k", [1, 3, 40, 99, 100])
def test_counts_of_more_than_eight_bits(k: int) -> None:
    """A cue of 700 units: the k-th largest count is found in two steps of eight bits."""
    rng = np.random.default_rng(2)
    n_pre, n_post = 700, 100
    pre, post = random_rows(rng, 60, n_pre, 0, n_pre), random_rows(rng, 60, n_post, 1, 4)
    table = reference.build(pre, post, n_pre, n_post)
    cues = Rows(np.array([0, n_pre, n_pre + 3]), np.array([*range(n_pre), 5, 6, 7], np.int32))
    expected = reference.recall_winners(table, cues, k)
    assert same(device.recall_winners(table, cues, k), expected)


def test_the_same_threshold_in_the_high_and_the_low_bits() -> None:
    """Counts by hand: unit 0 has 600, 1 has 300, 2 has 256, 3 has 255, 4 has 44 (the low bits of 300), 5 none."""
    counts = [600, 300, 256, 255, 44, 0]
    n = 600
    pre = Rows(np.cumsum([0, *counts]), np.concatenate([np.arange(c) for c in counts]).astype(np.int32))
    post = Rows(np.arange(7), np.arange(6, dtype=np.int32))
    table = device.build(pre, post, n, 6)
    cue = Rows(np.array([0, n]), np.arange(n, dtype=np.int32))
    won = [device.recall_winners(table, cue, k).units.tolist() for k in range(1, 8)]
    assert won == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert device.recall_all(table, cue).units.tolist() == [0]


def test_gaps_across_windows_words_and_warps() -> None:
    """Rows of two bytes a gap, of which one byte more or less is in front, so that gaps straddle every 32 and every 128 bytes of a row."""
    n_post = 200 * 130 + 3
    for ahead in range(3):
        units = np.concatenate([np.arange(ahead), ahead + np.arange(1, 130) * 200]).astype(np.int32)
        whole = Rows(np.array([0, units.size]), units)
        one = Rows(np.array([0, 1]), np.zeros(1, np.int32))
        table = device.build(one, whole, 1, n_post)
        assert same(table, reference.build(one, whole, 1, n_post))
        assert device.recall_all(table, one).units.tolist() == units.tolist()
        other = device.build(one, Rows(np.array([0, 2]), np.array([1, n_post - 1], np.int32)), 1, n_post)
        assert device.recall_all(device.merge(table, other), one).units.tolist() == sorted({*units.tolist(), 1, n_post - 1})


def test_part_of_a_batch_and_what_is_got() -> None:
    """Patterns of the device may begin within their units, and have room for more behind; two numbers are got, then the size of the table."""
    rng = np.random.default_rng(3)
    pre, post = random_rows(rng, 6, 12, 1, 5), random_rows(rng, 6, 30, 1, 9)
    part = [Rows(r.start[2:5] - r.start[2], r.units[r.start[2] : r.start[4]]) for r in (pre, post)]
    expected = reference.build(*part, 12, 30)
    views = [Rows(runtime.put(r.start)[2:5], runtime.put(np.concatenate([r.units, np.full(9, -7, np.int32)]))) for r in (pre, post)]
    before = runtime.traffic.copy()
    table = sparse_rows.build(*views, 12, 30)
    since = runtime.traffic.since(before)
    assert (since.gets, since.bytes_to_host, since.puts) == (2, 24, 0)
    assert same(SparseTable(runtime.get(table.start), runtime.get(table.data), 30), expected)
    before = runtime.traffic.copy()
    found = sparse_rows.recall_winners(table, views[0], 2)
    since = runtime.traffic.since(before)
    assert (since.gets, since.bytes_to_host, since.puts) == (1, 8, 0)
    assert same(Rows(runtime.get(found.start), runtime.get(found.units)), reference.recall_winners(expected, part[0], 2))


def test_nothing_stored_and_nothing_asked() -> None:
    none = Rows(np.zeros(1, np.int64), np.zeros(0, np.int32))
    empty = Rows(np.zeros(3, np.int64), np.zeros(0, np.int32))
    for patterns in (none, empty):
        table = device.build(patterns, patterns, 4, 70)
        assert same(table, reference.build(patterns, patterns, 4, 70))
        assert same(device.merge(table, table), table)
        for cues in (none, empty, Rows(np.array([0, 2]), np.array([0, 3], np.int32))):
            for found in (device.recall_all(table, cues), device.recall_winners(table, cues, 3)):
                assert (found.start.tolist(), found.units.tolist()) == ([0] * (cues.n + 1), [])
