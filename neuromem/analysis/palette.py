"""Colours of roles: Okabe and Ito's set, which stays distinct under the common colour blindnesses.

Colour is never the only sign: roles also have a shape, and right and wrong a mark.
"""

from __future__ import annotations

from collections.abc import Iterable

# doi:10.1038/nmeth.1618, without the yellow that is too light for marks on white
_FIXED = {
    "input": "#5A5A5A",
    "cue": "#0072B2",
    "content": "#D55E00",
    "gate": "#009E73",
    "interneuron": "#B0518D",
    "readout": "#000000",
    "": "#5A5A5A",
}
_FREE = ("#56B4E9", "#E69F00", "#CC79A7", "#7A6A00", "#4B3F9E")

RIGHT = "#1A1A1A"
WRONG = "#A3003A"


def role_colours(roles: Iterable[str]) -> dict[str, str]:
    """Return a colour for each role: the known ones always the same, others in the order of first appearance."""
    colours: dict[str, str] = {}
    others = 0
    for role in roles:
        if role in colours:
            continue
        if role in _FIXED:
            colours[role] = _FIXED[role]
        else:
            colours[role] = _FREE[others % len(_FREE)]
            others += 1
    return colours


def tint(colour: str, strength: float) -> str:
    """Return ``colour`` mixed with white: ``strength`` 1 is the colour itself, 0 is white."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - c) * strength):02X}" for c in channels)
