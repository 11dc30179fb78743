"""``neuromem plan``: what will a memory take on each engine, and does a GPU pay?"""

from __future__ import annotations

from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.request import Request, read_request
from neuromem.cli.trial_options import TrialOptions
from neuromem.errors import SpecError
from neuromem.runs.work import RATE, Case, MatrixCase, matrix_case, spiking_case
from neuromem.spec.protocol import Protocol
from neuromem.spec.trial import Trial


def plan(
    model: options.Model,
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    patterns: options.Patterns = None,
    cues: Annotated[
        int | None,
        typer.Option(
            "--cues", metavar="B", help="Of a memory without spikes: recall so many cues. Default: one a pattern.", show_default=False
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", help="Steps of a recall, or of a spiking run in place of its protocol's.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="HZ", help=f"Of a spiking memory: spikes a second of a unit. Default: {RATE:g}.", show_default=False
        ),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", metavar="B", help="Of a spiking memory: side by side. Default: 1.", show_default=False)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="h200", help="Plan for an NVIDIA H200 in place of this machine's GPU.", show_default=False),
    ] = None,
) -> None:
    """Predict memory and time of a memory on each engine, and say which to take; nothing is run."""
    from neuromem.analysis.plan import plan_text
    from neuromem.runs.predict import this_place
    from neuromem.runs.rates import H200

    if device is not None and device.lower() != "h200":
        raise SpecError(f"--device {device}: expected h200, or none, for this machine's.")
    request = read_request(model, set_ or [], protocol, trial=TrialOptions(patterns))
    case = case_of(request, cues, steps, rate, replicas)
    print(plan_text(request.memory.name, case, this_place(device=None if device is None else H200)), end="")


def case_of(
    request: Request, cues: int | None = None, steps: int | None = None, rate: float | None = None, replicas: int | None = None
) -> Case:
    """Return what the user asked for as a case; raise ``SpecError`` for options of the other kind of memory."""
    name = request.memory.name
    if request.spiking:
        _refuse(name, "it has spikes, and no cues in batches: expected --replicas", cues=cues)
        own = request.protocol.n_steps if isinstance(request.protocol, Protocol) else None
        return spiking_case(
            request.memory, own if steps is None else steps, RATE if rate is None else rate, 1 if replicas is None else replicas
        )
    _refuse(name, "it has no spikes: leave it out", rate=rate, replicas=replicas)
    return _matrix(request, request.some_trial(), cues, steps)


def _matrix(request: Request, trial: Trial, cues: int | None, steps: int | None) -> MatrixCase:
    return matrix_case(request.memory, trial.n_patterns, cues, steps)


def _refuse(owner: str, why: str, **given: object) -> None:
    for option, value in given.items():
        if value is not None:
            raise SpecError(f"--{option} {value}: {owner}, {why}.")
