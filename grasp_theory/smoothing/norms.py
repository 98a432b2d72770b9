"""L^p norms of losses and of their gradients, and the two ratios that Theorem 4 bounds."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import positive_float, real_array


@dataclass(frozen=True)
class Measured:
    """A computed number and a bound or estimate of its absolute error.

    Arguments
        value: the number.
        error: of its absolute error, at least 0.
    """

    value: float
    error: float


@runtime_checkable
class Loss(Protocol):
    """A loss L on R^d whose Gaussian smoothing and norms can be computed.

    ‖L‖_p is the norm of L^p(R^d) and ‖∇L‖_p that of the Euclidean length |∇L|.  Both are given as natural
    logarithms, because in 10⁵ dimensions hardly any norm is a float64; +inf says that it is infinite.
    """

    @property
    def dim(self) -> int:
        """The dimension d."""

    @property
    def differentiable(self) -> bool:
        """Whether L is continuously differentiable."""

    def smoothed(self, sigma: float) -> Loss:
        """Return L_σ = φ_σ * L.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p.

        Arguments
            p: the exponent, in [1, ∞].
        """

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p.

        Arguments
            p: the exponent, in [1, ∞].
        """


@checked
def gradient_gain(loss: Loss, sigma: float, p: float) -> Measured:
    """Return the scale-free gain σ ‖∇L_σ‖_p / ‖L‖_p, which Eq. (42) bounds by c_d.

    The gain of L at σ equals the gain of L(σ ·) at 1, so its supremum over L depends on p and d only.  It is NaN
    where both norms are infinite.

    Arguments
        loss: the loss L on R^d.
        sigma: standard deviation of the noise, in units of s.
        p: exponent in [1, ∞].

    Raises
        ParameterError.
    """
    scale = positive_float("sigma", sigma)
    q = exponent(p)
    return _ratio(loss.smoothed(scale).log_gradient_norm(q), loss.log_norm(q), scale)


@checked
def gradient_contraction_ratio(loss: Loss, sigma: float, p: float) -> Measured:
    """Return ‖∇L_σ‖_p / ‖∇L‖_p, which Eq. (41) bounds by 1; NaN where both norms are infinite.

    Arguments
        loss, sigma, p: as for `gradient_gain`.

    Raises
        ParameterError.
    """
    q = exponent(p)
    smoothed = loss.smoothed(positive_float("sigma", sigma))
    return _ratio(smoothed.log_gradient_norm(q), loss.log_gradient_norm(q), 1.0)


def exponent(p: object) -> float:
    """Return the exponent p of L^p as a float in [1, ∞]."""
    if isinstance(p, bool | np.bool_) or not isinstance(p, numbers.Real) or not float(p) >= 1.0:
        raise ParameterError("p", "a number in [1, inf]", repr(p), "pass p >= 1, or math.inf")
    return float(p)


def points_in(dim: int, points: ArrayLike) -> NDArray[np.float64]:
    """Return points (..., d) as float64; refuse a last axis that is not d."""
    array = real_array("points", points)
    if array.ndim == 0 or array.shape[-1] != dim:
        raise ShapeError("points", f"shape (..., {dim})", f"shape {array.shape}", "put the coordinates last")
    return array


def _ratio(numerator: Measured, denominator: Measured, factor: float) -> Measured:
    if math.isinf(numerator.value) and math.isinf(denominator.value):
        return Measured(math.nan, math.nan)
    value = factor * math.exp(numerator.value - denominator.value)
    return Measured(value, value * math.expm1(numerator.error + denominator.error))
