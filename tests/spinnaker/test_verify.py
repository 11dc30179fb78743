"""``verify``: the emulation, sPyNNaker's mapping and the board's own binaries on one network are equal in every bit.

Each network is mapped once. A witness that cannot tell is none: emulations that are slightly wrong must be found out.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_testing import golden, say
from exported import cell, random_stimulus, random_synapses, small

from neuromem.backends import spinnaker_layout
from neuromem.errors import BackendMissingError, FileError, LimitError
from neuromem.exports import verify as verification
from neuromem.exports.spinnaker import export_memory, export_program
from neuromem.exports.verify import Verification, verify
from neuromem.hardware_targets.spinnaker import fixed_point, limits
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.limits import Board, board_named
from neuromem.hardware_targets.spinnaker.package import read_package
from neuromem.hardware_targets.spinnaker.readback import Comparison, compare_mapping
from neuromem.hardware_targets.spinnaker.rebuild import program_of
from neuromem.hardware_targets.spinnaker.virtual import virtual_mapping
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.models.ca3_cam import ca3_cam, functional
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FromListConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

for module in ("spynnaker", "unicorn"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'neuromem[spinnaker]'", allow_module_level=True)

RULE = STDP(SpikePairRule(20.0, 17.0, 0.11, 0.07), AdditiveWeightDependence(0.0, 3.0), "deferred")


def program(populations: list[Population], projections: list[Projection], stimulus: Stimulus, n_steps: int, dt: float = 1.0) -> Program:
    probes = tuple(Probe(p.name) for p in populations if p.cell.state)
    return lower(Network(tuple(populations), tuple(projections), (stimulus,), probes), dt=dt, n_steps=n_steps)


def balanced(dt: float = 1.0) -> Program:
    """Excitation and inhibition, 50 cells; several cores each on a board whose cores hold 16."""
    rng = np.random.default_rng(4)
    return program(
        [Population("src", 10, SpikeSourceArray()), Population("exc", 40, cell()), Population("inh", 10, cell(tau_m=9.7, cm=0.31))],
        [
            Projection("src", "exc", random_synapses(rng, 10, 40, 0.4, (1, 3), [dt, 2 * dt, 3 * dt]), StaticSynapse()),
            Projection("exc", "exc", random_synapses(rng, 40, 40, 0.1, (0.3, 1), [k * dt for k in range(1, 9)]), StaticSynapse()),
            Projection("exc", "inh", random_synapses(rng, 40, 10, 0.2, (0.3, 1), [dt, 2 * dt]), StaticSynapse()),
            Projection("inh", "exc", random_synapses(rng, 10, 40, 0.3, (0.3, 1), [dt, 2 * dt, 3 * dt]), StaticSynapse(), "inhibitory"),
        ],
        random_stimulus(rng, "src", 10, 60, 0.15, dt), 60, dt,
    )  # fmt: skip


def learning() -> Program:
    """Plastic synapses of many delays, excitatory and inhibitory, with static ones beside them."""
    rng = np.random.default_rng(5)
    delays = [1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 13.0]
    return program(
        [Population("src", 12, SpikeSourceArray()), Population("cells", 24, cell())],
        [
            Projection("src", "cells", random_synapses(rng, 12, 24, 0.4, (0.5, 2.5), delays), StaticSynapse(), plasticity=RULE),
            Projection("cells", "cells", random_synapses(rng, 24, 24, 0.1, (0.3, 1), delays), StaticSynapse(), "inhibitory", plasticity=RULE),
            Projection("src", "cells", random_synapses(rng, 12, 24, 0.2, (1, 3), [1.0, 4.0]), StaticSynapse(), name="teach"),
        ],
        random_stimulus(rng, "src", 12, 120, 0.12), 120,
    )  # fmt: skip


def far() -> Program:
    """Ring buffers of 64 steps, and delays of up to 100: one stage of delay extension."""
    rng = np.random.default_rng(6)
    return program(
        [Population("src", 12, SpikeSourceArray()), Population("cells", 130, cell(tau_refrac=9.0))],
        [
            Projection("src", "cells", random_synapses(rng, 12, 130, 0.25, (1, 3), [1.0, 5.0, 64.0]), StaticSynapse()),
            Projection("cells", "cells", random_synapses(rng, 130, 130, 0.01, (0.3, 1), [1.0, 40.0, 63.0, 64.0, 65.0, 100.0]), StaticSynapse()),
        ],
        random_stimulus(rng, "src", 12, 110, 0.04), 110,
    )  # fmt: skip


def crowded() -> Program:
    """Volleys of more packets than the smallest buffer takes, whose sums are cut off; small learning steps forbid a larger shift."""
    everyone = [(i, j, 1.0, 1.0 + i % 2) for i in range(100) for j in range(4)]
    plastic = [(i, j, 0.9, 1.0) for i in range(100) for j in range(4)]
    rule = STDP(SpikePairRule(20.0, 17.0, 0.01, 0.007), AdditiveWeightDependence(0.0, 1.0), "deferred")
    step, unit = np.divmod(np.arange(600), 100)
    return program(
        [Population("src", 100, SpikeSourceArray()), Population("cells", 4, cell())],
        [
            Projection("src", "cells", FromListConnector(everyone), StaticSynapse(), name="static"),
            Projection("src", "cells", FromListConnector(plastic), StaticSynapse(), plasticity=rule),
        ],
        Stimulus("src", unit, 1.0 + 5 * step), 32,
    )  # fmt: skip


def medium() -> Program:
    """1,500 cells, for booting only."""
    rng = np.random.default_rng(7)
    n = 3000
    pairs = np.column_stack([rng.integers(0, 1200, n), rng.integers(0, 1200, n), rng.uniform(0.2, 1, n), rng.integers(1, 16, n)])
    across = np.column_stack([rng.integers(0, 1200, n), rng.integers(0, 300, n), rng.uniform(0.2, 1, n), rng.integers(1, 40, n)])
    back = np.column_stack([rng.integers(0, 300, n), rng.integers(0, 1200, n), rng.uniform(0.2, 1, n), rng.integers(1, 16, n)])
    return program(
        [Population("src", 50, SpikeSourceArray()), Population("exc", 1200, cell()), Population("inh", 300, cell())],
        [
            Projection("src", "exc", random_synapses(rng, 50, 1200, 0.02, (1, 3), [1.0]), StaticSynapse()),
            Projection("exc", "exc", FromListConnector(pairs), StaticSynapse(), plasticity=RULE),
            Projection("exc", "inh", FromListConnector(across), StaticSynapse()),
            Projection("inh", "exc", FromListConnector(back), StaticSynapse(), "inhibitory"),
        ],
        random_stimulus(rng, "src", 50, 10, 0.1), 10,
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], Program]] = {
    "balanced": balanced,
    "half a millisecond": functools.partial(balanced, 0.5),
    "learning": learning,
    "far": far,
    "crowded": crowded,
    "medium": medium,
    "small": small,
}


def boards_of_16() -> dict[str, Board]:
    """The boards with cores for 16 neurons."""
    neurons = {"core.neurons": replace(board_named("spinn5").limits["core.neurons"], value=16)}
    return {name: replace(board, limits=board.limits | neurons) for name, board in limits.boards().items()}


SMALL_CORES = boards_of_16()


@contextmanager
def board_for(name: str) -> Iterator[None]:
    """Cores of 16 neurons for the networks that are to have several cores for each population."""
    with pytest.MonkeyPatch.context() as patch:
        if name in ("balanced", "half a millisecond"):
            patch.setattr(limits, "boards", lambda: SMALL_CORES)
        yield


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages, by name of the network."""
    place = tmp_path_factory.mktemp("packages")
    plan, _ = export_memory(ca3_cam(n_cues=5, n_content=10), functional(5, 10))
    plan.write(place / "ca3-cam")
    found = {"ca3-cam": place / "ca3-cam"}
    for name, build in NETWORKS.items():
        with board_for(name):
            plan, _ = export_program(build(), name)
        found[name] = place / name.replace(" ", "_")
        plan.write(found[name])
    return found


@pytest.fixture(scope="session")
def mapped(packages: dict[str, Path]) -> Iterator[Callable[[str], Path]]:
    """Return the folder of a network's mapping; each is made once, when it is first asked for."""
    with ExitStack() as stack:
        made: dict[str, Path] = {}

        def of(name: str) -> Path:
            if name not in made:
                made[name] = stack.enter_context(virtual_mapping(packages[name], board_named("spinn5"), states=True))
            return made[name]

        yield of


@pytest.fixture
def verified(packages: dict[str, Path], mapped: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Verification]:
    """Verify a package with the mapping that there is."""

    def run(name: str) -> Verification:
        @contextmanager
        def there(package: Path, board: Board, *, states: bool) -> Iterator[Path]:
            assert (package, states) == (packages[name], True)
            yield mapped(name)

        monkeypatch.setattr(verification, "virtual_mapping", there)
        with board_for(name):
            return verify(packages[name])

    return run


def differences(found: Verification) -> dict[str, str]:
    return {c.what: c.difference for c in (*found.expectation, *found.mapping, *found.binaries) if not c.equal}


def n_values(compared: tuple[Comparison, ...], ending: str) -> int:
    return sum(c.values for c in compared if c.what.endswith(ending))


@pytest.mark.parametrize("name", ["ca3-cam", "balanced", "half a millisecond", "learning", "far", "crowded"])
def test_emulation_mapping_and_binaries_are_equal(name: str, verified: Callable[[str], Verification], packages: dict[str, Path]) -> None:
    found = verified(name)
    assert differences(found) == {}
    assert found.equal
    manifest = read_package(packages[name]).manifest
    cells = [p for p in manifest["populations"] if not p["is_source"]]
    states = manifest["n_steps"] * sum(p["size"] for p in cells)
    assert [n_values(found.binaries, v) for v in (": v", ": isyn_exc", ": isyn_inh")] == [states] * 3
    assert sum(manifest["spikes"].values()) > 40
    assert n_values(found.mapping, "(from, to, receptor, weight, delay, rule)") == 7 * sum(p["n_synapses"] for p in manifest["projections"])


def test_the_networks_are_what_they_are_for(packages: dict[str, Path]) -> None:
    """Several cores, delay extensions, weights that change, and counts above 0; or the test above would show less than it says."""
    manifests = {name: read_package(folder).manifest for name, folder in packages.items()}

    def layout(name: str, key: str) -> dict[str, int]:
        return {p["name"]: p[key] for p in manifests[name]["populations"]}

    for name in ("balanced", "half a millisecond"):
        assert layout(name, "cores") == {"src": 1, "exc": 3, "inh": 1}
    assert (layout("far", "ring_depth"), layout("far", "stages"), layout("far", "cores")) == (
        {"src": 0, "cells": 64}, {"src": 0, "cells": 1}, {"src": 1, "cells": 2},
    )  # fmt: skip
    assert manifests["half a millisecond"]["dt"] == 0.5
    assert manifests["crowded"]["counts"]["cells"]["saturated"] > 0
    for name in ("learning", "crowded", "ca3-cam"):
        package = read_package(packages[name])
        for p in package.manifest["projections"]:
            if p["plastic"]:
                before = np.rint(np.abs(package.tables[p["projection"]][:, 2]) / p["resolution"])
                assert np.mean(before != package.expected[f"weights.{p['projection']}"]) > 0.1
