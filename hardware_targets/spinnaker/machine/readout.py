"""What neurons recorded, from a core's recording channels in SDRAM.

The region of recordings is the number of channels, then (space, bytes written, address) of each; bit 31 of the bytes says that
some did not fit. Channels 0 to 3 are v, isyn of both receptors, and spikes; 5 counts packets. A row is the tick and
one S1615 for each recorded unit, or a bit for each unit in whole words; rows of spikes are there only for ticks with spikes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.machine.mapping import CoreId, CorePlan, MappedPopulation, Region
from neuromem.hardware_targets.spinnaker.machine.memory import Buffer

STATES: Final = ("v", "gsyn_exc", "gsyn_inh")
_SPIKES, _PACKETS = 3, 5
_MISSING: Final = 1 << 31
_CHANNEL_SLACK: Final = 64
"""Bytes of heap that an allocation takes besides its own."""


@dataclass(frozen=True, eq=False)
class CoreRecording:
    """One run of one core. ``states[name]`` has shape (ticks, recorded units), ``units[name]`` their numbers in the
    population; ``spikes`` shape (n, 2): tick, unit; ``packets`` shape (ticks,)."""

    states: Mapping[str, np.ndarray]
    units: Mapping[str, np.ndarray]
    spikes: np.ndarray
    packets: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PopulationRecording:
    """What a population recorded.

    ``v``, ``gsyn_exc``, ``gsyn_inh``: int32 of shape (ticks, units recorded), S1615 in mV and nA; ``units[name]`` says which
    units. ``spikes``: int64 of shape (n, 2), tick and unit, sorted. ``packets``: by core, int64 of shape (ticks,), the packets
    that the core received in each tick, where they were recorded.
    """

    v: np.ndarray
    gsyn_exc: np.ndarray
    gsyn_inh: np.ndarray
    spikes: np.ndarray
    units: Mapping[str, np.ndarray]
    packets: Mapping[CoreId, np.ndarray]


def recording_region(plan: CorePlan) -> Region | None:
    """Return the region with the table of channels, if a core records."""
    return next((r for r in plan.regions.values() if r.label.lower() == "recording"), None)


def space(plan: CorePlan) -> int:
    """Return how many bytes of heap a core asks for at its start, to record in."""
    region = recording_region(plan)
    if region is None:
        return 0
    words = region.words()
    return sum(words[1 + 3 * i] + _CHANNEL_SLACK for i in range(words[0]))


def read_core(plan: CorePlan, sdram: Buffer, addresses: Mapping[int, int]) -> CoreRecording:
    """Read what a core recorded in its last run. Raises ``LimitError`` where its memory did not hold all."""
    region = recording_region(plan)
    channels = [] if region is None else _channels(plan, sdram, addresses[region.number])
    indices = _recorded_units(plan, sdram, addresses)
    states = {}
    units = {}
    for name, rows in zip(STATES, channels, strict=False):
        local = indices.get(name, np.empty(0, np.int64))
        units[name] = local + plan.low
        states[name] = rows.view(np.int32).reshape(-1, 1 + len(local))[:, 1:] if len(local) else np.empty((0, 0), np.int32)
    spikes = _spikes(channels[_SPIKES], plan) if len(channels) > _SPIKES else np.empty((0, 2), np.int64)
    packets = None
    if len(channels) > _PACKETS and len(channels[_PACKETS]):
        # a row counts what came since the row before, and the tick that closes a run has one too
        packets = channels[_PACKETS].reshape(-1, 2)[1:, 1].astype(np.int64)
    return CoreRecording(states, units, spikes, packets)


def merge(population: MappedPopulation, recorded: Mapping[CoreId, Sequence[CoreRecording]]) -> PopulationRecording:
    """Return the runs of all cores of a population, one behind the other."""
    parts = [recorded[s.core] for s in population.slices if s.core in recorded]
    runs = max((len(p) for p in parts), default=0)
    states = {}
    units = {}
    for name in STATES:
        own = [p for p in parts if p and len(p[0].units.get(name, ()))]
        units[name] = np.concatenate([p[0].units[name] for p in own]) if own else np.empty(0, np.int64)
        rows = [np.concatenate([p[run].states[name] for p in own], axis=1) for run in range(runs)] if own else []
        states[name] = np.concatenate(rows) if rows else np.empty((0, 0), np.int32)
    spikes = np.concatenate([np.empty((0, 2), np.int64), *(run.spikes for p in parts for run in p)])
    counted = {s.core: [r.packets for r in recorded.get(s.core, ()) if r.packets is not None] for s in population.slices}
    return PopulationRecording(
        v=states["v"],
        gsyn_exc=states["gsyn_exc"],
        gsyn_inh=states["gsyn_inh"],
        spikes=spikes[np.lexsort((spikes[:, 1], spikes[:, 0]))],
        units=units,
        packets={core: np.concatenate(found) for core, found in counted.items() if found},
    )


def _channels(plan: CorePlan, sdram: Buffer, address: int) -> list[np.ndarray]:
    """Return the words of every channel."""
    found = []
    for channel in range(sdram.word(address)):
        size, written, start = (sdram.word(address + 4 + 12 * channel + 4 * i) for i in range(3))
        if written & _MISSING:
            raise LimitError(
                f"core {plan.id[0]},{plan.id[1]},{plan.id[2]} ({plan.label}): recording channel {channel} needs more than its "
                f"{size} bytes; record less, or run fewer ticks at once"
            )
        found.append(np.frombuffer(sdram.read(start, written) if written else b"", "<u4"))
    return found


def _recorded_units(plan: CorePlan, sdram: Buffer, addresses: Mapping[int, int]) -> dict[str, np.ndarray]:
    """Return which neurons of a core record each state: the table that neuron_expander wrote.

    It is two counts, then for each state (every how many ticks, how many neurons, bytes of each), and for each neuron a 16-bit place in the
    row, which is the number of neurons for one that does not record.
    """
    region = next((r for r in plan.regions.values() if r.label == "neuron recording"), None)
    if region is None:
        return {}
    size = plan.high - plan.low
    words = np.frombuffer(sdram.read(addresses[region.number], region.size), "<u4")
    at = 2
    found = {}
    for name in STATES:
        rate, n_recorded = int(words[at]), int(words[at + 1])
        n_words = -(-size // 2)
        places = words[at + 3 : at + 3 + n_words].view("<u2")[:size]
        at += 3 + n_words
        units = np.flatnonzero(places < n_recorded) if rate else np.empty(0, np.int64)
        found[name] = units[np.argsort(places[units], kind="stable")]
    return found


def _spikes(words: np.ndarray, plan: CorePlan) -> np.ndarray:
    """Return (tick, unit) of every spike."""
    size = plan.high - plan.low
    n_words = -(-size // 32)
    rows = words.reshape(-1, 1 + n_words)
    bits = np.unpackbits(np.ascontiguousarray(rows[:, 1:]).view(np.uint8), axis=1, bitorder="little")[:, :size]
    row, unit = np.nonzero(bits)
    return np.stack([rows[row, 0].astype(np.int64), unit + plan.low], axis=1)
