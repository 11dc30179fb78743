"""Dense associative memories (modern Hopfield): patterns that polynomial and exponential energies hold.

E = -sum over patterns of F(pattern . state), random +-1 patterns of N units. Polynomial F(x) = x^n:
Krotov and Hopfield 2016, arXiv:1606.01164; n = 2 is the Hopfield network. F(x) = exp(x):
Demircigil, Heusel, Loewe, Upgang and Vermet 2017, doi:10.1007/s10955-017-1806-y, arXiv:1702.01929.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from neuromem.errors import SpecError
from neuromem.theory.bracket import largest
from neuromem.theory.hopfield import tail


def double_factorial(m: int) -> int:
    """Return m!! of an odd m of at least -1: 1 x 3 x ... x m, the moment of order m + 1 of a standard normal variable."""
    if m < -1 or m % 2 == 0:
        raise SpecError(f"double factorial of {m}; expected an odd number of at least -1")
    return math.prod(range(1, m + 1, 2))


def bit_error(n_units: int, degree: int, n_patterns: float) -> float:
    """Return the probability that a unit of a stored pattern is unstable: P(normal > sqrt(N^(n-1) / ((2n-3)!! K))).

    Flipping a unit costs about 2 n N^(n-1) from its own pattern; the K others add noise of variance
    4 n^2 (2n-3)!! K N^(n-1). Leading order in N, as in the source.
    """
    return tail(_signal_to_noise(n_units, degree, n_patterns))


def bit_error_asymptotic(n_units: int, degree: int, n_patterns: float) -> float:
    """Return ``bit_error`` where it is small: sqrt((2n-3)!!/(2 pi) K/N^(n-1)) exp(-N^(n-1) / (2 K (2n-3)!!)), as printed in the source."""
    z = _signal_to_noise(n_units, degree, n_patterns)
    return math.exp(-z * z / 2) / (z * math.sqrt(2 * math.pi))


def load_at_error(degree: int, error: float = 0.005) -> float:
    """Return alpha_n of K_max = alpha_n N^(n-1), at which a fraction ``error`` of units is unstable: 1 / ((2n-3)!! z^2), z its normal quantile.

    For n = 2 and 0.5 % it is 0.15: the familiar 0.14 N.
    """
    if not 0 < error < 0.5:
        raise SpecError(f"error is {error}; expected a fraction above 0 and below 1/2")
    _check(2, degree)
    return 1 / (double_factorial(2 * degree - 3) * NormalDist().inv_cdf(1 - error) ** 2)


def error_free_capacity(n_units: int, degree: int) -> float:
    """Return N^(n-1) / (2 (2n-3)!! ln N): patterns stored without any error, asymptotically; N / (2 ln N) for n = 2."""
    _check(n_units, degree)
    return float(n_units ** (degree - 1)) / (2 * double_factorial(2 * degree - 3) * math.log(n_units))


def exact_capacity(n_units: int, degree: int, fraction: float = 0.9) -> int:
    """Return the largest K of which ``fraction`` are expected to be fixed points: (1 - ``bit_error``)^N >= fraction."""
    _check(n_units, degree)
    if not 0 < fraction < 1:
        raise SpecError(f"fraction is {fraction}; expected it above 0 and below 1")
    start = max(1, int(error_free_capacity(n_units, degree)))
    return largest(lambda k: n_units * math.log1p(-bit_error(n_units, degree, k)) >= math.log(fraction), start=start, limit=2**200)[0]


def exponential_capacity(n_units: int, cue_errors: float = 0.0) -> float:
    """Return log2 of the number of patterns that F = exp holds: at most exponential in N, 2^(N/2) for stored states as cues.

    For cues with a fraction rho of wrong units: exp(alpha N) patterns with alpha < I(1 - 2 rho) / 2, where
    I(x) = ((1 + x) ln(1 + x) + (1 - x) ln(1 - x)) / 2 (I(1) = ln 2). The logarithm is returned since the number overflows.
    """
    _check(n_units, 2)
    if not 0 <= cue_errors < 0.5:
        raise SpecError(f"cue_errors is {cue_errors}; expected a fraction of at least 0 and below 1/2")
    x = 1 - 2 * cue_errors
    rate = ((1 + x) * math.log1p(x) + ((1 - x) * math.log1p(-x) if x < 1 else 0.0)) / 2
    return n_units * rate / (2 * math.log(2))


def _signal_to_noise(n_units: int, degree: int, n_patterns: float) -> float:
    _check(n_units, degree)
    if not n_patterns > 0:
        raise SpecError(f"{n_patterns} patterns; expected more than 0")
    return math.sqrt(n_units ** (degree - 1) / (double_factorial(2 * degree - 3) * n_patterns))


def _check(n_units: int, degree: int) -> None:
    if n_units < 2 or degree < 2:
        raise SpecError(f"{n_units} units, degree {degree}; expected at least 2 of each")
