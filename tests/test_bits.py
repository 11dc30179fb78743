"""Packing: every form of a batch of patterns is the same patterns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import Patterns, Rows, bits_of, n_words, pack, rows_of, unpack, words_of


def test_layout_by_hand() -> None:
    bits = np.zeros((2, 70), np.bool_)
    bits[0, [0, 63, 64]] = True
    bits[1, 69] = True
    assert pack(bits).tolist() == [[1 + 2**63, 1], [0, 32]]
    rows = rows_of(bits)
    assert rows.start.tolist() == [0, 3, 4]
    assert rows.units.tolist() == [0, 63, 64, 69]
    assert (rows.start.dtype, rows.units.dtype) == (np.int64, np.int32)
    assert rows.n == 2
    assert [n_words(n) for n in (0, 1, 64, 65, 128)] == [0, 1, 1, 2, 2]


batches = st.tuples(st.integers(0, 5), st.integers(1, 200), st.integers(0, 10**6), st.floats(0, 1))


@given(batches)
@settings(max_examples=60, deadline=None)
def test_forms_are_equal(drawn: tuple[int, int, int, float]) -> None:
    b, n, seed, density = drawn
    bits = np.random.default_rng(seed).random((b, n)) < density
    words, rows = pack(bits), rows_of(bits)
    assert words.shape == (b, n_words(n))
    assert words.dtype == np.uint64
    assert np.array_equal(unpack(words, n), bits)
    assert np.array_equal(bits_of(rows, n), bits)
    assert np.array_equal(words_of(rows, n), words)
    assert np.bitwise_count(words).sum() == bits.sum()  # bits beyond n are 0
    for start in (Patterns(n, bits=bits), Patterns(n, words=words), Patterns(n, rows=rows)):
        assert len(start) == b
        assert np.array_equal(start.bits, bits)
        assert np.array_equal(start.words, words)
        assert np.array_equal(start.rows.start, rows.start)
        assert np.array_equal(start.rows.units, rows.units)


@given(batches, st.integers(0, 6), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_parts(drawn: tuple[int, int, int, float], first: int, more: int) -> None:
    b, n, seed, density = drawn
    bits = np.random.default_rng(seed).random((b, n)) < density
    first = min(first, b)
    for form in ("bits", "words", "rows"):
        given_as = {"bits": bits, "words": pack(bits), "rows": rows_of(bits)}[form]
        part = Patterns(n, **{form: given_as}).part(first, first + more)  # type: ignore[arg-type]
        assert len(part) == len(bits[first : first + more])
        assert np.array_equal(part.bits, bits[first : first + more])
        assert part.rows.start[0] == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_any_order_of_memory(order: str) -> None:
    bits = np.random.default_rng(0).random((7, 100)) < 0.3
    given_as = np.array(bits, order=order)  # type: ignore[call-overload]
    given_as.setflags(write=False)
    assert np.array_equal(pack(given_as), pack(bits))
    assert np.array_equal(unpack(np.asfortranarray(pack(bits)), 100), bits)
    assert np.array_equal(rows_of(given_as).units, rows_of(bits).units)


def test_rows_may_be_empty() -> None:
    nothing = Rows(np.zeros(4, np.int64), np.zeros(0, np.int32))
    assert not bits_of(nothing, 9).any()
    assert not words_of(nothing, 9).any()
    assert nothing.n == 3
