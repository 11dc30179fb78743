"""Clipped Hebbian (Willshaw) memory on sparse rows, compiled: the same functions as ``kernels.reference.sparse_rows``.

A row is brought into order, and rid of what it holds twice, by marking its units in a bitmap of the post units and
reading that from its beginning: linear in the units, where sorting is not. A second bitmap marks the words of the first that
are not 0. The table is built in two passes, the first of which only measures the rows, so that nothing but
the table itself grows with the synapses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuromem.kernels.bits import Rows
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.prefetch import prefetch
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.cpu.visits import by_row
from neuromem.kernels.sparse import SparseTable

AHEAD = 4  # visits of a row between asking for a pattern and marking it
LINE = 64  # bytes that a processor fetches at once

_inlined = kernel(forceinline=True)


def build(pre: Rows, post: Rows, n_pre: int, n_post: int, self_synapses: bool = True, threads: int = 1) -> SparseTable:
    """Return the table that connects, for each b, the active units of pre pattern b to those of post pattern b.

    ``self_synapses=False`` leaves out the synapses from unit i to unit i, as auto-association may want.
    """
    visits, patterns = by_row(*pre, n_pre, 0, pre.n)
    return _in_two_passes(
        lambda start, data, write, first, stop: _build(visits, patterns, *post, n_post, self_synapses, start, data, write, first, stop),
        n_pre,
        n_post,
        threads,
    )


def merge(table: SparseTable, more: SparseTable, threads: int = 1) -> SparseTable:
    """Return the table with the synapses of both, which have the same numbers of units."""
    return _in_two_passes(
        lambda start, data, write, first, stop: _merge(*table, more.start, more.data, start, data, write, first, stop),
        table.start.size - 1,
        table.n_post,
        threads,
    )


def recall_all(table: SparseTable, cues: Rows, threads: int = 1) -> Rows:
    """Return the units that all active units of the cue connect to; none for an empty cue."""
    return _shared(lambda first, stop: _recall_all(table.start, table.data, *cues, first, stop), cues.n, threads)


def recall_winners(table: SparseTable, cues: Rows, k: int, threads: int = 1) -> Rows:
    """Return the units whose count of connected cue units is at least the k-th largest: ties are kept, counts of 0 never win."""
    return _shared(lambda first, stop: _recall_winners(*table, *cues, k, first, stop), cues.n, threads)


def _in_two_passes(fill: Callable[..., object], n_pre: int, n_post: int, threads: int) -> SparseTable:
    """Let ``fill`` measure the rows into ``start``, then write them."""
    start = np.zeros(n_pre + 1, np.int64)
    share(lambda first, stop: fill(start, np.zeros(0, np.uint8), False, first, stop), n_pre, threads, parts=1)
    np.cumsum(start, out=start)
    data = np.empty(start[-1], np.uint8)
    share(lambda first, stop: fill(start, data, True, first, stop), n_pre, threads, parts=1)
    return SparseTable(start, data, n_post)


def _shared(recall: Callable[[int, int], tuple[np.ndarray, np.ndarray]], n: int, threads: int) -> Rows:
    """Put the parts that the threads recalled behind each other."""
    parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    share(lambda first, stop: parts.setdefault(first, recall(first, stop)), n, threads)
    in_order = [parts[first] for first in sorted(parts)]
    start = np.zeros(n + 1, np.int64)
    np.cumsum(np.concatenate([sizes for sizes, _ in in_order]), out=start[1:])
    return Rows(start, np.concatenate([units for _, units in in_order]))


@_inlined
def _lowest(word):
    """Return the number of the lowest set bit of a word that is not 0."""
    return np.int64(popcount(~word & (word - np.uint64(1))))


@_inlined
def _mark(marks, marked, unit):
    word = unit >> 6
    marks[word] |= np.uint64(1) << np.uint64(unit & 63)
    marked[word >> 6] |= np.uint64(1) << np.uint64(word & 63)


@_inlined
def _next(data, at, unit):
    """Return where the gap after ``at`` begins, and the unit that follows ``unit``."""
    byte = np.int64(data[at])
    gap, shift = byte & 127, 7
    while byte >= 128:
        at += 1
        byte = np.int64(data[at])
        gap |= (byte & 127) << shift
        shift += 7
    return at + 1, unit + 1 + gap


@kernel()
def _unmark(marks, marked, data, at, write):
    """Clear all marks, write their gaps from ``data[at]`` on if ``write``, and return where they end."""
    one, before = np.uint64(1), -1
    for part in range(marked.size):
        words = marked[part]
        marked[part] = 0
        while words:
            word = 64 * part + _lowest(words)
            words &= words - one
            units = marks[word]
            marks[word] = 0
            while units:
                unit = 64 * word + _lowest(units)
                units &= units - one
                gap = unit - before - 1
                before = unit
                while gap >= 128:
                    if write:
                        data[at] = gap & 127 | 128
                    at += 1
                    gap >>= 7
                if write:
                    data[at] = gap
                at += 1
    return at


@kernel()
def _no_marks(n_post):
    words = -(-n_post // 64)
    return np.zeros(words, np.uint64), np.zeros(-(-words // 64), np.uint64)


@kernel()
def _build(visits, patterns, post_start, post_units, n_post, self_synapses, start, data, write, first, stop):
    marks, marked = _no_marks(n_post)
    for i in range(first, stop):
        for v in range(visits[i], visits[i + 1]):
            prefetch(post_units, post_start[patterns[min(v + AHEAD, patterns.size - 1)]])
            b = patterns[v]
            for j in post_units[post_start[b] : post_start[b + 1]]:
                if self_synapses or j != i:
                    _mark(marks, marked, j)
        end = _unmark(marks, marked, data, start[i] if write else 0, write)
        if not write:
            start[i + 1] = end


@kernel()
def _merge(start_a, data_a, n_post, start_b, data_b, start, data, write, first, stop):
    marks, marked = _no_marks(n_post)
    for i in range(first, stop):
        at, unit = start_a[i], -1
        while at < start_a[i + 1]:
            at, unit = _next(data_a, at, unit)
            _mark(marks, marked, unit)
        at, unit = start_b[i], -1
        while at < start_b[i + 1]:
            at, unit = _next(data_b, at, unit)
            _mark(marks, marked, unit)
        end = _unmark(marks, marked, data, start[i] if write else 0, write)
        if not write:
            start[i + 1] = end


@kernel()
def _with_room(units, used, more):
    """Return the array with room for ``more`` units behind the first ``used``."""
    if used + more <= units.size:
        return units
    larger = np.empty(max(2 * units.size, used + more), units.dtype)
    larger[:used] = units[:used]
    return larger


@kernel()
def _ask_for(start, data, row):
    """Have all rows of a cue fetched together: one after the other each would be waited for."""
    for i in row:
        for at in range(start[i], min(start[i + 1], start[i] + 16 * LINE), LINE):
            prefetch(data, at)


@kernel()
def _recall_all(start, data, cue_start, cue_units, first, stop):
    """Return how many units each cue recalls, and the units."""
    sizes, units, used = np.zeros(stop - first, np.int64), np.empty(1024, np.int32), 0
    for b in range(first, stop):
        row = cue_units[cue_start[b] : cue_start[b + 1]]
        if row.size == 0:
            continue
        _ask_for(start, data, row)
        shortest = 0
        for s in range(row.size):
            if start[row[s] + 1] - start[row[s]] < start[row[shortest] + 1] - start[row[shortest]]:
                shortest = s
        # The units of the shortest row, then of those the ones that each further row has too.
        at, end = start[row[shortest]], start[row[shortest] + 1]
        units = _with_room(units, used, end - at)
        unit, size = -1, 0
        while at < end:
            at, unit = _next(data, at, unit)
            units[used + size] = unit
            size += 1
        for s in range(row.size):
            if s == shortest:
                continue
            at, end, unit = start[row[s]], start[row[s] + 1], -1
            kept, c = 0, 0
            while at < end and c < size:
                at, unit = _next(data, at, unit)
                while c < size and units[used + c] < unit:
                    c += 1
                if c < size and units[used + c] == unit:
                    units[used + kept] = unit
                    kept += 1
            size = kept
        sizes[b - first] = size
        used += size
    return sizes, units[:used]


@kernel()
def _recall_winners(start, data, n_post, cue_start, cue_units, k, first, stop):
    """Return how many units each cue recalls, and the units."""
    sizes, units, used = np.zeros(stop - first, np.int64), np.empty(1024, np.int32), 0
    counts = np.zeros(n_post, np.int32)
    reached = np.empty(1024, np.int32)
    for b in range(first, stop):
        row = cue_units[cue_start[b] : cue_start[b + 1]]
        _ask_for(start, data, row)
        at_count = np.zeros(row.size + 1, np.int64)  # how many units have each count
        n_reached = 0
        for i in row:
            at, end, unit = start[i], start[i + 1], -1
            reached = _with_room(reached, n_reached, end - at)
            while at < end:
                at, unit = _next(data, at, unit)
                count = counts[unit]
                counts[unit] = count + 1
                at_count[count + 1] += 1
                if count == 0:
                    reached[n_reached] = unit
                    n_reached += 1
                else:
                    at_count[count] -= 1
        threshold, above = row.size, 0
        while threshold > 1 and above + at_count[threshold] < k:
            above += at_count[threshold]
            threshold -= 1
        units = _with_room(units, used, n_reached)
        begin = used
        for unit in reached[:n_reached]:
            if counts[unit] >= threshold:
                units[used] = unit
                used += 1
            counts[unit] = 0
        units[begin:used].sort()
        sizes[b - first] = used - begin
    return sizes, units[:used]
