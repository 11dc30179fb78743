"""Reading a user's batch of patterns for a population: which forms are taken, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuromem.errors import SpecError
from neuromem.ir.matrix_program import UnitTable
from neuromem.kernels.bits import Patterns, Rows
from neuromem.spec.units import KWinners, SoftWTA

Batch = Patterns | np.ndarray
ArrayLike = np.ndarray | Sequence[object]

LARGEST = float(np.finfo(np.float32).max)


def read_batch(value: object, units: UnitTable, owner: str) -> tuple[Patterns | np.ndarray, bool]:
    """Return ``value`` as a batch of states of ``units``, and whether it was a single pattern.

    Taken are, for ``n`` units: booleans or numbers of shape (n,) or (B, n), of 0 and 1 or of -1 and 1 for binary and
    bipolar units, any finite numbers for real ones; and, for binary and bipolar units, integers of shape (k,) or (B, k), k < n, as the numbers
    of the active units. Raises ``SpecError``.
    """
    n = units.size
    try:
        array = np.asarray(value)
    except ValueError:
        raise SpecError(f"{owner}: rows of different lengths; expected an array of shape ({n},) or (B, {n}).") from None
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{owner}: values of type {array.dtype}; expected numbers or booleans, of shape ({n},) or (B, {n}).")
    if array.size == 0:
        raise SpecError(f"{owner}: an empty array of shape {array.shape}; expected at least one pattern of {n} units.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise SpecError(f"{owner}: {array[where]} at {where}; expected finite numbers.")
    single = array.ndim == 1
    batch = array[None] if single else array
    binary = units.cell.alphabet != "real"
    numbered = binary and batch.ndim == 2 and batch.shape[1] < n and batch.dtype.kind in "iu"
    if numbered and (batch.shape[1] <= 2 or batch.max() > 1):  # more numbers than two, none above 1, are meant as states
        return Patterns(n, rows=_rows(batch, n, owner)), single
    if batch.ndim != 2 or batch.shape[1] != n:
        active = ", or integers (B, k) as the numbers of active units" if binary else ""
        raise SpecError(f"{owner}: an array of shape {array.shape}; expected ({n},) or (B, {n}) for {n} units{active}.")
    if not binary:
        low, high = float(batch.min()), float(batch.max())
        if max(-low, high) > LARGEST:
            raise SpecError(
                f"{owner}: {high if high > LARGEST else low:g}; expected numbers within {LARGEST:g}, for float32 holds no larger ones."
            )
        return batch.astype(np.float32, order="C"), single
    return Patterns(n, bits=_bits(batch, owner)), single


def _bits(batch: np.ndarray, owner: str) -> np.ndarray:
    if batch.dtype == np.bool_:
        return np.ascontiguousarray(batch)
    zero = -1 if batch.min() < 0 else 0
    bad = (batch != 1) & (batch != zero)
    if bad.any():
        b, unit = (int(i) for i in np.argwhere(bad)[0])
        raise SpecError(f"{owner}: {batch[b, unit]:g} at pattern {b}, unit {unit}; expected 0 and 1, or -1 and 1.")
    bits: np.ndarray = batch == 1
    return np.ascontiguousarray(bits)


def _rows(batch: np.ndarray, n: int, owner: str) -> Rows:
    low, high = int(batch.min()), int(batch.max())
    if low < 0 or high >= n:
        raise SpecError(f"{owner}: unit {low if low < 0 else high}; expected the numbers of active units, 0 to {n - 1}.")
    units = np.sort(batch, axis=1)
    twice = np.argwhere(np.diff(units, axis=1) == 0)
    if twice.size:
        b, i = (int(x) for x in twice[0])
        raise SpecError(f"{owner}: unit {units[b, i]} is given twice in pattern {b}; expected distinct units.")
    return Rows(np.arange(len(units) + 1, dtype=np.int64) * units.shape[1], units.astype(np.int32).ravel())


def check_stored(batch: Patterns | np.ndarray, units: UnitTable, owner: str) -> None:
    """Raise ``SpecError`` when the population cannot hold a pattern: no active unit, too many, or not one in each group."""
    if not isinstance(batch, Patterns):
        return
    cell = units.cell
    if isinstance(cell, KWinners | SoftWTA):
        k = cell.k if isinstance(cell, KWinners) else cell.groups
        if cell.groups == 1:
            active = np.diff(batch.rows.start)
            _refuse(np.flatnonzero(active != k), active, f"{k} active units, as many as {units.name!r} has winners", owner)
        else:
            each = k // cell.groups
            active = batch.bits.reshape(len(batch), cell.groups, -1).sum(axis=2)
            b, group = np.nonzero(active != each)
            if b.size:
                raise SpecError(
                    f"{owner}: pattern {b[0]} has {active[b[0], group[0]]} active units in group {group[0]}; expected {each} in each of {cell.groups} groups."
                )
    elif cell.alphabet == "binary":
        active = np.diff(batch.rows.start)
        _refuse(np.flatnonzero(active == 0), active, "at least 1", owner)


def _refuse(wrong: np.ndarray, active: np.ndarray, expected: str, owner: str) -> None:
    if wrong.size:
        raise SpecError(f"{owner}: pattern {wrong[0]} has {active[wrong[0]]} active units; expected {expected}.")


def check_distinct(batch: Patterns, owner: str) -> None:
    """Raise ``SpecError`` when a pattern comes twice in the batch."""
    keys = batch.keys()
    order = np.argsort(keys, kind="stable")
    for i in np.flatnonzero(keys[order[1:]] == keys[order[:-1]]):
        first, again = (batch.part(int(b), int(b) + 1).rows.units for b in (order[i], order[i + 1]))
        if np.array_equal(first, again):  # and not two patterns of one key, by chance
            raise SpecError(
                f"{owner}: pattern {order[i + 1]} is pattern {order[i]} again; expected distinct patterns (store one again in a call of its own, if that is meant)."
            )
