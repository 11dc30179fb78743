"""From a Program to Brian2 objects: explicit, under fixed names, with the code of every op as text.

One group holds all source units, one all neurons; all static synapses from one group are one
``Synapses``, and so are the plastic ones of one group that share a rule. The texts do not
depend on sizes, so Brian2's caches serve every network of the same kind of rules.

The step order of the Program comes from two decisions. The schedule is ``SCHEDULE``: synapses
run after resets, so learning at step t happens in Brian2's step t. Spikes are not added to the
synaptic currents but to ``arriving_*``, which the next ``groups`` slot takes in: a delay of d
steps is a Brian2 delay of d - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np

from neuromem.ir.program import Program, ProjectionTable
from neuromem.spec.plasticity import STDP, MultiplicativeWeightDependence

SCHEDULE = ["start", "groups", "thresholds", "resets", "synapses", "end"]

NO_SPIKE = -(1 << 30)  # Brian2's integers have 32 bits

NEURON_PARAMETERS = (
    "v_rest",
    "v_reset",
    "v_thresh",
    "keep",
    "gain_exc",
    "gain_inh",
    "drift",
    "scale_exc",
    "scale_inh",
    "decay_exc",
    "decay_inh",
)

NEURON_MODEL = (
    "\n".join(f"{name} : 1" for name in ("v", "isyn_exc", "isyn_inh", "arriving_exc", "arriving_inh"))
    + "\n"
    + "\n".join(f"{name} : 1 (constant)" for name in NEURON_PARAMETERS)
    + "\nrefractory_steps : integer (constant)\nrefractory_left : integer"
)

NEURON_STEP = """\
isyn_exc = isyn_exc + scale_exc * arriving_exc
isyn_inh = isyn_inh + scale_inh * arriving_inh
arriving_exc = 0
arriving_inh = 0
moved = v_rest + keep * (v - v_rest) + gain_exc * isyn_exc - gain_inh * isyn_inh + drift
v = moved * int(refractory_left == 0) + v * int(refractory_left > 0)
refractory_left = refractory_left - int(refractory_left > 0)
isyn_exc = isyn_exc * decay_exc
isyn_inh = isyn_inh * decay_inh"""

NEURON_THRESHOLD = "v >= v_thresh"

NEURON_RESET = "v = v_reset\nrefractory_left = refractory_steps"

STATIC_MODEL = "w_exc : 1 (constant)\nw_inh : 1 (constant)"
STATIC_ON_PRE = "arriving_exc_post += w_exc\narriving_inh_post += w_inh"


@dataclass(frozen=True)
class PlasticText:
    """Model and pathways of a plastic ``Synapses``; ``deliver`` is None where every delay is one step."""

    model: str
    on_post: str
    on_pre: str
    deliver: str | None


def plastic_text(rule: STDP, longest: int) -> PlasticText:
    """Return the text of a plasticity rule.

    Traces and weights follow ``neuromem.spec.plasticity``. With delays above one step, weights
    on their way are kept in ``sent_*``: ``longest`` places, written and read in turn, because
    the weight that arrives is the one that was sent, whatever has been learned meanwhile.
    """
    multiplicative = isinstance(rule.weight_dependence, MultiplicativeWeightDependence)
    up, down = ("A_plus * (w_max - {w})", "A_minus * ({w} - w_min)") if multiplicative else ("A_plus", "A_minus")
    pre_trace = "pretrace * exp(-(t_in_timesteps - prestep) * h / tau_plus)"
    post_trace = "posttrace * exp(-(t_in_timesteps - poststep) * h / tau_minus)"
    count_post = [f"posttrace = {post_trace} + 1", "poststep = t_in_timesteps"]
    count_pre = [f"pretrace = {pre_trace} + 1", "prestep = t_in_timesteps"]
    model = [
        "w : 1",
        "exc : 1 (constant)",
        "inh : 1 (constant)",
        "on : 1 (shared)",
        "pretrace : 1",
        "posttrace : 1",
        "prestep : integer",
        "poststep : integer",
    ]

    def potentiated(w: str, trace: str) -> str:
        return f"clip({w} + ({up.format(w=w)}) * ({trace}), w_min, w_max)"

    def depressed(w: str) -> str:
        return f"clip({w} - ({down.format(w=w)}) * ({post_trace}), w_min, w_max)"

    if rule.post_history is not None:
        on_post = count_post
        model.append("delay_steps : integer (constant)")
        on_pre = ["weight = w"]
        for k in reversed(range(rule.post_history)):
            arrival = f"(past_{k}_post + delay_steps)"
            met = f"int({arrival} > prestep) * int({arrival} <= t_in_timesteps)"
            trace = f"{met} * (pretrace * exp(-clip({arrival} - prestep, 0, 1073741824) * h / tau_plus))"
            on_pre.append(f"weight = {potentiated('weight', trace)}")
        known = f"int(past_{rule.post_history - 1}_post + delay_steps <= t_in_timesteps)"
        on_pre.append(f"weight = {known} * {depressed('weight')} + (1 - {known}) * weight")
        on_pre.append("w = on * weight + (1 - on) * w")
    elif rule.discipline == "deferred":
        model.append("pending : 1")
        on_post = [f"pending = {potentiated('pending', pre_trace)}", *count_post]
        on_pre = [f"w = on * {depressed('pending')} + (1 - on) * w", "pending = w"]
    else:
        on_post = [f"w = on * {potentiated('w', pre_trace)} + (1 - on) * w", *count_post]
        on_pre = [f"w = on * {depressed('w')} + (1 - on) * w"]
    on_pre += count_pre
    if longest == 1:
        deliver = None
        on_pre += ["arriving_exc_post += exc * w", "arriving_inh_post += inh * w"]
    else:
        model += [f"sent_{k} : 1" for k in range(longest)] + ["head : integer", "tail : integer"]
        on_pre += [f"sent_{k} = w * int(head == {k}) + sent_{k} * int(head != {k})" for k in range(longest)] + [
            f"head = (head + 1) % {longest}"
        ]
        arrives = " + ".join(f"sent_{k} * int(tail == {k})" for k in range(longest))
        deliver = (
            f"arrived = {arrives}\narriving_exc_post += exc * arrived\narriving_inh_post += inh * arrived\ntail = (tail + 1) % {longest}"
        )
    return PlasticText("\n".join(model), "\n".join(on_post), "\n".join(on_pre), deliver)


@dataclass(frozen=True)
class Place:
    """Where the synapses of a projection went: ``first .. first + n`` of each replica's part of the ``Synapses`` of that name."""

    synapses: str
    first: int
    n: int


@dataclass(frozen=True)
class Emission:
    """The Brian2 network and its parts; ``sources`` and ``neurons`` are None where there are none."""

    network: Any
    clock: Any
    sources: Any
    neurons: Any
    plastic: dict[str, Any]
    places: dict[str, Place]
    spike_monitors: tuple[tuple[Any, bool], ...]
    state_monitors: dict[tuple[str, str], Any]


def emit(program: Program, *, standalone: bool) -> Emission:
    """Return the Brian2 network of a Program, with replicas side by side.

    At run time (not ``standalone``) the caller writes ``sources.fire`` and ``on`` of plastic
    synapses before every step; standalone, both come from the Program's schedule.
    """
    if standalone:
        clock = b2.defaultclock  # Brian2CUDA's templates name this one, whatever clock an object has
        clock.dt = program.dt * b2.ms
    else:
        clock = b2.Clock(dt=program.dt * b2.ms, name="clock")
    sources = _sources(program, clock, standalone)
    neurons = _neurons(program, clock)
    parts = [x for x in (sources, neurons) if x is not None]
    places: dict[str, Place] = {}
    synapses: list[Any] = []
    plastic: dict[str, Any] = {}
    for is_source, group in ((True, sources), (False, neurons)):
        here = [p for p in program.projections if (p.pre_first < program.n_sources) == is_source and p.n_synapses]
        label = "sources" if is_source else "neurons"
        static = [p for p in here if p.plasticity is None]
        if static:
            synapses.append(_static(program, static, group, neurons, clock, f"static_{label}"))
        for rule in dict.fromkeys(p.plasticity for p in here if p.plasticity is not None):
            tables = [p for p in here if p.plasticity == rule]
            made = _plastic(program, rule, tables, group, neurons, clock, f"plastic_{label}_{len(plastic)}")
            _place(program, tables, made, places)
            plastic[made.name] = made
    if standalone and plastic and not program.schedule.plastic.all():
        gate = b2.TimedArray(np.append(program.schedule.plastic, 1).astype(float), dt=program.dt * b2.ms, name="gate")
        for made in plastic.values():
            made.namespace["gate"] = gate
            made.run_regularly("on = gate(t)", when="start", clock=clock, name=f"{made.name}_gate")
    spikes = tuple((b2.SpikeMonitor(group, name=f"spikes_{group.name}"), group is sources) for group in parts)
    states = {}
    for p in program.probes:
        if p.variable != "spikes":
            first = p.first - program.n_sources
            record = np.concatenate([np.arange(first, first + p.size) + r * program.cells.n for r in range(program.batch)])
            states[p.population, p.variable] = b2.StateMonitor(
                neurons, p.variable, record=record, when="end", clock=clock, name=f"state_{p.population}_{p.variable}"
            )
    network = b2.Network(*parts, *synapses, *plastic.values(), *(m for m, _ in spikes), *states.values(), name="network")
    network.schedule = SCHEDULE
    return Emission(network, clock, sources, neurons, plastic, places, spikes, states)


def _sources(program: Program, clock: Any, standalone: bool) -> Any:
    n = program.n_sources * program.batch
    if n == 0:
        return None
    if standalone:
        s = program.schedule
        index, times = s.replica * program.n_sources + s.unit, s.step * program.dt
        return b2.SpikeGeneratorGroup(n, index, times * b2.ms, clock=clock, name="sources")
    return b2.NeuronGroup(n, "fire : integer", threshold="fire == 1", reset="", namespace={}, clock=clock, name="sources")


def _neurons(program: Program, clock: Any) -> Any:
    n, batch = program.cells.n, program.batch
    if n == 0:
        return None
    remembered = max((p.plasticity.post_history or 0 for p in program.plastic if p.plasticity is not None), default=0)
    past = "".join(f"\npast_{k} : integer" for k in range(remembered))
    shift = "".join(f"\npast_{k} = past_{k - 1}" for k in reversed(range(1, remembered))) + (
        "\npast_0 = t_in_timesteps" if remembered else ""
    )
    group = b2.NeuronGroup(
        n * batch, NEURON_MODEL + past, threshold=NEURON_THRESHOLD, reset=NEURON_RESET + shift, namespace={}, clock=clock, name="neurons"
    )
    group.run_regularly(NEURON_STEP, when="groups", clock=clock, name="neurons_step")
    for name in NEURON_PARAMETERS:
        setattr(group, name, np.broadcast_to(getattr(program.coefficients, name), (batch, n)).ravel())
    group.refractory_steps = np.broadcast_to(program.coefficients.refractory, (batch, n)).ravel()
    for name, values in program.cells.initial.items():
        setattr(group, name, np.broadcast_to(values, (batch, n)).ravel())
    for k in range(remembered):
        setattr(group, f"past_{k}", NO_SPIKE)
    return group


def _ends(program: Program, tables: list[ProjectionTable]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pre and post numbers within their groups and delays, replica by replica, of the synapses of ``tables``."""
    pre, post, delay = (np.concatenate([getattr(t, k) for t in tables]) for k in ("pre", "post", "delay"))
    from_source = pre[0] < program.n_sources
    pre_size, pre = (program.n_sources, pre) if from_source else (program.cells.n, pre - program.n_sources)
    replicas = np.arange(program.batch)[:, None]
    post = post - program.n_sources
    return (pre + replicas * pre_size).ravel(), (post + replicas * program.cells.n).ravel(), np.tile(delay, program.batch)


def _per_synapse(program: Program, tables: list[ProjectionTable], values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.broadcast_to(v, (program.batch, t.n_synapses)) for v, t in zip(values, tables, strict=True)], axis=1).ravel()


def _static(program: Program, tables: list[ProjectionTable], group: Any, neurons: Any, clock: Any, name: str) -> Any:
    made = b2.Synapses(group, neurons, STATIC_MODEL, on_pre=STATIC_ON_PRE, namespace={}, clock=clock, name=name)
    pre, post, delay = _ends(program, tables)
    made.connect(i=pre, j=post)
    made.w_exc = _per_synapse(program, tables, [t.weight * (t.receptor == "excitatory") for t in tables])
    made.w_inh = _per_synapse(program, tables, [t.weight * (t.receptor == "inhibitory") for t in tables])
    made.pre.delay = (delay - 1) * program.dt * b2.ms
    return made


def _plastic(program: Program, rule: STDP, tables: list[ProjectionTable], group: Any, neurons: Any, clock: Any, name: str) -> Any:
    pre, post, delay = _ends(program, tables)
    text = plastic_text(rule, int(delay.max()))
    namespace = {
        "h": program.dt,
        "tau_plus": rule.timing.tau_plus,
        "tau_minus": rule.timing.tau_minus,
        "A_plus": rule.timing.A_plus,
        "A_minus": rule.timing.A_minus,
        "w_min": rule.weight_dependence.w_min,
        "w_max": rule.weight_dependence.w_max,
    }
    on_pre = {"pre": text.on_pre} if text.deliver is None else {"pre": text.on_pre, "deliver": text.deliver}
    made = b2.Synapses(
        group, neurons, text.model, on_pre=on_pre, on_post={"post": text.on_post}, namespace=namespace, clock=clock, name=name
    )
    made.connect(i=pre, j=post)
    made.w = _per_synapse(program, tables, [t.weight for t in tables])
    made.exc = _per_synapse(program, tables, [np.full((1, t.n_synapses), float(t.receptor == "excitatory")) for t in tables])
    made.inh = _per_synapse(program, tables, [np.full((1, t.n_synapses), float(t.receptor == "inhibitory")) for t in tables])
    made.on = 1
    if "pending" in text.model:
        made.pending = _per_synapse(program, tables, [t.weight for t in tables])
    if "delay_steps" in text.model:
        made.delay_steps = delay
    # within a slot: post arrivals, then pre spikes, then deliveries
    made.post.order, made.pre.order = -1, 0
    made.post.delay = delay * program.dt * b2.ms
    made.pre.delay = 0 * b2.ms
    if text.deliver is not None:
        made.deliver.order = 1
        made.deliver.delay = (delay - 1) * program.dt * b2.ms
    return made


def _place(program: Program, tables: list[ProjectionTable], synapses: Any, places: dict[str, Place]) -> None:
    first = 0
    for t in tables:
        places[t.name] = Place(synapses.name, first, t.n_synapses)
        first += t.n_synapses
