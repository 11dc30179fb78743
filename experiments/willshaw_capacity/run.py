"""Do Willshaw networks of up to a million units hold as many patterns as the finite-size formula says, with as many errors?"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuromem import cues
from neuromem.backends import Backend
from neuromem.capacity.intervals import wilson_interval
from neuromem.errors import OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, panels, write
from neuromem.models import willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.theory.willshaw import auto_load, capacity, exact_probability, false_probability, false_probability_independent

FOLDER = Path(__file__).parent

SIZES = {1024: (10, 5), 4096: (12, 6), 16384: (14, 7), 65536: (16, 8)}  # n: k = log2 n, and half of it as cue
MILLION = {1_000_000: (20, 2)}
LOADS = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4)  # of the capacity of the formula
N_CUES = 4000  # at each load, over all sets
SETS = {1024: 16, 4096: 4}  # of patterns; 1 of larger networks
CHUNK = 500_000  # patterns that are drawn and stored at a time
LEVEL = 0.9
COLOURS = {1024: BLUE, 4096: GREEN, 16384: ORANGE, 65536: VERMILION, 1_000_000: "black"}


def recalled(n: int, k: int, cue: int, loads: Sequence[int], seed: int, n_cues: int, backend: Backend) -> list[tuple[int, int]]:
    """Return, at each number of patterns stored, how many of ``n_cues`` recalls are exact, and how many false units they have in all.

    Patterns of k random units; cues are ``cue`` of them; the units that connect to all of the cue are recalled, in one step. The
    patterns recalled are the first ones, always the same.
    """
    rng = np.random.default_rng([seed, n])
    memory = MatrixSession(willshaw(n=n, k=k, recall="threshold"), backend, seed)
    first = cues.random_active(min(n_cues, loads[0]), n, k, rng)
    partial_cues = np.sort(rng.permuted(first, axis=1)[:, :cue], axis=1)
    memory.store(first)
    stored, found = len(first), []
    for load in loads:
        while stored < load:
            more = cues.random_active(min(CHUNK, load - stored), n, k, rng)
            memory.store(more)
            stored += len(more)
        rows = memory.recall(partial_cues, graded=False).active
        false = np.diff(rows.start) - k  # no unit of the pattern is ever missed
        found.append((int((false == 0).sum()), int(false.sum())))
    return found


def size_of(n: int, k: int, cue: int, factors: Sequence[float], sets: int, backend: Backend) -> dict[str, Any]:
    """Return measured recall of one size beside the formula, at loads around its capacity."""
    expected = capacity(n, k, cue, LEVEL)
    loads = [round(f * expected) for f in factors]
    n_cues = min(N_CUES // sets, loads[0])
    counts = np.array([recalled(n, k, cue, loads, seed, n_cues, backend) for seed in range(sets)])  # (sets, loads, 2)
    total = sets * n_cues
    points = {}
    for i, (factor, load) in enumerate(zip(factors, loads, strict=True)):
        exact, false = (int(x) for x in counts[:, i].sum(axis=0))
        band = wilson_interval(exact, total, 0.99)
        q = false_probability(load, n, k, cue)
        points[f"load_{factor}".replace(".", "_")] = {
            "patterns": load,
            "wrong": total - exact,
            "of": total,
            "exact_low": band.low,
            "exact_high": band.high,
            "exact_theory": exact_probability(load, n, k, cue),
            "false": false,
            "error": false / total / (n - k),
            "error_theory": q,
            "error_independent": false_probability_independent(auto_load(load, n, k), cue),
            # Of rare independent events the count is Poisson's.
            "error_off_by_sd": (false - total * (n - k) * q) / (total * (n - k) * q) ** 0.5,
        }
    rows = list(points.values())
    patterns = np.array([row["patterns"] for row in rows], np.float64)

    def crossing(fractions: list[float]) -> float:
        return float(np.interp(-LEVEL, [-f for f in fractions], patterns))

    return {
        "k": k,
        "cue": cue,
        "capacity_theory": expected,
        "capacity": crossing([1 - row["wrong"] / row["of"] for row in rows]),
        "capacity_low": crossing([row["exact_low"] for row in rows]),
        "capacity_high": crossing([row["exact_high"] for row in rows]),
        "load_at_capacity": auto_load(expected, n, k),
        "points": points,
    }


def measure(backend: Backend, quick: bool, million: bool = False) -> dict[str, Any]:
    """Return recall of each size around its capacity."""
    sizes = {n: SIZES[n] for n in (1024, 4096)} if quick else SIZES | (MILLION if million else {})
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)  # it is what this is about
        for n, (k, cue) in sizes.items():
            found[f"n_{n}"] = size_of(n, k, cue, LOADS, SETS.get(n, 1), backend)
    rows = list(found.values())
    points = [point for row in rows for point in row["points"].values()]
    found["worst_capacity"] = max(abs(row["capacity"] / row["capacity_theory"] - 1) for row in rows)
    found["capacities_in_band"] = all(row["capacity_low"] <= row["capacity_theory"] <= row["capacity_high"] for row in rows)
    found["exact_out_of_band"] = sum(not p["exact_low"] <= p["exact_theory"] <= p["exact_high"] for p in points)
    found["worst_error_off_by_sd"] = max(abs(p["error_off_by_sd"]) for p in points)
    return {
        "settings": {"sizes": {str(n): list(kc) for n, kc in sizes.items()}, "loads": list(LOADS), "cues": N_CUES, "million": million},
        "measured": found,
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw exact recall, errors and capacities beside the formula."""
    measured = results["measured"]
    sizes: dict[int, list[int]] = {int(n): kc for n, kc in results["settings"]["sizes"].items()}
    figure, (ax, errors, limit) = panels("Willshaw networks hold what the finite-size formula says, and err as often", (4.6, 4.6, 4.0), 4.5)
    for n, (k, cue) in sizes.items():
        row, colour = measured[f"n_{n}"], COLOURS[n]
        points = list(row["points"].values())
        x = np.array([p["patterns"] for p in points]) / row["capacity_theory"]
        y = np.array([1 - p["wrong"] / p["of"] for p in points])
        bars = [y - [p["exact_low"] for p in points], [p["exact_high"] for p in points] - y]
        ax.plot(x, [100 * p["exact_theory"] for p in points], color=colour, linewidth=1)
        ax.errorbar(x, 100 * y, yerr=100 * np.abs(bars), fmt="o", markersize=4, color=colour, capsize=3, linewidth=1)
        errors.plot(x, [p["error_theory"] for p in points], color=colour, linewidth=1)
        errors.plot(x, [p["error_independent"] for p in points], color=colour, linewidth=1, linestyle=":")
        errors.plot(x, [p["error"] or np.nan for p in points], "o", markersize=4, color=colour, label=f"n = {n:,}, {cue} of {k}")
    ax.axhline(100 * LEVEL, color=GREY, linewidth=0.8, linestyle="--")
    ax.set(xlabel="patterns / capacity of the formula", ylabel="recalled exactly (%)")
    ax.set_title("exact recall, with 99 % bands", fontsize=10, loc="left")
    errors.set(yscale="log", xlabel="patterns / capacity of the formula", ylabel="probability of a false unit", ylim=(1e-9, 3e-3))
    errors.set_title("errors: points measured, lines theory", fontsize=10, loc="left")
    errors.plot([], [], color=GREY, linewidth=1, linestyle=":", label="synapses taken as independent")
    errors.legend(frameon=False, fontsize=8, loc="lower right", ncols=2)
    for i, m in enumerate(sizes):
        row = measured[f"n_{m}"]
        limit.plot(m, row["capacity"], "o", color=COLOURS[m], markersize=6)
        word = f"{row['capacity']:,.0f}"
        limit.annotate(word, (m, row["capacity"]), (6, -3 if i else 2), textcoords="offset points", fontsize=8, va="top")
    theory = [measured[f"n_{m}"]["capacity_theory"] for m in sizes]
    limit.plot(list(sizes), theory, "_", color="black", markersize=16, zorder=3, label="formula")
    limit.set(xscale="log", yscale="log", xlabel="units n", ylabel="patterns held (90 % exact)")
    limit.set_xlim(600, 8 * max(sizes))
    limit.set_title("capacity", fontsize=10, loc="left")
    limit.legend(frameon=False, fontsize=8, loc="upper left")
    write(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command."""
    extra = argparse.ArgumentParser(add_help=False)
    extra.add_argument("--million", action="store_true", help="measure a network of 1,000,000 units too")
    million = extra.parse_known_args(argv)[0].million
    return command.main(FOLDER, partial(measure, million=million), draw, argv, (extra,))


if __name__ == "__main__":
    raise SystemExit(main())
