"""Hebbian updates of one table of 8-bit weights W (n_values, n_keys) on the device, in place; ``kernels/reference/counters.py`` has the definition,
which this keeps bit for bit.

Bound by memory up to 8 pairs or so: 2 bytes a weight, read once and written once, 16 bytes a thread, four rows on their way at once; with more, by
arithmetic. Products of four pairs are one instruction (dp4a), and their sums stay in registers. The number of weights that were pushed to a bound is got
from the device: one transfer of 8 bytes, which waits for the update.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, get, zeros
from neuromem.kernels.reference.counters import HIGH, LOW

_cuda = Source("counters")

TILE = 128  # rows and columns of a block, as in counters.cu
MOST_BLOCKS = 65535  # in a grid's second dimension; the kernel loops over what is more


def hebb_batch(w: Any, us: Any, vs: Any, low: int = LOW, high: int = HIGH, threads: int = 1) -> int:
    """Set ``W <- clip(W + sum_b u_b v_b^T, low, high)``, and return how many weights the sum pushed to a bound or against it."""
    if not w.size:
        return 0
    pushed = zeros(1, np.uint64)
    us, vs = cp.ascontiguousarray(us), cp.ascontiguousarray(vs)  # some rows' part of them is not
    grid = blocks_for(w.shape[1], TILE), min(blocks_for(len(w), TILE), MOST_BLOCKS)
    _cuda.launch("hebb", grid, BLOCK, w, *w.shape, us, vs, len(us), low, high, pushed)
    return int(get(pushed)[0])
