// Hebbian weights of bipolar units from packed patterns; see hopfield_patterns.py.

// Bits change places

#define TILE_PATTERNS 64
#define TILE_WORDS 16

// Exchange bit j of lane i for bit i of lane j, in five steps that exchange ever smaller halves.
__device__ inline u32 transposed(u32 rows) {
    const int lane = threadIdx.x & 31;
    u32 low = 0x0000ffffu;  // bits whose place has no `step` in it
    for (int step = 16; step > 0; step >>= 1, low ^= low << step) {
        const u32 other = __shfl_xor_sync(ALL_LANES, rows, step);
        rows = lane & step ? (rows & ~low) | (other >> step & low) : (rows & low) | (other & low) << step;
    }
    return rows;
}

// xt[m / 64, i] from x[m, i / 64]: a block takes 64 patterns of 1024 units; a warp takes 32 of the units at once.
KERNEL transpose(const u64* x, i64 n_patterns, i64 n_words, i64 n_units, u64* xt) {
    __shared__ u64 tile[TILE_PATTERNS][TILE_WORDS + 1];  // one more, so that lanes that read a column each use another bank
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 first_word = (i64)blockIdx.x * TILE_WORDS;
    for (i64 mw = blockIdx.y; mw * 64 < n_patterns; mw += gridDim.y) {
        __syncthreads();
        for (int t = threadIdx.x; t < TILE_PATTERNS * TILE_WORDS; t += blockDim.x) {
            const i64 m = 64 * mw + t / TILE_WORDS, w = first_word + t % TILE_WORDS;
            tile[t / TILE_WORDS][t % TILE_WORDS] = m < n_patterns && w < n_words ? x[m * n_words + w] : 0ull;
        }
        __syncthreads();
        for (int half = warp; half < 2 * TILE_WORDS; half += blockDim.x / 32) {
            const i64 first_unit = 64 * first_word + 32 * half;
            if (first_unit >= n_units) break;
            const int shift = half % 2 * 32;
            const u64 low = transposed((u32)(tile[lane][half / 2] >> shift)), high = transposed((u32)(tile[lane + 32][half / 2] >> shift));
            if (first_unit + lane < n_units) xt[mw * n_units + first_unit + lane] = low | high << 32;
        }
    }
}

// Counts of bits of pairs: a block has 64 x 64 of them, a thread 4 x 4, and of both sides 16 words at once are in shared memory

#define SIDE 64
#define DEPTH 16

struct Xor {};
struct And {};

__device__ inline u64 both(Xor, u64 a, u64 b) { return a ^ b; }
__device__ inline u64 both(And, u64 a, u64 b) { return a & b; }

// Items are rows of words, or columns; thread t reads word depth_of(t) of item side_of(t), so that neighbouring threads read neighbouring words.
struct Rows { const u64* words; i64 n_items, n_words; };
struct Columns { const u64* words; i64 n_items, n_words; };

__device__ inline u64 word_of(Rows x, i64 k, i64 i) { return i < x.n_items && k < x.n_words ? x.words[i * x.n_words + k] : 0ull; }
__device__ inline u64 word_of(Columns x, i64 k, i64 i) { return i < x.n_items && k < x.n_words ? x.words[k * x.n_items + i] : 0ull; }
__device__ inline int depth_of(Rows, int t) { return t % DEPTH; }
__device__ inline int depth_of(Columns, int t) { return t / SIDE; }
__device__ inline int side_of(Rows, int t) { return t / DEPTH; }
__device__ inline int side_of(Columns, int t) { return t % SIDE; }

// put(i, j, count) for all items i of a and j of b; blockIdx.x is for b.
template <class Both, class Items, class Put>
__device__ inline void count_pairs(Both kind, Items a, Items b, Put put) {
    __shared__ u64 of_a[DEPTH][SIDE + 1], of_b[DEPTH][SIDE + 1];
    const int column = threadIdx.x % 16, row = threadIdx.x / 16;
    const i64 first_b = (i64)blockIdx.x * SIDE;
    for (i64 first_a = (i64)blockIdx.y * SIDE; first_a < a.n_items; first_a += (i64)gridDim.y * SIDE) {
        i32 counts[4][4] = {};
        for (i64 start = 0; start < a.n_words; start += DEPTH) {
            __syncthreads();
            for (int t = threadIdx.x; t < SIDE * DEPTH; t += blockDim.x) {
                const int k = depth_of(a, t), i = side_of(a, t);
                of_a[k][i] = word_of(a, start + k, first_a + i);
                of_b[k][i] = word_of(b, start + k, first_b + i);
            }
            __syncthreads();
#pragma unroll 4
            for (int k = 0; k < DEPTH; ++k) {
                u64 x[4], y[4];
#pragma unroll
                for (int r = 0; r < 4; ++r) x[r] = of_a[k][row + 16 * r], y[r] = of_b[k][column + 16 * r];
#pragma unroll
                for (int r = 0; r < 4; ++r)
#pragma unroll
                    for (int c = 0; c < 4; ++c) counts[r][c] += __popcll(both(kind, x[r], y[c]));
            }
        }
#pragma unroll
        for (int r = 0; r < 4; ++r)
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const i64 i = first_a + row + 16 * r, j = first_b + column + 16 * c;
                if (i < a.n_items && j < b.n_items) put(i, j, counts[r][c]);
            }
    }
}

// w[i, j] = patterns less twice those in which units i and j differ, and 0 where i = j.
template <class T>
__device__ inline void hebb(const u64* xt, i64 n_patterns, i64 n_words, i64 n_units, T* w) {
    const Columns units = {xt, n_units, n_words};
    count_pairs(Xor(), units, units, [=](i64 i, i64 j, i32 differ) { w[i * n_units + j] = i == j ? (T)0 : (T)(n_patterns - 2 * (i64)differ); });
}

KERNEL hebb_int16(const u64* xt, i64 n_patterns, i64 n_words, i64 n_units, i16* w) { hebb(xt, n_patterns, n_words, n_units, w); }
KERNEL hebb_int32(const u64* xt, i64 n_patterns, i64 n_words, i64 n_units, i32* w) { hebb(xt, n_patterns, n_words, n_units, w); }

KERNEL coactivity(const u64* xt, i64 n_words, i64 n_units, i32* counted) {
    const Columns units = {xt, n_units, n_words};
    count_pairs(And(), units, units, [=](i64 i, i64 j, i32 active) { counted[i * n_units + j] = active; });
}

// found[b, m] = units less twice those in which cue and pattern differ.
KERNEL overlaps_of_many(const u64* x, i64 n_patterns, const u64* states, i64 n_cues, i64 n_words, i64 n_units, i32* found) {
    const Rows patterns = {x, n_patterns, n_words}, cues = {states, n_cues, n_words};
    count_pairs(Xor(), cues, patterns, [=](i64 b, i64 m, i32 differ) { found[b * n_patterns + m] = (i32)(n_units - 2 * (i64)differ); });
}

// The same for up to N cues in one pass over the patterns; `lanes` lanes of a warp, a power of 2, have a pattern.
template <int N>
__device__ inline void overlaps_of_few(const u64* x, i64 n_patterns, const u64* states, i64 n_cues, i64 n_words, i64 n_units, i64 lanes, i32* found) {
    const i64 per_warp = 32 / lanes, place = (threadIdx.x & 31) % lanes;
    const bool in_pairs = n_words % 2 == 0 && (u64)x % 16 == 0 && (u64)states % 16 == 0;
    for (i64 first = thread_number() / 32 * per_warp; first < n_patterns; first += thread_count() / 32 * per_warp) {
        const i64 m = first + (threadIdx.x & 31) / lanes;
        const u64* pattern = x + m * n_words;
        i32 differ[N] = {};
        if (m < n_patterns && in_pairs) {
#pragma unroll(N > 1 ? 1 : 4)
            for (i64 w = 2 * place; w < n_words; w += 2 * lanes) {
                const ulonglong2 two = *(const ulonglong2*)(pattern + w);
#pragma unroll
                for (int c = 0; c < N; ++c) {
                    const ulonglong2 cue = *(const ulonglong2*)(states + min((i64)c, n_cues - 1) * n_words + w);
                    differ[c] += __popcll(two.x ^ cue.x) + __popcll(two.y ^ cue.y);
                }
            }
        } else if (m < n_patterns) {
#pragma unroll(N > 1 ? 1 : 4)
            for (i64 w = place; w < n_words; w += lanes) {
                const u64 word = pattern[w];
#pragma unroll
                for (int c = 0; c < N; ++c) differ[c] += __popcll(word ^ states[min((i64)c, n_cues - 1) * n_words + w]);
            }
        }
#pragma unroll
        for (int c = 0; c < N; ++c) {
            for (int step = lanes / 2; step > 0; step >>= 1) differ[c] += __shfl_down_sync(ALL_LANES, differ[c], step);
            if (place == 0 && m < n_patterns && c < n_cues) found[c * n_patterns + m] = (i32)(n_units - 2 * (i64)differ[c]);
        }
    }
}

KERNEL overlaps_of_one(const u64* x, i64 n_patterns, const u64* states, i64 n_cues, i64 n_words, i64 n_units, i64 lanes, i32* found) {
    overlaps_of_few<1>(x, n_patterns, states, n_cues, n_words, n_units, lanes, found);
}
KERNEL overlaps_of_eight(const u64* x, i64 n_patterns, const u64* states, i64 n_cues, i64 n_words, i64 n_units, i64 lanes, i32* found) {
    overlaps_of_few<8>(x, n_patterns, states, n_cues, n_words, n_units, lanes, found);
}

// Inputs of all units

#define PLANES 32

// planes[b, w, p]: bit p, in two's complement, of the overlaps with the 64 patterns of word w; n_planes[b, w] of them say everything. One warp for each.
KERNEL planes_of_overlaps(const i32* overlaps, i64 n_cues, i64 n_patterns, i64 n_words, u64* planes, i32* n_planes) {
    const int lane = threadIdx.x & 31;
    for (i64 t = thread_number() / 32; t < n_cues * n_words; t += thread_count() / 32) {
        const i64 m = t % n_words * 64 + lane;
        const i32* of_cue = overlaps + t / n_words * n_patterns;
        const i32 low = m < n_patterns ? of_cue[m] : 0, high = m + 32 < n_patterns ? of_cue[m + 32] : 0;
        i32 span = (low ^ low >> 31) | (high ^ high >> 31);
        for (int step = 16; step > 0; step >>= 1) span |= __shfl_xor_sync(ALL_LANES, span, step);
        const int count = 33 - __clz(span);
        for (int p = 0; p < count; ++p) {
            const u64 first = __ballot_sync(ALL_LANES, low >> p & 1), second = __ballot_sync(ALL_LANES, high >> p & 1);
            if (lane == 0) planes[t * PLANES + p] = first | second << 32;
        }
        if (lane == 0) n_planes[t] = count;
    }
}

#define CUES 4  // that a thread sums for, from each word that it reads
#define LOW 24  // planes whose counts add up to less than 2^31

// h[b, j] = sum over m of o[b, m] where the bit of unit j is 1, twice, less all of them; one thread for each unit.
KERNEL fields(const u64* xt, i64 n_words, i64 n_units, const u64* planes, const i32* n_planes, const i64* totals, i64 n_cues, i64* h) {
    const i64 j = thread_number();
    if (j >= n_units) return;
    for (i64 first = (i64)blockIdx.y * CUES; first < n_cues; first += (i64)gridDim.y * CUES) {
        i64 sums[CUES] = {};
#pragma unroll 2
        for (i64 w = 0; w < n_words; ++w) {
            const u64 bits = xt[w * n_units + j];
#pragma unroll
            for (int c = 0; c < CUES; ++c) {
                if (first + c >= n_cues) break;
                const i64 t = (first + c) * n_words + w;
                const int top = n_planes[t] - 1;  // the highest counts against
                const u64* of_word = planes + t * PLANES;
                i32 low = 0;
                for (int p = 0; p < min(top, LOW); ++p) low += __popcll(bits & of_word[p]) << p;
                i64 sum = low - ((i64)__popcll(bits & of_word[top]) << top);
                for (int p = LOW; p < top; ++p) sum += (i64)__popcll(bits & of_word[p]) << p;
                sums[c] += sum;
            }
        }
#pragma unroll
        for (int c = 0; c < CUES; ++c)
            if (first + c < n_cues) h[(first + c) * n_units + j] = 2 * sums[c] - totals[first + c];
    }
}

// Units one after the other

// own[j] = sum over m of x_mj y_mj.
KERNEL own_weights(const u64* xt, const u64* yt, i64 n_patterns, i64 n_words, i64 n_units, i64* own) {
    for (i64 j = thread_number(); j < n_units; j += thread_count()) {
        i64 differ = 0;
        for (i64 w = 0; w < n_words; ++w) differ += __popcll(xt[w * n_units + j] ^ yt[w * n_units + j]);
        own[j] = n_patterns - 2 * differ;
    }
}

#define NEAR 10240  // patterns whose overlaps fit into shared memory
#define LEAST 4     // units of a window
#define MOST 32

// The sum of o_m where the bit of y is 1, less that where it is 0, of each step-th word from w on; o is 0 beyond the last pattern.
__device__ inline i64 agreement(const u64* y, const i32* o, i64 n_words, i64 w, i64 step, i64 words_in_i32) {
    const int lane = threadIdx.x & 31;
    i64 sum = 0;
    while (w < n_words) {
        i32 part = 0;
        const i64 stop = min(n_words, w + step * words_in_i32);
#pragma unroll 4
        for (; w < stop; w += step) {
            const u64 word = y[w] >> lane;
            const i32 first = o[64 * w + lane], second = o[64 * w + 32 + lane];
            part += word & 1 ? first : -first;
            part += word >> 32 & 1 ? second : -second;
        }
        sum += part;
    }
    return sum;
}

// One block a cue, which has its overlaps o. The inputs of the next few units to be visited are found at once, as if none of them flipped; the first
// that does flip changes o, and those after it are visited again. The window narrows where units flip and widens where they do not.
// x and y: rows of n_words, a row for each unit; overlaps (n_cues, n_patterns) change.
KERNEL __launch_bounds__(1024) settle_patterns(const u64* x, const u64* y, const i64* own, i64 n_patterns, i64 n_words, const i32* overlaps, i32* room, i64 n_units, const i32* orders, i64 n_visits, i64 max_sweeps, i8* states, i32* sweeps, i64* flips, u8* converged) {
    __shared__ i32 near_overlaps[NEAR];
    __shared__ i64 sums[2][MOST];  // two of all these, by turns: while one is read the other may be written to
    __shared__ i64 own_share[2][MOST];
    __shared__ i32 units[2][MOST], spins[2][MOST];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = blockDim.x >> 5;
    const i64 b = blockIdx.x, words_in_i32 = max((i64)1, (1ll << 29) / max((i64)1, n_units));
    i32* o = 64 * n_words <= NEAR ? near_overlaps : room + b * 64 * n_words;
    i8* s = states + b * n_units;
    const i32* order = orders + b * n_visits;
    for (i64 m = threadIdx.x; m < 64 * n_words; m += blockDim.x) o[m] = m < n_patterns ? overlaps[b * n_patterns + m] : 0;
    __syncthreads();
    i64 flipped = 0;
    i32 sweep = 0;
    bool quiet = false;
    int turn = 0, window = 2 * LEAST;
    while (sweep < max_sweeps && !quiet) {
        ++sweep;
        const i64 before = flipped;
        for (i64 k = 0; k < n_visits;) {
            const i64 visited = min((i64)window, n_visits - k);
            const int parts = max(1, n_warps / window);  // warps that share a unit's patterns
            if (threadIdx.x < visited) {
                const i32 j = order[k + threadIdx.x];
                units[turn][threadIdx.x] = j, spins[turn][threadIdx.x] = s[j], own_share[turn][threadIdx.x] = own[j] * s[j];
            }
            for (int t = warp; t < window * parts; t += n_warps) {
                i64 sum = t / parts < visited ? agreement(y + order[k + t / parts] * n_words, o, n_words, t % parts, parts, words_in_i32) : 0;
                for (int step = 16; step > 0; step >>= 1) sum += __shfl_down_sync(ALL_LANES, sum, step);
                if (lane == 0) sums[turn][t] = sum;
            }
            __syncthreads();
            bool turns = false;
            if (lane < visited) {
                i64 h = -own_share[turn][lane];
                for (int p = 0; p < parts; ++p) h += sums[turn][lane * parts + p];
                turns = h * spins[turn][lane] < 0;
            }
            const u32 turning = __ballot_sync(ALL_LANES, turns);  // the same in all warps
            if (turning) {
                const int first = __ffs(turning) - 1;
                const i64 j = units[turn][first];
                const i32 change = -2 * spins[turn][first];
                for (i64 m = threadIdx.x; m < n_patterns; m += blockDim.x) o[m] += x[j * n_words + (m >> 6)] >> (m & 63) & 1 ? change : -change;
                if (threadIdx.x == 0) s[j] = (i8)-spins[turn][first];
                ++flipped;
                k += first + 1;
                window = max(LEAST, window / 2);
                __syncthreads();
            } else {
                k += visited;
                window = min(MOST, 2 * window);
            }
            turn ^= 1;
        }
        quiet = flipped == before;
    }
    if (threadIdx.x == 0) sweeps[b] = sweep, flips[b] = flipped, converged[b] = quiet;
}
