// Clipped Hebbian memory on sparse rows of gaps (kernels/sparse.py); see sparse_rows.py.

#define BLOCK 256
#define WARPS (BLOCK / 32)
#define WINDOWS 4  // stretches of 32 bytes of a row on their way at once

// The pattern that each unit belongs to, from that of units[start[0]] on; a warp a pattern.
KERNEL owners(const i64* start, i64 n_patterns, i32* owner) {
    for (i64 b = thread_number() >> 5; b < n_patterns; b += thread_count() >> 5)
        for (i64 s = start[b] + (threadIdx.x & 31); s < start[b + 1]; s += 32) owner[s - start[0]] = (i32)b;
}

// Where each of n_rows rows begins among n ascending row numbers; at the end, n.
KERNEL starts(const i32* rows, i64 n, i64 n_rows, i64* start) {
    for (i64 i = thread_number(); i <= n_rows; i += thread_count()) {
        i64 low = 0, high = n;
        while (low < high) {
            const i64 middle = (low + high) / 2;
            if (rows[middle] < i) low = middle + 1;
            else high = middle;
        }
        start[i] = low;
    }
}

// Calls visit(unit) for each unit of the row in data[at : end]; by a warp. A unit, plus 1, is the sum of what all bytes up to its last one
// add: seven bits shifted to their place in the gap, and 1 for the end of a gap. So 32 bytes are one prefix sum.
template <class Visit>
__device__ inline void each_unit(const u8* data, i64 at, i64 end, Visit visit) {
    const int lane = threadIdx.x & 31;
    i32 reached = 0, begun = 0;  // the sum so far; bytes of a gap that is not at its end
    for (; at < end; at += 32 * WINDOWS) {
        i32 bytes[WINDOWS];
#pragma unroll
        for (int k = 0; k < WINDOWS; ++k) bytes[k] = at + 32 * k + lane < end ? data[at + 32 * k + lane] : -1;
#pragma unroll
        for (int k = 0; k < WINDOWS; ++k) {
            const bool last = bytes[k] >= 0 && bytes[k] < 128;
            const u32 ends = __ballot_sync(ALL_LANES, last), below = ends & ((1u << lane) - 1);
            const int place = below ? lane - 32 + __clz(below) : lane + begun;
            i32 sum = bytes[k] < 0 ? 0 : ((bytes[k] & 127) << 7 * place) + last;
#pragma unroll
            for (int step = 1; step < 32; step <<= 1) {
                const i32 other = __shfl_up_sync(ALL_LANES, sum, step);
                if (lane >= step) sum += other;
            }
            if (last) visit(reached + sum - 1);
            reached += __shfl_sync(ALL_LANES, sum, 31);
            begun = ends ? __clz(ends) : begun + 32;
        }
    }
}

__device__ inline void mark(u64* marks, i64 unit) { atomicOr(&marks[unit >> 6], 1ull << (unit & 63)); }

__device__ inline i64 lowest(u64 word) { return __ffsll(word) - 1; }
__device__ inline i64 highest(u64 word) { return 63 - __clzll(word); }
__device__ inline int bytes_of(i64 gap) { return 1 + (gap >> 7 > 0) + (gap >> 14 > 0) + (gap >> 21 > 0) + (gap >> 28 > 0); }

// Goes through the marked units of words [from, to) after the unit `before`, by a warp: returns how many bytes their gaps take, and writes
// them from data on if `write`.
__device__ inline i64 gaps(u64* marks, i64 from, i64 to, i64 before, u8* data, bool write) {
    const int lane = threadIdx.x & 31;
    i64 at = 0;
    for (i64 w0 = from; w0 < to; w0 += 32) {
        const i64 w = w0 + lane;
        const u64 word = w < to ? marks[w] : 0ull;
        const u32 some = __ballot_sync(ALL_LANES, word != 0), below = some & ((1u << lane) - 1);
        if (!some) continue;
        const i64 top = 64 * w + (word ? highest(word) : 0);
        const i64 last_below = __shfl_sync(ALL_LANES, top, below ? 31 - __clz(below) : 0);
        const i64 first = below ? last_below : before;
        i64 size = 0, unit = first;
        for (u64 left = word; left; left &= left - 1) {
            const i64 next = 64 * w + lowest(left);
            size += bytes_of(next - unit - 1);
            unit = next;
        }
        i64 sum = size;
#pragma unroll
        for (int step = 1; step < 32; step <<= 1) {
            const i64 other = __shfl_up_sync(ALL_LANES, sum, step);
            if (lane >= step) sum += other;
        }
        if (write) {
            u8* to_byte = data + at + sum - size;
            unit = first;
            for (u64 left = word; left; left &= left - 1) {
                const i64 next = 64 * w + lowest(left);
                i64 gap = next - unit - 1;
                for (; gap >= 128; gap >>= 7) *to_byte++ = (u8)(gap & 127 | 128);
                *to_byte++ = (u8)gap;
                unit = next;
            }
        }
        before = __shfl_sync(ALL_LANES, top, 31 - __clz(some));
        at += __shfl_sync(ALL_LANES, sum, 31);
    }
    return at;
}

__device__ inline void clear(u64* marks, i64 from, i64 to) {
    for (i64 w = from + (threadIdx.x & 31); w < to; w += 32)
        if (marks[w]) marks[w] = 0ull;
}

// The highest marked unit of words [from, to), or -1; by a warp, from the end on.
__device__ inline i64 last_marked(const u64* marks, i64 from, i64 to) {
    const int lane = threadIdx.x & 31;
    for (i64 end = to; end > from; end -= 32) {
        const i64 w = end - 1 - lane;
        const u64 word = w >= from ? marks[w] : 0ull;
        const u32 some = __ballot_sync(ALL_LANES, word != 0);
        if (some) return __shfl_sync(ALL_LANES, 64 * w + (word ? highest(word) : 0), __ffs(some) - 1);
    }
    return -1;
}

// The marks of the block become the gaps of a row, and are cleared: returns how many bytes these are, and writes them if `write`. Each warp
// has a part of the words; it needs to know which unit comes before its part, and how many bytes. All threads of the block call it.
__device__ inline i64 encode(u64* marks, i64 n_words, u8* data, bool write) {
    __shared__ i64 last[WARPS], bytes[WARPS];
    const int warp = threadIdx.x >> 5;
    const i64 part = (n_words + WARPS - 1) / WARPS, from = min(n_words, warp * part), to = min(n_words, from + part);
    __syncthreads();  // all is marked
    const i64 own = last_marked(marks, from, to);
    if ((threadIdx.x & 31) == 0) last[warp] = own;
    __syncthreads();
    i64 before = -1;
    for (int w = 0; w < warp; ++w) before = max(before, last[w]);
    const i64 size = gaps(marks, from, to, before, data, false);
    if ((threadIdx.x & 31) == 0) bytes[warp] = size;
    __syncthreads();
    i64 at = 0, total = 0;
    for (int w = 0; w < WARPS; ++w) {
        at += w < warp ? bytes[w] : 0;
        total += bytes[w];
    }
    if (write) gaps(marks, from, to, before, data + at, true);
    __syncwarp();
    clear(marks, from, to);
    __syncthreads();  // all is clear
    return total;
}

// Rows of a table from visits: row i is in patterns[visits[i] : visits[i + 1]]. With write, to data[start[i]] on; else only their sizes, to
// sizes[i].
KERNEL __launch_bounds__(BLOCK) build(const i64* visits, const i32* patterns, const i64* post_start, const i32* post_units,
    i64 self_synapses, i64 n_rows, i64 n_words, u64* room, i64* sizes, const i64* start, u8* data, i64 write) {
    u64* marks = room + blockIdx.x * n_words;
    for (i64 i = blockIdx.x; i < n_rows; i += gridDim.x) {
        i64 size = 0;
        if (visits[i] < visits[i + 1]) {
            for (i64 v = visits[i] + (threadIdx.x >> 5); v < visits[i + 1]; v += WARPS) {
                const i64 b = patterns[v];
                for (i64 s = post_start[b] + (threadIdx.x & 31); s < post_start[b + 1]; s += 32)
                    if (self_synapses || post_units[s] != i) mark(marks, post_units[s]);
            }
            size = encode(marks, n_words, write ? data + start[i] : data, write);
        }
        if (!write && threadIdx.x == 0) sizes[i] = size;
    }
}

// The rows of two tables together; a row that only one of them has is copied. As in build.
KERNEL __launch_bounds__(BLOCK) merge(const i64* start_a, const u8* data_a, const i64* start_b, const u8* data_b, i64 n_rows, i64 n_words,
    u64* room, i64* sizes, const i64* start, u8* data, i64 write) {
    u64* marks = room + blockIdx.x * n_words;
    for (i64 i = blockIdx.x; i < n_rows; i += gridDim.x) {
        const i64 size_a = start_a[i + 1] - start_a[i], size_b = start_b[i + 1] - start_b[i];
        i64 size = size_a + size_b;
        if (size_a && size_b) {
            if (threadIdx.x >> 5 == 0) each_unit(data_a, start_a[i], start_a[i + 1], [&](i64 unit) { mark(marks, unit); });
            if (threadIdx.x >> 5 == 1) each_unit(data_b, start_b[i], start_b[i + 1], [&](i64 unit) { mark(marks, unit); });
            size = encode(marks, n_words, write ? data + start[i] : data, write);
        } else if (write) {
            const u8* row = size_a ? data_a + start_a[i] : data_b + start_b[i];
            for (i64 at = threadIdx.x; at < size; at += blockDim.x) data[start[i] + at] = row[at];
        }
        if (!write && threadIdx.x == 0) sizes[i] = size;
    }
}

// The k-th largest of counts (0 where there are not k above 0), eight bits at a time from the highest down; counts are at most `most`.
// All threads call it.
__device__ inline i64 kth_largest(const i32* counts, i64 n, i64 k, i64 most) {
    __shared__ i32 with_digit[256];
    int shift = 0;
    while (most >> shift > 255) shift += 8;
    i64 found = 0;
    for (; shift >= 0; shift -= 8) {
        __syncthreads();
        for (int d = threadIdx.x; d < 256; d += blockDim.x) with_digit[d] = 0;
        __syncthreads();
#pragma unroll 8
        for (i64 j = threadIdx.x; j < n; j += blockDim.x) {
            const i32 count = counts[j];
            if (count && (shift == 24 || count >> (shift + 8) == found >> (shift + 8))) atomicAdd(&with_digit[count >> shift & 255], 1);
        }
        __syncthreads();
        i64 digit = min(255ll, most >> shift), above = 0;
        while (digit > 0 && above + with_digit[digit] < k) above += with_digit[digit--];
        found |= digit << shift;
        k -= above;
    }
    return found;
}

// One block a cue: how many rows of the cue have each unit, then which units are enough for one of the k `winners`, or else in all rows; as
// words.
// room: n_words x 64 counts of 0 a block, which are 0 again at the end.
KERNEL __launch_bounds__(BLOCK) recall(const i64* start, const u8* data, i64 n_words, const i64* cue_start, const i32* cue_units,
    i64 n_cues, i64 winners, i64 k, i32* room, u64* recalled, i64* sizes) {
    const i64 n = 64 * n_words;
    const int lane = threadIdx.x & 31;
    i32* counts = room + blockIdx.x * n;
    for (i64 b = blockIdx.x; b < n_cues; b += gridDim.x) {
        const i64 n_active = cue_start[b + 1] - cue_start[b];
        for (i64 s = cue_start[b] + (threadIdx.x >> 5); s < cue_start[b + 1]; s += WARPS)
            each_unit(data, start[cue_units[s]], start[cue_units[s] + 1], [&](i64 unit) { atomicAdd(&counts[unit], 1); });
        __syncthreads();
        const i64 threshold = max(1ll, winners ? kth_largest(counts, n, k, n_active) : n_active);
        i64 size = 0;
#pragma unroll 4
        for (i64 w = threadIdx.x >> 5; w < n_words; w += WARPS) {
            i32 *low = counts + 64 * w + lane, *high = low + 32;
            const i32 count_low = *low, count_high = *high;
            const u32 word_low = __ballot_sync(ALL_LANES, count_low >= threshold), word_high = __ballot_sync(ALL_LANES,
                count_high >= threshold);
            if (count_low) *low = 0;
            if (count_high) *high = 0;
            if (lane == 0) {
                recalled[b * n_words + w] = (u64)word_high << 32 | word_low;
                size += __popc(word_low) + __popc(word_high);
            }
        }
        size = block_sum(size);
        if (threadIdx.x == 0) sizes[b] = size;
        __syncthreads();  // all counts are 0
    }
}

// The units of each cue's words, ascending, from units[first[b]] on: one block a cue, a part of the words for each warp.
KERNEL __launch_bounds__(BLOCK) list(const u64* recalled, i64 n_words, i64 n_cues, const i64* first, i32* units) {
    __shared__ i64 of_warp[WARPS];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const i64 part = (n_words + WARPS - 1) / WARPS, from = min(n_words, warp * part), to = min(n_words, from + part);
    for (i64 b = blockIdx.x; b < n_cues; b += gridDim.x) {
        const u64* words = recalled + b * n_words;
        i64 size = 0;
        for (i64 w = from + lane; w < to; w += 32) size += __popcll(words[w]);
        for (int step = 16; step > 0; step >>= 1) size += __shfl_xor_sync(ALL_LANES, size, step);
        __syncthreads();  // what the last cue left has been read
        if (lane == 0) of_warp[warp] = size;
        __syncthreads();
        i32* at = units + first[b];
        for (int w = 0; w < warp; ++w) at += of_warp[w];
        for (i64 w0 = from; w0 < to; w0 += 32) {
            const u64 word = w0 + lane < to ? words[w0 + lane] : 0ull;
            const i32 own = __popcll(word);
            i32 sum = own;
#pragma unroll
            for (int step = 1; step < 32; step <<= 1) {
                const i32 other = __shfl_up_sync(ALL_LANES, sum, step);
                if (lane >= step) sum += other;
            }
            i32* next = at + sum - own;
            for (u64 left = word; left; left &= left - 1) *next++ = (i32)(64 * (w0 + lane) + lowest(left));
            at += __shfl_sync(ALL_LANES, sum, 31);
        }
    }
}
