"""Does the capacity of a polynomial dense memory grow as N^(power - 1)? And is the softmax read attention?"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neuromem import cues
from neuromem.backends import Backend
from neuromem.capacity.fits import power_law
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, VERMILION, panels, write
from neuromem.models import dense
from neuromem.runs.matrix_session import MatrixSession
from neuromem.theory.dense import load_at_error

FOLDER = Path(__file__).parent

ERROR = 0.005  # of units that one step from a stored pattern gets wrong: K = alpha N^(power - 1), without the logarithm of exact recall
SIZES = {2: (256, 512, 1024, 2048), 3: (96, 160, 256, 400), 4: (64, 96, 128, 160)}
QUICK = {2: (256, 1024), 3: (96, 256)}
LOADS = (0.8, 0.9, 1.0, 1.1, 1.25)  # of the K of theory
WRONG = 1500  # units expected to be wrong at each load, of all sets together
SETS = 32  # of patterns at each load
COLOURS = {2: BLUE, 3: GREEN, 4: VERMILION}


def wrong_units(n: int, power: int, load: int, asked: int, backend: Backend) -> np.ndarray:
    """Return the fraction of units that are wrong after one step from stored patterns, for each of ``SETS`` sets of them."""
    found = []
    for number in range(SETS):
        patterns = cues.random_bits(load, n, np.random.default_rng([n, power, load, number]))
        memory = MatrixSession(dense(n=n, power=power), backend)
        memory.store(patterns)
        cue = patterns[:asked]
        found.append(((memory.recall(cue, max_steps=1, graded=False).answer > 0) != cue).mean())
    return np.array(found)


def capacity(n: int, power: int, wrong: int, backend: Backend) -> dict[str, float]:
    """Return the number of patterns at which a fraction ``ERROR`` of units is wrong, and its standard error.

    From a line through the logarithm of the fraction against that of the load. Errors are those between sets: units of one set
    share its crosstalk.
    """
    expected = load_at_error(power, ERROR) * n ** (power - 1)
    loads = [round(factor * expected) for factor in LOADS]
    asked = math.ceil(wrong / ERROR / SETS / n)
    fractions = np.array([wrong_units(n, power, load, asked, backend) for load in loads])
    mean = fractions.mean(axis=1)
    x, y = np.log(loads) - np.log(loads).mean(), np.log(mean)
    weights = mean / (fractions.std(axis=1, ddof=1) / math.sqrt(SETS))  # the inverse of the standard error of the logarithm
    basis = np.column_stack([np.ones_like(x), x]) * weights[:, None]
    (at, slope), *_ = np.linalg.lstsq(basis, y * weights)
    covariance = np.linalg.inv(basis.T @ basis)
    away = (math.log(ERROR) - at) / slope
    gradient = np.array([-1 / slope, -away / slope])
    found = math.exp(float(np.log(loads).mean()) + away)
    return {"patterns": found, "error": found * float(np.sqrt(gradient @ covariance @ gradient)), "theory": expected}


def attention_deviation(backend: Backend, n: int = 256, n_patterns: int = 2000, n_cues: int = 64) -> float:
    """Return the largest deviation of one softmax read from softmax(beta q K^T) V in float64, with keys and values the patterns, of length 1."""
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((n_patterns, n))
    patterns = (patterns / np.linalg.norm(patterns, axis=1, keepdims=True)).astype(np.float32)
    queries = (patterns[:n_cues] + 0.05 * rng.standard_normal((n_cues, n))).astype(np.float32)
    beta = 8.0
    memory = MatrixSession(dense(n=n, interaction="softmax", units="real", beta=beta), backend)
    memory.store(patterns)
    scores = beta * queries.astype(np.float64) @ patterns.astype(np.float64).T
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = weights / weights.sum(axis=1, keepdims=True) @ patterns.astype(np.float64)
    return float(np.abs(memory.recall(queries, max_steps=1, graded=False).answer - expected).max())


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return capacities and the exponent fitted to them for each power, and the deviation of the softmax read."""
    sizes, wrong = (QUICK, 1000) if quick else (SIZES, WRONG)
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)  # it is what this is about
        warnings.simplefilter("ignore", NotConvergedWarning)  # one step is asked for
        for power, units in sizes.items():
            rows = {f"n_{n}": capacity(n, power, wrong, backend) for n in units}
            law = power_law(units, [r["patterns"] for r in rows.values()], [r["error"] for r in rows.values()])
            found[f"power_{power}"] = {"capacity": rows, "exponent": law.exponent, "exponent_error": law.exponent_error}
        deviation = attention_deviation(backend)
    return {
        "settings": {
            "error": ERROR,
            "sizes": {str(p): list(n) for p, n in sizes.items()},
            "loads": list(LOADS),
            "wrong_units": wrong,
            "sets": SETS,
        },
        "measured": found | {"attention_deviation": deviation},
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw capacity against size, with theory, and their ratio."""
    measured = results["measured"]
    figure, (ax, ratio) = panels("Polynomial dense memories: capacity grows as N^(power - 1)", (5.0, 4.6))
    for name, row in measured.items():
        if not name.startswith("power"):
            continue
        power = int(name.split("_")[1])
        sizes = [int(word.split("_")[1]) for word in row["capacity"]]
        rows = list(row["capacity"].values())
        label = f"power {power}: exponent {row['exponent']:.3f} ± {2 * row['exponent_error']:.3f}"
        colour = COLOURS[power]
        ax.plot(sizes, [r["patterns"] for r in rows], "o", color=colour, markersize=5, label=label)
        ax.plot(sizes, [r["theory"] for r in rows], color=colour, linewidth=1)
        ratio.errorbar(
            sizes, [r["patterns"] / r["theory"] for r in rows], yerr=[2 * r["error"] / r["theory"] for r in rows], fmt="o-", color=colour,
            markersize=4, capsize=3, linewidth=0.8, label=f"power {power}",
        )  # fmt: skip
    ax.plot([], [], color=GREY, linewidth=1, label="theory, leading order")
    ax.set(xscale="log", yscale="log", xlabel="units N", ylabel=f"patterns at {100 * ERROR:g} % wrong units")
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")
    ax.set_ylim(None, ax.get_ylim()[1] * 20)
    ratio.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    ratio.set(xscale="log", xlabel="units N", ylabel="measured / leading order of theory")
    ratio.legend(frameon=False, fontsize=8.5)
    for panel in (ax, ratio):
        ticks = [64, 128, 256, 512, 1024, 2048]
        panel.set_xticks(ticks, [f"{t:,}" for t in ticks], minor=False)
        panel.minorticks_off()
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
