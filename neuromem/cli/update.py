"""``neuromem update``: learn key-value pairs in a matrix on disk, of any size."""

from __future__ import annotations

import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuromem.cli.progress import ProgressBar
from neuromem.errors import FileError, SpecError, StoreError, nearest

if TYPE_CHECKING:
    from neuromem.spec.plasticity import PlasticityRule

RULES = ("hebb", "delta", "oja", "bcpnn")


def update(
    matrix: Annotated[
        Path,
        typer.Argument(metavar="W", help="The matrix (values x keys): a zarr folder, or a file that ends in .npy.", show_default=False),
    ],
    keys: Annotated[Path | None, typer.Option("--keys", metavar="KEYS.NPY", help="The keys, one a row.", show_default=False)] = None,
    values: Annotated[
        Path | None, typer.Option("--values", metavar="VALUES.NPY", help="Their values, one a row; oja takes none.", show_default=False)
    ] = None,
    rule: Annotated[str, typer.Option("--rule", metavar="hebb|delta|oja|bcpnn", help="How they are learned.")] = "hebb",
    rate: Annotated[float, typer.Option("--rate", help="The rule's rate; of bcpnn, the step of its traces.")] = 1.0,
    decay: Annotated[float, typer.Option("--decay", help="Of hebb and delta: what is kept of the weights, 0 to 1.")] = 1.0,
    low: Annotated[float, typer.Option("--low", help="The least weight; of int8, -127 where none is given.")] = -math.inf,
    high: Annotated[float, typer.Option("--high", help="The greatest weight; of int8, 127 where none is given.")] = math.inf,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="NEW", help="The new matrix; W stays as it is. .npy, or else zarr.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="What computes: cpu or reference.")] = "cpu",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: one a processor.", show_default=False)] = None,
    tile_bytes: Annotated[
        int | None,
        typer.Option("--tile-bytes", min=1, help="Bytes of a tile. Default: 64 MiB, or less where memory is short.", show_default=False),
    ] = None,
    new: Annotated[
        str | None, typer.Option("--new", metavar="VALUES,KEYS", help="Make W first: zeros of this size.", show_default=False)
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="float32|int8", help="Of --new. Default: float32.", show_default=False)
    ] = None,
    activity: Annotated[
        float | None, typer.Option("--activity", help="Of --new with bcpnn: the probability that a unit is active.", show_default=False)
    ] = None,
) -> None:
    """Learn key-value pairs in a matrix on disk, tile by tile, and print the bytes moved in a second beside those of a copy.

    The new matrix appears when it is whole. After Ctrl-C, or when the command was killed, the same command goes on, with --new as well.

    hebb learns all pairs at once (rank 1, or as many as there are), the others one after the other. Matrices of int8 take hebb with
    whole numbers, within -127 and 127 where --low and --high say nothing else.
    """
    chosen = rule_named(rule, rate, decay, low, high)
    if new is None:
        for option, given in (("--activity", activity), ("--dtype", dtype)):
            if given is not None:
                raise typer.BadParameter(f"{option} is given without --new.")
        if keys is None:
            raise typer.BadParameter("--keys is missing; expected a .npy file.")
    from neuromem.large import UpdateInterrupted
    from neuromem.large import update as learn
    from neuromem.large.matrices import remove
    from neuromem.large.staging import goes_on

    pairs = None if keys is None else array_of(keys), None if values is None else array_of(values)
    made = ""
    if new is not None:
        n_values, n_keys = sizes(new)
        if (rule == "bcpnn") != (activity is not None):
            raise SpecError(
                f"--activity {activity:g} with --rule {rule}; expected it with bcpnn only."
                if activity is not None
                else "--new with --rule bcpnn: --activity is missing; expected the probability that a unit is active, such as 0.01."
            )
        made = make(matrix, (n_values, n_keys), dtype or "float32", activity, chosen, out)
        if keys is None:
            print(made)
            return
    stopped = ""
    try:
        with ProgressBar() as progress:
            report = learn(matrix, *pairs, chosen, out=out, engine=engine, threads=threads, tile_bytes=tile_bytes, progress=progress)
    except BaseException as error:
        if made and not (out is not None and goes_on(out)):  # nothing came of it: the same command shall find what this one found
            remove(matrix)
        if not isinstance(error, UpdateInterrupted):
            raise
        stopped = str(error)
    if stopped:
        print(stopped, file=sys.stderr)
        raise typer.Exit(130)
    if made:
        print(made)
    print(report)


def make(matrix: Path, shape: tuple[int, int], dtype: str, activity: float | None, rule: PlasticityRule, out: Path | None) -> str:
    """Make the matrix of ``--new`` and return what to say of it: nothing where it is there already and its unfinished update goes on."""
    import numpy as np

    from neuromem.large.matrices import new_matrix, open_source
    from neuromem.large.rules import kind_of
    from neuromem.large.staging import check_free, goes_on

    n_values, n_keys = shape
    if os.path.lexists(matrix):
        if out is not None and goes_on(out):
            kind = kind_of(rule, np.dtype(np.float32))
            found = open_source(matrix, kind.matrices, kind.vectors)
            if (found.shape, str(found.dtype)) == (shape if activity is None else shape[::-1], dtype):
                return ""
    elif out is not None:
        check_free(out)
    new_matrix(matrix, n_values, n_keys, dtype=dtype, activity=activity)
    if activity is None:
        return f"{matrix}: {n_values} x {n_keys} {dtype} zeros"
    return f"{matrix}: traces of {n_keys} x {n_values} independent units"


def rule_named(name: str, rate: float, decay: float, low: float, high: float) -> PlasticityRule:
    """Return the rule of these options; raise ``SpecError`` where they do not fit together."""
    from neuromem.large import HebbBatch
    from neuromem.spec.hebbian import BayesianHebbian
    from neuromem.spec.outer_product import Decay, Keep, OjaRetention, OuterProductRule, PlainStep, SquaredError, Variance

    if name not in RULES:
        raise SpecError(f"--rule {name}: expected {', '.join(RULES)}{nearest(name, RULES)}.")
    if name in ("oja", "bcpnn") and decay != 1.0:
        raise SpecError(f"--decay {decay:g} with --rule {name}, which forgets in its own way; expected it with hebb or delta.")
    if name == "bcpnn":
        if (low, high) != (-math.inf, math.inf):
            raise SpecError("--low or --high with --rule bcpnn, whose weights are logarithms of probabilities; expected neither.")
        if not 0.0 < rate <= 1.0:
            raise SpecError(f"--rate {rate:g} with --rule bcpnn; expected a step of the traces, above 0 and at most 1.")
        return BayesianHebbian(tau=1.0 / rate)
    if name == "hebb":
        return HebbBatch(rate, decay, low, high)
    step = PlainStep(rate)
    if name == "oja":
        return OuterProductRule(Variance(), OjaRetention(), step, low, high)
    return OuterProductRule(SquaredError(), Keep() if decay == 1.0 else Decay(decay), step, low, high)


def sizes(text: str) -> tuple[int, int]:
    """Return the two numbers of ``--new``."""
    found = re.fullmatch(r"\s*(\d+)\s*[,x]\s*(\d+)\s*", text)
    if found is None:
        raise SpecError(f"--new {text}: expected two whole numbers, as 4096,4096.")
    return int(found[1]), int(found[2])


def array_of(path: Path) -> Any:
    """Return the array of a ``.npy`` file."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise StoreError(f"{path}: does not exist; expected a .npy file.") from None
    except (ValueError, EOFError) as error:
        raise FileError(f"{path}: is no whole .npy file ({error}); expected what numpy.save writes.") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise FileError(f"{path}: holds several arrays; expected one, as numpy.save writes it.")
    return array
