"""NEST, an independent simulator, runs the exported script: its spikes are those of our engines with the exact integrator.

A board counts a delay from the beginning of the step in which a cell spikes and stamps the spike with it, NEST counts from the end. So
``run.py`` gives NEST the delays between cells a step shorter, and takes a step from its stamps; nothing else is adapted.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Engine
from exported import Integrator, cell, random_stimulus, random_synapses

from neuromem.backends import load_backend
from neuromem.exports.spinnaker import export_program
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.ir.recording import Recording
from neuromem.spec import FromListConnector, Network, Population, Probe, Projection, SpikeSourceArray, StaticSynapse, Stimulus

for module in ("nest", "pyNN"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'neuromem[dev]'", allow_module_level=True)

N_STEPS, STEPS = 200, (1.0, 0.5)  # and their length, in ms
CURRENTS = np.array([0.4, 0.5, 0.8, 1.3, 2.1, 3.4, 5.5])  # nA: no spike, and seven times the current of a slow one
Spikes = dict[str, list[list[int]]]


def network(integrator: Integrator, dt: float, **changes: float) -> Program:
    """A random net of excitatory and inhibitory cells, and beside it cells that fire at rates of a closed form."""
    rng = np.random.default_rng(20)
    near, far = [float(k * dt) for k in (1, 2, 3, 5, 7)], [float(k * dt) for k in (2, 3, 4, 6, 7)]
    excitatory = cell(integrator, **changes)
    inhibitory = cell(integrator, tau_m=9.7, cm=0.31, tau_refrac=0.6, i_offset=0.1)
    steady = cell(integrator, i_offset=CURRENTS)  # type: ignore[arg-type]
    return lower(
        Network(
            (
                Population("input", 8, SpikeSourceArray()),
                Population("silent", 3, SpikeSourceArray()),
                Population("exc", 30, excitatory, initial_values={"v": rng.uniform(-63, -56, 30)}),
                Population("inh", 10, inhibitory),
                Population("steady", CURRENTS.size, steady),
            ),
            (
                Projection("input", "exc", random_synapses(rng, 8, 30, 0.4, (1.0, 4.0), near), StaticSynapse()),
                Projection("silent", "inh", random_synapses(rng, 3, 10, 0.5, (1.0, 4.0), near), StaticSynapse()),
                Projection("exc", "exc", random_synapses(rng, 30, 30, 0.1, (0.2, 1.0), far), StaticSynapse()),
                Projection("exc", "inh", random_synapses(rng, 30, 10, 0.3, (0.2, 1.0), far), StaticSynapse()),
                Projection("inh", "exc", random_synapses(rng, 10, 30, 0.4, (0.2, 1.0), far), StaticSynapse(), "inhibitory"),
            ),
            (random_stimulus(rng, "input", 8, N_STEPS, 0.1, dt),),
            (Probe("exc"), Probe("exc", "v"), Probe("inh"), Probe("inh", "isyn_exc"), Probe("steady")),
        ),
        dt=dt,
        n_steps=N_STEPS,
    )


def by_nest(program: Program, folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Export ``program`` and run its script on NEST, in a home of its own."""
    plan, _ = export_program(program, "witness")
    plan.write(folder / "board")
    (folder / "home").mkdir()
    environment = os.environ | {"HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "home")}
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(folder / "board" / "run.py"),
        "--simulator",
        "nest",
        "--results",
        str(folder / "results"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120)
    return done, folder / "results"


def spikes_of(recording: Recording) -> Spikes:
    program = recording.program
    found = {}
    for name in ("exc", "inh", "steady"):
        p = program.population(name)
        mine = (recording.unit >= p.first) & (recording.unit < p.first + p.size)
        found[name] = sorted(np.stack([recording.step[mine], recording.unit[mine] - p.first], axis=1).tolist())
    return found


def by_cpu(program: Program) -> Spikes:
    return spikes_of(load_backend("cpu").build(program).run())


@pytest.fixture(scope="session")
def witness(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Spikes]:
    """The spikes that NEST gives, by step."""
    found = {}
    for dt in STEPS:
        done, results = by_nest(network("spinnaker", dt), tmp_path_factory.mktemp("nest"))
        assert done.returncode == 0, done.stderr
        assert json.loads((results / "run.json").read_text())["simulator"] == "nest"
        with np.load(results / "spikes.npz") as spikes, np.load(results / "states.npz") as states:
            assert {name: states[name].shape for name in states} == {"exc.v": (N_STEPS, 30)}
            found[dt] = {name: spikes[name].tolist() for name in spikes}
    return found


@pytest.mark.parametrize("dt", STEPS)
def test_nest_fires_at_the_rates_of_the_closed_form(dt: float, witness: dict[float, Spikes]) -> None:
    """From reset, v reaches threshold after tau ln((v_inf - v_reset) / (v_inf - v_thresh)), v_inf = v_rest + R I; then it is refractory."""
    spikes = witness[dt]
    for unit, current in enumerate(CURRENTS.tolist()):
        times = [step for step, u in spikes["steady"] if u == unit]
        infinity = -61.7 + 17.3 / 0.83 * current
        if infinity <= -54.9:
            assert times == []
            continue
        period = math.ceil(17.3 * math.log((infinity + 63.1) / (infinity + 54.9)) / dt) + math.ceil(1.7 / dt)
        # from rest, 0 steps away: the first spike is stamped with the beginning of the step that it ends
        first = math.ceil(17.3 * math.log((infinity + 61.7) / (infinity + 54.9)) / dt) - 1
        assert times == list(range(first, N_STEPS, period))


@pytest.mark.engines("reference", "cpu")
@pytest.mark.parametrize("dt", STEPS)
def test_our_engines_with_the_exact_integrator_give_the_same_spikes(engine: Engine, dt: float, witness: dict[float, Spikes]) -> None:
    spikes = witness[dt]
    assert sum(len(rows) for rows in spikes.values()) > 500
    assert min(len(spikes[name]) for name in ("exc", "inh")) > 100
    assert spikes_of(engine.run(network("exact", dt))) == spikes


@pytest.mark.parametrize("dt", STEPS)
def test_another_integrator_refractoriness_or_delay_gives_others(dt: float, witness: dict[float, Spikes]) -> None:
    spikes = witness[dt]
    assert by_cpu(network("spinnaker", dt))["exc"] != spikes["exc"]
    assert by_cpu(network("exact", dt, tau_refrac=1.7 + dt))["exc"] != spikes["exc"]
    program = network("exact", dt)
    for change in (-1, 1):
        shifted = [replace(p, delay=p.delay + change) if p.pre_name in ("exc", "inh") else p for p in program.projections]
        assert by_cpu(replace(program, projections=tuple(shifted)))["exc"] != spikes["exc"]


def two_cells(delay: float = 2.0, first: float = 2.0, current: float = 0.0) -> Program:
    return lower(
        Network(
            (
                Population("input", 1, SpikeSourceArray()),
                Population("cells", 2, cell(), initial_values={"isyn_exc": current}),
            ),
            (
                Projection("input", "cells", FromListConnector([(0, 0, 9.0, 1.0)]), StaticSynapse()),
                Projection("cells", "cells", FromListConnector([(0, 1, 9.0, delay)]), StaticSynapse()),
            ),
            (Stimulus("input", np.array([0]), np.array([first])),),
            (Probe("cells"),),
        ),
        dt=1.0,
        n_steps=20,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (
            two_cells(delay=1.0),
            "cells>cells has delays of one step between cells, which only a board delivers; expected at least two steps",
        ),
        (two_cells(first=1.0), "input spikes at step 1, which only a board sends; expected input from step 2 on"),
        (two_cells(current=0.5), "cells begins with currents, which only a board takes; expected currents of 0"),
    ],
    ids=["delay", "step 1", "current"],
)
def test_what_another_simulator_does_not_do_is_refused(program: Program, says: str, tmp_path: Path) -> None:
    done, results = by_nest(program, tmp_path)
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (1, f"run.py --simulator nest: {says}; or --simulator spiNNaker.")
    assert not results.exists()
