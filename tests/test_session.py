"""Sessions: operations one at a time do what a whole run does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neuromem
from neuromem.backends.base import Backend, Refusal, Support
from neuromem.backends.reference import ReferenceBackend
from neuromem.errors import SpecError, UnsupportedError
from neuromem.runs.outcomes import Outcome
from neuromem.runs.session import Session
from neuromem.spec import (
    MemoryModel,
    OneToOneConnector,
    Population,
    Probe,
    Projection,
    Protocol,
    RandomDistribution,
    SpikeSourceArray,
    SpikeSourcePoisson,
    StaticSynapse,
    Stimulus,
)

MEMORY = neuromem.models.ca3_cam(n_cues=3, n_content=4)
HURRIED = replace(MEMORY, settling=0)
"""The memory whose operations follow as soon as is safe over few of them."""


def perform(session: Session) -> list[Outcome]:
    """Every kind of operation, an overwrite included."""
    return [
        session.store(0, [0, 1]),
        session.store(1, [1, 3]),
        session.recall(cue=0),
        session.recall(content=[1]),
        session.store(0, [2]),
        session.recall(content=1),
        session.recall(cue=0),
        session.forget(1),
        session.recall(cue=1),
    ]


def same_as_a_run(memory: MemoryModel, seed: int = 0) -> None:
    """Perform interactively, then the same operations at the same steps as one protocol."""
    session = neuromem.build(memory, backend="reference", seed=seed)
    done = perform(session)
    protocol = Protocol("same", tuple(o.operation for o in done), session.simulation.step)
    result = neuromem.run(memory, protocol, backend="reference", seed=seed)
    for found, expected in zip(
        session.simulation.spikes(), (result.recording.replica, result.recording.step, result.recording.unit), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    for name, weights in result.recording.weights.items():
        np.testing.assert_array_equal(session.weights(name), weights[0])
    assert tuple(done) == result.outcomes


@pytest.mark.parametrize("memory", [MEMORY, HURRIED], ids=["settled", "hurried"])
def test_operations_answer_as_they_should(memory: MemoryModel) -> None:
    session = neuromem.build(memory, backend="reference")
    done = perform(session)
    assert all(o.correct for o in done)
    assert done[2].answer == {"content": (0, 1)}
    assert done[3].answer == {"cue": (0, 1)}
    assert done[5].answer == {"cue": (1,)}
    assert done[6].answer == {"content": (2,)}
    assert done[8].answer == {"content": ()}
    assert [o.latency for o in done] == [5, 5, 6, 6, 5, 6, 6, 5, None]


@pytest.mark.parametrize("memory", [MEMORY, HURRIED], ids=["settled", "hurried"])
def test_a_session_is_a_run(memory: MemoryModel) -> None:
    same_as_a_run(memory)


@pytest.mark.parametrize("settling", [0, 7, 8, 11, 12, 13, 20])
def test_operations_are_as_long_as_the_next_one_and_settling_may_need(settling: int) -> None:
    # The widest safe gap after each operation but the last; 7 is when a recall has come out.
    store, recall, overwrite, forget = 10, 7, 12, 12
    widest = [store, store, recall, recall, overwrite, recall, recall, forget]
    session = neuromem.build(replace(MEMORY, settling=settling), backend="reference")
    at = [o.operation.at for o in perform(session)]
    assert np.diff(at).tolist() == [max(gap, settling) for gap in widest]
    assert session.simulation.step - at[-1] == max(recall, settling)


def test_the_memory_settles_between_operations() -> None:
    assert MEMORY.settling == 40
    at = [o.operation.at for o in perform(neuromem.build(MEMORY, backend="reference"))]
    assert at == list(range(0, 40 * len(at), 40))


@pytest.mark.parametrize("settling", [None, 0])
def test_a_memory_that_settles_lasts_longer(settling: int | None) -> None:
    # What is left of the traces at the next operation is small, but it adds up, until forgotten content comes back.
    # Settling postpones that, by a factor of e every 3 steps (tau of the traces); it does not prevent it.
    memory = neuromem.models.ca3_cam(n_cues=5, n_content=10)
    session = neuromem.build(memory if settling is None else replace(memory, settling=settling), backend="cpu")
    wrong = 0
    for k in range(1000):
        session.store(k % 5, [k % 10, (k + 3) % 10])
        wrong += not session.recall(cue=k % 5).correct
    assert (wrong > 0) == (settling == 0)


def noisy(memory: MemoryModel) -> MemoryModel:
    """The memory with random weights, a stimulus of its own, and Poisson noise strong enough to spoil answers."""
    network = memory.network
    clock = Population("clock", 7, SpikeSourceArray())
    noise = Population("noise", 7, SpikeSourcePoisson(rate=80.0, start=15.0))
    random = StaticSynapse(RandomDistribution("uniform", 2.0, 4.0), 2.0)
    return replace(
        memory,
        network=replace(
            network,
            populations=(clock, noise, *network.populations),
            projections=(
                *network.projections,
                Projection("clock", "out", OneToOneConnector(), random),
                Projection("noise", "out", OneToOneConnector(), random),
            ),
            stimuli=(
                Stimulus("clock", np.array([1, 6, 3]), np.array([0.0, 25.0, 41.0])),
                Stimulus("clock", np.array([5]), np.array([1e4])),
            ),
            probes=(*network.probes, Probe("clock"), Probe("noise")),
        ),
    )


def test_a_session_goes_on_with_stimuli_and_poisson_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("neuromem.ir.sources", "neuromem.runs.session"):
        monkeypatch.setattr(f"{module}.BLOCK", 16)  # so that operations cross from block to block
    memory = noisy(MEMORY)
    same_as_a_run(memory, seed=3)
    session = neuromem.build(memory, backend="reference", seed=3)
    perform(session)
    _, step, unit = session.simulation.spikes()
    clock = session.simulation.program.population("clock")
    mine = (unit >= clock.first) & (unit < clock.first + clock.size)
    assert list(zip(step[mine].tolist(), (unit[mine] - clock.first).tolist(), strict=True)) == [(0, 1), (25, 6), (41, 3)]
    other = neuromem.build(memory, backend="reference", seed=4)
    perform(other)
    assert other.simulation.spikes()[1].tolist() != step.tolist()


def test_plasticity_is_off_in_operations_that_say_so() -> None:
    # What a store learns is applied at the next pre spike: that of a recall, where it is off.
    frozen = replace(MEMORY, forms=tuple(replace(f, plastic=f.kind != "recall") for f in MEMORY.forms))
    session = neuromem.build(frozen, backend="reference")
    session.store(0, [0, 1])
    assert session.recall(cue=0).answer == {"content": ()}
    assert not session.weights("s1_cue>s1_cont").any()
    same_as_a_run(frozen)


@pytest.mark.parametrize("make", [lambda: MEMORY, lambda: noisy(MEMORY)], ids=["plain", "noisy"])
def test_restore_returns_to_the_saved_state(make: Callable[[], MemoryModel]) -> None:
    session = neuromem.build(make(), backend="reference")
    session.store(1, [0, 1])
    kept = session.save()
    first = perform(session)
    spikes, weights = session.simulation.spikes(), session.weights("s1_cue>s1_cont")
    for _ in range(2):  # a checkpoint is not used up
        session.restore(kept)
        assert session.simulation.step == MEMORY.settling  # which is longer than the safe gaps
        assert perform(session) == first  # a store is an overwrite again where it was one, and only there
        for again, before in zip(session.simulation.spikes(), spikes, strict=True):
            np.testing.assert_array_equal(again, before)
        np.testing.assert_array_equal(session.weights("s1_cue>s1_cont"), weights)


def test_patterns_in_all_their_forms() -> None:
    session = neuromem.build(MEMORY, backend="reference")
    for content in ([3, 0], (0, 3), np.array([0, 3]), np.array([True, False, False, True])):
        assert session.store(np.int64(1), content).answer == {"cue": (1,), "content": (0, 3)}


def raises(text: str) -> Any:
    return pytest.raises(SpecError, match=f"^{re.escape(text)}$")


def test_bad_patterns_change_nothing() -> None:
    session = neuromem.build(HURRIED, backend="reference")
    with raises("ca3-cam, store, cue: unit 3; expected unit numbers from 0 to 2."):
        session.store(3, [0])
    with raises("ca3-cam, recall, content: unit -1; expected unit numbers from 0 to 3."):
        session.recall(content=[-1])
    with raises(
        "recall at step 0: ca3-cam has no recall with nothing; it has: store with cue and content; recall with cue; recall with content; forget with cue."
    ):
        session.recall()
    assert session.simulation.step == 0
    session.store(0, [0])
    assert session.simulation.step == 10  # after an overwrite it would be 12: the bad ones were not stored


def test_an_unknown_projection() -> None:
    memory = replace(MEMORY, network=replace(MEMORY.network, projections=MEMORY.network.projections[9:11]))
    session = neuromem.build(memory, backend="reference")
    assert session.weights("s2_cont>s2_cue").shape == (12,)
    with raises("ca3-cam: no projection 's1_cue>cont'; it has s1_cue>s1_cont, s2_cont>s2_cue (did you mean 's1_cue>s1_cont'?)."):
        session.weights("s1_cue>cont")


def test_a_backend_that_is_not_interactive() -> None:
    class Batch(ReferenceBackend):
        name = "batch"
        support = Support({"interactive": Refusal("never", "it runs in one piece.")})

    backend: Backend = Batch()
    text = "backend 'batch' will not do 'interactive': it runs in one piece. It runs whole protocols: neuromem.run(memory, protocol, backend='batch'); other backends are interactive."
    with pytest.raises(UnsupportedError, match=f"^{re.escape(text)}$"):
        Session(MEMORY, backend)


def test_outcomes_and_sessions_in_print() -> None:
    session = neuromem.build(MEMORY, backend="reference")
    assert repr(session) == "<Session: ca3-cam on reference, at step 0>"
    stored = session.store(0, [1, 0])
    assert str(stored) == "store cue 0; content 0 1 -> right"
    assert repr(stored) == "<Outcome at step 0: store cue 0; content 0 1 -> right>"
    assert str(session.recall(cue=0)) == "recall cue 0 -> content 0 1 (right)"
    assert str(session.recall(content=2)) == "recall content 2 -> cue nothing (right)"
    assert repr(session) == "<Session: ca3-cam on reference, at step 120>"
    heard_in_part = replace(stored, answer={"cue": (0,), "content": ()}, correct=False)
    assert str(heard_in_part) == "store cue 0; content 0 1 -> cue 0; content nothing (WRONG, expected cue 0; content 0 1)"


def test_forgetting_leaves_the_way_from_content_to_cue() -> None:
    session = neuromem.build(MEMORY, backend="reference")
    session.store(0, [0, 1])
    assert str(session.forget(0)) == "forget cue 0 -> right"
    assert str(session.recall(cue=0)) == "recall cue 0 -> content nothing (right)"
    assert str(session.recall(content=0)) == "recall content 0 -> cue 0 (WRONG, expected nothing)"


def test_weights_read_0_right_after_one_store() -> None:
    session = neuromem.build(MEMORY, backend="reference")
    session.store(0, [0, 1])
    for projection in session.simulation.program.plastic:
        assert not session.weights(projection.name).any()
    assert session.recall(cue=0).correct  # what was learned is in the weight at the sending cell's next spike
    assert session.weights("s1_cue>s1_cont").any()
