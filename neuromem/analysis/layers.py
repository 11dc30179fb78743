"""A layered layout of a network, from its sources at the left to what they reach last at the right.

The method is Sugiyama's (doi:10.1109/TSMC.1981.4308636): edges that close a cycle are turned
round, every population goes into the layer after the last of those before it, an edge that
spans several layers gets a place in each of them so that it meets no population on its way,
and the places of a layer are ordered by the mean of their neighbours. Lengths are inches, y
grows downwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from neuromem.spec.network import Network, Projection
from neuromem.spec.population import Population, View
from neuromem.spec.units import PatternSource, Unit

SWEEPS = 12  # enough for the order to settle; the best one seen is kept
GAP = 0.16


@dataclass
class Place:
    """A population, or the way of a projection through one layer (``is_way``); ``above`` and ``below`` is the room that it takes."""

    name: str
    layer: int
    is_way: bool = False
    above: float = 0.05
    below: float = 0.05
    y: float = 0.0
    before: list[Place] = field(default_factory=list, repr=False)
    after: list[Place] = field(default_factory=list, repr=False)


def ends(projection: Projection) -> tuple[str, str]:
    """Return the names of the populations that a projection joins."""
    names = [end.population if isinstance(end, View) else end for end in (projection.pre, projection.post)]
    return names[0], names[1]


def is_source(population: Population) -> bool:
    """Whether the population's activity comes from outside."""
    cell = population.cell
    return isinstance(cell, PatternSource) if isinstance(cell, Unit) else not cell.state


def layer_numbers(network: Network) -> dict[str, int]:
    """Return the layer of every population: 0 for sources; a population without outgoing projections stands in the last."""
    import networkx as nx

    declared = {p.name: i for i, p in enumerate(network.populations)}
    graph = nx.DiGraph()
    graph.add_nodes_from(declared)
    graph.add_edges_from(e for e in map(ends, network.projections) if e[0] != e[1])
    sources = [p.name for p in network.populations if is_source(p)] or [network.populations[0].name]
    distance = nx.multi_source_dijkstra_path_length(graph, set(sources), weight=None)
    knots = nx.condensation(graph)
    first = {knot: min(declared[name] for name in knots.nodes[knot]["members"]) for knot in knots}
    order: dict[str, int] = {}
    for knot in nx.lexicographical_topological_sort(knots, key=first.__getitem__):
        for name in sorted(knots.nodes[knot]["members"], key=lambda n: (distance.get(n, len(declared)), declared[n])):
            order[name] = len(order)
    layer: dict[str, int] = {}
    for name in order:
        layer[name] = max((layer[pre] + 1 for pre in graph.predecessors(name) if order[pre] < order[name]), default=0)
    last = max(layer.values())
    return {name: last if graph.in_degree(name) and not graph.out_degree(name) else layer[name] for name in declared}


def lay_out(network: Network, room: dict[str, tuple[float, float]]) -> tuple[dict[str, Place], dict[str, list[Place]]]:
    """Return the place of every population, and the places that every projection between two populations runs through.

    ``room`` is the space above and below the middle of each population. The places of a
    projection are in the order from ``pre`` to ``post``, both included.
    """
    number = layer_numbers(network)
    populations = {p.name: Place(p.name, number[p.name], False, *room[p.name]) for p in network.populations}
    layers: list[list[Place]] = [[] for _ in range(max(number.values()) + 1)]
    for place in populations.values():
        layers[place.layer].append(place)
    routes: dict[str, list[Place]] = {}
    for projection in network.projections:
        pre, post = (populations[name] for name in ends(projection))
        if pre is post:
            continue
        low, high = (pre, post) if pre.layer <= post.layer else (post, pre)
        route = [low]
        for layer in range(low.layer + 1, high.layer):
            route.append(Place(projection.name, layer, True))
            layers[layer].append(route[-1])
        route.append(high)
        for left, right in itertools.pairwise(route):
            left.after.append(right)
            right.before.append(left)
        routes[projection.name] = route if low is pre else route[::-1]
    order_layers(layers)
    set_heights(layers)
    return populations, routes


def order_layers(layers: list[list[Place]]) -> None:
    """Order the places of each layer so that few projections cross."""
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers[1:] if forward else layers[-2::-1]:
            at = {id(place): i for other in layers for i, place in enumerate(other)}

            def mean(place: Place, at: dict[int, int] = at, forward: bool = forward) -> float:
                near = place.before if forward else place.after
                return sum(at[id(n)] for n in near) / len(near) if near else at[id(place)]

            layer.sort(key=mean)
        found = crossings(layers)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers], found
    for layer, places in zip(layers, best, strict=True):
        layer[:] = places


def crossings(layers: Sequence[Sequence[Place]]) -> int:
    """Return how many pairs of projections cross between neighbouring layers."""
    count = 0
    for left, right in itertools.pairwise(layers):
        at = {id(place): i for i, place in enumerate(right)}
        edges = [(i, at[id(n)]) for i, place in enumerate(left) for n in place.after]
        count += sum((a - c) * (b - d) < 0 for k, (a, b) in enumerate(edges) for c, d in edges[:k])
    return count


def set_heights(layers: Sequence[Sequence[Place]]) -> None:
    """Give every place its y: as near to its neighbours as the room between the places of a layer allows."""
    for layer in layers:
        stack(layer, [0.0] * len(layer))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wished = []
            for place in layer:
                near = place.before + place.after
                wished.append(sum(n.y for n in near) / len(near) if near else place.y)
            stack(layer, wished)
    top = min(place.y - place.above for layer in layers for place in layer)
    for layer in layers:
        for place in layer:
            place.y -= top


def stack(layer: Sequence[Place], wished: Sequence[float]) -> None:
    """Set the y of a layer's places to the closest to ``wished`` (least squares) that keeps their order and room."""
    offset, offsets = 0.0, []
    for i, place in enumerate(layer):
        offset += layer[i - 1].below + GAP + place.above if i else 0.0
        offsets.append(offset)
    groups: list[list[float]] = []  # runs of places that touch: [sum of wishes without offsets, number of places]
    for wish, shift in zip(wished, offsets, strict=True):
        groups.append([wish - shift, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] >= groups[-1][0] / groups[-1][1]:
            total, n = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += n
    means = [total / n for total, n in groups for _ in range(int(n))]
    for place, base, shift in zip(layer, means, offsets, strict=True):
        place.y = base + shift
