"""What goes wrong on a device is said before it happens where it can be, and in words where it cannot; the host is as it was."""

from __future__ import annotations

import re
import sys
from typing import Any

import emulated
import numpy as np
import pytest

import neuromem
from neuromem.errors import BackendMissingError, LimitError, NeuromemError, SpecError
from neuromem.ir import Program, lower
from neuromem.models.ca3_cam import ca3_cam
from neuromem.spec import IFCurrExp, Network, Population


@pytest.fixture(autouse=True)
def device() -> None:
    if not emulated.install():
        pytest.skip("a real device is there; these faults are made up")


def full(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Leave so many bytes free on the device."""
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "memGetInfo", lambda: (free, 2**33))


def program(n: int) -> Program:
    return lower(Network((Population("cells", n, IFCurrExp()),), ()), dt=0.1, n_steps=1)


def test_a_table_that_does_not_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, 2**20)
    with pytest.raises(LimitError) as refused:
        neuromem.build(neuromem.models.willshaw(n=32768, k=12), "cupy")
    assert str(refused.value) == (
        "willshaw: its tables take 128 MiB; 1 MiB of memory are free on the device. Take fewer units or patterns."
    )


def test_patterns_that_do_not_fit_are_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    session = neuromem.build(neuromem.models.dense(n=1024), "cupy")
    patterns = np.random.default_rng(1).integers(0, 2, (3, 1024)) * 2 - 1
    session.store(patterns)
    full(monkeypatch, 2**20)
    monkeypatch.setattr("neuromem.runs.matrix_session.growth", lambda program, m: m * 2**26)
    with pytest.raises(
        LimitError, match=r"^dense: its tables take 320 MiB; 1 MiB of memory are free on the device\. Take fewer units or patterns\.$"
    ):
        session.store(-patterns[:2])
    assert session.n_stored == 3
    assert np.array_equal(session.recall(patterns).answer, patterns)


def test_a_network_that_does_not_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, 2**18)
    text = r"^the network takes [\d.]+ MiB on the device; 256 KiB are free there\. Take fewer neurons, synapses or replicas, or backend 'cpu'\.$"
    with pytest.raises(LimitError, match=text):
        neuromem.build(program(20_000), "cupy")


def test_memory_that_runs_out_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.kernels.cupy import runtime

    def none_left(*_: Any) -> None:
        raise sys.modules["cupy"].cuda.memory.OutOfMemoryError("out of memory to allocate 80 bytes (used so far: 8 bytes)")

    monkeypatch.setattr(sys.modules["cupy"], "empty", none_left)
    with pytest.raises(LimitError) as refused:
        runtime.empty(10, np.float64)
    assert str(refused.value) == (
        "device memory: out of memory to allocate 80 bytes (used so far: 8 bytes); 4 of 8 GiB are free on the device. "
        "Take fewer units, patterns or cues at once, or backend 'cpu'; what was on the host is as it was."
    )


def test_a_kernel_that_does_not_compile_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.kernels.cupy import runtime

    monkeypatch.setattr(runtime, "source_text", lambda subject: "KERNEL wrong(int* x) { *x = y; }")
    with pytest.raises(NeuromemError) as refused:
        runtime.Source("wrong").launch("wrong", 1, 1)
    found = re.fullmatch(
        r"backend 'cupy': the kernels of 'wrong' did not compile for sm_90 \((.+)\); their source is kept\. "
        r"To see it all: nvcc -std=c\+\+17 --fmad=false -arch=sm_90 -cubin (\S+wrong\.cu)",
        str(refused.value),
    )
    assert found
    assert "error" in found[1]
    with open(found[2]) as file:
        assert file.read() == "KERNEL wrong(int* x) { *x = y; }"


def test_a_cupy_without_a_device_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(BackendMissingError, match=r"^backend 'cupy' cannot run here: there is no NVIDIA driver"):
        neuromem.build(ca3_cam(), "cupy")


@pytest.mark.parametrize("order", ["kept ", 1])
def test_an_unknown_order(order: Any) -> None:
    with pytest.raises(SpecError) as refused:
        neuromem.build(ca3_cam(), "cupy", order=order)
    assert str(refused.value) == f"backend 'cupy': order = {order!r}; expected one of kept, any, or none."


def test_threads_are_not_an_option_of_it() -> None:
    with pytest.raises(SpecError, match=r"^backend 'cupy': options threads; it does not know them"):
        neuromem.build(ca3_cam(), "cupy", threads=2)
