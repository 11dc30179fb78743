"""Results of a board, brought back as a run of the memory that was exported."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.errors import FileError
from neuromem.hardware_targets.spinnaker.check import SPIKES, STATES, WEIGHTS, arrays_of, fault
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.package import Package, read_package
from neuromem.ir.operations import lower_memory
from neuromem.ir.program import Program
from neuromem.ir.recording import Recording
from neuromem.model_files import find_model, model_names
from neuromem.runs.outcomes import outcomes
from neuromem.runs.result import RunResult
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Operation, Protocol

NAMES = {"v": "v", "isyn_exc": "gsyn_exc", "isyn_inh": "gsyn_inh"}
"""Our variables, and the board's names for them."""


def import_recording(results: Path, package: Path | None = None, model: str | None = None) -> RunResult:
    """Return the results that ``run.py`` wrote to ``results`` as a run, with the outcome of every operation.

    ``package``: the export's folder (default: that around ``results``). ``model``: how the memory is found, where its name is not that of a model of neuromem
    (``my_memory.py:build``). States are as the board records them: after arrivals and before the update of each step.

    Raises ``FileError`` for a changed package, results of another one, missing files, or a memory that is not the one exported.
    """
    around = Path(os.path.abspath(results)).parent  # of "." too, and of a link where the link is
    exported = read_package(around if package is None else package)
    spikes, states, weights = read_results(results, exported)
    memory, protocol = memory_of(exported, model)
    program = lower_memory(memory, protocol, exported.manifest["seed"])
    if program.digest != exported.manifest["program_digest"]:
        other = "" if model is not None else ", or give the file that builds it: --model my_memory.py:build"
        raise FileError(
            f"{exported.folder / 'manifest.json'}: program {exported.manifest['program_digest'][:12]}, but {memory.name} with these parameters is {program.digest[:12]} now; expected the definition that was exported: export it again{other}."
        )
    step, unit = _spikes(program, spikes, results)
    found = {
        (p.population, p.variable): _states(program, p.population, p.variable, states, results)
        for p in program.probes
        if p.variable != "spikes"
    }
    recording = Recording(
        program, program.n_steps, np.zeros(step.size, np.int64), step, unit, found, _weights(program, exported, weights, results)
    )
    about = json.loads((results / "run.json").read_text(encoding="utf-8"))
    return RunResult(
        memory,
        protocol,
        recording,
        outcomes(memory, protocol, recording),
        "spinnaker",
        dict(exported.manifest["versions"]),
        {"board": exported.manifest["board"], "simulator": about["simulator"]},
    )


def memory_of(package: Package, model: str | None) -> tuple[MemoryModel, Protocol]:
    """Return the memory and the protocol that a package was exported from."""
    told = package.manifest["model"]
    if not told:
        raise FileError(
            f"{package.folder / 'manifest.json'}: it holds a network without a memory; expected the export of a memory with a protocol."
        )
    if model is None and told["name"] not in model_names():
        raise FileError(
            f"{package.folder / 'manifest.json'}: it holds the memory {told['name']!r}, which does not ship with neuromem; expected the file that builds it: --model my_memory.py:build."
        )
    memory = find_model(told["name"] if model is None else model).build(**told["parameters"])
    given = package.manifest["protocol"]
    operations = tuple(
        Operation(o["kind"], o["at"], *(None if o[role] is None else tuple(o[role]) for role in ("cue", "content")))
        for o in given["operations"]
    )
    return memory, Protocol(given["name"], operations, given["n_steps"], given["unsafe_gaps"])


def read_results(results: Path, package: Package) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Return spikes, states and weights of a results folder; raise ``FileError`` when it is not whole, or of another package."""
    path = results / "run.json"
    try:
        about: Any = json.loads(path.read_text(encoding="utf-8"))
        arrays = []
        for name in ("spikes", "states", "weights"):
            path = results / f"{name}.npz"
            arrays.append(arrays_of(path))
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file; expected the results of the export's run.py.") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: it cannot be read ({error}); expected it as run.py wrote it.") from None
    if not isinstance(about, dict):
        raise FileError(f"{results / 'run.json'}: {about!r}; expected the simulator and a digest, as run.py wrote them.")
    if about.get("digest") != package.manifest["digest"]:
        raise FileError(
            f"{results}: results of export {str(about.get('digest'))[:12]}; expected those of {package.manifest['digest'][:12]}, the export in {package.folder}."
        )
    if not isinstance(about.get("simulator"), str):
        raise FileError(f"{results / 'run.json'}: simulator {about.get('simulator')!r}; expected its name, as run.py wrote it.")
    for name, found, form in zip(("spikes", "states", "weights"), arrays, (SPIKES, STATES, WEIGHTS), strict=True):
        for key, rows in found.items():
            wrong = fault(key, rows, form)
            if wrong:
                raise FileError(f"{results / name}.npz: {wrong}")
    spikes, states, weights = arrays
    spikes = {key: rows.astype(np.int64) for key, rows in spikes.items()}
    for key, rows in spikes.items():
        each, times = np.unique(rows, axis=0, return_counts=True)
        if np.any(times > 1):
            first = np.flatnonzero(times > 1)[0]
            step, unit = each[first].tolist()
            raise FileError(
                f"{results / 'spikes.npz'}: {key!r} has {times[first]} spikes of unit {unit} at step {step}; expected one, as run.py wrote it."
            )
    return spikes, states, weights


def _spikes(program: Program, spikes: Mapping[str, np.ndarray], results: Path) -> tuple[np.ndarray, np.ndarray]:
    steps, units = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for probe in program.probes:
        if probe.variable != "spikes":
            continue
        p = program.population(probe.population)
        if p.is_source:
            mine = (program.schedule.unit >= p.first) & (program.schedule.unit < p.first + p.size)
            steps.append(program.schedule.step[mine])
            units.append(program.schedule.unit[mine])
            continue
        rows = spikes.get(p.name)
        if rows is None:
            raise FileError(f"{results / 'spikes.npz'}: no spikes of {p.name!r}; expected those of every recorded population.")
        wrong = (rows[:, 0] < 0) | (rows[:, 0] >= program.n_steps) | (rows[:, 1] < 0) | (rows[:, 1] >= p.size)
        if np.any(wrong):
            step, unit = rows[np.flatnonzero(wrong)[0]].tolist()
            raise FileError(
                f"{results / 'spikes.npz'}: {p.name!r} has a spike of unit {unit} at step {step}; expected units below {p.size} and steps below {program.n_steps}."
            )
        steps.append(rows[:, 0])
        units.append(rows[:, 1] + p.first)
    step, unit = np.concatenate(steps), np.concatenate(units)
    order = np.lexsort((unit, step))
    return step[order], unit[order]


def _states(program: Program, population: str, variable: str, states: Mapping[str, np.ndarray], results: Path) -> np.ndarray:
    name, size = f"{population}.{NAMES[variable]}", program.population(population).size
    rows = states.get(name)
    if rows is None or rows.shape != (program.n_steps, size):
        shape = "nothing" if rows is None else f"shape {rows.shape}"
        raise FileError(f"{results / 'states.npz'}: {name!r} has {shape}; expected shape {(program.n_steps, size)}.")
    return np.asarray(rows, dtype=np.float64)[None]


def _weights(program: Program, package: Package, weights: Mapping[str, np.ndarray], results: Path) -> dict[str, np.ndarray]:
    """Return final weights in the order of the tables: of plastic projections from the board, of the others as they were fitted."""
    fitted = fit(program, package.manifest["board"]).program
    found = {}
    for p in fitted.projections:
        found[p.name] = p.weight.copy()
        if p.plasticity is None or not p.n_synapses:
            continue
        rows = weights.get(p.name)
        pre, post = p.pre - program.population(p.pre_name).first, p.post - program.population(p.post_name).first
        if rows is None or len(rows) != p.n_synapses:
            count = "no" if rows is None else str(len(rows))
            raise FileError(f"{results / 'weights.npz'}: {count} weights of {p.name!r}; expected {p.n_synapses}, one for each synapse.")
        mine, theirs = np.lexsort((post, pre)), np.lexsort((rows[:, 1], rows[:, 0]))
        if not (np.array_equal(pre[mine], rows[theirs, 0]) and np.array_equal(post[mine], rows[theirs, 1])):
            raise FileError(
                f"{results / 'weights.npz'}: {p.name!r} has other synapses than were exported; expected the same cells, from and to."
            )
        found[p.name][0, mine] = np.abs(rows[theirs, 2])
    return found
