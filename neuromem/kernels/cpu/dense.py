"""Reads of a dense associative memory, compiled; ``kernels/reference/dense.py`` has the definitions.

Bipolar patterns. The overlap is N - 2 d with the Hamming distance d, so every weight is a number in a table of N + 1, and all
reads are one sum: D_i = sum of v[d_m] over the patterns that differ from the state in unit i, with W = sum_m w[d_m].

- Softmax: v = w = exp(-2 beta (d - d_min)); the read is s_i (W - 2 D_i) / W.
- A field is s_i [sum over agreeing m of F(o_m) - F(o_m - 2), minus sum over differing m of F(o_m + 2) - F(o_m)]
  = s_i (W - D_i) with w = F(o) - F(o - 2) and v = F(o + 2) - F(o - 2).
- For F = exp(beta o) that is, up to a positive factor, s_i (exp(-2 beta) (W - D_i) - D_i) with the weights of the softmax: no two
  nearly equal numbers are subtracted, however large beta is.

What is too small to matter is left out. Softmax: a weight below exp(-17) / M of the largest is dropped; all the dropped ones
together are then less than a share e = exp(-17) = 4.2e-8 of the sum, and the read is a mean of patterns within [-1, 1], so
that it moves by no more than 2 e < 1e-7; log_sum and largest move by less than e. Exponential fields: exp(-37 - 2 beta) / M,
less than a rounding error of float64 even in the term that is multiplied by exp(-2 beta).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from neuromem.kernels.bits import WORD, unpack
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.hamming import ROWS, count, lowest_distances
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.dense_tables import NEGLIGIBLE, ROUNDING, decaying, differences
from neuromem.kernels.reference.dense import Read

__all__ = ["Read", "exponential_fields", "polynomial_fields", "read_softmax", "read_softmax_real"]

FEW = ROWS // 8  # rows of a block that are quicker to add one by one than by columns
TILE = 1024  # real-valued patterns in one product: its scores stay in the cache
CUES = 64  # states whose scores are kept at a time: 256 bytes a pattern


def read_softmax(blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of bipolar patterns; beta >= 0 multiplies overlaps that reach from -N to N."""
    lowest = lowest_distances(blocks, n_patterns, states, states.shape[1], threads)
    nearest = lowest.min(axis=1)
    table = decaying(beta, math.log(n_patterns) + NEGLIGIBLE, n_units)
    differ, total = _sums(blocks, n_patterns, states, lowest, nearest, table, table, threads)
    differ = differ[:, :n_units]
    values = _signs(states, n_units) * (1 - 2 * differ / total[:, None])
    return Read(values.astype(np.float32), beta * (n_units - 2.0 * nearest) + np.log(total), 1 / total)


def polynomial_fields(
    blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, power: int, rectified: bool, threads: int = 1
) -> np.ndarray:
    """Return the fields h (B, N), float64, for F(o) = o^power, or max(o, 0)^power if ``rectified``.

    Exact while the terms add up to less than 2^53; beyond, rounded as float64 sums are, and beyond float64 infinite, of the right sign.
    With power 2 it is four times the field of a Hebbian network without self-coupling, h_i = 4 sum_{j != i} (sum_m x_mi x_mj) s_j.
    """
    both, agreeing, exponent = differences(n_units, power, rectified)
    n_blocks = -(-n_patterns // ROWS)
    lowest, nearest = np.zeros((len(states), n_blocks), np.int32), np.zeros(len(states), np.int32)
    differ, total = _sums(blocks, n_patterns, states, lowest, nearest, both, agreeing, threads)
    with np.errstate(over="ignore"):
        return np.ldexp(_signs(states, n_units) * (total[:, None] - differ[:, :n_units]), exponent)


def exponential_fields(blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, beta: float, threads: int = 1) -> np.ndarray:
    """Return the fields (B, N), float64, for F(o) = exp(beta o), divided by exp(beta (max_m o_m + 2)) so that nothing overflows.

    From beta = 350 on exp(-2 beta) is 0 in float64, and so are the fields of units in which nothing near differs.
    """
    lowest = lowest_distances(blocks, n_patterns, states, states.shape[1], threads)
    table = decaying(beta, math.log(n_patterns) + ROUNDING + 2 * beta, n_units)
    differ, total = _sums(blocks, n_patterns, states, lowest, lowest.min(axis=1), table, table, threads)
    differ = differ[:, :n_units]
    factor = math.exp(-2 * beta)
    return -math.expm1(-2 * beta) * _signs(states, n_units) * (factor * (total[:, None] - differ) - differ)


def read_softmax_real(patterns: np.ndarray, states: np.ndarray, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of real-valued patterns (M, N) for real-valued states (B, N), both float32.

    A matrix product in float32 (NumPy's, whose BLAS has threads of its own) finds the patterns that matter; their scores are
    computed again in float64, and they alone are read out. Patterns are left out below exp(-18) / M of the largest: as long as
    the product errs by less than 1/2, which takes beta (N + 1) 2^-24 |x| |s| < 1/2, all of them together are less than a share exp(-17) of the sum.
    The read then moves by less than 1e-7 of the largest |x_mi|.
    """
    parts = [_real(patterns, states[b : b + CUES], beta, threads) for b in range(0, max(1, len(states)), CUES)]
    return Read(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _signs(states: np.ndarray, n_units: int) -> np.ndarray:
    return np.where(unpack(states, n_units), 1.0, -1.0)


def _parts(run: Callable[[int, int], tuple[np.ndarray, ...]], n: int, threads: int, multiple: int) -> list[np.ndarray]:
    """Return what ``run(first, stop)`` returns for the parts of range(n), each array stacked in the order of the parts."""
    parts: dict[int, tuple[np.ndarray, ...]] = {}

    def part(first: int, stop: int) -> None:
        parts[first] = run(first, stop)

    share(part, n, threads, multiple, parts=1)
    return [np.stack(arrays) for arrays in zip(*(parts[first] for first in sorted(parts)), strict=True)]


def _sums(
    blocks: np.ndarray,
    n_patterns: int,
    states: np.ndarray,
    lowest: np.ndarray,
    nearest: np.ndarray,
    v: np.ndarray,
    w: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return D (B, 64 n_words) and W (B,); the tables ``v`` and ``w`` begin at the distance ``nearest`` (B,) and are 0 beyond their ends."""
    if not n_patterns:
        raise ValueError("there are no patterns to read")

    def part(first: int, stop: int) -> tuple[np.ndarray, ...]:
        differ, total = np.zeros((len(states), states.shape[1] * WORD)), np.zeros(len(states))
        _sum_blocks(blocks, first, stop, states, lowest, nearest, v, w, differ, total)
        return differ, total

    differ, total = _parts(part, n_patterns, threads, ROWS)
    return differ.sum(axis=0), total.sum(axis=0)


def _real(patterns: np.ndarray, states: np.ndarray, beta: float, threads: int) -> tuple[np.ndarray, ...]:
    m, n = patterns.shape
    exact = beta * states.T.astype(np.float64)
    rounded = np.ascontiguousarray(exact.T, np.float32)
    tiles = [patterns[at : at + TILE] for at in range(0, m, TILE)]
    scores = [np.empty((len(states), len(tile)), np.float32) for tile in tiles]
    tops = np.empty((len(tiles), len(states)), np.float32)

    def find(first: int, stop: int) -> None:
        for t in range(first, stop):
            np.matmul(rounded, tiles[t].T, out=scores[t])
            scores[t].max(axis=1, out=tops[t])

    share(find, len(tiles), threads)
    top = tops.max(axis=0)
    least = top - np.float32(math.log(m) + NEGLIGIBLE + 1)

    def read(first: int, stop: int) -> tuple[np.ndarray, ...]:
        values, weight, largest = np.zeros((len(states), n)), np.zeros(len(states)), np.zeros(len(states))
        for t in range(first, stop):
            if (tops[t] >= least).any():
                kept = tiles[t][(scores[t] >= least[:, None]).any(axis=0)].astype(np.float64)
                weights = np.exp(kept @ exact - top)
                values += weights.T @ kept
                weight += weights.sum(axis=0)
                np.maximum(largest, weights.max(axis=0), out=largest)
        return values, weight, largest

    values, weight, largest = _parts(read, len(tiles), threads, 1)
    total = weight.sum(axis=0)
    return (values.sum(axis=0) / total[:, None]).astype(np.float32), top + np.log(total), largest.max(axis=0) / total


@kernel(fastmath={"reassoc", "nsz"})
def _add_columns(row, word, first, weights, differ):
    """Add to ``differ`` (4,), for each of four bits from ``first``, the weights of the rows where it differs from the state's.

    Four at a time share what is read; sums in any order become vectors.
    """
    p = np.uint64(1) << np.uint64(first)
    q, s, t = p << np.uint64(1), p << np.uint64(2), p << np.uint64(3)
    a = b = c = d = 0.0
    for r in range(ROWS):
        bits, weight = row[r] ^ word, weights[r]
        a += weight if bits & p else 0.0
        b += weight if bits & q else 0.0
        c += weight if bits & s else 0.0
        d += weight if bits & t else 0.0
    differ[0] += a
    differ[1] += b
    differ[2] += c
    differ[3] += d


@kernel()
def _sum_blocks(blocks, first, stop, states, lowest, nearest, v, w, differ, total):
    counts, weights = np.empty(ROWS, np.int32), np.empty(ROWS)
    n_words = states.shape[1]
    for b in range(first // ROWS, (stop + ROWS - 1) // ROWS):
        n = min(ROWS, stop - b * ROWS)
        for q in range(len(states)):
            if lowest[q, b] - nearest[q] >= len(v):
                continue
            counts[:] = 0
            count(blocks[b], states[q], 0, n_words, counts)
            weights[:] = 0.0
            kept = 0
            for r in range(n):
                k = counts[r] - nearest[q]
                if k < len(v):
                    weights[r] = v[k]
                    total[q] += w[k]
                    kept += 1
            if kept > FEW:
                for i in range(n_words):
                    for j in range(0, 64, 4):
                        unit = 64 * i + j
                        _add_columns(blocks[b, i], states[q, i], j, weights, differ[q, unit : unit + 4])
            else:
                for r in range(n):
                    if weights[r] != 0.0:
                        _add_row(blocks[b], r, states[q], weights[r], differ[q])


@kernel()
def _add_row(rows, r, state, weight, differ):
    for i in range(len(state)):
        bits = rows[i, r] ^ state[i]
        while bits:
            below = bits - np.uint64(1)
            differ[64 * i + np.int64(popcount(~bits & below))] += weight  # the lowest set bit
            bits &= below
