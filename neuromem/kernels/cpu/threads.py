"""Sharing a kernel's rows among threads. Kernels release the GIL; a parallel layer would spin or abort when cores are busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def share(run: Callable[[int, int], object], n: int, threads: int, multiple: int = 1) -> None:
    """Call ``run(first, stop)`` for parts that cover ``range(n)``, one part for each thread.

    Parts begin at multiples of ``multiple``, so that no two threads write to one word.
    """
    blocks = -(-n // multiple)
    threads = max(1, min(threads, blocks))
    if threads == 1:
        run(0, n)
        return
    bounds = [min(n, blocks * part // threads * multiple) for part in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as pool:
        futures = [pool.submit(run, bounds[part], bounds[part + 1]) for part in range(1, threads)]
        run(bounds[0], bounds[1])  # the caller's thread works too
        for future in futures:
            future.result()
