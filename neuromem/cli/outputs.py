"""Files that a command writes: nothing is overwritten without ``--force``, and all is checked before the run."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from neuromem.errors import FileError, NeuromemError, StoreError, listing

PICTURES = (".png", ".svg", ".pdf")


def check_output(path: Path, force: bool) -> None:
    """Raise ``StoreError`` when ``path`` exists (without ``force``), or its folder does not or cannot be written to."""
    if _mode(path) is not None and not force:
        raise _taken(path)
    folder = path.parent
    if not folder.is_dir():
        raise StoreError(f"{path}: there is no folder {folder}; expected an existing one: mkdir -p {folder}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"{path}: folder {folder.resolve()} cannot be written to ({error.strerror}); expected one that can, with free space."
        ) from None


def check_file(path: Path, force: bool) -> None:
    """As ``check_output``, for a file: only a plain file is ever replaced; raise ``FileError`` for a device, a pipe or a link."""
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise StoreError(f"{path}: it is a folder; expected the name of a file.")
    if mode is not None and not stat.S_ISREG(mode):
        raise FileError(f"{path}: it is {_kind(mode)}, which is never replaced; expected the name of a new file.")
    check_output(path, force)


def check_run(path: Path, force: bool) -> None:
    """As ``check_output``, for a run: with ``force``, only a zarr folder is replaced; nobody else may be writing it."""
    from neuromem.runs.store import check_staging, staging_of

    _mode(staging_of(path))
    check_staging(path)
    check_output(path, force)
    if path.exists() and not (path / "zarr.json").is_file():
        raise StoreError(f"{path}: it exists already and is no run; --force replaces runs only. Choose another name.")


def check_picture(path: Path, force: bool) -> None:
    """As ``check_file``; raise ``FileError`` too when no picture can be written under such a name."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(f"{path}: a picture that ends in {path.suffix!r}; expected one of {listing(PICTURES)}.")
    check_file(path, force)


def check_distinct(outputs: Mapping[str, Path | None]) -> None:
    """Raise ``StoreError`` when two of the outputs (option -> path) are one."""
    seen: dict[str, str] = {}
    for option, path in outputs.items():
        if path is not None:
            other = seen.setdefault(os.path.join(os.path.realpath(path.parent), path.name), option)
            if other != option:
                raise StoreError(f"{path}: {other} and {option} name the same file; expected a name for each.")


@contextmanager
def whole_file(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to, which becomes ``path`` at the end: ``path`` appears whole or not at all.

    Raises ``StoreError`` when it cannot be written, or when the name is taken by then and ``force`` is not given.
    """
    part = path.with_name(f".neuromem-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        try:
            yield part
            _move(part, path, force)
        finally:
            part.unlink(missing_ok=True)
    except FileError:
        raise
    except OSError as error:
        if isinstance(error, StoreError) and not isinstance(error.__cause__, OSError):
            raise
        reason = error.__cause__ if isinstance(error.__cause__, OSError) else error  # a StoreError names the temporary path
        said = reason.strerror or reason
        raise StoreError(f"{path}: it cannot be written ({said}); expected a folder that can, with free space.") from error


def write_text(path: Path, write: Callable[[TextIO], None], force: bool = False) -> None:
    """Let ``write`` fill the file at ``path``, as ``whole_file`` does."""
    with whole_file(path, force) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        write(file)


def _move(part: Path, path: Path, force: bool) -> None:
    if force:
        check_file(path, force)
        part.replace(path)
        return
    try:
        os.link(part, path)  # unlike a rename, it fails where the name is taken
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without links
        try:
            path.open("xb").close()
        except FileExistsError:
            raise _taken(path) from None
        part.replace(path)


def _taken(path: Path) -> StoreError:
    return StoreError(f"{path}: it exists already; expected a new name, or --force to replace it.")


def _mode(path: Path) -> int | None:
    """Return what stands at ``path``, as ``os.lstat`` says it, or None; raise ``StoreError`` for an impossible name."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error.strerror}); expected another name.") from None
    except UnicodeError:
        raise StoreError(f"{str(path)!a}: the file names of this system cannot hold it; expected a name in plain letters.") from None


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def free_name(path: Path | None, force: bool, other: str) -> Path | None:
    """Return the default path of a picture, or None, after a line on standard error, where it cannot be drawn: it was not asked for, and stops nothing.

    ``other`` says what to do instead.
    """
    if path is None:
        return None
    try:
        check_picture(path, force)
    except NeuromemError as error:
        print(f"no picture will be drawn: {error} (Or: {other}.)", file=sys.stderr)
        return None
    return path
