// Spiking networks, many steps of many replicas; see spiking.py, and kernels/cpu/spiking.py for what the arrays hold (with one lane).

#define NEVER (-(1ll << 40))

// Columns of the plastic projections' integers and numbers, as in kernels/cpu/spiking.py.
enum {
    PRE_FIRST, N_PRE, POST_FIRST, N_POST, N_DELAYS, DELAY_AT, ROW_AT, COLUMN_AT, PRE_AT, ARRIVAL_AT,
    PAST_AT, HISTORY, DEFERRED, MULTIPLICATIVE, PLUS_AT, PLUS_SIZE, MINUS_AT, MINUS_SIZE, N_INTS
};
enum { A_PLUS, A_MINUS, W_MIN, W_MAX, N_FLOATS };

// Groups of arguments: the fields of a tuple in their order, then sizes. A kernel takes CELLS and makes Cells of them by CELLS_TAKEN.
#define CELLS                                                                                                                        \
    const f64 *v_rest, const f64 *v_reset, const f64 *v_thresh, const f64 *keep, const f64 *gain_exc, const f64 *gain_inh,           \
        const f64 *drift, const f64 *scale_exc, const f64 *scale_inh, const f64 *decay_exc, const f64 *decay_inh,                    \
        const i64 *refractory, const i64 *runs, i64 cell_rows, i64 n_runs
#define CELLS_TAKEN                                                                                                                  \
    Cells { v_rest, v_reset, v_thresh, keep, gain_exc, gain_inh, drift, scale_exc, scale_inh, decay_exc, decay_inh, refractory, runs, cell_rows, n_runs }
struct Cells {
    const f64 *v_rest, *v_reset, *v_thresh, *keep, *gain_exc, *gain_inh, *drift, *scale_exc, *scale_inh, *decay_exc, *decay_inh;
    const i64 *refractory, *runs;
    i64 rows, n_runs;
};

#define MEMBRANES f64 *v, f64 *isyn_exc, f64 *isyn_inh, i64 *refractory_until
#define MEMBRANES_TAKEN \
    Membranes { v, isyn_exc, isyn_inh, refractory_until }
struct Membranes {
    f64 *v, *isyn_exc, *isyn_inh;
    i64* until;
};

#define STATIC                                                                                                                       \
    const i64 *static_pointer, const i64 *static_delays, const u32 *static_target, const f64 *static_weight, i64 static_stride,      \
        i64 static_n_delays, i64 static_rows, i64 static_columns
#define STATIC_TAKEN \
    Static { static_pointer, static_delays, static_target, static_weight, static_stride, static_n_delays, static_rows, static_columns }
struct Static {
    const i64 *pointer, *delays;
    const u32* target;
    const f64* weight;
    i64 stride, n_delays, rows, columns;
};

#define PLASTIC                                                                                                                      \
    const i64 *ints, const f64 *floats, const i64 *delays, const i64 *row_pointer, const i64 *column_pointer,                        \
        const i32 *column_synapse, const i32 *pre, const i32 *post, const u32 *target, const f64 *decay, i64 n_projections
#define PLASTIC_TAKEN \
    Plastic { ints, floats, delays, row_pointer, column_pointer, column_synapse, pre, post, target, decay, n_projections }
struct Plastic {
    const i64* ints;
    const f64* floats;
    const i64 *delays, *row_pointer, *column_pointer;
    const i32 *column_synapse, *pre, *post;
    const u32* target;
    const f64* decay;
    i64 n;
};

#define TRACES                                                                                                                       \
    f64 *weight, f64 *pending, f64 *x_pre, i64 *t_pre, f64 *x_arrival, i64 *t_arrival, i64 *past_step, f64 *past_trace, i64 n_weight, \
        i64 n_pending, i64 n_pre, i64 n_arrival, i64 n_past_spikes
#define TRACES_TAKEN(b)                                                                                                              \
    Traces {                                                                                                                         \
        weight + (b) * n_weight, pending + (b) * n_pending, x_pre + (b) * n_pre, t_pre + (b) * n_pre, x_arrival + (b) * n_arrival,   \
            t_arrival + (b) * n_arrival, past_step + (b) * n_past_spikes, past_trace + (b) * n_past_spikes                           \
    }
struct Traces {  // of one replica
    f64 *weight, *pending, *x_pre;
    i64* t_pre;
    f64* x_arrival;
    i64 *t_arrival, *past_step;
    f64* past_trace;
};

#define FIRED i32 *fired, i64 *n_fired, i64 n_past, i64 n_units
#define FIRED_TAKEN(b) \
    Fired { fired + (b) * n_past * n_units, n_fired + (b) * n_past, n_past, n_units }
struct Fired {  // of one replica
    i32* units;
    i64 *counts, n_slots, n_units;
};

#define DRIVE const i64 *drive_pointer, const i64 *drive_step, const i64 *drive_unit, const u8 *drive_plastic, i64 n_steps
#define DRIVE_TAKEN \
    Drive { drive_pointer, drive_step, drive_unit, drive_plastic, n_steps }
struct Drive {
    const i64 *pointer, *step, *unit;
    const u8* plastic;
    i64 n_steps;
};

#define OUTPUT                                                                                                                       \
    i64 *done, i64 *cursor, i64 *n_spikes, i32 *out_step, i32 *out_unit, const i64 *probe, f64 *states, const u8 *kept,              \
        i64 capacity, i64 n_probes, i64 width
#define OUTPUT_TAKEN \
    Output { done, cursor, n_spikes, out_step, out_unit, probe, states, kept, capacity, n_probes, width }
struct Output {
    i64 *done, *cursor, *n_spikes;
    i32 *step, *unit;
    const i64* probe;
    f64* states;
    const u8* keep;
    i64 capacity, n_probes, width;
};

// What is on its way to the neurons of one replica: (n_slots, 2 n), and how it adds up.
struct InOrder {  // numbers, which one thread adds in the order of the reference
    static constexpr bool IN_ORDER = true;
    f64* at;
};
struct Counted {  // whole numbers of ``quantum``, whose sum is the same in every order
    static constexpr bool IN_ORDER = false;
    u64* at;
    f64 quantum, per_quantum;
};
__device__ inline f64 value(const InOrder&, f64 sum) { return sum; }
__device__ inline f64 value(const Counted& c, u64 sum) { return (f64)(i64)sum * c.quantum; }

// The sum over the threads of the block before this one, and over all; every thread of the block calls it.
__device__ inline i64 sum_before(i64 number, i64& total) {
    __shared__ i64 of_warp[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = blockDim.x >> 5;
    i64 sum = number;
    for (int step = 1; step < 32; step <<= 1) {
        const i64 other = __shfl_up_sync(ALL_LANES, sum, step);
        if (lane >= step) sum += other;
    }
    __syncthreads();  // what an earlier call left may still be read
    if (lane == 31) of_warp[warp] = sum;
    __syncthreads();
    i64 before = 0;
    total = 0;
    for (int w = 0; w < n_warps; ++w) {
        if (w < warp) before += of_warp[w];
        total += of_warp[w];
    }
    return before + sum - number;
}

// Where the coefficients of neuron i stand: with those of the first of its run of equal ones.
__device__ inline i64 coefficients_of(const Cells& c, i64 i) {
    if (!c.n_runs) return i;
    i64 low = 0, high = c.n_runs;
    while (high - low > 1) {
        const i64 middle = (low + high) >> 1;
        if (c.runs[2 * middle] <= i) low = middle;
        else high = middle;
    }
    return c.runs[2 * low];
}

__device__ inline void record_states(const Output& o, const Membranes& m, i64 b, i64 i, i64 at, i64 n_steps, i64 s) {
    for (i64 j = 0; j < o.n_probes; ++j) {
        const i64 variable = o.probe[4 * j], first = o.probe[4 * j + 1], size = o.probe[4 * j + 2], column = o.probe[4 * j + 3];
        if (i < first || i >= first + size) continue;
        const f64* source = variable == 0 ? m.v : variable == 1 ? m.isyn_exc : m.isyn_inh;
        o.states[(b * n_steps + s) * o.width + column + i - first] = source[at];
    }
}

// Step t of neuron i of replica b, of n; returns whether it spikes. Everything that does not depend on another load is read first.
template <class Sums>
__device__ inline bool neuron_spikes(const Cells& c, const Membranes& m, const Sums& sums, i64 slot, i64 b, i64 n, i64 i, i64 t) {
    const i64 at = b * n + i, exc_at = slot * 2 * n + i, inh_at = exc_at + n;
    const auto sum_exc = sums.at[exc_at], sum_inh = sums.at[inh_at];
    const f64 v = m.v[at], old_exc = m.isyn_exc[at], old_inh = m.isyn_inh[at];
    const i64 until = m.until[at], k = (c.rows > 1 ? b * n : 0) + coefficients_of(c, i);
    const f64 v_rest = c.v_rest[k];
    const f64 exc = old_exc + c.scale_exc[k] * value(sums, sum_exc), inh = old_inh + c.scale_inh[k] * value(sums, sum_inh);
    const f64 moved = v_rest + c.keep[k] * (v - v_rest) + c.gain_exc[k] * exc - c.gain_inh[k] * inh + c.drift[k];
    const f64 reached = until < t ? moved : v;
    const bool spikes = reached >= c.v_thresh[k];
    m.v[at] = spikes ? c.v_reset[k] : reached;
    m.isyn_exc[at] = exc * c.decay_exc[k];
    m.isyn_inh[at] = inh * c.decay_inh[k];
    if (spikes) m.until[at] = t + c.refractory[k];
    if (sum_exc) sums.at[exc_at] = 0;  // most are 0, and what is not written costs nothing
    if (sum_inh) sums.at[inh_at] = 0;
    return spikes;
}

__device__ inline void record_spike(const Output& o, i64 b, i64 place, i64 s, i64 unit) {
    o.step[b * o.capacity + place] = (i32)s;
    o.unit[b * o.capacity + place] = (i32)unit;
}

// Make the list of the units that fire in step s, ascending, from the source spikes and the neurons' words; return how many.
// One block a replica; the words were written before a barrier, of which sum_before has two.
__device__ inline i64 collected(const Drive& d, const Output& o, const Fired& f, const u32* words, i64 n, i64 n_sources, i64 b, i64 s, i64 slot, i64& at, i64& n_recorded) {
    i32* units = f.units + slot * f.n_units;
    i64 count = 0, total;  // the low half counts units, the high half those recorded
    do {
        const i64 e = at + threadIdx.x;
        const bool now = e < d.pointer[b + 1] && d.step[e] == s;
        const i64 unit = now ? d.unit[e] : 0;
        const bool keeps = now && o.keep[unit];
        const i64 before = sum_before((i64)now + ((i64)keeps << 32), total);
        if (now) units[count + (u32)before] = (i32)unit;
        if (keeps) record_spike(o, b, n_recorded + (before >> 32), s, unit);
        count += (u32)total, n_recorded += total >> 32, at += (u32)total;
    } while ((u32)total == blockDim.x);
    const i64 n_words = (n + 31) >> 5, share = (n_words + blockDim.x - 1) / blockDim.x;
    const i64 first = min(n_words, threadIdx.x * share), last = min(n_words, first + share);
    i64 mine = 0;
    for (i64 w = first; w < last; ++w)
        for (u32 left = words[w]; left; left &= left - 1)
            mine += 1 + ((i64)(o.keep[n_sources + 32 * w + __ffs(left) - 1] != 0) << 32);
    const i64 before = sum_before(mine, total);
    i64 place = count + (u32)before, record = n_recorded + (before >> 32);
    if (mine)
        for (i64 w = first; w < last; ++w)
            for (u32 left = words[w]; left; left &= left - 1) {
                const i64 unit = n_sources + 32 * w + __ffs(left) - 1;
                units[place++] = (i32)unit;
                if (o.keep[unit]) record_spike(o, b, record++, s, unit);
            }
    count += (u32)total, n_recorded += total >> 32;
    if (threadIdx.x == 0) f.counts[slot] = count;
    return count;
}

// What is left of a trace after so many steps.
__device__ inline f64 left_of(const Plastic& p, i64 at, i64 size, i64 steps) { return p.decay[at + min(steps, size - 1)]; }

__device__ inline f64 clipped(f64 w, const f64* rule) {
    w = w > rule[W_MIN] ? w : rule[W_MIN];
    return w < rule[W_MAX] ? w : rule[W_MAX];
}
__device__ inline f64 potentiated(f64 w, f64 trace, const i64* g, const f64* rule) {
    const f64 a = g[MULTIPLICATIVE] ? rule[A_PLUS] * (rule[W_MAX] - w) : rule[A_PLUS];
    return clipped(w + a * trace, rule);
}
__device__ inline f64 depressed(f64 w, f64 trace, const i64* g, const f64* rule) {
    const f64 a = g[MULTIPLICATIVE] ? rule[A_MINUS] * (w - rule[W_MIN]) : rule[A_MINUS];
    return clipped(w - a * trace, rule);
}

// Shift the spikes of this step into the histories of their cells: one thread a cell.
__device__ inline void remember_post(const Plastic& p, const i64* g, const Traces& r, const Fired& f, i64 t, i64 thread, i64 n_threads) {
    const i64 now = t % f.n_slots, count = f.counts[now];
    for (i64 e = thread; e < count; e += n_threads) {
        const i64 q = f.units[now * f.n_units + e] - g[POST_FIRST];
        if (q < 0 || q >= g[N_POST]) continue;
        const i64 first = g[PAST_AT] + q * g[HISTORY], last = first + g[HISTORY] - 1;
        const f64 trace = r.past_trace[last] * left_of(p, g[MINUS_AT], g[MINUS_SIZE], t - r.past_step[last]) + 1.0;
        for (i64 i = first; i < last; ++i) {
            r.past_step[i] = r.past_step[i + 1];
            r.past_trace[i] = r.past_trace[i + 1];
        }
        r.past_step[last] = t;
        r.past_trace[last] = trace;
    }
}

// Potentiate the synapses at which a post spike arrives in step t, and count it in the post traces: one warp a spike and delay.
__device__ inline void post_arrivals(const Plastic& p, const Traces& r, const Fired& f, i64 t, bool on, i64 thread, i64 n_threads) {
    const i64 now = t % f.n_slots, lane = thread & 31;
    for (i64 j = 0; j < p.n; ++j) {
        const i64* g = p.ints + j * N_INTS;
        const f64* rule = p.floats + j * N_FLOATS;
        if (g[HISTORY]) {
            remember_post(p, g, r, f, t, thread, n_threads);
            continue;
        }
        f64* weight = g[DEFERRED] ? r.pending : r.weight;
        for (i64 k = 0; k < g[N_DELAYS]; ++k) {
            const i64 delay = p.delays[g[DELAY_AT] + k];
            if (delay > t) continue;
            const i64 slot = now >= delay ? now - delay : now + f.n_slots - delay, count = f.counts[slot];
            for (i64 e = thread >> 5; e < count; e += n_threads >> 5) {
                const i64 q = f.units[slot * f.n_units + e] - g[POST_FIRST];
                if (q < 0 || q >= g[N_POST]) continue;
                const i64* column = p.column_pointer + g[COLUMN_AT] + q * (g[N_DELAYS] + 1) + k;
                if (on || g[DEFERRED])
                    for (i64 c = column[0] + lane; c < column[1]; c += 32) {
                        const i64 s = p.column_synapse[c], i = g[PRE_AT] + p.pre[s];
                        const f64 trace = r.x_pre[i] * left_of(p, g[PLUS_AT], g[PLUS_SIZE], t - r.t_pre[i]);
                        weight[s] = potentiated(weight[s], trace, g, rule);
                    }
                if (lane == 0) {
                    const i64 a = g[ARRIVAL_AT] + k * g[N_POST] + q;
                    r.x_arrival[a] = r.x_arrival[a] * left_of(p, g[MINUS_AT], g[MINUS_SIZE], t - r.t_arrival[a]) + 1.0;
                    r.t_arrival[a] = t;
                }
            }
        }
    }
}

// The place of synapse s among the delays of its row.
__device__ inline i64 delay_of(const i64* pointer, i64 n_delays, i64 s) {
    i64 low = 0, high = n_delays;
    while (high - low > 1) {
        const i64 middle = (low + high) >> 1;
        if (pointer[middle] <= s) low = middle;
        else high = middle;
    }
    return low;
}

// Send a row, by the whole block: weight(s, k) is what synapse s with the k-th delay sends; it is called once for each.
template <class Sums, class Weight>
__device__ inline void send_row(const Sums& sums, i64 now, i64 n_slots, i64 row, const i64* pointer, i64 n_delays, const i64* delays, const u32* target, Weight weight) {
    for (i64 s = pointer[0] + threadIdx.x; s < pointer[n_delays]; s += blockDim.x) {
        const i64 k = delay_of(pointer, n_delays, s), then = now + delays[k], place = (then < n_slots ? then : then - n_slots) * row + target[s];
        if constexpr (Sums::IN_ORDER) {  // synapses of a row onto one target lie side by side: the thread of the first adds them all
            if (s > pointer[k] && target[s - 1] == target[s]) continue;
            f64 sum = sums.at[place];
            i64 e = s;
            do sum += weight(e, k);
            while (++e < pointer[k + 1] && target[e] == target[s]);
            sums.at[place] = sum;
        } else {
            atomicAdd(&sums.at[place], (u64)llrint(weight(s, k) * sums.per_quantum));
        }
    }
}

template <class Sums>
__device__ inline void send_static(const Static& fixed, const Sums& sums, i64 b, i64 u, i64 now, i64 n_slots, i64 n) {
    const f64* weight = fixed.weight + (fixed.rows > 1 ? b * fixed.columns : 0);
    const i64 stride = fixed.columns == 1 ? 0 : 1;
    send_row(sums, now, n_slots, 2 * n, fixed.pointer + u * fixed.stride, fixed.n_delays, fixed.delays, fixed.target, [&](i64 s, i64) { return weight[s * stride]; });
}

// Depress, commit and send the row of a pre unit that spikes in step t, then count the spike in its trace. All of the block calls it.
template <class Sums>
__device__ inline void send_plastic(const Plastic& p, i64 j, const Traces& r, const Sums& sums, i64 u, i64 t, bool on, i64 n_slots, i64 n) {
    const i64* g = p.ints + j * N_INTS;
    const f64* rule = p.floats + j * N_FLOATS;
    const i64* pointer = p.row_pointer + g[ROW_AT] + u * (g[N_DELAYS] + 1);
    const i64* delays = p.delays + g[DELAY_AT];
    const i64 i = g[PRE_AT] + u, before = r.t_pre[i], h = g[HISTORY];
    const f64 x = r.x_pre[i];
    auto by_event = [&](i64 s, i64 k) {
        f64 w = r.weight[s];
        if (on) {
            const i64 a = g[ARRIVAL_AT] + k * g[N_POST] + p.post[s];
            const f64 trace = r.x_arrival[a] * left_of(p, g[MINUS_AT], g[MINUS_SIZE], t - r.t_arrival[a]);
            w = depressed(g[DEFERRED] ? r.pending[s] : w, trace, g, rule);
            r.weight[s] = w;
        }
        if (g[DEFERRED]) r.pending[s] = w;
        return w;
    };
    auto from_history = [&](i64 s, i64 k) {
        f64 w = r.weight[s], depression = -1.0;
        const i64 first = g[PAST_AT] + p.post[s] * h;
        if (!on) return w;
        for (i64 e = first; e < first + h; ++e) {
            const i64 past = r.past_step[e], arrival = past + delays[k];
            if (past == NEVER || arrival > t) continue;
            if (before != NEVER && arrival > before)
                w = potentiated(w, x * left_of(p, g[PLUS_AT], g[PLUS_SIZE], arrival - before), g, rule);
            depression = r.past_trace[e] * left_of(p, g[MINUS_AT], g[MINUS_SIZE], t - arrival);
        }
        if (depression >= 0.0) w = depressed(w, depression, g, rule);
        r.weight[s] = w;
        return w;
    };
    if (h) send_row(sums, t % n_slots, n_slots, 2 * n, pointer, g[N_DELAYS], delays, p.target, from_history);
    else send_row(sums, t % n_slots, n_slots, 2 * n, pointer, g[N_DELAYS], delays, p.target, by_event);
    __syncthreads();  // the trace has been read; in order, the row has been added
    if (threadIdx.x == 0) {
        r.x_pre[i] = x * left_of(p, g[PLUS_AT], g[PLUS_SIZE], t - before) + 1.0;
        r.t_pre[i] = t;
    }
}

// All steps of a call, one block a replica, in the order of the reference. A replica stops where its buffer of spikes could overflow.
KERNEL __launch_bounds__(640) advance_in_order(CELLS, MEMBRANES, f64* arriving, STATIC, PLASTIC, TRACES, FIRED, DRIVE, OUTPUT, u32* words_of_all, i64 n, i64 n_sources, i64 n_slots, i64 t_start, i64 first_replica) {
    const i64 b = first_replica + blockIdx.x, lane = threadIdx.x & 31;
    const Cells cells = CELLS_TAKEN;
    const Membranes membranes = MEMBRANES_TAKEN;
    const InOrder sums{arriving + b * n_slots * 2 * n};
    const Static fixed = STATIC_TAKEN;
    const Plastic plastic = PLASTIC_TAKEN;
    const Traces traces = TRACES_TAKEN(b);
    const Fired list = FIRED_TAKEN(b);
    const Drive drive = DRIVE_TAKEN;
    const Output out = OUTPUT_TAKEN;
    u32* words = words_of_all + b * ((n + 31) >> 5);
    i64 s = done[b], at = cursor[b], n_recorded = n_spikes[b], quiet = 0;  // quiet: steps since a spike, as far as this call knows
    for (; s < n_steps && n_recorded + n_units <= capacity; ++s) {
        const i64 t = t_start + s, slot = t % n_past, now = t % n_slots;
        for (i64 i = threadIdx.x; i - lane < n; i += blockDim.x) {
            const bool spikes = i < n && neuron_spikes(cells, membranes, sums, now, b, n, i, t);
            const u32 word = __ballot_sync(ALL_LANES, spikes);
            if (lane == 0) words[i >> 5] = word;
            if (i < n) record_states(out, membranes, b, i, b * n + i, n_steps, s);
        }
        const i64 count = collected(drive, out, list, words, n, n_sources, b, s, slot, at, n_recorded);
        const i32* units = list.units + slot * n_units;
        __syncthreads();  // the list is there
        quiet = count ? 0 : quiet + 1;
        if (quiet >= n_past) continue;  // no spike now, and none on its way to a plastic synapse
        const bool on = drive_plastic[s];
        if (plastic.n) {
            post_arrivals(plastic, traces, list, t, on, threadIdx.x, blockDim.x);
            __syncthreads();
        }
        for (i64 e = 0; e < count; ++e) {
            const i64* row = fixed.pointer + units[e] * fixed.stride;
            if (row[0] == row[fixed.n_delays]) continue;
            send_static(fixed, sums, b, units[e], now, n_slots, n);
            __syncthreads();
        }
        for (i64 j = 0; j < plastic.n; ++j)
            for (i64 e = 0; e < count; ++e) {
                const i64 u = units[e] - ints[j * N_INTS + PRE_FIRST];
                if (u >= 0 && u < ints[j * N_INTS + N_PRE]) send_plastic(plastic, j, traces, sums, u, t, on, n_slots, n);
            }
    }
    if (threadIdx.x == 0) done[b] = s, cursor[b] = at, n_spikes[b] = n_recorded;
}

// One step of large networks, in four kernels. A replica's step is done[b], until collect has counted it; then step_now[b], or -1 where it stopped.

// x: neurons; y: replicas.
KERNEL neurons(CELLS, MEMBRANES, u64* arriving, f64 quantum, OUTPUT, u32* words, i64 n, i64 n_units, i64 n_slots, i64 n_steps, i64 t_start, i64 first_replica, i64 last_replica) {
    const Cells cells = CELLS_TAKEN;
    const Membranes membranes = MEMBRANES_TAKEN;
    const Output out = OUTPUT_TAKEN;
    const i64 i = thread_number(), lane = threadIdx.x & 31;
    if (i - lane >= n) return;
    for (i64 b = first_replica + blockIdx.y; b < last_replica; b += gridDim.y) {
        const i64 s = done[b], t = t_start + s;
        if (s >= n_steps || n_spikes[b] + n_units > capacity) continue;
        const Counted sums{arriving + b * n_slots * 2 * n, quantum, 0.0};
        const bool spikes = i < n && neuron_spikes(cells, membranes, sums, t % n_slots, b, n, i, t);
        const u32 word = __ballot_sync(ALL_LANES, spikes);
        if (lane == 0) words[b * ((n + 31) >> 5) + (i >> 5)] = word;
        if (i < n) record_states(out, membranes, b, i, b * n + i, n_steps, s);
    }
}

// One block a replica.
KERNEL __launch_bounds__(640) collect(FIRED, DRIVE, OUTPUT, const u32* words, i64* step_now, i64 n, i64 n_sources, i64 t_start, i64 first_replica) {
    const i64 b = first_replica + blockIdx.x;
    const Drive drive = DRIVE_TAKEN;
    const Output out = OUTPUT_TAKEN;
    const i64 s = done[b];
    i64 at = cursor[b], n_recorded = n_spikes[b];
    const bool goes = s < n_steps && n_recorded + n_units <= capacity;
    if (goes) collected(drive, out, FIRED_TAKEN(b), words + b * ((n + 31) >> 5), n, n_sources, b, s, (t_start + s) % n_past, at, n_recorded);
    __syncthreads();  // all have read where the replica stands
    if (threadIdx.x == 0) done[b] = s + goes, cursor[b] = at, n_spikes[b] = n_recorded, step_now[b] = goes ? s : -1;
}

// x: warps that share the spikes; y: replicas.
KERNEL arrivals(PLASTIC, TRACES, FIRED, const u8* drive_plastic, const i64* step_now, i64 t_start, i64 first_replica, i64 last_replica) {
    for (i64 b = first_replica + blockIdx.y; b < last_replica; b += gridDim.y)
        if (step_now[b] >= 0)
            post_arrivals(PLASTIC_TAKEN, TRACES_TAKEN(b), FIRED_TAKEN(b), t_start + step_now[b], drive_plastic[step_now[b]], thread_number(), thread_count());
}

// x: blocks that share the spikes; y: replicas.
KERNEL rows(u64* arriving, f64 per_quantum, STATIC, PLASTIC, TRACES, FIRED, const u8* drive_plastic, const i64* step_now, i64 n, i64 n_slots, i64 t_start, i64 first_replica, i64 last_replica) {
    const Static fixed = STATIC_TAKEN;
    const Plastic plastic = PLASTIC_TAKEN;
    for (i64 b = first_replica + blockIdx.y; b < last_replica; b += gridDim.y) {
        const i64 s = step_now[b], t = t_start + s, slot = t % n_past;
        if (s < 0) continue;
        const Counted sums{arriving + b * n_slots * 2 * n, 0.0, per_quantum};
        const i32* units = fired + (b * n_past + slot) * n_units;
        for (i64 e = blockIdx.x; e < n_fired[b * n_past + slot]; e += gridDim.x) {
            send_static(fixed, sums, b, units[e], t % n_slots, n_slots, n);
            for (i64 j = 0; j < plastic.n; ++j) {
                const i64 u = units[e] - ints[j * N_INTS + PRE_FIRST];
                if (u >= 0 && u < ints[j * N_INTS + N_PRE]) send_plastic(plastic, j, TRACES_TAKEN(b), sums, u, t, drive_plastic[s], n_slots, n);
            }
        }
    }
}
