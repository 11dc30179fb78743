"""What a memory of binary units with a frozen table of weights answers: the ideal of its spiking realisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError, UnsupportedError
from neuromem.patterns import Pattern, units_text
from neuromem.spec.units import KWinners, Sign, Threshold
from neuromem.spec.value import Value, frozen_array

BinaryUnit = Sign | Threshold | KWinners


@dataclass(frozen=True, eq=False, repr=False)
class BinaryRecall(Value):
    """Recall by ``cell`` with ``weights`` (n_pre, n_post), ``updates`` times; a definition and, called, an ``Ideal`` memory.

    ``levels``: in a realisation of k winners, the input of the last winner that it still tells from larger ones, or None. A
    recall that needs more raises ``SpecError``. So does one from a cue without an active unit, where units fire all the same (Sign, winners
    of which the first wins): a network of spikes does not notice it.
    """

    name: str
    cell: BinaryUnit
    weights: np.ndarray
    updates: int = 1
    levels: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_array(self.weights))

    def __call__(self) -> BinaryRecall:
        """Return an ideal memory: itself, for it never changes."""
        return self

    def holds(self, cue: Pattern) -> bool:
        """Return False: nothing is stored after the realisation."""
        return False

    def store(self, cue: Pattern, content: Pattern) -> dict[str, Pattern]:
        """Raise ``UnsupportedError``."""
        raise self._frozen("store")

    def forget(self, cue: Pattern) -> dict[str, Pattern]:
        """Raise ``UnsupportedError``."""
        raise self._frozen("forget")

    def _frozen(self, verb: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self.name}: {verb}; a realised memory only recalls: its table is frozen. {verb.capitalize()} in the memory without spikes, and realise it again."
        )

    def recall(self, cue: Pattern | None = None, content: Pattern | None = None) -> dict[str, Pattern]:
        """Return the content after ``updates`` updates from the units that are given."""
        given = cue if content is None else content
        answers_silence = isinstance(self.cell, Sign) or (isinstance(self.cell, KWinners) and self.cell.ties == "first")
        if answers_silence and not given:
            raise SpecError(
                f"{self.name}: recall from a cue without an active unit; expected at least one: a network of spikes cannot be asked by silence."
            )
        state = np.zeros(len(self.weights), bool)
        state[list(given or ())] = True
        for _ in range(self.updates):
            state = self.step(state, given or ())
        return {"content": tuple(int(i) for i in np.flatnonzero(state))}

    def step(self, state: np.ndarray, given: Pattern = ()) -> np.ndarray:
        """Return the state of the post units, booleans (n_post,), after one update; ``given`` is for messages."""
        cell = self.cell
        after: np.ndarray
        if isinstance(cell, Sign):
            h = np.where(state, 1.0, -1.0) @ self.weights
            after = (h > 0) | ((h == 0) & state)
            return after
        h = state.astype(np.float64) @ self.weights
        if isinstance(cell, Threshold):
            theta = max(1, int(state.sum())) if cell.theta is None else math.ceil(cell.theta)
            after = h >= theta
            return after
        each = cell.k // cell.groups
        grouped = h.reshape(cell.groups, -1)
        last = np.partition(grouped, -each, axis=1)[:, -each, None]
        if self.levels is not None and last.max() > self.levels:
            raise SpecError(
                f"{self.name}: recall from {units_text(given)}: the last winner has an input of {last.max():g}; expected at most {self.levels}, the levels that were realised: a smaller cue, or realise with levels={last.max():g}."
            )
        if cell.ties == "all":
            after = grouped >= np.maximum(last, 1.0)
        else:
            equal, room = grouped == last, each - (grouped > last).sum(axis=1, keepdims=True)
            after = (grouped > last) | (equal & (np.cumsum(equal, axis=1) <= room))
        return after.ravel()
