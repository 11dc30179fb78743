"""Updates that are interrupted, killed, or run out of disk: nothing is half written or lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from large_matrices import DELTA, save_zarr, small

from neuromem.errors import FileError, SpecError, StoreError
from neuromem.large import HebbBatch, UpdateInterrupted, engines, matrices, update
from neuromem.large.bandwidth import Copy
from neuromem.large.staging import opened
from neuromem.spec.outer_product import (
    OuterProductRule,
)

job = sys.modules["neuromem.large.update"]
ROWS, COLUMNS = 600, 70  # more rows than two panels of 256


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
