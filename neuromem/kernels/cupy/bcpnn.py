"""Bayesian-Hebbian traces and weights of BCPNN on the device, in one pass; ``kernels/reference/bcpnn.py`` has the definitions.

Bound by memory: an update moves 12 bytes a synapse (p_ij read and written, w written), 16 bytes a thread, four rows on their way at once.
The logarithm is the polynomial of ``kernels/cpu/bcpnn.py``, 25 operations or so, and cheaper than its 12 bytes.

Traces are the reference's bit for bit. A weight w is off by at most ``(|w| + 8) 2^-24``, and a bias b by ``|b| 2^-24 (1 + 2^-27)``:
its logarithm is CUDA's in float64, 1 unit off at most, rounded to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty
from neuromem.kernels.reference.bcpnn import EPS

_cuda = Source("bcpnn")

ROWS = 64  # of a block, as in bcpnn.cu
MOST_BLOCKS = 65535  # in a grid's second dimension; kernels loop over what is more


def traces_update(
    p_i: Any, p_j: Any, p_ij: Any, w: Any, bias: Any, x_pre: Any, x_post: Any, alpha: float, eps: float = EPS, threads: int = 1
) -> None:
    """Move the traces one step towards the activities ``x_pre`` (n_pre,) and ``x_post`` (n_post,), and set ``w`` and ``bias``, in place."""
    step = np.float32(alpha)
    for p, x in ((p_i, x_pre), (p_j, x_post)):
        _cuda.launch("move", blocks_for(p.size), BLOCK, p, p.size, x, step)
    by_row, by_column = _inverses(p_i, p_j, eps, bias)
    if w.size:
        _cuda.launch("move_and_weigh", _grid(w), BLOCK, p_ij, w, *w.shape, x_pre, x_post, by_row, by_column, step, np.float32(eps**2))


def weights(p_i: Any, p_j: Any, p_ij: Any, eps: float = EPS, threads: int = 1) -> tuple[Any, Any]:
    """Return the weights (n_pre, n_post) and the biases (n_post,) of the probabilities."""
    w, bias = empty(p_ij.shape, np.float32), empty(p_j.size, np.float32)
    by_row, by_column = _inverses(p_i, p_j, eps, bias)
    if w.size:
        _cuda.launch("weigh", _grid(w), BLOCK, p_ij, w, *w.shape, by_row, by_column, np.float32(eps**2))
    return w, bias


def _inverses(p_i: Any, p_j: Any, eps: float, bias: Any) -> tuple[Any, Any]:
    """Return 1 / P_i and 1 / P_j, and set ``bias`` to log P_j."""
    by_row, by_column = empty(p_i.size, np.float32), empty(p_j.size, np.float32)
    for p, inverse, logarithm in ((p_i, by_row, empty(p_i.size, np.float32)), (p_j, by_column, bias)):
        _cuda.launch("invert", blocks_for(p.size), BLOCK, p, p.size, np.float64(eps), inverse, logarithm)
    return by_row, by_column


def _grid(w: Any) -> tuple[int, int]:
    return blocks_for(w.shape[1], 4 * BLOCK), min(blocks_for(len(w), ROWS), MOST_BLOCKS)
