"""The first witness: what sPyNNaker's mapping made of an export, read back and compared with what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.hardware_targets.spinnaker.machine.mapping import CorePlan, MappedNetwork
from neuromem.hardware_targets.spinnaker.machine.router import Router
from neuromem.hardware_targets.spinnaker.machine.synaptic_matrix import Synapses, has_synapses, join, read_core


@dataclass(frozen=True)
class Comparison:
    """One thing that was compared: how many values, and the first difference in words, or an empty string."""

    what: str
    values: int
    difference: str = ""

    @property
    def equal(self) -> bool:
        """Whether all values are equal."""
        return not self.difference


class _Regions:
    """The regions of one core as the mapping wrote them, each at addresses of its own; beyond what was written there are zeros."""

    def __init__(self, plan: CorePlan) -> None:
        self.addresses = {number: number << 32 for number in plan.regions}
        self._regions = plan.regions

    def read(self, address: int, n_bytes: int) -> bytes:
        content, offset = self._regions[address >> 32].content, address & 0xFFFFFFFF
        return content[offset : offset + n_bytes].ljust(n_bytes, b"\0")


def mapped_synapses(network: MappedNetwork) -> dict[str, Synapses]:
    """Return the synapses onto every population, decoded from the memory images of its cores."""
    found = {}
    for population in network.populations:
        parts = []
        for piece in population.slices:
            plan = network.core(piece.core)
            if has_synapses(plan):
                regions = _Regions(plan)
                parts.append(read_core(network, plan, regions, regions.addresses))
        if parts:
            found[population.name] = join(parts)
    return found


def compare_mapping(fitted: Fitted, network: MappedNetwork) -> list[Comparison]:
    """Return the comparison of cores, shifts, ring depths, every synapse, and reachability; where cores differ, of these only."""
    compared = [compare_cores(fitted, network)]
    if not compared[0].equal:
        return compared
    synapses = mapped_synapses(network)
    for p in fitted.program.populations:
        if not p.is_source:
            compared += compare_synapses(fitted, network, p.name, synapses.get(p.name))
    return [*compared, compare_routes(fitted, network)]


def compare_cores(fitted: Fitted, network: MappedNetwork) -> Comparison:
    """Compare which neurons share a core."""
    ours, theirs = {}, {p.name: [(s.low, s.high) for s in p.slices] for p in network.populations}
    for q in fitted.placements:
        ours[q.name] = [(low, min(low + q.neurons_per_core, q.size)) for low in range(0, q.size, q.neurons_per_core)]
    wrong = next((name for name in ours if ours[name] != theirs.get(name)), "")
    difference = f"population {wrong!r}: cores of {ours[wrong]} fitted, {theirs.get(wrong)} mapped" if wrong else ""
    return Comparison("neurons of each core", sum(len(slices) for slices in ours.values()), difference)


def expected_synapses(fitted: Fitted, population: str, places: Mapping[str, int]) -> np.ndarray:
    """Return the fitted synapses onto a population as sorted rows (source, pre, post, receptor, weight, delay, plastic)."""
    program = fitted.program
    rows = [np.empty((0, 7), np.int64)]
    for p in program.projections:
        if p.post_name == population and p.n_synapses:
            n = p.n_synapses
            pre, post = program.population(p.pre_name), program.population(p.post_name)
            columns = (
                np.full(n, places[p.pre_name]), p.pre - pre.first, p.post - post.first, np.full(n, int(p.receptor == "inhibitory")),
                fitted.words[p.name], p.delay, np.full(n, int(p.plasticity is not None)),
            )  # fmt: skip
            rows.append(np.stack(columns, axis=1))
    return sorted_rows(np.concatenate(rows))


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows in lexical order."""
    return rows[np.lexsort(rows.T[::-1])]


def compare_synapses(fitted: Fitted, network: MappedNetwork, population: str, mapped: Synapses | None) -> list[Comparison]:
    """Compare shifts, ring depth and every synapse onto a population."""
    q = fitted.placement(population)
    places = {p.name: i for i, p in enumerate(network.populations)}
    ours = expected_synapses(fitted, population, places)
    theirs = np.empty((0, 7), np.int64)
    compared = []
    if mapped is not None:
        columns = (mapped.pre_population, mapped.pre, mapped.post, mapped.receptor, mapped.weight, mapped.delay, mapped.plastic)
        theirs = sorted_rows(np.stack([c.astype(np.int64) for c in columns], axis=1))
        if len(ours):
            fit, found = (*q.shifts, q.ring_depth), (*mapped.shifts, mapped.ring_depth)
            compared.append(Comparison(f"{population}: shifts and ring depth", 3, "" if fit == found else f"{fit} fitted, {found} mapped"))
    difference = ""
    if not np.array_equal(ours, theirs):
        a, b = {tuple(row) for row in ours.tolist()}, {tuple(row) for row in theirs.tolist()}
        source, pre, post, receptor, weight, delay, _ = min(a ^ b) if a != b else ours[0].tolist()
        difference = (
            f"{len(ours)} fitted, {len(theirs)} mapped, {len(a - b)} missing, {len(b - a)} not expected; first from "
            f"{network.populations[source].name}[{pre}] to [{post}], receptor {receptor}, weight {weight}, delay {delay}"
        )
    return [*compared, Comparison(f"{population}: synapses (from, to, receptor, weight, delay, rule)", 7 * len(ours), difference)]


def compare_routes(fitted: Fitted, network: MappedNetwork) -> Comparison:
    """Follow a spike of every core, and of the core that delays its spikes, through the routers: it must reach every core on which it has a synapse."""
    router = Router(network)
    program = fitted.program
    names = {p.name: p for p in network.populations}
    wanted: set[tuple[str, int, str, int, bool]] = set()
    for p in program.projections:
        if p.n_synapses:
            pre, post = fitted.placement(p.pre_name), fitted.placement(p.post_name)
            held = p.delay > post.ring_depth
            cores = np.stack(
                [
                    (p.pre - program.population(p.pre_name).first) // pre.neurons_per_core,
                    (p.post - program.population(p.post_name).first) // post.neurons_per_core,
                    held,
                ],
                axis=1,
            )
            wanted |= {(p.pre_name, a, p.post_name, b, bool(is_late)) for a, b, is_late in np.unique(cores, axis=0).tolist()}
    difference = ""
    for pre_name, a, post_name, b, late in sorted(wanted):
        piece = names[pre_name].slices[a]
        # a late spike comes from the core that delays those of this one
        delaying = (c for c in network.cores if c.is_delay and (c.population, c.low) == (pre_name, piece.low))
        plan = next(delaying, None) if late else network.core(piece.core)
        target = names[post_name].slices[b].core
        if plan is None or plan.first_key is None or target not in router.route(plan.first_key)[1]:
            difference = f"{'late ' * late}spikes of {pre_name}, core {a}, do not reach {post_name}, core {b}"
            break
    return Comparison("routes: cores that spikes must reach", len(wanted), difference)
