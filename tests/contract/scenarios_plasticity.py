"""Scenarios of STDP: each against sums over pairs of spikes, or against numbers derived by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from closed_forms import PairRule
from scenario import FIRES, TENTH, WHOLE, Group, Part, Scenario, relay, scenario, source, state_bound, stimulus, weight_bound

from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    MultiplicativeWeightDependence,
    OneToOneConnector,
    Projection,
    SpikePairRule,
    StaticSynapse,
)
from neuromem.spec.network import Receptor
from neuromem.spec.plasticity import Discipline

# Scenarios share rules where they can: an engine that compiles does it once for each rule.

# Pre spikes; and post spikes, several of them in flight on every delay above 1, 17 in a row among
# them. With delay d a post arrival p + d meets a pre spike in the same step for many d.
PRE = (3, 5, 8, 20, 21, 22, 40, 46, 75)
POST = (4, 6, 9, 12, 19, 21, 22, 23, 30, *range(41, 58), 60, 62, 76, 77)
DELAYS = np.arange(1, 21)


@dataclass(frozen=True)
class Rule:
    """A rule in both languages: the library's and the closed form's."""

    discipline: Discipline
    multiplicative: bool = False
    post_history: int | None = None
    tau_plus: float = 4.0
    tau_minus: float = 7.0
    a_plus: float = 0.2
    a_minus: float = 0.15
    w_min: float = 0.05
    w_max: float = 0.5

    def stdp(self, dt: float) -> STDP:
        """The rule as the library knows it; time constants in steps here, in ms there."""
        kind = MultiplicativeWeightDependence if self.multiplicative else AdditiveWeightDependence
        timing = SpikePairRule(self.tau_plus * dt, self.tau_minus * dt, self.a_plus, self.a_minus)
        return STDP(timing, kind(self.w_min, self.w_max), self.discipline, self.post_history)

    def pairs(self, group: Group) -> PairRule:
        return PairRule(
            tau_plus=self.tau_plus, tau_minus=self.tau_minus, a_plus=self.a_plus, a_minus=self.a_minus, w_min=self.w_min, w_max=self.w_max,
            multiplicative=self.multiplicative, deferred=self.discipline == "deferred", dt=1.0, post_history=self.post_history,
            on=group.plastic,
        )  # fmt: skip

    def bound(self, n_events: int) -> float:
        return weight_bound(n_events, self.w_max, max(self.a_plus, self.a_minus))


def learning(name: str, rule: Rule, receptor: Receptor, group: Group = WHOLE) -> Scenario:
    """Twenty synapses with delays of 1 to 20 steps, the same spikes at each: every weight sent, and the last one stored."""
    h, initial, n_steps = group.dt, 0.3, 110
    expected = [rule.pairs(group).weights(initial, PRE, POST, int(d)) for d in DELAYS]

    def check(part: Part) -> None:
        assert part.steps("pre") == list(PRE)
        assert all(part.steps("post", unit) == list(POST) for unit in range(20))
        bound = rule.bound(len(PRE) + len(POST))
        current = part.state("post", f"isyn_{receptor[:3]}")
        for k, (sent, stored) in enumerate(expected):
            assert abs(part.weights("plastic")[k] - stored) <= bound, (name, int(DELAYS[k]), part.weights("plastic")[k], stored)
            arriving = np.zeros(n_steps)
            arriving[np.array(PRE) + DELAYS[k]] = sent
            if receptor == "excitatory":
                arriving[np.array(POST)] += FIRES
            scale, decay = 0.3 * -math.expm1(-1 / 0.3), math.exp(-1 / 0.3)
            isyn = 0.0
            for step in range(n_steps):
                isyn = (isyn + scale * arriving[step]) * decay
                wrong = abs(current[step, k] - isyn)
                assert wrong <= state_bound(2 * FIRES, n_steps) + len(PRE) * bound, (name, int(DELAYS[k]), step, current[step, k], isyn)

    return scenario(
        name,
        group,
        (source("pre", 1), source("teacher", 1), relay("post", 20, group)),
        (
            Projection("teacher", "post", AllToAllConnector(), StaticSynapse(FIRES, h)),
            Projection("pre", "post", AllToAllConnector(), StaticSynapse(initial, DELAYS * h), receptor, rule.stdp(h), name="plastic"),
        ),
        (stimulus("pre", [(t * h, 0) for t in PRE]), stimulus("teacher", [((p - 1) * h, 0) for p in POST])),
        (("post", "isyn_exc" if receptor == "excitatory" else "isyn_inh"),),
        n_steps=n_steps,
        check=check,
    )


def window() -> Scenario:
    """One pair of spikes at each synapse, at intervals of -12 to 12 steps after delays of 1, 5 and 20: A exp(-|interval|/tau)."""
    rule = Rule("immediate")
    cases = [(interval, d) for d in (1, 5, 20) for interval in range(-12, 13)]
    at, n = 40, len(cases)

    def check(part: Part) -> None:
        changes = part.weights("plastic") - 0.25
        for (interval, d), change in zip(cases, changes.tolist(), strict=True):
            positive = interval > 0  # a post arrival in the step of the pre spike depresses, with its full trace
            want = rule.a_plus * math.exp(-interval / rule.tau_plus) if positive else -rule.a_minus * math.exp(interval / rule.tau_minus)
            assert abs(change - want) <= rule.bound(2), (interval, d, change, want)

    return scenario(
        "window",
        WHOLE,
        (source("pre", 1), source("teacher", n), relay("post", n)),
        (
            Projection("teacher", "post", OneToOneConnector(), StaticSynapse(FIRES, 1.0)),
            Projection(
                "pre",
                "post",
                AllToAllConnector(),
                StaticSynapse(0.25, np.array([d for _, d in cases])),
                plasticity=rule.stdp(1.0),
                name="plastic",
            ),
        ),
        (stimulus("pre", [(at, 0)]), stimulus("teacher", [(at + interval - d - 1, unit) for unit, (interval, d) in enumerate(cases)])),
        n_steps=80,
        check=check,
    )


def same_step() -> Scenario:
    """A post arrival and a pre spike in one step: depression by the full amplitude, no potentiation, and the new weight is sent."""
    rule = Rule("immediate")
    want = 0.3 - rule.a_minus

    def check(part: Part) -> None:
        assert part.steps("post") == [9]  # arrives at 10, in the step of the pre spike
        assert abs(part.weights("plastic")[0] - want) <= rule.bound(1)
        scale, decay = 0.3 * -math.expm1(-1 / 0.3), math.exp(-1 / 0.3)
        arrived = part.state("post", "isyn_inh")[11, 0]
        assert abs(arrived - want * scale * decay) <= state_bound(1.0, 1) + rule.bound(1)

    return scenario(
        "same_step",
        WHOLE,
        (source("pre", 1), source("teacher", 1), relay("post", 1)),
        (
            Projection("teacher", "post", OneToOneConnector(), StaticSynapse(FIRES, 1.0)),
            Projection("pre", "post", OneToOneConnector(), StaticSynapse(0.3, 1.0), "inhibitory", rule.stdp(1.0), name="plastic"),
        ),
        (stimulus("pre", [(10, 0)]), stimulus("teacher", [(8, 0)])),
        (("post", "isyn_inh"),),
        n_steps=20,
        check=check,
    )


def published() -> Scenario:
    """The CA3 memory's rule at single synapses: learned 6 nA; after an overwrite forward 0 and reverse 6 exp(-2/3) = 3.08 nA.

    The query comes when all old traces together, at most 6 x 1.52 exp(-interval/3), are below 1e-12 nA.
    """
    rule = Rule("deferred", tau_plus=3.0, tau_minus=3.0, a_plus=6.0, a_minus=6.0, w_min=0.0, w_max=6.0)
    query = 110
    left = 6.0 * (1 + math.exp(-2 / 3)) * math.exp(-(query - 6) / 3)
    assert left < 1e-13

    def check(part: Part) -> None:
        bound = rule.bound(6) + left
        learned, forward, reverse = (part.weights(name)[0] for name in ("learned", "forward", "reverse"))
        assert part.steps("a_post") == [1, 3, query + 1]
        assert part.steps("b_post") == [2]  # the old link still fires its cell once, and never again
        assert part.steps("c_post") == [3, 5]  # 3.08 nA is below the 3.292 that it takes
        assert abs(learned - 6.0) <= bound
        assert abs(forward) <= bound
        assert abs(reverse - 6 * math.exp(-2 / 3)) <= bound
        assert f"{reverse:.2f}" == "3.08"

    def synapse(unit: int, post: str, name: str, weight: float) -> Projection:
        one = OneToOneConnector()
        return Projection(source("pre", 3)[unit : unit + 1], post, one, StaticSynapse(weight, 1.0), plasticity=rule.stdp(1.0), name=name)

    return scenario(
        "published",
        WHOLE,
        (
            source("pre", 3),
            source("teacher", 3),
            *(relay(f"{c}_post", 1, tau_refrac=1.0) for c in "abc"),
        ),
        (
            *(
                Projection(source("teacher", 3)[k : k + 1], f"{c}_post", OneToOneConnector(), StaticSynapse(FIRES, 1.0))
                for k, c in enumerate("abc")
            ),
            synapse(0, "a_post", "learned", 0.0),
            synapse(1, "b_post", "forward", 6.0),
            synapse(2, "c_post", "reverse", 6.0),
        ),
        (
            # a: pre 1, 3 and post 1, 3. b: pre 1, 3; its post fires at 2 from the old link. c: post 3, 5 and pre 4.
            stimulus("pre", [(1, 0), (3, 0), (query, 0), (1, 1), (3, 1), (query, 1), (4, 2), (query, 2)]),
            stimulus("teacher", [(0, 0), (2, 0), (2, 2), (4, 2)]),
        ),
        n_steps=query + 5,
        check=check,
    )  # fmt: skip


def stale() -> Scenario:
    """Deferred: a weight read before the next pre spike lacks the arrivals since the last; the next pre spike sends them."""
    rule = Rule("deferred")

    def check(part: Part) -> None:
        unread, read = part.weights("plastic").tolist()
        assert unread == 0.25
        # post at 5, arrived at 6, one step after the pre spike at 5; the pre spike at 30 comes 24 steps after that
        want = 0.25 + rule.a_plus * math.exp(-1 / rule.tau_plus) - rule.a_minus * math.exp(-24 / rule.tau_minus)
        assert abs(read - want) <= rule.bound(3)

    return scenario(
        "stale",
        WHOLE,
        (source("pre", 2), source("teacher", 1), relay("post", 2)),
        (
            Projection("teacher", "post", AllToAllConnector(), StaticSynapse(FIRES, 1.0)),
            Projection("pre", "post", OneToOneConnector(), StaticSynapse(0.25, 1.0), "inhibitory", rule.stdp(1.0), name="plastic"),
        ),
        (stimulus("pre", [(5, 0), (5, 1), (30, 1)]), stimulus("teacher", [(4, 0)])),
        n_steps=40,
        check=check,
    )


PLASTICITY = (
    same_step(),
    window(),
    published(),
    stale(),
    learning("additive_immediate", Rule("immediate"), "excitatory"),
    learning("additive_deferred", Rule("deferred"), "inhibitory"),
    learning("multiplicative_immediate", Rule("immediate", multiplicative=True), "inhibitory"),
    learning("multiplicative_deferred", Rule("deferred", multiplicative=True), "excitatory"),
    learning("history_15", Rule("deferred", post_history=15), "inhibitory"),
    learning("history_1", Rule("deferred", multiplicative=True, post_history=1), "excitatory"),
    learning("switched_immediate", Rule("immediate"), "inhibitory", TENTH),
    learning("switched_deferred", Rule("deferred"), "inhibitory", TENTH),
    learning("switched_history", Rule("deferred", multiplicative=True, post_history=15), "excitatory", TENTH),
)
