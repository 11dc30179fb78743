"""A trial: random patterns are stored, and each is recalled from a noisy cue."""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.errors import SpecError
from neuromem.quantities import is_number, is_whole
from neuromem.spec.value import named


@named
@dataclass(frozen=True)
class Trial:
    """Store ``n_patterns`` random patterns, then recall each from a cue with these errors.

    ``flips``: fraction of all units inverted (bipolar units). ``deletions``: fraction of the active units made silent.
    ``additions``: silent units made active, as a fraction of the active ones. ``moves``: fraction of hypercolumns whose winner is
    moved to another unit. ``noise``: standard deviation of what is added to real-valued cues, relative to the patterns'.
    Numbers of units are rounded. A memory takes the errors that its patterns can have.
    """

    n_patterns: int
    flips: float = 0.0
    deletions: float = 0.0
    additions: float = 0.0
    moves: float = 0.0
    noise: float = 0.0
    name: str = "trial"

    def __post_init__(self) -> None:
        if not is_whole(self.n_patterns) or self.n_patterns < 1:
            raise SpecError(f"Trial: n_patterns = {self.n_patterns!r}; expected a whole number of patterns, at least 1.")
        for name, most in (("flips", 1.0), ("deletions", 1.0), ("additions", 100.0), ("moves", 1.0), ("noise", 100.0)):
            value = getattr(self, name)
            if not is_number(value) or not 0.0 <= value <= most:
                raise SpecError(f"Trial: {name} = {value!r}; expected a fraction from 0 to {most:g}.")
