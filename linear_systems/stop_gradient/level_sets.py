"""The largest spectral radius of D + zE over the unit circle, by level sets.

The test is that of the H∞-norm algorithms (Boyd and Balakrishnan 1990; Bruinsma and Steinbuch 1990).  For
real D and E and |z| = 1, an eigenvalue λ of D + zE has |λ| = r only if r² is an eigenvalue of

    (D + zE) ⊗ (D + z⁻¹E) = z E⊗D + (D⊗D + E⊗E) + z⁻¹ D⊗E,

so every angle at which an eigenvalue crosses the level r is a root of a quadratic eigenvalue problem of order
d².  Between neighbouring crossings nothing changes sides, so one evaluation in each gap decides whether the
level is exceeded anywhere; a grid alone could miss a narrow peak.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import eigvals
from scipy.optimize import minimize_scalar

LEVEL_TOLERANCE = 1e-9
"""The returned maximum is exceeded by no more than this relative amount."""
ANNULUS = 2.0
"""Roots z with 1/ANNULUS <= |z| <= ANNULUS give candidate angles: rounding moves roots off the circle."""
FIRST_ANGLES = 65


def largest_spectral_radius(D: Float[np.ndarray, "d d"], E: Float[np.ndarray, "d d"]) -> float:
    """Return the maximum over |z| = 1 of ρ(D + zE) for real D and E; costs O(d⁶)."""
    value = _climb(D, E, np.linspace(0.0, np.pi, FIRST_ANGLES))
    while value > 0:
        level = value * (1 + LEVEL_TOLERANCE)
        crossings = _crossings(D, E, level)
        # θ and −θ have the same radius; the ends 0 and π are symmetric, hence stationary, points.
        points = np.unique(np.concatenate([[0.0, np.pi], crossings]))
        points = np.unique(np.concatenate([points, 0.5 * (points[1:] + points[:-1])]))
        if spectral_radii(D, E, points).max() <= level:
            return value
        value = max(value, _climb(D, E, points))
    return value


def spectral_radii(
    D: Float[np.ndarray, "d d"], E: Float[np.ndarray, "d d"], angles: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " K"]:
    """Return ρ(D + e^{iθ}E) for each angle θ."""
    z = np.exp(1j * angles)[:, None, None]
    return np.asarray(np.abs(np.linalg.eigvals(D + z * E)).max(axis=-1))


def _climb(D: NDArray[np.float64], E: NDArray[np.float64], angles: NDArray[np.float64]) -> float:
    """Return the best of the radii at sorted `angles` and of a local search around the best of them."""
    radii = spectral_radii(D, E, angles)
    best = int(np.argmax(radii))
    low, high = angles[max(best - 1, 0)], angles[min(best + 1, len(angles) - 1)]
    search = minimize_scalar(
        lambda angle: -spectral_radii(D, E, np.array([angle]))[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return max(float(radii[best]), -float(search.fun))


def _crossings(D: NDArray[np.float64], E: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return the angles in [0, π] at which an eigenvalue of D + e^{iθ}E may have modulus `level`."""
    d = D.shape[0] ** 2
    leading, last = np.kron(E, D) / level**2, np.kron(D, E) / level**2
    middle = (np.kron(D, D) + np.kron(E, E)) / level**2 - np.eye(d)
    zero, one = np.zeros((d, d)), np.eye(d)
    left = np.block([[zero, one], [-last, -middle]])
    right = np.block([[one, zero], [zero, leading]])
    alpha, beta = eigvals(left, right, homogeneous_eigvals=True)
    near = (
        (np.abs(alpha) <= ANNULUS * np.abs(beta)) & (np.abs(beta) <= ANNULUS * np.abs(alpha)) & (alpha != 0)
    )
    return np.asarray(np.abs(np.angle(alpha[near] * np.conj(beta[near]))))
