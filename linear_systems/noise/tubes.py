"""Laws of noisy updates: tubes (Theorem 7), rollouts (Theorem 9), joint iterations, Langevin flows (A.3).

All laws are Gaussian for linear dynamics, so a mean and a covariance are all there is.  `sigma` is the
standard deviation σ of the noise that one iteration or one time step adds to each state coordinate.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat
from jaxtyping import Float
from numpy.typing import ArrayLike

from linear_systems.checked import checked
from linear_systems.conditioning import shooting
from linear_systems.errors import FloatOverflowError, ParameterError, StepSizeError, UnstableSystemError
from linear_systems.exact.balls import Unresolved, ball_matrix, identity, resolved, to_scaled_floats
from linear_systems.noise.joint import joint_stationary_covariance, log_joint_stationary_variances
from linear_systems.noise.langevin import (
    OrnsteinUhlenbeckLaw,
    boltzmann_residual_covariance,
    gibbs_residual_covariance,
    inverse_temperature,
    ornstein_uhlenbeck,
    wasserstein2,
)
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem
from linear_systems.validation import (
    horizon_of,
    positive_float,
    positive_integer,
    real_array,
    square,
    step_sizes,
    vector,
)

__all__ = [
    "OrnsteinUhlenbeckLaw",
    "boltzmann_residual_covariance",
    "continuous_tube_variance",
    "gibbs_residual_covariance",
    "inverse_temperature",
    "joint_stationary_covariance",
    "log_joint_stationary_variances",
    "log_rollout_spread",
    "mixing_time",
    "ornstein_uhlenbeck",
    "rollout_covariance",
    "rollout_covariance_limit",
    "rollout_covariances",
    "tube_means",
    "tube_variance",
    "tube_variances",
    "wasserstein2",
]

LONGEST_TIE = 1074
"""|1 − 2η_s|^k < 1 can equal a float exactly only for k up to the binary exponent of the smallest float."""
BEYOND_FLOAT64 = "The covariance exceeds float64. Try: noise.log_rollout_spread."
DOUBLINGS = 64
"""A^(2^j) is tried up to j = DOUBLINGS: a system that does not contract by then is not stable to float64."""


@checked
def tube_variance(step_size: float, sigma: float) -> float:
    """Return the stationary variance σ²/(4η_s(1−η_s)) of every state coordinate around its frozen prediction.

    Source: Theorem 7, Eq. (96).

    Arguments
        step_size: η_s in (0, 1).
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        StepSizeError: η_s lies outside (0, 1), where the iteration has no stationary law.
    """
    return square("sigma", positive_float("sigma", sigma, allow_zero=True)) / _tube_decay(step_size)


@checked
def tube_means(step_size: float, start: ArrayLike, centers: ArrayLike) -> Float[np.ndarray, "K_plus_one n"]:
    """Return E[s^k] for k = 0..K from s⁰ = `start` (n,) with predictions μ⁰..μ^{K−1} = `centers` (K, n).

    m^{k+1} = (1 − 2η_s) m^k + 2η_s μ^k, for a centre that rests or moves, and for any η_s > 0.
    Source: Eq. (95).

    Arguments
        step_size: η_s > 0.
        start: s⁰ (n,).
        centers: μ⁰..μ^{K−1}, (K, n).

    Raises
        StepSizeError, ShapeError; FloatOverflowError: a mean exceeds float64.
    """
    pull = 2 * step_sizes(step_size)[0]
    path = real_array("centers", centers, ndim=2)
    means = np.empty((path.shape[0] + 1, path.shape[1]))
    means[0] = vector("start", start, path.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for k, center in enumerate(path):
            means[k + 1] = means[k] + pull * (center - means[k])
    if not np.isfinite(means).all():
        raise FloatOverflowError("A mean exceeds float64. Try: a step size in (0, 1).")
    return means


@checked
def tube_variances(step_size: float, sigma: float, iterations: int) -> Float[np.ndarray, " K_plus_one"]:
    """Return Var s^k = σ² Σ_{j<k} (1 − 2η_s)^{2j} for k = 0..iterations, given s⁰ and the predictions.

    With `tube_means` this is the law of s^k, which is Gaussian: exact for every k, and for every η_s > 0.
    It converges, to `tube_variance`, exactly when 0 < η_s < 1; at η_s = 1 it grows linearly, beyond
    exponentially. Source: the recursion u' = (1 − 2η_s) u + σ ξ in the proof of Theorem 7.

    Arguments
        step_size: η_s > 0.
        sigma: σ >= 0 of the noise of one step, in units of the states.
        iterations: K, at least 0.

    Raises
        StepSizeError, ParameterError; FloatOverflowError: a variance exceeds float64.
    """
    eta = step_sizes(step_size)[0]
    variance = square("sigma", positive_float("sigma", sigma, allow_zero=True))
    k = np.arange(positive_integer("iterations", iterations, minimum=0) + 1, dtype=np.float64)
    decay = 4 * eta * (1 - eta)
    if decay == 0:
        return variance * k
    # 1 − (1 − decay)^k without cancellation; at decay = 1 the noise of one step is all there ever is.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        total = np.minimum(k, 1.0) if decay == 1 else -np.expm1(k * np.log1p(-decay)) / decay
        values = variance * total
    if not np.isfinite(values).all():
        raise FloatOverflowError(
            f"The variance after {iterations} steps at η_s = {eta:g} exceeds float64. Try: η_s in (0, 1)."
        )
    return values


@checked
def mixing_time(step_size: float, tolerance: float) -> int:
    """Return the smallest k with |1 − 2η_s|^k <= tolerance, decided exactly.

    The mean approaches the centre by |1 − 2η_s| an iteration, the variance its limit by the square of it.
    Source: Theorem 7.

    Arguments
        step_size: η_s in (0, 1).
        tolerance: positive.

    Raises
        StepSizeError: η_s lies outside (0, 1).  ParameterError: the tolerance is not positive.
    """
    _tube_decay(step_size)
    factor = abs(1 - 2 * Fraction(step_sizes(step_size)[0]))
    target = Fraction(positive_float("tolerance", tolerance))
    if target >= 1:
        return 0
    if factor <= target:
        return 1

    def compute() -> int:
        logs = [(arb(x.numerator) / x.denominator).log() for x in (target, factor)]
        quotient = logs[0] / logs[1]
        if not quotient.is_finite():
            raise Unresolved
        k = quotient.ceil().unique_fmpz()
        if k is not None:
            return int(k)
        tie = round(float(quotient))
        if tie <= LONGEST_TIE and factor**tie == target:
            return tie
        raise Unresolved

    return resolved(compute, "The mixing time")


@checked
def continuous_tube_variance(rate: float, sigma: float) -> float:
    """Return σ²/(2λ), the stationary variance of ds = −λ(s − μ) dτ + σ dW.  Source: Theorem 7.

    Arguments
        rate: λ > 0, in 1/time.
        sigma: σ >= 0, in units of the state by √time.

    Raises
        ParameterError: λ = `rate` is not positive, or σ is negative.
    """
    return square("sigma", positive_float("sigma", sigma, allow_zero=True)) / (
        2 * positive_float("rate", rate)
    )


@checked
def rollout_covariances(system: AnySystem, horizon: int, sigma: float) -> Float[np.ndarray, "T_plus_one n n"]:
    """Return Cov(s_t) for t = 0..T of s_{t+1} = A_t s_t + B_t a_t + σ ζ_t with s_0 and the actions given.

    Σ_{t+1} = A_t Σ_t A_tᵀ + σ² I, Σ_0 = 0; each Σ_t has an error of about eps ‖Σ_t‖, however non-normal A.
    Source: Eq. (105), which is exact for affine dynamics.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        HorizonError, ParameterError; FloatOverflowError: use `log_rollout_spread`.
    """
    A, _ = system.matrices(horizon_of(system, horizon))
    level = positive_float("sigma", sigma, allow_zero=True)
    n = system.state_dim

    def compute() -> list[tuple[Float[np.ndarray, "n n"], int]]:
        ball, noise = ball_matrix(np.zeros((n, n))), identity(n) * arb(level) ** 2
        scaled = [to_scaled_floats(ball)]
        for a in A:
            step = ball_matrix(np.asarray(a))
            ball = step * ball * step.transpose() + noise
            scaled.append(to_scaled_floats(ball))
        return scaled

    with np.errstate(over="ignore"):
        covariances = np.stack([np.ldexp(*pair) for pair in resolved(compute, "The rollout covariance")])
    return _finite(covariances)


@checked
def rollout_covariance(system: AnySystem, horizon: int, sigma: float) -> Float[np.ndarray, "n n"]:
    """Return Cov(s_T) alone: by doubling, in O(n³ log T) steps, for a time-invariant system.

    It is the controllability Gramian for B = σI.  Source: Eq. (105), telescoped.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        HorizonError, ParameterError; FloatOverflowError: use `log_rollout_spread`.
    """
    driven = _noise_driven(system, horizon, positive_float("sigma", sigma, allow_zero=True))
    try:
        return shooting.gramian(driven, horizon)
    except FloatOverflowError as error:
        raise FloatOverflowError(BEYOND_FLOAT64) from error


@checked
def log_rollout_spread(system: AnySystem, horizon: int, sigma: float) -> float:
    """Return ln λmax(Cov(s_T)), the log of the largest variance of s_T in any direction, at any magnitude.

    It grows like 2 T ln ρ(A) when A is unstable and is bounded when A is stable.  Source: Eq. (105).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        sigma: σ > 0 of the noise of one step, in units of the states.

    Raises
        HorizonError; ParameterError: σ is not positive.
    """
    driven = _noise_driven(system, horizon, positive_float("sigma", sigma))
    return shooting.log_lipschitz(driven, horizon) - math.log(2)


@checked
def rollout_covariance_limit(system: AnySystem, sigma: float) -> Float[np.ndarray, "n n"]:
    """Return the limit of Cov(s_T) as T → ∞, the solution of Σ = A Σ Aᵀ + σ² I.

    Summed by doubling, Σ ← Σ + P Σ Pᵀ with P = A^(2^j), in ball arithmetic until ‖P‖² is below one
    rounding: the error is about eps ‖Σ‖ where a Schur method may lose all digits to a non-normal A.
    Source: Eq. (105).

    Arguments
        system: the dynamics, n states and m actions.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        UnstableSystemError: ρ(A) >= 1 (to float64), so there is no limit.
        ParameterError: the system is time-varying.
    """
    level = positive_float("sigma", sigma, allow_zero=True)
    if isinstance(system, TimeVaryingLinearSystem):
        raise ParameterError("system", "a LinearSystem", "a time-varying system", "fix one of its time steps")
    A, n = system.A, system.state_dim

    def compute() -> tuple[Float[np.ndarray, "n n"], int] | None:
        power, total = ball_matrix(A), identity(n) * arb(level) ** 2
        for _ in range(DOUBLINGS):
            total += power * total * power.transpose()
            power = power * power
            if _squared_norm(power) < 2.0**-64:
                return to_scaled_floats(total)
        return None

    result = resolved(compute, "The limit of the rollout covariance")
    if result is None:
        radius = float(np.abs(np.linalg.eigvals(A)).max())
        raise UnstableSystemError(
            "A",
            "spectral radius below 1",
            f"about {radius:.12g}",
            "use rollout_covariances for a finite horizon",
        )
    with np.errstate(over="ignore"):
        return _finite(np.ldexp(*result))


def _tube_decay(step_size: float) -> float:
    """Return 1 − (1 − 2η_s)² = 4η_s(1−η_s) for η_s in (0, 1)."""
    eta = step_sizes(step_size)[0]
    if not 0 < eta < 1:
        raise StepSizeError("step_size", "0 < eta_s < 1", f"{eta!r}", "shorten the step on the states")
    return 4 * eta * (1 - eta)


def _noise_driven(system: AnySystem, horizon: int, sigma: float) -> AnySystem:
    """Return the system with B = σI, so that the noise takes the place of the actions."""
    B = sigma * np.eye(system.state_dim)
    if isinstance(system, LinearSystem):
        return LinearSystem(system.A, B)
    A, _ = system.matrices(horizon_of(system, horizon))
    return TimeVaryingLinearSystem(A, np.broadcast_to(B, A.shape))


def _squared_norm(matrix: arb_mat) -> arb:
    """Return the squared Frobenius norm."""
    return (matrix * matrix.transpose()).trace()


def _finite(covariance: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    if not np.isfinite(covariance).all():
        raise FloatOverflowError(BEYOND_FLOAT64)
    return covariance
