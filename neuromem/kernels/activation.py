"""What units make of their inputs, as arrays; NumPy for every engine, for it costs little beside reading the weights.

``h`` are the inputs, (B, n); states of binary and bipolar units are booleans.
"""

from __future__ import annotations

import numpy as np


def sign(h: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return 1 where h > 0 and 0 where h < 0; where h = 0 the bit stays."""
    result: np.ndarray = (h > 0) | ((h == 0) & bits)
    return result


def winners(h: np.ndarray, k: int, groups: int, ties: str) -> np.ndarray:
    """Return the ``k / groups`` largest of each group as booleans.

    ``ties = "all"``: every unit that reaches the last winner's input, if that is above 0; ``"first"``: exactly k.
    """
    b, n = h.shape
    each = k // groups
    grouped = h.reshape(b, groups, n // groups)
    if each == 1 and ties == "first":
        won = np.zeros(grouped.shape, np.bool_)
        np.put_along_axis(won, grouped.argmax(axis=2)[:, :, None], True, axis=2)
        return won.reshape(b, n)
    last = np.partition(grouped, n // groups - each, axis=2)[:, :, n // groups - each, None]
    if ties == "all":
        return ((grouped >= last) & (grouped > 0)).reshape(b, n)
    above, equal = grouped > last, grouped == last
    room = each - above.sum(axis=2, keepdims=True)
    return (above | (equal & (np.cumsum(equal, axis=2) <= room))).reshape(b, n)


def soft(h: np.ndarray, groups: int, gain: float) -> np.ndarray:
    """Return ``exp(gain h)``, normalised within each group, float32."""
    b, n = h.shape
    grouped = h.reshape(b, groups, n // groups)
    scaled = np.exp(gain * (grouped - grouped.max(axis=2, keepdims=True)))
    return (scaled / scaled.sum(axis=2, keepdims=True)).reshape(b, n).astype(np.float32)
