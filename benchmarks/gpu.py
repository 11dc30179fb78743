"""Our kernels on a CUDA device beside its own limits and CuPy's plain expressions: ``python -m benchmarks.gpu [--size full|small|tiny] [section ...]``.

Sections: copy, updates, eight_bits, willshaw, search, hopfield, spiking. Every work is timed between two waits for the device, interleaved with its peers;
bytes count once for a read, twice for an update in place, as in a copy. Fractions are of the copy bandwidth, or of the matrix rate, that the
same process measures. What is asked of an H200 stands beside what is found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.networks import recurrent
from benchmarks.timing import Spread, interleaved
from neuromem.backends import load_backend
from neuromem.errors import NeuromemError
from neuromem.ir import lower
from neuromem.kernels.bits import Patterns, Rows, pack

ROUNDS = 5


@dataclass(frozen=True)
class Size:
    """How large the works are."""

    copy: int  # bytes
    n: int  # units of the matrix that is updated
    units: int  # of the Willshaw table
    cues: int
    patterns: int  # that are searched, of 1,024 bits
    batches: tuple[int, ...]  # cues searched at once
    spins: int
    factors: tuple[int, ...]  # of the 4,000-neuron network
    steps: int


SIZES = {
    "full": Size(8 << 30, 65536, 65536, 2048, 10_000_000, (1, 256, 1024), 16384, (1, 10, 100), 10_000),
    "small": Size(1 << 28, 8192, 8192, 512, 100_000, (1, 256), 2048, (1,), 1000),
    "tiny": Size(1 << 14, 64, 128, 8, 300, (1, 4), 96, (), 10),
}


@dataclass(frozen=True)
class Found:
    """One figure. ``fraction`` is of what bounds the work, ``asked`` the fraction or ratio that is asked of an H200."""

    section: str
    what: str
    seconds: float
    low: float
    high: float
    rate: float
    unit: str
    fraction: float | None = None
    asked: float | None = None

    def text(self) -> str:
        """Return the figure as a line."""
        share = "" if self.fraction is None else f"  {self.fraction:.3g} of the bound"
        wanted = "" if self.asked is None or self.fraction is None else f"; asked {self.asked:g}: {'met' if self.met else 'NOT MET'}"
        return f"  {self.what:58s} {self.seconds * 1e3:.4g} ms ({self.low * 1e3:.4g} .. {self.high * 1e3:.4g})  {self.rate:.4g} {self.unit}{share}{wanted}"

    @property
    def met(self) -> bool | None:
        """Whether what is asked was found."""
        return None if self.asked is None or self.fraction is None else self.fraction >= self.asked


def found(
    section: str, what: str, spread: Spread, amount: float, unit: str, bound: float | None = None, asked: float | None = None
) -> Found:
    """Return the figure of ``amount`` (in units of 1e9, per second) done in the median time."""
    rate = amount / spread.median / 1e9
    fraction = None if bound is None else rate / bound
    return Found(section, what, spread.median, min(spread.seconds), max(spread.seconds), rate, unit, fraction, asked)


ENOUGH = 0.05
"""Seconds that a round takes at least: then what Python needs to launch the work is done while the device is busy with the one before."""


def on_device(work: Callable[[], object]) -> Callable[[], float]:
    """Return a contestant that waits for the device before and after, and does the work as often as ``ENOUGH`` asks."""
    import cupy as cp

    def seconds(times: int) -> float:
        cp.cuda.runtime.deviceSynchronize()
        began = time.perf_counter()
        for _ in range(times):
            work()
        cp.cuda.runtime.deviceSynchronize()
        return (time.perf_counter() - began) / times

    seconds(1)  # compiles
    times = max(1, round(ENOUGH / seconds(1)))
    return lambda: seconds(times)


def copy(size: Size) -> Iterator[Found]:
    """How fast the device copies: the bound of all that follows."""
    import cupy as cp

    source, target = cp.zeros(size.copy // 4, "float32"), cp.zeros(size.copy // 4, "float32")

    def work() -> None:
        target[...] = source

    yield found("copy", f"copy of {size.copy >> 20} MiB", interleaved({"": on_device(work)}, ROUNDS)[""], 2.0 * size.copy, "GB/s")


def updates(size: Size, bandwidth: float) -> Iterator[Found]:
    """Plastic updates of one matrix of rank 1 and 8; CuPy's own statements beside them."""
    import cupy as cp

    from neuromem.kernels.cupy import outer
    from neuromem.kernels.cupy.runtime import put

    rng = np.random.default_rng(1)
    n = size.n
    w = cp.zeros((n, n), "float32")
    us, vs = (put(rng.standard_normal((8, n), np.float32)) for _ in range(2))
    u, v = us[0].copy(), vs[0].copy()

    def plain() -> None:
        nonlocal w
        w *= np.float32(0.99)
        w += cp.outer(u * np.float32(0.01), v)
        cp.clip(w, -1, 1, out=w)

    spreads = interleaved(
        {
            "rank-1 decay, Hebb, clip": on_device(lambda: outer.decay_hebb(w, u, v, 0.99, 0.01, -1.0, 1.0)),
            "rank-8 decay, Hebb, clip": on_device(lambda: outer.decay_hebb_batch(w, us, vs, 0.99, 0.01, -1.0, 1.0)),
            "CuPy: three statements, rank 1": on_device(plain),
        },
        ROUNDS,
    )
    for name, spread in spreads.items():
        yield found("updates", f"{name}, {n} x {n} float32", spread, 8.0 * n * n, "GB/s", bandwidth, None if "CuPy" in name else 0.85)


def eight_bits(size: Size, bandwidth: float) -> Iterator[Found]:
    """Saturating counters of eight bits."""
    import cupy as cp

    from neuromem.kernels.cupy import counters
    from neuromem.kernels.cupy.runtime import put

    rng, n = np.random.default_rng(1), size.n
    table, a, b = cp.zeros((n, n), "int8"), *(put(rng.integers(-1, 2, (1, n)).astype(np.int8)) for _ in range(2))
    spread = interleaved({"": on_device(lambda: counters.hebb_batch(table, a, b))}, ROUNDS)[""]
    yield found("eight_bits", f"rank-1 saturating Hebb, {n} x {n} int8", spread, 2.0 * n * n, "GB/s", bandwidth)


def willshaw(size: Size, bandwidth: float) -> Iterator[Found]:
    """Recall of a Willshaw table by 16 units a cue."""
    from neuromem.kernels.cupy import willshaw as kernels
    from neuromem.kernels.cupy.runtime import put

    rng, k = np.random.default_rng(2), 16
    table = put(rng.integers(0, 1 << 63, (size.units, size.units // 64), np.uint64))
    units = np.sort(rng.integers(0, size.units // k, (size.cues, k)) + np.arange(k) * (size.units // k), axis=1).astype(np.int32)
    cues = Rows(put(np.arange(size.cues + 1, dtype=np.int64) * k), put(units.ravel()))
    kernels.store(table, cues, cues)  # so that cues are what is stored, and winners are found without counting
    n_bytes = size.cues * (k + 1) * size.units / 8
    spreads = interleaved(
        {
            "recall by all units": on_device(lambda: kernels.recall_all(table, cues)),
            "recall by winners": on_device(lambda: kernels.recall_winners(table, cues, size.units, k)),
        },
        ROUNDS,
    )
    for name, spread in spreads.items():
        yield found("willshaw", f"{name}, N = {size.units}, K = {k}, {size.cues} cues", spread, n_bytes, "GB/s", bandwidth, 0.7)


def search(size: Size, bandwidth: float) -> Iterator[Found]:
    """Exact best match; beside it the products of the same numbers by the device's matrix units, which decide how many cues go by popcount."""
    import cupy as cp

    from neuromem.kernels.cupy import hamming
    from neuromem.kernels.cupy.runtime import put

    rng, words = np.random.default_rng(3), 16
    chunk = min(size.patterns, 1 << 20)
    blocks, n = hamming.block(put(np.zeros((0, words), np.uint64))), 0
    while n < size.patterns:
        more = rng.integers(0, 1 << 63, (min(chunk, size.patterns - n), words), np.uint64)
        blocks, n = hamming.append(blocks, n, put(more)), n + len(more)
    for b in size.batches:
        cues = put(rng.integers(0, 1 << 63, (b, words), np.uint64))
        spread = interleaved({"": on_device(lambda cues=cues: hamming.best_match(blocks, n, cues))}, ROUNDS)[""]
        if b == 1:
            yield found("search", f"best match of 1 cue, {n} x 1,024 bits", spread, n * words * 8.0, "GB/s", bandwidth, 0.7)
            continue
        m = min(n, 1 << 19)
        a, c = (cp.ones(shape, "float16") for shape in ((b, 64 * words), (64 * words, m)))
        products = interleaved({"": on_device(lambda a=a, c=c: a @ c)}, ROUNDS)[""]
        matrix = 2.0 * b * m * 64 * words / products.median / 1e9
        yield found("search", f"float16 products for {b} cues", products, 2.0 * b * m * 64 * words, "GFLOP/s")
        yield found("search", f"best match of {b} cues, {n} x 1,024 bits", spread, 2.0 * b * n * 64 * words, "GOP/s", matrix, 0.4)


def hopfield(size: Size) -> Iterator[Found]:
    """Recall to a fixed point, and how often the host was asked meanwhile."""
    import neuromem
    from neuromem.kernels.cupy.runtime import traffic
    from neuromem.models import hopfield as model

    rng = np.random.default_rng(4)
    patterns = rng.choice([-1, 1], (max(2, size.spins // 20), size.spins))
    session = neuromem.build(model(size.spins), "cupy")
    session.store(patterns)
    cues = patterns * np.where(rng.random(patterns.shape) < 0.1, -1, 1)
    given = Patterns(size.spins, words=pack(cues > 0))
    before, steps, runs = traffic.copy(), 0, 0

    def work() -> None:
        nonlocal steps, runs
        steps, runs = int(session.simulation.settle(given, graded=False).steps.max()), runs + 1

    spread = interleaved({"": on_device(work)}, ROUNDS)[""]
    gets = traffic.since(before).gets / runs
    yield found(
        "hopfield",
        f"recall of {len(patterns)} cues, N = {size.spins}: {steps} steps, {gets:.1f} transfers to the host",
        spread,
        2.0 * len(patterns) ** 2 * size.spins * 2 * steps,
        "GOP/s",
    )


def spiking(size: Size) -> Iterator[Found]:
    """The plastic network of 4,000 neurons, and larger ones of the same number of synapses a neuron, against Brian2's C++ on this machine."""
    for factor in size.factors:
        network = recurrent(3200 * factor, 800 * factor, 0.02 / factor)
        program = lower(network, dt=0.1, n_steps=size.steps, seed=1)
        contestants: dict[str, Callable[[], float]] = {}
        for name, options in (("cupy", {}), ("brian2cuda", {}), ("brian2", {"codegen": "cpp_standalone"})):
            try:
                contestants[name] = _run_of(load_backend(name, **options), program)
            except NeuromemError as error:
                print(f"  {name}: {error}", file=sys.stderr)
        spreads = interleaved(contestants, 1 if factor == 100 else 3)
        for name, spread in spreads.items():
            against = spreads.get("brian2")
            faster = None if against is None or name == "brian2" else against.median / spread.median
            rate = size.steps / spread.median
            wanted = 20.0 if factor == 100 and name != "brian2" else None
            what = f"{name}, {4000 * factor} neurons, {size.steps} steps (the bound: times as fast as C++)"
            yield Found("spiking", what, spread.median, min(spread.seconds), max(spread.seconds), rate, "steps/s", faster, wanted)


def _run_of(engine: Any, program: Any) -> Callable[[], float]:
    def run() -> float:
        simulation = engine.build(program)
        if hasattr(simulation, "run_seconds"):  # a program of its own, which says what it took
            simulation.run()
            return float(simulation.run_seconds)
        began = time.perf_counter()
        simulation.advance(program.schedule)  # ends when its spikes are on the host
        return time.perf_counter() - began

    return run


def everything(size: Size, sections: list[str]) -> Iterator[Found]:
    """Yield the figures of the sections asked for, or of all; the copy comes first, for it is what the others are held against."""
    bandwidth = None
    for figure in copy(size):
        bandwidth = figure.rate
        yield figure
    assert bandwidth is not None
    works: dict[str, Callable[[], Iterator[Found]]] = {
        "updates": lambda: updates(size, bandwidth),
        "eight_bits": lambda: eight_bits(size, bandwidth),
        "willshaw": lambda: willshaw(size, bandwidth),
        "search": lambda: search(size, bandwidth),
        "hopfield": lambda: hopfield(size),
        "spiking": lambda: spiking(size),
    }
    for name, work in works.items():
        if not sections or name in sections:
            yield from work()


def main(arguments: list[str] | None = None) -> None:
    """Print the figures, and write them as JSON where that is asked for."""
    parser = argparse.ArgumentParser(description="Our kernels on a CUDA device beside its own limits.")
    parser.add_argument("sections", nargs="*", help="copy, updates, eight_bits, willshaw, search, hopfield, spiking; default: all")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    chosen = parser.parse_args(arguments)
    try:
        engine = load_backend("cupy")
    except NeuromemError as error:
        sys.exit(f"error: {error}")
    print(", ".join(f"{name} {version}" for name, version in engine.versions().items()))
    figures = []
    for figure in everything(SIZES[chosen.size], chosen.sections):
        if not figures or figure.section != figures[-1].section:
            print(f"\n## {figure.section}")
        print(figure.text(), flush=True)
        figures.append(figure)
        if chosen.json:
            with open(chosen.json, "w") as file:
                json.dump([asdict(f) | {"met": f.met} for f in figures], file, indent=1)


if __name__ == "__main__":
    main()
