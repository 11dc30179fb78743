"""Hetero-association: rules by hand, the error of plain Hebb, overwriting, correlated keys."""

from __future__ import annotations

import numpy as np
import pytest

import neuromem
from neuromem.errors import SpecError
from neuromem.models import hetero
from neuromem.runs.matrix_session import MatrixSession

pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", ["reference", "cpu"])


def memory(backend: str = "cpu", **settings: object) -> MatrixSession:
    session = neuromem.build(hetero(**settings), backend)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


def unit_rows(rng: np.random.Generator, m: int, d: int) -> np.ndarray:
    rows = rng.standard_normal((m, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


# two writes: key (1, 0) with value (1, -1), then key (1, 1) with value (0, 1); weights are (key, value)
BY_HAND = {
    "hebb": ({}, [[1, 0], [0, 1]]),
    "decay": ({"retention": "decay", "gamma": 0.5}, [[0.5, 0.5], [0, 1]]),
    # y = (1, -1) before the second write, so e = (-1, 2)
    "delta": ({"loss": "squared"}, [[0, 1], [-1, 2]]),
    # first e = (0.5, -0.5); then y is that, v - y = (-0.5, 1.5), bounded (-0.5, 0.5)
    "huber": ({"loss": "huber", "delta": 0.5}, [[0, 0], [-0.5, 0.5]]),
    # e = sign(d) d^2: (1, -1), then of (-1, 2): (-1, 4)
    "power": ({"loss": "power", "p": 3.0}, [[0, 3], [-1, 4]]),
    # nothing responds, so nothing is written
    "variance": ({"loss": "variance"}, [[0, 0], [0, 0]]),
    # rows shrink by 1 - e^2 / 2: by 1/2 at first, of nothing; then 1 and 1/2 of (1/2, -1/2)
    "oja": ({"retention": "oja", "rate": 0.5}, [[0.5, 0.25], [0, 0.5]]),
    # S = (1, -1) for the first key; then half of it and the second write
    "momentum": ({"step": "momentum", "momentum": 0.5}, [[1.5, -0.5], [0, 1]]),
    # slot 0 is (1, -1): of e = (0, 1) it has -1/2 of itself, and takes (1/2, 1/2); slot 1 is empty and takes all
    "orthogonal": ({"step": "orthogonal"}, [[1.5, -0.5], [0, 1]]),
    "bounded": ({"w_min": -0.25, "w_max": 0.5}, [[0.5, 0.5], [0, 0.5]]),
}


@either
@pytest.mark.parametrize("rule", BY_HAND)
def test_rules_by_hand(backend: str, rule: str) -> None:
    settings, weights = BY_HAND[rule]
    s = memory(backend, n=2, **settings)
    s.store([1, 0], [1, -1])
    s.store([1, 1], [0, 1])
    assert s.weights().tolist() == weights
    assert s.recall([1, 1]).answer.tolist() == np.sum(weights, axis=0).tolist()
    assert np.isnan(s.recall([1, 1]).margin).all()


@either
def test_bipolar_by_hand(backend: str) -> None:
    s = memory(backend, n=2, n_content=3, units="bipolar")
    s.store([[1, 1], [1, -1]], [[1, -1, 1], [1, 1, -1]])
    assert s.weights().tolist() == [[2, 0, 0], [0, -2, 2]]
    found = s.recall([[1, 1], [1, -1], [-1, 1]])
    assert found.answer.tolist() == [[1, -1, 1], [1, 1, -1], [-1, -1, 1]]
    s.forget([1, 1], [1, -1, 1])
    assert s.recall([1, 1]).answer.tolist() == [1, 1, 1]  # the pairs left are orthogonal to it: ties read as 1
    assert s.weights().tolist() == [[1, 1, -1], [-1, -1, 1]]


@either
@pytest.mark.parametrize("load", [1 / 8, 1 / 2, 1, 2])
def test_the_error_of_plain_hebb_is_n_minus_1_over_d(backend: str, load: float) -> None:
    d, seeds = 64, round(50 / load)
    n = round(load * d)
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        keys, values = unit_rows(rng, n, d), unit_rows(rng, n, d)
        s = memory(backend, n=d)
        s.store(keys, values)
        errors.append(np.square(s.recall(keys).answer - values).sum(axis=1).mean())
    # the issue asks for 5 %; the seeds themselves vary by much less
    assert np.std(errors, ddof=1) / seeds**0.5 < 0.015 * np.mean(errors)
    assert abs(np.mean(errors) / ((n - 1) / d) - 1) < 0.05


def decoded(s: MatrixSession, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the number of the value that each answer is nearest to in direction."""
    return np.asarray((s.recall(keys).answer @ values.T).argmax(axis=1))


def test_delta_overwrites_and_hebb_does_not() -> None:
    """16 keys get new values again and again; only the last counts."""
    rng = np.random.default_rng(0)
    keys, values = unit_rows(rng, 16, 64), unit_rows(rng, 128, 64)
    for times, most in ((2, 0.7), (4, 0.45), (8, 0.3)):
        right = {}
        for loss in ("squared", "dot"):
            s = memory(n=64, loss=loss)
            for _ in range(times):
                last = rng.permutation(128)[:16]
                s.store(keys, values[last])
            right[loss] = float((decoded(s, keys, values) == last).mean())
        assert right["squared"] == 1.0
        assert right["dot"] <= most


def test_delta_tells_correlated_keys_apart_and_hebb_does_not() -> None:
    """32 keys with a common cosine of 0.6: sqrt(0.6) of one direction and the rest of their own."""
    rng = np.random.default_rng(1)
    common, values = unit_rows(rng, 1, 64), unit_rows(rng, 32, 64)
    own = rng.standard_normal((32, 64))
    own -= (own @ common.T) * common
    own = np.linalg.qr(own.T)[0].T
    keys = np.sqrt(0.6) * common + np.sqrt(0.4) * own
    assert np.abs(keys @ keys.T - (0.6 + 0.4 * np.eye(32))).max() < 1e-9
    right = {}
    for loss in ("squared", "dot"):
        s = memory(n=64, loss=loss)
        for _ in range(10):
            s.store(keys, values)
        right[loss] = float((decoded(s, keys, values) == np.arange(32)).mean())
    assert right["squared"] >= 0.99
    assert right["dot"] <= 0.5


@either
def test_delta_leaves_exactly_what_was_last_written(backend: str) -> None:
    s = memory(backend, n=4, n_content=3, loss="squared")
    key = [0.5, 0.5, 0.5, 0.5]
    for value in ([1, 2, 3], [-7, 0.25, 100], [0, 0, 1]):
        s.store(key, value)
        assert s.recall(key).answer.tolist() == value
    assert s.n_stored == 3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_rule_that_diverges_says_so(backend: str) -> None:
    rng = np.random.default_rng(0)
    session = neuromem.build(neuromem.models.hetero(n=16, loss="squared", rate=5.0), backend)
    keys = rng.normal(size=(200, 16))
    with pytest.raises(
        SpecError, match=r"^hetero, store: the weights are not finite any more, and what was stored is lost: rate = 5 is too large"
    ):
        session.store(keys, keys)
