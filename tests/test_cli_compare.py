"""``neuromem compare``: the report is the analysis' own test; here, what is asked of it and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import say

from neuromem.cli.compare import ENGINES


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Report:
    def __init__(self, agree: bool, complete: bool = True) -> None:
        self.agree, self.complete = agree, complete

    def table(self) -> str:
        return "the table"


@pytest.mark.parametrize("agree", [True, False])
def test_what_is_asked_and_the_exit_status(agree: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compare(memory: Any, protocol: Any, engines: Any, seed: int = 0) -> Report:
        asked.append((memory.name, protocol.name, list(engines), seed))
        return Report(agree)

    def draw(report: Report, path: Path) -> None:
        path.write_text("picture")

    monkeypatch.setattr("neuromem.analysis.agreement.compare", compare)
    monkeypatch.setattr("neuromem.analysis.agreement.draw_agreement", draw)
    said = say("compare", "ca3-cam", "--backends", "reference,brian2:cython", "--seed", "3", "--figure", "a.png")
    assert (said.status, said.out, said.err) == (0 if agree else 1, "the table\n", "")
    assert asked == [("ca3-cam", "functional", [("reference", {}), ("brian2", {"codegen": "cython"})], 3)]
    assert Path("a.png").read_text() == "picture"
    said = say("compare", "ca3-cam", "--figure", "a.png")
    assert (said.status, said.out, said.err) == (1, "", "error: a.png: it exists already; expected a new name, or --force to replace it.\n")


@pytest.mark.parametrize(
    ("named", "agree", "complete", "status"),
    [
        (False, True, True, 0),
        (False, True, False, 0),  # the default list may hold what is not installed
        (False, False, True, 1),
        (False, False, False, 1),
        (True, True, True, 0),
        (True, True, False, 1),
        (True, False, False, 1),
    ],
)
def test_an_engine_that_is_named_must_run(named: bool, agree: bool, complete: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compare(memory: Any, protocol: Any, engines: Any, seed: int = 0) -> Report:
        asked.append(list(engines))
        return Report(agree, complete)

    monkeypatch.setattr("neuromem.analysis.agreement.compare", compare)
    assert say("compare", "ca3-cam", *(["--backends", ENGINES] if named else [])).status == status
    brian2 = [("brian2", {"codegen": codegen}) for codegen in ("numpy", "cython", "cpp_standalone")]
    assert asked == [[("reference", {}), ("cpu", {}), *brian2]]


def test_the_help_says_what_the_exit_status_means() -> None:
    text = " ".join(say("compare", "--help").out.split())
    assert (
        "Exit status 1 if a backend differs, if one that is named with --backends could not run, or if fewer than two ran. "
        "Without --backends, those that are not installed are only reported."
    ) in text


def test_two_engines_agree() -> None:
    said = say("compare", "ca3-cam", "--backends", "reference,cpu")
    assert (said.status, said.err) == (0, "")
    assert "cpu" in said.out


def test_engines_agree_on_a_trial() -> None:
    said = say("compare", "hopfield", "--patterns", "5", "--noise", "flips=0.2", "--seed", "2")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("hopfield, trial of 5 patterns, seed 2, program ")
    assert [line.split()[0] for line in lines[2:5]] == ["engine", "reference", "cpu"]
    assert "2 engines agree on 5 answers and on all weights." in lines


def test_an_engine_that_differs_on_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.kernels.cpu import willshaw

    recall = willshaw.recall_winners
    monkeypatch.setattr(willshaw, "recall_winners", lambda *a, **b: recall(*a, **b) ^ np.uint64(1))
    said = say("compare", "willshaw", "--patterns", "5")
    assert said.status == 1
    assert "DIFFERENT from reference: cpu." in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hopfield", "--figure", "a.png"), "--figure a.png: only engines that run spikes are drawn; leave it out (neuromem run draws what a trial came to)."),
        (("hopfield", "--unsafe-gaps"), "--unsafe-gaps: hopfield has no operations in time, and no gaps; leave it out."),
        (("hopfield", "--backends", "cpuu"), "backend 'cpuu'; expected one of brian2, brian2cuda, cpu, cupy, reference, spinnaker-emulator (did you mean 'cpu'?)."),
        (("ca3-cam", "--patterns", "5"), "--patterns: ca3-cam has spikes, and protocols in place of trials; expected --protocol."),
    ],
)  # fmt: skip
def test_what_is_refused_of_trials(arguments: tuple[str, ...], message: str) -> None:
    said = say("compare", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


def test_one_engine_alone_and_one_that_runs_spikes_only() -> None:
    said = say("compare", "willshaw", "--backends", "cpu", "--patterns", "3")
    assert said.status == 1
    assert "Nothing to compare: only cpu ran." in said.out
    pytest.importorskip("brian2", reason="brian2 is not installed; pip install 'neuromem[brian2]'")
    said = say("compare", "willshaw", "--backends", "reference,cpu,brian2:numpy", "--patterns", "3")
    assert (said.status, said.err) == (1, "")
    assert "2 of 3 engines ran, and agree on 3 answers and on all weights." in said.out
