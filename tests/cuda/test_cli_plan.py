"""``neuromem plan`` and ``--backend auto``, on machines that are made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_testing import golden, say, without_seconds
from gpu_machines import WithGpu, WithoutGpu

from neuromem.hardware_targets.cuda.machine import GpuMachine
from neuromem.runs import predict


class NoCupy(WithGpu):
    """A GPU, and Brian2CUDA alone."""

    installed: Mapping[str, str] = {name: version for name, version in WithGpu.installed.items() if "cupy" not in name}


class SmallGpu(WithGpu):
    """A GPU of which others have taken most."""

    free = 2**30


def on(machine: type[GpuMachine], monkeypatch: pytest.MonkeyPatch, memory: int = 2**34) -> None:
    """Make the command believe that it runs on this machine, with two threads and 16 GiB."""
    monkeypatch.setattr(predict, "GpuMachine", machine)
    monkeypatch.setattr(predict, "available_memory", lambda: memory)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


PLANS: dict[str, tuple[type[GpuMachine], str]] = {
    "hopfield_small": (WithoutGpu, "hopfield"),
    "hopfield_large": (WithoutGpu, "hopfield --set n=16384 --patterns 1600"),
    "hopfield_here": (WithGpu, "hopfield --set n=16384 --patterns 1600"),
    "hopfield_h200": (WithGpu, "hopfield --set n=16384 --patterns 1600 --device h200"),
    "willshaw_equal": (WithGpu, "willshaw --set n=65536 --set k=16 --patterns 300000 --cues 8192 --steps 2"),
    "willshaw_many_cues": (WithGpu, "willshaw --set n=65536 --set k=16 --patterns 300000 --cues 16384 --steps 2"),
    "hetero_pays": (WithGpu, "hetero --set n=32768 --set n_content=32768 --patterns 1000"),
    "hetero_no_gpu": (WithoutGpu, "hetero --set n=65536 --set n_content=65536 --patterns 10"),
    "willshaw_rows": (WithGpu, "willshaw --set n=1000000 --patterns 1000"),
    "hetero_device_too_small": (SmallGpu, "hetero --set n=16384 --set n_content=16384 --patterns 10"),
    "bcpnn_too_large": (WithGpu, "bcpnn --set n=10000000 --patterns 10"),
    "hetero_host_too_small": (WithGpu, "hetero --set n=65536 --set n_content=65536 --patterns 10"),
    "ca3": (WithGpu, "ca3-cam"),
    "ca3_stress": (NoCupy, "ca3-cam --protocol stress --set n_cues=64 --set n_content=32 --replicas 1000 --rate 20 --steps 100000"),
}


@pytest.mark.parametrize("name", PLANS)
def test_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, arguments = PLANS[name]
    on(machine, monkeypatch)
    said = say("plan", *arguments.split())
    assert (said.status, said.out, said.err) == (0, golden(f"cli_plan_{name}.txt"), "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("hopfield --device a100", "--device a100: expected h200, or none, for this machine's."),
        ("hopfield --rate 5", "--rate 5.0: hopfield, it has no spikes: leave it out."),
        ("hopfield --replicas 5", "--replicas 5: hopfield, it has no spikes: leave it out."),
        ("hopfield --cues 0", "hopfield: cues = 0; expected a whole number, at least 1."),
        ("hetero --steps 2", "hetero: steps = 2; its answer is one read: expected 1, or none."),
        ("ca3-cam --cues 5", "--cues 5: ca3-cam, it has spikes, and no cues in batches: expected --replicas."),
        ("ca3-cam --patterns 5", "--patterns: ca3-cam has spikes, and protocols in place of trials; expected --protocol."),
        ("ca3-cam --rate 2000", "ca3-cam: rate = 2000.0; expected spikes a second of a unit, from 0 to 1000, one a step."),
    ],
)
def test_bad_options(arguments: str, error: str) -> None:
    said = say("plan", *arguments.split())
    assert (said.status, said.out, said.err) == (1, "", f"error: {error}\n")


def test_a_plan_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory of 728 TiB is planned as any other."""
    on(WithoutGpu, monkeypatch)
    assert "It fits neither here nor on NVIDIA H200" in say("plan", "bcpnn", "--set", "n=10000000").out


def test_the_name_of_a_device_is_taken_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    on(WithGpu, monkeypatch)
    assert say("plan", "hopfield", "--device", "H200") == say("plan", "hopfield", "--device", "h200")


def test_brian2_is_marked_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    on(WithGpu, monkeypatch)
    monkeypatch.setattr("neuromem.analysis.plan.find_spec", lambda _: None)
    assert "\nbrian2 (not installed)  14.6 KiB  16 GiB " in say("plan", "ca3-cam").out


NO_GPU = "backend auto: cpu, because no GPU can be used here; missing: driver, CuPy, Brian2CUDA, toolkit (neuromem doctor --gpu)\n"
NOT_WORTH = "backend auto: cpu, because a GPU does not pay here: about 500 ms, and 1.5 s on cupy\n"


@pytest.mark.parametrize("arguments", ["hopfield --patterns 3", "ca3-cam"])
def test_auto_names_the_engine_that_ran(arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on(WithoutGpu, monkeypatch)
    said = say("run", *arguments.split(), "--backend", "auto", "--json")
    plain = say("run", *arguments.split(), "--backend", "cpu", "--json")
    assert (said.status, said.err) == (0, NO_GPU)
    assert said.out == plain.out
    assert json.loads(said.out)["backend"] == "cpu"


def test_auto_with_a_gpu_that_does_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    on(WithGpu, monkeypatch)
    monkeypatch.setattr(predict, "supports", lambda *_: True)
    said = say("run", "ca3-cam", "--backend", "auto", "--no-raster")
    assert (said.status, said.err) == (0, NOT_WORTH)
    assert without_seconds(said.out).splitlines()[-1].endswith("; backend cpu; # s")


def test_auto_refuses_what_it_cannot_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(WithoutGpu, monkeypatch)
    said = say("run", "ca3-cam", "--backend", "auto", "--codegen", "numpy", "--no-raster")
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: --codegen numpy with --backend auto; expected --backend brian2 with it, or auto alone.\n"
    wrong = say("run", "hopfield", "--backend", "auto", "--noise", "moves=0.1", "--out", str(tmp_path / "x.zarr"))
    assert wrong.status == 1
    assert "backend auto" not in wrong.err  # wrong input is refused before anything is looked at
