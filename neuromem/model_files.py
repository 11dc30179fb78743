"""Models by name: those that ship with neuromem, and a user's own file as ``path/to/file.py:function``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from neuromem.errors import FileError, NeuromemError, SpecError, listing, nearest
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol, ProtocolRecipe
from neuromem.spec.trial import Trial


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be built: its name, the function that builds it, and the protocols that come with it.

    Protocols of memories without spikes are trials. ``path`` is the user's file, or None for a model of neuromem.
    """

    name: str
    function: Callable[..., MemoryModel]
    protocols: Mapping[str, ProtocolRecipe | Trial] = field(default_factory=dict)
    path: Path | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters of the function, by name."""
        return inspect.signature(self.function).parameters

    def check_parameters(self, names: Iterable[str]) -> None:
        """Raise ``SpecError`` when the function has no parameter of one of these names."""
        known = self.parameters
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
            return
        for name in names:
            if name not in known:
                raise SpecError(f"{self.name}: no parameter {name!r}; it has {listing(known) or 'none'}{nearest(name, known)}.")

    def build(self, **parameters: Any) -> MemoryModel:
        """Return the memory with these parameters.

        Raises ``SpecError`` for a parameter that is unknown or missing, and ``FileError``, with
        the line, when the function of a user's file raises or returns something else.
        """
        self.check_parameters(parameters)
        for name, parameter in self.parameters.items():
            plain = parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
            if plain and parameter.default is inspect.Parameter.empty and name not in parameters:
                raise SpecError(f"{self.name}: parameter {name!r} is not given and has no default; give it with --set {name}=...")
        if self.path is None:
            return self._named(self.function(**parameters), parameters)
        try:
            memory = self.function(**parameters)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit too
            raise _raised(self.path, error, f"in {self.function.__name__}({_arguments(parameters)})") from error
        if not isinstance(memory, MemoryModel):
            raise FileError(
                f"{self.path}: {self.function.__name__}({_arguments(parameters)}) returned a {type(memory).__name__}; expected a MemoryModel."
            )
        return self._named(memory, parameters)

    def _named(self, memory: MemoryModel, given: Mapping[str, object]) -> MemoryModel:
        """Return the memory with the function's arguments as its parameters, where it tells none."""
        if memory.parameters:
            return memory
        own = {name: p.default for name, p in self.parameters.items() if p.default is not inspect.Parameter.empty}
        return replace(memory, parameters={**own, **given})

    def found(self, name: str) -> ProtocolRecipe | Trial:
        """Return a protocol that comes with the model, as its recipe or as a trial; raise ``SpecError`` with the valid names otherwise."""
        if name not in self.protocols:
            raise SpecError(
                f"{self.name}: no protocol {name!r}; expected one of {listing(self.protocols) or '(it has none)'}, or a .toml file{nearest(name, self.protocols)}."
            )
        return self.protocols[name]

    def recipe(self, name: str) -> ProtocolRecipe:
        """Return the recipe of a protocol that comes with the model; raise ``SpecError`` for an unknown name, and for a trial."""
        found = self.found(name)
        if isinstance(found, Trial):
            raise SpecError(
                f"{self.name}: protocol {name!r} is a Trial, which has no operations in time; expected it with a memory without spikes "
                f"(neuromem run {self.name}, or neuromem.runs.trial.run_trial)."
            )
        return found

    def protocol(self, name: str, parameters: Mapping[str, object]) -> Protocol:
        """Return a protocol that comes with the model, built with those parameters that its function takes.

        Raises ``SpecError`` for an unknown name, and ``FileError``, with the line, when the recipe
        of a user's file raises or returns something else.
        """
        build = self.recipe(name).build
        if self.path is None:
            return _built(build, parameters)
        try:
            protocol = _built(build, parameters)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit too
            raise _raised(self.path, error, f"in PROTOCOLS[{name!r}]") from error
        if not isinstance(protocol, Protocol):
            raise FileError(f"{self.path}: PROTOCOLS[{name!r}] returned a {type(protocol).__name__}; expected a Protocol.")
        return protocol


def _built(build: Callable[..., Protocol], parameters: Mapping[str, object]) -> Protocol:
    return build(**{key: parameters[key] for key in inspect.signature(build).parameters if key in parameters})


_MODELS = "neuromem.models"  # stands in the folder models/ of the repository


def model_names() -> tuple[str, ...]:
    """Return the names of the models that ship with neuromem."""
    return tuple(importlib.import_module(_MODELS).MODELS)


def find_model(name: str) -> ModelEntry:
    """Return the model called ``name``: one of neuromem's, or ``path/to/file.py:function``.

    A file may have a module-level ``PROTOCOLS``, a dictionary name -> ``ProtocolRecipe`` or ``Trial``. Its
    folder is not put on the import path. Raises ``SpecError`` for an unknown name and
    ``FileError``, with the line, for a file that cannot be loaded.
    """
    known = model_names()
    if name in known:
        module_name, function_name = importlib.import_module(_MODELS).MODELS[name]
        module = importlib.import_module(module_name)
        return ModelEntry(name, getattr(module, function_name), module.PROTOCOLS)
    text, _, function_name = name.rpartition(":") if ":" in name else (name, "", "")
    if not text.endswith(".py"):
        raise SpecError(
            f"model {name!r}; expected one of {listing(known)}, or a file of your own as path/to/file.py:function{nearest(name, known)}."
        )
    path = Path(text)
    module = _load(path)
    functions = [n for n, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__]
    if not function_name:
        raise FileError(
            f"{path}: no function is named; expected {path}:function, with one of {listing(functions) or '(the file has none)'}."
        )
    function = getattr(module, function_name, None)
    if function is None:
        raise FileError(f"{path}: no function {function_name!r}; it has {listing(functions) or 'none'}{nearest(function_name, functions)}.")
    if not callable(function):
        raise FileError(f"{path}: {function_name} is a {type(function).__name__}; expected a function that returns a MemoryModel.")
    protocols = getattr(module, "PROTOCOLS", {})
    if not isinstance(protocols, Mapping):
        raise FileError(f"{path}: PROTOCOLS is a {type(protocols).__name__}; expected a dictionary of ProtocolRecipe or Trial by name.")
    for key, recipe in protocols.items():
        if not isinstance(recipe, ProtocolRecipe | Trial):
            raise FileError(f"{path}: PROTOCOLS[{key!r}] is a {type(recipe).__name__}; expected a ProtocolRecipe or a Trial.")
    return ModelEntry(name, function, protocols, path)


class _UncachedLoader(importlib.machinery.SourceFileLoader):
    """Loads from source alone: no ``__pycache__`` beside the user's file, so none that is out of date."""

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError


def _load(path: Path) -> ModuleType:
    try:
        path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path}: no such file; expected a model file as path/to/file.py:function.") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); expected a model file as path/to/file.py:function.") from None
    # Two files of one name must not share a module; dataclasses look their module up in sys.modules.
    name = f"neuromem_file_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_loader(name, _UncachedLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        if error.filename != str(path):
            raise _raised(path, error, "while the file was loaded") from error
        raise FileError(f"{path}:{error.lineno}: {type(error).__name__}: {error.msg}.") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit too
        raise _raised(path, error, "while the file was loaded") from error
    return module


def _raised(path: Path, error: BaseException, when: str) -> FileError:
    """Name the last line of the user's file on the way to the exception; neuromem's own errors keep their text."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    if isinstance(error, NeuromemError):
        return FileError(f"{where}: {when}: {error}")
    return FileError(f"{where}: {type(error).__name__}: {error} ({when}).")


def _arguments(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
