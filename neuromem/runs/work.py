"""What the operations of a memory ask of a machine, whatever the engine: bytes, operations, passes. Nothing is built for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neuromem.backends.matrix import STATE_NUMBERS
from neuromem.errors import SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_program import MatrixProgram, UnitTable
from neuromem.ir.memory_needed import growth, memory_needed
from neuromem.kernels.bits import n_words
from neuromem.quantities import is_number, is_whole
from neuromem.runs.trial_patterns import active_units
from neuromem.spec.cells import SpikeSourceArray, SpikeSourcePoisson
from neuromem.spec.hebbian import BayesianHebbian, PseudoInverse, Storkey
from neuromem.spec.memory import MemoryModel
from neuromem.spec.outer_product import MomentumStep, OuterProductRule
from neuromem.spec.population import View
from neuromem.spec.units import Polynomial, Sign, Threshold

BLOCK = 64
"""Cues that share one pass over a table that all of them read; patterns of which eight share one pass that writes it."""

# Elementary operations that one of these takes, as our kernels do it.
COUNTED = 3  # bit operations: to count one bit in bit planes, by full adders; to weigh one bit of a softmax read
ROW = 64  # changes of a word: to visit a row of a table of rows; 0.06 to 0.12 us on 2 cores, measured 2026-11-28
MASKED = 3  # multiply-adds: to add one unit of a packed bipolar pattern
SUMMED = (
    40  # multiply-adds: to change one weight by Storkey's rule, whose sums have an order; 0.7 to 1.2 ns on 2 cores, measured 2026-11-28
)
REAL = 7  # multiply-adds: one of a softmax read of real numbers, likewise
POWER = 8  # multiply-adds: for the difference of two powers, of polynomial units
LOGARITHM = 20  # multiply-adds: for the logarithm of a Bayesian weight
CODED = 16  # changes of a word: to sort, code and merge one synapse of a table of rows

CODE_BYTES = 2  # of a synapse in a table of rows (see kernels.sparse)
GRADED_BYTES, SIGNED_BYTES = (
    20,
    30,
)  # of a cue and unit whose input and margin are worked out, of winners and of signs; measured on 2 cores, 2026-11-28
CELL_BYTES = 100  # of a neuron: state and coefficients
STEPS_TO_REST = 4  # of a recall to a fixed point
RATE = 10.0  # spikes a second of a spiking unit, on average
STEPS = 1000  # of a run without a protocol


@dataclass(frozen=True)
class Work:
    """Amounts of one pass, which a machine does side by side, so that the slowest decides.

    ``read`` and ``updated``: bytes of a table of ``table`` bytes, which says what cache they come from; those of an update count twice, there and back.
    ``multiply_adds`` in float32, ``bits`` compared or combined, ``scattered`` words changed at random, ``plastic`` synapses that
    learn, ``cells`` and ``units`` brought to their next state. These come on top: ``launches`` (calls of a kernel), ``steps`` of
    simulated time, ``waits`` (units visited one after the other) of ``abreast`` cues, ``passed`` bytes between the host and where the table is;
    and of the host ``taken`` numbers of the user's arrays, which are checked and packed, bytes of a new table that are ``touched`` for the first
    time, and ``graded`` units of cues whose margin is worked out.
    """

    table: float = 0.0
    read: float = 0.0
    updated: float = 0.0
    multiply_adds: float = 0.0
    bits: float = 0.0
    scattered: float = 0.0
    plastic: float = 0.0
    cells: float = 0.0
    units: float = 0.0
    launches: float = 0.0
    steps: float = 0.0
    waits: float = 0.0
    abreast: float = 1.0
    passed: float = 0.0
    taken: float = 0.0
    touched: float = 0.0
    graded: float = 0.0


def room(program: MatrixProgram, n_cues: int, graded: bool = True) -> int:
    """Return roughly the bytes of cues and answers on the host: of each, packed units, booleans, and what is graded."""
    p, q = program.pre.size, program.post.size
    each = SIGNED_BYTES if isinstance(program.post.cell, Sign) else GRADED_BYTES
    return n_cues * ((p + q) // 4 if program.storage == "rows" else 2 * (p + q) + each * q * graded)


@dataclass(frozen=True)
class MatrixCase:
    """A memory without spikes that stores ``n_patterns`` and recalls ``n_cues``, in ``n_steps`` steps each.

    ``active``: units of a cue and of a content. ``graded``: the inputs of all units are read once more, and margins worked out of them.
    """

    program: MatrixProgram
    n_patterns: int
    n_cues: int
    n_steps: int
    active: tuple[int, int]
    graded: bool

    @property
    def size(self) -> int:
        """Units of the post population."""
        return self.program.post.size

    def with_size(self, n: int) -> MatrixCase:
        """Return the same of ``n`` post units, with pre units in proportion; patterns have as many active units as before."""
        p = self.program
        pre = max(1, round(p.pre.size * n / p.post.size))
        return replace(self, program=replace(p, pre=replace(p.pre, size=pre), post=replace(p.post, size=n)))

    def with_batch(self, n: int) -> MatrixCase:
        """Return the same with ``n`` cues."""
        return replace(self, n_cues=n)

    @property
    def tables(self) -> int:
        """Bytes of the tables with all patterns stored."""
        return growth(self.program, self.n_patterns) + (self._row_bytes * self.program.pre.size if self.program.storage == "rows" else 0)

    @property
    def room(self) -> int:
        """Bytes of patterns, cues and answers on the host."""
        return room(self.program, self.n_cues, self.graded) + round(self._stored)

    @property
    def _stored(self) -> float:
        """Bytes of the patterns to be stored, as they are handed over."""
        p, m = self.program, self.n_patterns
        return self._given(m, p.pre, self.active[0]) + (0.0 if p.recurrent else self._given(m, p.post, self.active[1]))

    @property
    def device_room(self) -> int:
        """Bytes of cues and answers on a GPU, where one part of them is at a time: booleans of both, and 64-bit inputs."""
        p, q = self.program.pre.size, self.program.post.size
        part = min(self.n_cues, max(1, STATE_NUMBERS // max(p, q)))
        return part * ((p + q) // 4 if self.program.storage == "rows" else 2 * p + 10 * q)

    @property
    def _row_bytes(self) -> int:
        """Bytes of a row of a table of rows: its synapses are those that at least one pattern made."""
        p, q = self.program.pre.size, self.program.post.size
        return round(-CODE_BYTES * q * math.expm1(-self.n_patterns * self.active[0] * self.active[1] / (p * q)))

    def operations(self) -> dict[str, list[Work]]:
        """Return the passes of storing all patterns, and of recalling all cues."""
        taken = self._numbers(self.n_patterns, self.program.pre, self.active[0])
        if not self.program.recurrent:
            taken += self._numbers(self.n_patterns, self.program.post, self.active[1])
        host = Work(taken=taken, touched=self.tables)
        return {f"store {self.n_patterns}": [*self._store(), host], f"recall {self.n_cues}": self._recall()}

    def _numbers(self, n: int, units: UnitTable, active: int) -> float:
        """Numbers of the arrays of ``n`` patterns, as a user gives them: of active units, or of all."""
        return 1.0 * n * (active or units.size)

    def _given(self, n: int, units: UnitTable, active: int) -> float:
        """Bytes of ``n`` patterns as they are handed over: real numbers, the numbers of active units, or bits."""
        if units.cell.alphabet == "real":
            return n * 4.0 * units.size
        packed = 8.0 * n_words(units.size)
        return n * (min(8.0 * active, packed) if active else packed)

    def _store(self) -> list[Work]:
        program, m = self.program, float(self.n_patterns)
        p, q, (kp, kq), table = program.pre.size, program.post.size, self.active, float(self.tables)
        given = self._stored
        if program.storage == "rows":
            return [Work(table, scattered=CODED * m * kp * kq + ROW * p, launches=1, passed=given)]
        if program.storage == "bits":
            return [Work(table, scattered=m * kp * kq, launches=1, passed=given)]
        if program.storage in ("patterns", "hidden"):
            return [Work(table, updated=2 * table, launches=1, passed=given)]
        synapses, both = 1.0 * p * q, m * p * q
        if program.storage == "counts":  # coactivities are counted over bits where recurrent; then counts become weights, in some passes
            bits, adds = (both, 0.0) if program.recurrent else (0.0, both)
            count = Work(table, bits=bits, multiply_adds=adds, launches=2, passed=given)
            return [count, Work(table, updated=4 * 8 * synapses, launches=4)]
        rule = program.rule
        if isinstance(rule, Storkey):  # inputs are read, weights updated
            return [Work(table, read=m * 4 * synapses, updated=m * 8 * synapses, multiply_adds=SUMMED * both, launches=2 * m, passed=given)]
        if isinstance(rule, PseudoInverse):  # weights are worked out when they are asked for
            return [Work(table, launches=1, passed=given)]
        if isinstance(rule, BayesianHebbian):
            return [Work(table, updated=m * 16 * synapses, multiply_adds=LOGARITHM * both, launches=2 * m, passed=given)]
        assert isinstance(rule, OuterProductRule)
        matrices = 2 if isinstance(rule.step, MomentumStep) else 1
        times = math.ceil(m / 8) if rule.forgettable else m  # sums are added eight at a time; others go one after the other
        return [Work(table, updated=times * 8 * synapses * matrices, multiply_adds=both, launches=times, passed=given)]

    def _recall(self) -> list[Work]:
        program, b, steps = self.program, float(self.n_cues), float(self.n_steps)
        passed = sum(self._given(self.n_cues, *end) for end in ((program.pre, self.active[0]), (program.post, 0)))
        taken = self._numbers(self.n_cues, program.pre, self.active[0])
        host = Work(units=0.0 if program.single_step else steps * b * program.post.size, launches=1, passed=passed, taken=taken)
        passes = [replace(work, launches=steps * work.launches) for work in self._step(b, steps)] + [host]
        if isinstance(program.rule, PseudoInverse):
            m, n = float(self.n_patterns), float(program.pre.size)
            passes = [Work(float(self.tables), multiply_adds=m * n * n + m * m * n, updated=8 * n * n, launches=8), *passes]
        if not self.graded:
            return passes
        inputs = [replace(work, waits=0.0) for work in self._step(b, 1.0)]
        return [*passes, *inputs, Work(graded=b * program.post.size, passed=8 * b * program.post.size)]

    def _step(self, b: float, steps: float) -> list[Work]:
        """Return the passes of all steps, with the launches of one."""
        program, m, table = self.program, float(self.n_patterns), float(self.tables)
        p, q, kp, often = program.pre.size, program.post.size, self.active[0], steps * math.ceil(b / BLOCK)
        visits = steps * q if program.update.order == "asynchronous" else 0.0
        if program.storage == "bits":
            counted = 1 if isinstance(program.post.cell, Threshold) and program.post.cell.theta is None else COUNTED
            return [Work(table, read=steps * b * kp * 8 * n_words(q), bits=steps * counted * b * kp * q, launches=1)]
        if program.storage == "rows":
            row = float(self._row_bytes)
            return [Work(table, read=steps * b * kp * row, scattered=steps * b * kp * row / CODE_BYTES, launches=2)]
        if program.storage == "patterns" or (program.storage == "hidden" and program.post.cell.alphabet == "bipolar"):
            weighed = POWER if isinstance(program.hidden, Polynomial) else 0 if program.hidden else MASKED
            overlaps = Work(table, read=often * m * p / 8, bits=steps * (COUNTED if program.hidden else 1) * b * m * p, launches=1)
            return [
                overlaps,
                Work(table, read=often * m * q / 8, multiply_adds=steps * weighed * b * m * q, waits=visits, abreast=b, launches=1),
            ]
        if program.storage == "hidden":
            return [Work(table, read=2 * often * 4 * m * q, multiply_adds=steps * REAL * 2 * b * m * q, launches=3)]
        packed = often * 8 * p * q if b > 1 else 0.0  # BLAS brings a matrix into an order of its own, but for one cue
        return [Work(table, read=often * 4 * p * q, updated=packed, multiply_adds=steps * b * p * q, waits=visits, abreast=b, launches=2)]


@dataclass(frozen=True)
class SpikingCase:
    """A spiking memory that runs ``n_steps`` steps of ``dt`` ms, in so many ``replicas``; units spike at ``rate`` Hz on average."""

    n_cells: int
    n_sources: int
    n_static: int
    n_plastic: int
    tables: int
    n_steps: int
    dt: float
    rate: float
    replicas: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.n_cells

    def with_size(self, n: int) -> SpikingCase:
        """Return the same of ``n`` neurons, with sources in proportion, and pairs of units connected as often as before."""
        by = n / max(1, self.n_cells)
        static, plastic, tables = (round(x * by * by) for x in (self.n_static, self.n_plastic, self.tables))
        return replace(self, n_cells=n, n_sources=round(self.n_sources * by), n_static=static, n_plastic=plastic, tables=tables)

    def with_batch(self, n: int) -> SpikingCase:
        """Return the same in ``n`` replicas."""
        return replace(self, replicas=n)

    @property
    def room(self) -> int:
        """Bytes of the state of neurons and plastic synapses, of all replicas."""
        return self.replicas * (CELL_BYTES * self.n_cells + 16 * self.n_plastic)

    device_room = room

    def operations(self) -> dict[str, list[Work]]:
        """Return the passes of the whole run."""
        steps, b, spiking = self.n_steps, self.replicas, self.rate * self.dt / 1000
        return {
            f"{steps} steps": [
                Work(self.tables, cells=1.0 * steps * b * self.n_cells, steps=steps),
                Work(self.tables, scattered=steps * b * spiking * self.n_static),
                Work(self.tables, plastic=steps * b * spiking * self.n_plastic),
            ]
        }


Case = MatrixCase | SpikingCase


def matrix_case(memory: MemoryModel, n_patterns: int, n_cues: int | None = None, n_steps: int | None = None) -> MatrixCase:
    """Return the case of a memory without spikes: by default as many cues as patterns, and four steps to a fixed point."""
    program = lower_matrix_memory(memory)
    usual = 1 if program.single_step else min(STEPS_TO_REST, program.update.max_steps)
    steps = usual if n_steps is None else n_steps
    cues = n_patterns if n_cues is None else n_cues
    for name, value in (("patterns", n_patterns), ("cues", cues), ("steps", steps)):
        _check_whole(memory, name, value)
    if program.single_step and steps > 1:
        raise SpecError(f"{memory.name}: steps = {steps}; its answer is one read: expected 1, or none.")
    k = memory.parameters.get("k")
    active = active_units(program.pre, k), active_units(program.post, k if program.recurrent else memory.parameters.get("k_content"))
    return MatrixCase(program, n_patterns, cues, steps, active, graded=program.storage != "rows")


def spiking_case(memory: MemoryModel, n_steps: int | None = None, rate: float = RATE, replicas: int = 1) -> SpikingCase:
    """Return the case of a spiking memory."""
    steps = STEPS if n_steps is None else n_steps
    _check_whole(memory, "steps", steps, 0)
    _check_whole(memory, "replicas", replicas)
    if not is_number(rate) or not 0 <= rate <= 1000 / memory.dt:
        raise SpecError(f"{memory.name}: rate = {rate!r}; expected spikes a second of a unit, from 0 to {1000 / memory.dt:g}, one a step.")
    network = memory.network
    sources = sum(int(p.size) for p in network.populations if isinstance(p.cell, SpikeSourceArray | SpikeSourcePoisson))
    counts = {True: 0, False: 0}
    for p in network.projections:
        n_pre, n_post = (end.size if isinstance(end, View) else int(network.population(end).size) for end in (p.pre, p.post))
        n = p.connector.estimate(n_pre, n_post)
        if n == 0:  # as many as units, or as a list that is given: few enough to be written down
            n = len(p.connector.pairs(n_pre, n_post, None, np.random.default_rng(0), p.name)[0])
        counts[p.plasticity is not None] += n
    cells = sum(int(p.size) for p in network.populations) - sources
    return SpikingCase(cells, sources, counts[False], counts[True], memory_needed(memory), steps, memory.dt, rate, replicas)


def _check_whole(memory: MemoryModel, name: str, value: int, least: int = 1) -> None:
    if not is_whole(value) or value < least:
        raise SpecError(f"{memory.name}: {name} = {value!r}; expected a whole number, at least {least}.")
