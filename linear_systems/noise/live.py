"""The stationary law of the noisy iteration with live states and actions, as the horizon grows; and the tube of Adam.

With r = max over |z| = 1 of ρ(D + zE) < 1 let X(z) = (D + zE) X (D + zE)* + σ²Q, Q the identity on the states.  Then
Cov(y_t) increases to the mean of X over the circle, and the norm of the joint covariance to its largest norm: U17 of
docs/theory/noise.md.  U18 and U20 there are about coordinates that Adam steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov

from linear_systems.checked import checked
from linear_systems.errors import ParameterError, StepSizeError, UndecidedError
from linear_systems.stop_gradient.blocks import all_steps, update_blocks
from linear_systems.stop_gradient.transients import uniform_rate
from linear_systems.stop_gradient.uniform_convergence import time_invariant
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, goal_weight, positive_float, square, step_sizes

__all__ = ["LiveLimits", "adam_least_variance", "adam_tube_variance", "live_limits"]

FIRST_POINTS, MOST_POINTS = 32, 1 << 14
QUADRATURE_TOLERANCE = 1e-10
"""Relative change of the mean at which doubling the points ends; the rule converges geometrically where r < 1."""


@dataclass(frozen=True, eq=False)
class LiveLimits:
    """Limits for T → ∞ of the stationary covariance of z' = J z + c + σξ, noise on all states.

    Arguments
        covariance: lim over t of Cov(y_t) (n+m, n+m), y_t = (s_{t+1}, a_t): the largest it gets.
        largest: max over |z| = 1 of ‖X(z)‖₂ as sampled: the limit of the norm of the joint covariance.
    """

    covariance: Float[np.ndarray, "d d"]
    largest: float


@checked
def live_limits(system: AnySystem, beta: float, step_size: StepSize, sigma: float) -> LiveLimits:
    """Return the limits for T → ∞ of the noisy stop-gradient iteration's stationary law.  Source: Eq. (93)-(94).

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        StepSizeError: r >= 1, where the joint covariance grows without bound with T.
        UndecidedError: r is too close to 1 for the quadrature.
        ParameterError: the system is time-varying, or beta or sigma is negative.
    """
    pair, weight = step_sizes(step_size), goal_weight("beta", beta)
    variance = square("sigma", positive_float("sigma", sigma, allow_zero=True))
    radius = uniform_rate(system, weight, pair)
    if radius >= 1.0:
        raise StepSizeError(
            "step_size", "step sizes with r < 1", f"{step_size!r} with r = {radius:.6g}",
            "uniform_convergence.best_uniform_step_size",
        )  # fmt: skip
    D, E = (blocks[0] for blocks in update_blocks(all_steps(time_invariant(system), weight), pair))
    Q = np.zeros_like(D)
    Q[: system.state_dim, : system.state_dim] = variance * np.eye(system.state_dim)

    def sampled(angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        laws = [solve_discrete_lyapunov(D + np.exp(1j * angle) * E, Q.astype(complex)) for angle in angles]
        return np.mean(laws, axis=0).real, max(float(np.linalg.norm(law, 2)) for law in laws)

    points = FIRST_POINTS
    mean, largest = sampled(2.0 * np.pi * np.arange(points) / points)
    while points < MOST_POINTS:
        between, more = sampled(2.0 * np.pi * (np.arange(points) + 0.5) / points)
        refined, largest, points = (mean + between) / 2.0, max(largest, more), 2 * points
        change = float(np.abs(refined - mean).max())
        mean = refined
        if change <= QUADRATURE_TOLERANCE * float(np.abs(mean).max()):
            return LiveLimits(mean, largest)
    raise UndecidedError(
        f"The mean over {MOST_POINTS} points has not settled (r = {radius:.9g}).  Try: shorter steps."
    )


@checked
def adam_tube_variance(learning_rate: float, sigma: float, momentum: float = 0.0) -> float:
    """Return the variance of a state stepped by Adam around its frozen prediction, plus noise: what replaces (96).

    For ε = 0 and β₂ → 1, where Adam divides its average of the gradients 2(s − μ) by their stationary root mean square
    2√V.  Then V = w² with, for κ = (1−β₁)/(1+β₁),

        w = (κℓ² + σ² + ((κℓ² + σ²)² + 16 β₁ σ²ℓ²/(1−β₁²))^{1/2}) / (4ℓ),

    which is ((σ² + ℓ²)/(2ℓ))² for β₁ = 0: U18 of docs/theory/noise.md.

    Arguments
        learning_rate: ℓ > 0.
        sigma: σ >= 0, the standard deviation of the noise added after a step.
        momentum: β₁ in [0, 1).

    Raises
        StepSizeError, ParameterError.
    """
    rate, b = (
        step_sizes(learning_rate, "learning_rate")[0],
        positive_float("momentum", momentum, allow_zero=True),
    )
    if b >= 1.0:
        raise ParameterError("momentum", "a number below 1", repr(momentum), "0.9, as is usual")
    noise = square("sigma", positive_float("sigma", sigma, allow_zero=True))
    size = (1.0 - b) / (1.0 + b) * rate**2 + noise
    width = size + math.sqrt(size**2 + 16.0 * b * noise * rate**2 / (1.0 - b**2))
    return (width / (4.0 * rate)) ** 2


@checked
def adam_least_variance(learning_rate: float, sigma: float) -> float:
    """Return a lower bound of the stationary variance of any coordinate that Adam steps, whatever the loss.

    ((σ² + ℓ²)/(2ℓ))² where σ >= ℓ, for every β₁; σ² elsewhere, and for β₁ = 0 the former too: U20 of docs/theory/noise.md.

    Arguments
        learning_rate, sigma: as in `adam_tube_variance`.

    Raises
        StepSizeError, ParameterError.
    """
    if sigma >= step_sizes(learning_rate, "learning_rate")[0]:
        return adam_tube_variance(learning_rate, sigma)
    return square("sigma", positive_float("sigma", sigma, allow_zero=True))
