"""At what load does a Hopfield network lose its patterns, as it grows, and how well does it hold them below? Against the theory of AGS."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from neuromem import cues
from neuromem.backends import Backend
from neuromem.capacity.fits import extrapolate
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, panels, write
from neuromem.models import hopfield
from neuromem.runs.matrix_session import MatrixSession
from neuromem.theory.hopfield import ags_critical_load, ags_overlap

FOLDER = Path(__file__).parent

SETS = {1000: 64, 2000: 32, 4000: 16, 8000: 10}  # N: sets of patterns at each load; a network loses many patterns together, or few
CUES = 64  # of each set
KEPT = 0.7  # overlap: between the states kept (0.97 at the critical load) and what is left of those lost (about 0.35)
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # loads about the collapse, in units of WIDTH / sqrt(N)
WIDTH = 0.25
FIRST_GUESS = 0.83  # of the slope of the collapse against 1/sqrt(N): where to look, no more
BELOW = (0.06, 0.08, 0.09, 0.1, 0.11, 0.12, 0.125, 0.13)
NORMAL = NormalDist()
COLOURS = {1000: BLUE, 2000: GREEN, 4000: ORANGE, 8000: VERMILION}


def final_overlaps(n: int, load: float, sets: int, cue_count: int, backend: Backend) -> np.ndarray:
    """Return the overlaps with their patterns of the states where asynchronous recall from the patterns ends, (sets, cues)."""
    found = []
    for number in range(sets):
        patterns = cues.random_bits(round(load * n), n, np.random.default_rng([n, round(load * n), number]))
        memory = MatrixSession(hopfield(n=n, update="asynchronous"), backend, number)
        memory.store(patterns)
        found.append(memory.recall(patterns[:cue_count], graded=False).overlap_with(patterns[:cue_count]))
    return np.array(found)


def collapse(n: int, sets: int, backend: Backend) -> dict[str, Any]:
    """Return the fraction of patterns kept at loads around the collapse, and the load at which it is one half.

    The normal quantile of the fraction is fitted with a line by weighted least squares; errors are those between sets.
    """
    loads = [round(n * (ags_critical_load() + (FIRST_GUESS + WIDTH * x) / math.sqrt(n))) / n for x in STEPS]
    kept, errors = [], []
    for load in loads:
        each = (final_overlaps(n, load, sets, CUES, backend) > KEPT).mean(axis=1)
        f = float(each.mean())
        kept.append(f)
        errors.append(max(float(each.std(ddof=1)), math.sqrt(f * (1 - f) / CUES)) / math.sqrt(sets))
    quantiles = np.array([NORMAL.inv_cdf(f) for f in kept])
    weights = np.array([NORMAL.pdf(z) / e for z, e in zip(quantiles, errors, strict=True)])
    centre = float(np.mean(loads))
    basis = np.column_stack([np.ones(len(loads)), np.array(loads) - centre]) * weights[:, None]
    (at, slope), *_ = np.linalg.lstsq(basis, quantiles * weights)
    covariance = np.linalg.inv(basis.T @ basis)
    gradient = np.array([-1 / slope, at / slope**2])
    return {
        "loads": loads,
        "kept": kept,
        "errors": errors,
        "load": centre - float(at / slope),
        "load_error": float(np.sqrt(gradient @ covariance @ gradient)),
        "width": float(-1 / slope),
        "width_error": float(np.sqrt(covariance[1, 1]) / slope**2),
    }


def overlaps_below(n: int, loads: tuple[float, ...], sets: int, backend: Backend) -> dict[str, dict[str, float]]:
    """Return the mean overlap of the patterns that are kept, its standard error, and that of theory."""
    found = {}
    for load in loads:
        m = final_overlaps(n, load, sets, 100, backend).ravel()
        kept = m[m > KEPT]
        found[f"load_{load}".replace(".", "_")] = {
            "load": round(load * n) / n,
            "overlap": float(kept.mean()),
            "error": float(kept.std(ddof=1) / math.sqrt(kept.size)),
            "theory": ags_overlap(round(load * n) / n),
            "lost": int(m.size - kept.size),
            "of": int(m.size),
        }
    return found


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return the collapse of each size and its extrapolation, and overlaps below it; a quick run has one small size of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)  # it is what this is about
        warnings.simplefilter("ignore", NotConvergedWarning)  # a state that still moves after 100 sweeps is long lost
        below = overlaps_below(2000 if quick else 8000, BELOW[1:6:2] if quick else BELOW, 2 if quick else 4, backend)
        sizes = {1000: 8} if quick else SETS
        found: dict[str, Any] = {f"n_{n}": collapse(n, sets, backend) for n, sets in sizes.items()}
    measured: dict[str, Any] = {
        "collapse": found,
        "below": below,
        "worst_overlap_deviation": max(abs(row["overlap"] - row["theory"]) for row in below.values()),
    }
    if not quick:
        n = list(sizes)
        at, error = ([found[f"n_{size}"][key] for size in n] for key in ("load", "load_error"))
        width = np.polyfit(np.log(n), np.log([found[f"n_{size}"]["width"] for size in n]), 1)[0]
        root, free = extrapolate(n, at, error, exponent=0.5), extrapolate(n, at, error)
        larger = extrapolate(n[1:], at[1:], error[1:], exponent=0.5)
        measured |= {
            "width_exponent": float(width),
            "limit": root.limit,
            "limit_statistical_error": root.limit_error,
            "slope": root.slope,
            "limit_without_the_smallest": larger.limit,
            "limit_of_free_exponent": free.limit,
            "limit_of_free_exponent_error": free.limit_error,
            "free_exponent": free.exponent,
            "free_exponent_error": free.exponent_error,
            "free_slope": free.slope,
            # What is not known of the form of the extrapolation is an error too: how much it matters.
            "limit_error": math.hypot(root.limit_error, free.limit - root.limit),
            "critical_load": ags_critical_load(),
        }
        measured["off_by_errors"] = (measured["limit"] - measured["critical_load"]) / measured["limit_error"]
    return {
        "settings": {"sets": {str(n): sets for n, sets in sizes.items()}, "cues": CUES, "kept_from": KEPT, "sweeps": 100},
        "measured": measured,
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw overlaps below the collapse, patterns kept around it, and its load against size."""
    measured = results["measured"]
    figure, (below, kept, limit) = panels(
        "Hopfield networks: overlaps as in theory, and a collapse near its critical load", (4.2, 4.6, 4.2)
    )
    critical = ags_critical_load()
    x = np.linspace(0.05, critical, 200)
    below.plot(x, [ags_overlap(float(a)) for a in x], color=GREY, linewidth=1.2, label="theory (AGS), N infinite")
    rows = list(measured["below"].values())
    below.errorbar(
        [r["load"] for r in rows], [r["overlap"] for r in rows], yerr=[2 * r["error"] for r in rows], fmt="o", color=VERMILION, markersize=4,
        capsize=3, label="measured, 2 standard errors",
    )  # fmt: skip
    below.plot([critical, critical], [0.96, ags_overlap(critical)], color=GREY, linewidth=0.8, linestyle="--")
    below.set(xlabel="patterns per unit", ylabel="overlap of recall with its pattern", ylim=(0.96, 1.002), xlim=(0.05, 0.145))
    below.legend(frameon=False, fontsize=8.5, loc="lower left")
    kept.axvline(critical, color=GREY, linewidth=0.8, linestyle="--")
    kept.text(critical - 0.0007, 8, "theory, N infinite", color=GREY, fontsize=8.5, rotation=90, ha="right")
    for name, row in measured["collapse"].items():
        n = int(name.split("_")[1])
        kept.errorbar(
            row["loads"], [100 * f for f in row["kept"]], yerr=[200 * e for e in row["errors"]], fmt="o", color=COLOURS[n], markersize=4,
            capsize=3, label=f"N = {n:,}",
        )  # fmt: skip
        fine = np.linspace(row["load"] - 1.2 * row["width"], row["load"] + 1.2 * row["width"], 60)
        kept.plot(fine, [100 * NORMAL.cdf(-(a - row["load"]) / row["width"]) for a in fine], color=COLOURS[n], linewidth=1)
    kept.axhline(50, color=GREY, linewidth=0.8, linestyle=":")
    kept.set(xlabel="patterns per unit", ylabel="patterns kept (%)", ylim=(0, 100), xlim=(0.131, 0.19))
    kept.legend(frameon=False, fontsize=8.5, loc="upper right")
    for name, row in measured["collapse"].items():
        n = int(name.split("_")[1])
        limit.errorbar([n**-0.5], [row["load"]], yerr=[2 * row["load_error"]], fmt="o", color=COLOURS[n], markersize=4, capsize=3)
        limit.annotate(f"{n:,}", (n**-0.5, row["load"]), (-4, 6), textcoords="offset points", fontsize=8.5, ha="right")
    if "limit" in measured:
        r = np.linspace(0, 0.034, 100)
        limit.plot(r, measured["limit"] + measured["slope"] * r, color="black", linewidth=1, label="in 1/sqrt(N)")
        power = 2 * measured["free_exponent"]
        limit.plot(
            r, measured["limit_of_free_exponent"] + measured["free_slope"] * r**power, color="black", linewidth=1, linestyle=":",
            label=f"exponent {measured['free_exponent']:.2f}, fitted",
        )  # fmt: skip
        limit.errorbar(
            [0], [measured["limit"]], yerr=[measured["limit_error"]], fmt="D", color="black", markersize=5, capsize=4,
            label=f"{measured['limit']:.4f} ± {measured['limit_error']:.4f}",
        )  # fmt: skip
        limit.legend(frameon=False, fontsize=8.5, loc="upper left")
    limit.axhline(critical, color=GREY, linewidth=0.8, linestyle="--")
    limit.text(0.034, critical - 0.0004, f"theory {critical:.4f}", color=GREY, fontsize=8.5, ha="right", va="top")
    limit.set(xlabel="1 / sqrt(N)", ylabel="load at which half are lost", xlim=(-0.001, 0.034), ylim=(0.132, 0.17))
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
