"""Adam in place of gradient steps: the tube of a frozen state, and what no coordinate that Adam steps stays below."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov

from grasp_theory.theorems import TheoremCheck
from linear_systems import stop_gradient
from linear_systems.noise.live import adam_tube_variance
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_6.instances import SCALAR, judged
from paper_checks.engine.inspection import identity
from paper_checks.engine.records import Claim, Evidence
from paper_checks.engine.run import Run


def check_adam(run: Run) -> None:
    """Examine U18 and U20."""
    run.examine(
        "stepped by Adam with β₁ = 0, a state has the variance ((σ² + ℓ²)/(2ℓ))² in place of (96)",
        _inspect_adam,
        sp.Integer(2),
        false_variants={
            "((σ² + ℓ²)/(1.95 ℓ))²": sp.Rational(39, 20),
            "((σ² + ℓ²)/(2.05 ℓ))²": sp.Rational(41, 20),
        },
    )
    run.examine(
        "with β₁ > 0 it is w² for the root w of 2(1−β₁²)ℓw² − ((1−β₁)²ℓ² + (1−β₁²)σ²)w = 2β₁σ²ℓ",
        lambda factor: _inspect_momentum(run, factor),
        1.0,
        false_variants={"1.02 times that": 1.02, "0.98 times that": 0.98},
    )
    run.examine(
        "any coordinate x that Adam steps with β₁ = 0, states and actions alike, has E[(x − E x) ∂L] = (σ² + ℓ²)(E ∂L²)^{1/2}/(2ℓ)",
        lambda factor: _inspect_balance(run, factor),
        1.0,
        false_variants={"1.02 times that": 1.02, "0.98 times that": 0.98},
    )
    run.examine(
        "so none spreads less than the tube of a frozen state; for σ ≥ ℓ that is so with β₁ > 0 too",
        lambda factor: _inspect_least(run, factor),
        1.0,
        false_variants={"nor less than 1.03 times the tube": 1.03},
    )


def _inspect_adam(divisor: sp.Expr) -> Evidence:
    sigma, rate = sp.symbols("sigma ell", positive=True)
    deviation = (sigma**2 + rate**2) / (divisor * rate)
    eta = rate / (2 * deviation)
    evidence = identity(
        [sp.simplify(deviation**2 * 4 * eta * (1 - eta) - sigma**2)],
        "V = ((σ² + ℓ²)/(2ℓ))² solves V = σ²/(4η(1−η)) with η = ℓ/(2√V), Adam's step at its stationary second moment",
        f"β₁ = 0, ε = 0, β₂ → 1; at ℓ = 0.1, σ = 0.3 it is {adam_tube_variance(0.1, 0.3):.4f}",
    )
    return evidence


def _inspect_momentum(run: Run, factor: float) -> Evidence:
    """Solve (u, m)' = M (u, m) + noise with Adam's step at the stated variance, and see whether it gives that variance."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("momentum")
        for _ in range(run.size(60, 20)):
            b, (rate, sigma) = (
                float(rng.uniform(0.0, 0.99)),
                (float(x) for x in 10.0 ** rng.uniform(-2, 0, 2)),
            )
            stated = factor * adam_tube_variance(rate, sigma, b)
            step = rate / (2.0 * np.sqrt(stated))
            M = np.array([[1.0 - 2.0 * step * (1.0 - b), -step * b], [2.0 * (1.0 - b), b]])
            law = solve_discrete_lyapunov(M, np.diag([sigma**2, 0.0]))
            found = float(law[0, 0])
            slack = 1.0 - float(np.abs(np.linalg.eigvals(M)).max())
            allowance = rounding_allowance(found, 16, 1.0 / max(slack, 1e-9))
            check = TheoremCheck(found, stated, "=", allowance, {"stationary": slack > 0.0})
            yield check, f"learning_rate, sigma, momentum = {rate}, {sigma}, {b}"

    return judged(
        evaluations(), "variance of u under heavy-ball steps of size ℓ/(2w) against w², β₁ up to 0.99"
    )


def _adam_laws(
    run: Run, momenta: tuple[float, ...]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Yield (Cov, gradient matrix, σ_i, ℓ_i): the tube of one frozen state, and live plans with Adam on states and actions.

    The laws are those of many chains that share their second moments, iterated until they rest.
    """
    plan = np.eye(6) - stop_gradient.update_matrix(SCALAR, 3, 1.0, 1.0).toarray()
    cases = [(np.array([[2.0]]), np.array([0.1]), np.array([0.3]))]
    cases.append((plan, np.tile([0.1, 0.1], 3), np.tile([0.3, 0.0], 3)))
    cases += [(plan, np.tile([0.05, 0.1], 3), np.tile([0.1, 0.2], 3)) for _ in range(run.size(1, 0))]
    for G, rates, sigmas in cases:
        for b in momenta:
            yield _adam_law(*(tuple(x.ravel().tolist()) for x in (G, rates, sigmas)), b), G, sigmas, rates


@cache
def _adam_law(
    gradient: tuple[float, ...], rate: tuple[float, ...], sigma: tuple[float, ...], b: float
) -> NDArray[np.float64]:
    d, rates, sigmas = len(rate), np.array(rate), np.array(sigma)
    G = np.array(gradient).reshape(d, d)
    law, moments, noise_law = np.eye(2 * d), np.ones(d), np.diag(np.concatenate([sigmas**2, np.zeros(d)]))
    for _ in range(12_000):
        moments += 2e-3 * (np.einsum("ij,jk,ik->i", G, law[:d, :d], G) - moments)
        steps = (rates / np.sqrt(moments))[:, None]
        M = np.block(
            [[np.eye(d) - (1.0 - b) * steps * G, -b * steps * np.eye(d)], [(1.0 - b) * G, b * np.eye(d)]]
        )
        law = M @ law @ M.T + noise_law
    return np.asarray(law[:d, :d])


def _inspect_balance(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for law, G, sigmas, rates in _adam_laws(run, (0.0,)):
            root = np.sqrt(np.einsum("ij,jk,ik->i", G, law, G))
            for i, (found, sigma, rate) in enumerate(zip(np.diag(G @ law), sigmas, rates, strict=True)):
                stated = factor * (sigma**2 + rate**2) * root[i] / (2.0 * rate)
                check = TheoremCheck(float(found), stated, "=", 1e-5 * stated, {"at rest": True})
                yield check, f"coordinate, rates, sigmas = {i}, {rates.tolist()}, {sigmas.tolist()}"

    return judged(evaluations(), "one frozen state, and a plan of three steps with states and actions live")


def _inspect_least(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for b in (0.0, 0.5, 0.9):
            for law, _, sigmas, rates in _adam_laws(run, (b,)):
                for found, sigma, rate in zip(np.sqrt(np.diag(law)), sigmas, rates, strict=True):
                    tube = (sigma**2 + rate**2) / (2.0 * rate)
                    inside = {"β₁ = 0 or σ ≥ ℓ": bool(b == 0.0 or sigma >= rate)}
                    check = TheoremCheck(float(found), factor * tube, ">=", 1e-5 * tube, inside)
                    yield check, f"rates, sigmas, momentum = {rates.tolist()}, {sigmas.tolist()}, {b}"

    return judged(
        evaluations(), "standard deviations of states and actions against (σ² + ℓ²)/(2ℓ), β₁ = 0, 0.5, 0.9"
    )


CLAIMS = (
    Claim(
        id="ours-adam",
        title="Adam keeps every coordinate it steps at least as wide as a tube that the learning rate and the noise set",
        source="ours, beyond Theorem 7 (docs/theory/noise.md, U18 and U20)",
        statement=(
            "Stepped by Adam at its stationary second moments, a state around a frozen prediction has the variance "
            "((σ² + ℓ²)/(2ℓ))² in place of (96), with a closed form for β₁ > 0; and no coordinate, an action among them, spreads "
            "less than such a tube, whatever the loss (for β₁ > 0: if σ ≥ ℓ)."
        ),
        latex=r"V = \Big(\frac{\sigma^2+\ell^2}{2\ell}\Big)^2, \qquad \mathrm{Var}(x_i) \ge V_i",
        assumptions=("ε = 0, β₂ → 1", "a stationary law with finite second moments"),
        check=check_adam,
    ),
)
