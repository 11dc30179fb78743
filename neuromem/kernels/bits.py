"""Bits as arrays: 64 units to a word, unit j at bit j % 64 of word j // 64; and rows of active units."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

WORD = 64

if sys.byteorder != "little":  # pragma: no cover
    raise ImportError("neuromem packs bits into little-endian words; this machine is big-endian.")


class Rows(NamedTuple):
    """Patterns as their active units: those of pattern b are ``units[start[b] : start[b + 1]]``, ascending.

    ``start`` is int64 of shape (B + 1,), ``units`` int32.
    """

    start: np.ndarray
    units: np.ndarray

    @property
    def n(self) -> int:
        """Number of patterns."""
        return int(self.start.size) - 1


def n_words(n: int) -> int:
    """Return how many words hold ``n`` bits."""
    return -(-n // WORD)


def aligned_zeros(shape: tuple[int, ...], dtype: type = np.uint64) -> np.ndarray:
    """Return zeros that begin at a cache line: rows of whole lines are then read with as few loads as there can be, 1.2x faster."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + 63, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(dtype).reshape(shape)


def pack(bits: np.ndarray) -> np.ndarray:
    """Return (B, n) booleans as (B, n_words(n)) uint64; bits beyond n are 0."""
    b, n = bits.shape
    packed = np.zeros((b, n_words(n) * 8), np.uint8)
    packed[:, : -(-n // 8)] = np.packbits(bits, axis=1, bitorder="little")
    return packed.view(np.uint64)


def unpack(words: np.ndarray, n: int) -> np.ndarray:
    """Return (B, n_words(n)) uint64 as (B, n) booleans."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, count=n, bitorder="little").view(np.bool_)


def rows_of(bits: np.ndarray) -> Rows:
    """Return (B, n) booleans as rows of active units."""
    start = np.zeros(len(bits) + 1, np.int64)
    np.cumsum(bits.sum(axis=1), out=start[1:])
    return Rows(start, np.nonzero(bits)[1].astype(np.int32))


def bits_of(rows: Rows, n: int) -> np.ndarray:
    """Return rows of active units as (B, n) booleans."""
    bits = np.zeros((rows.n, n), np.bool_)
    bits[np.repeat(np.arange(rows.n), np.diff(rows.start)), rows.units] = True
    return bits


def words_of(rows: Rows, n: int) -> np.ndarray:
    """Return rows of active units as packed words (B, n_words(n))."""
    words = np.zeros((rows.n, n_words(n)), np.uint64)
    row = np.repeat(np.arange(rows.n), np.diff(rows.start))
    np.bitwise_or.at(words, (row, rows.units // WORD), np.uint64(1) << (rows.units % WORD).astype(np.uint64))
    return words


class Patterns:
    """A batch of binary patterns of ``n`` units, as booleans, as packed words, or as rows: converted where a kernel asks.

    Bipolar patterns are the same, with a 1 for +1 and a 0 for -1. The conversions are the class's own: arrays elsewhere have others.
    """

    _pack, _unpack = staticmethod(pack), staticmethod(unpack)
    _bits_of, _words_of = staticmethod(bits_of), staticmethod(words_of)

    def __init__(self, n: int, *, bits: np.ndarray | None = None, words: np.ndarray | None = None, rows: Rows | None = None) -> None:
        self.n = n
        self._bits, self._words, self._rows = bits, words, rows

    def __len__(self) -> int:
        if self._bits is not None:
            return len(self._bits)
        if self._rows is not None:
            return self._rows.n
        assert self._words is not None
        return len(self._words)

    @property
    def has_rows_only(self) -> bool:
        """Whether active units are all that is there so far."""
        return self._rows is not None and self._bits is None and self._words is None

    @property
    def form(self) -> str:
        """The smaller of the forms ``words`` and ``bits`` that is there, or is soonest made."""
        return "bits" if self._words is None else "words"

    @property
    def bits(self) -> np.ndarray:
        """Booleans (B, n)."""
        if self._bits is None:
            self._bits = self._bits_of(self.rows, self.n) if self.has_rows_only else self._unpack(self.words, self.n)
        return self._bits

    @property
    def words(self) -> np.ndarray:
        """Packed words (B, n_words(n))."""
        if self._words is None:
            self._words = self._words_of(self.rows, self.n) if self.has_rows_only else self._pack(self.bits)
        return self._words

    @property
    def rows(self) -> Rows:
        """Active units."""
        if self._rows is None:
            self._rows = rows_of(self.bits)
        return self._rows

    def keys(self) -> np.ndarray:
        """Return a number for each pattern, uint64 (B,): equal for equal patterns, and for others by a chance of 2**-64 only."""
        if self._rows is not None and self._words is None:
            sums = np.concatenate([[np.uint64(0)], np.cumsum(_scattered(self._rows.units), dtype=np.uint64)])
            return sums[self._rows.start[1:]] - sums[self._rows.start[:-1]]
        column = _scattered(np.arange(self.words.shape[1]))
        mixed = np.zeros(len(self), np.uint64)
        for j in range(len(column)):  # one multiplication is linear; the shift between makes it none
            mixed = (mixed ^ self.words[:, j]) * (column[j] | np.uint64(1))
            mixed ^= mixed >> np.uint64(29)
        return mixed

    def part(self, start: int, stop: int) -> Patterns:
        """Return the patterns ``start <= b < stop``."""
        if self.has_rows_only:
            ends = self.rows.start[start : stop + 1]
            return Patterns(self.n, rows=Rows(ends - ends[0], self.rows.units[ends[0] : ends[-1]]))
        return Patterns(
            self.n,
            bits=None if self._bits is None else self._bits[start:stop],
            words=None if self._words is None else self._words[start:stop],
        )


def _scattered(numbers: np.ndarray) -> np.ndarray:
    """Return uint64 numbers without pattern, one for each whole number (splitmix64)."""
    z = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
