"""Everything on a GPU, and one report of it: ``make gpu``, or ``python -m benchmarks.gpu_report [--out FOLDER] [--size full|small|tiny]``.

Runs the tests of the engines ``cupy`` and ``brian2cuda`` (the contract suite, and the kernels), then ``benchmarks.gpu``, and writes
``gpu-<date>-<device>.json`` and ``.md``: device, versions, tests passed, failed and skipped with their reasons, times, fractions of
bandwidth. Exit status 1 where there is no device (nothing is written then), where a test fails, or where a benchmark breaks off.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuromem.backends import load_backend
from neuromem.errors import NeuromemError

HERE = Path(__file__).resolve().parent
TESTS = ("tests/contract", "tests/cuda", *(f"tests/test_kernels_{name}.py" for name in (
    "willshaw", "hamming", "hopfield", "dense", "outer", "bcpnn", "counters", "sparse_rows",
)))  # fmt: skip


def run_tests(selection: Sequence[str] = TESTS, keyword: str = "cupy or cuda") -> dict[str, Any]:
    """Run the tests of the engines on a device and return how many passed, and which failed or were skipped, and why."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tests.xml")
        command = [sys.executable, "-m", "pytest", *selection, "-k", keyword, "-q", f"--junitxml={path}"]
        done = subprocess.run(command, cwd=HERE.parent, env=os.environ | {"NEUROMEM_TESTS_ON_A_GPU": "1"}, check=False)
        if not path.exists():
            return {"status": done.returncode, "passed": 0, "failed": [], "skipped": {}, "seconds": 0.0}
        return {"status": done.returncode, **outcomes(path.read_text())}


def outcomes(junit: str) -> dict[str, Any]:
    """Return what a JUnit report of pytest says."""
    cases = list(ET.fromstring(junit).iter("testcase"))
    failed, skipped = [], Counter[str]()
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        for problem in (*case.iter("failure"), *case.iter("error")):
            failed.append({"test": name, "message": (problem.get("message") or "").splitlines()[:1]})
        for skip in case.iter("skipped"):
            skipped[skip.get("message") or "no reason is given"] += 1
    passed = len(cases) - len({f["test"] for f in failed}) - sum(skipped.values())
    return {"passed": passed, "failed": failed, "skipped": dict(skipped), "seconds": sum(float(c.get("time") or 0) for c in cases)}


def run_benchmarks(size: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the benchmarks in a process of their own; return its status and the figures, as far as it came."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        done = subprocess.run([sys.executable, "-m", "benchmarks.gpu", "--size", size, "--json", str(path)], cwd=HERE.parent, check=False)
        return done.returncode, json.loads(path.read_text()) if path.exists() else []


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return the report for people."""
    tests, lines = report["tests"], [f"# {report['device']}, {report['date']}", ""]
    lines += [", ".join(f"{name} {version}" for name, version in report["versions"].items()), "", "## Tests", ""]
    lines += [
        f"{tests['passed']} passed, {len(tests['failed'])} failed, {sum(tests['skipped'].values())} skipped, {tests['seconds']:.0f} s",
        "",
    ]
    lines += [f"- FAILED {f['test']}: {' '.join(f['message'])}" for f in tests["failed"]]
    lines += [f"- skipped {n}: {reason}" for reason, n in tests["skipped"].items()]
    lines += ["", "## Benchmarks", "", "| work | ms, median (lowest .. highest) | rate | of the bound | asked |", "|---|---|---|---|---|"]
    for f in report["figures"]:
        share = "" if f["fraction"] is None else f"{f['fraction']:.3g}"
        wanted = "" if f["asked"] is None else f"{f['asked']:g}: {'met' if f['met'] else 'NOT MET'}"
        times = f"{f['seconds'] * 1e3:.4g} ({f['low'] * 1e3:.4g} .. {f['high'] * 1e3:.4g})"
        lines.append(f"| {f['what']} | {times} | {f['rate']:.4g} {f['unit']} | {share} | {wanted} |")
    if report["benchmarks_status"]:
        lines += ["", f"The benchmarks broke off with status {report['benchmarks_status']}."]
    return "\n".join(lines) + "\n"


def write_report(report: Mapping[str, Any], folder: Path) -> Path:
    """Write both files and return the path of the one for people; a report of the same day and device is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"gpu-{report['date']}-{report['device']}").strip("-").lower()
    (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    path = folder / f"{name}.md"
    path.write_text(as_markdown(report))
    return path


def versions() -> dict[str, str]:
    """Return the versions of all that runs on the device; raise ``BackendMissingError`` where nothing does."""
    found = {"python": sys.version.split()[0], **load_backend("cupy").versions()}
    try:
        found |= load_backend("brian2cuda").versions()
    except NeuromemError as error:
        print(f"note: {error}", file=sys.stderr)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run it all; return the exit status."""
    parser = argparse.ArgumentParser(description="Tests and benchmarks on a GPU, and one report.")
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER")
    parser.add_argument("--size", choices=("full", "small", "tiny"), default="full")
    chosen = parser.parse_args(arguments)
    try:
        found = versions()
    except NeuromemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report: dict[str, Any] = {
        "date": datetime.date.today().isoformat(), "device": found.pop("device"), "versions": found, "size": chosen.size,
    }  # fmt: skip
    report["tests"] = run_tests()
    report["benchmarks_status"], report["figures"] = run_benchmarks(chosen.size)
    print(f"report: {write_report(report, chosen.out)}")
    return int(bool(report["tests"]["status"] or report["benchmarks_status"]))


if __name__ == "__main__":
    sys.exit(main())
