"""Units without spikes: cells that are updated once a step, from the summed input ``h = sum_i w_ij s_i + bias_j``.

They make up matrix memories (Hopfield, Willshaw, Bayesian, dense ...). ``alphabet`` is what a unit's state
may be: ``bipolar`` (-1 or 1), ``binary`` (0 or 1) or ``real``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from neuromem.errors import SpecError, nearest
from neuromem.quantities import is_number, is_whole
from neuromem.spec.cells import Cell
from neuromem.spec.value import named

Alphabet = Literal["bipolar", "binary", "real"]
Ties = Literal["all", "first"]


class Unit(Cell):
    """Base of the cells that are updated once a step."""

    @property
    def alphabet(self) -> Alphabet:
        """What a unit's state may be."""
        raise NotImplementedError


def _check_positive(owner: str, name: str, value: object) -> None:
    if not is_number(value) or not 0.0 < float(value) <= 1e9:  # type: ignore[arg-type]
        raise SpecError(f"{owner}: {name} = {value!r}; expected a number above 0, at most 1e+09.")


def _check_count(owner: str, name: str, value: object, what: str) -> None:
    if not is_whole(value) or int(value) < 1:  # type: ignore[call-overload]
        raise SpecError(f"{owner}: {name} = {value!r}; expected a whole number of {what}, at least 1.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class PatternSource(Unit):
    """Units that hold a pattern given from outside; the ``alphabet`` says of which numbers."""

    alphabet: Alphabet = "binary"

    def __post_init__(self) -> None:
        if self.alphabet not in get_args(Alphabet):
            raise SpecError(
                f"PatternSource: alphabet = {self.alphabet!r}; expected 'bipolar', 'binary' or 'real'{nearest(str(self.alphabet), get_args(Alphabet))}."
            )


@named
@dataclass(frozen=True, eq=False, repr=False)
class Sign(Unit):
    """``s = 1`` if ``h > 0``, ``-1`` if ``h < 0``; at ``h = 0`` a unit keeps its state."""

    alphabet: ClassVar[Alphabet] = "bipolar"


@named
@dataclass(frozen=True, eq=False, repr=False)
class Threshold(Unit):
    """``s = 1`` if ``h >= theta``, else 0. ``theta = None``: the number of active units of the cue (all must connect)."""

    alphabet: ClassVar[Alphabet] = "binary"
    theta: float | None = None

    def __post_init__(self) -> None:
        if self.theta is not None:
            _check_positive("Threshold", "theta", self.theta)


@named
@dataclass(frozen=True, eq=False, repr=False)
class KWinners(Unit):
    """The ``k`` units with the largest input are 1, the others 0.

    With ``groups`` g, units are divided into g groups of equal size (hypercolumns), one after the other, and the
    ``k / g`` largest of each group win. ``ties``: ``all`` units that reach the last winner's input win as well,
    or only the ``first`` of them, so that exactly k win. A unit without any input never wins where ``ties`` is ``all``.
    """

    alphabet: ClassVar[Alphabet] = "binary"
    k: int = 1
    groups: int = 1
    ties: Ties = "all"

    def __post_init__(self) -> None:
        _check_count("KWinners", "k", self.k, "winners")
        _check_count("KWinners", "groups", self.groups, "groups")
        if self.k % self.groups:
            raise SpecError(
                f"KWinners: k = {self.k}, groups = {self.groups}; expected a number of winners that the groups can share: a multiple of {self.groups}."
            )
        if self.ties not in get_args(Ties):
            raise SpecError(f"KWinners: ties = {self.ties!r}; expected 'all' or 'first'{nearest(str(self.ties), get_args(Ties))}.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class SoftWTA(Unit):
    """Soft winner-take-all within each of ``groups`` equal groups: ``s_j = exp(gain h_j) / sum_group exp(gain h)``.

    The pattern that is read is the largest unit of each group.
    """

    alphabet: ClassVar[Alphabet] = "binary"
    groups: int = 1
    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_count("SoftWTA", "groups", self.groups, "groups")
        _check_positive("SoftWTA", "gain", self.gain)


@named
@dataclass(frozen=True, eq=False, repr=False)
class Linear(Unit):
    """``s = h``."""

    alphabet: ClassVar[Alphabet] = "real"


class HiddenUnit(Unit):
    """Base of the hidden units of dense memories, one for each stored pattern, driven by its overlap with the state."""

    alphabet: ClassVar[Alphabet] = "real"


@named
@dataclass(frozen=True, eq=False, repr=False)
class Softmax(HiddenUnit):
    """``softmax(beta o)`` of the overlaps ``o`` (arXiv:2008.02217); ``beta`` per unit of overlap."""

    beta: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("Softmax", "beta", self.beta)


@named
@dataclass(frozen=True, eq=False, repr=False)
class Polynomial(HiddenUnit):
    """The interaction ``F(o) = o^power`` (``rectified``: 0 for negative o) of the energy ``-sum F(o)`` (arXiv:1606.01164)."""

    power: int = 3
    rectified: bool = False

    def __post_init__(self) -> None:
        if not is_whole(self.power) or not 2 <= self.power <= 64:
            raise SpecError(f"Polynomial: power = {self.power!r}; expected a whole number from 2 to 64.")


@named
@dataclass(frozen=True, eq=False, repr=False)
class Exponential(HiddenUnit):
    """The interaction ``F(o) = exp(o)`` (arXiv:1702.01929); the energy is ``-log(sum F(o))``, which falls where ``-sum F(o)`` does."""
