"""``neuromem export``: a memory with a protocol for a board, fitted, emulated and written as a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import read_request
from neuromem.errors import SpecError
from neuromem.targets import check_folder, target_named


def export(
    model: options.Model,
    target: Annotated[str, typer.Option("--target", metavar="spinnaker|nir", help="What to export to.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write.", show_default=False)] = None,
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    board: Annotated[str, typer.Option("--board", metavar="spinn3|spinn5", help="The kind of SpiNNaker board.")] = "spinn5",
    seed: options.Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and report; write nothing.")] = False,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
) -> None:
    """Export a protocol on a memory to a board, or its network to a format.

    For a SpiNNaker board: fitted to its limits, run in its arithmetic, and written as a package that needs no neuromem.
    """
    target_named(target)
    if out is None and not dry_run:
        raise typer.BadParameter("--out is missing; expected a folder to write to, or --dry-run.")
    request = read_request(model, set_ or [], protocol, unsafe_gaps)
    if not request.spiking:
        raise SpecError(
            f"{request.entry.name}: a memory without spikes; a board runs spikes: neuromem list shows spiking ones, some realised from such memories."
        )
    if out is not None:
        check_folder(out, force)
    from neuromem.exports.spinnaker import export_memory

    with ProgressBar() as progress:
        plan, _ = export_memory(request.memory, request.some_protocol(), board, seed, progress)
    print(plan.files["REPORT.md"].decode() if dry_run else summary(plan.files["REPORT.md"].decode()), end="")
    if out is not None and not dry_run:
        plan.write(out, force)
        print(f"{out}: {len(plan.files)} files, digest {plan.digest[:12]}; next: neuromem verify {out}")


def summary(report: str) -> str:
    """Return the first part of a report: what it is, what it takes, what to know, what is expected."""
    head, _, _ = report.partition("\n## Weights")
    return head.rstrip() + "\n"
