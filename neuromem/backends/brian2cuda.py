"""The brian2cuda backend: what the brian2 backend emits, as a CUDA program of its own.

What Brian2CUDA 1.0b1 cannot do, or silently leaves out, and why it matters here or not:

- It draws nothing, for a Program holds all spikes of its sources. No network operations, no ``store``, one ``run``, one clock: so its
  trouble with delays that change between runs, with spikes in flight then, and with sources on another clock cannot come up.
- Its templates name the default clock whatever the clock of an object: the emission uses that one.
- Recorded spikes are in order of time only: they are sorted when read.
- Sums of weights that arrive together are added by atomic operations, in any order: equal bits are not to be had, in no two runs.
- Single precision is rewritten in the text, wrongly for some names: everything is in double precision.
- Synapses are numbered by 32 bits; more are an error that is printed and ignored: refused here.
- Queues of synapses with different delays live in a heap on the device, whose size is fixed when the program starts: see ``heap_megabytes``.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from neuromem.backends.base import Backend, Progress, Refusal, Simulation, Support
from neuromem.backends.brian2 import (
    NO_MATRIX,
    MakeError,
    ResultFiles,
    StandaloneSimulation,
    brian2_settings,
    make_project,
    write_project,
)
from neuromem.backends.interrupts import held_interrupts
from neuromem.errors import BackendMissingError, LimitError, NeuromemError, SpecError
from neuromem.hardware_targets.cuda.machine import INSTALL, require_device
from neuromem.hardware_targets.cuda.toolkit import (
    DEFAULT,
    HOST_FLAGS,
    NVCC_FLAGS,
    Toolkit,
    arch_flags,
    check_archs,
    find_toolkit,
    jobs,
    link_curand,
)
from neuromem.ir.memory_needed import bytes_text
from neuromem.ir.program import Program

SUPPORT = Support(
    NO_MATRIX
    | {
        "interactive": Refusal("never", "a CUDA program of Brian2CUDA runs as a whole; use backend 'cpu'"),
        "save": Refusal("never", "a CUDA program of Brian2CUDA cannot be stopped between two steps; use backend 'cpu'"),
    }
)

MOST_SYNAPSES = 2**31 - 1

# what a program says that ends badly -> what to do
HINTS = {
    "out of memory": "the memory of the device does not suffice: take a smaller memory or fewer replicas, or see with nvidia-smi who else uses it",
    "busy or unavailable": "another process holds the device: nvidia-smi shows which",
    "driver version is insufficient": "the driver is older than the toolkit: install a newer driver",
    "no kernel image": "it was compiled for another architecture than the device has",
    "no CUDA-capable device": "there is no device here",
}


def need_brian2cuda() -> None:
    """Import Brian2CUDA, which makes its device and preferences known to Brian2; raise ``BackendMissingError`` if it cannot be."""
    hook = sys.excepthook
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import brian2cuda  # noqa: F401
    except Exception as error:  # with another Brian2 than its own it fails in other ways than ImportError
        raise BackendMissingError(f"backend 'brian2cuda': Brian2CUDA cannot be imported ({error}); type: {INSTALL}") from error
    finally:
        sys.excepthook = hook  # see neuromem.backends.brian2


def cuda_preferences(archs: Sequence[str], toolkit: Toolkit | None, heap: int) -> dict[str, Any]:
    """Return what Brian2's preferences are set to; without a toolkit, the makefile looks for one where it is by default."""
    cuda = "devices.cuda_standalone.cuda_backend"
    libraries = [] if toolkit is None else [str(folder) for folder in toolkit.library_dirs]
    return {
        "codegen.target": "numpy",
        "codegen.cpp.extra_compile_args_gcc": list(HOST_FLAGS),
        "codegen.cpp.include_dirs": [] if toolkit is None else [str(folder) for folder in toolkit.include_dirs],
        "codegen.cpp.library_dirs": [".", *libraries],  # link_curand makes its link in the project
        "codegen.cpp.runtime_library_dirs": libraries,
        "devices.cuda_standalone.default_functions_integral_convertion": np.float64,
        # one text for all architectures: Brian2CUDA takes them out of the list that it walks through, and would skip every second one
        f"{cuda}.extra_compile_args_nvcc": [*NVCC_FLAGS, " ".join(arch_flags(archs))],
        f"{cuda}.detect_gpus": False,
        f"{cuda}.gpu_id": 0,
        f"{cuda}.compute_capability": int(archs[0].removeprefix("sm_")) / 10,  # must be set, and is not used beside the flags
        f"{cuda}.detect_cuda": toolkit is not None,
        f"{cuda}.cuda_path": str(DEFAULT) if toolkit is None else str(toolkit.root),
        f"{cuda}.cuda_runtime_version": 13.0 if toolkit is None else float(toolkit.version),
        f"{cuda}.gpu_heap_size": heap,
    }


@contextlib.contextmanager
def cuda_settings(archs: Sequence[str], toolkit: Toolkit | None, heap: int) -> Iterator[Any]:
    """Set Brian2's process-wide device and preferences, and what Brian2CUDA keeps beside them; put all back afterwards."""
    need_brian2cuda()
    from brian2cuda.utils import gputools

    kept = dict(gputools._cuda_installation), dict(gputools._gpu_selection)
    gputools.reset_cuda_installation()
    gputools.reset_gpu_selection()
    # it warns of differences of steps as 64-bit integers in exp(), which are exact below 2^53, and tells all its preferences
    logger = logging.getLogger("brian2.brian2cuda")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with brian2_settings(cuda_preferences(archs, toolkit, heap), "cuda_standalone") as b2:
            yield b2
    finally:
        logger.setLevel(level)
        gputools.restore_cuda_installation(kept[0])
        gputools.restore_gpu_selection(kept[1])


def generate(program: Program, folder: str, archs: Sequence[str], toolkit: Toolkit | None) -> ResultFiles:
    """Generate the CUDA project of a Program in ``folder``. It takes no device, and no toolkit either, where it is compiled elsewhere.

    Raises ``LimitError`` for more synapses than Brian2CUDA can number, ``BackendMissingError`` without Brian2CUDA.
    """
    n = program.batch * sum(p.n_synapses for p in program.projections)
    if n > MOST_SYNAPSES:
        raise LimitError(
            f"backend 'brian2cuda': {n} synapses in all replicas; Brian2CUDA numbers at most {MOST_SYNAPSES}. Take a smaller memory or fewer replicas."
        )
    with held_interrupts(), cuda_settings(archs, toolkit, heap_megabytes(program)) as b2:
        files = write_project(b2, program, folder)
    if toolkit is not None:
        link_curand(toolkit, Path(folder))
    return files


class CompileError(NeuromemError):
    """Generated code that does not compile; it is kept where the text says."""


def compile_project(folder: str, progress: Progress | None = None) -> None:
    """Compile a generated project; raise ``CompileError`` with the first error and how to see all of them."""
    try:
        make_project(folder, jobs(), progress)
    except MakeError as error:
        raise CompileError(
            f"backend 'brian2cuda': the generated code does not compile: {error}; it is kept in {folder}. To see it all type: {error.command}"
        ) from error


def heap_megabytes(program: Program) -> int:
    """Return the size of the heap on the device, in MiB, that no run of ``program`` outgrows: at least Brian2CUDA's own 128.

    A pathway has a queue for each step of its longest delay. It holds a number of 4 bytes for each group of synapses with one neuron and
    one delay, and when it grows, twice that, and what it held until that is copied: 3 x 4 bytes for each group at most. At most 2047, for
    Brian2CUDA multiplies in 32 bits; a run that outgrows that, where about all neurons spike within their delays, ends with an error.
    """
    most = 0
    for p in (p for p in program.projections if p.n_synapses):
        longest = int(p.delay.max())
        for neuron in (p.pre,) if p.plasticity is None else (p.pre, p.post):
            groups = np.zeros((program.n_units, longest), bool)
            groups[neuron, p.delay - 1] = True
            most += 3 * 4 * int(groups.sum()) * program.batch * (longest + 1)
    return min(max(128, -(-most // 2**20)), 2047)


def device_bytes(program: Program) -> int:
    """Return the bytes that ``program`` takes on the device at least: tables of synapses, recorded states, the heap of the queues.

    A static synapse has 2 weights and a delay of 8 bytes, its 2 neurons and its place in its pathway of 4; a plastic one 6 values of 8
    bytes, 2 steps and 2 neurons of 4, a delay and a place for each of its 2 pathways, and with longer delays what is on its way.
    """
    total = heap_megabytes(program) * 2**20
    for p in program.projections:
        longest = int(p.delay.max()) if p.n_synapses else 1
        each = 36 if p.plasticity is None else 88 + (8 * longest + 20 if longest > 1 else 0)
        total += each * p.n_synapses * program.batch
    return total + sum(8 * p.size * program.n_steps * program.batch for p in program.probes if p.variable != "spikes")


class CudaSimulation(StandaloneSimulation):
    """A CUDA program: compiled when built, run once, as a whole, on the device."""

    backend: ClassVar[str] = "brian2cuda"
    support: ClassVar[Support] = SUPPORT
    title: ClassVar[str] = "brian2cuda"

    def __init__(self, program: Program, toolkit: Toolkit, archs: Sequence[str]) -> None:
        self._toolkit, self._archs = toolkit, archs
        super().__init__(program)

    def _compile(self) -> ResultFiles:
        files = generate(self.program, self.directory, self._archs, self._toolkit)
        try:
            compile_project(self.directory)
        except CompileError:
            self._cleanup.detach()
            raise
        return files

    def _check_end(self, done: subprocess.CompletedProcess[str]) -> None:
        check_end(done)


def check_end(done: subprocess.CompletedProcess[str]) -> None:
    """Raise ``NeuromemError`` when a CUDA program failed; some of its errors are printed, and the program goes on."""
    printed = [line for line in done.stdout.splitlines() if line.startswith(("ERROR", "Error "))]
    if done.returncode == 0 and not printed:
        return
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or printed or ["it says nothing"]
    text = " / ".join(said[-3:])
    hint = next((f" ({hint})" for words, hint in HINTS.items() if words in text), "")
    raise NeuromemError(f"backend 'brian2cuda': the program ended with status {done.returncode}: {text}{hint}.")


class Brian2CudaBackend(Backend):
    """Brian2CUDA on this machine's device, compiled for its own architecture or for ``arch``, such as ``sm_80``."""

    name: ClassVar[str] = "brian2cuda"
    support = SUPPORT

    def __init__(self, arch: str | None = None) -> None:
        self.device = require_device("brian2cuda")
        need_brian2cuda()
        self.toolkit = find_toolkit()
        self.arch = self.device.arch if arch is None else check_archs([arch], self.toolkit)[0]
        major, minor = divmod(int(self.arch.removeprefix("sm_")), 10)
        if major != self.device.compute_capability[0] or minor > self.device.compute_capability[1]:
            raise SpecError(
                f"backend 'brian2cuda': arch = {self.arch!r}; expected one that {self.device.name} runs: {self.device.arch}, or lower from "
                f"sm_{self.device.compute_capability[0]}0 on."
            )

    def _build(self, program: Program) -> Simulation:
        needed = device_bytes(program)
        if needed > self.device.memory:
            raise LimitError(
                f"backend 'brian2cuda': the program takes at least {bytes_text(needed)} on the device; {self.device.name} has "
                f"{bytes_text(self.device.memory)}. Take a smaller memory, fewer replicas or fewer recorded states."
            )
        return CudaSimulation(program, self.toolkit, (self.arch,))

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        packages = {name: importlib.metadata.version(name) for name in ("brian2", "brian2cuda", "numpy")}
        return packages | {"cuda": self.toolkit.version}
