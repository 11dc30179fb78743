"""What theory says of a memory that holds so many patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import Patterns


@dataclass(frozen=True)
class Prediction:
    """Whether a memory holds more than it can recall, and the predicted error in words."""

    overloaded: bool
    text: str


def predicted_errors(program: MatrixProgram, n_stored: int, post: Patterns | np.ndarray) -> Prediction | None:
    """Return the prediction, or None where no theory is known for the rule."""
    return None
