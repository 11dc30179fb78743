"""Protocols as TOML files.

::

    name = "mine"              # optional; default: the file's name
    n_steps = 90               # optional; default: until the last operation has come out
    unsafe_gaps = false        # optional
    gap = 14                   # steps from one operation to the next, in place of every `at`
    start = 1                  # step of the first operation, with `gap` (default 1)

    [parameters]               # optional: the model parameters that the protocol is written for
    n_cues = 5

    [[operation]]
    kind = "store"             # store | recall | forget
    at = 0                     # step of the first input
    cue = 0                    # a unit number, or a list of them
    content = [0, 1, 8, 9]

No step may be above 1,000,000,000. Every error is a ``FileError`` that begins ``path:line: key``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuromem.errors import FileError, SpecError, listing, nearest
from neuromem.patterns import Pattern, pattern
from neuromem.spec.memory import MemoryModel, OperationForm
from neuromem.spec.protocol import Operation, Protocol

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_STEPS = 1_000_000_000

Key = tuple[str | int, ...]
"""Where a value stands: ``("name",)``, ``("parameters", "n_cues")``, ``("operation", 0, "cue")``."""


@dataclass(frozen=True)
class ProtocolFile:
    """What a protocol file says: ``for_memory`` makes the protocol, since its length depends on the model.

    ``parameters`` are the model parameters that it was written for; those the user gives come
    first. ``lines`` maps keys to line numbers.
    """

    path: str
    name: str
    operations: tuple[Operation, ...]
    n_steps: int | None
    unsafe_gaps: bool
    parameters: Mapping[str, Any]
    lines: Mapping[Key, int]

    def where(self, *key: str | int) -> str:
        """Return ``path:line: key`` of a key, or of the table that it belongs in."""
        return _where(self.path, self.lines, key)

    def for_memory(self, memory: MemoryModel) -> Protocol:
        """Return the protocol for ``memory``; raise ``FileError`` for an operation that does not suit it.

        Without ``n_steps`` it lasts until all that the last operation causes has come out.
        """
        operations = tuple(self._checked(memory, index, operation) for index, operation in enumerate(self.operations))
        answered = [operation.at + memory.form(operation).answer_at for operation in operations]
        n_steps = self.n_steps
        if n_steps is not None and n_steps <= max(answered):
            late = next(index for index, step in enumerate(answered) if step >= n_steps)
            raise FileError(
                f"{self.where('n_steps')} = {n_steps}; operation {late + 1} is answered at step {answered[late]}; expected n_steps at least {max(answered) + 1}."
            )
        if n_steps is None:
            n_steps = operations[-1].at + settling_steps(memory, memory.form(operations[-1]))
        return Protocol(self.name, operations, n_steps, self.unsafe_gaps)

    def _checked(self, memory: MemoryModel, index: int, operation: Operation) -> Operation:
        try:
            form = memory.form(operation)
        except SpecError as error:
            raise FileError(f"{self.where('operation', index)}: {error}") from None
        patterns: dict[str, Pattern] = {}
        for role in form.given:
            try:
                patterns[role] = pattern(getattr(operation, role), memory.role(role).size, memory.name)
            except SpecError as error:
                raise FileError(f"{self.where('operation', index, role)}: {error}") from None
        return replace(operation, **patterns)  # type: ignore[arg-type]


def settling_steps(memory: MemoryModel, form: OperationForm) -> int:
    """Return after how many steps any other operation may follow ``form``, on a cue in use or not."""
    names = {form.name, "overwrite"} if form.kind == "store" else {form.name}
    return max([form.n_steps, form.answer_at + 1, *(gap for (before, _), gap in memory.gaps.items() if before in names)])


def load_protocol(path: str | Path, text: str | None = None) -> ProtocolFile:
    """Read a protocol file, or ``text`` in its place; raise ``FileError`` naming file, line and key."""
    name = str(path)
    if text is None:
        text = _read(Path(path))
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(name, text, str(error)) from None
    except ValueError as error:  # Python refuses to read numbers of thousands of digits
        raise FileError(f"{name}: not valid TOML: {error}.") from None
    except RecursionError:
        raise FileError(f"{name}: lists or tables stand too deep in each other; expected a protocol, whose lists hold numbers.") from None
    lines = dict(key_lines(text))
    values = _validated(name, tables, lines)
    return ProtocolFile(
        path=name,
        name=values.get("name", Path(path).stem),
        operations=_operations(name, values, lines),
        n_steps=values.get("n_steps"),
        unsafe_gaps=values.get("unsafe_gaps", False),
        parameters=values.get("parameters", {}),
        lines=lines,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError:
        raise FileError(f"{path}: no such file; expected a protocol as a TOML file.") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: byte {error.start} is not UTF-8; expected a protocol as a TOML file.") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); expected a protocol as a TOML file.") from None


def _not_toml(path: str, text: str, message: str) -> FileError:
    """Put the line, which tomllib names at the end of its message, in front."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found:
        return FileError(f"{path}:{found[1]}: not valid TOML: {message[: found.start()]} (column {found[2]}).")
    return FileError(f"{path}:{max(1, len(text.splitlines()))}: not valid TOML: {message}.")


# Where each key stands


def key_lines(text: str) -> Iterator[tuple[Key, int]]:
    """Yield (key, line) for the tables and the keys at the beginning of a line of a TOML text.

    It knows what protocols are written with: tables, arrays of tables, plain and quoted keys,
    values over several lines. Keys inside of inline tables belong to the line of their value.
    """
    table: Key = ()
    counts: dict[str, int] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        header = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        assigned = re.match(r"\s*([\w-]+|\"[^\"]*\"|'[^']*')\s*=", line)
        if header:
            name = header[2].strip("\"'")
            table = (name,)
            if header[1] == "[[":
                table = (name, counts.get(name, 0))
                counts[name] = counts.get(name, 0) + 1
            yield table, number
        elif assigned:
            yield (*table, assigned[1].strip("\"'")), number
            value = line[assigned.end() :]
            while _is_open(value):
                value += "\n" + next(lines, (0, ""))[1]


# Strings and comments, which may hold brackets; `opened` is a string that goes on in the next line.
_CLOSED = r'''"""(?:\\.|[^\\])*?"""|\'{3}.*?\'{3}|(?P<opened>"""|\'{3})|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*'''


def _is_open(value: str) -> bool:
    """Tell whether a value goes on in the next line: inside of brackets, or of a string of three quotes."""
    bare = re.sub(_CLOSED, lambda found: found["opened"] or "", value, flags=re.DOTALL)  # without strings and comments
    return '"""' in bare or "'''" in bare or bare.count("[") > bare.count("]")


def _where(path: str, lines: Mapping[Key, int], key: Key) -> str:
    """Return ``path:line: key``, with the line of the innermost table or key that has one."""
    return f"{path}:{_line_of(lines, key)}: {_spelled(key)}"


def _line_of(lines: Mapping[Key, int], key: Key) -> int:
    return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 1)


def _spelled(key: Key) -> str:
    """Return the key as a reader counts: ``operation 2, cue`` is ``("operation", 1, "cue")``."""
    if key[0] == "operation" and len(key) > 1 and isinstance(key[1], int):
        return f"operation {key[1] + 1}" + "".join(f", {part}" for part in key[2:3])
    return ".".join(str(part) for part in key)


# The schema

_EXPECTED = {
    "name": "text",
    "n_steps": "a whole number of steps, at least 1",
    "unsafe_gaps": "true or false",
    "gap": "a whole number of steps, at least 1",
    "start": "a step, a whole number not below 0",
    "parameters": "a table [parameters] of numbers, texts, true or false",
    "operation": "tables [[operation]], at least one",
    "kind": '"store", "recall" or "forget"',
    "at": "a step, a whole number not below 0",
    "cue": "a unit number or a list of them",
    "content": "a unit number or a list of them",
}
_TOP_KEYS = ("name", "n_steps", "unsafe_gaps", "gap", "start", "parameters", "operation")
_OPERATION_KEYS = ("kind", "at", "cue", "content")


def _validated(path: str, tables: dict[str, Any], lines: Mapping[Key, int]) -> dict[str, Any]:
    """Return the values that were given, or raise ``FileError`` for the first one in the file that does not fit."""
    from typing import Annotated, Literal

    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    step = Annotated[int, Field(ge=0, le=MOST_STEPS)]
    count = Annotated[int, Field(ge=1, le=MOST_STEPS)]

    class OperationTable(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

        kind: Literal["store", "recall", "forget"]
        at: step | None = None
        cue: int | list[int] | None = None
        content: int | list[int] | None = None

    class ProtocolTable(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

        name: str | None = None
        n_steps: count | None = None
        unsafe_gaps: bool = False
        gap: count | None = None
        start: step | None = None
        parameters: dict[str, int | float | bool | str] = Field(default_factory=dict)
        operation: Annotated[list[OperationTable], Field(min_length=1)]

    try:
        return ProtocolTable.model_validate(tables).model_dump(exclude_unset=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
    # A missing key is often there, misspelt: an unknown one is named first.
    first = min(found, key=lambda e: (e["type"] == "missing", _line_of(lines, e["loc"])))
    key = first["loc"][: {"operation": 3, "parameters": 2}.get(str(first["loc"][0]), 1)]  # beyond it, pydantic's own words
    raise FileError(f"{_where(path, lines, key)}{_complaint(key, first)}")


def _complaint(key: Key, error: ErrorDetails) -> str:
    in_operation = key[0] == "operation" and len(key) > 2
    known = _OPERATION_KEYS if in_operation else _TOP_KEYS
    if error["type"] == "extra_forbidden":
        return f": unknown key; expected one of {listing(known)}{nearest(str(key[-1]), known)}."
    name = str(key[2]) if in_operation else str(key[0])
    if error["type"] == "missing":
        return f": missing; expected {_EXPECTED[name]}."
    given = error["input"]
    if error["type"] == "less_than_equal":
        return f" = {_toml(given)}; expected at most {MOST_STEPS:,}."
    hint = nearest(given, ("store", "recall", "forget")) if name == "kind" and isinstance(given, str) else ""
    return f" = {_toml(given)}; expected {_EXPECTED[name]}{hint}."


def _toml(value: object) -> str:
    """Return a value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _operations(path: str, values: Mapping[str, Any], lines: Mapping[Key, int]) -> tuple[Operation, ...]:
    """Return the operations with their steps, from ``at`` or from ``gap`` and ``start``."""
    tables: list[dict[str, Any]] = values["operation"]
    gap, start = values.get("gap"), values.get("start")
    if gap is None and start is not None:
        raise FileError(
            f"{_where(path, lines, ('start',))}: given without gap; expected gap = ... beside it, or at = ... in every operation."
        )
    operations: list[Operation] = []
    for index, table in enumerate(tables):
        here = ("operation", index, "at")
        if gap is not None and "at" in table:
            raise FileError(f"{_where(path, lines, here)}: given together with the top-level gap; expected one of the two.")
        if gap is None and "at" not in table:
            raise FileError(f"{_where(path, lines, here)}: missing; expected a step in every operation, or a top-level gap.")
        at = table["at"] if gap is None else (1 if start is None else start) + gap * index
        if at > MOST_STEPS:
            raise FileError(
                f"{_where(path, lines, ('gap',))} = {gap}; operation {index + 1} is at step {at}; expected at most {MOST_STEPS:,}."
            )
        if operations and at <= operations[-1].at:
            raise FileError(
                f"{_where(path, lines, here)} = {at}; operation {index} is at step {operations[-1].at}; expected operations in the order of time, one at a step."
            )
        operations.append(Operation(table["kind"], at, _units(table.get("cue")), _units(table.get("content"))))
    n_steps = values.get("n_steps")
    if n_steps is not None and n_steps <= operations[-1].at:
        raise FileError(
            f"{_where(path, lines, ('n_steps',))} = {n_steps}; operation {len(operations)} is at step {operations[-1].at}; expected n_steps above it."
        )
    return tuple(operations)


def _units(value: int | list[int] | None) -> Pattern | None:
    return (value,) if isinstance(value, int) else None if value is None else tuple(value)
