"""Populations, and views of a contiguous part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from neuromem.errors import SpecError, listing, nearest
from neuromem.quantities import check_range
from neuromem.spec.cells import Cell
from neuromem.spec.distributions import Quantity, RandomDistribution, quantity
from neuromem.spec.value import Value, named


@named
@dataclass(frozen=True, eq=False, repr=False)
class Population(Value):
    """``size`` cells of one type under one name.

    ``role`` is a word for readers and drawings (``cue``, ``content``, ``gate``, ``readout`` ...).
    ``initial_values`` sets state variables at step 0 (``v`` in mV, default ``v_rest``;
    ``isyn_exc`` and ``isyn_inh`` in nA, default 0).
    """

    name: str
    size: int
    cell: Cell
    role: str = ""
    initial_values: Mapping[str, Quantity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SpecError(f"Population {self.name!r}: expected a name made of letters, digits and '_', not beginning with a digit.")
        owner = f"Population {self.name!r}"
        if isinstance(self.size, bool) or not isinstance(self.size, int | np.integer) or self.size < 1:
            raise SpecError(f"{owner}: size = {self.size!r}; expected a whole number of cells, at least 1.")
        if not isinstance(self.cell, Cell):
            raise SpecError(f"{owner}: cell = {self.cell!r}; expected a cell type such as IFCurrExp(...).")
        for name in self.cell.parameters:
            self._check_length(owner, name, getattr(self.cell, name))
        values = {}
        for name, given in self.initial_values.items():
            if name not in self.cell.state:
                raise SpecError(
                    f"{owner}: initial value of {name!r}; {type(self.cell).__name__} has the state {listing(self.cell.state) or 'none'}{nearest(name, self.cell.state)}."
                )
            value = quantity(given, owner, name)
            if not isinstance(value, RandomDistribution):
                check_range(name, value, owner)
            self._check_length(owner, name, value)
            values[name] = value
        object.__setattr__(self, "initial_values", values)

    def _check_length(self, owner: str, name: str, value: object) -> None:
        if isinstance(value, np.ndarray) and value.size != self.size:
            raise SpecError(f"{owner}: {name} has {value.size} values; expected one number or {self.size}, one for each cell.")

    def __getitem__(self, units: slice) -> View:
        """Return the view of the units ``start:stop``."""
        if not isinstance(units, slice) or units.step not in (None, 1):
            raise SpecError(f"Population {self.name!r}: [{units!r}]; expected a contiguous slice such as [0:5].")
        start, stop, _ = units.indices(self.size)
        return View(self.name, start, stop)


@named
@dataclass(frozen=True)
class View:
    """The units ``start <= unit < stop`` of the population named ``population``."""

    population: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise SpecError(f"View of {self.population!r}: units {self.start}:{self.stop}; expected 0 <= start < stop.")

    @property
    def size(self) -> int:
        """Number of units."""
        return self.stop - self.start
