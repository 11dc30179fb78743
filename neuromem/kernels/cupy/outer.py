"""Plastic updates of one float32 matrix W (n_values, n_keys) on the device, in place; ``kernels/reference/outer.py`` has the definitions.

Bound by memory: an update by up to 40 pairs or so (where, on paper, float32 arithmetic takes over) moves 8 bytes a weight, each read once and written
once, 16 bytes a thread, four rows on their way at once. A pair or eight stay in registers while the rows pass; more pairs pass
while a tile of W stays in registers. No product of matrices is written down, which is why not even large batches go by cuBLAS.
A write that needs the response takes both from one reading of the row: of up to 8,192 columns by registers, of more by the caches.

``decay_hebb`` rounds as the reference does, bit for bit. The others add up in another order, fixed for each shape, and with fused
multiply-add: each sum of n products then differs from the exact one by at most n eps times the sum of their sizes, as the reference's
own does. ``decay_hebb_batch`` adds the pairs in ascending order, whatever their number. The powers of ``POWER_ERROR`` are CUDA's
in float64 (2 units off at most), rounded to float32.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty
from neuromem.kernels.outer_rules import Loss, Step, WriteRule
from neuromem.kernels.reference.outer import TINY

_cuda = Source("outer")

RANK = 8  # pairs whose columns' side a thread holds in registers (add_eight); more go tile by tile
ROWS, TILE, WRITERS = 64, 128, 256  # as in outer.cu
COLUMNS = 4 * BLOCK  # of a block
MOST_BLOCKS = 65535  # in a grid's second dimension; kernels loop over what is more
CACHE = 1 << 25  # bytes of rows that are in hand together: they stay in the second-level cache from pair to pair
LEAST_ROWS = 128  # in hand together, however long: one for each of the multiprocessors, about
PARTS = 128  # of the rows, at most, whose column sums are added to each other


def decay_hebb(w: Any, u: Any, v: Any, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1) -> None:
    """Set ``W <- clip(decay W + (rate u) v^T, low, high)``."""
    if w.size:
        u, v = cp.ascontiguousarray(u), cp.ascontiguousarray(v)
        _cuda.launch("add_one", _grid(w), BLOCK, w, *w.shape, u, v, *_floats(decay, rate, low, high))


def decay_hebb_batch(
    w: Any, us: Any, vs: Any, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1
) -> None:
    """Set ``W <- clip(decay W + sum_b (rate u_b) v_b^T, low, high)``: B pairs at once, with one decay and one clip."""
    if w.size:
        name, grid = ("add_eight", _grid(w)) if len(us) <= RANK else ("add_many", _grid(w, TILE, TILE))
        us, vs = cp.ascontiguousarray(us), cp.ascontiguousarray(vs)  # some rows' part of them is not
        _cuda.launch(name, grid, BLOCK, w, *w.shape, us, vs, len(us), *_floats(decay, rate, low, high))


def read(w: Any, keys: Any, threads: int = 1) -> Any:
    """Return ``W k`` for each row k of ``keys`` (M, n_keys), as (M, n_values): one by a warp for four rows of W, more by cuBLAS."""
    if len(keys) != 1:
        return keys @ w.T
    values = empty((1, len(w)), np.float32)
    _errors(w, cp.ascontiguousarray(keys), values, WriteRule(Loss.VARIANCE), values)  # whose error is the response itself
    return values


def write(w: Any, momentum_state: Any | None, keys: Any, values: Any, rule: WriteRule, threads: int = 1) -> None:
    """Write the pairs (keys[m], values[m]) one after the other, each by ``rule`` (see ``neuromem.kernels.outer_rules``).

    All pairs are one launch, for rows do not know of each other: a block takes a row through them. Only the orthogonal step, which
    joins rows, is four launches and three passes over W for each pair.
    """
    if rule.is_a_sum:
        decay_hebb_batch(w, values, keys, 1.0, rule.rate)
    elif w.size and len(keys):
        run = _write_orthogonal if rule.step == Step.ORTHOGONAL else _write_rows
        run(w, momentum_state, cp.ascontiguousarray(keys), cp.ascontiguousarray(values), rule)


def _write_rows(w: Any, momentum_state: Any | None, keys: Any, values: Any, rule: WriteRule) -> None:
    n_values, n_keys = w.shape
    speeds = w if momentum_state is None else momentum_state  # not looked at without momentum
    block = min(WRITERS, 32 * blocks_for(n_keys, 4 * 32))
    rows = n_values if len(keys) == 1 else min(n_values, max(LEAST_ROWS, CACHE // (4 * n_keys)))
    floats = _floats(rule.gamma, rule.rate, rule.momentum, rule.low, rule.high)
    _cuda.launch(
        "write_pairs", rows, block, w, speeds, n_values, n_keys, keys, values, len(keys), *_loss(rule), int(rule.retention), int(rule.step),
        *floats,
    )  # fmt: skip


def _write_orthogonal(w: Any, _: None, keys: Any, values: Any, rule: WriteRule) -> None:
    n_values, n_keys = w.shape
    rows = max(ROWS, -(-n_values // PARTS))
    parts = blocks_for(n_values, rows)
    e, sums, known = (empty(shape, np.float32) for shape in (n_values, (parts, 2, n_keys), n_keys))
    for m in range(len(keys)):
        key = keys[m]
        if rule.loss == Loss.DOT_PRODUCT:
            e = values[m]
        else:
            _errors(w, key, values[m], rule, e)
        _cuda.launch("column_sums", (blocks_for(n_keys, COLUMNS), parts), BLOCK, w, n_values, n_keys, e, rows, sums)
        _cuda.launch("known_part", blocks_for(n_keys), BLOCK, sums, parts, n_keys, np.float32(TINY), known)
        floats = _floats(rule.gamma, rule.rate, rule.low, rule.high)
        _cuda.launch("add_new", _grid(w), BLOCK, w, n_values, n_keys, key, e, known, int(rule.retention), *floats)


def _errors(w: Any, key: Any, value: Any, rule: WriteRule, e: Any) -> None:
    """Set ``e`` (n_values,) for one pair, a warp for four rows."""
    _cuda.launch("errors", blocks_for(len(w), 4 * BLOCK // 32), BLOCK, w, *w.shape, key, value, *_loss(rule), e)


def _grid(w: Any, columns: int = COLUMNS, rows: int = ROWS) -> tuple[int, int]:
    """Return a grid of blocks for so many columns (x) and rows (y)."""
    return blocks_for(w.shape[1], columns), min(blocks_for(len(w), rows), MOST_BLOCKS)


def _loss(rule: WriteRule) -> tuple[int, np.float32, np.float64]:
    """Return the loss, the bound of Huber's and the exponent of the power's."""
    return int(rule.loss), np.float32(rule.parameter), np.float64(rule.parameter - 1.0)


def _floats(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(x) for x in numbers)
