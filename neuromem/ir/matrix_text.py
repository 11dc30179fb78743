"""The printed Program of a memory without spikes."""

from __future__ import annotations

from neuromem.ir.matrix_program import MatrixProgram
from neuromem.ir.text import columns
from neuromem.spec.units import PatternSource, SoftWTA

_READS = {
    "bits": "count, for each unit, the active units that connect to it",
    "rows": "count, for each unit, the active units that connect to it",
    "patterns": "overlap of each stored pattern with the state, then their sum weighted by it",
    "counts": "sum of the rows of active units, plus bias",
    "matrix": "matrix times state, plus bias",
    "hidden": "overlap of each hidden unit with the state, its activity, then their sum weighted by it",
}


def matrix_text(program: MatrixProgram) -> str:
    """Return the Program as text: populations, table, ops of store and recall, digest."""
    p = program
    size = f"{p.n_synapses} synapses" if p.storage != "hidden" else f"{p.post.size} synapses each way for each stored pattern"
    ends = p.pre.name if p.recurrent else f"{p.pre.name} -> {p.post.name}"
    answer = "largest unit of each group" if isinstance(p.post.cell, SoftWTA) else "state"
    loop = f"until nothing changes, {p.update.max_steps} {p.update.order} steps at most" if not p.single_step else "one read an answer"
    lines = [
        f"program: {p.name}, {sum(u.size for u in p.populations)} units, {size}; one update a step, seed {p.seed}",
        "",
        "populations",
        *columns(
            [
                ["name", "units", "size", "role", "cell"],
                *([u.name, f"{u.first}..{u.first + u.size - 1}", str(u.size), u.role or "-", str(u.cell)] for u in p.populations),
            ]
        ),
        *([f"  hidden: one unit for each stored pattern, {p.hidden}"] if p.hidden is not None else []),
        "",
        "table",
        f"  {p.projection}: {ends}, {p.wiring} connections, stored as {p.storage}",
        f"  rule: {p.rule}",
        "",
        "store",
        f"  clamp    {p.pre.name if p.recurrent else f'{p.pre.name}, {p.post.name}'}",
        f"  learn    {p.projection}{', each pattern with the one that follows' if p.lag else ''}",
        "",
        f"recall, {loop}",
        f"  clamp    {p.pre.name}{', first step only' if p.recurrent else ''}",
        f"  sum      {_READS[p.storage]}",
        f"  activate {p.post.name}: {type(p.post.cell).__name__}",
        f"  read     {p.post.name}: {answer}",
        "",
        f"digest {p.digest}",
    ]
    assert not isinstance(p.post.cell, PatternSource)
    return "\n".join(line.rstrip() for line in lines) + "\n"
