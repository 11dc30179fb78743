"""A network: populations, projections, stimuli and probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from neuromem.errors import SpecError, listing, nearest
from neuromem.spec.connectors import Connector
from neuromem.spec.plasticity import PlasticityRule
from neuromem.spec.population import Population, View
from neuromem.spec.synapses import StaticSynapse
from neuromem.spec.value import Value, frozen_array, named

Receptor = Literal["excitatory", "inhibitory"]
Variable = Literal["spikes", "v", "isyn_exc", "isyn_inh"]


@named
@dataclass(frozen=True, eq=False, repr=False)
class Projection(Value):
    """Synapses from ``pre`` to ``post`` (population names or views) on one receptor.

    With ``plasticity``, the weights of ``synapse`` are the initial ones. ``name`` defaults to
    ``pre>post``, with ``:inh`` appended on the inhibitory receptor.
    """

    pre: str | View
    post: str | View
    connector: Connector
    synapse: StaticSynapse
    receptor: Receptor = "excitatory"
    plasticity: PlasticityRule | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for side in ("pre", "post"):
            end = getattr(self, side)
            if isinstance(end, Population):
                object.__setattr__(self, side, end.name)
            elif not isinstance(end, str | View):
                raise SpecError(f"Projection {self.name!r}: {side} = {end!r}; expected a population's name or a view.")
        if not self.name:
            suffix = ":inh" if self.receptor == "inhibitory" else ""
            object.__setattr__(self, "name", f"{_end(self.pre)}>{_end(self.post)}{suffix}")
        owner = f"Projection {self.name!r}"
        if self.receptor not in get_args(Receptor):
            raise SpecError(f"{owner}: receptor = {self.receptor!r}; expected 'excitatory' or 'inhibitory'.")
        for field, kind in (("connector", Connector), ("synapse", StaticSynapse)):
            if not isinstance(getattr(self, field), kind):
                raise SpecError(f"{owner}: {field} = {getattr(self, field)!r}; expected a {kind.__name__}.")
        if self.plasticity is not None and not isinstance(self.plasticity, PlasticityRule):
            raise SpecError(f"{owner}: plasticity = {self.plasticity!r}; expected a rule such as STDP(...) or Hebbian(), or None.")


def _end(end: str | View) -> str:
    return end if isinstance(end, str) else f"{end.population}[{end.start}:{end.stop}]"


@named
@dataclass(frozen=True, eq=False, repr=False)
class Stimulus(Value):
    """Spikes of a ``SpikeSourceArray``: unit ``units[k]`` spikes at ``times[k]`` (ms, whole steps)."""

    population: str
    units: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        units, times = np.asarray(self.units), np.asarray(self.times, dtype=np.float64)
        if units.shape != times.shape or units.ndim != 1:
            raise SpecError(
                f"Stimulus of {self.population!r}: units of shape {units.shape}, times of shape {times.shape}; expected two vectors of one length."
            )
        if units.size and not np.issubdtype(units.dtype, np.integer):
            raise SpecError(f"Stimulus of {self.population!r}: units of type {units.dtype}; expected unit numbers, integers.")
        object.__setattr__(self, "units", frozen_array(units, np.int64))
        object.__setattr__(self, "times", frozen_array(times))


@named
@dataclass(frozen=True)
class Probe:
    """Record ``variable`` of all units of a population: its spikes, or its state at the end of every step."""

    population: str
    variable: Variable = "spikes"

    def __post_init__(self) -> None:
        if self.variable not in get_args(Variable):
            raise SpecError(f"Probe of {self.population!r}: variable = {self.variable!r}; expected one of {', '.join(get_args(Variable))}.")


@named
@dataclass(frozen=True)
class Network:
    """Everything that is simulated; equal by value. ``neuromem.check`` tells what is wrong with one."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...] = ()
    stimuli: tuple[Stimulus, ...] = ()
    probes: tuple[Probe, ...] = ()

    def population(self, name: str) -> Population:
        """Return the population called ``name``; raise ``SpecError`` with the valid names otherwise."""
        for population in self.populations:
            if population.name == name:
                return population
        names = [p.name for p in self.populations]
        raise SpecError(f"Network: no population {name!r}; it has {listing(names)}{nearest(name, names)}.")
