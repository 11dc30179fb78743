"""The board's arithmetic against closed forms, what boards lose, and the CA3 memory as it was recorded on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fit_networks import RULE, program, sent
from layouts import laid_out
from test_emulator import random_program
from test_truth import recorded_trace, trace

import neuromem
from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fixed_point import ONE
from neuromem.ir import Program, lower_memory
from neuromem.kernels.cpu import spinnaker as cpu
from neuromem.kernels.reference import spinnaker as reference
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.spec import STDP, AdditiveWeightDependence, IFCurrExp, SpikePairRule

__all__ = ["laid_out"]  # a fixture


# Closed forms


def test_one_spike_moves_one_cell_as_the_formula_says() -> None:
    """With ``x = keep``, D the decay, J the charge factor: ``v(k) = v_rest + R J w (1 - x) (x^(k+1) - D^(k+1)) / (x - D)``, k steps after arrival.

    Rounding down: isyn loses at most u / (1 - D) in all, with u = 2^-15; so v aims at most R u / (1 - D) + u too low, and is never
    more than that too low. It is u too high at most in each step, of which a share x is left, so u / (1 - x) in all.
    """
    prog = program(sent(1.3, 3.0), a=1, b=1, spikes=[(0, 2.0)], probes=("v", "isyn_exc"), n_steps=80)
    simulation = SpinnakerSimulation(prog)
    recording = simulation.run()
    c = simulation.cells.constant[0].tolist()
    r, x, j, d = c[cpu.RESISTANCE] / ONE, c[cpu.KEEP] / ONE, c[cpu.SCALE_EXC] / 2**32, c[cpu.DECAY_EXC] / 2**32
    weight = simulation.words("a>b")[0] * 2.0 ** (simulation.fitted.placement("b").shifts[0] - 15)
    k, u = np.arange(75), 2.0**-15
    v = -65.0 + r * j * weight * (1 - x) * (x ** (k + 1) - d ** (k + 1)) / (x - d)
    got = recording.states["b", "v"][0, :, 0]
    assert np.all(got[:5] == -65.0)  # sent in step 2, arrives in step 5
    low, high = r * u / (1 - d) + u, u / (1 - x)
    assert np.all(got[5:] <= v + high + 1e-9)
    assert np.all(got[5:] >= v - low - 1e-9)
    assert v.max() - -65.0 > 1000 * max(low, high)  # the bounds tell something
    assert np.abs(recording.states["b", "isyn_exc"][0, 5:, 0] - j * weight * d ** (k + 1)).max() <= u / (1 - d) + u


def test_rows_of_a_board_are_before_the_update() -> None:
    prog = random_program(1, (1, 2, 5), False)
    board, ours = SpinnakerSimulation(prog, as_board=True), SpinnakerSimulation(prog)
    assert np.array_equal(board.run().step, ours.run().step)
    theirs, end = board.rows(), ours.rows()
    assert np.array_equal(theirs["b", "v"][1:], end["b", "v"][:-1])
    assert np.all(theirs["b", "v"][0] == -65 * ONE)
    decay = int(board.cells.constant[0, cpu.DECAY_EXC])
    assert np.array_equal((theirs["b", "isyn_exc"].astype(np.int64) * decay) >> 32, end["b", "isyn_exc"])


# What boards lose


def test_ring_buffers_stop_at_16_bits() -> None:
    """3 volleys of 200 nA together; 0.3 nA keeps the shift at 8, steps of 2^-7 nA. 511 words of 128 fit, and each of 89 more is cut off."""
    rows = [(i, 0, 1.0, float(d)) for d in (1, 2, 3) for i in range(200)] + [(0, 1, 0.3, 1.0)]
    spikes = [(i, float(t)) for t in (5, 4, 3) for i in range(200)]  # delays 1, 2, 3: among others, all three arrive in step 6
    cell = IFCurrExp(cm=100.0, v_thresh=0.0, integrator="spinnaker")
    simulation = SpinnakerSimulation(program(sent(rows=rows), a=200, cell=cell, spikes=spikes, n_steps=8))
    assert simulation.fitted.placement("b").shifts[0] == 8
    assert simulation.fitted.loads[0].risk == "worst case"
    simulation.run()
    counts = simulation.counts("b")
    assert (counts.saturated, counts.peak[0], counts.lost) == (600 - 511, 65535 / 128, 0)


@pytest.mark.parametrize(("buffer", "lost"), [(256, 45), (512, 0)])
def test_input_buffers_lose_what_they_cannot_hold(buffer: int, lost: int, laid_out: Callable[..., None]) -> None:
    """The reference's 300 coincident packets: a buffer of 256 holds 255."""
    laid_out(input_buffer=buffer)
    cell = IFCurrExp(cm=100.0, integrator="spinnaker")
    prog = program(sent(), a=300, b=1, cell=cell, spikes=[(i, 2.0) for i in range(300)], probes=("isyn_exc",), n_steps=5)
    simulation = SpinnakerSimulation(prog, as_board=True)
    simulation.run()
    counts = simulation.counts("b")
    assert (counts.lost, counts.packets, counts.events, counts.saturated) == (lost, 300, 300 - lost, 0)
    scale = int(simulation.cells.constant[0, cpu.SCALE_EXC])
    assert simulation.rows()["b", "isyn_exc"][:, 0].tolist()[3] == ((300 - lost) * ONE * scale) >> 32  # 271.9 nA, or 231.1


def fifteen(post_history: int | None) -> Program:
    """121 spikes of a cell, 2 steps apart, between two spikes of its plastic input."""
    rule = STDP(SpikePairRule(50.0, 50.0, 0.03125, 0.0), AdditiveWeightDependence(0.0, 4.0), "deferred", post_history)
    driver = sent(60.0, 1.0, rows=[(1, 0, 60.0, 1.0)], name="driver")
    plastic = sent(rows=[(0, 0, 1.0, 1.0)], rule=rule, name="learns")
    spikes = [(0, 0.0), (0, 250.0), *((1, float(t)) for t in range(4, 246, 2))]
    cell = IFCurrExp(tau_m=0.5, cm=0.05, tau_refrac=1.0, tau_syn_E=0.3, tau_syn_I=0.3, integrator="spinnaker")
    return program(driver, plastic, a=2, b=1, cell=cell, spikes=spikes, probes=("spikes",), n_steps=252)


def test_more_than_15_post_spikes_lose_the_older_ones() -> None:
    """Each adds ``A_plus exp(-(p + 1) / 50)``; all 121, or the last 15 of them."""
    recording = SpinnakerSimulation(fifteen(None)).run()
    step = recording.spikes_of("b")[0]
    assert step.tolist() == list(range(5, 247, 2))
    assert step.size == 121
    gains = 0.03125 * np.exp(-(step + 1) / 50)
    # each trace is rounded down to 2^-11, and each weight to 2^-15; the sum once to the word's step, 2^(shift - 15)
    error = 121 * (0.03125 * 2.0**-11 + 2.0**-15) + 2.0 ** (7 - 15)
    board, forever = recording.weights["learns"][0, 0], neuromem.build(fifteen(None), "cpu").run().weights["learns"][0, 0]
    assert forever == pytest.approx(1 + gains.sum(), abs=1e-12)
    assert abs(board - (1 + gains[-15:].sum())) < error
    assert gains.sum() > 0.7
    assert gains[-15:].sum() < 0.01
    assert error < 0.01
    assert fit(fifteen(None)).notes == (
        "learns: of more than 15 spikes of a cell between two spikes of its input, the board applies the last 15.",
        "learns: with tau_plus = 50 ms, about 20 spikes in a row of a cell of a, one in each step, would take its trace to 16, where it wraps to -16; learning is wrong then.",
        "learns: with tau_minus = 50 ms, about 25 spikes in a row of a cell of b, 2 steps apart, would take its trace to 16, where it wraps to -16; learning is wrong then.",
    )
    assert neuromem.build(fifteen(15), "cpu").run().weights["learns"][0, 0] == pytest.approx(1 + gains[-15:].sum(), abs=1e-12)


@pytest.mark.parametrize("advance", [cpu.advance, reference.advance], ids=["compiled", "definition"])
def test_a_post_spike_in_tick_0_potentiates_nothing(advance: Callable[..., int]) -> None:
    """The history of a cell begins with an event at 0 that is none, and a real one at 0 is taken for it: input 0, cell 0, input 5."""
    rule = STDP(SpikePairRule(5.0, 5.0, 0.25, 0.0), AdditiveWeightDependence(0.0, 1.0), "deferred", 15)
    cell = IFCurrExp(i_offset=20.0, tau_refrac=50.0, integrator="spinnaker")  # aims at 335 mV, and is at -45 mV after a step

    def weight(first: float) -> tuple[list[int], float]:
        prog = program(sent(0.5, rule=rule), a=1, b=1, cell=cell, spikes=[(0, first), (0, 5.0)], probes=("spikes",), n_steps=6)
        recording = SpinnakerSimulation(prog, advance=advance).run()
        return recording.step.tolist(), float(recording.weights["a>b"][0, 0])

    assert weight(0.0) == ([0], 0.5)
    doubles = neuromem.build(program(sent(0.5, rule=rule), a=1, b=1, cell=cell, spikes=[(0, 0.0), (0, 5.0)], n_steps=6), "cpu").run()
    assert doubles.weights["a>b"][0, 0] == pytest.approx(0.5 + 0.25 * np.exp(-1 / 5), abs=1e-12)


def test_a_trace_wraps_at_16() -> None:
    """60 spikes in a row with tau = 100: ``1 + ... + x^(n-1)`` with x = exp(-1/100) reaches 16 with the 18th spike, and goes on from -16."""
    rule = replace(RULE, timing=SpikePairRule(100.0, 5.0, 0.25, 0.25))
    prog = program(sent(0.5, rule=rule), a=1, b=1, spikes=[(0, float(t)) for t in range(60)], n_steps=60)
    simulation, trace_after = SpinnakerSimulation(prog), []
    for stop in range(1, 61):
        simulation.advance(prog.schedule.part(simulation.step, stop))
        trace_after.append(int(simulation.traces("a>b")[1][0]))
    x = np.exp(-0.01)
    wraps = next(n for n in range(1, 61) if (1 - x**n) / (1 - x) >= 16)
    assert wraps == 18
    assert min(trace_after[: wraps - 1]) > 0
    first = next(n for n, value in enumerate(trace_after, 1) if value < 0)
    assert first in (wraps, wraps + 1)  # what is rounded down may take one spike more
    assert "about 18 spikes in a row" in fit(prog).notes[0]


def test_a_weight_beyond_the_range_would_spike_by_inhibition() -> None:
    """What ``fit`` refuses: 6600 nA times 20 MOhm wraps, and an inhibitory spike makes the cell fire."""
    prog = program(sent(3000.0, receptor="inhibitory"), a=1, b=1, spikes=[(0, 1.0)], probes=("spikes",), n_steps=6)
    simulation = SpinnakerSimulation(prog)
    assert simulation.run().step.size == 0
    overdone = SpinnakerSimulation(prog)
    overdone.state.weight[:] = int(overdone.state.weight[0]) * 6600 // 3000
    assert overdone.run().step.size > 0


def test_duplicates_add_up() -> None:
    prog = program(sent(rows=[(0, 0, 0.5, 1.0), (0, 0, 0.5, 1.0)]), a=1, b=1, spikes=[(0, 1.0)], n_steps=4)
    simulation = SpinnakerSimulation(prog)
    simulation.run()
    assert (simulation.counts("b").peak, simulation.counts("b").events) == ((1.0, 0.0), 2)


# The CA3 memory


def memory(name: str) -> Program:
    parameters = dict(PROTOCOLS[name].parameters)
    return lower_memory(ca3_cam(**parameters), PROTOCOLS[name].build(**parameters))  # type: ignore[arg-type]


def test_functional_protocol_gives_the_spikes_recorded_on_a_board() -> None:
    assert trace(SpinnakerSimulation(memory("functional")).run()) == recorded_trace()


@pytest.mark.parametrize(("name", "own", "inputs"), [("stress", 1567, 261), ("state_map", 402, 102)])
def test_spike_totals(name: str, own: int, inputs: int) -> None:
    rows = trace(SpinnakerSimulation(memory(name)).run())
    assert sum(population == "in" for _, population, _ in rows) == inputs
    assert sum(population != "in" for _, population, _ in rows) == own


def test_the_large_memory_spikes_as_in_doubles_with_15_post_events() -> None:
    """64 cues of 32 bits: 47,646 spikes in 6,731 steps, all equal to those of floating point, whose weights differ by rounding only.

    Without the limit of 15 post events there would be 57,139.
    """
    stress = PROTOCOLS["stress"].build(n_cues=64, n_content=32)
    simulation = SpinnakerSimulation(lower_memory(ca3_cam(64, 32), stress))
    board = simulation.run()
    doubles = neuromem.build(lower_memory(ca3_cam(64, 32, post_history=15), stress), "cpu").run()
    assert board.step.size == 47646
    assert np.array_equal(board.step, doubles.step)
    assert np.array_equal(board.unit, doubles.unit)
    assert neuromem.build(simulation.program, "cpu").run().step.size == 57139
    assert [(c.saturated, c.lost) for c in map(simulation.counts, (p.name for p in simulation.program.populations if not p.is_source))] == [
        (0, 0)
    ] * 9
