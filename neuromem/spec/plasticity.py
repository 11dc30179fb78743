"""Spike-timing-dependent plasticity, composed: a timing rule, a weight rule, and an update discipline.

With ``x_pre`` and ``x_post`` the traces of a synapse's two cells (each spike adds 1, and
between spikes they decay with ``tau_plus`` and ``tau_minus``; all spikes are paired)::

    post spike p arrives at p + d:  w <- w + potentiation(w) x_pre     then x_post <- x_post + 1
    pre spike at T:                 w <- w - depression(w) x_post      then x_pre <- x_pre + 1

where d is the delay of the synapse, which is dendritic: it delays the post spike on its way
to the synapse. In one step, post arrivals come before pre spikes, so a post spike arriving
in the step of a pre spike depresses (with its full trace, at interval 0) and does not
potentiate. The weight is clipped to [w_min, w_max] after every event, and the weight after
the pre spike is the one that is sent.

Sources: pair rule, doi:10.1007/s00422-008-0233-1; the deferred discipline, SpiNNaker's,
doi:10.3389/fnins.2018.00816, with the event order of arXiv:2310.05868's recorded traces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_number
from neuromem.spec.value import Value, named

Discipline = Literal["immediate", "deferred"]


@named
@dataclass(frozen=True, eq=False, repr=False)
class SpikePairRule(Value):
    """All-to-all pair rule: time constants ``tau_plus`` and ``tau_minus`` (ms), amplitudes ``A_plus`` and ``A_minus``.

    The amplitudes are in nA with ``AdditiveWeightDependence`` (absolute, not relative to
    w_max) and pure numbers with ``MultiplicativeWeightDependence``.
    """

    tau_plus: float = 20.0
    tau_minus: float = 20.0
    A_plus: float = 0.01
    A_minus: float = 0.01

    def __post_init__(self) -> None:
        for name in ("tau_plus", "tau_minus", "A_plus", "A_minus"):
            check_number(name, getattr(self, name), "SpikePairRule")


class PlasticityRule(Value):
    """Base of all rules that change the weights of a projection."""


class WeightDependence(Value):
    """Base of the weight rules; ``w_min`` and ``w_max`` in nA."""

    w_min: float
    w_max: float

    def _check(self) -> None:
        owner = type(self).__name__
        check_number("w_min", self.w_min, owner)
        check_number("w_max", self.w_max, owner)
        if self.w_min > self.w_max:
            raise SpecError(f"{owner}: w_min = {self.w_min:g} nA, w_max = {self.w_max:g} nA; expected w_min <= w_max.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class AdditiveWeightDependence(WeightDependence):
    """``potentiation(w) = A_plus`` and ``depression(w) = A_minus``, in nA."""

    w_min: float = 0.0
    w_max: float = 1.0

    def __post_init__(self) -> None:
        self._check()


@named
@dataclass(frozen=True, eq=False, repr=False)
class MultiplicativeWeightDependence(WeightDependence):
    """``potentiation(w) = A_plus (w_max - w)`` and ``depression(w) = A_minus (w - w_min)``."""

    w_min: float = 0.0
    w_max: float = 1.0

    def __post_init__(self) -> None:
        self._check()


@named
@dataclass(frozen=True, eq=False, repr=False)
class STDP(PlasticityRule):
    """A plasticity rule: ``timing`` x ``weight_dependence``, with its update ``discipline``.

    ``immediate``
        Each event changes the weight when it happens; while plasticity is off, events change
        nothing, and traces go on.
    ``deferred``
        A synapse is touched only when its pre cell spikes: all post arrivals since the
        previous pre spike are applied then. The weights sent are those of ``immediate``, but a
        weight read between pre spikes lacks the arrivals since the last one. Plasticity is on
        or off at the *pre* spike: if off, the arrivals since the previous pre spike are dropped.

    ``post_history`` (deferred only): a post cell remembers its last ``post_history`` spikes,
    those still on their way to the synapse included; older ones are not applied. ``None``
    remembers all. SpiNNaker remembers 15.
    """

    timing: SpikePairRule
    weight_dependence: WeightDependence
    discipline: Discipline = "immediate"
    post_history: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.timing, SpikePairRule):
            raise SpecError(f"STDP: timing = {self.timing!r}; expected SpikePairRule(...).")
        if not isinstance(self.weight_dependence, WeightDependence):
            raise SpecError(
                f"STDP: weight_dependence = {self.weight_dependence!r}; expected AdditiveWeightDependence(...) or MultiplicativeWeightDependence(...)."
            )
        if self.discipline not in get_args(Discipline):
            raise SpecError(
                f"STDP: discipline = {self.discipline!r}; expected 'immediate' or 'deferred'{nearest(str(self.discipline), get_args(Discipline))}."
            )
        if self.post_history is not None:
            if self.discipline != "deferred":
                raise SpecError(
                    f"STDP: post_history = {self.post_history} with the immediate discipline; a history limit needs discipline='deferred'."
                )
            if isinstance(self.post_history, bool) or not isinstance(self.post_history, int) or not 1 <= self.post_history <= 64:
                raise SpecError(f"STDP: post_history = {self.post_history!r}; expected None (all) or a whole number from 1 to 64.")
