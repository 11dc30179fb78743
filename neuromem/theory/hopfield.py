"""Hopfield networks: what theory says of the load alpha = M/N that they bear.

Dense, random, independent +-1 patterns, unless a function says otherwise. Results for N -> infinity
are loads (patterns per unit); results for a given N are numbers of patterns.
"""

from __future__ import annotations

import math

from neuromem.errors import SpecError
from neuromem.theory.bracket import largest


def _load_at(y: float) -> float:
    """Return the load whose retrieval state has y = m / sqrt(2 alpha r), from the three equations of ``ags_overlap``.

    They give sqrt(r) = 1 / (1 - C) = 1 + sqrt(2 / (pi alpha)) exp(-y^2); put into y sqrt(2 alpha r) = m = erf(y):
    sqrt(2 alpha) = erf(y) / y - 2 / sqrt(pi) exp(-y^2).
    """
    root = math.erf(y) / y - 2 / math.sqrt(math.pi) * math.exp(-y * y)
    return root * root / 2


def _critical_y() -> float:
    """Return the y of the largest load, by golden section; between 1 and 2 the load has one maximum."""
    low, high = 1.0, 2.0
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-9:  # the load is flat there: finer steps compare rounding errors
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (left, high) if _load_at(left) < _load_at(right) else (low, right)
    return (low + high) / 2


def ags_critical_load() -> float:
    """Return alpha_c = 0.137905...: the largest load at which retrieval states exist, at zero temperature and N -> infinity.

    Computed from the replica-symmetric equations of ``ags_overlap``. (Breaking the symmetry of replicas
    raises it slightly.)
    """
    return _load_at(_critical_y())


def ags_overlap(load: float) -> float:
    """Return the overlap m of the retrieval state with its pattern; 0 above the critical load, where there is none.

    Amit, Gutfreund and Sompolinsky (1985, doi:10.1103/PhysRevLett.55.1530; 1987,
    doi:10.1016/0003-4916(87)90092-3), zero temperature, N -> infinity::

        m = erf(m / sqrt(2 alpha r))
        C = sqrt(2 / (pi alpha r)) exp(-m^2 / (2 alpha r))
        r = 1 / (1 - C)^2

    The fraction of wrong units is (1 - m) / 2. The overlap falls from 1 to 0.967 at the critical load, and jumps to 0.

    Raises:
        SpecError: a negative load.
    """
    if not load >= 0:
        raise SpecError(f"load is {load}; expected patterns per unit, at least 0")
    if load == 0:
        return 1.0
    low = _critical_y()
    if load > _load_at(low):
        return 0.0
    high = low
    while _load_at(high) > load:  # above the critical y the load falls to 0: the branch of stable states
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _load_at(middle) > load else (low, middle)
    return math.erf(low)


def tail(z: float) -> float:
    """Return P(X > z) of a standard normal variable."""
    return math.erfc(z / math.sqrt(2)) / 2


def hebb_bit_error(n_units: int, n_patterns: int, *, self_coupling: bool = False) -> float:
    """Return the probability that a unit of a stored pattern is unstable, under Hebb's rule W = sum of x x^T.

    The field of a unit along its pattern is N - 1 plus the sum of (M - 1)(N - 1) independent signs, nearly
    normal: P = 1/2 erfc(sqrt((N - 1) / (2 (M - 1)))). With self-coupling (a diagonal of M) the signal is N - 1 + M.
    """
    _check(n_units, n_patterns)
    if n_patterns == 1:
        return 0.0
    signal = n_units - 1 + (n_patterns if self_coupling else 0)
    return tail(signal / math.sqrt((n_patterns - 1) * (n_units - 1)))


def hebb_exact_fraction(n_units: int, n_patterns: int, *, self_coupling: bool = False) -> float:
    """Return the expected fraction of stored patterns that are fixed points: (1 - P)^N, units taken as independent."""
    return math.exp(n_units * math.log1p(-hebb_bit_error(n_units, n_patterns, self_coupling=self_coupling)))


def hebb_exact_capacity(n_units: int, fraction: float = 0.9, *, self_coupling: bool = False) -> int:
    """Return the largest number of patterns of which ``fraction`` are expected to be fixed points.

    With self-coupling the fraction rises again beyond about N patterns, where all states become
    fixed points and nothing is recalled; that branch is not meant: the search is kept below N.
    """
    _check_fraction(fraction)
    return largest(lambda m: hebb_exact_fraction(n_units, m, self_coupling=self_coupling) >= fraction, limit=n_units)[0]


def mceliece_capacity(n_units: int, *, all_patterns: bool = False, cue_errors: float = 0.0) -> float:
    """Return the number of patterns recalled exactly with a probability that tends to 1, under Hebb's rule.

    (1 - 2 rho)^2 N / (2 ln N) for almost every pattern, N / (4 ln N) in place of it for all of them at
    once; rho is the fraction of wrong units in the cue. Asymptotic: McEliece, Posner, Rodemich and
    Venkatesh 1987, doi:10.1109/TIT.1987.1057328.
    """
    _check(n_units, 1)
    if not 0 <= cue_errors < 0.5:
        raise SpecError(f"cue_errors is {cue_errors}; expected a fraction of at least 0 and below 1/2")
    return (1 - 2 * cue_errors) ** 2 * n_units / ((4 if all_patterns else 2) * math.log(n_units))


def pseudo_inverse_capacity(n_units: int) -> int:
    """Return N: the projection rule makes any N linearly independent patterns fixed points (Personnaz, Guyon, Dreyfus 1985, doi:10.1051/jphyslet:01985004608035900).

    At M = N the projector is the identity and corrects nothing; cues are still completed at loads
    well below 1 (Kanter and Sompolinsky 1987, doi:10.1103/PhysRevA.35.380).
    """
    _check(n_units, 1)
    return n_units


def storkey_capacity(n_units: int) -> float:
    """Return N / sqrt(2 ln N): the asymptotic absolute capacity of Storkey's rule (Storkey 1997, doi:10.1007/BFb0020196)."""
    _check(n_units, 1)
    return n_units / math.sqrt(2 * math.log(n_units))


def covariance_load(activity: float) -> float:
    """Return 1 / (2 a |ln a|): the critical load of the covariance rule for patterns of activity a, to leading order as a -> 0.

    Tsodyks and Feigel'man 1988, doi:10.1209/0295-5075/6/2/002. Corrections are relative to 1/|ln a|,
    which is 0.2 at a = 0.01: a guide, not a prediction.
    """
    if not 0 < activity < 0.5:
        raise SpecError(f"activity is {activity}; expected a fraction above 0 and below 1/2")
    return 1 / (2 * activity * abs(math.log(activity)))


def _check(n_units: int, n_patterns: int) -> None:
    if n_units < 2 or n_patterns < 1:
        raise SpecError(f"{n_patterns} patterns of {n_units} units; expected at least 1 pattern and 2 units")


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise SpecError(f"fraction is {fraction}; expected it above 0 and below 1")
