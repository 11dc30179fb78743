"""What sPyNNaker's mapping left on disk, as values: cores with the bytes of their regions, populations, routes.

Three files of the folder ``run_1`` of its reports are read: ``ds.sqlite3`` (cores and regions),
``json_files/placements.json`` (which core holds which neurons) and ``json_files/routing_tables.json``. The reports that
keep them are ``keep_dataspec_database``, ``write_json_placements``, ``write_json_routing_tables`` and
``keep_json_files`` of the section ``[Reports]``.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from neuromem.errors import FileError, UnsupportedError, listing
from neuromem.hardware_targets.spinnaker.machine.image import binary_name

SOURCE_BINARY: Final = "reverse_iptag_multicast_source"
DELAY_BINARY: Final = "delay_extension"
UNDERSTOOD: Final = ("IF_curr_exp", "IF_curr_exp_stdp_mad_pair_additive", SOURCE_BINARY, DELAY_BINARY)
"""Binaries whose regions and recordings are known here; the first two have been compared with an integer model in every bit."""

# Regions that the mapping itself must look into
REGION_SYSTEM: Final = 0
REGION_CORE_PARAMETERS: Final = 1
_LABEL = re.compile(r"(?P<name>.*)\((?P<first>\d+):(?P<last>\d+)\)")
_REPORTS = (
    "expected the folder run_1 of a mapping with keep_dataspec_database, write_json_placements, write_json_routing_tables "
    "and keep_json_files = True in the section [Reports] of spynnaker.cfg"
)
_COLOUR_BITS: Final = 4
CoreId = tuple[int, int, int]
"""Chip x, chip y, core p."""


@dataclass(frozen=True)
class Region:
    """One region of a core's SDRAM: ``size`` bytes are kept, ``content`` is written there before the core starts."""

    number: int
    label: str
    size: int
    content: bytes

    def words(self) -> tuple[int, ...]:
        """Return the content as 32-bit unsigned words."""
        return tuple(int.from_bytes(self.content[i : i + 4], "little") for i in range(0, len(self.content), 4))


@dataclass(frozen=True)
class CorePlan:
    """One core: neurons ``low`` to ``high`` (exclusive) of ``population``, run by ``binary``.

    ``first_key`` is that of its first neuron (spike k of neuron i has key ``first_key + (i << colour_bits) + colour``), and None
    where nothing leaves the core. ``stages`` is above 0 for delay extensions alone, which send the spikes of the same neurons of
    ``population`` once more after every ``stage_steps`` ticks: neuron i of stage s has number ``s (high - low) + i`` there.
    ``listens_to``: the first key of the core whose spikes it delays.
    """

    id: CoreId
    label: str
    population: str
    low: int
    high: int
    binary: str
    regions: Mapping[int, Region]
    first_key: int | None
    colour_bits: int
    stages: int = 0
    stage_steps: int = 0
    listens_to: int = 0

    @property
    def is_source(self) -> bool:
        """Whether spikes are injected in its name, and no binary runs."""
        return self.binary == SOURCE_BINARY

    @property
    def is_delay(self) -> bool:
        """Whether it sends the spikes of another core once more, later."""
        return self.stages > 0

    @property
    def n_keys(self) -> int:
        """Neurons (times stages) that have a key of their own."""
        return (self.high - self.low) * max(1, self.stages)


@dataclass(frozen=True)
class Slice:
    """Neurons ``low`` to ``high`` (exclusive) of a population, on one core."""

    low: int
    high: int
    core: CoreId


@dataclass(frozen=True)
class MappedPopulation:
    """One population: its neurons in slices, in order."""

    name: str
    size: int
    is_source: bool
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Route:
    """One line of a router's table: packets with ``key & mask == key`` go to these links (0 to 5) and cores."""

    key: int
    mask: int
    links: tuple[int, ...]
    cores: tuple[int, ...]


@dataclass(frozen=True)
class MappedNetwork:
    """A mapped network.

    ``populations`` are in the order of first appearance in placements.json; packets that wait for a core together are
    sorted by this order (see ``Machine``). ``tick_us`` is the step in microseconds. ``port`` is that of run-time messages.
    ``width`` and ``height`` (chips) are where links wrap around.
    """

    folder: Path
    cores: tuple[CorePlan, ...]
    populations: tuple[MappedPopulation, ...]
    routes: Mapping[tuple[int, int], tuple[Route, ...]]
    tick_us: int
    port: int
    width: int
    height: int

    def population(self, name: str) -> MappedPopulation:
        """Return the population called ``name``."""
        return next(p for p in self.populations if p.name == name)

    def core(self, core_id: CoreId) -> CorePlan:
        """Return the core at (x, y, p)."""
        return next(c for c in self.cores if c.id == core_id)


def load_mapping(folder: Path | str) -> MappedNetwork:
    """Read a mapping from ``folder`` (``run_1``). Raises ``FileError`` for what is missing or not as expected.

    ``BackendMissingError`` if sPyNNaker, whose binaries the cores name, is not installed; ``UnsupportedError`` for a binary that the
    emulated board does not know.
    """
    folder = Path(folder)
    database = folder / "ds.sqlite3"
    placements = _read_json(folder / "json_files" / "placements.json")
    tables = _read_json(folder / "json_files" / "routing_tables.json")
    if not database.is_file():
        raise FileError(f"{database}: no such file; {_REPORTS}")
    labels = {(p["x"], p["y"], p["p"]): str(p["vertex_label"]) for p in placements}
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        regions = _read_regions(connection, database)
        size = connection.execute("SELECT width, height FROM info").fetchone() or (256, 256)
    plans = {core: _plan(core, labels.get(core), found, database) for core, found in regions.items()}
    plans = {core: _with_delayed(plan, list(plans.values()), database) for core, plan in plans.items()}
    # the order of placements.json: that of the database is by chip, and so depends on where a population landed
    ordered = tuple(plans[core] for core in labels if core in plans)
    system = ordered[0].regions[REGION_SYSTEM].words()
    return MappedNetwork(
        folder=folder,
        cores=ordered,
        populations=_populations(ordered),
        routes={(t["x"], t["y"]): tuple(_route(e) for e in t["entries"]) for t in tables},
        tick_us=system[1],
        port=system[2],
        width=size[0],
        height=size[1],
    )


def _read_json(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise FileError(f"{file}: no such file; {_REPORTS}")
    try:
        content: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(f"{file}: not JSON ({error}); {_REPORTS}") from error
    return content


def _read_regions(connection: sqlite3.Connection, database: Path) -> dict[CoreId, dict[int, Region]]:
    found: dict[CoreId, dict[int, Region]] = {}
    query = (
        "SELECT x, y, p, region_num, region_label, size, content FROM region NATURAL JOIN core "
        "WHERE is_system = 0 ORDER BY x, y, p, region_num"
    )
    try:
        rows = connection.execute(query).fetchall()
    except sqlite3.DatabaseError as error:
        raise FileError(f"{database}: not a database of data specifications ({error}); {_REPORTS}") from error
    for x, y, p, number, label, size, content in rows:
        found.setdefault((x, y, p), {})[number] = Region(number, label or "", size, bytes(content or b""))
    if not found:
        raise FileError(f"{database}: no core runs an application; expected a mapped network with at least one population")
    return found


def _plan(core: CoreId, label: str | None, regions: dict[int, Region], database: Path) -> CorePlan:
    where = f"{database}: core {core[0]},{core[1]},{core[2]}"
    binary = binary_name(regions[REGION_SYSTEM].words()[0], where)
    if binary not in UNDERSTOOD:
        raise UnsupportedError(
            f"{where} ({label}) runs {binary}, which the emulated board does not know; expected {listing(UNDERSTOOD)}: cells IF_curr_exp "
            "with static synapses or SpikePairRule and AdditiveWeightDependence, n_synapse_cores=0 where a step is below 1 ms, and "
            "SpikeSourceArray"
        )
    parameters = regions.get(REGION_CORE_PARAMETERS)
    words = parameters.words() if parameters is not None else ()
    if binary == DELAY_BINARY:
        # has key, key, key and mask that it listens to, neurons, stages, ticks of a stage, whether late spikes are dropped, colour bits
        return CorePlan(
            id=core,
            label=label or "",
            population="",
            low=0,
            high=words[4],
            binary=binary,
            regions=regions,
            first_key=words[1] if words[0] else None,
            colour_bits=words[8],
            stages=words[5],
            stage_steps=words[6],
            listens_to=words[2],
        )
    named = _LABEL.fullmatch(label or "")
    if named is None:
        raise FileError(f"{where}: placements.json calls it {label!r}; expected a label like 'name(0:99)'; {_REPORTS}")
    first_key: int | None = None
    colour_bits = _COLOUR_BITS
    if binary == SOURCE_BINARY:
        first_key = words[5] if words[4] else None
    elif parameters is not None and parameters.label == "Neuron Core Params":
        # has key, neurons, padded neurons, colour bits, receptors, a shift for each, a key for each neuron
        first_key, colour_bits = (words[5 + words[4]] if words[0] else None), words[3]
    return CorePlan(
        id=core,
        label=label or "",
        population=named["name"],
        low=int(named["first"]),
        high=int(named["last"]) + 1,
        binary=binary,
        regions=regions,
        first_key=first_key,
        colour_bits=colour_bits,
    )


def _with_delayed(plan: CorePlan, plans: Sequence[CorePlan], database: Path) -> CorePlan:
    """Return a delay extension with the population and the neurons that it delays; any other core as it is."""
    if not plan.is_delay:
        return plan
    sender = next((p for p in plans if not p.is_delay and p.first_key is not None and p.first_key == plan.listens_to), None)
    if sender is None:
        raise FileError(
            f"{database}: core {plan.id[0]},{plan.id[1]},{plan.id[2]} delays the key {plan.listens_to:#010x}, which nobody sends; "
            "make the mapping again"
        )
    return replace(plan, population=sender.population, low=sender.low, high=sender.high)


def _populations(cores: Sequence[CorePlan]) -> tuple[MappedPopulation, ...]:
    names = dict.fromkeys(core.population for core in cores if not core.is_delay)
    found = []
    for name in names:
        own = sorted((c for c in cores if c.population == name and not c.is_delay), key=lambda c: c.low)
        slices = tuple(Slice(c.low, c.high, c.id) for c in own)
        found.append(MappedPopulation(name, own[-1].high, own[0].is_source, slices))
    return tuple(found)


def _route(entry: dict[str, Any]) -> Route:
    bits = entry["spinnaker_route"]
    links = tuple(link for link in range(6) if bits >> link & 1)
    return Route(entry["key"], entry["mask"], links, tuple(core for core in range(26) if bits >> 6 + core & 1))
