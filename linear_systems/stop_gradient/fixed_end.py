"""Algorithm 1 fixes s_T = g, where Theorem 6 leaves it free: what that does to the iteration.

Only the last block changes.  It loses s_T, its update is that of a_{T−1} alone, with I − 2η_a(1+β)BᵀB on the diagonal and
−2η_a(1+β)BᵀA to its left, so that the matrix is that of Theorem 6 without the rows and columns of s_T.  By Cauchy's
interlacing the new diagonal block contracts at least as fast as the old one: see docs/theory/limits.md, U12.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from linear_systems.checked import checked
from linear_systems.errors import StepSizeError
from linear_systems.stop_gradient.map import update_matrix
from linear_systems.stop_gradient.uniform_bounds import UniformBound
from linear_systems.stop_gradient.uniform_convergence import time_invariant
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, goal_weight, step_sizes

__all__ = ["fixed_end_bound", "fixed_end_matrix", "last_action_block"]


@checked
def fixed_end_matrix(system: AnySystem, horizon: int, beta: float, step_size: StepSize) -> csr_array:
    """Return the matrix of the iteration with s_T fixed, on (s_1, a_0, ..., s_{T−1}, a_{T−2}, a_{T−1}).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        HorizonError, StepSizeError, ParameterError.
    """
    matrix = update_matrix(system, horizon, beta, step_size)
    n, m = system.state_dim, system.action_dim
    last = matrix.shape[0] - m
    kept = np.r_[0 : last - n, last : matrix.shape[0]]
    return csr_array(matrix[kept][:, kept])


@checked
def last_action_block(system: AnySystem, beta: float, step_size: StepSize) -> Float[np.ndarray, "m m"]:
    """Return I − 2η_a(1+β)BᵀB, the last diagonal block with s_T fixed; symmetric, with norm at most ρ(D).

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        StepSizeError, ParameterError: the system is time-varying, or beta is negative.
    """
    B = time_invariant(system).B
    weight = goal_weight("beta", beta)
    return np.asarray(np.eye(B.shape[1]) - 2.0 * step_sizes(step_size)[1] * (1.0 + weight) * (B.T @ B))


@checked
def fixed_end_bound(system: AnySystem, beta: float, step_size: StepSize, free: UniformBound) -> UniformBound:
    """Return C' and q with ‖(J with s_T fixed)^k‖₂ <= C' q^k for every T and k, from C and q for s_T free.

    C' = C (1 + ‖2η_a(1+β)BᵀA‖/(q − δ)) with δ = ‖I − 2η_a(1+β)BᵀB‖ < q.  Source: docs/theory/limits.md, U12.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        free: the bound for s_T free, as of `uniform_bounds.uniform_bound` for the same system and step sizes.

    Raises
        StepSizeError: q is not above δ; no rate q > r of these step sizes is that small.
        ParameterError: see `last_action_block`.
    """
    delta = float(np.linalg.norm(last_action_block(system, beta, step_size), 2))
    if delta >= free.rate:
        raise StepSizeError(
            "free", f"a rate above {delta:.6g}", f"{free.rate:.6g}", "uniform_bound for the same step sizes"
        )
    gain = 2.0 * step_sizes(step_size)[1] * (1.0 + beta) * float(np.linalg.norm(system.B.T @ system.A, 2))
    constant = free.constant * (1.0 + gain / (free.rate - delta))
    return UniformBound(constant, free.rate, free.power, math.nextafter(constant, math.inf))
