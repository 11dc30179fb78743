"""Weights of bipolar patterns by their Hamming distance from a state: the small tables from which the compiled dense reads are made.

How they follow from the definitions is said in ``kernels/cpu/dense.py``.
"""

from __future__ import annotations

import numpy as np

NEGLIGIBLE = 17.0
"""-log of the share of a softmax that may be left out."""

ROUNDING = 37.0
"""The same, for nothing that float64 would show."""


def decaying(beta: float, depth: float, n_units: int) -> np.ndarray:
    """Return exp(-2 beta k) for the k = 0 .. n_units with 2 beta k <= depth."""
    reach = n_units if 2 * beta * n_units <= depth else int(depth / (2 * beta))
    return np.exp(-2 * beta * np.arange(reach + 1))


def differences(n_units: int, power: int, rectified: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Return F(o + 2) - F(o - 2) and F(o) - F(o - 2) by distance, for F(o) = o^power or max(o, 0)^power, in units of 2^exponent, and the exponent.

    In these units nothing overflows, and whole numbers stay exact.
    """
    energy = [max(o, 0) ** power if rectified else o**power for o in range(n_units + 2, -n_units - 4, -2)]  # of d = -1 .. N + 1
    exponent = energy[0].bit_length()
    both = [(energy[d] - energy[d + 2]) / 2**exponent for d in range(n_units + 1)]
    agreeing = [(energy[d + 1] - energy[d + 2]) / 2**exponent for d in range(n_units + 1)]
    return np.array(both), np.array(agreeing), exponent
