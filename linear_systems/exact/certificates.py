"""Proofs, with no rounding doubt, that λmax(H) <= c or λmax(H) >= c.

A float is a dyadic rational, so a float matrix is a rational one, and all is decided exactly.

- λmax(H) <= c exactly when cI − H is positive semidefinite: decided by `linear_systems.exact.definiteness`.
- λmax(H) >= c is proved by an explicit rational v ≠ 0 with vᵀHv >= c vᵀv, checked exactly.
- `Certificate.verify` checks an upper bound again by another theorem: a symmetric matrix is positive
  semidefinite exactly when the coefficients of its characteristic polynomial alternate in sign, because all
  its roots are real.

H itself need not be rounded either: `gram` and `gramian` form 2MᵀM and W_T exactly from floats M or A, B.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

from linear_systems.checked import checked
from linear_systems.errors import (
    DisprovedError,
    DTypeError,
    EmptySystemError,
    NonFiniteError,
    NotSymmetricError,
    ParameterError,
    ShapeError,
    UndecidedError,
)
from linear_systems.exact.definiteness import definiteness, nonpositive_direction
from linear_systems.system import AnySystem
from linear_systems.validation import horizon_of, real_array

__all__ = [
    "Certificate",
    "DisprovedError",
    "Matrix",
    "UndecidedError",
    "exact_matrix",
    "gram",
    "gramian",
    "norm_squared_bounds",
    "prove_at_least",
    "prove_at_most",
    "spectral_bounds",
]

Matrix: TypeAlias = ArrayLike | fmpq_mat | fmpz_mat | sparray | spmatrix
"""Floats, dense or sparse, each taken at its exact value; object arrays of Fraction, int or fmpq; or exact
matrices of python-flint."""

PRINTED_BITS = 128
"""A bound whose fraction has more bits is printed rounded."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """A proved statement λmax(`matrix`) `relation` `bound`, with the exact data behind it.

    Arguments
        relation: "<=" or ">=".
        matrix: the symmetric matrix H, (n, n).
        bound: the proved bound c.
        method: how it was proved.
        pivots: for "<=", the positive pivots of cI − H (lower bounds of them if found in balls); fewer than n
            where c = λmax exactly.
        vector: for ">=", the (n, 1) vector v with vᵀHv >= c vᵀv.
    """

    relation: Literal["<=", ">="]
    matrix: fmpq_mat
    bound: Fraction
    method: str
    pivots: tuple[Fraction, ...] = ()
    vector: fmpq_mat | None = None

    @property
    def size(self) -> int:
        """The order n of the matrix."""
        return self.matrix.nrows()

    @property
    def statement(self) -> str:
        """What is proved, in words; a bound too long to print is shown rounded and is exact in `bound`."""
        return f"λmax(H) {self.relation} {_shown(self.bound)} for a rational symmetric H of order {self.size}"

    def verify(self) -> bool:
        """Check the statement again, exactly, from the stored data and not by the method that found it."""
        if self.matrix != self.matrix.transpose():
            return False
        if self.relation == ">=":
            return self.vector is not None and _proves(self.vector, self.matrix, self.bound)
        coefficients = _gap(self.matrix, self.bound).numer_denom()[0].charpoly().coeffs()
        return all(a * (-1) ** (self.size - power) >= 0 for power, a in enumerate(coefficients))


@checked
def prove_at_most(H: Matrix, c: object) -> Certificate:
    """Prove λmax(H) <= c exactly; c = λmax(H) is proved too.

    Arguments
        H: (n, n) symmetric.
        c: float (taken at its exact value), int, Fraction or fmpq.

    Raises
        DisprovedError (an UndecidedError) if λmax(H) > c, which is then proved.
        NotSymmetricError, ShapeError, EmptySystemError, DTypeError, NonFiniteError, ParameterError.
    """
    matrix, bound = _symmetric("H", H), _rational("c", c)
    found = definiteness(_gap(matrix, bound))
    if found.sign < 0:
        raise DisprovedError(
            f"λmax(H) <= {_shown(bound)} is false: cI − H is negative somewhere ({found.method})."
        )
    return Certificate("<=", matrix, bound, found.method, pivots=found.pivots)


@checked
def prove_at_least(H: Matrix, c: object, vector: ArrayLike | fmpq_mat | None = None) -> Certificate:
    """Prove λmax(H) >= c exactly, by a vector v with vᵀHv >= c vᵀv.

    Arguments
        H: (n, n) symmetric.
        c: float (taken at its exact value), int, Fraction or fmpq.
        vector: v, (n,) or an (n, 1) fmpq_mat, not zero.  If None, a float64 eigenvector is tried, and where
            rounding spoils it an exact direction is found by elimination: c = λmax(H) is then proved too.

    Raises
        UndecidedError if the given vector does not prove the bound, which may nonetheless be true.
        DisprovedError (an UndecidedError) if, without a given vector, λmax(H) < c, which is then proved.
        NotSymmetricError, ShapeError, EmptySystemError, DTypeError, NonFiniteError, ParameterError.
    """
    matrix, bound = _symmetric("H", H), _rational("c", c)
    if vector is not None:
        given = _column("vector", vector, matrix.nrows())
        if not _proves(given, matrix, bound):
            raise UndecidedError(
                f"The given vector has vᵀHv < c vᵀv for c = {_shown(bound)}, so it proves nothing. "
                "Try: leave `vector` out, which decides the statement."
            )
        return Certificate(">=", matrix, bound, "given vector", vector=given)
    rounded = _leading_eigenvector(matrix)
    if _proves(rounded, matrix, bound):
        return Certificate(">=", matrix, bound, "float64 eigenvector", vector=rounded)
    gap = _gap(matrix, bound)
    found = definiteness(gap)
    if found.sign > 0:
        raise DisprovedError(
            f"λmax(H) >= {_shown(bound)} is false: cI − H is positive definite ({found.method})."
        )
    direction = nonpositive_direction(gap, found)
    return Certificate(">=", matrix, bound, f"direction from {found.method}", vector=direction)


@checked
def spectral_bounds(H: Matrix, relative: object = 1e-15) -> tuple[Fraction, Fraction]:
    """Enclose λmax(H): return proved (lower, upper) with upper − lower <= relative · max_ij |H_ij|.

    Since max_ij |H_ij| <= ‖H‖₂, which is λmax(H) for a positive semidefinite H, the width is then at most
    `relative` · λmax(H).  Found by bisection on exact decisions, from a float64 estimate.

    Arguments
        H: (n, n) symmetric.
        relative: the width asked for, > 0; it may lie far below the precision of float64.

    Raises
        NotSymmetricError, ShapeError, EmptySystemError, DTypeError, NonFiniteError, ParameterError.
    """
    matrix, target = _symmetric("H", H), _rational("relative", relative)
    if target <= 0:
        raise ParameterError("relative", "a number > 0", _shown(target), "pass the relative width asked for")
    target *= _largest(matrix)
    if target == 0:
        return Fraction(0), Fraction(0)

    def exceeds(c: Fraction) -> bool:
        return definiteness(_gap(matrix, c)).sign < 0

    # Ends on a grid of a power of two keep the numbers in the eliminations short.
    grid = _power_of_two_at_most(target / 4)
    lower, width = _rayleigh_quotient(matrix, _leading_eigenvector(matrix)) // grid * grid, 4 * grid
    while exceeds(lower + width):
        lower, width = lower + width, 2 * width
    upper = lower + width
    while upper - lower > target:
        middle = (lower + upper) / 2 // grid * grid
        lower, upper = (middle, upper) if exceeds(middle) else (lower, middle)
    return lower, upper


@checked
def norm_squared_bounds(matrix: Matrix, relative: object = 1e-15) -> tuple[Fraction, Fraction]:
    """Enclose ‖M‖₂² = λmax(MᵀM): return proved (lower, upper), at most relative · ‖M‖₂² apart.

    Arguments
        matrix: M, (p, q).
        relative: the relative width asked for, > 0.

    Raises
        ShapeError, EmptySystemError, DTypeError, NonFiniteError, ParameterError.
    """
    M = exact_matrix(matrix)
    return spectral_bounds(gram(M if M.ncols() <= M.nrows() else M.transpose(), scale=1), relative)


@checked
def gram(matrix: Matrix, scale: object = 2) -> fmpq_mat:
    """Return scale · MᵀM exactly for M (p, q): with scale 2, the Hessian of ‖Mx − b‖².

    Pass Mᵀ for scale · MMᵀ, which has the same largest eigenvalue and is smaller where p < q.

    Arguments
        matrix: M (p, q), exact or floating point.
        scale: an exact number.

    Raises
        ShapeError, EmptySystemError, DTypeError, NonFiniteError, ParameterError.
    """
    M = exact_matrix(matrix)
    return M.transpose() * M * _fmpq(_rational("scale", scale))


@checked
def gramian(system: AnySystem, horizon: int) -> fmpq_mat:
    """Return the T-step controllability Gramian W_T, (n, n), exactly: L_S = 2 λmax(W_T).

    W_{t+1} = A_t W_t A_tᵀ + B_t B_tᵀ from W_0 = 0, with t = 0..T-1.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError.
    """
    W = fmpq_mat(system.state_dim, system.state_dim)
    for a, b in zip(*system.matrices(horizon_of(system, horizon)), strict=True):
        A, B = exact_matrix(a), exact_matrix(b)
        W = A * W * A.transpose() + B * B.transpose()
    return W


@checked
def exact_matrix(matrix: Matrix, argument: str = "matrix") -> fmpq_mat:
    """Return a copy of a matrix (p, q) in exact rationals, each float at its exact value.

    Arguments
        matrix: floats, dense or sparse; an object array of Fraction, int or fmpq; fmpq_mat or fmpz_mat.
        argument: what errors call it.

    Raises
        ShapeError, EmptySystemError, DTypeError, NonFiniteError.
    """
    if isinstance(matrix, fmpq_mat | fmpz_mat):
        exact = fmpq_mat(matrix)
    else:
        exact = _from_array(argument, matrix.toarray() if isinstance(matrix, sparray | spmatrix) else matrix)
    if 0 in (exact.nrows(), exact.ncols()):
        shape = f"shape ({exact.nrows()}, {exact.ncols()})"
        raise EmptySystemError(
            argument, "at least one row and one column", shape, "pass a matrix with entries"
        )
    return exact


def _from_array(argument: str, matrix: ArrayLike) -> fmpq_mat:
    exact = isinstance(matrix, np.ndarray) and matrix.dtype == object
    array = np.asarray(matrix) if exact else real_array(argument, matrix)
    if array.ndim != 2:
        raise ShapeError(argument, "2 axes", f"shape {array.shape}", "pass a matrix")
    try:
        rows = [[_fmpq(_rational(argument, entry)) for entry in row] for row in array]
    except ParameterError as error:
        raise DTypeError(argument, "entries that are rational numbers", error.found, error.hint) from error
    return fmpq_mat(rows) if array.size else fmpq_mat(*array.shape)


def _symmetric(argument: str, matrix: Matrix) -> fmpq_mat:
    exact = exact_matrix(matrix, argument)
    n = exact.nrows()
    if n != exact.ncols():
        raise ShapeError(
            argument, "a square matrix", f"shape ({n}, {exact.ncols()})", "pass a symmetric matrix"
        )
    if exact != exact.transpose():
        where = next((i, j) for i in range(n) for j in range(i) if exact[i, j] != exact[j, i])
        raise NotSymmetricError(
            argument, "H_ij = H_ji exactly", f"a difference at index {where}", "use gram(M), or (H + H.T) / 2"
        )
    return exact


def _column(argument: str, vector: ArrayLike | fmpq_mat, length: int) -> fmpq_mat:
    if isinstance(vector, fmpq_mat):
        column = exact_matrix(vector, argument)
    else:
        array = vector if isinstance(vector, np.ndarray) else real_array(argument, vector, ndim=1)
        column = exact_matrix(array[..., np.newaxis], argument)
    if (column.nrows(), column.ncols()) != (length, 1):
        raise ShapeError(
            argument, f"{length} entries", f"{column.nrows()}", f"pass a vector of length {length}"
        )
    if not column:
        raise ParameterError(
            argument, "a vector that is not zero", "zero", "leave it out to have one computed"
        )
    return column


def _rational(argument: str, value: object) -> Fraction:
    """Return a real number as the exact fraction that it is."""
    if isinstance(value, fmpq | fmpz):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, bool | np.longdouble) or not isinstance(value, numbers.Real):
        raise ParameterError(
            argument, "a rational number", repr(value), "pass a float, int, Fraction or fmpq"
        )
    if isinstance(value, numbers.Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if not np.isfinite(float(value)):
        raise NonFiniteError(argument, "a finite number", repr(value), "remove NaN and infinite values")
    return Fraction(float(value))


def _fmpq(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.numerator), int(value.denominator))


def _gap(H: fmpq_mat, c: Fraction) -> fmpq_mat:
    """Return cI − H."""
    gap = -H
    for i in range(H.nrows()):
        gap[i, i] += _fmpq(c)
    return gap


def _proves(vector: fmpq_mat, H: fmpq_mat, c: Fraction) -> bool:
    """Whether v ≠ 0 and vᵀHv >= c vᵀv."""
    return bool(vector) and (vector.transpose() * _gap(H, c) * vector)[0, 0] <= 0


def _rayleigh_quotient(H: fmpq_mat, vector: fmpq_mat) -> Fraction:
    row = vector.transpose()
    return _fraction((row * H * vector)[0, 0] / (row * vector)[0, 0])


def _leading_eigenvector(H: fmpq_mat) -> fmpq_mat:
    """Return a float64 eigenvector of λmax, (n, 1); H is scaled first, so that no entry overflows."""
    scale = _largest(H) or Fraction(1)
    floats = np.array([[float(_fraction(x) / scale) for x in row] for row in H.tolist()])
    return exact_matrix(np.linalg.eigh(floats)[1][:, -1:])


def _largest(H: fmpq_mat) -> Fraction:
    return max(abs(_fraction(x)) for x in H.entries())


def _power_of_two_at_most(x: Fraction) -> Fraction:
    return Fraction(2) ** (x.numerator.bit_length() - x.denominator.bit_length() - 1)


def _shown(value: Fraction) -> str:
    if value.numerator.bit_length() + value.denominator.bit_length() <= PRINTED_BITS:
        return str(value)
    return f"{Decimal(value.numerator) / Decimal(value.denominator):.17g} (rounded)"
