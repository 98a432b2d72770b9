"""Polynomial losses: their Gaussian smoothing is a finite sum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike, NDArray

from grasp_theory.smoothing.closed_forms import INFINITE, log_of
from grasp_theory.smoothing.norms import Measured, exponent, points_in
from linear_systems.checked import checked
from linear_systems.errors import ShapeError
from linear_systems.validation import positive_float, real_array


@checked
@dataclass(frozen=True, eq=False)
class Polynomial:
    """L(s) = Σ coefficients[i_1, ..., i_d] s_1^{i_1} ⋯ s_d^{i_d}; smoothing is exp(σ²Δ/2), a finite sum.

    Along each axis E f(x + σZ) = Σ_k σ^{2k}/(2^k k!) f^{(2k)}(x).  In no L^p unless zero, nor is its gradient
    unless L is constant, or affine and p = ∞.

    Arguments
        coefficients: (n_1, ..., n_d), one axis per coordinate of s, real floating point.

    Raises
        ShapeError, DTypeError, NonFiniteError.
    """

    coefficients: NDArray[np.float64]

    def __init__(self, coefficients: ArrayLike) -> None:
        array = real_array("coefficients", coefficients).copy()
        if array.ndim == 0 or array.size == 0:
            raise ShapeError(
                "coefficients", "one axis per coordinate", f"shape {array.shape}", "pass (n_1, ..., n_d)"
            )
        array.setflags(write=False)
        object.__setattr__(self, "coefficients", array)

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.coefficients.ndim

    @property
    def differentiable(self) -> bool:
        """True: the loss is smooth."""
        return True

    def value(self, points: ArrayLike) -> Float[np.ndarray, "*batch"]:
        """Return L at points (..., d)."""
        return _evaluate(self.coefficients, points_in(self.dim, points))

    def gradient(self, points: ArrayLike) -> Float[np.ndarray, "*batch d"]:
        """Return ∇L at points (..., d)."""
        array = points_in(self.dim, points)
        parts = [_evaluate(self._derivative(axis), array) for axis in range(self.dim)]
        return np.stack(parts, axis=-1)

    def smoothed(self, sigma: float) -> Polynomial:
        """Return L_σ.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """
        half_variance = 0.5 * positive_float("sigma", sigma) ** 2
        result = self.coefficients
        for axis in range(self.dim):
            term, total = result, result
            for k in range(1, (result.shape[axis] + 1) // 2):
                derivative = polynomial.polyder(term, 2, axis=axis) * (half_variance / k)
                padding = [
                    (0, full - kept) for full, kept in zip(result.shape, derivative.shape, strict=True)
                ]
                term = np.pad(derivative, padding)
                total = total + term
            result = total
        return Polynomial(result)

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p: finite for L = 0, and for constants if p = ∞."""
        return _log_polynomial_norm(self.coefficients[None], exponent(p))

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p: finite for constant L, and for affine L if p = ∞."""
        q = exponent(p)
        shape = self.coefficients.shape
        parts = [
            np.pad(d, [(0, full - kept) for full, kept in zip(shape, d.shape, strict=True)])
            for d in map(self._derivative, range(self.dim))
        ]
        return _log_polynomial_norm(np.stack(parts), q)

    def _derivative(self, axis: int) -> NDArray[np.float64]:
        return np.asarray(polynomial.polyder(self.coefficients, 1, axis=axis))


def _log_polynomial_norm(parts: NDArray[np.float64], p: float) -> Measured:
    """Return log of the L^p norm of the length of a vector of polynomials, stacked on the first axis."""
    flat = parts.reshape(parts.shape[0], -1)
    if np.any(flat[:, 1:]) or (np.any(flat) and not math.isinf(p)):
        return INFINITE
    return log_of(float(np.linalg.norm(flat[:, 0])), flat.shape[0])


def _evaluate(coefficients: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = points.reshape(-1, points.shape[-1])
    result = np.broadcast_to(coefficients, (flat.shape[0], *coefficients.shape))
    for axis in range(flat.shape[1]):
        powers = polynomial.polyvander(flat[:, axis], result.shape[1] - 1)
        result = np.einsum("mi,mi...->m...", powers, result)
    return np.asarray(result).reshape(points.shape[:-1])
