"""The ways from cell to cell in a NIR graph: what lies between is linear, and becomes one matrix with delays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.errors import FileError, UnsupportedError

CELLS = ("Input", "CubaLIF", "LIF")
LINEAR = ("Linear", "Affine", "Scale", "Delay")
READ = (*CELLS, *LINEAR, "LI", "Output")
"""The kinds of nodes that we read."""


def kind(node: Any) -> str:
    """Return the name of a node's type."""
    return type(node).__name__


def about(node: Any) -> Mapping[str, Any]:
    """Return our metadata of a node or graph; empty where there are none."""
    own = node.metadata.get("neuromem") if isinstance(node.metadata, dict) else None
    return own if isinstance(own, dict) else {}


@dataclass(frozen=True, eq=False)
class Path:
    """From cell ``source``: ``weight`` (n_now, n_source), and delays in s: ``before`` it (n_source,) and ``after`` it (n_now,).

    ``through`` names the matrices on the way.
    """

    source: str
    weight: np.ndarray
    before: np.ndarray
    after: np.ndarray
    through: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Wiring:
    """Nodes of a graph and, for each, where its edges come from, in the order of the graph."""

    nodes: Mapping[str, Any]
    before: Mapping[str, tuple[str, ...]]

    def paths(self, target: str, seen: tuple[str, ...] = ()) -> Iterator[Path]:
        """Yield every path from a cell to ``target``; raise ``UnsupportedError`` for a cycle without a cell or a node that is not linear."""
        for name in self.before[target]:
            node = self.nodes[name]
            if kind(node) in CELLS:
                n = size_of(name, node)
                yield Path(name, np.eye(n), np.zeros(n), np.zeros(n))
                continue
            self._check_linear(name, node, target, seen)
            for path in self.paths(name, (*seen, name)):
                yield _through(path, name, node)

    def bias(self, target: str, seen: tuple[str, ...] = ()) -> np.ndarray | float:
        """Return what the biases of ``Affine`` nodes bring to ``target`` in every step; raises as ``paths`` does."""
        return sum((self._constant(name, target, seen) for name in self.before[target]), start=0.0)

    def _constant(self, name: str, target: str, seen: tuple[str, ...]) -> np.ndarray | float:
        node = self.nodes[name]
        if kind(node) in CELLS:
            return 0.0
        self._check_linear(name, node, target, seen)
        inner = self.bias(name, (*seen, name))
        if kind(node) in ("Linear", "Affine"):
            inner = node.weight @ (inner + np.zeros(node.weight.shape[1]))
        if kind(node) == "Affine":
            inner = inner + node.bias
        return inner * node.scale if kind(node) == "Scale" else inner

    def _check_linear(self, name: str, node: Any, target: str, seen: tuple[str, ...]) -> None:
        if kind(node) not in LINEAR:
            raise UnsupportedError(
                f"NIR node {name!r}: {kind(node)} sends to {target!r}; expected that cells and {', '.join(LINEAR)} send to a cell."
            )
        if name in seen:
            raise UnsupportedError(f"NIR node {name!r}: it reaches itself without a cell on the way; expected a cell in every cycle.")


def size_of(name: str, node: Any) -> int:
    """Return the number of cells of a node; raise ``UnsupportedError`` unless they form a vector."""
    shape = tuple(int(n) for n in np.atleast_1d(next(iter(node.output_type.values()))))
    if len(shape) != 1 or shape[0] < 1:
        raise UnsupportedError(
            f"NIR node {name!r}: {kind(node)} of shape {shape}; expected a vector of cells, such as ({int(np.prod(shape)) or 1},)."
        )
    return shape[0]


def _through(path: Path, name: str, node: Any) -> Path:
    n_now = path.weight.shape[0]
    if kind(node) in ("Linear", "Affine"):
        weight = np.asarray(node.weight, dtype=np.float64)
        if weight.ndim != 2 or weight.shape[1] != n_now:
            raise FileError(f"NIR node {name!r}: weight of shape {weight.shape} after {n_now} units; expected (n_post, {n_now}).")
        if np.any(path.after != path.after[0]):
            raise UnsupportedError(f"NIR node {name!r}: a matrix after different delays after a matrix; expected equal delays there.")
        after = np.full(weight.shape[0], path.after[0])
        return Path(path.source, weight if not path.through else weight @ path.weight, path.before, after, (*path.through, name))
    value = np.asarray(node.delay if kind(node) == "Delay" else node.scale, dtype=np.float64)
    if value.shape not in ((), (1,), (n_now,)):
        raise FileError(f"NIR node {name!r}: {kind(node)} of shape {value.shape} after {n_now} units; expected ({n_now},).")
    if kind(node) == "Scale":
        return Path(path.source, path.weight * np.broadcast_to(value, (n_now,))[:, None], path.before, path.after, (*path.through, name))
    if not path.through:
        return Path(path.source, path.weight, path.before + value, path.after)
    return Path(path.source, path.weight, path.before, path.after + value, path.through)
