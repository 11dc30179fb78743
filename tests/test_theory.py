"""The formulas beside the measured curves: against published numbers, hand-derived cases, and networks drawn at random."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from neuromem.errors import SpecError
from neuromem.theory import dense as theory_dense
from neuromem.theory import hopfield as theory_hopfield
from neuromem.theory import hypercolumns as theory_hypercolumns
from neuromem.theory import information
from neuromem.theory import willshaw as theory_willshaw

stats = pytest.importorskip("scipy.stats", reason="scipy is the witness; pip install 'neuromem[dev]'")


# Hopfield


def test_critical_load_and_its_overlap_are_the_published_ones() -> None:
    critical = theory_hopfield.ags_critical_load()
    assert critical == pytest.approx(0.137906, abs=1e-6)
    assert theory_hopfield.ags_overlap(critical * (1 - 1e-12)) == pytest.approx(0.9674, abs=1e-4)
    assert theory_hopfield.ags_overlap(critical * 1.0001) == 0.0
    assert theory_hopfield.ags_overlap(0.0) == 1.0


@pytest.mark.parametrize("load", [0.02, 0.05, 0.1, 0.13, 0.1379])
def test_the_overlap_solves_the_three_equations(load: float) -> None:
    """Iterating the published equations from m = 1, r = 1 comes to the same state."""
    m, r = 1.0, 1.0
    for _ in range(20_000):
        m = math.erf(m / math.sqrt(2 * load * r))
        c = math.sqrt(2 / (math.pi * load * r)) * math.exp(-m * m / (2 * load * r))
        r = 1 / (1 - c) ** 2
    assert theory_hopfield.ags_overlap(load) == pytest.approx(m, abs=1e-10)


@pytest.mark.parametrize(("n", "m"), [(101, 20), (501, 60)])
def test_hebb_bit_error_is_the_normal_limit_of_a_binomial(n: int, m: int) -> None:
    """The crosstalk is a sum of (M-1)(N-1) independent fair signs; the unit errs if it is below -(N-1), half of the ties."""
    trials = (m - 1) * (n - 1)
    wrong = (trials - (n - 1)) / 2  # this many positive signs give exactly -(N-1)
    exact = stats.binom.cdf(math.ceil(wrong) - 1, trials, 0.5) + (
        stats.binom.pmf(int(wrong), trials, 0.5) / 2 if wrong == int(wrong) else 0
    )
    # The normal tail at z errs by about z^4 / (12 trials) relative to it (the fourth cumulant of signs is -2).
    z = (n - 1) / math.sqrt(trials)
    assert theory_hopfield.hebb_bit_error(n, m) == pytest.approx(exact, rel=2 * z**4 / (12 * trials))


def test_hebb_exact_capacity_is_where_the_fraction_crosses() -> None:
    for coupled in (False, True):
        at = theory_hopfield.hebb_exact_capacity(1000, self_coupling=coupled)
        assert theory_hopfield.hebb_exact_fraction(1000, at, self_coupling=coupled) >= 0.9
        assert theory_hopfield.hebb_exact_fraction(1000, at + 1, self_coupling=coupled) < 0.9
    assert theory_hopfield.hebb_exact_capacity(1000, self_coupling=True) > theory_hopfield.hebb_exact_capacity(1000)
    assert theory_hopfield.hebb_exact_fraction(1000, 1) == 1.0


def test_known_capacities() -> None:
    n = 10_000
    assert theory_hopfield.mceliece_capacity(n) == pytest.approx(542.868, abs=1e-3)
    assert theory_hopfield.mceliece_capacity(n, all_patterns=True) == pytest.approx(271.434, abs=1e-3)
    assert theory_hopfield.mceliece_capacity(n, cue_errors=0.25) == pytest.approx(542.868 / 4, abs=1e-3)
    assert theory_hopfield.storkey_capacity(n) == pytest.approx(2329.95, abs=0.01)
    assert theory_hopfield.pseudo_inverse_capacity(n) == n
    assert theory_hopfield.covariance_load(0.01) == pytest.approx(10.857, abs=1e-3)


# Willshaw


def test_load_by_hand() -> None:
    # One pattern: k_pre k_post synapses of n_pre n_post; two patterns: 1 - (1 - 1/4)^2.
    assert theory_willshaw.load(1, 4, 2, 8, 4) == pytest.approx(1 / 4)
    assert theory_willshaw.load(2, 4, 2, 8, 4) == pytest.approx(7 / 16)
    assert theory_willshaw.auto_load(1, 4, 2) == pytest.approx(1 / 6)
    assert theory_willshaw.load(0, 4, 2, 4, 2) == 0.0
    assert theory_willshaw.load(1, 4, 4, 4, 4) == 1.0
    # At M k^2 / n^2 = ln 2 half of the synapses are on.
    assert theory_willshaw.load(round(math.log(2) * 1e6), 10_000, 10, 10_000, 10) == pytest.approx(0.5, abs=1e-5)
    assert theory_willshaw.false_probability_independent(0.5, 10) == 2**-10


@pytest.mark.parametrize(
    ("n", "k", "cue", "patterns", "usage"), [(4, 2, 3, 2, 0.5), (5, 1, 2, 3, 0.25), (3, 3, 3, 2, 0.5), (4, 0, 2, 2, 0.5)]
)
def test_synapse_counts_by_enumeration(n: int, k: int, cue: int, patterns: int, usage: float) -> None:
    """All ways in which each pattern uses the post unit or not, and chooses its units."""
    choices = [(frozenset[int](), 1 - usage)]
    subsets = list(itertools.combinations(range(n), k))
    choices += [(frozenset(units), usage / len(subsets)) for units in subsets]
    expected = np.zeros(cue + 1)
    for drawn in itertools.product(choices, repeat=patterns):
        on = frozenset[int]().union(*(units for units, _ in drawn))
        expected[len(on & set(range(cue)))] += math.prod(chance for _, chance in drawn)
    np.testing.assert_allclose(theory_willshaw.synapse_counts(patterns, cue, n, k, usage), expected, rtol=1e-13, atol=0)


def test_synapse_counts_keep_their_digits() -> None:
    """The alternating terms of a cue of 200 units are 10^59 times their sum: a double would keep no digit."""
    counts = theory_willshaw.synapse_counts(5_000, 200, 10_000, 200, 0.02)
    assert (counts >= 0).all()
    assert counts.sum() == pytest.approx(1, abs=1e-12)
    assert counts @ np.arange(201) == pytest.approx(200 * theory_willshaw.load(5_000, 10_000, 200, 10_000, 200), rel=1e-12)


def willshaw_table(patterns: np.ndarray, n: int) -> np.ndarray:
    table = np.zeros((n, n), dtype=bool)
    for units in patterns:
        table[np.ix_(units, units)] = True
    return table


def draw(rng: np.random.Generator, m: int, n: int, k: int) -> np.ndarray:
    return np.argsort(rng.random((m, n)), axis=1)[:, :k]


def test_willshaw_errors_of_drawn_networks() -> None:
    """Mean false units over 60 networks: within 4 standard errors of the exact formula, and not of the classical one."""
    n, k, m, cue = 128, 6, 200, 4
    rng = np.random.default_rng(1)
    means, exact = [], []
    for _ in range(60):
        patterns = draw(rng, m, n, k)
        table = willshaw_table(patterns, n)
        false = np.array([table[units[:cue]].all(axis=0).sum() - k for units in patterns])
        means.append(false.mean())
        exact.append((false == 0).mean())
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    assert abs(np.mean(means) - theory_willshaw.expected_false(m, n, k, cue)) < 4 * error
    classical = (n - k) * theory_willshaw.false_probability_independent(theory_willshaw.auto_load(m, n, k), cue)
    assert abs(np.mean(means) - classical) > 4 * error
    # Errors gather in fewer patterns: the true probability of exact recall is not smaller.
    error = np.std(exact, ddof=1) / math.sqrt(len(exact))
    assert theory_willshaw.exact_probability(m, n, k, cue) < np.mean(exact) + 4 * error


def test_willshaw_with_a_noisy_cue() -> None:
    """Four right units and two false ones, threshold 5, hetero-association; 80 networks, 4 standard errors."""
    n, k, m, n_post, k_post = 100, 8, 120, 60, 5
    rng = np.random.default_rng(2)
    false_rates, miss_rates = [], []
    for _ in range(80):
        pre, post = draw(rng, m, n, k), draw(rng, m, n_post, k_post)
        table = np.zeros((n, n_post), dtype=bool)
        for x, y in zip(pre, post, strict=True):
            table[np.ix_(x, y)] = True
        false = miss = 0
        for x, y in zip(pre, post, strict=True):
            others = np.setdiff1d(np.arange(n), x)
            fired = table[np.concatenate([x[:4], rng.choice(others, 2, replace=False)])].sum(axis=0) >= 5
            miss += k_post - fired[y].sum()
            false += fired.sum() - fired[y].sum()
        false_rates.append(false / (m * (n_post - k_post)))
        miss_rates.append(miss / (m * k_post))
    expected = theory_willshaw.noisy_errors(m, n, k, 4, 2, threshold=5, post=(n_post, k_post))
    for rates, value in zip((false_rates, miss_rates), expected, strict=True):
        assert abs(np.mean(rates) - value) < 4 * np.std(rates, ddof=1) / math.sqrt(len(rates))


def test_a_pattern_makes_no_error_of_its_own() -> None:
    """One pattern alone gives none; with two of k = 2 of n = 4, a unit errs if the other pattern is it and the one cue unit: 1 in 6."""
    assert theory_willshaw.false_probability(1, 100, 10, 1) == 0.0
    assert theory_willshaw.false_probability(2, 4, 2, 1) == pytest.approx(1 / 6)
    assert theory_willshaw.false_probability(2, 4, 2, 1, post=(4, 1)) == pytest.approx(1 / 2 * 1 / 4)


def test_willshaw_capacity_is_where_exact_recall_crosses() -> None:
    for post in (None, (2000, 12)):
        at = theory_willshaw.capacity(1000, 10, 10, post=post)
        assert theory_willshaw.exact_probability(at, 1000, 10, 10, post=post) >= 0.9
        assert theory_willshaw.exact_probability(at + 1, 1000, 10, 10, post=post) < 0.9
    assert theory_willshaw.capacity(1000, 10, 5) < theory_willshaw.capacity(1000, 10, 10)


def test_bits_of_a_large_hetero_memory_come_near_ln_2() -> None:
    """They rise with n towards ln 2, and stay below."""
    assert pytest.approx(0.6931, abs=1e-4) == theory_willshaw.HETERO_LIMIT
    assert theory_willshaw.auto_limit() == pytest.approx(math.log(2) / 4)
    bits = []
    for n in (1_000, 100_000, 10_000_000):
        k = round(math.log2(n)) + 2
        at = theory_willshaw.capacity(n, k, k, post=(n, k))
        bits.append(information.bits_per_synapse(at, information.sparse_bits(n, k), 0.9, n * n))
    assert bits == sorted(bits)
    assert 0.2 < bits[0] < bits[-1] < theory_willshaw.HETERO_LIMIT


# Dense memories


def test_double_factorial() -> None:
    assert [theory_dense.double_factorial(m) for m in (-1, 1, 3, 5, 7, 9)] == [1, 1, 3, 15, 105, 945]


def test_degree_2_is_the_hopfield_network() -> None:
    assert theory_dense.bit_error(10_001, 2, 1_000) == pytest.approx(theory_hopfield.hebb_bit_error(10_001, 1_001), rel=1e-3)
    assert theory_dense.error_free_capacity(500, 2) == pytest.approx(theory_hopfield.mceliece_capacity(500))
    assert theory_dense.load_at_error(2) == pytest.approx(1 / 2.5758293**2)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_noise_of_other_patterns(degree: int) -> None:
    """The variance of (x+1)^n - (x-1)^n over binomial x tends to 4 n^2 (2n-3)!! N^(n-1), with corrections of order 1/N."""
    n = 4_000
    x = 2.0 * np.arange(n + 1) - n
    exact = stats.binom.pmf(np.arange(n + 1), n, 0.5) @ ((x + 1) ** degree - (x - 1) ** degree) ** 2
    leading = 4 * degree**2 * theory_dense.double_factorial(2 * degree - 3) * n ** (degree - 1)
    assert exact / leading == pytest.approx(1, abs=degree**4 / n)


def test_asymptotic_bit_error_and_capacities() -> None:
    # The tail of a normal variable is below its asymptotic form, by a factor of 1 - 1/z^2 at most.
    n, degree = 1_000, 3
    k = theory_dense.error_free_capacity(n, degree)
    z = math.sqrt(2 * math.log(n))
    ratio = theory_dense.bit_error(n, degree, k) / theory_dense.bit_error_asymptotic(n, degree, k)
    assert 1 - 1 / z**2 < ratio < 1
    assert theory_dense.bit_error(n, degree, theory_dense.load_at_error(degree) * n**2) == pytest.approx(0.005)
    at = theory_dense.exact_capacity(n, degree)
    assert (1 - theory_dense.bit_error(n, degree, at)) ** n >= 0.9 > (1 - theory_dense.bit_error(n, degree, at + 1)) ** n
    assert theory_dense.exponential_capacity(100) == pytest.approx(50)
    assert theory_dense.exponential_capacity(100, 0.499999) == pytest.approx(0, abs=1e-9)


# Hypercolumns


@pytest.mark.parametrize(("rule", "published"), [("hebb", 82), ("covariance", 145), ("willshaw", 195), ("bcpnn", 276)])
def test_published_p90_of_16_hypercolumns(rule: theory_hypercolumns.Rule, published: int) -> None:
    """N = 256, one hypercolumn of the cue wrong: measured between one step and the fixed point, within 6 % of the latter."""
    steps, stays = theory_hypercolumns.capacity(rule, 16, 16, wrong=1)
    assert steps < published
    assert published == pytest.approx(stays, rel=0.06)


@pytest.mark.parametrize("rule", ["hebb", "covariance", "willshaw", "bcpnn"])
def test_winners_of_drawn_networks(rule: theory_hypercolumns.Rule) -> None:
    """The share of right winners over 20 networks: within 0.01, a tenth of the errors that exact90 allows."""
    hypercolumns, units, m, wrong = 16, 16, 250, 1
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(20):
        winners = rng.integers(units, size=(m, hypercolumns))
        active = np.eye(units)[winners].reshape(m, -1)
        counts, used = active.T @ active, active.sum(axis=0)
        bias = np.zeros(len(used))
        if rule == "covariance":
            counts = counts - np.outer(used, used) / m
        elif rule == "willshaw":
            counts = np.minimum(counts, 1)
        elif rule == "bcpnn":
            used = used + 1 / units
            counts, bias = np.log((counts + 1 / units**2) * (m + 1) / np.outer(used, used)), np.log(used / (m + 1))
        counts = np.where(np.kron(np.eye(hypercolumns), np.ones((units, units))), 0, counts)
        cue = winners.copy()
        cue[:, 0] = (cue[:, 0] + rng.integers(1, units, m)) % units
        scores = np.eye(units)[cue].reshape(m, -1) @ counts + bias + 1e-9 * rng.random((m, hypercolumns * units))
        shares.append((scores.reshape(m, hypercolumns, units).argmax(axis=2) == winners)[:, 1:].mean())
    assert np.mean(shares) == pytest.approx(theory_hypercolumns.win_probability(rule, hypercolumns, units, m, wrong), abs=0.01)


@pytest.mark.parametrize("rule", ["hebb", "willshaw", "bcpnn"])
@pytest.mark.parametrize("wrong", [0, 1])
def test_winners_by_enumeration(rule: theory_hypercolumns.Rule, wrong: int) -> None:
    """Three patterns over three hypercolumns of two units: all 512 sets; with two units the formula leaves nothing out."""
    m, wins = 3, []
    for drawn in itertools.product(range(2), repeat=3 * m):
        patterns = np.array(drawn).reshape(m, 3)
        cue = patterns[0, 1:] ^ np.array([0, wrong])
        scores = []
        for unit in (patterns[0, 0], 1 - patterns[0, 0]):
            mine = patterns[:, 0] == unit
            counts = [int((mine & (patterns[:, 1 + j] == cue[j])).sum()) for j in range(2)]
            if rule == "bcpnn":  # weights and bias as they stand, but for what both units share: n_j and M
                used = math.log(mine.sum() + 1 / 2)
                scores.append(sum(math.log(c + 1 / 4) - used for c in counts) + used)
            else:
                scores.append(sum(min(c, 1) if rule == "willshaw" else c for c in counts))
        tie = math.isclose(scores[0], scores[1], abs_tol=1e-12)
        wins.append(0.5 if tie else float(scores[0] > scores[1]))
    assert theory_hypercolumns.win_probability(rule, 3, 2, m, wrong) == pytest.approx(np.mean(wins), abs=1e-12)


def test_steps_from_a_cue() -> None:
    right, one_wrong = (theory_hypercolumns.win_probability("hebb", 8, 10, 50, wrong) for wrong in (0, 1))
    assert one_wrong < right
    assert theory_hypercolumns.first_step("hebb", 8, 10, 50, 1) == pytest.approx(right * one_wrong**7)
    assert theory_hypercolumns.fixed_point("hebb", 8, 10, 50) == pytest.approx(right**8)
    # Two patterns that differ everywhere but by chance are kept; with all of the cue wrong nothing comes back.
    assert theory_hypercolumns.fixed_point("hebb", 16, 64, 2) == pytest.approx(1, abs=1e-6)
    assert theory_hypercolumns.first_step("hebb", 16, 64, 10, 16) < 1e-6


# Information


def test_bits() -> None:
    assert information.log2_choose(10, 3) == pytest.approx(math.log2(120))
    assert information.dense_bits(64) == 64
    assert information.dense_bits(64, flipped=1) == pytest.approx(6)
    assert information.dense_bits(64, flipped=0) == pytest.approx(0)
    assert information.sparse_bits(10, 3) == pytest.approx(math.log2(120))
    assert information.sparse_bits(10, 3, correct=1) == pytest.approx(math.log2(36))
    # Two of the cue's three are right, and one of the 7 others is missing.
    assert information.sparse_bits(10, 3, correct=2, false=1) == pytest.approx(math.log2(3 * 7))
    assert information.hypercolumn_bits(16, 16) == 64
    assert information.hypercolumn_bits(16, 16, wrong=1) == pytest.approx(math.log2(16 * 15))
    assert information.bits_per_synapse(100, 64, 0.5, 64 * 64) == pytest.approx(100 * 0.5 * 64 / 4096)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: theory_hopfield.ags_overlap(-0.1),
        lambda: theory_hopfield.ags_overlap(math.nan),
        lambda: theory_hopfield.hebb_bit_error(1, 5),
        lambda: theory_hopfield.hebb_exact_capacity(100, 1.0),
        lambda: theory_hopfield.mceliece_capacity(100, cue_errors=0.5),
        lambda: theory_hopfield.covariance_load(0.0),
        lambda: theory_willshaw.auto_limit(2.0),
        lambda: theory_willshaw.load(5, 4, 5, 4, 2),
        lambda: theory_willshaw.synapse_counts(5, 6, 5, 2, 0.5),
        lambda: theory_willshaw.false_probability(0, 10, 2, 2),
        lambda: theory_willshaw.capacity(10, 2, 0),
        lambda: theory_willshaw.capacity(10, 10, 10),
        lambda: theory_dense.double_factorial(4),
        lambda: theory_dense.bit_error(10, 1, 3),
        lambda: theory_dense.load_at_error(2, 0.5),
        lambda: theory_dense.exact_capacity(10, 2, 0.0),
        lambda: theory_dense.exponential_capacity(10, 0.6),
        lambda: theory_hypercolumns.first_step("hebbian", 4, 4, 4),  # type: ignore[arg-type]
        lambda: theory_hypercolumns.first_step("hebb", 4, 1, 4),
        lambda: theory_hypercolumns.capacity("hebb", 4, 4, wrong=5),
        lambda: theory_hypercolumns.win_probability("hebb", 4, 4, 4, wrong=4),
        lambda: theory_hypercolumns.win_probability("bcpnn", 4, 4, 4, prior=0.0),
        lambda: theory_hypercolumns.capacity("hebb", 4, 4, fraction=1.0),
        lambda: information.log2_choose(3, 4),
        lambda: information.bits_per_synapse(3, 4, 1.1, 5),
        lambda: information.hypercolumn_bits(0, 4),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(SpecError, match="expected"):
        wrong()
