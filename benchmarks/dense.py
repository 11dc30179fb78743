"""Reads of a dense associative memory: 100,000 patterns of 1,024 units, beside torch's attention and NumPy's.

``python -m benchmarks.dense [bipolar] [real] [fields] [threads] [--rounds N] [--small]``

One thread each (but ``threads``, in wall time), process CPU time: other processes then disturb less. beta is 8 / sqrt(N) for overlaps
that reach from -N to N, states are stored patterns with 10 % of the bits flipped (real-valued: with noise), so that one
pattern has nearly all the weight. The floor of bipolar reads is xor + popcount of all patterns for each state, or one read of them;
that of real-valued ones is half of attention's multiplications, the scores, at the speed of this machine's float32 product.
A low beta, at which every pattern counts, is printed too.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before NumPy loads its BLAS

import numba
import numpy as np

from benchmarks.limits import popcount_rate, read_bandwidth
from benchmarks.timing import Spread, asked, timed, times
from neuromem.kernels.bits import pack
from neuromem.kernels.cpu import dense, hamming

N = 1024
STATES = 64
BETA = 8 / N**0.5
LOW_BETA = 0.01

Contestants = dict[str, Callable[[], object]]


def table(title: str, taken: Mapping[str, Spread], floor: float) -> None:
    """Print the times, and how many times the floor each is."""
    print(f"\n## {title}; floor {floor * 1e3:.3g} ms")
    for name, spread in taken.items():
        print(f"  {name:<44}{spread.text(1e3, 'ms'):<36}{spread.median / floor:.3g} x floor")


def attention(patterns: np.ndarray, states: np.ndarray, beta: float) -> np.ndarray:
    """Softmax attention in float32, as NumPy's users write it."""
    scores = np.float32(beta) * (states @ patterns.T)
    scores -= scores.max(axis=1, keepdims=True)
    weights = np.exp(scores, out=scores)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ patterns


def torch_peers(patterns: np.ndarray, states: np.ndarray, beta: float) -> Contestants:
    """Return torch's attention, and its softmax between two products."""
    import torch

    torch.set_num_threads(1)
    keys, queries = torch.from_numpy(patterns)[None], torch.from_numpy(states)[None]
    print(f"\ntorch {torch.__version__}")
    return {
        "torch scaled_dot_product_attention": lambda: torch.nn.functional.scaled_dot_product_attention(queries, keys, keys, scale=beta),
        "torch softmax(beta q @ x.T) @ x": lambda: torch.softmax(beta * (queries @ keys.mT), dim=-1) @ keys,
    }


def bipolar_problem(m: int, b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return patterns as blocks, packed states, and both in float32."""
    rng = np.random.default_rng(1)
    bits = rng.random((m, N), np.float32) < 0.5
    states = bits[rng.integers(m, size=b)] ^ (rng.random((b, N)) < 0.1)
    one = np.float32(1)
    return hamming.block(pack(bits)), pack(states), np.where(bits, one, -one), np.where(states, one, -one)


def bipolar_floor(blocks: np.ndarray, b: int) -> float:
    """Return the seconds in which all patterns can be read once and counted against ``b`` states."""
    return max(blocks.nbytes / read_bandwidth(blocks.nbytes), b * blocks.nbytes / popcount_rate()) / 1e9


def bipolar(m: int, rounds: int) -> None:
    """Softmax reads of bipolar patterns, packed."""
    for b in (1, STATES):
        blocks, packed, patterns, states = bipolar_problem(m, b)
        peers = torch_peers(patterns, states, BETA)
        theirs = peers["torch scaled_dot_product_attention"]().numpy()[0]  # type: ignore[attr-defined]
        error = abs(dense.read_softmax(blocks, m, N, packed, BETA).values - theirs).max()
        taken = timed(
            {
                **peers,
                "numpy softmax(q @ x.T) @ x": lambda s=states, x=patterns: attention(x, s, BETA),  # type: ignore[misc]
                "read_softmax": lambda k=blocks, s=packed: dense.read_softmax(k, m, N, s, BETA),  # type: ignore[misc]
                f"read_softmax, beta {LOW_BETA}": lambda k=blocks, s=packed: dense.read_softmax(k, m, N, s, LOW_BETA),  # type: ignore[misc]
            },
            rounds,
        )
        table(f"bipolar, {m} x {N}, {b} state(s)", taken, bipolar_floor(blocks, b))
        print(f"  largest difference from torch's attention: {error:.2g}")
        for name in peers:
            asked(name, 10, times(taken[name], taken["read_softmax"]))


def real(m: int, rounds: int) -> None:
    """Softmax reads of real-valued patterns."""
    rng = np.random.default_rng(2)
    patterns = rng.standard_normal((m, N), np.float32)
    block = patterns[:2048]
    began = time.process_time()
    for _ in range(5):
        block @ block.T
    rate = 5 * 2 * N * len(block) ** 2 / (time.process_time() - began)
    for b in (1, STATES):
        states = patterns[rng.integers(m, size=b)] + np.float32(0.5) * rng.standard_normal((b, N), np.float32)
        peers = torch_peers(patterns, states, BETA)
        error = abs(dense.read_softmax_real(patterns, states, BETA).values - attention(patterns, states, BETA)).max()
        taken = timed(
            {
                **peers,
                "numpy softmax(q @ x.T) @ x": lambda s=states: attention(patterns, s, BETA),  # type: ignore[misc]
                "read_softmax_real": lambda s=states: dense.read_softmax_real(patterns, s, BETA),  # type: ignore[misc]
                f"read_softmax_real, beta {LOW_BETA}": lambda s=states: dense.read_softmax_real(patterns, s, LOW_BETA),  # type: ignore[misc]
            },
            rounds,
        )
        table(f"real-valued, {m} x {N}, {b} state(s)", taken, max(patterns.nbytes / read_bandwidth() / 1e9, 2 * patterns.size * b / rate))
        print(f"  largest difference from NumPy's float32 attention: {error:.2g}")
        asked("numpy", 1.8, times(taken["numpy softmax(q @ x.T) @ x"], taken["read_softmax_real"]))


def fields(m: int, rounds: int) -> None:
    """Fields of polynomial and exponential energies; the peer is the sum over all patterns as two products in float64."""
    b = 8
    blocks, packed, patterns, states = bipolar_problem(m, b)
    x, s = patterns.astype(np.float64), states.astype(np.float64)

    def with_numpy() -> np.ndarray:
        overlaps = s @ x.T
        above, below = (overlaps + 2) ** 3, (overlaps - 2) ** 3
        return (above - below) @ x / 2 - s * (above + below - 2 * overlaps**3).sum(axis=1, keepdims=True) / 2

    assert (dense.polynomial_fields(blocks, m, N, packed, 3, False) == with_numpy()).all()  # whole numbers
    taken = timed(
        {
            "numpy, power 3, float64": with_numpy,
            "polynomial_fields, power 3": lambda: dense.polynomial_fields(blocks, m, N, packed, 3, False),
            "exponential_fields": lambda: dense.exponential_fields(blocks, m, N, packed, 1.0),
        },
        rounds,
    )
    table(f"fields, {m} x {N}, {b} states", taken, bipolar_floor(blocks, b))


def with_threads(m: int, rounds: int) -> None:
    """One thread and two."""
    blocks, packed, patterns, states = bipolar_problem(m, STATES)
    reads: dict[str, Callable[[int], object]] = {
        "read_softmax": lambda threads: dense.read_softmax(blocks, m, N, packed, BETA, threads),
        "read_softmax_real": lambda threads: dense.read_softmax_real(patterns, states, BETA, threads),
        "polynomial_fields": lambda threads: dense.polynomial_fields(blocks, m, N, packed[:8], 3, False, threads),
    }
    for name, read in reads.items():
        taken = timed({f"{name}, {t} thread(s)": lambda t=t, read=read: read(t) for t in (1, 2)}, rounds, time.perf_counter)  # type: ignore[misc]
        one, two = taken.values()
        table(f"{name}, wall time", taken, one.median)
        asked("one thread (both cores free)", 1.8, times(one, two))


SECTIONS = {"bipolar": bipolar, "real": real, "fields": fields, "threads": with_threads}


def main() -> None:
    """Run the sections asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="a tenth of the patterns")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(f"numpy {np.__version__}, numba {numba.__version__}, {options.rounds} rounds")
    for name in options.sections or SECTIONS:
        SECTIONS[name](10_000 if options.small else 100_000, options.rounds)


if __name__ == "__main__":
    main()
