"""The verbs of neuromem for a user's program: check, lower, fit, build, run, and keeping runs.

Backends and zarr are imported when they are first used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from neuromem import ir
from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import check_matrix_memory, has_spikes
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.ir.memory_checks import check_memory
from neuromem.ir.memory_needed import memory_needed
from neuromem.ir.program import Program
from neuromem.ir.recording import Recording
from neuromem.runs.outcomes import outcomes
from neuromem.runs.result import InterruptedRun, RunResult
from neuromem.runs.store import StoredRun, open_run, save_run
from neuromem.spec.memory import MemoryModel
from neuromem.spec.network import Network
from neuromem.spec.protocol import Protocol
from neuromem.spec.protocol_file import ProtocolFile

if TYPE_CHECKING:
    from neuromem.backends.base import Progress, Simulation
    from neuromem.hardware_targets.spinnaker.fitted import Fitted
    from neuromem.runs.matrix_session import MatrixSession
    from neuromem.runs.session import Session

__all__ = [
    "InterruptedRun",
    "RunResult",
    "StoredRun",
    "build",
    "check",
    "fit",
    "load_model",
    "load_protocol",
    "lower",
    "memory_needed",
    "open_run",
    "run",
    "save_run",
]


@overload
def check(definition: MemoryModel) -> MemoryModel: ...
@overload
def check(definition: Network, *, dt: float) -> Network: ...
def check(definition: MemoryModel | Network, *, dt: float | None = None) -> MemoryModel | Network:
    """Return a memory or a network as it is, or raise ``SpecError`` saying what is wrong with it.

    A network is checked on a grid of ``dt`` ms; a memory has its own.
    """
    if isinstance(definition, MemoryModel):
        _refuse("check", dt=dt)
        return check_memory(definition) if has_spikes(definition.network) else check_matrix_memory(definition)
    if isinstance(definition, Network):
        return ir.check(definition, _needed("check", "dt", dt))
    raise SpecError(f"check: {type(definition).__name__}; expected a MemoryModel or a Network.")


@overload
def lower(definition: MemoryModel, protocol: Protocol | ProtocolFile | str | Path, *, seed: int = 0) -> Program: ...
@overload
def lower(definition: MemoryModel, *, seed: int = 0) -> MatrixProgram: ...
@overload
def lower(definition: Network, *, dt: float, n_steps: int, seed: int = 0, input_seed: int | None = None) -> Program: ...
def lower(
    definition: MemoryModel | Network,
    protocol: Protocol | ProtocolFile | str | Path | None = None,
    *,
    dt: float | None = None,
    n_steps: int | None = None,
    seed: int = 0,
    input_seed: int | None = None,
) -> Program | MatrixProgram:
    """Return the Program of a memory with a protocol, of a memory without spikes, or of a network for ``n_steps`` steps of ``dt`` ms.

    ``print(program)`` shows it. A network's Poisson spikes are drawn from ``input_seed`` where it is given. Raises ``SpecError``.
    """
    if isinstance(definition, MemoryModel):
        _refuse("lower", dt=dt, n_steps=n_steps, input_seed=input_seed)
        if not has_spikes(definition.network):
            if protocol is not None:
                raise SpecError(f"lower: a protocol with {definition.name}, which has no steps in time; expected lower(memory).")
            return lower_matrix_memory(definition, seed)
        check_memory(definition)
        if protocol is None:
            raise SpecError("lower: protocol is missing; expected lower(memory, protocol).")
        return ir.lower_memory(definition, _protocol(definition, protocol), seed)
    if isinstance(definition, Network):
        if protocol is not None:
            raise SpecError("lower: a protocol with a Network; expected a MemoryModel, which says how its operations look.")
        return ir.lower(
            definition, dt=_needed("lower", "dt", dt), n_steps=_needed("lower", "n_steps", n_steps), seed=seed, input_seed=input_seed
        )
    raise SpecError(f"lower: {type(definition).__name__}; expected a MemoryModel or a Network.")


def fit(program: Program, board: str = "spinn5") -> Fitted:
    """Return ``program`` as a SpiNNaker board of kind ``spinn3`` or ``spinn5`` will hold it, with a report of what had to be done.

    Raises ``UnsupportedError`` for what a board does not do, and ``LimitError`` for what does not fit.
    """
    from neuromem.hardware_targets.spinnaker import fit as spinnaker

    return spinnaker.fit(program, board)


@overload
def build(definition: MemoryModel, backend: str = "cpu", *, seed: int = 0, **options: Any) -> Any: ...  # Session or MatrixSession
@overload
def build(definition: Program, backend: str = "cpu", **options: Any) -> Simulation: ...
def build(
    definition: MemoryModel | Program, backend: str = "cpu", *, seed: int | None = None, **options: Any
) -> Session | MatrixSession | Simulation:
    """Return a ``Session`` (store, recall, forget one at a time) for a spiking memory, a ``MatrixSession`` (batches of patterns) for
    one without spikes, or a ``Simulation`` for a Program.

    ``backend = "auto"`` is the one that will be done first here. ``options`` are the backend's, such as ``codegen`` of brian2. Raises ``UnsupportedError``
    for what the backend refuses, and ``BackendMissingError`` when it is not installed.
    """
    from neuromem.backends import load_backend
    from neuromem.runs.matrix_session import MatrixSession
    from neuromem.runs.session import Session

    if isinstance(definition, MemoryModel):
        if backend == "auto":
            backend = _chosen(definition, interactive=True)
        session = Session if has_spikes(definition.network) else MatrixSession
        return session(check(definition), load_backend(backend, **options), seed=seed or 0)
    if isinstance(definition, Program):
        if seed is not None:
            raise SpecError(f"build: seed = {seed} with a Program, whose random numbers are drawn already; give the seed to lower.")
        if backend == "auto":
            raise SpecError("build: backend 'auto' with a Program; expected a MemoryModel, or the name of a backend.")
        return load_backend(backend, **options).build(definition)
    raise SpecError(f"build: {type(definition).__name__}; expected a MemoryModel, or a Program (a Network becomes one by lower).")


def run(
    memory: MemoryModel,
    protocol: Protocol | ProtocolFile | str | Path,
    backend: str = "cpu",
    *,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> RunResult:
    """Run a protocol on a memory and return what was recorded and what each operation came to.

    ``protocol`` is a Protocol, the name of one that comes with the model, or a ``.toml`` file.

    ``progress`` is called with (steps done, steps in all). Ctrl-C raises ``InterruptedRun``, a
    ``KeyboardInterrupt`` whose ``result`` holds the steps that were run. Raises as ``lower`` and
    ``build`` do.
    """
    from neuromem.backends import backend_options, load_backend

    if not isinstance(memory, MemoryModel):
        raise SpecError(f"run: {type(memory).__name__}; expected a MemoryModel.")
    protocol = _protocol(memory, protocol)
    if backend == "auto":
        backend = _chosen(memory, protocol.n_steps)
    backend, options = backend_options(backend, options)
    engine = load_backend(backend, **options)
    simulation = engine.build(lower(memory, protocol, seed=seed))

    def result(recording: Recording) -> RunResult:
        return RunResult(memory, protocol, recording, outcomes(memory, protocol, recording), backend, engine.versions(), options)

    try:
        recording = simulation.run(progress)
    except KeyboardInterrupt as stop:
        try:
            part = whole_steps(simulation.recording())
        except UnsupportedError:  # a backend that runs in one piece has nothing to show
            raise stop from None
        raise InterruptedRun(result(part)) from None
    return result(recording)


def whole_steps(recording: Recording) -> Recording:
    """Return the recording without what a step that was interrupted had recorded already."""
    keep = recording.step < recording.n_steps
    states = {key: values[:, : recording.n_steps] for key, values in recording.states.items()}
    return replace(recording, replica=recording.replica[keep], step=recording.step[keep], unit=recording.unit[keep], states=states)


def load_protocol(path: str | Path) -> ProtocolFile:
    """Read a protocol from a TOML file; ``run`` and ``lower`` take it as it is. Raises ``FileError``."""
    from neuromem.spec import protocol_file

    return protocol_file.load_protocol(path)


def load_model(name: str, **parameters: Any) -> MemoryModel:
    """Return a memory by name: one that ships (``ca3-cam``) or a file's, as ``path/to/file.py:function``.

    Raises ``SpecError`` for an unknown name or parameter, and ``FileError`` for a file that cannot be used.
    """
    from neuromem.model_files import find_model

    return find_model(name).build(**parameters)


def _chosen(memory: MemoryModel, amount: int | None = None, interactive: bool = False) -> str:
    """Return the backend that will be done first; see ``neuromem.runs.predict``."""
    from neuromem.runs.predict import choose

    return choose(check(memory), amount, interactive=interactive).backend


def _protocol(memory: MemoryModel, protocol: Protocol | ProtocolFile | str | Path) -> Protocol:
    if isinstance(protocol, str | Path):
        if not str(protocol).endswith(".toml"):
            from neuromem.model_files import find_model

            return find_model(memory.name).protocol(str(protocol), memory.parameters)
        protocol = load_protocol(protocol)
    if isinstance(protocol, ProtocolFile):
        return protocol.for_memory(memory)
    if not isinstance(protocol, Protocol):
        raise SpecError(f"protocol = {protocol!r}; expected a Protocol, the name of one of the model's, or a .toml file.")
    return protocol


def _needed[T](verb: str, name: str, value: T | None) -> T:
    if value is None:
        raise SpecError(f"{verb}: {name} is missing; a Network needs it: {verb}(network, {name}=...).")
    return value


def _refuse(verb: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise SpecError(f"{verb}: {name} = {value!r} with a MemoryModel, which has its own; expected it with a Network only.")
