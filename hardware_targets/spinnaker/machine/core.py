"""One ARM core: from its start until it sleeps, again and again.

The emulated processor has no interrupt lines, so interrupts are delivered here, at the only places where the binaries
leave themselves open to one: where the core sleeps, behind an instruction that writes the program status register, and where
an exception returns. These instructions are found in the code once, and only they are hooked. A hook moves the program
counter itself, and the emulation goes on: to leave it and start it again is what would cost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from neuromem.hardware_targets.spinnaker.machine import registers as reg
from neuromem.hardware_targets.spinnaker.machine.image import Image
from neuromem.hardware_targets.spinnaker.machine.memory import Buffer, ChipMemory
from neuromem.hardware_targets.spinnaker.machine.peripherals import (
    DirectMemoryAccess,
    InterruptController,
    PacketPort,
    SystemController,
    Timer,
)
from neuromem.hardware_targets.spinnaker.machine.processor import Processor, Registers

_SLEEP: Final = 0xEE070F90
_RETURN: Final = 0xE25EF004
"""SUBS PC, LR, #4."""
_APPLICATION_ID: Final = 16
"""Any will do."""


class Core:
    """A core of a chip: private memories, peripherals, and a processor that runs until it sleeps."""

    def __init__(self, number: int, memory: ChipMemory, controller: SystemController) -> None:
        self.number = number
        self.interrupts = InterruptController()
        self.timer = Timer(self.interrupts)
        self.port = PacketPort(self.interrupts)
        controller.connect(number, self.interrupts)
        self._itcm, self._dtcm, self._unused = Buffer(*reg.ITCM), Buffer(*reg.DTCM), Buffer(reg.UNUSED[0], reg.PAGE)
        self._hooks: list[int] = []
        self._resume = 0
        """Where a sleeping core goes on."""
        self._processor = cpu = Processor()
        # the status first: it selects the banked registers that the others are written to
        self._entry = Registers((cpu.CPSR, cpu.SPSR, cpu.LR))
        for base, buffer in (
            (reg.ITCM[0], self._itcm),
            (reg.DTCM[0], self._dtcm),
            (reg.SDRAM_BASE, memory.sdram),
            (reg.SDRAM_ALIAS, memory.sdram),
            (reg.SYSRAM_BASE, memory.sysram),
            (reg.SYSRAM_ALIAS, memory.sysram),
            *((base, self._unused) for base in reg.UNUSED),
        ):
            cpu.map_memory(base, buffer.size, buffer.host_address)
        dma = DirectMemoryAccess(self.interrupts, memory.sdram, number, self._private)
        for bases, device in (
            (reg.COMMS, self.port),
            (reg.TIMERS, self.timer),
            (reg.VIC, self.interrupts),
            (reg.DMA, dma),
            (reg.SYSTEM_CONTROLLER, controller),
        ):
            for base in bases:
                cpu.map_registers(base, reg.PAGE, device.read, device.write)

    def load(self, image: Image) -> None:
        """Put a binary into the private memories, and make the core start with it when it runs next."""
        cpu = self._processor
        for hook in self._hooks:
            cpu.unhook(hook)
        for buffer in (self._itcm, self._dtcm):
            buffer.write(buffer.base, bytes(buffer.size))
        for address, content in image.pieces:
            self._private(address).write(address, content)
        cpu.forget_code()
        self._hooks = self._place_hooks()
        cpu.set(cpu.CPSR, reg.CPSR_START)
        cpu.set(cpu.R0, _APPLICATION_ID)
        self._resume = image.start

    def start(self) -> None:
        """Run until the core sleeps: one that was loaded from its beginning, and one that sleeps as if something had woken it."""
        self._processor.run(self._resume)

    def wake(self) -> None:
        """Run the core until it sleeps again, if anything that it listens to has happened."""
        if self.interrupts.wakes:
            cpu = self._processor
            cpu.run(self._interrupted(cpu.get(cpu.CPSR), self._resume + 4) or self._resume)

    def close(self) -> None:
        """Release the processor and its memories."""
        self._processor.close()
        for buffer in (self._itcm, self._dtcm, self._unused):
            buffer.close()

    def _private(self, address: int) -> Buffer:
        """Return the private memory that has ``address``."""
        return self._itcm if address < reg.DTCM[0] else self._dtcm

    def _place_hooks(self) -> list[int]:
        """Hook the instructions at which interrupts may be delivered."""
        cpu = self._processor
        words = struct.unpack(f"<{self._itcm.size // 4}I", self._itcm.read(0, self._itcm.size))
        hooks = []
        for i, word in enumerate(words):
            address = 4 * i
            if word == _SLEEP:
                hooks.append(cpu.hook(address, self._on_sleep))
            elif _writes_status(word) and not _masks_all(word, words[i - 1]):
                hooks.append(cpu.hook(address + 4, self._on_open))
            elif word == _RETURN:
                hooks.append(cpu.hook(address, self._on_return))
            elif _pops_status(word):
                hooks.append(cpu.hook(address, self._on_pop(word)))
        return hooks

    def _on_sleep(self, address: int) -> None:
        cpu = self._processor
        if not self.interrupts.wakes:
            self._resume = address + 4
            cpu.stop()
        else:
            cpu.set(cpu.PC, self._interrupted(cpu.get(cpu.CPSR), address + 8) or address + 4)

    def _on_open(self, address: int) -> None:
        interrupts = self.interrupts
        if interrupts.raw & interrupts.open:
            self._interrupt(self._processor.get(self._processor.CPSR), address + 4)

    def _on_return(self, address: int) -> None:
        """SUBS PC, LR, #4 with something pending: as if it had been done, and interrupted behind."""
        interrupts = self.interrupts
        if interrupts.raw & interrupts.open:
            cpu = self._processor
            self._interrupt(cpu.get(cpu.SPSR), cpu.get(cpu.LR))

    def _on_pop(self, word: int) -> Callable[[int], None]:
        """LDMIA Rn{!}, {..., PC}^ with something pending: done here, and interrupted behind."""
        cpu = self._processor
        base = cpu.general[word >> 16 & 15]
        popped = [number for i, number in enumerate(cpu.general) if word >> i & 1]
        n_bytes = 4 * len(popped) + 4
        write_back = n_bytes if word >> 21 & 1 else 0
        registers = Registers((*popped, base))
        unpack = struct.Struct(f"<{len(popped) + 1}I").unpack

        def pop(address: int) -> None:
            interrupts = self.interrupts
            if interrupts.raw & interrupts.open:
                status = cpu.get(cpu.SPSR)
                if self._pending(status):
                    stack = cpu.get(base)
                    values = unpack(self._dtcm.read(stack, n_bytes))
                    registers.values[:] = [*values[:-1], stack + write_back]
                    cpu.set_all(registers)
                    self._interrupt(status, values[-1] + 4)

        return pop

    def _pending(self, status: int) -> int:
        """Return the mode of the interrupt that is taken in this program status, or 0."""
        interrupts = self.interrupts
        if interrupts.raw & interrupts.as_fiq and not status & reg.CPSR_FIQ_MASKED:
            return reg.MODE_FIQ
        if interrupts.raw & interrupts.as_irq and not status & reg.CPSR_IRQ_MASKED:
            return reg.MODE_IRQ
        return 0

    def _interrupt(self, status: int, link: int) -> None:
        """Go on in the interrupt that is taken in this program status, if one is; ``link`` is for its LR."""
        vector = self._interrupted(status, link)
        if vector:
            self._processor.set(self._processor.PC, vector)

    def _interrupted(self, status: int, link: int) -> int:
        """Enter the mode of the interrupt that is taken in this program status; return its vector, or 0 if there is none."""
        mode = self._pending(status)
        if not mode:
            return 0
        fast = mode == reg.MODE_FIQ
        masks = reg.CPSR_IRQ_MASKED | (reg.CPSR_FIQ_MASKED if fast else 0)
        self._entry.values[:] = [status & ~(reg.MODE_MASK | reg.CPSR_THUMB) | mode | masks, status, link]
        self._processor.set_all(self._entry)
        return reg.FIQ_VECTOR if fast else reg.IRQ_VECTOR


def _writes_status(word: int) -> bool:
    """Whether an instruction is MSR CPSR_c, from a register or a constant."""
    return word & 0x0FF1FFF0 == 0x0121F000 or word & 0x0FF1F000 == 0x0321F000


def _masks_all(word: int, before: int) -> bool:
    """Whether MSR CPSR_c, in ``word``, certainly masks all interrupts: a constant, or a register just made by ORR with a constant.

    Half of all such instructions do, and need no hook. One that is left out in error would delay an interrupt, and no more.
    """
    masks = reg.CPSR_IRQ_MASKED | reg.CPSR_FIQ_MASKED
    if word & 0x0FF1F000 == 0x0321F000:
        return word & masks == masks
    return before & 0x0FF00F00 == 0x03800000 and before & masks == masks and before >> 12 & 0xF == word & 0xF


def _pops_status(word: int) -> bool:
    """Whether an instruction is LDMIA Rn{!}, {..., PC}^."""
    return word & 0x0FD08000 == 0x08D08000 and word >> 28 == 0xE
