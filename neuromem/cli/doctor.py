"""``neuromem doctor``: is this machine ready, and what to type if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neuromem.cli.checkup import Finding
    from neuromem.hardware_targets.cuda.machine import GpuMachine


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Look at the GPU: driver, device, toolkit, CuPy, Brian2CUDA.")] = False,
    selftest: Annotated[bool, typer.Option("--selftest", help="With --gpu: run every model there and on cpu, and compare.")] = False,
) -> None:
    """Look at Python, packages, compilers and backends; say what to type to mend what is wrong.

    Exit status 1 only if something is broken that neuromem cannot do without; with --gpu, if no GPU can be used,
    or if a model that --selftest runs differs.
    """
    from neuromem.cli.checkup import Machine, checkup

    if selftest and not gpu:
        raise typer.BadParameter("--selftest without --gpu; expected both: it is the device that is tested.")
    if gpu:
        look_at_gpu(Machine().gpu(), selftest)
        return
    findings = list(checkup(Machine()))
    print(report(findings, whether_it_works(findings)), end="")
    if any(f.broken for f in findings):
        raise typer.Exit(1)


def whether_it_works(findings: Sequence[Finding]) -> str:
    """Return the last line of a report."""
    broken = [f.subject for f in findings if f.broken]
    return f"neuromem cannot work until this is mended: {', '.join(broken)}." if broken else "neuromem can work."


def look_at_gpu(machine: GpuMachine, selftest: bool = False) -> None:
    """Print what there is to run on a GPU, and test it if that is asked for; exit with status 1 if none can be used, or one is wrong."""
    from neuromem.cli.checkup_gpu import check_gpu, usable_backends, verdict

    usable, rest = usable_backends(machine)
    print(report(list(check_gpu(machine)), verdict(usable, rest)), end="")
    if not usable:
        raise typer.Exit(1)
    if selftest:
        from neuromem.cli.selftest import selftest as test_models

        if not test_models(usable):
            raise typer.Exit(1)


def report(findings: Sequence[Finding], verdict: str) -> str:
    """Return the findings as text, each with what to type below it, and the verdict in the last line."""
    width = max(len(f.subject) for f in findings)
    lines = []
    for f in findings:
        lines.append(f"{f.state:<7}  {f.subject:<{width}}  {f.text}")
        if f.remedy:
            lines.append(f"{'':7}  {'':{width}}  type: {f.remedy}")
    return "\n".join([*lines, "", verdict]) + "\n"
