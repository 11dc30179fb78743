"""The SpiNNaker export of a memory with a protocol, or of a bare Program: fitted, emulated, and planned as files."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neuromem.backends.base import Progress
from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.package import Expected, Origin, package
from neuromem.ir.operations import lower_memory
from neuromem.ir.program import Program
from neuromem.runs.outcomes import Outcome, asked, outcomes
from neuromem.runs.provenance import plain
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol
from neuromem.targets import ExportPlan


def export_memory(
    memory: MemoryModel, protocol: Protocol, board: str = "spinn5", seed: int = 0, progress: Progress | None = None
) -> tuple[ExportPlan, Fitted]:
    """Return the export of a protocol on a memory, and how it was fitted. Raises as ``fit`` does."""
    simulation = SpinnakerSimulation(lower_memory(memory, protocol, seed), board)
    recording = simulation.run(progress)
    done = outcomes(memory, protocol, recording)
    expected = expectation(simulation, tuple(operation_object(o) for o in done))
    origin = Origin(
        f"{memory.name}, protocol {protocol.name}",
        importlib.metadata.version("neuromem"),
        {
            "name": memory.name,
            "reference": memory.reference,
            "parameters": plain(memory.parameters),
            "readouts": {role.name: [role.readout.population, role.readout.start, role.readout.stop] for role in memory.roles},
        },
        plain(asdict(protocol)),
        seed,
    )
    from neuromem.analysis.fit_picture import fit_figure
    from neuromem.analysis.raster import raster_figure

    pictures = {
        "fit.png": picture(lambda path: _save(fit_figure(simulation.fitted, expected.counts), path)),
        "raster.png": picture(lambda path: _save(raster_figure(memory, protocol, recording, done), path)),
    }
    return package(simulation.fitted, expected, origin, pictures), simulation.fitted


def export_program(program: Program, title: str, board: str = "spinn5", progress: Progress | None = None) -> tuple[ExportPlan, Fitted]:
    """Return the export of a Program without a memory around it, and how it was fitted. Raises as ``fit`` does."""
    from neuromem.analysis.fit_picture import fit_figure

    simulation = SpinnakerSimulation(program, board)
    simulation.run(progress)
    expected = expectation(simulation)
    origin = Origin(title, importlib.metadata.version("neuromem"), seed=program.seeds[0])
    pictures = {"fit.png": picture(lambda path: _save(fit_figure(simulation.fitted, expected.counts), path))}
    return package(simulation.fitted, expected, origin, pictures), simulation.fitted


def expectation(simulation: SpinnakerSimulation, operations: tuple[Mapping[str, Any], ...] = ()) -> Expected:
    """Return what a simulation that has run makes one expect of the board."""
    program = simulation.program
    _, step, unit = simulation.spikes()
    counts = {p.name: asdict(simulation.counts(p.name)) for p in program.populations if not p.is_source}
    return Expected(step, unit, {p.name: simulation.words(p.name) for p in program.plastic}, counts, operations)


def operation_object(outcome: Outcome) -> dict[str, Any]:
    """Return an operation with what came back, as JSON has it."""
    o = outcome
    return {
        "at": o.operation.at,
        "kind": o.operation.kind,
        "answer_at": o.form.answer_at,
        "asked": plain(asked(o.operation)),
        "answer": plain(o.answer),
        "expected": plain(o.expected),
        "correct": o.correct,
    }


def _save(figure: Any, path: Path) -> None:
    from neuromem.analysis.picture import save_figure

    save_figure(figure, path)


def picture(draw: Any) -> bytes:
    """Return what ``draw(path)`` draws as the bytes of a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return path.read_bytes()
