"""What sPyNNaker accepts in silence, and what only the board's binaries show: each case is refused, or told, with its whole text.

Some are refused by the definition already, before any board is thought of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fit_networks import CELL, RULE, program, sent

from neuromem.errors import LimitError, NeuromemError, SpecError, UnsupportedError
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.limits import Board, Limit, boards
from neuromem.ir import Drive, Program, lower, stack
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    IFCurrExp,
    MultiplicativeWeightDependence,
    Network,
    Population,
    Projection,
    SpikePairRule,
    SpikeSourcePoisson,
)


def cells(**parameters: float) -> IFCurrExp:
    return replace(CELL, **parameters)  # type: ignore[arg-type]


def rule(A_plus: float = 0.25, A_minus: float = 0.25, w_max: float = 1.0, tau: float = 5.0) -> STDP:
    return STDP(SpikePairRule(tau, tau, A_plus, A_minus), AdditiveWeightDependence(0.0, w_max), "deferred", 15)


def frozen(*projections: Projection) -> Program:
    network = Network((Population("a", 2, CELL), Population("b", 2, CELL)), projections)
    return lower(network, dt=1.0, n_steps=10, drive=Drive(frozen=((4, 6),)))


def cramped(board: Board, name: str, value: float) -> Board:
    """A board like another, with one limit smaller."""
    return replace(board, limits={**board.limits, name: Limit(value, board.limits[name].unit, "test")})


LARGE = "the range of the board's numbers"
CASES: dict[str, tuple[Callable[[], object], type[NeuromemError], str]] = {
    # silently accepted by sPyNNaker
    "weight that becomes 0": (
        lambda: fit(program(sent(1e-6))),
        LimitError,
        "Projection 'a>b': 4 of 4 weights, down to 1e-06 nA, would become 0; expected at least 3.05176e-05 nA, the resolution of the excitatory receptor of 'b', whose largest weight or sum needs a shift of 0: weights nearer to one another, or cm and all weights scaled together.",
    ),
    "weight that is no number": (lambda: sent(float("nan")), SpecError, "StaticSynapse: weight = nan nA; expected at least 0 and at most 1e+09 nA."),
    "weight that is no number, in a list": (
        lambda: program(sent(rows=[(0, 0, 1.0, 1), (0, 1, float("nan"), 1)])),
        SpecError,
        "Projection 'a>b': weight = nan nA (entry 1 of 2); expected at least 0 and at most 1e+09 nA.",
    ),
    "negative weight": (lambda: sent(-1.0), SpecError, "StaticSynapse: weight = -1 nA; expected at least 0 and at most 1e+09 nA."),
    "negative weight, in a list": (
        lambda: program(sent(rows=[(0, 0, -2.0, 1)])),
        SpecError,
        "Projection 'a>b': weight = -2 nA (entry 0 of 1); expected at least 0 and at most 1e+09 nA.",
    ),
    "weight 70000": (
        lambda: fit(program(sent(70000.0))),
        LimitError,
        "Population 'b', excitatory: a weight of 70000 nA; expected at most 65535 nA, the largest that 16 bits hold: smaller weights and cm.",
    ),
    "weight a million": (
        lambda: fit(program(sent(1e6, receptor="inhibitory"))),
        LimitError,
        "Population 'b', inhibitory: a weight of 1e+06 nA; expected at most 65535 nA, the largest that 16 bits hold: smaller weights and cm.",
    ),
    "delay 0": (
        lambda: program(sent(delay=0.0)),
        SpecError,
        "Projection 'a>b': delay = 0 ms is 0 steps of 1 ms; expected at least 1 (1 ms), because a spike cannot arrive in the step that sends it.",
    ),
    "delay 0.5": (lambda: program(sent(delay=0.5)), SpecError, "Projection 'a>b': delay = 0.5 ms is not a whole number of 1 ms steps; nearest is 1 ms."),
    "delay 1.5": (
        lambda: program(sent(delay=1.5)),
        SpecError,
        "Projection 'a>b': delay = 1.5 ms is not a whole number of 1 ms steps; nearest are 1 and 2 ms.",
    ),
    "tau of a rule": (lambda: SpikePairRule(tau_plus=-1.0), SpecError, "SpikePairRule: tau_plus = -1 ms; expected above 0 and at most 1e+06 ms."),
    "initial weight above w_max": (
        lambda: program(sent(1.5, rule=RULE)),
        SpecError,
        "Projection 'a>b': initial weight = 1.5 nA; expected between w_min = 0 and w_max = 1 nA.",
    ),
    "negative w_min": (
        lambda: AdditiveWeightDependence(-0.5, 1.0), SpecError, "AdditiveWeightDependence: w_min = -0.5 nA; expected at least 0 and at most 1e+09 nA.",
    ),
    "cm that becomes 0": (
        lambda: fit(program(sent(), cell=cells(cm=1e-6))),
        LimitError,
        "Population 'b': cm = 1e-06 would be 0 on the board, whose numbers are multiples of 2^-15; expected a value that changes by less than 1 %, such as cm above 0.0016.",
    ),
    "tau_syn that becomes another": (
        lambda: fit(program(sent(), cell=cells(tau_syn_E=0.0005))),
        LimitError,
        "Population 'b': tau_syn_E = 0.0005 would be 0.000488281 on the board, whose numbers are multiples of 2^-15; expected a value that changes by less than 1 %, such as tau_syn_E above 0.0016.",
    ),
    "unit out of range": (
        lambda: program(sent(rows=[(0, 0, 1.0, 1), (0, 7, 1.0, 1)])),
        SpecError,
        "Projection 'a>b': row 1 of the list has post = 7; expected a unit number from 0 to 1.",
    ),
    "weights of nine decades": (
        lambda: fit(program(sent(rows=[(0, 0, 10.0**k, 1) for k in range(-5, 5)]))),
        LimitError,
        "Projection 'a>b': 5 of 10 weights, down to 1e-05 nA, would become 0; expected at least 0.5 nA, the resolution of the excitatory receptor of 'b', whose largest weight or sum needs a shift of 14: weights nearer to one another, or cm and all weights scaled together.",
    ),
    # rejected by sPyNNaker, with other words
    "w_max 65536": (
        lambda: fit(program(sent(1.0, rule=rule(w_max=65536.0)))),
        LimitError,
        f"Projection 'a>b': A_plus = 0.25 nA; expected below 0 nA: times a trace of up to 16, and with w_max = 65536 nA, it would leave {LARGE}, 65536.",
    ),
    "A_plus 65536": (
        lambda: fit(program(sent(1.0, rule=rule(A_plus=65536.0)))),
        LimitError,
        f"Projection 'a>b': A_plus = 65536 nA; expected below 4095.94 nA: times a trace of up to 16, and with w_max = 1 nA, it would leave {LARGE}, 65536.",
    ),
    "A_minus 5000": (
        lambda: fit(program(sent(1.0, rule=rule(A_minus=5000.0)))),
        LimitError,
        f"Projection 'a>b': A_minus = 5000 nA; expected below 4095.94 nA: times a trace of up to 16, and with w_max = 1 nA, it would leave {LARGE}, 65536.",
    ),
    "v_rest -70000": (lambda: cells(v_rest=-70000.0), SpecError, "IFCurrExp: v_rest = -70000 mV; expected at least -1000 and at most 1000 mV."),
    "i_offset 70000": (
        lambda: fit(program(sent(), cell=cells(i_offset=70000.0))),
        LimitError,
        f"Population 'b': i_offset = 70000; expected between -65536 and 65536, {LARGE}.",
    ),
    "tau_refrac 65536": (
        lambda: fit(program(sent(), cell=cells(tau_refrac=65536.0))),
        LimitError,
        f"Population 'b': tau_refrac = 65536; expected between -65536 and 65536, {LARGE}.",
    ),
    "two rules": (
        lambda: fit(program(sent(1.0, rule=rule()), sent(1.0, rule=rule(A_plus=0.5), name="other"))),
        UnsupportedError,
        "Population 'b': projections 'a>b' and 'other' have different plasticity rules; a core has one. Expected one rule, or a population for each.",
    ),
    "negative time": (lambda: program(spikes=[(0, -1.0)]), SpecError, "Stimulus of 'a': time = -1 ms is -1 steps of 1 ms; expected at least 0."),
    # only the binaries show them
    "I R of i_offset": (
        lambda: fit(program(sent(), cell=cells(i_offset=-3300.0))),
        LimitError,
        f"Population 'b': i_offset = -3300 nA moves v towards -66065 mV, with tau_m / cm = 20 MOhm; expected between -65536 and 65536 mV, {LARGE}: a smaller i_offset, or a larger cm.",
    ),
    "I R of one inhibitory spike": (
        lambda: fit(program(sent(6600.0, receptor="inhibitory"))),
        LimitError,
        f"Projection 'a>b': one spike of 6600 nA moves v towards 119703 mV, with tau_m / cm = 20 MOhm; expected below 65536 mV, {LARGE}, beyond which v has the other sign: smaller weights, or a larger cm.",
    ),
    "tau_m / cm": (
        lambda: fit(program(sent(), cell=cells(tau_m=1e4, cm=0.1))),
        LimitError,
        f"Population 'b': tau_m / cm = 99993.9 MOhm; expected below 65536, {LARGE}: a larger cm.",
    ),
    "i_offset that loses its digits": (
        lambda: fit(program(sent(), cell=cells(cm=0.0018, i_offset=1.5e-5))),
        LimitError,
        "Population 'b': i_offset = 1.5e-05 nA would be 0 on the board, which moves v by 0.167 mV with tau_m / cm = 11107.8 MOhm; expected less than 1 % of the way to v_thresh: a larger cm, with i_offset and weights scaled up.",
    ),
    "A_plus below the resolution": (
        lambda: fit(program(sent(0.0, rule=rule(A_plus=1e-5, w_max=1.0)))),
        LimitError,
        "Projection 'a>b': A_plus = 1e-05 nA; expected 0 or at least 0.00012207 nA, the resolution of its weights, or learning would be lost in rounding: larger steps, or fewer and smaller weights into 'b'.",
    ),
    "A_minus below the resolution": (
        lambda: fit(program(sent(0.0, rule=rule(A_minus=1e-5, w_max=1.0)))),
        LimitError,
        "Projection 'a>b': A_minus = 1e-05 nA; expected 0 or at least 0.00012207 nA, the resolution of its weights, or learning would be lost in rounding: larger steps, or fewer and smaller weights into 'b'.",
    ),
    "scrambled delays": (
        lambda: fit(program(sent(delay=600.0), a=300, b=1), cramped(boards()["spinn5"], "core.ring_buffer_bits", 10)),
        LimitError,
        "Population 'b': delays of up to 600 steps from 'a', whose delay extension has more than one stage; sPyNNaker connects wrong pairs then, unless all of 'a' is on one core, with as many neurons as a core of 'b'. Expected at most 512 steps.",
    ),
    "delay beyond all stages": (
        lambda: fit(program(sent(delay=4097.0))),
        LimitError,
        "Population 'b': a delay of 4097 steps; expected at most 4096: a core of 2 neurons has a ring of 4096 steps, and a delay extension has room for 0 stages as long. Shorter delays, or a smaller population.",
    ),
    "delay beyond all stages of a short ring": (
        lambda: fit(program(sent(delay=2049.0)), cramped(boards()["spinn5"], "core.ring_buffer_bits", 10)),
        LimitError,
        "Population 'b': a delay of 2049 steps; expected at most 2048: a core of 2 neurons has a ring of 256 steps, and a delay extension has room for 7 stages as long. Shorter delays, or a smaller population.",
    ),
    "silent plastic delay": (
        lambda: fit(program(sent(0.0, 32.0, rule=RULE), b=256)),
        LimitError,
        "Population 'b': projection 'a>b' is plastic with delays of 32 steps, a multiple of the ring depth, 32; the board would never deliver its spikes. Expected another delay, or one static synapse of a longer delay into this population (the depth is the power of two from the longest delay on).",
    ),
    "plastic delay longer than any ring": (
        lambda: fit(program(sent(0.0, 5000.0, rule=RULE))),
        LimitError,
        "Population 'b': projection 'a>b' is plastic with delays up to 5000 steps; expected at most 4096 steps, the ring depth of a core of 2 neurons: a shorter delay, or a smaller population.",
    ),
    "rows too long": (
        lambda: fit(program(sent(rows=[(0, 0, 1.0, 1.0)] * 257), a=1, b=1)),
        LimitError,
        "Population 'b': a core of 1 neurons needs rows of 257 words; expected at most 256: fewer synapses from one cell to another.",
    ),
    "DTCM": (
        lambda: fit(program(sent(), b=1), cramped(boards()["spinn3"], "core.dtcm", 11000)),
        LimitError,
        "Population 'b': a core of 1 neurons needs 11392 bytes of DTCM; expected at most 11000: shorter delays, fewer source cells (its input buffer takes 4 bytes for each), or no plasticity.",
    ),
    "SDRAM": (
        lambda: fit(program(sent(), a=100, b=50), cramped(boards()["spinn3"], "chip.sdram", 30000)),
        LimitError,
        "Population 'b': 31200 bytes of SDRAM for one core; expected at most 30000, all of a chip's: fewer synapses into it.",
    ),
    "two boards that cannot be joined": (
        lambda: fit(program(a=1, b=256 * 63), "spinn3"),
        LimitError,
        "fit: 64 cores and 2706480 bytes of SDRAM take 2 SpiNN-3 boards; expected at most 1, with 63 cores: a larger kind of board (spinn5), or fewer and smaller populations.",
    ),
    # what no board does
    "exact integrator": (
        lambda: fit(program(sent(), cell=IFCurrExp())),
        UnsupportedError,
        "Population 'b': integrator 'exact'; the board has an update of its own. Expected IFCurrExp(..., integrator='spinnaker'): see how the memory does with it first.",
    ),
    "multiplicative rule": (
        lambda: fit(program(sent(0.5, rule=STDP(SpikePairRule(), MultiplicativeWeightDependence())))),
        UnsupportedError,
        "Projection 'a>b': MultiplicativeWeightDependence; the board's arithmetic is known for AdditiveWeightDependence only, so nothing else could be checked.",
    ),
    "batch": (
        lambda: fit(stack((program(sent()), program(sent())))),
        UnsupportedError,
        "fit: a batch of 2 replicas; a board holds one network. Fit each Program by itself.",
    ),
    "plasticity switched off": (
        lambda: fit(frozen(sent(0.5, rule=RULE))),
        UnsupportedError,
        "fit: plasticity is off from step 4; a board cannot switch it. Expected a protocol whose operations all learn, or static synapses with the learned weights.",
    ),
    "short step": (
        lambda: fit(program(sent(), dt=0.05)),
        LimitError,
        "fit: dt = 0.05 ms; expected at least 0.1 ms, the shortest step that was tried on the binaries.",
    ),
    "no cells": (
        lambda: fit(program(a=1, b=0)),
        UnsupportedError,
        "fit: a network without cells; a board needs at least one population of IFCurrExp.",
    ),
    "no Program": (lambda: fit("ca3"), SpecError, "fit: str; expected a Program of spiking cells (lower makes one)."),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused(case: str) -> None:
    make, kind, text = CASES[case]
    with pytest.raises(NeuromemError) as raised:
        make()
    assert str(raised.value) == text
    assert type(raised.value) is kind


def test_the_limits_are_where_they_are_said_to_be() -> None:
    """Just within what is refused above."""
    near = cells(tau_m=0.02, cm=1.0)
    assert fit(program(sent(65535.0), a=1, b=1, cell=near)).words["a>b"].tolist() == [65535]
    assert fit(program(sent(2.0**-15))).words["a>b"].tolist() == [1] * 4
    assert fit(program(sent(0.0, 31.0, rule=RULE), b=256)).placement("b").ring_depth == 32
    assert fit(program(sent(delay=4096.0), a=300, b=1)).placement("b").ring_depth == 4096
    short = cramped(boards()["spinn5"], "core.ring_buffer_bits", 10)
    assert fit(program(sent(delay=512.0), a=300, b=1), short).placement("a").stages == 1
    assert fit(program(sent(delay=600.0), a=1, b=1), short).placement("a").stages == 2
    assert fit(program(sent(delay=2048.0), a=1, b=1), short).placement("a").stages == 7
    assert fit(program(sent(rows=[(0, 0, 1.0, 1.0)] * 256), a=1, b=1)).weights[0].n_synapses == 256
    assert fit(frozen(sent(0.5))).notes == ()  # nothing learns that could be switched off
    both = program(sent(1.0, rule=rule()), sent(1.0, rule=STDP(rule().timing, rule().weight_dependence), name="other"))
    assert len(fit(both).weights) == 2  # one rule in two disciplines is one rule on the board


# What is told, and not refused


def test_tau_syn_far_below_a_step_is_told() -> None:
    """0.01 ms: a spike gives a hundredth of its charge, ``(tau_syn/dt)(1 - exp(-dt/tau_syn))``."""
    fitted = fit(program(sent(), cell=cells(tau_syn_E=0.01)))
    assert fitted.notes == ("b: tau_syn_E is far below a step; excitatory weights act less than a tenth of what they read.",)
    assert fitted.program.cells.parameters["tau_syn_E"][0, 0] == 328 / 2**15  # off by 0.1 %
    assert fit(program(sent(), cell=cells(tau_syn_I=0.09))).notes == (
        "b: tau_syn_I is far below a step; inhibitory weights act less than a tenth of what they read.",
    )
    assert fit(program(sent(), cell=cells(tau_syn_E=0.11))).notes == ()


def test_duplicates_are_kept() -> None:
    """Twice the same pair are two synapses, on the board as here."""
    fitted = fit(program(sent(rows=[(0, 1, 0.5, 1.0), (0, 1, 0.25, 1.0), (0, 1, 0.5, 1.0)])))
    assert fitted.words["a>b"].tolist() == [8192, 4096, 8192]  # a sum of 1.25 nA takes a shift of 1, steps of 2^-14 nA
    assert (fitted.loads[0].volley, fitted.weights[0].n_synapses) == (1.25, 3)


def test_a_volley_that_would_wrap_v_is_told() -> None:
    """100 spikes of 60 nA: 6000 nA times a charge factor of 0.9063 times 20 MOhm, and 65 mV."""
    fitted = fit(program(sent(60.0, receptor="inhibitory"), a=100))
    assert fitted.notes == (
        "b, inhibitory: up to 6000 nA at once would move v towards 108827 mV, beyond 65536, the range of the board's numbers; v has the other sign then.",
    )
    assert fit(program(sent(60.0, receptor="inhibitory"), a=60)).notes == ()  # 65323 mV


@pytest.mark.parametrize(
    ("tau", "refractory", "said"),
    [
        (100.0, 0.1, ("a>b: with tau_plus = 100 ms, about 18 spikes in a row of a cell of a, one in each step, would take its trace to 16, where it wraps to -16; learning is wrong then.",
                      "a>b: with tau_minus = 100 ms, about 20 spikes in a row of a cell of b, 2 steps apart, would take its trace to 16, where it wraps to -16; learning is wrong then.")),
        (20.0, 1.0, ("a>b: with tau_plus = 20 ms, about 31 spikes in a row of a cell of a, one in each step, would take its trace to 16, where it wraps to -16; learning is wrong then.",)),
        (15.4, 0.0, ()),  # 1 / (1 - exp(-1 / 15.4)) = 15.9
    ],
)  # fmt: skip
def test_traces_that_could_wrap_are_told(tau: float, refractory: float, said: tuple[str, ...]) -> None:
    assert fit(program(sent(0.5, rule=rule(tau=tau)), cell=cells(tau_refrac=refractory))).notes == said


def test_more_sources_than_the_default_input_buffer_take_a_larger_one() -> None:
    fitted = fit(program(sent(), a=300))
    assert (fitted.placement("b").input_buffer, fitted.resources.packets_lost_at_worst, fitted.notes) == (512, {"b": 0}, ())


def test_sources_beyond_any_input_buffer_are_told() -> None:
    """16,384 packets of 4 bytes are all of a core's DTCM; 8,192 leave room for 13 cells, and hold one packet less."""
    fitted = fit(program(sent(), a=9000, b=13, cell=cells(cm=1000.0)))
    assert (fitted.placement("b").input_buffer, fitted.placement("b").neurons_per_core) == (8192, 13)
    assert fitted.resources.packets_lost_at_worst == {"b": 809}
    assert fitted.notes == ("b: its cores hold 8191 spikes of one step; 809 of up to 9000 would be lost. There is no DTCM for more.",)


def test_refractory_steps_of_another_number_are_told() -> None:
    fitted = fit(program(sent(delay=0.4), cell=cells(tau_refrac=1.2), dt=0.4))
    assert fitted.notes == (
        "b: tau_refrac = 1.2 ms is 4 steps of 0.4 ms on the board, and 3 in the definition.",
        "A step of 0.4 ms makes the board run 2.5 times slower than real time.",
    )


def test_poisson_sources_are_told() -> None:
    network = Network((Population("a", 2, SpikeSourcePoisson(rate=50.0)), Population("b", 2, CELL)), (sent(),))
    assert fit(lower(network, dt=1.0, n_steps=20)).notes == ("a: its Poisson spikes are drawn here and exported as spike times.",)


def test_more_cores_than_a_board_has_are_boards() -> None:
    fitted: Fitted = fit(program(a=1, b=759 * 256), "spinn5")
    assert (fitted.resources.cores, fitted.resources.chips, fitted.resources.boards) == (760, 48, 2)


def test_weights_that_lose_precision_are_told() -> None:
    fitted = fit(program(sent(rows=[(0, 0, 10000.0, 1), (0, 1, 8.3, 1)]), cell=cells(tau_m=0.2)))
    assert fitted.notes == ("a>b: weights are off by up to 2.41 %, in steps of 0.5 nA.",)
    assert np.array_equal(fitted.program.projections[0].weight, [[10000.0, 8.5]])
