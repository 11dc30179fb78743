"""Updates that are refused before anything is done, and what a report says."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from large_matrices import DELTA, floats, save_zarr, small

from neuromem.errors import FileError, LimitError, NeuromemError, SpecError, StoreError, UnsupportedError
from neuromem.large import HebbBatch, Report, matrices, new_matrix, update
from neuromem.spec.hebbian import BayesianHebbian, Hebbian
from neuromem.spec.outer_product import (
    MomentumStep,
    OrthogonalStep,
    OuterProductRule,
)

job = sys.modules["neuromem.large.update"]
ROWS, COLUMNS = 600, 70  # more rows than two panels of 256


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_memory_or_disk_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    w, keys, values = np.zeros((64, 1024), np.float32), np.ones(1024), np.ones(64)
    np.save("w.npy", w)
    save_zarr("w.zarr", w, rows=32)
    with monkeypatch.context() as short:
        short.setattr(job, "available_memory", lambda: 100_000)
        with pytest.raises(LimitError) as error:
            update("w.zarr", keys, values, HebbBatch(), out="new.zarr", threads=1)
        report = update("w.npy", keys, values, HebbBatch(), out="new.npy", threads=1)
    assert str(error.value) == (
        "update: 2 tiles of 32 rows take 512 KiB of memory with what their files need; 97.7 KiB are free here. "
        "Take fewer threads, smaller tiles (tile_bytes), or chunks of fewer rows than 32."
    )
    assert report.n_tiles == 22  # of 3 rows: a quarter of what is free, for two tiles
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=200_000))
        with pytest.raises(LimitError) as error:
            update("w.zarr", keys, values, HebbBatch(), out="new.zarr")
    assert str(error.value) == "new.zarr: 256 KiB are to be written; 195 KiB are free there. Free some space, or choose another place."
    assert not Path("new.zarr.partial").exists()
    with pytest.raises(SpecError) as refused:
        update("w.zarr", keys, values, HebbBatch(), out="new.zarr", tile_bytes=5000)
    assert str(refused.value) == "update: tile_bytes = 5000; expected at least 131072: the 32 rows of a chunk."


IN_EIGHT_BITS = "changes below one step of 8 bits would be rounded away every time; expected float32, or HebbBatch(...) of whole numbers"
REFUSED: dict[str, tuple[type[NeuromemError], str, Any]] = {
    "orthogonal": (
        UnsupportedError,
        "update: OrthogonalStep needs the sums of all columns before it writes, so that each row depends on all others and tiles of rows "
        "cannot be done one by one; expected PlainStep(...) or MomentumStep(...).",
        lambda w, c: update(w, [1, 1], [1, 1, 1], OuterProductRule(step=OrthogonalStep())),
    ),
    "counts": (
        UnsupportedError,
        "update: BayesianHebbian() counts whole patterns, which is no update of a matrix; expected traces: BayesianHebbian(tau=...).",
        lambda w, c: update(w, [1, 1], [1, 1, 1], BayesianHebbian()),
    ),
    "rule": (
        SpecError,
        "update: rule = Hebbian(lag=0); expected HebbBatch(...), an OuterProductRule(...), or BayesianHebbian(tau=...) for the traces of BCPNN.",
        lambda w, c: update(w, [1, 1], [1, 1, 1], Hebbian()),
    ),
    "delta in 8 bits": (
        UnsupportedError,
        "update: OuterProductRule(loss=SquaredError(), retention=Keep(), step=PlainStep(rate=0.5), w_min=-inf, w_max=inf) on an int8 matrix; "
        f"{IN_EIGHT_BITS}.",
        lambda w, c: update(c, [1, 1], [1, 1, 1], DELTA),
    ),
    "decay in 8 bits": (
        UnsupportedError,
        f"update: rate = 1 and decay = 0.5 on an int8 matrix; {IN_EIGHT_BITS}, with rate = decay = 1.",
        lambda w, c: update(c, [1, 1], [1, 1, 1], HebbBatch(decay=0.5)),
    ),
    "bounds in 8 bits": (
        SpecError,
        "update: w_min = -200 and w_max = inf on an int8 matrix; expected whole numbers from -128 to 127.",
        lambda w, c: update(c, [1, 1], [1, 1, 1], HebbBatch(w_min=-200)),
    ),
    "keys in 8 bits": (
        SpecError,
        "update: keys[0, 1] = 0.5; expected whole numbers from -128 to 127, as the matrix is int8.",
        lambda w, c: update(c, [1, 0.5], [1, 1, 1], HebbBatch()),
    ),
    "values in 8 bits": (
        SpecError,
        "update: values[0, 2] = 300; expected whole numbers from -128 to 127, as the matrix is int8.",
        lambda w, c: update(c, [1, 1], [1, 1, 300], HebbBatch()),
    ),
    "NaN": (
        SpecError,
        "update: values[1, 0] = nan; expected finite numbers that float32 holds.",
        lambda w, c: update(w, [[1, 1]] * 2, [[1, 1, 1], [np.nan, 0, 0]], HebbBatch()),
    ),
    "too large": (
        SpecError,
        "update: keys[0, 0] = 1e+39; expected finite numbers that float32 holds.",
        lambda w, c: update(w, [1e39, 1], [1, 1, 1], HebbBatch()),
    ),
    "keys": (
        SpecError,
        "update: keys of shape (1, 3) and type int64; expected numbers (2,) or (M, 2), M at least 1, for a matrix of 3 x 2.",
        lambda w, c: update(w, [[1, 1, 1]], [1, 1, 1], HebbBatch()),
    ),
    "no values": (
        SpecError,
        "update: the values are missing (--values); expected one for each key, as HebbBatch(rate=1.0, decay=1.0, w_min=-inf, w_max=inf) needs them.",
        lambda w, c: update(w, [1, 1], None, HebbBatch()),
    ),
    "ragged": (
        SpecError,
        "update: keys are no table: their rows differ in length; expected numbers (2,) or (M, 2), M at least 1, for a matrix of 3 x 2.",
        lambda w, c: update(w, [[1, 1], [1]], [[1, 1, 1]] * 2, HebbBatch()),
    ),
    "out that is no path": (
        SpecError,
        "update: out = 5; expected a path.",
        lambda w, c: (np.save("w.npy", w), update("w.npy", [1, 1], [1, 1, 1], HebbBatch(), out=5)),  # type: ignore[arg-type]
    ),
    "new that is no path": (SpecError, "new_matrix: path = 5; expected a path.", lambda w, c: new_matrix(5, 2, 2)),  # type: ignore[arg-type]
    "new of half a row": (
        SpecError,
        "new_matrix: n_values = 2.5; expected a whole number, at least 1.",
        lambda w, c: new_matrix("new.zarr", 2.5, 2),  # type: ignore[arg-type]
    ),
    "new, larger than any": (
        LimitError,
        "new.zarr: 4294967296 x 4294967296 float32 are 67,108,864 TiB; expected less than 8,388,608 TiB.",
        lambda w, c: new_matrix("new.zarr", 1 << 32, 1 << 32),
    ),
    "pairs": (
        SpecError,
        "update: 2 keys and 1 values; expected as many of both, in pairs.",
        lambda w, c: update(w, [[1, 1]] * 2, [1, 1, 1], HebbBatch()),
    ),
    "activities": (
        SpecError,
        "update: keys from -1 to 1; expected activities from 0 to 1.",
        lambda w, c: update(
            {"p_ij": w, "w": w.copy(), "p_i": w[:, 0].copy(), "p_j": w[0].copy(), "bias": w[0].copy()},
            [1, -1, 1],
            [1, 1],
            BayesianHebbian(tau=9.0),
        ),
    ),
    "double": (
        SpecError,
        "the matrix: numbers of type float64; expected float32 or int8 in the order of this machine (astype('float32') makes one that takes half the room).",
        lambda w, c: update(w.astype(np.float64), [1, 1], [1, 1, 1], HebbBatch()),
    ),
    "vector": (
        SpecError,
        "the matrix: shape (3,); expected a matrix (n_values, n_keys).",
        lambda w, c: update(w[:, 0], [1, 1], [1, 1, 1], HebbBatch()),
    ),
    "order": (
        SpecError,
        "the matrix: is changed in place; expected an array in C order that can be written to.",
        lambda w, c: update(w.T, [1, 1, 1], [1, 1], HebbBatch()),
    ),
    "one of several": (
        SpecError,
        "the matrix: is one matrix; this rule has several: expected a zarr group, or a mapping, with w, momentum.",
        lambda w, c: update(w, [1, 1], [1, 1, 1], OuterProductRule(step=MomentumStep())),
    ),
    "several of one": (
        SpecError,
        "the mapping: holds a; this rule has one matrix: expected an array.",
        lambda w, c: update({"a": w}, [1, 1], [1, 1, 1], HebbBatch()),
    ),
    "others": (
        SpecError,
        "the mapping: holds s, w; expected momentum, w.",
        lambda w, c: update({"s": w, "w": w}, [1, 1], [1, 1, 1], OuterProductRule(step=MomentumStep())),
    ),
    "matrix": (
        SpecError,
        "update: matrix = int; expected a NumPy array, a .npy file or its memory map, a zarr 3 folder, or an array or group in one.",
        lambda w, c: update(3, [1, 1], [1, 1, 1], HebbBatch()),
    ),
    "engine": (
        SpecError,
        "update: engine = 'cqu'; expected one of cpu, cupy, reference (did you mean 'cpu'?).",
        lambda w, c: update(w, [1, 1], [1, 1, 1], HebbBatch(), engine="cqu"),
    ),
    "threads": (
        SpecError,
        "update: threads = 0; expected a whole number, at least 1, or None.",
        lambda w, c: update(w, [1, 1], [1, 1, 1], HebbBatch(), threads=0),
    ),
    "out": (
        SpecError,
        "update: out = 'new.npy' with a matrix in memory, which is changed in place; expected out = None.",
        lambda w, c: update(w, [1, 1], [1, 1, 1], HebbBatch(), out="new.npy"),
    ),
    "no out": (
        SpecError,
        "w.npy: a file is not changed in place; expected the name of a new one: out=... (--out).",
        lambda w, c: (np.save("w.npy", w), update("w.npy", [1, 1], [1, 1, 1], HebbBatch())),
    ),
    "out exists": (
        StoreError,
        "w.npy: exists already, and no file is changed in place; expected a new name.",
        lambda w, c: (np.save("w.npy", w), update("w.npy", [1, 1], [1, 1, 1], HebbBatch(), out="w.npy")),
    ),
    "no folder": (
        StoreError,
        "no/new.npy: there is no folder no; create it, or choose another place.",
        lambda w, c: (np.save("w.npy", w), update("w.npy", [1, 1], [1, 1, 1], HebbBatch(), out="no/new.npy")),
    ),
    "several in npy": (
        SpecError,
        "new.npy: a .npy file holds one matrix, and this rule has several; expected the name of a zarr folder.",
        lambda w, c: update(
            new_matrix("m.zarr", 3, 2, momentum=True), [1, 1], [1, 1, 1], OuterProductRule(step=MomentumStep()), out="new.npy"
        ),
    ),
    "no file": (
        StoreError,
        "no.npy: does not exist; expected a .npy file with a matrix, or a zarr folder.",
        lambda w, c: update("no.npy", [1, 1], [1, 1, 1], HebbBatch(), out="new.npy"),
    ),
    "no zarr": (
        StoreError,
        "no.zarr: is no zarr 3 folder; expected one, or a file that ends in .npy.",
        lambda w, c: update("no.zarr", [1, 1], [1, 1, 1], HebbBatch(), out="new.npy"),
    ),
    "columns first": (
        FileError,
        "f.npy: is stored column by column; expected rows: numpy.save(new_name, numpy.ascontiguousarray(matrix)).",
        lambda w, c: (np.save("f.npy", np.asfortranarray(w)), update("f.npy", [1, 1], [1, 1, 1], HebbBatch(), out="new.npy")),
    ),
    "new": (StoreError, "x.npy: exists already; expected a new name.", lambda w, c: [new_matrix("x.npy", 2, 2) for _ in range(2)]),
    "new of nothing": (
        SpecError,
        "new_matrix: n_keys = 0; expected a whole number, at least 1.",
        lambda w, c: new_matrix("x.npy", 2, 0),
    ),
    "new of another kind": (
        SpecError,
        "new_matrix: dtype = 'int16'; expected float32 or int8.",
        lambda w, c: new_matrix("x.npy", 2, 2, dtype="int16"),
    ),
    "new activity": (
        SpecError,
        "new_matrix: activity = 0.0; expected a probability, above 0 and below 1.",
        lambda w, c: new_matrix("x.zarr", 2, 2, activity=0.0),
    ),
    "rate": (SpecError, "HebbBatch: rate = nan; expected a finite number.", lambda w, c: HebbBatch(float("nan"))),
    "bounds": (
        SpecError,
        "HebbBatch: w_max = 0; expected a number, at least w_min = 1, or inf for no bound.",
        lambda w, c: HebbBatch(w_min=1, w_max=0),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    kind, text, attempt = REFUSED[name]
    w, c = floats(1, 3, 2), np.ones((3, 2), np.int8)
    before = w.copy(), c.copy()
    with pytest.raises(kind) as error:
        attempt(w, c)
    assert str(error.value) == text
    assert np.array_equal(w, before[0])
    assert np.array_equal(c, before[1])
    assert not [p for p in Path().iterdir() if p.name.startswith("new")]


def test_a_truncated_npy() -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    os.truncate("w.npy", 300)
    with pytest.raises(FileError) as error:
        update("w.npy", keys, values, DELTA, out="new.npy")
    assert str(error.value).startswith("w.npy: is no whole .npy file (")


def test_a_report_says_bytes_and_ratio() -> None:
    report = Report(
        rule="HebbBatch()", n_pairs=1, shape=(1000, 2000), dtype="int8", engine="cpu", threads=2, place="files", bytes_read=10**9,
        bytes_written=2 * 10**9, seconds=2.0, copy_bandwidth=3e9, copy_bytes=1 << 28, saturated=500_000, beyond=7, n_tiles=4, n_resumed=100,
    )  # fmt: skip
    assert (report.bandwidth, report.ratio) == (1.5e9, 0.5)
    assert str(report) == (
        "HebbBatch(): 1 pair into 1000 x 2000 int8 in files, engine cpu, 2 threads, 4 tiles\n"
        "read 1 GB, wrote 2 GB in 2 s: 1.5 GB/s, 0.50 of the 3 GB/s of a copy measured here (256 MiB of it, one tile after the other)\n"
        "100 of 1000 rows had been finished before; the figures are of the others\n"
        "500000 of 2000000 weights (25 %) were pushed to a bound or against it\n"
        "7 weights lay beyond the bounds before, and were clipped to them"
    )
    few = dataclasses.replace(report, place="memory", bytes_read=1 << 24, bytes_written=(1 << 26) - (1 << 24) - 1)
    assert str(few).splitlines()[1] == "read 0.0168 GB, wrote 0.0503 GB in 2 s: 0.0336 GB/s, too little to be held against a copy"
    enough = dataclasses.replace(few, bytes_written=(1 << 26) - (1 << 24))
    assert str(enough).splitlines()[1] == (
        "read 0.0168 GB, wrote 0.0503 GB in 2 s: 0.0336 GB/s, 0.01 of the 3 GB/s of a copy measured here (256 MiB of it)"
    )


def test_new_matrices_are_zeros_that_take_no_room() -> None:
    new_matrix("a.npy", 300, 500, dtype="int8")
    new_matrix("b.zarr", 10**5, 10**5)  # 40 GB, if its zeros were written
    assert np.array_equal(np.load("a.npy"), np.zeros((300, 500), np.int8))
    b = zarr.open_array("b.zarr", mode="r")
    assert (b.shape, b.dtype, b.chunks, b.nchunks_initialized) == ((10**5, 10**5), np.float32, (41, 10**5), 0)


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (
            errno.EINVAL,
            LimitError,
            "x.npy: 300 x 500 int8 are 146 KiB, more than a file can have there. Make it smaller, or make a zarr folder, which has many files.",
        ),
        (errno.EACCES, StoreError, "x.npy: 300 x 500 int8 are 146 KiB, which cannot be made (Permission denied); choose another place."),
    ],
)
def test_a_new_matrix_that_cannot_be_leaves_nothing(number: int, kind: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, *_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(matrices, "_make_npy", fails)
    with pytest.raises(kind) as error:
        new_matrix("x.npy", 300, 500, dtype="int8")
    assert str(error.value) == text
    assert not list(Path().iterdir())


def test_a_new_matrix_larger_than_a_file_can_be_leaves_nothing() -> None:
    with pytest.raises(LimitError) as error:
        new_matrix("x.npy", 1 << 30, 1 << 30)  # 2^62 bytes: more than a file, or else an address, can have
    assert str(error.value) == (
        "x.npy: 1073741824 x 1073741824 float32 are 4,194,304 TiB, more than a file can have there. "
        "Make it smaller, or make a zarr folder, which has many files."
    )
    assert not list(Path().iterdir())
