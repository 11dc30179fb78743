"""What each operation of a run came to: the pattern that was read, and whether it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError
from neuromem.ir.operations import PlannedOperation, plan
from neuromem.ir.program import Program
from neuromem.ir.recording import Recording
from neuromem.patterns import Pattern, patterns_text, units_text
from neuromem.spec.memory import MemoryModel, OperationForm
from neuromem.spec.protocol import Operation, Protocol


@dataclass(frozen=True, repr=False)
class Outcome:
    """An operation, what a perfect memory would answer, and what this one answered.

    ``expected`` and ``answer`` have one pattern for each role of ``form.answers``; ``answer``
    holds the readout units that spiked exactly ``form.answer_at`` steps after the first input.
    ``latency``: steps from the first input to the first spike of these readouts that the
    operation can have caused (see ``decode``), None if there is none.

    Printed, it reads ``recall content 3 -> cue 1 (WRONG, expected nothing)``, or, where the
    answer is the echo of what was given, ``store cue 0; content 0 1 -> right``.
    """

    operation: Operation
    form: OperationForm
    expected: dict[str, Pattern]
    answer: dict[str, Pattern]
    correct: bool
    latency: int | None

    def __str__(self) -> str:
        given = asked(self.operation)
        if self.correct:
            verdict = "right" if self.answer == given else f"{patterns_text(self.answer)} (right)"
        else:
            one_role = len(self.expected) == 1  # the answer names it already
            expected = units_text(*self.expected.values()) if one_role else patterns_text(self.expected)
            verdict = f"{patterns_text(self.answer)} (WRONG, expected {expected})"
        return f"{self.operation.kind} {patterns_text(given)} -> {verdict}"

    def __repr__(self) -> str:
        return f"<Outcome at step {self.operation.at}: {self}>"


def asked(operation: Operation) -> dict[str, Pattern]:
    """Return the patterns that the operation gives, by role."""
    return {role: getattr(operation, role) for role in operation.given}


Readouts = Mapping[str, tuple[int, int]]
"""Role -> (first, stop): its readout is the units ``first <= unit < stop`` of the Program."""


def outcomes(memory: MemoryModel, protocol: Protocol, recording: Recording, replica: int = 0) -> tuple[Outcome, ...]:
    """Return the outcome of every operation of ``protocol`` that ``recording`` reaches.

    An interrupted recording yields fewer outcomes than the protocol has operations: those whose
    answer step was run. Raises ``SpecError`` when the protocol does not fit the memory, or when
    the program does not record the spikes of a readout.
    """
    if not 0 <= replica < recording.program.batch:
        raise SpecError(f"outcomes: replica {replica}; expected 0 to {recording.program.batch - 1}.")
    ends = readouts(memory, recording.program)
    first, stop = np.searchsorted(recording.replica, (replica, replica + 1))
    step, unit = recording.step[first:stop], recording.unit[first:stop]
    found: list[Outcome] = []
    quiet = 0
    for planned in plan(memory, protocol):
        at = planned.operation.at
        if at + planned.form.answer_at < recording.n_steps:
            found.append(decode(planned, ends, step, unit, quiet))
        quiet = max(quiet, at + planned.form.n_steps)
    return tuple(found)


def readouts(memory: MemoryModel, program: Program) -> Readouts:
    """Return where each role is read; raise ``SpecError`` when its spikes are not recorded."""
    recorded = {p.population for p in program.probes if p.variable == "spikes"}
    for role in memory.roles:
        name = role.readout.population
        if name not in recorded:
            raise SpecError(f"{memory.name}: role {role.name!r} is read from {name!r}, whose spikes are not recorded; add Probe({name!r}).")
    first = {role.name: program.population(role.readout.population).first for role in memory.roles}
    return {role.name: (first[role.name] + role.readout.start, first[role.name] + role.readout.stop) for role in memory.roles}


def decode(planned: PlannedOperation, ends: Readouts, step: np.ndarray, unit: np.ndarray, quiet: int = 0) -> Outcome:
    """Return the outcome of one operation from spikes (step, unit) of one replica, sorted by step.

    ``quiet`` is the step by which all that earlier operations cause has come out (``n_steps``
    after their first input). Where operations follow closer than that, the latency counts from
    the first spike at ``quiet`` or later, or at the answer step if that is earlier.
    """
    operation, form = planned.operation, planned.form
    answer_step = operation.at + form.answer_at
    answering = unit[slice(*np.searchsorted(step, (answer_step, answer_step + 1)))]
    answer: dict[str, Pattern] = {}
    for role in form.answers:
        first, stop = ends[role]
        answer[role] = tuple((np.sort(answering[(answering >= first) & (answering < stop)]) - first).tolist())

    begin, end = np.searchsorted(step, (min(max(operation.at, quiet), answer_step), max(operation.at + form.n_steps, answer_step + 1)))
    caused = unit[begin:end]
    read = np.zeros(caused.size, dtype=bool)
    for role in form.answers:
        first, stop = ends[role]
        read |= (caused >= first) & (caused < stop)
    latency = int(step[begin + int(read.argmax())]) - operation.at if read.any() else None

    expected: dict[str, Pattern] = {role: planned.expected[role] for role in form.answers}
    return Outcome(operation, form, expected, answer, answer == expected, latency)
