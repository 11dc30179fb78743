"""Random patterns and noisy cues, as boolean arrays (B, n): bit flips, deletions, additions, moved winners.

Every function draws from the generator that it is given and leaves its input as it is.
"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError
from neuromem.quantities import is_whole


def random_bits(n_patterns: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns in which each unit is active with probability 1/2."""
    _check_counts("random_bits", n_patterns=n_patterns, n=n)
    drawn: np.ndarray = np.unpackbits(rng.integers(0, 256, (n_patterns, -(-n // 8)), np.uint8), axis=1, count=n).astype(np.bool_)
    return drawn


def random_active(n_patterns: int, n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns as their ``k`` active units of n, each drawn uniformly: int64 (B, k), ascending."""
    _check_counts("random_active", n_patterns=n_patterns, n=n, k=k)
    if k > n:
        raise SpecError(f"random_active: {k} active units of {n}; expected 0 to {n}.")
    units = np.sort(rng.integers(0, n, (n_patterns, k)), axis=1)
    while True:  # draw again the few rows in which a unit came twice
        twice = np.flatnonzero((np.diff(units, axis=1) == 0).any(axis=1)) if k > 1 else np.empty(0, np.int64)
        if twice.size == 0:
            return units
        if k * k > n:  # few rows would ever pass
            units[twice] = np.sort(np.argsort(rng.random((twice.size, n)), axis=1)[:, :k], axis=1)
            return units
        units[twice] = np.sort(rng.integers(0, n, (twice.size, k)), axis=1)


def random_winners(n_patterns: int, n: int, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns with one active unit in each of ``groups`` equal groups (hypercolumns)."""
    _check_counts("random_winners", n_patterns=n_patterns, n=n, groups=groups)
    if groups < 1 or n < groups or n % groups:
        raise SpecError(f"random_winners: {n} units in {groups} groups; expected groups of equal size.")
    bits = np.zeros((n_patterns, groups, n // groups), np.bool_)
    np.put_along_axis(bits, rng.integers(0, n // groups, (n_patterns, groups, 1)), True, axis=2)
    return bits.reshape(n_patterns, n)


def _check_counts(owner: str, **counts: object) -> None:
    for name, count in counts.items():
        if not is_whole(count) or count < 0:  # type: ignore[operator]
            raise SpecError(f"{owner}: {name} = {count!r}; expected a whole number, at least 0.")


def _checked(bits: np.ndarray, owner: str, count: int) -> np.ndarray:
    """Return ``bits`` if they are booleans (B, n), as other numbers would be inverted bit by bit, and ``count`` is a number of units."""
    _check_counts(owner, count=count)
    if not isinstance(bits, np.ndarray) or bits.dtype != np.bool_ or bits.ndim != 2:
        told = f"{bits.dtype} {bits.shape}" if isinstance(bits, np.ndarray) else type(bits).__name__
        raise SpecError(f"{owner}: {told}; expected a boolean array (B, n), such as patterns > 0.")
    return bits


def _some(candidates: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` of each row's candidates (all, where there are fewer), drawn uniformly, as booleans."""
    if count == 0:
        return np.zeros(candidates.shape, np.bool_)
    rank = np.where(candidates, rng.random(candidates.shape, np.float32), np.inf)
    count = min(count, candidates.shape[1])
    last = np.partition(rank, count - 1, axis=1)[:, count - 1, None]
    chosen: np.ndarray = (rank <= last) & candidates
    return chosen


def flip(bits: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the patterns with ``count`` units of each inverted."""
    bits = _checked(bits, "flip", count)
    result: np.ndarray = bits ^ _some(np.ones(bits.shape, np.bool_), count, rng)
    return result


def delete(bits: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the patterns with ``count`` active units of each made silent: partial cues."""
    bits = _checked(bits, "delete", count)
    result: np.ndarray = bits & ~_some(bits, count, rng)
    return result


def add(bits: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the patterns with ``count`` silent units of each made active."""
    bits = _checked(bits, "add", count)
    result: np.ndarray = bits | _some(~bits, count, rng)
    return result


def move_winners(bits: np.ndarray, groups: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns of one winner a group with the winner moved to another unit in ``count`` groups of each."""
    b, n = _checked(bits, "move_winners", count).shape
    _check_counts("move_winners", groups=groups)
    if not 1 <= groups <= n or n % groups or count > groups:
        raise SpecError(
            f"move_winners: {count} of {groups} groups of {n} units; expected groups of equal size, and no more moves than groups."
        )
    grouped = bits.reshape(b, groups, n // groups)
    each = n // groups
    if each < 2 and count:
        raise SpecError(f"move_winners: groups of {each} unit; expected at least 2, or there is no other unit to move to.")
    winner = grouped.argmax(axis=2)
    chosen = _some(np.ones((b, groups), np.bool_), count, rng)
    moved = np.where(chosen, (winner + rng.integers(1, max(2, each), (b, groups))) % each, winner)
    result = np.zeros_like(grouped)
    np.put_along_axis(result, moved[:, :, None], True, axis=2)
    return result.reshape(b, n)
