// What all kernels share. Indices are 64 bits wide: a table may have more than 2^31 numbers.
// Every kernel is extern "C", so that it is found by its name; numbers are passed as i64, f32 or f64, arrays as pointers.

typedef long long i64;
typedef unsigned long long u64;
typedef int i32;
typedef unsigned int u32;
typedef short i16;
typedef signed char i8;
typedef unsigned char u8;
typedef float f32;
typedef double f64;

#define KERNEL extern "C" __global__ void
#define ALL_LANES 0xffffffffu

// The number of this thread in the grid's first dimension, and how many threads there are.
__device__ inline i64 thread_number() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline i64 thread_count() { return (i64)gridDim.x * blockDim.x; }

// The sum over all threads of a block of up to 32 whole warps, known to each of them; every thread of the block calls it.
__device__ inline i64 block_sum(i64 value) {
    __shared__ i64 of_warp[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = (blockDim.x + 31) >> 5;
    for (int step = 16; step > 0; step >>= 1) value += __shfl_down_sync(ALL_LANES, value, step);
    __syncthreads();  // what an earlier call left may still be read
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    i64 total = 0;
    for (int w = 0; w < n_warps; ++w) total += of_warp[w];
    return total;
}

// How many threads before this one in the block say yes, and how many of all do; every thread of the block calls it.
__device__ inline int block_rank(bool yes, int& total) {
    __shared__ u32 of_warp[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_warps = (blockDim.x + 31) >> 5;
    const u32 these = __ballot_sync(ALL_LANES, yes);
    __syncthreads();  // what an earlier call left may still be read
    if (lane == 0) of_warp[warp] = these;
    __syncthreads();
    int before = __popc(these & ((1u << lane) - 1));
    total = 0;
    for (int w = 0; w < n_warps; ++w) {
        if (w < warp) before += __popc(of_warp[w]);
        total += __popc(of_warp[w]);
    }
    return before;
}

// Four neighbours of a row, from a multiple of 4 on: loaded as 16 bytes where rows are aligned (WIDE), else one by one, 0 beyond the end.
struct Four {
    f32 x[4];
};

__device__ inline bool aligned(const void* a, const void* b, i64 n) { return (((u64)a | (u64)b) & 15) == 0 && n % 4 == 0; }

template <bool WIDE>
__device__ inline Four load_four(const f32* row, i64 j, i64 n) {
    if constexpr (WIDE) {
        const float4 a = *(const float4*)(row + j);
        return {{a.x, a.y, a.z, a.w}};
    } else {
        Four a;
#pragma unroll
        for (int k = 0; k < 4; ++k) a.x[k] = j + k < n ? row[j + k] : 0.0f;
        return a;
    }
}

template <bool WIDE>
__device__ inline void store_four(f32* row, i64 j, i64 n, const Four& a) {
    if constexpr (WIDE) {
        *(float4*)(row + j) = make_float4(a.x[0], a.x[1], a.x[2], a.x[3]);
    } else {
#pragma unroll
        for (int k = 0; k < 4; ++k)
            if (j + k < n) row[j + k] = a.x[k];
    }
}
