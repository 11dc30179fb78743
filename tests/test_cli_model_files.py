"""Models by name and a user's own files by path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_testing import say

from neuromem.errors import FileError, SpecError
from neuromem.model_files import find_model
from neuromem.models import MODELS, ca3_cam

GOOD = """\
from __future__ import annotations

from dataclasses import dataclass

from neuromem.models import ca3_cam
from neuromem.spec import Protocol, ProtocolRecipe, recall, store


@dataclass(frozen=True)
class Size:  # needs its module in sys.modules
    size: int


def build(size: int):
    return ca3_cam(n_cues=Size(size).size, n_content=2 * size)


def nothing(size=3):
    return size


def fails(size=3):
    scale = 1
    return scale / (size - 3)


def wrong_definition():
    return ca3_cam(n_cues=0)


def last_cue(size, n_content):
    return Protocol("last_cue", (store(0, (size - 1,), (n_content - 1,)), recall(10, cue=(size - 1,))), 20)


PROTOCOLS = {"last_cue": ProtocolRecipe(last_cue, (("size", 4),))}
number = 3
"""

FAULTY = """\
import sys
from dataclasses import replace

from neuromem.models import ca3_cam
from neuromem.spec import AddressTable, Protocol, ProtocolRecipe, recall


class Forgetful(AddressTable):
    def recall(self, cue=None, content=None):
        return {}[cue]


class Unborn:
    def __init__(self):
        sys.exit("unborn")


def leaves():
    sys.exit(4)


def forgetful():
    return replace(ca3_cam(), ideal=Forgetful)


def unborn():
    return replace(ca3_cam(), ideal=Unborn)


def fine(n_cues):
    return Protocol("fine", (recall(0, cue=(n_cues - 1,)),), 20)


def fails(n_cues):
    return [][n_cues]


def exits():
    sys.exit(5)


def refused():
    return Protocol("refused", (recall(5, cue=(0,)),), 5)


def wants(size):
    return size


PROTOCOLS = {f.__name__: ProtocolRecipe(f) for f in (fine, fails, exits, refused, wants)}
PROTOCOLS["nothing"] = ProtocolRecipe(lambda: None)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(GOOD)


def test_a_model_that_ships() -> None:
    entry = find_model("ca3-cam")
    assert list(entry.protocols) == ["functional", "stress", "state_map"]
    assert entry.build(n_cues=3) == ca3_cam(3, 10)


def test_a_file_of_the_user() -> None:
    before = list(sys.path)
    entry = find_model("mine.py:build")
    assert entry.build(size=4) == ca3_cam(4, 8)
    assert list(entry.protocols) == ["last_cue"]
    assert sys.path == before
    assert not Path("__pycache__").exists()


def test_a_file_that_changed_is_read_again() -> None:
    assert find_model("mine.py:build").build(size=4) == ca3_cam(4, 8)
    Path("mine.py").write_text(GOOD.replace("2 * size", "3 * size"))  # the same length, within the same second
    assert find_model("mine.py:build").build(size=4) == ca3_cam(4, 12)


def test_two_files_of_one_name_stay_apart() -> None:
    Path("other").mkdir()
    Path("other/mine.py").write_text(GOOD.replace("2 * size", "3 * size"))
    first, second = find_model("mine.py:build"), find_model("other/mine.py:build")
    assert (first.build(size=2), second.build(size=2)) == (ca3_cam(2, 4), ca3_cam(2, 6))


def test_run_a_file_with_its_own_protocol_and_with_a_toml_file() -> None:
    # The recipe takes `size` from what was given, and `n_content` from what the memory says of itself.
    said = say("run", "mine.py:build", "--backend", "reference", "--no-raster", "--set", "size=3")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[:-1] == [
        "time ms  kind    asked             came back         expected          verdict  latency steps",
        "      0  store   cue 2; content 5  cue 2; content 5  cue 2; content 5  right                5",
        "     10  recall  cue 2             content 5         content 5         right                6",
    ]
    # As published: 8 + 8K and 2 + 2K spikes for a store of K bits, 4 + 2K and 1 + K for a recall; here K = 1.
    assert said.out.splitlines()[-1].startswith("2 of 2 right; 35 spikes, 7 of them input; digest ")
    Path("p.toml").write_text('[parameters]\nsize = 2\n[[operation]]\nkind = "store"\nat = 0\ncue = 1\ncontent = 3\n')
    assert say("run", "mine.py:build", "--backend", "reference", "--no-raster", "--protocol", "p.toml").status == 0
    said = say("run", "mine.py:build", "--backend", "reference", "--no-raster", "--protocol", "p.toml", "--set", "size=1")
    assert (said.status, said.out, said.err) == (
        1, "", "error: p.toml:6: operation 1, cue: ca3-cam: unit 1; expected unit numbers from 0 to 0.\n",
    )  # fmt: skip


KNOWN = ", ".join(sorted(MODELS))

ERRORS = {
    ("none.py:build",): "none.py: no such file; expected a model file as path/to/file.py:function.",
    ("folder.py:build",): "folder.py: cannot be read (Is a directory); expected a model file as path/to/file.py:function.",
    (
        "mine.py",
    ): "mine.py: no function is named; expected mine.py:function, with one of build, fails, last_cue, nothing, wrong_definition.",
    (
        "mine.py:",
    ): "mine.py: no function is named; expected mine.py:function, with one of build, fails, last_cue, nothing, wrong_definition.",
    ("mine.py:biuld",): "mine.py: no function 'biuld'; it has build, fails, last_cue, nothing, wrong_definition (did you mean 'build'?).",
    ("mine.py:number",): "mine.py: number is a int; expected a function that returns a MemoryModel.",
    ("mine.py:nothing",): "mine.py: nothing(size=4) returned a int; expected a MemoryModel.",
    ("mine.py:fails", "--set", "size=3"): "mine.py:24: ZeroDivisionError: division by zero (in fails(size=3)).",
    ("mine.py:wrong_definition",): "mine.py:wrong_definition: no parameter 'size'; it has none.",
    ("mine.py:build", "--set", "sise=3"): "mine.py:build: no parameter 'sise'; it has size (did you mean 'size'?).",
    ("syntax.py:build",): "syntax.py:2: SyntaxError: invalid syntax.",
    ("raises.py:build",): "raises.py:2: KeyError: 'a' (while the file was loaded).",
    ("lines.py:build",): "lines.py:1: ValueError: first second (while the file was loaded).",
    ("exits.py:build",): "exits.py:2: SystemExit: 3 (while the file was loaded).",
    ("protocols.py:build",): "protocols.py: PROTOCOLS['a'] is a int; expected a ProtocolRecipe or a Trial.",
    ("protocol_list.py:build",): "protocol_list.py: PROTOCOLS is a list; expected a dictionary of ProtocolRecipe or Trial by name.",
    ("ca3-cma",): f"model 'ca3-cma'; expected one of {KNOWN}, or a file of your own as path/to/file.py:function (did you mean 'ca3-cam'?).",
    ("mine:build",): f"model 'mine:build'; expected one of {KNOWN}, or a file of your own as path/to/file.py:function.",
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.items(), ids=[" ".join(a) for a in ERRORS])
def test_a_file_that_cannot_be_used(arguments: tuple[str, ...], message: str) -> None:
    Path("folder.py").mkdir()
    Path("syntax.py").write_text("a = 1\nb = = 2\n")
    Path("raises.py").write_text("table = {}\ntable['a']\n")
    Path("lines.py").write_text("raise ValueError('first\\n  second')\n")
    Path("exits.py").write_text("import sys\nsys.exit(3)\n")
    Path("protocols.py").write_text("PROTOCOLS = {'a': 3}\ndef build(): pass\n")
    Path("protocol_list.py").write_text("PROTOCOLS = []\ndef build(): pass\n")
    said = say("run", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


FAULTS = {
    ("leaves",): "faulty.py:19: SystemExit: 4 (in leaves()).",
    ("forgetful",): "faulty.py:10: KeyError: (4,) (in the ideal memory of ca3-cam, recall at step 0).",
    ("unborn",): "faulty.py:15: SystemExit: unborn (in the ideal memory of ca3-cam, as it is made).",
    ("forgetful", "--protocol", "fails"): "faulty.py:35: IndexError: list index out of range (in PROTOCOLS['fails']).",
    ("forgetful", "--protocol", "exits"): "faulty.py:39: SystemExit: 5 (in PROTOCOLS['exits']).",
    (
        "forgetful", "--protocol", "refused",
    ): "faulty.py:43: in PROTOCOLS['refused']: Protocol 'refused': n_steps = 5, but the last operation is recall at step 5; expected n_steps above it.",
    (
        "forgetful", "--protocol", "wants",
    ): "faulty.py: TypeError: wants() missing 1 required positional argument: 'size' (in PROTOCOLS['wants']).",
    ("forgetful", "--protocol", "nothing"): "faulty.py: PROTOCOLS['nothing'] returned a NoneType; expected a Protocol.",
}  # fmt: skip


@pytest.mark.parametrize("command", ["run", "show"])
@pytest.mark.parametrize(("arguments", "message"), FAULTS.items(), ids=[" ".join(a) for a in FAULTS])
def test_what_a_users_file_does_wrong_later_is_named_too(command: str, arguments: tuple[str, ...], message: str) -> None:
    Path("faulty.py").write_text(FAULTY)
    said = say(command, f"faulty.py:{arguments[0]}", *arguments[1:])
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


def test_a_definition_that_neuromem_refuses_is_named_with_its_line() -> None:
    with pytest.raises(FileError) as raised:
        find_model("mine.py:wrong_definition").build()
    assert str(raised.value) == ("mine.py:28: in wrong_definition(): ca3_cam: n_cues = 0; expected a whole number, at least 1.")


def test_a_parameter_without_a_default_is_asked_for() -> None:
    with pytest.raises(SpecError) as raised:
        find_model("mine.py:build").build()
    assert str(raised.value) == "mine.py:build: parameter 'size' is not given and has no default; give it with --set size=..."


def test_a_model_without_protocols_asks_for_a_file() -> None:
    Path("bare.py").write_text("from neuromem.models import ca3_cam\n")
    said = say("run", "bare.py:ca3_cam")
    assert (said.status, said.out, said.err) == (
        1, "", "error: bare.py:ca3_cam: it has no protocols of its own; expected one as --protocol file.toml.\n",
    )  # fmt: skip


TRIALS = """\
from neuromem.models import ca3_cam, hopfield, willshaw
from neuromem.models.ca3_cam import PROTOCOLS as SPIKING
from neuromem.spec import Trial

PROTOCOLS = {"few": Trial(2, deletions=0.25), "spiking": SPIKING["functional"]}
"""


def test_a_file_with_trials() -> None:
    Path("mine.py").write_text(TRIALS)
    said = say("run", "mine.py:willshaw", "--backend", "reference", "--no-raster", "--set", "n=64")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("2 of 2 exact; mean wrong units 0 (cues 2); digest ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.py:ca3_cam",), "mine.py:ca3_cam: protocol 'few' is a Trial, and the memory has spikes; expected a ProtocolRecipe."),
        (
            ("mine.py:willshaw", "--protocol", "spiking"),
            "mine.py:willshaw: no parameter 'n_cues'; it has hypercolumns, iterative, k, k_content, max_steps, n, n_content, recall (did you mean 'n_content'?).",
        ),
        (
            ("mine.py:hopfield",),
            "hopfield: deletions = 0.25 in cues of 256 bipolar units; expected errors that they can have: flips.",
        ),
        (
            ("mine.py:willshaw", "--protocol", "p.toml"),
            "mine.py:willshaw: protocol p.toml for a memory without spikes, which has no operations in time; expected one of few.",
        ),
        (
            ("bare.py:hopfield", "--protocol", "p.toml"),
            "bare.py:hopfield: protocol p.toml for a memory without spikes, which has no operations in time; expected --patterns N, for a trial.",
        ),
        (("bare.py:hopfield",), "bare.py:hopfield: it has no trials of its own; expected a number of patterns: --patterns N."),
    ],
)
def test_trials_of_memories_without_spikes_only(arguments: tuple[str, ...], message: str) -> None:
    Path("mine.py").write_text(TRIALS)
    Path("bare.py").write_text("from neuromem.models import hopfield\n")
    Path("p.toml").write_text('[[operation]]\nkind = "recall"\nat = 0\ncue = 0\n')
    said = say("run", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


def test_a_memory_without_trials_of_its_own_takes_a_number_of_patterns() -> None:
    Path("bare.py").write_text("from neuromem.models import hopfield\n")
    said = say("run", "bare.py:hopfield", "--patterns", "3", "--noise", "flips=0.1", "--backend", "reference", "--no-raster")
    assert said.out.splitlines()[-1].startswith("3 of 3 exact; mean wrong units 0 (cues 26); digest ")


def test_a_trial_has_no_recipe() -> None:
    with pytest.raises(SpecError, match="hopfield: protocol 'trial' is a Trial, which has no operations in time"):
        find_model("hopfield").protocol("trial", {})
