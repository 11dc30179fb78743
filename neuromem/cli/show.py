"""``neuromem show``: a memory's parameters, its printed Program, and a drawing of its network."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_picture, whole_file
from neuromem.cli.request import Request, default_picture, read_request
from neuromem.cli.table import aligned
from neuromem.errors import NeuromemError
from neuromem.runs.parameters import derived
from neuromem.runs.trial_patterns import ERRORS
from neuromem.spec.protocol import Protocol
from neuromem.spec.trial import Trial


def show(
    model: options.Model,
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    seed: options.Seed = 0,
    drawing: Annotated[
        Path | None,
        typer.Option("--drawing", metavar="FILE.PNG", help="Where to draw the network (.png, .svg, .pdf). Default: <model>-network.png."),
    ] = None,
    no_drawing: Annotated[bool, typer.Option("--no-drawing", help="Draw nothing.")] = False,
    citations: Annotated[bool, typer.Option("--citations", help="Print only what to cite.")] = False,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
) -> None:
    """Print a memory's parameters and its Program, and draw its network."""
    if drawing is not None and no_drawing:
        raise typer.BadParameter("--drawing and --no-drawing are given together; expected one of the two.")
    request = read_request(model, set_ or [], protocol, unsafe_gaps)
    if citations:
        print(citation(request))
        return
    if drawing is not None:
        check_picture(drawing, force)
    print(text_of(request, seed), end="")
    sys.stdout.flush()
    if drawing is not None:
        _draw(request, drawing, force)
    elif not no_drawing:
        path = default_picture(request.memory.name, "network")
        try:
            check_picture(path, force)
        except NeuromemError as error:
            print(f"no network is drawn: {error} (Or: --drawing other.png, or --no-drawing.)", file=sys.stderr)
            return
        _draw(request, path, force)
        print(f"drawing: {path}")


def _draw(request: Request, path: Path, force: bool) -> None:
    from neuromem.analysis.drawing import draw_network

    with whole_file(path, force) as part:
        draw_network(request.memory.network, part, title=request.memory.title or request.memory.name)


def text_of(request: Request, seed: int) -> str:
    """Return the heading and the Program; of a memory without spikes, also the bytes that it takes."""
    from neuromem.ir import lower_memory
    from neuromem.ir.lower_matrix import lower_matrix_memory

    if request.spiking:
        protocol = request.some_protocol() if request.protocol else Protocol("none", (), 0)
        return f"{heading(request)}\n{lower_memory(request.memory, protocol, seed)}"
    return f"{heading(request)}\n{lower_matrix_memory(request.memory, seed)}{_room(request)}"


def _room(request: Request) -> str:
    from neuromem.ir.memory_needed import bytes_text, memory_needed

    empty = f"memory {bytes_text(memory_needed(request.memory))}"
    if not isinstance(request.protocol, Trial):
        return f"{empty}\n"
    n = request.protocol.n_patterns
    return f"{empty} when empty, {bytes_text(memory_needed(request.memory, n))} with the {n} patterns of the trial\n"


def heading(request: Request) -> str:
    """Return name, title, parameters, what the model's documentation says of them, and protocols of the memory as text."""
    memory = request.memory
    lines = [f"{memory.name}: {memory.title}" if memory.title else memory.name, ""]
    if memory.parameters:
        stands_for = {} if request.spiking else derived(memory)
        rows = [(name, _value(value, stands_for.get(name))) for name, value in memory.parameters.items()]
        lines += ["parameters", aligned(rows, indent="  ")]
    lines += documentation(request.entry.function)
    if request.entry.protocols:
        lines += ["protocols", *(f"  {name}{_shown(name, request)}" for name in request.entry.protocols), ""]
    return "\n".join(lines)


def _value(value: object, stands_for: object) -> str:
    if value is not None:
        return str(value)
    return "none" if stands_for is None else f"none ({stands_for})"


def documentation(function: Callable[..., object]) -> list[str]:
    """Return the docstrings of the function's module and of the function as lines, without the marks of code; nothing where there are none."""
    texts = [inspect.getdoc(sys.modules.get(function.__module__)), inspect.getdoc(function)]
    lines = [line for text in texts if text for line in [*_plain(text).splitlines(), ""]]
    return ["about", *(f"  {line}".rstrip() for line in lines)] if lines else []


def _plain(text: str) -> str:
    """Return a docstring without the marks of code; what follows them in a table stays where it is."""
    text = re.sub(r"^::\n\n", "", text, flags=re.MULTILINE).replace("::\n", ":\n")
    return re.sub(r"``([^`]*)``(?=  )", r"\1    ", text).replace("``", "")


def _shown(name: str, request: Request) -> str:
    if isinstance(request.protocol, Trial) and request.protocol.name == name:
        return f"  ({trial_text(request.protocol)})"
    return "  (below)" if request.protocol is not None and request.protocol.name == name else ""


def trial_text(trial: Trial) -> str:
    """Return how many patterns a trial stores, and the errors of its cues."""
    errors = [f"{name} {getattr(trial, name):g}" for name in ERRORS if getattr(trial, name)]
    return f"{trial.n_patterns} random patterns, cues with {', '.join(errors) or 'no errors'}"


def citation(request: Request) -> str:
    """Return what to cite for the memory, as an address that a browser opens."""
    memory = request.memory
    name, _, number = memory.reference.partition(":")
    address = {"doi": f"https://doi.org/{number}", "arXiv": f"https://arxiv.org/abs/{number}"}.get(name, memory.reference)
    return f"{memory.name}: {memory.title}\n  {address or 'no reference is given'}"
