"""Appendix A.3: the law of the Langevin flow with noise on the states only."""

from __future__ import annotations

import numpy as np

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import AnySystem, noise
from linear_systems.checked import checked
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import StepSize, horizon_of


@checked
def state_noise_law(system: AnySystem, horizon: int, step_size: StepSize, sigma: float) -> TheoremCheck:
    """Compare the stationary energy under state-only noise with that of the law that Eq. (57) suggests.

    Setting
        dz = −N ∇J_L(z) dτ + σ (dW; 0), J_L = ‖Mz − b‖², z = (s_1..s_{T−1}; a_0..a_{T−1}), N = diag(η_s, η_a).
    Statement
        E‖w‖² ≥ (σ²/4η_s)(rank M − rank M_a), w = Mz − b less its constant part: the excess energy is never below
        that of δ(a = a*(s)) exp(−β J_L), β = 2η_s/σ², and tends to it as η_a/η_s → ∞.
    Source
        Appendix A.3, Eq. (57); for linear dynamics.
    Assumptions
        The flow converges on the residuals (it always does); the density of Eq. (57) can be normalised only if no flat
        direction diffuses, that is never for mT > n: see "z has a law".
    Arguments
        system: time-invariant or time-varying.
        horizon: T ≥ 1.
        step_size: η, or (η_s, η_a).
        sigma: σ > 0, of the noise on the states.
    Returns
        A record with computed = E‖w‖² of the flow, bound = that under (57); in `quantities` "wasserstein2", the
        distance between the two residual laws, and "diffusing_directions", their number.
    Raises
        HorizonError, StepSizeError, ParameterError.
    """
    steps = horizon_of(system, horizon)
    law = noise.ornstein_uhlenbeck(system, steps, step_size, sigma)
    suggested = noise.boltzmann_residual_covariance(
        system, steps, noise.inverse_temperature(step_size, sigma)
    )
    suggested = (suggested + suggested.T) / 2.0
    diffusing = law.diffusing_directions.shape[1]
    return TheoremCheck(
        computed=law.mean_energy,
        bound=float(np.trace(suggested)),
        relation=">=",
        allowance=rounding_allowance(law.mean_energy, system.state_dim * steps),
        assumptions={},
        quantities={
            "wasserstein2": noise.wasserstein2(law.residual_covariance, suggested),
            "diffusing_directions": float(diffusing),
        },
    )
