"""What the CA3 memory needs of a board, at any size, without its tables of synapses.

``fit`` works on a Program, whose tables grow as C^2 + C M; a board takes more than they can. All projections of this memory
are one to one or dense, so their rows are known from its declaration: ``needs`` lays out cores as ``fit`` does, from the same
estimates of memory, and ``agrees_with_fit`` compares the two where both can be had.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from neuromem.hardware_targets.spinnaker.core_memory import CoreShape, Rows, ring_depth
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fixed_point import trace_table
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.ir import lower_memory
from neuromem.models import ca3_cam
from neuromem.spec import IFCurrExp, OneToOneConnector, Protocol, StaticSynapse, recall

SMALL = (2, 3)
"""A size at which the size of every population tells what it is made of: C, M, C + M or 1."""


@dataclass(frozen=True)
class Wire:
    """A projection at a size: ``n_pre`` cells of the whole pre population, weight (nA; the largest that it can have), delay (steps)."""

    pre: str
    post: str
    n_pre: int
    one_to_one: bool
    spares_itself: bool
    plastic: bool
    inhibitory: bool
    weight: float
    delay: int

    def longest_row(self, neurons: int, n_post: int) -> int:
        """Return the synapses of the longest row on a core with ``neurons`` of the ``n_post`` cells."""
        if self.one_to_one:
            return 1
        return n_post - 1 if self.spares_itself and neurons >= n_post else min(neurons, n_post)


@dataclass(frozen=True)
class Needs:
    """What a size needs. ``boards_by_cores`` and ``boards_by_sdram``: boards, if nothing but that counted.

    ``packets`` may reach a core in one step, against ``held`` that its input buffer takes, of the population where most are lost; ``inhibition``: the largest
    volley onto a cell, and all at once, in nA; ``inhibition_moves``: how far 1 nA moves v (mV). ``refused``: why it cannot be, or an empty string.
    """

    cores: int
    sdram: int
    boards_by_cores: int
    boards_by_sdram: int
    least_neurons: int
    packets: int
    held: int
    volley: float
    worst: float
    inhibition_moves: float
    refused: str
    layout: tuple[tuple[str, int, int, int, int], ...]

    @property
    def boards(self) -> int:
        """Boards at least."""
        return max(self.boards_by_cores, self.boards_by_sdram)


@functools.cache
def declared() -> tuple[dict[str, tuple[int, int, int]], tuple[Any, ...]]:
    """Return of each population how many C, M and 1 make its size, and the projections, as the model declares them."""
    c, m = SMALL
    network = ca3_cam(c, m).network
    made_of = {c: (1, 0, 0), m: (0, 1, 0), c + m: (1, 1, 0), 1: (0, 0, 1)}
    return {p.name: made_of[p.size] for p in network.populations}, network.projections


def wires(n_cues: int, n_content: int) -> tuple[dict[str, int], tuple[Wire, ...]]:
    """Return the size of every population and all projections of the memory at a size."""
    parts, projections = declared()
    sizes = {name: a * n_cues + b * n_content + one for name, (a, b, one) in parts.items()}
    found = []
    for p in projections:
        pre, post = (side if isinstance(side, str) else side.population for side in (p.pre, p.post))
        synapse, inhibitory = p.synapse, p.receptor == "inhibitory"
        assert isinstance(synapse, StaticSynapse)
        weight, delay = synapse.weight, synapse.delay
        assert isinstance(weight, float)
        assert isinstance(delay, float)
        if weight == 6.0 * SMALL[1]:  # the only weights that grow with the memory
            weight = 6.0 * n_content
        one, itself = isinstance(p.connector, OneToOneConnector), inhibitory and post == "s2_cue"
        if p.plasticity is not None:
            weight = p.plasticity.weight_dependence.w_max
        wire = Wire(pre, post, sizes[pre], one, itself, p.plasticity is not None, inhibitory, weight, int(delay))
        if wire.longest_row(1, sizes[post]):
            found.append(wire)
    return sizes, tuple(found)


def lay_out(name: str, size: int, into: tuple[Wire, ...], board: Board) -> CoreShape | None:
    """Return the core of a population with the largest input buffer that is of use, and then the most neurons, as ``fit`` does."""
    plastic = any(w.plastic for w in into)
    packets = sum({w.pre: w.n_pre for w in into}.values())
    full = max(board["core.input_buffer"], 2 ** math.ceil(math.log2(packets + 1)))
    lut = sum(-(-len(trace_table(3.0, 1.0)) // 2) for _ in range(2)) if plastic else 0
    best: CoreShape | None = None
    for n in range(min(size, board["core.neurons"]), 0, -1):
        depth = ring_depth(n, max(w.delay for w in into), board["core.ring_buffer_bits"])
        rows = tuple(Rows(w.n_pre, w.longest_row(n, size), w.plastic) for w in into)
        shape = CoreShape(n, depth, plastic, full, rows, lut)
        while shape.dtcm > board["core.dtcm"] and shape.input_buffer > board["core.input_buffer"]:
            shape = replace(shape, input_buffer=shape.input_buffer // 2)
        fits = shape.dtcm <= board["core.dtcm"] and max(row.words for row in rows) <= board["core.row_words"]
        if fits and (best is None or shape.input_buffer > best.input_buffer):
            best = shape
        if fits and shape.input_buffer == full:
            break
    return best


def needs(n_cues: int, n_content: int, board: Board) -> Needs:
    """Return what the memory needs of a board of this kind, or of several."""
    sizes, all_wires = wires(n_cues, n_content)
    layout, cores, sdram, lost = [], 0, 0, (-math.inf, 0, 0)
    for name, size in sizes.items():
        into = tuple(w for w in all_wires if w.post == name)
        if not into:  # a source
            n = min(size, board["core.neurons"])
            layout.append((name, n, 0, 0, 0))
            cores += -(-size // n)
            continue
        shape = lay_out(name, size, into, board)
        assert shape is not None, "the memory of a core with one neuron suffices at every size that is tried"
        n_cores = -(-size // shape.neurons)
        cores, sdram = cores + n_cores, sdram + n_cores * shape.sdram
        layout.append((name, shape.neurons, shape.input_buffer, shape.dtcm, shape.sdram))
        packets = sum({w.pre: w.n_pre for w in into}.values())
        lost = max(lost, (packets - (shape.input_buffer - 1), packets, shape.input_buffer - 1))
    inhibiting = [w for w in all_wires if w.inhibitory and w.post == "s2_cue"]
    volleys = [w.weight * (n_cues - 1) for w in inhibiting]
    gain = gain_of("s2_cue")
    reach = 6.0 * n_content * gain + 60.0
    refused = "numbers" if reach >= board["numbers.range"] else ("sdram" if max(q[4] for q in layout) > board["chip.sdram"] else "")
    return Needs(
        cores,
        sdram,
        -(-cores // board.application_cores),
        -(-sdram // (board["chip.sdram"] * board["board.chips"])),
        min(n for (name, n, *_) in layout if sizes[name] > 1),
        lost[1],
        lost[2],
        max(volleys, default=0.0),
        sum(volleys),
        gain,
        refused,
        tuple(layout),
    )


def gain_of(population: str) -> float:
    """Return by how much 1 nA of inhibition moves the aim of v (mV): ``(tau_m/cm) (tau_syn/dt) (1 - exp(-dt/tau_syn))``."""
    cell = next(p.cell for p in ca3_cam(*SMALL).network.populations if p.name == population)
    assert isinstance(cell, IFCurrExp)
    tau_m, cm, tau_syn = (value for value in (cell.tau_m, cell.cm, cell.tau_syn_I) if isinstance(value, float))
    return tau_m / cm * tau_syn * -math.expm1(-1.0 / tau_syn)


def agrees_with_fit(n_cues: int, n_content: int, board: Board) -> bool:
    """Tell whether ``needs`` and ``fit`` say the same of a size."""
    protocol = Protocol("one", (recall(0, cue=(0,)),), n_steps=8)
    fitted = fit(lower_memory(ca3_cam(n_cues, n_content), protocol), board)
    found, r = needs(n_cues, n_content, board), fitted.resources
    load = next(a for a in fitted.loads if (a.population, a.receptor) == ("s2_cue", "inhibitory"))
    layout = tuple((p.name, p.neurons_per_core, p.input_buffer, p.dtcm, p.sdram) for p in fitted.placements)
    same = (found.cores, found.boards, found.sdram, found.volley, found.worst, max(0, found.packets - found.held)) == (
        r.cores, r.boards, r.sdram, load.volley, load.worst, max(r.packets_lost_at_worst.values()),
    )  # fmt: skip
    return same and layout == found.layout


def largest(fits: Callable[[int], bool], most: int = 1 << 20) -> int:
    """Return the largest n up to ``most`` for which ``fits(n)``, by bisection; 0 if not even 1 does. What fits must fit smaller, too."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
