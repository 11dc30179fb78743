"""``stack``: several Programs become one, whose replicas run side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from neuromem.errors import SpecError
from neuromem.ir.program import CellTable, PoissonTable, Program, Schedule


def stack(programs: Iterable[Program]) -> Program:
    """Return one Program that runs ``programs`` as independent replicas of a batch.

    They must share populations, connections, delays, rules and length; cell parameters, initial
    values, weights, seeds and schedules' spikes may differ. Raises ``SpecError`` naming what
    else differs.
    """
    many = tuple(programs)
    if not many:
        raise SpecError("stack: no programs; expected at least one.")
    head = many[0]
    for i, other in enumerate(many[1:], start=1):
        for what, a, b in (
            ("dt", head.dt, other.dt),
            ("populations", head.populations, other.populations),
            ("projections", [p.name for p in head.projections], [p.name for p in other.projections]),
            ("probes", head.probes, other.probes),
            ("ops", head.ops, other.ops),
            ("n_steps", head.n_steps, other.n_steps),
        ):
            if a != b:
                raise SpecError(f"stack: program {i} differs from program 0 in {what}; expected the same.")
        if not np.array_equal(head.schedule.plastic, other.schedule.plastic):
            raise SpecError(f"stack: program {i} differs from program 0 in the steps at which weights may change; expected the same.")
        if not np.array_equal(head.cells.spinnaker, other.cells.spinnaker):
            raise SpecError(f"stack: program {i} differs from program 0 in its cells' integrators; expected the same.")
        for p, q in zip(head.projections, other.projections, strict=True):
            same = (p.receptor, p.plasticity) == (q.receptor, q.plasticity)
            if not same or not all(np.array_equal(getattr(p, k), getattr(q, k)) for k in ("pre", "post", "delay")):
                raise SpecError(
                    f"stack: program {i} differs from program 0 in the synapses, the receptor or the rule of {p.name!r}; expected the same (random connections need the same seed; give input_seed to lower for other input)."
                )

    def rows(arrays: list[np.ndarray]) -> np.ndarray:
        same = all(a is arrays[0] or np.array_equal(a, arrays[0]) for a in arrays) and arrays[0].shape[0] == 1
        return (
            arrays[0] if same else np.concatenate([np.broadcast_to(a, (m.batch, *a.shape[1:])) for a, m in zip(arrays, many, strict=True)])
        )

    offsets = np.cumsum([0, *(m.batch for m in many)])
    schedule = Schedule(
        head.n_steps,
        np.concatenate([m.schedule.replica + o for m, o in zip(many, offsets, strict=False)]),
        np.concatenate([m.schedule.step for m in many]),
        np.concatenate([m.schedule.unit for m in many]),
        head.schedule.plastic,
    )
    cells = CellTable(
        {k: rows([m.cells.parameters[k] for m in many]) for k in head.cells.parameters},
        {k: rows([m.cells.initial[k] for m in many]) for k in head.cells.initial},
        head.cells.spinnaker,
    )
    projections = tuple(replace(p, weight=rows([m.projections[j].weight for m in many])) for j, p in enumerate(head.projections))
    poisson = tuple(
        PoissonTable(t.name, t.first, *(rows([getattr(m.poisson[j], k) for m in many]) for k in ("probability", "start", "stop")))
        for j, t in enumerate(head.poisson)
    )
    return replace(
        head, seeds=tuple(s for m in many for s in m.seeds), cells=cells, projections=projections, poisson=poisson, schedule=schedule
    )
