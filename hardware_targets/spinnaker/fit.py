"""``fit``: a Program becomes one that a SpiNNaker board can hold, or ``LimitError`` says what is too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuromem.errors import LimitError, SpecError, UnsupportedError
from neuromem.hardware_targets.spinnaker.fitted import RECEPTORS, Fitted, Load, Placement, Resources, WeightFit
from neuromem.hardware_targets.spinnaker.fixed_point import ONE
from neuromem.hardware_targets.spinnaker.limits import Board, board_named
from neuromem.hardware_targets.spinnaker.ranges import check_amplitudes, check_potentials, potential_notes, refractory_notes, trace_notes
from neuromem.hardware_targets.spinnaker.splits import Split, arriving_packets, incoming, split, stages_of
from neuromem.hardware_targets.spinnaker.weights import load_of, quantise, shifts_of
from neuromem.ir.program import CellTable, Program, ProjectionTable
from neuromem.spec.plasticity import STDP, AdditiveWeightDependence

PARAMETER_ERROR = 0.01
"""Largest relative change of a time constant or capacity by rounding to 2^-15 that is accepted, and of the way to threshold by that of ``i_offset``."""

SYNAPTIC_SCALE = 0.1
"""Below this charge factor ``(tau_syn/dt)(1 - exp(-dt/tau_syn))`` a note is made: weights act that much less than they read."""


def fit(program: Program, board: str | Board = "spinn5") -> Fitted:
    """Return ``program`` as a board of kind ``board`` (``spinn3`` or ``spinn5``) will hold it, with what had to be done.

    Raises ``UnsupportedError`` for what the board does not do at all, and ``LimitError`` for what does not fit, with
    resource, used, maximum and what would reduce it.
    """
    if not isinstance(program, Program):
        raise SpecError(f"fit: {type(program).__name__}; expected a Program of spiking cells (lower makes one).")
    kind = board if isinstance(board, Board) else board_named(board)
    refuse_features(program, kind)
    cells = round_cells(program)
    ruled = replace(program, projections=tuple(deferred(p, kind) for p in program.projections))
    check_amplitudes(ruled, kind)
    splits = split(ruled, kind)
    shifts = shifts_of(ruled, kind)
    tables, words, weights = quantise_all(ruled, shifts)
    fitted = replace(ruled, cells=cells, projections=tables)
    check_potentials(fitted, kind)
    loads = tuple(
        load_of(ruled, p, receptor, shifts[p.name][i])
        for p in program.populations
        if not p.is_source
        for i, receptor in enumerate(RECEPTORS)
    )
    placements = place(ruled, splits, shifts)
    resources = count_resources(ruled, placements, kind)
    return Fitted(
        program, fitted, kind, placements, words, weights, loads, resources, notes(program, placements, loads, weights, resources, kind)
    )


def refuse_features(program: Program, board: Board) -> None:
    """Raise ``UnsupportedError`` for what no SpiNNaker board does."""
    if program.batch > 1:
        raise UnsupportedError(f"fit: a batch of {program.batch} replicas; a board holds one network. Fit each Program by itself.")
    if not program.cells.n:
        raise UnsupportedError("fit: a network without cells; a board needs at least one population of IFCurrExp.")
    if not board.real("time.shortest_step") <= program.dt:
        raise LimitError(
            f"fit: dt = {program.dt:g} ms; expected at least {board.real('time.shortest_step'):g} ms, the shortest step that was tried on the binaries."
        )
    for p in program.populations:
        cells = program.cells_of(p)
        if not p.is_source and not program.cells.spinnaker[cells].all():
            raise UnsupportedError(
                f"Population {p.name!r}: integrator 'exact'; the board has an update of its own. Expected IFCurrExp(..., integrator='spinnaker'): see how the memory does with it first."
            )
    for q in program.plastic:
        assert q.plasticity is not None
        if not isinstance(q.plasticity.weight_dependence, AdditiveWeightDependence):
            raise UnsupportedError(
                f"Projection {q.name!r}: {type(q.plasticity.weight_dependence).__name__}; the board's arithmetic is known for AdditiveWeightDependence only, so nothing else could be checked."
            )
    if program.plastic and not program.schedule.plastic.all():
        first = int(np.flatnonzero(program.schedule.plastic == 0)[0])
        raise UnsupportedError(
            f"fit: plasticity is off from step {first}; a board cannot switch it. Expected a protocol whose operations all learn, or static synapses with the learned weights."
        )
    refuse_mixed_rules(program)


def refuse_mixed_rules(program: Program) -> None:
    """Raise ``UnsupportedError`` where two plastic projections into one population follow different rules."""
    for population in program.populations:
        rules = {
            f"{p.plasticity.timing} {p.plasticity.weight_dependence}": p.name
            for p in incoming(program, population.name)
            if p.plasticity is not None
        }
        if len(rules) > 1:
            first, second = list(rules.values())[:2]
            raise UnsupportedError(
                f"Population {population.name!r}: projections {first!r} and {second!r} have different plasticity rules; a core has one. Expected one rule, or a population for each."
            )


def round_cells(program: Program) -> CellTable:
    """Return the cells with every parameter rounded to 2^-15; raise ``LimitError`` where that changes one by over 1 %, or it is out of range."""
    rounded = {}
    for group in (program.cells.parameters, program.cells.initial):
        for name, values in group.items():
            rounded[name] = np.rint(values * ONE) / ONE
            _check_rounding(program, name, values, rounded[name])
    parameters = {name: rounded[name] for name in program.cells.parameters}
    initial = {name: rounded[name] for name in program.cells.initial}
    _check_resistance(program, parameters)
    return CellTable(parameters, initial, program.cells.spinnaker)


def _owner(program: Program, cell: int) -> str:
    unit = cell + program.n_sources
    return next(p.name for p in program.populations if p.first <= unit < p.first + p.size)


def _check_rounding(program: Program, name: str, values: np.ndarray, rounded: np.ndarray) -> None:
    large = np.argwhere(np.abs(values) >= 65536)
    if large.size:
        row, cell = large[0]
        raise LimitError(
            f"Population {_owner(program, cell)!r}: {name} = {values[row, cell]:g}; expected between -65536 and 65536, the range of the board's numbers."
        )
    # potentials are told from others by differences, refractory periods are counted in whole steps, and currents act by what they add up to
    if name in ("tau_m", "cm", "tau_syn_E", "tau_syn_I"):
        off = np.argwhere(np.abs(rounded - values) > PARAMETER_ERROR * np.abs(values))
        if off.size:
            row, cell = off[0]
            raise LimitError(
                f"Population {_owner(program, cell)!r}: {name} = {values[row, cell]:g} would be {rounded[row, cell]:g} on the board, whose numbers are multiples of 2^-15; expected a value that changes by less than 1 %, such as {name} above 0.0016."
            )


def _check_resistance(program: Program, p: dict[str, np.ndarray]) -> None:
    resistance = p["tau_m"] / p["cm"]
    large = np.argwhere(resistance >= 65536)
    if large.size:
        row, cell = large[0]
        raise LimitError(
            f"Population {_owner(program, cell)!r}: tau_m / cm = {resistance[row, cell]:g} MOhm; expected below 65536, the range of the board's numbers: a larger cm."
        )
    lost = np.abs(program.cells.parameters["i_offset"] - p["i_offset"]) * resistance
    small = np.argwhere(lost > PARAMETER_ERROR * np.abs(p["v_thresh"] - p["v_rest"]))
    if small.size:
        row, cell = small[0]
        raise LimitError(
            f"Population {_owner(program, cell)!r}: i_offset = {program.cells.parameters['i_offset'][row, cell]:g} nA would be {p['i_offset'][row, cell]:g} on the board, which moves v by {lost[row, cell]:.3g} mV with tau_m / cm = {resistance[row, cell]:g} MOhm; expected less than 1 % of the way to v_thresh: a larger cm, with i_offset and weights scaled up."
        )


def deferred(p: ProjectionTable, board: Board) -> ProjectionTable:
    """Return a projection with its rule as the board applies it: deferred, and with the post events that it remembers."""
    if p.plasticity is None:
        return p
    return replace(p, plasticity=STDP(p.plasticity.timing, p.plasticity.weight_dependence, "deferred", board["core.post_events"]))


def quantise_all(
    program: Program, shifts: dict[str, tuple[int, int]]
) -> tuple[tuple[ProjectionTable, ...], dict[str, np.ndarray], tuple[WeightFit, ...]]:
    """Return all projections as the board holds them, with their 16-bit words and what changed."""
    done = [quantise(p, shifts[p.post_name][RECEPTORS.index(p.receptor)]) for p in program.projections]
    return tuple(d[0] for d in done), {d[0].name: d[1] for d in done}, tuple(d[2] for d in done)


def place(program: Program, splits: dict[str, Split], shifts: dict[str, tuple[int, int]]) -> tuple[Placement, ...]:
    """Return the placement of every population, in their order."""
    stages = stages_of(program, splits)
    placements = []
    for p in program.populations:
        shape, (n_stages, steps) = splits[p.name].shape, stages.get(p.name, (0, 0))
        placements.append(
            Placement(
                p.name,
                p.size,
                p.is_source,
                splits[p.name].neurons,
                splits[p.name].depth,
                shifts[p.name],
                0 if shape is None else shape.input_buffer,
                0 if shape is None else shape.dtcm,
                0 if shape is None else shape.sdram,
                n_stages,
                steps,
            )
        )
    return tuple(placements)


def count_resources(program: Program, placements: tuple[Placement, ...], board: Board) -> Resources:
    """Return what the network takes in all; raise ``LimitError`` where a chip's memory is too small for a core of it."""
    cores = sum(p.n_cores + p.n_delay_cores for p in placements)
    usable = board["chip.sdram"]
    for p in placements:
        if p.sdram > usable:
            raise LimitError(
                f"Population {p.name!r}: {p.sdram} bytes of SDRAM for one core; expected at most {usable}, all of a chip's: fewer synapses into it."
            )
    sdram = sum(p.sdram * p.n_cores for p in placements)
    per_chip = -(-board["board.cores"] // board["board.chips"]) - board["chip.system_cores"]  # of the chips with most cores
    chips = max(-(-cores // per_chip), -(-sdram // usable))
    boards = max(-(-cores // board.application_cores), -(-chips // board["board.chips"]))
    if boards > board["board.most"]:
        raise LimitError(
            f"fit: {cores} cores and {sdram} bytes of SDRAM take {boards} {board.title} boards; expected at most {board['board.most']}, with {board.application_cores * board['board.most']} cores: a larger kind of board (spinn5), or fewer and smaller populations."
        )
    lost = {}
    for p in placements:
        if not p.is_source:
            lost[p.name] = max(0, arriving_packets(incoming(program, p.name), program, p.ring_depth) - (p.input_buffer - 1))
    entries = sum(
        p.n_cores + p.n_delay_cores for p in placements if any(q.pre_name == p.name and q.n_synapses for q in program.projections)
    )
    return Resources(cores, chips, boards, sdram, entries, lost)


def notes(
    program: Program,
    placements: tuple[Placement, ...],
    loads: tuple[Load, ...],
    weights: tuple[WeightFit, ...],
    resources: Resources,
    board: Board,
) -> tuple[str, ...]:
    """Return in sentences what differs from the definition, or is at risk."""
    said = []
    p = program.cells.parameters
    for name, receptor in (("tau_syn_E", "excitatory"), ("tau_syn_I", "inhibitory")):
        scale = -(p[name] / program.dt) * np.expm1(-program.dt / p[name])
        small = np.flatnonzero(scale[0] < SYNAPTIC_SCALE)
        for population in dict.fromkeys(_owner(program, int(c)) for c in small):
            said.append(f"{population}: {name} is far below a step; {receptor} weights act less than a tenth of what they read.")
    for load in loads:
        if load.risk != "none":
            said.append(
                f"{load.population}, {load.receptor}: {load.risk} of up to {load.worst if load.risk == 'worst case' else load.volley:g} nA does not fit in its ring buffer, which holds {load.capacity:g} nA; the rest is cut off."
            )
    said += potential_notes(program, loads, board)
    for q in placements:
        lost = resources.packets_lost_at_worst.get(q.name, 0)
        if lost:
            said.append(
                f"{q.name}: its cores hold {q.input_buffer - 1} spikes of one step; {lost} of up to {q.input_buffer - 1 + lost} would be lost. There is no DTCM for more."
            )
    for fit_ in weights:
        if fit_.worst_error > 1 / 128:
            said.append(f"{fit_.projection}: weights are off by up to {100 * fit_.worst_error:.3g} %, in steps of {fit_.resolution:g} nA.")
    for table in program.plastic:
        rule = table.plasticity
        assert rule is not None
        events = board["core.post_events"]
        if rule.post_history != events:
            said.append(
                f"{table.name}: of more than {events} spikes of a cell between two spikes of its input, the board applies the last {events}."
            )
        if rule.discipline == "immediate":
            said.append(f"{table.name}: weights are updated when the input spikes; read out, they lack what came since.")
    said += trace_notes(program, board) + refractory_notes(program)
    for source in program.poisson:
        said.append(f"{source.name}: its Poisson spikes are drawn here and exported as spike times.")
    said += [
        f"{q.name}: its spikes pass a delay extension of {q.stages} stage{'s' * (q.stages != 1)} of {q.stage_steps} steps."
        for q in placements
        if q.stages
    ]
    if program.dt < board.real("time.step"):
        said.append(f"A step of {program.dt:g} ms makes the board run {1 / program.dt:g} times slower than real time.")
    return tuple(said)
