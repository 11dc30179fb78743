"""NIR files: HDF5, written whole or not at all, and the same bytes for the same graph."""

from __future__ import annotations

import io
import os
import uuid
from pathlib import Path
from typing import Any

from neuromem.errors import FileError, StoreError
from neuromem.hardware_targets.nir.constants import load_nir


def file_content(graph: Any) -> bytes:
    """Return a ``nir.NIRGraph`` as the bytes of its file."""
    nir = load_nir()
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


def write_content(path: Path, content: bytes, force: bool = False) -> None:
    """Write a file that appears whole; raise ``StoreError`` when it exists (unless ``force``) or cannot be written."""
    if os.path.lexists(path) and not force:
        raise StoreError(f"{path}: it exists already; expected a new name, or --force to replace the file.")
    if path.is_dir():
        raise StoreError(f"{path}: it is a folder; expected the name of a file, such as {path / 'network.nir'}.")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; expected an existing one: mkdir -p {path.parent}")
    stage = path.with_name(f".neuromem-{uuid.uuid4().hex[:12]}")
    try:
        stage.write_bytes(content)
        if force:
            stage.replace(path)
        else:
            os.link(stage, path)  # unlike a rename, it replaces nothing that appeared meanwhile
    except FileExistsError as error:
        raise StoreError(f"{path}: it exists already; expected a new name, or --force to replace the file.") from error
    except OSError as error:
        raise StoreError(
            f"{path}: it cannot be written ({error.strerror or error}); expected a place that can, with free space."
        ) from error
    finally:
        stage.unlink(missing_ok=True)


def read_graph(path: Path) -> Any:
    """Return the ``nir.NIRGraph`` in a file; raise ``FileError`` when there is none."""
    nir = load_nir()
    if not path.is_file():
        raise FileError(f"{path}: there is no such file; expected a NIR graph (HDF5).")
    try:
        return nir.read(path)
    except (OSError, KeyError, ValueError, TypeError, AssertionError, AttributeError, NotImplementedError) as error:
        # all that h5py and nir raise for what is no HDF5, no graph, or a graph that contradicts itself
        raise FileError(
            f"{path}: no NIR graph that can be read ({type(error).__name__}: {error}); expected a file that nir.write has written."
        ) from error
