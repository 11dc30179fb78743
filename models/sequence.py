"""A memory of sequences: each pattern is associated with the one that follows, and recalls it.

``clipped``: patterns of k of n active units, one bit a synapse, set where a unit was active just before another
(doi:10.1038/222960a0); the k units with the largest input win. ``hebb``: patterns of -1
and 1, ``w_ij = sum_t x_i(t) x_j(t + 1)`` (doi:10.1073/pnas.83.24.9469). A stored sequence is recalled from its start, one pattern a
step; a memory may hold several sequences, stored one after the other.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units, is_whole
from neuromem.spec import (
    AllToAllConnector,
    ClippedHebbian,
    Hebbian,
    KWinners,
    MemoryModel,
    Network,
    Population,
    Projection,
    Role,
    Sign,
    StaticSynapse,
    Trial,
    Update,
)

RULES = ("clipped", "hebb")


def sequence(n: int = 256, rule: str = "clipped", k: int | None = None) -> MemoryModel:
    """Return a sequence memory of ``n`` units; ``k``: active units of a pattern with the clipped rule (default: log2 n, rounded up)."""
    check_units("sequence", n)
    if rule not in RULES:
        raise SpecError(f"sequence: rule = {rule!r}; expected 'clipped' or 'hebb'{nearest(str(rule), RULES)}.")
    if k is not None and (not is_whole(k) or not 1 <= k <= n):
        raise SpecError(f"sequence: k = {k!r}; expected None or a number of active units, from 1 to {n}.")
    active = max(1, (int(n) - 1).bit_length()) if k is None else int(k)
    units = Population("units", n, KWinners(active) if rule == "clipped" else Sign(), "content")
    plasticity = ClippedHebbian(lag=1) if rule == "clipped" else Hebbian(lag=1)
    view = units[0:n]
    return MemoryModel(
        name="sequence",
        title=f"Sequence memory, {rule} rule",
        reference="doi:10.1073/pnas.83.24.9469" if rule == "hebb" else "doi:10.1038/222960a0",
        network=Network((units,), (Projection("units", "units", AllToAllConnector(), StaticSynapse(), plasticity=plasticity),)),
        roles=(Role("content", view, view),),
        update=Update("single"),
        parameters={"n": n, "rule": rule, "k": k},
    )


PROTOCOLS = {"trial": Trial(n_patterns=20)}
