"""The cells of a NIR graph: which ``IFCurrExp`` a ``CubaLIF``, or a ``LIF`` behind ``LI`` nodes, is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.errors import FileError, SpecError, UnsupportedError
from neuromem.hardware_targets.nir.constants import MS, Constants, Fields, agree, cell_fields, cell_of
from neuromem.hardware_targets.nir.paths import Wiring, about, kind, size_of
from neuromem.spec.cells import IFCurrExp


@dataclass(frozen=True, eq=False)
class Inlet:
    """A node that takes the current of ``receptor`` ('E', 'I', or '' for both); a weight of the graph times ``scale`` (n,) is in nA.

    ``fields`` are those of the CubaLIF that the node, with its membrane, is.
    """

    node: str
    receptor: str
    fields: Fields
    scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells as read: their parameters, initial states where these are not the usual ones, and where they take their input."""

    cell: IFCurrExp
    initial: Mapping[str, float | np.ndarray]
    inlets: tuple[Inlet, ...]


def read_cells(name: str, wiring: Wiring, dt: float, constants: Constants, notes: list[str]) -> Cells:
    """Return the cells of node ``name``; what is assumed goes to ``notes``."""
    node = wiring.nodes[name]
    n, own = size_of(name, node), about(node)
    known = {p: _spread(name, p, own[p], n) for p in IFCurrExp.parameters if p in own}
    whole = len(known) == len(IFCurrExp.parameters)
    integrator = str(own.get("integrator", "exact"))
    inlets = _inlets(name, node, n, wiring)
    if whole and all(agree(i.fields, _expected(i, own, known, integrator, dt, constants)) for i in inlets):
        cell: Fields = known
    else:
        if whole:
            notes.append(f"{name}: its constants are not those of the export; the graph's are taken")
        _check_taus(name, inlets, dt, constants)
        cell, integrator, inlets = _derived(inlets, known["v_rest"] if whole else np.zeros(n), dt, constants)
        cell["tau_refrac"] = known.get("tau_refrac", np.zeros(n))
    constant = sum((np.zeros(n) + wiring.bias(i.node)) * i.fields["w_in"] * i.fields["r"] for i in inlets)
    if np.any(constant):
        cell = {**cell, "i_offset": cell["i_offset"] + constant * cell["cm"] / cell["tau_m"]}
        notes.append(f"{name}: a bias is read as an offset current, which is there at once and not after tau_syn")
    initial = {s: short(_spread(name, s, own[f"initial_{s}"], n)) for s in IFCurrExp.state if f"initial_{s}" in own}
    try:
        return Cells(IFCurrExp(**{p: short(v) for p, v in cell.items()}, integrator=integrator), initial, inlets)  # type: ignore[arg-type]
    except SpecError as error:
        raise FileError(f"NIR node {name!r} has no cell of ours: {error}") from error


def short(values: np.ndarray) -> float | np.ndarray:
    """Return one number where all are equal, and the vector otherwise."""
    return float(values[0]) if np.all(values == values[0]) else values


def _spread(name: str, field: str, value: Any, n: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), (n,)) or not np.all(np.isfinite(array)):
        raise FileError(f"NIR node {name!r}: {field} of shape {array.shape} for {n} cells; expected ({n},) finite numbers.")
    return np.array(np.broadcast_to(array, (n,)))


def _read(name: str, node: Any, n: int, **fields: str) -> Fields:
    return {ours: _spread(name, theirs, getattr(node, theirs), n) for ours, theirs in fields.items()}


_MEMBRANE = {"v_leak": "v_leak", "v_threshold": "v_threshold", "v_reset": "v_reset", "r": "r"}


def _inlets(name: str, node: Any, n: int, wiring: Wiring) -> tuple[Inlet, ...]:
    if kind(node) == "CubaLIF":
        fields = _read(name, node, n, tau_mem="tau_mem", tau_syn="tau_syn", w_in="w_in", **_MEMBRANE)
        return (Inlet(name, "", fields, np.ones(n)),)
    before = wiring.before[name]
    wrong = [b for b in before if kind(wiring.nodes[b]) != "LI"]
    if wrong or not 1 <= len(before) <= 2:
        told = f"{kind(wiring.nodes[wrong[0]])} {wrong[0]!r} sends to it" if wrong else f"{len(before)} LI nodes send to it"
        raise UnsupportedError(
            f"NIR node {name!r}: a LIF takes its input as a current at once, and {told}; our cells have synaptic currents: expected a CubaLIF, or one or two LI nodes before the LIF."
        )
    membrane = _read(name, node, n, tau_mem="tau", **_MEMBRANE)
    receptors = [""] if len(before) == 1 else _receptors(name, before, wiring)
    inlets = []
    for b, receptor in zip(before, receptors, strict=True):
        synapse = wiring.nodes[b]
        if np.any(synapse.v_leak):
            raise UnsupportedError(f"NIR node {b!r}: a LI before a LIF with v_leak = {np.max(np.abs(synapse.v_leak)):g}; expected 0.")
        inlets.append(Inlet(b, receptor, membrane | _read(b, synapse, n, tau_syn="tau", w_in="r"), np.ones(n)))
    return tuple(inlets)


def _receptors(name: str, before: tuple[str, ...], wiring: Wiring) -> list[str]:
    """Tell two synapses apart: by what the matrices before them say, or else by the signs of their weights."""
    found: list[set[str]] = []
    for b in before:
        signs = set()
        for path in wiring.paths(b):
            said = {about(wiring.nodes[t]).get("receptor") for t in path.through} - {None}
            signs |= {"E" if s == "excitatory" else "I" for s in said} or {"E" if w > 0 else "I" for w in path.weight[path.weight != 0]}
        found.append(signs)
    for order in (["E", "I"], ["I", "E"]):
        if all(signs <= {receptor} for signs, receptor in zip(found, order, strict=True)):
            return order
    raise UnsupportedError(
        f"NIR node {name!r}: weights of both signs before one of its two LI nodes; our cells have one time constant for each sign: expected positive weights before one, negative before the other."
    )


def _expected(inlet: Inlet, own: Mapping[str, Any], cell: Fields, integrator: str, dt: float, constants: Constants) -> Fields:
    """Return the fields that an export of these cells has at an inlet."""
    fields = cell_fields(cell, integrator, inlet.receptor or str(own.get("receptor", "E")), dt, constants)
    if inlet.receptor:  # two LI nodes: they have the resistance, and the LIF has 1
        fields |= {"w_in": fields["w_in"] * fields["r"], "r": np.ones_like(fields["r"])}
    return fields


def _check_taus(name: str, inlets: tuple[Inlet, ...], dt: float, constants: Constants) -> None:
    for inlet in inlets:
        for field in ("tau_mem", "tau_syn", "r"):
            least = dt * MS if constants == "euler" and field != "r" else 0.0
            if np.any(inlet.fields[field] <= least):
                why = f"above one step of {dt:g} ms, or constants='continuous'" if least else "positive values"
                raise UnsupportedError(f"NIR node {name!r}: {field} = {np.min(inlet.fields[field]):g}; expected {why}.")


def _derived(inlets: tuple[Inlet, ...], v_rest: np.ndarray, dt: float, constants: Constants) -> tuple[Fields, str, tuple[Inlet, ...]]:
    cell, integrator = cell_of(inlets[0].fields, v_rest, dt, constants)
    scaled = []
    for i in inlets:
        tau_syn = cell_of(i.fields, v_rest, dt, constants)[0]["tau_syn_E"]
        for receptor in i.receptor:
            cell[f"tau_syn_{receptor}"] = tau_syn
        scaled.append(Inlet(i.node, i.receptor, i.fields, i.fields["w_in"] * dt / tau_syn))
    return cell, integrator, tuple(scaled)
