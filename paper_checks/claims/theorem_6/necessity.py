"""Theorem 6 made uniform in the horizon: for which systems there are step sizes that do it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp
from flint import fmpq_mat
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6_uniform import greedy_necessity
from linear_systems import LinearSystem, TimeVaryingLinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import StepSizeError
from linear_systems.exact.certificates import exact_matrix
from linear_systems.stop_gradient.small_steps import small_step_limit
from linear_systems.stop_gradient.symbol_certificates import StepSizes
from paper_checks.claims.theorem_6.instances import (
    benchmark,
    drawn_uniform_systems,
    judged,
    small_systems,
    uniform_systems,
)
from paper_checks.engine.inspection import drawn_systems, identity
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

NOT_NEEDED = LinearSystem([[5.0]], [[1.0]])
"""Far from stable, with ρ(K) = 0: A has nothing to do with it, and one step size for both is not enough."""

REACH = 1e-6
"""State steps shorter than this leave r so near 1 that rounding decides."""


def check_necessity(run: Run) -> None:
    """Examine that the greedy closed loop decides whether any step sizes do."""
    run.examine(
        "D + zE = I − NH (I − z [[K, 0], [−B⁺A, 0]]), and det(I − D − zE) = (2η_s)^n (2η_a)^m β^m det(BᵀB) det(I − zK)",
        _inspect_factorisation,
        True,
        false_variants={"with A in place of K": False},
    )
    run.examine(
        "if ρ(K) ≥ 1, then r ≥ 1 at all step sizes",
        lambda matrix: _inspect_necessity(run, matrix),
        "K",
        false_variants={"if ρ(A) ≥ 1": "A"},
    )
    run.examine(
        "an inverted pendulum on a cart has none: K, as exact rationals, has a real eigenvalue above 1",
        _inspect_no_step_size,
        "cart_pole_upright",
        false_variants={"nor has one without the cart": "pendulum_upright"},
    )
    run.examine(
        "if ρ(K) < 1, some pair has r < 1",
        lambda freedom: _inspect_sufficiency(run, freedom),
        "pair",
        false_variants={"some step size for both": "single"},
    )
    run.examine(
        "with half the longest action step, r < 1 at the η_s of the bound (10)",
        lambda limit: _inspect_small_steps(run, limit),
        "(10)",
        false_variants={"up to 1.02 times the η_s at which r reaches 1": "beyond"},
    )
    run.examine(
        "time-varying, with period 2: it is the product K_1 K_0 that decides, not K_0 and K_1 one by one",
        lambda matrix: _inspect_time_varying(run, matrix),
        "product",
        false_variants={"each K_t alone": "each"},
    )


def _inspect_factorisation(greedy: bool) -> Evidence:
    """In coordinates of the states in which B = [R; 0], so that BB⁺ = diag(I, 0): no loss, by an orthogonal change."""
    n, m = 3, 2
    A = sp.Matrix(n, n, sp.symbols("A:9"))
    R = sp.Matrix(m, m, sp.symbols("R:4"))
    eta_s, eta_a, beta, z = sp.symbols("eta_s eta_a beta z")
    B = R.col_join(sp.zeros(n - m, m))
    inverse = R.inv().row_join(sp.zeros(m, n - m))
    K = (sp.eye(n) - B * inverse) * A if greedy else A
    steps = sp.diag(eta_s * sp.eye(n), eta_a * sp.eye(m))
    H = 2 * sp.Matrix(sp.BlockMatrix([[sp.eye(n), -B], [-B.T, (1 + beta) * B.T * B]]))
    E = 2 * steps * (A.col_join(-(1 + beta) * B.T * A)).row_join(sp.zeros(n + m, m))
    response = (K.col_join(-inverse * A)).row_join(sp.zeros(n + m, m))
    D = sp.eye(n + m) - steps * H
    factors = sp.eye(n + m) - steps * H * (sp.eye(n + m) - z * response)
    identity_of_symbols = (D + z * E - factors).applyfunc(sp.simplify)
    # Together with det H = 2^{n+m} det(βBᵀB), the Schur complement of Eq. (84), it gives det(I − D − zE).
    schur = sp.simplify((H / 2).det() - (beta * B.T * B).det())
    determinant = sp.simplify((sp.eye(n + m) - z * response).det() - (sp.eye(n) - z * K).det())
    return identity(
        [*identity_of_symbols, schur, determinant],
        "the factorisation, det H = 2^{n+m} det(βBᵀB), and det(I − z [[K, 0], [−B⁺A, 0]]) = det(I − zK)",
        "n = 3, m = 2, all entries symbols; the blocks enter as matrices, so sizes add nothing",
    )


def _inspect_necessity(run: Run, matrix: str) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("necessity")
        systems = [*drawn_systems(rng, run.size(50, 12), max_n=4, max_m=3), NOT_NEEDED]
        systems += [system for _, system in small_systems(run.size(10, 6))]
        for system in systems:
            for _ in range(3):
                ratio = float(10.0 ** rng.uniform(-2.0, 2.0))
                eta = float(10.0 ** rng.uniform(-3.0, 0.0)) * stop_gradient.step_size_limit(
                    system, 1.0, ratio
                )
                yield _necessity(system, (eta, ratio * eta), matrix)
            # The pair with the smallest r of all, where there is one with r < 1.
            radius = uniform_convergence.greedy_radius(system)
            if radius < 0.95 and np.linalg.matrix_rank(system.B) == system.action_dim:
                yield _necessity(system, uniform_convergence.best_uniform_step_size(system, 1.0), matrix)

    return judged(
        evaluations(), f"r against 1 where ρ({matrix}) ≥ 1, at random and at the best step sizes, β = 1"
    )


def _necessity(system: LinearSystem, step_size: StepSizes, matrix: str) -> tuple[TheoremCheck, str]:
    check = greedy_necessity(system, 1.0, step_size)
    if matrix == "A":
        radius = float(np.abs(np.linalg.eigvals(system.A)).max())
        check = TheoremCheck(check.computed, check.bound, ">=", check.allowance, {"ρ(A) >= 1": radius >= 1.0})
    return check, as_code(system, beta=1.0, step_size=step_size)


def _inspect_no_step_size(name: str) -> Evidence:
    """det(I − K) < 0 puts an odd number of eigenvalues above 1, K being real and det(xI − K) > 0 for large x."""
    system = benchmark(name)
    A, B = exact_matrix(system.A), exact_matrix(system.B)
    one = exact_matrix(np.eye(system.state_dim))
    gram: fmpq_mat = B.transpose() * B
    K = A - B * gram.inv() * (B.transpose() * A)
    value = (one - K).det()
    return Evidence(
        Grade.CERTIFIED,
        value < 0,
        f"{name}: det(I − K) = {float(int(value.p) / int(value.q)):.3g} exactly negative: {value < 0}; float64 finds "
        f"ρ(K) = {uniform_convergence.greedy_radius(system):.6f}",
        {"ρ(K)": uniform_convergence.greedy_radius(system)},
        as_code(system),
    )


def _inspect_sufficiency(run: Run, freedom: str) -> Evidence:
    found, count, code = 0, 0, ""
    systems = [NOT_NEEDED, *drawn_uniform_systems(run, "sufficiency", run.size(80, 16), 4, 3)]
    systems += [system for _, system in uniform_systems(run.size(14, 7))]
    for system in systems:
        count += 1
        try:
            if freedom == "pair":
                eta = uniform_convergence.best_uniform_step_size(system, 1.0)
            else:
                single = 0.9 * uniform_convergence.uniform_step_size_limit(system, 1.0)
                eta = (single, single)
            found += stop_gradient.uniform_rate(system, 1.0, eta) < 1.0
        except StepSizeError:
            code = as_code(system, beta=1.0)
    return Evidence(
        Grade.NUMERICAL,
        found == count,
        f"{count} systems with ρ(K) < 1, benchmarks among them: step sizes with r < 1 were found for {found}",
        {"systems": count, "found": found},
        code,
    )


def _inspect_small_steps(run: Run, limit: str) -> Evidence:
    """(10) is sufficient and not sharp, so that its near miss is beyond the truth, found by bisection."""
    ratios, wrong, code = [], 0, ""
    systems = [NOT_NEEDED, *drawn_uniform_systems(run, "small steps", run.size(40, 12), 3, 2)]
    systems += [system for _, system in uniform_systems(run.size(10, 7))]
    for system in systems:
        eta_a = 0.25 / float(np.linalg.norm(system.B, 2)) ** 2
        bound = small_step_limit(system, 1.0, eta_a)
        if bound < REACH:
            continue
        low, high = bound, 1.0
        while high / low > 1.01:
            middle = float(np.sqrt(low * high))
            if stop_gradient.uniform_rate(system, 1.0, (middle, eta_a)) < 1.0:
                low = middle
            else:
                high = middle
        eta_s = bound * (1.0 - 1e-9) if limit == "(10)" else 1.02 * high
        ratios.append(bound / high)
        if stop_gradient.uniform_rate(system, 1.0, (eta_s, eta_a)) >= 1.0:
            wrong, code = wrong + 1, as_code(system, beta=1.0, step_size=(eta_s, eta_a))
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{len(ratios)} systems with ρ(K) < 1, β = 1, where (10) is at least {REACH:g}: r ≥ 1 for {wrong}; "
        f"(10) is from {min(ratios):.2g} to {max(ratios):.2g} "
        "of the η_s at which r reaches 1",
        {
            "systems": len(ratios),
            "wrong": wrong,
            "smallest share": min(ratios),
            "largest share": max(ratios),
        },
        code,
    )


def _inspect_time_varying(run: Run, matrix: str) -> Evidence:
    """Compare with r of the period-2 system, whose symbol is J over one period with the corner closed by z."""
    rng = run.rng("time-varying")
    wrong, count, code = 0, 0, ""
    for index in range(run.size(60, 24)):
        A, B = rng.standard_normal((2, 3, 3)), rng.standard_normal((2, 3, 1))
        system = TimeVaryingLinearSystem(A, B)
        K = uniform_convergence.greedy_closed_loop(system)
        product = float(np.abs(np.linalg.eigvals(K[1] @ K[0])).max())
        # Half of them just stable, half just unstable, whatever each K_t is.
        target = 0.8 if index % 2 else 1.2
        system = TimeVaryingLinearSystem(A * np.sqrt(target / product), B)
        each = float(np.abs(np.linalg.eigvals(uniform_convergence.greedy_closed_loop(system))).max())
        predicted = (target if matrix == "product" else each) < 1.0
        # Short steps on the states and long ones on the actions are good if any are.
        gain = float(np.linalg.norm(B, 2, axis=(1, 2)).max()) ** 2
        rates = [_period_rate(system, (eta, 0.25 / gain)) for eta in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)]
        count += 1
        if (min(rates) < 1.0) != predicted:
            wrong, code = wrong + 1, as_code(system, beta=1.0)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{count} systems of period 2, n = 3, m = 1: that some η_s has r < 1 is predicted wrongly for {wrong}",
        {"systems": count, "wrong": wrong},
        code,
    )


def _period_rate(system: TimeVaryingLinearSystem, step_size: StepSizes) -> float:
    """Return max over |z| = 1 of ρ for the symbol of a system repeated for ever."""
    length = 2
    repeated = TimeVaryingLinearSystem(np.tile(system.A, (2, 1, 1)), np.tile(system.B, (2, 1, 1)))
    J: NDArray[np.float64] = stop_gradient.update_matrix(repeated, 2 * length, 1.0, step_size).toarray()
    size = J.shape[0] // 2
    z = np.exp(1j * np.linspace(0.0, np.pi, 181))[:, None, None]
    return float(np.abs(np.linalg.eigvals(J[:size, :size] + z * J[size:, :size])).max())


CLAIMS = (
    Claim(
        id="thm6-uniform-necessity",
        title="Step sizes with T-free convergence exist exactly if the greedy closed loop is stable",
        source="our sharpening of Theorem 6 (docs/theory/uniform_convergence.md, U3 and U7)",
        statement=(
            "There are step sizes (η_s, η_a) with r < 1 if and only if ρ((I − BB⁺)A) < 1; time-varying, if and only if "
            "K_t = (I − B_t B_t⁺)A_t is uniformly exponentially stable."
        ),
        latex=r"\exists (\eta_s, \eta_a): r < 1 \iff \rho\big((I - BB^+)A\big) < 1",
        assumptions=("linear dynamics", "β bounded away from 0", "B has full column rank"),
        check=check_necessity,
    ),
)
