"""What the tests of the command line share: run it in this process, and compare with a stored text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from neuromem.cli.main import app

GOLDEN = Path(__file__).parent / "golden"
TRACE = Path(__file__).parent / "data" / "ca3_cam_functional_trace.csv"  # recorded on a SpiNNaker board by the memory's authors


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


def say(*arguments: str) -> Said:
    """Run ``neuromem`` with these arguments; an exception that is no exit is the test's."""
    result = CliRunner().invoke(app, list(arguments), prog_name="neuromem")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def golden(name: str) -> str:
    """Return a stored text."""
    return (GOLDEN / name).read_text("utf-8")


def without_seconds(text: str) -> str:
    """Return the summary line without the time that the run took."""
    return re.sub(r"; [0-9.]+ s$", "; # s", text, flags=re.MULTILINE)
