"""Reads of a dense memory: against attention and energy differences written out, and compiled against the reference."""

from __future__ import annotations

import importlib
import math
from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.bits import pack
from neuromem.kernels.cpu import dense as cpu
from neuromem.kernels.reference import dense as reference
from neuromem.kernels.reference.hamming import block

LEFT_OUT = math.exp(-17)  # share of a softmax that cpu and cupy may drop; see neuromem/kernels/cpu/dense.py
FLOAT32 = 2.0**-24
FLOAT64 = 2.0**-52

cupy = twin("dense")
both = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
compiled = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])


def bipolar(rng: np.random.Generator, m: int, n: int) -> np.ndarray:
    return np.where(rng.random((m, n)) < 0.5, 1.0, -1.0)


def noisy(rng: np.random.Generator, patterns: np.ndarray, b: int, noise: float) -> np.ndarray:
    chosen = patterns[rng.integers(len(patterns), size=b)]
    return np.where(rng.random(chosen.shape) < noise, -chosen, chosen)


def attention(patterns: np.ndarray, states: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return softmax attention in float64, state by state."""
    values, log_sum, largest = [], [], []
    keys = patterns.astype(np.float64)
    for state in states.astype(np.float64):
        scores = beta * (keys @ state)
        weights = np.exp(scores - scores.max())
        values.append(weights / weights.sum() @ keys)
        log_sum.append(scores.max() + math.log(weights.sum()))
        largest.append(weights.max() / weights.sum())
    return np.array(values), np.array(log_sum), np.array(largest)


def check_read(read: reference.Read, patterns: np.ndarray, states: np.ndarray, beta: float, left_out: float) -> None:
    """Compare with attention; ``left_out`` is the share of the weights that may be missing."""
    values, log_sum, largest = attention(patterns, states, beta)
    assert read.values.dtype == np.float32
    scale = abs(patterns).max()
    # exponents of up to |log_sum| are rounded, and a weight errs by as much relative to itself; sums of M
    rounding = FLOAT64 * (len(patterns) + 4 * patterns.shape[1] + 4 * abs(log_sum).max() + 4 * beta * abs(patterns @ states.T).max())
    assert abs(read.values - values).max() <= scale * (2 * left_out + FLOAT32 + 2 * rounding) < 1e-6 * max(scale, 1)
    assert abs(read.log_sum - log_sum).max() <= left_out + rounding
    assert abs(read.largest - largest).max() <= left_out + rounding


@both
@pytest.mark.parametrize("beta", [0.0, 0.01, 0.1, 0.25, 2.0])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (40, 100), (700, 64), (300, 130)])
def test_softmax_read_is_attention(kernels: ModuleType, m: int, n: int, beta: float) -> None:
    rng = np.random.default_rng(m + n)
    patterns = bipolar(rng, m, n)
    states = noisy(rng, patterns, 9, 0.2)
    read = kernels.read_softmax(block(pack(patterns > 0)), m, n, pack(states > 0), beta)
    check_read(read, patterns, states, beta, 0 if kernels is reference else LEFT_OUT)


@compiled
def test_what_softmax_leaves_out_is_as_little_as_promised(kernels: ModuleType) -> None:
    m, n, gap = 5000, 128, 4  # all but one pattern just so far away that they are dropped
    patterns = np.ones((m, n))
    patterns[1:, : gap // 2] = -1  # overlap n - gap
    states = np.ones((1, n))
    blocks, packed = block(pack(patterns > 0)), pack(states > 0)
    values, _, _ = attention(patterns, states, beta := (math.log(m) + 17.001) / gap)
    read = kernels.read_softmax(blocks, m, n, packed, beta)
    assert (read.values == 1).all()
    assert LEFT_OUT < abs(read.values - values).max() < 2 * LEFT_OUT  # the bound is nearly met
    values, _, _ = attention(patterns, states, beta := (math.log(m) + 16.999) / gap)
    read = kernels.read_softmax(blocks, m, n, packed, beta)
    assert abs(read.values - values).max() <= FLOAT32


@both
@pytest.mark.parametrize("beta", [0.0, 0.02, 0.25, 1.0, 3.0])
@pytest.mark.parametrize(("m", "n", "b"), [(1, 1, 1), (50, 20, 3), (2500, 65, 7), (300, 130, 70)])
def test_real_valued_read_is_attention(kernels: ModuleType, m: int, n: int, b: int, beta: float) -> None:
    rng = np.random.default_rng(m + n + b)
    patterns = rng.standard_normal((m, n)).astype(np.float32)
    states = (patterns[rng.integers(m, size=b)] + 0.3 * rng.standard_normal((b, n))).astype(np.float32)
    check_read(kernels.read_softmax_real(patterns, states, beta), patterns, states, beta, 0 if kernels is reference else LEFT_OUT)


@both
def test_square_energy_gives_four_times_the_hebbian_field(kernels: ModuleType) -> None:
    rng = np.random.default_rng(1)
    patterns = bipolar(rng, 300, 90)
    states = bipolar(rng, 5, 90)
    weights = patterns.T @ patterns
    np.fill_diagonal(weights, 0)
    fields = kernels.polynomial_fields(block(pack(patterns > 0)), 300, 90, pack(states > 0), 2, False)
    assert (fields == 4 * states @ weights).all()


def energy_differences(patterns: np.ndarray, state: np.ndarray, power: int, rectified: bool) -> list[int]:
    """Return E(s_i = -1) - E(s_i = +1) for E = -sum F(o), in whole numbers of any size."""

    def minus_energy(of: list[int]) -> int:
        overlaps = [sum(x * s for x, s in zip(row, of, strict=True)) for row in patterns.astype(int).tolist()]
        return sum((max(o, 0) if rectified else o) ** power for o in overlaps)

    units = state.astype(int).tolist()
    return [minus_energy([*units[:i], 1, *units[i + 1 :]]) - minus_energy([*units[:i], -1, *units[i + 1 :]]) for i in range(len(units))]


@both
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("power", [1, 2, 3, 5])
def test_fields_are_energy_differences(kernels: ModuleType, power: int, rectified: bool) -> None:
    rng = np.random.default_rng(power)
    patterns, states = bipolar(rng, 12, 70), bipolar(rng, 2, 70)
    fields = kernels.polynomial_fields(block(pack(patterns > 0)), 12, 70, pack(states > 0), power, rectified)
    assert fields.tolist() == [energy_differences(patterns, state, power, rectified) for state in states]


@compiled
def test_no_power_is_too_high(kernels: ModuleType) -> None:
    rng = np.random.default_rng(2)
    patterns = bipolar(rng, 20, 66)
    states = noisy(rng, patterns, 2, 0.2)
    fields = kernels.polynomial_fields(block(pack(patterns > 0)), 20, 66, pack(states > 0), 301, False)  # 66^301 is beyond float64
    exact = np.array([[(h > 0) - (h < 0) for h in energy_differences(patterns, state, 301, False)] for state in states])
    assert (np.sign(fields) == exact).all()


@both
@pytest.mark.parametrize("beta", [0.5, 5.0, 300.0])
def test_a_steep_energy_recalls_the_nearest(kernels: ModuleType, beta: float) -> None:
    rng = np.random.default_rng(3)
    patterns = bipolar(rng, 2000, 120)
    nearest = patterns[:8]
    states = nearest.copy()
    states[:, :12] *= -1  # 12 bits wrong; the others are at about 60
    blocks, packed = block(pack(patterns > 0)), pack(states > 0)
    assert (np.sign(kernels.exponential_fields(blocks, 2000, 120, packed, beta)) == nearest).all()
    assert (kernels.polynomial_fields(blocks, 2000, 120, packed, 30, False) * nearest > 0).all()
    assert (np.sign(kernels.read_softmax(blocks, 2000, 120, packed, beta).values) == nearest).all()


@both
def test_exponential_field_of_one_pattern(kernels: ModuleType) -> None:
    pattern, state, beta = np.array([[1.0, 1, 1, -1]]), np.array([[1.0, 1, -1, -1]]), 0.7
    fields = kernels.exponential_fields(block(pack(pattern > 0)), 1, 4, pack(state > 0), beta)
    step = 1 - math.exp(-2 * beta)  # the overlap is 2: F(4) - F(2) where they differ, F(2) - F(0) elsewhere, over F(4)
    assert np.allclose(fields, [[small := step * math.exp(-2 * beta), small, step, -small]], rtol=8 * FLOAT64, atol=0)


@both
def test_two_neighbours_outweigh_one_pattern_however_steep(kernels: ModuleType) -> None:
    here, there, beta = np.ones(70), np.ones(70), 30.0
    there[5] = -1
    patterns = np.array([here, there, there])
    fields = kernels.exponential_fields(block(pack(patterns > 0)), 3, 70, pack(here[None] > 0), beta)
    step, far = -math.expm1(-2 * beta), math.exp(-2 * beta)  # F(N) - F(N - 2) over F(N + 2), for three patterns
    assert math.isclose(fields[0, 5], far * step * (1 - 2), rel_tol=8 * FLOAT64)
    assert math.isclose(fields[0, 0], far * step * (1 + 2 * far), rel_tol=8 * FLOAT64)


@both
def test_units_may_be_renamed(kernels: ModuleType) -> None:
    rng = np.random.default_rng(4)
    patterns, order = bipolar(rng, 280, 100), rng.permutation(100)
    states = noisy(rng, patterns, 3, 0.3)
    as_is, renamed = ((block(pack(x > 0)), 280, 100, pack(s > 0)) for x, s in ((patterns, states), (patterns[:, order], states[:, order])))
    assert (kernels.polynomial_fields(*as_is, 3, True)[:, order] == kernels.polynomial_fields(*renamed, 3, True)).all()
    rounding = 400 * FLOAT64  # the patterns are summed in the same order, units in another
    assert abs(kernels.exponential_fields(*as_is, 0.3)[:, order] - kernels.exponential_fields(*renamed, 0.3)).max() <= rounding
    assert abs(kernels.read_softmax(*as_is, 0.1).values[:, order] - kernels.read_softmax(*renamed, 0.1).values).max() <= 2 * FLOAT32


@both
def test_nothing_stored_nothing_read(kernels: ModuleType) -> None:
    blocks, states = block(np.zeros((0, 1), np.uint64)), np.zeros((2, 1), np.uint64)
    real = np.zeros((0, 5), np.float32)
    for read in (
        lambda: kernels.read_softmax(blocks, 0, 50, states, 1.0),
        lambda: kernels.polynomial_fields(blocks, 0, 50, states, 2, False),
        lambda: kernels.exponential_fields(blocks, 0, 50, states, 1.0),
        lambda: kernels.read_softmax_real(real, np.zeros((2, 5), np.float32), 1.0),
    ):
        with pytest.raises(ValueError, match=r".*"):
            read()
    one = block(np.zeros((1, 1), np.uint64))
    assert kernels.read_softmax(one, 1, 50, states[:0], 1.0).values.shape == (0, 50)
    assert kernels.read_softmax_real(np.ones((1, 5), np.float32), real, 1.0).values.shape == (0, 5)


@pytest.mark.parametrize(("chunks", "room"), [(256, 1 << 28), (2, 1 << 28), (1, 1)], ids=["a block a chunk", "two chunks", "cue by cue"])
def test_wide_patterns_are_read_in_chunks(chunks: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More units than a block of threads sums, and more patterns than a chunk has."""
    for name, value in (("CHUNKS", chunks), ("ROOM", room)):
        monkeypatch.setattr(device(), name, value)
    rng = np.random.default_rng(5)
    m, n = 700, 1100
    patterns = bipolar(rng, m, n)
    states = noisy(rng, patterns, 3, 0.3)
    arguments = (block(pack(patterns > 0)), m, n, pack(states > 0))
    weights = patterns.T @ patterns
    np.fill_diagonal(weights, 0)
    assert (cupy.polynomial_fields(*arguments, 2, False) == 4 * states @ weights).all()
    for beta in (0.001, 0.02):
        check_read(cupy.read_softmax(*arguments, beta), patterns, states, beta, LEFT_OUT)
        real = (patterns * rng.random((m, n))).astype(np.float32)
        check_read(cupy.read_softmax_real(real, states.astype(np.float32), beta), real, states, beta, LEFT_OUT)


def test_a_cue_is_read_alike_in_every_batch() -> None:
    rng = np.random.default_rng(6)
    m, n = 600, 150
    patterns = bipolar(rng, m, n)
    states = noisy(rng, patterns, 9, 0.3)
    blocks, packed = block(pack(patterns > 0)), pack(states > 0)
    real, real_states = (patterns * rng.random((m, n))).astype(np.float32), states.astype(np.float32)
    for read in (
        lambda b: cupy.read_softmax(blocks, m, n, packed[b], 0.03),
        lambda b: (cupy.polynomial_fields(blocks, m, n, packed[b], 40, False),),
        lambda b: (cupy.exponential_fields(blocks, m, n, packed[b], 0.05),),
        lambda b: cupy.read_softmax_real(real, real_states[b], 0.1),
    ):
        singly = [read(slice(b, b + 1)) for b in range(9)]
        for together, parts in zip(read(slice(0, 9)), zip(*singly, strict=True), strict=True):
            assert together.tobytes() == np.concatenate(parts).tobytes()


def test_no_score_is_too_high_on_the_device() -> None:
    patterns = np.array([[1e30, 0], [0, 1e30]], np.float32)  # scores of 1e60 are beyond float32
    read = cupy.read_softmax_real(patterns, patterns, 1.0)
    assert (read.values == patterns).all()
    assert (read.largest == 1).all()
    read = cupy.read_softmax_real(patterns, np.full((1, 2), np.nan, np.float32), 1.0)
    assert np.isnan(read.values).all()


def device() -> ModuleType:
    """Return the module that takes arrays of the device."""
    return importlib.import_module("neuromem.kernels.cupy.dense")


@compiled
@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6), st.integers(1, 700), st.integers(1, 200), st.floats(0, 3), st.integers(1, 7), st.booleans(), st.integers(1, 3)
)
def test_compiled_equals_reference(
    kernels: ModuleType, seed: int, m: int, n: int, beta: float, power: int, rectified: bool, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    patterns = bipolar(rng, m, n)
    states = noisy(rng, patterns, 3, rng.choice([0.0, 0.1, 0.5]))
    arguments = (block(pack(patterns > 0)), m, n, pack(states > 0))
    check_read(kernels.read_softmax(*arguments, beta, threads=threads), patterns, states, beta, LEFT_OUT)
    real = (patterns * rng.random((m, n))).astype(np.float32)
    check_read(kernels.read_softmax_real(real, states.astype(np.float32), beta, threads=threads), real, states, beta, LEFT_OUT)

    # both values of F in every term are rounded, then their sum; beyond that, nothing (whole numbers below 2^53: nothing at all)
    ours, theirs = (
        kernels.polynomial_fields(*arguments, power, rectified, threads=threads),
        reference.polynomial_fields(*arguments, power, rectified),
    )
    most = 2.0 * m * float(n + 2) ** power
    assert abs(ours - theirs).max() <= (0 if 2 * most < 2**53 else (m + 2 * power + 4) * FLOAT64 * most)
    overlaps = states @ patterns.T
    top = overlaps.max(axis=1, keepdims=True)
    most_exp = 2 * np.exp(beta * (overlaps - top)).sum(axis=1, keepdims=True)
    deepest = 37 + math.log(m) + 4 * beta  # exponents of what is kept
    ours, theirs = kernels.exponential_fields(*arguments, beta, threads=threads), reference.exponential_fields(*arguments, beta)
    assert (abs(ours - theirs) <= FLOAT64 * (2 * m + 4 * deepest + 8) * most_exp).all()
