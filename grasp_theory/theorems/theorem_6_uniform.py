"""Theorem 6 made uniform in the horizon: our sharpening, proved in docs/theory/uniform_convergence.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import (
    LinearSystem,
    parallel_iterations,
    stop_gradient,
    uniform_bounds,
    uniform_convergence,
)
from linear_systems.checked import checked
from linear_systems.errors import StepSizeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import StepSize, step_sizes

NORM_ERROR = 1e-10
"""Relative error of ‖J^k‖ as stated by `stop_gradient.log_transient_growth`."""
RATE_ERROR = 1e-9
"""Relative error of r as stated by `stop_gradient.uniform_rate`."""
RADII = 40
"""Circles inside the unit circle on which `constant_growth` looks for the best lower bound."""


@checked
def uniform_powers(
    system: LinearSystem, horizon: int, beta: float, step_size: StepSize, iterations: int
) -> TheoremCheck:
    """Compare ‖J_T^k‖ with its supremum over T, the largest norm of the symbol's power.

    Setting
        z^{k+1} = J_T z^k + c is the iteration of Theorem 6; J_T is block lower bidiagonal with D on and E below the
        diagonal.
    Statement
        ‖J_T^k‖₂ <= sup_T ‖J_T^k‖₂ = lim_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂, for every k.
    Source
        Our sharpening of Theorem 6, Eq. (80)–(81), (87); docs/theory/uniform_convergence.md, U1.
    Assumptions
        None beyond a time-invariant system and a constant β.
    Arguments
        system: (n, n) and (n, m) matrices.
        horizon: T >= 1, in model steps.
        beta: the goal weight β >= 0.
        step_size: η, or the pair (η_s, η_a).
        iterations: the largest k.
    Returns
        A record with computed = the largest ‖J_T^k‖ / (upper bound of the supremum) over k, bound = 1; in `quantities`
        "attained", the largest ‖J_T^k‖ / (lower bound of it) at k = `iterations`, which tends to 1 as T grows.
    Raises
        HorizonError, ParameterError, StepSizeError.
    """
    lower, upper = uniform_bounds.uniform_power_norms(system, beta, step_size, iterations)
    logs = stop_gradient.log_transient_growth(system, horizon, beta, step_size, iterations)
    return TheoremCheck(
        computed=float(np.exp((logs - np.log(upper)).max())),
        bound=1.0,
        relation="<=",
        allowance=NORM_ERROR,
        assumptions={"time-invariant, constant β": True},
        quantities={"attained": float(np.exp(logs[-1]) / lower[-1]) if lower[-1] > 0.0 else 0.0},
    )


@checked
def uniform_contraction(
    system: LinearSystem, horizon: int, beta: float, step_size: StepSize, iterations: int
) -> TheoremCheck:
    """Compare max_k ‖J_T^k‖/q^k with a constant C that is the same for every horizon.

    Setting
        The iteration of Theorem 6 with step sizes (η_s, η_a).
    Statement
        If r = max over |z| = 1 of ρ(D + zE) < 1, then for every q in (r, 1) there is C with ‖J_T^k‖₂ <= C q^k for all T
        and k.  If r >= 1, then sup_T ‖J_T^k‖₂ >= r^k >= 1 for every k, and no such C exists.
    Source
        Our sharpening of Theorem 6, Eq. (91); docs/theory/uniform_convergence.md, U1 and U2.
    Assumptions
        r < 1.  It implies β > 0, full column rank of B, ρ(D) < 1 and ρ((I − BB⁺)A) < 1.
    Arguments
        system: (n, n) and (n, m) matrices.
        horizon: T >= 1, in model steps.
        beta: the goal weight β >= 0.
        step_size: η, or the pair (η_s, η_a).
        iterations: the largest k.
    Returns
        A record with computed = max_k ‖J_T^k‖/q^k, bound = C of `uniform_bounds.uniform_bound` for q = √r (infinite
        outside the assumption, with q = 1); in `quantities` "rate" q, "r", and "peak", a bound of every ‖J_T^k‖.
    Raises
        HorizonError, ParameterError, StepSizeError, UndecidedError.
    """
    radius = stop_gradient.uniform_rate(system, beta, step_size)
    try:
        certificate = uniform_bounds.uniform_bound(system, beta, step_size)
        constant, rate, peak = certificate.constant, certificate.rate, certificate.peak
    except StepSizeError:
        constant, rate, peak = np.inf, 1.0, np.inf
    logs = stop_gradient.log_transient_growth(system, horizon, beta, step_size, iterations)
    computed = float(np.exp((logs - np.arange(iterations + 1) * np.log(rate)).max()))
    return TheoremCheck(
        computed=computed,
        bound=constant,
        relation="<=",
        allowance=NORM_ERROR * computed,
        assumptions={"r < 1": radius < 1.0},
        quantities={"rate": rate, "r": radius, "peak": peak},
    )


@checked
def greedy_necessity(system: LinearSystem, beta: float, step_size: StepSize) -> TheoremCheck:
    """Compare r with 1 for a system whose greedy closed loop is not stable.

    Setting
        K = (I − BB⁺)A carries deviations along the greedy rollout, which is the fixed point of the iteration.
    Statement
        D + zE = I − NH (I − z [[K, 0], [−B⁺A, 0]]).  Hence 1 is an eigenvalue of D + z E exactly where 1/z is one of K, and
        if ρ(K) >= 1, then r = max over |z| = 1 of ρ(D + zE) >= 1 for all step sizes.  If ρ(K) < 1, some have r < 1.
    Source
        Our sharpening of Theorem 6; docs/theory/uniform_convergence.md, U3.
    Assumptions
        ρ(K) >= 1.  (Without full column rank of B, or with β = 0, r >= 1 in any case.)
    Arguments
        system: (n, n) and (n, m) matrices.
        beta: the goal weight β >= 0.
        step_size: η, or the pair (η_s, η_a).
    Returns
        A record with computed = r, bound = 1; in `quantities` "greedy radius" ρ(K).
    Raises
        ParameterError, StepSizeError.
    """
    radius = uniform_convergence.greedy_radius(system)
    rate = stop_gradient.uniform_rate(system, beta, step_size)
    return TheoremCheck(
        computed=rate,
        bound=1.0,
        relation=">=",
        allowance=RATE_ERROR * rate,
        assumptions={"ρ(K) >= 1": radius >= 1.0},
        quantities={"greedy radius": radius},
    )


@checked
def constant_growth(
    system: LinearSystem, horizon: int, beta: float, step_size: StepSize, iterations: int
) -> TheoremCheck:
    """Compare max_k log ‖J_T^k‖ with a lower bound that grows linearly in T.

    Setting
        R = min{|z| : ρ(D + zE) >= 1}; u is an eigenvector, (D + zE) u = λu with |z| < 1 < |λ|.
    Statement
        max_k ‖J_T^k‖₂ >= (|λ| − 1) ‖(1, z^{-1}, …, z^{-(T−1)})‖₂ ‖u‖/‖zEu‖, and (1/T) log max_k ‖J_T^k‖₂ → max(0, −log R).
        R <= 1/ρ(K), and the supremum of R over step sizes is 1/ρ(K).
    Source
        Our sharpening of Theorem 6, Eq. (91); docs/theory/uniform_convergence.md, U5.
    Assumptions
        ρ(D) < 1, as in Theorem 6, and R < 1.
    Arguments
        system: (n, n) and (n, m) matrices; B with full column rank.
        horizon: T >= 1, in model steps.
        beta: the goal weight β > 0.
        step_size: η, or the pair (η_s, η_a).
        iterations: the largest k that is looked at; too few make `computed` too small.
    Returns
        A record with computed = max_k log ‖J_T^k‖, bound = the best lower bound over a grid of z (−inf if R >= 1); in
        `quantities` "radius" R and "growth" −log R.
    Raises
        HorizonError, ParameterError, RankError, StepSizeError.
    """
    radius = uniform_convergence.convergence_radius(system, beta, step_size)
    logs = stop_gradient.log_transient_growth(system, horizon, beta, step_size, iterations)
    bound = -np.inf
    if radius < 1.0:
        bound = _log_lower_bound(system, horizon, beta, step_size, np.geomspace(radius, 1.0, RADII + 2)[1:-1])
    return TheoremCheck(
        computed=float(logs.max()),
        bound=bound,
        relation=">=",
        allowance=NORM_ERROR + rounding_allowance(1.0 + abs(bound) if np.isfinite(bound) else 1.0, horizon),
        assumptions={"R < 1": radius < 1.0},
        quantities={"radius": radius, "growth": -float(np.log(radius))},
    )


@checked
def minimised_contraction(system: LinearSystem, beta: float, state_step: float) -> TheoremCheck:
    """Compare the T-free rate with the actions minimised in every iteration with its closed form.

    Setting
        In every iteration each a_t is set to the shortest minimiser given (s_t, s_{t+1}); then the states take a step.
    Statement
        The symbol on the states is (1 − 2η_s) I + (2η_s/(1+β)) BB⁺ + 2η_s zK, block triangular, and the largest modulus of
        its eigenvalues over |z| = 1 is max(|1 − 2η_s β/(1+β)|, |1 − 2η_s| + 2η_s ρ(K)).  For β > 0 and 0 < rank B < n it is
        below 1 exactly if ρ(K) < 1 and 0 < η_s < 1/(1 + ρ(K)).
    Source
        Our sharpening of Theorem 6; docs/theory/uniform_convergence.md, U6.
    Assumptions
        None; B may have any rank, and ρ(K) any value.
    Arguments
        system: (n, n) and (n, m) matrices.
        beta: the goal weight β >= 0.
        state_step: η_s > 0.
    Returns
        A record with computed = the rate from the eigenvalues of the symbol, bound = the closed form.
    Raises
        ParameterError.
    """
    closed_form = parallel_iterations.minimised_action_rate(system, beta, state_step)
    matrix = parallel_iterations.minimised_update_matrix(system, 2, beta, state_step).toarray()
    n = system.state_dim
    # The maximum lies at −arg κ for η_s <= 1/2 and opposite to it beyond.
    critical = np.angle(np.linalg.eigvals(uniform_convergence.greedy_closed_loop(system)))
    angles = np.concatenate([critical, critical + np.pi, uniform_convergence.sample_angles(system)])
    z = np.exp(-1j * angles)[:, None, None]
    eigenvalues, vectors = np.linalg.eig(matrix[:n, :n] + z * matrix[n:, :n])
    moduli = np.abs(eigenvalues).max(axis=-1)
    worst = int(np.argmax(moduli))
    condition = float(np.linalg.cond(vectors[worst]))
    scale = 1.0 + 2.0 * state_step * float(np.linalg.norm(system.A, 2))
    return TheoremCheck(
        computed=float(moduli[worst]),
        bound=closed_form,
        relation="=",
        # Bauer–Fike: an error in the symbol moves an eigenvalue by at most the condition number of the eigenvectors.
        # The closed form has an eigenvalue computation of its own, of the part on range(B)^⊥, with the same allowance.
        allowance=2.0 * rounding_allowance(scale, n, condition),
        assumptions={"time-invariant, constant β": True},
        quantities={"greedy radius": uniform_convergence.greedy_radius(system)},
    )


def _log_lower_bound(
    system: LinearSystem, horizon: int, beta: float, step_size: StepSize, radii: NDArray[np.float64]
) -> float:
    """Return the largest lower bound of max_k log ‖J_T^k‖ over z with the given moduli."""
    step_sizes(step_size)
    D = stop_gradient.symbol(system, beta, step_size, 0.0)
    E = stop_gradient.symbol(system, beta, step_size, 1.0) - D
    z = (radii[:, None] * np.exp(1j * uniform_convergence.sample_angles(system))).ravel()
    eigenvalues, vectors = np.linalg.eig(D + z[:, None, None] * E)
    driven = np.abs(z)[:, None] * np.linalg.norm(E @ vectors, axis=1)
    exponents = -2.0 * np.log(np.abs(z))[:, None] * np.arange(horizon)
    log_length = 0.5 * np.logaddexp.reduce(exponents, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.log(np.abs(eigenvalues) - 1.0) - np.log(driven) + log_length[:, None]
    return float(np.nanmax(np.where(np.abs(eigenvalues) > 1.0, bounds, -np.inf)))
