"""Memories without spikes that hold 20 patterns and more, of odd sizes, against NumPy in float64 that shares nothing with the engines."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import neuromem
from neuromem import cues
from neuromem.errors import NotConvergedWarning, OverloadWarning
from neuromem.models import bcpnn, hetero, hopfield
from neuromem.runs.matrix_session import MatrixSession
from neuromem.spec import MemoryModel

ROUND = 2.0**-24  # half of the spacing of float32 at 1: one rounding
M = 24
ENGINES = ("reference", "cpu")

every_engine = pytest.mark.parametrize("backend", ENGINES)


@pytest.fixture(autouse=True)
def quiet() -> object:
    """Cues that do not come to rest, and memories that are full, are part of what is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        warnings.simplefilter("ignore", OverloadWarning)
        yield


def built(model: MemoryModel, backend: str) -> MatrixSession:
    session = neuromem.build(model, backend)
    assert isinstance(session, MatrixSession)
    return session


@pytest.mark.parametrize("n", [43, 101])
@pytest.mark.parametrize("m", [2, 20])
def test_storkey_is_the_same_bits_on_all_engines(n: int, m: int) -> None:
    """Answers to the same batch as well, even where an input is 0 but for rounding, as for some random cues of two patterns: it is the same sum."""
    rng = np.random.default_rng(0)
    patterns, cue = (np.where(cues.random_bits(b, n, rng), np.int8(1), np.int8(-1)) for b in (m, 1000))
    reference, cpu, singly = (built(hopfield(n, "storkey"), backend) for backend in ("reference", "cpu", "cpu"))
    reference.store(patterns)
    cpu.store(patterns)
    for pattern in patterns:
        singly.store(pattern)
    expected, found = reference.weights(), reference.recall(cue)
    assert np.array_equal(expected, expected.T)
    for session in (cpu, singly):
        assert np.array_equal(session.weights(), expected)
        other = session.recall(cue)
        assert np.array_equal(other.answer, found.answer)
        assert np.array_equal(other.steps, found.steps)


class Writes:
    """A composed rule in float64, with a bound on how far float32 may be off.

    ``off`` bounds the error of W in the Frobenius norm, ``off_s`` that of the momentum; u = 2^-24. In a write of (k, v), with y = W k:

    - y errs by |k| off + (n + 1) u |W| |k|, its sums of n products rounded in any order, and e by ``slope`` times as much and 4 u |e|;
    - rate e k^T errs by rate |k| times that, and by 3 u of itself; momentum adds what S is off by, and 3 u (|S| + |rate e k^T|);
    - retained W errs by off times what is kept of a row at most; with Oja's 1 - rate e^2, by rate (2 |e| + de) de |W| as well; by 4 u of itself;
    - the sum is rounded once.
    """

    def __init__(self, n: int, n_values: int, loss: str, retention: str, step: str) -> None:
        self.loss, self.retention, self.step = loss, retention, step
        self.w, self.s = np.zeros((n_values, n)), np.zeros((n_values, n))
        self.off = self.off_s = 0.0

    def error(self, y: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, float]:
        """Return e and how much it moves with y at most, for y within 1e-3."""
        r = v - y
        return {
            "dot": (v, 0.0),
            "squared": (r, 1.0),
            "huber": (np.clip(r, -0.5, 0.5), 1.0),
            "power": (np.sign(r) * r * r, 2.0 * (float(np.abs(r).max()) + 1e-3)),
            "variance": (y, 1.0),
        }[self.loss]

    def write(self, k: np.ndarray, v: np.ndarray) -> None:
        rate, gamma, momentum = 0.125, 0.875, 0.25
        norm = np.linalg.norm
        e, slope = self.error(self.w @ k, v)
        size = norm(self.w)
        de = slope * norm(k) * (self.off + (len(k) + 1) * ROUND * size) + 4 * ROUND * norm(e)
        change = rate * np.outer(e, k)
        d_change = rate * norm(k) * de + 3 * ROUND * norm(change)
        if self.step == "momentum":
            self.off_s = momentum * self.off_s + d_change + 3 * ROUND * (norm(self.s) + norm(change))
            change = self.s = momentum * self.s + change
            d_change = self.off_s
        keep = {"keep": np.ones_like(e), "decay": np.full_like(e, gamma), "oja": 1 - rate * e * e}[self.retention]
        kept = np.abs(keep).max() * self.off + 4 * ROUND * size
        if self.retention == "oja":
            kept += rate * (2 * np.abs(e).max() + de) * de * (size + self.off)
        self.w = keep[:, np.newaxis] * self.w + change
        self.off = float(kept + d_change + ROUND * norm(self.w))


@every_engine
@pytest.mark.parametrize(
    ("loss", "retention", "step"),
    list(itertools.product(("dot", "squared", "huber", "power", "variance"), ("keep", "decay", "oja"), ("plain", "momentum"))),
)
def test_composed_rules_within_their_rounding(backend: str, loss: str, retention: str, step: str) -> None:
    n, n_values = 37, 11
    rng = np.random.default_rng(1)
    keys, values = rng.normal(size=(M, n)) / np.sqrt(n), rng.normal(size=(M, n_values)) / np.sqrt(n_values)
    keys, values = keys.astype(np.float32), values.astype(np.float32)
    session = built(
        hetero(n, n_values, loss=loss, retention=retention, step=step, rate=0.125, gamma=0.875, momentum=0.25, delta=0.5, p=3.0), backend
    )
    session.store(keys, values)
    exact = Writes(n, n_values, loss, retention, step)
    for k, v in zip(keys.astype(np.float64), values.astype(np.float64), strict=True):
        exact.write(k, v)
    assert 1.01 * exact.off < 1e-3  # the bound says something, and powers stay within what their slope was taken for
    assert np.linalg.norm(session.weights().T - exact.w) <= 1.01 * exact.off  # a hundredth for the squares of u
    # an answer: that error times the key, and n + 1 roundings of its products
    read = session.recall(keys).answer
    allowed = np.linalg.norm(keys, axis=1) * 1.01 * (exact.off + (n + 2) * ROUND * np.linalg.norm(exact.w))
    assert (np.linalg.norm(read - keys.astype(np.float64) @ exact.w.T, axis=1) <= allowed).all()


def first_winners(h: np.ndarray, k: int) -> np.ndarray:
    """Return the k units with the largest input, those of low number first."""
    won = np.zeros(h.shape, bool)
    np.put_along_axis(won, np.argsort(-h, axis=1, kind="stable")[:, :k], True, axis=1)
    return won


@every_engine
def test_hebbian_winners_are_exactly_these(backend: str) -> None:
    """Weights are numbers of patterns: no sum is rounded."""
    n, k, steps = 71, 7, 15
    rng = np.random.default_rng(2)
    patterns = np.array([np.isin(np.arange(n), units) for units in cues.random_active(M, n, k, rng)])
    cue = cues.add(cues.delete(patterns, 2, rng), 2, rng)
    session = built(hopfield(n, activity=0.1, max_steps=steps), backend)
    session.store(patterns)
    x = patterns.astype(np.float64)
    w = x.T @ x
    np.fill_diagonal(w, 0.0)
    state = cue
    for _ in range(steps):
        state = first_winners(state @ w, k)
    assert np.array_equal(session.weights(), w)
    assert np.array_equal(session.recall(cue).answer > 0, state)


@every_engine
def test_covariance_winners_are_these_where_rounding_does_not_decide(backend: str) -> None:
    """Of k active units, an input is k weights, each rounded once, added in at most n roundings: n + 1 of the sum of sizes. What is decided
    by more than twice that, in every step, is the same."""
    n, k = 71, 7
    rng = np.random.default_rng(3)
    patterns = np.array([np.isin(np.arange(n), units) for units in cues.random_active(M, n, k, rng)])
    cue = cues.add(cues.delete(patterns, 2, rng), 2, rng)
    session = built(hopfield(n, "covariance", activity=0.1), backend)
    session.store(patterns)
    x = patterns - k / n
    w = x.T @ x
    np.fill_diagonal(w, 0.0)
    assert np.abs(session.weights() - w).max() <= ROUND * np.abs(w).max() * (1 + 1e-6)  # float64 sums of M products are 1e-9 of this
    found = session.recall(cue)
    state, decided = cue, found.converged.copy()
    for step in range(1, int(found.steps.max()) + 1):
        h, slack = state @ w, (n + 2) * ROUND * (state @ np.abs(w)).max(axis=1)
        ranked = -np.sort(-h, axis=1)
        decided &= (step > found.steps) | (ranked[:, k - 1] - ranked[:, k] > 2 * slack)
        state = np.where((step <= found.steps)[:, np.newaxis], first_winners(h, k), state)
    assert np.array_equal(found.answer[decided] > 0, state[decided])
    assert decided.mean() > 0.5


@every_engine
def test_soft_bayesian_recall_is_this_where_rounding_does_not_decide(backend: str) -> None:
    """An input errs by n + 9 roundings of the sum of sizes (each weight is a float32 logarithm of numbers rounded six times), and by what the
    state errs, weighted. If inputs err by d, log odds of a unit err by 2 d, and so s_j by s_j (1 - s_j) 2 d e^(2 d) at most, and some roundings."""
    n, h = 63, 9
    m = n // h
    rng = np.random.default_rng(4)
    patterns = cues.random_winners(M, n, h, rng)
    cue = cues.move_winners(patterns, h, 2, rng)
    session = built(bcpnn(n, h), backend)
    session.store(patterns)
    x = patterns.astype(np.float64)
    p = (x.sum(axis=0) + 1 / m) / (M + 1)
    w = np.log((x.T @ x + np.outer(p, p)) / (M + 1) / np.outer(p, p))
    w[np.equal.outer(np.arange(n) // m, np.arange(n) // m)] = 0.0
    # the argument of the logarithm errs by 6 roundings, its value by as much and two of its own
    assert np.abs(session.weights() - w).max() <= 1.01 * ROUND * (6 + 2 * np.abs(w).max())
    found = session.recall(cue)
    state, off = cue.astype(np.float64), np.zeros(cue.shape)
    for step in range(1, int(found.steps.max()) + 1):
        inputs = np.log(p) + state @ w
        sizes = np.abs(np.log(p)) + state @ (np.abs(w) + 6)
        d = (off @ np.abs(w) + (n + 9) * ROUND * sizes).max(axis=1, keepdims=True)
        grouped = inputs.reshape(-1, h, m)
        new = np.exp(grouped - grouped.max(axis=2, keepdims=True))
        new = (new / new.sum(axis=2, keepdims=True)).reshape(state.shape)
        few = np.minimum(d, 1.0)
        moved = np.minimum(1.0, new * (1 - new) * 2 * few * np.exp(2 * few) + (m + 40) * ROUND * new)  # exp of numbers up to 30 in size
        moved = np.where(d > 1.0, 1.0, moved)
        going = (step <= found.steps)[:, np.newaxis]
        state, off = np.where(going, new, state), np.where(going, moved, off)
    ranked = -np.sort(-state.reshape(-1, h, m), axis=2)
    decided = (ranked[..., 0] - ranked[..., 1] > 2 * off.max(axis=1, keepdims=True)).all(axis=1) & found.converged
    winners = (state.reshape(-1, h, m) == ranked[..., :1]).reshape(state.shape)
    assert np.array_equal(found.answer[decided] > 0, winners[decided])
    assert decided.mean() > 0.8
