"""The wall of the 16-event history: the CA3 memory's stress protocol at four sizes, with fewer and fewer events remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, panels, write
from neuromem.experiments.trials import Count, count_recalls, run_one
from neuromem.ir import Recording
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS

FOLDER = Path(__file__).parent

SIZES = ((5, 10), (16, 16), (32, 16), (64, 32))
HISTORIES = (4, 6, 8, 10, 12, 15, 20, 24, 32, 48, 64, None)
BOARD = 15
"""Post events that a SpiNNaker board can use, of the 16 that it keeps."""


def wrong_recalls(backend: Backend, n_cues: int, n_content: int, history: int | None) -> dict[str, Count]:
    """Run the stress protocol; return the wrong recalls by cue and by content, and the false and missing units."""
    memory = ca3_cam(n_cues, n_content, history)
    protocol = PROTOCOLS["stress"].build(n_cues=n_cues, n_content=n_content)
    _, outcomes = run_one(memory, protocol, backend)
    return count_recalls([outcomes])


def spikes(backend: Backend, protocol: str, history: int | None) -> Recording:
    """Return the recording of a published protocol at its published size."""
    recipe = PROTOCOLS[protocol]
    sizes: dict[str, Any] = dict(recipe.parameters)
    return run_one(ca3_cam(post_history=history, **sizes), recipe.build(**sizes), backend)[0]


def least_history(backend: Backend, protocol: str, values: tuple[int, ...]) -> int:
    """Return the least history from which on (among ``values``, rising) every spike is that of the unlimited rule."""
    truth = spikes(backend, protocol, None)
    for i in reversed(range(len(values))):
        limited = spikes(backend, protocol, values[i])
        if not (np.array_equal(truth.step, limited.step) and np.array_equal(truth.unit, limited.unit)):
            return values[i + 1]
    return values[0]


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return the wrong recalls of the stress protocol by size and history, and the least history of the published runs."""
    sizes = SIZES[:2] if quick else SIZES
    histories = (8, BOARD, None) if quick else HISTORIES
    stress = {
        f"{c}x{m}": {f"history_{h or 'all'}": wrong_recalls(backend, c, m, h) for h in histories} for c, m in sizes
    }  # fmt: skip
    least = {p: least_history(backend, p, tuple(range(1, 17))) for p in PROTOCOLS}
    return {
        "settings": {"gap": 14, "histories": list(histories), "sizes": [list(s) for s in sizes]},
        "measured": {"stress": stress, "least_history": least, "least_history_of_all_published": max(least.values())},
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the fraction of wrong recalls against the history, one line for each size, for recall by cue and by content."""
    stress, histories = results["measured"]["stress"], results["settings"]["histories"]
    figure, axes = panels("CA3 memory: with the board's 15 events it works at 5 x 10 and would fail from 16 x 16 on", (5.0, 5.0))
    for ax, side in zip(axes, ("cue", "content"), strict=True):
        for (size, rows), colour, marker in zip(stress.items(), (BLUE, GREEN, ORANGE, VERMILION), "osD^", strict=False):
            wrong = [rows[f"history_{h or 'all'}"][side] for h in histories]
            ax.plot(
                range(len(histories)),
                [100 * w["wrong"] / w["of"] for w in wrong],
                marker=marker,
                color=colour,
                label=size.replace("x", " x "),
                clip_on=False,
            )
        if BOARD in histories:
            ax.axvline(histories.index(BOARD), color=GREY, linestyle="--")
            ax.text(histories.index(BOARD) + 0.1, 101, "board's rule", color=GREY, fontsize=9)
        ax.set_xticks(range(len(histories)), [str(h or "all") for h in histories])
        ax.set(ylim=(-2, 106), xlabel="post-synaptic events remembered", ylabel=f"wrong recalls by {side} (%)")
        ax.set_title(f"recall by {side}, stress protocol, simulated", fontsize=10, loc="left")
    axes[1].legend(frameon=False, fontsize=9, title="cues x content bits")
    write(figure, path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
