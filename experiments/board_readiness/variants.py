"""What a board does to a memory, one cause at a time: its numbers, its memory of spikes, its ring buffers, its input buffers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from neuromem.backends import Backend
from neuromem.backends.base import Checkpoint, Simulation
from neuromem.backends.spinnaker_emulator import SpinnakerEmulatorBackend, SpinnakerSimulation
from neuromem.backends.spinnaker_layout import SynapseLayout, cell_arrays, initial_state
from neuromem.hardware_targets.spinnaker.fit import quantise_all
from neuromem.hardware_targets.spinnaker.fitted import RECEPTORS, Fitted
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.hardware_targets.spinnaker.ranges import gain, resting_aim
from neuromem.hardware_targets.spinnaker.splits import incoming
from neuromem.hardware_targets.spinnaker.weights import load_of, shift_for, strongest, sums_of
from neuromem.ir.program import PopulationTable, Program

Alteration = Callable[[Fitted], Fitted]
"""Fitted -> another one, as a board with one thing changed would hold it."""

MANY_EVENTS = 1024
"""Post events that stand for all of them: more than any cell of these protocols ever has."""

RATE, SIGMAS = 30.0, 5.0
"""Spikes per second of every cell, and standard deviations, that sPyNNaker assumes where it estimates the sum in a ring buffer."""


@dataclass(frozen=True)
class Variant:
    """One way to run a memory. ``engine``: ``float`` or ``board``; ``events`` remembered (None: all); ``change`` to the fitted Program."""

    name: str
    label: str
    engine: str
    events: int | None
    change: Alteration | None = None


class AlteredSimulation(SpinnakerSimulation):
    """The emulator with a Fitted that was changed after ``fit``."""

    def __init__(self, program: Program, board: str, events: int | None, change: Alteration | None) -> None:
        super().__init__(program, board)
        fitted = self.fitted if change is None else change(self.fitted)
        self.fitted = fitted if events is None else replace(fitted, board=remembering(fitted.board, events))
        self.layout = SynapseLayout(self.fitted)
        self.cells = cell_arrays(self.fitted)
        self.state = initial_state(self.fitted, self.layout, self.cells)


class BoardBackend(Backend):
    """The emulator of a board with ``events`` post events (None: the board's own) and a change.

    One simulation is made for each network, and put back to its start for each Program, as ``fit`` takes longer than a run: so a
    simulation must be done with before the next one is built.
    """

    name: ClassVar[str] = "spinnaker-emulator, altered"
    support = SpinnakerEmulatorBackend.support

    def __init__(self, board: str = "spinn5", events: int | None = None, change: Alteration | None = None) -> None:
        self.board, self.events, self.change = board, events, change
        self.simulation: AlteredSimulation | None = None
        self._start: Checkpoint | None = None

    def _build(self, program: Program) -> Simulation:
        if self.simulation is None or self.simulation.program.network_digest != program.network_digest:
            self.simulation = AlteredSimulation(program, self.board, self.events, self.change)
            self._start = self.simulation.save()
        if self._start is not None:
            self.simulation.restore(self._start)
        self.simulation.program = program
        return self.simulation

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        return SpinnakerEmulatorBackend().versions()


def remembering(board: Board, events: int) -> Board:
    """Return a board that remembers ``events`` spikes of every cell, which no board does."""
    return replace(
        board, limits=board.limits | {"core.post_events": replace(board.limits["core.post_events"], value=events, source="an experiment")}
    )


def with_shifts(choose: Callable[[Program, PopulationTable, str], int]) -> Alteration:
    """Return the change that holds all weights with the shifts that ``choose(program, population, receptor)`` returns."""

    def change(fitted: Fitted) -> Fitted:
        pairs = zip(fitted.program.projections, fitted.defined.projections, strict=True)
        exact = replace(fitted.program, projections=tuple(replace(held, weight=defined.weight) for held, defined in pairs))
        shifts: dict[str, tuple[int, int]] = {}
        for p in exact.populations:
            excitatory, inhibitory = (0 if p.is_source else choose(exact, p, r) for r in RECEPTORS)
            shifts[p.name] = (excitatory, inhibitory)
        tables, words, weights = quantise_all(exact, shifts)
        return replace(
            fitted,
            program=replace(exact, projections=tables),
            words=words,
            weights=weights,
            placements=tuple(replace(q, shifts=shifts[q.name]) for q in fitted.placements),
            loads=tuple(load_of(exact, exact.population(a.population), a.receptor, shifts[a.population][RECEPTORS.index(a.receptor)]) for a in fitted.loads),
        )  # fmt: skip

    return change


def with_input_buffer(packets: int) -> Alteration:
    """Return the change that lets every core hold ``packets`` spikes of one step."""

    def change(fitted: Fitted) -> Fitted:
        return replace(fitted, placements=tuple(q if q.is_source else replace(q, input_buffer=packets + 1) for q in fitted.placements))

    return change


def five_sigma_shift(program: Program, population: PopulationTable, receptor: str) -> int:
    """Return the shift by sPyNNaker's estimate of a sum of Poisson spikes.

    With n synapses of mean weight m and standard deviation s onto a cell, and ``k = n rate dt`` spikes expected in a step, the
    sum has mean ``k m`` and variance ``k (m^2 + s^2)``; the estimate is the mean and five standard deviations, but at most the sum
    of all, and at least the largest weight. sPyNNaker 7.4.1 takes it where the delays of a projection differ among its
    synapses, and the sum of all where they do not (read in its ``population_vertex``); a plastic weight counts as ``w_max``.
    """
    sums = sums_of(program, population, receptor)
    counts, totals, squares = 0.0, 0.0, 0.0
    for p in incoming(program, population.name):
        if p.receptor == receptor:
            weight = strongest(p)
            n = int(np.bincount(p.post - population.first).max())
            counts += n
            totals += n * float(weight.mean())
            squares += n * float((weight**2).mean())
    expected = RATE * program.dt / 1000  # spikes of a cell in a step; k (m^2 + s^2) = expected times the sum of the squares
    estimate = expected * totals + SIGMAS * math.sqrt(expected * squares)
    return shift_for(max(min(estimate, sums.worst), sums.largest)) if counts else 0


def least_shift(program: Program, population: PopulationTable, receptor: str) -> int:
    """Return the least shift that holds the largest single weight: any two weights at once may be cut off."""
    return shift_for(sums_of(program, population, receptor).largest)


def shift_within_range(program: Program, population: PopulationTable, receptor: str) -> int:
    """Return the largest shift of use with which no sum, cut off or not, moves v beyond the range of the board's numbers; never one too small for a weight.

    ``2^(shift + 1) gain + |v_rest| < 65536``: a ring buffer stops just below ``2^(shift + 1)`` nA, and ``gain`` (mV) is how far 1 nA moves v.
    """
    sums, cells = sums_of(program, population, receptor), slice(population.first - program.n_sources, None)
    moves = float(gain(program, receptor)[cells][: population.size].max())
    room = (65536 - float(np.abs(resting_aim(program)[cells][: population.size]).max())) / moves
    return max(shift_for(sums.largest), min(shift_for(sums.worst), math.floor(math.log2(room)) - 1))


VARIANTS: Mapping[str, Variant] = {
    v.name: v
    for v in (
        Variant("float_all", "float, all events", "float", None),
        Variant("float_15", "float, 15 events", "float", 15),
        Variant("board", "board: fixed point, 15 events", "board", None),
        Variant("fixed_all", "fixed point, all events", "board", MANY_EVENTS),
        Variant("five_sigma", "with 5-sigma ring buffers", "board", MANY_EVENTS, with_shifts(five_sigma_shift)),
        Variant("least_shift", "with ring buffers for one weight", "board", MANY_EVENTS, with_shifts(least_shift)),
    )
}
"""What is compared. The last three remember all events, so that nothing but what they name is different from ``float_all``."""
