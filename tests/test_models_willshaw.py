"""Willshaw networks: tables and recall by hand, and what clipping cannot get wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromem
from neuromem import cues
from neuromem.models import willshaw
from neuromem.runs.matrix_session import MatrixSession

pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", ["reference", "cpu"])


def memory(backend: str = "reference", **settings: object) -> MatrixSession:
    session = neuromem.build(willshaw(**settings), backend)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


def active(found: np.ndarray) -> list[int]:
    return np.flatnonzero(found).tolist()


@either
def test_by_hand(backend: str) -> None:
    """{0, 1} and {1, 2} of 5 units."""
    s = memory(backend, n=5, k=2, iterative=False)
    s.store([[0, 1], [1, 2]])
    assert s.weights().astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    # counts of {1}: 1 1 1 0 0, all three tie; of {0, 2}: 1 2 1, the second winner ties with another; of {0, 1}: 2 2 1
    assert [active(s.recall(np.isin(np.arange(5), cue)).answer) for cue in ([1], [0, 2], [0, 1], [3])] == [[0, 1, 2], [0, 1, 2], [0, 1], []]
    t = memory(backend, n=5, k=2, recall="threshold")
    t.store([[0, 1], [1, 2]])
    # units that connect to all of the cue
    assert [active(t.recall(np.isin(np.arange(5), cue)).answer) for cue in ([1], [0, 2], [0, 1], [3])] == [[0, 1, 2], [1], [0, 1], []]


@either
def test_a_table_is_set_once(backend: str) -> None:
    s = memory(backend, n=70, k=3)
    s.store([[0, 64, 69]])
    once = s.weights()
    s.store([[0, 64, 69]])
    assert np.array_equal(s.weights(), once)
    assert s.n_stored == 2
    assert active(once[64]) == [0, 64, 69]


@either
def test_pairs_by_hand(backend: str) -> None:
    s = memory(backend, n=4, n_content=3, k_content=1)
    s.store([[1, 1, 0, 0], [0, 1, 1, 0]], [[1, 0, 0], [0, 0, 1]])
    assert s.weights().astype(int).tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 0]]
    found = s.recall([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]])
    assert found.answer.astype(int).tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert found.support is not None
    assert found.support.tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 2]]
    assert found.margin.tolist() == [1.0, 1.0, 0.5]  # (1 - 0) / 1, (1 - 0) / 1, (2 - 1) / 2


@given(seed=st.integers(0, 10**6), m=st.integers(1, 60), lost=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_recall_by_threshold_never_misses_a_unit(seed: int, m: int, lost: int) -> None:
    """A part of a stored pattern is connected to all of it, however full the table is."""
    rng = np.random.default_rng(seed)
    patterns = np.unique(cues.random_active(m, 50, 5, rng), axis=0)
    s = memory(n=50, k=5, recall="threshold")
    s.store(patterns)
    whole = np.zeros((len(patterns), 50), bool)
    np.put_along_axis(whole, patterns, True, axis=1)
    assert not (whole & ~s.recall(cues.delete(whole, lost, rng)).answer).any()


@pytest.mark.parametrize("recall", ["winners", "threshold"])
@given(seed=st.integers(0, 10**6), m=st.integers(1, 40))
@settings(max_examples=15, deadline=None)
@pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning")
def test_permuting_units_commutes_with_recall(recall: str, seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    patterns, order = np.unique(cues.random_active(m, 40, 4, rng), axis=0), rng.permutation(40)
    bits = np.zeros((len(patterns), 40), bool)
    np.put_along_axis(bits, patterns, True, axis=1)
    cue = cues.delete(bits, 1, rng)
    first, second = memory(n=40, k=4, recall=recall), memory(n=40, k=4, recall=recall)
    first.store(bits)
    second.store(bits[:, order])
    assert np.array_equal(first.weights()[np.ix_(order, order)], second.weights())
    a, b = first.recall(cue), second.recall(cue[:, order])
    assert np.array_equal(a.answer[:, order], b.answer)
    assert np.array_equal(a.steps, b.steps)
    assert np.allclose(a.margin, b.margin)


@either
def test_patterns_below_capacity_come_back_whole_from_half(backend: str) -> None:
    rng = np.random.default_rng(4)
    patterns = cues.random_active(150, 256, 8, rng)  # about 4 % of the table
    s = memory(backend, n=256, k=8)
    s.store(patterns)
    bits = np.zeros((150, 256), bool)
    np.put_along_axis(bits, patterns, True, axis=1)
    found = s.recall(cues.delete(bits, 4, rng))
    assert found.equals(bits).mean() > 0.95
    assert found.converged.all()
    assert [row.tolist() for row in np.split(found.active.units, found.active.start[1:-1])] == [active(row) for row in found.answer]
