"""Operations on a memory, and protocols: lists of them on a time grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from neuromem.errors import SpecError
from neuromem.patterns import Pattern
from neuromem.quantities import is_whole
from neuromem.spec.value import named

Kind = Literal["store", "recall", "forget"]


@named
@dataclass(frozen=True)
class Operation:
    """One operation, whose first input step is ``at``.

    ``cue`` and ``content`` are sorted unit numbers, or None where the operation gives none.
    """

    kind: Kind
    at: int
    cue: Pattern | None = None
    content: Pattern | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise SpecError(f"Operation: kind = {self.kind!r}; expected 'store', 'recall' or 'forget'.")
        if isinstance(self.at, bool) or not isinstance(self.at, int) or self.at < 0:
            raise SpecError(f"Operation {self.kind!r}: at = {self.at!r}; expected a step, a whole number not below 0.")

    @property
    def given(self) -> tuple[Literal["cue", "content"], ...]:
        """The roles whose patterns the operation gives."""
        return tuple(role for role in ("cue", "content") if getattr(self, role) is not None)

    def __str__(self) -> str:
        return f"{self.kind} at step {self.at}"


def store(at: int, cue: Pattern, content: Pattern) -> Operation:
    """Return the operation that stores ``content`` under ``cue``."""
    return Operation("store", at, cue, content)


def recall(at: int, cue: Pattern | None = None, content: Pattern | None = None) -> Operation:
    """Return the operation that asks for the content of ``cue``, or for the cues of ``content``."""
    return Operation("recall", at, cue, content)


def forget(at: int, cue: Pattern) -> Operation:
    """Return the operation that forgets ``cue``."""
    return Operation("forget", at, cue)


@named
@dataclass(frozen=True)
class Protocol:
    """Operations in the order of time, and the number of steps to run.

    ``unsafe_gaps`` allows operations closer than the model's safe gap (never overlapping ones).
    """

    name: str
    operations: tuple[Operation, ...]
    n_steps: int
    unsafe_gaps: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.operations, list | tuple):
            raise SpecError(
                f"Protocol {self.name!r}: operations = {self.operations!r}; expected a tuple of operations, such as (recall(0, cue=(1,)),)."
            )
        object.__setattr__(self, "operations", tuple(self.operations))
        for i, operation in enumerate(self.operations):
            if not isinstance(operation, Operation):
                raise SpecError(
                    f"Protocol {self.name!r}: operation {i} is {operation!r}; expected an Operation, such as recall(0, cue=(1,))."
                )
        if not is_whole(self.n_steps) or self.n_steps < 0:
            raise SpecError(f"Protocol {self.name!r}: n_steps = {self.n_steps!r}; expected a whole number of steps, at least 0.")
        for before, after in zip(self.operations, self.operations[1:], strict=False):
            if after.at <= before.at:
                raise SpecError(
                    f"Protocol {self.name!r}: {after} follows {before}; expected operations in the order of time, one at a step."
                )
        if self.operations and self.n_steps <= self.operations[-1].at:
            raise SpecError(
                f"Protocol {self.name!r}: n_steps = {self.n_steps}, but the last operation is {self.operations[-1]}; expected n_steps above it."
            )


@dataclass(frozen=True)
class ProtocolRecipe:
    """A protocol that ships with a model: ``build(**parameters)`` -> Protocol, and the sizes of its publication.

    ``parameters`` are the model parameters that the protocol was published with; those the
    user gives come first.
    """

    build: Callable[..., Protocol]
    parameters: tuple[tuple[str, object], ...] = ()
