"""What the experiment ``board_readiness`` is built of: variants of a board, needs in closed form, prices of events."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from neuromem.backends import load_backend
from neuromem.experiments.board_readiness.costs import COSTS
from neuromem.experiments.board_readiness.energy import Events, energy, events_between, fan_out, mean
from neuromem.experiments.board_readiness.resources import agrees_with_fit, largest, needs
from neuromem.experiments.board_readiness.run import engine, many_matches, smallest_board, smallest_buffer
from neuromem.experiments.board_readiness.variants import (
    MANY_EVENTS,
    VARIANTS,
    BoardBackend,
    five_sigma_shift,
    least_shift,
    shift_within_range,
    with_input_buffer,
    with_shifts,
)
from neuromem.hardware_targets.spinnaker.limits import boards
from neuromem.ir import Program, lower, lower_memory
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress
from neuromem.spec import (
    AllToAllConnector,
    FromListConnector,
    IFCurrExp,
    Network,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

CELL = IFCurrExp(integrator="spinnaker")


def volley(n: int, *, weight: float = 1.0, n_steps: int = 12) -> Program:
    """All of ``n`` sources spike in step 1, over one synapse each, onto one cell."""
    network = Network(
        (Population("a", n, SpikeSourceArray()), Population("b", 1, CELL)),
        (Projection("a", "b", AllToAllConnector(), StaticSynapse(weight, 1.0)),),
        (Stimulus("a", np.arange(n), np.full(n, 1.0)),),
        (Probe("b"), Probe("b", "isyn_exc")),
    )
    return lower(network, dt=1.0, n_steps=n_steps)


def test_the_five_sigma_shift_of_300_weights_of_1_is_5() -> None:
    """At 30 Hz 9 spikes are expected in a step, with a standard deviation of 3: 9 + 5 x 3 = 24 < 2^5. sPyNNaker chose 5 for this network."""
    program = volley(300)
    assert five_sigma_shift(program, program.population("b"), "excitatory") == 5


@pytest.mark.parametrize(
    ("n", "weight", "shift"),
    [
        (1, 6.0, 3),  # 0.03 x 6 + 5 x 6 x sqrt(0.03) = 5.4, less than the one weight: 6 < 2^3
        (2, 6.0, 3),  # 0.06 x 6 + 5 x 6 x sqrt(0.06) = 7.7, and all is 12: 7.7 < 2^3
        (300, 0.5, 4),  # half of 24
    ],
)  # fmt: skip
def test_five_sigma_by_hand(n: int, weight: float, shift: int) -> None:
    program = volley(n, weight=weight)
    assert five_sigma_shift(program, program.population("b"), "excitatory") == shift


def test_a_receptor_that_nothing_reaches_has_shift_0() -> None:
    program = volley(3)
    assert five_sigma_shift(program, program.population("b"), "inhibitory") == 0


def test_shifts_that_are_too_small_cut_a_volley_off() -> None:
    """250 weights of 1 nA at once, which a buffer of 256 packets takes: with the estimate's shift of 5 (7.5 + 5 x 2.74 = 21.2) a ring buffer stops at
    65535 steps of 2^-10 nA, just below 64. 63 weights fit; each further one is cut off, and counted.
    """
    program = volley(250)
    fitted, altered = BoardBackend(), BoardBackend(change=with_shifts(five_sigma_shift))
    for backend in (fitted, altered):
        backend.build(program).run()
    assert fitted.simulation is not None
    assert altered.simulation is not None
    assert fitted.simulation.counts("b").peak[0] == 250.0
    assert fitted.simulation.counts("b").saturated == 0
    assert altered.simulation.counts("b").peak[0] == 65535 / 1024
    assert altered.simulation.counts("b").saturated == 250 - 63


def test_least_shift_holds_one_weight() -> None:
    program = volley(5, weight=6.0)
    assert least_shift(program, program.population("b"), "excitatory") == 3


def test_an_input_buffer_of_255_loses_45_of_300_packets() -> None:
    """What the released binaries were seen to do with the default buffer of 256, which holds 255."""
    for packets, lost in ((255, 45), (300, 0), (10, 290)):
        backend = BoardBackend(change=with_input_buffer(packets))
        backend.build(volley(300)).run()
        assert backend.simulation is not None
        assert backend.simulation.counts("b").lost == lost


def test_a_simulation_is_put_back_to_its_start_for_each_program() -> None:
    memory, protocol = ca3_cam(3, 4), stress(3, 4)
    program = lower_memory(memory, protocol)
    backend = BoardBackend()
    first, second = (backend.build(program).run() for _ in range(2))
    np.testing.assert_array_equal(first.step, second.step)
    np.testing.assert_array_equal(first.unit, second.unit)
    other = backend.build(lower_memory(ca3_cam(2, 3), stress(2, 3))).run()
    assert other.program.n_units < first.program.n_units


def test_a_variant_without_a_change_is_the_emulator_and_one_with_many_events_remembers_them() -> None:
    program = lower_memory(ca3_cam(8, 16), stress(8, 16))
    own = load_backend("spinnaker-emulator").build(program).run()
    board = engine(VARIANTS["board"], load_backend("cpu"))
    recording = board.build(program).run()
    np.testing.assert_array_equal(recording.step, own.step)
    np.testing.assert_array_equal(recording.unit, own.unit)
    many = BoardBackend(events=MANY_EVENTS)
    many.build(program).run()
    assert many.simulation is not None
    assert 15 < many.simulation.state.n_post.max() < MANY_EVENTS


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 1), (5, 10), (64, 32), (90, 260)])
def test_the_closed_form_says_what_fit_says(size: tuple[int, int]) -> None:
    for board in boards().values():
        assert agrees_with_fit(*size, board)


def test_the_closed_form_notices_another_board() -> None:
    """Less DTCM, fewer neurons on a core: ``fit`` and the closed form change together."""
    board = boards()["spinn3"]
    small = dataclasses.replace(board, limits=board.limits | {"core.dtcm": dataclasses.replace(board.limits["core.dtcm"], value=16_000)})
    assert agrees_with_fit(64, 32, small)
    assert needs(64, 32, small).cores > needs(64, 32, board).cores


def test_needs_by_hand() -> None:
    """32 content bits: merge_cue and s2_cue receive most packets, 2 C + M = 672, and a buffer of 1,024 holds them.

    Inhibition of stage 2 by all other cues, 6 M = 192 nA each: 319 x 192 nA over synapses of 2 and of 3 ms, which are two volleys.
    """
    found = needs(320, 32, boards()["spinn3"])
    assert (found.packets <= found.held, found.volley, found.worst) == (True, 319 * 192.0, 2 * 319 * 192.0)
    assert found.inhibition_moves == pytest.approx(0.5 / 0.14 * 0.3 * (1 - math.exp(-1 / 0.3)), rel=1e-12)  # of one formula, in doubles
    assert needs(4079, 32, boards()["spinn3"]).packets <= 8191  # 2 C + M
    assert needs(16, 10_561, boards()["spinn5"]).refused == ""  # 6 M 1.0332 + 60 < 65536
    assert needs(16, 10_562, boards()["spinn5"]).refused == "numbers"


def test_smallest_board() -> None:
    assert [smallest_board(c, m) for c, m in ((5, 10), (4000, 32), (40_000, 32), (16, 20_000))] == [
        "spinn3",
        "spinn5",
        "several",
        "refused",
    ]


def test_largest_by_bisection() -> None:
    assert [largest(lambda n, limit=limit: n <= limit, 100) for limit in (0, 1, 63, 64, 99, 100, 101)] == [0, 1, 63, 64, 99, 100, 100]  # type: ignore[misc]


def test_smallest_buffer_is_below_none_that_fails() -> None:
    def row(wrong: int) -> dict[str, dict[str, dict[str, int]]]:
        return {work: {"cue": {"wrong": wrong}, "content": {"wrong": 0}} for work in ("stress", "random")}

    assert smallest_buffer({"holds_255": row(0), "holds_64": row(0), "holds_32": row(3), "holds_16": row(0)}) == 64


@pytest.mark.parametrize(("n_content", "runs_away"), [(320, False), (321, True)])
def test_inhibition_changes_sign_where_the_numbers_end(n_content: int, runs_away: bool) -> None:
    """33 other cues inhibit with 6 M nA each, which moves v by 1.0332 mV per nA from -60 mV: beyond -65536 mV from M = 321 on."""
    beyond = 60 + 33 * 6 * n_content * 0.5 / 0.14 * 0.3 * (1 - math.exp(-1 / 0.3)) >= 65536
    assert beyond is runs_away
    found = many_matches(34, n_content, load_backend("cpu"))
    assert found["runs_away"] is runs_away
    assert found["spikes"]["cut_off"] == found["spikes"]["float"]


def test_a_shift_within_range_keeps_the_largest_weight() -> None:
    program = lower_memory(ca3_cam(34, 321), stress(34, 321))
    # a ring buffer of shift 15 stops at 2^16 nA, which would move v by 67.7 V; one of 14 at 2^15, 33.9 V
    assert shift_within_range(program, program.population("s2_cue"), "inhibitory") == 14


def relay() -> Program:
    """Two sources to two cells, one to one, and to three cells, all to all; unit 0 has one synapse more."""
    network = Network(
        (Population("a", 2, SpikeSourceArray()), Population("b", 2, CELL), Population("d", 3, CELL)),
        (
            Projection("a", "b", OneToOneConnector(), StaticSynapse(1.0, 1.0)),
            Projection("a", "d", AllToAllConnector(), StaticSynapse(1.0, 1.0)),
            Projection("b", "d", FromListConnector(np.array([[0.0, 0.0, 1.0, 1.0]])), StaticSynapse(1.0, 1.0)),
        ),
        (Stimulus("a", np.array([0, 1, 0]), np.array([1.0, 2.0, 5.0])),),
        (Probe("a"), Probe("b"), Probe("d")),
    )
    return lower(network, dt=1.0, n_steps=8)


def test_events_and_energy_by_hand() -> None:
    program = relay()
    out = fan_out(program)
    assert out.tolist() == [[1, 1, 1, 0, 0, 0, 0], [3, 3, 0, 0, 0, 0, 0], [0] * 7]
    recording = load_backend("reference").build(program).run()
    events = events_between(recording, out, 1, 3)
    assert (events.steps, events.input_spikes, events.spikes, events.single, events.dense, events.plastic) == (2, 2, 0, 2, 6, 0)
    assert events.synaptic == 8
    costs = COSTS["spinn3"]
    found = energy(events, program.cells.n, 1.0, costs)
    assert found["board"] == pytest.approx(0.002 * 2.671, rel=1e-12)
    assert found["board_other"] == pytest.approx(0.002 * 3.56, rel=1e-12)
    assert found["cells"] == pytest.approx(5 * 0.002 * 8.96e-5, rel=1e-12)
    assert found["events"] == pytest.approx(2 * 3.316e-6 + 2 * 9.387e-8 + 6 * 9.595e-9, rel=1e-12)
    assert found["events_deviation"] == pytest.approx(math.hypot(2 * 2.1e-7, 2 * 6.9e-9, 6 * 2.7e-10), rel=1e-12)


def test_mean_of_events() -> None:
    assert mean([Events(14, 1, 2, 3, 4, 5), Events(14, 3, 2, 1, 0, 7)]) == Events(14, 2, 2, 2, 2, 6)


def test_every_price_has_a_unit_and_a_source() -> None:
    for prices in COSTS.values():
        for field in dataclasses.fields(prices):
            if field.name != "board":
                cost = getattr(prices, field.name)
                assert cost.value > 0
                assert cost.unit in ("J", "W")
                assert cost.source
