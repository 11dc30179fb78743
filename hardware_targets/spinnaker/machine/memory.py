"""The memories that the cores of one chip share: SDRAM and SysRAM, with the heaps and tables that a booted chip has.

A heap is ``{free, first, last, free bytes}``, its blocks ``{next, free}``; all are 32-bit words.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Sequence

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.machine import registers as reg

_MESSAGES = 8
_MESSAGE_BYTES = 292
_SYSTEM_HEAP_BYTES = 0x400000
"""Room for logs: 16 KiB for each of up to 17 cores, and much to spare."""
_SDRAM_FIRST = 0x1000
_SYSRAM_FIRST = 0x1000
_SYSTEM_BUFFER_WORDS = 256

RegionTable = struct.Struct("<3I")
TABLE_MAGIC = 0xAD130AD6
TABLE_VERSION = 0x00010000
TABLE_REGIONS = 32
TABLE_BYTES = 8 + TABLE_REGIONS * RegionTable.size


class Buffer:
    """A piece of host memory that emulated cores see at ``base`` (bytes are there only once touched)."""

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.size = size
        self._map = mmap.mmap(-1, size)
        self._anchor = ctypes.c_char.from_buffer(self._map)
        self.host_address = ctypes.addressof(self._anchor)

    def read(self, address: int, n_bytes: int) -> bytes:
        """Return ``n_bytes`` at ``address``, in either of its two aliases."""
        offset = self._offset(address, n_bytes)
        return self._map[offset : offset + n_bytes]

    def write(self, address: int, content: bytes) -> None:
        """Write ``content`` at ``address``."""
        offset = self._offset(address, len(content))
        self._map[offset : offset + len(content)] = content

    def word(self, address: int) -> int:
        """Return the 32-bit word at ``address``."""
        return int.from_bytes(self.read(address, 4), "little")

    def set_word(self, address: int, value: int) -> None:
        """Write one 32-bit word."""
        self.write(address, struct.pack("<I", value & 0xFFFFFFFF))

    def byte(self, address: int) -> int:
        """Return the byte at ``address``."""
        return self.read(address, 1)[0]

    def set_half(self, address: int, value: int) -> None:
        """Write one 16-bit word."""
        self.write(address, struct.pack("<H", value))

    def set_byte(self, address: int, value: int) -> None:
        """Write one byte."""
        self.write(address, bytes((value,)))

    def _offset(self, address: int, n_bytes: int) -> int:
        offset = (address - self.base) & 0x0FFFFFFF
        if offset + n_bytes > self.size:
            raise IndexError(f"address {address:#010x}: {n_bytes} bytes there reach beyond the memory at {self.base:#010x}")
        return offset

    def close(self) -> None:
        """Give the memory back; no core that maps it may run any more."""
        del self._anchor
        self._map.close()


class ChipMemory:
    """SDRAM and SysRAM of one chip, as they are when its boot has ended."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y
        self.sdram = Buffer(reg.SDRAM_BASE, reg.SDRAM_BYTES)
        self.sysram = Buffer(reg.SYSRAM_BASE, reg.SYSRAM_BYTES)
        self._next = reg.SDRAM_BASE + _SDRAM_FIRST
        self.message_list = self._system_variables()

    def reserve(self, n_bytes: int, what: str) -> int:
        """Return the address of ``n_bytes`` of SDRAM of their own. Raises ``LimitError`` when there are none left."""
        address = self._next
        self._next = address + ((n_bytes + 15) & ~15)
        if self._next > reg.SDRAM_BASE + reg.SDRAM_BYTES:
            raise LimitError(
                f"chip {self.x},{self.y}: {what} needs {n_bytes} bytes of SDRAM, and "
                f"{max(0, reg.SDRAM_BASE + reg.SDRAM_BYTES - address)} of {reg.SDRAM_BYTES} are left; "
                "record less, or fewer neurons on a chip"
            )
        return address

    def reserve_heap(self, n_bytes: int, what: str) -> int:
        """Reserve a heap of ``n_bytes`` and return its address."""
        base = self.reserve(n_bytes + 64, what)
        first, last = base + 16, base + n_bytes + 56
        for address, value in ((base, first), (base + 4, first), (base + 8, last), (base + 12, last - first - 8)):
            self.sdram.set_word(address, value)
        self.sdram.set_word(first, last)
        return base

    def set_recording_heap(self, n_bytes: int) -> None:
        """Make the heap that recordings are taken from."""
        self.sysram.set_word(reg.SV_BASE + reg.SV_SDRAM_HEAP, self.reserve_heap(n_bytes, "the recordings"))

    def write_table(self, regions: Sequence[tuple[int, int, int]]) -> int:
        """Write a core's table of regions, (address, checksum, words) of each, and return its address."""
        address = self.reserve(TABLE_BYTES, "a table of regions")
        table = struct.pack("<2I", TABLE_MAGIC, TABLE_VERSION) + b"".join(RegionTable.pack(*entry) for entry in regions)
        self.sdram.write(address, table.ljust(TABLE_BYTES, b"\0"))
        return address

    def vcpu(self, core: int) -> int:
        """Return the address of core ``core``'s block in SysRAM."""
        return reg.VCPU_BASE + reg.VCPU_BYTES * core

    def close(self) -> None:
        """Give both memories back."""
        self.sdram.close()
        self.sysram.close()

    def _system_variables(self) -> int:
        """Write the system variables, and return where the list of free messages is."""
        ram, base = self.sysram, reg.SV_BASE
        first = reg.SYSRAM_BASE + _SYSRAM_FIRST
        for i in range(_MESSAGES):
            following = first + (i + 1) * _MESSAGE_BYTES if i + 1 < _MESSAGES else 0
            ram.set_word(first + i * _MESSAGE_BYTES, following)
        ram.set_half(base + reg.SV_CHIP, self.x << 8 | self.y)
        ram.set_half(base + reg.SV_CPU_MHZ, reg.CPU_MHZ)
        ram.set_word(base + reg.SV_LOG_BYTES, reg.LOG_BYTES)
        ram.set_word(base + reg.SV_SYSTEM_BUFFERS, self.reserve(4 * _SYSTEM_BUFFER_WORDS, "system buffers"))
        ram.set_word(base + reg.SV_SYSTEM_BUFFER_WORDS, _SYSTEM_BUFFER_WORDS)
        ram.set_word(base + reg.SV_MESSAGES, first)
        ram.write(base + reg.SV_PHYSICAL_TO_VIRTUAL, bytes(range(reg.SV_CORES)))
        ram.write(base + reg.SV_VIRTUAL_TO_PHYSICAL, bytes(range(reg.SV_CORES)))
        ram.set_word(base + reg.SV_SYSTEM_HEAP, self.reserve_heap(_SYSTEM_HEAP_BYTES, "logs"))
        ram.set_word(base + reg.SV_APPLICATIONS, self.reserve(reg.APPLICATION_BYTES, "the table of applications"))
        ram.set_word(base + reg.SV_VERSION, reg.SOFTWARE_VERSION)
        return base + reg.SV_MESSAGES
