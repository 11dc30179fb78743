// What units make of their inputs; see activation.py. A group of units is a block's: row blockIdx.x of (n_cues * groups, size).

// The largest value of all threads of a block, known to each of them; every thread of the block calls it.
template <class V>
__device__ inline V block_max(V value) {
    __shared__ V of_warp[32];
    const int warp = threadIdx.x >> 5, n_warps = blockDim.x >> 5;
    for (int step = 16; step > 0; step >>= 1) {
        const V other = __shfl_down_sync(ALL_LANES, value, step);
        if (other > value) value = other;
    }
    __syncthreads();  // what an earlier call left may still be read
    if ((threadIdx.x & 31) == 0) of_warp[warp] = value;
    __syncthreads();
    value = of_warp[0];
    for (int w = 1; w < n_warps; ++w)
        if (of_warp[w] > value) value = of_warp[w];
    return value;
}

// The sum of the values of this thread and of those before it; every thread of the block calls it.
__device__ inline i64 block_prefix(i64 value) {
    __shared__ i64 of_warp[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    for (int step = 1; step < 32; step <<= 1) {
        const i64 before = __shfl_up_sync(ALL_LANES, value, step);
        if (lane >= step) value += before;
    }
    __syncthreads();  // what an earlier call left may still be read
    if (lane == 31) of_warp[warp] = value;
    __syncthreads();
    for (int w = 0; w < warp; ++w) value += of_warp[w];
    return value;
}

// The sum in float64 over all threads of a block, always in one order; every thread of the block calls it.
__device__ inline f64 block_total(f64 value) {
    __shared__ f64 of_warp[32];
    const int warp = threadIdx.x >> 5, n_warps = blockDim.x >> 5;
    for (int step = 16; step > 0; step >>= 1) value += __shfl_down_sync(ALL_LANES, value, step);
    __syncthreads();  // what an earlier call left may still be read
    if ((threadIdx.x & 31) == 0) of_warp[warp] = value;
    __syncthreads();
    value = of_warp[0];
    for (int w = 1; w < n_warps; ++w) value += of_warp[w];
    return value;
}

// Unit by unit: 1 above 0, 0 below, and what it was at 0.
template <class T>
__device__ inline void sign(const T* h, const u8* bits, i64 size, u8* active) {
    for (i64 t = thread_number(); t < size; t += thread_count()) active[t] = h[t] > 0 || (h[t] == 0 && bits[t]);
}

KERNEL sign_int32(const i32* h, const u8* bits, i64 size, u8* active) { sign(h, bits, size, active); }
KERNEL sign_int64(const i64* h, const u8* bits, i64 size, u8* active) { sign(h, bits, size, active); }
KERNEL sign_float32(const f32* h, const u8* bits, i64 size, u8* active) { sign(h, bits, size, active); }
KERNEL sign_float64(const f64* h, const u8* bits, i64 size, u8* active) { sign(h, bits, size, active); }

// Keys are whole numbers without sign in the order of the inputs: that of 0 and of -0 is one, and that of NaN is above all others.
__device__ inline u64 key_of(i32 h) { return (u32)h ^ 0x80000000u; }
__device__ inline u64 key_of(i64 h) { return (u64)h ^ 0x8000000000000000ull; }
__device__ inline u64 key_of(f32 h) {
    const u32 bits = h == 0 ? 0u : __float_as_uint(h);
    return h != h ? 0xffffffffu : bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ inline u64 key_of(f64 h) {
    const u64 bits = h == 0 ? 0ull : (u64)__double_as_longlong(h);
    return h != h ? ~0ull : bits >> 63 ? ~bits : bits | 0x8000000000000000ull;
}

// The first of the largest, and nothing else.
template <class T>
__device__ inline void largest(const T* h, i64 size, u8* won) {
    h += blockIdx.x * size;
    won += blockIdx.x * size;
    u64 best = 0;
    i64 place = size;
    for (i64 i = threadIdx.x; i < size; i += blockDim.x) {
        const u64 key = key_of(h[i]);
        if (key > best || place == size) best = key, place = i;
    }
    const u64 most = block_max(best);
    const i64 first = -block_max(best == most ? -place : -size);  // a thread without units has no place below size
    for (i64 i = threadIdx.x; i < size; i += blockDim.x) won[i] = i == first;
}

KERNEL largest_int32(const i32* h, i64 size, u8* won) { largest(h, size, won); }
KERNEL largest_int64(const i64* h, i64 size, u8* won) { largest(h, size, won); }
KERNEL largest_float32(const f32* h, i64 size, u8* won) { largest(h, size, won); }
KERNEL largest_float64(const f64* h, i64 size, u8* won) { largest(h, size, won); }

#define BINS 256  // which is also the number of threads
#define ROUNDS 8

__device__ inline u64 above(u64 key, int top) { return top < 64 ? key >> top : 0ull; }

// The k-th largest key is found from its highest bit down: `prefix` are its bits from `top` on, `tied` units have these as well,
// and it is the `left`-th largest of theirs. Bits that all keys share are skipped: of counts below 256 there is one histogram.
template <class T>
__device__ inline void winners(const T* h, i64 size, i64 k, i64 all_ties, u8* won) {
    __shared__ i32 bins[BINS];
    __shared__ i64 found_bin, found_left, found_tied;
    h += blockIdx.x * size;
    won += blockIdx.x * size;
    u64 high = 0, low_complement = 0;
    i64 nans = 0;
    for (i64 i = threadIdx.x; i < size; i += BINS) {
        const u64 key = key_of(h[i]);
        high = max(high, key);
        low_complement = max(low_complement, ~key);
        nans += h[i] != h[i];
    }
    high = block_max(high);
    const u64 differ = high ^ ~block_max(low_complement);
    nans = block_sum(nans);
    int top = 64 - __clzll((i64)differ);
    u64 prefix = above(high, top);
    i64 left = k, tied = size;
    while (top > 0 && tied > left) {
        const int shift = max(top - 8, 0);
        bins[threadIdx.x] = 0;
        __syncthreads();
        for (i64 i = threadIdx.x; i < size; i += BINS) {
            const u64 key = key_of(h[i]);
            if (above(key, top) == prefix) atomicAdd(&bins[key >> shift & ((1 << (top - shift)) - 1)], 1);
        }
        __syncthreads();
        const int bin = BINS - 1 - threadIdx.x;  // the first thread has the largest keys
        const i64 here = bins[bin], upto = block_prefix(here);
        if (upto >= left && upto - here < left) found_bin = bin, found_left = left - (upto - here), found_tied = here;
        __syncthreads();
        prefix = prefix << (top - shift) | (u64)found_bin;
        left = found_left, tied = found_tied, top = shift;
    }
    const u64 threshold = top < 64 ? prefix << top : 0ull;
    const i64 room = left + nans;  // NaN counts as larger than the k-th largest, but leaves its place to a tie
    if (nans >= k || all_ties || tied <= room) {
        for (i64 i = threadIdx.x; i < size; i += BINS) {
            const T x = h[i];
            won[i] = nans < k && x == x && key_of(x) >= threshold && (!all_ties || x > 0);
        }
        return;
    }
    __shared__ i32 of_warp[2][BINS / 32];  // two, by turns: while one is read the other may be written to
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 before = 0;  // equal units in earlier rounds
    int turn = 0;
    for (i64 start = 0; start < size; start += ROUNDS * BINS, turn ^= 1) {
        u32 equal[ROUNDS];
        i32 of_this = 0;
        const i64 first = start + ROUNDS * 32 * warp + lane;
#pragma unroll
        for (int r = 0; r < ROUNDS; ++r) {
            const i64 i = first + 32 * r;
            equal[r] = __ballot_sync(ALL_LANES, i < size && key_of(h[i]) == threshold);
            of_this += __popc(equal[r]);
        }
        if (lane == 0) of_warp[turn][warp] = of_this;
        __syncthreads();
        i64 rank = before;
        for (int w = 0; w < BINS / 32; ++w) {
            rank += w < warp ? of_warp[turn][w] : 0;
            before += of_warp[turn][w];
        }
#pragma unroll
        for (int r = 0; r < ROUNDS; ++r) {
            const i64 i = first + 32 * r;
            if (i < size) {
                const bool wins_tie = equal[r] >> lane & 1 && rank + __popc(equal[r] & ((1u << lane) - 1)) < room;
                won[i] = wins_tie || (h[i] == h[i] && key_of(h[i]) > threshold);
            }
            rank += __popc(equal[r]);
        }
    }
}

KERNEL winners_int32(const i32* h, i64 size, i64 k, i64 all_ties, u8* won) { winners(h, size, k, all_ties, won); }
KERNEL winners_int64(const i64* h, i64 size, i64 k, i64 all_ties, u8* won) { winners(h, size, k, all_ties, won); }
KERNEL winners_float32(const f32* h, i64 size, i64 k, i64 all_ties, u8* won) { winners(h, size, k, all_ties, won); }
KERNEL winners_float64(const f64* h, i64 size, i64 k, i64 all_ties, u8* won) { winners(h, size, k, all_ties, won); }

__device__ inline f32 raised(f32 h, f32 largest, f64 gain) { return expf((f32)gain * (h - largest)); }
__device__ inline f64 raised(f64 h, f64 largest, f64 gain) { return exp(gain * (h - largest)); }
__device__ inline f64 raised(i64 h, i64 largest, f64 gain) { return exp(gain * (f64)(h - largest)); }

// exp(gain h), of which the largest is 1, over their sum; V is what differences are taken in.
template <class V, class T>
__device__ inline void soft(const T* h, i64 size, f64 gain, f32* active) {
    h += blockIdx.x * size;
    active += blockIdx.x * size;
    V most = h[0];
    for (i64 i = threadIdx.x; i < size; i += blockDim.x)
        if (h[i] > most) most = h[i];
    most = block_max(most);
    f64 sum = 0;
    for (i64 i = threadIdx.x; i < size; i += blockDim.x) sum += raised((V)h[i], most, gain);
    const f64 part = 1 / block_total(sum);
    for (i64 i = threadIdx.x; i < size; i += blockDim.x) active[i] = (f32)(raised((V)h[i], most, gain) * part);
}

KERNEL soft_int32(const i32* h, i64 size, f64 gain, f32* active) { soft<i64>(h, size, gain, active); }
KERNEL soft_int64(const i64* h, i64 size, f64 gain, f32* active) { soft<i64>(h, size, gain, active); }
KERNEL soft_float32(const f32* h, i64 size, f64 gain, f32* active) { soft<f32>(h, size, gain, active); }
KERNEL soft_float64(const f64* h, i64 size, f64 gain, f32* active) { soft<f64>(h, size, gain, active); }
