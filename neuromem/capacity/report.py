"""A study in words and as what JSON holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from neuromem.capacity.criteria import QUANTITIES
from neuromem.capacity.intervals import Interval
from neuromem.capacity.predictions import NONE_KNOWN
from neuromem.capacity.study import Basin, Point, Study
from neuromem.runs.parameters import derived, heading

DEFINITION = (
    "bits_per_synapse = patterns x fraction recalled exactly x bits of a pattern / n_synapses, at the capacity; a pattern's bits are the log2 "
    "of how many there are; gained: less what its cue tells. n_synapses counts every weight that the rule may change (both of a symmetric pair), "
    "and n for each pattern of a dense memory"
)

COLUMNS = ("model", "capacity", "95 % interval", "synapses", "bits/synapse", "gained", "exact", "not converged", "sets x seeds", "theory")


def row(study: Study) -> tuple[str, ...]:
    """Return a study as one row of texts, in the order of ``COLUMNS``."""
    capacity = study.capacity
    best = study.theory.capacities[0] if study.theory.capacities else None
    exact = [m.exact for m in study.at_capacity]
    return (
        study.task.memory.name,
        "-" if capacity is None else ("at least " if study.search.at_limit else "") + number(capacity.value),
        interval_text(study) or "-",
        "-" if study.n_synapses is None else f"{study.n_synapses:.0f}",
        fraction(study.stored_bits),
        fraction(study.gained_bits),
        fraction(float(np.mean(exact))) if exact else "-",
        "-" if study.unsettled is None else f"{study.unsettled:.1%}",
        f"{study.n_sets} x {len(study.search.seeds)}",
        (f"curve: {study.theory.curves[0].name}" if study.theory.curves else NONE_KNOWN)
        if best is None
        else f"{number(best.value)} ({best.name})",
    )


def number(value: float | None) -> str:
    """Return a number of patterns for people: one decimal."""
    if value is None:
        return "-"
    return f"{value:.1f}" if abs(value) < 1e7 else f"{value:.3g}"


def fraction(value: float | None) -> str:
    """Return a fraction, or bits per synapse, for people: three decimals."""
    return "-" if value is None else f"{value:.3f}"


def interval_text(study: Study) -> str:
    """Return the interval of the capacity, why there is none, or nothing."""
    capacity = study.capacity
    if capacity is None or study.search.at_limit:
        return ""
    return "too few seeds" if study.few_seeds else f"{number(capacity.low)} to {number(capacity.high)}"


def notes(study: Study) -> list[str]:
    """Return, line by line, what was asked and what theory says."""
    lines = [
        heading(study.task.memory),
        f"  criterion {study.criterion.name}: {study.criterion}",
        f"  errors of a cue: {study.task}" + ("; each step of the sequence is recalled from such a cue" if study.task.program.lag else ""),
    ]
    lines.append(f"  theory: {study.theory}")
    lines += [f"  limit, bits per synapse: {f.value:.4g}, {f.name} ({f.source})" for f in study.theory.limits]
    lines += [f"  basin with {basin.n_patterns} patterns: {_radius(basin)}" for basin in study.basins]
    if study.search.at_limit:
        lines.append(f"  the search was stopped at {study.search.limit} patterns: the capacity is a lower bound (--max-patterns)")
    return lines


def _radius(basin: Basin) -> str:
    what = "half are recalled exactly" if basin.quantity == "exact" else f"{QUANTITIES[basin.quantity]} is {basin.level:g}"
    if basin.radius is not None:
        return f"{what} at {basin.error} of {basin.radius:.3g}"
    if basin.quantity == "exact":
        fewer = "fewer than half are recalled exactly, even from the patterns themselves"
        return fewer if basin.empty else "more than half are recalled exactly everywhere"
    return f"{what}, or worse, even from the patterns themselves" if basin.empty else f"{what} nowhere: it is better"


def as_object(study: Study) -> dict[str, Any]:
    """Return a study as what JSON holds; everything in it is the same each time."""
    from neuromem.backends import load_backend

    capacity, criterion, task = study.capacity, study.criterion, study.task
    mean = None if capacity is None else capacity.value
    said: dict[str, Any] = {"p90": mean} if criterion.name == "exact90" else {}
    said |= {
        "capacity": mean,
        "ci95": None if capacity is None else bounds(capacity),
        "bits_per_synapse": study.stored_bits,
        "bits_per_synapse_gained": study.gained_bits,
        "definition": DEFINITION,
        "model": task.memory.name,
        "parameters": {**task.memory.parameters, **derived(task.memory)},
        "criterion": {"name": criterion.name, "text": str(criterion), "quantity": criterion.quantity, "level": criterion.level},
        "noise": {
            "text": str(task),
            **{name: getattr(task.errors, name) for name in ("flips", "deletions", "additions", "moves", "noise")},
        },
        "complete": study.complete,
        "at_limit": study.search.at_limit,
        "max_patterns": study.search.limit,
        "seeds": [{"seed": s.seed, "capacity": s.capacity, "at_limit": s.at_limit} for s in study.search.seeds],
        "sets": study.n_sets,
        "n_units": task.program.post.size,
        "n_synapses": study.n_synapses,
        "not_converged": study.unsettled,
        "theory": {
            "text": str(study.theory),
            "capacities": [{"name": f.name, "patterns": finite(f.value), "source": f.source} for f in study.theory.capacities],
            "limits": [{"name": f.name, "bits_per_synapse": f.value, "source": f.source} for f in study.theory.limits],
        },
        "points": [
            {
                "seed": p.seed,
                "n_patterns": p.n_patterns,
                "holds": p.holds,
                **{name: finite(getattr(m, name)) for name in ("exact", "overlap", "bit_error")},
                "not_converged": m.unsettled,
                "cues": m.n_cues,
                "sets": m.n_sets,
            }
            for p in study.search.points
            for m in (study.measured[p.seed, p.n_patterns],)
        ],
        "curve": [_point(p) for p in study.curve],
        "basin": [_basin(b) for b in study.basins],
        "backend": study.backend,
        "versions": {"neuromem": version("neuromem"), **load_backend(study.backend).versions()},
    }
    return said


def _basin(basin: Basin) -> dict[str, Any]:
    return {
        "n_patterns": basin.n_patterns,
        "error": basin.error,
        "quantity": basin.quantity,
        "level": basin.level,
        "radius": basin.radius,
        "points": [{basin.error: p.x, basin.quantity: p.value.value, "ci95": bounds(p.value)} for p in basin.points],
    }


def _point(point: Point) -> dict[str, Any]:
    return {"n_patterns": point.n_patterns, "value": point.value.value, "ci95": bounds(point.value), "not_converged": point.unsettled}


def bounds(interval: Interval) -> list[float | None]:
    """Return both ends of an interval, None for an end that nothing bounds."""
    return [finite(interval.low), finite(interval.high)]


def finite(value: float) -> float | None:
    """Return a number, or None in place of one that JSON cannot hold."""
    return value if math.isfinite(value) else None


CSV_COLUMNS = ("model", "seed", "n_patterns", "exact", "overlap", "bit_error", "not_converged", "cues", "sets", "holds")


def csv_rows(studies: Sequence[Study]) -> list[tuple[object, ...]]:
    """Return every point of the searches as rows, in the order of ``CSV_COLUMNS``."""
    return [
        (
            study.task.memory.name, p.seed, p.n_patterns, m.exact, m.overlap, m.bit_error, m.unsettled, m.n_cues, m.n_sets, int(p.holds),
        )
        for study in studies
        for p in study.search.points
        for m in (study.measured[p.seed, p.n_patterns],)
    ]  # fmt: skip
