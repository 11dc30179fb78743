"""Which memories complete a handwritten digit from its upper half? Digits are alike, and Hebb's rule cannot bear that."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.backends import Backend
from neuromem.errors import NeuromemError, NotConvergedWarning, OverloadWarning
from neuromem.experiments import command
from neuromem.experiments.digits_completion import images
from neuromem.experiments.digits_completion.picture import picture
from neuromem.experiments.figures import write
from neuromem.models import bcpnn, dense, hetero, hopfield, sequence, willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.spec import MemoryModel

FOLDER = Path(__file__).parent

LEVELS = 8  # grey levels of a pixel; "black and white" are 2
STORED = (10, 20, 50, 100, 200)
SHOWN = 50  # images that are stored where recalls are drawn
N_DRAWN = 8
PASSES = 50  # of the delta rule over all pairs
SEQUENCES = (10, 20, 30, 50)


@dataclass(frozen=True)
class Contender:
    """A memory of images: ``model(pixels, levels)``, and the code that it stores them in.

    ``bipolar``: a unit of -1 or 1 for each threshold of a pixel, the lower half blank (-1) in cues. ``one_hot``: a hypercolumn for
    each pixel, no unit of the lower half active. ``real``: as bipolar, of length 1, 0 in the lower half. ``key``: the upper half, of
    length 1, recalls the whole image.
    """

    label: str
    code: str
    model: Callable[[int, int], MemoryModel]
    passes: int = 1


def _asynchronous(rule: str) -> Callable[[int, int], MemoryModel]:
    return lambda p, q: hopfield(n=p * (q - 1), rule=rule, update="asynchronous")


def _delta(loss: str) -> Callable[[int, int], MemoryModel]:
    return lambda p, q: hetero(n=p // 2 * (q - 1), n_content=p * (q - 1), loss=loss)


CONTENDERS = {
    "hebb": Contender("Hopfield, Hebb", "bipolar", _asynchronous("hebb")),
    "covariance": Contender("Hopfield, covariance", "one_hot", lambda p, q: hopfield(n=p * q, rule="covariance", hypercolumns=p)),
    "storkey": Contender("Hopfield, Storkey", "bipolar", _asynchronous("storkey")),
    "pseudo_inverse": Contender("Hopfield, pseudo-inverse", "bipolar", _asynchronous("pseudo_inverse")),
    "willshaw": Contender("Willshaw", "one_hot", lambda p, q: willshaw(n=p * q, hypercolumns=p)),
    "bcpnn": Contender("BCPNN", "one_hot", lambda p, q: bcpnn(n=p * q, hypercolumns=p)),
    "dense_cubic": Contender("dense, cubic", "bipolar", lambda p, q: dense(n=p * (q - 1), power=3)),
    "dense_exponential": Contender("dense, exponential", "bipolar", lambda p, q: dense(n=p * (q - 1), interaction="exponential")),
    "dense_attention": Contender(
        "dense, attention", "real", lambda p, q: dense(n=p * (q - 1), interaction="softmax", units="real", beta=8 * (p * (q - 1)) ** 0.5)
    ),
    "hetero_hebb": Contender("key to value, Hebb", "key", _delta("dot")),
    "hetero_delta": Contender(f"key to value, delta, {PASSES} passes", "key", _delta("squared"), PASSES),
}


def complete(contender: Contender, pixels: np.ndarray, levels: int, backend: Backend) -> tuple[np.ndarray, np.ndarray]:
    """Store the images, and recall each from its upper half; return whether each is exact, (B,), and the pixels recalled."""
    b, p = pixels.shape
    memory = MatrixSession(contender.model(p, levels), backend)
    if contender.code == "one_hot":
        patterns = images.one_hot(pixels, levels)
        cues = patterns & (np.arange(patterns.shape[1]) < p // 2 * levels)
        memory.store(patterns)
        answer = memory.recall(cues, graded=False).answer
        return (answer == patterns).all(axis=1), answer.reshape(b, p, levels).argmax(axis=2)
    patterns = images.thermometer(pixels, levels)
    half = p // 2 * (levels - 1)
    if contender.code == "key":
        keys, values = patterns[:, :half] / half**0.5, patterns.astype(np.float64)
        memory.store(np.tile(keys, (contender.passes, 1)), np.tile(values, (contender.passes, 1)))
        answer = memory.recall(keys, graded=False).answer
    else:
        unit, unknown = (patterns.shape[1] ** -0.5, 0) if contender.code == "real" else (1, -1)
        cues = patterns.copy()
        cues[:, half:] = unknown
        memory.store(patterns * unit)
        answer = memory.recall(cues * unit, graded=False).answer
    # Thresholds of a pixel that contradict each other still count as the grey level of as many.
    return ((answer > 0) == (patterns > 0)).all(axis=1), (answer > 0).reshape(b, p, levels - 1).sum(axis=2)


def played(backend: Backend, pixels: np.ndarray, levels: int, rule: str) -> tuple[dict[str, int], np.ndarray]:
    """Store the images as one sequence, recall it from the upper half of its first; return the count of wrong ones, and the pixels recalled."""
    b, p = pixels.shape
    clipped = rule == "clipped"
    patterns = images.one_hot(pixels, levels) if clipped else images.thermometer(pixels, levels)
    memory = MatrixSession(sequence(n=patterns.shape[1], rule=rule, k=p if clipped else None), backend)
    memory.store(patterns)
    start = patterns[0].copy()
    start[start.size // 2 :] = 0 if clipped else -1
    found = memory.recall_sequence(start, b - 1)
    wrong = int((found != patterns[1:]).any(axis=1).sum())
    units = found.reshape(b - 1, p, -1)
    return {"wrong": wrong, "of": b - 1}, units.argmax(axis=2) if clipped else (units > 0).sum(axis=2)


def likeness(pixels: np.ndarray, levels: int) -> float:
    """Return the mean overlap of two different images in bipolar code: 0 for independent patterns, 1 for equal ones."""
    x = images.thermometer(pixels, levels).astype(np.float64)
    return float(((x @ x.T / x.shape[1])[~np.eye(len(x), dtype=bool)]).mean())


def most(rates: dict[str, dict[str, int]]) -> int:
    """Return the largest number of stored images of which more than 90 % are recalled exactly, of the numbers tried; 0 for none."""
    good = [int(stored.split("_")[1]) for stored, rate in rates.items() if rate["wrong"] < 0.1 * rate["of"]]
    return max(good, default=0)


def measure(backend: Backend, quick: bool, ink: np.ndarray | None = None, source: str = "Digits") -> dict[str, Any]:
    """Return wrong recalls and errors of pixels of each memory by the number of images stored, for two codes; and recalled images."""
    stored = STORED[:2] if quick else STORED
    ink = images.digits() if ink is None else ink
    found: dict[str, Any] = {}
    recalled: dict[str, list[list[int]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)  # it is what this is about
        warnings.simplefilter("ignore", NotConvergedWarning)  # such an answer is not exact
        for code, levels in (("grey", LEVELS), ("black_and_white", 2)):
            pixels = images.grey_levels(ink, levels)
            sizes = sorted({min(m, len(pixels)) for m in stored})
            drawn = max(m for m in sizes if m <= max(SHOWN, sizes[0]))
            wrong: dict[str, dict[str, dict[str, int]]] = {name: {} for name in CONTENDERS}
            error: dict[str, dict[str, float]] = {name: {} for name in CONTENDERS}
            for name, contender in CONTENDERS.items():
                for m in sizes:
                    exact, answer = complete(contender, pixels[:m], levels, backend)
                    wrong[name][f"stored_{m}"] = {"wrong": int((~exact).sum()), "of": m}
                    off = np.abs(answer - pixels[:m])[:, pixels.shape[1] // 2 :] / (levels - 1)
                    error[name][f"stored_{m}"] = float(off.mean())
                    if code == "grey" and m == drawn:
                        recalled[name] = answer[:N_DRAWN].tolist()
            found[code] = {
                "wrong": wrong,
                "error_of_hidden_pixels": error,
                "most_stored": {name: most(wrong[name]) for name in CONTENDERS},
                "likeness": likeness(pixels[: sizes[-1]], levels),
            }
            if code == "grey":
                recalled["truth"] = pixels[:N_DRAWN].tolist()
                recalled["sequence"] = [[], *played(backend, pixels[: SEQUENCES[0]], levels, "clipped")[1][: N_DRAWN - 1].tolist()]
                lengths = sorted({min(m, len(pixels)) for m in (SEQUENCES[:1] if quick else SEQUENCES)})
                found["sequence"] = {
                    rule: {f"length_{m}": played(backend, pixels[:m], levels, rule)[0] for m in lengths} for rule in ("clipped", "hebb")
                }
                shown_stored = drawn
    return {
        "settings": {
            "source": source,
            "shape": list(ink.shape[1:]),
            "levels": LEVELS,
            "stored": sizes,
            "passes": PASSES,
            "shown_stored": shown_stored,
        },
        "measured": found,
        "recalled": recalled,
        "labels": {name: contender.label for name, contender in CONTENDERS.items()} | {"sequence": f"sequence of {lengths[0]}, clipped"},
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw cues, recalls and truth, and how many are exact."""
    write(picture(results), path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a command; images of a folder have no claims to be compared with."""
    extra = argparse.ArgumentParser(add_help=False)
    extra.add_argument("--images", type=Path, metavar="FOLDER", help="store the images of this folder in place of the digits")
    folder = extra.parse_known_args(argv)[0].images
    if folder is None:
        return command.main(FOLDER, measure, draw, argv, (extra,))
    try:
        ink = images.images_of(folder)
    except NeuromemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return command.main(FOLDER, partial(measure, ink=ink, source=f"Images of {folder.name}"), draw, argv, (extra,), claims=False)


if __name__ == "__main__":
    raise SystemExit(main())
