"""What there is to run on a GPU: driver, device, toolkit, CuPy, Brian2CUDA; and what is missing, with what to type.

Nothing heavy is imported for it: the driver is asked through its C library (CUDA Driver API, ``cuda.h``), packages through their
metadata. Every look at the machine is a method of ``GpuMachine``, so that tests can make one up.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from neuromem.errors import BackendMissingError
from neuromem.hardware_targets.cuda.toolkit import Toolkit, find_toolkit

INSTALL = "pip install 'neuromem[cuda]'"

NEW_DRIVER = "sudo apt install nvidia-driver, 580 or newer for CUDA 13, on a machine with an NVIDIA GPU"
NEWER_DRIVER = "sudo apt install nvidia-driver, 580 or newer for CUDA 13"

LEAST_CUDA, NEWEST_CUDA = 12, 13
"""The oldest and the newest CUDA that CuPy 14 has packages for; ``neuromem[cuda]`` brings the newest."""

LEAST_CAPABILITY = {12: (5, 0), 13: (7, 5)}
"""CUDA -> the oldest kind of GPU that it compiles for."""

Part = Literal["driver", "device", "toolkit", "CuPy", "NVRTC", "cuBLAS", "Brian2", "Brian2CUDA", "cuRAND"]
_LIBRARIES: dict[str, Part] = {"nvrtc": "NVRTC", "cublas": "cuBLAS"}

# cuda.h: results, and attributes of a device
OUT_OF_MEMORY, DEVICE_TAKEN, NO_DEVICE = 2, 46, 100
CLOCK_KHZ, N_MULTIPROCESSORS, MEMORY_CLOCK_KHZ, BUS_WIDTH, CACHE, MAJOR, MINOR = 13, 16, 36, 37, 38, 75, 76


@dataclass(frozen=True)
class Device:
    """A GPU. ``memory`` and ``cache`` (its L2) in bytes, ``clock`` and ``memory_clock`` in Hz, ``bus_width`` in bits."""

    name: str
    memory: int
    compute_capability: tuple[int, int]
    n_multiprocessors: int
    clock: float
    memory_clock: float
    bus_width: int
    cache: int
    uuid: str = ""

    @property
    def arch(self) -> str:
        """What nvcc calls its kind: ``sm_90``."""
        return "sm_{}{}".format(*self.compute_capability)

    @property
    def bandwidth(self) -> float:
        """Bytes a second that its memory moves in theory, two transfers a clock over the whole bus; 0 where the driver does not say."""
        return 2 * self.memory_clock * self.bus_width / 8


@dataclass(frozen=True)
class Missing:
    """Something that a backend needs and that is not there, or does not suit: which ``part``, what is wrong, and what to type."""

    part: Part
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}, type: {self.remedy}"


@dataclass(frozen=True)
class Driver:
    """What the NVIDIA driver says: the newest CUDA that it runs, how many devices there are, and the one numbered 0."""

    cuda: tuple[int, int]
    n_devices: int
    device: Device


class GpuMachine:
    """This machine, and the environment that the process runs in."""

    def driver(self) -> Driver | Missing:
        """Ask the NVIDIA driver; devices that ``CUDA_VISIBLE_DEVICES`` hides are not there."""
        try:
            library = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return Missing("driver", "there is no NVIDIA driver (libcuda.so.1 is not there)", NEW_DRIVER)
        return ask_driver(library)

    def free_memory(self) -> int | Missing:
        """Return the bytes of the device's memory that nobody holds; it takes a CUDA context, a fraction of a second."""
        return ask_free_memory(ctypes.CDLL("libcuda.so.1"))

    def processes(self, device: Device) -> list[str] | None:
        """Return ``number, name, memory`` of the other processes on the device, as nvidia-smi tells them; None where it cannot."""
        program = shutil.which("nvidia-smi")
        if program is None:
            return None
        asked = [program, f"--id={device.uuid}", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return None
        return [line.strip() for line in said.splitlines() if line.strip() and line.partition(",")[0] != str(os.getpid())]

    def toolkit(self) -> Toolkit | Missing:
        """Return the CUDA toolkit with all that Brian2CUDA's projects need, or the first thing that it lacks."""
        try:
            return find_toolkit()
        except BackendMissingError as error:
            text, _, remedy = str(error).rstrip(".").rpartition("; ")
            return Missing("cuRAND" if text.startswith("no cuRAND") else "toolkit", text, remedy.removeprefix("type: "))

    def packages(self) -> dict[str, str]:
        """Return the versions of all that is installed, by name in lower case."""
        names = ((d.metadata["Name"], d.version) for d in importlib.metadata.distributions())
        return {name.lower().replace("_", "-"): version for name, version in names if name}

    def requirements(self, package: str) -> list[str]:
        """Return what an installed package asks for; nothing of one that is not."""
        try:
            return importlib.metadata.requires(package) or []
        except importlib.metadata.PackageNotFoundError:
            return []

    def has_library(self, name: str) -> bool:
        """Tell whether CuPy will find a library of CUDA; this loads it, as CuPy will."""
        try:
            importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib(name)  # the module comes with CuPy
        except (ImportError, RuntimeError, OSError):
            return False
        return True


def require_device(backend: str, machine: GpuMachine | None = None) -> Device:
    """Return the device that a backend, ``cupy`` or ``brian2cuda``, will use; raise ``BackendMissingError`` naming all that is missing."""
    machine = GpuMachine() if machine is None else machine
    lacking, driver = missing(backend, machine), machine.driver()
    if lacking or isinstance(driver, Missing):
        listed = "; ".join(map(str, lacking))
        raise BackendMissingError(f"backend {backend!r} cannot run here: {listed}. Run on backend 'cpu', or ask: neuromem doctor --gpu")
    return driver.device


def missing(backend: str, machine: GpuMachine | None = None) -> list[Missing]:
    """Return what a backend, ``cupy`` or ``brian2cuda``, needs and this machine lacks; nothing if it can run here."""
    machine = GpuMachine() if machine is None else machine
    driver = machine.driver()
    found = driver if isinstance(driver, Driver) else None
    lacking = [driver] if isinstance(driver, Missing) else []
    lacking += (missing_of_cupy if backend == "cupy" else missing_of_brian2cuda)(machine, found)
    if not lacking:
        free = machine.free_memory()
        lacking += [free] if isinstance(free, Missing) else []
    return lacking


def missing_of_cupy(machine: GpuMachine, driver: Driver | None) -> Iterator[Missing]:
    """Yield what is wrong with CuPy, for the driver that is there."""
    wheels = cupy_packages(machine)
    suited = INSTALL if driver is None or driver.cuda[0] >= NEWEST_CUDA else f"pip install 'cupy-cuda{driver.cuda[0]}x[ctk]'"
    if not wheels:
        yield Missing("CuPy", "CuPy is not installed", suited)
        return
    names = " ".join(wheels)
    if len(wheels) > 1:
        yield Missing(
            "CuPy", f"CuPy is installed more than once ({', '.join(wheels)}), and these clash", f"pip uninstall -y {names}; {suited}"
        )
        return
    major = cuda_of(names)
    if driver is not None and major is not None:
        if major > driver.cuda[0]:
            text = f"{names} needs a driver for CUDA {major}, and this one runs CUDA {numbers(driver.cuda)} at most"
            yield Missing("CuPy", text, f"pip uninstall -y {names}; {suited}")
        else:
            yield from _too_old(driver.device, major, names, f"pip uninstall -y {names}; pip install 'cupy-cuda{LEAST_CUDA}x[ctk]'")
    for library, part in _LIBRARIES.items():
        if not machine.has_library(library):
            yield Missing(part, f"{part}, which CuPy needs, is not found", f"pip install '{names}[ctk]'")


def missing_of_brian2cuda(machine: GpuMachine, driver: Driver | None) -> Iterator[Missing]:
    """Yield what is wrong with Brian2CUDA and the toolkit that compiles for it, for the driver that is there."""
    packages = machine.packages()
    if "brian2cuda" not in packages:
        yield Missing("Brian2CUDA", "Brian2CUDA is not installed", INSTALL)
    else:
        version, pin, brian2 = packages["brian2cuda"], brian2_pin(machine), packages.get("brian2")
        if brian2 is None:
            yield Missing("Brian2", f"Brian2, which Brian2CUDA {version} needs, is not installed", f"pip install brian2=={pin}")
        elif pin and brian2 != pin:
            text = f"Brian2 {brian2} is installed, but Brian2CUDA {version} needs {pin} exactly"
            yield Missing("Brian2", text, f"pip install brian2=={pin}")
    toolkit = machine.toolkit()
    if isinstance(toolkit, Missing):
        yield toolkit
    elif driver is not None:
        major = int(toolkit.version.partition(".")[0])
        if major > driver.cuda[0]:
            text = f"the CUDA toolkit is {toolkit.version}, and the driver runs CUDA {numbers(driver.cuda)} at most"
            yield Missing("driver", text, NEWER_DRIVER)
        else:
            yield from _too_old(driver.device, major, "the CUDA toolkit", f"install CUDA toolkit {LEAST_CUDA}")


def _too_old(device: Device, cuda: int, owner: str, remedy: str) -> Iterator[Missing]:
    least = LEAST_CAPABILITY.get(cuda, (0, 0))
    if device.compute_capability < least:
        text = (
            f"{device.name} has compute capability {numbers(device.compute_capability)}, and {owner} (CUDA {cuda}) needs {numbers(least)}"
        )
        yield Missing("device", text, f"{remedy}, or work on a machine with a newer GPU")


def cupy_packages(machine: GpuMachine) -> dict[str, str]:
    """Return the version of every package that brings a module ``cupy``."""
    return {name: version for name, version in sorted(machine.packages().items()) if re.fullmatch(r"cupy(-cuda\w+|-rocm[\w-]+)?", name)}


def cuda_of(cupy_package: str) -> int | None:
    """Return the CUDA that a package of CuPy is made for: 13 of ``cupy-cuda13x``, None where its name does not say."""
    found = re.fullmatch(r"cupy-cuda(\d\d).*", cupy_package)
    return int(found[1]) if found else None


def brian2_pin(machine: GpuMachine) -> str:
    """Return the one version of Brian2 that the installed Brian2CUDA works with."""
    pins = (re.match(r"brian2\s*==\s*([\w.]+)", text) for text in machine.requirements("brian2cuda"))
    return next((pin[1] for pin in pins if pin), "")


def numbers(version: tuple[int, int]) -> str:
    """Return ``13.0``."""
    return f"{version[0]}.{version[1]}"


def ask_driver(library: Any) -> Driver | Missing:
    """Ask the driver whose C library is given: ``cuInit``, its version, and the first of its devices."""
    status = library.cuInit(0)
    n = ctypes.c_int()
    if status == 0:
        status = library.cuDeviceGetCount(ctypes.byref(n))
    if status == NO_DEVICE or (status == 0 and n.value == 0):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is not None:
            return Missing("device", f"no GPU is visible (CUDA_VISIBLE_DEVICES is {hidden!r})", "unset CUDA_VISIBLE_DEVICES")
        return Missing("device", "the NVIDIA driver sees no GPU", "nvidia-smi -L, to see what there is, or work on a machine that has one")
    if status != 0:
        return Missing("driver", f"the NVIDIA driver does not start ({error_name(library, status)})", "nvidia-smi, which says more")
    version, device, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = (version.value // 1000, version.value % 1000 // 10)
    if cuda[0] < LEAST_CUDA:
        return Missing("driver", f"the NVIDIA driver runs CUDA {numbers(cuda)} at most; expected {LEAST_CUDA}.0 or newer", NEWER_DRIVER)
    name, uuid = ctypes.create_string_buffer(256), (ctypes.c_ubyte * 16)()
    library.cuDeviceGet(ctypes.byref(device), 0)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    library.cuDeviceGetUuid_v2(ctypes.byref(uuid), device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        library.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    h = bytes(uuid).hex()
    return Driver(
        cuda,
        n.value,
        Device(
            name.value.decode(errors="replace"),
            memory.value,
            (attribute(MAJOR), attribute(MINOR)),
            attribute(N_MULTIPROCESSORS),
            attribute(CLOCK_KHZ) * 1e3,
            attribute(MEMORY_CLOCK_KHZ) * 1e3,
            attribute(BUS_WIDTH),
            attribute(CACHE),
            f"GPU-{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}",
        ),
    )


def ask_free_memory(library: Any) -> int | Missing:
    """Ask the driver whose C library is given, and was initialised, for the free bytes of device 0, in its primary context."""
    device, context, free, total = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    library.cuDeviceGet(ctypes.byref(device), 0)
    status = library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    if status == DEVICE_TAKEN:
        return Missing(
            "device", "another process has the GPU for itself", "nvidia-smi, to see which, and nvidia-smi -c DEFAULT to share it"
        )
    if status == OUT_OF_MEMORY:
        return Missing("device", "other processes hold all of the GPU's memory", "nvidia-smi, to see which")
    if status != 0:
        return Missing("device", f"the GPU cannot be used ({error_name(library, status)})", "nvidia-smi, which says more")
    library.cuCtxPushCurrent_v2(context)
    status = library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    library.cuCtxPopCurrent_v2(ctypes.byref(context))
    library.cuDevicePrimaryCtxRelease_v2(device)
    if status != 0:
        return Missing("device", f"the GPU cannot be used ({error_name(library, status)})", "nvidia-smi, which says more")
    return free.value


def error_name(library: Any, status: int) -> str:
    """Return ``CUDA_ERROR_UNKNOWN``."""
    text = ctypes.c_char_p()
    library.cuGetErrorName(status, ctypes.byref(text))
    return text.value.decode() if text.value else f"error {status}"
