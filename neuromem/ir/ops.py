"""The operations of one step, by phase; each says what it sets, adds to, reads and updates.

The phases of a step, in order: stimulus, deliver, integrate, threshold, reset, learn, send,
record. An op without ``target`` acts on all units; ``Learn`` and ``Send`` act on one projection
or on all static ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.errors import SpecError

PHASES = ("stimulus", "deliver", "integrate", "threshold", "reset", "learn", "send", "record")


@dataclass(frozen=True)
class Op:
    """One operation: within a step, signals are ``sets`` first, then ``adds``, then ``reads``, then ``updates``."""

    phase: str
    name: str
    target: str = ""
    sets: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{verb} {', '.join(names)}"
            for verb, names in (("sets", self.sets), ("adds to", self.adds), ("reads", self.reads), ("updates", self.updates))
            if names
        ]
        return f"{self.name}{f' {self.target}' if self.target else ''}: {'; '.join(parts)}"


def emit_sources() -> Op:
    """Spikes of the source units whose event is due."""
    return Op("stimulus", "emit_sources", sets=("spikes[source]",), reads=("schedule",))


def deliver() -> Op:
    """Add what arrives in this step to the synaptic currents, scaled as the integrator says."""
    return Op("deliver", "deliver", adds=("isyn_exc", "isyn_inh"), updates=("arriving",))


def integrate() -> Op:
    """Move the membrane of cells that are not refractory over one step, then decay the currents."""
    return Op("integrate", "integrate", reads=("refractory_until",), updates=("v", "isyn_exc", "isyn_inh"))


def threshold() -> Op:
    """A cell with ``v >= v_thresh`` spikes in this step."""
    return Op("threshold", "threshold", sets=("spikes[neuron]",), reads=("v",))


def reset() -> Op:
    """Set the membrane of cells that spiked to ``v_reset`` and begin their refractory steps."""
    return Op("reset", "reset", reads=("spikes[neuron]",), updates=("v", "refractory_until"))


def learn(projection: str) -> Op:
    """Apply post arrivals, then pre spikes, to the weights and traces of one plastic projection."""
    return Op(
        "learn", "learn", projection, reads=("spikes", "schedule.plastic"), updates=(f"weight[{projection}]", f"traces[{projection}]")
    )


def send(target: str) -> Op:
    """Put the spikes of this step into the delay lines, with the weights as they are now."""
    return Op("send", "send", target, adds=("arriving",), reads=("spikes", f"weight[{target}]"))


def record(population: str, variable: str) -> Op:
    """Keep one variable of one population."""
    return Op("record", "record", f"{population}.{variable}", reads=("spikes" if variable == "spikes" else variable,))


def check_ops(ops: tuple[Op, ...]) -> None:
    """Raise ``SpecError`` when two ops of one phase set or update the same signal, or a phase is unknown."""
    writer: dict[tuple[str, str], Op] = {}
    for op in ops:
        if op.phase not in PHASES:
            raise SpecError(f"Op {op.name!r}: phase {op.phase!r}; expected one of {', '.join(PHASES)}.")
        for signal in op.sets + op.updates:
            other = writer.setdefault((op.phase, signal), op)
            if other is not op:
                raise SpecError(
                    f"Phase {op.phase!r}: {other.name} {other.target} and {op.name} {op.target} both write {signal!r}; expected one writer in a phase."
                )
