"""``neuromem import-recording``: a board's results as a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_run
from neuromem.cli.run import n_spikes
from neuromem.cli.table import print_table, rows_of


def import_recording(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that the export's run.py wrote.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN.ZARR", help="Keep it as a run.")] = None,
    package: Annotated[
        Path | None, typer.Option("--package", metavar="FOLDER", help="The export. Default: the folder around RESULTS.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="The memory, if it is from a file of your own: my_memory.py:build.", show_default=False
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Bring a board's results back: print what each operation came to, and keep the run."""
    if out is not None:
        check_run(out, force)
    from neuromem.exports.recordings import import_recording as import_results

    result = import_results(results, package, model)
    print_table(rows_of(result.memory, result.outcomes), sys.stdout)
    right = sum(o.correct for o in result.outcomes)
    print(
        f"{right} of {len(result.outcomes)} right; {n_spikes(result)[0]} spikes; digest {result.recording.program.digest[:12]}; {result.options['simulator']}"
    )
    if out is not None:
        from neuromem.api import save_run

        save_run(out, result, force=force)
        print(f"run: {out}")
