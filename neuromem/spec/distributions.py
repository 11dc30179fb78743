"""Random parameters: drawn on the host by ``lower``, from a generator named after the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuromem.errors import SpecError
from neuromem.quantities import is_number
from neuromem.spec.value import Value, frozen_array, named


@named
@dataclass(frozen=True, eq=False, repr=False)
class RandomDistribution(Value):
    """One independent draw for each unit or synapse.

    ``uniform``: between ``a`` (included) and ``b`` (excluded). ``normal``: mean ``a`` and
    standard deviation ``b``. ``uniform_int``: integers from ``a`` to ``b``, both included.
    The unit is that of the parameter.
    """

    distribution: Literal["uniform", "normal", "uniform_int"]
    a: float
    b: float

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "normal", "uniform_int"):
            raise SpecError(f"RandomDistribution: {self.distribution!r}; expected 'uniform', 'normal' or 'uniform_int'.")
        for name, value in (("a", self.a), ("b", self.b)):
            if not is_number(value) or not np.isfinite(value):
                raise SpecError(f"RandomDistribution({self.distribution!r}): {name} = {value!r}; expected a finite number.")
        bad = self.b < 0 if self.distribution == "normal" else self.b < self.a
        if bad:
            raise SpecError(
                f"RandomDistribution({self.distribution!r}): a = {self.a:g}, b = {self.b:g}; expected {'b >= 0' if self.distribution == 'normal' else 'a <= b'}."
            )

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``n`` independent values."""
        if self.distribution == "uniform":
            return rng.uniform(self.a, self.b, n)
        if self.distribution == "normal":
            return rng.normal(self.a, self.b, n)
        return rng.integers(int(self.a), int(self.b), n, endpoint=True).astype(np.float64)


Quantity = float | np.ndarray | RandomDistribution
"""A parameter: one number for all, one for each unit or synapse, or a distribution."""


def quantity(value: object, owner: str, name: str) -> Quantity:
    """Return ``value`` as a float, a read-only float64 vector, or the distribution itself."""
    if isinstance(value, RandomDistribution):
        return value
    if isinstance(value, (bool, str)) or value is None:
        raise SpecError(f"{owner}: {name} = {value!r}; expected a number, a sequence of numbers or a RandomDistribution.")
    try:
        array = frozen_array(value)
    except (TypeError, ValueError):
        raise SpecError(f"{owner}: {name} = {value!r}; expected a number, a sequence of numbers or a RandomDistribution.") from None
    if array.ndim > 1:
        raise SpecError(f"{owner}: {name} has shape {array.shape}; expected one number or a vector.")
    return float(array) if array.ndim == 0 else array
