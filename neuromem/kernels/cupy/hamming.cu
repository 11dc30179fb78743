// Exact best match of packed patterns in blocks, u64 (n_blocks, n_words, 256); see hamming.py.

#define ROWS 256
#define PAIRS (ROWS / 2)  // threads that count a block: each has two of its rows, 16 bytes a word
#define SECTOR 4          // words of a packed row that are read or written by one thread: 32 bytes

// Distance and index in one number, ordered by distance, then index. A device has no room for 2^35 patterns, of one word each.
#define INDEX_BITS 35
__device__ inline u64 key_of(i64 distance, i64 index) { return (u64)distance << INDEX_BITS | (u64)index; }
__device__ inline i64 index_of(u64 key) { return (i64)(key & ((1ull << INDEX_BITS) - 1)); }
__device__ inline i32 distance_of(u64 key) { return (i32)(key >> INDEX_BITS); }

#define NOTHING (~0ull)
#define NONE 0x7fffffff

// The least over all threads of a block, known to each of them; every thread of the block calls it.
__device__ inline u64 block_least(u64 value) {
    __shared__ u64 of_warp[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = (blockDim.x + 31) >> 5;
    for (int step = 16; step > 0; step >>= 1) value = min(value, __shfl_down_sync(ALL_LANES, value, step));
    __syncthreads();  // what an earlier call left may still be read
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    u64 least = of_warp[0];
#pragma unroll 1
    for (int w = 1; w < n_warps; ++w) least = min(least, of_warp[w]);
    return least;
}

// Packed rows (n, n_words) become the patterns at, at + 1 ... of the blocks; x: rows, y: sectors of a row.
KERNEL place(const u64* words, i64 n, i64 n_words, i64 at, u64* blocks) {
    const i64 i = thread_number();
    if (i >= n) return;
    const i64 b = (at + i) / ROWS, r = (at + i) % ROWS;
    for (i64 first = SECTOR * blockIdx.y; first < n_words; first += SECTOR * gridDim.y)
#pragma unroll
        for (int s = 0; s < SECTOR; ++s)
            if (first + s < n_words) blocks[(b * n_words + first + s) * ROWS + r] = words[i * n_words + first + s];
}

// The patterns at index (n) become packed rows (n, n_words); x: rows, y: sectors of a row.
KERNEL take(const u64* blocks, i64 n_words, const i64* index, i64 n, u64* words) {
    const i64 i = thread_number();
    if (i >= n) return;
    const i64 b = index[i] / ROWS, r = index[i] % ROWS;
    for (i64 first = SECTOR * blockIdx.y; first < n_words; first += SECTOR * gridDim.y)
#pragma unroll
        for (int s = 0; s < SECTOR; ++s)
            if (first + s < n_words) words[i * n_words + first + s] = blocks[(b * n_words + first + s) * ROWS + r];
}

// How many bits of the first n_counted words differ between the two rows of this thread and Q cues.
template <int Q>
__device__ inline void count(const u64* rows, i64 n_counted, const u64* cues, i64 n_words, i32 (&low)[Q], i32 (&high)[Q]) {
    const ulonglong2* pairs = (const ulonglong2*)rows + threadIdx.x;
#pragma unroll
    for (int q = 0; q < Q; ++q) low[q] = high[q] = 0;
#pragma unroll 4
    for (i64 w = 0; w < n_counted; ++w) {
        const ulonglong2 two = pairs[w * PAIRS];
#pragma unroll
        for (int q = 0; q < Q; ++q) {
            const u64 cue = __ldg(cues + q * n_words + w);  // one address for all threads
            low[q] += __popcll(two.x ^ cue);
            high[q] += __popcll(two.y ^ cue);
        }
    }
}

// Cues are taken in tiles of 1, 2, 4 or 8, at most as many as there are; the last tile may repeat some of the one before. Block x has
// tile x % n_tiles, so that blocks that run side by side share what they read of the patterns.
__device__ inline i64 tiles(i64 n_cues, i64 tile) { return (n_cues + tile - 1) / tile; }
__device__ inline i64 first_cue(i64 n_cues, i64 tile) { return min(blockIdx.x % tiles(n_cues, tile) * tile, n_cues - tile); }

#define BY_TILE(function, ...)                        \
    switch (tile) {                                   \
        case 1: function<1>(__VA_ARGS__); break;      \
        case 2: function<2>(__VA_ARGS__); break;      \
        case 4: function<4>(__VA_ARGS__); break;      \
        default: function<8>(__VA_ARGS__);            \
    }

template <int Q>
__device__ inline void write_distances(const u64* blocks, i64 n_words, i64 n_patterns, const u64* cues, i64 b, i32* found) {
    i32 low[Q], high[Q];
    count<Q>(blocks + b * n_words * ROWS, n_words, cues, n_words, low, high);
    const i64 m = b * ROWS + 2 * threadIdx.x;
#pragma unroll
    for (int q = 0; q < Q; ++q) {
        if (m < n_patterns) found[q * n_patterns + m] = low[q];
        if (m + 1 < n_patterns) found[q * n_patterns + m + 1] = high[q];
    }
}

// found[q, m]; a block of threads for every block of patterns and tile of cues.
KERNEL distances(const u64* blocks, i64 n_words, i64 n_patterns, const u64* cues, i64 n_cues, i64 tile, i32* found) {
    const i64 q = first_cue(n_cues, tile), b = blockIdx.x / tiles(n_cues, tile);
    BY_TILE(write_distances, blocks, n_words, n_patterns, cues + q * n_words, b, found + q * n_patterns)
}

template <int Q>
__device__ inline void write_lowest(const u64* blocks, i64 n_words, i64 n_counted, i64 n_patterns, const u64* cues, i64 b, i64 n_blocks, i32* lowest) {
    i32 low[Q], high[Q];
    count<Q>(blocks + b * n_words * ROWS, n_counted, cues, n_words, low, high);
    const i64 m = b * ROWS + 2 * threadIdx.x;
#pragma unroll
    for (int q = 0; q < Q; ++q) {
        u64 least = m < n_patterns ? (u64)low[q] : NOTHING;
        if (m + 1 < n_patterns) least = min(least, (u64)high[q]);
        least = block_least(least);
        if (threadIdx.x == 0) lowest[q * n_blocks + b] = (i32)least;
    }
}

// lowest[q, b]; as distances, in the first n_counted words.
KERNEL lowest_distances(const u64* blocks, i64 n_words, i64 n_counted, i64 n_patterns, const u64* cues, i64 n_cues, i64 tile, i32* lowest) {
    const i64 q = first_cue(n_cues, tile), b = blockIdx.x / tiles(n_cues, tile), n_blocks = (n_patterns + ROWS - 1) / ROWS;
    BY_TILE(write_lowest, blocks, n_words, n_counted, n_patterns, cues + q * n_words, b, n_blocks, lowest + q * n_blocks)
}

template <int Q>
__device__ inline void write_nearest(const u64* blocks, i64 n_words, i64 n_patterns, const u64* cues, i64 group, i64 n_groups, u64* best) {
    u64 least[Q];
#pragma unroll
    for (int q = 0; q < Q; ++q) least[q] = NOTHING;
    for (i64 b = group; b * ROWS < n_patterns; b += n_groups) {
        i32 low[Q], high[Q];
        count<Q>(blocks + b * n_words * ROWS, n_words, cues, n_words, low, high);
        const i64 m = b * ROWS + 2 * threadIdx.x;
#pragma unroll
        for (int q = 0; q < Q; ++q) {
            if (m < n_patterns) least[q] = min(least[q], key_of(low[q], m));
            if (m + 1 < n_patterns) least[q] = min(least[q], key_of(high[q], m + 1));
        }
    }
#pragma unroll
    for (int q = 0; q < Q; ++q) {
        const u64 key = block_least(least[q]);
        if (threadIdx.x == 0) best[q] = key;
    }
}

// best[g, q]: the key of the nearest pattern in every n_groups-th block from g on.
KERNEL nearest(const u64* blocks, i64 n_words, i64 n_patterns, const u64* cues, i64 n_cues, i64 tile, i64 n_groups, u64* best) {
    const i64 q = first_cue(n_cues, tile), group = blockIdx.x / tiles(n_cues, tile);
    BY_TILE(write_nearest, blocks, n_words, n_patterns, cues + q * n_words, group, n_groups, best + group * n_cues + q)
}

// The nearest of all groups; a block a cue.
KERNEL nearest_of_groups(const u64* best, i64 n_groups, i64 n_cues, i64* index, i32* distance) {
    const i64 q = blockIdx.x;
    u64 key = NOTHING;
    for (i64 g = threadIdx.x; g < n_groups; g += blockDim.x) key = min(key, best[g * n_cues + q]);
    key = block_least(key);
    if (threadIdx.x) return;
    index[q] = key == NOTHING ? -1 : index_of(key);
    distance[q] = key == NOTHING ? NONE : distance_of(key);
}

// The k-th lowest distance of a cue is found digit by digit from the highest: kth has the digits known so far, and left is the place
// among the distances that begin with them.
#define DIGIT 11
#define BINS (1 << DIGIT)

// counts[q, d]: how many of the distances that begin with kth[q] go on with d; x: parts of the patterns, y: cues.
KERNEL histogram(const i32* found, i64 n_patterns, i64 n_part, i64 shift, const i64* kth, u64* counts) {
    __shared__ u32 bins[BINS];
    const i64 q = blockIdx.y, stop = min((blockIdx.x + 1) * n_part, n_patterns), begins = kth[q];
    for (int d = threadIdx.x; d < BINS; d += blockDim.x) bins[d] = 0;
    __syncthreads();
#pragma unroll 4
    for (i64 m = blockIdx.x * n_part + threadIdx.x; m < stop; m += blockDim.x) {
        const i64 distance = found[q * n_patterns + m];
        if (distance >> (shift + DIGIT) == begins) atomicAdd(&bins[distance >> shift & (BINS - 1)], 1u);
    }
    __syncthreads();
    for (int d = threadIdx.x; d < BINS; d += blockDim.x)
        if (bins[d]) atomicAdd(&counts[q * BINS + d], (u64)bins[d]);
}

// One more digit of kth, by bisection of the counts, which are 0 then; a block a cue.
KERNEL next_digit(u64* counts, i64* kth, i64* left) {
    u64* mine = counts + blockIdx.x * BINS;
    i64 digit = 0, place = left[blockIdx.x];
    for (int half = BINS / 2; half > 0; half >>= 1) {
        i64 lower = 0;
        for (i64 d = digit + threadIdx.x; d < digit + half; d += blockDim.x) lower += mine[d];
        lower = block_sum(lower);  // all threads have read their counts when it returns
        if (lower < place) {
            place -= lower;
            digit += half;
        }
    }
    for (int d = threadIdx.x; d < BINS; d += blockDim.x) mine[d] = 0;
    if (threadIdx.x == 0) {
        kth[blockIdx.x] = kth[blockIdx.x] << DIGIT | digit;
        left[blockIdx.x] = place;
    }
}

// below[q, p], equal[q, p]: how many distances of part p are below the k-th, and equal to it; x: parts, y: cues.
KERNEL tally(const i32* found, i64 n_patterns, i64 n_part, const i64* kth, i64* below, i64* equal) {
    const i64 q = blockIdx.y, stop = min((blockIdx.x + 1) * n_part, n_patterns), last = kth[q];
    i64 less = 0, same = 0;
#pragma unroll 4
    for (i64 m = blockIdx.x * n_part + threadIdx.x; m < stop; m += blockDim.x) {
        const i64 distance = found[q * n_patterns + m];
        less += distance < last;
        same += distance == last;
    }
    less = block_sum(less);
    same = block_sum(same);
    if (threadIdx.x) return;
    below[q * gridDim.x + blockIdx.x] = less;
    equal[q * gridDim.x + blockIdx.x] = same;
}

// keys[q, :k]: all that is below the k-th distance in order of index, then the first left[q] that are equal to it; x: parts, y: cues.
KERNEL gather(const i32* found, i64 n_patterns, i64 n_part, const i64* kth, const i64* left, const i64* below, const i64* equal, i64 k, u64* keys) {
    const i64 q = blockIdx.y, p = blockIdx.x, stop = min((p + 1) * n_part, n_patterns), last = kth[q], wanted = left[q];
    below += q * gridDim.x;
    equal += q * gridDim.x;
    if (below[p] + equal[p] == 0) return;
    i64 less = 0, same = 0;
    for (i64 earlier = threadIdx.x; earlier < p; earlier += blockDim.x) {
        less += below[earlier];
        same += equal[earlier];
    }
    less = block_sum(less);
    same = block_sum(same);
    if (below[p] == 0 && same >= wanted) return;
    for (i64 first = p * n_part; first < stop; first += blockDim.x) {
        const i64 m = first + threadIdx.x, distance = m < stop ? found[q * n_patterns + m] : NONE;
        const bool is_less = distance < last, is_same = distance == last;
        int n_less, n_same;
        const i64 place = less + block_rank(is_less, n_less), place_same = same + block_rank(is_same, n_same);
        if (is_less) keys[q * k + place] = key_of(distance, m);
        if (is_same && place_same < wanted) keys[q * k + k - wanted + place_same] = key_of(distance, m);
        less += n_less;
        same += n_same;
    }
}

// Every key to its place: its rank where it is below the k-th distance, and where it is, beyond; x: places up to n_wanted, y: cues.
KERNEL order(const u64* keys, i64 k, const i64* left, i64 n_wanted, i64* index, i32* distance) {
    const i64 q = blockIdx.y, j = thread_number();
    if (j >= n_wanted) return;
    i64 place = j;
    const u64 key = j < k ? keys[q * k + j] : NOTHING;
    if (j < k - left[q]) {
        place = 0;
#pragma unroll 4
        for (i64 other = 0; other < k - left[q]; ++other) place += keys[q * k + other] < key;
    }
    index[q * n_wanted + place] = key == NOTHING ? -1 : index_of(key);
    distance[q * n_wanted + place] = key == NOTHING ? NONE : distance_of(key);
}
