"""From what the user typed to a memory and a protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuromem.errors import FileError, NeuromemError, SpecError, listing, nearest
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.operations import new_ideal, plan_operation
from neuromem.model_files import ModelEntry, find_model
from neuromem.runs.trial_patterns import ERRORS, suited
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol
from neuromem.spec.trial import Trial


@dataclass(frozen=True)
class Request:
    """A memory, and what to do with it: a protocol, or a trial of one without spikes; None when none is asked for and the model has none."""

    entry: ModelEntry
    memory: MemoryModel
    protocol: Protocol | Trial | None

    @property
    def spiking(self) -> bool:
        """Whether the memory has spikes, and so protocols."""
        return has_spikes(self.memory.network)

    def some_trial(self) -> Trial:
        """Return the trial of a memory without spikes; raise ``SpecError`` if there is none."""
        if not isinstance(self.protocol, Trial):
            raise SpecError(f"{self.entry.name}: it has no trials of its own; expected a number of patterns: --patterns N.")
        return self.protocol

    def some_protocol(self) -> Protocol:
        """Return the protocol; raise ``SpecError`` if there is none, or if an operation does not suit the memory."""
        if not isinstance(self.protocol, Protocol):
            raise SpecError(f"{self.entry.name}: it has no protocols of its own; expected one as --protocol file.toml.")
        ideal = new_ideal(self.memory)
        for number, operation in enumerate(self.protocol.operations, 1):
            try:
                plan_operation(self.memory, operation, ideal)
            except SpecError as error:
                name = self.protocol.name
                sizes = (
                    ", ".join(f"{key}={value}" for key, value in self.entry.recipe(name).parameters) if name in self.entry.protocols else ""
                )
                raise SpecError(
                    f"protocol {name!r}, operation {number}: {error}{sizes and f' The protocol is written for {sizes}.'}"
                ) from None
        return self.protocol


def read_request(
    model: str,
    settings: Sequence[str],
    protocol: str | None,
    unsafe_gaps: bool = False,
    patterns: int | None = None,
    noise: Sequence[str] = (),
) -> Request:
    """Find the model, build it with the protocol's parameters and then the user's, and build the protocol for it.

    ``patterns`` and ``noise`` (``key=value``) replace those of a memory's trial.
    """
    entry = find_model(model)
    given = read_settings(settings)
    entry.check_parameters(given)
    own = None if not entry.protocols else entry.protocols.get(next(iter(entry.protocols)) if protocol is None else protocol)
    if isinstance(own, Trial) or (own is None and not protocol):
        memory = entry.build(**given)
        if not has_spikes(memory.network):
            if unsafe_gaps:
                raise SpecError(f"--unsafe-gaps: {memory.name} has no steps in time, and no gaps; leave it out.")
            return Request(entry, memory, _trial(memory, own, patterns, noise))
        if isinstance(own, Trial):
            raise SpecError(f"{entry.name}: protocol {own.name!r} is a Trial, and {memory.name} has spikes; expected a Protocol.")
    if patterns is not None or noise:
        raise SpecError(f"{'--noise' if patterns is None else '--patterns'}: {entry.name} has protocols, not trials; expected --protocol.")
    if own is None and not protocol:
        return Request(entry, memory, None)
    request = _spiking_request(entry, given, protocol, unsafe_gaps)
    if not request.spiking:
        raise SpecError(
            f"--protocol {protocol}: {request.memory.name} has no spikes, and no operations in time; expected a trial of the model's"
            f" ({listing(name for name, p in entry.protocols.items() if isinstance(p, Trial)) or 'it has none'}), or --patterns N alone."
        )
    return request


def _trial(memory: MemoryModel, own: object, patterns: int | None, noise: Sequence[str]) -> Trial | None:
    """Return the model's own trial, its noise in the form that the memory's patterns can have, or what the user asks for in its place."""
    trial = own if isinstance(own, Trial) else None
    if noise:
        trial = Trial(trial.n_patterns if trial else 1, **read_noise(noise), name=trial.name if trial else "trial")
    elif trial is not None:
        trial = suited(lower_matrix_memory(memory), trial)
    if patterns is not None:
        return replace(trial, n_patterns=patterns) if trial else Trial(patterns)
    return trial if isinstance(own, Trial) else None


def read_noise(noise: Sequence[str]) -> dict[str, Any]:
    """Return the errors of ``--noise key=value``; the last one of a key counts."""
    values: dict[str, Any] = {}
    for text in noise:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise SpecError(f"--noise {text}: expected KEY=VALUE, such as --noise {ERRORS[0]}=0.2.")
        if key not in ERRORS:
            raise SpecError(f"--noise {text}: expected one of {listing(ERRORS)}{nearest(key, ERRORS)}.")
        values[key] = read_value(value)
    return values


def _spiking_request(entry: ModelEntry, given: Mapping[str, Any], protocol: str | None, unsafe_gaps: bool) -> Request:
    if protocol is not None and protocol not in entry.protocols and (protocol.endswith(".toml") or "/" in protocol):
        memory, built = _from_file(entry, given, protocol)
    else:
        memory, built = _from_recipe(entry, given, next(iter(entry.protocols)) if protocol is None else protocol)
    return Request(entry, memory, replace(built, unsafe_gaps=True) if unsafe_gaps else built)


def _from_recipe(entry: ModelEntry, given: Mapping[str, Any], name: str) -> tuple[MemoryModel, Protocol]:
    parameters = {**dict(entry.recipe(name).parameters), **given}
    memory = entry.build(**parameters)
    return memory, entry.protocol(name, {**parameters, **memory.parameters})


def _from_file(entry: ModelEntry, given: Mapping[str, Any], path: str) -> tuple[MemoryModel, Protocol]:
    from neuromem.spec.protocol_file import load_protocol

    file = load_protocol(path)
    for name in file.parameters:
        try:
            entry.check_parameters([name])
        except SpecError as error:
            raise FileError(f"{file.where('parameters', name)}: {error}") from None
    try:
        memory = entry.build(**{**file.parameters, **given})
    except NeuromemError as error:
        named = [name for name in file.parameters if name not in given and re.search(rf"\b{re.escape(name)}\b", str(error))]
        if not named:
            raise
        raise FileError(f"{file.where('parameters', named[0])}: {error}") from None
    return memory, file.for_memory(memory)


def read_settings(settings: Sequence[str]) -> dict[str, object]:
    """Return the values of ``--set key=value``; the last one of a key counts."""
    values: dict[str, object] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key.strip().isidentifier():
            raise SpecError(f"--set {text}: expected KEY=VALUE, such as --set n_cues=8.")
        values[key.strip()] = read_value(value.strip())
    return values


def read_value(text: str) -> object:
    """Return the text as a whole number, a number, true, false or none; any other text stays as it is."""
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        if re.fullmatch(r"[+-]?[0-9]+", text):
            return int(text)
        return float(text) if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", text) else text
    except ValueError:  # two points, or thousands of digits
        return text


def engine(text: str) -> tuple[str, dict[str, str]]:
    """Return backend and options of ``name`` or ``name:codegen``."""
    name, _, codegen = text.strip().partition(":")
    return name, {"codegen": codegen} if codegen else {}


def file_stem(*parts: str) -> str:
    """Return names joined by ``-``, without what does not belong in a file's name."""
    return re.sub(r"[^\w.-]+", "_", "-".join(parts))


def default_picture(*parts: str) -> Path:
    """Return the picture's default path, in the current folder."""
    return Path(file_stem(*parts) + ".png")
