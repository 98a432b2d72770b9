"""The noncentral chi density and the Bessel functions in it, as logarithms, for orders up to 10⁵ and beyond."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy.special import gammaln, ive

DEBYE_FROM = 40.0
"""From this order on I_ν is computed by its uniform expansion, with a relative error below 1e-13."""
DEBYE_TERMS = 9


def log_noncentral_chi(
    order: float, radius: NDArray[np.float64], radii: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Return log K(r, ρ) for ν = order, r = radius and ρ = radii."""
    variance = sigma**2
    # With x = rρ/σ², x − (r² + ρ²)/(2σ²) = −(r − ρ)²/(2σ²) is formed without cancellation.
    main = -((radius - radii) ** 2) / (2.0 * variance) + _log_bessel(order, radius * radii / variance)
    return np.asarray(np.log(radii / variance) + order * np.log(radii / radius) + main)


def _log_bessel(order: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(e^{−x} I_ν(x)) for ν ≥ −1/2 and x ≥ 0."""
    if order >= DEBYE_FROM:
        root = np.hypot(order, x)
        series = np.log(_debye_series(order, order / root))
        # ν η − x with ν η = √(ν²+x²) + ν log(x/(ν + √(ν²+x²))), and √(ν²+x²) − x = ν²/(√(ν²+x²) + x).
        with np.errstate(divide="ignore"):
            growth = order**2 / (root + x) + order * np.log(x / (order + root))
        return np.asarray(growth + series - 0.5 * np.log(2.0 * np.pi * root))
    small, large = x < 1e-3, x > 1e7
    with np.errstate(divide="ignore"):
        scaled = np.log(ive(order, np.where(small | large, 1.0, x)))
        # Two terms of the power series; the third is below eps for x < 1e-3.
        quarter = 0.25 * x**2
        tail = quarter / (order + 1.0) * (1.0 + quarter / (2.0 * (order + 2.0)))
        series = order * np.log(0.5 * x) - gammaln(order + 1.0) + np.log1p(tail) - x
        # Hankel's expansion; (4ν²)³/(8x)³/6 is the size of the last term kept, 1e-13 at the threshold.
        a, y = 4.0 * order**2, 0.125 / np.where(large, x, 1e7)
        factor = 1.0 - (a - 1.0) * y * (1.0 - (a - 9.0) * y / 2.0 * (1.0 - (a - 25.0) * y / 3.0))
        hankel = np.log(factor) + 0.5 * np.log(4.0 * y / np.pi)
    return np.select([small, large], [series, hankel], scaled)


def log_bessel_ratio(order: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(I_{ν+1}(x)/I_ν(x)), without the cancellation of two large logarithms."""
    if order < DEBYE_FROM:
        return _log_bessel(order + 1.0, x) - _log_bessel(order, x)
    low, high = np.hypot(order, x), np.hypot(order + 1.0, x)
    gap = (2.0 * order + 1.0) / (low + high)
    with np.errstate(divide="ignore"):
        # high − low + (ν+1) log(x/(ν+1+high)) − ν log(x/(ν+low)), with close arguments divided first.
        growth = gap + _log_quotient(order + 1.0, x, high) - order * np.log1p((1.0 + gap) / (order + low))
    upper, lower = _debye_series(order + 1.0, (order + 1.0) / high), _debye_series(order, order / low)
    return np.asarray(growth - 0.5 * np.log1p(gap / low) + np.log1p((upper - lower) / lower))


def _log_quotient(order: float, x: NDArray[np.float64], root: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(x/(ν + √(ν²+x²))) = −asinh(ν/x), `root` being the square root."""
    return np.asarray(np.where(x > 0.0, -np.log1p((order + order**2 / (root + x)) / x), -np.inf))


def _debye_series(order: float, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Σ_k U_k(p)/ν^k of the uniform expansion of I_ν."""
    return np.asarray(sum(polynomial(p) / order**k for k, polynomial in enumerate(_DEBYE)))


def _debye_polynomials(count: int) -> tuple[Polynomial, ...]:
    """Return U_0..U_{count−1}: U_{k+1} = p²(1−p²)U_k'/2 + ∫_0^p (1−5t²) U_k(t) dt / 8."""
    found = [Polynomial([1.0])]
    for _ in range(count - 1):
        derivative = Polynomial([0.0, 0.0, 0.5, 0.0, -0.5]) * found[-1].deriv()
        integral = (Polynomial([0.125, 0.0, -0.625]) * found[-1]).integ()
        found.append(derivative + integral)
    return tuple(found)


_DEBYE = _debye_polynomials(DEBYE_TERMS)
