"""Run many short protocols of one memory as the replicas of a few batches, and tell the outcome of every operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from neuromem.backends import Backend
from neuromem.ir import Recording, lower_memory, plan, stack
from neuromem.ir.lower import source_schedule
from neuromem.ir.operations import events_of
from neuromem.runs.outcomes import Outcome, decode, outcomes, readouts
from neuromem.spec import MemoryModel, Protocol

Count = dict[str, int]
"""``wrong`` recalls ``of`` all; and the units that should have answered, those of them that did not, and those that should not have."""


def run_one(memory: MemoryModel, protocol: Protocol, backend: Backend) -> tuple[Recording, tuple[Outcome, ...]]:
    """Run one protocol; return its recording and the outcomes of its operations."""
    recording = backend.build(lower_memory(memory, protocol)).run()
    return recording, outcomes(memory, protocol, recording)


def run_trials(memory: MemoryModel, protocols: Sequence[Protocol], backend: Backend, batch: int = 512) -> Iterator[tuple[Outcome, ...]]:
    """Yield the outcomes of each protocol, in order; all protocols must have the same ``n_steps``.

    The network is lowered once, with probes at its readouts only: the replicas differ in their
    input spikes alone. A backend without batches runs one replica at a time.
    """
    batch = batch if backend.support.has("batch") else 1
    read = {role.readout.population for role in memory.roles}
    quiet = replace(memory, network=replace(memory.network, probes=tuple(p for p in memory.network.probes if p.population in read)))
    base = lower_memory(quiet, protocols[0])
    ends = readouts(quiet, base)
    first = {p.name: p.first for p in base.populations}
    for start in range(0, len(protocols), batch):
        plans = [plan(quiet, p) for p in protocols[start : start + batch]]
        schedules = []
        for planned in plans:
            events = [event for p in planned for event in events_of(quiet, p)]
            step = np.array([s for s, _, _ in events], dtype=np.int64)
            unit = np.array([first[name] + u for _, name, u in events], dtype=np.int64)
            schedules.append(source_schedule(base.n_steps, step, unit, base.schedule.plastic))
        recording = backend.build(stack(base.with_schedule(s) for s in schedules)).run()
        edges = np.searchsorted(recording.replica, np.arange(len(plans) + 1))
        for planned, low, high in zip(plans, edges[:-1], edges[1:], strict=True):
            yield tuple(decode(p, ends, recording.step[low:high], recording.unit[low:high]) for p in planned)


def count_recalls(runs: Iterable[tuple[Outcome, ...]]) -> dict[str, Count]:
    """Return how many recalls were wrong, by ``cue`` and by ``content``."""
    counts = {side: dict.fromkeys(("wrong", "of", "expected_units", "missing_units", "extra_units"), 0) for side in ("cue", "content")}
    for run in runs:
        for outcome in run:
            if outcome.form.kind == "recall":
                count = counts["cue" if outcome.form.given == ("cue",) else "content"]
                count["wrong"] += not outcome.correct
                count["of"] += 1
                for role, answer in outcome.answer.items():
                    expected = set(outcome.expected[role])
                    count["expected_units"] += len(expected)
                    count["missing_units"] += len(expected - set(answer))
                    count["extra_units"] += len(set(answer) - expected)
    return counts
