"""Our engines beside their peers on the same spiking work, interleaved: ``python -m benchmarks.spiking [section ...]``.

Sections: cam (5x10 stress, single and batch), large (CAM 64x32), recurrent (4,000 plastic
neurons), operation (one interactive store or recall), first (first result of the command line),
propagation (synaptic events per second). All times are wall seconds of this machine, good only
as ratios. C++ standalone's run time is the one that Brian2 itself reports, without process start
and file output; its compile time is shown apart.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neuromem
from benchmarks.networks import recurrent
from benchmarks.propagation import propagation
from benchmarks.timing import interleaved, ratio
from neuromem.backends import load_backend
from neuromem.ir import lower, lower_memory, stack
from neuromem.ir.program import Program
from neuromem.models.ca3_cam import ca3_cam, stress


class Standalone:
    """A C++ standalone program, compiled once."""

    def __init__(self, program: Program) -> None:
        self.simulation: Any = load_backend("brian2", codegen="cpp_standalone").build(program)
        self.compile_seconds = self.simulation.compile_seconds

    def __call__(self) -> float:
        """Run it and return the seconds that Brian2 counted."""
        self.simulation.run()
        return float(Path(self.simulation.directory, "results", "last_run_info.txt").read_text().split()[0])


def fresh(backend: str, program: Program, **options: Any) -> Callable[[], float]:
    """Return a contestant that builds anew, uncounted, and then runs the whole program."""
    engine = load_backend(backend, **options)

    def run() -> float:
        simulation = engine.build(program)
        began = time.perf_counter()
        simulation.advance(program.schedule)
        return time.perf_counter() - began

    return run


def nest_peer(program: Program) -> Callable[[], float]:
    """Return NEST on the same network; it goes on where the round before ended."""
    from benchmarks.nest_peer import NestPeer

    return NestPeer(program).run


def versions() -> str:
    """Return the versions of all contestants."""
    names = ("neuromem", "numpy", "numba", "brian2", "cython", "nest-simulator")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names) + f", Python {sys.version.split()[0]}"


def table(title: str, results: dict[str, Any], per: float, unit: str, scale: float, ours: str = "cpu") -> None:
    """Print median and spread of each contestant, and its ratio to ours."""
    print(f"\n## {title}")
    for name, spread in results.items():
        against = "" if name == ours else f"   {ratio(spread, results[ours])} of {ours}"
        print(f"  {name:28s} {spread.text(scale / per, unit)}{against}")


def all_engines(program: Program, standalone: Standalone) -> dict[str, Callable[[], float]]:
    """Return our engine and all peers on a CAM."""
    return {
        "cpu": fresh("cpu", program),
        "brian2 cython": fresh("brian2", program, codegen="cython"),
        "brian2 cpp_standalone": standalone,
        "nest (exact integrator)": nest_peer(program),
    }


def cam(rounds: int) -> None:
    """The CAM at 5x10 with the stress protocol: one replica, then batches."""
    program = lower_memory(ca3_cam(), stress(5, 10))
    standalone = Standalone(program)
    print(f"\nCAM 5x10: C++ standalone compiled in {standalone.compile_seconds:.1f} s")
    table("CAM 5x10, stress protocol, per step", interleaved(all_engines(program, standalone), rounds), program.n_steps, "us", 1e6)
    for batch in (256, 1024):
        many = stack([program] * batch)
        one, all_ = fresh("cpu", many, threads=1), fresh("cpu", many)

        def scaled(run: Callable[[], float], batch: int = batch) -> Callable[[], float]:
            return lambda: run() / batch

        results = interleaved({"cpu": scaled(all_), "cpu, 1 thread": scaled(one), "brian2 cpp_standalone": standalone}, rounds)
        table(
            f"CAM 5x10, stress, batch of {batch} on {len(os.sched_getaffinity(0))} cores, per step and replica",
            results,
            program.n_steps,
            "us",
            1e6,
        )


def large(rounds: int) -> None:
    """The CAM at 64x32 with the stress protocol."""
    program = lower_memory(ca3_cam(64, 32), stress(64, 32))
    standalone = Standalone(program)
    print(f"\nCAM 64x32: C++ standalone compiled in {standalone.compile_seconds:.1f} s")
    table("CAM 64x32, stress protocol, per step", interleaved(all_engines(program, standalone), rounds), program.n_steps, "us", 1e6)


def recurrent_network(rounds: int) -> None:
    """4,000 recurrent LIF neurons, 2 % connectivity, plastic, dt 0.1 ms, 1 s; all on one thread."""
    program = lower(recurrent(), dt=0.1, n_steps=10_000)
    spikes = load_backend("cpu").build(program).run().step.size
    standalone = Standalone(program)
    print(
        f"\nrecurrent: {sum(p.n_synapses for p in program.projections)} synapses, {sum(p.n_synapses for p in program.plastic)} plastic, {spikes / 4000:.2f} Hz"
    )
    print(f"C++ standalone compiled in {standalone.compile_seconds:.1f} s; cpu compiles nothing per network")
    contestants = {
        "cpu": fresh("cpu", program),
        "brian2 cython": fresh("brian2", program, codegen="cython"),
        "brian2 cpp_standalone": standalone,
        "nest, delays 0.1 ms": nest_peer(program),
    }
    table("4,000 plastic neurons, 1 s at 0.1 ms", interleaved(contestants, rounds), 1, "s", 1)
    contestants = {"cpu": fresh("cpu", slow := lower(recurrent(delay=1.5), dt=0.1, n_steps=10_000)), "nest, delays 1.5 ms": nest_peer(slow)}
    table("the same with delays of 1.5 ms (NEST communicates less often)", interleaved(contestants, rounds), 1, "s", 1)


def operation(rounds: int) -> None:
    """One interactive operation on the CAM at 5x10."""
    sessions = {
        "cpu": neuromem.build(ca3_cam(), backend="cpu"),
        "brian2 numpy": neuromem.build(ca3_cam(), backend="brian2", codegen="numpy"),
        "brian2 cython": neuromem.build(ca3_cam(), backend="brian2", codegen="cython"),
    }

    def contestant(session: Any, kind: str) -> Callable[[], float]:
        def run() -> float:
            began = time.perf_counter()
            for cue in range(5):
                if kind == "store":
                    session.store(cue, [cue, cue + 5])
                else:
                    session.recall(cue=cue)
            return (time.perf_counter() - began) / 5

        return run

    for kind in ("store", "recall"):
        table(
            f"one interactive {kind}, CAM 5x10",
            interleaved({n: contestant(s, kind) for n, s in sessions.items()}, 5 * rounds),
            1,
            "ms",
            1e3,
        )


def first(rounds: int) -> None:
    """`neuromem run ca3-cam` in a new process: empty caches once, then warm."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": os.path.join(folder, "cache")}
        command = [sys.executable, "-m", "neuromem", "run", "ca3-cam", "--force"]

        def run() -> float:
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            return time.perf_counter() - began

        cold = run()
        warm = sorted(run() for _ in range(max(3, rounds)))
    print(
        f"\n## first result of `neuromem run ca3-cam`\n  empty caches {cold:.2f} s; warm {warm[len(warm) // 2]:.2f} ({warm[0]:.2f} .. {warm[-1]:.2f}) s"
    )


SECTIONS = {"cam": cam, "large": large, "recurrent": recurrent_network, "operation": operation, "first": first, "propagation": propagation}


def main() -> None:
    """Run the chosen sections, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(versions())
    for name in arguments.sections or SECTIONS:
        SECTIONS[name](arguments.rounds)


if __name__ == "__main__":
    main()
