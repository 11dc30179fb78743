"""How many content bits does the CA3 memory bear? Its cues inhibit themselves, with a weight that grows with the bits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREY, VERMILION, panels, write
from neuromem.experiments.trials import Count, count_recalls, run_one
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.spec import MemoryModel

FOLDER = Path(__file__).parent

N_CUES = 5
N_CONTENTS = (6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 24, 32)


def largest_content() -> int:
    """Return the largest M that lets ``s2_cue`` fire a second time during a store, in closed form.

    The cell (type B) fires at step t + 3 and is refractory at t + 4, when 6 M nA of its own
    inhibition arrive; at t + 5 the current left of these, a fraction d = exp(-dt/tau_syn),
    meets the second excitation of 6 nA. With k = (tau_syn/dt)(1 - d) and the gain
    g = (1 - exp(-dt/tau_m)) tau_m/cm it fires if 6 k g (1 - d M) >= v_thresh - v_reset = 3 mV.
    """
    dt, tau_syn, tau_m, cm = 1.0, 0.3, 0.5, 0.14
    d = math.exp(-dt / tau_syn)
    one_spike = 6.0 * tau_syn / dt * (1 - d) * (1 - math.exp(-dt / tau_m)) * tau_m / cm
    return math.floor((1 - 3.0 / one_spike) / d)


def wrong_recalls(memory: MemoryModel, backend: Backend) -> dict[str, Count]:
    """Run the stress protocol; return the wrong recalls by cue and by content, with their false and missing units."""
    protocol = PROTOCOLS["stress"].build(n_cues=N_CUES, n_content=memory.role("content").size)
    _, outcomes = run_one(memory, protocol, backend)
    return count_recalls([outcomes])


def same_published_spikes(backend: Backend) -> bool:
    """Tell whether both wirings give the same spikes, all of them, in the three published runs."""
    same = []
    for recipe in PROTOCOLS.values():
        sizes: dict[str, Any] = dict(recipe.parameters)
        memories = (ca3_cam(**sizes, self_inhibition=s) for s in (True, False))
        a, b = (run_one(m, recipe.build(**sizes), backend)[0] for m in memories)
        same.append(np.array_equal(a.step, b.step) and np.array_equal(a.unit, b.unit))
    return all(same)


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return the wrong recalls of the stress protocol by content size, with and without self-inhibition."""
    sizes = (10, 12, 13) if quick else N_CONTENTS
    with_self = {f"bits_{m}": wrong_recalls(ca3_cam(N_CUES, m, self_inhibition=True), backend) for m in sizes}
    without = {f"bits_{m}": wrong_recalls(ca3_cam(N_CUES, m, self_inhibition=False), backend) for m in sizes}
    good = [m for m in sizes if not with_self[f"bits_{m}"]["content"]["wrong"]]
    return {
        "settings": {"n_cues": N_CUES, "n_content": list(sizes), "protocol": "stress", "gap": 14},
        "measured": {
            "largest_content_closed_form": largest_content(),
            "largest_content_without_error": max(good),
            "smallest_content_with_error": (worst := min(m for m in sizes if m not in good)),
            "found_above_the_limit": with_self[f"bits_{worst}"]["content"]["expected_units"]
            - with_self[f"bits_{worst}"]["content"]["missing_units"],
            "wrong_without_self_inhibition": sum(row[side]["wrong"] for row in without.values() for side in row),
            "wrong_by_cue": sum(row["cue"]["wrong"] for row in with_self.values()),
            "same_published_spikes": same_published_spikes(backend),
            "with_self_inhibition": with_self,
            "without_self_inhibition": without,
        },
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw how many cues a recall by content misses against the number of content bits, for both wirings."""
    measured, sizes = results["measured"], results["settings"]["n_content"]
    limit = measured["largest_content_closed_form"]
    figure, (ax,) = panels(f"CA3 memory, as PyNN wires it: recall by content would end at {limit} bits", (8.0,))
    for key, colour, marker, label in (
        ("with_self_inhibition", VERMILION, "o", "as PyNN wires it: a cue inhibits itself"),
        ("without_self_inhibition", BLUE, "s", "as the authors' comment says: all cues but itself"),
    ):
        rows = [measured[key][f"bits_{m}"]["content"] for m in sizes]
        ax.plot(
            sizes, [100 * r["missing_units"] / r["expected_units"] for r in rows], marker=marker, color=colour, label=label, clip_on=False
        )
    ax.axvline(limit + 0.33, color=GREY, linestyle="--")
    ax.text(limit + 0.5, 50, "closed form", color=GREY, fontsize=9)
    ax.axvline(10, color=GREY, linestyle=":")
    ax.text(9.8, 50, "published", color=GREY, fontsize=9, ha="right")
    ax.set(
        xlabel="content bits M",
        ylabel="cues that should answer and do not (%)",
        ylim=(-2, 125),
        yticks=range(0, 101, 20),
        xticks=range(6, 33, 2),
    )
    ax.set_title(f"stress protocol, {N_CUES} cues, 14 ms between operations, simulated", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
