"""The Bayesian-Hebbian traces and weights of BCPNN, in one pass over both matrices.

Functions and their meaning are those of ``neuromem.kernels.reference.bcpnn``. Traces are the
reference's bit for bit; a weight w is off by at most ``(|w| + 8) 2^-24`` (see ``_log``).
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.float_bits import bits_of, float_of
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.reference.bcpnn import EPS

# log 2 = LN2_HIGH + LN2_LOW; the high part has 9 bits, so that its product with an exponent is exact
LN2_HIGH = np.float32(355 / 512)
LN2_LOW = np.float32(np.log(2.0) - 355 / 512)
HALF_BITS = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))
THIRDS, FIFTHS, SEVENTHS = (np.float32(2 / n) for n in (3, 5, 7))
ONE, TWO = np.float32(1.0), np.float32(2.0)
FRACTION, FRACTION_BITS = np.int32(23), np.int32((1 << 23) - 1)

PART = 1 << 20  # synapses that are worth a thread of their own: 0.4 ms

_inlined = kernel(forceinline=True)
_fused = kernel(forceinline=True, fastmath={"contract"})  # a * b + c may be one operation, rounded once


@_fused
def _log(x):
    """Return log x of a normal positive float32, to an error of at most (|log x| + 2.5) 2^-24.

    x = 2^n m with m from sqrt(1/2) to sqrt 2, and log m = 2 artanh s with s = (m - 1) / (m + 1), |s| <= 0.1716: its
    series to s^7 leaves out less than 2 |s|^9 / 9 / (1 - s^2), half a unit of 2^-24. m - 1 is exact; s is off by 2 roundings,
    the series by one more, the product by one: 4.1 roundings of |log m| <= 0.35. Adding n LN2_LOW and n LN2_HIGH
    (exact) rounds |log m| and |log x| once more: 0.5 + 1.42 + 0.37 + |log x| units.
    """
    bits = np.int32(bits_of(x) - HALF_BITS)  # numba makes 64 bits of a sum of two int32, and vectors half as wide
    power = np.float32(np.int32(bits >> FRACTION))
    m = float_of(np.int32((bits & FRACTION_BITS) + HALF_BITS))
    s = (m - ONE) / (m + ONE)
    z = s * s
    series = ((SEVENTHS * z + FIFTHS) * z + THIRDS) * z + TWO
    return power * LN2_HIGH + (power * LN2_LOW + s * series)


def traces_update(
    p_i: np.ndarray,
    p_j: np.ndarray,
    p_ij: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    x_pre: np.ndarray,
    x_post: np.ndarray,
    alpha: float,
    eps: float = EPS,
    threads: int = 1,
) -> None:
    """Move the traces one step towards the activities ``x_pre`` (n_pre,) and ``x_post`` (n_post,), and set ``w`` and ``bias``, in place."""
    step = np.float32(alpha)
    p_i += step * (x_pre - p_i)
    p_j += step * (x_post - p_j)
    by_row, by_column, bias[:] = _inverses(p_i, p_j, eps)
    floor = np.float32(eps**2)

    def run(first: int, stop: int) -> None:
        part = slice(first, stop)
        _move_and_weigh(p_ij[part], w[part], x_pre[part], x_post, step, by_row[part], by_column, floor)

    share(run, len(p_ij), threads, _rows_of_a_part(p_ij))


def weights(p_i: np.ndarray, p_j: np.ndarray, p_ij: np.ndarray, eps: float = EPS, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n_pre, n_post) and the biases (n_post,) of the probabilities."""
    by_row, by_column, bias = _inverses(p_i, p_j, eps)
    w, floor = np.empty(p_ij.shape, np.float32), np.float32(eps**2)
    share(
        lambda first, stop: _weigh(p_ij[first:stop], w[first:stop], by_row[first:stop], by_column, floor),
        len(w),
        threads,
        _rows_of_a_part(w),
    )
    return w, bias


def _rows_of_a_part(table: np.ndarray) -> int:
    return max(1, PART // max(1, table.shape[1]))


def _inverses(p_i: np.ndarray, p_j: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 1 / P_i, 1 / P_j and log P_j."""
    first, second = np.maximum(p_i, eps, dtype=np.float64), np.maximum(p_j, eps, dtype=np.float64)
    return (1 / first).astype(np.float32), (1 / second).astype(np.float32), np.log(second).astype(np.float32)


@_inlined
def _weight(p, by_row, by_column, floor):
    """Return log(P_ij / (P_i P_j)): the two inverses, the floor and the two products are rounded, 5 units more than the logarithm's."""
    p = floor if p < floor else p
    return _log((p * by_row) * by_column)


@kernel()
def _move_and_weigh(p_ij, w, x_pre, x_post, step, by_row, by_column, floor):
    for i in range(len(p_ij)):
        row, out, x, inverse = p_ij[i], w[i], x_pre[i], by_row[i]
        for j in range(row.size):
            p = row[j]
            p += step * (x * x_post[j] - p)
            row[j] = p
            out[j] = _weight(p, inverse, by_column[j], floor)


@kernel()
def _weigh(p_ij, w, by_row, by_column, floor):
    for i in range(len(p_ij)):
        row, out, inverse = p_ij[i], w[i], by_row[i]
        for j in range(row.size):
            out[j] = _weight(row[j], inverse, by_column[j], floor)
