"""Hebbian updates of one table of 8-bit weights W (n_values, n_keys), in place: the definition.

Weights are whole numbers within bounds, ``low`` to ``high`` (-127 to 127, so that both signs reach equally far). A weight that would leave
them stays at the bound, and what it should have gained is lost: so the update counts such weights. Bounds make the table a memory that
forgets what is old, where an unbounded one would end by recalling nothing (doi:10.1088/0305-4470/19/10/011).

Rules whose changes are fractions (decay, delta, Oja, traces) have no 8-bit form: a change below half a step would be rounded away every time.
"""

from __future__ import annotations

import numpy as np

LOW, HIGH = -127, 127
MOST_PAIRS = (2**31 - 1 - 128) // 128**2  # products of 8 bits that a sum of 32 bits holds beside a weight


def hebb_batch(w: np.ndarray, us: np.ndarray, vs: np.ndarray, low: int = LOW, high: int = HIGH, threads: int = 1) -> int:
    """Set ``W <- clip(W + sum_b u_b v_b^T, low, high)``: B pairs at once, with one clip. All arrays are int8.

    ``us`` (B, n_values) stands at the rows of W, ``vs`` (B, n_keys) at its columns; B is at most ``MOST_PAIRS``, and ``low`` and ``high`` are
    within -128 and 127. Returns how many weights the sum pushed to a bound or against it: those that it moved up to ``high`` or more, and
    those that it moved down to ``low`` or less.
    """
    change = us.T.astype(np.int32) @ vs.astype(np.int32)
    wanted = w + change
    w[:] = np.clip(wanted, low, high)
    return int(np.count_nonzero((change > 0) & (wanted >= high)) + np.count_nonzero((change < 0) & (wanted <= low)))
