"""Operations of a memory: checked against the model, and turned into source spikes."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from neuromem.errors import FileError, NeuromemError, SpecError
from neuromem.ir.lower import Drive, lower
from neuromem.ir.program import Program
from neuromem.patterns import Pattern, pattern
from neuromem.spec.memory import Ideal, MemoryModel, OperationForm
from neuromem.spec.protocol import Operation, Protocol


@dataclass(frozen=True)
class PlannedOperation:
    """An operation with its form, the name under which its safe gaps are listed, and the ideal answer."""

    operation: Operation
    form: OperationForm
    gap_name: str
    expected: dict[str, Pattern]


def new_ideal(memory: MemoryModel) -> Ideal:
    """Return an ideal memory that knows nothing yet; raise ``FileError``, with the line, when it cannot be made."""
    with _ideal_errors(memory, "as it is made"):
        assert memory.ideal is not None  # checked: a spiking memory has one
        return memory.ideal()


def plan_operation(memory: MemoryModel, operation: Operation, ideal: Ideal) -> PlannedOperation:
    """Check one operation, let the ideal memory perform it, and return it with what is expected."""
    form = memory.form(operation)
    owner = f"{memory.name}, {operation}"
    patterns = {role: pattern(getattr(operation, role), memory.role(role).size, f"{owner}, {role}") for role in form.given}
    gap_name = form.name
    with _ideal_errors(memory, str(operation)):
        if operation.kind == "store":
            if ideal.holds(patterns["cue"]):
                gap_name = "overwrite"
            expected = ideal.store(patterns["cue"], patterns["content"])
        elif operation.kind == "forget":
            expected = ideal.forget(patterns["cue"])
        else:
            expected = ideal.recall(**patterns)
    return PlannedOperation(replace(operation, **patterns), form, gap_name, expected)  # type: ignore[arg-type]


def plan(memory: MemoryModel, protocol: Protocol) -> tuple[PlannedOperation, ...]:
    """Check a protocol against a memory and return its operations with what an ideal memory answers.

    Raises ``SpecError`` for patterns that do not fit, overlapping operations, gaps below
    the model's safe gap unless ``protocol.unsafe_gaps``, and a protocol that ends before an
    answer; ``FileError``, with the line, when the ideal memory raises.
    """
    ideal = new_ideal(memory)
    planned = tuple(plan_operation(memory, operation, ideal) for operation in protocol.operations)
    for before, after in itertools.pairwise(planned):
        gap = after.operation.at - before.operation.at
        safe = memory.safe_gap(before.gap_name, after.gap_name)
        owner = f"Protocol {protocol.name!r}: {after.operation} begins {gap} steps after {before.operation}"
        if gap < before.form.hold:
            raise SpecError(
                f"{owner}, whose input lasts {before.form.hold} steps: they overlap; expected at least {safe} steps, the safe gap of {memory.name} from {before.gap_name} to {after.gap_name}."
            )
        if gap < safe and not protocol.unsafe_gaps:
            raise SpecError(
                f"{owner}; expected at least {safe}, the safe gap of {memory.name} from {before.gap_name} to {after.gap_name} (unsafe gaps can be studied with --unsafe-gaps, or unsafe_gaps = true in the protocol)."
            )
    for one in planned:
        answered = one.operation.at + one.form.answer_at
        if answered >= protocol.n_steps:
            least = max(p.operation.at + p.form.answer_at for p in planned) + 1
            raise SpecError(
                f"Protocol {protocol.name!r}: n_steps = {protocol.n_steps}, but {one.operation} is answered at step {answered}; expected n_steps at least {least}."
            )
    return planned


@contextmanager
def _ideal_errors(memory: MemoryModel, when: str) -> Iterator[None]:
    """Name the line of an ideal memory, which may be the user's, that raises; neuromem's own errors stay as they are."""
    try:
        yield
    except (NeuromemError, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = f"{type(error).__name__}: {error} (in the ideal memory of {memory.name}, {when})."
        frames = itertools.dropwhile(lambda frame: frame.filename == __file__, traceback.extract_tb(error.__traceback__))
        theirs = next(frames, None)
        if theirs is None:
            raise SpecError(said) from error
        line = [theirs.lineno, *(frame.lineno for frame in frames if frame.filename == theirs.filename)][-1]
        raise FileError(f"{theirs.filename}:{line}: {said}") from error


def events_of(memory: MemoryModel, planned: PlannedOperation) -> tuple[tuple[int, str, int], ...]:
    """Return the input spikes (step, population, unit) of one operation."""
    events = []
    for role in planned.form.given:
        view = memory.role(role).input
        for step in range(planned.form.hold):
            events += [(planned.operation.at + step, view.population, view.start + unit) for unit in getattr(planned.operation, role)]
    return tuple(events)


def lower_memory(memory: MemoryModel, protocol: Protocol, seed: int = 0) -> Program:
    """Return the Program that performs ``protocol`` on ``memory``."""
    planned = plan(memory, protocol)
    events = tuple(event for p in planned for event in events_of(memory, p))
    ends = [p.operation.at for p in planned[1:]] + [protocol.n_steps]
    frozen = tuple((p.operation.at, end) for p, end in zip(planned, ends, strict=True) if not p.form.plastic) if planned else ()
    return lower(memory.network, dt=memory.dt, n_steps=protocol.n_steps, seed=seed, drive=Drive(events, frozen))
