"""BCPNN: probabilities, weights and answers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem import cues
from neuromem.kernels.bits import Patterns
from neuromem.models import bcpnn
from neuromem.runs.matrix_session import MatrixSession

ROUND = 2.0**-24
pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", ["reference", "cpu"])
THREE = [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1]]  # 2 hypercolumns of 2 units


def memory(backend: str = "reference", **settings: object) -> MatrixSession:
    session = neuromem.build(bcpnn(**settings), backend)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


def log(x: float) -> float:
    return math.log(x)


@either
def test_weights_by_hand(backend: str) -> None:
    """With prior 1 and m = 2: p = (2, 1, 1, 2 + 1/2) / 4 and p_ij = (1, 1, 0, 1 + p_i p_j) / 4."""
    s = memory(backend, n=4, hypercolumns=2)
    s.store(THREE)
    a, b, c, d = log((1 / (0.625 * 0.375) + 1) / 4), log((1 / 0.625**2 + 1) / 4), log(1 / 4), log((1 / (0.375 * 0.625) + 1) / 4)
    assert np.abs(s.weights() - [[0, 0, a, b], [0, 0, c, d], [a, c, 0, 0], [b, d, 0, 0]]).max() <= 6 * ROUND
    # the input of unit 2 from units 0 and 2 is its bias and w02, and so on
    found = s.recall([1, 0, 1, 0])
    assert found.converged.all()
    hard = memory(backend, n=4, hypercolumns=2, competition="hard")
    hard.store(THREE)
    support = hard.recall([0, 1, 0, 1]).support  # of units 0 and 3, where it ends: unit 0 goes with 3 more often than 1 does
    assert support is not None
    expected = [log(0.625) + b, log(0.375) + d, log(0.375) + a, log(0.625) + b]
    assert np.abs(support - expected).max() <= 12 * ROUND
    # -w12 - b1 - b2: what the state explains of itself, as a logarithm
    assert abs(hard.energy([0, 1, 1, 0])[0] + c + 2 * log(0.375)) <= 24 * ROUND


@either
def test_one_soft_step_gives_conditional_probabilities(backend: str) -> None:
    """exp(bias_j + w_ij) = p_ij / p_i, normalised: from unit 0, as 1 + 15/64 to 1 + 25/64; from unit 1, as 9/64 to 1 + 15/64."""
    s = memory(backend, n=4, hypercolumns=2, max_steps=1)
    s.store(THREE)
    state = s.simulation.table.step(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))
    assert np.abs(state[:, 2:] - [[79 / 168, 89 / 168], [9 / 88, 79 / 88]]).max() <= 16 * ROUND


@either
def test_gain_sharpens(backend: str) -> None:
    s = memory(backend, n=4, hypercolumns=2, gain=2.0)
    s.store(THREE)
    state = s.simulation.table.step(np.array([[0, 1, 0, 0]], np.float32))
    assert np.abs(state[0, 2:] - [81 / 6322, 6241 / 6322]).max() <= 32 * ROUND  # squares of 9 and 79, normalised


@either
def test_traces_by_hand(backend: str) -> None:
    """tau = 2 halves the way to each pattern: p_0 = 1/2, 3/4, 7/8; p_02 = 1/4, 5/8, 5/16."""
    s = memory(backend, n=4, hypercolumns=2, tau=2.0)
    s.store(THREE[0])
    after_one = log(0.625 / 0.75**2)
    assert abs(s.weights()[0, 2] - after_one) <= 16 * ROUND
    s.store(THREE[1])
    table = s.simulation.table
    assert table.p_i.tolist() == [0.875, 0.125, 0.375, 0.625]  # type: ignore[attr-defined]
    assert table.p_ij[0].tolist() == [0.8125, 0.0625, 0.3125, 0.5625]  # type: ignore[attr-defined]
    assert abs(s.weights()[0, 2] - log(0.3125 / (0.875 * 0.375))) <= 16 * ROUND
    assert s.weights()[0, 1] == 0.0  # of one hypercolumn


@either
def test_units_that_are_independent_have_no_weight(backend: str) -> None:
    every = np.array([[i == 0, i == 1, j == 0, j == 1] for i in range(2) for j in range(2)])
    s = memory(backend, n=4, hypercolumns=2)
    s.store(every)
    assert np.abs(s.weights()).max() <= 4 * ROUND
    assert np.abs(memory(backend, n=4, hypercolumns=2).weights()).max() <= 4 * ROUND


@either
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_old_patterns_fade_with_tau_only(backend: str) -> None:
    rng = np.random.default_rng(1)
    old, new = cues.random_winners(5, 80, 10, rng), cues.random_winners(20, 80, 10, rng)
    for tau, kept in ((4.0, False), (None, True)):
        s = memory(backend, n=80, hypercolumns=10, tau=tau)
        s.store(old)
        assert s.recall(old).equals(old).all()
        s.store(new)
        assert bool(s.recall(cues.move_winners(old, 10, 2, rng)).equals(old).mean() > 0.5) is kept
        assert s.recall(new[-3:]).equals(new[-3:]).all()


@pytest.mark.parametrize("competition", ["soft", "hard"])
@given(seed=st.integers(0, 10**6), m=st.integers(1, 12))
@settings(max_examples=12, deadline=None)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_permuting_hypercolumns_and_their_units_commutes_with_a_step(competition: str, seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    patterns = np.unique(cues.random_winners(m, 40, 8, rng), axis=0)
    order = np.concatenate([5 * g + rng.permutation(5) for g in rng.permutation(8)])
    cue = cues.move_winners(patterns, 8, 1, rng)
    first, second = (memory(n=40, hypercolumns=8, competition=competition, max_steps=1) for _ in range(2))
    first.store(patterns)
    second.store(patterns[:, order])
    w = first.weights()
    assert np.array_equal(w[np.ix_(order, order)], second.weights())
    h = first.simulation.table.support(Patterns(40, bits=cue)).reshape(len(cue), 8, 5)
    two = np.sort(h, axis=2)[:, :, -2:]
    decided = (two[:, :, 1] - two[:, :, 0] > 1e-3).all(axis=1)  # sums in another order are rounded otherwise; the first of equals wins
    a, b = first.recall(cue), second.recall(cue[:, order])
    assert np.array_equal(a.answer[decided][:, order], b.answer[decided])


@either
def test_units_that_were_never_active_do_not_attract(backend: str) -> None:
    """Few patterns, half of a cue wrong: recall must not end in units that no pattern has."""
    rng = np.random.default_rng(3)
    patterns = cues.random_winners(4, 64, 8, rng)
    s = memory(backend, n=64, hypercolumns=8)
    s.store(patterns)
    answer = s.recall(cues.move_winners(np.repeat(patterns, 50, axis=0), 8, 4, rng)).answer
    never = ~patterns.any(axis=0)
    assert never.sum() > 30
    assert not answer[:, never].any()
