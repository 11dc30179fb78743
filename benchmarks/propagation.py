"""Event-driven propagation with delays: synaptic events per second, ours and Brian2's C++ program.

Poisson sources drive neurons through static synapses with K targets each and delays of 0.1 to
1.5 ms, too weak to make a neuron fire. The time of the same network without synapses is taken
off. The Brian2 program is written by hand, with Brian2's own compiler flags, twice: with a weight for
each synapse, and with one weight for all written into the code; ours is run on the same two networks.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.timing import Spread, interleaved
from neuromem.backends import load_backend
from neuromem.ir import lower
from neuromem.ir.program import Program
from neuromem.spec import (
    FixedNumberPostConnector,
    IFCurrExp,
    Network,
    Population,
    Projection,
    RandomDistribution,
    SpikeSourcePoisson,
    StaticSynapse,
)

DT = 0.1


def network(n: int, k: int, rate: float, *, shared_weight: bool = False) -> Network:
    """Return n Poisson sources and n neurons, with ``k`` synapses for each source (none for k = 0)."""
    cell = IFCurrExp(tau_m=20.0, cm=0.2, v_rest=-60.0, v_reset=-60.0, v_thresh=-50.0, tau_syn_E=5.0)
    weight = 1e-7 if shared_weight else RandomDistribution("uniform", 1e-7, 2e-7)
    synapse = StaticSynapse(weight, RandomDistribution("uniform", 0.1, 1.5))
    projections = (Projection("source", "target", FixedNumberPostConnector(k), synapse),) if k else ()
    return Network((Population("source", n, SpikeSourcePoisson(rate)), Population("target", n, cell)), projections)


def ours(program: Program) -> Callable[[], float]:
    """Return a contestant that runs the program on ``cpu``, on one thread."""
    simulation = load_backend("cpu", threads=1).build(program)

    def run() -> float:
        began = time.perf_counter()
        simulation.advance(program.schedule)
        return time.perf_counter() - began

    return run


class HandWritten:
    """The same network as a Brian2 C++ program; ``close`` removes it."""

    def __init__(self, program: Program, *, shared_weight: bool) -> None:
        import subprocess

        import brian2 as b2

        self.subprocess = subprocess
        self.folder = tempfile.mkdtemp()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            b2.set_device("cpp_standalone", build_on_run=False, directory=self.folder)
            b2.prefs.devices.cpp_standalone.openmp_threads = 0
            clock = b2.Clock(dt=DT * b2.ms)
            s = program.schedule
            sources = b2.SpikeGeneratorGroup(program.n_sources, s.unit, s.step * DT * b2.ms, clock=clock)
            model = "dv/dt = (v_rest - v + 100 * g) / tau_m : 1\ndg/dt = -g / tau_syn : 1"
            names = {"v_rest": -60.0, "tau_m": 20 * b2.ms, "tau_syn": 5 * b2.ms}
            neurons = b2.NeuronGroup(
                program.cells.n, model, threshold="v > -50", reset="v = -60", method="exact", namespace=names, clock=clock
            )
            neurons.v = -60.0
            parts = [sources, neurons]
            for table in program.projections:
                model, on_pre = ("", "g_post += 1e-7") if shared_weight else ("w : 1 (constant)", "g_post += w")
                synapses = b2.Synapses(sources, neurons, model, on_pre=on_pre, namespace={}, clock=clock)
                synapses.connect(i=table.pre, j=table.post - program.n_sources)
                if not shared_weight:
                    synapses.w = table.weight[0]
                synapses.delay = table.delay * DT * b2.ms
                parts.append(synapses)
            b2.Network(*parts).run(program.n_steps * DT * b2.ms, namespace={})
            b2.device.build(directory=self.folder, compile=True, run=False, with_output=False)
            b2.device.reinit()
            b2.devices.reset_device()

    def __call__(self) -> float:
        """Run it and return the seconds that Brian2 counted."""
        self.subprocess.run([f"{self.folder}/main"], cwd=self.folder, check=True, capture_output=True)
        return float(Path(self.folder, "results", "last_run_info.txt").read_text().split()[0])

    def close(self) -> None:
        """Remove the program."""
        shutil.rmtree(self.folder, ignore_errors=True)


def events_per_second(with_synapses: Spread, without: Spread, events: int) -> np.ndarray:
    """Return synaptic events per second of every round."""
    return events / (np.array(with_synapses.seconds) - np.array(without.seconds))


def propagation(rounds: int) -> None:
    """Print events per second at N = 1e4, K = 1000, beside Brian2; then our cost against N, K and rate."""
    n, k, rate = 10_000, 1000, 10.0
    full, one = (lower(network(n, k, rate, shared_weight=shared), dt=DT, n_steps=2000) for shared in (False, True))
    bare = lower(network(n, 0, rate), dt=DT, n_steps=2000)
    events = full.schedule.step.size * k
    programs = {"brian2": (full, False), "brian2 one": (one, True), "brian2 bare": (bare, True)}
    theirs = {name: HandWritten(program, shared_weight=shared) for name, (program, shared) in programs.items()}
    taken = interleaved({"cpu": ours(full), "cpu one": ours(one), "cpu bare": ours(bare), **theirs}, rounds)
    for program in theirs.values():
        program.close()
    print(f"\n## propagation, N = {n}, K = {k}, {rate:g} Hz, delays 0.1..1.5 ms: million synaptic events per second, one thread")
    for suffix, title in (("", "a weight for each synapse"), (" one", "one weight for all")):
        mine = events_per_second(taken[f"cpu{suffix}"], taken["cpu bare"], events)
        other = events_per_second(taken[f"brian2{suffix}"], taken["brian2 bare"], events)
        print(f"  {title}")
        for label, values in (("cpu", mine), ("brian2 cpp_standalone", other)):
            print(f"    {label:28s} {np.median(values) / 1e6:.4g} ({values.min() / 1e6:.4g} .. {values.max() / 1e6:.4g})")
        print(f"    ratio                        {np.median(mine / other):.3g}x")
    sweep_costs(rounds)


# axis -> its values, and what stays fixed: (n, k, rate in Hz)
SWEEPS = {
    "neurons N": [(n, 100, 10.0) for n in (1000, 3000, 10_000, 30_000, 100_000)],
    "synapses of a neuron K": [(10_000, k, 10.0) for k in (10, 30, 100, 300, 1000)],
    "rate (Hz)": [(10_000, 300, rate) for rate in (1.0, 3.0, 10.0, 30.0, 100.0)],
}


def sweep_costs(rounds: int) -> None:
    """Print and draw our cost of a synaptic event against N, K and rate."""
    costs = {axis: [cost(*point, max(3, rounds)) for point in points] for axis, points in SWEEPS.items()}
    print("  cpu, ns per synaptic event, a weight for each synapse")
    for axis, points in SWEEPS.items():
        for (n, k, rate), (low, median, high) in zip(points, costs[axis], strict=True):
            print(f"    {axis:24s} N = {n:6d}  K = {k:4d}  {rate:5g} Hz   {median:.3g} ({low:.3g} .. {high:.3g})")
    draw(costs, Path("out"))


def cost(n: int, k: int, rate: float, rounds: int) -> tuple[float, float, float]:
    """Return lowest, median and highest ns per synaptic event."""
    per_step = n * k * rate * DT * 1e-3
    n_steps = int(min(5000, max(500, 2e7 / per_step)))  # enough events to time, and few enough to wait for
    full, bare = lower(network(n, k, rate), dt=DT, n_steps=n_steps), lower(network(n, 0, rate), dt=DT, n_steps=n_steps)
    taken = interleaved({"full": ours(full), "bare": ours(bare)}, rounds)
    each = 1e9 / events_per_second(taken["full"], taken["bare"], full.schedule.step.size * k)
    return float(each.min()), float(np.median(each)), float(each.max())


def draw(costs: dict[str, list[tuple[float, float, float]]], folder: Path) -> None:
    """Draw one panel for each axis of ``SWEEPS``: the median, with bars from lowest to highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(SWEEPS), sharey=True)
    fixed = {"neurons N": "K = 100, 10 Hz", "synapses of a neuron K": "N = 10,000, 10 Hz", "rate (Hz)": "N = 10,000, K = 300"}
    for axes, (axis, points) in zip(panels, SWEEPS.items(), strict=True):
        place = list(SWEEPS).index(axis)
        low, median, high = np.array(costs[axis]).T
        axes.errorbar([p[place] for p in points], median, [median - low, high - median], marker="o", capsize=3, color="#0072B2")
        axes.set(xscale="log", yscale="log", xlabel=axis, title=fixed[axis])
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("ns per synaptic event")
    figure.suptitle("cpu: cost of a synaptic event with delays of 0.1 to 1.5 ms, one thread")
    FigureCanvasAgg(figure).print_png(folder / "propagation.png")
    print(f"  drawn: {folder / 'propagation.png'}")
