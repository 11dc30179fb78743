"""A tick of a SpiNNaker core, in plain Python: the definition of the board's arithmetic (sPyNNaker 7.4.1, IF_curr_exp).

Integers of 32 bits, S1615 unless said otherwise; products are rounded down, and what does not fit wraps. In tick t:

1. What the ring buffers hold for t (16-bit sums of weights, shifted) is added to the currents: ``isyn += floor(in scale / 2^32)``.
2. A cell that is not refractory moves: ``a = floor(R (isyn_exc - isyn_inh + i_offset)) + v_rest``, ``v = a - floor(keep (a - v))``;
   one that is counts down. At ``v >= v_thresh`` it spikes, ``v = v_reset``, and is refractory. Currents decay by ``floor(isyn decay / 2^32)``.
3. Spikes become packets. Each core takes as many in a tick as its input buffer holds; the rest is lost.
4. A packet's plastic rows learn: post spikes p (arriving after the dendritic delay d) since the row's last packet potentiate, in order,
   ``w = min(w_max, w + floor(A_plus floor(x_pre LUT_plus[p + d - last])))``; then the newest one depresses, ``w = max(w_min, w -
   floor(A_minus floor(x_post(p) LUT_minus[t - p - d])))``. Traces are S4.11 in 16 bits.
5. Weights are added to the ring buffers; a sum above 65535 becomes 65535, and is counted.

Twin of ``neuromem.kernels.cpu.spinnaker``, whose types say what the arrays are.
"""

from __future__ import annotations


def wrap(x, bits):
    """Return an integer as ``bits`` bits with sign hold it."""
    half = 1 << (bits - 1)
    return ((int(x) + half) & ((1 << bits) - 1)) - half


def advance(cells, tables, state, drive, out, n_sources, t_start):
    """Run ``drive.n_steps`` ticks from tick ``t_start`` on, or until the spike buffer is full; return how many were run."""
    for s in range(drive.n_steps):
        if out.n[0] + n_sources + state.v.size > out.step.size:
            return s
        t = t_start + s
        _take_in(cells, state, t)
        if out.as_board[0]:
            _keep_states(out, s, state)
        fired = [int(u) for u, step in zip(drive.unit, drive.step, strict=True) if step == s]
        fired += [n_sources + i for i in _update(cells, state)]
        past = t % state.fired.shape[0]
        state.fired[past, : len(fired)] = fired
        state.n_fired[past] = len(fired)
        if not out.as_board[0]:
            _keep_states(out, s, state)
        for u in fired:
            if out.keep[u]:
                out.step[out.n[0]], out.unit[out.n[0]] = s, u
                out.n[0] += 1
            if u >= n_sources and cells.post_rule[u - n_sources] >= 0:
                _remember_post(tables, state, u - n_sources, t, tables.rule[cells.post_rule[u - n_sources]])
        _send(tables, state, t)
    return drive.n_steps


def _take_in(cells, state, t):
    n, slot = state.v.size, t % state.ring.shape[0]
    for (first, last, _), constant in zip(cells.run, cells.constant, strict=True):
        shift_exc, shift_inh, scale_exc, scale_inh = (int(constant[k]) for k in (11, 12, 7, 8))
        for i in range(first, last):
            for target, isyn, shift, scale in ((i, state.isyn_exc, shift_exc, scale_exc), (n + i, state.isyn_inh, shift_inh, scale_inh)):
                word = int(state.ring[slot, target])
                state.peak[target] = max(int(state.peak[target]), word)
                isyn[i] = wrap(int(isyn[i]) + (((word << shift) * scale) >> 32), 32)
                state.ring[slot, target] = 0
    state.reached[slot] = 0


def _update(cells, state):
    """Move all cells over one tick; return those that spike."""
    spiked = []
    for (first, last, _), constant in zip(cells.run, cells.constant, strict=True):
        v_rest, v_reset, v_thresh, i_offset, resistance, keep, refractory, _, _, decay_exc, decay_inh, _, _ = (int(c) for c in constant)
        for i in range(first, last):
            if state.refractory[i] <= 0:
                current = wrap(int(state.isyn_exc[i]) - int(state.isyn_inh[i]) + i_offset, 32)
                aim = wrap(((current * resistance) >> 15) + v_rest, 32)
                state.v[i] = wrap(aim - ((keep * wrap(aim - int(state.v[i]), 32)) >> 15), 32)
            else:
                state.refractory[i] -= 1
            if state.v[i] >= v_thresh:
                spiked.append(i)
                state.v[i] = v_reset
                state.refractory[i] = refractory
            state.isyn_exc[i] = wrap((int(state.isyn_exc[i]) * decay_exc) >> 32, 32)
            state.isyn_inh[i] = wrap((int(state.isyn_inh[i]) * decay_inh) >> 32, 32)
    return spiked


def _left(decay, at, size, ticks):
    return int(decay[at + ticks]) if ticks < size else 0


def _remember_post(tables, state, i, t, rule):
    n, trace = int(state.n_post[i]), 0
    if n:
        trace = (int(state.post_trace[i, n - 1]) * _left(tables.decay, rule[7], rule[8], t - int(state.post_time[i, n - 1]))) >> 11
    if n == state.post_time.shape[1]:
        state.post_time[i, :-1], state.post_trace[i, :-1] = state.post_time[i, 1:].copy(), state.post_trace[i, 1:].copy()
        n -= 1
    state.post_time[i, n], state.post_trace[i, n] = t, wrap(trace + 2048, 16)
    state.n_post[i] = n + 1


def _send(tables, state, t):
    seen = [0] * tables.capacity.size
    for j, lag in enumerate(tables.lag.tolist()):
        if lag > t:
            break
        then = (t - lag) % state.fired.shape[0]
        for u in state.fired[then, : state.n_fired[then]].tolist():
            for core in tables.route[tables.route_pointer[u, j] : tables.route_pointer[u, j + 1]].tolist():
                seen[core] += 1
                state.packets[core] += 1
                state.lost[core] += seen[core] > tables.capacity[core]
            for r in range(tables.row_pointer[u, j], tables.row_pointer[u, j + 1]):
                core, population, first, last, rule = tables.row[r].tolist()
                if seen[core] > tables.capacity[core]:
                    continue
                state.events[core] += last - first
                if rule >= 0:
                    _learn(tables, state, r, t)
                for s in range(first, last):
                    slot, target = (t + int(tables.delay[s])) % state.ring.shape[0], tables.target[s]
                    total = int(state.ring[slot, target]) + int(state.weight[s])
                    state.saturated[target] += total > 65535
                    state.ring[slot, target] = min(total, 65535)
                    state.reached[slot, population] = 1


def _learn(tables, state, r, t):
    _, _, first, last_synapse, which = tables.row[r].tolist()
    a_plus, a_minus, w_min, w_max, shift, plus_at, plus_size, minus_at, minus_size = tables.rule[which].tolist()
    last, pre = int(state.last_pre[r]), int(state.pre_trace[r])
    for s in range(first, last_synapse):
        i, delay = int(tables.target[s]) % state.v.size, int(tables.delay[s])
        w = int(state.weight[s]) << shift
        known = [(int(state.post_time[i, k]), int(state.post_trace[i, k])) for k in range(state.n_post[i])]
        known = [(p, trace) for p, trace in known if p <= max(t - delay, 0)]
        for p, _ in known:
            if p > max(last - delay, 0):
                trace = (pre * _left(tables.decay, plus_at, plus_size, p + delay - last)) >> 11
                w = min(w_max, w + ((a_plus * trace) >> 11))
        if known and t - known[-1][0] - delay >= 0:
            p, post = known[-1]
            trace = (post * _left(tables.decay, minus_at, minus_size, t - p - delay)) >> 11
            w = max(w_min, w - ((a_minus * trace) >> 11))
        state.weight[s] = w >> shift
    state.pre_trace[r] = wrap(((pre * _left(tables.decay, plus_at, plus_size, t - last)) >> 11) + 2048, 16)
    state.last_pre[r] = t


def _keep_states(out, s, state):
    for variable, first, size, column in out.probe.tolist():
        source = (state.v, state.isyn_exc, state.isyn_inh)[variable]
        out.states[s, column : column + size] = source[first : first + size]
