"""Clipped Hebbian (Willshaw) memory on a table of bits, on the device; ``kernels/reference/willshaw.py`` has the definitions.

Bound by memory: a recall reads K rows of n_words words for each cue, coalesced over the words. Counts are planes of bits, as on the CPU, and
stay in registers: seven rows are added by full adders for 64 units at a time, so that counting reads no more than the rows.
"""

from __future__ import annotations

from typing import Any

from neuromem.kernels.bits import Rows
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty

_cuda = Source("willshaw")

ROOM = 1 << 28
"""Bytes of planes that a call takes at most."""

MOST_BLOCKS = 65535
"""Blocks in a grid's second dimension; kernels loop over what is more."""


def store(table: Any, pre: Rows, post: Rows, threads: int = 1) -> None:
    """Connect, for each b, the active units of pre pattern b to those of post pattern b; the table changes in place."""
    if pre.n:
        _cuda.launch("store", pre.n, BLOCK, table, table.shape[1], pre.start, pre.units, post.start, post.units)


def recall_all(table: Any, cues: Rows, threads: int = 1) -> Any:
    """Return, packed (B, n_words), the units that all active units of the cue connect to; none for an empty cue."""
    recalled = empty((cues.n, table.shape[1]), table.dtype)
    _over_words("recall_all", table, cues, recalled)
    return recalled


def counts(table: Any, cues: Rows, n_post: int, threads: int = 1) -> Any:
    """Return int32 (B, n_post): how many active units of the cue connect to each unit."""
    counted = empty((cues.n, n_post), "int32")
    _over_words("counts", table, cues, n_post, counted)
    return counted


def recall_threshold(table: Any, cues: Rows, n_post: int, thresholds: Any, threads: int = 1) -> Any:
    """Return, packed (B, n_words), the units with a count of at least ``thresholds[b]``, int64 (B,), each at least 1."""
    recalled = empty((cues.n, table.shape[1]), table.dtype)
    _over_words("recall_threshold", table, cues, thresholds, recalled)
    return recalled


def recall_winners(table: Any, cues: Rows, n_post: int, k: int, threads: int = 1) -> Any:
    """Return, packed (B, n_words), the units whose count is at least the k-th largest: ties are kept, counts of 0 never win."""
    n_pre, n_words = table.shape
    recalled = empty((cues.n, n_words), table.dtype)
    if cues.n:
        n_planes = max(3, n_pre.bit_length())  # no cue has more active units than there are
        blocks = max(1, min(cues.n, ROOM // (8 * n_planes * n_words)))
        planes, tied = empty((blocks, n_planes, n_words), table.dtype), empty((blocks, n_words), table.dtype)
        _cuda.launch("recall_winners", blocks, BLOCK, table, n_words, cues.start, cues.units, cues.n, k, n_planes, planes, tied, recalled)
    return recalled


def _over_words(name: str, table: Any, cues: Rows, *rest: Any) -> None:
    if cues.n:
        grid = blocks_for(table.shape[1]), min(cues.n, MOST_BLOCKS)
        _cuda.launch(name, grid, BLOCK, table, table.shape[1], cues.start, cues.units, cues.n, *rest)
