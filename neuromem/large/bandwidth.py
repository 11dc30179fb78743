"""The measured copies that an update is held against."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuromem.ir.memory_needed import available_memory
from neuromem.kernels.cpu.threads import share
from neuromem.large.matrices import Source
from neuromem.large.staging import Tile

LARGEST = 1 << 30  # bytes of an array that is copied in memory: far more than any cache
ROUNDS = 3
SAMPLE = 1 << 28  # bytes of tiles that are copied in files


class Copy(NamedTuple):
    """A copy of ``n_bytes``, and the bytes that it read and wrote in a second."""

    n_bytes: int
    bandwidth: float


def copy_in_memory(n_bytes: int, threads: int) -> Copy:
    """Measure copying an array of ``n_bytes`` (at most 1 GiB) by ``threads`` threads, at best."""
    n_bytes = min(n_bytes, LARGEST, available_memory() // 4)
    return Copy(n_bytes, _copied(n_bytes, threads))


@functools.cache
def _copied(n_bytes: int, threads: int) -> float:
    source, target = np.ones(max(1, n_bytes), np.uint8), np.zeros(max(1, n_bytes), np.uint8)

    def seconds() -> float:
        began = time.perf_counter()
        share(lambda first, stop: np.copyto(target[first:stop], source[first:stop]), source.size, threads, multiple=1 << 20)
        return time.perf_counter() - began

    return 2 * source.size / max(1e-9, min(seconds() for _ in range(ROUNDS)))


def copy_in_files(source: Source, copied: Source, tiles: Sequence[Tile]) -> Copy:
    """Measure copying the first tiles of the files onto the disk, one after the other."""
    moved, began, done = 0, time.perf_counter(), 0
    while done < len(tiles) and moved < 2 * SAMPLE:
        for name, matrix in source.matrices.items():
            values = matrix.read(*tiles[done])
            copied.matrices[name].write(*tiles[done], values)
            moved += 2 * values.nbytes
        done += 1
    for matrix in copied.matrices.values():
        for tile in tiles[:done]:
            matrix.sync(*tile)
    return Copy(moved // 2, moved / max(1e-9, time.perf_counter() - began))
