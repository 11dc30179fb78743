"""Willshaw memories (clipped Hebbian, binary synapses): load, error and capacity of finite networks.

M random patterns, k active units of n each. A unit outside of the pattern is *false* when recall
makes it active. Recall is by threshold at the number of right cue units (AND), which for a cue
without false units is the same as k-winners but for ties.

Willshaw, Buneman and Longuet-Higgins 1969, doi:10.1038/222960a0; Palm 1980, doi:10.1007/BF00337019;
the distribution of ``synapse_counts``: Buckingham and Willshaw 1992, doi:10.1088/0954-898X_3_4_005,
Knoblauch 2008, doi:10.1137/070700012; capacities: Knoblauch, Palm and Sommer 2010,
doi:10.1162/neco.2009.08-07-588.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext

import numpy as np

from neuromem.errors import SpecError
from neuromem.theory.bracket import largest

HETERO_LIMIT = math.log(2)
"""Bits per synapse of hetero-association as n -> infinity with k = log2 n: half of the synapses on, M k^2/n^2 = ln 2, k log2 n bits each."""


def auto_limit(cue_fraction: float = 0.5) -> float:
    """Return the bits gained per synapse (of n^2) in auto-association as n -> infinity: ln 2 lambda (1 - lambda), (ln 2)/4 for half a cue.

    A cue of lambda k units errs rarely for lambda k = log2 n; at half of the synapses on, M = ln 2 n^2/k^2
    patterns bring (1 - lambda) k log2 n bits each. Palm and Sommer 1992, doi:10.1088/0954-898X_3_2_006;
    Knoblauch and Palm 2020, doi:10.1162/neco_a_01247. Counting each pair of units once doubles it.
    """
    if not 0 <= cue_fraction <= 1:
        raise SpecError(f"cue_fraction is {cue_fraction}; expected 0 to 1")
    return math.log(2) * cue_fraction * (1 - cue_fraction)


def load(n_patterns: int, n_pre: int, k_pre: int, n_post: int, k_post: int) -> float:
    """Return p, the expected fraction of synapses on in a hetero-associative table: 1 - (1 - k_pre k_post / (n_pre n_post))^M."""
    _check(n_patterns, n_pre, k_pre, least=0)
    _check(n_patterns, n_post, k_post, least=0)
    return _union(n_patterns, k_pre * k_post / (n_pre * n_post))


def auto_load(n_patterns: int, n: int, k: int) -> float:
    """Return p off the diagonal of an auto-associative table: 1 - (1 - k(k-1) / (n(n-1)))^M."""
    _check(n_patterns, n, k, least=0)
    return _union(n_patterns, k * (k - 1) / max(1, n * (n - 1)))


def false_probability_independent(p: float, cue: int) -> float:
    """Return p^c: the classical probability that a false unit has all c synapses of the cue on, synapses taken as independent.

    Too small in finite networks: units differ in how many patterns use them; see ``false_probability``.
    """
    return float(p**cue)


def synapse_counts(n_patterns: int, cue: int, n_pre: int, k_pre: int, usage: float) -> np.ndarray:
    """Return P(X = x), x = 0..cue: how many synapses from ``cue`` given units onto a post unit are on.

    ``n_patterns`` independent patterns each use the post unit with probability ``usage``, and then
    activate ``k_pre`` random units of ``n_pre``. s given units are all left out by such a pattern with
    probability B(s) = prod over i < s of (n_pre - k_pre - i) / (n_pre - i), so by inclusion and exclusion

        P(X = x) = C(c, x) sum over s = 0..x of (-1)^s C(x, s) (1 - usage + usage B(c - x + s))^M.

    Exact. The terms cancel to far below their size: they are summed in decimals of enough digits.

    Returns:
        float64, shape (cue + 1,).
    """
    with localcontext() as context:
        untouched = _untouched(n_patterns, cue, n_pre, k_pre, usage, context)
        return np.array([float(_all_of(x, untouched[cue - x :]) * math.comb(cue, x)) for x in range(cue + 1)])


def false_probability(n_patterns: int, n: int, k: int, cue: int, *, post: tuple[int, int] | None = None) -> float:
    """Return the probability that a unit outside of the recalled pattern has all ``cue`` synapses of the cue on.

    ``cue`` right units, no false ones; auto-association, or hetero-association onto ``post`` = (n_post,
    k_post). The other M - 1 patterns matter; in auto-association a pattern that uses the unit puts its
    other k - 1 active units among the n - 1 others. Exact (see ``synapse_counts``).
    """
    _check(n_patterns, n, k)
    with localcontext() as context:
        return float(_all_of(cue, _untouched(n_patterns - 1, cue, *_pre(n, k, post), context)))


def noisy_errors(
    n_patterns: int, n: int, k: int, right: int, false: int, *, threshold: int, post: tuple[int, int] | None = None
) -> tuple[float, float]:
    """Return (P(a false unit fires), P(a unit of the pattern is missed)) for a cue of ``right`` and ``false`` active units.

    A unit fires with at least ``threshold`` synapses of the cue on. A unit of the pattern has ``right``
    for sure (itself counted: with self-synapses, or outside of the cue), and the false ones by chance.
    """
    _check(n_patterns, n, k)
    pre = _pre(n, k, post)
    spurious = synapse_counts(n_patterns - 1, right + false, *pre)
    helped = synapse_counts(n_patterns - 1, false, *pre)
    return float(spurious[max(0, threshold) :].sum()), float(helped[: max(0, threshold - right)].sum())


def expected_false(n_patterns: int, n: int, k: int, cue: int, *, post: tuple[int, int] | None = None) -> float:
    """Return the expected number of false units in the first step of recall: (n_post - k_post) x ``false_probability``."""
    n_post, k_post = post or (n, k)
    return (n_post - k_post) * false_probability(n_patterns, n, k, cue, post=post)


def exact_probability(n_patterns: int, n: int, k: int, cue: int, *, post: tuple[int, int] | None = None) -> float:
    """Return P(exact recall in one step) = (1 - q)^(n_post - k_post), q as ``false_probability``, units taken as independent.

    Units share the usage of the cue units, so that errors gather in fewer patterns: the true
    probability is slightly larger.
    """
    q = false_probability(n_patterns, n, k, cue, post=post)
    n_post, k_post = post or (n, k)
    return math.exp((n_post - k_post) * math.log1p(-q)) if q < 1 else 0.0


def capacity(n: int, k: int, cue: int, fraction: float = 0.9, *, post: tuple[int, int] | None = None) -> int:
    """Return the largest number of patterns with P(exact recall in one step) >= ``fraction``, for a cue of ``cue`` right units.

    Raises:
        SpecError: a cue of no unit, or of more than k; every unit active; a fraction not strictly between 0 and 1.
    """
    n_post, k_post = post or (n, k)
    if not 1 <= cue <= k or not 0 < fraction < 1 or n_post <= k_post:
        raise SpecError(
            f"cue of {cue} units, fraction {fraction}, {k_post} of {n_post} units active; "
            f"expected a cue of 1 to {k} units, a fraction above 0 and below 1, and fewer units active than there are"
        )
    # Half of the synapses on: the densest useful load.
    start = max(1, int(math.log(2) * n * n_post / (k * k_post)))
    return largest(lambda m: exact_probability(m, n, k, cue, post=post) >= fraction, start=start)[0]


def _union(n_patterns: int, share: float) -> float:
    """Return 1 - (1 - share)^M without loss at small shares."""
    return 1.0 if share == 1 else -math.expm1(n_patterns * math.log1p(-share))


def _pre(n: int, k: int, post: tuple[int, int] | None) -> tuple[int, int, float]:
    """Return (n_pre, k_pre, usage) as one pattern looks to a post unit that it may use."""
    if post is None:
        return n - 1, k - 1, k / n
    n_post, k_post = post
    _check(1, n_post, k_post)
    return n, k, k_post / n_post


def _untouched(n_patterns: int, cue: int, n_pre: int, k_pre: int, usage: float, context: Context) -> list[Decimal]:
    """Return, for s = 0..cue, the probability that s given synapses are all off; it sets the digits of ``context``."""
    if n_patterns < 0 or not 0 <= k_pre <= n_pre or not 0 <= cue <= n_pre or not 0 <= usage <= 1:
        raise SpecError(
            f"{n_patterns} patterns, {k_pre} and a cue of {cue} of {n_pre} units, usage {usage}; "
            "expected none negative, no more units than there are, and a usage of at most 1"
        )
    context.prec = 50 + cue  # C(c, x) C(x, s) <= 3^c: less than c digits are lost, and 50 are left
    used = Decimal(usage)
    off, spared = [], Decimal(1)
    for i in range(cue + 1):
        off.append((1 - used + used * spared) ** n_patterns)
        spared = spared * max(0, n_pre - k_pre - i) / max(1, n_pre - i)
    return off


def _all_of(x: int, untouched: list[Decimal]) -> Decimal:
    """Return sum over s = 0..x of (-1)^s C(x, s) untouched[s]."""
    return sum((math.comb(x, s) * (-1) ** s * untouched[s] for s in range(x + 1)), Decimal(0))


def _check(n_patterns: int, n: int, k: int, *, least: int = 1) -> None:
    if n_patterns < least or not 1 <= k <= n:
        raise SpecError(f"{n_patterns} patterns of {k} active units of {n}; expected at least {least} patterns, and 1 to n active units")
