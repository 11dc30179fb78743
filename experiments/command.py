"""What the command lines of all experiments share: options, files written, the table of verdicts."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neuromem.backends import Backend, load_backend
from neuromem.errors import NeuromemError, StoreError
from neuromem.experiments.expected import Verdict, compare

Measure = Callable[[Backend, bool], dict[str, Any]]
"""(backend, quick) -> ``{"settings": ..., "measured": ...}``, made of what JSON holds."""

Draw = Callable[[dict[str, Any], Path], None]
"""(results, path) -> writes a PNG there."""

RESULTS, FIGURE = "results.json", "figure.png"


def perform(folder: Path, measure: Measure, backend: Backend, quick: bool, claims: bool = True) -> dict[str, Any]:
    """Return the results of the experiment in ``folder``, with one verdict for each claim of its ``expected.toml``, if ``claims``."""
    found = json.loads(json.dumps(measure(backend, quick)))  # the very values that a reader of the file gets
    verdicts = compare(found["measured"], folder / "expected.toml", quick) if claims else ()
    return {
        "experiment": folder.name,
        "quick": quick,
        "backend": backend.name,
        "versions": backend.versions(),
        **found,
        "verdicts": [dataclasses.asdict(v) for v in verdicts],
    }


def write(results: dict[str, Any], draw: Draw, out: Path, force: bool = False) -> None:
    """Write ``results.json`` and ``figure.png`` into the folder ``out``.

    Raises ``StoreError`` when one of them is there already, unless ``force``.
    """
    for name in (RESULTS, FIGURE):
        if (out / name).exists() and not force:
            raise StoreError(f"{out / name}: it is there already; expected a new file (choose another --out, or overwrite with --force).")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / RESULTS).write_text(_readable(results) + "\n", encoding="utf-8")
        draw(results, out / FIGURE)
    except OSError as error:
        raise StoreError(f"{out}: {error.strerror}; expected a folder that can be written (choose another with --out).") from error


def _readable(results: dict[str, Any]) -> str:
    """Return JSON with a line for each entry, and lists and tables of plain values on one line."""
    text = json.dumps(results, indent=1)
    return re.sub(r"[\[{][^\[\]{}\"]*(?:\"\w+\": [^\[\]{}\"]*)*[\]}]", lambda part: " ".join(part.group().split()), text)


def table(results: dict[str, Any]) -> str:
    """Return the verdicts as text, one line for each claim."""
    verdicts = [Verdict(**v) for v in results["verdicts"]]
    rows = [("claim", "expected", "measured", "")]
    rows += [(v.name, v.expected, v.measured, "agrees" if v.agrees else "DIFFERS") for v in verdicts]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def main(
    folder: Path,
    measure: Measure,
    draw: Draw,
    argv: Sequence[str] | None = None,
    parents: Sequence[argparse.ArgumentParser] = (),
    claims: bool = True,
) -> int:
    """Run the experiment in ``folder`` as a command; return its exit status: 0, or 2 after an error in its use.

    ``parents`` have options of its own. Without ``claims``, nothing is compared with ``expected.toml``: other data have no claims.
    """
    parser = argparse.ArgumentParser(prog=f"python -m neuromem.experiments.{folder.name}.run", parents=list(parents))
    parser.add_argument("--quick", action="store_true", help="a small version that takes seconds; its rates are coarse")
    parser.add_argument("--backend", default="cpu", help="reference, cpu or brian2 (default: cpu)")
    parser.add_argument("--out", type=Path, default=Path(folder.name), help=f"folder for {RESULTS} and {FIGURE} (default: ./{folder.name})")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    options = parser.parse_args(argv)
    try:
        results = perform(folder, measure, load_backend(options.backend), options.quick, claims)
        write(results, draw, options.out, options.force)
    except NeuromemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if claims:
        print(table(results))
    print(f"written: {options.out / RESULTS}, {options.out / FIGURE}")
    return 0
