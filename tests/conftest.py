"""The engines that the contract is tested on: one class for each, and the fixture ``engine``.

A test that takes ``engine`` runs once for every engine; ``@pytest.mark.engines("cpu", ...)``
restricts it by name. To test a new backend, add its class here and to ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import emulated
import pytest

from neuromem.backends import Backend, Simulation, load_backend
from neuromem.errors import BackendMissingError
from neuromem.ir import Program, Recording


class Engine:
    """A backend with its options, and how closely it is to agree with the reference."""

    name: ClassVar[str]
    backend: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    equal_bits: ClassVar[bool] = False
    """Whether weights and states are those of the reference to the last bit, or to a bound."""
    cheap: ClassVar[bool] = True
    """Whether building one more program costs less than a second."""

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}

    @cached_property
    def loaded(self) -> Backend:
        """The backend; skips the test, with the reason, where it is not installed."""
        try:
            return load_backend(self.backend, **self.options)
        except BackendMissingError as missing:
            pytest.skip(str(missing))

    def build(self, program: Program) -> Simulation:
        """Build a simulation of ``program``."""
        return self.loaded.build(program)

    def run(self, program: Program) -> Recording:
        """Run the whole of ``program``."""
        return self.build(program).run()

    def recording(self, key: str, program: Callable[[], Program]) -> Recording:
        """Run the program of this name, once in a test session."""
        if key not in self._recordings:
            self._recordings[key] = self.run(program())
        return self._recordings[key]


class Reference(Engine):
    name = "reference"
    backend = "reference"
    equal_bits = True


class Cpu(Engine):
    name = "cpu"
    backend = "cpu"
    equal_bits = True


class Brian2Numpy(Engine):
    name = "brian2-numpy"
    backend = "brian2"
    options: ClassVar[dict[str, Any]] = {"codegen": "numpy"}


class Brian2Cython(Engine):
    name = "brian2-cython"
    backend = "brian2"
    options: ClassVar[dict[str, Any]] = {"codegen": "cython"}
    cheap = False


class Brian2Standalone(Engine):
    name = "brian2-cpp_standalone"
    backend = "brian2"
    options: ClassVar[dict[str, Any]] = {"codegen": "cpp_standalone"}
    cheap = False


class Cupy(Engine):
    """On a GPU where there is one, else emulated on the CPU."""

    name = "cupy"
    backend = "cupy"
    equal_bits = True

    @cached_property
    def loaded(self) -> Backend:
        """See ``Engine.loaded``."""
        emulated.install()
        return super().loaded


class Brian2Cuda(Engine):
    name = "brian2cuda"
    backend = "brian2cuda"
    cheap = False


KINDS = (Reference, Cpu, Brian2Numpy, Brian2Cython, Brian2Standalone, Cupy, Brian2Cuda)
ENGINES: dict[str, Engine] = {kind.name: kind() for kind in KINDS}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): run only on these engines of tests/conftest.py")
    config.addinivalue_line("markers", "xdist_group(name): run in one process with the others of this name")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one engine share what it compiled, and the other tests of a file its fixtures: each run in one process."""
    for item in items:
        engine = item.callspec.params.get("engine") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
        item.add_marker(pytest.mark.xdist_group(engine.name if isinstance(engine, Engine) else item.path.name))


def engines_of(marks: list[pytest.Mark]) -> list[Engine]:
    """Return the engines that the marks allow; raise ``UsageError`` for a name that is none."""
    names = list(ENGINES)
    for mark in marks:
        unknown = [name for name in mark.args if name not in ENGINES]
        if unknown or not mark.args:
            raise pytest.UsageError(f"mark engines{mark.args}: expected one or more of {', '.join(ENGINES)}")
        names = [name for name in names if name in mark.args]
    return [ENGINES[name] for name in names]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        engines = engines_of(list(metafunc.definition.iter_markers("engines")))
        metafunc.parametrize("engine", engines, ids=[engine.name for engine in engines], scope="session")


@pytest.fixture(scope="session")
def reference() -> Engine:
    """The definition."""
    return ENGINES["reference"]
