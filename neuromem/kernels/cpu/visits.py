"""The patterns that each row of a table takes part in: the transpose of rows of active units."""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel


@kernel()
def by_row(start, units, n_rows, first, stop):
    """Return, of the patterns ``first`` to ``stop``, those that each row is active in: of row i ``patterns[visits[i] : visits[i + 1]]``."""
    visits = np.zeros(n_rows + 2, np.int64)  # one place further, so that the starts can serve as cursors
    taken = units[start[first] : start[stop]]
    for i in taken:
        visits[i + 2] += 1
    for i in range(n_rows):
        visits[i + 2] += visits[i + 1]
    patterns = np.empty(taken.size, np.int32)
    for b in range(first, stop):
        for i in units[start[b] : start[b + 1]]:
            patterns[visits[i + 1]] = b
            visits[i + 1] += 1
    return visits[:-1], patterns
