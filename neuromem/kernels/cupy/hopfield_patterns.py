"""Hebbian weights of bipolar units from packed patterns, on the device; ``kernels/reference/hopfield.py`` has the definitions.

What binds them: ``transpose`` moves each word once in and once out. ``overlaps`` of up to eight cues read the patterns once and are bound by memory;
with more cues, and for ``hebb_matrix`` and ``coactivity_matrix``, tiles of 64 x 64 pairs are counted from shared memory, bound by counts of bits (16 of
32 bits a clock and multiprocessor). ``fields`` count bits too: one count for each bit of an overlap, of which each word of the weights is 64. Recall
unit by unit is one launch, bound by how many units are visited: a cue is a block's, and the cues of a batch run side by side.
"""

from __future__ import annotations

from typing import Any

import cupy as cp
import numpy as np

from neuromem.kernels.bits import n_words
from neuromem.kernels.cupy.bits import pack
from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty, zeros
from neuromem.kernels.reference.hopfield import Settled, check_fits

_cuda = Source("hopfield_patterns")

MOST_BLOCKS = 65535
"""Blocks in a grid's second dimension; kernels loop over what is more."""

MOST_WARPS = 1 << 20
"""Warps of a launch in which they loop over what is more."""

SIDE = 64
"""Items on a side of a tile of pairs."""

PLANES = 32
"""Bits of an overlap."""

FEW = 8
"""Cues whose overlaps are found in one pass over the patterns."""

ROOM = 1 << 28
"""Bytes of planes that a call takes at most."""

MANY = 2048
"""Patterns from which on a cue is worth a block of the largest size."""


def transpose(x: Any, n_units: int, threads: int = 1) -> Any:
    """Return patterns by pattern (M, n_words(N)) as patterns by unit (n_words(M), N)."""
    m, width = x.shape
    xt = empty((n_words(m), n_units), "uint64")
    if xt.size:
        grid = blocks_for(width, 16), min(len(xt), MOST_BLOCKS)
        _cuda.launch("transpose", grid, BLOCK, x, m, width, n_units, xt)
    return xt


def hebb_matrix(xt: Any, n_patterns: int, dtype: np.typing.DTypeLike = np.int16, threads: int = 1) -> Any:
    """Return ``w_ij = sum_m x_mi x_mj``, (N, N) with a diagonal of 0, as int16 or int32.

    Raise ``ValueError`` where the largest weight possible, ``n_patterns``, is not a number of that kind.
    """
    check_fits(n_patterns, dtype)
    n = xt.shape[1]
    w = empty((n, n), dtype)
    _over_pairs(f"hebb_{w.dtype}", n, n, xt, n_patterns, len(xt), n, w)
    return w


def coactivity_matrix(xt: Any, n_patterns: int, threads: int = 1) -> Any:
    """Return in how many patterns units i and j are both 1, int32 (N, N); the diagonal counts those of each unit."""
    n = xt.shape[1]
    both = empty((n, n), "int32")
    _over_pairs("coactivity", n, n, xt, len(xt), n, both)
    return both


def overlaps(x: Any, states: Any, n_units: int, threads: int = 1) -> Any:
    """Return ``o_bm = sum_i s_bi x_mi`` of packed states (B, n_words(N)), int32 (B, M)."""
    b, (m, width) = len(states), x.shape
    found = empty((b, m), "int32")
    if b > FEW:
        _over_pairs("overlaps_of_many", b, m, x, m, states, b, width, n_units, found)
    elif found.size:
        lanes = 1 << min(5, (-(-width // 2) - 1).bit_length())  # two words each
        _over_warps(
            "overlaps_of_one" if b == 1 else "overlaps_of_eight", -(-m * lanes // 32), x, m, states, b, width, n_units, lanes, found
        )
    return found


def fields(xt: Any, n_patterns: int, overlaps: Any, threads: int = 1) -> Any:
    """Return ``h_bj = sum_m o_bm x_mj`` of int32 overlaps (B, M), int64 (B, N); self-coupling is part of it."""
    b, (width, n) = len(overlaps), xt.shape
    h, totals = empty((b, n), "int64"), overlaps.sum(axis=1, dtype="int64")
    part = max(1, ROOM // (8 * PLANES * max(1, width)))
    for first in range(0, b if n else 0, part):
        cues = slice(first, first + part)
        of_part = overlaps[cues]
        planes, n_planes = empty((len(of_part), width, PLANES), "uint64"), empty((len(of_part), width), "int32")
        if width:
            _over_warps("planes_of_overlaps", n_planes.size, of_part, len(of_part), n_patterns, width, planes, n_planes)
        grid = blocks_for(n), min(-(-len(of_part) // 4), MOST_BLOCKS)
        _cuda.launch("fields", grid, BLOCK, xt, width, n, planes, n_planes, totals[cues], len(of_part), h[cues])
    return h


def async_recall_patterns(
    x: Any,
    yt: Any,
    n_patterns: int,
    states: Any,
    orders: Any,
    max_sweeps: int,
    self_coupling: bool = False,
    threads: int = 1,
) -> Settled:
    """Return the same for ``w_ij = sum_m x_mi y_mj``, of which only the patterns exist: ``x`` by pattern, ``yt`` by unit.

    One launch. A block has a cue and its M overlaps, in shared memory up to 10,240 patterns: an input is a sum over them, a flip changes each by 2.
    """
    b, n = states.shape
    settled = at_cues(states)
    if b:
        xt, width = transpose(x, n), len(yt)
        own = zeros(n, "int64")
        if not self_coupling:
            _cuda.launch("own_weights", blocks_for(n), BLOCK, xt, yt, n_patterns, width, n, own)
        x_rows, y_rows = (cp.ascontiguousarray(by_unit.T) for by_unit in (xt, yt))
        room = empty((b, 64 * width), "int32")  # for overlaps that do not fit into shared memory
        _cuda.launch(
            "settle_patterns", b, 1024 if n_patterns >= MANY else BLOCK, x_rows, y_rows, own, n_patterns, width,
            overlaps(x, pack(states > 0), n), room, n, orders, orders.shape[1], max_sweeps, *settled,
        )  # fmt: skip
    return settled


def energy_patterns(x: Any, states: Any, n_units: int, self_coupling: bool = False, threads: int = 1) -> Any:
    """Return the same for the Hebbian weights of patterns, both packed: ``-1/2 (sum_m o_m^2 - M N)``, or without ``- M N``."""
    own = 0.0 if self_coupling else float(len(x) * n_units)
    o = overlaps(x, states, n_units).astype("float64")
    return -0.5 * ((o * o).sum(axis=1) - own)  # a power on the device is not exact for whole numbers


def at_cues(states: Any) -> Settled:
    """Return where recall begins."""
    b = len(states)
    return Settled(states.astype("int8", order="C"), zeros(b, "int32"), zeros(b, "int64"), zeros(b, "bool"))


def _over_pairs(name: str, rows: int, columns: int, *arguments: Any) -> None:
    if rows and columns:
        _cuda.launch(name, (blocks_for(columns, SIDE), min(blocks_for(rows, SIDE), MOST_BLOCKS)), BLOCK, *arguments)


def _over_warps(name: str, warps: int, *arguments: Any) -> None:
    _cuda.launch(name, blocks_for(32 * min(warps, MOST_WARPS)), BLOCK, *arguments)
