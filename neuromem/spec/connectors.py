"""Connectors: which unit of ``pre`` meets which unit of ``post``; with PyNN's names.

Each connector returns the two index vectors of its synapses, sorted by (pre, post) except
``FromListConnector``, which keeps the order given. As in PyNN, ``allow_self_connections=False``
drops a pair only where pre and post are the same unit of the *same* population.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.errors import SpecError
from neuromem.quantities import is_number, is_whole
from neuromem.spec.value import Value, frozen_array, named

Pairs = tuple[np.ndarray, np.ndarray]


class Connector(Value):
    """Base of the connectors."""

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """Return (pre, post), local unit numbers as int64 vectors of equal length.

        ``same`` is None when pre and post are different populations, else the number of the
        first pre unit minus that of the first post unit: units i and j are one cell when
        ``i + same == j``.
        """
        raise NotImplementedError

    def estimate(self, n_pre: int, n_post: int) -> int:
        """Return about how many pairs there will be, without listing them; 0 where the units or a given list bound it."""
        return 0


def _drop_self(pre: np.ndarray, post: np.ndarray, same: int | None, allow: bool) -> Pairs:
    if allow or same is None:
        return pre, post
    keep = pre + same != post
    return pre[keep], post[keep]


def _check_probability(value: float, owner: str) -> None:
    if not is_number(value) or not 0.0 <= value <= 1.0:
        raise SpecError(f"{owner}: p_connect = {value!r}; expected a probability from 0 to 1.")


def _check_count(value: int, owner: str) -> None:
    if not is_whole(value) or value < 0:
        raise SpecError(f"{owner}: n = {value!r}; expected a whole number of synapses, at least 0.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class OneToOneConnector(Connector):
    """Unit i of pre to unit i of post; the sizes must be equal."""

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        if n_pre != n_post:
            raise SpecError(
                f"{owner}: OneToOneConnector from {n_pre} units to {n_post}; expected equal sizes (take a view such as population[0:{min(n_pre, n_post)}])."
            )
        return np.arange(n_pre), np.arange(n_pre)


@named
@dataclass(frozen=True, eq=False, repr=False)
class AllToAllConnector(Connector):
    """Every unit of pre to every unit of post."""

    allow_self_connections: bool = True

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return n_pre * n_post

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        pre, post = np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre)
        return _drop_self(pre, post, same, self.allow_self_connections)


@named
@dataclass(frozen=True, eq=False, repr=False)
class OtherGroupsConnector(Connector):
    """Every unit to every unit of the other groups, where both populations are divided into ``groups`` equal groups (hypercolumns)."""

    groups: int

    def __post_init__(self) -> None:
        if not is_whole(self.groups) or self.groups < 1:
            raise SpecError(f"OtherGroupsConnector: groups = {self.groups!r}; expected a whole number of groups, at least 1.")

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return n_pre * n_post * (self.groups - 1) // self.groups

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        for n in (n_pre, n_post):
            if n % self.groups:
                raise SpecError(f"{owner}: {n} units in {self.groups} groups; expected groups of equal size.")
        pre, post = np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre)
        keep = pre // (n_pre // self.groups) != post // (n_post // self.groups)
        return pre[keep], post[keep]


@named
@dataclass(frozen=True, eq=False, repr=False)
class FixedProbabilityConnector(Connector):
    """Each pair independently with probability ``p_connect``."""

    p_connect: float
    allow_self_connections: bool = True

    def __post_init__(self) -> None:
        _check_probability(self.p_connect, "FixedProbabilityConnector")

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return int(n_pre * n_post * self.p_connect)

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        counts = rng.binomial(n_post, self.p_connect, n_pre)
        post = [np.sort(rng.choice(n_post, int(c), replace=False, shuffle=False)) for c in counts]
        pre = np.repeat(np.arange(n_pre), counts)
        return _drop_self(pre, np.concatenate(post).astype(np.int64), same, self.allow_self_connections)


@named
@dataclass(frozen=True, eq=False, repr=False)
class FixedNumberPreConnector(Connector):
    """Each post unit receives from exactly ``n`` distinct pre units."""

    n: int
    allow_self_connections: bool = True

    def __post_init__(self) -> None:
        _check_count(self.n, "FixedNumberPreConnector")

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return int(self.n) * n_post

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        self_of = None if same is None else -same
        pre = _choose(n_pre, n_post, self.n, self_of, self.allow_self_connections, rng, owner, "pre")
        return _by_pre(pre.ravel(), np.repeat(np.arange(n_post), self.n))


@named
@dataclass(frozen=True, eq=False, repr=False)
class FixedNumberPostConnector(Connector):
    """Each pre unit sends to exactly ``n`` distinct post units."""

    n: int
    allow_self_connections: bool = True

    def __post_init__(self) -> None:
        _check_count(self.n, "FixedNumberPostConnector")

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return n_pre * int(self.n)

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        post = _choose(n_post, n_pre, self.n, same, self.allow_self_connections, rng, owner, "post")
        return _by_pre(np.repeat(np.arange(n_pre), self.n), post.ravel())


def _choose(
    n_from: int, n_for: int, n: int, self_of: int | None, allow_self: bool, rng: np.random.Generator, owner: str, side: str
) -> np.ndarray:
    """Draw, for each of ``n_for`` units, ``n`` distinct units of ``range(n_from)`` without the unit itself."""
    rows = np.empty((n_for, n), dtype=np.int64)
    for i in range(n_for):
        own = -1 if allow_self or self_of is None else i + self_of
        excluded = 0 <= own < n_from
        if n > n_from - excluded:
            raise SpecError(
                f"{owner}: n = {n} distinct {side} units, but there are {n_from - excluded} to choose from; expected at most that."
            )
        drawn = rng.choice(n_from - excluded, n, replace=False, shuffle=False)
        rows[i] = drawn + (excluded & (drawn >= own)) if excluded else drawn
    return rows


def _by_pre(pre: np.ndarray, post: np.ndarray) -> Pairs:
    order = np.lexsort((post, pre))
    return pre[order], post[order]


@named
@dataclass(frozen=True, eq=False, repr=False)
class FixedTotalNumberConnector(Connector):
    """``n`` synapses, each between a pre and a post unit drawn uniformly; a pair may occur twice."""

    n: int
    allow_self_connections: bool = True

    def __post_init__(self) -> None:
        _check_count(self.n, "FixedTotalNumberConnector")

    def estimate(self, n_pre: int, n_post: int) -> int:
        """See ``Connector.estimate``."""
        return int(self.n)

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        pre, post = np.empty(0, np.int64), np.empty(0, np.int64)
        if self.n and n_pre * n_post == 1 and same == 0 and not self.allow_self_connections:
            raise SpecError(f"{owner}: the only pair is a unit with itself; expected allow_self_connections=True or more units.")
        while pre.size < self.n:
            missing = self.n - pre.size
            more = _drop_self(rng.integers(n_pre, size=missing), rng.integers(n_post, size=missing), same, self.allow_self_connections)
            pre, post = np.concatenate([pre, more[0]]), np.concatenate([post, more[1]])
        return _by_pre(pre, post)


@named
@dataclass(frozen=True, eq=False, repr=False)
class ArrayConnector(Connector):
    """The pairs (i, j) at which the boolean matrix ``array`` of shape (n_pre, n_post) is True."""

    array: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.asarray(self.array)
        if matrix.ndim != 2 or matrix.dtype != np.bool_:
            raise SpecError(
                f"ArrayConnector: an array of shape {matrix.shape} and type {matrix.dtype}; expected a boolean matrix (n_pre, n_post)."
            )
        object.__setattr__(self, "array", frozen_array(matrix, bool))

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        if self.array.shape != (n_pre, n_post):
            raise SpecError(f"{owner}: ArrayConnector of shape {self.array.shape}; expected ({n_pre}, {n_post}).")
        pre, post = np.nonzero(self.array)
        return pre, post


@named
@dataclass(frozen=True, eq=False, repr=False)
class FromListConnector(Connector):
    """The synapses of a list, in its order; a pair may occur more than once.

    ``conn_list`` has shape (n, 2) with columns pre, post, or (n, 4) with columns pre, post,
    weight (nA), delay (ms), which then replace those of the synapse.
    """

    conn_list: Any

    def __post_init__(self) -> None:
        try:
            table = frozen_array(self.conn_list)
        except (TypeError, ValueError):
            raise SpecError(
                "FromListConnector: rows of different lengths or not numbers; expected (pre, post) or (pre, post, weight, delay)."
            ) from None
        if table.size == 0:
            table = frozen_array(np.empty((0, 2)))
        if table.ndim != 2 or table.shape[1] not in (2, 4):
            raise SpecError(f"FromListConnector: a table of shape {table.shape}; expected rows (pre, post) or (pre, post, weight, delay).")
        object.__setattr__(self, "conn_list", table)

    def pairs(self, n_pre: int, n_post: int, same: int | None, rng: np.random.Generator, owner: str) -> Pairs:
        """See ``Connector.pairs``."""
        for column, (side, size) in enumerate((("pre", n_pre), ("post", n_post))):
            values = self.conn_list[:, column]
            bad = (values < 0) | (values >= size) | (values != np.floor(values))
            if np.any(bad):
                row = int(np.flatnonzero(bad)[0])
                raise SpecError(
                    f"{owner}: row {row} of the list has {side} = {values[row]:g}; expected a unit number from 0 to {size - 1}."
                )
        return self.conn_list[:, 0].astype(np.int64), self.conn_list[:, 1].astype(np.int64)
