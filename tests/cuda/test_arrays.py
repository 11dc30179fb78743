"""To the device and back: what is brought there comes back as it was, in the smallest form, and every transfer is counted."""

from __future__ import annotations

import emulated
import numpy as np
import pytest

from neuromem.kernels.bits import Patterns, Rows, pack, rows_of
from neuromem.kernels.sparse import SparseTable

BITS = np.random.default_rng(1).random((5, 70)) < 0.3


@pytest.fixture(scope="module")
def arrays() -> object:
    emulated.install()
    from neuromem.kernels.cupy import arrays

    return arrays


@pytest.mark.parametrize("form", ["bits", "words", "rows"])
@pytest.mark.parametrize("part", [(0, 5), (2, 4), (3, 3)])
def test_patterns(arrays: object, form: str, part: tuple[int, int]) -> None:
    given = Patterns(70, **{form: {"bits": BITS, "words": pack(BITS), "rows": rows_of(BITS)}[form]})
    there = arrays.put(given)  # type: ignore[attr-defined]
    back = arrays.get(there.part(*part))  # type: ignore[attr-defined]
    assert isinstance(back, Patterns)
    assert np.array_equal(back.bits, BITS[slice(*part)])
    assert back.rows.start[0] == 0


def test_arrays_and_what_is_made_of_them(arrays: object) -> None:
    from neuromem.kernels.cupy.runtime import traffic

    before = traffic.copy()
    given = {"table": SparseTable(np.arange(3), np.zeros(2, np.uint8), 7), "n_stored": 3, "momentum": None}
    there = arrays.put(given)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="not allowed"):
        np.asarray(there["table"].start)
    back = arrays.get(there)  # type: ignore[attr-defined]
    assert isinstance(back["table"], SparseTable)
    assert back["table"].start.tolist() == [0, 1, 2]
    assert (back["table"].n_post, back["n_stored"], back["momentum"]) == (7, 3, None)
    moved = traffic.since(before)
    assert (moved.puts, moved.gets, moved.bytes_to_device, moved.bytes_to_host) == (2, 2, 26, 26)


def test_rows_of_a_part_are_made_on_the_device(arrays: object) -> None:
    """``units`` on the device may be longer than what is there."""
    there = arrays.put(Patterns(70, words=pack(BITS)))  # type: ignore[attr-defined]
    rows = there.rows
    assert rows.units.size >= int(rows.start.get()[-1])
    back = arrays.get(arrays.Patterns(70, rows=Rows(rows.start, rows.units)))  # type: ignore[attr-defined]
    assert np.array_equal(back.bits, BITS)
