"""Run many short protocols of one memory as the replicas of a few batches, and score every operation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuromem.backends import Backend
from neuromem.ir import Recording, lower_memory, plan, stack
from neuromem.ir.lower import source_schedule
from neuromem.ir.operations import PlannedOperation, events_of
from neuromem.patterns import Pattern
from neuromem.spec import MemoryModel, Protocol


@dataclass(frozen=True)
class Answered:
    """An operation with what an ideal memory answers (``expected``) and what the network answered, by role."""

    planned: PlannedOperation
    expected: dict[str, Pattern]
    answer: dict[str, Pattern]

    @property
    def name(self) -> str:
        """``store``, ``overwrite``, ``recall_by_cue`` or ``recall_by_content``."""
        return self.planned.gap_name

    @property
    def correct(self) -> bool:
        """Whether the answer is the expected one, unit by unit."""
        return self.answer == self.expected

    @property
    def extra(self) -> int:
        """Number of units that answered and should not have."""
        return sum(len(set(self.answer[role]) - set(self.expected[role])) for role in self.answer)

    @property
    def missing(self) -> int:
        """Number of units that should have answered and did not."""
        return sum(len(set(self.expected[role]) - set(self.answer[role])) for role in self.answer)


def score(memory: MemoryModel, planned: Sequence[PlannedOperation], step: np.ndarray, unit: np.ndarray, first: dict[str, int]) -> tuple[Answered, ...]:
    """Return the operations with their answers, from the spikes (step, unit) of one replica.

    ``first`` is the number of the first unit of each readout population.
    """
    fired: dict[int, list[int]] = {}
    for s, u in zip(step.tolist(), unit.tolist(), strict=True):
        fired.setdefault(s, []).append(u)
    found = []
    for p in planned:
        answer = {}
        for name in p.form.answers:
            readout = memory.role(name).readout
            start = first[readout.population] + readout.start
            spikes = fired.get(p.operation.at + p.form.answer_at, [])
            answer[name] = tuple(sorted(u - start for u in spikes if start <= u < start + readout.size))
        found.append(Answered(p, {name: p.expected[name] for name in p.form.answers}, answer))
    return tuple(found)


def run_one(memory: MemoryModel, protocol: Protocol, backend: Backend) -> tuple[Recording, tuple[Answered, ...]]:
    """Run one protocol; return its recording and its scored operations."""
    recording = backend.build(lower_memory(memory, protocol)).run()
    first = {p.name: p.first for p in recording.program.populations}
    return recording, score(memory, plan(memory, protocol), recording.step, recording.unit, first)


def run_trials(memory: MemoryModel, protocols: Sequence[Protocol], backend: Backend, batch: int = 512) -> Iterator[tuple[Answered, ...]]:
    """Yield the scored operations of each protocol, in order; all protocols must have the same ``n_steps``.

    The network is lowered once: the replicas differ in their input spikes only.
    """
    if not protocols:
        return
    probes = tuple(p for p in memory.network.probes if p.population in {r.readout.population for r in memory.roles})
    quiet = dataclasses.replace(memory, network=dataclasses.replace(memory.network, probes=probes))
    base = lower_memory(quiet, protocols[0])
    first = {p.name: p.first for p in base.populations}
    for start in range(0, len(protocols), batch):
        plans = [plan(memory, p) for p in protocols[start : start + batch]]
        schedules = []
        for planned in plans:
            events = [event for p in planned for event in events_of(memory, p)]
            step = np.array([s for s, _, _ in events], dtype=np.int64)
            unit = np.array([first[name] + u for _, name, u in events], dtype=np.int64)
            schedules.append(source_schedule(base.n_steps, step, unit, base.schedule.plastic))
        recording = backend.build(stack(base.with_schedule(s) for s in schedules)).run()
        edges = np.searchsorted(recording.replica, np.arange(len(plans) + 1))
        for planned, low, high in zip(plans, edges[:-1], edges[1:], strict=True):
            yield score(memory, planned, recording.step[low:high], recording.unit[low:high], first)
