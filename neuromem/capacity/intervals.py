"""Confidence intervals: of a mean over few seeds (Student) and of a fraction (Wilson)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from neuromem.errors import SpecError

FEWEST_SEEDS = 3
"""Student's factor is 12.7 for two seeds, 4.3 for three: of fewer no interval is told."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval, in the unit of what was measured."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of high - low; infinite where nothing bounds the estimate."""
        return (self.high - self.low) / 2


def student_cdf(t: float, degrees: int) -> float:
    """Return P(T <= t) of Student's distribution with a whole number of degrees of freedom.

    With x = atan(t / sqrt(degrees)), P(|T| <= t) is a finite sum of powers of cos x
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4).
    """
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    total, term = 0.0, cosine if odd else 1.0
    for power in range(odd, degrees - 1, 2):  # the powers of the cosine: 1, 3, ... or 0, 2, ..., degrees - 2
        total += term
        term *= (power + 1) / (power + 2) * cosine * cosine
    both = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + both) / 2


def student_quantile(probability: float, degrees: int) -> float:
    """Return the t with P(T <= t) = ``probability``, by bisection on atan(t / sqrt(degrees)).

    Raises:
        SpecError: ``probability`` is not strictly between 0 and 1, or ``degrees`` is below 1.
    """
    if not 0 < probability < 1 or degrees < 1:
        raise SpecError(
            f"Student quantile of probability {probability}, {degrees} degrees of freedom; expected 0 < p < 1 and at least 1 degree"
        )
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    low, high = 0.0, math.pi / 2
    scale = math.sqrt(degrees)
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if student_cdf(scale * math.tan(middle), degrees) < probability else (low, middle)
    return scale * math.tan(low)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean and its Student interval: mean -+ t(confidence, n - 1) s / sqrt(n).

    One value says nothing of its spread: its interval is (-inf, inf).

    Raises:
        SpecError: there is no value, or ``confidence`` is not strictly between 0 and 1.
    """
    n = len(values)
    if n == 0 or not 0 < confidence < 1:
        raise SpecError(f"interval of {n} values at confidence {confidence}; expected at least 1 value and 0 < confidence < 1")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, -math.inf, math.inf)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = student_quantile((1 + confidence) / 2, n - 1) * spread / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def seeds_interval(values: Sequence[float], least: float = 0.0) -> Interval:
    """Return the mean over seeds and its 95 % Student interval, ``least`` to each side at least; (-inf, inf) for fewer than ``FEWEST_SEEDS``.

    Seeds that all give the same number still know it to the resolution of what measured it, ``least``. Raises ``SpecError`` without values.
    """
    found = mean_interval(values)
    if len(values) < FEWEST_SEEDS:
        return Interval(found.value, -math.inf, math.inf)
    half = max(found.half_width, least)
    return Interval(found.value, found.value - half, found.value + half)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the fraction successes / trials and its Wilson score interval; it is honest at 0 and at 1 too.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z the normal quantile of (1 + confidence)/2
    (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Raises:
        SpecError: not 0 <= successes <= trials with trials > 0, or ``confidence`` is not strictly between 0 and 1.
    """
    if not 0 <= successes <= trials or trials == 0 or not 0 < confidence < 1:
        raise SpecError(
            f"interval of {successes} of {trials} at confidence {confidence}; expected 0 <= successes <= trials > 0, 0 < confidence < 1"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    # At p = 0 and p = 1 centre and half are equal but for rounding, which must not leave 0..1.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(p, low, high)
