"""Runs on disk: the layout, its attributes, and every way in which writing or reading can fail."""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import neuromem
from neuromem.api import RunResult
from neuromem.errors import SpecError, StoreError
from neuromem.models.ca3_cam import functional
from neuromem.runs import store
from neuromem.runs.provenance import REQUIRED
from neuromem.spec import Probe, Protocol, recall
from neuromem.spec import store as store_operation

SCHEMA = Path(__file__).parents[1] / "docs" / "run-schema.md"


@pytest.fixture(scope="module")
def result() -> RunResult:
    """A run of the published functional protocol that records two states besides all spikes."""
    memory = neuromem.models.ca3_cam()
    probes = (*memory.network.probes, Probe("s1_cue", "v"), Probe("out", "isyn_exc"))
    memory = replace(memory, network=replace(memory.network, probes=probes))
    return neuromem.run(memory, functional(5, 10), backend="reference", seed=7)


@pytest.fixture
def saved(result: RunResult, tmp_path: Path) -> Path:
    return neuromem.save_run(tmp_path / "run.zarr", result)


def raises(text: str) -> Any:
    return pytest.raises(StoreError, match=f"^{re.escape(text)}$")


def tree(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the root attributes of a stored run by hand."""
    root = json.loads((path / "zarr.json").read_text())
    change(root["attributes"])
    (path / "zarr.json").write_text(json.dumps(root))


# What is kept


def test_everything_recorded_comes_back(saved: Path, result: RunResult) -> None:
    run, recording = neuromem.open_run(saved), result.recording
    assert run.complete
    for name in ("replica", "step", "unit"):
        np.testing.assert_array_equal(run.arrays[f"spike_{name}"], getattr(recording, name))
        assert np.issubdtype(run.arrays[f"spike_{name}"].dtype, np.integer)
    for p in recording.program.populations:
        for found, expected in zip(run.spikes_of(p.name), recording.spikes_of(p.name), strict=True):
            np.testing.assert_array_equal(found, expected)
    for p in recording.program.projections:
        np.testing.assert_array_equal(run.weights(p.name), recording.weights[p.name])
        k = [q["name"] for q in run.attributes["projections"]].index(p.name)
        part = slice(run.arrays["projection_first"][k], run.arrays["projection_first"][k] + run.arrays["projection_size"][k])
        for name in ("pre", "post", "delay"):
            np.testing.assert_array_equal(run.arrays[f"synapse_{name}"][part], getattr(p, name))
    assert len(recording.states) == 2
    for (population, variable), values in recording.states.items():
        np.testing.assert_array_equal(run.state(population, variable), values)


def test_operations_are_kept(saved: Path) -> None:
    run = neuromem.open_run(saved)
    kinds = [run.attributes["operation_kinds"][k] for k in run.arrays["operation_kind"]]
    assert kinds == ["store", "store", "store", "recall", "recall", "recall", "store", "recall", "recall"]
    assert run.arrays["operation_at"].tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80]
    assert run.arrays["operation_correct"].tolist() == [1] * 9
    assert run.arrays["operation_latency"].tolist() == [5, 5, 5, 6, 6, 6, 5, 6, 6]
    assert run.attributes["outcomes"][5] == {"expected": {"cue": [0, 3]}, "answer": {"cue": [0, 3]}}
    assert run.attributes["protocol"]["operations"][5] == {"kind": "recall", "at": 50, "cue": None, "content": [0, 4]}


def test_a_wrong_and_a_silent_operation_are_kept_as_such(tmp_path: Path) -> None:
    memory = neuromem.models.ca3_cam(2, 3)
    network = replace(memory.network, projections=memory.network.projections[:-1])  # the content never reaches the readout
    protocol = Protocol("p", (store_operation(0, (0,), (1,)), recall(20, cue=(0,))), 40)
    run = neuromem.open_run(
        neuromem.save_run(tmp_path / "run.zarr", neuromem.run(replace(memory, network=network), protocol, backend="reference"))
    )
    assert run.arrays["operation_correct"].tolist() == [0, 0]
    assert run.arrays["operation_latency"].tolist() == [5, -1]
    assert run.attributes["outcomes"][1] == {"expected": {"content": [1]}, "answer": {"content": []}}


def test_the_run_says_where_it_comes_from(saved: Path, result: RunResult) -> None:
    attributes = neuromem.open_run(saved).attributes
    assert attributes["neuromem_schema"] == 1
    assert (attributes["complete"], attributes["n_steps"], attributes["n_steps_planned"]) == (True, 90, 90)
    assert attributes["program_digest"] == result.recording.program.digest
    assert (attributes["model"], attributes["model_reference"]) == ("ca3-cam", "doi:10.1016/j.neunet.2024.106474")
    assert attributes["model_parameters"] == {"n_cues": 5, "n_content": 10, "post_history": None, "self_inhibition": False}
    assert (attributes["seed"], attributes["dt"]) == ([7], 1.0)
    assert (attributes["backend"], attributes["backend_options"]) == ("reference", {})
    assert attributes["versions"].keys() >= {"neuromem", "numpy"}
    created = datetime.datetime.fromisoformat(attributes["created_at"])
    assert created.utcoffset() == datetime.timedelta(0)
    assert abs(datetime.datetime.now(datetime.UTC) - created) < datetime.timedelta(minutes=5)


def test_xarray_reads_it_labelled(saved: Path, result: RunResult) -> None:
    import xarray

    run = xarray.open_zarr(saved)
    n_synapses = sum(p.n_synapses for p in result.recording.program.projections)
    assert dict(run.sizes) == {
        "spike": result.recording.step.size, "population": 10, "projection": 18, "synapse": n_synapses, "operation": 9,
        "replica": 1, "step": 90, "unit_s1_cue": 5, "unit_out": 15,
    }  # fmt: skip
    assert run["state_s1_cue_v"].dims == ("replica", "step", "unit_s1_cue")
    assert run["synapse_weight"].dims == ("replica", "synapse")
    np.testing.assert_array_equal(run["spike_step"].values, result.recording.step)
    assert all(np.issubdtype(variable.dtype, np.number) for variable in run.variables.values())


def test_the_layout_is_the_one_that_is_written_down(saved: Path) -> None:
    rows = {
        cells[0].strip("` "): cells
        for cells in (line.strip("|").split("|") for line in SCHEMA.read_text().splitlines() if line.startswith("| `"))
    }
    attributes = [name for name, cells in rows.items() if len(cells) == 3]
    assert attributes == list(REQUIRED)
    group = zarr.open_group(saved, mode="r")
    assert set(group.attrs) == set(attributes)
    for name, array in group.arrays():
        known = name if name in rows else "state_<population>_<variable>"
        dimensions, kind = rows[known][1].strip(), rows[known][2].strip()
        population = "out" if "out" in name else "s1_cue"
        assert ", ".join(array.metadata.dimension_names) == dimensions.replace("&lt;population&gt;", population)
        assert str(array.dtype) == kind
    assert {name for name, cells in rows.items() if len(cells) == 4} == set(group.array_keys()) - {
        "state_s1_cue_v",
        "state_out_isyn_exc",
    } | {"state_<population>_<variable>"}


def test_an_interrupted_run_is_readable_and_says_so(result: RunResult, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(neuromem.InterruptedRun) as stopped:
        neuromem.run(result.memory, result.protocol, backend="reference", progress=stop)
    part = stopped.value.result
    run = neuromem.open_run(neuromem.save_run(tmp_path / "run.zarr", part))
    assert not run.complete
    assert (run.attributes["n_steps"], run.attributes["n_steps_planned"]) == (64, 90)
    assert run.state("s1_cue", "v").shape == (1, 64, 5)
    assert run.arrays["operation_at"].tolist() == [0, 10, 20, 30, 40, 50]
    whole = result.recording.step < 64
    np.testing.assert_array_equal(run.arrays["spike_unit"], result.recording.unit[whole])


def test_nothing_recorded_is_a_run_too(result: RunResult, tmp_path: Path) -> None:
    recording = result.recording
    empty = np.empty(0, np.int64)
    states = {key: values[:, :0] for key, values in recording.states.items()}
    nothing = replace(recording, n_steps=0, replica=empty, step=empty, unit=empty, states=states)
    run = neuromem.open_run(neuromem.save_run(tmp_path / "run.zarr", replace(result, recording=nothing, outcomes=())))
    assert run.state("out", "isyn_exc").shape == (1, 0, 15)
    assert run.spikes_of("out")[0].size == 0


def test_replicas_and_several_chunks(result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK", 64)
    recording = result.recording
    two = replace(
        recording,
        program=replace(recording.program, seeds=(7, 8)),
        replica=np.repeat([0, 1], recording.step.size),
        step=np.tile(recording.step, 2),
        unit=np.tile(recording.unit, 2),
        states={key: np.concatenate([values, values + 1]) for key, values in recording.states.items()},
        weights={name: np.concatenate([values, values + 1]) for name, values in recording.weights.items()},
    )
    path = neuromem.save_run(tmp_path / "run.zarr", replace(result, recording=two))
    assert zarr.open_group(path, mode="r")["state_out_isyn_exc"].chunks == (1, 4, 15)
    run = neuromem.open_run(path)
    assert run.attributes["seed"] == [7, 8]
    np.testing.assert_array_equal(run.state("out", "isyn_exc"), two.states["out", "isyn_exc"])
    np.testing.assert_array_equal(run.weights("s2_cont>s2_cue"), two.weights["s2_cont>s2_cue"])
    np.testing.assert_array_equal(run.spikes_of("out", 1)[0], recording.spikes_of("out")[0])


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((5,), (5,)),
        ((0,), (1,)),
        ((1, 0, 15), (1, 1, 15)),
        ((3 << 20,), (1 << 20,)),
        ((2, 1000, 4000), (1, 262, 4000)),
        ((8, 300), (8, 300)),
        ((4, 2 << 20), (1, 1 << 20)),
    ],
)
def test_chunks_are_bounded(shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    assert store._chunks(shape) == chunks


def test_a_small_run_is_a_handful_of_files(saved: Path) -> None:
    assert len(tree(saved)) == 1 + 2 * 17  # one file for the root, two for each array


# Writing


def test_only_a_result_is_saved(tmp_path: Path, result: RunResult) -> None:
    path = tmp_path / "run.zarr"
    for arguments, kind in (((path, result.recording), "Recording"), ((result, str(path)), "str")):
        text = f"save_run: {kind}; expected what neuromem.run returns: neuromem.save_run(path, result)."
        with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
            neuromem.save_run(*arguments)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_an_existing_run_is_left_alone(saved: Path, result: RunResult) -> None:
    before = tree(saved)
    with raises(f"{saved}: exists already; choose another name, or replace it with force=True (--force)."):
        neuromem.save_run(saved, result)
    assert tree(saved) == before
    assert os.listdir(saved.parent) == ["run.zarr"]


def test_force_replaces_a_run(saved: Path, result: RunResult) -> None:
    (saved / "old").touch()
    neuromem.save_run(saved, replace(result, backend="other"), force=True)
    assert neuromem.open_run(saved).attributes["backend"] == "other"
    assert not (saved / "old").exists()
    assert os.listdir(saved.parent) == ["run.zarr"]


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_force_replaces_nothing_but_runs(what: str, tmp_path: Path, result: RunResult) -> None:
    path = tmp_path / "thesis"
    if what == "folder":
        path.mkdir()
        (path / "chapter1.tex").write_text("x")
    elif what == "file":
        path.write_text("x")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with raises(f"{path}: exists already and is no neuromem run, so it is not replaced; choose another name."):
        neuromem.save_run(path, result, force=True)
    assert os.listdir(tmp_path) == ["thesis"]


def test_the_older_run_stays_when_the_new_one_fails(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = tree(saved), Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "run":  # the last move, when the older run is out of the way already
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with raises(f"{saved}: cannot be written: [Errno 5] Input/output error"):
        neuromem.save_run(saved, result, force=True)
    assert tree(saved) == before
    assert os.listdir(saved.parent) == ["run.zarr"]


@pytest.mark.parametrize("parent", ["nowhere", "file"])
def test_no_parent_folder(parent: str, tmp_path: Path, result: RunResult) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / parent / "run.zarr"
    with raises(f"{path}: there is no folder {path.parent}; create it, or choose another place."):
        neuromem.save_run(path, result)


def test_a_folder_that_cannot_be_written(tmp_path: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)  # chmod does not stop a superuser
    path = tmp_path / "run.zarr"
    with raises(f"{path}: cannot write in the folder {tmp_path} (Permission denied); choose another place."):
        neuromem.save_run(path, result)


def disk_full(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the disk take three files of a run, and then no more."""
    put, written = zarr.storage.LocalStore.set, []

    async def limited(self: Any, key: str, value: Any) -> None:
        written.append(key)
        if len(written) > 3:
            raise error
        await put(self, key, value)

    monkeypatch.setattr(zarr.storage.LocalStore, "set", limited)
    monkeypatch.setattr(zarr.storage.LocalStore, "set_if_not_exists", limited)


def test_a_full_disk(tmp_path: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_full(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    path = tmp_path / "run.zarr"
    with raises(f"{path}: the disk is full; nothing was kept of this run: free some space, or choose another place."):
        neuromem.save_run(path, result)
    assert os.listdir(tmp_path) == []


def test_ctrl_c_while_writing_leaves_nothing(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(saved)

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zarr.Group, "create_array", lambda *args, **options: interrupt())
    with pytest.raises(KeyboardInterrupt):
        neuromem.save_run(saved, result, force=True)
    assert tree(saved) == before
    assert os.listdir(saved.parent) == ["run.zarr"]


def test_two_writers_keep_out_of_each_others_way(tmp_path: Path, result: RunResult) -> None:
    path, staging = tmp_path / "run.zarr", tmp_path / "run.zarr.partial"
    staging.mkdir()
    (staging / "theirs").touch()
    with raises(f"{path}: {staging} exists: another program is writing this run, or one was killed; if none is, delete that folder."):
        neuromem.save_run(path, result)
    assert (staging / "theirs").exists()
    assert not path.exists()


def killed_between_the_moves(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what kill -9 leaves when the older run is out of the way and the newer one not yet in its place."""
    staging = saved.with_name("run.zarr.partial")
    newer = neuromem.save_run(saved.with_name("newer.zarr"), replace(result, backend="newer"))
    staging.mkdir()
    saved.rename(staging / "replaced")
    newer.rename(staging / "run")
    monkeypatch.setattr(store, "SWAP", 0.001)


@pytest.mark.parametrize("force", [False, True])
def test_a_replacement_that_was_killed_is_undone(force: bool, saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    before, newer = tree(saved), saved.with_name("run.zarr.new2")
    saved.with_name("run.zarr.new1").touch()
    killed_between_the_moves(saved, result, monkeypatch)
    replaced = saved.with_name("run.zarr.partial") / "replaced"
    with raises(f"{saved}: does not exist; a program was killed while it replaced this run. Put it back with: mv {replaced} {saved}"):
        neuromem.open_run(saved)
    assert replaced.exists()
    with raises(
        f"{saved}: a program was killed while it replaced this run; the older run is back, and the newer one is {newer}. "
        "Nothing else was done: try again."
    ):
        neuromem.save_run(saved, result, force=force)
    assert tree(saved) == before
    assert neuromem.open_run(newer).attributes["backend"] == "newer"
    assert sorted(os.listdir(saved.parent)) == ["run.zarr", "run.zarr.new1", "run.zarr.new2"]
    neuromem.save_run(saved, result, force=True)


def test_a_replacement_that_cannot_be_undone_is_kept(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_between_the_moves(saved, result, monkeypatch)

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    staging = saved.with_name("run.zarr.partial")
    with raises(
        f"{saved}: a program was killed while it replaced this run, and it cannot be put back (Permission denied); "
        f"both runs are kept: look for them in {staging}, and move them out."
    ):
        neuromem.save_run(saved, result, force=True)
    assert sorted(os.listdir(staging)) == ["replaced", "run"]


def test_a_replacement_that_goes_on_is_left_alone(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_between_the_moves(saved, result, monkeypatch)
    staging = saved.with_name("run.zarr.partial")
    monkeypatch.setattr(store.time, "sleep", lambda seconds: (staging / "run").rename(saved))
    with raises(f"{saved}: {staging} exists: another program is writing this run, or one was killed; if none is, delete that folder."):
        neuromem.save_run(saved, result, force=True)
    assert neuromem.open_run(saved).attributes["backend"] == "newer"


def test_the_older_run_survives_even_where_it_cannot_be_moved_back(saved: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = tree(saved), Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name != "run.zarr":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with raises(f"{saved}: cannot be written: [Errno 5] Input/output error"):
        neuromem.save_run(saved, result, force=True)
    assert tree(saved.with_name("run.zarr.partial") / "replaced") == before


def test_a_run_that_another_writer_finished_meanwhile(tmp_path: Path, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mkdir = tmp_path / "run.zarr", Path.mkdir

    def late(self: Path, *args: Any, **options: Any) -> None:
        monkeypatch.setattr(Path, "mkdir", mkdir)
        neuromem.save_run(path, replace(result, backend="other"))
        mkdir(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", late)
    with raises(f"{path}: exists already; choose another name, or replace it with force=True (--force)."):
        neuromem.save_run(path, result)
    assert neuromem.open_run(path).attributes["backend"] == "other"


# Reading


@pytest.mark.parametrize("name", REQUIRED[1:])
def test_each_required_attribute(saved: Path, name: str) -> None:
    edit(saved, lambda attributes: attributes.pop(name))
    with raises(f"{saved}: the attribute {name!r} is missing; expected {', '.join(REQUIRED)}."):
        neuromem.open_run(saved)


def test_a_newer_schema(saved: Path) -> None:
    edit(saved, lambda attributes: attributes.update(neuromem_schema=2, arrays="something else"))
    with raises(f"{saved}: run schema 2; this neuromem reads up to 1: install a newer neuromem to read it."):
        neuromem.open_run(saved)


def test_no_run_there(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    with raises(f"{path}: does not exist; expected the folder of a run, as neuromem run --out writes it."):
        neuromem.open_run(path)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_no_zarr(tmp_path: Path, what: str) -> None:
    path = tmp_path / "run.zarr"
    path.mkdir() if what == "folder" else path.touch()
    with raises(f"{path}: is no zarr 3 folder (there is no zarr.json in it); expected the folder of a run."):
        neuromem.open_run(path)


@pytest.mark.parametrize("what", ["group", "array"])
def test_a_zarr_that_is_not_ours(tmp_path: Path, what: str) -> None:
    path = tmp_path / "run.zarr"
    if what == "group":
        zarr.create_group(path, attributes={"title": "weather"})
    else:
        zarr.create_array(path, data=np.arange(3))
    with raises(f"{path}: is a zarr, but no neuromem run (its root has no attribute 'neuromem_schema')."):
        neuromem.open_run(path)


def test_damaged_metadata(saved: Path) -> None:
    (saved / "zarr.json").write_text((saved / "zarr.json").read_text()[:100])
    with raises(f"{saved}: its zarr.json is damaged (it is no JSON); the run cannot be read."):
        neuromem.open_run(saved)


def test_metadata_that_cannot_be_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **options: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with raises(f"{saved}: cannot be read (Permission denied)."):
        neuromem.open_run(saved)


def lose_array(path: Path) -> None:
    shutil.rmtree(path / "spike_step")


def lose_chunk(path: Path) -> None:
    (path / "spike_step" / "c" / "0").unlink()


def cut_chunk(path: Path) -> None:
    chunk = path / "spike_step" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-8])


def flip_bit(path: Path) -> None:
    chunk = path / "spike_step" / "c" / "0"
    bits = bytearray(chunk.read_bytes())
    bits[len(bits) // 2] ^= 1
    chunk.write_bytes(bytes(bits))


def cut_metadata(path: Path) -> None:
    text = path / "spike_step" / "zarr.json"
    text.write_text(text.read_text()[:50])


def shorten(path: Path) -> None:
    group = zarr.open_group(path, mode="r+")
    del group["spike_step"]
    group.create_array("spike_step", data=np.arange(5))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lose_array, "is missing"),
        (lose_chunk, "lacks 1 of its 1 chunks"),
        (cut_chunk, "cannot be read"),
        (flip_bit, "cannot be read"),
        (cut_metadata, "cannot be read"),
        (shorten, "has shape (5,), expected (322,)"),
    ],
)
def test_a_truncated_run(saved: Path, damage: Callable[[Path], None], complaint: str) -> None:
    damage(saved)
    text = f"{saved}: is truncated or damaged: array 'spike_step' {complaint}; restore the folder from where it was copied, or run again."
    with raises(text):
        neuromem.open_run(saved)


def test_names_that_a_run_does_not_have(saved: Path) -> None:
    run = neuromem.open_run(saved)
    populations = "in, merge_cont, merge_cue, out, s1_cont, s1_cue, s2_cond, s2_cont, s2_cue, s2_int"
    with raises(f"{saved}: 'inn' is not one of its populations; it has {populations}."):
        run.spikes_of("inn")
    projections = ", ".join(sorted(p["name"] for p in run.attributes["projections"]))
    with raises(f"{saved}: 'x' is not one of its projections; it has {projections}."):
        run.weights("x")
    with raises(f"{saved}: no state 'v' of 'out'; it has state_out_isyn_exc, state_s1_cue_v."):
        run.state("out", "v")
