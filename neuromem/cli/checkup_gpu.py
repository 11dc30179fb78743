"""What ``neuromem doctor --gpu`` looks at: the NVIDIA driver, the device, the CUDA toolkit, CuPy and Brian2CUDA. Nothing of it is ever broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neuromem.cli.checkup import Finding
from neuromem.hardware_targets.cuda.machine import (
    Device,
    Driver,
    GpuMachine,
    Missing,
    brian2_pin,
    cupy_packages,
    missing,
    missing_of_brian2cuda,
    missing_of_cupy,
    numbers,
)
from neuromem.ir.memory_needed import bytes_text

CPP17 = "from 13 on, its headers need C++17, which neuromem asks for"


def check_gpu(machine: GpuMachine) -> Iterator[Finding]:
    """Yield all findings: driver, device, who else is on it, toolkit, CuPy, Brian2CUDA, and what each of these lacks."""
    found = machine.driver()
    driver = None if isinstance(found, Missing) else found
    if isinstance(found, Missing):
        yield _lacking(found)
    else:
        yield Finding("driver", "ok", f"runs CUDA {numbers(found.cuda)} and older")
        yield from check_device(machine, found)
    toolkit = machine.toolkit()
    if not isinstance(toolkit, Missing):
        facts = f"; {CPP17}" if toolkit.version >= "13" else ""
        where = "; cuRAND of a package" if toolkit.include_dirs else ""
        yield Finding("toolkit", "ok", f"CUDA {toolkit.version}, {toolkit.nvcc}, up to {toolkit.archs[-1]}{where}{facts}")
    for subject, versions, lacking in (
        ("CuPy", [f"{name} {version}" for name, version in cupy_packages(machine).items()], list(missing_of_cupy(machine, driver))),
        ("Brian2CUDA", _brian2cuda(machine), list(missing_of_brian2cuda(machine, driver))),
    ):
        if versions and not any(one.part == subject for one in lacking):
            yield Finding(subject, "ok", ", ".join(versions))
        for one in lacking:  # what is there and does not suit is no more than a warning
            yield Finding(one.part, "warning" if versions and one.part == subject else "missing", one.text, one.remedy)


def check_device(machine: GpuMachine, driver: Driver) -> Iterator[Finding]:
    """The device, its memory, and the other processes that use it."""
    device, free = driver.device, machine.free_memory()
    others = f", the first of {driver.n_devices} (others: export CUDA_VISIBLE_DEVICES=1)" if driver.n_devices > 1 else ""
    known = f"{bytes_text(device.memory)}, {_bandwidth(device)}, compute capability {numbers(device.compute_capability)}"
    yield Finding("device", "ok", f"{device.name}{others}: {known}")
    if isinstance(free, Missing):
        yield _lacking(free)
        return
    processes = machine.processes(device)
    text = f"{bytes_text(free)} free of {bytes_text(device.memory)}"
    if processes is None:
        yield Finding("device memory", "ok", f"{text}; who else is on the device is not known (no nvidia-smi)")
    elif processes:
        yield Finding("device memory", "warning", f"{text}; other processes: {'; '.join(processes)}", "nvidia-smi, to see them")
    else:
        yield Finding("device memory", "ok", f"{text}; no other process")


def _bandwidth(device: Device) -> str:
    return f"{device.bandwidth / 1e12:.2g} TB/s in theory" if device.bandwidth else "bandwidth unknown"


def _brian2cuda(machine: GpuMachine) -> list[str]:
    version, pin = machine.packages().get("brian2cuda"), brian2_pin(machine)
    return [] if version is None else [f"{version}, for Brian2 {pin} only" if pin else version]


def _lacking(one: Missing) -> Finding:
    return Finding(one.part, "missing", one.text, one.remedy)


def usable_backends(machine: GpuMachine) -> tuple[list[str], list[str]]:
    """Return the GPU backends that can run here, and those that cannot."""
    lacking = {name: bool(missing(name, machine)) for name in ("cupy", "brian2cuda")}
    return [name for name in lacking if not lacking[name]], [name for name in lacking if lacking[name]]


def verdict(usable: Sequence[str], rest: Sequence[str]) -> str:
    """Return which backends can use the GPU, in a line."""
    if not usable:
        return "No GPU can be used. neuromem can work without, on backend cpu."
    return f"A GPU can be used by {' and '.join(usable)}" + (f", not by {' and '.join(rest)}." if rest else ".")
