"""From a package back to the network in it: what a verification runs, without the memory that was exported."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuromem.hardware_targets.spinnaker.package import Package
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
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


def program_of(package: Package, states: bool = False) -> Program:
    """Return the Program of a package, its weights as the board holds them; ``states`` records v and currents of all cells too."""
    manifest = package.manifest
    populations = tuple(_population(p, package) for p in manifest["populations"])
    projections = tuple(_projection(p, package) for p in manifest["projections"] if p["n_synapses"])
    stimuli = tuple(
        Stimulus(p["name"], package.stimulus[f"{p['name']}.unit"], package.stimulus[f"{p['name']}.step"] * manifest["dt"])
        for p in manifest["populations"]
        if p["is_source"]
    )
    probes = [Probe(name) for name in manifest["spikes"]]
    if states:
        probes = [Probe(p.name) for p in populations if p.cell.state]
        probes += [Probe(p.name, variable) for p in populations if p.cell.state for variable in ("v", "isyn_exc", "isyn_inh")]
    return lower(Network(populations, projections, stimuli, tuple(probes)), dt=manifest["dt"], n_steps=manifest["n_steps"])


def _value(given: float | None, population: str, name: str, package: Package) -> Any:
    return package.tables[f"{population}.{name}"] if given is None else given


def _population(p: dict[str, Any], package: Package) -> Population:
    if p["is_source"]:
        return Population(p["name"], p["size"], SpikeSourceArray())
    parameters = {name: _value(given, p["name"], name, package) for name, given in p["parameters"].items()}
    initial = {name: _value(given, p["name"], name, package) for name, given in p["initial"].items()}
    return Population(p["name"], p["size"], IFCurrExp(**parameters, integrator="spinnaker"), initial_values=initial)


def _projection(p: dict[str, Any], package: Package) -> Projection:
    table = package.tables[p["projection"]]
    conn_list = np.column_stack([table[:, :2], np.abs(table[:, 2]), table[:, 3]])
    rule = None
    if p["rule"] is not None:
        timing = {name: p["rule"][name] for name in ("tau_plus", "tau_minus", "A_plus", "A_minus")}
        rule = STDP(
            SpikePairRule(**timing), AdditiveWeightDependence(p["rule"]["w_min"], p["rule"]["w_max"]), "deferred", p["rule"]["post_events"]
        )
    return Projection(
        p["from"], p["to"], FromListConnector(conn_list), StaticSynapse(), p["receptor"], plasticity=rule, name=p["projection"]
    )
