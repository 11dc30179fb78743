"""Hebbian weights of bipolar units, compiled: the same functions as ``kernels.reference.hopfield``, which has the definitions.

Those on patterns alone are in ``hopfield_patterns.py``; here are matrices.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.hopfield_patterns import async_recall_patterns, energy_patterns, fields, overlaps, transpose
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.threads import share, worth
from neuromem.kernels.reference.hopfield import Settled, at_cues, check_fits, pinv_matrix

__all__ = [
    "Settled", "async_recall", "async_recall_patterns", "coactivity_matrix", "energy", "energy_patterns", "fields", "hebb_matrix", "overlaps",
    "pinv_matrix", "storkey_store", "transpose",
]  # fmt: skip

LINE = 16  # weights that share a line of the cache, which no two threads should write to
TILE = 512  # units: their words and counts of one row lie in the nearest cache
ONE_CUE = 1 << 28  # bytes of a matrix that take longer to pass over than a busy processor takes to turn to another thread


def hebb_matrix(xt: np.ndarray, n_patterns: int, dtype: np.typing.DTypeLike = np.int16, threads: int = 1) -> np.ndarray:
    """Return ``w_ij = sum_m x_mi x_mj``, (N, N) with a diagonal of 0, as int16 or int32.

    Raise ``ValueError`` where the largest weight possible, ``n_patterns``, is not a number of that kind.
    """
    check_fits(n_patterns, dtype)
    n = xt.shape[1]
    w = np.empty((n, n), dtype)
    share(lambda first, stop: _hebb(xt, n_patterns, first, stop, w), n, worth(threads, n * xt.size))
    np.fill_diagonal(w, 0)
    return w


def coactivity_matrix(xt: np.ndarray, n_patterns: int, threads: int = 1) -> np.ndarray:
    """Return in how many patterns units i and j are both 1, int32 (N, N); the diagonal counts those of each unit."""
    n = xt.shape[1]
    both = np.empty((n, n), np.int32)
    share(lambda first, stop: _coactivity(xt, first, stop, both), n, worth(threads, n * xt.size))
    return both


def async_recall(
    w: np.ndarray, states: np.ndarray, orders: np.ndarray, max_sweeps: int, bias: np.ndarray | None = None, threads: int = 1
) -> Settled:
    """Return where recall with a symmetric matrix (int16, int32 or float32) comes to rest: one pass over it, then a row for each flip.

    Of float32 weights the first inputs are sums in float32: they may be off by ``N 2**-24 sum_i |w_ij|``, and act as a bias of that size.
    """
    bias = np.zeros(len(w), _sum_type(w)) if bias is None else bias.astype(np.result_type(_sum_type(w), bias))
    threads = 1 if len(states) == 1 and w.nbytes < ONE_CUE else worth(threads, w.nbytes // 8 * len(states))
    # rows read in the order of the visits are at hand when their unit flips; whole numbers are quickest a row at a time, in order
    alone = len(states) == 1 and threads == 1 and w.dtype == np.float32
    h = np.empty(states.shape, bias.dtype) if alone else _inputs(w, states, bias, threads)
    settled = at_cues(states)
    share(lambda first, stop: _settle(w, bias, h, alone, orders, max_sweeps, *settled, first, stop), len(states), threads)
    return settled


def storkey_store(w: np.ndarray, patterns: np.ndarray, threads: int = 1) -> None:
    """Store (M, N) booleans one after the other; w, float32 (N, N), symmetric with a diagonal of 0, changes in place.

    A pass over w for the first pattern's H, and then one for each pattern, which adds up the next pattern's H over the new weights; the last
    one adds up nothing. Threads share columns: each H_j is one sum down its column, rows in fours, as the definition has it.
    """
    n = len(w)
    busy = worth(threads, w.nbytes // 8)
    signs, h = np.where(patterns, np.float32(1), np.float32(-1)), np.zeros(n)
    if len(signs):
        share(lambda first, stop: _add_rows(w, signs[0], h, first, stop), n, busy, LINE)
    for m, x in enumerate(signs):
        v = ((0.5 * x - h) / n).astype(np.float32)
        if m + 1 == len(signs):
            _store_last(w, x, v, busy)
        else:
            h = np.zeros(n)
            _store_one(w, x, v, signs[m + 1], h, busy)


def _store_one(w: np.ndarray, x: np.ndarray, v: np.ndarray, following: np.ndarray, h: np.ndarray, threads: int) -> None:
    """Store x, of which v is ``(x / 2 - W x) / N``, and add W times the pattern that follows to h."""
    share(lambda first, stop: _storkey(w, np.float32(2.0 / len(w)), x, v, following, h, first, stop), len(w), threads, LINE)


def _store_last(w: np.ndarray, x: np.ndarray, v: np.ndarray, threads: int) -> None:
    """Store x, and nothing more."""
    share(lambda first, stop: _renew_rows(w, np.float32(2.0 / len(w)), x, v, first, stop), len(w), threads, 4)


def energy(w: np.ndarray, states: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``-1/2 sum_ij s_i w_ij s_j`` of states (B, N) of -1 and 1, float64 (B,), for a symmetric matrix."""
    return -0.5 * (_inputs(w, states, np.zeros(len(w), _sum_type(w)), threads) * states).sum(axis=1, dtype=np.float64)


@kernel()
def _hebb(xt, n_patterns, first, stop, w):
    counts = np.empty(TILE, np.uint64)
    for start in range(0, xt.shape[1], TILE):
        count = counts[: min(TILE, xt.shape[1] - start)]
        for i in range(first, stop):
            _differ(xt, i, start, count)
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
        count, of_others = counts[: min(TILE, xt.shape[1] - start)], active[start : start + TILE]
        for i in range(first, stop):
            _differ(xt, i, start, count)
            row = both[i, start : start + TILE]
            for j in range(row.size):
                row[j] = (active[i] + of_others[j] - np.int64(count[j])) >> 1


@kernel()
def _differ(xt, i, start, count):
    """Set ``count[j]`` to the number of patterns in which units i and ``start + j`` differ."""
    stop, whole = start + count.size, len(xt) & ~3
    count[:] = np.uint64(0)
    for w in range(0, whole, 4):  # four words at once: counts are read and written a quarter as often
        a0, a1, a2, a3 = xt[w, i], xt[w + 1, i], xt[w + 2, i], xt[w + 3, i]
        x0, x1, x2, x3 = xt[w, start:stop], xt[w + 1, start:stop], xt[w + 2, start:stop], xt[w + 3, start:stop]
        for j in range(count.size):
            count[j] += popcount(a0 ^ x0[j]) + popcount(a1 ^ x1[j]) + popcount(a2 ^ x2[j]) + popcount(a3 ^ x3[j])
    for w in range(whole, len(xt)):
        a0, x0 = xt[w, i], xt[w, start:stop]
        for j in range(count.size):
            count[j] += popcount(a0 ^ x0[j])


def _sum_type(w: np.ndarray) -> type:
    """Return the type that sums of N weights fit into."""
    if w.dtype == np.float32:
        return np.float64
    return np.int32 if w.dtype == np.int16 and len(w) <= 1 << 16 else np.int64


def _inputs(w: np.ndarray, states: np.ndarray, bias: np.ndarray, threads: int) -> np.ndarray:
    """Return ``bias_i + sum_j w_ij s_bj``, (B, N), of the type of the bias."""
    h = np.empty(states.shape, bias.dtype)
    run = _real_inputs if w.dtype == np.float32 else _whole_inputs
    share(lambda first, stop: run(w, bias, states, h, first, stop), len(w), worth(threads, w.nbytes // 8 * len(states)), 4)
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
def _add_rows(w, x, h, first, stop):
    """Add ``x_i w_ij``, four rows at once, to h_j of the columns from ``first`` to ``stop``."""
    whole = len(w) & ~3
    total = h[first:stop]
    for i in range(0, whole, 4):
        r0, r1, r2, r3 = w[i, first:stop], w[i + 1, first:stop], w[i + 2, first:stop], w[i + 3, first:stop]
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(total.size):
            total[j] += np.float64(((x0 * r0[j] + x1 * r1[j]) + x2 * r2[j]) + x3 * r3[j])
    for j in range(first, stop):
        four = np.float32(0)
        for i in range(whole, len(w)):
            four += x[i] * w[i, j]
        h[j] += np.float64(four)


@kernel()
def _storkey(w, gain, x, v, following, h, first, stop):
    """Renew the columns from ``first`` to ``stop``: four rows at once, left and right of where these cross the diagonal, and there alone."""
    whole = len(w) & ~3
    for i in range(0, whole, 4):
        left, right = min(max(first, i), stop), max(min(i + 4, stop), first)
        _renew_four(w, gain, x, v, following, h, i, first, left)
        _renew(w, gain, x, v, following, h, i, i + 4, left, right)
        _renew_four(w, gain, x, v, following, h, i, right, stop)
    _renew(w, gain, x, v, following, h, whole, len(w), first, stop)


@kernel()
def _renew(w, gain, x, v, following, h, i, end, first, stop):
    """Set new weights of the rows from i to ``end``, four at most, and add to h what they have of the pattern that follows."""
    for j in range(first, stop):
        four = np.float32(0)
        for k in range(i, end):
            w[k, j] = np.float32(0) if j == k else w[k, j] + (gain * w[k, j] + (x[k] * v[j] + v[k] * x[j]))
            four += following[k] * w[k, j]
        h[j] += np.float64(four)


@kernel()
def _renew_rows(w, gain, x, v, first, stop):
    """Set new weights of the rows from ``first`` to ``stop``: the numbers of ``_renew``, without sums, and the vectors read once for four rows."""
    whole = first + (stop - first & ~3)
    for i in range(first, whole, 4):
        r0, r1, r2, r3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        for j in range(r0.size):
            x_j, v_j = x[j], v[j]
            r0[j] += gain * r0[j] + (x0 * v_j + v0 * x_j)
            r1[j] += gain * r1[j] + (x1 * v_j + v1 * x_j)
            r2[j] += gain * r2[j] + (x2 * v_j + v2 * x_j)
            r3[j] += gain * r3[j] + (x3 * v_j + v3 * x_j)
        r0[i], r1[i + 1], r2[i + 2], r3[i + 3] = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(whole, stop):
        row, x_i, v_i = w[i], x[i], v[i]
        for j in range(row.size):
            row[j] += gain * row[j] + (x_i * v[j] + v_i * x[j])
        row[i] = np.float32(0)


@kernel()
def _renew_four(w, gain, x, v, following, h, i, first, stop):
    """The same for four rows off the diagonal, so that the vectors are read once for all."""
    r0, r1, r2, r3 = w[i, first:stop], w[i + 1, first:stop], w[i + 2, first:stop], w[i + 3, first:stop]
    x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
    v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
    f0, f1, f2, f3 = following[i], following[i + 1], following[i + 2], following[i + 3]
    of_x, of_v, total = x[first:stop], v[first:stop], h[first:stop]
    for j in range(total.size):
        x_j, v_j = of_x[j], of_v[j]
        n0 = r0[j] + (gain * r0[j] + (x0 * v_j + v0 * x_j))
        n1 = r1[j] + (gain * r1[j] + (x1 * v_j + v1 * x_j))
        n2 = r2[j] + (gain * r2[j] + (x2 * v_j + v2 * x_j))
        n3 = r3[j] + (gain * r3[j] + (x3 * v_j + v3 * x_j))
        r0[j], r1[j], r2[j], r3[j] = n0, n1, n2, n3
        total[j] += np.float64(((f0 * n0 + f1 * n1) + f2 * n2) + f3 * n3)
