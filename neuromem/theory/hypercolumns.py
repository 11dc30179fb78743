"""One active unit in each of H hypercolumns of U units: recall by the winner of each, for four Hebbian rules.

No closed form is known for BCPNN. But all four rules score a unit by the counts c_ij of the patterns in
which it was active together with the active units j of the cue, up to a term that its competitors
share (z = H - 1 cue units, n_j and r_i the numbers of patterns in which j and i are active)::

    hebb        sum over j of c_ij
    covariance  sum over j of c_ij - r_i sum over j of n_j / M    (weight c_ij - n_i n_j / M)
    willshaw    sum over j of min(c_ij, 1)                        (equal scores: one of them at random)
    bcpnn       sum over j of ln c_ij - (z - 1) ln r_i            (weight ln(M c_ij / (n_i n_j)), bias ln(n_i / M), counts with a prior)

Given r_i, the counts over random patterns are independent binomials (r_i, 1/U), and one more for a right
cue unit and the right unit. So the distribution of scores, and from it the probability that the
right unit wins, is a sum. Taken as independent: the usages of competitors, given that of the right unit; and
hypercolumns. Sum n_j is taken as its mean. Connections within a hypercolumn are left out.

From a cue with wrong hypercolumns, iterated recall lies between ``first_step`` (one step gives the
pattern; later steps mend some more) and ``fixed_point`` (the pattern stays; not every cue
comes to it). With one wrong hypercolumn it is close to the second.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from neuromem.errors import SpecError
from neuromem.theory.bracket import largest

Rule = Literal["hebb", "covariance", "willshaw", "bcpnn"]

# Scores that are not whole are rounded: logarithms term by term, which adds STEP^2 / 12 = 1e-4 to a variance of 0.02
# for fifty patterns to a pair of units, and of more for fewer; for covariance only the loss of a unit, once.
STEP = {"hebb": 1.0, "covariance": 0.25, "willshaw": 1.0, "bcpnn": 0.04}
# Usages and counts rarer than this are left out: far below the probabilities of error that matter here, 0.1 / H.
NEGLIGIBLE = 1e-8
# What Fourier transforms leave where there is nothing, of either sign.
ROUNDING = 1e-14


def win_probability(rule: Rule, hypercolumns: int, units: int, n_patterns: int, wrong: int = 0, *, prior: float = 1.0) -> float:
    """Return the probability that the right unit of a hypercolumn wins, given the others, ``wrong`` of them wrong.

    ``prior``, in patterns, is what bcpnn adds to all counts: prior/U to the usages, and to c_ij prior/U^2, which is what
    ``spec.BayesianHebbian`` adds for units of mean usage.

    Raises:
        SpecError: an unknown rule, fewer than 2 hypercolumns, units or patterns, or more wrong than there are others.
    """
    _check(rule, hypercolumns, units, n_patterns, wrong)
    inputs = hypercolumns - 1
    if wrong > inputs:
        raise SpecError(f"{wrong} wrong hypercolumns beside the one asked for; expected at most {inputs}")
    if not 0 < prior < math.inf:
        raise SpecError(f"prior is {prior}; expected a number of patterns, above 0")
    usage = _binomial(n_patterns - 1, 1 / units)
    used = np.flatnonzero(usage > NEGLIGIBLE)
    chances = [_binomial(int(times), 1 / units) for times in used]
    counts = np.arange(np.flatnonzero(chances[-1] > NEGLIGIBLE)[-1] + 2)
    popularity = np.arange(used[-1] + 2.0)
    term, loss = counts.astype(np.float64), 0.0 * popularity
    if rule == "willshaw":
        term = np.minimum(term, 1)
    elif rule == "covariance":
        loss = popularity * inputs * (1 + (n_patterns - 1) / units) / n_patterns
    elif rule == "bcpnn":
        term, loss = np.log(counts + prior / units**2), (inputs - 1) * np.log(popularity + prior / units)
    steps, lost = (np.rint(values / STEP[rule]).astype(np.int64) for values in (term, loss))
    steps -= steps[0]
    size = 1 << int(steps[-1] * inputs).bit_length()
    offset = lost.max() - lost  # of the scores of a unit on a grid that all share

    right, false = (np.zeros((len(used), size + offset.max())) for _ in range(2))
    for row, (times, chance) in enumerate(zip(used, chances, strict=True)):
        kept = chance[: len(counts) - 1]
        by_chance, with_pattern = (np.fft.rfft(np.bincount(steps[more : more + len(kept)], kept, size)) for more in (0, 1))
        # The distribution of a sum has the product of the transforms.
        false[row, offset[times] :][:size] = np.fft.irfft(by_chance**inputs, size)
        right[row, offset[times + 1] :][:size] = np.fft.irfft(with_pattern ** (inputs - wrong) * by_chance**wrong, size)

    # Patterns that do not use the right unit use each of its competitors with a chance of 1 / (U - 1).
    shares = np.zeros((len(used), len(used)))
    for row, times in enumerate(used):
        others = _binomial(int(n_patterns - 1 - times), 1 / (units - 1)) if units > 2 else np.eye(n_patterns)[n_patterns - 1 - times]
        present = used[used < len(others)]
        shares[row, : len(present)] = others[present]
    shares /= shares.sum(axis=1, keepdims=True)
    return float(usage[used] @ _wins(right, shares @ false, units) / usage[used].sum())


def first_step(rule: Rule, hypercolumns: int, units: int, n_patterns: int, wrong: int = 0, *, prior: float = 1.0) -> float:
    """Return the probability that one synchronous step from a cue with ``wrong`` wrong hypercolumns gives the whole pattern."""
    _check(rule, hypercolumns, units, n_patterns, wrong)
    right = (
        win_probability(rule, hypercolumns, units, n_patterns, wrong, prior=prior) ** (hypercolumns - wrong)
        if wrong < hypercolumns
        else 1.0
    )
    return right * win_probability(rule, hypercolumns, units, n_patterns, wrong - 1, prior=prior) ** wrong if wrong else right


def fixed_point(rule: Rule, hypercolumns: int, units: int, n_patterns: int, *, prior: float = 1.0) -> float:
    """Return the probability that a stored pattern is a fixed point: ``first_step`` from the pattern itself."""
    return first_step(rule, hypercolumns, units, n_patterns, prior=prior)


def capacity(rule: Rule, hypercolumns: int, units: int, wrong: int = 0, fraction: float = 0.9, *, prior: float = 1.0) -> tuple[int, int]:
    """Return the largest numbers of patterns of which ``fraction`` are recalled (in the first step, as a fixed point).

    The measured capacity of iterated recall is expected between the two.
    """
    _check(rule, hypercolumns, units, 2, wrong)
    if not 0 < fraction < 1:
        raise SpecError(f"fraction is {fraction}; expected it above 0 and below 1")

    def holds(n_patterns: int, errors: int) -> bool:
        return n_patterns < 2 or first_step(rule, hypercolumns, units, n_patterns, errors, prior=prior) >= fraction

    start = units * units  # one pattern for each synapse between two hypercolumns
    stays, _ = largest(lambda m: holds(m, 0), start=start)
    steps, _ = largest(lambda m: holds(m, wrong), start=max(1, stays))
    return steps, stays


def _wins(right: np.ndarray, false: np.ndarray, units: int) -> np.ndarray:
    """Return, for each row, P(the right score is the largest of ``units``), equal scores drawn at random.

    Rows are distributions of scores on one grid. With b = P(false < s) and e = P(false = s), the right
    unit beats those below s, and is drawn among those that share it, with probability
    ((b + e)^U - b^U) / (U e), or b^(U-1) for e = 0.
    """
    row, _ = at = np.nonzero(right > ROUNDING)
    upto, equal = np.cumsum(false, axis=1)[at], false[at]
    below = np.maximum(upto - equal, 0)
    alone = equal < 1e-9  # too few to matter
    shared = (upto**units - below**units) / (units * np.where(alone, 1.0, equal))
    return np.bincount(row, right[at] * np.where(alone, upto ** (units - 1), shared), len(right))


def _binomial(n: int, p: float) -> np.ndarray:
    """Return the probabilities of 0..n successes in n trials, 0 < p < 1."""
    k = np.arange(n + 1)
    steps = np.log(np.arange(1, n + 1))
    factorial = np.concatenate([[0.0], np.cumsum(steps)])
    probabilities: np.ndarray = np.exp(factorial[n] - factorial - factorial[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
    return probabilities


def _check(rule: str, hypercolumns: int, units: int, n_patterns: int, wrong: int) -> None:
    if rule not in get_args(Rule):
        raise SpecError(f"rule {rule!r} of hypercolumns; expected one of {', '.join(get_args(Rule))}")
    if hypercolumns < 2 or units < 2 or n_patterns < 2 or not 0 <= wrong <= hypercolumns:
        raise SpecError(
            f"{n_patterns} patterns, {hypercolumns} hypercolumns of {units} units, {wrong} wrong; "
            "expected at least 2 of each, and no more wrong than there are"
        )
