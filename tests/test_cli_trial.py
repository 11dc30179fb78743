"""``neuromem run`` of memories without spikes: trials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_testing import golden, say, without_seconds

from neuromem.backends.matrix import MatrixSimulation
from neuromem.runs.trial import TrialResult

REFERENCE = ("--backend", "reference")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Endings of the paths that were drawn to; the picture itself has tests of its own."""
    paths: list[str] = []

    def draw(result: TrialResult, path: Path) -> None:
        paths.append(path.suffix)
        path.write_text("picture")

    monkeypatch.setattr("neuromem.analysis.recall_picture.draw_recall", draw)
    return paths


def test_the_table_of_a_trial(drawn: list[str]) -> None:
    said = say("run", "hopfield", "--set", "n=60", "--patterns", "6", "--noise", "flips=0.3", "--seed", "1", *REFERENCE)
    assert (said.status, said.err) == (0, "")
    assert without_seconds(said.out) == golden("cli_run_hopfield.txt")
    assert (drawn, [p.name for p in Path().iterdir()]) == ([".png"], ["hopfield-trial.png"])


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", ["hopfield", "willshaw", "bcpnn", "dense", "sequence"])
def test_every_model_recalls_its_own_trial(name: str, backend: str) -> None:
    said = say("run", name, "--no-raster", "--backend", backend)
    n = {"hopfield": 12, "sequence": 19}.get(name, 100)
    assert said.status == 0
    assert said.out.splitlines()[-1].startswith(f"{n} of {n} exact; mean wrong units 0 (cues ")
    assert said.out.splitlines()[-1].split("; ")[-2] == f"backend {backend}"


def test_real_numbers_have_errors_in_place_of_wrong_units() -> None:
    said = say("run", "hetero", "--no-raster", "--patterns", "3", *REFERENCE)
    head, first, *_, last = said.out.splitlines()
    assert head == "pattern  squared error in cue  in answer  nearest  overlap with pattern  steps  margin  converged"
    assert first.split()[3:] == ["yes", first.split()[4], "1", "-", "yes"]
    assert 0.9 < float(first.split()[4]) < 1
    assert last.startswith("3 of 3 nearest to their own pattern; mean squared error ")


def test_wrong_answers_come_first_where_there_is_no_room_for_all() -> None:
    said = say("run", "hopfield", "--set", "n=160", "--patterns", "22", "--no-raster", *REFERENCE)
    assert said.status == 0
    _, *rows, more, summary = said.out.splitlines()
    numbers = [int(row.split()[0]) for row in rows]
    wrong = [number for number, row in zip(numbers, rows, strict=True) if row.split()[3] == "NO"]
    found = json.loads(say("run", "hopfield", "--set", "n=160", "--patterns", "22", "--json", *REFERENCE).out)
    assert len(rows) == 20
    assert numbers == sorted(numbers)
    assert 0 < len(wrong) <= 20
    assert wrong == [answer["pattern"] for answer in found["answers"] if not answer["exact"]]
    assert more == "... and 2 more, 2 of them exact (all: --json)"
    assert summary.startswith(f"{22 - len(wrong)} of 22 exact; ")


def test_what_neuromem_warns_of_is_a_line() -> None:
    said = say("run", "hopfield", "--patterns", "45", "--no-raster", "--noise", "flips=0.2", *REFERENCE)
    assert said.status == 0
    moving = sum(line.endswith("NO") for line in said.out.splitlines())
    lines = said.err.splitlines()
    assert all(line.startswith("note: hopfield: ") for line in lines)
    assert lines[-1].endswith(" of 45 cues still changed after 100 steps; their answers are marked in `converged`.")
    assert moving > 0
    assert "not converged; digest" in said.out


def test_json_is_one_object_and_nothing_else(drawn: list[str]) -> None:
    said = say("run", "willshaw", "--patterns", "2", "--json", *REFERENCE)
    assert (said.status, said.err, drawn) == (0, "", [])
    found = json.loads(said.out)
    assert len(found.pop("digest")) == 64
    answers = found.pop("answers")
    parameters = found.pop("parameters")
    assert (parameters["n"], parameters["recall"]) == (256, "winners")
    assert found == {
        "model": "willshaw", "protocol": "trial", "backend": "reference", "seed": 0, "n_exact": 2, "mean_error": 0.0, "correct": True, "converged": True,
        "trial": {"n_patterns": 2, "flips": 0.0, "deletions": 0.25, "additions": 0.0, "moves": 0.0, "noise": 0.0},
    }  # fmt: skip
    assert answers[1] == {
        "pattern": 1, "cue_error": 2, "error": 0, "exact": True, "steps": 2, "overlap": 1.0, "cue_overlap": 1.0, "margin": 1.0, "converged": True,
    }  # fmt: skip
    again = json.loads(say("run", "hetero", "--patterns", "2", "--json", *REFERENCE).out)
    assert (again["answers"][0]["cue_overlap"], again["answers"][0]["margin"]) == (None, None)
    assert say("run", "willshaw", "--patterns", "2", "--json", *REFERENCE).out == said.out


def test_sparse_patterns_take_the_trials_flips_as_what_they_can_have() -> None:
    found = json.loads(say("run", "hopfield", "--set", "hypercolumns=16", "--json", *REFERENCE).out)
    assert (found["trial"]["flips"], found["trial"]["moves"]) == (0.0, 0.1)
    found = json.loads(say("run", "willshaw", "--noise", "additions=0.5", "--json", *REFERENCE).out)
    assert (found["trial"]["deletions"], found["trial"]["additions"]) == (0.0, 0.5)


ERRORS = {
    ("hopfield", "--noise", "moves=0.1"): "hopfield: moves = 0.1 in cues of 256 bipolar units; expected errors that they can have: flips.",
    ("bcpnn", "--noise", "flips=0.1"): (
        "bcpnn: flips = 0.1 in cues of 256 binary units, 1 active in each of 16 groups; expected errors that they can have: additions, deletions, moves."
    ),
    ("hopfield", "--noise", "flip=0.1"): (
        "--noise flip=0.1: expected KEY=VALUE, with one of additions, deletions, flips, moves, noise, such as --noise flips=0.2 (did you mean 'flips'?)."
    ),
    ("hopfield", "--noise", "0.1"): (
        "--noise 0.1: expected KEY=VALUE, with one of additions, deletions, flips, moves, noise, such as --noise flips=0.2."
    ),
    ("hopfield", "--noise", "flips=much"): "Trial: flips = 'much'; expected a fraction from 0 to 1.",
    ("hopfield", "--patterns", "0"): "Trial: n_patterns = 0; expected a whole number of patterns, at least 1.",
    ("hopfield", "--out", "a.zarr"): "--out a.zarr: the memory has no spikes to keep; expected --json, which prints all that came back.",
    (
        "hopfield",
        "--spikes",
        "a.csv",
    ): "--spikes a.csv: the memory has no spikes to keep; expected --json, which prints all that came back.",
    ("hopfield", "--raster", "a.gif"): "a.gif: a picture that ends in '.gif'; expected one of .pdf, .png, .svg.",
    ("hopfield", "--raster", "there.png"): "there.png: it exists already; expected a new name, or --force to replace it.",
    ("hopfield", "--unsafe-gaps"): "--unsafe-gaps: hopfield has no operations in time, and no gaps; leave it out.",
    ("hopfield", "--protocol", "trail"): "hopfield: no protocol 'trail'; expected one of trial, or a .toml file (did you mean 'trial'?).",
    ("hopfield", "--codegen", "numpy"): "backend 'cpu': options codegen; it does not know them (codegen is an option of brian2).",
    ("sequence", "--patterns", "1"): "sequence: a trial of 1 pattern; expected at least 2, a sequence.",
    ("ca3-cam", "--patterns", "3"): "--patterns: ca3-cam has spikes, and protocols in place of trials; expected --protocol.",
    ("ca3-cam", "--noise", "flips=0.1"): "--noise: ca3-cam has spikes, and protocols in place of trials; expected --protocol.",
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.items(), ids=[" ".join(a) for a in ERRORS])
def test_what_is_refused(arguments: tuple[str, ...], message: str) -> None:
    Path("there.png").write_text("mine")
    said = say("run", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")
    assert [p.name for p in Path().iterdir()] == ["there.png"]


def test_a_backend_that_runs_spikes_only() -> None:
    pytest.importorskip("brian2", reason="brian2 is not installed; pip install 'neuromem[brian2]'")
    said = say("run", "hopfield", "--backend", "brian2", "--no-raster")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("error: backend 'brian2' will not do 'matrix': Brian2 simulates spikes; ")


def test_a_name_that_is_taken_stops_nothing(drawn: list[str]) -> None:
    Path("willshaw-trial.png").write_text("mine")
    said = say("run", "willshaw", "--patterns", "1", *REFERENCE)
    assert said.status == 0
    assert said.err == (
        "no picture will be drawn: willshaw-trial.png: it exists already; expected a new name, or --force to replace it. "
        "(Or: --raster FILE to draw elsewhere, or --no-raster.)\n"
    )
    assert Path("willshaw-trial.png").read_text() == "mine"
    assert say("run", "willshaw", "--patterns", "1", "--force", *REFERENCE).out.endswith("picture: willshaw-trial.png\n")
    assert say("run", "willshaw", "--patterns", "1", "--raster", "b.pdf", *REFERENCE).status == 0
    assert drawn == [".png", ".pdf"]


def test_an_interrupted_trial_ends_with_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MatrixSimulation, "settle", stop)
    said = say("run", "hopfield", *REFERENCE)
    assert (said.status, said.out, list(Path().iterdir())) == (130, "", [])


def test_as_a_module_in_an_empty_folder() -> None:
    command = [sys.executable, "-m", "neuromem", "run", "sequence", "--no-raster", *REFERENCE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("19 of 19 exact; ")
    assert (done.stderr, list(Path().iterdir())) == ("", [])


def test_a_sequence_tells_that_only_its_start_has_errors() -> None:
    said = say("run", "sequence", "--noise", "deletions=0.25", "--patterns", "3", "--no-raster", *REFERENCE)
    title, head, first, second, _ = said.out.splitlines()
    assert title == "3 patterns stored in order; the cue of pattern 1 is pattern 0 with the trial's errors, of each other the answer before"
    assert head.startswith("pattern  wrong units in cue  in answer  exact  overlap with pattern")
    assert [first.split()[:2], second.split()[:2]] == [["1", "2"], ["2", "0"]]


OWN = """\
from dataclasses import replace

from neuromem.models import willshaw


def mine(n: int = 64, k: int = 6):
    return replace(willshaw(n, k), name="mine", parameters={})
"""


def test_a_memory_without_trials_has_cues_with_one_unit_wrong() -> None:
    Path("own.py").write_text(OWN)
    said = say("run", "own.py:mine", "--json", *REFERENCE)
    assert said.err == "error: own.py:mine: it has no trials of its own; expected a number of patterns: --patterns N.\n"
    found = json.loads(say("run", "own.py:mine", "--patterns", "3", "--json", *REFERENCE).out)
    assert [answer["cue_error"] for answer in found["answers"]] == [1, 1, 1]
    found = json.loads(say("run", "own.py:mine", "--patterns", "3", "--noise", "additions=0.5", "--json", *REFERENCE).out)
    assert [answer["cue_error"] for answer in found["answers"]] == [3, 3, 3]


def test_parameters_that_a_file_does_not_tell_are_the_functions_arguments() -> None:
    Path("own.py").write_text(OWN)
    found = json.loads(say("run", "own.py:mine", "--patterns", "3", "--set", "n=80", "--json", *REFERENCE).out)
    assert found["parameters"] == {"n": 80, "k": 6}


def test_a_name_that_is_taken_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MatrixSimulation, "settle", stop)
    Path("willshaw-trial.png").write_text("mine")
    assert say("run", "willshaw", *REFERENCE).err.startswith("no picture will be drawn: willshaw-trial.png: it exists already")
