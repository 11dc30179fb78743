"""Run-time messages to a core, through the mailbox in its block of SysRAM.

A message has 292 bytes: next u32, length u16, checksum u16, flags u8, tag u8, destination u8 (port << 5 | core), source u8,
two addresses u16, command u16, sequence u16, three arguments u32, and data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.machine import registers as reg
from neuromem.hardware_targets.spinnaker.machine.core import Core
from neuromem.hardware_targets.spinnaker.machine.memory import ChipMemory
from neuromem.hardware_targets.spinnaker.machine.peripherals import SystemController

_HEADER: Final = struct.Struct("<IHH4BHHHH3I")
_FLAGS: Final = 7
_NO_REPLY_NEEDED_FROM: Final = 0xFF
_COUNTED_HEADER: Final = 24
"""Bytes of a message before its data, from the flags on."""

RUNTIME: Final = 7
"""Command: run to the tick of argument 1, from that of argument 3; argument 2: without end."""


@dataclass(frozen=True)
class Reply:
    """What a core answered."""

    command: int
    arguments: tuple[int, int, int]


def send(
    core: Core,
    memory: ChipMemory,
    controller: SystemController,
    port: int,
    command: int,
    arguments: tuple[int, int, int],
    data: bytes = b"",
) -> Reply | None:
    """Send a message, run the core until it sleeps, and return its reply, if it sent one."""
    ram = memory.sysram
    message = ram.word(memory.message_list)
    if not message:
        raise LimitError(f"chip {memory.x},{memory.y}: no free message is left to talk to core {core.number}; make a new Machine")
    ram.set_word(memory.message_list, ram.word(message))
    header = _HEADER.pack(
        0, _COUNTED_HEADER + len(data), 0, _FLAGS, 0, port << 5 | core.number, _NO_REPLY_NEEDED_FROM, 0, 0, command, 0, *arguments
    )
    ram.write(message, header + data)
    block = memory.vcpu(core.number)
    ram.set_word(block + reg.VCPU_MAILBOX_TO, message)
    ram.set_byte(block + reg.VCPU_COMMAND_TO, 1)
    controller.ring(core.number)
    core.wake()
    if ram.read(block + reg.VCPU_COMMAND_FROM, 1) != b"\1":
        return None
    answer = ram.word(block + reg.VCPU_MAILBOX_FROM)
    fields = _HEADER.unpack(ram.read(answer, _HEADER.size))
    ram.set_byte(block + reg.VCPU_COMMAND_FROM, 0)
    ram.set_word(answer, ram.word(memory.message_list))
    ram.set_word(memory.message_list, answer)
    ram.set_word(reg.SV_BASE + reg.SV_MAILBOX_FLAGS, 0)
    return Reply(fields[9], fields[11:14])
