"""The patterns that each row of a table takes part in: the transpose of rows of active units."""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel


@kernel()
def by_row(pre_start, pre_units, n_pre):
    """Return the patterns that each row takes part in: those of row i are ``patterns[visits[i] : visits[i + 1]]``."""
    visits = np.zeros(n_pre + 2, np.int64)  # one place further, so that the starts can serve as cursors
    for i in pre_units:
        visits[i + 2] += 1
    for i in range(n_pre):
        visits[i + 2] += visits[i + 1]
    patterns = np.empty(pre_units.size, np.int32)
    for b in range(pre_start.size - 1):
        for i in pre_units[pre_start[b] : pre_start[b + 1]]:
            patterns[visits[i + 1]] = b
            visits[i + 1] += 1
    return visits[:-1], patterns
