"""Memories without spikes: one table of weights, and recall to a fixed point. Engines differ in their kernels only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.backends.tables import make_table
from neuromem.backends.tables.base import Kernels, State, numbers
from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.spec.units import KWinners, Sign, SoftWTA

STATE_NUMBERS = 2**26
"""Cues are recalled in parts whose states hold at most this many numbers."""

SETTLED = 1e-3
"""Soft winners count as unchanged when no activity moves by more than this in a step; real units, by more than this part of the largest."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Settled:
    """Where cues came to rest: ``state`` of the post units, ``steps`` and ``converged`` of each cue.

    ``support`` are the inputs of the post units in that state, (B, n_post), or None where they were not asked for.
    """

    state: State
    steps: np.ndarray
    converged: np.ndarray
    support: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TableCheckpoint:
    """The whole state of a memory; restore it into any simulation of the same Program."""

    engine: str
    digest: str
    arrays: Mapping[str, Any]


class MatrixSimulation:
    """A MatrixProgram that runs: ``store``, ``forget`` and ``settle`` batches of patterns."""

    def __init__(self, program: MatrixProgram, engine: str, threads: int = 1) -> None:
        self.program, self.engine = program, engine
        kernels = Kernels(engine, threads)
        self.arrays = kernels.arrays
        self.table = make_table(program, kernels)

    @property
    def n_stored(self) -> int:
        """Number of patterns, or pairs of patterns, that were stored."""
        return self.table.n_stored

    def store(self, pre: State, post: State) -> None:
        """Store pairs of patterns, in order; of auto-associative memories both are the same object."""
        with self.arrays.room():
            self.table.store(*self._put_pair(pre, post))

    def forget(self, pre: State, post: State) -> None:
        """Take pairs out again; raise ``UnsupportedError`` where the rule does not allow it."""
        with self.arrays.room():
            self.table.forget(*self._put_pair(pre, post))

    def _put_pair(self, pre: State, post: State) -> tuple[State, State]:
        first = self.arrays.put(pre)
        return first, first if post is pre else self.arrays.put(post)

    def settle(
        self,
        cue: State,
        orders: np.ndarray | None = None,
        max_steps: int | None = None,
        graded: bool = True,
        progress: Progress | None = None,
    ) -> Settled:
        """Return where each cue comes to rest within ``max_steps``.

        ``orders``: the order in which each cue's units are visited, int32 (B, n), for asynchronous updates.
        """
        limit = self.program.update.max_steps if max_steps is None else max_steps
        n, part = len(cue), max(1, STATE_NUMBERS // max(self.program.pre.size, self.program.post.size))
        done = []
        for first in range(0, n, part):
            some = cue.part(first, first + part) if isinstance(cue, Patterns) else cue[first : first + part]
            with self.arrays.room():
                done.append(self._settle(some, None if orders is None else orders[first : first + part], limit, graded))
            if progress is not None:
                progress(min(n, first + part), n)
        return _joined(done)

    def _settle(self, given: State, orders: np.ndarray | None, limit: int, graded: bool) -> Settled:
        put, get = self.arrays.put, self.arrays.get
        cue = put(given)
        if orders is not None:
            spins, steps, converged = self.table.visit(cue, put(orders), limit)  # type: ignore[attr-defined]
            state: State = self.table.as_patterns(bits=spins > 0)
        else:
            state, steps, converged = self._steps(cue, limit)
        support = self.table.support(state if self.program.recurrent and not self.program.lag else cue) if graded else None
        return Settled(get(self.answer(state)), get(steps), get(converged), get(support))

    def _steps(self, cue: State, limit: int) -> tuple[State, np.ndarray, np.ndarray]:
        """Update all cues that still change, at most ``limit`` times; in a memory of single steps each is a read, and always settled.

        Which cues have come to rest is kept beside them, and every ``LOOK_EVERY`` steps they are set aside. A state that has come to
        rest is a fixed point, which further steps leave as it is, but for real numbers, which are held.
        """
        xp, every = self.arrays.xp, self.arrays.LOOK_EVERY
        b, p = len(cue), self.program
        if p.single_step:
            return self.table.step(cue), xp.ones(b, np.int32), xp.ones(b, np.bool_)
        soft = isinstance(p.post.cell, SoftWTA)
        state = numbers(cue, bipolar=False) if soft else cue
        new = self.table.step(state)
        form = new.form if isinstance(new, Patterns) else ""
        final, steps, settled = _numbers_of(state, form).copy(), xp.full(b, limit, np.int32), xp.zeros(b, np.bool_)
        place = xp.arange(b)  # of the cues that are still worked on
        rests = xp.zeros(b, np.bool_)
        for step in range(1, limit + 1):
            new = self.table.step(state) if step > 1 else new
            before, after = _numbers_of(state, form), _numbers_of(new, form)
            still = (after != before).any(axis=1) if form else _moving(before, after, soft)
            if not form:
                after = xp.where(rests[:, None], before, after)
            steps[place] = xp.where(rests | still, steps[place], np.int32(step))
            rests = rests | ~still
            state = self._state(after, form)
            if step % every == 0 or step == limit:
                final[place], settled[place] = after, rests
                moving = xp.flatnonzero(~rests)
                if moving.size == 0:
                    break
                if moving.size < place.size:
                    place, state, rests = place[moving], self._state(after[moving], form), rests[moving]
        return self._state(final, form), steps, settled

    def _state(self, array: np.ndarray, form: str) -> State:
        """Return an array as a state: patterns in the given form, or real numbers."""
        return self.table.as_patterns(**{form: array}) if form else array

    def answer(self, state: State) -> State:
        """Return the pattern that is read from a state: of soft winners, the largest of each group."""
        cell = self.program.post.cell
        if isinstance(cell, SoftWTA) and not isinstance(state, Patterns):
            return self.table.as_patterns(bits=self.table.kernels.activation.winners(state, cell.groups, cell.groups, "first"))
        return state

    def energy(self, state: State) -> np.ndarray:
        """Return the energy of each state; raise ``UnsupportedError`` where the memory has none."""
        energy = getattr(self.table, "energy", None)
        if energy is None or not self.program.auto_associative:
            raise UnsupportedError(
                f"{self.program.name}: energy; {type(self.program.rule).__name__} with {type(self.program.post.cell).__name__} units has no energy function here."
            )
        result: np.ndarray = self.arrays.get(energy(self.arrays.put(state)))
        return result

    def weights(self) -> np.ndarray:
        """Return the weights as they are now, (n_pre, n_post); 0 where there is no connection."""
        with self.arrays.room():
            weights: np.ndarray = self.arrays.get(self.table.weights())
        return weights

    def save(self) -> TableCheckpoint:
        """Return the whole state."""
        return TableCheckpoint(self.engine, self.program.digest, self.arrays.get(self.table.saved()))

    def restore(self, checkpoint: TableCheckpoint) -> None:
        """Return to a saved state, to the last bit."""
        if checkpoint.digest != self.program.digest:
            raise SpecError(
                f"restore: a checkpoint of memory {checkpoint.digest[:12]}; expected {self.program.digest[:12]}, that of this simulation."
            )
        own = self.arrays.snapshot  # a copy on the host, where putting makes none
        self.table.load({name: self.arrays.put(own(x) if isinstance(x, np.ndarray) else x) for name, x in checkpoint.arrays.items()})


def margin(program: MatrixProgram, support: np.ndarray, state: State) -> np.ndarray:
    """Return by how much each answer is decided, float64 (B,): 1 at best, 0 for a tie, below 0 for an unstable unit.

    Sign units: ``min_i s_i h_i / mean_i |h_i|``. Winners: the weakest winner's input less the strongest loser's of its
    group, over the strongest input's size. Others: the weakest active unit's input less the strongest silent one's, likewise.
    Real-valued answers have none: NaN.
    """
    if not isinstance(state, Patterns):
        return np.full(len(support), np.nan)
    bits, h = state.bits, support.astype(np.float64)
    if isinstance(program.post.cell, Sign):
        scale = np.abs(h).mean(axis=1)
        low = np.where(bits, h, -h).min(axis=1)
    else:
        b, groups = len(h), program.groups if isinstance(program.post.cell, KWinners | SoftWTA) else 1
        grouped, won = h.reshape(b, groups, -1), bits.reshape(b, groups, -1)
        weakest = np.where(won, grouped, np.inf).min(axis=2)
        strongest = np.where(won, -np.inf, grouped).max(axis=2)
        low = np.where(np.isfinite(weakest) & np.isfinite(strongest), weakest - strongest, 0.0).min(axis=1)
        scale = np.abs(grouped).max(axis=(1, 2))
    result: np.ndarray = np.divide(low, scale, out=np.zeros(len(h)), where=scale > 0)
    return result


def _numbers_of(state: State, form: str) -> np.ndarray:
    return getattr(state, form) if form else state  # type: ignore[return-value]


def _moving(before: np.ndarray, after: np.ndarray, soft: bool) -> np.ndarray:
    scale = 1.0 if soft else abs(after).max(axis=1, keepdims=True)
    moving: np.ndarray = (abs(after - before) > SETTLED * scale).any(axis=1)
    return moving


def _joined(parts: list[Settled]) -> Settled:
    if len(parts) == 1:
        return parts[0]
    states = [p.state for p in parts]
    if isinstance(states[0], Patterns):
        joined: State = Patterns(states[0].n, words=np.concatenate([s.words for s in states if isinstance(s, Patterns)]))
    else:
        joined = np.concatenate([np.asarray(s) for s in states])
    supports = [p.support for p in parts if p.support is not None]
    return Settled(
        joined,
        np.concatenate([p.steps for p in parts]),
        np.concatenate([p.converged for p in parts]),
        np.concatenate(supports) if supports else None,
    )
