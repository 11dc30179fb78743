"""The board's numbers: exponentials, constants of a cell, traces and weights, against floats with derived bounds and by hand."""

from __future__ import annotations

import math

import integer_model
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuromem.hardware_targets.spinnaker.fixed_point import (
    ONE,
    cell_constants,
    exp_s1615,
    exp_u032,
    quotient,
    s1615,
    trace_table,
    weight_of_words,
    weight_words,
)
from neuromem.hardware_targets.spinnaker.ranges import refractory_steps

TWO_32 = 2**32
LEAST = -340695  # exp of anything below is 0
# The polynomial for 1 - exp(-r) on 0 <= r < 1/16 has degree 2. No better one has a smaller largest error than the third
# derivative (1 at most) / 3! times that of the monic cubic of least deviation on an interval of length L = 1/16, L^3 / 32.
POLYNOMIAL = (1 / 16) ** 3 / 32 / 6
# Between two rounded products and a rounded table entry, at most 4 units of 2^-32 come on top.
EXP_ERROR = 1.02 * POLYNOMIAL + 4 / TWO_32  # coefficients have 32 bits: 2 % above the best is what theirs come to


def test_the_bound_on_exp_is_that_of_the_page() -> None:
    assert 1e-6 < EXP_ERROR < 1.4e-6  # "about 1e-6"


def test_exp_is_within_its_bound_everywhere_and_not_exact() -> None:
    n = np.unique(np.r_[np.arange(-70000, 0), np.linspace(LEAST, -1, 30001).astype(int)])
    wrong = np.array([exp_u032(k) / TWO_32 - math.exp(k / ONE) for k in n.tolist()])
    assert np.abs(wrong).max() < EXP_ERROR
    assert np.abs(wrong).max() > 0.5 * POLYNOMIAL  # math.exp itself would be no witness of the board


def test_exp_at_whole_numbers_and_ends() -> None:
    assert [exp_u032(-ONE * k) for k in (1, 2, 3)] == [1580030169, 581260615, 213833830]  # 2^32 exp(-k), rounded, by a calculator
    assert exp_u032(0) == 0  # 2^32 does not fit into 32 bits
    assert exp_s1615(0) == ONE
    assert math.ceil(-15 * math.log(2) * ONE) == LEAST  # from here on exp is at least 2^-15, the least S1615
    assert (exp_s1615(LEAST), exp_s1615(LEAST - 1), exp_u032(LEAST - 1)) == (1, 0, 0)


@given(st.integers(LEAST - 5, 0))
def test_exp_is_that_of_the_model_proved_on_the_binaries(n: int) -> None:
    assert exp_u032(n) == integer_model.exp_scaled(n) % TWO_32
    assert exp_s1615(n) == integer_model.exp_scaled(n) >> 17


def test_rounding_and_division() -> None:
    assert [s1615(k / 2 / ONE) for k in (1, 2, 3, 5, -1, -3)] == [0, 1, 2, 2, 0, -2]  # halves to even
    assert [quotient(a, b) for a, b in ((1, 3), (-1, 3), (1, -3), (-1, -3))] == [10922, -10922, -10922, 10922]  # 10922.67, towards zero


def test_charge_factor_takes_one_as_two_to_the_32_minus_1() -> None:
    """tau_syn = dt: D = round(2^32 / e) = 1580030169, tau / dt = 2^15, so the factor is 2^32 - 1 - D; with 2^32 - D it would be one more."""
    c = cell_constants(20.0, 1.0, -65.0, -65.0, -50.0, 2.0, 1.0, 4.0, 0.0, dt=1.0)
    assert c.decay_exc == 1580030169
    assert c.scale_exc == 2714937126 == (ONE * (TWO_32 - 1 - 1580030169)) >> 15
    assert c.scale_exc + 1 == (ONE * (TWO_32 - 1580030169)) >> 15
    # tau_syn = 4 dt: four units in the last place of a U032 times 2^17 / 2^15
    assert (4 * ONE * (TWO_32 - c.decay_inh)) >> 15 == c.scale_inh + 4


MS = st.floats(0.5, 200.0)


@given(tau_m=MS, cm=st.floats(0.05, 20.0), tau_syn=MS, dt=st.sampled_from([1.0, 0.5, 0.1]))
def test_constants_are_within_their_rounding_of_the_floats(tau_m: float, cm: float, tau_syn: float, dt: float) -> None:
    """Parameters are off by at most u / 2 with u = 2^-15, a quotient by u more, and exp by EXP_ERROR (S1615: and u)."""
    u = 2.0**-15
    c = cell_constants(tau_m, cm, -65.0, -65.0, -50.0, 2.0, tau_syn, tau_syn, 0.0, dt)

    def of_quotient(a: float, b: float) -> float:
        return u + (u / 2 + a / b * u / 2) / (b - u / 2)

    assert abs(c.resistance * u - tau_m / cm) <= of_quotient(tau_m, cm)
    assert abs(c.keep * u - math.exp(-dt / tau_m)) <= of_quotient(dt, tau_m) + EXP_ERROR + u
    decay_error = of_quotient(dt, tau_syn) + EXP_ERROR
    assert abs(c.decay_exc / TWO_32 - math.exp(-dt / tau_syn)) <= decay_error
    lost = 1 - c.decay_exc / TWO_32
    factor = tau_syn / dt * -math.expm1(-dt / tau_syn)
    assert (
        abs(c.scale_exc / TWO_32 - factor)
        <= of_quotient(tau_syn, dt) * lost + (tau_syn / dt) * decay_error + 2 * tau_syn / dt / TWO_32 + 1 / TWO_32
    )
    assert c.decay_inh == c.decay_exc
    assert c.scale_inh == c.scale_exc


@given(
    tau_m=MS, cm=st.floats(0.05, 20.0), refractory=st.floats(0.0, 20.0), e=MS, i=MS, dt=st.sampled_from([1.0, 0.5, 0.1])
)  # fmt: skip
def test_constants_are_those_of_the_model_proved_on_the_binaries(
    tau_m: float, cm: float, refractory: float, e: float, i: float, dt: float
) -> None:
    c = cell_constants(tau_m, cm, -65.0, -65.0, -50.0, refractory, e, i, 0.0, dt)
    cell = integer_model.Cell(tau_m, cm, -65.0, -65.0, -50.0, refractory, e, i, 0.0)
    model = integer_model.IntegerModel(dt, {"b": 1}, {"b": cell}, {"b": (0, 0)}, {"b": 2})
    expected = (c.resistance, c.keep, [c.decay_exc, c.decay_inh], [c.scale_exc, c.scale_inh], c.refractory)
    assert model.constants["b"] == expected


def test_refractory_steps_are_rounded_up_on_rounded_times() -> None:
    cases = {(0.0, 1.0): 0, (0.1, 1.0): 1, (1.0, 1.0): 1, (1.5, 1.0): 2, (2.0, 0.5): 4, (0.3, 0.1): 3, (1.2, 0.4): 4}  # 39322 / 13107 > 3
    assert {(tau, dt): refractory_steps(tau, dt) for tau, dt in cases} == cases
    assert {(tau, dt): cell_constants(20.0, 1.0, 0.0, 0.0, 1.0, tau, 5.0, 5.0, 0.0, dt).refractory for tau, dt in cases} == cases


def test_potentials_are_rounded_and_not_cut() -> None:
    c = cell_constants(20.0, 1.0, -65.00001, -60.99999, -50.0, 2.0, 5.0, 5.0, 0.3, 1.0)
    assert (c.v_rest, c.v_reset, c.v_thresh, c.i_offset) == (-65 * ONE, -61 * ONE, -50 * ONE, 9830)  # 0.3 x 32768 = 9830.4


def test_trace_table_by_hand() -> None:
    assert trace_table(20.0, 1.0)[:4].tolist() == [2048, 1948, 1853, 1762]  # 2048 exp(-k / 20): 1948.1, 1853.1, 1762.7
    assert trace_table(3.0, 1.0).tolist() == [
        2048,
        1467,
        1051,
        753,
        539,
        386,
        277,
        198,
        142,
        101,
        73,
        52,
        37,
        26,
        19,
        13,
        9,
        7,
        5,
        3,
        2,
        1,
        1,
        0,
    ]


@given(tau=st.floats(0.5, 100.0), dt=st.sampled_from([1.0, 0.5, 0.1]))
def test_trace_table_ends_where_nothing_is_left(tau: float, dt: float) -> None:
    table = trace_table(tau, dt)
    assert len(table) == 2 * math.ceil(tau / dt * math.log(2048) / 2)
    assert 2048 * math.exp(-len(table) * dt / tau) < 1 + 1e-9  # what comes next would be 0, or exactly 1 by rounding
    assert np.all(np.diff(table) <= 0)
    assert table.tolist() == integer_model.Rule.table(tau, dt)


@pytest.mark.parametrize(
    ("weight", "shift", "word"),
    [
        (1.0, 0, 32768),
        (1.0, 15, 1),
        (6.0, 3, 24576),
        (0.5, 15, 0),
        (1.5, 15, 2),
        (2.5, 15, 2),
        (-2.0, 1, 32768),
        (6.0, 8, 768),
        (0.1, 4, 205),
    ],
)
def test_weight_words(weight: float, shift: int, word: int) -> None:
    """rint(|w| 2^(15 - shift)), halves to even."""
    assert weight_words(np.array([weight]), shift).tolist() == [word]


@given(st.integers(0, 65535), st.integers(0, 15))
def test_words_stand_for_weights(word: int, shift: int) -> None:
    weight = weight_of_words(np.array([word]), shift)
    assert weight.tolist() == [word * 2.0**shift / 32768]
    assert weight_words(weight, shift).tolist() == [word]
