"""The CUDA toolkit: where it is, and what must be said to it. The one place for trouble with CUDA 13.

What is known, and what is done about it:

- *C++17.* Thrust, CUB and libcu++ of CUDA 13 need it; Brian2CUDA 1.0b1 and Brian2 2.10.1 ask for C++11. The last ``-std`` counts, so
  ``NVCC_FLAGS`` has one; ``HOST_FLAGS`` replace Brian2's own.
- *Moved headers.* CUDA 13 keeps Thrust, CUB and libcu++ in ``include/cccl``, where nvcc looks by itself and g++ does not: whatever
  includes them goes through nvcc.
- *No cuRAND.* A toolkit put together from packages may lack it, and Brian2CUDA always links it. The package ``nvidia-curand`` has header
  and library, but not the name ``libcurand.so`` that the linker wants: ``link_curand`` makes it, in the project.
- *Fast arithmetic.* Brian2CUDA asks for ``-use_fast_math``, and nvcc fuses products and sums by itself; neither is IEEE arithmetic as
  written, so the first is left out and ``--fmad=false`` forbids the second.
- *Old architectures.* CUDA 13 begins at sm_75 (Turing); ``check_archs`` asks nvcc which it knows.
- *Memory.* One nvcc takes up to 0.8 GB on this code, and a bare ``make -j`` starts one for every file: see ``jobs``.
- *Driver.* What CUDA 13 compiles runs with a driver of CUDA 13 or newer (580 on): ``neuromem.hardware_targets.cuda.machine`` looks.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuromem.errors import BackendMissingError, SpecError, nearest
from neuromem.ir.memory_needed import available_memory

NVCC_FLAGS = ("-w", "-std=c++17", "--fmad=false")
HOST_FLAGS = ("-w", "-O3", "-std=c++17", "-ffp-contract=off")  # no -march=native: what is compiled here may run elsewhere

DEFAULT = Path("/usr/local/cuda")
"""Where a toolkit is if nothing says otherwise."""

OLDEST = (12, 0)
"""The oldest toolkit that is supported."""

LOWEST_ARCH = 75
"""The lowest architecture of CUDA 13, for a machine where nvcc cannot be asked."""

MEMORY_PER_NVCC = 800_000_000  # measured: 770 MB at most, for the files that Brian2CUDA generates

INSTALL = "install the CUDA toolkit (on a cluster: module load cuda), or say where it is: export CUDA_HOME=FOLDER"


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit with all that Brian2CUDA's projects need.

    ``include_dirs`` and ``library_dirs`` are those of cuRAND where nvcc does not find it by itself; ``archs`` are the architectures that
    nvcc compiles for, lowest first.
    """

    nvcc: Path
    version: str
    archs: tuple[str, ...]
    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]

    @property
    def root(self) -> Path:
        """The folder that has ``bin/nvcc``."""
        return self.nvcc.parent.parent


def find_toolkit() -> Toolkit:
    """Return the toolkit of this machine: of ``CUDA_HOME``, ``CUDA_PATH``, the PATH or ``/usr/local/cuda``, the first that there is.

    Raises ``BackendMissingError`` that says what is missing, and what to type.
    """
    nvcc = _find_nvcc()
    release = re.search(r"release (\d+)\.(\d+)", _ask(nvcc, "--version"))
    if release is None:
        raise BackendMissingError(f"{nvcc} --version does not tell a release; {INSTALL}.")
    if (found := (int(release[1]), int(release[2]))) < OLDEST:
        raise BackendMissingError(f"{nvcc} is of CUDA {found[0]}.{found[1]}, and {OLDEST[0]}.{OLDEST[1]} or newer is needed; {INSTALL}.")
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            raise BackendMissingError(f"no {tool} on the PATH, which compiling with nvcc takes; type: apt-get install {tool} (Debian).")
    archs = sorted(set(re.findall(r"\bsm_\d+\b", _ask(nvcc, "--list-gpu-code"))), key=_number)
    include_dirs, library_dirs = _find_curand(nvcc, found[0])
    return Toolkit(nvcc, f"{found[0]}.{found[1]}", tuple(archs), include_dirs, library_dirs)


def _find_nvcc() -> Path:
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if home := os.environ.get(name):
            nvcc = Path(home, "bin", "nvcc")
            if not os.access(nvcc, os.X_OK):
                raise BackendMissingError(f"no CUDA toolkit: {name} is {home}, and there is no {nvcc}; {INSTALL}.")
            return nvcc
    found = shutil.which("nvcc") or shutil.which("nvcc", path=str(DEFAULT / "bin"))
    if found is None:
        raise BackendMissingError(f"no CUDA toolkit: there is no nvcc on the PATH or in {DEFAULT / 'bin'}; {INSTALL}.")
    for path in (Path(found), Path(found).resolve()):
        if path.parent.name == "bin":  # Brian2CUDA looks for bin/nvcc in the toolkit's folder
            return path
    raise BackendMissingError(f"no CUDA toolkit: {found} is in no folder bin of one; {INSTALL}.")


def _ask(nvcc: Path, *arguments: str) -> str:
    try:
        return subprocess.run([nvcc, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BackendMissingError(f"{nvcc} {' '.join(arguments)} does not work ({error}); {INSTALL}.") from error


def _find_curand(nvcc: Path, major: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the folders of cuRAND's header and library: none where nvcc knows them, else those of the package."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.cc")
        probe.write_text("#include <curand.h>\n")
        if subprocess.run([nvcc, "-E", "-x", "c++", probe], capture_output=True, timeout=60, check=False).returncode == 0:
            return (), ()
    package = "nvidia-curand" if major >= 13 else f"nvidia-curand-cu{major}"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    header, library = (
        [Path(str(f.locate())) for f in files if re.fullmatch(name, f.name)] for name in (r"curand\.h", r"libcurand\.so\.\d+")
    )
    if not (header and library and header[0].is_file() and library[0].is_file()):
        raise BackendMissingError(
            f"no cuRAND: {nvcc} does not find curand.h, and package {package} has none here; type: pip install {package}"
        )
    return (header[0].parent,), (library[0].parent,)


def link_curand(toolkit: Toolkit, folder: Path) -> None:
    """Make ``libcurand.so`` in ``folder``, the name that the linker looks for, where cuRAND comes from a package that lacks it."""
    for library in (found for directory in toolkit.library_dirs for found in sorted(directory.glob("libcurand.so.*"))):
        (folder / "libcurand.so").unlink(missing_ok=True)
        (folder / "libcurand.so").symlink_to(library)


def _number(arch: str) -> int:
    return int(arch.removeprefix("sm_"))


def check_archs(names: Sequence[str], toolkit: Toolkit | None = None) -> tuple[str, ...]:
    """Return architectures such as ``sm_90``, lowest first, each once; raise ``SpecError`` for one that the toolkit does not know."""
    for name in names:
        if not re.fullmatch(r"sm_[1-9]\d{1,2}", name):
            raise SpecError(f"arch {name!r}; expected an architecture such as sm_90 (H100, H200) or sm_80 (A100).")
        if toolkit is None and _number(name) < LOWEST_ARCH:
            raise SpecError(f"arch {name!r}; expected sm_{LOWEST_ARCH} or higher: CUDA 13 compiles for none below.")
        if toolkit is not None and name not in toolkit.archs:
            raise SpecError(
                f"arch {name!r}; expected one that nvcc of CUDA {toolkit.version} compiles for: {', '.join(toolkit.archs)}{nearest(name, toolkit.archs)}."
            )
    return tuple(sorted(set(names), key=_number))


def arch_flags(archs: Sequence[str]) -> tuple[str, ...]:
    """Return nvcc's flags for these architectures: one pass of its front end, for the lowest of them, and machine code for each."""
    return tuple(f"-gencode=arch=compute_{_number(archs[0])},code={arch}" for arch in archs)


def jobs() -> int:
    """Return how many nvcc to run at once: as many as there are cores, and as memory allows."""
    return max(1, min(len(os.sched_getaffinity(0)), available_memory() // MEMORY_PER_NVCC))
