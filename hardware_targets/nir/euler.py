"""A NIR graph in forward Euler steps: the plain reading against which others are compared. Slow, and knows nothing of our metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.errors import UnsupportedError
from neuromem.hardware_targets.nir.constants import MS
from neuromem.hardware_targets.nir.paths import kind


def euler_spikes(graph: Any, inputs: Mapping[str, np.ndarray], dt: float, n_steps: int) -> dict[str, np.ndarray]:
    """Return the spikes of every Input, CubaLIF and LIF node as a boolean array (n_steps, n), from steps of ``dt`` ms.

    ``inputs[name]`` (n_steps, n) are the spikes of an Input node; one that is not given is silent. In a step::

        x  <- what was sent in the step before, through Linear, Affine, Scale and Delay nodes, summed
        I  <- I + (dt/tau_syn) (w_in x - I)               (LI: v <- v + (dt/tau) (v_leak - v + r x))
        v  <- v + (dt/tau_mem) (v_leak - v + r I)
        v > v_threshold: spike, v <- v_reset

    All start from v = v_leak and I = 0.
    """
    return _Reading(graph, inputs, dt, n_steps).run()


class _Reading:
    def __init__(self, graph: Any, inputs: Mapping[str, np.ndarray], dt: float, n_steps: int) -> None:
        self.nodes, self.dt, self.n_steps = graph.nodes, dt * MS, n_steps
        self.before = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
        self.sent: dict[str, np.ndarray] = {}
        self.current: dict[str, np.ndarray] = {}
        self.v: dict[str, np.ndarray] = {}
        for name, node in graph.nodes.items():
            if kind(node) not in ("Input", "Output", "Linear", "Affine", "Scale", "Delay", "LI", "LIF", "CubaLIF"):
                raise UnsupportedError(f"NIR node {name!r}: {kind(node)} has no reading in Euler steps here.")
            if kind(node) == "Input":
                n = int(np.prod(next(iter(node.input_type.values()))))
                self.sent[name] = np.asarray(inputs.get(name, np.zeros((n_steps, n))), dtype=bool)
            elif kind(node) in ("LI", "LIF", "CubaLIF"):
                self.v[name] = np.array(node.v_leak, dtype=np.float64)
                self.current[name] = np.zeros_like(self.v[name])
                if kind(node) != "LI":
                    self.sent[name] = np.zeros((n_steps, self.v[name].size), dtype=bool)

    def run(self) -> dict[str, np.ndarray]:
        for step in range(self.n_steps):
            for group in ("LI", "LIF", "CubaLIF"):  # a LIF takes what its LI nodes have in this step
                for name, node in self.nodes.items():
                    if kind(node) == group:
                        getattr(self, f"_{group.lower()}")(name, node, step)
        return self.sent

    def _li(self, name: str, node: Any, step: int) -> None:
        self.v[name] = self.v[name] + self.dt / node.tau * (node.v_leak - self.v[name] + node.r * self._arriving(name, step - 1))

    def _lif(self, name: str, node: Any, step: int) -> None:
        self._membrane(name, node, node.tau, self._arriving(name, step - 1), step)

    def _cubalif(self, name: str, node: Any, step: int) -> None:
        current = self.current[name]
        self.current[name] = current + self.dt / node.tau_syn * (node.w_in * self._arriving(name, step - 1) - current)
        self._membrane(name, node, node.tau_mem, self.current[name], step)

    def _membrane(self, name: str, node: Any, tau: np.ndarray, current: np.ndarray, step: int) -> None:
        v = self.v[name] + self.dt / tau * (node.v_leak - self.v[name] + node.r * current)
        self.sent[name][step] = v > node.v_threshold
        self.v[name] = np.where(v > node.v_threshold, node.v_reset, v)

    def _arriving(self, name: str, step: int) -> Any:
        return sum((self._value(source, step) for source in self.before[name]), start=np.float64(0.0))

    def _value(self, name: str, step: int) -> Any:
        """Return what a node sends in a step; 0 before the first."""
        node = self.nodes[name]
        if name in self.sent:
            return self.sent[name][step].astype(np.float64) if step >= 0 else np.zeros(self.sent[name].shape[1])
        if kind(node) == "LI":
            return self.v[name]
        if kind(node) == "Delay":
            steps = np.rint(np.atleast_1d(node.delay) / self.dt).astype(np.int64)
            return sum((self._arriving(name, step - s) * (steps == s) for s in np.unique(steps).tolist()), start=np.zeros(steps.size))
        if kind(node) == "Scale":
            return node.scale * self._arriving(name, step)
        value = node.weight @ self._arriving(name, step)
        return value + node.bias if kind(node) == "Affine" else value
