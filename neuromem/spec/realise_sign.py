"""The circuit of units of -1 and 1 (Hopfield, Sign) that are updated together, N times.

A unit of 1 fires in a cycle, a unit of -1 is silent: a = (1 + s) / 2. With ``B_j = sum_i w_ij``, the input ``h_j = sum_i w_ij s_i`` is

    h_j / 2 = sum_i w_ij a_i - B_j / 2

All weights are multiples of a quantum q, so h_j moves in steps of 2 q from -B_j. In words of 2 w / q for the table, which are even,
``2 h_j / (2 q) = sum_i (2 w_ij / q) a_i - B_j / q``, and ``h_j = 0`` is possible only if B_j / q is even. Then the unit keeps its state:
a synapse of 2 from itself, which counts for and against it alike if the threshold is 1 higher,

    sum_i (2 w_ij / q) a_i + 2 a_j > B_j / q + 1        h = 0: B_j / q + 2 a_j, on the side of a_j
    sum_i (2 w_ij / q) a_i         > B_j / q            B_j / q odd: never 0

Either way the right side, ``theta_j``, is odd, and the sum is even. Positive weights excite, negative ones inhibit.

A threshold may be below 0, and silence is a state. So a ``clock`` lets the cell ``pulse`` fire once a cycle, N times, which gives unit j
the bias ``Theta - theta_j``, and all units have one threshold ``Theta = 1 + max_j sum_i (positive words)``. Without a pulse
no unit can fire: after N updates the memory is at rest. The last volley is repeated by ``answer``.

The largest E + I of which E - I is next to Theta is ``Theta + 1 + 2 I``, with I all that can inhibit a unit, or all of its words if that is less.
"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError, UnsupportedError
from neuromem.quantities import is_whole
from neuromem.spec.realise_cells import UNITS, Circuit, Layer, Wire, assemble, repeated


def words_of(name: str, weights: np.ndarray, weight_levels: int | None) -> tuple[np.ndarray, float]:
    """Return weights in quanta, int64, and the quantum q: the greatest common divisor of whole weights, or max |w| / ``weight_levels``.

    Raises ``UnsupportedError`` for weights that are not whole where no number of levels is given.
    """
    largest = float(np.abs(weights).max(initial=0.0))
    if weight_levels is not None:
        if not is_whole(weight_levels) or weight_levels < 1:
            raise SpecError(f"{name}: realise, weight_levels = {weight_levels!r}; expected a whole number of levels, at least 1.")
        quantum = largest / weight_levels if largest else 1.0
        return np.rint(weights / quantum).astype(np.int64), quantum
    whole = np.rint(weights)
    wrong = (whole != weights) | (np.abs(weights) > 2.0**53)
    if wrong.any():
        i, j = (int(x) for x in np.argwhere(wrong)[0])
        raise UnsupportedError(
            f"{name}: realise, a weight of {weights[i, j]:g} from unit {i} to {j}; expected whole numbers (hebb), which spikes can sum exactly, or weight_levels=100 to round them to that many levels."
        )
    quantum = int(np.gcd.reduce(whole.astype(np.int64), axis=None)) or 1
    return whole.astype(np.int64) // quantum, float(quantum)


def sign_circuit(name: str, words: np.ndarray, updates: int) -> Circuit:
    """Return the circuit of ``updates`` updates; ``words`` are the weights in quanta, (n, n)."""
    n = len(words)
    total = words.sum(axis=0)
    ties = total % 2 == 0
    table = 2 * words + 2 * np.diag(ties.astype(np.int64))
    theta = total + ties
    excite, inhibit = np.maximum(table, 0), np.maximum(-table, 0)
    threshold = int(excite.sum(axis=0).max()) + 1
    bias = threshold - theta
    load = int(np.minimum(threshold + 1 + 2 * inhibit.sum(axis=0), (excite + inhibit).sum(axis=0) + bias).max())
    around, ways = repeated(n, updates, 2 * threshold)
    layers = [Layer(UNITS, n, threshold, max(load, threshold), "content"), Layer("pulse", 1, 1, 2, "clock"), *around]
    ticks = np.full((updates + 1, 1), 2)
    ticks[updates] = 0
    wires = [
        Wire("clock", "pulse", ticks, -1, 1),
        Wire("pulse", UNITS, bias[None, :], 1),
        Wire(UNITS, UNITS, excite, 0, 1),
        Wire(UNITS, UNITS, inhibit, 0, 1, "inhibitory"),
        *ways,
    ]
    return assemble(name, n, layers, wires, 3, 2, updates)
