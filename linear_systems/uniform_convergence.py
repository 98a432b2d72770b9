"""When the stop-gradient iteration converges at a rate and with a constant that do not depend on the horizon.

For a time-invariant system and constant β the matrix J_T of one iteration is the T-th finite section of a lower
triangular block Toeplitz operator with symbol D + zE, so that for every k

    sup_T ‖J_T^k‖₂ = lim_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂ .

Hence C q^k with C and q < 1 free of T exists exactly when r = max over |z| = 1 of ρ(D + zE) < 1.  Since
D + zE = I − NH (I − z [[K, 0], [−B⁺A, 0]]), with K = (I − BB⁺)A the greedy closed loop, 1 is an eigenvalue of
D + zE exactly where 1/z is one of K: step sizes with r < 1 exist if and only if ρ(K) < 1.  For a fixed ratio
η_a/η_s they form an interval.  Where ρ(K) >= 1, the system (A/c, B) with c > ρ(K) tells how far convergence is
uniform when the error at time t is measured in units of c^t.

Statements and proofs: docs/uniform_convergence.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from linear_systems import stop_gradient
from linear_systems._stop_gradient_blocks import all_steps, prediction_gain, update_blocks
from linear_systems.errors import (
    ParameterError,
    RankError,
    StepSizeError,
    UndecidedError,
    UnstableSystemError,
)
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import StepSize, positive_float, positive_integer, real_array, step_sizes

__all__ = [
    "UniformBound",
    "best_uniform_step_size",
    "convergence_radius",
    "greedy_closed_loop",
    "greedy_decay",
    "greedy_radius",
    "uniform_bound",
    "uniform_power_norms",
    "uniform_region",
    "uniform_spectrum",
    "uniform_step_size_limit",
]

RATIOS = np.geomspace(1e-4, 1e8, 49)
"""Ratios η_a (1+β) ‖B‖² / η_s, free of units, among which the best is bracketed."""
EVEN_ANGLES = 65
"""Angles spread evenly over [0, π] at which the symbol is sampled."""
CLOSE_ANGLES = np.geomspace(1e-6, 0.3, 16)
"""Distances from −arg κ, κ ∈ σ(K), at which it is sampled too: 1 − zκ is smallest there, and peaks are narrow."""
SEARCH_TOLERANCE = 1e-10
"""Relative precision to which a step size and the logarithm of the ratio are located."""
OVERSAMPLING = 8
"""Points on the circle for each power: between them a norm exceeds its samples by a factor <= 1/cos(π/16) = 1.02."""
FIRST_POWER, LAST_POWER = 64, 1024
"""Powers of the symbol between which `uniform_bound` looks for one that contracts."""
LARGEST_RADIUS = 1e6
"""Radius at which `convergence_radius` stops looking for a circle where the symbol fails to contract."""


@dataclass(frozen=True)
class UniformBound:
    """The bound ‖J_T^k‖₂ <= constant · rate^k, for every horizon T and every k.

    Arguments
        constant: C.
        rate: q < 1.
        power: the k₀ with sup_T ‖J_T^{k₀}‖ <= q^{k₀} from which the bound follows for all k.
        peak: an upper bound of sup_{T,k} ‖J_T^k‖, the largest factor by which an error can ever grow.
    """

    constant: float
    rate: float
    power: int
    peak: float

    def iterations_to(self, tolerance: float) -> int:
        """Return a k after which every error, at every T, is at most `tolerance` times the initial one."""
        target = positive_float("tolerance", tolerance)
        return max(0, math.ceil(math.log(self.constant / target) / -math.log(self.rate)))


def greedy_closed_loop(system: AnySystem) -> Float[np.ndarray, "*T n n"]:
    """Return K = (I − BB⁺)A, which carries the greedy rollout's deviations: s_{t+1} = K s_t + BB⁺g.

    (T, n, n) for a time-varying system.  B may have any rank.
    """
    span = _range_basis(system.B)
    return np.asarray(system.A - span @ (np.swapaxes(span, -1, -2) @ system.A))


def greedy_radius(system: LinearSystem) -> float:
    """Return ρ(K), from the block of A on range(B)^⊥, which carries every nonzero eigenvalue of K."""
    return float(np.abs(_greedy_eigenvalues(_time_invariant(system))).max(initial=0.0))


def greedy_decay(system: AnySystem, window: int) -> float:
    """Return max_t ‖K_{t+w−1} ⋯ K_t‖₂^{1/w} for w = `window`.

    As w grows over an infinite sequence it decreases (along multiples) to ρ_∞(K), which replaces ρ(K) for
    time-varying systems; for each w it is an upper bound of ρ_∞ of every sequence whose windows are among these.

    Raises
        ParameterError: the window is not a positive integer, or is longer than the system.
    """
    length = positive_integer("window", window)
    K = np.atleast_3d(greedy_closed_loop(system)) if system.length else greedy_closed_loop(system)[None]
    if system.length is not None and length > system.length:
        raise ParameterError("window", f"at most {system.length} steps", str(length), "shorten the window")
    starts = len(K) - length + 1 if system.length is not None else 1
    product = np.broadcast_to(np.eye(system.state_dim), (starts, *K.shape[1:]))
    for step in range(length):
        product = (K[step : step + starts] if system.length is not None else K) @ product
    return float(np.linalg.norm(product, 2, axis=(-2, -1)).max() ** (1.0 / length))


def uniform_step_size_limit(system: LinearSystem, beta: float, ratio: float = 1.0) -> float:
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
    angles = _angles(system)

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


def best_uniform_step_size(system: LinearSystem, beta: float) -> tuple[float, float]:
    """Return the (η_s, η_a) with the smallest r found, after verifying r < 1 by `stop_gradient.uniform_rate`.

    For a fixed ratio r is a convex function of η_s (the largest |1 − η_s μ|), and is minimised as such over samples
    of the circle; the ratio is bracketed on a grid over twelve decades and then refined.

    Raises
        UnstableSystemError: ρ(K) >= 1.
        UndecidedError: ρ(K) < 1, yet no step sizes with r < 1 were found: ρ(K) is too close to 1 for float64.
        RankError, ParameterError: see `uniform_step_size_limit`.
    """
    weight = _require_existence(system, beta)
    angles = _angles(system)
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


def uniform_region(
    system: LinearSystem, beta: float, state_steps: ArrayLike, action_steps: ArrayLike
) -> Float[np.ndarray, "S M"]:
    """Return r for every pair of the given η_s (S,) and η_a (M,), sampled over the circle: a map to look at.

    Each value is a lower bound of r, sharp up to what lies between samples that are refined where peaks are;
    `stop_gradient.uniform_rate` leaves no such doubt.  The region r < 1 is star-shaped about (0, 0).

    Raises
        ParameterError, ShapeError, StepSizeError.
    """
    weight = positive_float("beta", beta, allow_zero=True)
    angles = _angles(_time_invariant(system))
    states, actions = (
        real_array(name, steps, ndim=1)
        for name, steps in (("state_steps", state_steps), ("action_steps", action_steps))
    )
    rates = np.empty((states.size, actions.size))
    for i, eta_s in enumerate(states):
        for j, eta_a in enumerate(actions):
            pair = step_sizes((float(eta_s), float(eta_a)))
            mu = uniform_spectrum(system, weight, pair[1] / pair[0], angles)
            rates[i, j] = np.abs(1.0 - pair[0] * mu).max()
    return rates


def uniform_spectrum(
    system: LinearSystem, beta: float, ratio: float, angles: ArrayLike
) -> Complex[np.ndarray, "K d"]:
    """Return the eigenvalues μ of (I − D − zE)/η_s at z = e^{iθ}, with η_a = ratio · η_s; those of D + zE are 1 − η_s μ."""
    points = real_array("angles", angles, ndim=1)
    steps = all_steps(_time_invariant(system), positive_float("beta", beta, allow_zero=True))
    D, E = update_blocks(steps, (1.0, positive_float("ratio", ratio)))
    return np.asarray(
        np.linalg.eigvals(np.eye(steps.block_size) - D[0] - np.exp(1j * points)[:, None, None] * E[0])
    )


def convergence_radius(system: LinearSystem, beta: float, step_size: StepSize) -> float:
    """Return R = min{|z| : ρ(D + zE) >= 1}, which says how the constant of Theorem 6 depends on T.

    (1/T) log max_k ‖J_T^k‖ tends to max(0, −log R); R > 1 exactly where r < 1; R <= 1/ρ(K) whatever the step sizes, and
    some come as close to 1/ρ(K) as one likes.  Returned as inf where R exceeds 10⁶.

    Raises
        StepSizeError: ρ(D) >= 1, so that the iteration diverges at T = 1 already.
        RankError, ParameterError: see `uniform_step_size_limit`.
    """
    weight = _require_uniqueness(system, beta)
    pair = step_sizes(step_size)

    def log_rate(log_radius: float) -> float:
        # E is linear in A, so the symbol at radius c is that of (cA, B) at radius 1.
        scaled = LinearSystem(math.exp(log_radius) * system.A, system.B)
        return math.log(stop_gradient.uniform_rate(scaled, weight, pair))

    if stop_gradient.spectral_radius(system, 1, weight, pair) >= 1.0:
        raise StepSizeError(
            "step_size", "a step size with ρ(D) < 1", repr(step_size), "stay below stop_gradient.step_size_limit"
        )
    low, high = -1.0, math.log(LARGEST_RADIUS)
    if log_rate(high) < 0.0:
        return math.inf
    while log_rate(low) >= 0.0:
        low *= 2.0
    return math.exp(brentq(log_rate, low, high, xtol=SEARCH_TOLERANCE))


def uniform_power_norms(
    system: LinearSystem, beta: float, step_size: StepSize, iterations: int
) -> tuple[Float[np.ndarray, " iterations_plus_one"], Float[np.ndarray, " iterations_plus_one"]]:
    """Return proved (lower, upper) bounds of sup_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂, k = 0..iterations.

    The maximum is sampled at N points.  Each entry u*(D + zE)^k v is a polynomial of degree k in z, so by a lemma of
    M. Riesz the samples fall short of the maximum by a factor of at least cos(πk/(2N)).  Rounding is bounded a
    posteriori: if X_i is the computed power and δ_i bounds the error of one product, then
    ‖(D + zE)^k‖ <= ‖X_k‖ + Σ_i ‖(D + zE)^{k−i}‖ δ_i.

    Raises
        ParameterError, StepSizeError.
    """
    pair, count = step_sizes(step_size), positive_integer("iterations", iterations, minimum=0)
    steps = all_steps(_time_invariant(system), positive_float("beta", beta, allow_zero=True))
    D, E = (blocks[0] for blocks in update_blocks(steps, pair))
    points = OVERSAMPLING * max(count, 1)
    # Conjugate points have the same norm, so half a circle is enough.
    z = np.exp(2j * np.pi * np.arange(points // 2 + 1) / points)[:, None, None]
    gain = float(np.linalg.norm(prediction_gain(steps, pair)))
    scale = np.sqrt(steps.block_size) + gain * (1.0 + float(np.linalg.norm(system.A) + np.linalg.norm(system.B)))
    symbol = D + z * E
    power = np.broadcast_to(np.eye(steps.block_size, dtype=complex), symbol.shape)
    lower, upper, errors = np.ones(count + 1), np.ones(count + 1), np.zeros(count + 1)
    for k in range(1, count + 1):
        errors[k] = rounding_allowance(scale * float(np.linalg.norm(power, axis=(1, 2)).max()), 2 * steps.block_size)
        power = symbol @ power
        sampled = _largest_norm(power)
        accumulated = float(upper[:k] @ errors[k:0:-1])
        lower[k] = max(0.0, sampled - accumulated)
        upper[k] = sampled + accumulated
    return lower, upper / np.cos(np.pi * np.arange(count + 1) / (2 * points))


def uniform_bound(
    system: LinearSystem, beta: float, step_size: StepSize, rate: float | None = None
) -> UniformBound:
    """Return C and q with ‖J_T^k‖₂ <= C q^k for every T and k, proved from finitely many powers of the symbol.

    If ‖(D + zE)^{k₀}‖ <= q^{k₀} on the circle, then C = max over k < k₀ of ‖(D + zE)^k‖/q^k serves for every k.

    Arguments
        rate: q in (r, 1); by default √r, half as fast as the iteration is in the end.

    Raises
        StepSizeError: r >= 1: no such bound exists.
        ParameterError: `rate` is not in (r, 1), or see `uniform_power_norms`.
        UndecidedError: no power up to `LAST_POWER` contracts: r or `rate` is too close to 1 (or to r) for this method.
    """
    radius = stop_gradient.uniform_rate(system, beta, step_size)
    if radius >= 1.0:
        raise StepSizeError(
            "step_size", "step sizes with r = max over |z| = 1 of ρ(D + zE) < 1", f"{step_size!r} with r = {radius:.6g}",
            "best_uniform_step_size",
        )  # fmt: skip
    q = math.sqrt(radius) if rate is None else positive_float("rate", rate)
    if not radius < q < 1.0:
        raise ParameterError("rate", f"a number between r = {radius:.6g} and 1", repr(rate), "leave it out")
    count = FIRST_POWER
    while count <= LAST_POWER:
        upper = uniform_power_norms(system, beta, step_size, count)[1]
        relative = upper / q ** np.arange(count + 1)
        contracting = np.flatnonzero(relative[1:] <= 1.0)
        if contracting.size:
            power = int(contracting[0]) + 1
            constant = float(relative[:power].max()) * (1.0 + rounding_allowance(1.0, power))
            return UniformBound(constant, q, power, float(upper[:power].max()))
        count *= 2
    raise UndecidedError(
        f"No power of the symbol up to {LAST_POWER} is below q^k for q = {q:.9g} (r = {radius:.9g}).  Try: a larger `rate`."
    )


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


def _angles(system: LinearSystem) -> Float[np.ndarray, " K"]:
    """Return sorted angles in [0, π] at which to sample the symbol."""
    critical = np.abs(np.angle(_greedy_eigenvalues(system)))
    near = critical[:, None] + np.concatenate([-CLOSE_ANGLES, [0.0], CLOSE_ANGLES])
    return np.unique(np.clip(np.concatenate([np.linspace(0.0, np.pi, EVEN_ANGLES), near.ravel()]), 0.0, np.pi))


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


def _largest_norm(matrices: Complex[np.ndarray, "N d d"]) -> float:
    """Return max ‖X‖₂, computing singular values only where the Frobenius norm leaves the maximum open."""
    frobenius = np.linalg.norm(matrices, axis=(1, 2))
    first = float(np.linalg.norm(matrices[int(np.argmax(frobenius))], 2))
    candidates = matrices[frobenius > first]
    return max(first, float(np.linalg.norm(candidates, 2, axis=(1, 2)).max(initial=0.0)))


def _time_invariant(system: AnySystem) -> LinearSystem:
    if not isinstance(system, LinearSystem):
        raise ParameterError("system", "a LinearSystem", "a time-varying system", "fix one of its time steps")
    return system


def _require_uniqueness(system: AnySystem, beta: float) -> float:
    invariant, weight = _time_invariant(system), positive_float("beta", beta)
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
    radius = greedy_radius(_time_invariant(system))
    if radius >= 1.0:
        raise UnstableSystemError(
            "system", "a stable greedy closed loop K = (I − BB⁺)A", f"ρ(K) = {radius:.6g}",
            f"LinearSystem(A / c, B) with c > {radius:.6g}, which measures the error at time t in units of c^t",
        )  # fmt: skip
    return weight
