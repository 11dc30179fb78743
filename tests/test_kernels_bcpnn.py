"""BCPNN: traces follow activities, weights say how far two units are from independent."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin

from neuromem.kernels.cpu import bcpnn as cpu
from neuromem.kernels.cpu.compiled import kernel
from neuromem.kernels.reference import bcpnn as reference

cupy = twin("bcpnn")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import bcpnn as device  # noqa: E402

UNIT = 2.0**-24  # one rounding of float32, relative
either = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
compiled = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])
SIZES = [(1, 1), (5, 3), (33, 70), (66, 1028), (0, 4), (4, 0)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share even the smallest matrices among threads, and have a block of the device go on to further rows."""
    monkeypatch.setattr(cpu, "PART", 1)
    monkeypatch.setattr(device, "MOST_BLOCKS", 1)


def zeros(n_pre: int, n_post: int) -> list[np.ndarray]:
    """Return p_i, p_j, p_ij, w and bias."""
    return [np.zeros(shape, np.float32) for shape in (n_pre, n_post, (n_pre, n_post), (n_pre, n_post), n_post)]


def bound(w: np.ndarray) -> np.ndarray:
    """The error of a weight that the compiled kernel states; and the rounding of the reference lies within."""
    return np.asarray((np.abs(w) + 8) * UNIT * (1 + 1e-6))


@either
def test_traces_with_step_1_over_n_are_the_frequencies_of_the_patterns(kernels: ModuleType) -> None:
    """Of 4 patterns, unit 0 (pre) is in 2 and unit 0 (post) in 2, both in 1; unit 1 (post) is in 1, never with it; unit 2 is silent."""
    pre = np.array([[1], [1], [0], [0]], np.float32)
    post = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    p_i, p_j, p_ij, w, bias = zeros(1, 3)
    for n in range(4):
        kernels.traces_update(p_i, p_j, p_ij, w, bias, pre[n], post[n], 1 / (n + 1), eps=0.01)
    # 1/3 is rounded, and each of 4 updates rounds three times more
    assert np.abs(p_i - [0.5]).max() <= 13 * UNIT
    assert np.abs(p_j - [0.5, 0.25, 0]).max() <= 13 * UNIT
    assert np.abs(p_ij - [[0.25, 0, 0]]).max() <= 13 * UNIT
    expected = np.log([[0.25 / (0.5 * 0.5), 0.01**2 / (0.5 * 0.25), 0.01**2 / (0.5 * 0.01)]])
    # 13 units of the traces are at most 52 of 1/4, 26 of each 1/2
    assert np.all(np.abs(w - expected) <= bound(expected) + (52 + 26 + 52) * UNIT)
    assert np.abs(bias - np.log([0.5, 0.25, 0.01])).max() <= (52 + 5) * UNIT


@either
def test_a_trace_relaxes_exponentially(kernels: ModuleType) -> None:
    tau, steps = 20.0, 60
    state = zeros(2, 2)
    for _ in range(steps):
        kernels.traces_update(*state, np.ones(2, np.float32), np.ones(2, np.float32), 1 - np.exp(-1 / tau))
    # 1 - p shrinks by exp(-1/tau) a step; alpha is rounded once, every step rounds 3 times
    for trace in state[:3]:
        assert np.abs(trace - (1 - np.exp(-steps / tau))).max() <= 4 * steps * UNIT


@either
def test_independent_units_have_no_weight_and_the_floors_bound_all(kernels: ModuleType) -> None:
    p_i, p_j = np.array([0, 0.25, 1], np.float32), np.array([0.5, 0, 1], np.float32)
    w, bias = kernels.weights(p_i, p_j, np.outer(p_i, p_j), eps=2.0**-8)
    silent = np.array([[True, True, True], [False, True, False], [False, True, False]])
    assert np.all(w[~silent] == 0)
    assert w[0, 1] == 0  # two silent units
    assert abs(bias[1] + 8 * np.log(2)) <= 6 * UNIT
    extreme, _ = kernels.weights(np.array([1, 0], np.float32), np.array([1, 0], np.float32), np.eye(2, dtype=np.float32)[::-1], eps=2.0**-8)
    assert np.all(extreme >= -16 * np.log(2) - 20 * UNIT)
    both, _ = kernels.weights(np.zeros(1, np.float32), np.zeros(1, np.float32), np.full((1, 1), 2.0**-8, np.float32), eps=2.0**-8)
    assert abs(both.item() - 8 * np.log(2)) <= 14 * UNIT


def of_all_sizes() -> np.ndarray:
    """Return positive normal numbers: edges of the logarithm's pieces, all sizes, and many near 1."""
    rng = np.random.default_rng(1)
    edges = np.float32([np.finfo(np.float32).tiny, np.finfo(np.float32).max, 1.0, np.sqrt(0.5), np.sqrt(2.0), 0.5, 2.0])
    near = np.concatenate([np.nextafter(edges, np.float32(x)) for x in (0.75, 3.0)])
    spread = np.exp(rng.uniform(-87, 88, 200_000))
    return np.concatenate([edges, near, spread, rng.uniform(0.5, 2, 400_000), 1 + rng.uniform(-1e-4, 1e-4, 100_000)]).astype(np.float32)


def test_the_polynomial_logarithm_keeps_its_bound() -> None:
    log = cpu._log

    @kernel()
    def logs(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = log(x[i])

    x = of_all_sizes()
    out = np.empty_like(x)
    logs(x, out)
    truth = np.log(x.astype(np.float64))
    assert np.all(np.abs(out - truth) <= (np.abs(truth) + 2.5) * UNIT)
    assert out[x == 1].tolist() == [0.0] * int((x == 1).sum())


def test_the_logarithm_of_the_device_keeps_its_bound() -> None:
    """With P_i = P_j = 1 a weight is log p_ij: no other rounding."""
    x = of_all_sizes()
    x = x[x >= 1e-18]
    w, _ = cupy.weights(np.ones(1, np.float32), np.ones(x.size, np.float32), x[None], eps=1e-9)
    truth = np.log(x.astype(np.float64))
    assert np.all(np.abs(w[0] - truth) <= (np.abs(truth) + 2.5) * UNIT)
    assert not w[0][x == 1].any()


@compiled
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_compiled_update_has_the_references_traces_and_its_weights_within_the_bound(
    kernels: ModuleType, size: tuple[int, int], threads: int
) -> None:
    rng = np.random.default_rng(4)
    found, expected = zeros(*size), zeros(*size)
    for n in range(6):
        pre, post = ((rng.random(s) * (rng.random(s) < 0.4)).astype(np.float32) for s in size)
        alpha = 1 / (n + 1) if n < 3 else 0.1
        reference.traces_update(*expected, pre, post, alpha)
        kernels.traces_update(*found, pre, post, alpha, threads=threads)
        for ours, theirs in zip(found[:3], expected[:3], strict=True):
            assert np.array_equal(ours, theirs)
        truth = np.log(
            np.maximum(found[2], reference.EPS**2, dtype=np.float64)
            / np.outer(*(np.maximum(p, reference.EPS, dtype=np.float64) for p in found[:2]))
        )
        for w in (found[3], expected[3]):
            assert np.all(np.abs(w - truth) <= bound(truth))
        # rounded to float32; the float64 logarithm of a device may be off by a unit of 2^-52
        log_p_j = np.log(np.maximum(found[1], reference.EPS, dtype=np.float64))
        assert np.all(np.abs(found[4] - log_p_j) <= np.abs(log_p_j) * UNIT * (1 + 2.0**-27))
        assert kernels is not cpu or np.array_equal(found[4], expected[4])
        again, bias = kernels.weights(*found[:3], threads=threads)
        assert np.array_equal(again, found[3])
        assert np.array_equal(bias, found[4])
