"""``check.py`` of a package, run as a board's host would: a program of its own, without neuromem."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from exported import faults, results_of, small

from neuromem.exports.spinnaker import export_memory, export_program
from neuromem.models.ca3_cam import ca3_cam, functional

ALONE = """
import runpy, sys
sys.modules["neuromem"] = None  # an import of it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("check")
    plans = {"small": export_program(small(), "small")[0], "ca3": export_memory(ca3_cam(n_cues=5, n_content=10), functional(5, 10))[0]}
    for name, plan in plans.items():
        plan.write(place / name)
    return {name: place / name for name in plans}


@pytest.fixture
def board(packages: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the small package, with the results that it expects."""
    shutil.copytree(packages["small"], tmp_path / "board")
    results_of(tmp_path / "board")
    return tmp_path / "board"


def check(folder: Path, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", ALONE, str(folder / "check.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, timeout=60)
    return done.returncode, done.stdout, done.stderr


def expected(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "expected.npz") as loaded:
        return dict(loaded)


def test_results_as_expected(board: Path) -> None:
    text = "left: 12 spikes, equal\nright: 11 spikes, equal\nleft>right: 8 weights, equal\nno operations\nas expected\n"
    assert check(board) == (0, text, "")
    (board / "results").rename(board.parent / "elsewhere")
    assert check(board, str(board.parent / "elsewhere")) == (0, text, "")


def test_spikes_in_another_order_are_the_same(board: Path) -> None:
    results_of(board, spikes={"left": expected(board)["spikes.left"][::-1]})
    assert check(board)[0] == 0


def test_a_spike_moved(board: Path) -> None:
    spikes = expected(board)["spikes.right"]
    step, unit = spikes[-1].tolist()
    spikes[-1, 0] += 1
    results_of(board, spikes={"right": spikes})
    assert check(board) == (
        1,
        f"left: 12 spikes, equal\nright: 11 spikes expected, 11 found; 1 missing, 1 not expected; first at step {step}, unit {unit} (missing)\n"
        "left>right: 8 weights, equal\nno operations\nNOT as expected\n", "",
    )  # fmt: skip


def test_spikes_too_many_and_none(board: Path) -> None:
    spikes = expected(board)
    more = np.concatenate([[[0, 3]], spikes["spikes.left"]])
    results_of(board, spikes={"left": more, "right": np.zeros((0, 2), np.int64)})
    step, unit = spikes["spikes.right"][0].tolist()
    assert check(board)[1].splitlines()[:2] == [
        "left: 12 spikes expected, 13 found; 0 missing, 1 not expected; first at step 0, unit 3 (not expected)",
        f"right: 11 spikes expected, 0 found; 11 missing, 0 not expected; first at step {step}, unit {unit} (missing)",
    ]


def test_spikes_of_floats_are_the_same(board: Path) -> None:
    results_of(board, spikes={"left": expected(board)["spikes.left"].astype(np.float64)})
    assert check(board)[0] == 0


@pytest.mark.parametrize(("times", "said"), [(2, "twice"), (3, "3 times")])
def test_a_spike_given_more_than_once(times: int, said: str, board: Path) -> None:
    spikes = expected(board)["spikes.left"]
    step, unit = spikes[5].tolist()
    results_of(board, spikes={"left": np.concatenate([spikes, *[spikes[5:6]] * (times - 1)])})
    assert check(board) == (
        1,
        f"left: 12 spikes expected, {11 + times} found; 0 missing, {times - 1} not expected; first at step {step}, unit {unit} ({said})\n"
        "right: 11 spikes, equal\nleft>right: 8 weights, equal\nno operations\nNOT as expected\n", "",
    )  # fmt: skip


def test_a_weight_changed_and_a_synapse_of_its_own(board: Path) -> None:
    words, unit = expected(board)["weights.left>right"], 2.0**-11
    with np.load(board / "tables.npz") as tables:
        pairs = tables["left>right"][:, :2]
    rows = np.column_stack([pairs, words * unit])
    rows[3, 2] += unit
    results_of(board, weights={"left>right": rows})
    pre, post = pairs[3].astype(int).tolist()
    assert check(board) == (
        1,
        "left: 12 spikes, equal\nright: 11 spikes, equal\n"
        f"left>right: 1 of 8 weights differ; first from {pre} to {post}: [{words[3]}] expected, [{words[3] + 1}] found, in steps of 0.000488281 nA\n"
        "no operations\nNOT as expected\n", "",
    )  # fmt: skip
    rows[3, 2] -= unit
    results_of(board, weights={"left>right": np.concatenate([rows, [[3.0, 3.0, 1.0]]])})
    assert check(board)[1].splitlines()[2] == (
        "left>right: 1 of 8 weights differ; first from 3 to 3: [] expected, [2048] found, in steps of 0.000488281 nA"
    )
    results_of(board, weights={"left>right": rows[::-1] * [1, 1, -1]})  # in any order; of inhibitory ones PyNN gives the negative
    assert check(board)[0] == 0


def test_an_answer_that_is_wrong(packages: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    shutil.copytree(packages["ca3"], board)
    results_of(board)
    status, text, _ = check(board)
    assert (status, text.splitlines()[-2:]) == (0, ["9 of 9 operations answered as expected", "as expected"])
    spikes = expected(board)["spikes.out"]
    last = (spikes[:, 0] == 86) & (spikes[:, 1] == 4)  # recall at step 80 is answered at step 86, by cue 4
    assert last.sum() == 1
    results_of(board, spikes={"out": np.where(last[:, None], [86, 2], spikes)})
    status, text, _ = check(board)
    assert (status, text.splitlines()[-4:]) == (
        1,
        [
            "s2_cont>s2_cue: 50 weights, equal",
            "recall at step 80: {'cue': [4]} expected, {'cue': [2]} came back",
            "8 of 9 operations answered as expected",
            "NOT as expected",
        ],
    )


def test_results_of_another_export(board: Path) -> None:
    digest = json.loads((board / "manifest.json").read_text())["digest"]
    results_of(board, digest="f" * 64)
    says = f"check.py: {board / 'results'}: results of another export ({'f' * 12}); expected {digest[:12]}: run run.py again.\n"
    assert check(board) == (2, "", says)
    (board / "results" / "run.json").write_text("[]")
    assert check(board) == (2, "", f"check.py: {board / 'results' / 'run.json'}: []; expected it as it was written.\n")


@pytest.mark.parametrize("name", ["run.json", "spikes.npz", "weights.npz"])
def test_a_missing_file(name: str, board: Path) -> None:
    (board / "results" / name).unlink()
    says = f"check.py: {board / 'results' / name}: there is no such file; expected the results of run.py.\n"
    assert check(board) == (2, "", says)


def test_a_file_that_is_something_else(board: Path) -> None:
    path = board / "results" / "spikes.npz"
    path.write_bytes(path.read_bytes()[:-40])
    says = f"check.py: {path}: it cannot be read (File is not a zip file); expected it as it was written.\n"
    assert check(board) == (2, "", says)
    results_of(board, spikes={"left": np.arange(4)})
    says = f"check.py: {path}: 'left' has shape (4,); expected rows of 2 numbers, as run.py wrote them.\n"
    assert check(board) == (2, "", says)


@pytest.mark.parametrize("kind", ["text", "truth", "complex", "quarter", "nan", "large", "columns", "scalar"])
def test_spikes_that_are_none(kind: str, board: Path) -> None:
    rows, says = faults("left", expected(board)["spikes.left"])[kind]
    results_of(board, spikes={"left": rows})
    assert check(board) == (2, "", f"check.py: {board / 'results' / 'spikes.npz'}: {says}\n")


@pytest.mark.parametrize(
    ("column", "value", "expects"),
    [(2, np.nan, "nan in row 3, column 2; expected a finite number"), (2, np.inf, "inf in row 3, column 2; expected a finite number"),
     (0, 0.5, "0.5 in row 3, column 0; expected a whole number"), (1, np.nan, "nan in row 3, column 1; expected a whole number")],
)  # fmt: skip
def test_weights_that_are_none(column: int, value: float, expects: str, board: Path) -> None:
    with np.load(board / "results" / "weights.npz") as found:
        rows = found["left>right"]
    rows[3, column] = value
    results_of(board, weights={"left>right": rows})
    says = f"check.py: {board / 'results' / 'weights.npz'}: 'left>right' has {expects}, as run.py wrote it.\n"
    assert check(board) == (2, "", says)


def test_files_of_other_things(board: Path) -> None:
    path = board / "results" / "spikes.npz"
    says = f"check.py: {path}: it cannot be read ({{}}); expected it as it was written.\n"
    path.write_bytes(b"")
    assert check(board) == (2, "", says.format("No data left in file"))
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    assert check(board) == (2, "", says.format("one array without a name"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("left", "3 1")
    assert check(board) == (2, "", says.format("'left' is no array"))
    np.savez(path, left=np.array([None]))
    assert check(board) == (2, "", says.format("Object arrays cannot be loaded when allow_pickle=False"))


def test_results_without_their_simulator(board: Path) -> None:
    path = board / "results" / "run.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({"digest": about["digest"]}))
    assert check(board) == (2, "", f"check.py: {path}: simulator None; expected its name, as run.py wrote it.\n")


def test_an_edited_package(board: Path) -> None:
    (board / "run.py").write_text("pass\n")
    (board / "expected.npz").unlink()
    says = "check.py: expected.npz, run.py: changed after the export; expected the package as it was written.\n"
    assert check(board) == (2, "", says)


def test_an_edited_manifest(board: Path) -> None:
    """With the digests of the files put right, and its own not."""
    manifest = json.loads((board / "manifest.json").read_text())
    (board / "run.py").write_text("pass\n")
    manifest["files"]["run.py"] = hashlib.sha256(b"pass\n").hexdigest()
    (board / "manifest.json").write_text(json.dumps(manifest))
    says = "check.py: manifest.json: changed after the export; expected the package as it was written.\n"
    assert check(board) == (2, "", says)
    (board / "manifest.json").unlink()
    path = board / "manifest.json"
    says = f"check.py: {path}: it cannot be read ([Errno 2] No such file or directory: '{path}'); expected it as it was written.\n"
    assert check(board) == (2, "", says)
