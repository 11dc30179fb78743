"""Kernels: one specialisation for every program, a cache that may fail, and Ctrl-C while they compile."""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromem.backends import load_backend
from neuromem.backends.interrupts import held_interrupts
from neuromem.errors import BackendMissingError, NeuromemError, SpecError
from neuromem.ir import Program, lower, lower_memory, stack
from neuromem.kernels.cpu import compiled
from neuromem.models.ca3_cam import ca3_cam, functional, stress
from neuromem.spec import IFCurrExp, Network, Population, Probe


def lonely(tau_m: float = 20.0, **cell: Any) -> Program:
    return lower(Network((Population("a", 2, IFCurrExp(tau_m=tau_m, **cell)),), probes=(Probe("a", "v"),)), dt=1.0, n_steps=3)


def test_every_program_runs_the_same_compiled_function() -> None:
    from neuromem.kernels.cpu import spiking

    published = lower_memory(ca3_cam(), functional(5, 10))
    limited = lower_memory(ca3_cam(post_history=15), functional(5, 10))
    programs = (published, limited, stack([published] * 3), stack([published] * 9), lonely(), stack([lonely(), lonely(10.0)]))
    for program in programs:
        load_backend("cpu").build(program).run()
    # an array that is not C-contiguous or not writable would cost seconds of compiling, and a slower kernel
    assert len(spiking.advance.signatures) == 1


def test_groups_that_fill_their_buffers_at_different_steps_lose_no_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.backends import cpu

    monkeypatch.setattr(cpu, "SPIKE_BUFFER", 5)
    busy = stress(5, 10)
    quiet = replace(busy, operations=busy.operations[-1:])  # its group goes to the end while the other is still emptied
    memory = ca3_cam()
    simulation = load_backend("cpu").build(stack([lower_memory(memory, p) for p in (busy, quiet) for _ in range(8)]))
    simulation.run()
    whole = np.stack(simulation.spikes())
    assert np.bincount(whole[0]).tolist() == [1828] * 8 + [whole[0].tolist().count(8)] * 8
    for since in (1, 300, 830, 850):
        assert np.array_equal(np.stack(simulation.spikes(since)), whole[:, whole[1] >= since])


def test_threads_are_a_whole_number() -> None:
    with pytest.raises(SpecError, match=r"^backend 'cpu': threads = 1\.5; expected a whole number, at least 1\.$"):
        load_backend("cpu", threads=1.5)


class BrokenCache:
    path = "kept"

    def __init__(self) -> None:
        self.flushed = 0

    def load_overload(self, signature: object, target_context: object) -> object:
        raise EOFError("damaged")

    def save_overload(self, signature: object, data: object) -> None:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        self.flushed += 1


def test_a_cache_that_fails_is_one_that_holds_nothing() -> None:
    broken = BrokenCache()
    cache = compiled.ForgivingCache(broken)
    assert cache.load_overload(None, None) is None
    assert broken.flushed == 1
    cache.save_overload(None, None)
    assert cache.path == "kept"


def test_without_any_cache_folder_kernels_compile_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = compiled.njit

    def homeless(cache: bool = False, **settings: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**settings)

    monkeypatch.setattr(compiled, "njit", homeless)

    @compiled.kernel()
    def twice(x):  # type: ignore[no-untyped-def]
        return 2 * x

    assert twice(21) == 42


def interrupted_block(error: Exception | None = None) -> None:
    with held_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        interrupted_block.reached = True  # type: ignore[attr-defined]
        if error is not None:
            raise error


def test_ctrl_c_waits_for_the_block_to_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupted_block.reached = False  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        interrupted_block()
    assert interrupted_block.reached  # type: ignore[attr-defined]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_counts_more_than_the_error_that_it_caused() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_block(RuntimeError("make: interrupted"))
    with pytest.raises(RuntimeError, match=r"^a true error$"), held_interrupts():
        raise RuntimeError("a true error")


def test_other_threads_hold_nothing() -> None:
    seen = []

    def work() -> None:
        with held_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_brian2_that_fails_to_import_in_any_way_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brian2.py").write_text("raise AttributeError('ptp')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [n for n in sys.modules if n.partition(".")[0] == "brian2"]:
        monkeypatch.delitem(sys.modules, name)
    text = "backend 'brian2': Brian2 cannot be imported (ptp); type: pip install 'neuromem[brian2]'"
    with pytest.raises(BackendMissingError, match=f"^{re.escape(text)}$"):
        load_backend("brian2")


def test_generated_code_that_does_not_compile_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("brian2", reason="brian2 is not installed; pip install 'neuromem[brian2]'")
    from neuromem.backends import brian2_emission

    def failing(program: Program, *, standalone: bool) -> None:
        raise OSError("command 'g++' failed with exit code 1\nmore")

    monkeypatch.setattr(brian2_emission, "emit", failing)
    monkeypatch.setattr("neuromem.backends.brian2._need_compiler", lambda codegen: None)
    for codegen in ("cython", "cpp_standalone"):
        text = (
            f"backend 'brian2', codegen '{codegen}': the generated code did not compile (command 'g++' failed with exit code 1); "
            "check the compiler and its cache folder (neuromem doctor), or use codegen 'numpy'."
        )
        with pytest.raises(NeuromemError, match=f"^{re.escape(text)}$"):
            load_backend("brian2", codegen=codegen).build(lonely())


@pytest.mark.parametrize("tau_m", [1e-3, 0.3, 4.999, 5.0, 5.001, 300.0])
def test_the_exact_gain_is_the_difference_of_two_exponentials(tau_m: float) -> None:
    tau_syn, cm = 5.0, 0.25
    gain = lonely(tau_m, tau_syn_E=tau_syn, cm=cm).coefficients.gain_exc[0, 0]
    if tau_m == tau_syn:
        expected = math.exp(-1.0 / tau_m) / cm
    else:
        expected = (math.exp(-1.0 / tau_m) - math.exp(-1.0 / tau_syn)) / (cm * (1.0 / tau_syn - 1.0 / tau_m))
    # the plain difference loses the digits that both exponentials share: relative error 4 eps / |1 - ratio|
    ratio = abs(1.0 - math.exp(-1.0 / tau_m + 1.0 / tau_syn)) or 1.0
    assert abs(gain - expected) <= 8 * np.finfo(float).eps / ratio * abs(expected)


def test_a_batch_keeps_receptors_apart() -> None:
    from neuromem.spec import AllToAllConnector, Projection, StaticSynapse

    network = Network((Population("a", 1, IFCurrExp()),), (Projection("a", "a", AllToAllConnector(), StaticSynapse(1.0, 1.0), name="x"),))
    other = replace(network, projections=(replace(network.projections[0], receptor="inhibitory"),))
    with pytest.raises(SpecError, match="in the synapses, the receptor or the rule of 'x'"):
        stack([lower(network, dt=1.0, n_steps=2), lower(other, dt=1.0, n_steps=2)])
