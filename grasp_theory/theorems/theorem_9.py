"""Theorem 9: mean and covariance of noisy rollouts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import AnySystem, noise
from linear_systems.checked import checked
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import horizon_of, positive_float, vector


@checked
def rollout_mean(system: AnySystem, initial_state: ArrayLike, actions: ArrayLike) -> TheoremCheck:
    """Compare the mean recursion m_{t+1} = A m_t + B a_t with the deterministic rollout in closed form.

    Setting
        s_{t+1} = A s_t + B a_t + σ ζ_t, ζ_t ~ N(0, I), s_0 fixed.
    Statement
        m_{t+1} = F(m_t, a_t): the mean of the noisy rollout is the rollout without noise.
    Source
        Theorem 9, Eq. (102)–(103).
    Assumptions
        F affine in s.
    Arguments
        system: time-invariant or time-varying.
        initial_state: (n,).
        actions: (T, m).
    Returns
        A record with computed = the largest distance over t between the two, bound = 0.
    Raises
        ShapeError, DTypeError, NonFiniteError, HorizonError.
    """
    start = vector("initial_state", initial_state, system.state_dim)
    rolled = system.rollout(start, actions)
    horizon = len(rolled) - 1
    A, B = system.matrices(horizon)
    acts = np.asarray(actions, dtype=np.float64)
    # Σ_k Φ(T, k+1) B_k a_k + Φ(T, 0) s_0, transition matrices multiplied from the left of each input.
    responses = [start, *(B[k] @ acts[k] for k in range(horizon))]
    largest, magnitude, amplification = 0.0, float(np.abs(start).max()), 1.0
    transitions = np.empty((0, system.state_dim, system.state_dim))
    for t in range(1, horizon + 1):
        responses[:t] = [A[t - 1] @ response for response in responses[:t]]
        transitions = np.concatenate([A[t - 1] @ transitions, np.eye(system.state_dim)[None]])
        amplification = max(amplification, float(np.linalg.norm(transitions, 2, axis=(-2, -1)).max()))
        mean = np.sum(responses[: t + 1], axis=0)
        magnitude = max(magnitude, float(np.sum(np.abs(responses[: t + 1]), axis=0).max()))
        largest = max(largest, float(np.abs(mean - rolled[t]).max()))
    growth = max(1.0, float(np.linalg.norm(A, 2, axis=(-2, -1)).max()))
    return TheoremCheck(
        computed=largest,
        bound=0.0,
        relation="=",
        # Each step rounds relative to ‖A‖ times its input, and later steps amplify that by ‖Φ‖.
        allowance=rounding_allowance(
            magnitude, (system.state_dim + system.action_dim) * horizon, growth * amplification
        ),
        assumptions={},
    )


@checked
def rollout_spread(system: AnySystem, horizon: int, sigma: float) -> TheoremCheck:
    """Compare the covariance recursion with the closed sum over past noises.

    Setting
        As in `rollout_mean`.
    Statement
        Σ_{t+1} = A Σ_t Aᵀ + σ² I, Σ_0 = 0, hence Σ_T = σ² Σ_{k<T} Φ(T, k+1) Φ(T, k+1)ᵀ: exact for affine F.
    Source
        Theorem 9, Eq. (105) with the Jacobian taken at m_t.
    Assumptions
        F affine in s.
    Arguments
        system: time-invariant or time-varying.
        horizon: T ≥ 1.
        sigma: σ_env ≥ 0.
    Returns
        A record with computed = λ_max(Σ_T) by the recursion, bound = λ_max of the closed sum; in `quantities`
        "per_step" = λ_max(Σ_T)/T, and "limit" = λ_max(Σ_∞) where A is time-invariant and stable, else infinity.
    Raises
        HorizonError, ParameterError, FloatOverflowError.
    """
    steps, level = horizon_of(system, horizon), positive_float("sigma", sigma, allow_zero=True)
    A, _ = system.matrices(steps)
    covariance = noise.rollout_covariance(system, steps, level)
    n = system.state_dim
    transition, closed = np.eye(n), np.zeros((n, n))
    growth = amplification = 1.0
    for t in range(steps - 1, -1, -1):
        closed += transition @ transition.T
        amplification = max(amplification, float(np.linalg.norm(transition, 2)))
        transition = transition @ A[t]
        growth = max(growth, float(np.linalg.norm(A[t], 2)))
    closed *= level**2
    top = float(np.linalg.eigvalsh(closed)[-1])
    return TheoremCheck(
        computed=float(np.linalg.eigvalsh(covariance)[-1]),
        bound=top,
        relation="=",
        allowance=rounding_allowance(top, n * steps, growth * amplification),
        assumptions={},
        quantities={"per_step": top / steps, "limit": _limit(system, level)},
    )


def _limit(system: AnySystem, sigma: float) -> float:
    if system.length is not None or np.abs(np.linalg.eigvals(system.A)).max() >= 1.0:
        return float("inf")
    return float(np.linalg.eigvalsh(noise.rollout_covariance_limit(system, sigma))[-1])
