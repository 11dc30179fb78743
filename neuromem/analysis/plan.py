"""A plan as text: what a memory will take on each engine, which to take and why, and where a GPU begins to pay."""

from __future__ import annotations

from importlib.util import find_spec

from neuromem.hardware_targets.cuda.machine import Missing
from neuromem.ir.memory_needed import bytes_text
from neuromem.runs.predict import (
    GPU_ENGINES,
    Place,
    Prediction,
    crossover_batch,
    crossover_size,
    equal,
    fastest,
    predict,
    rates_of,
    seconds_text,
)
from neuromem.runs.rates import FACTOR
from neuromem.runs.work import BLOCK, Case, MatrixCase, Work, room

REFERENCE = "reference: not predicted, it is for checking the others"
SESSION = "store and recall of arrays by a session, graded where the table allows, as neuromem run does them; kernels alone are faster"
ESTIMATES = (
    f"times are estimates, right to a factor of about {FACTOR} on cpu from 10 ms on, more on a first run, which compiles and touches new memory",
    "those of GPUs are data sheets and assumptions, of code that was not timed on one; memory is without Python's own, 0.1 GiB or more",
)


def plan_text(name: str, case: Case, place: Place) -> str:
    """Return the plan of a memory called ``name``: a table, and sentences."""
    found = predict(case, place)
    lines = [described(name, case), "", *table(found).splitlines(), REFERENCE, ""]
    return "\n".join([*lines, *verdict(case, place, found), *missing_lines(place), "", *assumptions(case, place)]) + "\n"


def described(name: str, case: Case) -> str:
    """Return the case in one line."""
    if isinstance(case, MatrixCase):
        p = case.program
        units = f"{p.post.size} units" if p.recurrent else f"{p.pre.size} to {p.post.size} units"
        steps = "1 step" if p.single_step else f"{case.n_steps} {'step' if case.n_steps == 1 else 'steps'}, assumed"
        rest = f"recall of {case.n_cues} cues in {steps}"
        return f"{name}: {units}, {case.n_patterns} patterns; {rest}; stored as {p.storage}, {bytes_text(case.tables)}"
    replicas = f", {case.replicas} replicas" if case.replicas > 1 else ""
    synapses = f"{case.n_static + case.n_plastic} synapses, {case.n_plastic} of them plastic, {bytes_text(case.tables)}"
    return f"{name}: {case.n_cells} neurons, {case.n_sources} sources, {synapses}; {case.n_steps} steps of {case.dt:g} ms{replicas}"


def table(found: dict[str, Prediction]) -> str:
    """Return a line for each engine."""
    operations = next(tuple(name for name, _ in p.operations) for p in found.values() if not p.refused)
    rows = [("engine", "memory", "of", "start", *operations, "in all")]
    for p in found.values():
        name = f"{p.engine} (not installed)" if p.engine == "brian2" and not p.refused and find_spec("brian2") is None else p.engine
        if p.refused:
            rows.append((name, p.refused, *[""] * (len(rows[0]) - 2)))
        else:
            times = p.start, *(seconds for _, seconds in p.operations), p.total
            too_much = "" if p.fits else " (too much)" if p.memory > p.room else " (host too small)"
            rows.append((name, bytes_text(p.memory) + too_much, bytes_text(p.room), *map(seconds_text, times)))
    widths = [max(len(row[i]) for row in rows if i != 1 or row[2]) for i in range(len(rows[0]))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows)


def verdict(case: Case, place: Place, found: dict[str, Prediction]) -> list[str]:
    """Return which engine to take and why, and from where on a GPU is faster."""
    best, gpu, cpu, device = fastest(case, place), fastest(case, place, GPU_ENGINES), found["cpu"], place.device.name
    if best is None:
        return [f"It fits neither here nor on {device}: take fewer units, patterns or cues.", *_fewer(case, cpu)]
    if gpu is None:
        return [f"Take {best.engine}: the memory does not fit {device}."]
    if equal(cpu, gpu) and cpu.fits:
        times = f"about {seconds_text(cpu.total)}, and {seconds_text(gpu.total)} on {gpu.engine}"
        return [f"Take cpu: the two are about equal, as far as can be predicted: {times}.", *crossings(case, place, gpu.engine)]
    if best.engine not in GPU_ENGINES:
        return [f"Take {best.engine}: a GPU does not pay here; {_why_not(case, place, cpu, gpu)}.", *crossings(case, place, gpu.engine)]
    if cpu.fits:
        gain = (
            f"a GPU pays here: about {seconds_text(best.total)} on {device}, and {seconds_text(cpu.total)} on cpu{_uncached(case, place)}"
        )
    else:
        gain = f"tables, cues and answers take {bytes_text(cpu.memory)}, more than is free here; on {device} there is room"
    if best.engine in place.engines:
        advice = f"Take {best.engine}: {gain}."
    elif cpu.fits:
        advice = f"Take cpu, as {best.engine} cannot be used here. With it {gain}."
    else:
        advice = f"Nothing that can be used here has room: {gain} with {best.engine}. Take fewer units, patterns or cues."
    return [advice, *_fewer(case, cpu), *crossings(case, place, gpu.engine)]


def _fewer(case: Case, cpu: Prediction) -> list[str]:
    """Return how many cues at once fit on cpu, where it is only for the cues that a memory does not."""
    if cpu.fits or not isinstance(case, MatrixCase):
        return []
    cues = (cpu.room - cpu.memory) // room(case.program, 1, case.graded) + case.n_cues
    return (
        [f"It fits this machine with up to about {cues:,} cues at once: recall them in parts, each with a call of its own."]
        if cues > 0
        else []
    )


def _uncached(case: Case, place: Place) -> str:
    return "" if _cached(case, place) else f", whose caches do not hold the table of {bytes_text(case.tables)}"


def _cached(case: Case, place: Place) -> bool:
    caches = rates_of("cpu", case, place).caches
    return case.tables <= caches[-2].size


def _why_not(case: Case, place: Place, cpu: Prediction, gpu: Prediction) -> str:
    overhead = on_top(case, place, gpu.engine)
    where = (
        f"the table is {bytes_text(case.tables)} and stays in the CPU's cache"
        if _cached(case, place)
        else f"the table is {bytes_text(case.tables)}"
    )
    if gpu.start >= cpu.total:
        return f"{where}; to start {gpu.engine} alone takes {seconds_text(gpu.start)}, and all of it {seconds_text(cpu.total)} on cpu"
    if gpu.start + overhead >= cpu.total:
        alone = f"to start {gpu.engine}, its launches and what is passed to it alone take {seconds_text(gpu.start + overhead)}"
        return f"{where}; {alone}, and all of it {seconds_text(cpu.total)} on cpu"
    return f"{where}; it takes {seconds_text(gpu.total)} on {gpu.engine} and {seconds_text(cpu.total)} on cpu"


def on_top(case: Case, place: Place, engine: str) -> float:
    """Return the seconds of launches, steps, waits and transfers: those that are no work."""
    rates = rates_of(engine, case, place)
    only = [
        Work(launches=w.launches, steps=w.steps, waits=w.waits, abreast=w.abreast, passed=w.passed)
        for passes in case.operations().values()
        for w in passes
    ]
    return sum(map(rates.seconds, only))


def crossings(case: Case, place: Place, engine: str) -> list[str]:
    """Return from how many units, and from how many cues or replicas on, the GPU is faster: start and all, and once started."""
    batch, units = ("cues", "units") if isinstance(case, MatrixCase) else ("replicas", "neurons")
    lines = []
    for with_start, when in ((True, "start and all"), (False, "once started")):
        size, cues = crossover_size(case, place, engine, with_start), crossover_batch(case, place, engine, with_start)
        fits = size is not None and predict(case.with_size(size), place)[engine].fits
        lines.append(
            f"{engine} is predicted to be faster, {when}, {_from(size if fits else None, units)}, all else as above; or {_from(cues, batch)}."
        )
    return lines


def _from(number: int | None, what: str) -> str:
    if number is None:
        return f"with no number of {what} that fits"
    digits = max(0, len(str(number)) - 2)  # an estimate: two digits of it
    return f"with any number of {what}" if number == 1 else f"from about {round(number, -digits):,} {what} on"


def missing_lines(place: Place) -> list[str]:
    """Return what each GPU backend lacks here, and what to type."""
    lines = [] if place.is_here else [f"The figures of cupy and brian2cuda are those of {place.device.name}, on a machine like this one."]
    each: dict[Missing, list[str]] = {}
    for name in GPU_ENGINES:
        for one in place.missing[name]:
            each.setdefault(one, []).append(name)
    return [*lines, *(f"{' and '.join(names)} cannot run here: {one}" for one, names in each.items())]


def assumptions(case: Case, place: Place) -> list[str]:
    """Return what the figures are founded on."""
    device = place.device
    lines = [f"cpu: {place.threads} threads; {device.name}: {device.bandwidth / 1e12:.2g} TB/s in theory, {bytes_text(device.memory)}"]
    if isinstance(case, MatrixCase):
        lines += [SESSION, f"cues are recalled in blocks of {BLOCK}; patterns come from the host, and answers go back to it"]
    else:
        lines += [f"units spike at {case.rate:g} Hz on average (--rate); brian2 starts warm, cold it takes minutes"]
    return [*lines, *ESTIMATES]
