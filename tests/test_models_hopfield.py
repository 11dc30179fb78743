"""Hopfield networks: weights and steps by hand, fixed points, energy, symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem import cues
from neuromem.errors import NotConvergedWarning
from neuromem.models import hopfield
from neuromem.runs.matrix_session import MatrixSession

ROUND = 2.0**-24
BACKENDS = ("reference", "cpu")
pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", BACKENDS)


def memory(backend: str = "reference", seed: int = 0, **settings: object) -> MatrixSession:
    session = neuromem.build(hopfield(**settings), backend, seed=seed)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


def spins(m: int, n: int, seed: int) -> np.ndarray:
    return np.where(cues.random_bits(m, n, np.random.default_rng(seed)), 1, -1)


@either
def test_hebb_by_hand(backend: str) -> None:
    """(1, 1, -1) and (1, -1, -1): w01 = 1 - 1, w02 = -1 - 1, w12 = -1 + 1."""
    s = memory(backend, n=3)
    s.store([[1, 1, -1], [1, -1, -1]])
    assert s.weights().tolist() == [[0, 0, -2], [0, 0, 0], [-2, 0, 0]]
    with pytest.warns(NotConvergedWarning):  # h = (-2, 0, -2), unit 1 keeps its state; then h = (2, 0, 2), and so on
        assert s.recall([1, 1, 1], max_steps=1).answer.tolist() == [-1, 1, -1]
    with_self = memory(backend, n=3, self_coupling=True)
    with_self.store([[1, 1, -1], [1, -1, -1]])
    assert with_self.weights().tolist() == [[2, 0, -2], [0, 2, 0], [-2, 0, 2]]
    assert with_self.recall([1, 1, 1]).answer.tolist() == [1, 1, 1]  # h = (0, 2, 0)
    assert with_self.energy([[1, 1, 1], [1, 1, -1]]).tolist() == [-1.0, -5.0]  # -(6 - 4) / 2 and -(6 + 4) / 2


@either
@pytest.mark.parametrize("update", ["synchronous", "asynchronous"])
def test_a_unit_without_input_keeps_its_state(backend: str, update: str) -> None:
    s = memory(backend, n=3, update=update)
    s.store([[1, 1, -1], [1, -1, -1]])
    for middle in (1, -1):
        assert s.recall([1, middle, -1]).answer.tolist() == [1, middle, -1]


@either
def test_covariance_by_hand(backend: str) -> None:
    """n = 4, a = 1/4, patterns of unit 0 and of unit 1: w01 = 2 (3/4)(-1/4), w02 = -3/16 + 1/16, w23 = 2/16."""
    s = memory(backend, n=4, rule="covariance", activity=0.25)
    s.store([[1, 0, 0, 0], [0, 1, 0, 0]])
    a, b, c = -3 / 8, -1 / 8, 1 / 8
    assert s.weights().tolist() == [[0, a, b, b], [a, 0, b, b], [b, b, 0, c], [b, b, c, 0]]
    with pytest.warns(NotConvergedWarning):  # unit 2 alone: h = (b, b, 0, c); then of unit 3 alone, (b, b, c, 0)
        found = s.recall([0, 0, 1, 0], max_steps=1)
    assert found.answer.tolist() == [False, False, False, True]
    assert found.support is not None
    assert found.support.tolist() == [b, b, c, 0]
    assert s.energy([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]).tolist() == [0.0, -a, -c]


@either
@pytest.mark.parametrize("k", [4, 8])
def test_covariance_is_the_sum_of_products_of_deviations(backend: str, k: int) -> None:
    """a = k / n is a power of 2, so that all sums are exact."""
    n, rng = 32, np.random.default_rng(3)
    bits = cues.random_active(20, n, k, rng)
    s = memory(backend, n=n, rule="covariance", activity=k / n, self_coupling=True)
    s.store(bits)
    deviations = np.zeros((20, n)) - k / n
    np.put_along_axis(deviations, bits, 1 - k / n, axis=1)
    assert np.array_equal(s.weights(), deviations.T @ deviations)


@either
def test_storkey_by_hand(backend: str) -> None:
    """After (1, 1, 1) all weights are 1/3. Then (1, 1, -1): h01 = h10 = w02 x2 = -1/3, so w01 += (1 + 2/3) / 3;
    h02 = h20 = w01 x1 = 1/3, so w02 += (-1 - 1/3 + 1/3) / 3."""
    s = memory(backend, n=3, rule="storkey")
    s.store([1, 1, 1])
    third = 1 / 3
    assert np.abs(s.weights() - [[0, third, third], [third, 0, third], [third, third, 0]]).max() <= ROUND
    s.store([1, 1, -1])
    assert np.abs(s.weights() - [[0, 8 / 9, 0], [8 / 9, 0, 0], [0, 0, 0]]).max() <= 8 * ROUND
    pair = memory(backend, n=2, rule="storkey")
    pair.store([1, 1])
    assert pair.weights().tolist() == [[0, 0.5], [0.5, 0]]
    pair.store([1, -1])  # no third unit, so no field
    assert pair.weights().tolist() == [[0, 0], [0, 0]]


@either
def test_pseudo_inverse_by_hand_and_as_a_projection(backend: str) -> None:
    s = memory(backend, n=2, rule="pseudo_inverse", self_coupling=True)
    s.store([1, 1])
    assert np.abs(s.weights() - 0.5).max() <= 4 * ROUND
    n, m = 70, 30
    rng = np.random.default_rng(0)
    x = np.where(cues.flip(np.ones((m, n), bool), 20, rng), 1, -1)  # correlated: mean overlap (1 - 4/7)^2
    s = memory(backend, n=n, rule="pseudo_inverse", self_coupling=True)
    s.store(x)
    w = s.weights().astype(np.float64)
    # each weight within (m + 2) roundings of sums of sizes up to 1, and n of them are added
    assert np.abs(x @ w - x).max() <= n * (m + 2) * ROUND
    assert np.abs(w @ w - w).max() <= 3 * n * (m + 2) * ROUND
    assert abs(np.trace(w) - m) <= n * (m + 2) * ROUND
    assert s.recall(x).equals(x).all()
    without = memory(backend, n=n, rule="pseudo_inverse")
    without.store(x)
    assert not np.diag(without.weights()).any()
    assert without.recall(x).equals(x).all()


@either
@pytest.mark.parametrize(
    ("settings", "m"),
    [({}, 12), ({"rule": "storkey"}, 24), ({"rule": "pseudo_inverse"}, 100), ({"update": "asynchronous"}, 12)],
    ids=["hebb", "storkey", "pseudo-inverse", "asynchronous"],
)
def test_patterns_below_capacity_are_fixed_points_and_attract(backend: str, settings: dict[str, object], m: int) -> None:
    x = spins(m, 256, 1)
    s = memory(backend, n=256, **settings)
    s.store(x)
    found = s.recall(x)
    assert found.equals(x).all()
    assert found.converged.all()
    assert found.steps.tolist() == [1] * m
    assert found.cue_overlap.tolist() == [1.0] * m
    assert (found.margin > 0).all()
    if m < 100:
        near = np.where(cues.flip(x > 0, 20, np.random.default_rng(2)), 1, -1)
        assert s.recall(near).equals(x).all()


@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
@pytest.mark.parametrize("rule", ["hebb", "storkey", "pseudo_inverse"])
@either
@given(seed=st.integers(0, 10**6), load=st.integers(1, 40))
@settings(max_examples=12, deadline=None)
def test_energy_never_rises_in_asynchronous_recall(backend: str, rule: str, seed: int, load: int) -> None:
    s = memory(backend, seed=seed, n=40, rule=rule, update="asynchronous")
    s.store(np.unique(spins(load, 40, seed), axis=0))
    state = spins(3, 40, seed + 1)
    w = s.weights().astype(np.float64)
    # inputs are sums of n float32 weights in float64; a flip against rounding may cost that much. Hebbian ones are whole numbers.
    allowed = 0.0 if rule == "hebb" else 2 * 40 * 40 * ROUND * float(np.abs(w).max())
    before = s.energy(state)
    assert np.abs(before - [-0.5 * (x @ w @ x) for x in state]).max() <= 40 * 40 * 40 * ROUND * float(np.abs(w).max())
    for _ in range(4):
        state = s.recall(state, max_steps=1).answer
        after = s.energy(state)
        assert (after <= before + allowed).all()
        before = after


@pytest.mark.parametrize("rule", ["hebb", "covariance"])
@given(seed=st.integers(0, 10**6), load=st.integers(1, 30))
@settings(max_examples=15, deadline=None)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_permuting_units_commutes_with_recall(rule: str, seed: int, load: int) -> None:
    rng = np.random.default_rng(seed)
    n, order = 33, rng.permutation(33)
    x = np.unique(spins(load, n, seed) if rule == "hebb" else cues.random_active(load, n, 8, rng), axis=0)
    if rule == "covariance":
        active, x = x, np.zeros((len(x), n), bool)
        np.put_along_axis(x, active, True, axis=1)
    cue = x[:, rng.permutation(n)]
    first, second = (memory(n=n, rule=rule, activity=8 / n if rule == "covariance" else None) for _ in range(2))
    first.store(x)
    second.store(x[:, order])
    a, b = first.recall(cue, max_steps=20), second.recall(cue[:, order], max_steps=20)
    tied = np.zeros(len(x), bool)
    if rule == "covariance":  # of equal winners the first is taken, which depends on the order, and sums are rounded
        assert a.support is not None
        tied = np.abs(a.margin) < 1e-5
        tied |= ~a.converged | ~b.converged | (a.steps > 1)
    assert np.array_equal(a.answer[~tied][:, order], b.answer[~tied])
    assert np.array_equal(a.steps[~tied], b.steps[~tied])


@either
def test_hypercolumns_have_one_winner_each_and_no_weights_within(backend: str) -> None:
    s = memory(backend, n=6, hypercolumns=3)
    s.store([[1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1]])
    assert s.weights().tolist() == [
        [0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1], [1, 1, 0, 0, 0, 2], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 2, 0, 0, 0],
    ]  # fmt: skip
    # h = (1, 1 | 1, 0 | 0, 2) from units 1 and 2 and 4: the first of the tied units 0 and 1 wins
    assert s.recall([0, 1, 1, 0, 0, 1]).answer.tolist() == [True, False, True, False, False, True]
