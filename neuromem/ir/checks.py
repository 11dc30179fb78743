"""``check``: is this network one that can be lowered?"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError, listing, nearest
from neuromem.quantities import check_number, steps_of
from neuromem.spec.cells import SpikeSourceArray
from neuromem.spec.connectors import FromListConnector
from neuromem.spec.distributions import RandomDistribution
from neuromem.spec.network import Network, Projection
from neuromem.spec.plasticity import STDP
from neuromem.spec.population import Population, View
from neuromem.spec.units import Unit

MOST_UNITS = MOST_SYNAPSES = 2**31
MOST_DELAY = 10**6  # steps
SYNAPSE_BYTES = 32  # pre, post, delay and weight, 8 bytes each


def check(network: Network, dt: float) -> Network:
    """Return ``network``, or raise ``SpecError`` naming object, value, expectation, place and remedy."""
    check_number("dt", dt, "Network")
    if not network.populations:
        raise SpecError("Network: no populations; expected at least one.")
    check_names("population", [p.name for p in network.populations])
    check_names("projection", [p.name for p in network.projections])
    for population in network.populations:
        if isinstance(population.cell, Unit):
            raise SpecError(
                f"Population {population.name!r}: {type(population.cell).__name__} units in a network of spikes; expected spiking cells (a network of such units is part of a MemoryModel with an update)."
            )
        if population.size > MOST_UNITS:
            raise SpecError(f"Population {population.name!r}: size = {population.size}; expected at most {MOST_UNITS} cells.")
    sizes = {p.name: p for p in network.populations}
    for projection in network.projections:
        _check_projection(projection, sizes, dt)
    for stimulus in network.stimuli:
        population = _find(stimulus.population, sizes, f"Stimulus of {stimulus.population!r}")
        owner = f"Stimulus of {stimulus.population!r}"
        if not isinstance(population.cell, SpikeSourceArray):
            raise SpecError(f"{owner}: its cells are {type(population.cell).__name__}; expected SpikeSourceArray.")
        bad = (stimulus.units < 0) | (stimulus.units >= population.size)
        if np.any(bad):
            raise SpecError(f"{owner}: unit {stimulus.units[bad][0]}; expected unit numbers from 0 to {population.size - 1}.")
        for time in np.unique(stimulus.times):
            steps_of(float(time), dt, "time", owner)
    for probe in network.probes:
        if network.probes.count(probe) > 1:
            raise SpecError(
                f"Probe of {probe.population!r}: {network.probes.count(probe)} probes of its {probe.variable}; expected one probe of a variable."
            )
        population = _find(probe.population, sizes, f"Probe of {probe.population!r}")
        if probe.variable != "spikes" and probe.variable not in population.cell.state:
            raise SpecError(
                f"Probe of {probe.population!r}: variable = {probe.variable!r}; {type(population.cell).__name__} has {listing(('spikes', *population.cell.state))}."
            )
    return network


def check_names(kind: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"Network: {names.count(twice[0])} {kind}s are called {twice[0]!r}; expected distinct names (give name=...).")


def check_longest(delay: int, dt: float, owner: str) -> None:
    """Raise ``SpecError`` when a delay (steps) is longer than any engine can hold spikes back."""
    if delay > MOST_DELAY:
        raise SpecError(f"{owner}: delay = {delay * dt:g} ms is {delay} steps of {dt:g} ms; expected at most {MOST_DELAY} steps.")


def _find(name: str, populations: dict[str, Population], owner: str) -> Population:
    if name not in populations:
        raise SpecError(f"{owner}: no population {name!r}; the network has {listing(populations)}{nearest(name, populations)}.")
    return populations[name]


def _check_projection(projection: Projection, populations: dict[str, Population], dt: float) -> None:
    owner = f"Projection {projection.name!r}"
    sizes = []
    for end in (projection.pre, projection.post):
        population = _find(end.population if isinstance(end, View) else end, populations, owner)
        if isinstance(end, View) and end.stop > population.size:
            raise SpecError(f"{owner}: units {end.start}:{end.stop} of {population.name!r}; expected at most {population.size}, its size.")
        sizes.append(int(end.size if isinstance(end, View) else population.size))
    post = populations[projection.post.population if isinstance(projection.post, View) else projection.post]
    if not post.cell.state:
        raise SpecError(
            f"{owner}: post {post.name!r} is a {type(post.cell).__name__}; expected cells that receive synapses, such as IFCurrExp."
        )
    synapses = projection.connector.estimate(*sizes)
    if synapses > MOST_SYNAPSES:
        raise SpecError(
            f"{owner}: {type(projection.connector).__name__} from {sizes[0]} units to {sizes[1]} makes {synapses} synapses, {synapses * SYNAPSE_BYTES / 2**30:.3g} GiB; expected at most {MOST_SYNAPSES} ({MOST_SYNAPSES * SYNAPSE_BYTES >> 30} GiB): connect fewer units, or fewer of their pairs."
        )
    delay, weight = projection.synapse.delay, projection.synapse.weight
    if isinstance(projection.connector, FromListConnector) and projection.connector.conn_list.shape[1] == 4:
        weight, delay = projection.connector.conn_list[:, 2], projection.connector.conn_list[:, 3]  # they replace the synapse's
    if not isinstance(delay, RandomDistribution):
        for value in np.unique(np.asarray(delay)):
            check_longest(steps_of(float(value), dt, "delay", owner, minimum=1), dt, owner)
    if projection.plasticity is not None and not isinstance(weight, RandomDistribution):
        if not isinstance(projection.plasticity, STDP):
            raise SpecError(f"{owner}: plasticity = {projection.plasticity!r} between spiking cells; expected STDP(...) or None.")
        rule = projection.plasticity.weight_dependence
        values = np.asarray(weight)
        if np.any(values < rule.w_min) or np.any(values > rule.w_max):
            bad = values[(values < rule.w_min) | (values > rule.w_max)].ravel()[0]
            raise SpecError(f"{owner}: initial weight = {bad:g} nA; expected between w_min = {rule.w_min:g} and w_max = {rule.w_max:g} nA.")
