"""The printed Program: a golden text, the same on every machine."""

from __future__ import annotations

import numpy as np

from neuromem.ir.ops import PHASES
from neuromem.ir.program import PopulationTable, Program, ProjectionTable


def program_text(program: Program) -> str:
    """Return the Program as text: populations, cells, tables, ops by phase, probes, schedule, digest."""
    s = program.schedule
    lines = [
        f"program: {program.n_units} units ({program.n_sources} sources, {program.cells.n} neurons), "
        f"{sum(p.n_synapses for p in program.projections)} synapses ({sum(p.n_synapses for p in program.plastic)} plastic)",
        f"dt {program.dt:g} ms, {program.n_steps} steps, batch {program.batch}, seed {_span(np.array(program.seeds))}, longest delay {program.max_delay} steps",
        "",
        "populations",
        *columns(
            [
                ["name", "units", "size", "cell", "role"],
                *([p.name, f"{p.first}..{p.first + p.size - 1}", str(p.size), p.cell, p.role or "-"] for p in program.populations),
            ]
        ),
        "",
        "cells",
        *columns(_cell_rows(program)),
        "",
        "projections",
        *columns(
            [
                ["name", "synapses", "connector", "receptor", "weight nA", "delay steps", "plasticity"],
                *(_projection_row(p) for p in program.projections),
            ]
        ),
        "",
        "step",
    ]
    for phase in PHASES:
        ops = [op for op in program.ops if op.phase == phase]
        lines.append(f"  {phase}")
        lines += [f"    {op}" for op in ops]
    rules = list(dict.fromkeys(str(p.plasticity) for p in program.plastic))
    lines += ["", "plasticity", *(f"  rule {i + 1}: {rule}" for i, rule in enumerate(rules))] if rules else []
    lines += [
        "",
        "schedule",
        f"  {s.step.size} source spikes, plastic in {int(s.plastic.sum())} of {s.n_steps} steps",
        *(f"  poisson {p.name}: probability per step {_span(p.probability)}" for p in program.poisson),
        "",
        f"digest {program.digest}",
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _span(values: np.ndarray) -> str:
    if values.size == 0:
        return "-"
    low, high = values.min(), values.max()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell_rows(program: Program) -> list[list[str]]:
    names = list(program.cells.parameters)
    rows = [["population", "integrator", *names]]
    for p in program.populations:
        if not p.is_source:
            rows.append(_cell_row(program, p, names))
    return rows


def _cell_row(program: Program, p: PopulationTable, names: list[str]) -> list[str]:
    part = program.cells_of(p)
    integrator = "spinnaker" if program.cells.spinnaker[part][0] else "exact"
    return [p.name, integrator, *(_span(program.cells.parameters[name][:, part]) for name in names)]


def _projection_row(p: ProjectionTable) -> list[str]:
    plasticity = f"STDP, {p.plasticity.discipline}" if p.plasticity else "-"
    return [p.name, str(p.n_synapses), p.connector, p.receptor, _span(p.weight), _span(p.delay), plasticity]
