"""A CUDA device on the CPU, for tests: CuPy's names as far as neuromem uses them, and its kernels' own sources compiled by g++.

``install`` puts it in the place of CuPy where there is no GPU. What it is stricter in than a GPU: arrays of the device are seen by NumPy
in no way; memory that was not set is 0xCD and shared memory 0xA5; a write beyond an array, an argument of another kind than the
kernel's, and a barrier that some threads never reach are errors; and every launch runs twice, with the threads in ascending and in
descending order, which must come to the same bits (but for launches on more than 4 MiB, which would take too long).
What it cannot show: speed, limits of a real device, and races between threads that no order of whole stretches between barriers shows.
"""

from __future__ import annotations

import ctypes
import os
import sys

from emulated.device import EmulatedCudaError, fake_cupy

__all__ = ["EmulatedCudaError", "has_gpu", "install"]


ON_A_GPU = "NEUROMEM_TESTS_ON_A_GPU"
"""Set where tests are to run on a real device or not at all."""


def has_gpu() -> bool:
    """Tell whether there is a real device that CuPy can use; CuPy is imported only where there is a driver."""
    if getattr(sys.modules.get("cupy"), "emulated", False):
        return False
    try:
        if ctypes.CDLL("libcuda.so.1").cuInit(0):
            return False
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # not installed, no driver, another CUDA: all mean no
        return False


def install() -> bool:
    """Put the emulated device in CuPy's place unless there is a real one; return whether it is emulated."""
    if has_gpu():
        return False
    if os.environ.get(ON_A_GPU):
        raise RuntimeError(f"{ON_A_GPU} is set, and CuPy cannot use a GPU here")
    if not getattr(sys.modules.get("cupy"), "emulated", False):
        cupy = fake_cupy()
        sys.modules |= {"cupy": cupy, "cupy.cuda": cupy.cuda}
    return True
