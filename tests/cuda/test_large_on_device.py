"""Tiles of large matrices on a device: the same updates as on the host, whatever the tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import emulated
import numpy as np
import pytest

from neuromem.errors import NeuromemError
from neuromem.large import HebbBatch, update
from neuromem.spec import BayesianHebbian, Decay, DotProduct, OjaRetention, OuterProductRule, PlainStep, SquaredError, Variance

N_VALUES, N_KEYS, PAIRS = 37, 70, 3
ROUND = 2.0**-24  # half of the spacing of float32 at 1


@pytest.fixture(autouse=True)
def device() -> None:
    emulated.install()


def drawn(dtype: Any, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix, keys and values whose sums of products are exact in float32: few bits each."""
    rng = np.random.default_rng(seed)
    w, keys, values = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((N_VALUES, N_KEYS), (PAIRS, N_KEYS), (PAIRS, N_VALUES)))
    return w, keys, values


@pytest.mark.parametrize("tile_bytes", [4 * N_KEYS, 4 * N_KEYS * 5, 1 << 20], ids=["row by row", "five rows", "at once"])
@pytest.mark.parametrize(
    "rule",
    [
        HebbBatch(0.5, 0.5, -2.25, 2.25),
        OuterProductRule(DotProduct(), Decay(1.0), PlainStep(0.25)),
        OuterProductRule(SquaredError(), Decay(0.5), PlainStep(2.0**-6)),
        OuterProductRule(Variance(), OjaRetention(), PlainStep(2.0**-10)),
    ],
    ids=str,
)
def test_as_the_reference(rule: Any, tile_bytes: int, tmp_path: Path) -> None:
    """Whole numbers and powers of two: what the rules have for one pair is exact, and the others follow within roundings of sums of 70 products."""
    w, keys, values = drawn(np.float32)
    np.save(tmp_path / "w.npy", w)
    wanted = w.copy()
    update(wanted, keys, values, rule, engine="reference", threads=1)
    report = update(tmp_path / "w.npy", keys, values, rule, out=tmp_path / "new.npy", engine="cupy", tile_bytes=tile_bytes, threads=3)
    found = np.load(tmp_path / "new.npy")
    assert report.engine == "cupy"
    size = float(np.abs(wanted).max() + np.abs(w).max() * np.abs(keys).max() * N_KEYS)
    assert np.abs(found - wanted).max() <= (0.0 if isinstance(rule, HebbBatch) else PAIRS * (N_KEYS + 4) * ROUND * size)
    assert not np.array_equal(found, w)


def test_eight_bits_and_what_saturates(tmp_path: Path) -> None:
    w, keys, values = drawn(np.int8)
    w = (w * 42).astype(np.int8)
    wanted = w.copy()
    told = update(wanted, keys, values, HebbBatch(), engine="reference")
    report = update(w, keys, values, HebbBatch(), engine="cupy")
    assert np.array_equal(w, wanted)
    assert report.saturated == told.saturated
    assert told.saturated


def test_traces_of_bcpnn() -> None:
    rng = np.random.default_rng(2)
    pre, post = (rng.random((PAIRS, n)).astype(np.float32) for n in (N_VALUES, N_KEYS))

    def tables() -> dict[str, np.ndarray]:
        p_ij = np.full((N_VALUES, N_KEYS), 0.01, np.float32)
        p_i, p_j = np.full(N_VALUES, 0.1, np.float32), np.full(N_KEYS, 0.1, np.float32)
        return {"p_ij": p_ij, "w": np.zeros_like(p_ij), "p_i": p_i, "p_j": p_j, "bias": np.log(p_j)}

    on_host, on_device = tables(), tables()
    for engine, where in (("reference", on_host), ("cupy", on_device)):
        update(where, pre, post, BayesianHebbian(tau=10.0), engine=engine)
    for name in ("p_ij", "p_i", "p_j", "bias"):  # an addition and two products, as written, on both
        assert np.array_equal(on_host[name], on_device[name]), name
    # the logarithm: of two traces that are each rounded, and rounded itself, 4 of its size
    assert np.abs(on_host["w"] - on_device["w"]).max() <= 2 * (3 + 4 * np.abs(on_host["w"]).max()) * ROUND


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    w, keys, values = drawn(np.float32)
    np.save(tmp_path / "w.npy", w)
    with pytest.raises(NeuromemError, match="not finite"):
        update(tmp_path / "w.npy", keys, values, HebbBatch(rate=3e38), out=tmp_path / "new.npy", engine="cupy")
    assert not (tmp_path / "new.npy").exists()
    assert np.array_equal(np.load(tmp_path / "w.npy"), w)
