"""Plastic float32 matrices: rank-1 and rank-8 writes, Oja, delta, and the traces of BCPNN, beside NumPy and torch.

``python -m benchmarks.plastic_matrices [rank1] [rank8] [rules] [bcpnn] [threads] [--rounds N] [--small]``

One thread each (but ``threads``), process CPU time: other processes then disturb less. All contestants of a
table work in place on the same matrix. The floor of a write is an in-place scale of that very matrix, timed in the
same rounds; that of the traces is the bytes that must move, at the speed of that scale. Sums of the rank-8 write cost
operations too: 16 a weight. NumPy's temporaries are as large as W: what they cost depends on whether the
system has huge pages free for them (4 to 5 times less then), so that its figures spread widely on a busy machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import Spread, asked, ratio, timed, times
from neuromem.kernels.cpu import bcpnn, outer
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule

DECAY, RATE, LOW, HIGH = 0.99, 0.1, -3.0, 3.0
Contestants = dict[str, Callable[[], object]]


@kernel()
def _scale(w, factor):
    for i in range(len(w)):
        row = w[i]
        for j in range(row.size):
            row[j] *= factor


def table(title: str, taken: Mapping[str, Spread], floor: str) -> None:
    """Print the times, and how many times the floor each is."""
    print(f"\n## {title}")
    for name, spread in taken.items():
        print(f"  {name:<34}{spread.text(1e3, 'ms'):<36}{ratio(spread, taken[floor])} of {floor!r}")


def problem(n: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix whose pages are all there, ``batch`` keys of length about 1, and values."""
    rng = np.random.default_rng(1)
    w = np.empty((n, n), np.float32)
    w[:] = rng.standard_normal(n, np.float32)
    keys = rng.standard_normal((batch, n), np.float32) / np.float32(n**0.5)
    return w, keys, rng.standard_normal((batch, n), np.float32)


def rank1(n: int, rounds: int) -> None:
    """Decay + Hebb + clip, one pair."""
    w, keys, values = problem(n, 1)
    key, value = keys[0], values[0]

    def three_statements() -> None:
        nonlocal w
        w *= np.float32(DECAY)
        w += np.float32(RATE) * np.outer(value, key)
        np.clip(w, LOW, HIGH, out=w)

    made = np.empty_like(w)

    def kept_temporary() -> None:
        nonlocal w
        w *= np.float32(DECAY)
        np.outer(np.float32(RATE) * value, key, out=made)
        w += made
        np.clip(w, LOW, HIGH, out=w)

    contestants: Contestants = {
        "scale in place": lambda: _scale(w, np.float32(0.999)),
        "neuromem": lambda: outer.decay_hebb(w, value, key, DECAY, RATE, LOW, HIGH),
        "numpy, three statements": three_statements,
        "numpy, its temporary kept": kept_temporary,
    }
    taken = timed(contestants, rounds)
    table(f"rank 1: decay + Hebb + clip, N = {n}", taken, "scale in place")
    asked("an in-place scale", 1.2, times(taken["neuromem"], taken["scale in place"]), at_most=True)
    asked("numpy's three statements", 12, times(taken["numpy, three statements"], taken["neuromem"]))
    print(f"  {ratio(taken['numpy, its temporary kept'], taken['neuromem'])} numpy with its temporary kept")


def rank8(n: int, rounds: int) -> None:
    """Decay + Hebb + clip, 8 and 32 pairs at once, beside torch."""
    w, keys, values = problem(n, 32)
    contestants: Contestants = {"scale in place": lambda: _scale(w, np.float32(0.999))}
    for batch in (8, 32):
        k, v = keys[:batch], values[:batch]
        contestants[f"neuromem, rank {batch}"] = lambda k=k, v=v: outer.decay_hebb_batch(w, v, k, DECAY, RATE, LOW, HIGH)  # type: ignore[misc]
    try:
        import torch
    except ImportError:
        print("torch is not installed; pip install 'neuromem[bench]'")
    else:
        torch.set_num_threads(1)
        print(f"torch {torch.__version__}")
        there = torch.from_numpy(w)  # the same memory
        for batch in (8, 32):
            k, v = torch.from_numpy(keys[:batch]), torch.from_numpy(np.ascontiguousarray(values[:batch].T))
            contestants[f"torch addmm_ + clamp_, rank {batch}"] = lambda k=k, v=v: there.addmm_(v, k, beta=DECAY, alpha=RATE).clamp_(
                LOW, HIGH
            )  # type: ignore[misc]
    taken = timed(contestants, rounds)
    table(f"rank 8 and 32: decay + Hebb + clip, N = {n}", taken, "scale in place")
    for batch, limit in ((8, 1.2), (32, 1.0)):
        if (peer := f"torch addmm_ + clamp_, rank {batch}") in taken:
            asked(f"torch, rank {batch}", limit, times(taken[peer], taken[f"neuromem, rank {batch}"]))


def rules(n: int, rounds: int) -> None:
    """Composed writes: one pair, and eight one after the other."""
    w, keys, values = problem(n, 8)
    written = {
        "Oja": WriteRule(Loss.VARIANCE, retention=Retention.OJA, rate=0.01),
        "delta": WriteRule(Loss.SQUARED_ERROR, rate=0.5),
        "Huber with decay": WriteRule(Loss.HUBER_ERROR, 0.1, gamma=DECAY, rate=0.5),
        "orthogonal": WriteRule(step=Step.ORTHOGONAL, rate=0.1),
    }
    contestants: Contestants = {"scale in place": lambda: _scale(w, np.float32(0.999))}
    for name, rule in written.items():
        contestants[name] = lambda rule=rule: outer.write(w, None, keys[:1], values[:1], rule)  # type: ignore[misc]
    contestants["delta, 8 pairs in turn"] = lambda: outer.write(w, None, keys, values, written["delta"])

    def numpy_delta() -> None:
        nonlocal w
        w += np.outer(np.float32(0.5) * (values[0] - w @ keys[0]), keys[0])

    contestants["numpy delta, in place"] = numpy_delta
    table(f"composed rules, one pair unless told, N = {n}", timed(contestants, rounds), "scale in place")


def traces(n: int) -> list[np.ndarray]:
    """Return p_i, p_j, p_ij, w, bias, and activities of 10 % of the units."""
    rng = np.random.default_rng(1)
    p_i, p_j = rng.uniform(0.01, 0.2, (2, n)).astype(np.float32)
    p_ij = np.outer(p_i, p_j)
    x_pre, x_post = (rng.random((2, n)) < 0.1).astype(np.float32)
    return [p_i, p_j, p_ij, np.zeros_like(p_ij), np.zeros(n, np.float32), x_pre, x_post]


def bcpnn_traces(n: int, rounds: int) -> None:
    """Traces and weights of BCPNN, one step."""
    state = traces(n)
    p_i, p_j, p_ij, w, bias, x_pre, x_post = state
    step, eps = np.float32(0.01), np.float32(1e-4)

    def as_written() -> None:
        nonlocal p_i, p_j, p_ij, w, bias
        p_i += step * (x_pre - p_i)
        p_j += step * (x_post - p_j)
        p_ij += step * (np.outer(x_pre, x_post) - p_ij)
        w = np.log(np.maximum(p_ij, eps * eps) / np.outer(np.maximum(p_i, eps), np.maximum(p_j, eps)))
        bias = np.log(np.maximum(p_j, eps))

    def with_few_temporaries() -> None:
        nonlocal p_i, p_j, p_ij, w
        p_i += step * (x_pre - p_i)
        p_j += step * (x_post - p_j)
        p_ij *= np.float32(1) - step
        p_ij += np.outer(step * x_pre, x_post)
        np.maximum(p_ij, eps * eps, out=w)
        w /= np.outer(np.maximum(p_i, eps), np.maximum(p_j, eps))
        np.log(w, out=w)
        np.log(np.maximum(p_j, eps), out=bias)

    weights = w
    contestants: Contestants = {
        "scale of both matrices": lambda: [_scale(m, np.float32(1.0)) for m in (p_ij, weights)],
        "neuromem": lambda: bcpnn.traces_update(*state, 0.01),
        "numpy, as the equations": as_written,
        "numpy, few temporaries": with_few_temporaries,
    }
    taken = timed(contestants, rounds)
    table(
        f"BCPNN: traces and weights, N = {n} (floor: p read and written, w written: 12 bytes of the scale's 16)",
        taken,
        "scale of both matrices",
    )
    asked("numpy as the equations", 5, times(taken["numpy, as the equations"], taken["neuromem"]))
    asked("numpy with few temporaries", 5, times(taken["numpy, few temporaries"], taken["neuromem"]))


def threads(n: int, rounds: int) -> None:
    """One thread and two, wall-clock time: shows a gain only where both cores are free."""
    w, keys, values = problem(n, 8)
    state = traces(min(n, 4096))
    delta = WriteRule(Loss.SQUARED_ERROR, rate=0.5)
    runs: dict[str, Callable[[int], object]] = {
        "rank 1": lambda t: outer.decay_hebb(w, values[0], keys[0], DECAY, RATE, LOW, HIGH, t),
        "rank 8": lambda t: outer.decay_hebb_batch(w, values, keys, DECAY, RATE, LOW, HIGH, t),
        "delta": lambda t: outer.write(w, None, keys[:1], values[:1], delta, t),
        "BCPNN": lambda t: bcpnn.traces_update(*state, 0.01, threads=t),
    }
    contestants = {f"{name}, {t} thread{'s' * (t > 1)}": lambda run=run, t=t: run(t) for name, run in runs.items() for t in (1, 2)}  # type: ignore[misc]
    taken = timed(contestants, rounds, time.perf_counter)
    print(f"\n## two threads, N = {n} (BCPNN {len(state[0])}), wall-clock")
    for name in runs:
        asked(f"one thread, {name}", 1.8, times(taken[f"{name}, 1 thread"], taken[f"{name}, 2 threads"]))


SECTIONS: dict[str, tuple[Callable[[int, int], None], int]] = {
    "rank1": (rank1, 16384),
    "rank8": (rank8, 16384),
    "rules": (rules, 16384),
    "bcpnn": (bcpnn_traces, 4096),
    "threads": (threads, 16384),
}


def main() -> None:
    """Run the chosen sections, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="matrices of 2,048: they fit caches, and no figure means much")
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, numba {numba.__version__}; one thread, process CPU time, median (lowest .. highest)")
    with threadpool_limits(1):  # BLAS; torch is told by itself
        for name in arguments.sections or SECTIONS:
            run, n = SECTIONS[name]
            run(2048 if arguments.small else n, arguments.rounds)


if __name__ == "__main__":
    main()
