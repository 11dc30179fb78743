"""NIR, an exchange format for networks: frozen networks are exported, and NIR graphs are imported. Nothing of it needs a board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neuromem.hardware_targets.nir.constants import Constants
from neuromem.hardware_targets.nir.export import Weights, nir_graph
from neuromem.hardware_targets.nir.files import file_content, read_graph, write_content
from neuromem.hardware_targets.nir.manifest import NirManifest, NotCarried, manifest_object, manifest_text
from neuromem.hardware_targets.nir.read import NirImport, network_of
from neuromem.ir.program import Program

__all__ = [
    "NirExport",
    "NirImport",
    "NirManifest",
    "NotCarried",
    "export_nir",
    "import_nir",
    "import_text",
    "manifest_object",
    "manifest_text",
    "network_of",
    "nir_graph",
]


@dataclass(frozen=True)
class NirExport:
    """An export as values: the file's ``content`` and the ``manifest``; nothing is written before ``write``. Same input, same bytes."""

    content: bytes
    manifest: NirManifest

    def write(self, path: Path, force: bool = False) -> None:
        """Write the file; raise ``StoreError`` when it exists (unless ``force``) or cannot be written."""
        write_content(path, self.content, force)


def export_nir(program: Program, weights: Weights | None = None, constants: Constants = "euler") -> NirExport:
    """Return the export of a Program with its weights frozen; see ``nir_graph`` for ``weights``, ``constants`` and what it raises."""
    graph, manifest = nir_graph(program, weights, constants)
    return NirExport(file_content(graph), manifest)


def import_nir(path: Path, dt: float | None = None, constants: Constants | None = None) -> NirImport:
    """Return the network in a NIR file; see ``network_of``. Raises ``FileError`` for a file that is none."""
    return network_of(read_graph(path), dt, constants)


def import_text(imported: NirImport) -> str:
    """Return what was read, and what was assumed or not understood, as it is shown on the screen."""
    network = imported.network
    lines = [f"network of {len(network.populations)} populations and {len(network.projections)} projections, dt {imported.dt:g} ms"]
    lines += [f"  {p.name}: {p.size} x {type(p.cell).__name__}" for p in network.populations]
    lines += ["", "what was assumed or not understood", *(f"  {note}" for note in imported.notes or ("nothing",))]
    return "\n".join(lines) + "\n"
