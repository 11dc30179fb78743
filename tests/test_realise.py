"""Realised memories: their spikes are the answers of the memory without spikes, and the margins are what they are said to be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem.backends import load_backend
from neuromem.errors import SpecError
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.ir import lower, lower_memory
from neuromem.ir.program import Program
from neuromem.models import hopfield, willshaw
from neuromem.models.spiking_hopfield import PROTOCOLS as HOPFIELD_PROTOCOLS
from neuromem.models.spiking_hopfield import realised as realised_hopfield
from neuromem.models.spiking_hopfield import spiking_hopfield
from neuromem.models.spiking_willshaw import PROTOCOLS as WILLSHAW_PROTOCOLS
from neuromem.models.spiking_willshaw import draw, spiking_willshaw
from neuromem.models.spiking_willshaw import realised as realised_willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.runs.outcomes import outcomes
from neuromem.spec import MemoryModel, Probe, Protocol, Threshold, Update, recall
from neuromem.spec.binary_recall import BinaryRecall
from neuromem.spec.realise import Realisation, realise
from neuromem.spec.realise_cells import LEFT_OVER, MOST, SLACK, Layer, Wire, assemble, left_over, response, unit_for

pytestmark = [
    pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning"),
    pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning"),
]
ENGINES = ("cpu", "spinnaker-emulator")  # float64, and the board's own arithmetic


def fixed(memory: MemoryModel, theta: float, update: Update | None = None) -> MemoryModel:
    """Return a Willshaw memory with units of a fixed threshold."""
    network = memory.network
    populations = (*network.populations[:-1], replace(network.populations[-1], cell=Threshold(theta)))
    return replace(memory, network=replace(network, populations=populations), update=update or memory.update)


def active(n: int, k: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return up to m distinct patterns of k of n units, booleans."""
    rows = np.unique(np.array([np.sort(rng.choice(n, k, replace=False)) for _ in range(m)]), axis=0)
    bits = np.zeros((len(rows), n), bool)
    np.put_along_axis(bits, rows, True, axis=1)
    return bits


def one_of_each(n: int, groups: int, m: int, rng: np.random.Generator) -> np.ndarray:
    bits = np.zeros((m, groups, n // groups), bool)
    np.put_along_axis(bits, rng.integers(0, n // groups, (m, groups, 1)), True, axis=2)
    return np.unique(bits.reshape(m, n), axis=0)


def binary_session(memory: MemoryModel) -> MatrixSession:
    session = neuromem.build(memory, "reference")
    assert isinstance(session, MatrixSession)
    return session


def assert_same(session: MatrixSession, realised: Realisation, cues: np.ndarray, simulator: str) -> None:
    """Recall all cues, one right after the other, and compare spikes, ideal and binary model to the last unit."""
    spiking = neuromem.build(realised.memory, simulator)
    role = realised.memory.forms[0].given[0]
    wanted = session.recall(cues).answer > 0
    for cue, want in zip(cues, wanted, strict=True):
        outcome = spiking.recall(**{role: cue})
        assert outcome.answer == {"content": tuple(np.flatnonzero(want).tolist())}
        assert outcome.correct
        assert outcome.latency in (None, outcome.form.answer_at)


def random_cues(n: int, count: int, rng: np.random.Generator, silent: bool = True) -> np.ndarray:
    """Return cues of all activities, the saturated one and, if it can be asked, the silent one among them."""
    cues = rng.random((count, n)) < rng.choice([0.1, 0.3, 0.6, 0.9], (count, 1))
    cues[0] = True
    if silent:
        cues[1] = False
    return cues[cues.any(axis=1) | silent]


# Truth first: the cell, and recalls that can be done by hand.


def test_the_cell_moves_as_the_equation_says() -> None:
    """0.893 mV/nA: the board's cell of type B (reference of the CA3 memory); later steps by the closed form."""
    assert response(0) == pytest.approx(0.893, abs=5e-4)
    network = assemble("x", 1, [Layer("units", 1, 1, 2)], [Wire("input", "units", np.array([[2]]), 1)], 2, 1).network
    quiet = replace(network.projections[0], synapse=replace(network.projections[0].synapse, weight=1.0))
    network = replace(network, projections=(quiet,), probes=(Probe("units", "v"),))
    program = lower(network, dt=1.0, n_steps=8)
    c = program.coefficients
    assert response(0) == pytest.approx(float((c.scale_exc * c.gain_exc)[0, 0]), rel=1e-14)
    assert float(c.scale_exc[0, 0]) == float(c.scale_inh[0, 0])
    schedule = replace(program.schedule, replica=np.array([0]), step=np.array([0]), unit=np.array([0]))
    v = load_backend("reference").build(program.with_schedule(schedule)).run().states["units", "v"][0, :, 0]
    assert np.allclose(v[1:] + 60.0, [response(m) for m in range(7)], rtol=0, atol=1e-12)  # of -60 mV in float64, 7e-15 a step


def test_what_is_left_after_a_cycle_is_bounded_as_set() -> None:
    for largest in (2, 100, 8192):
        circuit = assemble("x", 1, [Layer("units", 1, 1, 2)], [Wire("input", "units", np.array([[largest]]), 1)], 2, 1)
        assert largest * left_over(circuit.cycle) <= LEFT_OVER
        assert circuit.cycle == 2 or largest * left_over(circuit.cycle - 1) > LEFT_OVER
    # and the figures of SLACK: left over, constants off by 2^-15.4 of the largest theta, products of 0.0003 mV
    assert LEFT_OVER + MOST * 2**-15.4 + 0.0003 / (unit_for(MOST - 1, MOST) * response(0)) < SLACK


@pytest.mark.parametrize("simulator", ENGINES)
def test_winners_by_hand(simulator: str) -> None:
    """{0, 1} and {1, 2} of 5 units, as in test_models_willshaw: {1} ties three ways, {0, 2} two ways, {3} has no neighbour."""
    table = np.zeros((5, 5), int)
    table[np.ix_([0, 1], [0, 1])] = table[np.ix_([1, 2], [1, 2])] = 1
    spiking = neuromem.build(realise(willshaw(n=5, k=2, iterative=False), table).memory, simulator)
    answers = [spiking.recall(content=cue).answer["content"] for cue in ((1,), (0, 2), (0, 1), (3,), ())]
    assert answers == [(0, 1, 2), (0, 1, 2), (0, 1), (), ()]
    every = neuromem.build(realise(willshaw(n=5, k=2, recall="threshold"), table).memory, simulator)
    assert [every.recall(content=cue).answer["content"] for cue in ((1,), (0, 2), (0, 1), (3,), ())] == [(0, 1, 2), (1,), (0, 1), (), ()]
    two = neuromem.build(realise(fixed(willshaw(n=5, k=2, recall="threshold"), 2.0), table).memory, simulator)
    assert [two.recall(content=cue).answer["content"] for cue in ((1,), (0, 2), (0, 1), (0, 1, 2))] == [(), (1,), (0, 1), (0, 1, 2)]


@pytest.mark.parametrize("simulator", ENGINES)
def test_an_input_of_nothing_keeps_a_sign_unit(simulator: str) -> None:
    """Patterns 1 1 -1 and 1 -1 -1: only w_02 = -2. Unit 1 has h = 0 always: its state stays; units 0 and 2 take the other's opposite."""
    table = np.zeros((3, 3), int)
    table[0, 2] = table[2, 0] = -2
    spiking = neuromem.build(realise(hopfield(n=3, max_steps=1), table).memory, simulator)
    cues = [(0, 1), (0,), (2,), (1, 2), (0, 2), (0, 1, 2), (1,)]
    answers = [spiking.recall(content=cue).answer["content"] for cue in cues]
    assert answers == [(0, 1), (0,), (2,), (1, 2), (), (1,), (0, 1, 2)]  # equal signs of 0 and 2 both turn round


# Equality with the binary model, on tables of all kinds.


def kinds(rng: np.random.Generator) -> dict[str, Callable[[], tuple[MatrixSession, bool]]]:
    """Return small memories, stored, and whether they answer silence."""

    def stored(memory: MemoryModel, *patterns: np.ndarray, silent: bool = True) -> tuple[MatrixSession, bool]:
        session = binary_session(memory)
        session.store(*patterns)
        return session, silent

    n, k, m = int(rng.integers(6, 20)), int(rng.integers(1, 5)), int(rng.integers(1, 15))
    size, groups = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    bipolar = np.unique(rng.integers(0, 2, (int(rng.integers(1, 7)), n)), axis=0) * 2 - 1
    x = active(n, k, m, rng)
    content = active(n + 3, 2, m, rng)
    pairs = min(len(x), len(content))
    grouped = one_of_each(size * groups, groups, m, rng)
    theta = float(rng.integers(1, 5))
    return {
        "winners": lambda: stored(willshaw(n=n, k=k, iterative=False), x),
        "winners again": lambda: stored(willshaw(n=n, k=k, max_steps=3), x),
        "all of the cue": lambda: stored(willshaw(n=n, k=k, recall="threshold"), x),
        "all of the cue again": lambda: stored(replace(willshaw(n=n, k=k, recall="threshold"), update=Update("synchronous", 3)), x),
        "fixed": lambda: stored(fixed(willshaw(n=n, k=k, recall="threshold"), theta - 0.5), x),
        "fixed again": lambda: stored(fixed(willshaw(n=n, k=k, recall="threshold"), theta, Update("synchronous", 3)), x),
        "pairs": lambda: stored(willshaw(n=n, k=k, n_content=n + 3, k_content=2), x[:pairs], content[:pairs]),
        "pairs, fewer": lambda: stored(willshaw(n=n + 3, k=2, n_content=n, k_content=k), content[:pairs], x[:pairs]),
        "pairs, all": lambda: stored(willshaw(n=n, k=k, n_content=n + 3, recall="threshold"), x[:pairs], content[:pairs]),
        "hypercolumns": lambda: stored(willshaw(n=size * groups, hypercolumns=groups, iterative=False), grouped, silent=False),
        "hypercolumns again": lambda: stored(willshaw(n=size * groups, hypercolumns=groups, max_steps=3), grouped, silent=False),
        "first winners of counts": lambda: stored(hopfield(n=n, activity=min(0.5, k / n), max_steps=2), active(n, max(1, round(min(0.5, k / n) * n)), m, rng), silent=False),
        "sign": lambda: stored(hopfield(n=n, max_steps=4), bipolar, silent=False),
        "sign, self-coupling": lambda: stored(hopfield(n=n, max_steps=2, self_coupling=True), bipolar, silent=False),
    }  # fmt: skip


KINDS = tuple(kinds(np.random.default_rng(0)))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_spikes_are_the_answers_of_the_binary_model(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    session, silent = kinds(rng)[kind]()
    realised = realise(session.memory, session.weights())
    assert realised.exact
    neuromem.check(realised.memory)
    cues = random_cues(session.program.pre.size, 10, rng, silent)
    for simulator in ENGINES:
        assert_same(session, realised, cues, simulator)


@pytest.mark.parametrize("simulator", ENGINES)
@pytest.mark.parametrize(
    "memory", [hopfield(n=7, max_steps=3), willshaw(n=7, k=2, iterative=False), willshaw(n=7, k=2, recall="threshold")]
)
def test_every_cue_of_seven_units(memory: MemoryModel, simulator: str) -> None:
    rng, sign = np.random.default_rng(1), memory.name == "hopfield"
    session = binary_session(memory)
    session.store(rng.integers(0, 2, (2, 7)) * 2 - 1 if sign else active(7, 2, 6, rng))
    cues = np.array(list(itertools.product((False, True), repeat=7)))[1 if sign else 0 :]
    assert_same(session, realise(memory, session.weights()), rng.permutation(cues), simulator)


@pytest.mark.parametrize("simulator", ENGINES)
@pytest.mark.parametrize(
    "memory", [hopfield(n=6, max_steps=2), willshaw(n=6, k=2), willshaw(n=6, k=2, recall="threshold"), willshaw(n=6, hypercolumns=3)]
)
def test_nothing_stored_is_realised_as_well(memory: MemoryModel, simulator: str) -> None:
    session = binary_session(memory)
    silent = memory.name == "willshaw" and memory.parameters["hypercolumns"] == 1
    cues = random_cues(6, 8, np.random.default_rng(2), silent)
    assert_same(session, realise(memory, session.weights()), cues, simulator)


def test_a_large_hopfield_table_on_the_board() -> None:
    """128 units, 9 patterns: sums of up to a thousand units, a margin below 2^-10, and still the same in 16 bits."""
    rng = np.random.default_rng(3)
    session = binary_session(hopfield(n=128, max_steps=3))
    session.store(rng.integers(0, 2, (9, 128)) * 2 - 1)
    realised = realise(session.memory, session.weights())
    assert realised.margin < 2**-10
    assert_same(session, realised, random_cues(128, 20, rng, silent=False), "spinnaker-emulator")


def test_rounded_weights_decide_what_is_further_from_zero_than_they_are_off() -> None:
    rng, n = np.random.default_rng(4), 20
    session = binary_session(hopfield(n=n, rule="storkey", max_steps=1))
    session.store(rng.integers(0, 2, (4, n)) * 2 - 1)
    weights = session.weights()
    realised = realise(session.memory, weights, weight_levels=100)
    assert 0 < realised.rounding <= 0.5 / 100
    assert not realised.exact
    cues = random_cues(n, 60, rng, silent=False)
    off = n * realised.rounding * np.abs(weights).max()
    sure = np.abs(np.where(cues, 1.0, -1.0) @ weights).min(axis=1) > off
    assert 10 < sure.sum() < 60
    assert_same(session, realised, cues[sure], "cpu")


# Margins: what they allow changes nothing, and what they do not allow does.


SOME = ("fixed", "all of the cue", "winners", "winners again", "hypercolumns", "first winners of counts", "sign")


def a_session(kind: str) -> tuple[MatrixSession, Realisation, np.ndarray]:
    rng = np.random.default_rng(7)
    memory = {
        "fixed": fixed(willshaw(n=16, k=4, recall="threshold"), 4.0),
        "all of the cue": willshaw(n=16, k=4, recall="threshold"),
        "winners": willshaw(n=16, k=4, iterative=False),
        "winners again": willshaw(n=16, k=4, max_steps=2),
        "hypercolumns": willshaw(n=16, hypercolumns=4, max_steps=2),
        "first winners of counts": hopfield(n=16, activity=0.25, max_steps=2),
        "sign": hopfield(n=16, max_steps=2),
    }[kind]
    session = binary_session(memory)
    patterns = one_of_each(16, 4, 12, rng) if kind == "hypercolumns" else active(16, 4, 12, rng)
    session.store(rng.integers(0, 2, (3, 16)) * 2 - 1 if kind == "sign" else patterns)
    cues = np.concatenate([patterns, random_cues(16, 20, rng, silent=False)])
    return session, realise(memory, session.weights()), cues


def program_of(memory: MemoryModel, cues: np.ndarray) -> tuple[Program, Protocol]:
    """Return the program of all cues in a row, at the smallest safe gap."""
    gap, form = memory.safe_gap("recall", "recall"), memory.forms[0]
    operations = tuple(recall(gap * i, **{form.given[0]: tuple(np.flatnonzero(cue).tolist())}) for i, cue in enumerate(cues))
    protocol = Protocol("cues", operations, gap * (len(cues) - 1) + form.n_steps)
    return lower_memory(memory, protocol), protocol


def wrong_answers(memory: MemoryModel, protocol: Protocol, program: Program) -> int:
    recording = load_backend("cpu").build(program).run()
    return sum(not outcome.correct for outcome in outcomes(memory, protocol, recording))


def off_by(program: Program, error: float, exc: object, inh: object) -> Program:
    """Return the program with all weights multiplied by ``1 + error x``: x of each receptor is one number, or drawn from -1 to 1 by a generator."""

    def factor(shape: tuple[int, ...], x: object) -> np.ndarray:
        return 1 + error * (x.uniform(-1, 1, shape) if isinstance(x, np.random.Generator) else np.full(shape, x))

    return replace(
        program,
        projections=tuple(
            replace(p, weight=p.weight * factor(p.weight.shape, exc if p.receptor == "excitatory" else inh)) for p in program.projections
        ),
    )


@pytest.mark.parametrize("kind", SOME)
def test_the_margin_holds(kind: str) -> None:
    """With every weight off by the margin, in the worst directions and at random, no answer changes; off by much more, many do."""
    _, realised, cues = a_session(kind)
    program, protocol = program_of(realised.memory, cues)
    assert wrong_answers(realised.memory, protocol, program) == 0
    rng = np.random.default_rng(8)
    directions: list[tuple[object, object]] = [(1, -1), (-1, 1), (1, 1), (-1, -1), *[(rng, rng)] * 5]
    for exc, inh in directions:
        assert wrong_answers(realised.memory, protocol, off_by(program, realised.margin, exc, inh)) == 0
    broken = [wrong_answers(realised.memory, protocol, off_by(program, 0.7, exc, inh)) for exc, inh in directions[:2]]
    assert max(broken) > len(cues) // 4


def test_the_margin_of_a_fixed_threshold_is_sharp() -> None:
    """theta (1 - e) inputs just miss theta - 1/2 where e = 1/(2 theta): of that the margin is the part that ``SLACK`` leaves."""
    _, realised, cues = a_session("fixed")
    assert realised.margin == pytest.approx((1 - SLACK) / 8, rel=1e-15)
    program, protocol = program_of(realised.memory, cues)
    assert wrong_answers(realised.memory, protocol, off_by(program, 0.99 / 8, -1, 0)) == 0
    assert wrong_answers(realised.memory, protocol, off_by(program, 1.01 / 8, -1, 0)) > 0


@pytest.mark.parametrize(
    ("kind", "layer", "shift"),
    [
        ("fixed", "units", 2),
        ("fixed", "units", -2),
        ("all of the cue", "units", 2),
        ("all of the cue", "go", 2),
        ("winners", "units", 2),
        ("winners", "level", 2),
        ("winners", "level", -2),
        ("winners", "counter", 2),
        ("winners", "counter", -2),
        ("winners again", "clock", 2),
        ("winners again", "answer", 2),
        ("winners again", "answer", -2),
        ("hypercolumns", "units", 2),
        ("hypercolumns", "tied", 2),
        ("hypercolumns", "counter", 2),
        ("first winners of counts", "units", 2),
        ("first winners of counts", "units", -2),
        ("first winners of counts", "above", 2),
        ("sign", "units", 2),
        ("sign", "units", -2),
        ("sign", "pulse", 2),
    ],
)
def test_a_threshold_that_is_one_synapse_off_is_found_out(kind: str, layer: str, shift: int) -> None:
    """A synapse of the table is 2 units; thresholds of 1 cannot be lowered by as much, or cells would fire at rest."""
    _, realised, cues = a_session(kind)
    cues = np.concatenate([cues, np.eye(16, dtype=bool)])
    program, protocol = program_of(realised.memory, cues)
    v_thresh = program.cells.parameters["v_thresh"].copy()
    for derived in realised.layers:
        if derived.name.split("_")[0] == layer:
            first = program.population(derived.name).first - program.n_sources
            v_thresh[:, first : first + derived.size] += shift * derived.unit * response(0)
    moved = replace(program, cells=replace(program.cells, parameters={**program.cells.parameters, "v_thresh": v_thresh}))
    assert wrong_answers(realised.memory, protocol, program) == 0
    assert wrong_answers(realised.memory, protocol, moved) > 0


@pytest.mark.parametrize("kind", SOME)
def test_a_board_holds_the_weights_without_rounding(kind: str) -> None:
    _, realised, cues = a_session(kind)
    fitted = fit(program_of(realised.memory, cues)[0])
    assert [(w.projection, w.n_rounded, w.n_saturated) for w in fitted.weights if w.n_rounded or w.n_saturated] == []
    assert all(load.worst <= load.capacity for load in fitted.loads)


def test_fewer_levels_cost_less_and_refuse_what_they_cannot_tell_apart() -> None:
    rng = np.random.default_rng(9)
    session = binary_session(willshaw(n=20, k=3, iterative=False))
    session.store(active(20, 3, 20, rng))
    full, part = realise(session.memory, session.weights()), realise(session.memory, session.weights(), levels=3)
    assert len(part.layers) == 5 < len(full.layers)
    spiking, answered = neuromem.build(part.memory, "cpu"), 0
    for cue in random_cues(20, 60, rng):
        counts = np.sort(cue.astype(int) @ session.weights().astype(int))
        if counts[-3] <= 3:
            answered += 1
            assert spiking.recall(content=cue).answer["content"] == tuple(np.flatnonzero(session.recall(cue).answer).tolist())
    assert 20 < answered < 60
    with pytest.raises(SpecError) as raised:
        spiking.recall(content=np.ones(20, bool))
    largest = np.sort(session.weights().astype(int).sum(axis=0))[-3]
    assert str(raised.value) == (
        f"willshaw-spiking: recall from {' '.join(map(str, range(20)))}: the last winner has an input of {largest}; expected at most 3, the levels that "
        f"were realised: a smaller cue, or realise with levels={largest}."
    )
    assert realise(session.memory, session.weights(), levels=99).memory == full.memory  # no more than there can be


# Ready-made models.

SETTINGS: tuple[dict[str, object], ...] = (
    {}, {"updates": 3}, {"recall": "threshold"}, {"recall": "threshold", "theta": 2, "updates": 2}, {"n_content": 20},
    {"n_content": 40, "k_content": 4, "recall": "threshold", "theta": 2}, {"n": 48, "k": 4, "levels": 4, "n_patterns": 9}, {"k": 1},
)  # fmt: skip


@pytest.mark.parametrize("simulator", ENGINES)
@pytest.mark.parametrize("given_", SETTINGS, ids=str)
def test_every_recall_of_the_ready_made_willshaw_is_right(given_: dict[str, object], simulator: str) -> None:
    memory = spiking_willshaw(**given_)  # type: ignore[arg-type]
    protocol = WILLSHAW_PROTOCOLS["recall"].build(**memory.parameters)
    done = neuromem.run(memory, protocol, simulator).outcomes
    assert all(outcome.correct for outcome in done)
    assert len(done) == min(10, memory.parameters["n_patterns"])  # type: ignore[call-overload]
    assert any(outcome.answer["content"] for outcome in done)


@pytest.mark.parametrize("simulator", ENGINES)
@pytest.mark.parametrize("given_", [{}, {"n": 64, "n_patterns": 5, "seed": 3}], ids=str)
def test_every_recall_of_the_ready_made_hopfield_is_right(given_: dict[str, object], simulator: str) -> None:
    memory = spiking_hopfield(**given_)  # type: ignore[arg-type]
    protocol = HOPFIELD_PROTOCOLS["recall"].build(**memory.parameters)
    done = neuromem.run(memory, protocol, simulator).outcomes
    assert len(done) == memory.parameters["n_patterns"]
    assert all(outcome.correct for outcome in done)


def test_ready_made_memories_hold_what_a_binary_one_would() -> None:
    """The table that they draw is the one that the binary model learns from the same patterns."""
    cues, _ = draw(32, 3, None, None, 12, 0)
    session = binary_session(willshaw(n=32, k=3, iterative=False))
    session.store(np.array(cues))
    memory = spiking_willshaw()
    assert isinstance(memory.ideal, BinaryRecall)
    assert np.array_equal(memory.ideal.weights, session.weights())
    assert memory == spiking_willshaw()
    assert memory != spiking_willshaw(seed=1)
    assert spiking_hopfield() == spiking_hopfield(n=32)


def test_a_realisation_prints() -> None:
    assert str(realised_willshaw(n=8, k=2, n_patterns=3, levels=2)) == (
        "willshaw-spiking: 17 cells; updates: 1, every 3 steps; answer at step 3, next recall at step 3\n"
        "margin of the weights: 0.125; exact\n"
        "layer      cells  threshold  v_thresh mV  unit nA  sum exc  sum inh  margin\n"
        "units          8          1      -31.412       32        6        2  0.125\n"
        "level_2        8          3      -38.559        8        6        0  0.188\n"
        "counter_2      1          3      -38.559        8       16        0  0.188"
    )
    assert str(realised_hopfield()).splitlines()[:2] == [
        "hopfield-spiking: 70 cells; updates: 4, every 5 steps; answer at step 22, next recall at step 30",
        "margin of the weights: 0.00431; exact",
    ]
    storkey = realise(hopfield(n=3, max_steps=1), np.array([[0, 1, 0.4], [1, 0, 0], [0.4, 0, 0]]), weight_levels=2)
    assert str(storkey).splitlines()[1].endswith("; weights rounded by up to 0.1 of the largest")
