"""What units make of their inputs, on the device: the same functions as ``neuromem.kernels.activation``, which has the definitions.

Bound by memory: ``sign`` reads an input once; of winners and soft winners a block has a group of a cue, whose inputs are read two to ten times,
from the second time on out of the caches. The k-th largest is found by histograms of eight bits of the inputs' order, so that no one sorts.
NaN never wins, except that a group's only winner is its first NaN, as it is NumPy's.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty

_cuda = Source("activation")

SMALL = 128
"""Units of a group up to which a warp is enough for it."""

MOST_BLOCKS = 1 << 20
"""Blocks of a launch; the kernel of ``sign`` loops over what is more."""


def sign(h: Any, bits: Any) -> Any:
    """Return 1 where h > 0 and 0 where h < 0; where h = 0 the bit stays."""
    active = empty(h.shape, "bool")
    if h.size:
        blocks = min(MOST_BLOCKS, blocks_for(h.size))
        _cuda.launch(f"sign_{h.dtype}", blocks, BLOCK, cp.ascontiguousarray(h), cp.ascontiguousarray(bits), h.size, active)
    return active


def winners(h: Any, k: int, groups: int, ties: str) -> Any:
    """Return the ``k / groups`` largest of each group as booleans.

    ``ties = "all"``: every unit that reaches the last winner's input, if that is above 0; ``"first"``: exactly k.
    """
    each = k // groups
    if each == 1 and ties == "first":
        return _of_groups("largest", h, groups, "bool", _threads(h, groups))
    return _of_groups("winners", h, groups, "bool", BLOCK, each, int(ties == "all"))


def soft(h: Any, groups: int, gain: float) -> Any:
    """Return ``exp(gain h)``, normalised within each group, float32.

    With u = 2**-24: of float32 inputs the exponent is the definition's to the bit, ``expf`` errs by 1 unit in the last place, 2 u, and so does
    the sum of its values, in float64; rounded, that is 5 u of each number. Of others all is float64, and a number errs by u.
    """
    return _of_groups("soft", h, groups, "float32", _threads(h, groups), np.float64(gain))


def _threads(h: Any, groups: int) -> int:
    return 32 if h.shape[1] // groups <= SMALL else BLOCK


def _of_groups(name: str, h: Any, groups: int, dtype: str, threads: int, *options: Any) -> Any:
    b, n = h.shape
    made = empty((b, n), dtype)
    if made.size:
        _cuda.launch(f"{name}_{h.dtype}", b * groups, threads, cp.ascontiguousarray(h), n // groups, *options, made)
    return made
