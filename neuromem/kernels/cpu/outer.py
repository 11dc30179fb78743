"""Plastic updates of one float32 matrix W (n_values, n_keys), in place, each element loaded and stored as rarely as can be.

Functions and their meaning are those of ``neuromem.kernels.reference.outer``. ``decay_hebb`` rounds
as the reference does, bit for bit. The others add up in another order, and with fused
multiply-add: each sum of n products then differs from the exact one by at most n eps times the sum
of their sizes, as the reference's own does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule
from neuromem.kernels.reference.outer import TINY

RANK = 8  # at most so many pairs are added in one pass over the rows, their coefficients in registers; more go by BLAS
PANEL_ROWS, PANEL_COLUMNS = 256, 1024  # 1 MiB: a panel stays in the second-level cache
PART = 1 << 22  # weights, each written once, that are worth a thread of their own: 0.3 ms
KEY_BLOCK = 1 << 18  # components of keys (1 MiB) that stay there while a row takes one key after the other

# plain integers, for compiled code
DOT_PRODUCT, HUBER_ERROR, POWER_ERROR, VARIANCE = (int(x) for x in (Loss.DOT_PRODUCT, Loss.HUBER_ERROR, Loss.POWER_ERROR, Loss.VARIANCE))
OJA, MOMENTUM = int(Retention.OJA), int(Step.MOMENTUM)

_sums = kernel(fastmath={"reassoc", "contract", "nsz"})  # lets sums be vectors, and a * b + c be one operation
_inlined_sums = kernel(fastmath={"reassoc", "contract", "nsz"}, forceinline=True)
_inlined = kernel(forceinline=True)


def decay_hebb(
    w: np.ndarray, u: np.ndarray, v: np.ndarray, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1
) -> None:
    """Set ``W <- clip(decay W + (rate u) v^T, low, high)``."""
    gains = np.float32(rate) * u
    scalars = np.float32(decay), np.float32(low), np.float32(high)
    _share(lambda first, stop: _rank_one(w[first:stop], gains[first:stop], v, *scalars), w, threads)


def _share(run: Callable[[int, int], object], w: np.ndarray, threads: int, passes: int = 1) -> None:
    """Call ``run(first, stop)`` for parts of the rows of W, large enough to be worth a thread with ``passes`` passes over each."""
    share(run, len(w), threads, multiple=max(1, PART // max(1, w.shape[1] * passes)))


@_inlined
def _clipped(x, low, high):
    x = low if x < low else x  # comparisons with NaN are false: it stays
    return high if x > high else x


@kernel()
def _rank_one(w, gains, v, decay, low, high):
    for i in range(0, len(w) - 3, 4):
        _four_rows(w[i : i + 4], gains[i : i + 4], v, decay, low, high)
    for i in range(len(w) - len(w) % 4, len(w)):
        _one_row(w[i], gains[i], v, decay, low, high)


@kernel()
def _four_rows(w, gains, v, decay, low, high):
    """Four rows share what is loaded of v. Not inlined: within the loop over rows, LLVM makes no vectors of it."""
    row0, row1, row2, row3 = w[0], w[1], w[2], w[3]
    gain0, gain1, gain2, gain3 = gains[0], gains[1], gains[2], gains[3]
    for j in range(row0.size):
        x = v[j]
        row0[j] = _clipped(decay * row0[j] + gain0 * x, low, high)
        row1[j] = _clipped(decay * row1[j] + gain1 * x, low, high)
        row2[j] = _clipped(decay * row2[j] + gain2 * x, low, high)
        row3[j] = _clipped(decay * row3[j] + gain3 * x, low, high)


@_inlined
def _one_row(row, gain, v, decay, low, high):
    for j in range(row.size):
        row[j] = _clipped(decay * row[j] + gain * v[j], low, high)


def decay_hebb_batch(
    w: np.ndarray, us: np.ndarray, vs: np.ndarray, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1
) -> None:
    """Set ``W <- clip(decay W + sum_b (rate u_b) v_b^T, low, high)``: B pairs at once, with one decay and one clip."""
    gains = np.ascontiguousarray(np.float32(rate) * us.T)  # (n_values, B)
    scalars = np.float32(decay), np.float32(low), np.float32(high)
    if len(us) > RANK:
        _share(lambda first, stop: _panels(w[first:stop], gains[first:stop], vs, *scalars), w, threads, len(us) // RANK)
        return
    filled, rows = np.zeros((len(w), RANK), np.float32), np.zeros((RANK, w.shape[1]), np.float32)
    filled[:, : len(us)], rows[: len(us)] = gains, vs
    _share(lambda first, stop: _rank_eight(w[first:stop], filled[first:stop], rows, *scalars), w, threads)


@_sums
def _rank_eight(w, gains, vs, decay, low, high):
    for i in range(len(w)):
        _add_eight(w[i], gains[i], vs, decay, low, high)


@_inlined_sums
def _add_eight(row, a, v, decay, low, high):
    a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
    v0, v1, v2, v3, v4, v5, v6, v7 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
    for j in range(row.size):
        added = a0 * v0[j] + a1 * v1[j] + a2 * v2[j] + a3 * v3[j] + a4 * v4[j] + a5 * v5[j] + a6 * v6[j] + a7 * v7[j]
        row[j] = _clipped(decay * row[j] + added, low, high)


def _panels(w: np.ndarray, gains: np.ndarray, vs: np.ndarray, decay: np.float32, low: np.float32, high: np.float32) -> None:
    """Add the products panel by panel, so that what BLAS made is still in the cache when it is added."""
    n_rows, n_columns = min(PANEL_ROWS, len(w)), min(PANEL_COLUMNS, w.shape[1])
    panel = np.empty(n_rows * n_columns, np.float32)
    for i in range(0, len(w), PANEL_ROWS):
        for j in range(0, w.shape[1], PANEL_COLUMNS):
            left, right, rows = gains[i : i + PANEL_ROWS], vs[:, j : j + PANEL_COLUMNS], w[i : i + PANEL_ROWS]
            made = panel[: len(left) * right.shape[1]].reshape(len(left), -1)
            np.matmul(left, right, out=made)
            _add_panel(rows, j, made, decay, low, high)


@kernel()
def _add_panel(w, column, made, decay, low, high):
    for i in range(len(made)):
        row, more = w[i, column : column + made.shape[1]], made[i]
        for j in range(row.size):
            row[j] = _clipped(decay * row[j] + more[j], low, high)


def read(w: np.ndarray, keys: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``W k`` for each row k of ``keys`` (M, n_keys), as (M, n_values). BLAS has its own threads."""
    values: np.ndarray = keys @ w.T
    return values


def write(
    w: np.ndarray, momentum_state: np.ndarray | None, keys: np.ndarray, values: np.ndarray, rule: WriteRule, threads: int = 1
) -> None:
    """Write the pairs (keys[m], values[m]) one after the other, each by ``rule`` (see ``neuromem.kernels.outer_rules``).

    A row of W takes a block of keys while it is in the cache: W passes through memory once a block, not
    once a pair. Only the orthogonal step, which joins rows, passes over W twice for each pair.
    """
    if rule.is_a_sum:
        decay_hebb_batch(w, values, keys, 1.0, rule.rate, threads=threads)
        return
    if rule.step == Step.ORTHOGONAL:
        for k, v in zip(keys, values, strict=True):
            _write_orthogonal(w, k, v, rule, threads)
        return
    speed = w[:0] if momentum_state is None else momentum_state
    targets = values.T
    block = max(1, KEY_BLOCK // max(1, w.shape[1]))
    for m in range(0, len(keys), block):
        _write_block(w, speed, keys[m : m + block], np.ascontiguousarray(targets[:, m : m + block]), rule, threads)


def _write_block(w: np.ndarray, speed: np.ndarray, keys: np.ndarray, targets: np.ndarray, rule: WriteRule, threads: int) -> None:
    scalars = tuple(np.float32(x) for x in (rule.gamma, rule.rate, rule.momentum, rule.low, rule.high))

    def run(first: int, stop: int) -> None:
        _write_rows(
            w[first:stop], speed[first:stop], keys, targets[first:stop], *_loss(rule), int(rule.retention), int(rule.step), *scalars
        )

    _share(run, w, threads, len(keys))


def _loss(rule: WriteRule) -> tuple[int, np.float32, float]:
    """Return the loss, the bound of Huber's and the exponent of the power's."""
    return int(rule.loss), np.float32(rule.parameter), rule.parameter - 1.0


@_inlined_sums
def _dot(a, b):
    total = np.float32(0.0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@_inlined
def _error(row, key, v, loss, bound, exponent):
    """Return one component of e, and read the row only where the loss asks for the response."""
    if loss == DOT_PRODUCT:
        return v
    y = _dot(row, key)
    if loss == VARIANCE:
        return y
    e = v - y
    if loss == HUBER_ERROR:
        return _clipped(e, -bound, bound)
    if loss == POWER_ERROR:
        return np.float32(np.sign(e) * np.float64(abs(e)) ** exponent)
    return e


@_inlined
def _kept(e, retention, gamma, rate):
    return np.float32(1.0) - rate * e * e if retention == OJA else gamma


@kernel()
def _write_rows(w, speed, keys, targets, loss, bound, exponent, retention, step, gamma, rate, momentum, low, high):
    for i in range(len(w)):
        row = w[i]
        for m in range(len(keys)):
            key = keys[m]
            e = _error(row, key, targets[i, m], loss, bound, exponent)
            gain, keep = rate * e, _kept(e, retention, gamma, rate)
            if step == MOMENTUM:
                fast = speed[i]
                for j in range(row.size):
                    fast[j] = momentum * fast[j] + gain * key[j]
                    row[j] = _clipped(keep * row[j] + fast[j], low, high)
            else:
                for j in range(row.size):
                    row[j] = _clipped(keep * row[j] + gain * key[j], low, high)


def _write_orthogonal(w: np.ndarray, key: np.ndarray, value: np.ndarray, rule: WriteRule, threads: int) -> None:
    """Write one pair: a pass that reads e and what each column has of it, and a pass that changes W."""
    e = np.empty(len(w), np.float32)
    parts: list[tuple[int, np.ndarray]] = []

    def look(first: int, stop: int) -> None:
        sums = np.zeros((2, w.shape[1]), np.float32)
        _column_sums(w[first:stop], key, value[first:stop], e[first:stop], sums[0], sums[1], *_loss(rule))
        parts.append((first, sums))

    _share(look, w, threads)
    along, square = np.sum([sums for _, sums in sorted(parts, key=lambda part: part[0])], axis=0)  # in the same order each time
    known = np.divide(along, square, out=np.zeros_like(square), where=square >= TINY)
    gains = np.float32(rule.rate) * key
    scalars = tuple(np.float32(x) for x in (rule.gamma, rule.rate, rule.low, rule.high))
    _share(lambda first, stop: _add_new(w[first:stop], e[first:stop], gains, known, int(rule.retention), *scalars), w, threads)


@_sums
def _column_sums(w, key, value, e, along, square, loss, bound, exponent):
    for i in range(len(w)):
        row = w[i]
        error = _error(row, key, value[i], loss, bound, exponent)
        e[i] = error
        for j in range(row.size):
            along[j] += error * row[j]
            square[j] += row[j] * row[j]


@kernel()
def _add_new(w, e, gains, known, retention, gamma, rate, low, high):
    for i in range(len(w)):
        row, error = w[i], e[i]
        keep = _kept(error, retention, gamma, rate)
        for j in range(row.size):
            row[j] = _clipped(keep * row[j] + gains[j] * (error - row[j] * known[j]), low, high)
