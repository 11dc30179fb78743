"""The cpu backend: our compiled kernels, one network or many replicas of it, on all cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np

from neuromem.backends.base import Backend, Simulation, Support
from neuromem.backends.interrupts import held_interrupts
from neuromem.backends.layout import PlasticLayout, cell_arrays, choose_lanes, initial_state, static_arrays
from neuromem.errors import SpecError
from neuromem.ir.program import Program, Schedule
from neuromem.kernels.cpu import spiking as k
from neuromem.quantities import is_whole

VARIABLES = {"v": 0, "isyn_exc": 1, "isyn_inh": 2}

# Spikes of one replica that a call's buffer holds beyond the one step that it must hold.
SPIKE_BUFFER = 4096

EMPTY = Schedule(0, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))


@dataclass(frozen=True, eq=False)
class SpikePart:
    """Spikes of one call, as the kernel wrote them: replica by replica, steps counted from ``first``."""

    first: int
    counts: np.ndarray
    step: np.ndarray
    unit: np.ndarray

    @property
    def last(self) -> int:
        """The last step with a spike."""
        return self.first + int(self.step.max())

    def events(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (replica, step, unit)."""
        return np.repeat(np.arange(self.counts.size), self.counts), self.step.astype(np.int64) + self.first, self.unit.astype(np.int64)


class CpuSimulation(Simulation):
    """A Program as kernel arrays; see ``neuromem.kernels.cpu.spiking`` for what they hold."""

    backend: ClassVar[str] = "cpu"

    def __init__(self, program: Program, threads: int) -> None:
        super().__init__(program)
        self.lanes = choose_lanes(program)
        self.groups = -(-program.batch // self.lanes)
        self.threads = min(threads, self.groups)
        self.layout = PlasticLayout(program)
        self.cells = cell_arrays(program, self.lanes)
        self.static = static_arrays(program)
        self.state = initial_state(program, self.layout, self.lanes)
        self.keep = np.zeros(program.n_units, np.uint8)
        rows_of_probes, self.columns = [], {}
        width = 0
        for probe in program.probes:
            if probe.variable == "spikes":
                self.keep[probe.first : probe.first + probe.size] = 1
            else:
                rows_of_probes.append((VARIABLES[probe.variable], probe.first - program.n_sources, probe.size, width))
                self.columns[probe.population, probe.variable] = slice(width, width + probe.size)
                width += probe.size
        self.probe = np.array(rows_of_probes, np.int64).reshape(-1, 4)
        self.width = width
        # written here once, so that the memory is there before the first step
        self._out_step = np.full((self.groups * self.lanes, program.n_units + SPIKE_BUFFER), 0, np.int32)
        self._out_unit = self._out_step.copy()
        with held_interrupts():  # no group at all: this compiles, or loads what was compiled, and runs nothing
            k.advance(*self._arguments(*self._call_arrays(EMPTY)), 0, 0)
        self.recorded_spikes: list[SpikePart] = []
        self.recorded_states: list[np.ndarray] = []

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        drive, out = self._call_arrays(schedule)
        while True:
            self._call(drive, out)
            self._take_spikes(out)
            if out.done.min(initial=schedule.n_steps) >= schedule.n_steps:
                break
        if self.width:
            self.recorded_states.append(out.states[: self.program.batch])
        self.step += schedule.n_steps

    def _call_arrays(self, schedule: Schedule) -> tuple[k.Drive, k.Output]:
        batch = self.groups * self.lanes  # replicas beyond the program's are given nothing and not read
        pointer = np.searchsorted(schedule.replica, np.arange(batch + 1))
        drive = k.Drive(pointer, schedule.step, schedule.unit, schedule.plastic)
        states = np.empty((batch, schedule.n_steps if self.width else 0, self.width))
        done, n_spikes = np.zeros(batch, np.int64), np.zeros(batch, np.int64)
        return drive, k.Output(done, pointer[:-1].copy(), n_spikes, self._out_step, self._out_unit, self.probe, states, self.keep)

    def _arguments(self, drive: k.Drive, out: k.Output) -> tuple[Any, ...]:
        shift = self.lanes.bit_length() - 1
        return self.cells, self.static, self.layout.arrays, self.state, drive, out, self.program.n_sources, self.step, shift

    def _call(self, drive: k.Drive, out: k.Output) -> None:
        arguments = self._arguments(drive, out)
        if self.threads == 1:
            k.advance(*arguments, 0, self.groups)
            return

        def advance(first: int, last: int) -> None:
            k.advance(*arguments, first, last)

        bounds = np.linspace(0, self.groups, self.threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(self.threads) as pool:
            for future in [pool.submit(advance, a, b) for a, b in itertools.pairwise(bounds)]:
                future.result()

    def _take_spikes(self, out: k.Output) -> None:
        counts = out.n_spikes[: self.program.batch].copy()
        if counts.any():
            ends = counts.tolist()
            step, unit = (np.concatenate([row[:n] for row, n in zip(buffer, ends, strict=False)]) for buffer in (out.step, out.unit))
            self.recorded_spikes.append(SpikePart(self.step, counts, step, unit))
        out.n_spikes[:] = 0

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        parts = []
        for part in reversed(self.recorded_spikes):
            if part.last >= since:
                parts.append(part.events())
            elif self.program.batch == 1:  # its parts are in the order of time; groups of a batch stop where their buffers are full
                break
        if not parts:
            empty = np.empty(0, np.int64)
            return empty, empty, empty
        replica, step, unit = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts[::-1], strict=True))
        if since:
            late = step >= since
            replica, step, unit = replica[late], step[late], unit[late]
        if self.program.batch == 1:
            return replica, step, unit
        order = np.argsort(replica, kind="stable")  # within a replica they are sorted as they came
        return replica[order], step[order], unit[order]

    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """See ``Simulation.states``."""
        empty = np.empty((self.program.batch, 0, self.width))
        joined = np.concatenate([empty, *self.recorded_states], axis=1)
        return {key: joined[:, :, columns].copy() for key, columns in self.columns.items()}

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        table = next(p for p in self.program.projections if p.name == projection)
        if table.plasticity is None:
            return np.array(np.broadcast_to(table.weight, (self.program.batch, table.n_synapses)))
        order, first = self.layout.order[projection], self.layout.first[projection]
        listed = np.empty((self.program.batch, table.n_synapses))
        listed[:, order] = self.state.weight[: self.program.batch, first : first + table.n_synapses]
        return listed

    def _state_arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {name: array.copy() for name, array in self.state._asdict().items()}
        return arrays | {"recorded_spikes": list(self.recorded_spikes), "recorded_states": list(self.recorded_states)}

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self.state = k.State(**{name: arrays[name].copy() for name in k.State._fields})
        self.recorded_spikes, self.recorded_states = list(arrays["recorded_spikes"]), list(arrays["recorded_states"])


class CpuBackend(Backend):
    """Our compiled kernels; ``threads`` (default: all usable cores) share the replicas of a batch."""

    name: ClassVar[str] = "cpu"
    support = Support()

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and not (is_whole(threads) and threads >= 1):
            raise SpecError(f"backend 'cpu': threads = {threads!r}; expected a whole number, at least 1.")
        self.threads = threads or len(os.sched_getaffinity(0))

    def _build(self, program: Program) -> Simulation:
        return CpuSimulation(program, self.threads)

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        return {"numpy": np.__version__, "numba": numba.__version__}
