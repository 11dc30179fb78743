"""What the machines of the engines do in a second: constants with their sources, and the time of a piece of work by a roofline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from neuromem.hardware_targets.cuda.machine import Device
from neuromem.runs.work import CELL_BYTES, Work


class Constant(NamedTuple):
    """A value, its unit, and where it comes from."""

    value: float
    unit: str
    source: str


MEASURED = "measured, one thread of a recent Xeon with AVX-512, 2026-11-20"
HERE = "measured, one thread of the machine that neuromem is developed on, 2026-11-28"
SESSION = "measured on 2 cores with sessions, 2026-11-28"
ASSUMED = "assumed: not measured"

CONSTANTS: dict[str, Constant] = {
    # one thread of a CPU
    "cpu_l2": Constant(2 * 2**20, "bytes a thread", "recent Xeons"),
    "cpu_l2_read": Constant(122e9, "B/s", f"xor and popcount of 1 MiB, {MEASURED}"),
    "cpu_l2_update": Constant(107e9, "B/s", f"in-place scale of 1 MiB, there and back, {MEASURED}"),
    "cpu_l3": Constant(48 * 2**20, "bytes", f"the working set of the next two, {MEASURED}"),
    "cpu_l3_read": Constant(29e9, "B/s", MEASURED),
    "cpu_l3_update": Constant(58e9, "B/s", f"in-place scale, there and back, {MEASURED}"),
    "cpu_read": Constant(15.6e9, "B/s", f"2 GiB, {MEASURED}"),
    "cpu_update": Constant(33e9, "B/s", f"in-place scale of 2 GiB, there and back, {MEASURED}"),
    "cpu_most": Constant(200e9, "B/s", f"all threads together, one socket of DDR5; {ASSUMED}"),
    "cpu_multiply_adds": Constant(50e9, "1/s", f"float32, between 31e9 of 64 rows and 83e9 of a square product, {MEASURED}"),
    "cpu_bits": Constant(1.0e12, "1/s", f"xor and popcount in L2, {MEASURED}"),
    "cpu_scattered": Constant(0.4e9, "1/s", f"bits set in tables of 2 to 512 MiB, 0.2e9 to 0.9e9; synaptic events, 0.2e9 to 0.6e9; {MEASURED}"),
    "cpu_plastic": Constant(0.14e9, "1/s", f"events of synapses that learn, 1.2 ns when pre spikes and 6 ns when post spikes, {MEASURED}"),
    "cpu_cells": Constant(2.5e9, "1/s", "4,000 LIF neurons, a fifth of Brian2's time in C++ (README, Speed)"),
    "cpu_units": Constant(1.0e9, "1/s", f"states that are unpacked and compared, {HERE}"),
    "cpu_wait": Constant(1.0e-7, "s", f"a visit of asynchronous recall, {HERE}"),
    "cpu_launch": Constant(5e-6, "s", f"a call of a kernel with its arrays; {ASSUMED}"),
    "host_taken": Constant(1.0e9, "1/s", f"numbers of arrays, checked and packed: 26e6 of int8 in 23 ms, {SESSION}"),
    "host_touched": Constant(5e9, "B/s", f"a new table of 512 MiB, 44 to 170 ms, and 1.2 s where the memory is new to the machine as well; {SESSION}"),
    "host_graded": Constant(8e7, "1/s", f"inputs of 64 bits and margins: 8 to 11 ns a unit of a cue, and 60 ns in new memory; {SESSION}"),
    "cpu_step": Constant(5e-7, "s", "a step of a network of 50 neurons, as in C++, measured"),
    "cpu_start": Constant(0.5, "s", "NumPy and numba, with kernels that were compiled before, measured"),
    # Brian2 with codegen numpy, which is neuromem's default
    "brian2_scattered": Constant(9e7, "1/s", MEASURED),
    "brian2_plastic": Constant(3.4e7, "1/s", f"one-sided STDP in C++, {MEASURED}"),
    "brian2_cells": Constant(1e8, "1/s", "4,000 LIF neurons with 320,000 synapses, 1.8 s for 10,000 steps, measured"),
    "brian2_step": Constant(9e-5, "s", "50 plastic neurons, measured"),
    "brian2_start": Constant(2.0, "s", "4,000 neurons, measured"),
    # a GPU, from what its driver says of it
    "gpu_of_theory": Constant(0.9, "", "bandwidth that is reached, of that in theory: 4.3 of 4.8 TB/s, H200"),
    "gpu_unknown": Constant(2e11, "B/s", f"bandwidth where the driver does not say; {ASSUMED}"),
    "gpu_lanes": Constant(128, "multiply-adds a clock and multiprocessor", "float32, CUDA C++ Programming Guide, compute capability 8.6 on; 64 before"),
    "gpu_bits": Constant(512, "bits a clock and multiprocessor", "16 popcounts of 32 bits, CUDA C++ Programming Guide, compute capability 5.0 on"),
    "gpu_scattered": Constant(0.4, "1 a clock and multiprocessor", "1e11 float atomics a second of an H200; a guess"),
    "gpu_plastic": Constant(4, "scattered words an event", f"weight and trace, there and back; {ASSUMED}"),
    "gpu_unit_bytes": Constant(0.375, "bytes a unit", "a packed state read, written and compared"),
    "gpu_wait": Constant(2e-6, "s", f"units visited one after the other, with a barrier each; {ASSUMED}"),
    "gpu_link": Constant(5e10, "B/s", f"PCI Express 5 x16, 6.3e10 in theory; {ASSUMED}"),
    "gpu_context": Constant(5e8, "bytes", f"of the device, taken by CUDA and its libraries; {ASSUMED}"),
    "cupy_launch": Constant(1.5e-5, "s", f"3 to 5 us of the device, and Python's part; {ASSUMED}"),
    "cupy_step": Constant(4.5e-5, "s", f"three launches; {ASSUMED}"),
    "cupy_start": Constant(1.5, "s", f"a CUDA context, kernels loaded; {ASSUMED}"),
    "brian2cuda_step": Constant(6e-5, "s", f"twelve launches of 5 us; {ASSUMED}"),
    "brian2cuda_start": Constant(160.0, "s", "nvcc, a small network on two cores, measured"),
}  # fmt: skip
"""All numbers that predictions are made of. Kernels come out right to a factor of about 2 where they are measured; elsewhere nobody knows."""

FACTOR = 3
"""What a session takes on cpu is right to about this factor, from 10 ms on and once kernels are loaded (``SESSIONS`` in tests/cuda/test_plan.py). Times closer than that are equal."""

H200 = Device("NVIDIA H200", 139 * 2**30, (9, 0), 132, 1.98e9, 3.2e9, 6144, 50 * 2**20)
"""The data sheet: 4.8 TB/s, and 67 TFLOP/s in float32."""


class Cache(NamedTuple):
    """A place for tables of at most ``size`` bytes, and the bytes a second that come from it, read and updated."""

    size: float
    read: float
    update: float


@dataclass(frozen=True)
class Rates:
    """What an engine does of each amount of ``Work`` in a second; ``launch``, ``step`` and ``wait`` (of ``lanes`` cues at once) in seconds, ``link`` in B/s."""

    caches: tuple[Cache, ...]
    multiply_adds: float
    bits: float
    scattered: float
    plastic: float
    cells: float
    units: float
    launch: float
    step: float
    wait: float
    lanes: int
    link: float
    start: float
    taken: float
    touched: float
    graded: float

    def cache(self, table: float) -> Cache:
        """Return the fastest place that holds a table."""
        return next(cache for cache in self.caches if table <= cache.size)

    def seconds(self, work: Work) -> float:
        """Return the time of a pass: of its slowest part, and of what cannot be done beside."""
        cache = self.cache(work.table)
        names = ("multiply_adds", "bits", "scattered", "plastic", "cells", "units")
        parts = [float(getattr(work, name)) / float(getattr(self, name)) for name in names]
        return (
            max(work.read / cache.read + work.updated / cache.update, *parts)
            + work.launches * self.launch
            + work.steps * self.step
            + work.waits * self.wait * math.ceil(work.abreast / self.lanes)
            + work.passed / self.link
            + work.taken / self.taken
            + work.touched / self.touched
            + work.graded / self.graded
        )


def _c(name: str) -> float:
    return CONSTANTS[name].value


def cpu_rates(threads: int, replicas_apart: int) -> Rates:
    """Return the rates of backend ``cpu`` on so many threads; of networks, as many are busy as there are groups of replicas."""
    busy = min(threads, replicas_apart)

    def all_of(name: str) -> float:
        return min(threads * _c(name), _c("cpu_most"))

    return Rates(
        (
            Cache(threads * _c("cpu_l2"), threads * _c("cpu_l2_read"), threads * _c("cpu_l2_update")),
            Cache(_c("cpu_l3"), threads * _c("cpu_l3_read"), threads * _c("cpu_l3_update")),
            Cache(math.inf, all_of("cpu_read"), all_of("cpu_update")),
        ),
        multiply_adds=threads * _c("cpu_multiply_adds"),
        bits=threads * _c("cpu_bits"),
        scattered=busy * _c("cpu_scattered"),
        plastic=busy * _c("cpu_plastic"),
        cells=busy * _c("cpu_cells"),
        units=_c("cpu_units"),
        launch=_c("cpu_launch"),
        step=_c("cpu_step"),
        wait=_c("cpu_wait"),
        lanes=threads,
        link=math.inf,
        start=_c("cpu_start"),
        taken=_c("host_taken"),
        touched=_c("host_touched"),
        graded=_c("host_graded"),
    )


def brian2_rates() -> Rates:
    """Return the rates of backend ``brian2``, which runs spikes, on one thread; it is not asked for the rest."""
    return Rates(
        (Cache(math.inf, math.inf, math.inf),),
        multiply_adds=math.inf,
        bits=math.inf,
        scattered=_c("brian2_scattered"),
        plastic=_c("brian2_plastic"),
        cells=_c("brian2_cells"),
        units=math.inf,
        launch=0.0,
        step=_c("brian2_step"),
        wait=0.0,
        lanes=1,
        link=math.inf,
        start=_c("brian2_start"),
        taken=math.inf,
        touched=math.inf,
        graded=math.inf,
    )


def gpu_rates(device: Device, engine: str) -> Rates:
    """Return the rates of backend ``cupy`` or ``brian2cuda`` on a device."""
    bandwidth = _c("gpu_of_theory") * device.bandwidth or _c("gpu_unknown")
    clocks = device.n_multiprocessors * device.clock
    lanes = _c("gpu_lanes") / (2 if device.compute_capability < (8, 6) else 1)
    return Rates(
        (Cache(math.inf, bandwidth, bandwidth),),
        multiply_adds=lanes * clocks,
        bits=_c("gpu_bits") * clocks,
        scattered=_c("gpu_scattered") * clocks,
        plastic=_c("gpu_scattered") * clocks / _c("gpu_plastic"),
        cells=bandwidth / CELL_BYTES,
        units=bandwidth / _c("gpu_unit_bytes"),
        launch=_c("cupy_launch"),
        step=_c(f"{engine}_step"),
        wait=_c("gpu_wait"),
        lanes=device.n_multiprocessors,
        link=_c("gpu_link"),
        start=_c(f"{engine}_start"),
        taken=_c("host_taken"),
        touched=math.inf,
        graded=_c("host_graded"),
    )


def gpu_room(device: Device, free: int | None) -> int:
    """Return the bytes of a device that tables can have: what is free, or all that there is, less what CUDA takes."""
    return max(0, (device.memory if free is None else free) - round(_c("gpu_context")))
