"""Updates tile by tile: what they compute, and that no bit depends on tiles."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from large_matrices import DELTA, floats, save_zarr, small

from neuromem.errors import SpecError
from neuromem.kernels.cpu import bcpnn, counters, outer
from neuromem.kernels.outer_rules import WriteRule
from neuromem.large import HebbBatch, matrices, new_matrix, update
from neuromem.large.bandwidth import Copy
from neuromem.large.update import cut
from neuromem.spec.hebbian import BayesianHebbian
from neuromem.spec.outer_product import (
    Decay,
    HuberError,
    MomentumStep,
    OjaRetention,
    OuterProductRule,
    PlainStep,
    SquaredError,
    Variance,
)

job = sys.modules["neuromem.large.update"]
ROWS, COLUMNS = 600, 70  # more rows than two panels of 256


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# What it computes, by hand.


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_hebb_by_hand(kernels: str) -> None:
    w = np.array([[1, 2], [4, -4]], np.float32)
    report = update(w, [[1, 0], [1, 2]], [[1, -1], [2, 0]], HebbBatch(0.5, 0.5, -2.25, 2.25), engine=kernels)
    # 0.5 W + 0.5 ([1, -1] [1, 0]^T + [2, 0] [1, 2]^T), clipped once
    assert np.array_equal(w, [[2.0, 2.25], [1.5, -2.0]])
    assert (report.n_pairs, report.shape, report.dtype, report.engine, report.place) == (2, (2, 2), "float32", kernels, "memory")
    assert (report.bytes_read, report.bytes_written, report.saturated) == (16, 16, None)


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_counters_by_hand(kernels: str) -> None:
    w = np.array([[126, 0], [0, -126]], np.int8)
    report = update(w, [1, 2], [2, -1], HebbBatch(), engine=kernels)
    assert w.tolist() == [[127, 4], [-1, -127]]
    assert (report.saturated, report.dtype, report.bytes_read, report.bytes_written) == (2, "int8", 4, 4)


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_weights_beyond_the_bounds_are_counted(kernels: str) -> None:
    w = np.array([[-128, 5], [-128, -127], [-2, 127]], np.int8)
    np.save("w.npy", w)
    arguments = [0, 0], [0, 0, 0]
    report = update("w.npy", *arguments, HebbBatch(), engine=kernels, out="new.npy", tile_bytes=2, threads=2)
    assert np.load("new.npy").tolist() == [[-127, 5], [-127, -127], [-2, 127]]
    assert (report.rule, report.beyond, report.saturated) == ("HebbBatch(rate=1.0, decay=1.0, w_min=-127, w_max=127)", 2, 0)
    assert str(report).endswith("\n2 weights lay beyond the bounds before, and were clipped to them")
    narrow = w.copy()
    assert update(narrow, *arguments, HebbBatch(w_min=-1, w_max=4), engine=kernels).beyond == 6
    assert narrow.tolist() == [[-1, 4], [-1, -1], [-1, 4]]
    assert update(w, *arguments, HebbBatch(w_min=-128), engine=kernels).beyond == 0
    assert w[0, 0] == -128


def test_no_more_threads_than_tiles_are_reported() -> None:
    w, keys, values = small(24, 1)
    for tile_bytes, threads, n in ((None, 3, 1), (8 * 12, 5, 3), (8 * 12, 2, 2)):
        assert update(w, keys, values, HebbBatch(), engine="reference", threads=threads, tile_bytes=tile_bytes).threads == n
    np.save("w.npy", w)
    assert update("w.npy", keys, values, HebbBatch(), threads=3, tile_bytes=16 * 12, out="new.npy").threads == 2


def test_a_delta_write_from_a_file_is_read_back_as_it_was_written() -> None:
    keys = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]], np.float32)
    values = np.array([[1, 2, 3], [-7, 0.25, 100]], np.float32)
    new_matrix("w.zarr", 3, 4)
    update("w.zarr", keys, values, OuterProductRule(SquaredError()), out="new.npy")
    assert np.array_equal(keys @ np.load("new.npy").T, values)
    assert np.array_equal(zarr.open_array("w.zarr", mode="r")[:], np.zeros((3, 4)))


def test_oja_takes_no_values() -> None:
    w = np.array([[0.5, 0.25]], np.float32)
    update(w, [2.0, 0.0], None, OuterProductRule(Variance(), OjaRetention(), PlainStep(0.5)))
    assert np.array_equal(w, [[(1 - 0.5) * 0.5 + 0.5 * 2, (1 - 0.5) * 0.25]])  # y = 1


def test_the_traces_of_bcpnn_from_independent_units() -> None:
    """One pattern with step 1/2 from p = 1/4: p = 5/8 where active, 1/8 where not; p_ij = (1/16 + x y) / 2."""
    new_matrix("t.zarr", n_values=2, n_keys=3, activity=0.25)
    report = update("t.zarr", [1, 0, 0], [0, 1], BayesianHebbian(tau=2.0), out="new.zarr")
    new = {name: np.asarray(array[...]) for name, array in zarr.open_group("new.zarr", mode="r").arrays()}
    p_i, p_j = np.array([5, 1, 1]) / 8, np.array([1, 5]) / 8
    p_ij = (1 / 16 + np.outer([1, 0, 0], [0, 1])) / 2
    assert all(np.array_equal(new[name], exact) for name, exact in (("p_i", p_i), ("p_j", p_j), ("p_ij", p_ij)))
    # the kernel's own bound, (|w| + 8) 2^-24, for |w| <= log 4; of the bias one rounding of |log p| <= log 8
    assert np.abs(new["w"] - np.log(p_ij / np.outer(p_i, p_j))).max() <= (math.log(4) + 8) * 2**-24
    assert np.abs(new["bias"] - np.log(p_j)).max() <= math.log(8) * 2**-24
    assert (report.bytes_read, report.bytes_written) == (4 * 6, 8 * 6)  # 12 bytes a weight: p read, p and w written


# No bit depends on tiles, threads, chunks or files.

WHOLE = {
    "rank 1": (HebbBatch(0.3, 0.9, -2, 2), 1, lambda w, k, v: outer.decay_hebb(w, v[0], k[0], 0.9, 0.3, -2, 2)),
    "rank 8": (HebbBatch(0.3, 0.9, -2, 2), 8, lambda w, k, v: outer.decay_hebb_batch(w, v, k, 0.9, 0.3, -2, 2)),
    "rank 30": (HebbBatch(0.3, 0.9, -2, 2), 30, lambda w, k, v: outer.decay_hebb_batch(w, v, k, 0.9, 0.3, -2, 2)),
    "sum": (OuterProductRule(step=PlainStep(0.25)), 30, lambda w, k, v: outer.write(w, None, k, v, WriteRule(rate=0.25))),
    "delta": (DELTA, 3, lambda w, k, v: outer.write(w, None, k, v, job_code(DELTA))),
}


def job_code(rule: OuterProductRule) -> WriteRule:
    from neuromem.backends.tables.outer import encoded

    return encoded(rule)


HUBER = OuterProductRule(HuberError(0.5), Decay(0.9), PlainStep(0.1), -1.0, 1.0)
OJA = OuterProductRule(Variance(), OjaRetention(), PlainStep(0.01))
WHOLE["huber"] = (HUBER, 4, lambda w, k, v: outer.write(w, None, k, v, job_code(HUBER)))
WHOLE["oja"] = (OJA, 4, lambda w, k, v: outer.write(w, None, k, v, job_code(OJA)))


@pytest.mark.parametrize("name", WHOLE)
def test_tiles_are_the_whole_bit_for_bit(name: str) -> None:
    rule, m, whole = WHOLE[name]
    w, keys, values = floats(1, ROWS, COLUMNS), floats(2, m, COLUMNS) / 8, floats(3, m, ROWS)
    expected = w.copy()
    whole(expected, keys, values)  # the kernel, once, on all rows
    assert not np.array_equal(expected, w)
    for tile_bytes, threads in ((7 * 4 * COLUMNS, 3), (None, 1)):
        found = w.copy()
        update(found, keys, values, rule, tile_bytes=tile_bytes, threads=threads)
        assert np.array_equal(found, expected)
    np.save("w.npy", w)
    for source, out in (("w.npy", "a.npy"), (save_zarr("w.zarr", w, rows=90), "b.zarr"), ("w.zarr", "c.npy"), ("w.npy", "d.zarr")):
        update(source, keys, values, rule, out=out, threads=2, tile_bytes=None if out == "d.zarr" else 101 * 4 * COLUMNS)
        found = np.load(out) if out.endswith(".npy") else zarr.open_array(out, mode="r")[:]
        assert np.array_equal(found, expected), out
    assert np.array_equal(np.load("w.npy"), w)
    assert np.array_equal(zarr.open_array("w.zarr", mode="r")[:], w)


def test_counters_bcpnn_and_momentum_are_the_whole_bit_for_bit() -> None:
    rng = np.random.default_rng(4)
    w, keys, values = (rng.integers(-127, 128, shape).astype(np.int8) for shape in ((ROWS, COLUMNS), (5, COLUMNS), (5, ROWS)))
    expected = w.copy()
    pushed = counters.hebb_batch(expected, values, keys)
    report = update(save_zarr("c.zarr", w, rows=64), keys, values, HebbBatch(), out="c2.zarr", tile_bytes=64 * COLUMNS)
    assert (report.saturated, report.n_tiles) == (pushed, 10)
    assert np.array_equal(zarr.open_array("c2.zarr", mode="r")[:], expected)

    state = {"w": floats(1, ROWS, COLUMNS), "momentum": floats(2, ROWS, COLUMNS)}
    whole = {name: array.copy() for name, array in state.items()}
    rule = OuterProductRule(SquaredError(), Decay(0.9), MomentumStep(0.01, 0.5))
    pairs = floats(3, 4, COLUMNS), floats(4, 4, ROWS)
    outer.write(whole["w"], whole["momentum"], *pairs, job_code(rule))
    zarr.create_group("m.zarr", zarr_format=3)
    for name, array in state.items():
        save_zarr(f"m.zarr/{name}", array, rows=32)
    update("m.zarr", *pairs, rule, out="m2.zarr", tile_bytes=64 * 8 * COLUMNS)
    update(state, *pairs, rule, tile_bytes=7000)
    for name, array in whole.items():
        assert np.array_equal(state[name], array)
        assert np.array_equal(zarr.open_array(f"m2.zarr/{name}", mode="r")[:], array)

    x, y = (rng.random((3, n), np.float32) for n in (ROWS, COLUMNS))
    p_i, p_j = (rng.uniform(0.1, 0.5, n).astype(np.float32) for n in (ROWS, COLUMNS))
    traces = {"p_i": p_i, "p_j": p_j, "p_ij": np.outer(p_i, p_j), "w": np.zeros((ROWS, COLUMNS), np.float32), "bias": np.zeros_like(p_j)}
    ours = {name: array.copy() for name, array in traces.items()}
    for pre, post in zip(x, y, strict=True):
        bcpnn.traces_update(traces["p_i"], traces["p_j"], traces["p_ij"], traces["w"], traces["bias"], pre, post, 1 / 3.0)
    update(ours, x, y, BayesianHebbian(tau=3.0), tile_bytes=9999)
    for name, array in traces.items():
        assert np.array_equal(ours[name], array), name


def test_tiles_are_cut_at_chunks_and_no_row_is_read_or_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[tuple[int, int]]] = {"read": [], "write": []}
    for name, places in seen.items():
        plain = getattr(matrices.ZarrArray, name)

        def noting(self: Any, first: int, stop: int, *values: Any, plain: Any = plain, places: Any = places) -> Any:
            places.append((first, stop))
            return plain(self, first, stop, *values)

        monkeypatch.setattr(matrices.ZarrArray, name, noting)
    monkeypatch.setattr(job, "_copy_bandwidth", lambda *_: Copy(1, 1.0))
    w, keys, values = small(100)
    update(save_zarr("w.zarr", w, rows=9), keys, values, DELTA, out="new.zarr", tile_bytes=20 * 12)
    expected = [(first, min(first + 18, 100)) for first in range(0, 100, 18)]
    assert sorted(seen["read"]) == sorted(seen["write"]) == expected


@pytest.mark.parametrize(
    ("n_rows", "rows", "finished", "expected"),
    [
        (10, 4, [], [(0, 4), (4, 8), (8, 10)]),
        (10, 4, [(8, 10), (0, 4)], [(4, 8)]),
        (10, 3, [(4, 8)], [(0, 3), (3, 4), (8, 10)]),
        (4, 9, [(0, 4)], []),
    ],
)
def test_what_is_left_is_cut(n_rows: int, rows: int, finished: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert cut(n_rows, rows, finished) == expected


def test_a_new_matrix_keeps_chunks_codecs_and_attributes() -> None:
    w, keys, values = small()
    save_zarr(
        "w.zarr",
        w,
        8,
        compressors=[zarr.codecs.GzipCodec(level=2)],
        dimension_names=("value", "key"),
        attributes={"of": "me"},
        fill_value=7,
    )
    update(zarr.open_array("w.zarr", mode="r"), keys, values, DELTA, out="new.zarr")
    old, new = (zarr.open_array(path, mode="r") for path in ("w.zarr", "new.zarr"))
    assert old.metadata == new.metadata
    assert new.nchunks_initialized == new.nchunks


def test_a_memory_map_is_its_file() -> None:
    w, keys, values = small()
    np.save("w.npy", w)
    expected = w.copy()
    update(expected, keys, values, DELTA)
    with open("w.npy", "rb") as file:
        before = file.read()
    update(np.load("w.npy", mmap_mode="r+"), keys, values, DELTA, out="new.npy")
    assert np.array_equal(np.load("new.npy"), expected)
    assert Path("w.npy").read_bytes() == before
    with pytest.raises(SpecError) as error:
        update(np.load("w.npy", mmap_mode="r")[:7], keys, values[:, :7], DELTA, out="part.npy")
    assert str(error.value) == f"{Path.cwd()}/w.npy: the memory map is (7, 3) of float32, the file (40, 3) of float32; expected the whole."
