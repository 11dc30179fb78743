"""Links that the CA3 memory has forgotten add up: the weights of one case, and error rates against spacing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, ORANGE, VERMILION, panels, percent, write
from neuromem.experiments.trials import count_recalls, run_one, run_trials
from neuromem.experiments.workloads import learn_overwrite_recall, without_overwrites
from neuromem.ir.randomness import generator
from neuromem.models import ca3_cam
from neuromem.spec import Protocol, recall, store

FOLDER = Path(__file__).parent

N_CUES, N_CONTENT, BITS = 5, 10, 3
N_MORE = 60
SPACINGS = (8, 9, 10, 11, 12, 14, 16, 18, 20, 24, 30)
BITS_QUERIED = (1, 2)
OLD, NEW = (2, 7), (4, 8)
WAIT = 60
"""Steps between the operations of the case: long enough for all traces to be gone."""
FIRING_WEIGHT = 3.358
"""nA: the least weight with which one spike fires a cell of ``s2_cue``."""


def one_case(backend: Backend, query: tuple[int, ...]) -> dict[str, Any]:
    """Store the old content under cue 0, overwrite it with the new one, then ask for ``query``.

    Returns the cues that answer, and the weights from the old and the new bits to cue 0 that
    the query met (of the bits that it asked for).
    """
    memory = ca3_cam(N_CUES, N_CONTENT)
    operations = (store(1, (0,), OLD), store(1 + WAIT, (0,), NEW), recall(1 + 2 * WAIT, content=query))
    recording, outcomes = run_one(memory, Protocol("one_case", operations, n_steps=1 + 2 * WAIT + 15), backend)
    reverse = recording.weights["s2_cont>s2_cue"].reshape(N_CONTENT, N_CUES)[:, 0]
    return {"query": list(query), "answer": list(outcomes[-1].answer["cue"]), "weights_nA": {str(b): float(reverse[b]) for b in query}}


def forward_after_overwrite(backend: Backend) -> dict[str, float]:
    """Return the weights from cue 0 to the old and the new bits, as a recall by cue after the overwrite meets them."""
    memory = ca3_cam(N_CUES, N_CONTENT)
    operations = (store(1, (0,), OLD), store(1 + WAIT, (0,), NEW), recall(1 + 2 * WAIT, cue=(0,)))
    recording, _ = run_one(memory, Protocol("forward", operations, n_steps=1 + 2 * WAIT + 15), backend)
    forward = recording.weights["s1_cue>s1_cont"].reshape(N_CUES, N_CONTENT)[0]
    return {"old": float(max(forward[list(OLD)])), "new": float(min(forward[list(NEW)]))}


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return the case, and wrong recalls by spacing for queries of one and of two bits, with the overwrites and without.

    The runs without overwrites are the control: what is wrong there was not forgotten, but
    written by the recalls themselves (``ca3_recall_corrupts``).
    """
    n_runs = 8 if quick else 100
    one, two = one_case(backend, OLD[:1]), one_case(backend, OLD)
    measured: dict[str, Any] = {
        "case": {"one_bit": one, "two_bits": two, "new_bit": one_case(backend, NEW[:1]), "forward_nA": forward_after_overwrite(backend)},
        "forgotten_reverse_nA": one["weights_nA"][str(OLD[0])],
        "forgotten_forward_nA": 0.0,
        "one_forgotten_bit_answers": bool(one["answer"]),
        "two_forgotten_bits_answer": bool(two["answer"]),
    }
    measured["forgotten_forward_nA"] = measured["case"]["forward_nA"]["old"]
    memory = ca3_cam(N_CUES, N_CONTENT)
    for bits in BITS_QUERIED:
        rates: dict[str, Any] = {"content": {}, "cue": {}}
        control: dict[str, Any] = {"content": {}, "cue": {}}
        for gap in SPACINGS:
            protocols = [
                learn_overwrite_recall(
                    generator(run, f"{bits} bits", "workload"),
                    N_CUES,
                    N_CONTENT,
                    n_more=N_MORE,
                    bits_stored=BITS,
                    bits_queried=bits,
                    gap=gap,
                )
                for run in range(n_runs)  # the same workloads at every spacing
            ]
            for found, timed in ((rates, protocols), (control, [without_overwrites(p) for p in protocols])):
                for side, count in count_recalls(run_trials(memory, timed, backend)).items():
                    found[side][f"gap_{gap}"] = count
        measured[f"bits_{bits}"] = rates
        measured[f"bits_{bits}_without_overwrites"] = control
    return {
        "settings": {
            "n_cues": N_CUES, "n_content": N_CONTENT, "bits_stored": BITS, "runs": n_runs, "operations_in_a_run": N_CUES + N_MORE,
            "spacings": list(SPACINGS), "wait_in_the_case": WAIT,
        },
        "measured": measured,
    }  # fmt: skip


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the current that a query of forgotten bits brings, and the error rates against spacing."""
    measured = results["measured"]
    figure, (case, rates) = panels("CA3 memory: forgotten links keep 3.08 nA each, and two of them recall the cue again", (4.4, 5.8))
    shown = (("one_bit", "one\nforgotten bit"), ("two_bits", "two\nforgotten bits"), ("new_bit", "one\nnew bit"))
    for x, (key, _) in enumerate(shown):
        row, height = measured["case"][key], 0.0
        for weight in row["weights_nA"].values():
            case.bar(
                x, weight, bottom=height, color=(GREEN if key == "new_bit" else VERMILION) if row["answer"] else BLUE, edgecolor="white"
            )
            case.text(x, height + weight / 2, f"{weight:.2f}", ha="center", va="center", color="white", fontsize=10)
            height += weight
    case.axhline(FIRING_WEIGHT, color="black", linestyle="--")
    case.text(-0.4, FIRING_WEIGHT + 0.08, f"fires: {FIRING_WEIGHT} nA", fontsize=9)
    case.set_xticks(range(3), [text for _, text in shown])
    case.set(ylabel="weights of the query onto the cue (nA)")
    case.set_title("after one overwrite; dark orange: falsely recalled", fontsize=10, loc="left")
    for bits, colour in ((2, VERMILION), (1, ORANGE)):
        values, errors = percent([measured[f"bits_{bits}"]["content"][f"gap_{g}"] for g in SPACINGS])
        rates.errorbar(
            SPACINGS,
            values,
            yerr=errors,
            fmt="o-",
            color=colour,
            capsize=2,
            markersize=4,
            label=f"by content, {bits} bit{'s' * (bits > 1)}",
        )
        values, errors = percent([measured[f"bits_{bits}_without_overwrites"]["content"][f"gap_{g}"] for g in SPACINGS])
        rates.errorbar(SPACINGS, values, yerr=errors, fmt="o--", color=colour, capsize=2, markersize=4, markerfacecolor="white")
    values, errors = percent([measured["bits_1"]["cue"][f"gap_{g}"] for g in SPACINGS])
    rates.errorbar(SPACINGS, values, yerr=errors, fmt="s-", color=BLUE, capsize=2, markersize=4, label="by cue")
    rates.set(xlabel="spacing of operations (ms)", ylabel="wrong recalls (%), with 95 % interval", xticks=range(8, 31, 2))
    rates.set_title("random workloads; dashed: the same without the overwrites", fontsize=10, loc="left")
    rates.legend(frameon=False, fontsize=9)
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
