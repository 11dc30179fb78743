"""Spikes of Poisson sources: drawn on the host, the same however a run is cut into parts."""

from __future__ import annotations

import numpy as np

from neuromem.ir.program import PoissonTable
from neuromem.ir.randomness import generator

BLOCK = 1000
"""Steps drawn from one named generator; a part of a block is drawn as the whole block."""


def draw_poisson(
    tables: tuple[PoissonTable, ...], seeds: tuple[int, ...], start: int, n_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (replica, step, unit) of the Poisson spikes in ``start <= step < start + n_steps``; steps count from ``start``."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for table in tables:
        size = table.probability.shape[1]
        for replica, seed in enumerate(seeds):
            row = replica if table.probability.shape[0] > 1 else 0
            for block in range(start // BLOCK, -(-(start + n_steps) // BLOCK)):
                rng = generator(seed, table.name, "spikes", block)
                step, unit = np.nonzero(rng.random((BLOCK, size)) < table.probability[row])
                step = step + block * BLOCK
                keep = (step >= start) & (step < start + n_steps) & (step >= table.start[row, unit]) & (step < table.stop[row, unit])
                step, unit = step[keep], unit[keep]
                found.append((np.full(step.size, replica), step - start, unit + table.first))
    if not found:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    return tuple(np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True))  # type: ignore[return-value]
