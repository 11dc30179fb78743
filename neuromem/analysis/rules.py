"""Rules, cells and connections of networks without spikes in a line, for drawings."""

from __future__ import annotations

import dataclasses
import math

from neuromem.analysis.layers import ends
from neuromem.spec.connectors import Connector
from neuromem.spec.hebbian import OneUnitPerPattern
from neuromem.spec.network import Network
from neuromem.spec.units import Unit


def rule_lines(network: Network) -> list[str]:
    """Return a line for each learned projection between units without spikes: its rule, which connections it has, and what else it needs."""
    lines = []
    for projection in network.projections:
        rule = projection.plasticity
        if rule is None or not isinstance(network.population(ends(projection)[1]).cell, Unit):
            continue
        lines.append(f"{projection.name}: {brief(rule, defaults=True)}, {wired(projection.connector)}")
        if getattr(rule, "lag", 0):
            lines.append("each pattern is associated with the one that follows it")
        if isinstance(rule, OneUnitPerPattern):
            lines.append("each stored pattern recruits one hidden unit, whose weights to and from the others are the pattern")
    return lines


def wired(connector: Connector) -> str:
    """Return in words which units are connected."""
    groups = getattr(connector, "groups", 1)
    if groups > 1:
        return f"no connections within each of {groups} groups"
    return "all connections" if getattr(connector, "allow_self_connections", True) else "no self-connections"


def brief(value: object, defaults: bool = False) -> str:
    """Return a definition by its class and what differs from its defaults, ``KWinners(k=8)``; or with ``defaults`` but those that switch nothing on."""
    if not dataclasses.is_dataclass(value):
        return str(value)
    fields = [(f, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init]
    unused = (None, False, 0, math.inf, -math.inf)
    said = [f"{f.name}={brief(own, defaults)}" for f, own in fields if (own not in unused if defaults else own != f.default)]
    return type(value).__name__ + (f"({', '.join(said)})" if said else "")
