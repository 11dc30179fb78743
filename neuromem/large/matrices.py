"""Matrices by rows: in memory, in a ``.npy`` file, in a zarr 3 array. Files are read and written, never mapped, so that errors are exceptions."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neuromem.errors import FileError, LimitError, SpecError, StoreError, listing
from neuromem.ir.memory_needed import bytes_text
from neuromem.quantities import is_number, is_whole

CHUNK = 1 << 24  # bytes of a chunk of a new zarr matrix, in whole rows
MOST_BYTES = 1 << 63  # no system counts further
DTYPES = ("float32", "int8")


class Matrix(Protocol):
    """One table (n_rows, n_columns)."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    row_multiple: int
    """Tiles begin at multiples of so many rows: then no chunk is read or written twice."""
    copies: int
    """Places in memory that a tile takes while it is read or written."""

    def read(self, first: int, stop: int) -> np.ndarray:
        """Return the rows; to change them changes a matrix in memory, and nothing else."""

    def write(self, first: int, stop: int, values: np.ndarray) -> None:
        """Set the rows."""

    def sync(self, first: int, stop: int) -> None:
        """Return when these rows are on the disk, and not only in the system's memory."""


class InMemory:
    """A NumPy array; reads are views, so that writes of what was changed in place have nothing left to do."""

    row_multiple, copies = 1, 0

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, (array.shape[0], array.shape[1]), array.dtype

    def read(self, first: int, stop: int) -> np.ndarray:
        """See ``Matrix.read``."""
        return self.array[first:stop]

    def write(self, first: int, stop: int, values: np.ndarray) -> None:
        """See ``Matrix.write``."""
        if not np.may_share_memory(values, self.array):
            self.array[first:stop] = values

    def sync(self, first: int, stop: int) -> None:
        """See ``Matrix.sync``."""


class NpyFile:
    """The array of a ``.npy`` file in C order."""

    row_multiple, copies = 1, 1

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            mapped = np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise StoreError(f"{path}: does not exist; expected a .npy file with a matrix, or a zarr folder.") from None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)}).") from error
        except ValueError as error:  # it says what of the header is wrong, or that the file is too short
            raise FileError(f"{path}: is no whole .npy file ({error}); expected what numpy.save writes.") from None
        check_table(str(path), mapped)
        if not mapped.flags.c_contiguous:
            raise FileError(f"{path}: is stored column by column; expected rows: numpy.save(new_name, numpy.ascontiguousarray(matrix)).")
        self.shape: tuple[int, int] = (mapped.shape[0], mapped.shape[1])
        self.dtype, self._offset = mapped.dtype, int(mapped.offset)

    def read(self, first: int, stop: int) -> np.ndarray:
        """See ``Matrix.read``."""
        values = np.empty((stop - first, self.shape[1]), self.dtype)
        left = memoryview(values).cast("B")
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self._place(first))
                while left:
                    n = file.readinto(left)
                    if not n:
                        raise StoreError(f"{self.path}: ends before row {stop}; it became shorter while it was read.")
                    left = left[n:]
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"{self.path}: rows {first} to {stop - 1} cannot be read ({os.strerror(error.errno or 0)}).") from error
        return values

    def write(self, first: int, stop: int, values: np.ndarray) -> None:
        """See ``Matrix.write``."""
        left = memoryview(values).cast("B")
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self._place(first))
            while left:
                left = left[file.write(left) :]

    def sync(self, first: int, stop: int) -> None:
        """See ``Matrix.sync``."""
        sync_file(self.path)

    def _place(self, row: int) -> int:
        return self._offset + row * self.shape[1] * int(self.dtype.itemsize)


class ZarrArray:
    """A zarr 3 array in a folder, of any chunks, shards and codecs."""

    copies = 2  # what the codecs work on, and what they made

    def __init__(self, path: Path, array: Any) -> None:
        self.path, self.array = path, array
        check_table(str(path), array)
        self.shape, self.dtype = (array.shape[0], array.shape[1]), array.dtype
        self._grid = array.shards or array.chunks
        self.row_multiple: int = self._grid[0]

    def read(self, first: int, stop: int) -> np.ndarray:
        """See ``Matrix.read``."""
        try:
            return np.require(self.array[first:stop], requirements=["C", "W"])
        except Exception as error:  # each codec has errors of its own
            raise FileError(f"{self.path}: rows {first} to {stop - 1} cannot be read ({error}); restore them from a copy.") from error

    def write(self, first: int, stop: int, values: np.ndarray) -> None:
        """See ``Matrix.write``."""
        self.array[first:stop] = values

    def sync(self, first: int, stop: int) -> None:
        """See ``Matrix.sync``."""
        rows, columns = self._grid
        for i in range(first // rows, -(-stop // rows)):
            for j in range(-(-self.shape[1] // columns)):
                sync_file(self.path / self.array.metadata.encode_chunk_key((i, j)))


def sync_file(path: Path) -> None:
    """Return when a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def check_table(name: str, array: Any) -> None:
    """Raise ``SpecError`` unless an array is a table of float32 or int8 with something in it."""
    if len(array.shape) != 2 or 0 in array.shape:
        raise SpecError(f"{name}: shape {tuple(array.shape)}; expected a matrix (n_values, n_keys).")
    if str(array.dtype) not in DTYPES:
        text = " (astype('float32') makes one that takes half the room)" if str(array.dtype) == "float64" else ""
        raise SpecError(f"{name}: numbers of type {array.dtype}; expected float32 or int8 in the order of this machine{text}.")


class Source:
    """What is to be updated: ``matrices`` and ``vectors`` by name, and the ``path`` they came from (None: memory, changed in place)."""

    def __init__(self, name: str, path: Path | None, matrices: dict[str, Matrix], vectors: dict[str, np.ndarray]) -> None:
        self.name, self.path, self.matrices, self.vectors = name, path, matrices, vectors
        self.shape, self.dtype = (first := next(iter(matrices.values()))).shape, first.dtype

    @property
    def row_multiple(self) -> int:
        """Rows whose multiples begin chunks in all matrices."""
        return math.lcm(*(m.row_multiple for m in self.matrices.values()))


def open_source(matrix: Any, matrices: tuple[str, ...], vectors: tuple[str, ...]) -> Source:
    """Return the matrix that a user gave, or the tables of these names where a rule has several.

    One table: an array, a file, or a zarr array. Several: a mapping of arrays, or a zarr group. Raises ``SpecError``, ``FileError``
    and ``StoreError``.
    """
    if isinstance(matrix, np.memmap) and matrix.filename is not None:
        path, seen = Path(matrix.filename), matrix
        matrix = path
        if (whole := NpyFile(path)).shape != seen.shape or whole.dtype != seen.dtype:
            raise SpecError(
                f"{path}: the memory map is {seen.shape} of {seen.dtype}, the file {whole.shape} of {whole.dtype}; expected the whole."
            )
    if isinstance(matrix, np.ndarray):
        return _one("the matrix", None, _array("the matrix", matrix), matrices)
    if isinstance(matrix, Mapping):
        return _several("the mapping", None, matrix, matrices, vectors)
    if not isinstance(matrix, str | Path):
        matrix = _folder_of(matrix)
    path = Path(matrix)
    if path.suffix == ".npy":
        return _one(str(path), path, NpyFile(path), matrices)
    import zarr

    try:
        found = zarr.open(path, mode="r", zarr_format=3)
    except FileNotFoundError:
        raise StoreError(f"{path}: is no zarr 3 folder; expected one, or a file that ends in .npy.") from None
    except Exception as error:  # zarr lets through whatever damaged metadata makes it raise
        raise FileError(f"{path}: cannot be read as zarr 3 ({error}).") from error
    if isinstance(found, zarr.Array):
        return _one(str(path), path, ZarrArray(path, found), matrices)
    held = {name: found[name] for name in found.array_keys()}
    return _several(str(path), path, held, matrices, vectors)


def _folder_of(matrix: Any) -> Path:
    try:
        return Path(matrix.store.root, matrix.path)
    except (AttributeError, TypeError):
        expected = "a NumPy array, a .npy file or its memory map, a zarr 3 folder, or an array or group in one"
        raise SpecError(f"update: matrix = {type(matrix).__name__}; expected {expected}.") from None


def _array(name: str, array: Any) -> InMemory:
    if not isinstance(array, np.ndarray):
        raise SpecError(f"{name}: {type(array).__name__}; expected a NumPy array.")
    check_table(name, array)
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise SpecError(f"{name}: is changed in place; expected an array in C order that can be written to.")
    return InMemory(array)


def _one(name: str, path: Path | None, matrix: Matrix, matrices: tuple[str, ...]) -> Source:
    if len(matrices) > 1:
        raise SpecError(f"{name}: is one matrix; this rule has several: expected a zarr group, or a mapping, with {', '.join(matrices)}.")
    return Source(name, path, {matrices[0]: matrix}, {})


def _several(name: str, path: Path | None, held: Mapping[str, Any], matrices: tuple[str, ...], vectors: tuple[str, ...]) -> Source:
    if len(matrices) == 1:
        raise SpecError(f"{name}: holds {listing(held) or 'nothing'}; this rule has one matrix: expected an array.")
    wanted = (*matrices, *vectors)
    if set(held) != set(wanted):
        raise SpecError(f"{name}: holds {listing(held) or 'nothing'}; expected {listing(wanted)}.")
    tables: dict[str, Matrix] = {}
    for key in matrices:
        tables[key] = _array(f"{name}, {key}", held[key]) if path is None else ZarrArray(path / key, held[key])
    shape = tables[matrices[0]].shape
    for key, table in tables.items():
        if table.shape != shape or table.dtype != np.float32:
            raise SpecError(f"{name}, {key}: {table.shape} of {table.dtype}; expected float32, all of the shape {shape}.")
    small = {}
    for key in vectors:
        n = shape[0] if key == "p_i" else shape[1]
        if tuple(held[key].shape) != (n,) or held[key].dtype != np.float32:
            raise SpecError(f"{name}, {key}: {tuple(held[key].shape)} of {held[key].dtype}; expected float32 ({n},).")
        small[key] = held[key] if path is None else np.asarray(held[key][...])
    return Source(name, path, tables, small)


def fingerprint(path: Path) -> str:
    """Return a digest of the names, sizes and times of a file, or of all files in a folder: it changes when any is written."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        digest.update(f"{file.relative_to(path)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def make_like(source: Source, path: Path, as_npy: bool) -> None:
    """Make empty files at ``path`` for the updated matrix, of the same shape, and of the same chunks and codecs where it is zarr already."""
    if as_npy:
        _make_npy(path, source.shape, source.dtype)
    elif len(source.matrices) == 1:
        (matrix,) = source.matrices.values()
        _zarr_like(matrix, path)
    else:
        import zarr

        zarr.create_group(path, zarr_format=3)
        for name, matrix in source.matrices.items():
            _zarr_like(matrix, path / name)


def open_like(source: Source, path: Path, as_npy: bool) -> Source:
    """Open what ``make_like`` made, for writing."""
    if as_npy:
        return Source(str(path), path, {name: NpyFile(path) for name in source.matrices}, {})
    import zarr

    def opened(folder: Path) -> ZarrArray:
        # a missing chunk shall be a lost one
        return ZarrArray(folder, zarr.open_array(folder, mode="r+", zarr_format=3, config={"write_empty_chunks": True}))

    several = len(source.matrices) > 1
    return Source(str(path), path, {name: opened(path / name if several else path) for name in source.matrices}, {})


def write_vectors(path: Path, vectors: Mapping[str, np.ndarray]) -> None:
    """Add the small arrays to the group at ``path``, or replace them."""
    import zarr

    for name, values in vectors.items():
        zarr.create_array(path / name, data=values, zarr_format=3, overwrite=True)


def _make_npy(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()


def _zarr_like(matrix: Matrix, path: Path) -> None:
    import zarr

    if not isinstance(matrix, ZarrArray):
        _make_zarr(path, matrix.shape, matrix.dtype)
        return
    old = matrix.array
    zarr.create_array(
        path,
        shape=old.shape,
        dtype=old.dtype,
        chunks=old.chunks,
        shards=old.shards,
        filters=old.filters,
        serializer=old.serializer,
        compressors=old.compressors or None,
        fill_value=old.fill_value,
        dimension_names=old.metadata.dimension_names,
        attributes=dict(old.attrs),
        zarr_format=3,
    )


def _make_zarr(path: Path, shape: tuple[int, int], dtype: np.dtype[Any], fill: float = 0) -> None:
    import zarr
    from zarr.codecs import Crc32cCodec

    zarr.create_array(
        path,
        shape=shape,
        dtype=dtype,
        chunks=(min(shape[0], max(1, CHUNK // (shape[1] * dtype.itemsize))), shape[1]),
        compressors=[Crc32cCodec()],  # learned weights hardly compress; the checksum tells a damaged chunk from a good one
        fill_value=dtype.type(fill),
        zarr_format=3,
    )


def new_matrix(
    path: str | Path,
    n_values: int,
    n_keys: int,
    *,
    dtype: str = "float32",
    momentum: bool = False,
    activity: float | None = None,
) -> Path:
    """Make a matrix of zeros at ``path``: a ``.npy`` file, or else a zarr folder; return its path. Zeros take hardly any room on the disk.

    ``dtype`` is ``float32`` or ``int8``. With ``momentum``, a zarr group of ``w`` and ``momentum``. With ``activity``, a zarr group of the traces of
    BCPNN, (n_pre, n_post) = (``n_keys``, ``n_values``): all units are active with this probability, independently, so that w = 0.
    Raises ``SpecError``, ``LimitError`` for a size that cannot be, and ``StoreError`` when something is there already or cannot be written.
    """
    path = path_of("new_matrix: path", path)
    for name, n in (("n_values", n_values), ("n_keys", n_keys)):
        if not is_whole(n) or n < 1:
            raise SpecError(f"new_matrix: {name} = {n!r}; expected a whole number, at least 1.")
    if dtype not in DTYPES:
        raise SpecError(f"new_matrix: dtype = {dtype!r}; expected {' or '.join(DTYPES)}.")
    several = momentum or activity is not None
    if several and (dtype != "float32" or path.suffix == ".npy" or (momentum and activity is not None)):
        raise SpecError(f"new_matrix: {path} of {dtype} with momentum or traces; expected one of the two, float32, in a zarr folder.")
    if activity is not None and (not is_number(activity) or not 0.0 < activity < 1.0):
        raise SpecError(f"new_matrix: activity = {activity!r}; expected a probability, above 0 and below 1.")
    if os.path.lexists(path):
        raise StoreError(f"{path}: exists already; expected a new name.")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; create it, or choose another place.")
    shape, kind = (int(n_values), int(n_keys)), np.dtype(dtype)
    n_bytes = shape[0] * shape[1] * kind.itemsize
    size = f"{path}: {n_values} x {n_keys} {dtype} are {bytes_text(n_bytes)}"
    if n_bytes >= MOST_BYTES:
        raise LimitError(f"{size}; expected less than {bytes_text(MOST_BYTES)}.")
    try:
        _make_new(path, shape, kind, momentum, activity)
    except BaseException as error:
        remove(path)
        if not isinstance(error, OSError):
            raise
        if error.errno in (errno.EINVAL, errno.EFBIG, errno.ENOMEM, errno.EOVERFLOW):
            raise LimitError(
                f"{size}, more than a file can have there. Make it smaller, or make a zarr folder, which has many files."
            ) from None
        raise StoreError(f"{size}, which cannot be made ({os.strerror(error.errno or 0)}); choose another place.") from error
    return path


def _make_new(path: Path, shape: tuple[int, int], kind: np.dtype[Any], momentum: bool, activity: float | None) -> None:
    n_values, n_keys = shape
    if path.suffix == ".npy":
        _make_npy(path, shape, kind)
    elif not momentum and activity is None:
        _make_zarr(path, shape, kind)
    else:
        import zarr

        zarr.create_group(path, zarr_format=3)
        if activity is None:
            for name in ("w", "momentum"):
                _make_zarr(path / name, shape, kind)
        else:
            p = float(activity)
            _make_zarr(path / "p_ij", shape[::-1], kind, p * p)
            _make_zarr(path / "w", shape[::-1], kind)
            traces = {"p_i": np.full(n_keys, p), "p_j": np.full(n_values, p), "bias": np.full(n_values, math.log(p))}
            write_vectors(path, {name: values.astype(np.float32) for name, values in traces.items()})


def path_of(name: str, given: Any) -> Path:
    """Return the path that a user gave; raise ``SpecError`` where it is none."""
    try:
        return Path(given)
    except TypeError:
        raise SpecError(f"{name} = {given!r}; expected a path.") from None


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, where there is one."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
