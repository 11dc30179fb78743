"""Texts for operations in drawings, and which of them fit on a time axis without overlap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from neuromem.patterns import Pattern
from neuromem.runs.outcomes import Outcome

RIGHT_MARK, WRONG_MARK = "\N{CHECK MARK}", "\N{BALLOT X}"
MAX_UNITS, CUT_UNITS = 6, 4  # a pattern of more than the first is cut to the second, with its length


def pattern_text(active: Pattern, bare: bool = False) -> str:
    """Return ``{1,2}``; with ``bare`` a single unit is written without braces."""
    if bare and len(active) == 1:
        return str(active[0])
    if len(active) > MAX_UNITS:
        return f"{{{','.join(map(str, active[:CUT_UNITS]))},\N{HORIZONTAL ELLIPSIS} {len(active)} units}}"
    return f"{{{','.join(map(str, active))}}}"


def label_lines(outcome: Outcome) -> tuple[str, ...]:
    """Return the parts of an operation's label: what was asked, what came back, and where wrong what was expected."""
    operation, mark = outcome.operation, RIGHT_MARK if outcome.correct else WRONG_MARK
    given = {role: getattr(operation, role) or () for role in outcome.form.given}
    if operation.kind == "recall":
        asked = ", ".join(f"{role} {pattern_text(p, bare=role == 'cue')}" for role, p in given.items())
    else:
        asked = " = ".join(pattern_text(p, bare=role == "cue") for role, p in given.items())
    lines = [f"{mark} {operation.kind}", asked]
    wrong = [role for role, p in outcome.expected.items() if outcome.answer[role] != p]
    several = len(outcome.expected) > 1
    if operation.kind == "recall" or wrong:
        told = wrong or outcome.expected
        lines.append(
            "\N{RIGHTWARDS ARROW} " + ", ".join(f"{role if several else ''} {pattern_text(outcome.answer[role])}".strip() for role in told)
        )
    if wrong:
        lines.append("not " + ", ".join(pattern_text(outcome.expected[role]) for role in wrong))
    return tuple(lines)


def fits_across(widths: Sequence[float], starts: Sequence[float], end: float) -> bool:
    """Tell whether labels of these ``widths``, each beginning at its start, end before the next one starts."""
    stops = [*starts[1:], end][: len(starts)]
    return all(start + width <= stop for width, start, stop in zip(widths, starts, stops, strict=True))


def thin_out(centres: Sequence[float], first: Sequence[int], spacing: float) -> list[int]:
    """Return the labels, by number, that stand at least ``spacing`` apart; those in ``first`` are given room first."""
    taken: list[float] = []
    kept: list[int] = []
    for index in dict.fromkeys([*first, *range(len(centres))]):
        x = centres[index]
        at = bisect_left(taken, x)
        if (at and x - taken[at - 1] < spacing) or (at < len(taken) and taken[at] - x < spacing):
            continue
        taken.insert(at, x)
        kept.append(index)
    return sorted(kept)
