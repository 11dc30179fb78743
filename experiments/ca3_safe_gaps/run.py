"""How far apart must two operations of the CA3 memory be? All 16 ordered pairs, spacings 3 to 14 steps and 20."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, ORANGE, VERMILION, panels, write
from neuromem.experiments.trials import count_recalls, run_trials
from neuromem.experiments.workloads import learn_then_recall, retimed
from neuromem.ir.randomness import generator
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress
from neuromem.patterns import Pattern, random_pattern
from neuromem.runs.outcomes import Outcome
from neuromem.spec import Operation, Protocol, recall, store

FOLDER = Path(__file__).parent

OPERATIONS = ("store", "overwrite", "recall_by_cue", "recall_by_content")
RELATIONS = ("same", "other")
"""Whether the second operation is about the cue of the first one, or about another cue."""

N_CUES, N_CONTENT, BITS = 5, 10, 3
MEMORIES = 12
SPACINGS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20)
WIDE = 20
"""Steps between the operations that are not the measured pair."""

STATED = {"store": 7, "overwrite": 7, "recall_by_cue": 6, "recall_by_content": 6}
"""What the authors' documentation says: the next operation may follow after so many ms."""


def relations(after: str) -> tuple[str, ...]:
    """Return the relations that a second operation can have to the first: a store on an empty cue has one."""
    return ("other",) if after == "store" else RELATIONS


def trial(rng: np.random.Generator, before: str, after: str, relation: str, spacing: int) -> Protocol:
    """Return one trial: three memories, the pair of operations, and a read-back of all cues and all bits.

    Cues 0, 1, 2 of a random order are in use, 3 and 4 are empty. The first operation is about
    cue 0 (a store: cue 3); the second one about the same, or about cue 1 (a store: cue 4). A
    recall by content asks for one bit, stored under the cue that it is about at that time.
    """
    cues = [int(c) for c in rng.permutation(N_CUES)]
    contents: dict[int, Pattern] = {}
    operations: list[Operation] = []

    def learn(at: int, cue: int) -> Operation:
        contents[cue] = random_pattern(N_CONTENT, BITS, rng)
        return store(at, (cue,), contents[cue])

    def perform(at: int, name: str, cue: int) -> Operation:
        if name in ("store", "overwrite"):
            return learn(at, cue)
        return recall(at, cue=(cue,)) if name == "recall_by_cue" else recall(at, content=(int(rng.choice(contents[cue])),))

    for i in range(3):
        operations.append(learn(1 + WIDE * i, cues[i]))
    start = 1 + WIDE * 3
    first = cues[3] if before == "store" else cues[0]
    second = cues[4] if after == "store" else first if relation == "same" else cues[1]
    operations += [perform(start, before, first), perform(start + spacing, after, second)]
    at = start + max(SPACINGS) + WIDE
    for query in [recall(0, cue=(c,)) for c in cues if c in contents] + [recall(0, content=(b,)) for b in range(N_CONTENT)]:
        operations.append(Operation("recall", at, query.cue, query.content))
        at += WIDE
    return Protocol("safe_gaps", tuple(operations), n_steps=start + max(SPACINGS) + WIDE * (1 + N_CUES + N_CONTENT), unsafe_gaps=True)


def damaged(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether a recall of the pair or of the read-back after it was wrong."""
    return any(not o.correct for o in outcomes[3:] if o.form.kind == "recall")


def least_safe(wrong: np.ndarray) -> int | None:
    """Return the least spacing from which on no trial is damaged, of counts by spacing; None when there is none."""
    bad = np.flatnonzero(wrong)
    if not bad.size:
        return SPACINGS[0]
    return SPACINGS[bad[-1] + 1] if bad[-1] + 1 < len(SPACINGS) else None


def sequence_rates(backend: Backend, n_runs: int) -> dict[str, Any]:
    """Return wrong recalls in whole sequences at the stated rate, and at 14 steps: the stress protocol, and random recalls of one bit."""
    memory = ca3_cam(N_CUES, N_CONTENT)
    random = [
        learn_then_recall(generator(run, "sequence", "workload"), N_CUES, N_CONTENT, n_recalls=40, bits_stored=BITS, bits_queried=1, gap=14)
        for run in range(n_runs)
    ]
    found: dict[str, Any] = {}
    for name, protocols in (("stress", [stress(N_CUES, N_CONTENT)]), ("random", random)):
        for rate, timed in (("at_stated", [retimed(p, 7, 6) for p in protocols]), ("at_14", protocols)):
            for side, count in count_recalls(run_trials(memory, timed, backend)).items():
                found[f"{name}_{rate}_{side}"] = count
    return found


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return, for every pair, the least safe spacing over all memories and its range over the sets of 12."""
    n_sets = 1 if quick else 20
    memory = ca3_cam(N_CUES, N_CONTENT)
    wrong: dict[tuple[str, str, str], np.ndarray] = {}
    for before, after in itertools.product(OPERATIONS, OPERATIONS):
        for relation in relations(after):
            protocols = [
                trial(generator(number, f"{before} {after} {relation}", "trial"), before, after, relation, spacing)
                for number in range(n_sets * MEMORIES)  # the same memories at every spacing
                for spacing in SPACINGS
            ]
            found = [damaged(outcomes) for outcomes in run_trials(memory, protocols, backend)]
            wrong[before, after, relation] = np.reshape(found, (n_sets, MEMORIES, len(SPACINGS))).sum(axis=1)
    pairs: dict[str, Any] = {}
    for before in OPERATIONS:
        pairs[before] = {}
        for after in OPERATIONS:
            counts = np.stack([wrong[before, after, r] for r in relations(after)])
            each = [least_safe(c) for c in counts.sum(axis=0)]
            known = [s if s is not None else max(SPACINGS) + 1 for s in each]
            pairs[before][after] = {
                "least_safe": least_safe(counts.sum(axis=(0, 1))),
                "lowest_of_sets": min(known),
                "highest_of_sets": max(known),
                "damaged_by_relation": {r: wrong[before, after, r].sum(axis=0).tolist() for r in relations(after)},
                "at_stated": {
                    "wrong": int(counts[:, :, SPACINGS.index(STATED[before])].sum()),
                    "of": n_sets * MEMORIES * len(relations(after)),
                },
            }
    unsafe = [f"{b} > {a}" for b in OPERATIONS for a in OPERATIONS if (pairs[b][a]["least_safe"] or 99) > STATED[b]]
    return {
        "settings": {
            "n_cues": N_CUES, "n_content": N_CONTENT, "bits_stored": BITS, "memories_in_a_set": MEMORIES, "sets": n_sets,
            "spacings": list(SPACINGS), "other_gaps": WIDE, "trials": len(wrong) * n_sets * MEMORIES * len(SPACINGS),
        },
        "measured": {"pairs": pairs, "stated": STATED, "sequences": sequence_rates(backend, 4 if quick else 50), "pairs_damaged_above_the_stated_gap": unsafe},
    }  # fmt: skip


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the matrix of least safe spacings, dark orange where above the stated one, and the errors of whole sequences at the stated rate."""
    measured = results["measured"]
    pairs, n = measured["pairs"], len(OPERATIONS)
    unsafe = measured["pairs_damaged_above_the_stated_gap"]
    figure, (ax, bars) = panels(
        f"CA3 memory: the stated {STATED['store']}/{STATED['recall_by_cue']} ms between operations is too short for {len(unsafe)} of {n * n} pairs",
        (6.4, 3.6),
    )
    names = [name.replace("_", " ") for name in OPERATIONS]
    for i, before in enumerate(OPERATIONS):
        for j, after in enumerate(OPERATIONS):
            least = pairs[before][after]["least_safe"]
            above = f"{before} > {after}" in unsafe
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=VERMILION if above else "#DDEEDD", edgecolor="white", linewidth=2))
            colour = "white" if above else "black"
            ax.text(j, i - 0.08, f"{least}", ha="center", va="center", fontsize=17, color=colour)
            ax.text(j, i + 0.3, f"stated {STATED[before]}", ha="center", va="center", fontsize=8, color=colour)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel="second operation", ylabel="first operation")
    ax.set_xticks(range(n), names, fontsize=9)
    ax.set_yticks(range(n), names, fontsize=9)
    ax.set_title("least safe spacing of the first inputs (ms); dark orange: above the stated one", fontsize=10, loc="left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    labels = [
        ("stress_at_stated", "stress,\nstated rate"),
        ("random_at_stated", "random,\nstated rate"),
        ("stress_at_14", "stress,\n14 ms"),
        ("random_at_14", "random,\n14 ms"),
    ]
    for k, (side, colour) in enumerate((("cue", BLUE), ("content", ORANGE))):
        rates = [measured["sequences"][f"{name}_{side}"] for name, _ in labels]
        drawn = bars.bar(
            np.arange(4) + 0.4 * k - 0.2, [100 * r["wrong"] / r["of"] for r in rates], 0.38, color=colour, label=f"recall by {side}"
        )
        bars.bar_label(drawn, [f"{r['wrong']}/{r['of']}" for r in rates], fontsize=8, rotation=90, padding=3)
    bars.set_xticks(range(4), [text for _, text in labels], fontsize=8)
    bars.set(ylabel="wrong recalls (%)", ylim=(0, 75))
    bars.set_title("whole sequences: wrong/all recalls", fontsize=10, loc="left")
    bars.legend(frameon=False, fontsize=9)
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
