"""The agreement report: it must see engines that are wrong, and say why others did not run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromem.analysis.agreement import (
    EPSILON,
    AgreementReport,
    compare,
    draw_agreement,
    first_difference,
    weight_bounds,
    weight_differences,
)
from neuromem.analysis.agreement_picture import ZERO, agreement_figure, power, split_spikes
from neuromem.backends import BACKENDS, Refusal, Simulation, Support
from neuromem.backends.reference import ReferenceBackend, ReferenceSimulation
from neuromem.errors import BackendMissingError, SpecError
from neuromem.ir import Program, Recording
from neuromem.ir.ops import Op
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import PROTOCOLS
from neuromem.spec import MemoryModel, Protocol


class Learns(ReferenceSimulation):
    """Sends before it learns: a spike leaves with the weight of before."""

    def __init__(self, program: Program) -> None:
        late = sorted(program.ops, key=lambda op: op.name == "learn")
        super().__init__(replace(program, ops=tuple(late)))
        self.program = replace(program, ops=tuple(late))


class LearnsTooLate(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        return Learns(program)


class Shifted(ReferenceSimulation):
    """Reports the weights of two projections changed."""

    plastic_by, static_by = 0.0, 0.0

    def weights(self, projection: str) -> np.ndarray:
        found = super().weights(projection)
        change = {"s1_cue>s1_cont": self.plastic_by, "s2_int>s2_cond": self.static_by}.get(projection, 0.0)
        found[0, min(31, found.shape[1] - 1)] += change
        return found


class OneMillionthOff(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        simulation = Shifted(program)
        simulation.plastic_by = 1e-6
        return simulation


class OneUlpOff(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        simulation = Shifted(program)
        simulation.plastic_by = 2.0**-50  # the last bit of a weight from 4 to 8 nA
        return simulation


class StaticUlpOff(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        simulation = Shifted(program)
        simulation.static_by = 2.0**-51
        return simulation


class NotANumber(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        simulation = Shifted(program)
        simulation.plastic_by = math.nan
        return simulation


class Jumpy(ReferenceSimulation):
    """One cell spikes in the last step for no reason."""

    def _threshold(self, op: Op) -> None:
        super()._threshold(op)
        if self.step == 89:
            self.spiked[0, -1] = True


class OneSpikeMore(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        return Jumpy(program)


class NotInstalled(ReferenceBackend):
    def __init__(self) -> None:
        raise BackendMissingError("backend 'gone' needs gone;\n  type: pip install gone")


class MissingCompiler(ReferenceBackend):
    def _build(self, program: Program) -> Simulation:
        raise BackendMissingError("no compiler; type: apt install gcc")


class Static(ReferenceBackend):
    name = "static"
    support = Support({"stdp:deferred": Refusal("notyet", "it learns at once")})


KINDS = (LearnsTooLate, OneMillionthOff, OneUlpOff, StaticUlpOff, NotANumber, OneSpikeMore, NotInstalled, MissingCompiler, Static)
Compare = Callable[..., AgreementReport]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Return a function that compares engines, given by class or name, on the functional protocol."""
    for kind in KINDS:
        monkeypatch.setitem(BACKENDS, kind.__name__, (__name__, kind.__name__))
    return lambda *engines: compare(*published(), [(e if isinstance(e, str) else e.__name__, {}) for e in engines])


def published() -> tuple[MemoryModel, Protocol]:
    return ca3_cam(5, 10), PROTOCOLS["functional"].build(5, 10)


def test_engines_that_agree(compared: Compare) -> None:
    report = compared("reference", "reference", OneUlpOff)
    assert report.agree
    assert [row.status for row in report.rows] == ["baseline", "compared", "compared"]
    assert all(row.agrees for row in report.compared)
    assert report.verdict() == "3 engines agree on 322 spikes and on all weights."
    assert report.rows[1].worst_weight is not None
    assert report.rows[1].worst_weight.difference == 0.0
    assert report.rows[0].weights == ()
    worst = report.rows[2].worst_weight
    assert worst is not None
    assert (worst.projection, worst.pre, worst.post, worst.difference) == ("s1_cue>s1_cont", 3, 1, 2.0**-50)
    assert 0.0 < worst.difference < worst.bound < 1e-11


def test_cpu_agrees_on_all_published_protocols() -> None:
    for name in ("functional", "state_map"):
        recipe = PROTOCOLS[name]
        sizes: dict[str, Any] = dict(recipe.parameters)
        report = compare(ca3_cam(**sizes), recipe.build(**sizes), [("reference", {}), ("cpu", {})])
        assert report.agree, report.table()


def test_a_wrong_op_order_is_seen(compared: Compare) -> None:
    report = compared("reference", LearnsTooLate)
    row = report.rows[1]
    assert not report.agree
    assert not row.spikes_equal
    assert row.first_difference is not None
    assert row.first_difference.only_in in ("reference", "LearnsTooLate")
    assert report.verdict() == "DIFFERENT from reference: LearnsTooLate."
    a, b = (set(zip(r.recording.step.tolist(), r.recording.unit.tolist(), strict=True)) for r in report.rows if r.recording)
    step, unit = min(a ^ b)
    first = report.program.population(row.first_difference.population).first
    assert (row.first_difference.step, row.first_difference.unit + first) == (step, unit)
    assert row.first_difference.only_in == ("reference" if (step, unit) in a else "LearnsTooLate")


def test_a_weight_off_by_a_millionth_is_seen(compared: Compare) -> None:
    report = compared("reference", OneMillionthOff)
    row = report.rows[1]
    assert row.spikes_equal
    assert not row.agrees
    assert not report.agree
    worst = row.worst_weight
    assert worst is not None
    assert (worst.projection, worst.pre, worst.post) == ("s1_cue>s1_cont", 3, 1)
    assert worst.difference == pytest.approx(1e-6, rel=1e-8)
    assert not worst.within


@pytest.mark.parametrize("kind", [StaticUlpOff, NotANumber])
def test_static_weights_and_numbers_that_are_none_are_seen(compared: Compare, kind: type) -> None:
    assert not compared("reference", kind).agree


def test_a_spike_beyond_the_end_of_the_other_recording_is_seen(compared: Compare) -> None:
    for engines, side in ((("reference", OneSpikeMore), "OneSpikeMore"), ((OneSpikeMore, "reference"), "OneSpikeMore")):
        row = next(r for r in compared(*engines).rows if r.status == "compared")
        assert str(row.first_difference) == f"step 89: out 14 only in {side}"


def test_the_table(compared: Compare) -> None:
    report = compared(OneMillionthOff, "reference", OneSpikeMore, OneUlpOff, NotInstalled, MissingCompiler, Static)
    timed = replace(report, rows=tuple(replace(row, build_seconds=0.25, run_seconds=1.5) for row in report.rows))
    assert timed.table().splitlines() == [
        f"ca3-cam, protocol functional: 90 steps, seed 0, program {report.program.digest[:12]}",
        "",
        "engine           spikes                                            weights                                                build s  run s",
        "OneMillionthOff  equal                                             1e-06 nA apart (bound 6.1e-13): s1_cue>s1_cont 3 to 1    0.250  1.500",
        "reference        322 (baseline)                                    -                                                        0.250  1.500",
        "OneSpikeMore     differ from step 89: out 14 only in OneSpikeMore  equal                                                    0.250  1.500",
        "OneUlpOff        equal                                             within 8.9e-16 nA (bound 6.1e-13)                        0.250  1.500",
        "NotInstalled     not run                                           -                                                            -      -",
        "MissingCompiler  not run                                           -                                                            -      -",
        "Static           not run                                           -                                                            -      -",
        "",
        "NotInstalled: missing: backend 'gone' needs gone; type: pip install gone",
        "MissingCompiler: missing: no compiler; type: apt install gcc",
        "Static: unsupported: backend 'static' cannot yet do 'stdp:deferred': it learns at once",
        "",
        "DIFFERENT from reference: OneMillionthOff, OneSpikeMore (4 of 7 engines ran).",
    ]


def test_the_reference_is_the_baseline_wherever_it_stands(compared: Compare) -> None:
    assert [row.status for row in compared("cpu", "reference").rows] == ["compared", "baseline"]
    assert [row.status for row in compared(NotInstalled, "cpu").rows] == ["missing", "baseline"]


def test_the_verdict_says_when_not_all_engines_ran(compared: Compare) -> None:
    for idle in (NotInstalled, MissingCompiler, Static):
        report = compared("reference", idle, "cpu")
        assert (report.agree, report.complete) == (True, False)
        verdict = "2 of 3 engines ran, and agree on 322 spikes and on all weights."
        assert report.verdict() == verdict
        assert report.table().splitlines()[-1] == verdict
        assert [t.get_text() for t in agreement_figure(report).texts if t.get_gid() == "verdict"] == [verdict]
    assert compared("reference", "cpu").complete


def test_one_engine_alone_or_none_does_not_agree(compared: Compare) -> None:
    alone, none = compared("reference", NotInstalled), compared(NotInstalled)
    assert not alone.agree
    assert not none.agree
    assert alone.verdict() == "Nothing to compare: only reference ran."
    assert none.verdict() == "No engine ran."
    assert none.baseline is None


def test_spikes_of_every_population_are_compared_even_if_the_memory_records_none(compared: Compare) -> None:
    memory, protocol = published()
    blind = replace(memory, network=replace(memory.network, probes=()))
    report = compare(blind, protocol, [("reference", {}), ("OneSpikeMore", {})])
    assert not report.agree
    assert {p.population for p in report.program.probes} == {p.name for p in memory.network.populations}
    assert compare(memory, protocol, [("reference", {})]).program.digest == compare(memory, protocol, [("cpu", {})]).program.digest


def test_an_unknown_engine_is_an_error_before_anything_runs() -> None:
    with pytest.raises(
        SpecError,
        match=r"^backend 'cpuu'; expected one of brian2, brian2cuda, cpu, cupy, reference, spinnaker-emulator \(did you mean 'cpu'\?\)\.$",
    ):
        compare(*published(), [("reference", {}), ("cpuu", {})])


def test_no_engines() -> None:
    with pytest.raises(
        SpecError, match=r"^compare: no engines; expected at least one \(backend name, options\), such as \('cpu', \{\}\)\.$"
    ):
        compare(*published(), [])


def test_first_difference_looks_at_replica_then_step_then_unit(compared: Compare) -> None:
    program = compared("reference").program

    def recording(*keys: tuple[int, int, int]) -> Recording:
        columns = np.array(keys, dtype=np.int64).reshape(-1, 3).T
        return Recording(program, 90, *columns, {}, {})

    base = recording((0, 1, 2), (0, 3, 1), (1, 0, 0))
    assert first_difference(base, base, "a", "b") is None
    assert first_difference(recording(), recording(), "a", "b") is None
    assert str(first_difference(base, recording((0, 1, 2), (1, 0, 0)), "a", "b")) == "step 3: in 1 only in a"
    assert str(first_difference(base, recording((0, 1, 2), (0, 2, 7), (0, 3, 1), (1, 0, 0)), "a", "b")) == "step 2: in 7 only in b"
    assert str(first_difference(recording(), base, "a", "b")) == "step 1: in 2 only in b"
    both, only_a, only_b = split_spikes(base, recording((0, 1, 2), (0, 2, 7), (1, 0, 0)))
    assert (both.tolist(), only_a.tolist(), only_b.tolist()) == ([[0, 1, 2], [1, 0, 0]], [[0, 3, 1]], [[0, 2, 7]])


def test_weight_bounds_count_the_events_of_each_synapse(compared: Compare) -> None:
    report = compared("reference")
    recording = report.rows[0].recording
    assert recording is not None
    table = report.program.plastic[0]
    count = np.bincount(recording.unit, minlength=report.program.n_units)
    n = count[table.pre] + count[table.post]
    np.testing.assert_array_equal(weight_bounds(table, recording)[0], [(2 * k * k + 9 * k) * 2.0**-52 * 6.0 for k in n.tolist()])
    assert not weight_bounds(report.program.static[0], recording).any()
    assert all(w.difference == 0.0 for w in weight_differences(recording, recording))


@pytest.mark.parametrize("multiplicative", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_doubles_stay_within_half_the_bound_of_longer_numbers(seed: int, multiplicative: bool) -> None:
    """One engine differs from exact arithmetic by half the bound between two; 64-bit mantissas stand in for exact ones."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is no longer than double on this machine")
    rng = np.random.default_rng(seed)
    events = [(int(step), bool(rng.integers(2))) for step in np.cumsum(rng.integers(1, 6, size=150))]
    w_max, amplitude, tau = 6.0, 0.3 if multiplicative else 1.7, 3.7

    def run(number: type) -> Any:
        w, limit, a = number(1.0), number(w_max), number(amplitude)
        trace, last = {True: number(0.0), False: number(0.0)}, {True: 0, False: 0}
        for step, is_pre in events:
            met = trace[not is_pre] * np.exp(number(-(step - last[not is_pre]) * 1.0 / tau))
            a_now = a * ((w if is_pre else limit - w) if multiplicative else number(1.0))
            w = min(max(w - a_now * met if is_pre else w + a_now * met, number(0.0)), limit)
            trace[is_pre] = trace[is_pre] * np.exp(number(-(step - last[is_pre]) * 1.0 / tau)) + number(1.0)
            last[is_pre] = step
        return w

    n = len(events)
    apart = float(abs(np.longdouble(run(np.float64)) - run(np.longdouble)))
    assert apart <= (2 * n * n + 9 * n) * EPSILON * w_max / 2


def axes_of(report: AgreementReport) -> dict[str, Any]:
    return {axes.get_gid(): axes for axes in agreement_figure(report).axes}


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_gid(): line for line in axes.lines}


def test_the_picture_has_a_strip_and_weights_for_each_engine_compared(compared: Compare) -> None:
    report = compared("reference", OneUlpOff, OneMillionthOff, OneSpikeMore, NotInstalled)
    axes = axes_of(report)
    assert list(axes) == [f"{kind}:{name}" for name in ("OneUlpOff", "OneMillionthOff", "OneSpikeMore") for kind in ("spikes", "weights")]
    equal, more = lines(axes["spikes:OneUlpOff"]), lines(axes["spikes:OneSpikeMore"])
    assert (equal["both"].get_xdata().size, equal["only:baseline"].get_xdata().size, equal["only:engine"].get_xdata().size) == (322, 0, 0)
    assert "first" not in equal
    assert more["only:engine"].get_xdata().tolist() == [89]
    assert {more[name].get_marker() for name in ("both", "only:baseline", "only:engine")} == {"|", "v", "^"}
    assert more["first"].get_xdata() == [89, 89]
    labels = [t.get_text() for t in axes["spikes:OneUlpOff"].get_yticklabels()]
    assert labels == [p.name for p in report.program.populations]
    dots = [line.get_xdata()[0] for line in axes["weights:OneMillionthOff"].lines if line.get_gid() == "difference"]
    assert dots == pytest.approx([-6.0, ZERO, ZERO], abs=1e-6)
    bounds = [line.get_xdata()[0] for line in axes["weights:OneMillionthOff"].lines if line.get_gid() == "bound"]
    assert len(bounds) == 3
    assert bounds[0] < dots[0]
    assert [t.get_text() for t in axes["weights:OneUlpOff"].get_yticklabels()] == ["s1_cue>s1_cont", "s2_cont>s2_cue", "static"]


def test_the_picture_says_who_did_not_run(compared: Compare, tmp_path: Path) -> None:
    report = compared("reference", NotInstalled)
    texts = {t.get_gid(): t.get_text() for t in agreement_figure(report).texts}
    assert texts["row:NotInstalled"] == "NotInstalled: missing: backend 'gone' needs gone; type: pip install gone"
    assert texts["verdict"] == "Nothing to compare: only reference ran."
    draw_agreement(report, tmp_path / "agreement.png")
    assert (tmp_path / "agreement.png").read_bytes().startswith(b"\x89PNG")
    agreement_figure(compared(NotInstalled))


def test_powers_of_ten() -> None:
    assert (power(1e-3), power(0.0), power(1e-300)) == (pytest.approx(-3.0), ZERO, ZERO)
