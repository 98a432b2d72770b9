"""Largest eigenvalues enclosed between a Rayleigh quotient and a Cholesky test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.linalg.blas import dsbmv

INVERSE_ITERATIONS = 3
"""Inverse iterations done with every Cholesky factor."""
FIRST_FRACTION = 0.02
"""Where in the gap between the ends of the enclosure the second trial is placed."""
ADAPTATION = 4.0
"""Factor by which that fraction shrinks when a trial is an upper bound, and grows, up to 1/2, when it is not."""


def enclose(
    floor_if_above: Callable[[float], float | None], lower: float, upper: float, tolerance: float
) -> tuple[float, float]:
    """Shrink lower <= λ <= upper until upper − lower <= tolerance.

    The first trial is the upper end, for the lower bound that it gives.  The next are near the lower end, which
    closes the gap at once where that is sharp; where it is not, they turn to bisection.

    Arguments
        floor_if_above: for a trial c, None if c < λ is found (to rounding); otherwise λ <= c is found, and
            a lower bound of λ is returned.
    """
    floor = floor_if_above(upper)
    if floor is None:
        return upper, upper
    lower, fraction = max(lower, floor), FIRST_FRACTION
    while upper - lower > tolerance:
        trial = lower + max(fraction * (upper - lower), tolerance / 2)
        floor = floor_if_above(trial)
        if floor is None:
            lower, fraction = trial, min(fraction * ADAPTATION, 0.5)
        else:
            lower, upper, fraction = max(lower, floor), trial, fraction / ADAPTATION
    return lower, upper


def banded_largest_eigenvalue(
    band: Float[np.ndarray, "k N"], lower: float, upper: float, tolerance: float
) -> tuple[float, float]:
    """Enclose λmax of a symmetric banded matrix K, up to the rounding errors of a Cholesky factorisation.

    c >= λmax(K) exactly if cI − K is positive semidefinite, which banded Cholesky decides with a backward error
    of a few roundings of ‖K‖ at any order N.  With each factor, inverse iteration raises the lower end.

    Arguments
        band: K in LAPACK's lower band storage, band[i − j, j] = K_ij.
        lower, upper: bounds of λmax(K) to start from.
        tolerance: absolute width asked for.
    """
    vector = np.random.default_rng(0).standard_normal(band.shape[1])
    shifted = np.empty_like(band)

    def floor_if_above(trial: float) -> float | None:
        nonlocal vector
        np.negative(band, out=shifted)
        shifted[0] += trial
        try:
            factor = cholesky_banded(shifted, lower=True, overwrite_ab=True, check_finite=False)
        except LinAlgError:
            return None
        for _ in range(INVERSE_ITERATIONS):
            vector = cho_solve_banded((factor, True), vector, check_finite=False)
            vector /= np.linalg.norm(vector)
        return float(vector @ dsbmv(band.shape[0] - 1, 1.0, band, vector, lower=1))

    return enclose(floor_if_above, lower, upper, tolerance)
