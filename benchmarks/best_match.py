"""Exact best match over a million packed patterns, beside faiss; over 100,000 long ones, beside torchhd.

``python -m benchmarks.best_match [faiss] [torchhd] [threads] [--rounds N] [--small]``

One thread each (but ``threads``, in wall time), process CPU time: other processes then disturb less. Cues are stored patterns with 10 %
of the bits flipped, new ones for each table. The memory floor is one read of all patterns at this machine's bandwidth, that of
many cues xor + popcount of all patterns for each. ``best_match`` may be below both: it finishes only blocks
that can still hold the winner. How it does where that never helps is printed too: cues that are like no pattern, and the
full scan of ``top_k``, which the margin between the two nearest takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

import numba
import numpy as np

from benchmarks.limits import popcount_rate, read_bandwidth
from benchmarks.timing import Spread, asked, ratio, timed, times
from neuromem.kernels.bits import pack, unpack
from neuromem.kernels.cpu import hamming

NOISE = 0.1
CUES = 64


def table(title: str, taken: Mapping[str, Spread], n_cues: int, floor: float) -> None:
    """Print the times of a cue, and how many times the floor each is."""
    print(f"\n## {title}; floor {floor * 1e3:.3g} ms a cue")
    for name, spread in taken.items():
        print(f"  {name:<46}{spread.text(1e3 / n_cues, 'ms a cue'):<40} {spread.median / n_cues / floor:.3g} x floor")


def noisy(rng: np.random.Generator, words: np.ndarray, n_cues: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which patterns are asked for, and them with a tenth of the bits flipped."""
    chosen = rng.integers(len(words), size=n_cues)
    return chosen, words[chosen] ^ pack(rng.random((n_cues, words.shape[1] * 64)) < NOISE)


def against_faiss(m: int, n: int, rounds: int) -> None:
    """One cue and 64, beside faiss-cpu's IndexBinaryFlat."""
    import faiss

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64, (m, n // 64), np.uint64)
    blocks = hamming.block(words)
    index = faiss.IndexBinaryFlat(n)
    index.add(words.view(np.uint8))
    memory = words.nbytes / read_bandwidth(words.nbytes, rounds) / 1e9
    counting = words.nbytes / popcount_rate(rounds=rounds) / 1e9
    print(
        f"\nfaiss-cpu {faiss.__version__}; patterns of {words.nbytes / 1e6:.0f} MB; one read {memory * 1e3:.3g} ms, xor + popcount {counting * 1e3:.3g} ms"
    )
    for n_cues in (1, CUES):
        chosen, cues = noisy(rng, words, n_cues)
        hopeless = rng.integers(0, 2**64, cues.shape, np.uint64)
        found, distance = hamming.best_match(blocks, m, cues)
        theirs, labels = index.search(cues.view(np.uint8), 1)
        assert (found == chosen).all()
        assert (labels[:, 0] == chosen).all()
        assert (distance == theirs[:, 0]).all()
        contestants: dict[str, Callable[[], object]] = {
            "faiss IndexBinaryFlat.search(Q, 1)": lambda cues=cues: index.search(cues.view(np.uint8), 1),  # type: ignore[misc]
            "best_match": lambda cues=cues: hamming.best_match(blocks, m, cues),  # type: ignore[misc]
            "best_match, cues like no pattern": lambda cues=hopeless: hamming.best_match(blocks, m, cues),  # type: ignore[misc]
            "top_k, k = 1: every bit counted": lambda cues=cues: hamming.top_k(blocks, m, cues, 1),  # type: ignore[misc]
            "top_k, k = 2: with the margin": lambda cues=cues: hamming.top_k(blocks, m, cues, 2),  # type: ignore[misc]
        }
        taken = timed(contestants, rounds)
        floor = max(memory / n_cues, counting)
        table(f"{m} x {n} bits, {n_cues} cue(s)", taken, n_cues, floor)
        peer, ours = taken["faiss IndexBinaryFlat.search(Q, 1)"], taken["best_match"]
        print(f"  faiss / best_match {ratio(peer, ours)}; faiss / full scan {ratio(peer, taken['top_k, k = 1: every bit counted'])}")
        if n_cues == 1:
            asked("the memory floor", 1.2, ours.median / memory, at_most=True)
        asked("faiss", 2 if n_cues == 1 else 4, times(peer, ours))


def against_torchhd(m: int, n: int, rounds: int) -> None:
    """An item memory of binary hypervectors, as torchhd's users write it."""
    import torch
    import torchhd

    torch.set_num_threads(1)
    rng = np.random.default_rng(2)
    words = rng.integers(0, 2**64, (m, n // 64), np.uint64)
    blocks = hamming.block(words)
    memory = torch.from_numpy(unpack(words, n)).as_subclass(torchhd.BSCTensor)
    chosen, cues = noisy(rng, words, 1)
    query = torch.from_numpy(unpack(cues, n)).as_subclass(torchhd.BSCTensor)
    assert int(torchhd.hamming_similarity(query, memory).argmax()) == chosen[0] == hamming.best_match(blocks, m, cues)[0][0]
    taken = timed(
        {
            "torchhd hamming_similarity(q, memory).argmax": lambda: torchhd.hamming_similarity(query, memory).argmax(),
            "best_match": lambda: hamming.best_match(blocks, m, cues),
            "top_k, k = 1: every bit counted": lambda: hamming.top_k(blocks, m, cues, 1),
        },
        rounds,
    )
    print(f"\ntorch {torch.__version__}, torch-hd {version('torch-hd')}")
    table(f"{m} x {n} bits, one cue", taken, 1, words.nbytes / read_bandwidth(words.nbytes, rounds) / 1e9)
    peer = taken["torchhd hamming_similarity(q, memory).argmax"]
    asked("torchhd", 100, times(peer, taken["best_match"]))
    print(f"  torchhd / full scan {ratio(peer, taken['top_k, k = 1: every bit counted'])}")


def with_threads(m: int, n: int, rounds: int) -> None:
    """One thread and two."""
    rng = np.random.default_rng(3)
    words = rng.integers(0, 2**64, (m, n // 64), np.uint64)
    blocks = hamming.block(words)
    for n_cues in (1, CUES):
        _, cues = noisy(rng, words, n_cues)
        contestants: dict[str, Callable[[], object]] = {
            f"best_match, {threads} thread(s)": lambda cues=cues, threads=threads: hamming.best_match(blocks, m, cues, threads)  # type: ignore[misc]
            for threads in (1, 2)
        }
        taken = timed(contestants, rounds, time.perf_counter)
        table(
            f"{m} x {n} bits, {n_cues} cue(s), wall time",
            taken,
            n_cues,
            max(words.nbytes / 1e9 / read_bandwidth(words.nbytes) / n_cues, words.nbytes / 1e9 / popcount_rate()),
        )
        one, two = taken.values()
        asked("one thread (both cores free)", 1.8, times(one, two))


SECTIONS = {"faiss": against_faiss, "torchhd": against_torchhd, "threads": with_threads}


def main() -> None:
    """Run the sections asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--small", action="store_true", help="a twentieth of the patterns")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(f"numpy {np.__version__}, numba {numba.__version__}, {options.rounds} rounds")
    share = 20 if options.small else 1
    for name in options.sections or SECTIONS:
        SECTIONS[name](*((100_000 // share, 10_240) if name == "torchhd" else (1_000_000 // share, 1024)), options.rounds)


if __name__ == "__main__":
    main()
