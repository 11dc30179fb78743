"""``neuromem compile``: what a backend runs, compiled where there may be no GPU, for the machine that has one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import read_request


def compile_model(
    model: options.Model,
    backend: Annotated[str, typer.Option("--backend", metavar="brian2cuda", help="What is to run it.", show_default=False)],
    arch: Annotated[
        list[str],
        typer.Option("--arch", metavar="SM", help="The GPU's architecture, such as sm_90; may be given many times.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to write.", show_default=False)],
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    seed: options.Seed = 0,
    no_nvcc: Annotated[bool, typer.Option("--no-nvcc", help="Generate the code; do not compile it.")] = False,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
) -> None:
    """Compile a protocol on a memory for a GPU, on a machine that needs none.

    The folder has the sources, the program, and a README that says how to run it. Exit status 130 after Ctrl-C.
    """
    from neuromem.exports.compile import Work, compile_memory, maker_named

    maker_named(backend)
    request = read_request(model, set_ or [], protocol, unsafe_gaps)
    work = Work(request.memory, request.some_protocol() if request.spiking else None, tuple(arch), seed, not no_nvcc)
    began = time.perf_counter()
    try:
        with ProgressBar("files") as progress:
            manifest = compile_memory(work, backend, out, force, progress)
    except KeyboardInterrupt:
        print(f"interrupted: {out} is not made, and nothing is left of it.", file=sys.stderr)
        raise typer.Exit(130) from None
    done = f"compiled for {', '.join(manifest['archs'])}" if manifest["compiled"] else "generated"
    print(
        f"{out}: {done}, program {manifest['program_digest'][:12]}; {time.perf_counter() - began:.0f} s; "
        f"next, on a machine with such a GPU: cat {out / 'README.md'}"
    )
