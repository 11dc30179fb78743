"""The exceptions of neuromem.

Every message names the object, the value, what was expected, where, and what to do about it.
Each class is also the built-in exception that a caller would think of first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeuromemError(Exception):
    """Base of all errors that neuromem raises on purpose."""


class SpecError(NeuromemError, ValueError):
    """A definition (network, model parameters, protocol) is wrong."""


class FileError(NeuromemError, ValueError):
    """A file that the user gave cannot be used; the text begins ``path:line: key``."""


class UnsupportedError(NeuromemError, NotImplementedError):
    """A backend was asked for something that its ``Support`` refuses."""


class BackendMissingError(NeuromemError, ImportError):
    """A backend, or a tool that it needs, is not installed; the text says what to type."""


class LimitError(NeuromemError, MemoryError):
    """Something needs more of a resource than there is; the text names resource, need, maximum and what would reduce it."""


class StoreError(NeuromemError, OSError):
    """A run cannot be written or read."""


class NotConvergedWarning(UserWarning):
    """Some cues still changed when the recall ended; which ones is in ``Recalled.converged``."""


class OverloadWarning(UserWarning):
    """More was stored than theory says the memory can recall."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the valid name closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listing(names: Iterable[str]) -> str:
    """Return names sorted and separated by commas, for use at the end of a message."""
    return ", ".join(sorted(names))
