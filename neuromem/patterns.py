"""Binary patterns as sorted tuples of the active unit numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import SupportsIndex

import numpy as np

from neuromem.errors import SpecError

Pattern = tuple[int, ...]
PatternLike = SupportsIndex | Iterable[SupportsIndex]


def pattern(value: PatternLike, size: int, owner: str) -> Pattern:
    """Return ``value`` as a sorted tuple of distinct unit numbers in ``range(size)``.

    ``value`` is one unit number, an iterable of unit numbers, or a boolean vector of length
    ``size``. Raises ``SpecError`` when a number is outside of the range, given twice, or not
    an integer.
    """
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        if value.shape != (size,):
            raise SpecError(f"{owner}: a boolean pattern of shape {value.shape}; expected shape ({size},).")
        return tuple(int(i) for i in np.flatnonzero(value))
    if isinstance(value, bool):  # Python counts a bool as an integer; here it is a slip
        raise SpecError(f"{owner}: {value!r}; expected unit numbers from 0 to {size - 1}.")
    hint = ""
    if isinstance(value, np.ndarray):
        if value.shape == (size,) and value.dtype.kind in "iu" and set(value.tolist()) <= {0, 1}:
            hint = " (a vector of 0 and 1 must be boolean: .astype(bool))"
        value = value.ravel().tolist()  # an array has __index__ even when it is no single number
    try:
        given = [value] if isinstance(value, SupportsIndex) else list(value)
        items = [operator.index(i) for i in given if not isinstance(i, bool)]
    except TypeError:
        raise SpecError(f"{owner}: {value!r}; expected unit numbers from 0 to {size - 1}, each an integer.") from None
    if len(items) < len(given):
        raise SpecError(
            f"{owner}: {given!r}; expected unit numbers from 0 to {size - 1}, or a boolean vector: np.array([...], dtype=bool)."
        )
    for item in items:
        if not 0 <= item < size:
            raise SpecError(f"{owner}: unit {item}; expected unit numbers from 0 to {size - 1}.")
    if len(set(items)) != len(items):
        twice = next(i for i in items if items.count(i) > 1)
        raise SpecError(f"{owner}: unit {twice} is given twice; expected distinct unit numbers{hint}.")
    return tuple(sorted(items))


def patterns_text(patterns: Mapping[str, Pattern]) -> str:
    """Return patterns by role as ``cue 3; content 1 4 8``, with ``nothing`` for an empty one."""
    return "; ".join(f"{role} {units_text(units)}" for role, units in patterns.items())


def units_text(units: Pattern) -> str:
    """Return ``1 4 8``, or ``nothing`` for an empty pattern."""
    return " ".join(map(str, units)) or "nothing"


def binary_digits(number: int, size: int) -> Pattern:
    """Return the positions of the 1 bits of ``number``, least significant bit first.

    Raises ``SpecError`` when ``number`` needs more than ``size`` bits.
    """
    if number < 0 or number >> size:
        raise SpecError(f"binary_digits: {number} does not fit {size} bits; expected 0 to {(1 << size) - 1}.")
    return tuple(i for i in range(size) if number >> i & 1)


def complement(active: Pattern, size: int) -> Pattern:
    """Return the units of ``range(size)`` that are not in ``active``."""
    present = set(active)
    return tuple(i for i in range(size) if i not in present)


def random_pattern(size: int, n_active: int, rng: np.random.Generator) -> Pattern:
    """Return ``n_active`` distinct units of ``range(size)``, drawn uniformly."""
    if not 0 <= n_active <= size:
        raise SpecError(f"random_pattern: {n_active} active units of {size}; expected 0 to {size}.")
    return tuple(int(i) for i in np.sort(rng.choice(size, n_active, replace=False)))
