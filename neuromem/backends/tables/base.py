"""What a table of learned weights does, whatever it is made of."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.spec.units import KWinners, Sign, SoftWTA

State = Patterns | np.ndarray
"""A batch of states: ``Patterns`` of binary and bipolar units, float32 (B, n) of real ones and of soft winners.

Arrays of tables and states are the engine's: NumPy's, or on a device CuPy's, which have the same methods.
"""


class Kernels:
    """The kernels of one engine, a module for each subject: ``kernels.willshaw``; imported when they are first used.

    Subjects that an engine has no file of (``arrays``, ``bits``, ``activation``) are those that all engines on the host share.
    """

    def __init__(self, engine: str, threads: int) -> None:
        self.engine, self.threads = engine, threads

    def __getattr__(self, subject: str) -> Any:
        own = f"neuromem.kernels.{self.engine}.{subject}"
        module = importlib.import_module(own if importlib.util.find_spec(own) else f"neuromem.kernels.{subject}")
        setattr(self, subject, module)
        return module


class Table(ABC):
    """Weights from the pre to the post population, learned by the rule of the program."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        self.program, self.kernels = program, kernels
        self.threads, self.arrays, self.xp = kernels.threads, kernels.arrays, kernels.arrays.xp
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
    def saved(self) -> dict[str, Any]:
        """Return copies of everything that changes, by name."""

    @abstractmethod
    def load(self, arrays: Mapping[str, Any]) -> None:
        """Put back what ``saved`` returned; the arrays become the table's own."""

    def step(self, state: Any) -> Any:
        """Return the next state of the post units."""
        return self.activate(self.support(state), state)

    def activate(self, h: np.ndarray, state: State) -> State:
        """Return what the post units make of their inputs ``h``; ``state`` is theirs before, in a recurrent memory."""
        cell, activation = self.program.post.cell, self.kernels.activation
        if isinstance(cell, Sign):
            before = state.bits if self.program.recurrent and isinstance(state, Patterns) else self.xp.ones(h.shape, np.bool_)
            return self.as_patterns(bits=activation.sign(h, before))
        if isinstance(cell, KWinners):
            return self.as_patterns(bits=activation.winners(h, cell.k, cell.groups, cell.ties))
        if isinstance(cell, SoftWTA):
            soft: np.ndarray = activation.soft(h, cell.groups, cell.gain)
            return soft
        return h

    def as_patterns(self, **form: Any) -> Patterns:
        """Return patterns of the post units, of ``bits``, ``words`` or ``rows``."""
        made: Patterns = self.arrays.Patterns(self.program.post.size, **form)
        return made

    def staying(self, stored: Sequence[np.ndarray], taken: Sequence[np.ndarray]) -> np.ndarray:
        """Return the numbers of the stored patterns that stay when some are taken out, see ``without``; looked for on the host."""
        get = self.arrays.get
        keep = without([get(x) for x in stored], [get(x) for x in taken], self.program.name)
        numbers: np.ndarray = self.arrays.put(np.flatnonzero(keep))
        return numbers

    def snapshot(self, x: np.ndarray) -> np.ndarray:
        """Return an array as it is handed out: later changes do not reach what the host gets."""
        handed: np.ndarray = self.arrays.snapshot(x)
        return handed

    def number(self, x: Any) -> float:
        """Return an array of one number as a number of the host."""
        return float(self.arrays.get(x))


def numbers(state: State, bipolar: bool) -> np.ndarray:
    """Return a batch of states as float32 (B, n)."""
    if not isinstance(state, Patterns):
        return state
    bits = state.bits.astype(np.float32)
    return 2 * bits - 1 if bipolar else bits


def without(stored: Sequence[np.ndarray], taken: Sequence[np.ndarray], owner: str) -> np.ndarray:
    """Return which of the M stored patterns stay when B are taken out, booleans (M,): of equal ones the last goes.

    Patterns are given in parts (pre, post), each (M, ...) and (B, ...), on the host. Raises ``SpecError`` when one is not there.
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


def wired(weights: np.ndarray, program: MatrixProgram, xp: Any) -> np.ndarray:
    """Set the weights of pairs that are not connected to 0, in place."""
    if program.wiring == "no self":
        xp.fill_diagonal(weights, 0)
    elif program.wiring == "other groups":
        n_pre, n_post, groups = program.pre.size, program.post.size, program.groups
        for g in range(groups):
            weights[g * n_pre // groups : (g + 1) * n_pre // groups, g * n_post // groups : (g + 1) * n_post // groups] = 0
    return weights
