"""What do the rules of key -> value memories differ in? The error of plain Hebb, overwritten keys, correlated keys, and where delta loses."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.backends import Backend
from neuromem.errors import OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, panels, write
from neuromem.models import hetero
from neuromem.runs.matrix_session import MatrixSession

FOLDER = Path(__file__).parent

SIZES = (64, 128, 256)  # d, of keys and of values
LOADS = (0.125, 0.25, 0.5, 1.0, 2.0)  # n / d
HEADS = (1, 2, 4, 8)
ASSIGNMENTS = (1, 2, 4, 8, 16, 32)
COSINES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
D, D_RANDOM = 64, 128  # of the overwritten and the correlated keys; of the random ones
N_OVERWRITTEN, N_CORRELATED, PASSES = 16, 32, 10
PAIRS = 200_000  # of keys that each error is a mean over: the squared cosine of two keys varies by sqrt(2) times its mean


def key(name: str, x: float) -> str:
    """Return the name of a measured entry; names in claims are joined by dots, so it has none."""
    return f"{name}_{x}".replace(".", "_")


def directions(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Return ``n`` random vectors of length 1, (n, d)."""
    rows = rng.standard_normal((n, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def memory_of(backend: Backend, d: int, loss: str) -> MatrixSession:
    """Return an empty memory: plain Hebb (``dot``) or delta (``squared``), at rate 1."""
    return MatrixSession(hetero(n=d, loss=loss), backend)


def store(memory: MatrixSession, keys: np.ndarray, values: np.ndarray, passes: int = 1) -> None:
    """Store the pairs in order, ``passes`` times over; more than the memory bears, where that is the question."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)
        memory.store(np.tile(keys, (passes, 1)), np.tile(values, (passes, 1)))


def answers(memory: MatrixSession, keys: np.ndarray) -> np.ndarray:
    """Return what is recalled with each key, (n, d)."""
    return np.asarray(memory.recall(keys, graded=False).answer, np.float64)


def wrong(found: np.ndarray, candidates: np.ndarray, right: np.ndarray) -> int:
    """Return how many of ``found`` are decoded wrongly: the candidate with the largest dot product is not number ``right``."""
    return int(((found @ candidates.T).argmax(axis=1) != right).sum())


def hebb_error(backend: Backend, d: int, n: int, heads: int, pairs: int) -> float:
    """Return the mean of |y_j - v_j|^2, where y is the mean answer of ``heads`` memories with keys of their own."""
    errors = []
    for seed in range(max(20, -(-pairs // (n * (n - 1) // 2)))):
        rng = np.random.default_rng([seed, d, n, heads])
        values, total = directions(rng, n, d), np.zeros((n, d))
        for _ in range(heads):
            keys, memory = directions(rng, n, d), memory_of(backend, d, "dot")
            store(memory, keys, values)
            total += answers(memory, keys)
        errors.append(np.square(total / heads - values).sum(axis=1).mean())
    return float(np.mean(errors))


def overwrite(backend: Backend, loss: str, assignments: int, seeds: int) -> dict[str, int]:
    """Assign 16 keys ``assignments`` times; decode what they recall among all values ever assigned."""
    count = 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, assignments])
        keys, values = directions(rng, N_OVERWRITTEN, D), directions(rng, N_OVERWRITTEN * assignments, D)
        memory = memory_of(backend, D, loss)
        store(memory, np.tile(keys, (assignments, 1)), values)
        latest = np.arange(len(values) - N_OVERWRITTEN, len(values))
        count += wrong(answers(memory, keys), values, latest)
    return {"wrong": count, "of": seeds * N_OVERWRITTEN}


def correlated(backend: Backend, loss: str, cosine: float, passes: int, seeds: int) -> dict[str, int]:
    """Store 32 keys that have ``cosine`` in common, ``passes`` times over."""
    count = 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, round(100 * cosine)])
        *own, common = np.linalg.qr(rng.standard_normal((D, N_CORRELATED + 1)))[0].T
        keys = np.sqrt(cosine) * common + np.sqrt(1 - cosine) * np.array(own)  # cosine of any two: exactly that
        values, memory = directions(rng, N_CORRELATED, D), memory_of(backend, D, loss)
        store(memory, keys, values, passes)
        count += wrong(answers(memory, keys), values, np.arange(N_CORRELATED))
    return {"wrong": count, "of": seeds * N_CORRELATED}


def random_keys(backend: Backend, loss: str, d: int, n: int, passes: int, seeds: int) -> dict[str, int]:
    """Store n random keys ``passes`` times over, and decode among all values."""
    count = 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, d, n])
        keys, values, memory = directions(rng, n, d), directions(rng, n, d), memory_of(backend, d, loss)
        store(memory, keys, values, passes)
        count += wrong(answers(memory, keys), values, np.arange(n))
    return {"wrong": count, "of": seeds * n}


def others_at_half(sizes: Sequence[int], errors: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return, for each d, the number of *other* pairs, n - 1, at which the error is 1/2, between the loads measured."""
    found = {}
    for d in sizes:
        by_load = errors[f"d_{d}"]
        found[f"d_{d}"] = float(np.interp(0.5, [by_load[key("load", x)] for x in LOADS], [x * d - 1 for x in LOADS]))
    return found


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the exponent of ``y ~ x^slope``."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def largest_decoded(backend: Backend, d: int, seeds: int) -> float:
    """Return the number of pairs at which plain Hebb still has 95 % decoded rightly, between two sizes 5 % apart."""
    n, before = d, (float(d), 1.0)
    while True:
        count = random_keys(backend, "dot", d, n, 1, seeds)
        right = 1 - count["wrong"] / count["of"]
        if right < 0.95:
            return float(np.interp(-0.95, [-before[1], -right], [before[0], n]))
        n, before = round(n * 1.05) + 1, (float(n), right)


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return errors of plain Hebb, and counts of wrongly decoded answers of Hebb and delta."""
    pairs, seeds = (10_000, 10) if quick else (PAIRS, 100)
    sizes = SIZES[:2] if quick else SIZES
    errors = {f"d_{d}": {key("load", x): hebb_error(backend, d, round(x * d), 1, pairs) for x in LOADS} for d in sizes}
    deviations = [errors[f"d_{d}"][key("load", x)] / ((round(x * d) - 1) / d) - 1 for d in sizes for x in LOADS]
    by_heads = {f"heads_{h}": hebb_error(backend, D, D // 2 + 1, h, pairs // 2) for h in HEADS}
    half = others_at_half(sizes, errors)
    rewritten = {
        loss: {f"u_{u}": overwrite(backend, loss, u, seeds) for u in (ASSIGNMENTS[:3] if quick else ASSIGNMENTS)}
        for loss in ("dot", "squared")
    }
    chance = {u: 1 - row["wrong"] / row["of"] for u, row in ((int(k[2:]), row) for k, row in rewritten["dot"].items()) if u > 1}
    cosines = (0.0, 0.6) if quick else COSINES
    together = {
        name: {key("cosine", c): correlated(backend, loss, c, passes, -(-seeds // 2)) for c in cosines}
        for name, loss, passes in (("hebb", "dot", 1), ("delta_1_pass", "squared", 1), ("delta_10_passes", "squared", PASSES))
    }
    loads = (2.0,) if quick else (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
    random = {
        name: {key("load", x): random_keys(backend, loss, D_RANDOM, round(x * D_RANDOM), passes, -(-seeds // 5)) for x in loads}
        for name, loss, passes in (("hebb", "dot", 1), ("delta_1_pass", "squared", 1))
    }
    decoded = {} if quick else {f"d_{d}": largest_decoded(backend, d, 10) for d in (32, 64, 128)}
    found: dict[str, Any] = {
        "hebb_error": errors,
        "worst_deviation": max(map(abs, deviations)),
        "others_at_error_half": half,
        "others_at_error_half_exponent": slope(sizes, list(half.values())),
        "heads": by_heads,
        "worst_deviation_of_heads": max(abs(by_heads[f"heads_{h}"] * h / by_heads["heads_1"] - 1) for h in HEADS),
        "overwrite": {"hebb": rewritten["dot"], "delta": rewritten["squared"]},
        "overwrite_hebb_exponent": slope(list(chance), list(chance.values())),
        "overwrite_hebb_at_2": chance[2],
        "correlated": together,
        "correlated_hebb_at_0_6": right_of(together["hebb"]["cosine_0_6"]),
        "correlated_delta_at_0_6": right_of(together["delta_10_passes"]["cosine_0_6"]),
        "random": random,
        "random_hebb_at_2": right_of(random["hebb"]["load_2_0"]),
    }
    if decoded:
        found |= {"n95": decoded, "n95_exponent": slope((32, 64, 128), list(decoded.values()))}
    return {
        "settings": {
            "sizes": list(sizes),
            "loads": list(LOADS),
            "pairs": pairs,
            "seeds": seeds,
            "d": D,
            "d_random": D_RANDOM,
            "rate": 1.0,
            "passes": PASSES,
        },
        "measured": found,
    }


def right_of(count: dict[str, int]) -> float:
    """Return the fraction decoded rightly."""
    return 1 - count["wrong"] / count["of"]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw measured points beside theory: errors, overwritten keys, correlated keys, random keys."""
    measured, settings = results["measured"], results["settings"]
    figure, (error, again, cosine, random) = panels(
        "Delta overwrites, and separates correlated keys; plain Hebb holds more random ones in one pass", (3.9,) * 4, 4.4
    )

    n = np.geomspace(2, 2 * D, 60)
    for heads, colour in zip(HEADS, (BLUE, SKY, GREEN, PURPLE), strict=True):
        error.plot(n / D, (n - 1) / D / heads, color=colour, linewidth=1)
        error.plot([(D // 2 + 1) / D], [measured["heads"][f"heads_{heads}"]], "D", color=colour, markersize=7, markerfacecolor="none")
        error.text(2.15, (2 * D - 1) / D / heads, f"{heads} head{'s' * (heads > 1)}", color=colour, fontsize=8, va="center")
    for d, marker in zip(settings["sizes"], "os^", strict=False):
        row = measured["hebb_error"][f"d_{d}"]
        error.plot(LOADS, [row[key("load", x)] for x in LOADS], marker, color=BLUE, markersize=4, label=f"d = {d}")
    error.plot([], [], "D", color=GREY, markersize=7, markerfacecolor="none", label=f"d = {D}, by heads")
    error.plot([], [], color=GREY, linewidth=1, label="(n - 1) / (d heads)")
    error.set(
        xscale="log", yscale="log", xlabel="pairs per component, n / d", ylabel="mean |y - v|²", title="plain Hebb: error", xlim=(0.1, 6)
    )
    error.set_ylim(0.009, 25)
    error.set_xticks([0.125, 0.25, 0.5, 1, 2], ["1/8", "1/4", "1/2", "1", "2"], minor=False)
    error.minorticks_off()

    def lines(ax: Any, rows: dict[str, dict[str, dict[str, int]]], styles: dict[str, tuple[str, str, str]]) -> None:
        for name, (label, colour, marker) in styles.items():
            x = [float(word.split("_", 1)[1].replace("_", ".")) for word in rows[name]]
            ax.plot(
                x, [100 * right_of(count) for count in rows[name].values()], marker, color=colour, markersize=5, linewidth=1, label=label
            )
        ax.set(ylabel="answers decoded rightly (%)", ylim=(-3, 104))

    lines(again, measured["overwrite"], {"delta": ("delta", VERMILION, "o-"), "hebb": ("plain Hebb", BLUE, "s-")})
    u = np.geomspace(1, 32, 40)
    again.plot(u, 100 / u, color=GREY, linewidth=1, linestyle=":", label="1 / u")
    again.set(xscale="log", xlabel="times each of 16 keys was assigned, u", title="overwritten keys: the latest value")
    again.set_xticks(list(ASSIGNMENTS), [str(a) for a in ASSIGNMENTS], minor=False)
    again.minorticks_off()
    styles = {
        "delta_10_passes": ("delta, 10 passes", VERMILION, "o-"),
        "delta_1_pass": ("delta, 1 pass", ORANGE, "^-"),
        "hebb": ("plain Hebb", BLUE, "s-"),
    }
    lines(cosine, measured["correlated"], styles)
    cosine.set(xlabel="cosine of any two of 32 keys", title="correlated keys")
    lines(random, measured["random"], {name: styles[name] for name in ("hebb", "delta_1_pass")})
    random.set(xlabel=f"pairs per component, n / d (d = {D_RANDOM})", title="random keys")
    for ax in (error, again, cosine, random):
        ax.title.set_fontsize(10)
    error.legend(frameon=False, fontsize=8, loc="upper left")
    again.legend(frameon=False, fontsize=8, loc="center right")
    cosine.legend(frameon=False, fontsize=8, loc="lower left")
    random.legend(frameon=False, fontsize=8, loc="lower left")
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
