"""Sequence memories: weights by hand, and sequences recalled from their starts."""

from __future__ import annotations

import numpy as np
import pytest

import neuromem
from neuromem import cues
from neuromem.errors import SpecError
from neuromem.models import sequence
from neuromem.runs.matrix_session import MatrixSession

pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")  # the smallest memories hold next to nothing
either = pytest.mark.parametrize("backend", ["reference", "cpu"])


def memory(backend: str = "reference", **settings: object) -> MatrixSession:
    session = neuromem.build(sequence(**settings), backend)  # type: ignore[arg-type]
    assert isinstance(session, MatrixSession)
    return session


@either
def test_clipped_by_hand(backend: str) -> None:
    """Units 0, 1, 2 in turn: unit i connects to its successor only."""
    s = memory(backend, n=4, k=1)
    s.store(np.eye(4, dtype=int)[:3])
    assert s.weights().astype(int).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert s.n_stored == 2
    assert s.recall_sequence([1, 0, 0, 0], 3).astype(int).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert s.recall([0, 1, 0, 0]).answer.astype(int).tolist() == [0, 0, 1, 0]


@either
def test_hebb_by_hand(backend: str) -> None:
    """x = (1, 1) then y = (1, -1): w_ij = x_i y_j."""
    s = memory(backend, n=2, rule="hebb")
    s.store([[1, 1], [1, -1]])
    assert s.weights().tolist() == [[1, -1], [1, -1]]
    assert s.recall([1, 1]).answer.tolist() == [1, -1]
    assert s.recall([1, -1]).answer.tolist() == [1, -1]  # no input: units stay as they are


def bits(rng: np.random.Generator, rule: str, m: int) -> np.ndarray:
    if rule == "hebb":
        return np.where(cues.random_bits(m, 200, rng), np.int8(1), np.int8(-1))
    patterns = np.zeros((m, 200), np.bool_)
    np.put_along_axis(patterns, cues.random_active(m, 200, 8, rng), True, axis=1)
    return patterns


@either
@pytest.mark.parametrize("rule", ["clipped", "hebb"])
def test_sequences_are_recalled_from_their_starts(backend: str, rule: str) -> None:
    rng = np.random.default_rng(2)
    first, second = bits(rng, rule, 9), bits(rng, rule, 7)
    s = memory(backend, n=200, rule=rule, k=8 if rule == "clipped" else None)
    s.store(first)
    s.store(second)
    assert s.n_stored == 8 + 6
    assert np.array_equal(s.recall_sequence(first[0], 8), first[1:])
    assert np.array_equal(s.recall_sequence(second[0], 6), second[1:])
    both = s.recall_sequence(np.stack([first[0], second[0]]), 6)
    assert both.shape == (2, 6, 200)
    assert both.dtype == (np.bool_ if rule == "clipped" else np.int8)
    assert np.array_equal(both, np.stack([first[1:7], second[1:]]))
    wrong = cues.delete(first[0], 3, rng) if rule == "clipped" and first.ndim == 1 else first[:1].copy()
    wrong = cues.delete(wrong, 3, rng) if rule == "clipped" else np.where(cues.flip(wrong > 0, 20, rng), np.int8(1), np.int8(-1))
    assert np.array_equal(s.recall_sequence(wrong[0], 8), first[1:])
    s.forget(second) if rule == "hebb" else None
    assert s.n_stored == (8 if rule == "hebb" else 14)
    assert np.array_equal(s.recall_sequence(first[0], 8), first[1:])


@either
def test_a_sequence_may_close(backend: str) -> None:
    s = memory(backend, n=200, k=8)
    x = bits(np.random.default_rng(3), "clipped", 5)
    s.store(x)
    s.store(np.stack([x[-1], x[0]]))
    assert np.array_equal(s.recall_sequence(x[0], 12), np.concatenate([x[1:], x, x[:3]]))


def test_sequences_are_refused() -> None:
    s = memory(n=4, k=1)
    for wrong, text in (
        ([[1, 0, 0, 0]], "sequence, store, content: a sequence of 1 pattern; expected at least 2, in order."),
        ([1, 0, 0, 0], "sequence, store, content: a sequence of 1 pattern; expected at least 2, in order."),
    ):
        with pytest.raises(SpecError) as refused:
            s.store(wrong)
        assert str(refused.value) == text
    for length in (0, True, 1.5):
        with pytest.raises(SpecError) as refused:
            s.recall_sequence([1, 0, 0, 0], length)  # type: ignore[arg-type]
        assert str(refused.value) == f"sequence, recall_sequence: length = {length!r}; expected a whole number of patterns, at least 1."
    assert s.n_stored == 0
    assert s.recall_sequence([1, 0, 0, 0], np.int64(2)).shape == (2, 4)  # type: ignore[arg-type]
    hopfield = neuromem.build(neuromem.models.hopfield(n=4), "reference")
    with pytest.raises(SpecError) as refused:
        hopfield.recall_sequence([1, 1, 1, 1], 3)
    assert str(refused.value) == "hopfield: recall_sequence; its patterns are not stored in order: expected a sequence memory."
