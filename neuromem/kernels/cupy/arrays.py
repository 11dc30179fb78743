"""Arrays on the device: the twin of ``neuromem.kernels.arrays``."""

from __future__ import annotations

from typing import Any

import cupy as xp
import numpy as np

from neuromem.kernels import bits as host
from neuromem.kernels.cupy import runtime
from neuromem.kernels.cupy.bits import DevicePatterns as Patterns
from neuromem.kernels.cupy.runtime import room, zeros

__all__ = ["LOOK_EVERY", "Patterns", "get", "put", "room", "snapshot", "xp", "zeros"]

LOOK_EVERY = 8
"""Steps of a recall from one look at which cues have come to rest to the next: a look waits for the device, a step of a settled cue is wasted."""


def put(x: Any) -> Any:
    """Return arrays of the host, or what is made of them, as the device's; anything else as it is."""
    if isinstance(x, host.Patterns):
        if x.has_rows_only:
            return Patterns(x.n, rows=host.Rows(*map(runtime.put, x.rows)))
        return Patterns(x.n, words=runtime.put(x.words))  # the smallest form
    if isinstance(x, np.ndarray):
        return runtime.put(x)
    return _parts(x, put)


def snapshot(x: Any) -> Any:
    """Return what ``get`` will bring to the host, so that later changes of ``x`` do not reach it: ``x`` itself, for ``get`` copies."""
    return x


def get(x: Any) -> Any:
    """Return arrays of the device, or what is made of them, as the host's; anything else as it is."""
    if isinstance(x, Patterns):
        if x.has_rows_only:
            start = runtime.get(x.rows.start)
            units = runtime.get(x.rows.units[int(start[0]) : int(start[-1])])  # a part of others begins later, and there may be room behind
            return host.Patterns(x.n, rows=host.Rows(start - start[0], units))
        return host.Patterns(x.n, words=runtime.get(x.words))
    if isinstance(x, xp.ndarray):
        return runtime.get(x)
    return _parts(x, get)


def _parts(x: Any, move: Any) -> Any:
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(move, x))
    if isinstance(x, dict):
        return {name: move(part) for name, part in x.items()}
    return x
