"""Clipped Hebbian (Willshaw) memory on sparse rows, on the device; ``kernels/reference/sparse_rows.py`` has the definitions.

A row is made by one block, which marks its units in a bitmap and reads that from its beginning; so many blocks run that their bitmaps stay in
the second-level cache. What a row holds is read 32 bytes at a time: units are prefix sums of bytes. The table is built in two launches,
the first of which only measures the rows; then the table's size is got from the device, as the number of the pre patterns' units was.

A recall is one block a cue, with a warp for each of its rows: it counts how many rows have each unit, in memory of the device, and reads the counts twice
at most. Bound by memory: 8 to 16 bytes for each post unit of a cue, and the bytes of its rows. The units recalled are bits first, then a
list, whose size is one number got from the device for each ``WORDS`` bytes of bits.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.bits import Rows, n_words
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, get, zeros
from neuromem.kernels.sparse import SparseTable

_cuda = Source("sparse_rows")

MOST_BLOCKS = 2048  # of a launch, whose blocks go on to further rows or cues: more than run at once on any device
MARKS = 1 << 25
"""Bytes of bitmaps that are in hand together: they stay in the second-level cache."""

COUNTS = 1 << 30
"""Bytes of counts that a recall takes at most."""

WORDS = 1 << 28
"""Bytes of recalled bits that are made at once."""


def build(pre: Rows, post: Rows, n_pre: int, n_post: int, self_synapses: bool = True, threads: int = 1) -> SparseTable:
    """Return the table that connects, for each b, the active units of pre pattern b to those of post pattern b.

    ``self_synapses=False`` leaves out the synapses from unit i to unit i, as auto-association may want.
    """
    first, stop = get(pre.start[:: pre.n]).tolist() if pre.n else (0, 0)  # units may be longer than what the patterns have of them
    if first == stop:
        return SparseTable(zeros(n_pre + 1, np.int64), empty(0, np.uint8), n_post)
    n, units = stop - first, pre.units[first:stop]
    owner, visits = empty(n, np.int32), empty(n_pre + 1, np.int64)
    _cuda.launch("owners", blocks_for(pre.n, BLOCK // 32), BLOCK, pre.start, pre.n, owner)
    order = cp.argsort(units, kind="stable")
    _cuda.launch("starts", blocks_for(n_pre + 1), BLOCK, units[order], n, n_pre, visits)
    return _in_two_passes("build", n_pre, n_post, visits, owner[order], post.start, post.units, int(self_synapses))


def merge(table: SparseTable, more: SparseTable, threads: int = 1) -> SparseTable:
    """Return the table with the synapses of both, which have the same numbers of units."""
    return _in_two_passes("merge", table.start.size - 1, table.n_post, table.start, table.data, more.start, more.data)


def recall_all(table: SparseTable, cues: Rows, threads: int = 1) -> Rows:
    """Return the units that all active units of the cue connect to; none for an empty cue."""
    return _recalled(table, cues, winners=False, k=0)


def recall_winners(table: SparseTable, cues: Rows, k: int, threads: int = 1) -> Rows:
    """Return the units whose count of connected cue units is at least the k-th largest: ties are kept, counts of 0 never win."""
    return _recalled(table, cues, winners=True, k=k)


def _in_two_passes(name: str, n_pre: int, n_post: int, *arguments: Any) -> SparseTable:
    """Let a kernel measure the rows, then write them."""
    start, words = zeros(n_pre + 1, np.int64), n_words(n_post)
    blocks = max(1, min(n_pre, MOST_BLOCKS, MARKS // (8 * max(1, words))))
    room, sizes = zeros(blocks * words, np.uint64), empty(n_pre, np.int64)
    _cuda.launch(name, blocks, BLOCK, *arguments, n_pre, words, room, sizes, start, empty(0, np.uint8), 0)
    start[1:] = cp.cumsum(sizes)
    data = empty(int(get(start[-1:])[0]), np.uint8)
    _cuda.launch(name, blocks, BLOCK, *arguments, n_pre, words, room, sizes, start, data, 1)
    return SparseTable(start, data, n_post)


def _recalled(table: SparseTable, cues: Rows, winners: bool, k: int) -> Rows:
    """Return the units recalled, of so many cues at a time that their bits have room."""
    start, words = zeros(cues.n + 1, np.int64), n_words(table.n_post)
    blocks = max(1, min(cues.n, MOST_BLOCKS, COUNTS // (256 * max(1, words))))
    counts, at_once = zeros(blocks * 64 * words, np.int32), max(1, WORDS // (8 * max(1, words)))
    parts, n_before = [empty(0, np.int32)], 0
    for first in range(0, cues.n, at_once):
        n = min(at_once, cues.n - first)
        recalled, sizes = empty((n, words), np.uint64), empty(n, np.int64)
        cue_start = cues.start[first : first + n + 1]
        _cuda.launch(
            "recall",
            min(n, blocks),
            BLOCK,
            table.start,
            table.data,
            words,
            cue_start,
            cues.units,
            n,
            int(winners),
            k,
            counts,
            recalled,
            sizes,
        )
        ends = cp.cumsum(sizes)
        units = empty(int(get(ends[-1:])[0]), np.int32)
        _cuda.launch("list", min(n, MOST_BLOCKS), BLOCK, recalled, words, n, ends - sizes, units)
        start[first + 1 : first + n + 1] = ends + n_before
        parts.append(units)
        n_before += units.size
    return Rows(start, parts[1] if len(parts) == 2 else cp.concatenate(parts))
