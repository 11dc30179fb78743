"""``check_matrix_memory``: can this memory without spikes be run?"""

from __future__ import annotations

import math

from neuromem.errors import SpecError, listing
from neuromem.ir.checks import check_names
from neuromem.spec.connectors import AllToAllConnector, OtherGroupsConnector
from neuromem.spec.hebbian import (
    BayesianHebbian,
    ClippedHebbian,
    Covariance,
    Hebbian,
    OneUnitPerPattern,
    PseudoInverse,
    Storkey,
)
from neuromem.spec.memory import MemoryModel
from neuromem.spec.network import Network, Projection
from neuromem.spec.outer_product import OuterProductRule
from neuromem.spec.population import Population
from neuromem.spec.units import KWinners, Linear, PatternSource, Polynomial, Sign, Softmax, SoftWTA, Threshold, Unit

# rule -> (cells of the post population, alphabet of the pre population, whether only recurrent projections)
_FITS: dict[type, tuple[tuple[type[Unit], ...], tuple[str, ...], bool]] = {
    Hebbian: ((Sign, KWinners), ("bipolar", "binary"), False),
    Covariance: ((KWinners,), ("binary",), False),
    Storkey: ((Sign,), ("bipolar",), True),
    PseudoInverse: ((Sign,), ("bipolar",), True),
    ClippedHebbian: ((KWinners, Threshold), ("binary",), False),
    BayesianHebbian: ((SoftWTA, KWinners), ("binary",), True),
    OneUnitPerPattern: ((Sign, Linear), ("bipolar", "real"), True),
    OuterProductRule: ((Linear,), ("real",), False),
}


def has_spikes(network: Network) -> bool:
    """Tell whether ``network`` is of spiking cells; raise ``SpecError`` for one of both kinds."""
    steps = [p.name for p in network.populations if isinstance(p.cell, Unit)]
    spikes = [p.name for p in network.populations if not isinstance(p.cell, Unit)]
    if steps and spikes:
        raise SpecError(
            f"Network: {listing(spikes)} of spiking cells together with {listing(steps)} of units that are updated once a step; expected one kind."
        )
    return not steps


def check_matrix_memory(memory: MemoryModel) -> MemoryModel:
    """Return ``memory``, or raise ``SpecError`` naming object, value, expectation, place and remedy."""
    network, name = memory.network, memory.name
    check_names("population", [p.name for p in network.populations])
    if memory.update is None:
        raise SpecError(f"{name}: update is missing; a memory without spikes needs one, such as Update('synchronous', max_steps=100).")
    if len(network.projections) != 1 or network.projections[0].plasticity is None:
        raise SpecError(
            f"{name}: {len(network.projections)} projections, {sum(p.plasticity is not None for p in network.projections)} of them plastic; "
            "expected one, plastic: a memory without spikes has one table of weights."
        )
    if network.stimuli or network.probes:
        raise SpecError(f"{name}: stimuli or probes on units without spikes; expected none: patterns are given to store and recall.")
    pre, post = ends(network)
    for population in network.populations:
        groups = getattr(population.cell, "groups", 1)
        if population.size % groups:
            raise SpecError(f"{name}: {population.name!r} of {population.size} units in {groups} groups; expected groups of equal size.")
        if isinstance(population.cell, KWinners) and population.cell.k > population.size:
            raise SpecError(
                f"{name}: {population.name!r} of {population.size} units, k = {population.cell.k}; expected k at most {population.size}."
            )
    _check_rule(name, network.projections[0], pre, post)
    _check_wiring(name, network.projections[0], pre, post)
    rule = network.projections[0].plasticity
    visits = pre == post and isinstance(post.cell, Sign) and not getattr(rule, "lag", 0) and not isinstance(rule, OneUnitPerPattern)
    if memory.update.order == "asynchronous" and not visits:
        raise SpecError(
            f"{name}: asynchronous updates of {type(post.cell).__name__} units with {type(rule).__name__}; expected Sign units that feed back "
            "their own patterns by a table of weights, or 'synchronous'."
        )
    roles = {"content"} if pre == post else {"cue", "content"}
    if {role.name for role in memory.roles} != roles:
        raise SpecError(f"{name}: roles {listing(r.name for r in memory.roles) or 'none'}; expected {listing(roles)}.")
    for role in memory.roles:
        population = post if role.name == "content" else pre
        for view in (role.input, role.readout):
            if (view.population, view.start, view.stop) != (population.name, 0, population.size):
                raise SpecError(
                    f"{name}: role {role.name!r} is units {view.start}:{view.stop} of {view.population!r}; expected all of {population.name!r}."
                )
    return memory


def ends(network: Network) -> tuple[Population, Population]:
    """Return the pre and post population of the one projection."""
    projection = network.projections[0]
    for side in (projection.pre, projection.post):
        if not isinstance(side, str):
            raise SpecError(
                f"Projection {projection.name!r}: a view of {side.population!r}; expected whole populations in a memory without spikes."
            )
    return network.population(str(projection.pre)), network.population(str(projection.post))


def _check_rule(name: str, projection: Projection, pre: Population, post: Population) -> None:
    rule = projection.plasticity
    if type(rule) not in _FITS:
        raise SpecError(
            f"{name}: rule {type(rule).__name__} on units without spikes; expected one of {listing(kind.__name__ for kind in _FITS)}."
        )
    cells, alphabets, recurrent_only = _FITS[type(rule)]
    kind, alphabet = type(rule).__name__, pre.cell.alphabet  # type: ignore[attr-defined]
    if isinstance(post.cell, PatternSource) or not isinstance(post.cell, cells):
        raise SpecError(f"{name}: {kind} onto {type(post.cell).__name__} units; expected {' or '.join(cell.__name__ for cell in cells)}.")
    if alphabet not in alphabets or (isinstance(post.cell, Sign | KWinners | Threshold) and alphabet != post.cell.alphabet):
        raise SpecError(f"{name}: {kind} from {alphabet} to {post.cell.alphabet} units; expected one alphabet, {' or '.join(alphabets)}.")
    if recurrent_only and pre != post:
        raise SpecError(f"{name}: {kind} from {pre.name!r} to {post.name!r}; expected a recurrent projection.")
    if getattr(rule, "lag", 0) and pre != post:
        raise SpecError(f"{name}: {kind} with lag = 1 from {pre.name!r} to {post.name!r}; expected a recurrent projection.")
    if isinstance(rule, OneUnitPerPattern) and isinstance(post.cell, Linear) and not isinstance(rule.hidden, Softmax):
        raise SpecError(f"{name}: {type(rule.hidden).__name__} hidden units with Linear ones; expected Softmax, or Sign units.")
    if isinstance(rule, OneUnitPerPattern) and isinstance(rule.hidden, Polynomial) and rule.hidden.power * math.log10(post.size + 2) > 300:
        raise SpecError(
            f"{name}: overlaps of {post.size} units to the power {rule.hidden.power}; expected a power of at most "
            f"{int(300 / math.log10(post.size + 2))}, or the numbers overflow."
        )


def _check_wiring(name: str, projection: Projection, pre: Population, post: Population) -> None:
    connector = projection.connector
    if isinstance(connector, OtherGroupsConnector):
        if connector.groups != getattr(post.cell, "groups", 1) or connector.groups < 2 or pre != post:
            raise SpecError(
                f"{name}: OtherGroupsConnector of {connector.groups} groups onto {post.name!r} of {getattr(post.cell, 'groups', 1)}; expected equal numbers, at least 2, and a recurrent projection."
            )
    elif not isinstance(connector, AllToAllConnector):
        raise SpecError(
            f"{name}: {type(connector).__name__} in a memory without spikes; expected AllToAllConnector or OtherGroupsConnector: its table is a matrix."
        )
    rule, recurrent = projection.plasticity, pre == post
    complete = isinstance(connector, AllToAllConnector) and (connector.allow_self_connections or not recurrent)
    if isinstance(rule, Storkey) and complete:
        raise SpecError(
            f"{name}: Storkey with self-connections; expected AllToAllConnector(allow_self_connections=False): it defines none."
        )
    if isinstance(rule, OneUnitPerPattern | OuterProductRule) and not complete:
        raise SpecError(f"{name}: {type(rule).__name__} without some of the connections; expected AllToAllConnector().")
