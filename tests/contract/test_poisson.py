"""Poisson sources: spikes drawn on the host, by the names of seed, object and purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Engine

from neuromem.ir import Program, lower
from neuromem.ir.sources import BLOCK, draw_poisson
from neuromem.spec import (
    AllToAllConnector,
    FixedProbabilityConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikeSourcePoisson,
    StaticSynapse,
)


def noise(name: str, rate: float = 200.0, size: int = 4) -> Population:
    return Population(name, size, SpikeSourcePoisson(rate=rate))


def lowered(*populations: Population, seed: int = 1, n_steps: int = 500, projections: tuple[Projection, ...] = ()) -> Program:
    probes = tuple(Probe(p.name) for p in populations)
    return lower(Network(populations, projections, probes=probes), dt=1.0, n_steps=n_steps, seed=seed)


def events(program: Program, name: str) -> set[tuple[int, int]]:
    t = program.population(name)
    pairs = zip(program.schedule.step.tolist(), program.schedule.unit.tolist(), strict=True)
    return {(s, u - t.first) for s, u in pairs if t.first <= u < t.first + t.size}


def test_adding_an_object_changes_no_other_draw() -> None:
    """Neither of spikes, nor of parameters, connections, weights and delays: before, behind and between."""
    cells = Population("cells", 5, IFCurrExp(tau_m=RandomDistribution("uniform", 5.0, 20.0)))
    synapse = StaticSynapse(RandomDistribution("uniform", 0.0, 1.0), RandomDistribution("uniform_int", 1, 9))
    link = Projection("a", "cells", FixedProbabilityConnector(0.5), synapse, name="link")
    alone = lowered(noise("a"), cells, projections=(link,))
    other = Projection("b", "cells", FixedProbabilityConnector(0.5), synapse, name="other")
    more = lowered(noise("b"), noise("a"), Population("zero", 3, cells.cell), cells, noise("c"), projections=(other, link), n_steps=500)
    assert events(more, "a") == events(alone, "a")
    assert len(events(alone, "a")) > 200
    for program in (alone, more):
        table = program.population("cells")
        first = table.first - program.n_sources
        mine = program.cells.parameters["tau_m"][0, first : first + table.size]
        synapses = next(p for p in program.projections if p.name == "link")
        if program is alone:
            parameters, drawn = mine, synapses
    assert np.array_equal(mine, parameters)
    for name in ("delay", "weight"):
        assert np.array_equal(getattr(synapses, name), getattr(drawn, name))
    assert np.array_equal(synapses.pre - synapses.pre_first, drawn.pre - drawn.pre_first)
    assert np.array_equal(synapses.post - synapses.post_first, drawn.post - drawn.post_first)
    assert events(more, "b") != events(more, "a")  # the name counts
    assert events(lowered(noise("a"), cells, seed=2), "a") != events(alone, "a")  # and the seed


@pytest.mark.parametrize("cuts", [(1,), (250, 251), (BLOCK,), (BLOCK - 1, BLOCK, BLOCK + 1), (700, 1900, 2000)])
def test_cutting_a_run_changes_nothing(cuts: tuple[int, ...]) -> None:
    total = 2 * BLOCK + 345
    program = lowered(noise("a"), noise("b", 30.0, 2), n_steps=total)
    whole = {*zip(program.schedule.step.tolist(), program.schedule.unit.tolist(), strict=True)}
    parts: set[tuple[int, int]] = set()
    for start, stop in zip((0, *cuts), (*cuts, total), strict=True):
        replica, step, unit = draw_poisson(program.poisson, (1,), start, stop - start)
        assert not replica.any()
        part = {*zip((step + start).tolist(), unit.tolist(), strict=True)}
        assert len(part) == step.size
        assert not part & parts
        parts |= part
    assert parts == whole


@pytest.mark.engines("reference", "cpu", "brian2-numpy")
def test_an_engine_may_run_the_schedule_in_parts(engine: Engine) -> None:
    cells = Population("cells", 3, IFCurrExp(tau_m=5.0, v_thresh=-64.0))
    program = lowered(
        noise("a"), cells, n_steps=1100, projections=(Projection("a", "cells", AllToAllConnector(), StaticSynapse(0.4, 2.0)),)
    )
    whole = engine.run(program)
    simulation = engine.build(program)
    for stop in (1, 2, 500, 1001, 1100):
        simulation.advance(program.schedule.part(simulation.step, stop))
    parts = simulation.recording()
    assert np.array_equal(parts.step, whole.step)
    assert np.array_equal(parts.unit, whole.unit)
    assert whole.spikes_of("cells")[0].size > 10


def hoeffding(n: int) -> float:
    """How far a mean of n independent draws in [0, 1] strays with a chance of at most 1e-9: 2 exp(-2 n d^2) = 1e-9."""
    return math.sqrt(math.log(2e9) / (2 * n))


@pytest.mark.parametrize("rate", [20.0, 500.0])
def test_rate(rate: float) -> None:
    """The share of steps with a spike is 1 - exp(-rate dt), overall, of each unit and in each half of the time."""
    size, n_steps = 50, 4000
    fired = np.zeros((n_steps, size), dtype=bool)
    for s, u in events(lowered(noise("a", rate, size), n_steps=n_steps), "a"):
        fired[s, u] = True
    p = 1 - math.exp(-rate * 1e-3)
    assert abs(fired.mean() - p) <= hoeffding(n_steps * size)
    assert np.all(np.abs(fired.mean(axis=0) - p) <= hoeffding(n_steps))
    assert abs(fired[::2].mean() - p) <= hoeffding(n_steps * size // 2)
    # Independent from one step to the next, and between units: the chance of two is the square.
    assert abs((fired[1::2] & fired[::2]).mean() - p * p) <= hoeffding(n_steps * size // 2)
    assert abs((fired[:, 1::2] & fired[:, ::2]).mean() - p * p) <= hoeffding(n_steps * size // 2)
    if rate == 500.0:
        assert abs(rate * 1e-3 - p) > 2 * hoeffding(n_steps * size)  # a chance of rate dt would be noticed
