"""A Program becomes a NIR graph: what is frozen is carried, and what NIR cannot carry is listed.

==============================  ==========================================================================================
Program                         NIR
==============================  ==========================================================================================
source population               ``Input``
neurons, one synaptic tau       ``CubaLIF`` (``constants`` has the equations)
neurons, two synaptic taus      ``LI`` for each receptor before one ``LIF``: NIR's CubaLIF has one
projection                      ``Linear``, weight (n_post, n_pre) in nA, negative for the inhibitory receptor
delay of d steps, d > 1         ``Delay`` of (d - 1) dt before the matrix; one matrix for each delay of a projection
recorded spikes                 ``Output``
==============================  ==========================================================================================

The first step of a delay needs no node. A cell that crosses its threshold in step k does so at its end, (k + 1) dt; what arrives in step
k + d is there at its beginning, (k + d) dt.

Names, receptors, parameters in our units, source spikes and all else that our own reader wants back ride in ``metadata["neuromem"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neuromem.errors import LimitError, SpecError, UnsupportedError, listing, nearest
from neuromem.hardware_targets.nir.constants import Constants, Fields, cell_fields, load_nir
from neuromem.hardware_targets.nir.manifest import NirManifest, notes_of, what_is_lost
from neuromem.hardware_targets.nir.matrices import lost_in_matrices, matrices_of, restored
from neuromem.ir.program import PopulationTable, Program, ProjectionTable
from neuromem.quantities import check_range

FORMAT = 1
"""Version of our metadata; a change that old readers would misread adds 1."""

MOST_BYTES = 2**32
"""Most bytes of all matrices together: readers hold them in memory, most of them at once."""

Weights = Mapping[str, np.ndarray]


def nir_graph(program: Program, weights: Weights | None = None, constants: Constants = "euler") -> tuple[Any, NirManifest]:
    """Return the ``nir.NIRGraph`` of a Program with its weights frozen, and the manifest of what it does not carry.

    ``weights[projection]``, of shape (n_synapses,) in nA and in the order of the Program, replace its own: the final weights of a run,
    for example. ``constants``: see ``constants``. Raises ``UnsupportedError`` for what NIR cannot represent at all, ``SpecError`` for wrong
    weights, ``LimitError`` where the matrices would be too large, ``BackendMissingError`` without the package ``nir``.
    """
    nir = load_nir()
    if constants not in ("euler", "continuous"):
        raise SpecError(f"NIR export: constants = {constants!r}; expected 'euler' or 'continuous'.")
    if program.batch != 1:
        raise UnsupportedError(
            f"NIR export: a Program of {program.batch} replicas; NIR has one network: export the Program of one replica."
        )
    tables = tuple(frozen(table, weights) for table in program.projections)
    _check_weights(program, weights or {})
    _check_size(program, tables)
    graph = _Graph(nir)
    inlets = {p.name: _add_population(graph, program, p, tables, constants) for p in program.populations}
    for index, table in enumerate(tables):
        _add_projection(graph, program, table, index, inlets)
    _add_outputs(graph, program, tables)
    manifest = NirManifest(
        program.digest,
        program.dt,
        constants,
        len(graph.nodes),
        len(graph.edges),
        program.cells.n,
        sum(t.n_synapses for t in tables),
        what_is_lost(program, constants, set(weights or {}), {t.name: lost_in_matrices(t) for t in tables}),
        notes_of(program, {type(node).__name__ for node in graph.nodes.values()}),
    )
    about = {
        "format": FORMAT,
        "dt": program.dt,
        "n_steps": program.n_steps,
        "constants": constants,
        "probes": " ".join(f"{p.population}.{p.variable}" for p in program.probes),
        "program_digest": program.digest,
        "not_carried": "\n".join(f"{e.object}: {e.what} = {e.value}; {e.consequence}" for e in manifest.not_carried),
    }
    return nir.NIRGraph(graph.nodes, graph.edges, metadata={"neuromem": about}), manifest


class _Graph:
    """Nodes and edges as they are added; ``add`` finds a name that HDF5 and PyTorch can take."""

    def __init__(self, nir: Any) -> None:
        self.nir = nir
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def add(self, name: str, make: Callable[[], Any], about: dict[str, Any] | None = None) -> str:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "node"
        free, n = plain, 1
        while free in self.nodes:
            n += 1
            free = f"{plain}_{n}"
        node = make()
        node.metadata = {"neuromem": about} if about else {}
        self.nodes[free] = node
        return free


def frozen(table: ProjectionTable, weights: Weights | None) -> ProjectionTable:
    """Return a projection without plasticity, with the weights given for it or else its initial ones."""
    if weights is None or table.name not in weights:
        return replace(table, plasticity=None)
    given = np.asarray(weights[table.name], dtype=np.float64)
    owner = f"NIR export of projection {table.name!r}"
    if given.shape not in ((table.n_synapses,), (1, table.n_synapses)):
        raise SpecError(f"{owner}: weights of shape {given.shape}; expected ({table.n_synapses},), one for each synapse.")
    check_range("weight", given.ravel(), owner)
    return replace(table, weight=given.reshape(1, -1), plasticity=None)


def _check_weights(program: Program, weights: Weights) -> None:
    names = [p.name for p in program.projections]
    for name in weights:
        if name not in names:
            raise SpecError(f"NIR export: weights of {name!r}; the Program has the projections {listing(names)}{nearest(name, names)}.")


def _check_size(program: Program, tables: tuple[ProjectionTable, ...]) -> None:
    needed = [8 * np.unique(t.delay).size * program.population(t.pre_name).size * program.population(t.post_name).size for t in tables]
    if sum(needed) > MOST_BYTES:
        worst = tables[int(np.argmax(needed))]
        raise LimitError(
            f"NIR export: dense matrices of {sum(needed) / 2**30:.3g} GiB, NIR has no sparse ones; expected at most {MOST_BYTES >> 30} GiB. Projection {worst.name!r} takes {max(needed) / 2**30:.3g} GiB: fewer units would reduce it, or fewer distinct delays ({np.unique(worst.delay).size})."
        )


def _add_population(
    graph: _Graph, program: Program, p: PopulationTable, tables: tuple[ProjectionTable, ...], constants: Constants
) -> dict[str, str]:
    """Add a population and return its outlet under 'out', and for each receptor the node that takes its current."""
    about: dict[str, Any] = {"name": p.name, "index": program.populations.index(p), "role": p.role, "cell": p.cell}
    if p.is_source:
        about |= _spikes(program, p)
        return {"out": graph.add(p.name, lambda: graph.nir.Input(input_type=np.array([p.size])), about)}
    mine = program.cells_of(p)
    cell = {name: np.array(values[0, mine]) for name, values in program.cells.parameters.items()}
    initial = {name: np.array(values[0, mine]) for name, values in program.cells.initial.items()}
    integrator = "spinnaker" if program.cells.spinnaker[mine][0] else "exact"
    about |= {"integrator": integrator} | {name: _short(values) for name, values in cell.items()}
    for name, usual in (("v", cell["v_rest"]), ("isyn_exc", np.zeros(p.size)), ("isyn_inh", np.zeros(p.size))):
        if np.any(initial[name] != usual):
            about[f"initial_{name}"] = _short(initial[name])
    used = {t.receptor for t in tables if t.post_name == p.name}
    if used == {"excitatory", "inhibitory"} and np.any(cell["tau_syn_E"] != cell["tau_syn_I"]):
        return _add_split(graph, p, cell, integrator, program.dt, constants, about)
    about["receptor"] = "I" if used == {"inhibitory"} else "E"
    fields = cell_fields(cell, integrator, about["receptor"], program.dt, constants)
    name = graph.add(p.name, lambda: graph.nir.CubaLIF(**fields), about)
    return dict.fromkeys(("out", "excitatory", "inhibitory"), name)


def _add_split(
    graph: _Graph, p: PopulationTable, cell: Fields, integrator: str, dt: float, constants: Constants, about: dict[str, Any]
) -> dict[str, str]:
    """Add two synapses (LI, whose output is r I in mV) and a membrane (LIF with r = 1)."""
    about["receptor"] = "EI"
    kinds = {r: cell_fields(cell, integrator, r, dt, constants) for r in "EI"}
    membrane = kinds["E"]
    fields = {"tau": membrane["tau_mem"], "r": np.ones(p.size)} | {n: membrane[n] for n in ("v_leak", "v_threshold", "v_reset")}
    inlets = {"out": graph.add(p.name, lambda: graph.nir.LIF(**fields), about)}
    for receptor, name in (("E", "excitatory"), ("I", "inhibitory")):
        f = kinds[receptor]
        synapse = {"tau": f["tau_syn"], "r": f["w_in"] * f["r"], "v_leak": np.zeros(p.size)}
        inlets[name] = graph.add(f"{p.name}_{name[:3]}", lambda s=synapse: graph.nir.LI(**s))  # type: ignore[misc]
        graph.edges.append((inlets[name], inlets["out"]))
    return inlets


def _spikes(program: Program, p: PopulationTable) -> dict[str, Any]:
    s = program.schedule
    mine = (s.unit >= p.first) & (s.unit < p.first + p.size)
    if not mine.any():
        return {}
    return {"spike_steps": s.step[mine].astype(np.int64), "spike_units": (s.unit[mine] - p.first).astype(np.int64)}


def _short(values: np.ndarray) -> Any:
    """Return one number where all are equal, and the vector otherwise."""
    return float(values[0]) if np.all(values == values[0]) else values


def _add_projection(graph: _Graph, program: Program, table: ProjectionTable, index: int, inlets: Mapping[str, Mapping[str, str]]) -> None:
    pre, post = program.population(table.pre_name), program.population(table.post_name)
    parts = matrices_of(table, pre, post)
    about: dict[str, Any] = {
        "name": table.name, "index": index, "receptor": table.receptor, "connector": table.connector,
        "pre_start": table.pre_first - pre.first, "n_pre": table.n_pre, "post_start": table.post_first - post.first, "n_post": table.n_post,
    }  # fmt: skip
    if not restored(table, parts, pre, post):
        about |= {
            "pre": table.pre - pre.first, "post": table.post - post.first, "delay": table.delay, "weight": np.array(table.weight[0]),
        }  # fmt: skip
    for delay, weight in parts.items():
        name = table.name if len(parts) == 1 else f"{table.name}_{delay}"
        matrix = graph.add(name, lambda w=weight: graph.nir.Linear(weight=w), about)  # type: ignore[misc]
        about = {"name": table.name, "index": index}  # the first part has it all
        source = inlets[pre.name]["out"]
        if delay > 1:
            wait = np.full(pre.size, (delay - 1) * program.dt * 1e-3)
            node = graph.add(f"{name}_delay", lambda w=wait: graph.nir.Delay(delay=w))  # type: ignore[misc]
            graph.edges.append((source, node))
            source = node
        graph.edges += [(source, matrix), (matrix, inlets[post.name][table.receptor])]


def _add_outputs(graph: _Graph, program: Program, tables: tuple[ProjectionTable, ...]) -> None:
    """Add Outputs for recorded spikes and for leaves, and Inputs that are never used where NIR wants one: before cells that nothing reaches."""
    recorded = {p.population for p in program.probes if p.variable == "spikes"}
    sending, receiving = {t.pre_name for t in tables}, {t.post_name for t in tables}
    cells = {node.metadata["neuromem"]["name"]: name for name, node in graph.nodes.items() if "cell" in node.metadata.get("neuromem", {})}
    outputs = [p for p in program.populations if p.name in recorded or p.name not in sending]
    for p in outputs or [p for p in program.populations if not p.is_source]:
        name = graph.add(f"output_{p.name}", lambda n=p.size: graph.nir.Output(output_type=np.array([n])))  # type: ignore[misc]
        graph.edges.append((cells[p.name], name))
    lonely = [p for p in program.populations if not p.is_source and p.name not in receiving]
    if not any(p.is_source for p in program.populations) and not lonely:
        lonely = [program.populations[0]]
    for p in lonely:
        name = graph.add(f"unused_{p.name}", lambda n=p.size: graph.nir.Input(input_type=np.array([n])), {"unused": True})  # type: ignore[misc]
        graph.edges.append((name, cells[p.name]))
