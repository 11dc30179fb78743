"""Do engines agree on a memory without spikes? One trial on each of them: answers, steps and weights compared.

Answers of binary and bipolar units, steps and convergence are asked to be equal; so are weights that are made of integers.
Float32 weights and real-valued answers are asked to be equal within bounds that follow from rounding (``weight_bounds``,
``answer_bounds``), where one is known; where none is, real-valued answers are asked to be nearest to the same patterns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from neuromem.analysis.agreement import engine_label, one_line
from neuromem.backends import load_backend
from neuromem.errors import BackendMissingError, SpecError, UnsupportedError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.runs.trial import TrialResult, nearest, run_trial
from neuromem.spec.hebbian import BayesianHebbian, OneUnitPerPattern, Storkey
from neuromem.spec.memory import MemoryModel
from neuromem.spec.outer_product import OuterProductRule
from neuromem.spec.trial import Trial
from neuromem.spec.units import Softmax

UNIT = 2.0**-24  # half the distance from 1 to the next float32: the relative error of one rounding


@dataclass(frozen=True)
class Apart:
    """The largest difference of two engines' numbers, and the most that rounding explains there: 0 for exact ones, None if unknown."""

    difference: float
    bound: float | None

    @property
    def within(self) -> bool:
        """Whether no number differs by more than it may."""
        return self.bound is None or self.difference <= self.bound

    def __str__(self) -> str:
        if self.difference == 0.0:
            return "equal"
        if self.bound is None:
            return f"up to {self.difference:.2g} apart (no bound known)"
        return f"{'within' if self.within else 'BEYOND: apart'} {self.difference:.2g} (bound {self.bound:.2g})"


@dataclass(frozen=True, eq=False)
class TrialRow:
    """What one engine came to; ``answers`` and ``steps`` count the cues that differ from the baseline, None where nothing was compared."""

    engine: str
    status: Literal["baseline", "compared", "missing", "unsupported"]
    reason: str = ""
    seconds: float = 0.0
    result: TrialResult | None = None
    answers: int | None = None
    values: Apart | None = None
    steps: int | None = None
    weights: Apart | None = None

    @property
    def ran(self) -> bool:
        """Whether the engine ran the trial."""
        return self.result is not None

    @property
    def agrees(self) -> bool:
        """Whether the engine ran, and nothing differs by more than it may."""
        numbers = all(apart is None or apart.within for apart in (self.values, self.weights))
        return self.ran and not self.answers and not self.steps and numbers


@dataclass(frozen=True, eq=False)
class TrialReport:
    """One trial on several engines; rows in the order in which the engines were given."""

    memory: str
    trial: Trial
    seed: int
    rows: tuple[TrialRow, ...]

    @property
    def compared(self) -> tuple[TrialRow, ...]:
        """The engines that ran, without the baseline."""
        return tuple(row for row in self.rows if row.status == "compared")

    @property
    def agree(self) -> bool:
        """Whether at least two engines ran, and none of them differs."""
        return bool(self.compared) and all(row.agrees for row in self.compared)

    @property
    def complete(self) -> bool:
        """Whether every engine that was asked for ran."""
        return all(row.ran for row in self.rows)

    def verdict(self) -> str:
        """Return one sentence: who agrees with whom."""
        base = next((row for row in self.rows if row.status == "baseline"), None)
        if base is None or base.result is None:
            return "No engine ran."
        if not self.compared:
            return f"Nothing to compare: only {base.engine} ran."
        differing = [row.engine for row in self.compared if not row.agrees]
        ran = f"{len(self.compared) + 1} of {len(self.rows)} engines ran"
        if differing:
            return f"DIFFERENT from {base.engine}: {', '.join(differing)}{'' if self.complete else f' ({ran})'}."
        who = f"{len(self.rows)} engines agree" if self.complete else f"{ran}, and agree"
        return f"{who} on {base.result.exact.size} answers and on all weights."

    def table(self) -> str:
        """Return the report as plain text with aligned columns."""
        head = ["engine", "answers", "steps", "weights", "run s"]
        body = [[row.engine, _answers(row), _steps(row), _weights(row), f"{row.seconds:.3f}" if row.ran else "-"] for row in self.rows]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        digest = next((row.result.session.program.digest[:12] for row in self.rows if row.result is not None), "-")
        lines = [f"{self.memory}, {self.trial.name} of {self.trial.n_patterns} patterns, seed {self.seed}, program {digest}", ""]
        for line in [head, *body]:
            cells = [cell.rjust(w) if i > 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        notes = [f"{row.engine}: {row.status}: {row.reason}" for row in self.rows if not row.ran]
        return "\n".join([*lines, *([""] if notes else []), *notes, "", self.verdict()]) + "\n"


def _answers(row: TrialRow) -> str:
    if row.result is None:
        return "not run"
    n = row.result.exact.size
    if row.status == "baseline":
        return f"{n} (baseline)"
    if row.values is None:
        return f"{row.answers} of {n} DIFFER" if row.answers else "equal"
    return f"{row.values}{f'; {row.answers} of {n} NEAREST TO OTHERS' if row.answers else ''}"


def _steps(row: TrialRow) -> str:
    if row.result is None or row.status == "baseline":
        return "-" if row.result is None else f"{int(row.result.recalled.steps.sum())} (baseline)"
    return f"{row.steps} of {row.result.exact.size} DIFFER" if row.steps else "equal"


def _weights(row: TrialRow) -> str:
    if row.result is None or row.status == "baseline":
        return "-"
    return "not written down" if row.weights is None else str(row.weights)


def compare_trials(memory: MemoryModel, trial: Trial, engines: Sequence[tuple[str, Mapping[str, Any]]], seed: int = 0) -> TrialReport:
    """Run ``trial`` on every engine, (backend name, options), and compare each with the baseline.

    The baseline is ``reference`` if it is among the engines, else the first one that ran. An engine that is not installed, or that
    runs spikes only, gives a row that says why. Raises ``SpecError`` for a name or option that no backend knows, and what ``run_trial`` does.
    """
    if not engines:
        raise SpecError("compare: no engines; expected at least one (backend name, options), such as ('cpu', {}).")
    rows = [run_on(memory, trial, name, options, seed) for name, options in engines]
    ran = [i for i, row in enumerate(rows) if row.ran]
    base = next((i for i in ran if engines[i][0] == "reference"), ran[0] if ran else None)
    if base is not None:
        rows = [replace(row, status="baseline") if i == base else compared(rows[base], row) for i, row in enumerate(rows)]
    return TrialReport(memory.name, trial, seed, tuple(rows))


def run_on(memory: MemoryModel, trial: Trial, name: str, options: Mapping[str, Any], seed: int) -> TrialRow:
    """Run the trial on one engine, or return the row that says why it did not run."""
    label = engine_label(name, options)
    try:
        backend = load_backend(name, **options)
        backend.support.require("matrix", backend.name)
    except BackendMissingError as error:
        return TrialRow(label, "missing", one_line(error))
    except UnsupportedError as error:
        return TrialRow(label, "unsupported", one_line(error))
    began = time.perf_counter()
    result = run_trial(memory, trial, backend, seed)
    return TrialRow(label, "compared", seconds=time.perf_counter() - began, result=result)


def compared(base: TrialRow, row: TrialRow) -> TrialRow:
    """Return ``row`` with what distinguishes it from the baseline."""
    if base.result is None or row.result is None:
        return row
    a, b = base.result, row.result
    steps = (a.recalled.steps != b.recalled.steps) | (a.recalled.converged != b.recalled.converged)
    mine, other = a.recalled.state, b.recalled.state
    values: Apart | None = None
    if isinstance(mine, Patterns) and isinstance(other, Patterns):
        different = (mine.words != other.words).any(axis=1)
    else:
        different = nearest(mine, a.patterns) != nearest(other, a.patterns)
        values = _apart(np.asarray(mine), np.asarray(other), answer_bounds(a))
    try:
        weights = _apart(a.session.weights(), b.session.weights(), weight_bounds(a))
    except UnsupportedError:  # a table that is too large to write down
        weights = None
    return replace(row, answers=int(different.sum()), values=values, steps=int(steps.sum()), weights=weights)


def _apart(a: np.ndarray, b: np.ndarray, bounds: np.ndarray | float | None) -> Apart:
    """Return where two arrays differ most; one number beyond its bound goes before all that are within theirs."""
    apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    if apart.size == 0:
        return Apart(0.0, 0.0)
    if bounds is None:
        return Apart(float(apart.max()), None)
    limits = np.broadcast_to(bounds, apart.shape)
    beyond = ~(apart <= limits)  # so that a NaN is beyond
    worst = np.argmax(np.where(beyond, apart, -1.0) if beyond.any() else apart)
    return Apart(float(apart.flat[worst]), float(limits.flat[worst]))


def gamma(m: float) -> float:
    """Return ``m u / (1 - m u)``: the relative error of a float32 number after m roundings (Higham, doi:10.1137/1.9780898718027, 3.1)."""
    return m * UNIT / (1.0 - m * UNIT) if m * UNIT < 0.5 else float("inf")


def weight_bounds(result: TrialResult) -> np.ndarray | float | None:
    """Return by how much two engines may differ in each weight, (n_pre, n_post) or one number for all; None where no bound is known.

    - Weights made of integers or bits, stored patterns, and the pseudo-inverse (one computation for all engines): 0.
    - Storkey: M times, sums of float64 are rounded to float32. With P = x x^T / n a pattern maps W to (1 + 2/n) W - P W - W P + P, without
      its diagonal, which lengthens a difference of two matrices (Frobenius) by at most 1 + 2/n = g; the m-th matrix is at most m g^m
      long, and its rounding at most u of that in each engine: 2 u M (M + 1) / 2 g^M in all. What float64 rounds, n 2^-52 of as much, comes on top.
    - Bayesian counts: the logarithms of equal numbers, each within one unit in the last place, 2 u |w|, of NumPy's or of a device's library.
    - Bayesian traces: engines have the same traces, and each weight within (|w| + 7) u (1 + 1e-6) of their logarithm.
    - A sum of M outer products: each of M products is rounded in two multiplications and at most M + 1 additions.
    - Other composed rules feed what they read back into what they write: no bound is known.
    """
    program, rule = result.session.program, result.session.program.rule
    if isinstance(rule, Storkey):
        m, growth = result.session.n_stored, (1.0 + 2.0 / program.pre.size) ** result.session.n_stored
        return float((UNIT + program.pre.size * 2.0**-52) * m * (m + 1) * growth)
    if isinstance(rule, BayesianHebbian) and rule.tau is None:
        return np.asarray(4.0 * np.abs(result.session.weights()) * UNIT)
    if isinstance(rule, BayesianHebbian):
        return np.asarray(2.0 * (np.abs(result.session.weights()) + 7.0) * UNIT * (1.0 + 1e-6))
    if isinstance(rule, OuterProductRule):
        if rule.order_matters:
            return None
        keys, values = np.abs(np.asarray(result.keys, np.float64)), np.abs(np.asarray(result.patterns, np.float64))
        return np.asarray(2.0 * gamma(len(keys) + 3) * rule.step.rate * (keys.T @ values))
    return 0.0


def answer_bounds(result: TrialResult) -> np.ndarray | float | None:
    """Return by how much two engines may differ in each number of a real-valued answer; None where no bound is known.

    - Key -> value: the weights' bounds times the key, and each engine's rounding of n products and sums.
    - Softmax read: the compiled read moves by at most 1e-7 of the largest number of a pattern, and both are rounded to float32. An error of
      the state grows in a step by at most beta R^2, R the length of the longest pattern, for the read's derivative is beta times the
      covariance of patterns; and no two reads are further apart than 2 R, for each is a mean of patterns.
    """
    program: MatrixProgram = result.session.program
    if isinstance(program.rule, OuterProductRule):
        bounds = weight_bounds(result)
        if bounds is None:
            return None
        cues = np.abs(np.asarray(result.cues, np.float64))
        return np.asarray(cues @ bounds + 2.0 * gamma(program.pre.size + 1) * (cues @ np.abs(result.session.weights())))
    assert isinstance(program.rule, OneUnitPerPattern)
    assert isinstance(program.rule.hidden, Softmax)
    patterns = np.asarray(result.patterns, np.float64)
    longest = float(np.linalg.norm(patterns, axis=1).max())
    once = np.sqrt(program.post.size) * (1e-7 + 2.0 * UNIT) * np.abs(patterns).max()
    slope, steps = program.rule.hidden.beta * longest**2, result.recalled.steps
    error = np.zeros(steps.size)
    for step in range(int(steps.max())):
        error = np.where(step < steps, np.minimum(2.0 * longest, slope * error + once), error)
    return np.asarray(error[:, None])
