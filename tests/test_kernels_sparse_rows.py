"""Sparse rows: truth by hand and against the table of bits, then the compiled kernels against the plain ones."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import Rows, n_words, rows_of, unpack
from neuromem.kernels.cpu import sparse_rows as cpu
from neuromem.kernels.cpu import willshaw
from neuromem.kernels.reference import sparse_rows as reference
from neuromem.kernels.sparse import SparseTable, n_synapses, nbytes

cupy = twin("sparse_rows")
both = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
compiled = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])


def rows(*patterns: list[int]) -> Rows:
    start = np.cumsum([0, *map(len, patterns)])
    return Rows(start.astype(np.int64), np.array([u for pattern in patterns for u in pattern], np.int32))


def lists(found: Rows) -> list[list[int]]:
    assert found.start.dtype == np.int64
    assert found.units.dtype == np.int32
    return [found.units[found.start[b] : found.start[b + 1]].tolist() for b in range(found.n)]


def same(a: SparseTable | Rows, b: SparseTable | Rows) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def random_rows(rng: np.random.Generator, b: int, n: int, most: int) -> Rows:
    """Return b patterns of 0 to ``most`` active units."""
    return rows(*(np.sort(rng.choice(n, rng.integers(0, min(n, most) + 1), replace=False)).tolist() for _ in range(b)))


@both
def test_bytes_by_hand(kernels: ModuleType) -> None:
    """Gaps 0, 126 and 127 take one byte, 128 and 16383 two, 16384 three; a row takes what it holds twice once."""
    ends = np.cumsum(np.array([0, 126, 127, 128, 16383, 16384]) + 1) - 1
    table = kernels.build(rows([1], [1]), rows(ends.tolist(), ends[2:4].tolist()), 3, 40000)
    assert table.start.tolist() == [0, 0, 10, 10]
    assert table.data.tolist() == [0, 126, 127, 0x80, 1, 0xFF, 127, 0x80, 0x80, 1]
    assert table.n_post == 40000
    assert n_synapses(table) == 6
    assert nbytes(table) == 4 * 8 + 10
    assert lists(kernels.recall_all(table, rows([1], [0, 1], [0]))) == [ends.tolist(), [], []]


@both
def test_recall_by_hand(kernels: ModuleType) -> None:
    """Two pairs over 3 x 70 units: 0, 1 -> 2, 64 and 1, 2 -> 64, 69."""
    table = kernels.build(rows([0, 1], [1, 2]), rows([2, 64], [64, 69]), 3, 70)
    cues = rows([0], [0, 1], [0, 1, 2], [])
    assert lists(kernels.recall_all(table, cues)) == [[2, 64], [2, 64], [64], []]
    assert lists(kernels.recall_winners(table, cues, 1)) == [[2, 64], [2, 64], [64], []]  # the tie of the first is kept
    assert lists(kernels.recall_winners(table, cues, 2)) == [[2, 64], [2, 64], [2, 64, 69], []]
    assert lists(kernels.recall_winners(table, cues, 3)) == [[2, 64], [2, 64, 69], [2, 64, 69], []]  # a count of 0 never wins
    assert lists(kernels.recall_winners(table, cues, 71)) == [[2, 64], [2, 64, 69], [2, 64, 69], []]


@both
def test_self_synapses_can_be_left_out(kernels: ModuleType) -> None:
    patterns = rows([0, 3, 5], [3, 4])
    assert n_synapses(kernels.build(patterns, patterns, 6, 6)) == 9 + 4 - 1  # 3 -> 3 is in both
    without = kernels.build(patterns, patterns, 6, 6, self_synapses=False)
    assert n_synapses(without) == 6 + 2
    assert lists(kernels.recall_all(without, rows([0], [3], [5], [3, 5]))) == [[3, 5], [0, 4, 5], [0, 3], [0]]


@both
def test_merging_is_storing_more(kernels: ModuleType) -> None:
    rng = np.random.default_rng(3)
    bits = rng.random((30, 90)) < 0.1
    whole = kernels.build(rows_of(bits), rows_of(bits), 90, 90)
    parts = [kernels.build(rows_of(part), rows_of(part), 90, 90) for part in (bits[:11], bits[11:])]
    assert same(kernels.merge(*parts), whole)
    assert same(kernels.merge(whole, parts[0]), whole)
    empty = kernels.build(rows(), rows(), 90, 90)
    assert n_synapses(empty) == 0
    assert same(kernels.merge(empty, whole), whole)


cases = given(
    seed=st.integers(0, 1 << 30),
    n_pre=st.sampled_from([1, 2, 40, 130]),
    n_post=st.sampled_from([1, 64, 65, 300, 5000, 20000]),
    patterns=st.sampled_from([0, 1, 30]),
    k=st.integers(1, 400),
    self_synapses=st.booleans(),
    threads=st.sampled_from([1, 2, 3]),
)


def check_against_plain(
    kernels: ModuleType, seed: int, n_pre: int, n_post: int, patterns: int, k: int, self_synapses: bool, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    pre, post, cues = random_rows(rng, patterns, n_pre, 30), random_rows(rng, patterns, n_post, 60), random_rows(rng, 5, n_pre, 12)
    table = reference.build(pre, post, n_pre, n_post, self_synapses)
    assert same(kernels.build(pre, post, n_pre, n_post, self_synapses, threads), table)
    more = reference.build(random_rows(rng, 5, n_pre, 9), random_rows(rng, 5, n_post, 9), n_pre, n_post)
    assert same(kernels.merge(table, more, threads), reference.merge(table, more))
    assert same(kernels.recall_all(table, cues, threads), reference.recall_all(table, cues))
    assert same(kernels.recall_winners(table, cues, k, threads), reference.recall_winners(table, cues, k))


@settings(max_examples=60, deadline=None)
@cases
def test_compiled_equals_plain(**case: Any) -> None:
    check_against_plain(cpu, **case)


@settings(max_examples=15, deadline=None)
@cases
def test_the_device_equals_plain(**case: Any) -> None:
    check_against_plain(cupy, **case)


@compiled
def test_rows_recall_what_bits_recall(kernels: ModuleType) -> None:
    rng = np.random.default_rng(7)
    n, patterns, b = (3000, 2000, 100) if kernels is cpu else (300, 20, 20)  # with as many synapses for each of the n n
    pre, post, cues = random_rows(rng, patterns, n, 40), random_rows(rng, patterns, n, 40), random_rows(rng, b, n, 6)
    cues = Rows(
        np.concatenate([cues.start, cues.start[-1] + pre.start[1 : b + 1]]), np.concatenate([cues.units, pre.units[: pre.start[b]]])
    )
    bits = np.zeros((n, n_words(n)), np.uint64)
    willshaw.store(bits, pre, post)
    table = kernels.build(pre, post, n, n)
    assert n_synapses(table) == int(np.bitwise_count(bits).sum())
    found = kernels.recall_all(table, cues)
    assert found.units.size > 10 * b  # the cues that were stored
    assert same(found, rows_of(unpack(willshaw.recall_all(bits, cues), n)))
    for k in (1, 20, 500, n):
        assert same(kernels.recall_winners(table, cues, k), rows_of(unpack(willshaw.recall_winners(bits, cues, n, k), n)))
