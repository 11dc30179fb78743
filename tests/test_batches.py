"""Reading patterns: every form that is taken, and the whole text of every refusal."""

from __future__ import annotations

import re

import numpy as np
import pytest

from neuromem.errors import SpecError
from neuromem.ir.matrix_program import UnitTable
from neuromem.kernels.bits import Patterns
from neuromem.runs.batches import check_distinct, check_stored, read_batch
from neuromem.spec import KWinners, Linear, PatternSource, Sign, SoftWTA, Threshold, Unit

N = 6


def units(cell: Unit) -> UnitTable:
    return UnitTable("units", "content", 0, N, cell)


SIGN, WINNERS, REAL = units(Sign()), units(KWinners(2)), units(Linear())
BITS = np.array([[1, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 1]], np.bool_)

FORMS = {
    "booleans": BITS,
    "int8": BITS.astype(np.int8),
    "uint8": BITS.astype(np.uint8),
    "float16": BITS.astype(np.float16),
    "float64": BITS.astype(float),
    "-1 and 1": np.where(BITS, 1, -1),
    "-1.0 and 1.0": np.where(BITS, 1.0, -1.0),
    "lists": BITS.astype(int).tolist(),
    "lists of booleans": BITS.tolist(),
    "tuple of arrays": tuple(BITS),
    "Fortran order": np.asfortranarray(BITS),
    "every second column": np.repeat(BITS, 2, axis=1)[:, ::2],
    "backwards": BITS[::-1].copy()[::-1],
    "active units": np.array([[2, 0], [3, 5]]),
    "active units of one byte": np.array([[0, 2], [5, 3]], np.uint8),
    "lists of active units": [[0, 2], [3, 5]],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("population", [SIGN, WINNERS], ids=["sign", "winners"])
def test_forms(form: str, population: UnitTable) -> None:
    value = FORMS[form]
    if isinstance(value, np.ndarray):
        value = value.view()
        value.setflags(write=False)
    found, single = read_batch(value, population, "it")
    assert isinstance(found, Patterns)
    assert not single
    assert np.array_equal(found.bits, BITS)
    assert found.bits.flags.c_contiguous
    assert found.rows.units.tolist() == [0, 2, 3, 5]


def test_one_pattern_is_a_batch_of_one() -> None:
    for value in (BITS[0], BITS[0].astype(float), BITS[0].astype(int).tolist()):
        found, single = read_batch(value, SIGN, "it")
        assert single
        assert isinstance(found, Patterns)
        assert np.array_equal(found.bits, BITS[:1])
    found, single = read_batch([2, 0], WINNERS, "it")
    assert single
    assert isinstance(found, Patterns)
    assert np.array_equal(found.bits, BITS[:1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.bool_])
def test_real_numbers_are_copied(dtype: type) -> None:
    values = np.asfortranarray(np.arange(12).reshape(2, N) % 2).astype(dtype)
    found, single = read_batch(values, REAL, "it")
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.flags.c_contiguous, single) == (np.float32, True, False)
    assert np.array_equal(found, values)
    assert not np.shares_memory(found, values)


SHAPE = f"expected ({N},) or (B, {N}) for {N} units"
WRONG: dict[str, tuple[object, UnitTable, str]] = {
    "ragged": ([[1, 0], [1]], SIGN, f"it: rows of different lengths; expected an array of shape ({N},) or (B, {N})."),
    "word": ("101010", SIGN, f"it: values of type <U6; expected numbers or booleans, of shape ({N},) or (B, {N})."),
    "words": (["a"] * N, SIGN, f"it: values of type <U1; expected numbers or booleans, of shape ({N},) or (B, {N})."),
    "objects": ([None] * N, SIGN, f"it: values of type object; expected numbers or booleans, of shape ({N},) or (B, {N})."),
    "complex": (np.ones(N, complex), REAL, f"it: values of type complex128; expected numbers or booleans, of shape ({N},) or (B, {N})."),
    "dates": (
        np.zeros(N, "datetime64[s]"), SIGN, f"it: values of type datetime64[s]; expected numbers or booleans, of shape ({N},) or (B, {N}).",
    ),
    "none": (None, SIGN, f"it: values of type object; expected numbers or booleans, of shape ({N},) or (B, {N})."),
    "empty": ([], SIGN, f"it: an empty array of shape (0,); expected at least one pattern of {N} units."),
    "no patterns": (np.zeros((0, N)), REAL, f"it: an empty array of shape (0, {N}); expected at least one pattern of {N} units."),
    "no units": (np.zeros((3, 0), int), WINNERS, f"it: an empty array of shape (3, 0); expected at least one pattern of {N} units."),
    "nan": ([[0.0] * N, [0, 0, np.nan, 0, 0, 0]], REAL, "it: nan at (1, 2); expected finite numbers."),
    "nan among bits": ([0, 1, np.nan, 0, 0, 0], SIGN, "it: nan at (2,); expected finite numbers."),
    "infinite": ([0, -np.inf, 0, 0, 0, 0], REAL, "it: -inf at (1,); expected finite numbers."),
    "too large": ([0, 1e39, 0, 0, 0, 0], REAL, "it: 1e+39; expected numbers within 3.40282e+38, for float32 holds no larger ones."),
    "too small": ([0, -1e39, 0, 0, 0, 0], REAL, "it: -1e+39; expected numbers within 3.40282e+38, for float32 holds no larger ones."),
    "one number": (1, SIGN, f"it: an array of shape (); {SHAPE}, or integers (B, k) as the numbers of active units."),
    "too short": ([1, 0, 1], SIGN, f"it: an array of shape (3,); {SHAPE}, or integers (B, k) as the numbers of active units."),
    "too short zeros and ones": (
        np.eye(5, dtype=int), WINNERS, f"it: an array of shape (5, 5); {SHAPE}, or integers (B, k) as the numbers of active units.",
    ),
    "too long": (np.ones((2, 7)), WINNERS, f"it: an array of shape (2, 7); {SHAPE}, or integers (B, k) as the numbers of active units."),
    "too short floats": (
        np.ones((2, 5)), WINNERS, f"it: an array of shape (2, 5); {SHAPE}, or integers (B, k) as the numbers of active units.",
    ),
    "too deep": (np.ones((1, 2, N)), SIGN, f"it: an array of shape (1, 2, 6); {SHAPE}, or integers (B, k) as the numbers of active units."),
    "too short reals": (np.ones((2, 5)), REAL, f"it: an array of shape (2, 5); {SHAPE}."),
    "not binary": ([0, 0.5, 1, 0, 0, 0], SIGN, "it: 0.5 at pattern 0, unit 1; expected 0 and 1, or -1 and 1."),
    "twos": (np.full((2, N), 2), WINNERS, "it: 2 at pattern 0, unit 0; expected 0 and 1, or -1 and 1."),
    "-1, 0 and 1": ([[1, 1, 1, 1, 1, 1], [-1, 0, 1, 1, 1, 1]], SIGN, "it: 0 at pattern 1, unit 1; expected 0 and 1, or -1 and 1."),
    "-1 and 2": ([-1, 2, 1, 1, 1, 1], SIGN, "it: 2 at pattern 0, unit 1; expected 0 and 1, or -1 and 1."),
    "unit number": ([[0, 6]], WINNERS, "it: unit 6; expected the numbers of active units, 0 to 5."),
    "negative unit number": ([[0, -1]], WINNERS, "it: unit -1; expected the numbers of active units, 0 to 5."),
    "unit twice": ([[0, 1], [3, 3]], WINNERS, "it: unit 3 is given twice in pattern 1; expected distinct units."),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_refusals(case: str) -> None:
    value, population, text = WRONG[case]
    with pytest.raises(SpecError) as refused:
        read_batch(value, population, "it")
    assert str(refused.value) == text


HELD: dict[str, tuple[Unit, list[list[int]], str]] = {
    "few winners": (KWinners(2), [[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], "it: pattern 1 has 1 active units; expected 2 active units, as many as 'units' has winners."),
    "many winners": (KWinners(2), [[1, 1, 1, 0, 0, 0]], "it: pattern 0 has 3 active units; expected 2 active units, as many as 'units' has winners."),
    "winners of groups": (KWinners(3, 3), [[1, 0, 1, 1, 0, 0]], "it: pattern 0 has 2 active units in group 1; expected 1 in each of 3 groups."),
    "two of each group": (KWinners(4, 2), [[1, 1, 0, 1, 0, 0]], "it: pattern 0 has 1 active units in group 1; expected 2 in each of 2 groups."),
    "soft winners": (SoftWTA(2), [[1, 0, 0, 0, 0, 0]], "it: pattern 0 has 0 active units in group 1; expected 1 in each of 2 groups."),
    "one soft group": (SoftWTA(), [[1, 1, 0, 0, 0, 0]], "it: pattern 0 has 2 active units; expected 1 active units, as many as 'units' has winners."),
    "nothing": (Threshold(), [[1, 0, 0, 0, 0, 0], [0] * 6], "it: pattern 1 has 0 active units; expected at least 1."),
    "nothing as a cue": (PatternSource("binary"), [[0] * 6], "it: pattern 0 has 0 active units; expected at least 1."),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
def test_patterns_that_a_population_cannot_hold(case: str) -> None:
    cell, patterns, text = HELD[case]
    with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
        check_stored(Patterns(N, bits=np.array(patterns, bool)), units(cell), "it")


def test_what_populations_hold() -> None:
    for cell, patterns in ((Sign(), [[0] * 6]), (Threshold(), [[1, 0, 0, 0, 0, 0]]), (KWinners(3, 3), [[1, 0, 1, 0, 0, 1]])):
        check_stored(Patterns(N, bits=np.array(patterns, bool)), units(cell), "it")
    check_stored(np.zeros((2, N), np.float32), REAL, "it")


def test_repeated_patterns() -> None:
    check_distinct(Patterns(N, bits=BITS), "it")
    with pytest.raises(SpecError) as refused:
        check_distinct(Patterns(N, bits=np.concatenate([BITS, BITS[1:], BITS])), "it")
    assert str(refused.value) == (
        "it: pattern 2 is pattern 1 again; expected distinct patterns (store one again in a call of its own, if that is meant)."
    )
