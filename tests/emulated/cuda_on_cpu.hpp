// CUDA C on the CPU, for tests: the sources of the kernels are compiled with this file in front by a C++ compiler.
//
// Blocks run one after the other. The threads of a block are fibres that run until they end or meet a barrier (of the block, or of a
// warp's exchange), in ascending or in descending order: what comes out differently depends on the order of threads, which no GPU
// promises. A barrier that a thread never reaches is an error. Shared memory is filled with 0xA5 before every block.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace emulated {

struct Dim { unsigned x, y, z; };
enum Waits { RUNS, AT_BLOCK, AT_WARP, DONE };

struct Fibre {
    ucontext_t first;
    jmp_buf at;
    bool begun;
    Waits waits;
    unsigned mask;
    Dim thread;
};

constexpr int MOST = 1024;
constexpr size_t STACK = 1 << 16;
inline Fibre fibres[MOST];
inline ucontext_t home;
inline jmp_buf scheduler;
inline int current, n_threads;
inline void (*body)(void**);
inline void** body_args;
inline char problem[256];
inline u_int64_t exchange[MOST];

inline void pause(Waits waits) {
    fibres[current].waits = waits;
    if (!_setjmp(fibres[current].at)) _longjmp(scheduler, 1);
}

inline void fibre_main() {
    for (;;) {  // the same fibre runs thread after thread
        body(body_args);
        pause(DONE);
    }
}

}  // namespace emulated

inline emulated::Dim threadIdx, blockIdx, blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulated {

inline void resume(int t) {
    Fibre& f = fibres[t];
    current = t;
    threadIdx = f.thread;
    f.waits = RUNS;
    if (_setjmp(scheduler)) return;
    if (f.begun) _longjmp(f.at, 1);
    f.begun = true;
    getcontext(&f.first);
    f.first.uc_stack.ss_sp = aligned_alloc(64, STACK);
    f.first.uc_stack.ss_size = STACK;
    f.first.uc_link = &home;
    makecontext(&f.first, fibre_main, 0);
    setcontext(&f.first);
}

inline bool released() {
    bool some = false;
    int at_block = 0, alive = 0;
    for (int t = 0; t < n_threads; ++t) {
        alive += fibres[t].waits != DONE;
        at_block += fibres[t].waits == AT_BLOCK;
    }
    if (alive == at_block) {
        for (int t = 0; t < n_threads; ++t)
            if (fibres[t].waits == AT_BLOCK) fibres[t].waits = RUNS, some = true;
        return some;
    }
    for (int first = 0; first < n_threads; first += 32) {
        for (int t = first; t < std::min(n_threads, first + 32); ++t) {
            if (fibres[t].waits != AT_WARP) continue;
            unsigned mask = fibres[t].mask;
            bool all = true;
            for (int l = 0; l < 32; ++l)
                if (mask >> l & 1) {
                    if (first + l >= n_threads) { mask &= ~(1u << l); continue; }
                    const Fibre& o = fibres[first + l];
                    all &= o.waits == AT_WARP && o.mask == fibres[t].mask;
                }
            if (!all) continue;
            for (int l = 0; l < 32; ++l)
                if (mask >> l & 1) fibres[first + l].waits = RUNS;
            some = true;
        }
    }
    return some;
}

extern "C" {
extern char __start_emulated_shared[] __attribute__((weak));
extern char __stop_emulated_shared[] __attribute__((weak));
}

// Returns nothing, or what went wrong.
inline const char* run(void (*kernel)(void**), void** args, const unsigned* grid, const unsigned* block, int descending) {
    body = kernel, body_args = args, problem[0] = 0;
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    n_threads = block[0] * block[1] * block[2];
    const u_int64_t n_blocks = (u_int64_t)grid[0] * grid[1] * grid[2];
    for (u_int64_t step = 0; step < n_blocks; ++step) {
        const u_int64_t b = descending ? n_blocks - 1 - step : step;
        blockIdx = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1])};
        if (__start_emulated_shared) memset(__start_emulated_shared, 0xA5, __stop_emulated_shared - __start_emulated_shared);
        for (int t = 0; t < n_threads; ++t) {
            fibres[t].thread = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
            fibres[t].waits = RUNS;
        }
        for (;;) {
            bool ran = false;
            for (int k = 0; k < n_threads; ++k) {
                const int t = descending ? n_threads - 1 - k : k;
                if (fibres[t].waits == RUNS) resume(t), ran = true;
            }
            if (std::all_of(fibres, fibres + n_threads, [](const Fibre& f) { return f.waits == DONE; })) break;
            if (!released() && !ran) {
                snprintf(problem, sizeof problem, "block %u %u: a barrier that some threads never reach", blockIdx.x, blockIdx.y);
                for (int t = 0; t < n_threads; ++t) fibres[t].begun = false;
                return problem;
            }
        }
    }
    return problem;
}

// What a kernel takes: for each argument P (pointer) or S (number), its kind (i, u, f) and size.
template <class A>
std::string kind_of() {
    using T = std::remove_const_t<std::remove_pointer_t<A>>;
    const char* kind = std::is_floating_point_v<T> ? "f" : std::is_unsigned_v<T> ? "u" : "i";
    return std::string(std::is_pointer_v<A> ? "P" : "S") + kind + std::to_string(sizeof(T)) + " ";
}
template <class... A>
std::string kinds(void (*)(A...)) { return (std::string() + ... + kind_of<A>()); }
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) { kernel(*(A*)args[I]...); }
template <class... A>
void call(void (*kernel)(A...), void** args) { call(kernel, args, std::index_sequence_for<A...>{}); }

template <class T>
T swapped(unsigned mask, T value, int from) {  // the value of another lane of the warp
    static_assert(sizeof(T) <= 8);
    exchange[current] = 0;
    memcpy(&exchange[current], &value, sizeof(T));
    fibres[current].mask = mask;
    const int self = current;
    pause(AT_WARP);
    T found = value;
    if (from >= 0 && from < n_threads) memcpy(&found, &exchange[from], sizeof(T));
    fibres[self].mask = mask;
    pause(AT_WARP);  // none writes again before all have read
    return found;
}

}  // namespace emulated

#define __global__
#define __device__ static
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("emulated_shared")))
#define __forceinline__ inline
#define __launch_bounds__(...)

inline void __syncthreads() { emulated::pause(emulated::AT_BLOCK); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulated::swapped(mask, 0, -1); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {}

template <class T> T __shfl_sync(unsigned m, T v, int lane, int = 32) { int w = emulated::current & ~31; return emulated::swapped(m, v, w + (lane & 31)); }
template <class T> T __shfl_down_sync(unsigned m, T v, unsigned d, int = 32) {
    const int lane = emulated::current & 31;
    return emulated::swapped(m, v, lane + d < 32 ? emulated::current + (int)d : emulated::current);
}
template <class T> T __shfl_up_sync(unsigned m, T v, unsigned d, int = 32) {
    const int lane = emulated::current & 31;
    return emulated::swapped(m, v, lane >= (int)d ? emulated::current - (int)d : emulated::current);
}
template <class T> T __shfl_xor_sync(unsigned m, T v, int x, int = 32) {
    return emulated::swapped(m, v, (emulated::current & ~31) + ((emulated::current & 31) ^ x));
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    unsigned found = 0;
    emulated::exchange[emulated::current] = predicate != 0;
    emulated::fibres[emulated::current].mask = mask;
    emulated::pause(emulated::AT_WARP);
    for (int l = 0; l < 32; ++l) {
        const int t = (emulated::current & ~31) + l;
        if (mask >> l & 1 && t < emulated::n_threads && emulated::exchange[t]) found |= 1u << l;
    }
    emulated::fibres[emulated::current].mask = mask;
    emulated::pause(emulated::AT_WARP);
    return found;
}
inline int __any_sync(unsigned m, int p) { return __ballot_sync(m, p) != 0; }
inline int __all_sync(unsigned m, int p) { return __ballot_sync(m, !p) == 0; }

template <class T> struct same { using type = T; };
template <class T> T atomicAdd(T* at, typename same<T>::type v) { T old = *at; *at = old + v; return old; }
template <class T> T atomicSub(T* at, typename same<T>::type v) { T old = *at; *at = old - v; return old; }
template <class T> T atomicOr(T* at, typename same<T>::type v) { T old = *at; *at = old | v; return old; }
template <class T> T atomicAnd(T* at, typename same<T>::type v) { T old = *at; *at = old & v; return old; }
template <class T> T atomicXor(T* at, typename same<T>::type v) { T old = *at; *at = old ^ v; return old; }
template <class T> T atomicMax(T* at, typename same<T>::type v) { T old = *at; *at = std::max(old, v); return old; }
template <class T> T atomicMin(T* at, typename same<T>::type v) { T old = *at; *at = std::min(old, v); return old; }
template <class T> T atomicExch(T* at, typename same<T>::type v) { T old = *at; *at = v; return old; }
template <class T> T atomicCAS(T* at, typename same<T>::type is, typename same<T>::type v) { T old = *at; if (old == is) *at = v; return old; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __dp4a(int a, int b, int sum) {  // the sum of the products of four bytes each
    for (int k = 0; k < 32; k += 8) sum += (int)(signed char)(a >> k) * (int)(signed char)(b >> k);
    return sum;
}
template <class T> T __ldg(const T* at) { return *at; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline unsigned __float_as_uint(float x) { unsigned r; memcpy(&r, &x, 4); return r; }
inline float __uint_as_float(unsigned x) { float r; memcpy(&r, &x, 4); return r; }
inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }
using std::max;
using std::min;

struct alignas(16) float4 { float x, y, z, w; };
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) float2 { float x, y; };
inline float2 make_float2(float x, float y) { return {x, y}; }
struct alignas(16) ulonglong2 { unsigned long long x, y; };
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) { return {x, y}; }
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(4) char4 { signed char x, y, z, w; };
inline char4 make_char4(signed char x, signed char y, signed char z, signed char w) { return {x, y, z, w}; }
