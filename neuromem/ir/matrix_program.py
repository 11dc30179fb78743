"""The Program of a memory without spikes: units that are updated once a step, and one table of learned weights.

A table is stored in one of these forms; the numbers that it stands for are the same (``storage`` of ``MatrixProgram``):

``bits``        one bit a synapse (clipped Hebbian): ``n_pre n_post / 8`` bytes
``rows``        the set bits of each row, for tables too large to write down
``patterns``    the stored bipolar patterns, twice ``n_pre / 8`` bytes each; weights are sums over them (Hebbian)
``counts``      int32 counts of coactivity, of which the weights are functions (Hebbian, covariance, Bayesian)
``matrix``      float32 weights (Storkey, pseudo-inverse, Bayesian traces, outer products)
``hidden``      the stored patterns as the weights of hidden units (dense memories)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from neuromem.spec.memory import Update
from neuromem.spec.plasticity import PlasticityRule
from neuromem.spec.units import HiddenUnit, Unit

Storage = Literal["bits", "rows", "patterns", "counts", "matrix", "hidden"]
Wiring = Literal["all", "no self", "other groups"]


@dataclass(frozen=True)
class UnitTable:
    """A population: ``first .. first + size - 1`` of all units."""

    name: str
    role: str
    first: int
    size: int
    cell: Unit


@dataclass(frozen=True)
class MatrixProgram:
    """A memory without spikes, as engines execute it.

    ``pre`` and ``post`` are the populations that the learned projection connects (equal when recurrent), ``wiring``
    which of their pairs it leaves out, ``lag`` whether a stored pattern is associated with itself or with its successor.
    ``hidden`` is the population of a dense memory that grows with the patterns.
    """

    name: str
    populations: tuple[UnitTable, ...]
    projection: str
    pre: UnitTable
    post: UnitTable
    hidden: HiddenUnit | None
    rule: PlasticityRule
    wiring: Wiring
    lag: int
    storage: Storage
    update: Update
    seed: int

    @property
    def recurrent(self) -> bool:
        """Whether the answer is fed back: pre and post are one population."""
        return self.pre == self.post

    @property
    def single_step(self) -> bool:
        """Whether a recall is one read, whose answer is not fed back."""
        return not self.recurrent or self.lag > 0 or self.update.order == "single"

    @property
    def auto_associative(self) -> bool:
        """Whether patterns are stored with themselves."""
        return self.recurrent and self.lag == 0

    @property
    def groups(self) -> int:
        """Number of hypercolumns of the post population."""
        return int(getattr(self.post.cell, "groups", 1))

    @property
    def n_synapses(self) -> int:
        """Number of weights that the rule may change; 0 for a dense memory, where it grows by ``post.size`` a pattern."""
        if self.storage == "hidden":
            return 0
        n_pre, n_post = self.pre.size, self.post.size
        left_out = {"all": 0, "no self": n_pre, "other groups": n_pre * (n_post // self.groups)}[self.wiring]
        return n_pre * n_post - left_out

    @property
    def digest(self) -> str:
        """Hexadecimal digest of everything that determines what the memory does."""
        return hashlib.sha256(
            repr((self.populations, self.rule, self.wiring, self.lag, self.storage, self.update, self.hidden, self.seed)).encode()
        ).hexdigest()

    def __str__(self) -> str:
        from neuromem.ir.matrix_text import matrix_text

        return matrix_text(self)
