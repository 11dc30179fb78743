"""The CA3 memory as its authors' comment describes it: a cue of stage 1 does not inhibit itself in stage 2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuromem.spec import ArrayConnector, MemoryModel


def without_self_inhibition(memory: MemoryModel) -> MemoryModel:
    """Return ``memory`` without the synapses i -> i of the inhibition from ``s1_cue`` to ``s2_cue``.

    The authors' code asks for "all but itself", but PyNN leaves out i -> i only where both
    sides are the same population; on the board, and in ``ca3_cam``, cue i inhibits itself.
    """
    projections = []
    for p in memory.network.projections:
        if (p.pre, p.post, p.receptor) == ("s1_cue", "s2_cue", "inhibitory"):
            p = replace(p, connector=ArrayConnector(~np.eye(memory.role("cue").size, dtype=bool)))
        projections.append(p)
    return replace(memory, network=replace(memory.network, projections=tuple(projections)))
