"""``check_memory``: does a memory's description of itself fit its network?"""

from __future__ import annotations

from neuromem.errors import SpecError, listing, nearest
from neuromem.ir.checks import check
from neuromem.spec.cells import SpikeSourceArray
from neuromem.spec.memory import MemoryModel
from neuromem.spec.population import View


def check_memory(memory: MemoryModel) -> MemoryModel:
    """Return ``memory``, or raise ``SpecError`` for its network, a role, a form or a gap that does not fit."""
    check(memory.network, memory.dt)
    if memory.update is not None:
        raise SpecError(f"{memory.name}: update = {memory.update!r} with a spiking network; expected None: its operations have forms.")
    if memory.ideal is None:
        raise SpecError(f"{memory.name}: ideal is missing; expected what a perfect memory answers, such as AddressTable.")
    probed = {p.population for p in memory.network.probes if p.variable == "spikes"}
    for role in memory.roles:
        _check_view(memory, f"{memory.name}: input of role {role.name!r}", role.input)
        _check_view(memory, f"{memory.name}: readout of role {role.name!r}", role.readout)
        cell = memory.network.population(role.input.population).cell
        if not isinstance(cell, SpikeSourceArray):
            raise SpecError(
                f"{memory.name}: input of role {role.name!r} is {role.input.population!r}, whose cells are {type(cell).__name__}; expected SpikeSourceArray."
            )
        if role.readout.population not in probed:
            name = role.readout.population
            raise SpecError(f"{memory.name}: role {role.name!r} is read from {name!r}, whose spikes are not recorded; add Probe({name!r}).")
    roles = [role.name for role in memory.roles]
    for form in memory.forms:
        for name in (*form.given, *form.answers):
            if name not in roles:
                raise SpecError(f"{memory.name}: form {form.name!r} names the role {name!r}; the memory has {listing(roles)}.")
        for field, least in (("hold", 1), ("answer_at", 0), ("n_steps", 1)):
            if getattr(form, field) < least:
                raise SpecError(f"{memory.name}: form {form.name!r} has {field} = {getattr(form, field)}; expected at least {least}.")
    names = [*(form.name for form in memory.forms), "overwrite"]
    for pair, gap in memory.gaps.items():
        for name in pair:
            if name not in names:
                raise SpecError(
                    f"{memory.name}: gap {pair} names the form {name!r}; expected one of {listing(names)}{nearest(name, names)}."
                )
        if gap < 1:
            raise SpecError(f"{memory.name}: gap {pair} = {gap}; expected a number of steps, at least 1.")
    return memory


def _check_view(memory: MemoryModel, owner: str, view: View) -> None:
    populations = {p.name: p for p in memory.network.populations}
    if view.population not in populations:
        raise SpecError(
            f"{owner}: no population {view.population!r}; the network has {listing(populations)}{nearest(view.population, populations)}."
        )
    size = populations[view.population].size
    if view.stop > size:
        raise SpecError(f"{owner}: units {view.start}:{view.stop} of {view.population!r}; expected at most {size}, its size.")
