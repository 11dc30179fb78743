"""What a backend is: it says what it supports, and builds a Simulation from a Program."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from neuromem.backends.matrix import MatrixSimulation
from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir import memory_needed
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.ir.program import Program, Schedule
from neuromem.ir.recording import Recording

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) while a run goes on."""

# A run is cut into parts of about this long, so that progress shows and Ctrl-C is heard.
PART_SECONDS = 0.1


@dataclass(frozen=True)
class Refusal:
    """Why a backend does not do something.

    ``notimpl``: it could, and does not yet. ``notyet``: something under it must change first.
    ``never``: do not wait for it.
    """

    kind: Literal["notimpl", "notyet", "never"]
    reason: str


@dataclass(frozen=True)
class Support:
    """What a backend can do: everything but ``refused``, which maps a feature to the reason.

    Features: ``interactive`` (operations one at a time), ``save`` (save and restore in the
    middle of a run), ``batch``, ``matrix`` (memories without spikes), and those of programs, as ``features`` lists them.
    """

    refused: Mapping[str, Refusal] = field(default_factory=dict)

    def has(self, feature: str) -> bool:
        """Tell whether ``feature`` is supported."""
        return feature not in self.refused

    def require(self, feature: str, backend: str) -> None:
        """Raise ``UnsupportedError`` when ``feature`` is refused."""
        if feature in self.refused:
            refusal = self.refused[feature]
            word = {"notimpl": "does not do", "notyet": "cannot yet do", "never": "will not do"}[refusal.kind]
            raise UnsupportedError(f"backend {backend!r} {word} {feature!r}: {refusal.reason}")


def features(program: Program) -> frozenset[str]:
    """Return the features that a program needs of a backend."""
    found = {f"probe:{p.variable}" for p in program.probes}
    if program.cells.n:
        found |= {f"integrator:{'spinnaker' if s else 'exact'}" for s in np.unique(program.cells.spinnaker)}
    for p in program.plastic:
        assert p.plasticity is not None
        found |= {f"stdp:{p.plasticity.discipline}", f"stdp:{type(p.plasticity.weight_dependence).__name__}"}
        found |= {"stdp:post_history"} if p.plasticity.post_history is not None else set()
    found |= {"batch"} if program.batch > 1 else set()
    found |= {"plasticity_switch"} if program.plastic and not program.schedule.plastic.all() else set()
    return frozenset(found)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The whole state of a simulation between two steps; restore it into any simulation of the same network."""

    backend: str
    network_digest: str
    step: int
    arrays: Mapping[str, Any]


class Simulation(ABC):
    """A Program that runs. ``advance`` is what a backend must do; the rest builds on it.

    ``step`` is the number of steps done.
    """

    backend: ClassVar[str]

    def __init__(self, program: Program) -> None:
        self.program = program
        self.step = 0

    @abstractmethod
    def advance(self, schedule: Schedule) -> None:
        """Run ``schedule.n_steps`` more steps with the spikes of ``schedule``."""

    @abstractmethod
    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (replica, step, unit) of the recorded spikes from step ``since`` on, sorted in that order."""

    @abstractmethod
    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """Return the recorded states, each of shape (B, steps done, size)."""

    @abstractmethod
    def weights(self, projection: str) -> np.ndarray:
        """Return the weights of a projection as they are stored now, shape (B, n_synapses), in nA."""

    @abstractmethod
    def _state_arrays(self) -> dict[str, Any]:
        """Return copies of everything that changes, by name."""

    @abstractmethod
    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Put back what ``_state_arrays`` returned."""

    def run(self, progress: Progress | None = None) -> Recording:
        """Run what is left of the program's schedule and return the recording.

        A KeyboardInterrupt leaves the simulation between two steps: ``recording()`` then
        returns what was run.
        """
        total, size = self.program.n_steps, 64
        while self.step < total:
            began = time.perf_counter()
            stop = min(total, self.step + size)
            self.advance(self.program.schedule.part(self.step, stop))
            if progress is not None:
                progress(self.step, total)
            if time.perf_counter() - began < PART_SECONDS / 2:
                size *= 2
        return self.recording()

    def recording(self) -> Recording:
        """Return what was recorded so far."""
        replica, step, unit = self.spikes()
        weights = {p.name: self.weights(p.name) for p in self.program.projections}
        return Recording(self.program, self.step, replica, step, unit, self.states(), weights)

    def save(self) -> Checkpoint:
        """Return the state between two steps; recorded spikes and states are part of it."""
        return Checkpoint(self.backend, self.program.network_digest, self.step, self._state_arrays())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Return to a saved state, to the last bit."""
        if checkpoint.backend != self.backend:
            raise SpecError(f"restore: a checkpoint of backend {checkpoint.backend!r}; expected one of {self.backend!r}.")
        if checkpoint.network_digest != self.program.network_digest:
            raise SpecError(
                f"restore: a checkpoint of network {checkpoint.network_digest[:12]}; expected {self.program.network_digest[:12]}, the network of this simulation."
            )
        self._load_arrays(checkpoint.arrays)
        self.step = checkpoint.step


class Backend(ABC):
    """Builds simulations. Its heavy library is imported when an instance is made, and nowhere else."""

    name: ClassVar[str]
    support: Support

    def build(self, program: Program) -> Simulation:
        """Return a simulation of ``program``; raise ``UnsupportedError`` naming what is refused."""
        for feature in sorted(features(program)):
            self.support.require(feature, self.name)
        return self._build(program)

    @abstractmethod
    def _build(self, program: Program) -> Simulation:
        """Build without checks."""

    def build_matrix(self, program: MatrixProgram) -> MatrixSimulation:
        """Return a memory without spikes at work; raise ``UnsupportedError`` where the backend runs spikes only."""
        self.support.require("matrix", self.name)
        return MatrixSimulation(program, self.name, self.threads)

    threads: int = 1
    """How many threads share the work."""

    memory: str = "here"
    """Where tables lie, for messages."""

    def free_memory(self) -> int:
        """Return the bytes that tables can still be given."""
        return memory_needed.available_memory()

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the versions of what runs the program, by package name."""
