// Hebbian updates of one table of 8-bit weights; see counters.py.

#define TILE 128  // rows and columns of a block's tile: 8 x 32 threads, each with 16 neighbours of 4 rows
#define DEPTH 8   // fours of pairs in shared memory at a time

// Four pairs of one row or column, x[b, i] for b from first on, as the bytes of a word; 0 beyond the ends.
__device__ inline u32 four_pairs(const i8* x, i64 n_pairs, i64 n, i64 first, i64 i) {
    u32 word = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k)
        if (first + k < n_pairs && i < n) word |= (u32)(u8)x[(first + k) * n + i] << 8 * k;
    return word;
}

struct Sixteen {
    u32 words[4];
};

// 16 neighbours of a row, of which n are inside: as 16 bytes where rows are aligned (WIDE), else one by one.
template <bool WIDE>
__device__ inline Sixteen load(const i8* at, int n) {
    Sixteen a = {};
    if constexpr (WIDE) {
        const uint4 x = *(const uint4*)at;
        a = {{x.x, x.y, x.z, x.w}};
    } else {
#pragma unroll
        for (int c = 0; c < 16; ++c)
            if (c < n) a.words[c / 4] |= (u32)(u8)at[c] << 8 * (c % 4);
    }
    return a;
}

template <bool WIDE>
__device__ inline void store(i8* at, int n, const Sixteen& a) {
    if constexpr (WIDE) {
        uint4 x;
        x.x = a.words[0], x.y = a.words[1], x.z = a.words[2], x.w = a.words[3];
        *(uint4*)at = x;
    } else {
#pragma unroll
        for (int c = 0; c < 16; ++c)
            if (c < n) at[c] = (i8)(a.words[c / 4] >> 8 * (c % 4));
    }
}

// Each tile of W is loaded, changed by all pairs and stored once; returns how many weights of this thread were pushed to a bound.
template <bool WIDE>
__device__ inline i64 change_tiles(i8* w, i64 n_values, i64 n_keys, const i8* us, const i8* vs, i64 n_pairs, i32 low, i32 high,
    uint4* left, uint4* right) {
    const int tx = threadIdx.x % 8, ty = threadIdx.x / 8;
    const i64 column = (i64)blockIdx.x * TILE;
    const int columns = (int)min(16ll, n_keys - column - 16 * tx);
    i64 pushed = 0;
    for (i64 row = (i64)blockIdx.y * TILE; row < n_values; row += (i64)gridDim.y * TILE) {
        i8* own = w + (row + 4 * ty) * n_keys + column + 16 * tx;
        const int rows = columns > 0 ? (int)min(4ll, n_values - row - 4 * ty) : 0;
        Sixteen old[4];
        i32 change[4][16] = {};
#pragma unroll
        for (int r = 0; r < 4; ++r)
            if (r < rows) old[r] = load<WIDE>(own + r * n_keys, columns);
        for (i64 first = 0; first < n_pairs; first += 4 * DEPTH) {
            const int fours = (int)min((i64)DEPTH, (n_pairs - first + 3) / 4);
            __syncthreads();
            for (int t = threadIdx.x; t < fours * TILE; t += blockDim.x) {
                ((u32*)left)[t] = four_pairs(us, n_pairs, n_values, first + 4 * (t / TILE), row + t % TILE);
                ((u32*)right)[t] = four_pairs(vs, n_pairs, n_keys, first + 4 * (t / TILE), column + t % TILE);
            }
            __syncthreads();
            for (int d = 0; d < fours; ++d) {
                const uint4 u = left[(d * TILE + 4 * ty) / 4];
                const u32 of_row[4] = {u.x, u.y, u.z, u.w};
#pragma unroll
                for (int q = 0; q < 4; ++q) {
                    const uint4 v = right[(d * TILE + 16 * tx) / 4 + q];
                    const u32 of_column[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
                    for (int r = 0; r < 4; ++r)
#pragma unroll
                        for (int k = 0; k < 4; ++k) change[r][4 * q + k] = __dp4a((i32)of_row[r], (i32)of_column[k], change[r][4 * q + k]);
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 4; ++r) {
            if (r >= rows) continue;
            Sixteen now = {};
#pragma unroll
            for (int c = 0; c < 16; ++c) {
                const i32 by = change[r][c], wanted = (i32)(i8)(old[r].words[c / 4] >> 8 * (c % 4)) + by;
                pushed += (by > 0 && wanted >= high) || (by < 0 && wanted <= low);  // by is 0 beyond the columns
                now.words[c / 4] |= (u32)(u8)min(max(wanted, low), high) << 8 * (c % 4);
            }
            store<WIDE>(own + r * n_keys, columns, now);
        }
    }
    return pushed;
}

KERNEL __launch_bounds__(256, 2) hebb(i8* w, i64 n_values, i64 n_keys, const i8* us, const i8* vs, i64 n_pairs, i64 low, i64 high,
    u64* pushed) {
    __shared__ uint4 left[DEPTH * TILE / 4], right[DEPTH * TILE / 4];
    const bool wide = ((u64)w & 15) == 0 && n_keys % 16 == 0;
    const i64 own = wide ? change_tiles<true>(w, n_values, n_keys, us, vs, n_pairs, (i32)low, (i32)high, left, right)
                         : change_tiles<false>(w, n_values, n_keys, us, vs, n_pairs, (i32)low, (i32)high, left, right);
    const i64 all = block_sum(own);
    if (threadIdx.x == 0 && all) atomicAdd(pushed, (u64)all);
}
