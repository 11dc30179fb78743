"""Compiling CUDA C by NVRTC, NVIDIA's run-time compiler, through its C library: no device, no driver and no CuPy are needed for it.

Facts: NVRTC documentation, functions nvrtcCreateProgram, nvrtcCompileProgram, nvrtcGetCUBIN, nvrtcGetProgramLog.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from pathlib import Path
from typing import Any

from neuromem.errors import BackendMissingError, NeuromemError

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")  # the wheels of CUDA 13 and 12
INSTALL = "pip install nvidia-cuda-nvrtc"


class Nvrtc:
    """The library; raises ``BackendMissingError`` where it is not to be found."""

    def __init__(self) -> None:
        self._library = _load()

    @property
    def version(self) -> str:
        """``13.0``."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def cubin(self, name: str, text: str, arch: str, options: tuple[str, ...]) -> bytes:
        """Return the machine code of a source for ``arch`` (``sm_90``); raise ``NeuromemError`` with the compiler's first error."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        self._do("nvrtcCreateProgram", ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
        try:
            flags = [f"-arch={arch}".encode(), *(o.encode() for o in options)]
            failed = self._library.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
            if failed:
                self._do("nvrtcGetProgramLogSize", program, ctypes.byref(size))
                log = ctypes.create_string_buffer(size.value)
                self._do("nvrtcGetProgramLog", program, log)
                lines = log.value.decode(errors="replace").splitlines()
                first = next((line for line in lines if "error" in line), lines[0] if lines else "nothing is said")
                raise NeuromemError(f"NVRTC {self.version}: {name} does not compile for {arch}: {first.strip()}")
            self._do("nvrtcGetCUBINSize", program, ctypes.byref(size))
            code = ctypes.create_string_buffer(size.value)
            self._do("nvrtcGetCUBIN", program, code)
            return code.raw
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _do(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise NeuromemError(f"NVRTC {self.version}: {function} failed with status {status}.")


def _load() -> Any:
    tried = []
    for place in [*_wheels(), "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]:
        try:
            if isinstance(place, Path):  # it would look for its other half in the system's folders only
                for half in place.parent.glob("libnvrtc-builtins.so*"):
                    ctypes.CDLL(str(half))
            library = ctypes.CDLL(str(place))
        except OSError as error:
            tried.append(str(error))
        else:
            library.nvrtcGetErrorString.restype = ctypes.c_char_p
            return library
    raise BackendMissingError(f"NVRTC, CUDA's run-time compiler, is not there (libnvrtc.so); type: {INSTALL}")


def _wheels() -> list[Path]:
    found = []
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found += [Path(str(f.locate())) for f in files if f.name.startswith("libnvrtc.so")]
    return found
