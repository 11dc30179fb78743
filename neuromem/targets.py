"""Targets: boards and formats to which a Program is exported. An export is a value first, and is written by itself."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from neuromem.errors import SpecError, StoreError, listing, nearest

TARGETS = {
    "spinnaker": "a package for a SpiNNaker board: PyNN script, tables, expected results, report",
    "nir": "a frozen network as a NIR graph (HDF5)",
}
"""What can be exported to, with a word about each."""


def target_named(name: str) -> str:
    """Return ``name``; raise ``SpecError`` with the valid names where there is no such target."""
    if name not in TARGETS:
        raise SpecError(f"target {name!r}; expected one of {listing(TARGETS)}{nearest(name, TARGETS)}.")
    return name


@dataclass(frozen=True, eq=False)
class ExportPlan:
    """The files of an export, by their paths within its folder; nothing is written before ``write``. Same input, same bytes."""

    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise SpecError(f"ExportPlan: file {name!r}; expected a path within the export's folder.")

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents, in hex."""
        return files_digest(self.files)

    def write(self, folder: Path, force: bool = False) -> None:
        """Write the files to ``folder``, which appears whole or not at all.

        Raises ``StoreError`` when it exists already (with ``force``, only an earlier export is replaced) or cannot be written.
        """
        check_folder(folder, force)
        stage = folder.with_name(f".neuromem-{uuid.uuid4().hex[:12]}")
        try:
            try:
                for name in sorted(self.files):
                    path = stage / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(self.files[name])
                exchange(stage, folder, force)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(
                f"{folder}: it cannot be written ({error.strerror or error}); expected a place that can, with free space."
            ) from error


def check_folder(folder: Path, force: bool) -> None:
    """Raise ``StoreError`` when an export cannot go to ``folder``."""
    if os.path.lexists(folder):
        if not force:
            raise StoreError(f"{folder}: it exists already; expected a new name, or --force to replace an earlier export.")
        if not (folder / "manifest.json").is_file() or folder.is_symlink():
            raise StoreError(f"{folder}: it exists already and is no export; --force replaces exports only. Choose another name.")
    if not folder.parent.is_dir():
        raise StoreError(f"{folder}: there is no folder {folder.parent}; expected an existing one: mkdir -p {folder.parent}")


def exchange(stage: Path, folder: Path, force: bool) -> None:
    """Give a staged folder its name; one that is there is replaced with ``force``, and left as it was when that fails."""
    if force and folder.exists():
        old = folder.with_name(f".neuromem-{uuid.uuid4().hex[:12]}-old")
        folder.rename(old)
        try:
            stage.rename(folder)
        except BaseException:  # Ctrl-C too
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return
    taken = StoreError(f"{folder}: it exists already; expected a new name, or --force to replace an earlier export.")
    if os.path.lexists(folder):  # a rename would replace an empty folder that appeared meanwhile
        raise taken
    try:
        stage.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another was quicker, since the look a moment ago
            raise taken from None
        raise


def files_digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of files by name and content, in hex."""
    sha = hashlib.sha256()
    for name in sorted(files):
        sha.update(f"{name}\0{len(files[name])}\0".encode())
        sha.update(files[name])
    return sha.hexdigest()


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of a .npz file, without a time in it: the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()
