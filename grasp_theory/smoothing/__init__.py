"""Gaussian smoothing L_σ = φ_σ * L of a loss on R^d (Appendix A.2), its norms, and bounds that are sharp at p = 1, 2, ∞.

Closed forms where they exist (`closed_forms`), Gauss–Hermite quadrature in one and two dimensions
(`quadrature`), the fast Fourier transform on the torus (`PeriodicLoss`), and radial losses in any dimension
(`RadialLoss`).  What is known of the best constants in Theorem 4, with proofs, is in `constants`.
"""

from __future__ import annotations

from grasp_theory.smoothing.closed_forms import Absolute, FourierMode, Gaussian, Hinge, Step
from grasp_theory.smoothing.constants import (
    SUPREMUM_GAIN,
    WAVE_GAIN,
    angular_bound,
    gain_lower_bound,
    gain_upper_bound,
    gaussian_gain,
    interpolated_bound,
    mean_norm,
    nonnegative_bound,
)
from grasp_theory.smoothing.extremal import Extremal, maximise_gain
from grasp_theory.smoothing.norms import Loss, Measured, gradient_contraction_ratio, gradient_gain
from grasp_theory.smoothing.periodic import PeriodicLoss
from grasp_theory.smoothing.polynomial import Polynomial
from grasp_theory.smoothing.quadrature import Expectation, expected_gradient, smooth, smooth_gradient
from grasp_theory.smoothing.radial import RadialLoss

__all__ = [
    "SUPREMUM_GAIN",
    "WAVE_GAIN",
    "Absolute",
    "Expectation",
    "Extremal",
    "FourierMode",
    "Gaussian",
    "Hinge",
    "Loss",
    "Measured",
    "PeriodicLoss",
    "Polynomial",
    "RadialLoss",
    "Step",
    "angular_bound",
    "expected_gradient",
    "gain_lower_bound",
    "gain_upper_bound",
    "gaussian_gain",
    "gradient_contraction_ratio",
    "gradient_gain",
    "interpolated_bound",
    "maximise_gain",
    "mean_norm",
    "nonnegative_bound",
    "smooth",
    "smooth_gradient",
]
