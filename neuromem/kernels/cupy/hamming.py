"""Exact best match of packed patterns, on the device; ``kernels/reference/hamming.py`` has the definitions and the layout.

One cue is bound by memory: every word of the table is read once, two rows (16 bytes) a thread. Several cues go in tiles of up to 8, for
which a word is read once, and are bound by the counting of bits, 16 words of 32 bits a clock and multiprocessor, from about four cues on.
For hundreds of cues a product of int8 matrices on tensor cores would be faster; which one pays is for a benchmark to say.

The k nearest are selected from the distances: the k-th lowest is found by counting how often each digit of 11 bits occurs, what is nearer
and the first of its equals are gathered in order of index, and these k are ranked by k comparisons each. Everything is whole numbers, so
that results are those of the reference to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, zeros
from neuromem.kernels.reference.hamming import NONE, ROWS

__all__ = ["NONE", "ROWS", "append", "best_match", "block", "distances", "lowest_distances", "take", "top_k"]

_cuda = Source("hamming")

ROOM = 1 << 28
"""Bytes of distances and candidates that ``top_k`` keeps at a time, for one cue at least: 4 a pattern."""

GROUPS = 8192
"""Blocks of threads in a search: several times what a device runs at once, so that no processor is idle for long at the end."""

PARTS = 1024
"""Parts of the patterns from which the k nearest are gathered, at most."""

LEAST_PART = 4096
"""Patterns in a part, at least."""

DIGIT = 11
"""Bits of a digit of a distance, as in ``hamming.cu``."""

MOST_BLOCKS = 65535
"""Blocks in a grid's second dimension."""


def block(words: Any, threads: int = 1) -> Any:
    """Return (M, n_words) packed patterns as blocks, uint64 of shape (ceil(M / 256), n_words, 256)."""
    m, n_words = words.shape
    blocks = zeros((_n_blocks(m), n_words, ROWS), np.uint64)
    _place(words, blocks, 0)
    return blocks


def append(blocks: Any, n_patterns: int, words: Any, threads: int = 1) -> Any:
    """Return blocks that hold the ``n_patterns`` of ``blocks`` and then those of ``words``; ``blocks`` itself may be changed.

    There may be more blocks than needed, so that many small appends cost no more than a few large ones.
    """
    needed = _n_blocks(n_patterns + len(words))
    if needed > len(blocks):
        used = _n_blocks(n_patterns)
        grown = zeros((max(needed, len(blocks) + len(blocks) // 2), *blocks.shape[1:]), np.uint64)
        grown[:used] = blocks[:used]
        blocks = grown
    _place(words, blocks, n_patterns)
    return blocks


def take(blocks: Any, index: Any) -> Any:
    """Return the patterns at ``index`` (k,), int64, as packed rows (k, n_words); each index is that of a stored pattern, which nothing checks."""
    n_words = blocks.shape[1]
    words = empty((len(index), n_words), np.uint64)
    if len(index):
        _cuda.launch("take", _by_sectors(len(index), n_words), BLOCK, blocks, n_words, index, len(index), words)
    return words


def distances(blocks: Any, n_patterns: int, cues: Any, threads: int = 1) -> Any:
    """Return the Hamming distances of (B, n_words) cues to all patterns, int32 of shape (B, M)."""
    found = empty((len(cues), n_patterns), np.int32)
    if found.size:
        tile, n_tiles = _tiles(len(cues))
        _cuda.launch(
            "distances", _n_blocks(n_patterns) * n_tiles, ROWS // 2, blocks, cues.shape[1], n_patterns, cues, len(cues), tile, found
        )
    return found


def best_match(blocks: Any, n_patterns: int, cues: Any, threads: int = 1) -> tuple[Any, Any]:
    """Return the nearest pattern of each cue: its index, int64 (B,), and its distance, int32 (B,).

    Of several at the same distance it is the one of the lowest index; without patterns, index -1 and distance ``NONE``.
    The margin to the next one costs a scan of its own: ``top_k`` with k = 2.
    """
    b, n_words = cues.shape
    index, distance = empty(b, np.int64), empty(b, np.int32)
    if b:
        tile, n_tiles = _tiles(b)
        groups = min(_n_blocks(n_patterns), max(1, GROUPS // n_tiles))
        best = empty((groups, b), np.uint64)
        if groups:
            _cuda.launch("nearest", groups * n_tiles, ROWS // 2, blocks, n_words, n_patterns, cues, b, tile, groups, best)
        _cuda.launch("nearest_of_groups", b, 1024, best, groups, b, index, distance)
    return index, distance


def top_k(blocks: Any, n_patterns: int, cues: Any, k: int, threads: int = 1) -> tuple[Any, Any]:
    """Return the k >= 1 nearest patterns of each cue, nearest first: indices, int64 (B, k), and distances, int32 (B, k).

    Equal distances stand in order of index. Where there are fewer than k patterns, the rest has index -1 and distance ``NONE``.
    """
    index, distance = empty((len(cues), k), np.int64), empty((len(cues), k), np.int32)
    at_once = max(1, min(MOST_BLOCKS, ROOM // (4 * n_patterns + 8 * k)))
    for first in range(0, len(cues), at_once):
        some = slice(first, first + at_once)
        _select(distances(blocks, n_patterns, cues[some]), cues.shape[1], index[some], distance[some])
    return index, distance


def lowest_distances(blocks: Any, n_patterns: int, cues: Any, n_words: int, threads: int = 1) -> Any:
    """Return the lowest distance of each block in the first ``n_words`` words, int32 of shape (B, ceil(n_patterns / 256))."""
    n_blocks = _n_blocks(n_patterns)
    lowest = empty((len(cues), n_blocks), np.int32)
    if lowest.size:
        tile, n_tiles = _tiles(len(cues))
        sizes = cues.shape[1], n_words, n_patterns
        _cuda.launch("lowest_distances", n_blocks * n_tiles, ROWS // 2, blocks, *sizes, cues, len(cues), tile, lowest)
    return lowest


def _n_blocks(n_patterns: int) -> int:
    return -(-n_patterns // ROWS)


def _by_sectors(n: int, n_words: int) -> tuple[int, int]:
    return blocks_for(n), min(-(-n_words // 4), MOST_BLOCKS)


def _place(words: Any, blocks: Any, at: int) -> None:
    m, n_words = words.shape
    if m:
        _cuda.launch("place", _by_sectors(m, n_words), BLOCK, words, m, n_words, at, blocks)


def _tiles(n_cues: int) -> tuple[int, int]:
    """Return how many cues go together, and how many such tiles there are."""
    tile = next(size for size in (8, 4, 2, 1) if size <= n_cues)
    return tile, -(-n_cues // tile)


def _select(found: Any, n_words: int, index: Any, distance: Any) -> None:
    """Write the nearest of each cue to ``index`` and ``distance`` (B, n_wanted), by the distances ``found`` (B, M)."""
    (b, n_patterns), n_wanted = found.shape, index.shape[1]
    k = min(n_wanted, n_patterns)
    kth, left, keys = zeros(b, np.int64), zeros(b, np.int64) + k, empty((b, k), np.uint64)
    if k:
        n_part = max(LEAST_PART, -(-n_patterns // (PARTS * BLOCK)) * BLOCK)
        grid = -(-n_patterns // n_part), b
        of_all = found, n_patterns, n_part
        counts = zeros((b, 1 << DIGIT), np.uint64)
        for shift in range(((64 * n_words).bit_length() - 1) // DIGIT * DIGIT, -1, -DIGIT):
            _cuda.launch("histogram", grid, BLOCK, *of_all, shift, kth, counts)
            _cuda.launch("next_digit", b, BLOCK, counts, kth, left)
        below, equal = empty((b, grid[0]), np.int64), empty((b, grid[0]), np.int64)
        _cuda.launch("tally", grid, BLOCK, *of_all, kth, below, equal)
        _cuda.launch("gather", grid, BLOCK, *of_all, kth, left, below, equal, k, keys)
    _cuda.launch("order", (blocks_for(n_wanted), b), BLOCK, keys, k, left, n_wanted, index, distance)
