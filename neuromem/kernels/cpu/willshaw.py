"""Clipped Hebbian (Willshaw) memory on a table of bits, compiled: the same functions as ``kernels.reference.willshaw``.

Recall reads several rows of the table at once, since one stream of random rows gets less than half of what the memory gives.
Counts are never numbers but *planes*: bit p of the counts of 64 units is one word, so that fifteen rows are added by full
adders for 64 units at a time, and the k-th largest count is found bit by bit from the highest plane down. Where k units or more
connect to the whole cue, as they do to a part of a stored pattern, these have the k-th largest count, and nothing is counted.

Many patterns are stored row by row, each row with all its patterns while it lies in the nearest cache.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.bits import WORD, Rows
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.prefetch import prefetch
from neuromem.kernels.cpu.threads import share, worth
from neuromem.kernels.cpu.visits import by_row

FEW_VISITS = 1  # rows visited less often by one call, on average, are not worth sorting the visits by row
NEAR_UNITS = 1 << 21  # post units that a thread sorts the visits of at a time: 8 MiB, which stay in a shared cache
AHEAD = 4  # visits of a row between asking for a pattern and storing it: enough to hide its way from memory

_inlined = kernel(forceinline=True)


def store(table: np.ndarray, pre: Rows, post: Rows, threads: int = 1) -> None:
    """Connect, for each b, the active units of pre pattern b to those of post pattern b; the table changes in place."""
    threads = worth(threads, 8 * pre.units.size * post.units.size // max(1, pre.n))  # a bit set takes as long as eight words read
    if pre.units.size < FEW_VISITS * len(table):
        share(lambda first, stop: _store_by_pattern(table, *pre, *post, first, stop), len(table), threads, parts=1)
        return
    # Each thread sorts the visits of some patterns by row; then each stores, in its rows, what all have sorted.
    part = max(1, NEAR_UNITS * pre.n // post.units.size) * threads if post.units.size else pre.n
    for begin in range(0, pre.n, part):
        size = min(part, pre.n - begin)
        sorted_parts: list[tuple[np.ndarray, np.ndarray]] = []
        share(lambda b, e: sorted_parts.append(by_row(*pre, len(table), begin + b, begin + e)), size, threads, parts=1)  # noqa: B023
        share(lambda first, stop: [_store_by_row(table, *v, *post, first, stop) for v in sorted_parts], len(table), threads, parts=1)  # noqa: B023


def recall_all(table: np.ndarray, cues: Rows, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units that all active units of the cue connect to; none for an empty cue."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    share(lambda first, stop: _recall_all(table, *cues, recalled, first, stop), cues.n, worth(threads, cues.units.size * table.shape[1]))
    return recalled


def counts(table: np.ndarray, cues: Rows, n_post: int, threads: int = 1) -> np.ndarray:
    """Return int32 (B, n_post): how many active units of the cue connect to each unit."""
    counted = np.zeros((cues.n, WORD * table.shape[1]), np.int32)
    n_planes = _n_planes(cues)
    share(
        lambda first, stop: _counts(table, *cues, n_planes, counted, first, stop),
        cues.n,
        worth(threads, (cues.units.size + WORD * cues.n) * table.shape[1]),
    )
    return counted[:, :n_post]


def recall_threshold(table: np.ndarray, cues: Rows, n_post: int, thresholds: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units with a count of at least ``thresholds[b]``, int64 (B,), each at least 1."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    n_planes = _n_planes(cues)
    share(
        lambda first, stop: _recall_threshold(table, *cues, n_planes, thresholds, recalled, first, stop),
        cues.n,
        worth(threads, cues.units.size * table.shape[1]),
    )
    return recalled


def recall_winners(table: np.ndarray, cues: Rows, n_post: int, k: int, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units whose count is at least the k-th largest: ties are kept, counts of 0 never win."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    n_planes = _n_planes(cues)
    share(
        lambda first, stop: _recall_winners(table, *cues, n_planes, k, recalled, first, stop),
        cues.n,
        worth(threads, cues.units.size * table.shape[1]),
    )
    return recalled


def _n_planes(cues: Rows) -> int:
    """Return how many bits the largest possible count takes; fifteen rows are added at once, so at least four."""
    return max(4, int(np.diff(cues.start).max(initial=0)).bit_length())


@kernel()
def _store_by_pattern(table, pre_start, pre_units, post_start, post_units, first, stop):
    """Store every pattern's part in rows ``first`` to ``stop``."""
    one, six, low = np.uint64(1), np.uint64(6), np.uint64(63)  # word j >> 6, bit j & 63
    for b in range(pre_start.size - 1):
        active = post_units[post_start[b] : post_start[b + 1]]
        for i in pre_units[pre_start[b] : pre_start[b + 1]]:
            if first <= i < stop:
                row = table[i]
                for j in active:
                    row[np.uint64(j) >> six] |= one << (np.uint64(j) & low)


@kernel()
def _store_by_row(table, visits, patterns, post_start, post_units, first, stop):
    """Store row after row, each with all its patterns while it lies in the nearest cache."""
    one, six, low = np.uint64(1), np.uint64(6), np.uint64(63)  # word j >> 6, bit j & 63
    for i in range(first, stop):
        row = table[i]
        for v in range(visits[i], visits[i + 1]):
            prefetch(post_units, post_start[patterns[min(v + AHEAD, patterns.size - 1)]])
            b = patterns[v]
            for j in post_units[post_start[b] : post_start[b + 1]]:
                row[np.uint64(j) >> six] |= one << (np.uint64(j) & low)


@kernel()
def _recall_all(table, start, units, recalled, first, stop):
    for b in range(first, stop):
        _and_rows(table, units, start[b], start[b + 1], recalled[b])


@kernel()
def _and_rows(table, units, start, stop, both):
    """Set ``both`` to the units that all rows ``units[start:stop]`` connect to; to none where there is no row."""
    if start == stop:
        for w in range(both.size):
            both[w] = np.uint64(0)
    last = stop - 1
    for s in range(start, stop, 8):
        r0 = table[units[s]]  # of fewer than eight rows the last is taken again: it changes nothing
        r1 = table[units[min(s + 1, last)]]
        r2 = table[units[min(s + 2, last)]]
        r3 = table[units[min(s + 3, last)]]
        r4 = table[units[min(s + 4, last)]]
        r5 = table[units[min(s + 5, last)]]
        r6 = table[units[min(s + 6, last)]]
        r7 = table[units[min(s + 7, last)]]
        if s == start:
            for w in range(both.size):
                both[w] = r0[w] & r1[w] & r2[w] & r3[w] & r4[w] & r5[w] & r6[w] & r7[w]
        else:
            for w in range(both.size):
                both[w] &= r0[w] & r1[w] & r2[w] & r3[w] & r4[w] & r5[w] & r6[w] & r7[w]


@_inlined
def _add(a, b, c):
    """Return the two bits, low and high, of a + b + c for each bit of the words."""
    differ = a ^ b
    return differ ^ c, a ^ (differ & (a ^ c))


@_inlined
def _add_seven(a, b, c, d, e, f, g):
    """Return the three bits of the sum of seven."""
    one0, two0 = _add(a, b, c)
    one1, two1 = _add(d, e, f)
    one, two2 = _add(one0, one1, g)
    two, four = _add(two0, two1, two2)
    return one, two, four


@kernel()
def _add_rows(table, units, start, stop, planes, more):
    """Set ``planes[p, w]`` to bit p of the counts, over the rows ``units[start:stop]``, of the 64 units of word w."""
    for p in range(4 if stop > start else 0, planes.shape[0]):
        for w in range(planes.shape[1]):
            planes[p, w] = np.uint64(0)
    if stop > start:
        _add_fifteen(table, units, start, stop, planes)
    for s in range(start + 15, stop, 15):
        _add_fifteen(table, units, s, stop, more)
        _add_number(planes, more)


@kernel()
def _add_fifteen(table, units, s, stop, planes):
    """Set four planes to the counts over the rows from s, of which there are no more than fifteen."""
    # Of fewer the last is taken again, and masked: to choose between arrays would cost counting references to them.
    full, none, last = ~np.uint64(0), np.uint64(0), stop - 1
    r0 = table[units[s]]
    r1 = table[units[min(s + 1, last)]]
    r2 = table[units[min(s + 2, last)]]
    r3 = table[units[min(s + 3, last)]]
    r4 = table[units[min(s + 4, last)]]
    r5 = table[units[min(s + 5, last)]]
    r6 = table[units[min(s + 6, last)]]
    r7 = table[units[min(s + 7, last)]]
    r8 = table[units[min(s + 8, last)]]
    r9 = table[units[min(s + 9, last)]]
    r10 = table[units[min(s + 10, last)]]
    r11 = table[units[min(s + 11, last)]]
    r12 = table[units[min(s + 12, last)]]
    r13 = table[units[min(s + 13, last)]]
    r14 = table[units[min(s + 14, last)]]
    m1 = full if s + 1 <= last else none
    m2 = full if s + 2 <= last else none
    m3 = full if s + 3 <= last else none
    m4 = full if s + 4 <= last else none
    m5 = full if s + 5 <= last else none
    m6 = full if s + 6 <= last else none
    m7 = full if s + 7 <= last else none
    m8 = full if s + 8 <= last else none
    m9 = full if s + 9 <= last else none
    m10 = full if s + 10 <= last else none
    m11 = full if s + 11 <= last else none
    m12 = full if s + 12 <= last else none
    m13 = full if s + 13 <= last else none
    m14 = full if s + 14 <= last else none
    ones, twos, fours, eights = planes[0], planes[1], planes[2], planes[3]
    for w in range(ones.size):
        a, b, c = _add_seven(r0[w], r1[w] & m1, r2[w] & m2, r3[w] & m3, r4[w] & m4, r5[w] & m5, r6[w] & m6)
        d, e, f = _add_seven(r7[w] & m7, r8[w] & m8, r9[w] & m9, r10[w] & m10, r11[w] & m11, r12[w] & m12, r13[w] & m13)
        ones[w], g = _add(a, d, r14[w] & m14)
        twos[w], h = _add(b, e, g)
        fours[w], eights[w] = _add(c, f, h)


@kernel()
def _add_number(planes, more):
    """Add numbers of four planes."""
    carry = more[4]
    for w in range(carry.size):
        carry[w] = np.uint64(0)
    for p in range(4):
        plane, bits = planes[p], more[p]
        for w in range(carry.size):
            plane[w], carry[w] = _add(plane[w], bits[w], carry[w])
    for p in range(4, planes.shape[0]):
        plane = planes[p]
        for w in range(carry.size):
            old = plane[w]
            plane[w] = old ^ carry[w]
            carry[w] &= old


@kernel()
def _at_least(planes, threshold, chosen):
    """Set the bits of the units whose count is at least ``threshold``: compared from the lowest bit up."""
    n_planes = planes.shape[0]
    if threshold >> n_planes:
        chosen[:] = np.uint64(0)
        return
    chosen[:] = ~np.uint64(0)
    for p in range(n_planes):
        plane = planes[p]
        if threshold >> p & 1:
            for w in range(chosen.size):
                chosen[w] &= plane[w]
        else:
            for w in range(chosen.size):
                chosen[w] |= plane[w]


@kernel()
def _winners(planes, k, tied, won):
    """Set ``won`` to the units with a count of at least the k-th largest, and of at least 1: bit by bit, from the highest plane down.

    Of the units that agree with the k-th largest count so far, either k or more have its next bit set, or it is 0: those that have
    the bit are then larger.
    """
    for w in range(won.size):
        tied[w], won[w] = ~np.uint64(0), np.uint64(0)
    some = False
    for p in range(planes.shape[0] - 1, -1, -1):
        plane, larger = planes[p], np.uint64(0)
        for w in range(plane.size):
            larger += popcount(tied[w] & plane[w])
        if np.int64(larger) >= k:
            some = True
            for w in range(plane.size):
                tied[w] &= plane[w]
        else:
            k -= np.int64(larger)
            for w in range(plane.size):
                won[w] |= tied[w] & plane[w]
                tied[w] &= ~plane[w]
    if some:  # else the k-th largest count is 0
        for w in range(won.size):
            won[w] |= tied[w]


@kernel()
def _counts(table, start, units, n_planes, counted, first, stop):
    n_words = table.shape[1]
    planes, more = np.empty((n_planes, n_words), np.uint64), np.empty((5, n_words), np.uint64)
    for b in range(first, stop):
        _add_rows(table, units, start[b], start[b + 1], planes, more)
        for w in range(n_words):
            of_word = counted[b, 64 * w : 64 * w + 64]
            for p in range(n_planes):
                bits = planes[p, w]
                for j in range(64):
                    of_word[j] += np.int32((bits >> np.uint64(j)) & np.uint64(1)) << p


@kernel()
def _recall_threshold(table, start, units, n_planes, thresholds, recalled, first, stop):
    n_words = table.shape[1]
    planes, more = np.empty((n_planes, n_words), np.uint64), np.empty((5, n_words), np.uint64)
    for b in range(first, stop):
        _add_rows(table, units, start[b], start[b + 1], planes, more)
        _at_least(planes, thresholds[b], recalled[b])


@kernel()
def _recall_winners(table, start, units, n_planes, k, recalled, first, stop):
    n_words = table.shape[1]
    planes, more = np.empty((n_planes, n_words), np.uint64), np.empty((5, n_words), np.uint64)
    for b in range(first, stop):
        won = recalled[b]
        _and_rows(table, units, start[b], start[b + 1], won)  # brings the rows into the nearest cache too
        complete = np.uint64(0)
        for w in range(n_words):
            complete += popcount(won[w])
        if np.int64(complete) < k:
            _add_rows(table, units, start[b], start[b + 1], planes, more)
            _winners(planes, k, more[0], won)
