"""Random patterns that suit a memory without spikes, and cues with errors made of them.

Patterns are arrays as sessions take them: the numbers of active units (B, k) of binary units, booleans (B, n) of bipolar
ones, float32 (B, n) of real ones. Active units are never written down as booleans, so that large sparse memories have trials too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from neuromem import cues
from neuromem.errors import SpecError, listing
from neuromem.ir.matrix_program import MatrixProgram, UnitTable
from neuromem.kernels.bits import pack, rows_of
from neuromem.spec.trial import Trial
from neuromem.spec.units import KWinners

ERRORS = ("flips", "deletions", "additions", "moves", "noise")
REDRAWS = 1000
"""Patterns that came twice are drawn again at most so often: then there are hardly as many as are asked for."""


def suitable_patterns(
    program: MatrixProgram, n_patterns: int, rng: np.random.Generator, parameters: Mapping[str, object] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n_patterns`` distinct cues and their contents; of a recurrent memory, one array twice (of a sequence memory, in order).

    Bipolar units are active with probability 1/2. Winners: as many active units as win, in each group. Other binary units:
    ``parameters["k"]`` active ones (``k_content`` of contents), or log2 of the size. Real ones: normal vectors of length 1.
    """
    given = {} if parameters is None else parameters
    pre = _distinct(lambda b: _drawn(program.pre, b, given.get("k"), rng), n_patterns, program)
    post = pre if program.recurrent else _drawn(program.post, n_patterns, given.get("k_content"), rng)
    return _readable(pre, program.pre), _readable(post, program.post)


def possible_errors(program: MatrixProgram) -> tuple[str, ...]:
    """Return the errors that cues of the memory can have, as ``Trial`` names them."""
    units = program.pre
    if units.cell.alphabet != "binary":
        return ("flips",) if units.cell.alphabet == "bipolar" else ("noise",)
    groups, winners = _groups(units)
    return ("deletions", "additions", "moves") if groups > 1 and winners == 1 and units.size > groups else ("deletions", "additions")


def active_units(units: UnitTable, k: object = None) -> int:
    """Return how many units of a random pattern are active: as many as win, else ``k``, or log2 of the size; 0 of units that are not binary."""
    if units.cell.alphabet != "binary":
        return 0
    if hasattr(units.cell, "groups"):
        groups, winners = _groups(units)
        return groups * winners
    return k if isinstance(k, int) else max(1, (units.size - 1).bit_length())


def one_unit_wrong(program: MatrixProgram, n_patterns: int = 1, parameters: Mapping[str, object] | None = None) -> Trial:
    """Return the usual errors, as a trial: one unit of a bipolar cue inverted, one winner of a hypercolumn moved, or one of several active units deleted.

    Real cues have no error. ``parameters``: those of the memory, see ``suitable_patterns``.
    """
    possible, n = possible_errors(program), program.pre.size
    k = active_units(program.pre, (parameters or {}).get("k"))
    if "flips" in possible:
        return Trial(n_patterns, flips=1 / n)
    if "moves" in possible:
        return Trial(n_patterns, moves=1 / k)
    return Trial(n_patterns, deletions=1 / k if k > 1 else 0.0)


def check_errors(program: MatrixProgram, trial: Trial) -> None:
    """Raise ``SpecError`` when the trial asks for errors that the memory's patterns cannot have."""
    possible = possible_errors(program)
    for name in ERRORS:
        value = getattr(trial, name)
        if value and name not in possible:
            raise SpecError(
                f"{program.name}: {name} = {value:g} in cues of {_described(program.pre)}; expected errors that they can have: {listing(possible)}."
            )


def suited(program: MatrixProgram, trial: Trial) -> Trial:
    """Return the trial with its flips as moves, as deletions and additions, or as noise, where the memory's units have no flips."""
    possible = possible_errors(program)
    if not trial.flips or "flips" in possible:
        return trial
    if "noise" in possible:
        return replace(trial, flips=0.0, noise=trial.flips)
    if "moves" in possible:
        return replace(trial, flips=0.0, moves=trial.flips)
    return replace(trial, flips=0.0, deletions=trial.flips, additions=trial.flips)


def noisy(program: MatrixProgram, patterns: np.ndarray, trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """Return cues: the patterns of the pre population with the trial's errors; raise ``SpecError`` for errors that they cannot have."""
    check_errors(program, trial)
    units, n = program.pre, program.pre.size
    if units.cell.alphabet == "bipolar":
        return cues.flip(np.asarray(patterns) > 0, round(trial.flips * n), rng)
    if units.cell.alphabet == "real":
        noise = rng.standard_normal(patterns.shape) * (trial.noise / np.sqrt(n))
        return (patterns + noise).astype(np.float32) if trial.noise else patterns
    active = _active(patterns, n)
    k = active.shape[1]
    if trial.moves:
        active = _moved(active, n, round(trial.moves * k), rng)
    kept = _without(active, round(trial.deletions * k), rng)
    added = _others(active, n, min(n - k, round(trial.additions * k)), rng)
    return _readable(np.sort(np.concatenate([kept, added], axis=1), axis=1), units)


def _groups(units: UnitTable) -> tuple[int, int]:
    """Return the number of groups, and of the winners in each."""
    groups = int(getattr(units.cell, "groups", 1))
    return groups, units.cell.k // groups if isinstance(units.cell, KWinners) else 1


def _drawn(units: UnitTable, b: int, k: object, rng: np.random.Generator) -> np.ndarray:
    n = units.size
    if units.cell.alphabet == "real":
        x = rng.standard_normal((b, n))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    if units.cell.alphabet == "bipolar":
        return cues.random_bits(b, n, rng)
    if hasattr(units.cell, "groups"):
        groups, winners = _groups(units)
        each = cues.random_active(b * groups, n // groups, winners, rng).reshape(b, groups, winners)
        return (each + np.arange(groups)[:, None] * (n // groups)).reshape(b, groups * winners)
    return cues.random_active(b, n, active_units(units, k), rng)


def _distinct(draw: Callable[[int], np.ndarray], n_patterns: int, program: MatrixProgram) -> np.ndarray:
    """Return patterns of which none comes twice."""
    found = draw(n_patterns)
    for _ in range(REDRAWS):
        _, first = np.unique(_keys(found), return_index=True)
        if first.size == n_patterns:
            return found
        again = np.ones(n_patterns, np.bool_)
        again[first] = False
        found[again] = draw(int(again.sum()))
    raise SpecError(
        f"{program.name}: {n_patterns} distinct patterns of {_described(program.pre)}; there are hardly as many: expected fewer patterns, or more units."
    )


def _keys(patterns: np.ndarray) -> np.ndarray:
    """Return a number for each pattern, uint64; two patterns of one number, were they not equal, would only be drawn again."""
    if patterns.dtype == np.bool_:
        numbers = pack(patterns)
    else:
        numbers = patterns.view(np.uint32).astype(np.uint64) if patterns.dtype == np.float32 else patterns.astype(np.uint64)
    factors = np.cumprod(np.full(numbers.shape[1], 0x9E3779B97F4A7C15, np.uint64))
    mixed = (numbers ^ (numbers >> np.uint64(31)) ^ np.uint64(0x5851F42D4C957F2D)) * np.uint64(0xBF58476D1CE4E5B9)
    keys: np.ndarray = ((mixed ^ (mixed >> np.uint64(29))) * factors).sum(axis=1, dtype=np.uint64)
    return keys


def _active(patterns: np.ndarray, n: int) -> np.ndarray:
    """Return binary patterns, however they are given, as their active units (B, k)."""
    if patterns.dtype.kind in "iu" and patterns.shape[1] < n:
        return patterns.astype(np.int64)
    rows = rows_of(patterns > 0)
    k = np.diff(rows.start)
    if k.size and k.min() != k.max():
        raise SpecError(f"noisy: patterns of {k.min()} to {k.max()} active units; expected as many in each.")
    return rows.units.astype(np.int64).reshape(len(patterns), -1)


def _readable(patterns: np.ndarray, units: UnitTable) -> np.ndarray:
    """Return patterns as sessions read them: booleans where the numbers of active units would be none, or as many as all units."""
    n = units.size
    if patterns.dtype.kind not in "iu" or 0 < patterns.shape[1] < n:
        return patterns
    b, k = patterns.shape
    bits = np.zeros((b, n), np.bool_)
    bits[np.repeat(np.arange(b), k), patterns.ravel()] = True
    return bits


def _without(active: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return all but ``count`` of each row's units, in no order."""
    if count == 0:
        return active
    order = np.argsort(rng.random(active.shape), axis=1)
    return np.take_along_axis(active, order[:, count:], axis=1)


def _others(active: np.ndarray, n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` units that are not in each row (B, k) of ascending units, in no order."""
    b, k = active.shape
    rank = cues.random_active(b, n - k, count, rng)  # among the silent units
    # The silent unit of rank r lies above as many active ones as have at most r silent ones below them.
    below = active - np.arange(k) + np.arange(b)[:, None] * (n + 1)  # ascending through all rows
    above = np.searchsorted(below.ravel(), rank + np.arange(b)[:, None] * (n + 1), side="right") - np.arange(b)[:, None] * k
    units: np.ndarray = rank + above
    return units


def _moved(active: np.ndarray, n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of one unit in each group with ``count`` of them moved to another unit of their group."""
    b, groups = active.shape
    each = n // groups
    chosen = np.argsort(np.argsort(rng.random((b, groups)), axis=1), axis=1) < count
    first = np.arange(groups) * each
    return np.where(chosen, first + (active - first + rng.integers(1, each, (b, groups))) % each, active)


def _described(units: UnitTable) -> str:
    if units.cell.alphabet != "binary":
        return f"{units.size} {units.cell.alphabet} units"
    groups, winners = _groups(units)
    return f"{units.size} binary units" + (f", {winners} active in each of {groups} groups" if groups > 1 else "")
