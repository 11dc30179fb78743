"""``neuromem run``: a protocol on a memory; the table of its operations, and files on request. Trials have a file of their own."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from neuromem.cli import options
from neuromem.cli.outputs import check_distinct, check_file, check_picture, check_run, whole_file, write_text
from neuromem.cli.profile import profiled
from neuromem.cli.progress import ProgressBar
from neuromem.cli.request import default_picture, read_request
from neuromem.cli.run_trial import refuse_spike_files, run_trial_of
from neuromem.cli.spikes_csv import write_spikes
from neuromem.cli.table import print_table, rows_of
from neuromem.cli.trial_options import TrialOptions
from neuromem.errors import NeuromemError, SpecError, StoreError
from neuromem.runs.outcomes import asked

if TYPE_CHECKING:
    from neuromem.runs.result import RunResult
    from neuromem.spec.memory import MemoryModel
    from neuromem.spec.protocol import Protocol


def run(
    model: options.Model,
    protocol: options.ProtocolName = None,
    backend: Annotated[
        str, typer.Option("--backend", help="A name (see `neuromem list`), or auto: the one that will be done first here.")
    ] = "cpu",
    codegen: Annotated[
        str | None, typer.Option("--codegen", metavar="numpy|cython|cpp_standalone", help="How brian2 runs.", show_default=False)
    ] = None,
    set_: options.Settings = None,
    patterns: options.Patterns = None,
    noise: options.Noise = None,
    seed: options.Seed = 0,
    spikes: Annotated[Path | None, typer.Option("--spikes", metavar="FILE.CSV", help="Write step,population,unit of all spikes.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN.ZARR", help="Keep the run.")] = None,
    raster: Annotated[
        Path | None,
        typer.Option(
            "--raster",
            metavar="FILE.PNG",
            help="Where to draw the spikes, or what was recalled (.png, .svg, .pdf). Default: <model>-<protocol>.png.",
        ),
    ] = None,
    no_raster: Annotated[bool, typer.Option("--no-raster", help="Draw nothing.")] = False,
    force: options.Force = False,
    unsafe_gaps: options.UnsafeGaps = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of the table; draw only with --raster.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Say what it took: time, memory, transfers to and from a device.")] = False,
) -> None:
    """Run a protocol on a memory and print what each operation came to.

    A memory without spikes is tried: it stores random patterns and recalls each from a cue with errors.

    Wrong answers are results: exit status 0. It is 1 for an error, and 130 after Ctrl-C.
    """
    if raster is not None and no_raster:
        raise typer.BadParameter("--raster and --no-raster are given together; expected one of the two.")
    request = read_request(model, set_ or [], protocol, unsafe_gaps, TrialOptions(patterns, noise or ()))
    if not request.spiking:
        refuse_spike_files(out=out, spikes=spikes)
        backend = chosen(request.memory, request.some_trial().n_patterns, codegen) if backend == "auto" else backend
        run_trial_of(request, backend, codegen, seed, raster, no_raster, force, as_json, profile, _plain)
        return
    asked_protocol = request.some_protocol()
    default = default_picture(request.memory.name, asked_protocol.name) if raster is None and not no_raster and not as_json else None
    _check_outputs(spikes, out, raster, force)
    check_distinct({"--out": out, "--spikes": spikes, "--raster": raster or default})
    if asked_protocol.unsafe_gaps and not as_json:
        note = unsafe_gaps_note(request.memory, asked_protocol)
        if note:
            print(note, file=sys.stderr)

    backend = chosen(request.memory, asked_protocol.n_steps, codegen) if backend == "auto" else backend
    from neuromem.api import InterruptedRun
    from neuromem.api import run as run_memory

    began, interrupted = time.perf_counter(), False
    with profiled(profile), ProgressBar() as progress:
        try:
            result = run_memory(
                request.memory, asked_protocol, backend, seed=seed, progress=progress, **({} if codegen is None else {"codegen": codegen})
            )
        except InterruptedRun as error:
            result, interrupted = error.result, True
    seconds = time.perf_counter() - began

    if as_json:
        print(json.dumps(as_object(result, seed), indent=1, default=_plain))
    else:
        print_table(rows_of(result.memory, result.outcomes), sys.stdout)
        print(summary(result, seconds))
    sys.stdout.flush()  # the table is read while the files are written
    failed = _write_outputs(result, spikes, out, raster, force)
    if default is not None and not interrupted:
        _draw_default(result, default, force)
    if failed:
        raise StoreError(" ".join(failed))
    if interrupted:
        recording = result.recording
        print(
            f"interrupted after {recording.n_steps} of {recording.program.n_steps} steps"
            + (f"; {out} holds them and is marked as incomplete." if out is not None else "."),
            file=sys.stderr,
        )
        raise typer.Exit(130)


def chosen(memory: MemoryModel, amount: int, codegen: str | None) -> str:
    """Return the backend of ``--backend auto`` for ``amount`` patterns or steps, and say why, in one line on standard error."""
    if codegen is not None:
        raise SpecError(f"--codegen {codegen} with --backend auto; expected --backend brian2 with it, or auto alone.")
    from neuromem.runs.predict import choose

    choice = choose(memory, amount)
    print(choice, file=sys.stderr)
    return choice.backend


def _check_outputs(spikes: Path | None, out: Path | None, raster: Path | None, force: bool) -> None:
    """Find out before the run what could not be written after it."""
    if spikes is not None:
        check_file(spikes, force)
    if out is not None:
        check_run(out, force)
    if raster is not None:
        check_picture(raster, force)


def _write_outputs(result: RunResult, spikes: Path | None, out: Path | None, raster: Path | None, force: bool) -> list[str]:
    """Write what was asked for and return what went wrong: one output that fails does not take the others along."""
    from neuromem.api import save_run

    writers: list[tuple[Path | None, Callable[[Path], object]]] = [
        (out, lambda path: save_run(path, result, force=force)),
        (spikes, lambda path: write_text(path, lambda file: write_spikes(result.recording, file), force)),
        (raster, lambda path: _draw(result, path, force)),
    ]
    failed = []
    for path, write in writers:
        if path is not None:
            try:
                write(path)
            except NeuromemError as error:
                failed.append(str(error))
            except MemoryError:
                failed.append(f"{path}: there is not enough memory to write it.")
    return failed


def _draw_default(result: RunResult, path: Path, force: bool) -> None:
    """Draw under the default name; a name that is taken stops nothing, for the picture was not asked for."""
    try:
        check_picture(path, force)
        _draw(result, path, force)
    except NeuromemError as error:
        print(f"no raster is drawn: {error} (Or: --raster FILE to draw elsewhere, or --no-raster.)", file=sys.stderr)
        return
    print(f"raster: {path}")


def _draw(result: RunResult, path: Path, force: bool) -> None:
    from neuromem.analysis.raster import draw_raster

    with whole_file(path, force) as part:
        draw_raster(result.memory, result.protocol, result.recording, result.outcomes, part)


def unsafe_gaps_note(memory: MemoryModel, protocol: Protocol) -> str:
    """Return one line on how many gaps of the protocol are below the model's safe gap, or "" if none is."""
    from neuromem.ir import plan

    gaps = [
        (after.operation.at - before.operation.at, memory.safe_gap(before.gap_name, after.gap_name))
        for before, after in itertools.pairwise(plan(memory, protocol))
    ]
    below = sum(gap < safe for gap, safe in gaps)
    if not below:
        return ""
    return f"note: {below} of {len(gaps)} gaps between operations are below the safe gap of {memory.name}: answers may be wrong."


def summary(result: RunResult, seconds: float) -> str:
    """Return the run in one line."""
    recording, right = result.recording, sum(o.correct for o in result.outcomes)
    total, from_sources = n_spikes(result)
    return (
        f"{right} of {len(result.outcomes)} right; {total} spikes, {from_sources} of them input; digest {recording.program.digest[:12]}; "
        f"backend {engine_name(result)}; {seconds:.2f} s"
    )


def engine_name(result: RunResult) -> str:
    """Return ``cpu`` or ``brian2:cython``."""
    codegen = result.options.get("codegen")
    return result.backend if codegen is None else f"{result.backend}:{codegen}"


def n_spikes(result: RunResult) -> tuple[int, int]:
    """Return the number of recorded spikes, and how many of them are of sources."""
    recording = result.recording
    return int(recording.unit.size), int((recording.unit < recording.program.n_sources).sum())


def _plain(value: object) -> object:
    """Return what JSON holds in place of a value that a user's model named as a parameter: numpy's, or any other as text."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def as_object(result: RunResult, seed: int) -> dict[str, Any]:
    """Return the run as what JSON holds; everything in it is the same each time."""
    total, from_sources = n_spikes(result)
    return {
        "model": result.memory.name,
        "parameters": dict(result.memory.parameters),
        "protocol": result.protocol.name,
        "backend": engine_name(result),
        "seed": seed,
        "digest": result.recording.program.digest,
        "complete": result.recording.complete,
        "n_steps": result.recording.n_steps,
        "n_spikes": total,
        "n_input_spikes": from_sources,
        "correct": all(o.correct for o in result.outcomes),
        "operations": [
            {
                "kind": o.operation.kind,
                "at": o.operation.at,
                "time_ms": o.operation.at * result.memory.dt,
                "asked": asked(o.operation),
                "answer": o.answer,
                "expected": o.expected,
                "correct": o.correct,
                "latency": o.latency,
            }
            for o in result.outcomes
        ],
    }
