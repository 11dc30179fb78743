"""Compiled spiking networks: many steps of many replicas in one call.

The kernels know arrays only. Every array of the state has a leading replica axis B; tables have
a leading axis R that is 1 (shared by all replicas) or B. All arithmetic is float64 in the order
of the reference backend, without reassociation or fused multiply-add, so that results agree
with it bit for bit.

Synapses of a table are sorted by (pre, delay, order of listing). ``pointer[u, k]`` and
``pointer[u, k + 1]`` bound those of unit u with the k-th distinct delay. A target is the neuron
number, plus the number of neurons for the inhibitory receptor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

NEVER = -(1 << 40)

# Parts of ``advance``: inlined, because a call would pass every array of every tuple on the stack.
_kernel = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)


class Cells(NamedTuple):
    """Coefficients of one step, each of shape (R, n); see ``neuromem.ir.program.Coefficients``."""

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


class Static(NamedTuple):
    """All synapses without plasticity: ``pointer`` (n_units, n_delays + 1), ``weight`` (R, n)."""

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
    PRE_FIRST, N_PRE, POST_FIRST, N_POST, N_DELAYS, DELAY_AT, ROW_AT, COLUMN_AT, SYNAPSE_AT, PRE_AT, ARRIVAL_AT,
    PAST_AT, HISTORY, DEFERRED, MULTIPLICATIVE, PLUS_AT, PLUS_SIZE, MINUS_AT, MINUS_SIZE,
) = range(19)  # fmt: skip
N_INTS = 19
# Columns of Plastic.floats
A_PLUS, A_MINUS, W_MIN, W_MAX = range(4)


class State(NamedTuple):
    """Everything that changes, each with a leading axis B.

    ``arriving``: (B, n_slots, 2 n). ``weight`` and ``pending``: all plastic synapses.
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
    ``n_spikes`` (B,), ``step`` and ``unit`` (B, capacity). ``probe`` rows are (variable 0 v,
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
def _deliver(isyn, scale, arriving):  # type: ignore[no-untyped-def]
    for i in range(isyn.size):
        isyn[i] += scale[i] * arriving[i]
        arriving[i] = 0.0


@_kernel
def _move(moved, v, isyn_exc, isyn_inh, v_rest, keep, gain_exc, gain_inh, drift):  # type: ignore[no-untyped-def]
    for i in range(v.size):
        moved[i] = v_rest[i] + keep[i] * (v[i] - v_rest[i]) + gain_exc[i] * isyn_exc[i] - gain_inh[i] * isyn_inh[i] + drift[i]


@_kernel
def _decay(isyn, decay):  # type: ignore[no-untyped-def]
    for i in range(isyn.size):
        isyn[i] *= decay[i]


@_kernel
def _threshold(v, moved, until, v_thresh, spiked, t):  # type: ignore[no-untyped-def]
    for i in range(v.size):
        value = moved[i] if until[i] < t else v[i]
        v[i] = value
        spiked[i] = value >= v_thresh[i]


@_kernel
def _left(decay, at, size, steps):  # type: ignore[no-untyped-def]
    """Return what is left of a trace after ``steps`` steps."""
    return decay[at + min(steps, size - 1)]


@_kernel
def _potentiated(w, trace, f, multiplicative):  # type: ignore[no-untyped-def]
    a = f[A_PLUS] * (f[W_MAX] - w) if multiplicative else f[A_PLUS]
    return min(max(w + a * trace, f[W_MIN]), f[W_MAX])


@_kernel
def _depressed(w, trace, f, multiplicative):  # type: ignore[no-untyped-def]
    a = f[A_MINUS] * (w - f[W_MIN]) if multiplicative else f[A_MINUS]
    return min(max(w - a * trace, f[W_MIN]), f[W_MAX])


@_kernel
def _post_arrivals(p, g, f, b, state, t, on):  # type: ignore[no-untyped-def]
    """Potentiate the synapses at which a post spike arrives now, and count it in the post traces."""
    deferred = g[DEFERRED] == 1
    weight = state.pending[b] if deferred else state.weight[b]
    x_pre, t_pre = state.x_pre[b], state.t_pre[b]
    x_arrival, t_arrival = state.x_arrival[b], state.t_arrival[b]
    n_slots = state.fired.shape[1]
    multiplicative = g[MULTIPLICATIVE] == 1
    decay = p.decay
    for k in range(g[N_DELAYS]):
        sent = t - p.delays[g[DELAY_AT] + k]
        if sent < 0:
            continue
        slot = sent % n_slots
        for j in range(state.n_fired[b, slot]):
            q = state.fired[b, slot, j] - g[POST_FIRST]
            if q < 0 or q >= g[N_POST]:
                continue
            column = g[COLUMN_AT] + q * (g[N_DELAYS] + 1) + k
            if on or deferred:
                for c in range(p.column_pointer[column], p.column_pointer[column + 1]):
                    s = p.column_synapse[c]
                    i = g[PRE_AT] + p.pre[s]
                    trace = x_pre[i] * _left(decay, g[PLUS_AT], g[PLUS_SIZE], t - t_pre[i])
                    weight[s] = _potentiated(weight[s], trace, f, multiplicative)
            a = g[ARRIVAL_AT] + k * g[N_POST] + q
            x_arrival[a] = x_arrival[a] * _left(decay, g[MINUS_AT], g[MINUS_SIZE], t - t_arrival[a]) + 1.0
            t_arrival[a] = t


@_kernel
def _pre_spikes_by_event(p, g, f, b, u, state, t, on):  # type: ignore[no-untyped-def]
    """Depress the synapses of pre unit ``u``, which spikes now."""
    weight, pending = state.weight[b], state.pending[b]
    x_arrival, t_arrival = state.x_arrival[b], state.t_arrival[b]
    deferred = g[DEFERRED] == 1
    multiplicative = g[MULTIPLICATIVE] == 1
    decay = p.decay
    row = g[ROW_AT] + u * (g[N_DELAYS] + 1)
    for k in range(g[N_DELAYS]):
        first = g[ARRIVAL_AT] + k * g[N_POST]
        for s in range(p.row_pointer[row + k], p.row_pointer[row + k + 1]):
            if on:
                a = first + p.post[s]
                trace = x_arrival[a] * _left(decay, g[MINUS_AT], g[MINUS_SIZE], t - t_arrival[a])
                weight[s] = _depressed(pending[s] if deferred else weight[s], trace, f, multiplicative)
            if deferred:
                pending[s] = weight[s]


@_kernel
def _remember_post(p, g, b, state, t):  # type: ignore[no-untyped-def]
    """Shift the spikes of this step into the histories of their cells."""
    slot = t % state.fired.shape[1]
    past_step, past_trace = state.past_step[b], state.past_trace[b]
    h = g[HISTORY]
    for j in range(state.n_fired[b, slot]):
        q = state.fired[b, slot, j] - g[POST_FIRST]
        if q < 0 or q >= g[N_POST]:
            continue
        first = g[PAST_AT] + q * h
        last = first + h - 1
        trace = past_trace[last] * _left(p.decay, g[MINUS_AT], g[MINUS_SIZE], t - past_step[last]) + 1.0
        for i in range(first, last):
            past_step[i] = past_step[i + 1]
            past_trace[i] = past_trace[i + 1]
        past_step[last] = t
        past_trace[last] = trace


@_kernel
def _pre_spikes_from_history(p, g, f, b, u, state, t):  # type: ignore[no-untyped-def]
    """Apply the remembered post arrivals since the last spike of pre unit ``u``, which spikes now, then depress."""
    weight, past_step, past_trace = state.weight[b], state.past_step[b], state.past_trace[b]
    multiplicative = g[MULTIPLICATIVE] == 1
    h = g[HISTORY]
    i = g[PRE_AT] + u
    x_pre, t_pre = state.x_pre[b, i], state.t_pre[b, i]
    row = g[ROW_AT] + u * (g[N_DELAYS] + 1)
    for k in range(g[N_DELAYS]):
        delay = p.delays[g[DELAY_AT] + k]
        for s in range(p.row_pointer[row + k], p.row_pointer[row + k + 1]):
            w = weight[s]
            depression = -1.0
            first = g[PAST_AT] + p.post[s] * h
            for e in range(first, first + h):
                arrival = past_step[e] + delay
                if past_step[e] == NEVER or arrival > t:
                    continue
                if t_pre != NEVER and arrival > t_pre:
                    w = _potentiated(w, x_pre * _left(p.decay, g[PLUS_AT], g[PLUS_SIZE], arrival - t_pre), f, multiplicative)
                depression = past_trace[e] * _left(p.decay, g[MINUS_AT], g[MINUS_SIZE], t - arrival)
            weight[s] = w if depression < 0.0 else _depressed(w, depression, f, multiplicative)


@_kernel
def _learn(p, b, state, t, on):  # type: ignore[no-untyped-def]
    slot = t % state.fired.shape[1]
    for j in range(p.ints.shape[0]):
        g, f = p.ints[j], p.floats[j]
        if g[HISTORY] > 0:
            _remember_post(p, g, b, state, t)
        else:
            _post_arrivals(p, g, f, b, state, t, on)
        for n in range(state.n_fired[b, slot]):
            u = state.fired[b, slot, n] - g[PRE_FIRST]
            if u < 0 or u >= g[N_PRE]:
                continue
            if g[HISTORY] == 0:
                _pre_spikes_by_event(p, g, f, b, u, state, t, on)
            elif on:
                _pre_spikes_from_history(p, g, f, b, u, state, t)
            i = g[PRE_AT] + u
            state.x_pre[b, i] = state.x_pre[b, i] * _left(p.decay, g[PLUS_AT], g[PLUS_SIZE], t - state.t_pre[b, i]) + 1.0
            state.t_pre[b, i] = t


@_kernel
def _add(arriving, target, weight):  # type: ignore[no-untyped-def]
    for s in range(target.size):
        arriving[target[s]] += weight[s]


@_kernel
def _send(static, p, b, state, t):  # type: ignore[no-untyped-def]
    slot = t % state.fired.shape[1]
    n_slots = state.arriving.shape[1]
    weight = static.weight[b if static.weight.shape[0] > 1 else 0]
    for n in range(state.n_fired[b, slot]):
        u = state.fired[b, slot, n]
        for k in range(static.delays.size):
            first, last = static.pointer[u, k], static.pointer[u, k + 1]
            if first < last:
                _add(state.arriving[b, (t + static.delays[k]) % n_slots], static.target[first:last], weight[first:last])
    learned = state.weight[b]
    for j in range(p.ints.shape[0]):
        g = p.ints[j]
        for n in range(state.n_fired[b, slot]):
            u = state.fired[b, slot, n] - g[PRE_FIRST]
            if u < 0 or u >= g[N_PRE]:
                continue
            row = g[ROW_AT] + u * (g[N_DELAYS] + 1)
            for k in range(g[N_DELAYS]):
                first, last = p.row_pointer[row + k], p.row_pointer[row + k + 1]
                if first < last:
                    _add(state.arriving[b, (t + p.delays[g[DELAY_AT] + k]) % n_slots], p.target[first:last], learned[first:last])


@_kernel
def _keep_spikes(out, b, n_fired, fired, t):  # type: ignore[no-untyped-def]
    count = out.n_spikes[b]
    for n in range(n_fired):
        if out.keep[fired[n]]:
            out.step[b, count] = t
            out.unit[b, count] = fired[n]
            count += 1
    out.n_spikes[b] = count


@_kernel
def _keep_states(out, b, s, v, isyn_exc, isyn_inh):  # type: ignore[no-untyped-def]
    for j in range(out.probe.shape[0]):
        variable, first, size, column = out.probe[j]
        source = v if variable == 0 else (isyn_exc if variable == 1 else isyn_inh)
        for i in range(size):
            out.states[b, s, column + i] = source[first + i]


@njit(cache=True, nogil=True, error_model="numpy")
def advance(cells, static, plastic, state, drive, out, n_sources, t_start, b_first, b_last):  # type: ignore[no-untyped-def]
    """Run the replicas ``b_first <= b < b_last`` from where ``out.done`` says to the end of the call.

    A replica stops early, between two steps, when its spike buffer could overflow in the next
    step; ``out.done`` tells, and the caller empties the buffers and calls again.
    """
    n = state.v.shape[1]
    n_units = n_sources + n
    n_steps = drive.plastic.size
    n_slots, n_past = state.arriving.shape[1], state.fired.shape[1]
    words = np.zeros((n + 7) // 8, np.uint64)
    spiked = words.view(np.uint8)
    moved = np.empty(n)
    for b in range(b_first, b_last):
        row = b if cells.v_rest.shape[0] > 1 else 0
        v, isyn_exc, isyn_inh, until = state.v[b], state.isyn_exc[b], state.isyn_inh[b], state.refractory_until[b]
        v_rest, v_reset, v_thresh, refractory = cells.v_rest[row], cells.v_reset[row], cells.v_thresh[row], cells.refractory[row]
        keep, gain_exc, gain_inh, drift = cells.keep[row], cells.gain_exc[row], cells.gain_inh[row], cells.drift[row]
        scale_exc, scale_inh, decay_exc, decay_inh = cells.scale_exc[row], cells.scale_inh[row], cells.decay_exc[row], cells.decay_inh[row]
        fired_ring, n_fired, arriving_ring = state.fired[b], state.n_fired[b], state.arriving[b]
        cursor = out.cursor[b]
        s = out.done[b]
        while s < n_steps and out.n_spikes[b] + n_units <= out.step.shape[1]:
            t = t_start + s
            slot = t % n_past
            count = 0
            while cursor < drive.pointer[b + 1] and drive.step[cursor] == s:
                fired_ring[slot, count] = drive.unit[cursor]
                count += 1
                cursor += 1
            if n > 0:
                arriving = arriving_ring[t % n_slots]
                _deliver(isyn_exc, scale_exc, arriving[:n])
                _deliver(isyn_inh, scale_inh, arriving[n:])
                _move(moved, v, isyn_exc, isyn_inh, v_rest, keep, gain_exc, gain_inh, drift)
                _decay(isyn_exc, decay_exc)
                _decay(isyn_inh, decay_inh)
                _threshold(v, moved, until, v_thresh, spiked, t)
                for w in range(words.size):
                    if words[w] != 0:
                        for i in range(8 * w, min(8 * w + 8, n)):
                            if spiked[i]:
                                fired_ring[slot, count] = n_sources + i
                                count += 1
                                v[i] = v_reset[i]
                                until[i] = t + refractory[i]
            n_fired[slot] = count
            if plastic.ints.shape[0] > 0:
                _learn(plastic, b, state, t, drive.plastic[s] != 0)
            if count > 0:
                _send(static, plastic, b, state, t)
                _keep_spikes(out, b, count, fired_ring[slot], t)
            if out.probe.shape[0] > 0:
                _keep_states(out, b, s, v, isyn_exc, isyn_inh)
            s += 1
        out.cursor[b] = cursor
        out.done[b] = s
