"""The library is typed (mypy, strict) and clean (ruff)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)


def as_installed(folder: Path) -> Path:
    """Lay the folders out as they are installed: models, targets and experiments inside the package (mypy knows no package-dir table)."""
    package = folder / "neuromem"
    package.mkdir()
    for entry in (ROOT / "neuromem").iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for name in ("models", "hardware_targets", "experiments"):
        (package / name).symlink_to(ROOT / name)
    return package


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Type-check the package laid out in ``folder``; the cache is kept in the repository, where it is ignored."""
    cache = ROOT / ".mypy_cache"
    return run(
        sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache), "-p", "neuromem",
        cwd=folder, MYPYPATH=str(folder),
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="lays the package out with symbolic links")
def test_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed; pip install 'neuromem[dev]'")
    as_installed(tmp_path)
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Success: no issues found in" in done.stdout


def test_mypy_does_look_at_the_models(tmp_path: Path) -> None:
    """A wrong type in a model is noticed in the layout above."""
    pytest.importorskip("mypy", reason="mypy is not installed; pip install 'neuromem[dev]'")
    package = as_installed(tmp_path)
    (package / "models").unlink()
    (package / "models").mkdir()
    for file in (ROOT / "models").glob("*.py"):
        (package / "models" / file.name).symlink_to(file)
    (package / "models" / "wrong.py").write_text("from neuromem.spec import Population\n\nx: int = Population\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert "wrong.py:3: error: Incompatible types in assignment" in done.stdout


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(command: tuple[str, ...]) -> None:
    pytest.importorskip("ruff", reason="ruff is not installed; pip install 'neuromem[dev]'")
    done = run(sys.executable, "-m", "ruff", *command, ".", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
