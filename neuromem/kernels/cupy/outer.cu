// Plastic updates of one float32 matrix W (n_values, n_keys); see outer.py.

#define ROWS 64  // rows that a block changes with what it loaded of the columns' side
#define AHEAD 4  // rows of W on their way at once

enum { DOT_PRODUCT, SQUARED_ERROR, HUBER_ERROR, POWER_ERROR, VARIANCE };  // as in outer_rules.py
enum { DECAY, OJA };
enum { PLAIN, MOMENTUM };

__device__ inline f32 clipped(f32 x, f32 low, f32 high) {
    x = x < low ? low : x;  // comparisons with NaN are false: it stays
    return x > high ? high : x;
}

// Up to RANK pairs, x: 4 columns a thread, y: ROWS rows a block. v stays in registers, the gains of the rows in shared memory; W is read
// once and written once.
template <int RANK, bool WIDE>
__device__ inline void add_few(f32* w, i64 n_values, i64 n_keys, const f32* us, const f32* vs, i64 n_pairs, f32 decay, f32 rate, f32 low,
    f32 high, f32* gains) {
    const i64 j = 4 * thread_number();
    Four v[RANK];
#pragma unroll
    for (int b = 0; b < RANK; ++b) v[b] = b < n_pairs && j < n_keys ? load_four<WIDE>(vs + b * n_keys, j, n_keys) : Four{};
    for (i64 first = (i64)blockIdx.y * ROWS; first < n_values; first += (i64)gridDim.y * ROWS) {
        const int rows = (int)min((i64)ROWS, n_values - first);
        __syncthreads();
        for (int t = threadIdx.x; t < ROWS * RANK; t += blockDim.x) {
            const int b = t / ROWS, r = t % ROWS;
            gains[r * RANK + b] = b < n_pairs && r < rows ? rate * us[b * n_values + first + r] : 0.0f;
        }
        __syncthreads();
        if (j >= n_keys) continue;
        for (int r = 0; r < rows; r += AHEAD) {
            Four x[AHEAD];
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (r + a < rows) x[a] = load_four<WIDE>(w + (first + r + a) * n_keys, j, n_keys);
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (r + a < rows) {
                    const f32* gain = gains + (r + a) * RANK;
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        f32 sum = decay * x[a].x[k];
                        if (RANK == 1) {
                            sum += gain[0] * v[0].x[k];  // rounded as the reference does
                        } else {
#pragma unroll
                            for (int b = 0; b < RANK; ++b) sum = __fmaf_rn(gain[b], v[b].x[k], sum);
                        }
                        x[a].x[k] = clipped(sum, low, high);
                    }
                    store_four<WIDE>(w + (first + r + a) * n_keys, j, n_keys, x[a]);
                }
        }
    }
}

KERNEL __launch_bounds__(256) add_one(f32* w, i64 n_values, i64 n_keys, const f32* u, const f32* v, f32 decay, f32 rate, f32 low,
    f32 high) {
    __shared__ f32 gains[ROWS];
    if (aligned(w, v, n_keys)) add_few<1, true>(w, n_values, n_keys, u, v, 1, decay, rate, low, high, gains);
    else add_few<1, false>(w, n_values, n_keys, u, v, 1, decay, rate, low, high, gains);
}

KERNEL __launch_bounds__(256) add_eight(f32* w, i64 n_values, i64 n_keys, const f32* us, const f32* vs, i64 n_pairs, f32 decay, f32 rate,
    f32 low, f32 high) {
    __shared__ f32 gains[ROWS * 8];
    if (aligned(w, vs, n_keys)) add_few<8, true>(w, n_values, n_keys, us, vs, n_pairs, decay, rate, low, high, gains);
    else add_few<8, false>(w, n_values, n_keys, us, vs, n_pairs, decay, rate, low, high, gains);
}

#define TILE 128  // rows and columns of a block's tile: 16 x 16 threads, each with 8 rows and 2 x 4 columns
#define DEPTH 8   // pairs in shared memory at a time

// Any number of pairs: a tile of W stays in registers while all pairs are added to it.
template <bool WIDE>
__device__ inline void add_to_tile(f32* w, i64 n_values, i64 n_keys, const f32* us, const f32* vs, i64 n_pairs, f32 decay, f32 rate,
    f32 low, f32 high, float4* left, float4* right) {
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const i64 column = (i64)blockIdx.x * TILE;
    for (i64 row = (i64)blockIdx.y * TILE; row < n_values; row += (i64)gridDim.y * TILE) {
        f32* own = w + (row + 8 * ty) * n_keys + column + 4 * tx;
        const int rows = (int)min(8ll, n_values - row - 8 * ty), columns = (int)min((i64)TILE, n_keys - column - 4 * tx);
        Four sum[8][2];
#pragma unroll
        for (int r = 0; r < 8; ++r)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                sum[r][h] = r < rows && 64 * h < columns ? load_four<WIDE>(own + r * n_keys, 64 * h, columns) : Four{};
#pragma unroll
                for (int k = 0; k < 4; ++k) sum[r][h].x[k] *= decay;
            }
        for (i64 first = 0; first < n_pairs; first += DEPTH) {
            __syncthreads();
            for (int t = threadIdx.x; t < DEPTH * TILE; t += blockDim.x) {
                const i64 b = first + t / TILE, i = row + t % TILE, j = column + t % TILE;
                ((f32*)left)[t] = b < n_pairs && i < n_values ? rate * us[b * n_values + i] : 0.0f;
                ((f32*)right)[t] = b < n_pairs && j < n_keys ? vs[b * n_keys + j] : 0.0f;
            }
            __syncthreads();
#pragma unroll
            for (int d = 0; d < DEPTH; ++d) {
                const float4 u0 = left[(d * TILE + 8 * ty) / 4], u1 = left[(d * TILE + 8 * ty) / 4 + 1];
                const float4 v0 = right[d * TILE / 4 + tx], v1 = right[(d * TILE + 64) / 4 + tx];
                const f32 gain[8] = {u0.x, u0.y, u0.z, u0.w, u1.x, u1.y, u1.z, u1.w};
                const f32 v[2][4] = {{v0.x, v0.y, v0.z, v0.w}, {v1.x, v1.y, v1.z, v1.w}};
#pragma unroll
                for (int r = 0; r < 8; ++r)
#pragma unroll
                    for (int h = 0; h < 2; ++h)
#pragma unroll
                        for (int k = 0; k < 4; ++k) sum[r][h].x[k] = __fmaf_rn(gain[r], v[h][k], sum[r][h].x[k]);
            }
        }
#pragma unroll
        for (int r = 0; r < 8; ++r)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
#pragma unroll
                for (int k = 0; k < 4; ++k) sum[r][h].x[k] = clipped(sum[r][h].x[k], low, high);
                if (r < rows && 64 * h < columns) store_four<WIDE>(own + r * n_keys, 64 * h, columns, sum[r][h]);
            }
    }
}

KERNEL __launch_bounds__(256, 2) add_many(f32* w, i64 n_values, i64 n_keys, const f32* us, const f32* vs, i64 n_pairs, f32 decay, f32 rate,
    f32 low, f32 high) {
    __shared__ float4 left[DEPTH * TILE / 4], right[DEPTH * TILE / 4];
    if (aligned(w, w, n_keys)) add_to_tile<true>(w, n_values, n_keys, us, vs, n_pairs, decay, rate, low, high, left, right);
    else add_to_tile<false>(w, n_values, n_keys, us, vs, n_pairs, decay, rate, low, high, left, right);
}

// One component of e; y is not used by the dot product.
__device__ inline f32 error_of(f32 y, f32 v, i64 loss, f32 bound, f64 exponent) {
    if (loss == DOT_PRODUCT) return v;
    if (loss == VARIANCE) return y;
    const f32 e = v - y;
    if (loss == HUBER_ERROR) return clipped(e, -bound, bound);
    if (loss == POWER_ERROR) return (f32)((e > 0 ? 1.0 : e < 0 ? -1.0 : (f64)e) * pow(fabs((f64)e), exponent));
    return e;
}

__device__ inline f32 kept(f32 e, i64 retention, f32 gamma, f32 rate) { return retention == OJA ? 1.0f - (rate * e) * e : gamma; }

__device__ inline f32 add_products(const Four& a, const Four& b, f32 sum) {
#pragma unroll
    for (int k = 0; k < 4; ++k) sum = __fmaf_rn(a.x[k], b.x[k], sum);
    return sum;
}

__device__ inline f32 warp_sum(f32 x) {  // known to every lane
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(ALL_LANES, x, step);
    return x;
}

// e of every row for one pair: a warp for AHEAD rows, which share what is loaded of the key.
template <bool WIDE>
__device__ inline void find_errors(const f32* w, i64 n_values, i64 n_keys, const f32* key, const f32* value, i64 loss, f32 bound,
    f64 exponent, f32* e) {
    const int lane = threadIdx.x & 31;
    for (i64 first = AHEAD * (thread_number() >> 5); first < n_values; first += AHEAD * (thread_count() >> 5)) {
        f32 y[AHEAD] = {};
#pragma unroll 2
        for (i64 j = 4 * lane; j < n_keys; j += 128) {
            const Four k = load_four<WIDE>(key, j, n_keys);
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (first + a < n_values) y[a] = add_products(load_four<WIDE>(w + (first + a) * n_keys, j, n_keys), k, y[a]);
        }
#pragma unroll
        for (int a = 0; a < AHEAD; ++a) {
            const f32 sum = warp_sum(y[a]);
            const i64 i = first + a;
            if (lane == a && i < n_values) e[i] = error_of(sum, value[i], loss, bound, exponent);
        }
    }
}

KERNEL errors(const f32* w, i64 n_values, i64 n_keys, const f32* key, const f32* value, i64 loss, f32 bound, f64 exponent, f32* e) {
    if (aligned(w, key, n_keys)) find_errors<true>(w, n_values, n_keys, key, value, loss, bound, exponent, e);
    else find_errors<false>(w, n_values, n_keys, key, value, loss, bound, exponent, e);
}

// The sum over the block, known to every thread. Called with two rooms in turn: a room is written again only after a barrier that all reach
// after reading it.
__device__ inline f32 sum_of_block(f32 x, f32* of_warp) {
    x = warp_sum(x);
    if ((threadIdx.x & 31) == 0) of_warp[threadIdx.x >> 5] = x;
    __syncthreads();
    f32 sum = 0.0f;
    for (int warp = 0; warp < (int)blockDim.x / 32; ++warp) sum += of_warp[warp];
    return sum;
}

#define HELD 8       // groups of 4 columns that a thread keeps in registers from pair to pair
#define WRITERS 256  // threads of a block at most

struct Rule {
    i64 loss;
    f32 bound;
    f64 exponent;
    i64 retention, step;
    f32 gamma, rate, momentum, low, high;
};

template <bool WIDE>
__device__ inline Four changed(Four x, const f32* key, f32* speed, i64 j, i64 n_keys, f32 gain, f32 keep, const Rule& rule) {
    Four change = load_four<WIDE>(key, j, n_keys);
#pragma unroll
    for (int k = 0; k < 4; ++k) change.x[k] *= gain;
    if (rule.step == MOMENTUM) {
        const Four s = load_four<WIDE>(speed, j, n_keys);
#pragma unroll
        for (int k = 0; k < 4; ++k) change.x[k] = rule.momentum * s.x[k] + change.x[k];
        store_four<WIDE>(speed, j, n_keys, change);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) x.x[k] = clipped(keep * x.x[k] + change.x[k], rule.low, rule.high);
    return x;
}

// One block a row, all pairs one after the other. The row's first 4 HELD blockDim columns stay in registers; of a longer row the rest goes
// by the caches.
template <bool WIDE>
__device__ inline void write_rows(f32* w, f32* speeds, i64 n_values, i64 n_keys, const f32* keys, const f32* values, i64 n_pairs,
    const Rule& rule, f32* sums) {
    const i64 stride = 4 * blockDim.x, begin = 4 * threadIdx.x;
    int turn = 0;
    for (i64 i = blockIdx.x; i < n_values; i += gridDim.x) {
        f32 *row = w + i * n_keys, *speed = speeds + i * n_keys;
        Four held[HELD];
#pragma unroll
        for (int c = 0; c < HELD; ++c) held[c] = begin + c * stride < n_keys ? load_four<WIDE>(row, begin + c * stride, n_keys) : Four{};
        for (i64 m = 0; m < n_pairs; ++m) {
            const f32* key = keys + m * n_keys;
            f32 y = 0.0f;
            if (rule.loss != DOT_PRODUCT) {
#pragma unroll
                for (int c = 0; c < HELD; ++c)
                    if (begin + c * stride < n_keys) y = add_products(held[c], load_four<WIDE>(key, begin + c * stride, n_keys), y);
#pragma unroll 4
                for (i64 j = begin + HELD * stride; j < n_keys; j += stride)
                    y = add_products(load_four<WIDE>(row, j, n_keys), load_four<WIDE>(key, j, n_keys), y);
                y = sum_of_block(y, sums + turn * (WRITERS / 32));
                turn ^= 1;
            }
            const f32 e = error_of(y, values[m * n_values + i], rule.loss, rule.bound, rule.exponent);
            const f32 gain = rule.rate * e, keep = kept(e, rule.retention, rule.gamma, rule.rate);
#pragma unroll
            for (int c = 0; c < HELD; ++c)
                if (begin + c * stride < n_keys) held[c] = changed<WIDE>(held[c], key, speed, begin + c * stride, n_keys, gain, keep, rule);
#pragma unroll 4
            for (i64 j = begin + HELD * stride; j < n_keys; j += stride)
                store_four<WIDE>(row, j, n_keys, changed<WIDE>(load_four<WIDE>(row, j, n_keys), key, speed, j, n_keys, gain, keep, rule));
        }
#pragma unroll
        for (int c = 0; c < HELD; ++c)
            if (begin + c * stride < n_keys) store_four<WIDE>(row, begin + c * stride, n_keys, held[c]);
    }
}

KERNEL __launch_bounds__(WRITERS, 2) write_pairs(f32* w, f32* speeds, i64 n_values, i64 n_keys, const f32* keys, const f32* values,
    i64 n_pairs, i64 loss, f32 bound, f64 exponent, i64 retention, i64 step, f32 gamma, f32 rate, f32 momentum, f32 low, f32 high) {
    __shared__ f32 sums[2 * WRITERS / 32];
    const Rule rule = {loss, bound, exponent, retention, step, gamma, rate, momentum, low, high};
    if (aligned(w, keys, n_keys) && aligned(speeds, speeds, n_keys))
        write_rows<true>(w, speeds, n_values, n_keys, keys, values, n_pairs, rule, sums);
    else
        write_rows<false>(w, speeds, n_values, n_keys, keys, values, n_pairs, rule, sums);
}

// Of one part of the rows (y), for each column (x): the sums of e_i w_ij and of w_ij^2, to sums (parts, 2, n_keys).
template <bool WIDE>
__device__ inline void sum_columns(const f32* w, i64 n_values, i64 n_keys, const f32* e, i64 rows_of_part, f32* sums) {
    const i64 j = 4 * thread_number();
    if (j >= n_keys) return;
    const i64 first = blockIdx.y * rows_of_part, stop = min(n_values, first + rows_of_part);
    Four along = {}, square = {};
    for (i64 i = first; i < stop; i += AHEAD) {
        Four x[AHEAD];
#pragma unroll
        for (int a = 0; a < AHEAD; ++a)
            if (i + a < stop) x[a] = load_four<WIDE>(w + (i + a) * n_keys, j, n_keys);
#pragma unroll
        for (int a = 0; a < AHEAD; ++a)
            if (i + a < stop) {
                const f32 error = e[i + a];
#pragma unroll
                for (int k = 0; k < 4; ++k) {
                    along.x[k] = __fmaf_rn(error, x[a].x[k], along.x[k]);
                    square.x[k] = __fmaf_rn(x[a].x[k], x[a].x[k], square.x[k]);
                }
            }
    }
    store_four<WIDE>(sums + 2 * blockIdx.y * n_keys, j, n_keys, along);
    store_four<WIDE>(sums + (2 * blockIdx.y + 1) * n_keys, j, n_keys, square);
}

KERNEL column_sums(const f32* w, i64 n_values, i64 n_keys, const f32* e, i64 rows_of_part, f32* sums) {
    if (aligned(w, sums, n_keys)) sum_columns<true>(w, n_values, n_keys, e, rows_of_part, sums);
    else sum_columns<false>(w, n_values, n_keys, e, rows_of_part, sums);
}

// What of e each column has already, as a multiple of the column; 0 for an empty one. Parts are added in their order.
KERNEL known_part(const f32* sums, i64 n_parts, i64 n_keys, f32 tiny, f32* known) {
    for (i64 j = thread_number(); j < n_keys; j += thread_count()) {
        f32 along = 0.0f, square = 0.0f;
        for (i64 part = 0; part < n_parts; ++part) {
            along += sums[2 * part * n_keys + j];
            square += sums[(2 * part + 1) * n_keys + j];
        }
        known[j] = square >= tiny ? along / square : 0.0f;
    }
}

template <bool WIDE>
__device__ inline void add_what_is_new(f32* w, i64 n_values, i64 n_keys, const f32* key, const f32* e, const f32* known, i64 retention,
    f32 gamma, f32 rate, f32 low, f32 high) {
    const i64 j = 4 * thread_number();
    if (j >= n_keys) return;
    Four gain = load_four<WIDE>(key, j, n_keys);
    const Four had = load_four<WIDE>(known, j, n_keys);
#pragma unroll
    for (int k = 0; k < 4; ++k) gain.x[k] *= rate;
    for (i64 first = (i64)blockIdx.y * ROWS; first < n_values; first += (i64)gridDim.y * ROWS) {
        const i64 stop = min(n_values, first + ROWS);
        for (i64 i = first; i < stop; i += AHEAD) {
            Four x[AHEAD];
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (i + a < stop) x[a] = load_four<WIDE>(w + (i + a) * n_keys, j, n_keys);
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (i + a < stop) {
                    const f32 error = e[i + a], keep = kept(error, retention, gamma, rate);
#pragma unroll
                    for (int k = 0; k < 4; ++k)
                        x[a].x[k] = clipped(keep * x[a].x[k] + gain.x[k] * (error - x[a].x[k] * had.x[k]), low, high);
                    store_four<WIDE>(w + (i + a) * n_keys, j, n_keys, x[a]);
                }
        }
    }
}

KERNEL add_new(f32* w, i64 n_values, i64 n_keys, const f32* key, const f32* e, const f32* known, i64 retention, f32 gamma, f32 rate,
    f32 low, f32 high) {
    if (aligned(w, key, n_keys) && aligned(known, known, n_keys))
        add_what_is_new<true>(w, n_values, n_keys, key, e, known, retention, gamma, rate, low, high);
    else
        add_what_is_new<false>(w, n_values, n_keys, key, e, known, retention, gamma, rate, low, high);
}
