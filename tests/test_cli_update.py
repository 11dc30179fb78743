"""``neuromem update``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from cli_testing import say

from neuromem.cli.update import rule_named
from neuromem.large import HebbBatch, UpdateInterrupted, engines
from neuromem.spec.hebbian import BayesianHebbian
from neuromem.spec.outer_product import Decay, OjaRetention, OuterProductRule, PlainStep, SquaredError, Variance

INF = float("inf")
job = sys.modules["neuromem.large.update"]


@pytest.fixture(autouse=True)
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Two keys of 3 and their values of 4, in files."""
    monkeypatch.chdir(tmp_path)
    np.save("keys.npy", np.array([[1, 0, 1], [0, 1, 1]], np.int8))
    np.save("values.npy", np.array([[1, 2, 0, 0], [0, 0, 1, 1]], np.int8))
    return "--keys", "keys.npy", "--values", "values.npy"


def figures_left_out(text: str) -> str:
    """Return a report without what was measured."""
    text = re.sub(r"in [0-9.e+-]+ s: [0-9.e+-]+ GB/s", "in # s: # GB/s", text)
    return re.sub(r"[0-9]+ threads?,", "# threads,", text)


@pytest.mark.parametrize("out", ["new.zarr", "new.npy"])
def test_a_new_matrix_learns(pairs: tuple[str, ...], out: str) -> None:
    said = say("update", "w.zarr", "--new", "4,3", "--dtype", "int8", *pairs, "--out", out)
    assert (said.status, said.err) == (0, "")
    assert figures_left_out(said.out) == (
        "w.zarr: 4 x 3 int8 zeros\n"
        "HebbBatch(rate=1.0, decay=1.0, w_min=-127, w_max=127): 2 pairs into 4 x 3 int8 in files, engine cpu, # threads, 1 tile\n"
        "read 1.2e-08 GB, wrote 1.2e-08 GB in # s: # GB/s, too little to be held against a copy\n"
        "0 of 12 weights (0 %) were pushed to a bound or against it\n"
    )
    found = np.load(out) if out.endswith(".npy") else zarr.open_array(out, mode="r")[:]
    assert found.tolist() == [[1, 0, 1], [2, 0, 2], [0, 1, 1], [0, 1, 1]]


def test_decay_and_bounds(pairs: tuple[str, ...]) -> None:
    np.save("w.npy", np.full((4, 3), 2, np.float32))
    options = ("--rate", "0.5", "--decay", "0.25", "--low", "0", "--high", "1.25", "--threads", "1", "--tile-bytes", "12")
    said = say("update", "w.npy", *pairs, "--out", "new.npy", *options)
    assert (said.status, said.err) == (0, "")
    # 2 / 4 + 1/2 of the pairs, at most 1.25
    assert np.load("new.npy").tolist() == [[1, 0.5, 1], [1.25, 0.5, 1.25], [0.5, 1, 1], [0.5, 1, 1]]


def test_bcpnn(pairs: tuple[str, ...]) -> None:
    np.save("values.npy", np.eye(2, 4))
    assert (
        say("update", "t.zarr", "--new", "4,3", "--rule", "bcpnn", "--activity", "0.25").out
        == "t.zarr: traces of 3 x 4 independent units\n"
    )
    said = say("update", "t.zarr", *pairs, "--rule", "bcpnn", "--rate", "0.5", "--out", "new.zarr")
    assert (said.status, said.err) == (0, "")
    # p from 1/4, halfway to 1 or 0, twice
    assert zarr.open_group("new.zarr", mode="r")["p_j"][:].tolist() == [0.3125, 0.5625, 0.0625, 0.0625]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("hebb", 0.5, 0.9, -1.0, 1.0), HebbBatch(0.5, 0.9, -1.0, 1.0)),
        (("delta", 0.5, 1.0, -INF, INF), OuterProductRule(SquaredError(), step=PlainStep(0.5))),
        (("delta", 0.5, 0.9, -1.0, 1.0), OuterProductRule(SquaredError(), Decay(0.9), PlainStep(0.5), -1.0, 1.0)),
        (("oja", 0.01, 1.0, -INF, INF), OuterProductRule(Variance(), OjaRetention(), PlainStep(0.01))),
        (("bcpnn", 0.25, 1.0, -INF, INF), BayesianHebbian(tau=4.0)),
    ],
)
def test_rules(options: tuple[Any, ...], expected: Any) -> None:
    assert rule_named(*options) == expected


W = ("w.npy", "--keys", "keys.npy", "--values", "values.npy", "--out", "new.npy")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((*W, "--rule", "hebbian"), "--rule hebbian: expected hebb, delta, oja, bcpnn (did you mean 'hebb'?)."),
        (
            (*W, "--rule", "oja", "--decay", "0.5"),
            "--decay 0.5 with --rule oja, which forgets in its own way; expected it with hebb or delta.",
        ),
        (
            (*W, "--rule", "bcpnn", "--low", "0"),
            "--low or --high with --rule bcpnn, whose weights are logarithms of probabilities; expected neither.",
        ),
        ((*W, "--rule", "bcpnn", "--rate", "2"), "--rate 2 with --rule bcpnn; expected a step of the traces, above 0 and at most 1."),
        (("no.npy", *W[1:]), "no.npy: does not exist; expected a .npy file with a matrix, or a zarr folder."),
        (("w.npy", "--keys", "no.npy", "--out", "new.npy"), "no.npy: does not exist; expected a .npy file."),
        (
            ("w.npy", "--keys", "several.npz", "--out", "new.npy"),
            "several.npz: holds several arrays; expected one, as numpy.save writes it.",
        ),
        (W[:-2], "w.npy: a file is not changed in place; expected the name of a new one: out=... (--out)."),
        (("x.npy", "--new", "4"), "--new 4: expected two whole numbers, as 4096,4096."),
        (("w.npy", "--new", "4,3"), "w.npy: exists already; expected a new name."),
        (
            ("x.zarr", "--new", "4,3", "--rule", "bcpnn"),
            "--new with --rule bcpnn: --activity is missing; expected the probability that a unit is active, such as 0.01.",
        ),
        (
            ("x.zarr", "--new", "4,3", "--keys", "keys.npy", "--out", "new.npy"),
            "update: the values are missing (--values); expected one for each key, as HebbBatch(rate=1.0, decay=1.0, w_min=-inf, w_max=inf) needs them.",
        ),
        (("x.zarr", "--new", "4,3", "--keys", "no.npy", "--out", "new.npy"), "no.npy: does not exist; expected a .npy file."),
        (
            ("x.zarr", "--new", "4,5", *W[1:]),
            "update: keys of shape (2, 3) and type int8; expected numbers (5,) or (M, 5), M at least 1, for a matrix of 4 x 5.",
        ),
        (
            ("x.zarr", "--new", "4,3", *W[1:-1], "w.npy"),
            "w.npy: exists already, and no file is changed in place; expected a new name.",
        ),
        (
            ("x.zarr", "--new", "4,3", *W[1:-1], "x.zarr"),
            "x.zarr: exists already, and no file is changed in place; expected a new name.",
        ),
        (
            ("x.zarr", "--new", "4,3", *W[1:-2]),
            "x.zarr: a file is not changed in place; expected the name of a new one: out=... (--out).",
        ),
        (("x.zarr", "--new", "4,3", "--activity", "0.5"), "--activity 0.5 with --rule hebb; expected it with bcpnn only."),
    ],
)
def test_errors(arguments: tuple[str, ...], text: str) -> None:
    np.save("w.npy", np.zeros((4, 3), np.float32))
    np.savez("several.npz", a=np.zeros(3), b=np.zeros(3))
    said = say("update", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {text}\n")
    assert not Path("new.npy").exists()
    assert not Path("x.zarr").exists()


def test_wrong_usage() -> None:
    for arguments, text in (
        (("w.npy",), "--keys is missing; expected a .npy file."),
        (("w.npy", "--keys", "keys.npy", "--activity", "0.5"), "--activity is given without --new."),
        (("w.npy", "--keys", "keys.npy", "--dtype", "int8"), "--dtype is given without --new."),
    ):
        said = say("update", *arguments)
        assert said.status == 2
        assert text in said.err


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise UpdateInterrupted("new.npy: interrupted after 1 of 4 rows.")

    monkeypatch.setattr("neuromem.large.update", interrupted)
    np.save("w.npy", np.zeros((4, 3), np.float32))
    said = say("update", *W)
    assert (said.status, said.out, said.err) == (130, "", "new.npy: interrupted after 1 of 4 rows.\n")


def test_a_new_matrix_interrupted_goes_on_with_the_same_command(pairs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("update", "w.npy", "--new", "4,3", *pairs, "--out", "new.npy", "--threads", "1", "--tile-bytes", "12")
    with monkeypatch.context() as slow:
        plain, computed = engines.HostEngine.compute, []

        def compute(self: Any, tile: engines.Loaded) -> engines.Counted:
            if tile.stop:
                computed.append(tile.first)
                if len(computed) > 2:
                    raise KeyboardInterrupt
            return plain(self, tile)

        slow.setattr(engines.HostEngine, "compute", compute)
        slow.setattr(job, "run_tiles", lambda engine, tiles, workers, *more: engines.run_tiles(engine, tiles, 1, *more))
        said = say(*command)
    assert (said.status, said.out) == (130, "")
    assert said.err == "new.npy: interrupted after 2 of 4 rows; they are in new.npy.partial, and the same command goes on from there.\n"
    other = say(*command[:3], "4,2", *command[4:])
    assert (other.status, other.err) == (1, "error: w.npy: exists already; expected a new name.\n")
    new = say("update", "x.npy", *command[2:])
    assert (new.status, new.err) == (
        1,
        "error: new.npy: new.npy.partial holds an unfinished update that differs in: matrix. It is HebbBatch(rate=1.0, decay=1.0, w_min=-inf, "
        f"w_max=inf), number of pairs 2, into {Path.cwd()}/w.npy, engine cpu. Give the command of that one to finish it, delete that folder to "
        "begin anew, or choose another name.\n",
    )
    assert not Path("x.npy").exists()
    said = say(*command)
    assert (said.status, said.err) == (0, "")
    assert "2 of 4 rows had been finished before" in said.out
    assert np.load("new.npy").tolist() == [[1, 0, 1], [2, 0, 2], [0, 1, 1], [0, 1, 1]]


def test_a_new_matrix_interrupted_before_anything_was_finished_leaves_nothing(
    pairs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before = sorted(Path().iterdir())
    monkeypatch.setattr(job, "run_tiles", interrupted)
    said = say("update", "w.zarr", "--new", "4,3", *pairs, "--out", "new.npy")
    assert (said.status, said.out, said.err) == (130, "", "new.npy: interrupted after 0 of 4 rows.\n")
    assert sorted(Path().iterdir()) == before
