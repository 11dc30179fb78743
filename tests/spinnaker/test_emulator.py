"""The board's arithmetic as a backend: twins, and the model proved on the binaries, equal in every bit; parts, saving, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import integer_model
import numpy as np
import pytest
from fit_networks import CELL, RULE, program, sent
from layouts import laid_out

import neuromem
import neuromem.backends.spinnaker_emulator as emulator
from neuromem.backends import load_backend
from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.errors import NeuromemError, SpecError, UnsupportedError
from neuromem.hardware_targets.spinnaker.fitted import RECEPTORS
from neuromem.ir import Drive, Program, Recording, lower, stack
from neuromem.kernels.cpu import spinnaker as cpu
from neuromem.kernels.reference import spinnaker as reference
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    IFCurrExp,
    MultiplicativeWeightDependence,
    Network,
    Population,
    SpikePairRule,
)

__all__ = ["laid_out"]  # a fixture

ODD = IFCurrExp(17.3, 0.83, -65.0, -63.1, -54.9, 2.0, 3.7, 6.1, 0.31, integrator="spinnaker")
STATES = ("spikes", "v", "isyn_exc", "isyn_inh")
LEARNING = STDP(SpikePairRule(20.0, 17.0, 0.4, 0.3), AdditiveWeightDependence(0.0, 6.0), "deferred", 15)


# Random programs


def random_rows(
    rng: np.random.Generator, n: int, m: int, p: float, top: float, delays: Sequence[int]
) -> list[tuple[int, int, float, float]]:
    pairs = [(i, j) for i in range(n) for j in range(m) if rng.random() < p]
    return [(i, j, float(rng.uniform(0, top)), float(rng.choice(delays))) for i, j in pairs]


def random_program(
    seed: int, delays: Sequence[int], plastic: bool, n: int = 10, top: float = 6.0, n_steps: int = 60, rate: float = 0.15
) -> Program:
    """Sources onto cells, cells onto one another (both receptors), and a plastic projection of each."""
    rng = np.random.default_rng(seed)
    parts = [
        sent(rows=random_rows(rng, 8, n, 0.6, top, delays), name="in"),
        sent(rows=random_rows(rng, n, n, 0.3, 3.0, delays), pre="b", name="rec"),
        sent(rows=random_rows(rng, n, n, 0.3, 3.0, delays), pre="b", receptor="inhibitory", name="inh"),
    ]
    if plastic:
        short = [d for d in delays if d < max(delays)] or [1]
        parts += [
            sent(rows=random_rows(rng, 8, n, 0.7, 6.0, short), rule=LEARNING, name="learns"),
            sent(rows=random_rows(rng, n, n, 0.2, 6.0, short), pre="b", rule=LEARNING, name="within"),
        ]
    step, unit = np.nonzero(rng.random((n_steps, 8)) < rate)
    spikes = list(zip(unit.tolist(), step.astype(float).tolist(), strict=True))
    return program(*parts, a=8, b=n, cell=ODD, spikes=spikes, probes=STATES, n_steps=n_steps)


SHAPES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "static": ({"seed": 1, "delays": (1, 2, 5), "plastic": False}, {}),
    "plastic": ({"seed": 2, "delays": (1, 2, 4), "plastic": True}, {}),
    "several cores": ({"seed": 3, "delays": (1, 3, 4), "plastic": True}, {"neurons_per_core": 3}),
    "delay extensions": ({"seed": 4, "delays": (1, 3, 4, 8, 13), "plastic": False}, {"neurons_per_core": 4, "ring_depth": 4}),
    "saturation": ({"seed": 5, "delays": (1, 2), "plastic": True, "top": 60.0}, {}),
    "lost packets": ({"seed": 6, "delays": (1, 2, 4), "plastic": True, "rate": 0.6}, {"input_buffer": 5, "neurons_per_core": 5}),
    "long plastic": ({"seed": 7, "delays": (1, 2, 3), "plastic": True, "n": 4, "n_steps": 400, "rate": 0.3}, {}),
}


def simulated(shape: str, laid_out: Callable[..., None], **options: Any) -> SpinnakerSimulation:
    made, placed = SHAPES[shape]
    if placed:
        laid_out(**placed)
    simulation = SpinnakerSimulation(random_program(**made), **options)
    if shape == "saturation":  # weights that fit would not leave
        simulation.state.weight[:] = np.minimum(65535, simulation.state.weight.astype(np.int64) * 12)
    return simulation


def same(a: Recording, b: Recording) -> bool:
    return (
        np.array_equal(a.step, b.step)
        and np.array_equal(a.unit, b.unit)
        and all(np.array_equal(a.states[key], b.states[key]) for key in b.states)
        and all(np.array_equal(a.weights[key], b.weights[key]) for key in b.weights)
    )


def states_equal(a: cpu.State, b: cpu.State, but: tuple[str, ...] = ()) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in cpu.State._fields if name not in but)


@pytest.mark.parametrize("as_board", [False, True], ids=["step end", "as board"])
@pytest.mark.parametrize("shape", SHAPES)
def test_twins_are_equal_in_every_bit(shape: str, as_board: bool, laid_out: Callable[..., None]) -> None:
    fast = simulated(shape, laid_out, as_board=as_board)
    slow = simulated(shape, laid_out, as_board=as_board, advance=reference.advance)
    ours, definition = fast.run(), slow.run()
    assert same(ours, definition)
    # the twin leaves runs out that nothing moves, and overwrites what it does not read
    assert states_equal(fast.state, slow.state, ("still", "fired", "reached"))
    counts = fast.counts("b")
    assert ours.step.size > 100
    assert counts.events > 500
    assert (counts.saturated > 0) == (shape == "saturation")
    assert (counts.lost > 0) == (shape == "lost packets")
    if shape == "delay extensions":
        assert fast.layout.tables.lag.tolist() == [0, 4, 8, 12]
    if SHAPES[shape][0]["plastic"]:
        before = SpinnakerSimulation(fast.program).words("learns")
        assert np.sum(fast.words("learns") != before) > 10


@pytest.mark.parametrize("shape", ["static", "plastic", "several cores", "delay extensions", "long plastic"])
def test_equal_to_the_model_proved_on_the_binaries(shape: str, laid_out: Callable[..., None]) -> None:
    """An integer model that shares no code with the library, and that equals the binaries in ``test_machine.py``: v, currents, spikes, weights."""
    simulation = simulated(shape, laid_out, as_board=True)
    recording, prog = simulation.run(), simulation.program
    q = simulation.fitted.placement("b")
    p = ODD
    cell = integer_model.Cell(
        p.tau_m, p.cm, p.v_rest, p.v_reset, p.v_thresh, p.tau_refrac, p.tau_syn_E, p.tau_syn_I, p.i_offset  # type: ignore[arg-type]
    )  # fmt: skip
    model = integer_model.IntegerModel(1.0, {"a": 8, "b": prog.cells.n}, {"a": None, "b": cell}, {"b": q.shifts}, {"b": q.ring_depth})
    for table in prog.projections:
        pre, post = table.pre - prog.population(table.pre_name).first, table.post - prog.population("b").first
        rows = list(zip(pre.tolist(), post.tolist(), table.weight[0].tolist(), table.delay.tolist(), strict=True))
        rule = None if table.plasticity is None else integer_model.Rule(20.0, 17.0, 0.4, 0.3, 0.0, 6.0)
        model.connect(table.pre_name, "b", RECEPTORS.index(table.receptor), rows, rule)
    schedule = prog.schedule
    model.run(prog.n_steps, {"a": list(zip(schedule.step.tolist(), schedule.unit.tolist(), strict=True))})
    step, unit = recording.spikes_of("b")
    assert sorted(zip(step.tolist(), unit.tolist(), strict=True)) == sorted(model.spikes["b"])
    rows_of = simulation.rows()
    for ours, theirs in (("v", "v"), ("isyn_exc", "gsyn_exc"), ("isyn_inh", "gsyn_inh")):
        assert rows_of["b", ours].tolist() == model.recorded["b"][theirs]
    learned = sorted(row for row in model.synapses("b") if row[6])
    found = []
    for table in prog.plastic:
        last, left = simulation.traces(table.name)
        pre, post = table.pre - prog.population(table.pre_name).first, table.post - prog.population("b").first
        columns = (pre, post, table.delay, simulation.words(table.name), last, left)
        found += [(table.pre_name, i, j, 0, d, w, True, t, x) for i, j, d, w, t, x in zip(*(c.tolist() for c in columns), strict=True)]
    assert sorted(found) == learned


# Parts, saving


def test_parts_of_a_run_are_the_run(laid_out: Callable[..., None]) -> None:
    whole, parts = simulated("delay extensions", laid_out), simulated("delay extensions", laid_out)
    recording = whole.run()
    for stop in (1, 2, 17, 18, 40, 60):
        parts.advance(parts.program.schedule.part(parts.step, stop))
    assert same(parts.run(), recording)  # nothing is left to run
    assert states_equal(parts.state, whole.state)


def test_a_full_spike_buffer_only_cuts_the_run(monkeypatch: pytest.MonkeyPatch, laid_out: Callable[..., None]) -> None:
    recording = simulated("plastic", laid_out).run()
    monkeypatch.setattr(emulator, "SPIKE_BUFFER", 0)
    assert same(simulated("plastic", laid_out).run(), recording)


def test_saved_and_restored(laid_out: Callable[..., None]) -> None:
    recording = simulated("several cores", laid_out).run()
    first, second = simulated("several cores", laid_out), simulated("several cores", laid_out)
    first.advance(first.program.schedule.part(0, 25))
    saved = first.save()
    assert same(first.run(), recording)
    second.restore(saved)
    assert second.step == 25
    assert same(second.run(), recording)
    first.restore(saved)  # going on did not change it
    assert same(first.run(), recording)


# What it refuses


def frozen() -> Program:
    network = Network((Population("a", 2, CELL), Population("b", 2, CELL)), (sent(0.5, rule=RULE),))
    return lower(network, dt=1.0, n_steps=4, drive=Drive(frozen=((1, 2),)))


REFUSED: dict[str, tuple[Callable[[], object], type[NeuromemError], str]] = {
    "batch": (
        lambda: stack((program(sent()), program(sent()))),
        UnsupportedError,
        "backend 'spinnaker-emulator' will not do 'batch': a board holds one network; run replicas one after the other.",
    ),
    "exact": (
        lambda: program(sent(), cell=IFCurrExp()),
        UnsupportedError,
        "backend 'spinnaker-emulator' will not do 'integrator:exact': a board has an update of its own; define the cells with integrator='spinnaker'.",
    ),
    "multiplicative": (
        lambda: program(sent(0.5, rule=STDP(SpikePairRule(), MultiplicativeWeightDependence()))),
        UnsupportedError,
        "backend 'spinnaker-emulator' does not do 'stdp:MultiplicativeWeightDependence': the board's arithmetic is known for the additive rule only.",
    ),
    "switch": (
        frozen,
        UnsupportedError,
        "backend 'spinnaker-emulator' will not do 'plasticity_switch': a board cannot switch plasticity; every operation must leave it on.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_by_name(case: str) -> None:
    make, kind, text = REFUSED[case]
    with pytest.raises(kind) as raised:
        neuromem.build(make(), "spinnaker-emulator")  # type: ignore[call-overload]
    assert str(raised.value) == text


def test_it_refuses_memories_without_spikes_and_unknown_boards() -> None:
    with pytest.raises(UnsupportedError) as raised:
        neuromem.build(neuromem.models.hopfield(16), "spinnaker-emulator")
    assert str(raised.value) == (
        "backend 'spinnaker-emulator' will not do 'matrix': a board runs spikes; realise turns some memories without spikes into spiking ones."
    )
    with pytest.raises(SpecError) as unknown:
        load_backend("spinnaker-emulator", board="spinn4")
    assert str(unknown.value) == "backend 'spinnaker-emulator': board = 'spinn4'; expected one of spinn3, spinn5."
