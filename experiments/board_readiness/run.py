"""Is the CA3 memory ready for a board? Recall by size and cause of error, which resource binds first, and what an operation costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

from neuromem.backends import Backend
from neuromem.experiments import command
from neuromem.experiments.board_readiness.costs import COSTS
from neuromem.experiments.board_readiness.drawing import drawn, write
from neuromem.experiments.board_readiness.energy import fan_out, per_operation
from neuromem.experiments.board_readiness.resources import Needs, agrees_with_fit, largest, needs
from neuromem.experiments.board_readiness.variants import (
    MANY_EVENTS,
    VARIANTS,
    BoardBackend,
    Variant,
    shift_within_range,
    with_input_buffer,
    with_shifts,
)
from neuromem.experiments.trials import count_recalls, run_one, run_trials
from neuromem.experiments.workloads import learn_then_recall
from neuromem.hardware_targets.spinnaker.limits import Board, boards
from neuromem.ir.randomness import generator
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress
from neuromem.runs.outcomes import Outcome
from neuromem.spec import Protocol, recall, store

FOLDER = Path(__file__).parent

SIZES = ((5, 10), (8, 16), (16, 16), (32, 16), (64, 32))
GAP = 14
STORED = 0.3
"""Part of the content bits that a random content has, as 3 of 10 in the other experiments of this memory."""
RUNS = 50
BUFFERS = (255, 128, 64, 48, 32, 24, 16, 12, 8, 6, 4, 2)
"""Packets that a core holds in a step; a board holds 255."""
CHECKED = ((5, 10), (64, 32), (100, 300), (256, 256), (1024, 32), (512, 512))
MATCHES = ((34, 320), (34, 321), (331, 32), (332, 32))
"""Cues that all hold one bit, and content bits: on either side of where the inhibition of the others leaves the range of the board's numbers."""
GRID_CUES = tuple(round(2 ** (i / 2)) for i in range(4, 33))
GRID_CONTENT = tuple(round(2 ** (i / 2)) for i in range(4, 29))
MOST = 1 << 16
"""Where the search for the largest size stops."""
FAMILIES: dict[str, Callable[[int], tuple[int, int]]] = {
    "content_32": lambda n: (n, 32),
    "square": lambda n: (n, n),
    "cues_16": lambda n: (16, n),
}
RECALLS = ("cue", "content")


def workloads(n_cues: int, n_content: int, runs: int) -> list[Protocol]:
    """Return random protocols without overwrites: all cues are stored once, then twice as many recalls, by one bit where by content."""
    return [
        learn_then_recall(
            generator(run, f"{n_cues}x{n_content}", "workload"),
            n_cues,
            n_content,
            n_recalls=2 * n_cues,
            bits_stored=round(STORED * n_content),
            bits_queried=1,
            gap=GAP,
        )
        for run in range(runs)
    ]


def engine(variant: Variant, backend: Backend) -> Backend:
    """Return what runs a variant."""
    return backend if variant.engine == "float" else BoardBackend(events=variant.events, change=variant.change)


def answers(runs: Sequence[tuple[Outcome, ...]]) -> Iterator[Any]:
    """Yield the answers of all operations."""
    return (outcome.answer for run in runs for outcome in run)


def quality(backend: Backend, n_cues: int, n_content: int, runs: int) -> dict[str, Any]:
    """Return for each variant the wrong recalls of the stress protocol and of random workloads, and the operations answered unlike in float.

    A variant is compared with the float engine that remembers as many events. ``saturated``: sums cut off in the stress protocol.
    """
    found: dict[str, Any] = {}
    seen: dict[str, list[tuple[Outcome, ...]]] = {}
    protocols = workloads(n_cues, n_content, runs)
    for variant in VARIANTS.values():
        memory = ca3_cam(n_cues, n_content, variant.events if variant.engine == "float" else None)
        runner = engine(variant, backend)
        stressed = list(run_trials(memory, [stress(n_cues, n_content, GAP)], runner))
        saturated = counted(runner, "saturated") if isinstance(runner, BoardBackend) else 0
        random = list(run_trials(memory, protocols, runner))
        seen[variant.name] = stressed + random
        twin = seen["float_15" if variant.name in ("float_15", "board") else "float_all"]
        pairs = zip_longest(answers(seen[variant.name]), answers(twin))
        found[variant.name] = {
            "stress": count_recalls(stressed),
            "random": count_recalls(random),
            "saturated": saturated,
            "operations": sum(len(run) for run in seen[variant.name]),
            "unlike_float": sum(a != b for a, b in pairs),
        }
    return found


def counted(board: BoardBackend, count: str) -> int:
    """Return a count over all populations of the last run."""
    simulation = board.simulation
    assert simulation is not None
    return sum(getattr(simulation.counts(p.name), count) for p in simulation.program.populations if not p.is_source)


def buffers(n_cues: int, n_content: int, runs: int, held: Sequence[int]) -> dict[str, Any]:
    """Return wrong recalls and lost packets of the stress protocol, and wrong recalls of random workloads, by what an input buffer holds.

    All events are remembered, so that nothing else is wrong.
    """
    found: dict[str, Any] = {}
    memory, protocols = ca3_cam(n_cues, n_content), workloads(n_cues, n_content, runs)
    for packets in held:
        board = BoardBackend(events=MANY_EVENTS, change=with_input_buffer(packets))
        stressed = count_recalls(run_trials(memory, [stress(n_cues, n_content, GAP)], board))
        lost = counted(board, "lost")
        found[f"holds_{packets}"] = {"stress": stressed, "lost": lost, "random": count_recalls(run_trials(memory, protocols, board))}
    return found


def smallest_buffer(rows: dict[str, Any]) -> int:
    """Return the least buffer with which, and with every larger one, no recall is wrong."""
    least = BUFFERS[0]
    for packets in sorted((int(name.removeprefix("holds_")) for name in rows), reverse=True):
        row = rows[f"holds_{packets}"]
        if any(row[work][side]["wrong"] for work in ("stress", "random") for side in RECALLS):
            break
        least = packets
    return least


def many_matches(n_cues: int, n_content: int, backend: Backend) -> dict[str, Any]:
    """Store one and the same bit under every cue, ask for it twice; return the spikes in all in float, and on a board with two ring buffers.

    ``fitted``: as ``fit`` chooses; ``cut_off``: so that sums are cut off before they leave the range of the board's numbers.
    """
    operations = [store(1 + GAP * i, (i,), (0,)) for i in range(n_cues)]
    operations += [recall(1 + GAP * (n_cues + i), content=(0,)) for i in range(2)]
    protocol = Protocol("many_matches", tuple(operations), n_steps=1 + GAP * len(operations) + 10)
    memory = ca3_cam(n_cues, n_content, 15)
    engines = {"float": backend, "fitted": BoardBackend(), "cut_off": BoardBackend(change=with_shifts(shift_within_range))}
    recordings = {name: run_one(memory, protocol, e)[0] for name, e in engines.items()}
    return {
        "spikes": {name: int(r.step.size) for name, r in recordings.items()},
        "runs_away": bool(recordings["fitted"].step.size != recordings["float"].step.size),
    }


def enough_events(n_content: int, runs: int) -> int:
    """Return the number of cues up to which, from 2 on, the board answers all recalls of random workloads right: its post events suffice."""
    n_cues = 1
    while True:
        protocols = workloads(n_cues + 1, n_content, runs)
        recalls = count_recalls(run_trials(ca3_cam(n_cues + 1, n_content), protocols, BoardBackend()))
        if any(count["wrong"] for count in recalls.values()):
            return n_cues
        n_cues += 1


def first_to_bind(family: str, board: Board) -> dict[str, int]:
    """Return the largest size of a family at which each resource still suffices, and the largest that fits one board by ``fit``."""

    def at(n: int) -> Needs:
        return needs(*FAMILIES[family](n), board)

    limit = board["numbers.range"]
    return {
        "wraps": largest(lambda n: at(n).volley * at(n).inhibition_moves + 60 < limit, MOST),
        "volley": largest(lambda n: at(n).volley <= 65535, MOST),
        "packets": largest(lambda n: at(n).packets <= at(n).held, MOST),
        "cores": largest(lambda n: at(n).boards_by_cores == 1, MOST),
        "sdram": largest(lambda n: at(n).boards_by_sdram == 1, MOST),
        "numbers": largest(lambda n: not at(n).refused, MOST),
        "fits": largest(lambda n: at(n).boards == 1 and not at(n).refused, MOST),
    }


def smallest_board(n_cues: int, n_content: int) -> str:
    """Return the smallest kind of board that one of suffices, ``several`` or ``refused``."""
    for name, board in boards().items():
        found = needs(n_cues, n_content, board)
        if found.refused:
            return "refused"
        if found.boards == 1:
            return name
    return "several"


def limits(quick: bool) -> dict[str, Any]:
    """Return whether the closed form agrees with ``fit``, what binds at which size, and the smallest board over a grid of sizes."""
    checked = CHECKED[:2] if quick else CHECKED
    families = {} if quick else FAMILIES
    return {
        "agrees_with_fit": {f"{c}x{m}": all(agrees_with_fit(c, m, b) for b in boards().values()) for c, m in checked},
        "enough_events_content_32": enough_events(32, 1 if quick else RUNS),
        "largest": {family: {name: first_to_bind(family, b) for name, b in boards().items()} for family in families},
        "smallest_board": {} if quick else {f"{m}": [smallest_board(c, m) for c in GRID_CUES] for m in GRID_CONTENT},
    }


def events_are_those_counted(n_cues: int, n_content: int) -> bool:
    """Tell whether the synaptic events that follow from the spikes of a run are those that the emulator counts."""
    board = BoardBackend()
    recording, _ = run_one(ca3_cam(n_cues, n_content), stress(n_cues, n_content, GAP), board)
    return int(fan_out(recording.program)[:, recording.unit].sum()) == counted(board, "events")


def costs(sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return events, energy (estimates) and latency of each kind of operation, by size."""
    return {f"{c}x{m}": per_operation(ca3_cam(c, m), stress(c, m, GAP), BoardBackend()) for c, m in sizes}


def measure(backend: Backend, quick: bool) -> dict[str, Any]:
    """Return recall quality by size and cause, lost packets, what inhibition does when many match, limits of boards, and costs."""
    sizes, runs, held = (SIZES[0:3:2], 2, BUFFERS[::3]) if quick else (SIZES, RUNS, BUFFERS)
    lost = {f"{c}x{m}": buffers(c, m, runs, held) for c, m in sizes}
    recall_of = {f"{c}x{m}": quality(backend, c, m, runs) for c, m in sizes}
    operations = costs(sizes)
    measured: dict[str, Any] = {
        "quality": recall_of,
        "unlike_float": {v: sum(recall_of[s][v]["unlike_float"] for s in recall_of) for v in VARIANTS},
        "operations": sum(recall_of[s]["board"]["operations"] for s in recall_of),
        "buffers": lost,
        "smallest_buffer": {size: smallest_buffer(rows) for size, rows in lost.items()},
        "lost_from_a_boards_own": sum(rows["holds_255"]["lost"] for rows in lost.values()),
        "many_matches": {f"{c}x{m}": many_matches(c, m, backend) for c, m in (MATCHES[:2] if quick else MATCHES)},
        "limits": limits(quick),
        "costs": operations,
        "events_are_those_counted": all(events_are_those_counted(c, m) for c, m in sizes),
        "microjoules": microjoules(operations["5x10"]),
    }
    return {
        "settings": {
            "sizes": [list(s) for s in sizes], "runs": runs, "gap": GAP, "bits_stored": STORED, "bits_queried": 1, "buffers": list(held),
            "grid_cues": list(GRID_CUES), "grid_content": list(GRID_CONTENT), "search_stops_at": MOST,
            "prices": {board: {k: v for k, v in asdict(prices).items() if k != "board"} for board, prices in COSTS.items()},
        },
        "measured": measured,
    }  # fmt: skip


def microjoules(rows: dict[str, Any]) -> dict[str, Any]:
    """Return of each board and kind of operation the estimates without the idle board, in microjoules, and the idle board in millijoules."""
    return {
        board: {
            kind: {
                "events": 1e6 * row["joules"][board]["events"],
                "cells": 1e6 * row["joules"][board]["cells"],
                "board_millijoules": 1e3 * row["joules"][board]["board"],
            }
            for kind, row in rows.items()
        }
        for board in COSTS
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw recall by size, recall by input buffer, what binds where, and the estimated energy of an operation."""
    write(drawn(results), path)


if __name__ == "__main__":
    raise SystemExit(command.main(FOLDER, measure, draw))
