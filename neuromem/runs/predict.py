"""Which engine for a memory: memory and time that each will take, where a GPU begins to pay, and the choice of ``backend="auto"``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from neuromem.backends import load_backend
from neuromem.backends.base import features
from neuromem.errors import BackendMissingError
from neuromem.hardware_targets.cuda.machine import Device, GpuMachine, Missing, missing
from neuromem.ir.lower import lower
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.memory_needed import available_memory
from neuromem.runs.rates import FACTOR, H200, Rates, brian2_rates, cpu_rates, gpu_rates, gpu_room
from neuromem.runs.work import Case, MatrixCase, SpikingCase, matrix_case, spiking_case
from neuromem.spec.memory import MemoryModel

GPU_ENGINES = ("cupy", "brian2cuda")
ENGINES = ("cpu", "brian2", *GPU_ENGINES)
"""Those that are for work; ``reference`` is for checking."""

LANES = 8
"""Replicas that the cpu backend runs side by side on one thread."""


@dataclass(frozen=True)
class Place:
    """Where engines run: threads and free bytes of the host; a GPU, and its free bytes where they are known.

    ``is_here``: the GPU is this machine's, and can be used. ``missing``: what each GPU backend lacks here.
    """

    threads: int
    memory: int
    device: Device
    device_free: int | None
    is_here: bool
    missing: Mapping[str, Sequence[Missing]]

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that can run here."""
        return tuple(name for name in ENGINES if name not in GPU_ENGINES or (self.is_here and not self.missing[name]))


def this_place(machine: GpuMachine | None = None, device: Device | None = None) -> Place:
    """Look at this machine; ``device`` stands in for its GPU, and an H200 does where there is none that can be used."""
    machine = GpuMachine() if machine is None else machine
    lacking = {name: missing(name, machine) for name in GPU_ENGINES}
    threads, memory, driver = len(os.sched_getaffinity(0)), available_memory(), machine.driver()
    if device is not None or isinstance(driver, Missing) or all(lacking.values()):
        return Place(threads, memory, device or H200, None, False, lacking)
    free = machine.free_memory()
    return Place(threads, memory, driver.device, None if isinstance(free, Missing) else free, True, lacking)


@dataclass(frozen=True)
class Prediction:
    """What an engine will take: bytes of tables and of cues and answers (or state), of ``room`` bytes; seconds to start, and of each operation.

    ``refused`` says why it does not run such memories at all; the rest is then zero. ``host_fits``: of a GPU, whether the host has room for
    all cues and answers.
    """

    engine: str
    memory: int = 0
    room: int = 0
    start: float = 0.0
    operations: tuple[tuple[str, float], ...] = ()
    refused: str = ""
    host_fits: bool = True

    @property
    def fits(self) -> bool:
        """Whether the memory has room."""
        return self.memory <= self.room and self.host_fits

    @property
    def work(self) -> float:
        """Seconds of all operations, without the start."""
        return sum(seconds for _, seconds in self.operations)

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.start + self.work


NO_MATRIX = "runs spikes only"


def predict(case: Case, place: Place) -> dict[str, Prediction]:
    """Return what each engine will take for a case, engine by engine; whether it is there is another matter."""
    refused = {"brian2": NO_MATRIX, "brian2cuda": NO_MATRIX} if isinstance(case, MatrixCase) else {}
    return {name: Prediction(name, refused=refused[name]) if name in refused else _predicted(name, case, place) for name in ENGINES}


def rates_of(engine: str, case: Case, place: Place) -> Rates:
    """Return the rates of an engine, where it runs."""
    if engine == "cpu":
        return cpu_rates(place.threads, -(-case.replicas // LANES) if isinstance(case, SpikingCase) else place.threads)
    return brian2_rates() if engine == "brian2" else gpu_rates(place.device, engine)


def _predicted(engine: str, case: Case, place: Place) -> Prediction:
    rates = rates_of(engine, case, place)
    on_gpu = engine in GPU_ENGINES
    room = gpu_room(place.device, place.device_free) if on_gpu else place.memory
    operations = tuple((name, sum(map(rates.seconds, passes))) for name, passes in case.operations().items())
    host_fits = not on_gpu or isinstance(case, SpikingCase) or case.room <= place.memory
    memory = case.tables + (case.device_room if on_gpu else case.room)
    return Prediction(engine, memory, room, rates.start, operations, host_fits=host_fits)


def fastest(case: Case, place: Place, engines: tuple[str, ...] = ENGINES) -> Prediction | None:
    """Return the engine that takes the least time in all, of those that run the case and have room for it; ``cpu`` where the two are about equal."""
    able = {name: p for name, p in predict(case, place).items() if name in engines and not p.refused and p.fits}
    best, cpu = min(able.values(), key=lambda p: p.total, default=None), able.get("cpu")
    return cpu if best is not None and cpu is not None and cpu.total <= FACTOR * best.total else best


def equal(cpu: Prediction, gpu: Prediction) -> bool:
    """Tell whether a GPU is faster than ``cpu``, by less than predictions are right to."""
    return gpu.total < cpu.total <= FACTOR * gpu.total


def crossover(faster: Callable[[int], bool], most: int) -> int | None:
    """Return a number at which ``faster`` begins to be true: it is, and is not at the number before (or that is 0). None: not up to ``most``."""
    high = 1
    while not faster(high):
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if faster(middle) else (middle, high)
    return high


MOST_UNITS, MOST_CUES = 2**24, 2**32


def gpu_pays(case: Case, place: Place, engine: str, with_start: bool = True) -> bool:
    """Tell whether a GPU engine is at least as fast as ``cpu``, whether or not the tables fit either."""
    here, there = (_predicted(name, case, place) for name in ("cpu", engine))
    return there.total <= here.total if with_start else there.work <= here.work


def crossover_size(case: Case, place: Place, engine: str, with_start: bool = True) -> int | None:
    """Return from how many units on a GPU engine is as fast as ``cpu``, all else as in the case; None: never."""
    return crossover(lambda n: gpu_pays(case.with_size(n), place, engine, with_start), MOST_UNITS)


def crossover_batch(case: Case, place: Place, engine: str, with_start: bool = True) -> int | None:
    """Return from how many cues, or replicas, on a GPU engine is as fast as ``cpu``; None: never."""
    return crossover(lambda n: gpu_pays(case.with_batch(n), place, engine, with_start), MOST_CUES)


@dataclass(frozen=True)
class Choice:
    """An engine for a memory, and why."""

    backend: str
    reason: str

    def __str__(self) -> str:
        return f"backend auto: {self.backend}, because {self.reason}"


def choose(memory: MemoryModel, amount: int | None = None, interactive: bool = False, place: Place | None = None) -> Choice:
    """Return the backend that will run a memory soonest, of those that can run it here.

    ``amount``: steps of a spiking memory; patterns to be stored, and cues to be recalled, of another. Without it, which is all that is known of a session, 1,000
    steps, or as many patterns as there are units. ``interactive``: operations one at a time, which some backends do not do.
    """
    place = this_place() if place is None else place
    case: Case
    if has_spikes(memory.network):
        case = spiking_case(memory, amount)
    else:
        case = matrix_case(memory, lower_matrix_memory(memory).post.size if amount is None else amount)
    here = predict(case, place)["cpu"]
    if not set(place.engines) & set(GPU_ENGINES):
        lacking = ", ".join(dict.fromkeys(one.part for name in GPU_ENGINES for one in place.missing[name]))
        return Choice("cpu", f"no GPU can be used here; missing: {lacking} (neuromem doctor --gpu)")
    gpu = fastest(case, place, tuple(name for name in place.engines if name in GPU_ENGINES and supports(name, memory, interactive)))
    if gpu is None:
        return Choice("cpu", f"no GPU backend that is here runs such a memory, or it does not fit {place.device.name}")
    if here.fits and here.total <= FACTOR * gpu.total:
        why = "the two are about equal, as far as can be predicted" if equal(here, gpu) else "a GPU does not pay here"
        return Choice("cpu", f"{why}: about {seconds_text(here.total)}, and {seconds_text(gpu.total)} on {gpu.engine}")
    why = f"and {seconds_text(here.total)} on cpu" if here.fits else "and does not fit the memory of cpu"
    return Choice(gpu.engine, f"it takes about {seconds_text(gpu.total)} on {place.device.name}, {why}")


def supports(backend: str, memory: MemoryModel, interactive: bool) -> bool:
    """Tell whether a backend that can be used here runs a memory; of a spiking one, its network is lowered for it."""
    try:
        support = load_backend(backend).support
    except BackendMissingError:
        return False
    if not has_spikes(memory.network):
        return support.has("matrix")
    needed = features(lower(memory.network, dt=memory.dt, n_steps=0)) | ({"interactive"} if interactive else set())
    return all(support.has(feature) for feature in needed)


def seconds_text(seconds: float) -> str:
    """Return ``1.2 ms``, or ``15 days``."""
    for unit, size in (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3600.0)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):,.0f} {unit}"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size or unit == "us":
            return f"{seconds / size:.2g} {unit}" if seconds < 99.5 * size else f"{seconds / size:.0f} {unit}"
    raise AssertionError
