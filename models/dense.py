"""Dense associative memory (modern Hopfield network): one hidden unit for each stored pattern.

With patterns x^m and overlaps ``o_m = sum_i x_i^m s_i``, recall until nothing changes:

===============  ==================================================================  ====================
interaction      update                                                              source
===============  ==================================================================  ====================
``polynomial``   s_i <- sign(sum_m F(x_i + o_m without i) - F(-x_i + o_m without i)),  arXiv:1606.01164
                 F(o) = o^power
``exponential``  the same with F(o) = exp(o)                                         arXiv:1702.01929
``softmax``      s <- sum_m softmax(beta o)_m x^m (its sign, for units of -1 and 1)  arXiv:2008.02217
===============  ==================================================================  ====================

The energy is ``-sum_m F(o_m)`` of the polynomial interaction, ``-log(sum_m exp(o_m))`` of the exponential one (it falls where
``-sum_m F(o_m)`` does), and ``-log(sum_m exp(beta o_m)) / beta`` (plus ``|s|^2 / 2`` of real units) of softmax. Capacity grows as
n^(power - 1), or exponentially; so do the synapses, n for each pattern.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units
from neuromem.spec import (
    AllToAllConnector,
    Exponential,
    HiddenUnit,
    Linear,
    MemoryModel,
    Network,
    OneUnitPerPattern,
    Polynomial,
    Population,
    Projection,
    Role,
    Sign,
    Softmax,
    StaticSynapse,
    Trial,
    Update,
)

INTERACTIONS = ("polynomial", "exponential", "softmax")
UNITS = ("bipolar", "real")


def dense(
    n: int = 256,
    interaction: str = "polynomial",
    power: int = 3,
    rectified: bool = False,
    beta: float | None = None,
    units: str = "bipolar",
    max_steps: int = 100,
) -> MemoryModel:
    """Return a dense memory of ``n`` units.

    ``power`` and ``rectified`` (0 for negative overlaps) are of the polynomial interaction; ``beta`` of softmax, default
    ``8 / sqrt(n)`` for bipolar units and 8 for real ones, whose patterns are best of length 1. ``units``: ``bipolar``, or
    ``real``, which need softmax. ``max_steps = 1``: a single read, as attention is.
    """
    check_units("dense", n)
    for name, value, valid in (("interaction", interaction, INTERACTIONS), ("units", units, UNITS)):
        if value not in valid:
            raise SpecError(f"dense: {name} = {value!r}; expected one of {', '.join(valid)}{nearest(str(value), valid)}.")
    if units == "real" and interaction != "softmax":
        raise SpecError(f"dense: interaction = {interaction!r} with real units; expected 'softmax'.")
    scale = (8.0 / float(n) ** 0.5 if units == "bipolar" else 8.0) if beta is None else beta
    hidden: dict[str, HiddenUnit] = {"polynomial": Polynomial(power, rectified), "exponential": Exponential(), "softmax": Softmax(scale)}
    population = Population("units", n, Sign() if units == "bipolar" else Linear(), "content")
    view = population[0:n]
    projection = Projection("units", "units", AllToAllConnector(), StaticSynapse(), plasticity=OneUnitPerPattern(hidden[interaction]))
    return MemoryModel(
        name="dense",
        title=f"Dense associative memory, {interaction} interaction",
        reference="arXiv:2008.02217" if interaction == "softmax" else "arXiv:1606.01164",
        network=Network((population,), (projection,)),
        roles=(Role("content", view, view),),
        update=Update("single") if max_steps == 1 else Update("synchronous", max_steps),
        parameters={
            "n": n, "interaction": interaction, "power": power, "rectified": rectified, "beta": beta, "units": units, "max_steps": max_steps,
        },
    )  # fmt: skip


PROTOCOLS = {"trial": Trial(n_patterns=100, flips=0.1)}
