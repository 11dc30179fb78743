"""Hopfield networks: one recurrent population, Hebbian or a better rule, recall to a fixed point.

Units s_i of -1 and 1, weights w_ij, recall until nothing changes::

    h_i = sum_j w_ij s_j        s_i <- sign(h_i), a unit keeps its state where h_i = 0
    E   = -1/2 sum_ij w_ij s_i s_j

Synchronous recall updates all units at once (and may end in a cycle of two states, which is reported as not
converged); asynchronous recall visits one unit after the other, in random order, and never raises E where w is
symmetric without self-coupling.

==================  =====================================================================  ===========================
rule                w_ij after patterns x^1 .. x^M                                         source
==================  =====================================================================  ===========================
``hebb``            sum_m x_i x_j                                                          doi:10.1073/pnas.79.8.2554
``covariance``      sum_m (b_i - a)(b_j - a), b in {0, 1} with activity a                  doi:10.1209/0295-5075/6/2/002
``storkey``         w + (x_i x_j - x_i h_ji - h_ij x_j) / n, h without i and j, in order   doi:10.1007/BFb0020196
``pseudo_inverse``  projection onto the patterns                                           doi:10.1051/jphyslet:01985004608035900
==================  =====================================================================  ===========================

Sparse patterns (``activity`` below 1/2) and hypercolumns have units of 0 and 1: with ``activity`` a the
``round(a n)`` units with the largest input win; with ``hypercolumns`` H, units form H groups of n / H, one unit wins in each
(the first, at a tie), and units of a group are not connected.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units, is_number
from neuromem.spec import (
    AllToAllConnector,
    Covariance,
    Hebbian,
    KWinners,
    MemoryModel,
    Network,
    OtherGroupsConnector,
    Population,
    Projection,
    PseudoInverse,
    Role,
    Sign,
    StaticSynapse,
    Storkey,
    Trial,
    Update,
)

RULES = ("hebb", "covariance", "storkey", "pseudo_inverse")


def hopfield(
    n: int = 256,
    rule: str = "hebb",
    activity: float | None = None,
    hypercolumns: int = 1,
    self_coupling: bool = False,
    update: str = "synchronous",
    max_steps: int | None = None,
) -> MemoryModel:
    """Return a Hopfield network of ``n`` units.

    ``rule``: one of ``RULES``. ``activity``: fraction of active units; None for 1/2 (patterns of -1 and 1), or 0.1 with the
    covariance rule. ``update``: ``synchronous`` or ``asynchronous``. ``max_steps``: limit of recall; None for 15 with
    hypercolumns, 100 otherwise.
    """
    check_units("hopfield", n, hypercolumns)
    if rule not in RULES:
        raise SpecError(f"hopfield: rule = {rule!r}; expected one of {', '.join(RULES)}{nearest(str(rule), RULES)}.")
    if activity is not None and (not is_number(activity) or not 0.0 < activity <= 0.5):
        raise SpecError(f"hopfield: activity = {activity!r}; expected None or the fraction of active units, above 0 and at most 0.5.")
    if not isinstance(self_coupling, bool):
        raise SpecError(f"hopfield: self_coupling = {self_coupling!r}; expected True or False.")
    sparse = rule == "covariance" or hypercolumns > 1 or (activity is not None and activity < 0.5)
    if sparse and rule in ("storkey", "pseudo_inverse"):
        raise SpecError(f"hopfield: rule = {rule!r} with sparse patterns or hypercolumns; expected 'hebb' or 'covariance'.")
    if hypercolumns > 1:
        if activity is not None:
            raise SpecError(
                f"hopfield: activity = {activity:g} with {hypercolumns} hypercolumns, whose activity is {hypercolumns / n:g}; leave it out."
            )
        fraction, cell = hypercolumns / n, KWinners(hypercolumns, hypercolumns, "first")
    else:
        k = max(1, round((0.1 if activity is None else activity) * n))
        fraction, cell = k / n, KWinners(k, ties="first")
    units = Population("units", n, cell if sparse else Sign(), "content")
    learned = {"hebb": Hebbian, "storkey": Storkey, "pseudo_inverse": PseudoInverse}
    plasticity = Covariance(fraction) if rule == "covariance" else learned[rule]()
    connector = OtherGroupsConnector(hypercolumns) if hypercolumns > 1 and not self_coupling else AllToAllConnector(self_coupling)
    view = units[0:n]
    return MemoryModel(
        name="hopfield",
        title=f"Hopfield network, {rule.replace('_', '-')} rule",
        reference="doi:10.1073/pnas.79.8.2554",
        network=Network((units,), (Projection("units", "units", connector, StaticSynapse(), plasticity=plasticity),)),
        roles=(Role("content", view, view),),
        update=Update(update, (15 if hypercolumns > 1 else 100) if max_steps is None else max_steps),  # type: ignore[arg-type]
        parameters={
            "n": n, "rule": rule, "activity": activity, "hypercolumns": hypercolumns, "self_coupling": self_coupling, "update": update,
            "max_steps": max_steps,
        },
    )  # fmt: skip


PROTOCOLS = {"trial": Trial(n_patterns=12, flips=0.1)}
