"""What a table of learned weights does, whatever it is made of."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels import activation
from neuromem.kernels.bits import Patterns
from neuromem.spec.units import KWinners, Sign, SoftWTA

State = Patterns | np.ndarray
"""A batch of states: ``Patterns`` of binary and bipolar units, float32 (B, n) of real ones and of soft winners."""


class Kernels:
    """The kernels of one engine, a module for each subject: ``kernels.willshaw``; imported when they are first used."""

    def __init__(self, engine: str, threads: int) -> None:
        self.engine, self.threads = engine, threads

    def __getattr__(self, subject: str) -> ModuleType:
        module = importlib.import_module(f"neuromem.kernels.{self.engine}.{subject}")
        setattr(self, subject, module)
        return module


class Table(ABC):
    """Weights from the pre to the post population, learned by the rule of the program."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        self.program, self.kernels = program, kernels
        self.threads = kernels.threads
        self.n_stored = 0

    @abstractmethod
    def store(self, pre: Any, post: Any) -> None:
        """Learn the pairs of patterns, in order."""

    def forget(self, pre: Any, post: Any) -> None:
        """Take the pairs out again."""
        raise UnsupportedError(
            f"{self.program.name}: forget; {type(self.program.rule).__name__} cannot take a single pattern out of its weights. "
            "Store into a new memory what is to stay."
        )

    @abstractmethod
    def support(self, state: Any) -> np.ndarray:
        """Return the inputs of the post units, (B, n_post)."""

    @abstractmethod
    def weights(self) -> np.ndarray:
        """Return the weights as they are now, (n_pre, n_post)."""

    @abstractmethod
    def arrays(self) -> dict[str, Any]:
        """Return copies of everything that changes, by name."""

    @abstractmethod
    def load(self, arrays: Mapping[str, Any]) -> None:
        """Put back what ``arrays`` returned."""

    def step(self, state: Any) -> Any:
        """Return the next state of the post units."""
        return activate(self.program, self.support(state), state)


def activate(program: MatrixProgram, h: np.ndarray, state: State) -> State:
    """Return what the post units make of their inputs ``h``; ``state`` is theirs before, in a recurrent memory."""
    cell, n = program.post.cell, program.post.size
    if isinstance(cell, Sign):
        before = state.bits if program.recurrent and isinstance(state, Patterns) else np.ones(h.shape, np.bool_)
        return Patterns(n, bits=activation.sign(h, before))
    if isinstance(cell, KWinners):
        return Patterns(n, bits=activation.winners(h, cell.k, cell.groups, cell.ties))
    if isinstance(cell, SoftWTA):
        return activation.soft(h, cell.groups, cell.gain)
    return h


def numbers(state: State, bipolar: bool) -> np.ndarray:
    """Return a batch of states as float32 (B, n)."""
    if isinstance(state, np.ndarray):
        return state
    bits = state.bits.astype(np.float32)
    return 2 * bits - 1 if bipolar else bits


def without(stored: Sequence[np.ndarray], taken: Sequence[np.ndarray], owner: str) -> np.ndarray:
    """Return which of the M stored patterns stay when B are taken out, booleans (M,): of equal ones the last goes.

    Patterns are given in parts (pre, post), each (M, ...) and (B, ...). Raises ``SpecError`` when one is not there.
    """
    keep = np.ones(len(stored[0]), np.bool_)
    for b in range(len(taken[0])):
        same = keep.copy()
        for all_of, some in zip(stored, taken, strict=True):
            same &= (all_of == some[b]).all(axis=1)
        if not same.any():
            raise SpecError(f"{owner}: forget; pattern {b} was not stored: expected one that was.")
        keep[np.flatnonzero(same)[-1]] = False
    return keep


def wired(weights: np.ndarray, program: MatrixProgram) -> np.ndarray:
    """Set the weights of pairs that are not connected to 0, in place."""
    if program.wiring == "no self":
        np.fill_diagonal(weights, 0)
    elif program.wiring == "other groups":
        n_pre, n_post, groups = program.pre.size, program.post.size, program.groups
        for g in range(groups):
            weights[g * n_pre // groups : (g + 1) * n_pre // groups, g * n_post // groups : (g + 1) * n_post // groups] = 0
    return weights
