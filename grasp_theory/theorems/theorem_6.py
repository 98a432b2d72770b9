"""Theorem 6: gradient descent on the stop-gradient objective converges linearly to a unique fixed point."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import AnySystem, stop_gradient
from linear_systems.checked import checked
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import StepSize, goal_weights, horizon_of, step_sizes


@checked
def stop_gradient_contraction(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize
) -> TheoremCheck:
    """Compare the spectral radius of the update with the T-free rate q of Theorem 6.

    Setting
        z = (s_1, a_0, …, s_T, a_{T−1}) follows z^{k+1} = J z^k + c, a gradient step on
        Σ ‖s_{t+1} − A sg(s_t) − B a_t‖² + Σ β_t ‖g − A sg(s_t) − B a_t‖² with s_0 fixed and s_T free.
    Statement
        ρ(J) = max_t ρ(I − η H_t) ≤ q = max(|1 − ημ|, |1 − ηL|), with μ I ⪯ H_t ⪯ L I; q < 1 for 0 < η < 2/L.
    Source
        Theorem 6, Eq. (85)–(87).
    Assumptions
        β_t ≥ β_min > 0; B has full column rank; every eigenvalue of η H_t lies in (0, 2).  With a pair of step
        sizes, H_t is replaced by N^{1/2} H_t N^{1/2}, N = diag(η_s, η_a), which is similar to N H_t.
    Arguments
        system: time-invariant or time-varying.
        horizon: T ≥ 1, in model steps.
        beta: goal weights β_t, one number or T numbers.
        step_size: η, or the pair (η_s, η_a).
    Returns
        A record with computed = ρ(J), bound = q.  A rate is not a constant: how large ‖J^k‖ becomes before it
        decays is `linear_systems.stop_gradient.map.transient_growth`, and that depends on T.
    Raises
        HorizonError, ParameterError, StepSizeError, ShapeError.
    """
    steps = horizon_of(system, horizon)
    weights = goal_weights(beta, steps)
    states, actions = step_sizes(step_size)
    _, B = system.matrices(steps)
    gains = np.linalg.svd(B, compute_uv=False)
    full_rank = system.action_dim <= system.state_dim and bool(
        (gains[:, -1] > gains[:, 0] * max(B.shape[1:]) * np.finfo(np.float64).eps).all()
    )
    radius = stop_gradient.spectral_radius(system, steps, weights, (states, actions))
    rate = stop_gradient.contraction_rate(system, steps, weights, (states, actions))
    return TheoremCheck(
        computed=radius,
        bound=rate,
        relation="<=",
        # Closed forms per singular value: a few roundings on numbers of the size of η H.
        allowance=rounding_allowance(1.0 + rate, system.state_dim + system.action_dim),
        assumptions={
            "β_min > 0": bool(weights.min() > 0.0),
            "B has full column rank": full_rank,
            "step sizes below the stability limit": rate < 1.0,
        },
    )
