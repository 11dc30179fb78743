"""Reads of a dense associative memory (modern Hopfield network), as sums over all stored patterns.

With patterns x_m of N units, a state s and the overlaps o_m = x_m . s:

- the softmax read is sum_m p_m x_m with p = softmax(beta o), attention with the patterns as keys and values
  (Ramsauer et al. 2021, arXiv:2008.02217);
- the field of unit i under an energy -sum_m F(o_m) is the difference that its two values make,
  h_i = sum_m [F(x_mi + o_m^(i)) - F(-x_mi + o_m^(i))], where o_m^(i) leaves unit i out; s_i <- sign(h_i) never raises
  the energy (Krotov and Hopfield 2016, arXiv:1606.01164: F = o^n; Demircigil et al. 2017, arXiv:1702.01929: F = exp(o)).

Bipolar patterns (+1 is a set bit) are given as ``blocks`` (``hamming.block``) and their states packed, (B, n_words);
bits beyond ``n_units`` are 0 in both. Reading where nothing is stored raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuromem.kernels.bits import unpack
from neuromem.kernels.reference.hamming import take


class Read(NamedTuple):
    """Softmax reads of B states."""

    values: np.ndarray
    """sum_m p_m x_m, float32 (B, N)."""
    log_sum: np.ndarray
    """log sum_m exp(beta o_m), float64 (B,): the energy is -log_sum / beta + |s|^2 / 2 + const."""
    largest: np.ndarray
    """max_m p_m, float64 (B,): how sure the read is of one pattern."""


def read_softmax(blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of bipolar patterns; beta >= 0 multiplies overlaps that reach from -N to N."""
    patterns = _bipolar(take(blocks, np.arange(n_patterns)), n_units)
    return _attention(patterns, _bipolar(states, n_units), beta)


def read_softmax_real(patterns: np.ndarray, states: np.ndarray, beta: float, threads: int = 1) -> Read:
    """Return the softmax read of real-valued patterns (M, N) for real-valued states (B, N), both float32."""
    return _attention(patterns.astype(np.float64), states.astype(np.float64), beta)


def polynomial_fields(
    blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, power: int, rectified: bool, threads: int = 1
) -> np.ndarray:
    """Return the fields h (B, N), float64, for F(o) = o^power, or max(o, 0)^power if ``rectified``.

    Exact while the terms add up to less than 2^53; beyond, rounded as float64 sums are (here only up to N^power < 1e308).
    With power 2 it is four times the field of a Hebbian network without self-coupling, h_i = 4 sum_{j != i} (sum_m x_mi x_mj) s_j.
    """

    def energy(overlap: np.ndarray) -> np.ndarray:
        return (np.maximum(overlap, 0.0) if rectified else overlap) ** power

    return _fields(blocks, n_patterns, n_units, states, lambda overlap, top: energy(overlap))


def exponential_fields(blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, beta: float, threads: int = 1) -> np.ndarray:
    """Return the fields (B, N), float64, for F(o) = exp(beta o), divided by exp(beta (max_m o_m + 2)) so that nothing overflows.

    From beta = 350 on exp(-2 beta) is 0 in float64, and so are the fields of units in which nothing near differs.
    """
    return _fields(blocks, n_patterns, n_units, states, lambda overlap, top: np.exp(beta * (overlap - top)))


def _bipolar(words: np.ndarray, n_units: int) -> np.ndarray:
    return np.where(unpack(words, n_units), 1.0, -1.0)


def _attention(patterns: np.ndarray, states: np.ndarray, beta: float) -> Read:
    scores = beta * (states @ patterns.T)
    top = scores.max(axis=1)
    weights = np.exp(scores - top[:, None])
    total = weights.sum(axis=1)
    values = (weights @ patterns) / total[:, None]
    return Read(values.astype(np.float32), top + np.log(total), 1 / total)


def _fields(
    blocks: np.ndarray, n_patterns: int, n_units: int, states: np.ndarray, energy: Callable[[np.ndarray, float], np.ndarray]
) -> np.ndarray:
    patterns = _bipolar(take(blocks, np.arange(n_patterns)), n_units)
    fields = np.empty((len(states), n_units))
    for b, state in enumerate(_bipolar(states, n_units)):
        overlaps = patterns @ state
        top = overlaps.max() + 2
        others = overlaps[:, None] - patterns * state
        fields[b] = (energy(patterns + others, top) - energy(-patterns + others, top)).sum(axis=0)
    return fields
