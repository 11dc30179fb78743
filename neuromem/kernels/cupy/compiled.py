"""How kernels are compiled: by NVRTC, with our own options only, once for a kind of device, with a cache that may fail without harm.

CuPy's ``RawModule`` would compile a source too, but it adds ``-ftz=true`` to any options, which takes float32 numbers below 2^-126 for 0: it is
given machine code instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cupy.cuda import nvrtc

from neuromem.errors import NeuromemError
from neuromem.kernels.cupy.sources import OPTIONS


def machine_code(subject: str, text: str, arch: str) -> bytes:
    """Return the machine code of a source for ``arch`` (``sm_90``); needs no device.

    Raise ``NeuromemError`` where it does not compile: it names the first error, keeps the source, and says how to see the rest.
    """
    program = nvrtc.createProgram(text, f"{subject}.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"-arch={arch}", *OPTIONS))
        return bytes(nvrtc.getCUBIN(program))
    except nvrtc.NVRTCError:
        log = nvrtc.getProgramLog(program).splitlines()
        first = next((line for line in log if "error" in line), log[0] if log else "nothing is said").strip()
        kept = Path(tempfile.mkdtemp(prefix="neuromem-cupy-")) / f"{subject}.cu"
        kept.write_text(text)
        raise NeuromemError(
            f"backend 'cupy': the kernels of {subject!r} did not compile for {arch} ({first}); their source is kept. "
            f"To see it all: nvcc {' '.join(OPTIONS)} -arch={arch} -cubin {kept}"
        ) from None
    finally:
        nvrtc.destroyProgram(program)


def compiled(subject: str, text: str, arch: str) -> Path:
    """Return a file with the machine code of a source, compiled now if no process has done it before."""
    what = "\n".join((text, arch, *OPTIONS, *map(str, nvrtc.getVersion())))
    path = cache() / f"{subject}-{arch}-{hashlib.sha256(what.encode()).hexdigest()[:24]}.cubin"
    if path.is_file():
        return path
    code = machine_code(subject, text, arch)
    with contextlib.suppress(OSError):
        return _written(path, code)
    return _written(Path(tempfile.mkdtemp(prefix="neuromem-cupy-")) / path.name, code)


def cache() -> Path:
    """Return the folder where machine code is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neuromem" / "cupy"


def _written(path: Path, code: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(code)
    os.replace(part.name, path)  # another process may do the same at once
    return path
