"""What a run yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuromem.ir.program import Program


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes, recorded states and final weights of a run.

    ``replica``, ``step``, ``unit`` are the spikes of the recorded populations, sorted in that
    order. ``states[population, variable]`` has shape (B, n_steps, size), at the end of each step.
    ``weights[projection]`` has shape (B, n_synapses), in the order of the projection's table.
    ``n_steps`` is the number of steps that were run: fewer than the program's if interrupted.
    """

    program: Program
    n_steps: int
    replica: np.ndarray
    step: np.ndarray
    unit: np.ndarray
    states: Mapping[tuple[str, str], np.ndarray]
    weights: Mapping[str, np.ndarray]

    @property
    def complete(self) -> bool:
        """Whether the whole schedule was run."""
        return self.n_steps == self.program.n_steps

    def spikes_of(self, population: str, replica: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (step, unit) of one population's spikes, units counted within the population."""
        table = self.program.population(population)
        keep = (self.unit >= table.first) & (self.unit < table.first + table.size) & (self.replica == replica)
        return self.step[keep], self.unit[keep] - table.first
