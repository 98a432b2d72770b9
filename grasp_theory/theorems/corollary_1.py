"""Corollary 1: in expectation, noise on the state replaces the gradient by that of the smoothed loss."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from grasp_theory.smoothing.constants import SUPREMUM_GAIN, mean_norm
from grasp_theory.smoothing.norms import Loss, points_in
from grasp_theory.smoothing.quadrature import (
    DEFAULT_TOLERANCE,
    Function,
    expected_gradient,
    smooth,
    smooth_gradient,
)
from grasp_theory.theorems.record import TheoremCheck
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, positive_integer, vector


class PointwiseLoss(Loss, Protocol):
    """A loss whose smoothing and gradient can be evaluated at points (..., d)."""

    def smoothed(self, sigma: float) -> PointwiseLoss:
        """Return L_σ."""

    def gradient(self, points: ArrayLike) -> Float[np.ndarray, "*batch d"]:
        """Return ∇L at points (..., d)."""


@checked
def unbiasedness(
    loss: Function, gradient: Function, sigma: float, point: ArrayLike, tolerance: float = DEFAULT_TOLERANCE
) -> TheoremCheck:
    """Compare E[∇L(s + ξ)] with ∇L_σ(s) in one or two dimensions, by two independent quadratures.

    Setting
        ξ ~ N(0, σ² I_d), L_σ(s) = E[L(s + ξ)].
    Statement
        E[∇L(s + ξ)] = ∇L_σ(s).
    Source
        Corollary 1, Eq. (53)–(54).
    Assumptions
        L ∈ C¹ and E‖∇L(s' + ξ)‖ < ∞ for all s' in a neighbourhood of s.  (At s alone it is not enough: L_σ may be
        infinite arbitrarily close to s.)  Here it is checked through the second moment of ∇L at s, which the
        quadrature must resolve.
    Arguments
        loss: L, a function of points (..., d) that returns (...).
        gradient: what the caller takes for ∇L, a function of points (..., d) that returns (..., d).
        sigma: σ > 0, in units of s.
        point: s, (d,), d = 1 or 2.
        tolerance: relative tolerance of the quadratures.
    Returns
        A record with computed = ‖E[∇L(s + ξ)] − E[L(s + ξ) ξ]/σ²‖ and bound = 0: the second expectation is ∇L_σ(s) by
        (44), without any derivative of L, so a gradient that is not that of L (one with a stop-gradient, say) is
        found out.  In `quantities`, "smoothed_gradient" = ‖∇L_σ(s)‖ and "gradient_rms" = (E‖∇L(s + ξ)‖²)^{1/2}.
    Raises
        ParameterError, ShapeError, DTypeError, NonFiniteError; PrecisionLossError where an expectation does
        not converge, as it must where it does not exist.
    """
    s = np.asarray(point)
    dim = s.shape[0] if s.ndim == 1 else 0
    s = vector("point", point, dim)
    left = expected_gradient(gradient, sigma, s, dim, tolerance)
    right = smooth_gradient(loss, sigma, s, dim, tolerance)

    def squared(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sum(gradient(points) ** 2, axis=-1))

    second = float(smooth(squared, sigma, s, dim, tolerance).value)
    return TheoremCheck(
        computed=float(np.linalg.norm(left.value - right.value)),
        bound=0.0,
        relation="=",
        allowance=math.sqrt(dim) * (left.error + right.error),
        assumptions={"E‖∇L(s + ξ)‖² < ∞": math.isfinite(second)},
        quantities={
            "smoothed_gradient": float(np.linalg.norm(right.value)),
            "gradient_rms": math.sqrt(second),
        },
    )


def unbiasedness_by_sampling(
    gradient: Function,
    smoothed_gradient: ArrayLike,
    sigma: float,
    point: ArrayLike,
    largest: float,
    generator: np.random.Generator,
    samples: int,
    level: float,
) -> TheoremCheck:
    """Test E[∇L(s + ξ)] = ∇L_σ(s) by Monte Carlo in any dimension, at a level that holds for every sample size.

    Setting
        ξ_1, ..., ξ_n ~ N(0, σ² I_d) independent, ‖∇L‖ ≤ G.
    Statement
        E[∇L(s + ξ)] = ∇L_σ(s); so the mean of the ∇L(s + ξ_i) is within 2G √(2 log(2/level)/n) of ∇L_σ(s) with
        probability at least 1 − level.
    Source
        Corollary 1, Eq. (54).  The inequality is Pinelis's for sums of independent vectors of length at most 2G
        with mean zero (Annals of Probability 22, 1994, Theorem 3.5); it does not depend on d.
    Assumptions
        L ∈ C¹, ‖∇L‖ ≤ G everywhere (which implies E‖∇L(s + ξ)‖ < ∞).
    Arguments
        gradient: ∇L, a function of points (n, d) that returns (n, d).
        smoothed_gradient: ∇L_σ(s), (d,).
        sigma: σ > 0, in units of s.
        point: s, (d,).
        largest: G.
        generator: the source of randomness.
        samples: n ≥ 1.
        level: largest probability of rejecting a true identity.
    Returns
        A record with computed = the distance of the sample mean from ∇L_σ(s) and bound = the radius above; in
        `quantities`, "detectable_bias": an expectation off by this much is rejected with probability ≥ 1 − level.
    Raises
        ParameterError, ShapeError, DTypeError, NonFiniteError.
    """
    s = np.asarray(point)
    s = vector("point", point, s.shape[0] if s.ndim == 1 else 0)
    expected = vector("smoothed_gradient", smoothed_gradient, s.shape[0])
    count, bound = positive_integer("samples", samples), positive_float("largest", largest)
    alpha = positive_float("level", level)
    if alpha >= 1.0:
        raise ParameterError("level", "0 < level < 1", repr(level), "pass a probability such as 1e-6")
    noise = positive_float("sigma", sigma) * generator.standard_normal((count, s.shape[0]))
    drawn = points_in(s.shape[0], gradient(s + noise))
    longest = float(np.linalg.norm(drawn, axis=-1).max())
    radius = 2.0 * bound * math.sqrt(2.0 * math.log(2.0 / alpha) / count)
    return TheoremCheck(
        computed=float(np.linalg.norm(drawn.mean(axis=0) - expected)),
        bound=radius,
        relation="<=",
        allowance=rounding_allowance(bound, 1),
        assumptions={"‖∇L‖ ≤ G": longest <= bound + rounding_allowance(bound, s.shape[0])},
        quantities={"detectable_bias": 2.0 * radius, "samples": float(count)},
    )


@checked
def smoothed_gradient_bound(loss: PointwiseLoss, sigma: float, point: ArrayLike) -> TheoremCheck:
    """Compare σ ‖∇L_σ(s)‖ / ‖L‖_∞ with c_d.

    Setting
        ξ ~ N(0, σ² I_d), L_σ(s) = E[L(s + ξ)].
    Statement
        ‖E[∇L(s + ξ)]‖ = ‖∇L_σ(s)‖ ≤ (c_d/σ) ‖L‖_∞.
    Source
        Corollary 1, Eq. (55).
    Assumptions
        L ∈ C¹, L ∈ L^∞, and E‖∇L(s' + ξ)‖ < ∞ near s for the first equality (boundedness does not imply it).
    Arguments
        loss: L, with the closed form of its smoothing.
        sigma: σ > 0, in units of s.
        point: s, (d,).
    Returns
        A record with computed = σ ‖∇L_σ(s)‖ / ‖L‖_∞ (0 where L is unbounded) and bound = c_d; in `quantities`,
        "sharp_bound" = √(2/π), valid in every dimension and attained by a half-space step.
    Raises
        ParameterError, ShapeError, DTypeError, NonFiniteError.
    """
    s = vector("point", point, loss.dim)
    scale = positive_float("sigma", sigma)
    supremum = loss.log_norm(math.inf)
    length = float(np.linalg.norm(loss.smoothed(scale).gradient(s)))
    value = scale * length * math.exp(-supremum.value)
    return TheoremCheck(
        computed=value,
        bound=mean_norm(loss.dim),
        relation="<=",
        allowance=rounding_allowance(max(value, 1.0), loss.dim) + value * supremum.error,
        assumptions={"L is C¹": loss.differentiable, "L ∈ L^∞": math.isfinite(supremum.value)},
        quantities={"sharp_bound": SUPREMUM_GAIN},
    )
