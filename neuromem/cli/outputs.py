"""Files that a command writes: nothing is overwritten without ``--force``, and all is checked before the run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from neuromem.errors import FileError, StoreError, listing

PICTURES = (".png", ".svg", ".pdf")


def check_output(path: Path, force: bool) -> None:
    """Raise ``StoreError`` when ``path`` exists (without ``force``), or its folder does not or cannot be written to."""
    if (path.exists() or path.is_symlink()) and not force:
        raise StoreError(f"{path}: it exists already; expected a new name, or --force to replace it.")
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
    """As ``check_output``, for a file: a folder is never replaced."""
    if path.is_dir():
        raise StoreError(f"{path}: it is a folder; expected the name of a file.")
    check_output(path, force)


def check_run(path: Path, force: bool) -> None:
    """As ``check_output``, for a run: with ``force``, only a zarr folder is replaced."""
    check_output(path, force)
    if path.exists() and not (path / "zarr.json").is_file():
        raise StoreError(f"{path}: it exists already and is no run; --force replaces runs only. Choose another name.")


def check_picture(path: Path, force: bool) -> None:
    """As ``check_file``; raise ``FileError`` too when no picture can be written under such a name."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(f"{path}: a picture that ends in {path.suffix!r}; expected one of {listing(PICTURES)}.")
    check_file(path, force)


def write_text(path: Path, write: Callable[[TextIO], None]) -> None:
    """Let ``write`` fill the file at ``path``, which appears whole or not at all; raise ``StoreError`` when it cannot."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                write(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error.strerror}); expected a folder that can, with free space.") from None
