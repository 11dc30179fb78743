"""``neuromem export``: a memory with a protocol for a board, fitted, emulated and written as a package; or its network, frozen, as a NIR graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_file
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import Request, read_request
from neuromem.errors import SpecError, nearest
from neuromem.targets import check_folder, target_named

Constants = Literal["euler", "continuous"]


def export(
    model: options.Model,
    target: Annotated[str, typer.Option("--target", metavar="spinnaker|nir", help="What to export to.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER|FILE.NIR", help="Where to write: a folder for a board, a file for NIR.", show_default=False),
    ] = None,
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    board: Annotated[str, typer.Option("--board", metavar="spinn3|spinn5", help="The kind of SpiNNaker board.")] = "spinn5",
    constants: Annotated[
        str, typer.Option("--constants", metavar="euler|continuous", help="Of a NIR graph: for forward-Euler readers, or the cells' own.")
    ] = "euler",
    seed: options.Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and report; write nothing.")] = False,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
) -> None:
    """Export a protocol on a memory to a board, or its network to a format.

    For a SpiNNaker board: fitted to its limits, run in its arithmetic, and written as a package that needs no neuromem.
    As NIR: the network as the protocol leaves it, its weights frozen, with a list of what NIR does not carry.
    """
    target_named(target)
    if out is None and not dry_run:
        raise typer.BadParameter("--out is missing; expected a folder to write to, or --dry-run.")
    request = read_request(model, set_ or [], protocol, unsafe_gaps)
    if not request.spiking:
        raise SpecError(
            f"{request.entry.name}: a memory without spikes; a board runs spikes: neuromem list shows spiking ones, some realised from such memories."
        )
    if target == "nir":
        _export_nir(request, out, constants, seed, dry_run, force)
        return
    if out is not None:
        check_folder(out, force)
    from neuromem.exports.spinnaker import export_memory

    with ProgressBar() as progress:
        plan, _ = export_memory(request.memory, request.some_protocol(), board, seed, progress)
    print(plan.files["REPORT.md"].decode() if dry_run else summary(plan.files["REPORT.md"].decode()), end="")
    if out is not None and not dry_run:
        plan.write(out, force)
        print(f"{out}: {len(plan.files)} files, digest {plan.digest[:12]}; next: neuromem verify {out}")


def _export_nir(request: Request, out: Path | None, constants: str, seed: int, dry_run: bool, force: bool) -> None:
    if constants not in get_args(Constants):
        raise SpecError(f"--constants {constants}: expected euler or continuous{nearest(constants, get_args(Constants))}.")
    if out is not None:
        check_file(out, force)
    from neuromem.api import run
    from neuromem.hardware_targets.nir import export_nir, manifest_text

    with ProgressBar() as progress:
        recording = run(request.memory, request.some_protocol(), seed=seed, progress=progress).recording
    weights = {p.name: recording.weights[p.name] for p in recording.program.plastic}
    exported = export_nir(recording.program, weights, constants)  # type: ignore[arg-type]
    print(manifest_text(exported.manifest), end="")
    if out is not None and not dry_run:
        exported.write(out, force)
        print(f"{out}: {len(exported.content)} bytes, weights as protocol {request.some_protocol().name} leaves them")


def summary(report: str) -> str:
    """Return the first part of a report: what it is, what it takes, what to know, what is expected."""
    head, _, _ = report.partition("\n## Weights")
    return head.rstrip() + "\n"
