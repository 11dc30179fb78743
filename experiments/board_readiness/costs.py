"""What events, cells and boards cost: measured by others, on other networks, each with its source. What is computed from it is an estimate.

SNABSuite's figures are its authors' measurements, published with Ostrau et al. (2022), "Benchmarking Neuromorphic Hardware and Its
Energy Expenditure", Front. Neurosci. 16:873935, doi:10.3389/fnins.2022.873935; the digits are those of their repository
(``hbp-unibi/SNABSuite``, ``config_energy/spinnaker_energy.json`` and ``..._spinn5.json``), which gives a standard deviation with each.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.hardware_targets.spinnaker.limits import board_named

SNABSUITE = "Ostrau et al. 2022, doi:10.3389/fnins.2022.873935, SNABSuite config_energy"


@dataclass(frozen=True)
class Cost:
    """A price with its unit, the standard deviation that its source gives (0: none given), and the source."""

    value: float
    unit: str
    deviation: float
    source: str


@dataclass(frozen=True)
class BoardCosts:
    """The prices of one kind of board.

    ``idle``: the booted board without a network; ``idle_other``: the same from another source. ``cell``: a simulated cell, whether it
    spikes or not. ``spike`` of a recorded cell, ``input_spike`` of a source, ``single`` a synaptic event of a row with one synapse (fetching
    the row is most of it), ``dense`` one of a row with many, ``plastic`` one of a plastic synapse.
    """

    board: str
    idle: Cost
    idle_other: Cost
    cell: Cost
    spike: Cost
    input_spike: Cost
    single: Cost
    dense: Cost
    plastic: Cost


def _measured(value: float, deviation: float, name: str, unit: str = "J") -> Cost:
    return Cost(value, unit, deviation, f"{SNABSUITE}, {name}")


def _of_machine(board: str) -> Cost:
    limit = board_named(board).limits["board.idle_power"]
    return Cost(limit.value, limit.unit, 0.0, limit.source)


# SNABSuite's powers are in J per ms; its boards idle are booted, without a network.
COSTS = {
    "spinn3": BoardCosts(
        "spinn3",
        idle=_measured(2.671, 0.007, "power.idle", "W"),
        idle_other=_of_machine("spinn3"),
        cell=_measured(8.96e-5, 1.1e-6, "power.idle_neurons", "W"),
        spike=_measured(1.036e-8, 2.2e-9, "energy.spike"),
        input_spike=_measured(3.316e-6, 2.1e-7, "energy.InputSpike_O2O"),
        single=_measured(9.387e-8, 6.9e-9, "energy.Transmission_O2O"),
        dense=_measured(9.595e-9, 2.7e-10, "energy.Transmission_random"),
        plastic=_measured(1.502e-7, 2.13e-7, "energy.Transmission_STDP"),
    ),
    "spinn5": BoardCosts(
        "spinn5",
        idle=_measured(23.049, 0.046, "power.idle", "W"),
        idle_other=_of_machine("spinn5"),
        cell=_measured(9.26e-5, 5.8e-6, "power.idle_neurons", "W"),
        spike=_measured(1.004e-8, 8.8e-9, "energy.spike"),
        input_spike=_measured(3.544e-6, 1.07e-6, "energy.InputSpike_O2O"),
        single=_measured(9.054e-8, 3.1e-8, "energy.Transmission_O2O"),
        dense=_measured(7.551e-9, 1.29e-9, "energy.Transmission_random"),
        plastic=_measured(1.243e-7, 1.10e-6, "energy.Transmission_STDP"),
    ),
}
