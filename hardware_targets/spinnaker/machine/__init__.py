"""An emulated SpiNNaker board: the released ARM binaries of sPyNNaker, unmodified, on modelled chips.

``load_mapping`` reads what sPyNNaker's mapping left on disk, ``Machine`` loads, boots and runs it::

    network = load_mapping(report_folder / "run_1")
    with Machine(network) as machine:
        machine.run(100, {"cue": (ticks, units)})
        recorded = machine.recording()

What is modelled is what the neuron, delay and expander binaries touch: the interrupt controller, timer 1, the
multicast controller, DMA, the system controller, the memories and the routers. What is not: real time, congestion of
the routers, phase offsets between cores, and cores that work as neuron/synapse pairs.

Source of the register maps, of the orders and of the layouts in memory: the binaries themselves, executed and compared
with an integer model in every bit (``tests/spinnaker``).
"""

from neuromem.hardware_targets.spinnaker.machine.mapping import CorePlan, MappedNetwork, MappedPopulation, Slice, load_mapping
from neuromem.hardware_targets.spinnaker.machine.phases import Machine
from neuromem.hardware_targets.spinnaker.machine.readout import PopulationRecording
from neuromem.hardware_targets.spinnaker.machine.synaptic_matrix import Synapses

__all__ = ["CorePlan", "Machine", "MappedNetwork", "MappedPopulation", "PopulationRecording", "Slice", "Synapses", "load_mapping"]
