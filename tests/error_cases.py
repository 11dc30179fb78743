"""Every mistake in a definition that neuromem tells of: how to make it. ``test_errors_spec.py`` has the texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neuromem.ir import check, lower, lower_memory, stack
from neuromem.ir.memory_checks import check_memory
from neuromem.ir.ops import Op, check_ops
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress
from neuromem.patterns import binary_digits, pattern, random_pattern
from neuromem.quantities import check_number, check_range, steps_of
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    ArrayConnector,
    Connector,
    FixedNumberPostConnector,
    FixedNumberPreConnector,
    FixedProbabilityConnector,
    FixedTotalNumberConnector,
    FromListConnector,
    IFCurrExp,
    MemoryModel,
    MultiplicativeWeightDependence,
    Network,
    OneToOneConnector,
    Operation,
    Population,
    Probe,
    Projection,
    Protocol,
    RandomDistribution,
    Role,
    SpikePairRule,
    SpikeSourceArray,
    SpikeSourcePoisson,
    StaticSynapse,
    Stimulus,
    View,
    forget,
    recall,
    store,
)

RULE = STDP(SpikePairRule(), AdditiveWeightDependence(0.0, 1.0))
INPUT, CA3, LONG = (
    Population("input", 3, SpikeSourceArray()), Population("ca3", 3, IFCurrExp()), Population("long", 4, IFCurrExp()),
)  # fmt: skip


def network(*projections: Projection, stimuli: tuple[Stimulus, ...] = (), probes: tuple[Probe, ...] = ()) -> Network:
    return Network((INPUT, CA3, LONG), projections, stimuli, probes)


def lowered(*projections: Projection, **more: object):  # type: ignore[no-untyped-def]
    return lower(network(*projections, **more), dt=0.1, n_steps=10)  # type: ignore[arg-type]


EVERY = AllToAllConnector()


def link(connector: Connector = EVERY, weight: object = 0.5, delay: object = 1.0, *, pre: object = "input", post: object = "ca3",
         **more: object) -> Projection:  # fmt: skip
    return Projection(pre, post, connector, StaticSynapse(weight, delay), **more)  # type: ignore[arg-type]


def recurrent(connector: Connector, name: str = "ca3") -> Projection:
    return link(connector, pre=name, post=name)


def protocol(*operations: Operation, n_steps: int = 500, **more: bool) -> object:
    return lower_memory(ca3_cam(5, 10), Protocol("mine", operations, n_steps, **more))


def single(**changes: object):  # type: ignore[no-untyped-def]
    """A small program, for ``stack``."""
    options = {"dt": 0.1, "n_steps": 10, "seed": 0} | {k: v for k, v in changes.items() if k in ("dt", "n_steps", "seed")}
    cell = changes.get("cell", IFCurrExp())
    projections = changes.get("projections", (link(FixedProbabilityConnector(0.5), plasticity=changes.get("rule", RULE)),))
    populations = (INPUT, Population("ca3", 3, cell), *changes.get("more", ()))  # type: ignore[misc,arg-type]
    return lower(Network(populations, projections, probes=changes.get("probes", ())), **options)  # type: ignore[arg-type]


def frozen(program):  # type: ignore[no-untyped-def]
    plastic = program.schedule.plastic.copy()
    plastic[3] = 0
    return program.with_schedule(replace(program.schedule, plastic=plastic))


def with_ops(program):  # type: ignore[no-untyped-def]
    return replace(program, ops=program.ops[:-1])


def with_role(**changes: View) -> MemoryModel:
    memory = ca3_cam()
    return replace(memory, roles=(replace(memory.roles[0], **changes), memory.roles[1]))


def with_form(roles: tuple[Role, ...] | None = None, **changes: object) -> MemoryModel:
    memory = ca3_cam()
    return replace(memory, roles=memory.roles if roles is None else roles, forms=(replace(memory.forms[1], **changes), *memory.forms[2:]))  # type: ignore[arg-type]


def unprobed(population: str) -> MemoryModel:
    memory = ca3_cam()
    kept = tuple(p for p in memory.network.probes if p.population != population)
    return replace(memory, network=replace(memory.network, probes=kept))


def large(connector: Connector, view: int | None = None) -> Network:
    big = Population("big", 100_000, SpikeSourceArray()), Population("bigger", 100_000, IFCurrExp())
    end = "bigger" if view is None else View("bigger", 0, view)
    return Network(big, (link(connector, pre="big", post=end),))


CASES: dict[str, Callable[[], object]] = {
    # quantities
    "out of range": lambda: check_range("tau_m", -1.0, "Cell"),
    "entry out of range": lambda: check_range("cm", [1.0, 0.0], "Cell"),
    "not a number": lambda: check_range("v_rest", float("nan"), "Cell"),
    "infinite time": lambda: steps_of(float("inf"), 0.1, "time", "Stimulus"),
    "delay no whole number": lambda: steps_of(0.25, 0.1, "delay", "Projection 'a>b'", minimum=1),
    "delay a fraction of the first step": lambda: steps_of(0.04, 0.1, "delay", "Projection 'a>b'", minimum=1),
    "delay zero": lambda: steps_of(0.0, 0.1, "delay", "Projection 'a>b'", minimum=1),
    "time negative": lambda: steps_of(-0.1, 0.1, "time", "Stimulus"),
    "number of a word": lambda: check_number("tau_m", "slow", "Cell"),
    "number out of range": lambda: check_number("tau_m", -1.0, "Cell"),
    # patterns
    "pattern mask": lambda: pattern(np.zeros(3, bool), 4, "cue"),
    "pattern bool": lambda: pattern(True, 4, "cue"),
    "pattern text": lambda: pattern("ab", 4, "cue"),  # type: ignore[arg-type]
    "pattern float": lambda: pattern([0.5], 4, "cue"),  # type: ignore[list-item]
    "pattern range": lambda: pattern([1, 4], 4, "cue"),
    "pattern negative": lambda: pattern(-1, 4, "cue"),
    "pattern twice": lambda: pattern([1, 1], 4, "cue"),
    "pattern array twice": lambda: pattern(np.array([1, 2, 1, 0]), 4, "cue"),
    "pattern vector of integers": lambda: pattern(np.array([0, 1, 1, 0]), 4, "cue"),
    "pattern bools": lambda: pattern([True, False], 2, "cue"),
    "digits": lambda: binary_digits(8, 3),
    "too many active": lambda: random_pattern(3, 4, np.random.default_rng(0)),
    # cells
    "integrator": lambda: IFCurrExp(integrator="exakt"),  # type: ignore[arg-type]
    "tau_m negative": lambda: IFCurrExp(tau_m=-20.0),
    "tau_syn zero": lambda: IFCurrExp(tau_syn_E=0.0),
    "reset above threshold": lambda: IFCurrExp(v_reset=-40.0),
    "parameter of a word": lambda: IFCurrExp(cm="large"),  # type: ignore[arg-type]
    "parameter of words": lambda: IFCurrExp(cm=["large"]),  # type: ignore[arg-type]
    "parameter matrix": lambda: IFCurrExp(cm=[[1.0]]),  # type: ignore[arg-type]
    "rate negative": lambda: SpikeSourcePoisson(rate=-5.0),
    # arguments
    "argument unknown": lambda: IFCurrExp(taum=1),  # type: ignore[call-arg]
    "argument of PyNN": lambda: link(receptor_type="inhibitory"),
    "argument of none": lambda: SpikeSourceArray(spike_times=[1.0]),  # type: ignore[call-arg]
    "argument missing": lambda: Population("ca3"),  # type: ignore[call-arg]
    "arguments too many": lambda: SpikeSourcePoisson(1.0, 0.0, 5.0, 2.0),  # type: ignore[call-arg]
    "argument twice": lambda: SpikeSourcePoisson(1.0, rate=2.0),  # type: ignore[misc]
    "argument of a rule": lambda: SpikePairRule(tau_pls=1.0),  # type: ignore[call-arg]
    "argument of a dependence": lambda: AdditiveWeightDependence(wmax=1.0),  # type: ignore[call-arg]
    "argument of a synapse": lambda: StaticSynapse(wieght=1.0),  # type: ignore[call-arg]
    "argument of STDP": lambda: STDP(SpikePairRule()),  # type: ignore[call-arg]
    "argument of a distribution": lambda: RandomDistribution("uniform", low=0.0, b=1.0),  # type: ignore[call-arg]
    "argument of a connector": lambda: FixedProbabilityConnector(),  # type: ignore[call-arg]
    # distributions
    "distribution": lambda: RandomDistribution("gamma", 0.0, 1.0),  # type: ignore[arg-type]
    "normal": lambda: RandomDistribution("normal", 0.0, -1.0),
    "uniform": lambda: RandomDistribution("uniform", 2.0, 1.0),
    "uniform of a word": lambda: RandomDistribution("uniform", "a", 1),  # type: ignore[arg-type]
    "uniform of nan": lambda: RandomDistribution("uniform", 0.0, float("nan")),
    "normal of inf": lambda: RandomDistribution("normal", float("-inf"), 1.0),
    # populations and views
    "population name": lambda: Population("2nd", 3, IFCurrExp()),
    "population size": lambda: Population("ca3", 0, IFCurrExp()),
    "population cell": lambda: Population("ca3", 3, IFCurrExp),  # type: ignore[arg-type]
    "population lengths": lambda: Population("ca3", 3, IFCurrExp(cm=[1.0, 2.0])),  # type: ignore[arg-type]
    "initial unknown": lambda: Population("ca3", 3, IFCurrExp(), initial_values={"isyn_ex": 0.0}),
    "initial of a source": lambda: Population("input", 3, SpikeSourceArray(), initial_values={"v": 0.0}),
    "initial lengths": lambda: Population("ca3", 3, IFCurrExp(), initial_values={"v": [0.0, 0.0]}),  # type: ignore[dict-item]
    "initial range": lambda: Population("ca3", 3, IFCurrExp(), initial_values={"isyn_exc": -1.0}),
    "population stride": lambda: CA3[0:3:2],
    "population item": lambda: CA3[1],  # type: ignore[index]
    "view empty": lambda: CA3[2:2],
    # connectors
    "probability": lambda: FixedProbabilityConnector(1.5),
    "probability of a word": lambda: FixedProbabilityConnector("x"),  # type: ignore[arg-type]
    "count": lambda: FixedTotalNumberConnector(-1),
    "array type": lambda: ArrayConnector(np.zeros((2, 2))),
    "list ragged": lambda: FromListConnector([(0, 1), (0,)]),
    "list columns": lambda: FromListConnector([(0, 1, 2.0)]),
    "one to one sizes": lambda: lowered(link(OneToOneConnector(), post="long")),
    "pre to choose": lambda: lowered(recurrent(FixedNumberPreConnector(3, allow_self_connections=False))),
    "post to choose": lambda: lowered(link(FixedNumberPostConnector(5))),
    "only itself": lambda: lower(
        Network((Population("one", 1, IFCurrExp()),), (recurrent(FixedTotalNumberConnector(2, False), "one"),)), dt=0.1, n_steps=1
    ),
    "array shape": lambda: lowered(link(ArrayConnector(np.ones((3, 4), bool)))),
    "list unit": lambda: lowered(link(FromListConnector([(0, 0), (1, 3)]))),
    "list fraction": lambda: lowered(link(FromListConnector([(0.5, 0)]))),
    # synapses, projections
    "weight negative": lambda: StaticSynapse(-1.0),
    "weight of a word": lambda: StaticSynapse("strong"),  # type: ignore[arg-type]
    "pre of a cell": lambda: link(pre=IFCurrExp(), name="a"),
    "receptor": lambda: link(receptor="gaba"),
    "connector": lambda: Projection("input", "ca3", AllToAllConnector, StaticSynapse()),  # type: ignore[arg-type]
    "synapse": lambda: Projection("input", "ca3", AllToAllConnector(), 6.0),  # type: ignore[arg-type]
    "plasticity": lambda: link(plasticity=SpikePairRule()),
    "stimulus units": lambda: Stimulus("input", np.array([0.5]), np.array([0.0])),
    "stimulus shapes": lambda: Stimulus("input", np.array([0]), np.array([0.0, 1.0])),
    "probe variable": lambda: Probe("ca3", "w"),  # type: ignore[arg-type]
    "no population": lambda: network().population("ca1"),
    # plasticity
    "tau_plus": lambda: SpikePairRule(tau_plus=0.0),
    "tau_plus of a word": lambda: SpikePairRule(tau_plus="x"),  # type: ignore[arg-type]
    "A_plus of a list": lambda: SpikePairRule(A_plus=[1.0]),  # type: ignore[arg-type]
    "w_max of None": lambda: AdditiveWeightDependence(0.0, None),  # type: ignore[arg-type]
    "A_minus": lambda: SpikePairRule(A_minus=-0.1),
    "w_min above w_max": lambda: MultiplicativeWeightDependence(2.0, 1.0),
    "timing": lambda: STDP(0.01, AdditiveWeightDependence()),  # type: ignore[arg-type]
    "weight dependence": lambda: STDP(SpikePairRule(), 1.0),  # type: ignore[arg-type]
    "discipline": lambda: STDP(SpikePairRule(), AdditiveWeightDependence(), "defered"),  # type: ignore[arg-type]
    "history immediate": lambda: STDP(SpikePairRule(), AdditiveWeightDependence(), "immediate", 15),
    "history": lambda: STDP(SpikePairRule(), AdditiveWeightDependence(), "deferred", 0),
    # memories, protocols
    "role name": lambda: Role("address", CA3[0:1], CA3[0:1]),  # type: ignore[arg-type]
    "role sizes": lambda: Role("cue", CA3[0:1], CA3[0:2]),
    "no role": lambda: ca3_cam().role("address"),
    "no form": lambda: protocol(Operation("recall", 0, (1,), (2,))),
    "no form of nothing": lambda: protocol(Operation("recall", 0)),
    "kind": lambda: Operation("learn", 0),  # type: ignore[arg-type]
    "at": lambda: Operation("store", -1),
    "operations": lambda: Protocol("mine", 5, 10),  # type: ignore[arg-type]
    "operation": lambda: Protocol("mine", (recall(0, cue=(0,)), "recall"), 10),  # type: ignore[arg-type]
    "n_steps of a word": lambda: Protocol("mine", (), n_steps="10"),  # type: ignore[arg-type]
    "n_steps negative": lambda: Protocol("mine", (), n_steps=-1),
    "order": lambda: Protocol("mine", (recall(20, cue=(0,)), recall(20, cue=(1,))), 40),
    "too short": lambda: Protocol("mine", (recall(20, cue=(0,)),), 20),
    "too short for an answer": lambda: protocol(store(0, (0,), (1,)), recall(20, cue=(0,)), n_steps=26),
    "ideal": lambda: lower_memory(replace(ca3_cam(), ideal=len), Protocol("mine", (), 10)),  # type: ignore[arg-type]
    "stress": lambda: stress(40, 3),
    "overlap": lambda: protocol(store(0, (0,), (1,)), recall(2, cue=(0,)), unsafe_gaps=True),
    "gap": lambda: protocol(store(0, (0,), (1,)), store(9, (0,), (2,))),
    "operation unit": lambda: protocol(store(0, (5,), (1,))),
    "forget unit": lambda: protocol(forget(3, (7,))),
    # check
    "dt": lambda: check(network(), 0.0),
    "dt of a word": lambda: check(network(), "x"),  # type: ignore[arg-type]
    "no populations": lambda: check(Network(()), 0.1),
    "same names": lambda: check(Network((CA3, CA3)), 0.1),
    "same projections": lambda: check(network(link(), link()), 0.1),
    "stimulus of cells": lambda: check(network(stimuli=(Stimulus("ca3", np.array([0]), np.array([0.0])),)), 0.1),
    "stimulus unit": lambda: check(network(stimuli=(Stimulus("input", np.array([3]), np.array([0.0])),)), 0.1),
    "stimulus time": lambda: check(network(stimuli=(Stimulus("input", np.array([0]), np.array([0.25])),)), 0.1),
    "probe of a source": lambda: check(network(probes=(Probe("input", "v"),)), 0.1),
    "probe of nothing": lambda: check(network(probes=(Probe("ca33"),)), 0.1),
    "projection to nothing": lambda: check(network(link(post="ca1")), 0.1),
    "view too long": lambda: check(network(link(pre=View("input", 1, 4))), 0.1),
    "post a source": lambda: check(network(link(pre="ca3", post="input")), 0.1),
    "delay of a projection": lambda: check(network(link(delay=0.25)), 0.1),
    "delay of a projection zero": lambda: check(network(link(delay=0.0)), 0.1),
    "weight above w_max": lambda: check(network(link(weight=2.0, plasticity=RULE)), 0.1),
    "probe twice": lambda: check(network(probes=(Probe("ca3"), Probe("ca3", "v"), Probe("ca3"))), 0.1),
    "population too large": lambda: check(Network((Population("big", 2**31 + 1, IFCurrExp()),)), 0.1),
    "delay too long": lambda: check(network(link(delay=2e5)), 0.1),
    "all to all too large": lambda: check(large(AllToAllConnector()), 0.1),
    "probability too large": lambda: check(large(FixedProbabilityConnector(0.5)), 0.1),
    "number pre too large": lambda: check(large(FixedNumberPreConnector(50_000)), 0.1),
    "number post too large": lambda: check(large(FixedNumberPostConnector(50_000)), 0.1),
    "total number too large": lambda: check(large(FixedTotalNumberConnector(10**12)), 0.1),
    "view too large": lambda: check(large(AllToAllConnector(), view=70_000), 0.1),
    # check_memory
    "role of nothing": lambda: check_memory(with_role(input=View("inn", 0, 5))),
    "role too long": lambda: check_memory(with_role(readout=View("out", 12, 17))),
    "role into cells": lambda: check_memory(with_role(input=View("s1_cue", 0, 5))),
    "role not recorded": lambda: check_memory(unprobed("out")),
    "form role": lambda: check_memory(with_form(answers=("content",), roles=ca3_cam().roles[:1])),
    "form hold": lambda: check_memory(with_form(hold=0)),
    "gap name": lambda: check_memory(replace(ca3_cam(), gaps={("store", "recall_by_cu"): 3})),
    "gap zero": lambda: check_memory(replace(ca3_cam(), gaps={("store", "recall_by_cue"): 0})),
    # lower
    "drawn out of range": lambda: single(cell=IFCurrExp(cm=RandomDistribution("uniform", -2.0, -1.0))),
    "drawn delay negative": lambda: lowered(link(delay=RandomDistribution("uniform", -2.0, -1.0))),
    "drawn delay zero": lambda: lowered(link(delay=RandomDistribution("uniform_int", 0, 0))),
    "drawn delay too long": lambda: lowered(link(delay=RandomDistribution("uniform_int", 200_000, 200_000))),
    "drawn reset": lambda: single(cell=IFCurrExp(v_reset=RandomDistribution("uniform", -50.0, -40.0))),
    "too many weights": lambda: lowered(link(weight=[0.5, 0.5])),
    "drawn above w_max": lambda: lowered(link(weight=RandomDistribution("uniform", 1.5, 1.5), plasticity=RULE)),
    "list above w_max": lambda: lowered(link(FromListConnector([(0, 0, 1.5, 1.0)]), plasticity=RULE)),
    "list delay": lambda: lowered(link(FromListConnector([(0, 0, 1.5, 0.25)]))),
    "list weight": lambda: lowered(link(FromListConnector([(0, 0, -1.5, 1.0)]))),
    "n_steps": lambda: lower(network(), dt=0.1, n_steps=-1),
    "seed of a word": lambda: lower(network(), dt=0.1, n_steps=1, seed="x"),  # type: ignore[arg-type]
    "seed of nan": lambda: lower(network(), dt=0.1, n_steps=1, seed=float("nan")),  # type: ignore[arg-type]
    "seed of None": lambda: lower(network(), dt=0.1, n_steps=1, seed=None),  # type: ignore[arg-type]
    "seed negative": lambda: lower(network(), dt=0.1, n_steps=1, seed=-1),
    "seed fraction": lambda: lower(network(), dt=0.1, n_steps=1, seed=1.5),  # type: ignore[arg-type]
    "seed bool": lambda: lower(network(), dt=0.1, n_steps=1, seed=True),
    "input_seed": lambda: lower(network(), dt=0.1, n_steps=1, input_seed=-1),
    "dt of a word, lowered": lambda: lower(network(), dt="x", n_steps=1),  # type: ignore[arg-type]
    # ops
    "phase": lambda: check_ops((Op("think", "ponder"),)),
    "two writers": lambda: check_ops((Op("learn", "learn", "a", updates=("w",)), Op("learn", "learn", "b", updates=("w",)))),
    # stack
    "stack nothing": lambda: stack(()),
    "stack n_steps": lambda: stack((single(), single(n_steps=11))),
    "stack populations": lambda: stack((single(), single(more=(LONG,)))),
    "stack projections": lambda: stack((single(projections=(link(),)), single(projections=(link(), link(name="more"))))),
    "stack schedule": lambda: stack((single(), frozen(single()))),
    "stack integrators": lambda: stack((single(), single(cell=IFCurrExp(integrator="spinnaker")))),
    "stack synapses": lambda: stack((single(), single(seed=1))),
    # models
    "ca3_cam": lambda: ca3_cam(n_cues=0),
    "ca3_cam inhibition": lambda: ca3_cam(self_inhibition=5),  # type: ignore[arg-type]
    "ca3_cam inhibition of a word": lambda: ca3_cam(self_inhibition="no"),  # type: ignore[arg-type]
    "ca3_cam cues": lambda: ca3_cam(n_cues=10**9),
    "ca3_cam content": lambda: ca3_cam(n_content=10**9),
}  # fmt: skip
