"""Small networks for the tests of ``fit``: sources ``a`` (and ``c``), cells ``b`` (and ``d``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuromem.ir import Program, lower
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    FromListConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

CELL = IFCurrExp(integrator="spinnaker")
RULE = STDP(SpikePairRule(5.0, 5.0, 0.25, 0.25), AdditiveWeightDependence(0.0, 1.0), "deferred", 15)
Row = tuple[int, int, float, float]


def sent(
    weight: float = 1.0,
    delay: float = 1.0,
    rows: Sequence[Row] | None = None,
    rule: STDP | None = None,
    receptor: str = "excitatory",
    name: str = "a>b",
    pre: str = "a",
    post: str = "b",
) -> Projection:
    """From all to all with one weight and delay, or the synapses (pre, post, nA, ms) of ``rows``."""
    connector = AllToAllConnector() if rows is None else FromListConnector(np.array(rows, float).reshape(-1, 4))
    return Projection(pre, post, connector, StaticSynapse(weight, delay), receptor, rule, name)  # type: ignore[arg-type]


def program(
    *projections: Projection,
    a: int = 2,
    b: int = 2,
    c: int = 0,
    d: int = 0,
    cell: IFCurrExp = CELL,
    spikes: Sequence[tuple[int, float]] = (),
    c_spikes: Sequence[tuple[int, float]] = (),
    probes: Sequence[str] = (),
    dt: float = 1.0,
    n_steps: int = 10,
) -> Program:
    """``spikes`` are (unit of a, ms); ``probes`` are variables of ``b``."""
    populations = [Population("a", a, SpikeSourceArray())] if a else []
    populations += [Population("c", c, SpikeSourceArray())] if c else []
    populations += [Population(name, size, cell) for name, size in (("b", b), ("d", d)) if size]
    stimuli = tuple(
        Stimulus(name, np.array([u for u, _ in given], int), np.array([t for _, t in given], float))
        for name, given in (("a", spikes), ("c", c_spikes))
        if given
    )
    network = Network(tuple(populations), projections, stimuli, tuple(Probe("b", v) for v in probes))  # type: ignore[arg-type]
    return lower(network, dt=dt, n_steps=n_steps)
