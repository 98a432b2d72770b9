"""The stationary law of the noisy stop-gradient iteration in which states and actions move together.

z' = J z + c + σ ξ with ξ on the states has the stationary covariance X = J X Jᵀ + σ² Q.  Block by block, in
the eigenvectors of D_t, where D_t = diag(λ_t), it reads

    X_ts − Λ_t X_ts Λ_s = E_t X_{t−1,s} Λ_s + Λ_t X_{t,s−1} E_sᵀ + E_t X_{t−1,s−1} E_sᵀ + δ_ts σ² Q_t,

so that each block follows from earlier ones by a division by 1 − λ_i λ_j.  The variances may grow
exponentially with t although ρ(J) < 1, so every block row carries an exponent of its own.  Rounding errors
made in X_ts are amplified by no more than X itself is from there on: the error is relative to the largest
variance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.errors import FloatOverflowError, UnstableSystemError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.blocks import scaled_eigenvectors, steps_of, update_blocks
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, positive_float, square, step_sizes

BlockRow = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Blocks (t+1, d, d) of row t, s = 0..t, and binary exponents e (t+1,): block s is worth 2^(e[t] + e[s])."""


@checked
def joint_stationary_covariance(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, sigma: float
) -> Float[np.ndarray, "Td Td"]:
    """Return the stationary covariance of z' = J z + c + σ ξ, with noise on all states and none on actions.

    z is in time order, (s_1, a_0, ..., s_T, a_{T−1}).  Theorem 7 freezes the actions and the states inside
    the stop-gradient and finds σ²/(4η_s(1−η_s)) for every state; here nothing is frozen.  Source: Eq.
    (93)-(94).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        UnstableSystemError: ρ(J) >= 1: the step is too long, B_t lacks full column rank, or a weight is zero.
        FloatOverflowError: a variance exceeds float64; use `log_joint_stationary_variances`.
    """
    rows = list(_block_rows(system, horizon, beta, step_size, sigma))
    d = rows[0][0].shape[-1]
    blocks = np.zeros((len(rows), len(rows), d, d))
    with np.errstate(over="ignore"):
        for t, (row, exponents) in enumerate(rows):
            blocks[t, : t + 1] = np.ldexp(row, (exponents[t] + exponents)[:, None, None])
            blocks[: t + 1, t] = np.swapaxes(blocks[t, : t + 1], -1, -2)
    if not np.isfinite(blocks).all():
        raise FloatOverflowError("A variance exceeds float64. Try: noise.log_joint_stationary_variances.")
    return blocks.transpose(0, 2, 1, 3).reshape(len(rows) * d, len(rows) * d)


@checked
def log_joint_stationary_variances(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, sigma: float
) -> Float[np.ndarray, "T n_plus_m"]:
    """Return ln Var of s_{t+1} and a_t, coordinate by coordinate, for t = 0..T−1, at any magnitude.

    The diagonal of `joint_stationary_covariance`, in memory that grows with T and not with T².

    Source: Eq. (93)-(94).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        UnstableSystemError, as there.
    """
    positive_float("sigma", sigma)
    logs = []
    for row, exponents in _block_rows(system, horizon, beta, step_size, sigma):
        variances = np.diagonal(row[-1])
        logs.append(np.log(variances) + 2 * np.log(2.0) * exponents[-1])
    return np.array(logs)


def _block_rows(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, sigma: float
) -> Iterator[BlockRow]:
    """Yield the block rows t = 0..T−1 of the covariance, in the original coordinates."""
    steps, pair = steps_of(system, horizon, beta), step_sizes(step_size)
    variance = square("sigma", positive_float("sigma", sigma, allow_zero=True))
    values, vectors = scaled_eigenvectors(steps.B, steps.beta, pair)
    _require_stationarity(values)
    n, m = steps.B.shape[-2:]
    scale = np.sqrt(np.repeat(pair, (n, m)))
    before = np.concatenate([vectors[:1], vectors[:-1]]) if steps.distinct > 1 else vectors
    E = np.swapaxes(vectors, -1, -2) / scale @ update_blocks(steps, pair)[1] @ (scale[:, None] * before)
    on_states = vectors[:, :n]
    noise = variance / pair[0] * (np.swapaxes(on_states, -1, -2) @ on_states)
    h, bases, E, noise = (steps.over_time(x) for x in (values, scale[:, None] * vectors, E, noise))
    contraction = 1 - h

    previous, exponents = np.zeros((0, n + m, n + m)), np.zeros(0, dtype=np.int64)
    for t in range(steps.horizon):
        # Row t starts on the scale of row t − 1; E_s then leads from the scale of row s − 1 to that of row s.
        exponents = np.append(exponents, exponents[-1:] if t else np.zeros(1, dtype=np.int64))
        shift = -np.diff(exponents, prepend=exponents[:1])[:, None, None]
        couplings = np.ldexp(E[: t + 1], shift)
        row = _row(h, contraction, couplings, previous, noise[t] * 4.0 ** -float(exponents[t]))
        size = int(np.frexp(np.sqrt(np.abs(row[t]).max()))[1])
        row = np.ldexp(row, -size)
        row[t] = np.ldexp(row[t], -size)
        exponents[t] += size
        previous = row
        original = bases[t] @ row @ np.swapaxes(bases[: t + 1], -1, -2)
        original[t] = (original[t] + original[t].T) / 2
        yield original, exponents.copy()


def _row(
    h: NDArray[np.float64],
    contraction: NDArray[np.float64],
    couplings: NDArray[np.float64],
    previous: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the blocks s = 0..t of row t from those of row t − 1, in the eigenvectors of D."""
    t, d = len(previous), noise.shape[0]
    row = np.zeros((t + 1, d, d))
    if t:
        row[:t] += couplings[t] @ previous * contraction[:t, None, :]
        row[1:] += couplings[t] @ previous @ np.swapaxes(couplings[1:], -1, -2)
    # 1 − λ_i λ_j for λ = 1 − h, without cancellation where h is small.
    divisor = h[t][:, None] + h[: t + 1, None, :] - h[t][:, None] * h[: t + 1, None, :]
    for s in range(t + 1):
        if s == t and t:
            row[s] += (couplings[t] @ row[t - 1].T) * contraction[t][None, :]
        if s:
            row[s] += contraction[t][:, None] * (row[s - 1] @ couplings[s].T)
        if s == t:
            row[s] += noise
        row[s] /= divisor[s]
    return row


def _require_stationarity(h: NDArray[np.float64]) -> None:
    slack = rounding_allowance(float(h.max()), h.shape[-1])
    if h.min() <= slack or h.max() >= 2:
        radius = float(np.abs(1 - h).max())
        raise UnstableSystemError(
            "step_size and beta", "a contraction, ρ(J) < 1", f"ρ(J) = {radius:.12g}",
            "take eta_s below stop_gradient.step_size_limit, weights > 0 and B of full column rank",
        )  # fmt: skip
