"""Compiled spiking networks: many steps of many replicas in one call.

The kernels know arrays only. Every array of the state has a leading replica axis B; tables have
a leading axis R that is 1 (shared by all replicas) or B. All arithmetic is float64 in the order
of the reference backend, without reassociation or fused multiply-add, so that results agree
with it bit for bit.

Synapses of a table are sorted by (pre, delay, target), equal ones as they were listed. ``pointer[u, k]`` and
``pointer[u, k + 1]`` bound those of unit u with the k-th distinct delay. A target is the neuron
number, plus the number of neurons for the inhibitory receptor.

Replicas run in groups of ``lanes = 1 << shift``, side by side: the arrays of the neurons have one row for
each group, and lane l of neuron i is at ``i * lanes + l``. With 8 lanes, neurons with equal
coefficients fill whole vectors however small the populations are.

All of it is one file, because numba's cache sees a change only in the file of the function that
is called.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.cpu.prefetch import prefetch

NEVER = -(1 << 40)

# In tables of at least BIG_TABLE synapses (about what a 2 MiB cache holds), rows of at least
# LONG_ROW are sent with the next row fetched ahead: 1.8x faster on rows of 1000, 1.5x on rows of
# 100; in smaller tables or rows it costs more than it saves.
BIG_TABLE = 1 << 17
LONG_ROW = 48

# Parts of ``advance``: inlined, because a call would pass every array of every tuple on the stack.
_kernel = kernel(forceinline=True)


class Cells(NamedTuple):
    """Coefficients of one step, each of shape (R, n); see ``neuromem.ir.program.Coefficients``.

    ``runs`` (n_runs, 2): neurons ``first <= i < last`` with equal coefficients, which are then
    read once for all; empty where each neuron's own are read (only with one lane).
    """

    v_rest: np.ndarray
    v_reset: np.ndarray
    v_thresh: np.ndarray
    keep: np.ndarray
    gain_exc: np.ndarray
    gain_inh: np.ndarray
    drift: np.ndarray
    scale_exc: np.ndarray
    scale_inh: np.ndarray
    decay_exc: np.ndarray
    decay_inh: np.ndarray
    refractory: np.ndarray
    runs: np.ndarray


class Static(NamedTuple):
    """All synapses without plasticity: ``pointer`` (n_units, n_delays + 1), ``weight`` (R, n), or (R, 1) where all are equal."""

    pointer: np.ndarray
    delays: np.ndarray
    target: np.ndarray
    weight: np.ndarray


class Plastic(NamedTuple):
    """Plastic projections, concatenated; ``ints`` and ``floats`` have a row for each projection.

    ``row_pointer`` finds the synapses of a pre unit, ``column_pointer`` the entries of
    ``column_synapse`` for a post unit; ``pre`` and ``post`` are unit numbers within the
    projection. ``decay`` holds the trace decay tables.
    """

    ints: np.ndarray
    floats: np.ndarray
    delays: np.ndarray
    row_pointer: np.ndarray
    column_pointer: np.ndarray
    column_synapse: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    target: np.ndarray
    decay: np.ndarray


# Columns of Plastic.ints
(
    PRE_FIRST, N_PRE, POST_FIRST, N_POST, N_DELAYS, DELAY_AT, ROW_AT, COLUMN_AT, PRE_AT, ARRIVAL_AT,
    PAST_AT, HISTORY, DEFERRED, MULTIPLICATIVE, PLUS_AT, PLUS_SIZE, MINUS_AT, MINUS_SIZE,
) = range(18)  # fmt: skip
N_INTS = 18
# Columns of Plastic.floats
A_PLUS, A_MINUS, W_MIN, W_MAX = range(4)


class State(NamedTuple):
    """Everything that changes.

    ``v``, ``isyn_*``, ``refractory_until``: (groups, n lanes). ``arriving``: (groups, n_slots,
    2 n lanes). The others have a leading axis B, filled up to whole groups. ``weight`` and ``pending``: all plastic synapses.
    ``x_pre``/``t_pre``: all pre units; ``x_arrival``/``t_arrival``: (delay, post unit) of each
    projection; ``past_*``: the last spikes of each post unit, newest last. ``fired``: (B,
    n_slots of history, n_units), the units that spiked, ascending, and ``n_fired`` how many.
    """

    v: np.ndarray
    isyn_exc: np.ndarray
    isyn_inh: np.ndarray
    refractory_until: np.ndarray
    arriving: np.ndarray
    weight: np.ndarray
    pending: np.ndarray
    x_pre: np.ndarray
    t_pre: np.ndarray
    x_arrival: np.ndarray
    t_arrival: np.ndarray
    past_step: np.ndarray
    past_trace: np.ndarray
    fired: np.ndarray
    n_fired: np.ndarray


class Drive(NamedTuple):
    """Source spikes, sorted by (replica, step, unit), ``pointer`` (B + 1,); ``plastic`` for each step."""

    pointer: np.ndarray
    step: np.ndarray
    unit: np.ndarray
    plastic: np.ndarray


class Output(NamedTuple):
    """Recorded spikes and states of one call.

    ``done`` (B,): steps done of this call's ``n_steps``; ``cursor`` (B,): next source spike;
    ``n_spikes`` (B,), ``step`` (of this call) and ``unit`` (B, capacity). ``probe`` rows are (variable 0 v,
    1 isyn_exc, 2 isyn_inh; first neuron; size; column in ``states``); ``states`` is
    (B, n_steps, width). ``keep`` tells for each unit whether its spikes are recorded.
    """

    done: np.ndarray
    cursor: np.ndarray
    n_spikes: np.ndarray
    step: np.ndarray
    unit: np.ndarray
    probe: np.ndarray
    states: np.ndarray
    keep: np.ndarray


# One loop for each array that is written: LLVM vectorises loops over few arrays, where it need
# prove little about overlaps (4x faster on 71 neurons than one loop over all).
@_kernel
def _deliver(isyn, scale, arriving):
    for i in range(isyn.size):
        isyn[i] += scale[i] * arriving[i]
        arriving[i] = 0.0


@_kernel
def _move(moved, v, isyn_exc, isyn_inh, v_rest, keep, gain_exc, gain_inh, drift):
    for i in range(v.size):
        moved[i] = v_rest[i] + keep[i] * (v[i] - v_rest[i]) + gain_exc[i] * isyn_exc[i] - gain_inh[i] * isyn_inh[i] + drift[i]


@_kernel
def _decay(isyn, decay):
    for i in range(isyn.size):
        isyn[i] *= decay[i]


@_kernel
def _threshold(v, moved, until, v_thresh, spiked, t):
    for i in range(v.size):
        value = moved[i] if until[i] < t else v[i]
        v[i] = value
        spiked[i] = value >= v_thresh[i]


@_kernel
def _update_run(
    v,
    isyn_exc,
    isyn_inh,
    until,
    arriving_exc,
    arriving_inh,
    spiked,
    t,
    v_rest,
    v_thresh,
    keep,
    gain_exc,
    gain_inh,
    drift,
    scale_exc,
    scale_inh,
    decay_exc,
    decay_inh,
):
    for i in range(v.size):
        exc = isyn_exc[i] + scale_exc * arriving_exc[i]
        inh = isyn_inh[i] + scale_inh * arriving_inh[i]
        moved = v_rest + keep * (v[i] - v_rest) + gain_exc * exc - gain_inh * inh + drift
        value = moved if until[i] < t else v[i]
        v[i] = value
        isyn_exc[i] = exc * decay_exc
        isyn_inh[i] = inh * decay_inh
        arriving_exc[i] = 0.0
        arriving_inh[i] = 0.0
        spiked[i] = value >= v_thresh


@_kernel
def _wrapped(slot, n_slots):
    """Return ``slot`` modulo ``n_slots``, where it is below twice that; a division would cost more than a synapse."""
    return slot - n_slots if slot >= n_slots else slot


@_kernel
def _left(decay, at, size, steps):
    """Return what is left of a trace after ``steps`` steps."""
    return decay[at + min(steps, size - 1)]


@_kernel
def _potentiated(w, trace, a_plus, w_min, w_max, multiplicative):
    a = a_plus * (w_max - w) if multiplicative else a_plus
    return min(max(w + a * trace, w_min), w_max)


@_kernel
def _depressed(w, trace, a_minus, w_min, w_max, multiplicative):
    a = a_minus * (w - w_min) if multiplicative else a_minus
    return min(max(w - a * trace, w_min), w_max)


# The parts below index whole arrays with [b, i]: a view of a row would count references at every call.
@_kernel
def _post_arrivals(p, j, b, state, t, on):
    """Potentiate the synapses at which a post spike arrives now, and count it in the post traces."""
    n_slots = state.fired.shape[1]
    now = t % n_slots
    n_delays, n_post, deferred = p.ints[j, N_DELAYS], p.ints[j, N_POST], p.ints[j, DEFERRED]
    plus_at, plus_size, pre_at, post_first = p.ints[j, PLUS_AT], p.ints[j, PLUS_SIZE], p.ints[j, PRE_AT], p.ints[j, POST_FIRST]
    a_plus, w_min, w_max, multiplicative = p.floats[j, A_PLUS], p.floats[j, W_MIN], p.floats[j, W_MAX], p.ints[j, MULTIPLICATIVE]
    weight = state.pending if deferred else state.weight
    for k in range(n_delays):
        delay = p.delays[p.ints[j, DELAY_AT] + k]
        if delay > t:
            continue
        slot = _wrapped(now + n_slots - delay, n_slots)
        for n in range(state.n_fired[b, slot]):
            q = state.fired[b, slot, n] - post_first
            if q < 0 or q >= n_post:
                continue
            column = p.ints[j, COLUMN_AT] + q * (n_delays + 1) + k
            if on or deferred:
                for c in range(p.column_pointer[column], p.column_pointer[column + 1]):
                    s = p.column_synapse[c]
                    i = pre_at + p.pre[s]
                    trace = state.x_pre[b, i] * _left(p.decay, plus_at, plus_size, t - state.t_pre[b, i])
                    weight[b, s] = _potentiated(weight[b, s], trace, a_plus, w_min, w_max, multiplicative)
            a = p.ints[j, ARRIVAL_AT] + k * n_post + q
            left = _left(p.decay, p.ints[j, MINUS_AT], p.ints[j, MINUS_SIZE], t - state.t_arrival[b, a])
            state.x_arrival[b, a] = state.x_arrival[b, a] * left + 1.0
            state.t_arrival[b, a] = t


@_kernel
def _pre_spikes_by_event(p, j, b, u, state, t, on):
    """Depress the synapses of pre unit ``u``, which spikes now."""
    n_delays, deferred = p.ints[j, N_DELAYS], p.ints[j, DEFERRED]
    minus_at, minus_size = p.ints[j, MINUS_AT], p.ints[j, MINUS_SIZE]
    a_minus, w_min, w_max, multiplicative = p.floats[j, A_MINUS], p.floats[j, W_MIN], p.floats[j, W_MAX], p.ints[j, MULTIPLICATIVE]
    row = p.ints[j, ROW_AT] + u * (n_delays + 1)
    for k in range(n_delays):
        first = p.ints[j, ARRIVAL_AT] + k * p.ints[j, N_POST]
        for s in range(p.row_pointer[row + k], p.row_pointer[row + k + 1]):
            if on:
                a = first + p.post[s]
                trace = state.x_arrival[b, a] * _left(p.decay, minus_at, minus_size, t - state.t_arrival[b, a])
                w = state.pending[b, s] if deferred else state.weight[b, s]
                state.weight[b, s] = _depressed(w, trace, a_minus, w_min, w_max, multiplicative)
            if deferred:
                state.pending[b, s] = state.weight[b, s]


@_kernel
def _remember_post(p, j, b, state, t):
    """Shift the spikes of this step into the histories of their cells."""
    slot = t % state.fired.shape[1]
    h = p.ints[j, HISTORY]
    for n in range(state.n_fired[b, slot]):
        q = state.fired[b, slot, n] - p.ints[j, POST_FIRST]
        if q < 0 or q >= p.ints[j, N_POST]:
            continue
        first = p.ints[j, PAST_AT] + q * h
        last = first + h - 1
        left = _left(p.decay, p.ints[j, MINUS_AT], p.ints[j, MINUS_SIZE], t - state.past_step[b, last])
        trace = state.past_trace[b, last] * left + 1.0
        for i in range(first, last):
            state.past_step[b, i] = state.past_step[b, i + 1]
            state.past_trace[b, i] = state.past_trace[b, i + 1]
        state.past_step[b, last] = t
        state.past_trace[b, last] = trace


@_kernel
def _pre_spikes_from_history(p, j, b, u, state, t):
    """Apply the remembered post arrivals since the last spike of pre unit ``u``, which spikes now, then depress."""
    h, n_delays = p.ints[j, HISTORY], p.ints[j, N_DELAYS]
    a_plus, a_minus, w_min, w_max = p.floats[j, A_PLUS], p.floats[j, A_MINUS], p.floats[j, W_MIN], p.floats[j, W_MAX]
    multiplicative = p.ints[j, MULTIPLICATIVE]
    i = p.ints[j, PRE_AT] + u
    x_pre, t_pre = state.x_pre[b, i], state.t_pre[b, i]
    row = p.ints[j, ROW_AT] + u * (n_delays + 1)
    for k in range(n_delays):
        delay = p.delays[p.ints[j, DELAY_AT] + k]
        for s in range(p.row_pointer[row + k], p.row_pointer[row + k + 1]):
            w = state.weight[b, s]
            depression = -1.0
            first = p.ints[j, PAST_AT] + p.post[s] * h
            for e in range(first, first + h):
                past = state.past_step[b, e]
                arrival = past + delay
                if past == NEVER or arrival > t:
                    continue
                if t_pre != NEVER and arrival > t_pre:
                    trace = x_pre * _left(p.decay, p.ints[j, PLUS_AT], p.ints[j, PLUS_SIZE], arrival - t_pre)
                    w = _potentiated(w, trace, a_plus, w_min, w_max, multiplicative)
                depression = state.past_trace[b, e] * _left(p.decay, p.ints[j, MINUS_AT], p.ints[j, MINUS_SIZE], t - arrival)
            state.weight[b, s] = w if depression < 0.0 else _depressed(w, depression, a_minus, w_min, w_max, multiplicative)


@_kernel
def _learn(p, b, state, t, on):
    slot = t % state.fired.shape[1]
    for j in range(p.ints.shape[0]):
        if p.ints[j, HISTORY] > 0:
            _remember_post(p, j, b, state, t)
        else:
            _post_arrivals(p, j, b, state, t, on)
        pre_first, n_pre = p.ints[j, PRE_FIRST], p.ints[j, N_PRE]
        for n in range(state.n_fired[b, slot]):
            u = state.fired[b, slot, n] - pre_first
            if u < 0 or u >= n_pre:
                continue
            if p.ints[j, HISTORY] == 0:
                _pre_spikes_by_event(p, j, b, u, state, t, on)
            elif on:
                _pre_spikes_from_history(p, j, b, u, state, t)
            i = p.ints[j, PRE_AT] + u
            left = _left(p.decay, p.ints[j, PLUS_AT], p.ints[j, PLUS_SIZE], t - state.t_pre[b, i])
            state.x_pre[b, i] = state.x_pre[b, i] * left + 1.0
            state.t_pre[b, i] = t


@_kernel
def _send_long_row(static, row, arriving, now, u, u_next, places, lane):
    """Send a row with many synapses, fetching the next one meanwhile: rows lie anywhere in memory, and are read once."""
    ahead = static.pointer[u_next, 0] - static.pointer[u, 0]
    shared = static.weight.shape[1] == 1
    for k in range(static.delays.size):
        first, last = static.pointer[u, k], static.pointer[u, k + 1]
        for s in range(first + ahead, last + ahead, 16):
            prefetch(static.target, s)
        slot = arriving[_wrapped(now + static.delays[k], arriving.shape[0])]
        target = static.target[first:last]
        if shared:
            w = static.weight[row, 0]
            for s in range(target.size):
                slot[(target[s] << places) + lane] += w
        else:
            for s in range(first + ahead, last + ahead, 8):
                prefetch(static.weight[row], s)
            weight = static.weight[row, first:last]
            for s in range(target.size):
                slot[(target[s] << places) + lane] += weight[s]


@_kernel
def _send(static, p, b, g, state, t, shift):
    slot = t % state.fired.shape[1]
    n_slots = state.arriving.shape[1]
    now = t % n_slots
    places, lane = np.uint64(shift), np.uint64(b - (g << shift))  # unsigned: an index that cannot be negative needs no check
    row = b if static.weight.shape[0] > 1 else 0
    stride = 0 if static.weight.shape[1] == 1 else 1
    big = static.target.size >= BIG_TABLE
    n_delays = static.delays.size
    n_fired = state.n_fired[b, slot]
    for n in range(n_fired):
        u = state.fired[b, slot, n]
        if big and static.pointer[u, n_delays] - static.pointer[u, 0] >= LONG_ROW:
            u_next = state.fired[b, slot, min(n + 1, n_fired - 1)]
            _send_long_row(static, row, state.arriving[g], now, u, u_next, places, lane)
            continue
        for k in range(n_delays):
            first, last = static.pointer[u, k], static.pointer[u, k + 1]
            if first < last:
                then = _wrapped(now + static.delays[k], n_slots)
                for s in range(first, last):
                    state.arriving[g, then, (static.target[s] << places) + lane] += static.weight[row, s * stride]
    for j in range(p.ints.shape[0]):
        n_delays, pre_first, n_pre = p.ints[j, N_DELAYS], p.ints[j, PRE_FIRST], p.ints[j, N_PRE]
        for n in range(state.n_fired[b, slot]):
            u = state.fired[b, slot, n] - pre_first
            if u < 0 or u >= n_pre:
                continue
            bounds = p.ints[j, ROW_AT] + u * (n_delays + 1)
            for k in range(n_delays):
                first, last = p.row_pointer[bounds + k], p.row_pointer[bounds + k + 1]
                if first < last:
                    then = _wrapped(now + p.delays[p.ints[j, DELAY_AT] + k], n_slots)
                    for s in range(first, last):
                        state.arriving[g, then, (p.target[s] << places) + lane] += state.weight[b, s]


@_kernel
def _keep_spikes(out, b, n_fired, fired, s):
    count = out.n_spikes[b]
    for n in range(n_fired):
        if out.keep[fired[n]]:
            out.step[b, count] = s
            out.unit[b, count] = fired[n]
            count += 1
    out.n_spikes[b] = count


@_kernel
def _keep_states(out, b, s, v, isyn_exc, isyn_inh, lanes, lane):
    for j in range(out.probe.shape[0]):
        variable, first, size, column = out.probe[j]
        source = v if variable == 0 else (isyn_exc if variable == 1 else isyn_inh)
        for i in range(size):
            out.states[b, s, column + i] = source[(first + i) * lanes + lane]


@_kernel
def _room_left(out, first, last, n_units):
    most = 0
    for b in range(first, last):
        most = max(most, out.n_spikes[b])
    return most + n_units <= out.step.shape[1]


@kernel()
def advance(cells, static, plastic, state, drive, out, n_sources, t_start, shift, g_first, g_last):
    """Run the groups ``g_first <= g < g_last`` from where ``out.done`` says to the end of the call.

    A group stops early, between two steps, when a spike buffer could overflow in the next step;
    ``out.done`` tells, and the caller empties the buffers and calls again.
    """
    lanes = 1 << shift
    width = state.v.shape[1]
    n = width >> shift
    n_units = n_sources + n
    n_steps = drive.plastic.size
    n_slots, n_past = state.arriving.shape[1], state.fired.shape[1]
    words = np.zeros((width + 7) // 8, np.uint64)
    spiked = words.view(np.uint8)
    moved = np.empty(width)
    for g in range(g_first, g_last):
        row = g if cells.v_rest.shape[0] > 1 else 0
        v, isyn_exc, isyn_inh, until, arriving_ring = (
            state.v[g],
            state.isyn_exc[g],
            state.isyn_inh[g],
            state.refractory_until[g],
            state.arriving[g],
        )
        v_rest, v_reset, v_thresh, refractory = cells.v_rest[row], cells.v_reset[row], cells.v_thresh[row], cells.refractory[row]
        keep, gain_exc, gain_inh, drift = cells.keep[row], cells.gain_exc[row], cells.gain_inh[row], cells.drift[row]
        scale_exc, scale_inh, decay_exc, decay_inh = cells.scale_exc[row], cells.scale_inh[row], cells.decay_exc[row], cells.decay_inh[row]
        b_first, b_last = g * lanes, (g + 1) * lanes
        s = out.done[b_first]
        quiet = 0  # steps since a spike in the group, as far as this call knows
        while s < n_steps and _room_left(out, b_first, b_last, n_units):
            t = t_start + s
            slot = t % n_past
            for b in range(b_first, b_last):
                count = 0
                cursor = out.cursor[b]
                while cursor < drive.pointer[b + 1] and drive.step[cursor] == s:
                    state.fired[b, slot, count] = drive.unit[cursor]
                    count += 1
                    cursor += 1
                out.cursor[b] = cursor
                state.n_fired[b, slot] = count
            if n > 0:
                arriving = arriving_ring[t % n_slots]
                arriving_exc, arriving_inh = arriving[:width], arriving[width:]
                for r in range(cells.runs.shape[0]):
                    i = cells.runs[r, 0]
                    a, z = i * lanes, cells.runs[r, 1] * lanes
                    _update_run(
                        v[a:z], isyn_exc[a:z], isyn_inh[a:z], until[a:z], arriving_exc[a:z], arriving_inh[a:z], spiked[a:z], t,
                        v_rest[i], v_thresh[i], keep[i], gain_exc[i], gain_inh[i], drift[i],
                        scale_exc[i], scale_inh[i], decay_exc[i], decay_inh[i],
                    )  # fmt: skip
                if cells.runs.shape[0] == 0:
                    _deliver(isyn_exc, scale_exc, arriving_exc)
                    _deliver(isyn_inh, scale_inh, arriving_inh)
                    _move(moved, v, isyn_exc, isyn_inh, v_rest, keep, gain_exc, gain_inh, drift)
                    _decay(isyn_exc, decay_exc)
                    _decay(isyn_inh, decay_inh)
                    _threshold(v, moved, until, v_thresh, spiked, t)
                for w in range(words.size):
                    if words[w] != 0:
                        for place in range(8 * w, min(8 * w + 8, width)):
                            if spiked[place]:
                                i, b = place >> shift, b_first + (place & (lanes - 1))
                                state.fired[b, slot, state.n_fired[b, slot]] = n_sources + i
                                state.n_fired[b, slot] += 1
                                v[place] = v_reset[i]
                                until[place] = t + refractory[i]
            busy = 0
            for b in range(b_first, b_last):
                busy += state.n_fired[b, slot]
            quiet = 0 if busy > 0 else quiet + 1
            if quiet >= n_past and out.probe.shape[0] == 0:  # no spike now, and none on its way to a plastic synapse
                s += 1
                continue
            for b in range(b_first, b_last):
                recent = 0  # spikes of the steps whose arrivals learning may see
                for k in range(n_past):
                    recent += state.n_fired[b, k]
                if recent > 0 and plastic.ints.shape[0] > 0:
                    _learn(plastic, b, state, t, drive.plastic[s] != 0)
                count = state.n_fired[b, slot]
                if count > 0:
                    _send(static, plastic, b, g, state, t, shift)
                    _keep_spikes(out, b, count, state.fired[b, slot], s)
                if out.probe.shape[0] > 0:
                    _keep_states(out, b, s, v, isyn_exc, isyn_inh, lanes, b - b_first)
            s += 1
        out.done[b_first:b_last] = s
