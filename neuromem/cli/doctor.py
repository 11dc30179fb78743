"""``neuromem doctor``: is this machine ready, and what to type if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from neuromem.cli.checkup import Finding


def doctor() -> None:
    """Look at Python, packages, compilers and backends; say what to type to mend what is wrong.

    Exit status 1 only if something is broken that neuromem cannot do without.
    """
    from neuromem.cli.checkup import Machine, checkup

    findings = list(checkup(Machine()))
    print(report(findings), end="")
    if any(f.broken for f in findings):
        raise typer.Exit(1)


def report(findings: Sequence[Finding]) -> str:
    """Return the findings as text, each with what to type below it, and the verdict in the last line."""
    width = max(len(f.subject) for f in findings)
    lines = []
    for f in findings:
        lines.append(f"{f.state:<7}  {f.subject:<{width}}  {f.text}")
        if f.remedy:
            lines.append(f"{'':7}  {'':{width}}  type: {f.remedy}")
    broken = [f.subject for f in findings if f.broken]
    verdict = f"neuromem cannot work until this is mended: {', '.join(broken)}." if broken else "neuromem can work."
    return "\n".join([*lines, "", verdict]) + "\n"
