"""``neuromem compare``: one protocol on all available backends, and whether they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_picture, whole_file
from neuromem.cli.request import Request, engine, read_request
from neuromem.cli.run_trial import warnings_as_lines
from neuromem.cli.trial_options import TrialOptions
from neuromem.errors import SpecError

ENGINES = "reference,cpu,brian2:numpy,brian2:cython,brian2:cpp_standalone"
TRIAL_ENGINES = "reference,cpu"  # those that run memories without spikes


def compare(
    model: options.Model,
    protocol: options.ProtocolName = None,
    set_: options.Settings = None,
    patterns: options.Patterns = None,
    noise: options.Noise = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends",
            metavar="A,B,...",
            help="What to compare, each as NAME or NAME:CODEGEN. Brian2 compiles for a minute the first time.",
            show_default=f"{ENGINES}; without spikes {TRIAL_ENGINES}",
        ),
    ] = None,
    seed: options.Seed = 0,
    figure: Annotated[Path | None, typer.Option("--figure", metavar="FILE.PNG", help="Draw the report (.png, .svg, .pdf).")] = None,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
) -> None:
    """Run one protocol, or one trial of a memory without spikes, on several backends and report the first difference, if any.

    Exit status 1 if a backend differs, if one that is named with --backends could not run, or if
    fewer than two ran. Without --backends, those that are not installed are only reported.
    """
    request = read_request(model, set_ or [], protocol, unsafe_gaps, TrialOptions(patterns, noise or ()))
    if not request.spiking:
        _compare_trials(request, backends, seed, figure)
        return
    asked_protocol = request.some_protocol()
    if figure is not None:
        check_picture(figure, force)
    from neuromem.analysis.agreement import compare as compare_engines
    from neuromem.analysis.agreement import draw_agreement

    report = compare_engines(
        request.memory, asked_protocol, [engine(text) for text in (ENGINES if backends is None else backends).split(",")], seed=seed
    )
    print(report.table())
    if figure is not None:
        with whole_file(figure, force) as part:
            draw_agreement(report, part)
    if not report.agree or (backends is not None and not report.complete):
        raise typer.Exit(1)


def _compare_trials(request: Request, backends: str | None, seed: int, figure: Path | None) -> None:
    if figure is not None:
        raise SpecError(
            f"--figure {figure}: only engines that run spikes are drawn; leave it out (neuromem run draws what a trial came to)."
        )
    trial = request.some_trial()
    from neuromem.analysis.trial_agreement import compare_trials

    engines = [engine(text) for text in (TRIAL_ENGINES if backends is None else backends).split(",")]
    with warnings_as_lines():
        report = compare_trials(request.memory, trial, engines, seed)
    print(report.table())
    if not report.agree or (backends is not None and not report.complete):
        raise typer.Exit(1)
