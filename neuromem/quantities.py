"""Units: ms, mV, nA, nF, Hz, as in PyNN; and the one place where a time becomes a whole step.

A quantity is a plain number in the unit of its name. ``RANGES`` holds, for every named
quantity, its unit and the range outside of which the value is taken for a mistake of unit.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError

# A time within this fraction of a whole step is that step: it absorbs the rounding of decimal
# literals, and is far below any meant fraction of a step. Long times are allowed a relative error
# of RELATIVE_TOLERANCE: a literal of 12 digits, far above the 2**-52 of one division of doubles.
STEP_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Range:
    """Unit of a quantity, and the values that it may take: ``low < x <= high`` or ``low <= x``."""

    unit: str
    low: float
    high: float
    open_low: bool = False

    def __str__(self) -> str:
        return f"{'above' if self.open_low else 'at least'} {self.low:g} and at most {self.high:g} {self.unit}"

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return, for each value, whether it lies in the range (False for NaN)."""
        above = values > self.low if self.open_low else values >= self.low
        inside: np.ndarray = above & (values <= self.high)
        return inside


RANGES: dict[str, Range] = {
    "dt": Range("ms", 0.0, 1e3, open_low=True),
    "tau_m": Range("ms", 0.0, 1e6, open_low=True),
    "tau_syn_E": Range("ms", 0.0, 1e6, open_low=True),
    "tau_syn_I": Range("ms", 0.0, 1e6, open_low=True),
    "tau_plus": Range("ms", 0.0, 1e6, open_low=True),
    "tau_minus": Range("ms", 0.0, 1e6, open_low=True),
    "tau_refrac": Range("ms", 0.0, 1e6),
    "cm": Range("nF", 0.0, 1e3, open_low=True),
    "v_rest": Range("mV", -1e3, 1e3),
    "v_reset": Range("mV", -1e3, 1e3),
    "v_thresh": Range("mV", -1e3, 1e3),
    "v": Range("mV", -1e4, 1e4),
    "i_offset": Range("nA", -1e6, 1e6),
    "isyn_exc": Range("nA", 0.0, 1e9),
    "isyn_inh": Range("nA", 0.0, 1e9),
    "weight": Range("nA", 0.0, 1e9),
    "w_min": Range("nA", 0.0, 1e9),
    "w_max": Range("nA", 0.0, 1e9),
    "A_plus": Range("nA, or a fraction with the multiplicative rule", 0.0, 1e9),
    "A_minus": Range("nA, or a fraction with the multiplicative rule", 0.0, 1e9),
    "delay": Range("ms", 0.0, 1e6, open_low=True),
    "rate": Range("Hz", 0.0, 1e6),
    "start": Range("ms", 0.0, 1e12),
    "duration": Range("ms", 0.0, float("inf")),
}


def is_number(value: object) -> bool:
    """Return whether ``value`` is one real number (numpy's count, bools do not)."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Return whether ``value`` is one integer (numpy's count, bools do not)."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_units(owner: str, n: object, groups: object = 1) -> None:
    """Raise ``SpecError`` unless ``n`` is a number of units that can form ``groups`` equal groups (hypercolumns) of at least 2."""
    if not is_whole(n) or int(n) < 2:  # type: ignore[call-overload]
        raise SpecError(f"{owner}: n = {n!r}; expected a whole number of units, at least 2.")
    if not is_whole(groups) or int(groups) < 1 or int(n) % int(groups) or int(n) // int(groups) < 2:  # type: ignore[call-overload]
        raise SpecError(f"{owner}: hypercolumns = {groups!r} of {n} units; expected a number that divides {n} into groups of 2 or more.")


def check_number(name: str, value: object, owner: str) -> None:
    """Raise ``SpecError`` when ``value`` is not one number in the range of the quantity ``name``."""
    if not is_number(value):
        raise SpecError(f"{owner}: {name} = {value!r}; expected a number, {RANGES[name]}.")
    check_range(name, value, owner)  # type: ignore[arg-type]


def check_range(name: str, values: float | Sequence[float] | np.ndarray, owner: str) -> None:
    """Raise ``SpecError`` when a value of the quantity ``name`` is outside of its range or not finite."""
    allowed = RANGES[name]
    array = np.asarray(values, dtype=np.float64)
    good = allowed.holds(array)
    if bool(np.all(good)):
        return
    bad = np.atleast_1d(array)[~np.atleast_1d(good)]
    where = ""
    if array.ndim:
        where = f" (entry {int(np.flatnonzero(~good)[0])} of {array.size})"
    raise SpecError(f"{owner}: {name} = {bad[0]:g} {allowed.unit.split(',')[0]}{where}; expected {allowed}.")


def _tolerance(exact: float) -> float:
    return max(STEP_TOLERANCE, RELATIVE_TOLERANCE * abs(exact))


def steps_of(time: float, dt: float, name: str, owner: str, minimum: int = 0) -> int:
    """Return ``time / dt`` as a whole number of steps.

    ``time`` and ``dt`` are in ms. Raises ``SpecError``, naming the nearest valid times, when
    ``time`` is no whole number of steps or fewer than ``minimum`` of them.
    """
    if not math.isfinite(time):
        raise SpecError(f"{owner}: {name} = {time} ms; expected a finite time.")
    exact = time / dt
    steps = round(exact)
    if abs(exact - steps) > _tolerance(exact):
        low, high = math.floor(exact), math.ceil(exact)
        near = [s for s in (low, high) if s >= minimum] or [minimum]
        text = " and ".join(f"{s * dt:.12g}" for s in near)
        raise SpecError(
            f"{owner}: {name} = {time:g} ms is not a whole number of {dt:g} ms steps; nearest {'are' if len(near) > 1 else 'is'} {text} ms."
        )
    if steps < minimum:
        raise SpecError(
            f"{owner}: {name} = {time:g} ms is {steps} steps of {dt:g} ms; expected at least {minimum} "
            f"({minimum * dt:.12g} ms), because a spike cannot arrive in the step that sends it."
            if name == "delay"
            else f"{owner}: {name} = {time:g} ms is {steps} steps of {dt:g} ms; expected at least {minimum}."
        )
    return int(steps)


def steps_covering(time: float, dt: float) -> int:
    """Return the least number of whole steps that covers ``time``: ``ceil(time / dt)``."""
    exact = time / dt
    near = round(exact)
    return int(near if abs(exact - near) <= _tolerance(exact) else math.ceil(exact))
