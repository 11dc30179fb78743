"""Threshold logic in LIF cells: from sums of small whole numbers to weights (nA) and thresholds (mV).

A *layer* is a population that decides once in a *cycle* of T steps, on spikes that arrive in one step: a cell fires if and only if

    E - I > theta,    E, I: the sums of the words of the excitatory and inhibitory synapses that spikes arrive at

Words are even whole numbers and ``theta`` is odd, so a sum is never nearer to it than 1. The cell of a layer is
IFCurrExp with the SpiNNaker integrator on a 1 ms grid, ``tau_syn_E = tau_syn_I = tau_s``. A weight of w nA moves its potential, m
steps after it arrives, by (``Coefficients`` of the Program: ``keep = exp(-dt/tau_m)``, ``decay = exp(-dt/tau_s)``)

    psp(m) = w k g (keep^(m+1) - decay^(m+1)) / (keep - decay)      k = (tau_s/dt) (1 - decay),  g = (1 - keep) tau_m / cm

which is largest at m = 0: k g = 0.893 mV/nA. So with ``weight = word u`` and ``v_thresh = v_rest + theta u k g`` the cell
computes the rule, for any u (nA per unit of a word), which is a power of two: then weights are the same in float64, and in 16 bits as
long as all words of a receptor sum to less than 2^15.

Two things take away from the distance of 1. What earlier cycles left: at most S sum_{m >= 1} psp(m T) / psp(0), where S is the
largest sum of a cell's words; T is the least number of steps that keeps this below ``LEFT_OVER``. And a board's arithmetic: its
constants are off by at most 2^-15.4 of a sum near theta, and each of its products, rounded down to 2^-15, takes less than 0.0003 mV in
all; u k g is at least 0.0039 mV while theta is at most ``MOST``. Together they stay below ``SLACK``. What remains
is for the weights: with every weight off by at most a fraction e, and ``load`` the largest E + I of which E - I is as near to theta as
can be, the answer is the same if ``e load < 1 - SLACK``. This e is the ``margin``.

A cell that fires is refractory until the next decision (T - 1 steps), so that it fires once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuromem.errors import UnsupportedError
from neuromem.spec.cells import IFCurrExp, SpikeSourceArray
from neuromem.spec.connectors import AllToAllConnector, ArrayConnector, Connector, OneToOneConnector
from neuromem.spec.network import Network, Probe, Projection
from neuromem.spec.population import Population
from neuromem.spec.synapses import StaticSynapse

DT = 1.0
TAU_M, TAU_SYN, CM, V_REST = 0.5, 0.3, 0.14, -60.0

LEFT_OVER = 1 / 16
"""Most that earlier cycles may leave, of the distance of 1."""

SLACK = 1 / 4
"""Part of the distance of 1 that is set aside: ``LEFT_OVER``, a board's constants 4096 2^-15.4 = 0.095, its products 0.0003 / 0.0039 = 0.077."""

INPUT, UNITS, ANSWER = "input", "units", "answer"
"""Names of the population at which patterns enter, of the layer whose volleys are states, and of the one that repeats the last of them."""

MOST = 4096
"""Largest theta and load."""

MOST_WORDS = 2**15 - 1
"""Largest sum of all words of a receptor: 16-bit weights hold it, and its smallest part, exactly."""

HIGHEST, STRONGEST = 32.0, 4096.0
"""A layer's u is the largest power of two with theta u k g <= 32 mV and the sum of a receptor's weights <= 4096 nA."""


@dataclass(frozen=True)
class Layer:
    """A population of cells that decide: ``threshold`` is theta, odd; ``load`` see the module."""

    name: str
    size: int
    threshold: int
    load: int
    role: str = ""

    def __post_init__(self) -> None:
        assert self.threshold % 2 == 1
        assert self.load >= self.threshold  # so that thresholds are within MOST, too


@dataclass(frozen=True, eq=False)
class Wire:
    """Synapses of words (n_pre, n_post), even whole numbers, 0 where there is none; the delay is ``cycles`` T + ``steps``."""

    pre: str
    post: str
    words: np.ndarray
    steps: int
    cycles: int = 0
    receptor: Literal["excitatory", "inhibitory"] = "excitatory"


@dataclass(frozen=True)
class Derived:
    """A layer as it came out: ``unit`` u (nA), ``v_thresh`` (mV), the largest sums of words, and the margin of its weights."""

    name: str
    size: int
    threshold: int
    unit: float
    v_thresh: float
    excitation: int
    inhibition: int
    margin: float


@dataclass(frozen=True)
class Circuit:
    """A network of layers with its cycle T (steps): what enters at ``INPUT`` is answered by the layer ``readout``, ``answer_at`` steps later."""

    network: Network
    cycle: int
    readout: str
    answer_at: int
    layers: tuple[Derived, ...]

    @property
    def margin(self) -> float:
        """Relative error of all weights that no decision notices: the least of the layers."""
        return min(layer.margin for layer in self.layers)


def response(lag: int) -> float:
    """Return psp(lag) of 1 nA (mV)."""
    keep, decay = math.exp(-DT / TAU_M), math.exp(-DT / TAU_SYN)
    k, g = -(TAU_SYN / DT) * math.expm1(-DT / TAU_SYN), -math.expm1(-DT / TAU_M) * TAU_M / CM
    return k * g * float(keep ** (lag + 1) - decay ** (lag + 1)) / (keep - decay)


def left_over(cycle: int) -> float:
    """Return sum_{m >= 1} psp(m cycle) / psp(0)."""
    return sum(response(m * cycle) for m in range(1, 64)) / response(0)


def cycle_for(largest: int, least: int) -> int:
    """Return T: the least number of steps, from ``least`` on, after which sums of ``largest`` are forgotten."""
    cycle = least
    while largest * left_over(cycle) > LEFT_OVER:
        cycle += 1
    return cycle


def unit_for(threshold: int, largest: int) -> float:
    """Return u (nA), see ``HIGHEST``."""
    most = min(HIGHEST / (threshold * response(0)), STRONGEST / max(largest, 1))
    return 2.0 ** math.floor(math.log2(most))


def repeated(n: int, updates: int, first: int) -> tuple[list[Layer], list[Wire]]:
    """Return what lets ``UNITS``, n cells, be updated N times: the cue's way in, a clock, and the way out.

    A cue sends words of ``first`` to its units, and starts ``clock``, N + 1 cells in a row that fire a cycle apart, the m-th with the state after
    m updates. ``ANSWER`` fires where a unit and the last of them do: 2 + 2 > 3.
    """
    cue, start, last = np.eye(n, dtype=np.int64), np.zeros((n, updates + 1), np.int64), np.zeros((updates + 1, n), np.int64)
    start[:, 0] = last[updates] = 2
    layers = [Layer("clock", updates + 1, 1, 2, "clock"), Layer(ANSWER, n, 3, 4, "readout")]
    wires = [
        Wire(INPUT, UNITS, first * cue, 1),
        Wire(INPUT, "clock", start, 1),
        Wire("clock", "clock", 2 * np.eye(updates + 1, k=1, dtype=np.int64), 0, 1),
        Wire("clock", ANSWER, last, 1),
        Wire(UNITS, ANSWER, 2 * cue, 1),
    ]
    return layers, wires


def assemble(
    name: str, n_inputs: int, layers: Sequence[Layer], wires: Sequence[Wire], shortest: int, steps: int, updates: int = 0
) -> Circuit:
    """Return the network of ``layers`` and of sources, in a cycle of at least ``shortest`` steps, answering after ``steps`` and ``updates`` cycles.

    Raises ``UnsupportedError``, with the figures, where sums are larger than the margin allows.
    """
    sums = {layer.name: _sums(layer, wires) for layer in layers}
    for layer in layers:
        _check(name, layer, *sums[layer.name])
    cycle = cycle_for(max(e + i for e, i in sums.values()), shortest)
    derived = []
    for layer in layers:
        unit = unit_for(layer.threshold, max(sums[layer.name]))
        # on a board's grid of 2^-15 mV, which is also the same on every machine, whatever its exp()
        v_thresh = V_REST + round(layer.threshold * unit * response(0) * 2**15) / 2**15
        derived.append(Derived(layer.name, layer.size, layer.threshold, unit, v_thresh, *sums[layer.name], margin=(1 - SLACK) / layer.load))
    units = {d.name: d.unit for d in derived}
    populations = (
        Population(INPUT, n_inputs, SpikeSourceArray(), "input"),
        *(Population(layer.name, layer.size, _cell(d.v_thresh, cycle), layer.role) for layer, d in zip(layers, derived, strict=True)),
    )
    projections = tuple(_projection(wire, units[wire.post], cycle) for wire in wires if wire.words.any())
    return Circuit(
        Network(populations, projections, probes=tuple(Probe(p.name) for p in populations)),
        cycle,
        ANSWER if updates else UNITS,
        steps + updates * cycle,
        tuple(derived),
    )


def _sums(layer: Layer, wires: Sequence[Wire]) -> tuple[int, int]:
    total = {"excitatory": np.zeros(layer.size, np.int64), "inhibitory": np.zeros(layer.size, np.int64)}
    for wire in wires:
        if wire.post == layer.name:
            total[wire.receptor] += wire.words.sum(axis=0)
    return int(total["excitatory"].max()), int(total["inhibitory"].max())


def _check(name: str, layer: Layer, excitation: int, inhibition: int) -> None:
    if layer.load > MOST:
        raise UnsupportedError(
            f"{name}: realise, {layer.name!r} tells sums of {layer.load} units apart by 1, a margin of {(1 - SLACK) / layer.load:.2g}; expected sums of at most {MOST}, a margin of {(1 - SLACK) / MOST:.2g}, or a board's rounding decides: fewer units, or smaller weights or thresholds."
        )
    if max(excitation, inhibition) > MOST_WORDS:
        raise UnsupportedError(
            f"{name}: realise, the weights of a cell of {layer.name!r} sum to {max(excitation, inhibition)} times the smallest; expected at most {MOST_WORDS}, which 16 bits hold without rounding: fewer units, or smaller weights."
        )


def _cell(v_thresh: float, cycle: int) -> IFCurrExp:
    return IFCurrExp(
        tau_m=TAU_M, cm=CM, v_rest=V_REST, v_reset=V_REST, v_thresh=v_thresh, tau_refrac=(cycle - 1) * DT,
        tau_syn_E=TAU_SYN, tau_syn_I=TAU_SYN, integrator="spinnaker",
    )  # fmt: skip


def _projection(wire: Wire, unit: float, cycle: int) -> Projection:
    there = wire.words != 0
    n_pre, n_post = there.shape
    connector: Connector
    if there.all():
        connector = AllToAllConnector()
    elif n_pre == n_post and np.array_equal(there, np.eye(n_pre, dtype=bool)):
        connector = OneToOneConnector()
    else:
        connector = ArrayConnector(there)
    words = wire.words[there]
    weight = float(words[0]) * unit if (words == words[0]).all() else words * unit
    return Projection(wire.pre, wire.post, connector, StaticSynapse(weight, (wire.cycles * cycle + wire.steps) * DT), wire.receptor)
