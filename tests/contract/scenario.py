"""Scenarios: small networks with what must come out of them, run side by side in one network.

Some engines compile for seconds before they run. So all scenarios of one ``Group`` are joined
into one network, which an engine runs once; each scenario then looks at its own part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from neuromem.ir import Drive, Program, Recording, lower
from neuromem.ir.program import ProjectionTable
from neuromem.spec import IFCurrExp, Network, Population, Probe, Projection, SpikeSourceArray, StaticSynapse, Stimulus, View
from neuromem.spec.network import Variable

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Group:
    """What scenarios must share to be one network: the grid, and the steps without plasticity."""

    name: str
    dt: float
    frozen: tuple[tuple[int, int], ...] = ()

    def plastic(self, step: int) -> bool:
        """Tell whether weights may change in ``step``."""
        return not any(start <= step < stop for start, stop in self.frozen)


WHOLE = Group("whole", 1.0)
TENTH = Group("tenth", 0.1, ((20, 40), (70, 71)))


@dataclass(frozen=True)
class Part:
    """What one scenario sees of a recording: its own populations and projections, by their short names."""

    scenario: Scenario
    recording: Recording

    @cached_property
    def program(self) -> Program:
        """The scenario lowered alone: its tables are what was asked for, whatever the engine made of them."""
        return program_of(self.scenario.group, [self.scenario])

    def spikes(self, population: str) -> set[tuple[int, int]]:
        """The spikes (step, unit) within the scenario's steps."""
        steps, units = self.recording.spikes_of(self.scenario.long(population))
        return {(s, u) for s, u in zip(steps.tolist(), units.tolist(), strict=True) if s < self.scenario.n_steps}

    def steps(self, population: str, unit: int = 0) -> list[int]:
        """The spikes of one unit."""
        return sorted(s for s, u in self.spikes(population) if u == unit)

    def state(self, population: str, variable: str) -> np.ndarray:
        """A recorded state, shape (n_steps, size)."""
        return self.recording.states[self.scenario.long(population), variable][0, : self.scenario.n_steps]

    def weights(self, projection: str) -> np.ndarray:
        """Final weights, in the order of the projection's table."""
        return self.recording.weights[self.scenario.long(projection)][0]

    def table(self, projection: str) -> ProjectionTable:
        """The synapses of a projection."""
        return next(p for p in self.program.projections if p.name == self.scenario.long(projection))

    def pairs(self, projection: str) -> list[tuple[int, int]]:
        """The synapses of a projection as (pre, post), counted within the two ends."""
        t = self.table(projection)
        return list(zip((t.pre - t.pre_first).tolist(), (t.post - t.post_first).tolist(), strict=True))

    def parameter(self, population: str, name: str) -> np.ndarray:
        """A parameter of each cell, shape (size,)."""
        t = self.program.population(self.scenario.long(population))
        first = t.first - self.program.n_sources
        return self.program.cells.parameters[name][0, first : first + t.size]


@dataclass(frozen=True)
class Scenario:
    """A network that is quiet (or without plasticity) after ``n_steps``, and ``check``, which asserts what it must do."""

    name: str
    group: Group
    network: Network
    n_steps: int
    check: Callable[[Part], None]

    def long(self, name: str) -> str:
        """The name of an object in the joined network."""
        return f"{self.name}_{name}"

    def __repr__(self) -> str:
        return self.name


def scenario(
    name: str,
    group: Group,
    populations: tuple[Population, ...],
    projections: tuple[Projection, ...] = (),
    stimuli: tuple[Stimulus, ...] = (),
    states: tuple[tuple[str, Variable], ...] = (),
    *,
    n_steps: int,
    check: Callable[[Part], None],
) -> Scenario:
    """Make a scenario in which all spikes are recorded, and ``states`` = (population, variable) too."""
    probes = tuple(Probe(p.name) for p in populations) + tuple(Probe(p, v) for p, v in states)
    return Scenario(name, group, prefixed(Network(populations, projections, stimuli, probes), name), n_steps, check)


def prefixed(network: Network, name: str) -> Network:
    """Return ``network`` with every name beginning with ``name``."""

    def end(e: str | View) -> str | View:
        return f"{name}_{e}" if isinstance(e, str) else replace(e, population=f"{name}_{e.population}")

    return Network(
        tuple(replace(p, name=f"{name}_{p.name}") for p in network.populations),
        tuple(replace(p, name=f"{name}_{p.name}", pre=end(p.pre), post=end(p.post)) for p in network.projections),
        tuple(replace(s, population=f"{name}_{s.population}") for s in network.stimuli),
        tuple(replace(p, population=f"{name}_{p.population}") for p in network.probes),
    )


def joined(scenarios: Iterable[Scenario]) -> Network:
    """Return the scenarios side by side as one network."""
    networks = [s.network for s in scenarios]
    return Network(*(tuple(x for n in networks for x in getattr(n, kind)) for kind in ("populations", "projections", "stimuli", "probes")))


def program_of(group: Group, scenarios: Iterable[Scenario]) -> Program:
    """Lower the scenarios of a group together, for as long as the longest needs."""
    chosen = tuple(scenarios)
    assert chosen
    assert all(s.group is group for s in chosen)
    return lower(joined(chosen), dt=group.dt, n_steps=max(s.n_steps for s in chosen), seed=7, drive=Drive(frozen=group.frozen))


# What most scenarios are made of.

FIRES = 6.0
"""nA: one spike of this weight fires a ``relay`` in the step in which it arrives (3.292 would; 0.5 is far from it)."""


def relay(name: str, size: int, group: Group = WHOLE, **changes: object) -> Population:
    """Cells that fire in the step in which a spike of weight ``FIRES`` arrives, in every step if need be.

    Type A of the CA3 memory without refractoriness; its times, and cm with them, follow the grid,
    so that it does the same at every dt.
    """
    h = group.dt
    parameters = {"tau_m": 3 * h, "cm": 0.27 * h, "tau_syn_E": 0.3 * h, "tau_syn_I": 0.3 * h, "tau_refrac": 0.0}
    voltages = {"v_rest": -60.0, "v_reset": -60.0, "v_thresh": -57.0}
    return Population(name, size, IFCurrExp(**(parameters | voltages | changes), integrator="spinnaker"))  # type: ignore[arg-type]


def source(name: str, size: int) -> Population:
    return Population(name, size, SpikeSourceArray())


def stimulus(population: str, spikes: Iterable[tuple[float, int]]) -> Stimulus:
    """Source spikes (time in ms, unit)."""
    listed = sorted(spikes)
    return Stimulus(population, np.array([u for _, u in listed], dtype=np.int64), np.array([t for t, _ in listed], dtype=np.float64))


def state_bound(largest: float, n_steps: int) -> float:
    """How far two evaluations of one cell's recurrence may differ after ``n_steps``.

    A step is an affine map with factors at most 1 in size, so errors do not grow, they add. Each
    step makes at most 16 roundings (nine operations on v, two on each current, and five in the
    coefficients), each at most half an eps of the ``largest`` magnitude; two evaluations: twice.
    """
    return n_steps * 16 * EPS * largest


def weight_bound(n_events: int, w_max: float, amplitude: float) -> float:
    """How far two evaluations of a synapse's ``n_events`` events may differ.

    A trace is a sum of at most n terms below 1, n = n_events: at most n in size, and its relative
    error after n updates (decay, multiplication, addition) is at most 3 n eps. An event adds
    amplitude * trace (4 more roundings) and clips; clipping and the multiplicative rule's
    ``1 - amplitude * trace`` do not enlarge what was wrong before.
    """
    return n_events * (w_max + amplitude * n_events) * (3 * n_events + 4) * EPS


__all__ = [
    "EPS", "FIRES", "TENTH", "WHOLE", "Group", "Part", "Projection", "Scenario", "StaticSynapse", "joined", "prefixed", "program_of",
    "relay", "scenario", "source", "state_bound", "stimulus", "weight_bound",
]  # fmt: skip
