"""Connectors as pure tables: who meets whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.ir import lower
from neuromem.spec import (
    AllToAllConnector,
    ArrayConnector,
    Connector,
    FixedNumberPostConnector,
    FixedNumberPreConnector,
    FixedProbabilityConnector,
    FixedTotalNumberConnector,
    FromListConnector,
    IFCurrExp,
    Network,
    OneToOneConnector,
    Population,
    Projection,
    RandomDistribution,
    StaticSynapse,
    View,
)

Pairs = list[tuple[int, int]]


def pairs(connector: Connector, n_pre: int, n_post: int, same: int | None = None, seed: int = 0) -> Pairs:
    pre, post = connector.pairs(n_pre, n_post, same, np.random.default_rng(seed), "Projection 'a>b'")
    assert pre.dtype == post.dtype == np.int64
    return list(zip(pre.tolist(), post.tolist(), strict=True))


def test_one_to_one() -> None:
    assert pairs(OneToOneConnector(), 3, 3) == [(0, 0), (1, 1), (2, 2)]


def test_all_to_all_is_sorted_by_pre_then_post() -> None:
    assert pairs(AllToAllConnector(), 2, 3) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_array() -> None:
    assert pairs(ArrayConnector(np.array([[False, True], [True, False], [True, True]])), 3, 2) == [(0, 1), (1, 0), (2, 0), (2, 1)]


def test_list_keeps_its_order_and_its_repetitions() -> None:
    assert pairs(FromListConnector([(2, 1), (0, 0), (2, 1)]), 3, 2) == [(2, 1), (0, 0), (2, 1)]
    assert pairs(FromListConnector([]), 3, 2) == []


MAY_MEET_ITSELF = (
    AllToAllConnector, lambda allow: FixedProbabilityConnector(0.9, allow), lambda allow: FixedNumberPreConnector(4, allow),
    lambda allow: FixedNumberPostConnector(4, allow), lambda allow: FixedTotalNumberConnector(60, allow),
)  # fmt: skip


@pytest.mark.parametrize("make", MAY_MEET_ITSELF)
@pytest.mark.parametrize("same", [None, 0, 2, -3])
def test_self_connections_are_dropped_in_one_population_only(make, same: int | None) -> None:  # type: ignore[no-untyped-def]
    """``same`` is the shift between two views of one population: unit i of pre is unit i + same of post; None: two populations."""

    def own(found: Pairs) -> Pairs:
        return [(i, j) for i, j in found if same is not None and i + same == j]

    assert same is None or own(pairs(make(True), 7, 7, same))
    assert own(pairs(make(False), 7, 7, same)) == []
    if same is None:
        assert pairs(make(False), 7, 7, None) == pairs(make(True), 7, 7, None)
    elif make is AllToAllConnector:
        assert len(pairs(make(False), 7, 7, same)) == 49 - (7 - abs(same))


@given(n_pre=st.integers(1, 12), n_post=st.integers(1, 12), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=25, deadline=None)
def test_fixed_numbers_are_exact_distinct_and_sorted(n_pre: int, n_post: int, seed: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, n_pre))
    found = pairs(FixedNumberPreConnector(n), n_pre, n_post, None, seed)
    assert found == sorted(set(found))
    assert np.bincount([j for _, j in found], minlength=n_post).tolist() == [n] * n_post
    n = data.draw(st.integers(0, n_post))
    found = pairs(FixedNumberPostConnector(n), n_pre, n_post, None, seed)
    assert found == sorted(set(found))
    assert np.bincount([i for i, _ in found], minlength=n_pre).tolist() == [n] * n_pre
    n = data.draw(st.integers(0, 40))
    found = pairs(FixedTotalNumberConnector(n), n_pre, n_post, None, seed)
    assert len(found) == n
    assert found == sorted(found)
    assert all(0 <= i < n_pre and 0 <= j < n_post for i, j in found)
    found = pairs(FixedProbabilityConnector(0.5), n_pre, n_post, None, seed)
    assert found == sorted(set(found))
    assert pairs(FixedProbabilityConnector(0.0), n_pre, n_post) == []
    assert len(pairs(FixedProbabilityConnector(1.0), n_pre, n_post)) == n_pre * n_post


def share(found: Pairs, n_pre: int, n_post: int) -> np.ndarray:
    matrix = np.zeros((n_pre, n_post))
    np.add.at(matrix, tuple(np.array(found).T), 1)
    return matrix


@pytest.mark.parametrize(
    ("connector", "p"),
    [(FixedProbabilityConnector(0.3), 0.3), (FixedNumberPreConnector(30), 0.3), (FixedNumberPostConnector(60), 0.3)],
)
def test_every_pair_has_its_chance(connector: Connector, p: float) -> None:
    """Means over 20,000 pairs, and over quadrants of them, within Hoeffding's bound for a chance of 1e-9.

    (Drawing without replacement strays less than independent draws; the bound holds for it too.)
    """
    matrix = share(pairs(connector, 100, 200, None, 3), 100, 200)
    for part in (matrix, matrix[:50, :100], matrix[50:, 100:], matrix[::2], matrix[:, 1::2]):
        assert abs(part.mean() - p) <= math.sqrt(math.log(2e9) / (2 * part.size))
    assert matrix.max() == 1


def recurrent(pre: View | str, post: View | str, connector: Connector) -> Pairs:
    cells = Population("cells", 8, IFCurrExp())
    program = lower(Network((cells,), (Projection(pre, post, connector, StaticSynapse(1.0, 1.0)),)), dt=1.0, n_steps=1)
    table = program.projections[0]
    return list(zip(table.pre.tolist(), table.post.tolist(), strict=True))


def test_views_of_one_population_share_its_units() -> None:
    lonely = AllToAllConnector(allow_self_connections=False)
    first, last = View("cells", 0, 5), View("cells", 3, 8)
    assert recurrent(first, last, lonely) == [(i, j) for i in range(5) for j in range(3, 8) if i != j]
    assert recurrent(last, first, lonely) == [(i, j) for i in range(3, 8) for j in range(5) if i != j]
    assert recurrent("cells", "cells", lonely) == [(i, j) for i in range(8) for j in range(8) if i != j]
    assert recurrent(View("cells", 0, 3), View("cells", 5, 8), OneToOneConnector()) == [(0, 5), (1, 6), (2, 7)]


@pytest.mark.parametrize("seed", range(3))
def test_fixed_numbers_in_overlapping_views_skip_the_unit_itself(seed: int) -> None:
    for connector in (FixedNumberPreConnector(4, False), FixedNumberPostConnector(4, False)):
        cells = Population("cells", 8, IFCurrExp())
        projection = Projection(View("cells", 0, 5), View("cells", 3, 8), connector, StaticSynapse(1.0, 1.0))
        table = lower(Network((cells,), (projection,)), dt=1.0, n_steps=1, seed=seed).projections[0]
        assert np.all(table.pre != table.post)
        chosen_for = table.post if isinstance(connector, FixedNumberPreConnector) else table.pre
        assert np.unique(chosen_for, return_counts=True)[1].tolist() == [4] * 5


def test_a_list_brings_its_own_weights_and_delays() -> None:
    cells = (Population("a", 3, IFCurrExp()), Population("b", 2, IFCurrExp()))
    rows = [(2, 1, 0.5, 0.3), (0, 0, 1.5, 2.0)]
    table = lower(Network(cells, (Projection("a", "b", FromListConnector(rows), StaticSynapse(9.0, 9.0)),)), dt=0.1, n_steps=1).projections[
        0
    ]
    assert table.weight.tolist() == [[0.5, 1.5]]
    assert table.delay.tolist() == [3, 20]


@pytest.mark.parametrize(
    "connector",
    [AllToAllConnector(), FixedNumberPreConnector(2), FixedNumberPostConnector(2), FixedTotalNumberConnector(9), FixedProbabilityConnector(1.0)],
    ids=lambda connector: type(connector).__name__,
)  # fmt: skip
def test_the_estimate_is_the_number_of_pairs(connector: Connector) -> None:
    assert connector.estimate(3, 5) == len(pairs(connector, 3, 5))


def test_positive_drawn_delays_become_at_least_one_step() -> None:
    """Drawn between 0.01 and 0.29 ms, each is rounded to its nearest step of 0.1 ms, but to none below the first."""
    cells = Population("cells", 30, IFCurrExp())
    synapse = StaticSynapse(0.5, RandomDistribution("uniform", 0.01, 0.29))
    network = Network((cells,), (Projection("cells", "cells", AllToAllConnector(), synapse),))
    delay = lower(network, dt=0.1, n_steps=1).projections[0].delay
    counts = np.bincount(delay, minlength=4)
    assert counts[0] == 0
    assert counts.sum() == 900
    assert 0 < counts[3] < counts[2] < counts[1]  # of widths 0.04, 0.1 and 0.14 ms: expected 129, 321, 450
