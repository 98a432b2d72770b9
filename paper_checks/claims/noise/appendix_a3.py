"""Appendix A.3: stationary laws under noise, Eq. (56)–(57), for linear dynamics."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.linalg import orth, solve_continuous_lyapunov

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.appendix_a3 import state_noise_law
from linear_systems import LinearSystem, benchmarks, lifted, noise
from linear_systems.examples.random_systems import Kind
from linear_systems.rounding import EPS, rounding_allowance
from paper_checks.engine.inspection import Evaluations, drawn_systems, identity, judge
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

ETA, SIGMA = 0.05, 0.5


def check_gibbs(run: Run) -> None:
    """Examine the Gibbs law of the flow with noise on states and actions."""
    run.examine(
        "with noise of covariance 2N/β on all variables, Cov(w) = I/(2β) solves the Lyapunov equation of the residuals",
        _inspect_fluctuation_dissipation,
        2,
        false_variants={"Cov(w) = I/β": 1},
        equations=(56,),
    )
    run.examine(
        "the residuals' stationary covariance is (1/2β) times the projection onto range(M)",
        lambda noised: _inspect_gibbs(run, noised),
        "both",
        false_variants={"noise on the states only": "states", "both, but β half as large": "hot"},
        equations=(56,),
    )
    run.caveat(
        "the Gibbs density cannot be normalised: J_L has mT − n flat directions (for a reachable system), along which the "
        "flow diffuses without bound",
        lambda horizon: _inspect_flat_directions(run, horizon),
        6,
        false_variants={"at T = 1 with m ≤ n": 1},
    )
    run.caveat(
        "noising the actions “similarly”, with the same σ, gives a Gibbs law only if η_a = η_s: the noise must scale with the "
        "square root of each step size",
        lambda ratio: _inspect_same_noise(run, ratio),
        4.0,
        false_variants={"η_a = η_s": Far(1.0, "only equal step sizes give a Gibbs law")},
    )


def check_state_noise(run: Run) -> None:
    """Examine the law with noise on the states only against Eq. (57)."""
    run.examine(
        "the residual law tends to that of δ(a = a*(s)) exp(−βJ_L) as η_a/η_s → ∞: the Wasserstein-2 distance falls like "
        "(η_s/η_a)^{1/2}",
        lambda exponent: _inspect_limit(run, exponent),
        0.5,
        false_variants={
            "it does not fall": Far(0.0, "the orders of expansions are halves of whole numbers"),
            "it falls like η_s/η_a": Far(1.0, "as above"),
        },
        equations=(57,),
    )
    run.examine(
        "the library's stationary covariance solves the Lyapunov equation of the residuals",
        lambda factor: _inspect_lyapunov(run, factor),
        1.0,
        false_variants={"1% less noise": 0.99},
        equations=(57,),
    )
    run.examine(
        "the stationary energy is never below that of Eq. (57)",
        lambda factor: _inspect_energy(run, factor),
        1.0,
        false_variants={"never below 1.05 times it": 1.05},
    )
    run.caveat(
        "at η_a = η_s the law is far from Eq. (57): the energy in excess of it exceeds a tenth of the noise's own on half of "
        "the systems",
        lambda ratio: _inspect_distance_at_equal_steps(run, ratio),
        1.0,
        false_variants={
            "at η_a = 30 η_s": Far(
                30.0, "at equal steps the excess is about a half, and it falls no faster than η_s/η_a"
            )
        },
    )
    run.caveat(
        "neither is a law of (s, a): along flat directions that move states the flow diffuses without bound, so exp(−βJ_L) on "
        "δ(a = a*(s)) cannot be normalised",
        lambda horizon: _inspect_flat_directions(run, horizon),
        6,
        false_variants={"at T = 1 with m ≤ n": 1},
    )
    _record(run)


# --- Gibbs ------------------------------------------------------------------------------------------------


def _inspect_fluctuation_dissipation(divisor: int) -> Evidence:
    """K P + P K = M Q Mᵀ with K = 2MNMᵀ, Q = 2N/β, P = I/(divisor β), M N Mᵀ one non-commuting symbol."""
    MNM = sp.symbols("MNM", commutative=False)
    beta = sp.symbols("beta", positive=True)
    P = 1 / (divisor * beta)
    return identity(
        [sp.expand(2 * MNM * P + P * 2 * MNM - 2 * MNM / beta)],
        "2MNMᵀP + P2MNMᵀ = M(2N/β)Mᵀ",
        "matrices of every size as symbols; P is a multiple of I and commutes",
    )


def _flow(
    system: LinearSystem, horizon: int, step_size: tuple[float, float], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the residuals' stationary covariance for noise of the given diagonal, by SciPy's Lyapunov solver."""
    M = lifted.residual_matrix(system, horizon).toarray()
    states = system.state_dim * (horizon - 1)
    N = np.repeat(step_size, (states, M.shape[1] - states))
    basis = orth(M)
    drift = basis.T @ (2.0 * (M * N) @ M.T) @ basis
    source = basis.T @ (M * covariance) @ M.T @ basis
    return np.asarray(basis @ solve_continuous_lyapunov(drift, source) @ basis.T)


def _lyapunov_allowance(system: LinearSystem, horizon: int, eta: tuple[float, float], scale: float) -> float:
    """Return the error of a Lyapunov solution: the roundings of K over its smallest eigenvalue."""
    M = lifted.residual_matrix(system, horizon).toarray()
    values = np.linalg.svd(M, compute_uv=False)
    values = values[values > values[0] * max(M.shape) * EPS]
    condition = (values[0] / values[-1]) ** 2 * max(eta) / min(eta)
    return rounding_allowance(scale, len(M), float(condition))


def _instances(run: Run, name: str) -> Iterator[tuple[LinearSystem, int]]:
    rng = run.rng(name)
    kinds: tuple[Kind, ...] = ("stable", "unstable", "complex", "defective")
    for system in drawn_systems(rng, run.size(40, 14), kinds, max_n=3, max_m=3):
        yield system, int(rng.integers(2, 7))


def _inspect_gibbs(run: Run, noised: str) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("step sizes")
        for system, T in _instances(run, "gibbs"):
            eta, beta = (
                (float(rng.uniform(0.02, 0.2)), float(rng.uniform(0.02, 0.2))),
                float(rng.uniform(0.5, 5.0)),
            )
            sizes = (system.state_dim * (T - 1), system.action_dim * T)
            variance = np.repeat(
                (2.0 * eta[0] / beta, 0.0 if noised == "states" else 2.0 * eta[1] / beta), sizes
            )
            found = _flow(system, T, eta, variance)
            claimed = noise.gibbs_residual_covariance(system, T, beta / 2.0 if noised == "hot" else beta)
            gap = float(np.abs(found - claimed).max())
            allowance = _lyapunov_allowance(system, T, eta, 1.0 / beta)
            yield (
                TheoremCheck(gap, 0.0, "=", allowance, {}),
                partial(as_code, system, horizon=T, step_size=eta, beta=beta),
            )

    return judge(evaluations(), "largest |Cov(w) by SciPy's Lyapunov solver − (1/2β)·projection|")


def _inspect_flat_directions(run: Run, horizon: int) -> Evidence:
    """Count diffusing directions: mT − n for a reachable system with m ≤ n and full column rank."""
    wrong, least, count, code = 0, np.inf, 0, ""
    for system in drawn_systems(
        run.rng("flat"), run.size(20, 8), ("stable", "unstable"), 3, 3, full_column_rank=True
    ):
        law = noise.ornstein_uhlenbeck(system, horizon, (ETA, ETA), SIGMA)
        flat = law.diffusing_directions.shape[1]
        expected = system.action_dim * horizon - system.state_dim
        M = lifted.residual_matrix(system, horizon).toarray()
        moved = float(np.abs(M @ law.diffusing_directions).max()) if flat else 0.0
        still = moved <= rounding_allowance(float(np.abs(M).max()), M.shape[1])
        count += 1
        least = min(least, flat)
        if flat != expected or flat == 0 or not still or law.diffusion_rates.min() <= 0.0:
            wrong, code = wrong + 1, as_code(system, horizon=horizon)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"T = {horizon}, {count} systems: at least {least:.0f} directions v with Mv = 0 in which the states diffuse; {wrong} "
        "systems do not have mT − n > 0 of them",
        {"systems": count, "fewest diffusing directions": least},
        code,
    )


def _inspect_same_noise(run: Run, ratio: float) -> Evidence:
    """Measure how far Cov(w) is from a multiple of the projection, with the same σ on states and actions."""
    smallest, count, code = np.inf, 0, ""
    for system, T in _instances(run, "same noise"):
        size = system.state_dim * (T - 1) + system.action_dim * T
        found = _flow(system, T, (ETA, ratio * ETA), np.full(size, SIGMA**2))
        projection = noise.gibbs_residual_covariance(system, T, 0.5)
        best = float(np.trace(found) / np.trace(projection)) * projection
        gap = float(np.linalg.norm(found - best) / np.linalg.norm(best))
        if gap < smallest:
            smallest, code = gap, as_code(system, horizon=T, step_size=(ETA, ratio * ETA), sigma=SIGMA)
        count += 1
    return Evidence(
        Grade.NUMERICAL,
        smallest > 1e-3,
        f"η_a = {ratio:g} η_s, same σ, {count} systems: Cov(w) differs from every multiple of the projection by at least "
        f"{smallest:.2g} of its norm",
        {"smallest relative difference": smallest},
        code,
    )


# --- noise on the states only -----------------------------------------------------------------------------


def _inspect_limit(run: Run, exponent: float) -> Evidence:
    """Fit the exponent of W₂ over η_a/η_s between 10⁶ and 10⁷."""
    ratios = (1e6, 1e7)
    worst, count, code = 0.0, 0, ""
    for system, T in _instances(run, "limit"):
        distances = [
            state_noise_law(system, T, (ETA, ETA * ratio), SIGMA).quantities["wasserstein2"]
            for ratio in ratios
        ]
        slope = -float(np.log(distances[1] / distances[0]) / np.log(ratios[1] / ratios[0]))
        count += 1
        if abs(slope - exponent) > worst:
            worst, code = abs(slope - exponent), as_code(system, horizon=T, sigma=SIGMA)
    # W₂ = c r^{−1/2}(1 + O(1/r)) with c of order κ(M_a); 1% covers it at r ≥ 10⁶.
    return Evidence(
        Grade.NUMERICAL,
        worst <= 0.01,
        f"slope of log W₂ over log(η_a/η_s) between 10⁶ and 10⁷ on {count} systems: largest deviation from −{exponent} is "
        f"{worst:.2g} (tolerance 0.01)",
        {"systems": count, "largest deviation": worst},
        code,
    )


def _inspect_lyapunov(run: Run, factor: float) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("lyapunov steps")
        for system, T in _instances(run, "lyapunov"):
            eta = (float(rng.uniform(0.02, 0.2)), float(rng.uniform(0.02, 0.2)))
            sizes = (system.state_dim * (T - 1), system.action_dim * T)
            found = _flow(system, T, eta, np.repeat((factor * SIGMA**2, 0.0), sizes))
            law = noise.ornstein_uhlenbeck(system, T, eta, SIGMA)
            gap = float(np.abs(found - law.residual_covariance).max())
            allowance = _lyapunov_allowance(system, T, eta, SIGMA**2 / eta[0])
            yield (
                TheoremCheck(gap, 0.0, "=", allowance, {}),
                partial(as_code, system, horizon=T, step_size=eta, sigma=SIGMA),
            )

    return judge(
        evaluations(), "largest difference between the library's closed form and SciPy's Lyapunov solver"
    )


def _inspect_energy(run: Run, factor: float) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("energy steps")
        for system, T in _instances(run, "energy"):
            eta = (ETA, ETA * float(10.0 ** rng.uniform(-2, 4)))
            check = state_noise_law(system, T, eta, SIGMA)
            altered = TheoremCheck(
                check.computed, factor * check.bound, ">=", check.allowance, check.assumptions
            )
            yield altered, partial(as_code, system, horizon=T, step_size=eta, sigma=SIGMA)

    return judge(
        evaluations(), "E‖w‖² of the flow against (σ²/4η_s)(rank M − rank M_a), η_a/η_s from 10⁻² to 10⁴"
    )


def _inspect_distance_at_equal_steps(run: Run, ratio: float) -> Evidence:
    """Measure the energy in excess of Eq. (57), as a share of what free states would have, n(T−1)σ²/4η_s."""
    shares, code = [], ""
    for system, T in _instances(run, "equal steps"):
        check = state_noise_law(system, T, (ETA, ratio * ETA), SIGMA)
        free = system.state_dim * (T - 1) * noise.tube_variance(ETA, SIGMA) * (1.0 - ETA)
        shares.append((check.computed - check.bound) / free)
        if shares[-1] == max(shares):
            code = as_code(system, horizon=T, step_size=(ETA, ratio * ETA), sigma=SIGMA)
    median = float(np.median(shares))
    return Evidence(
        Grade.NUMERICAL,
        median > 0.1,
        f"η_a = {ratio:g} η_s, {len(shares)} systems: energy in excess of Eq. (57), as a share of n(T−1)σ²/4η_s: median "
        f"{median:.3g}, largest {max(shares):.3g}",
        {"median share": median, "largest share": float(max(shares))},
        code,
    )


def _record(run: Run) -> None:
    ratios = [float(r) for r in np.geomspace(1e-1, 1e5, run.size(25, 13))]
    double = benchmarks.load("double_integrator").system
    named = {
        "A = 0.9, B = 1 (fully actuated)": LinearSystem([[0.9]], [[1.0]]),
        "double integrator": double,
        "A = [[0.9, 1], [0, 0.5]], B = [0, 1]": LinearSystem([[0.9, 1.0], [0.0, 0.5]], [[0.0], [1.0]]),
    }
    series = {}
    for name, system in named.items():
        values = [
            state_noise_law(system, 6, (ETA, ETA * r), SIGMA).quantities["wasserstein2"] for r in ratios
        ]
        series[name] = (ratios, values)
    run.curve(
        Curve(
            f"Distance of the true residual law from Eq. (57), T = 6, η_s = {ETA}, σ = {SIGMA}",
            "η_a / η_s",
            "Wasserstein-2 distance (units of the state)",
            series,
            log_x=True,
            log_y=True,
            note="Slope −1/2: Eq. (57) is the limit of actions that follow the states at once.",
        )
    )
    system = named["A = [[0.9, 1], [0, 0.5]], B = [0, 1]"]
    check = state_noise_law(system, 6, (ETA, 1e6 * ETA), SIGMA)
    run.sharpness(
        Sharpness(
            "energy of Eq. (57) over that of the flow at η_a = 10⁶ η_s",
            check.bound / check.computed,
            "closed form",
            as_code(system, horizon=6, step_size=(ETA, 1e6 * ETA), sigma=SIGMA),
            "attained in the limit η_a/η_s → ∞ only",
        )
    )


CLAIMS = (
    Claim(
        id="a3-gibbs",
        title="Noise on states and actions gives the Gibbs density",
        source="Appendix A.3, Eq. (56)",
        statement=(
            "If the actions were noised like the states, the Langevin dynamics would have the stationary density "
            "p(s, a) ∝ exp(−β L_dyn(s, a)) for a β set by the ratio of drift and diffusion."
        ),
        latex=r"p(\mathbf{s}, \mathbf{a}) \propto \exp(-\beta\, \mathcal{L}_{\mathrm{dyn}}(\mathbf{s}, \mathbf{a}))",
        assumptions=("continuous time", "here: linear dynamics"),
        equations=(56,),
        check=check_gibbs,
    ),
    Claim(
        id="a3-state-noise",
        title="State-only noise collapses on the actions' optima",
        source="Appendix A.3, Eq. (57)",
        statement=(
            "With noise on the states only “the new converged distribution, written loosely, collapses on solutions in action”: "
            "p(s, a) ∝ δ(a = a*(s)) exp(−β L_dyn(s, a)), where a*(s) = min_a L_dyn (meant: argmin)."
        ),
        latex=(
            r"p(\mathbf{s}, \mathbf{a}) \propto \delta(\mathbf{a} = \mathbf{a}^*(\mathbf{s}))\,"
            r"\exp(-\beta\, \mathcal{L}_{\mathrm{dyn}}(\mathbf{s}, \mathbf{a}))"
        ),
        assumptions=("continuous time", "here: linear dynamics"),
        equations=(57,),
        check=check_state_noise,
    ),
)
