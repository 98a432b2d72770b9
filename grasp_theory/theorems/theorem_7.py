"""Theorem 7: noised states form a Gaussian tube around one-step predictions."""

from __future__ import annotations

import numpy as np

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import AnySystem, state_chain
from linear_systems.checked import checked
from linear_systems.noise.tubes import tube_variance
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, positive_integer, square


@checked
def gaussian_tube(step_size: float, sigma: float, iterations: int) -> TheoremCheck:
    """Compare the variance after k iterations from a fixed start with the tube's.

    Setting
        s ← s − 2η_s(s − μ) + σ ξ, ξ ~ N(0, I), μ fixed, iterated k times from a deterministic start.
    Statement
        s converges in distribution to N(μ, σ²/(4η_s(1−η_s)) I).
    Source
        Theorem 7, Eq. (95)–(96).
    Assumptions
        0 < η_s < 1 (necessary as well: otherwise |1 − 2η_s| ≥ 1 and the variance grows without bound); μ fixed.
    Arguments
        step_size: η_s.
        sigma: σ ≥ 0, in the units of the state.
        iterations: k ≥ 1.
    Returns
        A record with computed = the variance per coordinate after k iterations, σ² Σ_{j<k} (1−2η_s)^{2j}, and
        bound = σ²/(4η_s(1−η_s)), infinite outside the assumption; in `quantities` "bias_factor" = (1−2η_s)^k,
        what is left of the initial distance to μ.
    Raises
        ParameterError.
    """
    eta, k = positive_float("step_size", step_size), positive_integer("iterations", iterations)
    keep = 1.0 - 2.0 * eta
    stable = eta < 1.0
    with np.errstate(over="ignore"):
        powers = np.float64(keep * keep) ** np.arange(k)
        variance = float(square("sigma", positive_float("sigma", sigma, allow_zero=True)) * powers.sum())
        bias = float(np.float64(keep) ** k)
    return TheoremCheck(
        computed=variance,
        bound=tube_variance(eta, sigma) if stable else float("inf"),
        relation="<=",
        allowance=rounding_allowance(tube_variance(eta, sigma), k) if stable else 0.0,
        assumptions={"0 < η_s < 1": stable},
        quantities={"bias_factor": bias},
    )


@checked
def live_tube(system: AnySystem, horizon: int, step_size: float, sigma: float) -> TheoremCheck:
    """Compare the planner's stationary spread, with s̄_t live and the actions frozen, with the tube of Theorem 7.

    Setting
        All states follow Eq. (93) at once, each prediction μ_t = A s_t + B a_t made from the current, noised s_t.
    Statement
        The spread of s_T about its mean is never below the tube's: λ_max(Cov s_T) ≥ σ²/(4η_s(1−η_s)).  (s_T is a sum
        of filtered noises, one for each state up to T, that are independent; its own alone gives the tube.)
    Source
        our companion to Theorem 7, whose μ_t is held fixed.
    Assumptions
        0 < η_s < 1.
    Arguments
        system: time-invariant or time-varying.
        horizon: T ≥ 1.
        step_size: η_s in (0, 1).
        sigma: σ ≥ 0.
    Returns
        A record with computed = λ_max(Cov s_T), bound = the tube's variance; "residual_variance" =
        λ_max(Cov(s_T − A s_{T−1} − B a_{T−1})) in `quantities`.
    Raises
        HorizonError, StepSizeError, ParameterError, FloatOverflowError.
    """
    law = state_chain.stationary_law(system, horizon, step_size, sigma)
    spread = float(np.linalg.eigvalsh(law.states[-1])[-1])
    tube = tube_variance(step_size, sigma)
    return TheoremCheck(
        computed=spread,
        bound=tube,
        relation=">=",
        allowance=rounding_allowance(spread, system.state_dim * horizon),
        assumptions={"0 < η_s < 1": 0.0 < step_size < 1.0},
        quantities={"residual_variance": float(np.linalg.eigvalsh(law.residuals[-1])[-1])},
    )
