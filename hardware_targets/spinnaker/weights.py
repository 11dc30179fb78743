"""Ring-buffer shifts, what they do to the weights, and what may arrive in one step.

A receptor's weights are 16-bit integers of ``2^(shift - 15)`` nA, summed in ring buffers of 16 bits that stop at their largest
value. A larger shift takes larger sums; a smaller one rounds less. sPyNNaker guesses the sum from a firing rate of 30 Hz;
memories recall in synchronous volleys, so the shift is chosen here, and written into the export:

1. so that everything at once (``worst``) still fits, if no weight, and no step of learning, is then off by more than 1/128;
2. else the largest shift that keeps this precision, but one in which a volley of a whole population still fits;
3. never one that cannot hold the largest single weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.fitted import RECEPTORS, Load, WeightFit
from neuromem.hardware_targets.spinnaker.fixed_point import weight_of_words, weight_words
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.hardware_targets.spinnaker.splits import incoming
from neuromem.ir.program import PopulationTable, Program, ProjectionTable

COARSEST = 1 / 128
"""Largest relative error of a weight for which the worst case is given room."""


@dataclass(frozen=True)
class Sums:
    """What may arrive at one receptor of a population in one step: the largest weight, volley and sum of all (nA)."""

    largest: float
    volley: float
    worst: float


def strongest(p: ProjectionTable) -> np.ndarray:
    """Return the largest weight that each synapse can have (nA)."""
    return p.weight[0] if p.plasticity is None else np.full(p.n_synapses, p.plasticity.weight_dependence.w_max)


def sums_of(program: Program, population: PopulationTable, receptor: str) -> Sums:
    """Return what may arrive at a receptor in one step."""
    tables = [p for p in incoming(program, population.name) if p.receptor == receptor]
    worst = np.zeros(population.size)
    volleys: dict[tuple[str, int], np.ndarray] = {}
    for p in tables:
        weight, cell = strongest(p), p.post - population.first
        worst += np.bincount(cell, weight, population.size)
        for delay in np.unique(p.delay).tolist():
            chosen = p.delay == delay
            volley = volleys.setdefault((p.pre_name, delay), np.zeros(population.size))
            volley += np.bincount(cell[chosen], weight[chosen], population.size)
    return Sums(
        max((float(strongest(p).max()) for p in tables), default=0.0),
        max((float(v.max()) for v in volleys.values()), default=0.0),
        float(worst.max(initial=0.0)),
    )


def shift_for(load: float) -> int:
    """Return the least shift whose ring buffer holds ``load`` nA: ``load < 2^shift``."""
    return max(0, math.frexp(load)[1])  # load = m 2^e with 1/2 <= m < 1


def fine_values(program: Program, population: str, receptor: str) -> np.ndarray:
    """Return the weights and learning amplitudes (nA, not zero) that a receptor's resolution must resolve."""
    values = [np.zeros(0)]
    for p in incoming(program, population):
        if p.receptor == receptor:
            values.append(p.weight[0])
            if p.plasticity is not None:
                timing, limits = p.plasticity.timing, p.plasticity.weight_dependence
                values.append(np.array([timing.A_plus, timing.A_minus, limits.w_min, limits.w_max]))
    joined = np.concatenate(values)
    return np.unique(joined[joined > 0])


def worst_error(values: np.ndarray, shift: int) -> float:
    """Return the largest relative error that rounding to a shift's resolution makes."""
    kept = weight_of_words(weight_words(values, shift), shift)
    return float(np.max(np.abs(kept - values) / values, initial=0.0))


def choose_shift(program: Program, population: PopulationTable, receptor: str, board: Board) -> int:
    """Return the shift of one receptor; raise ``LimitError`` when a single weight is too large for any."""
    sums, most = sums_of(program, population, receptor), board["numbers.largest_shift"]
    capacity = 65535 * 2.0 ** (most - 15)
    if sums.largest > capacity:
        raise LimitError(
            f"Population {population.name!r}, {receptor}: a weight of {sums.largest:g} nA; expected at most {capacity:g} nA, the largest that 16 bits hold: smaller weights and cm."
        )
    least = min(most, shift_for(sums.largest))
    values = fine_values(program, population.name, receptor)
    shift = min(most, shift_for(sums.worst))
    while shift > max(least, min(most, shift_for(sums.volley))) and worst_error(values, shift) > COARSEST:
        shift -= 1
    return max(shift, least)


def load_of(program: Program, population: PopulationTable, receptor: str, shift: int) -> Load:
    """Return the load of a receptor against its capacity, ``65535 2^(shift - 15)`` nA."""
    sums = sums_of(program, population, receptor)
    return Load(population.name, receptor, shift, 65535 * 2.0 ** (shift - 15), sums.largest, sums.volley, sums.worst)


def quantise(p: ProjectionTable, shift: int) -> tuple[ProjectionTable, np.ndarray, WeightFit]:
    """Return a projection with the weights that the board holds, their 16-bit words, and what that changed.

    Raises ``LimitError`` where a weight that is not zero becomes zero, or steps of learning are below the resolution.
    """
    weight, resolution = p.weight[0], 2.0 ** (shift - 15)
    words = weight_words(weight, shift)
    full = words > 65535
    words = np.minimum(words, 65535)
    kept = weight_of_words(words, shift)
    zeroed = (words == 0) & (weight != 0)
    if np.any(zeroed):
        least = float(weight[weight != 0].min())
        raise LimitError(
            f"Projection {p.name!r}: {int(zeroed.sum())} of {p.n_synapses} weights, down to {least:g} nA, would become 0; expected at least {resolution:g} nA, the resolution of the {p.receptor} receptor of {p.post_name!r}, whose largest weight or sum needs a shift of {shift}: weights nearer to one another, or cm and all weights scaled together."
        )
    if p.plasticity is not None:
        _check_learning(p, resolution)
    changed = weight != 0
    error = float(np.max(np.abs(kept - weight)[changed] / weight[changed], initial=0.0))
    fit = WeightFit(
        p.name,
        p.receptor,
        p.plasticity is not None,
        p.n_synapses,
        shift,
        resolution,
        float(strongest(p).max(initial=0.0)),
        int(np.sum(kept != weight)),
        int(zeroed.sum()),
        int(full.sum()),
        error,
    )
    return replace(p, weight=kept[None, :]), words, fit


def _check_learning(p: ProjectionTable, resolution: float) -> None:
    rule = p.plasticity
    assert rule is not None
    for name in ("A_plus", "A_minus"):
        amplitude = getattr(rule.timing, name)
        if 0 < amplitude < resolution:
            raise LimitError(
                f"Projection {p.name!r}: {name} = {amplitude:g} nA; expected 0 or at least {resolution:g} nA, the resolution of its weights, or learning would be lost in rounding: larger steps, or fewer and smaller weights into {p.post_name!r}."
            )


def shifts_of(program: Program, board: Board) -> dict[str, tuple[int, int]]:
    """Return the shifts of both receptors of every population; 0, 0 for sources."""
    found = {}
    for population in program.populations:
        excitatory, inhibitory = ((0 if population.is_source else choose_shift(program, population, r, board)) for r in RECEPTORS)
        found[population.name] = (excitatory, inhibitory)
    return found
