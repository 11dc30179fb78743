"""Bits on the device as booleans, as packed words, and as rows of active units; ``neuromem.kernels.bits`` has the definitions.

Bound by memory. Between booleans and words a thread moves eight units: 9 bytes for 8 of them. Rows are made of words, which are an eighth of the
booleans: pieces of 2,048 units are counted, the counts are added up, and each piece lists its units from where it then begins; that reads the
words twice, and writes 4 bytes for each active unit.
"""

from __future__ import annotations

from typing import Any

import cupy as cp

from neuromem.kernels import bits as host
from neuromem.kernels.bits import Rows, n_words
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, get, zeros

_cuda = Source("bits")

ROOM = 1 << 28
"""Bytes of active units up to which there is room for all units of all patterns, so that the host need not ask how many are active."""

PIECE = 32
"""Words whose active units a warp lists."""

MOST_BLOCKS = 1 << 20
"""Blocks of a launch; kernels loop over what is more."""


def pack(bits: Any) -> Any:
    """Return (B, n) booleans as (B, n_words(n)) uint64; bits beyond n are 0."""
    b, n = bits.shape
    words = empty((b, n_words(n)), "uint64")
    _over(8 * words.size, "pack", cp.ascontiguousarray(bits), b, n, words)
    return words


def unpack(words: Any, n: int) -> Any:
    """Return (B, n_words(n)) uint64 as (B, n) booleans."""
    bits = empty((len(words), n), "bool")
    _over(len(words) * -(-n // 8), "unpack", cp.ascontiguousarray(words), len(words), n, bits)
    return bits


def rows_of(bits: Any) -> Rows:
    """Return (B, n) booleans as rows of active units; see ``rows_of_words``."""
    return rows_of_words(pack(bits), bits.shape[1])


def rows_of_words(words: Any, n: int) -> Rows:
    """Return packed words (B, n_words(n)) as rows of active units.

    ``units`` may be longer than ``start[-1]``, and is not set there: it has room for B n units, where these take ``ROOM`` bytes at most.
    """
    b, width = words.shape
    words, pieces = cp.ascontiguousarray(words), _pieces(width)
    counts = zeros(1 + b * pieces, "int64")
    _over(32 * b * pieces, "count_pieces", words, b, width, pieces, counts)
    first = cp.cumsum(counts)
    room = b * n
    if 4 * room > ROOM:
        room = int(get(first[-1:])[0])  # the only transfer: memory is taken by the host
    units = empty(room, "int32")
    _over(32 * b * pieces, "list_pieces", words, b, width, pieces, first, units)
    return Rows(first[::pieces].copy(), units)


def bits_of(rows: Rows, n: int) -> Any:
    """Return rows of active units as (B, n) booleans."""
    return unpack(words_of(rows, n), n)


def words_of(rows: Rows, n: int) -> Any:
    """Return rows of active units as packed words (B, n_words(n))."""
    words = zeros((rows.n, n_words(n)), "uint64")
    pieces = _pieces(words.shape[1])
    _over(32 * rows.n * pieces, "set_units", rows.start, rows.units, rows.n, words.shape[1], pieces, words)
    return words


class DevicePatterns(host.Patterns):
    """A batch of binary patterns of ``n`` units on the device, as booleans, as packed words, or as rows: converted where a kernel asks.

    The conversions read words where there are any. It has no ``keys``: what asks whether patterns are equal asks on the host.
    """

    _pack, _unpack = staticmethod(pack), staticmethod(unpack)
    _bits_of, _words_of = staticmethod(bits_of), staticmethod(words_of)

    @property
    def form(self) -> str:
        """See ``Patterns.form``; here to pack costs nothing beside what comes next, which reads words."""
        return "words"

    @property
    def rows(self) -> Rows:
        """Active units; ``units`` may be longer than ``start[-1]``."""
        if self._rows is None:
            self._rows = rows_of_words(self.words, self.n)
        return self._rows

    def part(self, start: int, stop: int) -> DevicePatterns:
        """Return the patterns ``start <= b < stop``: views, of which the rows begin at ``rows.start[0]``, which need not be 0."""
        return DevicePatterns(
            self.n,
            bits=None if self._bits is None else self._bits[start:stop],
            words=None if self._words is None else self._words[start:stop],
            rows=Rows(self.rows.start[start : stop + 1], self.rows.units) if self.has_rows_only else None,
        )


def _pieces(width: int) -> int:
    return max(1, -(-width // PIECE))


def _over(threads: int, name: str, *arguments: Any) -> None:
    if threads:
        _cuda.launch(name, min(MOST_BLOCKS, blocks_for(threads)), BLOCK, *arguments)
