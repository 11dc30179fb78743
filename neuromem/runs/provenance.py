"""Where a run comes from: what its stored form must say about itself, as plain JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.runs.result import RunResult

SCHEMA = 1
"""Version of the layout that ``docs/run-schema.md`` describes; a change that old readers would misread adds 1."""

REQUIRED = (
    "neuromem_schema",
    "complete",
    "n_steps",
    "n_steps_planned",
    "program_digest",
    "model",
    "model_reference",
    "model_parameters",
    "protocol",
    "outcomes",
    "seed",
    "dt",
    "backend",
    "backend_options",
    "versions",
    "git_commit",
    "created_at",
    "populations",
    "projections",
    "operation_kinds",
    "states",
    "arrays",
)
"""The root attributes that every stored run has."""


def provenance(result: RunResult) -> dict[str, Any]:
    """Return who made a run from what: the required attributes that do not depend on the layout of arrays."""
    recording, program, memory = result.recording, result.recording.program, result.memory
    versions = {"neuromem": importlib.metadata.version("neuromem"), "numpy": np.__version__, **result.versions}
    return {
        "neuromem_schema": SCHEMA,
        "complete": recording.complete,
        "n_steps": recording.n_steps,
        "n_steps_planned": program.n_steps,
        "program_digest": program.digest,
        "model": memory.name,
        "model_reference": memory.reference,
        "model_parameters": plain(memory.parameters),
        "protocol": plain(asdict(result.protocol)),
        "outcomes": [plain({"expected": o.expected, "answer": o.answer}) for o in result.outcomes],
        "seed": list(program.seeds),
        "dt": program.dt,
        "backend": result.backend,
        "backend_options": plain(result.options),
        "versions": versions,
        "git_commit": git_commit(Path.cwd()),
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in the git repository around ``folder``, None where there is none or no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: numbers, strings, lists, objects. What JSON lacks becomes its ``repr``."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return repr(value)
