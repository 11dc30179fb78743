"""Exact best match of packed patterns, compiled; ``kernels/reference/hamming.py`` has the definitions and the layout.

A search may leave a block as soon as no pattern of it can win: the bits counted so far are a lower bound of a distance.
``best_match`` therefore looks at five sixteenths of the words of all patterns first, takes the block that looks nearest for
an upper bound, and then finishes only the blocks that may still hold a nearer pattern. With a cue that is near to a
stored pattern (up to 12 % of the bits wrong) it reads little more than that; with a hopeless cue it reads them twice. The answer is
exact in any case.
"""

from __future__ import annotations

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.popcount import popcount
from neuromem.kernels.cpu.threads import share
from neuromem.kernels.reference.hamming import NONE, ROWS, take

__all__ = ["NONE", "ROWS", "append", "best_match", "block", "distances", "lowest_distances", "take", "top_k"]

LINE = 64  # bytes of a cache line: vectors that straddle two cost half the speed


def block(words: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return (M, n_words) packed patterns as blocks, uint64 of shape (ceil(M / 256), n_words, 256)."""
    m, n_words = words.shape
    blocks = _empty_blocks(-(-m // ROWS), n_words)
    share(lambda first, stop: _place(words, first, stop, blocks, 0), m, threads, ROWS)
    return blocks


def append(blocks: np.ndarray, n_patterns: int, words: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return blocks that hold the ``n_patterns`` of ``blocks`` and then those of ``words``; ``blocks`` itself may be changed.

    There may be more blocks than needed, so that many small appends cost no more than a few large ones.
    """
    needed = -(-(n_patterns + len(words)) // ROWS)
    if needed > len(blocks):
        used = -(-n_patterns // ROWS)
        grown = _empty_blocks(max(needed, len(blocks) + len(blocks) // 2), blocks.shape[1])
        grown[:used] = blocks[:used]
        blocks = grown
    _place(words, 0, len(words), blocks, n_patterns)
    return blocks


def distances(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return the Hamming distances of (B, n_words) cues to all patterns, int32 of shape (B, M)."""
    found = np.empty((len(cues), n_patterns), np.int32)
    share(lambda first, stop: _distances(blocks, first, stop, cues, found), n_patterns, threads, ROWS)
    return found


def best_match(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest pattern of each cue: its index, int64 (B,), and its distance, int32 (B,).

    Of several at the same distance it is the one of the lowest index; without patterns, index -1 and distance ``NONE``.
    The margin to the next one costs a scan of its own: ``top_k`` with k = 2.
    """
    beyond = np.full(len(cues), NONE, np.int32)
    lowest = lowest_distances(blocks, n_patterns, cues, max(1, blocks.shape[1] * 5 // 16), threads)
    if n_patterns:
        _nearest_of(blocks, n_patterns, cues, lowest.argmin(axis=1), beyond)
    index, distance = _search(blocks, n_patterns, cues, 1, lowest, beyond, threads)
    return index[:, 0], distance[:, 0]


def top_k(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, k: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the k >= 1 nearest patterns of each cue, nearest first: indices, int64 (B, k), and distances, int32 (B, k).

    Equal distances stand in order of index. Where there are fewer than k patterns, the rest has index -1 and distance ``NONE``.
    """
    lowest = np.zeros((len(cues), -(-n_patterns // ROWS)), np.int32)
    return _search(blocks, n_patterns, cues, k, lowest, np.full(len(cues), NONE, np.int32), threads)


def lowest_distances(blocks: np.ndarray, n_patterns: int, cues: np.ndarray, n_words: int, threads: int = 1) -> np.ndarray:
    """Return the lowest distance of each block in the first ``n_words`` words, int32 of shape (B, ceil(n_patterns / 256))."""
    lowest = np.empty((len(cues), -(-n_patterns // ROWS)), np.int32)
    share(lambda first, stop: _lowest(blocks, first, stop, cues, n_words, lowest), n_patterns, threads, ROWS)
    return lowest


def _empty_blocks(n_blocks: int, n_words: int) -> np.ndarray:
    size = n_blocks * n_words * ROWS * 8
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(np.uint64).reshape(n_blocks, n_words, ROWS)


def _search(
    blocks: np.ndarray, n_patterns: int, cues: np.ndarray, k: int, lowest: np.ndarray, beyond: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest; ``beyond`` (B,) is more than the distance of the k-th, ``lowest`` has a lower bound for each block."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []

    def part(first: int, stop: int) -> None:
        index = np.full((len(cues), k), -1, np.int64)
        distance = np.repeat(beyond[:, None], k, axis=1)
        _scan(blocks, first, stop, cues, lowest, index, distance)
        parts.append((index, distance))

    share(part, n_patterns, threads, ROWS)
    if len(parts) == 1:
        return parts[0]
    index = np.concatenate([found for found, _ in parts], axis=1)
    distance = np.concatenate([found for _, found in parts], axis=1)
    order = np.lexsort((index, distance), axis=1)[:, :k]  # what a part did not find comes last: it is not nearer
    return np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)


@kernel()
def _place(words, first, stop, blocks, at):
    for i in range(first, stop):
        rows = blocks[(at + i) // ROWS]
        r = (at + i) % ROWS
        for w in range(words.shape[1]):
            rows[w, r] = words[i, w]


@kernel()
def count(rows, cue, first, stop, counts):
    """Add to ``counts`` (256,) how many bits of the words first .. stop - 1 differ between the cue and each row of a block."""
    w = first
    while w + 4 <= stop:  # four words a pass: the counts are read and written a quarter as often
        a, b, c, d = rows[w], rows[w + 1], rows[w + 2], rows[w + 3]
        p, q, s, t = cue[w], cue[w + 1], cue[w + 2], cue[w + 3]
        for r in range(ROWS):
            counts[r] += np.int32(popcount(a[r] ^ p) + popcount(b[r] ^ q) + popcount(c[r] ^ s) + popcount(d[r] ^ t))
        w += 4
    while w < stop:
        a, p = rows[w], cue[w]
        for r in range(ROWS):
            counts[r] += np.int32(popcount(a[r] ^ p))
        w += 1


@kernel()
def _least(counts, n):
    least = np.int32(NONE)
    for r in range(n):
        least = min(least, counts[r])
    return least


@kernel()
def _distances(blocks, first, stop, cues, found):
    counts = np.empty(ROWS, np.int32)
    for b in range(first // ROWS, (stop + ROWS - 1) // ROWS):
        n = min(ROWS, stop - b * ROWS)
        for q in range(len(cues)):
            counts[:] = 0
            count(blocks[b], cues[q], 0, cues.shape[1], counts)
            found[q, b * ROWS : b * ROWS + n] = counts[:n]


@kernel()
def _lowest(blocks, first, stop, cues, n_words, lowest):
    counts = np.empty(ROWS, np.int32)
    for b in range(first // ROWS, (stop + ROWS - 1) // ROWS):
        n = min(ROWS, stop - b * ROWS)
        for q in range(len(cues)):
            counts[:] = 0
            count(blocks[b], cues[q], 0, n_words, counts)
            lowest[q, b] = _least(counts, n)


@kernel()
def _nearest_of(blocks, n_patterns, cues, chosen, beyond):
    """Set ``beyond`` to one more than the lowest distance in the chosen block of each cue."""
    counts = np.empty(ROWS, np.int32)
    for q in range(len(cues)):
        counts[:] = 0
        count(blocks[chosen[q]], cues[q], 0, cues.shape[1], counts)
        beyond[q] = _least(counts, min(ROWS, n_patterns - chosen[q] * ROWS)) + 1


@kernel()
def _scan(blocks, first, stop, cues, lowest, index, distance):
    k = index.shape[1]
    n_words = cues.shape[1]
    counts = np.empty(ROWS, np.int32)
    for b in range(first // ROWS, (stop + ROWS - 1) // ROWS):
        n = min(ROWS, stop - b * ROWS)
        for q in range(len(cues)):
            limit = distance[q, k - 1]
            if lowest[q, b] >= limit:
                continue
            counts[:] = 0
            least = np.int32(0)
            for quarter in range(4):
                count(blocks[b], cues[q], n_words * quarter // 4, n_words * (quarter + 1) // 4, counts)
                least = _least(counts, n)
                if least >= limit:
                    break
            if least < limit:
                _keep(counts, n, b * ROWS, index[q], distance[q])


@kernel()
def _keep(counts, n, at, index, distance):
    """Insert the rows that are nearer than the last of the k kept; later rows stand behind equal ones."""
    k = len(index)
    for r in range(n):
        if counts[r] < distance[k - 1]:
            place = k - 1
            while place > 0 and counts[r] < distance[place - 1]:
                index[place], distance[place] = index[place - 1], distance[place - 1]
                place -= 1
            index[place], distance[place] = at + r, counts[r]
