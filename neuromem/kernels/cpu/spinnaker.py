"""A SpiNNaker board's arithmetic, compiled: many ticks of one network in one call, bit for bit.

Twin of ``neuromem.kernels.reference.spinnaker``, which says what a tick is. What makes this one fast: cells with equal
constants (a *run*) are updated in one loop over vectors; and a run that nothing reaches, and whose last update changed
nothing, is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuromem.kernels.cpu.compiled import kernel

_kernel = kernel(forceinline=True)

# Columns of Cells.run
FIRST, LAST, POPULATION = range(3)
# Columns of Cells.constant, for each run
V_REST, V_RESET, V_THRESH, I_OFFSET, RESISTANCE, KEEP, REFRACTORY, SCALE_EXC, SCALE_INH, DECAY_EXC, DECAY_INH, SHIFT_EXC, SHIFT_INH = range(
    13
)
N_CONSTANTS = 13
# Columns of Tables.row
CORE, TARGET_POPULATION, ROW_FIRST, ROW_LAST, RULE = range(5)
# Columns of Tables.rule
A_PLUS, A_MINUS, W_MIN, W_MAX, SHIFT, PLUS_AT, PLUS_SIZE, MINUS_AT, MINUS_SIZE = range(9)
N_RULE = 9

FULL = 65535
"""The largest value of a ring buffer's cell."""


class Cells(NamedTuple):
    """Runs of cells: ``run`` (n_runs, 3) and ``constant`` (n_runs, 13); ``post_rule`` (n,): the rule that remembers a cell's spikes, or -1."""

    run: np.ndarray
    constant: np.ndarray
    post_rule: np.ndarray


class Tables(NamedTuple):
    """Synapses as the cores hold them.

    A packet is a spike of ``unit`` that arrives ``lag[l]`` ticks later (0, or what delay extensions add). ``row_pointer``
    (n_units, n_lags + 1) finds its rows, one for each projection and core: ``row`` (n_rows, 5), with ``RULE`` -1 for static ones.
    ``target`` is the cell, plus the number of cells for the inhibitory receptor; ``delay`` in ticks after the packet. ``route_pointer``
    (n_units, n_lags + 1) finds the ``route``: cores that the packet reaches, which hold ``capacity`` of them in a tick. ``rule``
    (n_rules, 9), ``decay`` the trace tables (S4.11).
    """

    lag: np.ndarray
    row_pointer: np.ndarray
    row: np.ndarray
    target: np.ndarray
    delay: np.ndarray
    route_pointer: np.ndarray
    route: np.ndarray
    capacity: np.ndarray
    rule: np.ndarray
    decay: np.ndarray


class State(NamedTuple):
    """Everything that changes.

    ``v``, ``isyn_exc``, ``isyn_inh`` (S1615) and ``refractory`` (ticks): (n,), int32. ``ring`` (n_slots, 2 n), ``reached``
    (n_slots, n_populations): whether anything arrives. ``weight``: 16-bit words of all synapses. ``last_pre`` and ``pre_trace`` of each
    row. ``post_time`` and ``post_trace`` (n, events): the last spikes of each cell, oldest first, and ``n_post`` how many.
    ``fired`` (n_past, n_units) and ``n_fired``: units that spiked in the last ticks, ascending. ``still``: runs that an update
    would not change. Counts: ``saturated`` and ``peak`` (2 n,) of ring buffers, ``lost``, ``events`` and ``packets`` (n_cores,).
    """

    v: np.ndarray
    isyn_exc: np.ndarray
    isyn_inh: np.ndarray
    refractory: np.ndarray
    ring: np.ndarray
    reached: np.ndarray
    weight: np.ndarray
    last_pre: np.ndarray
    pre_trace: np.ndarray
    post_time: np.ndarray
    post_trace: np.ndarray
    n_post: np.ndarray
    fired: np.ndarray
    n_fired: np.ndarray
    still: np.ndarray
    saturated: np.ndarray
    peak: np.ndarray
    lost: np.ndarray
    events: np.ndarray
    packets: np.ndarray


class Drive(NamedTuple):
    """Source spikes sorted by (step, unit), for ``n_steps`` steps."""

    step: np.ndarray
    unit: np.ndarray
    n_steps: int


class Output(NamedTuple):
    """Spikes (``keep`` tells whose) and states (``probe`` rows: variable, first cell, size, column), with counts in ``n`` (1,).

    States are those at the end of a step, or, where ``as_board`` (1,) is not 0, those that the board records: after arrivals, before
    the update.
    """

    step: np.ndarray
    unit: np.ndarray
    n: np.ndarray
    keep: np.ndarray
    probe: np.ndarray
    states: np.ndarray
    as_board: np.ndarray


@_kernel
def _take_in(isyn, arriving, shift, scale, peak):
    for i in range(isyn.size):
        word = arriving[i]
        peak[i] = max(peak[i], word)
        isyn[i] = np.int32(isyn[i] + ((((np.int64(word)) << shift) * scale) >> 32))
        arriving[i] = 0


@_kernel
def _update(v, isyn_exc, isyn_inh, refractory, spiked, v_rest, v_thresh, i_offset, resistance, keep, decay_exc, decay_inh):
    """Move the cells of a run over one tick; return whether anything changed."""
    changed = np.int64(0)
    for i in range(v.size):
        current = np.int64(np.int32(np.int64(isyn_exc[i]) - isyn_inh[i] + i_offset))
        aim = np.int64(np.int32(((current * resistance) >> 15) + v_rest))
        old = np.int64(v[i])
        moved = np.int64(np.int32(aim - ((keep * np.int64(np.int32(aim - old))) >> 15)))
        waits = np.int64(refractory[i])
        value = moved if waits <= 0 else old
        exc = np.int64(isyn_exc[i])
        inh = np.int64(isyn_inh[i])
        new_exc = (exc * decay_exc) >> 32
        new_inh = (inh * decay_inh) >> 32
        v[i] = np.int32(value)
        isyn_exc[i] = np.int32(new_exc)
        isyn_inh[i] = np.int32(new_inh)
        refractory[i] = np.int32(waits - 1 if waits > 0 else waits)
        spiked[i] = value >= v_thresh
        changed |= (value ^ old) | (new_exc ^ exc) | (new_inh ^ inh) | (waits if waits > 0 else 0) | (1 if value >= v_thresh else 0)
    return changed != 0


@_kernel
def _left(decay, at, size, ticks):
    return decay[at + ticks] if ticks < size else 0


@_kernel
def _remember_post(state, i, t, decay, at, size):
    """Add a post event of cell ``i``: its trace (S4.11, 16 bits, which wrap) and time."""
    n = state.n_post[i]
    events = state.post_time.shape[1]
    trace = np.int64(0)
    if n > 0:
        trace = (state.post_trace[i, n - 1] * _left(decay, at, size, t - state.post_time[i, n - 1])) >> 11
    if n == events:
        for k in range(events - 1):
            state.post_time[i, k] = state.post_time[i, k + 1]
            state.post_trace[i, k] = state.post_trace[i, k + 1]
        n -= 1
    state.post_time[i, n] = t
    state.post_trace[i, n] = np.int16(trace + 2048)
    state.n_post[i] = n + 1


@_kernel
def _learn(tables, state, r, n, t):
    """Apply to the synapses of row ``r`` what happened since its last packet, now that the next one is here."""
    rule = tables.row[r, RULE]
    a_plus, a_minus = tables.rule[rule, A_PLUS], tables.rule[rule, A_MINUS]
    w_min, w_max, shift = tables.rule[rule, W_MIN], tables.rule[rule, W_MAX], tables.rule[rule, SHIFT]
    plus_at, plus_size = tables.rule[rule, PLUS_AT], tables.rule[rule, PLUS_SIZE]
    minus_at, minus_size = tables.rule[rule, MINUS_AT], tables.rule[rule, MINUS_SIZE]
    last, pre = state.last_pre[r], state.pre_trace[r]
    for s in range(tables.row[r, ROW_FIRST], tables.row[r, ROW_LAST]):
        i = tables.target[s]
        if i >= n:
            i -= n
        delay = tables.delay[s]
        begin, end = max(last - delay, 0), max(t - delay, 0)
        w = np.int64(state.weight[s]) << shift
        newest = -1
        for k in range(state.n_post[i]):
            p = state.post_time[i, k]
            if p > end:
                break
            newest = k
            if p > begin:
                trace = (pre * _left(tables.decay, plus_at, plus_size, p + delay - last)) >> 11
                w = min(w_max, w + ((a_plus * trace) >> 11))
        if newest >= 0 and t - state.post_time[i, newest] - delay >= 0:
            gone = t - state.post_time[i, newest] - delay
            trace = (state.post_trace[i, newest] * _left(tables.decay, minus_at, minus_size, gone)) >> 11
            w = max(w_min, w - ((a_minus * trace) >> 11))
        state.weight[s] = w >> shift
    state.pre_trace[r] = np.int16(((pre * _left(tables.decay, plus_at, plus_size, t - last)) >> 11) + 2048)
    state.last_pre[r] = t


@_kernel
def _deliver(tables, state, r, t):
    n_slots = state.ring.shape[0]
    population = tables.row[r, TARGET_POPULATION]
    now = t % n_slots
    for s in range(tables.row[r, ROW_FIRST], tables.row[r, ROW_LAST]):
        slot = now + tables.delay[s]
        if slot >= n_slots:
            slot -= n_slots
        target = tables.target[s]
        total = state.ring[slot, target] + state.weight[s]
        if total > FULL:
            total = FULL
            state.saturated[target] += 1
        state.ring[slot, target] = total
        state.reached[slot, population] = 1


@kernel()
def advance(cells, tables, state, drive, out, n_sources, t_start):
    """Run ``drive.n_steps`` ticks from tick ``t_start`` on; return how many were run before the spike buffer was full."""
    n = state.v.size
    n_units = n_sources + n
    n_slots, n_past = state.ring.shape[0], state.fired.shape[0]
    n_lags = tables.lag.size
    spiked = np.zeros(n, np.uint8)
    seen = np.zeros(tables.capacity.size, np.int64)
    cursor = 0
    for s in range(drive.n_steps):
        if out.n[0] + n_units > out.step.size:
            return s
        t = t_start + s
        slot, past = t % n_slots, t % n_past
        count = 0
        while cursor < drive.step.size and drive.step[cursor] == s:
            state.fired[past, count] = drive.unit[cursor]
            count += 1
            cursor += 1
        if out.as_board[0] != 0:  # nothing is left out, and the update waits until the states are kept
            for r in range(cells.run.shape[0]):
                a, z = cells.run[r, FIRST], cells.run[r, LAST]
                c = cells.constant[r]
                _take_in(state.isyn_exc[a:z], state.ring[slot, a:z], c[SHIFT_EXC], c[SCALE_EXC], state.peak[a:z])
                _take_in(state.isyn_inh[a:z], state.ring[slot, n + a : n + z], c[SHIFT_INH], c[SCALE_INH], state.peak[n + a : n + z])
            _keep_states(out, s, state.v, state.isyn_exc, state.isyn_inh)
        for r in range(cells.run.shape[0]):
            reached = state.reached[slot, cells.run[r, POPULATION]] != 0
            if state.still[r] != 0 and not reached:
                continue
            a, z = cells.run[r, FIRST], cells.run[r, LAST]
            c = cells.constant[r]
            if reached:
                _take_in(state.isyn_exc[a:z], state.ring[slot, a:z], c[SHIFT_EXC], c[SCALE_EXC], state.peak[a:z])
                _take_in(state.isyn_inh[a:z], state.ring[slot, n + a : n + z], c[SHIFT_INH], c[SCALE_INH], state.peak[n + a : n + z])
            changed = _update(
                state.v[a:z], state.isyn_exc[a:z], state.isyn_inh[a:z], state.refractory[a:z], spiked[a:z],
                c[V_REST], c[V_THRESH], c[I_OFFSET], c[RESISTANCE], c[KEEP], c[DECAY_EXC], c[DECAY_INH],
            )  # fmt: skip
            state.still[r] = 0 if changed or reached else 1
            if changed:
                for i in range(a, z):
                    if spiked[i] != 0:
                        spiked[i] = 0
                        state.v[i] = c[V_RESET]
                        state.refractory[i] = c[REFRACTORY]
                        state.fired[past, count] = n_sources + i
                        count += 1
        for q in range(state.reached.shape[1]):
            state.reached[slot, q] = 0
        state.n_fired[past] = count
        if out.as_board[0] == 0 and out.probe.shape[0] > 0:
            _keep_states(out, s, state.v, state.isyn_exc, state.isyn_inh)
        for f in range(count):
            u = state.fired[past, f]
            if out.keep[u]:
                out.step[out.n[0]] = s
                out.unit[out.n[0]] = u
                out.n[0] += 1
            if u >= n_sources and cells.post_rule[u - n_sources] >= 0:
                rule = cells.post_rule[u - n_sources]
                _remember_post(state, u - n_sources, t, tables.decay, tables.rule[rule, MINUS_AT], tables.rule[rule, MINUS_SIZE])
        seen[:] = 0
        for j in range(n_lags):
            lag = tables.lag[j]
            if lag > t:
                break
            then = (t - lag) % n_past
            for f in range(state.n_fired[then]):
                u = state.fired[then, f]
                for k in range(tables.route_pointer[u, j], tables.route_pointer[u, j + 1]):
                    core = tables.route[k]
                    seen[core] += 1
                    state.packets[core] += 1
                    if seen[core] > tables.capacity[core]:
                        state.lost[core] += 1
                for r in range(tables.row_pointer[u, j], tables.row_pointer[u, j + 1]):
                    core = tables.row[r, CORE]
                    if seen[core] > tables.capacity[core]:
                        continue
                    state.events[core] += tables.row[r, ROW_LAST] - tables.row[r, ROW_FIRST]
                    if tables.row[r, RULE] >= 0:
                        _learn(tables, state, r, n, t)
                    _deliver(tables, state, r, t)
    return drive.n_steps


@_kernel
def _keep_states(out, s, v, isyn_exc, isyn_inh):
    for j in range(out.probe.shape[0]):
        variable, first, size, column = out.probe[j, 0], out.probe[j, 1], out.probe[j, 2], out.probe[j, 3]
        source = v if variable == 0 else (isyn_exc if variable == 1 else isyn_inh)
        for i in range(size):
            out.states[s, column + i] = source[first + i]
