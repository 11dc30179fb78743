"""The board's arithmetic: 32-bit fixed point, and the constants of a cell in it.

S1615 numbers are integers of 32 bits that stand for themselves times 2^-15, U032 ones for themselves times 2^-32. Products
take the floor, quotients are truncated towards zero. Everything here is done once, before a run; what happens in each step
is in ``neuromem.kernels.reference.spinnaker``.

Source: the released binaries of sPyNNaker 7.4.1, with which all of this agrees in every bit (``neuromem verify``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ONE = 1 << 15
"""1.0 as S1615."""

_TWO_32 = 1 << 32
# exp(k) and 1 - exp(-m/16) as U032, the corners between which the polynomial interpolates, and its coefficients
_EXP_WHOLE = {k: round(_TWO_32 * math.exp(k)) for k in range(-13, 1)}
_ONE_MINUS_EXP_SIXTEENTH = [round(_TWO_32 * -math.expm1(-m / 16)) for m in range(16)]
_C0, _C1, _C2 = 5294, 4293434720, 2081624032
_UNDERFLOW = -340695


def s1615(value: float) -> int:
    """Return ``value`` rounded to the nearest multiple of 2^-15, halves to even, as an integer."""
    return int(np.rint(value * ONE))


def quotient(a: int, b: int) -> int:
    """Return a / b of two S1615 numbers, truncated towards zero."""
    sign = -1 if (a < 0) != (b < 0) else 1
    return sign * ((abs(a) << 15) // abs(b))


def _rounded_product(x: int, y: int) -> int:
    return (x * y + (1 << 31)) >> 32


def _exp(n: int) -> int:
    """Return exp(n 2^-15) times 2^32 for n <= 0, as the binaries approximate it: within about 1e-6 of the true value."""
    if n < _UNDERFLOW:
        return 0
    whole, fraction = n >> 15, n & (ONE - 1)
    if fraction == 0:
        return _EXP_WHOLE[whole]
    up = ONE - fraction
    t = _EXP_WHOLE[whole + 1]
    t -= _rounded_product(t, _ONE_MINUS_EXP_SIXTEENTH[up // 2048])
    y = (up % 2048) << 17
    s = _C0 + (((_C1 - ((_C2 * y) >> 32)) * y) >> 32)
    return t - _rounded_product(t, s)


def exp_s1615(n: int) -> int:
    """Return exp of a S1615 number n <= 0, as S1615."""
    return _exp(n) >> 17


def exp_u032(n: int) -> int:
    """Return exp of a S1615 number n <= 0, as U032; exp(0) does not fit and is 0."""
    return _exp(n) % _TWO_32


@dataclass(frozen=True)
class CellConstants:
    """One cell on the board; S1615 but for ``decay_*`` and ``scale_*`` (U032) and ``refractory`` (steps).

    With R = ``resistance`` and x = ``keep`` a step is, every product rounded down::

        isyn <- isyn + scale arriving
        a     = R (isyn_exc - isyn_inh + i_offset) + v_rest
        v    <- a - x (a - v)                      unless refractory
        isyn <- decay isyn
    """

    v_rest: int
    v_reset: int
    v_thresh: int
    i_offset: int
    resistance: int
    keep: int
    refractory: int
    scale_exc: int
    scale_inh: int
    decay_exc: int
    decay_inh: int


def cell_constants(
    tau_m: float,
    cm: float,
    v_rest: float,
    v_reset: float,
    v_thresh: float,
    tau_refrac: float,
    tau_syn_E: float,
    tau_syn_I: float,
    i_offset: float,
    dt: float,
) -> CellConstants:
    """Return the constants of a cell with these parameters (ms, nF, mV, nA) on a grid of ``dt`` ms.

    Raises ``ZeroDivisionError`` where a divisor rounds to zero, which ``fit`` refuses before.
    """
    step, m = s1615(dt), s1615(tau_m)
    receptors = []
    for tau in (s1615(tau_syn_E), s1615(tau_syn_I)):
        decay = exp_u032(-quotient(step, tau))
        receptors.append((decay, (quotient(tau, step) * (_TWO_32 - 1 - decay)) >> 15))  # their 1.0 is 2^32 - 1
    (decay_exc, scale_exc), (decay_inh, scale_inh) = receptors
    return CellConstants(
        v_rest=s1615(v_rest),
        v_reset=s1615(v_reset),
        v_thresh=s1615(v_thresh),
        i_offset=s1615(i_offset),
        resistance=quotient(m, s1615(cm)),
        keep=exp_s1615(-quotient(step, m)),
        refractory=-(-quotient(s1615(tau_refrac), step) // ONE),
        scale_exc=scale_exc,
        scale_inh=scale_inh,
        decay_exc=decay_exc,
        decay_inh=decay_inh,
    )


def trace_table(tau: float, dt: float) -> np.ndarray:
    """Return what is left of a trace after k = 0, 1, ... steps, as S4.11: ``floor(2048 exp(-k dt / tau))``; zero beyond the end."""
    n = 2 * math.ceil(tau / dt * math.log(2048) / 2)
    return np.array([math.floor(2048 * math.exp(-k * dt / tau)) for k in range(n)], dtype=np.int64)


def weight_words(weight: np.ndarray, shift: int) -> np.ndarray:
    """Return weights (nA) as the board's 16-bit integers, ``rint(|w| 2^(15 - shift))``, not yet limited to 16 bits."""
    return np.rint(np.abs(weight) * 2.0 ** (15 - shift)).astype(np.int64)


def weight_of_words(words: np.ndarray, shift: int) -> np.ndarray:
    """Return the weights (nA) that 16-bit integers stand for."""
    return words * 2.0 ** (shift - 15)
