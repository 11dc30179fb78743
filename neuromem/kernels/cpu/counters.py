"""Hebbian updates of one table of 8-bit weights W (n_values, n_keys), in place, each weight loaded and stored once.

The function and its meaning are those of ``neuromem.kernels.reference.counters``, bit for bit.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.reference.counters import HIGH, LOW

PART = 1 << 24  # weights, each read and written once, that are worth a thread of their own: 1 ms
COLUMNS = 1 << 12  # their sums stay in the first-level cache; counts of so many fit in 16 bits
RANK = 8  # pairs in one pass over the sums

_inlined = kernel(forceinline=True)


def hebb_batch(w: np.ndarray, us: np.ndarray, vs: np.ndarray, low: int = LOW, high: int = HIGH, threads: int = 1) -> int:
    """Set ``W <- clip(W + sum_b u_b v_b^T, low, high)``, and return how many weights the sum pushed to a bound or against it."""
    batch = -(-max(1, len(us)) // RANK) * RANK  # filled with zeros, which add nothing
    rows, gains = np.zeros((batch, w.shape[1]), np.int8), np.zeros((len(w), batch), np.int8)
    rows[: len(vs)], gains[:, : len(us)] = vs, us.T
    # half as wide sums are twice as fast, where they cannot overflow
    wide = np.int16 if len(us) * _largest(us) * _largest(vs) + 128 < 2**15 else np.int32
    pushed: list[int] = []

    def run(first: int, stop: int) -> None:
        sums = np.empty(min(COLUMNS, w.shape[1]), wide)
        pushed.append(_rows(w[first:stop], gains[first:stop], rows, sums, sums.dtype.type(low), sums.dtype.type(high), len(us) == 1))

    share(run, len(w), threads, multiple=max(1, PART // max(1, w.shape[1] * max(1, len(us) // 2))))
    return sum(pushed)


def _largest(values: np.ndarray) -> int:
    """Return the largest size of a value; -128 has one that int8 does not hold."""
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


@kernel()
def _rows(w, gains, vs, sums, low, high, single):
    pushed = 0
    for i in range(len(w)):
        for begin in range(0, w.shape[1], COLUMNS):
            end = min(begin + COLUMNS, w.shape[1])
            part = w[i, begin:end]
            if single:
                pushed += _count_one(part, gains[i, 0], vs[0, begin:end], low, high)
                continue
            made = sums[: part.size]
            made[:] = 0
            for b in range(0, len(vs), RANK):
                _add_eight(made, gains[i, b : b + RANK], vs[b : b + RANK, begin:end])
            pushed += _count(part, made, low, high)
    return pushed


@kernel()
def _count_one(row, gain, v, low, high):
    """As ``_count``, for one pair: its products need no place of their own."""
    pushed, g = type(low)(0), type(low)(gain)
    for j in range(row.size):
        change = type(low)(g * v[j])
        pushed = type(low)(pushed + _moved(row, j, change, low, high))
    return int(pushed)


@kernel()
def _count(row, sums, low, high):
    pushed = type(low)(0)
    for j in range(row.size):
        pushed = type(low)(pushed + _moved(row, j, sums[j], low, high))
    return int(pushed)


@_inlined
def _moved(row, j, change, low, high):
    """Change one weight; return whether it was pushed to a bound."""
    x = type(low)(row[j] + change)  # numba makes 64 bits of such a sum, and vectors a quarter as wide
    hit = ((change > 0) & (x >= high)) | ((change < 0) & (x <= low))
    x = low if x < low else x
    row[j] = high if x > high else x
    return hit


@_inlined
def _add_eight(sums, a, v):
    a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
    v0, v1, v2, v3, v4, v5, v6, v7 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
    for j in range(sums.size):
        sums[j] += a0 * v0[j] + a1 * v1[j] + a2 * v2[j] + a3 * v3[j] + a4 * v4[j] + a5 * v5[j] + a6 * v6[j] + a7 * v7[j]
