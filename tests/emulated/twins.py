"""Kernels of the device as if they were kernels of the host, so that the tests of the twins run on them as they are."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np

import emulated


def twin(subject: str) -> Any:
    """Return the module of CUDA kernels of a subject, taking and returning NumPy's arrays; arrays changed in place are copied back."""
    emulated.install()
    module = importlib.import_module(f"neuromem.kernels.cupy.{subject}")
    runtime = importlib.import_module("neuromem.kernels.cupy.runtime")

    def on_host(function: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            moved: list[tuple[np.ndarray, Any]] = []
            args = tuple(_moved(a, moved, runtime) for a in args)
            kwargs = {name: _moved(a, moved, runtime) for name, a in kwargs.items()}
            result = _back(function(*args, **kwargs), runtime)
            for host, device in moved:
                now = runtime.get(device)
                if host.flags.writeable and host.tobytes() != now.tobytes():
                    host[...] = now
            return result

        return called

    public = {n: getattr(module, n) for n in dir(module) if not n.startswith("_")}
    own = {
        n: on_host(v) if callable(v) and getattr(v, "__module__", "").startswith("neuromem.kernels") and not isinstance(v, type) else v
        for n, v in public.items()
    }
    return SimpleNamespace(**own, __name__=module.__name__)


def _moved(a: Any, moved: list[tuple[np.ndarray, Any]], runtime: Any) -> Any:
    if isinstance(a, np.ndarray):
        device = runtime.put(a)
        moved.append((a, device))
        return device
    if isinstance(a, tuple) and hasattr(a, "_fields"):
        return type(a)(*(_moved(x, moved, runtime) for x in a))
    return a


def _back(x: Any, runtime: Any) -> Any:
    if isinstance(x, tuple):
        parts = [_back(y, runtime) for y in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return runtime.get(x) if hasattr(x, "get") and hasattr(x, "dtype") else x
