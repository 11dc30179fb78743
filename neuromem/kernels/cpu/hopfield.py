"""Hebbian weights of bipolar units, compiled: the same functions as ``kernels.reference.hopfield``, which has the definitions.

Those on patterns alone are in ``hopfield_patterns.py``; here are matrices.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.hopfield_patterns import async_recall_patterns, energy_patterns, fields, overlaps, transpose
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.reference.hopfield import Settled, at_cues, check_fits, pinv_matrix

__all__ = [
    "Settled", "async_recall", "async_recall_patterns", "coactivity_matrix", "energy", "energy_patterns", "fields", "hebb_matrix", "overlaps",
    "pinv_matrix", "storkey_store", "transpose",
]  # fmt: skip

TILE = 512  # units: their words and counts of one row lie in the nearest cache
WORTH = 1 << 28  # bytes of a matrix that take longer to pass over than a busy processor takes to turn to another thread


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


def async_recall(
    w: np.ndarray, states: np.ndarray, orders: np.ndarray, max_sweeps: int, bias: np.ndarray | None = None, threads: int = 1
) -> Settled:
    """Return where recall with a symmetric matrix (int16, int32 or float32) comes to rest: one pass over it, then a row for each flip.

    Of float32 weights the first inputs are sums in float32: they may be off by ``N 2**-24 sum_i |w_ij|``, and act as a bias of that size.
    """
    bias = np.zeros(len(w), _sum_type(w)) if bias is None else bias.astype(np.result_type(_sum_type(w), bias))
    if len(states) == 1 and w.nbytes < WORTH:
        threads = 1
    # rows read in the order of the visits are at hand when their unit flips; whole numbers are quickest a row at a time, in order
    alone = len(states) == 1 and threads == 1 and w.dtype == np.float32
    h = np.empty(states.shape, bias.dtype) if alone else _inputs(w, states, bias, threads)
    settled = at_cues(states)
    share(lambda first, stop: _settle(w, bias, h, alone, orders, max_sweeps, *settled, first, stop), len(states), threads)
    return settled


def storkey_store(w: np.ndarray, patterns: np.ndarray, threads: int = 1) -> None:
    """Store (M, N) booleans one after the other; w, float32 (N, N), symmetric with a diagonal of 0, changes in place.

    With H = W x the rule is ``w_ij <- (1 + 2 / N) w_ij + (x_i (x_j - H_j) - H_i x_j) / N``: a pass for the first H, and then one for each
    pattern, which sums the next pattern's H over the new weights.
    """
    signs = np.where(patterns, np.float32(1), np.float32(-1))
    h = _inputs(w, signs[:1].astype(np.int8), np.zeros(len(w)), threads).astype(np.float32)
    for m in range(len(signs)):
        h = _store_one(w, signs[m], h.ravel(), signs[min(m + 1, len(signs) - 1)], threads)


def _store_one(w: np.ndarray, x: np.ndarray, h: np.ndarray, following: np.ndarray, threads: int) -> np.ndarray:
    """Store x, of which h is W x, and return W times the pattern that follows."""
    following_h = np.empty_like(h)
    share(lambda first, stop: _storkey(w, x, h, following, following_h, first, stop), len(w), threads, 4)
    return following_h


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
