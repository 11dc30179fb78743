"""Energy and latency of the operations of a run: events are counted, prices are others' measurements; so these are estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from neuromem.backends import Backend
from neuromem.experiments.board_readiness.costs import COSTS, BoardCosts
from neuromem.experiments.trials import run_one
from neuromem.ir import Recording
from neuromem.ir.program import Program
from neuromem.runs.outcomes import Outcome
from neuromem.spec import MemoryModel, Protocol


@dataclass(frozen=True)
class Events:
    """What happened in a stretch of ``steps``: synaptic events of rows with one synapse, of longer rows, and of plastic ones."""

    steps: float
    input_spikes: float
    spikes: float
    single: float
    dense: float
    plastic: float

    @property
    def synaptic(self) -> float:
        """All synaptic events."""
        return self.single + self.dense + self.plastic


def fan_out(program: Program) -> np.ndarray:
    """Return for each unit how many synaptic events its spike causes: single, dense and plastic, shape (3, n_units)."""
    out = np.zeros((3, program.n_units), np.int64)
    for p in program.projections:
        n = np.bincount(p.pre, minlength=program.n_units)
        if p.plasticity is not None:
            out[2] += n
        else:
            out[0] += np.where(n == 1, 1, 0)
            out[1] += np.where(n > 1, n, 0)
    return out


def events_between(recording: Recording, out: np.ndarray, first: int, stop: int) -> Events:
    """Return the events of the steps ``first <= step < stop``; every population must be recorded."""
    low, high = np.searchsorted(recording.step, (first, stop))
    unit = recording.unit[low:high]
    caused = out[:, unit].sum(axis=1)
    inputs = int((unit < recording.program.n_sources).sum())
    return Events(stop - first, inputs, unit.size - inputs, *(int(n) for n in caused))


def mean(events: Sequence[Events]) -> Events:
    """Return the mean of each count."""
    rows = [tuple(asdict(e).values()) for e in events]
    return Events(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def energy(events: Events, n_cells: int, dt: float, costs: BoardCosts) -> dict[str, float]:
    """Return estimates in joules: the idle board, its cells' updates, and all events together with the deviation that the prices have.

    ``board = P_idle T``, ``cells = n P_cell T``, ``events = sum of counts times prices``; the deviation adds those of the prices
    in squares, as if they were independent. ``board_other`` is with the other source's idle power.
    """
    seconds = events.steps * dt / 1000
    terms = [(getattr(events, count), getattr(costs, price)) for count, price in PRICED]
    return {
        "board": costs.idle.value * seconds,
        "board_other": costs.idle_other.value * seconds,
        "cells": n_cells * costs.cell.value * seconds,
        "events": sum(n * cost.value for n, cost in terms),
        "events_deviation": math.sqrt(sum((n * cost.deviation) ** 2 for n, cost in terms)),
    }


PRICED = (("input_spikes", "input_spike"), ("spikes", "spike"), ("single", "single"), ("dense", "dense"), ("plastic", "plastic"))


def per_operation(memory: MemoryModel, protocol: Protocol, backend: Backend) -> dict[str, dict[str, object]]:
    """Run a protocol; return for each kind of operation the mean of its events, estimates of its energy by board, and its latency.

    An operation lasts until the next one begins. Overwrites count as stores.
    """
    recording, outcomes = run_one(memory, protocol, backend)
    out = fan_out(recording.program)
    starts = [o.at for o in protocol.operations]
    last = starts[-1] + (starts[-1] - starts[-2])
    found: dict[str, list[tuple[Outcome, Events]]] = {}
    for outcome, first, stop in zip(outcomes, starts, [*starts[1:], last], strict=True):
        found.setdefault(outcome.form.name, []).append((outcome, events_between(recording, out, first, stop)))
    table: dict[str, dict[str, object]] = {}
    for name, pairs in found.items():
        events = mean([e for _, e in pairs])
        latencies = [o.latency for o, _ in pairs if o.latency is not None]
        table[name] = {
            "operations": len(pairs),
            "events_per_operation": asdict(events),
            "joules": {board: energy(events, recording.program.cells.n, memory.dt, costs) for board, costs in COSTS.items()},
            "first_spike_at": sorted(set(latencies)),
            "answer_at": pairs[0][0].form.answer_at,
        }
    return table
