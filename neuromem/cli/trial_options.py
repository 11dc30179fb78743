"""``--patterns`` and ``--noise``: what the user changes of a memory's trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from neuromem.cli.values import read_value
from neuromem.errors import SpecError, listing, nearest
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.runs.trial_patterns import ERRORS, check_errors, one_unit_wrong, suited
from neuromem.spec.memory import MemoryModel
from neuromem.spec.trial import Trial


@dataclass(frozen=True)
class TrialOptions:
    """What was typed: the number of patterns, and the errors of the cues as ``key=value``, which replace all errors of the trial."""

    patterns: int | None = None
    noise: Sequence[str] = ()

    def trial(self, memory: MemoryModel, own: Trial | None) -> Trial | None:
        """Return the trial of a memory without spikes: its own, as its patterns can have it, changed as asked for; None if there is none.

        With ``--patterns`` alone, a memory without a trial of its own has cues with one unit wrong.
        """
        program, errors = lower_matrix_memory(memory), read_noise(self.noise)
        if own is not None:
            own = replace(own, **dict.fromkeys(ERRORS, 0.0) | errors) if errors else suited(program, own)
        if self.patterns is not None:
            if own is not None:
                own = replace(own, n_patterns=self.patterns)
            else:
                own = Trial(self.patterns, **errors) if errors else one_unit_wrong(program, self.patterns, memory.parameters)
        if own is not None:
            check_errors(program, own)
        return own

    def refuse(self, name: str) -> None:
        """Raise ``SpecError`` when anything was typed: the memory has protocols, not trials."""
        given = "--patterns" if self.patterns is not None else "--noise" if self.noise else None
        if given:
            raise SpecError(f"{given}: {name} has spikes, and protocols in place of trials; expected --protocol.")


def read_noise(noise: Sequence[str]) -> dict[str, Any]:
    """Return the errors of ``--noise key=value``; the last one of a key counts."""
    values: dict[str, Any] = {}
    for text in noise:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or key not in ERRORS:
            raise SpecError(
                f"--noise {text}: expected KEY=VALUE, with one of {listing(ERRORS)}, such as --noise flips=0.2{nearest(key, ERRORS)}."
            )
        values[key] = read_value(value)
    return values
