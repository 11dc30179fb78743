"""What a backend compiles, as a folder that can be taken to the machine that runs it. One function for each backend, in ``MAKERS``."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from neuromem.backends.base import Progress
from neuromem.backends.brian2 import Column, ResultFiles
from neuromem.backends.brian2cuda import SUPPORT, CompileError, compile_project, generate, need_brian2cuda
from neuromem.errors import BackendMissingError, SpecError, StoreError, listing, nearest
from neuromem.hardware_targets.cuda.toolkit import check_archs, find_toolkit, jobs
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.operations import lower_memory
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol
from neuromem.targets import check_folder, exchange

SCHEMA = 1


@dataclass(frozen=True)
class Work:
    """What is to be compiled, for which architectures; the protocol is None where the memory has no spikes. ``nvcc``: not only generated."""

    memory: MemoryModel
    protocol: Protocol | None
    archs: tuple[str, ...]
    seed: int = 0
    nvcc: bool = True


@dataclass(frozen=True)
class Made:
    """What came of it: the digest of the Program, the packages used, what to type to compile and to run, and which file will hold what."""

    digest: str
    archs: tuple[str, ...]
    versions: Mapping[str, str]
    commands: Mapping[str, str]
    results: Mapping[str, Any]


def make_brian2cuda(work: Work, folder: Path, progress: Progress | None) -> Made:
    """A CUDA program of its own, by Brian2CUDA and nvcc."""
    if not has_spikes(work.memory.network):
        SUPPORT.require("matrix", "brian2cuda")
    assert work.protocol is not None
    need_brian2cuda()
    try:
        toolkit = find_toolkit()
    except BackendMissingError as missing:
        if work.nvcc:
            raise BackendMissingError(
                f"backend 'brian2cuda': {str(missing).rstrip('.')}. To generate the code only: --no-nvcc"
            ) from missing
        toolkit = None
    archs = check_archs(work.archs, toolkit)
    program = lower_memory(work.memory, work.protocol, work.seed)
    files = generate(program, str(folder), archs, toolkit)
    if work.nvcc:
        compile_project(str(folder), progress)
    versions = {name: importlib.metadata.version(name) for name in ("brian2", "brian2cuda")}
    versions |= {} if toolkit is None else {"cuda": toolkit.version}
    return Made(program.digest, archs, versions, {"compile": f"make -j{jobs()}", "run": "./main"}, result_names(files))


Maker = Callable[[Work, Path, Progress | None], Made]
"""Checks, and then writes and compiles everything in an empty folder; the last argument hears of files done and files in all."""

MAKERS: dict[str, Maker] = {"brian2cuda": make_brian2cuda}


def maker_named(name: str) -> Maker:
    """Return the maker of a backend; raise ``SpecError`` with the valid names where it has none."""
    if name not in MAKERS:
        raise SpecError(f"backend {name!r} compiles nothing ahead of a run; expected one of {listing(MAKERS)}{nearest(name, MAKERS)}.")
    return MAKERS[name]


def compile_memory(work: Work, backend: str, folder: Path, force: bool = False, progress: Progress | None = None) -> Mapping[str, Any]:
    """Compile a memory, with its protocol if it has spikes, to ``folder``, and return the manifest that is written there.

    The folder appears whole or not at all: until then it is ``FOLDER.partial``, which is left only when something does not compile.
    Raises ``SpecError``, ``UnsupportedError``, ``BackendMissingError``, ``StoreError``, and ``CompileError``.
    """
    maker = maker_named(backend)
    check_folder(folder, force)
    stage = folder.with_name(f"{folder.name}.partial")
    with _staged(stage, force) as mark:
        try:
            made = maker(work, stage, progress)
            manifest = {
                "schema": SCHEMA,
                "neuromem": importlib.metadata.version("neuromem"),
                "model": work.memory.name,
                "protocol": None if work.protocol is None else work.protocol.name,
                "seed": work.seed,
                "backend": backend,
                "archs": list(made.archs),
                "compiled": work.nvcc,
                "program_digest": made.digest,
                "versions": dict(made.versions),
                "commands": dict(made.commands),
                "results": made.results,
            }
            (stage / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
            (stage / "README.md").write_text(readme(manifest))
            mark.unlink()
            exchange(stage, folder, force)
        except CompileError:
            mark.write_text(KEPT)
            raise
        except BaseException as error:  # Ctrl-C too
            shutil.rmtree(stage, ignore_errors=True)
            if isinstance(error, OSError):
                raise StoreError(
                    f"{folder}: it cannot be written ({error.strerror or error}); nothing is left of it. Choose another folder."
                ) from error
            raise
    return manifest


MARK = ".neuromem-compile"
UNFINISHED, KEPT = "unfinished\n", "does not compile\n"


@contextlib.contextmanager
def _staged(stage: Path, force: bool) -> Iterator[Path]:
    """Make the folder in which a program is compiled, and hold it; yield the file that marks it as ours until it is whole.

    What a killed program left is replaced; what did not compile is kept until ``force``; what is not ours is never touched.
    """
    mark = stage / MARK
    if stage.exists():
        if not mark.is_file():
            raise StoreError(
                f"{stage}: it exists, and is not of neuromem compile; expected a name that is free: move it, or choose another --out."
            )
        with mark.open() as held:
            if not _alone(held):
                raise StoreError(f"{stage}: another program compiles there now; wait for it, or choose another --out.")
            if held.read() == KEPT and not force:
                raise StoreError(f"{stage}: what did not compile is kept there; if it is not needed, delete it: --force")
            shutil.rmtree(stage)
    try:
        stage.mkdir()
    except FileExistsError:
        raise StoreError(f"{stage}: another program compiles there now; wait for it, or choose another --out.") from None
    except OSError as error:
        raise StoreError(f"{stage}: it cannot be made ({error.strerror}); expected a folder that can be written to.") from error
    mark.write_text(UNFINISHED)
    with mark.open() as held:
        _alone(held)
        yield mark


def _alone(file: IO[str]) -> bool:
    """Lock a file for as long as it is open; tell whether nobody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def result_names(files: ResultFiles) -> dict[str, Any]:
    """Return in which files a program of Brian2's leaves what, as JSON has it."""

    def array(column: Column) -> dict[str, str]:
        return {"file": column[0], "dtype": str(column[1])}

    return {
        "spikes": {
            "sources" if is_source else "neurons": {"time_s": array(times), "index": array(index)}
            for times, index, is_source in files.spikes
        },
        "states": {f"{population}.{variable}": array(column) for (population, variable), column in files.states.items()},
        "weights": {name: array(column) for name, column in files.weights.items()},
        "projections": {name: {"weights": place.synapses, "first": place.first, "size": place.n} for name, place in files.places.items()},
    }


def readme(manifest: Mapping[str, Any]) -> str:
    """Return what the folder says about itself."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    protocol = "" if manifest["protocol"] is None else f", protocol {manifest['protocol']}"
    first = (
        f"It is compiled for {', '.join(manifest['archs'])}. On a machine with such a GPU, in this folder, type:"
        if manifest["compiled"]
        else f"It is not compiled yet. On a machine with nvcc, and a GPU of {', '.join(manifest['archs'])}, in this folder, type:"
    )
    commands = [] if manifest["compiled"] else [manifest["commands"]["compile"]]
    lines = "".join(f"    {command}\n" for command in [*commands, manifest["commands"]["run"]])
    return f"""# {manifest["model"]}{protocol}, for {manifest["backend"]}

Written by neuromem {manifest["neuromem"]} with {versions}, from the Program with digest {manifest["program_digest"][:12]}, seed {manifest["seed"]}.

{first}

{lines}
The driver must know the CUDA release that compiled it. `makefile` names folders of the machine that wrote it (`-I`, `-L`), and `main` looks for
`libcurand.so.10` there: where they lie elsewhere, edit these lines and compile again (`make clean; make NVCC='@nvcc -ccbin g++'`), or export
`LD_LIBRARY_PATH` with the folder of `libcurand.so.10`. Results are plain arrays in `results/`; `manifest.json` tells which file is what.
"""
