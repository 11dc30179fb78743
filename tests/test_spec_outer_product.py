"""Composed outer-product rules: what they say of themselves, what they refuse, and the numbers they become."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from neuromem.backends.tables.outer import encoded
from neuromem.errors import SpecError
from neuromem.kernels.outer_rules import Loss, Retention, Step, WriteRule
from neuromem.spec import outer_product
from neuromem.spec.outer_product import (
    Decay,
    DotProduct,
    HuberError,
    Keep,
    MomentumStep,
    OjaRetention,
    OrthogonalStep,
    OuterProductRule,
    PlainStep,
    PowerError,
    SquaredError,
    Variance,
)

NUMBERS = {
    OuterProductRule(): WriteRule(),
    OuterProductRule(retention=Decay(0.99)): WriteRule(gamma=0.99),
    OuterProductRule(SquaredError()): WriteRule(Loss.SQUARED_ERROR),
    OuterProductRule(Variance(), OjaRetention(), PlainStep(0.01)): WriteRule(Loss.VARIANCE, retention=Retention.OJA, rate=0.01),
    OuterProductRule(DotProduct(), OjaRetention(), PlainStep(0.01)): WriteRule(retention=Retention.OJA, rate=0.01),
    OuterProductRule(HuberError(0.05), step=PlainStep(0.5)): WriteRule(Loss.HUBER_ERROR, 0.05, rate=0.5),
    OuterProductRule(SquaredError(), Decay(0.9995), MomentumStep(0.5, 0.25)): WriteRule(
        Loss.SQUARED_ERROR, gamma=0.9995, step=Step.MOMENTUM, rate=0.5, momentum=0.25
    ),
    OuterProductRule(SquaredError(), step=OrthogonalStep()): WriteRule(Loss.SQUARED_ERROR, step=Step.ORTHOGONAL),
    OuterProductRule(PowerError(1.5), w_min=-1.0, w_max=2.0): WriteRule(Loss.POWER_ERROR, 1.5, low=-1.0, high=2.0),
}


@pytest.mark.parametrize("rule", NUMBERS, ids=repr)
def test_rules_become_numbers(rule: OuterProductRule) -> None:
    assert encoded(rule) == NUMBERS[rule]


def test_every_part_has_its_number() -> None:
    losses = [DotProduct(), SquaredError(), HuberError(), PowerError(), Variance()]
    assert {encoded(OuterProductRule(loss=loss)).loss for loss in losses} == set(Loss)
    assert [type(loss) for loss in losses] == outer_product.Loss.__subclasses__()
    retentions = [Keep(), Decay(0.5), OjaRetention()]
    assert {encoded(OuterProductRule(retention=retention)).retention for retention in retentions} == set(Retention)
    assert [type(retention) for retention in retentions] == outer_product.Retention.__subclasses__()
    steps = [PlainStep(), MomentumStep(), OrthogonalStep()]
    assert {encoded(OuterProductRule(step=step)).step for step in steps} == set(Step)
    assert [type(step) for step in steps] == outer_product.Step.__subclasses__()


def test_the_one_line_rules_of_the_docstring_are_rules() -> None:
    lines = [line.split("OuterProductRule(", 1)[1] for line in (outer_product.__doc__ or "").splitlines() if "  OuterProductRule(" in line]
    made = [eval(f"OuterProductRule({line}", vars(outer_product)) for line in lines]
    assert len({repr(rule) for rule in made}) == 8


@pytest.mark.parametrize("rule", NUMBERS, ids=repr)
def test_only_plain_hebb_is_a_sum(rule: OuterProductRule) -> None:
    assert rule.order_matters is (rule != OuterProductRule())
    assert rule.forgettable is not rule.order_matters
    assert encoded(rule).is_a_sum is not rule.order_matters


def test_a_decay_of_1_keeps_all_and_a_bound_makes_order_matter() -> None:
    assert encoded(OuterProductRule(retention=Decay(1.0))) == encoded(OuterProductRule(retention=Keep()))
    assert OuterProductRule(w_max=1.0).order_matters
    assert OuterProductRule(step=PlainStep(0.1)).forgettable


def test_rules_are_values() -> None:
    a, b = OuterProductRule(HuberError(0.5)), OuterProductRule(loss=HuberError(delta=0.5))
    assert a == b
    assert hash(a) == hash(b)
    assert a != OuterProductRule(HuberError(0.25))
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.w_min = 0.0  # type: ignore[misc]


TEXTS: dict[str, Callable[[], object]] = {
    "HuberError: delta = 0.0; expected a finite number above 0.": lambda: HuberError(0.0),
    "HuberError: delta = inf; expected a finite number above 0.": lambda: HuberError(math.inf),
    "PowerError: p = 0.5; expected a finite number, at least 1.": lambda: PowerError(0.5),
    "PowerError: p = 'two'; expected a finite number, at least 1.": lambda: PowerError("two"),  # type: ignore[arg-type]
    "Decay: gamma = 1.5; expected a number from 0 to 1.": lambda: Decay(1.5),
    "Decay: gamma = nan; expected a number from 0 to 1.": lambda: Decay(math.nan),
    "Decay: gamma is missing; expected Decay(gamma=...).": lambda: Decay(),  # type: ignore[call-arg]
    "PlainStep: rate = 0; expected a finite number above 0.": lambda: PlainStep(0),
    "OrthogonalStep: rate = True; expected a finite number above 0.": lambda: OrthogonalStep(True),
    "MomentumStep: momentum = 1.0; expected a number, at least 0 and below 1.": lambda: MomentumStep(0.5, 1.0),
    "OuterProductRule: loss = Keep(); expected DotProduct(), SquaredError(), HuberError(...), PowerError(...) or Variance().": (
        lambda: OuterProductRule(Keep())  # type: ignore[arg-type]
    ),
    "OuterProductRule: step = 0.5; expected PlainStep(...), MomentumStep(...) or OrthogonalStep(...).": (
        lambda: OuterProductRule(step=0.5)  # type: ignore[arg-type]
    ),
    "OuterProductRule: w_min = inf; expected a number, or -inf for no bound.": lambda: OuterProductRule(w_min=math.inf),
    "OuterProductRule: w_max = 1.0; expected a number, at least w_min = 2, or inf for no bound.": lambda: OuterProductRule(
        w_min=2.0, w_max=1.0
    ),
    "OuterProductRule: no parameter 'retain'; it has loss, retention, step, w_min, w_max (did you mean 'retention'?).": (
        lambda: OuterProductRule(retain=Keep())  # type: ignore[call-arg]
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_refusals(text: str) -> None:
    with pytest.raises(SpecError) as error:
        TEXTS[text]()
    assert str(error.value) == text
