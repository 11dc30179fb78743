"""The emulated board: load, expand, boot, run, read.

The order is that of the host software: ``neuron_expander`` on every core that has its input, then ``synapse_expander``, then the real
binary; all cores then wait. A run is the command that says where to end, a release, and one tick after the other: the timer of every
core, then packets in rounds until nothing moves. One more tick closes the run, in which recordings are completed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Final, Self

import numpy as np

from neuromem.errors import LimitError, SpecError, listing, nearest
from neuromem.hardware_targets.spinnaker.machine import messages, provenance, readout, synaptic_matrix
from neuromem.hardware_targets.spinnaker.machine import registers as reg
from neuromem.hardware_targets.spinnaker.machine.core import Core
from neuromem.hardware_targets.spinnaker.machine.image import load_image
from neuromem.hardware_targets.spinnaker.machine.logs import read_log
from neuromem.hardware_targets.spinnaker.machine.mapping import CoreId, CorePlan, MappedNetwork, MappedPopulation, Region
from neuromem.hardware_targets.spinnaker.machine.memory import TABLE_REGIONS, ChipMemory
from neuromem.hardware_targets.spinnaker.machine.peripherals import Packet, SystemController
from neuromem.hardware_targets.spinnaker.machine.router import Router

SpikeTrains = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By population: ticks and units, of one length."""

_EXPANDERS: Final = (("neuron_expander", "neuron_builder"), ("synapse_expander", "ConnectorBuilderRegion"))
"""Binaries that write regions on the board, and the label of the region that each reads."""
_UNUSED_REGIONS: Final = ("SEND_BUFFER",)
"""Regions without a reader here, of up to a hundred megabytes."""
_LOG_TAIL: Final = 4


class _Chip:
    def __init__(self, x: int, y: int) -> None:
        self.memory = ChipMemory(x, y)
        self.controller = SystemController()


class Machine:
    """A mapped network on an emulated board, booted. Close it, or use it in a ``with`` block.

    A run is the same whenever it is repeated: cores run one after the other, in the order of placements.json at the timer and
    of (x, y, p) in a round of packets; and the packets of a round that reach a core wait there in the order of the ticks for which a delay
    extension held them (those of a population itself come first), then of their population in ``network.populations``, then of their neuron,
    whatever core sent them.

    Raises ``LimitError`` where a binary does not start, ``FileError`` where one is not there, and ``BackendMissingError``
    where sPyNNaker or Unicorn is not installed.
    """

    def __init__(self, network: MappedNetwork) -> None:
        self.network = network
        self.tick = 0
        """The next tick to run."""
        self._plans = {plan.id: plan for plan in network.cores if not plan.is_source}
        self._chips: dict[tuple[int, int], _Chip] = {}
        self._cores: dict[CoreId, Core] = {}
        self._addresses: dict[CoreId, dict[int, int]] = {}
        self._router = Router(network)
        self._phase = 0
        self._interrupted = False
        self._recorded: dict[CoreId, list[readout.CoreRecording]] = {core: [] for core in self._plans}
        try:
            for place in sorted({core[:2] for core in self._plans}):
                self._chips[place] = _Chip(*place)
            for core, plan in self._plans.items():
                chip = self._chips[core[:2]]
                self._cores[core] = Core(core[2], chip.memory, chip.controller)
                self._addresses[core] = self._write_regions(plan)
            for chip_at, chip in self._chips.items():
                chip.memory.set_recording_heap(sum(readout.space(p) for p in self._plans.values() if p.id[:2] == chip_at))
            for binary, label in _EXPANDERS:
                self._expand(binary, label)
            self._boot()
        except BaseException:
            self.close()
            raise

    def run(self, n_ticks: int, spikes: SpikeTrains | None = None, progress: Callable[[int], None] | None = None) -> None:
        """Run ``n_ticks`` ticks from where the last run ended, and close the run.

        ``spikes``: by name of a source population, the ticks at which its units spike, counted from the first run (those
        before ``tick`` or beyond the run are not sent). ``progress`` is called with every tick that is done.
        Ctrl-C is heard between two rounds of packets; a Machine that it stopped cannot run again.
        """
        if n_ticks < 1:
            raise SpecError(f"Machine.run: n_ticks is {n_ticks}; expected at least 1 tick; leave the call out to run none")
        if self._interrupted:
            raise SpecError("Machine.run: the run before was interrupted; expected a board between two runs; make a new Machine")
        injected = self._source_keys(spikes or {}, n_ticks)
        self._interrupted = True
        end = self.tick + n_ticks
        self._start(end)
        with _held_interrupts() as check:
            for tick in range(self.tick, end + 1):
                for emulated in self._cores.values():
                    emulated.timer.tick()
                    emulated.wake()
                    check()
                self._exchange([(key, None) for key in injected.get(tick, ())], check)
                self._check_states(reg.STATE_RUNNING if tick < end else reg.STATE_READY_TO_READ, f"tick {tick}")
                if progress is not None and tick < end:
                    progress(tick)
        self.tick = end
        self._phase += 1
        for core, plan in self._plans.items():
            self._recorded[core].append(readout.read_core(plan, self._chips[core[:2]].memory.sdram, self._addresses[core]))
        self._interrupted = False

    def recording(self) -> dict[str, readout.PopulationRecording]:
        """Return what every population has recorded since the board was booted, by name."""
        return {p.name: readout.merge(p, self._recorded) for p in self.network.populations if not p.is_source}

    def provenance(self) -> dict[CoreId, dict[str, int]]:
        """Return what every core has counted since the board was booted, by (x, y, p); it is written as a run is closed."""
        counted = {}
        for core, plan in self._plans.items():
            region = _region(plan, "provenance")
            if region is not None:
                content = self._chips[core[:2]].memory.sdram.read(self._addresses[core][region.number], region.size)
                words = tuple(int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4))
                counted[core] = provenance.named(words, plan.is_delay)
        return counted

    def synapses(self) -> dict[str, synaptic_matrix.Synapses]:
        """Return the synapses onto every population as they are in SDRAM now, by name."""
        found = {}
        for population in self.network.populations:
            parts = [
                synaptic_matrix.read_core(self.network, self._plans[s.core], self._chips[s.core[:2]].memory.sdram, self._addresses[s.core])
                for s in population.slices
                if s.core in self._plans and synaptic_matrix.has_synapses(self._plans[s.core])
            ]
            if parts:
                found[population.name] = synaptic_matrix.join(parts)
        return found

    def logs(self) -> dict[CoreId, tuple[str, ...]]:
        """Return the lines that every core has logged, by (x, y, p)."""
        return {core: self._log(core) for core in self._plans}

    def close(self) -> None:
        """Release all memory; nothing else can be asked of the Machine then."""
        for core in self._cores.values():
            core.close()
        self._cores = {}
        for chip in self._chips.values():
            chip.memory.close()
        self._chips = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write_regions(self, plan: CorePlan) -> dict[int, int]:
        """Write a core's regions and their table to SDRAM; return the address of each region."""
        memory = self._chips[plan.id[:2]].memory
        addresses: dict[int, int] = {}
        table = [(0, 0, 0)] * TABLE_REGIONS
        for number, region in plan.regions.items():
            if region.label in _UNUSED_REGIONS:
                continue
            address = memory.reserve(max(region.size, len(region.content)), f"region {number} of {plan.label}")
            addresses[number] = address
            content = region.content + b"\0" * (-len(region.content) % 4)
            memory.sdram.write(address, content)
            words = np.frombuffer(content, "<u4")
            table[number] = (address, int(words.sum(dtype=np.uint32)), len(words))
        memory.sysram.set_word(memory.vcpu(plan.id[2]) + reg.VCPU_USER0, memory.write_table(table))
        return addresses

    def _expand(self, binary: str, label: str) -> None:
        """Run an expander on every core that has the region it reads."""
        for core, plan in self._plans.items():
            region = next((r for r in plan.regions.values() if r.label == label), None)
            if region is None:
                continue
            memory = self._chips[core[:2]].memory
            memory.sysram.set_word(memory.vcpu(core[2]) + reg.VCPU_USER1, region.number)
            self._cores[core].load(load_image(binary))
            self._cores[core].start()
            self._check_state(core, reg.STATE_FINISHED, f"{binary} ran")

    def _boot(self) -> None:
        for core, plan in self._plans.items():
            self._cores[core].load(load_image(plan.binary))
            self._cores[core].start()
            self._check_state(core, reg.STATE_PAUSED, "it booted")

    def _start(self, end: int) -> None:
        """Tell all cores where to end, and let them go."""
        waiting = reg.STATE_SYNC1 if self._phase % 2 else reg.STATE_SYNC0
        for core, emulated in self._cores.items():
            chip = self._chips[core[:2]]
            messages.send(emulated, chip.memory, chip.controller, self.network.port, messages.RUNTIME, (end, 0, self.tick), b"\0" * 4)
            self._check_state(core, waiting, "it was told to run")
        for core, emulated in self._cores.items():
            # a core that waits for SYNC1 goes on when its flag is set, one that waits for SYNC0 when it is not
            self._chips[core[:2]].controller.flags = 0xFFFFFFFF if waiting == reg.STATE_SYNC1 else 0
            emulated.start()
            self._check_state(core, reg.STATE_RUNNING, "it was released")

    def _source_keys(self, spikes: SpikeTrains, n_ticks: int) -> dict[int, list[int]]:
        """Return the keys of the spikes to inject, by tick."""
        sources = {p.name: p for p in self.network.populations if p.is_source}
        keys: dict[int, list[int]] = {}
        for name, (ticks, units) in spikes.items():
            if name not in sources:
                raise SpecError(
                    f"Machine.run: spikes for {name!r}, which is no source population{nearest(name, sources)}; "
                    f"expected some of: {listing(sources)}"
                )
            first = self._first_keys(sources[name])
            for tick, unit in zip(np.asarray(ticks).tolist(), np.asarray(units).tolist(), strict=True):
                if not 0 <= unit < len(first):
                    raise SpecError(f"Machine.run: spikes for {name!r} have unit {unit}; expected 0 to {len(first) - 1}")
                if self.tick <= tick < self.tick + n_ticks and first[unit] >= 0:
                    keys.setdefault(tick, []).append(coloured(first[unit], tick))
        return keys

    def _first_keys(self, population: MappedPopulation) -> list[int]:
        """Return the key of each unit without colour; -1 where nothing listens."""
        keys: list[int] = []
        for piece in population.slices:
            plan = self.network.core(piece.core)
            keys += [-1 if plan.first_key is None else plan.first_key + (i << plan.colour_bits) for i in range(plan.high - plan.low)]
        return keys

    def _exchange(self, injected: list[Packet], check: Callable[[], None]) -> None:
        """Route packets in rounds, and run the cores that they reach, until nothing moves."""
        route = self._router.route
        cores = self._cores
        packets = injected
        while True:
            for core in cores.values():
                if core.port.sent:
                    packets += core.port.sent
                    core.port.sent = []
            if not packets:
                return
            arriving: dict[CoreId, list[Packet]] = {}
            for _, targets, packet in sorted((*route(p[0]), p) for p in packets):
                for target in targets:
                    arriving.setdefault(target, []).append(packet)
            for target in sorted(arriving):
                if target in cores:
                    cores[target].port.receive(arriving[target])
                    cores[target].wake()
                    check()
            packets = []

    def _check_states(self, expected: int, when: str) -> None:
        for core in self._plans:
            self._check_state(core, expected, when)

    def _check_state(self, core: CoreId, expected: int, when: str) -> None:
        memory = self._chips[core[:2]].memory
        block = memory.vcpu(core[2])
        state = memory.sysram.byte(block + reg.VCPU_STATE)
        if state == expected:
            return
        plan = self._plans[core]
        code = memory.sysram.byte(block + reg.VCPU_RT_CODE)
        last = "".join(f"\n  {line}" for line in self._log(core)[-_LOG_TAIL:])
        raise LimitError(
            f"core {core[0]},{core[1]},{core[2]} ({plan.label}, {plan.binary}): after {when} its state is "
            f"{state} ({reg.STATES.get(state, 'unknown')}) with rt_code {code} ({reg.RT_CODES.get(code, 'unknown')}); "
            f"expected state {expected} ({reg.STATES[expected]}); fewer neurons per core than its {plan.high - plan.low}, "
            f"or shorter delays, need less memory; the end of its log:{last}"
        )

    def _log(self, core: CoreId) -> tuple[str, ...]:
        memory = self._chips[core[:2]].memory
        return read_log(memory.sdram, memory.sysram.word(memory.vcpu(core[2]) + reg.VCPU_LOG))


def coloured(key: int, tick: int) -> int:
    """Return the key of a spike of ``tick``: its last four bits tell receivers how late it is."""
    return key | tick & 0xF


def _region(plan: CorePlan, label: str) -> Region | None:
    return next((r for r in plan.regions.values() if r.label.lower() == label), None)


@contextlib.contextmanager
def _held_interrupts() -> Iterator[Callable[[], None]]:
    """Give a function that raises ``KeyboardInterrupt`` if Ctrl-C was pressed; an exception in Unicorn's callbacks would be lost."""
    heard: list[int] = []

    def check() -> None:
        if heard:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to that one only
        yield check
        return

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
    check()
