"""Willshaw memories: store and recall against NumPy, and against what the machine can read.

``python -m benchmarks.willshaw [and winners store threads sparse ...] [--rounds N] [--small]``

One thread and process CPU time (no BLAS is called), interleaved, but for ``threads``: that is wall time, and says how many processors it got. How many of a table's
bits are 1 changes none of the times. A floor is the bytes of the rows that a cue reads, over the rate of reading random rows of that
length from a table of that size, measured in the same run (``benchmarks.limits``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numba
import numpy as np

from benchmarks.limits import ROUNDS, random_row_gather
from benchmarks.timing import Spread, asked, interleaved, ratio
from neuromem.kernels.bits import Rows, aligned_zeros, unpack
from neuromem.kernels.cpu import sparse_rows, willshaw
from neuromem.kernels.sparse import SparseTable, n_synapses, nbytes

CUES, TIMES = 1024, 8  # of a round: long enough to time, with caches as in a run of recalls


def patterns(m: int, n: int, k: int, seed: int = 1) -> Rows:
    """Return m patterns of k distinct active units among n."""
    rng = np.random.default_rng(seed)
    units = np.sort(rng.integers(0, n, (m, k), dtype=np.int32), axis=1)
    while (again := np.flatnonzero((np.diff(units, axis=1) == 0).any(axis=1))).size:
        units[again] = np.sort(rng.integers(0, n, (again.size, k), dtype=np.int32), axis=1)
    return Rows(np.arange(0, m * k + 1, k, dtype=np.int64), units.ravel())


def filled(n: int, k: int) -> tuple[np.ndarray, Rows, Rows]:
    """Return a table and the pairs stored in it: ln 2 (n / k)^2, which make half of its bits 1, but at most 300,000."""
    m = min(round(np.log(2) * (n / k) ** 2), 300_000)
    pre, post = patterns(m, n, k, 1), patterns(m, n, k, 2)
    table = aligned_zeros((n, n // 64))
    willshaw.store(table, pre, post)
    return table, pre, post


def first(rows: Rows, count: int) -> Rows:
    """Return the first patterns."""
    return Rows(rows.start[: count + 1], rows.units[: rows.start[count]])


def each(run: Callable[[], object], items: int) -> Callable[[], float]:
    """Return a contestant: seconds of process CPU time an item."""

    def contestant() -> float:
        begin = time.process_time()
        run()
        return (time.process_time() - begin) / items

    return contestant


def report(results: dict[str, Spread], floor: float | None = None) -> None:
    """Print the contestants in microseconds an item."""
    for name, spread in results.items():
        print(f"  {name:<44}{spread.text(1e6, 'us')}")
    if floor is not None:
        print(f"  {'floor: bytes of the rows':<44}{floor * 1e6:.4g} us")


def floor_of(table: np.ndarray, k: int, rounds: int = ROUNDS) -> float:
    """Return the seconds in which k random rows of the table can be read."""
    return k * table.shape[1] * 8 / random_row_gather(table.shape[1] * 8, table.nbytes, rounds) / 1e9


def and_recall(rounds: int, small: bool) -> None:
    """Units that the whole cue connects to."""
    for n, k in ((4096, 12), (16384, 14)) if small else ((4096, 12), (16384, 14), (65536, 16)):
        table, pre, _ = filled(n, k)
        cues, count = first(pre, CUES), CUES
        few = cues.units.reshape(count, k)[:256]
        contestants = {
            "neuromem": each(lambda: [willshaw.recall_all(table, cues) for _ in range(TIMES)], TIMES * count),  # noqa: B023
            "numpy, bitwise_and.reduce of packed rows": each(lambda: [np.bitwise_and.reduce(table[q], axis=0) for q in few], len(few)),  # noqa: B023
        }
        results = interleaved(contestants, rounds)
        floor = floor_of(table, k)
        ours, numpy = results.values()
        print(f"AND recall, N = {n:,}, K = {k}, a cue")
        report(results, floor)
        print(f"  {ratio(numpy, ours)} numpy; {ours.median / floor:.2f}x the floor")
        if n == 65536:
            asked("the floor", 1.3, ours.median / floor, at_most=True)


def with_wrong_units(rows: Rows, n: int, k: int, wrong: int) -> Rows:
    """Return patterns in each of which so many of the k units are replaced by others."""
    rng = np.random.default_rng(3)
    units = rows.units.reshape(-1, k).copy()
    for pattern in units:
        others = np.setdiff1d(np.arange(n, dtype=np.int32), pattern)
        pattern[rng.choice(k, wrong, replace=False)] = rng.choice(others, wrong, replace=False)
    return Rows(rows.start, np.sort(units, axis=1).ravel())


def winners_recall(rounds: int, small: bool) -> None:
    """Counts and the k units with the largest, ties kept; of stored patterns no counts are needed, of those with wrong units they are."""
    for n, k in ((4096, 12),) if small else ((4096, 12), (16384, 14)):
        table, pre, _ = filled(n, k)
        clean, count = first(pre, CUES), CUES
        for kind, cues in (("stored patterns", clean), ("2 units wrong", with_wrong_units(clean, n, k, 2))):
            few = cues.units.reshape(count, k)[:64]
            dense = unpack(table, n)
            contestants = {
                "neuromem": each(lambda: [willshaw.recall_winners(table, cues, n, k) for _ in range(TIMES)], TIMES * count),  # noqa: B023
                "numpy, sum of boolean rows + argpartition": each(
                    lambda: [np.argpartition(dense[q].sum(0), n - k)[n - k :] for q in few],  # noqa: B023
                    len(few),
                ),
                "floor: bytes of the rows": lambda: floor_of(table, k, rounds=1),  # noqa: B023
            }
            results = interleaved(contestants, rounds)
            ours, numpy, floor = results.values()
            print(f"count + k winners, N = {n:,}, K = {k}, cues: {kind}, a cue")
            report(results)
            print(f"  {ratio(numpy, ours)} numpy; {ratio(ours, floor)} the floor")
            if n == 16384:
                asked("numpy", 40, numpy.median / ours.median)
                asked("the floor", 2.5, ours.median / floor.median, at_most=True)


def storing(rounds: int, small: bool) -> None:
    """Pairs stored, into tables whose pages have been touched."""
    for n, k in ((4096, 12),) if small else ((4096, 12), (16384, 14), (16384, 64), (65536, 16)):
        table, pre, post = filled(n, k)
        contestants = {"neuromem": each(lambda: willshaw.store(table, pre, post), pre.n)}  # noqa: B023
        if n <= 16384:
            dense, few = unpack(table, n), 2000
            x, y = pre.units.reshape(-1, k)[:few], post.units.reshape(-1, k)[:few]

            def peer(dense: np.ndarray = dense, x: np.ndarray = x, y: np.ndarray = y) -> None:
                for q, r in zip(x, y, strict=True):
                    dense[np.ix_(q, r)] = True

            contestants["numpy, W[np.ix_(x, y)] = True"] = each(peer, few)
        results = interleaved(contestants, rounds)
        print(f"store, N = {n:,}, K = {k}, M = {pre.n:,}, a pair")
        report(results)
        ours = results["neuromem"]
        print(f"  {k * k / ours.median / 1e9:.2f} G bits set a second")
        for numpy in list(results.values())[1:]:
            print(f"  {ratio(numpy, ours)} numpy")
            asked("numpy", 8, numpy.median / ours.median)


def threads(rounds: int, small: bool) -> None:
    """Two threads against one: wall time, of the rounds in which two threads got two processors."""
    n, k = (16384, 14) if small else (65536, 16)
    table, pre, post = filled(n, k)
    cues = first(pre, 4 * CUES)
    for name, run in {
        "AND recall": lambda t: willshaw.recall_all(table, cues, t),
        "count + k winners": lambda t: willshaw.recall_winners(table, cues, n, k, t),
        "store": lambda t: willshaw.store(table, pre, post, t),
    }.items():
        run(2)
        ratios: list[tuple[float, float]] = []  # processors got, speed-up
        for _ in range(4 * rounds):
            wall, cpu = [0.0, 0.0], [0.0, 0.0]
            for t in (1, 2):
                wall[t - 1], cpu[t - 1] = -time.perf_counter(), -time.process_time()
                run(t)
                wall[t - 1] += time.perf_counter()
                cpu[t - 1] += time.process_time()
            ratios.append((cpu[1] / wall[1], wall[0] / wall[1]))
        free = [speed for got, speed in ratios if got >= 1.8]
        text = (
            f"{statistics.median(free):.2f}x in {len(free)} rounds with two free processors (asked: 1.8)"
            if free
            else "processors never free"
        )
        print(f"two threads, {name}, N = {n:,}: {text}; {statistics.median(speed for _, speed in ratios):.2f}x in all {len(ratios)}")


def sparse(rounds: int, small: bool) -> None:
    """Rows of gaps against rows of int32, at n = 1,000,000."""
    n, k, m, count = 1_000_000, 20, 50_000 if small else 800_000, CUES
    stored = patterns(m, n, k)
    begin = time.process_time()
    table = sparse_rows.build(stored, stored, n, n, self_synapses=False)
    seconds = time.process_time() - begin
    synapses = n_synapses(table)
    print(f"sparse rows, n = {n:,}, k = {k}, {m:,} patterns, {synapses:,} synapses: built in {seconds:.1f} s of CPU time")
    print(
        f"  {nbytes(table) / 1e9:.3f} GB, {nbytes(table) / synapses:.2f} bytes a synapse (int32 rows: {4 + 8 * n / synapses:.2f}; bits: {n * n / 8e9:.0f} GB)"
    )
    start, units = plain_rows(table)
    for size in (2, 10, 20):
        half = np.ascontiguousarray(stored.units.reshape(m, k)[:count, :size])
        cues = Rows(np.arange(0, half.size + 1, size, dtype=np.int64), half.ravel())

        def peer(half: np.ndarray = half) -> None:
            for q in half[:20]:
                counts = np.bincount(np.concatenate([units[start[i] : start[i + 1]] for i in q]), minlength=n)
                np.argpartition(counts, n - k)

        contestants = {
            "neuromem, AND": each(lambda: sparse_rows.recall_all(table, cues), count),  # noqa: B023
            "neuromem, count + k winners": each(lambda: sparse_rows.recall_winners(table, cues, k), count),  # noqa: B023
            "numpy, bincount of int32 rows + argpartition": each(peer, 20),
        }
        results = interleaved(contestants, rounds)
        print(f"  cues of {size} of {k} units, a cue")
        report(results)
        print(f"  {ratio(results['numpy, bincount of int32 rows + argpartition'], results['neuromem, count + k winners'])} numpy")


def plain_rows(table: SparseTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the table's rows as int32: each row's cue is that row alone."""
    n = table.start.size - 1
    alone = Rows(np.arange(n + 1, dtype=np.int64), np.arange(n, dtype=np.int32))
    return tuple(sparse_rows.recall_all(table, alone))


SECTIONS = {"and": and_recall, "winners": winners_recall, "store": storing, "threads": threads, "sparse": sparse}


def main() -> None:
    """Run the sections asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="small sizes only")
    options = parser.parse_args()
    print(f"numpy {np.__version__}, numba {numba.__version__}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name in options.sections or SECTIONS:
        SECTIONS[name](options.rounds, options.small)


if __name__ == "__main__":
    main()
