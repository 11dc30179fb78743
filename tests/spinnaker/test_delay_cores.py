"""Cores of delay extensions: what ``fit`` lets them hold boots, and one neuron more does not; the spikes that pass them arrive.

The witnesses are the binaries themselves, on cores of an emulated board.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import random_stimulus
from fit_networks import CELL, program, sent
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.errors import LimitError
from neuromem.exports.spinnaker import export_program
from neuromem.exports.verify import verify
from neuromem.hardware_targets.spinnaker import splits
from neuromem.hardware_targets.spinnaker.core_memory import CoreShape, delay_bytes, delay_neurons, delay_slots, longest_reach
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.limits import board_named
from neuromem.hardware_targets.spinnaker.machine import Machine, MappedNetwork, load_mapping
from neuromem.hardware_targets.spinnaker.splits import Split
from neuromem.hardware_targets.spinnaker.virtual import virtual_mapping
from neuromem.ir import Program, lower
from neuromem.spec import FromListConnector, IFCurrExp, Network, Population, Probe, Projection, SpikeSourceArray, StaticSynapse

MEMORY = board_named("spinn5")["core.delay_memory"]
needs_board = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in ("spynnaker", "unicorn")), reason="pip install 'neuromem[spinnaker]'"
)

# Sources, cells and longest delay; how many sources share a core, stages and their steps, how many cells share a core.
SHAPES = [
    (256, 30, 300, 100, 1, 256, 30),
    (256, 200, 260, 100, 1, 256, 32),
    (256, 100, 500, 100, 1, 256, 32),
    (256, 128, 500, 100, 1, 256, 32),
    (256, 64, 600, 44, 1, 512, 16),
    (240, 60, 200, 216, 1, 128, 60),
    (200, 8, 1100, 16, 1, 1024, 8),
    (130, 130, 250, 130, 7, 32, 130),  # seven stages: 224 steps, 256 slots
    (100, 120, 290, 100, 1, 256, 32),  # four stages of 64 steps would connect wrong pairs
    (300, 200, 64, 256, 1, 32, 200),
    (4, 1, 4096, 4, 0, 0, 1),
]


def spread(n: int, m: int, longest: int) -> list[tuple[int, int, float, float]]:
    """40 synapses, with the first and the last of ``n`` sources and ``m`` cells, and delays from 1 step to the longest."""
    return [(k * (n - 1) // 39, k * (m - 1) // 39, 1.0, float(1 + k * (longest - 1) // 39)) for k in range(40)]


# What is fitted


@pytest.mark.parametrize("shape", SHAPES)
def test_how_populations_share_cores(shape: tuple[int, ...]) -> None:
    n, m, longest, sources, stages, steps, cells = shape
    fitted = fit(program(sent(rows=spread(n, m, longest)), a=n, b=m))
    a, b = fitted.placement("a"), fitted.placement("b")
    assert (a.neurons_per_core, a.stages, a.stage_steps, b.neurons_per_core) == (sources, stages, steps, cells)
    assert a.n_delay_cores == (a.n_cores if stages else 0)


def test_more_than_any_core_can_delay_is_refused() -> None:
    with pytest.raises(LimitError) as raised:
        fit(program(sent(rows=spread(4, 5, 20000)), a=4, b=5))
    assert str(raised.value) == (
        "Population 'b': a delay of 20000 steps; expected at most 4096: a core of 2 neurons has a ring of 4096 steps, "
        "and a delay extension has room for 0 stages as long. Shorter delays, or a smaller population."
    )


def test_cells_that_send_late_spikes_are_on_more_cores_too() -> None:
    """b sends to d with delays of up to 300 steps: one stage of 256 steps, for 100 neurons on a core."""
    b_to_d = sent(rows=spread(200, 20, 300), pre="b", post="d", name="b>d")
    q = fit(program(sent(), b_to_d, b=200, d=20)).placement("b")
    assert (q.neurons_per_core, q.n_cores, q.stages, q.stage_steps, q.n_delay_cores) == (100, 2, 1, 256, 2)
    assert fit(program(sent(), b=200, d=20)).placement("b").neurons_per_core == 200


def test_a_ring_that_cannot_become_longer_is_refused() -> None:
    """``split`` gives no population of one cell so short a ring; it says so instead of going on for ever."""
    to_d = sent(delay=100.0, post="d", name="a>d")
    given = {"a": Split(2), **{name: Split(1, CoreShape(1, depth, False, 256, ())) for name, depth in (("b", 32), ("d", 64))}}
    with pytest.raises(LimitError) as raised:
        splits._agree_on_stages(program(sent(delay=70.0), to_d, b=1, d=1), board_named("spinn5"), given)
    assert str(raised.value) == (
        "Population 'b': delays of 70 steps from 'a', whose stages must be of 64 steps; expected at most 32 steps, the depth of its ring: "
        "shorter delays, or another source population."
    )


def test_a_delay_extension_without_room_is_refused() -> None:
    """As above: ``split`` deepens rings before, and says so where it cannot."""
    given = {"a": Split(200), "b": Split(1, CoreShape(1, 256, False, 256, ()))}
    with pytest.raises(LimitError) as raised:
        splits._fit_delay_cores(program(sent(delay=2000.0), a=200, b=1), board_named("spinn5"), given)
    assert str(raised.value) == (
        "Population 'b': delays of up to 2000 steps from 'a', whose 200 cells then need 434176 bytes of DTCM on a core of a delay extension "
        "with 7 stages of 256 steps. Expected at most 58656: shorter delays, or at most 16 cells in 'a'."
    )


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), m=st.integers(1, 256), d=st.integers(1, 256), longest=st.integers(1, 4096), other=st.integers(1, 4096))
def test_whatever_is_fitted_has_room(n: int, m: int, d: int, longest: int, other: int) -> None:
    """Two targets of one source population, and b a source itself: room on every core, and one stage where there are several."""
    fitted = fit(
        program(
            sent(rows=spread(n, m, longest)),
            sent(rows=spread(n, d, other), post="d", name="a>d"),
            sent(rows=spread(m, d, other), pre="b", post="d", name="b>d"),
            a=n, b=m, d=d,
        )
    )  # fmt: skip
    for p in fitted.placements:
        assert not p.stages or p.neurons_per_core <= delay_neurons(p.stages, p.stage_steps, MEMORY)
        assert p.stages <= 8
        assert 1 <= p.neurons_per_core <= 256
    for pre, post, delay in (("a", "b", longest), ("a", "d", other), ("b", "d", other)):
        source, target = fitted.placement(pre), fitted.placement(post)
        assert delay <= target.ring_depth or source.stages == 1 or source.size == source.neurons_per_core == target.neurons_per_core
        assert delay <= target.ring_depth or (source.stage_steps == target.ring_depth and delay <= target.ring_depth * (1 + source.stages))


def test_arithmetic_by_hand() -> None:
    """The log of the binary: 32 steps are 64 slots, 7 x 32 are 256, 1024 are 2048."""
    assert [delay_slots(*s) for s in ((1, 32), (7, 32), (8, 32), (8, 128))] == [64, 256, 512, 2048]
    assert delay_bytes(215, 1, 128) == delay_bytes(216, 1, 128) == 256 * (216 + 12)
    assert [delay_neurons(1, steps, MEMORY) for steps in (32, 64, 128, 256, 512, 1024, 2048, 4096)] == [904, 444, 216, 100, 44, 16, 0, 0]
    assert [longest_reach(depth, 8, MEMORY) for depth in (32, 64, 128, 256, 512, 1024, 2048, 4096)] == [
        288, 576, 1152, 2048, 2048, 2048, 2048, 4096,
    ]  # fmt: skip
    assert longest_reach(256, 1, MEMORY) == 512


# What boots


def all_shapes() -> Program:
    populations, projections = [], []
    for i, (n, m, longest, *_) in enumerate(SHAPES):
        populations += [Population(f"a{i}", n, SpikeSourceArray()), Population(f"b{i}", m, CELL)]
        projections.append(Projection(f"a{i}", f"b{i}", FromListConnector(spread(n, m, longest)), StaticSynapse()))
    stimulus = random_stimulus(np.random.default_rng(1), "a0", 256, 4, 0.1)
    return lower(
        Network(tuple(populations), tuple(projections), (stimulus,), tuple(Probe(f"b{i}") for i in range(len(SHAPES)))), dt=1.0, n_steps=4
    )


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, MappedNetwork]:
    """All shapes beside one another, mapped by sPyNNaker."""
    folder = tmp_path_factory.mktemp("delay") / "package"
    plan, fitted = export_program(all_shapes(), "delays")
    plan.write(folder)
    with virtual_mapping(folder, board_named("spinn5")) as found:
        return fitted, load_mapping(found)


@needs_board
def test_what_is_fitted_boots(mapped: tuple[Fitted, MappedNetwork]) -> None:
    fitted, network = mapped
    delays = [core for core in network.cores if core.is_delay]
    for p in fitted.placements:
        sizes = [p.neurons_per_core] * (p.size // p.neurons_per_core) + [p.size % p.neurons_per_core] * (p.size % p.neurons_per_core > 0)
        found = sorted((core.low, core.high - core.low, core.stages, core.stage_steps) for core in delays if core.population == p.name)
        assert [rest for _, *rest in found] == [[size, p.stages, p.stage_steps] for size in sizes if p.stages]
    with Machine(network) as machine:  # raises where a core does not boot
        machine.run(4)
    assert len(delays) == sum(p.n_delay_cores for p in fitted.placements)


def boots(network: MappedNetwork, neurons: int, stages: int, steps: int) -> bool:
    """Whether the binary boots with other parameters, all else being as sPyNNaker wrote it."""
    core = next(c for c in network.cores if c.is_delay)
    region = core.regions[1]
    words: Sequence[int] = (*region.words()[:4], neurons, stages, steps, *region.words()[7:])
    regions = {**core.regions, 1: replace(region, content=np.array(words, "<u4").tobytes())}
    alone = replace(core, high=core.low + neurons, stages=stages, stage_steps=steps, regions=regions)
    try:
        with Machine(replace(network, cores=(alone,), populations=())) as machine:
            slots = next(line for line in machine.logs()[core.id] if line.startswith("parrot neurons"))
    except LimitError as error:
        if "run-time error" not in str(error):
            raise
        return False
    assert f"parrot neurons = {neurons}, " in slots
    assert f"(pot = {delay_slots(stages, steps)})" in slots
    return True


@needs_board
@pytest.mark.parametrize("stages", range(1, 9))
def test_one_neuron_more_does_not_boot(mapped: tuple[Fitted, MappedNetwork], stages: int) -> None:
    """For stages of every length that a ring can have."""
    _, network = mapped
    for steps in (2**k for k in range(1, 13)):
        most = delay_neurons(stages, steps, MEMORY)
        assert most == 0 or boots(network, most, stages, steps), (stages, steps)
        assert not boots(network, most + 1, stages, steps), (stages, steps)


@needs_board
def test_a_byte_count_tells_what_boots(mapped: tuple[Fitted, MappedNetwork]) -> None:
    """The limit itself: 2 slots for more and more neurons, in steps of 8 bytes."""
    _, network = mapped
    assert (delay_bytes(29_316, 1, 1), delay_bytes(29_317, 1, 1)) == (MEMORY, MEMORY + 8)
    assert boots(network, 29_316, 1, 1)
    assert not boots(network, 29_317, 1, 1)


@needs_board
def test_late_spikes_arrive_from_every_core(tmp_path: Path) -> None:
    """Delay extensions of sources and of cells, on two cores each and as full as can be: every bit as in the emulation."""
    rng = np.random.default_rng(3)
    cell = IFCurrExp(cm=0.25, v_thresh=-60.0, tau_refrac=2.0, integrator="spinnaker")

    def random(n: int, m: int, k: int, longest: int, weight: float) -> FromListConnector:
        delays = rng.integers(1, longest + 1, k)
        delays[0] = longest
        return FromListConnector(
            np.column_stack([rng.integers(0, n, k), rng.integers(0, m, k), rng.uniform(weight / 2, weight, k), delays])
        )

    network = Network(
        (Population("a", 120, SpikeSourceArray()), Population("b", 120, cell), Population("c", 30, cell), Population("d", 20, cell)),
        (
            Projection("a", "c", random(120, 30, 900, 270, 3.0), StaticSynapse()),
            Projection("a", "b", random(120, 120, 600, 40, 6.0), StaticSynapse()),
            Projection("b", "d", random(120, 20, 800, 270, 3.0), StaticSynapse()),
        ),
        (random_stimulus(rng, "a", 120, 60, 0.03),),
        (Probe("b"), Probe("c"), Probe("d")),
    )
    plan, fitted = export_program(lower(network, dt=1.0, n_steps=320), "late")
    assert [(p.neurons_per_core, p.n_cores, p.stages, p.stage_steps) for p in fitted.placements[:2]] == [(100, 2, 1, 256)] * 2
    plan.write(tmp_path / "package")
    assert verify(tmp_path / "package").equal
