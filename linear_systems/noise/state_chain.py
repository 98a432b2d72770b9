"""The noisy stop-gradient iteration on the states, with the actions frozen and the states live.

Theorem 7 freezes s̄_t as well, and finds the same tube around every one-step prediction.  In the planner s̄_t is
the current s_t, which is noised too: the noise of early states travels down the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from linear_systems.checked import checked
from linear_systems.errors import FloatOverflowError
from linear_systems.noise.tubes import tube_variance
from linear_systems.system import AnySystem
from linear_systems.validation import horizon_of


@dataclass(frozen=True)
class ChainLaw:
    """Stationary covariances of the noisy chain, which is Gaussian.

    Arguments
        states: (T, n, n), Cov(s_t) for t = 1..T.
        residuals: (T, n, n), Cov(s_{t+1} − A_t s_t − B_t a_t) for t = 0..T−1.
    """

    states: Float[np.ndarray, "T n n"]
    residuals: Float[np.ndarray, "T n n"]


@checked
def stationary_law(system: AnySystem, horizon: int, step_size: float, sigma: float) -> ChainLaw:
    """Return the stationary law of s_{t+1} ← s_{t+1} − 2η_s(s_{t+1} − A_t s_t − B_t a_t) + σ ξ, a frozen.

    With κ = 1 − 2η_s and c = 2η_s the blocks P_ij = Cov(s_i, s_j) solve, one after the other,
    (1 − κ²) P_ij = κc (A_{i−1} P_{i−1,j} + P_{i,j−1} A_{j−1}ᵀ) + c² A_{i−1} P_{i−1,j−1} A_{j−1}ᵀ + δ_ij σ² I,
    with P_0j = 0 because s_0 is fixed.  For η_s = 1/2 this is Σ_{t+1} = A Σ_t Aᵀ + σ² I, the covariance of a
    noisy rollout (Eq. (105)).

    Arguments
        system: time-invariant or time-varying; B and the actions shift the mean only.
        horizon: T ≥ 1.
        step_size: η_s in (0, 1).
        sigma: σ ≥ 0, standard deviation of the noise added in each iteration.

    Source: Eq. (93) with s̄_t = s_t; compare Theorem 7.

    Raises
        HorizonError, StepSizeError, ParameterError; FloatOverflowError where a covariance exceeds float64.
    """
    steps = horizon_of(system, horizon)
    innovation = tube_variance(step_size, sigma)
    n = system.state_dim
    A, _ = system.matrices(steps)
    keep, pull = 1.0 - 2.0 * step_size, 2.0 * step_size
    scale = 1.0 - keep * keep
    # P[i, j] with index 0 for the fixed s_0.
    P = np.zeros((steps + 1, steps + 1, n, n))
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(1, steps + 1):
            for j in range(1, i + 1):
                coupled = keep * pull * (A[i - 1] @ P[i - 1, j] + P[i, j - 1] @ A[j - 1].T)
                coupled += pull * pull * A[i - 1] @ P[i - 1, j - 1] @ A[j - 1].T
                P[i, j] = coupled / scale
                if i == j:
                    P[i, i] += innovation * np.eye(n)
                    P[i, i] = (P[i, i] + P[i, i].T) / 2.0
                else:
                    P[j, i] = P[i, j].T
    if not np.isfinite(P).all():
        raise FloatOverflowError(
            f"a covariance at horizon {steps} exceeds the range of float64. Try: a shorter horizon; the spread grows like "
            "the square of the product of the A_t"
        )
    ahead = np.arange(1, steps + 1)
    before = ahead - 1
    cross = A @ P[before, ahead]
    predicted = A @ P[before, before] @ np.swapaxes(A, -1, -2)
    residuals = P[ahead, ahead] - cross - np.swapaxes(cross, -1, -2) + predicted
    return ChainLaw(P[ahead, ahead], residuals)
