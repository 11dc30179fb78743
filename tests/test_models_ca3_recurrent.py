"""The recurrent CA3 memories: completion by oscillation, and by weights that were trained and frozen."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Engine

import neuromem
from neuromem.errors import SpecError
from neuromem.ir import lower_memory
from neuromem.model_files import ModelEntry
from neuromem.models.ca3_oscillatory import ca3_oscillatory
from neuromem.models.ca3_regulated import PATTERNS, ca3_regulated, trained_weights, training_steps
from neuromem.spec import Protocol, recall, store
from neuromem.spec.completion import PatternCompletion

# the package gives their names to the functions
oscillatory_file = importlib.import_module("neuromem.models.ca3_oscillatory")
regulated_file = importlib.import_module("neuromem.models.ca3_regulated")


def spikes(recording: Any, population: str) -> list[tuple[int, int]]:
    steps, units = recording.spikes_of(population)
    return sorted(zip(steps.tolist(), units.tolist(), strict=True))


@pytest.mark.engines("reference", "cpu")
def test_an_oscillating_pattern_goes_on_by_itself(engine: Engine) -> None:
    """Cued cells fire from t+1 on every second step, the recruited one from t+2 on, long after the cue has ended at t+4."""
    protocol = Protocol("one", (store(1, (0, 1, 2, 3, 4), (0, 1, 2, 3, 4)), recall(43, cue=(1, 2, 3, 4))), 85)
    recording = engine.recording("oscillatory", lambda: lower_memory(ca3_oscillatory(15), protocol))
    found = spikes(recording, "pc")
    assert [s for s in found if s[0] < 43] == [(t, u) for t in (2, 4, 6) for u in range(5)]
    expected = [(t, u) for t in range(44, 85, 2) for u in range(1, 5)] + [(t, 0) for t in range(45, 85, 2)]
    assert [s for s in found if s[0] >= 43] == sorted(expected)


def answers(*operations: Any) -> list[dict[str, tuple[int, ...]]]:
    protocol = Protocol("bounds", operations, operations[-1].at + 14, unsafe_gaps=True)
    return [o.answer for o in neuromem.run(ca3_oscillatory(15), protocol).outcomes]


def test_bounds_of_oscillating_recall() -> None:
    """What the docstring says is seen outside of the published run."""
    a, b = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
    learn = (store(1, a, a), store(15, b, b))
    assert answers(*learn, recall(29, cue=a))[-1] == {"content": ()}
    again = answers(*learn, recall(29, cue=a[1:]), recall(43, cue=b[1:]), recall(57, cue=a[1:]))
    assert again[2:4] == [{"content": a}, {"content": b}]
    assert again[4] == {"content": a + b}
    assert answers(store(1, a, a), recall(29, cue=a[1:]), store(43, b, b))[-1] == {"content": a + b}


@pytest.mark.engines("reference", "cpu")
def test_training_leaves_the_weights_that_the_frozen_network_has(engine: Engine) -> None:
    """The closed form of the pair rule, against the network that learns; 11.43 nA by hand.

    The last of four presentations depresses, after the third has filled the weight up to w_max:
    12 - 3 (e^(-9/5) + e^(-19/5) + e^(-29/5)).
    """
    recording = engine.recording("regulated", lambda: lower_memory(ca3_regulated(), regulated_file.training(15)))
    learned = np.zeros((15, 15))
    learned[~np.eye(15, dtype=bool)] = np.ravel(recording.weights["pc>pc"])
    expected = trained_weights(PATTERNS, 15)
    np.testing.assert_allclose(learned, expected, rtol=0, atol=1e-12)  # of at most 12 nA, after some 30 roundings of 2^-53
    assert expected[1, 2] == pytest.approx(12 - 3 * sum(np.exp(-(10 * k - 1) / 5) for k in (1, 2, 3)), abs=1e-3)  # rests of older ones
    once = trained_weights(((0, 1),), 3)
    assert once[0, 1] == pytest.approx(12 - 3 * sum(np.exp(-(10 * k - 1) / 5) for k in (1, 2, 3)), rel=1e-15)
    assert once[0, 2] == once[2, 0] == once[0, 0] == 0
    assert spikes(recording, "pc") == sorted(
        (t + 1, u) for p, times in zip(PATTERNS, training_steps(2), strict=True) for t in times for u in p
    )


@pytest.mark.engines("reference", "cpu")
def test_the_learning_signal_holds_all_other_cells_down(engine: Engine) -> None:
    """In training, the inhibitory cells of all units but those of the pattern fire with it; in recall none does."""
    recording = engine.recording("regulated", lambda: lower_memory(ca3_regulated(), regulated_file.training(15)))
    others = [sorted(set(range(15)) - set(p)) for p in PATTERNS]
    assert spikes(recording, "inh") == [
        (t + 1, u) for rest, times in zip(others, training_steps(2), strict=True) for t in times for u in rest
    ]
    frozen = ca3_regulated(stored=PATTERNS)
    assert spikes(engine.recording("regulated, frozen", lambda: lower_memory(frozen, regulated_file.functional(15))), "inh") == []


def test_small_patterns_need_less_inhibition() -> None:
    stored = ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11))
    protocol = Protocol("three of four", tuple(recall(1 + 14 * i, cue=p[:3]) for i, p in enumerate(stored)), 50)
    assert [o.answer["cue"] for o in neuromem.run(ca3_regulated(stored=stored, inhibition=6.0), protocol).outcomes] == list(stored)
    published = neuromem.run(ca3_regulated(stored=stored), protocol).outcomes
    assert not any(o.correct for o in published)


def test_ideal_completion() -> None:
    ideal = PatternCompletion(((1, 2, 3), (0, 1, 2, 3)))()
    assert ideal.recall(cue=(1, 2)) == {"cue": (1, 2, 3), "content": (1, 2, 3)}
    assert ideal.recall(content=(0, 1))["content"] == (0, 1, 2, 3)
    assert ideal.recall(cue=(7,))["cue"] == (7,)
    assert not ideal.holds((7, 8))
    assert ideal.store((7, 8), (0,)) == {"cue": (7, 8), "content": (0,)}
    assert ideal.holds((7, 8))
    assert ideal.recall(cue=(7,))["cue"] == (7, 8)
    assert ideal.forget((7, 8)) == {"cue": (7, 8)}
    assert not ideal.holds((7, 8))
    assert PatternCompletion() == PatternCompletion(())


FILES = {"oscillatory": (oscillatory_file, ca3_oscillatory), "regulated": (regulated_file, ca3_regulated)}
N_OPERATIONS = {"oscillatory": {"functional": 6}, "regulated": {"training": 8, "functional": 4}}


@pytest.mark.parametrize("backend", ["cpu", "spinnaker-emulator"])
@pytest.mark.parametrize(("name", "protocol"), [(name, protocol) for name, found in N_OPERATIONS.items() for protocol in found])
def test_every_operation_of_the_protocols_is_right(name: str, protocol: str, backend: str) -> None:
    """With the plan's check of gaps, so the published rates are within the gaps of the models."""
    module, build = FILES[name]
    assert set(module.PROTOCOLS) == set(N_OPERATIONS[name])
    recipe = module.PROTOCOLS[protocol]
    entry = ModelEntry(name, build, module.PROTOCOLS)
    parameters = dict(recipe.parameters)
    memory = entry.build(**parameters)
    assert memory == entry.build(**parameters)
    outcomes = neuromem.run(memory, entry.protocol(protocol, parameters), backend=backend).outcomes
    assert len(outcomes) == N_OPERATIONS[name][protocol]
    assert [str(o) for o in outcomes if not o.correct] == []


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: ca3_oscillatory(1), "ca3_oscillatory: n_units = 1; expected a whole number from 2 to 20000."),
    (lambda: ca3_regulated(10**5), "ca3_regulated: n_units = 100000; expected a whole number from 2 to 20000."),
    (lambda: ca3_regulated(inhibition=-1.0), "ca3_regulated: inhibition = -1.0; expected a weight in nA, at least 0."),
    (lambda: ca3_regulated(stored=[(0, 15)]), "ca3_regulated, stored pattern 0: unit 15; expected unit numbers from 0 to 14."),
    (
        lambda: ca3_regulated(stored=[3]),
        "ca3_regulated: stored = ((3,),); expected at least one pattern of two units, which have a synapse to learn.",
    ),
]


@pytest.mark.parametrize(("build", "text"), BAD, ids=[text.split(";")[0].split(":")[0] + str(i) for i, (_, text) in enumerate(BAD)])
def test_bad_parameters(build: Callable[[], Any], text: str) -> None:
    with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
        build()
