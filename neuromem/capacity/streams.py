"""Random patterns without end: the first M are the same whatever M, so that neighbouring loads share their noise."""

from __future__ import annotations

import numpy as np

from neuromem.capacity.task import Task
from neuromem.errors import SpecError
from neuromem.ir.randomness import generator
from neuromem.runs.trial import noisy, suitable_patterns
from neuromem.spec.trial import Trial

BLOCK = 128
"""Patterns are drawn, and recalled, so many at a time."""

CERTAIN = 64.0
"""Bits of a pattern from which on two of a stream are never equal: a chance of 1e-7 among a million."""

PATIENCE = 1000
"""Blocks without a new pattern after which there is hardly any left."""


class PatternStream:
    """Distinct patterns (pairs) of one seed and one of its sets, drawn in blocks by name, so that none depends on how many are asked for."""

    def __init__(self, task: Task, seed: int, number: int) -> None:
        self.task, self.seed, self.owner = task, seed, f"{task.memory.name} capacity set {number}"
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []
        self._drawn, self._held = 0, 0
        self._seen: set[bytes] | None = set() if task.possible < CERTAIN else None

    def first(self, n_patterns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first ``n_patterns`` cues and contents, as sessions take them; of a recurrent memory one array twice."""
        idle = 0
        while self._held < n_patterns:
            block = self._draw()
            idle = 0 if len(block[0]) else idle + 1
            if idle == PATIENCE:
                raise SpecError(
                    f"{self.task.memory.name}: {n_patterns} distinct patterns; only {self._held} were found: there are hardly more."
                )
            self._blocks.append(block)
            self._held += len(block[0])
        if len(self._blocks) > 1:
            joined = np.concatenate([block[0] for block in self._blocks])
            contents = joined if self.task.program.recurrent else np.concatenate([block[1] for block in self._blocks])
            self._blocks = [(joined, contents)]
        pre, post = self._blocks[0]
        return pre[:n_patterns], post[:n_patterns]

    def cues(self, patterns: np.ndarray, part: int, errors: Trial | None = None) -> np.ndarray:
        """Return patterns with errors (default: the task's), drawn for that part of the stream."""
        return noisy(self.task.program, patterns, errors or self.task.errors, generator(self.seed, self.owner, "errors of cues", part))

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        rng = generator(self.seed, self.owner, "patterns", self._drawn)
        # Of a handful of possible patterns a block is drawn that surely exists; those met before are dropped.
        size = BLOCK if self.task.possible > 10 else max(1, int(2**self.task.possible) // 4)
        drawn = suitable_patterns(self.task.program, size, rng, self.task.memory.parameters)
        pre, post = (side.astype(np.int32) if side.dtype == np.int64 else side for side in drawn)
        self._drawn += 1
        if self._seen is None:
            return pre, post
        new = []
        for i, pattern in enumerate(pre):
            key = pattern.tobytes()
            if key not in self._seen:
                self._seen.add(key)
                new.append(i)
        return pre[new], post[new]
