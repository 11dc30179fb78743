"""The synapses of a core, decoded from its population table and its rows in SDRAM.

The table is counts of entries and of addresses, then five words an entry (one for each source population, and one for each of
its delay extensions) ``{key; mask; start 13 bits, colour bits 3, count 16; core mask 16, core shift 16; neurons per core 16, words
of bits 16}``, then a word an address (one for each projection) ``{row length 8 bits, address / 16 in 24}``. Row i of a source is::

    P, P words of plastic region, S, C, S static words, C controls of 16 bits

A static word is ``weight << 16 | delay << (type bits + index bits) | type << index bits | index``, a control its low half. The
plastic region is the tick of the row's last spike, its trace (S4.11, low half), and the weights (u16).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Protocol

import numpy as np

from neuromem.errors import FileError
from neuromem.hardware_targets.spinnaker.machine.mapping import CorePlan, MappedNetwork

REGION_SYNAPSE_PARAMETERS: Final = 4
REGION_TABLE: Final = 5
REGION_ROWS: Final = 6
_NO_ADDRESS: Final = 0xFFFFFF
_ROW_HEADER_WORDS: Final = 3
_TRACE_WORDS: Final = 2


class Readable(Protocol):
    """Memory that holds a core's regions."""

    def read(self, address: int, n_bytes: int, /) -> bytes:
        """Return ``n_bytes`` at ``address``."""


@dataclass(frozen=True, eq=False)
class Synapses:
    """The synapses onto a population; arrays of shape (n_synapses,), in the order of cores, table and rows.

    ``pre_population``: place of the source in ``MappedNetwork.populations``; ``pre``, ``post``: units of the populations;
    ``receptor``: 0 excitatory, 1 inhibitory; ``weight``: 16-bit words, which stand for ``weight 2^(shift - 15)`` nA with the shift
    of the receptor;
    ``delay``: ticks, those of delay extensions included; ``plastic``; ``last_pre`` and ``pre_trace``: tick and S4.11 trace of the
    row at the last spike of the pre neuron, of plastic synapses. ``projection``: number of the address within its entry, in table order.
    ``shifts``: by receptor. ``ring_depth``: ticks that the core itself can delay.
    """

    pre_population: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    receptor: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    plastic: np.ndarray
    last_pre: np.ndarray
    pre_trace: np.ndarray
    projection: np.ndarray
    shifts: tuple[int, ...]
    ring_depth: int


@dataclass(frozen=True)
class _Layout:
    """How the bits of a synaptic word are shared out."""

    index_bits: int
    type_bits: int
    delay_bits: int
    shifts: tuple[int, ...]


def has_synapses(plan: CorePlan) -> bool:
    """Whether a core has a population table."""
    return REGION_TABLE in plan.regions and plan.regions[REGION_TABLE].label == "PopTable"


def read_core(network: MappedNetwork, plan: CorePlan, sdram: Readable, addresses: Mapping[int, int]) -> Synapses:
    """Decode the synapses of one core."""
    words = plan.regions[REGION_SYNAPSE_PARAMETERS].words()
    layout = _Layout(words[2], words[3], words[4], words[7 : 7 + words[1]])
    table = np.frombuffer(sdram.read(addresses[REGION_TABLE], plan.regions[REGION_TABLE].size), "<u4").tolist()
    n_entries, n_addresses = (table[0], table[1]) if len(table) > 1 else (0, 0)
    lists = table[2 + 5 * n_entries : 2 + 5 * n_entries + n_addresses]
    columns: list[list[np.ndarray]] = []
    for entry in range(n_entries):
        key, mask, packed, _, _ = table[2 + 5 * entry : 7 + 5 * entry]
        senders = [c for c in network.cores if c.first_key is not None and c.first_key & mask == key]
        if not senders:
            raise FileError(f"{network.folder}: {plan.label} listens to the key {key:#010x}, which nobody sends; make the mapping again")
        start, count = packed & 0x1FFF, packed >> 16
        for projection, word in enumerate(lists[start : start + count]):
            if word >> 8 != _NO_ADDRESS:
                base = addresses[REGION_ROWS] + 16 * (word >> 8)
                columns += _read_block(network, senders, sdram, base, word & 0xFF, projection, layout)
    names = [f.name for f in fields(Synapses)][:10]
    joined = {name: _column([c[i] for c in columns]) for i, name in enumerate(names)}
    joined["post"] = joined["post"] + plan.low
    joined["plastic"] = joined["plastic"].astype(bool)
    return Synapses(**joined, shifts=layout.shifts, ring_depth=1 << layout.delay_bits)


def join(parts: Sequence[Synapses]) -> Synapses:
    """Return the synapses of several cores of one population."""
    names = [f.name for f in fields(Synapses)][:10]
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Synapses(**joined, shifts=parts[0].shifts, ring_depth=parts[0].ring_depth)


def _column(pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *pieces])


def _read_block(
    network: MappedNetwork, senders: Sequence[CorePlan], sdram: Readable, base: int, row_length: int, projection: int, layout: _Layout
) -> list[list[np.ndarray]]:
    """Decode the rows of one projection (or of what its delay extensions send)."""
    bytes_per_row = 4 * (row_length + 1 + _ROW_HEADER_WORDS)
    place = {p.name: i for i, p in enumerate(network.populations)}
    found = []
    row = 0
    for sender in sorted(senders, key=lambda c: c.low):
        size = sender.high - sender.low
        population = place[sender.population]
        for number in range(sender.n_keys):
            content = np.frombuffer(sdram.read(base + bytes_per_row * row, bytes_per_row), "<u4")
            extra = (number // size + 1) * sender.stage_steps if sender.is_delay else 0
            found.append(_read_row(content, population, sender.low + number % size, extra, projection, layout))
            row += 1
    return [f for f in found if len(f[0])]


def _read_row(words: np.ndarray, population: int, pre: int, extra: int, projection: int, layout: _Layout) -> list[np.ndarray]:
    """Return the columns of one row's synapses."""
    n_plastic_words = int(words[0])
    plastic_words = words[1 : 1 + n_plastic_words]
    n_static, n_plastic = int(words[1 + n_plastic_words]), int(words[2 + n_plastic_words])
    at = 3 + n_plastic_words
    static = words[at : at + n_static].astype(np.int64)
    controls = words[at + n_static :].view("<u2")[:n_plastic].astype(np.int64)
    weights = plastic_words[_TRACE_WORDS:].view("<u2")[:n_plastic].astype(np.int64)
    low = np.concatenate([controls, static & 0xFFFF])
    n = len(low)
    ones = np.ones(n, np.int64)
    is_plastic = np.arange(n) < n_plastic
    delay = low >> (layout.index_bits + layout.type_bits) & (1 << layout.delay_bits) - 1
    last, trace = (int(plastic_words[0]), int(plastic_words[1:2].view("<i2")[0])) if n_plastic_words else (0, 0)
    return [
        population * ones,
        pre * ones,
        low & (1 << layout.index_bits) - 1,
        low >> layout.index_bits & (1 << layout.type_bits) - 1,
        np.concatenate([weights, static >> 16]),
        np.where(delay == 0, 1 << layout.delay_bits, delay) + extra,
        is_plastic,
        np.where(is_plastic, last, 0),
        np.where(is_plastic, trace, 0),
        projection * ones,
    ]
