"""Hebbian weights of bipolar units: stored, read at once or one unit after the other, in plain NumPy.

States s_i and patterns x_mi are -1 or 1. Packed, a 1 is the bit 1, and patterns lie in one of two ways: *by pattern*, ``x`` of shape
(M, n_words(N)); or *by unit*, ``xt`` of shape (n_words(M), N), where bit m % 64 of ``xt[m // 64, i]`` is x_mi. Bits beyond the last
are 0. Weights that are sums over patterns need never be written down::

    w_ij = sum_m x_mi y_mj     from unit i to unit j; y = x where a population feeds back
    o_m  = sum_i x_mi s_i      overlap
    h_j  = sum_i s_i w_ij = sum_m o_m y_mj

Otherwise ``w`` is a matrix (N, N). Asynchronous recall visits one unit after the other: it takes the sign of its input, where this is
not 0. With symmetric weights and no self-coupling that never raises the energy E = -1/2 sum_ij s_i w_ij s_j.

Sources: J. J. Hopfield 1982, doi:10.1073/pnas.79.8.2554; A. J. Storkey 1997, doi:10.1007/BFb0020196; L. Personnaz, I. Guyon,
G. Dreyfus 1985, doi:10.1051/jphyslet:01985004608035900.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuromem.kernels.bits import pack, unpack


class Settled(NamedTuple):
    """Where asynchronous recall came to rest: ``states`` int8 (B, N); for each cue ``sweeps`` int32, the last, quiet one
    included, ``flips`` int64, and ``converged``, whether a whole sweep passed without a flip."""

    states: np.ndarray
    sweeps: np.ndarray
    flips: np.ndarray
    converged: np.ndarray


def transpose(x: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return patterns by pattern (M, n_words(N)) as patterns by unit (n_words(M), N)."""
    return np.ascontiguousarray(pack(unpack(x, n_units).T).T)


def hebb_matrix(xt: np.ndarray, n_patterns: int, dtype: np.typing.DTypeLike = np.int16, threads: int = 1) -> np.ndarray:
    """Return ``w_ij = sum_m x_mi x_mj``, (N, N) with a diagonal of 0, as int16 or int32.

    Raise ``ValueError`` where the largest weight possible, ``n_patterns``, is not a number of that kind.
    """
    check_fits(n_patterns, dtype)
    x = _bipolar(xt, n_patterns)
    w = (x @ x.T).astype(dtype)
    np.fill_diagonal(w, 0)
    return w


def coactivity_matrix(xt: np.ndarray, n_patterns: int, threads: int = 1) -> np.ndarray:
    """Return in how many patterns units i and j are both 1, int32 (N, N); the diagonal counts those of each unit."""
    x = unpack(np.ascontiguousarray(xt.T), n_patterns).astype(np.float64)
    return (x @ x.T).astype(np.int32)


def overlaps(x: np.ndarray, states: np.ndarray, n_units: int, threads: int = 1) -> np.ndarray:
    """Return ``o_bm = sum_i s_bi x_mi`` of packed states (B, n_words(N)), int32 (B, M)."""
    differ = np.zeros((len(states), len(x)), np.int32)
    for b, state in enumerate(states):
        differ[b] = np.bitwise_count(x ^ state).sum(axis=1)
    return np.int32(n_units) - 2 * differ


def fields(xt: np.ndarray, n_patterns: int, overlaps: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``h_bj = sum_m o_bm x_mj`` of int32 overlaps (B, M), int64 (B, N); self-coupling is part of it."""
    return overlaps.astype(np.int64) @ _bipolar(xt, n_patterns).astype(np.int64).T


def async_recall(
    w: np.ndarray, states: np.ndarray, orders: np.ndarray, max_sweeps: int, bias: np.ndarray | None = None, threads: int = 1
) -> Settled:
    """Return where recall with a matrix from unit i to unit j (int16, int32 or float32) comes to rest.

    ``states`` (B, N) are -1 or 1; a sweep of cue b visits the units ``orders[b]``, (B, K) int32, in that order. Unit j takes the sign of
    ``h_j = bias_j + sum_i s_i w_ij``, and keeps its state where that is 0. Inputs are float64, so sums of whole numbers are exact.
    """
    w = w.astype(np.float64)
    bias = np.zeros(len(w)) if bias is None else bias
    return _settle(states, orders, max_sweeps, lambda s, j: float(s @ w[:, j] + bias[j]))


def async_recall_patterns(
    x: np.ndarray,
    yt: np.ndarray,
    n_patterns: int,
    states: np.ndarray,
    orders: np.ndarray,
    max_sweeps: int,
    self_coupling: bool = False,
    threads: int = 1,
) -> Settled:
    """Return the same for ``w_ij = sum_m x_mi y_mj``, of which only the patterns exist: ``x`` by pattern, ``yt`` by unit."""
    before = 2 * unpack(x, states.shape[1]).astype(np.int64) - 1
    w = before.T @ _bipolar(yt, n_patterns).astype(np.int64).T
    if not self_coupling:
        np.fill_diagonal(w, 0)
    return _settle(states, orders, max_sweeps, lambda s, j: float(s @ w[:, j]))


def storkey_store(w: np.ndarray, patterns: np.ndarray, threads: int = 1) -> None:
    """Store (M, N) booleans one after the other; w, float32 (N, N), symmetric with a diagonal of 0, changes in place::

        w_ij += (x_i x_j - x_i h_ji - h_ij x_j) / N,    h_ij = sum_k w_ik x_k over k other than i and j,    for i != j

    With H = W x that is ``w_ij <- w_ij + (2 / N w_ij + (x_i v_j + v_i x_j))``, ``v_i = (x_i / 2 - H_i) / N``: in float32, in this order, but
    that H_j adds up in float64 what each four rows in turn have of it, and v is rounded once. All bits follow from this, so that engines have
    the same ones; w_ij and w_ji are equal, as products with x are exact, and patterns stored at once are patterns stored one by one.
    """
    n = len(w)
    for x in np.where(patterns, np.float32(1), np.float32(-1)):
        h = np.zeros(n)
        for i in range(0, n, 4):
            four = np.zeros(n, np.float32)
            for x_i, of_i in zip(x[i : i + 4], w[i : i + 4], strict=True):
                four += x_i * of_i
            h += four
        v = ((0.5 * x - h) / n).astype(np.float32)
        w += np.float32(2.0 / n) * w + (np.outer(x, v) + np.outer(v, x))
        np.fill_diagonal(w, 0.0)


def pinv_matrix(patterns: np.ndarray) -> np.ndarray:
    """Return the projection onto the space that (M, N) booleans span as bipolar patterns, float32 (N, N): ``W x = x`` for each.

    Patterns may depend on one another linearly. ``W = V V^T`` with V the right singular vectors of the patterns, those of singular values
    within rounding of 0 left out: without squaring, as ``X^T (X X^T)^-1 X`` does, how nearly dependent they are.
    """
    m, n = patterns.shape
    if m == 0:
        return np.zeros((n, n), np.float32)
    _, size, directions = np.linalg.svd(2.0 * patterns - 1.0, full_matrices=False)
    span = directions[size > max(m, n) * np.finfo(np.float64).eps * size[0]].astype(np.float32)
    projection: np.ndarray = span.T @ span
    return projection


def energy(w: np.ndarray, states: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return ``-1/2 sum_ij s_i w_ij s_j`` of states (B, N) of -1 and 1, float64 (B,)."""
    s = states.astype(np.float64)
    return -0.5 * ((s @ w.astype(np.float64)) * s).sum(axis=1)


def energy_patterns(x: np.ndarray, states: np.ndarray, n_units: int, self_coupling: bool = False, threads: int = 1) -> np.ndarray:
    """Return the same for the Hebbian weights of patterns, both packed: ``-1/2 (sum_m o_m^2 - M N)``, or without ``- M N``."""
    own = 0.0 if self_coupling else float(len(x) * n_units)
    return -0.5 * ((overlaps(x, states, n_units).astype(np.float64) ** 2).sum(axis=1) - own)


def at_cues(states: np.ndarray) -> Settled:
    """Return where recall begins."""
    b = len(states)
    return Settled(states.astype(np.int8), np.zeros(b, np.int32), np.zeros(b, np.int64), np.zeros(b, np.bool_))


def check_fits(n_patterns: int, dtype: np.typing.DTypeLike) -> None:
    """Raise ``ValueError`` unless ``dtype`` is int16 or int32 and holds ``n_patterns``."""
    if np.dtype(dtype) not in (np.int16, np.int32):
        raise ValueError(f"hebb_matrix: dtype = {np.dtype(dtype)}; expected int16 or int32.")
    if n_patterns > np.iinfo(dtype).max:
        raise ValueError(f"hebb_matrix: weights up to {n_patterns}; {np.dtype(dtype)} holds up to {np.iinfo(dtype).max}.")


def _bipolar(xt: np.ndarray, n_patterns: int) -> np.ndarray:
    """Return patterns by unit as float64 -1 and 1, (N, M)."""
    return 2.0 * unpack(np.ascontiguousarray(xt.T), n_patterns) - 1.0


def _settle(states: np.ndarray, orders: np.ndarray, max_sweeps: int, field: Callable[[np.ndarray, int], float]) -> Settled:
    """Visit units until a sweep passes without a flip; ``field(s, j)`` is the input of unit j."""
    settled = at_cues(states)
    _, sweeps, flips, converged = settled
    for cue, s in enumerate(settled.states):
        while sweeps[cue] < max_sweeps and not converged[cue]:
            sweeps[cue] += 1
            before = flips[cue]
            for j in orders[cue]:
                if s[j] * field(s, j) < 0:
                    s[j] = -s[j]
                    flips[cue] += 1
            converged[cue] = flips[cue] == before
    return settled
