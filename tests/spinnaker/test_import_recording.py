"""``import-recording``: a board's results as a run, equal to that of the emulator where the board did as expected."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import say, without_seconds
from exported import faults, results_of, small

import neuromem
from neuromem.errors import FileError
from neuromem.exports.recordings import import_recording
from neuromem.exports.spinnaker import export_memory, export_program
from neuromem.hardware_targets.spinnaker.package import manifest_digest, read_package
from neuromem.models.ca3_cam import ca3_cam, functional
from neuromem.runs.result import RunResult

EMULATOR = "spinnaker-emulator"
MINE = """
from dataclasses import replace
from neuromem.models.ca3_cam import ca3_cam, PROTOCOLS
from neuromem.spec import Probe


def build(n_cues: int = 5, n_content: int = 10):
    memory = ca3_cam(n_cues=n_cues, n_content=n_content)
    probes = (*memory.network.probes, Probe("out", "isyn_exc"))
    return replace(memory, name="mine", parameters={"n_cues": n_cues, "n_content": n_content}, network=replace(memory.network, probes=probes))
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan, _ = export_memory(ca3_cam(n_cues=5, n_content=10), functional(5, 10), seed=3)
    plan.write(tmp_path_factory.mktemp("import") / "board")
    return tmp_path_factory.getbasetemp() / "import0" / "board"


@pytest.fixture(scope="session")
def emulated() -> RunResult:
    return neuromem.run(ca3_cam(n_cues=5, n_content=10), functional(5, 10), backend=EMULATOR, seed=3)


@pytest.fixture
def board(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, with the results that it expects."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(package, tmp_path / "board")
    results_of(tmp_path / "board")
    return tmp_path / "board"


def raises(text: str) -> Any:
    return pytest.raises(FileError, match=f"^{re.escape(text)}$")


def assert_equal(found: RunResult, emulated: RunResult) -> None:
    assert found.outcomes == emulated.outcomes
    assert found.recording.program.digest == emulated.recording.program.digest
    for name in ("replica", "step", "unit"):
        assert np.array_equal(getattr(found.recording, name), getattr(emulated.recording, name))
    assert found.recording.weights.keys() == emulated.recording.weights.keys()
    for name, weights in emulated.recording.weights.items():
        assert np.array_equal(found.recording.weights[name], weights), name


def test_results_as_expected_are_the_run_of_the_emulator(board: Path, emulated: RunResult) -> None:
    found = import_recording(board / "results")
    assert_equal(found, emulated)
    assert (found.backend, found.options) == ("spinnaker", {"board": "spinn5", "simulator": "spiNNaker"})
    assert all(o.correct for o in found.outcomes)


def test_other_results_are_another_run(board: Path, emulated: RunResult) -> None:
    """What the board says counts, and not what was expected."""
    with np.load(board / "expected.npz") as expected:
        spikes = expected["spikes.out"]
    kept = spikes[spikes[:, 0] != 86]  # without the answer of the last recall
    results_of(board, spikes={"out": kept})
    found = import_recording(board / "results")
    assert [o.correct for o in found.outcomes] == [True] * 8 + [False]
    assert found.recording.step.size == emulated.recording.step.size - (len(spikes) - len(kept))


def test_synapses_in_any_order(board: Path, emulated: RunResult) -> None:
    with np.load(board / "results" / "weights.npz") as found:
        weights = {name: found[name][::-1] for name in found.files}
    results_of(board, weights=weights)
    assert_equal(import_recording(board / "results"), emulated)


def test_the_command_prints_and_keeps_the_run(board: Path, emulated: RunResult) -> None:
    said = say("import-recording", "board/results", "--out", "board.zarr")
    assert (said.status, said.err) == (0, "")
    ran = without_seconds(say("run", "ca3-cam", "--backend", EMULATOR, "--seed", "3", "--no-raster").out)
    *table, summary, last = said.out.splitlines()
    assert table == ran.splitlines()[:-1]
    assert summary == f"9 of 9 right; 322 spikes; digest {emulated.recording.program.digest[:12]}; spiNNaker"
    assert last == "run: board.zarr"
    stored = neuromem.open_run("board.zarr")
    assert (stored.complete, stored.attributes["backend"], stored.attributes["seed"]) == (True, "spinnaker", [3])
    assert stored.attributes["backend_options"] == {"board": "spinn5", "simulator": "spiNNaker"}
    ours = neuromem.open_run(neuromem.save_run("emulated.zarr", emulated))
    assert stored.attributes["outcomes"] == ours.attributes["outcomes"]
    assert stored.arrays.keys() == ours.arrays.keys()
    for name, array in ours.arrays.items():
        assert np.array_equal(stored.arrays[name], array), name
    said = say("import-recording", "board/results", "--out", "board.zarr")
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: board.zarr: it exists already; expected a new name, or --force to replace it.\n"
    (board / "results").rename(board.parent / "elsewhere")
    said = say("import-recording", "elsewhere", "--package", "board", "--out", "board.zarr", "--force")
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize(("where", "results"), [("board/results", "."), ("board/results/deeper", ".."), ("board", "results")])
def test_the_package_is_around_the_results_from_anywhere(where: str, results: str, board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (board / "results" / "deeper").mkdir()
    monkeypatch.chdir(board.parent / where)
    said = say("import-recording", results)
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("9 of 9 right; 322 spikes; ")


def test_the_package_is_around_a_link_to_the_results(board: Path) -> None:
    (board / "results").rename(board.parent / "elsewhere")
    (board / "results").symlink_to(board.parent / "elsewhere")
    assert say("import-recording", "board/results").status == 0


# a memory of one's own


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of a memory from a file, which records a current, with the results that it expects."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    said = say("export", "mine.py:build", "--protocol", "functional", "--target", "spinnaker", "--out", "board")
    assert (said.status, said.err) == (0, "")
    results_of(tmp_path / "board", states={"out.gsyn_exc": np.full((90, 15), 0.25)})
    return tmp_path / "board"


def test_a_memory_of_ones_own(mine: Path) -> None:
    said = say("import-recording", "board/results", "--model", "mine.py:build")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("9 of 9 right; 322 spikes; ")
    states = import_recording(mine / "results", model="mine.py:build").recording.states
    assert {key: rows.shape for key, rows in states.items()} == {("out", "isyn_exc"): (1, 90, 15)}
    assert np.all(states["out", "isyn_exc"] == 0.25)


def test_a_memory_of_ones_own_that_is_not_named(mine: Path) -> None:
    says = (
        f"{mine / 'manifest.json'}: it holds the memory 'mine', which does not ship with neuromem; "
        "expected the file that builds it: --model my_memory.py:build."
    )
    with raises(says):
        import_recording(mine / "results")
    said = say("import-recording", str(mine / "results"))
    assert (said.status, said.out, said.err) == (1, "", f"error: {says}\n")


def test_a_memory_of_ones_own_that_is_called_like_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE.replace('name="mine", ', ""))
    said = say("export", "mine.py:build", "--protocol", "functional", "--target", "spinnaker", "--out", "board")
    assert (said.status, said.err) == (0, "")
    results_of(tmp_path / "board", states={"out.gsyn_exc": np.full((90, 15), 0.25)})
    manifest = json.loads(Path("board/manifest.json").read_text())
    with pytest.raises(FileError) as caught:
        import_recording(tmp_path / "board" / "results")
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path / 'board' / 'manifest.json'))}: program {manifest['program_digest'][:12]}, but ca3-cam with these parameters is "
        r"[0-9a-f]{12} now; expected the definition that was exported: export it again, or give the file that builds it: --model my_memory\.py:build\.",
        str(caught.value),
    )
    assert say("import-recording", "board/results", "--model", "mine.py:build").status == 0


def test_another_definition(mine: Path) -> None:
    Path("mine.py").write_text(MINE.replace('"isyn_exc"', '"v"'))
    manifest = json.loads((mine / "manifest.json").read_text())
    with pytest.raises(FileError) as caught:
        import_recording(mine / "results", model="mine.py:build")
    assert re.fullmatch(
        rf"{re.escape(str(mine / 'manifest.json'))}: program {manifest['program_digest'][:12]}, but mine with these parameters is [0-9a-f]{{12}} now; "
        "expected the definition that was exported: export it again.",
        str(caught.value),
    )


@pytest.mark.parametrize(
    ("states", "has"),
    [({}, "nothing"), ({"out.gsyn_exc": np.zeros((89, 15))}, "shape (89, 15)"), ({"out.gsyn_exc": np.zeros((90, 14))}, "shape (90, 14)")],
    ids=["none", "steps", "cells"],
)  # fmt: skip
def test_states_that_are_not_there(mine: Path, states: dict[str, np.ndarray], has: str) -> None:
    results = results_of(mine, states=states)
    with raises(f"{results / 'states.npz'}: 'out.gsyn_exc' has {has}; expected shape (90, 15)."):
        import_recording(results, model="mine.py:build")


def test_states_that_are_no_numbers(mine: Path) -> None:
    rows = np.full((90, 15), 0.25)
    rows[7, 2] = np.nan
    results = results_of(mine, states={"out.gsyn_exc": rows})
    with raises(f"{results / 'states.npz'}: 'out.gsyn_exc' has nan in row 7, column 2; expected a finite number, as run.py wrote it."):
        import_recording(results, model="mine.py:build")
    results_of(mine, states={"out.gsyn_exc": rows[0]})
    with raises(f"{results / 'states.npz'}: 'out.gsyn_exc' has shape (15,); expected rows of numbers, as run.py wrote them."):
        import_recording(results, model="mine.py:build")


def test_a_network_without_a_memory(tmp_path: Path) -> None:
    export_program(small(), "small")[0].write(tmp_path / "board")
    results_of(tmp_path / "board")
    path = tmp_path / "board" / "manifest.json"
    with raises(f"{path}: it holds a network without a memory; expected the export of a memory with a protocol."):
        import_recording(tmp_path / "board" / "results")


# packages and results that are not as they were written


def test_an_edited_file(board: Path) -> None:
    path = board / "tables.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with raises(f"{path}: it was changed after the export (its digest is another); expected it as written: export it again."):
        import_recording(board / "results")
    path.unlink()
    with raises(f"{path}: there is no such file, and the manifest lists it; expected the whole export: export it again."):
        import_recording(board / "results")


def test_an_edited_manifest(board: Path) -> None:
    path = board / "manifest.json"
    manifest = json.loads(path.read_text())
    whole = f"{path}: it was changed after the export (its digest is another); expected it as written: export it again."
    changes: list[dict[str, Any]] = [{"seed": 4}, {"digest": "0" * 64}, {"files": {}}, {"format_version": None}]
    for change in changes:
        path.write_text(json.dumps(manifest | change))
        with raises(whole):
            import_recording(board / "results")
    said = say("import-recording", str(board / "results"))
    assert (said.status, said.out, said.err) == (1, "", f"error: {whole}\n")
    path.write_text(json.dumps({key: value for key, value in manifest.items() if key != "digest"}))
    with raises(whole):
        import_recording(board / "results")


def test_a_manifest_of_a_newer_version_or_of_something_else(board: Path) -> None:
    path = board / "manifest.json"
    manifest = json.loads(path.read_text()) | {"format_version": 2}
    path.write_text(json.dumps(manifest | {"digest": manifest_digest(manifest)}))
    with raises(f"{path}: format_version 2; expected at most 1: a newer neuromem wrote it."):
        import_recording(board / "results")
    path.write_text('{"format": "NIR"}')
    with raises(f"{path}: format 'NIR'; expected 'neuromem SpiNNaker export'."):
        import_recording(board / "results")
    path.write_text("[1]")
    with raises(f"{path}: format [1]; expected 'neuromem SpiNNaker export'."):
        import_recording(board / "results")
    path.write_text("{")
    with raises(
        f"{path}: it cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
        "expected an export as `neuromem export` wrote it: export it again."
    ):
        import_recording(board / "results")
    path.unlink()
    with raises(f"{path}: there is no such file; expected the folder of an export made by `neuromem export`."):
        import_recording(board / "results")


@pytest.mark.parametrize("name", ["run.json", "spikes.npz", "states.npz", "weights.npz"])
def test_a_missing_file(name: str, board: Path) -> None:
    path = board / "results" / name
    path.unlink()
    with raises(f"{path}: there is no such file; expected the results of the export's run.py."):
        import_recording(board / "results")


def test_files_that_are_something_else(board: Path) -> None:
    results = board / "results"
    (results / "spikes.npz").write_bytes((results / "spikes.npz").read_bytes()[:-40])
    with raises(f"{results / 'spikes.npz'}: it cannot be read (File is not a zip file); expected it as run.py wrote it."):
        import_recording(results)
    (results / "spikes.npz").write_bytes(b"")
    with raises(f"{results / 'spikes.npz'}: it cannot be read (No data left in file); expected it as run.py wrote it."):
        import_recording(results)
    results_of(board, weights={"s1_cue>s1_cont": np.zeros(50)})
    with raises(f"{results / 'weights.npz'}: 's1_cue>s1_cont' has shape (50,); expected rows of 3 numbers, as run.py wrote them."):
        import_recording(results)
    results_of(board)
    (results / "run.json").write_text("[]")
    with raises(f"{results / 'run.json'}: []; expected the simulator and a digest, as run.py wrote them."):
        import_recording(results)


def expected(folder: Path, name: str) -> np.ndarray:
    return read_package(folder).expected[f"spikes.{name}"]


def test_spikes_of_floats_are_the_same(board: Path, emulated: RunResult) -> None:
    results_of(board, spikes={"out": expected(board, "out").astype(np.float64)})
    found = import_recording(board / "results")
    assert_equal(found, emulated)
    assert (found.recording.step.dtype, found.recording.unit.dtype) == (np.int64, np.int64)


@pytest.mark.parametrize("kind", ["text", "truth", "complex", "quarter", "nan", "large", "columns", "scalar"])
def test_spikes_that_are_none(kind: str, board: Path) -> None:
    rows, says = faults("out", expected(board, "out"))[kind]
    results = results_of(board, spikes={"out": rows})
    with raises(f"{results / 'spikes.npz'}: {says}"):
        import_recording(results)


@pytest.mark.parametrize("times", [2, 3])
def test_a_spike_given_more_than_once(times: int, board: Path) -> None:
    spikes = expected(board, "out")
    step, unit = spikes[5].tolist()
    results = results_of(board, spikes={"out": np.concatenate([spikes, *[spikes[5:6]] * (times - 1)])})
    with raises(f"{results / 'spikes.npz'}: 'out' has {times} spikes of unit {unit} at step {step}; expected one, as run.py wrote it."):
        import_recording(results)


@pytest.mark.parametrize(
    ("column", "value", "expects"),
    [(2, np.nan, "nan in row 3, column 2; expected a finite number"), (2, -np.inf, "-inf in row 3, column 2; expected a finite number"),
     (0, 0.5, "0.5 in row 3, column 0; expected a whole number")],
)  # fmt: skip
def test_weights_that_are_none(column: int, value: float, expects: str, board: Path) -> None:
    name = "s1_cue>s1_cont"
    with np.load(board / "results" / "weights.npz") as found:
        rows = found[name]
    rows[3, column] = value
    results = results_of(board, weights={name: rows})
    with raises(f"{results / 'weights.npz'}: {name!r} has {expects}, as run.py wrote it."):
        import_recording(results)


@pytest.mark.parametrize("simulator", [None, 3])
def test_results_without_their_simulator(simulator: object, board: Path) -> None:
    path = board / "results" / "run.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({"digest": about["digest"]} | ({} if simulator is None else {"simulator": simulator})))
    with raises(f"{path}: simulator {simulator}; expected its name, as run.py wrote it."):
        import_recording(board / "results")


def test_results_of_another_export(board: Path) -> None:
    digest = json.loads((board / "manifest.json").read_text())["digest"]
    results_of(board, digest="e" * 64)
    with raises(f"{board / 'results'}: results of export {'e' * 12}; expected those of {digest[:12]}, the export in {board}."):
        import_recording(board / "results")


@pytest.mark.parametrize(("step", "unit"), [(-1, 0), (90, 0), (5, -1), (5, 15)])
def test_a_spike_out_of_range(step: int, unit: int, board: Path) -> None:
    results_of(board, spikes={"out": np.array([[3, 3], [step, unit]])})
    with raises(
        f"{board / 'results' / 'spikes.npz'}: 'out' has a spike of unit {unit} at step {step}; expected units below 15 and steps below 90."
    ):
        import_recording(board / "results")


def test_no_spikes_of_a_population(board: Path) -> None:
    path = board / "results" / "spikes.npz"
    with np.load(path) as found:
        rest = {name: found[name] for name in found.files if name != "out"}
    np.savez(path, **rest)  # type: ignore[arg-type]
    with raises(f"{path}: no spikes of 'out'; expected those of every recorded population."):
        import_recording(board / "results")


def test_weights_that_are_not_those_of_the_synapses(board: Path) -> None:
    path = board / "results" / "weights.npz"
    with np.load(path) as found:
        weights = {name: found[name] for name in found.files}
    name = "s1_cue>s1_cont"
    results_of(board, weights={name: weights[name][:-1]})
    with raises(f"{path}: 49 weights of {name!r}; expected 50, one for each synapse."):
        import_recording(board / "results")
    wrong = weights[name].copy()
    wrong[0, 1] = 3 if wrong[0, 1] != 3 else 4
    results_of(board, weights={name: wrong})
    with raises(f"{path}: {name!r} has other synapses than were exported; expected the same cells, from and to."):
        import_recording(board / "results")
    np.savez(path, **{n: w for n, w in weights.items() if n != name})  # type: ignore[arg-type]
    with raises(f"{path}: no weights of {name!r}; expected 50, one for each synapse."):
        import_recording(board / "results")
