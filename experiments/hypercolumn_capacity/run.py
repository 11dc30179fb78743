"""How many patterns do Hebb, covariance, Willshaw and BCPNN hold in hypercolumns? Many sets of patterns, against published means of three."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neuromem import cues
from neuromem.backends import Backend
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, panels, write
from neuromem.models import bcpnn, hopfield, willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.theory.hypercolumns import capacity, first_step, fixed_point

FOLDER = Path(__file__).parent

N, H, ITERATIONS, LEVEL, SEEDS = 256, 16, 15, 0.9, 3  # the published protocol; its means are over 3 sets
PUBLISHED = {"hebb": 82, "covariance": 145, "willshaw": 195, "bcpnn": 276}
LABELS = {"hebb": "Hebb", "covariance": "covariance", "willshaw": "Willshaw", "bcpnn": "BCPNN"}
COLOURS = {"hebb": BLUE, "covariance": GREEN, "willshaw": ORANGE, "bcpnn": VERMILION}
MEMORIES = {
    "hebb": hopfield(n=N, hypercolumns=H, max_steps=ITERATIONS),
    "covariance": hopfield(n=N, rule="covariance", hypercolumns=H, max_steps=ITERATIONS),
    "willshaw": willshaw(n=N, hypercolumns=H, max_steps=ITERATIONS),
    "bcpnn": bcpnn(n=N, hypercolumns=H, max_steps=ITERATIONS),
}
# Numbers of patterns at which all that are stored are recalled: far enough on both sides for the spread of single sets.
LOADS = {"hebb": range(36, 121, 1), "covariance": range(112, 179, 1), "willshaw": range(171, 222, 3), "bcpnn": range(244, 309, 4)}


def curve(rule: str, loads: range, seed: int, backend: Backend) -> list[float]:
    """Return the fraction of patterns recalled exactly at each load, of nested sets: the first patterns of one stream."""
    rng = np.random.default_rng([seed, *rule.encode()])
    patterns = cues.random_winners(loads[-1], N, H, rng)
    partial = cues.move_winners(patterns, H, 1, rng)
    memory, stored, found = MatrixSession(MEMORIES[rule], backend, seed), 0, []
    for load in loads:
        memory.store(patterns[stored:load])
        stored = load
        found.append(float(memory.recall(partial[:load], graded=False).equals(patterns[:load]).mean()))
    return found


def largest(curve: np.ndarray, loads: range) -> int:
    """Return the largest load measured with more than 90 % exact: P90 of one set; 0 where there is none."""
    holds = np.flatnonzero(curve > LEVEL)
    return loads[holds[-1]] if holds.size else 0


def crossing(curve: np.ndarray, loads: range) -> float:
    """Return where the curve last falls below 90 %, between two loads."""
    last = int(np.flatnonzero(curve > LEVEL)[-1])
    if last + 1 == len(loads):
        return math.nan
    above, below = curve[last : last + 2]
    return float(loads[last] + (above - LEVEL) / (above - below) * loads.step)


def summary(rule: str, loads: range, curves: np.ndarray) -> dict[str, Any]:
    """Return P90 of the mean curve with its standard error (jackknife over sets), and of single sets mean, SD and that of means of 3."""
    sets = len(curves)
    mean = curves.mean(axis=0)
    at = crossing(mean, loads)
    without = np.array([crossing((mean * sets - one) / (sets - 1), loads) for one in curves])
    single = np.array([largest(one, loads) for one in curves], np.float64)
    spread = float(single.std(ddof=1))
    return {
        "crossing": at,
        "crossing_error": float(np.sqrt((sets - 1) / sets * np.square(without - without.mean()).sum())),
        "relative_to_published": at / PUBLISHED[rule] - 1,
        "single_mean": float(single.mean()),
        "single_sd": spread,
        "sd_of_mean_of_3": spread / math.sqrt(SEEDS),
        "published_off_by_sd": (PUBLISHED[rule] - float(single.mean())) / (spread / math.sqrt(SEEDS)),
        "single": [int(x) for x in single],
        "mean_curve": [round(float(x), 5) for x in mean],
    }


def theory(rule: str, loads: range) -> dict[str, Any]:
    """Return P90 of the first step and of fixed points, and the probabilities of both at some loads."""
    low, high = capacity(rule, H, N // H, 1, LEVEL)  # type: ignore[arg-type]
    grid = [int(m) for m in np.linspace(loads[0], loads[-1], 9).round()]
    return {
        "first_step": low,
        "fixed_point": high,
        "loads": grid,
        "first_step_curve": [first_step(rule, H, N // H, m, 1) for m in grid],  # type: ignore[arg-type]
        "fixed_point_curve": [fixed_point(rule, H, N // H, m) for m in grid],  # type: ignore[arg-type]
    }


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return P90 of each rule over many sets of patterns, beside theory."""
    sets = 6 if quick else 100
    found: dict[str, Any] = {}
    loads = {rule: range(r.start, r.stop, 3 * max(2, r.step)) if quick else r for rule, r in LOADS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)  # it is what this is about
        warnings.simplefilter("ignore", NotConvergedWarning)  # such an answer is taken as it is after 15 iterations
        for rule in LOADS:
            curves = np.array([curve(rule, loads[rule], seed, backend) for seed in range(sets)])
            found[rule] = summary(rule, loads[rule], curves)
    if not quick:
        found["theory"] = {rule: theory(rule, LOADS[rule]) for rule in LOADS}
        found["within_theory"] = all(
            row["first_step"] <= found[rule]["crossing"] <= row["fixed_point"] for rule, row in found["theory"].items()
        )
    return {
        "settings": {
            "n": N,
            "hypercolumns": H,
            "iterations": ITERATIONS,
            "moved": 1,
            "sets": sets,
            "loads": {rule: list(r) for rule, r in loads.items()},
        },
        "measured": found,
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the mean curves with theory, and single sets beside the published means."""
    measured, settings = results["measured"], results["settings"]
    figure, (ax, spread) = panels(
        "Published capacities of hypercolumns come out, within the scatter of means of three sets", (6.6, 4.6), 4.6
    )
    for rule, colour in COLOURS.items():
        loads, row = settings["loads"][rule], measured[rule]
        ax.plot(loads, [100 * x for x in row["mean_curve"]], color=colour, linewidth=1.8)
        if "theory" in measured:
            expected = measured["theory"][rule]
            lower, upper = ([100 * x for x in expected[f"{kind}_curve"]] for kind in ("first_step", "fixed_point"))
            ax.fill_between(expected["loads"], lower, upper, color=colour, alpha=0.15, linewidth=0)
        ax.plot([PUBLISHED[rule]], [100 * LEVEL], "v", color=colour, markersize=9, markeredgecolor="white", clip_on=False)
        ax.text(loads[0], 101, LABELS[rule], color=colour, fontsize=9)
    ax.axhline(100 * LEVEL, color=GREY, linewidth=0.8, linestyle="--")
    ax.plot([], [], color=GREY, linewidth=1.8, label=f"measured, mean of {settings['sets']} sets")
    ax.fill_between([], [], [], color=GREY, alpha=0.25, linewidth=0, label="theory: right after one step, to right if started right")
    ax.plot([], [], "v", color=GREY, markersize=9, markeredgecolor="white", linestyle="none", label="published P90, mean of 3 sets")
    ax.set(xlabel="patterns stored", ylabel="recalled exactly (%)", ylim=(20, 106), xlim=(30, 325), yticks=range(20, 101, 10))
    ax.legend(frameon=False, fontsize=8.5, loc="lower left")
    rng = np.random.default_rng(0)
    for at, (rule, colour) in enumerate(COLOURS.items()):
        row = measured[rule]
        single = np.array(row["single"]) / row["crossing"]
        spread.plot(at + rng.uniform(-0.22, 0.22, single.size), 100 * single, ".", color=colour, alpha=0.35, markersize=4)
        width = 196 * row["sd_of_mean_of_3"] / row["crossing"]
        centre = 100 * row["single_mean"] / row["crossing"]
        spread.errorbar(at, centre, yerr=width, color="black", capsize=5, linewidth=1.4, marker="_", zorder=3)
        spread.plot(at, 100 * PUBLISHED[rule] / row["crossing"], "v", color=colour, markersize=9, markeredgecolor="black", zorder=4)
    spread.axhline(100, color=GREY, linewidth=0.8, linestyle="--")
    spread.plot([], [], ".", color=GREY, label="P90 of one set", markersize=6)
    spread.errorbar([], [], yerr=[], color="black", capsize=4, marker="_", linestyle="none", label="95 % of means of 3")
    spread.plot([], [], "v", color=GREY, markeredgecolor="black", markersize=8, linestyle="none", label="published")
    spread.set(ylabel="P90 of a set / crossing of the mean curve (%)", xlim=(-0.5, 3.5))
    spread.set_xticks(range(4), [LABELS[rule] for rule in COLOURS])
    spread.legend(frameon=False, fontsize=8.5, loc="upper right")
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
