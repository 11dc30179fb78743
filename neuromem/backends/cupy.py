"""The cupy backend: our kernels on a CUDA device. Spiking networks and memories without spikes stay there between calls."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from neuromem.backends.base import Backend, Simulation, Support
from neuromem.errors import BackendMissingError, SpecError
from neuromem.hardware_targets.cuda.machine import require_device
from neuromem.ir.program import Program

ORDERS = ("kept", "any")


class CupyBackend(Backend):
    """CUDA kernels by CuPy.

    ``order``, of spiking networks: in which order arriving weights are added up. ``"kept"``: that of the reference, whose bits come out;
    ``"any"``: as whole numbers of a small quantum, whose sum is the same in every order and every run; faster in large networks. A sum of n terms,
    S in size, then differs from the reference's by at most n (eps S + quantum / 2). By default: kept up to 4,096 neurons.
    """

    name: ClassVar[str] = "cupy"
    support = Support()
    memory = "on the device"

    def __init__(self, order: str | None = None) -> None:
        if order is not None and order not in ORDERS:
            raise SpecError(f"backend 'cupy': order = {order!r}; expected one of {', '.join(ORDERS)}, or none.")
        self.order = order
        self._cupy = _usable_cupy()

    def _build(self, program: Program) -> Simulation:
        from neuromem.backends.cupy_spiking import CupySimulation

        return CupySimulation(program, self.order)

    def free_memory(self) -> int:
        """Return the bytes that are free on the device."""
        from neuromem.kernels.cupy.runtime import free_memory

        return free_memory()

    def versions(self) -> dict[str, str]:
        """See ``Backend.versions``."""
        runtime = self._cupy.cuda.runtime
        device = runtime.getDeviceProperties(0)["name"]
        cuda = runtime.runtimeGetVersion()
        return {
            "numpy": np.__version__,
            "cupy": self._cupy.__version__,
            "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
            "device": device.decode() if isinstance(device, bytes) else str(device),
        }


def _usable_cupy() -> Any:
    """Return CuPy with a device; raise ``BackendMissingError`` saying what is missing."""
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() > 0:
            return cupy
        problem = "no device"
    except Exception as error:  # not installed, no driver, a driver of another CUDA: each fails in its own way
        problem = f"{type(error).__name__}: {error}"
    require_device("cupy")
    raise BackendMissingError(f"backend 'cupy': a GPU is there, but CuPy cannot use it ({problem}); see: neuromem doctor --gpu")
