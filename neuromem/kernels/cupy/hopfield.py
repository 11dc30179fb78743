"""Hebbian weights of bipolar units on the device: the same functions as ``kernels.reference.hopfield``, which has the definitions.

Those on packed patterns are in ``hopfield_patterns.py``; here are matrices. What binds them is reading these: ``energy`` and the first inputs
of ``async_recall`` read N^2 weights for every eight cues; each flip reads a row, and reads and writes N inputs in float64, which stay in the cache;
``storkey_store`` reads and writes N^2 weights for each pattern, and reads them once more before the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neuromem.kernels.cupy.hopfield_patterns import (
    MOST_BLOCKS,
    async_recall_patterns,
    at_cues,
    coactivity_matrix,
    energy_patterns,
    fields,
    hebb_matrix,
    overlaps,
    transpose,
)
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, get, put, zeros
from neuromem.kernels.reference import hopfield as reference
from neuromem.kernels.reference.hopfield import Settled

__all__ = [
    "Settled", "async_recall", "async_recall_patterns", "at_cues", "coactivity_matrix", "energy", "energy_patterns", "fields",
    "hebb_matrix", "overlaps", "pinv_matrix", "storkey_store", "transpose",
]  # fmt: skip

_cuda = Source("hopfield")

WARPS = 8
"""Warps of a block, each of which has a row of a matrix."""

ROWS_LAST = 256
"""Rows of weights that a block renews at once."""


def async_recall(w: Any, states: Any, orders: Any, max_sweeps: int, bias: Any = None, threads: int = 1) -> Settled:
    """Return where recall with a symmetric matrix (int16, int32 or float32) comes to rest: one pass over it, then a row for each flip.

    Two launches. Inputs are float64 and kept up to date: of whole weights they are exact; of others, after F flips, they may be off by
    ``(N + F) 2**-53 sum_i |w_ij|``, and act as a bias of that size.
    """
    settled = at_cues(states)
    if states.size:
        bias = zeros(len(w), "float64") if bias is None else bias.astype("float64")
        h = _inputs(w, settled.states, bias)
        block = min(1024, 32 * -(-len(w) // 32))
        _cuda.launch(f"settle_{w.dtype}", len(states), block, w, len(w), h, orders, orders.shape[1], max_sweeps, *settled)
    return settled


def storkey_store(w: Any, patterns: Any, threads: int = 1) -> None:
    """Store (M, N) booleans one after the other; w, float32 (N, N), symmetric with a diagonal of 0, changes in place.

    A pass over w for the first pattern's H, and then one for each pattern, which adds up the next pattern's H over the new weights; the last
    one adds up nothing. The sums have the definition's order, and the weights its bits.
    """
    n, last = len(w), len(patterns) - 1
    if last < 0 or n == 0:
        return
    gain, h, v = np.float32(2.0 / n), empty(n, "float64"), empty(n, "float32")
    columns = blocks_for(n, 32)
    _cuda.launch("storkey_first", columns, BLOCK, w, n, patterns[0], h)
    for m in range(last):
        _cuda.launch("storkey_change", blocks_for(n), BLOCK, patterns[m], h, n, v)
        _cuda.launch("storkey_next", columns, BLOCK, w, n, gain, patterns[m], v, patterns[m + 1], h)
    _cuda.launch("storkey_change", blocks_for(n), BLOCK, patterns[last], h, n, v)
    _cuda.launch("storkey_last", (columns, min(blocks_for(n, ROWS_LAST), MOST_BLOCKS)), BLOCK, w, n, gain, patterns[last], v)


def pinv_matrix(patterns: Any) -> Any:
    """Return the projection onto the space that (M, N) booleans span as bipolar patterns, float32 (N, N): ``W x = x`` for each.

    The singular vectors are found on the host: the patterns go there, and the matrix comes back.
    """
    return put(reference.pinv_matrix(get(patterns)))


def energy(w: Any, states: Any, threads: int = 1) -> Any:
    """Return ``-1/2 sum_ij s_i w_ij s_j`` of states (B, N) of -1 and 1, float64 (B,), for a symmetric matrix."""
    return -0.5 * (_inputs(w, states.astype("int8", order="C"), zeros(len(w), "float64")) * states).sum(axis=1)


def _inputs(w: Any, states: Any, bias: Any) -> Any:
    """Return ``bias_i + sum_j w_ij s_bj``, float64 (B, N)."""
    b, n = states.shape
    h = empty((b, n), "float64")
    if h.size:
        grid = blocks_for(n, WARPS), min(blocks_for(b, 8), MOST_BLOCKS)
        _cuda.launch(f"inputs_of_{'one' if b == 1 else 'eight'}_{w.dtype}", grid, 32 * WARPS, w, n, bias, states, b, h)
    return h
