"""``neuromem import-nir``: what network is in a NIR graph, and what had to be assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_nir(
    file: Annotated[Path, typer.Argument(metavar="FILE.NIR", help="A NIR graph (HDF5).", show_default=False)],
    dt: Annotated[
        float | None, typer.Option("--dt", metavar="MS", help="The step, where the file does not say it.", show_default=False)
    ] = None,
) -> None:
    """Read a NIR graph and print its network, with what was assumed or not understood.

    In Python, neuromem.hardware_targets.nir.import_nir returns the network, which lowers and runs like any other.
    """
    from neuromem.hardware_targets.nir import import_nir as import_graph
    from neuromem.hardware_targets.nir import import_text

    print(import_text(import_graph(file, dt)), end="")
