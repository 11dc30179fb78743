"""The reference backend: plain NumPy, slow, readable. It is the definition of every op."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from neuromem.backends.base import Backend, Simulation, Support
from neuromem.ir.ops import Op
from neuromem.ir.program import NEVER, Program, ProjectionTable, Schedule, decay_table
from neuromem.spec.plasticity import MultiplicativeWeightDependence

EXC, INH = 0, 1


class Synapses:
    """Synapses of some projections in the order in which their spikes are added: by pre unit, then as listed."""

    def __init__(self, tables: tuple[ProjectionTable, ...], n_sources: int, batch: int) -> None:
        order = np.argsort(np.concatenate([t.pre for t in tables]), kind="stable")
        self.pre = np.concatenate([t.pre for t in tables])[order]
        self.post = np.concatenate([t.post for t in tables])[order] - n_sources
        self.delay = np.concatenate([t.delay for t in tables])[order]
        self.receptor = np.concatenate([np.full(t.n_synapses, INH if t.receptor == "inhibitory" else EXC) for t in tables])[order]
        self.weight = np.concatenate([np.broadcast_to(t.weight, (batch, t.n_synapses)) for t in tables], axis=1)[:, order]
        self.order = order


class PlasticSynapses(Synapses):
    """The synapses of one plastic projection with their traces, one of each for every synapse.

    ``x_pre`` is the trace just after the last pre spike, at step ``t_pre``; ``x_post`` that just
    after the last post arrival, at step ``t_post``. ``pending`` (deferred, all events
    remembered) is the weight with the arrivals since the last pre spike. ``past_step`` and
    ``past_trace`` (limited history), of shape (B, n_post, post_history), are the last spikes of
    each post cell, newest last, with the trace just after each.
    """

    def __init__(self, table: ProjectionTable, n_sources: int, batch: int, dt: float) -> None:
        super().__init__((table,), n_sources, batch)
        rule = table.plasticity
        assert rule is not None
        self.rule, self.weights, self.timing = rule, rule.weight_dependence, rule.timing
        self.multiplicative = isinstance(rule.weight_dependence, MultiplicativeWeightDependence)
        self.decay_plus, self.decay_minus = decay_table(rule.timing.tau_plus, dt), decay_table(rule.timing.tau_minus, dt)
        shape = self.weight.shape
        self.x_pre, self.t_pre = np.zeros(shape), np.full(shape, NEVER)
        self.x_post, self.t_post = np.zeros(shape), np.full(shape, NEVER)
        self.pending = self.weight.copy()
        self.local_post = table.post[self.order] - table.post_first
        self.post_units = np.arange(table.post_first, table.post_first + table.n_post)
        self.past_step = np.full((batch, table.n_post, rule.post_history or 0), NEVER)
        self.past_trace = np.zeros(self.past_step.shape)

    def potentiated(self, weight: np.ndarray, trace: np.ndarray) -> np.ndarray:
        """Return the weights after a post arrival that meets the pre trace."""
        a = self.timing.A_plus * (self.weights.w_max - weight) if self.multiplicative else self.timing.A_plus
        return np.clip(weight + a * trace, self.weights.w_min, self.weights.w_max)

    def depressed(self, weight: np.ndarray, trace: np.ndarray) -> np.ndarray:
        """Return the weights after a pre spike that meets the post trace."""
        a = self.timing.A_minus * (weight - self.weights.w_min) if self.multiplicative else self.timing.A_minus
        return np.clip(weight - a * trace, self.weights.w_min, self.weights.w_max)


def decayed(table: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return what is left of a trace after ``steps`` steps."""
    left: np.ndarray = table[np.minimum(steps, table.size - 1)]
    return left


class ReferenceSimulation(Simulation):
    """The state of a network, and one method for each op, called in the order of ``program.ops``."""

    backend: ClassVar[str] = "reference"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        batch, n, self.n_sources = program.batch, program.cells.n, program.n_sources
        self.coefficients = program.coefficients
        wide = (batch, n)
        self.v = np.array(np.broadcast_to(program.cells.initial["v"], wide))
        self.isyn_exc = np.array(np.broadcast_to(program.cells.initial["isyn_exc"], wide))
        self.isyn_inh = np.array(np.broadcast_to(program.cells.initial["isyn_inh"], wide))
        self.refractory_until = np.full(wide, NEVER)
        self.n_slots = program.max_delay
        self.arriving = np.zeros((self.n_slots, 2, batch, n))
        self.history = np.zeros((program.max_delay + 1, batch, program.n_units), dtype=bool)  # slot: step modulo its length
        self.static = Synapses(program.static, self.n_sources, batch) if program.static else None
        self.plastic = {p.name: PlasticSynapses(p, self.n_sources, batch, program.dt) for p in program.plastic}
        self.recorded_spikes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.recorded_states: dict[tuple[str, str], list[np.ndarray]] = {
            (p.population, p.variable): [] for p in program.probes if p.variable != "spikes"
        }

    def advance(self, schedule: Schedule) -> None:
        """See ``Simulation.advance``."""
        execute: dict[str, Callable[[Op], None]] = {
            "emit_sources": self._emit_sources,
            "deliver": self._deliver,
            "integrate": self._integrate,
            "threshold": self._threshold,
            "reset": self._reset,
            "learn": self._learn,
            "send": self._send,
            "record": self._record,
        }
        self.schedule, self.start = schedule, self.step
        for _ in range(schedule.n_steps):
            self.spiked = np.zeros((self.program.batch, self.program.n_units), dtype=bool)
            for op in self.program.ops:
                execute[op.name](op)
            self.step += 1

    def _emit_sources(self, op: Op) -> None:
        due = self.schedule.step == self.step - self.start
        self.spiked[self.schedule.replica[due], self.schedule.unit[due]] = True
        self.history[self.step % len(self.history)] = self.spiked

    def _deliver(self, op: Op) -> None:
        slot = self.step % self.n_slots
        self.isyn_exc += self.coefficients.scale_exc * self.arriving[slot, EXC]
        self.isyn_inh += self.coefficients.scale_inh * self.arriving[slot, INH]
        self.arriving[slot] = 0.0

    def _integrate(self, op: Op) -> None:
        c = self.coefficients
        moved = c.v_rest + c.keep * (self.v - c.v_rest) + c.gain_exc * self.isyn_exc - c.gain_inh * self.isyn_inh + c.drift
        self.v = np.where(self.refractory_until < self.step, moved, self.v)
        self.isyn_exc *= c.decay_exc
        self.isyn_inh *= c.decay_inh

    def _threshold(self, op: Op) -> None:
        self.spiked[:, self.n_sources :] = self.v >= self.coefficients.v_thresh
        self.history[self.step % len(self.history)] = self.spiked

    def _reset(self, op: Op) -> None:
        fired = self.spiked[:, self.n_sources :]
        self.v = np.where(fired, self.coefficients.v_reset, self.v)
        self.refractory_until = np.where(fired, self.step + self.coefficients.refractory, self.refractory_until)

    def _learn(self, op: Op) -> None:
        s = self.plastic[op.target]
        on = bool(self.schedule.plastic[self.step - self.start])
        if s.rule.post_history is not None:
            self._remember_post(s)
            self._learn_from_history(s, on)
        else:
            self._learn_by_event(s, on)
        pre = self.spiked[:, s.pre]
        s.x_pre = np.where(pre, s.x_pre * decayed(s.decay_plus, self.step - s.t_pre) + 1.0, s.x_pre)
        s.t_pre = np.where(pre, self.step, s.t_pre)

    def _learn_by_event(self, s: PlasticSynapses, on: bool) -> None:
        deferred = s.rule.discipline == "deferred"
        weight = s.pending if deferred else s.weight
        arrives = self.history[(self.step - s.delay) % len(self.history), :, s.post + self.n_sources].T & (s.delay <= self.step)
        if on or deferred:
            weight = np.where(arrives, s.potentiated(weight, s.x_pre * decayed(s.decay_plus, self.step - s.t_pre)), weight)
        s.x_post = np.where(arrives, s.x_post * decayed(s.decay_minus, self.step - s.t_post) + 1.0, s.x_post)
        s.t_post = np.where(arrives, self.step, s.t_post)
        pre = self.spiked[:, s.pre]
        depressed = s.depressed(weight, s.x_post * decayed(s.decay_minus, self.step - s.t_post))
        if deferred:
            s.weight = np.where(pre, depressed, s.weight) if on else s.weight
            s.pending = np.where(pre, s.weight, weight)
        else:
            s.weight = np.where(pre, depressed, weight) if on else weight

    def _remember_post(self, s: PlasticSynapses) -> None:
        fired = self.spiked[:, s.post_units]
        trace = s.past_trace[:, :, -1] * decayed(s.decay_minus, self.step - s.past_step[:, :, -1]) + 1.0
        for past, newest in ((s.past_step, np.full(fired.shape, self.step)), (s.past_trace, trace)):
            shifted = np.concatenate([past[:, :, 1:], newest[:, :, None]], axis=2)
            past[:] = np.where(fired[:, :, None], shifted, past)

    def _learn_from_history(self, s: PlasticSynapses, on: bool) -> None:
        if not on:
            return
        for b, k in zip(*np.nonzero(self.spiked[:, s.pre]), strict=True):
            weight, depression = s.weight[b, k], None
            for past, trace in zip(s.past_step[b, s.local_post[k]], s.past_trace[b, s.local_post[k]], strict=True):
                arrival = past + s.delay[k]
                if past == NEVER or arrival > self.step:
                    continue
                if s.t_pre[b, k] != NEVER and arrival > s.t_pre[b, k]:
                    weight = s.potentiated(weight, s.x_pre[b, k] * decayed(s.decay_plus, arrival - s.t_pre[b, k]))
                depression = trace * decayed(s.decay_minus, self.step - arrival)
            s.weight[b, k] = weight if depression is None else s.depressed(weight, depression)

    def _send(self, op: Op) -> None:
        s = self.static if op.target == "static" else self.plastic[op.target]
        assert s is not None
        for b in range(self.program.batch):
            k = np.flatnonzero(self.spiked[b, s.pre])
            place: Any = ((self.step + s.delay[k]) % self.n_slots, s.receptor[k], b, s.post[k])
            np.add.at(self.arriving, place, s.weight[b, k])

    def _record(self, op: Op) -> None:
        name, _, variable = op.target.rpartition(".")
        table = self.program.population(name)
        if variable == "spikes":
            replica, unit = np.nonzero(self.spiked[:, table.first : table.first + table.size])
            self.recorded_spikes.append((replica, np.full(replica.size, self.step), unit + table.first))
        else:
            first = table.first - self.n_sources
            self.recorded_states[name, variable].append(getattr(self, variable)[:, first : first + table.size].copy())

    def spikes(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Simulation.spikes``."""
        empty = np.empty(0, np.int64)
        replica, step, unit = (
            (np.concatenate([empty, *column]) for column in zip(*self.recorded_spikes, strict=True))
            if self.recorded_spikes
            else (empty,) * 3
        )
        order = np.lexsort((unit, step, replica))
        order = order[step[order] >= since]
        return replica[order], step[order], unit[order]

    def states(self) -> dict[tuple[str, str], np.ndarray]:
        """See ``Simulation.states``."""
        shape = {(p.population, p.variable): (self.program.batch, 0, p.size) for p in self.program.probes}
        return {key: np.stack(rows, axis=1) if rows else np.empty(shape[key]) for key, rows in self.recorded_states.items()}

    def weights(self, projection: str) -> np.ndarray:
        """See ``Simulation.weights``."""
        if projection in self.plastic:
            s = self.plastic[projection]
            listed = np.empty_like(s.weight)
            listed[:, s.order] = s.weight
            return listed
        table = next(p for p in self.program.projections if p.name == projection)
        return np.array(np.broadcast_to(table.weight, (self.program.batch, table.n_synapses)))

    _STATE = ("v", "isyn_exc", "isyn_inh", "refractory_until", "arriving", "history", "plastic", "recorded_spikes", "recorded_states")

    def _state_arrays(self) -> dict[str, Any]:
        return {name: copy.deepcopy(getattr(self, name)) for name in self._STATE}

    def _load_arrays(self, arrays: Mapping[str, Any]) -> None:
        for name in self._STATE:
            setattr(self, name, copy.deepcopy(arrays[name]))


class ReferenceBackend(Backend):
    """The definition: supports everything."""

    name: ClassVar[str] = "reference"
    support = Support()

    def _build(self, program: Program) -> Simulation:
        return ReferenceSimulation(program)

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        return {"numpy": np.__version__}
