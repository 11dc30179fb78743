"""The Willshaw network: binary synapses, set once where two active units meet (doi:10.1038/222960a0).

::

    w_ij = 1 if i and j were active together in any stored pattern (pair), else 0
    h_j  = sum_i w_ij s_i, the number of active units of the cue that connect to j

Recall by ``winners``: the k units with the largest h (all that tie with the last); again and again with ``iterative``, until
nothing changes. Recall by ``threshold``: the units that connect to all active units of the cue. Auto-association stores
patterns of k of n units with themselves; with ``n_content``, hetero-association stores pairs. One bit a synapse, packed; above
4 GiB, the set bits of each row.

With ``hypercolumns`` H, units form H groups, one unit wins in each (the first, at a tie), and units of a group are not connected.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units, is_whole
from neuromem.spec import (
    AllToAllConnector,
    ClippedHebbian,
    KWinners,
    MemoryModel,
    Network,
    OtherGroupsConnector,
    PatternSource,
    Population,
    Projection,
    Role,
    StaticSynapse,
    Threshold,
    Trial,
    Unit,
    Update,
)

RECALLS = ("winners", "threshold")


def willshaw(
    n: int = 256,
    k: int | None = None,
    n_content: int | None = None,
    k_content: int | None = None,
    hypercolumns: int = 1,
    recall: str = "winners",
    iterative: bool = True,
    max_steps: int = 15,
) -> MemoryModel:
    """Return a Willshaw network of ``n`` units with ``k`` active ones in a pattern (default: log2 n, rounded up).

    ``n_content``: units of the content, for hetero-association, with ``k_content`` active ones (default: log2 of it, rounded up). ``recall``:
    ``winners`` or ``threshold``, which is one step. ``iterative``: repeat recall by winners, at most ``max_steps`` times.
    """
    check_units("willshaw", n, hypercolumns)
    if recall not in RECALLS:
        raise SpecError(f"willshaw: recall = {recall!r}; expected 'winners' or 'threshold'{nearest(str(recall), RECALLS)}.")
    if not isinstance(iterative, bool):
        raise SpecError(f"willshaw: iterative = {iterative!r}; expected True or False.")
    if hypercolumns > 1 and (k is not None or n_content is not None or recall == "threshold"):
        raise SpecError(
            f"willshaw: k, n_content or recall by threshold with {hypercolumns} hypercolumns; expected none of them: one unit of each is active."
        )
    active, repeated = _active("k", k, n), Update("synchronous", max_steps)
    parameters = {
        "n": n, "k": k, "n_content": n_content, "k_content": k_content, "hypercolumns": hypercolumns, "recall": recall, "iterative": iterative,
        "max_steps": max_steps,
    }  # fmt: skip
    if n_content is not None:
        check_units("willshaw", n_content)
        wanted = _active("k_content", k_content, n_content)
        cue = Population("cue", n, PatternSource(), "cue")
        content = Population("content", n_content, _cell(wanted, 1, recall), "content")
        projection = Projection("cue", "content", AllToAllConnector(), StaticSynapse(), plasticity=ClippedHebbian())
        network = Network((cue, content), (projection,))
        roles: tuple[Role, ...] = (Role("cue", cue[0:n], cue[0:n]), Role("content", content[0:n_content], content[0:n_content]))
        once = True
    else:
        if k_content is not None:
            raise SpecError(f"willshaw: k_content = {k_content!r} without n_content; expected both, or k alone.")
        units = Population("units", n, _cell(active, hypercolumns, recall), "content")
        connector = OtherGroupsConnector(hypercolumns) if hypercolumns > 1 else AllToAllConnector()
        network = Network((units,), (Projection("units", "units", connector, StaticSynapse(), plasticity=ClippedHebbian()),))
        roles = (Role("content", units[0:n], units[0:n]),)
        once = recall == "threshold" or not iterative
    return MemoryModel(
        name="willshaw",
        title="Willshaw network of binary synapses",
        reference="doi:10.1038/222960a0",
        network=network,
        roles=roles,
        update=Update("single") if once else repeated,
        parameters=parameters,
    )


def _active(name: str, k: object, n: int) -> int:
    if k is None:
        return max(1, (int(n) - 1).bit_length())
    if not is_whole(k) or not 1 <= int(k) <= n:  # type: ignore[call-overload]
        raise SpecError(f"willshaw: {name} = {k!r}; expected None or a number of active units, from 1 to {n}.")
    return int(k)  # type: ignore[call-overload,no-any-return]


def _cell(k: int, hypercolumns: int, recall: str) -> Unit:
    if hypercolumns > 1:
        return KWinners(hypercolumns, hypercolumns, "first")
    return KWinners(k) if recall == "winners" else Threshold()


PROTOCOLS = {"trial": Trial(n_patterns=100, deletions=0.25)}
