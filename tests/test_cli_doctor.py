"""``neuromem doctor``, on machines that are made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_testing import golden, say
from gpu_machines import WithGpu, WithoutGpu

from neuromem.cli.checkup import Finding, Machine, checkup
from neuromem.cli.doctor import report, whether_it_works
from neuromem.hardware_targets.cuda.machine import GpuMachine


class Good(Machine):
    """Everything is there."""

    python = (3, 12, 1)
    environ: Mapping[str, str] = {"NUMBA_CACHE_DIR": "cache"}
    versions: Mapping[str, str] = {"numpy": "2.5.5", "numba": "0.68.1", "brian2": "2.10.1", "cython": "3.1.3", "unicorn": "2.1.4"}
    programs: Mapping[str, str] = {"gcc": "gcc 12.2.0", "g++": "g++ 12.2.0", "make": "GNU Make 4.3", "nvcc": "Cuda compilation tools, release 13.0, V13.0.88"}  # fmt: skip
    broken_imports: Mapping[str, str] = {}
    missing_backends: Mapping[str, str] = {}
    writable = True
    headers = True

    def version(self, package: str) -> str | None:
        return self.versions.get(package)

    def requirements(self, package: str) -> list[str]:
        return {
            "neuromem": ["numpy<2.6,>=2.1", "numba>=0.62", 'brian2==2.10.1; extra == "brian2"', 'cython<3.1.4; extra == "brian2"', 'unicorn==2.1.4; extra == "spinnaker"', 'ruff; extra == "dev"'],
            "brian2": ["numpy>=2.0", "cython<3.1.4", 'pytest>=8; extra == "test"'],
        }.get(package, [])  # fmt: skip

    def import_error(self, module: str) -> str:
        return self.broken_imports.get(module, "")

    def backend_error(self, name: str, options: Mapping[str, str]) -> str:
        return self.missing_backends.get(":".join([name, *options.values()]), "")

    def program(self, name: str) -> str | None:
        return self.programs.get(name)

    def gpu(self) -> GpuMachine:
        return WithGpu() if "nvcc" in self.programs else WithoutGpu()

    def has_python_headers(self) -> bool:
        return self.headers

    def is_writable(self, folder: Path) -> bool:
        return self.writable


class Bare(Good):
    """Only what neuromem needs: no Brian2, no compilers, no place for compiled kernels."""

    versions: Mapping[str, str] = {"numpy": "2.5.5", "numba": "0.68.1"}
    programs: Mapping[str, str] = {}
    missing_backends: Mapping[str, str] = {
        **{f"brian2:{c}": "brian2 is not installed: pip install 'neuromem[brian2]'" for c in ("numpy", "cython", "cpp_standalone")},
        **dict.fromkeys(("cupy", "brian2cuda"), "there is no NVIDIA driver"),
    }
    writable = False
    headers = False


class Clashing(Good):
    """Versions that do not suit each other; neuromem cannot work with them."""

    python = (3, 11, 7)
    versions: Mapping[str, str] = {"numpy": "2.6.0", "brian2": "2.10.1", "cython": "3.1.5"}
    broken_imports: Mapping[str, str] = {"numpy": "ImportError: no"}
    missing_backends: Mapping[str, str] = {"cpu": "numba is not installed: pip install numba"}


@pytest.mark.parametrize(("machine", "status"), [(Good, 0), (Bare, 0), (Clashing, 1)])
def test_report(machine: type[Machine], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuromem.cli.checkup.Machine", machine)
    said = say("doctor")
    assert (said.status, said.out, said.err) == (status, golden(f"cli_doctor_{machine.__name__.lower()}.txt"), "")


def test_packages_that_do_not_import_are_broken() -> None:
    class Broken(Good):
        broken_imports: Mapping[str, str] = {"numba": "ImportError: Numba needs NumPy 2.4 or less"}

    found = next(f for f in checkup(Broken()) if f.subject == "numba")
    assert found == Finding(
        "numba", "warning", "0.68.1 is installed and does not import: ImportError: Numba needs NumPy 2.4 or less",
        "pip install --force-reinstall numba", broken=True,
    )  # fmt: skip


def test_what_packages_need_of_each_other_is_looked_at_too() -> None:
    class Old(Good):
        versions: Mapping[str, str] = {**Good.versions, "pyparsing": "3.2.4"}

        def requirements(self, package: str) -> list[str]:
            return ["pyparsing!=3.2.4", "numpy>=2.0"] if package == "brian2" else super().requirements(package)

    found = [f for f in checkup(Old()) if f.state != "ok"]
    assert found == [
        Finding("pyparsing", "warning", "3.2.4 is installed, but brian2 2.10.1 needs !=3.2.4", "pip install 'pyparsing!=3.2.4'")
    ]


def test_this_machine_can_work() -> None:
    """The looks at the real machine do not fail, and the tests themselves need what is needed."""
    found = {f.subject: f for f in checkup(Machine())}
    assert not [f for f in found.values() if f.broken]
    assert found["numpy"].state == "ok"
    assert found["backend reference"] == Finding("backend reference", "ok", "usable")
    assert report(list(found.values()), whether_it_works(list(found.values()))).endswith("\n\nneuromem can work.\n")


def test_looks_at_the_real_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    assert machine.version("no-such-package") is None
    assert machine.import_error("no_such_module") == "ModuleNotFoundError: No module named 'no_such_module'"
    assert machine.is_writable(tmp_path / "not" / "yet")
    assert not machine.is_writable(Path("/proc/self"))
    program = tmp_path / "nvcc"
    program.write_text("#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver'\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.program("nvcc") == "Cuda compilation tools, release 13.0, V13.0.88"
    assert machine.program("gcc") is None
    program.write_text("#!/bin/sh\nexit 1\n")
    assert machine.program("nvcc") is None
