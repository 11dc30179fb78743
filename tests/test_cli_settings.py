"""Values and names as they are typed on the command line."""

from __future__ import annotations

import pytest

from neuromem.cli.request import engine, file_stem, read_settings
from neuromem.cli.values import read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8), ("-3", -3), ("+4", 4), ("007", 7), ("2.5", 2.5), ("-.5", -0.5), ("1e3", 1000.0), ("1.", 1.0), ("true", True), ("False", False),
        ("none", None), ("None", None), ("deferred", "deferred"), ("", ""), ("1.2.3", "1.2.3"), ("1_000", "1_000"), ("inf", "inf"), ("nan", "nan"),
        ("__import__('os')", "__import__('os')"), ("[1, 2]", "[1, 2]"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    found = read_value(text)
    assert (found, type(found)) == (value, type(value))


def test_the_last_setting_of_a_key_counts() -> None:
    assert read_settings(["a=1", "b = x=y", "a=2"]) == {"a": 2, "b": "x=y"}


def test_engines() -> None:
    assert engine("cpu") == ("cpu", {})
    assert engine(" brian2:cpp_standalone ") == ("brian2", {"codegen": "cpp_standalone"})


def test_file_names_hold_no_separators() -> None:
    assert file_stem("../my memory", "a:b") == ".._my_memory-a_b"
