"""One update of one matrix: in place in memory, or from a file to a new file, tile by tile."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.errors import LimitError, NeuromemError, SpecError, StoreError
from neuromem.ir.memory_needed import available_memory, bytes_text
from neuromem.large.bandwidth import Copy, copy_in_files, copy_in_memory
from neuromem.large.engines import Counted, NotFiniteError, check_engine, make_engine, run_tiles
from neuromem.large.matrices import Source, fingerprint, make_like, open_like, open_source, path_of, remove, write_vectors
from neuromem.large.report import Report
from neuromem.large.rules import Operation, kind_of, operation
from neuromem.large.staging import Staging, Tile, folder_of, opened
from neuromem.quantities import is_whole
from neuromem.spec.plasticity import PlasticityRule

TILE = 1 << 26  # bytes of a tile of files: large enough for any disk, small enough that several fit in any memory
CACHED = 1 << 22  # bytes of a tile in memory: it is still in the cache when it is looked through
PART_OF_MEMORY = 0.25  # of what is free, for all tiles together

Progress = Callable[[int, int], None]


class UpdateInterrupted(KeyboardInterrupt):
    """Ctrl-C during an update of files; what was finished is kept, and the same call goes on from there."""


def update(
    matrix: Any,
    keys: Any,
    values: Any,
    rule: PlasticityRule,
    *,
    out: str | Path | None = None,
    engine: str = "cpu",
    threads: int | None = None,
    tile_bytes: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Learn the pairs (keys[m], values[m]) by ``rule``, and report the bytes moved in a second beside those of a copy.

    ``matrix`` is W (n_values, n_keys), float32 or int8, read as y = W k: an array, which is changed in place, or a file, which is not:
    a ``.npy`` file (its path, or its memory map) or a zarr 3 array (its folder, or itself). From a file, ``out`` names the new one: ``.npy``, or else
    zarr. ``keys`` (M, n_keys) and ``values`` (M, n_values) may be one pair without M; ``values`` is None where the rule does not use them.

    ``rule`` is a ``HebbBatch`` (all pairs at once; the only one for int8), an ``OuterProductRule`` (one pair after the other; not with
    ``OrthogonalStep``), or ``BayesianHebbian(tau)``. Rules with several tables take a mapping of arrays, or a zarr group: with ``MomentumStep``
    ``w`` and ``momentum``; for BCPNN ``p_ij`` and ``w``, both (n_pre, n_post) = (n_keys, n_values), and ``p_i``, ``p_j`` and ``bias``.

    Tiles of whole rows are done by ``threads`` threads (default: one a processor). With ``engine`` ``cpu``, no bit of the result depends on
    tiles or threads. Files: tiles of ``tile_bytes`` (default 64 MiB, less where memory is short) are read, changed and written side by
    side. ``<out>.partial`` holds what is finished; after Ctrl-C, a full disk or a killed process the same call goes on, and ``out``
    appears when it is whole. ``progress`` is called with (rows done, rows in all).

    Raises ``SpecError`` for what does not fit together, ``UnsupportedError`` for rules that cannot be done, ``LimitError`` before memory or disk
    runs out, ``FileError`` and ``StoreError`` for files, ``UpdateInterrupted`` on Ctrl-C (in memory: KeyboardInterrupt, when the matrix is whole).
    """
    check_engine(engine)
    for name, number in (("threads", threads), ("tile_bytes", tile_bytes)):
        if number is not None and (not is_whole(number) or number < 1):
            raise SpecError(f"update: {name} = {number!r}; expected a whole number, at least 1, or None.")
    kind = kind_of(rule, np.dtype(np.float32))
    source = open_source(matrix, kind.matrices, kind.vectors)
    work = operation(rule, keys, values, source.shape, source.dtype)
    job = _Job(source, work, rule, engine, threads or len(os.sched_getaffinity(0)), tile_bytes, progress)
    if source.path is None:
        if out is not None:
            raise SpecError(f"update: out = {str(out)!r} with a matrix in memory, which is changed in place; expected out = None.")
        return job.in_memory()
    if out is None:
        raise SpecError(f"{source.path}: a file is not changed in place; expected the name of a new one: out=... (--out).")
    out = path_of("update: out", out)
    try:
        return job.in_files(out)
    except NeuromemError:
        raise
    except OSError as error:
        raise _write_error(out, error) from error


@dataclass(frozen=True)
class _Job:
    """An update whose parts fit together."""

    source: Source
    work: Operation
    rule: PlasticityRule
    engine: str
    threads: int
    tile_bytes: int | None
    progress: Progress | None

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of all matrices."""
        return sum(m.shape[1] * m.dtype.itemsize for m in self.source.matrices.values())

    @property
    def n_rows(self) -> int:
        return self.source.shape[0]

    def in_memory(self) -> Report:
        """Change the arrays in place."""
        source = self.source
        rows, good = (self.tile_bytes or CACHED) // self.row_bytes, self.work.good_rows
        tiles = cut(self.n_rows, max(1, rows, good) // good * good or 1, ())
        count, engine = _Count(self.progress, self.n_rows), self._engine(source)
        began = time.perf_counter()
        try:
            run_tiles(engine, tiles, self.threads, count.add, count.tell, stoppable=False)
        except NotFiniteError as error:
            raise SpecError(f"{self._overshoot(error)} What was in memory is lost.") from None
        for name, new in self.work.final_vectors(source.vectors).items():
            source.vectors[name][:] = new
        seconds = time.perf_counter() - began
        copy = copy_in_memory(self.row_bytes * self.n_rows, self.threads)
        return self._report("memory", self.n_rows, seconds, copy, (count.pushed, count.beyond), len(tiles))

    def in_files(self, out: Path) -> Report:
        """Write the changed matrix as ``out``, or go on writing it."""
        source, path = self.source, self.source.path
        assert path is not None
        as_npy, before = out.suffix == ".npy", fingerprint(path)
        if as_npy and len(source.matrices) > 1:
            raise SpecError(f"{out}: a .npy file holds one matrix, and this rule has several; expected the name of a zarr folder.")
        with opened(out, self._request(before)) as staging:
            sink = _sink(staging, source, as_npy)
            multiple, workers = math.lcm(source.row_multiple, sink.row_multiple), self.threads + 1  # one waits for the disk
            finished = [(first, stop) for first, stop, *_ in staging.finished]
            tiles = cut(self.n_rows, self._rows_of_a_tile(multiple, workers), finished)
            left = sum(stop - first for first, stop in tiles)
            self._check_disk(out, left)
            copy = _copy_bandwidth(staging, source, as_npy, tiles)
            count = _Count(self.progress, self.n_rows, self.n_rows - left)

            def done(*entry: *tuple[int, int, int, int]) -> None:
                staging.record(*entry)
                count.add(*entry)

            engine = self._engine(sink)
            began = time.perf_counter()
            try:
                run_tiles(engine, tiles, workers, done, count.tell)
            except NotFiniteError as error:
                staging.finished.clear()  # no use to go on
                raise SpecError(self._not_finite_in(path, error)) from None
            except KeyboardInterrupt:
                kept = f"; they are in {staging.folder}, and the same command goes on from there" if count.rows else ""
                raise UpdateInterrupted(f"{out}: interrupted after {count.rows} of {self.n_rows} rows{kept}.") from None
            if fingerprint(path) != before:
                staging.finished.clear()
                raise StoreError(f"{path}: was written to while it was read, so that what came of it is not kept; try again.")
            write_vectors(staging.result, self.work.final_vectors(source.vectors))
            counted = sum(entry[2] for entry in staging.finished), sum(entry[3] for entry in staging.finished)
            staging.publish()
            seconds = time.perf_counter() - began
        return self._report("files", left, seconds, copy, counted, len(tiles))

    def _engine(self, sink: Source) -> Any:
        return make_engine(self.engine, self.work, self.source, sink)

    def _request(self, fingerprint_of_source: str) -> dict[str, str]:
        """Return what an unfinished update must have in common with this one to be finished by it."""
        return {
            "matrix": str(self.source.path and self.source.path.resolve()),
            "state of the matrix": fingerprint_of_source,
            "rule": self.work.text,
            "number of pairs": str(len(self.work.at_rows)),
            "pairs": hashlib.sha256(
                repr(self.work.at_rows.shape).encode() + self.work.at_rows.tobytes() + self.work.at_columns.tobytes()
            ).hexdigest(),
            "engine": self.engine,
        }

    def _rows_of_a_tile(self, multiple: int, workers: int) -> int:
        """Return how many rows a tile has, a multiple of ``multiple``; raise ``LimitError`` and ``SpecError`` where there is no such number."""
        places = workers * max(m.copies for m in self.source.matrices.values())
        free, least = available_memory(), multiple * self.row_bytes
        chosen = self.tile_bytes or max(least, min(TILE, int(PART_OF_MEMORY * free) // places))
        if chosen < least:
            raise SpecError(f"update: tile_bytes = {chosen}; expected at least {least}: the {multiple} rows of a chunk.")
        good = math.lcm(multiple, self.work.good_rows)
        rows = chosen // self.row_bytes
        rows = rows // good * good or rows // multiple * multiple
        needed = places * min(rows, self.n_rows) * self.row_bytes
        if needed > free:
            raise LimitError(
                f"update: {workers} tiles of {rows} rows take {bytes_text(needed)} of memory with what their files need; {bytes_text(free)} are free "
                f"here. Take fewer threads, smaller tiles (tile_bytes), or chunks of fewer rows than {multiple}."
            )
        return rows

    def _check_disk(self, out: Path, rows: int) -> None:
        needed = rows * self.row_bytes  # the sample that is copied first is no larger, and is gone by then
        free = shutil.disk_usage(out.parent).free
        if needed > free:
            raise LimitError(
                f"{out}: {bytes_text(needed)} are to be written; {bytes_text(free)} are free there. Free some space, or choose another place."
            )

    def _overshoot(self, error: NotFiniteError) -> str:
        return (
            f"update: {error} are not finite after {self.rule!r}; expected finite weights before, a smaller rate or "
            "shorter keys (of rules that correct an error, rate |k|^2 at most 1), or bounds."
        )

    def _not_finite_in(self, path: Path, error: NotFiniteError) -> str:
        for name in self.work.reads:
            if not np.isfinite(self.source.matrices[name].read(error.first, error.stop)).all():
                return f"{path}: {name}, rows {error.first} to {error.stop - 1}, has NaN or infinite weights already; expected finite ones."
        return f"{self._overshoot(error)} {path} is as it was."

    def _report(self, place: str, rows: int, seconds: float, copy: Copy, counted: Counted, n_tiles: int) -> Report:
        source, reads = self.source, self.work.reads
        bytes_read = rows * sum(m.shape[1] * m.dtype.itemsize for name, m in source.matrices.items() if name in reads)
        return Report(
            rule=self.work.text,
            n_pairs=len(self.work.at_rows),
            shape=source.shape,
            dtype=str(source.dtype),
            engine=self.engine,
            threads=max(1, min(self.threads, n_tiles)),
            place=place,
            bytes_read=bytes_read,
            bytes_written=rows * self.row_bytes,
            seconds=seconds,
            copy_bandwidth=copy.bandwidth,
            copy_bytes=copy.n_bytes,
            saturated=counted[0] if self.work.counts else None,
            beyond=counted[1],
            n_tiles=n_tiles,
            n_resumed=self.n_rows - rows,
        )


class _Count:
    """How far an update is."""

    def __init__(self, progress: Progress | None, n_rows: int, rows: int = 0) -> None:
        self.progress, self.n_rows, self.rows, self.pushed, self.beyond = progress, n_rows, rows, 0, 0

    def add(self, first: int, stop: int, pushed: int, beyond: int) -> None:
        self.rows += stop - first
        self.pushed += pushed
        self.beyond += beyond

    def tell(self) -> None:
        if self.progress is not None:
            self.progress(self.rows, self.n_rows)


def cut(n_rows: int, rows: int, finished: Iterable[Tile]) -> list[Tile]:
    """Return tiles of at most ``rows`` rows that cover ``range(n_rows)`` but for what is ``finished``."""
    tiles, at = [], 0
    for first, stop in (*sorted(finished), (n_rows, n_rows)):
        tiles += [(begin, min(begin + rows, first)) for begin in range(at, first, rows)]
        at = stop
    return tiles


def _sink(staging: Staging, source: Source, as_npy: bool) -> Source:
    """Return the new matrix, for writing; make its files first where they are not there yet."""
    if not staging.result.exists():
        fresh = staging.folder / "fresh"
        remove(fresh)
        make_like(source, fresh, as_npy)
        fresh.rename(staging.result)
    return open_like(source, staging.result, as_npy)


def _copy_bandwidth(staging: Staging, source: Source, as_npy: bool, tiles: list[Tile]) -> Copy:
    copied = staging.folder / "copied"
    remove(copied)
    try:
        make_like(source, copied, as_npy)
        return copy_in_files(source, open_like(source, copied, as_npy), tiles)
    finally:
        remove(copied)


def _write_error(out: Path, error: OSError) -> StoreError:
    folder = folder_of(out)
    kept = f"what was finished is in {folder}: " if folder.exists() else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"{out}: the disk is full; {kept}free some space, and give the same command again.")
    return StoreError(f"{out}: cannot be written ({error.strerror or error}); {kept}give the same command again when it can.")
