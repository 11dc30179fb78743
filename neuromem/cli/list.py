"""``neuromem list``: models, backends (with why one is missing), targets and experiments."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from neuromem.cli.table import aligned


def list_everything() -> None:
    """List models, backends, targets and experiments."""
    for title, rows in (("models", models()), ("backends", backends()), ("targets", targets()), ("experiments", experiments())):
        if rows:
            print(title)
            print(aligned(rows, indent="  "))
    if experiments():
        print("run an experiment with: python -m neuromem.experiments.NAME.run")


def models() -> list[tuple[str, str, str]]:
    """Return (name, title, protocols) of the models that ship."""
    from neuromem.model_files import find_model, model_names

    entries = [find_model(name) for name in model_names()]
    return [(e.name, e.build().title, f"protocols: {', '.join(e.protocols)}") for e in entries]


def backends() -> list[tuple[str, str]]:
    """Return (name, ``available`` or why it is missing and what to type)."""
    from neuromem.backends import BACKENDS, load_backend

    rows = []
    for name in BACKENDS:
        try:
            versions = load_backend(name).versions()
        except ImportError as error:  # BackendMissingError is one
            rows.append((name, f"missing: {error}"))
        else:
            rows.append((name, f"available: {', '.join(f'{package} {version}' for package, version in versions.items())}"))
    return rows


def targets() -> list[tuple[str, str]]:
    """Return (name, what it is) of what can be exported to."""
    from neuromem.targets import TARGETS

    return list(TARGETS.items())


def experiments() -> list[tuple[str, str]]:
    """Return (name, what its script says it is) of the experiments that ship; imports none of their scripts."""
    rows = []
    for folder in importlib.import_module("neuromem.experiments").__path__:
        for script in sorted(Path(folder).glob("*/run.py")):
            described = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
            rows.append((script.parent.name, described.partition("\n")[0]))
    return rows
