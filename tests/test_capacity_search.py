"""The search for a capacity, its intervals, and the lines through what it found."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuromem.capacity.fits import extrapolate, power_law
from neuromem.capacity.intervals import mean_interval, seeds_interval, student_cdf, student_quantile, wilson_interval
from neuromem.capacity.search import Point, SearchInterrupted, find_capacity
from neuromem.errors import SpecError
from neuromem.theory import willshaw as theory_willshaw
from neuromem.theory.bracket import largest

stats = pytest.importorskip("scipy.stats", reason="scipy is the witness; pip install 'neuromem[dev]'")
optimize = pytest.importorskip("scipy.optimize", reason="scipy is the witness; pip install 'neuromem[dev]'")


# The bracket


@given(threshold=st.integers(0, 5_000), start=st.integers(1, 3_000), limit=st.integers(1, 4_000))
def test_the_largest_is_found_from_anywhere(threshold: int, start: int, limit: int) -> None:
    start = min(start, limit)
    tried: list[int] = []

    def holds(m: int) -> bool:
        tried.append(m)
        return m <= threshold

    assert largest(holds, start=start, limit=limit) == (min(threshold, limit), threshold >= limit)
    assert len(tried) == len(set(tried))
    assert all(1 <= m <= limit for m in tried)
    assert len(tried) <= 2 * math.log2(limit) + 3


@given(threshold=st.integers(0, 100_000), start=st.integers(1, 100_000), resolution=st.floats(0, 0.5))
def test_a_coarse_bracket_holds_the_threshold(threshold: int, start: int, resolution: float) -> None:
    found, _ = largest(lambda m: m <= threshold, start=start, resolution=resolution)
    assert found <= threshold <= found + max(1, resolution * found)


# Capacity over seeds


def falling(capacity: Callable[[int], int]) -> Callable[[int, int], float]:
    """A recall that falls smoothly with the load, and is 0.9 at ``capacity(seed)``."""
    return lambda seed, m: float(0.9 ** (m / capacity(seed)))


def ninety(value: float) -> bool:
    return value >= 0.9 - 1e-12


def test_capacity_of_each_seed_and_their_mean() -> None:
    seen: list[Point] = []
    found = find_capacity(falling(lambda seed: 100 + seed), ninety, seeds=range(3), start=7, limit=10_000, progress=seen.append)
    assert [s.capacity for s in found.seeds] == [100, 101, 102]
    assert not found.at_limit
    interval = found.interval()
    assert interval.value == 101
    assert interval.half_width == pytest.approx(stats.t.ppf(0.975, 2) / math.sqrt(3))
    assert found.points == tuple(seen)
    assert len({(p.seed, p.n_patterns) for p in seen}) == len(seen)
    assert all(p.value == 0.9 ** (p.n_patterns / (100 + p.seed)) and p.holds == ninety(p.value) for p in seen)
    # The second seed begins at the capacity of the first.
    assert next(p for p in seen if p.seed == 1).n_patterns == 100


def test_any_criterion() -> None:
    """A bit error that may not be above a bound, in place of a fraction that may not be below."""
    found = find_capacity(lambda _, m: m / 1000, lambda error: error <= 0.05, seeds=[0], limit=10**6)
    assert found.seeds[0].capacity == 50
    assert found.interval().low == -math.inf


def test_nothing_holds() -> None:
    found = find_capacity(lambda *_: 0.0, ninety, seeds=[4], start=64, limit=100)
    assert (found.seeds[0].capacity, found.at_limit) == (0, False)


def test_the_limit_is_said() -> None:
    found = find_capacity(falling(lambda _: 100), ninety, seeds=[0, 1], start=10, limit=64)
    assert [s.capacity for s in found.seeds] == [64, 64]
    assert found.at_limit
    assert found.limit == 64
    assert max(p.n_patterns for p in found.points) == 64


def test_an_interrupt_keeps_what_was_measured() -> None:
    def measure(seed: int, m: int) -> float:
        if seed == 1 and m > 50:
            raise KeyboardInterrupt
        return float(0.9 ** (m / 50))

    with pytest.raises(SearchInterrupted, match="seeds finished") as caught:
        find_capacity(measure, ninety, seeds=[0, 1], start=64, limit=1000)
    result = caught.value.result
    assert [s.seed for s in result.seeds] == [0]
    assert {p.seed for p in result.points} == {0, 1}
    assert isinstance(caught.value, KeyboardInterrupt)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seeds": []}, r"^seeds are \[\]; expected at least one"),
        ({"seeds": [1, 1]}, "all distinct"),
        ({"limit": 0}, "start is 1; expected 1 to the limit of 0 patterns"),
        ({"start": 0}, "start is 0"),
        ({"resolution": 1.0}, "resolution is 1.0"),
        ({"measure": lambda seed, m: math.nan}, "seed 0, 1 patterns: the measured value is NaN"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], match: str) -> None:
    arguments: dict[str, object] = {"measure": lambda seed, m: 1.0, "holds": ninety, "seeds": [0], "limit": 10}
    with pytest.raises(SpecError, match=match):
        find_capacity(**(arguments | change))  # type: ignore[arg-type]


def test_willshaw_capacity_meets_the_formula() -> None:
    """A real memory: n = 128, k = 6, cues of 5 units; the interval over 40 seeds holds the finite-size capacity."""
    n, k, cue = 128, 6, 5

    def measure(seed: int, m: int) -> float:
        patterns = np.argsort(np.random.default_rng(seed).random((m, n)), axis=1)[:, :k]  # the first m of one stream
        table = np.zeros((n, n), dtype=bool)
        for units in patterns:
            table[np.ix_(units, units)] = True
        return float(np.mean([table[units[:cue]].all(axis=0).sum() == k for units in patterns]))

    predicted = theory_willshaw.capacity(n, k, cue)
    found = find_capacity(measure, ninety, seeds=range(40), start=predicted, limit=10_000).interval()
    assert found.low <= predicted <= found.high
    assert found.half_width < 0.1 * predicted


# Intervals


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 101, 1000])
@pytest.mark.parametrize("probability", [0.005, 0.4, 0.5, 0.9, 0.975, 0.9995])
def test_student_against_scipy(degrees: int, probability: float) -> None:
    t = student_quantile(probability, degrees)
    assert t == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9, abs=1e-12)
    assert student_cdf(t, degrees) == pytest.approx(probability, abs=1e-12)


def test_student_of_the_tables() -> None:
    assert student_quantile(0.975, 1) == pytest.approx(12.7062, abs=1e-4)
    assert student_quantile(0.975, 2) == pytest.approx(4.3027, abs=1e-4)
    assert student_quantile(0.975, 10) == pytest.approx(2.2281, abs=1e-4)


def test_mean_interval() -> None:
    interval = mean_interval([80.0, 82.0, 84.0])
    assert [interval.value, interval.half_width] == pytest.approx([82.0, 4.302653 * 2 / math.sqrt(3)])
    assert mean_interval([5, 5, 5]).half_width == 0
    assert mean_interval([5]).high == math.inf
    assert (seeds_interval([5, 5, 5], 0.5).low, seeds_interval([5, 5, 5], 0.5).high) == (4.5, 5.5)
    assert seeds_interval([80.0, 82.0, 84.0], 0.5) == interval
    assert (seeds_interval([5, 6]).value, seeds_interval([5, 6]).low) == (5.5, -math.inf)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 10), (9, 10), (10, 10), (900, 1000), (0, 1), (1, 1)])
def test_wilson_against_scipy(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    interval = wilson_interval(successes, trials)
    assert (interval.value, interval.low, interval.high) == pytest.approx((successes / trials, expected.low, expected.high), abs=1e-12)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: student_quantile(1.0, 3),
        lambda: student_quantile(0.5, 0),
        lambda: mean_interval([]),
        lambda: mean_interval([1.0, 2.0], 1.0),
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(0, 0),
    ],
)
def test_intervals_of_nothing_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(SpecError, match="expected"):
        wrong()


# Fits

SIZES = np.array([1000.0, 2000.0, 4000.0, 8000.0, 16000.0])
WOBBLE = np.array([1.0, -1.5, 0.5, 1.0, -0.7])


def test_a_power_law_is_recovered() -> None:
    fit = power_law(SIZES, 3 * SIZES**1.5)
    assert [fit.exponent, fit.prefactor] == pytest.approx([1.5, 3])
    assert fit.exponent_error < 1e-12


def test_power_law_errors_against_scipy() -> None:
    y = 3 * SIZES**1.5 * np.exp(0.02 * WOBBLE)
    witness = stats.linregress(np.log(SIZES), np.log(y))
    fit = power_law(SIZES, y)
    assert [fit.exponent, fit.exponent_error] == pytest.approx([witness.slope, witness.stderr])
    # With known relative errors: the textbook sum over the weights.
    relative = np.array([0.01, 0.02, 0.02, 0.05, 0.01])
    weight = relative**-2
    centre = (weight * np.log(SIZES)).sum() / weight.sum()
    expected = 1 / math.sqrt((weight * (np.log(SIZES) - centre) ** 2).sum())
    assert power_law(SIZES, y, relative * y).exponent_error == pytest.approx(expected)


def curve(n: np.ndarray, limit: float, slope: float, exponent: float) -> np.ndarray:
    return limit + slope * n**-exponent


@pytest.mark.parametrize("exponent", [1 / 3, 1.0])
def test_an_extrapolation_is_recovered(exponent: float) -> None:
    values = curve(SIZES, 0.138, 0.4, exponent)
    for given_exponent in (exponent, None):
        fit = extrapolate(SIZES, values, exponent=given_exponent)
        assert [fit.limit, fit.slope, fit.exponent] == pytest.approx([0.138, 0.4, exponent], rel=1e-3)
    assert fit.at(8000) == pytest.approx(values[3], rel=1e-6)


@pytest.mark.parametrize("errors", [None, np.array([1, 2, 1, 1, 3]) * 1e-5])
@pytest.mark.parametrize("exponent", [None, 0.7])
def test_extrapolation_errors_against_scipy(errors: np.ndarray | None, exponent: float | None) -> None:
    values = curve(SIZES, 0.138, 0.4, 0.7) + 1e-5 * WOBBLE
    options = {"sigma": errors, "absolute_sigma": errors is not None, "ftol": 1e-14, "xtol": 1e-14}
    if exponent is None:
        best, covariance = optimize.curve_fit(curve, SIZES, values, p0=(0.138, 0.4, 0.7), **options)
    else:
        best, covariance = optimize.curve_fit(
            lambda n, limit, slope: curve(n, limit, slope, 0.7), SIZES, values, p0=(0.138, 0.4), **options
        )
    fit = extrapolate(SIZES, values, errors, exponent=exponent)
    # curve_fit takes its derivatives by differences of 1.5e-8 of each unknown.
    assert [fit.limit, fit.slope, fit.exponent][: len(best)] == pytest.approx(list(best), rel=1e-5)
    assert [fit.limit_error, fit.slope_error, fit.exponent_error][: len(best)] == pytest.approx(
        list(np.sqrt(np.diag(covariance))), rel=1e-3
    )


@pytest.mark.parametrize(
    ("fit", "match"),
    [
        (lambda: power_law([1, 2], [1, 2]), "2 distinct sizes; expected at least 3"),
        (lambda: power_law([1, 2, 2], [1, 2, 3]), "2 distinct sizes; expected at least 3"),
        (lambda: power_law([1, 2, 3], [1, 0, 3]), "not positive"),
        (lambda: power_law([1, 2, 3], [1, 2]), "differ in length"),
        (lambda: power_law([1, 2, 3], [1, math.nan, 2]), "not finite"),
        (lambda: power_law([1, 2, 3], [1, 2, 3], [1, 0, 1]), "an error not above 0"),
        (lambda: extrapolate([1, 2, 3], [1, 2, 3]), "expected at least 4"),
        (lambda: extrapolate([1, 2, 3], [1, 2, 3], exponent=-1.0), "expected them above 0"),
        (lambda: extrapolate([1, 2, 4, 8], [0, 1, 2, 3]), "no exponent between"),
    ],
)
def test_fits_of_too_little_are_refused(fit: Callable[[], object], match: str) -> None:
    with pytest.raises(SpecError, match=match):
        fit()
