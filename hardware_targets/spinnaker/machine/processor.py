"""An ARM processor by Unicorn, through the dozen functions of its C interface that this needs.

Unicorn's own Python classes take several microseconds for a register or a callback, and an emulated core asks for twenty of
them for each packet; straight calls take a fraction.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Final

from neuromem.errors import BackendMissingError

_READ = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p)
_CODE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_NOWHERE: Final = 0xFFFFFFFC
"""An address that is never reached, for Unicorn asks where to end."""
_WORD: Final = 0xFFFFFFFF
_ONE_ARGUMENT, _NO_ARGUMENT, _SET = 1 << 26, 0, 1 << 30


class Registers:
    """Values for some registers, to be set in this order by one call: the list is made once, ``values`` is filled each time."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.size = len(numbers)
        self.numbers = (ctypes.c_int * self.size)(*numbers)
        self.values = (ctypes.c_uint32 * self.size)()
        start = ctypes.addressof(self.values)
        self.places = (ctypes.c_void_p * self.size)(*(start + 4 * i for i in range(self.size)))


class Processor:
    """An ARM946 without memory or peripherals; the caller maps both. Close it to release it."""

    def __init__(self) -> None:
        try:
            from unicorn import arm_const, unicorn_const
            from unicorn.unicorn_py3.unicorn import uclib
        except ImportError as error:
            raise BackendMissingError(
                "the emulated board needs unicorn, which is not installed: pip install 'neuromem[spinnaker]'"
            ) from error
        # a handle of our own on the same library: the types of arguments that are set here are nobody else's
        self._library = _declared(ctypes.CDLL(uclib._name))
        self._engine = ctypes.c_void_p()
        self._kept: list[Any] = []
        self._failure: BaseException | None = None
        self._value = ctypes.c_uint32()
        self._value_at = ctypes.addressof(self._value)
        self._constants = unicorn_const
        self.R0: int = arm_const.UC_ARM_REG_R0
        self.SP: int = arm_const.UC_ARM_REG_SP
        self.LR: int = arm_const.UC_ARM_REG_LR
        self.PC: int = arm_const.UC_ARM_REG_PC
        self.CPSR: int = arm_const.UC_ARM_REG_CPSR
        self.SPSR: int = arm_const.UC_ARM_REG_SPSR
        self.general: tuple[int, ...] = (*(getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(13)), self.SP, self.LR)
        """R0 to R14."""
        self._check(
            self._library.uc_open(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_ARM, ctypes.byref(self._engine)), "open a processor"
        )
        self._check(
            self._library.uc_ctl(
                self._engine, _SET | _ONE_ARGUMENT | unicorn_const.UC_CTL_CPU_MODEL, ctypes.c_int(arm_const.UC_CPU_ARM_946)
            ),
            "set its model",
        )

    def map_memory(self, address: int, size: int, host_address: int) -> None:
        """Let the processor see ``size`` bytes of host memory at ``address``."""
        self._check(
            self._library.uc_mem_map_ptr(self._engine, address, size, self._constants.UC_PROT_ALL, host_address), f"map {address:#x}"
        )

    def map_registers(self, address: int, size: int, read: Callable[[int], int], write: Callable[[int, int], None]) -> None:
        """Let ``read(offset)`` and ``write(offset, value)`` answer for what is at ``address``."""

        def on_read(engine: int, offset: int, width: int, user: int) -> int:
            try:
                return read(offset)
            except BaseException as failure:
                self._fail(failure)
                return 0

        def on_write(engine: int, offset: int, width: int, value: int, user: int) -> None:
            try:
                write(offset, value & _WORD)
            except BaseException as failure:
                self._fail(failure)

        callbacks = _READ(on_read), _WRITE(on_write)
        self._kept += callbacks
        self._check(self._library.uc_mmio_map(self._engine, address, size, callbacks[0], None, callbacks[1], None), f"map {address:#x}")

    def hook(self, address: int, callback: Callable[[int], None]) -> int:
        """Call ``callback(address)`` before the instruction at ``address``; return a number to ``unhook`` it by."""

        def on_code(engine: int, at: int, size: int, user: int) -> None:
            try:
                callback(at)
            except BaseException as failure:
                self._fail(failure)

        function = _CODE(on_code)
        self._kept.append(function)
        number = ctypes.c_size_t()
        added = self._library.uc_hook_add(
            self._engine, ctypes.byref(number), self._constants.UC_HOOK_CODE, function, None, address, address
        )
        self._check(added, f"hook {address:#x}")
        return number.value

    def unhook(self, number: int) -> None:
        """End what ``hook`` began."""
        self._check(self._library.uc_hook_del(self._engine, number), "end a hook")

    def forget_code(self) -> None:
        """Drop what was translated: the code in memory has changed."""
        self._check(self._library.uc_ctl(self._engine, _SET | _NO_ARGUMENT | self._constants.UC_CTL_TB_FLUSH), "flush its code")

    def get(self, register: int) -> int:
        """Return a register."""
        self._library.uc_reg_read(self._engine, register, self._value_at)
        return self._value.value

    def set(self, register: int, value: int) -> None:
        """Set a register; setting the program counter within a hook makes the processor go on there."""
        self._value.value = value
        self._library.uc_reg_write(self._engine, register, self._value_at)

    def set_all(self, registers: Registers) -> None:
        """Set registers to ``registers.values``, one after the other; the program counter, set so, would not be heeded in a hook."""
        self._library.uc_reg_write_batch(self._engine, registers.numbers, registers.places, registers.size)

    def run(self, address: int) -> None:
        """Run from ``address`` (bit 0: in Thumb state) until ``stop``. An exception of a callback is raised here."""
        status = self._library.uc_emu_start(self._engine, address, _NOWHERE, 0, 0)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._check(status, f"run from {address:#x}")

    def stop(self) -> None:
        """End ``run``, in a callback."""
        self._library.uc_emu_stop(self._engine)

    def close(self) -> None:
        """Release it; memory of the host that it saw can be released then."""
        if self._engine:
            self._library.uc_close(self._engine)
            self._engine = ctypes.c_void_p()
            self._kept = []

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self.stop()

    def _check(self, status: int, what: str) -> None:
        if status:
            text = self._library.uc_strerror(status).decode()
            raise RuntimeError(f"Unicorn could not {what}: {text} (error {status})")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Return a library with the argument types of the functions used here."""
    engine, u64, address = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p
    library.uc_open.argtypes = [ctypes.c_int, ctypes.c_int, address]
    library.uc_close.argtypes = [engine]
    library.uc_ctl.argtypes = [engine, ctypes.c_int]  # and one more, which differs
    library.uc_strerror.argtypes, library.uc_strerror.restype = [ctypes.c_int], ctypes.c_char_p
    library.uc_mem_map_ptr.argtypes = [engine, u64, u64, ctypes.c_uint32, address]
    library.uc_mmio_map.argtypes = [engine, u64, u64, _READ, address, _WRITE, address]
    library.uc_hook_add.argtypes = [engine, address, ctypes.c_int, _CODE, address, u64, u64]
    library.uc_hook_del.argtypes = [engine, ctypes.c_size_t]
    library.uc_reg_read.argtypes = [engine, ctypes.c_int, address]
    library.uc_reg_write.argtypes = [engine, ctypes.c_int, address]
    library.uc_reg_write_batch.argtypes = [engine, address, address, ctypes.c_int]
    library.uc_emu_start.argtypes = [engine, u64, u64, u64, ctypes.c_size_t]
    library.uc_emu_stop.argtypes = [engine]
    return library
