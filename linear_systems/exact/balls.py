"""Matrices of balls (midpoint and proved radius, python-flint) with precision grown until a result resolves.

Exponents of balls are unbounded, so nothing overflows or underflows before a result returns to float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from flint import arb, arb_mat, ctx
from jaxtyping import Float

from linear_systems.errors import FloatOverflowError, PrecisionLossError
from linear_systems.rounding import EPS

PRECISIONS = tuple(2**k for k in range(7, 16))
"""Working precisions tried, in bits: 128 to 32768."""

Result = TypeVar("Result")


class Unresolved(Exception):
    """The balls are too wide to decide; a higher precision may."""


@dataclass(frozen=True)
class Scaled:
    """The number `mantissa` · 2^`exponent` >= 0, whose exponent may lie far outside float64's."""

    mantissa: float
    exponent: int

    def log(self) -> float:
        """Return the natural logarithm; −inf for 0."""
        return self.log2() * math.log(2.0)

    def log2(self) -> float:
        """Return the logarithm to base 2; −inf for 0."""
        return math.log2(self.mantissa) + self.exponent if self.mantissa else -math.inf

    def to_float(self, quantity: str, log_version: str) -> float:
        """Return the number as a float; refuse what float64 cannot hold to full precision."""
        try:
            value = math.ldexp(self.mantissa, self.exponent)
        except OverflowError as error:
            raise FloatOverflowError(
                f"{quantity} is about {self._decimal()}, beyond float64. Try: {log_version}."
            ) from error
        if self.mantissa and value < np.finfo(np.float64).tiny:
            raise PrecisionLossError(
                f"{quantity} is about {self._decimal()}, which underflows float64. Try: {log_version}."
            )
        return value

    def _decimal(self) -> str:
        return f"10^{self.log() / math.log(10.0):.1f}"


def resolved(compute: Callable[[], Result], quantity: str) -> Result:
    """Return compute() at the first precision where it does not raise `Unresolved` or ZeroDivisionError.

    Raises
        PrecisionLossError if the highest precision does not suffice.
    """
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            try:
                return compute()
            except (Unresolved, ZeroDivisionError):
                continue
    raise PrecisionLossError(
        f"{quantity} cancels to less than 2^-{PRECISIONS[-1]} of its terms, as where a growing mode is "
        "unreachable. Try: a shorter horizon, or remove the states that no action reaches."
    )


def ball_matrix(array: Float[np.ndarray, "p q"]) -> arb_mat:
    """Return a float64 matrix as balls of radius 0."""
    rows, columns = array.shape
    return arb_mat(rows, columns, array.ravel().tolist())


def identity(size: int) -> arb_mat:
    """Return the identity matrix."""
    return ball_matrix(np.eye(size))


def to_floats(matrix: arb_mat) -> Float[np.ndarray, "p q"]:
    """Return a matrix in float64, with infinities where it overflows.

    Raises
        Unresolved if the radii exceed EPS of its largest entry.
    """
    largest = max((abs(entry.mid()) for entry in matrix.entries()), default=arb(0))
    if not total_radius(matrix) <= largest * EPS:
        raise Unresolved
    return _midpoints(matrix)


def to_scaled_floats(matrix: arb_mat) -> tuple[Float[np.ndarray, "n n"], int]:
    """Return X and e with X 2^e a positive semidefinite `matrix`, and max_i X_ii in [1/2, 1) or X = 0.

    Raises
        Unresolved if the radii could change its largest eigenvalue by more than EPS of it.
    """
    size = matrix.nrows()
    # ‖error‖₂ <= Σ radii, and λmax >= trace / n for a positive semidefinite matrix.
    if not total_radius(matrix) * size <= matrix.trace().mid() * EPS:
        raise Unresolved
    parts = [matrix[i, i].mid().man_exp() for i in range(size)]
    exponent = max((int(e) + int(m).bit_length() for m, e in parts if m != 0), default=0)
    values = _midpoints(matrix * arb((1, -exponent)))
    return (values + values.T) / 2, exponent


def total_radius(matrix: arb_mat) -> arb:
    """Return the sum of the radii, which bounds the spectral norm of the error."""
    return sum((entry.rad() for entry in matrix.entries()), arb(0))


def largest_eigenvalue(matrix: arb_mat) -> Scaled:
    """Return λmax of a symmetric positive semidefinite matrix, to about n · EPS of it.

    Raises
        Unresolved if the radii are too wide.
    """
    values, exponent = to_scaled_floats(matrix)
    return Scaled(max(float(np.linalg.eigvalsh(values)[-1]), 0.0), exponent)


def negative_eigenvalues(matrix: arb_mat) -> int:
    """Return the proved number of negative eigenvalues of a nonsingular symmetric matrix, from its LDLᵀ.

    Raises
        Unresolved if the sign of a pivot is not decided.
    """
    rows = matrix.tolist()
    count = 0
    for k, pivot_row in enumerate(rows):
        pivot = pivot_row[k]
        if pivot < 0:
            count += 1
        elif not pivot > 0:
            raise Unresolved
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot
            for j in range(k + 1, i + 1):
                rows[i][j] -= factor * rows[j][k]
    return count


def _midpoints(matrix: arb_mat) -> Float[np.ndarray, "p q"]:
    return np.array([float(entry) for entry in matrix.entries()]).reshape(matrix.nrows(), matrix.ncols())
