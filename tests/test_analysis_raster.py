"""The raster: what is drawn and where, not which pixels."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromem.analysis.labels import fits_across, label_lines, pattern_text, thin_out
from neuromem.analysis.palette import role_colours, tint
from neuromem.analysis.picture import save_figure
from neuromem.analysis.raster import MAX_WIDTH, draw_raster, raster_figure
from neuromem.backends import load_backend
from neuromem.errors import FileError, StoreError
from neuromem.ir import Recording, lower_memory, plan
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.runs.outcomes import Outcome, outcomes
from neuromem.spec import AddressTable, IFCurrExp, MemoryModel, Network, Population, Probe, Protocol, SpikeSourceArray, forget

Run = tuple[MemoryModel, Protocol, Recording, tuple[Outcome, ...]]


def ideal_run(memory: MemoryModel, protocol: Protocol) -> Run:
    """Return a run without spikes whose every answer is right: for layout, at no cost."""
    program = lower_memory(memory, protocol)
    none = np.empty(0, np.int64)
    found = tuple(
        Outcome(p.operation, p.form, {r: p.expected[r] for r in p.form.answers}, {r: p.expected[r] for r in p.form.answers}, True, 5)
        for p in plan(memory, protocol)
    )
    return memory, protocol, Recording(program, program.n_steps, none, none, none, {}, {}), found


def published(name: str, **sizes: int) -> tuple[MemoryModel, Protocol]:
    recipe = PROTOCOLS[name]
    parameters: dict[str, Any] = dict(recipe.parameters) | sizes
    return ca3_cam(**parameters), recipe.build(**parameters)


@pytest.fixture(scope="module")
def functional() -> Run:
    memory, protocol = published("functional")
    recording = load_backend("reference").build(lower_memory(memory, protocol)).run()
    return memory, protocol, recording, outcomes(memory, protocol, recording)


def with_answer(run: Run, index: int, **answer: tuple[int, ...]) -> Run:
    """Return the run with the answer of one operation replaced by a wrong one."""
    memory, protocol, recording, found = run
    wrong = replace(found[index], answer=found[index].answer | answer, correct=False)
    return memory, protocol, recording, (*found[:index], wrong, *found[index + 1 :])


def gids(figure: Any, prefix: str = "") -> dict[str, Any]:
    artists = [*figure.texts, *(child for axes in figure.axes for child in axes.get_children())]
    return {a.get_gid(): a for a in artists if a.get_gid() and a.get_gid().startswith(prefix)}


def tops(figure: Any) -> dict[str, tuple[float, float]]:
    """Return top and bottom of every band."""
    found = {}
    for gid, band in gids(figure, "band:").items():
        y = band.get_paths()[0].vertices[:, 1]
        found[gid.removeprefix("band:")] = (float(y.min()), float(y.max()))
    return found


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Return the pairs of texts whose boxes share an area."""
    renderer = figure.canvas.get_renderer()
    texts = [t for t in [*figure.texts, *(t for a in figure.axes for t in a.texts)] if t.get_text()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts]
    return [
        (a, b)
        for (a, x), (b, y) in itertools.combinations(boxes, 2)
        if min(x.x1, y.x1) > max(x.x0, y.x0) and min(x.y1, y.y1) > max(x.y0, y.y0)
    ]


def outside(figure: Any) -> list[str]:
    """Return the texts that the picture cuts off."""
    renderer, box = figure.canvas.get_renderer(), figure.bbox
    texts = [t for t in [*figure.texts, *(t for a in figure.axes for t in a.texts)] if t.get_text()]
    extents = [(t.get_text(), t.get_window_extent(renderer)) for t in texts]
    return [text for text, e in extents if e.x0 < 0 or e.y0 < 0 or e.x1 > box.x1 or e.y1 > box.y1]


def test_every_population_has_a_band_sources_on_top_then_as_declared() -> None:
    populations = (Population("b", 3, IFCurrExp()), Population("src", 2, SpikeSourceArray()), Population("a", 4, IFCurrExp()))
    memory = MemoryModel("m", Network(populations), 1.0, (), (), AddressTable)
    figure = raster_figure(*ideal_run(memory, Protocol("p", (), 20)))
    bands = tops(figure)
    assert sorted(bands, key=lambda name: bands[name]) == ["src", "b", "a"]
    ordered = sorted(bands.values())
    assert all(below[0] > above[1] for above, below in itertools.pairwise(ordered))
    assert [t.get_text() for t in gids(figure, "name:").values()] == ["src  2", "b  3", "a  4"]


def test_spikes_stand_at_their_step_in_the_row_of_their_unit(functional: Run) -> None:
    figure = raster_figure(*functional)
    bands, lines, recording = tops(figure), gids(figure, "spikes:"), functional[2]
    for population in recording.program.populations:
        step, unit = recording.spikes_of(population.name)
        line = lines[f"spikes:{population.name}"]
        top, bottom = bands[population.name]
        assert step.size
        np.testing.assert_array_equal(line.get_xdata(), step)
        row = (np.asarray(line.get_ydata()) - top) / (bottom - top) * population.size
        np.testing.assert_array_equal(np.floor(row), unit)


def test_labels_say_what_was_asked_and_what_came_back(functional: Run) -> None:
    figure = raster_figure(*functional)
    assert [t.get_text() for t in gids(figure, "label:").values()] == [
        "✓ store\n0 = {0,1,8,9}",
        "✓ store\n4 = {1,5,6}",
        "✓ store\n3 = {4,5,6}",
        "✓ recall\ncue 0\n→ {0,1,8,9}",
        "✓ recall\ncontent {6}\n→ {3,4}",
        "✓ recall\ncontent {0,4}\n→ {0,3}",
        "✓ store\n3 = {1,3,4,8}",
        "✓ recall\ncue 3\n→ {1,3,4,8}",
        "✓ recall\ncontent {6}\n→ {4}",
    ]
    assert gids(figure)["title"].get_text() == "Spiking content-addressable memory of hippocampal CA3"
    assert gids(figure)["subtitle"].get_text() == "protocol functional: 9 operations, 9 right, 0 wrong; 90 steps of 1 ms"
    assert not [gid for gid in gids(figure) if "wrong" in gid or gid.startswith("answer:")]


def test_operations_are_shaded_where_they_happen(functional: Run) -> None:
    figure = raster_figure(*functional)
    stores = [path.vertices[:, 0] for path in gids(figure)["spans:store"].get_paths()]
    assert [(x.min(), x.max()) for x in stores] == [(-0.5, 7.5), (9.5, 17.5), (19.5, 27.5), (59.5, 67.5)]
    assert len(gids(figure)["spans:recall"].get_paths()) == 5
    read = [path.vertices[:, 0].mean() for path in gids(figure)["answers:content"].get_paths()]
    assert [int(x) for x in np.floor(read)] == [4, 14, 24, 35, 64, 75]  # frames reach half a step to each side of 5, 15, ...


def test_a_wrong_operation_differs_without_colour(functional: Run) -> None:
    run = with_answer(with_answer(functional, 3, content=(0, 1, 5)), 2, cue=())
    figure = raster_figure(*run)
    labels = gids(figure, "label:")
    assert labels["label:3"].get_text() == "✗ recall\ncue 0\n→ {0,1,5}\nnot {0,1,8,9}"
    assert labels["label:2"].get_text() == "✗ store\n3 = {4,5,6}\n→ cue {}\nnot {3}"
    assert labels["label:3"].get_weight() == "bold"
    assert gids(figure)["subtitle"].get_text() == "protocol functional: 9 operations, 7 right, 2 wrong; 90 steps of 1 ms"
    assert len(gids(figure)["spans:wrong"].get_paths()) == 2
    assert gids(figure)["spans:wrong"].get_hatch()
    assert list(gids(figure)["marks:wrong"].get_xdata()) == [25, 36]
    missing, extra = gids(figure)["answer:missing"], gids(figure)["answer:unexpected"]
    assert (missing.get_marker(), extra.get_marker()) == ("o", "x")
    top, bottom = tops(figure)["out"]
    rows = [(x, int((y - top) / (bottom - top) * 15)) for line in (missing, extra) for x, y in zip(*line.get_data(), strict=True)]
    assert rows == [(25, 3), (36, 5 + 8), (36, 5 + 9), (36, 5 + 5)]
    assert overlapping(figure) == []


@pytest.mark.parametrize(
    ("name", "sizes"), [("functional", {}), ("stress", {}), ("state_map", {}), ("stress", {"n_cues": 64, "n_content": 32})]
)
def test_texts_never_overlap_nor_leave_the_picture(name: str, sizes: dict[str, int]) -> None:
    figure = raster_figure(*ideal_run(*published(name, **sizes)))
    assert overlapping(figure) == []
    assert outside(figure) == []


def test_labels_stand_upright_at_60_operations_and_thin_out_at_480() -> None:
    stress = raster_figure(*ideal_run(*published("stress")))
    labels = gids(stress, "label:")
    assert len(labels) == 60
    assert {t.get_rotation() for t in labels.values()} == {90.0}
    assert labels["label:0"].get_text() == "✓ store 0 = {0}"
    run = with_answer(ideal_run(*published("stress", n_cues=64, n_content=32)), 201, content=(1,))
    big = raster_figure(*run)
    shown = gids(big, "label:")
    assert 100 < len(shown) < 480
    assert "label:201" in shown
    assert gids(big)["notes"].get_text().endswith(f"{len(shown)} of 480 operations are labelled")


def test_the_picture_grows_within_reason_and_marks_shrink(functional: Run) -> None:
    small, stress, big = (
        raster_figure(*run)
        for run in (functional, ideal_run(*published("stress")), ideal_run(*published("stress", n_cues=64, n_content=32)))
    )
    widths = [figure.get_size_inches()[0] for figure in (small, stress, big)]
    assert widths[0] < widths[1] < widths[2] < MAX_WIDTH + 3.0
    assert big.get_size_inches()[1] < 2 * small.get_size_inches()[1]
    sizes = [gids(figure)["spikes:s1_cue"].get_markersize() for figure in (small, stress, big)]
    assert sizes[2] < sizes[0] / 2
    band = tops(big)["s1_cue"]
    assert sizes[2] / 72.0 <= (band[1] - band[0]) / 64  # spikes of neighbouring units stay apart


@pytest.mark.parametrize(("probes", "note"), [((Probe("lone"),), "no spikes"), ((), "spikes not recorded")])
def test_one_neuron_no_operations_no_spikes(probes: tuple[Probe, ...], note: str) -> None:
    memory = MemoryModel("tiny", Network((Population("lone", 1, IFCurrExp()),), probes=probes), 0.1, (), (), AddressTable)
    figure = raster_figure(*ideal_run(memory, Protocol("rest", (), 5)))
    assert gids(figure)["subtitle"].get_text() == "protocol rest: no operations; 5 steps of 0.1 ms"
    assert gids(figure)["note:lone"].get_text() == note
    assert overlapping(figure) == []
    assert outside(figure) == []


def test_an_interrupted_run_shows_what_was_not_run(functional: Run) -> None:
    memory, protocol, whole, _ = functional
    simulation = load_backend("reference").build(whole.program)
    simulation.advance(whole.program.schedule.part(0, 57))
    part = simulation.recording()
    figure = raster_figure(memory, protocol, part, outcomes(memory, protocol, part))
    x = gids(figure)["rest"].get_paths()[0].vertices[:, 0]
    assert (x.min(), x.max()) == (56.5, 89.5)
    assert len(gids(figure, "label:")) == 6
    assert gids(figure)["subtitle"].get_text() == "protocol functional: 6 operations, 6 right, 0 wrong; 57 of 90 steps of 1 ms"


def test_only_the_asked_replica_is_drawn(functional: Run) -> None:
    memory, protocol, recording, found = functional
    shifted = replace(recording, replica=np.ones_like(recording.replica))
    assert gids(raster_figure(memory, protocol, shifted, found, replica=0))["spikes:out"].get_xdata().size == 0
    assert gids(raster_figure(memory, protocol, shifted, found, replica=1))["spikes:out"].get_xdata().size > 0


def test_label_texts() -> None:
    assert pattern_text(()) == "{}"
    assert pattern_text((3,)) == "{3}"
    assert pattern_text((3,), bare=True) == "3"
    assert pattern_text((1, 2), bare=True) == "{1,2}"
    assert pattern_text(tuple(range(6))) == "{0,1,2,3,4,5}"
    assert pattern_text(tuple(range(7))) == "{0,1,2,3,… 7 units}"
    memory = ca3_cam(5, 10)
    planned = plan(memory, Protocol("p", (forget(0, (2,)),), 10))[0]
    silent = Outcome(planned.operation, planned.form, {"cue": (2,)}, {"cue": ()}, False, None)
    assert label_lines(silent) == ("✗ forget", "2", "→ {}", "not {2}")
    assert label_lines(replace(silent, answer={"cue": (2,)}, correct=True)) == ("✓ forget", "2")


def test_thinning_keeps_the_distance_and_gives_the_first_ones_room() -> None:
    assert thin_out([0.0, 1.0, 2.0, 3.0, 4.0], [], 1.0) == [0, 1, 2, 3, 4]
    assert thin_out([0.0, 1.0, 2.0, 3.0, 4.0], [], 1.5) == [0, 2, 4]
    assert thin_out([0.0, 1.0, 2.0, 3.0, 4.0], [3], 1.5) == [0, 3]
    assert thin_out([], [], 1.0) == []
    assert fits_across([1.0, 1.0], [0.0, 1.0], 2.0)
    assert not fits_across([1.1, 1.0], [0.0, 1.0], 2.0)
    assert not fits_across([1.0, 1.1], [0.0, 1.0], 2.0)
    assert fits_across([], [], 2.0)


def test_roles_have_distinct_colours_that_do_not_depend_on_the_others() -> None:
    known = role_colours(["input", "cue", "content", "gate", "interneuron", "readout"])
    assert len(set(known.values())) == 6
    assert role_colours(["a", "cue", "b", "a"])["cue"] == known["cue"]
    free = role_colours(["a", "b", "c"])
    assert len(set(free.values()) | set(known.values())) == 9
    assert (tint("#0072B2", 1.0), tint("#0072B2", 0.0)) == ("#0072B2", "#FFFFFF")


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_file_replaces_what_is_there_and_nothing_else_remains(tmp_path: Path, functional: Run, ending: str, magic: bytes) -> None:
    path = tmp_path / f"raster.{ending}"
    path.write_text("old")
    draw_raster(*functional, path)
    assert path.read_bytes().startswith(magic)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_another_ending_is_refused(tmp_path: Path, functional: Run) -> None:
    path = tmp_path / "raster.bmp"
    with pytest.raises(
        FileError, match=f"^{re.escape(f'{path}: a picture that ends in ')}'\\.bmp'; expected one of \\.pdf, \\.png, \\.svg\\.$"
    ):
        draw_raster(*functional, path)


def test_a_folder_that_is_not_there(tmp_path: Path, functional: Run) -> None:
    path = tmp_path / "no" / "raster.png"
    expected = (
        f"{path}: the picture cannot be written (No such file or directory); expected a folder that exists, may be written and has room."
    )
    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"):
        draw_raster(*functional, path)


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, functional: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "raster.png"
    path.write_text("old")
    figure = raster_figure(*functional)

    def full(part: Path, **_: object) -> None:
        part.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    expected = (
        f"{path}: the picture cannot be written (No space left on device); expected a folder that exists, may be written and has room."
    )
    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"):
        save_figure(figure, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["raster.png"]


def test_drawing_uses_no_display_and_no_global_figure(tmp_path: Path) -> None:
    program = f"""
import sys
import neuromem.analysis
assert not {{"matplotlib", "networkx"}} & set(sys.modules), "imported before anything is drawn"
from neuromem.models import ca3_cam
neuromem.analysis.draw_network(ca3_cam(2, 3).network, {str(tmp_path / "n.png")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    no_display = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=no_display, capture_output=True)
