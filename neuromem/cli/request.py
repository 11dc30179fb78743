"""From what the user typed to a memory and a protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuromem.cli.trial_options import TrialOptions
from neuromem.cli.values import read_value
from neuromem.errors import FileError, NeuromemError, SpecError, listing
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.operations import new_ideal, plan_operation
from neuromem.model_files import ModelEntry, find_model
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
    model: str, settings: Sequence[str], protocol: str | None, unsafe_gaps: bool = False, trial: TrialOptions | None = None
) -> Request:
    """Find the model, build it with the protocol's parameters and then the user's, and build the protocol, or the trial, for it."""
    entry, options = find_model(model), trial or TrialOptions()
    given = read_settings(settings)
    entry.check_parameters(given)
    name = next(iter(entry.protocols), None) if protocol is None else protocol
    own = None if name is None else entry.protocols.get(name)
    if name is None or isinstance(own, Trial):
        memory = entry.build(**given)
        if not has_spikes(memory.network):
            if unsafe_gaps:
                raise SpecError(f"--unsafe-gaps: {entry.name} has no operations in time, and no gaps; leave it out.")
            return Request(entry, memory, options.trial(memory, own if isinstance(own, Trial) else None))
        if own is not None:
            raise SpecError(f"{entry.name}: protocol {name!r} is a Trial, and the memory has spikes; expected a ProtocolRecipe.")
        options.refuse(entry.name)
        return Request(entry, memory, None)
    if name not in entry.protocols and (name.endswith(".toml") or "/" in name):
        memory, built = _from_file(entry, given, name)
    else:
        memory, built = _from_recipe(entry, given, name)
    options.refuse(entry.name)
    return Request(entry, memory, replace(built, unsafe_gaps=True) if unsafe_gaps else built)


def _check_spikes(entry: ModelEntry, memory: MemoryModel, protocol: str) -> None:
    if not has_spikes(memory.network):
        trials = listing(name for name, own in entry.protocols.items() if isinstance(own, Trial))
        raise SpecError(
            f"{entry.name}: protocol {protocol} for a memory without spikes, which has no operations in time; "
            f"expected {f'one of {trials}' if trials else '--patterns N, for a trial'}."
        )


def _from_recipe(entry: ModelEntry, given: Mapping[str, Any], name: str) -> tuple[MemoryModel, Protocol]:
    parameters = {**dict(entry.recipe(name).parameters), **given}
    memory = entry.build(**parameters)
    _check_spikes(entry, memory, name)
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
    _check_spikes(entry, memory, path)
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
