"""What an update does to a tile of whole rows: one ``Operation`` a kind of rule, which hands the tile to a kernel.

Every operation here is local to rows: the new row follows from the old one and the pairs alone. So tiles can be done in any order,
and the matrix is the same, bit for bit, however it was cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from neuromem.backends.tables.outer import encoded
from neuromem.errors import SpecError, UnsupportedError
from neuromem.kernels.reference.bcpnn import traces_update
from neuromem.kernels.reference.counters import HIGH, LOW, MOST_PAIRS
from neuromem.quantities import is_number
from neuromem.spec.hebbian import BayesianHebbian
from neuromem.spec.outer_product import MomentumStep, OrthogonalStep, OuterProductRule, Variance
from neuromem.spec.plasticity import PlasticityRule
from neuromem.spec.value import named

Arrays = dict[str, Any]
"""Name -> array of the engine's kind: NumPy's, or a device's."""

FEW_PAIRS = 8  # up to so many, no kernel uses BLAS

IN_EIGHT_BITS = "changes below one step of 8 bits would be rounded away every time; expected float32, or HebbBatch(...) of whole numbers"


@named
@dataclass(frozen=True, eq=False, repr=False)
class HebbBatch(PlasticityRule):
    """``W <- clip(decay W + rate sum_m v_m k_m^T, w_min, w_max)``: all pairs at once, with one decay and one clip.

    For float32 matrices, and for int8 ones with ``rate`` = ``decay`` = 1 and whole bounds (-127 and 127 where none are given, so that -128 is
    clipped, which the report counts; ``w_min=-128`` keeps it). With
    one pair it is what ``OuterProductRule(DotProduct(), Decay(decay), PlainStep(rate), w_min, w_max)`` does for each pair in turn.
    """

    rate: float = 1.0
    decay: float = 1.0
    w_min: float = -math.inf
    w_max: float = math.inf

    def __post_init__(self) -> None:
        for name, expected, holds in (
            ("rate", "a finite number", lambda x: math.isfinite(x)),
            ("decay", "a number from 0 to 1", lambda x: 0.0 <= x <= 1.0),
            ("w_min", "a number, or -inf for no bound", lambda x: x < math.inf),
            ("w_max", f"a number, at least w_min = {self.w_min!r}, or inf for no bound", lambda x: x >= self.w_min and x > -math.inf),
        ):
            value = getattr(self, name)
            if not is_number(value) or not holds(value):
                raise SpecError(f"HebbBatch: {name} = {value!r}; expected {expected}.")


class Operation:
    """A rule with its pairs, ready for the tiles of one matrix.

    ``matrices`` are the tables that are cut into tiles, ``reads`` those whose old values are needed, ``vectors`` the small
    arrays beside them. ``at_rows`` (M, n_rows) and ``at_columns`` (M, n_columns) are the pairs.
    """

    matrices: ClassVar[tuple[str, ...]] = ("w",)
    reads: ClassVar[tuple[str, ...]] = ("w",)
    vectors: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[bool] = False
    """Whether ``apply`` returns how many weights were pushed to a bound."""
    good_rows: int = 8
    """Tiles of multiples of so many rows are computed quickest."""

    def __init__(self, rule: Any, keys: np.ndarray, values: np.ndarray) -> None:
        self.at_rows, self.at_columns, self.text = values, keys, repr(rule)

    def apply(self, kernels: Any, tile: Arrays, at_rows: Any, at_columns: Any, vectors: Arrays, first: int, stop: int) -> int:
        """Change the rows ``first`` to ``stop``, which ``tile`` holds, in place, with the kernel modules ``outer``, ``bcpnn`` and ``counters`` of
        ``kernels``. All arrays are of the engine's kind; ``at_rows``, ``at_columns`` and ``vectors`` are whole, and not changed.
        """
        raise NotImplementedError

    def beyond(self, tile: Arrays) -> int:
        """Return how many weights of a tile, not changed yet, lie beyond bounds that are narrower than the type; 0 where that is not counted."""
        return 0

    def final_vectors(self, vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the small arrays as they are after the update."""
        return {}


class Batch(Operation):
    """``HebbBatch`` on float32, and the ``OuterProductRule`` that is a sum: rank 1 or rank M."""

    def __init__(self, rule: Any, keys: np.ndarray, values: np.ndarray) -> None:
        super().__init__(rule, keys, values)
        summed = rule if isinstance(rule, HebbBatch) else HebbBatch(rule.step.rate)
        self.scalars = (summed.decay, summed.rate, summed.w_min, summed.w_max)
        if len(keys) > FEW_PAIRS:
            self.good_rows = 256

    def apply(self, kernels: Any, tile: Arrays, at_rows: Any, at_columns: Any, vectors: Arrays, first: int, stop: int) -> int:
        """See ``Operation.apply``."""
        w = tile["w"]
        if len(at_columns) == 1:
            kernels.outer.decay_hebb(w, at_rows[0, first:stop], at_columns[0], *self.scalars)
        elif len(at_columns) <= FEW_PAIRS or not hasattr(kernels.outer, "PANEL_ROWS"):
            kernels.outer.decay_hebb_batch(w, at_rows[:, first:stop], at_columns, *self.scalars)
        else:
            self._in_panels(kernels.outer, w, at_rows, at_columns, first, stop)
        return 0

    def _in_panels(self, outer: Any, w: np.ndarray, at_rows: np.ndarray, at_columns: np.ndarray, first: int, stop: int) -> None:
        """Give the kernel the panels that it would cut the whole matrix into: how BLAS rounds depends on a panel's shape."""
        size, n = outer.PANEL_ROWS, at_rows.shape[1]
        for begin in range(first // size * size, stop, size):
            end = min(begin + size, n)
            low, high = max(begin, first), min(end, stop)
            rows = w[low - first : high - first]
            whole = rows if high - low == end - begin else np.zeros((end - begin, w.shape[1]), w.dtype)
            part = whole[low - begin : high - begin]
            if whole is not rows:
                part[:] = rows
            outer.decay_hebb_batch(whole, at_rows[:, begin:end], at_columns, *self.scalars)
            if whole is not rows:
                rows[:] = part


class Counters(Operation):
    """``HebbBatch`` on int8."""

    counts = True

    def __init__(self, rule: HebbBatch, keys: np.ndarray, values: np.ndarray) -> None:
        super().__init__(rule, keys, values)
        if (rule.rate, rule.decay) != (1, 1):
            raise UnsupportedError(
                f"update: rate = {rule.rate:g} and decay = {rule.decay:g} on an int8 matrix; {IN_EIGHT_BITS}, with rate = decay = 1."
            )
        bounds = [LOW if rule.w_min == -math.inf else rule.w_min, HIGH if rule.w_max == math.inf else rule.w_max]
        if any(b != int(b) or not -128 <= b <= 127 for b in bounds):
            raise SpecError(
                f"update: w_min = {rule.w_min:g} and w_max = {rule.w_max:g} on an int8 matrix; expected whole numbers from -128 to 127."
            )
        if len(keys) > MOST_PAIRS:
            raise SpecError(
                f"update: {len(keys)} pairs at once on an int8 matrix; expected at most {MOST_PAIRS}: give them in several updates."
            )
        self.bounds = [int(b) for b in bounds]
        self.text = repr(replace(rule, w_min=self.bounds[0], w_max=self.bounds[1]))

    def beyond(self, tile: Arrays) -> int:
        """See ``Operation.beyond``."""
        w, (low, high) = tile["w"], self.bounds
        found = 0
        if low > -128 and w.size and int(w.min()) < low:
            found += int((w < low).sum())
        if high < 127 and w.size and int(w.max()) > high:
            found += int((w > high).sum())
        return found

    def apply(self, kernels: Any, tile: Arrays, at_rows: Any, at_columns: Any, vectors: Arrays, first: int, stop: int) -> int:
        """See ``Operation.apply``."""
        return int(kernels.counters.hebb_batch(tile["w"], at_rows[:, first:stop], at_columns, *self.bounds))


class Writes(Operation):
    """``OuterProductRule``: the pairs one after the other."""

    def __init__(self, rule: OuterProductRule, keys: np.ndarray, values: np.ndarray) -> None:
        super().__init__(rule, keys, values)
        self.rule = encoded(rule)

    def apply(self, kernels: Any, tile: Arrays, at_rows: Any, at_columns: Any, vectors: Arrays, first: int, stop: int) -> int:
        """See ``Operation.apply``."""
        kernels.outer.write(tile["w"], tile.get("momentum"), at_columns, at_rows[:, first:stop], self.rule)
        return 0


class MomentumWrites(Writes):
    """The same with S, which is a matrix as large as W."""

    matrices = reads = ("w", "momentum")


class Traces(Operation):
    """``BayesianHebbian(tau)``: the pairs one after the other; rows are pre units (keys), columns are post units (values)."""

    matrices, reads = ("p_ij", "w"), ("p_ij",)
    vectors = ("p_i", "p_j", "bias")

    def __init__(self, rule: BayesianHebbian, keys: np.ndarray, values: np.ndarray) -> None:
        super().__init__(rule, keys=values, values=keys)
        for name, x in (("keys", keys), ("values", values)):
            if x.min() < 0 or x.max() > 1:
                raise SpecError(f"update: {name} from {x.min():g} to {x.max():g}; expected activities from 0 to 1.")
        assert rule.tau is not None
        self.alpha = 1.0 / rule.tau

    def apply(self, kernels: Any, tile: Arrays, at_rows: Any, at_columns: Any, vectors: Arrays, first: int, stop: int) -> int:
        """See ``Operation.apply``."""
        p_i, p_j, bias = vectors["p_i"][first:stop].copy(), vectors["p_j"].copy(), vectors["bias"].copy()
        for pre, post in zip(at_rows[:, first:stop], at_columns, strict=True):
            kernels.bcpnn.traces_update(p_i, p_j, tile["p_ij"], tile["w"], bias, pre, post, self.alpha)
        return 0

    def final_vectors(self, vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return p_i, p_j and bias, by the kernel itself (they are the same on all engines) on a matrix without columns and one without rows."""
        p_i, p_j, bias = (vectors[name].copy() for name in self.vectors)
        no_columns, no_rows = np.empty((len(p_i), 0), np.float32), np.empty((0, len(p_j)), np.float32)
        for pre, post in zip(self.at_rows, self.at_columns, strict=True):
            traces_update(p_i, p_j[:0], no_columns, no_columns, bias[:0], pre, post[:0], self.alpha)
            traces_update(p_i[:0], p_j, no_rows, no_rows, bias, pre[:0], post, self.alpha)
        return {"p_i": p_i, "p_j": p_j, "bias": bias}


def kind_of(rule: PlasticityRule, dtype: np.dtype[Any]) -> type[Operation]:
    """Return the operation of a rule on matrices of ``dtype``; raise ``SpecError`` or ``UnsupportedError`` where there is none."""
    if isinstance(rule, HebbBatch):
        return Counters if dtype == np.int8 else Batch
    kind = _kind_in_float32(rule)
    if dtype == np.int8:
        raise UnsupportedError(f"update: {rule!r} on an int8 matrix; {IN_EIGHT_BITS}.")
    return kind


def _kind_in_float32(rule: PlasticityRule) -> type[Operation]:
    if isinstance(rule, BayesianHebbian):
        if rule.tau is None:
            raise UnsupportedError(
                "update: BayesianHebbian() counts whole patterns, which is no update of a matrix; expected traces: BayesianHebbian(tau=...)."
            )
        return Traces
    if not isinstance(rule, OuterProductRule):
        raise SpecError(
            f"update: rule = {rule!r}; expected HebbBatch(...), an OuterProductRule(...), or BayesianHebbian(tau=...) for the traces of BCPNN."
        )
    if isinstance(rule.step, OrthogonalStep):
        raise UnsupportedError(
            "update: OrthogonalStep needs the sums of all columns before it writes, so that each row depends on all others and tiles of rows "
            "cannot be done one by one; expected PlainStep(...) or MomentumStep(...)."
        )
    if isinstance(rule.step, MomentumStep):
        return MomentumWrites
    return Writes if rule.order_matters else Batch


def operation(rule: PlasticityRule, keys: Any, values: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> Operation:
    """Return the rule with its pairs, checked against the matrix's ``shape`` and ``dtype``."""
    kind = kind_of(rule, dtype)
    n_values, n_keys = shape[::-1] if kind is Traces else shape
    keys = _pairs("keys", keys, n_keys, shape, dtype)
    if values is None and isinstance(rule, OuterProductRule) and isinstance(rule.loss, Variance):  # they play no part
        values = np.zeros((len(keys), n_values), dtype)
    if values is None:
        raise SpecError(f"update: the values are missing (--values); expected one for each key, as {rule!r} needs them.")
    values = _pairs("values", values, n_values, shape, dtype)
    if len(keys) != len(values):
        raise SpecError(f"update: {len(keys)} keys and {len(values)} values; expected as many of both, in pairs.")
    return kind(rule, keys, values)


def _pairs(name: str, given: Any, n: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> np.ndarray:
    """Return ``given`` as (M, n) in ``dtype``; raise ``SpecError`` for another shape, and for what does not fit."""
    expected = f"expected numbers ({n},) or (M, {n}), M at least 1, for a matrix of {shape[0]} x {shape[1]}"
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):
        raise SpecError(f"update: {name} are no table: their rows differ in length; {expected}.") from None
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != n or not len(array) or array.dtype.kind not in "biuf":
        raise SpecError(f"update: {name} of shape {np.shape(given)} and type {array.dtype}; {expected}.")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype)
    if dtype == np.int8:
        wrong, expected = converted != array, "whole numbers from -128 to 127, as the matrix is int8"
    else:
        wrong, expected = ~np.isfinite(converted), "finite numbers that float32 holds"
    if wrong.any():
        m, unit = (int(x) for x in np.argwhere(wrong)[0])
        raise SpecError(f"update: {name}[{m}, {unit}] = {array[m, unit]}; expected {expected}.")
    return converted
