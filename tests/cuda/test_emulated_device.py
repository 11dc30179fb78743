"""The emulated device finds what is wrong with a kernel: so the tests that run on it can fail."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import Any

import emulated
import numpy as np
import pytest
from emulated.device import FUNCTIONS, CompileException, EmulatedCudaError, RawModule, asarray, empty, ndarray

from neuromem.kernels.cupy.sources import source_text

CUPY = [d for d in importlib.metadata.distributions() if d.name.startswith("cupy")]

COMMON = source_text("willshaw").split("// Clipped")[0]

KERNELS = """
KERNEL exchange(i64* out) {
    __shared__ i64 all[128];
    all[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) { i64 s = 0; for (int t = 0; t < blockDim.x; ++t) s += all[t]; out[0] = s; }
    const i64 total = block_sum(threadIdx.x);
    if (threadIdx.x == 95) out[1] = total;
    const unsigned odd = __ballot_sync(ALL_LANES, threadIdx.x & 1);
    if (threadIdx.x == 0) out[2] = odd;
    const int lane = threadIdx.x & 31;
    const int next = __shfl_sync(ALL_LANES, lane * 10, (lane + 1) & 31);
    if (threadIdx.x == 30) out[3] = next;
}
KERNEL reversed(i64* out) {
    __shared__ i64 mine[64];
    mine[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = mine[63 - threadIdx.x];
}
KERNEL reversed_without_barrier(i64* out) {
    __shared__ i64 mine[64];
    mine[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = mine[63 - threadIdx.x];
}
KERNEL same_place(i64* out) { *out = blockIdx.x; }
KERNEL write_at(f32* out, i64 at) { if (threadIdx.x == 0) out[at] = 1.0f; }
KERNEL not_set(const i64* in, i64* out) { __shared__ i64 s; if (threadIdx.x == 0) { out[0] = *in; out[1] = s; } }
KERNEL not_reached(i64* out) { if (threadIdx.x < 40) __shfl_sync(ALL_LANES, 1, 0); }
KERNEL takes(f32* x, i64 n) {}
"""


def launch(kernel: str, *args: Any, block: int = 64, grid: int = 1) -> None:
    RawModule(COMMON + KERNELS).get_function(kernel)((grid,), (block,), args)


def test_threads_of_a_block_exchange_through_barriers_and_warps() -> None:
    """Sums of 0 .. 95 by shared memory and by shuffles, a ballot, and what the next lane has."""
    out = asarray(np.zeros(4, np.int64))
    launch("exchange", out, block=96)
    assert out.get().tolist() == [4560, 4560, 0xAAAAAAAA, 310]


def test_a_missing_barrier_is_found() -> None:
    out = asarray(np.zeros(64, np.int64))
    launch("reversed", out)
    assert out.get().tolist() == list(range(63, -1, -1))
    with pytest.raises(EmulatedCudaError, match="'reversed_without_barrier': what it makes depends on the order of its threads"):
        launch("reversed_without_barrier", out)


def test_two_blocks_that_write_to_one_place_are_found() -> None:
    with pytest.raises(EmulatedCudaError, match="depends on the order of its threads"):
        launch("same_place", asarray(np.zeros(1, np.int64)), grid=2)


@pytest.mark.parametrize("at", [64, -1])
def test_a_write_beyond_an_array_is_found(at: int) -> None:
    out = asarray(np.zeros(64, np.float32))
    launch("write_at", out, np.int64(63))
    with pytest.raises(EmulatedCudaError, match="'write_at' wrote beyond its array number 0"):
        launch("write_at", out, np.int64(at))


def test_memory_that_was_not_set_is_no_zero() -> None:
    out = asarray(np.zeros(2, np.int64))
    launch("not_set", empty(1, np.int64), out)
    assert (out.get() != 0).all()


def test_a_barrier_that_some_threads_never_reach_is_found() -> None:
    with pytest.raises(EmulatedCudaError, match="a barrier that some threads never reach"):
        launch("not_reached", asarray(np.zeros(1, np.int64)))


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ((np.zeros(1, np.float64), np.int64(1)), "argument 0: Pf8; it takes Pf4"),
        ((np.zeros(1, np.float32), np.int32(1)), "argument 1: Si4; it takes Si8"),
        ((np.zeros(1, np.float32),), "1 arguments; it takes 2"),
    ],
)
def test_an_argument_of_another_kind_is_found(args: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(EmulatedCudaError, match=problem):
        launch("takes", *(asarray(a) if isinstance(a, np.ndarray) else a for a in args))


def test_arrays_of_host_and_device_do_not_meet() -> None:
    device, host = asarray(np.arange(3)), np.arange(3)
    for meet in (lambda: np.asarray(device), lambda: device + host, lambda: host + device, lambda: np.add(device, 1), lambda: device[host]):
        with pytest.raises(TypeError):
            meet()
    assert isinstance(np.int64(2) * device, ndarray)
    with pytest.raises(EmulatedCudaError, match="expected an array of the device"):
        launch("takes", host, np.int64(1))


def test_what_does_not_compile_is_said() -> None:
    with pytest.raises(CompileException, match="was not declared in this scope"):
        RawModule(COMMON + "KERNEL k(i64* x) { *x = y; }").compile()


@pytest.mark.skipif(not CUPY, reason="CuPy is not installed")
def test_cupy_has_all_that_is_emulated() -> None:
    """In a process of its own: here the emulation stands in CuPy's place."""
    assert emulated.install() or emulated.has_gpu()
    methods = [n for n in vars(ndarray) if not n.startswith("__") and not n.startswith("_")]
    code = (
        "import cupy\n"
        f"print([n for n in {FUNCTIONS!r} if not hasattr(cupy, n)], [n for n in {methods!r} if not hasattr(cupy.ndarray, n)])\n"
        "cupy.RawModule, cupy.asnumpy, cupy.cuda.compiler.CompileException, cupy.cuda.memory.OutOfMemoryError, cupy.cuda.runtime.memGetInfo\n"
        "cupy.cuda.runtime.getDeviceProperties, cupy.get_default_memory_pool().used_bytes, cupy.cuda.get_current_stream\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[] []\n", done.stderr
