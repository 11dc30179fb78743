"""``neuromem verify``: an export on the board's own binaries, before a board is booked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from neuromem.cli.table import aligned

if TYPE_CHECKING:
    from neuromem.exports.verify import Verification
    from neuromem.hardware_targets.spinnaker.readback import Comparison

PARTS = (
    ("expectation", "the package against its emulation"),
    ("mapping", "sPyNNaker's mapping against the fit"),
    ("binaries", "the binaries against the emulation"),
)


def verify(
    package: Annotated[Path, typer.Argument(metavar="FOLDER", help="An export made by `neuromem export`.", show_default=False)],
    all_: Annotated[bool, typer.Option("--all", help="Print every comparison, not one line for each kind.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Map an export with sPyNNaker, run it on the board's unmodified binaries in an ARM emulator, and compare every bit.

    Exit status 0 only if all values are equal; 1 if any differs, or for an error; 130 after Ctrl-C.
    """
    from neuromem.exports.verify import verify as verify_package

    with Stages() as say:
        found = verify_package(package, say)
    if as_json:
        print(json.dumps(as_object(found), indent=1))
    else:
        print(text_of(found, all_), end="")
    if not found.equal:
        raise typer.Exit(1)


class Stages:
    """Shows what is being done: a line for each stage, and how far a run is, on a terminal only."""

    def __init__(self) -> None:
        self._last = ""

    def __enter__(self) -> Stages:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show a stage."""
        if sys.stderr.isatty():
            line = f"{what} {done} of {total}" if total > 1 else what
            print(f"\r{line:<{len(self._last)}}", end="", file=sys.stderr, flush=True)
            self._last = line

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._last:
            print(f"\r{' ' * len(self._last)}\r", end="", file=sys.stderr, flush=True)


def kinds(compared: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Return comparisons by kind: what stands behind the population's name."""
    found: dict[str, list[Comparison]] = {}
    for c in compared:
        found.setdefault(c.what.rpartition(": ")[2], []).append(c)
    return found


def text_of(found: Verification, every: bool) -> str:
    """Return all that was compared as text, with every difference."""
    lines = []
    for name, title in PARTS:
        compared = getattr(found, name)
        rows = []
        for what, group in ((c.what, [c]) for c in compared) if every else kinds(compared).items():
            off = [c for c in group if not c.equal]
            rows.append(
                (
                    what,
                    str(sum(c.values for c in group)),
                    "equal" if not off else f"{len(off)} of {len(group)} DIFFER" if len(group) > 1 else "DIFFERS",
                )
            )
        lines += [title, aligned(rows, right=(1,), indent="  ").rstrip("\n")]
        lines += [f"    {c.what}: {c.difference}" for c in compared if not c.equal]
    total = sum(c.values for name, _ in PARTS for c in getattr(found, name))
    return "\n".join([*lines, f"{total} values compared: {'all equal' if found.equal else 'NOT equal'}"]) + "\n"


def as_object(found: Verification) -> dict[str, object]:
    """Return all that was compared as what JSON holds."""
    parts = {
        name: [{"what": c.what, "values": c.values, "equal": c.equal, "difference": c.difference} for c in getattr(found, name)]
        for name, _ in PARTS
    }
    return {"equal": found.equal, **parts}
