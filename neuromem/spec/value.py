"""Frozen definitions that are equal by value, arrays included."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neuromem.errors import SpecError, nearest


def frozen_array(values: Any, dtype: type = np.float64) -> np.ndarray:
    """Return a read-only copy of ``values``."""
    array: np.ndarray = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def named[Definition: type](cls: Definition) -> Definition:
    """Class decorator: an unknown, missing or repeated argument is a ``SpecError`` that tells the valid ones, not a ``TypeError``."""
    plain = cls.__init__  # type: ignore[misc]  # of the class itself: subclasses wrap their own
    parameters = list(inspect.signature(plain).parameters.values())[1:]
    names = [p.name for p in parameters]
    needed = [p.name for p in parameters if p.default is inspect.Parameter.empty]

    @functools.wraps(plain)
    def init(self: object, *values: Any, **by_name: Any) -> None:
        try:
            plain(self, *values, **by_name)
        except TypeError:
            _check_arguments(cls.__name__, names, needed, len(values), by_name)
            raise

    cls.__init__ = init  # type: ignore[misc]
    return cls


def _check_arguments(owner: str, names: Sequence[str], needed: Sequence[str], n_values: int, by_name: Iterable[str]) -> None:
    for name in by_name:
        if name not in names:
            raise SpecError(f"{owner}: no parameter {name!r}; it has {', '.join(names) or 'none'}{nearest(name, names)}.") from None
    if n_values > len(names):
        raise SpecError(
            f"{owner}: {n_values} values; expected at most {len(names)}: {', '.join(names) or 'it has no parameters'}."
        ) from None
    for name in names[:n_values]:
        if name in by_name:
            raise SpecError(f"{owner}: {name} is given twice; expected it once, by its place or by its name.") from None
    for name in needed:
        if name not in by_name and name not in names[:n_values]:
            raise SpecError(f"{owner}: {name} is missing; expected {owner}({', '.join(f'{n}=...' for n in needed)}).") from None


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
