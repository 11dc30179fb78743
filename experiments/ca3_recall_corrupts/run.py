"""Recalling by content damages the CA3 memory: the weights of one case, and error rates against bits per query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, panels, percent, write
from neuromem.experiments.trials import count_recalls, run_one, run_trials
from neuromem.experiments.workloads import learn_then_recall
from neuromem.ir.randomness import generator
from neuromem.models import ca3_cam
from neuromem.runs.outcomes import Outcome
from neuromem.spec import Protocol, recall, store

FOLDER = Path(__file__).parent

N_CUES, N_CONTENT, BITS, GAP = 5, 10, 3, 14
WAIT = 60
"""Steps between the operations of the case that is drawn: long enough for all traces to be gone."""
N_RECALLS = 40
BITS_QUERIED = (1, 2, 3, 4, 5)
STORED, STRANGER = 2, 7
"""The one bit of the stored memory (i), and a bit that is stored nowhere (j)."""
FIRING_WEIGHT = 3.358
"""nA: the least weight with which one spike fires a cell of ``s2_cue``."""


def one_case(backend: Backend, n_queries: int, gap: int) -> dict[str, Any]:
    """Store {i} under cue 0, ask ``n_queries`` times for {i, j}, then once for j alone.

    Returns the weight j -> cue 0 that the last query met, and the cues that answered it.
    """
    memory = ca3_cam(N_CUES, N_CONTENT)
    operations = [store(1, (0,), (STORED,))]
    operations += [recall(1 + gap * (1 + k), content=(STORED, STRANGER)) for k in range(n_queries)]
    operations.append(recall(1 + gap * (1 + n_queries), content=(STRANGER,)))
    recording, outcomes = run_one(memory, Protocol("one_case", tuple(operations), n_steps=operations[-1].at + gap), backend)
    weights = recording.weights["s2_cont>s2_cue"].reshape(N_CONTENT, N_CUES)
    return {"queries": n_queries, "weight_nA": float(weights[STRANGER, 0]), "answer_to_j": list(outcomes[-1].answer["cue"])}


def _first_false_recall(rows: Sequence[dict[str, Any]]) -> int | None:
    """Return after how many queries j alone recalls the cue; None when after none that was tried."""
    return next((row["queries"] for row in rows if row["answer_to_j"]), None)


def by_turn(runs: Sequence[tuple[Outcome, ...]]) -> list[list[int]]:
    """Return [wrong, of] for the first recall by content of each run, for the second, and so on."""
    turns = np.zeros((N_RECALLS, 2), dtype=np.int64)
    for run in runs:
        asked = [o for o in run if o.form.name == "recall_by_content"]
        for turn, outcome in enumerate(asked):
            turns[turn] += (not outcome.correct, 1)
    found: list[list[int]] = turns[turns[:, 1] > 0].tolist()
    return found


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return the weights of the case at spacings of ``GAP`` and ``WAIT`` steps, and wrong recalls by bits per query."""
    n_runs = 8 if quick else 100
    case = {f"gap_{gap}": [one_case(backend, n, gap) for n in range(5)] for gap in (GAP, WAIT)}
    measured: dict[str, Any] = {
        "case": case,
        "one_query_weight_nA": case[f"gap_{WAIT}"][1]["weight_nA"],
        "queries_until_false_recall": [_first_false_recall(rows) for rows in case.values()],
        "content_recalls": {},
        "cue_recalls": {},
        "by_turn": {},
    }
    memory = ca3_cam(N_CUES, N_CONTENT)
    for bits in BITS_QUERIED:
        protocols = [
            learn_then_recall(
                generator(run, f"{bits} bits", "workload"),
                N_CUES,
                N_CONTENT,
                n_recalls=N_RECALLS,
                bits_stored=BITS,
                bits_queried=bits,
                gap=GAP,
            )
            for run in range(n_runs)
        ]
        runs = list(run_trials(memory, protocols, backend))
        counts = count_recalls(runs)
        measured["cue_recalls"][f"bits_{bits}"] = counts["cue"]
        measured["content_recalls"][f"bits_{bits}"] = counts["content"]
        measured["by_turn"][f"bits_{bits}"] = by_turn(runs)
    measured["missing_units"] = sum(row["missing_units"] for row in measured["content_recalls"].values())
    return {
        "settings": {
            "n_cues": N_CUES, "n_content": N_CONTENT, "bits_stored": BITS, "gap": GAP, "runs": n_runs, "recalls_in_a_run": N_RECALLS,
        },
        "measured": measured,
    }  # fmt: skip


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the weight of the link that should not be, the error rates by bits per query, and their growth with use."""
    measured = results["measured"]
    figure, (case, rates, growth) = panels(
        "CA3 memory: recall by two or more bits writes false links; recall by one bit does not", (4.0, 3.6, 4.2)
    )
    rows = measured["case"][f"gap_{WAIT}"]
    weights = [row["weight_nA"] for row in rows]
    case.axhline(FIRING_WEIGHT, color=GREY, linestyle="--")
    case.text(-0.45, FIRING_WEIGHT + 0.1, f"fires: {FIRING_WEIGHT} nA", color=GREY, fontsize=9)
    case.bar(range(len(rows)), weights, color=[VERMILION if row["answer_to_j"] else BLUE for row in rows])
    case.set(xlabel="queries {i, j} before, with only i stored", ylabel="weight of j onto the cue (nA)", xticks=range(len(rows)))
    case.set_title(f"{WAIT} ms apart; dark orange: j recalls the cue", fontsize=10, loc="left")
    values, errors = percent([measured["content_recalls"][f"bits_{b}"] for b in BITS_QUERIED])
    rates.bar(BITS_QUERIED, values, yerr=errors, capsize=3, color=ORANGE)
    rates.set(xlabel="bits per query", ylabel="wrong recalls by content (%)", xticks=BITS_QUERIED)
    kind = "all false positives" if not measured["missing_units"] else "false positives and misses"
    rates.set_title(f"pooled over whole runs; {kind}", fontsize=10, loc="left")
    for bits, colour in ((1, BLUE), (2, ORANGE), (3, VERMILION), (4, GREEN), (5, PURPLE)):
        turns = np.array(measured["by_turn"][f"bits_{bits}"])
        shown = turns[:, 1] >= results["settings"]["runs"] / 2
        growth.plot(
            1 + np.flatnonzero(shown),
            100 * turns[shown, 0] / turns[shown, 1],
            "o-",
            markersize=3,
            color=colour,
            label=f"{bits} bit{'s' * (bits > 1)}",
        )
    growth.set(xlabel="n-th recall by content of a run", ylabel="wrong at the n-th (%)", ylim=(-3, 119), yticks=range(0, 101, 20))
    growth.legend(frameon=False, fontsize=9, ncols=3, loc="upper left", columnspacing=1.0)
    growth.set_title("errors grow with use, not pooled", fontsize=10, loc="left")
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
