"""``neuromem run``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_testing import TRACE, golden, say, without_seconds

from neuromem.backends.reference import ReferenceSimulation
from neuromem.cli import outputs, progress, table
from neuromem.errors import StoreError

REFERENCE = ("--backend", "reference")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Endings of the paths that were drawn to; the picture itself is the raster's own test."""
    paths: list[str] = []

    def draw(memory: object, protocol: object, recording: object, outcomes: object, path: Path) -> None:
        paths.append(path.suffix)
        path.write_text("picture")

    monkeypatch.setattr("neuromem.analysis.raster.draw_raster", draw)
    return paths


@pytest.fixture
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("the run began")

    monkeypatch.setattr("neuromem.api.run", run)


def test_the_table_of_the_published_protocol(drawn: list[str]) -> None:
    said = say("run", "ca3-cam", *REFERENCE)
    assert (said.status, said.err) == (0, "")
    assert without_seconds(said.out) == golden("cli_run_functional.txt")
    assert (drawn, [p.name for p in Path().iterdir()]) == ([".png"], ["ca3-cam-functional.png"])


@pytest.mark.parametrize("runs_on", [("reference",), ("cpu",), ("brian2", "--codegen", "numpy")], ids=lambda runs_on: runs_on[0])
def test_spikes_are_those_recorded_on_the_board(runs_on: tuple[str, ...]) -> None:
    if runs_on[0] == "brian2":
        pytest.importorskip("brian2", reason="brian2 is not installed; pip install 'neuromem[brian2]'")
    said = say("run", "ca3-cam", "--protocol", "functional", "--spikes", "out.csv", "--no-raster", "--backend", *runs_on)
    assert (said.status, said.err) == (0, "")
    assert Path("out.csv").read_bytes() == TRACE.read_bytes()
    assert list(Path().iterdir()) == [Path("out.csv")]


def test_wrong_answers_are_a_result_and_not_a_failure() -> None:
    # Two stores that share bit 2, too close: the second one erases the link from bit 2 to the first one's cue.
    Path("close.toml").write_text(
        '[[operation]]\nkind = "store"\nat = 0\ncue = 0\ncontent = [1, 2]\n'
        '[[operation]]\nkind = "store"\nat = 5\ncue = 1\ncontent = [2, 3]\n'
        '[[operation]]\nkind = "recall"\nat = 30\ncontent = 2\n'
    )
    said = say("run", "ca3-cam", "--protocol", "close.toml", "--unsafe-gaps", "--no-raster", *REFERENCE)
    assert said.status == 0
    assert said.err == "note: 1 of 2 gaps between operations are below the safe gap of ca3-cam: answers may be wrong.\n"
    *_, last, summary = said.out.splitlines()
    assert last == "     30  recall  content 2           cue 1               cue 0 1             WRONG                6"
    assert summary.startswith("2 of 3 right; ")


def test_an_unsafe_gap_is_refused_with_the_safe_one() -> None:
    Path("close.toml").write_text('gap = 4\n[[operation]]\nkind = "recall"\ncue = 0\n[[operation]]\nkind = "recall"\ncue = 0\n')
    said = say("run", "ca3-cam", "--protocol", "close.toml", "--no-raster", *REFERENCE)
    assert (said.status, said.out, said.err) == (
        1, "",
        "error: Protocol 'close': recall at step 5 begins 4 steps after recall at step 1; expected at least 5, the safe gap of ca3-cam "
        "from recall_by_cue to recall_by_cue (unsafe gaps can be studied with --unsafe-gaps, or unsafe_gaps = true in the protocol).\n",
    )  # fmt: skip


def test_overlapping_operations_are_refused_even_with_unsafe_gaps() -> None:
    Path("over.toml").write_text('gap = 2\n[[operation]]\nkind = "store"\ncue = 0\ncontent = 1\n[[operation]]\nkind = "recall"\ncue = 0\n')
    said = say("run", "ca3-cam", "--protocol", "over.toml", "--unsafe-gaps", "--no-raster", *REFERENCE)
    assert (said.status, said.out, said.err) == (
        1, "",
        "error: Protocol 'over': recall at step 3 begins 2 steps after store at step 1, whose input lasts 3 steps: they overlap; "
        "expected at least 7 steps, the safe gap of ca3-cam from store to recall_by_cue.\n",
    )  # fmt: skip


def test_json_is_one_object_and_nothing_else(drawn: list[str]) -> None:
    said = say("run", "ca3-cam", "--protocol", "state_map", "--json", *REFERENCE)
    assert (said.status, said.err, drawn) == (0, "", [])
    found = json.loads(said.out)
    operations = found.pop("operations")
    digest = found.pop("digest")
    assert found == {
        "model": "ca3-cam", "parameters": {"n_cues": 16, "n_content": 6, "post_history": None, "self_inhibition": False},
        "protocol": "state_map", "backend": "reference", "seed": 0, "complete": True, "n_steps": 140, "n_spikes": 504, "n_input_spikes": 102, "correct": True,
    }  # fmt: skip
    assert len(digest) == 64
    assert operations[16] == {
        "kind": "recall", "at": 112, "time_ms": 112.0, "asked": {"content": [1, 2, 4]}, "answer": {"cue": [2, 6, 10, 12, 13, 14]},
        "expected": {"cue": [2, 6, 10, 12, 13, 14]}, "correct": True, "latency": 6,
    }  # fmt: skip


def test_json_of_parameters_that_json_does_not_know() -> None:
    Path("mine.py").write_text(
        "import dataclasses, pathlib, numpy as np\nfrom neuromem.models import ca3_cam\nfrom neuromem.models.ca3_cam import PROTOCOLS\n"
        "def build(n_cues, n_content):\n"
        "    return dataclasses.replace(ca3_cam(), parameters={'a': np.int64(3), 'b': np.arange(2), 'c': pathlib.PurePosixPath('x')})\n"
    )
    said = say("run", "mine.py:build", "--json", *REFERENCE)
    assert json.loads(said.out)["parameters"] == {"a": 3, "b": [0, 1], "c": "x"}


def test_settings_come_before_the_protocols_own_parameters() -> None:
    said = say("run", "ca3-cam", "--protocol", "stress", "--set", "n_cues=2", "--set", "n_content=3", "--json", *REFERENCE)
    assert json.loads(said.out)["parameters"] == {"n_cues": 2, "n_content": 3, "post_history": None, "self_inhibition": False}
    assert len(json.loads(said.out)["operations"]) == 3 * (2 + 2 + 3)


def test_the_default_picture_is_replaced_only_with_force(drawn: list[str]) -> None:
    Path("ca3-cam-functional.png").write_text("mine")
    said = say("run", "ca3-cam", *REFERENCE)
    assert said.status == 0
    assert said.out.splitlines()[-1].startswith("9 of 9 right; ")
    assert said.err == (
        "no raster is drawn: ca3-cam-functional.png: it exists already; expected a new name, or --force to replace it. "
        "(Or: --raster FILE to draw elsewhere, or --no-raster.)\n"
    )
    assert Path("ca3-cam-functional.png").read_text() == "mine"
    said = say("run", "ca3-cam", "--force", *REFERENCE)
    assert (said.status, said.err, drawn) == (0, "", [".png"])
    assert Path("ca3-cam-functional.png").read_text() == "picture"


def test_all_outputs_and_their_replacement() -> None:
    from neuromem.api import open_run

    arguments = ("run", "ca3-cam", "--spikes", "s.csv", "--out", "r.zarr", "--raster", "r.svg", *REFERENCE)
    assert say(*arguments).status == 0
    assert open_run("r.zarr").complete
    assert Path("r.svg").read_text().startswith("<?xml")
    Path("s.csv").write_text("mine")
    said = say(*arguments)
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: s.csv: it exists already; expected a new name, or --force to replace it.\n"
    assert Path("s.csv").read_text() == "mine"
    assert say(*arguments, "--force").status == 0
    assert Path("s.csv").read_bytes() == TRACE.read_bytes()


@pytest.mark.usefixtures("_no_run")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spikes", "there"), "there: it exists already; expected a new name, or --force to replace it."),
        (("--raster", "there.png"), "there.png: it exists already; expected a new name, or --force to replace it."),
        (("--out", "there"), "there: it exists already; expected a new name, or --force to replace it."),
        (("--out", "there", "--force"), "there: it exists already and is no run; --force replaces runs only. Choose another name."),
        (("--out", "folder", "--force"), "folder: it exists already and is no run; --force replaces runs only. Choose another name."),
        (("--spikes", "folder", "--force"), "folder: it is a folder; expected the name of a file."),
        (("--spikes", "/dev/null", "--force"), "/dev/null: it is a device, which is never replaced; expected the name of a new file."),
        (("--raster", "link.png", "--force"), "link.png: it is a link, which is never replaced; expected the name of a new file."),
        (("--spikes", "pipe"), "pipe: it is a pipe, which is never replaced; expected the name of a new file."),
        (("--spikes", "x", "--out", "./x"), "x: --out and --spikes name the same file; expected a name for each."),
        (("--raster", "x.png", "--spikes", "x.png"), "x.png: --spikes and --raster name the same file; expected a name for each."),
        (
            ("--spikes", "ca3-cam-functional.png", "--force"),
            "ca3-cam-functional.png: --spikes and --raster name the same file; expected a name for each.",
        ),
        (
            ("--out", "stale"),
            "stale: stale.partial exists: another program is writing this run, or one was killed; if none is, delete that folder.",
        ),
        (("--spikes", "s" * 256), f"{'s' * 256}: it cannot be written (File name too long); expected another name."),
        (("--raster", "r" * 252 + ".png"), f"{'r' * 252}.png: it cannot be written (File name too long); expected another name."),
        (("--out", "o" * 250), f"{'o' * 250}.partial: it cannot be written (File name too long); expected another name."),
        (
            ("--protocol", "stress", "--set", "n_cues=40", "--set", "n_content=3"),
            "stress: n_cues = 40, n_content = 3; the content of a cue is its number in binary: expected n_cues at most 7, or n_content at least 6.",
        ),
        (("--protocol", "value.toml"), "value.toml:3: parameters.n_cues: ca3_cam: n_cues = 'x'; expected a whole number, at least 1."),
        (("--protocol", "value.toml", "--set", "n_cues=0"), "ca3_cam: n_cues = 0; expected a whole number, at least 1."),
        (("--set", f"n_cues={'9' * 5000}"), f"ca3_cam: n_cues = '{'9' * 5000}'; expected a whole number, at least 1."),
        (("--spikes", "a/b/s.csv"), "a/b/s.csv: there is no folder a/b; expected an existing one: mkdir -p a/b"),
        (("--out", "a/r.zarr"), "a/r.zarr: there is no folder a; expected an existing one: mkdir -p a"),
        (("--raster", "there/r.png"), "there/r.png: there is no folder there; expected an existing one: mkdir -p there"),
        (("--raster", "r.jpeg"), "r.jpeg: a picture that ends in '.jpeg'; expected one of .pdf, .png, .svg."),
        (("--set", "n_cue=3"), "ca3-cam: no parameter 'n_cue'; it has n_content, n_cues, post_history, self_inhibition (did you mean 'n_cues'?)."),
        (("--set", "n_cues"), "--set n_cues: expected KEY=VALUE, such as --set n_cues=8."),
        (("--set", "n_cues=2.5"), "ca3_cam: n_cues = 2.5; expected a whole number, at least 1."),
        (
            ("--protocol", "functinal"),
            "ca3-cam: no protocol 'functinal'; expected one of functional, state_map, stress, or a .toml file (did you mean 'functional'?).",
        ),
        (
            ("--set", "n_content=6"),
            "protocol 'functional', operation 1: ca3-cam, store at step 0, content: unit 8; expected unit numbers from 0 to 5. "
            "The protocol is written for n_cues=5, n_content=10.",
        ),
        (
            ("--set", "n_cues=3"),
            "protocol 'functional', operation 2: ca3-cam, store at step 10, cue: unit 4; expected unit numbers from 0 to 2. "
            "The protocol is written for n_cues=5, n_content=10.",
        ),
        (("--protocol", "none.toml"), "none.toml: no such file; expected a protocol as a TOML file."),
        (
            ("--protocol", "p.toml"),
            "p.toml:2: parameters.n_cue: ca3-cam: no parameter 'n_cue'; it has n_content, n_cues, post_history, self_inhibition (did you mean 'n_cues'?).",
        ),
    ],
)  # fmt: skip
def test_what_can_be_known_before_the_run_is(arguments: tuple[str, ...], message: str) -> None:
    Path("there").write_text("mine")
    Path("there.png").write_text("mine")
    Path("folder").mkdir()
    Path("stale.partial").mkdir()
    Path("link.png").symlink_to("there.png")
    os.mkfifo("pipe")
    Path("value.toml").write_text('[parameters]\nn_content = 9\nn_cues = "x"\n[[operation]]\nkind = "recall"\nat = 0\ncue = 0\n')
    Path("p.toml").write_text('[parameters]\nn_cue = 3\n[[operation]]\nkind = "recall"\nat = 0\ncue = 0\n')
    said = say("run", "ca3-cam", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")
    assert Path("there").read_text() == "mine"


@pytest.mark.usefixtures("_no_run")
def test_an_unwritable_folder_is_known_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", refuse)
    for option, name in (("--spikes", "s.csv"), ("--out", "r.zarr"), ("--raster", "r.png")):
        said = say("run", "ca3-cam", option, name)
        assert (said.status, said.out) == (1, "")
        assert (
            said.err
            == f"error: {name}: folder {tmp_path} cannot be written to (Read-only file system); expected one that can, with free space.\n"
        )


def test_a_full_disk_leaves_no_half_a_file() -> None:
    Path("s.csv").write_text("mine")

    def fill(file: Any) -> None:
        file.write("step")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError) as raised:
        outputs.write_text(Path("s.csv"), fill)
    assert str(raised.value) == "s.csv: it cannot be written (No space left on device); expected a folder that can, with free space."
    assert [(p.name, p.read_text()) for p in Path().iterdir()] == [("s.csv", "mine")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--backend", "cpuu"),
            "backend 'cpuu'; expected one of brian2, brian2cuda, cpu, cupy, reference, spinnaker-emulator (did you mean 'cpu'?).",
        ),
        (
            ("--backend", "cpu", "--codegen", "numpy"),
            "backend 'cpu': options codegen; it does not know them (codegen is an option of brian2).",
        ),
    ],
)
def test_what_the_run_refuses(arguments: tuple[str, ...], message: str) -> None:
    said = say("run", "ca3-cam", "--no-raster", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


@pytest.fixture
def _names_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else writes s.csv and r.png during the run."""
    advance = ReferenceSimulation.advance

    def meanwhile(self: ReferenceSimulation, schedule: Any) -> None:
        for name in ("s.csv", "r.png"):
            Path(name).write_text("theirs")
        advance(self, schedule)

    monkeypatch.setattr(ReferenceSimulation, "advance", meanwhile)


@pytest.mark.usefixtures("_names_taken_meanwhile", "drawn")
@pytest.mark.parametrize("links", [True, False])
def test_files_that_appear_during_the_run_stay_and_the_other_outputs_are_written(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromem.api import open_run

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    said = say("run", "ca3-cam", "--spikes", "s.csv", "--raster", "r.png", "--out", "r.zarr", *REFERENCE)
    assert said.status == 1
    assert said.out.splitlines()[-1].startswith("9 of 9 right; ")
    assert said.err == (
        "error: s.csv: it exists already; expected a new name, or --force to replace it. "
        "r.png: it exists already; expected a new name, or --force to replace it.\n"
    )
    assert (Path("s.csv").read_text(), Path("r.png").read_text()) == ("theirs", "theirs")
    assert open_run("r.zarr").complete
    assert sorted(p.name for p in Path().iterdir()) == ["r.png", "r.zarr", "s.csv"]


def no_links(source: Path | str, target: Path | str, link: Callable[[Path | str, Path | str], None] = os.link) -> None:
    """As on a file system without links (zarr needs them for its own files)."""
    if Path(target).suffix in (".csv", ".png"):
        raise OSError(1, "Operation not permitted")
    link(source, target)


@pytest.mark.usefixtures("_names_taken_meanwhile", "drawn")
def test_force_replaces_files_that_appear_during_the_run() -> None:
    assert say("run", "ca3-cam", "--spikes", "s.csv", "--raster", "r.png", "--force", *REFERENCE).status == 0
    assert Path("s.csv").read_bytes() == TRACE.read_bytes()
    assert Path("r.png").read_text() == "picture"


@pytest.mark.usefixtures("drawn")
def test_outputs_without_links() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", no_links)
        assert say("run", "ca3-cam", "--spikes", "s.csv", "--no-raster", *REFERENCE).status == 0
    assert Path("s.csv").read_bytes() == TRACE.read_bytes()


def test_a_run_that_cannot_be_kept_takes_no_other_output_along(monkeypatch: pytest.MonkeyPatch, drawn: list[str]) -> None:
    from neuromem.runs import store

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", fail)
    said = say("run", "ca3-cam", "--out", "r.zarr", "--spikes", "s.csv", *REFERENCE)
    assert (said.status, said.err) == (
        1, "error: r.zarr: the disk is full; nothing was kept of this run: free some space, or choose another place.\n",
    )  # fmt: skip
    assert Path("s.csv").read_bytes() == TRACE.read_bytes()
    assert drawn == [".png"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(5, "Input/output error", "a.csv"), "a.csv: Input/output error."),
        (OSError(24, "Too many open files"), "the system says: Too many open files."),
        (MemoryError(), "out of memory (no more is said); expected a smaller memory, or a shorter protocol."),
        (RecursionError("maximum recursion depth exceeded"), "something is nested too deep (maximum recursion depth exceeded)."),
        (
            UnicodeEncodeError("ascii", "\xe9", 0, 1, "ordinal not in range(128)"),
            "text that cannot be written or read here ('ascii' codec can't encode character '\\xe9' in position 0: ordinal not in range(128)); "
            "a UTF-8 locale can: LC_ALL=C.UTF-8 neuromem ...",
        ),
    ],
)
def test_what_nobody_foresaw_is_one_line_too(error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("neuromem.api.run", fail)
    said = say("run", "ca3-cam", *REFERENCE)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


def test_names_that_the_terminal_cannot_write() -> None:
    Path("p.toml").write_text('name = "\u00e9"\n[[operation]]\nkind = "recall"\nat = 0\ncue = 0\n', encoding="utf-8")
    command = [sys.executable, "-X", "utf8=0", "-m", "neuromem", "run", "ca3-cam", "--protocol", "p.toml", *REFERENCE]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert done.stderr == (
        "no raster is drawn: 'ca3-cam-\\xe9.png': the file names of this system cannot hold it; expected a name in plain letters. "
        "(Or: --raster FILE to draw elsewhere, or --no-raster.)\n"
    )


def test_interrupted_runs_are_kept_and_marked(monkeypatch: pytest.MonkeyPatch, drawn: list[str]) -> None:
    from neuromem.api import open_run

    advance = ReferenceSimulation.advance

    def stop_in_the_second_part(self: ReferenceSimulation, schedule: Any) -> None:
        if self.step:
            raise KeyboardInterrupt
        advance(self, schedule)

    monkeypatch.setattr(ReferenceSimulation, "advance", stop_in_the_second_part)
    said = say("run", "ca3-cam", "--out", "r.zarr", *REFERENCE)
    assert said.status == 130
    assert said.err == "interrupted after 64 of 90 steps; r.zarr holds them and is marked as incomplete.\n"
    recorded = [line.split(",") for line in TRACE.read_text().splitlines()[1:]]
    before = [population for step, population, _ in recorded if int(step) < 64]
    # The store at step 60 is answered at step 65.
    assert said.out.splitlines()[-1].startswith(f"6 of 6 right; {len(before)} spikes, {before.count('in')} of them input; digest ")
    assert not open_run("r.zarr").complete
    assert drawn == []
    said = say("run", "ca3-cam", *REFERENCE)
    assert (said.status, said.err) == (130, "interrupted after 64 of 90 steps.\n")


def test_the_help_says_that_wrong_answers_are_results() -> None:
    text = " ".join(say("run", "--help").out.split())
    assert "Wrong answers are results: exit status 0. It is 1 for an error, and 130 after Ctrl-C." in text


def test_wrong_usage_ends_with_status_2() -> None:
    said = say("run", "ca3-cam", "--raster", "a.png", "--no-raster")
    assert (said.status, said.out) == (2, "")
    assert said.err.splitlines()[-1] == "Error: Invalid value: --raster and --no-raster are given together; expected one of the two."


def test_version() -> None:
    from importlib.metadata import version

    assert say("--version") == type(say("--version"))(0, version("neuromem") + "\n", "")


def test_the_command_line_imports_what_it_needs_when_it_needs_it() -> None:
    code = (
        "import sys, neuromem.cli.main\n"
        "print([m for m in ('brian2', 'matplotlib', 'networkx', 'numba', 'pydantic', 'rich', 'zarr') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_as_a_module_in_an_empty_folder() -> None:
    command = [sys.executable, "-m", "neuromem", "run", "ca3-cam", "--no-raster", *REFERENCE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert without_seconds(done.stdout) == golden("cli_run_functional.txt").removesuffix("raster: ca3-cam-functional.png\n")
    assert (done.stderr, list(Path().iterdir())) == ("", [])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROW = ("0", "store", "cue 3; content " + " ".join(map(str, range(0, 128, 2))), "cue nothing", "cue 3; content 17", "WRONG", "-")


@pytest.mark.parametrize("width", [40, 70, 80, 100, 400])
def test_no_number_is_cut_on_a_terminal_of_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    table.print_table([ROW, ROW], file)
    text = file.getvalue()
    words = text.split()
    for number in range(0, 128, 2):
        assert words.count(str(number)) >= 2, f"{number} in\n{text}"
    assert words.count("WRONG") == 2
    assert "…" not in text


def test_a_table_that_is_no_terminals_is_plain_and_one_line_for_each_row() -> None:
    file = io.StringIO()
    table.print_table([ROW], file)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].split("  ")[-1].strip() == "-"
    assert ROW[2] in lines[1]


def test_the_progress_bar_waits_and_shows_only_on_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = []
    for patience, file in ((60.0, Terminal()), (0.0, io.StringIO()), (0.0, Terminal())):
        monkeypatch.setattr(sys, "stderr", file)
        monkeypatch.setattr(progress, "PATIENCE", patience)
        with progress.ProgressBar() as bar:
            bar(1, 2)
            bar(2, 2)
        shown.append(file.getvalue() != "")
    assert shown == [False, False, True]
