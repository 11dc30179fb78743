"""Every kernel has a twin on the device, of the same name and signature."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import emulated
import pytest

import neuromem.kernels.cpu
from neuromem.kernels.cupy.sources import subjects

HOW = {"compiled", "float_bits", "popcount", "prefetch", "threads", "visits"}
"""How kernels are compiled and shared among threads, and no kernels."""

NOT_THERE = {"spinnaker": "a board is emulated on the CPU"}

SUBJECTS = sorted({m.name for m in pkgutil.iter_modules(neuromem.kernels.cpu.__path__)} - HOW - set(NOT_THERE))


def functions(engine: str, subject: str) -> dict[str, list[inspect.Parameter]]:
    module = importlib.import_module(f"neuromem.kernels.{engine}.{subject}")
    found = {}
    for name, value in vars(module).items():
        value = getattr(value, "py_func", value)  # what numba compiled
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__.startswith(f"neuromem.kernels.{engine}.{subject}"):
            found[name] = list(inspect.signature(value).parameters.values())
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_same_names_and_parameters(subject: str) -> None:
    emulated.install()
    cpu, cupy = functions("cpu", subject), functions("cupy", subject)
    parts = {"count"} if subject == "hamming" else set()  # compiled code that another kernel of the CPU is built of
    assert cpu.keys() - parts <= cupy.keys()
    for name in cpu.keys() - parts:
        wanted, found = cpu[name], cupy[name]
        assert [p.name for p in wanted] == [p.name for p in found[: len(wanted)]], name
        assert [p.default for p in wanted] == [p.default for p in found[: len(wanted)]], name
        assert all(p.default is not inspect.Parameter.empty for p in found[len(wanted) :]), name


def test_no_subject_is_left_out() -> None:
    assert {"willshaw", "hamming", "hopfield", "dense", "outer", "bcpnn", "counters", "sparse_rows", "spiking"} <= set(SUBJECTS)
    assert set(SUBJECTS) - {"hopfield_patterns"} <= set(subjects())
