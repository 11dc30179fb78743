// Reads of a dense associative memory; see dense.py.

#define ROWS 256

// The sum over a warp, in one order, known to lane 0.
__device__ inline f64 warp_sum(f64 value) {
    for (int step = 16; step > 0; step >>= 1) value += __shfl_down_sync(ALL_LANES, value, step);
    return value;
}

// The sum over all threads of a block, in one order, known to thread 0; every thread of the block calls it.
__device__ inline f64 block_sum_f64(f64 value) {
    __shared__ f64 of_warp[32];
    value = warp_sum(value);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) of_warp[threadIdx.x >> 5] = value;
    __syncthreads();
    f64 total = 0;
    for (int w = 0; w < (blockDim.x + 31) >> 5; ++w) total += of_warp[w];
    return total;
}

#define EACH 4                     // units of a thread: 256 threads have 1,024, or 16 words
#define WORDS (EACH * ROWS / 64)

// differ[q, chunk, i]: the sum of v over the patterns of the chunk that differ from state q in unit i; total[q, chunk]: that of w over all.
// v and w begin at the distance nearest[q] and are 0 beyond their ends. 256 threads; x: cues and sixteens of words, y: chunks.
// The rows of a block of patterns with v != 0 are brought together, their bits that differ in shared memory: four rows to a uint4.
KERNEL add_differing(const u64* blocks, i64 n_words, i64 n_patterns, i64 n_chunk, const u64* states, const i32* found, const i32* nearest, const f64* v, const f64* w, i64 n_table, f64* differ, f64* total) {
    __shared__ uint4 bits[2 * WORDS][ROWS / 4];
    __shared__ f64 weight[ROWS];
    __shared__ int row[ROWS];
    const i64 n_splits = (n_words + WORDS - 1) / WORDS, q = blockIdx.x / n_splits, first_word = blockIdx.x % n_splits * WORDS;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_here = (int)min((i64)WORDS, n_words - first_word);
    f64 sum[EACH], whole = 0;
#pragma unroll
    for (int e = 0; e < EACH; ++e) sum[e] = 0;
    for (i64 at = blockIdx.y * n_chunk; at < min((blockIdx.y + 1) * n_chunk, n_patterns); at += ROWS) {
        const i64 m = at + threadIdx.x, place_of_v = m < n_patterns ? found[q * n_patterns + m] - nearest[q] : n_table;
        const f64 mine = place_of_v < n_table ? v[place_of_v] : 0.0;
        if (place_of_v < n_table) whole += w[place_of_v];
        int kept;
        const int place = block_rank(mine != 0.0, kept), padded = (kept + 3) & ~3;
        if (mine != 0.0) {
            weight[place] = mine;
            row[place] = threadIdx.x;
        }
        if (kept + threadIdx.x < padded) {
            weight[kept + threadIdx.x] = 0.0;
            row[kept + threadIdx.x] = 0;
        }
        __syncthreads();
        for (int c = warp; c < n_here; c += ROWS / 32) {
            const u64* words = blocks + (at / ROWS * n_words + first_word + c) * ROWS;
            const u64 state = states[q * n_words + first_word + c];
            u32* low = (u32*)bits[2 * c];
            u32* high = (u32*)bits[2 * c + 1];
            for (int j = lane; j < padded; j += 32) {
                const u64 differing = words[row[j]] ^ state;
                low[j] = (u32)differing;
                high[j] = (u32)(differing >> 32);
            }
        }
        __syncthreads();
        const u32 unit = 1u << lane;
        for (int j = 0; j < padded; j += 4)
#pragma unroll
            for (int e = 0; e < EACH; ++e)
                if (4 * e < n_here) {
                    const uint4 four = bits[8 * e + warp][j / 4];
                    if (four.x & unit) sum[e] += weight[j];
                    if (four.y & unit) sum[e] += weight[j + 1];
                    if (four.z & unit) sum[e] += weight[j + 2];
                    if (four.w & unit) sum[e] += weight[j + 3];
                }
    }
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
        const i64 i = first_word * 64 + e * ROWS + threadIdx.x;
        if (i < 64 * n_words) differ[(q * gridDim.y + blockIdx.y) * 64 * n_words + i] = sum[e];
    }
    whole = block_sum_f64(whole);
    if (first_word == 0 && threadIdx.x == 0) total[q * gridDim.y + blockIdx.y] = whole;
}

__device__ inline f64 sum_of_chunks(const f64* parts, i64 n_chunks, i64 stride) {
    f64 sum = 0;
#pragma unroll 16
    for (i64 c = 0; c < n_chunks; ++c) sum += parts[c * stride];
    return sum;
}

// What the chunks of a cue add up to, for unit i of cue blockIdx.y: D_i, W, and the sign of its state.
struct Sums { f64 differ, total, sign; };
__device__ inline Sums sums(const f64* differ, const f64* total, i64 n_chunks, const u64* states, i64 n_words, i64 q, i64 i) {
    return {sum_of_chunks(differ + q * n_chunks * 64 * n_words + i, n_chunks, 64 * n_words), sum_of_chunks(total + q * n_chunks, n_chunks, 1),
            states[q * n_words + i / 64] >> (i % 64) & 1 ? 1.0 : -1.0};
}

// x: units, y: cues, in all that follow.
KERNEL softmax(const f64* differ, const f64* total, i64 n_chunks, const u64* states, i64 n_words, i64 n_units, f32* values, f64* whole) {
    const i64 q = blockIdx.y, i = thread_number();
    if (i >= n_units) return;
    const Sums of = sums(differ, total, n_chunks, states, n_words, q, i);
    values[q * n_units + i] = (f32)(of.sign * (1 - 2 * of.differ / of.total));
    if (i == 0) whole[q] = of.total;
}

KERNEL polynomial(const f64* differ, const f64* total, i64 n_chunks, const u64* states, i64 n_words, i64 n_units, f64* fields, f64* whole, i64 exponent) {
    const i64 q = blockIdx.y, i = thread_number();
    if (i >= n_units) return;
    const Sums of = sums(differ, total, n_chunks, states, n_words, q, i);
    fields[q * n_units + i] = ldexp(of.sign * (of.total - of.differ), (int)exponent);
    if (i == 0) whole[q] = of.total;
}

KERNEL exponential(const f64* differ, const f64* total, i64 n_chunks, const u64* states, i64 n_words, i64 n_units, f64* fields, f64* whole, f64 factor, f64 step) {
    const i64 q = blockIdx.y, i = thread_number();
    if (i >= n_units) return;
    const Sums of = sums(differ, total, n_chunks, states, n_words, q, i);
    fields[q * n_units + i] = step * of.sign * (factor * (of.total - of.differ) - of.differ);
    if (i == 0) whole[q] = of.total;
}

#define SCORED 4      // rows, and cues, of a warp that scores: each number read is used four times

// found[q, m] = beta patterns[m] . states[q]; 256 threads, a warp for four rows and four cues; x: cues, then rows.
KERNEL __launch_bounds__(256, 3) scores(const f32* patterns, i64 n_patterns, i64 n_units, const f64* states, i64 n_cues, f64 beta, f64* found) {
    const i64 n_tiles = (n_cues + SCORED - 1) / SCORED;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 first_cue = blockIdx.x % n_tiles * SCORED, first = (blockIdx.x / n_tiles * (blockDim.x / 32) + warp) * SCORED;
    if (first >= n_patterns) return;  // the whole warp
    const f32* row[SCORED];
    const f64* cue[SCORED];
    f64 sum[SCORED][SCORED];
#pragma unroll
    for (int r = 0; r < SCORED; ++r) {
        row[r] = patterns + min(first + r, n_patterns - 1) * n_units;
        cue[r] = states + min(first_cue + r, n_cues - 1) * n_units;
#pragma unroll
        for (int c = 0; c < SCORED; ++c) sum[r][c] = 0;
    }
#pragma unroll 2
    for (i64 i = lane; i < n_units; i += 32) {
        f64 x[SCORED], s[SCORED];
#pragma unroll
        for (int r = 0; r < SCORED; ++r) x[r] = row[r][i], s[r] = cue[r][i];
#pragma unroll
        for (int r = 0; r < SCORED; ++r)
#pragma unroll
            for (int c = 0; c < SCORED; ++c) sum[r][c] = __fma_rn(x[r], s[c], sum[r][c]);
    }
#pragma unroll
    for (int r = 0; r < SCORED; ++r)
#pragma unroll
        for (int c = 0; c < SCORED; ++c) {
            const f64 dot = warp_sum(sum[r][c]);
            if (lane == 0 && first + r < n_patterns && first_cue + c < n_cues) found[(first_cue + c) * n_patterns + first + r] = beta * dot;
        }
}

#define TOGETHER 8  // cues that share what is read of the patterns, and rows that are on their way at once

// read[q, chunk, i]: the sum of exp(found - top) x_mi over the patterns of the chunk with found >= top - depth; total[q, chunk]: without x_mi.
// 256 threads; x: cues in eights and columns, y: chunks. Warp q weighs 32 rows for cue q, then every thread adds them to its column.
KERNEL add_weighted(const f32* patterns, i64 n_patterns, i64 n_units, i64 n_chunk, const f64* found, i64 n_cues, const f64* top, f64 depth, f64* read, f64* total) {
    __shared__ f64 weight[TOGETHER][32];
    __shared__ u32 heavy[TOGETHER];
    const i64 n_tiles = (n_cues + TOGETHER - 1) / TOGETHER, first_cue = blockIdx.x % n_tiles * TOGETHER;
    const i64 i = blockIdx.x / n_tiles * blockDim.x + threadIdx.x, column = min(i, n_units - 1);
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 q = first_cue + warp, stop = min((blockIdx.y + 1) * n_chunk, n_patterns);
    const f64 highest = q < n_cues ? top[q] : 0.0;
    f64 sum[TOGETHER], whole = 0;
#pragma unroll
    for (int c = 0; c < TOGETHER; ++c) sum[c] = 0;
    for (i64 at = blockIdx.y * n_chunk; at < stop; at += 32) {
        f64 mine = 0;
        if (q < n_cues && at + lane < stop) {
            const f64 score = found[q * n_patterns + at + lane];
            if (!(score < highest - depth)) mine = exp(score - highest);  // what is not a number goes on to the result
        }
        whole += mine;
        const u32 some = __ballot_sync(ALL_LANES, mine != 0.0);
        __syncthreads();  // the weights of the rows before may still be read
        weight[warp][lane] = mine;
        if (lane == 0) heavy[warp] = some;
        __syncthreads();
        u32 any = 0;
#pragma unroll
        for (int c = 0; c < TOGETHER; ++c) any |= heavy[c];
        for (int r = 0; r < 32; r += TOGETHER) {
            if (!(any >> r & ((1u << TOGETHER) - 1))) continue;
            f64 x[TOGETHER];
#pragma unroll
            for (int k = 0; k < TOGETHER; ++k) x[k] = patterns[min(at + r + k, n_patterns - 1) * n_units + column];
#pragma unroll
            for (int k = 0; k < TOGETHER; ++k)
#pragma unroll
                for (int c = 0; c < TOGETHER; ++c) sum[c] = __fma_rn(weight[c][r + k], x[k], sum[c]);
        }
    }
    whole = warp_sum(whole);
    if (lane == 0 && q < n_cues && blockIdx.x < n_tiles) total[q * gridDim.y + blockIdx.y] = whole;
#pragma unroll
    for (int c = 0; c < TOGETHER; ++c)
        if (first_cue + c < n_cues && i < n_units) read[((first_cue + c) * gridDim.y + blockIdx.y) * n_units + i] = sum[c];
}

KERNEL mean(const f64* read, const f64* total, i64 n_chunks, i64 n_units, f32* values, f64* whole) {
    const i64 q = blockIdx.y, i = thread_number();
    if (i >= n_units) return;
    const f64 all = sum_of_chunks(total + q * n_chunks, n_chunks, 1);
    values[q * n_units + i] = (f32)(sum_of_chunks(read + q * n_chunks * n_units + i, n_chunks, n_units) / all);
    if (i == 0) whole[q] = all;
}
