"""Networks that are written twice from the same lists: as a PyNN script, and as an integer model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from integer_model import Cell, IntegerModel, Rule

from neuromem.hardware_targets.spinnaker.machine import Synapses

RECEPTORS = ("excitatory", "inhibitory")
Connection = tuple[int, int, float, int]


@dataclass
class Projection:
    """(pre unit, post unit, weight in nA, delay in ms) between two populations."""

    pre: str
    post: str
    synapses: list[Connection]
    receptor: int = 0
    rule: Rule | None = None


@dataclass
class Net:
    """Sources by size, cells by (size, parameters); ``per_core`` of both kinds where it is not the default."""

    sources: dict[str, int]
    cells: dict[str, tuple[int, Cell]]
    projections: list[Projection]
    n_ticks: int
    per_core: dict[str, int] = field(default_factory=dict)
    record_some: list[int] | None = None
    options: str = ""
    dt: float = 1.0

    def script(self) -> str:
        """The PyNN script that maps it."""
        lines = ["import pyNN.spiNNaker as sim", f"sim.setup(timestep={self.dt})"]
        per_core = {n: f", neurons_per_core={k}" for n, k in self.per_core.items()}
        for name, size in self.sources.items():
            lines.append(f"{name} = sim.Population({size}, sim.SpikeSourceArray([[1.0]] * {size}), label={name!r}{per_core.get(name, '')})")
        for name, (size, cell) in self.cells.items():
            lines.append(
                f"{name} = sim.Population({size}, sim.IF_curr_exp(**{asdict(cell)}), label={name!r}{per_core.get(name, '')}{self.options})"
            )
            if self.record_some is None:
                lines.append(f"{name}.record(['v', 'gsyn_exc', 'gsyn_inh', 'spikes', 'packets-per-timestep'])")
            else:
                lines.append(f"{name}.record('spikes'); {name}[{self.record_some}].record('v')")
        for p in self.projections:
            connections = [(i, j, abs(w) * (-1 if p.receptor and p.rule is None else 1), d * self.dt) for i, j, w, d in p.synapses]
            synapse = "sim.StaticSynapse()"
            if p.rule is not None:
                r = p.rule
                synapse = (
                    f"sim.STDPMechanism(sim.SpikePairRule({r.tau_plus}, {r.tau_minus}, {r.A_plus}, {r.A_minus}), "
                    f"sim.AdditiveWeightDependence({r.w_min}, {r.w_max}), weight=1.0)"
                )
            lines.append(
                f"sim.Projection({p.pre}, {p.post}, sim.FromListConnector({connections!r}), {synapse}, "
                f"receptor_type={RECEPTORS[p.receptor]!r})"
            )
        return "\n".join([*lines, f"sim.run({self.n_ticks * self.dt})", ""])

    def model(self, synapses: dict[str, Synapses], populations: list[str]) -> IntegerModel:
        """The integer model, with the shifts and ring depths that the mapping chose, and its order of populations."""
        sizes = {**self.sources, **{n: size for n, (size, _) in self.cells.items()}}
        model = IntegerModel(
            self.dt,
            {name: sizes[name] for name in populations},
            {name: self.cells[name][1] if name in self.cells else None for name in populations},
            {name: (s.shifts[0], s.shifts[1]) for name, s in synapses.items()},
            {name: s.ring_depth for name, s in synapses.items()},
        )
        for p in self.projections:
            model.connect(p.pre, p.post, p.receptor, p.synapses, p.rule)
        return model
