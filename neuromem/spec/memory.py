"""A memory: a network plus named roles and the form of its operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from neuromem.errors import SpecError, listing, nearest
from neuromem.patterns import Pattern
from neuromem.quantities import is_whole
from neuromem.spec.network import Network
from neuromem.spec.population import Population, View
from neuromem.spec.protocol import Kind, Operation
from neuromem.spec.value import named


class Ideal(Protocol):
    """A perfect memory, which tells what each operation should answer (role -> pattern)."""

    def holds(self, cue: Pattern) -> bool: ...
    def store(self, cue: Pattern, content: Pattern) -> dict[str, Pattern]: ...
    def recall(self, cue: Pattern | None = None, content: Pattern | None = None) -> dict[str, Pattern]: ...
    def forget(self, cue: Pattern) -> dict[str, Pattern]: ...


RoleName = Literal["cue", "content"]


@dataclass(frozen=True)
class Role:
    """Where a pattern enters the network and where it is read: two views of one size."""

    name: RoleName
    input: View
    readout: View

    def __post_init__(self) -> None:
        for side in ("input", "readout"):
            end = getattr(self, side)
            if isinstance(end, Population):
                object.__setattr__(self, side, end[0 : end.size])
            elif not isinstance(end, View):
                raise SpecError(f"Role {self.name!r}: {side} = {end!r}; expected a population or a view of one, such as units[0:5].")
        if self.name not in get_args(RoleName):
            raise SpecError(f"Role {self.name!r}; expected 'cue' or 'content'.")
        if self.input.size != self.readout.size:
            raise SpecError(f"Role {self.name!r}: input of {self.input.size} units, readout of {self.readout.size}; expected equal sizes.")

    @property
    def size(self) -> int:
        """Number of units of the pattern."""
        return self.input.size


@dataclass(frozen=True)
class OperationForm:
    """How one operation looks to the network; all times are steps after its first input step.

    ``given``: the roles whose patterns are presented, for ``hold`` steps. ``answers``: the
    roles that are read, ``answer_at`` steps after the first input. ``n_steps``: when all that
    the operation causes has come out. ``plastic``: whether weights may change meanwhile.
    """

    name: str
    kind: Kind
    given: tuple[RoleName, ...]
    hold: int
    answers: tuple[RoleName, ...]
    answer_at: int
    n_steps: int
    plastic: bool = True


Order = Literal["synchronous", "asynchronous", "single"]


@named
@dataclass(frozen=True)
class Update:
    """How a memory without spikes comes to its answer: all units at once or one after the other, to a fixed point.

    ``single``: the answer is one read, not fed back. ``asynchronous``: one step visits every unit once, in a random order of each cue's own. ``max_steps``: a cue
    that is still changing after so many steps is reported as not converged.
    """

    order: Order = "synchronous"
    max_steps: int = 100

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise SpecError(
                f"Update: order = {self.order!r}; expected 'synchronous', 'asynchronous' or 'single'{nearest(str(self.order), get_args(Order))}."
            )
        if not is_whole(self.max_steps) or self.max_steps < 1:
            raise SpecError(f"Update: max_steps = {self.max_steps!r}; expected a whole number of steps, at least 1.")


@dataclass(frozen=True)
class MemoryModel:
    """A memory, equal by value. Spiking ones have ``dt`` (ms), ``forms`` and an ``ideal``; those without spikes have an ``update``.

    ``gaps`` maps (form before, form after) to the least number of steps between their first
    inputs that is safe; the form ``overwrite`` stands for a store on a cue that is in use.
    ``settling`` is the least number of steps that interactive sessions give an operation: safe gaps are
    measured over few operations, and small remainders add up over many. ``reference`` is a DOI or arXiv id.
    """

    name: str
    network: Network
    dt: float = 1.0
    roles: tuple[Role, ...] = ()
    forms: tuple[OperationForm, ...] = ()
    ideal: Callable[[], Ideal] | None = None
    gaps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    settling: int = 0
    parameters: Mapping[str, object] = field(default_factory=dict)
    title: str = ""
    reference: str = ""
    update: Update | None = None

    def role(self, name: str) -> Role:
        """Return the role called ``name``."""
        for role in self.roles:
            if role.name == name:
                return role
        raise SpecError(f"{self.name}: no role {name!r}; it has {listing(r.name for r in self.roles)}.")

    def form(self, operation: Operation) -> OperationForm:
        """Return the form of ``operation``, from its kind and the roles that it gives."""
        given = operation.given
        for form in self.forms:
            if form.kind == operation.kind and set(form.given) == set(given):
                return form
        known = "; ".join(f"{f.kind} with {' and '.join(f.given)}" for f in self.forms)
        raise SpecError(f"{operation}: {self.name} has no {operation.kind} with {' and '.join(given) or 'nothing'}; it has: {known}.")

    def safe_gap(self, before: str, after: str) -> int:
        """Return the least safe number of steps between the first inputs of two forms, by name."""
        return self.gaps.get((before, after), 1)
