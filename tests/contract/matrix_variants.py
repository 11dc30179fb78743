"""Memories without spikes in all their variants, and patterns that each can hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import neuromem
from neuromem import cues
from neuromem.ir.matrix_program import MatrixProgram, UnitTable
from neuromem.models import bcpnn, dense, hetero, hopfield, sequence, willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.spec import (
    AllToAllConnector,
    ClippedHebbian,
    Covariance,
    Hebbian,
    KWinners,
    MemoryModel,
    Network,
    PatternSource,
    PlasticityRule,
    Population,
    Projection,
    Role,
    Sign,
    SoftWTA,
    StaticSynapse,
    Threshold,
    Unit,
    Update,
)

Pairs = tuple[np.ndarray, ...]
"""What ``store`` takes: patterns, or cues and contents."""


def of_units(rule: PlasticityRule, post: Unit, pre: Unit | None = None, n: int = 70, self_connections: bool = True) -> MemoryModel:
    """A memory that no model makes: ``rule`` from ``pre`` to ``post``, or recurrent."""
    content = Population("content", n, post, "content")
    cue = content if pre is None else Population("cue", n, pre, "cue")
    projection = Projection(cue.name, "content", AllToAllConnector(self_connections), StaticSynapse(), plasticity=rule)
    roles = [Role("content", content[0:n], content[0:n])]
    if pre is not None:
        roles.append(Role("cue", cue[0:n], cue[0:n]))
    populations = (content,) if pre is None else (cue, content)
    return MemoryModel("made", Network(populations, (projection,)), 1.0, tuple(roles), update=Update("synchronous", 20))


@dataclass(frozen=True)
class Variant:
    """One memory, with a name for reports."""

    name: str
    make: Callable[[], MemoryModel]

    def program(self) -> MatrixProgram:
        return neuromem.lower(self.make())

    def session(self, backend: str, seed: int = 0) -> MatrixSession:
        session = neuromem.build(self.make(), backend, seed=seed)
        assert isinstance(session, MatrixSession)
        return session

    def __str__(self) -> str:
        return self.name


def _variants() -> list[Variant]:
    found: list[Variant] = []

    def add(name: str, model: Callable[..., MemoryModel], **settings: object) -> None:
        found.append(Variant(" ".join([name, *(f"{k}={v}" for k, v in settings.items())]), lambda: model(**settings)))

    for rule, update, own in itertools.product(("hebb", "storkey", "pseudo_inverse"), ("synchronous", "asynchronous"), (False, True)):
        if rule != "storkey" or not own:
            add("hopfield", hopfield, n=43 if rule == "storkey" else 70, rule=rule, update=update, self_coupling=own)
    for rule, own in itertools.product(("hebb", "covariance"), (False, True)):
        add("hopfield", hopfield, n=70, rule=rule, activity=0.1, self_coupling=own)
        add("hopfield", hopfield, n=72, rule=rule, hypercolumns=9, self_coupling=own)
    add("hopfield", hopfield, n=70, rule="covariance", activity=0.5)
    for recall, iterative in (("winners", True), ("winners", False), ("threshold", True)):
        add("willshaw", willshaw, n=70, k=5, recall=recall, iterative=iterative)
    add("willshaw", willshaw, n=72, hypercolumns=9)
    for recall in ("winners", "threshold"):
        add("willshaw", willshaw, n=70, k=5, n_content=130, k_content=4, recall=recall)
    for tau, competition in itertools.product((None, 10.0), ("soft", "hard")):
        add("bcpnn", bcpnn, n=72, hypercolumns=9, tau=tau, competition=competition)
    for power, rectified in ((2, False), (3, False), (3, True), (4, False)):
        add("dense", dense, n=70, power=power, rectified=rectified)
    for units, interaction in (("bipolar", "exponential"), ("bipolar", "softmax"), ("real", "softmax")):
        add("dense", dense, n=70, interaction=interaction, units=units)
    add("hetero", hetero, n=70, n_content=33, units="bipolar")
    for loss, retention, step in itertools.product(
        ("dot", "squared", "huber", "power", "variance"), ("keep", "decay", "oja"), ("plain", "momentum", "orthogonal")
    ):
        add("hetero", hetero, n=8, n_content=5, loss=loss, retention=retention, step=step, rate=0.5, gamma=0.5, momentum=0.25, delta=0.5)
    add("hetero", hetero, n=8, n_content=5, w_min=-1.0, w_max=0.5)
    add("sequence", sequence, n=70, k=4)
    add("sequence", sequence, n=70, rule="hebb")
    source = PatternSource("binary")
    add("clipped", of_units, rule=ClippedHebbian(), post=Threshold(3.0))
    add("clipped", of_units, rule=ClippedHebbian(), post=KWinners(5, ties="first"), self_connections=False)
    add("clipped", of_units, rule=ClippedHebbian(), post=KWinners(10, 5), pre=source)
    add("clipped", of_units, rule=ClippedHebbian(lag=1), post=KWinners(5), self_connections=False)
    add("hebbian", of_units, rule=Hebbian(), post=KWinners(5), pre=source)
    add("hebbian", of_units, rule=Hebbian(lag=1), post=Sign(), self_connections=False)
    add("covariance", of_units, rule=Covariance(0.1), post=KWinners(10, 5), pre=source)
    return found


VARIANTS = _variants()


def batch(units: UnitTable, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``m`` patterns that ``units`` can hold; real ones in eighths, so that small sums of products are exact in float32."""
    cell, n = units.cell, units.size
    if cell.alphabet == "real":
        return (rng.integers(-8, 9, (m, n)) / 8).astype(np.float32)
    if cell.alphabet == "bipolar":
        return np.where(cues.random_bits(m, n, rng), np.int8(1), np.int8(-1))
    groups = cell.groups if isinstance(cell, KWinners | SoftWTA) else 1
    each = cell.k // groups if isinstance(cell, KWinners) else 1 if isinstance(cell, SoftWTA) else 5
    bits = np.zeros((m * groups, n // groups), np.bool_)
    np.put_along_axis(bits, cues.random_active(m * groups, n // groups, each, rng), True, axis=1)
    return bits.reshape(m, n)


def pairs(program: MatrixProgram, m: int, seed: int = 0) -> Pairs:
    """Return ``m`` different patterns, or ``m`` cues and their contents."""
    rng = np.random.default_rng(seed)
    return tuple(batch(units, m, rng) for units in ((program.post,) if program.recurrent else (program.pre, program.post)))


def noisy(program: MatrixProgram, patterns: np.ndarray, seed: int = 1) -> np.ndarray:
    """Return cues with errors of the kind that the units allow."""
    rng, units = np.random.default_rng(seed), program.pre
    if units.cell.alphabet == "real":
        return (patterns + rng.integers(-1, 2, patterns.shape) / 8).astype(np.float32)
    if units.cell.alphabet == "bipolar":
        return np.where(cues.flip(patterns > 0, 7, rng), np.int8(1), np.int8(-1))
    groups = getattr(units.cell, "groups", 1)
    if groups > 1 and getattr(units.cell, "k", groups) == groups:
        return cues.move_winners(patterns, groups, 1, rng)
    return cues.add(cues.delete(patterns, 1, rng), 1, rng)
