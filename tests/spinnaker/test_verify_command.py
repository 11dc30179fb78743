"""``neuromem verify``: what it prints, what it refuses, and that nothing is left when it ends early."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import golden, say
from exported import tree
from verify_networks import export_networks

from neuromem.backends.spinnaker_emulator import SpinnakerSimulation
from neuromem.errors import FileError, LimitError
from neuromem.exports import verify as verification
from neuromem.exports.verify import Verification, verify
from neuromem.hardware_targets.spinnaker import virtual
from neuromem.hardware_targets.spinnaker.limits import board_named
from neuromem.hardware_targets.spinnaker.package import manifest_digest
from neuromem.hardware_targets.spinnaker.readback import Comparison
from neuromem.hardware_targets.spinnaker.virtual import virtual_mapping
from neuromem.targets import npz

for module in ("spynnaker", "unicorn"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'neuromem[spinnaker]'", allow_module_level=True)


REMEDY = (
    "expected an export that maps: export it again, or, to see all that it says, "
    "run `python run.py` with `virtual_board = True` under [Machine] in ~/.spynnaker.cfg."
)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages, by name of the network."""
    return export_networks(tmp_path_factory.mktemp("verify"), ["small", "far", "balanced"])


@pytest.fixture(scope="session")
def mapping(packages: dict[str, Path]) -> Iterator[Path]:
    """The mapping of the small network."""
    with virtual_mapping(packages["small"], board_named("spinn5"), states=True) as folder:
        yield folder


def differences(found: Verification) -> dict[str, str]:
    return {c.what: c.difference for c in (*found.expectation, *found.mapping, *found.binaries) if not c.equal}


def forge(folder: Path, to: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """A copy of a package with another expectation, and digests that fit it."""
    shutil.copytree(folder, to)
    with np.load(to / "expected.npz") as loaded:
        arrays = dict(loaded)
    change(arrays)
    (to / "expected.npz").write_bytes(npz(arrays))
    manifest = json.loads((to / "manifest.json").read_text())
    manifest["files"]["expected.npz"] = hashlib.sha256((to / "expected.npz").read_bytes()).hexdigest()
    manifest["digest"] = manifest_digest(manifest)
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to


def test_the_command_says_what_is_equal(packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, with a mapping of its own; nothing stays behind, in the package, at home or in the temporary folder."""
    before = tree(packages["small"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = say("verify", str(packages["small"]))
    assert (said.status, said.err, said.out) == (0, "", golden("spinnaker_verify_equal.txt"))
    assert tree(packages["small"]) == before
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def _mapped(mapping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "virtual_mapping", lambda package, board, *, states: nullcontext(mapping))


@pytest.mark.usefixtures("_mapped")
def test_the_command_says_what_differs(packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(SpinnakerSimulation):
        """One weight is a step too large."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.state.weight[self.layout.place["right>left:inh"][0]] += 1

    monkeypatch.setattr(verification, "SpinnakerSimulation", Wrong)
    said = say("verify", str(packages["small"]))
    assert (said.status, said.err, said.out) == (1, "", golden("spinnaker_verify_different.txt"))
    said = say("verify", str(packages["small"]), "--json")
    told = json.loads(said.out)
    assert (said.status, told["equal"]) == (1, False)
    assert {c["what"] for c in told["binaries"] if not c["equal"]} == {"left: isyn_inh", "left: v"}


@pytest.mark.usefixtures("_mapped")
def test_a_package_that_expects_something_else_is_not_verified(packages: dict[str, Path], tmp_path: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["spikes.left"] = arrays["spikes.left"][1:]
        arrays["weights.left>right"][3] += 1

    with np.load(packages["small"] / "expected.npz") as expected:
        word, (step, unit) = expected["weights.left>right"][3], expected["spikes.left"][0]
    found = verify(forge(packages["small"], tmp_path / "forged", change))
    assert differences(found) == {
        "left: spikes": f"0 only expected, 1 only emulated; first at step {step}, unit {unit}",
        "left>right: final weights": f"1 differ; first at (3,): {word + 1} expected, {word} emulated",
    }
    assert not found.equal


SPIKES = np.array([[3, 1], [3, 2], [5, 0]])


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [(SPIKES, SPIKES[::-1], ""),
     (SPIKES, SPIKES[[0, 1, 1, 2]], "0 only expected, 1 only emulated; first at step 3, unit 2, twice emulated"),
     (SPIKES[[2, 0, 1, 2, 2]], SPIKES, "2 only expected, 0 only emulated; first at step 5, unit 0, 3 times expected"),
     (SPIKES[[0, 0, 1]], SPIKES[[0, 1, 1]], "1 only expected, 1 only emulated; first at step 3, unit 1, twice expected"),
     (SPIKES[1:], SPIKES[:-1], "1 only expected, 1 only emulated; first at step 3, unit 1"),
     (SPIKES, SPIKES[:0], "3 only expected, 0 only emulated; first at step 3, unit 1"),
     (SPIKES[:0], SPIKES[:0], "")],
)  # fmt: skip
def test_spikes_are_compared_in_any_order_and_counted(ours: np.ndarray, theirs: np.ndarray, difference: str) -> None:
    compared = verification.compare_spikes("left: spikes", ours, theirs, ("expected", "emulated"))
    assert compared == Comparison("left: spikes", len(ours), difference)


def test_a_package_of_another_fit_is_refused(packages: dict[str, Path]) -> None:
    folder = packages["balanced"]  # fitted to cores of 16 neurons, and not to those there are
    with pytest.raises(FileError) as caught:
        verify(folder)
    assert str(caught.value) == (
        f"{folder / 'manifest.json'}: population 'exc' has neurons_per_core 16, and this version of neuromem fits it with 40; "
        "expected the version that exported it: export it again."
    )


def test_a_script_that_does_not_map_is_a_limit(packages: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "board"
    shutil.copytree(packages["small"], folder)
    script = (folder / "run.py").read_text()
    assert script.count("w_max=3.0") == 1
    (folder / "run.py").write_text(script.replace("w_max=3.0", "w_max=300000.0"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["run.py"] = hashlib.sha256((folder / "run.py").read_bytes()).hexdigest()
    manifest["digest"] = manifest_digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = say("verify", str(folder))
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        f"error: {folder}: sPyNNaker does not map it (ValueError: Value 300000.0 is greater than the maximum 65535.999969482421875 allowed for a "
        f"DataType.S1615); {REMEDY}\n"
    )


class Child:
    """A child process that ended: what it said, and with which status."""

    def __init__(self, status: int, said: str) -> None:
        self.returncode, self.stderr = status, said


TRACEBACK = """Traceback (most recent call last):
  File "run.py", line 60, in <module>
    raise ValueError("text: SomeError: of the code")
"""


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [(1, TRACEBACK + "pacman.exceptions.PacmanException: no chip is left\n\n2026-01-01 WARNING: the machine is closed\n", "pacman.exceptions.PacmanException: no chip is left"),
     (1, TRACEBACK + "KeyError: 'p'\n\nDuring handling of the above exception, another exception occurred:\n" + TRACEBACK + "a.b.LateError\nException ignored in: <x>\n", "a.b.LateError"),
     (1, '  File "run.py", line 3\n    x = (\n        ^\nSyntaxError: \'(\' was never closed\n', "SyntaxError: '(' was never closed"),
     (1, "run.py: a line\nthe last: of no Error\n\n", "the last: of no Error"),
     (-9, "\n", "it says nothing"),
     (0, "UserWarning: old\nValueError: caught\n", "it wrote no report")],
)  # fmt: skip
def test_why_it_does_not_map(status: int, said: str, why: str, packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual.subprocess, "run", lambda *_, **__: Child(status, said))
    with pytest.raises(LimitError) as caught, virtual_mapping(packages["small"], board_named("spinn5")):
        pass
    assert str(caught.value) == f"{packages['small']}: sPyNNaker does not map it ({why}); {REMEDY}"


def test_a_folder_that_is_no_export(tmp_path: Path) -> None:
    said = say("verify", str(tmp_path))
    path = tmp_path / "manifest.json"
    assert (said.status, said.out) == (1, "")
    assert said.err == f"error: {path}: there is no such file; expected the folder of an export made by `neuromem export`.\n"


@pytest.mark.parametrize("gone", ["spynnaker", "pyNN"])
def test_without_spynnaker(gone: str, packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "find_spec", lambda name: None if name == gone else importlib.util.find_spec(name))
    monkeypatch.setattr(verification, "virtual_mapping", no_mapping)
    said = say("verify", str(packages["small"]))
    assert (said.status, said.out, said.err) == (
        1, "", "error: the virtual mapping needs sPyNNaker, which is not installed: pip install 'neuromem[spinnaker]'\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("release", "found"), [("1!7.3.0", "7.3.0"), ("7.4.2", "7.4.2"), ("1!7.4.1.post1", "7.4.1.post1"), (None, "of an unknown release")]
)
def test_another_release_of_spynnaker(release: str | None, found: str, packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if release is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return release

    monkeypatch.setattr(virtual, "version", version)
    monkeypatch.setattr(verification, "virtual_mapping", no_mapping)
    said = say("verify", str(packages["small"]))
    assert (said.status, said.out, said.err) == (
        1, "", f"error: the virtual mapping: sPyNNaker {found} is installed; expected 7.4.1, whose mapping and binaries were checked: "
        "pip install 'neuromem[spinnaker]'\n",
    )  # fmt: skip


def test_the_release_that_is_installed_is_the_one_that_was_checked() -> None:
    assert importlib.metadata.version("sPyNNaker") == "1!7.4.1"
    virtual.require_spynnaker()


def no_mapping(*_: object, **__: object) -> None:
    raise AssertionError("the mapping began")


def test_without_unicorn(packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    monkeypatch.setattr(verification, "virtual_mapping", no_mapping)
    said = say("verify", str(packages["small"]))
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: the emulated board needs unicorn, which is not installed: pip install 'neuromem[spinnaker]'\n"


STAGES = """
import sys
from neuromem.cli import verify
verify.Stages.__call__ = lambda self, what, done, total: print(what, done, flush=True)
sys.argv = ["neuromem", "verify", sys.argv[1]]
from neuromem.cli.main import main
main()
"""


@pytest.mark.parametrize(("stage", "wait"), [("mapping 0", 1.5), ("booting 0", 0.0), ("running 3", 0.0)])
def test_ctrl_c_ends_it_and_leaves_nothing(stage: str, wait: float, packages: dict[str, Path], tmp_path: Path) -> None:
    """While sPyNNaker maps in a process of its own, while the board boots, and in the run."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", STAGES, str(packages["far"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        watch = threading.Timer(180, process.kill)  # or reading would wait for ever for one that hangs
        watch.start()
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) != stage:
                assert line, "it ended before"
            time.sleep(wait)  # for sPyNNaker to begin; the test does not depend on how far it is
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            watch.cancel()
            process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
