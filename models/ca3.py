"""The smallest hippocampal memory: CA3 alone, from one-hot cue to content (class ``ca3`` of sPyMem; arXiv:2206.04924).

A table of C one-hot cues (addresses) by M content bits, read in one direction: one plastic
all-to-all projection from cue cells to content cells, always plastic. Learning a cue again
forgets its old content; a cue held without content is forgotten, and nothing of it is left.

==========  ======  ========================  ===========
population  cells   role                      cell
==========  ======  ========================  ===========
in          C + M   C cue units, M content    source
ca3_cue     C       addresses                 A
ca3_cont    M       content                   A, -57.5 mV
out         C + M   readout                   A, -57.5 mV
==========  ======  ========================  ===========

==================  ===================  ==========  =====
from -> to          connector            weight, nA  ms
==================  ===================  ==========  =====
in -> ca3_cue       one to one           6           1
in -> ca3_cont      one to one           6           1
ca3_cue > ca3_cont  all to all, plastic  0 at first  1
ca3_cue -> out      one to one           6           1
ca3_cont -> out     one to one           6           1
==================  ===================  ==========  =====

Cell A (equations in ``IFCurrExp``): cm 0.27 nF, tau_m 3 ms, tau_refrac 1 ms, tau_syn 0.3 ms,
v_rest = v_reset = -60 mV, v_thresh -57 mV, on SpiNNaker's integrator and a 1 ms grid. STDP:
additive pair rule, tau 3 ms, A = w_max = 6 nA (absolute), deferred until the pre cell spikes,
delay 1 ms.

With t the first input step, a store fires CA3 at t+1 and t+3, and a recall fires the cue at t+1
and its content at t+2. The readout follows one ``out_delay`` later. **The sources disagree
about that delay**: the authors' parameters say 1 ms, hence out t+2 and t+4 (store), t+2 and t+3
(recall); their documentation says t+3 and t+5, t+3 and t+4, as 2 ms would give. The default is
their parameters; ``out_delay=2`` is what they write. No recorded spikes of this network are public.
"""

from __future__ import annotations

from neuromem.errors import SpecError
from neuromem.patterns import binary_digits, complement
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AddressTable,
    AllToAllConnector,
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

# Least safe steps between the first inputs of two operations: all ordered pairs about one cue or two, at 5 x 10,
# 7 x 8 and 31 x 16, with 24 times three memories of 1 to 8 bits and full read-back. The authors state 7 after a store and 5
# after a recall. They hold for pairs: in sequences, what is left of the traces adds up (see ``settling``).
_GAPS = {
    ("store", "store"): 6, ("store", "overwrite"): 6, ("store", "recall_by_cue"): 7, ("store", "forget"): 4,
    ("overwrite", "store"): 6, ("overwrite", "overwrite"): 6, ("overwrite", "recall_by_cue"): 7, ("overwrite", "forget"): 4,
    ("recall_by_cue", "store"): 3, ("recall_by_cue", "overwrite"): 3, ("recall_by_cue", "recall_by_cue"): 4, ("recall_by_cue", "forget"): 3,
    ("forget", "store"): 6, ("forget", "overwrite"): 6, ("forget", "recall_by_cue"): 4, ("forget", "forget"): 4,
}  # fmt: skip

_MOST_SYNAPSES = 2**29  # of 32 bytes: pre, post, weight and delay


def ca3(n_cues: int = 5, n_content: int = 10, post_history: int | None = None, out_delay: int = 1) -> MemoryModel:
    """Return the memory with ``n_cues`` addresses (C) of ``n_content`` bits (M).

    ``post_history`` limits the post-synaptic events that the learning rule remembers: None
    for all (the equations), 15 for what a SpiNNaker board can use. ``out_delay`` (ms): see above.
    """
    for name, value in (("n_cues", n_cues), ("n_content", n_content), ("out_delay", out_delay)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"ca3: {name} = {value!r}; expected a whole number, at least 1.")
    c, m = n_cues, n_content
    synapses = c * m + 2 * (c + m)
    if synapses > _MOST_SYNAPSES:
        raise SpecError(
            f"ca3: n_cues = {c}, n_content = {m}: {synapses:.3g} synapses, whose tables would take {synapses / 2**25:.3g} GiB; expected at most 16 GiB, such as 20000 cues of 20000 bits."
        )
    common = {
        "cm": 0.27, "tau_m": 3.0, "v_rest": -60.0, "v_reset": -60.0, "tau_refrac": 1.0, "tau_syn_E": 0.3, "tau_syn_I": 0.3,
        "integrator": "spinnaker",
    }  # fmt: skip
    strict = IFCurrExp(v_thresh=-57.0, **common)  # type: ignore[arg-type]
    ready = IFCurrExp(v_thresh=-57.5, **common)  # type: ignore[arg-type]
    source = Population("in", c + m, SpikeSourceArray(), "input")
    out = Population("out", c + m, ready, "readout")
    populations = (source, Population("ca3_cue", c, strict, "cue"), Population("ca3_cont", m, ready, "content"), out)
    rule = STDP(
        SpikePairRule(tau_plus=3.0, tau_minus=3.0, A_plus=6.0, A_minus=6.0),
        AdditiveWeightDependence(w_min=0.0, w_max=6.0),
        discipline="deferred",
        post_history=post_history,
    )
    one, enter, leave = OneToOneConnector(), StaticSynapse(6.0, 1.0), StaticSynapse(6.0, float(out_delay))
    projections = (
        Projection(source[0:c], "ca3_cue", one, enter),
        Projection(source[c : c + m], "ca3_cont", one, enter),
        Projection("ca3_cue", "ca3_cont", AllToAllConnector(), StaticSynapse(0.0, 1.0), plasticity=rule),
        Projection("ca3_cue", out[0:c], one, leave),
        Projection("ca3_cont", out[c : c + m], one, leave),
    )
    first = 1 + out_delay  # steps from an input to what it fires of the readout
    return MemoryModel(
        name="ca3",
        title="Hippocampal CA3 alone, from cue to content",
        reference="arXiv:2206.04924",
        network=Network(populations, projections, probes=tuple(Probe(p.name) for p in populations)),
        dt=1.0,
        # In 1,500 random operations at the stated gaps 10 to 17 of a hundred go wrong; of 3,000 that are 14 steps
        # apart none did, at 5 x 10 and at 31 x 16. 40 steps is the margin of ca3-cam, whose traces are the same.
        settling=40,
        roles=(Role("cue", source[0:c], out[0:c]), Role("content", source[c : c + m], out[c : c + m])),
        forms=(
            OperationForm("store", "store", ("cue", "content"), 3, ("cue", "content"), answer_at=first, n_steps=first + 3),
            OperationForm("recall_by_cue", "recall", ("cue",), 1, ("content",), answer_at=first + 1, n_steps=first + 2),
            OperationForm("forget", "forget", ("cue",), 3, ("cue",), answer_at=first, n_steps=first + 3),
        ),
        ideal=AddressTable,
        gaps=_GAPS,
        parameters={"n_cues": c, "n_content": m, "post_history": post_history, "out_delay": out_delay},
    )


def functional(n_cues: int, n_content: int) -> Protocol:
    """Return the authors' test of combined operations, at the rate that they state: learn three, recall two, overwrite two, recall them."""
    operations = (
        store(0, (4,), (7, 8, 9)),
        store(7, (3,), (6, 7, 8)),
        store(14, (2,), (5, 6, 7)),
        recall(21, cue=(4,)),
        recall(26, cue=(3,)),
        store(31, (3,), (0, 1, 5, 6, 7)),
        store(38, (2,), (0, 1, 8, 9)),
        recall(45, cue=(3,)),
        recall(50, cue=(2,)),
    )
    return Protocol("functional", operations, n_steps=60)


def stress(n_cues: int, n_content: int, gap: int = 14) -> Protocol:
    """Return three rounds of learning and recalling everything, for any size.

    Each round stores all cues, then recalls all. The content of cue i is i + 1 in binary (least
    significant bit first), then its complement, then itself again. Operations start at step 1
    and follow every ``gap`` steps. Raises ``SpecError`` when the number of the last cue has more
    than ``n_content`` binary digits.
    """
    if n_cues >> n_content:
        raise SpecError(
            f"stress: n_cues = {n_cues}, n_content = {n_content}; the content of a cue is its number in binary: "
            f"expected n_cues at most {(1 << n_content) - 1}, or n_content at least {n_cues.bit_length()}."
        )
    operations: list[Operation] = []
    for turn in range(3):
        for cue in range(n_cues):
            digits = binary_digits(cue + 1, n_content)
            content = complement(digits, n_content) if turn == 1 else digits
            operations.append(store(1 + gap * len(operations), (cue,), content))
        for cue in range(n_cues):
            operations.append(recall(1 + gap * len(operations), cue=(cue,)))
    return Protocol("stress", tuple(operations), n_steps=1 + gap * len(operations) + 10)


PROTOCOLS = {
    "functional": ProtocolRecipe(functional, (("n_cues", 5), ("n_content", 10))),
    "stress": ProtocolRecipe(stress, (("n_cues", 5), ("n_content", 10))),
}
