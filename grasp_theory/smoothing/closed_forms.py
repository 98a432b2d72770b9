"""Losses whose Gaussian smoothing has a closed form; each family is closed under smoothing.

`loss.smoothed(sigma)` returns L_σ = φ_σ * L as a member of the same family, so the semigroup law
(L_σ)_τ = L_{√(σ²+τ²)} holds by construction.  Points carry coordinates on the last axis: (..., d).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from grasp_theory.smoothing.constants import SUPREMUM_GAIN, log_gaussian_slope
from grasp_theory.smoothing.norms import Measured, exponent, points_in
from linear_systems.checked import checked
from linear_systems.errors import NonFiniteError, ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, real_array, square

INFINITE = Measured(math.inf, 0.0)
"""The logarithm of an infinite norm."""


@checked
@dataclass(frozen=True, eq=False)
class Gaussian:
    """L(s) = exp(log_amplitude − ‖s − center‖²/(2 variance)), in every L^p.

    Smoothing adds σ² to the variance v and multiplies the amplitude by (v/(v+σ²))^{d/2}.

    Arguments
        center: (d,), real floating point.
        variance: v > 0, in squared units of s.
        log_amplitude: natural logarithm of the largest value.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.
    """

    center: NDArray[np.float64]
    variance: float
    log_amplitude: float

    def __init__(self, center: ArrayLike, variance: float, log_amplitude: float = 0.0) -> None:
        object.__setattr__(self, "center", _coordinates("center", center))
        object.__setattr__(self, "variance", positive_float("variance", variance))
        object.__setattr__(self, "log_amplitude", _finite("log_amplitude", log_amplitude))

    @property
    def dim(self) -> int:
        """The dimension d."""
        return int(self.center.shape[0])

    @property
    def differentiable(self) -> bool:
        """True: the loss is smooth."""
        return True

    def value(self, points: ArrayLike) -> Float[np.ndarray, "*batch"]:
        """Return L at points (..., d)."""
        offset = points_in(self.dim, points) - self.center
        exponents = self.log_amplitude - np.sum(offset**2, axis=-1) / (2.0 * self.variance)
        return np.asarray(np.exp(exponents))

    def gradient(self, points: ArrayLike) -> Float[np.ndarray, "*batch d"]:
        """Return ∇L at points (..., d)."""
        offset = points_in(self.dim, points) - self.center
        return np.asarray(-offset / self.variance * self.value(points)[..., None])

    def smoothed(self, sigma: float) -> Gaussian:
        """Return L_σ.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """
        variance = self.variance + square("sigma", positive_float("sigma", sigma))
        lost = 0.5 * self.dim * math.log1p(sigma**2 / self.variance)
        return Gaussian(self.center, variance, self.log_amplitude - lost)

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p = log_amplitude + (d/2p) log(2πv/p)."""
        q = exponent(p)
        volume = 0.0 if math.isinf(q) else 0.5 * self.dim / q * math.log(2.0 * math.pi * self.variance / q)
        return Measured(self.log_amplitude + volume, self._allowance(volume))

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p = log ‖L‖_p + log((E‖Z‖^p)^{1/p} / √(p v)); at p = ∞, ‖L‖_∞ e^{−1/2}/√v."""
        norm = self.log_norm(p)
        slope = log_gaussian_slope(exponent(p), self.dim) - 0.5 * math.log(self.variance)
        return Measured(norm.value + slope, norm.error + self._allowance(slope))

    def _allowance(self, term: float) -> float:
        return rounding_allowance(1.0 + abs(self.log_amplitude) + abs(term), 4)


@checked
@dataclass(frozen=True, eq=False)
class FourierMode:
    """L(s) = amplitude cos(wave_vector · s + phase); smoothing multiplies the amplitude by e^{−σ²‖k‖²/2}.

    Bounded, and in L^p(R^d) for p = ∞ only.

    Arguments
        wave_vector: k, (d,), not zero, in inverse units of s.
        phase: in radians.
        amplitude: in units of L.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.
    """

    wave_vector: NDArray[np.float64]
    phase: float
    amplitude: float

    def __init__(self, wave_vector: ArrayLike, phase: float = 0.0, amplitude: float = 1.0) -> None:
        object.__setattr__(self, "wave_vector", _nonzero("wave_vector", wave_vector))
        object.__setattr__(self, "phase", _finite("phase", phase))
        object.__setattr__(self, "amplitude", _finite("amplitude", amplitude))

    @property
    def dim(self) -> int:
        """The dimension d."""
        return int(self.wave_vector.shape[0])

    @property
    def differentiable(self) -> bool:
        """True: the loss is smooth."""
        return True

    def value(self, points: ArrayLike) -> Float[np.ndarray, "*batch"]:
        """Return L at points (..., d)."""
        return np.asarray(
            self.amplitude * np.cos(points_in(self.dim, points) @ self.wave_vector + self.phase)
        )

    def gradient(self, points: ArrayLike) -> Float[np.ndarray, "*batch d"]:
        """Return ∇L at points (..., d)."""
        sine = np.asarray(np.sin(points_in(self.dim, points) @ self.wave_vector + self.phase))
        return -self.amplitude * sine[..., None] * self.wave_vector

    def smoothed(self, sigma: float) -> FourierMode:
        """Return L_σ.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """
        decay = math.exp(
            -0.5 * positive_float("sigma", sigma) ** 2 * float(self.wave_vector @ self.wave_vector)
        )
        return replace(self, amplitude=self.amplitude * decay)

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p: log |amplitude| for p = ∞, infinite otherwise (no wave decays)."""
        if not math.isinf(exponent(p)):
            return INFINITE
        return log_of(abs(self.amplitude), self.dim)

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p: log |amplitude| ‖k‖ for p = ∞, infinite otherwise."""
        if not math.isinf(exponent(p)):
            return INFINITE
        return log_of(abs(self.amplitude) * float(np.linalg.norm(self.wave_vector)), self.dim)


@dataclass(frozen=True, eq=False)
class Ridge(ABC):
    """A loss that varies in one direction: L(s) = f_τ(u · s − offset), f_τ = φ_τ * f for a fixed profile f on R.

    Smoothing on R^d by σ smooths the profile by σ‖u‖, so τ becomes √(τ² + σ²‖u‖²).

    Arguments
        direction: u, (d,), not zero.
        offset: where the profile has its corner.
        width: τ ≥ 0, in units of u · s; 0 is the profile itself, which is not C¹.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.
    """

    direction: NDArray[np.float64]
    offset: float
    width: float

    def __init__(self, direction: ArrayLike, offset: float = 0.0, width: float = 0.0) -> None:
        object.__setattr__(self, "direction", _nonzero("direction", direction))
        object.__setattr__(self, "offset", _finite("offset", offset))
        object.__setattr__(self, "width", positive_float("width", width, allow_zero=True))

    @property
    def dim(self) -> int:
        """The dimension d."""
        return int(self.direction.shape[0])

    @property
    def differentiable(self) -> bool:
        """Whether the profile is smoothed, τ > 0; otherwise it has a corner or a jump."""
        return self.width > 0.0

    def value(self, points: ArrayLike) -> Float[np.ndarray, "*batch"]:
        """Return L at points (..., d)."""
        return np.asarray(self._profile(self._coordinate(points)))

    def gradient(self, points: ArrayLike) -> Float[np.ndarray, "*batch d"]:
        """Return ∇L at points (..., d); with τ = 0, its value away from the corner, and the mean at the corner."""
        return self._slope(self._coordinate(points))[..., None] * self.direction

    def smoothed(self, sigma: float) -> Ridge:
        """Return L_σ."""
        length = float(np.linalg.norm(self.direction))
        return replace(self, width=math.hypot(self.width, positive_float("sigma", sigma) * length))

    @abstractmethod
    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p."""

    @abstractmethod
    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p."""

    @abstractmethod
    def _profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...

    def _coordinate(self, points: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(points_in(self.dim, points) @ self.direction - self.offset)

    def _bell(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 2 τ times the density of N(0, τ²), so √(2/π) exp(−x²/(2τ²)); 0 if τ = 0."""
        if self.width == 0.0:
            return np.zeros_like(x)
        return np.asarray(SUPREMUM_GAIN * np.exp(-0.5 * (x / self.width) ** 2))

    def _sign(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return E sign(x + τ Z) = erf(x/(√2 τ)), sign(x) if τ = 0."""
        return np.asarray(np.sign(x) if self.width == 0.0 else erf(x / (math.sqrt(2.0) * self.width)))


@checked
class Step(Ridge):
    """L(s) = E sign(u · s − offset + τ Z): the half-space step, which attains the constant √(2/π) at p = ∞."""

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p: 0 for p = ∞, infinite otherwise."""
        return Measured(0.0, 0.0) if math.isinf(exponent(p)) else INFINITE

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p: √(2/π) ‖u‖/τ for p = ∞; infinite for a jump, and in two or more dimensions."""
        q = exponent(p)
        if self.width == 0.0 or (self.dim > 1 and not math.isinf(q)):
            return INFINITE
        length = float(np.linalg.norm(self.direction))
        # ∫ |2u φ_τ(u s)|^p ds on the line; q = ∞ takes the largest value.
        log_power = (
            0.0 if math.isinf(q) else 0.5 * math.log(2.0 * math.pi / q) + math.log(self.width / length)
        )
        peak = log_of(SUPREMUM_GAIN * length / self.width, self.dim)
        return Measured(peak.value + (0.0 if math.isinf(q) else log_power / q), peak.error)

    def _profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._sign(x)

    def _slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._bell(x) / self.width if self.width else np.where(x == 0.0, np.inf, 0.0))


class _Corner(Ridge):
    """A convex ridge with slopes in [−1, 1]: in no L^p itself, with gradient in L^∞ only."""

    def log_norm(self, p: float) -> Measured:
        """Return +inf: the loss is in no L^p."""
        exponent(p)
        return INFINITE

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p: ‖u‖ for p = ∞ (the Lipschitz constant), infinite otherwise."""
        if not math.isinf(exponent(p)):
            return INFINITE
        return log_of(float(np.linalg.norm(self.direction)), self.dim)


@checked
class Absolute(_Corner):
    """L(s) = E |u · s − offset + τ Z|, for τ = 0 the distance from a hyperplane."""

    def _profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(x * self._sign(x) + self.width * self._bell(x))

    def _slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._sign(x)


@checked
class Hinge(_Corner):
    """L(s) = E max(u · s − offset + τ Z, 0)."""

    def _profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.5 * (x * (1.0 + self._sign(x)) + self.width * self._bell(x)))

    def _slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.5 * (1.0 + self._sign(x)))


def _coordinates(argument: str, value: ArrayLike) -> NDArray[np.float64]:
    array = real_array(argument, value, ndim=1).copy()
    if array.size == 0:
        raise ShapeError(argument, "at least one coordinate", f"shape {array.shape}", "pass (d,) with d >= 1")
    array.setflags(write=False)
    return array


def _nonzero(argument: str, value: ArrayLike) -> NDArray[np.float64]:
    array = _coordinates(argument, value)
    if not np.any(array):
        raise ParameterError(argument, "a vector that is not zero", "zero", "pass a nonzero vector")
    return array


def _finite(argument: str, value: float) -> float:
    if not math.isfinite(value):
        raise NonFiniteError(argument, "a finite number", repr(value), "pass a finite number")
    return float(value)


def log_of(value: float, size: int) -> Measured:
    """Return log(value) of a number computed with `size` roundings; −inf for zero."""
    return Measured(math.log(value) if value > 0.0 else -math.inf, rounding_allowance(1.0, size))
