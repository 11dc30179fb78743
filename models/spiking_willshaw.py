"""A Willshaw network, or BiNAM, of spiking cells: stored first, then frozen, and read by volleys of spikes.

Random patterns are stored in a table of binary synapses (``willshaw``; doi:10.1038/222960a0), and ``neuromem.spec.realise`` derives cells,
weights, thresholds and inhibition, so that recall gives what the memory without spikes gives; the equations are in
``neuromem.spec.realise_binary``. The benchmark of such memories on neuromorphic hardware is BiNAM (doi:10.3389/fncom.2017.00071).

==============  ========  ==========================================================================================
parameter       default   meaning
==============  ========  ==========================================================================================
``n``, ``k``    32, 3     units, and active ones of a pattern (of a cue, with ``n_content``)
``n_content``   None      units of the content, for hetero-association, of which ``k_content`` (``k``) are active
``recall``      winners   ``winners``: the k (k_content) units with the largest input; ``threshold``: see ``theta``
``theta``       None      least input of a unit that fires; None: it must be connected to all of the cue
``updates``     1         how often recall by winners is repeated, with its own answer as the cue
``levels``      None      inputs that winners are told apart by; None: enough for any cue
``n_patterns``  12        patterns stored, drawn from ``seed``
==============  ========  ==========================================================================================
"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError, nearest
from neuromem.patterns import Pattern, random_pattern
from neuromem.quantities import check_units, is_whole
from neuromem.spec import (
    AllToAllConnector,
    ClippedHebbian,
    KWinners,
    MemoryModel,
    Network,
    Operation,
    PatternSource,
    Population,
    Projection,
    Protocol,
    ProtocolRecipe,
    Role,
    StaticSynapse,
    Threshold,
    Update,
)
from neuromem.spec import recall as ask
from neuromem.spec.realise import Realisation, realise

RECALLS = ("winners", "threshold")


def spiking_willshaw(
    n: int = 32,
    k: int = 3,
    n_content: int | None = None,
    k_content: int | None = None,
    recall: str = "winners",
    theta: int | None = None,
    updates: int = 1,
    levels: int | None = None,
    n_patterns: int = 12,
    seed: int = 0,
) -> MemoryModel:
    """Return a spiking memory that holds ``n_patterns`` random patterns; see the table of parameters."""
    return realised(n, k, n_content, k_content, recall, theta, updates, levels, n_patterns, seed).memory


def realised(
    n: int = 32,
    k: int = 3,
    n_content: int | None = None,
    k_content: int | None = None,
    recall: str = "winners",
    theta: int | None = None,
    updates: int = 1,
    levels: int | None = None,
    n_patterns: int = 12,
    seed: int = 0,
) -> Realisation:
    """Return the memory with its margins and the figures that were derived."""
    _check(n, k, n_content, k_content, recall, theta, updates, n_patterns, seed)
    m, wanted = (n, k) if n_content is None else (n_content, k_content or k)
    cues, contents = draw(n, k, n_content, k_content, n_patterns, seed)
    table = np.zeros((n, m), bool)
    for x, y in zip(cues, contents, strict=True):
        table[np.ix_(x, y)] = True
    cell = KWinners(wanted) if recall == "winners" else Threshold(theta)
    post = Population("content", m, cell, "content")
    pre = post if n_content is None else Population("cue", n, PatternSource(), "cue")
    binary = MemoryModel(
        name="willshaw",
        title="Willshaw network of binary synapses",
        reference="doi:10.1038/222960a0",
        network=Network(
            (post,) if n_content is None else (pre, post),
            (Projection(pre.name, "content", AllToAllConnector(), StaticSynapse(), plasticity=ClippedHebbian()),),
        ),
        roles=(Role("content", post[0:m], post[0:m]), *(() if n_content is None else (Role("cue", pre[0:n], pre[0:n]),))),
        update=Update("single") if updates == 1 else Update("synchronous", updates),
        parameters={
            "n": n, "k": k, "n_content": n_content, "k_content": k_content, "recall": recall, "theta": theta, "updates": updates,
            "levels": levels, "n_patterns": n_patterns, "seed": seed,
        },
    )  # fmt: skip
    return realise(binary, table, levels=levels)


def draw(
    n: int, k: int, n_content: int | None, k_content: int | None, n_patterns: int, seed: int
) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
    """Return the cues and contents that are stored; of auto-association they are the same."""
    rng = np.random.default_rng([seed, 0])
    cues = tuple(random_pattern(n, k, rng) for _ in range(n_patterns))
    if n_content is None:
        return cues, cues
    return cues, tuple(random_pattern(n_content, k_content or k, rng) for _ in range(n_patterns))


def recalls(
    n: int,
    k: int,
    n_content: int | None,
    k_content: int | None,
    recall: str,
    theta: int | None,
    updates: int,
    levels: int | None,
    n_patterns: int,
    seed: int,
) -> Protocol:
    """Return recalls from the first ten patterns, each without a quarter of its active units (at least one, where that leaves one)."""
    memory = spiking_willshaw(n, k, n_content, k_content, recall, theta, updates, levels, n_patterns, seed)
    rng, lost = np.random.default_rng([seed, 1]), min(max(1, k // 4), k - 1)
    stored, _ = draw(n, k, n_content, k_content, n_patterns, seed)
    gap, form = memory.safe_gap("recall", "recall"), memory.forms[0]
    operations: list[Operation] = []
    for i, x in enumerate(stored[:10]):
        kept = tuple(sorted(int(u) for u in rng.choice(x, k - lost, replace=False)))
        operations.append(ask(i * gap, **{form.given[0]: kept}))
    return Protocol("recall", tuple(operations), n_steps=operations[-1].at + form.n_steps)


def _check(
    n: object,
    k: object,
    n_content: object,
    k_content: object,
    recall: object,
    theta: object,
    updates: object,
    n_patterns: object,
    seed: object,
) -> None:
    check_units("willshaw-spiking", n)
    if n_content is not None:
        check_units("willshaw-spiking", n_content)
    if recall not in RECALLS:
        raise SpecError(f"willshaw-spiking: recall = {recall!r}; expected 'winners' or 'threshold'{nearest(str(recall), RECALLS)}.")
    if k_content is not None and n_content is None:
        raise SpecError(f"willshaw-spiking: k_content = {k_content!r} without n_content; expected both, or k alone.")
    if theta is not None and recall == "winners":
        raise SpecError(f"willshaw-spiking: theta = {theta!r} with recall = 'winners'; expected recall = 'threshold', or no theta.")
    if n_content is not None and updates != 1:
        raise SpecError(f"willshaw-spiking: updates = {updates!r} with n_content; its answer is one read: expected 1.")
    fits = k if k_content is None else k_content
    for name, value, least, most in (
        ("k", k, 1, n), ("k_content", fits, 1, n if n_content is None else n_content), ("theta", 1 if theta is None else theta, 1, n), ("updates", updates, 1, 10**4),
        ("n_patterns", n_patterns, 1, 10**6), ("seed", seed, 0, 2**63),
    ):  # fmt: skip
        if not is_whole(value) or not least <= value <= most:  # type: ignore[operator]
            raise SpecError(f"willshaw-spiking: {name} = {value!r}; expected a whole number from {least} to {most}.")


PROTOCOLS = {"recall": ProtocolRecipe(recalls)}
