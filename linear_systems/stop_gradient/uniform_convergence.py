"""When the stop-gradient iteration converges at a rate and with a constant that do not depend on the horizon.

For a time-invariant system and constant β the matrix J_T of one iteration is the T-th finite section of a lower
triangular block Toeplitz operator with symbol D + zE, so that for every k

    sup_T ‖J_T^k‖₂ = lim_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂ .

Hence C q^k with C and q < 1 free of T exists exactly when r = max over |z| = 1 of ρ(D + zE) < 1.  Since
D + zE = I − NH (I − z [[K, 0], [−B⁺A, 0]]), with K = (I − BB⁺)A the greedy closed loop, 1 is an eigenvalue of
D + zE exactly where 1/z is one of K: step sizes with r < 1 exist if and only if ρ(K) < 1.  For a fixed ratio
η_a/η_s they form an interval.  Where ρ(K) >= 1, the system (A/c, B) with c > ρ(K) tells how far convergence is
uniform when the error at time t is measured in units of c^t.

Statements and proofs: docs/theory/uniform_convergence.md.

Source: docs/theory/uniform_convergence.md (U3 to U5).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from linear_systems.checked import checked
from linear_systems.errors import (
    ParameterError,
    RankError,
    StepSizeError,
    UndecidedError,
    UnstableSystemError,
)
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.stop_gradient import map as stop_gradient
from linear_systems.stop_gradient.blocks import all_steps, update_blocks
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import (
    StepSize,
    goal_weight,
    positive_float,
    positive_integer,
    real_array,
    step_sizes,
)

__all__ = [
    "best_uniform_step_size",
    "convergence_radius",
    "greedy_closed_loop",
    "greedy_decay",
    "greedy_radius",
    "sample_angles",
    "uniform_region",
    "uniform_spectrum",
    "uniform_step_size_limit",
]

RATIOS = np.geomspace(1e-4, 1e8, 49)
"""Ratios η_a (1+β) ‖B‖² / η_s, free of units, among which the best is bracketed."""
EVEN_ANGLES = 65
"""Angles spread evenly over [0, π] at which the symbol is sampled."""
WIDEST_PEAK = 0.3
"""Peaks of ρ(D + zE) near −arg κ, κ ∈ σ(K), where 1 − zκ is smallest, are as narrow as 1 − |κ|; wider than this they
need no samples of their own."""
CLOSE_ANGLES = 9
"""Samples on each side of a peak, spaced geometrically from a quarter of its width to `WIDEST_PEAK`."""
ANGLE_RESOLUTION = 1e-9
"""Angles closer than this are sampled once."""
SEARCH_TOLERANCE = 1e-10
"""Relative precision to which a step size and the logarithm of the ratio are located."""
LARGEST_RADIUS = 1e6
"""Radius at which `convergence_radius` stops looking for a circle where the symbol fails to contract."""


@checked
def greedy_closed_loop(system: AnySystem) -> Float[np.ndarray, "*T n n"]:
    """Return K = (I − BB⁺)A, which carries the greedy rollout's deviations: s_{t+1} = K s_t + BB⁺g.

    (T, n, n) for a time-varying system.  B may have any rank.
    """
    span = _range_basis(system.B)
    return np.asarray(system.A - span @ (np.swapaxes(span, -1, -2) @ system.A))


@checked
def greedy_radius(system: AnySystem) -> float:
    """Return ρ(K), from the block of A on range(B)^⊥, which carries every nonzero eigenvalue of K.

    Arguments
        system: time-invariant dynamics, n states and m actions.
    """
    return float(np.abs(_greedy_eigenvalues(time_invariant(system))).max(initial=0.0))


@checked
def greedy_decay(system: AnySystem, window: int) -> float:
    """Return max_t ‖K_{t+w−1} ⋯ K_t‖₂^{1/w} for w = `window`.

    As w grows over an infinite sequence it decreases (along multiples) to ρ_∞(K), which replaces ρ(K) for
    time-varying systems; for each w it is an upper bound of ρ_∞ of every sequence whose windows are among these.

    Raises
        ParameterError: the window is not a positive integer, or is longer than the system.
    """
    length = positive_integer("window", window)
    if system.length is not None and length > system.length:
        raise ParameterError("window", f"at most {system.length} steps", str(length), "shorten the window")
    # Every window of a time-invariant system is the same one.
    K = np.broadcast_to(
        greedy_closed_loop(system), (system.length or length, system.state_dim, system.state_dim)
    )
    starts = len(K) - length + 1
    product = np.broadcast_to(np.eye(system.state_dim), (starts, *K.shape[1:]))
    for step in range(length):
        product = K[step : step + starts] @ product
    return float(np.linalg.norm(product, 2, axis=(-2, -1)).max() ** (1.0 / length))


@checked
def uniform_step_size_limit(system: AnySystem, beta: float, ratio: float = 1.0) -> float:
    """Return the η_s below which r < 1, with η_a = ratio · η_s: twice the smallest Re 1/μ.

    The minimum is over the eigenvalues μ of (I − D − zE)/η_s, which do not depend on η_s, and over |z| = 1: at each of
    them |1 − η_s μ| < 1 exactly for 0 < η_s < 2 Re 1/μ.  It is never more than `stop_gradient.step_size_limit`.

    Raises
        UnstableSystemError: ρ(K) >= 1, so that no step size is short enough.
        StepSizeError: no step size is short enough at this ratio, although some are at larger ones.
        RankError: B lacks full column rank.
        ParameterError: the system is time-varying, or beta or the ratio is not a positive number.
    """
    weight = _require_existence(system, beta)
    kappa = positive_float("ratio", ratio)
    angles = sample_angles(system)

    def inverse(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((1.0 / uniform_spectrum(system, weight, kappa, points)).real.min(axis=-1))

    values = inverse(angles)
    best = int(np.argmin(values))
    low, high = angles[max(best - 1, 0)], angles[min(best + 1, angles.size - 1)]
    found = minimize_scalar(
        lambda angle: inverse(np.array([angle]))[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": SEARCH_TOLERANCE},
    )
    limit = 2.0 * min(float(values[best]), float(found.fun))
    if limit <= 0.0:
        raise StepSizeError(
            "ratio", "a ratio η_a/η_s at which some step size has r < 1", f"{kappa:g}",
            "a larger ratio, or best_uniform_step_size, which chooses it",
        )  # fmt: skip
    return limit


@checked
def best_uniform_step_size(system: AnySystem, beta: float) -> tuple[float, float]:
    """Return the (η_s, η_a) with the smallest r found, after verifying r < 1 by `stop_gradient.uniform_rate`.

    For a fixed ratio r is a convex function of η_s (the largest |1 − η_s μ|), and is minimised as such over samples
    of the circle; the ratio is bracketed on a grid over twelve decades and then refined.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.

    Raises
        UnstableSystemError: ρ(K) >= 1.
        UndecidedError: ρ(K) < 1, yet no step sizes with r < 1 were found: ρ(K) is too close to 1 for float64.
        RankError, ParameterError: see `uniform_step_size_limit`.
    """
    weight = _require_existence(system, beta)
    angles = sample_angles(system)
    unit = (1.0 + weight) * float(np.linalg.norm(system.B, 2)) ** 2

    def best_at(scaled_ratio: float) -> tuple[float, float]:
        return _best_along_ray(uniform_spectrum(system, weight, scaled_ratio / unit, angles).ravel())

    index = int(np.argmin([best_at(ratio)[0] for ratio in RATIOS]))
    bracket = np.log(RATIOS[[max(index - 1, 0), min(index + 1, RATIOS.size - 1)]])
    refined = minimize_scalar(
        lambda log_ratio: best_at(math.exp(log_ratio))[0],
        bounds=tuple(bracket),
        method="bounded",
        options={"xatol": SEARCH_TOLERANCE},
    )
    ratio = min(math.exp(refined.x), float(RATIOS[index]), key=lambda candidate: best_at(candidate)[0])
    state_step = best_at(ratio)[1]
    pair = (state_step, state_step * ratio / unit)
    if state_step == 0.0 or stop_gradient.uniform_rate(system, weight, pair) >= 1.0:
        raise UndecidedError(
            f"ρ(K) = {greedy_radius(system):.12g} is below 1, so step sizes with r < 1 exist, but none were found in "
            "float64.  Try: LinearSystem(A / c, B) with c slightly above 1, which weights the error at time t by c^-t."
        )
    return pair


@checked
def uniform_region(
    system: AnySystem, beta: float, state_steps: ArrayLike, action_steps: ArrayLike
) -> Float[np.ndarray, "S M"]:
    """Return r for every pair of the given η_s (S,) and η_a (M,), sampled over the circle: a map to look at.

    Each value is a lower bound of r, sharp up to what lies between samples that are refined where peaks are;
    `stop_gradient.uniform_rate` leaves no such doubt.  The region r < 1 is star-shaped about (0, 0).

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        state_steps: η_s (S,), positive.
        action_steps: η_a (M,), positive.

    Raises
        ParameterError, ShapeError, StepSizeError.
    """
    weight = goal_weight("beta", beta)
    angles = sample_angles(system)
    states, actions = (
        real_array(name, steps, ndim=1)
        for name, steps in (("state_steps", state_steps), ("action_steps", action_steps))
    )
    for name, steps in (("state_steps", states), ("action_steps", actions)):
        if not steps.size or steps.min() <= 0.0:
            raise StepSizeError(name, "positive numbers, at least one", f"{steps[:5]}", "pass step sizes > 0")
    rates = np.empty((states.size, actions.size))
    for i, eta_s in enumerate(states):
        for j, eta_a in enumerate(actions):
            pair = step_sizes((float(eta_s), float(eta_a)))
            mu = uniform_spectrum(system, weight, pair[1] / pair[0], angles)
            rates[i, j] = np.abs(1.0 - pair[0] * mu).max()
    return rates


@checked
def uniform_spectrum(
    system: AnySystem, beta: float, ratio: float, angles: ArrayLike
) -> Complex[np.ndarray, "K d"]:
    """Return the eigenvalues μ of (I − D − zE)/η_s at z = e^{iθ}, with η_a = ratio · η_s; those of D + zE are 1 − η_s μ.

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        ratio: η_a/η_s, positive.
        angles: θ (K,), in radians.
    """
    points = real_array("angles", angles, ndim=1)
    steps = all_steps(time_invariant(system), goal_weight("beta", beta))
    D, E = update_blocks(steps, (1.0, positive_float("ratio", ratio)))
    return np.asarray(
        np.linalg.eigvals(np.eye(steps.block_size) - D[0] - np.exp(1j * points)[:, None, None] * E[0])
    )


@checked
def convergence_radius(system: AnySystem, beta: float, step_size: StepSize) -> float:
    """Return R = min{|z| : ρ(D + zE) >= 1}, which says how the constant of Theorem 6 depends on T.

    (1/T) log max_k ‖J_T^k‖ tends to max(0, −log R); R > 1 exactly where r < 1; R <= 1/ρ(K) whatever the step sizes, and
    some come as close to 1/ρ(K) as one likes.  Returned as inf where R exceeds 10⁶.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        StepSizeError: ρ(D) >= 1, so that the iteration diverges at T = 1 already.
        RankError, ParameterError: see `uniform_step_size_limit`.
    """
    weight = _require_uniqueness(system, beta)
    pair = step_sizes(step_size)

    def excess(log_radius: float) -> float:
        # E is linear in A, so the symbol at radius c is that of (cA, B) at radius 1.
        scaled = LinearSystem(math.exp(log_radius) * system.A, system.B)
        return stop_gradient.uniform_rate(scaled, weight, pair) - 1.0

    if stop_gradient.spectral_radius(system, 1, weight, pair) >= 1.0:
        raise StepSizeError(
            "step_size",
            "a step size with ρ(D) < 1",
            repr(step_size),
            "stay below stop_gradient.step_size_limit",
        )
    low, high = -1.0, math.log(LARGEST_RADIUS)
    if excess(high) < 0.0:
        return math.inf
    while excess(low) >= 0.0:
        low *= 2.0
    return math.exp(brentq(excess, low, high, xtol=SEARCH_TOLERANCE))


def _range_basis(B: Float[np.ndarray, "*T n m"]) -> Float[np.ndarray, "*T n k"]:
    """Return U with UUᵀ = BB⁺, k = min(n, m): an orthonormal basis of range(B), filled up with zero columns."""
    u, b, _ = np.linalg.svd(B, full_matrices=False)
    kept = b > EPS * max(B.shape[-2:]) * b[..., :1]
    return np.asarray(u * kept[..., None, :])


def _greedy_eigenvalues(system: LinearSystem) -> Complex[np.ndarray, " k"]:
    """Return the eigenvalues of K on range(B)^⊥."""
    u, b, _ = np.linalg.svd(system.B)
    rank = int(np.sum(b > EPS * max(system.B.shape) * b[0]))
    rest = u[:, rank:]
    return np.asarray(np.linalg.eigvals(rest.T @ system.A @ rest).astype(np.complex128))


def sample_angles(system: AnySystem) -> Float[np.ndarray, " K"]:
    """Return sorted angles in [0, π] at which to sample the symbol.

    Arguments
        system: time-invariant dynamics, n states and m actions.
    """
    angles = [np.linspace(0.0, np.pi, EVEN_ANGLES)]
    for kappa in _greedy_eigenvalues(time_invariant(system)):
        width, centre = max(abs(1.0 - abs(kappa)), ANGLE_RESOLUTION), abs(np.angle(kappa))
        if width < WIDEST_PEAK:
            offsets = np.geomspace(width / 4.0, WIDEST_PEAK, CLOSE_ANGLES)
            angles += [centre - offsets, np.array([centre]), centre + offsets]
    sampled = np.clip(np.concatenate(angles), 0.0, np.pi)
    return np.unique(np.round(sampled / ANGLE_RESOLUTION)) * ANGLE_RESOLUTION


def _best_along_ray(mu: Complex[np.ndarray, " K"]) -> tuple[float, float]:
    """Return (rate, η) minimising the largest |1 − ημ|; (1, 0) if some Re μ <= 0."""
    limit = 2.0 * float((1.0 / mu).real.min())
    if limit <= 0.0:
        return 1.0, 0.0
    found = minimize_scalar(
        lambda eta: float(np.abs(1.0 - eta * mu).max()),
        bounds=(0.0, limit),
        method="bounded",
        options={"xatol": SEARCH_TOLERANCE * limit},
    )
    return float(found.fun), float(found.x)


def time_invariant(system: AnySystem) -> LinearSystem:
    """Return the system; refuse one that is time-varying, which has no symbol."""
    if not isinstance(system, LinearSystem):
        raise ParameterError("system", "a LinearSystem", "a time-varying system", "fix one of its time steps")
    return system


def _require_uniqueness(system: AnySystem, beta: float) -> float:
    invariant, weight = time_invariant(system), positive_float("beta", beta)
    n, m = invariant.B.shape
    b = np.linalg.svd(invariant.B, compute_uv=False)
    if m > n or b[-1] <= EPS * n * b[0]:
        raise RankError(
            "B", f"full column rank m = {m}", f"singular values from {b[0]:.3g} to {b[-1]:.3g}, n = {n}",
            "LinearSystem(A, B @ V) with V an orthonormal basis of range(Bᵀ): actions in ker B never move",
        )  # fmt: skip
    return weight


def _require_existence(system: AnySystem, beta: float) -> float:
    weight = _require_uniqueness(system, beta)
    require_stable_greedy_loop(system)
    return weight


def require_stable_greedy_loop(system: AnySystem) -> float:
    """Return ρ(K); refuse it where it is not below 1 beyond rounding."""
    invariant = time_invariant(system)
    radius = greedy_radius(invariant)
    if radius >= 1.0 - rounding_allowance(float(np.linalg.norm(invariant.A, 2)), invariant.state_dim):
        raise UnstableSystemError(
            "system", "a stable greedy closed loop K = (I − BB⁺)A", f"ρ(K) = {radius:.6g}",
            f"LinearSystem(A / c, B) with c > {radius:.6g}, which measures the error at time t in units of c^t",
        )  # fmt: skip
    return radius
