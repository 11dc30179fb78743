"""A memory under one's hands: one operation at a time, on backends that can."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from neuromem.backends.base import Backend, Checkpoint, Simulation
from neuromem.errors import SpecError, UnsupportedError, listing, nearest
from neuromem.ir.lower import Drive, draw_schedule, lower, number_units, source_schedule
from neuromem.ir.operations import PlannedOperation, new_ideal, plan_operation
from neuromem.ir.program import Schedule
from neuromem.ir.sources import BLOCK, draw_poisson
from neuromem.patterns import PatternLike, pattern
from neuromem.quantities import steps_covering
from neuromem.runs.outcomes import Outcome, decode, readouts
from neuromem.spec.memory import Ideal, MemoryModel
from neuromem.spec.protocol import Kind, Operation


@dataclass(frozen=True, eq=False)
class SessionCheckpoint:
    """The state of a session between two operations: the simulation's, and what an ideal memory holds."""

    simulation: Checkpoint
    ideal: Ideal


class Session:
    """A memory that stores, recalls and forgets on demand.

    Each operation begins where the one before ended, and runs as many steps as it takes until
    any operation may safely follow. Random draws are those of a whole run with the same seed.
    Spikes of all operations stay recorded in ``simulation``.

    Raises ``UnsupportedError`` when the backend is not interactive.
    """

    def __init__(self, memory: MemoryModel, backend: Backend, seed: int = 0) -> None:
        try:
            backend.support.require("interactive", backend.name)
        except UnsupportedError as refused:
            text = str(refused).rstrip(".")
            raise UnsupportedError(
                f"{text}. It runs whole protocols: neuromem.run(memory, protocol, backend={backend.name!r}); other backends are interactive."
            ) from None
        self.memory = memory
        self.backend = backend.name
        self.simulation: Simulation = backend.build(lower(memory.network, dt=memory.dt, n_steps=0, seed=seed))
        program = self.simulation.program
        self._ideal = new_ideal(memory)
        self._readouts = readouts(memory, program)
        self._first = {role.name: program.population(role.input.population).first + role.input.start for role in memory.roles}
        self._background = Background(memory, self.simulation, seed)

    def __repr__(self) -> str:
        return f"<Session: {self.memory.name} on {self.backend}, at step {self.simulation.step}>"

    def store(self, cue: PatternLike, content: PatternLike) -> Outcome:
        """Store ``content`` under ``cue``; the answer is the echo of both. Patterns as ``neuromem.patterns.pattern`` takes them."""
        return self._perform("store", cue, content)

    def recall(self, cue: PatternLike | None = None, content: PatternLike | None = None) -> Outcome:
        """Recall the content of ``cue``, or the cues of ``content``."""
        return self._perform("recall", cue, content)

    def forget(self, cue: PatternLike) -> Outcome:
        """Forget ``cue``; the answer is its echo.

        ``ca3-cam`` erases only the way from cue to content, as in the paper: a recall by content
        still finds the cue, and counts as wrong, for the ideal memory has forgotten both ways.
        """
        return self._perform("forget", cue, None)

    def weights(self, projection: str) -> np.ndarray:
        """Return the weights of a projection as they are stored now, shape (n_synapses,), in nA.

        With the deferred discipline, the spikes that arrived since the sending cell's last spike are
        not yet in the weight: after one ``store``, the plastic weights of ``ca3-cam`` still read 0.
        """
        names = [p.name for p in self.simulation.program.projections]
        if projection not in names:
            raise SpecError(f"{self.memory.name}: no projection {projection!r}; it has {listing(names)}{nearest(projection, names)}.")
        row: np.ndarray = self.simulation.weights(projection)[0]
        return row

    def save(self) -> SessionCheckpoint:
        """Return the state between two operations; raise ``UnsupportedError`` when the backend cannot save."""
        return SessionCheckpoint(self.simulation.save(), copy.deepcopy(self._ideal))

    def restore(self, checkpoint: SessionCheckpoint) -> None:
        """Return to a saved state, to the last bit."""
        self.simulation.restore(checkpoint.simulation)
        self._ideal = copy.deepcopy(checkpoint.ideal)

    def _perform(self, kind: Kind, cue: PatternLike | None, content: PatternLike | None) -> Outcome:
        at = self.simulation.step
        owner = f"{self.memory.name}, {kind}"
        given = {
            role: None if value is None else pattern(value, self.memory.role(role).size, f"{owner}, {role}")
            for role, value in (("cue", cue), ("content", content))
        }
        planned = plan_operation(self.memory, Operation(kind, at, **given), self._ideal)
        self.simulation.advance(self._schedule(planned))
        _, step, unit = self.simulation.spikes(since=at)
        return decode(planned, self._readouts, step, unit)

    def _schedule(self, planned: PlannedOperation) -> Schedule:
        """Return the input of one operation, held for ``form.hold`` steps, and quiet until any other may follow."""
        form, operation = planned.form, planned.operation
        after = [gap for (before, _), gap in self.memory.gaps.items() if before == planned.gap_name]
        n_steps = max(form.n_steps, form.answer_at + 1, self.memory.settling, *after)
        units = sorted({self._first[role] + unit for role in form.given for unit in getattr(operation, role)})
        step = np.repeat(np.arange(form.hold), len(units))
        unit = np.array(units * form.hold, dtype=np.int64)
        plastic = np.full(n_steps, form.plastic, dtype=np.uint8)
        if self._background.silent:
            return Schedule(n_steps, np.zeros(step.size, np.int64), step, unit, plastic)
        other_step, other_unit = self._background.spikes(operation.at, n_steps)
        return source_schedule(n_steps, np.concatenate([step, other_step]), np.concatenate([unit, other_unit]), plastic)


class Background:
    """The source spikes that come by themselves: the network's stimuli and its Poisson sources."""

    def __init__(self, memory: MemoryModel, simulation: Simulation, seed: int) -> None:
        network, program = memory.network, simulation.program
        ends = [steps_covering(float(s.times.max()), memory.dt) + 1 for s in network.stimuli if s.times.size]
        stimuli = draw_schedule(network, number_units(network), (), memory.dt, max(ends, default=0), seed, Drive())
        self._step, self._unit = stimuli.step, stimuli.unit
        self._poisson, self._seeds = program.poisson, program.seeds
        self._drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.silent = not network.stimuli and not program.poisson

    def spikes(self, start: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (step, unit) in ``start <= step < start + n_steps``; steps count from ``start``, in no order."""
        blocks = range(start // BLOCK, -(-(start + n_steps) // BLOCK))
        # a block is drawn whole, and operations are far shorter: the last ones are kept
        self._drawn = {b: self._drawn[b] if b in self._drawn else self._draw(b) for b in blocks}
        step = np.concatenate([self._step, *(s for s, _ in self._drawn.values())])
        unit = np.concatenate([self._unit, *(u for _, u in self._drawn.values())])
        keep = (step >= start) & (step < start + n_steps)
        return step[keep] - start, unit[keep]

    def _draw(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        _, step, unit = draw_poisson(self._poisson, self._seeds, block * BLOCK, BLOCK)
        return step + block * BLOCK, unit
