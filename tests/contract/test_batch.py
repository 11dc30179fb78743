"""A batch of replicas is that many single runs, to the last bit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from conftest import Engine
from scenario import FIRES, relay, source, stimulus

from neuromem.backends import Simulation
from neuromem.backends.reference import ReferenceSimulation
from neuromem.errors import UnsupportedError
from neuromem.ir import Program, Recording, lower, stack
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    IFCurrExp,
    MultiplicativeWeightDependence,
    Network,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikePairRule,
    SpikeSourcePoisson,
    StaticSynapse,
)

N_STEPS = 120


def network(first: int) -> Network:
    """Noise and a stimulus, drawn cells, two plastic projections: what differs between replicas is all that may differ."""
    drawn = IFCurrExp(
        tau_m=RandomDistribution("uniform", 2.0, 6.0), cm=0.27, v_rest=-60.0, v_reset=-61.0, v_thresh=-57.0, tau_refrac=1.0,
        tau_syn_E=0.5, tau_syn_I=1.5, integrator="spinnaker",
    )  # fmt: skip
    timing = SpikePairRule(tau_plus=5.0, tau_minus=8.0, A_plus=0.3, A_minus=0.2)
    additive = STDP(timing, AdditiveWeightDependence(0.0, 4.0), "deferred", 15)
    multiplicative = STDP(timing, MultiplicativeWeightDependence(0.0, 2.0))
    return Network(
        (
            source("given", 3),
            Population("noise", 5, SpikeSourcePoisson(rate=150.0)),
            Population("cells", 6, drawn, initial_values={"v": RandomDistribution("uniform", -62.0, -58.0)}),
            relay("out", 6),
        ),
        (
            Projection("given", "cells", AllToAllConnector(), StaticSynapse(FIRES, 2.0)),
            Projection("noise", "cells", AllToAllConnector(), StaticSynapse(RandomDistribution("uniform", 0.5, 3.5), 3.0), plasticity=additive),
            Projection("cells", "cells", AllToAllConnector(False), StaticSynapse(0.8, 4.0), "inhibitory", multiplicative),
            Projection("cells", "out", OneToOneConnector(), StaticSynapse(FIRES, 1.0)),
        ),
        (stimulus("given", [(first + 7 * k, k % 3) for k in range(12)]),),
        (Probe("cells"), Probe("noise"), Probe("out"), Probe("cells", "v"), Probe("cells", "isyn_inh")),
    )  # fmt: skip


def singles() -> tuple[Program, ...]:
    return tuple(lower(network(seed % 3), dt=1.0, n_steps=N_STEPS, seed=seed) for seed in (3, 4, 11))


def differences(batch: Recording, replica: int, single: Recording) -> list[str]:
    """What of a replica is not the single run's."""
    mine = batch.replica == replica
    wrong = [name for name in ("step", "unit") if not np.array_equal(getattr(batch, name)[mine], getattr(single, name))]
    wrong += [
        f"weights of {name}" for name, values in single.weights.items() if not np.array_equal(batch.weights[name][replica], values[0])
    ]
    wrong += [f"{key}" for key, values in single.states.items() if not np.array_equal(batch.states[key][replica], values[0])]
    return wrong


def test_batch_is_its_single_runs(engine: Engine, reference: Engine) -> None:
    program = stack(singles())
    assert program.batch == 3
    support = engine.loaded.support
    if not support.has("batch"):
        with pytest.raises(UnsupportedError, match=re.escape(support.refused["batch"].reason)):
            engine.build(program)
        return
    batch = engine.run(program)
    runs = [reference.run(single) for single in singles()]
    for replica, single in enumerate(runs):
        mine = batch.replica == replica
        assert np.array_equal(batch.step[mine], single.step)
        assert np.array_equal(batch.unit[mine], single.unit)
    if engine.cheap:
        own = [engine.run(single) for single in singles()]
        assert [differences(batch, replica, single) for replica, single in enumerate(own)] == [[], [], []]
    assert differences(batch, 0, runs[1])  # the replicas do differ
    assert batch.spikes_of("out", 2)[0].size > 5
    # and the spikes are sorted by replica, step, unit
    order = np.lexsort((batch.unit, batch.step, batch.replica))
    assert np.array_equal(order, np.arange(order.size))


class SharedWeights(ReferenceSimulation):
    """All replicas learn on the weights of the first."""

    def advance(self, schedule):  # type: ignore[no-untyped-def]
        super().advance(schedule)
        for s in self.plastic.values():
            s.weight[:] = s.weight[:1]


class SharedParameters(ReferenceSimulation):
    """All replicas have the cells of the first."""

    def __init__(self, program: Program) -> None:
        first = {name: values[:1] for name, values in program.cells.parameters.items()}
        super().__init__(replace(program, cells=replace(program.cells, parameters=first)))


class SharedInput(ReferenceSimulation):
    """All replicas hear the spikes of every schedule."""

    def _emit_sources(self, op):  # type: ignore[no-untyped-def]
        super()._emit_sources(op)
        self.spiked[:] = self.spiked.any(axis=0)


@pytest.mark.parametrize("wrong", [SharedWeights, SharedParameters, SharedInput])
def test_a_wrong_batch_is_noticed(wrong: Callable[[Program], Simulation], reference: Engine) -> None:
    batch = wrong(stack(singles())).run()
    assert any(differences(batch, replica, reference.run(single)) for replica, single in enumerate(singles()))
