"""Definitions are frozen values; patterns, times and programs keep what they are given."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.backends.reference import ReferenceSimulation
from neuromem.errors import SpecError
from neuromem.ir import lower, lower_memory
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.patterns import binary_digits, complement, pattern, random_pattern
from neuromem.quantities import steps_covering, steps_of
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    FromListConnector,
    IFCurrExp,
    MultiplicativeWeightDependence,
    Network,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

GOLDEN = Path(__file__).parent / "golden"


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
@settings(max_examples=30, deadline=None)
def test_a_pattern_is_the_same_from_every_form(drawn: tuple[int, set[int]]) -> None:
    size, units = drawn
    want = tuple(sorted(units))
    mask = np.isin(np.arange(size), want)
    for form in (units, list(want)[::-1], want, np.array(want, dtype=np.int32), mask, iter(want)):
        assert pattern(form, size, "cue") == want
    assert complement(complement(want, size), size) == want
    assert sorted((*want, *complement(want, size))) == list(range(size))
    assert binary_digits(sum(1 << unit for unit in want), size) == want
    if want:
        assert pattern(want[0], size, "cue") == pattern(np.int64(want[0]), size, "cue") == (want[0],)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_a_random_pattern_has_its_size(size: int, n_active: int, seed: int) -> None:
    if n_active > size:
        with pytest.raises(SpecError):
            random_pattern(size, n_active, np.random.default_rng(seed))
    else:
        drawn = random_pattern(size, n_active, np.random.default_rng(seed))
        assert pattern(drawn, max(size, 1), "cue") == drawn
        assert len(drawn) == n_active


@given(st.integers(0, 10**6), st.sampled_from([1e-4, 1e-3, 0.01, 0.1, 0.125, 0.3, 1.0, 2.5]))
@settings(max_examples=60, deadline=None)
def test_whole_steps_survive_the_rounding_of_decimals(steps: int, dt: float) -> None:
    """In particular floor(k dt / dt), which is wrong already at k = 49 for dt = 1e-4."""
    for time in (steps * dt, float(f"{steps * dt:.12g}")):
        assert steps_of(time, dt, "time", "Stimulus") == steps
        assert steps_covering(time, dt) == steps
    assert steps_covering((steps + 0.4) * dt, dt) == steps + 1
    for part in (0.4, 0.5, 0.01):
        with pytest.raises(SpecError, match="is not a whole number of"):
            steps_of((steps + part) * dt, dt, "time", "Stimulus")


def test_definitions_are_equal_by_value_and_frozen() -> None:
    a, b = ca3_cam(3, 4), ca3_cam(3, 4)
    assert a == b
    assert a is not b
    assert a.network == b.network
    assert hash(a.network.projections[0]) == hash(b.network.projections[0])
    assert a != ca3_cam(3, 5)
    one, other = (IFCurrExp(cm=np.array([1.0, second])) for second in (2.0, 3.0))
    assert one != other
    assert one == IFCurrExp(cm=[1.0, 2.0])  # type: ignore[arg-type]
    assert hash(one) == hash(IFCurrExp(cm=[1.0, 2.0]))  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.cm = 3.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        one.cm[0] = 3.0  # type: ignore[index]


def test_a_definition_does_not_follow_the_array_it_was_made_from() -> None:
    values = np.array([1.0, 2.0])
    cell = IFCurrExp(cm=values)
    values[0] = 9.0
    assert np.array_equal(np.asarray(cell.cm), [1.0, 2.0])


RULES = [
    STDP(SpikePairRule(3.0, 4.0, a, a), kind(0.1, 0.7), discipline, history)
    for a in (0.4, 1.7)
    for kind in (AdditiveWeightDependence, MultiplicativeWeightDependence)
    for discipline, history in (("immediate", None), ("deferred", None), ("deferred", 3))
]


def plastic_network(rule: STDP, pre: list[tuple[int, int]], post: list[tuple[int, int]], order: tuple[int, ...] = (0, 1, 2)) -> Network:
    """Three pre sources and three cells with a source each; ``order[i]`` is the number that unit i bears."""
    cell = IFCurrExp(tau_m=3.0, cm=0.27, v_rest=-60.0, v_reset=-60.0, v_thresh=-57.0, tau_refrac=0.0, tau_syn_E=0.3, integrator="spinnaker")
    links = [(order[i], order[j], 0.1 + 0.1 * i + 0.05 * j, 1.0 + i + j) for i in range(3) for j in range(3)]

    def stimulus(name: str, spikes: list[tuple[int, int]]) -> Stimulus:
        return Stimulus(name, np.array([order[u] for _, u in spikes], dtype=np.int64), np.array([s for s, _ in spikes], dtype=np.float64))

    return Network(
        (Population("pre", 3, SpikeSourceArray()), Population("teacher", 3, SpikeSourceArray()), Population("post", 3, cell)),
        (
            Projection("teacher", "post", FromListConnector([(order[i], order[i]) for i in range(3)]), StaticSynapse(6.0, 1.0)),
            Projection("pre", "post", FromListConnector(links), StaticSynapse(), plasticity=rule, name="plastic"),
        ),
        (stimulus("pre", pre), stimulus("teacher", post)),
        (Probe("post"),),
    )


spike_trains = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 2)), max_size=20)


@given(st.sampled_from(RULES), spike_trains, spike_trains)
@settings(max_examples=25, deadline=None)
def test_weights_stay_in_their_range_at_every_step(rule: STDP, pre: list[tuple[int, int]], post: list[tuple[int, int]]) -> None:
    simulation = ReferenceSimulation(lower(plastic_network(rule, pre, post), dt=1.0, n_steps=32))
    for step in range(32):
        simulation.advance(simulation.program.schedule.part(step, step + 1))
        weights = simulation.weights("plastic")
        assert np.all((weights >= 0.1) & (weights <= 0.7))


@given(st.sampled_from(RULES), spike_trains, spike_trains, st.permutations([0, 1, 2]))
@settings(max_examples=20, deadline=None)
def test_numbering_units_otherwise_changes_only_their_numbers(
    rule: STDP, pre: list[tuple[int, int]], post: list[tuple[int, int]], order: list[int]
) -> None:
    plain = ReferenceSimulation(lower(plastic_network(rule, pre, post), dt=1.0, n_steps=32)).run()
    renamed = ReferenceSimulation(lower(plastic_network(rule, pre, post, tuple(order)), dt=1.0, n_steps=32)).run()
    assert np.array_equal(plain.weights["plastic"], renamed.weights["plastic"])  # listed in the same order
    steps, units = plain.spikes_of("post")
    there, numbers = renamed.spikes_of("post")
    assert sorted((s, order[u]) for s, u in zip(steps, units, strict=True)) == sorted(zip(there, numbers, strict=True))


def test_the_printed_program_is_the_golden_text() -> None:
    program = lower_memory(ca3_cam(), PROTOCOLS["functional"].build(n_cues=5, n_content=10))
    assert str(program) == (GOLDEN / "program_ca3_cam.txt").read_text()


def test_the_digest_names_everything_that_determines_a_run() -> None:
    """The same in another process (with other hash seeds); another for each change, however small."""
    memory = ca3_cam(2, 3)
    protocol = PROTOCOLS["stress"].build(n_cues=2, n_content=3)
    program = lower_memory(memory, protocol)
    code = (
        "from neuromem.ir import lower_memory; from neuromem.models import ca3_cam; from neuromem.models.ca3_cam import stress;"
        "print(lower_memory(ca3_cam(2, 3), stress(2, 3)).digest)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert program.digest == there == lower_memory(memory, protocol).digest
    cells = Population("cells", 4, IFCurrExp())
    synapse = StaticSynapse(0.5, 1.0)
    plain = Network((cells,), (Projection("cells", "cells", AllToAllConnector(), synapse),), (), (Probe("cells"),))
    changed = [
        plain,
        dataclasses.replace(plain, populations=(dataclasses.replace(cells, cell=IFCurrExp(cm=1.0 + 1e-15)),)),
        dataclasses.replace(plain, populations=(dataclasses.replace(cells, cell=IFCurrExp(integrator="spinnaker")),)),
        dataclasses.replace(plain, populations=(dataclasses.replace(cells, initial_values={"v": -64.0}),)),
        dataclasses.replace(plain, projections=(Projection("cells", "cells", AllToAllConnector(False), synapse),)),
        dataclasses.replace(plain, projections=(Projection("cells", "cells", AllToAllConnector(), StaticSynapse(0.5, 2.0)),)),
        dataclasses.replace(plain, projections=(Projection("cells", "cells", AllToAllConnector(), synapse, "inhibitory"),)),
        dataclasses.replace(plain, projections=(Projection("cells", "cells", AllToAllConnector(), synapse, plasticity=RULES[0]),)),
        dataclasses.replace(plain, projections=(Projection("cells", "cells", AllToAllConnector(), synapse, plasticity=RULES[1]),)),
    ]
    digests = [lower(n, dt=1.0, n_steps=5).digest for n in changed] + [
        lower(plain, dt=d, n_steps=n).digest for d, n in ((0.5, 5), (1.0, 6))
    ]
    assert len(set(digests)) == len(digests)


def test_distributions_draw_what_they_say() -> None:
    rng = np.random.default_rng(1)
    integers = RandomDistribution("uniform_int", 2, 4).draw(300, rng)
    assert set(integers.tolist()) == {2.0, 3.0, 4.0}
    uniform = RandomDistribution("uniform", -1.0, 3.0).draw(1000, rng)
    assert uniform.min() >= -1.0
    assert uniform.max() < 3.0
    normal = RandomDistribution("normal", 5.0, 2.0).draw(10_000, rng)
    assert abs(normal.mean() - 5.0) <= 6.2 * 2.0 / 100  # 6.2 standard errors: chance below 1e-9
