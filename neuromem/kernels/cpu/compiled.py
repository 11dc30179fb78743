"""How kernels are compiled: by numba, once for a machine, with a cache that may fail without harm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from numba import njit


class ForgivingCache:
    """A numba cache whose failures mean compiling again: a full disk, a damaged file, a folder gone read-only."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled code, or None."""
        try:
            return self._cache.load_overload(signature, target_context)
        except Exception:  # numba lets through whatever a damaged file makes pickle raise
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep the compiled code where that is possible."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(signature, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of kernels: no GIL, NumPy's rules for division, IEEE arithmetic as written."""

    def compiled(function: Callable[..., Any]) -> Any:
        settings = {"nogil": True, "error_model": "numpy", **options}
        try:
            dispatcher = njit(cache=True, **settings)(function)
        except RuntimeError:  # numba found no folder that it may write to
            return njit(**settings)(function)
        dispatcher._cache = ForgivingCache(dispatcher._cache)
        return dispatcher

    return compiled
