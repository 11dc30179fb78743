"""Sharing a kernel's rows among threads. Kernels release the GIL; a parallel layer would spin or abort when cores are busy."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

WORTH = 1 << 22  # words that take several times longer to go through (0.5 ms and more) than to hand a part to another thread


PARTS = 4
"""Parts for each thread, where they cost nothing."""


def worth(threads: int, words: int) -> int:
    """Return how many threads of those allowed have enough to do where so many words of 64 bits are gone through."""
    return min(threads, 1 + words // WORTH)


@functools.cache
def _pool(helpers: int) -> ThreadPoolExecutor:
    """Return threads that stay: starting them anew costs ten times what handing them work does."""
    return ThreadPoolExecutor(helpers, thread_name_prefix="neuromem")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of its parent's threads


def share(run: Callable[[int, int], object], n: int, threads: int, multiple: int = 1, parts: int = PARTS) -> None:
    """Call ``run(first, stop)`` for parts that cover ``range(n)``, ``parts`` for each thread.

    Parts begin at multiples of ``multiple``, so that no two threads write to one word. Threads take the parts in turn: with
    several, a thread whose processor is busy with something else leaves most of them to the others. ``parts = 1`` is for work
    that begins anew with every part.
    """
    blocks = -(-n // multiple)
    threads = max(1, min(threads, blocks))
    if threads == 1:
        run(0, n)
        return
    total = min(blocks, threads * parts)
    bounds = [min(n, blocks * part // total * multiple) for part in range(total + 1)]
    turn = itertools.count()

    def work() -> None:
        while (part := next(turn)) < total:
            run(bounds[part], bounds[part + 1])

    futures = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    try:
        work()  # the caller's thread works too
    finally:
        wait(futures)  # none may still write when the caller goes on, whatever happened
    for future in futures:
        future.result()
