"""Bits per synapse: which patterns, minus which cue, over which synapses.

Two definitions are in use, and they differ by what the recalled patterns are said to have brought:

- *stored*: the entropy of a pattern (``dense_bits(n)``, ``sparse_bits(n, k)``, ``hypercolumn_bits(h, u)``);
- *gained* (completion capacity): that entropy minus what the cue already told, that is, the logarithm of
  how many patterns could have given this cue (the same functions with a cue). It is 0 for a perfect cue.

Both are counted for the exactly recalled patterns only, over all places of the table that a rule may
change: n(n-1) for a recurrent table without self-coupling (a symmetric table counts both halves,
since both are stored), n_pre n_post for a hetero-associative one. For the definitions see Knoblauch,
Palm and Sommer 2010, doi:10.1162/neco.2009.08-07-588.
"""

from __future__ import annotations

import math

from neuromem.errors import SpecError


def bits_per_synapse(n_patterns: float, pattern_bits: float, correct_fraction: float, n_synapses: float) -> float:
    """Return n_patterns x correct_fraction x pattern_bits / n_synapses.

    ``n_patterns`` stored, ``correct_fraction`` of them recalled exactly, ``pattern_bits`` each
    (stored or gained, see above), ``n_synapses`` places of the table.

    Raises:
        SpecError: a number out of its range.
    """
    if n_patterns < 0 or pattern_bits < 0 or not 0 <= correct_fraction <= 1 or n_synapses <= 0:
        raise SpecError(
            f"bits per synapse of {n_patterns} patterns, {pattern_bits} bits each, fraction {correct_fraction} recalled, {n_synapses} synapses; "
            "expected none negative, a fraction of at most 1, and at least one synapse"
        )
    return n_patterns * correct_fraction * pattern_bits / n_synapses


def log2_choose(n: int, k: int) -> float:
    """Return log2 of the number of ways to choose k of n."""
    if not 0 <= k <= n:
        raise SpecError(f"{k} chosen of {n}; expected 0 <= k <= n")
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def dense_bits(n: int, flipped: int | None = None) -> float:
    """Return the bits of a random +-1 pattern of n units: n; or gained from a cue with ``flipped`` wrong units: log2 C(n, flipped)."""
    return float(n) if flipped is None else log2_choose(n, flipped)


def sparse_bits(n: int, k: int, correct: int = 0, false: int = 0) -> float:
    """Return the bits of a random pattern of k active units of n, beyond a cue of ``correct`` of them and ``false`` others.

    A cue of c + f units says: c of these are in the pattern, and k - c of the rest. So what is left is
    log2 C(c + f, c) + log2 C(n - c - f, k - c); without a cue it is log2 C(n, k).
    """
    return log2_choose(correct + false, correct) + log2_choose(n - correct - false, k - correct)


def hypercolumn_bits(hypercolumns: int, units: int, wrong: int | None = None) -> float:
    """Return the bits of one active unit in each hypercolumn: H log2 U; or beyond a cue with ``wrong`` hypercolumns wrong: log2 (C(H, w) (U-1)^w)."""
    if hypercolumns < 1 or units < 1:
        raise SpecError(f"{hypercolumns} hypercolumns of {units} units; expected at least 1 of each")
    if wrong is None:
        return hypercolumns * math.log2(units)
    return log2_choose(hypercolumns, wrong) + (wrong * math.log2(units - 1) if wrong else 0.0)
