"""What theory says of a task: which of the formulas applies, and what is drawn beside the measured points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from neuromem.capacity.criteria import Criterion
from neuromem.capacity.task import Task
from neuromem.spec.hebbian import BayesianHebbian, ClippedHebbian, Covariance, Hebbian, PseudoInverse, Storkey
from neuromem.spec.outer_product import DotProduct, Keep, OuterProductRule, PlainStep
from neuromem.spec.units import Exponential, Linear, Polynomial, Sign
from neuromem.theory import dense, hopfield, hypercolumns, willshaw
from neuromem.theory.bracket import largest

NONE_KNOWN = "no closed form known"

LEADING_ORDER = "critical load to leading order, several times too high at such activities"


@dataclass(frozen=True)
class Curve:
    """The criterion's quantity as a function of the number of patterns."""

    name: str
    source: str
    at: Callable[[float], float]


@dataclass(frozen=True)
class Figure:
    """One number of theory: patterns, or bits per synapse."""

    name: str
    value: float
    source: str


@dataclass(frozen=True)
class Theory:
    """What is known of a task: ``capacities`` in patterns, best first, ``curves`` of the criterion's quantity, ``limits`` in bits per synapse."""

    capacities: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    limits: tuple[Figure, ...] = field(default=())

    @property
    def guess(self) -> float | None:
        """Where a search best begins; None where theory says nothing."""
        return self.capacities[0].value if self.capacities else None

    def __str__(self) -> str:
        said = [f"{c.name} {c.value:.4g} ({c.source})" for c in self.capacities]
        said += [f"curve: {c.name} ({c.source})" for c in self.curves if not self.capacities]
        return "; ".join(said) or NONE_KNOWN


def predict(task: Task, criterion: Criterion) -> Theory:
    """Return what theory says of a task, empty where no closed form is known."""
    rule, cell = task.program.rule, task.program.post.cell
    if not task.program.auto_associative:
        return _pairs(task, criterion)
    if task.program.hidden is not None:
        return _dense(task, criterion)
    if isinstance(cell, Sign):
        return _hopfield(task, criterion)
    if task.grouped:
        return _hypercolumns(task, criterion)
    if isinstance(rule, ClippedHebbian):
        return _willshaw(task, criterion)
    if isinstance(rule, Covariance):
        n, a = task.program.post.size, task.k_post / task.program.post.size
        if not 0 < a < 0.5:
            return Theory()
        load = n * hopfield.covariance_load(a)
        return Theory((Figure(LEADING_ORDER, load, "doi:10.1209/0295-5075/6/2/002"),))
    return Theory()


def _pairs(task: Task, criterion: Criterion) -> Theory:
    """Return the theory of pairs, and of the steps of a sequence: one step of recall."""
    rule, cell = task.program.rule, task.program.post.cell
    if task.program.wiring != "all" or task.grouped:
        return Theory()
    if isinstance(rule, ClippedHebbian):
        return _willshaw(task, criterion)
    if isinstance(rule, Hebbian) and isinstance(cell, Sign):
        return _signs(task, criterion)
    plain = (
        isinstance(rule, OuterProductRule) and (rule.loss, rule.retention) == (DotProduct(), Keep()) and isinstance(rule.step, PlainStep)
    )
    if plain and isinstance(cell, Linear) and math.isinf(rule.w_min) and math.isinf(rule.w_max):  # type: ignore[attr-defined]
        return _linear(task, criterion)
    return Theory()


def _signs(task: Task, criterion: Criterion) -> Theory:
    """Bipolar pairs, Hebb's rule: a field of n - 2f and M - 1 others' n random signs, P = 1/2 erfc((n - 2f) / sqrt(2 n (M - 1)))."""
    n, n_post = task.program.pre.size, task.program.post.size
    signal = n - 2 * task.flipped
    if signal <= 0:
        return Theory()

    def wrong(m: float) -> float:
        return hopfield.tail(signal / math.sqrt(n * (m - 1))) if m > 1 else 0.0

    quantities: dict[str, Callable[[float], float]] = {
        "exact": lambda m: math.exp(n_post * math.log1p(-wrong(m))),
        "overlap": lambda m: 1 - 2 * wrong(m),
        "bit_error": wrong,
    }
    return _from_curve("one step, normal field", "doi:10.1109/TC.1972.5008975", quantities[criterion.quantity], criterion)


def _linear(task: Task, criterion: Criterion) -> Theory:
    """Real pairs of length 1, plain Hebb: y = v and an error of squared length (M - 1)(1 + noise^2) / n, at right angles to v."""
    if criterion.quantity != "overlap":
        return Theory()
    n, noise = task.program.pre.size, task.errors.noise
    at = lambda m: 1 / math.sqrt(1 + max(0.0, m - 1) * (1 + noise**2) / n)  # noqa: E731
    return _from_curve("1 / sqrt(1 + (M - 1) / n)", "doi:10.1109/TC.1972.5008975", at, criterion)


def _from_curve(name: str, source: str, at: Callable[[float], float], criterion: Criterion) -> Theory:
    """Return the theory of a curve that gets worse with every pattern: where it stops to meet the criterion is the capacity."""
    capacity, endless = largest(lambda m: criterion.holds(at(m)), limit=2**40)
    figures = () if endless else (Figure(name, capacity, source),)
    return Theory(figures, (Curve(name, source, at),))


def _hopfield(task: Task, criterion: Criterion) -> Theory:
    n, rule = task.program.post.size, task.program.rule
    if isinstance(rule, Storkey):
        return Theory((Figure("absolute capacity n / sqrt(2 ln n)", hopfield.storkey_capacity(n), "doi:10.1007/BFb0020196"),))
    if isinstance(rule, PseudoInverse):
        name = "fixed points, of cues without errors"
        return Theory((Figure(name, hopfield.pseudo_inverse_capacity(n), "doi:10.1051/jphyslet:01985004608035900"),))
    if not isinstance(rule, Hebbian):
        return Theory()
    critical = Figure("critical load 0.138 n", n * hopfield.ags_critical_load(), "doi:10.1016/0003-4916(87)90092-3")
    if criterion.quantity == "exact":
        coupled = task.program.wiring == "all"
        errors = min(0.49, task.flipped / n)
        exact = hopfield.hebb_exact_capacity(n, criterion.level, self_coupling=coupled)
        asymptotic = hopfield.mceliece_capacity(n, cue_errors=errors)
        curve = Curve(
            "patterns that are fixed points",
            "(1 - P)^n",
            lambda m: hopfield.hebb_exact_fraction(n, max(1, round(m)), self_coupling=coupled),
        )
        return Theory(
            (
                Figure("fixed points", exact, "(1 - P)^n, normal field"),
                Figure("asymptotic n / (2 ln n)", asymptotic, "doi:10.1109/TIT.1987.1057328"),
                critical,
            ),
            (curve,),
        )
    if criterion.quantity == "overlap":
        return Theory((critical,), (Curve("retrieval overlap, n -> infinity", critical.source, lambda m: hopfield.ags_overlap(m / n)),))
    at = lambda m: (1 - hopfield.ags_overlap(m / n)) / 2  # noqa: E731
    return Theory((critical,), (Curve("wrong units of the retrieval state, n -> infinity", critical.source, at),))


def _hypercolumns(task: Task, criterion: Criterion) -> Theory:
    rule, wiring = task.program.rule, task.program.wiring
    named: dict[type, hypercolumns.Rule] = {Hebbian: "hebb", Covariance: "covariance", ClippedHebbian: "willshaw", BayesianHebbian: "bcpnn"}
    name = named.get(type(rule))
    h, units, wrong = task.k_post, task.program.post.size // task.k_post, task.moved
    fading = isinstance(rule, BayesianHebbian) and rule.tau is not None
    if (
        name is None
        or wiring != "other groups"
        or fading
        or criterion.quantity != "exact"
        or task.deleted
        or task.added
        or units < 2
        or wrong >= h
    ):
        return Theory()
    prior = rule.prior if isinstance(rule, BayesianHebbian) else 1.0
    first, stays = hypercolumns.capacity(name, h, units, wrong, criterion.level, prior=prior)
    source = "counts as independent binomials"

    def at(function: Callable[..., float], *arguments: int) -> Callable[[float], float]:
        return lambda m: function(name, h, units, max(2, round(m)), *arguments, prior=prior)

    curves = [Curve("patterns that are fixed points", source, at(hypercolumns.fixed_point))]
    figures = [Figure("fixed points", stays, source)]
    if wrong:
        curves.append(Curve("right after one step", source, at(hypercolumns.first_step, wrong)))
        figures.append(Figure("right after one step", first, source))
    return Theory(tuple(figures), tuple(curves))


def _willshaw(task: Task, criterion: Criterion) -> Theory:
    n, k, cue = task.program.pre.size, task.k_pre, task.k_pre - task.deleted
    n_post, k_post = task.program.post.size, task.k_post
    recurrent = task.program.auto_associative
    post = None if recurrent else (n_post, k_post)
    source = "doi:10.1137/070700012"
    limits: tuple[Figure, ...] = (Figure("hetero-association, ln 2", willshaw.HETERO_LIMIT, "doi:10.1038/222960a0"),)
    if recurrent:
        auto = willshaw.auto_limit
        limits = (
            Figure("gained, half a cue: (ln 2) / 4", auto(0.5), "doi:10.1162/neco_a_01247"),
            Figure(f"gained, {cue} of {k} units in the cue", auto(cue / k), "doi:10.1162/neco_a_01247"),
        )
    if task.added or cue < 1 or n_post <= k_post:
        return Theory(limits=limits)
    if criterion.quantity == "exact":
        capacity = willshaw.capacity(n, k, cue, criterion.level, post=post)
        at = lambda m: willshaw.exact_probability(max(1, round(m)), n, k, cue, post=post)  # noqa: E731
        return Theory((Figure("finite size, one step", capacity, source),), (Curve("finite size, one step", source, at),), limits)
    if criterion.quantity == "bit_error":
        wrong = lambda m: willshaw.expected_false(max(1, round(m)), n, k, cue, post=post) / n_post  # noqa: E731
        return Theory(curves=(Curve("wrong units, one step", source, wrong),), limits=limits)
    return Theory(limits=limits)


def _dense(task: Task, criterion: Criterion) -> Theory:
    n, hidden = task.program.post.size, task.program.hidden
    if isinstance(hidden, Exponential):
        rho = min(0.49, task.flipped / n)
        log2 = dense.exponential_capacity(n, rho)
        return Theory((Figure("exponential in n, an upper estimate", 2.0**log2 if log2 < 1000 else math.inf, "arXiv:1702.01929"),))
    if not isinstance(hidden, Polynomial) or (hidden.rectified and criterion.quantity != "exact"):
        return Theory()
    degree, source = hidden.power, "arXiv:1606.01164"
    free = Figure(f"without errors, n^{degree - 1} / (2 (2 power - 3)!! ln n)", dense.error_free_capacity(n, degree), source)
    if criterion.quantity == "exact":
        exact = dense.exact_capacity(n, degree, criterion.level)
        at = lambda m: math.exp(n * math.log1p(-dense.bit_error(n, degree, max(1.0, m))))  # noqa: E731
        return Theory((Figure("fixed points", exact, source), free), (Curve("patterns that are fixed points", source, at),))
    if criterion.quantity == "bit_error":
        level = dense.load_at_error(degree, criterion.level) * n ** (degree - 1) if criterion.level < 0.5 else math.inf
        wrong = lambda m: dense.bit_error(n, degree, max(1.0, m))  # noqa: E731
        return Theory(
            (Figure("unstable units of stored patterns", level, source), free), (Curve("unstable units of stored patterns", source, wrong),)
        )
    return Theory((free,))
