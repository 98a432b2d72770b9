"""Noise with live states and actions, uniformly in the horizon; and the tube of states stepped by Adam."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp

from grasp_theory.theorems import TheoremCheck
from linear_systems import noise, uniform_convergence
from linear_systems.noise.live import adam_tube_variance, live_limits
from paper_checks.claims.theorem_6.instances import AGGRESSIVE, SCALAR, drawn_uniform_systems, judged
from paper_checks.engine.inspection import identity
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

SIGMA, PAIR = 0.3, (0.2778, 0.25)
"""Noise, and step sizes with r = 0.85 for SCALAR."""
QUADRATURE_ERROR = 1e-8
"""Relative, of `live_limits` (settled to 1e-10) and of the recursion for the joint covariance."""


def check_live_noise(run: Run) -> None:
    """Examine U17 and U18."""
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
        "at step sizes with r ≥ 1 it grows without bound: from T = 10 to T = 20 by more than 100 times",
        _inspect_growth,
        AGGRESSIVE,
        false_variants={"also at r = 0.85": PAIR},
    )
    run.examine(
        "stepped by Adam, a state has the variance ((σ² + ℓ²)/(2ℓ))² in place of (96)",
        _inspect_adam,
        2,
        false_variants={"((σ² + ℓ²)/ℓ)²": 1, "((σ² + ℓ²)/(2.1 ℓ))²": sp.Rational(21, 10)},
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
        for T in (10, 20)
    ]
    return Evidence(
        Grade.NUMERICAL,
        norms[1] > 100.0 * norms[0],
        f"scalar system, step sizes {pair}: {norms[0]:.4g} at T = 10, {norms[1]:.4g} at T = 20",
        {"T = 10": norms[0], "T = 20": norms[1]},
        as_code(SCALAR, step_size=pair),
    )


def _inspect_adam(divisor: sp.Expr | int) -> Evidence:
    sigma, rate = sp.symbols("sigma ell", positive=True)
    deviation = (sigma**2 + rate**2) / (divisor * rate)
    eta = rate / (2 * deviation)
    evidence = identity(
        [sp.simplify(deviation**2 * 4 * eta * (1 - eta) - sigma**2)],
        "V = ((σ² + ℓ²)/(2ℓ))² solves V = σ²/(4η(1−η)) with η = ℓ/(2√V), Adam's step at its stationary second moment",
        f"β₁ = 0, ε = 0, β₂ → 1; at ℓ = 0.1, σ = 0.3 it is {adam_tube_variance(0.1, 0.3):.4f}",
    )
    return evidence


CLAIMS = (
    Claim(
        id="ours-live-noise",
        title="The noisy iteration with everything live has a law that is uniform in the horizon exactly if r < 1",
        source="ours, beyond Theorem 7 (docs/theory/noise.md, U17 and U18)",
        statement=(
            "With r < 1 the stationary covariance of y_t increases to the mean over |z| = 1 of X = φXφ* + σ²Q, and the norm of the "
            "joint covariance to max ‖X‖; with r ≥ 1 and the critical mode excited it is unbounded.  With the states stepped by "
            "Adam around a frozen prediction, (96) becomes ((σ² + ℓ²)/(2ℓ))²."
        ),
        latex=r"\mathrm{Cov}(y_t) \to \frac{1}{2\pi}\int X(\omega)\,d\omega, \qquad V = \Big(\frac{\sigma^2+\ell^2}{2\ell}\Big)^2",
        assumptions=("linear dynamics", "for Adam: β₁ = 0, ε = 0, β₂ → 1 and a frozen prediction"),
        check=check_live_noise,
    ),
)
