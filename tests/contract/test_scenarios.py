"""Every scenario on every engine: against what was derived, then against the reference, to the last bit or a derived bound."""

from __future__ import annotations

import re

import numpy as np
import pytest
from catalogue import GROUPS, SCENARIOS
from conftest import ENGINES, Engine, engines_of
from scenario import Group, Part, Scenario, program_of, state_bound, weight_bound

from neuromem.backends import Support, features
from neuromem.errors import BackendMissingError, UnsupportedError
from neuromem.ir import Program, Recording

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=repr)
every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda g: g.name)


def refused(support: Support, scenario: Scenario) -> set[str]:
    """The features of a scenario that an engine refuses."""
    return {f for f in features(program_of(scenario.group, [scenario])) if not support.has(f)}


def supported(engine: Engine, group: Group) -> tuple[Scenario, ...]:
    """The scenarios of a group that an engine takes."""
    return tuple(s for s in GROUPS[group] if not refused(engine.loaded.support, s))


def together(engine: Engine, group: Group) -> Recording:
    """What the engine gives for all scenarios of a group that it takes, run as one network once in a session."""
    return engine.recording(f"group {group.name}", lambda: program_of(group, supported(engine, group)))


def expect_refusal(engine: Engine, program: Program, feature: str) -> None:
    """Assert that the engine refuses the program, in the words of its support table."""
    reason = engine.loaded.support.refused[feature].reason
    with pytest.raises(UnsupportedError, match=re.escape(reason)):
        engine.build(program)


@every_scenario
def test_scenario(engine: Engine, scenario: Scenario) -> None:
    if missing := refused(engine.loaded.support, scenario):
        expect_refusal(engine, program_of(scenario.group, [scenario]), min(missing))
    else:
        scenario.check(Part(scenario, together(engine, scenario.group)))


@pytest.mark.engines("reference", "cpu", "brian2-numpy")
@every_scenario
def test_scenario_alone(engine: Engine, scenario: Scenario) -> None:
    """The same without its neighbours: a failure here lies in the scenario's own ops."""
    if missing := refused(engine.loaded.support, scenario):
        expect_refusal(engine, program_of(scenario.group, [scenario]), min(missing))
    else:
        scenario.check(Part(scenario, engine.run(program_of(scenario.group, [scenario]))))


@every_scenario
def test_neighbours_change_nothing(reference: Engine, scenario: Scenario) -> None:
    """Joining networks is no approximation: spikes, states and weights of a scenario are the same alone, to the last bit."""
    alone = Part(scenario, reference.run(program_of(scenario.group, [scenario])))
    among = Part(scenario, together(reference, scenario.group))
    for population in alone.program.populations:
        short = population.name.removeprefix(f"{scenario.name}_")
        assert alone.spikes(short) == among.spikes(short)
    for name, variable in alone.recording.states:
        short = name.removeprefix(f"{scenario.name}_")
        assert np.array_equal(alone.state(short, variable), among.state(short, variable))
    for name, weights in alone.recording.weights.items():
        assert np.array_equal(weights, among.recording.weights[name])


@every_group
def test_same_spikes_as_reference(engine: Engine, reference: Engine, group: Group) -> None:
    ours, truth = together(engine, group), _reference_of(engine, reference, group)
    assert ours.complete
    assert ours.step.size > 100
    for name in ("replica", "step", "unit"):
        assert np.array_equal(getattr(ours, name), getattr(truth, name)), name


@every_group
def test_same_weights_as_reference(engine: Engine, reference: Engine, group: Group) -> None:
    ours, truth = together(engine, group), _reference_of(engine, reference, group)
    assert set(ours.weights) == set(truth.weights)
    for table in ours.program.projections:
        a, b = ours.weights[table.name], truth.weights[table.name]
        if engine.equal_bits or table.plasticity is None:
            assert np.array_equal(a, b), table.name
        else:
            rule = table.plasticity
            amplitude = max(rule.timing.A_plus, rule.timing.A_minus)
            assert np.max(np.abs(a - b)) <= weight_bound(
                _most_events(truth, table.pre, table.post), rule.weight_dependence.w_max, amplitude
            )


@every_group
def test_same_states_as_reference(engine: Engine, reference: Engine, group: Group) -> None:
    ours, truth = together(engine, group), _reference_of(engine, reference, group)
    assert set(ours.states) == set(truth.states)
    assert ours.states
    coefficients, n_sources = ours.program.coefficients, ours.program.n_sources
    for (population, variable), a in ours.states.items():
        b = truth.states[population, variable]
        assert a.shape == b.shape == (1, ours.n_steps, ours.program.population(population).size)
        if engine.equal_bits:
            assert np.array_equal(a, b), (population, variable)
            continue
        # Weights sent by plastic synapses carry their own error into the currents: far below 1e-9 of them, by weight_bound.
        table = ours.program.population(population)
        cells = slice(table.first - n_sources, table.first - n_sources + table.size)
        push = max(1.0, float(np.max(coefficients.gain_exc[:, cells] * coefficients.scale_exc[:, cells])))
        currents = [np.max(np.abs(v)) for (p, name), v in truth.states.items() if p == population and name != "v"]
        largest = float(np.max(np.abs(b))) + push * (max(currents, default=0.0) + 10.0)
        sent = sum(_weight_error(truth, name) for name in _plastic_into(ours.program, population))
        assert np.max(np.abs(a - b)) <= state_bound(largest, ours.n_steps) + push * ours.n_steps * sent, (population, variable)


def _reference_of(engine: Engine, reference: Engine, group: Group) -> Recording:
    """The reference's recording of exactly the scenarios that the engine takes."""
    taken = supported(engine, group)
    if taken == supported(reference, group):
        return together(reference, group)
    return reference.recording(f"group {group.name} for {engine.name}", lambda: program_of(group, taken))


def _most_events(recording: Recording, pre: np.ndarray, post: np.ndarray) -> int:
    """The largest number of spikes that a synapse of a projection sees."""
    counts = np.bincount(recording.unit, minlength=recording.program.n_units)
    return int(np.max(counts[pre] + counts[post]))


def _plastic_into(program: Program, population: str) -> list[str]:
    return [p.name for p in program.plastic if p.post_name == population]


def _weight_error(recording: Recording, projection: str) -> float:
    table = next(p for p in recording.program.plastic if p.name == projection)
    assert table.plasticity is not None
    timing, limits = table.plasticity.timing, table.plasticity.weight_dependence
    return weight_bound(_most_events(recording, table.pre, table.post), limits.w_max, max(timing.A_plus, timing.A_minus))


def test_every_scenario_has_its_own_names() -> None:
    populations = [p.name for s in SCENARIOS for p in s.network.populations]
    assert len(set(populations)) == len(populations)
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("names", [("cpu", "none-such"), ("brian2",), ()])
def test_an_unknown_engine_in_a_mark_is_an_error(names: tuple[str, ...]) -> None:
    with pytest.raises(pytest.UsageError, match=rf"expected one or more of {re.escape(', '.join(ENGINES))}$"):
        engines_of([pytest.mark.engines(*names).mark])
    assert [e.name for e in engines_of([pytest.mark.engines("cpu", "reference").mark, pytest.mark.engines("cpu").mark])] == ["cpu"]


def test_a_missing_engine_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise BackendMissingError(f"backend {name!r}: not installed; type: pip install it")

    monkeypatch.setattr("conftest.load_backend", missing)
    with pytest.raises(pytest.skip.Exception, match=r"^backend 'reference': not installed; type: pip install it$"):
        type(ENGINES["reference"])().loaded  # noqa: B018


def test_engines_have_their_own_names_and_none_of_the_first_is_lost() -> None:
    assert all(engine.name == name for name, engine in ENGINES.items())
    assert {"reference", "cpu", "brian2"} <= {engine.backend for engine in ENGINES.values()}
    assert {engine.options["codegen"] for engine in ENGINES.values() if engine.backend == "brian2"} == {"numpy", "cython", "cpp_standalone"}
