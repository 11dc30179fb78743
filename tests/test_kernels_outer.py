"""Plastic matrices: each rule does what its equation says, and the compiled kernels do what the reference does."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels.cpu import outer as cpu
from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule
from neuromem.kernels.reference import outer as reference

cupy = twin("outer")
UNIT = 2.0**-24  # half of the spacing of float32 at 1: one rounding
SIZES = [(1, 1), (5, 7), (33, 130), (64, 65), (3, 0), (0, 3)]
PARAMETERS = {Loss.HUBER_ERROR: 0.5, Loss.POWER_ERROR: 3.0}
RULES = [
    WriteRule(loss, PARAMETERS.get(loss, 0.0), retention, 0.5, step, 0.5, 0.25, -4.0, 4.0)
    for loss, retention, step in itertools.product(Loss, Retention, Step)
]

either = pytest.mark.parametrize("kernels", [reference, cpu, cupy], ids=["reference", "cpu", "cupy"])
compiled = pytest.mark.parametrize("kernels", [cpu, cupy], ids=["cpu", "cupy"])
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.loss.name}-{r.retention.name}-{r.step.name}".lower())


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share even the smallest matrices among threads."""
    monkeypatch.setattr(cpu, "PART", 1)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def coarse(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return eighths from -1 to 1: sums of their products are exact in float32, in any order."""
    return (rng.integers(-8, 9, shape) / 8).astype(np.float32)


def unit_rows(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    rows = rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@either
@pytest.mark.parametrize("load", [0.125, 0.5, 2.0])
def test_the_error_of_plain_hebb_is_n_minus_1_over_d(kernels: ModuleType, load: float) -> None:
    """E |S k_j - v_j|^2 = sum over i != j of E (k_i.k_j)^2 |v_i|^2 = (n - 1) / d for keys of length 1 in random directions."""
    d, seeds = 64, 40
    n = round(load * d)
    errors = np.empty(seeds)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        keys, values, w = unit_rows(rng, n, d), unit_rows(rng, n, d), np.zeros((d, d), np.float32)
        kernels.write(w, None, keys, values, WriteRule())
        errors[seed] = np.square(kernels.read(w, keys) - values).sum(axis=1).mean()
    # 4.5 standard errors, as the seeds themselves vary: a chance below 1e-4 with 39 degrees of freedom
    assert abs(errors.mean() - (n - 1) / d) <= 4.5 * errors.std(ddof=1) / seeds**0.5


@either
def test_delta_overwrites_in_one_write_and_leaves_orthogonal_keys_alone(kernels: ModuleType) -> None:
    keys = floats(0.5, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5).reshape(2, 4)
    w, rule = np.zeros((3, 4), np.float32), WriteRule(Loss.SQUARED_ERROR)
    for value in ([1, 2, 3], [-7, 0.25, 100], [0, 0, 1]):
        kernels.write(w, None, keys, np.array([value, [4, 5, 6]], np.float32), rule)
        assert np.array_equal(kernels.read(w, keys), [value, [4, 5, 6]])
    hebb = np.zeros((3, 4), np.float32)
    for _ in range(2):
        kernels.write(hebb, None, keys[:1], floats(1, 2, 3)[None], WriteRule())
    assert np.array_equal(kernels.read(hebb, keys[:1]), [[2, 4, 6]])  # plain Hebb adds up instead


@either
def test_oja_finds_the_leading_eigenvector_at_length_1(kernels: ModuleType) -> None:
    """Inputs 2 a and b along two orthogonal directions: covariance has eigenvectors a and b; w = +-a is the stable fixed point."""
    a, b = floats(0.6, 0.8, 0), floats(-0.8, 0.6, 0)
    keys = np.tile(np.stack([2 * a, b]), (300, 1))
    w = floats(0.1, 0.3, 0, -0.2, 0.1, 0).reshape(2, 3)
    signs = np.sign(w @ a)
    rule = WriteRule(Loss.VARIANCE, retention=Retention.OJA, rate=0.05)
    kernels.write(w, None, keys, np.zeros((600, 2), np.float32), rule)
    # (1 - 0.05 * 4)^300 of the way along a is left, and less than 0.9^300 < 1e-13 along b; then roundings of size 1 remain,
    # each write making up to 8 and drawing 0.2 of all earlier ones back
    assert np.abs(w - signs[:, None] * a).max() <= 8 / 0.2 * UNIT


@either
def test_oja_taught_moves_a_row_towards_the_key_that_its_value_names(kernels: ModuleType) -> None:
    w, rule = floats(1, -2).reshape(1, 2), WriteRule(retention=Retention.OJA, rate=0.5)
    kernels.write(w, None, floats(4, 0)[None], floats(1)[None], rule)
    assert np.array_equal(w, [[0.5 * 1 + 0.5 * 4, 0.5 * -2]])


@either
def test_huber_bounds_the_influence_of_an_outlier(kernels: ModuleType) -> None:
    rule = WriteRule(Loss.HUBER_ERROR, 0.25, rate=0.5)
    key, w = floats(1, -2)[None], np.zeros((3, 2), np.float32)
    kernels.write(w, None, key, floats(1e6, -1e30, 0.125)[None], rule)
    assert np.array_equal(w, np.outer([0.5 * 0.25, -0.5 * 0.25, 0.5 * 0.125], key))


@either
def test_power_by_hand(kernels: ModuleType) -> None:
    key, value = floats(1)[None], floats(3, -2, 0)[None]
    for p, error in ((1.0, [1, -1, 0]), (2.0, [3, -2, 0]), (3.0, [9, -4, 0])):
        w = np.zeros((3, 1), np.float32)
        kernels.write(w, None, key, value, WriteRule(Loss.POWER_ERROR, p))
        assert np.array_equal(w[:, 0], error)


@either
def test_momentum_by_hand(kernels: ModuleType) -> None:
    """Delta with decay 1/2, rate 1/2 and momentum 1/4, twice the same pair (k, v) = (1, 8)."""
    w, s = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)
    rule = WriteRule(Loss.SQUARED_ERROR, gamma=0.5, step=Step.MOMENTUM, rate=0.5, momentum=0.25)
    kernels.write(w, s, floats(1, 1).reshape(2, 1), floats(8, 8).reshape(2, 1), rule)
    # first: S = 4, W = 4; then: S = 4 / 4 + (8 - 4) / 2 = 3, W = 4 / 2 + 3 = 5
    assert (s.item(), w.item()) == (3.0, 5.0)


@either
def test_decay_is_geometric(kernels: ModuleType) -> None:
    n = 12
    w = np.zeros((1, n), np.float32)
    kernels.write(w, None, np.eye(n, dtype=np.float32), np.ones((n, 1), np.float32), WriteRule(gamma=0.5))
    assert np.array_equal(kernels.read(w, np.eye(n, dtype=np.float32))[:, 0], 0.5 ** np.arange(n - 1, -1, -1.0))


@either
def test_the_orthogonal_step_writes_only_what_is_new_to_a_slot(kernels: ModuleType) -> None:
    w, rule = np.zeros((2, 3), np.float32), WriteRule(step=Step.ORTHOGONAL)
    key = floats(1, -1, 2)[None]
    kernels.write(w, None, key, floats(3, 4)[None], rule)
    once = w.copy()
    assert np.array_equal(once, np.outer([3, 4], key))  # empty slots take all
    kernels.write(w, None, key, floats(3, 4)[None], rule)
    assert np.array_equal(w, once)  # the same content again: nothing
    kernels.write(w, None, key, floats(-4, 3)[None], rule)
    assert np.array_equal(w, once + np.outer([-4, 3], key))  # orthogonal content: all of it


@either
def test_bounds_hold_after_every_write_and_nan_stays(kernels: ModuleType) -> None:
    w = np.zeros((1, 2), np.float32)
    kernels.write(w, None, floats(1, 1, 1, 0).reshape(2, 2), floats(5, -1).reshape(2, 1), WriteRule(low=-2.0, high=2.0))
    assert np.array_equal(w, [[1, 2]])  # clipped to (2, 2), then the first one lower
    broken = floats(np.nan, 9).reshape(1, 2)
    kernels.decay_hebb(broken, floats(0), floats(1, 1), 1.0, 1.0, -2.0, 2.0)
    assert np.array_equal(broken, [[np.nan, 2]], equal_nan=True)


@compiled
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 3])
def test_rank_one_is_the_references_bit_for_bit(kernels: ModuleType, size: tuple[int, int], threads: int) -> None:
    rng = np.random.default_rng(7)
    w, u, v = (rng.standard_normal(shape, np.float32) for shape in (size, size[0], size[1]))
    for low, high in ((-0.7, 0.9), (-np.inf, np.inf), (0.0, np.inf)):
        expected, found = w.copy(), w.copy()
        reference.decay_hebb(expected, u, v, 0.9, 0.3, low, high)
        kernels.decay_hebb(found, u, v, 0.9, 0.3, low, high, threads)
        assert np.array_equal(found, expected)


@compiled
@pytest.mark.parametrize("size", [*SIZES, (300, 1100)])
@pytest.mark.parametrize("batch", [0, 1, 8, 11, 30])
def test_a_batch_of_pairs_is_the_references_within_its_roundings(kernels: ModuleType, size: tuple[int, int], batch: int) -> None:
    rng = np.random.default_rng(batch)
    w, us, vs = (rng.standard_normal(shape, np.float32) for shape in (size, (batch, size[0]), (batch, size[1])))
    expected, found = w.copy(), w.copy()
    reference.decay_hebb_batch(expected, us, vs, 0.9, 0.3, -2.0, 2.0)
    kernels.decay_hebb_batch(found, us, vs, 0.9, 0.3, -2.0, 2.0, threads=2)
    # Each side rounds every term at most batch + 4 times: rate u, its product with v, decay w, and each of batch + 1 sums.
    terms = 0.9 * np.abs(w) + 0.3 * np.abs(us).T @ np.abs(vs)
    assert np.all(np.abs(found - expected) <= 2 * (batch + 4) * UNIT * terms * (1 + 1e-4))
    exact, summed = coarse(rng, *size), coarse(rng, *size)
    summed[:] = exact
    us, vs = coarse(rng, batch, size[0]), coarse(rng, batch, size[1])
    reference.decay_hebb_batch(exact, us, vs, 0.5, 0.25, -2.0, 2.0)
    kernels.decay_hebb_batch(summed, us, vs, 0.5, 0.25, -2.0, 2.0)
    assert np.array_equal(exact, summed)


@compiled
@every_rule
@pytest.mark.parametrize("size", SIZES)
def test_one_write_is_the_references_bit_for_bit_where_sums_are_exact(rule: WriteRule, size: tuple[int, int], kernels: ModuleType) -> None:
    rng = np.random.default_rng(3)
    w, keys, values = coarse(rng, *size), rng.integers(-1, 2, (1, size[1])).astype(np.float32), coarse(rng, 1, size[0])
    speed = coarse(rng, *size)
    expected, found = (w.copy(), speed.copy()), (w.copy(), speed.copy())
    reference.write(*expected, keys, values, rule)
    kernels.write(*found, keys, values, rule, threads=2)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    assert rule.step == Step.MOMENTUM or np.array_equal(found[1], speed)


@compiled
@given(seed=st.integers(0, 2**32), n_values=st.integers(1, 40), n_keys=st.integers(1, 90))
@settings(max_examples=20, deadline=None)
def test_a_delta_write_is_the_references_within_its_roundings(kernels: ModuleType, seed: int, n_values: int, n_keys: int) -> None:
    rng = np.random.default_rng(seed)
    w, key, value = (rng.standard_normal(shape, np.float32) for shape in ((n_values, n_keys), (1, n_keys), (1, n_values)))
    expected, found = w.copy(), w.copy()
    rule = WriteRule(Loss.SQUARED_ERROR, rate=0.3)
    reference.write(expected, None, key, value, rule)
    kernels.write(found, None, key, value, rule)
    size_of_y = np.abs(w) @ np.abs(key[0])
    size_of_e = size_of_y + np.abs(value[0])
    # y is off by at most n_keys roundings of its terms, e by one more; then rate e, times k, and the sum with W
    change = 0.3 * np.outer((n_keys + 3) * size_of_e, np.abs(key[0])) + np.abs(w) + 0.3 * np.outer(size_of_e, np.abs(key[0]))
    assert np.all(np.abs(found - expected) <= 2 * UNIT * change * (1 + 1e-4))


@every_rule
@either
def test_many_writes_are_single_writes_one_after_the_other(rule: WriteRule, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "KEY_BLOCK", 150)  # 3 keys of 45
    rng = np.random.default_rng(11)
    w, keys, values = (rng.standard_normal(shape, np.float32) / 4 for shape in ((10, 45), (8, 45), (8, 10)))
    together, single = (w.copy(), np.zeros_like(w)), (w.copy(), np.zeros_like(w))
    kernels.write(*together, keys, values, rule, threads=1)
    for m in range(8):
        kernels.write(*single, keys[m : m + 1], values[m : m + 1], rule, threads=1)
    assert np.array_equal(together[0], single[0])
    assert np.array_equal(together[1], single[1])
    assert np.isfinite(together[0]).all()


@either
def test_plain_hebb_forgets_what_is_written_again_with_the_opposite_value(kernels: ModuleType) -> None:
    rng = np.random.default_rng(2)
    keys, values = coarse(rng, 30, 20), coarse(rng, 30, 9)
    w, without = np.zeros((9, 20), np.float32), np.zeros((9, 20), np.float32)
    kernels.write(w, None, keys, values, WriteRule())
    kernels.write(w, None, keys[4:7], -values[4:7], WriteRule())
    kept = np.delete(np.arange(30), [4, 5, 6])[::-1]
    kernels.write(without, None, keys[kept], values[kept], WriteRule())
    assert np.array_equal(w, without)
