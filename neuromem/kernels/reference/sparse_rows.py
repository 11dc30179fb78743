"""Clipped Hebbian (Willshaw) memory on sparse rows, in plain NumPy: for up to a million units, where a table of bits does not fit.

The table of ``kernels.reference.willshaw``, kept as in ``kernels.sparse``; patterns and what is recalled are rows of active units.

Source: D. J. Willshaw, O. P. Buneman, H. C. Longuet-Higgins, Nature 222, 960 (1969), doi:10.1038/222960a0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuromem.kernels.bits import Rows
from neuromem.kernels.sparse import SparseTable


def build(pre: Rows, post: Rows, n_pre: int, n_post: int, self_synapses: bool = True, threads: int = 1) -> SparseTable:
    """Return the table that connects, for each b, the active units of pre pattern b to those of post pattern b.

    ``self_synapses=False`` leaves out the synapses from unit i to unit i, as auto-association may want.
    """
    connected: list[set[int]] = [set() for _ in range(n_pre)]
    for b in range(pre.n):
        for i in _active(pre, b):
            connected[i].update(_active(post, b).tolist())
    if not self_synapses:
        for i, row in enumerate(connected):
            row.discard(i)
    return _table((np.array(sorted(row), np.int64) for row in connected), n_post)


def merge(table: SparseTable, more: SparseTable, threads: int = 1) -> SparseTable:
    """Return the table with the synapses of both, which have the same numbers of units."""
    return _table((np.union1d(_row(table, i), _row(more, i)) for i in range(table.start.size - 1)), table.n_post)


def recall_all(table: SparseTable, cues: Rows, threads: int = 1) -> Rows:
    """Return the units that all active units of the cue connect to; none for an empty cue."""
    return _rows(np.flatnonzero(_counts(table, cues, b) >= max(1, _active(cues, b).size)) for b in range(cues.n))


def recall_winners(table: SparseTable, cues: Rows, k: int, threads: int = 1) -> Rows:
    """Return the units whose count of connected cue units is at least the k-th largest: ties are kept, counts of 0 never win."""

    def winners(counts: np.ndarray) -> np.ndarray:
        kth = np.sort(counts)[::-1][k - 1] if k <= counts.size else 0
        return np.flatnonzero(counts >= max(1, kth))

    return _rows(winners(_counts(table, cues, b)) for b in range(cues.n))


def _active(rows: Rows, b: int) -> np.ndarray:
    return rows.units[rows.start[b] : rows.start[b + 1]]


def _counts(table: SparseTable, cues: Rows, b: int) -> np.ndarray:
    counts = np.zeros(table.n_post, np.int64)
    for i in _active(cues, b):
        counts[_row(table, i)] += 1
    return counts


def _row(table: SparseTable, i: int) -> np.ndarray:
    """Return the post units of row i."""
    units: list[int] = []
    gap = shift = 0
    for byte in table.data[table.start[i] : table.start[i + 1]].tolist():
        gap, shift = gap | (byte & 127) << shift, shift + 7
        if byte < 128:
            units.append((units[-1] if units else -1) + 1 + gap)
            gap = shift = 0
    return np.array(units, np.int64)


def _table(rows: Iterable[np.ndarray], n_post: int) -> SparseTable:
    """Return rows of ascending units as a table."""
    start, data = [0], bytearray()
    for row in rows:
        for gap in (np.diff(row, prepend=-1) - 1).tolist():
            while gap >= 128:
                data.append(gap & 127 | 128)
                gap >>= 7
            data.append(gap)
        start.append(len(data))
    return SparseTable(np.array(start, np.int64), np.frombuffer(data, np.uint8), n_post)


def _rows(lists: Iterable[np.ndarray]) -> Rows:
    units = list(lists)
    start = np.cumsum([0, *(u.size for u in units)], dtype=np.int64)
    return Rows(start, np.concatenate([np.zeros(0, np.int64), *units]).astype(np.int32))
