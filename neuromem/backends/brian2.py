"""The brian2 backend: an explicit ``brian2.Network``, run by NumPy, by Cython, or as a C++ program of its own.

Runtime code generation (``numpy``, ``cython``) is stepped by a loop of ours over the network's
objects: ``Network.run`` costs tens of milliseconds a call, whatever it runs, and the loop gives
the same bits.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
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


@contextlib.contextmanager
def brian2_settings(codegen: Codegen, directory: str | None = None) -> Iterator[Any]:
    """Set Brian2's process-wide device and preferences, and put them back afterwards."""
    b2 = _import_brian2()
    wanted = {
        "codegen.target": "cython" if codegen == "cython" else "numpy",
        "codegen.cpp.extra_compile_args_gcc": COMPILER_FLAGS,
        "devices.cpp_standalone.extra_make_args_unix": [f"-j{len(os.sched_getaffinity(0))}"],
        "devices.cpp_standalone.openmp_threads": 0,
        "core.default_float_dtype": np.float64,
    }
    before = {name: b2.prefs[name] for name in wanted}
    for name, value in wanted.items():
        b2.prefs[name] = value
    try:
        if codegen == "cpp_standalone":
            b2.set_device("cpp_standalone", build_on_run=False, directory=directory)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield b2
    finally:
        if codegen == "cpp_standalone":
            b2.device.reinit()
            b2.devices.reset_device()
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
            with held_interrupts(), brian2_settings(codegen) as b2:
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


class StandaloneSimulation(Simulation):
    """A C++ program: compiled when built, run once, as a whole."""

    backend: ClassVar[str] = "brian2"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.directory = tempfile.mkdtemp(prefix="neuromem-brian2-")
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        began = time.perf_counter()
        try:
            with held_interrupts(), brian2_settings("cpp_standalone", self.directory) as b2:
                from neuromem.backends.brian2_emission import emit

                emission = emit(program, standalone=True)
                emission.network.run(program.n_steps * program.dt * b2.ms, namespace={})
                b2.device.build(directory=self.directory, compile=True, run=False, with_output=False)
                self._read_plan(b2.device, emission)
        except (RuntimeError, subprocess.CalledProcessError, OSError) as error:
            raise _not_compiled("cpp_standalone", error) from error
        self.compile_seconds = time.perf_counter() - began
        self.run_seconds = 0.0

    def _read_plan(self, device: Any, emission: Any) -> None:
        """Note in which files the program leaves what, so that nothing of Brian2 is needed afterwards."""

        def path(owner: Any, variable: str) -> tuple[Path, np.dtype[Any]]:
            found = owner.variables[variable]
            return Path(self.directory, "results", device.get_array_filename(found)), np.dtype(found.dtype)

        self._spike_files = [(path(m, "t"), path(m, "i"), is_source) for m, is_source in emission.spike_monitors]
        self._state_files = {key: path(m, key[1]) for key, m in emission.state_monitors.items()}
        self._weight_files = {name: path(synapses, "w") for name, synapses in emission.plastic.items()}
        self._places = emission.places

    def advance(self, schedule: Schedule) -> None:
        """Refuse: a standalone program runs as a whole."""
        SUPPORT_STANDALONE.require("interactive", "brian2:cpp_standalone")

    def save(self) -> Any:
        """Refuse: a standalone program cannot be stopped between two steps."""
        SUPPORT_STANDALONE.require("save", "brian2:cpp_standalone")

    def run(self, progress: Progress | None = None) -> Recording:
        """Run the compiled program and return the recording."""
        began = time.perf_counter()
        done = subprocess.run([os.path.join(self.directory, "main")], cwd=self.directory, capture_output=True, text=True, check=False)
        self.run_seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise NeuromemError(
                f"backend 'brian2', codegen 'cpp_standalone': the program ended with status {done.returncode}: {done.stderr.strip()[-500:]}"
            )
        self.step = self.program.n_steps
        if progress is not None:
            progress(self.step, self.step)
        return self.recording()

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        keep, found = _recorded(self.program), []
        for (t_path, t_type), (i_path, i_type), is_source in self._spike_files:
            if self.step:
                found.append(_units(self.program, np.fromfile(t_path, t_type), np.fromfile(i_path, i_type), is_source, keep))
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
        read = {key: np.fromfile(path, kind) if self.step else np.empty(0) for key, (path, kind) in self._state_files.items()}
        return {key: _state_rows(self.program, rows.reshape(-1, sizes[key])) for key, rows in read.items()}

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        if not self.step:
            return _weights(self.program, projection, None, {})
        return _weights(self.program, projection, lambda name: np.fromfile(*self._weight_files[name]), self._places)

    def _state_arrays(self) -> dict[str, Any]:
        raise NotImplementedError  # save refuses first

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        SUPPORT_STANDALONE.require("save", "brian2:cpp_standalone")


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
