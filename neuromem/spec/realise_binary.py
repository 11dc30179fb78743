"""Circuits of units of 0 and 1: fixed threshold, all of the cue, k winners; one read, or repeated.

``c_j = sum_i W_ij s_i`` is the input of unit j from the active units of a volley, W of whole numbers, not negative: of 0 and 1 in a Willshaw
network. Times are steps after the volley; the table has words of 2 W, and every threshold is odd (``realise_cells``).

**Fixed threshold** (BiNAM, doi:10.3389/fncom.2017.00071): a unit fires if ``2 c_j > 2 theta - 1``. One step; the next sums are
``2 theta - 2`` and ``2 theta``, and the margin is 3/4 of 1/(2 theta).

**All of the cue**: j fires if no active unit fails to connect to it. ``go`` fires with any cue and sends 2 to every unit; each pair that is
*not* in the table (of 0 and 1) inhibits with 4; the threshold is 1. So 2 with nothing missing, 2 - 4 m with m missing: nothing is
counted, and the margin, 3/4 of 1/2, is that of a cue of any size. Two steps.

**k winners**, of each group if there are groups. For every level l the layer ``level_l`` of n units fires where ``c_j >= l`` (a fixed threshold),
and the cell ``counter_l`` of a group where at least k of them do: threshold ``2 k - 1``. Let c* be the k-th largest input of the group. As levels are
nested, the counters up to c* fire and no others, if there are as many levels: L >= c*. The k-th largest column sum of W bounds
c* and is the default of L: then the circuit is exact for every cue. It takes L n cells.

*Ties win as well* (``all``), units without input never: the winners are those with ``c_j >= max(1, c*)``. Levels are 2 .. L, so
that m = max(1, c*) - 1 counters fire and inhibit with 2 each, and a unit fires if ``2 c_j - 2 m > 1``. Three steps; margin 3/4
of 1/(4 L - 2), or of 1/(2 k).

*The first of those that tie* (``first``): exactly k win. Levels are 1 .. L, m = c*. ``above`` fires if ``2 c_j - 2 m > 1``, c_j > c*; ``tied`` gets 2 from
``go`` as well, and fires if c_j >= c*. A unit fires if it is above, or if it is tied and fewer than k of its group come
before it: those that are above, and those of lower number that tie. Of tied units of lower number and units above of higher
number each is counted once, so with n_g units in a group

    2 k tied_j + 4 n_g above_j - 2 sum_{i < j} tied_i - 2 sum_{i > j} above_i > 1

If one of each group wins, none is above it, and that layer is left out.

Four steps; margin 3/4 of 1/(4 L + 2), or of 1/(4 k).

**Repeated**: the answer is sent as the next volley, a cycle of T steps after the last. The last cell of a ``clock`` fires with the N-th
answer, which ``answer`` then repeats, and inhibits the units when the volley after that is due, with 4 times all that can excite them.

A core of a SpiNNaker board takes in 255 spikes a step; the fit to a board makes room for more, and tells where there is none.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from neuromem.errors import UnsupportedError
from neuromem.spec.realise_cells import INPUT, MOST, UNITS, Circuit, Layer, Wire, assemble, repeated
from neuromem.spec.units import KWinners, Threshold

MOST_LEVELS = (MOST - 2) // 4
"""Largest L: the load of k winners is up to 4 L + 2."""


def check_binary(name: str, cell: Threshold | KWinners, weights: np.ndarray) -> None:
    """Raise ``UnsupportedError`` for weights that these circuits do not sum."""
    all_of_cue = isinstance(cell, Threshold) and cell.theta is None
    wrong = (weights != np.rint(weights)) | (weights < 0) | (weights > (1 if all_of_cue else 2**20))
    if wrong.any():
        i, j = (int(x) for x in np.argwhere(wrong)[0])
        expected = (
            "0 and 1, for units that must connect to all of the cue"
            if all_of_cue
            else "whole numbers from 0 to 2^20, such as a clipped table of 0 and 1"
        )
        raise UnsupportedError(
            f"{name}: realise, a weight of {weights[i, j]:g} from unit {i} to {j} onto {type(cell).__name__} units; expected {expected}."
        )


def most_levels(cell: KWinners, weights: np.ndarray) -> int:
    """Return the level that no k-th largest input of a group exceeds: its k-th largest column sum, at least 1."""
    inputs = np.sort(weights.sum(axis=0).reshape(cell.groups, -1), axis=1)
    return max(1, int(inputs[:, inputs.shape[1] - cell.k // cell.groups].max()))


def binary_circuit(name: str, cell: Threshold | KWinners, weights: np.ndarray, levels: int, updates: int | None) -> Circuit:
    """Return the circuit for whole ``weights`` (n_pre, n_post); ``levels``: L; ``updates``: N, or None for one read."""
    if levels > MOST_LEVELS:
        raise UnsupportedError(
            f"{name}: realise, winners with inputs of up to {levels}; expected at most {MOST_LEVELS}, the levels that a margin allows: levels=16, if cues have no larger ones."
        )
    table = weights.astype(np.int64)
    n_pre, n_post = table.shape
    if updates is None:
        layers, wires, steps = _decide(cell, table, levels, INPUT)
        n_inputs = max(n_pre, n_post)  # of a hetero-associative memory, the content's role asks for an input of its size
        wires = [replace(w, words=np.pad(w.words, ((0, n_inputs - n_pre), (0, 0)))) if w.pre == INPUT else w for w in wires]
        return assemble(name, n_inputs, layers, wires, max(2, steps), steps)
    layers, wires, steps = _decide(cell, table, levels, UNITS)
    most = sum(int(w.words.sum(axis=0).max()) for w in wires if w.post == UNITS and w.receptor == "excitatory")
    stop = np.zeros((updates + 1, n_post), np.int64)
    stop[updates] = 4 * most
    # the next state is due a whole cycle after the volley, and not as soon as it can be
    wires = [replace(w, steps=w.steps - steps, cycles=1) if w.post == UNITS else w for w in wires]
    around, ways = repeated(n_pre, updates, 2 * layers[0].threshold)
    wires += [*ways, Wire("clock", UNITS, stop, 0, 1, "inhibitory")]
    return assemble(name, n_pre, layers + around, wires, steps + 1, 2, updates)


Decision = tuple[list[Layer], list[Wire], int]
"""Layers, ``UNITS`` first, and wires from a volley to the next state, and the steps from one to the other."""


def _decide(cell: Threshold | KWinners, table: np.ndarray, levels: int, volley: str) -> Decision:
    n_post = table.shape[1]
    if isinstance(cell, KWinners):
        return _all_that_tie(cell, table, levels, volley) if cell.ties == "all" else _first_that_tie(cell, table, levels, volley)
    if cell.theta is not None:
        theta = math.ceil(cell.theta)
        return [Layer(UNITS, n_post, 2 * theta - 1, 2 * theta, "content")], [Wire(volley, UNITS, 2 * table, 1)], 1
    layers = [Layer(UNITS, n_post, 1, 2, "content"), Layer("go", 1, 1, 2, "gate")]
    return layers, [*_go(volley, table, UNITS, 1), Wire(volley, UNITS, 4 * (1 - table), 2, 0, "inhibitory")], 2


def _all_that_tie(cell: KWinners, table: np.ndarray, levels: int, volley: str) -> Decision:
    layers, wires = _counters(cell, table, range(2, levels + 1), volley, (UNITS,))
    units = Layer(UNITS, table.shape[1], 1, 4 * levels - 2, "content")
    return [units, *layers], [Wire(volley, UNITS, 2 * table, 3), *wires], 3


def _first_that_tie(cell: KWinners, table: np.ndarray, levels: int, volley: str) -> Decision:
    n, each, size = table.shape[1], cell.k // cell.groups, table.shape[1] // cell.groups
    together, one = np.kron(np.eye(cell.groups, dtype=np.int64), np.ones((size, size), np.int64)), np.eye(n, dtype=np.int64)
    names = ("tied", "above") if each > 1 else ("tied",)  # nothing is above the only winner
    layers, wires = _counters(cell, table, range(1, levels + 1), volley, names)
    wires += [Wire(volley, name, 2 * table, 3) for name in names]
    wires += [
        *_go(volley, table, "tied", 2),
        Wire("tied", UNITS, 2 * each * one, 1),
        Wire("tied", UNITS, 2 * np.triu(together, 1), 1, 0, "inhibitory"),
    ]
    if each > 1:
        wires += [Wire("above", UNITS, 4 * size * one, 1), Wire("above", UNITS, 2 * np.tril(together, -1), 1, 0, "inhibitory")]
    first = [Layer(UNITS, n, 1, 4 * each, "content"), Layer("go", 1, 1, 2, "gate")]
    return [*first, *(Layer(name, n, 1, 4 * levels + 2, "level") for name in names), *layers], wires, 4


def _go(volley: str, table: np.ndarray, post: str, steps: int) -> list[Wire]:
    """Return the wires of ``go``, which fires with any volley and sends 2 to all of ``post``, ``steps`` later."""
    return [Wire(volley, "go", np.full((table.shape[0], 1), 2), 1), Wire("go", post, np.full((1, table.shape[1]), 2), steps)]


def _counters(cell: KWinners, table: np.ndarray, levels: range, volley: str, posts: tuple[str, ...]) -> tuple[list[Layer], list[Wire]]:
    """Return levels and counters: each counter that fires inhibits ``posts`` of its group with 2, three steps after the volley."""
    n, each, words = table.shape[1], cell.k // cell.groups, 2 * table
    group = np.kron(np.eye(cell.groups, dtype=np.int64), np.ones((n // cell.groups, 1), np.int64))  # (n, groups)
    layers: list[Layer] = []
    wires: list[Wire] = []
    for level in levels:
        layers.append(Layer(f"level_{level}", n, 2 * level - 1, 2 * level, "level"))
        layers.append(Layer(f"counter_{level}", cell.groups, 2 * each - 1, 2 * each, "counter"))
        wires.append(Wire(volley, f"level_{level}", words, 1))
        wires.append(Wire(f"level_{level}", f"counter_{level}", 2 * group, 1))
        wires += [Wire(f"counter_{level}", post, 2 * group.T, 1, 0, "inhibitory") for post in posts]
    return layers, wires
