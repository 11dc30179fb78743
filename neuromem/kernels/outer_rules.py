"""Composed writes as numbers: what ``write`` of the outer-product kernels takes in place of a rule.

For a pair (k, v) and the matrix W before the write, with y = W k::

    e_i   = v_i                                      DOT_PRODUCT
            v_i - y_i                                SQUARED_ERROR
            v_i - y_i within [-parameter, parameter] HUBER_ERROR
            sign(v_i - y_i) |v_i - y_i|^(parameter - 1)  POWER_ERROR
            y_i                                      VARIANCE
    R_i   = gamma W_i                                DECAY (gamma = 1 keeps all)
            (1 - rate e_i^2) W_i                     OJA
    D     = rate e k^T                               PLAIN
            S <- momentum S + rate e k^T             MOMENTUM
            rate k_j (e - (s_j.e) s_j / |s_j|^2)     ORTHOGONAL, for each column s_j of W
    W    <- clip(R + D, low, high)
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple


class Loss(IntEnum):
    """What is descended."""

    DOT_PRODUCT = 0
    SQUARED_ERROR = 1
    HUBER_ERROR = 2
    POWER_ERROR = 3
    VARIANCE = 4


class Retention(IntEnum):
    """What is kept."""

    DECAY = 0
    OJA = 1


class Step(IntEnum):
    """How the descent is taken."""

    PLAIN = 0
    MOMENTUM = 1
    ORTHOGONAL = 2


class WriteRule(NamedTuple):
    """One composed rule; ``parameter`` is the loss's."""

    loss: Loss = Loss.DOT_PRODUCT
    parameter: float = 0.0
    retention: Retention = Retention.DECAY
    gamma: float = 1.0
    step: Step = Step.PLAIN
    rate: float = 1.0
    momentum: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    @property
    def is_a_sum(self) -> bool:
        """Whether writes add up without regard to their order: plain Hebb without bounds."""
        return (self.loss, self.retention, self.gamma, self.step, self.low, self.high) == (
            Loss.DOT_PRODUCT, Retention.DECAY, 1.0, Step.PLAIN, -math.inf, math.inf,
        )  # fmt: skip
