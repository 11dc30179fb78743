"""``lower`` of a memory without spikes: its network becomes a MatrixProgram."""

from __future__ import annotations

from neuromem.ir.lower import checked_seed
from neuromem.ir.matrix_checks import check_matrix_memory, ends
from neuromem.ir.matrix_program import MatrixProgram, Storage, UnitTable, Wiring
from neuromem.spec.connectors import AllToAllConnector, OtherGroupsConnector
from neuromem.spec.hebbian import BayesianHebbian, ClippedHebbian, Covariance, Hebbian, OneUnitPerPattern
from neuromem.spec.memory import MemoryModel
from neuromem.spec.network import Projection
from neuromem.spec.population import Population
from neuromem.spec.units import Sign, Unit

MOST_BITS = 2**35
"""Bit tables larger than this (4 GiB) are stored by rows of set bits."""


def lower_matrix_memory(memory: MemoryModel, seed: int = 0) -> MatrixProgram:
    """Return the Program of a memory without spikes; raise ``SpecError`` when it is wrong."""
    check_matrix_memory(memory)
    tables, first = {}, 0
    for p in memory.network.populations:
        assert isinstance(p.cell, Unit)
        tables[p.name] = UnitTable(p.name, p.role, first, int(p.size), p.cell)
        first += int(p.size)
    projection = memory.network.projections[0]
    pre, post = ends(memory.network)
    rule = projection.plasticity
    assert rule is not None
    assert memory.update is not None
    return MatrixProgram(
        name=memory.name,
        populations=tuple(tables.values()),
        projection=projection.name,
        pre=tables[pre.name],
        post=tables[post.name],
        hidden=rule.hidden if isinstance(rule, OneUnitPerPattern) else None,
        rule=rule,
        wiring=_wiring(projection, pre == post),
        lag=getattr(rule, "lag", 0),
        storage=_storage(projection, pre, post),
        update=memory.update,
        seed=checked_seed("seed", seed),
    )


def _wiring(projection: Projection, recurrent: bool) -> Wiring:
    if isinstance(projection.connector, OtherGroupsConnector):
        return "other groups"
    assert isinstance(projection.connector, AllToAllConnector)
    return "no self" if recurrent and not projection.connector.allow_self_connections else "all"


def _storage(projection: Projection, pre: Population, post: Population) -> Storage:
    rule = projection.plasticity
    if isinstance(rule, ClippedHebbian):
        return "bits" if pre.size * post.size <= MOST_BITS else "rows"
    if isinstance(rule, OneUnitPerPattern):
        return "hidden"
    if isinstance(rule, Hebbian) and isinstance(post.cell, Sign):
        return "patterns"
    if isinstance(rule, Hebbian | Covariance) or (isinstance(rule, BayesianHebbian) and rule.tau is None):
        return "counts"
    return "matrix"
