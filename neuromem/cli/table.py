"""The table of operations, for people: coloured and fitted on a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from neuromem.patterns import patterns_text
from neuromem.runs.outcomes import asked

if TYPE_CHECKING:
    from neuromem.runs.outcomes import Outcome
    from neuromem.spec.memory import MemoryModel

RIGHT, WRONG = "right", "WRONG"
COLUMNS = ("time ms", "kind", "asked", "came back", "expected", "verdict", "latency steps")
_NUMBERS, _PATTERNS, _VERDICT = (0, 6), (2, 3, 4), 5
_NARROWEST = 12  # of a pattern's column; longer patterns continue in the next line, between numbers


def rows_of(memory: MemoryModel, outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Return one row of texts for each outcome, in the order of ``COLUMNS``."""
    return [
        (
            f"{outcome.operation.at * memory.dt:g}",
            outcome.operation.kind,
            patterns_text(asked(outcome.operation)),
            patterns_text(outcome.answer),
            patterns_text(outcome.expected),
            RIGHT if outcome.correct else WRONG,
            "-" if outcome.latency is None else str(outcome.latency),
        )
        for outcome in outcomes
    ]


def print_table(rows: Sequence[tuple[str, ...]], file: IO[str]) -> None:
    """Print the rows: with colours and fitted columns if ``file`` is a terminal wide enough, else as plain text."""
    if file.isatty():
        from rich.console import Console

        console = Console(file=file, highlight=False)
        # Six gaps of two, and the longest words: below this, a number would be cut in two.
        least = 12 + sum(
            _NARROWEST if i in _PATTERNS else max(map(len, column)) for i, column in enumerate(zip(COLUMNS, *rows, strict=True))
        )
        if console.width >= least:
            _print_fitted(rows, console)
            return
    file.write(plain_table(rows))


def plain_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return the table as text: one line for each row, however long, columns two spaces apart."""
    return aligned([COLUMNS, *rows], right=_NUMBERS)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "") -> str:
    """Return rows of cells as lines of aligned columns; those numbered in ``right`` are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


def _print_fitted(rows: Sequence[tuple[str, ...]], console: object) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    assert isinstance(console, Console)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, name in enumerate(COLUMNS):
        pattern = i in _PATTERNS
        table.add_column(
            name,
            justify="right" if i in _NUMBERS else "left",
            no_wrap=not pattern,
            overflow="fold",
            min_width=_NARROWEST if pattern else None,
        )
    for row in rows:
        style = "green" if row[_VERDICT] == RIGHT else "bold red"
        table.add_row(*(Text(cell, style=style if i == _VERDICT else "") for i, cell in enumerate(row)))
    console.print(table)
