"""How many neurons of each population share a core, so that the core boots and every synapse delivers.

Fewer neurons on a core leave room for longer delays. What must hold for a population on cores of n neurons, with ring
buffers of D = ``ring_depth`` steps:

- the core boots: its DTCM suffices, and no row of synapses is longer than the population table can say;
- a plastic delay is at most D (its post events would otherwise arrive early) and no multiple of D (the binaries keep delays
  modulo D, and never deliver a plastic synapse of delay 0);
- longer static delays go through delay extensions, in stages of D steps: at most 8, the same D for all targets of one source
  population, and at most one stage, unless the source population is on one core, with as many neurons as a core of the target (sPyNNaker
  counts rows of later stages in cores of the target, and connects wrong pairs otherwise);
- a core of a delay extension boots: it has the neurons of one core of the source population, and fewer of them fit the longer
  its stages are together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.core_memory import CoreShape, Rows, delay_bytes, delay_neurons, longest_reach, ring_depth
from neuromem.hardware_targets.spinnaker.fixed_point import trace_table
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.ir.program import PopulationTable, Program, ProjectionTable


@dataclass(frozen=True)
class Split:
    """One population: neurons on each core, and the core's shape (None for sources)."""

    neurons: int
    shape: CoreShape | None = None

    @property
    def depth(self) -> int:
        """Ring depth in steps."""
        return 0 if self.shape is None else self.shape.ring_depth


def split(program: Program, board: Board) -> dict[str, Split]:
    """Return the split of every population; raise ``LimitError`` where there is none."""
    splits = {p.name: Split(min(p.size, board["core.neurons"])) for p in program.populations if p.is_source}
    for population in program.populations:
        if not population.is_source:
            splits[population.name] = _largest(population, program, board, min(population.size, board["core.neurons"]))
    before: dict[str, Split] = {}
    while splits != before:  # ends: every change leaves some population fewer neurons on a core
        before = dict(splits)
        _agree_on_stages(program, board, splits)
        _unscramble(program, board, splits)
        _fit_delay_cores(program, board, splits)
    return splits


def incoming(program: Program, population: str) -> tuple[ProjectionTable, ...]:
    """Return the projections with synapses that end in a population."""
    return tuple(p for p in program.projections if p.post_name == population and p.n_synapses)


def stages_of(program: Program, splits: Mapping[str, Split]) -> dict[str, tuple[int, int]]:
    """Return for each source population that needs a delay extension how many stages it has, and their steps."""
    found: dict[str, tuple[int, int]] = {}
    for (pre, post), delay in longest_delays(program).items():
        depth = splits[post].depth
        if delay > depth:
            found[pre] = (max(-(-delay // depth) - 1, found.get(pre, (0, 0))[0]), depth)
    return found


def longest_delays(program: Program) -> dict[tuple[str, str], int]:
    """Return the longest delay from each population to each other that it reaches, in steps."""
    longest: dict[tuple[str, str], int] = {}
    for p in program.projections:
        if p.n_synapses:
            longest[p.pre_name, p.post_name] = max(int(p.delay.max()), longest.get((p.pre_name, p.post_name), 0))
    return longest


def _largest(population: PopulationTable, program: Program, board: Board, most: int) -> Split:
    """Return the split with the most neurons on a core, at most ``most``, that boots and delivers.

    Where no split leaves room for an input buffer that takes all spikes at once, return the one with the largest buffer.
    """
    projections = incoming(program, population.name)
    longest = max((int(p.delay.max()) for p in projections), default=1)
    plastic = any(p.plasticity is not None for p in projections)
    best: CoreShape | None = None
    why, last_depth = "", 0
    for n in range(most, 0, -1):
        depth = ring_depth(n, longest, board["core.ring_buffer_bits"])
        if depth == last_depth and why and not why.startswith(_MEMORY):
            continue  # nothing that was wrong gets better
        last_depth = depth
        full = _buffer(arriving_packets(projections, program, depth), board)
        shape = _fitting(CoreShape(n, depth, plastic, full, ()), board)
        if best is not None and shape.input_buffer <= best.input_buffer:
            continue  # rows leave no more room
        why = _obstacle(shape, (), 1, board) if n > 1 else ""  # rows take long to count
        if not why:
            shape = _fitting(_shape(population, projections, program, n, depth, full), board)
            why = _obstacle(shape, projections, longest, board)
        if not why and (best is None or shape.input_buffer > best.input_buffer):
            best = shape
        if not why and shape.input_buffer == full:
            break
    if best is None:
        raise LimitError(f"Population {population.name!r}: {why}")
    return Split(best.neurons, best)


def _fitting(shape: CoreShape, board: Board) -> CoreShape:
    """Return a shape with its input buffer halved, down to the default, until the core boots."""
    while shape.dtcm > board["core.dtcm"] and shape.input_buffer > board["core.input_buffer"]:
        shape = replace(shape, input_buffer=shape.input_buffer // 2)
    return shape


def arriving_packets(projections: tuple[ProjectionTable, ...], program: Program, depth: int) -> int:
    """Return how many packets may reach a core in one step: a cell's spike, and one more from each stage of its delay extension."""
    stages: dict[str, int] = {}
    for p in projections:
        stages[p.pre_name] = max(stages.get(p.pre_name, 0), (int(p.delay.max()) - 1) // depth)
    return sum(program.population(name).size * (1 + n) for name, n in stages.items())


_MEMORY = "a core of"


def _shape(
    population: PopulationTable, projections: tuple[ProjectionTable, ...], program: Program, n: int, depth: int, buffer: int
) -> CoreShape:
    tables = [p for p in projections if p.plasticity is not None]
    lut = 0
    if tables:
        rule = tables[0].plasticity
        assert rule is not None
        lut = sum(-(-len(trace_table(tau, program.dt)) // 2) for tau in (rule.timing.tau_plus, rule.timing.tau_minus))
    return CoreShape(
        n,
        depth,
        bool(tables),
        buffer,
        tuple(row for p in projections for row in _rows(p, population, n, depth, program)),
        lut,
    )


def _buffer(packets: int, board: Board) -> int:
    """Return the size of an input buffer that takes a volley of so many packets: one more, and a power of two."""
    return int(max(board["core.input_buffer"], 2 ** int(np.ceil(np.log2(packets + 1)))))


def _rows(p: ProjectionTable, population: PopulationTable, n: int, depth: int, program: Program) -> list[Rows]:
    """Return the rows of a projection on its fullest core: those that arrive at once, and those from a delay extension."""
    core = (p.post - population.first) // n
    stage = (p.delay - 1) // depth
    size = program.population(p.pre_name).size
    rows = []
    for late in (False, True):
        chosen = (stage > 0) == late
        if np.any(chosen):
            key = (core[chosen] * (stage.max() + 1) + stage[chosen]) * size + (p.pre[chosen] - program.population(p.pre_name).first)
            longest = int(np.unique(key, return_counts=True)[1].max())
            rows.append(Rows(size * (int(stage.max()) if late else 1), longest, p.plasticity is not None))
    return rows


def _obstacle(shape: CoreShape, projections: tuple[ProjectionTable, ...], longest: int, board: Board) -> str:
    """Return what is wrong with a split, or an empty string."""
    if shape.dtcm > board["core.dtcm"]:
        return f"{_MEMORY} {shape.neurons} neurons needs {shape.dtcm} bytes of DTCM; expected at most {board['core.dtcm']}: shorter delays, fewer source cells (its input buffer takes 4 bytes for each), or no plasticity."
    longest_row = max((row.words for row in shape.rows), default=0)
    if longest_row > board["core.row_words"]:
        return f"{_MEMORY} {shape.neurons} neurons needs rows of {longest_row} words; expected at most {board['core.row_words']}: fewer synapses from one cell to another."
    for p in projections:
        delays = np.unique(p.delay)
        if p.plasticity is not None and delays.max() > shape.ring_depth:
            return f"projection {p.name!r} is plastic with delays up to {delays.max()} steps; expected at most {shape.ring_depth} steps, the ring depth of a core of {shape.neurons} neurons: a shorter delay, or a smaller population."
        silent = delays[delays % shape.ring_depth == 0]
        if p.plasticity is not None and silent.size:
            return f"projection {p.name!r} is plastic with delays of {silent[0]} steps, a multiple of the ring depth, {shape.ring_depth}; the board would never deliver its spikes. Expected another delay, or one static synapse of a longer delay into this population (the depth is the power of two from the longest delay on)."
    reach = longest_reach(shape.ring_depth, board["core.delay_stages"], board["core.delay_memory"])
    if longest > reach:
        stages = reach // shape.ring_depth - 1
        return f"a delay of {longest} steps; expected at most {reach}: a core of {shape.neurons} neurons has a ring of {shape.ring_depth} steps, and a delay extension has room for {stages} stages as long. Shorter delays, or a smaller population."
    return ""


def _agree_on_stages(program: Program, board: Board, splits: dict[str, Split]) -> None:
    """Make all targets that need delay extensions of one source population have stages of one length."""
    longest = longest_delays(program)
    while True:
        depths: dict[str, set[int]] = {}
        for (pre, post), delay in longest.items():
            if delay > splits[post].depth:
                depths.setdefault(pre, set()).add(splits[post].depth)
        unequal = next((pre for pre, found in depths.items() if len(found) > 1), None)
        if unequal is None:
            return
        least = min(depths[unequal])
        for (pre, post), delay in longest.items():
            if pre == unequal and delay > splits[post].depth == least:
                # a ring shorter than another, and than the longest delay, is that of three neurons or more, and can become longer
                why = f"delays of {delay} steps from {pre!r}, whose stages must be of {max(depths[pre])} steps; expected at most {least} steps, the depth of its ring: shorter delays, or another source population."
                splits[post] = _deeper(program, board, post, splits[post], why)


def _unscramble(program: Program, board: Board, splits: dict[str, Split]) -> None:
    """Leave more than one delay stage only where sPyNNaker connects the right pairs: one core of sources, as large as a core of the target."""
    while True:
        stages = {pre: n for pre, (n, _) in stages_of(program, splits).items()}
        wrong = {
            post: (pre, delay)
            for (pre, post), delay in reversed(longest_delays(program).items())
            if delay > splits[post].depth
            and stages[pre] > 1
            and not program.population(pre).size == splits[pre].neurons == splits[post].neurons
        }
        if not wrong:
            return
        for post, (pre, delay) in wrong.items():
            why = (
                f"delays of up to {delay} steps from {pre!r}, whose delay extension has more than one stage; sPyNNaker connects wrong pairs then, unless all of {pre!r} is on one core, with as many neurons as a core of {post!r}. "
                f"Expected at most {longest_reach(splits[post].depth, 1, board['core.delay_memory'])} steps."
            )
            splits[post] = _deeper(program, board, post, splits[post], why)
        _agree_on_stages(program, board, splits)


def _fit_delay_cores(program: Program, board: Board, splits: dict[str, Split]) -> None:
    """Leave no delay extension with more neurons on a core than boot.

    One stage: fewer neurons on each core of the source population. More stages, for which it must stay on one core: longer ring buffers in
    the targets, until there is one or none.
    """
    memory = board["core.delay_memory"]
    for pre, (stages, steps) in stages_of(program, splits).items():
        neurons, most = splits[pre].neurons, delay_neurons(stages, steps, memory)
        if neurons <= most:
            continue
        if stages == 1:
            splits[pre] = Split(most) if splits[pre].shape is None else _largest(program.population(pre), program, board, most)
            return  # the stages of others may have changed
        for (source, post), delay in longest_delays(program).items():
            if source == pre and delay > splits[post].depth:
                why = (
                    f"delays of up to {delay} steps from {pre!r}, whose {neurons} cells then need {delay_bytes(neurons, stages, steps)} bytes of DTCM on a core of a delay extension with {stages} stages of {steps} steps. "
                    f"Expected at most {memory}: shorter delays, or at most {most} cells in {pre!r}."
                )
                splits[post] = _deeper(program, board, post, splits[post], why)
        return


def _deeper(program: Program, board: Board, name: str, old: Split, why: str) -> Split:
    """Return the split of a population with fewer neurons on a core and longer ring buffers; raise ``LimitError`` with ``why`` if none has longer ones."""
    n = old.neurons
    while n > 1:
        n = 2 ** (int(np.ceil(np.log2(n))) - 1)
        new = _largest(program.population(name), program, board, n)
        if new.depth > old.depth:
            return new
    raise LimitError(f"Population {name!r}: {why}")
