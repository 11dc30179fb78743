"""What ``neuromem.run`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuromem.ir.recording import Recording
from neuromem.runs.outcomes import Outcome
from neuromem.spec.memory import MemoryModel
from neuromem.spec.protocol import Protocol


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        recording, right = self.recording, sum(o.correct for o in self.outcomes)
        until = "" if recording.complete else f", until step {recording.n_steps} of {recording.program.n_steps}"
        return (
            f"<RunResult: {self.memory.name}, protocol {self.protocol.name}, on {self.backend}: "
            f"{right} of {len(self.outcomes)} right, {recording.unit.size} spikes{until}>"
        )


class InterruptedRun(KeyboardInterrupt):
    """Ctrl-C during ``neuromem.run``; ``result`` holds what was run until then, and can be saved."""

    def __init__(self, result: RunResult) -> None:
        recording = result.recording
        super().__init__(f"interrupted after {recording.n_steps} of {recording.program.n_steps} steps")
        self.result = result
