"""From a fitted Program to the arrays that the board's kernels read."""

from __future__ import annotations

import itertools

import numpy as np

from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.fixed_point import ONE, cell_constants, s1615, trace_table
from neuromem.ir.program import ProjectionTable
from neuromem.kernels.cpu import spinnaker as k


def cell_arrays(fitted: Fitted) -> k.Cells:
    """Return the runs of cells with equal constants, none across two populations, and which cells remember their spikes."""
    program = fitted.program
    p = program.cells.parameters
    bounds, constants = [], []
    for index, population in enumerate(program.populations):
        if population.is_source:
            continue
        shifts = fitted.placement(population.name).shifts
        first = population.first - program.n_sources
        columns = np.stack([p[name][0, first : first + population.size] for name in sorted(p)])
        starts = [0, *(np.flatnonzero(np.any(columns[:, 1:] != columns[:, :-1], axis=0)) + 1), population.size]
        for a, z in itertools.pairwise(starts):
            c = cell_constants(dt=program.dt, **{name: float(p[name][0, first + a]) for name in p})
            bounds.append((first + a, first + z, index))
            constants.append(
                (
                    c.v_rest, c.v_reset, c.v_thresh, c.i_offset, c.resistance, c.keep, c.refractory,
                    c.scale_exc, c.scale_inh, c.decay_exc, c.decay_inh, *shifts,
                )
            )  # fmt: skip
    post_rule = np.full(program.cells.n, -1, np.int64)
    for j, table in enumerate(program.plastic):
        if table.n_synapses:  # a rule without synapses remembers nothing
            post_rule[program.cells_of(program.population(table.post_name))] = j
    return k.Cells(np.array(bounds, np.int64).reshape(-1, 3), np.array(constants, np.int64).reshape(-1, k.N_CONSTANTS), post_rule)


class SynapseLayout:
    """The synapses of all projections as rows on cores.

    ``place[name]`` says where the synapses lie: synapse ``place[name][i]`` of the kernel is synapse ``i`` of the projection.
    ``row_of_synapse`` is each one's row. Cores are numbered over all populations of cells, in their order: ``first_core[name]``.
    """

    def __init__(self, fitted: Fitted) -> None:
        program = fitted.program
        self.first_core: dict[str, int] = {}
        capacity: list[int] = []
        for q in fitted.placements:
            if not q.is_source:
                self.first_core[q.name] = len(capacity)
                capacity += [q.input_buffer - 1] * q.n_cores
        parts = [_Synapses(fitted, table, index, self.first_core) for index, table in enumerate(program.projections)]
        stages = [q.stage_steps * np.arange(1, q.stages + 1) for q in fitted.placements]
        lags = np.unique(np.concatenate([np.zeros(1, np.int64), *stages]))

        def joined(name: str) -> np.ndarray:
            return np.concatenate([np.empty(0, np.int64), *(getattr(p, name) for p in parts)])

        unit, lag, projection, core = joined("unit"), np.searchsorted(lags, joined("lag")), joined("projection"), joined("core")
        order = np.lexsort((np.arange(unit.size), core, projection, lag, unit))
        keys = np.stack([unit, lag, projection, core], axis=1)[order]
        starts = np.flatnonzero(np.r_[True, np.any(keys[1:] != keys[:-1], axis=1)]) if len(keys) else np.empty(0, np.int64)
        ends = np.r_[starts[1:], len(keys)] if len(keys) else starts
        population, rule = joined("population"), joined("rule")
        rows = (
            np.stack([keys[starts, 3], population[order][starts], starts, ends, rule[order][starts]], axis=1)
            if len(keys)
            else np.empty((0, 5), np.int64)
        )
        n_units, n_lags = program.n_units, lags.size
        row_key = keys[starts, 0] * n_lags + keys[starts, 1] if len(keys) else np.empty(0, np.int64)
        route_pointer, route = _routes(fitted, unit, core, lags)
        rules, decay = _rules(fitted)
        self.tables = k.Tables(
            lag=lags,
            row_pointer=_pointers(row_key, n_units, n_lags),
            row=np.ascontiguousarray(rows, np.int64),
            target=joined("target")[order],
            delay=joined("delay")[order],
            route_pointer=route_pointer,
            route=route,
            capacity=np.array(capacity, np.int64),
            rule=rules,
            decay=decay,
        )
        self.weight = joined("word")[order].astype(np.int32)
        where = np.empty(order.size, np.int64)
        where[order] = np.arange(order.size)
        bounds = np.cumsum([0, *(p.unit.size for p in parts)])
        self.place = {table.name: where[bounds[j] : bounds[j + 1]] for j, table in enumerate(program.projections)}
        self.row_of_synapse = np.repeat(np.arange(len(rows)), ends - starts)
        self.n_slots = int(max((t.max() for t in (joined("delay"),) if t.size), default=1))


class _Synapses:
    """The synapses of one projection: what the kernel's tables say of each."""

    def __init__(self, fitted: Fitted, table: ProjectionTable, index: int, first_core: dict[str, int]) -> None:
        program, q = fitted.program, fitted.placement(table.post_name)
        post = program.population(table.post_name)
        local = table.post - post.first
        late = (table.delay - 1) // q.ring_depth
        plastic = [p.name for p in program.plastic]
        self.unit = table.pre
        self.lag = late * q.ring_depth
        self.delay = table.delay - self.lag
        self.core = first_core[table.post_name] + local // q.neurons_per_core
        self.target = table.post - program.n_sources + (program.cells.n if table.receptor == "inhibitory" else 0)
        self.word = fitted.words[table.name]
        self.projection = np.full(table.n_synapses, index)
        self.population = np.full(table.n_synapses, program.populations.index(post))
        self.rule = np.full(table.n_synapses, plastic.index(table.name) if table.plasticity is not None else -1)


def _pointers(key: np.ndarray, n_units: int, n_lags: int) -> np.ndarray:
    """Return pointer (n_units, n_lags + 1) into entries sorted by ``key = unit n_lags + lag``."""
    bounds = np.searchsorted(key, np.arange(n_units * n_lags + 1))
    pointers: np.ndarray = np.concatenate([bounds[:-1].reshape(n_units, n_lags), bounds[n_lags::n_lags, None]], axis=1)
    return pointers.astype(np.int64)


def _routes(fitted: Fitted, unit: np.ndarray, core: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which cores the packets of each unit reach.

    A spike goes to all cores to which its own core has a synapse, whatever the delay; and from each stage of its delay extension, if there is one, once more to
    those of them whose population needs it.
    """
    program = fitted.program
    post_of = np.concatenate([np.empty(0, np.int64), *(np.full(q.n_cores, i) for i, q in enumerate(fitted.placements) if not q.is_source)])
    late = {
        (p.pre_name, p.post_name) for p in program.projections if p.n_synapses and p.delay.max() > fitted.placement(p.post_name).ring_depth
    }
    keys, routes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for p, q in zip(program.populations, fitted.placements, strict=True):
        delayed = np.searchsorted(lags, q.stage_steps * np.arange(1, q.stages + 1))
        for low in range(0, p.size, q.neurons_per_core):
            units = np.arange(p.first + low, p.first + min(low + q.neurons_per_core, p.size))
            direct = np.unique(core[(unit >= units[0]) & (unit <= units[-1])])
            needing = direct[[(p.name, fitted.placements[post_of[c]].name) in late for c in direct]] if direct.size else direct
            for lag, cores in ((0, direct), *((int(stage), needing) for stage in delayed)):
                keys.append(np.repeat(units * lags.size + lag, cores.size))
                routes.append(np.tile(cores, units.size))
    key, route = np.concatenate(keys), np.concatenate(routes)
    order = np.argsort(key, kind="stable")
    return _pointers(key[order], program.n_units, lags.size), np.ascontiguousarray(route[order], np.int64)


def _rules(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Return the rules of the plastic projections as integers, and their trace tables end to end."""
    program = fitted.program
    rules, decay, at = [], [np.empty(0, np.int64)], 0
    for table in program.plastic:
        rule = table.plasticity
        assert rule is not None
        plus, minus = trace_table(rule.timing.tau_plus, program.dt), trace_table(rule.timing.tau_minus, program.dt)
        shift = fitted.placement(table.post_name).shifts[table.receptor == "inhibitory"]
        limits = rule.weight_dependence
        rules.append(
            (
                s1615(rule.timing.A_plus), s1615(rule.timing.A_minus), s1615(limits.w_min), s1615(limits.w_max), shift,
                at, plus.size, at + plus.size, minus.size,
            )
        )  # fmt: skip
        decay += [plus, minus]
        at += plus.size + minus.size
    tables: np.ndarray = np.concatenate(decay)
    return np.array(rules, np.int64).reshape(-1, k.N_RULE), tables


def initial_state(fitted: Fitted, layout: SynapseLayout, cells: k.Cells) -> k.State:
    """Return the state before tick 0."""
    program, tables = fitted.program, layout.tables
    n, events = program.cells.n, fitted.board["core.post_events"]

    def fixed(name: str) -> np.ndarray:
        integers: np.ndarray = np.rint(program.cells.initial[name][0] * ONE).astype(np.int32)
        return integers

    n_past = int(tables.lag[-1]) + 1
    return k.State(
        v=fixed("v"),
        isyn_exc=fixed("isyn_exc"),
        isyn_inh=fixed("isyn_inh"),
        refractory=np.zeros(n, np.int32),
        ring=np.zeros((layout.n_slots, 2 * n), np.int32),
        reached=np.zeros((layout.n_slots, len(program.populations)), np.uint8),
        weight=layout.weight.copy(),
        last_pre=np.zeros(len(tables.row), np.int64),
        pre_trace=np.zeros(len(tables.row), np.int64),
        post_time=np.zeros((n, events), np.int64),
        post_trace=np.zeros((n, events), np.int64),
        n_post=np.zeros(n, np.int64),
        fired=np.zeros((n_past, program.n_units), np.int64),
        n_fired=np.zeros(n_past, np.int64),
        still=np.zeros(len(cells.run), np.uint8),
        saturated=np.zeros(2 * n, np.int64),
        peak=np.zeros(2 * n, np.int32),
        lost=np.zeros(tables.capacity.size, np.int64),
        events=np.zeros(tables.capacity.size, np.int64),
        packets=np.zeros(tables.capacity.size, np.int64),
    )
