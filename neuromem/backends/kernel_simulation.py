"""What simulations on kernel arrays share: the layout, what is recorded, and how it is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.backends.base import Simulation
from neuromem.backends.layout import PlasticLayout
from neuromem.ir.program import Program
from neuromem.kernels.cpu import spiking as k

VARIABLES = {"v": 0, "isyn_exc": 1, "isyn_inh": 2}


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


class KernelSimulation(Simulation):
    """A Program as kernel arrays; see ``neuromem.kernels.cpu.spiking`` for what they hold.

    A subclass sets ``state``, calls its kernels in ``advance``, and says how arrays of the state come to the host and back.
    """

    state: k.State

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.layout = PlasticLayout(program)
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
        self.recorded_spikes: list[SpikePart] = []
        self.recorded_states: list[np.ndarray] = []

    @abstractmethod
    def _to_host(self, array: Any) -> np.ndarray:
        """Return a copy of (a part of) an array of the state on the host."""

    @abstractmethod
    def _from_host(self, array: np.ndarray) -> Any:
        """Return a copy of a host array where the kernels want it."""

    def _take_spikes(self, counts: np.ndarray, step: np.ndarray, unit: np.ndarray) -> None:
        """Keep the first ``counts[b]`` of the spikes (step of this call, unit) of each replica b."""
        if counts.any():
            ends = counts.tolist()
            step, unit = (np.concatenate([row[:n] for row, n in zip(buffer, ends, strict=False)]) for buffer in (step, unit))
            self.recorded_spikes.append(SpikePart(self.step, counts, step, unit))

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
        listed[:, order] = self._to_host(self.state.weight[: self.program.batch, first : first + table.n_synapses])
        return listed

    def _state_arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {name: self._to_host(array) for name, array in self.state._asdict().items()}
        return arrays | {"recorded_spikes": list(self.recorded_spikes), "recorded_states": list(self.recorded_states)}

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self.state = k.State(**{name: self._from_host(arrays[name]) for name in k.State._fields})
        self.recorded_spikes, self.recorded_states = list(arrays["recorded_spikes"]), list(arrays["recorded_states"])
