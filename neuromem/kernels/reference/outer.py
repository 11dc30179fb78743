"""Plastic updates of one float32 matrix W (n_values, n_keys), in place: the definitions.

``u`` (n_values,) and ``values`` (M, n_values) stand at the rows of W, ``v`` (n_keys,) and ``keys``
(M, n_keys) at its columns; all are float32. Scalars are rounded to float32 first, so that all
arithmetic is float32. Bounds may be -inf and inf; NaN stays NaN.

Sources: correlation matrices doi:10.1109/TC.1972.5008975; the composed rules, arXiv:2504.13173.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule

TINY = np.finfo(np.float32).tiny  # a column with a smaller square is empty


def decay_hebb(
    w: np.ndarray, u: np.ndarray, v: np.ndarray, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1
) -> None:
    """Set ``W <- clip(decay W + (rate u) v^T, low, high)``."""
    w *= np.float32(decay)
    w += np.outer(np.float32(rate) * u, v)
    np.clip(w, np.float32(low), np.float32(high), out=w)


def decay_hebb_batch(
    w: np.ndarray, us: np.ndarray, vs: np.ndarray, decay: float, rate: float, low: float = -np.inf, high: float = np.inf, threads: int = 1
) -> None:
    """Set ``W <- clip(decay W + sum_b (rate u_b) v_b^T, low, high)``: B pairs at once, with one decay and one clip.

    ``us`` is (B, n_values), ``vs`` (B, n_keys).
    """
    w *= np.float32(decay)
    w += (np.float32(rate) * us).T @ vs
    np.clip(w, np.float32(low), np.float32(high), out=w)


def read(w: np.ndarray, keys: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``W k`` for each row k of ``keys`` (M, n_keys), as (M, n_values)."""
    values: np.ndarray = keys @ w.T
    return values


def write(
    w: np.ndarray, momentum_state: np.ndarray | None, keys: np.ndarray, values: np.ndarray, rule: WriteRule, threads: int = 1
) -> None:
    """Write the pairs (keys[m], values[m]) one after the other, each by ``rule`` (see ``neuromem.kernels.outer_rules``).

    ``momentum_state`` is S, float32 of W's shape, changed in place; None unless the step is ``Step.MOMENTUM``.
    """
    rate, eta = np.float32(rule.rate), np.float32(rule.momentum)
    low, high = np.float32(rule.low), np.float32(rule.high)
    for k, v in zip(keys, values, strict=True):
        e = _error(w @ k, v, rule)
        if rule.step == Step.ORTHOGONAL:
            # what of e each column has already, as a multiple of the column
            square = (w * w).sum(axis=0)
            known = np.divide(e @ w, square, out=np.zeros_like(square), where=square >= TINY)
            change = (rate * k) * (e[:, None] - w * known)
        else:
            change = np.outer(rate * e, k)
        if rule.step == Step.MOMENTUM:
            assert momentum_state is not None
            momentum_state *= eta
            momentum_state += change
            change = momentum_state
        keep = 1 - (rate * e) * e if rule.retention == Retention.OJA else np.full(e.shape, rule.gamma, np.float32)
        w *= keep[:, None]
        w += change
        np.clip(w, low, high, out=w)


def _error(y: np.ndarray, v: np.ndarray, rule: WriteRule) -> np.ndarray:
    """Return e (n_values,) for the response y and the value v."""
    if rule.loss == Loss.DOT_PRODUCT:
        return v
    if rule.loss == Loss.VARIANCE:
        return y
    e = v - y
    if rule.loss == Loss.HUBER_ERROR:
        return np.clip(e, -np.float32(rule.parameter), np.float32(rule.parameter))
    if rule.loss == Loss.POWER_ERROR:
        power = np.abs(e).astype(np.float64) ** (rule.parameter - 1.0)  # 0^0 = 1, and sign(0) = 0
        return (np.sign(e) * power).astype(np.float32)
    return e
