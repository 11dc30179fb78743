"""The cpu backend: our compiled kernels, one network or many replicas of it, on all cores."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numba
import numpy as np

from neuromem.backends.base import Backend, Simulation, Support
from neuromem.backends.interrupts import held_interrupts
from neuromem.backends.kernel_simulation import KernelSimulation
from neuromem.backends.layout import cell_arrays, choose_lanes, initial_state, static_arrays
from neuromem.errors import SpecError
from neuromem.ir.program import Program, Schedule
from neuromem.kernels.cpu import spiking as k
from neuromem.quantities import is_whole

# Spikes of one replica that a call's buffer holds beyond the one step that it must hold.
SPIKE_BUFFER = 4096

EMPTY = Schedule(0, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))


class CpuSimulation(KernelSimulation):
    """Kernel arrays on the host; replicas side by side in groups, which threads share."""

    backend: ClassVar[str] = "cpu"

    def __init__(self, program: Program, threads: int) -> None:
        super().__init__(program)
        self.lanes = choose_lanes(program)
        self.groups = -(-program.batch // self.lanes)
        self.threads = min(threads, self.groups)
        self.cells = cell_arrays(program, self.lanes)
        self.static = static_arrays(program)
        self.state = initial_state(program, self.layout, self.lanes)
        # written here once, so that the memory is there before the first step
        self._out_step = np.full((self.groups * self.lanes, program.n_units + SPIKE_BUFFER), 0, np.int32)
        self._out_unit = self._out_step.copy()
        with held_interrupts():  # no group at all: this compiles, or loads what was compiled, and runs nothing
            k.advance(*self._arguments(*self._call_arrays(EMPTY)), 0, 0)

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        drive, out = self._call_arrays(schedule)
        while True:
            self._call(drive, out)
            self._take_spikes(out.n_spikes[: self.program.batch].copy(), out.step, out.unit)
            out.n_spikes[:] = 0
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

    def _to_host(self, array: Any) -> np.ndarray:
        return np.array(array)

    def _from_host(self, array: np.ndarray) -> Any:
        return array.copy()


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
