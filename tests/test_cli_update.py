"""``neuromem update``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from cli_testing import say

from neuromem.cli.update import rule_named
from neuromem.large import HebbBatch, UpdateInterrupted
from neuromem.spec.hebbian import BayesianHebbian
from neuromem.spec.outer_product import Decay, OjaRetention, OuterProductRule, PlainStep, SquaredError, Variance

INF = float("inf")


@pytest.fixture(autouse=True)
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Two keys of 3 and their values of 4, in files."""
    monkeypatch.chdir(tmp_path)
    np.save("keys.npy", np.array([[1, 0, 1], [0, 1, 1]], np.int8))
    np.save("values.npy", np.array([[1, 2, 0, 0], [0, 0, 1, 1]], np.int8))
    return "--keys", "keys.npy", "--values", "values.npy"


def figures_left_out(text: str) -> str:
    """Return a report without what was measured."""
    text = re.sub(r"in [0-9.e+-]+ s: [0-9.e+-]+ GB/s, [0-9.]+ of the [0-9.e+-]+ GB/s", "in # s: # GB/s, # of the # GB/s", text)
    return re.sub(r"[0-9]+ threads?,", "# threads,", text)


@pytest.mark.parametrize("out", ["new.zarr", "new.npy"])
def test_a_new_matrix_learns(pairs: tuple[str, ...], out: str) -> None:
    said = say("update", "w.zarr", "--new", "4,3", "--dtype", "int8", *pairs, "--out", out)
    assert (said.status, said.err) == (0, "")
    assert figures_left_out(said.out) == (
        "w.zarr: 4 x 3 int8 zeros\n"
        "HebbBatch(rate=1.0, decay=1.0, w_min=-inf, w_max=inf): 2 pairs into 4 x 3 int8 in files, engine cpu, # threads, 1 tile\n"
        "read 1.2e-08 GB, wrote 1.2e-08 GB in # s: # GB/s, # of the # GB/s of a copy measured here\n"
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
