"""The contract is not vacuous: for each wrong engine, the scenarios named beside it notice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from catalogue import SCENARIOS
from scenario import Part, Scenario, program_of

from neuromem.backends.reference import INH, PlasticSynapses, ReferenceSimulation
from neuromem.ir import Program
from neuromem.ir.ops import Op

BY_NAME = {s.name: s for s in SCENARIOS}


def fails(scenario: Scenario, wrong: Callable[[Program], ReferenceSimulation]) -> bool:
    """Tell whether a scenario fails on a wrong engine."""
    recording = wrong(program_of(scenario.group, [scenario])).run()
    try:
        scenario.check(Part(scenario, recording))
    except AssertionError:
        return True
    return False


class SendsBeforeLearning(ReferenceSimulation):
    """Sends the weight from before the pre spike."""

    def __init__(self, program: Program) -> None:
        order = sorted(program.ops, key=lambda op: {"learn": 1, "send": 0}.get(op.name, 2 if op.phase == "record" else -1))
        super().__init__(replace(program, ops=tuple(order)))


class DelayOffByOne(ReferenceSimulation):
    """Every spike arrives one step late."""

    def __init__(self, program: Program) -> None:
        super().__init__(replace(program, projections=tuple(replace(p, delay=p.delay + 1) for p in program.projections)))


class OneDelayForAll(ReferenceSimulation):
    """Takes the first delay of a projection for all of its synapses."""

    def __init__(self, program: Program) -> None:
        first = tuple(replace(p, delay=np.full_like(p.delay, p.delay[0])) for p in program.projections)
        super().__init__(replace(program, projections=first))


class OneSpikeInFlight(ReferenceSimulation):
    """A spike overwrites what is already on its way to the same step."""

    def _send(self, op: Op) -> None:
        s = self.static if op.target == "static" else self.plastic[op.target]
        assert s is not None
        for b in range(self.program.batch):
            k = np.flatnonzero(self.spiked[b, s.pre])
            self.arriving[(self.step + s.delay[k]) % self.n_slots, s.receptor[k], b, s.post[k]] = s.weight[b, k]


class ResetClearsCurrent(ReferenceSimulation):
    """An input in the step of a spike is lost."""

    def _reset(self, op: Op) -> None:
        super()._reset(op)
        self.isyn_exc = np.where(self.spiked[:, self.n_sources :], 0.0, self.isyn_exc)


class DeliversAfterIntegrating(ReferenceSimulation):
    """What arrives acts one step late."""

    def __init__(self, program: Program) -> None:
        order = {"deliver": 2, "integrate": 1}
        head = [op for op in program.ops if op.phase == "stimulus"]
        swapped = sorted((op for op in program.ops if op.phase in order), key=lambda op: order[op.phase])
        tail = [op for op in program.ops if op.phase not in order and op.phase != "stimulus"]
        super().__init__(replace(program, ops=(*head, *swapped, *tail)))


class RefractoryTooLong(ReferenceSimulation):
    """One step more of silence."""

    def _reset(self, op: Op) -> None:
        super()._reset(op)
        self.refractory_until = np.where(self.spiked[:, self.n_sources :], self.refractory_until + 1, self.refractory_until)


class RefractoryRoundsDown(ReferenceSimulation):
    """floor instead of ceil."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        steps = np.floor(program.cells.parameters["tau_refrac"] / program.dt).astype(np.int64)
        self.coefficients = replace(self.coefficients, refractory=steps)


class CurrentsFreeze(ReferenceSimulation):
    """Refractory cells do not decay their currents."""

    def _integrate(self, op: Op) -> None:
        frozen = self.refractory_until >= self.step
        exc, inh = self.isyn_exc.copy(), self.isyn_inh.copy()
        super()._integrate(op)
        self.isyn_exc, self.isyn_inh = np.where(frozen, exc, self.isyn_exc), np.where(frozen, inh, self.isyn_inh)


class OneIntegrator(ReferenceSimulation):
    """Uses the other integrator for every cell."""

    def __init__(self, program: Program) -> None:
        super().__init__(replace(program, cells=replace(program.cells, spinnaker=~program.cells.spinnaker)))


class ReceptorsMixed(ReferenceSimulation):
    """Inhibition excites."""

    def _deliver(self, op: Op) -> None:
        slot = self.step % self.n_slots
        self.arriving[slot, 0] += self.arriving[slot, INH]
        self.arriving[slot, INH] = 0.0
        super()._deliver(op)


class FirstCellForAll(ReferenceSimulation):
    """Takes the parameters of a population's first cell for all of them."""

    def __init__(self, program: Program) -> None:
        first = np.concatenate([np.full(p.size, p.first - program.n_sources) for p in program.populations if not p.is_source])
        parameters = {name: values[:, first] for name, values in program.cells.parameters.items()}
        super().__init__(replace(program, cells=replace(program.cells, parameters=parameters)))


class TransposedConnections(ReferenceSimulation):
    """Reads square connections the wrong way round."""

    def __init__(self, program: Program) -> None:
        def turned(p):  # type: ignore[no-untyped-def]
            if p.n_pre != p.n_post:
                return p
            return replace(p, pre=p.post - p.post_first + p.pre_first, post=p.pre - p.pre_first + p.post_first)

        super().__init__(replace(program, projections=tuple(turned(p) for p in program.projections)))


class LosesLastSource(ReferenceSimulation):
    """Emits at most one source spike in a step."""

    def _emit_sources(self, op: Op) -> None:
        super()._emit_sources(op)
        fired = np.flatnonzero(self.spiked[0])
        self.spiked[0, fired[1:]] = False


class Learning(ReferenceSimulation):
    """Base: changes how the plastic synapses of a program are made."""

    def change(self, s: PlasticSynapses) -> None:
        """Change one projection's synapses in place."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        for s in self.plastic.values():
            self.change(s)


class NoClip(Learning):
    """Weights leave their range."""

    def change(self, s: PlasticSynapses) -> None:
        s.weights = replace(s.weights, w_min=-0.0)
        s.potentiated = lambda w, x: w + s.timing.A_plus * x * ((s.weights.w_max - w) if s.multiplicative else 1.0)  # type: ignore[method-assign]


class OnlyAdditive(Learning):
    """Takes the multiplicative rule for the additive one."""

    def change(self, s: PlasticSynapses) -> None:
        s.multiplicative = False


class SinglePrecisionDecay(Learning):
    """Looks decays up in single precision."""

    def change(self, s: PlasticSynapses) -> None:
        s.decay_plus, s.decay_minus = (t.astype(np.float32).astype(np.float64) for t in (s.decay_plus, s.decay_minus))


class SwappedTimeConstants(Learning):
    """tau_plus for tau_minus."""

    def change(self, s: PlasticSynapses) -> None:
        s.decay_plus, s.decay_minus = s.decay_minus, s.decay_plus


class AxonalDelay(Learning):
    """Forgets that the delay is dendritic: post spikes reach the synapse after one step."""

    def change(self, s: PlasticSynapses) -> None:
        self.true_delay = getattr(self, "true_delay", {}) | {id(s): s.delay}
        s.delay = np.ones_like(s.delay)

    def _send(self, op: Op) -> None:
        s = self.static if op.target == "static" else self.plastic[op.target]
        assert s is not None
        here = s.delay
        s.delay = self.true_delay.get(id(s), here)
        super()._send(op)
        s.delay = here


class DepressesFirst(ReferenceSimulation):
    """Pre spikes before post arrivals of the same step."""

    def _learn_by_event(self, s: PlasticSynapses, on: bool) -> None:
        pre = self.spiked[:, s.pre]
        weight = s.pending if s.rule.discipline == "deferred" else s.weight
        trace = s.x_post * s.decay_minus[np.minimum(self.step - s.t_post, s.decay_minus.size - 1)]
        changed = np.where(pre, s.depressed(weight, trace), weight)
        spiked, self.spiked = self.spiked, np.zeros_like(self.spiked)
        s.pending = s.weight = changed
        super()._learn_by_event(s, on)
        self.spiked = spiked


class PotentiatesAtZero(ReferenceSimulation):
    """Counts the pre spike before the post arrival of the same step."""

    def _learn_by_event(self, s: PlasticSynapses, on: bool) -> None:
        pre = self.spiked[:, s.pre]
        decay = s.decay_plus[np.minimum(self.step - s.t_pre, s.decay_plus.size - 1)]
        x, t = s.x_pre, s.t_pre
        s.x_pre, s.t_pre = np.where(pre, x * decay + 1.0, x), np.where(pre, self.step, t)
        super()._learn_by_event(s, on)
        s.x_pre, s.t_pre = x, t


class NearestNeighbour(ReferenceSimulation):
    """Traces are set to 1 by a spike instead of raised by 1."""

    def _learn(self, op: Op) -> None:
        super()._learn(op)
        s = self.plastic[op.target]
        s.x_pre, s.x_post = np.minimum(s.x_pre, 1.0), np.minimum(s.x_post, 1.0)


class ImmediateForDeferred(ReferenceSimulation):
    """Stores every change at once."""

    def weights(self, projection: str) -> np.ndarray:
        s = self.plastic.get(projection)
        if s is not None and s.rule.discipline == "deferred":
            s.weight = s.pending
        return super().weights(projection)


class AlwaysPlastic(ReferenceSimulation):
    """Ignores the switch."""

    def _learn(self, op: Op) -> None:
        step = self.step - self.start
        self.schedule.plastic[step] = 1
        super()._learn(op)


class SwitchAtArrival(ReferenceSimulation):
    """Deferred, but judging the switch when a post spike arrives, as if immediate."""

    def _learn_by_event(self, s: PlasticSynapses, on: bool) -> None:
        pending = s.pending
        super()._learn_by_event(s, on)
        if not on:
            s.pending = np.where(self.spiked[:, s.pre], s.pending, pending)


class TracesStop(ReferenceSimulation):
    """Traces do not go on while plasticity is off."""

    def _learn(self, op: Op) -> None:
        if self.schedule.plastic[self.step - self.start]:
            super()._learn(op)


class UnlimitedHistory(ReferenceSimulation):
    """Ignores post_history."""

    def __init__(self, program: Program) -> None:
        def longer(p):  # type: ignore[no-untyped-def]
            return replace(p, plasticity=replace(p.plasticity, post_history=64)) if p.plasticity and p.plasticity.post_history else p

        super().__init__(replace(program, projections=tuple(longer(p) for p in program.projections)))


class HistoryOneMore(ReferenceSimulation):
    """Remembers one post spike more than asked."""

    def __init__(self, program: Program) -> None:
        def longer(p):  # type: ignore[no-untyped-def]
            limit = p.plasticity.post_history if p.plasticity else None
            return replace(p, plasticity=replace(p.plasticity, post_history=limit + 1)) if limit and limit < 64 else p

        super().__init__(replace(program, projections=tuple(longer(p) for p in program.projections)))


ADDITIVE = ("additive_immediate", "additive_deferred")
LEARNING = (*ADDITIVE, "multiplicative_immediate", "multiplicative_deferred")

MUTANTS: tuple[tuple[type[ReferenceSimulation], tuple[str, ...]], ...] = (
    (SendsBeforeLearning, ("same_step", *LEARNING, "history_15")),
    (DelayOffByOne, ("delays", "delays_tenth", "connectors", "window", "chain", "same_step")),
    (OneDelayForAll, ("delays", "delays_tenth", "drawn_synapses", "window")),
    (OneSpikeInFlight, ("delays", "psp_spinnaker")),
    (ResetClearsCurrent, ("reset_meets_input", "current_while_refractory")),
    (DeliversAfterIntegrating, ("reset_meets_input", "delays", "psp_exact", "psp_spinnaker")),
    (RefractoryTooLong, ("refractory_exact", "refractory_spinnaker", "refractory_tenth", "rates")),
    (RefractoryRoundsDown, ("refractory_exact", "refractory_spinnaker", "refractory_tenth")),
    (CurrentsFreeze, ("current_while_refractory", "reset_meets_input")),
    (OneIntegrator, ("psp_exact", "psp_exact_tenth", "psp_spinnaker", "psp_spinnaker_tenth", "smallest_weight")),
    (ReceptorsMixed, ("inhibition", "psp_exact", "psp_spinnaker", "additive_deferred")),
    (FirstCellForAll, ("each_its_own", "refractory_exact", "psp_exact", "rates")),
    (TransposedConnections, ("connectors", "chain")),
    (LosesLastSource, ("poisson", "reset_meets_input", "published")),
    (NoClip, ADDITIVE),
    (OnlyAdditive, ("multiplicative_immediate", "multiplicative_deferred", "history_1")),
    (SinglePrecisionDecay, ("window", *LEARNING, "history_15")),
    (SwappedTimeConstants, ("window", *LEARNING)),
    (AxonalDelay, ("window", *LEARNING)),
    (DepressesFirst, ("window", "same_step", "published")),
    (PotentiatesAtZero, ("window", "same_step", *ADDITIVE)),
    (NearestNeighbour, ("published", *LEARNING)),
    (ImmediateForDeferred, ("stale", "additive_deferred", "multiplicative_deferred")),
    (AlwaysPlastic, ("switched_immediate", "switched_deferred", "switched_history")),
    (SwitchAtArrival, ("switched_deferred",)),
    (TracesStop, ("switched_immediate", "switched_deferred", "switched_history")),
    (UnlimitedHistory, ("history_15", "history_1", "switched_history")),
    (HistoryOneMore, ("history_15", "history_1", "switched_history")),
)  # fmt: skip

PAIRS = [(wrong, BY_NAME[name]) for wrong, names in MUTANTS for name in names]


@pytest.mark.parametrize(("wrong", "scenario"), PAIRS, ids=[f"{w.__name__}-{s.name}" for w, s in PAIRS])
def test_scenario_notices(wrong: type[ReferenceSimulation], scenario: Scenario) -> None:
    assert fails(scenario, wrong)


def test_every_scenario_notices_some_mutant() -> None:
    """No scenario is there for decoration."""
    named = {scenario.name for _, scenario in PAIRS}
    assert named == set(BY_NAME)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=repr)
def test_right_engine_passes(scenario: Scenario) -> None:
    assert not fails(scenario, ReferenceSimulation)


def test_history_matters() -> None:
    """The burst of 17 post spikes is longer than a history of 15: the two rules differ on it."""
    weights = {}
    for name in ("additive_deferred", "history_15", "history_1"):
        scenario = BY_NAME[name]
        weights[name] = Part(scenario, ReferenceSimulation(program_of(scenario.group, [scenario])).run()).weights("plastic")
    assert not np.array_equal(weights["additive_deferred"], weights["history_15"])
    assert not np.array_equal(weights["history_15"], weights["history_1"])
    assert math.isfinite(weights["history_1"].sum())
