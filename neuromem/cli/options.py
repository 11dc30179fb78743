"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model's name (see `neuromem list`), or a file of your own: my_memory.py:build.", show_default=False
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a model parameter; may be given many times.", show_default=False)
]
ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME|FILE.TOML",
        help="One of the model's protocols, or a file. Default: the model's first.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is drawn.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
UnsafeGaps = Annotated[bool, typer.Option("--unsafe-gaps", help="Allow operations closer than the model's safe gap.")]
Patterns = Annotated[
    int | None,
    typer.Option("--patterns", metavar="N", help="Of a memory without spikes: store so many random patterns.", show_default=False),
]
Noise = Annotated[
    list[str] | None,
    typer.Option(
        "--noise",
        metavar="KEY=VALUE",
        help="Of a memory without spikes: errors of the cues, as fractions, in place of the trial's: flips, deletions, additions, moves or noise; may be given many times.",
        show_default=False,
    ),
]
