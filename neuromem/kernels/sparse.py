"""A binary table too large for bits: each row is the list of its post units, as bytes.

The distinct units u_0 < u_1 < ... of a row are kept as the gaps ``u_m - u_(m-1) - 1`` (with u_(-1) = -1), each in groups of seven
bits, lowest first, one group a byte, the top bit set on all but the last byte of a gap. A row of r units among n takes about
1.6 bytes a unit for n / r = 250 and 2.0 for n / r = 3000, where int32 would take 4 and a bit table n / (8 r) = 31 and 375.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class SparseTable(NamedTuple):
    """Synapses of n_pre rows: those of row i are the gaps in ``data[start[i] : start[i + 1]]``.

    ``start`` is int64 of shape (n_pre + 1,), ``data`` uint8; post units are below ``n_post``.
    """

    start: np.ndarray
    data: np.ndarray
    n_post: int


def nbytes(table: SparseTable) -> int:
    """Return how many bytes the table takes."""
    return int(table.start.nbytes + table.data.nbytes)


def n_synapses(table: SparseTable) -> int:
    """Return how many synapses the table has: each ends with the one byte whose top bit is clear."""
    part = 1 << 24  # bytes at a time, so that the comparison takes no memory to speak of
    return sum(int(np.count_nonzero(table.data[first : first + part] < 128)) for first in range(0, table.data.size, part))
