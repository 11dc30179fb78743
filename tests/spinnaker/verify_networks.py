"""Networks on which the binaries are compared with everything else, and their packages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import cell, random_stimulus, random_synapses, small

from neuromem.exports.spinnaker import export_memory, export_program
from neuromem.hardware_targets.spinnaker import limits
from neuromem.hardware_targets.spinnaker.limits import Board, board_named
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.models.ca3_cam import ca3_cam, functional
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FromListConnector,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

RULE = STDP(SpikePairRule(20.0, 17.0, 0.11, 0.07), AdditiveWeightDependence(0.0, 3.0), "deferred")


def program(
    populations: list[Population], projections: list[Projection], stimuli: list[Stimulus], n_steps: int, dt: float = 1.0
) -> Program:
    probes = tuple(Probe(p.name) for p in populations if p.cell.state)
    return lower(Network(tuple(populations), tuple(projections), tuple(stimuli), probes), dt=dt, n_steps=n_steps)


def balanced(dt: float = 1.0) -> Program:
    """Excitation and inhibition, 50 cells; several cores each on a board whose cores hold 16."""
    rng = np.random.default_rng(4)
    return program(
        [Population("src", 10, SpikeSourceArray()), Population("exc", 40, cell()), Population("inh", 10, cell(tau_m=9.7, cm=0.31))],
        [
            Projection("src", "exc", random_synapses(rng, 10, 40, 0.4, (1, 3), [dt, 2 * dt, 3 * dt]), StaticSynapse()),
            Projection("exc", "exc", random_synapses(rng, 40, 40, 0.1, (0.3, 1), [k * dt for k in range(1, 9)]), StaticSynapse()),
            Projection("exc", "inh", random_synapses(rng, 40, 10, 0.2, (0.3, 1), [dt, 2 * dt]), StaticSynapse()),
            Projection("inh", "exc", random_synapses(rng, 10, 40, 0.3, (0.3, 1), [dt, 2 * dt, 3 * dt]), StaticSynapse(), "inhibitory"),
        ],
        [random_stimulus(rng, "src", 10, 60, 0.15, dt)], 60, dt,
    )  # fmt: skip


def learning() -> Program:
    """Plastic synapses of many delays, excitatory and inhibitory, with static ones beside them, some of which need all digits of the constants."""
    rng = np.random.default_rng(5)
    delays = [1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 13.0]
    return program(
        [
            Population("src", 12, SpikeSourceArray()),
            Population("cells", 24, cell()),
            Population("strong", 2, cell(cm=500.0, tau_syn_E=50.0)),
        ],
        [
            Projection("src", "cells", random_synapses(rng, 12, 24, 0.4, (0.5, 2.5), delays), StaticSynapse(), plasticity=RULE),
            Projection("cells", "cells", random_synapses(rng, 24, 24, 0.1, (0.3, 1), delays), StaticSynapse(), "inhibitory", plasticity=RULE),
            Projection("src", "cells", random_synapses(rng, 12, 24, 0.2, (1, 3), [1.0, 4.0]), StaticSynapse(), name="teach"),
            Projection("src", "strong", random_synapses(rng, 12, 2, 1.0, (200, 300), [1.0]), StaticSynapse()),
        ],
        [random_stimulus(rng, "src", 12, 120, 0.12)], 120,
    )  # fmt: skip


def far() -> Program:
    """Cells on several cores with ring buffers of 64 steps, and delays of up to 100: one stage of delay extension."""
    rng = np.random.default_rng(6)
    n, delays = 500, [1.0, 40.0, 63.0, 64.0, 65.0, 100.0]
    recurrent = np.column_stack([rng.integers(0, 260, (n, 2)), rng.uniform(0.3, 1, n), rng.choice(delays, n)])
    return program(
        [Population("src", 12, SpikeSourceArray()), Population("cells", 260, cell(tau_refrac=9.0))],
        [
            Projection("src", "cells", random_synapses(rng, 12, 260, 0.2, (1, 3), [1.0, 5.0, 64.0]), StaticSynapse()),
            Projection("cells", "cells", FromListConnector(recurrent), StaticSynapse()),
        ],
        [random_stimulus(rng, "src", 12, 110, 0.04)], 110,
    )  # fmt: skip


def staged() -> Program:
    """Cells on one core with ring buffers of 32 steps, and delays of up to 100: three stages."""
    rng = np.random.default_rng(8)
    n, delays = 300, [1.0, 32.0, 33.0, 64.0, 65.0, 100.0]
    recurrent = np.column_stack([rng.integers(0, 130, (n, 2)), rng.uniform(0.3, 1, n), rng.choice(delays, n)])
    return program(
        [Population("src", 8, SpikeSourceArray()), Population("cells", 130, cell(tau_refrac=9.0))],
        [
            Projection("src", "cells", random_synapses(rng, 8, 130, 0.2, (1, 3), [1.0, 5.0]), StaticSynapse()),
            Projection("cells", "cells", FromListConnector(recurrent), StaticSynapse()),
        ],
        [random_stimulus(rng, "src", 8, 120, 0.04)], 120,
    )  # fmt: skip


def crowded() -> Program:
    """Populations that fire together, whose sums are cut off: learning in small steps forbids ring buffers that hold all."""
    rule = STDP(SpikePairRule(20.0, 17.0, 0.01, 0.007), AdditiveWeightDependence(0.0, 1.0), "deferred")
    volleys, unit = np.divmod(np.arange(600), 100)

    def everyone(weight: float) -> FromListConnector:
        return FromListConnector([(i, j, weight, 1.0) for i in range(100) for j in range(4)])

    return program(
        [*(Population(name, 100, SpikeSourceArray()) for name in ("one", "two", "three")), Population("cells", 4, cell())],
        [
            Projection("one", "cells", everyone(1.0), StaticSynapse()),
            Projection("two", "cells", everyone(0.9), StaticSynapse(), plasticity=rule),
            Projection("three", "cells", everyone(0.95), StaticSynapse()),
        ],
        [Stimulus(name, unit, 1.0 + 5 * volleys) for name in ("one", "two", "three")], 32,
    )  # fmt: skip


def medium() -> Program:
    """1,000 cells, for booting only."""
    rng = np.random.default_rng(7)
    n = 3000
    pairs = np.column_stack([rng.integers(0, 800, n), rng.integers(0, 800, n), rng.uniform(0.2, 1, n), rng.integers(1, 16, n)])
    across = np.column_stack([rng.integers(0, 800, n), rng.integers(0, 200, n), rng.uniform(0.2, 1, n), rng.integers(1, 40, n)])
    back = np.column_stack([rng.integers(0, 200, n), rng.integers(0, 800, n), rng.uniform(0.2, 1, n), rng.integers(1, 16, n)])
    return program(
        [Population("src", 50, SpikeSourceArray()), Population("exc", 800, cell()), Population("inh", 200, cell())],
        [
            Projection("src", "exc", random_synapses(rng, 50, 800, 0.02, (1, 3), [1.0]), StaticSynapse()),
            Projection("exc", "exc", FromListConnector(pairs), StaticSynapse(), plasticity=RULE),
            Projection("exc", "inh", FromListConnector(across), StaticSynapse()),
            Projection("inh", "exc", FromListConnector(back), StaticSynapse(), "inhibitory"),
        ],
        [random_stimulus(rng, "src", 50, 10, 0.1)], 10,
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], Program]] = {
    "balanced": balanced,
    "half a millisecond": functools.partial(balanced, 0.5),
    "learning": learning,
    "far": far,
    "staged": staged,
    "crowded": crowded,
    "medium": medium,
    "small": small,
}


def boards_of_16() -> dict[str, Board]:
    """The boards with cores for 16 neurons."""
    neurons = {"core.neurons": replace(board_named("spinn5").limits["core.neurons"], value=16)}
    return {name: replace(board, limits=board.limits | neurons) for name, board in limits.boards().items()}


SMALL_CORES = boards_of_16()


@contextmanager
def board_for(name: str) -> Iterator[None]:
    """Cores of 16 neurons for the networks that are to have several cores for each population."""
    with pytest.MonkeyPatch.context() as patch:
        if name in ("balanced", "half a millisecond"):
            patch.setattr(limits, "boards", lambda: SMALL_CORES)
        yield


def export_networks(place: Path, names: Collection[str]) -> dict[str, Path]:
    """Write the packages of these networks, and return their folders."""
    found = {}
    for name in names:
        if name == "ca3-cam":
            plan, _ = export_memory(ca3_cam(n_cues=5, n_content=10), functional(5, 10))
        else:
            with board_for(name):
                plan, _ = export_program(NETWORKS[name](), name)
        found[name] = place / name.replace(" ", "_")
        plan.write(found[name])
    return found
