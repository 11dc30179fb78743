"""Protocol files: what they say, and errors that name file, line and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from neuromem.errors import FileError
from neuromem.models import ca3_cam
from neuromem.spec import Protocol, recall, store
from neuromem.spec.protocol_file import key_lines, load_protocol, settling_steps

WHOLE = """\
name = "mine"
n_steps = 90
unsafe_gaps = true
[parameters]
n_cues = 6
[[operation]]
kind = "store"
at = 0
cue = 0
content = [8, 0,
  1, 9]
[[operation]]
kind = "recall"
at = 30
content = 8
"""


def test_a_file_becomes_a_protocol() -> None:
    file = load_protocol("folder/any.toml", WHOLE)
    assert file.parameters == {"n_cues": 6}
    assert file.for_memory(ca3_cam(6, 10)) == Protocol(
        "mine", (store(0, (0,), (0, 1, 8, 9)), recall(30, content=(8,))), n_steps=90, unsafe_gaps=True
    )


def test_defaults_name_length_and_gaps() -> None:
    text = '[[operation]]\nkind = "store"\nat = 3\ncue = 0\ncontent = 1\n'
    memory = ca3_cam()
    protocol = load_protocol("folder/plain.toml", text).for_memory(memory)
    # After a store on a cue in use, the next operation may be a store on a cue in use: 12 steps.
    assert protocol == Protocol("plain", (store(3, (0,), (1,)),), n_steps=3 + 12, unsafe_gaps=False)
    assert settling_steps(memory, memory.form(recall(0, cue=(0,)))) == 7  # the form's own length; its gaps are at most 6


def test_gap_and_start_place_the_operations() -> None:
    body = '[[operation]]\nkind = "recall"\ncue = 0\n' * 3
    assert [o.at for o in load_protocol("p.toml", "gap = 14\n" + body).operations] == [1, 15, 29]
    assert [o.at for o in load_protocol("p.toml", "gap = 14\nstart = 0\n" + body).operations] == [0, 14, 28]


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE)
    assert load_protocol(path).operations == load_protocol("p.toml", WHOLE).operations


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE, encoding="utf-8-sig")
    file = load_protocol(path)
    assert (file.name, file.where("name")) == ("mine", f"{path}:1: name")


def test_the_least_length_is_enough() -> None:
    memory = ca3_cam()
    assert load_protocol("p.toml", "n_steps = 6\n" + STORE).for_memory(memory).n_steps == 6


def test_lines_of_keys() -> None:
    text = '''\
# a comment with [brackets] and key = 1
name = "a [ b # c"
text = """
at = 3
"""
raw = \'\'\'
[[operation]]
\'\'\'
[parameters]
"n_cues" = 5 # ]
[[operation]]
cue = [ # one [
  1,
]
at = 3
[[operation]]
at = 4
'''
    assert dict(key_lines(text)) == {
        ("name",): 2,
        ("text",): 3,
        ("raw",): 6,
        ("parameters",): 9,
        ("parameters", "n_cues"): 10,
        ("operation", 0): 11,
        ("operation", 0, "cue"): 12,
        ("operation", 0, "at"): 15,
        ("operation", 1): 16,
        ("operation", 1, "at"): 17,
    }


STORE = '[[operation]]\nkind = "store"\nat = 0\ncue = 0\ncontent = 1\n'

WRONG = {
    "unknown key": (
        "gapp = 3\n" + STORE,
        "p.toml:1: gapp: unknown key; expected one of gap, n_steps, name, operation, parameters, start, unsafe_gaps (did you mean 'gap'?).",
    ),
    "unknown key of an operation, with the right one missing": (
        '[[operation]]\nat = 0\nknid = "store"\n',
        "p.toml:3: operation 1, knid: unknown key; expected one of at, content, cue, kind (did you mean 'kind'?).",
    ),
    "wrong type": ("name = 3\n" + STORE, "p.toml:1: name = 3; expected text."),
    "text in place of a number": (
        'n_steps = "90"\n' + STORE,
        'p.toml:1: n_steps = "90"; expected a whole number of steps, at least 1.',
    ),
    "bool in place of a unit": (
        STORE.replace("cue = 0", "cue = true"),
        "p.toml:4: operation 1, cue = true; expected a unit number or a list of them.",
    ),
    "unit that is not whole": (
        STORE + STORE.replace("content = 1", "content = [1, 2.5]").replace("at = 0", "at = 20"),
        "p.toml:10: operation 2, content = [1, 2.5]; expected a unit number or a list of them.",
    ),
    "negative step": (
        STORE.replace("at = 0", "at = -1"),
        "p.toml:3: operation 1, at = -1; expected a step, a whole number not below 0.",
    ),
    "misspelt kind": (
        STORE.replace("store", "stor"),
        'p.toml:2: operation 1, kind = "stor"; expected "store", "recall" or "forget" (did you mean \'store\'?).',
    ),
    "missing kind": ("[[operation]]\nat = 0\n", 'p.toml:1: operation 1, kind: missing; expected "store", "recall" or "forget".'),
    "parameter that is a list": (
        "[parameters]\nn_cues = [5]\n" + STORE,
        "p.toml:2: parameters.n_cues = [5]; expected a table [parameters] of numbers, texts, true or false.",
    ),
    "no operation": ("", "p.toml:1: operation: missing; expected tables [[operation]], at least one."),
    "one table in place of several": (
        '[operation]\nkind = "store"\n',
        "p.toml:1: operation = {'kind': 'store'}; expected tables [[operation]], at least one.",
    ),
    "no step": (
        STORE + '[[operation]]\nkind = "recall"\ncue = 0\n',
        "p.toml:6: operation 2, at: missing; expected a step in every operation, or a top-level gap.",
    ),
    "step and gap": ("gap = 14\n" + STORE, "p.toml:4: operation 1, at: given together with the top-level gap; expected one of the two."),
    "start without gap": (
        "start = 2\n" + STORE,
        "p.toml:1: start: given without gap; expected gap = ... beside it, or at = ... in every operation.",
    ),
    "not in the order of time": (
        STORE + STORE,
        "p.toml:8: operation 2, at = 0; operation 1 is at step 0; expected operations in the order of time, one at a step.",
    ),
    "too short": (
        "n_steps = 9\n" + STORE.replace("at = 0", "at = 9"),
        "p.toml:1: n_steps = 9; operation 1 is at step 9; expected n_steps above it.",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        load_protocol("p.toml", text)
    assert str(raised.value) == message


WRONG |= {
    "step far away": (
        STORE.replace("at = 0", "at = 99999999999999"),
        "p.toml:3: operation 1, at = 99999999999999; expected at most 1,000,000,000.",
    ),
    "step beyond 64 bits": (
        STORE.replace("at = 0", f"at = {'9' * 28}"),
        f"p.toml:3: operation 1, at = {'9' * 28}; expected at most 1,000,000,000.",
    ),
    "too long": ("n_steps = 9223372036854775807\n" + STORE, "p.toml:1: n_steps = 9223372036854775807; expected at most 1,000,000,000."),
    "gap that leads far away": (
        "gap = 600000000\n" + 3 * STORE.replace("at = 0\n", ""),
        "p.toml:1: gap = 600000000; operation 3 is at step 1200000001; expected at most 1,000,000,000.",
    ),
    "number of thousands of digits": (
        f"n_steps = {'9' * 5000}\n" + STORE,
        "p.toml: not valid TOML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; "
        "use sys.set_int_max_str_digits() to increase the limit.",
    ),
    "nested lists": (
        f"x = {'[' * 5000}{']' * 5000}\n" + STORE,
        "p.toml: lists or tables stand too deep in each other; expected a protocol, whose lists hold numbers.",
    ),
}


UNSUITED = {
    "unit out of range": (
        STORE.replace("content = 1", "content = [1,\n10]"),
        "p.toml:5: operation 1, content: ca3-cam: unit 10; expected unit numbers from 0 to 9.",
    ),
    "unit given twice": (
        STORE.replace("cue = 0", "cue = [0, 0]"),
        "p.toml:4: operation 1, cue: ca3-cam: unit 0 is given twice; expected distinct unit numbers.",
    ),
    "end before an answer": (
        "n_steps = 3\n" + STORE,
        "p.toml:1: n_steps = 3; operation 1 is answered at step 5; expected n_steps at least 6.",
    ),
    "form that the model does not have": (
        STORE.replace("content = 1\n", ""),
        "p.toml:1: operation 1: store at step 0: ca3-cam has no store with cue; it has: "
        "store with cue and content; recall with cue; recall with content; forget with cue.",
    ),
}


@pytest.mark.parametrize(("text", "message"), UNSUITED.values(), ids=UNSUITED.keys())
def test_what_does_not_suit_the_memory_is_named_with_its_line(text: str, message: str) -> None:
    file = load_protocol("p.toml", text)
    with pytest.raises(FileError) as raised:
        file.for_memory(ca3_cam())
    assert str(raised.value) == message


def test_text_that_is_not_toml_is_named_with_its_line() -> None:
    text = 'name = "a"\nat 3\n'
    with pytest.raises(tomllib.TOMLDecodeError) as theirs:
        tomllib.loads(text)
    said = str(theirs.value).removesuffix(" (at line 2, column 4)")
    with pytest.raises(FileError) as raised:
        load_protocol("p.toml", text)
    assert str(raised.value) == f"p.toml:2: not valid TOML: {said} (column 4)."


def test_text_that_ends_too_early_is_named_with_its_last_line() -> None:
    with pytest.raises(FileError) as raised:
        load_protocol("p.toml", 'name = "a"\ncue = [1,\n')
    assert str(raised.value) == "p.toml:2: not valid TOML: Invalid value (at end of document)."


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.toml").mkdir()
    Path("latin.toml").write_bytes(b'name = "\xe9"\n')
    for name, message in {
        "none.toml": "none.toml: no such file; expected a protocol as a TOML file.",
        "folder.toml": "folder.toml: cannot be read (Is a directory); expected a protocol as a TOML file.",
        "latin.toml": "latin.toml: byte 8 is not UTF-8; expected a protocol as a TOML file.",
    }.items():
        with pytest.raises(FileError) as raised:
            load_protocol(name)
        assert str(raised.value) == message
