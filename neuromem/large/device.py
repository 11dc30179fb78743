"""Tiles on a CUDA device: each thread has a stream of its own, so that one tile travels while another is computed."""

from __future__ import annotations

import importlib
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from neuromem.backends import load_backend
from neuromem.large.engines import Counted, HostEngine, Loaded, NotFiniteError
from neuromem.large.matrices import Source
from neuromem.large.rules import Operation


class DeviceEngine(HostEngine):
    """The CUDA kernels. Pairs and vectors are brought to the device once; tiles come and go."""

    def __init__(self, name: str, operation: Operation, source: Source, sink: Source) -> None:
        load_backend(name)  # says what is missing
        self._runtime: Any = importlib.import_module("neuromem.kernels.cupy.runtime")
        self.kernels = SimpleNamespace(
            **{part: importlib.import_module(f"neuromem.kernels.cupy.{part}") for part in ("outer", "bcpnn", "counters")}
        )
        self.operation, self.source, self.sink = operation, source, sink
        put = self._runtime.put
        self._at_rows, self._at_columns = put(operation.at_rows), put(operation.at_columns)
        self._vectors = {key: put(vector) for key, vector in source.vectors.items()}
        self._runtime.wait()  # streams do not wait for one another
        self._streams = threading.local()
        row = {key: self._runtime.zeros((1, matrix.shape[1]), matrix.dtype) for key, matrix in source.matrices.items()}
        operation.apply(self.kernels, row, self._at_rows, self._at_columns, self._vectors, 0, 1)  # compiles, and is thrown away

    def _stream(self) -> Any:
        if not hasattr(self._streams, "own"):
            self._streams.own = self._runtime.new_stream()
        return self._streams.own

    def load(self, first: int, stop: int) -> Loaded:
        """See ``TileEngine.load``."""
        arrays: dict[str, Any] = {}
        with self._stream():
            for name, matrix in self.source.matrices.items():
                if name in self.operation.reads:
                    arrays[name] = self._runtime.put(matrix.read(first, stop))
                else:
                    arrays[name] = self._runtime.empty((stop - first, matrix.shape[1]), matrix.dtype)
        return Loaded(first, stop, arrays)

    def compute(self, tile: Loaded) -> Counted:
        """See ``TileEngine.compute``."""
        runtime = self._runtime
        with self._stream(), runtime.room():
            beyond = self.operation.beyond(tile.arrays)
            pushed = self.operation.apply(self.kernels, tile.arrays, self._at_rows, self._at_columns, self._vectors, tile.first, tile.stop)
            for name, array in tile.arrays.items():
                if array.dtype.kind == "f" and not runtime.get(runtime.cp.isfinite(array).all()):
                    raise NotFiniteError(tile.first, tile.stop, name)
        return pushed, beyond

    def store(self, tile: Loaded) -> None:
        """See ``TileEngine.store``."""
        with self._stream():
            arrays: dict[str, np.ndarray] = {key: self._runtime.get(array) for key, array in tile.arrays.items()}
        super().store(tile._replace(arrays=arrays))
