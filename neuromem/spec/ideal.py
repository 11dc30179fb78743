"""What a perfect memory would answer: the yardstick for right and wrong."""

from __future__ import annotations

from neuromem.patterns import Pattern


class AddressTable:
    """A table from one cue to one content, read from either side.

    ``store`` replaces the content of its cue. Recall by cue returns the content of that cue.
    Recall by content returns every cue whose content shares at least one unit with the query
    (an OR over the query). ``forget`` removes a cue.
    """

    def __init__(self) -> None:
        self._rows: dict[Pattern, Pattern] = {}

    def holds(self, cue: Pattern) -> bool:
        """Tell whether ``cue`` is stored."""
        return cue in self._rows

    def store(self, cue: Pattern, content: Pattern) -> dict[str, Pattern]:
        """Store, and return what a network echoes: both patterns."""
        self._rows[cue] = content
        return {"cue": cue, "content": content}

    def forget(self, cue: Pattern) -> dict[str, Pattern]:
        """Remove ``cue``, and return what a network echoes: the cue."""
        self._rows.pop(cue, None)
        return {"cue": cue}

    def recall(self, cue: Pattern | None = None, content: Pattern | None = None) -> dict[str, Pattern]:
        """Return the stored content of ``cue``, or the cues that share a unit with ``content``."""
        if cue is not None:
            return {"content": self._rows.get(cue, ())}
        query = set(content or ())
        matching = [row for row, stored in self._rows.items() if query & set(stored)]
        return {"cue": tuple(sorted({unit for row in matching for unit in row}))}
