"""The Bayesian Confidence Propagation Neural Network: hypercolumns whose units compete, weights that are log odds.

With ``H`` hypercolumns of m = n / H units, one active in each (doi:10.1142/S0129065789000499; arXiv:2401.00335)::

    w_ij   = log(p_ij / (p_i p_j))        bias_j = log p_j        no weights within a hypercolumn
    h_j    = bias_j + sum_i w_ij s_i
    soft:  s_j = exp(gain h_j) / sum over its hypercolumn       hard: the largest h_j of the hypercolumn is 1 (the first, at a tie)

Probabilities are those of the patterns stored, in whatever order (``tau = None``), or running averages over the last
``tau`` patterns or so, so that old ones fade (doi:10.1080/net.13.2.179.194). Of probabilities of all patterns, ``prior`` is the
weight, in patterns, of the assumption that units are independent: none is 0. Averages have no prior (``tau`` and ``prior`` together
are refused): they begin at 1 / m and 1 / m^2, and enter the logarithms at 1e-4 (p_i) and 1e-8 (p_ij) at least.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units
from neuromem.spec import (
    BayesianHebbian,
    KWinners,
    MemoryModel,
    Network,
    OtherGroupsConnector,
    Population,
    Projection,
    Role,
    SoftWTA,
    StaticSynapse,
    Trial,
    Unit,
    Update,
)

COMPETITIONS = ("soft", "hard")


def bcpnn(
    n: int = 256,
    hypercolumns: int = 16,
    tau: float | None = None,
    prior: float = 1.0,
    competition: str = "soft",
    gain: float = 1.0,
    max_steps: int = 15,
) -> MemoryModel:
    """Return a BCPNN of ``n`` units in ``hypercolumns`` groups; ``competition``: ``soft`` or ``hard``."""
    check_units("bcpnn", n, hypercolumns)
    if competition not in COMPETITIONS:
        raise SpecError(f"bcpnn: competition = {competition!r}; expected 'soft' or 'hard'{nearest(str(competition), COMPETITIONS)}.")
    cells: dict[str, Unit] = {"soft": SoftWTA(hypercolumns, gain), "hard": KWinners(hypercolumns, hypercolumns, "first")}
    units = Population("units", n, cells[competition], "content")
    view = units[0:n]
    projection = Projection("units", "units", OtherGroupsConnector(hypercolumns), StaticSynapse(), plasticity=BayesianHebbian(tau, prior))
    return MemoryModel(
        name="bcpnn",
        title="Bayesian-Hebbian network of hypercolumns",
        reference="arXiv:2401.00335",
        network=Network((units,), (projection,)),
        roles=(Role("content", view, view),),
        update=Update("synchronous", max_steps),
        parameters={
            "n": n, "hypercolumns": hypercolumns, "tau": tau, "prior": prior, "competition": competition, "gain": gain, "max_steps": max_steps,
        },
    )  # fmt: skip


PROTOCOLS = {"trial": Trial(n_patterns=100, moves=0.1)}
