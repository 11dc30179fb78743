"""A memory without spikes at work: patterns are stored, recalled and forgotten in batches."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from neuromem.backends.base import Backend
from neuromem.backends.matrix import MatrixSimulation, Progress, TableCheckpoint, margin
from neuromem.errors import NotConvergedWarning, OverloadWarning, SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_program import UnitTable
from neuromem.ir.memory_needed import check_fits, growth
from neuromem.ir.randomness import generator
from neuromem.kernels.bits import Patterns
from neuromem.quantities import is_whole
from neuromem.runs.batches import Batch, check_distinct, check_stored, read_batch
from neuromem.runs.overload import Expectation, expectation
from neuromem.runs.recalled import Recalled
from neuromem.spec.memory import MemoryModel
from neuromem.spec.outer_product import OuterProductRule


@dataclass(frozen=True, eq=False)
class MatrixCheckpoint:
    """The state of a session: its table, and how often it recalled, which names the next visiting order."""

    table: TableCheckpoint
    recalls: int


class MatrixSession:
    """A memory without spikes that stores, recalls and forgets.

    A pattern is an array of shape (n,), a batch one of shape (B, n), of 0 and 1, of -1 and 1, of booleans, or, where the units
    are real, of any numbers; patterns with few active units may be given by their numbers, integers (B, k). Auto-associative
    memories and sequences take patterns; hetero-associative ones take ``cue`` and ``content``, pair by pair.

    ``seed`` is that of the order in which asynchronous updates visit the units.
    """

    def __init__(self, memory: MemoryModel, backend: Backend, seed: int = 0) -> None:
        self.memory, self.backend, self._engine = memory, backend.name, backend
        self.program = lower_matrix_memory(memory, seed)
        check_fits(memory, free=backend.free_memory, where=backend.memory)
        self.simulation: MatrixSimulation = backend.build_matrix(self.program)
        self._recalls = 0
        self._expectation: Expectation | None = None
        self._ask_theory_at = 1

    def __repr__(self) -> str:
        return f"<MatrixSession: {self.memory.name} on {self.backend}, {self.n_stored} stored>"

    @property
    def n_stored(self) -> int:
        """Number of patterns (pairs, steps of sequences) that were stored."""
        return self.simulation.n_stored

    def store(self, cue: object, content: object = None) -> None:
        """Store a pattern or a batch; of a hetero-associative memory, ``content`` under ``cue``; of a sequence memory, patterns in order.

        Nothing is stored when any pattern is refused. Raises ``SpecError`` and ``LimitError``; warns (``OverloadWarning``) when
        theory says that what is stored cannot be recalled any more.
        """
        pre, post = self._pairs("store", cue, content)
        needed, held = (growth(self.program, m) for m in (self.n_stored + len(pre), self.n_stored))
        check_fits(self.memory, needed, held, self._engine.free_memory, self._engine.memory)
        self.simulation.store(pre, post)
        self._warn_of_overload(pre, post)

    def forget(self, cue: object, content: object = None) -> None:
        """Take patterns out again; raise ``UnsupportedError`` where the rule cannot, ``SpecError`` for what was not stored."""
        pre, post = self._pairs("forget", cue, content)
        self.simulation.forget(pre, post)

    def recall(self, cue: object, max_steps: int | None = None, graded: bool = True, progress: Progress | None = None) -> Recalled:
        """Return what the memory answers to a cue or a batch of them.

        ``max_steps`` replaces the memory's own limit. Without ``graded``, supports and margins are not worked out. Cues that still
        change at the limit are marked in ``converged``, and a ``NotConvergedWarning`` says how many they are.
        """
        units = self.program.pre
        if max_steps is not None and (not is_whole(max_steps) or max_steps < 1):
            raise SpecError(f"{self.memory.name}, recall: max_steps = {max_steps!r}; expected a whole number of steps, at least 1.")
        if max_steps is not None and max_steps > 1 and self.program.single_step:
            raise SpecError(f"{self.memory.name}, recall: max_steps = {max_steps}; its answer is one read: expected 1, or none.")
        given, single = read_batch(cue, units, f"{self.memory.name}, recall, {'content' if self.program.recurrent else 'cue'}")
        orders = None
        if self.program.update.order == "asynchronous":
            rng = generator(self.program.seed, self.memory.name, f"visiting order of recall {self._recalls}")
            orders = rng.permuted(np.tile(np.arange(units.size, dtype=np.int32), (len(given), 1)), axis=1)
        self._recalls += 1
        settled = self.simulation.settle(given, orders, max_steps, graded, progress)
        moving = int((~settled.converged).sum())
        if moving:
            limit = self.program.update.max_steps if max_steps is None else max_steps
            warnings.warn(
                f"{self.memory.name}: {moving} of {len(given)} cues still changed after {limit} steps; their answers are marked in `converged`.",
                NotConvergedWarning,
                stacklevel=2,
            )
        none = np.full(len(given), np.nan)
        return Recalled(
            settled.state,
            self.program.post.cell.alphabet,
            settled.steps,
            settled.converged,
            cue_overlaps(given, settled.state, units) if self.program.auto_associative else none,
            none if settled.support is None else margin(self.program, settled.support, settled.state),
            settled.support[0] if settled.support is not None and single else settled.support,
            single,
        )

    def recall_sequence(self, start: object, length: int) -> np.ndarray:
        """Return the ``length`` patterns that follow ``start``, each recalled from the one before: (length, n), or (B, length, n)."""
        if not self.program.lag:
            raise SpecError(f"{self.memory.name}: recall_sequence; its patterns are not stored in order: expected a sequence memory.")
        if not is_whole(length) or length < 1:
            raise SpecError(f"{self.memory.name}, recall_sequence: length = {length!r}; expected a whole number of patterns, at least 1.")
        state, single = read_batch(start, self.program.pre, f"{self.memory.name}, recall_sequence, start")
        found = []
        for _ in range(length):
            state = self.simulation.settle(state, graded=False).state
            assert isinstance(state, Patterns)
            found.append(state.bits if self.program.post.cell.alphabet == "binary" else np.where(state.bits, np.int8(1), np.int8(-1)))
        sequence = np.stack(found, axis=1)
        return sequence[0] if single else sequence

    def energy(self, states: object) -> np.ndarray:
        """Return the energy of each state, float64 (B,); raise ``UnsupportedError`` where the memory has none."""
        given, _ = read_batch(states, self.program.post, f"{self.memory.name}, energy")
        return self.simulation.energy(given)

    def weights(self) -> np.ndarray:
        """Return the weights as they are now, (n_pre, n_post), 0 where there is no connection; of dense memories the patterns, (M, n)."""
        return self.simulation.weights()

    def save(self) -> MatrixCheckpoint:
        """Return what is stored, to be restored later."""
        return MatrixCheckpoint(self.simulation.save(), self._recalls)

    def restore(self, checkpoint: MatrixCheckpoint) -> None:
        """Return to a saved state, to the last bit."""
        self.simulation.restore(checkpoint.table)
        self._recalls = checkpoint.recalls

    def _pairs(self, verb: str, cue: object, content: object) -> tuple[Batch, Batch]:
        """Read, check and pair what is given."""
        program, name = self.program, self.memory.name
        if program.recurrent:
            if content is not None:
                raise SpecError(f"{name}, {verb}: cue and content; it is auto-associative: expected patterns alone.")
            owner = f"{name}, {verb}, content"
            given, _ = read_batch(cue, program.post, owner)
            check_stored(given, program.post, owner)
            if isinstance(given, Patterns):
                check_distinct(given, owner)
            if not program.lag:
                return given, given
            if len(given) < 2:
                raise SpecError(f"{owner}: a sequence of {len(given)} pattern; expected at least 2, in order.")
            assert isinstance(given, Patterns)
            return given.part(0, len(given) - 1), given.part(1, len(given))
        if content is None:
            raise SpecError(f"{name}, {verb}: content is missing; expected {verb}(cue, content), pair by pair.")
        pre, _ = read_batch(cue, program.pre, f"{name}, {verb}, cue")
        check_stored(pre, program.pre, f"{name}, {verb}, cue")
        post, _ = read_batch(content, program.post, f"{name}, {verb}, content")
        check_stored(post, program.post, f"{name}, {verb}, content")
        if len(pre) != len(post):
            raise SpecError(f"{name}, {verb}: {len(pre)} cues and {len(post)} contents; expected as many of one as of the other.")
        if isinstance(pre, Patterns) and isinstance(post, Patterns) and not isinstance(program.rule, OuterProductRule):
            both = np.concatenate([pre.words, post.words], axis=1)
            check_distinct(Patterns(both.shape[1] * 64, words=both), f"{name}, {verb}, pairs of cue and content")
        return pre, post

    def _warn_of_overload(self, pre: Batch, post: Batch) -> None:
        """Warn once; theory is asked again each time that a quarter more is stored."""
        if self.n_stored < self._ask_theory_at:
            return
        self._ask_theory_at = self.n_stored + self.n_stored // 4 + 1
        if self._expectation is None:
            self._expectation = expectation(self.program, pre, post)
        warning = None if self._expectation is None else self._expectation.warning(self.n_stored)
        if warning is not None:
            self._ask_theory_at = 1 << 62
            warnings.warn(f"{self.memory.name}: {warning}", OverloadWarning, stacklevel=3)


def cue_overlaps(cue: Batch, answer: Batch, units: UnitTable) -> np.ndarray:
    """Return the overlap of each answer with its cue, float64 (B,), see ``Recalled``."""
    if not isinstance(cue, Patterns) or not isinstance(answer, Patterns):
        a, b = np.asarray(cue, np.float64), np.asarray(answer, np.float64)
        size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return np.asarray(np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0))
    if units.cell.alphabet == "bipolar":
        return np.asarray(1.0 - 2.0 * np.bitwise_count(cue.words ^ answer.words).sum(axis=1) / units.size)
    active = np.bitwise_count(cue.words).sum(axis=1)
    shared = np.bitwise_count(cue.words & answer.words).sum(axis=1)
    return np.asarray(np.divide(shared, active, out=np.zeros(len(active)), where=active > 0))
