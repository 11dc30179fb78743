"""Spiking networks on the device, in both orders of adding up: by hand, against the recorded trace, and against the reference."""

from __future__ import annotations

import math
import os
import re
import signal
from typing import Any

import emulated
import numpy as np
import pytest
from cli_testing import TRACE

from neuromem.backends import load_backend
from neuromem.ir import Drive, Program, Recording, lower, lower_memory, stack
from neuromem.ir.program import Schedule
from neuromem.kernels.cpu import spiking as cpu
from neuromem.kernels.cupy.sources import source_text
from neuromem.models.ca3_cam import ca3_cam, functional
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FixedProbabilityConnector,
    FromListConnector,
    IFCurrExp,
    MultiplicativeWeightDependence,
    Network,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

emulated.install()

from neuromem.backends import cupy_spiking  # noqa: E402
from neuromem.backends.cupy_spiking import CupySimulation, arrival_quantum  # noqa: E402
from neuromem.kernels.cupy.runtime import traffic  # noqa: E402

EPS = float(np.finfo(np.float64).eps)
both_orders = pytest.mark.parametrize("order", ["kept", "any"])


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator runs a launch in both orders of threads only where its arrays are small."""
    monkeypatch.setattr(cupy_spiking, "SHARED_SPIKE_BUFFER", 0)


def network(n: int, seed: int = 0, drawn: bool = False) -> Network:
    """n neurons of two kinds with drawn weights and delays, twofold synapses, and every rule."""
    rng = np.random.default_rng(seed)
    shared: dict[str, Any] = {"v_rest": -60.0, "v_reset": -61.0, "v_thresh": -57.0, "tau_syn_E": 2.0, "tau_syn_I": 3.0}
    tau: Any = RandomDistribution("uniform", 4.0, 12.0) if drawn else 8.0
    first = Population("a", n - n // 3, IFCurrExp(tau_m=tau, cm=0.3, tau_refrac=2.0, **shared))
    second = Population("b", max(1, n // 3), IFCurrExp(tau_m=5.0, cm=0.2, tau_refrac=0.0, integrator="spinnaker", **shared))
    given, n_given = Population("given", 40, SpikeSourceArray()), 260
    stimulus = Stimulus("given", rng.integers(0, 40, n_given), np.sort(rng.integers(0, 110, n_given)).astype(float))
    timing = SpikePairRule(tau_plus=6.0, tau_minus=9.0, A_plus=0.05, A_minus=0.04)
    additive, multiplicative = AdditiveWeightDependence(0.0, 1.5), MultiplicativeWeightDependence(0.0, 1.2)

    def sparse(pre: int, fan_out: float, post: int) -> FixedProbabilityConnector:
        return FixedProbabilityConnector(min(1.0, fan_out / post) if pre else 0.0)

    def synapse(low: float, high: float, delay: int) -> StaticSynapse:
        return StaticSynapse(RandomDistribution("uniform", low, high), RandomDistribution("uniform_int", 1, delay))

    twice = FromListConnector([(i % 40, i % first.size) for i in range(60)] * 2)
    return Network(
        (given, first, second),
        (
            Projection("given", "a", twice, StaticSynapse(RandomDistribution("uniform", 0.2, 0.9), 2.0), name="twice"),
            Projection("given", "a", sparse(40, max(8.0, n / 20), first.size), synapse(0.3, 1.1, 4)),
            Projection("given", "b", sparse(40, max(8.0, n / 20), second.size), synapse(0.3, 1.1, 3), plasticity=STDP(timing, additive)),
            Projection("a", "b", sparse(n, 6, second.size), synapse(0.1, 0.8, 5), plasticity=STDP(timing, additive, "deferred")),
            Projection("a", "a", sparse(n, 5, first.size), synapse(0.1, 0.6, 3), plasticity=STDP(timing, multiplicative, "deferred", 3)),
            Projection("b", "a", sparse(n, 6, first.size), synapse(0.1, 0.9, 7), "inhibitory", STDP(timing, multiplicative)),
            Projection("a", "b", sparse(n, 4, second.size), synapse(0.0, 0.5, 2), "inhibitory", name="static:inh"),
        ),
        (stimulus,),
        (Probe("a"), Probe("given"), Probe("b", "isyn_exc"), Probe("a", "v"), Probe("b", "isyn_inh")),
    )


def program(n: int, seed: int = 0, n_steps: int = 130, drawn: bool = False) -> Program:
    """Weights may not change in a fifth of the steps."""
    return lower(network(n, seed, drawn), dt=1.0, n_steps=n_steps, seed=seed, drive=Drive(frozen=((40, 60), (80, 86))))


def by_reference(prog: Program) -> Recording:
    return load_backend("reference").build(prog).run()


def differences(a: Recording, b: Recording, states: bool = True) -> list[str]:
    """What of two recordings differs in any bit."""
    found = [name for name in ("replica", "step", "unit") if not np.array_equal(getattr(a, name), getattr(b, name))]
    found += [name for name in b.weights if not np.array_equal(a.weights[name], b.weights[name])]
    return found + [f"{key}" for key in b.states if states and not np.array_equal(a.states[key], b.states[key])]


def state_bound(prog: Program, truth: Recording) -> float:
    """How far a state of counted sums may be from the reference's.

    A sum of n weights, S in all, is off by at most ``d = n (eps S + quantum / 2)``. In the current it is scaled, and decays (no factor of a
    step is above 1), so after T steps it is off by T times that, and v by T times the gain. The other operations are the same, on slightly
    different numbers: at most 16 roundings a step, each within eps of the largest magnitude that can be there, twice.
    """
    n_synapses = np.zeros(2 * prog.cells.n)
    weight = np.zeros(2 * prog.cells.n)
    for table in prog.projections:
        target = table.post - prog.n_sources + (prog.cells.n if table.receptor == "inhibitory" else 0)
        n_synapses += np.bincount(target, minlength=2 * prog.cells.n)
        top = max(1.5, float(table.weight.max(initial=0.0)))  # no rule's w_max is above 1.5
        weight += np.bincount(target, np.full(target.size, top), 2 * prog.cells.n)
    sum_off = float(np.max(n_synapses * (EPS * weight + arrival_quantum(prog) / 2)))
    c = prog.coefficients
    scale = max(1.0, float(c.scale_exc.max()), float(c.scale_inh.max()))
    gain = max(1.0, float(c.gain_exc.max()), float(c.gain_inh.max()))
    assert max(c.keep.max(), c.decay_exc.max(), c.decay_inh.max()) <= 1.0
    largest = max(float(np.abs(values).max(initial=0.0)) for values in truth.states.values()) + gain * scale * float(weight.max())
    return prog.n_steps * (gain * scale * sum_off + 2 * 16 * EPS * largest)


def assert_agrees(ours: Recording, truth: Recording, order: str) -> None:
    """In the order of the reference every bit is equal; counted, all but the states: weights depend on spikes alone."""
    assert ours.complete
    assert differences(ours, truth, states=order == "kept") == []
    if order == "any":
        bound = state_bound(ours.program, truth)
        assert 0 < bound < 1e-6  # nA and mV: nearly all weights are above 1e-2, so one lost or late would be far larger
        assert all(np.max(np.abs(ours.states[key] - truth.states[key]), initial=0.0) <= bound for key in truth.states)


# By hand

TINY = 2.0**-53


def sum_of(weights: list[float], one_row: bool, order: str) -> tuple[float, float]:
    """The current after weights arrive in one step, in this order, from one source or from as many; and the decay of a step."""
    pre = [0] * len(weights) if one_row else range(len(weights))
    cell = IFCurrExp(v_thresh=1e3, v_rest=-60.0, v_reset=-60.0, tau_m=10.0, cm=1.0, tau_refrac=0.0, tau_syn_E=5.0, tau_syn_I=5.0)
    net = Network(
        (Population("in", len(weights), SpikeSourceArray()), Population("out", 1, cell)),
        (Projection("in", "out", FromListConnector([(p, 0) for p in pre]), StaticSynapse(np.array(weights), 1.0)),),
        (Stimulus("in", np.arange(len(weights)), np.zeros(len(weights))),),
        (Probe("out", "isyn_exc"),),
    )
    prog = lower(net, dt=1.0, n_steps=2)
    states = CupySimulation(prog, order).run().states["out", "isyn_exc"]
    return float(states[0, 1, 0]), float(prog.coefficients.decay_exc[0, 0])


@pytest.mark.parametrize("one_row", [True, False])
def test_weights_are_added_as_they_are_listed_or_exactly(one_row: bool) -> None:
    """1 + 2^-53 rounds to 1, twice; 2^-53 + 2^-53 + 1 does not round, and neither does a sum of whole numbers of the quantum."""
    for weights, in_order in (([1.0, TINY, TINY], 1.0), ([TINY, TINY, 1.0], 1.0 + 2 * TINY)):
        found, decay = sum_of(weights, one_row, "kept")
        assert found == in_order * decay
        counted, _ = sum_of(weights, one_row, "any")
        assert counted == (1.0 + 2 * TINY) * decay
    assert (1.0 + 2 * TINY) * decay != decay


@both_orders
@pytest.mark.parametrize("delay", [1, 9])
def test_a_spike_that_arrives_after_a_long_silence_is_learned(delay: int, order: str) -> None:
    """Pre at 0, post at 3, nothing else: the post spike arrives at 3 + delay, the last step of which the device remembers the spikes."""
    relay = IFCurrExp(
        tau_m=3.0,
        cm=0.27,
        v_rest=-60.0,
        v_reset=-60.0,
        v_thresh=-57.0,
        tau_refrac=0.0,
        tau_syn_E=0.3,
        tau_syn_I=0.3,
        integrator="spinnaker",
    )
    rule = STDP(SpikePairRule(tau_plus=20.0, A_plus=0.1), AdditiveWeightDependence(0.0, 1.0))
    net = Network(
        (Population("in", 2, SpikeSourceArray()), Population("out", 1, relay)),
        (
            Projection("in", "out", FromListConnector([(0, 0)]), StaticSynapse(0.5, float(delay)), plasticity=rule, name="learns"),
            Projection("in", "out", FromListConnector([(1, 0)]), StaticSynapse(6.0, 1.0), name="fires"),
        ),
        (Stimulus("in", np.array([0, 1]), np.array([0.0, 2.0])),),
        (Probe("out"),),
    )
    run = CupySimulation(lower(net, dt=1.0, n_steps=15), order).run()
    assert run.step.tolist() == [3]
    assert run.weights["learns"].tolist() == [[0.5 + 0.1 * math.exp(-(3 + delay) / 20.0)]]


def test_the_quantum_holds_the_largest_sum() -> None:
    """Three weights of 1.5, 2 and a plastic one of at most 4: 7.5 < 2^3; whole numbers of 2^(3 - 62) are below 2^62, half of what 64 bits hold."""
    rule = STDP(SpikePairRule(), AdditiveWeightDependence(0.0, 4.0))
    populations = (Population("in", 2, SpikeSourceArray()), Population("out", 2, IFCurrExp()))
    one = OneToOneConnector()
    net = Network(
        populations,
        (
            Projection("in", "out", one, StaticSynapse(np.array([1.5, 0.5])), name="x"),
            Projection("in", "out", one, StaticSynapse(2.0), name="y"),
            Projection("in", "out", one, StaticSynapse(1.0), plasticity=rule, name="z"),
            Projection("in", "out", one, StaticSynapse(7.0), "inhibitory", name="i"),
        ),
    )
    assert arrival_quantum(lower(net, dt=1.0, n_steps=1)) == 2.0 ** (3 - 62)
    assert arrival_quantum(lower(Network(populations), dt=1.0, n_steps=1)) == 2.0**-62


def test_the_columns_of_plastic_tables_are_those_of_the_cpu_twin() -> None:
    found = re.findall(r"enum \{([^}]*)\}", source_text("spiking"))
    names = [name.strip() for text in found for name in text.split(",")]
    assert len(found) == 2
    assert names[: cpu.N_INTS] == [next(n for n in names if getattr(cpu, n) == i) for i in range(cpu.N_INTS)]
    assert names[cpu.N_INTS :] == ["N_INTS", "A_PLUS", "A_MINUS", "W_MIN", "W_MAX", "N_FLOATS"]
    assert [cpu.A_PLUS, cpu.A_MINUS, cpu.W_MIN, cpu.W_MAX] == [0, 1, 2, 3]


@both_orders
def test_the_memory_gives_the_spikes_that_were_recorded_on_a_board(order: str) -> None:
    run = CupySimulation(lower_memory(ca3_cam(), functional(5, 10)), order).run()
    rows = ["step,population,unit"]
    found = []
    for p in run.program.populations:
        steps, units = run.spikes_of(p.name)
        found += [(step, p.name, unit) for step, unit in zip(steps.tolist(), units.tolist(), strict=True)]
    rows += [f"{step},{name},{unit}" for step, name, unit in sorted(found)]
    assert rows == TRACE.read_text().splitlines()


# Against the reference


@both_orders
@pytest.mark.parametrize("n", [1, 31, 33, 257, 1025])
def test_networks_of_every_size(n: int, order: str) -> None:
    prog = program(n, seed=n, n_steps=130 if n < 1000 else 60)
    truth = by_reference(prog)
    assert truth.step.size > 100
    assert n < 33 or all(not np.array_equal(truth.weights[p.name], p.weight) for p in prog.plastic)
    assert_agrees(CupySimulation(prog, order).run(), truth, order)


@both_orders
@pytest.mark.parametrize("drawn", [False, True])
def test_a_batch_is_its_single_runs(drawn: bool, order: str) -> None:
    """Replicas with other input and, where drawn, other cells and weights."""
    replicas = [lower(network(70, 3, drawn), dt=1.0, n_steps=90, seed=5, drive=Drive(frozen=((30, 45),))) for _ in range(2)]
    other = lower(network(70, 4, drawn), dt=1.0, n_steps=90, seed=5, drive=Drive(frozen=((30, 45),)))
    prog = stack([*replicas, other])
    if drawn:
        parameters = {
            name: values * np.array([[1.0], [1.1], [1.2]]) if name == "cm" else values for name, values in prog.cells.parameters.items()
        }
        tables = tuple(p if p.plasticity else _with(p, weight=p.weight * np.array([[1.0], [0.9], [0.8]])) for p in prog.projections)
        prog = _with(prog, cells=_with(prog.cells, parameters=parameters), projections=tables)
    truth = by_reference(prog)
    ours = CupySimulation(prog, order).run()
    assert_agrees(ours, truth, order)
    assert not np.array_equal(truth.spikes_of("a", 0)[0], truth.spikes_of("a", 2)[0])
    assert drawn != np.array_equal(truth.spikes_of("a", 0)[0], truth.spikes_of("a", 1)[0])


def _with(value: Any, **changes: Any) -> Any:
    return type(value)(**{name: getattr(value, name) for name in value.__dataclass_fields__} | changes)


@both_orders
def test_a_run_in_parts_is_the_whole_one(order: str) -> None:
    """Saved, and restored into the same simulation and into another: to the last bit, in both orders."""
    prog = program(50, 2)
    whole = CupySimulation(prog, order).run()
    simulation, fresh = CupySimulation(prog, order), CupySimulation(prog, order)
    checkpoints = []
    for cut in (37, 101):
        simulation.advance(prog.schedule.part(simulation.step, cut))
        checkpoints.append(simulation.save())
    assert differences(simulation.run(), whole) == []
    for checkpoint in (*checkpoints, checkpoints[0]):
        assert all(type(a) in (np.ndarray, list) for a in checkpoint.arrays.values())  # nothing of it is on a device
        for target in (simulation, fresh):
            target.restore(checkpoint)
            assert target.step == checkpoint.step
            assert differences(target.run(), whole) == []


def test_a_checkpoint_goes_into_a_simulation_of_the_other_order() -> None:
    prog = program(50, 2)
    truth = by_reference(prog)
    for mine, other in (("kept", "any"), ("any", "kept")):
        simulation, target = CupySimulation(prog, mine), CupySimulation(prog, other)
        simulation.advance(prog.schedule.part(0, 64))
        assert np.count_nonzero(simulation.save().arrays["arriving"]) > 10  # there is something on its way
        target.restore(simulation.save())
        assert_agrees(target.run(), truth, "any")


def test_the_order_follows_from_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_spiking, "IN_ORDER_NEURONS", 40)
    assert CupySimulation(program(40)).quantum is None
    assert CupySimulation(program(41)).quantum == arrival_quantum(program(41))
    assert CupySimulation(program(41), "kept").quantum is None


@both_orders
def test_networks_that_lack_something(order: str) -> None:
    """Sources only; neurons only; no synapse in a projection; nothing probed; no step."""
    cell = IFCurrExp(v_rest=-60.0, v_reset=-60.0, v_thresh=-57.0, tau_m=3.0, cm=0.3, i_offset=0.4)
    given, neurons = Population("in", 3, SpikeSourceArray()), Population("out", 2, cell)
    stimuli = (Stimulus("in", np.array([0, 2, 1]), np.array([0.0, 0.0, 4.0])),)
    none = FixedProbabilityConnector(0.0)
    rule = STDP(SpikePairRule(), AdditiveWeightDependence(0.0, 4.0))
    empty = (
        Projection("in", "out", none, StaticSynapse(1.0), name="s"),
        Projection("in", "out", none, StaticSynapse(1.0), plasticity=rule, name="p"),
    )
    one = (Projection("in", "out", FromListConnector([(0, 1)]), StaticSynapse(1.0), plasticity=rule),)
    for net in (
        Network((given,), (), stimuli, (Probe("in"),)),
        Network((neurons,), (), (), (Probe("out"), Probe("out", "v"))),
        Network((given, neurons), empty, stimuli, (Probe("in"), Probe("out"))),
        Network((given, neurons), one, stimuli),
    ):
        prog = lower(net, dt=1.0, n_steps=9)
        simulation = CupySimulation(prog, order)
        assert simulation.recording().step.size == 0
        simulation.advance(prog.schedule.part(0, 0))
        assert simulation.step == 0
        assert differences(simulation.run(), by_reference(prog)) == []
    assert differences(simulation.recording(), by_reference(prog)) == []


# Long calls, full buffers, Ctrl-C


@both_orders
def test_replicas_that_fill_their_buffers_at_different_steps_lose_no_spike(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = program(31, 1)
    late = busy.schedule.step > 100
    schedule = Schedule(
        busy.n_steps, *(column[late] for column in (busy.schedule.replica, busy.schedule.step, busy.schedule.unit)), busy.schedule.plastic
    )
    prog = stack([busy, busy.with_schedule(schedule), busy])
    truth = by_reference(prog)
    monkeypatch.setattr(cupy_spiking, "SPIKE_BUFFER", 80)
    simulation = CupySimulation(prog, order)
    before = traffic.copy()
    simulation.advance(prog.schedule)
    stops = (traffic.since(before).gets - 1) // 2  # counts and spikes each time, and the states
    counts = np.bincount(truth.replica)
    assert stops >= counts.max() // 80 > counts.min() // 80 + 3
    assert_agrees(simulation.recording(), truth, order)
    for since in (1, 64, 100, 129):
        assert np.array_equal(np.stack(simulation.spikes(since)), np.stack([truth.replica, truth.step, truth.unit])[:, truth.step >= since])


@both_orders
def test_recorded_states_that_do_not_fit_are_taken_in_parts(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prog = program(33, 1)
    whole = CupySimulation(prog, order)
    whole.advance(prog.schedule)
    monkeypatch.setattr(cupy_spiking, "STATES_ROOM", 8 * whole.width * 50)
    parts = CupySimulation(prog, order)
    parts.advance(prog.schedule)
    assert [a.shape[1] for a in whole.recorded_states] == [130]
    assert [a.shape[1] for a in parts.recorded_states] == [50, 50, 30]
    assert differences(parts.recording(), whole.recording()) == []


def spontaneous(n_steps: int) -> Program:
    """Ten neurons that fire by themselves, each at its own rate, with plastic synapses."""
    cell = IFCurrExp(v_rest=-60.0, v_reset=-61.0, v_thresh=-57.0, tau_m=20.0, cm=0.3, i_offset=RandomDistribution("uniform", 0.044, 0.05))
    rule = STDP(SpikePairRule(A_plus=0.002, A_minus=0.001), AdditiveWeightDependence(0.0, 0.02))
    recurrent = Projection(
        "a", "a", FixedProbabilityConnector(0.4), StaticSynapse(0.01, RandomDistribution("uniform_int", 1, 9)), plasticity=rule
    )
    return lower(Network((Population("a", 10, cell),), (recurrent,), probes=(Probe("a"),)), dt=1.0, n_steps=n_steps, seed=3)


@pytest.mark.parametrize(("order", "n_steps", "launches"), [("kept", 5000, 1), ("any", 1000, 4 * 1000)])
def test_a_call_of_many_steps(order: str, n_steps: int, launches: int) -> None:
    """One launch, or four a step; two copies in: the schedule, and when weights may change; two out: counts, and eight bytes a spike."""
    prog = spontaneous(n_steps)
    truth = load_backend("cpu").build(prog).run()  # the contract holds it to the reference
    assert n_steps / 10 < truth.step.size < cupy_spiking.SPIKE_BUFFER
    simulation = CupySimulation(prog, order)
    before = traffic.copy()
    simulation.advance(prog.schedule)
    went = traffic.since(before)
    assert differences(simulation.recording(), truth) == []
    assert (went.launches, went.puts, went.gets) == (launches, 2, 2)
    assert went.bytes_to_device == n_steps + 8 * (2 + 1 + 2)  # pointers, cursor, counts; there are no source spikes
    assert went.bytes_to_host == 8 * 2 + 8 * truth.step.size


@both_orders
def test_interrupted_between_launches_the_call_goes_to_its_end(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prog = program(31, 1)
    whole = CupySimulation(prog, order).run()
    simulation = CupySimulation(prog, order)
    plain = cupy_spiking.kernels.advance

    def interrupted(*arguments: Any) -> None:
        plain(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(cupy_spiking.kernels, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulation.run()
    assert simulation.step == 64  # the first part of a run
    assert not simulation.recording().complete
    assert differences(simulation.run(), whole) == []


def test_launches_of_a_step() -> None:
    """What cannot have work is not launched: no arrivals without plastic synapses, no rows without any."""
    sources, cells = Population("in", 3, SpikeSourceArray()), Population("out", 3, IFCurrExp())
    link = Projection("in", "out", OneToOneConnector(), StaticSynapse(0.1))
    plastic = Projection(
        "in", "out", OneToOneConnector(), StaticSynapse(0.1), plasticity=STDP(SpikePairRule(), AdditiveWeightDependence(0.0, 1.0))
    )
    for net, each in (
        (Network((sources,)), 1),
        (Network((sources, cells)), 2),
        (Network((sources, cells), (link,)), 3),
        (Network((sources, cells), (plastic,)), 4),
    ):
        prog = lower(net, dt=1.0, n_steps=5)
        simulation = CupySimulation(prog, "any")
        before = traffic.copy()
        simulation.advance(prog.schedule)
        assert traffic.since(before).launches == 5 * each


def test_the_quantum_is_as_fine_as_it_can_be() -> None:
    """The quantum is at most 2^-61 of the largest sum, for sums at, below and above a power of two."""
    for weight in (1.0, math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), 1e-3, 123.4):
        net = Network(
            (Population("in", 1, SpikeSourceArray()), Population("out", 1, IFCurrExp())),
            (Projection("in", "out", OneToOneConnector(), StaticSynapse(weight)),),
        )
        quantum = arrival_quantum(lower(net, dt=1.0, n_steps=1))
        assert quantum <= weight * 2.0**-61
        assert weight / quantum <= 2.0**62
