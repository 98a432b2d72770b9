"""Integrals of e^g for functions g that leave the range of float64, around the peak of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from linear_systems.errors import PrecisionLossError
from linear_systems.rounding import rounding_allowance

LogProfile = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A function of radii that returns logarithms of the same shape; −inf where the integrand vanishes."""

NEGLIGIBLE = 25.0
"""An integrand's window ends where it has fallen by e^{−25} from its peak; what is cut off is at most that part.

Farther out the slope of a flat L_σ is rounding noise, which no quadrature converges on.
"""
QUADRATURE_ORDERS = (48, 96, 192, 384)
QUADRATURE_TOLERANCE = 1e-9
"""Relative tolerance of each integral, met by doubling the order of Gauss–Legendre quadrature."""

_SCAN, _LEVELS = 33, 8
"""A peak is found on a grid of this many radii, refined this often: to 2^−32 of the first spacing."""
_FARTHEST = 12.0
"""Binary logarithm of how far beyond its peak an integrand may reach."""


@dataclass(frozen=True)
class LogIntegrals:
    """log ∫ e^g and the mean of a weight under e^g, row by row, with absolute errors."""

    log_total: NDArray[np.float64]
    log_total_error: NDArray[np.float64]
    mean: NDArray[np.float64]
    mean_error: NDArray[np.float64]


def log_integrals(
    log_density: LogProfile,
    support: tuple[float, float],
    guess: NDArray[np.float64],
    span: float,
    weight: LogProfile,
    magnitude: float,
) -> LogIntegrals:
    """Integrate e^g for functions g of one radius, a row each, by Gauss–Legendre quadrature around the peaks.

    Arguments
        log_density: g, from radii (R, K), K arbitrary, to (R, K).
        support: where the integrands live.
        guess: (R,), within a factor 2^span of the peaks.
        weight: from radii (R, K) to (R, K).
        magnitude: the size of the terms that cancel within g.
    """
    peak = find_peaks(log_density, support, guess, span)
    top = log_density(peak[:, None])
    low, high = (_edge(log_density, end, peak, guess, top) for end in support)
    # Rounding in g, of relative size eps, is an absolute error of the logarithm of the integral.
    noise = rounding_allowance(1.0, 1) * (np.abs(top[:, 0]) + magnitude) + math.exp(-NEGLIGIBLE)
    previous: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for count in QUADRATURE_ORDERS:
        nodes, weights = _legendre(count)
        half = 0.5 * (high - low)[:, None]
        radii = 0.5 * (high + low)[:, None] + half * nodes
        masses = half * weights * np.exp(log_density(radii) - top)
        total, values = masses.sum(axis=1), weight(radii)
        mean = np.sum(masses * values, axis=1) / total
        spread = np.sum(masses * np.abs(values), axis=1) / total
        log_total = top[:, 0] + np.log(total)
        if previous is not None:
            change, shift = np.abs(log_total - previous[0]), np.abs(mean - previous[1])
            settled = (change <= QUADRATURE_TOLERANCE + noise) & (
                shift <= (QUADRATURE_TOLERANCE + noise) * spread
            )
            if settled.all():
                return LogIntegrals(log_total, change + noise, mean, shift + noise * spread)
        previous = (log_total, mean)
    raise PrecisionLossError(
        f"Gauss–Legendre quadrature with {QUADRATURE_ORDERS[-1]} nodes still changes by {change.max():.1e}: "
        "the profile has a corner or a jump inside its support, or several peaks. "
        "Try: end the support at the jump."
    )


def find_peaks(
    log_density: LogProfile, support: tuple[float, float], guess: NDArray[np.float64], span: float
) -> NDArray[np.float64]:
    """Return the maximisers (R,) of unimodal rows: a geometric grid of 2^±span around `guess`, then finer."""
    low, high = support
    grid = np.clip(guess[:, None] * 2.0 ** np.linspace(-span, span, _SCAN), low, high)
    rows = np.arange(guess.size)
    for _ in range(_LEVELS):
        values = log_density(grid)
        if np.isnan(values).any() or np.any(values.max(axis=1) == -np.inf):
            raise PrecisionLossError(
                f"the integrand is zero or undefined at radii {grid.min():.3g} to {grid.max():.3g}. "
                "Try: state the support of the profile."
            )
        best = values.argmax(axis=1)
        left, right = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, grid.shape[1] - 1)]
        peak = grid[rows, best]
        grid = left[:, None] + (right - left)[:, None] * np.linspace(0.0, 1.0, _SCAN)
    return np.asarray(peak)


def _edge(
    log_density: LogProfile,
    end: float,
    peak: NDArray[np.float64],
    guess: NDArray[np.float64],
    top: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return per row where, on the way from the peak to `end`, e^g becomes negligible, or `end`."""
    # An end at infinity is replaced by a radius far beyond the peak, where the integrand must have decayed.
    far = np.full_like(peak, end) if math.isfinite(end) else (peak + guess) * 2.0**_FARTHEST
    # Step 0 is the peak and the last step is short of `end`, where a logarithm may be infinite.
    steps = np.array([0.0, *2.0 ** np.arange(-40.0, 0.0, 0.5), 1.0 - 2.0**-30])
    radii = peak[:, None] + (far - peak)[:, None] * steps
    negligible = log_density(radii) < top - NEGLIGIBLE
    if not math.isfinite(end) and not negligible[:, -1].all():
        raise PrecisionLossError("the integrand decays too slowly, or not at all. Try: a bounded support.")
    first = radii[np.arange(peak.size), negligible.argmax(axis=1)]
    return np.where(negligible.any(axis=1), first, far)


@cache
def _legendre(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
