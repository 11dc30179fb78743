"""What computes a tile: the seam between matrices and engines."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import NamedTuple, Protocol

import numpy as np

from neuromem.backends.interrupts import held_interrupts
from neuromem.errors import SpecError, listing, nearest
from neuromem.large.matrices import Source
from neuromem.large.rules import Arrays, Operation
from neuromem.large.staging import Tile


class Loaded(NamedTuple):
    """A tile that an engine works on; ``arrays`` are of the engine's kind."""

    first: int
    stop: int
    arrays: Arrays


Counted = tuple[int, int]
"""How many weights were pushed to a bound, and how many lay beyond the bounds before."""


class TileEngine(Protocol):
    """Takes tiles from a source to a sink. Several threads call it at once, each with tiles of its own, in the order load, compute, store.

    So while one thread waits for a disk (or, with a stream for each thread, for a transfer), another computes.
    """

    def load(self, first: int, stop: int) -> Loaded:
        """Bring the rows to where they are computed."""

    def compute(self, tile: Loaded) -> Counted:
        """Change them; return what is counted. Raises ``NotFiniteError``."""

    def store(self, tile: Loaded) -> None:
        """Bring them to the sink; they are on the disk when this returns."""


class NotFiniteError(Exception):
    """A weight of these rows is NaN or infinite after the update."""

    def __init__(self, first: int, stop: int, name: str) -> None:
        super().__init__(f"{name}, rows {first} to {stop - 1}")
        self.first, self.stop, self.name = first, stop, name


class HostEngine:
    """The NumPy and the compiled kernels, on arrays of the host."""

    def __init__(self, name: str, operation: Operation, source: Source, sink: Source) -> None:
        modules = {part: importlib.import_module(f"neuromem.kernels.{name}.{part}") for part in ("outer", "bcpnn", "counters")}
        self.kernels = SimpleNamespace(**modules)
        self.operation, self.source, self.sink = operation, source, sink
        nothing: Arrays = {key: np.empty((0, matrix.shape[1]), matrix.dtype) for key, matrix in source.matrices.items()}
        with held_interrupts():  # what is not compiled yet is compiled now, and not while tiles are timed
            self.compute(Loaded(0, 0, nothing))

    def load(self, first: int, stop: int) -> Loaded:
        """See ``TileEngine.load``."""
        arrays: Arrays = {}
        for name, matrix in self.source.matrices.items():
            if name in self.operation.reads or self.source is self.sink:
                arrays[name] = matrix.read(first, stop)
            else:
                arrays[name] = np.empty((stop - first, matrix.shape[1]), matrix.dtype)
        return Loaded(first, stop, arrays)

    def compute(self, tile: Loaded) -> Counted:
        """See ``TileEngine.compute``."""
        operation = self.operation
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = operation.beyond(tile.arrays)
            pushed = operation.apply(
                self.kernels, tile.arrays, operation.at_rows, operation.at_columns, self.source.vectors, tile.first, tile.stop
            )
            for name, array in tile.arrays.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise NotFiniteError(tile.first, tile.stop, name)
        return pushed, beyond

    def store(self, tile: Loaded) -> None:
        """See ``TileEngine.store``."""
        for name, array in tile.arrays.items():
            self.sink.matrices[name].write(tile.first, tile.stop, array)
        for matrix in self.sink.matrices.values():
            matrix.sync(tile.first, tile.stop)


ENGINES: dict[str, tuple[str, str]] = {
    "cpu": ("neuromem.large.engines", "HostEngine"),
    "reference": ("neuromem.large.engines", "HostEngine"),
    "cupy": ("neuromem.large.device", "DeviceEngine"),
}
"""Engine name -> (module, class); imported when it is asked for."""


def check_engine(name: str) -> None:
    """Raise ``SpecError`` for an unknown engine."""
    if name not in ENGINES:
        raise SpecError(f"update: engine = {name!r}; expected one of {listing(ENGINES)}{nearest(str(name), ENGINES)}.")


def make_engine(name: str, operation: Operation, source: Source, sink: Source) -> TileEngine:
    """Return the engine called ``name``, at work on an operation; raise ``BackendMissingError`` where it cannot run."""
    module, attribute = ENGINES[name]
    made: TileEngine = getattr(importlib.import_module(module), attribute)(name, operation, source, sink)
    return made


def run_tiles(
    engine: TileEngine,
    tiles: Sequence[Tile],
    workers: int,
    done: Callable[[int, int, int, int], None],
    progress: Callable[[], None] | None = None,
    stoppable: bool = True,
) -> None:
    """Take the tiles through the engine with ``workers`` threads; call ``done(first, stop, pushed, beyond)`` for each, one at a time.

    Ctrl-C, and the first error, let the tiles under way end; without ``stoppable``, all tiles, for what is half changed is worth nothing.
    """
    turn: Iterator[Tile] = iter(tiles)
    one_at_a_time, stop = threading.Lock(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            with one_at_a_time:
                tile = next(turn, None)
            if tile is None:
                return
            try:
                loaded = engine.load(*tile)
                counted = engine.compute(loaded)
                engine.store(loaded)
                del loaded  # before the next one is loaded
                with one_at_a_time:
                    done(*tile, *counted)
            except BaseException:
                stop.set()
                raise

    interrupted = False
    n = max(1, min(workers, len(tiles)))
    with ThreadPoolExecutor(n, thread_name_prefix="neuromem-tiles") as pool:
        futures = [pool.submit(work) for _ in range(n)]
        while not all(future.done() for future in futures):
            try:
                wait(futures, timeout=0.1)
                if progress is not None:
                    progress()
            except KeyboardInterrupt:
                interrupted = True
                if stoppable:
                    stop.set()
    for future in futures:
        future.result()
    if interrupted:
        raise KeyboardInterrupt
