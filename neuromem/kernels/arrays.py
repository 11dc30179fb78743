"""Arrays of the engines that work in the host's memory; those of a device have a twin of this file, ``kernels/cupy/arrays.py``.

``xp`` is the module of array functions, NumPy or CuPy, ``Patterns`` the class of batches of patterns whose arrays are of that kind.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as xp

from neuromem.kernels.bits import Patterns, aligned_zeros

__all__ = ["LOOK_EVERY", "Patterns", "get", "put", "room", "snapshot", "xp", "zeros"]

LOOK_EVERY = 1
"""Steps of a recall from one look at which cues have come to rest to the next: here looking costs nothing."""


def zeros(shape: tuple[int, ...], dtype: Any) -> xp.ndarray:
    """Return zeros in the engine's memory."""
    return aligned_zeros(shape, dtype)


def put(x: Any) -> Any:
    """Return arrays of the host, or what is made of them, as the engine's; anything else as it is."""
    return x


def snapshot(x: Any) -> Any:
    """Return what ``get`` will bring to the host, so that later changes of ``x`` do not reach it: here a copy."""
    return x.copy()


def room() -> AbstractContextManager[None]:
    """Within it, what an engine says when its memory is full is made clear; NumPy's ``MemoryError`` is."""
    return nullcontext()


def get(x: Any) -> Any:
    """Return arrays of the engine, or what is made of them, as the host's; anything else as it is."""
    return x
