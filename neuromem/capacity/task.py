"""What is asked of a memory at every load: which patterns, cues with which errors, and how many bits these patterns carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuromem.errors import UnsupportedError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.ir.memory_needed import check_fits, growth
from neuromem.ir.randomness import generator
from neuromem.runs.trial_patterns import check_errors, one_unit_wrong, suitable_patterns
from neuromem.spec.hebbian import BayesianHebbian
from neuromem.spec.memory import MemoryModel
from neuromem.spec.outer_product import OuterProductRule
from neuromem.spec.trial import Trial
from neuromem.theory.information import dense_bits, hypercolumn_bits, sparse_bits

DRAWN = 128
"""Patterns drawn at once, a byte a unit."""


@dataclass(frozen=True, eq=False)
class Task:
    """A memory, its Program, the errors of its cues, and the active units of its patterns (0 of real ones) on both sides."""

    memory: MemoryModel
    program: MatrixProgram
    errors: Trial
    k_pre: int
    k_post: int

    @property
    def alphabet(self) -> str:
        """What a unit of the answer may be."""
        return self.program.post.cell.alphabet

    @property
    def grouped(self) -> bool:
        """Whether one unit is active in each of several hypercolumns."""
        return self.program.groups > 1 and self.k_post == self.program.groups

    @property
    def exchangeable(self) -> bool:
        """Whether all stored patterns are alike, whatever their order."""
        rule = self.program.rule
        fading = isinstance(rule, OuterProductRule) or (isinstance(rule, BayesianHebbian) and rule.tau is not None)
        return not fading and not getattr(rule, "order_matters", False) and not self.program.lag

    @property
    def flipped(self) -> int:
        """Wrong units of a bipolar cue."""
        return round(self.errors.flips * self.program.pre.size)

    @property
    def moved(self) -> int:
        """Wrong hypercolumns of a cue."""
        return round(self.errors.moves * self.k_pre)

    @property
    def deleted(self) -> int:
        """Active units that a cue lacks."""
        return round(self.errors.deletions * self.k_pre)

    @property
    def added(self) -> int:
        """False active units of a cue."""
        return round(self.errors.additions * self.k_pre)

    def n_synapses(self, n_patterns: float) -> float:
        """Return the number of weights; a dense memory has one for each unit of each pattern."""
        return self.program.n_synapses or max(1.0, n_patterns) * self.program.post.size

    def bits(self) -> float | None:
        """Return the bits of one pattern of the post population; None of real ones."""
        n = self.program.post.size
        if self.alphabet == "real":
            return None
        if self.alphabet == "bipolar":
            return dense_bits(n)
        return hypercolumn_bits(self.k_post, n // self.k_post) if self.grouped else sparse_bits(n, self.k_post)

    def gained_bits(self) -> float | None:
        """Return the bits of one pattern beyond what its cue tells; None of real ones."""
        n = self.program.post.size
        if not self.program.auto_associative or self.alphabet == "real":
            return self.bits()
        if self.alphabet == "bipolar":
            return dense_bits(n, self.flipped)
        if self.grouped and not self.deleted and not self.added:
            return hypercolumn_bits(self.k_post, n // self.k_post, self.moved)
        return None if self.grouped else sparse_bits(n, self.k_post, self.k_post - self.deleted, self.added)

    @property
    def possible(self) -> float:
        """Log2 of the number of different patterns that could be stored."""
        pre = replace(self, program=replace(self.program, post=self.program.pre), k_post=self.k_pre)
        return pre.bits() if self.program.pre.cell.alphabet != "real" else float("inf")  # type: ignore[return-value]

    def __str__(self) -> str:
        n = self.program.pre.size
        said = [
            f"{count} of {of} {what}"
            for count, of, what in (
                (self.flipped, n, "units inverted"),
                (self.moved, self.k_pre, "winners moved"),
                (self.deleted, self.k_pre, "active units deleted"),
            )
            if count
        ]
        said += [f"{self.added} active units added"] if self.added else []
        said += [f"noise of {self.errors.noise:g}"] if self.errors.noise else []
        return ", ".join(said) or "none"


def make_task(memory: MemoryModel, errors: Trial | None = None) -> Task:
    """Return the task of a memory: cues with ``errors``, or by default with one wrong unit
    (``one_unit_wrong``). Raises ``SpecError`` for errors that the cues cannot have, ``UnsupportedError`` for a memory
    with spikes.
    """
    if has_spikes(memory.network):
        raise UnsupportedError(
            f"{memory.name}: capacity; it has spikes, and the laboratory measures memories without spikes: expected one of those."
        )
    program = lower_matrix_memory(memory)
    check_fits(memory, growth(program, 1) + DRAWN * (program.pre.size + program.post.size))
    pre, post = suitable_patterns(program, 1, generator(0, memory.name, "one pattern"), memory.parameters)
    k_pre, k_post = (
        0 if units.cell.alphabet == "real" else _active(patterns, units.size)
        for patterns, units in ((pre, program.pre), (post, program.post))
    )
    if errors is None:
        errors = one_unit_wrong(program, 1, memory.parameters)
    check_errors(program, errors)
    return Task(memory, program, errors, k_pre, k_post)


def usual_criterion(memories: Sequence[MemoryModel]) -> str:
    """Return ``exact90``, or ``overlap90`` where the answers of any of the memories are real: these are hardly ever exact."""
    cells = [lower_matrix_memory(memory).post.cell for memory in memories if not has_spikes(memory.network)]
    return "overlap90" if any(cell.alphabet == "real" for cell in cells) else "exact90"


def _active(patterns: np.ndarray, n: int) -> int:
    """Return the number of active units of a pattern, given as bits or as numbers of units."""
    return int(patterns.shape[1]) if patterns.shape[1] < n and patterns.dtype != np.bool_ else int((patterns > 0).sum(axis=1)[0])
