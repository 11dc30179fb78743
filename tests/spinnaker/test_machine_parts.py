"""Parts of the emulated board that need no mapping: routers, memories, files; and what they say when something is wrong."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from neuromem.errors import FileError, LimitError
from neuromem.hardware_targets.spinnaker.machine import image, messages, readout
from neuromem.hardware_targets.spinnaker.machine import registers as reg
from neuromem.hardware_targets.spinnaker.machine.core import _masks_all, _pops_status, _writes_status
from neuromem.hardware_targets.spinnaker.machine.image import load_image
from neuromem.hardware_targets.spinnaker.machine.mapping import CorePlan, MappedNetwork, MappedPopulation, Region, Route, Slice
from neuromem.hardware_targets.spinnaker.machine.memory import Buffer, ChipMemory
from neuromem.hardware_targets.spinnaker.machine.peripherals import InterruptController, PacketPort, SystemController, Timer
from neuromem.hardware_targets.spinnaker.machine.router import Router


def plan(core: tuple[int, int, int], population: str, low: int, high: int, key: int | None, stages: int = 0, steps: int = 0) -> CorePlan:
    return CorePlan(core, f"{population}({low}:{high - 1})", population, low, high, "IF_curr_exp", {}, key, 4, stages, steps)


def network(*cores: CorePlan, routes: dict[tuple[int, int], tuple[Route, ...]]) -> MappedNetwork:
    names = dict.fromkeys(c.population for c in cores)
    populations = tuple(MappedPopulation(n, 8, False, tuple(Slice(c.low, c.high, c.id) for c in cores if c.population == n)) for n in names)
    return MappedNetwork(Path("run_1"), cores, populations, routes, 1000, 3, width=8, height=8)


def test_packets_follow_the_tables_and_go_straight_on_elsewhere() -> None:
    sender = plan((7, 0, 3), "cells", 0, 8, 0x1000)
    routes = {
        (7, 0): (Route(0x1000, 0xFFFFFF00, (0,), (4,)),),  # east, around the edge to (0, 0), which has no table
        (1, 0): (Route(0x1070, 0xFFFFFFF0, (), (9,)), Route(0x1000, 0xFFFFFF00, (2,), (5,))),  # the first that matches
        (1, 1): (Route(0x1000, 0xFFFFFF00, (), (6,)),),
    }
    router = Router(network(sender, routes=routes))
    assert router.route(0x1000)[1] == ((1, 0, 5), (1, 1, 6), (7, 0, 4))
    assert router.route(0x1075)[1] == ((1, 0, 9), (7, 0, 4))


def test_a_packet_without_a_route_is_lost_at_its_source() -> None:
    assert Router(network(plan((0, 0, 3), "cells", 0, 8, 0x1000), routes={})).route(0x1000)[1] == ()


def test_packets_are_ranked_by_the_ticks_they_were_held_population_and_neuron() -> None:
    cores = (
        plan((0, 0, 3), "second in keys", 4, 8, 0x3000),
        plan((0, 0, 4), "second in keys", 0, 4, 0x4000),
        plan((0, 0, 5), "first in keys", 0, 8, 0x1000),
        plan((0, 0, 6), "second in keys", 4, 8, 0x2000, stages=2, steps=16),
    )
    router = Router(network(*cores, routes={}))
    assert router.route(0x3013)[0] == (0, 0, 5)
    assert router.route(0x4013)[0] == (0, 0, 1)
    assert router.route(0x1013)[0] == (0, 1, 1)
    assert router.route(0x2013)[0] == (16, 0, 5)
    assert router.route(0x2053)[0] == (32, 0, 5)


def test_a_key_that_nobody_sends() -> None:
    with pytest.raises(
        FileError,
        match=r"^run_1: no core sends packets with the key 0x00001080; expected one of the keys of 1 cores; make the mapping again$",
    ):
        Router(network(plan((0, 0, 3), "cells", 0, 8, 0x1000), routes={})).route(0x1080)


def test_interrupts_are_taken_by_priority() -> None:
    interrupts = InterruptController()
    for slot, source in ((0, 12), (3, 4)):
        interrupts.write(reg.VIC_VECTORS + 4 * slot, 0x100 + slot)
        interrupts.write(reg.VIC_CONTROLS + 4 * slot, reg.VIC_SLOT_ENABLED | source)
    interrupts.write(reg.VIC_ENABLE, reg.SOURCE_TIMER | reg.SOURCE_DMA_DONE | reg.SOURCE_PACKET)
    interrupts.write(reg.VIC_SELECT, reg.SOURCE_PACKET)
    assert not interrupts.wakes
    interrupts.raw |= reg.SOURCE_TIMER
    assert interrupts.read(reg.VIC_ADDRESS) == 0x103
    assert not interrupts.raw & interrupts.open  # its own slot is in service
    interrupts.raw |= reg.SOURCE_DMA_DONE
    assert interrupts.read(reg.VIC_ADDRESS) == 0x100  # a higher one interrupts it
    interrupts.write(reg.VIC_ADDRESS, 0)
    interrupts.raw &= ~reg.SOURCE_DMA_DONE
    assert interrupts.read(reg.VIC_ADDRESS) == 0
    interrupts.write(reg.VIC_ADDRESS, 0)
    assert interrupts.read(reg.VIC_IRQ_STATUS) == reg.SOURCE_TIMER
    interrupts.raw |= reg.SOURCE_PACKET
    assert (interrupts.read(reg.VIC_FIQ_STATUS), interrupts.as_fiq) == (reg.SOURCE_PACKET, reg.SOURCE_PACKET)
    interrupts.write(reg.VIC_DISABLE, reg.SOURCE_TIMER)
    assert interrupts.read(reg.VIC_ENABLE) == reg.SOURCE_DMA_DONE | reg.SOURCE_PACKET


def test_packets_wait_in_the_order_in_which_they_came() -> None:
    interrupts = InterruptController()
    port = PacketPort(interrupts)
    port.receive([(1, None), (2, 7)])
    assert [port.read(reg.COMMS_RX_STATUS), port.read(reg.COMMS_RX_KEY)] == [reg.COMMS_PRESENT, 1]
    assert port.read(reg.COMMS_RX_STATUS) == reg.COMMS_PRESENT | reg.COMMS_HAS_PAYLOAD
    assert interrupts.raw & reg.SOURCE_PACKET
    assert [port.read(reg.COMMS_RX_PAYLOAD), port.read(reg.COMMS_RX_KEY), port.read(reg.COMMS_RX_STATUS)] == [7, 2, 0]
    assert not interrupts.raw & reg.SOURCE_PACKET
    port.write(reg.COMMS_TX_KEY, 5)
    port.write(reg.COMMS_TX_CONTROL, reg.COMMS_HAS_PAYLOAD)
    port.write(reg.COMMS_TX_PAYLOAD, 9)
    port.write(reg.COMMS_TX_KEY, 6)
    assert port.sent == [(5, None), (6, 9)]


def test_the_count_of_the_timer_falls_while_it_is_read() -> None:
    timer = Timer(InterruptController())
    timer.write(reg.TIMER_LOAD, 6)
    assert [timer.read(reg.TIMER_COUNT) for _ in range(3)] == [2, 0, 0]


def test_instructions_are_told_apart() -> None:
    assert [_writes_status(word) for word in (0xE121F003, 0xE321F0D3, 0xE10F4000, 0xE161F003)] == [True, True, False, False]
    assert [_pops_status(word) for word in (0xE8FD900F, 0xE8BD800F, 0xE8FD100F)] == [True, False, False]
    orr_both, orr_irq, orr_other = 0xE38430C0, 0xE3843080, 0xE38420C0
    assert [_masks_all(0xE121F003, before) for before in (orr_both, orr_irq, orr_other)] == [True, False, False]
    assert [_masks_all(word, 0) for word in (0xE321F0D3, 0xE321F092)] == [True, False]


def test_sdram_is_limited() -> None:
    memory = ChipMemory(2, 1)
    left = reg.SDRAM_BASE + reg.SDRAM_BYTES - memory.reserve(0, "nothing")
    message = (
        f"chip 2,1: region 3 of cells(0:99) needs 300000000 bytes of SDRAM, and {left} of 268435456 are left; "
        "record less, or fewer neurons on a chip"
    )
    with pytest.raises(LimitError, match=f"^{re.escape(message)}$"):
        memory.reserve(300_000_000, "region 3 of cells(0:99)")
    memory.close()


def test_a_recording_that_did_not_fit() -> None:
    sdram = Buffer(reg.SDRAM_BASE, 4096)
    sdram.write(reg.SDRAM_BASE, struct.pack("<4I", 1, 100, 1 << 31 | 96, reg.SDRAM_BASE + 1024))
    region = Region(15, "Recording", 16, b"")
    core = CorePlan((0, 0, 4), "cells(0:9)", "cells", 0, 10, "IF_curr_exp", {15: region}, None, 4)
    with pytest.raises(
        LimitError,
        match=r"^core 0,0,4 \(cells\(0:9\)\): recording channel 0 needs more than its 100 bytes; record less, or run fewer ticks at once$",
    ):
        readout.read_core(core, sdram, {15: reg.SDRAM_BASE})
    sdram.close()


def test_no_message_is_left() -> None:
    memory = ChipMemory(0, 0)
    memory.sysram.set_word(memory.message_list, 0)

    class Silent:
        number = 4

    with pytest.raises(LimitError, match=r"^chip 0,0: no free message is left to talk to core 4; make a new Machine$"):
        messages.send(Silent(), memory, SystemController(), 3, messages.RUNTIME, (1, 0, 0))  # type: ignore[arg-type]
    memory.close()


def test_images_are_tables_of_what_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: tmp_path / f"{name}.aplx" for name in ("good", "strange", "endless")}
    table = struct.pack("<12I", 2, 0x400, 48, 5, 3, 0x800, 5, 0xAB, 4, 0x404, 0, 0)
    files["good"].write_bytes(table + bytes(range(40)))
    files["strange"].write_bytes(struct.pack("<4I", 9, 0, 0, 0))
    files["endless"].write_bytes(table[:32])
    monkeypatch.setattr(image, "_files", lambda: files)
    good = load_image.__wrapped__("good")
    assert good.pieces == ((0x400, bytes(range(32))), (0x800, struct.pack("<I", 0xAB) * 8))  # sizes are rounded up to 32 bytes
    assert good.start == 0x404
    for name, message in (
        ("strange", f"{files['strange']}: entry at byte 0 has opcode 9; expected 2, 3 or 4; install sPyNNaker again"),
        ("endless", f"{files['endless']}: the table has no entry to execute (opcode 4); install sPyNNaker again"),
        ("absent", "absent.aplx: not among the 3 binaries of the installed sPyNNaker; install version 7.4.1"),
    ):
        with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
            load_image.__wrapped__(name)


def test_both_addresses_of_a_memory_are_one() -> None:
    sdram = Buffer(reg.SDRAM_BASE, 4096)
    sdram.set_word(reg.SDRAM_BASE + 8, 0x01020304)
    assert (sdram.word(reg.SDRAM_ALIAS + 8), sdram.byte(reg.SDRAM_ALIAS + 11)) == (0x01020304, 1)
    with pytest.raises(IndexError, match=r"^address 0x60000ffe: 4 bytes there reach beyond the memory at 0x60000000$"):
        sdram.word(reg.SDRAM_BASE + 4094)
    sdram.close()


def test_spikes_are_bits() -> None:
    words = np.array([3, 1 << 31, 0b10, 5, 0, 0b100], dtype="<u4")
    core = CorePlan((0, 0, 4), "cells(40:74)", "cells", 40, 75, "IF_curr_exp", {}, None, 4)
    assert readout._spikes(words, core).tolist() == [[3, 71], [3, 73], [5, 74]]
