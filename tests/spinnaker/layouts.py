"""How fitted populations lie on cores, changed for a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import neuromem.backends.spinnaker_emulator as emulator
from neuromem.hardware_targets.spinnaker.fit import fit
from neuromem.hardware_targets.spinnaker.fitted import Fitted
from neuromem.ir import Program
from neuromem.ir.program import ProjectionTable


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that changes how every fitted population of cells lies on cores (a field of ``Placement`` and its value)."""

    def change(**fields: int) -> None:
        monkeypatch.setattr(emulator, "fit", lambda program, board: laid(fit(program, board), **fields))

    return change


def laid(fitted: Fitted, **fields: int) -> Fitted:
    """Return ``fitted`` with these fields in all placements of cells; the delay extensions are those of the new ring depths."""
    placements = {q.name: q if q.is_source else replace(q, **fields) for q in fitted.placements}  # type: ignore[arg-type]
    for q in fitted.placements:
        depths = [(int(p.delay.max()), placements[p.post_name].ring_depth) for p in sent_by(fitted.program, q.name)]
        stages = max((-(-delay // depth) - 1 for delay, depth in depths), default=0)
        steps = max((depth for delay, depth in depths if delay > depth), default=0)
        placements[q.name] = replace(placements[q.name], stages=stages, stage_steps=steps)
    return replace(fitted, placements=tuple(placements.values()))


def sent_by(program: Program, population: str) -> list[ProjectionTable]:
    """Return the projections with synapses that begin in a population."""
    return [p for p in program.projections if p.pre_name == population and p.n_synapses]
