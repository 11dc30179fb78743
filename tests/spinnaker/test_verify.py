"""``verify``: the emulation, sPyNNaker's mapping and the board's own binaries on one network are equal in every bit.

Each network is mapped once. A witness that cannot tell is none: emulations that are slightly wrong must be found out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verify_networks import NETWORKS, board_for, export_networks

from neuromem.backends import spinnaker_layout
from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.exports import verify as verification
from neuromem.exports.verify import Verification, verify
from neuromem.hardware_targets.spinnaker import fixed_point, limits
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.limits import Board, board_named
from neuromem.hardware_targets.spinnaker.machine import Machine, MappedNetwork, load_mapping
from neuromem.hardware_targets.spinnaker.machine.router import Router
from neuromem.hardware_targets.spinnaker.package import Package, read_package
from neuromem.hardware_targets.spinnaker.readback import Comparison, compare_mapping
from neuromem.hardware_targets.spinnaker.rebuild import program_of
from neuromem.hardware_targets.spinnaker.virtual import virtual_mapping
from neuromem.kernels.reference import spinnaker as kernel

for module in ("spynnaker", "unicorn"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'neuromem[spinnaker]'", allow_module_level=True)


@dataclass(frozen=True)
class Ran:
    """A package, its mapping, and a board that has run it."""

    package: Package
    network: MappedNetwork
    machine: Machine


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages, by name of the network."""
    return export_networks(tmp_path_factory.mktemp("packages"), ["ca3-cam", *NETWORKS])


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


@pytest.mark.parametrize("name", ["ca3-cam", *(name for name in NETWORKS if name not in ("medium", "small"))])
def test_emulation_mapping_and_binaries_are_equal(name: str, verified: Callable[[str], Verification], packages: dict[str, Path]) -> None:
    found = verified(name)
    assert differences(found) == {}
    assert found.equal
    manifest = read_package(packages[name]).manifest
    cells = [p for p in manifest["populations"] if not p["is_source"]]
    states = manifest["n_steps"] * sum(p["size"] for p in cells)
    assert [n_values(found.binaries, v) for v in (": v", ": isyn_exc", ": isyn_inh")] == [states] * 3
    assert sum(manifest["spikes"].values()) >= 40
    assert n_values(found.mapping, "(from, to, receptor, weight, delay, rule)") == 7 * sum(p["n_synapses"] for p in manifest["projections"])


def test_the_networks_are_what_they_are_for(packages: dict[str, Path]) -> None:
    """Several cores, delay extensions, weights that change, and counts above 0; or the test above would show less than it says."""
    manifests = {name: read_package(folder).manifest for name, folder in packages.items()}

    def layout(name: str, key: str) -> dict[str, int]:
        return {p["name"]: p[key] for p in manifests[name]["populations"]}

    for name in ("balanced", "half a millisecond"):
        assert layout(name, "cores") == {"src": 1, "exc": 3, "inh": 1}
    for name, shape in (("far", (64, 1, 3)), ("staged", (32, 3, 1))):
        assert tuple(layout(name, key)["cells"] for key in ("ring_depth", "stages", "cores")) == shape
    assert manifests["half a millisecond"]["dt"] == 0.5
    assert manifests["crowded"]["counts"]["cells"]["saturated"] > 0
    for name in ("learning", "crowded", "ca3-cam"):
        package = read_package(packages[name])
        for p in package.manifest["projections"]:
            if p["plastic"]:
                before = np.rint(np.abs(package.tables[p["projection"]][:, 2]) / p["resolution"])
                assert np.mean(before != package.expected[f"weights.{p['projection']}"]) > 0.1


@pytest.fixture(scope="session")
def ran(packages: dict[str, Path], mapped: Callable[[str], Path]) -> Iterator[Callable[[str], Ran]]:
    """Run a network on the binaries, once."""
    with ExitStack() as stack:
        done: dict[str, Ran] = {}

        def of(name: str) -> Ran:
            if name not in done:
                package, network = read_package(packages[name]), load_mapping(mapped(name))
                machine = stack.enter_context(Machine(network))
                machine.run(package.manifest["n_steps"], verification.source_spikes(package))
                done[name] = Ran(package, network, machine)
            return done[name]

        yield of


Change = Callable[[pytest.MonkeyPatch], None]
"""Makes the emulation wrong before it is laid out."""


def scale_of_the_full_range(patch: pytest.MonkeyPatch) -> None:
    def constants(**parameters: float) -> fixed_point.CellConstants:
        c = fixed_point.cell_constants(**parameters)
        tau = fixed_point.s1615(parameters["tau_syn_E"])
        full = (fixed_point.quotient(tau, fixed_point.s1615(parameters["dt"])) * (2**32 - c.decay_exc)) >> 15
        assert 0 < full - c.scale_exc <= tau / fixed_point.s1615(parameters["dt"]) + 1
        return replace(c, scale_exc=full)

    patch.setattr(spinnaker_layout, "cell_constants", constants)


def refractory_rounded_down(patch: pytest.MonkeyPatch) -> None:
    def constants(**parameters: float) -> fixed_point.CellConstants:
        c = fixed_point.cell_constants(**parameters)
        return replace(c, refractory=int(parameters["tau_refrac"] / parameters["dt"]))

    patch.setattr(spinnaker_layout, "cell_constants", constants)


def traces_rounded_to_the_nearest(patch: pytest.MonkeyPatch) -> None:
    def table(tau: float, dt: float) -> np.ndarray:
        n = len(fixed_point.trace_table(tau, dt))
        return np.rint(2048 * np.exp(-np.arange(n) * dt / tau)).astype(np.int64)

    patch.setattr(spinnaker_layout, "trace_table", table)


def axonal_delays(patch: pytest.MonkeyPatch) -> None:
    """Post spikes reach a synapse at once, as if its delay were the axon's."""
    learn = kernel._learn
    patch.setattr(kernel, "_learn", lambda tables, state, r, t: learn(tables._replace(delay=0 * tables.delay), state, r, t))


def sums_without_end(patch: pytest.MonkeyPatch) -> None:
    """Ring buffers of more bits than 16."""
    patch.setattr(kernel, "min", lambda a, b: a if b == 65535 else min(a, b), raising=False)


def two_events(patch: pytest.MonkeyPatch) -> None:
    """Cells that remember two of their spikes, and not 15."""
    other = {"core.post_events": replace(board_named("spinn5").limits["core.post_events"], value=2)}
    boards = {name: replace(board, limits=board.limits | other) for name, board in limits.boards().items()}
    patch.setattr(limits, "boards", lambda: boards)


def nothing(patch: pytest.MonkeyPatch) -> None:
    """The arithmetic as it is."""


def compare(package: Package, ran: Ran, change: Change, heavier: str = "") -> set[str]:
    """Emulate in a wrong way; return the kinds of values that differ from the binaries' run."""
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        simulation = SpinnakerSimulation(program_of(package, states=True), "spinn5", as_board=True, advance=kernel.advance)
        if heavier:
            simulation.state.weight[simulation.layout.place[heavier]] += 1
        simulation.run()
    compared = verification.compare_run(simulation, ran.machine, ran.network)
    return {c.what.rpartition(": ")[2] for c in compared if not c.equal}


@pytest.mark.parametrize(
    ("name", "change", "heavier", "found"),
    [
        ("learning", nothing, "", set()),
        ("crowded", nothing, "", set()),
        ("learning", nothing, "src>cells", {"final weights", "isyn_exc"}),
        ("learning", nothing, "teach", {"isyn_exc"}),
        ("learning", scale_of_the_full_range, "", {"isyn_exc"}),
        ("learning", refractory_rounded_down, "", {"v", "spikes"}),
        ("learning", traces_rounded_to_the_nearest, "", {"final weights", "pre traces"}),
        ("learning", axonal_delays, "", {"final weights"}),
        ("learning", two_events, "", {"final weights"}),
        ("crowded", sums_without_end, "", {"isyn_exc"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_slightly_wrong_emulation_is_found_out(
    name: str, change: Change, heavier: str, found: set[str], ran: Callable[[str], Ran]
) -> None:
    """With nothing changed no value differs; each change shows in the values that it touches first, and whatever follows."""
    done = ran(name)
    wrong = compare(done.package, done, change, heavier)
    assert found <= wrong
    assert bool(wrong) == bool(found)


def test_a_mapping_of_other_synapses_cores_or_routes_is_found_out(
    packages: dict[str, Path], ran: Callable[[str], Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ran("learning")
    fitted = fit(program_of(done.package), "spinn5")

    def differing(other: Fitted) -> list[str]:
        return [f"{c.what}: {c.difference}" for c in compare_mapping(other, done.network) if not c.equal]

    assert differing(fitted) == []
    words = {name: w.copy() for name, w in fitted.words.items()}
    words["teach"][0] += 1
    (said,) = differing(replace(fitted, words=words))
    table = done.package.tables["teach"][0]
    word = fitted.words["teach"][0]
    n = sum(p.n_synapses for p in fitted.program.projections if p.post_name == "cells")
    assert said == (
        f"cells: synapses (from, to, receptor, weight, delay, rule): {n} fitted, {n} mapped, 1 missing, 1 not expected; first from "
        f"src[{table[0]:g}] to [{table[1]:g}], receptor 0, weight {word}, delay {table[3]:g}"
    )

    def placed(**changes: Any) -> Fitted:
        return replace(fitted, placements=tuple(replace(q, **changes) if q.name == "cells" else q for q in fitted.placements))

    q = fitted.placement("cells")
    assert differing(placed(shifts=(q.shifts[0] + 1, q.shifts[1]))) == [
        f"cells: shifts and ring depth: {(q.shifts[0] + 1, q.shifts[1], q.ring_depth)} fitted, {(*q.shifts, q.ring_depth)} mapped"
    ]
    assert differing(placed(neurons_per_core=12)) == [
        "neurons of each core: population 'cells': cores of [(0, 12), (12, 24)] fitted, [(0, 24)] mapped"
    ]
    monkeypatch.setattr(Router, "route", lambda self, key: ("", ()))
    assert differing(fitted) == ["routes: cores that spikes must reach: spikes of cells, core 0, do not reach cells, core 0"]


def test_a_medium_network_boots(packages: dict[str, Path], mapped: Callable[[str], Path]) -> None:
    """1,000 cells on several chips: every binary allocates what it needs, of which the mapping knows nothing."""
    network = load_mapping(mapped("medium"))
    fitted = fit(program_of(read_package(packages["medium"])), "spinn5")
    assert [c for c in compare_mapping(fitted, network) if not c.equal] == []
    assert sum(p.n_synapses for p in fitted.program.projections) > 9000
    with Machine(network) as machine:
        logs = machine.logs()
    assert len(logs) == fitted.resources.cores - sum(q.n_cores for q in fitted.placements if q.is_source)
