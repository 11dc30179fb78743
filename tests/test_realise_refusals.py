"""What ``realise`` does not turn into cells: each refusal in its whole words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_realise import fixed

import neuromem
from neuromem.errors import SpecError, UnsupportedError
from neuromem.models import bcpnn, ca3_cam, dense, hetero, hopfield, sequence, willshaw
from neuromem.models.spiking_hopfield import spiking_hopfield
from neuromem.models.spiking_willshaw import spiking_willshaw
from neuromem.spec import MemoryModel, Network, Threshold
from neuromem.spec.binary_recall import BinaryRecall
from neuromem.spec.realise import realise

pytestmark = [
    pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning"),
    pytest.mark.filterwarnings("ignore::neuromem.errors.NotConvergedWarning"),
]

EYE = np.eye(4)


def unit_memory(cell: object) -> MemoryModel:
    memory = willshaw(n=4, k=1, iterative=False)
    return replace(memory, network=replace(memory.network, populations=(replace(memory.network.populations[0], cell=cell),)))


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "spikes": (
        lambda: realise(ca3_cam(), EYE), SpecError,
        "ca3-cam: realise, a memory with spikes; expected one without spikes, such as willshaw() or hopfield().",
    ),
    "projections": (
        lambda: realise(replace(willshaw(n=4), network=Network(willshaw(n=4).network.populations)), EYE), SpecError,
        "willshaw: realise, a memory of 0 projections; expected one without spikes, such as willshaw() or hopfield().",
    ),
    "soft": (
        lambda: realise(bcpnn(n=4, hypercolumns=2), EYE), UnsupportedError,
        "bcpnn: realise, SoftWTA units; expected Threshold, KWinners or Sign: units of two states, which fire or do not.",
    ),
    "sequence": (
        lambda: realise(sequence(n=4, k=1), EYE), UnsupportedError,
        "sequence: realise, a sequence memory (lag = 1); expected one whose patterns are stored with themselves, or pairs.",
    ),
    "hidden": (
        lambda: realise(dense(n=4), EYE), UnsupportedError, "dense: realise, hidden units for each pattern; expected one table of weights.",
    ),
    "asynchronous": (
        lambda: realise(hopfield(n=4, update="asynchronous"), EYE), UnsupportedError,
        "hopfield: realise, asynchronous updates, one unit after the other; a volley updates all: expected update='synchronous'.",
    ),
    "read once": (
        lambda: realise(hetero(n=4, units="bipolar"), EYE), UnsupportedError,
        "hetero: realise, Sign units that are read once; expected a recurrent population with synchronous updates.",
    ),
    "shape": (
        lambda: realise(willshaw(n=5), EYE), SpecError,
        "willshaw: realise, weights of shape (4, 4) and type float64; expected numbers of shape (5, 5).",
    ),
    "type": (
        lambda: realise(willshaw(n=4), EYE.astype(str)), SpecError,
        "willshaw: realise, weights of shape (4, 4) and type <U32; expected numbers of shape (4, 4).",
    ),
    "finite": (
        lambda: realise(willshaw(n=4), np.where(EYE == 1, np.nan, 0)), SpecError,
        "willshaw: realise, a weight of nan from unit 0 to 0; expected finite numbers.",
    ),
    "not binary": (
        lambda: realise(willshaw(n=4), EYE / 2), UnsupportedError,
        "willshaw: realise, a weight of 0.5 from unit 0 to 0 onto KWinners units; expected whole numbers from 0 to 2^20, such as a clipped table of 0 and 1.",
    ),
    "negative": (
        lambda: realise(bcpnn(n=4, hypercolumns=2, competition="hard"), -EYE), UnsupportedError,
        "bcpnn: realise, a weight of -1 from unit 0 to 0 onto KWinners units; expected whole numbers from 0 to 2^20, such as a clipped table of 0 and 1.",
    ),
    "not a table of bits": (
        lambda: realise(willshaw(n=4, recall="threshold"), 2 * EYE), UnsupportedError,
        "willshaw: realise, a weight of 2 from unit 0 to 0 onto Threshold units; expected 0 and 1, for units that must connect to all of the cue.",
    ),
    "not whole": (
        lambda: realise(hopfield(n=4), EYE[::-1] / 3), UnsupportedError,
        "hopfield: realise, a weight of 0.333333 from unit 0 to 3; expected whole numbers (hebb), which spikes can sum exactly, or weight_levels=100 to round them to that many levels.",
    ),
    "beyond whole": (
        lambda: realise(hopfield(n=4), EYE[::-1] * 1e300), UnsupportedError,
        "hopfield: realise, a weight of 1e+300 from unit 0 to 3; expected whole numbers (hebb), which spikes can sum exactly, or weight_levels=100 to round them to that many levels.",
    ),
    "levels": (
        lambda: realise(willshaw(n=4), EYE, levels=0), SpecError,
        "willshaw: realise, levels = 0 for KWinners units; expected None, or, for KWinners, a whole number of levels, at least 1.",
    ),
    "too many levels": (
        lambda: realise(willshaw(n=4, k=1), 2000 * EYE), UnsupportedError,
        "willshaw: realise, winners with inputs of up to 2000; expected at most 1023, the levels that a margin allows: levels=16, if cues have no larger ones.",
    ),
    "levels of a threshold": (
        lambda: realise(willshaw(n=4, recall="threshold"), EYE, levels=2), SpecError,
        "willshaw: realise, levels = 2 for Threshold units; expected None, or, for KWinners, a whole number of levels, at least 1.",
    ),
    "weight levels": (
        lambda: realise(hopfield(n=4), EYE, weight_levels=0), SpecError,
        "hopfield: realise, weight_levels = 0; expected a whole number of levels, at least 1.",
    ),
    "weight levels of winners": (
        lambda: realise(willshaw(n=4), EYE, weight_levels=3), SpecError,
        "willshaw: realise, weight_levels = 3 for KWinners units; expected None: only weights of Sign units are rounded.",
    ),
    "margin": (
        lambda: realise(fixed(willshaw(n=4, recall="threshold"), 2500.0), EYE), UnsupportedError,
        "willshaw: realise, 'units' tells sums of 5000 units apart by 1, a margin of 0.00015; expected sums of at most 4096, a margin of 0.00018, or a board's rounding decides: fewer units, or smaller weights or thresholds.",
    ),
    "sixteen bits": (
        lambda: realise(fixed(willshaw(n=4, recall="threshold"), 2.0), 20000 * EYE), UnsupportedError,
        "willshaw: realise, the weights of a cell of 'units' sum to 40000 times the smallest; expected at most 32767, which 16 bits hold without rounding: fewer units, or smaller weights.",
    ),
    "silence": (
        lambda: neuromem.build(spiking_hopfield()).recall(content=()), SpecError,
        "hopfield-spiking: recall from a cue without an active unit; expected at least one: a network of spikes cannot be asked by silence.",
    ),
    "store": (
        lambda: BinaryRecall("mine", Threshold(1.0), EYE).store((0,), (0,)), UnsupportedError,
        "mine: store; a realised memory only recalls: its table is frozen. Store in the memory without spikes, and realise it again.",
    ),
    "forget": (
        lambda: BinaryRecall("mine", Threshold(1.0), EYE).forget((0,)), UnsupportedError,
        "mine: forget; a realised memory only recalls: its table is frozen. Forget in the memory without spikes, and realise it again.",
    ),
    "store in a session": (
        lambda: neuromem.build(spiking_willshaw(n_content=9)).store((0,), (0,)), SpecError,
        "store at step 0: willshaw-spiking has no store with cue and content; it has: recall with cue.",
    ),
    "recall": (
        lambda: spiking_willshaw(recall="winner"), SpecError,
        "willshaw-spiking: recall = 'winner'; expected 'winners' or 'threshold' (did you mean 'winners'?).",
    ),
    "k_content": (
        lambda: spiking_willshaw(k_content=3), SpecError, "willshaw-spiking: k_content = 3 without n_content; expected both, or k alone.",
    ),
    "theta": (
        lambda: spiking_willshaw(theta=3), SpecError,
        "willshaw-spiking: theta = 3 with recall = 'winners'; expected recall = 'threshold', or no theta.",
    ),
    "updates of pairs": (
        lambda: spiking_willshaw(n_content=9, updates=2), SpecError,
        "willshaw-spiking: updates = 2 with n_content; its answer is one read: expected 1.",
    ),
    "k": (lambda: spiking_willshaw(k=33), SpecError, "willshaw-spiking: k = 33; expected a whole number from 1 to 32."),
    "units": (lambda: spiking_willshaw(n=1), SpecError, "willshaw-spiking: n = 1; expected a whole number of units, at least 2."),
    "units of the content": (
        lambda: spiking_willshaw(n_content=1), SpecError, "willshaw-spiking: n = 1; expected a whole number of units, at least 2.",
    ),
    "updates": (lambda: spiking_hopfield(updates=0), SpecError, "hopfield-spiking: updates = 0; expected a whole number from 1 to 10000."),
    "flips": (lambda: spiking_hopfield(flips=2.0), SpecError, "hopfield-spiking: flips = 2.0; expected a fraction from 0 to 1."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named(case: str) -> None:
    make, kind, text = REFUSED[case]
    with pytest.raises(kind) as raised:
        make()
    assert type(raised.value) is kind
    assert str(raised.value) == text
