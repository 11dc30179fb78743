"""What ``fit`` returns: a Program as the board will hold it, and what had to be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.ir.program import Program

RECEPTORS = ("excitatory", "inhibitory")


@dataclass(frozen=True)
class Placement:
    """How one population is laid over cores, and what each of its cores must hold.

    ``ring_depth`` (steps) is how long a core itself can delay a spike, 0 for sources. ``stages``: delay-extension stages of
    this population as a source, each of ``stage_steps`` steps. ``shifts``: ring-buffer shift of each receptor. ``dtcm`` and
    ``sdram``: bytes on its fullest core, estimated.
    """

    name: str
    size: int
    is_source: bool
    neurons_per_core: int
    ring_depth: int
    shifts: tuple[int, int]
    input_buffer: int
    dtcm: int
    sdram: int
    stages: int = 0
    stage_steps: int = 0

    @property
    def n_cores(self) -> int:
        """Cores of the population itself."""
        return -(-self.size // self.neurons_per_core)

    @property
    def n_delay_cores(self) -> int:
        """Cores that delay its spikes: one for each of its own, where there are stages."""
        return self.n_cores if self.stages else 0


@dataclass(frozen=True)
class WeightFit:
    """What 16 bits made of the weights of one projection.

    ``resolution`` (nA) is the step between two weights; ``worst_error`` the largest relative error of a weight that is not
    zero; ``n_rounded`` weights changed, ``n_zeroed`` became zero, ``n_saturated`` reached the largest 16-bit number.
    """

    projection: str
    receptor: str
    plastic: bool
    n_synapses: int
    shift: int
    resolution: float
    largest: float
    n_rounded: int
    n_zeroed: int
    n_saturated: int
    worst_error: float


@dataclass(frozen=True)
class Load:
    """What may arrive at one receptor of one cell in one step, in nA, against what its ring buffer holds.

    ``volley``: all cells of one population at once, over synapses of one delay. ``worst``: everything at once.
    """

    population: str
    receptor: str
    shift: int
    capacity: float
    largest_weight: float
    volley: float
    worst: float

    @property
    def risk(self) -> str:
        """In a word or two: whether the sum can be cut off."""
        if self.worst < self.capacity:
            return "none"
        return "worst case" if self.volley < self.capacity else "a volley"


@dataclass(frozen=True)
class Resources:
    """What the whole network takes: cores with those of delay extensions, chips and boards at least, bytes of SDRAM, entries in a router at most."""

    cores: int
    chips: int
    boards: int
    sdram: int
    routing_entries: int
    packets_lost_at_worst: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A Program fitted to a kind of board.

    ``program`` holds the weights and parameters that the board's integers stand for, and the rules as the board applies them,
    so that every engine can run it. ``words[projection]`` are the 16-bit weights, shape (n_synapses,). ``notes`` say in
    sentences what differs from the definition, or is at risk. ``defined`` is the Program that was given.
    """

    defined: Program
    program: Program
    board: Board
    placements: tuple[Placement, ...]
    words: Mapping[str, np.ndarray]
    weights: tuple[WeightFit, ...]
    loads: tuple[Load, ...]
    resources: Resources
    notes: tuple[str, ...]

    def placement(self, population: str) -> Placement:
        """Return where the population called ``population`` is."""
        return next(p for p in self.placements if p.name == population)
