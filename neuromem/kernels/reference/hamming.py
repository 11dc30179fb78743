"""Exact best match of packed patterns: which stored pattern differs from a cue in the fewest bits.

The Hamming distance of a cue q and a pattern x is the number of set bits of ``q ^ x``. Nothing is approximate, and of
equally distant patterns the one stored first is the nearer.

Patterns are kept in *blocks* of 256, a block word by word: ``blocks[b, w, r]`` is word w of pattern ``256 b + r``, so that
one word of the cue meets 256 patterns in one vector loop, and a block of 1,024-bit patterns (32 KiB) stays in the first
cache while many cues pass over it. Rows beyond ``n_patterns`` are room for more.
"""

from __future__ import annotations

import numpy as np

ROWS = 256
"""Patterns in a block."""

NONE = np.iinfo(np.int32).max
"""The distance of a pattern that is not there; its index is -1."""


def block(words: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return (M, n_words) packed patterns as blocks, uint64 of shape (ceil(M / 256), n_words, 256)."""
    m, n_words = words.shape
    rows = np.zeros((-(-m // ROWS) * ROWS, n_words), np.uint64)
    rows[:m] = words
    return np.ascontiguousarray(rows.reshape(-1, ROWS, n_words).transpose(0, 2, 1))


def append(blocks: np.ndarray, n_patterns: int, words: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return blocks that hold the ``n_patterns`` of ``blocks`` and then those of ``words``; ``blocks`` itself may be changed.

    There may be more blocks than needed, so that many small appends cost no more than a few large ones.
    """
    return block(np.concatenate([take(blocks, np.arange(n_patterns)), words]))


def take(blocks: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the patterns at ``index`` (k,) as packed rows (k, n_words)."""
    return np.ascontiguousarray(blocks[index // ROWS, :, index % ROWS])


def distances(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return the Hamming distances of (B, n_words) cues to all patterns, int32 of shape (B, M)."""
    patterns = take(blocks, np.arange(n_patterns))
    return np.bitwise_count(cues[:, None, :] ^ patterns).sum(axis=2, dtype=np.int32)


def best_match(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest pattern of each cue: its index, int64 (B,), and its distance, int32 (B,).

    Of several at the same distance it is the one of the lowest index; without patterns, index -1 and distance ``NONE``.
    The margin to the next one costs a scan of its own: ``top_k`` with k = 2.
    """
    index, distance = top_k(blocks, n_patterns, cues, 1)
    return index[:, 0], distance[:, 0]


def top_k(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, k: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the k >= 1 nearest patterns of each cue, nearest first: indices, int64 (B, k), and distances, int32 (B, k).

    Equal distances stand in order of index. Where there are fewer than k patterns, the rest has index -1 and distance ``NONE``.
    """
    every = distances(blocks, n_patterns, cues)
    index = np.full((len(cues), k), -1, np.int64)
    distance = np.full((len(cues), k), NONE, np.int32)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    index[:, : order.shape[1]] = order
    distance[:, : order.shape[1]] = np.take_along_axis(every, order, axis=1)
    return index, distance
