"""``neuromem capacity``."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from cli_testing import say

from neuromem.capacity import study
from neuromem.cli import capacity as command

SMALL = ("--set", "n=64", "--set", "hypercolumns=8")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies with few cues, where their figures do not matter."""
    for name in ("FEWEST_CUES", "MOST_CUES", "CURVE_CUES"):
        monkeypatch.setattr(study, name, 128)


def measured(*arguments: str) -> dict[str, Any]:
    """Run with --json and return the one object that is printed."""
    said = say("capacity", *arguments, "--json")
    assert (said.status, said.err, list(Path().iterdir())) == (0, "", [])
    return json.loads(said.out)


@pytest.mark.parametrize(
    ("arguments", "published"),
    [(("bcpnn",), 276), (("hopfield", "--set", "rule=covariance"), 145), (("willshaw",), 195)],
    ids=["bcpnn", "covariance", "willshaw"],
)
def test_the_published_protocol(arguments: tuple[str, ...], published: float) -> None:
    """N = 256 in 16 hypercolumns, one of the cue's flipped, P90 as the mean of 3 seeds: within 2 % of what was measured elsewhere."""
    found = measured(*arguments, "--set", "n=256", "--set", "hypercolumns=16", "--criterion", "exact90", "--seeds", "3")
    assert found["p90"] == found["capacity"] == pytest.approx(published, rel=0.02)
    assert found["ci95"][0] < found["p90"] < found["ci95"][1]
    # Bits: 16 winners of 4 bits each; 256 x 240 weights.
    assert found["bits_per_synapse"] == pytest.approx(0.9 * found["p90"] * 64 / 61440, rel=0.02)
    assert "n_synapses" in found["definition"]
    assert (found["noise"]["text"], found["n_synapses"], len(found["seeds"])) == ("1 of 16 winners moved", 61440, 3)


def test_the_published_protocol_with_hebbs_rule() -> None:
    """82 was measured elsewhere, with one set of patterns a seed, of which P90 has a standard deviation of 10: 6 for the mean of 3."""
    found = measured(
        "hopfield", "--set", "rule=hebb", "--set", "n=256", "--set", "hypercolumns=16", "--criterion", "exact90", "--seeds", "3"
    )
    assert found["sets"] == 64  # these bring it down to 10 / sqrt(192) < 1
    assert abs(found["p90"] - 82) < 2 * 6
    assert found["p90"] == pytest.approx(found["theory"]["capacities"][0]["patterns"], rel=0.05)


@pytest.mark.usefixtures("rough")
def test_json_holds_every_point() -> None:
    found = measured("hopfield", "--set", "n=64", "--seeds", "2", "--seed", "5", "--criterion", "overlap95", "--basin")
    assert "p90" not in found
    assert [s["seed"] for s in found["seeds"]] == [5, 6]
    assert found["capacity"] == sum(s["capacity"] for s in found["seeds"]) / 2
    for seed in found["seeds"]:
        own = {p["n_patterns"]: p for p in found["points"] if p["seed"] == seed["seed"]}
        assert own[seed["capacity"]]["overlap"] >= 0.95 > own[seed["capacity"] + 1]["overlap"]
        assert all(p["holds"] == (p["overlap"] >= 0.95) for p in own.values())
    assert [b["error"] for b in found["basin"]] == ["flips", "flips"]
    assert found["parameters"]["n"] == 64
    assert set(found["versions"]) >= {"neuromem", "numpy"}


@pytest.mark.usefixtures("rough")
@pytest.mark.parametrize("seeds", ["1", "2"])
def test_one_or_two_seeds_have_no_interval(seeds: str) -> None:
    found = measured("willshaw", "--set", "n=64", "--seeds", seeds, "--basin")
    assert found["ci95"] == [None, None]
    assert all(point["ci95"] == [None, None] for basin in found["basin"] for point in basin["points"])
    said = say("capacity", "willshaw", "--set", "n=64", "--seeds", seeds, "--no-figure").out
    assert "inf" not in said
    assert "too few seeds" in said.splitlines()[1]


@pytest.mark.usefixtures("rough")
def test_real_values_are_judged_by_their_overlap() -> None:
    found = measured("hetero", "--seeds", "1", "--basin")
    assert found["criterion"]["name"] == "overlap90"
    assert [(basin["quantity"], basin["level"]) for basin in found["basin"]] == [("overlap", 0.9)] * 2
    assert all(0 < point["overlap"] <= 1 for basin in found["basin"] for point in basin["points"])
    assert measured("hetero", "--seeds", "1", "--set", "units=bipolar")["criterion"]["name"] == "exact90"
    both = json.loads(say("capacity", "--compare", "hetero", "willshaw", "--set", "n=32", "--seeds", "1", "--json").out)
    assert {one["criterion"]["name"] for one in both["models"]} == {"overlap90"}


@pytest.mark.usefixtures("rough")
def test_headings_tell_what_stands_for_none_and_nothing_where_there_is_nothing() -> None:
    assert "\nwillshaw: n=64, k=6, hypercolumns=1, " in say("capacity", "willshaw", "--set", "n=64", "--seeds", "1", "--no-figure").out
    Path("own.py").write_text(
        "from dataclasses import replace\nfrom neuromem.models import willshaw\ndef mine():\n"
        "    return replace(willshaw(64), name='mine', parameters={})\n"
    )
    assert "\nmine\n  criterion" in say("capacity", "own.py:mine", "--seeds", "1", "--no-figure").out


@pytest.mark.usefixtures("rough")
def test_a_name_that_is_taken_is_told_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_pilot", measure)
    Path("capacity-hopfield.png").write_text("mine")
    assert say("capacity", "hopfield").err.startswith("no picture will be drawn: capacity-hopfield.png: it exists already")


@pytest.mark.usefixtures("rough")
def test_models_side_by_side() -> None:
    said = say(
        "capacity",
        "--compare",
        "hopfield",
        "willshaw",
        "bcpnn",
        "dense",
        "--set",
        "n=32",
        "--set",
        "hypercolumns=4",
        "--set",
        "power=2",
        "--seeds",
        "2",
    )
    assert (said.status, said.err) == (0, "")
    table = said.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table] == ["model", "hopfield", "willshaw", "bcpnn", "dense"]
    assert "1 of 4 winners moved" in said.out
    assert "power=2" in said.out
    assert "figure: capacity-compare.png" in said.out
    assert [p.name for p in Path().iterdir()] == ["capacity-compare.png"]
    found = say("capacity", "--compare", "hopfield", "willshaw", "--set", "n=32", "--seeds", "1", "--json")
    assert [one["model"] for one in json.loads(found.out)["models"]] == ["hopfield", "willshaw"]


@pytest.mark.usefixtures("rough")
def test_pictures_and_tables_are_not_overwritten() -> None:
    Path("capacity-hopfield.png").write_text("mine")
    said = say("capacity", "hopfield", "--set", "n=24", "--seeds", "1")
    assert (said.status, Path("capacity-hopfield.png").read_text()) == (0, "mine")
    assert said.err.startswith("no picture will be drawn: capacity-hopfield.png: it exists already")
    said = say("capacity", "hopfield", "--set", "n=24", "--figure", "capacity-hopfield.png")
    assert (said.status, said.out) == (1, "")
    said = say("capacity", "hopfield", "--set", "n=24", "--seeds", "1", "--force", "--csv", "points.csv")
    assert said.status == 0
    assert Path("capacity-hopfield.png").stat().st_size > 5000
    rows = list(csv.DictReader(Path("points.csv").read_text().splitlines()))
    assert {r["model"] for r in rows} == {"hopfield"}
    assert all(0 <= float(r["exact"]) <= 1 for r in rows)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("hopfield", "--criterion", "exakt90"), 1, "did you mean 'exact90'"),
        (("hopfeld",), 1, "did you mean 'hopfield'"),
        (("hopfield", "--set", "hypercolumn=4"), 1, "did you mean 'hypercolumns'"),
        (("--compare", "hopfield", "willshaw", "--set", "tau=4"), 1, "none of hopfield, willshaw has a parameter of that name"),
        (("hopfield", "--noise", "moves=0.1"), 1, "--noise moves=...: cues cannot have such errors here; expected of hopfield: flips"),
        (("hopfield", "--noise", "flip=0.1"), 1, "did you mean 'flips'"),
        (("ca3-cam",), 1, "it has spikes"),
        (("hopfield", "--backend", "gpu"), 1, "gpu"),
        (("hopfield", "willshaw"), 2, "2 models without --compare"),
        (("hopfield", "--figure", "a.png", "--no-figure"), 2, "expected one of the two"),
        (("hopfield", "--figure", "a.txt"), 1, "a picture that ends in '.txt'"),
        (("hopfield", "--seeds", "0"), 2, "seeds"),
        (("hopfield", "--figure", "a.png", "--csv", "a.png"), 1, "name the same file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(
    arguments: tuple[str, ...], status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> None:
        raise AssertionError("a measurement began")

    monkeypatch.setattr(study, "_pilot", measure)
    result = say("capacity", *arguments)
    assert (result.status, result.out, list(Path().iterdir())) == (status, "", [])
    assert said in " ".join(result.err.replace("│", " ").split())


@pytest.mark.usefixtures("rough")
def test_after_ctrl_c_what_was_measured_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(command.ProgressBar):
        def __call__(self, done: int, total: int) -> None:
            if done == 25:
                raise KeyboardInterrupt

    monkeypatch.setattr(command, "ProgressBar", Impatient)
    said = say("capacity", "hopfield", "--set", "n=64", "--seeds", "9")
    assert said.status == 130
    assert said.err.startswith("interrupted: hopfield after ")
    assert said.out.splitlines()[1].startswith("hopfield ")
    assert not list(Path().iterdir())
    said = say("capacity", "hopfield", "--set", "n=64", "--seeds", "9", "--json")
    assert (said.status, json.loads(said.out)["complete"]) == (130, False)


@pytest.mark.usefixtures("rough")
def test_the_examples_of_the_documentation_run() -> None:
    page = (Path(__file__).parent.parent / "docs" / "capacity.md").read_text("utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["sh", "python"]
    for line in blocks[0][1].splitlines():
        program, *arguments = shlex.split(line)
        said = say(*arguments)
        assert (program, said.status, said.err) == ("neuromem", 0, "")
    exec(compile(blocks[1][1], "capacity.md", "exec"), {})
    assert {p.name for p in Path().iterdir()} == {"capacity-willshaw.png", "capacity-compare.png", "points.csv"}
