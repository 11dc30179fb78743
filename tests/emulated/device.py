"""The emulated CuPy: arrays that NumPy cannot see, and modules of kernels that run on the CPU."""

from __future__ import annotations

import ctypes
import hashlib
import operator
import os
import re
import subprocess
import tempfile
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np

GUARD = 64  # bytes before and after every array, which nothing may write to
GUARDED, UNSET = 0xEE, 0xCD
TWICE = 1 << 22  # bytes of arguments up to which a launch runs in both orders

ONE_AT_A_TIME = threading.Lock()  # the fibres are the process's

FUNCTIONS = (
    "abs", "absolute", "add", "all", "any", "arange", "argmax", "argmin", "argsort", "bincount", "bitwise_and", "bitwise_or",
    "broadcast_to", "ceil", "clip", "concatenate", "cumsum", "diag", "diff", "divide", "dot", "equal", "exp", "expm1", "fill_diagonal",
    "flatnonzero", "floor", "greater", "isfinite", "isnan", "ldexp", "less", "log", "logical_and", "logical_not", "logical_or",
    "matmul", "max", "maximum", "mean", "min", "minimum", "multiply", "negative", "nonzero", "not_equal", "ones", "outer", "power",
    "repeat", "rint", "sign", "sqrt", "stack", "subtract", "sum", "take", "tile", "where", "zeros_like", "empty_like", "full",
    "ascontiguousarray", "array_equal",
)  # fmt: skip
"""Functions that CuPy has with NumPy's meaning, as far as neuromem uses them."""


class EmulatedCudaError(Exception):
    """What a GPU would have answered with wrong numbers, or with an error."""


def _unwrap(x: Any) -> Any:
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}: an array of the host where one of the device is expected")
    if isinstance(x, tuple):
        return tuple(_unwrap(y) for y in x)
    if isinstance(x, list):
        return [_unwrap(y) for y in x]
    return x


def _wrap(x: Any) -> Any:
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    if isinstance(x, tuple):
        return tuple(_wrap(y) for y in x)
    return x


class ndarray:
    """An array of the device."""

    __array_ufunc__ = None  # so that NumPy's numbers leave operators to this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly.")

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    itemsize = property(lambda self: self._host.itemsize)
    T = property(lambda self: ndarray(self._host.T))

    def get(self) -> np.ndarray:
        return self._host.copy()

    def set(self, array: np.ndarray) -> None:
        self._host[...] = array

    def fill(self, value: Any) -> None:
        self._host.fill(value)

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Any) -> Any:
        return _wrap(self._host[_unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_unwrap(key)] = _unwrap(value)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def item(self) -> Any:
        return self._host.item()

    def __iter__(self) -> Any:
        return (_wrap(row) for row in self._host)

    def __repr__(self) -> str:
        return f"emulated {self._host!r}"


def _method(name: str) -> Any:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        kwargs = {key: _unwrap(value) for key, value in kwargs.items()}
        return _wrap(getattr(self._host, name)(*_unwrap(args), **kwargs))

    return method


for _name in (
    "copy",
    "astype",
    "sum",
    "max",
    "min",
    "any",
    "all",
    "reshape",
    "ravel",
    "view",
    "argmax",
    "argmin",
    "transpose",
    "cumsum",
    "mean",
    "argsort",
):
    setattr(ndarray, _name, _method(_name))


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"):
        plain = getattr(operator, f"{name}_" if name in ("and", "or") else name)

        def forth(self: ndarray, other: Any, plain: Any = plain) -> Any:
            return _wrap(plain(self._host, _unwrap(other)))

        def back(self: ndarray, other: Any, plain: Any = plain) -> Any:
            return _wrap(plain(_unwrap(other), self._host))

        def in_place(self: ndarray, other: Any, plain: Any = plain) -> Any:
            self._host[...] = plain(self._host, _unwrap(other))
            return self

        setattr(ndarray, f"__{name}__", forth)
        setattr(ndarray, f"__r{name}__", back)
        setattr(ndarray, f"__i{name}__", in_place)
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        plain = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda self, other, plain=plain: _wrap(plain(self._host, _unwrap(other))))
    for name in ("neg", "invert", "abs"):
        plain = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda self, plain=plain: _wrap(plain(self._host)))


_operators()


def empty(shape: Any, dtype: Any = np.float64) -> ndarray:
    """Return an array with a guard on either side; its numbers are not set."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(size + 2 * GUARD, UNSET, np.uint8)
    memory[:GUARD] = memory[GUARD + size :] = GUARDED
    return ndarray(memory[GUARD : GUARD + size].view(dtype).reshape(shape))


def asarray(array: Any, dtype: Any = None) -> ndarray:
    if isinstance(array, ndarray):
        return array if dtype is None else array.astype(dtype)  # type: ignore[attr-defined, no-any-return]
    host = np.asarray(array, dtype)
    made = empty(host.shape, host.dtype)
    made._host[...] = host
    return made


def zeros(shape: Any, dtype: Any = np.float64) -> ndarray:
    made = empty(shape, dtype)
    made._host.fill(0)
    return made


def _memory(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _check_guards(name: str, arrays: list[np.ndarray]) -> None:
    for place, array in enumerate(arrays):
        memory = _memory(array)
        if memory.dtype != np.uint8 or memory.size < 2 * GUARD or memory.ndim != 1:
            continue  # made by an operation of NumPy's, without guards
        if (memory[:GUARD] != GUARDED).any() or (memory[-GUARD:] != GUARDED).any():
            raise EmulatedCudaError(f"kernel {name!r} wrote beyond its array number {place}")


class RawModule:
    """Kernels from their source; ``compile`` runs g++, whose work is kept by the content. ``path`` is of what the emulated NVRTC made."""

    def __init__(self, code: str | None = None, path: str | None = None) -> None:
        code = Path(path).read_text() if code is None and path is not None else code
        assert code is not None
        self.names = re.findall(r"^KERNEL\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(", code, re.MULTILINE)
        shim = Path(__file__).with_name("cuda_on_cpu.hpp").read_text()
        calls = "".join(
            f'extern "C" const char* emulate_{n}(void** a, const unsigned* g, const unsigned* b, int d) {{ return emulated::run('
            f"[](void** args) {{ emulated::call({n}, args); }}, a, g, b, d); }}\n"
            f'extern "C" const char* kinds_{n}() {{ static const std::string of_{n}_ = emulated::kinds({n}); return of_{n}_.c_str(); }}\n'
            for n in self.names
        )
        self._text = f'{shim}\n#line 1 "kernels.cu"\n{code}\n{calls}'
        self._library: Any = None

    def compile(self) -> None:
        if self._library is None:
            self._library = ctypes.CDLL(str(_built(self._text)))

    def get_function(self, name: str) -> Any:
        self.compile()
        if name not in self.names:
            raise EmulatedCudaError(f"no kernel {name!r}; there are {', '.join(self.names)}")
        run, kinds = self._library[f"emulate_{name}"], self._library[f"kinds_{name}"]
        run.restype = kinds.restype = ctypes.c_char_p
        return Kernel(name, run, kinds().decode().split())


def _built(text: str) -> Path:
    folder = Path(tempfile.gettempdir()) / f"neuromem-emulated-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    built = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.so"
    if not built.exists():
        source = built.with_suffix(f".{os.getpid()}.cpp")
        source.write_text(text)
        made = built.with_suffix(f".{os.getpid()}.so")
        flags = [
            "-O2",
            "-std=c++17",
            "-fPIC",
            "-shared",
            "-w",
            "-ffp-contract=off",
            "-fno-strict-aliasing",
            "-march=native",
            "-Wl,-Bsymbolic",
        ]
        done = subprocess.run(["g++", *flags, str(source), "-o", str(made)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileException(done.stderr)
        made.rename(built)
        source.unlink()
    return built


class Kernel:
    """One kernel; called as CuPy's: grid, block, arguments."""

    def __init__(self, name: str, run: Any, kinds: list[str]) -> None:
        self.name, self._run, self._kinds = name, run, kinds

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        with ONE_AT_A_TIME:
            self._launch(grid, block, args)

    def _launch(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        g, b = ((*size, 1, 1)[:3] for size in (grid, block))
        if min(g) < 1 or min(b) < 1 or int(np.prod(b)) > 1024 or max(g[1:]) > 65535 or g[0] > 2**31 - 1:
            raise EmulatedCudaError(f"kernel {self.name!r}: grid {g}, block {b}; no device launches this")
        if len(args) != len(self._kinds):
            raise EmulatedCudaError(f"kernel {self.name!r}: {len(args)} arguments; it takes {len(self._kinds)}")
        slots = [self._slot(place, a, kind) for place, (a, kind) in enumerate(zip(args, self._kinds, strict=True))]
        arrays = [a._host for a in args if isinstance(a, ndarray)]
        memories = list({id(m): m for m in map(_memory, arrays)}.values())
        if sum(m.nbytes for m in memories) > TWICE:
            self._go(slots, g, b, 0)
        else:
            before = [m.copy() for m in memories]
            self._go(slots, g, b, 1)
            backwards = [m.copy() for m in memories]
            for m, old in zip(memories, before, strict=True):
                m[...] = old
            self._go(slots, g, b, 0)
            if any(m.tobytes() != other.tobytes() for m, other in zip(memories, backwards, strict=True)):
                raise EmulatedCudaError(f"kernel {self.name!r}: what it makes depends on the order of its threads")
        _check_guards(self.name, arrays)

    def _slot(self, place: int, a: Any, kind: str) -> Any:
        if isinstance(a, ndarray):
            if not (a._host.flags.c_contiguous or a._host.size == 0):
                raise EmulatedCudaError(f"kernel {self.name!r}, argument {place}: an array that is not contiguous")
            found = f"P{'u' if a.dtype == np.bool_ else a.dtype.kind}{a.dtype.itemsize}"
            value: Any = ctypes.c_void_p(a._host.ctypes.data)
        elif isinstance(a, np.generic):
            found = f"S{a.dtype.kind}{a.dtype.itemsize}"
            value = ctypes.create_string_buffer(a.tobytes(), 8)
        else:
            raise EmulatedCudaError(
                f"kernel {self.name!r}, argument {place}: {type(a)}; expected an array of the device or a number of NumPy's"
            )
        if found != kind:
            raise EmulatedCudaError(f"kernel {self.name!r}, argument {place}: {found}; it takes {kind}")
        return value

    def _go(self, slots: list[Any], grid: tuple[int, ...], block: tuple[int, ...], descending: int) -> None:
        pointers = (ctypes.c_void_p * max(1, len(slots)))(*[ctypes.cast(ctypes.byref(s), ctypes.c_void_p) for s in slots])
        problem = self._run(pointers, (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block), descending)
        if problem:
            raise EmulatedCudaError(f"kernel {self.name!r}: {problem.decode()}")


class NVRTCError(Exception):
    """The kernels do not compile."""


class Nvrtc:
    """NVRTC's functions, of which a program is its source; its machine code is that, too."""

    NVRTCError = NVRTCError

    def __init__(self) -> None:
        self._log = ""

    def getVersion(self) -> tuple[int, int]:
        return (0, 0)

    def createProgram(self, text: str, name: str, headers: tuple[str, ...], includes: tuple[str, ...]) -> str:
        return text

    def compileProgram(self, program: str, options: tuple[str, ...]) -> None:
        try:
            RawModule(program).compile()
        except CompileException as error:
            self._log = str(error)
            raise NVRTCError from None

    def getProgramLog(self, program: str) -> str:
        return self._log

    def getCUBIN(self, program: str) -> bytes:
        return program.encode()

    def destroyProgram(self, program: str) -> None:
        pass


class Stream:
    """Everything happens at once here, one launch after the other."""

    def __init__(self, non_blocking: bool = False) -> None:
        pass

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def synchronize(self) -> None:
        pass


class CompileException(Exception):
    """The kernels do not compile."""


class OutOfMemoryError(MemoryError):
    """The device has no room left."""


def fake_cupy() -> types.ModuleType:
    """Return a module that looks like CuPy, as far as neuromem uses it."""
    cupy: Any = types.ModuleType("cupy")
    cupy.emulated = True
    cupy.__version__ = "emulated"
    cupy.ndarray, cupy.RawModule = ndarray, RawModule
    cupy.empty, cupy.zeros, cupy.asarray, cupy.asnumpy = empty, zeros, asarray, lambda a: a.get()
    for name in FUNCTIONS:
        plain = getattr(np, name)

        def function(*args: Any, plain: Any = plain, **kwargs: Any) -> Any:
            return _wrap(plain(*_unwrap(args), **{key: _unwrap(value) for key, value in kwargs.items()}))

        setattr(cupy, name, function)
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda _: {
            "name": b"CPU in place of a GPU", "multiProcessorCount": 4, "totalGlobalMem": 2**33, "major": 9, "minor": 0,
        },
        memGetInfo=lambda: (2**32, 2**33),
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13000,
        deviceSynchronize=lambda: None,
    )  # fmt: skip
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(total_bytes=lambda: 0, used_bytes=lambda: 0)
    device = types.SimpleNamespace(compute_capability="90", id=0, attributes={"MultiProcessorCount": 4}, synchronize=lambda: None)
    cupy.cuda = types.ModuleType("cupy.cuda")
    cupy.cuda.__dict__.update(
        nvrtc=Nvrtc(),
        runtime=runtime,
        Stream=Stream,
        Device=lambda *_: device,
        compiler=types.SimpleNamespace(CompileException=CompileException),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        get_current_stream=lambda: types.SimpleNamespace(synchronize=lambda: None),
    )
    return cupy  # type: ignore[no-any-return]
