"""Where the board's numbers would wrap to the other sign: potentials beyond 65536, steps of learning, and traces from 16 on.

What a single spike does is refused, what needs many at once is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from neuromem.errors import LimitError
from neuromem.hardware_targets.spinnaker.fitted import Load
from neuromem.hardware_targets.spinnaker.fixed_point import ONE, quotient, s1615
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.hardware_targets.spinnaker.weights import strongest
from neuromem.ir.program import PopulationTable, Program
from neuromem.quantities import steps_covering
from neuromem.spec.plasticity import STDP


def gain(program: Program, receptor: str) -> np.ndarray:
    """Return by how much 1 nA that arrives moves the aim of v, of each cell (mV): ``(tau_m/cm) (tau_syn/dt) (1 - exp(-dt/tau_syn))``."""
    p = program.cells.parameters
    tau = p["tau_syn_E" if receptor == "excitatory" else "tau_syn_I"][0]
    found: np.ndarray = p["tau_m"][0] / p["cm"][0] * (tau / program.dt) * -np.expm1(-program.dt / tau)
    return found


def resting_aim(program: Program) -> np.ndarray:
    """Return where v of each cell goes without input (mV): ``v_rest + i_offset tau_m / cm``."""
    p = program.cells.parameters
    aim: np.ndarray = p["v_rest"][0] + p["i_offset"][0] * p["tau_m"][0] / p["cm"][0]
    return aim


def check_potentials(program: Program, board: Board) -> None:
    """Raise ``LimitError`` where ``i_offset``, or one spike, aims v beyond the range of the board's numbers."""
    limit, p = board["numbers.range"], program.cells.parameters
    rest = np.abs(resting_aim(program))
    for population in program.populations:
        if not population.is_source:
            cells = program.cells_of(population)
            cell = cells.start + int(np.argmax(rest[cells]))
            if rest[cell] >= limit:
                raise LimitError(
                    f"Population {population.name!r}: i_offset = {p['i_offset'][0, cell]:g} nA moves v towards {resting_aim(program)[cell]:g} mV, "
                    f"with tau_m / cm = {p['tau_m'][0, cell] / p['cm'][0, cell]:g} MOhm; expected between -{limit} and {limit} mV, the range of the board's numbers: a smaller i_offset, or a larger cm."
                )
    for q in program.projections:
        if not q.n_synapses:
            continue
        cells_of = q.post - program.n_sources
        weight = strongest(q)
        moved = weight * gain(program, q.receptor)[cells_of] + rest[cells_of]
        most = int(np.argmax(moved))
        if moved[most] >= limit:
            raise LimitError(
                f"Projection {q.name!r}: one spike of {weight[most]:g} nA moves v towards {moved[most]:g} mV, with tau_m / cm = {(p['tau_m'][0] / p['cm'][0])[cells_of[most]]:g} MOhm; "
                f"expected below {limit} mV, the range of the board's numbers, beyond which v has the other sign: smaller weights, or a larger cm."
            )


def check_amplitudes(program: Program, board: Board) -> None:
    """Raise ``LimitError`` where a step of learning, with the largest trace there is, could leave the range of the board's numbers."""
    limit, most = board["numbers.range"], board["numbers.trace_range"]
    for q in program.plastic:
        rule = _rule(q.plasticity)
        bound = (limit - rule.weight_dependence.w_max) / most
        for name in ("A_plus", "A_minus"):
            amplitude = getattr(rule.timing, name)
            if amplitude >= bound:
                raise LimitError(
                    f"Projection {q.name!r}: {name} = {amplitude:g} nA; expected below {bound:g} nA: times a trace of up to {most}, and with w_max = {rule.weight_dependence.w_max:g} nA, "
                    f"it would leave the range of the board's numbers, {limit}."
                )


def potential_notes(program: Program, loads: Sequence[Load], board: Board) -> list[str]:
    """Return a sentence for each receptor at which everything at once would make v wrap."""
    limit, said = board["numbers.range"], []
    rest = np.abs(resting_aim(program))
    for load in loads:
        population = program.population(load.population)
        cells = program.cells_of(population)
        arriving = min(load.worst, load.capacity)
        moved = float((arriving * gain(program, load.receptor)[cells] + rest[cells]).max())
        if arriving and moved >= limit:
            said.append(
                f"{load.population}, {load.receptor}: up to {arriving:g} nA at once would move v towards {moved:g} mV, beyond {limit}, the range of the board's numbers; v has the other sign then."
            )
    return said


def trace_notes(program: Program, board: Board) -> list[str]:
    """Return a sentence for each trace that cells firing as fast as they can would drive to where it wraps.

    After n spikes that are i steps apart a trace is ``(1 - x^n) / (1 - x)``, with ``x = exp(-i dt / tau)``.
    """
    most, said = board["numbers.trace_range"], []
    for q in program.plastic:
        rule = _rule(q.plasticity)
        for side, name, tau in (("tau_plus", q.pre_name, rule.timing.tau_plus), ("tau_minus", q.post_name, rule.timing.tau_minus)):
            steps = shortest_interval(program, program.population(name))
            x = math.exp(-steps * program.dt / tau)
            if most * (1 - x) < 1:
                n = math.ceil(math.log(1 - most * (1 - x)) / math.log(x))
                apart = f"{steps} steps apart" if steps > 1 else "one in each step"
                said.append(
                    f"{q.name}: with {side} = {tau:g} ms, about {n} spikes in a row of a cell of {name}, {apart}, would take its trace to {most}, where it wraps to -{most}; learning is wrong then."
                )
    return said


def shortest_interval(program: Program, population: PopulationTable) -> int:
    """Return the least steps between two spikes of a cell: one more than it is refractory."""
    if population.is_source:
        return 1
    cells = program.cells_of(population)
    return 1 + min(refractory_steps(float(tau), program.dt) for tau in np.unique(program.cells.parameters["tau_refrac"][0, cells]))


def refractory_steps(tau_refrac: float, dt: float) -> int:
    """Return for how many steps a cell on the board is refractory."""
    return -(-quotient(s1615(tau_refrac), s1615(dt)) // ONE)


def refractory_notes(program: Program) -> list[str]:
    """Return a sentence for each population whose refractory period rounds to another number of steps on the board."""
    said = []
    for p in program.populations:
        if p.is_source:
            continue
        cells = program.cells_of(p)
        for tau in np.unique(program.cells.parameters["tau_refrac"][0, cells]).tolist():
            here, there = steps_covering(tau, program.dt), refractory_steps(tau, program.dt)
            if here != there:
                said.append(
                    f"{p.name}: tau_refrac = {tau:g} ms is {there} steps of {program.dt:g} ms on the board, and {here} in the definition."
                )
    return said


def _rule(plasticity: STDP | None) -> STDP:
    assert plasticity is not None
    return plasticity
