"""The CUDA toolkit, on machines that are made up."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from made_up_nvcc import make_toolkit

from neuromem.errors import BackendMissingError, SpecError
from neuromem.hardware_targets.cuda import toolkit
from neuromem.hardware_targets.cuda.toolkit import Toolkit, arch_flags, check_archs, find_toolkit, jobs, link_curand

INSTALL = "install the CUDA toolkit (on a cluster: module load cuda), or say where it is: export CUDA_HOME=FOLDER"
ARCHS = ("sm_75", "sm_80", "sm_90", "sm_100")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with g++ and make, without CUDA; return the folder of its programs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("g++", "make"):
        (tools / name).write_text("")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    if os.access("/usr/bin/nvcc", os.X_OK) or os.access("/bin/nvcc", os.X_OK):
        monkeypatch.setenv("PATH", str(tools))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(toolkit, "DEFAULT", tmp_path / "default")

    def no_package(name: str) -> None:
        raise toolkit.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(toolkit.importlib.metadata, "files", no_package)
    return tools


def refusal() -> str:
    with pytest.raises(BackendMissingError) as caught:
        find_toolkit()
    return str(caught.value)


def test_the_first_toolkit_counts_by_variable_path_and_default(tmp_path: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc = make_toolkit(tmp_path / "default")
    assert find_toolkit() == Toolkit(nvcc, "13.0", ARCHS, (), ())
    (bare / "nvcc").symlink_to(make_toolkit(tmp_path / "12", "12.4"))
    assert find_toolkit() == Toolkit(tmp_path / "12" / "bin" / "nvcc", "12.4", ARCHS, (), ())
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "other"))
    other = make_toolkit(tmp_path / "other")
    assert find_toolkit().nvcc == other
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "default"))
    assert find_toolkit().nvcc == nvcc
    assert find_toolkit().root == tmp_path / "default"


def test_a_machine_without_a_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal() == f"no CUDA toolkit: there is no nvcc on the PATH or in {tmp_path}/default/bin; {INSTALL}."
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert refusal() == f"no CUDA toolkit: CUDA_HOME is {tmp_path}, and there is no {tmp_path}/bin/nvcc; {INSTALL}."


def test_a_toolkit_that_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    nvcc = make_toolkit(tmp_path / "cuda", "11.8")
    assert refusal() == f"{nvcc} is of CUDA 11.8, and 12.0 or newer is needed; {INSTALL}."
    nvcc.write_text("#!/bin/sh\necho nvcc\n")
    assert refusal() == f"{nvcc} --version does not tell a release; {INSTALL}."
    nvcc.write_text("#!/bin/sh\nexit 3\n")
    failed = f"Command '[{nvcc!r}, '--version']' returned non-zero exit status 3."
    assert refusal() == f"{nvcc} --version does not work ({failed}); {INSTALL}."


@pytest.mark.parametrize("tool", ["g++", "make"])
def test_what_nvcc_needs_beside_it(tool: str, tmp_path: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_toolkit(tmp_path / "default")
    (bare / tool).unlink()
    monkeypatch.setenv("PATH", str(bare))
    monkeypatch.setattr(toolkit, "_ask", lambda nvcc, *arguments: "release 13.0")  # the script needs a shell's programs
    assert refusal() == f"no {tool} on the PATH, which compiling with nvcc takes; type: apt-get install {tool} (Debian)."


@pytest.mark.parametrize(("release", "package"), [("13.0", "nvidia-curand"), ("12.4", "nvidia-curand-cu12")])
def test_curand_of_neither_toolkit_nor_package(release: str, package: str, tmp_path: Path) -> None:
    nvcc = make_toolkit(tmp_path / "default", release, curand=False)
    text = f"no cuRAND: {nvcc} does not find curand.h, and package {package} has none here; type: pip install {package}"
    assert refusal() == text


def test_curand_of_a_package_is_linked_in_the_project_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    site, project = tmp_path / "site", tmp_path / "project"
    names = ["nvidia/cu13/include/curand.h", "nvidia/cu13/lib/libcurand.so.10"]
    for name in [*names, "nvidia_curand-10.4.dist-info/METADATA", "nvidia_curand-10.4.dist-info/RECORD"]:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")
    (site / "nvidia_curand-10.4.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-curand\nVersion: 10.4\n")
    (site / "nvidia_curand-10.4.dist-info/RECORD").write_text("".join(f"{name},,\n" for name in names))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    nvcc = make_toolkit(tmp_path / "cuda", curand=False)
    found = find_toolkit()
    assert found == Toolkit(nvcc, "13.0", ARCHS, (site / "nvidia/cu13/include",), (site / "nvidia/cu13/lib",))
    project.mkdir()
    for _ in range(2):  # again: the project is generated anew
        link_curand(found, project)
    assert (project / "libcurand.so").resolve() == site / "nvidia/cu13/lib/libcurand.so.10"
    assert [p.name for p in (site / "nvidia/cu13/lib").iterdir()] == ["libcurand.so.10"]
    (site / names[1]).unlink()
    assert "package nvidia-curand has none here" in refusal()


def test_a_toolkit_with_its_own_curand_needs_no_link(tmp_path: Path) -> None:
    link_curand(Toolkit(Path("/cuda/bin/nvcc"), "13.0", ARCHS, (), ()), tmp_path)
    assert list(tmp_path.glob("lib*")) == []


KNOWN = Toolkit(Path("/cuda/bin/nvcc"), "13.0", ARCHS, (), ())


def test_architectures_are_sorted_by_number_and_named_once() -> None:
    assert check_archs(["sm_100", "sm_90", "sm_80", "sm_90"], KNOWN) == ("sm_80", "sm_90", "sm_100")
    assert check_archs(["sm_121"]) == ("sm_121",)
    flags = ("-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_80,code=sm_90")
    assert arch_flags(("sm_80", "sm_90")) == flags


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("compute_90", KNOWN, "arch 'compute_90'; expected an architecture such as sm_90 (H100, H200) or sm_80 (A100)."),
        ("sm_9", None, "arch 'sm_9'; expected an architecture such as sm_90 (H100, H200) or sm_80 (A100)."),
        ("sm_90; rm -r x", None, "arch 'sm_90; rm -r x'; expected an architecture such as sm_90 (H100, H200) or sm_80 (A100)."),
        ("sm_70", None, "arch 'sm_70'; expected sm_75 or higher: CUDA 13 compiles for none below."),
        ("sm_70", KNOWN, "arch 'sm_70'; expected one that nvcc of CUDA 13.0 compiles for: sm_75, sm_80, sm_90, sm_100 (did you mean 'sm_90'?)."),
    ],
)  # fmt: skip
def test_architectures_that_are_none(name: str, known: Toolkit | None, text: str) -> None:
    with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
        check_archs(["sm_80", name], known)


@pytest.mark.parametrize(("cores", "memory", "n"), [(8, 2_400_000_000, 3), (8, 2_399_999_999, 2), (2, 10**12, 2), (4, 0, 1)])
def test_as_many_nvcc_as_cores_and_memory_allow(cores: int, memory: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr(toolkit, "available_memory", lambda: memory)
    assert jobs() == n
