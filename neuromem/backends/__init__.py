"""Backends: what executes a Program. One line in ``BACKENDS`` for each; nothing is imported until asked for."""

from __future__ import annotations

import importlib
from typing import Any

from neuromem.backends.base import Backend, Checkpoint, Refusal, Simulation, Support, features
from neuromem.errors import SpecError, listing, nearest

# name -> (module, class)
BACKENDS: dict[str, tuple[str, str]] = {
    "reference": ("neuromem.backends.reference", "ReferenceBackend"),
    "cpu": ("neuromem.backends.cpu", "CpuBackend"),
    "brian2": ("neuromem.backends.brian2", "Brian2Backend"),
    "brian2cuda": ("neuromem.backends.brian2cuda", "Brian2CudaBackend"),
    "cupy": ("neuromem.backends.cupy", "CupyBackend"),
    "spinnaker-emulator": ("neuromem.backends.spinnaker_emulator", "SpinnakerEmulatorBackend"),
}


def backend_class(name: str) -> type[Backend]:
    """Return the class of the backend called ``name``; raise ``SpecError`` with the valid names otherwise."""
    if not isinstance(name, str) or name not in BACKENDS:
        raise SpecError(f"backend {name!r}; expected one of {listing(BACKENDS)}{nearest(str(name), BACKENDS)}.")
    module, attribute = BACKENDS[name]
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


def backend_options(name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and options, with ``brian2:cython`` spelled out as brian2 with ``codegen="cython"``."""
    if not isinstance(name, str):
        return name, options  # ``backend_class`` says what was expected
    plain, _, codegen = name.partition(":")
    if codegen and options.get("codegen", codegen) != codegen:
        raise SpecError(f"backend {name!r} with codegen = {options['codegen']!r}; expected one of the two.")
    return plain, options | {"codegen": codegen} if codegen else options


def load_backend(name: str, **options: Any) -> Backend:
    """Return the backend called ``name``, ready to build; raise ``BackendMissingError`` saying what to type if it is not installed."""
    name, options = backend_options(name, options)
    kind = backend_class(name)
    try:
        return kind(**options)
    except TypeError:
        if not options:
            raise
        raise SpecError(f"backend {name!r}: options {listing(options)}; it does not know them (codegen is an option of brian2).") from None


__all__ = [
    "BACKENDS",
    "Backend",
    "Checkpoint",
    "Refusal",
    "Simulation",
    "Support",
    "backend_class",
    "backend_options",
    "features",
    "load_backend",
]
