"""Boundary checks shared by the package: each returns the validated value or raises a typed error."""

from __future__ import annotations

import numbers
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from linear_systems.annotations import LARGEST, shown
from linear_systems.errors import (
    DTypeError,
    HorizonError,
    NonFiniteError,
    ParameterError,
    ShapeError,
    StepSizeError,
)


@runtime_checkable
class HasLength(Protocol):
    """A system; one that varies in time has as many steps as its length says."""

    @property
    def length(self) -> int | None:
        """The number of steps, or None where every horizon will do."""


_LARGEST_WEIGHT = 1e150
"""Squares of larger numbers overflow."""

StepSize = float | tuple[float, float]
"""One step size for states and actions alike, or the pair (states, actions)."""


def real_array(argument: str, value: ArrayLike, ndim: int | None = None) -> NDArray[np.float64]:
    """Return `value` as a float64 array; refuse what is not real floating point, not finite or misshapen.

    float16 and float32 widen to float64 without loss.  Integers, booleans, complex numbers and long
    doubles are refused rather than converted: each is more often a mistake than a wish.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            argument, "a rectangular array", "rows of different lengths", "make every row the same length"
        ) from error
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise DTypeError(
            argument,
            "a real floating-point array (float64, float32 or float16)",
            f"dtype {array.dtype}",
            "convert on purpose, for example np.asarray(value, dtype=np.float64) or value.real",
        )
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(argument, f"{ndim} axes", f"shape {array.shape}", f"pass an array with {ndim} axes")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NonFiniteError(
            argument, "finite entries", f"{array[where]} at index {where}", "remove NaN and infinite entries"
        )
    return array.astype(np.float64)


def vector(argument: str, value: ArrayLike, length: int) -> NDArray[np.float64]:
    """Return `value` as a float64 vector of the given length."""
    array = real_array(argument, value, ndim=1)
    if array.shape != (length,):
        raise ShapeError(argument, f"shape ({length},)", f"shape {array.shape}", f"pass {length} numbers")
    return array


def positive_integer(argument: str, value: object, minimum: int = 1) -> int:
    """Return `value` as an int that is at least `minimum`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or not minimum <= int(value) <= LARGEST
    ):
        raise ParameterError(
            argument, f"an integer >= {minimum}", shown(value), f"pass an integer of at least {minimum}"
        )
    return int(value)


def positive_horizon(argument: str, value: object) -> int:
    """Return a horizon as an int; refuse what is no integer >= 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 1 <= int(value) <= LARGEST:
        raise HorizonError(argument, "an integer >= 1", shown(value), "pass the number of model steps T")
    return int(value)


def horizon_of(system: HasLength, horizon: object) -> int:
    """Return the horizon T as an int; refuse T < 1 and T beyond the length of a time-varying system."""
    steps, length = positive_horizon("horizon", horizon), system.length
    if length is not None and steps > length:
        raise HorizonError(
            "horizon",
            f"at most {length}, the number of steps of this time-varying system",
            str(steps),
            "shorten the horizon or extend A and B",
        )
    return steps


def positive_float(argument: str, value: object, *, allow_zero: bool = False) -> float:
    """Return `value` as a finite float that is positive (or not negative, with `allow_zero`)."""
    number = _real_number(argument, value)
    if not np.isfinite(number) or number < 0 or (number == 0 and not allow_zero):
        bound = ">= 0" if allow_zero else "> 0"
        raise ParameterError(argument, f"a finite number {bound}", repr(value), f"pass a number {bound}")
    return number


def step_sizes(step_size: object, argument: str = "step_size") -> tuple[float, float]:
    """Return the pair (η_s, η_a) from one step size or a pair; refuse what is not positive and finite."""
    pair = step_size if isinstance(step_size, tuple) else (step_size, step_size)
    if len(pair) != 2:
        raise StepSizeError(
            argument, "one number or a pair (states, actions)", repr(step_size), "pass (eta_s, eta_a)"
        )
    values = [_real_number(argument, value) for value in pair]
    if not all(0 < value <= _LARGEST_WEIGHT for value in values):
        raise StepSizeError(argument, "positive finite numbers", repr(step_size), "pass a step size > 0")
    return values[0], values[1]


def goal_weights(beta: ArrayLike, horizon: int, argument: str = "beta") -> NDArray[np.float64]:
    """Return the goal weights β_t, t = 0..T-1, from one number or T numbers; refuse β_t < 0."""
    array = np.asarray(beta)
    if array.ndim == 0:
        return np.full(horizon, goal_weight(argument, array.item()))
    weights = vector(argument, beta, horizon)
    for weight in (weights.min(), weights.max()):
        goal_weight(argument, float(weight))
    return weights


def goal_weight(argument: str, value: object) -> float:
    """Return one goal weight β >= 0, as a float whose square float64 can hold."""
    weight = positive_float(argument, value, allow_zero=True)
    square(argument, weight)
    return weight


def _real_number(argument: str, value: object) -> float:
    if isinstance(value, bool | np.longdouble) or not isinstance(value, numbers.Real):
        raise ParameterError(argument, "a real number", shown(value), "pass an int or a float")
    try:
        return float(value)
    except OverflowError as error:
        raise ParameterError(
            argument, "a number within the range of float64", "one beyond it", "pass a smaller one"
        ) from error


def fraction(argument: str, value: object, *, ends: bool = False) -> float:
    """Return `value` as a float in (0, 1), or in [0, 1] with `ends`."""
    number = _real_number(argument, value)
    if not (0.0 <= number <= 1.0 if ends else 0.0 < number < 1.0):
        domain = "[0, 1]" if ends else "(0, 1)"
        raise ParameterError(argument, f"a number in {domain}", repr(value), f"pass a number in {domain}")
    return number


def square(argument: str, value: float) -> float:
    """Return x² of a validated number; refuse one whose square overflows."""
    if abs(value) > _LARGEST_WEIGHT:
        raise ParameterError(
            argument, "a number whose square float64 can hold", repr(value), "choose other units"
        )
    return value**2
