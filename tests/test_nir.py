"""The NIR export means what the Program says: constants by hand, Euler steps equal to the engine's, and what is not carried is listed."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nir_networks import CELL, at_leak, differences, euler, everything, learned_ca3, lossy, lowered, pair, run, spikes

from neuromem.errors import BackendMissingError
from neuromem.hardware_targets.nir import manifest_object, manifest_text, nir_graph
from neuromem.hardware_targets.nir.euler import euler_spikes
from neuromem.hardware_targets.nir.export import frozen
from neuromem.hardware_targets.nir.norse_witness import Case, cases, norse_spikes, witness
from neuromem.ir import Program, Schedule
from neuromem.ir.lower import source_schedule
from neuromem.spec import IFCurrExp, Population

nir = pytest.importorskip("nir", reason="the package nir is not installed")
GOLDEN = Path(__file__).parent / "golden" / "nir_manifest.txt"
JUST_BELOW_10 = 9.999999999999998  # the double before 10


def test_two_cells_by_hand_in_continuous_time() -> None:
    """tau_m 10 ms and cm 0.5 nF are 20 MOhm; 0.25 nA raise the leak by 5 mV; delay 3 ms has one step in the edge and two in the node."""
    graph, manifest = nir_graph(lowered(pair()), constants="continuous")
    assert {name: type(node).__name__ for name, node in graph.nodes.items()} == {
        "s": "Input", "a": "CubaLIF", "b": "CubaLIF", "s_a": "Linear", "a_b": "Linear", "a_b_delay": "Delay", "b_b_inh": "Linear",
        "output_b": "Output",
    }  # fmt: skip
    assert set(graph.edges) == {
        ("s", "s_a"), ("s_a", "a"), ("a", "a_b_delay"), ("a_b_delay", "a_b"), ("a_b", "b"), ("b", "b_b_inh"), ("b_b_inh", "b"), ("b", "output_b"),
    }  # fmt: skip
    for name, leak in (("a", 0.0), ("b", 5.0)):
        node = graph.nodes[name]
        fields = {f: getattr(node, f).tolist() for f in ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset")}
        assert fields == {
            "tau_mem": [0.01], "tau_syn": [0.005], "r": [20.0], "w_in": [5.0], "v_leak": [leak], "v_threshold": [JUST_BELOW_10], "v_reset": [-5.0],
        }  # fmt: skip
    assert graph.nodes["s_a"].weight.tolist() == [[1.5, 2.5]]
    assert graph.nodes["a_b"].weight.tolist() == [[4.0]]
    assert graph.nodes["b_b_inh"].weight.tolist() == [[-0.5]]
    assert graph.nodes["a_b_delay"].delay.tolist() == [0.002]
    assert (manifest.n_nodes, manifest.n_edges, manifest.n_cells, manifest.n_synapses) == (8, 8, 2, 4)


@pytest.mark.parametrize("tau_syn", [0.3, 3.0, 12.0], ids=lambda tau: f"tau_syn {tau}")
def test_euler_constants_lose_in_a_step_what_the_cell_loses(tau_syn: float) -> None:
    """1 - h/tau is exp(-h/tau_m), also where the step is longer than the time constant, and w_in h/tau_syn is what a spike adds."""
    for integrator, scale in (("exact", 1.0), ("spinnaker", -tau_syn * math.expm1(-1 / tau_syn))):
        cell = replace(CELL, tau_m=3.0, cm=0.27, tau_syn_E=tau_syn, tau_syn_I=tau_syn, integrator=integrator)  # type: ignore[arg-type]
        network = replace(pair(), populations=tuple(replace(p, cell=cell) if p.cell.state else p for p in pair().populations))
        program = lowered(network)
        node = nir_graph(program)[0].nodes["a"]
        # a few roundings of doubles, 1.1e-16 each, and the loss of a digit where 1 is subtracted from
        assert 1 - 1e-3 / node.tau_mem[0] == pytest.approx(math.exp(-1 / 3.0), rel=1e-14)
        assert 1 - 1e-3 / node.tau_syn[0] == pytest.approx(math.exp(-1 / tau_syn), rel=1e-14)
        assert node.w_in[0] * 1e-3 / node.tau_syn[0] == pytest.approx(scale, rel=1e-14)
        assert node.r[0] * 1e-3 / node.tau_mem[0] == pytest.approx(float(program.coefficients.gain_exc[0, 0]), rel=1e-14)


def test_the_euler_reading_by_hand() -> None:
    """tau_syn = h makes I = x, tau_mem = 2 h halves what is missing: v = 0.5, 0.75, 0.875; 0.75 is not above the threshold 0.75."""
    ones = np.ones(1)
    cell = nir.CubaLIF(
        tau_syn=1e-3 * ones, tau_mem=2e-3 * ones, r=ones, v_leak=0 * ones, v_threshold=0.75 * ones, v_reset=-0.5 * ones, w_in=ones
    )
    graph = nir.NIRGraph(
        {
            "in": nir.Input(np.array([1])),
            "w": nir.Linear(np.eye(1)),
            "wait": nir.Delay(2e-3 * ones),
            "cell": cell,
            "out": nir.Output(np.array([1])),
        },
        [("in", "w"), ("w", "wait"), ("wait", "cell"), ("cell", "out")],
    )
    found = euler_spikes(graph, {"in": np.arange(12)[:, None] < 7}, 1.0, 12)["cell"][:, 0]
    # an edge takes one step and the Delay two: x is 1 in steps 3..9. After the reset: -0.5 -> 0.25, 0.625, 0.8125: again in step 8.
    assert np.flatnonzero(found).tolist() == [5, 8]


@pytest.mark.parametrize("case", cases(150), ids=lambda case: case.name)
def test_euler_steps_are_the_engines(case: Case) -> None:
    """Equal in every spike: the arithmetic differs by roundings, 1e-15 of v, and no v of these fixed seeds comes that near a threshold."""
    found = differences(case.program)
    assert all(n > 100 and different == 0 for n, different in found.values()), found


@pytest.mark.parametrize("integrator", ["exact", "spinnaker"])
def test_euler_steps_are_the_engines_with_everything(integrator: str) -> None:
    """Two synaptic taus (LI before LIF), several delays, views, repeated pairs, zeros, cells that nothing reaches, steps of 0.1 ms."""
    program = at_leak(lowered(everything(integrator), 400, 0.1))
    graph = nir_graph(program)[0]
    assert {type(node).__name__ for node in graph.nodes.values()} == {"Input", "CubaLIF", "LI", "LIF", "Linear", "Delay", "Output"}
    found = differences(program, graph)
    assert all(n >= 4 and different == 0 for n, different in found.values()), found


def test_a_wrong_export_is_noticed() -> None:
    """Each of these errors in a graph changes spikes."""
    program = at_leak(lowered(pair(), 60))
    program = replace(program, schedule=_every_other(program))

    def wrong(name: str, field: str, factor: float) -> bool:
        graph, _ = nir_graph(program)
        setattr(graph.nodes[name], field, getattr(graph.nodes[name], field) * factor)
        return any(different for _, different in differences(program, graph).values())

    assert all(different == 0 and n for n, different in differences(program).values())
    for name, field, factor in (
        ("a", "tau_mem", 1.2), ("a", "tau_syn", 1.2), ("b", "r", 0.8), ("b", "w_in", 1.2), ("b", "v_leak", 0.0), ("a", "v_reset", 0.0),
        ("s_a", "weight", 1.1), ("a_b_delay", "delay", 1.5), ("b_b_inh", "weight", -1.0),
    ):  # fmt: skip
        assert wrong(name, field, factor), (name, field)


def _every_other(program: Program) -> Schedule:
    step = np.repeat(np.arange(0, program.n_steps, 2), 2)
    return source_schedule(program.n_steps, step, np.tile([0, 1], step.size // 2), program.schedule.plastic)


def test_a_learned_memory_recalls_in_a_frozen_graph() -> None:
    """The CA3 memory with the weights it has learned, without refractoriness: every spike of its ten populations."""
    program, weights = learned_ca3(tau_refrac=0.0)
    tables = tuple(frozen(t, weights) for t in program.projections)
    still = replace(program, projections=tables)
    found = differences(still, nir_graph(program, weights)[0])
    assert found == {
        "s1_cue": (14, 0), "s1_cont": (82, 0), "s2_cond": (72, 0), "s2_int": (20, 0), "s2_cont": (72, 0), "s2_cue": (24, 0),
        "merge_cue": (24, 0), "merge_cont": (82, 0), "out": (106, 0),
    }  # fmt: skip
    # the list is no formality: the initial weights recall nothing, and with the published refractory period spikes differ
    assert differences(still, nir_graph(program)[0])["out"][1] > 0


def test_refractoriness_is_what_the_list_says() -> None:
    """A cell driven to spike in every step rests two steps here, and none in the graph."""
    cell = replace(CELL, tau_refrac=2.0, i_offset=1e3)
    network = replace(pair(), populations=tuple(replace(p, cell=cell) if p.cell.state else p for p in pair().populations))
    program = lowered(network, 30)
    graph, manifest = nir_graph(program)
    assert (spikes(run(program), "a").sum(), euler(program, graph)["a"].sum()) == (10, 30)
    listed = {(e.object, e.what): e for e in manifest.not_carried}
    assert (listed["a", "tau_refrac"].value, listed["a", "tau_refrac"].consequence) == (
        "2 ms, 2 steps",
        "cells integrate at once after a spike, and may spike sooner",
    )


def test_the_manifest_is_the_golden_text() -> None:
    _, manifest = nir_graph(lowered(lossy()))
    assert manifest_text(manifest) == GOLDEN.read_text()
    _, other = nir_graph(lowered(lossy()), {"noise>cells": np.ones(12)}, "continuous")
    listed = {(e.object, e.what): (e.value, e.consequence) for e in other.not_carried}
    assert listed["noise>cells", "plasticity"] == (
        "STDP, additive, deferred, last 15 post spikes",
        "weights stay as given: nothing is learned",
    )
    assert listed["cells", "integrator"] == ("exact", "reader's own; inexact ones differ")
    assert ("noise>cells", "synapses") not in listed  # none of weight 0 now
    assert manifest_object(other)["not_carried"][0] == {
        "object": "network", "what": "time step", "value": "1 ms", "consequence": "a spike raises I by its weight only at this step",
    }  # fmt: skip


def test_nothing_is_listed_that_is_carried() -> None:
    """A network that NIR carries whole has only its step, seed and input in the list."""
    _, manifest = nir_graph(lowered(replace(pair(), populations=tuple(_no_offset(p) for p in pair().populations))))
    assert [(e.object, e.what) for e in manifest.not_carried] == [("network", "time step"), ("network", "seed"), ("s", "input spikes")]


def _no_offset(population: Population) -> Population:
    cell = population.cell
    return replace(population, cell=replace(cell, i_offset=0.0)) if isinstance(cell, IFCurrExp) else population


def test_norse_reads_the_same_spikes() -> None:
    """Nine networks, spike for spike, and a wrong weight is noticed."""
    pytest.importorskip(
        "norse", reason="Norse is not installed (pip install norse); run neuromem.hardware_targets.nir.norse_witness with it"
    )
    results = [witness(case) for case in cases(150)]
    assert [r.name for r in results if not r.equal] == []
    case = cases(150)[2]
    graph, _ = nir_graph(case.program)
    right = norse_spikes(graph, np.ones((150, 20), dtype=bool), 1.0)
    graph.nodes["source_cells"].weight = graph.nodes["source_cells"].weight * 0.9
    assert not np.array_equal(right, norse_spikes(graph, np.ones((150, 20), dtype=bool), 1.0))


def test_without_norse_the_witness_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "norse.torch", None)
    monkeypatch.setitem(sys.modules, "norse", None)
    with pytest.raises(
        BackendMissingError, match=r"^witness 'norse': Norse cannot be imported \(.*norse.*\); type: pip install norse nir$"
    ):
        witness(cases(10)[0])
