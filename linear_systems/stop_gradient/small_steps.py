"""State steps that are short enough for convergence free of the horizon: the bound (10) of docs/theory, in numbers.

With K_t = (I − B_tB_t⁺)A_t, ϑ above ρ_∞(K), b = min β_t/(1+β_t) and γ = max ‖I − 2η_a(1+β_t)B_tᵀB_t‖ < 1, every

    η_s < ε₀ = min(1/2, α(1 − γ) / (2hℓ(α + 2ν))),    α = min(2b, 1 − ϑ),    ν = (3 + ϑ)/2,

makes the iteration of Eq. (80)-(81) converge at a rate and with a constant free of T (U7(c)).  hℓ bounds ‖B_t‖ times the
norm of the map from the states to their minimising actions, in the norm of the proof:

    hℓ = ‖B‖ (‖B⁺‖/(1+β) + ‖B⁺AΠ‖ + (2v/(1−ϑ)) ‖B⁺A(I − Π)‖),    v = ‖X_{t+1}^{1/2} K_t Π_{t−1}‖,    X_t = I + ϑ^{-2} K_tᵀ X_{t+1} K_t,

each norm the largest over t.  X_t is the matrix of Σ_j ϑ^{-2j} ‖K_{t+j−1} ⋯ K_t c‖², in which K contracts by ϑ.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize_scalar

from linear_systems.checked import checked
from linear_systems.errors import StepSizeError
from linear_systems.stop_gradient.uniform_convergence import greedy_closed_loop, require_stable_greedy_loop
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import positive_float

__all__ = ["small_step_limit"]

Blocks = Float[np.ndarray, "T n n"]
LARGEST_DECAY = 1.0 - 1e-9
"""ϑ is sought below it."""


@checked
def small_step_limit(system: AnySystem, beta: float, action_step: float) -> float:
    """Return ε₀ such that every η_s in (0, ε₀) converges free of T with this η_a: sufficient, and far from necessary.

    ϑ is chosen to make ε₀ largest.  For a time-varying system the bound is that of its T steps, and of every sequence
    whose X_t and blocks are within the same bounds.

    Arguments
        beta: the goal weight β > 0.
        action_step: η_a, below 1/((1+β) max ‖B_t‖²).

    Raises
        UnstableSystemError: the system is time-invariant and ρ(K) >= 1, so that no step size does.
        StepSizeError: γ >= 1: the action step is too long, or B lacks full column rank.
        ParameterError.

    Source: ours, docs/theory/uniform_convergence.md, (10).
    """
    weight, eta_a = positive_float("beta", beta), positive_float("action_step", action_step)
    A, B, K = (np.atleast_3d(x.T).T for x in (system.A, system.B, greedy_closed_loop(system)))  # (T, ., .)
    gram = np.swapaxes(B, 1, 2) @ B
    gamma = _norm(np.eye(B.shape[2]) - 2.0 * eta_a * (1.0 + weight) * gram)
    if gamma >= 1.0:
        raise StepSizeError(
            "action_step", f"below {1.0 / ((1.0 + weight) * _norm(B) ** 2):.6g}, and B of full column rank",
            f"{eta_a:.6g}, where the action steps do not contract", "a shorter step, or drop idle actions",
        )  # fmt: skip
    lowest = require_stable_greedy_loop(system) if isinstance(system, LinearSystem) else 0.0
    inverse = np.linalg.pinv(B)
    onto = B @ inverse
    # What the action sets at time t is what A, B⁺A and K act on at t + 1.
    onto = np.concatenate([onto[:1], onto[:-1]])
    response = inverse @ A
    on_range, off_range = _norm(response @ onto), _norm(response - response @ onto)

    def limit(decay: float) -> float:
        alpha = min(2.0 * weight / (1.0 + weight), 1.0 - decay)
        pull = 0.0
        if _norm(K) > 0.0:
            X = _energies(K, decay, isinstance(system, LinearSystem))
            v = math.sqrt(_norm(np.swapaxes(K @ onto, 1, 2) @ X @ (K @ onto)))
            pull = 2.0 * v / (1.0 - decay)
        product = _norm(B) * (_norm(inverse) / (1.0 + weight) + on_range + pull * off_range)
        return alpha * (1.0 - gamma) / (2.0 * product * (alpha + 3.0 + decay))

    low = lowest + (1.0 - lowest) * 1e-3
    found = minimize_scalar(lambda decay: -limit(decay), bounds=(low, LARGEST_DECAY), method="bounded")
    return min(0.5, -float(found.fun))


def _energies(K: Blocks, decay: float, constant: bool) -> NDArray[np.float64]:
    """Return X_{t+1} of the states that K_t leads to, t = 0..T−1."""
    n = K.shape[1]
    if constant:
        return np.asarray(solve_discrete_lyapunov(K[0].T / decay, np.eye(n)))[None]
    X = np.broadcast_to(np.eye(n), K.shape).copy()
    for t in range(len(K) - 1, 0, -1):
        X[t - 1] += K[t].T @ X[t] @ K[t] / decay**2
    return X


def _norm(blocks: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(blocks, 2, axis=(1, 2)).max())
