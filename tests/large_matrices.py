"""What the tests of large updates share."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

from neuromem.spec.outer_product import (
    OuterProductRule,
    PlainStep,
    SquaredError,
)

DELTA = OuterProductRule(SquaredError(), step=PlainStep(0.5))


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def small(n: int = 40, m: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix of n rows and 3 columns of small numbers, keys and values."""
    return floats(1, n, 3), floats(2, m, 3), floats(3, m, n)


def save_zarr(path: str, array: np.ndarray, rows: int, **more: Any) -> str:
    zarr.create_array(path, data=array, chunks=(rows, max(1, array.shape[1] // 2)), zarr_format=3, **more)
    return path
