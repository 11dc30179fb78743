"""Every fenced block of the README and of CONTRIBUTING runs, or says beside it why not."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import neuromem
from neuromem.spec.protocol_file import load_protocol

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: [^>]+-->\n\Z")


def blocks(name: str) -> list[tuple[str, str]]:
    """Return (language, text) of the blocks that are to run."""
    text = (ROOT / name).read_text()
    return [(m[1], m[2]) for m in BLOCK.finditer(text) if not NOT_RUN.search(text[: m.start()])]


def run_commands(text: str, folder: Path) -> None:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "neuromem"
        done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks("README.md")
    assert {language for language, _ in found} == {"sh", "python", "toml"}
    names: dict[str, object] = {}
    for language, text in found:
        if language == "python":
            exec(compile(text, "README.md", "exec"), names)
        elif language == "sh":
            run_commands(text, tmp_path)
        else:
            Path("mine.toml").write_text(text)
            operations = load_protocol("mine.toml").for_memory(neuromem.models.ca3_cam()).operations
            assert [o.kind for o in operations] == ["store", "recall"]
    run_commands("neuromem run ca3-cam --protocol mine.toml --no-raster", tmp_path)


def test_the_model_of_contributing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((language, text),) = blocks("CONTRIBUTING.md")
    assert language == "python"
    Path("my_memory.py").write_text(text)
    session = neuromem.build(neuromem.load_model("my_memory.py:build", size=3), backend="cpu")
    assert session.forget(2).correct
    Path("p.toml").write_text('[[operation]]\nkind = "forget"\nat = 0\ncue = 1\n')
    run_commands("neuromem run my_memory.py:build --set size=8 --protocol p.toml --raster relay.png", tmp_path)


def test_a_block_without_a_language_is_no_block_at_all() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        assert all(language for language, _ in blocks(name)), f"{name}: a block has no language"
