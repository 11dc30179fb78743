"""Frozen definitions that are equal by value, arrays included."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


def frozen_array(values: Any, dtype: type = np.float64) -> np.ndarray:
    """Return a read-only copy of ``values``."""
    array: np.ndarray = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


class Value:
    """Base of the definition dataclasses: equality, hash and a short ``repr`` for array fields.

    Subclasses are declared ``@dataclass(frozen=True, eq=False, repr=False)``.
    """

    def _fields(self) -> list[tuple[str, Any]]:
        return [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Value)
        return all(_equal(a, b) for (_, a), (_, b) in zip(self._fields(), other._fields(), strict=True))

    def __hash__(self) -> int:
        return hash((type(self), tuple(_hashable(value) for _, value in self._fields())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in self._fields())})"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


def _hashable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"<{value.dtype} array {value.shape}>"
    return f"{value.tolist()!r}" if isinstance(value, np.ndarray) else repr(value)
