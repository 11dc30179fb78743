"""``fit``: shifts, quantised weights, loads, splits over cores, counts and notes, on networks made for each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from fit_networks import CELL, RULE, program, sent
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem.errors import LimitError, SpecError
from neuromem.hardware_targets.spinnaker.core_memory import SDRAM_FIXED, SDRAM_NEURON
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.limits import boards
from neuromem.models import ca3_cam
from neuromem.spec import STDP, AdditiveWeightDependence, IFCurrExp, SpikePairRule

STRONG = IFCurrExp(cm=1000.0, integrator="spinnaker")  # 0.02 MOhm, so that thousands of nA leave v in range


# Ring-buffer shifts

WEIGHTS = st.integers(2**13, 2**29).map(lambda k: k / 2**20)  # nA; sums of them have no rounding
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), WEIGHTS, st.integers(1, 3).map(float)), min_size=1, max_size=8)


def largest_power(load: Fraction) -> int:
    """The least shift, from 0 on, with load < 2^shift."""
    return next(s for s in range(40) if load < 2**s)


def error_at(weights: list[float], shift: int) -> Fraction:
    """The largest relative error of weights at a shift, in exact fractions."""
    step = Fraction(2) ** (shift - 15)
    return max(abs(round(Fraction(w) / step) * step - Fraction(w)) / Fraction(w) for w in weights)


def shift_by_search(rows: list[tuple[int, int, float, float]]) -> int:
    """The rule of the report: all at once fits, if weights keep 1/128; else what keeps it, but not less than a volley needs."""
    weights = [w for _, _, w, _ in rows]
    worst = max(sum((Fraction(w) for _, j, w, _ in rows if j == cell), Fraction(0)) for cell in (0, 1))
    volley = max(
        sum((Fraction(w) for _, j, w, d in rows if (j, d) == (cell, delay)), Fraction(0)) for cell in (0, 1) for delay in (1, 2, 3)
    )
    least = max(largest_power(Fraction(max(weights))), largest_power(volley))
    precise = [s for s in range(least, largest_power(worst) + 1) if error_at(weights, s) <= Fraction(1, 128)]
    return max(precise, default=least)


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_shift_leaves_room_for_the_worst_case_where_precision_allows(rows: list[tuple[int, int, float, float]]) -> None:
    expected = shift_by_search(rows)
    weights = np.array([w for _, _, w, _ in rows])
    if np.any(np.rint(weights * 2.0 ** (15 - expected)) == 0):
        with pytest.raises(LimitError, match="would become 0"):
            fit(program(sent(rows=rows), a=4, cell=STRONG))
        return
    fitted = fit(program(sent(rows=rows), a=4, cell=STRONG))
    (load, none), (weight,) = fitted.loads, fitted.weights
    assert fitted.placement("b").shifts == (expected, 0)
    assert (load.shift, none.shift) == (expected, 0)
    assert load.largest_weight < load.capacity  # never below a single weight
    assert load.volley < load.capacity or expected == 15
    if error_at(weights.tolist(), largest_power(Fraction(load.worst))) <= Fraction(1, 128):
        assert load.risk == "none"
    words = fitted.words["a>b"]
    assert np.array_equal(words, np.rint(weights * 2.0 ** (15 - expected)))
    assert words.max() <= 65535
    assert np.array_equal(fitted.program.projections[0].weight, words[None] * 2.0 ** (expected - 15))
    assert weight.worst_error == pytest.approx(float(error_at(weights.tolist(), expected)), rel=1e-9)  # doubles against fractions
    assert weight.n_rounded == np.sum(fitted.program.projections[0].weight[0] != weights)
    assert (weight.resolution, weight.n_zeroed, weight.n_saturated, weight.n_synapses) == (2.0 ** (expected - 15), 0, 0, len(rows))


def test_shifts_by_hand() -> None:
    def shift(*rows: tuple[int, int, float, float]) -> int:
        return fit(program(sent(rows=rows), a=8, cell=STRONG)).placement("b").shifts[0]

    assert shift((0, 0, 0.5, 1)) == 0  # below 1 nA
    assert shift((0, 0, 1.0, 1)) == 1  # 1 nA is not below 2^0
    assert shift((0, 0, float(np.nextafter(256.0, 0.0)), 1)) == 8  # just below 2^8
    assert shift(*[(i, 0, 1.0, 1) for i in range(8)]) == 4  # a volley of 8 nA
    assert shift(*[(i, 0, 1.0, 1 + i) for i in range(8)]) == 4  # at most 8 nA from all delays, and no weight is off
    fine = [(i, 0, 40.0, 1 + i) for i in range(7)]
    assert shift(*fine) == 9  # 280 nA
    assert shift(*fine, (7, 0, 0.3, 8)) == 7  # 0.3 nA is 19 steps of 2^-6 or 38 of 2^-7 (off by 1.04 %), 77 of 2^-8 (0.26 %)


def test_precision_is_one_in_128() -> None:
    """700 nA at most, in steps of 2^-5 nA: 50.45 steps become 50, off by 0.89 %, which is too much; 60.45 become 60, off by 0.74 %."""
    large = [(i, 0, 100.0, 1.0 + i) for i in range(7)]
    shifts = [fit(program(sent(rows=[*large, (7, 0, k / 32, 8.0)]), a=8, cell=STRONG)).placement("b").shifts[0] for k in (50.45, 60.45)]
    assert shifts == [9, 10]


def test_plastic_weights_count_with_the_largest_that_they_can_have() -> None:
    rule = replace(RULE, weight_dependence=AdditiveWeightDependence(0.0, 100.0))
    load = fit(program(sent(0.0, rule=rule), a=3, cell=STRONG)).loads[0]
    assert (load.largest_weight, load.volley, load.worst, load.shift) == (100.0, 300.0, 300.0, 9)


def test_learning_amplitudes_count_for_precision() -> None:
    """Everything at once (6 x 100 nA) would need a shift of 10; steps of 0.8 nA are off by 1.6 % at 2^-5, and by 0.39 % at 2^-6."""
    synapses = [sent(0.0, delay, rule=rule(0.8), name=f"p{delay}") for delay in (1.0, 2.0, 3.0)]
    assert fit(program(*synapses, a=2, cell=STRONG)).placement("b").shifts[0] == 9
    exact = [sent(0.0, delay, rule=rule(1.0), name=f"p{delay}") for delay in (1.0, 2.0, 3.0)]
    assert fit(program(*exact, a=2, cell=STRONG)).placement("b").shifts[0] == 10


def rule(amplitude: float) -> STDP:
    return STDP(SpikePairRule(5.0, 5.0, amplitude, amplitude), AdditiveWeightDependence(0.0, 100.0), "deferred", 15)


# Loads


def test_loads_by_hand() -> None:
    """Cell 0 gets 2 nA from each of 3 sources of a, 5 + 3 + 1 more from a, 4 from c; both projections of a share its volleys."""
    fitted = fit(
        program(
            sent(2.0, 1.0, name="all"),
            sent(rows=[(0, 0, 5.0, 2), (1, 0, 1.0, 1), (0, 0, 3.0, 2)], name="some"),
            sent(rows=[(0, 0, 4.0, 1)], pre="c", name="other"),
            sent(0.5, receptor="inhibitory", name="inh"),
            a=3, c=1, d=1, cell=STRONG,
        )
    )  # fmt: skip
    exc, inh, *others = fitted.loads
    assert (exc.population, exc.receptor, exc.largest_weight, exc.volley, exc.worst) == ("b", "excitatory", 5.0, 8.0, 19.0)
    assert (exc.shift, exc.capacity, exc.risk) == (5, 65535 / 2**10, "none")
    assert (inh.receptor, inh.largest_weight, inh.volley, inh.worst, inh.shift) == ("inhibitory", 0.5, 1.5, 1.5, 1)
    assert [(load.population, load.worst, load.risk) for load in others] == [("d", 0.0, "none")] * 2


def test_two_projections_of_one_population_are_one_volley() -> None:
    load = fit(program(sent(3.0, name="p"), sent(5.0, name="q"), a=4, cell=STRONG)).loads[0]
    assert (load.volley, load.worst) == (32.0, 32.0)


def test_risks_are_told() -> None:
    """300 nA at once from each of three populations' worth of delays; 0.3 nA beside them keeps the shift at that of a volley, 9."""
    rows = [(i, 0, 50.0, d) for d in (1.0, 2.0, 3.0, 4.0) for i in range(6)] + [(0, 0, 0.3, 1.0)]
    fitted = fit(program(sent(rows=rows), a=6, b=1, cell=STRONG))
    assert (fitted.loads[0].volley, fitted.loads[0].worst, fitted.loads[0].shift, fitted.loads[0].risk) == (300.3, 1200.3, 9, "worst case")
    assert fitted.notes == (
        "b, excitatory: worst case of up to 1200.3 nA does not fit in its ring buffer, which holds 1023.98 nA; the rest is cut off.",
        "a>b: weights are off by up to 1.04 %, in steps of 0.015625 nA.",
    )
    high = IFCurrExp(cm=1e3, tau_m=2.0, integrator="spinnaker")
    volley = fit(program(sent(30000.0), a=3, cell=high))
    assert (volley.loads[0].shift, volley.loads[0].risk) == (15, "a volley")
    assert volley.notes == (
        "b, excitatory: a volley of up to 90000 nA does not fit in its ring buffer, which holds 65535 nA; the rest is cut off.",
    )


# Splits


def laid(n: int, *delays: float, a: int = 2, rule: STDP | None = None) -> Fitted:
    rows = [(i % a, j, 1.0, d) for j in range(n) for i, d in enumerate(delays)]
    return fit(program(sent(rows=rows, rule=rule), a=a, b=n, cell=STRONG))


@pytest.mark.parametrize(
    ("n", "delay", "most", "depth"),
    [
        (256, 32, 256, 32), (256, 31, 256, 32), (256, 16, 256, 16), (256, 17, 256, 32), (256, 1, 256, 2), (128, 64, 128, 64),
        (100, 64, 128, 64), (64, 128, 64, 128), (64, 33, 64, 64), (32, 256, 32, 256),
    ],
)  # fmt: skip
def test_ring_depths(n: int, delay: int, most: int, depth: int) -> None:
    """The table of the reference: at most 32 steps at 256 neurons on a core, 64 at 100 to 128, 128 at 64; the power of two from the delay on."""
    fitted = laid(n, float(delay))
    q = fitted.placement("b")
    assert (q.ring_depth, fitted.placement("a").stages) == (depth, 0)
    assert q.neurons_per_core <= most
    assert q.dtcm <= 65536


@pytest.mark.parametrize(
    ("n", "longest", "boots", "fails"), [(600, 1, 256, 600), (600, 16, 200, 224), (600, 32, 128, 160), (600, 64, 100, 128)]
)
def test_plastic_cores_are_between_those_that_booted_and_those_that_did_not(n: int, longest: int, boots: int, fails: int) -> None:
    """The boot limits of the binaries: 600 cells, one plastic and one static inhibitory projection. Not more than failed; not less than half of what booted."""
    rows = [(i, j, 0.5, float(d)) for j in range(n) for i, d in enumerate((max(1, longest - 1), max(1, longest - 3)))]
    inhibition = [(i, j, 0.5, float(longest)) for i in range(2) for j in range(n)]
    fitted = fit(program(sent(rows=rows, rule=RULE), sent(rows=inhibition, receptor="inhibitory", name="inh"), b=n, cell=STRONG))
    assert boots / 2 <= fitted.placement("b").neurons_per_core < fails


def test_one_stage_of_delay_extension() -> None:
    fitted = laid(200, 40.0)
    a, b = fitted.placement("a"), fitted.placement("b")
    assert (a.stages, a.stage_steps, a.n_delay_cores, b.ring_depth) == (1, 32, 1, 32)
    assert fitted.notes == ("a: its spikes pass a delay extension of 1 stage of 32 steps.",)
    assert fitted.resources.cores == 3


@pytest.mark.parametrize(("delay", "stages"), [(32, 0), (33, 1), (64, 1), (65, 2), (256, 7), (257, 1)])
def test_stages_of_32_steps(delay: int, stages: int) -> None:
    """As many sources as cells, on one core each; a delay extension for 8 stages has room for 100, so that rings become longer."""
    assert laid(130, float(delay), a=130).placement("a").stages == stages


def test_more_than_one_stage_takes_a_longer_ring() -> None:
    q = laid(200, 289.0)
    assert (q.placement("a").stages, q.placement("a").stage_steps, q.placement("b").neurons_per_core) == (1, 256, 32)


def test_targets_of_one_source_have_stages_of_one_length() -> None:
    """d (100 cells, 100 steps) has a ring of 64; b (200 cells, 50 steps) had 32 alone, and must have 64 too."""
    to_b = sent(rows=[(0, j, 1.0, 50.0) for j in range(200)])
    to_d = sent(rows=[(0, j, 1.0, 100.0) for j in range(100)], post="d", name="a>d")
    assert fit(program(to_b, b=200, cell=STRONG)).placement("b").ring_depth == 32
    fitted = fit(program(to_b, to_d, b=200, d=100, cell=STRONG))
    assert [fitted.placement(name).ring_depth for name in ("b", "d")] == [64, 64]
    assert fitted.placement("b").neurons_per_core <= 128
    assert (fitted.placement("a").stages, fitted.placement("a").stage_steps) == (1, 64)


@pytest.mark.parametrize(
    ("delay", "depth", "stages", "cores"), [(64, 32, 1, 3), (65, 64, 1, 3), (128, 64, 1, 3), (129, 128, 1, 3), (512, 256, 1, 6)]
)
def test_scrambled_delays_are_avoided(delay: int, depth: int, stages: int, cores: int) -> None:
    """600 sources are on several cores, where two stages or more connect wrong pairs: fewer neurons on a core leave one.

    A core of a delay extension with one stage of 256 steps has room for 100.
    """
    fitted = laid(200, float(delay), a=600)
    assert (fitted.placement("b").ring_depth, fitted.placement("a").stages) == (depth, stages)
    assert fitted.placement("a").n_cores == cores


def test_two_stages_are_for_one_core_of_as_many_sources_as_cells_on_a_core() -> None:
    """sPyNNaker counts the rows of later stages in cores of the target."""
    assert [laid(130, 65.0, a=a).placement("a").stages for a in (129, 130, 131)] == [1, 2, 1]
    assert [laid(200, 65.0, a=a).placement("a").stages for a in (2, 256)] == [1, 1]
    to_d = sent(rows=[(0, j, 1.0, 40.0) for j in range(200)], post="d", name="a>d")  # one stage of 32 steps would do
    to_b = sent(rows=[(0, j, 1.0, 65.0) for j in range(130)])
    both = fit(program(to_b, to_d, a=130, b=130, d=200, cell=STRONG))
    assert [(both.placement("a").stages, both.placement(name).ring_depth) for name in ("b", "d")] == [(2, 32), (2, 64)]


def test_a_split_target_that_is_a_source_too_is_seen() -> None:
    """b is on one core until its own long delays from a split it; then its delays of 100 steps to d may take one stage only."""
    to_b = sent(rows=[(0, j, 1.0, 300.0) for j in range(100)])
    to_d = sent(rows=[(j, j, 1.0, 100.0) for j in range(100)], pre="b", post="d", name="b>d")
    fitted = fit(program(to_b, to_d, a=600, b=100, d=200, cell=STRONG))
    assert fitted.placement("b").n_cores > 1
    assert 2 * fitted.placement("d").ring_depth >= 100
    assert fitted.placement("b").stages <= 1


@pytest.mark.parametrize(("delays", "depth"), [((32.0, 40.0), 64), ((16.0, 17.0), 32), ((2.0, 3.0), 4)])
def test_plastic_delays_that_are_multiples_of_a_ring_get_a_longer_one(delays: tuple[float, ...], depth: int) -> None:
    fitted = laid(256, *delays, rule=RULE)
    q = fitted.placement("b")
    assert q.ring_depth == depth
    assert not np.any(fitted.program.projections[0].delay % q.ring_depth == 0)
    assert max(delays) <= q.ring_depth


def test_a_static_synapse_makes_the_ring_longer_for_a_plastic_one() -> None:
    static = sent(rows=[(0, 0, 1.0, 40.0)], name="static")
    plastic = sent(rows=[(0, j, 1.0, 32.0) for j in range(256)], rule=RULE)
    assert fit(program(plastic, static, b=256, cell=STRONG)).placement("b").ring_depth == 64


def test_input_buffers_hold_a_volley_of_all_sources_and_stages() -> None:
    sizes = {a: laid(1, 1.0, a=a).placement("b").input_buffer for a in (2, 255, 256, 300, 511, 512)}
    assert sizes == {2: 256, 255: 256, 256: 512, 300: 512, 511: 512, 512: 1024}  # one less can be held
    late = laid(200, 1.0, 40.0, a=200)  # 200 at once, and 200 from the delay extension
    assert (late.placement("b").ring_depth, late.placement("b").input_buffer) == (32, 512)
    assert late.resources.packets_lost_at_worst == {"b": 0}


# Counts


def test_application_cores() -> None:
    assert {name: board.application_cores for name, board in boards().items()} == {"spinn3": 63, "spinn5": 759}
    assert [boards()["spinn5"][name] for name in ("board.chips", "core.dtcm", "chip.routing_entries")] == [48, 65536, 1023]
    assert all(limit.source for board in boards().values() for limit in board.limits.values())


@pytest.mark.parametrize(
    ("board", "cores", "chips", "n_boards"), [("spinn3", 2, 1, 1), ("spinn3", 17, 2, 1), ("spinn3", 63, 4, 1), ("spinn5", 759, 48, 1), ("spinn5", 760, 48, 2)]
)  # fmt: skip
def test_cores_chips_and_boards(board: str, cores: int, chips: int, n_boards: int) -> None:
    """256 cells on a core without plasticity, and a core of sources."""
    r = fit(program(a=1, b=256 * (cores - 1)), board).resources
    assert (r.cores, r.chips, r.boards) == (cores, chips, n_boards)


def test_sdram_is_counted_for_each_core_of_neurons() -> None:
    fitted = fit(program(sent(), a=3, b=4))
    q = fitted.placement("b")
    assert q.sdram == SDRAM_FIXED + 4 * SDRAM_NEURON + 3 * (4 + 3) * 4  # 3 rows of 4 words and a header of 3
    assert fitted.resources.sdram == q.sdram


# The Program and the notes


def test_the_rule_is_deferred_and_remembers_15_spikes() -> None:
    immediate = STDP(RULE.timing, RULE.weight_dependence)
    fitted = fit(program(sent(0.5, rule=immediate)))
    assert fitted.program.projections[0].plasticity == RULE
    assert fitted.defined.projections[0].plasticity == immediate
    assert fitted.notes == (
        "a>b: of more than 15 spikes of a cell between two spikes of its input, the board applies the last 15.",
        "a>b: weights are updated when the input spikes; read out, they lack what came since.",
    )
    assert fit(program(sent(0.5, rule=RULE))).notes == ()


def test_parameters_become_multiples_of_2_to_the_minus_15() -> None:
    fitted = fit(program(sent(), cell=IFCurrExp(tau_m=17.3, cm=0.27, v_rest=-61.7, i_offset=0.1, integrator="spinnaker")))
    for name, value in (("tau_m", 17.3), ("cm", 0.27), ("v_rest", -61.7), ("i_offset", 0.1)):
        kept = fitted.program.cells.parameters[name]
        assert np.array_equal(kept, np.full((1, 2), round(value * 2**15) / 2**15))


def test_short_steps_are_told() -> None:
    fitted = fit(program(sent(), dt=0.1))
    assert fitted.notes == ("A step of 0.1 ms makes the board run 10 times slower than real time.",)


def test_fitting_twice_changes_nothing() -> None:
    defined = neuromem.lower(ca3_cam(), "functional")
    first, again, fitted = fit(defined), fit(fit(defined).defined), fit(fit(defined).program)
    for other in (again, fitted):
        assert other.program.digest == first.program.digest
        assert (other.placements, other.loads, other.resources) == (first.placements, first.loads, first.resources)
        assert all(np.array_equal(other.words[name], words) for name, words in first.words.items())
    assert (again.weights, again.notes) == (first.weights, first.notes)
    assert all(w.worst_error == 0 and w.n_rounded == 0 for w in fitted.weights)


def test_a_board_by_name_only() -> None:
    with pytest.raises(SpecError) as raised:
        fit(program(sent()), "spinn4")
    assert str(raised.value) == "board 'spinn4'; expected one of spinn3, spinn5 (did you mean 'spinn5'?)."


def test_sources_alone_are_fitted_to_no_core_of_their_own_kind() -> None:
    q = fit(program(sent(), a=300, cell=CELL)).placement("a")
    assert (q.neurons_per_core, q.n_cores, q.ring_depth, q.input_buffer, q.dtcm) == (256, 2, 0, 0, 0)
