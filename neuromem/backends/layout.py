"""From the tables of a Program to the arrays that the spiking kernels read."""

from __future__ import annotations

import numpy as np

from neuromem.ir.program import NEVER, Program, ProjectionTable, decay_table
from neuromem.kernels.cpu import spiking as k
from neuromem.spec.plasticity import MultiplicativeWeightDependence


def _targets(table: ProjectionTable, program: Program) -> np.ndarray:
    offset = program.cells.n if table.receptor == "inhibitory" else 0
    return (table.post - program.n_sources + offset).astype(np.uint32)


def _pointers(unit: np.ndarray, delay_index: np.ndarray, n_units: int, n_delays: int) -> np.ndarray:
    """Return pointer (n_units, n_delays + 1) into synapses sorted by (unit, delay)."""
    key = unit * n_delays + delay_index
    bounds = np.searchsorted(key, np.arange(n_units * n_delays + 1))
    return np.concatenate([bounds[:-1].reshape(n_units, n_delays), bounds[n_delays::n_delays, None]], axis=1).astype(np.int64)


def static_arrays(program: Program) -> k.Static:
    """Merge all projections without plasticity into one table."""
    tables = program.static
    if not tables:
        return k.Static(np.zeros((program.n_units, 1), np.int64), np.empty(0, np.int64), np.empty(0, np.uint32), np.zeros((1, 1)))
    pre, delay = np.concatenate([t.pre for t in tables]), np.concatenate([t.delay for t in tables])
    target = np.concatenate([_targets(t, program) for t in tables])
    order = np.lexsort((target, delay, pre))
    delays = np.unique(delay)
    rows = max(t.weight.shape[0] for t in tables)
    weight = np.concatenate([np.broadcast_to(t.weight, (rows, t.n_synapses)) for t in tables], axis=1)[:, order]
    pointer = _pointers(pre[order], np.searchsorted(delays, delay[order]), program.n_units, max(1, delays.size))
    if np.all(weight == weight[:, :1]):
        weight = weight[:, :1]
    return k.Static(pointer, delays, target[order], np.ascontiguousarray(weight))


class PlasticLayout:
    """The plastic projections as kernel arrays, and the order in which their synapses are kept.

    ``order[name]`` is a permutation: the kernel's synapse ``first[name] + i`` is synapse
    ``order[name][i]`` of the projection's table.
    """

    def __init__(self, program: Program) -> None:
        self.order: dict[str, np.ndarray] = {}
        self.first: dict[str, int] = {}
        ints = np.zeros((len(program.plastic), k.N_INTS), np.int64)
        floats = np.zeros((len(program.plastic), 4))
        parts: dict[str, list[np.ndarray]] = {
            name: [] for name in ("delays", "row", "column", "column_synapse", "pre", "post", "target", "decay")
        }
        weights: list[np.ndarray] = []
        n_pre = n_arrivals = n_past = 0
        for j, table in enumerate(program.plastic):
            rule = table.plasticity
            assert rule is not None
            delays = np.unique(table.delay)
            order = np.lexsort((table.post, table.delay, table.pre))
            first = sum(a.size for a in parts["pre"])
            self.order[table.name], self.first[table.name] = order, first
            pre, post = (table.pre - table.pre_first)[order], (table.post - table.post_first)[order]
            which = np.searchsorted(delays, table.delay[order])
            columns = np.lexsort((which, post))
            plus, minus = decay_table(rule.timing.tau_plus, program.dt), decay_table(rule.timing.tau_minus, program.dt)
            g = ints[j]
            g[k.PRE_FIRST], g[k.N_PRE], g[k.POST_FIRST], g[k.N_POST] = table.pre_first, table.n_pre, table.post_first, table.n_post
            g[k.N_DELAYS], g[k.DELAY_AT] = delays.size, sum(a.size for a in parts["delays"])
            g[k.ROW_AT], g[k.COLUMN_AT] = sum(a.size for a in parts["row"]), sum(a.size for a in parts["column"])
            g[k.PRE_AT], g[k.ARRIVAL_AT], g[k.PAST_AT] = n_pre, n_arrivals, n_past
            g[k.HISTORY], g[k.DEFERRED] = rule.post_history or 0, rule.discipline == "deferred"
            g[k.MULTIPLICATIVE] = isinstance(rule.weight_dependence, MultiplicativeWeightDependence)
            g[k.PLUS_AT], g[k.PLUS_SIZE] = sum(a.size for a in parts["decay"]), plus.size
            g[k.MINUS_AT], g[k.MINUS_SIZE] = g[k.PLUS_AT] + plus.size, minus.size
            floats[j] = rule.timing.A_plus, rule.timing.A_minus, rule.weight_dependence.w_min, rule.weight_dependence.w_max
            parts["delays"].append(delays)
            parts["row"].append(_pointers(pre, which, table.n_pre, max(1, delays.size)).ravel() + first)
            parts["column"].append(_pointers(post[columns], which[columns], table.n_post, max(1, delays.size)).ravel() + first)
            parts["column_synapse"].append(columns + first)
            parts["pre"].append(pre)
            parts["post"].append(post)
            parts["target"].append(_targets(table, program)[order])
            parts["decay"] += [plus, minus]
            weights.append(np.broadcast_to(table.weight, (program.batch, table.n_synapses))[:, order])
            n_pre, n_arrivals, n_past = (
                n_pre + table.n_pre,
                n_arrivals + delays.size * table.n_post,
                n_past + table.n_post * (rule.post_history or 0),
            )

        def joined(name: str, dtype: type) -> np.ndarray:
            return np.concatenate([*parts[name], np.empty(0, dtype)]).astype(dtype)

        self.arrays = k.Plastic(
            ints,
            floats,
            joined("delays", np.int64),
            joined("row", np.int64),
            joined("column", np.int64),
            joined("column_synapse", np.int32),
            joined("pre", np.int32),
            joined("post", np.int32),
            joined("target", np.uint32),
            joined("decay", np.float64),
        )
        self.weight = np.ascontiguousarray(np.concatenate([*weights, np.empty((program.batch, 0))], axis=1))
        self.n_pre, self.n_arrivals, self.n_past = n_pre, n_arrivals, n_past
        self.n_slots = 1 + max((int(t.delay.max()) for t in program.plastic if t.n_synapses), default=0)
        self.any_pending = any(
            t.plasticity is not None and t.plasticity.discipline == "deferred" and t.plasticity.post_history is None
            for t in program.plastic
        )


# Replicas side by side: the doubles of one AVX-512 vector.
LANES = 8

# Neurons with equal coefficients are updated together where a run of them has at least this many
# places on average: below, starting a loop costs more than it saves.
RUN_PLACES = 32


def choose_lanes(program: Program) -> int:
    """Return how many replicas run side by side: they must share coefficients and static weights."""
    shared = all(a.shape[0] == 1 for a in program.cells.parameters.values()) and all(t.weight.shape[0] == 1 for t in program.static)
    return LANES if shared and program.batch >= LANES else 1


def cell_arrays(program: Program, lanes: int) -> k.Cells:
    """Return the coefficients with their runs of equal ones."""
    fields = {name: getattr(program.coefficients, name) for name in k.Cells._fields if name != "runs"}
    rows, n = max(a.shape[0] for a in fields.values()), program.cells.n
    arrays = {name: np.broadcast_to(a, (rows, n)).copy(order="C") for name, a in fields.items()}
    changes = np.zeros(max(0, n - 1), bool)
    for a in arrays.values():
        changes |= np.any(a[:, 1:] != a[:, :-1], axis=0)
    bounds = np.concatenate([[0], np.flatnonzero(changes) + 1, [n]]) if n else np.zeros(1, np.int64)
    runs = np.stack([bounds[:-1], bounds[1:]], axis=1).astype(np.int64)
    if lanes == 1 and n < RUN_PLACES * len(runs):
        runs = np.empty((0, 2), np.int64)
    return k.Cells(**arrays, runs=runs)


def initial_state(program: Program, layout: PlasticLayout, lanes: int) -> k.State:
    """Return the state at step 0, with replicas filled up to whole groups of lanes."""
    n, groups = program.cells.n, -(-program.batch // lanes)
    batch = groups * lanes

    def filled(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, np.repeat(rows[-1:], batch - rows.shape[0], axis=0)])

    def wide(name: str) -> np.ndarray:
        rows = filled(np.broadcast_to(program.cells.initial[name], (program.batch, n)))
        return rows.reshape(groups, lanes, n).transpose(0, 2, 1).reshape(groups, n * lanes).copy(order="C")

    return k.State(
        v=wide("v"),
        isyn_exc=wide("isyn_exc"),
        isyn_inh=wide("isyn_inh"),
        refractory_until=np.full((groups, n * lanes), NEVER, np.int64),
        arriving=np.zeros((groups, program.max_delay, 2 * n * lanes)),
        weight=filled(layout.weight),
        # the kernel writes pending weights only where the rule keeps them
        pending=filled(layout.weight) if layout.any_pending else np.zeros((batch, 0)),
        x_pre=np.zeros((batch, layout.n_pre)),
        t_pre=np.full((batch, layout.n_pre), NEVER, np.int64),
        x_arrival=np.zeros((batch, layout.n_arrivals)),
        t_arrival=np.full((batch, layout.n_arrivals), NEVER, np.int64),
        past_step=np.full((batch, layout.n_past), NEVER, np.int64),
        past_trace=np.zeros((batch, layout.n_past)),
        fired=np.zeros((batch, layout.n_slots, program.n_units), np.int32),
        n_fired=np.zeros((batch, layout.n_slots), np.int64),
    )
