"""Addresses and bits of a SpiNNaker chip, as its ARM cores see them.

Only what the neuron, delay and expander binaries of sPyNNaker 7.4.1 use, as observed while they ran. Every peripheral
answers at two addresses.
"""

from __future__ import annotations

from typing import Final

# Memories: address, size in bytes
ITCM: Final = (0x00000000, 0x8000)
DTCM: Final = (0x00400000, 0x10000)
SDRAM_BASE: Final = 0x60000000
SDRAM_ALIAS: Final = 0x70000000
SDRAM_BYTES: Final = 0x10000000
"""Twice the 128 MiB of a chip: the host sizes recordings to fill a chip, and regions that a run needs come on top."""
SYSRAM_BASE: Final = 0xE5000000
SYSRAM_ALIAS: Final = 0xF5000000
SYSRAM_BYTES: Final = 0x8000

# Peripherals
PAGE: Final = 0x1000
COMMS: Final = (0x10000000, 0x20000000)
TIMERS: Final = (0x11000000, 0x21000000)
VIC: Final = (0x1F000000, 0x2F000000, 0xFFFFF000)
DMA: Final = (0x30000000, 0x40000000)
SYSTEM_CONTROLLER: Final = (0xE2000000, 0xF2000000)
UNUSED: Final = (0xE0000000, 0xF0000000, 0xE1000000, 0xF1000000, 0xE3000000, 0xF3000000)
"""Memory controller, router and watchdog: never touched by these binaries, and read as zero."""

# Vectored interrupt controller: offsets
VIC_IRQ_STATUS: Final = 0x00
VIC_FIQ_STATUS: Final = 0x04
VIC_RAW: Final = 0x08
VIC_SELECT: Final = 0x0C
VIC_ENABLE: Final = 0x10
VIC_DISABLE: Final = 0x14
VIC_SOFT_SET: Final = 0x18
VIC_SOFT_CLEAR: Final = 0x1C
VIC_ADDRESS: Final = 0x30
VIC_VECTORS: Final = 0x100
VIC_CONTROLS: Final = 0x200
VIC_SLOTS: Final = 16
VIC_SLOT_ENABLED: Final = 1 << 5

# Interrupt sources: bits of the registers above
SOURCE_SOFTWARE: Final = 1 << 1
SOURCE_TIMER: Final = 1 << 4
SOURCE_TRANSMITTER: Final = 1 << 11 | 1 << 23
"""Transmitter empty, and not full: always so, for sending takes no time here."""
SOURCE_DMA_DONE: Final = 1 << 12
SOURCE_MAILBOX: Final = 1 << 18
SOURCE_PACKET: Final = 1 << 24

# Timer 1: offsets
TIMER_LOAD: Final = 0x00
TIMER_COUNT: Final = 0x04
TIMER_CONTROL: Final = 0x08
TIMER_CLEAR: Final = 0x0C
TIMER_RAW: Final = 0x10
TIMER_MASKED: Final = 0x14
TIMER_BACKGROUND: Final = 0x18
TIMER_ENABLED: Final = 1 << 7
TIMER_STEP: Final = 4
"""Clock cycles that one reading of the count appears to take; the binaries wait for it to fall."""

# Multicast controller: offsets
COMMS_TX_CONTROL: Final = 0x00
COMMS_TX_PAYLOAD: Final = 0x04
COMMS_TX_KEY: Final = 0x08
COMMS_RX_STATUS: Final = 0x0C
COMMS_RX_PAYLOAD: Final = 0x10
COMMS_RX_KEY: Final = 0x14
COMMS_TX_IDLE: Final = 0x90000000
COMMS_HAS_PAYLOAD: Final = 1 << 17
COMMS_PRESENT: Final = 1 << 31

# DMA: offsets
DMA_SDRAM: Final = 0x04
DMA_TCM: Final = 0x08
DMA_DESCRIPTOR: Final = 0x0C
DMA_CONTROL: Final = 0x10
DMA_STATUS: Final = 0x14
DMA_LENGTH: Final = 0x1FFFF
DMA_TO_SDRAM: Final = 1 << 19
DMA_CLEAR_DONE: Final = 1 << 3
DMA_DONE: Final = 1 << 10
DMA_CORE_SHIFT: Final = 24

# System controller: offsets
SC_CLEAR_MAILBOX: Final = 0x0C
SC_PASSWORD: Final = 0x5EC00000
SC_FLAGS: Final = 0x58
SC_LOCK_TAKE: Final = 0x100
SC_LOCK_RELEASE: Final = 0x180
SC_LOCKS: Final = 32

# SysRAM: addresses, and offsets of system variables
VCPU_BASE: Final = 0xE5007000
VCPU_BYTES: Final = 128
SV_BASE: Final = 0xE5007F00
SV_CHIP: Final = 0x00
SV_CPU_MHZ: Final = 0x24
SV_SDRAM_HEAP: Final = 0x4C
SV_LOG_BYTES: Final = 0x50
SV_SYSTEM_BUFFERS: Final = 0x54
SV_SYSTEM_BUFFER_WORDS: Final = 0x58
SV_MESSAGES: Final = 0x68
SV_MESSAGE_COUNT: Final = 0x6C
SV_MESSAGE_PEAK: Final = 0x6E
SV_PHYSICAL_TO_VIRTUAL: Final = 0x94
SV_VIRTUAL_TO_PHYSICAL: Final = 0xA8
SV_CORES: Final = 20
SV_SYSTEM_HEAP: Final = 0xD0
SV_APPLICATIONS: Final = 0xE4
SV_MAILBOX_FLAGS: Final = 0xEC
SV_VERSION: Final = 0xFC
CPU_MHZ: Final = 200
SOFTWARE_VERSION: Final = 0x040000
"""Major equal to, and minor not below, what the images ask for; otherwise they end with rt_code 20."""
APPLICATION_BYTES: Final = 8 * 256
LOG_BYTES: Final = 16384

# A core's block in SysRAM: offsets
VCPU_RT_CODE: Final = 0x2C
VCPU_STATE: Final = 0x2E
VCPU_MAILBOX_TO: Final = 0x30
VCPU_MAILBOX_FROM: Final = 0x34
VCPU_COMMAND_TO: Final = 0x38
VCPU_COMMAND_FROM: Final = 0x39
VCPU_SOFTWARE_ERRORS: Final = 0x3A
VCPU_LOG: Final = 0x58
VCPU_USER0: Final = 0x70
VCPU_USER1: Final = 0x74

# States of a core
STATE_ERROR: Final = 2
STATE_READY_TO_READ: Final = 5
STATE_RUNNING: Final = 7
STATE_SYNC0: Final = 8
STATE_SYNC1: Final = 9
STATE_PAUSED: Final = 10
STATE_FINISHED: Final = 11

STATES: Final = {
    2: "run-time error",
    5: "data ready to read",
    7: "running",
    8: "waiting for SYNC0",
    9: "waiting for SYNC1",
    10: "booted and paused",
    11: "finished",
}
RT_CODES: Final = {
    0: "none",
    1: "branch to the reset vector",
    2: "undefined instruction",
    3: "undefined SVC",
    4: "prefetch abort",
    5: "data abort",
    8: "interrupt without a vector",
    10: "out of memory for a system structure",
    11: "division by zero",
    13: "software error",
    19: "the application gave up while starting",
    20: "software version mismatch",
}
"""What ended a core that is in state 2."""

# ARM program status register
MODE_MASK: Final = 0x1F
MODE_FIQ: Final = 0x11
MODE_IRQ: Final = 0x12
CPSR_THUMB: Final = 0x20
CPSR_FIQ_MASKED: Final = 0x40
CPSR_IRQ_MASKED: Final = 0x80
CPSR_START: Final = 0xD3
"""Supervisor mode, both interrupts masked."""
IRQ_VECTOR: Final = 0x18
FIQ_VECTOR: Final = 0x1C
