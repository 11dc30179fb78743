"""What is missing for a GPU: on machines that are made up, and through a driver that is compiled from NVIDIA's own header."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from gpu_machines import CARD, NO_DRIVER, WithGpu, WithoutGpu

from neuromem.errors import BackendMissingError
from neuromem.hardware_targets.cuda.machine import (
    NEWER_DRIVER,
    Driver,
    GpuMachine,
    Missing,
    ask_driver,
    ask_free_memory,
    missing,
    require_device,
)
from neuromem.hardware_targets.cuda.toolkit import Toolkit

INSTALL = "pip install 'neuromem[cuda]'"

# The prototypes are those of cuda.h, so that a stub with wrong arguments does not compile; the numbers of attributes are the header's.
STUB = """
#include <cuda.h>
#include <string.h>
static int retained = 0, pushed = 0;
CUresult cuInit(unsigned int flags) { return INIT; }
CUresult cuDeviceGetCount(int *n) { *n = COUNT; return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int *v) { *v = VERSION; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *d, int i) { *d = 7; return i == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE; }
CUresult cuDeviceGetName(char *name, int n, CUdevice d) { strncpy(name, d == 7 ? "Card 9000" : "?", n); return CUDA_SUCCESS; }
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice d) { *bytes = (size_t)80 << 30; return CUDA_SUCCESS; }
CUresult cuDeviceGetUuid(CUuuid *u, CUdevice d) { for (int i = 0; i < 16; i++) u->bytes[i] = (char)(0xf0 + i); return CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d) {
    switch (a) {
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *v = 2000000; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = 100; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *v = 2500000; break;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *v = 4096; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *v = 40 << 20; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = 0; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) { *c = (CUcontext)0x123456789a; retained += RETAIN == 0; return RETAIN; }
CUresult cuCtxPushCurrent(CUcontext c) { pushed += c == (CUcontext)0x123456789a; return CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t *free, size_t *total) {
    *free = pushed ? (size_t)79 << 30 : 0; *total = (size_t)80 << 30; return pushed ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
CUresult cuCtxPopCurrent(CUcontext *c) { pushed--; return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease(CUdevice d) { retained--; return CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult e, const char **s) { *s = e == 999 ? "CUDA_ERROR_UNKNOWN" : 0; return CUDA_SUCCESS; }
int held(void) { return retained + pushed; }
"""


@pytest.fixture(scope="module")
def cuda_h() -> Path:
    """The folder of NVIDIA's header."""
    nvcc = shutil.which("nvcc")
    places = [Path("/usr/local/cuda/include"), *([Path(nvcc).resolve().parent.parent / "include"] if nvcc else [])]
    found = next((p for p in places if (p / "cuda.h").is_file()), None)
    if found is None or shutil.which("gcc") is None:
        pytest.skip("no cuda.h of a CUDA toolkit, or no gcc, to compile a driver against")
    return found


def stub(cuda_h: Path, folder: Path, **values: int) -> ctypes.CDLL:
    """Compile a driver that answers with these values."""
    given = {"INIT": 0, "COUNT": 2, "VERSION": 13010, "RETAIN": 0} | values
    (folder / "stub.c").write_text(STUB)
    asked = [
        "gcc",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
        f"-I{cuda_h}",
        *(f"-D{k}={v}" for k, v in given.items()),
        "stub.c",
        "-o",
        "libstub.so",
    ]
    subprocess.run(asked, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "libstub.so"))


def test_a_driver_is_asked_as_its_header_says(cuda_h: Path, tmp_path: Path) -> None:
    library = stub(cuda_h, tmp_path)
    card = replace(CARD, uuid="GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff")
    assert ask_driver(library) == Driver((13, 1), 2, card)
    assert card.arch == "sm_90"
    assert card.bandwidth == 2.56e12
    assert ask_free_memory(library) == 79 * 2**30
    assert library.held() == 0  # the context is given back


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"INIT": 999}, Missing("driver", "the NVIDIA driver does not start (CUDA_ERROR_UNKNOWN)", "nvidia-smi, which says more")),
        ({"INIT": 34}, Missing("driver", "the NVIDIA driver does not start (error 34)", "nvidia-smi, which says more")),
        ({"INIT": 100}, Missing("device", "the NVIDIA driver sees no GPU", "nvidia-smi -L, to see what there is, or work on a machine that has one")),
        ({"COUNT": 0}, Missing("device", "the NVIDIA driver sees no GPU", "nvidia-smi -L, to see what there is, or work on a machine that has one")),
        ({"VERSION": 11080}, Missing("driver", "the NVIDIA driver runs CUDA 11.8 at most; expected 12.0 or newer", NEWER_DRIVER)),
    ],
)  # fmt: skip
def test_a_driver_that_cannot_be_used(
    values: Mapping[str, int], found: Missing, cuda_h: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert ask_driver(stub(cuda_h, tmp_path, **values)) == found


def test_devices_that_are_hidden(cuda_h: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = ask_driver(stub(cuda_h, tmp_path, COUNT=0))
    assert found == Missing("device", "no GPU is visible (CUDA_VISIBLE_DEVICES is '')", "unset CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (
            46,
            Missing("device", "another process has the GPU for itself", "nvidia-smi, to see which, and nvidia-smi -c DEFAULT to share it"),
        ),
        (2, Missing("device", "other processes hold all of the GPU's memory", "nvidia-smi, to see which")),
        (999, Missing("device", "the GPU cannot be used (CUDA_ERROR_UNKNOWN)", "nvidia-smi, which says more")),
    ],
)
def test_a_device_that_others_hold(status: int, found: Missing, cuda_h: Path, tmp_path: Path) -> None:
    library = stub(cuda_h, tmp_path, RETAIN=status)
    assert ask_free_memory(library) == found
    assert library.held() == 0


def test_processes_are_those_of_nvidia_smi_but_for_ourselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --id=GPU-1 ] || exit 1\necho "$PPID, python, 300 MiB"\necho "4711, /usr/bin/python, 1200 MiB"\necho\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GpuMachine().processes(CARD) == ["4711, /usr/bin/python, 1200 MiB"]
    assert GpuMachine().processes(replace(CARD, uuid="GPU-2")) is None
    program.unlink()
    assert GpuMachine().processes(CARD) is None


def test_nothing_is_missing_where_all_is_there() -> None:
    assert missing("cupy", WithGpu()) == missing("brian2cuda", WithGpu()) == []
    assert require_device("cupy", WithGpu()) == require_device("brian2cuda", WithGpu()) == CARD


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(BackendMissingError) as refused:
        require_device("cupy", WithoutGpu())
    assert str(refused.value) == (
        "backend 'cupy' cannot run here: there is no NVIDIA driver (libcuda.so.1 is not there), type: sudo apt install nvidia-driver, 580 or newer for CUDA 13, on a machine with an NVIDIA GPU; "
        f"CuPy is not installed, type: {INSTALL}. Run on backend 'cpu', or ask: neuromem doctor --gpu"
    )
    with pytest.raises(BackendMissingError) as refused:
        require_device("brian2cuda", WithoutGpu())
    assert str(refused.value) == (
        "backend 'brian2cuda' cannot run here: there is no NVIDIA driver (libcuda.so.1 is not there), type: sudo apt install nvidia-driver, 580 or newer for CUDA 13, on a machine with an NVIDIA GPU; "
        f"Brian2CUDA is not installed, type: {INSTALL}; no CUDA toolkit: there is no nvcc on the PATH, type: module load cuda. "
        "Run on backend 'cpu', or ask: neuromem doctor --gpu"
    )


def test_nothing_is_asked_of_a_machine_made_up_without_it() -> None:
    """What is taken from the real machine would differ from one to the next."""
    assert missing("cupy", WithoutGpu()) == [NO_DRIVER, Missing("CuPy", "CuPy is not installed", INSTALL)]


OLD_DRIVER = Driver((12, 4), 1, CARD)
PASCAL = Driver((13, 0), 1, replace(CARD, name="Old Card", compute_capability=(6, 1)))


def machine(**given: object) -> GpuMachine:
    """A machine with a GPU that is as given."""
    made = WithGpu()
    for name, value in given.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def installed(**changed: str | None) -> dict[str, str]:
    """The packages of a good machine, with some others, or without some (None)."""
    named = {name.replace("_", "-"): version for name, version in changed.items()}
    return {name: version for name, version in (dict(WithGpu.installed) | named).items() if version is not None}


@pytest.mark.parametrize(
    ("backend", "made", "found"),
    [
        ("cupy", {"installed": installed(cupy_cuda13x=None)}, [Missing("CuPy", "CuPy is not installed", INSTALL)]),
        ("cupy", {"installed": installed(cupy_cuda13x=None), "found": OLD_DRIVER},
         [Missing("CuPy", "CuPy is not installed", "pip install 'cupy-cuda12x[ctk]'")]),
        ("cupy", {"installed": installed(cupy_cuda12x="14.2.0")},
         [Missing("CuPy", "CuPy is installed more than once (cupy-cuda12x, cupy-cuda13x), and these clash",
                  f"pip uninstall -y cupy-cuda12x cupy-cuda13x; {INSTALL}")]),
        ("cupy", {"found": OLD_DRIVER},
         [Missing("CuPy", "cupy-cuda13x needs a driver for CUDA 13, and this one runs CUDA 12.4 at most",
                  "pip uninstall -y cupy-cuda13x; pip install 'cupy-cuda12x[ctk]'")]),
        ("cupy", {"installed": installed(cupy_cuda13x=None, cupy_cuda12x="14.2.0")}, []),  # a driver runs what older ones ran
        ("cupy", {"installed": installed(cupy_cuda13x=None, cupy="14.2.0")}, []),  # compiled here, for the CUDA that was here
        ("cupy", {"installed": installed(cupyx_plots="1.0")}, []),
        ("cupy", {"found": PASCAL},
         [Missing("device", "Old Card has compute capability 6.1, and cupy-cuda13x (CUDA 13) needs 7.5",
                  "pip uninstall -y cupy-cuda13x; pip install 'cupy-cuda12x[ctk]', or work on a machine with a newer GPU")]),
        ("cupy", {"libraries": ("cublas",)}, [Missing("NVRTC", "NVRTC, which CuPy needs, is not found", "pip install 'cupy-cuda13x[ctk]'")]),
        ("cupy", {"libraries": ("nvrtc",)}, [Missing("cuBLAS", "cuBLAS, which CuPy needs, is not found", "pip install 'cupy-cuda13x[ctk]'")]),
        ("cupy", {"installed": installed(brian2cuda=None, brian2=None), "compiler": WithoutGpu.compiler}, []),
        ("cupy", {"free": Missing("device", "another process has the GPU for itself", "nvidia-smi")},
         [Missing("device", "another process has the GPU for itself", "nvidia-smi")]),
        ("brian2cuda", {"installed": installed(brian2cuda=None)}, [Missing("Brian2CUDA", "Brian2CUDA is not installed", INSTALL)]),
        ("brian2cuda", {"installed": installed(brian2=None)},
         [Missing("Brian2", "Brian2, which Brian2CUDA 1.0b1 needs, is not installed", "pip install brian2==2.10.1")]),
        ("brian2cuda", {"installed": installed(brian2="2.11.0")},
         [Missing("Brian2", "Brian2 2.11.0 is installed, but Brian2CUDA 1.0b1 needs 2.10.1 exactly", "pip install brian2==2.10.1")]),
        ("brian2cuda", {"found": OLD_DRIVER},
         [Missing("driver", "the CUDA toolkit is 13.0, and the driver runs CUDA 12.4 at most", NEWER_DRIVER)]),
        ("brian2cuda", {"found": PASCAL},
         [Missing("device", "Old Card has compute capability 6.1, and the CUDA toolkit (CUDA 13) needs 7.5",
                  "install CUDA toolkit 12, or work on a machine with a newer GPU")]),
        ("brian2cuda", {"compiler": Missing("cuRAND", "no cuRAND", "pip install nvidia-curand")}, [Missing("cuRAND", "no cuRAND", "pip install nvidia-curand")]),
        ("brian2cuda", {"installed": installed(cupy_cuda13x=None), "libraries": ()}, []),
    ],
)  # fmt: skip
def test_what_is_missing(backend: str, made: Mapping[str, object], found: list[Missing]) -> None:
    assert missing(backend, machine(**made)) == found


@pytest.mark.parametrize(
    ("error", "found"),
    [
        ("no cuRAND: nvcc does not find curand.h; type: pip install nvidia-curand", Missing("cuRAND", "no cuRAND: nvcc does not find curand.h", "pip install nvidia-curand")),
        ("no CUDA toolkit: there is no nvcc; install it, or export CUDA_HOME=/x.", Missing("toolkit", "no CUDA toolkit: there is no nvcc", "install it, or export CUDA_HOME=/x")),
    ],
)  # fmt: skip
def test_what_the_toolkit_lacks(error: str, found: Missing, monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> Toolkit:
        raise BackendMissingError(error)

    monkeypatch.setattr("neuromem.hardware_targets.cuda.machine.find_toolkit", find)
    assert GpuMachine().toolkit() == found


def test_looks_at_the_real_machine_do_not_fail() -> None:
    """Whatever is here; names and versions are those of its packages."""
    real = GpuMachine()
    assert isinstance(real.driver(), Driver | Missing)
    assert real.packages()["numpy"].count(".") >= 1
    assert isinstance(real.toolkit(), Toolkit | Missing)
    assert real.has_library("no-such-library") is False
    assert all(isinstance(found, Missing) for backend in ("cupy", "brian2cuda") for found in missing(backend))


def test_a_package_that_is_not_installed_asks_for_nothing() -> None:
    assert GpuMachine().requirements("no-such-package-of-anybody") == []
