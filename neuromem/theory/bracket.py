"""The largest whole number for which something holds: doubling until it fails, then bisection."""

from __future__ import annotations

from collections.abc import Callable

from neuromem.errors import SpecError


def largest(holds: Callable[[int], bool], *, start: int = 1, limit: int = 2**53, resolution: float = 0.0) -> tuple[int, bool]:
    """Return the largest ``m`` in 0..``limit`` with ``holds(m)``, and whether the limit stopped the search.

    From ``start`` the number is doubled while it holds, or halved until it does; then the bracket
    (holds, fails) is bisected until it is 1 wide, or no wider than ``resolution`` times its lower
    end. What is returned was tried and held (0 stands for: not even 1). No number is tried twice.
    About 2 log2(result/start) + log2(result) calls.

    ``holds`` is taken to be true up to some number and false beyond. Where it is not (noise), the
    result is *one* place where it changes: ``m`` holds, and some number within the resolution above
    fails. With the limit reached the result is a lower bound.

    Raises:
        SpecError: ``start`` is not in 1..``limit``, or ``resolution`` is not in 0..1.
    """
    if not 1 <= start <= limit:
        raise SpecError(f"start is {start}; expected 1 to the limit of {limit} patterns")
    if not 0 <= resolution < 1:
        raise SpecError(f"resolution is {resolution}; expected a fraction of at least 0 and below 1")
    if holds(start):
        low, high = start, None
        while high is None:
            if low == limit:
                return limit, True
            trial = min(2 * low, limit)
            low, high = (trial, None) if holds(trial) else (low, trial)
    else:
        low, high = 0, start
        while low == 0 and high > 1:
            trial = high // 2
            low, high = (trial, high) if holds(trial) else (0, trial)
    while high - low > max(1, resolution * low):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, False
