"""Criteria: what a memory must still do with so many patterns stored, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from neuromem.errors import SpecError, nearest

Quantity = Literal["exact", "overlap", "bit_error"]

QUANTITIES: dict[Quantity, str] = {
    "exact": "fraction of patterns recalled exactly",
    "overlap": "mean overlap of answer and pattern",
    "bit_error": "fraction of wrong units",
}
EXAMPLES = ("exact90", "overlap95", "biterror01", "ags")
_NAMED = re.compile(r"(exact|overlap|biterror)([0-9]{2})")


@dataclass(frozen=True)
class Criterion:
    """A quantity and the level that it must reach; ``clean``: cues are the patterns themselves, without errors.

    ``exact``: more than the level, as "> 90 % exact" is usually counted; ``overlap``: at least; ``bit_error``: at most.
    """

    name: str
    quantity: Quantity
    level: float
    clean: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a measured value meets the criterion."""
        if self.quantity == "exact":
            return value > self.level
        return value >= self.level if self.quantity == "overlap" else value <= self.level

    def __str__(self) -> str:
        sign = {"exact": "above", "overlap": "at least", "bit_error": "at most"}[self.quantity]
        return f"{QUANTITIES[self.quantity]} {sign} {self.level:g}" + (", recalled from the patterns themselves" if self.clean else "")


def read_criterion(name: str) -> Criterion:
    """Return the criterion of a name.

    ``exactNN``: more than NN % of patterns are recalled to the last unit. ``overlapNN``: the mean overlap is at least NN %. ``biterrorNN``: at
    most NN % of units are wrong. ``ags``: recall that starts at the patterns themselves keeps a mean overlap of 0.9, the retrieval state
    of Amit, Gutfreund and Sompolinsky. NN is 01 to 99. Raises ``SpecError``.
    """
    if name == "ags":
        return Criterion("ags", "overlap", 0.9, clean=True)
    found = _NAMED.fullmatch(name)
    if found is None or found[2] == "00":
        word = re.sub(r"[0-9]+$", "", name)
        near = nearest(name, EXAMPLES) or nearest(word, EXAMPLES)
        raise SpecError(f"criterion {name!r}; expected exactNN, overlapNN or biterrorNN with NN from 01 to 99 (percent), or ags{near}.")
    quantities: dict[str, Quantity] = {"exact": "exact", "overlap": "overlap", "biterror": "bit_error"}
    return Criterion(name, quantities[found[1]], int(found[2]) / 100)
