"""The spinnaker-emulator backend: a Program, fitted to a SpiNNaker board, in the board's own integer arithmetic.

What it returns is what the released binaries compute, bit for bit, where no packet is late: ``neuromem verify`` compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np

from neuromem.backends.base import Backend, Refusal, Simulation, Support
from neuromem.backends.interrupts import held_interrupts
from neuromem.backends.spinnaker_layout import SynapseLayout, cell_arrays, initial_state
from neuromem.errors import SpecError
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import RECEPTORS, Fitted
from neuromem.hardware_targets.spinnaker.fixed_point import ONE, weight_of_words
from neuromem.hardware_targets.spinnaker.limits import boards
from neuromem.ir.program import Program, Schedule
from neuromem.kernels.cpu import spinnaker as k

VARIABLES = {"v": 0, "isyn_exc": 1, "isyn_inh": 2}

# Spikes that a call's buffer holds beyond the one tick that it must hold.
SPIKE_BUFFER = 1 << 16


@dataclass(frozen=True)
class Counts:
    """What a board counts of one population: weights cut off in ring buffers, packets lost from input buffers, synaptic events, packets
    received, and the largest sum in a ring buffer of each receptor (nA)."""

    saturated: int
    lost: int
    events: int
    packets: int
    peak: tuple[float, float]


class SpinnakerSimulation(Simulation):
    """A fitted Program as kernel arrays; see ``neuromem.kernels.cpu.spinnaker`` for what they hold.

    ``as_board``: record states as a board does, after what arrives and before the update, and as integers (S1615) in ``rows``.
    """

    backend: ClassVar[str] = "spinnaker-emulator"

    def __init__(self, program: Program, board: str = "spinn5", *, as_board: bool = False, advance: Any = k.advance) -> None:
        super().__init__(program)
        self.fitted: Fitted = fit(program, board)
        self.layout = SynapseLayout(self.fitted)
        self.cells = cell_arrays(self.fitted)
        self.state = initial_state(self.fitted, self.layout, self.cells)
        self.keep = np.zeros(program.n_units, np.uint8)
        probes, self.columns, width = [], {}, 0
        for probe in program.probes:
            if probe.variable == "spikes":
                self.keep[probe.first : probe.first + probe.size] = 1
            else:
                probes.append((VARIABLES[probe.variable], probe.first - program.n_sources, probe.size, width))
                self.columns[probe.population, probe.variable] = slice(width, width + probe.size)
                width += probe.size
        self.probe, self.width = np.array(probes, np.int64).reshape(-1, 4), width
        self._as_board = np.array([as_board], np.int64)
        self._kernel = advance
        self._step = np.zeros(program.n_units + SPIKE_BUFFER, np.int64)
        self._unit = np.zeros(program.n_units + SPIKE_BUFFER, np.int64)
        self.recorded_spikes: list[tuple[np.ndarray, np.ndarray]] = []
        self.recorded_rows: list[np.ndarray] = []
        with held_interrupts():  # no tick at all: this compiles, or loads what was compiled
            self._ticks(np.empty(0, np.int64), np.empty(0, np.int64), 0)

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        done = 0
        while done < schedule.n_steps:
            due = schedule.step >= done
            done += self._ticks(schedule.step[due] - done, schedule.unit[due], schedule.n_steps - done)

    def _ticks(self, step: np.ndarray, unit: np.ndarray, n_steps: int) -> int:
        states = np.empty((n_steps if self.width else 0, self.width), np.int32)
        out = k.Output(self._step, self._unit, np.zeros(1, np.int64), self.keep, self.probe, states, self._as_board)
        drive = k.Drive(step, unit, n_steps)
        ran = int(self._kernel(self.cells, self.layout.tables, self.state, drive, out, self.program.n_sources, self.step))
        n = int(out.n[0])
        if n:
            self.recorded_spikes.append((self._step[:n] + self.step, self._unit[:n].copy()))
        if self.width and ran:
            self.recorded_rows.append(states[:ran].copy())
        self.step += ran
        return ran

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        parts = [(s, u) for s, u in self.recorded_spikes if s[-1] >= since]
        step = np.concatenate([np.empty(0, np.int64), *(s for s, _ in parts)])
        unit = np.concatenate([np.empty(0, np.int64), *(u for _, u in parts)])
        late = step >= since
        return np.zeros(int(late.sum()), np.int64), step[late], unit[late]

    def rows(self) -> dict[tuple[str, str], np.ndarray]:
        """Return the recorded states as the board's integers (S1615), each of shape (steps done, size)."""
        joined = np.concatenate([np.empty((0, self.width), np.int32), *self.recorded_rows])
        return {key: joined[:, columns].copy() for key, columns in self.columns.items()}

    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """See ``Simulation.states``."""
        return {key: (rows / ONE)[None] for key, rows in self.rows().items()}

    def words(self, projection: str) -> np.ndarray:
        """Return the weights of a projection as the board's 16-bit integers, shape (n_synapses,)."""
        return self.state.weight[self.layout.place[projection]].astype(np.int64)

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        table = next(p for p in self.program.projections if p.name == projection)
        shift = self.fitted.placement(table.post_name).shifts[RECEPTORS.index(table.receptor)]
        return weight_of_words(self.words(projection), shift)[None, :]

    def traces(self, projection: str) -> tuple[np.ndarray, np.ndarray]:
        """Return for each synapse of a plastic projection the tick of the last spike of its row, and the pre trace then (S4.11)."""
        row = self.layout.row_of_synapse[self.layout.place[projection]]
        return self.state.last_pre[row], self.state.pre_trace[row]

    def counts(self, population: str) -> Counts:
        """Return what a board would have counted so far of a population of cells."""
        q, p = self.fitted.placement(population), self.program.population(population)
        first, n = p.first - self.program.n_sources, self.program.cells.n
        exc, inh = slice(first, first + p.size), slice(n + first, n + first + p.size)
        cores = slice(self.layout.first_core[population], self.layout.first_core[population] + q.n_cores)
        s = self.state
        peaks = [float(s.peak[part].max()) * 2.0 ** (shift - 15) for part, shift in zip((exc, inh), q.shifts, strict=True)]
        return Counts(
            int(s.saturated[exc].sum() + s.saturated[inh].sum()),
            int(s.lost[cores].sum()),
            int(s.events[cores].sum()),
            int(s.packets[cores].sum()),
            (peaks[0], peaks[1]),
        )

    def _state_arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {name: array.copy() for name, array in self.state._asdict().items()}
        return arrays | {"recorded_spikes": list(self.recorded_spikes), "recorded_rows": list(self.recorded_rows)}

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self.state = k.State(**{name: arrays[name].copy() for name in k.State._fields})
        self.recorded_spikes, self.recorded_rows = list(arrays["recorded_spikes"]), list(arrays["recorded_rows"])


class SpinnakerEmulatorBackend(Backend):
    """The board's arithmetic, compiled; ``board`` is the kind of board whose limits hold (``spinn3`` or ``spinn5``)."""

    name: ClassVar[str] = "spinnaker-emulator"
    support = Support(
        {
            "batch": Refusal("never", "a board holds one network; run replicas one after the other."),
            "matrix": Refusal("never", "a board runs spikes; realise turns some memories without spikes into spiking ones."),
            "integrator:exact": Refusal("never", "a board has an update of its own; define the cells with integrator='spinnaker'."),
            "stdp:MultiplicativeWeightDependence": Refusal("notimpl", "the board's arithmetic is known for the additive rule only."),
            "plasticity_switch": Refusal("never", "a board cannot switch plasticity; every operation must leave it on."),
        }
    )

    def __init__(self, board: str = "spinn5") -> None:
        if board not in boards():
            raise SpecError(f"backend 'spinnaker-emulator': board = {board!r}; expected one of {', '.join(boards())}.")
        self.board = board

    def _build(self, program: Program) -> Simulation:
        return SpinnakerSimulation(program, self.board)

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        return {"numpy": np.__version__, "numba": numba.__version__}
