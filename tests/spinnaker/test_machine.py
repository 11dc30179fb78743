"""The emulated board: binaries against an integer model in every bit, and what it says when something is wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_networks import NETWORKS, RULE
from integer_model import TWO_32, IntegerModel, Rule, divide, s1615
from mapping_runs import make_mappings
from networks import Net

from neuromem.errors import BackendMissingError, FileError, LimitError, SpecError, UnsupportedError
from neuromem.hardware_targets.spinnaker.machine import Machine, MappedNetwork, Synapses, image, load_mapping, phases

for package in ("spynnaker", "unicorn"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; pip install 'neuromem[spinnaker]'", allow_module_level=True)

Spikes = dict[str, list[tuple[int, int]]]
EQUAL = [n for n in NETWORKS if n not in ("a burst", "some recorded", "too large")]


@pytest.fixture(scope="session")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of every network's mapping, made once: about a second each."""
    scripts = {name.replace(" ", "_"): net.script() for name, net in NETWORKS.items()}
    made = make_mappings(tmp_path_factory.mktemp("spinnaker") / "home", scripts)
    return {name: made[name.replace(" ", "_")] for name in NETWORKS}


def spikes_of(net: Net) -> Spikes:
    """Random source spikes; those of a crowd come together every fifth tick."""
    if "src" in net.sources and net.sources["src"] == 120:
        together = [(t, i) for t in range(0, net.n_ticks, 5) for i in range(120)]
        return {"src": together, "teach": [(t + 2, i) for t in range(0, net.n_ticks - 2, 5) for i in range(4)]}
    rng = np.random.default_rng(3)
    return {name: [(int(t), int(i)) for t, i in np.argwhere(rng.random((net.n_ticks, size)) < 0.15)] for name, size in net.sources.items()}


def arrays(spikes: Spikes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (np.array([t for t, _ in s], int), np.array([i for _, i in s], int)) for name, s in spikes.items()}


def as_list(network: MappedNetwork, synapses: Synapses) -> list[tuple[Any, ...]]:
    """The synapses of a population as ``IntegerModel.synapses`` has them."""
    columns = (
        synapses.pre, synapses.post, synapses.receptor, synapses.delay, synapses.weight,
        synapses.plastic, synapses.last_pre, synapses.pre_trace,
    )  # fmt: skip
    names = [network.populations[i].name for i in synapses.pre_population]
    return sorted(zip(names, *(c.tolist() for c in columns), strict=True))


def differing(machine: Machine, model: IntegerModel) -> list[str]:
    """Everything in which a run of the binaries and one of the model differ."""
    found = []
    recording, counted, synapses = machine.recording(), machine.provenance(), machine.synapses()
    for name, states in model.recorded.items():
        for variable, rows in states.items():
            recorded = getattr(recording[name], variable)
            if recorded.dtype != np.int32 or not np.array_equal(recorded, np.array(rows)):
                found.append(f"{name}.{variable}")
        if [tuple(s) for s in recording[name].spikes.tolist()] != sorted(model.spikes[name]):
            found.append(f"{name}.spikes")
        if as_list(machine.network, synapses[name]) != model.synapses(name):
            found.append(f"{name} synapses")
    expected = {
        "ring_buffer_saturations": model.saturations,
        "plastic_saturations": model.plastic_saturations,
        "skipped_synapses": model.plastic_losses,
    }
    for word, value in expected.items():
        total = sum(c.get(word, 0) for c in counted.values())
        if total != value:
            found.append(f"{word} {total}, expected {value}")
    for words in counted.values():
        for word in ("lost_packets", "late_spikes", "invalid_table_hits", "transmit_overflows", "tick_overruns"):
            if words.get(word, 0):
                found.append(f"{word} {words[word]}")
    return found


@pytest.fixture
def run(mappings: dict[str, Path]) -> Callable[..., tuple[list[str], IntegerModel]]:
    """Run a network both ways, in parts of ``parts`` ticks; ``change`` the model before. Returns what differs, and the model."""

    def run_both(
        name: str, parts: tuple[int, ...] | None = None, change: Callable[[IntegerModel], None] | None = None
    ) -> tuple[list[str], IntegerModel]:
        net = NETWORKS[name]
        network = load_mapping(mappings[name])
        spikes = spikes_of(net)
        with Machine(network) as machine:
            before = machine.synapses()
            model = net.model(before, [p.name for p in network.populations])
            for population, synapses in before.items():
                assert as_list(network, synapses) == model.synapses(population), f"{name}: synapses of {population} as loaded"
            if change is not None:
                change(model)
            for n_ticks in parts or (net.n_ticks,):
                machine.run(n_ticks, arrays(spikes))
            model.run(net.n_ticks, spikes)
            return differing(machine, model), model

    return run_both


@pytest.mark.parametrize("name", EQUAL)
def test_binaries_and_integer_model_are_equal_in_every_bit(name: str, run: Callable[..., tuple[list[str], IntegerModel]]) -> None:
    differences, model = run(name)
    assert differences == []
    assert min(len(s) for s in model.spikes.values()) > 3  # of networks that do something
    assert (model.saturations > 0, model.plastic_saturations > 0) == (name == "a crowd",) * 2
    assert (model.plastic_losses > 0) == (name in ("a delay of the whole ring", "a crowd"))


@pytest.mark.parametrize("name", ["three cores", "delay extension"])
def test_runs_in_three_parts_equal_one(name: str, run: Callable[..., tuple[list[str], IntegerModel]]) -> None:
    assert run(name, (20, 20, 20))[0] == []


def scale_of_the_full_range(model: IntegerModel) -> None:
    """1 - decay from 2^32 instead of 2^32 - 1."""
    for name, (resistance, keep, decay, _, refractory) in model.constants.items():
        cell = model.cells[name]
        assert cell is not None
        taus = (s1615(cell.tau_syn_E), s1615(cell.tau_syn_I))
        scale = [divide(tau, s1615(model.dt)) * (TWO_32 - d) >> 15 for tau, d in zip(taus, decay, strict=True)]
        model.constants[name] = (resistance, keep, decay, scale, refractory)


def traces_of_twice_the_time(model: IntegerModel) -> None:
    for rows in model.rows.values():
        for row in rows:
            if row.rule is not None:
                row.rule = Rule(40.0, 34.0, RULE.A_plus, RULE.A_minus, RULE.w_min, RULE.w_max)


def packets_from_the_last_unit_to_the_first(model: IntegerModel) -> None:
    model.rank = lambda event: (0, 0, -event[2])  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("name", "change", "differs"),
    [
        ("delay extension", scale_of_the_full_range, "cells.gsyn_exc"),
        ("learning", traces_of_twice_the_time, "cells synapses"),
        ("a crowd", packets_from_the_last_unit_to_the_first, "plastic_saturations"),
    ],
)
def test_a_model_that_is_a_little_wrong_differs(
    name: str, change: Callable[[IntegerModel], None], differs: str, run: Callable[..., tuple[list[str], IntegerModel]]
) -> None:
    assert any(d.startswith(differs) for d in run(name, change=change)[0])


def test_the_input_buffer_holds_255_packets(mappings: dict[str, Path]) -> None:
    with Machine(load_mapping(mappings["a burst"])) as machine:
        machine.run(10, {"src": (np.full(300, 2), np.arange(300))})
        (counted,) = machine.provenance().values()
        (packets,) = machine.recording()["cells"].packets.values()
    assert (counted["lost_packets"], counted["synaptic_events"], counted["largest_input_buffer"]) == (45, 255, 255)
    assert packets.tolist() == [0, 0, 300, 0, 0, 0, 0, 0, 0, 0]


def test_packets_of_the_wrong_colour_are_late(mappings: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "coloured", lambda key, tick: key | (tick - 1) & 15)
    with Machine(load_mapping(mappings["one cell"])) as machine:
        machine.run(20, {"src": (np.array([5, 9]), np.array([0, 1]))})
        (counted,) = machine.provenance().values()
    # one tick late: the synapse with a delay of 1 is left out, that of 3 arrives in time; rows are counted, of two projections
    assert (counted["skipped_synapses"], counted["late_spikes"], counted["largest_lateness"]) == (1, 4, 1)


def test_only_some_units_are_recorded(mappings: dict[str, Path]) -> None:
    network = load_mapping(mappings["some recorded"])
    with Machine(network) as machine:
        machine.run(20, {"src": (np.array([1, 1, 5]), np.array([0, 1, 2]))})
        recording = machine.recording()["cells"]
    assert {name: units.tolist() for name, units in recording.units.items()} == {"v": [3, 17, 20, 39], "gsyn_exc": [], "gsyn_inh": []}
    assert recording.v.shape == (20, 4)
    assert (recording.v == recording.v[:, :1]).all()  # all cells get the same
    assert np.unique(recording.spikes[:, 1]).tolist() == list(range(40))
    assert recording.packets == {}


def test_a_mapping_says_what_it_holds(mappings: dict[str, Path]) -> None:
    network = load_mapping(mappings["three cores"])
    assert [(p.name, p.size, p.is_source) for p in network.populations] == [("src", 10, True), ("cells", 40, False)]
    assert [(s.low, s.high) for s in network.population("cells").slices] == [(0, 16), (16, 32), (32, 40)]
    assert {c.binary for c in network.cores} == {"reverse_iptag_multicast_source", "IF_curr_exp_stdp_mad_pair_additive"}
    assert (network.tick_us, network.core(network.population("src").slices[1].core).low) == (1000, 4)
    delayed = load_mapping(mappings["delay extension"])
    (extension,) = [c for c in delayed.cores if c.is_delay]
    assert (extension.population, extension.low, extension.high, extension.stages, extension.stage_steps) == ("cells", 0, 200, 1, 32)
    assert len({c.id[:2] for c in load_mapping(mappings["two chips"]).cores}) == 2


def test_logs_are_in_words(mappings: dict[str, Path]) -> None:
    with Machine(load_mapping(mappings["one cell"])) as machine:
        (lines,) = machine.logs().values()
    assert lines[0] == "magic = ad130ad6, version = 1.0"
    assert lines[-1] == "Ready to process synapses for 1 neurons with 2 synapse types"


def test_a_core_that_does_not_boot(mappings: dict[str, Path]) -> None:
    with pytest.raises(
        LimitError,
        match=r"^core 0,0,\d+ \(cells\(0:255\), IF_curr_exp_stdp_mad_pair_additive\): after it booted its state is 2 \(run-time error\) "
        r"with rt_code 19 \(the application gave up while starting\); expected state 10 \(booted and paused\); fewer neurons per "
        r"core than its 256, or shorter delays, need less memory; the end of its log:(\n  .*){3}\n  Unable to allocate global STDP "
        r"structures - Out of DTCM: Try reducing the number of neurons per core to fix this problem$",
    ):
        Machine(load_mapping(mappings["too large"]))


def test_wrong_runs_are_refused(mappings: dict[str, Path]) -> None:
    with Machine(load_mapping(mappings["one cell"])) as machine:
        for call, message in (
            (lambda: machine.run(0), "Machine.run: n_ticks is 0; expected at least 1 tick; leave the call out to run none"),
            (
                lambda: machine.run(1, {"scr": (np.array([0]), np.array([0]))}),
                "Machine.run: spikes for 'scr', which is no source population (did you mean 'src'?); expected some of: src",
            ),
            (
                lambda: machine.run(1, {"src": (np.array([0]), np.array([3]))}),
                "Machine.run: spikes for 'src' have unit 3; expected 0 to 2",
            ),
        ):
            with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
                call()


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_ctrl_c_ends_a_run(mappings: dict[str, Path]) -> None:
    seen: list[int] = []

    def press(tick: int) -> None:
        seen.append(tick)
        if tick == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with Machine(load_mapping(mappings["one cell"])) as machine:
        with pytest.raises(KeyboardInterrupt):
            machine.run(50, {}, press)
        assert seen == [0, 1, 2, 3]
        assert signal.getsignal(signal.SIGINT) is before
        with pytest.raises(
            SpecError,
            match=r"^Machine\.run: the run before was interrupted; expected a board between two runs; make a new Machine$",
        ):
            machine.run(1)


REPORTS = (
    "expected the folder run_1 of a mapping with keep_dataspec_database, write_json_placements, write_json_routing_tables "
    "and keep_json_files = True in the section [Reports] of spynnaker.cfg"
)


@pytest.fixture
def folder(mappings: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a mapping, to spoil."""
    return Path(shutil.copytree(mappings["one cell"], tmp_path / "run_1"))


@pytest.mark.parametrize("name", ["ds.sqlite3", "json_files/placements.json", "json_files/routing_tables.json"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileError, match=f"^{re.escape(f'{folder / name}: no such file; {REPORTS}')}$"):
        load_mapping(folder)


def test_files_that_are_something_else(folder: Path) -> None:
    (folder / "ds.sqlite3").write_text("nonsense" * 1000)
    message = f"{folder / 'ds.sqlite3'}: not a database of data specifications (file is not a database); {REPORTS}"
    with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        load_mapping(folder)
    (folder / "json_files" / "placements.json").write_text("{")
    with pytest.raises(FileError, match=rf"^.*placements\.json: not JSON \(Expecting property name .*\); {re.escape(REPORTS)}$"):
        load_mapping(folder)


def rewrite(folder: Path, label: str, change: Callable[[bytes], bytes]) -> tuple[int, int, int]:
    """Change the region called ``label``, which one core of an application has; return which core that is."""
    with closing(sqlite3.connect(folder / "ds.sqlite3")) as connection:
        query = "SELECT x, y, p, region_num, content FROM region NATURAL JOIN core WHERE is_system = 0 AND region_label = ?"
        ((x, y, p, number, content),) = connection.execute(query, (label,)).fetchall()
        connection.execute("UPDATE region SET content = ? WHERE (x, y, p, region_num) = (?, ?, ?, ?)", (change(content), x, y, p, number))
        connection.commit()
    return x, y, p


def test_an_unknown_binary(folder: Path) -> None:
    x, y, p = rewrite(folder, "System", lambda content: b"\1\2\3\4" + content[4:])
    with pytest.raises(
        FileError,
        match=rf"^{re.escape(str(folder))}/ds\.sqlite3: core {x},{y},{p}: the binary 0x04030201 is none of the \d+ that the installed "
        r"sPyNNaker has; expected a mapping made by the installed version; make the mapping again$",
    ):
        load_mapping(folder)


def test_a_binary_that_is_not_understood(folder: Path) -> None:
    word = int(hashlib.md5(b"IZK_curr_exp", usedforsecurity=False).hexdigest()[:8], 16).to_bytes(4, "little")
    x, y, p = rewrite(folder, "System", lambda content: word + content[4:])
    message = (
        f"{folder / 'ds.sqlite3'}: core {x},{y},{p} (cells(0:0)) runs IZK_curr_exp, which the emulated board does not know; expected "
        "IF_curr_exp, IF_curr_exp_stdp_mad_pair_additive, delay_extension, reverse_iptag_multicast_source: cells IF_curr_exp with "
        "static synapses or SpikePairRule and AdditiveWeightDependence, n_synapse_cores=0 where a step is below 1 ms, and SpikeSourceArray"
    )
    with pytest.raises(UnsupportedError, match=f"^{re.escape(message)}$"):
        load_mapping(folder)


def test_a_mapping_without_an_application(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "ds.sqlite3")) as connection:
        connection.execute("UPDATE core SET is_system = 1")
        connection.commit()
    message = f"{folder / 'ds.sqlite3'}: no core runs an application; expected a mapped network with at least one population"
    with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        load_mapping(folder)


def test_a_delay_of_what_nobody_sends(mappings: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(mappings["delay extension"], tmp_path / "run_1"))
    x, y, p = rewrite(folder, "delay_params", lambda content: content[:8] + b"\1\0\0\x77" + content[12:])
    message = f"{folder / 'ds.sqlite3'}: core {x},{y},{p} delays the key 0x77000001, which nobody sends; make the mapping again"
    with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        load_mapping(folder)


def test_a_table_with_a_key_that_nobody_sends(folder: Path) -> None:
    rewrite(folder, "CONFIGURATION", lambda content: content[:20] + b"\0\0\0\x77" + content[24:])
    message = f"{folder}: cells(0:0) listens to the key 0x00000000, which nobody sends; make the mapping again"
    with Machine(load_mapping(folder)) as machine, pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        machine.synapses()


def test_a_core_without_a_label(folder: Path) -> None:
    placements = folder / "json_files" / "placements.json"
    kept = [dict(p, vertex_label="cells") if p["vertex_label"] == "cells(0:0)" else p for p in json.loads(placements.read_text())]
    placements.write_text(json.dumps(kept))
    with pytest.raises(
        FileError,
        match=r"^.*ds\.sqlite3: core 0,0,\d+: placements\.json calls it 'cells'; expected a label like 'name\(0:99\)'; "
        rf"{re.escape(REPORTS)}$",
    ):
        load_mapping(folder)


def test_without_unicorn(mappings: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(
        BackendMissingError,
        match=r"^the emulated board needs unicorn, which is not installed: pip install 'neuromem\[spinnaker\]'$",
    ):
        Machine(load_mapping(mappings["one cell"]))


def test_without_spynnaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        BackendMissingError,
        match=r"^the emulated board needs the binaries of spynnaker, which is not installed: pip install 'neuromem\[spinnaker\]'$",
    ):
        image.package_folder("spynnaker")
