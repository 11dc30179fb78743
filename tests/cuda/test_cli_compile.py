"""``neuromem compile``: the folder is whole or is not there; with a compiler that is made up."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_testing import Said, say
from made_up_nvcc import COMPILES, make_toolkit

from neuromem.exports.compile import MARK, UNFINISHED
from neuromem.hardware_targets.cuda import toolkit

pytest.importorskip("brian2cuda", reason="brian2cuda is not installed; pip install 'neuromem[cuda]'")

DIGEST = "4ea66c259eb0"


@pytest.fixture
def nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The compiler of this machine."""
    if shutil.which("make") is None or shutil.which("g++") is None:
        pytest.skip("no make or no g++ on the PATH")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    return make_toolkit(tmp_path / "cuda")


def compiled(out: Path, *more: str, model: str = "ca3-cam") -> Said:
    return say("compile", model, "--backend", "brian2cuda", "--arch", "sm_90", "--out", str(out), *more)


def test_a_folder_to_take_to_another_machine(nvcc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIN", "exit 7")
    out = tmp_path / "project"
    said = compiled(out, "--arch", "sm_80")
    assert (said.status, said.err) == (0, "")
    begin, _, end = said.out.partition("; ")
    assert begin == f"{out}: compiled for sm_80, sm_90, program {DIGEST}"
    assert end.partition("; ")[2] == f"next, on a machine with such a GPU: cat {out}/README.md\n"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["program_digest"].startswith(DIGEST)
    assert {k: manifest[k] for k in ("schema", "model", "protocol", "seed", "backend", "archs", "compiled")} == {
        "schema": 1, "model": "ca3-cam", "protocol": "functional", "seed": 0, "backend": "brian2cuda", "archs": ["sm_80", "sm_90"], "compiled": True,
    }  # fmt: skip
    assert manifest["versions"]["cuda"] == "13.0"
    assert set(manifest["results"]["spikes"]) == {"sources", "neurons"}
    assert manifest["results"]["projections"]["s2_cont>s2_cue"] == {"weights": "plastic_neurons_0", "first": 50, "size": 50}
    assert (
        "It is compiled for sm_80, sm_90. On a machine with such a GPU, in this folder, type:\n\n    ./main\n"
        in (out / "README.md").read_text()
    )
    assert subprocess.run([out / "main"], check=False).returncode == 7
    # again: an earlier one is replaced when asked for, and nothing else is
    again = compiled(out)
    assert (again.status, again.out) == (1, "")
    assert again.err == f"error: {out}: it exists already; expected a new name, or --force to replace an earlier export.\n"
    assert compiled(out, "--force").status == 0
    assert json.loads((out / "manifest.json").read_text())["archs"] == ["sm_90"]
    mine = tmp_path / "mine"
    mine.mkdir()
    assert compiled(mine, "--force").err == (
        f"error: {mine}: it exists already and is no export; --force replaces exports only. Choose another name.\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cuda", "mine", "project"]


def test_code_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(toolkit, "DEFAULT", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", "")
    out = tmp_path / "project"
    said = compiled(out)
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        f"error: backend 'brian2cuda': no CUDA toolkit: there is no nvcc on the PATH or in {tmp_path}/nowhere/bin; install the CUDA toolkit "
        "(on a cluster: module load cuda), or say where it is: export CUDA_HOME=FOLDER. To generate the code only: --no-nvcc\n"
    )
    assert list(tmp_path.iterdir()) == []
    said = compiled(out, "--no-nvcc", "--seed", "3")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"{out}: generated, program ")
    assert (out / "main.cu").is_file()
    assert not (out / "main").exists()
    assert "and a GPU of sm_90, in this folder, type:\n\n    make -j" in (out / "README.md").read_text()
    assert json.loads((out / "manifest.json").read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("ca3-cam", "--backend", "brian2cuda", "--arch", "sm_70"), "arch 'sm_70'; expected one that nvcc of CUDA 13.0 compiles for: sm_75, sm_80, sm_90, sm_100 (did you mean 'sm_90'?)."),
        (("ca3-cam", "--backend", "brian2", "--arch", "sm_90"), "backend 'brian2' compiles nothing ahead of a run; expected one of {makers}."),
        (("willshaw", "--backend", "brian2cuda", "--arch", "sm_90"), "backend 'brian2cuda' will not do 'matrix': Brian2 simulates spikes; a memory without spikes runs on backend 'cpu' or 'reference'"),
        (("ca3-cam", "--backend", "brian2cuda", "--arch", "sm_90", "--set", "n=3"), "ca3-cam: no parameter 'n'; it has n_content, n_cues, post_history, self_inhibition."),
    ],
)  # fmt: skip
def test_requests_that_are_wrong(arguments: tuple[str, ...], text: str, nvcc: Path, tmp_path: Path) -> None:
    from neuromem.errors import listing, nearest
    from neuromem.exports.compile import MAKERS

    said = say("compile", *arguments, "--out", str(tmp_path / "project"))
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: " + text.format(makers=listing(MAKERS) + nearest("brian2", MAKERS)) + "\n"
    assert [p.name for p in tmp_path.iterdir()] == ["cuda"]


def test_code_that_does_not_compile_is_kept_beside(nvcc: Path, tmp_path: Path) -> None:
    shutil.rmtree(nvcc.parent)
    make_toolkit(tmp_path / "cuda", compiles='case "$*" in *network.cu*) echo "network.cu(1): error: no" >&2; exit 1;; esac; ' + COMPILES)
    out = tmp_path / "project"
    said = compiled(out)
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        f"error: backend 'brian2cuda': the generated code does not compile: network.cu(1): error: no; it is kept in {out}.partial. "
        f"To see it all type: make -C {out}.partial network.o\n"
    )
    assert not out.exists()
    assert (tmp_path / "project.partial" / "network.cu").is_file()
    again = compiled(out)
    assert again.err == (f"error: {out}.partial: what did not compile is kept there; if it is not needed, delete it: --force\n")
    shutil.rmtree(nvcc.parent)
    make_toolkit(tmp_path / "cuda")
    assert compiled(out, "--force").status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cuda", "project"]


def test_ctrl_c_ends_the_compilers_and_leaves_nothing(nvcc: Path, tmp_path: Path) -> None:
    shutil.rmtree(nvcc.parent)
    make_toolkit(tmp_path / "cuda", compiles=f"echo $$ >> {tmp_path}/pids; sleep 600")
    out = tmp_path / "project"
    command = [sys.executable, "-m", "neuromem", "compile", "ca3-cam", "--backend", "brian2cuda", "--arch", "sm_90", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pids").exists():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cuda", "pids"]
    pids = set((tmp_path / "pids").read_text().split())
    deadline = time.monotonic() + 10  # init may take a moment to bury them
    while alive(pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pids: set[str]) -> list[str]:
    """Return the processes of these numbers that run."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def test_a_folder_that_is_not_ours_stays(nvcc: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    mine = tmp_path / "project.partial"
    mine.mkdir()
    (mine / "thesis.txt").write_text("thesis")
    for force in ((), ("--force",)):
        said = compiled(out, *force)
        assert said.status == 1
        assert said.err == (
            f"error: {mine}: it exists, and is not of neuromem compile; expected a name that is free: move it, or choose another --out.\n"
        )
    assert (mine / "thesis.txt").read_text() == "thesis"


def test_what_a_killed_program_left_is_replaced_and_what_another_holds_is_not(nvcc: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    left = tmp_path / "project.partial"
    left.mkdir()
    mark = left / MARK
    mark.write_text(UNFINISHED)
    with mark.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = compiled(out)
        assert (said.status, said.err) == (1, f"error: {left}: another program compiles there now; wait for it, or choose another --out.\n")
    assert compiled(out).status == 0
    assert not (out / MARK).exists()
    assert not left.exists()


def test_a_program_that_is_ended_takes_its_compilers_along(nvcc: Path, tmp_path: Path) -> None:
    shutil.rmtree(nvcc.parent)
    make_toolkit(tmp_path / "cuda", compiles=f"echo $$ >> {tmp_path}/pids; exec sleep 600")
    command = [sys.executable, "-m", "neuromem", "compile", "ca3-cam", "--backend", "brian2cuda", "--arch", "sm_90", "--out", "project"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) > 0)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    wait_until(lambda: not any(Path("/proc", pid).exists() for pid in pids.read_text().split()))
    assert process.returncode == 143
    assert not (tmp_path / "project.partial").exists()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
