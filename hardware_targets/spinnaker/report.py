"""``REPORT.md`` of an export: what the board will make of the network, for a person to read before board time is booked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuromem.hardware_targets.spinnaker.fitted import Fitted

if TYPE_CHECKING:
    from neuromem.hardware_targets.spinnaker.package import Expected, Origin


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)])


def report_text(fitted: Fitted, expected: Expected, origin: Origin, pictures: Sequence[str]) -> str:
    """Return the report as Markdown."""
    program, r = fitted.program, fitted.resources
    right = sum(bool(o["correct"]) for o in expected.operations)
    parts = [
        f"# {' '.join(origin.title.split())}, for {fitted.board.title}",
        f"{program.cells.n} cells and {program.n_sources} inputs in {len(program.populations)} populations, {sum(p.n_synapses for p in program.projections)} synapses "
        f"({sum(p.n_synapses for p in program.plastic)} plastic), {program.n_steps} steps of {program.dt:g} ms. Program {fitted.defined.digest[:12]}.",
        f"It takes {r.cores} cores, at least {r.chips} chip{'s' * (r.chips != 1)} of {r.boards} board{'s' * (r.boards != 1)} "
        f"(one board has {fitted.board.application_cores} cores for it), about {r.sdram / 2**20:.2f} MiB of SDRAM without recordings, "
        f"and at most {r.routing_entries} of the {fitted.board['chip.routing_entries']} entries of a router.",
        "## What to know" if fitted.notes else "",
        "\n".join(f"- {note}" for note in fitted.notes),
        "## Results expected",
        f"From an emulation in the board's own arithmetic: {expected.step.size} spikes recorded"
        + (f"; {right} of {len(expected.operations)} operations answered right." if expected.operations else "."),
        operations_table(expected.operations),
        "## Weights",
        "16 bits each, in steps that the ring-buffer shift of the receptor decides.",
        weights_table(fitted),
        "## Ring buffers",
        "What may arrive at one receptor of one cell in one step (nA). A volley: all cells of one population at once. Worst: everything at once. "
        "Seen: the largest sum of the emulation.",
        loads_table(fitted, expected),
        "## Cores",
        cores_table(fitted, expected),
        *(f"![{name}](figures/{name})" for name in pictures),
        "## Limits",
        limits_table(fitted),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def patterns(answer: Mapping[str, Sequence[int]]) -> str:
    """Return patterns by role as text."""
    return "; ".join(f"{role} {' '.join(map(str, units)) or 'nothing'}" for role, units in answer.items())


def operations_table(operations: Sequence[Mapping[str, Any]]) -> str:
    """Return the operations with what came back; the wrong ones of a long protocol, and how many there are."""
    if not operations:
        return ""
    shown = operations if len(operations) <= 40 else [o for o in operations if not o["correct"]][:40]
    rows = [
        [
            str(o["at"]),
            str(o["kind"]),
            patterns(o["asked"]),
            patterns(o["answer"]),
            "right" if o["correct"] else f"WRONG, expected {patterns(o['expected'])}",
        ]
        for o in shown
    ]
    if not rows:
        return ""
    return ("" if len(shown) == len(operations) else "The wrong ones:\n\n") + table(("step", "kind", "asked", "came back", "verdict"), rows)


def weights_table(fitted: Fitted) -> str:
    """Return a row for each projection."""
    return table(
        ("projection", "receptor", "synapses", "largest nA", "step nA", "rounded", "zeroed", "saturated", "worst error"),
        [
            [
                f"{w.projection}{' (plastic)' * w.plastic}", w.receptor, str(w.n_synapses), f"{w.largest:g}", f"{w.resolution:.4g}",
                str(w.n_rounded), str(w.n_zeroed), str(w.n_saturated), f"{100 * w.worst_error:.3g} %",
            ]
            for w in fitted.weights
        ],
    )  # fmt: skip


def loads_table(fitted: Fitted, expected: Expected) -> str:
    """Return a row for each receptor that has synapses."""
    rows = []
    for load in fitted.loads:
        if load.worst:
            seen = expected.counts.get(load.population, {}).get("peak", (0.0, 0.0))[load.receptor == "inhibitory"]
            rows.append(
                [
                    load.population,
                    load.receptor,
                    str(load.shift),
                    f"{load.capacity:.6g}",
                    f"{load.volley:.6g}",
                    f"{load.worst:.6g}",
                    f"{seen:.6g}",
                    load.risk,
                ]
            )
    return table(("population", "receptor", "shift", "holds nA", "volley", "worst", "seen", "risk of being cut off"), rows)


def cores_table(fitted: Fitted, expected: Expected) -> str:
    """Return a row for each population: how it is laid over cores, and what was counted."""
    rows = []
    for q in fitted.placements:
        counts = expected.counts.get(q.name, {})
        lost = fitted.resources.packets_lost_at_worst.get(q.name, 0)
        rows.append(
            [
                q.name, str(q.size), str(q.neurons_per_core), str(q.n_cores) + (f" + {q.n_delay_cores} delaying" if q.stages else ""),
                "-" if q.is_source else str(q.ring_depth), "-" if q.is_source else f"{q.dtcm} of {fitted.board['core.dtcm']}",
                "-" if q.is_source else str(q.sdram), "-" if q.is_source else f"{q.input_buffer - 1}", "-" if q.is_source else str(lost),
                str(counts.get("lost", "-")), str(counts.get("saturated", "-")),
            ]
        )  # fmt: skip
    heads = (
        "population", "size", "on a core", "cores", "ring steps", "DTCM bytes", "SDRAM bytes a core", "spikes held a step",
        "lost at worst", "lost", "sums cut off",
    )  # fmt: skip
    return table(heads, rows)


def limits_table(fitted: Fitted) -> str:
    """Return every limit with its source."""
    return table(
        ("limit", "value", "source"),
        [
            [name, f"{limit.value:.12g} {limit.unit}".strip(), limit.source.replace("|", "\\|")]
            for name, limit in fitted.board.limits.items()
        ],
    )
