"""The spinnaker-emulator backend beside the board's real time and our float engine: ``python -m benchmarks.emulator [--rounds N]``.

The work is the CA3 memory of 64 x 32 with the stress protocol, and the same at 5 x 10. The board takes 1 ms for a step, whatever
happens in it. Float engines with all events fire more spikes than the board, as more recalls are right; ``cpu, 15 events`` does the same work as the
emulator. All run on one thread, interleaved; each round builds anew, uncounted. Seconds are of process CPU time, which others on the
machine disturb less; ratios are good, seconds are this machine's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.spiking import table
from benchmarks.timing import Spread, asked, interleaved, times
from neuromem.backends import load_backend
from neuromem.ir import lower_memory
from neuromem.ir.program import Program
from neuromem.models.ca3_cam import ca3_cam, stress

SIZES = ((5, 10), (64, 32))
ASKED_OF = (64, 32)
OURS = "spinnaker-emulator"


def versions() -> str:
    """Return the versions of what is timed."""
    names = ("neuromem", "numpy", "numba")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names) + f", Python {sys.version.split()[0]}"


def run_of(backend: str, program: Program, **options: Any) -> Callable[[], float]:
    """Return a contestant that builds anew, uncounted, and then runs the whole program; it returns its seconds of CPU time."""
    engine = load_backend(backend, **options)

    def run() -> float:
        simulation = engine.build(program)
        began = time.process_time()
        simulation.advance(program.schedule)
        return time.process_time() - began

    return run


def spikes(backend: str, program: Program) -> int:
    """Return how many spikes a run has."""
    return int(load_backend(backend).build(program).run().step.size)


def real_time(program: Program, rounds: int) -> Spread:
    """Return the seconds that the board takes, in as many rounds as the others have."""
    return Spread((program.n_steps * program.dt / 1000,) * rounds)


def fit_seconds(program: Program) -> float:
    """Return the seconds of one build: the fit and the layout, everything compiled."""
    began = time.perf_counter()
    load_backend(OURS).build(program)
    return time.perf_counter() - began


def compare(n_cues: int, n_content: int, rounds: int) -> None:
    """Time one size; print medians with spread, and what is asked."""
    programs = {events: lower_memory(ca3_cam(n_cues, n_content, events), stress(n_cues, n_content)) for events in (None, 15)}
    program = programs[15]
    print(
        f"\nCA3 memory {n_cues} x {n_content}, stress protocol: {program.n_steps} steps, {program.cells.n} cells, {sum(p.n_synapses for p in program.projections)} synapses"
    )
    print(
        f"  spikes: {OURS} {spikes(OURS, program)}, cpu with 15 events {spikes('cpu', program)}, cpu with all events {spikes('cpu', programs[None])}"
    )
    contestants = {
        OURS: run_of(OURS, program),
        "cpu, 15 events": run_of("cpu", program, threads=1),
        "cpu, all events": run_of("cpu", programs[None], threads=1),
    }
    results = interleaved(contestants, rounds)
    board = real_time(program, rounds)
    table(f"{n_cues} x {n_content}, per step", results | {"board, real time": board}, program.n_steps, "us", 1e6, ours=OURS)
    print(f"  build (fit and layout, once): {fit_seconds(program):.3f} s")
    if (n_cues, n_content) == ASKED_OF:
        asked("as fast as the board", 1.0, times(board, results[OURS]))
        asked("the time of cpu with the same 15 events", 2.0, times(results[OURS], results["cpu, 15 events"]), at_most=True)
        asked("the time of cpu with all events", 2.0, times(results[OURS], results["cpu, all events"]), at_most=True)


def main() -> None:
    """Time all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(f"{versions()}; {len(os.sched_getaffinity(0))} cores")
    for n_cues, n_content in SIZES:
        compare(n_cues, n_content, arguments.rounds)


if __name__ == "__main__":
    main()
