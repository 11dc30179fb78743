"""The spiking content-addressable memory of hippocampal CA3 (arXiv:2310.05868, doi:10.1016/j.neunet.2024.106474).

A table of C one-hot cues (addresses) by M content bits, read from either side. Stage 1
recalls content from a cue, stage 2 recalls cues from content; each is one plastic all-to-all
projection, always plastic. A gate (``s2_cond``) keeps recalled content out of stage 2, except
while a cue is learned again: then one interneuron (``s2_int``) lets the old content through,
and the reverse links of the old content are forgotten too.

===================  ======  ======================================  =========
population           cells   role                                    cell
===================  ======  ======================================  =========
in                   C + M   input: C cue units, then M content      source
s1_cue, s1_cont      C, M    stage 1, cue -> content                 A
s2_cond, s2_int      M, 1    gate and its interneuron                B
s2_cont              M       stage 2, content side                   A
s2_cue               C       stage 2, cue side                       B
merge_cue/_cont      C, M    either stage                            A
out                  C + M   readout                                 A, -57.5 mV
===================  ======  ======================================  =========

Cell A: cm 0.27 nF, tau_m 3 ms; cell B: cm 0.14 nF, tau_m 0.5 ms; both tau_refrac 1 ms,
tau_syn 0.3 ms, v_rest = v_reset = -60 mV, v_thresh -57 mV. The model is tied to SpiNNaker's
integrator on a 1 ms grid. STDP: additive pair rule, tau 3 ms, A = w_max = 6 nA (absolute),
deferred until the pre cell spikes, delay 1 ms.

One wiring is a choice. The authors' code inhibits stage 2 from every cue "except itself", with
``allow_self_connections=False``, which PyNN honours only within one population: on the board
every cue also inhibits itself. At the published sizes the spikes are the same; above 12 content
bits, self-inhibition silences recall by content (``experiments/ca3_content_limit``). The default
here is what the authors meant; ``self_inhibition=True`` is what their board ran.
"""

from __future__ import annotations

import numpy as np

from neuromem.errors import SpecError
from neuromem.patterns import binary_digits, complement
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AddressTable,
    AllToAllConnector,
    ArrayConnector,
    IFCurrExp,
    MemoryModel,
    Network,
    OneToOneConnector,
    Operation,
    OperationForm,
    Population,
    Probe,
    Projection,
    Protocol,
    ProtocolRecipe,
    Role,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    recall,
    store,
)

_COMMON = {
    "v_rest": -60.0, "v_reset": -60.0, "tau_refrac": 1.0, "tau_syn_E": 0.3, "tau_syn_I": 0.3, "integrator": "spinnaker",
}  # fmt: skip

# Least safe steps between the first inputs of two operations: all ordered pairs, with 12 random
# memories of 3 bits in 10 and full read-back. Measured again by experiments/ca3_safe_gaps.
_GAPS = {
    ("store", "store"): 8, ("store", "overwrite"): 10, ("store", "recall_by_cue"): 7, ("store", "recall_by_content"): 7,
    ("overwrite", "store"): 8, ("overwrite", "overwrite"): 12, ("overwrite", "recall_by_cue"): 10, ("overwrite", "recall_by_content"): 9,
    ("recall_by_cue", "store"): 6, ("recall_by_cue", "overwrite"): 6, ("recall_by_cue", "recall_by_cue"): 5, ("recall_by_cue", "recall_by_content"): 5,
    ("recall_by_content", "store"): 7, ("recall_by_content", "overwrite"): 7, ("recall_by_content", "recall_by_cue"): 5, ("recall_by_content", "recall_by_content"): 6,
}  # fmt: skip

_MOST_SYNAPSES = 2**29  # of 32 bytes: pre, post, weight and delay


def ca3_cam(n_cues: int = 5, n_content: int = 10, post_history: int | None = None, self_inhibition: bool = False) -> MemoryModel:
    """Return the memory with ``n_cues`` addresses (C) of ``n_content`` bits (M).

    ``post_history`` limits the post-synaptic events that the learning rule remembers: None
    for all (the equations), 15 for what a SpiNNaker board can use. ``self_inhibition``: see above.
    """
    for name, value in (("n_cues", n_cues), ("n_content", n_content)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"ca3_cam: {name} = {value!r}; expected a whole number, at least 1.")
    if not isinstance(self_inhibition, bool):
        raise SpecError(f"ca3_cam: self_inhibition = {self_inhibition!r}; expected True or False.")
    c, m = n_cues, n_content
    synapses = 2 * c * c + 3 * c * m + 5 * c + 8 * m
    if synapses > _MOST_SYNAPSES:
        raise SpecError(
            f"ca3_cam: n_cues = {c}, n_content = {m}: {synapses:.3g} synapses, whose tables would take {synapses / 2**25:.3g} GiB; expected at most 16 GiB, such as 10000 cues of 10000 bits."
        )
    type_a = IFCurrExp(cm=0.27, tau_m=3.0, v_thresh=-57.0, **_COMMON)  # type: ignore[arg-type]
    type_b = IFCurrExp(cm=0.14, tau_m=0.5, v_thresh=-57.0, **_COMMON)  # type: ignore[arg-type]
    out_cell = IFCurrExp(cm=0.27, tau_m=3.0, v_thresh=-57.5, **_COMMON)  # type: ignore[arg-type]
    source = Population("in", c + m, SpikeSourceArray(), "input")
    out = Population("out", c + m, out_cell, "readout")
    populations = (
        source,
        Population("s1_cue", c, type_a, "cue"),
        Population("s1_cont", m, type_a, "content"),
        Population("s2_cond", m, type_b, "gate"),
        Population("s2_int", 1, type_b, "interneuron"),
        Population("s2_cont", m, type_a, "content"),
        Population("s2_cue", c, type_b, "cue"),
        Population("merge_cue", c, type_a, "cue"),
        Population("merge_cont", m, type_a, "content"),
        out,
    )
    one, every, others = OneToOneConnector(), AllToAllConnector(), AllToAllConnector(allow_self_connections=False)
    rule = STDP(
        SpikePairRule(tau_plus=3.0, tau_minus=3.0, A_plus=6.0, A_minus=6.0),
        AdditiveWeightDependence(w_min=0.0, w_max=6.0),
        discipline="deferred",
        post_history=post_history,
    )
    rivals = every if self_inhibition else ArrayConnector(~np.eye(c, dtype=bool))
    inhibition = 6.0 * m  # the only weights that grow with the memory
    projections = (
        Projection(source[0:c], "s1_cue", one, StaticSynapse(6.0, 1.0)),
        Projection(source[c : c + m], "s1_cont", one, StaticSynapse(6.0, 1.0)),
        Projection("s1_cue", "s2_cue", one, StaticSynapse(6.0, 2.0)),
        Projection("s1_cue", "s2_cue", rivals, StaticSynapse(inhibition, 3.0), "inhibitory"),
        Projection("s1_cue", "s2_cond", every, StaticSynapse(6.0, 2.0), "inhibitory"),
        Projection("s1_cont", "s2_cond", one, StaticSynapse(9.0, 1.0)),
        Projection("s1_cont", "s2_int", every, StaticSynapse(6.0, 1.0)),
        Projection("s2_int", "s2_cond", every, StaticSynapse(2.0, 1.0)),
        Projection("s2_cond", "s2_cont", one, StaticSynapse(6.0, 1.0)),
        Projection("s1_cue", "s1_cont", every, StaticSynapse(0.0, 1.0), plasticity=rule),
        Projection("s2_cont", "s2_cue", every, StaticSynapse(0.0, 1.0), plasticity=rule),
        Projection("s2_cue", "s2_cue", others, StaticSynapse(inhibition, 2.0), "inhibitory"),
        Projection("s1_cue", "merge_cue", one, StaticSynapse(6.0, 3.0)),
        Projection("s2_cue", "merge_cue", one, StaticSynapse(6.0, 1.0)),
        Projection("s1_cont", "merge_cont", one, StaticSynapse(6.0, 3.0)),
        Projection("s2_cont", "merge_cont", one, StaticSynapse(6.0, 1.0)),
        Projection("merge_cue", out[0:c], one, StaticSynapse(6.0, 1.0)),
        Projection("merge_cont", out[c : c + m], one, StaticSynapse(6.0, 1.0)),
    )
    return MemoryModel(
        name="ca3-cam",
        title="Spiking content-addressable memory of hippocampal CA3",
        reference="doi:10.1016/j.neunet.2024.106474",
        network=Network(populations, projections, probes=tuple(Probe(p.name) for p in populations)),
        dt=1.0,
        # What an operation leaves of its traces (tau 3 ms) puts a little weight on foreign links. With
        # 40 steps it is 0.0008 nA in 500 cycles of store and recall; with 20, recalls fail after 1,745.
        settling=40,
        roles=(Role("cue", source[0:c], out[0:c]), Role("content", source[c : c + m], out[c : c + m])),
        forms=(
            OperationForm("store", "store", ("cue", "content"), 3, ("cue", "content"), answer_at=5, n_steps=8),
            OperationForm("recall_by_cue", "recall", ("cue",), 1, ("content",), answer_at=6, n_steps=7),
            OperationForm("recall_by_content", "recall", ("content",), 1, ("cue",), answer_at=6, n_steps=7),
            # The paper knows forgetting only as learning again. A cue held without content erases
            # cue -> content; the links content -> cue stay, so recall by content still finds it.
            OperationForm("forget", "forget", ("cue",), 3, ("cue",), answer_at=5, n_steps=8),
        ),
        ideal=AddressTable,
        gaps=_GAPS
        | {(a, "forget"): s for (a, b), s in _GAPS.items() if b == "overwrite"}
        | {("forget", b): s for (a, b), s in _GAPS.items() if a == "overwrite"}
        | {("forget", "forget"): _GAPS["overwrite", "overwrite"]},
        parameters={"n_cues": c, "n_content": m, "post_history": post_history, "self_inhibition": self_inhibition},
    )


def functional(n_cues: int, n_content: int) -> Protocol:
    """Return the published experiment 1: learn three memories, recall from both sides, overwrite one."""
    operations = (
        store(0, (0,), (0, 1, 8, 9)),
        store(10, (4,), (1, 5, 6)),
        store(20, (3,), (4, 5, 6)),
        recall(30, cue=(0,)),
        recall(40, content=(6,)),
        recall(50, content=(0, 4)),
        store(60, (3,), (1, 3, 4, 8)),
        recall(70, cue=(3,)),
        recall(80, content=(6,)),
    )
    return Protocol("functional", operations, n_steps=90)


def stress(n_cues: int, n_content: int, gap: int = 14) -> Protocol:
    """Return the published experiment 2, for any size: three rounds of learning and recalling everything.

    Each round stores all cues, recalls all by cue, and recalls every content bit alone. The
    content of cue i is i + 1 in binary (least significant bit first), then its complement,
    then itself again. Operations start at step 1 and follow every ``gap`` steps. Raises
    ``SpecError`` when the number of the last cue has more than ``n_content`` binary digits.
    """
    if n_cues >> n_content:
        raise SpecError(
            f"stress: n_cues = {n_cues}, n_content = {n_content}; the content of a cue is its number in binary: "
            f"expected n_cues at most {(1 << n_content) - 1}, or n_content at least {n_cues.bit_length()}."
        )
    operations: list[Operation] = []

    def at() -> int:
        return 1 + gap * len(operations)

    for turn in range(3):
        for cue in range(n_cues):
            digits = binary_digits(cue + 1, n_content)
            operations.append(store(at(), (cue,), complement(digits, n_content) if turn == 1 else digits))
        for cue in range(n_cues):
            operations.append(recall(at(), cue=(cue,)))
        for bit in range(n_content):
            operations.append(recall(at(), content=(bit,)))
    return Protocol("stress", tuple(operations), n_steps=1 + gap * len(operations) + 10)


STATES = ("unknown", "start", "goal", "free", "path", "obstacle")
MAP = (0, 5, 1, 3, 0, 3, 4, 5, 0, 5, 4, 3, 2, 4, 4, 3)


def state_map(n_cues: int, n_content: int) -> Protocol:
    """Return the published experiment 3: a 4 x 4 map of flagged cells, queried by flag.

    Cell number = cue, flag = content bit (see ``STATES`` and ``MAP``, row by row). Its steps of
    7 and 6 ms between operations are below the safe gap: it works because every memory has a
    single bit.
    """
    operations = [store(7 * cell, (cell,), (flag,)) for cell, flag in enumerate(MAP)]
    operations += [recall(112, content=(1, 2, 4)), recall(118, content=(3,)), recall(124, content=(5,)), recall(130, content=(0,))]
    return Protocol("state_map", tuple(operations), n_steps=140, unsafe_gaps=True)


PROTOCOLS = {
    "functional": ProtocolRecipe(functional, (("n_cues", 5), ("n_content", 10))),
    "stress": ProtocolRecipe(stress, (("n_cues", 5), ("n_content", 10))),
    "state_map": ProtocolRecipe(state_map, (("n_cues", 16), ("n_content", 6))),
}
