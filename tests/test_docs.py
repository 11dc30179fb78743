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
    found = dict(blocks("CONTRIBUTING.md"))
    assert set(found) == {"python", "toml", "sh"}
    Path("my_memory.py").write_text(found["python"])
    Path("echo.toml").write_text(found["toml"])
    session = neuromem.build(neuromem.load_model("my_memory.py:build", size=3), backend="cpu")
    assert session.forget(2).correct
    run_commands(found["sh"], tmp_path)


def test_the_matrix_memory_of_the_page_runs(tmp_path: Path) -> None:
    found = dict(blocks("docs/matrix-memories.md"))
    assert set(found) == {"python", "sh"}
    (tmp_path / "my_memory.py").write_text(found["python"])
    run_commands(found["sh"], tmp_path)


def test_the_page_on_boards_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("spynnaker", reason="neuromem verify needs sPyNNaker: pip install 'neuromem[spinnaker]'")
    pytest.importorskip("unicorn", reason="neuromem verify needs unicorn: pip install 'neuromem[spinnaker]'")
    monkeypatch.chdir(tmp_path)
    found = dict(blocks("docs/spinnaker.md"))
    assert set(found) == {"python", "sh"}
    exec(compile(found["python"], "docs/spinnaker.md", "exec"), {})
    run_commands(found["sh"], tmp_path)


def test_the_page_on_gpus_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = dict(blocks("docs/gpu.md"))
    assert set(found) == {"python", "sh"}
    exec(compile(found["python"], "docs/gpu.md", "exec"), {})
    run_commands(found["sh"], tmp_path)


PAGES = ("architecture", "capacity", "gpu", "matrix-memories", "run-schema", "spinnaker", "spinnaker-package")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}.md" for page in PAGES)])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{name}: {target} is not there"


def test_a_block_without_a_language_is_no_block_at_all() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        assert all(language for language, _ in blocks(name)), f"{name}: a block has no language"
