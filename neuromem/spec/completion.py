"""What a perfect autoassociative memory would answer: a stored pattern, completed from a part of it."""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.patterns import Pattern


@dataclass(frozen=True)
class PatternCompletion:
    """Makes the ideal memory of an autoassociative network; ``stored`` is what it knows from the beginning.

    ``MemoryModel.ideal = PatternCompletion()`` is for networks that learn, and
    ``PatternCompletion(stored=patterns)`` for those that are built with their weights.
    """

    stored: tuple[Pattern, ...] = ()

    def __call__(self) -> CompletedPatterns:
        """Return the memory that knows ``stored``."""
        return CompletedPatterns(self.stored)


class CompletedPatterns:
    """Stored patterns, of which recall returns the one most like the cue.

    Likeness is Jaccard's index, the units in common over the units of either; of equally like
    patterns, the one stored first. A cue that shares no unit with any pattern is answered as it is.
    ``content`` is no more than a signal: what is stored is the cue.
    """

    def __init__(self, stored: tuple[Pattern, ...] = ()) -> None:
        self._patterns = list(dict.fromkeys(stored))

    def holds(self, cue: Pattern) -> bool:
        """Tell whether ``cue`` is stored, exactly."""
        return cue in self._patterns

    def store(self, cue: Pattern, content: Pattern) -> dict[str, Pattern]:
        """Store ``cue``, and return what a network echoes: both patterns."""
        if cue not in self._patterns:
            self._patterns.append(cue)
        return {"cue": cue, "content": content}

    def recall(self, cue: Pattern | None = None, content: Pattern | None = None) -> dict[str, Pattern]:
        """Return the stored pattern most like ``cue`` (or ``content``), under both roles."""
        given = set(cue if cue is not None else content or ())
        best, likeness = tuple(sorted(given)), 0.0
        for known in self._patterns:
            shared = len(given & set(known)) / max(1, len(given | set(known)))
            if shared > likeness:
                best, likeness = known, shared
        return {"cue": best, "content": best}

    def forget(self, cue: Pattern) -> dict[str, Pattern]:
        """Remove the pattern ``cue``, and return what a network echoes: the cue."""
        if cue in self._patterns:
            self._patterns.remove(cue)
        return {"cue": cue}
