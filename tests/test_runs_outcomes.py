"""Outcomes: what is read, when, from which replica, and what counts as right."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import neuromem
from neuromem.errors import SpecError
from neuromem.ir import Program, Recording, lower_memory
from neuromem.models.ca3_cam import functional, state_map
from neuromem.runs.outcomes import outcomes
from neuromem.spec import MemoryModel, Network, Protocol, recall, store

MEMORY = neuromem.models.ca3_cam(n_cues=2, n_content=3)
FIRST = {"cue": 0, "content": 2}  # of the readout within the population "out"


def recording(program: Program, spikes: list[tuple[int, int]], n_steps: int | None = None, replica: int = 0) -> Recording:
    """Return a recording of nothing but these (step, unit of "out")."""
    first = program.population("out").first
    step, unit = np.array(sorted(spikes), dtype=np.int64).reshape(-1, 2).T
    return Recording(program, n_steps or program.n_steps, np.full(step.size, replica), step, unit + first, {}, {})


def one_recall() -> tuple[Protocol, Program]:
    """A store at 0, a recall by cue at 20: the answer is content {0, 2} at step 26."""
    protocol = Protocol("p", (store(0, (1,), (0, 2)), recall(20, cue=(1,))), n_steps=30)
    return protocol, lower_memory(MEMORY, protocol)


@pytest.mark.parametrize(
    ("spikes", "answer", "correct", "latency"),
    [
        ([(26, 2), (26, 4)], (0, 2), True, 6),
        ([(25, 1), (26, 2), (26, 4)], (0, 2), True, 6),  # the echo of the cue is not the answer
        ([(25, 2), (26, 2), (26, 4)], (0, 2), True, 5),  # too early a spike is seen in the latency
        ([(26, 2)], (0,), False, 6),
        ([(26, 2), (26, 3), (26, 4)], (0, 1, 2), False, 6),
        ([(25, 2), (25, 4)], (), False, 5),  # a step early is wrong
        ([(27, 2), (27, 4)], (), False, None),  # a step late too, and no longer caused by the operation
        ([(19, 2), (26, 2), (26, 4)], (0, 2), True, 6),  # before the operation
        ([(26, 0), (26, 1)], (), False, None),  # the other role
        ([], (), False, None),
    ],
)
def test_recall_reads_the_answering_role_at_its_step(
    spikes: list[tuple[int, int]], answer: tuple[int, ...], correct: bool, latency: int | None
) -> None:
    protocol, program = one_recall()
    found = outcomes(MEMORY, protocol, recording(program, spikes))[1]
    assert found.operation == recall(20, cue=(1,))
    assert found.form.name == "recall_by_cue"
    assert found.expected == {"content": (0, 2)}
    assert (found.answer, found.correct, found.latency) == ({"content": answer}, correct, latency)


def test_store_answers_with_the_echo_of_both_roles() -> None:
    protocol, program = one_recall()
    echo = [(5, 1), (5, 2), (5, 4)]
    assert outcomes(MEMORY, protocol, recording(program, echo))[0].answer == {"cue": (1,), "content": (0, 2)}
    assert outcomes(MEMORY, protocol, recording(program, echo))[0].correct
    assert not outcomes(MEMORY, protocol, recording(program, echo[1:]))[0].correct  # the cue is missing
    assert not outcomes(MEMORY, protocol, recording(program, echo[:2]))[0].correct  # a content bit is missing


def test_results_in_print() -> None:
    result = neuromem.run(neuromem.models.ca3_cam(), functional(5, 10), backend="reference")
    assert repr(result) == "<RunResult: ca3-cam, protocol functional, on reference: 9 of 9 right, 322 spikes>"
    part = replace(
        result,
        recording=replace(result.recording, n_steps=64),
        outcomes=(replace(result.outcomes[0], correct=False), *result.outcomes[1:6]),
    )
    assert repr(part) == "<RunResult: ca3-cam, protocol functional, on reference: 5 of 6 right, 322 spikes, until step 64 of 90>"


def test_functional_protocol_is_right_with_the_published_latencies() -> None:
    result = neuromem.run(neuromem.models.ca3_cam(), functional(5, 10), backend="reference")
    assert [o.correct for o in result.outcomes] == [True] * 9
    assert [o.latency for o in result.outcomes] == [5, 5, 5, 6, 6, 6, 5, 6, 6]
    assert result.outcomes[5].answer == {"cue": (0, 3)}


def test_latency_ignores_what_the_operation_before_still_sends() -> None:
    # At steps of 7, the second output spike of a store falls on the first step of the next one; at
    # steps of 6, the answer of a recall does.
    result = neuromem.run(neuromem.models.ca3_cam(16, 6), state_map(16, 6), backend="reference")
    assert [o.latency for o in result.outcomes] == [5] * 16 + [6] * 4
    assert all(o.correct for o in result.outcomes)


def test_an_interrupted_recording_has_the_outcomes_that_it_reaches() -> None:
    protocol, program = one_recall()
    spikes = [(5, 1), (5, 2), (5, 4), (26, 2), (26, 4)]
    assert len(outcomes(MEMORY, protocol, recording(program, spikes, n_steps=27))) == 2
    assert len(outcomes(MEMORY, protocol, recording(program, spikes[:3], n_steps=26))) == 1  # steps 0..25 were run
    assert len(outcomes(MEMORY, protocol, recording(program, [], n_steps=5))) == 0


def test_each_replica_has_its_own_outcomes() -> None:
    protocol, program = one_recall()
    both = replace(program, seeds=(0, 1))
    right, wrong = recording(both, [(26, 2), (26, 4)], replica=0), recording(both, [(26, 3)], replica=1)
    merged = replace(
        right,
        replica=np.concatenate([right.replica, wrong.replica]),
        step=np.concatenate([right.step, wrong.step]),
        unit=np.concatenate([right.unit, wrong.unit]),
    )
    assert outcomes(MEMORY, protocol, merged)[1].answer == {"content": (0, 2)}
    assert outcomes(MEMORY, protocol, merged, replica=1)[1].answer == {"content": (1,)}


def test_a_replica_that_is_not_there() -> None:
    protocol, program = one_recall()
    with pytest.raises(SpecError, match=r"^outcomes: replica 1; expected 0 to 0\.$"):
        outcomes(MEMORY, protocol, recording(program, []), replica=1)


def test_a_readout_that_is_not_recorded() -> None:
    network = Network(MEMORY.network.populations, MEMORY.network.projections)
    blind: MemoryModel = replace(MEMORY, network=network)
    protocol, _ = one_recall()
    text = "ca3-cam: role 'cue' is read from 'out', whose spikes are not recorded; add Probe('out')."
    with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
        outcomes(blind, protocol, recording(lower_memory(blind, protocol), []))
