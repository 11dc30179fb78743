"""Where packets go, by the tables of the routers, and in which order those that arrive together wait for a core."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from neuromem.errors import FileError
from neuromem.hardware_targets.spinnaker.machine.mapping import CoreId, CorePlan, MappedNetwork, Route

_LINKS: Final = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
"""What each of a chip's six links adds to its (x, y)."""
Rank = tuple[int, int, int]
"""Ticks for which a delay extension held it (0: it comes from the population itself), place of its population, neuron."""


class Router:
    """The routers of all chips. A packet takes the first line of a table that matches its key; where none does, it goes
    straight on, and one that has just left its core is lost."""

    def __init__(self, network: MappedNetwork) -> None:
        self._routes: Mapping[tuple[int, int], tuple[Route, ...]] = network.routes
        self._width, self._height = network.width, network.height
        self._senders = sorted((c for c in network.cores if c.first_key is not None), key=_first_key)
        self._first_keys = [_first_key(c) for c in self._senders]
        self._places = {p.name: i for i, p in enumerate(network.populations)}
        self._network = network
        self._known: dict[int, tuple[Rank, tuple[CoreId, ...]]] = {}

    def route(self, key: int) -> tuple[Rank, tuple[CoreId, ...]]:
        """Return the rank of a packet, and the cores it goes to. Packets that wait together are sorted by rank."""
        known = self._known.get(key)
        if known is None:
            sender = self.sender(key)
            known = self._known[key] = (self._rank(sender, key), self._follow(sender.id, key))
        return known

    def sender(self, key: int) -> CorePlan:
        """Return the core that sends ``key``."""
        place = bisect_right(self._first_keys, key) - 1
        if place >= 0:
            plan = self._senders[place]
            if (key - _first_key(plan)) >> plan.colour_bits < plan.n_keys:
                return plan
        raise FileError(
            f"{self._network.folder}: no core sends packets with the key {key:#010x}; expected one of the keys of "
            f"{len(self._senders)} cores; make the mapping again"
        )

    def _rank(self, sender: CorePlan, key: int) -> Rank:
        number = (key - _first_key(sender)) >> sender.colour_bits
        size = sender.high - sender.low
        held = (number // size + 1) * sender.stage_steps if sender.is_delay else 0
        return held, self._places[sender.population], sender.low + number % size

    def _follow(self, core: CoreId, key: int) -> tuple[CoreId, ...]:
        reached: dict[CoreId, None] = {}
        # chip, and the link by which the packet left the one before
        on_their_way: list[tuple[int, int, int | None]] = [(core[0], core[1], None)]
        seen: set[tuple[int, int, int | None]] = set()
        while on_their_way:
            at = on_their_way.pop()
            if at in seen:
                continue
            seen.add(at)
            x, y, came_by = at
            route = next((r for r in self._routes.get((x, y), ()) if key & r.mask == r.key), None)
            if route is not None:
                reached.update(dict.fromkeys((x, y, p) for p in route.cores))
                links: tuple[int, ...] = route.links
            else:
                links = () if came_by is None else (came_by,)
            on_their_way += [((x + _LINKS[k][0]) % self._width, (y + _LINKS[k][1]) % self._height, k) for k in links]
        return tuple(sorted(reached))


def _first_key(plan: CorePlan) -> int:
    return plan.first_key if plan.first_key is not None else -1
