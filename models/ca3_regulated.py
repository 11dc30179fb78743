"""Recurrent CA3 that is silent but for its answers (arXiv:2205.04782, the regulated model).

An autoassociative memory of patterns of N units, trained and then frozen. In training the dentate
gyrus (dg) fires a pattern once, and a learning signal fires the inhibitory cells (inh) of all
other units, so that nothing but the pattern spikes. In recall there is no learning signal; a part
of a pattern, given twice within 3 ms, recruits the rest through weights that do not change any more.

===========  =====  =====================================  ================
population   cells  role                                   cell
===========  =====  =====================================  ================
dg           N      the pattern, or a part                 source
learn        1      learning signal (training only)        source
pc           N      pyramidal cells of CA3                 PC
inh          N      one for each pyramidal cell            PC, tau_m 3 ms
out          N      fired in the last two steps            gate
===========  =====  =====================================  ================

============  ================  ================================  =====
from -> to    connector         weight, nA                        ms
============  ================  ================================  =====
dg -> pc      one to one        12                                1
pc -> pc      all others        plastic, 0 at first; or frozen    1
pc -> pc      all others        11 (``inhibition``), inhibitory   1
learn -> inh  all to all        8                                 1
dg -> inh     one to one        8, inhibitory                     1
inh -> pc     one to one        12 N, inhibitory                  1
pc -> out     one to one, x 2   1                                 1, 2
============  ================  ================================  =====

PC (equations in ``IFCurrExp``): cm 0.27 nF, tau_m 3 ms (5 ms where the weights are frozen),
tau_refrac 2 ms, tau_syn 0.3 ms, v_rest = v_reset = -60 mV, v_thresh -55 mV, on SpiNNaker's
integrator and a 1 ms grid. STDP: additive pair rule, tau_plus 9 ms, tau_minus 5 ms, A_plus
6 nA, A_minus 3 nA, w_max 12 nA (absolute), deferred until the pre cell spikes, delay 1 ms.

**Two networks, as published.** ``ca3_regulated()`` learns: present a pattern four times, every
10 ms, with ``store(at, pattern, (0,))``, where content unit 0 is the learning signal.
``ca3_regulated(stored=patterns)`` has static weights, those that such a training leaves
(``trained_weights``), and recalls; it is the one for a board, which cannot switch plasticity off.

**The readout is ours**: recruited cells fire one step after the cued ones, an answer is what
spikes in one step, and ``out`` joins two. Its gate cells (cm 0.1 nF, tau_m = tau_syn = 0.1 ms,
no refractoriness, v_rest -65 mV, v_thresh -64.91 mV) fire for every spike. So is the cue: held
for four steps it fires its cells at t+1 and t+4, as two cues 3 ms apart do.

A cued cell adds w - ``inhibition`` to every other cell of its pattern, w = 11.43 nA for cells that were
trained four times together. The published 11 nA leave 0.43, which needs eight cued cells: it
was chosen for patterns of 13 and 14 cells, which overlap in 12. For small patterns give less.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuromem.errors import SpecError
from neuromem.patterns import Pattern, PatternLike, pattern
from neuromem.quantities import is_number
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    ArrayConnector,
    IFCurrExp,
    MemoryModel,
    Network,
    OneToOneConnector,
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
from neuromem.spec.completion import PatternCompletion

PRESENTATIONS = 4
"""How often a pattern is presented in training."""

BETWEEN = 10
"""Steps from one presentation to the next."""

BETWEEN_PATTERNS = 20
"""Steps from the last presentation of a pattern to the first one of the next."""

_RULE = SpikePairRule(tau_plus=9.0, tau_minus=5.0, A_plus=6.0, A_minus=3.0)
_W_MAX = 12.0


def training_steps(n_patterns: int) -> tuple[tuple[int, ...], ...]:
    """Return the steps at which each pattern is presented in training, the first one at 1."""
    train = (PRESENTATIONS - 1) * BETWEEN + BETWEEN_PATTERNS
    return tuple(tuple(1 + train * i + BETWEEN * k for k in range(PRESENTATIONS)) for i in range(n_patterns))


def trained_weights(patterns: tuple[Pattern, ...], n_units: int) -> np.ndarray:
    """Return the weights (nA) that training leaves, shape (n_units, n_units), rows pre, 0 on the diagonal.

    Cells of a pattern fire once for each presentation, all in one step T; their spikes arrive at
    the synapses at T + 1. So the pair rule of ``neuromem.spec.plasticity`` has two events a
    presentation: arrivals potentiate by ``A_plus x_pre``, and the next spike depresses by
    ``A_minus x_post``. A weight is as of its pre cell's last spike.
    """
    weights, kept = np.zeros((n_units, n_units)), np.zeros((n_units, n_units))
    x_pre, x_post, now = np.zeros(n_units), np.zeros(n_units), 0
    for active, steps in zip(patterns, training_steps(len(patterns)), strict=True):
        cells = list(active)
        for step in steps:
            x_pre, x_post = x_pre * np.exp((now - step) / _RULE.tau_plus), x_post * np.exp((now - step) / _RULE.tau_minus)
            weights[cells] = np.maximum(weights[cells] - _RULE.A_minus * x_post, 0.0)
            kept[cells] = weights[cells]
            x_pre[cells] += 1.0
            x_pre, x_post, now = x_pre * np.exp(-1 / _RULE.tau_plus), x_post * np.exp(-1 / _RULE.tau_minus), step + 1
            weights[:, cells] = np.minimum(weights[:, cells] + _RULE.A_plus * x_pre[:, None], _W_MAX)
            x_post[cells] += 1.0
    np.fill_diagonal(kept, 0.0)
    return kept


def ca3_regulated(n_units: int = 15, stored: Iterable[PatternLike] | None = None, inhibition: float = 11.0) -> MemoryModel:
    """Return the memory of ``n_units`` pyramidal cells (N): one that learns, or with ``stored`` patterns one that recalls them.

    ``inhibition`` (nA) is the weight between pyramidal cells.
    """
    if isinstance(n_units, bool) or not isinstance(n_units, int) or not 2 <= n_units <= 20000:
        raise SpecError(f"ca3_regulated: n_units = {n_units!r}; expected a whole number from 2 to 20000.")
    if not is_number(inhibition) or not 0.0 <= inhibition < float("inf"):
        raise SpecError(f"ca3_regulated: inhibition = {inhibition!r}; expected a weight in nA, at least 0.")
    known = None if stored is None else tuple(pattern(p, n_units, f"ca3_regulated, stored pattern {i}") for i, p in enumerate(stored))
    if known is not None and not any(len(p) > 1 for p in known):
        raise SpecError(f"ca3_regulated: stored = {known!r}; expected at least one pattern of two units, which have a synapse to learn.")
    common = {
        "cm": 0.27, "v_rest": -60.0, "v_reset": -60.0, "v_thresh": -55.0, "tau_refrac": 2.0, "tau_syn_E": 0.3, "tau_syn_I": 0.3,
        "integrator": "spinnaker",
    }  # fmt: skip
    inhibitory = IFCurrExp(tau_m=3.0, **common)  # type: ignore[arg-type]
    pyramidal = IFCurrExp(tau_m=3.0 if known is None else 5.0, **common)  # type: ignore[arg-type]
    gate = IFCurrExp(
        cm=0.1, tau_m=0.1, v_rest=-65.0, v_reset=-65.0, v_thresh=-64.91, tau_refrac=0.0, tau_syn_E=0.1, tau_syn_I=0.1,
        integrator="spinnaker",
    )  # fmt: skip
    source, learn = Population("dg", n_units, SpikeSourceArray(), "input"), Population("learn", 1, SpikeSourceArray(), "input")
    pc, inh = Population("pc", n_units, pyramidal, "content"), Population("inh", n_units, inhibitory, "interneuron")
    out = Population("out", n_units, gate, "readout")
    one, others = OneToOneConnector(), AllToAllConnector(allow_self_connections=False)
    if known is None:
        rule = STDP(_RULE, AdditiveWeightDependence(w_min=0.0, w_max=_W_MAX), discipline="deferred")
        excitation = Projection("pc", "pc", others, StaticSynapse(0.0, 1.0), plasticity=rule)
    else:
        weights = trained_weights(known, n_units)
        excitation = Projection("pc", "pc", ArrayConnector(weights > 0), StaticSynapse(weights[weights > 0], 1.0))
    projections = (
        Projection("dg", "pc", one, StaticSynapse(12.0, 1.0)),
        excitation,
        Projection("pc", "pc", others, StaticSynapse(inhibition, 1.0), "inhibitory"),
        Projection("learn", "inh", AllToAllConnector(), StaticSynapse(8.0, 1.0)),
        Projection("dg", "inh", one, StaticSynapse(8.0, 1.0), "inhibitory"),
        Projection("inh", "pc", one, StaticSynapse(12.0 * n_units, 1.0), "inhibitory"),
        Projection("pc", "out", one, StaticSynapse(1.0, 1.0), name="pc>out"),
        Projection("pc", "out", one, StaticSynapse(1.0, 2.0), name="pc>out:later"),
    )
    populations = (source, learn, pc, inh, out)
    training = OperationForm("store", "store", ("cue", "content"), 1, ("cue",), answer_at=2, n_steps=4)
    asking = OperationForm("recall_by_cue", "recall", ("cue",), 4, ("cue",), answer_at=6, n_steps=9)
    return MemoryModel(
        name="ca3-regulated",
        title="Recurrent CA3 with regulated activity",
        reference="arXiv:2205.04782",
        network=Network(populations, projections, probes=tuple(Probe(p.name) for p in populations)),
        dt=1.0,
        roles=(Role("cue", source[0:n_units], out[0:n_units]), Role("content", learn[0:1], out[0:1])),
        forms=(training,) if known is None else (asking,),
        ideal=PatternCompletion(known or ()),
        gaps=_GAPS if known is None else {},
        parameters={"n_units": n_units, "stored": known, "inhibition": inhibition},
    )


_GAPS: dict[tuple[str, str], int] = {}

PATTERNS = ((*range(1, 13), 14), tuple(range(14)))
"""The two published patterns that overlap, of 13 and 14 cells."""


def training(n_units: int) -> Protocol:
    """Return the published training: each of ``PATTERNS`` four times."""
    steps = training_steps(len(PATTERNS))
    operations = [store(step, p, (0,)) for p, times in zip(PATTERNS, steps, strict=True) for step in times]
    return Protocol("training", tuple(operations), n_steps=steps[-1][-1] + 14)


def functional(n_units: int) -> Protocol:
    """Return the published recall of ``PATTERNS``: nine cells that only the second has, then three times eight cells of both.

    Of the two patterns that hold them, the eight are more of the first one, which is the smaller; it is the answer.
    """
    cues = (tuple(range(9)), *(tuple(range(1, 9)),) * 3)
    return Protocol("functional", tuple(recall(at, cue=cue) for at, cue in zip((1, 15, 30, 45), cues, strict=True)), n_steps=55)


PROTOCOLS = {
    "training": ProtocolRecipe(training, (("n_units", 15),)),
    "functional": ProtocolRecipe(functional, (("n_units", 15), ("stored", PATTERNS))),
}
