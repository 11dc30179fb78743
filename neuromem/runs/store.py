"""Runs on disk: zarr 3, written whole or not at all. ``docs/run-schema.md`` describes the layout."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from neuromem.errors import SpecError, StoreError, listing
from neuromem.ir.recording import Recording
from neuromem.runs.provenance import REQUIRED, SCHEMA, provenance
from neuromem.runs.result import RunResult
from neuromem.spec.protocol import Kind

# An array up to this many numbers is one file: a small run is a handful of them, and a
# part of a long one can still be read alone (8 MiB of doubles).
CHUNK = 1 << 20

SWAP = 0.2
"""Seconds after which a program that is replacing a run has long made the second of its two moves."""

Arrays = dict[str, tuple[tuple[str, ...], np.ndarray]]
"""Array name -> (dimension names, values)."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run that was read from disk: ``attributes`` and ``arrays`` as ``docs/run-schema.md`` describes them."""

    path: Path
    attributes: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def complete(self) -> bool:
        """Whether the run went to its end."""
        return bool(self.attributes["complete"])

    def spikes_of(self, population: str, replica: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (step, unit) of one population's spikes, units counted within the population."""
        k = self._place("populations", population)
        first, size = int(self.arrays["population_first"][k]), int(self.arrays["population_size"][k])
        unit = self.arrays["spike_unit"]
        keep = (unit >= first) & (unit < first + size) & (self.arrays["spike_replica"] == replica)
        return self.arrays["spike_step"][keep], unit[keep] - first

    def weights(self, projection: str) -> np.ndarray:
        """Return the final weights of one projection, shape (B, n_synapses), in nA."""
        k = self._place("projections", projection)
        first, size = int(self.arrays["projection_first"][k]), int(self.arrays["projection_size"][k])
        return self.arrays["synapse_weight"][:, first : first + size]

    def state(self, population: str, variable: str) -> np.ndarray:
        """Return a recorded state, shape (B, n_steps, size)."""
        name = _state_name(population, variable)
        if name not in self.attributes["states"]:
            raise StoreError(
                f"{self.path}: no state {variable!r} of {population!r}; it has {listing(self.attributes['states']) or 'none'}."
            )
        return self.arrays[name]

    def _place(self, kind: str, name: str) -> int:
        names = [entry["name"] for entry in self.attributes[kind]]
        if name not in names:
            raise StoreError(f"{self.path}: {name!r} is not one of its {kind}; it has {listing(names)}.")
        return names.index(name)


def save_run(path: str | Path, result: RunResult, force: bool = False) -> Path:
    """Write ``result`` as the folder ``path`` (by custom ``<name>.zarr``), and return it.

    It is written to ``<path>.partial`` first and renamed when it is whole; ``<path>.partial`` is
    removed when writing fails. Whatever exists at ``path`` is left alone; with ``force``, an
    older run there is replaced once the new one is whole. Raises ``StoreError``, and ``SpecError``
    when ``result`` is not what ``neuromem.run`` returns.
    """
    if not isinstance(result, RunResult):
        raise SpecError(f"save_run: {type(result).__name__}; expected what neuromem.run returns: neuromem.save_run(path, result).")
    path = Path(path)
    staging = staging_of(path)
    fresh, replaced = staging / "run", staging / "replaced"
    check_staging(path)
    _refuse_existing(path, force)
    _make_staging(path, staging)
    try:
        _refuse_existing(path, force)  # nobody else writes it from here on
        _write(fresh, result)
        try:
            if path.exists():
                path.rename(replaced)
            fresh.rename(path)
        except BaseException:  # Ctrl-C too: the older run must not go with the staging folder
            if _is_only_copy(replaced, path):
                replaced.rename(path)
            raise
    except StoreError:
        raise
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        if not _is_only_copy(replaced, path):
            shutil.rmtree(staging, ignore_errors=True)
    return path


def staging_of(path: Path) -> Path:
    """Return the folder in which a run is written before it gets its name."""
    return path.parent / f"{path.name}.partial"


def check_staging(path: Path) -> None:
    """Raise ``StoreError`` when another program writes this run, or one was killed while it did.

    A run that was moved away to be replaced, by a program that was killed just then, is put back first.
    """
    staging = staging_of(path)
    if not os.path.lexists(staging):
        return
    if _is_only_copy(staging / "replaced", path):
        time.sleep(SWAP)
        if _is_only_copy(staging / "replaced", path):
            raise _put_back(path, staging)
    raise StoreError(f"{path}: {staging} exists: another program is writing this run, or one was killed; if none is, delete that folder.")


def _is_only_copy(replaced: Path, path: Path) -> bool:
    return os.path.lexists(replaced) and not os.path.lexists(path)


def _put_back(path: Path, staging: Path) -> StoreError:
    """Undo a replacement that was cut off between its two moves; both runs are whole then, and both are kept."""
    newer = next(name for i in itertools.count(1) if not os.path.lexists(name := path.with_name(f"{path.name}.new{i}")))
    try:
        (staging / "replaced").rename(path)
        (staging / "run").rename(newer)
        staging.rmdir()
    except OSError as error:
        return StoreError(
            f"{path}: a program was killed while it replaced this run, and it cannot be put back ({os.strerror(error.errno or 0)}); "
            f"both runs are kept: look for them in {staging}, and move them out."
        )
    return StoreError(
        f"{path}: a program was killed while it replaced this run; the older run is back, and the newer one is {newer}. Nothing else was done: try again."
    )


def open_run(path: str | Path) -> StoredRun:
    """Read a run into memory, and check that it is whole; raise ``StoreError`` otherwise.

    A run that was interrupted is whole, and says ``complete`` = False. To read a part of a large
    run, use ``xarray.open_zarr(path, consolidated=False)``.
    """
    path = Path(path)
    attributes = _read_attributes(path)
    version = attributes["neuromem_schema"]
    if not isinstance(version, int) or version > SCHEMA:
        raise StoreError(f"{path}: run schema {version}; this neuromem reads up to {SCHEMA}: install a newer neuromem to read it.")
    for name in REQUIRED:
        if name not in attributes:
            raise StoreError(f"{path}: the attribute {name!r} is missing; expected {', '.join(REQUIRED)}.")
    return StoredRun(path, attributes, _read_arrays(path, attributes["arrays"]))


def _refuse_existing(path: Path, force: bool) -> None:
    if not os.path.lexists(path):
        return
    if not force:
        raise StoreError(f"{path}: exists already; choose another name, or replace it with force=True (--force).")
    try:
        _read_attributes(path)
    except StoreError as error:
        raise StoreError(f"{path}: exists already and is no neuromem run, so it is not replaced; choose another name.") from error


def _make_staging(path: Path, staging: Path) -> None:
    """Make the staging folder; it is also what keeps two writers of one run apart."""
    try:
        staging.mkdir()
    except FileExistsError:
        check_staging(path)
        raise StoreError(f"{path}: another program has just written this run; choose another name, or try again.") from None
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError) -> StoreError:
    if not path.parent.is_dir():
        return StoreError(f"{path}: there is no folder {path.parent}; create it, or choose another place.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"{path}: the disk is full; nothing was kept of this run: free some space, or choose another place.")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return StoreError(f"{path}: cannot write in the folder {path.parent} ({os.strerror(error.errno or 0)}); choose another place.")
    return StoreError(f"{path}: cannot be written: {error}")


def _state_name(population: str, variable: str) -> str:
    return f"state_{population}_{variable}"


def layout(result: RunResult) -> tuple[dict[str, Any], Arrays]:
    """Return the attributes that describe the arrays, and the arrays."""
    recording, program = result.recording, result.recording.program
    kinds = list(get_args(Kind))
    arrays: Arrays = {
        "spike_replica": (("spike",), recording.replica.astype(np.int32)),
        "spike_step": (("spike",), recording.step.astype(np.int64)),
        "spike_unit": (("spike",), recording.unit.astype(np.int32)),
        "population_first": (("population",), np.array([p.first for p in program.populations], np.int32)),
        "population_size": (("population",), np.array([p.size for p in program.populations], np.int32)),
        "operation_at": (("operation",), np.array([o.operation.at for o in result.outcomes], np.int64)),
        "operation_kind": (("operation",), np.array([kinds.index(o.operation.kind) for o in result.outcomes], np.int8)),
        "operation_correct": (("operation",), np.array([o.correct for o in result.outcomes], np.int8)),
        "operation_latency": (("operation",), np.array([-1 if o.latency is None else o.latency for o in result.outcomes], np.int64)),
        **_synapses(recording),
    }
    states = {}
    for (population, variable), values in recording.states.items():
        name = _state_name(population, variable)
        states[name] = {"population": population, "variable": variable}
        arrays[name] = (("replica", "step", f"unit_{population}"), values)
    attributes = {
        "populations": [{"name": p.name, "cell": p.cell, "role": p.role} for p in program.populations],
        "projections": [
            {"name": p.name, "pre": p.pre_name, "post": p.post_name, "receptor": p.receptor, "plastic": p.plasticity is not None}
            for p in program.projections
        ],
        "operation_kinds": kinds,
        "states": states,
        "arrays": {name: list(values.shape) for name, (_, values) in arrays.items()},
    }
    return attributes, arrays


def _synapses(recording: Recording) -> Arrays:
    """Return the synapses of all projections, one projection after the other."""
    tables = recording.program.projections
    sizes = np.array([p.n_synapses for p in tables], np.int64)
    weights = [recording.weights[p.name] for p in tables]
    return {
        "projection_first": (("projection",), np.cumsum(sizes) - sizes),
        "projection_size": (("projection",), sizes),
        "synapse_pre": (("synapse",), np.concatenate([np.empty(0, np.int32), *(p.pre for p in tables)]).astype(np.int32)),
        "synapse_post": (("synapse",), np.concatenate([np.empty(0, np.int32), *(p.post for p in tables)]).astype(np.int32)),
        "synapse_delay": (("synapse",), np.concatenate([np.empty(0, np.int32), *(p.delay for p in tables)]).astype(np.int32)),
        "synapse_weight": (("replica", "synapse"), np.concatenate([np.empty((recording.program.batch, 0)), *weights], axis=1)),
    }


def _write(folder: Path, result: RunResult) -> None:
    import zarr
    from zarr.codecs import ZstdCodec

    attributes, arrays = layout(result)
    group = zarr.create_group(folder, zarr_format=3, attributes=provenance(result) | attributes)
    for name, (dimensions, values) in arrays.items():
        group.create_array(
            name,
            data=values,
            chunks=_chunks(values.shape),
            dimension_names=dimensions,
            compressors=ZstdCodec(level=3, checksum=True),  # the checksum tells a damaged chunk from a good one
            config={"write_empty_chunks": True},  # so that a missing chunk is a lost one
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store)  # xarray looks for it first, and warns where there is none


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape cut down to at most ``CHUNK`` numbers, first along the leading axes."""
    chunks = [max(1, n) for n in shape]
    for axis, n in enumerate(chunks):
        rest = math.prod(chunks[axis + 1 :])
        chunks[axis] = max(1, min(n, CHUNK // rest))
        if chunks[axis] == n:
            break
    return tuple(chunks)


def _read_attributes(path: Path) -> dict[str, Any]:
    """Return the root attributes of a stored run, from its ``zarr.json`` alone."""
    if _is_only_copy(staging_of(path) / "replaced", path):
        replaced = staging_of(path) / "replaced"
        raise StoreError(f"{path}: does not exist; a program was killed while it replaced this run. Put it back with: mv {replaced} {path}")
    if not path.exists():
        raise StoreError(f"{path}: does not exist; expected the folder of a run, as neuromem run --out writes it.")
    try:
        root = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path}: is no zarr 3 folder (there is no zarr.json in it); expected the folder of a run.") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)}).") from error
    except ValueError as error:
        raise StoreError(f"{path}: its zarr.json is damaged (it is no JSON); the run cannot be read.") from error
    attributes = root.get("attributes") if isinstance(root, dict) and root.get("node_type") == "group" else None
    if not isinstance(attributes, dict) or "neuromem_schema" not in attributes:
        raise StoreError(f"{path}: is a zarr, but no neuromem run (its root has no attribute 'neuromem_schema').")
    return attributes


def _read_arrays(path: Path, shapes: Mapping[str, list[int]]) -> dict[str, np.ndarray]:
    import zarr

    group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)  # the arrays as they are, not as they were
    return {name: _read_array(path, group, name, tuple(shape)) for name, shape in shapes.items()}


def _read_array(path: Path, group: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    truncated = f"{path}: is truncated or damaged: array {name!r}"
    remedy = "; restore the folder from where it was copied, or run again."
    try:
        array = group[name]
        found, missing = tuple(array.shape), array.nchunks - array.nchunks_initialized
        values = np.asarray(array[...])
    except KeyError:
        raise StoreError(f"{truncated} is missing{remedy}") from None
    except Exception as error:  # each codec has errors of its own
        raise StoreError(f"{truncated} cannot be read{remedy}") from error
    if found != shape:
        raise StoreError(f"{truncated} has shape {found}, expected {shape}{remedy}")
    if missing:
        raise StoreError(f"{truncated} lacks {missing} of its {array.nchunks} chunks{remedy}")
    return values
