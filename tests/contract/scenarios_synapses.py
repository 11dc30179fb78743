"""Scenarios of static synapses: delays, connectors, views, sources."""

from __future__ import annotations

import numpy as np
from scenario import FIRES, TENTH, WHOLE, Group, Part, Scenario, relay, scenario, source, stimulus

from neuromem.spec import (
    AllToAllConnector,
    ArrayConnector,
    Connector,
    FixedNumberPostConnector,
    FixedNumberPreConnector,
    FixedProbabilityConnector,
    FixedTotalNumberConnector,
    FromListConnector,
    OneToOneConnector,
    Population,
    Projection,
    RandomDistribution,
    SpikeSourcePoisson,
    StaticSynapse,
)


def delays(name: str, group: Group) -> Scenario:
    """Delays of 1 to 20 steps in one projection, spikes following each other while others are in flight: none lost, none early."""
    h, fired = group.dt, (0, 1, 4, 9, 10, 23)

    def check(part: Part) -> None:
        for population in ("listed", "given"):
            for k in range(20):
                assert part.steps(population, k) == [s + k + 1 for s in fired], (population, k)
        # In "fan", cell k sends to one readout with delay 20 - k: fired one step apart, they meet in step 30.
        assert part.steps("meeting") == [30]

    fan = relay("fan", 20, group)
    return scenario(
        name,
        group,
        (
            source("input", 1),
            source("clock", 20),
            relay("listed", 20, group),
            relay("given", 20, group),
            fan,
            relay("meeting", 1, group),
        ),
        (
            Projection("input", "listed", FromListConnector([(0, k, FIRES, (k + 1) * h) for k in range(20)]), StaticSynapse()),
            Projection("input", "given", AllToAllConnector(), StaticSynapse(FIRES, np.arange(1, 21) * h)),
            Projection("clock", "fan", OneToOneConnector(), StaticSynapse(FIRES, h)),
            # 20 times 0.2 nA together are 4 nA, more than 3.292; one input too few or too late, 3.8, would still fire,
            # so 0.17: 3.4 fires, 3.23 does not.
            Projection("fan", "meeting", AllToAllConnector(), StaticSynapse(0.17, np.arange(20, 0, -1) * h)),
        ),
        (stimulus("input", [(s * h, 0) for s in fired]), stimulus("clock", [((9 + k) * h, k) for k in range(20)])),
        n_steps=60,
        check=check,
    )


CONNECTORS: tuple[tuple[str, Connector], ...] = (
    ("one", OneToOneConnector()),
    ("every", AllToAllConnector()),
    ("probability", FixedProbabilityConnector(0.4)),
    ("number_pre", FixedNumberPreConnector(2)),
    ("number_post", FixedNumberPostConnector(3)),
    ("total", FixedTotalNumberConnector(11)),
    ("array", ArrayConnector(np.eye(6, dtype=bool)[::-1])),
    ("list", FromListConnector([(5, 0), (0, 5), (3, 3), (5, 1)])),
)


def connectors() -> Scenario:
    """Source unit i spikes in step 5 i; of each population the cells fire that the connector gives it, one step later."""

    def check(part: Part) -> None:
        for name, _ in CONNECTORS:
            want = {(5 * i + 1, j) for i, j in part.pairs(f"to_{name}")}
            assert want
            assert part.spikes(name) == want, name
        assert part.spikes("one") == {(5 * i + 1, i) for i in range(6)}
        assert part.spikes("every") == {(5 * i + 1, j) for i in range(6) for j in range(6)}
        assert part.spikes("array") == {(5 * i + 1, 5 - i) for i in range(6)}
        assert part.spikes("list") == {(26, 0), (1, 5), (16, 3), (26, 1)}
        assert part.spikes("viewed") == {(11, 4), (16, 5), (21, 6)}  # units 2, 3, 4 to units 4, 5, 6
        # One spike in step 0 goes round: each cell fires once, being refractory for 50 steps afterwards ...
        assert part.spikes("others") == {(1, 0), *((2, j) for j in range(1, 6))}
        # ... and a cell that may meet itself, without refractoriness, fires for ever.
        assert part.steps("itself") == list(range(1, 60))
        assert part.steps("not_itself") == [1]

    lonely = AllToAllConnector(allow_self_connections=False)
    cells = (
        *(relay(name, 6) for name, _ in CONNECTORS),
        relay("viewed", 9),
        relay("others", 6, tau_refrac=50.0),
        relay("itself", 1),
        relay("not_itself", 1),
    )
    units = source("input", 6)
    fires = StaticSynapse(FIRES, 1.0)
    return scenario(
        "connectors",
        WHOLE,
        (units, source("start", 1), *cells),
        (
            *(Projection("input", name, connector, fires, name=f"to_{name}") for name, connector in CONNECTORS),
            Projection(units[2:5], relay("viewed", 9)[4:7], OneToOneConnector(), fires),
            Projection("start", relay("others", 6)[0:1], OneToOneConnector(), fires),
            Projection("others", "others", lonely, fires),
            *(Projection("start", name, OneToOneConnector(), fires) for name in ("itself", "not_itself")),
            Projection("itself", "itself", AllToAllConnector(), fires),
            Projection("not_itself", "not_itself", lonely, fires),
        ),
        (stimulus("input", [(5 * i, i) for i in range(6)]), stimulus("start", [(0, 0)])),
        n_steps=60,
        check=check,
    )


def drawn_synapses() -> Scenario:
    """Weights and delays from distributions: each cell fires after its own delay, and only if its weight is above 3.292 nA."""

    def check(part: Part) -> None:
        table = part.table("drawn")
        delay, weight = table.delay, table.weight[0]
        assert delay.min() >= 1
        assert set(delay.tolist()) <= set(range(2, 10))
        assert weight.min() >= 1.0
        assert weight.max() < 5.0
        want = {(int(delay[k]), k) for k in range(40) if weight[k] > 3.2922}
        assert not np.any((weight > 3.292) & (weight < 3.2923))
        assert 0 < len(want) < 40
        assert part.spikes("cell") == want

    synapse = StaticSynapse(RandomDistribution("uniform", 1.0, 5.0), RandomDistribution("uniform_int", 2, 9))
    return scenario(
        "drawn_synapses",
        WHOLE,
        (source("input", 1), relay("cell", 40)),
        (Projection("input", "cell", AllToAllConnector(), synapse, name="drawn"),),
        (stimulus("input", [(0, 0)]),),
        n_steps=15,
        check=check,
    )


def poisson(name: str, group: Group) -> Scenario:
    """Poisson sources keep their window, rate 0 is silent, a huge rate fires in every step, and every spike is sent."""
    h, n_steps = group.dt, 100

    def check(part: Part) -> None:
        spikes = part.spikes("noise")
        for unit in range(4):
            assert part.steps("cell", unit) == [s + 1 for s, u in sorted(spikes) if u == unit and s + 1 < n_steps]
        assert part.steps("noise", 0) == []
        assert part.steps("noise", 1) == list(range(n_steps))
        assert part.steps("noise", 2) == list(range(10, 30))
        assert 0 < len(part.steps("noise", 3)) < n_steps

    cell = SpikeSourcePoisson(
        rate=np.array([0.0, 1e6, 1e6, 300.0 / h]),
        start=np.array([0.0, 0.0, 10 * h, 0.0]),
        duration=np.array([np.inf, np.inf, 20 * h, np.inf]),
    )
    return scenario(
        name,
        group,
        (Population("noise", 4, cell), relay("cell", 4, group)),
        (Projection("noise", "cell", OneToOneConnector(), StaticSynapse(FIRES, h)),),
        n_steps=n_steps,
        check=check,
    )


SYNAPSES = (
    delays("delays", WHOLE),
    delays("delays_tenth", TENTH),
    connectors(),
    drawn_synapses(),
    poisson("poisson", WHOLE),
)
