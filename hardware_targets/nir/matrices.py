"""Synapses as the dense matrices of NIR, one for each delay, and back as a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuromem.ir.program import PopulationTable, ProjectionTable


@dataclass(frozen=True, eq=False)
class Rows:
    """Synapses as vectors of one length: ``pre`` and ``post`` units within their populations, ``delay`` in steps, ``weight`` in nA, signed."""

    pre: np.ndarray
    post: np.ndarray
    delay: np.ndarray
    weight: np.ndarray

    def equals(self, other: Rows) -> bool:
        """Return whether both list the same synapses in the same order."""
        names = ("pre", "post", "delay", "weight")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)


def rows_of(table: ProjectionTable, pre: PopulationTable, post: PopulationTable) -> Rows:
    """Return the synapses of a projection; weights are negative on the inhibitory receptor."""
    sign = -1.0 if table.receptor == "inhibitory" else 1.0
    return Rows(table.pre - pre.first, table.post - post.first, table.delay, sign * table.weight[0])


def matrices_of(table: ProjectionTable, pre: PopulationTable, post: PopulationTable) -> dict[int, np.ndarray]:
    """Return, for each delay (steps), the matrix of weights (n_post, n_pre) in nA; synapses of one pair and delay add up."""
    return dense(rows_of(table, pre, post), pre.size, post.size)


def dense(rows: Rows, n_pre: int, n_post: int) -> dict[int, np.ndarray]:
    """Return the matrices of a list of synapses, by delay; one of zeros at delay 1 for an empty list."""
    parts = {}
    for delay in np.unique(rows.delay).tolist() or [1]:
        matrix = np.zeros((n_post, n_pre))
        mine = rows.delay == delay
        np.add.at(matrix, (rows.post[mine], rows.pre[mine]), rows.weight[mine])
        parts[int(delay)] = matrix
    return parts


def listed(parts: Mapping[int, np.ndarray]) -> Rows:
    """Return the entries of matrices that are not 0, sorted by (pre, post, delay)."""
    found = []
    for delay, matrix in parts.items():
        pre, post = np.nonzero(matrix.T)
        found.append(Rows(pre, post, np.full(pre.size, delay, dtype=np.int64), matrix[post, pre]))
    joined = Rows(*(np.concatenate([getattr(rows, name) for rows in found]) for name in ("pre", "post", "delay", "weight")))
    order = np.lexsort((joined.delay, joined.post, joined.pre))
    return Rows(joined.pre[order], joined.post[order], joined.delay[order], joined.weight[order])


def restored(table: ProjectionTable, parts: Mapping[int, np.ndarray], pre: PopulationTable, post: PopulationTable) -> bool:
    """Return whether the matrices alone give the synapses back, in their order."""
    return listed(parts).equals(rows_of(table, pre, post))


def lost_in_matrices(table: ProjectionTable) -> int:
    """Return how many synapses of a projection are no entry of its own in a matrix: those of weight 0, and repeated pairs."""
    kept = table.weight[0] != 0.0
    pairs = np.stack([table.pre[kept], table.post[kept], table.delay[kept]])
    return table.n_synapses - int(np.unique(pairs, axis=1).shape[1])
