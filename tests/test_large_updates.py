"""Updates tile by tile: what they compute, that no bit depends on tiles, and that nothing is half written or lost."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr

from neuromem.errors import FileError, LimitError, NeuromemError, SpecError, StoreError, UnsupportedError
from neuromem.kernels.cpu import bcpnn, counters, outer
from neuromem.kernels.outer_rules import WriteRule
from neuromem.large import HebbBatch, Report, UpdateInterrupted, engines, matrices, new_matrix, update
from neuromem.large.bandwidth import Copy
from neuromem.large.staging import opened
from neuromem.large.update import cut
from neuromem.spec.hebbian import BayesianHebbian, Hebbian
from neuromem.spec.outer_product import (
    Decay,
    HuberError,
    MomentumStep,
    OjaRetention,
    OrthogonalStep,
    OuterProductRule,
    PlainStep,
    SquaredError,
    Variance,
)

job = sys.modules["neuromem.large.update"]
DELTA = OuterProductRule(SquaredError(), step=PlainStep(0.5))
ROWS, COLUMNS = 600, 70  # more rows than two panels of 256


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def small(n: int = 40, m: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix of n rows and 3 columns of small numbers, keys and values."""
    return floats(1, n, 3), floats(2, m, 3), floats(3, m, n)


def save_zarr(path: str, array: np.ndarray, rows: int, **more: Any) -> str:
    zarr.create_array(path, data=array, chunks=(rows, max(1, array.shape[1] // 2)), zarr_format=3, **more)
    return path


# What it computes, by hand.


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_hebb_by_hand(kernels: str) -> None:
    w = np.array([[1, 2], [4, -4]], np.float32)
    report = update(w, [[1, 0], [1, 2]], [[1, -1], [2, 0]], HebbBatch(0.5, 0.5, -2.25, 2.25), engine=kernels)
    # 0.5 W + 0.5 ([1, -1] [1, 0]^T + [2, 0] [1, 2]^T), clipped once
    assert np.array_equal(w, [[2.0, 2.25], [1.5, -2.0]])
    assert (report.n_pairs, report.shape, report.dtype, report.engine, report.place) == (2, (2, 2), "float32", kernels, "memory")
    assert (report.bytes_read, report.bytes_written, report.saturated) == (16, 16, None)


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_counters_by_hand(kernels: str) -> None:
    w = np.array([[126, 0], [0, -126]], np.int8)
    report = update(w, [1, 2], [2, -1], HebbBatch(), engine=kernels)
    assert w.tolist() == [[127, 4], [-1, -127]]
    assert (report.saturated, report.dtype, report.bytes_read, report.bytes_written) == (2, "int8", 4, 4)


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_weights_beyond_the_bounds_are_counted(kernels: str) -> None:
    w = np.array([[-128, 5], [-128, -127], [-2, 127]], np.int8)
    np.save("w.npy", w)
    arguments = [0, 0], [0, 0, 0]
    report = update("w.npy", *arguments, HebbBatch(), engine=kernels, out="new.npy", tile_bytes=2, threads=2)
    assert np.load("new.npy").tolist() == [[-127, 5], [-127, -127], [-2, 127]]
    assert (report.rule, report.beyond, report.saturated) == ("HebbBatch(rate=1.0, decay=1.0, w_min=-127, w_max=127)", 2, 0)
    assert str(report).endswith("\n2 weights lay beyond the bounds before, and were clipped to them")
    narrow = w.copy()
    assert update(narrow, *arguments, HebbBatch(w_min=-1, w_max=4), engine=kernels).beyond == 6
    assert narrow.tolist() == [[-1, 4], [-1, -1], [-1, 4]]
    assert update(w, *arguments, HebbBatch(w_min=-128), engine=kernels).beyond == 0
    assert w[0, 0] == -128


def test_no_more_threads_than_tiles_are_reported() -> None:
    w, keys, values = small(24, 1)
    for tile_bytes, threads, n in ((None, 3, 1), (8 * 12, 5, 3), (8 * 12, 2, 2)):
        assert update(w, keys, values, HebbBatch(), engine="reference", threads=threads, tile_bytes=tile_bytes).threads == n
    np.save("w.npy", w)
    assert update("w.npy", keys, values, HebbBatch(), threads=3, tile_bytes=16 * 12, out="new.npy").threads == 2


def test_a_delta_write_from_a_file_is_read_back_as_it_was_written() -> None:
    keys = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]], np.float32)
    values = np.array([[1, 2, 3], [-7, 0.25, 100]], np.float32)
    new_matrix("w.zarr", 3, 4)
    update("w.zarr", keys, values, OuterProductRule(SquaredError()), out="new.npy")
    assert np.array_equal(keys @ np.load("new.npy").T, values)
    assert np.array_equal(zarr.open_array("w.zarr", mode="r")[:], np.zeros((3, 4)))


def test_oja_takes_no_values() -> None:
    w = np.array([[0.5, 0.25]], np.float32)
    update(w, [2.0, 0.0], None, OuterProductRule(Variance(), OjaRetention(), PlainStep(0.5)))
    assert np.array_equal(w, [[(1 - 0.5) * 0.5 + 0.5 * 2, (1 - 0.5) * 0.25]])  # y = 1


def test_the_traces_of_bcpnn_from_independent_units() -> None:
    """One pattern with step 1/2 from p = 1/4: p = 5/8 where active, 1/8 where not; p_ij = (1/16 + x y) / 2."""
    new_matrix("t.zarr", n_values=2, n_keys=3, activity=0.25)
    report = update("t.zarr", [1, 0, 0], [0, 1], BayesianHebbian(tau=2.0), out="new.zarr")
    new = {name: np.asarray(array[...]) for name, array in zarr.open_group("new.zarr", mode="r").arrays()}
    p_i, p_j = np.array([5, 1, 1]) / 8, np.array([1, 5]) / 8
    p_ij = (1 / 16 + np.outer([1, 0, 0], [0, 1])) / 2
    assert all(np.array_equal(new[name], exact) for name, exact in (("p_i", p_i), ("p_j", p_j), ("p_ij", p_ij)))
    # the kernel's own bound, (|w| + 8) 2^-24, for |w| <= log 4; of the bias one rounding of |log p| <= log 8
    assert np.abs(new["w"] - np.log(p_ij / np.outer(p_i, p_j))).max() <= (math.log(4) + 8) * 2**-24
    assert np.abs(new["bias"] - np.log(p_j)).max() <= math.log(8) * 2**-24
    assert (report.bytes_read, report.bytes_written) == (4 * 6, 8 * 6)  # 12 bytes a weight: p read, p and w written


# No bit depends on tiles, threads, chunks or files.

WHOLE = {
    "rank 1": (HebbBatch(0.3, 0.9, -2, 2), 1, lambda w, k, v: outer.decay_hebb(w, v[0], k[0], 0.9, 0.3, -2, 2)),
    "rank 8": (HebbBatch(0.3, 0.9, -2, 2), 8, lambda w, k, v: outer.decay_hebb_batch(w, v, k, 0.9, 0.3, -2, 2)),
    "rank 30": (HebbBatch(0.3, 0.9, -2, 2), 30, lambda w, k, v: outer.decay_hebb_batch(w, v, k, 0.9, 0.3, -2, 2)),
    "sum": (OuterProductRule(step=PlainStep(0.25)), 30, lambda w, k, v: outer.write(w, None, k, v, WriteRule(rate=0.25))),
    "delta": (DELTA, 3, lambda w, k, v: outer.write(w, None, k, v, job_code(DELTA))),
}


def job_code(rule: OuterProductRule) -> WriteRule:
    from neuromem.backends.tables.outer import encoded

    return encoded(rule)


HUBER = OuterProductRule(HuberError(0.5), Decay(0.9), PlainStep(0.1), -1.0, 1.0)
OJA = OuterProductRule(Variance(), OjaRetention(), PlainStep(0.01))
WHOLE["huber"] = (HUBER, 4, lambda w, k, v: outer.write(w, None, k, v, job_code(HUBER)))
WHOLE["oja"] = (OJA, 4, lambda w, k, v: outer.write(w, None, k, v, job_code(OJA)))


@pytest.mark.parametrize("name", WHOLE)
def test_tiles_are_the_whole_bit_for_bit(name: str) -> None:
    rule, m, whole = WHOLE[name]
    w, keys, values = floats(1, ROWS, COLUMNS), floats(2, m, COLUMNS) / 8, floats(3, m, ROWS)
    expected = w.copy()
    whole(expected, keys, values)  # the kernel, once, on all rows
    assert not np.array_equal(expected, w)
    for tile_bytes, threads in ((7 * 4 * COLUMNS, 3), (None, 1)):
        found = w.copy()
        update(found, keys, values, rule, tile_bytes=tile_bytes, threads=threads)
        assert np.array_equal(found, expected)
    np.save("w.npy", w)
    for source, out in (("w.npy", "a.npy"), (save_zarr("w.zarr", w, rows=90), "b.zarr"), ("w.zarr", "c.npy"), ("w.npy", "d.zarr")):
        update(source, keys, values, rule, out=out, threads=2, tile_bytes=None if out == "d.zarr" else 101 * 4 * COLUMNS)
        found = np.load(out) if out.endswith(".npy") else zarr.open_array(out, mode="r")[:]
        assert np.array_equal(found, expected), out
    assert np.array_equal(np.load("w.npy"), w)
    assert np.array_equal(zarr.open_array("w.zarr", mode="r")[:], w)


def test_counters_bcpnn_and_momentum_are_the_whole_bit_for_bit() -> None:
    rng = np.random.default_rng(4)
    w, keys, values = (rng.integers(-127, 128, shape).astype(np.int8) for shape in ((ROWS, COLUMNS), (5, COLUMNS), (5, ROWS)))
    expected = w.copy()
    pushed = counters.hebb_batch(expected, values, keys)
    report = update(save_zarr("c.zarr", w, rows=64), keys, values, HebbBatch(), out="c2.zarr", tile_bytes=64 * COLUMNS)
    assert (report.saturated, report.n_tiles) == (pushed, 10)
    assert np.array_equal(zarr.open_array("c2.zarr", mode="r")[:], expected)

    state = {"w": floats(1, ROWS, COLUMNS), "momentum": floats(2, ROWS, COLUMNS)}
    whole = {name: array.copy() for name, array in state.items()}
    rule = OuterProductRule(SquaredError(), Decay(0.9), MomentumStep(0.01, 0.5))
    pairs = floats(3, 4, COLUMNS), floats(4, 4, ROWS)
    outer.write(whole["w"], whole["momentum"], *pairs, job_code(rule))
    zarr.create_group("m.zarr", zarr_format=3)
    for name, array in state.items():
        save_zarr(f"m.zarr/{name}", array, rows=32)
    update("m.zarr", *pairs, rule, out="m2.zarr", tile_bytes=64 * 8 * COLUMNS)
    update(state, *pairs, rule, tile_bytes=7000)
    for name, array in whole.items():
        assert np.array_equal(state[name], array)
        assert np.array_equal(zarr.open_array(f"m2.zarr/{name}", mode="r")[:], array)

    x, y = (rng.random((3, n), np.float32) for n in (ROWS, COLUMNS))
    p_i, p_j = (rng.uniform(0.1, 0.5, n).astype(np.float32) for n in (ROWS, COLUMNS))
    traces = {"p_i": p_i, "p_j": p_j, "p_ij": np.outer(p_i, p_j), "w": np.zeros((ROWS, COLUMNS), np.float32), "bias": np.zeros_like(p_j)}
    ours = {name: array.copy() for name, array in traces.items()}
    for pre, post in zip(x, y, strict=True):
        bcpnn.traces_update(traces["p_i"], traces["p_j"], traces["p_ij"], traces["w"], traces["bias"], pre, post, 1 / 3.0)
    update(ours, x, y, BayesianHebbian(tau=3.0), tile_bytes=9999)
    for name, array in traces.items():
        assert np.array_equal(ours[name], array), name


def test_tiles_are_cut_at_chunks_and_no_row_is_read_or_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[tuple[int, int]]] = {"read": [], "write": []}
    for name, places in seen.items():
        plain = getattr(matrices.ZarrArray, name)

        def noting(self: Any, first: int, stop: int, *values: Any, plain: Any = plain, places: Any = places) -> Any:
            places.append((first, stop))
            return plain(self, first, stop, *values)

        monkeypatch.setattr(matrices.ZarrArray, name, noting)
    monkeypatch.setattr(job, "_copy_bandwidth", lambda *_: Copy(1, 1.0))
    w, keys, values = small(100)
    update(save_zarr("w.zarr", w, rows=9), keys, values, DELTA, out="new.zarr", tile_bytes=20 * 12)
    expected = [(first, min(first + 18, 100)) for first in range(0, 100, 18)]
    assert sorted(seen["read"]) == sorted(seen["write"]) == expected


@pytest.mark.parametrize(
    ("n_rows", "rows", "finished", "expected"),
    [
        (10, 4, [], [(0, 4), (4, 8), (8, 10)]),
        (10, 4, [(8, 10), (0, 4)], [(4, 8)]),
        (10, 3, [(4, 8)], [(0, 3), (3, 4), (8, 10)]),
        (4, 9, [(0, 4)], []),
    ],
)
def test_what_is_left_is_cut(n_rows: int, rows: int, finished: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert cut(n_rows, rows, finished) == expected


def test_a_new_matrix_keeps_chunks_codecs_and_attributes() -> None:
    w, keys, values = small()
    save_zarr(
        "w.zarr",
        w,
        8,
        compressors=[zarr.codecs.GzipCodec(level=2)],
        dimension_names=("value", "key"),
        attributes={"of": "me"},
        fill_value=7,
    )
    update(zarr.open_array("w.zarr", mode="r"), keys, values, DELTA, out="new.zarr")
    old, new = (zarr.open_array(path, mode="r") for path in ("w.zarr", "new.zarr"))
    assert old.metadata == new.metadata
    assert new.nchunks_initialized == new.nchunks


def test_a_memory_map_is_its_file() -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    expected = w.copy()
    update(expected, keys, values, DELTA)
    with open("w.npy", "rb") as file:
        before = file.read()
    update(np.load("w.npy", mmap_mode="r+"), keys, values, DELTA, out="new.npy")
    assert np.array_equal(np.load("new.npy"), expected)
    assert Path("w.npy").read_bytes() == before
    with pytest.raises(SpecError) as error:
        update(np.load("w.npy", mmap_mode="r")[:7], keys, values[:, :7], DELTA, out="part.npy")
    assert str(error.value) == f"{Path.cwd()}/w.npy: the memory map is (7, 3) of float32, the file (40, 3) of float32; expected the whole."


# Interrupted, killed, full: nothing is half written or lost.


class Stop:
    """A progress that presses Ctrl-C when some rows are done."""

    def __init__(self, after: int) -> None:
        self.after, self.pressed = after, False

    def __call__(self, done: int, total: int) -> None:
        if done >= self.after and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tiles that take longer than a look at the progress; returns the first rows of those that were computed."""
    computed: list[int] = []
    plain = engines.HostEngine.compute

    def compute(self: Any, tile: engines.Loaded) -> engines.Counted:
        if tile.stop:  # no tile, but what compiles
            time.sleep(0.12)
            computed.append(tile.first)
        return plain(self, tile)

    monkeypatch.setattr(engines.HostEngine, "compute", compute)
    return computed


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(suffix: str, slow: list[int]) -> None:
    w, keys, values = np.full((40, 3), 126, np.int8), np.ones((1, 3), np.int8), np.ones((1, 40), np.int8)
    np.save("w.npy", w) if suffix == ".npy" else save_zarr("w.zarr", w, rows=4)
    arguments: dict[str, Any] = {"out": f"new{suffix}", "threads": 1, "tile_bytes": 4 * 3}
    with pytest.raises(UpdateInterrupted) as error:
        update(f"w{suffix}", keys, values, HebbBatch(), **arguments, progress=Stop(after=8))
    done = 4 * len(slow)
    assert 8 <= done < 40
    assert str(error.value) == (
        f"new{suffix}: interrupted after {done} of 40 rows; they are in new{suffix}.partial, and the same command goes on from there."
    )
    assert sorted(p.name for p in Path().iterdir()) == sorted([f"new{suffix}.partial", f"w{suffix}"])
    with open(f"new{suffix}.partial/journal", "a") as journal:
        journal.write("36 4")  # a line that was cut off: its tile is done again
    before = set(slow)
    slow.clear()
    report = update(f"w{suffix}", keys, values, HebbBatch(), **arguments)
    assert before | set(slow) == set(range(0, 40, 4))
    assert before & set(slow) == set()
    assert (report.n_resumed, report.bytes_read, report.saturated) == (done, 3 * (40 - done), 120)
    found = np.load("new.npy") if suffix == ".npy" else zarr.open_array("new.zarr", mode="r")[:]
    assert np.array_equal(found, np.full((40, 3), 127))
    assert sorted(p.name for p in Path().iterdir()) == sorted([f"new{suffix}", f"w{suffix}"])


def test_ctrl_c_in_memory_is_heard_when_the_matrix_is_whole(slow: list[int]) -> None:
    w, keys, values = small()
    expected = w.copy()
    update(expected, keys, values, DELTA)
    with pytest.raises(KeyboardInterrupt):
        update(w, keys, values, DELTA, tile_bytes=16 * 12, threads=1, progress=Stop(after=1))
    assert np.array_equal(w, expected)


def test_kill_9_leaves_the_old_and_the_same_command_goes_on() -> None:
    w, keys, values = small(60)
    np.save("w.npy", w)
    np.save("keys.npy", keys)
    np.save("values.npy", values)
    code = (
        "import time, numpy as np; from neuromem.large import engines, update; from neuromem.spec.outer_product import OuterProductRule\n"
        "plain = engines.HostEngine.compute\n"
        "engines.HostEngine.compute = lambda self, tile: (time.sleep(0.3), plain(self, tile))[1]\n"
        "update('w.npy', np.load('keys.npy'), np.load('values.npy'), OuterProductRule(), engine='reference', out='new.npy', tile_bytes=36, threads=1)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    journal = Path("new.npy.partial/journal")
    while child.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= 2):
        time.sleep(0.01)
    with pytest.raises(StoreError) as error:
        update("w.npy", keys, values, OuterProductRule(), engine="reference", out="new.npy")
    assert str(error.value) == f"new.npy: process {child.pid} is writing it; wait until it has ended, or choose another name."
    child.send_signal(signal.SIGKILL)
    assert child.stderr is not None
    said = child.communicate()[1].decode()
    assert (child.returncode, said) == (-signal.SIGKILL, "")
    assert not Path("new.npy").exists()
    assert np.array_equal(np.load("w.npy"), w)
    assert Path("new.npy.partial/lock").read_text() == f"{child.pid}\n"  # stale, and no obstacle
    report = update("w.npy", keys, values, OuterProductRule(), engine="reference", out="new.npy")
    assert report.n_resumed >= 6
    assert np.array_equal(np.load("new.npy"), w + values.T @ keys)


def test_what_was_killed_after_the_last_move_is_whole() -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    update("w.npy", keys, values, DELTA, out="new.npy")
    folder = Path("new.npy.partial")
    folder.mkdir()
    for name, text in (("request.json", '{"format": "neuromem update 1"}'), ("journal", ""), ("lock", "")):
        (folder / name).write_text(text)
    with pytest.raises(StoreError) as error:
        update("w.npy", keys, values, DELTA, out="new.npy")
    assert str(error.value) == "new.npy: exists already, and no file is changed in place; expected a new name."
    assert not folder.exists()


def interrupted(out: str = "new.npy", **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Leave an unfinished update of w.npy; return its keys and values."""
    w, keys, values = small()
    np.save("w.npy", w)
    with pytest.raises(UpdateInterrupted):
        update("w.npy", keys, values, DELTA, out=out, threads=1, tile_bytes=48, progress=Stop(after=4), **more)
    assert Path(f"{out}.partial/journal").exists()
    return keys, values


def test_another_command_does_not_finish_it(slow: list[int]) -> None:
    keys, values = interrupted()
    text = (
        f"new.npy: new.npy.partial holds an unfinished update that differs in: {{}}. It is {DELTA!r}, number of pairs 6, into {Path.cwd()}/w.npy, "
        "engine cpu. Give the command of that one to finish it, delete that folder to begin anew, or choose another name."
    )
    others: list[tuple[str, tuple[Any, ...], str]] = [
        ("pairs", (keys * 2, values, DELTA), "cpu"),
        ("number of pairs, pairs", (keys[:2], values[:2], DELTA), "cpu"),
        ("rule", (keys, values, OuterProductRule()), "cpu"),
        ("engine", (keys, values, DELTA), "reference"),
    ]
    for other, arguments, engine in others:
        with pytest.raises(StoreError) as error:
            update("w.npy", *arguments, out="new.npy", engine=engine)
        assert str(error.value) == text.format(other)
    os.utime("w.npy", (1, 1))
    with pytest.raises(StoreError) as error:
        update("w.npy", keys, values, DELTA, out="new.npy")
    assert str(error.value) == text.format("state of the matrix")
    assert Path("new.npy.partial/journal").read_text()


@pytest.mark.parametrize("held", ["notes.txt", "request.json", "lock", None])
def test_a_folder_of_another_kind_is_refused_and_kept(held: str | None) -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    folder = Path("new.npy.partial")
    if held is None:
        folder.write_text('{"format": "mine"}')
    else:
        folder.mkdir()
        (folder / held).write_text('{"format": "mine"}')
    for _ in range(2):
        with pytest.raises(StoreError) as error:
            update("w.npy", keys, values, DELTA, out="new.npy")
        assert str(error.value) == (
            "new.npy: new.npy.partial is needed for what is unfinished, and holds something else; expected no such file or folder, or that of an "
            "unfinished update, with its request.json. Move it away, or choose another name."
        )
    assert (folder if held is None else folder / held).read_text() == '{"format": "mine"}'
    assert held is None or [p.name for p in folder.iterdir()] == [held]
    assert not Path("new.npy").exists()


def test_what_somebody_put_into_our_folder_stays(slow: list[int]) -> None:
    keys, values = interrupted()
    Path("new.npy.partial/notes.txt").write_text("mine")
    update("w.npy", keys, values, DELTA, out="new.npy")
    assert [p.name for p in Path("new.npy.partial").iterdir()] == ["notes.txt"]
    assert Path("new.npy").exists()


def test_another_process_is_refused_while_one_writes() -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    with opened(Path("new.npy"), {"of": "another"}):
        with pytest.raises(StoreError) as error:
            update("w.npy", keys, values, DELTA, out="new.npy")
        assert str(error.value) == f"new.npy: process {os.getpid()} is writing it; wait until it has ended, or choose another name."
    assert not Path("new.npy.partial").exists()
    update("w.npy", keys, values, DELTA, out="new.npy")


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_a_full_disk_keeps_what_is_finished(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w, keys, values = small()
    np.save("w.npy", w) if suffix == ".npy" else save_zarr("w.zarr", w, rows=4)
    expected = w.copy()
    update(expected, keys, values, DELTA)
    kind = matrices.NpyFile if suffix == ".npy" else matrices.ZarrArray
    plain, left = kind.write, [3]

    def write(self: Any, first: int, stop: int, rows: np.ndarray) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(self, first, stop, rows)

    monkeypatch.setattr(job, "_copy_bandwidth", lambda *_: Copy(1, 1.0))
    with monkeypatch.context() as full:
        full.setattr(kind, "write", write)
        with pytest.raises(StoreError) as error:
            update(f"w{suffix}", keys, values, DELTA, out=f"new{suffix}", tile_bytes=48, threads=1)
    assert str(error.value) == (
        f"new{suffix}: the disk is full; what was finished is in new{suffix}.partial: free some space, and give the same command again."
    )
    report = update(f"w{suffix}", keys, values, DELTA, out=f"new{suffix}", tile_bytes=48, threads=1)
    assert report.n_resumed == 12
    found = np.load("new.npy") if suffix == ".npy" else zarr.open_array("new.zarr", mode="r")[:]
    assert np.array_equal(found, expected)


def test_a_source_that_changes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    plain = engines.HostEngine.compute

    def compute(self: Any, tile: engines.Loaded) -> engines.Counted:
        os.utime("w.npy", (1, 1))
        return plain(self, tile)

    monkeypatch.setattr(engines.HostEngine, "compute", compute)
    with pytest.raises(StoreError) as error:
        update("w.npy", keys, values, DELTA, out="new.npy")
    assert str(error.value) == "w.npy: was written to while it was read, so that what came of it is not kept; try again."
    assert [p.name for p in Path().iterdir()] == ["w.npy"]


def test_a_damaged_chunk() -> None:
    w, keys, values = small()
    zarr.create_array("w.zarr", data=w, chunks=(8, 3), compressors=[zarr.codecs.Crc32cCodec()], zarr_format=3)
    chunk = Path("w.zarr/c/2/0")
    chunk.write_bytes(b"\0\1\2\3" + chunk.read_bytes()[4:])
    with pytest.raises(FileError) as error:
        update("w.zarr", keys, values, DELTA, out="new.zarr", tile_bytes=96, threads=1)
    assert str(error.value).startswith("w.zarr: rows 16 to 23 cannot be read (")
    assert str(error.value).endswith("); restore them from a copy.")
    assert not Path("new.zarr").exists()


def test_overshoot_and_what_was_not_finite_before() -> None:
    w, keys, values = small(8, 1)
    np.save("w.npy", w)
    keys = np.full((60, 3), 100, np.float32)
    text = (
        "update: w, rows 0 to 7 are not finite after OuterProductRule(loss=SquaredError(), retention=Keep(), step=PlainStep(rate=0.5), w_min=-inf, w_max=inf);"
        " expected finite weights before, a smaller rate or shorter keys (of rules that correct an error, rate |k|^2 at most 1), or bounds. {}"
    )
    arguments = keys, np.ones((60, 8)), DELTA
    with pytest.raises(SpecError) as error:
        update("w.npy", *arguments, out="new.npy")
    assert str(error.value) == text.format("w.npy is as it was.")
    assert [p.name for p in Path().iterdir()] == ["w.npy"]
    with pytest.raises(SpecError) as error:
        update(w, *arguments)
    assert str(error.value) == text.format("What was in memory is lost.")
    w = np.load("w.npy")
    w[5, 1] = np.nan
    np.save("w.npy", w)
    with pytest.raises(SpecError) as error:
        update("w.npy", keys[0], values, HebbBatch(), out="new.npy")
    assert str(error.value) == "w.npy: w, rows 0 to 7, has NaN or infinite weights already; expected finite ones."


# Refused before anything is done.


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
