"""Dense memories: interactions by hand, the quadratic one against Hopfield's, softmax against attention."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem import cues
from neuromem.models import dense, hopfield
from neuromem.runs.matrix_session import MatrixSession

pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", ["reference", "cpu"])


def memory(backend: str = "reference", **settings: object) -> MatrixSession:
    session = neuromem.build(dense(**settings), backend)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


def spins(m: int, n: int, seed: int) -> np.ndarray:
    return np.where(cues.random_bits(m, n, np.random.default_rng(seed)), 1, -1)


@either
def test_polynomial_by_hand(backend: str) -> None:
    """x = (1, 1, 1), s = (1, 1, -1): without unit i the overlap is 0, 0, 2, so h_i = F(1 + o) - F(o - 1) = 2, 2, 26 for cubes."""
    s = memory(backend, n=3, power=3)
    s.store([1, 1, 1])
    assert s.weights().tolist() == [[1, 1, 1]]
    step = s.simulation.table.support(neuromem_patterns([[1, 1, -1]]))
    assert step.tolist() == [[2.0, 2.0, 26.0]]
    found = s.recall([1, 1, -1])
    assert found.answer.tolist() == [1, 1, 1]
    assert found.steps.tolist() == [2]
    assert s.energy([[1, 1, 1], [1, 1, -1], [-1, -1, -1]]).tolist() == [-27.0, -1.0, 27.0]
    rectified = memory(backend, n=3, power=3, rectified=True)
    rectified.store([1, 1, 1])
    assert rectified.simulation.table.support(neuromem_patterns([[1, 1, -1]])).tolist() == [[1.0, 1.0, 26.0]]
    assert rectified.energy([[-1, -1, -1]]).tolist() == [0.0]


def neuromem_patterns(values: list[list[int]]) -> object:
    from neuromem.kernels.bits import Patterns

    return Patterns(len(values[0]), bits=np.array(values) > 0)


@either
def test_softmax_by_hand(backend: str) -> None:
    """Patterns (1, 1) and (1, -1), state (1, 1): overlaps 2 and 0; with beta = ln 3 / 2 the weights are 3/4 and 1/4."""
    s = memory(backend, n=2, interaction="softmax", beta=math.log(3) / 2)
    s.store([[1, 1], [1, -1]])
    support = s.recall([1, 1]).support
    assert support is not None
    assert np.abs(support - [1.0, 0.5]).max() <= 1e-6
    assert abs(s.energy([[1, 1]])[0] + 2 * math.log(4) / math.log(3)) <= 1e-12


@either
def test_exponential_by_hand(backend: str) -> None:
    """One pattern (1, 1), s = (1, -1): h = e^(x + o) - e^(o - x) with o = -1 and 1 of the other unit; units 0 and 1 both rise."""
    s = memory(backend, n=2, interaction="exponential")
    s.store([1, 1])
    h = s.simulation.table.support(neuromem_patterns([[1, -1]]))[0]
    assert h[1] / h[0] == pytest.approx((math.e**2 - 1) / (1 - math.e**-2))
    assert s.recall([1, -1]).answer.tolist() == [1, 1]
    assert s.energy([[1, -1], [1, 1]]).tolist() == pytest.approx([0.0, -2.0])


@either
@pytest.mark.parametrize("n", [16, 70, 128])
def test_softmax_read_of_real_units_is_attention(backend: str, n: int) -> None:
    rng = np.random.default_rng(n)
    keys = rng.standard_normal((50, n))
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    cue = keys[:9] + 0.1 * rng.standard_normal((9, n))
    s = memory(backend, n=n, interaction="softmax", units="real", max_steps=1)
    s.store(keys)
    scores = np.exp(8.0 * cue.astype(np.float32).astype(np.float64) @ keys.astype(np.float32).T.astype(np.float64))
    attention = scores / scores.sum(axis=1, keepdims=True) @ keys
    assert np.abs(s.recall(cue).answer - attention).max() <= 1e-6
    many = memory(backend, n=n, interaction="softmax", units="real", beta=64.0)
    many.store(keys)
    found = many.recall(cue)
    assert found.converged.all()
    assert np.abs(found.answer - keys[:9]).max() <= 1e-2  # one pattern takes all of the softmax
    assert (np.diff([many.energy(x)[0] for x in (cue[0], found.answer[0])]) <= 0).all()


@either
def test_softmax_read_of_bipolar_units_is_the_sign_of_attention(backend: str) -> None:
    x, cue = spins(40, 70, 0), spins(6, 70, 1)
    s = memory(backend, n=70, interaction="softmax", max_steps=1)
    s.store(x)
    scores = np.exp(8 / 70**0.5 * (cue @ x.T))
    attention = scores / scores.sum(axis=1, keepdims=True) @ x
    found = s.simulation.table.support(neuromem_patterns(cue.tolist()))
    assert np.abs(found - attention).max() <= 1e-6
    assert np.array_equal(s.recall(cue).answer, np.where(attention > 0, 1, -1))


@given(seed=st.integers(0, 10**6), m=st.integers(1, 40), n=st.integers(2, 80))
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_the_quadratic_interaction_is_hopfields(seed: int, m: int, n: int) -> None:
    """F(o) = o^2 gives four times the input without self-coupling, hence the same signs at every step."""
    x, cue = np.unique(spins(m, n, seed), axis=0), spins(3, n, seed + 1)
    quadratic, hebb = memory(n=n, power=2, max_steps=30), neuromem.build(hopfield(n=n, max_steps=30), "reference")
    quadratic.store(x)
    hebb.store(x)
    a, b = quadratic.recall(cue), hebb.recall(cue)
    assert np.array_equal(a.answer, b.answer)
    assert np.array_equal(a.steps, b.steps)
    assert np.array_equal(a.converged, b.converged)
    assert np.array_equal(a.support, 4 * b.support)


@either
@pytest.mark.parametrize("settings", [{"power": 4}, {"interaction": "exponential"}, {"interaction": "softmax"}], ids=str)
def test_more_patterns_than_units_are_recalled(backend: str, settings: dict[str, object]) -> None:
    """64 units hold 150 patterns, over seventeen times what Hopfield's rule does."""
    x = spins(150, 64, 3)
    s = memory(backend, n=64, **settings)
    s.store(x)
    near = np.where(cues.flip(x > 0, 3, np.random.default_rng(2)), 1, -1)
    assert s.recall(near).equals(x).mean() > 0.95


@given(seed=st.integers(0, 10**6), interaction=st.sampled_from(["polynomial", "exponential", "softmax"]))
@settings(max_examples=20, deadline=None)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_permuting_units_commutes_with_recall(seed: int, interaction: str) -> None:
    rng = np.random.default_rng(seed)
    x, cue, order = np.unique(spins(20, 33, seed), axis=0), spins(4, 33, seed + 1), rng.permutation(33)
    first, second = memory(n=33, interaction=interaction, max_steps=10), memory(n=33, interaction=interaction, max_steps=10)
    first.store(x)
    second.store(x[:, order])
    a, b = first.recall(cue), second.recall(cue[:, order])
    assert np.array_equal(a.answer[:, order], b.answer)
    assert np.array_equal(a.steps, b.steps)
