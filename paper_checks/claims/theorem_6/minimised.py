"""Theorem 6 with the actions minimised exactly in every iteration: the rate in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import sympy as sp
from scipy.optimize import minimize_scalar

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6_uniform import minimised_contraction
from linear_systems import TimeVaryingLinearSystem, parallel_iterations, uniform_convergence
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_6.instances import (
    drawn_uniform_systems,
    judged,
    small_systems,
    uniform_systems,
)
from paper_checks.engine.inspection import drawn_systems, identity
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

SLOW = 1e-3
"""Relative distance from the limit at which the rate must be on its side of 1."""


def check_minimised(run: Run) -> None:
    """Examine the iteration with exactly minimised actions."""
    run.examine(
        "minimising the actions and stepping the states has the symbol (1 − 2η_s) I + (2η_s/(1+β)) BB⁺ + 2η_s zK, block "
        "triangular with diagonal 1 − 2η_s β/(1+β) and (1 − 2η_s) I + 2η_s z K_22",
        _inspect_symbol,
        1,
        false_variants={"with BB⁺/(1+2β)": 2},
    )
    run.examine(
        "so the rate is max(|1 − 2η_s β/(1+β)|, |1 − 2η_s| + 2η_s ρ(K)), B of any rank",
        lambda formula: _inspect_rate(run, formula),
        "ours",
        false_variants={"max(1/(1+β), ρ(K)) whatever η_s": "sketch"},
    )
    run.examine(
        "it is below 1 exactly for 0 < η_s < 1/(1 + ρ(K)), if ρ(K) < 1 and rank B < n",
        lambda limit: _inspect_limit(run, limit),
        "ours",
        false_variants={"for 0 < η_s < 1": "sketch"},
    )
    run.examine(
        "the best η_s is max(1/2, 1/(1 + ρ(K) + β/(1+β))), with rate ρ(K) as soon as β ≥ 1/ρ(K) − 1",
        lambda choice: _inspect_best(run, choice),
        "ours",
        false_variants={"always 1/2": "half"},
    )
    run.examine(
        "time-varying, with period 2: the same with ρ(K_1 K_0)^{1/2} and the extreme β_t",
        lambda matrix: _inspect_time_varying(run, matrix),
        "product",
        false_variants={"with max_t ρ(K_t)": "each"},
    )


def _inspect_symbol(weight: int) -> Evidence:
    """In coordinates of the states in which B = [R; 0]: no loss, by an orthogonal change."""
    n, m = 3, 2
    A, R = sp.Matrix(n, n, sp.symbols("A:9")), sp.Matrix(m, m, sp.symbols("R:4"))
    eta, beta, z = sp.symbols("eta beta z")
    B = R.col_join(sp.zeros(n - m, m))
    following, before, actions = (
        sp.Matrix(sp.symbols(f"{name}:{k}")) for name, k in (("x", n), ("s", n), ("a", m))
    )
    prediction = A * before + B * actions
    # Errors: the goal and the fixed point are moved to 0.
    stationary = B.T * (prediction - following) + beta * B.T * prediction
    solution = sp.solve(list(stationary), list(actions), dict=True)[0]
    moved = (following - 2 * eta * (following - prediction)).subs(solution)
    symbol = (moved.jacobian(following) + z * moved.jacobian(before)).applyfunc(sp.simplify)
    projection = sp.diag(sp.eye(m), sp.zeros(n - m))
    claimed = (
        (1 - 2 * eta) * sp.eye(n)
        + 2 * eta / (1 + weight * beta) * projection
        + 2 * eta * z * (sp.eye(n) - projection) * A
    )
    corner = symbol[:m, :m] - (1 - 2 * eta * weight * beta / (1 + weight * beta)) * sp.eye(m)
    rest = symbol[m:, m:] - ((1 - 2 * eta) * sp.eye(n - m) + 2 * eta * z * A[m:, m:])
    return identity(
        [*(symbol - claimed), *symbol[:m, m:], *corner, *rest],
        "the symbol of the iteration equals the formula, and its upper right block vanishes",
        "n = 3, m = 2, all entries symbols; the blocks enter as matrices, so sizes add nothing",
    )


def _inspect_rate(run: Run, formula: str) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("rate")
        for system in [*drawn_systems(rng, run.size(240, 80)), *(system for _, system in small_systems(18))]:
            beta, eta = float(rng.uniform(0.0, 3.0)), float(rng.uniform(0.05, 1.2))
            check = minimised_contraction(system, beta, eta)
            if formula == "sketch":
                check = replace(check, bound=max(1.0 / (1.0 + beta), check.quantities["greedy radius"]))
            yield check, as_code(system, beta=beta, state_step=eta)

    return judged(
        evaluations(), "eigenvalues of the symbol over the circle against the closed form, ρ(K) ≥ 1 included"
    )


def _inspect_limit(run: Run, kind: str) -> Evidence:
    rng = run.rng("limit")
    wrong, count, code = 0, 0, ""
    drawn = [system for system in drawn_uniform_systems(run, "limit systems", run.size(120, 40), 5, 3)]
    for system in [*drawn, *(system for _, system in uniform_systems(18, below=1.0 - SLOW))]:
        if system.action_dim == system.state_dim:
            continue
        beta = float(rng.uniform(0.1, 3.0))
        limit = parallel_iterations.minimised_step_size_limit(system, beta) if kind == "ours" else 1.0
        inside, below, above = (
            minimised_contraction(system, beta, factor * limit).computed
            for factor in (float(rng.uniform(0.05, 0.9)), 1.0 - SLOW, 1.0 + SLOW)
        )
        count += 1
        if not max(inside, below) < 1.0 < above:
            wrong, code = wrong + 1, as_code(system, beta=beta, state_step=(1.0 - SLOW) * limit)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0 and count > 0,
        f"{count} systems: rate < 1 well inside and {SLOW:g} below the limit, > 1 as far above it; not so on {wrong}",
        {"systems": count, "wrong": wrong},
        code,
    )


def _inspect_best(run: Run, choice: str) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("best")
        for system in drawn_uniform_systems(run, "best systems", run.size(120, 40), 5, 3):
            beta = float(10.0 ** rng.uniform(-1.0, 1.0))
            best = parallel_iterations.best_minimised_step_size(system, beta) if choice == "ours" else 0.5
            here = parallel_iterations.minimised_action_rate(system, beta, best)
            limit = parallel_iterations.minimised_step_size_limit(system, beta)
            found = minimize_scalar(
                lambda eta, system=system, beta=beta: parallel_iterations.minimised_action_rate(
                    system, beta, eta
                ),
                bounds=(0.0, limit),
                method="bounded",
                options={"xatol": 1e-9},
            )
            # The rate has slope at most 4 in η_s, which the search locates to its xatol and √eps.
            allowance = 4.0 * limit * 1e-7
            code = as_code(system, beta=beta, state_step=best)
            yield TheoremCheck(here, float(found.fun), "=", allowance, {"any": True}), code

    return judged(evaluations(), "rate at the closed-form η_s against the smallest that a search finds")


def _inspect_time_varying(run: Run, matrix: str) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("time-varying")
        for _ in range(run.size(80, 30)):
            A, B = 0.5 * rng.standard_normal((2, 3, 3)), rng.standard_normal((2, 3, 1))
            betas, eta = rng.uniform(0.1, 3.0, size=2), float(rng.uniform(0.05, 0.8))
            system = TimeVaryingLinearSystem(np.tile(A, (2, 1, 1)), np.tile(B, (2, 1, 1)))
            J = parallel_iterations.minimised_update_matrix(system, 4, np.tile(betas, 2), eta).toarray()
            K = uniform_convergence.greedy_closed_loop(system)
            factors = np.linalg.eigvals(K[1] @ K[0])
            radius = float(np.sqrt(np.abs(factors).max()))
            # One period is a symbol of size 2n; K_1 K_0 enters with z, at whose critical angle the maximum lies.
            critical = -np.angle(factors[int(np.argmax(np.abs(factors)))])
            z = np.exp(1j * np.array([critical]))[:, None, None]
            eigenvalues, vectors = np.linalg.eig(J[:6, :6] + z * J[6:, :6])
            computed = float(np.abs(eigenvalues).max())
            if matrix == "each":
                radius = float(np.abs(np.linalg.eigvals(K)).max())
            pulls = betas / (1.0 + betas)
            formula = max(*np.abs(1.0 - 2.0 * eta * pulls), abs(1.0 - 2.0 * eta) + 2.0 * eta * radius)
            condition = float(np.linalg.cond(vectors[0]))
            allowance = 2.0 * rounding_allowance(1.0 + float(np.linalg.norm(J, 2)), 6, condition)
            code = as_code(system, beta=np.tile(betas, 2), state_step=eta)
            yield TheoremCheck(computed, float(formula), "=", allowance, {"any": True}), code

    return judged(
        evaluations(), "spectral radius of one period's symbol at its critical angle against the formula"
    )


CLAIMS = (
    Claim(
        id="thm6-minimised",
        title="With the actions minimised in every iteration, the rate in closed form",
        source="our sharpening of Theorem 6 (docs/theory/uniform_convergence.md, U6 and U7)",
        statement=(
            "If every iteration minimises the actions exactly and then steps the states, the T-free rate is "
            "max(|1 − 2η_s β/(1+β)|, |1 − 2η_s| + 2η_s ρ(K)); for β > 0 and ρ(K) < 1 it is below 1 exactly for "
            "0 < η_s < 1/(1 + ρ(K)), and smallest, max(ρ(K), (1+ρ(K)−b)/(1+ρ(K)+b)) with b = β/(1+β), at "
            "η_s = max(1/2, 1/(1 + ρ(K) + b))."
        ),
        latex=r"\max\{|1 - \tfrac{2\eta_s\beta}{1+\beta}|,\; |1-2\eta_s| + 2\eta_s\,\rho(K)\}",
        assumptions=("linear dynamics", "0 < rank B < n (otherwise one of the two terms is absent)"),
        check=check_minimised,
    ),
)
