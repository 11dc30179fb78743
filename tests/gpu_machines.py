"""Machines with a GPU, and without, that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from neuromem.hardware_targets.cuda.machine import NEW_DRIVER, Device, Driver, GpuMachine, Missing
from neuromem.hardware_targets.cuda.toolkit import Toolkit

CARD = Device("Card 9000", 80 * 2**30, (9, 0), 100, 2e9, 2.5e9, 4096, 40 * 2**20, "GPU-1")
"""2 x 2.5 GHz x 512 bytes: 2.56 TB/s in theory."""

NO_DRIVER = Missing("driver", "there is no NVIDIA driver (libcuda.so.1 is not there)", NEW_DRIVER)


class WithGpu(GpuMachine):
    """Everything is there."""

    found: Driver | Missing = Driver((13, 0), 1, CARD)
    installed: Mapping[str, str] = {"cupy-cuda13x": "14.2.0", "brian2": "2.10.1", "brian2cuda": "1.0b1"}
    libraries: tuple[str, ...] = ("nvrtc", "cublas")
    compiler: Toolkit | Missing = Toolkit(Path("/opt/cuda/bin/nvcc"), "13.0", ("sm_80", "sm_90"), (), ())
    free: int | Missing = 79 * 2**30
    others: Sequence[str] | None = None

    def driver(self) -> Driver | Missing:
        return self.found

    def free_memory(self) -> int | Missing:
        assert isinstance(self.found, Driver), "asked for the memory of a GPU that is not there"
        return self.free

    def processes(self, device: Device) -> list[str] | None:
        return None if self.others is None else list(self.others)

    def toolkit(self) -> Toolkit | Missing:
        return self.compiler

    def packages(self) -> dict[str, str]:
        return dict(self.installed)

    def requirements(self, package: str) -> list[str]:
        return {"brian2cuda": ["brian2==2.10.1", 'pytest; extra == "test"']}.get(package, [])

    def has_library(self, name: str) -> bool:
        return name in self.libraries


class WithoutGpu(WithGpu):
    """Nothing is there."""

    found: Driver | Missing = NO_DRIVER
    installed: Mapping[str, str] = {}
    libraries: tuple[str, ...] = ()
    compiler: Toolkit | Missing = Missing("toolkit", "no CUDA toolkit: there is no nvcc on the PATH", "module load cuda")
