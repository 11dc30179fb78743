// Bits as bytes, as words of 64, and as active units; see bits.py. Packed words are written and read as bytes: unit 8 i + j is bit j of byte i.

__device__ inline bool whole_eights(i64 n, const void* bits) { return n % 8 == 0 && (u64)bits % 8 == 0; }

// packed[b, i]: eight booleans, of which those beyond n are 0; one thread for each byte.
KERNEL pack(const u8* bits, i64 n_patterns, i64 n, u64* words) {
    const i64 bytes = 8 * ((n + 63) / 64);
    const bool aligned = whole_eights(n, bits);
    for (i64 t = thread_number(); t < n_patterns * bytes; t += thread_count()) {
        const i64 first = t % bytes * 8;
        const u8* from = bits + t / bytes * n + first;
        u64 eight = 0;
        if (first < n && aligned)
            eight = *(const u64*)from;
        else
            for (i64 j = 0; j < 8 && first + j < n; ++j) eight |= (u64)from[j] << (8 * j);
        ((u8*)words)[t] = (u8)(eight * 0x0102040810204080ull >> 56);  // byte j of 0 or 1 comes to bit 56 + j
    }
}

// The same back: one thread for each eight booleans.
KERNEL unpack(const u64* words, i64 n_patterns, i64 n, u8* bits) {
    const i64 bytes = 8 * ((n + 63) / 64), eights = (n + 7) / 8;
    const bool aligned = whole_eights(n, bits);
    for (i64 t = thread_number(); t < n_patterns * eights; t += thread_count()) {
        const i64 b = t / eights, i = t % eights;
        const u64 spread = ((const u8*)words)[b * bytes + i] * 0x0101010101010101ull & 0x8040201008040201ull;  // bit j is left in byte j
        const u64 eight = (spread + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
        u8* to = bits + b * n + 8 * i;
        if (aligned)
            *(u64*)to = eight;
        else
            for (i64 j = 0; j < 8 && 8 * i + j < n; ++j) to[j] = (u8)(eight >> (8 * j) & 1);
    }
}

// Patterns are cut into pieces of 32 words; a warp has a piece, and counts[1 + its number] are the active units in it; counts[0] is 0 before.
KERNEL count_pieces(const u64* words, i64 n_patterns, i64 n_words, i64 n_pieces, i64* counts) {
    const int lane = threadIdx.x & 31;
    for (i64 p = thread_number() / 32; p < n_patterns * n_pieces; p += thread_count() / 32) {
        const i64 w = p % n_pieces * 32 + lane;
        i64 active = w < n_words ? __popcll(words[p / n_pieces * n_words + w]) : 0;
        for (int step = 16; step > 0; step >>= 1) active += __shfl_down_sync(ALL_LANES, active, step);
        if (lane == 0) counts[1 + p] = active;
    }
}

// units[first[p]...]: the active units of piece p, ascending; a lane begins where those of the lanes before it end.
KERNEL list_pieces(const u64* words, i64 n_patterns, i64 n_words, i64 n_pieces, const i64* first, i32* units) {
    const int lane = threadIdx.x & 31;
    for (i64 p = thread_number() / 32; p < n_patterns * n_pieces; p += thread_count() / 32) {
        const i64 w = p % n_pieces * 32 + lane;
        u64 word = w < n_words ? words[p / n_pieces * n_words + w] : 0ull;
        const int active = __popcll(word);
        int end = active;
        for (int step = 1; step < 32; step <<= 1) {
            const int before = __shfl_up_sync(ALL_LANES, end, step);
            if (lane >= step) end += before;
        }
        for (i64 place = first[p] + end - active; word; word &= word - 1) units[place++] = (i32)(64 * w + __ffsll(word) - 1);
    }
}

// words[b, w] from active units; a warp has every n_pieces-th 32 units of a pattern, words are 0 before.
KERNEL set_units(const i64* start, const i32* units, i64 n_patterns, i64 n_words, i64 n_pieces, u64* words) {
    for (i64 p = thread_number() / 32; p < n_patterns * n_pieces; p += thread_count() / 32) {
        const i64 b = p / n_pieces;
        for (i64 s = start[b] + p % n_pieces * 32 + (threadIdx.x & 31); s < start[b + 1]; s += 32 * n_pieces)
            atomicOr(&words[b * n_words + (units[s] >> 6)], 1ull << (units[s] & 63));
    }
}
