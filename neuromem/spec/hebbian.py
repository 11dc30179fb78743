"""Hebbian rules of matrix memories: what a stored pattern does to the table of weights.

``x`` is a pattern of the pre population and ``y`` of the post population, in the alphabet of their units; in a
recurrent projection x = y, or, with ``lag = 1``, y is the pattern that follows x in a sequence.
``order_matters`` tells whether storing M patterns at once equals M single stores in any order; ``forgets``,
whether a pattern that was stored can be taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neuromem.errors import SpecError
from neuromem.quantities import is_number, is_whole
from neuromem.spec.plasticity import PlasticityRule
from neuromem.spec.units import HiddenUnit
from neuromem.spec.value import named


class HebbianRule(PlasticityRule):
    """Base of the rules of this module."""

    order_matters: ClassVar[bool] = False
    forgets: ClassVar[bool] = True


def _check_lag(owner: str, lag: object) -> None:
    if not is_whole(lag) or lag not in (0, 1):
        raise SpecError(f"{owner}: lag = {lag!r}; expected 0 (a pattern with itself) or 1 (with the one that follows it).")


@named
@dataclass(frozen=True, eq=False, repr=False)
class Hebbian(HebbianRule):
    """``w_ij <- w_ij + x_i y_j`` (doi:10.1073/pnas.79.8.2554)."""

    lag: int = 0

    def __post_init__(self) -> None:
        _check_lag("Hebbian", self.lag)


@named
@dataclass(frozen=True, eq=False, repr=False)
class Covariance(HebbianRule):
    """``w_ij <- w_ij + (x_i - a)(y_j - a)`` for binary patterns of mean activity a (doi:10.1209/0295-5075/6/2/002)."""

    activity: float = 0.1

    def __post_init__(self) -> None:
        if not is_number(self.activity) or not 0.0 < self.activity < 1.0:
            raise SpecError(f"Covariance: activity = {self.activity!r}; expected the fraction of active units, above 0 and below 1.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class Storkey(HebbianRule):
    """``w_ij <- w_ij + (x_i x_j - x_i h_ji - h_ij x_j) / n``, ``h_ij = sum_{k != i,j} w_ik x_k`` (doi:10.1007/BFb0020196).

    Weights are float32, the same bits on all engines, for batches and for single patterns, and ``w_ij = w_ji``. Inputs of recall are sums
    of them: one that is 0 but for rounding (of few patterns, some random cues have such) may have either sign, in the order of its sum.
    """

    order_matters: ClassVar[bool] = True
    forgets: ClassVar[bool] = False


@named
@dataclass(frozen=True, eq=False, repr=False)
class PseudoInverse(HebbianRule):
    """The projection onto the span of the patterns, ``W = X^+ X`` (doi:10.1051/jphyslet:01985004608035900)."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class ClippedHebbian(HebbianRule):
    """``w_ij <- max(w_ij, x_i y_j)`` for binary patterns: one bit a synapse (doi:10.1038/222960a0)."""

    forgets: ClassVar[bool] = False
    lag: int = 0

    def __post_init__(self) -> None:
        _check_lag("ClippedHebbian", self.lag)


@named
@dataclass(frozen=True, eq=False, repr=False)
class BayesianHebbian(HebbianRule):
    """``w_ij = log(p_ij / (p_i p_j))``, ``bias_j = log p_j`` (doi:10.1142/S0129065789000499; arXiv:2401.00335).

    ``tau = None``: probabilities from the counts c of M patterns, with ``prior`` patterns' weight on
    independence: ``p_i = (c_i + prior/m) / (M + prior)``, ``p_ij = (c_ij + prior p_i p_j) / (M + prior)``, where m is
    the number of units of a hypercolumn. So two units that never met inhibit each other, also where neither was ever
    active. With ``tau``, traces: ``p <- p + (x - p) / tau`` for each pattern in turn, from ``1/m`` and ``1/m^2`` on; older
    patterns fade; there is no ``prior``. Traces enter the logarithms at 1e-4 (p_i) and 1e-8 (p_ij) at least; units that are not active
    for long come to excite one another for a while, as ``p_i p_j`` fades twice as fast as ``p_ij``.
    """

    tau: float | None = None
    prior: float = 1.0

    def __post_init__(self) -> None:
        if self.tau is not None and (not is_number(self.tau) or not 1.0 <= self.tau < float("inf")):
            raise SpecError(f"BayesianHebbian: tau = {self.tau!r}; expected None (counts) or a number of patterns, at least 1.")
        if not is_number(self.prior) or not 0.0 < self.prior < float("inf"):
            raise SpecError(f"BayesianHebbian: prior = {self.prior!r}; expected a finite number of patterns, above 0.")
        if self.tau is not None and self.prior != 1.0:
            raise SpecError(f"BayesianHebbian: prior = {self.prior!r} with tau; traces have no prior: expected one of the two.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class OneUnitPerPattern(HebbianRule):
    """Each stored pattern recruits one ``hidden`` unit, whose weights to and from the others are the pattern (arXiv:2008.06996)."""

    hidden: HiddenUnit

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, HiddenUnit):
            raise SpecError(f"OneUnitPerPattern: hidden = {self.hidden!r}; expected Softmax(...), Polynomial(...) or Exponential().")
