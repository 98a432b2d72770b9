"""How smooth and how well conditioned planning along trajectories is, and how gradients grow through the rollout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse.linalg import LinearOperator, eigsh

from grasp_theory.trust.linearisation import Linearisation
from linear_systems import lifted, shooting
from linear_systems.errors import FloatOverflowError, PrecisionLossError, RankError

LARGEST_EXACT = 48
"""State entries up to which C_T and L_L are those of `linear_systems`, in ball arithmetic and by enclosure."""
TRUSTED_CONDITION = 1e13
"""κ up to which it is taken from singular values in float64, with a relative error below 1e-8."""
TRUSTED_ROUNDING = 2e-5
"""κ ε² up to which it is taken for a model that computes in less than float64, with rounding ε: there the smallest singular value is
rounded by about 1%, and beyond it a direction that no action reaches cannot be told from rounding."""
LONGEST_COUNT = 400
"""n T up to which a larger κ is found by counting eigenvalues exactly."""


@dataclass(frozen=True, eq=False)
class Smoothness:
    """Figures of P trajectories of T steps; NaN where a figure is not known, infinity where it exceeds float64.

    κ of a model in float32 is known up to 1.4e9.

    Arguments
        shooting_lipschitz: L_S = λmax(H_S), (P,), Eq. (23).
        lifted_lipschitz: L_L = λmax(H_L), (P,), Eq. (31).
        shooting_condition: κ(H_S) on the row space of C_T, (P,).
        lifted_condition: κ(H_L) on the row space of M, (P,); NaN where A_t are not formed.
        gradients: ‖∂s_T/∂a_t‖₂, (P, T).
    """

    shooting_lipschitz: Float[np.ndarray, " P"]
    lifted_lipschitz: Float[np.ndarray, " P"]
    shooting_condition: Float[np.ndarray, " P"]
    lifted_condition: Float[np.ndarray, " P"]
    gradients: Float[np.ndarray, "P T"]

    @property
    def gradient_growth(self) -> Float[np.ndarray, " P"]:
        """(‖∂s_T/∂a_0‖ / ‖∂s_T/∂a_{T−1}‖)^{1/(T−1)}: what a step further from the end multiplies the gradient by."""
        steps = self.gradients.shape[1] - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.gradients[:, 0] / self.gradients[:, -1]
            return np.asarray(ratio ** (1.0 / steps)) if steps else np.ones(len(ratio))


def smoothness(linear: Linearisation, responses: Float[np.ndarray, "P n mT"]) -> Smoothness:
    """Return the figures of every trajectory; those of `linear_systems` on the time-varying system, to 1e-8.

    Arguments
        linear: the linearisation.
        responses: C_T of every trajectory, from `final_responses`.
    """
    blocks = responses.reshape(linear.plans, linear.state_dim, linear.horizon, linear.action_dim)
    gradients = np.linalg.norm(blocks.transpose(0, 2, 1, 3), 2, axis=(2, 3))
    squares = np.linalg.svd(responses, compute_uv=False) ** 2
    plans = range(linear.plans)
    largest = [_lifted_lipschitz(linear, plan) for plan in plans]
    return Smoothness(
        shooting_lipschitz=2.0 * squares[:, 0],
        lifted_lipschitz=np.array(largest),
        shooting_condition=np.array([_shooting_condition(linear, plan, squares[plan]) for plan in plans]),
        lifted_condition=np.array([_lifted_condition(linear, plan, largest[plan] / 2.0) for plan in plans]),
        gradients=gradients,
    )


def final_responses(linear: Linearisation) -> Float[np.ndarray, "P n mT"]:
    """Return C_T = [Φ(T,1) B_0, ..., B_{T−1}], what s_T changes by the actions, of every trajectory.  Source: Eq. (21).

    Raises
        FloatOverflowError: an entry exceeds float64.
    """
    if linear.by_states is not None and linear.state_dim <= LARGEST_EXACT:
        systems = (linear.system(plan) for plan in range(linear.plans))
        return np.stack([shooting.controllability_matrix(each, linear.horizon) for each in systems])
    moved = linear.by_actions[:, 0]
    for time in range(1, linear.horizon):
        moved = torch.cat([linear.push_at(time, moved), linear.by_actions[:, time]], dim=2)
    if not bool(torch.isfinite(moved).all()):
        raise FloatOverflowError("C_T has entries beyond float64.  Try: a shorter horizon.")
    return moved.numpy()


def _trusted(linear: Linearisation) -> float:
    """Return the largest κ that the model's own rounding lets be known."""
    return min(TRUSTED_CONDITION, TRUSTED_ROUNDING / torch.finfo(linear.states.dtype).eps ** 2)


def _shooting_condition(linear: Linearisation, plan: int, squares: Float[np.ndarray, " k"]) -> float:
    if squares[-1] > 0.0 and squares[0] / squares[-1] <= _trusted(linear):
        return float(squares[0] / squares[-1])
    if (
        linear.by_states is None
        or linear.states.dtype != torch.float64
        or linear.state_dim * linear.horizon > LONGEST_COUNT
    ):
        return math.nan
    try:
        return shooting.condition_number(linear.system(plan), linear.horizon)
    except FloatOverflowError:
        return math.inf
    except (PrecisionLossError, RankError):
        return math.nan


def _lifted_lipschitz(linear: Linearisation, plan: int) -> float:
    if linear.by_states is not None and linear.state_dim <= LARGEST_EXACT:
        return lifted.lipschitz(linear.system(plan), linear.horizon)
    return _lanczos(linear, plan)


def _lifted_condition(linear: Linearisation, plan: int, largest: float) -> float:
    """Return λmax/λmin of MMᵀ from M = LQ, L block lower bidiagonal, without squaring M."""
    if linear.by_states is None:
        return math.nan
    A, B = linear.by_states[plan].numpy(), linear.by_actions[plan].numpy()
    diagonal, below = _factor(A, B)
    if all(np.abs(np.diag(block)).min() > 0.0 for block in diagonal):
        T, n = len(A), A.shape[1]

        def inverse(flat: NDArray[np.float64]) -> NDArray[np.float64]:
            """(LLᵀ)⁻¹ x."""
            x = np.asarray(flat, dtype=np.float64).reshape(T, n).copy()
            for t in range(T):
                x[t] = solve_triangular(diagonal[t], x[t] - (below[t] @ x[t - 1] if t else 0.0), lower=True)
            for t in range(T - 1, -1, -1):
                rest = below[t + 1].T @ x[t + 1] if t + 1 < T else 0.0
                x[t] = solve_triangular(diagonal[t], x[t] - rest, lower=True, trans=1)
            return x.ravel()

        smallest = 1.0 / _largest_eigenvalue(inverse, T * n)
        if largest / smallest <= _trusted(linear):
            return largest / smallest
    if linear.states.dtype != torch.float64 or linear.state_dim * linear.horizon > LONGEST_COUNT:
        return math.nan
    try:
        return lifted.condition_number(linear.system(plan), linear.horizon)
    except FloatOverflowError:
        return math.inf
    except (PrecisionLossError, RankError):
        return math.nan


def _factor(
    A: Float[np.ndarray, "T n n"], B: Float[np.ndarray, "T n m"]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Return the blocks L_tt and L_{t,t−1} of M = LQ, row t of M being A_t s_t − s_{t+1} + B_t a_t.

    Row t sees, besides what row t − 1 has used up, n columns of the past at most, s_{t+1} (for t < T − 1) and a_t.
    """
    T, n, _ = A.shape
    diagonal: list[NDArray[np.float64]] = []
    below: list[NDArray[np.float64]] = []
    past = np.zeros((n, 0))  # row t in the columns that are left of former rows
    coupling = np.zeros((n, n))
    for t in range(T):
        own = [past, B[t]] if t == T - 1 else [past, -np.eye(n), B[t]]
        columns = np.hstack(own)
        columns = np.hstack([columns, np.zeros((n, max(0, n - columns.shape[1])))])
        q, r = np.linalg.qr(columns.T, mode="complete")
        diagonal.append(r[:n].T)
        below.append(coupling)
        if t < T - 1:
            at = past.shape[1]
            following = A[t + 1] @ q[at : at + n]  # row t + 1 in the rotated columns
            coupling, rest = following[:, :n], following[:, n:]
            past = np.asarray(np.linalg.qr(rest.T, mode="r")).T if rest.shape[1] > n else rest
    return diagonal, below


def _lanczos(linear: Linearisation, plan: int) -> float:
    """Return 2 λmax(MMᵀ) from products: (Mᵀy)_t = A_tᵀ y_t − y_{t−1} for s_t, 0 < t < T, and B_tᵀ y_t for a_t."""
    T, n = linear.horizon, linear.state_dim
    alone = linear.one(plan)
    B = alone.by_actions[0]

    def gram(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        y = torch.from_numpy(np.array(flat, dtype=np.float64).reshape(T, n, 1))
        by_state = alone.pull(y[None])[0]
        by_state[0] = 0.0
        by_state[1:] -= y[:-1]
        following = torch.cat([by_state[1:], torch.zeros_like(y[:1])])
        product = alone.push(by_state[None])[0] - following + B @ (B.mT @ y)
        return np.asarray(product.numpy().ravel())

    return 2.0 * _largest_eigenvalue(gram, n * T)


def _largest_eigenvalue(product: Callable[[NDArray[np.float64]], NDArray[np.float64]], order: int) -> float:
    if order < 3:
        return float(np.linalg.eigvalsh(np.stack([product(e) for e in np.eye(order)]))[-1])
    operator = LinearOperator((order, order), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(order)
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False, tol=1e-12)[0])
