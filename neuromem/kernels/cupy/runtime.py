"""Where kernels meet the device: sources are compiled and launched, arrays moved, and all of it counted."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cupy as cp
import numpy as np

from neuromem.errors import LimitError
from neuromem.kernels.cupy.compiled import compiled
from neuromem.kernels.cupy.sources import source_text

BLOCK = 256
"""Threads of a block, where nothing asks for another number."""


@dataclass
class Traffic:
    """What went between host and device, and what was launched, since the process began."""

    puts: int = 0
    bytes_to_device: int = 0
    gets: int = 0
    bytes_to_host: int = 0
    launches: int = 0

    def copy(self) -> Traffic:
        """Return the counts as they are now."""
        return Traffic(self.puts, self.bytes_to_device, self.gets, self.bytes_to_host, self.launches)

    def since(self, before: Traffic) -> Traffic:
        """Return what was added since the counts were ``before``."""
        return Traffic(
            self.puts - before.puts,
            self.bytes_to_device - before.bytes_to_device,
            self.gets - before.gets,
            self.bytes_to_host - before.bytes_to_host,
            self.launches - before.launches,
        )


traffic = Traffic()  # one for the process, as CuPy's device and memory pool are

_counting = threading.Lock()

LARGE = 1 << 26
"""Bytes from which an array is copied as it lies: CuPy would first copy it to locked memory of the same size, and keep that."""


def put(array: np.ndarray) -> Any:
    """Return a host array on the device."""
    with _counting:
        traffic.puts += 1
        traffic.bytes_to_device += array.nbytes
    array = np.ascontiguousarray(array)
    if array.nbytes < LARGE:
        with room():
            return cp.asarray(array)
    there = empty(array.shape, array.dtype)
    there.set(array)
    return there


def get(array: Any) -> np.ndarray:
    """Return a device array on the host; waits until it is computed."""
    with _counting:
        traffic.gets += 1
        traffic.bytes_to_host += array.nbytes
    return np.asarray(cp.asnumpy(array))


def wait() -> None:
    """Wait until the device has done everything."""
    cp.cuda.runtime.deviceSynchronize()


def new_stream() -> Any:
    """Return a stream: within ``with stream:`` transfers and launches wait for one another, and for no other stream's."""
    return cp.cuda.Stream(non_blocking=True)


def empty(shape: int | tuple[int, ...], dtype: Any) -> Any:
    """Return a device array whose numbers are not set."""
    with room():
        return cp.empty(shape, dtype)


def zeros(shape: int | tuple[int, ...], dtype: Any) -> Any:
    """Return a device array of zeros."""
    with room():
        return cp.zeros(shape, dtype)


def free_memory() -> int:
    """Return the bytes that are free on the device; what CuPy keeps for later is counted as free."""
    free, _ = cp.cuda.runtime.memGetInfo()
    pool = cp.get_default_memory_pool()
    return int(free) + int(pool.total_bytes()) - int(pool.used_bytes())


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Turn CuPy's word that the device has no memory left into ``LimitError``, with the figures."""
    try:
        yield
    except cp.cuda.memory.OutOfMemoryError as error:
        free, total = cp.cuda.runtime.memGetInfo()
        raise LimitError(
            f"device memory: {error}; {free / 2**30:.3g} of {total / 2**30:.3g} GiB are free on the device. "
            "Take fewer units, patterns or cues at once, or backend 'cpu'; what was on the host is as it was."
        ) from None


def blocks_for(n: int, per_block: int = BLOCK) -> int:
    """Return how many blocks of ``per_block`` threads have one thread for each of ``n``; at least one, for no grid may be empty."""
    return max(1, -(-n // per_block))


class Source:
    """The kernels of one subject; compiled at the first launch, by NVRTC, for the device that is there."""

    def __init__(self, subject: str) -> None:
        self.subject = subject

    @functools.cached_property
    def _module(self) -> Any:
        arch = f"sm_{cp.cuda.Device().compute_capability}"
        return cp.RawModule(path=str(compiled(self.subject, source_text(self.subject), arch)))

    @functools.cache  # noqa: B019  (there is one Source a subject, for as long as the process lives)
    def _function(self, name: str) -> Any:
        return self._module.get_function(name)

    def launch(self, name: str, grid: int | tuple[int, ...], block: int | tuple[int, ...], *arguments: Any) -> None:
        """Launch a kernel; whole numbers become int64, and other numbers are NumPy's, of the kind that the kernel takes."""
        with _counting:
            traffic.launches += 1
        passed = tuple(np.int64(a) if isinstance(a, int) else a for a in arguments)
        self._function(name)(_three(grid), _three(block), passed)


def _three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else size
