"""``--profile``: what a command took, and what went between host and device."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from neuromem.cli.table import aligned
from neuromem.ir.memory_needed import bytes_text

RUNTIME = "neuromem.kernels.cupy.runtime"
"""The module that counts transfers and launches; imported where a device is used, and nowhere else."""


@contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Print to standard error what was taken within, if it is wanted, also where it is interrupted."""
    began, cpu, before = time.perf_counter(), time.process_time(), _traffic()
    failed = False
    try:
        yield
    except Exception:
        failed = True
        raise
    finally:
        if wanted and not failed:
            print(report(time.perf_counter() - began, time.process_time() - cpu, before, _traffic()), end="", file=sys.stderr)


def report(seconds: float, cpu_seconds: float, before: Any, after: Any) -> str:
    """Return the profile as text; ``before`` and ``after`` are counts of ``Traffic``, or None where no device is used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = [("time", f"{seconds:.2f} s, of the processors {cpu_seconds:.2f} s"), ("memory", f"{bytes_text(peak)} at most, of the host")]
    if after is None or after == before:
        rows.append(("device", "none is used: nothing is transferred"))
    else:
        moved = after if before is None else after.since(before)
        rows += [
            ("to the device", f"{bytes_text(moved.bytes_to_device)} in {moved.puts} transfers"),
            ("to the host", f"{bytes_text(moved.bytes_to_host)} in {moved.gets} transfers"),
            ("launches", f"{moved.launches} kernels"),
        ]
    return aligned([("profile", ""), *rows])


def _traffic() -> Any:
    runtime = sys.modules.get(RUNTIME)
    return None if runtime is None else runtime.traffic.copy()
