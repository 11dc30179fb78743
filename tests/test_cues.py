"""Random patterns and noisy cues: exact counts, every unit alike, nothing changed in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem import cues

seeds = st.integers(0, 10**6)


@given(seed=seeds, b=st.integers(1, 6), n=st.integers(1, 90), count=st.integers(0, 95))
@settings(max_examples=50, deadline=None)
def test_counts_are_exact(seed: int, b: int, n: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    bits = cues.random_bits(b, n, rng)
    before = bits.copy()
    assert bits.shape == (b, n)
    assert bits.dtype == np.bool_
    assert ((cues.flip(bits, count, rng) != bits).sum(axis=1) == min(count, n)).all()
    less, more = cues.delete(bits, count, rng), cues.add(bits, count, rng)
    assert not (less & ~bits).any()
    assert not (bits & ~more).any()
    active = bits.sum(axis=1)
    assert np.array_equal(less.sum(axis=1), np.maximum(active - count, 0))
    assert np.array_equal(more.sum(axis=1), np.minimum(active + count, n))
    assert np.array_equal(bits, before)


@given(seed=seeds, b=st.integers(0, 30), n=st.integers(1, 60), part=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_active_units_are_distinct_and_ascending(seed: int, b: int, n: int, part: float) -> None:
    k = round(part * n)
    units = cues.random_active(b, n, k, np.random.default_rng(seed))
    assert units.shape == (b, k)
    assert (np.diff(units, axis=1) > 0).all()
    assert units.size == 0 or (units.min() >= 0 and units.max() < n)


@given(seed=seeds, b=st.integers(1, 5), groups=st.integers(1, 9), each=st.integers(2, 9), count=st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_winners_move_within_their_groups(seed: int, b: int, groups: int, each: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    bits = cues.random_winners(b, groups * each, groups, rng)
    assert (bits.reshape(b, groups, each).sum(axis=2) == 1).all()
    count = min(count, groups)
    moved = cues.move_winners(bits, groups, count, rng)
    assert (moved.reshape(b, groups, each).sum(axis=2) == 1).all()
    changed = (moved != bits).reshape(b, groups, each).any(axis=2).sum(axis=1)
    assert (changed == count).all()


@pytest.mark.parametrize(
    "share",
    [
        lambda rng: cues.random_bits(4000, 20, rng).mean(axis=0) / 0.5,
        lambda rng: np.bincount(cues.random_active(4000, 20, 4, rng).ravel(), minlength=20) / 800,
        lambda rng: np.bincount(cues.random_active(4000, 20, 12, rng).ravel(), minlength=20) / 2400,
        lambda rng: cues.random_winners(4000, 20, 5, rng).mean(axis=0) / 0.25,
        lambda rng: cues.flip(np.zeros((4000, 20), bool), 5, rng).mean(axis=0) / 0.25,
        lambda rng: cues.delete(np.ones((4000, 20), bool), 5, rng).mean(axis=0) / 0.75,
        lambda rng: cues.move_winners(np.tile(np.arange(20) % 4 == 0, (4000, 1)), 5, 5, rng).reshape(-1, 4)[:, 1:].mean(axis=0) * 3,
    ],
    ids=["bits", "few active", "many active", "winners", "flips", "deletions", "moves"],
)
def test_units_are_alike(share) -> None:  # type: ignore[no-untyped-def]
    """Shares of at least 4,000 draws of probability 1/5 or more: 5 standard errors are below 5 sqrt(4 / 4000) = 0.16."""
    assert np.abs(share(np.random.default_rng(7)) - 1).max() < 0.16


def test_the_generator_decides() -> None:
    bits = cues.random_bits(3, 50, np.random.default_rng(1))
    assert np.array_equal(bits, cues.random_bits(3, 50, np.random.default_rng(1)))
    a, b = (cues.flip(bits, 9, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, cues.flip(bits, 9, np.random.default_rng(3)))
