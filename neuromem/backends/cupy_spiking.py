"""Spiking networks of the cupy backend: state on the device, spikes and recorded states on the host after every call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neuromem.backends.interrupts import held_interrupts
from neuromem.backends.kernel_simulation import KernelSimulation
from neuromem.backends.layout import cell_arrays, initial_state, static_arrays
from neuromem.errors import LimitError
from neuromem.ir.memory_needed import bytes_text
from neuromem.ir.program import Program, Schedule
from neuromem.kernels.cpu import spiking as k
from neuromem.kernels.cupy import spiking as kernels
from neuromem.kernels.cupy.runtime import empty, free_memory, get, put

# Up to so many neurons one block runs a replica: they take it some 10 us a step (72 bytes each, by one multiprocessor), as long as
# the launches of a step over the whole device take.
IN_ORDER_NEURONS = 4096

# Spikes of one replica that a call's buffer holds beyond the one step that it must hold. In order, a call that stops is one launch more;
# over the whole device it has launched the rest of its steps for nothing, so there the replicas share as many more.
SPIKE_BUFFER = 4096
SHARED_SPIKE_BUFFER = 1 << 22

# Bytes of recorded states that stay on the device until the end of a call; longer calls are cut.
STATES_ROOM = 1 << 28


class CupySimulation(KernelSimulation):
    """Kernel arrays on the device; see ``neuromem.kernels.cupy.spiking`` for the two ways through a step.

    ``order`` "kept" adds arriving weights in the order of the reference, whose bits come out; "any" counts them in whole numbers of
    ``arrival_quantum``, whose sum is the same in every order. None: by the number of neurons.
    """

    backend: ClassVar[str] = "cupy"

    def __init__(self, program: Program, order: str | None = None) -> None:
        super().__init__(program)
        counted = order == "any" if order else program.cells.n > IN_ORDER_NEURONS
        self.quantum = arrival_quantum(program) if counted else None
        cells, static, state = cell_arrays(program, 1), static_arrays(program), initial_state(program, self.layout, 1)
        if counted:
            state = state._replace(arriving=state.arriving.astype(np.uint64))  # nothing is on its way yet
        room = program.n_units + SPIKE_BUFFER + (SHARED_SPIKE_BUFFER // program.batch if counted else 0)
        needed = sum(a.nbytes for arrays in (cells, static, self.layout.arrays, state) for a in arrays) + 8 * program.batch * room
        if needed > free_memory():
            raise LimitError(
                f"the network takes {bytes_text(needed)} on the device; {bytes_text(free_memory())} are free there. "
                "Take fewer neurons, synapses or replicas, or backend 'cpu'."
            )
        self.cells = k.Cells(*map(put, cells))
        self.static = k.Static(*map(put, static))
        self.plastic = k.Plastic(*map(put, self.layout.arrays))
        self.state = k.State(*map(put, state))
        self._probe, self._keep = put(self.probe), put(self.keep)
        self._spikes = empty((2, program.batch, room), np.int32)

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        most = max(1, STATES_ROOM // (8 * self.program.batch * self.width)) if self.width else max(1, schedule.n_steps)
        for start in range(0, schedule.n_steps, most):
            with held_interrupts():  # between two launches the device is ahead of what the host knows
                self._call(schedule.part(start, min(schedule.n_steps, start + most)))

    def _call(self, schedule: Schedule) -> None:
        batch, n_events = self.program.batch, schedule.step.size
        pointer = np.searchsorted(schedule.replica, np.arange(batch + 1))
        sent = put(np.concatenate([pointer, schedule.step, schedule.unit, pointer[:-1], np.zeros(2 * batch, np.int64)]).astype(np.int64))
        step, unit, end = batch + 1, batch + 1 + n_events, batch + 1 + 2 * n_events
        drive = k.Drive(sent[:step], sent[step:unit], sent[unit:end], put(schedule.plastic))
        cursor, counts = sent[end : end + batch], sent[end + batch :].reshape(2, batch)  # counts: steps done, spikes recorded
        states = empty((batch, schedule.n_steps if self.width else 0, self.width), np.float64)
        out = k.Output(counts[0], cursor, counts[1], self._spikes[0], self._spikes[1], self._probe, states, self._keep)
        done = 0
        while done < schedule.n_steps:
            kernels.advance(
                self.cells, self.static, self.plastic, self.state, drive, out, self.program.n_sources, self.step, 0, 0, batch, self.quantum, done
            )  # fmt: skip
            steps, n_spikes = get(counts)
            if n_spikes.any():
                self._take_spikes(n_spikes, *get(self._spikes[:, :, : int(n_spikes.max())]))
            counts[1].fill(0)
            done = int(steps.min())
        if self.width:
            self.recorded_states.append(get(states))
        self.step += schedule.n_steps

    def _to_host(self, array: Any) -> np.ndarray:
        return get(array)

    def _from_host(self, array: np.ndarray) -> Any:
        return put(array)

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        arriving = arrays["arriving"]
        if arriving.dtype != self.state.arriving.dtype:  # saved by a simulation of the other order
            quantum = arrival_quantum(self.program)
            arriving = np.rint(arriving / quantum).astype(np.int64).view(np.uint64) if self.quantum else arriving.view(np.int64) * quantum
        super()._load_arrays({**arrays, "arriving": arriving})


def arrival_quantum(program: Program) -> float:
    """Return the power of two (nA) whose whole numbers can hold, in 63 bits and a sign, all weights of a neuron's receptor at once.

    It is at most 2^-61 of the largest such sum: 8 bits finer than a double of that size.
    """
    n = program.cells.n
    largest = np.zeros(2 * n)
    for table in program.projections:
        weight = np.abs(table.weight).max(axis=0)
        if table.plasticity is not None:
            limits = table.plasticity.weight_dependence
            weight = np.maximum(weight, max(abs(limits.w_min), abs(limits.w_max)))
        receptor = n if table.receptor == "inhibitory" else 0
        largest += np.bincount(table.post - program.n_sources + receptor, weight, 2 * n)
    _, exponent = math.frexp(largest.max(initial=0.0))
    return math.ldexp(1.0, max(exponent, -900) - 62)
