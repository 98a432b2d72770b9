"""The stop-gradient iteration before its rate sets in: norms of powers, first times, uniform rates.

Source: Theorem 6, Eq. (91), and docs/theory/uniform_convergence.md (U1).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike

from linear_systems.checked import checked
from linear_systems.errors import FloatOverflowError, ParameterError, UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.blocks import (
    Steps,
    all_steps,
    scaled_eigenvectors,
    scaled_spectrum,
    steps_of,
    update_blocks,
)
from linear_systems.stop_gradient.level_sets import largest_spectral_radius
from linear_systems.stop_gradient.orbits import first_within, log_norms_of_powers
from linear_systems.system import AnySystem
from linear_systems.validation import (
    StepSize,
    goal_weight,
    positive_float,
    positive_integer,
    step_sizes,
    vector,
)


@checked
def log_transient_growth(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, iterations: int
) -> Float[np.ndarray, " iterations_plus_one"]:
    """Return log ‖J^k‖₂ (natural logarithm) for k = 0..iterations.

    The norms are those of the exact powers, to a relative error of 1e-10: J is taken without rounding from the
    floats given, the powers are computed in ball arithmetic to a proved 1e-12 of ‖J^k‖, and the norm of their
    midpoints in float64.  The smallest C of Theorem 6 for a rate q is max_k ‖J^k‖/q^k.  Source: Eq. (91).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        iterations: the highest power, at least 0.

    Raises
        HorizonError, StepSizeError, ParameterError, PrecisionLossError.
    """
    steps, count = steps_of(system, horizon, beta), positive_integer("iterations", iterations, minimum=0)
    return log_norms_of_powers(steps, step_sizes(step_size), count)


@checked
def transient_growth(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, iterations: int
) -> Float[np.ndarray, " iterations_plus_one"]:
    """Return ‖J^k‖₂ for k = 0..iterations; see `log_transient_growth` for what is guaranteed.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        iterations: the highest power, at least 0.

    Raises
        FloatOverflowError: a norm exceeds float64 (norms below its range are returned as 0).
    """
    logs = log_transient_growth(system, horizon, beta, step_size, iterations)
    if logs.max() > np.log(np.finfo(np.float64).max):
        raise FloatOverflowError(
            f"‖J^k‖ reaches e^{logs.max():.1f} at k = {int(logs.argmax())}, beyond float64. "
            "Try: stop_gradient.log_transient_growth."
        )
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(logs))


@checked
def iterations_to(
    system: AnySystem,
    horizon: int,
    beta: ArrayLike,
    step_size: StepSize,
    initial_error: ArrayLike,
    tolerance: float,
    max_iterations: int = 100_000,
) -> int:
    """Return the smallest k with ‖J^k e₀‖₂ <= tolerance · ‖e₀‖₂, for e₀ = z⁰ − z* (T(n+m),) in time order.

    This is the answer of exact arithmetic, decided in ball arithmetic; an iteration in float64 (`update`) may
    never come that close.  The norm need not fall monotonically: k is the first time, not the last.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        initial_error: z⁰ − z*, (T(n+m),) in time order.
        tolerance: positive, relative to the first error.
        max_iterations: where to stop.

    Raises
        UndecidedError: the tolerance is not reached within `max_iterations`.
        ParameterError: the initial error is zero, or the tolerance is not positive.
        PrecisionLossError: a norm cannot be told from the tolerance.
    """
    steps, pair = steps_of(system, horizon, beta), step_sizes(step_size)
    start = vector("initial_error", initial_error, steps.horizon * steps.block_size)
    factor = positive_float("tolerance", tolerance)
    limit = positive_integer("max_iterations", max_iterations, minimum=0)
    if not start.any():
        raise ParameterError(
            "initial_error", "a nonzero vector", "all zeros", "start away from the fixed point"
        )
    if factor >= 1:
        return 0
    count = first_within(steps, pair, start.reshape(steps.horizon, -1), factor, limit)
    if count is None:
        raise UndecidedError(
            f"‖J^k e₀‖ stays above {factor:g} ‖e₀‖ for all k <= {limit} (the spectral radius is "
            f"{np.abs(1 - scaled_spectrum(steps.B, steps.beta, pair)).max():.12g}). "
            "Try: a larger max_iterations."
        )
    return count


@checked
def symbol(
    system: AnySystem, beta: float, step_size: StepSize, z: complex
) -> Complex[np.ndarray, "n_plus_m n_plus_m"]:
    """Return D + zE, the symbol of the block Toeplitz matrix J of a time-invariant system with constant β.

    sup_T ‖J_T^k‖ = max over |z| = 1 of ‖(D + zE)^k‖.

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        z: a complex number; on the unit circle for what is uniform in T.

    Raises
        ParameterError: the system is time-varying, or beta is not one number.
    """
    D, E = update_blocks(_time_invariant(system, beta), step_sizes(step_size))
    return np.asarray(D[0] + complex(z) * E[0])


@checked
def uniform_rate(system: AnySystem, beta: float, step_size: StepSize) -> float:
    """Return max over |z| = 1 of ρ(D + zE), for a time-invariant system with constant β.

    ‖J_T^k‖ <= C q^k with C and q < 1 that do not depend on T exactly where it is below 1.  It is never less
    than `spectral_radius`, the value at z = 0.  Computed by level sets, so that no angle exceeds it by more
    than a relative 1e-9, as far as float64 resolves the eigenvalues of D + zE; costs O((n+m)⁶).

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        ParameterError: the system is time-varying, or beta is not one number.
    """
    steps, pair = _time_invariant(system, beta), step_sizes(step_size)
    values, vectors = (array[0] for array in scaled_eigenvectors(steps.B, steps.beta, pair))
    scale = np.sqrt(np.repeat(pair, steps.B.shape[-2:]))
    E = (vectors.T / scale) @ update_blocks(steps, pair)[1][0] @ (scale[:, None] * vectors)
    # Left null vectors of H see no E: they are left eigenvectors of D + zE for the eigenvalue 1 at every z,
    # and the rest of the spectrum is that of the compression to their complement.
    moving = values > rounding_allowance(float(values.max()), values.size)
    rate = largest_spectral_radius(np.diag(1 - values[moving]), E[np.ix_(moving, moving)])
    return rate if moving.all() else max(1.0, rate)


def _time_invariant(system: AnySystem, beta: float) -> Steps:
    if system.length is not None:
        raise ParameterError("system", "a LinearSystem", "a time-varying system", "fix one of its time steps")
    return all_steps(system, goal_weight("beta", beta))
