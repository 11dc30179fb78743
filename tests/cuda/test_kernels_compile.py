"""Every kernel compiles by NVRTC for the devices that are supported, without one."""

from __future__ import annotations

import pytest
from emulated.device import RawModule

from neuromem.errors import BackendMissingError, NeuromemError
from neuromem.hardware_targets.cuda.nvrtc import Nvrtc
from neuromem.kernels.cupy.sources import OPTIONS, source_text, subjects


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    try:
        return Nvrtc()
    except BackendMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("subject", subjects())
def test_compiles(nvrtc: Nvrtc, subject: str, arch: str) -> None:
    cubin = nvrtc.cubin(f"{subject}.cu", source_text(subject), arch, OPTIONS)
    assert cubin[:4] == b"\x7fELF"
    names = RawModule(source_text(subject)).names
    assert names
    assert [n for n in names if n.encode() not in cubin] == []


def test_what_does_not_compile_says_where(nvrtc: Nvrtc) -> None:
    with pytest.raises(NeuromemError) as failed:
        nvrtc.cubin("wrong.cu", 'extern "C" __global__ void f(int* x) { *x = y; }', "sm_90", OPTIONS)
    assert (
        str(failed.value) == f'NVRTC {nvrtc.version}: wrong.cu does not compile for sm_90: wrong.cu(1): error: identifier "y" is undefined'
    )
