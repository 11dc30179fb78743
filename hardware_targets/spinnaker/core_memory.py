"""How much memory one core needs: tightly coupled memory (DTCM), which decides whether it boots, and SDRAM.

Both are estimates from the sizes of what the binaries allocate. The constants of DTCM were measured by booting the
released binaries in an ARM emulator with more and more neurons on a core until they gave up; they are rounded up, so that what
fits by this estimate boots.

A core of a delay extension counts, for each slot and each neuron, how often the neuron spiked. How much it can hold
was measured in the same way: for 1 to 8 stages of 2 to 4096 steps, what ``delay_neurons`` returns boots, and one neuron more
does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WORD = 4


def bits_for(n: int) -> int:
    """Return how many bits the board spends to number ``n`` things: ``ceil(log2 n)``, and one bit for one thing."""
    return 1 if n == 1 else math.ceil(math.log2(n))


def ring_depth(neurons: int, longest_delay: int, ring_buffer_bits: int) -> int:
    """Return over how many steps a core with ``neurons`` delays spikes by itself.

    ``min(2^bits(longest_delay), 2^(ring_buffer_bits - bits(neurons) - 1))``: its ring buffers have a cell for each neuron,
    each of two receptors and each slot, and 2^14 cells at most.
    """
    return int(min(2 ** bits_for(longest_delay), 2 ** (ring_buffer_bits - bits_for(neurons) - 1)))


def delay_slots(stages: int, steps: int) -> int:
    """Return the slots of a delay extension: the power of two above ``stages * steps``."""
    return int(2 ** (stages * steps).bit_length())


def delay_bytes(neurons: int, stages: int, steps: int) -> int:
    """Return the bytes of DTCM for the slots of a delay extension: each has a byte for every neuron, in whole words, and 12 more."""
    return delay_slots(stages, steps) * (WORD * -(-neurons // WORD) + DELAY_SLOT)


def delay_neurons(stages: int, steps: int, memory: int) -> int:
    """Return the most neurons whose slots fit in ``memory`` bytes, 0 where not even one's do."""
    return max(0, memory // delay_slots(stages, steps) - DELAY_SLOT) // WORD * WORD


def longest_reach(depth: int, most_stages: int, memory: int) -> int:
    """Return the longest delay (steps) from one neuron, through stages as long as the target's ring: ``depth * (1 + stages)``."""
    return depth * (1 + max((n for n in range(1, most_stages + 1) if delay_neurons(n, depth, memory)), default=0))


@dataclass(frozen=True)
class Rows:
    """The synapses that one source population, over one projection, has on a core: ``n_rows`` rows of at most ``longest`` synapses."""

    n_rows: int
    longest: int
    plastic: bool

    @property
    def words(self) -> int:
        """Words of a row without its header of three: a word a synapse, or 2 bytes of weight and 2 of control after a trace."""
        if not self.plastic:
            return self.longest
        return 2 + -(-2 * self.longest // WORD) + -(-self.longest // 2)

    @property
    def sdram(self) -> int:
        """Bytes of all rows, which are of one length."""
        return self.n_rows * (self.words + 3) * WORD


@dataclass(frozen=True)
class CoreShape:
    """What decides how much memory a core of neurons needs."""

    neurons: int
    ring_depth: int
    plastic: bool
    input_buffer: int
    rows: tuple[Rows, ...]
    lut_words: int = 0

    @property
    def ring_bytes(self) -> int:
        """Ring buffers: 2 bytes for each neuron number, receptor and slot."""
        return (4 << bits_for(self.neurons)) * self.ring_depth

    @property
    def dtcm(self) -> int:
        """Bytes of DTCM."""
        longest = max((row.words for row in self.rows), default=0)
        return (
            DTCM_FIXED
            + self.ring_bytes
            + self.neurons * (DTCM_NEURON + (DTCM_POST_EVENTS if self.plastic else 0))
            + self.input_buffer * WORD
            + 2 * (longest + 3) * WORD  # two buffers for rows
            + len(self.rows) * DTCM_ROWS
            + self.lut_words * WORD
        )

    @property
    def sdram(self) -> int:
        """Bytes of SDRAM, without recordings."""
        return SDRAM_FIXED + self.neurons * SDRAM_NEURON + sum(row.sdram for row in self.rows)


# Bytes of DTCM: code's data and stacks, a neuron with its recording places, 16 post events with traces, a row of the population table.
DTCM_FIXED = 10_200
DTCM_NEURON = 80
DTCM_POST_EVENTS = 104
DTCM_ROWS = 40
# Bytes of DTCM that each slot of a delay extension takes besides its counters: a pointer, and the heap's own.
DELAY_SLOT = 12
# Bytes of SDRAM, from the mappings of sPyNNaker 7.4.1 and rounded up: tables of a core; parameters and states of a neuron. Recordings are not in it.
SDRAM_FIXED = 2_000
SDRAM_NEURON = 160
