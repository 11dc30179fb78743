"""Bits on the device: every form is what the host makes of the same patterns, and nothing but what must be known goes to the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulated.twins import twin
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem.kernels import bits as host
from neuromem.kernels.bits import Rows, n_words

device = twin("bits")  # first, for it puts the emulated CuPy in its place

from neuromem.kernels.cupy import bits, runtime  # noqa: E402

batches = st.tuples(st.integers(0, 5), st.integers(1, 200), st.integers(0, 10**6), st.floats(0, 1))
sizes = pytest.mark.parametrize("n", [1, 7, 8, 63, 64, 65, 72, 2047, 2048, 2049, 4104])


def drawn_bits(drawn: tuple[int, int, int, float]) -> np.ndarray:
    b, n, seed, density = drawn
    return np.random.default_rng(seed).random((b, n)) < density


def same_rows(found: Rows, expected: Rows) -> None:
    assert (found.start.dtype, found.units.dtype) == (np.int64, np.int32)
    assert found.start.tolist() == expected.start.tolist()
    assert found.units[: expected.start[-1]].tolist() == expected.units.tolist()


def test_layout_by_hand() -> None:
    given_as = np.zeros((2, 70), np.bool_)
    given_as[0, [0, 63, 64]] = True
    given_as[1, 69] = True
    words = device.pack(given_as)
    assert words.dtype == np.uint64
    assert words.tolist() == [[1 + 2**63, 1], [0, 32]]
    back = device.unpack(words, 70)
    assert back.dtype == np.bool_
    assert np.array_equal(back, given_as)
    rows = device.rows_of(given_as)
    assert rows.start.tolist() == [0, 3, 4]
    assert rows.units[:4].tolist() == [0, 63, 64, 69]
    assert device.words_of(Rows(np.array([0, 3, 4]), np.array([0, 63, 64, 69], np.int32)), 70).tolist() == words.tolist()


def same_forms(given_as: np.ndarray) -> None:
    n, words, rows = given_as.shape[1], host.pack(given_as), host.rows_of(given_as)
    assert np.array_equal(device.pack(given_as), words)
    assert np.array_equal(device.unpack(words, n), given_as)
    same_rows(device.rows_of(given_as), rows)
    same_rows(device.rows_of_words(words, n), rows)
    assert np.array_equal(device.bits_of(rows, n), given_as)
    assert np.array_equal(device.words_of(rows, n), words)


@given(batches)
@settings(max_examples=40, deadline=None)
def test_forms_are_equal(drawn: tuple[int, int, int, float]) -> None:
    same_forms(drawn_bits(drawn))


@sizes
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_sizes_at_the_ends_of_bytes_words_and_pieces(n: int, density: float) -> None:
    same_forms(drawn_bits((3, n, n, density)))


def test_more_patterns_than_a_grid_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits, "MOST_BLOCKS", 1)
    same_forms(drawn_bits((90, 70, 1, 0.3)))
    same_forms(drawn_bits((2, 5000, 2, 0.3)))


def test_no_units_and_no_patterns() -> None:
    for shape in ((0, 70), (3, 0), (0, 0)):
        nothing = np.zeros(shape, np.bool_)
        assert device.pack(nothing).shape == (shape[0], n_words(shape[1]))
        assert device.unpack(host.pack(nothing), shape[1]).shape == shape
        assert device.rows_of(nothing).start.tolist() == [0] * (shape[0] + 1)
        assert device.bits_of(host.rows_of(nothing), shape[1]).shape == shape


def test_room_is_asked_for_only_where_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as = drawn_bits((4, 200, 3, 0.1))
    on_device = runtime.put(given_as)
    before = runtime.traffic.copy()
    assert bits.rows_of(on_device).units.size == 800
    assert runtime.traffic.since(before).gets == 0
    monkeypatch.setattr(bits, "ROOM", 4 * 800 - 1)
    rows = bits.rows_of(on_device)
    assert runtime.traffic.since(before).gets == 1
    assert runtime.traffic.since(before).bytes_to_host == 8
    assert runtime.get(rows.units).tolist() == host.rows_of(given_as).units.tolist()


def batch(form: str, given_as: np.ndarray) -> Any:
    """Return patterns on the device that have one form only."""
    n = given_as.shape[1]
    if form == "rows":
        return bits.DevicePatterns(n, rows=Rows(*map(runtime.put, host.rows_of(given_as))))
    return bits.DevicePatterns(n, **{form: runtime.put(given_as if form == "bits" else host.pack(given_as))})


def rows_on_host(rows: Rows) -> tuple[list[int], list[int]]:
    start, units = map(runtime.get, rows)
    return (start - start[0]).tolist(), units[start[0] : start[-1]].tolist()


@pytest.mark.parametrize("form", ["bits", "words", "rows"])
def test_a_batch_has_every_form_and_stays_on_the_device(form: str) -> None:
    given_as = drawn_bits((5, 130, 4, 0.2))
    patterns = batch(form, given_as)
    assert patterns.has_rows_only == (form == "rows")
    before = runtime.traffic.copy()
    assert len(patterns) == 5
    forms = patterns.bits, patterns.words, patterns.rows
    part = patterns.part(1, 4)
    forms_of_part = part.bits, part.words, part.rows
    assert len(part) == 3
    assert runtime.traffic.since(before).gets == runtime.traffic.since(before).puts == 0
    for made, rows in ((forms, slice(0, 5)), (forms_of_part, slice(1, 4))):
        assert np.array_equal(runtime.get(made[0]), given_as[rows])
        assert np.array_equal(runtime.get(made[1]), host.pack(given_as[rows]))
        start, units = host.rows_of(given_as[rows])
        assert rows_on_host(made[2]) == (start.tolist(), units.tolist())


def test_a_part_of_rows_is_a_view_of_them() -> None:
    given_as = drawn_bits((6, 90, 5, 0.3))
    for first, stop in ((0, 6), (2, 5), (4, 9), (6, 6)):
        part = batch("rows", given_as).part(first, stop)
        assert part.has_rows_only
        assert len(part) == len(given_as[first:stop])
        start, units = host.rows_of(given_as[first:stop])
        assert rows_on_host(part.rows) == (start.tolist(), units.tolist())
        assert np.array_equal(runtime.get(part.words), host.pack(given_as[first:stop]))
