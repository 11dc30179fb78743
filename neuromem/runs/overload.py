"""What theory expects of a memory that holds so many random patterns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns
from neuromem.spec.hebbian import BayesianHebbian, ClippedHebbian, Covariance, Hebbian, PseudoInverse, Storkey
from neuromem.spec.outer_product import OuterProductRule
from neuromem.spec.units import KWinners, Polynomial, Sign, SoftWTA
from neuromem.theory import dense, hopfield, hypercolumns, willshaw

EXACT = 0.9
"""A memory is overloaded when theory expects fewer of its patterns than this to be recalled exactly."""


@dataclass(frozen=True)
class Expectation:
    """What to expect with M patterns stored: whether that is too many, and the errors in words; ``source`` is the theory's."""

    overloaded: Callable[[int], bool]
    errors: Callable[[int], str]
    source: str

    def warning(self, n_stored: int) -> str | None:
        """Return the warning of a memory that holds ``n_stored`` patterns, or None where that is not too many."""
        if not self.overloaded(n_stored):
            return None
        return f"{n_stored} patterns are stored, more than it can recall: of random patterns, theory expects {self.errors(n_stored)} ({self.source})."


def expectation(program: MatrixProgram, pre: Patterns | np.ndarray, post: Patterns | np.ndarray) -> Expectation | None:
    """Return what theory expects of random patterns with as many active units as ``pre`` and ``post``, or None where none is known."""
    rule, cell, n = program.rule, program.post.cell, program.post.size
    if isinstance(rule, OuterProductRule):
        if rule.order_matters:
            return None
        d = program.pre.size
        return Expectation(
            lambda m: m - 1 >= d, lambda m: f"a squared error of {(m - 1) / d:.3g} of the values' squares", "doi:10.1109/TC.1972.5008975"
        )
    if isinstance(rule, PseudoInverse):
        return Expectation(lambda m: m >= n, lambda m: "every state to be recalled as it is", "doi:10.1051/jphyslet:01985004608035900")
    if isinstance(rule, Storkey):
        room = hopfield.storkey_capacity(n)
        return Expectation(lambda m: m > room, lambda m: f"errors in most of them above {room:.0f}", "doi:10.1007/BFb0020196")
    if isinstance(rule, Hebbian) and isinstance(cell, Sign):
        coupled = program.auto_associative and program.wiring == "all"
        return _of_bit_errors(
            lambda m: hopfield.hebb_bit_error(program.pre.size, m, self_coupling=coupled), n, "doi:10.1016/0003-4916(87)90092-3"
        )
    if isinstance(program.hidden, Polynomial):
        power = program.hidden.power
        return _of_bit_errors(lambda m: dense.bit_error(n, power, m), n, "arXiv:1606.01164")
    if isinstance(cell, KWinners | SoftWTA) and cell.groups > 1:
        return _of_hypercolumns(program)
    if isinstance(rule, Covariance) and isinstance(cell, KWinners) and 2 * cell.k < n:
        room = hopfield.covariance_load(cell.k / n) * n
        return Expectation(lambda m: m > room, lambda m: f"errors in most of them above {room:.0f}", "doi:10.1209/0295-5075/6/2/002")
    if isinstance(rule, ClippedHebbian) and isinstance(pre, Patterns) and isinstance(post, Patterns):
        return _of_bits(program, pre, post)
    return None


def _of_bit_errors(p: Callable[[int], float], n: int, source: str) -> Expectation:
    def exact(m: int) -> float:
        return float(np.exp(n * np.log1p(-p(m))))

    return Expectation(
        lambda m: exact(m) < EXACT,
        lambda m: f"{p(m):.2g} of their units to be wrong and {exact(m):.0%} of them to be recalled exactly",
        source,
    )


def _of_hypercolumns(program: MatrixProgram) -> Expectation | None:
    names: dict[type, hypercolumns.Rule] = {Hebbian: "hebb", Covariance: "covariance", ClippedHebbian: "willshaw", BayesianHebbian: "bcpnn"}
    name, h = names.get(type(program.rule)), program.groups
    if name is None or program.storage == "matrix" or program.wiring != "other groups":
        return None

    u = program.post.size // h
    prior = program.rule.prior if isinstance(program.rule, BayesianHebbian) else 1.0

    @functools.cache
    def exact(m: int) -> float:
        if m < 2:  # the theory is of two and more
            return 1.0
        tried = u * u  # the theory takes long for many patterns: fewer that are too many already will do
        while tried < m:
            fraction = hypercolumns.fixed_point(name, h, u, tried, prior=prior)
            if fraction < EXACT / 2:
                return fraction
            tried *= 2
        return hypercolumns.fixed_point(name, h, u, m, prior=prior)

    return Expectation(
        lambda m: exact(m) < EXACT, lambda m: f"at most {exact(m):.0%} of them to be recalled exactly", "neuromem.theory.hypercolumns"
    )


def _of_bits(program: MatrixProgram, pre: Patterns, post: Patterns) -> Expectation | None:
    n_pre, n_post = program.pre.size, program.post.size
    k_pre, k_post = (max(1, round(float(np.diff(p.rows.start).mean()))) for p in (pre, post))
    if k_pre >= n_pre or k_post >= n_post:  # one pattern sets all: there is nothing to tell apart
        return None
    onto = None if program.recurrent and not program.lag else (n_post, k_post)

    def exact(m: int) -> float:
        return willshaw.exact_probability(m, n_pre, k_pre, k_pre, post=onto)

    def errors(m: int) -> str:
        false = willshaw.expected_false(m, n_pre, k_pre, k_pre, post=onto)
        return f"{false:.2g} wrong units in an answer and {exact(m):.0%} of them to be recalled exactly"

    return Expectation(lambda m: exact(m) < EXACT, errors, "doi:10.1137/070700012")
