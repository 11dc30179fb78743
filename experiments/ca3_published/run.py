"""The three published runs of the CA3 memory: outcomes, numbers of spikes, and the recorded trace of the first, spike for spike."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import GREY, VERMILION, panels, write
from neuromem.experiments.trials import count_recalls, run_one
from neuromem.ir import Recording
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS

FOLDER = Path(__file__).parent

Trace = set[tuple[int, str, int]]
"""Spikes as (step, population, unit within it)."""


def recorded() -> Trace:
    """Return the spikes that the authors recorded on a SpiNNaker board in experiment 1."""
    with (FOLDER / "functional_trace.csv").open(newline="") as file:
        return {(int(row["step"]), row["population"], int(row["unit"])) for row in csv.DictReader(file)}


def trace_of(recording: Recording) -> Trace:
    """Return all spikes of a recording."""
    found: Trace = set()
    for table in recording.program.populations:
        step, unit = recording.spikes_of(table.name)
        found |= {(s, table.name, u) for s, u in zip(step.tolist(), unit.tolist(), strict=True)}
    return found


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return, for each published run, its outcomes and numbers of spikes, and how the first differs from the recorded trace.

    ``quick`` changes nothing: these runs are short.
    """
    measured: dict[str, Any] = {}
    for name, recipe in PROTOCOLS.items():
        sizes: dict[str, Any] = dict(recipe.parameters)
        recording, outcomes = run_one(ca3_cam(**sizes), recipe.build(**sizes), backend)
        trace = trace_of(recording)
        inputs = sum(population == "in" for _, population, _ in trace)
        measured[name] = {
            "spikes": len(trace) - inputs,
            "input_spikes": inputs,
            "operations": len(outcomes),
            "wrong_operations": sum(not o.correct for o in outcomes),
            "n_steps": recording.n_steps,
            "recalls": count_recalls([outcomes]),
        }
        if name == "functional":
            truth = recorded()
            measured["trace"] = {"recorded": len(truth), "missing": len(truth - trace), "extra": len(trace - truth)}
            measured["functional_spikes"] = sorted([s, p, u] for s, p, u in trace)
    return {"settings": {name: dict(recipe.parameters) for name, recipe in PROTOCOLS.items()}, "measured": measured}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the spikes of experiment 1, ours inside the recorded ones; the rings are small enough to leave the units beside them free."""
    measured, truth = results["measured"], sorted(recorded())
    ours = [(s, p, u) for s, p, u in measured["functional_spikes"]]
    differ = measured["trace"]["missing"] + measured["trace"]["extra"]
    title = f"CA3 memory, experiment 1: {differ} of {len(truth)} spikes differ from the SpiNNaker recording"
    figure, (ax,) = panels(title, (9.0,), height=9.0)
    recipe = PROTOCOLS["functional"]
    memory = ca3_cam(**dict(recipe.parameters))  # type: ignore[arg-type]
    first: dict[str, int] = {}
    for population in memory.network.populations:
        first[population.name] = sum(p.size + 2 for p in memory.network.populations[: len(first)])
        ax.axhline(first[population.name] - 1.5, color="#DDDDDD", linewidth=0.8)
    ax.scatter(
        [s for s, _, _ in truth],
        [first[p] + u for _, p, u in truth],
        s=16,
        facecolors="none",
        edgecolors=GREY,
        linewidths=0.8,
        label="recorded on SpiNNaker",
    )
    ax.scatter(
        [s for s, _, _ in ours],
        [first[p] + u for _, p, u in ours],
        s=8,
        linewidths=0,
        color=VERMILION,
        label=f"neuromem, {results['backend']}",
    )
    for operation in recipe.build(**dict(recipe.parameters)).operations:
        ax.axvline(operation.at - 0.5, color="#BBBBBB", linestyle=":", linewidth=0.8)
        ax.text(operation.at, -3.5, operation.kind, fontsize=8)
    middles = [first[p.name] + (p.size - 1) / 2 for p in memory.network.populations]
    ax.set_yticks(middles, [p.name for p in memory.network.populations])
    ax.set(xlabel="time (ms)", ylabel="population, one line for each unit", xlim=(-1, 91), ylim=(max(first.values()) + 16, -6))
    ax.tick_params(axis="y", length=0)
    figure.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside lower left", ncols=2)
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
