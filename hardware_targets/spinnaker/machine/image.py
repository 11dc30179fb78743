"""The binaries of sPyNNaker: where they are, which one a core needs, and what a loader does with one.

A file is a table of entries of four little-endian words (opcode, a, b, c), and data:

====== ==========================================================================
opcode meaning
====== ==========================================================================
2      copy c bytes to address a, from b bytes behind the beginning of this entry
3      fill b bytes at a with the word c
4      execute at a; the end of the table
====== ==========================================================================

The loader rounds sizes up to 32 bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuromem.errors import BackendMissingError, FileError

_FOLDERS = (("spynnaker", "pyNN/model_binaries"), ("spinn_front_end_common", "common_model_binaries"))
_COPY, _FILL, _EXECUTE = 2, 3, 4
_LINE = 32


@dataclass(frozen=True)
class Image:
    """One binary, as what its loader writes: ``pieces`` are (address, bytes) in order; ``start`` is the first instruction."""

    name: str
    pieces: tuple[tuple[int, bytes], ...]
    start: int


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it; ``BackendMissingError`` where there is none."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise BackendMissingError(
            f"the emulated board needs the binaries of {package}, which is not installed: pip install 'neuromem[spinnaker]'"
        )
    return Path(found.origin).parent


@cache
def _files() -> Mapping[str, Path]:
    """Return every binary's file by the name it has, without its ending."""
    return {f.stem: f for package, inner in _FOLDERS for f in sorted((package_folder(package) / inner).glob("*.aplx"))}


@cache
def _names() -> Mapping[int, str]:
    return {_digest(name): name for name in _files()}


def _digest(name: str) -> int:
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def binary_name(word: int, where: str) -> str:
    """Return the binary that a core's system region names by ``word``: the first 8 hex digits of the MD5 of its name.

    ``where`` names file and core for the error.
    """
    name = _names().get(word)
    if name is None:
        raise FileError(
            f"{where}: the binary {word:#010x} is none of the {len(_files())} that the installed sPyNNaker has; "
            "expected a mapping made by the installed version; make the mapping again"
        )
    return name


@cache
def load_image(name: str) -> Image:
    """Read the binary called ``name`` (without ``.aplx``). Raises ``FileError`` if it is not there or not such a file."""
    path = _files().get(name)
    if path is None:
        raise FileError(f"{name}.aplx: not among the {len(_files())} binaries of the installed sPyNNaker; install version 7.4.1")
    content = path.read_bytes()
    pieces: list[tuple[int, bytes]] = []
    for offset in range(0, len(content) - 15, 16):
        opcode, a, b, c = struct.unpack_from("<4I", content, offset)
        if opcode == _COPY:
            pieces.append((a, content[offset + b : offset + b + _rounded(c)]))
        elif opcode == _FILL:
            pieces.append((a, struct.pack("<I", c) * (_rounded(b) // 4)))
        elif opcode == _EXECUTE:
            return Image(name, tuple(pieces), a)
        else:
            raise FileError(f"{path}: entry at byte {offset} has opcode {opcode}; expected 2, 3 or 4; install sPyNNaker again")
    raise FileError(f"{path}: the table has no entry to execute (opcode 4); install sPyNNaker again")


def _rounded(n_bytes: int) -> int:
    return -(-n_bytes // _LINE) * _LINE
