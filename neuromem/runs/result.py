"""What ``neuromem.run`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuromem.ir.recording import Recording
from neuromem.runs.outcomes import Outcome
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol


@dataclass(frozen=True, eq=False)
class RunResult:
    """A protocol that ran on a memory: what was recorded, and what each operation came to.

    ``outcomes`` are those of replica 0. ``backend`` and ``options`` name what ran it, and
    ``versions`` that backend's packages. ``recording.complete`` tells whether it ran to the end.
    """

    memory: MemoryModel
    protocol: Protocol
    recording: Recording
    outcomes: tuple[Outcome, ...]
    backend: str
    versions: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)


class InterruptedRun(KeyboardInterrupt):
    """Ctrl-C during ``neuromem.run``; ``result`` holds what was run until then, and can be saved."""

    def __init__(self, result: RunResult) -> None:
        recording = result.recording
        super().__init__(f"interrupted after {recording.n_steps} of {recording.program.n_steps} steps")
        self.result = result
