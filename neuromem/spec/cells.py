"""Cell types, with PyNN's names, parameters, units and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_range
from neuromem.spec.distributions import Quantity, RandomDistribution, quantity
from neuromem.spec.value import Value, named

Integrator = Literal["exact", "spinnaker"]


class Cell(Value):
    """Base of the cell types; ``parameters`` and ``state`` drive checks, allocation and recording."""

    parameters: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[tuple[str, ...]] = ()

    def _normalise(self) -> None:
        owner = type(self).__name__
        for name in self.parameters:
            value = quantity(getattr(self, name), owner, name)
            object.__setattr__(self, name, value)
            if not isinstance(value, RandomDistribution):
                check_range(name, value, owner)


@named
@dataclass(frozen=True, eq=False, repr=False)
class IFCurrExp(Cell):
    """Leaky integrate-and-fire cell with exponentially decaying synaptic currents (PyNN IF_curr_exp).

    In continuous time, with ``R = tau_m / cm``::

        tau_m dv/dt = v_rest - v + R (isyn_exc - isyn_inh + i_offset)
        tau_syn_E disyn_exc/dt = -isyn_exc        tau_syn_I disyn_inh/dt = -isyn_inh
        a spike of weight w adds w to isyn of its receptor
        v >= v_thresh: spike; v = v_reset for ceil(tau_refrac / dt) steps

    where ``tau_*`` are in ms, ``cm`` in nF, ``v*`` in mV, ``i_offset``, ``isyn_*`` and ``w`` in nA.

    ``integrator`` is part of the model:

    ``exact``
        The closed-form solution over one step (as in NEST's iaf_psc_exp;
        doi:10.1007/s004220050570).
    ``spinnaker``
        The update of sPyNNaker: what arrives is scaled by
        ``(tau_syn/dt) (1 - exp(-dt/tau_syn))``, the membrane moves with that current held
        constant over the step, and the current decays afterwards.

    Every parameter is a number, one number for each unit, or a ``RandomDistribution``.
    """

    parameters: ClassVar[tuple[str, ...]] = (
        "tau_m", "cm", "v_rest", "v_reset", "v_thresh", "tau_refrac", "tau_syn_E", "tau_syn_I", "i_offset",
    )  # fmt: skip
    state: ClassVar[tuple[str, ...]] = ("v", "isyn_exc", "isyn_inh")

    tau_m: Quantity = 20.0
    cm: Quantity = 1.0
    v_rest: Quantity = -65.0
    v_reset: Quantity = -65.0
    v_thresh: Quantity = -50.0
    tau_refrac: Quantity = 0.1
    tau_syn_E: Quantity = 5.0
    tau_syn_I: Quantity = 5.0
    i_offset: Quantity = 0.0
    integrator: Integrator = "exact"

    def __post_init__(self) -> None:
        if self.integrator not in get_args(Integrator):
            raise SpecError(
                f"IFCurrExp: integrator = {self.integrator!r}; expected 'exact' or 'spinnaker'{nearest(str(self.integrator), get_args(Integrator))}."
            )
        self._normalise()
        if isinstance(self.v_reset, RandomDistribution) or isinstance(self.v_thresh, RandomDistribution):
            return
        if np.any(np.asarray(self.v_reset) >= np.asarray(self.v_thresh)):
            raise SpecError(
                f"IFCurrExp: v_reset = {np.max(self.v_reset):g} mV, v_thresh = {np.min(self.v_thresh):g} mV; expected v_reset below v_thresh, or the cell would never stop firing."
            )


@named
@dataclass(frozen=True, eq=False, repr=False)
class SpikeSourceArray(Cell):
    """Units that spike when a ``Stimulus`` or an operation tells them to, and only then."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class SpikeSourcePoisson(Cell):
    """Independent Poisson spike trains on the grid.

    In each step of length dt between ``start`` and ``start + duration`` (ms), a unit spikes
    with probability ``1 - exp(-rate dt)``: the chance that a Poisson process of ``rate`` (Hz)
    has at least one event in the step; several events in one step count as one.
    """

    parameters: ClassVar[tuple[str, ...]] = ("rate", "start", "duration")

    rate: Quantity = 1.0
    start: Quantity = 0.0
    duration: Quantity = float("inf")

    def __post_init__(self) -> None:
        self._normalise()
