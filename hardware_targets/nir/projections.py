"""The projections of a NIR graph: its paths from cell to cell, as connectors, weights and delays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromem.hardware_targets.nir.cells import Inlet, short
from neuromem.hardware_targets.nir.constants import MS
from neuromem.hardware_targets.nir.matrices import Rows, dense, listed
from neuromem.hardware_targets.nir.paths import Path, Wiring, about
from neuromem.spec.connectors import AllToAllConnector, ArrayConnector, Connector, FromListConnector, OneToOneConnector
from neuromem.spec.network import Projection, Receptor
from neuromem.spec.population import Population, View
from neuromem.spec.synapses import StaticSynapse

_STEP_TOLERANCE = 1e-6  # of a step: above the rounding of seconds, far below a meant fraction of a step


@dataclass(frozen=True, eq=False)
class _Part:
    """A path as matrices by delay (steps), in nA; ``own`` is our metadata of its matrix, and ``unscaled`` whether weights are as written."""

    pre: Population
    post: Population
    matrices: Mapping[int, np.ndarray]
    own: Mapping[str, Any]
    unscaled: bool


def read_projections(
    wiring: Wiring, populations: Mapping[str, Population], inlets: Mapping[str, tuple[Inlet, ...]], dt: float, notes: list[str]
) -> tuple[Projection, ...]:
    """Return the projections, those of an export as they were and in their order, then those of other graphs."""
    exported: dict[int, list[_Part]] = {}
    others: list[_Part] = []
    for name, ends in inlets.items():
        for inlet in ends:
            for path in wiring.paths(inlet.node):
                part = _part(path, wiring, populations[path.source], populations[name], inlet, dt, notes)
                if "index" in part.own:
                    exported.setdefault(int(part.own["index"]), []).append(part)
                else:
                    others.append(part)
    projections = []
    for _, parts in sorted(exported.items()):
        projection = _exported(parts, dt, notes)
        if projection is None:
            others += parts
        else:
            projections.append(projection)
    for part in others:
        projections += _signed(part, {p.name for p in projections}, dt)
    return tuple(projections)


def _part(path: Path, wiring: Wiring, pre: Population, post: Population, inlet: Inlet, dt: float, notes: list[str]) -> _Part:
    own = about(wiring.nodes[path.through[0]]) if len(path.through) == 1 else {}
    exact = (path.before[None, :] + path.after[:, None]) / (dt * MS)
    beyond = np.rint(exact).astype(np.int64)
    if np.any(np.abs(exact - beyond) > _STEP_TOLERANCE):
        notes.append(f"{pre.name}>{post.name}: delays are rounded to whole steps of {dt:g} ms")
    weight = path.weight * inlet.scale[:, None]
    matrices = {int(b) + 1: np.where(beyond == b, weight, 0.0) for b in np.unique(beyond)}
    return _Part(pre, post, matrices, own, bool(np.all(inlet.scale == 1.0)))


def _exported(parts: list[_Part], dt: float, notes: list[str]) -> Projection | None:
    """Return a projection as our metadata have it; None where the graph was edited so that they no longer hold."""
    whole = [p for p in parts if "connector" in p.own]
    name = str(parts[0].own.get("name", ""))
    if len(whole) != 1 or any(p.pre is not parts[0].pre or p.post is not parts[0].post for p in parts):
        notes.append(f"{name}: its matrices are not those of the export; they are read as a stranger's")
        return None
    main, matrices = whole[0], {d: m for p in parts for d, m in p.matrices.items()}
    sign = -1.0 if main.own["receptor"] == "inhibitory" else 1.0
    rows = listed(matrices)
    pre_start, n_pre, post_start, n_post = (int(main.own[k]) for k in ("pre_start", "n_pre", "post_start", "n_post"))
    inside = (rows.pre >= pre_start) & (rows.pre < pre_start + n_pre) & (rows.post >= post_start) & (rows.post < post_start + n_post)
    if np.any(sign * rows.weight < 0.0) or not np.all(inside):
        notes.append(f"{name}: its matrices are not those of the export; they are read as a stranger's")
        return None
    if "pre" in main.own and main.unscaled:
        pre, post, delay, weight = (np.atleast_1d(main.own[k]) for k in ("pre", "post", "delay", "weight"))
        table = Rows(pre, post, delay, sign * weight)
        again = dense(table, main.pre.size, main.post.size)
        if again.keys() == matrices.keys() and all(np.array_equal(again[d], matrices[d]) for d in again):
            rows = table
        else:
            notes.append(f"{name}: its weights are not those of the export; the graph's are taken, without synapses of weight 0")
    pre_end, post_end = _end(main.pre, pre_start, n_pre), _end(main.post, post_start, n_post)
    local = Rows(rows.pre - pre_start, rows.post - post_start, rows.delay, sign * rows.weight)
    same = pre_start - post_start if main.pre is main.post else None
    connector = _connector(local, n_pre, n_post, same, str(main.own["connector"]))
    return Projection(pre_end, post_end, connector, _synapse(local, dt), "inhibitory" if sign < 0 else "excitatory", name=name)


def _signed(part: _Part, taken: set[str], dt: float) -> list[Projection]:
    """Return the positive weights of a path as an excitatory projection, and the negative ones as an inhibitory one."""
    rows, made = listed(part.matrices), []
    signs: tuple[tuple[float, Receptor, str], ...] = ((1.0, "excitatory", ""), (-1.0, "inhibitory", ":inh"))
    for sign, receptor, suffix in signs:
        mine = sign * rows.weight > 0.0
        if not np.any(mine):
            continue
        some = Rows(rows.pre[mine], rows.post[mine], rows.delay[mine], sign * rows.weight[mine])
        name, n = f"{part.pre.name}>{part.post.name}{suffix}", 1
        while name in taken:
            n += 1
            name = f"{part.pre.name}>{part.post.name}{suffix}_{n}"
        taken.add(name)
        same = 0 if part.pre is part.post else None
        connector = _connector(some, int(part.pre.size), int(part.post.size), same, "")
        made.append(Projection(part.pre.name, part.post.name, connector, _synapse(some, dt), receptor, name=name))
    return made


def _end(population: Population, start: int, n: int) -> str | View:
    return population.name if n == population.size else View(population.name, start, start + n)


def _synapse(rows: Rows, dt: float) -> StaticSynapse:
    if not rows.weight.size:
        return StaticSynapse()
    delay = np.array([float(f"{d * dt:.12g}") for d in rows.delay.tolist()])  # as it would be written: 0.3, not 3 * 0.1
    return StaticSynapse(short(rows.weight), short(delay))


def _connector(rows: Rows, n_pre: int, n_post: int, same: int | None, hint: str) -> Connector:
    """Return the plainest connector with these pairs in this order, that of the export (``hint``) first."""
    matrix = np.zeros((n_pre, n_post), dtype=bool)
    matrix[rows.pre, rows.post] = True
    candidates: list[Connector] = [AllToAllConnector(), AllToAllConnector(allow_self_connections=False), ArrayConnector(matrix)]
    if n_pre == n_post:
        candidates.insert(0, OneToOneConnector())
    candidates.sort(key=lambda c: type(c).__name__.removesuffix("Connector") != hint)
    unused = np.random.default_rng(0)  # these connectors draw nothing
    for connector in candidates:
        pre, post = connector.pairs(n_pre, n_post, same, unused, "NIR")
        if np.array_equal(pre, rows.pre) and np.array_equal(post, rows.post):
            return connector
    return FromListConnector(np.stack([rows.pre, rows.post], axis=1))
