"""The manifest of a NIR export: what the graph holds, what NIR cannot carry, and what that changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuromem.hardware_targets.nir.constants import Constants
from neuromem.ir.program import PopulationTable, Program, ProjectionTable
from neuromem.ir.text import columns
from neuromem.quantities import steps_covering
from neuromem.spec.plasticity import AdditiveWeightDependence


@dataclass(frozen=True)
class NotCarried:
    """Something that NIR cannot carry: of which object, what, its value, and what that changes for a reader."""

    object: str
    what: str
    value: str
    consequence: str


@dataclass(frozen=True)
class NirManifest:
    """What an export holds (``n_*``), how its constants are meant, what is not carried, and what readers should know (``notes``)."""

    program_digest: str
    dt: float
    constants: Constants
    n_nodes: int
    n_edges: int
    n_cells: int
    n_synapses: int
    not_carried: tuple[NotCarried, ...]
    notes: tuple[str, ...]


def manifest_object(manifest: NirManifest) -> dict[str, Any]:
    """Return the manifest as JSON has it."""
    return asdict(manifest)


def manifest_text(manifest: NirManifest) -> str:
    """Return the manifest as it is shown on the screen."""
    m = manifest
    lines = [
        f"NIR graph: {m.n_nodes} nodes, {m.n_edges} edges; {m.n_cells} cells, {m.n_synapses} synapses",
        f"constants: {_MEANT[m.constants].format(dt=m.dt)}",
        "",
        "what NIR does not carry",
    ]
    table = [[e.object, e.what, e.value, e.consequence] for e in m.not_carried]
    lines += columns([["object", "what", "value", "consequence"], *table])
    if m.notes:
        lines += ["", "what a reader should know", *(f"  {note}" for note in m.notes)]
    lines += ["", f"of program {m.program_digest}"]
    return "\n".join(lines) + "\n"


_MEANT = {
    "euler": "for forward Euler in steps of {dt:g} ms, which then makes the steps of our integrator",
    "continuous": "the cells' own, in continuous time; w_in is for spikes that last {dt:g} ms",
}


def what_is_lost(
    program: Program, constants: Constants, given_weights: Collection[str], n_lost: Mapping[str, int]
) -> tuple[NotCarried, ...]:
    """List what NIR cannot carry of a Program; ``n_lost[projection]`` synapses are no entry of their own in its matrices."""
    step = (
        "spikes differ with another step, or another method" if constants == "euler" else "a spike raises I by its weight only at this step"
    )
    lost = [NotCarried("network", "time step", f"{program.dt:g} ms", step)]
    lost.append(NotCarried("network", "seed", str(program.seeds[0]), "none: what it drew is written as drawn"))
    sources = {p.name for p in program.poisson}
    spikes = program.schedule.unit
    for p in program.populations:
        if p.is_source:
            n = int(np.sum((spikes >= p.first) & (spikes < p.first + p.size)))
            if p.name in sources:
                lost.append(NotCarried(p.name, "Poisson rate", _rate(program, p.name), "its spikes are an input like others"))
            lost += [NotCarried(p.name, "input spikes", f"{n} spikes", "a reader gives them to the Input node itself")]
        else:
            lost += _of_cells(program, p, constants)
    for table in program.projections:
        lost += _of_projection(table, table.name in given_weights, n_lost[table.name])
    for probe in program.probes:
        if probe.variable != "spikes":
            lost.append(NotCarried(probe.population, "probe", probe.variable, "Output nodes give spikes only"))
    return tuple(lost)


def _rate(program: Program, name: str) -> str:
    table = next(p for p in program.poisson if p.name == name)
    rate = -np.log1p(-table.probability) / (program.dt * 1e-3)
    return f"{span(rate)} Hz"


def span(values: np.ndarray) -> str:
    """Return the range of values in few digits."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _of_cells(program: Program, p: PopulationTable, constants: Constants) -> list[NotCarried]:
    mine = program.cells_of(p)
    cell = {name: values[0, mine] for name, values in program.cells.parameters.items()}
    initial = {name: values[0, mine] for name, values in program.cells.initial.items()}
    lost = []
    steps = np.array([steps_covering(float(t), program.dt) for t in cell["tau_refrac"]])
    if steps.any():
        value = f"{span(cell['tau_refrac'])} ms, {span(steps)} step{'s' * bool(steps.max() > 1)}"
        lost.append(NotCarried(p.name, "tau_refrac", value, "cells integrate at once after a spike, and may spike sooner"))
    if constants == "continuous":
        spinnaker = bool(program.cells.spinnaker[mine][0])
        told = (
            ("spinnaker", "solving NIR's equations gives spikes that differ")
            if spinnaker
            else ("exact", "reader's own; inexact ones differ")
        )
        lost.append(NotCarried(p.name, "integrator", *told))
    for name, usual in (("v", cell["v_rest"]), ("isyn_exc", np.zeros(p.size)), ("isyn_inh", np.zeros(p.size))):
        if np.any(initial[name] != usual):
            unit = "mV" if name == "v" else "nA"
            lost.append(NotCarried(p.name, f"initial {name}", f"{span(initial[name])} {unit}", "a reader starts from its own state"))
    if np.any(cell["i_offset"]) and np.all(initial["v"] == cell["v_rest"]):
        lost.append(
            NotCarried(p.name, "initial v", f"{span(initial['v'])} mV", "a reader that starts at v_leak is raised by the offset current")
        )
    return lost


def _of_projection(table: ProjectionTable, given: bool, n_lost: int) -> list[NotCarried]:
    lost = []
    rule = table.plasticity
    if rule is not None:
        kind = "additive" if isinstance(rule.weight_dependence, AdditiveWeightDependence) else "multiplicative"
        history = "" if rule.post_history is None else f", last {rule.post_history} post spikes"
        which = "given" if given else "initial"
        value = f"STDP, {kind}, {rule.discipline}{history}"
        lost.append(NotCarried(table.name, "plasticity", value, f"weights stay as {which}: nothing is learned"))
    if n_lost:
        lost.append(
            NotCarried(table.name, "synapses", f"{n_lost} of weight 0 or of a pair that has more", "none: a matrix has one sum for a pair")
        )
    return lost


def notes_of(program: Program, kinds: Collection[str]) -> tuple[str, ...]:
    """Return what readers should know of a graph with these kinds of nodes."""
    notes = [
        "Potentials are in mV relative to v_rest, currents in nA, times in seconds; v_threshold is just below, because NIR spikes above it."
    ]
    if any(p.pre_first >= program.n_sources for p in program.projections):
        notes.append(
            "From cell to cell an edge takes one step. A reader that passes spikes on within a step is one step early for each cell on the way."
        )
    if "Delay" in kinds:
        notes.append(
            "A Delay holds the steps beyond the first. Readers without Delay must refuse; Norse 1.1.0 gives wrong spikes without an error."
        )
    if "LI" in kinds:
        notes.append("Cells with two synaptic time constants are two LI nodes before a LIF; a reader must pass through both in one step.")
    return tuple(notes)
