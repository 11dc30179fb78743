"""Do engines agree? One Program on each of them, compared spike for spike and weight for weight.

Spikes are asked to be equal: the same (replica, step, unit) events. Weights are asked to be
equal to ``weight_bounds``, which follows from the rounding of doubles; static weights exactly.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuromem.backends import Backend, load_backend
from neuromem.errors import BackendMissingError, SpecError, UnsupportedError
from neuromem.ir.operations import lower_memory
from neuromem.ir.program import Program, ProjectionTable
from neuromem.ir.recording import Recording
from neuromem.spec.memory import MemoryModel
from neuromem.spec.network import Probe
from neuromem.spec.protocol import Protocol

EPSILON = 2.0**-52


@dataclass(frozen=True)
class Difference:
    """A spike that only one side has; ``unit`` counts within ``population``, ``only_in`` is the label of the side."""

    replica: int
    step: int
    population: str
    unit: int
    only_in: str

    def __str__(self) -> str:
        return f"step {self.step}: {self.population} {self.unit} only in {self.only_in}"


@dataclass(frozen=True)
class WeightDifference:
    """The synapse of a projection where two engines differ most, and by how much they may there (nA).

    A synapse beyond its bound goes before those within theirs. ``pre`` and ``post`` count
    within their populations.
    """

    projection: str
    pre: int
    post: int
    difference: float
    bound: float

    @property
    def within(self) -> bool:
        """Whether no synapse of the projection differs by more than its bound."""
        return self.difference <= self.bound


@dataclass(frozen=True, eq=False)
class EngineRow:
    """What one engine came to.

    ``missing`` and ``unsupported`` engines did not run, for the ``reason`` given. Otherwise
    ``first_difference`` (None: equal spikes) and ``weights`` compare it with the baseline;
    both are empty for the baseline itself. ``build_seconds`` holds loading and building.
    """

    engine: str
    status: Literal["baseline", "compared", "missing", "unsupported"]
    reason: str = ""
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    recording: Recording | None = None
    first_difference: Difference | None = None
    weights: tuple[WeightDifference, ...] = field(default=())

    @property
    def ran(self) -> bool:
        """Whether the engine ran the program."""
        return self.recording is not None

    @property
    def spikes_equal(self) -> bool:
        """Whether the engine ran and has the spikes of the baseline."""
        return self.ran and self.first_difference is None

    @property
    def agrees(self) -> bool:
        """Whether the engine ran, has the spikes of the baseline, and its weights within their bounds."""
        return self.spikes_equal and all(w.within for w in self.weights)

    @property
    def worst_weight(self) -> WeightDifference | None:
        """The largest difference of all projections, one beyond its bound first."""
        return max(self.weights, key=lambda w: (not w.within, w.difference), default=None)


@dataclass(frozen=True, eq=False)
class AgreementReport:
    """One program on several engines; rows in the order in which the engines were given."""

    memory: str
    protocol: str
    program: Program
    rows: tuple[EngineRow, ...]

    @property
    def baseline(self) -> EngineRow | None:
        """The engine that the others are compared with; None when none ran."""
        return next((row for row in self.rows if row.status == "baseline"), None)

    @property
    def compared(self) -> tuple[EngineRow, ...]:
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
        """Return one sentence: how many engines ran, if not all did, and who agrees with whom on how much."""
        if self.baseline is None or self.baseline.recording is None:
            return "No engine ran."
        n_spikes = self.baseline.recording.step.size
        if not self.compared:
            return f"Nothing to compare: only {self.baseline.engine} ran."
        differing = [row.engine for row in self.compared if not row.agrees]
        n_ran = len(self.compared) + 1
        ran = "" if self.complete else f"{n_ran} of {len(self.rows)} engines ran"
        if differing:
            return f"DIFFERENT from {self.baseline.engine}: {', '.join(differing)}{ran and f' ({ran})'}."
        return f"{f'{ran}, and agree' if ran else f'{n_ran} engines agree'} on {n_spikes} spikes and on all weights."

    def table(self) -> str:
        """Return the report as plain text with aligned columns."""
        head = ["engine", "spikes", "weights", "build s", "run s"]
        body = [[row.engine, spikes_text(row), weights_text(row), *times_text(row)] for row in self.rows]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        lines = [
            f"{self.memory}, protocol {self.protocol}: {self.program.n_steps} steps, seed {self.program.seeds[0]}, program {self.program.digest[:12]}",
            "",
        ]
        for line in [head, *body]:
            cells = [cell.rjust(w) if i > 2 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        notes = [f"{row.engine}: {row.status}: {row.reason}" for row in self.rows if not row.ran]
        return "\n".join([*lines, *([""] if notes else []), *notes, "", self.verdict()]) + "\n"


def spikes_text(row: EngineRow) -> str:
    """Return what the report says of an engine's spikes."""
    if row.recording is None:
        return "not run"
    if row.status == "baseline":
        return f"{row.recording.step.size} (baseline)"
    return "equal" if row.first_difference is None else f"differ from {row.first_difference}"


def weights_text(row: EngineRow) -> str:
    """Return what the report says of an engine's weights."""
    worst = row.worst_weight
    if worst is None:
        return "-"
    if worst.difference == 0.0:
        return "equal"
    if not row.spikes_equal:
        return f"up to {worst.difference:.2g} nA apart"
    if worst.within:
        return f"within {worst.difference:.2g} nA (bound {worst.bound:.2g})"
    return f"{worst.difference:.2g} nA apart (bound {worst.bound:.2g}): {worst.projection} {worst.pre} to {worst.post}"


def times_text(row: EngineRow) -> tuple[str, str]:
    """Return the two times of an engine."""
    return (f"{row.build_seconds:.3f}", f"{row.run_seconds:.3f}") if row.ran else ("-", "-")


def engine_label(name: str, options: Mapping[str, Any]) -> str:
    """Return ``brian2 (codegen=cython)``."""
    return f"{name} ({', '.join(f'{key}={value}' for key, value in sorted(options.items()))})" if options else name


def compare(memory: MemoryModel, protocol: Protocol, engines: Sequence[tuple[str, Mapping[str, Any]]], seed: int = 0) -> AgreementReport:
    """Run ``protocol`` on every engine, (backend name, options), and compare each with the baseline.

    All run the same Program, in which the spikes of every population are recorded. The baseline
    is ``reference`` if it is among the engines, else the first one that ran. An engine that is
    not installed, or that does not support the program, gives a row that says why. Raises
    ``SpecError`` for a name or option that no backend knows, before anything runs.
    """
    if not engines:
        raise SpecError("compare: no engines; expected at least one (backend name, options), such as ('cpu', {}).")
    network = memory.network
    recorded = {p.population for p in network.probes if p.variable == "spikes"}
    probes = tuple(Probe(p.name) for p in network.populations if p.name not in recorded)
    program = lower_memory(replace(memory, network=replace(network, probes=network.probes + probes)), protocol, seed)
    loaded = [load_engine(name, options) for name, options in engines]
    rows = [row if backend is None else run_engine(row, backend, program) for row, backend in loaded]
    names = [name for name, _ in engines]
    ran = [i for i, row in enumerate(rows) if row.ran]
    base = next((i for i in ran if names[i] == "reference"), ran[0] if ran else None)
    if base is not None:
        rows = [replace(row, status="baseline") if i == base else compared(rows[base], row) for i, row in enumerate(rows)]
    return AgreementReport(memory.name, protocol.name, program, tuple(rows))


def draw_agreement(report: AgreementReport, path: Path | str) -> None:
    """Draw ``report`` and write it to ``path`` (.png, .svg or .pdf), replacing what is there.

    Raises ``FileError`` for another ending and ``StoreError`` when ``path`` cannot be written.
    """
    from neuromem.analysis.agreement_picture import agreement_figure  # that module reads the report's types
    from neuromem.analysis.picture import save_figure

    save_figure(agreement_figure(report), path)


def load_engine(name: str, options: Mapping[str, Any]) -> tuple[EngineRow, Backend | None]:
    """Load a backend, or return the row that says why it is missing."""
    label, began = engine_label(name, options), time.perf_counter()
    try:
        backend = load_backend(name, **options)
    except BackendMissingError as error:
        return EngineRow(label, "missing", one_line(error)), None
    return EngineRow(label, "compared", build_seconds=time.perf_counter() - began), backend


def run_engine(row: EngineRow, backend: Backend, program: Program) -> EngineRow:
    """Build and run the program on one engine."""
    began = time.perf_counter()
    try:
        simulation = backend.build(program)
        built = time.perf_counter()
        recording = simulation.run()
    except UnsupportedError as error:
        return replace(row, status="unsupported", reason=one_line(error))
    except BackendMissingError as error:
        return replace(row, status="missing", reason=one_line(error))
    return replace(row, recording=recording, build_seconds=row.build_seconds + built - began, run_seconds=time.perf_counter() - built)


def one_line(error: Exception) -> str:
    """Return the text of an error on one line."""
    return " ".join(str(error).split())


def compared(base: EngineRow, row: EngineRow) -> EngineRow:
    """Return ``row`` with what distinguishes it from the baseline."""
    if base.recording is None or row.recording is None:
        return row
    difference = first_difference(base.recording, row.recording, base.engine, row.engine)
    return replace(row, first_difference=difference, weights=weight_differences(base.recording, row.recording))


def first_difference(a: Recording, b: Recording, name_a: str, name_b: str) -> Difference | None:
    """Return the first spike, by (replica, step, unit), that only one of two recordings has; None when they are equal."""
    keys_a, keys_b = (np.stack([r.replica, r.step, r.unit], axis=1) for r in (a, b))
    n = min(len(keys_a), len(keys_b))
    unequal = np.flatnonzero(np.any(keys_a[:n] != keys_b[:n], axis=1))
    at = int(unequal[0]) if unequal.size else n
    found = [(tuple(keys[at].tolist()), name) for keys, name in ((keys_a, name_a), (keys_b, name_b)) if at < len(keys)]
    if not found:
        return None
    (replica, step, unit), name = min(found)
    table = next(p for p in a.program.populations if p.first <= unit < p.first + p.size)
    return Difference(replica, step, table.name, unit - table.first, name)


def weight_bounds(table: ProjectionTable, recording: Recording) -> np.ndarray:
    """Return by how much two engines with the same spikes may differ in each final weight, shape (B, n_synapses), in nA.

    For a synapse whose two cells spiked n times together, the bound is ``(2 n^2 + 9 n) eps w_max``
    with ``eps = 2^-52``; it is 0 where n = 0, and for static synapses. Derivation, to first order
    in the unit roundoff ``u = eps / 2`` of a double, each engine being compared with exact
    arithmetic on the equations of ``neuromem.spec.plasticity``:

    - At each of its spikes a trace is multiplied by a decay, ``exp`` of the same argument on all
      engines (within an ulp, 2u, and 1u for the product), and 1 is added (1u). All terms are
      positive, so relative errors add up to at most 4u for each event: 4 k u after k of them.
    - The change of the weight at event k is amplitude x trace x decay: once more 3u for the decay,
      1u each for ``w_max - w``, its product with A, and the product with the trace: 4 k u + 6 u,
      relative. A change of more than ``w_max - w_min`` ends at a limit, which is exact; so what
      remains after clipping is at most ``(4 k + 6) u w_max``, and adding it to the weight costs
      one more ``u w_max``.
    - An error already in the weight does not grow: clipping does not spread two values apart, and
      both weight rules, where they do not end at a limit, have a slope in w from 0 to 1.
    - At most n events change a synapse, and k <= n: the sum over k = 1..n of ``(4 k + 7) u w_max``
      is ``(2 n^2 + 9 n) u w_max`` for one engine, and twice that, eps for u, between two.

    What a trace loses by being forgotten below ``ir.program.TRACE_FLOOR`` (1e-30) is far below eps.
    """
    program = recording.program
    if table.plasticity is None:
        return np.zeros((program.batch, table.n_synapses))
    counts = np.zeros((program.batch, program.n_units), dtype=np.int64)
    np.add.at(counts, (recording.replica, recording.unit), 1)
    n = (counts[:, table.pre] + counts[:, table.post]).astype(np.float64)
    bounds: np.ndarray = (2.0 * n * n + 9.0 * n) * (EPSILON * table.plasticity.weight_dependence.w_max)
    return bounds


def weight_differences(a: Recording, b: Recording) -> tuple[WeightDifference, ...]:
    """Return, for each projection with synapses, where two recordings differ most; ``a`` gives the events for the bounds."""
    found = []
    for table in a.program.projections:
        if not table.n_synapses:
            continue
        apart = np.abs(a.weights[table.name] - b.weights[table.name])
        bounds = weight_bounds(table, a)
        beyond = ~(apart <= bounds)  # so that a NaN is beyond
        worst = int(np.argmax(np.where(beyond, apart, -1.0) if beyond.any() else apart))
        synapse = worst % table.n_synapses
        first = (a.program.population(table.pre_name).first, a.program.population(table.post_name).first)
        pre, post = int(table.pre[synapse]) - first[0], int(table.post[synapse]) - first[1]
        found.append(WeightDifference(table.name, pre, post, float(apart.flat[worst]), float(bounds.flat[worst])))
    return tuple(found)
