"""The Bayesian-Hebbian traces and weights of BCPNN: the definitions. All arrays are float32.

Estimated probabilities of activity, ``p_i`` (n_pre,), ``p_j`` (n_post,) and ``p_ij`` (n_pre, n_post),
follow the activities x in [0, 1] with step alpha (1 - exp(-dt/tau), or 1/n for the n-th pattern)::

    p_i  <- p_i  + alpha (x_i - p_i)
    p_j  <- p_j  + alpha (x_j - p_j)
    p_ij <- p_ij + alpha (x_i x_j - p_ij)

and weights and biases are what they say of each other::

    w_ij   = log(P_ij / (P_i P_j))     P_i = max(p_i, eps),  P_j = max(p_j, eps),  P_ij = max(p_ij, eps^2)
    bias_j = log P_j

The floors enter the logarithms only, never the traces. With them two units that were never active are
independent (w = 0), and weights lie within -2 log(1/eps) and log(1/eps). ``eps`` is from 1e-9 to 1.

Sources: doi:10.1142/S0129065789000499; traces, doi:10.1080/net.13.2.179.194; arXiv:2401.00335.
"""

from __future__ import annotations

import numpy as np

EPS = 1e-4


def traces_update(
    p_i: np.ndarray,
    p_j: np.ndarray,
    p_ij: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    x_pre: np.ndarray,
    x_post: np.ndarray,
    alpha: float,
    eps: float = EPS,
    threads: int = 1,
) -> None:
    """Move the traces one step towards the activities ``x_pre`` (n_pre,) and ``x_post`` (n_post,), and set ``w`` and ``bias``, in place."""
    step = np.float32(alpha)
    p_i += step * (x_pre - p_i)
    p_j += step * (x_post - p_j)
    p_ij += step * (np.outer(x_pre, x_post) - p_ij)
    w[:], bias[:] = weights(p_i, p_j, p_ij, eps)


def weights(p_i: np.ndarray, p_j: np.ndarray, p_ij: np.ndarray, eps: float = EPS, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n_pre, n_post) and the biases (n_post,) of the probabilities."""
    first, second = np.maximum(p_i, eps, dtype=np.float64), np.maximum(p_j, eps, dtype=np.float64)
    both = np.maximum(p_ij, eps**2, dtype=np.float64)
    return np.log(both / np.outer(first, second)).astype(np.float32), np.log(second).astype(np.float32)
