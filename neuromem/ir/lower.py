"""``lower``: a network becomes a Program, in the passes that ``lower`` lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError
from neuromem.ir import ops
from neuromem.ir.checks import check, check_longest
from neuromem.ir.program import (
    CellTable,
    PoissonTable,
    PopulationTable,
    ProbeTable,
    Program,
    ProjectionTable,
    Schedule,
)
from neuromem.ir.randomness import generator
from neuromem.ir.sources import draw_poisson
from neuromem.quantities import check_range, is_whole, steps_covering, steps_of
from neuromem.spec.cells import IFCurrExp, SpikeSourcePoisson
from neuromem.spec.connectors import FromListConnector
from neuromem.spec.distributions import Quantity, RandomDistribution
from neuromem.spec.network import Network, Projection
from neuromem.spec.plasticity import STDP
from neuromem.spec.population import View


@dataclass(frozen=True)
class Drive:
    """Input beyond the network's own stimuli, from the operations of a memory.

    ``events``: (step, population, unit). ``frozen``: intervals of steps [start, stop) in which
    no weight may change.
    """

    events: tuple[tuple[int, str, int], ...] = ()
    frozen: tuple[tuple[int, int], ...] = ()


def lower(network: Network, *, dt: float, n_steps: int, seed: int = 0, input_seed: int | None = None, drive: Drive = Drive()) -> Program:
    """Return the Program of ``network`` on a grid of ``dt`` ms, for ``n_steps`` steps.

    Raises ``SpecError`` when the network is wrong. Random parameters, connections and Poisson
    spikes are drawn here, each from a generator named by (seed, object, purpose); Poisson spikes
    from ``input_seed`` where it is given, so that replicas of one network (``stack``) can differ
    in nothing but their input.
    """
    check(network, dt)
    seed = checked_seed("seed", seed)
    noise = seed if input_seed is None else checked_seed("input_seed", input_seed)
    populations = number_units(network)
    cells = tabulate_cells(network, seed)
    projections = tuple(tabulate_synapses(p, network, populations, dt, seed) for p in network.projections)
    poisson = tabulate_poisson(network, populations, dt, seed)
    probes = tuple(
        ProbeTable(p.population, p.variable, populations[p.population].first, populations[p.population].size) for p in network.probes
    )
    schedule = draw_schedule(network, populations, poisson, dt, n_steps, noise, drive)
    step = order_ops(projections, probes, bool(cells.n))
    ordered = tuple(populations[p.name] for p in network.populations)
    return Program(dt, (noise,), ordered, cells, projections, poisson, probes, step, schedule)


def checked_seed(name: str, seed: object) -> int:
    if not is_whole(seed) or int(seed) < 0:  # type: ignore[call-overload]
        raise SpecError(f"lower: {name} = {seed!r}; expected a whole number, at least 0.")
    return int(seed)  # type: ignore[call-overload,no-any-return]


def number_units(network: Network) -> dict[str, PopulationTable]:
    """Give every population its range of units: sources first, then neurons."""
    tables: dict[str, PopulationTable] = {}
    first = 0
    for sources in (True, False):
        for p in network.populations:
            if (not p.cell.state) == sources:
                tables[p.name] = PopulationTable(p.name, type(p.cell).__name__, p.role, first, int(p.size), sources)
                first += int(p.size)
    return tables


def _values(value: Quantity, n: int, seed: int, owner: str, name: str) -> np.ndarray:
    """Return ``n`` values of a parameter, drawn if it is a distribution."""
    if isinstance(value, RandomDistribution):
        drawn = value.draw(n, generator(seed, owner, name))
        check_range(name, drawn, f"{owner} (drawn from {value})")
        return drawn
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))


def tabulate_cells(network: Network, seed: int) -> CellTable:
    """Lay the parameters and initial states of all neurons side by side."""
    parameters: dict[str, list[np.ndarray]] = {name: [] for name in IFCurrExp.parameters}
    initial: dict[str, list[np.ndarray]] = {name: [] for name in IFCurrExp.state}
    spinnaker: list[np.ndarray] = []
    for p in network.populations:
        if not isinstance(p.cell, IFCurrExp):
            continue
        for name in IFCurrExp.parameters:
            parameters[name].append(_values(getattr(p.cell, name), p.size, seed, p.name, name))
        if np.any(parameters["v_reset"][-1] >= parameters["v_thresh"][-1]):
            raise SpecError(f"Population {p.name!r}: a drawn v_reset is not below v_thresh; expected distributions that keep them apart.")
        for name in IFCurrExp.state:
            default = parameters["v_rest"][-1] if name == "v" else 0.0
            initial[name].append(_values(p.initial_values.get(name, default), p.size, seed, p.name, name))
        spinnaker.append(np.full(p.size, p.cell.integrator == "spinnaker"))

    def join(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([*parts, np.empty(0)])[None, :]

    return CellTable(
        {name: join(parts) for name, parts in parameters.items()},
        {name: join(parts) for name, parts in initial.items()},
        np.concatenate([*spinnaker, np.empty(0, bool)]),
    )


def _range(end: str | View, populations: dict[str, PopulationTable]) -> tuple[str, int, int]:
    name, start, stop = (end.population, end.start, end.stop) if isinstance(end, View) else (end, 0, populations[end].size)
    return name, populations[name].first + start, stop - start


def tabulate_synapses(
    projection: Projection, network: Network, populations: dict[str, PopulationTable], dt: float, seed: int
) -> ProjectionTable:
    """List the synapses of one projection: who meets whom, with which weight and delay."""
    owner = f"Projection {projection.name!r}"
    pre_name, pre_first, n_pre = _range(projection.pre, populations)
    post_name, post_first, n_post = _range(projection.post, populations)
    same = pre_first - post_first if pre_name == post_name else None
    pre, post = projection.connector.pairs(n_pre, n_post, same, generator(seed, projection.name, "connector"), owner)
    n = int(pre.size)
    weight, delay = projection.synapse.weight, projection.synapse.delay
    if isinstance(projection.connector, FromListConnector) and projection.connector.conn_list.shape[1] == 4:
        weight, delay = projection.connector.conn_list[:, 2], projection.connector.conn_list[:, 3]
    for name, value in (("weight", weight), ("delay", delay)):
        if isinstance(value, np.ndarray) and value.size != n:
            raise SpecError(f"{owner}: {name} has {value.size} values; expected one number or {n}, one for each synapse.")
    weights = _values(weight, n, seed, projection.name, "weight")
    check_range("weight", weights, owner)
    rule = projection.plasticity
    assert rule is None or isinstance(rule, STDP)  # checked
    if rule is not None and np.any((weights < rule.weight_dependence.w_min) | (weights > rule.weight_dependence.w_max)):
        raise SpecError(
            f"{owner}: initial weights from {weights.min():g} to {weights.max():g} nA; expected between w_min = {rule.weight_dependence.w_min:g} and w_max = {rule.weight_dependence.w_max:g} nA."
        )
    if isinstance(delay, RandomDistribution):
        drawn = delay.draw(n, generator(seed, projection.name, "delay"))
        check_range("delay", drawn, f"{owner} (drawn from {delay})")
        steps = np.maximum(1, np.rint(drawn / dt)).astype(np.int64)
        check_longest(int(steps.max(initial=1)), dt, owner)
    else:
        distinct, inverse = np.unique(np.broadcast_to(np.asarray(delay, dtype=np.float64), (n,)), return_inverse=True)
        steps = np.array([steps_of(float(d), dt, "delay", owner, minimum=1) for d in distinct], dtype=np.int64)[inverse]
    return ProjectionTable(
        name=projection.name,
        pre_name=pre_name,
        post_name=post_name,
        connector=type(projection.connector).__name__.removesuffix("Connector"),
        receptor=projection.receptor,
        pre_first=pre_first,
        n_pre=n_pre,
        post_first=post_first,
        n_post=n_post,
        pre=pre.astype(np.int64) + pre_first,
        post=post.astype(np.int64) + post_first,
        delay=steps,
        weight=weights[None, :],
        plasticity=rule,
    )


def tabulate_poisson(network: Network, populations: dict[str, PopulationTable], dt: float, seed: int) -> tuple[PoissonTable, ...]:
    """List the Poisson sources with their spike probability per step."""
    tables = []
    for p in network.populations:
        if not isinstance(p.cell, SpikeSourcePoisson):
            continue
        rate = _values(p.cell.rate, p.size, seed, p.name, "rate")
        start = _values(p.cell.start, p.size, seed, p.name, "start")
        duration = _values(p.cell.duration, p.size, seed, p.name, "duration")
        first = np.array([steps_covering(t, dt) for t in start], dtype=np.int64)
        last = np.array([steps_covering(t, dt) if np.isfinite(t) else 1 << 62 for t in start + duration], dtype=np.int64)
        tables.append(PoissonTable(p.name, populations[p.name].first, -np.expm1(-rate * dt * 1e-3)[None, :], first[None, :], last[None, :]))
    return tuple(tables)


def draw_schedule(
    network: Network,
    populations: dict[str, PopulationTable],
    poisson: tuple[PoissonTable, ...],
    dt: float,
    n_steps: int,
    seed: int,
    drive: Drive,
) -> Schedule:
    """Collect all source spikes and the steps in which weights may change."""
    if isinstance(n_steps, bool) or not isinstance(n_steps, int | np.integer) or n_steps < 0:
        raise SpecError(f"lower: n_steps = {n_steps!r}; expected a whole number of steps, at least 0.")
    _, step, unit = draw_poisson(poisson, (seed,), 0, n_steps)
    steps, units = [step], [unit]
    for stimulus in network.stimuli:
        owner = f"Stimulus of {stimulus.population!r}"
        times, inverse = np.unique(stimulus.times, return_inverse=True)
        steps.append(np.array([steps_of(float(t), dt, "time", owner) for t in times], dtype=np.int64)[inverse])
        units.append(stimulus.units + populations[stimulus.population].first)
    if drive.events:
        steps.append(np.array([s for s, _, _ in drive.events], dtype=np.int64))
        units.append(np.array([populations[name].first + u for _, name, u in drive.events], dtype=np.int64))
    plastic = np.ones(n_steps, dtype=np.uint8)
    for start, stop in drive.frozen:
        plastic[start:stop] = 0
    return source_schedule(n_steps, np.concatenate(steps), np.concatenate(units), plastic)


def source_schedule(n_steps: int, step: np.ndarray, unit: np.ndarray, plastic: np.ndarray) -> Schedule:
    """Return the schedule of one replica with these source spikes, sorted, each once, beyond the end cut off."""
    keep = step < n_steps
    events = np.unique(np.stack([step[keep], unit[keep]], axis=1), axis=0) if np.any(keep) else np.empty((0, 2), np.int64)
    return Schedule(n_steps, np.zeros(len(events), np.int64), events[:, 0].copy(), events[:, 1].copy(), plastic)


def order_ops(projections: tuple[ProjectionTable, ...], probes: tuple[ProbeTable, ...], any_neurons: bool) -> tuple[ops.Op, ...]:
    """List the ops of a step in the order of the phases."""
    step = [ops.emit_sources()]
    if any_neurons:
        step += [ops.deliver(), ops.integrate(), ops.threshold(), ops.reset()]
    plastic = [p.name for p in projections if p.plasticity is not None]
    step += [ops.learn(name) for name in plastic]
    if len(plastic) < len(projections):
        step.append(ops.send("static"))
    step += [ops.send(name) for name in plastic]
    step += [ops.record(p.population, p.variable) for p in probes]
    ops.check_ops(tuple(step))
    return tuple(step)
