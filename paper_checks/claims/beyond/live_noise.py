"""Noise with live states and actions, uniformly in the horizon, and its law over time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grasp_theory.theorems import TheoremCheck
from linear_systems import noise, stop_gradient, uniform_convergence
from linear_systems.noise.live import live_limits
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_6.instances import SCALAR, TAME, drawn_uniform_systems, judged
from paper_checks.engine.inspection import drawn_systems
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

SIGMA, PAIR = 0.3, (0.2778, 0.25)
"""Noise, and step sizes with r = 0.85 for SCALAR."""
OVER, UNDER = (0.30334, 0.27298), (0.29734, 0.26758)
"""Multiples of PAIR with r = 1.02 and 0.98."""
QUADRATURE_ERROR = 1e-8
"""Relative, of `live_limits` (settled to 1e-10) and of the recursion for the joint covariance."""


def check_live_noise(run: Run) -> None:
    """Examine U17."""
    run.examine(
        "Cov(y_t) increases to the mean of X over the circle, X = φXφ* + σ²Q",
        lambda factor: _inspect_variance(run, factor),
        1.0,
        false_variants={"to 1.02 times it": 1.02, "to 0.98 times it": 0.98},
    )
    run.examine(
        "the norm of the joint covariance increases to max ‖X‖ and not beyond",
        lambda factor: _inspect_norm(run, factor),
        1.0,
        false_variants={"it stays below 0.97 max ‖X‖": 0.97},
    )
    run.examine(
        "at step sizes with r = 1.02 it grows without bound: from T = 80 to T = 160 by more than 100 times",
        _inspect_growth,
        OVER,
        false_variants={"also at r = 0.98": UNDER},
    )
    run.examine(
        "at η_s = 1/2 and frozen actions the joint covariance of s_1..s_T has norm σ²/(1 − a²) in the limit, that of a noisy "
        "rollout σ²/(1 − a)²: the same variances, and another law over time",
        _inspect_joint,
        (1.0, 1.0),
        false_variants={
            "1.02 times the first": (1.02, 1.0),
            "0.98 times the second": (1.0, 0.98),
        },
    )
    run.examine(
        "one state a time and an iteration (s_1 of the first, s_2 of the second, …) has the covariance of a noisy rollout",
        lambda factor: _inspect_diagonal(run, factor),
        1.0,
        false_variants={"1.02 times that": 1.02, "0.98 times that": 0.98},
    )


def _inspect_variance(run: Run, factor: float) -> Evidence:
    """T is long enough for the limit: what is left falls like r^{2T}."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        drawn = drawn_uniform_systems(run, "variance", run.size(12, 6), 2, 1)
        quick = [system for system in drawn if uniform_convergence.greedy_radius(system) < 0.7]
        cases = [(system, uniform_convergence.best_uniform_step_size(system, 1.0)) for system in quick]
        cases.append((SCALAR, PAIR))
        for system, pair in cases:
            limit = live_limits(system, 1.0, pair, SIGMA).covariance
            d = len(limit)
            joint = noise.joint_stationary_covariance(system, 60, 1.0, pair, SIGMA)
            last, scale = joint[-d:, -d:], float(np.abs(limit).max())
            gap = float(np.abs(last - factor * limit).max())
            check = TheoremCheck(gap, 0.0, "=", 1e-4 * scale, {"r < 1": True})
            yield check, as_code(system, step_size=pair, horizon=60)
            increase = float(np.linalg.eigvalsh(limit - last)[0])
            check = TheoremCheck(increase, 0.0, ">=", QUADRATURE_ERROR * scale, {"r < 1": True})
            yield check, as_code(system, step_size=pair, horizon=60)

    return judged(
        evaluations(),
        "Cov(y_59) at T = 60 against the limit (1e-4), and its difference positive semidefinite",
    )


def _inspect_norm(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        largest = live_limits(SCALAR, 1.0, PAIR, SIGMA).largest
        for T in (5, 20, 60):
            norm = float(np.linalg.norm(noise.joint_stationary_covariance(SCALAR, T, 1.0, PAIR, SIGMA), 2))
            check = TheoremCheck(norm, factor * largest, "<=", QUADRATURE_ERROR * norm, {"r < 1": True})
            yield check, as_code(SCALAR, step_size=PAIR, horizon=T)
        attained = TheoremCheck(norm, 0.99 * largest, ">=", QUADRATURE_ERROR, {"r < 1": True})
        yield attained, as_code(SCALAR, step_size=PAIR, horizon=60)

    return judged(evaluations(), "norm at T = 5, 20, 60 against max ‖X‖, and within 1% of it at T = 60")


def _inspect_growth(pair: tuple[float, float]) -> Evidence:
    norms = [
        float(np.linalg.norm(noise.joint_stationary_covariance(SCALAR, T, 1.0, pair, SIGMA), 2))
        for T in (80, 160)
    ]
    return Evidence(
        Grade.NUMERICAL,
        norms[1] > 100.0 * norms[0],
        f"scalar system, step sizes {pair}, r = {stop_gradient.uniform_rate(SCALAR, 1.0, pair):.3f}: {norms[0]:.4g} at T = 80, "
        f"{norms[1]:.4g} at T = 160",
        {"T = 80": norms[0], "T = 160": norms[1]},
        as_code(SCALAR, step_size=pair),
    )


def _inspect_joint(factors: tuple[float, float]) -> Evidence:
    """The chain s⁺_{t+1} = a s_t + σξ is nilpotent but for the noise: its law is stationary after T iterations."""
    a, T = 0.5, 200
    chain = np.diag([a] * (T - 1), -1)
    lifted, power = np.zeros((T, T)), np.eye(T)
    for _ in range(60):
        lifted += power @ power.T
        power = chain @ power
    answer = np.linalg.inv(np.eye(T) - chain)
    norms = [SIGMA**2 * float(np.linalg.norm(law, 2)) for law in (lifted, answer @ answer.T)]
    stated = [factors[0] * SIGMA**2 / (1.0 - a * a), factors[1] * SIGMA**2 / (1.0 - a) ** 2]
    gaps = [abs(found / limit - 1.0) for found, limit in zip(norms, stated, strict=True)]
    # Sections of the rollout's law come within (π/T)² a/(1−a)² of the limit.
    return Evidence(
        Grade.NUMERICAL,
        gaps[0] <= 1e-12 and gaps[1] <= (np.pi / T) ** 2 * a / (1.0 - a) ** 2,
        f"a = {a}, T = {T}: lifted {norms[0]:.6f} (stated {stated[0]:.6f}), rollout {norms[1]:.6f} (stated {stated[1]:.6f})",
        {"lifted": norms[0], "rollout": norms[1]},
        f"a, T, sigma = {a}, {T}, {SIGMA}",
    )


def _inspect_diagonal(run: Run, factor: float) -> Evidence:
    """E[s_t^k s_u^l] of the chain at η_s = 1/2 over several iterations, from the stacked noise, against the rollout's."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for system in drawn_systems(run.rng("diagonal"), run.size(20, 8), TAME, 3, 2):
            n, T = system.state_dim, 5
            chain = np.kron(np.eye(T, k=-1), system.A)
            # After k iterations from 0 the states are Σ_i chain^{k−1−i} σξ^i: columns are the noises ξ^0..ξ^{T−1}.
            response = [np.zeros((n * T, n * T * T))]
            for k in range(T):
                new = chain @ response[-1]
                new[:, n * T * k : n * T * (k + 1)] += SIGMA * np.eye(n * T)
                response.append(new)
            diagonal = np.concatenate([response[t + 1][n * t : n * (t + 1)] for t in range(T)])
            steps = np.linalg.inv(np.eye(n * T) - chain)
            stated = SIGMA**2 * steps @ steps.T
            gap = float(np.abs(diagonal @ diagonal.T - factor * stated).max())
            allowance = rounding_allowance(float(np.abs(stated).max()), n * T * T)
            check = TheoremCheck(gap, 0.0, "=", allowance, {"η_s = 1/2": True})
            yield check, as_code(system, horizon=T, step_size=0.5)

    return judged(
        evaluations(), "covariance of (s_1^1, …, s_5^5) of the live chain against that of a rollout"
    )


CLAIMS = (
    Claim(
        id="ours-live-noise",
        title="The noisy iteration with everything live has a law that is uniform in the horizon exactly if r < 1",
        source="ours, beyond Theorem 7 (docs/theory/noise.md, U17)",
        statement=(
            "With r < 1 the stationary covariance of y_t increases to the mean over |z| = 1 of X = φXφ* + σ²Q, and the norm of the "
            "joint covariance to max ‖X‖; with r ≥ 1 and the critical mode excited it is unbounded.  At η_s = 1/2 with frozen actions "
            "the states of an iteration are independent over time, and a diagonal over iterations and times is a noisy rollout."
        ),
        latex=r"\mathrm{Cov}(y_t) \to \frac{1}{2\pi}\int X(\omega)\,d\omega",
        assumptions=("linear dynamics",),
        check=check_live_noise,
    ),
)
