"""A Hopfield network of spiking cells: stored first, then frozen; a state is a volley, and every cycle updates all units.

Random patterns of -1 and 1 are stored by Hebb's rule without self-coupling, ``w_ij = sum_m x_i x_j`` (``hopfield``;
doi:10.1073/pnas.79.8.2554), and ``neuromem.spec.realise`` derives cells, weights, biases and inhibition; the equations are in
``neuromem.spec.realise_sign``. A pattern is given and read as its units of 1. The ``updates`` are all made, also where the state rests.
"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError
from neuromem.quantities import check_units, is_number, is_whole
from neuromem.spec import (
    AllToAllConnector,
    Hebbian,
    MemoryModel,
    Network,
    Operation,
    Population,
    Projection,
    Protocol,
    ProtocolRecipe,
    Role,
    Sign,
    StaticSynapse,
    Update,
)
from neuromem.spec import recall as ask
from neuromem.spec.realise import Realisation, realise


def spiking_hopfield(n: int = 32, updates: int = 4, flips: float = 0.1, n_patterns: int = 3, seed: int = 0) -> MemoryModel:
    """Return a spiking memory of ``n`` units that holds ``n_patterns`` random patterns.

    ``updates`` of a recall; ``flips``: the part of the units that the protocol ``recall`` inverts.
    """
    return realised(n, updates, flips, n_patterns, seed).memory


def realised(n: int = 32, updates: int = 4, flips: float = 0.1, n_patterns: int = 3, seed: int = 0) -> Realisation:
    """Return the memory with its margins and the figures that were derived."""
    check_units("hopfield-spiking", n)
    for name, value, least, most in (("updates", updates, 1, 10**4), ("n_patterns", n_patterns, 1, 10**6), ("seed", seed, 0, 2**63)):
        if not is_whole(value) or not least <= value <= most:
            raise SpecError(f"hopfield-spiking: {name} = {value!r}; expected a whole number from {least} to {most}.")
    if not is_number(flips) or not 0.0 <= flips <= 1.0:
        raise SpecError(f"hopfield-spiking: flips = {flips!r}; expected a fraction from 0 to 1.")
    patterns = draw(n, n_patterns, seed)
    table = patterns.T @ patterns
    np.fill_diagonal(table, 0)
    units = Population("content", n, Sign(), "content")
    binary = MemoryModel(
        name="hopfield",
        title="Hopfield network, hebb rule",
        reference="doi:10.1073/pnas.79.8.2554",
        network=Network((units,), (Projection("content", "content", AllToAllConnector(False), StaticSynapse(), plasticity=Hebbian()),)),
        roles=(Role("content", units[0:n], units[0:n]),),
        update=Update("synchronous", updates),
        parameters={"n": n, "updates": updates, "flips": flips, "n_patterns": n_patterns, "seed": seed},
    )
    return realise(binary, table)


def draw(n: int, n_patterns: int, seed: int) -> np.ndarray:
    """Return the patterns that are stored, int64 of -1 and 1, (n_patterns, n)."""
    return np.random.default_rng([seed, 0]).integers(0, 2, (n_patterns, n)) * 2 - 1


def recalls(n: int, updates: int, flips: float, n_patterns: int, seed: int) -> Protocol:
    """Return recalls from the first ten patterns with ``round(flips n)`` units inverted; cues that come out without a 1 are left out."""
    memory, rng = spiking_hopfield(n, updates, flips, n_patterns, seed), np.random.default_rng([seed, 1])
    gap = memory.safe_gap("recall", "recall")
    operations: list[Operation] = []
    for pattern in draw(n, n_patterns, seed)[:10]:
        cue = pattern.copy()
        cue[rng.choice(n, round(flips * n), replace=False)] *= -1
        if (cue > 0).any():
            operations.append(ask(len(operations) * gap, content=tuple(int(i) for i in np.flatnonzero(cue > 0))))
    return Protocol("recall", tuple(operations), n_steps=len(operations) * gap)


PROTOCOLS = {"recall": ProtocolRecipe(recalls)}
