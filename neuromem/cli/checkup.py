"""What ``neuromem doctor`` looks at. Every look at the machine goes through a ``Machine``, so that tests can make one up."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuromem.errors import NeuromemError
from neuromem.hardware_targets.cuda.machine import GpuMachine, Missing

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``remedy`` is what to type; ``broken``: neuromem cannot work like this."""

    subject: str
    state: State
    text: str
    remedy: str = ""
    broken: bool = False


class Machine:
    """The Python environment and the machine that the command runs on."""

    python: tuple[int, int, int] = sys.version_info[:3]
    environ: Mapping[str, str] = os.environ

    def version(self, package: str) -> str | None:
        """Return the installed version of a package, or None."""
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def requirements(self, package: str) -> list[str]:
        """Return what an installed package asks for, as in its metadata."""
        return importlib.metadata.requires(package) or []

    def import_error(self, module: str) -> str:
        """Import a module; return what went wrong, or an empty string."""
        try:
            importlib.import_module(module)
        except Exception as error:  # a package that does not suit another fails in all sorts of ways
            return f"{type(error).__name__}: {error}"
        return ""

    def backend_error(self, name: str, options: Mapping[str, str]) -> str:
        """Load a backend; return why it is missing, or an empty string."""
        from neuromem.backends import load_backend

        try:
            load_backend(name, **options)
        except NeuromemError as error:
            return str(error)
        except Exception as error:  # as above
            return f"{type(error).__name__}: {error}"
        return ""

    def program(self, name: str) -> str | None:
        """Return the version line of a program on the PATH, None if there is none."""
        found = shutil.which(name)
        if found is None:
            return None
        try:
            said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
        except (OSError, subprocess.SubprocessError):
            return None
        release = [line.strip() for line in said if "release" in line]  # nvcc says it in its fourth line
        return (release or said or [found])[0]

    def gpu(self) -> GpuMachine:
        """Return what there is to run on a GPU."""
        return GpuMachine()

    def has_python_headers(self) -> bool:
        """Tell whether C code for this Python can be compiled."""
        return (Path(sysconfig.get_path("include")) / "Python.h").is_file()

    def is_writable(self, folder: Path) -> bool:
        """Tell whether a file can be made in ``folder``, or in the nearest folder above it that exists."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            with tempfile.TemporaryFile(dir=folder):
                return True
        except OSError:
            return False


def checkup(machine: Machine) -> Iterator[Finding]:
    """Yield all findings."""
    yield from check_python(machine)
    yield from check_packages(machine)
    yield from check_kernel_cache(machine)
    yield from check_backends(machine)
    yield from check_compilers(machine)
    yield from check_cuda(machine)


def check_python(machine: Machine) -> Iterator[Finding]:
    """Python itself."""
    version = ".".join(map(str, machine.python))
    if machine.python >= (3, 12):
        yield Finding("python", "ok", version)
    else:
        yield Finding(
            "python", "warning", f"{version}; expected at least 3.12", "install Python 3.12, and neuromem again with it", broken=True
        )


# Why a version is refused, for those whose metadata does not say it.
REASONS = {
    ("neuromem", "numpy"): "numba takes none newer",
    ("neuromem", "cython"): "Brian2 2.10.1 fails with later ones",
    ("neuromem", "brian2"): "the release that neuromem is tested with",
}


USES = {
    "brian2": "the brian2 backend needs",
    "spinnaker": "neuromem verify, and export and import of NIR, need",
    "cuda": "the cupy and brian2cuda backends need",
}
"""What the packages of each extra are for."""


def check_packages(machine: Machine) -> Iterator[Finding]:
    """What neuromem needs, what its Brian2 backend and its SpiNNaker target need, and what these need of each other."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in machine.requirements("neuromem")]
    core = [r for r in wanted if r.marker is None]
    clashing = set()
    extras = [(r, extra) for extra in USES for r in wanted if r.marker is not None and r.marker.evaluate({"extra": extra})]
    for requirement, extra in [*((r, "") for r in core), *extras]:
        finding = _package(machine, requirement.name, str(requirement.specifier), extra)
        clashing |= {requirement.name} if finding.state == "warning" else set()
        yield finding
    for owner in ("numba", "brian2", "brian2cuda", "cupy-cuda13x"):
        version = machine.version(owner)
        if version is None:
            continue
        for requirement in map(Requirement, machine.requirements(owner)):
            found = machine.version(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if (
                applies
                and found is not None
                and requirement.name not in clashing
                and not requirement.specifier.contains(found, prereleases=True)
            ):
                text = f"{found} is installed, but {owner} {version} needs {requirement.specifier}"
                yield Finding(requirement.name, "warning", text, f"pip install '{requirement.name}{requirement.specifier}'")


def _package(machine: Machine, name: str, specifier: str, extra: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    needed = not extra
    found, remedy = machine.version(name), f"pip install '{name}{specifier}'" if needed else f"pip install 'neuromem[{extra}]'"
    if found is None:
        return Finding(name, "missing", "not installed" if needed else f"not installed; only {USES[extra]} it", remedy, needed)
    if not SpecifierSet(specifier).contains(found, prereleases=True):
        reason = REASONS.get(("neuromem", name.lower()))
        text = f"{found} is installed, but neuromem needs {specifier}" + (f": {reason}" if reason else "")
        return Finding(name, "warning", text, f"pip install '{name}{specifier}'", needed and bool(machine.import_error(name)))
    error = machine.import_error(name) if needed else ""
    if error:
        return Finding(name, "warning", f"{found} is installed and does not import: {error}", f"pip install --force-reinstall {name}", True)
    return Finding(name, "ok", found)


def check_kernel_cache(machine: Machine) -> Iterator[Finding]:
    """Where numba keeps the compiled kernels: the first of its places that can be written to."""
    kernels = importlib.import_module("neuromem.kernels.cpu")
    beside = Path(next(iter(kernels.__path__))) / "__pycache__"
    home = Path(machine.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    named = machine.environ.get("NUMBA_CACHE_DIR")
    places = [Path(named)] if named else [beside, home]
    for place in places:
        if machine.is_writable(place):
            yield Finding("kernel cache", "ok", str(place))
            return
    text = f"{' and '.join(map(str, places))} cannot be written to: the kernels are compiled again at each start, which takes seconds"
    yield Finding("kernel cache", "warning", text, "export NUMBA_CACHE_DIR=a-folder-of-yours")


ENGINES: tuple[tuple[str, dict[str, str]], ...] = (
    ("reference", {}),
    ("cpu", {}),
    ("spinnaker-emulator", {}),
    ("cupy", {}),
    ("brian2cuda", {}),
    ("brian2", {"codegen": "numpy"}),
    ("brian2", {"codegen": "cython"}),
    ("brian2", {"codegen": "cpp_standalone"}),
)


def check_backends(machine: Machine) -> Iterator[Finding]:
    """Load every backend."""
    for name, options in ENGINES:
        subject = ":".join(["backend " + name, *options.values()])
        error = machine.backend_error(name, options)
        yield Finding(subject, "missing", error, broken=name in ("reference", "cpu")) if error else Finding(subject, "ok", "usable")


def check_compilers(machine: Machine) -> Iterator[Finding]:
    """What Brian2's compiled codegens need; nothing else here compiles."""
    for name, use in (
        ("gcc", "brian2:cython needs it"),
        ("g++", "brian2:cython and brian2:cpp_standalone need it"),
        ("make", "brian2:cpp_standalone needs it"),
    ):
        found = machine.program(name)
        if found is None:
            yield Finding(name, "missing", f"not found; {use}", f"sudo apt install {name}")
        else:
            yield Finding(name, "ok", found)
    if machine.has_python_headers():
        yield Finding("Python.h", "ok", "found")
    else:
        yield Finding("Python.h", "missing", "not found; brian2:cython needs it", "sudo apt install python3-dev")


def check_cuda(machine: Machine) -> Iterator[Finding]:
    """A GPU and the CUDA toolkit, in short; ``checkup_gpu`` has the rest."""
    from neuromem.ir.memory_needed import bytes_text

    driver = machine.gpu().driver()
    if isinstance(driver, Missing):
        yield Finding("GPU", "missing", f"{driver.text}; only the cupy and brian2cuda backends need one", "neuromem doctor --gpu")
    else:
        yield Finding("GPU", "ok", f"{driver.device.name}, {bytes_text(driver.device.memory)}; more: neuromem doctor --gpu")
    found = machine.program("nvcc")
    if found is None:
        yield Finding("nvcc", "missing", "no CUDA toolkit; only the brian2cuda backend needs one")
    else:
        yield Finding("nvcc", "ok", re.sub(r"^.*?(release)", r"CUDA toolkit \1", found))
