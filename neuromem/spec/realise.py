"""``realise``: a stored memory of binary units becomes a spiking one that recalls the same.

What is realised is recall from a table that is frozen; each update is one volley of spikes. The circuits and their equations are in
``realise_binary`` (thresholds, k winners) and ``realise_sign`` (Hopfield), the cells in ``realise_cells``::

    session = neuromem.build(willshaw(n=64, k=6))
    session.store(patterns)
    spiking = realise(session.memory, session.weights())
    print(spiking)
    neuromem.build(spiking.memory).recall(content=(1, 5, 9))

=============  ==============================  ===============================================================
units          realised                        not
=============  ==============================  ===============================================================
``Threshold``  one read or many                tables of other numbers than 0, 1, 2 ... (0 and 1 with theta = None)
``KWinners``   one read or many; groups, ties  the same
``Sign``       synchronous updates             asynchronous ones, hetero-association, sequences; weights that are not
                                               whole, unless they are rounded
=============  ==============================  ===============================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError, UnsupportedError
from neuromem.quantities import is_whole
from neuromem.spec.binary_recall import BinaryRecall
from neuromem.spec.memory import MemoryModel, OperationForm, Role
from neuromem.spec.population import Population
from neuromem.spec.realise_binary import binary_circuit, check_binary, most_levels
from neuromem.spec.realise_cells import DT, INPUT, UNITS, Circuit, Derived
from neuromem.spec.realise_sign import sign_circuit, words_of
from neuromem.spec.units import KWinners, Sign, Threshold, Unit


@dataclass(frozen=True)
class Realisation:
    """A spiking memory and what is known of it.

    ``margin``: every weight may be off by this part of it, all at once, and each answer stays the same, in a board's arithmetic too
    (16-bit weights are not off at all, see ``realise_cells``). ``rounding``: the most by which a weight was changed to be whole, as a part of the
    largest; above 0 an input of Sign units is sure to be decided alike only if it is further from 0 than n such changes. ``cycle``:
    steps from one update to the next. ``updates``: how many there are in a recall.
    """

    memory: MemoryModel
    margin: float
    rounding: float
    cycle: int
    updates: int
    layers: tuple[Derived, ...]

    @property
    def exact(self) -> bool:
        """Whether the answers are those of the memory without spikes, for every cue that is not refused."""
        return self.rounding == 0.0

    def __str__(self) -> str:
        form, cells = self.memory.forms[0], sum(layer.size for layer in self.layers)
        gap = self.memory.safe_gap(form.name, form.name)
        width = max(len("layer"), *(len(layer.name) for layer in self.layers))
        lines = [
            f"{self.memory.name}: {cells} cells; updates: {self.updates}, every {self.cycle} steps; answer at step {form.answer_at}, next recall at step {gap}",
            f"margin of the weights: {self.margin:.3g}; {'exact' if self.exact else f'weights rounded by up to {self.rounding:.3g} of the largest'}",
            f"{'layer':<{width}}  cells  threshold  v_thresh mV  unit nA  sum exc  sum inh  margin",
        ]
        lines += [
            f"{x.name:<{width}}  {x.size:>5}  {x.threshold:>9}  {x.v_thresh:>11.5g}  {x.unit:>7.4g}  {x.excitation:>7}  {x.inhibition:>7}  {x.margin:.3g}"
            for x in self.layers
        ]
        return "\n".join(lines)


def realise(
    memory: MemoryModel, weights: np.ndarray, *, levels: int | None = None, weight_levels: int | None = None, name: str = ""
) -> Realisation:
    """Return a spiking memory that recalls from ``weights`` (n_pre, n_post) as ``memory`` does, or ``UnsupportedError``.

    ``memory`` has no spikes, and ``weights`` are those that it has learned (``MatrixSession.weights()``). A recall makes as many updates as
    ``memory.update`` allows, or one where it reads once; states that rest stay what they are. ``levels`` of k winners: see
    ``realise_binary``; fewer cost less, and cues that need more are refused. ``weight_levels``: round Sign units' weights to that many levels.
    ``name`` of the result; default: the memory's with ``-spiking``.
    """
    cell, pre, post = _ends(memory)
    table = _table(memory.name, weights, pre.size, post.size)
    if levels is not None and (not isinstance(cell, KWinners) or not is_whole(levels) or levels < 1):
        raise SpecError(
            f"{memory.name}: realise, levels = {levels!r} for {type(cell).__name__} units; expected None, or, for KWinners, a whole number of levels, at least 1."
        )
    if weight_levels is not None and not isinstance(cell, Sign):
        raise SpecError(
            f"{memory.name}: realise, weight_levels = {weight_levels!r} for {type(cell).__name__} units; expected None: only weights of Sign units are rounded."
        )
    assert memory.update is not None
    hetero = pre != post
    once = hetero or memory.update.order == "single"
    updates = 1 if once else memory.update.max_steps
    called, rounding, depth = name or f"{memory.name}-spiking", 0.0, None
    if isinstance(cell, Sign):
        words, quantum = words_of(memory.name, table, weight_levels)
        largest = float(np.abs(table).max(initial=0.0))
        rounding = float(np.abs(words * quantum - table).max(initial=0.0)) / largest if largest else 0.0
        circuit = sign_circuit(memory.name, words, updates)
    else:
        assert isinstance(cell, Threshold | KWinners)
        check_binary(memory.name, cell, table)
        most = most_levels(cell, table) if isinstance(cell, KWinners) else 1
        depth = None if levels is None or levels >= most else levels
        circuit = binary_circuit(memory.name, cell, table, depth or most, None if once else updates)
    ideal = BinaryRecall(called, cell, table, updates, depth)
    spiking = _spiking(memory, circuit, (pre.size, post.size), ideal)
    return Realisation(spiking, circuit.margin, rounding, circuit.cycle, updates, circuit.layers)


def _spiking(memory: MemoryModel, circuit: Circuit, sizes: tuple[int, int], ideal: BinaryRecall) -> MemoryModel:
    """Return the memory around a circuit: roles, the one form, and how soon a recall may follow another."""
    (n_pre, n_post), source, answer = sizes, circuit.network.population(INPUT), circuit.network.population(circuit.readout)
    content = Role("content", source[0:n_post], answer[0:n_post])
    # Of hetero-associative memories, nothing ever enters at the content's input; but a role has one.
    roles = (content,) if len(memory.roles) == 1 else (Role("cue", source[0:n_pre], source[0:n_pre]), content)
    # What the last volley causes is past two cycles after it, and one later is forgotten; of a single read, all within its cycle.
    gap = circuit.cycle * (1 if circuit.readout == UNITS else ideal.updates + 2)
    return MemoryModel(
        name=ideal.name,
        title=f"{memory.title or memory.name}, realised with spikes",
        reference=memory.reference,
        network=circuit.network,
        dt=DT,
        roles=roles,
        forms=(
            OperationForm(
                "recall", "recall", (roles[0].name,), 1, ("content",), circuit.answer_at, n_steps=max(gap, circuit.answer_at + 1)
            ),
        ),
        ideal=ideal,
        gaps={("recall", "recall"): gap},
        parameters=dict(memory.parameters),
    )


def _ends(memory: MemoryModel) -> tuple[Unit, Population, Population]:
    """Return the units and both populations; raise ``UnsupportedError`` for a memory of a kind that is not realised."""
    update = memory.update
    projections = memory.network.projections
    if update is None or len(projections) != 1:
        raise SpecError(
            f"{memory.name}: realise, a memory {'with spikes' if update is None else f'of {len(projections)} projections'}; expected one without spikes, such as willshaw() or hopfield()."
        )
    projection = projections[0]
    pre, post = memory.network.population(str(projection.pre)), memory.network.population(str(projection.post))
    cell = post.cell
    if not isinstance(cell, Sign | Threshold | KWinners):
        raise UnsupportedError(
            f"{memory.name}: realise, {type(cell).__name__} units; expected Threshold, KWinners or Sign: units of two states, which fire or do not."
        )
    if getattr(projection.plasticity, "lag", 0):
        raise UnsupportedError(
            f"{memory.name}: realise, a sequence memory (lag = 1); expected one whose patterns are stored with themselves, or pairs."
        )
    if getattr(projection.plasticity, "hidden", None) is not None:
        raise UnsupportedError(f"{memory.name}: realise, hidden units for each pattern; expected one table of weights.")
    if update.order == "asynchronous":
        raise UnsupportedError(
            f"{memory.name}: realise, asynchronous updates, one unit after the other; a volley updates all: expected update='synchronous'."
        )
    if isinstance(cell, Sign) and (pre != post or update.order == "single"):
        raise UnsupportedError(
            f"{memory.name}: realise, Sign units that are read once; expected a recurrent population with synchronous updates."
        )
    return cell, pre, post


def _table(name: str, weights: np.ndarray, n_pre: int, n_post: int) -> np.ndarray:
    array = np.asarray(weights)
    if array.dtype.kind not in "biuf" or array.shape != (n_pre, n_post):
        raise SpecError(
            f"{name}: realise, weights of shape {array.shape} and type {array.dtype}; expected numbers of shape ({n_pre}, {n_post})."
        )
    table: np.ndarray = array.astype(np.float64)
    if not np.isfinite(table).all():
        i, j = (int(x) for x in np.argwhere(~np.isfinite(table))[0])
        raise SpecError(f"{name}: realise, a weight of {table[i, j]} from unit {i} to {j}; expected finite numbers.")
    return table
