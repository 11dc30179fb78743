"""The Program: what a definition is after ``lower``, and what every backend executes.

Units are numbered sources first, then neurons, each in the order of their populations. Times
are whole steps. Every table with a leading axis R has one row for all replicas (R = 1) or one
row for each of the B replicas of a batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from neuromem.ir.ops import Op
from neuromem.quantities import steps_covering
from neuromem.spec.plasticity import STDP

NEVER = -(1 << 40)
"""The step of a spike that has not happened."""

# Traces are forgotten when they have decayed below this: relative to one spike's trace it is
# 14 orders of magnitude under the rounding of a double.
TRACE_FLOOR = 1e-30


@dataclass(frozen=True)
class PopulationTable:
    """Units ``first <= unit < first + size``; ``is_source`` tells sources from neurons."""

    name: str
    cell: str
    role: str
    first: int
    size: int
    is_source: bool


@dataclass(frozen=True, eq=False)
class CellTable:
    """The neurons: ``parameters[name]`` and ``initial[name]`` of shape (R, n), ``spinnaker`` of shape (n,)."""

    parameters: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray]
    spinnaker: np.ndarray

    @property
    def n(self) -> int:
        """Number of neurons."""
        return int(self.spinnaker.size)


@dataclass(frozen=True, eq=False)
class Coefficients:
    """One step of every cell, whatever its integrator, as one affine map; arrays of shape (R, n)::

        isyn_exc <- isyn_exc + scale_exc * arriving_exc            (and inh)
        v        <- v_rest + keep * (v - v_rest) + gain_exc * isyn_exc - gain_inh * isyn_inh + drift
        isyn_exc <- isyn_exc * decay_exc                           (and inh)

    With h = dt, ``keep = exp(-h/tau_m)`` and ``drift = (1 - keep) i_offset tau_m / cm``.
    ``exact``: scale 1 and gain ``(h/cm) keep expm1(x)/x`` with ``x = h/tau_m - h/tau_syn``, which
    is ``(exp(-h/tau_m) - exp(-h/tau_syn)) / (cm (1/tau_syn - 1/tau_m))`` without its removable
    singularity. ``spinnaker``: scale ``(tau_syn/h)(1 - exp(-h/tau_syn))``, gain ``(1 - keep) tau_m/cm``.
    """

    v_rest: np.ndarray
    v_reset: np.ndarray
    v_thresh: np.ndarray
    keep: np.ndarray
    gain_exc: np.ndarray
    gain_inh: np.ndarray
    drift: np.ndarray
    scale_exc: np.ndarray
    scale_inh: np.ndarray
    decay_exc: np.ndarray
    decay_inh: np.ndarray
    refractory: np.ndarray


@dataclass(frozen=True, eq=False)
class ProjectionTable:
    """The synapses of one projection, in the connector's order.

    ``pre`` and ``post`` are unit numbers (int64), ``delay`` whole steps (int64), ``weight`` has
    shape (R, n_synapses) in nA. ``pre_first``, ``n_pre`` and ``post_first``, ``n_post`` give the
    ranges of units that the projection connects.
    """

    name: str
    pre_name: str
    post_name: str
    connector: str
    receptor: str
    pre_first: int
    n_pre: int
    post_first: int
    n_post: int
    pre: np.ndarray
    post: np.ndarray
    delay: np.ndarray
    weight: np.ndarray
    plasticity: STDP | None = None

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return int(self.pre.size)


@dataclass(frozen=True)
class PoissonTable:
    """A Poisson population: spike probability per step, shape (R, size), between two steps."""

    name: str
    first: int
    probability: np.ndarray
    start: np.ndarray
    stop: np.ndarray


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is given to the network from outside, for ``n_steps`` steps from wherever it stands.

    Source spikes, sorted by (replica, step, unit) and each once; ``plastic[step]`` is 1 where
    weights may change.
    """

    n_steps: int
    replica: np.ndarray
    step: np.ndarray
    unit: np.ndarray
    plastic: np.ndarray

    def part(self, start: int, stop: int) -> Schedule:
        """Return the steps ``start <= step < stop``, counted from ``start``."""
        keep = (self.step >= start) & (self.step < stop)
        return Schedule(stop - start, self.replica[keep], self.step[keep] - start, self.unit[keep], self.plastic[start:stop])


@dataclass(frozen=True)
class ProbeTable:
    """Record ``variable`` of the units ``first <= unit < first + size``."""

    population: str
    variable: str
    first: int
    size: int


@dataclass(frozen=True, eq=False)
class Program:
    """A lowered network with its schedule. ``str(program)`` prints it; ``digest`` identifies it."""

    dt: float
    seeds: tuple[int, ...]
    populations: tuple[PopulationTable, ...]
    cells: CellTable
    projections: tuple[ProjectionTable, ...]
    poisson: tuple[PoissonTable, ...]
    probes: tuple[ProbeTable, ...]
    ops: tuple[Op, ...]
    schedule: Schedule = field(repr=False)

    @property
    def batch(self) -> int:
        """Number of independent replicas, B."""
        return len(self.seeds)

    @property
    def n_steps(self) -> int:
        """Number of steps of the schedule."""
        return self.schedule.n_steps

    @cached_property
    def n_sources(self) -> int:
        """Number of source units; the neuron of unit u is ``u - n_sources``."""
        return sum(p.size for p in self.populations if p.is_source)

    @cached_property
    def n_units(self) -> int:
        """Number of source units and neurons."""
        return sum(p.size for p in self.populations)

    @cached_property
    def max_delay(self) -> int:
        """Longest delay in steps, at least 1."""
        return max((int(p.delay.max()) for p in self.projections if p.n_synapses), default=1)

    @property
    def static(self) -> tuple[ProjectionTable, ...]:
        """The projections without plasticity."""
        return tuple(p for p in self.projections if p.plasticity is None)

    @property
    def plastic(self) -> tuple[ProjectionTable, ...]:
        """The projections with plasticity."""
        return tuple(p for p in self.projections if p.plasticity is not None)

    def population(self, name: str) -> PopulationTable:
        """Return the table of the population called ``name``."""
        return next(p for p in self.populations if p.name == name)

    def cells_of(self, population: PopulationTable) -> slice:
        """Return the places of a population's neurons in the table of cells."""
        first = population.first - self.n_sources
        return slice(first, first + population.size)

    def with_schedule(self, schedule: Schedule) -> Program:
        """Return the same network with another schedule."""
        return replace(self, schedule=schedule)

    @cached_property
    def network_digest(self) -> str:
        """SHA-256 of the network alone, without its schedule and seeds, in hex."""
        sha = hashlib.sha256()
        sha.update(repr((self.dt, self.populations, self.probes, self.ops)).encode())
        for name in sorted(self.cells.parameters):
            _feed(sha, name, self.cells.parameters[name])
        for name in sorted(self.cells.initial):
            _feed(sha, name, self.cells.initial[name])
        _feed(sha, "spinnaker", self.cells.spinnaker)
        for table in self.projections:
            sha.update(repr((table.name, table.receptor, table.plasticity)).encode())
            for name in ("pre", "post", "delay", "weight"):
                _feed(sha, name, getattr(table, name))
        for source in self.poisson:
            for name in ("probability", "start", "stop"):
                _feed(sha, f"{source.name}.{name}", getattr(source, name))
        return sha.hexdigest()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that determines the run, in hex; the same on every machine."""
        sha = hashlib.sha256(self.network_digest.encode())
        for name in ("replica", "step", "unit", "plastic"):
            _feed(sha, name, getattr(self.schedule, name))
        return sha.hexdigest()

    @cached_property
    def coefficients(self) -> Coefficients:
        """The update of every cell over one step."""
        return _coefficients(self.cells, self.dt)

    def __str__(self) -> str:
        from neuromem.ir.text import program_text  # the printer needs the Program's type

        return program_text(self)


def _feed(sha: hashlib._Hash, name: str, array: np.ndarray) -> None:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    sha.update(f"{name}{little.dtype.str}{little.shape}".encode())
    sha.update(little.tobytes())


def _each(function: object, *arrays: np.ndarray) -> np.ndarray:
    """Apply a scalar function, once for each distinct combination of arguments."""
    stacked = np.stack([np.broadcast_to(a, np.broadcast_shapes(*(x.shape for x in arrays))).ravel() for a in arrays])
    distinct, inverse = np.unique(stacked, axis=1, return_inverse=True)
    values = np.array([function(*column) for column in distinct.T.tolist()])  # type: ignore[operator]
    return values[inverse.ravel()].reshape(np.broadcast_shapes(*(x.shape for x in arrays)))


def _coefficients(cells: CellTable, dt: float) -> Coefficients:
    p = cells.parameters
    spinnaker = cells.spinnaker.astype(np.float64)

    def gain(tau_m: float, cm: float, tau_syn: float, as_spinnaker: float) -> float:
        keep = math.exp(-dt / tau_m)
        if as_spinnaker:
            return -math.expm1(-dt / tau_m) * tau_m / cm
        x = dt / tau_m - dt / tau_syn
        if x > 0:  # the same with both exponentials falling, or exp(x) would overflow
            return dt / cm * math.exp(-dt / tau_syn) * -math.expm1(-x) / x
        return dt / cm * keep * (math.expm1(x) / x if x else 1.0)

    def scale(tau_syn: float, as_spinnaker: float) -> float:
        return -(tau_syn / dt) * math.expm1(-dt / tau_syn) if as_spinnaker else 1.0

    def decay(tau: float) -> float:
        return math.exp(-dt / tau)

    return Coefficients(
        v_rest=p["v_rest"],
        v_reset=p["v_reset"],
        v_thresh=p["v_thresh"],
        keep=_each(decay, p["tau_m"]),
        gain_exc=_each(gain, p["tau_m"], p["cm"], p["tau_syn_E"], spinnaker),
        gain_inh=_each(gain, p["tau_m"], p["cm"], p["tau_syn_I"], spinnaker),
        drift=_each(lambda tau_m, cm, i: -math.expm1(-dt / tau_m) * i * tau_m / cm, p["tau_m"], p["cm"], p["i_offset"]),
        scale_exc=_each(scale, p["tau_syn_E"], spinnaker),
        scale_inh=_each(scale, p["tau_syn_I"], spinnaker),
        decay_exc=_each(decay, p["tau_syn_E"]),
        decay_inh=_each(decay, p["tau_syn_I"]),
        refractory=_each(lambda tau: steps_covering(tau, dt), p["tau_refrac"]).astype(np.int64),
    )


def decay_table(tau: float, dt: float) -> np.ndarray:
    """Return ``exp(-k dt / tau)`` for k = 0, 1, ..., ending with the first value taken for zero.

    All backends look traces up here, so that they share every digit; index beyond the end
    means the last entry, 0.
    """
    n = math.ceil(-math.log(TRACE_FLOOR) * tau / dt)
    return np.array([math.exp(-k * dt / tau) for k in range(n)] + [0.0])
