#!/usr/bin/env python3
"""Compare what a board gave (results/) with what is expected (expected.npz, manifest.json), and say what differs.

    python check.py [results]

It needs numpy only. Exit status: 0 if spikes, weights and answers are as expected, 1 if something differs, 2 if it cannot be
compared. ``run.py`` writes the results; the expectation comes from an emulation of the board in its own arithmetic.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

NOTHING = np.zeros((0, 3), np.int64)
SPIKES, WEIGHTS, STATES = (2, 2), (3, 2), (0, 0)
"""What rows of results hold: how many numbers (0: any), and how many of them, the first, are whole."""


def stop(text: str) -> NoReturn:
    print(f"check.py: {text}", file=sys.stderr)
    raise SystemExit(2)


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{path}: it cannot be read ({error}); expected it as it was written.")
    if not isinstance(found, dict):
        stop(f"{path}: {found!r}; expected it as it was written.")
    return found


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file, by name; raise ``OSError`` or ``ValueError`` where it is not a whole file of arrays."""
    content = path.read_bytes()
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)  # numpy leaves a broken file open
        if isinstance(loaded, np.ndarray):
            raise ValueError("one array without a name")
        arrays = {name: loaded[name] for name in loaded.files}
    except (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy returns other members of the archive as bytes
            raise ValueError(f"{name!r} is no array")
    return arrays


def fault(name: str, rows: np.ndarray, form: tuple[int, int]) -> str:
    """Return what is wrong with an array of results (one of ``SPIKES``, ``WEIGHTS``, ``STATES``), or an empty string."""
    columns, whole = form
    if rows.ndim != 2 or (columns and rows.shape[1] != columns):
        return f"{name!r} has shape {rows.shape}; expected rows of {f'{columns} ' if columns else ''}numbers, as run.py wrote them."
    if rows.dtype.kind not in "iuf":
        return f"{name!r} has values of type {rows.dtype}; expected numbers, as run.py wrote them."
    numbers = rows.astype(np.float64)
    wrong = ~np.isfinite(numbers)
    wrong[:, :whole] |= (np.rint(numbers[:, :whole]) != numbers[:, :whole]) | (np.abs(numbers[:, :whole]) >= 2**53)
    if not np.any(wrong):
        return ""
    row, column = np.argwhere(wrong)[0].tolist()
    expected = "a whole number" if column < whole else "a finite number"
    return f"{name!r} has {rows[row, column].item()!r} in row {row}, column {column}; expected {expected}, as run.py wrote it."


def read_arrays(path: Path, form: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of a file, by name; of results, with rows of this ``form``."""
    try:
        arrays = arrays_of(path)
    except (OSError, ValueError) as error:
        stop(f"{path}: it cannot be read ({error}); expected it as it was written.")
    for name, rows in arrays.items():
        wrong = "" if form is None else fault(name, rows, form)
        if wrong:
            stop(f"{path}: {wrong}")
    return arrays


def changed(here: Path, manifest: dict[str, Any]) -> list[str]:
    """Return the files of the package that are not as they were exported."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    wrong = (
        ["manifest.json"]
        if hashlib.sha256(json.dumps(rest, indent=1, sort_keys=True).encode()).hexdigest() != manifest.get("digest")
        else []
    )
    for name, digest in manifest.get("files", {}).items():
        path = here / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            wrong.append(name)
    return wrong


def compare_spikes(name: str, expected: np.ndarray, found: np.ndarray) -> tuple[str, bool]:
    """Return a line on one population, and whether its spikes are as expected."""
    a, b = (Counter(map(tuple, rows.tolist())) for rows in (expected, found))
    if a == b:
        return f"{name}: {len(expected)} spikes, equal", True
    missing, more = a - b, b - a
    first = min(missing | more)
    what = "missing" if first in missing else "not expected" if first not in a else "twice" if b[first] == 2 else f"{b[first]} times"
    return (
        f"{name}: {len(expected)} spikes expected, {len(found)} found; {sum(missing.values())} missing, {sum(more.values())} not expected; first at step {first[0]}, unit {first[1]} ({what})",
        False,
    )


def compare_weights(projection: dict[str, Any], expected: np.ndarray, found: np.ndarray, synapses: np.ndarray) -> tuple[str, bool]:
    """Return a line on one plastic projection, and whether its final weights are as expected."""
    unit = projection["resolution"]
    have: dict[tuple[int, int], list[int]] = {}
    for pre, post, weight in found.tolist():
        have.setdefault((int(pre), int(post)), []).append(round(abs(weight) / unit))
    wanted: dict[tuple[int, int], list[int]] = {}
    for (pre, post), word in zip(synapses[:, :2].astype(int).tolist(), expected.tolist(), strict=True):
        wanted.setdefault((pre, post), []).append(word)
    off = [key for key in sorted(wanted.keys() | have.keys()) if sorted(wanted.get(key, [])) != sorted(have.get(key, []))]
    if not off:
        return f"{projection['projection']}: {len(expected)} weights, equal", True
    key = off[0]
    return (
        f"{projection['projection']}: {len(off)} of {len(expected)} weights differ; first from {key[0]} to {key[1]}: {wanted.get(key, [])} expected, {have.get(key, [])} found, in steps of {unit:g} nA",
        False,
    )


def answers(operation: dict[str, Any], readouts: dict[str, Any], spikes: dict[str, np.ndarray]) -> dict[str, list[int]]:
    """Return what came back from one operation, by role."""
    at = operation["at"] + operation["answer_at"]
    found: dict[str, list[int]] = {}
    for role in operation["expected"]:
        name, first, last = readouts[role]
        rows = spikes[name]
        units = rows[(rows[:, 0] == at) & (rows[:, 1] >= first) & (rows[:, 1] < last), 1] - first
        found[role] = sorted(units.tolist())
    return found


def main(arguments: list[str]) -> int:
    here = Path(__file__).resolve().parent
    results = Path(arguments[0]) if arguments else here / "results"
    manifest = read_json(here / "manifest.json")
    wrong = changed(here, manifest)
    if wrong:
        stop(f"{', '.join(wrong)}: changed after the export; expected the package as it was written.")
    for name in ("run.json", "spikes.npz", "weights.npz"):
        if not (results / name).is_file():
            stop(f"{results / name}: there is no such file; expected the results of run.py.")
    about = read_json(results / "run.json")
    if about.get("digest") != manifest["digest"]:
        stop(
            f"{results}: results of another export ({str(about.get('digest'))[:12]}); expected {manifest['digest'][:12]}: run run.py again."
        )
    if not isinstance(about.get("simulator"), str):
        stop(f"{results / 'run.json'}: simulator {about.get('simulator')!r}; expected its name, as run.py wrote it.")
    expected, tables = read_arrays(here / "expected.npz"), read_arrays(here / "tables.npz")
    spikes, weights = read_arrays(results / "spikes.npz", SPIKES), read_arrays(results / "weights.npz", WEIGHTS)
    spikes = {name: rows.astype(np.int64) for name, rows in spikes.items()}
    compared = [compare_spikes(name, expected[f"spikes.{name}"], spikes.get(name, NOTHING[:, :2])) for name in manifest["spikes"]]
    for projection in manifest["projections"]:
        name = projection["projection"]
        if projection["plastic"] and f"weights.{name}" in expected and name in tables:
            compared.append(compare_weights(projection, expected[f"weights.{name}"], weights.get(name, NOTHING), tables[name]))
    lines, good = [line for line, _ in compared], all(same for _, same in compared)
    recorded = {name: spikes.get(name, NOTHING[:, :2]) for name in manifest["spikes"]}
    failed = 0
    for operation in manifest["operations"]:
        found = answers(operation, manifest["model"]["readouts"], recorded)
        if found != operation["answer"]:
            failed += 1
            lines.append(f"{operation['kind']} at step {operation['at']}: {operation['answer']} expected, {found} came back")
    total = len(manifest["operations"])
    lines.append(f"{total - failed} of {total} operations answered as expected" if total else "no operations")
    print("\n".join(lines))
    print("as expected" if good and not failed else "NOT as expected")
    return 0 if good and not failed else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
