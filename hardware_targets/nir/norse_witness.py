"""An independent reader of our NIR exports: Norse (doi:10.5281/zenodo.4422025), spike for spike.

``pip install norse nir``, then ``python -m neuromem.hardware_targets.nir.norse_witness``. Small networks are exported, written, read by
Norse, and run; the same file is read in forward Euler steps (``euler``), whose spikes ``tests/test_nir.py`` compares with our engines.
The exit status is 0 only if every network spikes and all spikes are equal.

What is compared is what Norse 1.1.0 reads: one Input, CubaLIF, Linear, and loops. Its steps are Euler's, so that the ``euler`` constants
make the steps of our integrators, exact and spinnaker. Two things shift time, and are undone here: an edge of ours takes one step, while
Norse passes a spike of the Input, or of a cell that it has computed already, on within the step. So inputs are given one step later, and a
second layer's spikes come one step earlier. Loops of one population take one step in both. Loops of several would take no step on some
edges, by the order in which Norse happens to compute them (depth first), and two matrices between one pair of layers would be a step
apart; they are not compared. Norse reads no ``Delay`` (wrong spikes, no error) and no ``LI`` (a KeyError), takes no notice of v_reset,
adds v_leak to synaptic currents, and computes in float32: compared are delays of one step, one tau_syn, v_reset = v_rest, and no offset
currents.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.errors import BackendMissingError
from neuromem.hardware_targets.nir.constants import MS
from neuromem.hardware_targets.nir.euler import euler_spikes
from neuromem.hardware_targets.nir.export import nir_graph
from neuromem.hardware_targets.nir.files import file_content, read_graph
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.spec.cells import IFCurrExp, SpikeSourcePoisson
from neuromem.spec.connectors import AllToAllConnector, Connector, FixedProbabilityConnector
from neuromem.spec.distributions import RandomDistribution
from neuromem.spec.network import Network, Probe, Projection, Receptor
from neuromem.spec.population import Population
from neuromem.spec.synapses import StaticSynapse

CELLS = {
    "exact": IFCurrExp(tau_m=20.0, cm=1.0, v_thresh=-55.0, tau_refrac=0.0, tau_syn_E=5.0, tau_syn_I=5.0),
    "spinnaker": IFCurrExp(tau_m=20.0, cm=1.0, v_thresh=-55.0, tau_refrac=0.0, tau_syn_E=5.0, tau_syn_I=5.0, integrator="spinnaker"),
    # the cell of the CA3 memory but for its refractory period: a step of 1 ms is longer than tau_syn
    "ca3": IFCurrExp(
        tau_m=3.0,
        cm=0.27,
        v_rest=-60.0,
        v_reset=-60.0,
        v_thresh=-57.0,
        tau_refrac=0.0,
        tau_syn_E=0.3,
        tau_syn_I=0.3,
        integrator="spinnaker",
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A network, the population that is compared, and by how many steps Norse is early in it beyond the input's shift."""

    name: str
    program: Program
    compared: str
    early: int = 0


@dataclass(frozen=True)
class Witnessed:
    """Spikes of one case: in Euler steps, in Norse, and how many (step, cell) differ."""

    name: str
    n_cells: int
    n_steps: int
    n_inputs: int
    n_euler: int
    n_norse: int
    n_different: int

    @property
    def equal(self) -> bool:
        """Whether there were spikes, and all were equal."""
        return self.n_euler > 0 and self.n_different == 0


def cases(n_steps: int = 400) -> tuple[Case, ...]:
    """Return the networks of the comparison: one and two layers, and a recurrent population, each with exact, spinnaker and CA3 cells."""
    made = []
    for name, cell in CELLS.items():
        drive = 40.0 if name == "ca3" else 4.0  # nA: a few input spikes to a spike
        for kind in ("one layer", "two layers", "recurrent"):
            made.append(_case(f"{kind}, {name}", kind, cell, drive, n_steps))
    return tuple(made)


def _case(name: str, kind: str, cell: IFCurrExp, drive: float, n_steps: int) -> Case:
    some = FixedProbabilityConnector(0.3)

    def synapses(pre: str, post: str, size: float, connector: Connector = some, receptor: Receptor = "excitatory") -> Projection:
        weight = RandomDistribution("uniform", 0.1 * size, size)
        return Projection(pre, post, connector, StaticSynapse(weight, 1.0), receptor)

    populations = [Population("source", 20, SpikeSourcePoisson(rate=50.0)), Population("cells", 30, cell)]
    projections = [synapses("source", "cells", drive)]
    compared, early = "cells", 0
    if kind == "two layers":
        populations.append(Population("second", 30, cell))
        projections.append(synapses("cells", "second", drive / 4))
        compared, early = "second", 1
    elif kind == "recurrent":
        others = AllToAllConnector(allow_self_connections=False)
        projections += [synapses("cells", "cells", drive), synapses("cells", "cells", drive / 3, others, "inhibitory")]
    network = Network(tuple(populations), tuple(projections), probes=(Probe(compared),))
    return Case(name, lower(network, dt=1.0, n_steps=n_steps, seed=4), compared, early)


def inputs_of(program: Program, population: str) -> np.ndarray:
    """Return the spikes that a Program gives to a source, as a boolean array (n_steps, n)."""
    p, s = program.population(population), program.schedule
    mine = (s.unit >= p.first) & (s.unit < p.first + p.size)
    spikes = np.zeros((s.n_steps, p.size), dtype=bool)
    spikes[s.step[mine], s.unit[mine] - p.first] = True
    return spikes


def witness(case: Case) -> Witnessed:
    """Return what Norse makes of a case beside the Euler reading; raise ``BackendMissingError`` without Norse."""
    program, n_steps = case.program, case.program.n_steps
    inputs = inputs_of(program, "source")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nir"
        path.write_bytes(file_content(nir_graph(program)[0]))
        expected = euler_spikes(read_graph(path), {"source": inputs}, program.dt, n_steps)[case.compared]
        found = norse_spikes(read_graph(path), np.roll(inputs, 1, axis=0) * (np.arange(n_steps) > 0)[:, None], program.dt)
    early = case.early
    different = int(np.sum(expected[early:] != found[: n_steps - early]))
    n_norse = int(found[: n_steps - early].sum())
    return Witnessed(case.name, program.cells.n, n_steps, int(inputs.sum()), int(expected[early:].sum()), n_norse, different)


def norse_spikes(graph: Any, inputs: np.ndarray, dt: float) -> np.ndarray:
    """Return what Norse sends to the Output node of a graph, as a boolean array (n_steps, n), given ``inputs`` (n_steps, n_in)."""
    try:
        norse, torch = importlib.import_module("norse.torch"), importlib.import_module("torch")
    except ImportError as error:
        raise BackendMissingError(f"witness 'norse': Norse cannot be imported ({error}); type: pip install norse nir") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NIRTorch says that the function by which Norse calls it will go
        network = norse.from_nir(graph, ignore_warnings=True, dt=dt * MS)
    state, spikes = None, []
    with torch.no_grad():
        for row in torch.from_numpy(inputs.astype(np.float32)):
            sent, state = network(row, state)
            spikes.append(sent.numpy().copy())
    found: np.ndarray = np.array(spikes) > 0.5
    return found


def main() -> int:
    """Print what was compared; return 0 only if all is equal."""
    try:
        results = [witness(case) for case in cases()]
    except BackendMissingError as error:
        print(error, file=sys.stderr)
        return 1
    print("network                   cells  steps  inputs  spikes in Euler steps  in Norse  different")
    for r in results:
        print(f"{r.name:<25} {r.n_cells:>5} {r.n_steps:>6} {r.n_inputs:>7} {r.n_euler:>22} {r.n_norse:>9} {r.n_different:>10}")
    equal = sum(r.equal for r in results)
    print(f"{equal} of {len(results)} networks equal in every spike, {sum(r.n_euler for r in results)} spikes")
    return 0 if equal == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
