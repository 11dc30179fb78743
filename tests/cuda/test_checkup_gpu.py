"""``neuromem doctor --gpu``, on machines that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cli_testing import golden, say
from gpu_machines import CARD, WithGpu, WithoutGpu

from neuromem.cli.checkup import Finding, Machine
from neuromem.cli.checkup_gpu import check_gpu
from neuromem.hardware_targets.cuda.machine import Driver, GpuMachine, Missing
from neuromem.hardware_targets.cuda.toolkit import Toolkit


class Shared(WithGpu):
    """Two devices, another process, cuRAND of a package, and no Brian2CUDA."""

    found: Driver | Missing = Driver((13, 0), 2, CARD)
    others: Sequence[str] | None = ("4711, /usr/bin/python, 1200 MiB",)
    free = 10 * 2**30
    installed: Mapping[str, str] = {"cupy-cuda13x": "14.2.0"}
    compiler: Toolkit | Missing = replace(WithGpu.compiler, include_dirs=(Path("/site/include"),))  # type: ignore[type-var]


class OnlyCompiles(WithGpu):
    """A login node: all is installed, and no driver is there."""

    found: Driver | Missing = WithoutGpu.found


class Taken(WithGpu):
    """Another process has the device for itself, and the toolkit is of CUDA 12."""

    free = Missing("device", "another process has the GPU for itself", "nvidia-smi")
    compiler: Toolkit | Missing = replace(WithGpu.compiler, version="12.9")  # type: ignore[type-var]


@pytest.mark.parametrize(("made", "status"), [(WithGpu, 0), (Shared, 0), (WithoutGpu, 1), (OnlyCompiles, 1), (Taken, 1)])
def test_report(made: type[GpuMachine], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "gpu", lambda self: made())
    said = say("doctor", "--gpu")
    assert (said.status, said.out, said.err) == (status, golden(f"cli_doctor_gpu_{made.__name__.lower()}.txt"), "")


def test_nothing_of_a_gpu_is_ever_broken() -> None:
    for made in (WithGpu, Shared, WithoutGpu, OnlyCompiles, Taken):
        assert not any(f.broken for f in check_gpu(made()))


def test_two_cupys_are_shown_as_what_they_are() -> None:
    class Twice(WithGpu):
        installed: Mapping[str, str] = {**WithGpu.installed, "cupy-cuda12x": "13.6.0"}

    found = [f for f in check_gpu(Twice()) if f.state != "ok"]
    text = "CuPy is installed more than once (cupy-cuda12x, cupy-cuda13x), and these clash"
    assert found == [Finding("CuPy", "warning", text, "pip uninstall -y cupy-cuda12x cupy-cuda13x; pip install 'neuromem[cuda]'")]


def test_looks_at_the_real_machine_do_not_fail() -> None:
    found = list(check_gpu(GpuMachine()))
    assert found[0].subject == ("device" if found[0].text.startswith(("no GPU", "the NVIDIA driver sees")) else "driver")
    assert {f.subject for f in found} & {"CuPy", "NVRTC", "cuBLAS"}
