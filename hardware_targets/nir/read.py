"""A NIR graph becomes a Network: the definition that was exported, or what another tool's graph means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.errors import FileError, SpecError, UnsupportedError, listing
from neuromem.hardware_targets.nir.cells import Inlet, read_cells
from neuromem.hardware_targets.nir.constants import Constants
from neuromem.hardware_targets.nir.export import FORMAT
from neuromem.hardware_targets.nir.paths import READ, Wiring, about, kind, size_of
from neuromem.hardware_targets.nir.projections import read_projections
from neuromem.spec.cells import SpikeSourceArray
from neuromem.spec.network import Network, Probe, Stimulus
from neuromem.spec.population import Population

STANDARD_DT = 1.0
"""ms; the step for a graph that names none, as most readers take it."""


@dataclass(frozen=True)
class NirImport:
    """A network from a NIR graph, its step (ms), the steps of the exported run (0: unknown), and ``notes``: what was assumed or not understood."""

    network: Network
    dt: float
    n_steps: int
    notes: tuple[str, ...]


def network_of(graph: Any, dt: float | None = None, constants: Constants | None = None) -> NirImport:
    """Return the network of a ``nir.NIRGraph``.

    A graph of ours says itself what step its constants are for. For others, ``dt`` (ms) is 1 and ``constants`` are ``continuous`` unless
    given. Raises ``UnsupportedError`` naming nodes that we do not read, ``FileError`` for what contradicts itself, ``SpecError`` for values
    outside of what our cells take.
    """
    notes: list[str] = []
    own = about(graph)
    dt, constants = _meaning(own, dt, constants, notes)
    wiring = _wiring(graph)
    populations: dict[str, Population] = {}
    inlets: dict[str, tuple[Inlet, ...]] = {}
    for name, node in graph.nodes.items():
        own_node = about(node)
        role = str(own_node.get("role", ""))
        if kind(node) in ("CubaLIF", "LIF"):
            cells = read_cells(name, wiring, dt, constants, notes)
            inlets[name] = cells.inlets
            populations[name] = Population(_name(name, node, notes), size_of(name, node), cells.cell, role, cells.initial)
        elif kind(node) == "Input" and not own_node.get("unused"):
            populations[name] = Population(_name(name, node, notes), size_of(name, node), SpikeSourceArray(), role)
            if own_node.get("cell") == "SpikeSourcePoisson":
                notes.append(f"{populations[name].name}: its Poisson spikes are read as a list; the rate is not in the graph")
    projections = read_projections(wiring, populations, inlets, dt, notes)
    # a file lists its nodes by the alphabet: sources first is how networks are written
    ordered = sorted(populations, key=lambda name: (int(about(graph.nodes[name]).get("index", len(populations))), name in inlets))
    stimuli = tuple(s for name in ordered if (s := _stimulus(populations[name], about(graph.nodes[name]), dt)) is not None)
    probes = _probes(own, wiring, populations, notes)
    network = Network(tuple(populations[name] for name in ordered), projections, stimuli, probes)
    return NirImport(network, dt, int(own.get("n_steps", 0)), tuple(notes))


def _meaning(own: Mapping[str, Any], dt: float | None, constants: Constants | None, notes: list[str]) -> tuple[float, Constants]:
    if own:
        if int(own.get("format", 0)) != FORMAT:
            raise FileError(
                f"NIR graph: neuromem metadata of format {own.get('format', 'none')}; expected {FORMAT}: read it with the neuromem that wrote it."
            )
        theirs, meant = float(own["dt"]), str(own["constants"])
        for name, given, said in (("dt", dt, theirs), ("constants", constants, meant)):
            if given is not None and given != said:
                raise SpecError(f"NIR graph: {name} = {given!r}; the graph was exported for {said!r}; expected that, or nothing.")
        return theirs, "euler" if meant == "euler" else "continuous"
    if constants not in (None, "euler", "continuous"):
        raise SpecError(f"NIR graph: constants = {constants!r}; expected 'euler' or 'continuous'.")
    meant_by = constants or "continuous"
    if dt is None:
        notes.append(f"no step in the graph: {STANDARD_DT:g} ms is taken")
    if constants is None:
        notes.append("constants are taken as those of continuous time, and solved exactly")
    notes.append("no refractory period and no initial state in the graph: 0 ms, and the leak potential")
    return STANDARD_DT if dt is None else dt, meant_by


def _wiring(graph: Any) -> Wiring:
    unknown = {name: kind(node) for name, node in graph.nodes.items() if kind(node) not in READ}
    if unknown:
        named = ", ".join(f"{name!r} ({what})" for name, what in sorted(unknown.items()))
        raise UnsupportedError(f"NIR graph: nodes that neuromem does not read: {named}; expected {listing(READ)}.")
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        if about(graph.nodes[source]).get("unused"):
            continue
        before[target].append(source)
    return Wiring(graph.nodes, {name: tuple(sources) for name, sources in before.items()})


def _name(node_name: str, node: Any, notes: list[str]) -> str:
    name = str(about(node).get("name", node_name))
    if name.isidentifier():
        return name
    plain = "n" + re.sub(r"\W", "_", name, flags=re.ASCII)
    notes.append(f"{name}: called {plain} here")
    return plain


def _stimulus(population: Population, own: Mapping[str, Any], dt: float) -> Stimulus | None:
    if "spike_steps" not in own:
        return None
    steps, units = np.atleast_1d(own["spike_steps"]), np.atleast_1d(own["spike_units"])
    return Stimulus(population.name, units, np.array([float(f"{s * dt:.12g}") for s in steps.tolist()]))


def _probes(own: Mapping[str, Any], wiring: Wiring, populations: Mapping[str, Population], notes: list[str]) -> tuple[Probe, ...]:
    names = {p.name for p in populations.values()}
    if own:
        probes = [Probe(*probe.split(".")) for probe in str(own.get("probes", "")).split()]  # type: ignore[arg-type]
        notes += [f"probe of {p.population!r}: no such population in the graph; left out" for p in probes if p.population not in names]
        return tuple(p for p in probes if p.population in names)
    found: dict[str, Probe] = {}
    for name, node in wiring.nodes.items():
        for source in wiring.before[name] if kind(node) == "Output" else ():
            if source not in populations:
                raise UnsupportedError(
                    f"NIR node {source!r}: {kind(wiring.nodes[source])} is read out by {name!r}; expected spikes of cells (Input, CubaLIF, LIF): cut the readout off the graph."
                )
            found[populations[source].name] = Probe(populations[source].name)
    return tuple(found.values())
