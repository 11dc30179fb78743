"""All scenarios."""

from __future__ import annotations

from scenario import TENTH, WHOLE, Group, Scenario
from scenarios_cells import CELLS
from scenarios_plasticity import PLASTICITY
from scenarios_synapses import SYNAPSES

SCENARIOS: tuple[Scenario, ...] = (*CELLS, *SYNAPSES, *PLASTICITY)
GROUPS: dict[Group, tuple[Scenario, ...]] = {g: tuple(s for s in SCENARIOS if s.group is g) for g in (WHOLE, TENTH)}
