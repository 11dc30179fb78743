"""Updates of large matrices: rank 1 and 8 in float32, int8 counters; in memory, and tiled from a .npy file and from zarr; beside NumPy.

``python -m benchmarks.large_updates [memory] [files] [large] [--n N] [--rounds R] [--threads T]``

Wall-clock time, for that is what disks and threads are about; contestants of a table take turns, and the copy is one of them. Bytes are those of
the weights, each read once and written once. ``memory``: in place, beside a copy of the matrix by as many threads and NumPy's statements.
``files``: from a file to a new one, beside a plain copy of the same file onto the disk, and NumPy on a memory map. ``large``: one int8 run with
N = 65,536 (4 GiB, twice on the disk), without rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import zarr

from benchmarks.timing import Spread, interleaved, ratio
from neuromem.kernels.cpu.threads import share
from neuromem.large import HebbBatch, new_matrix, update

HEBB = HebbBatch(rate=0.1, decay=0.99, w_min=-3.0, w_max=3.0)


def table(title: str, taken: dict[str, Spread], n_bytes: int, floor: str) -> None:
    """Print seconds and bytes a second of each contestant, and its speed as a part of the floor's."""
    print(f"\n## {title}")
    for name, spread in taken.items():
        speed = n_bytes / spread.median / 1e9
        print(f"  {name:<34}{spread.text(1e3, 'ms'):<38}{speed:>7.3g} GB/s   {ratio(taken[floor], spread)} the speed of {floor!r}")


def pairs(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return m keys of length about 1, and values."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((m, n), np.float32) / np.float32(n**0.5), rng.standard_normal((m, n), np.float32)


def matrix(n: int) -> np.ndarray:
    """Return weights whose pages are all there."""
    w = np.empty((n, n), np.float32)
    w[:] = np.random.default_rng(2).standard_normal(n, np.float32)
    return w


def numpy_statements(w: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
    """Decay, add and clip as NumPy users write it."""
    w *= np.float32(HEBB.decay)
    w += (np.float32(HEBB.rate) * values).T @ keys
    np.clip(w, np.float32(HEBB.w_min), np.float32(HEBB.w_max), out=w)


def numpy_counters(c: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
    """The same for int8, with sums of 16 bits: enough for one pair of signs."""
    c[:] = np.clip(c + np.outer(values[0].astype(np.int16), keys[0]), -127, 127)


def clocked(run: Callable[[], object]) -> Callable[[], float]:
    """Return a contestant that tells its own seconds."""

    def seconds() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return seconds


def copying(source: np.ndarray, threads: int) -> Callable[[], object]:
    """Return what copies an array by rows."""
    target = np.zeros_like(source)
    return lambda: share(lambda first, stop: np.copyto(target[first:stop], source[first:stop]), len(source), threads)


def memory(n: int, rounds: int, threads: int) -> None:
    """In place."""
    in_float32(n, rounds, threads)
    in_int8(n, rounds, threads)


def in_float32(n: int, rounds: int, threads: int) -> None:
    """Decay, Hebb and clip."""
    w, one, eight = matrix(n), pairs(n, 1), pairs(n, 8)
    taken = interleaved(
        {
            "copy": clocked(copying(w, threads)),
            "neuromem, rank 1": lambda: update(w, *one, HEBB, threads=threads).seconds,
            "neuromem, rank 8": lambda: update(w, *eight, HEBB, threads=threads).seconds,
            "numpy, rank 1": clocked(lambda: numpy_statements(w, *one)),
            "numpy, rank 8": clocked(lambda: numpy_statements(w, *eight)),
        },
        rounds,
    )
    table(f"float32 in memory, N = {n}, threads: {threads}", taken, 2 * w.nbytes, "copy")


def in_int8(n: int, rounds: int, threads: int) -> None:
    """Counters."""
    c = np.zeros((n, n), np.int8)
    c[:] = 1
    rng = np.random.default_rng(1)
    keys, values = (rng.choice(np.array([-1, 1], np.int8), (8, n)) for _ in range(2))
    taken = interleaved(
        {
            "copy": clocked(copying(c, threads)),
            "neuromem, rank 1": lambda: update(c, keys[:1], values[:1], HebbBatch(), threads=threads).seconds,
            "neuromem, rank 8": lambda: update(c, keys, values, HebbBatch(), threads=threads).seconds,
            "numpy, rank 1": clocked(lambda: numpy_counters(c, keys, values)),
        },
        rounds,
    )
    table(f"int8 in memory, N = {n}, threads: {threads}", taken, 2 * c.nbytes, "copy")


def files(n: int, rounds: int, threads: int) -> None:
    """From a file to a new one."""
    one, eight = pairs(n, 1), pairs(n, 8)
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        np.save(folder / "w.npy", matrix(n))
        zarr.create_array(folder / "w.zarr", data=matrix(n), chunks=(max(1, (1 << 24) // (4 * n)), n), compressors=None, zarr_format=3)

        def updated(source: str, out: str, given: tuple[np.ndarray, np.ndarray]) -> float:
            remove(folder / out)
            return update(folder / source, *given, HEBB, out=folder / out, threads=threads).seconds

        def copied() -> None:
            remove(folder / "copy.npy")
            with (folder / "w.npy").open("rb") as source, (folder / "copy.npy").open("wb") as target:
                while block := source.read(1 << 26):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())

        def mapped() -> None:
            """Copy, and change the copy in place; a fault leaves what is neither old nor new."""
            remove(folder / "numpy.npy")
            shutil.copyfile(folder / "w.npy", folder / "numpy.npy")
            w = np.load(folder / "numpy.npy", mmap_mode="r+")
            for first in range(0, n, 1024):
                numpy_statements(w[first : first + 1024], eight[0], eight[1][:, first : first + 1024])
            w.flush()

        taken = interleaved(
            {
                "copy onto the disk": clocked(copied),
                "neuromem, npy, rank 1": lambda: updated("w.npy", "new.npy", one),
                "neuromem, npy, rank 8": lambda: updated("w.npy", "new.npy", eight),
                "neuromem, zarr, rank 8": lambda: updated("w.zarr", "new.zarr", eight),
                "numpy, memory map, rank 8": clocked(mapped),
            },
            rounds,
        )
    table(f"float32 in files, N = {n}, threads: {threads}", taken, 8 * n * n, "copy onto the disk")


def large(n: int, rounds: int, threads: int) -> None:
    """One int8 run that is larger than a tile many times."""
    n = 65536
    rng = np.random.default_rng(1)
    keys, values = (rng.choice(np.array([-1, 1], np.int8), (8, n)) for _ in range(2))
    with tempfile.TemporaryDirectory(dir=".") as name:
        source = new_matrix(Path(name, "w.zarr"), n, n, dtype="int8")
        for turn in range(2):  # from zeros that are not written down, and from what that made
            print(f"\n## int8 in zarr, N = {n}, {'from nothing' if turn == 0 else 'from a file'}")
            out = Path(name, f"new{turn}.zarr")
            print(update(source, keys, values, HebbBatch(), out=out, threads=threads))
            source = out


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


SECTIONS = {"memory": memory, "files": files, "large": large}


def main() -> None:
    """Run the chosen sections; memory and files by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--n", type=int, default=16384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, numba {numba.__version__}, zarr {zarr.__version__}; wall-clock, median (lowest .. highest)")
    for name in arguments.sections or ("memory", "files"):
        SECTIONS[name](arguments.n, arguments.rounds, arguments.threads)


if __name__ == "__main__":
    main()
