"""The report of ``make gpu``: what the tests said, what was measured, and what is written where there is no device."""

from __future__ import annotations

import json
from pathlib import Path

import emulated
import pytest

from benchmarks import gpu, gpu_report

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.contract.test_batch" name="test_a[cupy]" time="0.5" />
<testcase classname="tests.contract.test_batch" name="test_b[cupy]" time="0.25"><failure message="assert 1 == 2&#10;more">text</failure></testcase>
<testcase classname="tests.contract.test_batch" name="test_b[brian2cuda]" time="0"><skipped message="no Brian2CUDA"/></testcase>
<testcase classname="tests.contract.test_batch" name="test_c[brian2cuda]" time="0"><skipped message="no Brian2CUDA"/></testcase>
</testsuite></testsuites>"""


def test_outcomes_are_counted() -> None:
    assert gpu_report.outcomes(JUNIT) == {
        "passed": 1,
        "failed": [{"test": "tests.contract.test_batch::test_b[cupy]", "message": ["assert 1 == 2"]}],
        "skipped": {"no Brian2CUDA": 2},
        "seconds": 0.75,
    }


def test_the_report_names_failures_skips_and_what_was_not_met(tmp_path: Path) -> None:
    figures = [
        gpu.Found("updates", "rank 1", 0.01, 0.009, 0.012, 4000.0, "GB/s", 0.9, 0.85),
        gpu.Found("updates", "rank 8", 0.02, 0.02, 0.02, 2000.0, "GB/s", 0.5, 0.85),
        gpu.Found("copy", "copy", 0.02, 0.02, 0.02, 4300.0, "GB/s"),
    ]
    report = {
        "date": "2026-01-02", "device": "A GPU (80 GB)", "versions": {"cupy": "14.2.0"}, "size": "full", "tests": gpu_report.outcomes(JUNIT) | {"status": 1},
        "benchmarks_status": 3, "figures": [vars(f) | {"met": f.met} for f in figures],
    }  # fmt: skip
    path = gpu_report.write_report(report, tmp_path / "results")
    assert path == tmp_path / "results" / "gpu-2026-01-02-a-gpu-80-gb.md"
    assert json.loads(path.with_suffix(".json").read_text()) == report
    assert (
        path.read_text()
        == """# A GPU (80 GB), 2026-01-02

cupy 14.2.0

## Tests

1 passed, 1 failed, 2 skipped, 1 s

- FAILED tests.contract.test_batch::test_b[cupy]: assert 1 == 2
- skipped 2: no Brian2CUDA

## Benchmarks

| work | ms, median (lowest .. highest) | rate | of the bound | asked |
|---|---|---|---|---|
| rank 1 | 10 (9 .. 12) | 4000 GB/s | 0.9 | 0.85: met |
| rank 8 | 20 (20 .. 20) | 2000 GB/s | 0.5 | 0.85: NOT MET |
| copy | 20 (20 .. 20) | 4300 GB/s |  |  |

The benchmarks broke off with status 3.
"""
    )


@pytest.mark.skipif(emulated.has_gpu(), reason="a GPU is there")
def test_without_a_device_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    assert gpu_report.main(["--out", str(tmp_path / "results")]) == 1
    assert capsys.readouterr().err.startswith("error: backend 'cupy' cannot run here: ")
    assert not (tmp_path / "results").exists()


def test_every_benchmark_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """At sizes that prove nothing but that it runs; spiking networks are left out, for they need C++ to be compiled."""
    emulated.install()
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    figures = list(gpu.everything(gpu.SIZES["tiny"], []))
    assert {f.section for f in figures} == {"copy", "updates", "eight_bits", "willshaw", "search", "hopfield"}
    assert all(f.rate > 0 and f.low <= f.seconds <= f.high for f in figures)
    asked = [f for f in figures if f.asked is not None]
    assert len(asked) == 6
    assert all(f.fraction is not None and f.text().count("asked") == 1 for f in asked)
