"""Clipped Hebbian (Willshaw) memory on a table of bits, compiled: the same functions as ``kernels.reference.willshaw``.

Recall reads several rows of the table at once, since one stream of random rows gets less than half of what the memory gives.
Counts are never numbers but *planes*: bit p of the counts of 64 units is one word, so that seven rows are added by full
adders for 64 units at a time, and the k-th largest count is found bit by bit from the highest plane down.

Many patterns are stored row by row, each row with all its patterns while it lies in the nearest cache.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.bits import WORD, Rows
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.prefetch import prefetch
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.cpu.visits import by_row

FEW_VISITS = 1  # rows visited less often by one call, on average, are not worth sorting the visits by row
NEAR_UNITS = 1 << 21  # post units that a thread sorts the visits of at a time: 8 MiB, which stay in a shared cache
AHEAD = 4  # visits of a row between asking for a pattern and storing it: enough to hide its way from memory


def store(table: np.ndarray, pre: Rows, post: Rows, threads: int = 1) -> None:
    """Connect, for each b, the active units of pre pattern b to those of post pattern b; the table changes in place."""
    if pre.units.size < FEW_VISITS * len(table):
        share(lambda first, stop: _store_by_pattern(table, *pre, *post, first, stop), len(table), threads)
        return
    # Each thread sorts the visits of some patterns by row; then each stores, in its rows, what all have sorted.
    part = max(1, NEAR_UNITS * pre.n // post.units.size) * threads if post.units.size else pre.n
    for begin in range(0, pre.n, part):
        size = min(part, pre.n - begin)
        sorted_parts: list[tuple[np.ndarray, np.ndarray]] = []
        share(lambda b, e: sorted_parts.append(by_row(*pre, len(table), begin + b, begin + e)), size, threads)  # noqa: B023
        share(lambda first, stop: [_store_by_row(table, *v, *post, first, stop) for v in sorted_parts], len(table), threads)  # noqa: B023


def recall_all(table: np.ndarray, cues: Rows, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units that all active units of the cue connect to; none for an empty cue."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    share(lambda first, stop: _recall_all(table, *cues, recalled, first, stop), cues.n, threads)
    return recalled


def counts(table: np.ndarray, cues: Rows, n_post: int, threads: int = 1) -> np.ndarray:
    """Return int32 (B, n_post): how many active units of the cue connect to each unit."""
    counted = np.zeros((cues.n, WORD * table.shape[1]), np.int32)
    n_planes = _n_planes(cues)
    share(lambda first, stop: _counts(table, *cues, n_planes, counted, first, stop), cues.n, threads)
    return counted[:, :n_post]


def recall_threshold(table: np.ndarray, cues: Rows, n_post: int, thresholds: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units with a count of at least ``thresholds[b]``, int64 (B,), each at least 1."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    n_planes = _n_planes(cues)
    share(lambda first, stop: _recall_threshold(table, *cues, n_planes, thresholds, recalled, first, stop), cues.n, threads)
    return recalled


def recall_winners(table: np.ndarray, cues: Rows, n_post: int, k: int, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units whose count is at least the k-th largest: ties are kept, counts of 0 never win."""
    recalled = np.empty((cues.n, table.shape[1]), np.uint64)
    n_planes = _n_planes(cues)
    share(lambda first, stop: _recall_winners(table, *cues, n_planes, k, recalled, first, stop), cues.n, threads)
    return recalled


def _n_planes(cues: Rows) -> int:
    """Return how many bits the largest possible count takes; seven rows are added at once, so at least three."""
    return max(3, int(np.diff(cues.start).max(initial=0)).bit_length())


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
        both = recalled[b]
        if start[b] == start[b + 1]:
            both[:] = np.uint64(0)
        for s in range(start[b], start[b + 1], 8):
            last = start[b + 1] - 1  # of fewer than eight rows the last is taken again: it changes nothing
            r0 = table[units[s]]
            r1 = table[units[min(s + 1, last)]]
            r2 = table[units[min(s + 2, last)]]
            r3 = table[units[min(s + 3, last)]]
            r4 = table[units[min(s + 4, last)]]
            r5 = table[units[min(s + 5, last)]]
            r6 = table[units[min(s + 6, last)]]
            r7 = table[units[min(s + 7, last)]]
            if s == start[b]:
                for w in range(both.size):
                    both[w] = r0[w] & r1[w] & r2[w] & r3[w] & r4[w] & r5[w] & r6[w] & r7[w]
            else:
                for w in range(both.size):
                    both[w] &= r0[w] & r1[w] & r2[w] & r3[w] & r4[w] & r5[w] & r6[w] & r7[w]


@kernel()
def _add_rows(table, units, start, stop, planes, carry):
    """Set ``planes[p, w]`` to bit p of the counts, over the rows ``units[start:stop]``, of the 64 units of word w."""
    full, none = ~np.uint64(0), np.uint64(0)
    planes[:] = none
    ones, twos, fours = planes[0], planes[1], planes[2]
    last = stop - 1
    for s in range(start, stop, 7):
        r0 = table[units[s]]
        r1 = table[units[min(s + 1, last)]]
        r2 = table[units[min(s + 2, last)]]
        r3 = table[units[min(s + 3, last)]]
        r4 = table[units[min(s + 4, last)]]
        r5 = table[units[min(s + 5, last)]]
        r6 = table[units[min(s + 6, last)]]
        m1 = full if s + 1 <= last else none
        m2 = full if s + 2 <= last else none
        m3 = full if s + 3 <= last else none
        m4 = full if s + 4 <= last else none
        m5 = full if s + 5 <= last else none
        m6 = full if s + 6 <= last else none
        for w in range(ones.size):
            # Full adders (sum x ^ y ^ z, carry x & y | (x ^ y) & z): seven rows and the plane of ones are eight bits of weight 1 ...
            a, b, c, d = r0[w], r1[w] & m1, r2[w] & m2, r3[w] & m3
            e, f, g, h = r4[w] & m4, r5[w] & m5, r6[w] & m6, ones[w]
            ab, de, gh = a ^ b, d ^ e, g ^ h
            abc, def_ = ab ^ c, de ^ f
            two0 = (a & b) | (ab & c)
            two1 = (d & e) | (de & f)
            both = abc ^ def_
            two2 = (abc & def_) | (both & gh)
            two3 = g & h
            ones[w] = both ^ gh
            # ... which carry four of weight 2, with the plane of twos five; these carry two of weight 4, with the plane of fours three.
            two4 = twos[w]
            x = two0 ^ two1
            four0 = (two0 & two1) | (x & two2)
            x ^= two2
            y = two3 ^ two4
            four1 = (two3 & two4) | (x & y)
            twos[w] = x ^ y
            four2 = fours[w]
            x = four0 ^ four1
            carry[w] = (four0 & four1) | (x & four2)
            fours[w] = x ^ four2
        for p in range(3, planes.shape[0]):
            plane = planes[p]
            for w in range(plane.size):
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
def _n_common(a, b):
    common = np.uint64(0)
    for w in range(a.size):
        common += popcount(a[w] & b[w])
    return np.int64(common)


@kernel()
def _kth_largest(planes, k, tied):
    """Return the k-th largest count: of the units that agree with it so far, k or more have its next bit set, or it is not set."""
    tied[:] = ~np.uint64(0)
    count = 0
    for p in range(planes.shape[0] - 1, -1, -1):
        plane = planes[p]
        larger = _n_common(tied, plane)
        if larger >= k:
            count |= 1 << p
            for w in range(tied.size):
                tied[w] &= plane[w]
        else:
            k -= larger
            for w in range(tied.size):
                tied[w] &= ~plane[w]
    return count


@kernel()
def _counts(table, start, units, n_planes, counted, first, stop):
    n_words = table.shape[1]
    planes, carry = np.empty((n_planes, n_words), np.uint64), np.empty(n_words, np.uint64)
    for b in range(first, stop):
        _add_rows(table, units, start[b], start[b + 1], planes, carry)
        for w in range(n_words):
            of_word = counted[b, 64 * w : 64 * w + 64]
            for p in range(n_planes):
                bits = planes[p, w]
                for j in range(64):
                    of_word[j] += np.int32((bits >> np.uint64(j)) & np.uint64(1)) << p


@kernel()
def _recall_threshold(table, start, units, n_planes, thresholds, recalled, first, stop):
    n_words = table.shape[1]
    planes, carry = np.empty((n_planes, n_words), np.uint64), np.empty(n_words, np.uint64)
    for b in range(first, stop):
        _add_rows(table, units, start[b], start[b + 1], planes, carry)
        _at_least(planes, thresholds[b], recalled[b])


@kernel()
def _recall_winners(table, start, units, n_planes, k, recalled, first, stop):
    n_words = table.shape[1]
    planes, carry = np.empty((n_planes, n_words), np.uint64), np.empty(n_words, np.uint64)
    for b in range(first, stop):
        _add_rows(table, units, start[b], start[b + 1], planes, carry)
        _at_least(planes, max(1, _kth_largest(planes, k, recalled[b])), recalled[b])
