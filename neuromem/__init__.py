"""A simulator for neuromorphic and associative memories: define once, run on engines that agree."""

from neuromem import models
from neuromem.api import (
    InterruptedRun,
    RunResult,
    StoredRun,
    build,
    check,
    fit,
    load_model,
    load_protocol,
    lower,
    memory_needed,
    open_run,
    run,
    save_run,
)

__all__ = [
    "InterruptedRun",
    "RunResult",
    "StoredRun",
    "build",
    "check",
    "fit",
    "load_model",
    "load_protocol",
    "lower",
    "memory_needed",
    "models",
    "open_run",
    "run",
    "save_run",
]
