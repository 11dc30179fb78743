"""Real-valued key -> value memories: one float32 matrix, written by a composed rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuromem.backends.tables.base import Kernels, Table
from neuromem.errors import SpecError
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels import outer_rules as k
from neuromem.spec import outer_product as spec

_LOSSES = {
    spec.DotProduct: k.Loss.DOT_PRODUCT,
    spec.SquaredError: k.Loss.SQUARED_ERROR,
    spec.HuberError: k.Loss.HUBER_ERROR,
    spec.PowerError: k.Loss.POWER_ERROR,
    spec.Variance: k.Loss.VARIANCE,
}
_STEPS = {spec.PlainStep: k.Step.PLAIN, spec.MomentumStep: k.Step.MOMENTUM, spec.OrthogonalStep: k.Step.ORTHOGONAL}


def encoded(rule: spec.OuterProductRule) -> k.WriteRule:
    """Return the rule as the numbers that kernels take."""
    loss, retention, step = rule.loss, rule.retention, rule.step
    return k.WriteRule(
        loss=_LOSSES[type(loss)],
        parameter=float(getattr(loss, "delta", getattr(loss, "p", 0.0))),
        retention=k.Retention.OJA if isinstance(retention, spec.OjaRetention) else k.Retention.DECAY,
        gamma=float(getattr(retention, "gamma", 1.0)),
        step=_STEPS[type(step)],
        rate=float(step.rate),
        momentum=float(getattr(step, "momentum", 0.0)),
        low=float(rule.w_min),
        high=float(rule.w_max),
    )


class OuterTable(Table):
    """``matrix`` (n_values, n_keys), and the momentum S of rules that have one."""

    def __init__(self, program: MatrixProgram, kernels: Kernels) -> None:
        super().__init__(program, kernels)
        assert isinstance(program.rule, spec.OuterProductRule)
        self.rule, self.write = program.rule, encoded(program.rule)
        shape = program.post.size, program.pre.size
        self.matrix: np.ndarray = self.arrays.zeros(shape, np.float32)
        self.momentum = self.arrays.zeros(shape, np.float32) if self.write.step == k.Step.MOMENTUM else None

    def store(self, pre: np.ndarray, post: np.ndarray) -> None:
        """See ``Table.store``."""
        if self.write.is_a_sum:  # order does not matter: all at once
            self.kernels.outer.decay_hebb_batch(self.matrix, post, pre, 1.0, self.write.rate, threads=self.threads)
        else:
            self.kernels.outer.write(self.matrix, self.momentum, pre, post, self.write, threads=self.threads)
        self._check_finite()
        self.n_stored += len(pre)

    def _check_finite(self) -> None:
        """Raise ``SpecError`` when weights have left the numbers: writes that overshoot grow without bound."""
        with np.errstate(invalid="ignore", over="ignore"):
            total = self.number(self.matrix.sum())  # one pass; infinite or NaN if any weight is
        if not np.isfinite(total) and not self.number(self.xp.isfinite(self.matrix).all()):
            size = "rate |k|^2 at most 1 (above 2, the error of a key grows with every write)"
            raise SpecError(
                f"{self.program.name}, store: the weights are not finite any more, and what was stored is lost: rate = {self.rule.step.rate:g} "
                f"is too large for these keys; expected {size}. Build the memory anew with a smaller rate or shorter keys."
            )

    def forget(self, pre: np.ndarray, post: np.ndarray) -> None:
        """See ``Table.forget``: the writes of a sum are undone by writing their negatives; a sum cannot tell what it is made of."""
        if not self.rule.forgettable:
            super().forget(pre, post)
        if len(pre) > self.n_stored:
            raise SpecError(f"{self.program.name}: forget; {len(pre)} pairs of {self.n_stored} stored: expected pairs that were stored.")
        self.kernels.outer.decay_hebb_batch(self.matrix, -post, pre, 1.0, self.write.rate, threads=self.threads)
        self.n_stored -= len(pre)

    def support(self, state: np.ndarray) -> np.ndarray:
        """See ``Table.support``."""
        values: np.ndarray = self.kernels.outer.read(self.matrix, state, threads=self.threads)
        return values

    def weights(self) -> np.ndarray:
        """See ``Table.weights``."""
        return self.snapshot(self.matrix.T)

    def saved(self) -> dict[str, Any]:
        """See ``Table.saved``."""
        return {
            "matrix": self.snapshot(self.matrix),
            "momentum": None if self.momentum is None else self.snapshot(self.momentum),
            "n_stored": self.n_stored,
        }

    def load(self, arrays: Mapping[str, Any]) -> None:
        """See ``Table.load``."""
        self.matrix, self.momentum, self.n_stored = arrays["matrix"], arrays["momentum"], arrays["n_stored"]
