"""The brian2 backend: an explicit ``brian2.Network``, run by NumPy, by Cython, or as a C++ program of its own.

Runtime code generation (``numpy``, ``cython``) is stepped by a loop of ours over the network's
objects: ``Network.run`` costs tens of milliseconds a call, whatever it runs, and the loop gives
the same bits.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import importlib.metadata
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from neuromem.backends.base import Backend, Checkpoint, Progress, Refusal, Simulation, Support
from neuromem.backends.interrupts import held_interrupts
from neuromem.errors import BackendMissingError, NeuromemError, SpecError, nearest
from neuromem.ir.program import Program, Schedule
from neuromem.ir.recording import Recording

Codegen = Literal["numpy", "cython", "cpp_standalone"]

# IEEE arithmetic as written: Brian2's own default, -ffast-math, changes the last digits.
COMPILER_FLAGS = ["-w", "-O3", "-march=native", "-std=c++17", "-ffp-contract=off"]

INSTALL = "pip install 'neuromem[brian2]'"


def _import_brian2() -> Any:
    hook = sys.excepthook
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Brian2's imports warn of is not ours to mend
            import brian2
    except Exception as error:  # with a NumPy that it does not know, it fails in other ways than ImportError
        raise BackendMissingError(f"backend 'brian2': Brian2 cannot be imported ({error}); type: {INSTALL}") from error
    finally:
        sys.excepthook = hook  # Brian2 puts one there that reports every error of the process as its own
    return brian2


def _need_compiler(codegen: str) -> None:
    if shutil.which("g++") is None:
        raise BackendMissingError(
            f"backend 'brian2', codegen {codegen!r}: no C++ compiler g++ on the PATH; install one (Debian: apt-get install g++) or use codegen 'numpy'."
        )
    if codegen == "cython":
        try:
            import Cython  # noqa: F401
        except ImportError as error:
            raise BackendMissingError(
                f"backend 'brian2', codegen 'cython': Cython cannot be imported; type: {INSTALL}, or use codegen 'numpy'."
            ) from error
    if codegen == "cpp_standalone" and shutil.which("make") is None:
        raise BackendMissingError(
            "backend 'brian2', codegen 'cpp_standalone': no make on the PATH; install it (Debian: apt-get install make) or use codegen 'numpy'."
        )


def preferences(codegen: Codegen) -> dict[str, Any]:
    """Return what Brian2's preferences are set to, beside those that ``brian2_settings`` always sets."""
    return {
        "codegen.target": "cython" if codegen == "cython" else "numpy",
        "codegen.cpp.extra_compile_args_gcc": list(COMPILER_FLAGS),
        "devices.cpp_standalone.openmp_threads": 0,
    }


@contextlib.contextmanager
def brian2_settings(wanted: Mapping[str, Any], device: str | None = None) -> Iterator[Any]:
    """Set Brian2's process-wide preferences, and its device if it is to be a standalone one; put them back afterwards."""
    b2 = _import_brian2()
    wanted = {"core.default_float_dtype": np.float64, **wanted}
    before = {name: b2.prefs[name] for name in wanted}
    try:
        for name, value in wanted.items():
            b2.prefs[name] = value
        with warnings.catch_warnings(), contextlib.ExitStack() as afterwards:
            warnings.simplefilter("ignore")
            if device is not None:
                b2.set_device(device, build_on_run=False)
                afterwards.callback(b2.devices.reset_device)
                afterwards.callback(b2.device.reinit)
            yield b2
    finally:
        for name, value in before.items():
            b2.prefs[name] = value


def _not_compiled(codegen: Codegen, error: Exception) -> NeuromemError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return NeuromemError(
        f"backend 'brian2', codegen {codegen!r}: the generated code did not compile ({lines[0]}); "
        "check the compiler and its cache folder (neuromem doctor), or use codegen 'numpy'."
    )


def _sorted(replica: np.ndarray, step: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.lexsort((unit, step, replica))
    return replica[order], step[order], unit[order]


def _recorded(program: Program) -> np.ndarray:
    keep = np.zeros(program.n_units, bool)
    for p in program.probes:
        if p.variable == "spikes":
            keep[p.first : p.first + p.size] = True
    return keep


class RuntimeSimulation(Simulation):
    """A Brian2 network whose objects are run step by step (codegen ``numpy`` or ``cython``)."""

    backend: ClassVar[str] = "brian2"

    def __init__(self, program: Program, codegen: Codegen) -> None:
        super().__init__(program)
        try:
            with held_interrupts(), brian2_settings(preferences(codegen)) as b2:
                from neuromem.backends.brian2_emission import emit

                self.emission = emit(program, standalone=False)
                self.emission.network.run(0 * b2.ms, namespace={})  # generates and compiles all code
        except Exception as error:
            if codegen == "numpy":
                raise
            raise _not_compiled(codegen, error) from error  # setuptools and Brian2 raise many things
        objects = [x for x in self.emission.network.sorted_objects if x.active]
        self._runs = [x.run for x in objects]
        clock = self.emission.clock
        self._timestep, self._time = clock.variables["timestep"].get_value(), clock.variables["t"].get_value()
        sources = self.emission.sources
        self._fire = sources.variables["fire"].get_value() if sources is not None else np.zeros(0, np.int32)
        self._on = [p.variables["on"].get_value() for p in self.emission.plastic.values()]
        self._keep = _recorded(program)

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        order = np.argsort(schedule.step, kind="stable")
        bounds = np.searchsorted(schedule.step[order], np.arange(schedule.n_steps + 1))
        index = (schedule.replica * self.program.n_sources + schedule.unit)[order]
        fire, runs, dt = self._fire, self._runs, self.program.dt * 1e-3
        fired = index[:0]
        for s in range(schedule.n_steps):
            due = index[bounds[s] : bounds[s + 1]]
            if due.size or fired.size:
                fire[fired] = 0
                fire[due] = 1
                fired = due
            for on in self._on:
                on[...] = schedule.plastic[s]
            for run in runs:
                run()
            self.step += 1
            self._timestep[0] = self.step
            self._time[0] = self.step * dt
        fire[fired] = 0

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        found = []
        for monitor, is_source in self.emission.spike_monitors:
            times, index = np.asarray(monitor.t_), np.asarray(monitor.i)
            first = np.searchsorted(times, (since - 0.5) * self.program.dt * 1e-3)
            found.append(_units(self.program, times[first:], index[first:], is_source, self._keep))
        return _sorted(*(np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*found, strict=True)))

    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """See ``Simulation.states``."""
        return {key: _state_rows(self.program, np.array(getattr(m, f"{key[1]}_")).T) for key, m in self.emission.state_monitors.items()}

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        return _weights(
            self.program, projection, lambda name: np.asarray(self.emission.plastic[name].variables["w"].get_value()), self.emission.places
        )

    def _state_arrays(self) -> dict[str, Any]:
        state = copy.deepcopy(self.emission.network._full_state())
        # compiled code makes monitors' arrays grow without telling Brian2 their size, which it restores them with
        for monitor in (*(m for m, _ in self.emission.spike_monitors), *self.emission.state_monitors.values()):
            arrays = state[monitor.name]
            for name, (values, _) in arrays.items():
                if values.ndim:
                    arrays[name] = (values, values.shape[0] if values.ndim == 1 else values.shape)
        return dict(state)

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        state = copy.deepcopy(dict(arrays))
        for part in self.emission.network.sorted_objects:
            if part.name in state:
                part._restore_from_full_state(state[part.name])

    def restore(self, checkpoint: Checkpoint) -> None:
        """See ``Simulation.restore``."""
        super().restore(checkpoint)
        self._timestep[0] = self.step  # Brian2 would begin where its own run ended, which is 0
        self._time[0] = self.step * self.program.dt * 1e-3


def _units(
    program: Program, times: np.ndarray, index: np.ndarray, is_source: bool, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn a monitor's spikes into (replica, step, unit) of recorded units."""
    size = program.n_sources if is_source else program.cells.n
    step = np.rint(np.asarray(times) / (program.dt * 1e-3)).astype(np.int64)
    replica, unit = np.divmod(np.asarray(index).astype(np.int64), size)
    unit = unit if is_source else unit + program.n_sources
    kept = keep[unit]
    return replica[kept], step[kept], unit[kept]


def _state_rows(program: Program, rows: np.ndarray) -> np.ndarray:
    """Turn (n_steps, B * size) into (B, n_steps, size)."""
    return np.ascontiguousarray(rows.reshape(rows.shape[0], program.batch, -1).transpose(1, 0, 2))


def _weights(program: Program, projection: str, read: Any, places: Mapping[str, Any]) -> np.ndarray:
    table = next(p for p in program.projections if p.name == projection)
    if projection not in places:
        return np.array(np.broadcast_to(table.weight, (program.batch, table.n_synapses)))
    place = places[projection]
    rows = read(place.synapses).reshape(program.batch, -1)
    return np.array(rows[:, place.first : place.first + place.n])


NO_MATRIX = {"matrix": Refusal("never", "Brian2 simulates spikes; a memory without spikes runs on backend 'cpu' or 'reference'")}
SUPPORT_STANDALONE = Support(
    NO_MATRIX
    | {
        "interactive": Refusal("never", "a C++ standalone program runs as a whole; use codegen 'numpy' or 'cython', or backend 'cpu'"),
        "save": Refusal(
            "never", "a C++ standalone program cannot be stopped between two steps; use codegen 'numpy' or 'cython', or backend 'cpu'"
        ),
    }
)


Column = tuple[str, np.dtype[Any]]
"""A file below a project's folder, and the type of its numbers."""


@dataclass(frozen=True)
class ResultFiles:
    """In which files a standalone program leaves what: its spikes (times, indices, whether of sources), states and weights."""

    spikes: tuple[tuple[Column, Column, bool], ...]
    states: Mapping[tuple[str, str], Column]
    weights: Mapping[str, Column]
    places: Mapping[str, Any]


def write_project(b2: Any, program: Program, folder: str) -> ResultFiles:
    """Generate the source of a standalone program in ``folder``, within ``brian2_settings``; nothing is compiled."""
    from neuromem.backends.brian2_emission import emit

    gc.collect()  # Brian2 numbers its code objects, those of an earlier project too as long as they live
    emission = emit(program, standalone=True)
    emission.network.run(program.n_steps * program.dt * b2.ms, namespace={})
    b2.device.build(directory=folder, compile=False, run=False, with_output=False)

    def column(owner: Any, variable: str) -> Column:
        found = owner.variables[variable]
        return f"results/{b2.device.get_array_filename(found)}", np.dtype(found.dtype)

    return ResultFiles(
        tuple((column(m, "t"), column(m, "i"), is_source) for m, is_source in emission.spike_monitors),
        {key: column(m, key[1]) for key, m in emission.state_monitors.items()},
        {name: column(synapses, "w") for name, synapses in emission.plastic.items()},
        emission.places,
    )


class MakeError(RuntimeError):
    """A project that does not compile: its text is the first error that was said; ``command`` says all of it again."""

    def __init__(self, line: str, command: str) -> None:
        super().__init__(line)
        self.command = command


def make_project(folder: str, jobs: int, progress: Progress | None = None) -> None:
    """Compile the project in ``folder`` with make; ``progress`` hears of files done and files in all.

    An exception, Ctrl-C too, ends make and its compilers. Raises ``MakeError`` when something does not compile.
    """
    sources = re.findall(r"^SRCS = (.*)$", Path(folder, "makefile").read_text(), re.MULTILINE)[0].split()
    objects = [Path(folder, source).with_suffix(".o") for source in sources]
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}  # of a make around us
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as said:
        # a group of its own: Ctrl-C reaches make through us only; compilers that are ended leave their scratch files
        make = subprocess.Popen(
            ["make", f"-j{jobs}"],
            cwd=folder,
            env={**outside, "TMPDIR": scratch, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        try:
            while make.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    make.wait(0.2)
                if progress is not None:
                    progress(sum(path.exists() for path in objects), len(objects))
        finally:
            _end_group(make)
        if make.returncode != 0:
            said.seek(0)
            lines = said.read().splitlines()
            failed = re.findall(r"^make: \*\*\* \[(?:[^\]]*: )?([^\]]+)\]", "\n".join(lines), re.MULTILINE)
            raise MakeError(_first_error(lines), " ".join(["make", "-C", shlex.quote(folder), *failed[:1]]))


def _first_error(lines: list[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    errors = [
        x for x in said if re.search(r"\berror\b(?!\.)|\bfatal\b|undefined reference|cannot find|Killed|[Nn]o(t found| such| space)", x)
    ]
    return (errors or said or ["make said nothing"])[0]


def _end_with_parent() -> None:
    """Have make ended when this process is killed, so that no further compiler starts. Linux's prctl, PR_SET_PDEATHSIG."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _end_group(process: subprocess.Popen[Any]) -> None:
    """End what is left of a process and its children, and wait for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(5)


class StandaloneSimulation(Simulation):
    """A program of its own: generated and compiled when built, run once, as a whole. Here in C++."""

    backend: ClassVar[str] = "brian2"
    support: ClassVar[Support] = SUPPORT_STANDALONE
    title: ClassVar[str] = "brian2:cpp_standalone"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.directory = tempfile.mkdtemp(prefix=f"neuromem-{self.backend}-")
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        began = time.perf_counter()
        self._files = self._compile()
        self.compile_seconds = time.perf_counter() - began
        self.run_seconds = 0.0

    def _compile(self) -> ResultFiles:
        """Generate and compile the project."""
        try:
            with held_interrupts(), brian2_settings(preferences("cpp_standalone"), "cpp_standalone") as b2:
                files = write_project(b2, self.program, self.directory)
            make_project(self.directory, len(os.sched_getaffinity(0)))
        except (RuntimeError, OSError) as error:
            raise _not_compiled("cpp_standalone", error) from error
        return files

    def advance(self, schedule: Schedule) -> None:
        """Refuse: a standalone program runs as a whole."""
        self.support.require("interactive", self.title)

    def save(self) -> Any:
        """Refuse: a standalone program cannot be stopped between two steps."""
        self.support.require("save", self.title)

    def run(self, progress: Progress | None = None) -> Recording:
        """Run the compiled program and return the recording."""
        began = time.perf_counter()
        done = subprocess.run([os.path.join(self.directory, "main")], cwd=self.directory, capture_output=True, text=True, check=False)
        self.run_seconds = time.perf_counter() - began
        self._check_end(done)
        self.step = self.program.n_steps
        if progress is not None:
            progress(self.step, self.step)
        return self.recording()

    def _check_end(self, done: subprocess.CompletedProcess[str]) -> None:
        """Raise ``NeuromemError`` when the program failed."""
        if done.returncode != 0:
            raise NeuromemError(
                f"backend 'brian2', codegen 'cpp_standalone': the program ended with status {done.returncode}: {done.stderr.strip()[-500:]}"
            )

    def _read(self, column: Column) -> np.ndarray:
        return np.fromfile(Path(self.directory, column[0]), column[1])

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        keep, found = _recorded(self.program), []
        for times, index, is_source in self._files.spikes:
            if self.step:
                found.append(_units(self.program, self._read(times), self._read(index), is_source, keep))
        replica, step, unit = (
            (np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*found, strict=True))
            if found
            else (np.empty(0, np.int64),) * 3
        )
        late = step >= since
        return _sorted(replica[late], step[late], unit[late])

    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """See ``Simulation.states``."""
        sizes = {(p.population, p.variable): p.size * self.program.batch for p in self.program.probes}
        read = {key: self._read(column) if self.step else np.empty(0) for key, column in self._files.states.items()}
        return {key: _state_rows(self.program, rows.reshape(-1, sizes[key])) for key, rows in read.items()}

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        if not self.step:
            return _weights(self.program, projection, None, {})
        return _weights(self.program, projection, lambda name: self._read(self._files.weights[name]), self._files.places)

    def _state_arrays(self) -> dict[str, Any]:
        raise NotImplementedError  # save refuses first

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self.support.require("save", self.title)


class Brian2Backend(Backend):
    """Brian2 with ``codegen`` ``numpy`` (needs no compiler), ``cython`` or ``cpp_standalone``."""

    name: ClassVar[str] = "brian2"

    def __init__(self, codegen: Codegen = "numpy") -> None:
        if codegen not in get_args(Codegen):
            raise SpecError(
                f"backend 'brian2': codegen = {codegen!r}; expected one of {', '.join(get_args(Codegen))}{nearest(str(codegen), get_args(Codegen))}."
            )
        _import_brian2()
        if codegen != "numpy":
            _need_compiler(codegen)
        self.codegen: Codegen = codegen
        self.support = SUPPORT_STANDALONE if codegen == "cpp_standalone" else Support(NO_MATRIX)

    def _build(self, program: Program) -> Simulation:
        return StandaloneSimulation(program) if self.codegen == "cpp_standalone" else RuntimeSimulation(program, self.codegen)

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        names = ["brian2", "numpy", *(["cython"] if self.codegen == "cython" else [])]
        return {name: importlib.metadata.version(name) for name in names}
