"""The peripherals of one core: interrupt controller, timer, multicast controller, DMA; and the system controller of its chip.

Nothing here takes time: a DMA transfer is done when it is asked for, a packet has left when its key is written. Offsets are those
of ``registers``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from neuromem.hardware_targets.spinnaker.machine import registers as reg
from neuromem.hardware_targets.spinnaker.machine.memory import Buffer

_ALL = 0xFFFFFFFF
Packet = tuple[int, int | None]
"""Key and payload."""


class InterruptController:
    """The vectored interrupt controller: 32 sources, each an IRQ or a FIQ, and 16 slots of priority for IRQs.

    ``raw`` has the bits of all sources that ask. A slot in service hides slots of its own and of lower priority.
    """

    def __init__(self) -> None:
        self.raw = reg.SOURCE_TRANSMITTER
        self.enabled = 0
        self._select = 0
        self._vectors = [0] * reg.VIC_SLOTS
        self._controls = [0] * reg.VIC_SLOTS
        self._in_service: list[int] = []
        self._allowed = _ALL
        self.as_irq = 0
        self.as_fiq = 0
        self.open = 0

    @property
    def wakes(self) -> bool:
        """Whether a sleeping core is woken."""
        return bool(self.raw & self.enabled)

    def read(self, offset: int) -> int:
        """Return a register; reading the vector address takes the interrupt into service."""
        if offset == reg.VIC_ADDRESS:
            return self._take()
        if offset == reg.VIC_IRQ_STATUS:
            return self.raw & self.enabled & ~self._select
        if offset == reg.VIC_FIQ_STATUS:
            return self.raw & self.enabled & self._select
        if offset == reg.VIC_RAW:
            return self.raw
        if offset == reg.VIC_SELECT:
            return self._select
        if offset == reg.VIC_ENABLE:
            return self.enabled
        if reg.VIC_VECTORS <= offset < reg.VIC_VECTORS + 4 * reg.VIC_SLOTS:
            return self._vectors[(offset - reg.VIC_VECTORS) >> 2]
        if reg.VIC_CONTROLS <= offset < reg.VIC_CONTROLS + 4 * reg.VIC_SLOTS:
            return self._controls[(offset - reg.VIC_CONTROLS) >> 2]
        return 0

    def write(self, offset: int, value: int) -> None:
        """Write a register; writing the vector address ends the service of an interrupt."""
        if offset == reg.VIC_ADDRESS:
            if self._in_service:
                self._in_service.pop()
        elif offset == reg.VIC_SOFT_SET:
            self.raw |= value
        elif offset == reg.VIC_SOFT_CLEAR:
            self.raw &= ~(value & reg.SOURCE_SOFTWARE)
        elif offset == reg.VIC_ENABLE:
            self.enabled |= value
        elif offset == reg.VIC_DISABLE:
            self.enabled &= ~value
        elif offset == reg.VIC_SELECT:
            self._select = value
        elif reg.VIC_VECTORS <= offset < reg.VIC_VECTORS + 4 * reg.VIC_SLOTS:
            self._vectors[(offset - reg.VIC_VECTORS) >> 2] = value
        elif reg.VIC_CONTROLS <= offset < reg.VIC_CONTROLS + 4 * reg.VIC_SLOTS:
            self._controls[(offset - reg.VIC_CONTROLS) >> 2] = value
        self._update()

    def _source(self, slot: int) -> int:
        control = self._controls[slot]
        return 1 << (control & 0x1F) if control & reg.VIC_SLOT_ENABLED else 0

    def _update(self) -> None:
        """Derive the masks of what may interrupt as IRQ and as FIQ."""
        allowed = _ALL
        if self._in_service:
            allowed = 0
            for slot in range(self._in_service[-1]):
                allowed |= self._source(slot)
        self.as_irq = self.enabled & ~self._select & allowed
        self.as_fiq = self.enabled & self._select
        self.open = self.as_irq | self.as_fiq

    def _take(self) -> int:
        active = self.raw & self.as_irq
        for slot in range(reg.VIC_SLOTS):
            if active & self._source(slot):
                self._in_service.append(slot)
                self._update()
                return self._vectors[slot]
        return 0


class Timer:
    """Timer 1. Time stands still, but for the cycles that a reading of the count seems to take."""

    def __init__(self, interrupts: InterruptController) -> None:
        self._interrupts = interrupts
        self._load = 0
        self._count = 0
        self._control = 0

    def tick(self) -> None:
        """Let the timer run out once, if it is on."""
        if self._control & reg.TIMER_ENABLED:
            self._count = self._load
            self._interrupts.raw |= reg.SOURCE_TIMER

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset == reg.TIMER_COUNT:
            self._count = max(0, self._count - reg.TIMER_STEP)
            return self._count
        if offset == reg.TIMER_CONTROL:
            return self._control
        if offset in (reg.TIMER_LOAD, reg.TIMER_BACKGROUND):
            return self._load
        if offset in (reg.TIMER_RAW, reg.TIMER_MASKED):
            return int(bool(self._interrupts.raw & reg.SOURCE_TIMER))
        return 0

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == reg.TIMER_LOAD:
            self._load = self._count = value
        elif offset == reg.TIMER_BACKGROUND:
            self._load = value
        elif offset == reg.TIMER_CONTROL:
            self._control = value
        elif offset == reg.TIMER_CLEAR:
            self._interrupts.raw &= ~reg.SOURCE_TIMER


class PacketPort:
    """The multicast controller. ``sent`` holds what has left and is not yet routed; ``receive`` appends to what waits."""

    def __init__(self, interrupts: InterruptController) -> None:
        self._interrupts = interrupts
        self._waiting: deque[Packet] = deque()
        self._with_payload = False
        self._payload = 0
        self.sent: list[Packet] = []

    def receive(self, packets: list[Packet]) -> None:
        """Let ``packets`` wait for the core, in this order, behind those that wait already."""
        self._waiting.extend(packets)
        self._interrupts.raw |= reg.SOURCE_PACKET

    def read(self, offset: int) -> int:
        """Return a register; reading the key takes the packet away."""
        waiting = self._waiting
        if offset == reg.COMMS_RX_KEY:
            if not waiting:
                return 0
            key = waiting.popleft()[0]
            if not waiting:
                self._interrupts.raw &= ~reg.SOURCE_PACKET
            return key
        if offset == reg.COMMS_RX_STATUS:
            if not waiting:
                return 0
            return reg.COMMS_PRESENT | (reg.COMMS_HAS_PAYLOAD if waiting[0][1] is not None else 0)
        if offset == reg.COMMS_TX_CONTROL:
            return reg.COMMS_TX_IDLE
        if offset == reg.COMMS_RX_PAYLOAD:
            return (waiting[0][1] or 0) if waiting else 0
        return 0

    def write(self, offset: int, value: int) -> None:
        """Write a register; writing the key sends a packet."""
        if offset == reg.COMMS_TX_KEY:
            self.sent.append((value, self._payload if self._with_payload else None))
        elif offset == reg.COMMS_TX_PAYLOAD:
            self._payload = value
        elif offset == reg.COMMS_TX_CONTROL:
            self._with_payload = bool(value & reg.COMMS_HAS_PAYLOAD)


class DirectMemoryAccess:
    """The DMA controller; ``private`` returns the memory of the core that has an address."""

    def __init__(
        self,
        interrupts: InterruptController,
        sdram: Buffer,
        core: int,
        private: Callable[[int], Buffer],
    ) -> None:
        self._interrupts = interrupts
        self._sdram = sdram
        self._core_bits = core << reg.DMA_CORE_SHIFT
        self._private = private
        self._sdram_address = 0
        self._own_address = 0

    def read(self, offset: int) -> int:
        """Return a register."""
        if offset == reg.DMA_STATUS:
            return self._core_bits | (reg.DMA_DONE if self._interrupts.raw & reg.SOURCE_DMA_DONE else 0)
        return 0

    def write(self, offset: int, value: int) -> None:
        """Write a register; writing the descriptor moves the bytes."""
        if offset == reg.DMA_SDRAM:
            self._sdram_address = value
        elif offset == reg.DMA_TCM:
            self._own_address = value
        elif offset == reg.DMA_DESCRIPTOR:
            length = value & reg.DMA_LENGTH
            own = self._private(self._own_address)
            if value & reg.DMA_TO_SDRAM:
                self._sdram.write(self._sdram_address, own.read(self._own_address, length))
            else:
                own.write(self._own_address, self._sdram.read(self._sdram_address, length))
            self._interrupts.raw |= reg.SOURCE_DMA_DONE
        elif offset == reg.DMA_CONTROL and value & reg.DMA_CLEAR_DONE:
            self._interrupts.raw &= ~reg.SOURCE_DMA_DONE


class SystemController:
    """The system controller of a chip: mailbox interrupts of its cores, the flags they wait for, and locks."""

    def __init__(self) -> None:
        self.flags = 0
        self._mailboxes: dict[int, InterruptController] = {}

    def connect(self, core: int, interrupts: InterruptController) -> None:
        """Make the mailbox interrupt of ``core`` known."""
        self._mailboxes[core] = interrupts

    def ring(self, core: int) -> None:
        """Raise the mailbox interrupt of ``core``."""
        self._mailboxes[core].raw |= reg.SOURCE_MAILBOX

    def read(self, offset: int) -> int:
        """Return a register; locks are always free, for cores run one after the other."""
        return self.flags if offset == reg.SC_FLAGS else 0

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == reg.SC_CLEAR_MAILBOX and value & 0xFFF00000 == reg.SC_PASSWORD:
            for core, interrupts in self._mailboxes.items():
                if value >> core & 1:
                    interrupts.raw &= ~reg.SOURCE_MAILBOX
