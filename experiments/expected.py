"""Compare what an experiment measured with its ``expected.toml``.

``expected.toml`` is a list of claims. Each has ``name`` (where the number is found in
``measured``, keys joined by dots), ``claim`` (in words, with its source), ``tolerance``
(where the tolerance comes from), ``headline`` (true for what the experiment is about: a test
holds it), ``full`` (true for numbers that only the full run measures) and one ``kind``:

``exact``     ``value``: the very number, list or truth value.
``range``     ``low``, ``high``: the number lies between, both included.
``rate``      ``wrong``, ``of``: claimed counts; the binomial intervals of claim and measurement
              overlap, each at 97.5 %, so that two equal rates disagree in fewer than 5 % of cases.
``more``      ``than``: the name of another measured rate; the interval of this one lies above the
              interval of that one, each at 97.5 %.

A measured rate is a table ``{wrong, of}``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromem.experiments.intervals import binomial_interval

EACH_OF_TWO = 0.975
"""Both intervals hold with at least 95 % (Bonferroni)."""


@dataclass(frozen=True)
class Verdict:
    """One claim beside what was measured; ``agrees`` tells whether they match within the tolerance."""

    name: str
    claim: str
    tolerance: str
    headline: bool
    expected: str
    measured: str
    agrees: bool


def find(measured: Mapping[str, Any], name: str) -> Any:
    """Return the value at ``name``; raise ``KeyError`` with the whole name when there is none."""
    value: Any = measured
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(f"expected.toml: {name!r} is not in the measured results.")
        value = value[key]
    return value


def compare(measured: Mapping[str, Any], path: Path, quick: bool = False) -> Iterator[Verdict]:
    """Yield one verdict for each claim of the ``expected.toml`` at ``path``; a ``quick`` run leaves out those marked ``full``."""
    with path.open("rb") as file:
        claims = tomllib.load(file)["claim"]
    for claim in claims:
        if quick and claim.get("full", False):
            continue
        value = find(measured, claim["name"])
        expected, agrees = _judge(claim, value, measured)
        yield Verdict(claim["name"], claim["claim"], claim["tolerance"], claim["headline"], expected, _text(value), agrees)


def _judge(claim: Mapping[str, Any], value: Any, measured: Mapping[str, Any]) -> tuple[str, bool]:
    match claim["kind"]:
        case "exact":
            return _text(claim["value"]), bool(value == claim["value"])
        case "range":
            low, high = claim["low"], claim["high"]
            number = math.nan if value is None else value
            return f"{low:g} to {high:g}", bool(low <= number <= high)
        case "rate":
            a = binomial_interval(claim["wrong"], claim["of"], EACH_OF_TWO)
            b = binomial_interval(value["wrong"], value["of"], EACH_OF_TWO)
            return _text(claim), a[0] <= b[1] and b[0] <= a[1]
        case "more":
            other = find(measured, claim["than"])
            above = binomial_interval(value["wrong"], value["of"], EACH_OF_TWO)
            below = binomial_interval(other["wrong"], other["of"], EACH_OF_TWO)
            return f"more than {claim['than']}: {_text(other)}", above[0] > below[1]
    raise ValueError(f"expected.toml: {claim['name']}: kind = {claim['kind']!r}; expected exact, range, rate or more.")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['wrong']} wrong of {value['of']}"
    return f"{value:g}" if isinstance(value, float) else str(value)
