"""What this machine can do at best: the floors that kernels are held against.

``python -m benchmarks.limits [--rounds N] [--small]``

Every figure is of one thread, in GB/s of process CPU time (other processes then disturb less), the best of a few
rounds: a floor is what the machine can do, not what it did on average. Bytes count once for a read, twice for
a copy or an update in place.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount

MIB = 1 << 20
L2, L3, MEMORY = MIB // 2, 8 * MIB, 1024 * MIB  # bytes of working sets that stay in a cache, or leave all of them
ROUNDS = 5


@kernel()
def _read(words, mask, times):
    total = np.uint64(0)
    for _ in range(times):
        for i in range(words.size):
            total += words[i] ^ mask
        mask += np.uint64(1)  # no pass equals the one before, so that none can be left out
    return total


@kernel()
def _copy(source, target, times):
    for _ in range(times):
        for i in range(source.size):
            target[i] = source[i]


@kernel()
def _scale(values, factor, times):
    for _ in range(times):
        for i in range(values.size):
            values[i] *= factor


@kernel()
def _count(words, mask, times):
    total = np.uint64(0)
    for _ in range(times):
        for i in range(words.size):
            total += popcount(words[i] ^ mask)
        mask += np.uint64(1)
    return total


@kernel()
def _gather(table, rows, into):
    for k in range(0, rows.size, 4):  # four at once: one stream of random rows gets less than half of what memory gives
        a, b, c, d = table[rows[k]], table[rows[k + 1]], table[rows[k + 2]], table[rows[k + 3]]
        for j in range(into.size):
            into[j] ^= a[j] ^ b[j] ^ c[j] ^ d[j]


def _best(run: Callable[[], object], byte_count: int, rounds: int) -> float:
    """Return GB/s of the quickest round, after one uncounted."""
    run()
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return byte_count / min(seconds) / 1e9


def _words(n_bytes: int) -> np.ndarray:
    words = np.empty(n_bytes // 8, np.uint64)
    words[:] = np.arange(words.size, dtype=np.uint64)  # every page touched: an untouched one is not read from memory
    return words


def _times(n_bytes: int) -> int:
    """Return how often to pass over a working set for a round long enough to time."""
    return max(1, 512 * MIB // n_bytes)


def read_bandwidth(n_bytes: int = MEMORY, rounds: int = ROUNDS) -> float:
    """Return GB/s of reading a working set of ``n_bytes`` in order."""
    words, times = _words(n_bytes), _times(n_bytes)
    return _best(lambda: _read(words, np.uint64(0x5555), times), words.nbytes * times, rounds)


def copy_bandwidth(n_bytes: int = MEMORY, rounds: int = ROUNDS) -> float:
    """Return GB/s of copying half of a working set into its other half; bytes read and bytes written count."""
    words, times = _words(n_bytes), _times(n_bytes)
    half = words.size // 2
    return _best(lambda: _copy(words[:half], words[half : 2 * half], times), 16 * half * times, rounds)


def inplace_scale(n_bytes: int = MEMORY, rounds: int = ROUNDS) -> float:
    """Return GB/s of multiplying float32 values in place; bytes read and bytes written count."""
    values, times = np.ones(n_bytes // 4, np.float32), _times(n_bytes)
    return _best(lambda: _scale(values, np.float32(0.999), times), 2 * values.nbytes * times, rounds)


def popcount_rate(n_bytes: int = L2, rounds: int = ROUNDS) -> float:
    """Return GB/s of xor + popcount over a working set of ``n_bytes``."""
    words, times = _words(n_bytes), _times(n_bytes)
    return _best(lambda: _count(words, np.uint64(0x5555), times), words.nbytes * times, rounds)


def random_row_gather(row_bytes: int, n_bytes: int = MEMORY, rounds: int = ROUNDS) -> float:
    """Return GB/s of xoring randomly chosen rows of ``row_bytes`` out of a table of ``n_bytes``."""
    table = _words(n_bytes).reshape(-1, row_bytes // 8)
    into = np.zeros(row_bytes // 8, np.uint64)
    rows = np.random.default_rng(1).integers(len(table), size=max(4, 256 * MIB // row_bytes // 4 * 4))
    return _best(lambda: _gather(table, rows, into), rows.size * row_bytes, rounds)


def second_thread(n_bytes: int, of: Callable[..., object], rounds: int = ROUNDS) -> float:
    """Return how much more two threads get done than one in the same wall time, each on a working set of its own: 2 where nothing is shared."""
    sets, times = [_words(n_bytes) for _ in range(2)], _times(n_bytes)

    def seconds(n: int) -> float:
        with ThreadPoolExecutor(n) as pool:
            began = time.perf_counter()
            for future in [pool.submit(of, words, np.uint64(0x5555), times) for words in sets[:n]]:
                future.result()
            return time.perf_counter() - began

    return statistics.median(2 * seconds(1) / seconds(2) for _ in range(rounds))


def main() -> None:
    """Print the table of this machine's limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--small", action="store_true", help="caches only")
    options = parser.parse_args()
    print(f"{'GB/s, one thread':<24}{'read':>9}{'copy':>9}{'scale':>9}{'xor+popcount':>14}")
    for name, size in (("0.5 MiB", L2), ("8 MiB", L3)) if options.small else (("0.5 MiB", L2), ("8 MiB", L3), ("1 GiB", MEMORY)):
        figures = [of(size, options.rounds) for of in (read_bandwidth, copy_bandwidth, inplace_scale, popcount_rate)]
        print(f"{name:<24}{figures[0]:>9.1f}{figures[1]:>9.1f}{figures[2]:>9.1f}{figures[3]:>14.1f}")
    shared = [
        ("popcount in 0.5 MiB", L2, _count),
        ("reading 8 MiB", L3, _read),
        *([] if options.small else [("reading 1 GiB", MEMORY, _read)]),
    ]
    for name, size, of in shared:
        print(f"two threads against one, wall time, {name}: {second_thread(size, of, options.rounds):.2f}x")
    table = L3 if options.small else MEMORY
    for row_bytes in (64, 512, 2048, 8192):
        print(f"random rows of {row_bytes:>5} B out of {table // MIB} MiB: {random_row_gather(row_bytes, table, options.rounds):.1f}")


if __name__ == "__main__":
    main()
