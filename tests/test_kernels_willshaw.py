"""Willshaw kernels: truth by hand and by theory, then the compiled ones against the plain ones."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import Rows, bits_of, n_words, pack, rows_of, unpack
from neuromem.kernels.cpu import threads as threads_of_kernels
from neuromem.kernels.cpu import willshaw as cpu
from neuromem.kernels.reference import willshaw as reference

cupy = twin("willshaw")
both = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share even the smallest work among threads."""
    monkeypatch.setattr(threads_of_kernels, "WORTH", 1)


def rows(*patterns: list[int]) -> Rows:
    start = np.cumsum([0, *map(len, patterns)])
    return Rows(start.astype(np.int64), np.array([u for pattern in patterns for u in pattern], np.int32))


def active(packed: np.ndarray, n: int) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in unpack(packed, n)]


def random_rows(rng: np.random.Generator, b: int, n: int, sizes: tuple[int, int]) -> Rows:
    """Return b patterns with at least ``sizes[0]`` and at most ``sizes[1]`` active units each."""
    lists = [np.sort(rng.choice(n, rng.integers(sizes[0], min(n, sizes[1]) + 1), replace=False)).tolist() for _ in range(b)]
    return rows(*lists)


@both
def test_by_hand(kernels: ModuleType) -> None:
    """Two pairs over 3 x 70 units: 0, 1 -> 2, 64 and 1, 2 -> 64, 69."""
    table = np.zeros((3, 2), np.uint64)
    kernels.store(table, rows([0, 1], [1, 2]), rows([2, 64], [64, 69]))
    assert table.tolist() == [[4, 1], [4, 0b100001], [0, 0b100001]]
    cues = rows([0], [0, 1], [0, 1, 2], [])
    assert active(kernels.recall_all(table, cues), 70) == [[2, 64], [2, 64], [64], []]
    counts = kernels.counts(table, cues, 70)
    assert counts.dtype == np.int32
    assert counts.shape == (4, 70)
    assert counts[:, [2, 64, 69]].tolist() == [[1, 1, 0], [2, 2, 1], [2, 3, 2], [0, 0, 0]]
    assert counts.sum() == 2 + 5 + 7
    assert active(kernels.recall_threshold(table, cues, 70, np.array([1, 2, 2, 1])), 70) == [[2, 64], [2, 64], [2, 64, 69], []]
    assert active(kernels.recall_threshold(table, cues, 70, np.array([2, 4, 3, 1 << 40])), 70) == [[], [], [64], []]
    assert active(kernels.recall_winners(table, cues, 70, 1), 70) == [[2, 64], [2, 64], [64], []]  # the tie of the first is kept
    assert active(kernels.recall_winners(table, cues, 70, 2), 70) == [[2, 64], [2, 64], [2, 64, 69], []]
    assert active(kernels.recall_winners(table, cues, 70, 3), 70) == [[2, 64], [2, 64, 69], [2, 64, 69], []]  # a count of 0 never wins
    assert active(kernels.recall_winners(table, cues, 70, 71), 70) == [[2, 64], [2, 64, 69], [2, 64, 69], []]


@both
def test_what_is_stored_is_recalled_and_the_rest_as_often_as_theory_says(kernels: ModuleType) -> None:
    """A unit outside the pattern is recalled in error with the exact finite-size probability, over tables drawn anew.

    Another pattern spares i given cue units at a given unit with probability 1 - (k/n) (1 - C(n-i, k) / C(n, k)), and all k are hit
    with sum_i (-1)^i C(k, i) (...)^(M-1), by inclusion and exclusion.
    """
    n, k, m, tables = 256, 7, 700, 12
    spared = [1 - (k / n) * (1 - math.comb(n - i, k) / math.comb(n, k)) for i in range(k + 1)]
    theory = sum((-1) ** i * math.comb(k, i) * spared[i] ** (m - 1) for i in range(k + 1))
    wrong = []
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        pre, post = random_rows(rng, m, n, (k, k)), random_rows(rng, m, n, (k, k))
        table = np.zeros((n, n_words(n)), np.uint64)
        kernels.store(table, pre, post)
        recalled = unpack(kernels.recall_all(table, pre), n)
        truth = bits_of(post, n)
        assert recalled[truth].all()
        wrong.append(recalled[~truth].mean())
        assert np.array_equal(unpack(kernels.recall_threshold(table, pre, n, np.full(m, k)), n), recalled)
        assert np.array_equal(unpack(kernels.recall_winners(table, pre, n, k), n), recalled)  # all k stored units have the full count k
    assert abs(np.mean(wrong) - theory) < 5 * np.std(wrong, ddof=1) / math.sqrt(tables)  # five standard errors, between tables
    assert np.std(wrong, ddof=1) / math.sqrt(tables) < 0.03 * theory  # so that the line above says something


@both
def test_storing_in_parts_or_in_another_order_is_the_same(kernels: ModuleType) -> None:
    rng = np.random.default_rng(2)
    pre, post = (bits_of(random_rows(rng, 40, 100, (0, 12)), 100) for _ in range(2))
    whole, parts = np.zeros((100, 2), np.uint64), np.zeros((100, 2), np.uint64)
    kernels.store(whole, rows_of(pre), rows_of(post))
    for part in np.array_split(rng.permutation(40), 7):
        kernels.store(parts, rows_of(pre[part]), rows_of(post[part]))
    assert np.array_equal(whole, parts)
    assert np.array_equal(unpack(whole, 100), (pre[:, :, None] & post[:, None, :]).any(axis=0))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    n_pre=st.sampled_from([1, 2, 7, 40, 130]),
    n_post=st.sampled_from([1, 63, 64, 65, 200, 520, 700]),
    patterns=st.sampled_from([0, 1, 30]),
    k=st.integers(1, 800),
    threads=st.sampled_from([1, 2, 3]),
)
def test_compiled_equals_plain(seed: int, n_pre: int, n_post: int, patterns: int, k: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    n_cues = int(rng.integers(0, 6))
    pre, post = random_rows(rng, patterns, n_pre, (0, n_pre)), random_rows(rng, patterns, n_post, (0, n_post // 4 + 1))
    table = pack(rng.random((n_pre, n_post)) < 0.3)
    stored = table.copy()
    reference.store(table, pre, post)
    cpu.store(stored, pre, post, threads)
    assert np.array_equal(stored, table)
    cues = random_rows(rng, n_cues, n_pre, (0, n_pre))
    thresholds = rng.integers(1, n_pre + 2, n_cues)
    assert np.array_equal(cpu.recall_all(table, cues, threads), reference.recall_all(table, cues))
    assert np.array_equal(cpu.counts(table, cues, n_post, threads), reference.counts(table, cues, n_post))
    assert np.array_equal(
        cpu.recall_threshold(table, cues, n_post, thresholds, threads), reference.recall_threshold(table, cues, n_post, thresholds)
    )
    assert np.array_equal(cpu.recall_winners(table, cues, n_post, k, threads), reference.recall_winners(table, cues, n_post, k))


@pytest.mark.parametrize("k", [*range(9), 13, 14, 15, 16, 29, 30, 31, 45, 64, 127, 128, 200])
def test_cues_of_every_size(k: int) -> None:
    """Rows are added fifteen (or combined eight) at a time: every remainder, and counts up to their last plane."""
    rng = np.random.default_rng(k)
    table = pack(rng.random((200, 130)) < 0.9)
    table[:, 0] = ~np.uint64(0)  # 64 units that reach the largest possible count
    cues = random_rows(rng, 3, 200, (k, k))
    assert np.array_equal(cpu.counts(table, cues, 130), reference.counts(table, cues, 130))
    assert np.array_equal(cpu.recall_all(table, cues), reference.recall_all(table, cues))
    for winners in (1, 64, 65, 100, 130):
        assert np.array_equal(cpu.recall_winners(table, cues, 130, winners), reference.recall_winners(table, cues, 130, winners))


def test_bits_beyond_the_last_unit_stay_zero() -> None:
    rng = np.random.default_rng(1)
    table = pack(rng.random((20, 70)) < 0.8)
    cues = random_rows(rng, 10, 20, (0, 20))
    for recalled in (
        cpu.recall_all(table, cues),
        cpu.recall_threshold(table, cues, 70, np.ones(10, np.int64)),
        cpu.recall_winners(table, cues, 70, 70),
    ):
        assert not (recalled[:, 1] >> np.uint64(6)).any()


@pytest.mark.parametrize("size", [1, 14, 15, 16, 30, 31, 70])
def test_counts_of_cues_that_take_one_round_of_adding_or_several(size: int) -> None:
    """Unit j of 70 is connected to by the first j of 70 rows, so that a cue of the first ``size`` units counts min(j, size)."""
    n = 70
    bits = np.arange(n)[:, np.newaxis] < np.arange(n)
    table, cue = pack(bits), rows(list(range(size)))
    expected = np.minimum(np.arange(n), size)
    assert cpu.counts(table, cue, n)[0].tolist() == expected.tolist()
    for k in (1, n - size + 1, n - 1, n):  # by the rows that they all connect to, or by counting
        kth = max(1, int(np.sort(expected)[n - k]))
        assert active(cpu.recall_winners(table, cue, n, k), n) == [np.flatnonzero(expected >= kth).tolist()]
    assert active(cpu.recall_threshold(table, cue, n, np.array([size])), n) == [list(range(size, n))]
