"""What a SpiNNaker board can hold: every limit once, with its unit and source, read from ``limits.toml``."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from neuromem.errors import SpecError, listing, nearest


@dataclass(frozen=True)
class Limit:
    """One limit: ``value`` in ``unit``, and where it comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Board:
    """A kind of board, with its limits by their names in ``limits.toml``, such as ``core.dtcm``."""

    name: str
    title: str
    limits: dict[str, Limit]

    def __getitem__(self, name: str) -> int:
        """Return a limit that is a whole number."""
        return int(self.limits[name].value)

    def real(self, name: str) -> float:
        """Return a limit that need not be whole."""
        return float(self.limits[name].value)

    @property
    def application_cores(self) -> int:
        """Cores left for populations on one board: all but those of the system on each chip, and the board's own."""
        return self["board.cores"] - self["board.chips"] * self["chip.system_cores"] - self["chip.gatherer_cores"]


@functools.cache
def boards() -> dict[str, Board]:
    """Return the kinds of boards, by name."""
    tables = tomllib.loads(resources.files(__package__).joinpath("limits.toml").read_text(encoding="utf-8"))
    shared = {f"{group}.{name}": Limit(**limit) for group in ("chip", "core", "numbers", "time") for name, limit in tables[group].items()}
    found = {}
    for name in ("spinn3", "spinn5"):
        own = {f"board.{key}": Limit(**limit) for key, limit in tables[name].items() if key != "title"}
        found[name] = Board(name, tables[name]["title"], own | shared)
    return found


def board_named(name: str) -> Board:
    """Return the board called ``name``; raise ``SpecError`` with the valid names otherwise."""
    known = boards()
    if name not in known:
        raise SpecError(f"board {name!r}; expected one of {listing(known)}{nearest(name, known)}.")
    return known[name]
