"""Nonnegative radial losses L(s) = ℓ(‖s‖) in any dimension, up to 10⁵ and beyond, on a logarithmic scale.

‖s + σZ‖ has, for ‖s‖ = r, the noncentral chi density

    K(r, ρ) = (ρ/σ²) (ρ/r)^ν exp(−(r² + ρ²)/(2σ²)) I_ν(rρ/σ²),   ν = d/2 − 1,

so L_σ(s) = ∫ ℓ(ρ) K(r, ρ) dρ, and, since d/dr r^{−ν} I_ν(rρ) = r^{−ν} ρ I_{ν+1}(rρ),
∂_r L_σ = ∫ ℓ(ρ) K(r, ρ) (ρ I_{ν+1}/I_ν − r)/σ² dρ: integrals over one variable in every d.  In many
dimensions the integrands and the values themselves leave the range of float64 (a Gaussian loss at the radii
that carry its L¹ norm is e^{−50,000} if d = 10⁵), so all is computed as logarithms, around the peaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from grasp_theory.smoothing.log_quadrature import (
    QUADRATURE_TOLERANCE,
    LogIntegrals,
    LogProfile,
    find_peaks,
    log_integrals,
)
from grasp_theory.smoothing.noncentral_chi import log_bessel_ratio, log_noncentral_chi
from grasp_theory.smoothing.norms import Measured, exponent
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, positive_integer

_WIDE, _NARROW = 40.0, 12.0
"""Binary logarithms of how far from the guess a peak is sought, where this is cheap and where it is not."""
_LARGEST_P = 100.0
"""For larger p the mass of L^p lies where ℓ itself is largest, for the purpose of a starting point."""


@checked
@dataclass(frozen=True)
class RadialLoss:
    """L(s) = ℓ(‖s‖) ≥ 0 on R^d, given by log ℓ.

    log ℓ must be continuous inside `support`, and ℓ(r)^p r^{d−1} unimodal there, which holds for every
    log-concave profile; a jump to zero belongs at an end of the support.

    Arguments
        dim: d ≥ 1.
        log_profile: r (n,) ↦ log ℓ(r) (n,), natural logarithms.
        support: the radii (lo, hi) outside which ℓ = 0; hi may be inf.
        log_slope: r (n,) ↦ log |ℓ'(r)| (n,), or None if ℓ jumps or its slope is not known.

    Raises
        ParameterError.
    """

    dim: int
    log_profile: LogProfile
    support: tuple[float, float] = (0.0, math.inf)
    log_slope: LogProfile | None = None

    def __post_init__(self) -> None:
        positive_integer("dim", self.dim)
        low, high = self.support
        if not 0.0 <= low < high:
            raise ParameterError("support", "0 <= lo < hi", repr(self.support), "pass the radii where ℓ > 0")

    @property
    def differentiable(self) -> bool:
        """Whether the slope is given."""
        return self.log_slope is not None

    def smoothed(self, sigma: float) -> SmoothedRadialLoss:
        """Return L_σ.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """
        return SmoothedRadialLoss(self, positive_float("sigma", sigma))

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L‖_p.

        Arguments
            p: the exponent, in [1, ∞].

        Raises
            ParameterError, PrecisionLossError.
        """
        return _log_radial_norm(
            self.log_profile, exponent(p), self.dim, self.support, math.sqrt(self.dim), _WIDE
        )

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L‖_p, from `log_slope`.

        Arguments
            p: the exponent, in [1, ∞].

        Raises
            ParameterError, PrecisionLossError.
        """
        if self.log_slope is None:
            raise ParameterError("log_slope", "log |ℓ'|, to compute ‖∇L‖_p", "None", "pass log_slope")
        return _log_radial_norm(
            self.log_slope, exponent(p), self.dim, self.support, math.sqrt(self.dim), _WIDE
        )


@dataclass(frozen=True)
class SmoothedRadialLoss:
    """L_σ of a radial loss."""

    source: RadialLoss
    sigma: float

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.source.dim

    @property
    def differentiable(self) -> bool:
        """True: smoothing by a Gaussian makes every loss smooth."""
        return True

    def smoothed(self, sigma: float) -> SmoothedRadialLoss:
        """Return (L_σ)_τ = L_{√(σ²+τ²)}."""
        return SmoothedRadialLoss(self.source, math.hypot(self.sigma, positive_float("sigma", sigma)))

    def log_value(self, radius: float) -> Measured:
        """Return log L_σ at distance `radius` > 0 from the origin.

        Raises
            ParameterError, PrecisionLossError.
        """
        found = self._moments(np.array([positive_float("radius", radius)]))
        return Measured(float(found.log_total[0]), float(found.log_total_error[0]))

    def radial_slope(self, radius: float) -> Measured:
        """Return ∂_r log L_σ at distance `radius` > 0: the gradient is L_σ times this, along s/‖s‖.

        Raises
            ParameterError, PrecisionLossError.
        """
        found = self._moments(np.array([positive_float("radius", radius)]))
        return Measured(float(found.mean[0]), float(found.mean_error[0]))

    def log_norm(self, p: float) -> Measured:
        """Return log ‖L_σ‖_p.

        Raises
            ParameterError, PrecisionLossError.
        """
        return self._norm(_log_value, exponent(p))

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log ‖∇L_σ‖_p.

        Raises
            ParameterError, PrecisionLossError.
        """

        return self._norm(_log_length, exponent(p))

    def _norm(
        self, select: Callable[[LogIntegrals], tuple[NDArray[np.float64], NDArray[np.float64]]], p: float
    ) -> Measured:
        power, weight = (1.0, 0) if math.isinf(p) else (p, self.dim - 1)
        log_mass = log_error = np.empty(0)

        def log_magnitude(radii: NDArray[np.float64]) -> NDArray[np.float64]:
            nonlocal log_mass, log_error
            value, log_error = select(self._moments(radii))
            log_mass = power * np.maximum(value, log_error) + weight * np.log(radii)
            log_error = log_error - np.maximum(value, log_error)
            return value

        # Where the source's mass lies, moved outwards by the noise, is close enough to start from.
        density = _radial_density(self.source.log_profile, min(p, _LARGEST_P), self.dim)
        typical = math.sqrt(self.dim) * self.sigma
        source = find_peaks(density, self.source.support, np.array([typical]), _WIDE)
        guess = math.hypot(float(source[0]), typical)
        outer = _log_radial_norm(log_magnitude, p, self.dim, (0.0, math.inf), guess, _NARROW)
        # The relative errors of the integrand's last evaluation, averaged with its mass.
        mass = np.exp(log_mass - log_mass.max())
        return Measured(outer.value, outer.error + float(mass @ np.exp(log_error) / mass.sum()))

    def _moments(self, radius: NDArray[np.float64]) -> LogIntegrals:
        """Return log L_σ(r) and, as the mean, ∂_r log L_σ(r), for radii (R,)."""
        order, variance, column = self.dim / 2 - 1, self.sigma**2, radius[:, None]

        def log_density(radii: NDArray[np.float64]) -> NDArray[np.float64]:
            profile = self.source.log_profile(radii.ravel()).reshape(radii.shape)
            return np.asarray(profile + log_noncentral_chi(order, column, radii, self.sigma))

        def slope(radii: NDArray[np.float64]) -> NDArray[np.float64]:
            log_ratio = log_bessel_ratio(order, column * radii / variance)
            # ρ A − r with A = I_{ν+1}/I_ν, in the form that loses nothing: A may be tiny, or close to 1.
            far = radii - column + radii * np.expm1(log_ratio)
            return np.where(log_ratio < -0.5, radii * np.exp(log_ratio) - column, far) / variance

        centre = np.hypot(radius, math.sqrt(self.dim) * self.sigma)
        return log_integrals(log_density, self.source.support, centre, _WIDE, slope, 1.0 + self.dim)


def _log_value(found: LogIntegrals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log L_σ and the logarithm of its absolute error."""
    return found.log_total, found.log_total + np.log(found.log_total_error)


def _log_length(found: LogIntegrals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log |∇L_σ| and the logarithm of its absolute error; −inf where the error exceeds the value.

    Inside a wide plateau the slope is rounding noise, which would hide the true peak from a search.
    """
    length = np.abs(found.mean)
    resolved = length > found.mean_error
    value = np.where(resolved, found.log_total + np.log(np.where(resolved, length, 1.0)), -np.inf)
    return value, found.log_total + np.log(found.mean_error + length * found.log_total_error)


def _radial_density(log_profile: LogProfile, p: float, dim: int) -> LogProfile:
    """Return g(r) = p log_profile(r) + (d − 1) log r on arrays of any shape."""

    def log_density(radii: NDArray[np.float64]) -> NDArray[np.float64]:
        profile = log_profile(radii.ravel()).reshape(radii.shape)
        return np.asarray(p * profile + (dim - 1) * np.log(radii))

    return log_density


def _log_radial_norm(
    log_profile: LogProfile, p: float, dim: int, support: tuple[float, float], guess: float, span: float
) -> Measured:
    """Return log of (|S^{d−1}| ∫ exp(p log_profile) r^{d−1} dr)^{1/p}; for p = ∞ the largest log_profile."""
    start = np.array([guess])
    if math.isinf(p):
        peak = find_peaks(_radial_density(log_profile, 1.0, 1), support, start, span)
        return Measured(float(log_profile(peak)[0]), QUADRATURE_TOLERANCE)
    density = _radial_density(log_profile, p, dim)
    found = log_integrals(density, support, start, span, np.zeros_like, 1.0)
    log_integral = float(found.log_total[0])
    log_sphere = math.log(2.0) + 0.5 * dim * math.log(math.pi) - float(gammaln(dim / 2))
    rounding = rounding_allowance(abs(log_integral) + abs(log_sphere), 1)
    return Measured((log_integral + log_sphere) / p, (float(found.log_total_error[0]) + rounding) / p)
