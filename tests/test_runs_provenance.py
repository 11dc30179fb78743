"""Where a run comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from neuromem.runs.provenance import git_commit, plain
from neuromem.spec import RandomDistribution


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_of_the_repository_around_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    inner = tmp_path / "inner"
    inner.mkdir()
    assert git_commit(inner) is None  # no repository
    git(tmp_path, "init", "-q")
    assert git_commit(inner) is None  # no commit yet
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    assert git_commit(inner) == git(tmp_path, "log", "-1", "--format=%H")


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert git_commit(tmp_path / "gone") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5, None, True, "x")}, {"a": [1, 2.5, None, True, "x"]}),
        (np.int64(3), 3),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.float64(0.5), 0.5),
        (float("inf"), "inf"),
        (np.array([np.nan]), ["nan"]),
        (RandomDistribution("uniform", 0.0, 1.0), "RandomDistribution(distribution='uniform', a=0.0, b=1.0)"),
    ],
)
def test_plain_json(value: object, expected: object) -> None:
    assert plain(value) == expected
