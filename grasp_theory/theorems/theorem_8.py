"""Theorem 8: the goal loss moves the centre μ_t = F(s̄_t, a_t) of the tube towards the goal.

`goal_drift` compares the stated centre (98) with the one that the action step really gives while s̄_t is held.
The theorem leaves out three things, each given here in closed form: the change of s̄_t between iterations
(`omitted_covariance`), the lag of s_{t+1} behind a moving centre (`joint_mode`, `drift_rate`), and the step
sizes for which centre and state together are stable (`stable_gain_limit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from grasp_theory.dynamics import Dynamics
from grasp_theory.theorems.record import TheoremCheck
from linear_systems.checked import checked
from linear_systems.errors import ShapeError, StepSizeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, real_array, square

RANK_TOLERANCE = 1e-12
"""Eigenvalues of P below this fraction of the largest count as zero: P = J Jᵀ squares the rounding of J."""


@dataclass(frozen=True, eq=False)
class ActionStep:
    """One action step (94) at one time step, and the tube centre before and after it.

    Arguments
        action: (m,), a_t^{k+1}.
        center: (n,), μ_t^k.
        next_center: (n,), F(s̄_t^k, a_t^{k+1}): the state held, as in (97).
        stated_center: (n,), the right side of (98).
        jacobian: (n, m), J_t^k = ∇_a F(s̄_t^k, a_t^k).
        displacement: ‖a_t^{k+1} − a_t^k‖.
    """

    action: Tensor
    center: Tensor
    next_center: Tensor
    stated_center: Tensor
    jacobian: Tensor
    displacement: float


@checked
def action_step(
    dynamics: Dynamics,
    state: Tensor,
    action: Tensor,
    next_state: Tensor,
    goal: Tensor,
    action_step_size: float,
    goal_weight: float,
) -> ActionStep:
    """Return the step a − η_a ∇_a (‖μ − s_{t+1}‖² + γ‖μ − g‖²), μ = F(s̄_t, a).  Source: Eq. (94), (100).

    Arguments
        dynamics: the model F.
        state: (n,), s̄_t; action: (m,), a_t; next_state: (n,), s_{t+1}; goal: (n,), g.
        action_step_size: η_a > 0.
        goal_weight: γ >= 0.

    Raises
        ShapeError, ParameterError.
    """
    eta = positive_float("action_step_size", action_step_size)
    gamma = positive_float("goal_weight", goal_weight, allow_zero=True)
    if (
        not state.ndim == action.ndim == 1
        or 0 in (state.numel(), action.numel())
        or not state.shape == next_state.shape == goal.shape
    ):
        raise ShapeError(
            "state, action, next_state and goal",
            "vectors (n,), (m,), (n,), (n,)",
            str([tuple(given.shape) for given in (state, action, next_state, goal)]),
            "pass the vectors of one time step",
        )

    def prediction(a: Tensor) -> Tensor:
        return dynamics.step(state, a)

    center = prediction(action)
    jacobian: Tensor = torch.func.jacrev(prediction)(action)
    following = action - 2.0 * eta * jacobian.T @ ((center - next_state) + gamma * (center - goal))
    gain, alpha = jacobian @ jacobian.T, 2.0 * eta
    stated = center - alpha * gamma * gain @ (center - goal) + alpha * gain @ (next_state - center)
    return ActionStep(
        action=following,
        center=center,
        next_center=prediction(following),
        stated_center=stated,
        jacobian=jacobian,
        displacement=float(torch.linalg.vector_norm(following - action)),
    )


@checked
def goal_drift(
    dynamics: Dynamics,
    state: Tensor,
    action: Tensor,
    next_state: Tensor,
    goal: Tensor,
    action_step_size: float,
    goal_weight: float,
    curvature: float,
) -> TheoremCheck:
    """Compare the tube centre after an action step with the one that Theorem 8 states.

    Setting
        μ = F(s̄_t, a_t), J = ∇_a F(s̄_t, a_t), P = J Jᵀ, ε = s_{t+1} − μ, α = 2 η_a, and one action step (94).
    Statement
        ‖μ⁺ − ((I − αγP) μ + αγP g + αP ε)‖ ≤ ½ M ‖a⁺ − a‖², with M the curvature of F in a: equality (98)
        exactly for dynamics affine in a, M = 0, and an error of second order in η_a otherwise.  μ⁺ is the
        centre with s̄_t held at its old value.
    Source
        Theorem 8, Eq. (97)–(100); the error bound is ours (Taylor).
    Assumptions
        F is differentiable in a; the state s̄_t does not change in the step (it does: `omitted_covariance`).
        For the contraction on Range(P), 0 < αγ λ_max(P) < 1; necessary and sufficient is 0 < αγ λ_max(P) < 2.
    Arguments
        dynamics: the model F.
        state: (n,), s̄_t; action: (m,), a_t; next_state: (n,), s_{t+1}; goal: (n,), g.
        action_step_size: η_a > 0; goal_weight: γ >= 0.
        curvature: M >= 0, at least the norm of ∂²F/∂a² along the step; 0 for dynamics affine in a.
    Returns
        A record with computed = the norm on the left, bound = ½ M ‖a⁺ − a‖², and in `quantities`
        "displacement" = ‖a⁺ − a‖, "gain" = αγ λ_max(P), "contraction" = max |1 − αγλ| over the eigenvalues
        λ > 0 of P (0 if P = 0), "rank" of P, and "frozen" = n − rank, in which μ cannot move.
    Raises
        ShapeError, ParameterError.
    """
    bound_on_curvature = positive_float("curvature", curvature, allow_zero=True)
    taken = action_step(dynamics, state, action, next_state, goal, action_step_size, goal_weight)
    gain = taken.jacobian @ taken.jacobian.T
    eigenvalues = torch.linalg.eigvalsh(gain).clamp(min=0.0)
    active = eigenvalues[eigenvalues > RANK_TOLERANCE * eigenvalues.max()]
    strength = 2.0 * action_step_size * goal_weight
    largest = float(eigenvalues.max())
    size = state.shape[0] * action.shape[0]
    vectors = (state, taken.center, taken.next_center, next_state, goal)
    scale = max(float(vector.abs().max()) for vector in vectors)
    magnitude = scale * (1.0 + 2.0 * action_step_size * (1.0 + goal_weight) * largest)
    return TheoremCheck(
        computed=float(torch.linalg.vector_norm(taken.next_center - taken.stated_center)),
        bound=0.5 * bound_on_curvature * taken.displacement**2,
        relation="<=",
        allowance=rounding_allowance(magnitude, size),
        assumptions={"0 < αγ λ_max(P) < 1": 0.0 < strength * largest < 1.0},
        quantities={
            "displacement": taken.displacement,
            "gain": strength * largest,
            "contraction": float((1.0 - strength * active).abs().max()) if len(active) else 0.0,
            "rank": float(len(active)),
            "frozen": float(len(eigenvalues) - len(active)),
        },
    )


@checked
def omitted_covariance(
    state_jacobian: ArrayLike, state_step_size: float, sigma: float
) -> Float[np.ndarray, "n n"]:
    """Return the covariance of G (s_t^{k+1} − s_t^k), the change of μ_t that (97) leaves out, to first order.

    For s_t in its stationary tube (96) around a fixed centre the change of s_t has covariance σ²/(1−η_s) I:
    the noise σ² of the step itself and 4 η_s² Σ_tube of the step back to the centre.  The forcing that (98)
    keeps, αPε, has covariance α² σ²/(4 η_s (1−η_s)) P²: for G and P of like norm, η_a²/η_s times as large.

    Arguments
        state_jacobian: (n, n), G = ∇_s F(s_t, a_t).
        state_step_size: η_s in (0, 1).
        sigma: σ >= 0, the state noise.

    Raises
        StepSizeError, ParameterError, ShapeError, DTypeError, NonFiniteError.
    """
    G = real_array("state_jacobian", state_jacobian, ndim=2)
    if G.shape != (len(G), len(G)) or not G.size:
        raise ShapeError("state_jacobian", "a square matrix, n >= 1", f"shape {G.shape}", "pass G (n, n)")
    eta = _state_step(state_step_size)
    return np.asarray(
        square("sigma", positive_float("sigma", sigma, allow_zero=True)) / (1.0 - eta) * G @ G.T
    )


@checked
def joint_mode(gain: float, step_sizes: tuple[float, float], goal_weight: float) -> Float[np.ndarray, "2 2"]:
    """Return the matrix that maps (μ_t − g, s_{t+1} − g) along an eigenvector of P to its next mean.

    For dynamics affine in a with s̄_t held, this is exact; (99) replaces it by the sum of its first row,
    1 − αγp, as if s_{t+1} stayed at μ_t in the mean.

    Arguments
        gain: p >= 0, an eigenvalue of P.
        step_sizes: (η_s, η_a), η_s in (0, 1), η_a > 0.
        goal_weight: γ >= 0.

    Raises
        StepSizeError, ParameterError.
    """
    eta, alpha = _state_step(step_sizes[0]), 2.0 * positive_float("step_sizes", step_sizes[1])
    p = positive_float("gain", gain, allow_zero=True)
    gamma = positive_float("goal_weight", goal_weight, allow_zero=True)
    return np.array([[1.0 - alpha * (1.0 + gamma) * p, alpha * p], [2.0 * eta, 1.0 - 2.0 * eta]])


@checked
def drift_rate(gain: float, step_sizes: tuple[float, float], goal_weight: float) -> float:
    """Return the larger eigenvalue of `joint_mode`: the factor by which μ_t − g really shrinks in the mean.

    To first order in γ, at every step size, it is 1 − αγp/(1 + η_a p/η_s) and not the 1 − αγp of (99): at
    η_a p = η_s the drift is half as fast.

    Arguments and Raises: as `joint_mode`.
    """
    (a, b), (c, d) = joint_mode(gain, step_sizes, goal_weight)
    # b c >= 0, so both eigenvalues are real.
    return float(0.5 * (a + d) + np.sqrt(0.25 * (a - d) ** 2 + b * c))


@checked
def stable_gain_limit(state_step_size: float, goal_weight: float) -> float:
    """Return the c for which `joint_mode` is stable if and only if 0 < αp < c.

    c = 2(1−η_s)/(1 + γ(1−η_s)), for γ > 0.  The theorem's condition αγp < 1 allows αp up to 1/γ, which is
    beyond c if γ < 1/(1−η_s): then centre and state diverge together although (99) contracts.

    Arguments
        state_step_size: η_s in (0, 1).
        goal_weight: γ > 0.

    Raises
        StepSizeError, ParameterError.
    """
    rest = 1.0 - _state_step(state_step_size)
    return 2.0 * rest / (1.0 + positive_float("goal_weight", goal_weight) * rest)


def _state_step(value: float) -> float:
    eta = positive_float("state_step_size", value)
    if eta >= 1.0:
        raise StepSizeError(
            "state_step_size", "0 < η_s < 1, where the tube exists", repr(value), "pass a step size below 1"
        )
    return eta
