// Bayesian-Hebbian traces and weights; see bcpnn.py.

#define ROWS 64  // rows that a block passes over with what it loaded of the columns' side
#define AHEAD 4  // rows on their way at once

__device__ inline f32 moved(f32 p, f32 x, f32 step) { return p + step * (x - p); }

// One step of the traces p of single units.
KERNEL move(f32* p, i64 n, const f32* x, f32 step) {
    for (i64 i = thread_number(); i < n; i += thread_count()) p[i] = moved(p[i], x[i], step);
}

// 1 / P and log P with P = max(p, eps).
KERNEL invert(const f32* p, i64 n, f64 eps, f32* inverse, f32* logarithm) {
    for (i64 i = thread_number(); i < n; i += thread_count()) {
        const f64 floored = max((f64)p[i], eps);
        inverse[i] = (f32)(1.0 / floored);
        logarithm[i] = (f32)log(floored);
    }
}

// log x of a normal positive float32, to an error of at most (|log x| + 2.5) 2^-24; kernels/cpu/bcpnn.py derives the bound.
__device__ inline f32 log_of(f32 x) {
    const f32 ln2_high = 355.0f / 512.0f, ln2_low = (f32)(0.69314718055994530942 - 355.0 / 512.0);  // 9 bits, and the rest
    const i32 half_bits = 0x3f3504f3;  // of sqrt(1/2)
    const i32 bits = __float_as_int(x) - half_bits;
    const f32 power = (f32)(bits >> 23), m = __int_as_float((bits & 0x7fffff) + half_bits);
    const f32 s = (m - 1.0f) / (m + 1.0f), z = s * s;
    const f32 series = __fmaf_rn(__fmaf_rn(__fmaf_rn(2.0f / 7.0f, z, 2.0f / 5.0f), z, 2.0f / 3.0f), z, 2.0f);
    return __fmaf_rn(power, ln2_high, __fmaf_rn(power, ln2_low, s * series));
}

// x: 4 columns a thread, y: ROWS rows a block.
template <bool MOVES, bool WIDE>
__device__ inline void pass(f32* p_ij, f32* w, i64 n_pre, i64 n_post, const f32* x_pre, const f32* x_post, const f32* by_row,
    const f32* by_column, f32 step, f32 floor) {
    const i64 j = 4 * thread_number();
    if (j >= n_post) return;
    const Four x = MOVES ? load_four<WIDE>(x_post, j, n_post) : Four{}, inverse = load_four<WIDE>(by_column, j, n_post);
    for (i64 first = (i64)blockIdx.y * ROWS; first < n_pre; first += (i64)gridDim.y * ROWS) {
        const i64 stop = min(n_pre, first + ROWS);
        for (i64 i = first; i < stop; i += AHEAD) {
            Four p[AHEAD], weight;
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (i + a < stop) p[a] = load_four<WIDE>(p_ij + (i + a) * n_post, j, n_post);
#pragma unroll
            for (int a = 0; a < AHEAD; ++a)
                if (i + a < stop) {
                    const f32 of_row = by_row[i + a];
                    if (MOVES) {
                        const f32 active = x_pre[i + a];
#pragma unroll
                        for (int k = 0; k < 4; ++k) p[a].x[k] = moved(p[a].x[k], active * x.x[k], step);
                        store_four<WIDE>(p_ij + (i + a) * n_post, j, n_post, p[a]);
                    }
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        const f32 both = p[a].x[k] < floor ? floor : p[a].x[k];
                        weight.x[k] = log_of((both * of_row) * inverse.x[k]);
                    }
                    store_four<WIDE>(w + (i + a) * n_post, j, n_post, weight);
                }
        }
    }
}

__device__ inline bool aligned(const void* a, const void* b, const void* c,
    i64 n) { return (((u64)a | (u64)b | (u64)c) & 15) == 0 && n % 4 == 0; }

KERNEL move_and_weigh(f32* p_ij, f32* w, i64 n_pre, i64 n_post, const f32* x_pre, const f32* x_post, const f32* by_row,
    const f32* by_column, f32 step, f32 floor) {
    if (aligned(p_ij, w, x_post, n_post) && aligned(by_column, by_column, by_column, n_post))
        pass<true, true>(p_ij, w, n_pre, n_post, x_pre, x_post, by_row, by_column, step, floor);
    else
        pass<true, false>(p_ij, w, n_pre, n_post, x_pre, x_post, by_row, by_column, step, floor);
}

KERNEL weigh(const f32* p_ij, f32* w, i64 n_pre, i64 n_post, const f32* by_row, const f32* by_column, f32 floor) {
    if (aligned(p_ij, w, by_column, n_post))
        pass<false, true>((f32*)p_ij, w, n_pre, n_post, nullptr, nullptr, by_row, by_column, 0.0f, floor);
    else
        pass<false, false>((f32*)p_ij, w, n_pre, n_post, nullptr, nullptr, by_row, by_column, 0.0f, floor);
}
