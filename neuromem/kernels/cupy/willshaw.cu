// Clipped Hebbian memory on a table of bits, u64 (n_pre, n_words); see willshaw.py.

// Set the bits of all pairs of pattern blockIdx.x: one thread a pair.
KERNEL store(u64* table, i64 n_words, const i64* pre_start, const i32* pre_units, const i64* post_start, const i32* post_units) {
    const i64 b = blockIdx.x;
    const i64 n_post = post_start[b + 1] - post_start[b], n_pairs = (pre_start[b + 1] - pre_start[b]) * n_post;
    for (i64 p = threadIdx.x; p < n_pairs; p += blockDim.x) {
        const i64 i = pre_units[pre_start[b] + p / n_post], j = post_units[post_start[b] + p % n_post];
        atomicOr(&table[i * n_words + (j >> 6)], 1ull << (j & 63));
    }
}

// The AND of the rows of a cue, for one word of it.
__device__ inline u64 common(const u64* table, i64 n_words, const i32* units, i64 start, i64 stop, i64 w) {
    u64 both = start < stop ? ~0ull : 0ull;
#pragma unroll 8
    for (i64 s = start; s < stop; ++s) both &= table[units[s] * n_words + w];  // independent loads, several on their way at once
    return both;
}

// recalled[b, w]: units that all active units of the cue connect to; x: words, y: cues.
KERNEL recall_all(const u64* table, i64 n_words, const i64* start, const i32* units, i64 n_cues, u64* recalled) {
    for (i64 b = blockIdx.y; b < n_cues; b += gridDim.y)
        for (i64 w = thread_number(); w < n_words; w += thread_count())
            recalled[b * n_words + w] = common(table, n_words, units, start[b], start[b + 1], w);
}

__device__ inline void add(u64 a, u64 b, u64 c, u64& low, u64& high) {
    const u64 differ = a ^ b;
    low = differ ^ c;
    high = a ^ (differ & (a ^ c));
}

#define PLANES 32

// Bit p of the counts of the 64 units of word w goes to planes[p]; seven rows are added by full adders, then their sum to the rest.
__device__ inline void count(const u64* table, i64 n_words, const i32* units, i64 start, i64 stop, i64 w, int n_planes, u64* planes) {
#pragma unroll
    for (int p = 0; p < PLANES; ++p) planes[p] = 0;
    for (i64 s = start; s < stop; s += 7) {
        u64 r[7];
#pragma unroll
        for (int k = 0; k < 7; ++k) r[k] = s + k < stop ? table[units[s + k] * n_words + w] : 0ull;
        u64 one0, one1, two0, two1, two2, one, two, four, carry;
        add(r[0], r[1], r[2], one0, two0);
        add(r[3], r[4], r[5], one1, two1);
        add(one0, one1, r[6], one, two2);
        add(two0, two1, two2, two, four);
        add(planes[0], one, 0ull, planes[0], carry);
        add(planes[1], two, carry, planes[1], carry);
        add(planes[2], four, carry, planes[2], carry);
#pragma unroll
        for (int p = 3; p < PLANES; ++p)
            if (p < n_planes) {
                const u64 old = planes[p];
                planes[p] = old ^ carry;
                carry &= old;
            }
    }
}

__device__ inline int bits_of(i64 number) { return number > 0 ? 64 - __clzll(number) : 0; }
__device__ inline int planes_for(i64 rows) { return max(3, bits_of(rows)); }

// counted[b, j] for all units j < n_post.
KERNEL counts(const u64* table, i64 n_words, const i64* start, const i32* units, i64 n_cues, i64 n_post, i32* counted) {
    for (i64 b = blockIdx.y; b < n_cues; b += gridDim.y)
        for (i64 w = thread_number(); w < n_words; w += thread_count()) {
            u64 planes[PLANES];
            count(table, n_words, units, start[b], start[b + 1], w, planes_for(start[b + 1] - start[b]), planes);
            for (int j = 0; j < 64 && 64 * w + j < n_post; ++j) {
                i32 c = 0;
#pragma unroll
                for (int p = 0; p < PLANES - 1; ++p) c |= (i32)((planes[p] >> j) & 1) << p;
                counted[b * n_post + 64 * w + j] = c;
            }
        }
}

// recalled[b, w]: units with a count of at least thresholds[b], compared from the lowest bit up.
KERNEL recall_threshold(const u64* table, i64 n_words, const i64* start, const i32* units, i64 n_cues, const i64* thresholds, u64* recalled) {
    for (i64 b = blockIdx.y; b < n_cues; b += gridDim.y)
        for (i64 w = thread_number(); w < n_words; w += thread_count()) {
            u64 planes[PLANES], chosen = ~0ull;
            const i64 threshold = thresholds[b], rows = start[b + 1] - start[b];
            count(table, n_words, units, start[b], start[b + 1], w, planes_for(rows), planes);
#pragma unroll
            for (int p = 0; p < PLANES; ++p) chosen = threshold >> p & 1 ? chosen & planes[p] : chosen | planes[p];
            recalled[b * n_words + w] = threshold > rows ? 0ull : chosen;
        }
}

// One block a cue. Where k units or more connect to the whole cue, these have the k-th largest count, and nothing is counted.
// Otherwise the k-th largest count is found bit by bit from the highest plane down; planes is room for (n_planes, n_words) words a block.
KERNEL recall_winners(const u64* table, i64 n_words, const i64* start, const i32* units, i64 n_cues, i64 k, i64 n_planes, u64* planes_room, u64* tied_room, u64* recalled) {
    u64* planes = planes_room + blockIdx.x * n_planes * n_words;
    u64* tied = tied_room + blockIdx.x * n_words;
    for (i64 b = blockIdx.x; b < n_cues; b += gridDim.x) {
        u64* won = recalled + b * n_words;
        i64 complete = 0;
        for (i64 w = threadIdx.x; w < n_words; w += blockDim.x) {
            won[w] = common(table, n_words, units, start[b], start[b + 1], w);
            complete += __popcll(won[w]);
        }
        if (block_sum(complete) >= k) continue;
        const int n_used = planes_for(start[b + 1] - start[b]);
        for (i64 w = threadIdx.x; w < n_words; w += blockDim.x) {  // each thread goes on with its own words only
            u64 of_word[PLANES];
            count(table, n_words, units, start[b], start[b + 1], w, n_used, of_word);
#pragma unroll
            for (int p = 0; p < PLANES; ++p)
                if (p < n_used) planes[p * n_words + w] = of_word[p];
            tied[w] = ~0ull;
            won[w] = 0ull;
        }
        i64 left = k;
        bool some = false;
        for (int p = n_used - 1; p >= 0; --p) {
            i64 mine = 0;
            for (i64 w = threadIdx.x; w < n_words; w += blockDim.x) mine += __popcll(tied[w] & planes[p * n_words + w]);
            const i64 larger = block_sum(mine);
            const bool set = larger >= left;
            some |= set;
            for (i64 w = threadIdx.x; w < n_words; w += blockDim.x) {
                const u64 plane = planes[p * n_words + w];
                if (set) {
                    tied[w] &= plane;
                } else {
                    won[w] |= tied[w] & plane;
                    tied[w] &= ~plane;
                }
            }
            if (!set) left -= larger;
        }
        if (some)  // else the k-th largest count is 0
            for (i64 w = threadIdx.x; w < n_words; w += blockDim.x) won[w] |= tied[w];
    }
}
