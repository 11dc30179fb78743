"""Hetero-association of keys and values in one matrix W, read as ``y = W k``, written by a composed rule.

A write of the pair (k, v) is loss x retention x step (``neuromem.spec.outer_product`` has the equations; arXiv:2504.13173)::

    e = -d loss / dy         W <- clip(retain(W) + step(e k^T), w_min, w_max)

=============  ======================================================================================
``loss``       ``dot`` (e = v, Hebb), ``squared`` (e = v - y, the delta rule), ``huber`` (``delta``), ``power`` (``p``), ``variance`` (Oja)
``retention``  ``keep``, ``decay`` (``gamma``), ``oja``
``step``       ``plain``, ``momentum`` (``momentum``), ``orthogonal``; all with ``rate``
=============  ======================================================================================

Plain Hebb is the default. Its error with n random unit keys of d units and values of length 1 is (n - 1) / d
(correlation matrix memories, doi:10.1109/TC.1972.5008975). ``units = "bipolar"``: keys and values of -1 and 1, plain Hebb,
values read as signs.
"""

from __future__ import annotations

from neuromem.errors import SpecError, nearest
from neuromem.quantities import check_units
from neuromem.spec import (
    AllToAllConnector,
    Decay,
    DotProduct,
    Hebbian,
    HuberError,
    Keep,
    Linear,
    Loss,
    MemoryModel,
    MomentumStep,
    Network,
    OjaRetention,
    OrthogonalStep,
    OuterProductRule,
    PatternSource,
    PlainStep,
    Population,
    PowerError,
    Projection,
    Retention,
    Role,
    Sign,
    SquaredError,
    StaticSynapse,
    Step,
    Trial,
    Update,
    Variance,
)


def hetero(
    n: int = 64,
    n_content: int | None = None,
    units: str = "real",
    loss: str = "dot",
    retention: str = "keep",
    step: str = "plain",
    rate: float = 1.0,
    gamma: float = 0.99,
    momentum: float = 0.5,
    delta: float = 0.05,
    p: float = 3.0,
    w_min: float | None = None,
    w_max: float | None = None,
) -> MemoryModel:
    """Return a memory from keys of ``n`` units to values of ``n_content`` (default: n) units; numbers that the rule has no use for are checked all the same."""
    m = n if n_content is None else n_content
    check_units("hetero", n)
    check_units("hetero", m)
    if units not in ("real", "bipolar"):
        raise SpecError(f"hetero: units = {units!r}; expected 'real' or 'bipolar'{nearest(str(units), ('real', 'bipolar'))}.")
    losses: dict[str, Loss] = {
        "dot": DotProduct(), "squared": SquaredError(), "huber": HuberError(delta), "power": PowerError(p), "variance": Variance(),
    }  # fmt: skip
    retentions: dict[str, Retention] = {"keep": Keep(), "decay": Decay(gamma), "oja": OjaRetention()}
    steps: dict[str, Step] = {"plain": PlainStep(rate), "momentum": MomentumStep(rate, momentum), "orthogonal": OrthogonalStep(rate)}
    if loss == "delta":
        raise SpecError("hetero: loss = 'delta'; the delta rule is loss = 'squared' (delta is the width of 'huber').")
    for name, value, valid in (("loss", loss, losses), ("retention", retention, retentions), ("step", step, steps)):
        if value not in tuple(valid):  # a tuple: not all values can be looked up in a dict
            raise SpecError(f"hetero: {name} = {value!r}; expected one of {', '.join(valid)}{nearest(str(value), valid)}.")
    if units == "bipolar" and (loss, retention, step, w_min, w_max) != ("dot", "keep", "plain", None, None):
        raise SpecError(
            "hetero: a rule other than plain Hebb with bipolar units; expected loss='dot', retention='keep', step='plain', or units='real'."
        )
    bounds = {name: value for name, value in (("w_min", w_min), ("w_max", w_max)) if value is not None}
    plasticity = Hebbian() if units == "bipolar" else OuterProductRule(losses[loss], retentions[retention], steps[step], **bounds)
    cue = Population("cue", n, PatternSource("bipolar" if units == "bipolar" else "real"), "cue")
    content = Population("content", m, Sign() if units == "bipolar" else Linear(), "content")
    projection = Projection("cue", "content", AllToAllConnector(), StaticSynapse(), plasticity=plasticity)
    return MemoryModel(
        name="hetero",
        title="Key -> value memory with a composed rule",
        reference="doi:10.1109/TC.1972.5008975",
        network=Network((cue, content), (projection,)),
        roles=(Role("cue", cue[0:n], cue[0:n]), Role("content", content[0:m], content[0:m])),
        update=Update("single"),
        parameters={
            "n": n, "n_content": n_content, "units": units, "loss": loss, "retention": retention, "step": step, "rate": rate, "gamma": gamma,
            "momentum": momentum, "delta": delta, "p": p, "w_min": w_min, "w_max": w_max,
        },
    )  # fmt: skip


PROTOCOLS = {"trial": Trial(n_patterns=6)}
