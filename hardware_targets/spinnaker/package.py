"""The export as a package: its files as values, and reading one back with its digest checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.errors import FileError
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.report import report_text
from neuromem.hardware_targets.spinnaker.script import SPYNNAKER, run_script, stimulus_of, tables_of
from neuromem.ir.program import Program, ProjectionTable
from neuromem.targets import ExportPlan, npz

FORMAT = 1
"""Version of the package's layout; a change that old readers would misread adds 1."""

_CONFIGURATION = """\
# An example of the configuration that sPyNNaker reads: put it at ~/.spynnaker.cfg and say where your board is.
[Machine]
machine_name = NAME_OR_ADDRESS_OF_YOUR_BOARD
version = {version}

[Mode]
mode = Production

[Reports]
write_energy_report = False
"""


@dataclass(frozen=True, eq=False)
class Expected:
    """What the board is expected to give: the emulator's results.

    ``step`` and ``unit`` are the spikes of recorded populations, unit numbers of the Program; ``words[projection]`` final 16-bit weights of
    plastic projections; ``counts[population]`` what a core counts. ``operations`` are those of the memory with their answers, as JSON has them.
    """

    step: np.ndarray
    unit: np.ndarray
    words: Mapping[str, np.ndarray]
    counts: Mapping[str, Mapping[str, Any]]
    operations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a Program comes from, as JSON has it: ``model`` (name, parameters, reference), ``protocol``, seed, and the version of neuromem."""

    title: str
    version: str
    model: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def package(fitted: Fitted, expected: Expected, origin: Origin, pictures: Mapping[str, bytes]) -> ExportPlan:
    """Return the export of a fitted Program as files; ``pictures`` are shown in its report."""
    files: dict[str, bytes] = {
        "run.py": run_script(fitted, origin.title, origin.version).encode(),
        "check.py": resources.files(__package__).joinpath("check.py").read_bytes(),
        "tables.npz": npz(tables_of(fitted)),
        "stimulus.npz": npz(stimulus_of(fitted.program)),
        "expected.npz": npz(expected_arrays(fitted.program, expected)),
        "spynnaker.cfg.example": _CONFIGURATION.format(version=fitted.board["board.version"]).encode(),
        **{f"figures/{name}": content for name, content in pictures.items()},
    }
    files["REPORT.md"] = report_text(fitted, expected, origin, tuple(pictures)).encode()
    manifest = manifest_of(fitted, expected, origin)
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest["digest"] = manifest_digest(manifest)
    files["manifest.json"] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    return ExportPlan(files)


def expected_arrays(program: Program, expected: Expected) -> dict[str, np.ndarray]:
    """Return the arrays of ``expected.npz``: spikes (step, unit) of each recorded population, and final 16-bit weights by projection."""
    arrays = {f"weights.{name}": words.astype(np.int64) for name, words in expected.words.items()}
    for name in recorded(program):
        p = program.population(name)
        mine = (expected.unit >= p.first) & (expected.unit < p.first + p.size)
        arrays[f"spikes.{name}"] = np.stack([expected.step[mine], expected.unit[mine] - p.first], axis=1).astype(np.int64)
    return arrays


def recorded(program: Program) -> list[str]:
    """Return the populations of cells whose spikes are recorded."""
    names = {p.population for p in program.probes if p.variable == "spikes"}
    return [p.name for p in program.populations if not p.is_source and p.name in names]


def manifest_of(fitted: Fitted, expected: Expected, origin: Origin) -> dict[str, Any]:
    """Return the manifest without file hashes: what was exported, how it is laid out, and what is expected."""
    program = fitted.program
    weights = {w.projection: w for w in fitted.weights}
    return {
        "format": "neuromem SpiNNaker export",
        "format_version": FORMAT,
        "title": origin.title,
        "model": dict(origin.model),
        "protocol": dict(origin.protocol),
        "seed": origin.seed,
        "versions": {"neuromem": origin.version, "sPyNNaker": SPYNNAKER},
        "board": fitted.board.name,
        "dt": program.dt,
        "n_steps": program.n_steps,
        "program_digest": fitted.defined.digest,
        "populations": [
            {
                **asdict(q),
                "cores": q.n_cores,
                "delay_cores": q.n_delay_cores,
                "first_unit": program.population(q.name).first,
                "parameters": _cells(fitted.defined, q.name, fitted.defined.cells.parameters),
                "initial": _cells(fitted.defined, q.name, fitted.defined.cells.initial),
            }
            for q in fitted.placements
        ],
        "projections": [
            {
                **asdict(weights[p.name]),
                "from": p.pre_name,
                "to": p.post_name,
                "rule": _rule(p),
                "delays": np.unique(p.delay).tolist(),
                "weights": sorted(set(p.weight[0].tolist()))[:16],
            }
            for p in program.projections
        ],
        "resources": asdict(fitted.resources),
        "counts": {name: dict(counts) for name, counts in expected.counts.items()},
        "operations": [dict(operation) for operation in expected.operations],
        "spikes": {name: int(np.sum(_of(program, name, expected.unit))) for name in recorded(program)},
        "notes": list(fitted.notes),
    }


def _cells(program: Program, name: str, group: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Return parameters or initial states of a population; None for those that differ from cell to cell, which are in the tables."""
    p = program.population(name)
    if p.is_source:
        return {}
    part = program.cells_of(p)
    return {key: float(v[0, part][0]) if np.all(v[0, part] == v[0, part][0]) else None for key, v in group.items()}


def _rule(p: ProjectionTable) -> dict[str, Any] | None:
    if p.plasticity is None:
        return None
    timing, limits = p.plasticity.timing, p.plasticity.weight_dependence
    named = {name: getattr(timing, name) for name in ("tau_plus", "tau_minus", "A_plus", "A_minus")}
    return {**named, "w_min": limits.w_min, "w_max": limits.w_max, "post_events": p.plasticity.post_history}


def _of(program: Program, name: str, unit: np.ndarray) -> np.ndarray:
    p = program.population(name)
    return (unit >= p.first) & (unit < p.first + p.size)


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest of a manifest: SHA-256 of all of it but the digest, which includes that of every file."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, indent=1, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Package:
    """An export that was read from ``folder``, and is as it was written."""

    folder: Path
    manifest: Mapping[str, Any]
    expected: Mapping[str, np.ndarray]
    stimulus: Mapping[str, np.ndarray]
    tables: Mapping[str, np.ndarray]


def read_package(folder: Path) -> Package:
    """Return the export in ``folder``; raise ``FileError`` when it is none, was changed, or is of a newer version."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file; expected the folder of an export made by `neuromem export`.") from None
    except (OSError, ValueError) as error:
        raise FileError(
            f"{path}: it cannot be read ({error}); expected an export as `neuromem export` wrote it: export it again."
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != "neuromem SpiNNaker export":
        raise FileError(
            f"{path}: format {manifest.get('format') if isinstance(manifest, dict) else manifest!r}; expected 'neuromem SpiNNaker export'."
        )
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT:
        raise FileError(f"{path}: format_version {version}; expected at most {FORMAT}: a newer neuromem wrote it.")
    if manifest.get("digest") != manifest_digest(manifest):
        raise FileError(f"{path}: it was changed after the export (its digest is another); expected it as written: export it again.")
    for name, digest in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise FileError(f"{file}: there is no such file, and the manifest lists it; expected the whole export: export it again.")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise FileError(f"{file}: it was changed after the export (its digest is another); expected it as written: export it again.")
    arrays = {}
    for name in ("expected", "stimulus", "tables"):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as loaded:
            arrays[name] = {key: loaded[key] for key in loaded.files}
    return Package(folder, manifest, **arrays)
