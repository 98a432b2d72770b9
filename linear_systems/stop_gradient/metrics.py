"""Distances in which greedy is stable: K_P = (I − B(BᵀPB)^{-1}BᵀP)A for the policy that minimises ‖g − As − Ba‖_P.

K_P = A − BL, so a stable one needs a stabilisable pair (A, B).  Then the Riccati equation with free actions,

    P = Q + K_Pᵀ P K_P,   K_P = (I − B(BᵀPB)^{-1}BᵀP)A,   Q positive definite,

has a solution, and ‖K_P‖_P² <= 1 − λ_min(P^{-1}Q) < 1: see docs/theory/metrics.md, U14.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.linalg import solve_discrete_are

from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError, UndecidedError
from linear_systems.stop_gradient.uniform_convergence import time_invariant
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import positive_float, real_array

__all__ = ["in_metric", "metric_closed_loop", "metric_radius", "stabilising_metric"]

RESIDUAL = 1e-6
"""Largest residual of the Riccati equation, relative to ‖P‖, with which a solution is accepted."""


@checked
def metric_closed_loop(system: AnySystem, metric: ArrayLike) -> Float[np.ndarray, "n n"]:
    """Return K_P = (I − B(BᵀPB)^{-1}BᵀP)A of the policy that minimises ‖g − As − Ba‖_P, the shortest action if several do.

    Arguments
        system: the dynamics, n states and m actions.
        metric: P (n, n), symmetric positive definite.

    Raises
        ShapeError, ParameterError: P has another size, or is not symmetric positive definite.
    """
    root = _root(system, metric)
    span = np.linalg.pinv(root @ system.B)
    return np.asarray(system.A - system.B @ (span @ root @ system.A))


@checked
def metric_radius(system: AnySystem, metric: ArrayLike) -> float:
    """Return ρ(K_P).  Raises as `metric_closed_loop`.

    Arguments
        system: the dynamics, n states and m actions.
        metric: P (n, n), symmetric positive definite.
    """
    return float(np.abs(np.linalg.eigvals(metric_closed_loop(system, metric))).max())


@checked
def in_metric(system: AnySystem, metric: ArrayLike) -> LinearSystem:
    """Return the system in the coordinates P^{1/2} s, in which ‖·‖_P is the Euclidean norm and K_P is the greedy loop.

    Arguments
        system: the dynamics, n states and m actions.
        metric: P (n, n), symmetric positive definite.

    Raises
        ShapeError, ParameterError: see `metric_closed_loop`.
    """
    root = _root(system, metric)
    return LinearSystem(root @ system.A @ np.linalg.inv(root), root @ system.B)


@checked
def stabilising_metric(
    system: AnySystem, state_weight: ArrayLike | None = None, decay: float = 1.0
) -> Float[np.ndarray, "n n"]:
    """Return P > 0 with ρ(K_P) < `decay`: the Riccati solution with free actions, of the system (A, B)/decay.

    Arguments
        state_weight: Q (n, n), symmetric positive definite; the identity by default.
        decay: the bound c > 0 on ρ(K_P).  Every c > 0 works for a reachable pair, at the price of the condition
            number of P; otherwise c must exceed the modulus of every eigenvalue of A that B does not reach.

    Raises
        UndecidedError: no solution was found: (A/decay, B) is not stabilisable, or too nearly so for float64.
        ShapeError, ParameterError: Q is not such a matrix, or `decay` is not positive.
    """
    invariant, c = time_invariant(system), positive_float("decay", decay)
    n = invariant.state_dim
    Q = np.eye(n) if state_weight is None else _definite("state_weight", state_weight, n)
    rank = int(np.linalg.matrix_rank(invariant.B))
    if rank == 0:
        raise ParameterError("system", "actions that do something", "B = 0", "another system")
    B = invariant.B @ np.linalg.svd(invariant.B)[2][:rank].T
    advice = (
        f"No metric with ρ(K_P) < {c:g} was found.  Try: a larger decay, above the modulus of every eigenvalue of A that B "
        "does not reach."
    )
    try:
        P = solve_discrete_are(invariant.A / c, B, Q, np.zeros((rank, rank)))
    except np.linalg.LinAlgError as error:
        raise UndecidedError(advice) from error
    P = (P + P.T) / 2.0
    if not np.isfinite(P).all() or np.linalg.eigvalsh(P)[0] <= 0.0:
        raise UndecidedError(advice)
    K = metric_closed_loop(invariant, P) / c
    residual = float(np.abs(P - Q - K.T @ P @ K).max() / np.abs(P).max())
    if residual > RESIDUAL or metric_radius(invariant, P) >= c:
        raise UndecidedError(advice)
    return np.asarray(P)


def _root(system: AnySystem, metric: ArrayLike) -> Float[np.ndarray, "n n"]:
    P = _definite("metric", metric, time_invariant(system).state_dim)
    values, vectors = np.linalg.eigh(P)
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T)


def _definite(name: str, matrix: ArrayLike, size: int) -> Float[np.ndarray, "n n"]:
    array = real_array(name, matrix, ndim=2)
    if array.shape != (size, size):
        raise ShapeError(name, f"({size}, {size})", f"{array.shape}", "one row and column a state")
    scale = float(np.abs(array).max())
    if not np.allclose(array, array.T, rtol=0.0, atol=1e-12 * scale) or np.linalg.eigvalsh(array)[0] <= 0.0:
        raise ParameterError(name, "a symmetric positive definite matrix", "another", "the identity")
    return array
