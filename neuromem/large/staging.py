"""The folder ``<out>.partial`` in which a new matrix grows: what was asked for, a journal of finished tiles, and a lock.

The matrix gets its name in one move when it is whole. A process that is killed leaves the folder; the same command goes on from there.
A tile is entered in the journal after it is on the disk, so that a finished tile is a good one even after a power failure.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neuromem.errors import StoreError
from neuromem.large.matrices import remove, sync_file

Tile = tuple[int, int]
"""The rows ``first`` to ``stop``."""

FORMAT = "neuromem update 1"
NAMES = ("result", "fresh", "copied", "journal", "request.part", "lock", "request.json")
"""What a staging folder holds; the last is what makes it one, and is removed last."""


class Staging:
    """The staging folder of ``out``, locked; use ``opened``."""

    def __init__(self, out: Path, folder: Path, finished: Sequence[tuple[int, int, int, int]]) -> None:
        self.out, self.folder = out, folder
        self.finished = list(finished)
        """(first, stop, pushed, beyond) of each finished tile."""
        self.result = folder / "result"
        self._journal = (folder / "journal").open("a", encoding="ascii", buffering=1)

    def record(self, *entry: *tuple[int, int, int, int]) -> None:
        """Enter a tile in the journal: first, stop, pushed, beyond."""
        self._journal.write(" ".join(map(str, entry)) + "\n")
        self._journal.flush()
        os.fdatasync(self._journal.fileno())
        self.finished.append(entry)

    def publish(self) -> None:
        """Give the result its name, and remove the folder."""
        self._journal.close()
        _sync_folders(self.result)
        if os.path.lexists(self.out):
            raise _taken(self.out)
        self.result.rename(self.out)
        sync_file(self.out.parent)
        _discard(self.folder)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


@contextlib.contextmanager
def opened(out: Path, request: dict[str, str]) -> Iterator[Staging]:
    """Lock the staging folder of ``out`` and yield it, with the tiles that an earlier command with the same ``request`` finished.

    Raises ``StoreError`` when ``out`` exists, when another process works on it, and when an unfinished update with another request, or
    a folder of another kind, is there.
    """
    folder = folder_of(out)
    _check_place(out)
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{out}: cannot write in {folder} ({os.strerror(error.errno or 0)}); choose another place.") from error
    try:
        _take(lock, out, folder)
        staging = Staging(out, folder, _earlier(out, folder, request))
        try:
            yield staging
        finally:
            staging.close()
            if not staging.finished and folder.exists():  # nothing to go on from
                _discard(folder)
    finally:
        os.close(lock)  # which unlocks it


def folder_of(out: Path) -> Path:
    """Return where ``out`` grows."""
    return out.parent / f"{out.name}.partial"


def goes_on(out: Path) -> bool:
    """Return whether an unfinished update is there; ``opened`` says whether it is the same."""
    return not os.path.lexists(out) and _asked(folder_of(out)) is not None


def check_free(out: Path) -> None:
    """Raise ``StoreError`` unless a first update can write ``out``."""
    folder = folder_of(out)
    _check_place(out)
    if os.path.lexists(out):
        raise _taken(out)
    if (folder / "result").exists():
        raise _unfinished(out, _asked(folder) or {}, ["matrix"])


def _check_place(out: Path) -> None:
    folder = folder_of(out)
    if not out.parent.is_dir():
        raise StoreError(f"{out}: there is no folder {out.parent}; create it, or choose another place.")
    if not os.path.lexists(folder) or _is_ours(folder):
        return
    if os.path.lexists(out):
        raise _taken(out)
    raise StoreError(
        f"{out}: {folder} is needed for what is unfinished, and holds something else; expected no such file or folder, or that of an "
        "unfinished update, with its request.json. Move it away, or choose another name."
    )


def _asked(folder: Path) -> dict[str, Any] | None:
    """Return the request of an update that began in this folder, if it is one of ours."""
    try:
        held = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and str(held.get("format")).startswith("neuromem update ") else None


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    if "request.json" in names:
        return _asked(folder) is not None
    if not names <= {"lock", "request.part"}:  # what there is before the request
        return False
    return "lock" not in names or (folder / "lock").read_bytes().strip().isdigit() or not (folder / "lock").stat().st_size


def _discard(folder: Path) -> None:
    """Remove what is ours; what else somebody put there stays, and the folder with it."""
    for name in NAMES:
        remove(folder / name)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _take(lock: int, out: Path, folder: Path) -> None:
    """Lock it for this process; the system unlocks what a killed process held, so that no lock is ever stale."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise StoreError(
                f"{out}: {folder} cannot be locked ({os.strerror(error.errno or 0)}); choose a file system with locks."
            ) from error
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise StoreError(f"{out}: process {holder} is writing it; wait until it has ended, or choose another name.") from None
    same = os.path.exists(folder / "lock") and os.fstat(lock).st_ino == os.stat(folder / "lock").st_ino
    if not same:  # the other process ended just now, and its folder is gone
        raise StoreError(f"{out}: another process has just written it; choose another name.")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _earlier(out: Path, folder: Path, request: dict[str, str]) -> list[tuple[int, int, int, int]]:
    """Return what an earlier command finished; begin the folder anew where none did."""
    asked, result, journal = folder / "request.json", folder / "result", folder / "journal"
    if os.path.lexists(out):
        if not (asked.exists() and result.exists()):  # made just now, or left by a process that was killed after the move
            _discard(folder)
        raise _taken(out)
    if not result.exists():  # nobody wrote to it
        journal.unlink(missing_ok=True)
        part = folder / "request.part"
        part.write_text(json.dumps({"format": FORMAT, **request}, indent=1), encoding="utf-8")
        part.replace(asked)
        return []
    before = _asked(folder) or {}
    other = [name for name, value in {"format": FORMAT, **request}.items() if before.get(name) != value]
    if other:
        raise _unfinished(out, before, other)
    return _read_journal(journal)


def _unfinished(out: Path, before: dict[str, Any], other: Sequence[str]) -> StoreError:
    rule, pairs, matrix, engine = (before.get(name, "unknown") for name in ("rule", "number of pairs", "matrix", "engine"))
    return StoreError(
        f"{out}: {folder_of(out)} holds an unfinished update that differs in: {', '.join(other)}. It is {rule}, number of pairs {pairs}, "
        f"into {matrix}, engine {engine}. Give the command of that one to finish it, delete that folder to begin anew, or choose another name."
    )


def _read_journal(path: Path) -> list[tuple[int, int, int, int]]:
    finished: list[tuple[int, int, int, int]] = []
    if not path.exists():
        return finished
    whole, _, _ = path.read_text(encoding="ascii").rpartition("\n")  # the last line may have been cut off
    path.write_text(whole + "\n" if whole else "", encoding="ascii")
    for line in whole.splitlines():
        first, stop, pushed, beyond = (int(x) for x in line.split())
        finished.append((first, stop, pushed, beyond))
    return finished


def _taken(out: Path) -> StoreError:
    return StoreError(f"{out}: exists already, and no file is changed in place; expected a new name.")


def _sync_folders(path: Path) -> None:
    """Put the names in a folder on the disk, and the small files in it; tiles are there already."""
    for folder, _, files in os.walk(path):
        sync_file(Path(folder))
        for name in files:
            if name == "zarr.json":
                sync_file(Path(folder, name))
    if path.is_file():
        sync_file(path)
