"""Lines through measured figures: the exponent of a power law, and a value carried to infinite size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neuromem.errors import SpecError

type Numbers = Sequence[float] | np.ndarray

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class PowerLaw:
    """y = prefactor x^exponent, and the standard error of the exponent."""

    exponent: float
    exponent_error: float
    prefactor: float


@dataclass(frozen=True)
class Extrapolation:
    """value(N) = limit + slope N^(-exponent), with standard errors; an exponent that was given has the error 0."""

    limit: float
    limit_error: float
    slope: float
    slope_error: float
    exponent: float
    exponent_error: float

    def at(self, size: float) -> float:
        """Return the fitted value at a size."""
        return float(self.limit + self.slope * size**-self.exponent)


def power_law(x: Numbers, y: Numbers, y_errors: Numbers | None = None) -> PowerLaw:
    """Fit log y = log prefactor + exponent log x by least squares.

    With ``y_errors`` (standard errors of y, small against y) the points are weighted by them and the
    errors are believed; without them the error of the exponent comes from the scatter about the line.

    Raises:
        SpecError: values that are not positive and finite, lengths that differ, or too few distinct x:
            2, or 3 without errors.
    """
    xs, ys, sigma = _arrays(x, y, y_errors, unknowns=2)
    if (xs <= 0).any() or (ys <= 0).any():
        raise SpecError("a power law through values that are not positive; expected x and y above 0")
    basis = np.column_stack([np.ones_like(xs), np.log(xs)])
    found, covariance = _least_squares(basis, np.log(ys), None if sigma is None else sigma / ys)
    return PowerLaw(float(found[1]), math.sqrt(covariance[1, 1]), math.exp(found[0]))


def extrapolate(sizes: Numbers, values: Numbers, errors: Numbers | None = None, *, exponent: float | None = None) -> Extrapolation:
    """Fit value(N) = limit + slope N^(-exponent) by weighted least squares.

    Args:
        sizes: N of each point.
        values: what was measured there.
        errors: its standard errors, believed as they are; without them all points weigh alike and the
            errors of the result come from the scatter about the curve.
        exponent: if None it is fitted too, between 0.1 and 4; its uncertainty is then part of the
            error of the limit (linearised about the best fit).

    Raises:
        SpecError: too few distinct sizes (one for each unknown, one more without errors), numbers out
            of range, or no best exponent between 0.1 and 4 (too little curvature: give one).
    """
    xs, ys, sigma = _arrays(sizes, values, errors, unknowns=2 if exponent is not None else 3)
    if (xs <= 0).any() or (exponent is not None and not exponent > 0):
        raise SpecError(f"extrapolation over sizes {list(sizes)} with exponent {exponent}; expected them above 0")
    if exponent is not None:
        found, covariance = _least_squares(np.column_stack([np.ones_like(xs), xs**-exponent]), ys, sigma)
        return Extrapolation(float(found[0]), math.sqrt(covariance[0, 0]), float(found[1]), math.sqrt(covariance[1, 1]), exponent, 0.0)

    scale = math.exp(float(np.log(xs).mean()))  # sizes of order 1 keep the equations well conditioned
    ratio = xs / scale

    def misfit(power: float) -> float:
        basis = np.column_stack([np.ones_like(xs), ratio**-power])
        best, _ = _least_squares(basis, ys, sigma)
        return float((((ys - basis @ best) / (1.0 if sigma is None else sigma)) ** 2).sum())

    power = _minimum(misfit, 0.1, 4.0)
    best, _ = _least_squares(np.column_stack([np.ones_like(xs), ratio**-power]), ys, sigma)
    tangent = np.column_stack([np.ones_like(xs), ratio**-power, -best[1] * np.log(ratio) * ratio**-power])
    _, covariance = _least_squares(tangent, ys - best[0] - best[1] * ratio**-power, sigma)
    slope = float(best[1]) * scale**power
    # slope = best[1] scale^power: its error follows from those of both.
    gradient = np.array([0.0, scale**power, slope * math.log(scale)])
    return Extrapolation(
        float(best[0]), math.sqrt(covariance[0, 0]), slope, math.sqrt(gradient @ covariance @ gradient), power, math.sqrt(covariance[2, 2])
    )  # fmt: skip


def _least_squares(basis: np.ndarray, values: np.ndarray, sigma: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted least-squares solution and its covariance; without ``sigma`` the scatter gives the scale of it."""
    weight = np.ones_like(values) if sigma is None else 1 / sigma
    weighted = basis * weight[:, None]
    inverse = np.linalg.pinv(weighted)
    found = inverse @ (values * weight)
    covariance = inverse @ inverse.T
    spare = len(values) - basis.shape[1]
    if sigma is None:
        covariance = covariance * (((values - basis @ found) ** 2).sum() / spare if spare else math.nan)
    return found, covariance


def _minimum(misfit: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function of one number is least, from the best of a grid on; SpecError if that is an end of the grid."""
    grid = np.geomspace(low, high, 60)
    best = int(np.argmin([misfit(power) for power in grid]))
    if best in (0, len(grid) - 1):
        raise SpecError(f"no exponent between {low} and {high} fits best: the points do not determine it; give one")
    a, b = float(grid[best - 1]), float(grid[best + 1])
    while b - a > 1e-9 * b:
        left, right = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        a, b = (a, right) if misfit(left) < misfit(right) else (left, b)
    return (a + b) / 2


def _arrays(x: Numbers, y: Numbers, errors: Numbers | None, *, unknowns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the points as float64 arrays, checked; SpecError with what is wrong."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    sigma = None if errors is None else np.asarray(errors, dtype=np.float64)
    if xs.ndim != 1 or any(a.shape != xs.shape for a in (ys, *([] if sigma is None else [sigma]))):
        raise SpecError("points of a fit: x, y and errors differ in length; expected one of each for every point")
    if not all(np.isfinite(a).all() for a in (xs, ys, *([] if sigma is None else [sigma]))) or (sigma is not None and (sigma <= 0).any()):
        raise SpecError("points of a fit: a value is not finite, or an error not above 0; leave out such points")
    needed = unknowns + (sigma is None)
    if len(np.unique(xs)) < needed:
        raise SpecError(f"a fit through {len(np.unique(xs))} distinct sizes; expected at least {needed}")
    return xs, ys, sigma
