// Matrices of weights of bipolar units; see hopfield.py.

// Four numbers that lie together, read at once.
template <class T>
struct alignas(4 * sizeof(T)) Neighbours { T at[4]; };

// h[b, i] = bias[i] + sum over j of w[i, j] s[b, j], for up to N cues in one pass over w; a warp has a row, Sum is exact for whole weights.
template <int N, class Sum, class T>
__device__ inline void inputs(const T* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) {
    const int lane = threadIdx.x & 31;
    const bool in_fours = n % 4 == 0 && (u64)w % sizeof(Neighbours<T>) == 0 && (u64)states % 4 == 0;
    for (i64 first = (i64)blockIdx.y * N; first < n_cues; first += (i64)gridDim.y * N)
        for (i64 i = thread_number() / 32; i < n; i += thread_count() / 32) {
            const T* row = w + i * n;
            Sum sums[N] = {};
            if (in_fours) {
#pragma unroll(N > 1 ? 1 : 4)
                for (i64 j = 4 * lane; j < n; j += 128) {
                    const Neighbours<T> four = *(const Neighbours<T>*)(row + j);
#pragma unroll
                    for (int c = 0; c < N; ++c) {
                        const Neighbours<i8> s = *(const Neighbours<i8>*)(states + min(first + c, n_cues - 1) * n + j);
#pragma unroll
                        for (int k = 0; k < 4; ++k) sums[c] += s.at[k] < 0 ? -(Sum)four.at[k] : (Sum)four.at[k];
                    }
                }
            } else {
#pragma unroll(N > 1 ? 1 : 4)
                for (i64 j = lane; j < n; j += 32) {
                    const Sum weight = row[j];
#pragma unroll
                    for (int c = 0; c < N; ++c) sums[c] += states[min(first + c, n_cues - 1) * n + j] < 0 ? -weight : weight;
                }
            }
#pragma unroll
            for (int c = 0; c < N; ++c) {
                f64 sum = sums[c];  // whole sums are below 2^53
                for (int step = 16; step > 0; step >>= 1) sum += __shfl_down_sync(ALL_LANES, sum, step);
                if (lane == 0 && first + c < n_cues) h[(first + c) * n + i] = bias[i] + sum;
            }
        }
}

KERNEL inputs_of_one_int16(const i16* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<1, i32>(w, n, bias, states, n_cues, h); }
KERNEL inputs_of_one_int32(const i32* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<1, i64>(w, n, bias, states, n_cues, h); }
KERNEL inputs_of_one_float32(const f32* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<1, f64>(w, n, bias, states, n_cues, h); }
KERNEL inputs_of_eight_int16(const i16* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<8, i32>(w, n, bias, states, n_cues, h); }
KERNEL inputs_of_eight_int32(const i32* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<8, i64>(w, n, bias, states, n_cues, h); }
KERNEL inputs_of_eight_float32(const f32* w, i64 n, const f64* bias, const i8* states, i64 n_cues, f64* h) { inputs<8, f64>(w, n, bias, states, n_cues, h); }

// One block a cue, with its inputs h. As many units as there are threads are looked at at once, in the order of their visits; the first that flips
// adds its row to h, and those after it are looked at again.
template <class T>
__device__ inline void settle(const T* w, i64 n, f64* h, const i32* orders, i64 n_visits, i64 max_sweeps, i8* states, i32* sweeps, i64* flips, u8* converged) {
    __shared__ u32 flipping[2][32], rising[2][32];  // bits of each warp's units; two, by turns: while one is read the other may be written to
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = blockDim.x >> 5;
    const i64 b = blockIdx.x;
    const i32* order = orders + b * n_visits;
    i8* s = states + b * n;
    h += b * n;
    i64 flipped = 0;
    i32 sweep = 0;
    bool quiet = false;
    int turn = 0;
    while (sweep < max_sweeps && !quiet) {
        ++sweep;
        const i64 before = flipped;
        for (i64 k = 0; k < n_visits; turn ^= 1) {
            bool flips_now = false, is_down = false;
            if (k + threadIdx.x < n_visits) {
                const i64 j = order[k + threadIdx.x];
                is_down = s[j] < 0;
                flips_now = h[j] * s[j] < 0;
            }
            const u32 that_flip = __ballot_sync(ALL_LANES, flips_now), down = __ballot_sync(ALL_LANES, is_down);
            if (lane == 0) flipping[turn][warp] = that_flip, rising[turn][warp] = down;
            __syncthreads();
            const u32 warps = __ballot_sync(ALL_LANES, lane < n_warps && flipping[turn][lane] != 0);
            if (!warps) {
                k += blockDim.x;
                continue;
            }
            const int first = __ffs(warps) - 1, bit = __ffs(flipping[turn][first]) - 1;
            const i64 j = order[k + 32 * first + bit];
            const f64 change = rising[turn][first] >> bit & 1 ? 2.0 : -2.0;
            const T* row = w + j * n;
#pragma unroll 4
            for (i64 i = threadIdx.x; i < n; i += blockDim.x) h[i] += change * (f64)row[i];
            if (threadIdx.x == 0) s[j] = change > 0 ? 1 : -1;
            ++flipped;
            k += 32 * first + bit + 1;
            __syncthreads();
        }
        quiet = flipped == before;
    }
    if (threadIdx.x == 0) sweeps[b] = sweep, flips[b] = flipped, converged[b] = quiet;
}

KERNEL __launch_bounds__(1024) settle_int16(const i16* w, i64 n, f64* h, const i32* orders, i64 n_visits, i64 max_sweeps, i8* states, i32* sweeps, i64* flips, u8* converged) {
    settle(w, n, h, orders, n_visits, max_sweeps, states, sweeps, flips, converged);
}
KERNEL __launch_bounds__(1024) settle_int32(const i32* w, i64 n, f64* h, const i32* orders, i64 n_visits, i64 max_sweeps, i8* states, i32* sweeps, i64* flips, u8* converged) {
    settle(w, n, h, orders, n_visits, max_sweeps, states, sweeps, flips, converged);
}
KERNEL __launch_bounds__(1024) settle_float32(const f32* w, i64 n, f64* h, const i32* orders, i64 n_visits, i64 max_sweeps, i8* states, i32* sweeps, i64* flips, u8* converged) {
    settle(w, n, h, orders, n_visits, max_sweeps, states, sweeps, flips, converged);
}

// Storkey's rule, whose sums have an order: four rows in float32, these in float64

#define FOURS 64  // groups of four rows that a block adds up at once

// A block of 8 warps has 32 columns, a lane one of them. The warps renew the weights of groups of rows, and leave in shared memory what
// each has of the pattern that follows; one warp adds these up in order. Where nothing is summed the rows are shared out over blockIdx.y.
template <bool RENEWS, bool SUMS>
__device__ inline void pass(f32* w, i64 n, f32 gain, const u8* stored, const f32* v, const u8* following, f64* h) {
    __shared__ f32 of_four[FOURS][32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 j = (i64)blockIdx.x * 32 + lane, n_fours = (n + 3) / 4;
    const f32 x_j = RENEWS && j < n && stored[j] ? 1.0f : -1.0f, v_j = RENEWS && j < n ? v[j] : 0.0f;
    f64 sum = 0;
    for (i64 start = (i64)blockIdx.y * FOURS; start < n_fours; start += (i64)gridDim.y * FOURS) {
        const int count = (int)min((i64)FOURS, n_fours - start);
#pragma unroll 2
        for (int g = warp; g < count; g += 8) {
            f32 four = 0;
            if (j < n) {
                const i64 first = 4 * (start + g);
                f32 weights[4];
#pragma unroll
                for (int r = 0; r < 4; ++r) weights[r] = first + r < n ? w[(first + r) * n + j] : 0.0f;
#pragma unroll
                for (int r = 0; r < 4; ++r) {
                    const i64 i = first + r;
                    if (i < n) {
                        if (RENEWS) {
                            const f32 x_i = stored[i] ? 1.0f : -1.0f;
                            weights[r] = i == j ? 0.0f : weights[r] + (gain * weights[r] + (x_i * v_j + v[i] * x_j));
                            w[i * n + j] = weights[r];
                        }
                        if (SUMS) four += following[i] ? weights[r] : -weights[r];
                    }
                }
            }
            if (SUMS) of_four[g][lane] = four;
        }
        if (SUMS) {
            __syncthreads();
            if (warp == 0)
                for (int g = 0; g < count; ++g) sum += of_four[g][lane];
            __syncthreads();
        }
    }
    if (SUMS && warp == 0 && j < n) h[j] = sum;
}

KERNEL storkey_first(f32* w, i64 n, const u8* following, f64* h) { pass<false, true>(w, n, 0.0f, nullptr, nullptr, following, h); }
KERNEL storkey_next(f32* w, i64 n, f32 gain, const u8* stored, const f32* v, const u8* following, f64* h) {
    pass<true, true>(w, n, gain, stored, v, following, h);
}
KERNEL storkey_last(f32* w, i64 n, f32 gain, const u8* stored, const f32* v) { pass<true, false>(w, n, gain, stored, v, nullptr, nullptr); }

// v[i] = (x_i / 2 - h_i) / n
KERNEL storkey_change(const u8* stored, const f64* h, i64 n, f32* v) {
    for (i64 i = thread_number(); i < n; i += thread_count()) v[i] = (f32)(((stored[i] ? 0.5 : -0.5) - h[i]) / (f64)n);
}
