"""``doctor --gpu --selftest``: every model that ships agrees with ``cpu`` on the device, or it is said which does not."""

from __future__ import annotations

from typing import Any

import emulated
import pytest
from cli_testing import say
from gpu_machines import WithGpu, WithoutGpu

from neuromem.cli import checkup
from neuromem.model_files import model_names


@pytest.fixture(autouse=True)
def device() -> None:
    emulated.install()


def some_models(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr("neuromem.model_files.model_names", lambda: names)


def machine(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    monkeypatch.setattr(checkup.Machine, "gpu", lambda self: kind())


def test_all_models_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.cli.selftest import agreement

    for name in model_names():
        agree, text = agreement(name, ["cupy"])
        assert agree, f"{name}: {text}"
        assert text.startswith("2 engines agree on ")


def test_a_kernel_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from neuromem.cli.selftest import selftest
    from neuromem.kernels.cupy import willshaw

    some_models(monkeypatch, "willshaw", "ca3-cam")
    right = willshaw.recall_winners
    monkeypatch.setattr(willshaw, "recall_winners", lambda *a, **k: right(*a, **k) & 0xFFFF)
    assert not selftest(["cupy"])
    out = capsys.readouterr().out
    assert "WRONG    willshaw  cupy: DIFFERENT from cpu: cupy." in out
    assert "ok       ca3-cam   cupy: 2 engines agree on 322 spikes and on all weights." in out


def test_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    some_models(monkeypatch, "willshaw")
    machine(monkeypatch, WithGpu)
    monkeypatch.setattr("neuromem.cli.checkup_gpu.usable_backends", lambda machine: (["cupy"], ["brian2cuda"]))
    said = say("doctor", "--gpu", "--selftest")
    assert (said.status, said.out.splitlines()[-1]) == (0, "ok       willshaw  cupy: 2 engines agree on 100 answers and on all weights.")


def test_without_a_gpu_nothing_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    machine(monkeypatch, WithoutGpu)
    monkeypatch.setattr("neuromem.cli.selftest.selftest", never)
    said = say("doctor", "--gpu", "--selftest")
    assert said.status == 1
    assert said.out.endswith("No GPU can be used. neuromem can work without, on backend cpu.\n")


def test_it_is_the_device_that_is_tested() -> None:
    said = say("doctor", "--selftest")
    assert said.status == 2
    assert "--selftest without --gpu; expected both: it is the device that is tested." in " ".join(said.err.replace("│", " ").split())
