"""``neuromem capacity``: how many patterns a memory holds, measured, with theory beside it."""

from __future__ import annotations

import csv
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_distinct, check_file, check_picture, free_name, whole_file, write_text
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import default_picture, read_settings
from neuromem.cli.table import aligned
from neuromem.cli.trial_options import read_noise
from neuromem.errors import NeuromemError, SpecError, StoreError
from neuromem.model_files import ModelEntry, find_model
from neuromem.runs.trial import possible_errors
from neuromem.spec.trial import Trial

if TYPE_CHECKING:
    from neuromem.capacity.study import Study
    from neuromem.spec.memory import MemoryModel


def capacity(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="A model's name (see `neuromem list`), or a file of your own. Several with --compare.", show_default=False
        ),
    ],
    compare: Annotated[bool, typer.Option("--compare", help="Measure several models; one table and one figure.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set a model parameter, of all models that have it; may be given many times.",
            show_default=False,
        ),
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(
            "--criterion", help="exactNN, overlapNN, biterrorNN (NN percent), or ags.", show_default="exact90; of real values overlap90"
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            metavar="KEY=VALUE",
            help="Errors of the cues, as fractions: flips, deletions, additions, moves or noise. Default: one unit wrong.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds: the interval is over them.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first of the seeds.")] = 0,
    backend: Annotated[str, typer.Option("--backend", help="reference, cpu or cupy.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of the table; draw only with --figure.")] = False,
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure", metavar="FILE.PNG", help="Where to draw (.png, .svg, .pdf). Default: capacity-<model>.png, or capacity-compare.png."
        ),
    ] = None,
    no_figure: Annotated[bool, typer.Option("--no-figure", help="Draw nothing.")] = False,
    csv_: Annotated[Path | None, typer.Option("--csv", metavar="FILE.CSV", help="Write every point of the search.")] = None,
    max_patterns: Annotated[
        int | None, typer.Option("--max-patterns", min=1, help="Try no more.", show_default="2^24, or 2^15 of a dense memory")
    ] = None,
    basin: Annotated[
        bool | None, typer.Option("--basin/--no-basin", help="Recall against errors of the cue.", show_default="if drawn")
    ] = None,
    force: options.Force = False,
) -> None:
    """Find the largest number of patterns that a memory recalls to a criterion.

    Random patterns are stored in a fresh memory and recalled from cues with errors, for each seed and load; exit status 130
    after Ctrl-C, with what was measured by then.
    """
    if figure is not None and no_figure:
        raise typer.BadParameter("--figure and --no-figure are given together; expected one of the two.")
    if len(models) > 1 and not compare:
        raise typer.BadParameter(f"{len(models)} models without --compare; expected one.")
    from neuromem.capacity.criteria import read_criterion
    from neuromem.capacity.task import usual_criterion

    if criterion is not None:
        read_criterion(criterion)  # a wrong name is told before a wrong model
    memories = build_all([find_model(name) for name in models], read_settings(set_ or []))
    wanted = read_criterion(usual_criterion(memories) if criterion is None else criterion)
    errors = read_errors(memories, noise or [])
    default = None
    if figure is None and not no_figure and not as_json:
        default = default_picture("capacity", "compare" if compare else memories[0].name)
    if figure is not None:
        check_picture(figure, force)
    if csv_ is not None:
        check_file(csv_, force)
    check_distinct({"--figure": figure or default, "--csv": csv_})
    default = free_name(default, force, "--figure FILE to draw elsewhere, or --no-figure")
    drawn = figure is not None or default is not None

    from neuromem.capacity.study import StudyInterrupted, study

    studies: list[Study] = []
    interrupted = False
    for number, (memory, of_cues) in enumerate(zip(memories, errors, strict=True), 1):
        with ProgressBar() as progress:
            try:
                if compare and sys.stderr.isatty():
                    print(f"{memory.name} ({number} of {len(memories)})", file=sys.stderr)
                studies.append(
                    study(
                        memory, wanted, errors=of_cues, seeds=range(seed, seed + seeds), backend=backend, limit=max_patterns,
                        curve=drawn, basin=drawn if basin is None else basin, progress=progress,
                    )
                )  # fmt: skip
            except StudyInterrupted as stopped:
                studies.append(stopped.study)
                interrupted = True
                break
    _print(studies, compare, as_json)
    sys.stdout.flush()
    failed = _write(studies, compare, figure, csv_, force)
    if default is not None and not interrupted:
        _draw(studies, compare, default, force)
        print(f"figure: {default}")
    if failed:
        raise StoreError(" ".join(failed))
    if interrupted:
        done = len(studies[-1].search.seeds)
        print(f"interrupted: {studies[-1].task.memory.name} after {done} of {seeds} seeds; what is printed was measured.", file=sys.stderr)
        raise typer.Exit(130)


def build_all(entries: Sequence[ModelEntry], given: Mapping[str, object]) -> list[MemoryModel]:
    """Return the memories, each with those of the parameters that it has; raise ``SpecError`` for one that none has."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

    def takes(entry: ModelEntry, name: str) -> bool:
        own = entry.parameters
        return (name in own and own[name].kind in kinds) or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own.values())

    for name in given:
        if not any(takes(entry, name) for entry in entries):
            if len(entries) == 1:
                entries[0].check_parameters([name])
            raise SpecError(f"--set {name}=...: none of {', '.join(entry.name for entry in entries)} has a parameter of that name.")
    return [entry.build(**{name: value for name, value in given.items() if takes(entry, name)}) for entry in entries]


def read_errors(memories: Sequence[MemoryModel], noise: Sequence[str]) -> list[Trial | None]:
    """Return the errors of the cues of each memory: those that its cues can have, None for the default; raise ``SpecError`` for one that none can."""
    from neuromem.ir.lower_matrix import lower_matrix_memory
    from neuromem.ir.matrix_checks import has_spikes

    given = read_noise(noise)
    if not given:
        return [None] * len(memories)
    possible = [() if has_spikes(m.network) else possible_errors(lower_matrix_memory(m)) for m in memories]
    for name in given:
        if not any(name in own for own in possible):
            said = "; ".join(f"{m.name}: {', '.join(own)}" for m, own in zip(memories, possible, strict=True))
            raise SpecError(f"--noise {name}=...: cues cannot have such errors here; expected of {said}.")
    return [Trial(1, **chosen) if (chosen := {k: v for k, v in given.items() if k in own}) else None for own in possible]


def _print(studies: Sequence[Study], compare: bool, as_json: bool) -> None:
    from neuromem.capacity.report import COLUMNS, DEFINITION, as_object, notes, row

    if as_json:
        objects = [as_object(one) for one in studies]
        print(json.dumps({"models": objects} if compare else objects[0], indent=1, default=_plain))
        return
    print(aligned([COLUMNS, *map(row, studies)], right=(1, 3, 4, 5, 6, 7, 8)), end="")
    for one in studies:
        print("\n" + "\n".join(notes(one)))
    print(f"\n{DEFINITION}.")


def _plain(value: object) -> object:
    """Return what JSON holds in place of a value that a user's model named as a parameter."""
    return value.item() if hasattr(value, "item") else str(value)


def _write(studies: Sequence[Study], compare: bool, figure: Path | None, table: Path | None, force: bool) -> list[str]:
    """Write what was asked for and return what went wrong."""
    failed = []
    if table is not None:
        from neuromem.capacity.report import CSV_COLUMNS, csv_rows

        def fill(file: Any) -> None:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CSV_COLUMNS)
            writer.writerows(csv_rows(studies))

        try:
            write_text(table, fill, force)
        except NeuromemError as error:
            failed.append(str(error))
    if figure is not None:
        try:
            _draw(studies, compare, figure, force)
        except NeuromemError as error:
            failed.append(str(error))
    return failed


def _draw(studies: Sequence[Study], compare: bool, path: Path, force: bool) -> None:
    from neuromem.capacity.draw import draw_comparison, draw_study

    with whole_file(path, force) as part:
        if compare:
            draw_comparison(studies, part)
        else:
            draw_study(studies[0], part)
