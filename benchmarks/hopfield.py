"""Hopfield kernels beside NumPy and hopfieldnetwork, and against what the machine can do.

``python -m benchmarks.hopfield [store] [storkey] [step] [recall] [threads] [--rounds N] [--small]``

One thread each, BLAS too (but ``threads``, in wall time), in process CPU time: other processes then disturb less; interleaved. Floors are bytes
or counted bits over rates measured in the same run (``benchmarks.limits``).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import time
from collections.abc import Callable, Mapping

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before NumPy loads its BLAS

import numba
import numpy as np

from benchmarks.limits import inplace_scale, popcount_rate, read_bandwidth
from benchmarks.timing import Spread, asked, ratio, timed
from neuromem.kernels.bits import pack
from neuromem.kernels.cpu import hopfield
from neuromem.kernels.cpu.compiled import kernel

Run = Callable[[], object]
MANY = 64


class Problem:
    """M random patterns of N units, by pattern and by unit, and cues with 10 % of the units of a pattern flipped."""

    def __init__(self, n: int, m: int, cues: int = 1) -> None:
        rng = np.random.default_rng(1)
        self.n, self.m = n, m
        self.bits = rng.random((m, n)) < 0.5
        self.x = pack(self.bits)
        self.xt = hopfield.transpose(self.x, n)
        cue_bits = self.bits[np.arange(cues) % m] ^ (rng.random((cues, n)) < 0.1)
        self.cues, self.states = pack(cue_bits), np.where(cue_bits, 1, -1).astype(np.int8)
        self.orders = np.array([rng.permutation(n) for _ in range(cues)], np.int32)

    def floats(self) -> np.ndarray:
        """Return the patterns as float32 -1 and 1."""
        return np.where(self.bits, np.float32(1), np.float32(-1))


def report(title: str, taken: Mapping[str, Spread], floors: Mapping[str, float]) -> None:
    """Print times and floors in milliseconds."""
    print(f"\n{title}")
    for name, spread in taken.items():
        print(f"  {name:<50}{spread.text(1e3, 'ms')}")
    for name, seconds in floors.items():
        print(f"  {'floor: ' + name:<50}{seconds * 1e3:.4g} ms")


def store(n: int, m: int, rounds: int) -> None:
    """All patterns at once into a matrix of whole numbers."""
    problem = Problem(n, m)
    x = problem.floats()
    contestants: dict[str, Run] = {
        "hebb_matrix, int16": lambda: hopfield.hebb_matrix(problem.xt, m),
        "numpy X.T @ X, float32": lambda: x.T @ x,
    }
    taken = timed(contestants, min(rounds, 3))
    report(f"Hebb store, N = {n}, M = {m}", taken, {"xor + popcount of all pairs": n * n * len(problem.xt) * 8 / popcount_rate() / 1e9})
    ours, numpy = taken.values()
    print(f"  {ratio(numpy, ours)} numpy")
    if n == 16384:
        asked("numpy float32", 3.5, numpy.median / ours.median)


def textbook_storkey(w: np.ndarray, x: np.ndarray) -> None:
    """Store one pattern as the rule is written."""
    n = np.float32(len(w))
    h = (w @ x)[:, np.newaxis] - w * x
    w += (np.outer(x, x) - x[:, np.newaxis] * h.T - h * x) / n
    np.fill_diagonal(w, 0)


def storkey(n: int, m: int, rounds: int) -> None:
    """One pattern into a float32 matrix, and several, where a pass over the matrix is saved for each pattern but the first."""
    problem = Problem(n, m)
    x, w = problem.floats(), np.zeros((n, n), np.float32)
    hopfield.storkey_store(w, problem.bits)
    as_numpy = w.copy()
    textbook_storkey(as_numpy, x[0])
    hopfield.storkey_store(w, problem.bits[:1])
    assert np.abs(w[:64] - as_numpy[:64]).max() < 1e-6
    contestants: dict[str, Run] = {
        "storkey_store, one pattern": lambda: hopfield.storkey_store(w, problem.bits[:1]),
        f"storkey_store, {m} patterns": lambda: hopfield.storkey_store(w, problem.bits),
        "numpy, textbook": lambda: textbook_storkey(as_numpy, x[0]),
    }
    taken = timed(contestants, min(rounds, 3) if n > 4096 else rounds)
    floor = w.nbytes / read_bandwidth(w.nbytes) / 1e9 + 2 * w.nbytes / inplace_scale(w.nbytes) / 1e9
    report(f"Storkey, N = {n}", taken, {"12 N^2 bytes, read and update": floor})
    one, _, numpy = taken.values()
    print(f"  {ratio(numpy, one)} numpy; {one.median / floor:.3g}x the floor")
    if n == 16384:
        asked("the memory floor", 1.25, one.median / floor, at_most=True)
        asked("numpy's textbook form", 30, numpy.median / one.median)


def step(n: int, m: int, rounds: int) -> None:
    """Inputs of all units: a synchronous step of one cue, and of many."""
    for b in (1, MANY):
        problem = Problem(n, m, b)
        taken = timed(step_contestants(problem), rounds)
        floor = 2 * problem.x.nbytes / read_bandwidth(problem.x.nbytes) / 1e9
        report(f"synchronous step, N = {n}, M = {m}, {b} cue(s)", taken, {"patterns read twice": floor})
        ours, *_, last = taken.values()
        print(f"  {ratio(last, ours)} {list(taken)[-1]}")
        if n == 16384 and b == 1:
            asked("numpy W @ s", 20, last.median / ours.median)


def step_contestants(problem: Problem) -> dict[str, Run]:
    """Return ours, NumPy's from patterns, and for a single cue NumPy's from the matrix."""
    n, m, x, s = problem.n, problem.m, problem.floats(), problem.states.astype(np.float32)
    contestants: dict[str, Run] = {
        "overlaps + fields": lambda: hopfield.fields(problem.xt, m, hopfield.overlaps(problem.x, problem.cues, n)),
        "numpy (S @ X.T) @ X": lambda: (s @ x.T) @ x,
    }
    if len(s) == 1:
        w = hopfield.hebb_matrix(problem.xt, m).astype(np.float32)
        contestants["numpy W @ s, float32"] = lambda: w @ s[0]
    return contestants


@kernel()
def _pass(words):
    total = np.uint64(0)
    for i in range(words.size):
        total ^= words[i]
    return total


def recall(n: int, m: int, rounds: int) -> None:
    """One cue to a fixed point, one unit after the other."""
    problem = Problem(n, m)
    whole = hopfield.hebb_matrix(problem.xt, m)
    real, states, orders = whole.astype(np.float32), problem.states, problem.orders
    contestants: dict[str, Run] = {
        "async_recall, float32": lambda: hopfield.async_recall(real, states, orders, 100),
        "async_recall, int16": lambda: hopfield.async_recall(whole, states, orders, 100),
        "async_recall_patterns": lambda: hopfield.async_recall_patterns(problem.x, problem.xt, m, states, orders, 100),
        "floor: a pass over float32 W": lambda: _pass(real.reshape(-1).view(np.uint64)),
        "floor: a pass over int16 W": lambda: _pass(whole.reshape(-1).view(np.uint64)),
    }
    settled = hopfield.async_recall(whole, states, orders, 100)
    assert settled.converged.all()
    if n == 4096:
        contestants["hopfieldnetwork, async, run_max"] = peer_recall(real, states[0], settled.states[0])
    taken = timed(contestants, rounds)
    report(f"asynchronous recall, N = {n}, M = {m}: {settled.flips[0]} flips, {settled.sweeps[0]} sweeps", taken, {})
    as_real, as_whole, as_patterns, real_pass, whole_pass, *peer = taken.values()
    for other in peer:
        for name, spread in (("float32", as_real), ("int16", as_whole), ("patterns", as_patterns)):
            asked(f"hopfieldnetwork, {name}", 6, other.median / spread.median)
    asked("a pass over float32 W", 1.4, as_real.median / real_pass.median, at_most=True)
    asked("a pass over int16 W", 1.4, as_whole.median / whole_pass.median, at_most=True)


def peer_recall(w: np.ndarray, cue: np.ndarray, expected: np.ndarray) -> Run:
    """Return hopfieldnetwork's recall of the cue, which comes to the same state."""
    from hopfieldnetwork.libary import HopfieldNetwork

    peer = HopfieldNetwork(len(w))
    peer.w = w.astype(np.float64) / len(w)

    def run() -> None:
        peer.set_initial_neurons_state(cue.copy())
        peer.update_neurons(1, "async", run_max=True)

    run()
    assert np.array_equal(peer.S, expected)
    return run


def with_threads(n: int, m: int, rounds: int) -> None:
    """One thread and two, in wall time; how many cores were free is seen from the CPU time that two threads get."""
    problem, few = Problem(n, m, MANY), Problem(4096, 100, MANY)
    w = np.zeros((n, n), np.float32)
    small_w = hopfield.hebb_matrix(few.xt, few.m)
    overlaps = hopfield.overlaps(problem.x, problem.cues, n)
    runs: dict[str, Callable[[int], object]] = {
        "hebb_matrix": lambda t: hopfield.hebb_matrix(problem.xt, m, threads=t),
        "storkey_store, one pattern": lambda t: hopfield.storkey_store(w, problem.bits[:1], t),
        f"overlaps, {MANY} cues": lambda t: hopfield.overlaps(problem.x, problem.cues, n, t),
        f"fields, {MANY} cues": lambda t: hopfield.fields(problem.xt, m, overlaps, t),
        "overlaps + fields, one cue": lambda t: hopfield.fields(problem.xt, m, hopfield.overlaps(problem.x, problem.cues[:1], n, t), t),
        f"async_recall, int16, N = 4096, {MANY} cues": lambda t: hopfield.async_recall(small_w, few.states, few.orders, 100, None, t),
        f"async_recall, float32, N = {n}, one cue": lambda t: hopfield.async_recall(
            w, problem.states[:1], problem.orders[:1], 100, None, t
        ),
        f"async_recall_patterns, {MANY} cues": lambda t: hopfield.async_recall_patterns(
            problem.x, problem.xt, m, problem.states, problem.orders, 100, threads=t
        ),
    }
    for name, run in runs.items():
        taken = timed({f"{t} thread(s)": lambda t=t, run=run: run(t) for t in (1, 2)}, rounds, time.perf_counter)  # type: ignore[misc]
        wall, cpu = time.perf_counter(), time.process_time()
        run(2)
        cores = (time.process_time() - cpu) / (time.perf_counter() - wall)
        report(f"{name}; {cores:.2f} cores at work", taken, {})
        one, two = (min(spread.seconds) for spread in taken.values())
        asked("one thread, both at their best (where two cores are free)", 1.8, one / two)


SMALL = 4096
SECTIONS: dict[str, tuple[Callable[[int, int, int], None], tuple[tuple[int, int], ...]]] = {
    "store": (store, ((SMALL, 400), (16384, 1600))),
    "storkey": (storkey, ((SMALL, 4), (16384, 4))),
    "step": (step, ((SMALL, 400), (16384, 1600))),
    "recall": (recall, ((SMALL, 100), (16384, 1600))),
    "threads": (with_threads, ((16384, 1600),)),
}


def main() -> None:
    """Run the sections asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="N = 4,096 only")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    peer = importlib.metadata.version("hopfieldnetwork")
    print(f"numpy {np.__version__}, numba {numba.__version__}, hopfieldnetwork {peer}, {options.rounds} rounds")
    for name in options.sections or SECTIONS:
        run, sizes = SECTIONS[name]
        for n, m in sizes:
            if n == SMALL or not options.small:
                run(n, m, options.rounds)


if __name__ == "__main__":
    main()
