"""``verify``: an export on the board's own binaries, in an ARM emulator, against the emulation of its arithmetic, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuromem.backends.interrupts import held_interrupts
from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.errors import FileError
from neuromem.hardware_targets.spinnaker.limits import board_named
from neuromem.hardware_targets.spinnaker.package import Package, read_package
from neuromem.hardware_targets.spinnaker.readback import Comparison, compare_mapping, sorted_rows
from neuromem.hardware_targets.spinnaker.rebuild import program_of
from neuromem.hardware_targets.spinnaker.virtual import require_spynnaker, virtual_mapping

if TYPE_CHECKING:
    from neuromem.hardware_targets.spinnaker.machine import Machine, MappedNetwork, Synapses

Say = Callable[[str, int, int], None]
"""Called with what is being done, and (done, in all) of it."""


@dataclass(frozen=True)
class Verification:
    """What was compared, in three parts: the emulation with the package's expectation, the mapping with the fit, the binaries with the emulation."""

    expectation: tuple[Comparison, ...]
    mapping: tuple[Comparison, ...]
    binaries: tuple[Comparison, ...]

    @property
    def equal(self) -> bool:
        """Whether all is equal, and the binaries were run."""
        return bool(self.binaries) and all(c.equal for c in (*self.expectation, *self.mapping, *self.binaries))


def verify(folder: Path, say: Say = lambda what, done, total: None) -> Verification:
    """Verify the export in ``folder`` and return all that was compared.

    1. The package is emulated anew: spikes and final weights must be those it expects.
    2. Its ``run.py`` is mapped by sPyNNaker onto a virtual board: cores, synapses and routes must be those of the fit.
    3. The memory images of that mapping run on the unmodified binaries: spikes, v, currents, weights, traces and counts of every
       cell must be those of the emulation, in every bit.

    Raises ``FileError`` for a folder that is no unchanged export, ``BackendMissingError`` without Unicorn or this release of sPyNNaker, ``LimitError`` where it does not map or boot.
    """
    from neuromem.hardware_targets.spinnaker.machine import Machine, load_mapping
    from neuromem.hardware_targets.spinnaker.machine.processor import Processor

    package = read_package(folder)
    require_spynnaker()
    Processor().close()  # what is missing is told now, and not after the mapping
    board = board_named(package.manifest["board"])
    say("emulating", 0, 1)
    simulation = SpinnakerSimulation(program_of(package, states=True), board.name, as_board=True)
    simulation.run()
    expectation = (*compare_expected(package, simulation), compare_fit(package, simulation))
    say("mapping", 0, 1)
    with virtual_mapping(folder, board, states=True) as mapped:
        network = load_mapping(mapped)
        mapping = tuple(compare_mapping(simulation.fitted, network))
        say("booting", 0, 1)
        with ExitStack() as booted:
            with held_interrupts():  # an exception in Unicorn's callbacks would be lost
                machine = booted.enter_context(Machine(network))
            n_steps = package.manifest["n_steps"]
            machine.run(n_steps, source_spikes(package), lambda tick: say("running", tick + 1, n_steps))
            binaries = tuple(compare_run(simulation, machine, network))
    return Verification(expectation, mapping, binaries)


def source_spikes(package: Package) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the input spikes of a package, by population: ticks and units."""
    names = [p["name"] for p in package.manifest["populations"] if p["is_source"]]
    return {name: (package.stimulus[f"{name}.step"], package.stimulus[f"{name}.unit"]) for name in names}


def compare_arrays(what: str, ours: np.ndarray, theirs: np.ndarray, names: tuple[str, str]) -> Comparison:
    """Compare two arrays value by value; the difference names the first place and both values."""
    if ours.shape != theirs.shape:
        return Comparison(what, int(ours.size), f"{ours.shape[0]} rows {names[0]}, {theirs.shape[0]} {names[1]}")
    off = np.argwhere(ours != theirs)
    if not len(off):
        return Comparison(what, int(ours.size))
    place = tuple(off[0].tolist())
    return Comparison(what, int(ours.size), f"{len(off)} differ; first at {place}: {ours[place]} {names[0]}, {theirs[place]} {names[1]}")


def compare_spikes(what: str, ours: np.ndarray, theirs: np.ndarray, names: tuple[str, str]) -> Comparison:
    """Compare spikes, rows of (step, unit) in any order; the difference names the first, and whether it is there more than once."""
    if np.array_equal(sorted_rows(ours), sorted_rows(theirs)):
        return Comparison(what, len(ours))
    a, b = Counter(map(tuple, ours.tolist())), Counter(map(tuple, theirs.tolist()))
    first = min((a - b) | (b - a))
    times = "".join(f", {'twice' if n == 2 else f'{n} times'} {name}" for n, name in zip((a[first], b[first]), names, strict=True) if n > 1)
    only = f"{(a - b).total()} only {names[0]}, {(b - a).total()} only {names[1]}"
    return Comparison(what, len(ours), f"{only}; first at step {first[0]}, unit {first[1]}{times}")


def spikes_of(simulation: SpinnakerSimulation, population: str) -> np.ndarray:
    """Return the spikes of a population as rows of (step, unit)."""
    p = simulation.program.population(population)
    _, step, unit = simulation.spikes()
    mine = (unit >= p.first) & (unit < p.first + p.size)
    return np.stack([step[mine], unit[mine] - p.first], axis=1)


def compare_expected(package: Package, simulation: SpinnakerSimulation) -> list[Comparison]:
    """Compare what the package expects with its emulation."""
    names = ("expected", "emulated")
    compared = [
        compare_spikes(f"{name}: spikes", package.expected[f"spikes.{name}"], spikes_of(simulation, name), names)
        for name in package.manifest["spikes"]
    ]
    for p in simulation.program.plastic:
        compared.append(compare_arrays(f"{p.name}: final weights", package.expected[f"weights.{p.name}"], simulation.words(p.name), names))
    return compared


def compare_fit(package: Package, simulation: SpinnakerSimulation) -> Comparison:
    """Compare the placements in the manifest with those of fitting the package anew."""
    keys = ("neurons_per_core", "ring_depth", "shifts", "input_buffer", "stages", "stage_steps")
    for listed, fitted in zip(package.manifest["populations"], simulation.fitted.placements, strict=True):
        for key in keys:
            again = getattr(fitted, key)
            if listed[key] != (list(again) if isinstance(again, tuple) else again):
                raise FileError(
                    f"{package.folder / 'manifest.json'}: population {fitted.name!r} has {key} {listed[key]}, and this version of neuromem fits it with {again}; expected the version that exported it: export it again."
                )
    return Comparison("placements", len(keys) * len(simulation.fitted.placements))


def compare_run(simulation: SpinnakerSimulation, machine: Machine, network: MappedNetwork) -> list[Comparison]:
    """Compare a run of the binaries with the emulation, of all cells, rows and counts."""
    names = ("emulated", "by the binaries")
    recorded, counted, synapses = machine.recording(), machine.provenance(), machine.synapses()
    rows = simulation.rows()
    compared = []
    for p in simulation.program.populations:
        if p.is_source:
            continue
        found = recorded[p.name]
        compared.append(compare_spikes(f"{p.name}: spikes", spikes_of(simulation, p.name), found.spikes, names))
        for ours, theirs, what in (("v", found.v, "v"), ("isyn_exc", found.gsyn_exc, "isyn_exc"), ("isyn_inh", found.gsyn_inh, "isyn_inh")):
            compared.append(compare_arrays(f"{p.name}: {what}", rows[p.name, ours], theirs, names))
        counts = simulation.counts(p.name)
        words = [counted[piece.core] for piece in network.population(p.name).slices]
        for what, mine, counted_as in (
            ("sums cut off", counts.saturated, ("ring_buffer_saturations", "plastic_saturations")),
            ("packets lost", counts.lost, ("lost_packets",)),
            ("synaptic events", counts.events, ("synaptic_events",)),
        ):
            count = sum(w[name] for w in words for name in counted_as)
            compared.append(Comparison(f"{p.name}: {what}", 1, "" if mine == count else f"{mine} emulated, {count} by the binaries"))
    return [*compared, *compare_learning(simulation, synapses, network, names)]


def compare_learning(
    simulation: SpinnakerSimulation, synapses: Mapping[str, Synapses], network: MappedNetwork, names: tuple[str, str]
) -> list[Comparison]:
    """Compare final weights of all synapses, and of plastic rows the last packet's tick and trace."""
    program = simulation.program
    places = {p.name: i for i, p in enumerate(network.populations)}
    compared = []
    for post in program.populations:
        plastic = [p for p in program.plastic if p.post_name == post.name and p.n_synapses]
        if not plastic:
            continue
        ours = []
        for p in plastic:
            pre, n = program.population(p.pre_name), p.n_synapses
            last, trace = simulation.traces(p.name)
            receptor = np.full(n, int(p.receptor == "inhibitory"))
            columns = (
                np.full(n, places[p.pre_name]),
                p.pre - pre.first,
                p.post - post.first,
                receptor,
                p.delay,
                simulation.words(p.name),
                last,
                trace,
            )
            ours.append(np.stack(columns, axis=1))
        theirs = synapses[post.name]
        mine = theirs.plastic.astype(bool)
        found = (
            theirs.pre_population,
            theirs.pre,
            theirs.post,
            theirs.receptor,
            theirs.delay,
            theirs.weight,
            theirs.last_pre,
            theirs.pre_trace,
        )
        a = sorted_rows(np.concatenate(ours))
        b = sorted_rows(np.stack([c[mine].astype(np.int64) for c in found], axis=1))
        for what, column in (("final weights", 5), ("ticks of last input", 6), ("pre traces", 7)):
            one = a[:, [0, 1, 2, 3, 4, column]]
            other = b[:, [0, 1, 2, 3, 4, column]]
            compared.append(
                Comparison(f"{post.name}: {what}", len(a), "" if np.array_equal(one, other) else _first_synapse(one, other, names))
            )
    return compared


def _first_synapse(a: np.ndarray, b: np.ndarray, names: tuple[str, str]) -> str:
    if a.shape != b.shape:
        return f"{len(a)} synapses {names[0]}, {len(b)} {names[1]}"
    row = int(np.flatnonzero(np.any(a != b, axis=1))[0])
    off = int(np.sum(np.any(a != b, axis=1)))
    return f"{off} differ; first from {a[row, 1]} to {a[row, 2]}: {a[row, 5]} {names[0]}, {b[row, 5]} {names[1]}"
