"""Networks and graphs on which the NIR export and import are tested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuromem.backends import load_backend
from neuromem.hardware_targets.nir import nir_graph
from neuromem.hardware_targets.nir.euler import euler_spikes
from neuromem.hardware_targets.nir.norse_witness import inputs_of
from neuromem.ir import Program, Recording, lower, lower_memory
from neuromem.ir.lower import order_ops
from neuromem.ir.program import ProbeTable
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    FixedProbabilityConnector,
    FromListConnector,
    IFCurrExp,
    Network,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikePairRule,
    SpikeSourceArray,
    SpikeSourcePoisson,
    StaticSynapse,
    Stimulus,
    View,
)

CELL = IFCurrExp(tau_m=20.0, cm=1.0, v_rest=-65.0, v_reset=-65.0, v_thresh=-55.0, tau_refrac=0.0, tau_syn_E=5.0, tau_syn_I=5.0)


def run(program: Program) -> Recording:
    """Run a Program on the reference engine; the spikes of all populations are recorded."""
    probes = tuple(ProbeTable(p.name, "spikes", p.first, p.size) for p in program.populations)
    program = replace(program, probes=probes, ops=order_ops(program.projections, probes, True))
    return load_backend("reference").build(program).run()


def spikes(recording: Recording, population: str) -> np.ndarray:
    """Return the spikes of a population as a boolean array (n_steps, n)."""
    found = np.zeros((recording.program.n_steps, recording.program.population(population).size), dtype=bool)
    found[recording.spikes_of(population)] = True
    return found


def euler(program: Program, graph: Any) -> dict[str, np.ndarray]:
    """Read a graph in Euler steps, with the source spikes of the Program that it is of."""
    inputs = {p.name: inputs_of(program, p.name) for p in program.populations if p.is_source}
    return euler_spikes(graph, inputs, program.dt, program.n_steps)


def differences(program: Program, graph: Any | None = None) -> dict[str, tuple[int, int]]:
    """Return, for each population of cells, its spikes on the reference engine, and how many (step, cell) the Euler reading has otherwise."""
    read, ran = euler(program, nir_graph(program)[0] if graph is None else graph), run(program)
    found = {}
    for p in program.populations:
        if not p.is_source:
            mine = spikes(ran, p.name)
            found[p.name] = (int(mine.sum()), int(np.sum(mine != read[p.name])))
    return found


def at_leak(program: Program) -> Program:
    """Return a Program whose cells start at the leak, where readers start: what the manifest says of initial states is undone."""
    p = program.cells.parameters
    v = p["v_rest"] + p["tau_m"] / p["cm"] * p["i_offset"]
    return replace(program, cells=replace(program.cells, initial={**program.cells.initial, "v": v}))


def pair() -> Network:
    """Return a source, and two cells in a row; 'b' is inhibited by itself, and has an offset current."""
    a = IFCurrExp(tau_m=10.0, cm=0.5, v_rest=-65.0, v_reset=-70.0, v_thresh=-55.0, tau_refrac=0.0, tau_syn_E=5.0, tau_syn_I=5.0)
    return Network(
        (Population("s", 2, SpikeSourceArray()), Population("a", 1, a), Population("b", 1, replace(a, i_offset=0.25))),
        (
            Projection("s", "a", AllToAllConnector(), StaticSynapse(np.array([1.5, 2.5]), 1.0)),
            Projection("a", "b", OneToOneConnector(), StaticSynapse(4.0, 3.0)),
            Projection("b", "b", OneToOneConnector(), StaticSynapse(0.5, 1.0), "inhibitory"),
        ),
        (Stimulus("s", [0, 1], [0.0, 2.0]),),
        (Probe("b"),),
    )


def everything(integrator: str = "exact") -> Network:
    """Return a network without plasticity that has what is hard to write: views, two taus, several delays, zeros, repeated pairs, a loop."""
    two_taus = replace(CELL, tau_syn_I=8.0, integrator=integrator)  # type: ignore[arg-type]
    drawn = replace(
        CELL, tau_m=RandomDistribution("uniform", 15.0, 25.0), v_thresh=RandomDistribution("normal", -55.0, 1.0), integrator=integrator
    )  # type: ignore[arg-type]
    rng = np.random.default_rng(8)
    weight = np.where(np.arange(60) % 7 == 0, 0.0, rng.uniform(0.5, 4.0, 60))
    listed = np.array([[3, 1, 2.0, 0.2], [0, 1, 1.0, 0.4], [3, 1, 0.5, 0.2], [7, 0, 0.25, 0.1]])
    return Network(
        (
            Population("one", 12, two_taus, "content"),
            Population("source", 10, SpikeSourceArray(), "input"),
            Population("two", 6, drawn, initial_values={"v": -60.0}),
            Population("lonely", 2, replace(CELL, i_offset=0.6)),
        ),
        (
            Projection(View("source", 0, 6), View("one", 2, 12), AllToAllConnector(), StaticSynapse(weight, 0.5)),
            Projection("source", "two", FromListConnector(listed), StaticSynapse(), name="a/b list."),
            Projection("one", "one", AllToAllConnector(allow_self_connections=False), StaticSynapse(0.3, 0.1), "inhibitory"),
            Projection("one", "two", FixedProbabilityConnector(0.5), StaticSynapse(RandomDistribution("uniform", 0.0, 2.0), RandomDistribution("uniform_int", 1, 3))),
            Projection("two", View("one", 0, 6), OneToOneConnector(), StaticSynapse(6.0, 0.3)),
        ),
        (Stimulus("source", rng.integers(0, 10, 300), np.sort(rng.integers(0, 300, 300)) / 10.0),),
        (Probe("two"), Probe("one"), Probe("one", "v"), Probe("source")),
    )  # fmt: skip


def lossy() -> Network:
    """Return a network with everything that NIR cannot carry."""
    rule = STDP(SpikePairRule(), AdditiveWeightDependence(0.0, 2.0), "deferred", post_history=15)
    cell = replace(CELL, tau_refrac=2.0, tau_syn_I=8.0, i_offset=0.1)
    return Network(
        (Population("noise", 3, SpikeSourcePoisson(rate=40.0)), Population("cells", 4, cell), Population("out", 4, CELL, initial_values={"v": -60.0})),
        (
            Projection("noise", "cells", AllToAllConnector(), StaticSynapse(0.0, 1.0), plasticity=rule),
            Projection("cells", "cells", FromListConnector([[0, 1], [0, 1]]), StaticSynapse(1.0, 2.0), "inhibitory"),
            Projection("cells", "out", OneToOneConnector(), StaticSynapse(2.0, 1.0)),
        ),
        probes=(Probe("out"), Probe("cells", "v")),
    )  # fmt: skip


def learned_ca3(tau_refrac: float) -> tuple[Program, dict[str, np.ndarray]]:
    """Return the CA3 memory with the published functional protocol, and its weights at the end."""
    memory = ca3_cam()
    cells = tuple(replace(p, cell=replace(p.cell, tau_refrac=tau_refrac)) if p.cell.state else p for p in memory.network.populations)
    memory = replace(memory, network=replace(memory.network, populations=cells))
    program = lower_memory(memory, PROTOCOLS["functional"].build(5, 10), 0)
    weights = run(program).weights
    return program, {p.name: weights[p.name][0] for p in program.plastic}


def frozen_network(network: Network) -> Network:
    """Return a network without its plasticity."""
    return replace(network, projections=tuple(replace(p, plasticity=None) for p in network.projections))


def lowered(network: Network, n_steps: int = 40, dt: float = 1.0, seed: int = 0) -> Program:
    """Lower a network for a few steps."""
    return lower(network, dt=dt, n_steps=n_steps, seed=seed)


def foreign(weight: Any = ((2.0, -1.0),), **fields: Any) -> Any:
    """Return a graph by hand: two inputs, one matrix of both signs, a delay of 2 ms behind it, one cell with a bias."""
    import nir

    one = np.ones(1)
    cell = {
        "tau_syn": 5e-3 * one,
        "tau_mem": 0.02 * one,
        "r": 4 * one,
        "v_leak": 0.5 * one,
        "v_threshold": one,
        "v_reset": 0 * one,
        "w_in": 10 * one,
    }
    nodes = {
        "x": nir.Input(np.array([2])),
        "w": nir.Affine(np.array(weight), np.array([0.25])),
        "wait": nir.Delay(2e-3 * one),
        "my cell": nir.CubaLIF(**cell | fields),
        "y": nir.Output(np.array([1])),
    }
    return nir.NIRGraph(nodes, [("x", "w"), ("w", "wait"), ("wait", "my cell"), ("my cell", "y")])
