"""The experiments: their quick runs hold their headlines, and the committed results are those of full runs that do."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from neuromem import experiments
from neuromem.backends import Backend, Refusal, Support, load_backend
from neuromem.backends.reference import ReferenceBackend
from neuromem.errors import SpecError, StoreError
from neuromem.experiments import command
from neuromem.experiments.expected import EACH_OF_TWO, compare, find
from neuromem.experiments.intervals import binomial_interval
from neuromem.experiments.trials import count_recalls, run_one, run_trials
from neuromem.experiments.workloads import learn_overwrite_recall, learn_then_recall, retimed, without_overwrites
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress
from neuromem.spec import ArrayConnector, Protocol, recall, store

ROOT = Path(experiments.__path__[0])
NAMES = (
    "ca3_published", "ca3_safe_gaps", "ca3_recall_corrupts", "ca3_forgotten_links", "ca3_event_history", "ca3_content_limit",
    "board_readiness", "dense_exponent", "digits_completion", "hopfield_retrieval", "hypercolumn_capacity", "outer_product_rules", "willshaw_capacity",
)  # fmt: skip


def script(name: str) -> ModuleType:
    """Return the ``run`` module of an experiment."""
    return importlib.import_module(f"neuromem.experiments.{name}.run")


@pytest.fixture(scope="module")
def backend() -> Backend:
    """The backend that experiments run on unless told otherwise."""
    return load_backend("cpu")


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_a_committed_figure_is_cut_off(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = script(name)
    drawn: list[Figure] = []
    monkeypatch.setattr(module, "write", lambda figure, path: drawn.append(figure))
    module.draw(json.loads((ROOT / name / command.RESULTS).read_text(encoding="utf-8")), tmp_path / command.FIGURE)
    (figure,) = drawn
    figure.draw_without_rendering()
    inside, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= width
    assert inside.y1 <= height


def test_every_experiment_is_listed_here_and_in_the_readme() -> None:
    folders = sorted(path.parent.name for path in ROOT.glob("*/run.py"))
    assert folders == sorted(NAMES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"({name}/README.md)" not in readme] == []


@pytest.mark.parametrize("name", NAMES)
def test_quick_run_holds_the_headlines_and_draws(name: str, backend: Backend, tmp_path: Path) -> None:
    module = script(name)
    results = command.perform(module.FOLDER, module.measure, backend, quick=True)
    failed = [f"{v['name']}: {v['measured']}, expected {v['expected']}" for v in results["verdicts"] if v["headline"] and not v["agrees"]]
    assert failed == []
    assert any(v["headline"] for v in results["verdicts"])
    command.write(results, module.draw, tmp_path)
    assert (tmp_path / command.FIGURE).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert json.loads((tmp_path / command.RESULTS).read_text(encoding="utf-8")) == results


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_are_of_a_full_run_and_hold_the_headlines(name: str) -> None:
    folder = ROOT / name
    results = json.loads((folder / command.RESULTS).read_text(encoding="utf-8"))
    assert (results["experiment"], results["quick"]) == (name, False)
    verdicts = list(compare(results["measured"], folder / "expected.toml"))
    assert [v.name for v in verdicts if v.headline and not v.agrees] == []
    assert results["verdicts"] == [vars(v) for v in verdicts]  # expected.toml did not change after the run
    assert (folder / command.FIGURE).stat().st_size < 150_000


def test_committed_deterministic_results_are_what_the_code_gives_today(backend: Backend) -> None:
    """A change of semantics that no headline notices still shows here."""
    committed = json.loads((ROOT / "ca3_event_history" / command.RESULTS).read_text(encoding="utf-8"))["measured"]["stress"]
    module = script("ca3_event_history")
    for size, history in (((16, 16), 15), ((32, 16), 24), ((5, 10), 4)):
        assert module.wrong_recalls(backend, *size, history) == committed[f"{size[0]}x{size[1]}"][f"history_{history}"]


def test_the_reference_backend_gives_the_same_counts(backend: Backend) -> None:
    rng = np.random.default_rng(5)
    protocols = [learn_overwrite_recall(rng, 5, 10, n_more=20, bits_stored=3, bits_queried=2, gap=9) for _ in range(6)]
    memory = ca3_cam(5, 10)
    counts = [count_recalls(run_trials(memory, protocols, b)) for b in (backend, load_backend("reference"))]
    assert counts[0] == counts[1]
    assert counts[0]["content"]["wrong"] > 0  # else nothing was compared


def test_trials_in_batches_equal_runs_one_by_one(backend: Backend) -> None:
    rng = np.random.default_rng(3)
    protocols = [learn_then_recall(rng, 5, 10, n_recalls=15, bits_stored=3, bits_queried=3, gap=14) for _ in range(5)]
    memory = ca3_cam(5, 10)
    batched = [[(o.operation, o.answer) for o in run] for run in run_trials(memory, protocols, backend, batch=2)]
    single = [[(o.operation, o.answer) for o in run_one(memory, p, backend)[1]] for p in protocols]
    assert batched == single


def test_recall_counts_by_hand(backend: Backend) -> None:
    memory = ca3_cam(5, 10)
    _, outcomes = run_one(memory, stress(5, 10), backend)
    recalls = [o for o in outcomes if o.form.name == "recall_by_content"]
    counts = count_recalls([outcomes])
    units = sum(len(o.expected["cue"]) for o in recalls)
    assert counts["content"] == {"wrong": 0, "of": 30, "expected_units": units, "missing_units": 0, "extra_units": 0}
    silent = [dataclasses.replace(o, answer={"cue": ()}, correct=not o.expected["cue"]) for o in recalls]
    loud = [dataclasses.replace(o, answer={"cue": (0, 1, 2, 3, 4)}, correct=len(o.expected["cue"]) == 5) for o in recalls]
    assert count_recalls([tuple(silent)])["content"]["missing_units"] == units
    assert count_recalls([tuple(loud)])["content"]["extra_units"] == 5 * 30 - units


def test_retimed_keeps_the_operations_and_sets_the_gaps() -> None:
    protocol = stress(2, 3)
    fast = retimed(protocol, after_store=7, after_recall=6)
    assert [(o.kind, o.cue, o.content) for o in fast.operations] == [(o.kind, o.cue, o.content) for o in protocol.operations]
    gaps = [b.at - a.at for a, b in zip(fast.operations, fast.operations[1:], strict=False)]
    assert gaps == [7 if o.kind == "store" else 6 for o in fast.operations[:-1]]


def test_without_overwrites_keeps_the_first_store_of_each_cue_and_all_recalls() -> None:
    operations = (
        store(1, (0,), (2,)),
        recall(9, cue=(0,)),
        store(17, (1,), (2,)),
        store(25, (0,), (3,)),
        recall(33, content=(2,)),
        store(41, (1,), (2,)),
    )
    protocol = Protocol("mine", operations, n_steps=60, unsafe_gaps=True)
    kept = without_overwrites(protocol)
    assert kept == Protocol("mine, without overwrites", (*operations[:3], operations[4]), n_steps=60, unsafe_gaps=True)


def test_the_models_safe_gaps_are_the_wider_of_measured_and_claimed() -> None:
    folder = ROOT / "ca3_safe_gaps"
    pairs = json.loads((folder / command.RESULTS).read_text(encoding="utf-8"))["measured"]["pairs"]
    claims = {c["name"]: c for c in tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))["claim"]}
    claimed = {name: claim.get("high", claim.get("value")) for name, claim in claims.items()}
    wider = {(a, b): max(found["least_safe"], claimed[f"pairs.{a}.{b}.least_safe"]) for a, row in pairs.items() for b, found in row.items()}
    assert {pair: ca3_cam().gaps[pair] for pair in wider} == wider
    assert len(wider) == 16


def test_self_inhibition_adds_one_synapse_for_each_cue() -> None:
    without, with_self = (ca3_cam(4, 3, self_inhibition=s).network.projections for s in (False, True))
    differing = [(a, b) for a, b in zip(without, with_self, strict=True) if a != b]
    assert len(differing) == 1
    assert (differing[0][0].pre, differing[0][0].post, differing[0][0].receptor) == ("s1_cue", "s2_cue", "inhibitory")
    connector = differing[0][0].connector
    assert isinstance(connector, ArrayConnector)
    np.testing.assert_array_equal(connector.array, ~np.eye(4, dtype=bool))


@pytest.mark.parametrize(("wrong", "of"), [(0, 286), (3, 316), (167, 192), (12, 12), (1, 1), (0, 1), (1100, 2005)])
def test_binomial_interval_is_clopper_and_pearsons(wrong: int, of: int) -> None:
    low, high = binomial_interval(wrong, of, 0.95)
    truth = stats.binomtest(wrong, of).proportion_ci(0.95, method="exact")
    # scipy's own root finding is good to 1e-12 or so; the printed rates have 3 digits
    assert math.isclose(low, truth.low, abs_tol=1e-9)
    assert math.isclose(high, truth.high, abs_tol=1e-9)


def test_binomial_interval_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match=r"^binomial_interval: 3 of 2; expected 0 <= wrong <= of and of >= 1\.$"):
        binomial_interval(3, 2)


def _claim(folder: Path, **entries: Any) -> Path:
    path = folder / "expected.toml"
    words = {"claim": "c", "tolerance": "t", "headline": True} | entries
    path.write_text("[[claim]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in words.items()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("claim", "value", "agrees"),
    [
        ({"kind": "exact", "value": 8}, 8, True),
        ({"kind": "exact", "value": 8}, 7, False),
        ({"kind": "exact", "value": 2}, None, False),
        ({"kind": "range", "low": 9, "high": 10}, 9, True),
        ({"kind": "range", "low": 9, "high": 10}, 11, False),
        ({"kind": "range", "low": 9, "high": 10}, None, False),
        ({"kind": "rate", "wrong": 0, "of": 286}, {"wrong": 2, "of": 2000}, True),
        ({"kind": "rate", "wrong": 0, "of": 286}, {"wrong": 200, "of": 2000}, False),
        ({"kind": "rate", "wrong": 74, "of": 304}, {"wrong": 0, "of": 300}, False),
        ({"kind": "more", "than": "other"}, {"wrong": 50, "of": 100}, True),
        ({"kind": "more", "than": "other"}, {"wrong": 12, "of": 100}, False),
        ({"kind": "more", "than": "other"}, {"wrong": 1, "of": 100}, False),
    ],
)  # fmt: skip
def test_verdicts(claim: dict[str, Any], value: Any, agrees: bool, tmp_path: Path) -> None:
    measured = {"a": {"b": value}, "other": {"wrong": 10, "of": 100}}
    (verdict,) = compare(measured, _claim(tmp_path, name="a.b", **claim))
    assert verdict.agrees is agrees


def test_two_draws_of_one_rate_disagree_in_fewer_than_5_percent(tmp_path: Path) -> None:
    """The bound that ``expected.py`` states, by the exact distribution: two samples of 100 with equal chance."""
    intervals = [binomial_interval(k, 100, EACH_OF_TWO) for k in range(101)]
    for chance in (0.02, 0.3, 0.5):
        p = stats.binom.pmf(np.arange(101), 100, chance)
        apart = np.array([[a[0] > b[1] or b[0] > a[1] for b in intervals] for a in intervals])
        assert p @ apart @ p < 0.05


def test_quick_runs_leave_out_claims_of_full_runs(tmp_path: Path) -> None:
    path = _claim(tmp_path, name="only.full", kind="exact", value=1, full=True)
    assert list(compare({}, path, quick=True)) == []
    with pytest.raises(KeyError, match=r"^\"expected\.toml: 'only\.full' is not in the measured results\.\"$"):
        list(compare({}, path))


def test_an_unknown_kind_of_claim_is_an_error(tmp_path: Path) -> None:
    path = _claim(tmp_path, name="a", kind="about")
    with pytest.raises(ValueError, match=r"^expected\.toml: a: kind = 'about'; expected exact, range, rate or more\.$"):
        list(compare({"a": 1}, path))


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_says_where_its_tolerance_comes_from(name: str) -> None:
    with (ROOT / name / "expected.toml").open("rb") as file:
        claims = tomllib.load(file)["claim"]
    for claim in claims:
        assert claim["claim"]
        assert claim["tolerance"]
        assert isinstance(claim["headline"], bool)
    measured = json.loads((ROOT / name / command.RESULTS).read_text(encoding="utf-8"))["measured"]
    for claim in claims:
        find(measured, claim["name"])


def test_results_are_not_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / command.RESULTS).write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        command.write({}, lambda results, path: None, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'results.json'}: it is there already; expected a new file (choose another --out, or overwrite with --force)."
    )
    assert (tmp_path / command.RESULTS).read_text(encoding="utf-8") == "mine"
    command.write({}, lambda results, path: None, tmp_path, force=True)
    assert json.loads((tmp_path / command.RESULTS).read_text(encoding="utf-8")) == {}


def test_an_unwritable_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    out = tmp_path / "file" / "out"
    with pytest.raises(StoreError) as caught:
        command.write({}, lambda results, path: None, out)
    assert str(caught.value) == f"{out}: Not a directory; expected a folder that can be written (choose another with --out)."


def test_the_command_runs_and_prints_the_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("ca3_content_limit")
    argv = ["--quick", "--out", str(tmp_path / "out")]
    assert command.main(module.FOLDER, module.measure, module.draw, argv) == 0
    printed = capsys.readouterr().out
    assert "largest_content_without_error  12        12        agrees\n" in printed
    assert printed.endswith(f"written: {tmp_path / 'out' / 'results.json'}, {tmp_path / 'out' / 'figure.png'}\n")
    assert command.main(module.FOLDER, module.measure, module.draw, argv) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'out' / 'results.json'}: it is there already; expected a new file (choose another --out, or overwrite with --force).\n"
    )


def test_the_command_passes_on_the_errors_of_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("ca3_published")
    with pytest.raises(SpecError) as caught:
        load_backend("cpi")
    assert command.main(module.FOLDER, module.measure, module.draw, ["--backend", "cpi", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {caught.value}\n"


def test_a_backend_without_batches_runs_one_replica_at_a_time(backend: Backend) -> None:
    class Single(ReferenceBackend):
        support = Support({"batch": Refusal("never", "it is a test")})

    rng = np.random.default_rng(8)
    protocols = [learn_then_recall(rng, 3, 6, n_recalls=4, bits_stored=2, bits_queried=2, gap=14) for _ in range(3)]
    memory = ca3_cam(3, 6)
    assert count_recalls(run_trials(memory, protocols, Single())) == count_recalls(run_trials(memory, protocols, backend))
