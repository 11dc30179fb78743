"""The verbs as a user's program calls them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromem
from neuromem.backends.base import Simulation
from neuromem.backends.reference import ReferenceSimulation
from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir import Recording
from neuromem.models.ca3_cam import functional, stress
from neuromem.spec import (
    FixedProbabilityConnector,
    IFCurrExp,
    MemoryModel,
    Network,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    Role,
    SpikeSourcePoisson,
    StaticSynapse,
    View,
)

MEMORY = neuromem.models.ca3_cam()
NETWORK = MEMORY.network


def raises(text: str) -> Any:
    return pytest.raises(SpecError, match=f"^{re.escape(text)}$")


def test_importing_is_light_and_models_are_there() -> None:
    code = "import sys, neuromem; neuromem.models.ca3_cam(n_cues=5, n_content=10); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"brian2", "cupy", "zarr", "dask", "typer", "numba", "matplotlib", "networkx", "pydantic", "scipy"}
    assert heavy & set(loaded) == set()


# run


def test_run_returns_all_of_it() -> None:
    seen: list[tuple[int, int]] = []
    protocol = functional(5, 10)
    result = neuromem.run(MEMORY, protocol, backend="reference", seed=3, progress=lambda done, total: seen.append((done, total)))
    assert (result.memory, result.protocol, result.backend, result.options) == (MEMORY, protocol, "reference", {})
    assert result.versions == {"numpy": np.__version__}
    assert result.recording.complete
    assert result.recording.program.seeds == (3,)
    assert len(result.outcomes) == 9
    assert seen[-1] == (90, 90)


def test_ctrl_c_keeps_what_was_run() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(neuromem.InterruptedRun, match=r"^interrupted after 64 of 90 steps$") as stopped:
        neuromem.run(MEMORY, functional(5, 10), backend="reference", progress=stop)
    assert isinstance(stopped.value, KeyboardInterrupt)
    result = stopped.value.result
    assert not result.recording.complete
    assert len(result.outcomes) == 6
    assert all(o.correct for o in result.outcomes)


def test_ctrl_c_in_the_middle_of_a_step_keeps_whole_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    probed = replace(MEMORY, network=replace(NETWORK, probes=(*NETWORK.probes, Probe("s1_cue", "v"), Probe("out", "v"))))
    whole = neuromem.run(probed, functional(5, 10), backend="reference").recording
    record = ReferenceSimulation._record

    def interrupted(self: ReferenceSimulation, op: Any) -> None:
        if self.step == 70 and op.target == "out.v":  # spikes of the input, and one of two states, are recorded already
            raise KeyboardInterrupt
        record(self, op)

    monkeypatch.setattr(ReferenceSimulation, "_record", interrupted)
    with pytest.raises(neuromem.InterruptedRun) as stopped:
        neuromem.run(probed, functional(5, 10), backend="reference")
    part: Recording = stopped.value.result.recording
    assert part.n_steps == 70
    np.testing.assert_array_equal(part.step, whole.step[whole.step < 70])
    assert whole.step[whole.step == 70].size
    for key in (("s1_cue", "v"), ("out", "v")):
        np.testing.assert_array_equal(part.states[key], whole.states[key][:, :70])


def test_ctrl_c_on_a_backend_that_runs_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Simulation, progress: object = None) -> Recording:
        raise KeyboardInterrupt

    def recording(self: Simulation) -> Recording:
        raise UnsupportedError("nothing yet")

    monkeypatch.setattr(ReferenceSimulation, "run", run)
    monkeypatch.setattr(ReferenceSimulation, "recording", recording)
    with pytest.raises(KeyboardInterrupt) as stopped:
        neuromem.run(MEMORY, functional(5, 10), backend="reference")
    assert type(stopped.value) is KeyboardInterrupt


PROTOCOL = """
gap = 20
[[operation]]
kind = "store"
cue = 0
content = [1, 2]
[[operation]]
kind = "recall"
cue = 0
"""


def test_a_protocol_by_name_is_the_models_own_at_the_memorys_size() -> None:
    memory = neuromem.models.ca3_cam(3, 4)
    result = neuromem.run(memory, "stress", backend="reference")
    assert result.protocol == stress(3, 4)


def test_a_protocol_file_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PROTOCOL)
    protocol = neuromem.load_protocol(path)
    result = neuromem.run(MEMORY, protocol, backend="reference")
    assert result.protocol == protocol.for_memory(MEMORY)
    assert result.outcomes[1].answer == {"content": (1, 2)}
    assert result.recording.program.digest == neuromem.lower(MEMORY, protocol).digest


def test_load_model() -> None:
    assert neuromem.load_model("ca3-cam", n_cues=4) == neuromem.models.ca3_cam(n_cues=4)


# check, lower, build


def test_check_and_lower() -> None:
    assert neuromem.check(MEMORY) is MEMORY
    assert neuromem.check(NETWORK, dt=1.0) is NETWORK
    assert neuromem.lower(MEMORY, functional(5, 10), seed=2).seeds == (2,)
    program = neuromem.lower(NETWORK, dt=1.0, n_steps=3, seed=2)
    assert (program.n_steps, program.seeds) == (3, (2,))
    assert neuromem.build(program, backend="reference").run().n_steps == 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: neuromem.check(3), "check: int; expected a MemoryModel or a Network."),
        (lambda: neuromem.check(NETWORK), "check: dt is missing; a Network needs it: check(network, dt=...)."),
        (lambda: neuromem.check(MEMORY, dt=1.0), "check: dt = 1.0 with a MemoryModel, which has its own; expected it with a Network only."),
        (lambda: neuromem.lower("x"), "lower: str; expected a MemoryModel or a Network."),
        (lambda: neuromem.lower(MEMORY), "lower: protocol is missing; expected lower(memory, protocol)."),
        (lambda: neuromem.lower(NETWORK, dt=1.0), "lower: n_steps is missing; a Network needs it: lower(network, n_steps=...)."),
        (lambda: neuromem.lower(NETWORK, n_steps=1), "lower: dt is missing; a Network needs it: lower(network, dt=...)."),
        (
            lambda: neuromem.lower(MEMORY, functional(5, 10), n_steps=5),
            "lower: n_steps = 5 with a MemoryModel, which has its own; expected it with a Network only.",
        ),
        (
            lambda: neuromem.lower(NETWORK, functional(5, 10), dt=1.0, n_steps=1),
            "lower: a protocol with a Network; expected a MemoryModel, which says how its operations look.",
        ),
        (
            lambda: neuromem.build(NETWORK, backend="reference"),
            "build: Network; expected a MemoryModel, or a Program (a Network becomes one by lower).",
        ),
        (
            lambda: neuromem.build(neuromem.lower(NETWORK, dt=1.0, n_steps=1), backend="reference", seed=3),
            "build: seed = 3 with a Program, whose random numbers are drawn already; give the seed to lower.",
        ),
        (lambda: neuromem.run(NETWORK, functional(5, 10), backend="reference"), "run: Network; expected a MemoryModel."),
        (
            lambda: neuromem.run(MEMORY, "functionl", backend="reference"),
            "ca3-cam: no protocol 'functionl'; expected one of functional, state_map, stress, or a .toml file (did you mean 'functional'?).",
        ),
        (
            lambda: neuromem.run(MEMORY, 3, backend="reference"),  # type: ignore[arg-type]
            "protocol = 3; expected a Protocol, the name of one of the model's, or a .toml file.",
        ),
    ],
)
def test_wrong_arguments(call: Callable[[], object], text: str) -> None:
    with raises(text):
        call()


# What check says of a memory


def with_role(role: Role) -> MemoryModel:
    return replace(MEMORY, roles=(role, MEMORY.roles[1]))


def with_form(**changes: Any) -> MemoryModel:
    return replace(MEMORY, forms=(replace(MEMORY.forms[0], **changes), *MEMORY.forms[1:]))


CUE = MEMORY.roles[0]
FORMS = "forget, overwrite, recall_by_content, recall_by_cue, store"


@pytest.mark.parametrize(
    ("memory", "text"),
    [
        (
            replace(MEMORY, dt=0.3),
            "Projection 'in[0:5]>s1_cue': delay = 1 ms is not a whole number of 0.3 ms steps; nearest are 0.9 and 1.2 ms.",
        ),
        (
            with_role(replace(CUE, input=View("inn", 0, 5))),
            "ca3-cam: input of role 'cue': no population 'inn'; the network has in, merge_cont, merge_cue, out, s1_cont, s1_cue, s2_cond, s2_cont, s2_cue, s2_int (did you mean 'in'?).",
        ),
        (
            with_role(replace(CUE, readout=View("out", 11, 16))),
            "ca3-cam: readout of role 'cue': units 11:16 of 'out'; expected at most 15, its size.",
        ),
        (
            with_role(replace(CUE, input=View("s1_cue", 0, 5))),
            "ca3-cam: input of role 'cue' is 's1_cue', whose cells are IFCurrExp; expected SpikeSourceArray.",
        ),
        (
            replace(MEMORY, network=replace(NETWORK, probes=())),
            "ca3-cam: role 'cue' is read from 'out', whose spikes are not recorded; add Probe('out').",
        ),
        (with_form(answers=("cue", "tag")), "ca3-cam: form 'store' names the role 'tag'; the memory has content, cue."),
        (with_form(hold=0), "ca3-cam: form 'store' has hold = 0; expected at least 1."),
        (with_form(answer_at=-1), "ca3-cam: form 'store' has answer_at = -1; expected at least 0."),
        (with_form(n_steps=0), "ca3-cam: form 'store' has n_steps = 0; expected at least 1."),
        (
            replace(MEMORY, gaps={("store", "recal_by_cue"): 3}),
            f"ca3-cam: gap ('store', 'recal_by_cue') names the form 'recal_by_cue'; expected one of {FORMS} (did you mean 'recall_by_cue'?).",
        ),
        (replace(MEMORY, gaps={("store", "store"): 0}), "ca3-cam: gap ('store', 'store') = 0; expected a number of steps, at least 1."),
    ],
)
def test_a_memory_that_does_not_fit_its_network(memory: MemoryModel, text: str) -> None:
    for verb in (neuromem.check, lambda m: neuromem.lower(m, functional(5, 10)), lambda m: neuromem.build(m, backend="reference")):
        with raises(text):
            verb(memory)


def test_a_codegen_can_be_part_of_the_name() -> None:
    result = neuromem.run(MEMORY, "functional", backend="brian2:numpy")
    assert (result.backend, result.options) == ("brian2", {"codegen": "numpy"})
    with raises("backend 'brian2:numpy' with codegen = 'cython'; expected one of the two."):
        neuromem.run(MEMORY, "functional", backend="brian2:numpy", codegen="cython")


def test_input_seed_changes_nothing_but_the_input() -> None:
    source, cells = Population("noise", 20, SpikeSourcePoisson(100.0)), Population("cells", 5, IFCurrExp())
    synapses = Projection("noise", "cells", FixedProbabilityConnector(0.5), StaticSynapse(RandomDistribution("uniform", 0.0, 1.0)))
    network = Network((source, cells), (synapses,))
    one, other = (neuromem.lower(network, dt=1.0, n_steps=50, seed=3, input_seed=s) for s in (3, 4))
    assert one.digest == neuromem.lower(network, dt=1.0, n_steps=50, seed=3).digest
    assert one.network_digest == other.network_digest
    assert one.schedule.unit.tolist() != other.schedule.unit.tolist()
