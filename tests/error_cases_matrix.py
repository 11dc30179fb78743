"""Every mistake in the definition of a memory without spikes: how to make it, and the whole text that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neuromem import cues
from neuromem.api import check, memory_needed
from neuromem.models import bcpnn, ca3_cam, dense, hetero, hopfield, sequence, willshaw
from neuromem.spec import (
    AllToAllConnector,
    BayesianHebbian,
    ClippedHebbian,
    Connector,
    Covariance,
    Decay,
    Exponential,
    FixedProbabilityConnector,
    Hebbian,
    IFCurrExp,
    KWinners,
    Linear,
    MemoryModel,
    Network,
    OneUnitPerPattern,
    OtherGroupsConnector,
    OuterProductRule,
    PatternSource,
    PlasticityRule,
    Polynomial,
    Population,
    Probe,
    Projection,
    PseudoInverse,
    Role,
    Sign,
    SoftWTA,
    StaticSynapse,
    Storkey,
    Threshold,
    Trial,
    Unit,
    Update,
    View,
)

NO_SELF = AllToAllConnector(allow_self_connections=False)


def recurrent(rule: PlasticityRule, cell: Unit, connector: Connector = NO_SELF, n: int = 8, update: Update | None = None) -> MemoryModel:
    """A checked memory of one population."""
    units = Population("units", n, cell, "content")
    projection = Projection("units", "units", connector, StaticSynapse(), plasticity=rule)
    role = Role("content", units[0:n], units[0:n])
    return check(MemoryModel("mine", Network((units,), (projection,)), 1.0, (role,), update=update or Update()))


def feedforward(rule: PlasticityRule, pre: Unit, post: Unit, connector: Connector = NO_SELF) -> MemoryModel:
    """A checked memory of two populations of 8 units."""
    key, value = Population("key", 8, pre, "cue"), Population("value", 8, post, "content")
    projection = Projection("key", "value", connector, StaticSynapse(), plasticity=rule)
    roles = Role("cue", key[0:8], key[0:8]), Role("content", value[0:8], value[0:8])
    return check(MemoryModel("mine", Network((key, value), (projection,)), 1.0, roles, update=Update()))


def changed(network: dict[str, object] | None = None, **changes: object) -> MemoryModel:
    """A Hopfield memory of 8 units with changes, checked."""
    memory = hopfield(8)
    if network is not None:
        changes["network"] = replace(memory.network, **network)  # type: ignore[arg-type]
    return check(replace(memory, **changes))  # type: ignore[arg-type]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# name -> (how, text)
CASES: dict[str, tuple[Callable[[], object], str]] = {
    # models
    "models of one unit": (
        lambda: hopfield(1),
        "hopfield: n = 1; expected a whole number of units, at least 2.",
    ),
    "models of half a unit": (
        lambda: dense(2.5),  # type: ignore[arg-type]
        "dense: n = 2.5; expected a whole number of units, at least 2.",
    ),
    "hypercolumns": (
        lambda: bcpnn(16, 5),
        "bcpnn: hypercolumns = 5 of 16 units; expected a number that divides 16 into groups of 2 or more.",
    ),
    "hypercolumns of one unit": (
        lambda: bcpnn(16, 16),
        "bcpnn: hypercolumns = 16 of 16 units; expected a number that divides 16 into groups of 2 or more.",
    ),
    "bcpnn competition": (
        lambda: bcpnn(competition="sofft"),
        "bcpnn: competition = 'sofft'; expected 'soft' or 'hard' (did you mean 'soft'?).",
    ),
    "dense interaction": (
        lambda: dense(interaction="cubic"),
        "dense: interaction = 'cubic'; expected one of polynomial, exponential, softmax.",
    ),
    "dense beta, not used": (
        lambda: dense(beta=-3.0),
        "Softmax: beta = -3.0; expected a number above 0, at most 1e+09.",
    ),
    "bcpnn gain, not used": (
        lambda: bcpnn(competition="hard", gain=-1.0),
        "SoftWTA: gain = -1.0; expected a number above 0, at most 1e+09.",
    ),
    "willshaw steps, not used": (
        lambda: willshaw(recall="threshold", max_steps=-1),
        "Update: max_steps = -1; expected a whole number of steps, at least 1.",
    ),
    "dense real": (
        lambda: dense(units="real"),
        "dense: interaction = 'polynomial' with real units; expected 'softmax'.",
    ),
    "hetero units": (
        lambda: hetero(units="binary"),
        "hetero: units = 'binary'; expected 'real' or 'bipolar' (did you mean 'bipolar'?).",
    ),
    "hetero loss": (
        lambda: hetero(loss="hubert"),
        "hetero: loss = 'hubert'; expected one of dot, squared, huber, power, variance (did you mean 'huber'?).",
    ),
    "hetero loss of a list": (
        lambda: hetero(loss=[1]),  # type: ignore[arg-type]
        "hetero: loss = [1]; expected one of dot, squared, huber, power, variance.",
    ),
    "hetero gamma, not used": (
        lambda: hetero(gamma="x"),  # type: ignore[arg-type]
        "Decay: gamma = 'x'; expected a number from 0 to 1.",
    ),
    "hetero bipolar": (
        lambda: hetero(units="bipolar", loss="squared"),
        "hetero: a rule other than plain Hebb with bipolar units; expected loss='dot', retention='keep', step='plain', or units='real'.",
    ),
    "hopfield rule": (
        lambda: hopfield(rule="hebbian"),
        "hopfield: rule = 'hebbian'; expected one of hebb, covariance, storkey, pseudo_inverse (did you mean 'hebb'?).",
    ),
    "hopfield activity": (
        lambda: hopfield(activity=0.7),
        "hopfield: activity = 0.7; expected None or the fraction of active units, above 0 and at most 0.5.",
    ),
    "hopfield self-coupling": (
        lambda: hopfield(self_coupling=1),  # type: ignore[arg-type]
        "hopfield: self_coupling = 1; expected True or False.",
    ),
    "hopfield sparse": (
        lambda: hopfield(rule="storkey", activity=0.1),
        "hopfield: rule = 'storkey' with sparse patterns or hypercolumns; expected 'hebb' or 'covariance'.",
    ),
    "hopfield hypercolumns": (
        lambda: hopfield(hypercolumns=16, activity=0.1),
        "hopfield: activity = 0.1 with 16 hypercolumns, whose activity is 0.0625; leave it out.",
    ),
    "sequence rule": (
        lambda: sequence(rule="hebbs"),
        "sequence: rule = 'hebbs'; expected 'clipped' or 'hebb' (did you mean 'hebb'?).",
    ),
    "sequence k": (
        lambda: sequence(k=0),
        "sequence: k = 0; expected None or a number of active units, from 1 to 256.",
    ),
    "willshaw recall": (
        lambda: willshaw(recall="winner"),
        "willshaw: recall = 'winner'; expected 'winners' or 'threshold' (did you mean 'winners'?).",
    ),
    "willshaw iterative": (
        lambda: willshaw(iterative=0),  # type: ignore[arg-type]
        "willshaw: iterative = 0; expected True or False.",
    ),
    "willshaw hypercolumns": (
        lambda: willshaw(hypercolumns=16, k=8),
        "willshaw: k, n_content or recall by threshold with 16 hypercolumns; expected none of them: one unit of each is active.",
    ),
    "willshaw k_content": (
        lambda: willshaw(k_content=8),
        "willshaw: k_content = 8 without n_content; expected both, or k alone.",
    ),
    "willshaw k": (
        lambda: willshaw(k=257),
        "willshaw: k = 257; expected None or a number of active units, from 1 to 256.",
    ),
    # units
    "pattern source": (
        lambda: PatternSource("binry"),  # type: ignore[arg-type]
        "PatternSource: alphabet = 'binry'; expected 'bipolar', 'binary' or 'real' (did you mean 'binary'?).",
    ),
    "theta": (
        lambda: Threshold(0.0),
        "Threshold: theta = 0.0; expected a number above 0, at most 1e+09.",
    ),
    "gain": (
        lambda: SoftWTA(4, float("inf")),
        "SoftWTA: gain = inf; expected a number above 0, at most 1e+09.",
    ),
    "winners": (
        lambda: KWinners(0),
        "KWinners: k = 0; expected a whole number of winners, at least 1.",
    ),
    "winners of groups": (
        lambda: KWinners(5, 2),
        "KWinners: k = 5, groups = 2; expected a number of winners that the groups can share: a multiple of 2.",
    ),
    "ties": (
        lambda: KWinners(2, ties="frist"),  # type: ignore[arg-type]
        "KWinners: ties = 'frist'; expected 'all' or 'first' (did you mean 'first'?).",
    ),
    "power": (
        lambda: Polynomial(1),
        "Polynomial: power = 1; expected a whole number from 2 to 64.",
    ),
    # rules
    "lag": (
        lambda: Hebbian(2),
        "Hebbian: lag = 2; expected 0 (a pattern with itself) or 1 (with the one that follows it).",
    ),
    "lag of a truth": (
        lambda: ClippedHebbian(True),
        "ClippedHebbian: lag = True; expected 0 (a pattern with itself) or 1 (with the one that follows it).",
    ),
    "activity": (
        lambda: Covariance(1.0),
        "Covariance: activity = 1.0; expected the fraction of active units, above 0 and below 1.",
    ),
    "tau": (
        lambda: BayesianHebbian(0.5),
        "BayesianHebbian: tau = 0.5; expected None (counts) or a number of patterns, at least 1.",
    ),
    "cue not boolean": (
        lambda: cues.flip(np.ones((2, 4), np.int8), 1, np.random.default_rng(0)),
        "flip: int8 (2, 4); expected a boolean array (B, n), such as patterns > 0.",
    ),
    "more moves than groups": (
        lambda: cues.move_winners(np.eye(4, dtype=bool), 2, 3, np.random.default_rng(0)),
        "move_winners: 3 of 2 groups of 4 units; expected groups of equal size, and no more moves than groups.",
    ),
    "role of a name": (
        lambda: Role("content", "units", "units"),  # type: ignore[arg-type]
        "Role 'content': input = 'units'; expected a population or a view of one, such as units[0:5].",
    ),
    "the delta rule by its name": (
        lambda: hetero(loss="delta"),
        "hetero: loss = 'delta'; the delta rule is loss = 'squared' (delta is the width of 'huber').",
    ),
    "prior": (
        lambda: BayesianHebbian(prior=0.0),
        "BayesianHebbian: prior = 0.0; expected a finite number of patterns, above 0.",
    ),
    "prior of traces": (
        lambda: bcpnn(tau=10.0, prior=2.0),
        "BayesianHebbian: prior = 2.0 with tau; traces have no prior: expected one of the two.",
    ),
    "hidden": (
        lambda: OneUnitPerPattern(Sign()),  # type: ignore[arg-type]
        "OneUnitPerPattern: hidden = Sign(); expected Softmax(...), Polynomial(...) or Exponential().",
    ),
    "decay": (
        lambda: Decay(1.5),
        "Decay: gamma = 1.5; expected a number from 0 to 1.",
    ),
    "loss": (
        lambda: OuterProductRule("squared"),  # type: ignore[arg-type]
        "OuterProductRule: loss = 'squared'; expected DotProduct(), SquaredError(), HuberError(...), PowerError(...) or Variance().",
    ),
    "bounds": (
        lambda: OuterProductRule(w_min=1.0, w_max=0.0),
        "OuterProductRule: w_max = 0.0; expected a number, at least w_min = 1, or inf for no bound.",
    ),
    # connectors, updates, trials
    "groups": (
        lambda: OtherGroupsConnector(0),
        "OtherGroupsConnector: groups = 0; expected a whole number of groups, at least 1.",
    ),
    "groups of a network": (
        lambda: OtherGroupsConnector(3).pairs(8, 8, 0, rng(), "Projection 'units>units'"),
        "Projection 'units>units': 8 units in 3 groups; expected groups of equal size.",
    ),
    "update order": (
        lambda: Update("synchronus"),  # type: ignore[arg-type]
        "Update: order = 'synchronus'; expected 'synchronous', 'asynchronous' or 'single' (did you mean 'synchronous'?).",
    ),
    "update steps": (
        lambda: Update(max_steps=0),
        "Update: max_steps = 0; expected a whole number of steps, at least 1.",
    ),
    "trial patterns": (
        lambda: Trial(0),
        "Trial: n_patterns = 0; expected a whole number of patterns, at least 1.",
    ),
    "trial flips": (
        lambda: Trial(1, flips=1.5),
        "Trial: flips = 1.5; expected a fraction from 0 to 1.",
    ),
    # cues
    "cue active": (
        lambda: cues.random_active(1, 4, 5, rng()),
        "random_active: 5 active units of 4; expected 0 to 4.",
    ),
    "cue winners": (
        lambda: cues.random_winners(1, 9, 2, rng()),
        "random_winners: 9 units in 2 groups; expected groups of equal size.",
    ),
    "cue count": (
        lambda: cues.flip(np.zeros((1, 4), bool), -1, rng()),
        "flip: count = -1; expected a whole number, at least 0.",
    ),
    "cue half a unit": (
        lambda: cues.flip(np.zeros((1, 4), bool), 2.5, rng()),  # type: ignore[arg-type]
        "flip: count = 2.5; expected a whole number, at least 0.",
    ),
    "cue patterns": (
        lambda: cues.random_bits(-1, 4, rng()),
        "random_bits: n_patterns = -1; expected a whole number, at least 0.",
    ),
    "cue one pattern": (
        lambda: cues.flip(np.zeros(4, bool), 1, rng()),
        "flip: bool (4,); expected a boolean array (B, n), such as patterns > 0.",
    ),
    "cue moves": (
        lambda: cues.move_winners(np.ones((1, 4), bool), 4, 1, rng()),
        "move_winners: groups of 1 unit; expected at least 2, or there is no other unit to move to.",
    ),
    # check
    "units and cells": (
        lambda: changed({"populations": (Population("units", 8, Sign()), Population("cells", 3, IFCurrExp()))}),
        "Network: cells of spiking cells together with units of units that are updated once a step; expected one kind.",
    ),
    "units among spikes": (
        lambda: check(Network((Population("units", 8, Sign()),)), dt=0.1),
        "Population 'units': Sign units in a network of spikes; expected spiking cells (a network of such units is part of a MemoryModel with an update).",
    ),
    "rule between cells": (
        lambda: check(
            Network((Population("a", 2, IFCurrExp()),), (Projection("a", "a", NO_SELF, StaticSynapse(), plasticity=Hebbian()),)), dt=0.1
        ),
        "Projection 'a>a': plasticity = Hebbian(lag=0) between spiking cells; expected STDP(...) or None.",
    ),
    "update of spikes": (
        lambda: check(replace(ca3_cam(), update=Update())),
        "ca3-cam: update = Update(order='synchronous', max_steps=100) with a spiking network; expected None: its operations have forms.",
    ),
    "no ideal": (
        lambda: check(replace(ca3_cam(), ideal=None)),
        "ca3-cam: ideal is missing; expected what a perfect memory answers, such as AddressTable.",
    ),
    "no update": (
        lambda: changed(update=None),
        "hopfield: update is missing; a memory without spikes needs one, such as Update('synchronous', max_steps=100).",
    ),
    "same populations": (
        lambda: changed({"populations": (Population("units", 8, Sign()), Population("units", 8, Sign()))}),
        "Network: 2 populations are called 'units'; expected distinct names (give name=...).",
    ),
    "no projections": (
        lambda: changed({"projections": ()}),
        "hopfield: 0 projections, 0 of them plastic; expected one, plastic: a memory without spikes has one table of weights.",
    ),
    "projection not plastic": (
        lambda: changed({"projections": (Projection("units", "units", NO_SELF, StaticSynapse()),)}),
        "hopfield: 1 projections, 0 of them plastic; expected one, plastic: a memory without spikes has one table of weights.",
    ),
    "probe of units": (
        lambda: changed({"probes": (Probe("units"),)}),
        "hopfield: stimuli or probes on units without spikes; expected none: patterns are given to store and recall.",
    ),
    "view of units": (
        lambda: changed({"projections": (Projection(View("units", 0, 4), "units", NO_SELF, StaticSynapse(), plasticity=Hebbian()),)}),
        "Projection 'units[0:4]>units': a view of 'units'; expected whole populations in a memory without spikes.",
    ),
    "unequal groups": (
        lambda: recurrent(Hebbian(), KWinners(3, 3)),
        "mine: 'units' of 8 units in 3 groups; expected groups of equal size.",
    ),
    "more winners than units": (
        lambda: recurrent(Hebbian(), KWinners(9)),
        "mine: 'units' of 8 units, k = 9; expected k at most 8.",
    ),
    "asynchronous winners": (
        lambda: recurrent(Hebbian(), KWinners(2), update=Update("asynchronous")),
        "mine: asynchronous updates of KWinners units with Hebbian; expected Sign units that feed back their own patterns by a table of weights, or 'synchronous'.",
    ),
    "asynchronous sequence": (
        lambda: recurrent(Hebbian(1), Sign(), update=Update("asynchronous")),
        "mine: asynchronous updates of Sign units with Hebbian; expected Sign units that feed back their own patterns by a table of weights, or 'synchronous'.",
    ),
    "asynchronous hidden units": (
        lambda: recurrent(OneUnitPerPattern(Exponential()), Sign(), AllToAllConnector(), update=Update("asynchronous")),
        "mine: asynchronous updates of Sign units with OneUnitPerPattern; expected Sign units that feed back their own patterns by a table of weights, or 'synchronous'.",
    ),
    "no roles": (
        lambda: changed(roles=()),
        "hopfield: roles none; expected content.",
    ),
    "roles of two": (
        lambda: changed(roles=(Role("cue", View("units", 0, 8), View("units", 0, 8)), *hopfield(8).roles)),
        "hopfield: roles content, cue; expected content.",
    ),
    "role of some units": (
        lambda: changed(roles=(Role("content", View("units", 0, 4), View("units", 0, 4)),)),
        "hopfield: role 'content' is units 0:4 of 'units'; expected all of 'units'.",
    ),
    "rule of rates": (
        lambda: recurrent(PlasticityRule(), Sign()),
        "mine: rule PlasticityRule on units without spikes; expected one of BayesianHebbian, ClippedHebbian, Covariance, Hebbian, OneUnitPerPattern, OuterProductRule, PseudoInverse, Storkey.",
    ),
    "rule onto a source": (
        lambda: feedforward(Hebbian(), PatternSource("bipolar"), PatternSource("bipolar")),
        "mine: Hebbian onto PatternSource units; expected Sign or KWinners.",
    ),
    "rule onto thresholds": (
        lambda: recurrent(Storkey(), Threshold()),
        "mine: Storkey onto Threshold units; expected Sign.",
    ),
    "alphabets": (
        lambda: feedforward(Hebbian(), PatternSource("binary"), Sign()),
        "mine: Hebbian from binary to bipolar units; expected one alphabet, bipolar or binary.",
    ),
    "real cues of bits": (
        lambda: feedforward(ClippedHebbian(), PatternSource("real"), KWinners(2)),
        "mine: ClippedHebbian from real to binary units; expected one alphabet, binary.",
    ),
    "recurrent rule": (
        lambda: feedforward(PseudoInverse(), PatternSource("bipolar"), Sign()),
        "mine: PseudoInverse from 'key' to 'value'; expected a recurrent projection.",
    ),
    "lag between populations": (
        lambda: feedforward(Hebbian(1), PatternSource("bipolar"), Sign()),
        "mine: Hebbian with lag = 1 from 'key' to 'value'; expected a recurrent projection.",
    ),
    "interaction of real units": (
        lambda: recurrent(OneUnitPerPattern(Exponential()), Linear(), AllToAllConnector()),
        "mine: Exponential hidden units with Linear ones; expected Softmax, or Sign units.",
    ),
    "power of many units": (
        lambda: recurrent(OneUnitPerPattern(Polynomial(64)), Sign(), AllToAllConnector(), n=10**5),
        "mine: overlaps of 100000 units to the power 64; expected a power of at most 59, or the numbers overflow.",
    ),
    "other groups": (
        lambda: recurrent(Hebbian(), KWinners(4, 4), OtherGroupsConnector(2)),
        "mine: OtherGroupsConnector of 2 groups onto 'units' of 4; expected equal numbers, at least 2, and a recurrent projection.",
    ),
    "one other group": (
        lambda: recurrent(Hebbian(), Sign(), OtherGroupsConnector(1)),
        "mine: OtherGroupsConnector of 1 groups onto 'units' of 1; expected equal numbers, at least 2, and a recurrent projection.",
    ),
    "random connections": (
        lambda: recurrent(Hebbian(), Sign(), FixedProbabilityConnector(0.5)),
        "mine: FixedProbabilityConnector in a memory without spikes; expected AllToAllConnector or OtherGroupsConnector: its table is a matrix.",
    ),
    "Storkey with itself": (
        lambda: check(hopfield(8, rule="storkey", self_coupling=True)),
        "hopfield: Storkey with self-connections; expected AllToAllConnector(allow_self_connections=False): it defines none.",
    ),
    "hidden units without some": (
        lambda: recurrent(OneUnitPerPattern(Exponential()), Sign()),
        "mine: OneUnitPerPattern without some of the connections; expected AllToAllConnector().",
    ),
    # memory_needed
    "memory of a network": (
        lambda: memory_needed(hopfield(8).network),  # type: ignore[arg-type]
        "memory_needed: Network; expected a MemoryModel.",
    ),
    "memory of fewer": (
        lambda: memory_needed(hopfield(8), -1),
        "memory_needed: n_patterns = -1; expected a whole number, at least 0.",
    ),
}
