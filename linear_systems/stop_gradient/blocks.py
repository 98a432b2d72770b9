"""The blocks of the stop-gradient iteration: one step's update, and its scaled Hessian in closed form.

With y_t = (s_{t+1}, a_t) and N = diag(η_s I, η_a I), Eq. (80)-(81) read y_t' = D_t y_t + E_t y_{t-1} + const,
D_t = I − N H_t.  D_t is similar to the symmetric I − N^{1/2} H_t N^{1/2}, whose eigenvectors follow from the
singular vectors of B_t and a plane rotation for each singular value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.errors import FloatOverflowError
from linear_systems.system import AnySystem
from linear_systems.validation import goal_weights, horizon_of


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps t = 0..T-1: A (L, n, n), B (L, n, m), beta (L,); L = T, or 1 where all steps are the same."""

    horizon: int
    A: NDArray[np.float64]
    B: NDArray[np.float64]
    beta: NDArray[np.float64]

    @property
    def distinct(self) -> int:
        """L, the number of steps stored."""
        return int(self.beta.shape[0])

    @property
    def block_size(self) -> int:
        """n + m."""
        return int(self.B.shape[-2] + self.B.shape[-1])

    def over_time(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Repeat an array (L, ...) to (T, ...), as a view."""
        return np.broadcast_to(array, (self.horizon, *array.shape[1:]))


def steps_of(system: AnySystem, horizon: int, beta: ArrayLike) -> Steps:
    """Return the validated steps of `system` over `horizon` with goal weights `beta`."""
    length = horizon_of(system, horizon)
    weights = goal_weights(beta, length)
    if system.length is None and np.all(weights == weights[0]):
        return Steps(length, system.A[None], system.B[None], weights[:1])
    A, B = system.matrices(length)
    return Steps(length, A, B, weights)


def all_steps(system: AnySystem, beta: ArrayLike) -> Steps:
    """Return every step there is: the system's length, or as many as weights, or one that stands for all."""
    weights = np.asarray(beta)
    length = system.length or (1 if weights.ndim != 1 else max(1, weights.shape[0]))
    return steps_of(system, length, beta)


def update_blocks(
    steps: Steps, step_size: tuple[float, float]
) -> tuple[Float[np.ndarray, "L d d"], Float[np.ndarray, "L d d"]]:
    """Return D_t and E_t: how y_t' depends on y_t and on y_{t-1} = (s_t, a_{t-1}).  Source: Eq. (80)-(81)."""
    n, (eta_s, eta_a) = steps.B.shape[-2], step_size
    D = np.zeros((steps.distinct, steps.block_size, steps.block_size))
    E = np.zeros_like(D)
    to_actions = np.swapaxes(steps.B, -1, -2)
    gain = prediction_gain(steps, step_size)
    D[:] = np.eye(steps.block_size)
    D[:, :n, :n] -= 2 * eta_s * np.eye(n)
    D[:, n:, :n] += 2 * eta_a * to_actions
    D[:, :, n:] += gain @ steps.B
    E[:, :, :n] = gain @ steps.A
    return D, E


def prediction_gain(steps: Steps, step_size: tuple[float, float]) -> Float[np.ndarray, "L d n"]:
    """Return how y_t' depends on the prediction x_t = A_t s_t + B_t a_t: (2η_s I; −2η_a (1+β_t) B_tᵀ)."""
    eta_s, eta_a = step_size
    n = steps.B.shape[-2]
    gain = np.empty((steps.distinct, steps.block_size, n))
    gain[:, :n] = 2 * eta_s * np.eye(n)
    gain[:, n:] = -2 * eta_a * (1 + steps.beta[:, None, None]) * np.swapaxes(steps.B, -1, -2)
    return gain


def scaled_spectrum(
    B: Float[np.ndarray, "L n m"], beta: Float[np.ndarray, " L"], step_size: tuple[float, float]
) -> Float[np.ndarray, "L d"]:
    """Return the eigenvalues of N^{1/2} H_t N^{1/2}, Eq. (83), in the order of `scaled_eigenvectors`.

    For a singular value b of B_t they are p + q ± sqrt((p − q)² + 4 η_s η_a b²) with p = η_s and
    q = η_a (1+β_t) b²; the small one is taken from the product 4 η_s η_a β_t b², which does not cancel.
    On range(B)^⊥ they are 2η_s, on ker B they are 0.
    """
    return _spectrum(np.linalg.svd(B, compute_uv=False), B.shape, beta, step_size)


def scaled_eigenvectors(
    B: Float[np.ndarray, "L n m"], beta: Float[np.ndarray, " L"], step_size: tuple[float, float]
) -> tuple[Float[np.ndarray, "L d"], Float[np.ndarray, "L d d"]]:
    """Return the eigenvalues and orthonormal eigenvectors (as columns) of N^{1/2} H_t N^{1/2}."""
    u, b, wt = np.linalg.svd(B, full_matrices=True)
    w = np.swapaxes(wt, -1, -2)
    n, m, r = B.shape[-2], B.shape[-1], b.shape[-1]
    eta_s, eta_a = step_size
    p, q = eta_s, eta_a * (1 + beta[:, None]) * b**2
    angle = 0.5 * np.arctan2(2 * np.sqrt(eta_s * eta_a) * b, q - p)[:, None, :]
    vectors = np.zeros((B.shape[0], n + m, n + m))
    vectors[:, :n, :r], vectors[:, n:, :r] = u[..., :r] * np.cos(angle), w[..., :r] * np.sin(angle)
    vectors[:, :n, r : 2 * r], vectors[:, n:, r : 2 * r] = (
        -u[..., :r] * np.sin(angle),
        w[..., :r] * np.cos(angle),
    )
    vectors[:, :n, 2 * r : n + r] = u[..., r:]
    vectors[:, n:, n + r :] = w[..., r:]
    return _spectrum(b, B.shape, beta, step_size), vectors


def _spectrum(
    b: Float[np.ndarray, "L r"],
    shape: tuple[int, ...],
    beta: Float[np.ndarray, " L"],
    step_size: tuple[float, float],
) -> Float[np.ndarray, "L d"]:
    steps, n, m = shape
    eta_s, eta_a = step_size
    with np.errstate(over="ignore", invalid="ignore"):
        p, q = eta_s, eta_a * (1 + beta[:, None]) * b**2
        large = p + q + np.hypot(p - q, 2 * np.sqrt(eta_s * eta_a) * b)
        small = 4 * eta_s * eta_a * beta[:, None] * b**2 / large
    if not np.isfinite(large + small).all():
        raise FloatOverflowError(
            f"an eigenvalue of N H_t exceeds float64: largest singular value of B is {b.max():.3g}, "
            f"beta is up to {beta.max():.3g}.  Rescale the actions or the goal weights."
        )
    r = b.shape[-1]
    rest = np.concatenate([np.full((steps, n - r), 2 * eta_s), np.zeros((steps, m - r))], axis=1)
    return np.concatenate([small, large, rest], axis=1)
