"""Hebbian weights that are kept as patterns, compiled: what ``hopfield.py`` has for them.

Numbers of 64 patterns are *planes*: bit p of each in one word. A sum of them over the patterns in which a unit is 1 is then one AND and one
count of bits for each plane, and to add 1 to some and take it from others is a carry that runs through the planes.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.bits import WORD, n_words, pack
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.prefetch import prefetch
from neuromem.kernels.cpu.threads import share, worth
from neuromem.kernels.reference.hopfield import Settled, at_cues

BAND = 64  # patterns whose words stay in a core's own cache while all cues pass


def transpose(x: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return patterns by pattern (M, n_words(N)) as patterns by unit (n_words(M), N)."""
    xt = np.zeros((n_words(len(x)), WORD * x.shape[1]), np.uint64)
    share(lambda first, stop: _transpose(x, first, stop, xt), len(x), worth(threads, WORD * x.size), WORD)
    return np.ascontiguousarray(xt[:, :n_units])


def overlaps(x: np.ndarray, states: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return ``o_bm = sum_i s_bi x_mi`` of packed states (B, n_words(N)), int32 (B, M)."""
    found = np.empty((len(states), len(x)), np.int32)
    share(lambda first, stop: _overlaps(x, states, n_units, first, stop, found), len(x), worth(threads, x.size * len(states)))
    return found


def fields(xt: np.ndarray, n_patterns: int, overlaps: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``h_bj = sum_m o_bm x_mj`` of int32 overlaps (B, M), int64 (B, N); self-coupling is part of it."""
    h = np.empty((len(overlaps), xt.shape[1]), np.int64)
    share(lambda first, stop: _fields(xt, overlaps, first, stop, h), xt.shape[1], worth(threads, xt.size * len(overlaps)), 8)
    return h


def async_recall_patterns(
    x: np.ndarray,
    yt: np.ndarray,
    n_patterns: int,
    states: np.ndarray,
    orders: np.ndarray,
    max_sweeps: int,
    self_coupling: bool = False,
    threads: int = 1,
) -> Settled:
    """Return the same for ``w_ij = sum_m x_mi y_mj``, of which only the patterns exist: ``x`` by pattern, ``yt`` by unit.

    What is kept up to date is not the inputs but how many units differ from each pattern: a flip changes M numbers, not N, by 1.
    """
    n = states.shape[1]
    x_rows, y_rows = (np.ascontiguousarray(by_unit.T) for by_unit in (transpose(x, n, threads), yt))
    own = np.zeros(n, np.int64) if self_coupling else n_patterns - 2 * np.bitwise_count(x_rows ^ y_rows).sum(axis=1, dtype=np.int64)
    settled = at_cues(states)
    differ = (n - overlaps(x, pack(states > 0), n, threads)) >> 1
    share(
        lambda first, stop: _settle_patterns(x_rows, y_rows, own, n_patterns, differ, orders, max_sweeps, *settled, first, stop),
        len(states), threads,
    )  # fmt: skip
    return settled


def energy_patterns(x: np.ndarray, states: np.ndarray, n_units: int, self_coupling: bool = False, threads: int = 1) -> np.ndarray:
    """Return the same for the Hebbian weights of patterns, both packed: ``-1/2 (sum_m o_m^2 - M N)``, or without ``- M N``."""
    own = 0.0 if self_coupling else float(len(x) * n_units)
    return -0.5 * ((overlaps(x, states, n_units, threads).astype(np.float64) ** 2).sum(axis=1) - own)


@kernel()
def _transpose(x, first, stop, xt):
    one = np.uint64(1)
    for m in range(first, stop):
        row, bit = xt[m >> 6], np.uint64(m & 63)
        for u in range(x.shape[1]):
            word, units = x[m, u], row[64 * u : 64 * u + 64]
            for j in range(64):
                units[j] |= ((word >> np.uint64(j)) & one) << bit


@kernel()
def _overlaps(x, states, n_units, first, stop, found):
    for start in range(first, stop, BAND):
        for b in range(len(states)):
            state = states[b]
            for m in range(start, min(start + BAND, stop)):
                row, differ = x[m], np.uint64(0)
                for w in range(state.size):
                    differ += popcount(row[w] ^ state[w])
                found[b, m] = n_units - 2 * np.int64(differ)


@kernel()
def _planes(o, planes):
    """Set bit m of ``planes[p]`` to bit p of ``o[m]`` in two's complement; return how many planes say everything, a multiple of 4."""
    span = np.int32(0)
    for m in range(o.size):
        span |= o[m] ^ (o[m] >> np.int32(31))
    n_planes = 4
    while n_planes < 32 and span >> (n_planes - 1):
        n_planes += 4
    for p in range(n_planes):
        plane = np.uint64(0)
        for m in range(o.size):
            plane |= np.uint64((o[m] >> p) & 1) << np.uint64(m)
        planes[p] = plane
    return n_planes


@kernel()
def _fields(xt, overlaps, first, stop, h):
    """For bits b of 0 and 1, ``h_j = 2 sum_m o_m b_mj - sum_m o_m``; the sum over 64 patterns is one over the bits of o."""
    planes = np.empty(32, np.uint64)
    for b in range(len(overlaps)):
        total = np.int64(0)
        for m in range(overlaps.shape[1]):
            total += overlaps[b, m]
        row = h[b, first:stop]
        row[:] = -total
        for w in range(xt.shape[0]):
            n_planes = _planes(overlaps[b, 64 * w : 64 * w + 64], planes)
            x = xt[w, first:stop]
            for p in range(0, n_planes, 4):
                a0, a1, a2, a3 = planes[p], planes[p + 1], planes[p + 2], planes[p + 3]
                top = np.int64(-8 if p + 4 == n_planes else 8)  # the highest bit of two's complement counts against
                for j in range(row.size):
                    of_four = (
                        np.int64(popcount(x[j] & a0))
                        + 2 * np.int64(popcount(x[j] & a1))
                        + 4 * np.int64(popcount(x[j] & a2))
                        + top * np.int64(popcount(x[j] & a3))
                    )
                    row[j] += of_four << (p + 1)


@kernel()
def _settle_patterns(x, y, own, n_patterns, differ, orders, max_sweeps, states, sweeps, flips, converged, first, stop):
    """``planes[p, w]``: bit p of how many units differ, d, from each of the 64 patterns of word w. With o = N - 2 d, and
    bits b of y, ``h_j = sum_m o_m y_mj = 2 sum_m o_m b_mj - sum_m o_m``, less the unit's own share of it."""
    n = states.shape[1]
    n_planes = 8
    while n >> n_planes:
        n_planes += 8
    planes = np.empty((n_planes, x.shape[1]), np.uint64)
    for b in range(first, stop):
        s, total = states[b], np.int64(0)  # of d over all patterns
        planes[:] = np.uint64(0)
        for m in range(n_patterns):
            total += differ[b, m]
            for p in range(n_planes):
                planes[p, m >> 6] |= np.uint64((differ[b, m] >> p) & 1) << np.uint64(m & 63)
        while sweeps[b] < max_sweeps and not converged[b]:
            sweeps[b] += 1
            before = flips[b]
            for k in range(orders.shape[1]):
                j, coming = orders[b, k], y[orders[b, min(k + 8, orders.shape[1] - 1)]]
                for w in range(0, coming.size, 8):
                    prefetch(coming, w)
                active, of_active = _among(planes, y[j])
                h = 2 * (n * active - 2 * of_active) - (n * n_patterns - 2 * total) - own[j] * s[j]
                if h * s[j] < 0:
                    s[j] = -s[j]
                    flips[b] += 1
                    total += _move(planes, x[j], s[j], n_patterns)
            converged[b] = flips[b] == before


@kernel()
def _among(planes, y):
    """Return how many bits of y are set, and the sum of the planes' numbers over these."""
    active, total = np.uint64(0), np.uint64(0)
    for w in range(y.size):
        active += popcount(y[w])
    for p in range(0, len(planes), 8):
        p0, p1, p2, p3, p4, p5, p6, p7 = (
            planes[p], planes[p + 1], planes[p + 2], planes[p + 3], planes[p + 4], planes[p + 5], planes[p + 6], planes[p + 7],
        )  # fmt: skip
        low = high = np.uint64(0)
        for w in range(y.size):
            bits = y[w]
            low += (
                popcount(bits & p0[w])
                + (popcount(bits & p1[w]) << np.uint64(1))
                + (popcount(bits & p2[w]) << np.uint64(2))
                + (popcount(bits & p3[w]) << np.uint64(3))
            )
            high += (
                popcount(bits & p4[w])
                + (popcount(bits & p5[w]) << np.uint64(1))
                + (popcount(bits & p6[w]) << np.uint64(2))
                + (popcount(bits & p7[w]) << np.uint64(3))
            )
        total += (low + (high << np.uint64(4))) << np.uint64(p)
    return np.int64(active), np.int64(total)


@kernel()
def _move(planes, x, state, n_patterns):
    """Take 1 from the numbers of patterns whose bit is the new state's, add 1 to the others'; return the sum of these changes."""
    other, active = np.uint64(0) if state > 0 else ~np.uint64(0), np.int64(0)
    for w in range(x.size):
        nearer, carry = x[w] ^ other, ~np.uint64(0)
        active += np.int64(popcount(x[w]))
        for p in range(len(planes)):
            old = planes[p, w]
            planes[p, w] = old ^ carry
            carry &= old ^ nearer  # a borrow goes on at a 0, a carry at a 1
    return n_patterns - 2 * active if state > 0 else 2 * active - n_patterns
