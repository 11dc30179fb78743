"""Clipped Hebbian (Willshaw) memory on a table of bits, in plain NumPy.

``table[i, j // 64]`` holds at bit ``j % 64`` whether pre unit i connects to post unit j: uint64 (n_pre, n_words(n_post)),
bits beyond n_post 0. Storing a pair (x, y) sets ``table[i, j] = 1`` for i in x and j in y; recall counts, for each post unit j,
the active cue units that connect to it, ``c_j = sum_i x_i table[i, j]``.

Source: D. J. Willshaw, O. P. Buneman, H. C. Longuet-Higgins, Nature 222, 960 (1969), doi:10.1038/222960a0.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.bits import WORD, Rows, bits_of, pack, unpack


def store(table: np.ndarray, pre: Rows, post: Rows, threads: int = 1) -> None:
    """Connect, for each b, the active units of pre pattern b to those of post pattern b; the table changes in place."""
    n_post = WORD * table.shape[1]
    for b in range(pre.n):
        x, y = _active(pre, b), _active(post, b)
        table[x] |= pack(bits_of(Rows(np.array([0, y.size]), y), n_post))


def recall_all(table: np.ndarray, cues: Rows, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units that all active units of the cue connect to; none for an empty cue."""
    recalled = np.zeros((cues.n, table.shape[1]), np.uint64)
    for b in range(cues.n):
        if (x := _active(cues, b)).size:
            recalled[b] = np.bitwise_and.reduce(table[x], axis=0)
    return recalled


def counts(table: np.ndarray, cues: Rows, n_post: int, threads: int = 1) -> np.ndarray:
    """Return int32 (B, n_post): how many active units of the cue connect to each unit."""
    counted = np.zeros((cues.n, n_post), np.int32)
    for b in range(cues.n):
        counted[b] = unpack(table[_active(cues, b)], n_post).sum(axis=0)
    return counted


def recall_threshold(table: np.ndarray, cues: Rows, n_post: int, thresholds: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units with a count of at least ``thresholds[b]``, int64 (B,), each at least 1."""
    return pack(counts(table, cues, n_post) >= thresholds[:, np.newaxis])


def recall_winners(table: np.ndarray, cues: Rows, n_post: int, k: int, threads: int = 1) -> np.ndarray:
    """Return, packed (B, n_words), the units whose count is at least the k-th largest: ties are kept, counts of 0 never win."""
    counted = counts(table, cues, n_post)
    if k > n_post:
        return pack(counted > 0)
    kth = np.partition(counted, n_post - k, axis=1)[:, n_post - k]
    return pack(counted >= np.maximum(kth, 1)[:, np.newaxis])


def _active(rows: Rows, b: int) -> np.ndarray:
    return rows.units[rows.start[b] : rows.start[b + 1]]
