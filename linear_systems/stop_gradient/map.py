"""The stop-gradient iteration of Theorem 6 on linear dynamics, Eq. (75)-(91).

The variables are stacked in time order, z = (s_1, a_0, s_2, a_1, ..., s_T, a_{T-1}): s_0 is fixed, s_T is
free. One iteration is z' = J z + c with J block lower bidiagonal,

    y_t' = D_t y_t + E_t y_{t-1} + c_t,   y_t = (s_{t+1}, a_t),   D_t = I − N H_t,   N = diag(η_s I, η_a I),

so that the spectrum of J is that of its diagonal blocks and known in closed form.  A general eigensolver
must not be used on J: J is so far from normal that rounding moves the eigenvalues it reports by O(1).  For
the same reason the spectral radius says little about the iteration before k is of the order of T:
`transient_growth`, `iterations_to` and `uniform_rate` do.

`step_size` is η_s = η_a = η, or the pair (η_s, η_a); `beta` is one goal weight or the T weights β_0..β_{T-1}.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.sparse import bsr_array, csr_array

from linear_systems.checked import checked
from linear_systems.errors import FloatOverflowError, ParameterError, RankError
from linear_systems.rounding import EPS
from linear_systems.stop_gradient.blocks import (
    Steps,
    all_steps,
    prediction_gain,
    scaled_spectrum,
    steps_of,
    update_blocks,
)
from linear_systems.stop_gradient.transients import (
    iterations_to,
    log_transient_growth,
    symbol,
    transient_growth,
    uniform_rate,
)
from linear_systems.system import AnySystem
from linear_systems.validation import (
    StepSize,
    positive_float,
    real_array,
    step_sizes,
    vector,
)

__all__ = [
    "best_step_size",
    "contraction_rate",
    "fixed_point",
    "greedy_rollout",
    "hessian_block_eigenvalues",
    "iterations_to",
    "log_transient_growth",
    "spectral_radius",
    "split",
    "stack",
    "step_size_limit",
    "symbol",
    "transient_growth",
    "uniform_rate",
    "update",
    "update_matrix",
    "update_offset",
]


@checked
def stack(states: ArrayLike, actions: ArrayLike) -> Float[np.ndarray, " Td"]:
    """Return z = (s_1, a_0, ..., s_T, a_{T-1}) from the states s_1..s_T and the actions.

    Arguments
        states: (T, n).
        actions: (T, m).

    Raises
        ParameterError: not as many states as actions.
    """
    s = real_array("states", states, ndim=2)
    a = real_array("actions", actions, ndim=2)
    if s.shape[0] != a.shape[0]:
        raise ParameterError(
            "actions", f"{s.shape[0]} time steps like states", f"{a.shape[0]}", "leave s_0 out of states"
        )
    return np.concatenate([s, a], axis=1).ravel()


@checked
def split(
    system: AnySystem, horizon: int, z: ArrayLike
) -> tuple[Float[np.ndarray, "T n"], Float[np.ndarray, "T m"]]:
    """Return the states s_1..s_T and the actions a_0..a_{T-1} of z: the inverse of `stack`.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        z: (T(n+m),), in time order.
    """
    length = system.matrices(horizon)[0].shape[0]
    d = system.state_dim + system.action_dim
    pairs = vector("z", z, length * d).reshape(length, d)
    return pairs[:, : system.state_dim], pairs[:, system.state_dim :]


@checked
def update(
    system: AnySystem,
    horizon: int,
    beta: ArrayLike,
    step_size: StepSize,
    initial_state: ArrayLike,
    goal: ArrayLike,
    z: ArrayLike,
) -> Float[np.ndarray, " Td"]:
    """Return one gradient step from z, in float64 as an implementation would take it.

    s_t' = s_t − 2η_s (s_t − A s_{t-1} − B a_{t-1}),
    a_t' = a_t + 2η_a Bᵀ((s_{t+1} − A s_t − B a_t) + β_t (g − A s_t − B a_t)).  Source: Eq. (80)-(81).

    Where `transient_growth` is large, rounding keeps the iterates of this map away from the fixed point for
    ever, although the exact iteration converges.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        initial_state: s_0 (n,).
        goal: g (n,).
        z: (T(n+m),), in time order.
    """
    steps, (eta_s, eta_a) = steps_of(system, horizon, beta), step_sizes(step_size)
    s_0, g = _boundary(system, initial_state, goal)
    states, actions = split(system, horizon, z)
    before = np.concatenate([s_0[None], states[:-1]])
    prediction = (steps.A @ before[..., None] + steps.B @ actions[..., None])[..., 0]
    residual, distance = states - prediction, g - prediction
    pull = residual + steps.beta[:, None] * distance
    moved = actions + 2 * eta_a * (np.swapaxes(steps.B, -1, -2) @ pull[..., None])[..., 0]
    return np.concatenate([states - 2 * eta_s * residual, moved], axis=1).ravel()


@checked
def update_matrix(system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize) -> csr_array:
    """Return J of z' = J z + c, sparse (T(n+m), T(n+m)), block lower bidiagonal.

    Source: Eq. (80)-(81) in the order of Theorem 6's proof; the diagonal blocks are I − N H_t, Eq. (83).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        HorizonError, StepSizeError, ParameterError.
    """
    steps = steps_of(system, horizon, beta)
    D, E = (steps.over_time(blocks) for blocks in update_blocks(steps, step_sizes(step_size)))
    length, d = steps.horizon, steps.block_size
    # Block row t holds E_t and D_t, row 0 only D_0.
    data = np.stack([E, D], axis=1).reshape(2 * length, d, d)[1:]
    columns = np.repeat(np.arange(length), 2)[:-1]
    row_starts = np.concatenate([[0], np.arange(1, 2 * length, 2)])
    blocks = bsr_array((data, columns, row_starts), shape=(length * d, length * d))
    matrix = csr_array(blocks)
    matrix.eliminate_zeros()
    return matrix


@checked
def update_offset(
    system: AnySystem,
    horizon: int,
    beta: ArrayLike,
    step_size: StepSize,
    initial_state: ArrayLike,
    goal: ArrayLike,
) -> Float[np.ndarray, " Td"]:
    """Return c of z' = J z + c: what the goal g (n,) and the initial state s_0 (n,) put into each step.

    c_t = (0, 2η_a β_t B_tᵀ g), and c_0 has in addition what the prediction A_0 s_0 contributes.
    Source: Eq. (80)-(81).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        initial_state: s_0 (n,).
        goal: g (n,).
    """
    steps, pair = steps_of(system, horizon, beta), step_sizes(step_size)
    s_0, g = _boundary(system, initial_state, goal)
    offset = np.zeros((steps.horizon, steps.block_size))
    offset[:, system.state_dim :] = 2 * pair[1] * steps.beta[:, None] * (g @ steps.B)
    offset[0] += prediction_gain(steps, pair)[0] @ (steps.A[0] @ s_0)
    return offset.ravel()


@checked
def hessian_block_eigenvalues(
    system: AnySystem, horizon: int, beta: ArrayLike
) -> Float[np.ndarray, "T n_plus_m"]:
    """Return the eigenvalues of H_t, ascending, for t = 0..T-1.  Source: Eq. (83), in closed form.

    Every singular value b of B_t gives 1 + (1+β_t) b² ± sqrt((1 + (1+β_t) b²)² − 4 β_t b²); besides, H_t has
    the eigenvalue 2 on range(B_t)^⊥ and 0 on ker B_t.  Given b, each is right to a few roundings.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).

    Raises
        HorizonError, ParameterError, FloatOverflowError.
    """
    steps = steps_of(system, horizon, beta)
    return steps.over_time(np.sort(scaled_spectrum(steps.B, steps.beta, (1.0, 1.0)), axis=-1))


@checked
def spectral_radius(system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize) -> float:
    """Return ρ(J) = max_t ρ(I − N H_t), from the eigenvalues of N^{1/2} H_t N^{1/2} in closed form.

    Source: Eq. (87), for states and actions with step sizes of their own.  It is 1 or more where B lacks full
    column rank or a weight is zero: the directions of ker H_t never move.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        HorizonError, StepSizeError, ParameterError, FloatOverflowError.
    """
    steps = steps_of(system, horizon, beta)
    return float(np.abs(1 - scaled_spectrum(steps.B, steps.beta, step_sizes(step_size))).max())


@checked
def contraction_rate(system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize) -> float:
    """Return q = max(|1 − μ|, |1 − L|) with μ, L the extreme eigenvalues of N H over all β_t and B_t.

    Both eigenvalues that a singular value b gives grow with b and with β, so μ is attained at (σ_min(B),
    β_min) and L at (‖B‖₂, β_max), the extremes over t.  q >= `spectral_radius`, with equality if B does not
    vary. q >= 1 means that Theorem 6 says nothing: the step is too long, or B_t lacks full column rank, or
    a weight is zero.  Source: Eq. (85)-(86), where η_s = η_a = η.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        HorizonError, StepSizeError, ParameterError, FloatOverflowError.
    """
    steps, pair = steps_of(system, horizon, beta), step_sizes(step_size)
    b = np.linalg.svd(steps.B, compute_uv=False)
    extremes = np.array([b.min() if steps.B.shape[-1] <= steps.B.shape[-2] else 0.0, b.max()])
    weights = np.array([steps.beta.min(), steps.beta.max()])
    values = scaled_spectrum(extremes[:, None, None], weights, pair)
    return float(max(abs(1 - values[0].min()), abs(1 - values[1].max())))


@checked
def step_size_limit(system: AnySystem, beta: ArrayLike, ratio: float = 1.0) -> float:
    """Return the η_s below which ρ(I − N H_t) <= 1 for every t, with η_a = ratio · η_s: 2/L.

    At every shorter step D_t contracts on range(H_t); at every longer one ρ(J) > 1.  `beta` is one number,
    or one for each time step (of a time-varying system: its length).  Source: 0 < η < 2/L before Eq. (86).

    Raises
        ParameterError, ShapeError, FloatOverflowError.
    """
    return 2.0 / float(_spectrum_at_unit_step(system, beta, ratio).max())


@checked
def best_step_size(system: AnySystem, beta: ArrayLike, ratio: float = 1.0) -> float:
    """Return the η_s that minimises ρ(J), with η_a = ratio · η_s: 2/(μ + L).

    It is best for the rate ρ(J) = (L − μ)/(L + μ) alone, and often the worst for `transient_growth`.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number or one for each time (T,).
        ratio: η_a/η_s, positive.

    Raises
        RankError: B_t lacks full column rank, so that ρ(J) >= 1 at every step size.
        ParameterError: a weight β_t is zero, with the same effect.
    """
    _require_uniqueness(all_steps(system, beta))
    values = _spectrum_at_unit_step(system, beta, ratio)
    return 2.0 / float(values.min() + values.max())


@checked
def fixed_point(
    system: AnySystem, horizon: int, beta: ArrayLike, initial_state: ArrayLike, goal: ArrayLike
) -> Float[np.ndarray, " Td"]:
    """Return the fixed point z of the iteration by forward substitution through the blocks.

    Given s_t, y_t minimises φ_t of Eq. (82): H_t y_t = 2 K_tᵀ r_t with H_t = 2 K_tᵀ K_t, K_t = [I, −B_t; 0,
    √β_t B_t] and r_t = (A_t s_t; √β_t (g − A_t s_t)).  It is solved with the orthogonal factors of K_t, so
    that the condition number is that of K_t and not its square.  The fixed point does not depend on the
    step size.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        initial_state: s_0 (n,).
        goal: g (n,).

    Raises
        RankError: B_t lacks full column rank: a fixed point may be moved along ker B_t.
        ParameterError: a weight β_t is zero: every action is then part of a fixed point.
        FloatOverflowError: the states grow beyond float64.
    """
    steps = steps_of(system, horizon, beta)
    _require_uniqueness(steps)
    s, g = _boundary(system, initial_state, goal)
    n, m = system.state_dim, system.action_dim
    root = np.sqrt(steps.beta)[:, None, None]
    K = np.zeros((steps.distinct, 2 * n, n + m))
    K[:, :n, :n], K[:, :n, n:], K[:, n:, n:] = np.eye(n), -steps.B, root * steps.B
    q, r = np.linalg.qr(K)
    solve = steps.over_time(np.linalg.solve(r, np.swapaxes(q, -1, -2)))
    A, root = steps.over_time(steps.A), steps.over_time(root[:, 0, 0])
    z = np.empty((steps.horizon, n + m))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps.horizon):
            ahead = A[t] @ s
            z[t] = solve[t] @ np.concatenate([ahead, root[t] * (g - ahead)])
            s = z[t, :n]
    _require_finite(z)
    return z.ravel()


@checked
def greedy_rollout(
    system: AnySystem, horizon: int, initial_state: ArrayLike, goal: ArrayLike
) -> tuple[Float[np.ndarray, "T_plus_one n"], Float[np.ndarray, "T m"]]:
    """Return the states s_0..s_T and the actions of the greedy policy a_t = B_t⁺ (g − A_t s_t).

    Each action is the shortest of those that minimise ‖g − A_t s_t − B_t a‖.  Where B_t has full column
    rank it is the only one, and the rollout is `fixed_point`.  Source: the notes after Theorem 6.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        initial_state: s_0 (n,).
        goal: g (n,).

    Raises
        HorizonError, ShapeError, FloatOverflowError.
    """
    A, B = system.matrices(horizon)
    s_0, g = _boundary(system, initial_state, goal)
    inverse = np.linalg.pinv(B if system.length is not None else B[:1], rtol=_rank_tolerance(B))
    inverse = np.broadcast_to(inverse, (len(B), *inverse.shape[1:]))
    states, actions = np.empty((len(B) + 1, B.shape[1])), np.empty((len(B), B.shape[2]))
    states[0] = s_0
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(len(B)):
            ahead = A[t] @ states[t]
            actions[t] = inverse[t] @ (g - ahead)
            states[t + 1] = ahead + B[t] @ actions[t]
    _require_finite(states)
    return states, actions


def _spectrum_at_unit_step(system: AnySystem, beta: ArrayLike, ratio: float) -> Float[np.ndarray, "L d"]:
    steps = all_steps(system, beta)
    return scaled_spectrum(steps.B, steps.beta, (1.0, positive_float("ratio", ratio)))


def _boundary(
    system: AnySystem, initial_state: ArrayLike, goal: ArrayLike
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    n = system.state_dim
    return vector("initial_state", initial_state, n), vector("goal", goal, n)


def _rank_tolerance(B: Float[np.ndarray, "*T n m"]) -> float:
    """Return the size relative to ‖B‖ below which a singular value of a float matrix counts as zero."""
    return EPS * float(max(B.shape[-2:]))


def _require_uniqueness(steps: Steps) -> None:
    n, m = steps.B.shape[-2:]
    b = np.linalg.svd(steps.B, compute_uv=False)
    lacking = np.flatnonzero((b[:, -1] <= _rank_tolerance(steps.B) * b[:, 0]) | (m > n))
    if lacking.size:
        t = int(lacking[0])
        raise RankError(
            "B", f"full column rank m = {m} at every step",
            f"singular values from {b[t, 0]:.3g} to {b[t, -1]:.3g}, n = {n}, at t = {t}",
            "drop redundant actions, or use greedy_rollout, which takes the shortest action",
        )  # fmt: skip
    if steps.beta.min() <= 0:
        raise ParameterError("beta", "weights > 0", f"minimum {steps.beta.min()}", "pass positive weights")


def _require_finite(array: Float[np.ndarray, "*shape"]) -> None:
    if not np.isfinite(array).all():
        raise FloatOverflowError(
            "The greedy rollout leaves the range of float64: (I − B_t B_t⁺) A_t is unstable. "
            "Try: a shorter horizon."
        )
