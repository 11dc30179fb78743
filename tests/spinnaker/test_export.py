"""The export: what is in a package, that it is the same every time, and that a folder is whole or is not there."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import golden, say
from exported import small, tree

from neuromem import targets
from neuromem.errors import SpecError, StoreError
from neuromem.exports.spinnaker import export_memory, export_program
from neuromem.hardware_targets.spinnaker.package import manifest_digest, read_package
from neuromem.hardware_targets.spinnaker.rebuild import program_of
from neuromem.models.ca3_cam import ca3_cam, functional
from neuromem.targets import ExportPlan, npz

ROOT = Path(__file__).parents[2]
FIELDS = ROOT / "docs" / "spinnaker-package.md"
CA3 = ("export", "ca3-cam", "--target", "spinnaker")


def make_small() -> ExportPlan:
    plan, _ = export_program(small(), "small")
    return plan


@pytest.fixture(scope="session")
def small_plan() -> ExportPlan:
    return make_small()


@pytest.fixture(scope="session")
def ca3_plan() -> ExportPlan:
    plan, _ = export_memory(ca3_cam(n_cues=5, n_content=10), functional(5, 10))
    return plan


@pytest.fixture(scope="session")
def ca3_folder(ca3_plan: ExportPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "board"
    ca3_plan.write(folder)
    return folder


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def raises(kind: type[Exception], text: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


# what is in it


@pytest.mark.parametrize(("name", "file"), [("spinnaker_run_small.py.txt", "run.py"), ("spinnaker_report_small.md", "REPORT.md")])
def test_the_texts_of_a_small_network(name: str, file: str, small_plan: ExportPlan) -> None:
    assert small_plan.files[file].decode() == golden(name)


def test_the_script_of_the_ca3_memory(ca3_plan: ExportPlan) -> None:
    assert ca3_plan.files["run.py"].decode() == golden("spinnaker_run_ca3_cam.py.txt")


def test_the_files(ca3_plan: ExportPlan) -> None:
    assert sorted(ca3_plan.files) == [
        "REPORT.md", "check.py", "expected.npz", "figures/fit.png", "figures/raster.png", "manifest.json", "run.py", "spynnaker.cfg.example",
        "stimulus.npz", "tables.npz",
    ]  # fmt: skip


def documented() -> dict[str, list[str]]:
    """The fields of the manifest, of a population and of a projection, as the documentation has them."""
    found = {}
    for section in FIELDS.read_text().split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        found[title] = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    return found


def test_the_manifest_is_as_documented(small_plan: ExportPlan, ca3_plan: ExportPlan) -> None:
    fields = documented()
    for plan in (small_plan, ca3_plan):
        manifest = json.loads(plan.files["manifest.json"])
        assert set(manifest) == set(fields["manifest.json"])
        for kind, title in (("populations", "A population"), ("projections", "A projection")):
            for entry in manifest[kind]:
                assert set(entry) == set(fields[title])


def test_the_manifest_says_what_was_exported(ca3_plan: ExportPlan) -> None:
    manifest = json.loads(ca3_plan.files["manifest.json"])
    chosen = ("format", "format_version", "title", "seed", "board", "dt", "n_steps", "versions")
    assert {key: manifest[key] for key in chosen} == {
        "format": "neuromem SpiNNaker export", "format_version": 1, "title": "ca3-cam, protocol functional", "seed": 0, "board": "spinn5",
        "dt": 1.0, "n_steps": 90, "versions": {"neuromem": "0.1.0", "sPyNNaker": "7.4.1"},
    }  # fmt: skip
    assert manifest["model"]["parameters"] == {"n_cues": 5, "n_content": 10, "post_history": None, "self_inhibition": False}
    assert manifest["model"]["readouts"] == {"cue": ["out", 0, 5], "content": ["out", 5, 15]}
    assert [(o["kind"], o["at"]) for o in manifest["protocol"]["operations"]] == [(o["kind"], o["at"]) for o in manifest["operations"]]
    # the published protocol: the last recall tells the two cues apart that share content 6, one of which was overwritten
    assert manifest["operations"][-1] == {
        "kind": "recall", "at": 80, "answer_at": 6, "asked": {"content": [6]}, "answer": {"cue": [4]}, "expected": {"cue": [4]}, "correct": True,
    }  # fmt: skip


def test_the_manifest_of_a_small_network(small_plan: ExportPlan) -> None:
    """Weights, delays and shifts by hand: 0.7 nA in steps of 2^-15 is 22938, 0.3 nA is 9830."""
    manifest = json.loads(small_plan.files["manifest.json"])
    by_name = {p["projection"]: p for p in manifest["projections"]}
    assert by_name["right>left:inh"]["weights"] == [9830 / 2**15, 22938 / 2**15]
    assert by_name["right>left:inh"]["delays"] == [2, 5]
    assert by_name["left>right"]["rule"] == {
        "tau_plus": 20.0, "tau_minus": 17.0, "A_plus": 0.25, "A_minus": 0.125, "w_min": 0.0, "w_max": 3.0, "post_events": 15,
    }  # fmt: skip
    assert [p["shifts"] for p in manifest["populations"]] == [[0, 0], [3, 0], [4, 0]]
    assert manifest["populations"][2]["parameters"]["i_offset"] is None


def test_digests_are_those_of_the_files(ca3_plan: ExportPlan) -> None:
    manifest = json.loads(ca3_plan.files["manifest.json"])
    assert manifest["files"] == {n: hashlib.sha256(b).hexdigest() for n, b in ca3_plan.files.items() if n != "manifest.json"}
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    assert (
        manifest["digest"] == hashlib.sha256(json.dumps(rest, indent=1, sort_keys=True).encode()).hexdigest() == manifest_digest(manifest)
    )
    assert re.fullmatch("[0-9a-f]{64}", ca3_plan.digest)


def test_a_package_holds_the_whole_network(small_plan: ExportPlan, tmp_path: Path) -> None:
    """The Program that is made from a package is the one that was exported, so nothing of it is lost on the way."""
    small_plan.write(tmp_path / "board")
    program, again = small(), program_of(read_package(tmp_path / "board"))
    for p, q in zip(program.projections, again.projections, strict=True):
        assert (p.name, p.pre_name, p.post_name, p.receptor) == (q.name, q.pre_name, q.post_name, q.receptor)
        for name in ("pre", "post", "delay", "weight"):
            assert np.array_equal(getattr(p, name), getattr(q, name))
    for group in ("parameters", "initial"):
        ours, theirs = getattr(program.cells, group), getattr(again.cells, group)
        assert {k: v.tolist() for k, v in ours.items()} == {k: v.tolist() for k, v in theirs.items()}
    for name in ("step", "unit"):
        assert np.array_equal(getattr(program.schedule, name), getattr(again.schedule, name))


# the same bytes


def test_the_same_definition_gives_the_same_bytes(small_plan: ExportPlan) -> None:
    assert make_small().files == small_plan.files
    plan, _ = export_program(small(n_steps=41), "small")
    assert plan.digest != small_plan.digest


def test_and_in_another_process_another_folder_and_another_time_zone(ca3_plan: ExportPlan, tmp_path: Path) -> None:
    """Nothing of the machine is in it: hash seeds, time zones, locales, names of folders."""
    environment = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "TMPDIR": str(tmp_path), "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "neuromem", *CA3, "--protocol", "functional", "--out", "other"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "other") == dict(sorted(ca3_plan.files.items()))


def test_no_time_and_no_path_is_in_it(ca3_plan: ExportPlan) -> None:
    for name, content in ca3_plan.files.items():
        for told in (str(ROOT), str(Path.home()), "/tmp", "/home", "Creation Time", "tIME"):
            assert told.encode() not in content, (name, told)
        if name.endswith((".md", ".py", ".json", ".example")):
            assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", content.decode()), name


# writing it


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
def test_a_plan_stays_within_its_folder(name: str) -> None:
    with raises(SpecError, f"ExportPlan: file {name!r}; expected a path within the export's folder."):
        ExportPlan({name: b""})


def test_the_digest_of_a_plan_is_of_names_and_contents() -> None:
    plans = [ExportPlan(f) for f in ({"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"a": b"bd"})]
    assert len({plan.digest for plan in plans}) == 4
    assert ExportPlan({"b": b"2", "a": b"1"}).digest == ExportPlan({"a": b"1", "b": b"2"}).digest


def test_npz_has_no_time_in_it() -> None:
    arrays = {"b": np.arange(3), "a": np.ones((2, 2))}
    assert npz(arrays) == npz(dict(reversed(arrays.items())))


def plan_of(**files: bytes) -> ExportPlan:
    return ExportPlan({"manifest.json": b"{}", **files})


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    plan_of(a=b"1").write(folder)
    with raises(StoreError, f"{folder}: it exists already; expected a new name, or --force to replace an earlier export."):
        plan_of(a=b"2").write(folder)
    assert tree(folder)["a"] == b"1"
    plan_of(b=b"2").write(folder, force=True)
    assert tree(tmp_path) == {"board/b": b"2", "board/manifest.json": b"{}"}


@pytest.mark.parametrize("what", ["folder", "file", "link", "empty"])
def test_force_replaces_exports_only(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "board"
    if what == "file":
        folder.write_text("mine")
    elif what == "link":
        plan_of().write(tmp_path / "export")
        folder.symlink_to(tmp_path / "export")
    else:
        folder.mkdir()
        if what == "folder":
            (folder / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    with raises(StoreError, f"{folder}: it exists already and is no export; --force replaces exports only. Choose another name."):
        plan_of().write(folder, force=True)
    assert tree(tmp_path) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "no" / "board"
    with raises(StoreError, f"{folder}: there is no folder {folder.parent}; expected an existing one: mkdir -p {folder.parent}"):
        plan_of().write(folder)


class Killed(BaseException):
    """What stands for the end of the process."""


@pytest.mark.parametrize("force", [False, True])
def test_a_half_written_export_is_never_seen(force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever write, folder or rename it ends at: nothing there, or all that was, and no remains."""
    folder = tmp_path / "board"
    if force:
        plan_of(a=b"old").write(folder)
    before = tree(tmp_path)
    write = Path.write_bytes
    for number in range(3):
        count = iter(range(number + 1))

        def write_some(path: Path, content: bytes, count: Any = count, number: int = number) -> int:
            assert not folder.exists() or tree(folder) == {"a": b"old", "manifest.json": b"{}"}
            if next(count) == number:
                write(path, content[:1])
                raise Killed
            return write(path, content)

        monkeypatch.setattr(Path, "write_bytes", write_some)
        with pytest.raises(Killed):
            plan_of(a=b"new", b=b"new").write(folder, force)
        assert tree(tmp_path) == before
        assert [p.name for p in tmp_path.iterdir()] == (["board"] if force else [])


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Killed()], ids=["full", "killed"])
def test_a_replacement_that_fails_puts_the_old_one_back(
    failure: BaseException, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "board"
    plan_of(a=b"old").write(folder)
    rename, count = Path.rename, iter(range(9))

    def fail(path: Path, target: Path) -> Path:
        if next(count) == at:
            raise failure
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((StoreError, Killed)) as caught:
        plan_of(a=b"new").write(folder, force=True)
    if isinstance(failure, OSError):
        assert str(caught.value) == f"{folder}: it cannot be written (No space left on device); expected a place that can, with free space."
    assert tree(tmp_path) == {"board/a": b"old", "board/manifest.json": b"{}"}
    assert len(list(tmp_path.iterdir())) == 1


def write_when_told(folder: Path, number: int, barrier: Any, results: Any) -> None:
    """Write, together with others, an export of 40 files that all say who wrote them."""
    plan = plan_of(**{f"f{i}": str(number).encode() * 1000 for i in range(40)})
    barrier.wait(timeout=60)
    try:
        plan.write(folder)
    except StoreError as error:
        results.put((number, str(error)))
    else:
        results.put((number, ""))


def test_of_two_exports_to_one_folder_one_wins(tmp_path: Path) -> None:
    """And the other is refused; what is there is all from one."""
    context = multiprocessing.get_context("spawn")
    folder, barrier, results = tmp_path / "board", context.Barrier(2), context.Queue()
    writers = [context.Process(target=write_when_told, args=(folder, i, barrier, results)) for i in range(2)]
    for process in writers:
        process.start()
    try:
        said = dict(results.get(timeout=120) for _ in writers)
    finally:
        for process in writers:
            process.join(timeout=60)
            process.kill()
    (winner,) = (number for number, text in said.items() if not text)
    assert said[1 - winner] == f"{folder}: it exists already; expected a new name, or --force to replace an earlier export."
    assert {content for name, content in tree(folder).items() if name != "manifest.json"} == {str(winner).encode() * 1000}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_appears_in_the_last_moment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that is empty, which a rename would replace."""
    folder, exchange = tmp_path / "board", targets.exchange

    def appears(stage: Path, to: Path, force: bool) -> None:
        folder.mkdir()
        exchange(stage, to, force)

    monkeypatch.setattr(targets, "exchange", appears)
    with raises(StoreError, f"{folder}: it exists already; expected a new name, or --force to replace an earlier export."):
        plan_of().write(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["board"]


def test_a_folder_that_appears_after_the_last_look_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "file").write_text("precious")
    monkeypatch.setattr(targets.os.path, "lexists", lambda path: False)
    with raises(StoreError, f"{folder}: it exists already; expected a new name, or --force to replace an earlier export."):
        plan_of().write(folder)
    assert (folder / "file").read_text() == "precious"


# the command


def test_the_command_writes_and_says_what(ca3_plan: ExportPlan, tmp_path: Path) -> None:
    said = say(*CA3, "--out", "board")
    assert (said.status, said.err) == (0, "")
    report, _, last = said.out.rstrip("\n").rpartition("\n")
    assert report == ca3_plan.files["REPORT.md"].decode().partition("\n## Weights")[0].rstrip()
    assert last == f"board: 10 files, digest {ca3_plan.digest[:12]}; next: neuromem verify board"
    assert tree(tmp_path / "board") == dict(sorted(ca3_plan.files.items()))
    said = say(*CA3, "--out", "board")
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: board: it exists already; expected a new name, or --force to replace an earlier export.\n"
    said = say(*CA3, "--out", "board", "--board", "spinn3", "--force")
    assert (said.status, said.err) == (0, "")
    assert json.loads((tmp_path / "board" / "manifest.json").read_text())["board"] == "spinn3"


def test_a_dry_run_writes_nothing(ca3_plan: ExportPlan, tmp_path: Path) -> None:
    said = say(*CA3, "--dry-run")
    assert (said.status, said.out, said.err) == (0, ca3_plan.files["REPORT.md"].decode(), "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ca3-cam", "--target", "spinaker", "--out", "b"), "target 'spinaker'; expected one of nir, spinnaker (did you mean 'spinnaker'?)."),
        (("ca3-cam", "--target", "spinnaker", "--out", "b", "--board", "spin5"), "board 'spin5'; expected one of spinn3, spinn5 (did you mean 'spinn5'?)."),
        (
            ("hopfield", "--target", "spinnaker", "--out", "b"),
            "hopfield: a memory without spikes; a board runs spikes: neuromem list shows spiking ones, some realised from such memories.",
        ),
        (("ca3-cam", "--target", "spinnaker", "--out", "no/b"), "no/b: there is no folder no; expected an existing one: mkdir -p no"),
    ],
    ids=["target", "board", "memory", "folder"],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    said = say("export", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {says}\n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder() -> None:
    said = say(*CA3)
    assert (said.status, said.out) == (2, "")
    assert "--out is missing; expected a folder to write to, or --dry-run." in re.sub(r"[\s│]+", " ", said.err)
