"""Agreement of engines on a trial, and its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromem import models
from neuromem.analysis import trial_agreement as agreement
from neuromem.analysis.recall_picture import COLOURS, draw_recall, image, image_shape, recall_figure, states
from neuromem.analysis.trial_agreement import Apart, compare_trials, compared, weight_bounds
from neuromem.errors import SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.kernels.bits import Patterns
from neuromem.kernels.cpu import hopfield as cpu_hopfield
from neuromem.runs.trial import run_trial
from neuromem.spec import MemoryModel, Trial

ENGINES: list[tuple[str, dict[str, Any]]] = [("reference", {}), ("cpu", {})]
EXACT = {
    "hebb": (models.hopfield(70), Trial(7, flips=0.1)),
    "visits": (models.hopfield(70, update="asynchronous"), Trial(7, flips=0.1)),
    "covariance": (models.hopfield(70, "covariance"), Trial(7, deletions=0.2)),
    "pseudo-inverse": (models.hopfield(70, "pseudo_inverse"), Trial(7, flips=0.1)),
    "willshaw": (models.willshaw(70), Trial(20, deletions=0.2)),
    "bcpnn": (models.bcpnn(64, 8), Trial(20, moves=0.2)),
    "dense": (models.dense(70), Trial(20, flips=0.1)),
    "sequence": (models.sequence(70), Trial(9)),
}
ROUNDED = {
    "storkey": (models.hopfield(70, "storkey"), Trial(7, flips=0.1)),
    "traces": (models.bcpnn(64, 8, tau=10), Trial(20, moves=0.2)),
    "attention": (models.dense(70, "softmax", units="real"), Trial(20, noise=0.2)),
    "plain Hebb": (models.hetero(70, 50), Trial(20)),
}
pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning", "ignore::neuromem.errors.NotConvergedWarning")


@pytest.mark.parametrize("name", EXACT)
def test_integers_and_bits_agree_exactly(name: str) -> None:
    report = compare_trials(*EXACT[name], ENGINES, seed=3)
    assert report.agree
    assert report.complete
    assert report.rows[1].weights == Apart(0.0, 0.0)
    assert (report.rows[1].answers, report.rows[1].steps, report.rows[1].values) == (0, 0, None)
    assert "cpu        equal  " in report.table()


@pytest.mark.parametrize("name", ROUNDED)
def test_floats_agree_within_a_bound_that_is_not_far_off(name: str) -> None:
    report = compare_trials(*ROUNDED[name], ENGINES, seed=3)
    assert report.agree, report.table()
    result = report.rows[0].result
    assert result is not None
    bounds = weight_bounds(result)
    assert bounds is not None
    assert np.max(bounds) < 1e-4 * max(1.0, np.abs(result.session.weights()).max())


def test_a_rule_without_a_bound_says_so() -> None:
    report = compare_trials(models.hetero(70, loss="squared"), Trial(20), ENGINES)
    row = report.rows[1]
    assert row.weights is not None
    assert row.weights.bound is None
    assert report.agree
    assert "(no bound known)" in str(Apart(1e-9, None))


@pytest.mark.parametrize("part", ["answers", "steps", "weights"])
def test_an_engine_that_differs_is_named(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (agreement.run_on(*EXACT["hebb"], name, options, 0) for name, options in ENGINES)
    assert a.result is not None
    assert b.result is not None
    assert compared(a, b).agrees
    recalled = b.result.recalled
    if part == "answers":
        bits = recalled.answer > 0
        bits[3, 5] ^= True
        b = replace(b, result=replace(b.result, recalled=replace(recalled, state=Patterns(70, bits=bits))))
        said = "1 of 7 DIFFER"
    elif part == "steps":
        b = replace(b, result=replace(b.result, recalled=replace(recalled, converged=np.arange(7) != 2)))
        said = "1 of 7 DIFFER"
    else:
        wrong = b.result.session.weights()
        wrong[4, 5] += 1
        monkeypatch.setattr(b.result.session, "weights", lambda: wrong)
        said = "BEYOND: apart 1 (bound 0)"
    row = compared(a, b)
    assert not row.agrees
    report = agreement.TrialReport("hopfield", EXACT["hebb"][1], 0, (replace(a, status="baseline"), row))
    assert said in report.table()
    assert report.verdict() == "DIFFERENT from reference: cpu."
    assert not report.agree


def test_a_wrong_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    store = cpu_hopfield.storkey_store

    def wrong(w: np.ndarray, patterns: np.ndarray, threads: int = 1) -> None:
        store(w, patterns, threads=threads)
        w *= np.float32(1 + 2.0**-9)

    monkeypatch.setattr(cpu_hopfield, "storkey_store", wrong)
    report = compare_trials(*ROUNDED["storkey"], ENGINES, seed=3)
    assert not report.agree
    assert "BEYOND" in report.table()


def test_real_answers_beyond_their_bound_are_found() -> None:
    a, b = (agreement.run_on(*ROUNDED["plain Hebb"], name, options, 0) for name, options in ENGINES)
    assert b.result is not None
    values = b.result.recalled.answer.copy()
    values[2, 3] += 1e-3
    row = compared(a, replace(b, result=replace(b.result, recalled=replace(b.result.recalled, state=values))))
    assert row.values is not None
    assert not row.values.within
    assert not row.agrees


def test_engines_that_do_not_run_give_a_row() -> None:
    pytest.importorskip("brian2", reason="brian2 is not installed; pip install 'neuromem[brian2]'")
    memory, trial = EXACT["willshaw"]
    report = compare_trials(memory, trial, [*ENGINES, ("brian2", {"codegen": "numpy"})])
    assert (report.agree, report.complete) == (True, False)
    assert report.verdict() == "2 of 3 engines ran, and agree on 20 answers and on all weights."
    assert "\nbrian2 (codegen=numpy): unsupported: " in report.table()
    assert compare_trials(memory, trial, [("brian2", {"codegen": "numpy"})]).verdict() == "No engine ran."
    assert compare_trials(memory, trial, [("cpu", {})]).verdict() == "Nothing to compare: only cpu ran."
    with pytest.raises(SpecError, match="compare: no engines"):
        compare_trials(memory, trial, [])


@pytest.mark.parametrize(
    ("memory", "shape"),
    [
        (models.hopfield(20), (1, 20)), (models.hopfield(256), (16, 16)), (models.hopfield(50), (7, 8)), (models.bcpnn(256, 32), (32, 8)),
        (models.bcpnn(256, 64), (16, 16)), (models.bcpnn(256, 4), (16, 16)), (models.bcpnn(16, 4), (4, 4)),
        (models.hetero(100, 36), (6, 6)), (models.hetero(20, 36), (1, 36)),
    ],
)  # fmt: skip
def test_the_image_of_a_pattern_is_a_line_or_nearly_a_square(memory: MemoryModel, shape: tuple[int, int]) -> None:
    program = lower_matrix_memory(memory)
    assert image_shape(program, "truth") == shape
    values = np.arange(float(program.post.size))
    drawn = image(values, shape)
    assert np.array_equal(drawn.ravel()[: values.size], values)
    assert np.isnan(drawn.ravel()[values.size :]).all()


def test_a_large_image_keeps_its_errors() -> None:
    values = np.zeros(40_000)
    values[[17, 39_999]] = 3.0
    drawn = image(values, (200, 200))
    assert drawn.shape == (40, 40)
    assert np.argwhere(drawn == 3.0).tolist() == [[0, 3], [39, 39]]


def test_wrong_units_are_marked() -> None:
    result = run_trial(*EXACT["hebb"], "reference")
    assert isinstance(result.cues, Patterns)
    assert isinstance(result.patterns, Patterns)
    cue, truth = result.cues.bits[2], result.patterns.bits[2]
    drawn = states(result, "cue", 2)
    assert [np.flatnonzero(drawn == kind).tolist() for kind in range(4)] == [
        np.flatnonzero(wanted).tolist() for wanted in (~cue & ~truth, cue & truth, ~cue & truth, cue & ~truth)
    ]
    assert (drawn >= 2).sum() == 7
    assert set(states(result, "truth", 2).tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["hebb", "bcpnn", "sequence", "attention", "plain Hebb"])
def test_the_picture(name: str, tmp_path: Path) -> None:
    result = run_trial(*(EXACT | ROUNDED)[name], "reference")
    figure = recall_figure(result)
    shown = min(16, result.exact.size)
    first = 1 if name == "sequence" else 0
    gids = {artist.get_gid() for axes in figure.axes for artist in axes.images}
    assert gids == {f"{kind}:{i + first}" for kind in ("cue", "answer", "truth") for i in range(shown)}
    texts = {text.get_gid(): text.get_text() for text in figure.texts}
    assert f"{'nearest' if result.real else 'exact'}" in texts["subtitle"]
    assert texts["subtitle"].startswith("9 stored in order, recalled step by step: " if first else f"{result.exact.size} stored: ")
    assert ("legend:wrongly active" in texts) == (not result.real)
    for i in range(shown):
        assert texts[f"verdict:{i + first}"].startswith("\N{CHECK MARK}" if result.exact[i] else "\N{BALLOT X}")
    width, height = figure.get_size_inches()
    renderer: Any = figure.canvas
    for text in figure.texts:
        box = text.get_window_extent(renderer.get_renderer())
        assert 0 <= box.x0 <= box.x1 <= width * figure.dpi
        assert 0 <= box.y0 <= box.y1 <= height * figure.dpi
    draw_recall(result, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_four_colours_differ_as_greys() -> None:
    greys = sorted(0.299 * int(c[1:3], 16) + 0.587 * int(c[3:5], 16) + 0.114 * int(c[5:], 16) for c in COLOURS)
    assert min(np.diff(greys)) > 30
