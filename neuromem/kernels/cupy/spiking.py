"""Spiking networks on the device: many steps of many replicas in one call; ``kernels/cpu/spiking.py`` has the arrays (with one lane).

There are two ways through a step, of the same parts and the same float64 arithmetic, in the order of the reference and without fused operations:

*In order* (``quantum`` None): one block a replica runs all steps of the call in one launch. Arriving weights are added row by row, with a barrier
between rows, so that everything has the bits of the reference. Bound by latency: a step is some ten barriers and as many dependent
loads, and each row that is sent one more of both; blocks of other replicas fill the gaps.

*Counted* (``quantum`` a power of two, in nA): a few launches a step over the whole device, for large networks. Arriving weights are whole numbers
of the quantum, added by integer atomics: their sum is the same in every order and every run, and it is exact but for half a quantum a weight.
Against the reference, which rounds after each of n additions, a sum differs by at most ``n (eps sum|w| + quantum / 2)``, eps = 2^-52. Bound by
memory: a neuron reads 48 bytes and writes 24 in a step, and 32 more where something arrives; a synapse that is sent moves 12 bytes (4 where all
weights are equal) and one atomic; a plastic one, learned and sent in one pass, 48, or 64 where it is deferred.

``drive``, ``out`` and the number of steps stay the same through a call, so the launches of a step have equal arguments: what is on the device says
which step it is. They could be replayed as a CUDA graph.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cupy as cp
import numpy as np

from neuromem.kernels.cupy.runtime import BLOCK, Source, blocks_for, empty

if TYPE_CHECKING:
    from neuromem.kernels.cpu.spiking import Cells, Drive, Output, Plastic, State, Static

_cuda = Source("spiking")

MOST_THREADS = 640
"""Threads of a block that has a replica for itself: as many as leave each the 96 registers that its kernel needs."""

ROW_BLOCK = 128
"""Threads that share a row of synapses: rows have about a hundred, or thousands."""

BLOCKS_EACH = 8
"""Blocks for each multiprocessor that share the spikes of a step: enough to hide the latency of their loads."""

MOST_REPLICAS = 65535
"""Blocks in a grid's second dimension; kernels loop over what is more."""


def advance(
    cells: Cells,
    static: Static,
    plastic: Plastic,
    state: State,
    drive: Drive,
    out: Output,
    n_sources: int,
    t_start: int,
    shift: int,
    g_first: int,
    g_last: int,
    quantum: float | None = None,
    done: int = 0,
) -> None:
    """Run the replicas ``g_first <= g < g_last`` from where ``out.done`` says, at least ``done``, to the end of the call.

    A replica stops early, between two steps, when its spike buffer could overflow in the next step; ``out.done`` tells, and the caller
    empties the buffers and calls again. With a ``quantum`` (nA), ``state.arriving`` is uint64: whole numbers of it, in two's complement.
    ``shift`` is 0: replicas have no lanes here.
    """
    n, n_steps, replicas = state.v.shape[1], drive.plastic.size, g_last - g_first
    if n_steps == done or replicas == 0:
        return
    n_slots, n_past, n_units = state.arriving.shape[1], state.fired.shape[1], state.fired.shape[2]
    the_cells = (*cells, cells.v_rest.shape[0], cells.runs.shape[0])
    the_static = (*static, static.pointer.shape[1], static.delays.size, *static.weight.shape)
    the_plastic = (*plastic, plastic.ints.shape[0])
    traces = (*state[5:13], *(state[i].shape[1] for i in (5, 6, 7, 9, 11)))
    fired = (state.fired, state.n_fired, n_past, n_units)
    the_drive, output = (*drive, n_steps), (*out, out.step.shape[1], out.probe.shape[0], out.states.shape[2])
    words = empty((g_last, blocks_for(n, 32)), "uint32")
    if quantum is None:
        _cuda.launch(
            "advance_in_order", replicas, _threads_for(n), *the_cells, *state[:4], state.arriving, *the_static, *the_plastic, *traces, *fired,
            *the_drive, *output, words, n, n_sources, n_slots, t_start, g_first,
        )  # fmt: skip
        return
    per_replica, busy = min(replicas, MOST_REPLICAS), BLOCKS_EACH * _multiprocessors()
    step_now = empty(g_last, "int64")
    launches: list[tuple[Any, ...]] = []
    if n:
        launches.append(
            (
                "neurons", (blocks_for(n), per_replica), BLOCK, *the_cells, *state[:4], state.arriving, np.float64(quantum), *output, words,
                n, n_units, n_slots, n_steps, t_start, g_first, g_last,
            )
        )  # fmt: skip
    launches.append(
        (
            "collect", replicas, _threads_for(blocks_for(n, 32)), *fired, *the_drive, *output, words, step_now, n, n_sources, t_start, g_first,
        )
    )  # fmt: skip
    if plastic.ints.shape[0]:
        blocks = min(blocks_for(n_units, ROW_BLOCK // 32), busy)
        launches.append(
            ("arrivals", (blocks, per_replica), ROW_BLOCK, *the_plastic, *traces, *fired, drive.plastic, step_now, t_start, g_first, g_last)
        )
    if plastic.ints.shape[0] or static.target.size:
        launches.append(
            (
                "rows", (min(n_units, busy), per_replica), ROW_BLOCK, state.arriving, np.float64(1.0 / quantum), *the_static, *the_plastic,
                *traces, *fired, drive.plastic, step_now, n, n_slots, t_start, g_first, g_last,
            )
        )  # fmt: skip
    for _ in range(n_steps - done):
        for launch in launches:
            _cuda.launch(*launch)


def _threads_for(n: int) -> int:
    """Return the threads of one block for n numbers: whole warps, as full in its last round over them as in the others."""
    return 32 * blocks_for(n, 32 * blocks_for(n, MOST_THREADS))


@functools.cache
def _multiprocessors() -> int:
    return int(cp.cuda.Device().attributes["MultiProcessorCount"])
