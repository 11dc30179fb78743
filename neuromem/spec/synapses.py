"""Synapse models: weight and delay of a projection's synapses."""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.quantities import check_range
from neuromem.spec.distributions import Quantity, RandomDistribution, quantity
from neuromem.spec.value import Value, named


@named
@dataclass(frozen=True, eq=False, repr=False)
class StaticSynapse(Value):
    """Weight (nA, not negative: the receptor gives the sign) and delay (ms, whole steps, at least one).

    Each is a number, one number for each synapse in the connector's order, or a
    ``RandomDistribution``; delays drawn from a distribution must be above 0, and are rounded
    to the nearest step, but never to less than one step.
    """

    weight: Quantity = 0.0
    delay: Quantity = 1.0

    def __post_init__(self) -> None:
        for name in ("weight", "delay"):
            value = quantity(getattr(self, name), "StaticSynapse", name)
            object.__setattr__(self, name, value)
            if name == "weight" and not isinstance(value, RandomDistribution):
                check_range("weight", value, "StaticSynapse")
