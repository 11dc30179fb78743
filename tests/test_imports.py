"""Imports run one way, and ``import neuromem`` is light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import neuromem
import neuromem.models

LIBRARY = Path(neuromem.__file__).parent
MODELS = Path(neuromem.models.__file__).parent

# Each layer may import those before it, and itself.
LAYERS = (
    ("errors", "quantities"),
    ("patterns", "cues"),
    ("spec",),
    ("kernels", "ir", "theory"),
    ("targets",),
    ("hardware_targets",),
    ("backends",),
    ("model_files", "runs", "large"),
    ("api",),
    ("analysis",),
    ("exports",),
    ("capacity",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = ("brian2", "cupy", "zarr", "dask", "typer", "numba", "matplotlib", "networkx")


def imports(file: Path) -> list[tuple[str, int]]:
    """Return (module, line) of every import in a file, those inside functions too; ``from a import b`` counts as ``a.b``."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import; expected the whole name"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def inner(file: Path) -> list[tuple[str, int]]:
    """Return (name within neuromem, line) of the imports of the library itself."""
    return [(name.removeprefix("neuromem."), line) for name, line in imports(file) if name.split(".")[0] == "neuromem"]


LIBRARY_FILES = sorted(
    f for f in LIBRARY.rglob("*.py") if f != LIBRARY / "__init__.py" and not {"models", "experiments"} & set(f.parts[-2:-1])
)


@pytest.mark.parametrize("file", LIBRARY_FILES, ids=lambda f: str(f.relative_to(LIBRARY)))
def test_the_library_imports_one_way(file: Path) -> None:
    layer = file.relative_to(LIBRARY).parts[0].removesuffix(".py")
    assert layer in RANK, f"{file.name}: a new layer; say in LAYERS where it stands"
    wrong = [
        f"{file.relative_to(LIBRARY)}:{line} imports {name}"
        for name, line in inner(file)
        if (target := name.split(".")[0]) != "models" and RANK.get(target, len(LAYERS)) > RANK[layer]
    ]
    assert wrong == []
    # Ready-made models stand beside the library: those who list or load them may import them.
    users = ("cli", "api", "model_files", "analysis")
    assert layer in users or not any(name.split(".")[0] == "models" for name, _ in inner(file))


def test_kernels_know_arrays_only() -> None:
    files = [f for f in LIBRARY_FILES if "kernels" in f.parts]
    assert files
    assert [(f.name, name) for f in files for name, _ in inner(f) if not name.startswith(("kernels", "errors"))] == []


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.py")), ids=lambda f: f.name)
def test_a_model_imports_definitions_only(file: Path) -> None:
    allowed = ("spec", "patterns", "quantities", "errors", *(("models",) if file.name == "__init__.py" else ()))
    assert [(name, line) for name, line in inner(file) if name.split(".")[0] not in allowed] == []


def test_a_target_never_imports_a_backend() -> None:
    root = MODELS.parent / "hardware_targets"
    if not root.is_dir():
        root = LIBRARY / "hardware_targets"
    files = sorted(root.rglob("*.py"))
    assert len(files) > 10
    wrong = [(f.name, name) for f in files for name, _ in inner(f) if RANK[name.split(".")[0]] > RANK["hardware_targets"]]
    assert wrong == []
    heavy = ("unicorn", "spynnaker", "pyNN", "nir", "h5py", "norse", "torch")
    at_the_top = [
        (f.name, alias.name)
        for f in files
        for node in ast.parse(f.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0] in heavy
    ]
    assert at_the_top == []


def test_experiments_are_imported_by_nobody_and_leave_out_the_command_line() -> None:
    root = MODELS.parent / "experiments"
    if not root.is_dir():
        pytest.skip("no folder of experiments beside that of the models: an installed package")
    files = sorted(root.rglob("*.py"))
    assert files
    assert [(f.name, name) for f in files for name, _ in inner(f) if name.split(".")[0] == "cli"] == []
    assert [f.name for f in LIBRARY_FILES for name, _ in inner(f) if name.split(".")[0] == "experiments" and f.parent.name != "cli"] == []


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that are loaded in a new interpreter after ``code``."""
    tell = f"{code}\nimport json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_neuromem_imports_nothing_heavy() -> None:
    loaded = modules_after("import neuromem")
    assert "neuromem" in loaded
    assert loaded & set(HEAVY) == set()


def test_the_reference_needs_numpy_only() -> None:
    code = (
        "from neuromem.backends import load_backend; from neuromem.ir import lower_memory; from neuromem.models.ca3_cam import ca3_cam, functional;"
        "load_backend('reference').build(lower_memory(ca3_cam(), functional(5, 10))).run()"
    )
    loaded = modules_after(code)
    assert "numpy" in loaded
    assert loaded & set(HEAVY) == set()
