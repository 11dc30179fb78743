"""Learning rules for real-valued key -> value memories, composed: a loss, a retention and a step.

The memory is one matrix W (n_values x n_keys), read as ``y = W k``. A write of the pair (k, v)
descends the loss l(W; k, v), after what is there already was retained. All of the right-hand
side is taken before the write::

    e = -dl/dy                                      the error, a vector of n_values
    W <- clip(retain(W) + step(e k^T), w_min, w_max)

The rules of the literature are one line each::

    plain Hebb       OuterProductRule()
    decaying Hebb    OuterProductRule(retention=Decay(0.99))
    delta            OuterProductRule(SquaredError())
    Oja              OuterProductRule(Variance(), OjaRetention(), PlainStep(0.01))
    Oja, taught      OuterProductRule(DotProduct(), OjaRetention(), PlainStep(0.01))
    Huber            OuterProductRule(HuberError(0.05), step=PlainStep(0.5))
    momentum         OuterProductRule(SquaredError(), Decay(0.9995), MomentumStep(0.5, 0.5))
    orthogonal       OuterProductRule(SquaredError(), step=OrthogonalStep())

A delta write of a key of length 1 at rate 1 leaves exactly ``W k = v``. The squared error
diverges where rate |k|^2 is above 2.

Sources: correlation matrices doi:10.1109/TC.1972.5008975; the composition of loss, retention and
step, arXiv:2504.13173; further ones at each part.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar

from neuromem.errors import SpecError
from neuromem.quantities import is_number
from neuromem.spec.plasticity import PlasticityRule
from neuromem.spec.value import Value, named

LARGEST = sys.float_info.max
ABOVE_ZERO = math.ulp(0.0)  # the least number above 0


def _check(owner: Value, name: str, low: float, high: float, expected: str) -> None:
    """Raise ``SpecError`` unless the field ``name`` is one number from ``low`` to ``high``, both included."""
    value = getattr(owner, name)
    if not is_number(value) or not low <= value <= high:
        raise SpecError(f"{type(owner).__name__}: {name} = {value!r}; expected {expected}.")


class Loss(Value):
    """Base of the losses: what a write makes smaller, of the response ``y = W k`` and the value v."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class DotProduct(Loss):
    """``l = -v.y``, so ``e = v``: Hebb's rule (correlation matrix memory, doi:10.1109/TC.1972.5008975)."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class SquaredError(Loss):
    """``l = |v - y|^2 / 2``, so ``e = v - y``: the delta rule (Widrow and Hoff 1960; as a memory, arXiv:2102.11174)."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class HuberError(Loss):
    """``e = v - y``, each component bounded to [-delta, delta]: outliers pull no harder than ``delta``.

    ``l = sum_i h(v_i - y_i)`` with ``h(x) = x^2 / 2`` up to ``|x| = delta`` and
    ``delta (|x| - delta / 2)`` beyond (doi:10.1214/aoms/1177703732; as a memory, arXiv:2504.13173).
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "delta", ABOVE_ZERO, LARGEST, "a finite number above 0")


@named
@dataclass(frozen=True, eq=False, repr=False)
class PowerError(Loss):
    """``l = sum_i |v_i - y_i|^p / p``, so ``e_i = sign(v_i - y_i) |v_i - y_i|^(p - 1)`` (arXiv:2504.13173).

    p = 2 is the squared error; p near 1 is robust to outliers, a larger p is the opposite.
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        _check(self, "p", 1.0, LARGEST, "a finite number, at least 1")


@named
@dataclass(frozen=True, eq=False, repr=False)
class Variance(Loss):
    """``l = -|y|^2 / 2``, so ``e = y``: the response reinforces itself and the value plays no part (doi:10.1007/BF00275687)."""


class Retention(Value):
    """Base of the retentions: what a write leaves of the matrix."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class Keep(Retention):
    """``retain(W) = W``."""


@named
@dataclass(frozen=True, eq=False, repr=False)
class Decay(Retention):
    """``retain(W) = gamma W``: what was written L writes ago counts gamma^L (arXiv:2501.00663, with gamma = 1 - alpha)."""

    gamma: float

    def __post_init__(self) -> None:
        _check(self, "gamma", 0.0, 1.0, "a number from 0 to 1")


@named
@dataclass(frozen=True, eq=False, repr=False)
class OjaRetention(Retention):
    """``retain(W)_i = (1 - rate e_i^2) W_i``, with the step's rate: a row shrinks as it is written, and its length tends to 1.

    With ``Variance()`` and a plain step this is ``W_i <- W_i + rate y_i (k - y_i W_i)`` (doi:10.1007/BF00275687).
    """


class Step(Value):
    """Base of the steps: how the descent is taken; ``rate`` is its length."""

    rate: float

    def _check_rate(self) -> None:
        _check(self, "rate", ABOVE_ZERO, LARGEST, "a finite number above 0")


@named
@dataclass(frozen=True, eq=False, repr=False)
class PlainStep(Step):
    """``step(e k^T) = rate e k^T``."""

    rate: float = 1.0

    def __post_init__(self) -> None:
        self._check_rate()


@named
@dataclass(frozen=True, eq=False, repr=False)
class MomentumStep(Step):
    """``S <- momentum S + rate e k^T``, and S is added: earlier surprise goes on writing (arXiv:2501.00663).

    S (n_values x n_keys) begins at 0 and is part of the memory's state.
    """

    rate: float = 1.0
    momentum: float = 0.5

    def __post_init__(self) -> None:
        self._check_rate()
        _check(self, "momentum", 0.0, math.nextafter(1.0, 0.0), "a number, at least 0 and below 1")


@named
@dataclass(frozen=True, eq=False, repr=False)
class OrthogonalStep(Step):
    """Each slot takes only what is new to it (arXiv:2504.05646).

    The slots are the columns s_j of W, one for each component of the key::

        s_j <- retain(s_j) + rate k_j (e - (s_j.e) s_j / |s_j|^2)

    An empty slot (s_j = 0) takes all of e.
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        self._check_rate()


@named
@dataclass(frozen=True, eq=False, repr=False)
class OuterProductRule(PlasticityRule):
    """A rule for key -> value memories: ``loss`` x ``retention`` x ``step``, and the range of the weights."""

    loss: Loss = DotProduct()
    retention: Retention = Keep()
    step: Step = PlainStep()
    w_min: float = -math.inf
    w_max: float = math.inf

    _PARTS: ClassVar[dict[str, tuple[type[Value], str]]] = {
        "loss": (Loss, "DotProduct(), SquaredError(), HuberError(...), PowerError(...) or Variance()"),
        "retention": (Retention, "Keep(), Decay(...) or OjaRetention()"),
        "step": (Step, "PlainStep(...), MomentumStep(...) or OrthogonalStep(...)"),
    }

    def __post_init__(self) -> None:
        for name, (base, expected) in self._PARTS.items():
            if not isinstance(getattr(self, name), base):
                raise SpecError(f"OuterProductRule: {name} = {getattr(self, name)!r}; expected {expected}.")
        _check(self, "w_min", -math.inf, LARGEST, "a number, or -inf for no bound")
        _check(self, "w_max", self.w_min, math.inf, f"a number, at least w_min = {self.w_min:g}, or inf for no bound")

    @property
    def order_matters(self) -> bool:
        """Whether another order of the same writes gives another matrix.

        Only plain Hebb without bounds is a sum; its writes can be made at once. For all others M
        pairs are M single writes, one after the other.
        """
        summed = isinstance(self.loss, DotProduct) and isinstance(self.retention, Keep) and isinstance(self.step, PlainStep)
        return not (summed and self.w_min == -math.inf and self.w_max == math.inf)

    @property
    def forgettable(self) -> bool:
        """Whether writing (k, -v) takes (k, v) out again, as if it had never been written (but for rounding).

        Where it does not, what is overwritten or decays is gone, and what else was written since depends on it.
        """
        return not self.order_matters
