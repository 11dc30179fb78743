"""The binomial confidence interval of Clopper and Pearson (doi:10.1093/biomet/26.4.404)."""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95


def binomial_interval(wrong: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a probability after ``wrong`` events in ``of`` trials."""
    if not 0 <= wrong <= of or of < 1:
        raise ValueError(f"binomial_interval: {wrong} of {of}; expected 0 <= wrong <= of and of >= 1.")
    tail = (1 - confidence) / 2
    low = 0.0 if wrong == 0 else _solve(lambda p: 1 - _at_most(wrong - 1, of, p) - tail)
    high = 1.0 if wrong == of else _solve(lambda p: tail - _at_most(wrong, of, p))
    return low, high


def _at_most(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X binomial with 0 < p < 1."""
    constant = math.lgamma(n + 1)
    logs = (constant - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p) for i in range(k + 1))
    return math.fsum(math.exp(x) for x in logs)


def _solve(rising: Callable[[float], float]) -> float:
    """Return the root of a function that rises over (0, 1), by bisection to the last bits of a double."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2
