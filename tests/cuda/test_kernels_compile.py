"""Every kernel compiles by NVRTC for the devices that are supported, without one; by the function that compiles for a device."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest
from emulated.device import RawModule

from neuromem.kernels.cupy.sources import source_text, subjects

ARCHS = ("sm_80", "sm_90")

COMPILE = """
import json, sys
from neuromem.errors import NeuromemError
from neuromem.kernels.cupy.compiled import machine_code
from neuromem.kernels.cupy.sources import source_text
code = {s: {a: machine_code(s, source_text(s), a).hex() for a in ("sm_80", "sm_90")} for s in sys.argv[1:]}
try:
    machine_code("wrong", 'extern "C" __global__ void f(int* x) { *x = y; }', "sm_90")
except NeuromemError as error:
    print(json.dumps([code, str(error)]))
"""


@pytest.fixture(scope="module")
def compiled() -> tuple[dict[str, dict[str, str]], str]:
    """In a process of its own: here the emulation may stand in CuPy's place."""
    if not any(d.name.startswith("cupy") for d in importlib.metadata.distributions()):
        pytest.skip("CuPy is not installed")
    done = subprocess.run([sys.executable, "-c", COMPILE, *subjects()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code, error = json.loads(done.stdout)
    return code, error


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("subject", subjects())
def test_compiles(compiled: tuple[dict[str, dict[str, str]], str], subject: str, arch: str) -> None:
    cubin = bytes.fromhex(compiled[0][subject][arch])
    assert cubin[:4] == b"\x7fELF"
    names = RawModule(source_text(subject)).names
    assert names
    assert [n for n in names if n.encode() not in cubin] == []


def test_what_does_not_compile_says_where(compiled: tuple[dict[str, dict[str, str]], str]) -> None:
    before, _, kept = compiled[1].rpartition(" -cubin ")
    assert before == (
        "backend 'cupy': the kernels of 'wrong' did not compile for sm_90 (wrong.cu(1): error: identifier \"y\" is undefined); their source is kept. "
        "To see it all: nvcc -std=c++17 --fmad=false -arch=sm_90"
    )
    with open(kept) as file:
        assert file.read() == 'extern "C" __global__ void f(int* x) { *x = y; }'
