"""``neuromem run`` of a memory without spikes: a trial, the table of its answers, and a picture of them."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromem.cli.outputs import check_picture, free_name, whole_file
from neuromem.cli.profile import profiled
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import Request, default_picture
from neuromem.cli.table import aligned
from neuromem.errors import NotConvergedWarning, OverloadWarning, SpecError

if TYPE_CHECKING:
    from neuromem.runs.trial import TrialResult

MAX_ROWS = 20
"""Longer tables are cut: wrong answers are shown first."""


def run_trial_of(
    request: Request,
    backend: str,
    codegen: str | None,
    seed: int,
    picture: Path | None,
    no_picture: bool,
    force: bool,
    as_json: bool,
    profile: bool,
    plain: Callable[[object], object],
) -> None:
    """Run the trial of a request, print what came back, and draw it; ``plain`` puts parameters into what JSON holds."""
    trial, default = request.some_trial(), None
    if picture is not None:
        check_picture(picture, force)
    elif not no_picture and not as_json:
        default = free_name(default_picture(request.memory.name, trial.name), force, "--raster FILE to draw elsewhere, or --no-raster")
    from neuromem.runs.trial import run_trial

    began = time.perf_counter()
    with profiled(profile), warnings_as_lines(), ProgressBar() as progress:
        options = {} if codegen is None else {"codegen": codegen}
        result = run_trial(request.memory, trial, backend, seed, progress, **options)
    seconds = time.perf_counter() - began
    if as_json:
        print(json.dumps(as_object(result, seed), indent=1, default=plain))
    else:
        print(trial_table(result), end="")
        print(f"{result.summary()}; {seconds:.2f} s")
    sys.stdout.flush()  # the table is read while the picture is drawn
    if picture is not None:
        _draw(result, picture, force)
    if default is not None:
        _draw(result, default, force)
        print(f"picture: {default}")


def refuse_spike_files(**given: Path | None) -> None:
    """Raise ``SpecError`` for outputs (option -> path) that hold spikes and their times, of which there are none."""
    for option, path in given.items():
        if path is not None:
            raise SpecError(f"--{option} {path}: the memory has no spikes to keep; expected --json, which prints all that came back.")


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print what neuromem warns of as lines ``note: ...`` on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        for category in (NotConvergedWarning, OverloadWarning):
            warnings.simplefilter("always", category)
        yield
    for warning in caught:
        if issubclass(warning.category, NotConvergedWarning | OverloadWarning):
            print(f"note: {warning.message}", file=sys.stderr)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _draw(result: TrialResult, path: Path, force: bool) -> None:
    from neuromem.analysis.recall_picture import draw_recall

    with whole_file(path, force) as part:
        draw_recall(result, part)


def trial_table(result: TrialResult) -> str:
    """Return a line for each cue, or for ``MAX_ROWS`` of them, and how many are left out; of a sequence, first how it was recalled."""
    n, r, overlap = result.exact.size, result.recalled, result.overlap
    shown = np.sort(np.argsort(result.exact, kind="stable")[:MAX_ROWS])  # wrong answers first, in the order of their numbers
    head = (
        ("pattern", "squared error in cue", "in answer", "nearest", "overlap with pattern", "steps", "margin", "converged")
        if result.real
        else ("pattern", "wrong units in cue", "in answer", "exact", "overlap with pattern", "steps", "margin", "converged")
    )
    first = result.session.program.lag  # a sequence's first pattern is given
    rows = [
        (
            str(i + first),
            _number(result.cue_errors[i], ".3g"),
            _number(result.errors[i], ".3g" if result.real else ".0f"),
            "yes" if result.exact[i] else "NO",
            _number(overlap[i], ".3f"),
            str(r.steps[i]),
            _number(r.margin[i], ".3f"),
            "yes" if r.converged[i] else "NO",
        )
        for i in shown
    ]
    text = aligned([head, *rows], right=(0, 1, 2, 4, 5, 6))
    if first:
        text = f"{n + 1} patterns stored in order; the cue of pattern 1 is pattern 0 with the trial's errors, of each other the answer before\n{text}"
    if shown.size < n:
        right = int(result.exact.sum() - result.exact[shown].sum())
        text += (
            f"... and {n - shown.size} more, {right} of them {'nearest to their own pattern' if result.real else 'exact'} (all: --json)\n"
        )
    return text


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(float(value) + 0.0, form)  # + 0.0: no -0


def as_object(result: TrialResult, seed: int) -> dict[str, Any]:
    """Return the result as what JSON holds; everything in it is the same each time."""
    r, first, overlap = result.recalled, result.session.program.lag, result.overlap
    return {
        "model": result.memory.name,
        "parameters": dict(result.memory.parameters),
        "protocol": result.trial.name,
        "trial": {f.name: getattr(result.trial, f.name) for f in dataclasses.fields(result.trial) if f.name != "name"},
        "backend": result.session.backend,
        "seed": seed,
        "digest": result.session.program.digest,
        "n_exact": int(result.exact.sum()),
        "mean_error": float(result.errors.mean()),
        "correct": bool(result.exact.all()),
        "converged": bool(r.converged.all()),
        "answers": [
            {
                "pattern": i + first,
                "cue_error": _json_number(result.cue_errors[i]),
                "error": _json_number(result.errors[i]),
                "exact": bool(result.exact[i]),
                "steps": int(r.steps[i]),
                "overlap": _json_number(overlap[i]),
                "cue_overlap": _json_number(r.cue_overlap[i]),
                "margin": _json_number(r.margin[i]),
                "converged": bool(r.converged[i]),
            }
            for i in range(result.exact.size)
        ],
    }


def _json_number(value: np.generic) -> float | int | None:
    number = value.item()
    return None if isinstance(number, float) and not math.isfinite(number) else number
