"""Exports for the tests: small networks of every kind, their packages, and results as a board would give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from neuromem.hardware_targets.spinnaker.package import read_package
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FromListConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

Integrator = Literal["exact", "spinnaker"]


def cell(integrator: Integrator = "spinnaker", **changes: float) -> IFCurrExp:
    """A cell without a round number in it, so that every constant of the arithmetic matters."""
    odd = {
        "tau_m": 17.3, "cm": 0.83, "v_rest": -61.7, "v_reset": -63.1, "v_thresh": -54.9, "tau_refrac": 1.7, "tau_syn_E": 3.7, "tau_syn_I": 6.1,
        "i_offset": 0.31,
    }  # fmt: skip
    return IFCurrExp(**{**odd, **changes}, integrator=integrator)


def random_synapses(
    rng: np.random.Generator, n: int, m: int, p: float, weight: tuple[float, float], delays: list[float]
) -> FromListConnector:
    """Each pair with probability ``p``; weights (nA) of four digits, delays (ms) from a list."""
    pairs = np.argwhere(rng.random((n, m)) < p)
    weights, chosen = np.round(rng.uniform(*weight, len(pairs)), 4), rng.choice(delays, len(pairs))
    return FromListConnector(np.column_stack([pairs, weights, chosen]))


def random_stimulus(rng: np.random.Generator, name: str, size: int, n_steps: int, p: float, dt: float = 1.0) -> Stimulus:
    """Each unit in each step but the first two with probability ``p``."""
    step, unit = np.nonzero(rng.random((n_steps, size)) < p)
    return Stimulus(name, unit[step > 1], step[step > 1] * dt)


def small(n_steps: int = 40) -> Program:
    """Two populations; static, plastic and inhibitory synapses."""
    network = Network(
        (
            Population("input", 3, SpikeSourceArray()),
            Population("left", 4, cell()),
            Population("right", 2, cell(i_offset=np.array([0.25, 0.5]))),  # type: ignore[arg-type]
        ),
        (
            Projection("input", "left", FromListConnector([(0, 0, 6.0, 1.0), (1, 1, 5.5, 2.0), (2, 2, 5.0, 3.0), (0, 3, 6.5, 1.0)]), StaticSynapse()),
            Projection(
                "left", "right", FromListConnector([(i, j, 1.0 + i / 4, 1.0 + 2 * j) for i in range(4) for j in range(2)]), StaticSynapse(),
                plasticity=STDP(SpikePairRule(20.0, 17.0, 0.25, 0.125), AdditiveWeightDependence(0.0, 3.0), "deferred"),
            ),
            Projection("right", "left", FromListConnector([(0, 1, 0.7, 2.0), (1, 2, 0.3, 5.0)]), StaticSynapse(), "inhibitory"),
        ),
        (Stimulus("input", np.array([0, 1, 2, 0, 2, 1]), np.array([1.0, 1.0, 2.0, 9.0, 10.0, 14.0])),),
        (Probe("left"), Probe("right"), Probe("right", "v")),
    )  # fmt: skip
    return lower(network, dt=1.0, n_steps=n_steps)


def tree(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def faults(name: str, spikes: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """Spikes that no board gives, by what is wrong with them, and what is said of them."""
    rows = spikes.astype(np.float64)
    quarter, nan, large = (np.where(np.arange(len(rows))[:, None] * 2 + [0, 1] == 3, value, rows) for value in (0.25, np.nan, 1e300))
    whole = "in row 1, column 1; expected a whole number, as run.py wrote it."
    return {
        "text": (spikes.astype(str), f"{name!r} has values of type <U21; expected numbers, as run.py wrote them."),
        "truth": (spikes > 0, f"{name!r} has values of type bool; expected numbers, as run.py wrote them."),
        "complex": (rows + 0j, f"{name!r} has values of type complex128; expected numbers, as run.py wrote them."),
        "quarter": (quarter, f"{name!r} has 0.25 {whole}"),
        "nan": (nan, f"{name!r} has nan {whole}"),
        "large": (large, f"{name!r} has 1e+300 {whole}"),
        "columns": (spikes[:, :1], f"{name!r} has shape {(len(spikes), 1)}; expected rows of 2 numbers, as run.py wrote them."),
        "scalar": (np.array(3.0), f"{name!r} has shape (); expected rows of 2 numbers, as run.py wrote them."),
    }


def results_of(
    folder: Path,
    results: Path | None = None,
    *,
    spikes: Mapping[str, np.ndarray] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    states: Mapping[str, np.ndarray] | None = None,
    digest: str | None = None,
) -> Path:
    """Write the results that the package in ``folder`` expects, as its run.py would; what is given replaces what is expected."""
    package = read_package(folder)
    results = folder / "results" if results is None else results
    results.mkdir(exist_ok=True)
    found = {name: package.expected[f"spikes.{name}"] for name in package.manifest["spikes"]}
    learned = {}
    for p in package.manifest["projections"]:
        name = p["projection"]
        if p["plastic"] and name in package.tables:
            learned[name] = np.column_stack([package.tables[name][:, :2], package.expected[f"weights.{name}"] * p["resolution"]])
    np.savez(results / "spikes.npz", **{**found, **(spikes or {})})  # type: ignore[arg-type]
    np.savez(results / "weights.npz", **{**learned, **(weights or {})})  # type: ignore[arg-type]
    np.savez(results / "states.npz", **(states or {}))  # type: ignore[arg-type]
    about = {"simulator": "spiNNaker", "digest": package.manifest["digest"] if digest is None else digest}
    (results / "run.json").write_text(json.dumps(about, indent=2) + "\n")
    return results
