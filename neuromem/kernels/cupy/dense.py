"""Reads of a dense associative memory, on the device; ``kernels/reference/dense.py`` has the definitions.

``kernels/cpu/dense.py`` has the identities: all reads of bipolar patterns come from D_i, the sum of a weight v[d_m] over the patterns that
differ from the state in unit i, and W, the sum of w[d_m] over all, where d_m are Hamming distances and v and w are tables. Here they are
summed in float64 in three passes: distances; D and W of up to 256 chunks of patterns, side by side; the sum of the chunks, in order. Patterns
whose weight is 0 are passed over. Real-valued patterns are read likewise, with scores in float64 in the place of distances.

The order of sums depends on the numbers of patterns and units alone: a cue has the same bits in every run and in every batch. From the
reference, fields of whole numbers differ in no bit (while its own are exact); exponential fields and softmax reads by rounding, and by what
is left out: as on the CPU, weights below exp(-17) / M of the largest of a softmax, which move a read by less than 1e-7 of the largest
|x_mi|, and log_sum and largest by less than 4.2e-8; of exponential fields, less than a rounding error.

The first pass is bound by memory, N / 8 bytes a pattern and tile of 8 cues (4 N and 4, real-valued); the second by float64 additions, M N for
each cue, unless few weights matter. Distances kept for it are 4 bytes a pattern and cue (scores 8).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.cupy.hamming import ROWS, distances
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, put, zeros
from neuromem.kernels.dense_tables import NEGLIGIBLE, ROUNDING, decaying, differences
from neuromem.kernels.reference.dense import Read

__all__ = ["Read", "exponential_fields", "polynomial_fields", "read_softmax", "read_softmax_real"]

_cuda = Source("dense")

ROOM = 1 << 28
"""Bytes of distances (scores) and sums of chunks that are kept at a time, for one cue at least."""

CHUNKS = 256
"""Chunks of patterns that are summed side by side, at most."""

WORDS = 16
"""Words of a pattern that one block of threads sums, as in ``dense.cu``."""

SCORED, TOGETHER = 4, 8
"""Cues (and rows) that a warp scores, and cues that are summed together, as in ``dense.cu``."""

MOST_BLOCKS = 65535
"""Blocks in a grid's second dimension."""


def read_softmax(blocks: Any, n_patterns: int, n_units: int, states: Any, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of bipolar patterns; beta >= 0 multiplies overlaps that reach from -N to N."""
    _check(n_patterns)
    table = _decaying(beta, math.log(n_patterns) + NEGLIGIBLE, n_units)
    values, total, nearest = _read("softmax", np.float32, blocks, n_patterns, n_units, states, table, table, True)
    return Read(values, beta * (n_units - 2.0 * nearest) + cp.log(total), 1 / total)


def polynomial_fields(blocks: Any, n_patterns: int, n_units: int, states: Any, power: int, rectified: bool, threads: int = 1) -> Any:
    """Return the fields h (B, N), float64, for F(o) = o^power, or max(o, 0)^power if ``rectified``.

    Exact while the terms add up to less than 2^53; beyond, rounded as float64 sums are, and beyond float64 infinite, of the right sign.
    With power 2 it is four times the field of a Hebbian network without self-coupling, h_i = 4 sum_{j != i} (sum_m x_mi x_mj) s_j.
    """
    _check(n_patterns)
    both, agreeing, exponent = _differences(n_units, power, rectified)
    return _read("polynomial", np.float64, blocks, n_patterns, n_units, states, both, agreeing, False, exponent)[0]


def exponential_fields(blocks: Any, n_patterns: int, n_units: int, states: Any, beta: float, threads: int = 1) -> Any:
    """Return the fields (B, N), float64, for F(o) = exp(beta o), divided by exp(beta (max_m o_m + 2)) so that nothing overflows.

    From beta = 350 on exp(-2 beta) is 0 in float64, and so are the fields of units in which nothing near differs.
    """
    _check(n_patterns)
    table = _decaying(beta, math.log(n_patterns) + ROUNDING + 2 * beta, n_units)
    factors = np.float64(math.exp(-2 * beta)), np.float64(-math.expm1(-2 * beta))
    return _read("exponential", np.float64, blocks, n_patterns, n_units, states, table, table, True, *factors)[0]


def read_softmax_real(patterns: Any, states: Any, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of real-valued patterns (M, N) for real-valued states (B, N), both float32.

    Scores are float64 and cannot overflow; what weighs less than exp(-17) / M of the largest is left out, as of bipolar patterns.
    """
    (m, n), b = patterns.shape, len(states)
    _check(m)
    depth = np.float64(math.log(m) + NEGLIGIBLE)
    n_chunk, n_chunks = _chunks(m)
    values, log_sum, total = empty((b, n), np.float32), empty(b, np.float64), empty(b, np.float64)
    for some in _parts(b, 8 * m + 8 * n_chunks * n):
        keys = states[some].astype(np.float64)
        q = len(keys)
        found, read, whole = empty((q, m), np.float64), empty((q, n_chunks, n), np.float64), empty((q, n_chunks), np.float64)
        n_blocks = blocks_for(m, BLOCK // 32 * SCORED) * -(-q // SCORED)
        _cuda.launch("scores", n_blocks, BLOCK, patterns, m, n, keys, q, np.float64(beta), found)
        top = found.max(axis=1)
        grid = blocks_for(n) * -(-q // TOGETHER), n_chunks
        _cuda.launch("add_weighted", grid, BLOCK, patterns, m, n, n_chunk, found, q, top, depth, read, whole)
        _cuda.launch("mean", (blocks_for(n), q), BLOCK, read, whole, n_chunks, n, values[some], total[some])
        log_sum[some] = top + cp.log(total[some])
    return Read(values, log_sum, 1 / total)


def _check(n_patterns: int) -> None:
    if not n_patterns:
        raise ValueError("there are no patterns to read")


def _chunks(n_patterns: int) -> tuple[int, int]:
    """Return how many patterns are summed by one block of threads, and how many such chunks there are."""
    n_chunk = -(-n_patterns // (CHUNKS * ROWS)) * ROWS
    return n_chunk, -(-n_patterns // n_chunk)


def _parts(n_cues: int, bytes_of_cue: int) -> Iterator[slice]:
    at_once = max(1, min(MOST_BLOCKS, ROOM // bytes_of_cue))
    return (slice(first, min(n_cues, first + at_once)) for first in range(0, n_cues, at_once))


@functools.lru_cache(8)
def _decaying(beta: float, depth: float, n_units: int) -> Any:
    return put(decaying(beta, depth, n_units))


@functools.lru_cache(8)
def _differences(n_units: int, power: int, rectified: bool) -> tuple[Any, Any, int]:
    both, agreeing, exponent = differences(n_units, power, rectified)
    return put(both), put(agreeing), exponent


def _read(
    kernel: str, dtype: Any, blocks: Any, n_patterns: int, n_units: int, states: Any, v: Any, w: Any, decaying: bool, *numbers: Any
) -> tuple[Any, Any, Any]:
    """Return what ``kernel`` makes of D and W (B, N), W (B,), and the distances (B,) from which tables begin: the lowest, if ``decaying``."""
    b, n_words = states.shape
    n_chunk, n_chunks = _chunks(n_patterns)
    values, total, nearest = empty((b, n_units), dtype), empty(b, np.float64), zeros(b, np.int32)
    for some in _parts(b, 4 * n_patterns + 512 * n_chunks * n_words):
        cues = states[some]
        found = distances(blocks, n_patterns, cues)
        if decaying:
            nearest[some] = found.min(axis=1)
        differ, whole = empty((len(cues), n_chunks, 64 * n_words), np.float64), empty((len(cues), n_chunks), np.float64)
        grid = len(cues) * -(-n_words // WORDS), n_chunks
        of_cues = cues, found, nearest[some], v, w, v.size
        _cuda.launch("add_differing", grid, BLOCK, blocks, n_words, n_patterns, n_chunk, *of_cues, differ, whole)
        grid = blocks_for(n_units), len(cues)
        sums = differ, whole, n_chunks, cues, n_words
        _cuda.launch(kernel, grid, BLOCK, *sums, n_units, values[some], total[some], *numbers)
    return values, total, nearest
