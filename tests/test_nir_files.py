"""NIR there and back: equal networks and Programs, files, and graphs of other tools."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_networks import (
    CELL,
    at_leak,
    differences,
    euler,
    everything,
    foreign,
    frozen_network,
    learned_ca3,
    lossy,
    lowered,
    pair,
    run,
    spikes,
)

from neuromem.hardware_targets.nir import NirImport, export_nir, import_nir, import_text, network_of, nir_graph
from neuromem.models import ca3_cam
from neuromem.spec import (
    IFCurrExp,
    Network,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    SpikeSourceArray,
    SpikeSourcePoisson,
    StaticSynapse,
    Stimulus,
)

nir = pytest.importorskip("nir", reason="the package nir is not installed")

NO_METADATA = (
    "no step in the graph: 1 ms is taken",
    "constants are taken as those of continuous time, and solved exactly",
    "no refractory period and no initial state in the graph: 0 ms, and the leak potential",
)


def through_a_file(network: Network, folder: Path, **options: Any) -> NirImport:
    """Export a network, write it, and read it back."""
    export_nir(lowered(network), **options).write(folder / "network.nir", force=True)
    return import_nir(folder / "network.nir")


@pytest.mark.parametrize("constants", ["euler", "continuous"])
def test_a_network_comes_back_equal(tmp_path: Path, constants: str) -> None:
    """Equal by value: names, roles, parameters, connectors, weights, delays, receptors, stimuli and probes."""
    network = replace(ca3_cam(3, 4).network, stimuli=(Stimulus("in", [0, 4, 1], [0.0, 0.0, 5.0]),))
    back = through_a_file(network, tmp_path, constants=constants)
    assert back == NirImport(frozen_network(network), 1.0, 40, ())
    assert back.network != network  # two projections were plastic
    assert through_a_file(pair(), tmp_path, constants=constants) == NirImport(pair(), 1.0, 40, ())


@pytest.mark.parametrize("constants", ["euler", "continuous"])
@pytest.mark.parametrize("integrator", ["exact", "spinnaker"])
def test_a_program_comes_back_with_its_digest(integrator: str, constants: str, tmp_path: Path) -> None:
    """What was drawn comes back as drawn: the digest covers every number of the run, and the next export has the same bytes."""
    program = lowered(everything(integrator), 300, 0.1)
    export = export_nir(program, constants=constants)  # type: ignore[arg-type]
    export.write(tmp_path / "network.nir")
    back = import_nir(tmp_path / "network.nir")
    assert back.notes == ()
    again = lowered(back.network, back.n_steps, back.dt)
    assert again.digest == program.digest
    # the connectors that drew are lists now; from here on nothing changes any more
    second = export_nir(again, constants=constants)  # type: ignore[arg-type]
    second.write(tmp_path / "network.nir", force=True)
    back = import_nir(tmp_path / "network.nir")
    assert export_nir(lowered(back.network, back.n_steps, back.dt), constants=constants).content == second.content  # type: ignore[arg-type]


def test_learned_weights_come_back(tmp_path: Path) -> None:
    program, weights = learned_ca3(tau_refrac=1.0)
    assert all(np.any(w) for w in weights.values())
    export_nir(program, weights).write(tmp_path / "memory.nir")
    back = import_nir(tmp_path / "memory.nir")
    again = lowered(back.network, back.n_steps, back.dt)
    assert set(weights) == {"s1_cue>s1_cont", "s2_cont>s2_cue"}
    for table in again.projections:
        if table.name in weights:
            assert np.array_equal(table.weight[0], weights[table.name])
    assert [p.cell.tau_refrac for p in back.network.populations[1:]] == [1.0] * 9  # type: ignore[attr-defined]


def test_poisson_sources_come_back_as_their_spikes(tmp_path: Path) -> None:
    network = Network(
        (Population("noise", 5, SpikeSourcePoisson(rate=100.0)), Population("cells", 5, CELL)),
        (Projection("noise", "cells", OneToOneConnector(), StaticSynapse(9.0, 1.0)),),
        probes=(Probe("cells"),),
    )
    program = lowered(network)
    back = through_a_file(network, tmp_path)
    assert back.notes == ("noise: its Poisson spikes are read as a list; the rate is not in the graph",)
    assert isinstance(back.network.populations[0].cell, SpikeSourceArray)
    mine, theirs = run(program), run(lowered(back.network))
    assert spikes(mine, "cells").sum() > 5
    assert np.array_equal(spikes(mine, "cells"), spikes(theirs, "cells"))


def test_same_program_same_bytes_and_the_screen() -> None:
    program = lowered(pair())
    export = export_nir(program)
    assert export.content == export_nir(lowered(pair())).content
    assert export.content != export_nir(lowered(pair()), constants="continuous").content
    assert import_text(network_of(nir_graph(program)[0])) == (
        "network of 3 populations and 3 projections, dt 1 ms\n  s: 2 x SpikeSourceArray\n  a: 1 x IFCurrExp\n  b: 1 x IFCurrExp\n\n"
        "what was assumed or not understood\n  nothing\n"
    )


def stripped(graph: Any) -> Any:
    """Return a graph as another tool would have written it: without our metadata."""
    for node in graph.nodes.values():
        node.metadata = {}
    return nir.NIRGraph(graph.nodes, graph.edges)


@pytest.mark.parametrize("integrator", ["exact", "spinnaker"])
def test_without_our_metadata_a_graph_means_the_same_spikes(integrator: str) -> None:
    """Two taus, loops, several delays: read as the constants of Euler steps, the network spikes as the graph does in Euler steps."""
    program = at_leak(lowered(everything(integrator), 400, 0.1))
    graph = stripped(nir_graph(program)[0])
    back = network_of(graph, dt=0.1, constants="euler")
    assert back.notes == NO_METADATA[2:]
    assert {p.name: (p.size, type(p.cell)) for p in back.network.populations} == {
        "source": (10, SpikeSourceArray), "unused_lonely": (2, SpikeSourceArray), "one": (12, IFCurrExp), "two": (6, IFCurrExp), "lonely": (2, IFCurrExp),
    }  # fmt: skip
    assert {probe.population for probe in back.network.probes} >= {"two", "one", "source"}
    stimulus = everything().stimuli[0]
    again = lowered(replace(back.network, stimuli=(stimulus,)), 400, 0.1)
    read, ran = euler(program, graph), run(again)
    for name in ("one", "two", "lonely"):
        assert spikes(ran, name).sum() >= 4
        assert np.array_equal(spikes(ran, name), read[name]), name


def test_a_strangers_graph_by_hand(tmp_path: Path) -> None:
    """tau 20 ms and r 4 are 5 nF; a spike adds w w_in h/tau_syn = 2 w; 2 ms beyond the first step are 3 ms; the bias is w_in b = 2.5 nA."""
    nir.write(tmp_path / "graph.nir", foreign())
    back = import_nir(tmp_path / "graph.nir")
    above = float(np.nextafter(1.0, 2.0))
    cell = IFCurrExp(20.0, 5.0, 0.5, 0.0, above, 0.0, 5.0, 5.0, 2.5)
    assert back.network == Network(
        (Population("x", 2, SpikeSourceArray()), Population("nmy_cell", 1, cell)),
        (
            Projection("x", "nmy_cell", back.network.projections[0].connector, StaticSynapse(4.0, 3.0)),
            Projection("x", "nmy_cell", back.network.projections[1].connector, StaticSynapse(2.0, 3.0), "inhibitory"),
        ),
        probes=(Probe("nmy_cell"),),
    )
    assert [p.connector.array.tolist() for p in back.network.projections] == [[[True], [False]], [[False], [True]]]  # type: ignore[attr-defined]
    assert back.notes == (
        *NO_METADATA,
        "my cell: a bias is read as an offset current, which is there at once and not after tau_syn",
        "my cell: called nmy_cell here",
    )
    assert (back.dt, back.n_steps) == (1.0, 0)


def test_an_edited_graph_wins_over_our_metadata() -> None:
    """Where constants or weights are not those of the export, the graph's are read, and the report says so."""
    program = at_leak(lowered(pair(), 60))
    graph = nir_graph(program)[0]
    graph.nodes["a"].tau_mem = graph.nodes["a"].tau_mem * 1.5
    graph.nodes["a_b"].weight = graph.nodes["a_b"].weight * 0.5
    back = network_of(graph)
    assert back.notes == ("a: its constants are not those of the export; the graph's are taken",)
    assert back.network.projections[1].synapse == StaticSynapse(2.0, 3.0)
    again = lowered(replace(back.network, populations=tuple(replace(p, initial_values={}) for p in back.network.populations)), 60)
    assert again.cells.parameters["tau_m"][0, 0] == pytest.approx(-1 / np.log1p(-1e-3 / graph.nodes["a"].tau_mem[0]), rel=1e-12)
    assert np.array_equal(spikes(run(again), "a"), euler(program, graph)["a"])
    graph = nir_graph(lowered(lossy()))[0]
    graph.nodes["cells_cells_inh"].weight = graph.nodes["cells_cells_inh"].weight * 2.0
    graph.nodes["cells_out"].weight = -graph.nodes["cells_out"].weight
    back = network_of(graph)
    assert back.notes[1:] == (
        "cells>cells:inh: its weights are not those of the export; the graph's are taken, without synapses of weight 0",
        "cells>out: its matrices are not those of the export; they are read as a stranger's",
    )
    assert [(p.name, p.receptor) for p in back.network.projections] == [
        ("noise>cells", "excitatory"), ("cells>cells:inh", "inhibitory"), ("cells>out:inh", "inhibitory"),
    ]  # fmt: skip
    assert back.network.projections[1].synapse == StaticSynapse(4.0, 2.0)  # two of weight 1, in one entry, doubled


def test_nothing_heavy_is_imported_unless_asked_for() -> None:
    code = "import sys, neuromem.hardware_targets.nir.norse_witness; print(sorted({'nir', 'h5py', 'torch', 'norse'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_networks_that_nothing_drives_have_an_unused_input(tmp_path: Path) -> None:
    """NIR wants an Input; it is not read back as a population."""
    network = Network(
        (Population("a", 2, replace(CELL, i_offset=0.8)),), (Projection("a", "a", OneToOneConnector(), StaticSynapse(1.0, 1.0)),)
    )
    program = at_leak(lowered(network))
    graph, _ = nir_graph(program)
    assert {name: type(node).__name__ for name, node in graph.nodes.items()} == {
        "a": "CubaLIF",
        "a_a": "Linear",
        "output_a": "Output",
        "unused_a": "Input",
    }
    assert differences(program, graph) == {"a": (8, 0)}
    assert through_a_file(network, tmp_path).network == network
