"""Hebbian weights of bipolar units, compiled; ``kernels/reference/hopfield.py`` has the definitions and the layouts."""

from __future__ import annotations

import numpy as np

from neuromem.kernels.bits import WORD, n_words, pack
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.prefetch import prefetch
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.reference.hopfield import Settled, check_fits, pinv_matrix

__all__ = [
    "Settled", "async_recall", "async_recall_patterns", "coactivity_matrix", "energy", "energy_patterns", "fields", "hebb_matrix", "overlaps",
    "pinv_matrix", "storkey_store", "transpose",
]  # fmt: skip

TILE = 512  # units: their words and counts of one row lie in the nearest cache
BAND = 64  # patterns whose words stay in a core's own cache while all cues pass


def transpose(x: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return patterns by pattern (M, n_words(N)) as patterns by unit (n_words(M), N)."""
    xt = np.zeros((n_words(len(x)), WORD * x.shape[1]), np.uint64)
    share(lambda first, stop: _transpose(x, first, stop, xt), len(x), threads, WORD)
    return np.ascontiguousarray(xt[:, :n_units])


def hebb_matrix(xt: np.ndarray, n_patterns: int, dtype: np.typing.DTypeLike = np.int16, threads: int = 1) -> np.ndarray:
    """Return ``w_ij = sum_m x_mi x_mj``, (N, N) with a diagonal of 0, as int16 or int32.

    Raise ``ValueError`` where the largest weight possible, ``n_patterns``, is not a number of that kind.
    """
    check_fits(n_patterns, dtype)
    n = xt.shape[1]
    w = np.empty((n, n), dtype)
    share(lambda first, stop: _hebb(xt, n_patterns, first, stop, w), n, threads)
    np.fill_diagonal(w, 0)
    return w


def coactivity_matrix(xt: np.ndarray, n_patterns: int, threads: int = 1) -> np.ndarray:
    """Return in how many patterns units i and j are both 1, int32 (N, N); the diagonal counts those of each unit."""
    n = xt.shape[1]
    both = np.empty((n, n), np.int32)
    share(lambda first, stop: _coactivity(xt, first, stop, both), n, threads)
    return both


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
def _hebb(xt, n_patterns, first, stop, w):
    counts = np.empty(TILE, np.uint64)
    for start in range(0, xt.shape[1], TILE):
        others = xt[:, start : start + TILE]
        count = counts[: others.shape[1]]
        for i in range(first, stop):
            _differ(xt, i, others, count)
            row = w[i, start : start + TILE]
            for j in range(row.size):
                row[j] = n_patterns - 2 * np.int64(count[j])


@kernel()
def _coactivity(xt, first, stop, both):
    counts, active = np.empty(TILE, np.uint64), np.zeros(xt.shape[1], np.int64)
    for row in xt:
        for j in range(row.size):
            active[j] += np.int64(popcount(row[j]))
    for start in range(0, xt.shape[1], TILE):
        others = xt[:, start : start + TILE]
        count, of_others = counts[: others.shape[1]], active[start : start + TILE]
        for i in range(first, stop):
            _differ(xt, i, others, count)
            row = both[i, start : start + TILE]
            for j in range(row.size):
                row[j] = (active[i] + of_others[j] - np.int64(count[j])) >> 1


@kernel()
def _differ(xt, i, others, count):
    """Set ``count[j]`` to the number of patterns in which unit i and unit j of ``others`` differ."""
    count[:] = np.uint64(0)
    whole = len(xt) & ~3
    for w in range(0, whole, 4):  # four words at once: counts are read and written a quarter as often
        a0, a1, a2, a3 = xt[w, i], xt[w + 1, i], xt[w + 2, i], xt[w + 3, i]
        x0, x1, x2, x3 = others[w], others[w + 1], others[w + 2], others[w + 3]
        for j in range(count.size):
            count[j] += popcount(a0 ^ x0[j]) + popcount(a1 ^ x1[j]) + popcount(a2 ^ x2[j]) + popcount(a3 ^ x3[j])
    for w in range(whole, len(xt)):
        a0, x0 = xt[w, i], others[w]
        for j in range(count.size):
            count[j] += popcount(a0 ^ x0[j])


def overlaps(x: np.ndarray, states: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return ``o_bm = sum_i s_bi x_mi`` of packed states (B, n_words(N)), int32 (B, M)."""
    found = np.empty((len(states), len(x)), np.int32)
    share(lambda first, stop: _overlaps(x, states, n_units, first, stop, found), len(x), threads)
    return found


def fields(xt: np.ndarray, n_patterns: int, overlaps: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``h_bj = sum_m o_bm x_mj`` of int32 overlaps (B, M), int64 (B, N); self-coupling is part of it."""
    h = np.empty((len(overlaps), xt.shape[1]), np.int64)
    share(lambda first, stop: _fields(xt, overlaps, first, stop, h), xt.shape[1], threads, 8)
    return h


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


def async_recall(
    w: np.ndarray, states: np.ndarray, orders: np.ndarray, max_sweeps: int, bias: np.ndarray | None = None, threads: int = 1
) -> Settled:
    """Return where recall with a symmetric matrix (int16, int32 or float32) comes to rest: one pass over it, then a row for each flip.

    Of float32 weights the first inputs are sums in float32: they may be off by ``N 2**-24 sum_i |w_ij|``, and act as a bias of that size.
    """
    bias = np.zeros(len(w), _sum_type(w)) if bias is None else bias.astype(np.result_type(_sum_type(w), bias))
    # rows read in the order of the visits are at hand when their unit flips; whole numbers are quickest a row at a time, in order
    alone = len(states) == 1 and threads == 1 and w.dtype == np.float32
    h = np.empty(states.shape, bias.dtype) if alone else _inputs(w, states, bias, threads)
    settled = _at_cues(states)
    share(lambda first, stop: _settle(w, bias, h, alone, orders, max_sweeps, *settled, first, stop), len(states), threads)
    return settled


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
    settled = _at_cues(states)
    differ = (n - overlaps(x, pack(states > 0), n, threads)) >> 1
    share(
        lambda first, stop: _settle_patterns(x_rows, y_rows, own, n_patterns, differ, orders, max_sweeps, *settled, first, stop),
        len(states), threads,
    )  # fmt: skip
    return settled


def energy(w: np.ndarray, states: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``-1/2 sum_ij s_i w_ij s_j`` of states (B, N) of -1 and 1, float64 (B,), for a symmetric matrix."""
    return -0.5 * (_inputs(w, states, np.zeros(len(w), _sum_type(w)), threads) * states).sum(axis=1, dtype=np.float64)


def energy_patterns(x: np.ndarray, states: np.ndarray, n_units: int, self_coupling: bool = False, threads: int = 1) -> np.ndarray:
    """Return the same for the Hebbian weights of patterns, both packed: ``-1/2 (sum_m o_m^2 - M N)``, or without ``- M N``."""
    own = 0.0 if self_coupling else float(len(x) * n_units)
    return -0.5 * ((overlaps(x, states, n_units, threads).astype(np.float64) ** 2).sum(axis=1) - own)


def storkey_store(w: np.ndarray, patterns: np.ndarray, threads: int = 1) -> None:
    """Store (M, N) booleans one after the other; w, float32 (N, N), symmetric with a diagonal of 0, changes in place.

    With H = W x the rule is ``w_ij <- (1 + 2 / N) w_ij + (x_i (x_j - H_j) - H_i x_j) / N``: a pass for the first H, and then one for each
    pattern, which sums the next pattern's H over the new weights.
    """
    n = len(w)
    signs = np.where(patterns, np.float32(1), np.float32(-1))
    h = _inputs(w, signs[:1].astype(np.int8), np.zeros(n), threads).astype(np.float32)
    for m, x in enumerate(signs):
        following = signs[min(m + 1, len(signs) - 1)]
        old, h = h[0], np.empty_like(h)
        share(lambda first, stop, x=x, old=old, following=following, h=h: _storkey(w, x, old, following, h[0], first, stop), n, threads)


def _at_cues(states: np.ndarray) -> Settled:
    b = len(states)
    return Settled(states.astype(np.int8), np.zeros(b, np.int32), np.zeros(b, np.int64), np.zeros(b, np.bool_))


def _sum_type(w: np.ndarray) -> type:
    """Return the type that sums of N weights fit into."""
    if w.dtype == np.float32:
        return np.float64
    return np.int32 if w.dtype == np.int16 and len(w) <= 1 << 16 else np.int64


def _inputs(w: np.ndarray, states: np.ndarray, bias: np.ndarray, threads: int) -> np.ndarray:
    """Return ``bias_i + sum_j w_ij s_bj``, (B, N), of the type of the bias."""
    h = np.empty(states.shape, bias.dtype)
    run = _real_inputs if w.dtype == np.float32 else _whole_inputs
    share(lambda first, stop: run(w, bias, states, h, first, stop), len(w), threads, 4)
    return h


@kernel()
def _whole_inputs(w, bias, states, h, first, stop):
    for i in range(first, stop):
        row = w[i]
        for b in range(len(states)):
            s, total = states[b], h.dtype.type(0)
            for j in range(row.size):
                total = h.dtype.type(total + row[j] * s[j])  # as narrow as it is: numba would widen to 64 bits
            h[b, i] = bias[i] + total


@kernel()
def _real_inputs(w, bias, states, h, first, stop):
    last = stop - 1  # of fewer than four rows the last is summed again
    for i in range(first, stop, 4):
        for b in range(len(states)):
            _four_inputs(w, bias, states[b], i, min(i + 1, last), min(i + 2, last), min(i + 3, last), h[b])


@kernel(fastmath={"reassoc", "contract"})
def _four_inputs(w, bias, s, i0, i1, i2, i3, h):
    """Set the inputs of four units at once: one stream alone, or one that ends after each row, gets less than the memory gives."""
    r0, r1, r2, r3 = w[i0], w[i1], w[i2], w[i3]
    t0 = t1 = t2 = t3 = np.float32(0)
    for j in range(s.size):
        s_j = np.float32(s[j])
        t0 += r0[j] * s_j
        t1 += r1[j] * s_j
        t2 += r2[j] * s_j
        t3 += r3[j] * s_j
    h[i0], h[i1], h[i2], h[i3] = bias[i0] + t0, bias[i1] + t1, bias[i2] + t2, bias[i3] + t3


@kernel()
def _settle(w, bias, h, alone, orders, max_sweeps, states, sweeps, flips, converged, first, stop):
    for b in range(first, stop):
        s, inputs, order = states[b], h[b], orders[b]
        last = order.size - 1
        while sweeps[b] < max_sweeps and not converged[b]:
            sweeps[b] += 1
            before = flips[b]
            for k in range(0, order.size, 4):
                if alone and sweeps[b] == 1:
                    _four_inputs(w, bias, s, order[k], order[min(k + 1, last)], order[min(k + 2, last)], order[min(k + 3, last)], inputs)
                for j in order[k : k + 4]:
                    if inputs[j] * s[j] < 0:
                        s[j] = -s[j]
                        flips[b] += 1
                        change, row = 2 * s[j], w[j]
                        for i in range(row.size):
                            inputs[i] += change * row[i]
            converged[b] = flips[b] == before


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


@kernel()
def _storkey(w, x, h, following, following_h, first, stop):
    n = np.float32(x.size)
    keep, y, along = np.float32(1) + np.float32(2) / n, (x - h) / n, x / n
    whole = stop - (stop - first) % 4
    for i in range(first, whole, 4):
        _renew_four(w[i : i + 4], keep, x[i : i + 4], h[i : i + 4], y, along, following, following_h[i : i + 4])
    for i in range(whole, stop):
        _renew(w[i : i + 1], keep, x[i : i + 1], h[i : i + 1], y, along, following, following_h[i : i + 1])
    for i in range(first, stop):
        following_h[i] -= w[i, i] * following[i]
        w[i, i] = 0


@kernel(fastmath={"reassoc", "contract"})
def _renew(rows, keep, x, h, y, along, following, following_h):
    row, x0, h0, total = rows[0], x[0], h[0], np.float32(0)
    for j in range(row.size):
        new = keep * row[j] + x0 * y[j] - h0 * along[j]
        row[j] = new
        total += new * following[j]
    following_h[0] = total


@kernel(fastmath={"reassoc", "contract"})
def _renew_four(rows, keep, x, h, y, along, following, following_h):
    """The same for four rows, so that the three vectors are read once for all."""
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    x0, x1, x2, x3, h0, h1, h2, h3 = x[0], x[1], x[2], x[3], h[0], h[1], h[2], h[3]
    t0 = t1 = t2 = t3 = np.float32(0)
    for j in range(r0.size):
        y_j, along_j, following_j = y[j], along[j], following[j]
        n0 = keep * r0[j] + x0 * y_j - h0 * along_j
        n1 = keep * r1[j] + x1 * y_j - h1 * along_j
        n2 = keep * r2[j] + x2 * y_j - h2 * along_j
        n3 = keep * r3[j] + x3 * y_j - h3 * along_j
        r0[j], r1[j], r2[j], r3[j] = n0, n1, n2, n3
        t0 += n0 * following_j
        t1 += n1 * following_j
        t2 += n2 * following_j
        t3 += n3 * following_j
    following_h[0], following_h[1], following_h[2], following_h[3] = t0, t1, t2, t3
