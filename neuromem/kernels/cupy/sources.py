"""The CUDA C of the kernels as text; needs neither CuPy nor a device."""

from __future__ import annotations

from importlib.resources import files

OPTIONS = ("-std=c++17", "--fmad=false")
"""IEEE arithmetic as it is written, so that results can be compared with the twins' to the bit; where a fused operation is wanted, it is called."""


def subjects() -> tuple[str, ...]:
    """Return the names of all sources, in order."""
    return tuple(sorted(path.name.removesuffix(".cu") for path in files("neuromem.kernels.cupy").iterdir() if path.name.endswith(".cu")))


def source_text(subject: str) -> str:
    """Return the CUDA C of a subject: what all share, then its own."""
    folder = files("neuromem.kernels.cupy")
    return "".join(folder.joinpath(name).read_text() for name in ("common.cuh", f"{subject}.cu"))
