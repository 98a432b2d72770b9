"""Distances in which the greedy policy is stable, for every stabilisable system."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.metrics import (
    in_metric,
    metric_closed_loop,
    metric_radius,
    stabilising_metric,
)
from paper_checks.claims.theorem_6.instances import TAME, benchmark, judged
from paper_checks.engine.inspection import drawn_systems
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

REPAIRED = (
    "cart_pole_upright", "two_pendulums_on_a_cart", "mujoco_inverted_pendulum", "mujoco_inverted_double_pendulum",
    "mujoco_swimmer", "boeing_747_longitudinal",
)  # fmt: skip
"""Benchmarks with ρ(K) > 1 in the Euclidean distance and a stabilisable pair."""
UNREACHABLE = LinearSystem([[1.05, 0.0], [0.3, 0.5]], [[0.0], [1.0]])
"""An unstable mode that no action reaches: not stabilisable."""

GOAL_ONLY = LinearSystem([[0.0, 1.0], [1.0, 1.5]], [[1.0], [0.0]])
"""Reachable, with ρ((I − τΠ)A) ≥ 1.5 for every τ in [0, 1]."""
GOAL_THRESHOLD = 0.090929
"""β from which on a pair exists with the goal term alone in the Riccati metric of Q = I, by bisection."""


def check_metrics(run: Run) -> None:
    """Examine U14 and U23."""
    run.examine(
        "with P of the Riccati equation with free actions, greedy in ‖·‖_P is stable on benchmarks where greedy is not",
        lambda metric: _inspect_repaired(run, metric),
        "riccati",
        false_variants={"in the Euclidean distance": "euclidean"},
    )
    run.examine(
        "‖K_P‖_P² = 1 − λ_min(P⁻¹Q)",
        lambda factor: _inspect_norm(run, factor),
        1.0,
        false_variants={"1 − 1.05 λ_min": 1.05, "1 − 0.95 λ_min": 0.95},
    )
    run.examine(
        "there is such a metric for every ρ(K_P) < c above the moduli that B does not reach, and for none below",
        _inspect_reach,
        1.06,
        false_variants={"for c = 1.04 with an unreached eigenvalue 1.05": 1.04},
    )
    run.examine(
        "a rest state stays one: in every metric the greedy rollout from g stays there exactly if (I − A)g ∈ range(B)",
        lambda offset: _inspect_rest(run, offset),
        0.0,
        false_variants={"also if it is off by 1%": 0.01},
    )
    run.examine(
        "in the coordinates P^{1/2}s the cart-pole has step sizes with r < 1",
        _inspect_pair,
        True,
        false_variants={"in its own too": False},
    )
    run.examine(
        "with the goal term alone in ‖·‖_P some pair has r < 1 if β is large enough: from β = 0.0909 on in the example",
        _inspect_goal_term,
        1.0 + 0.01,
        false_variants={"from 0.98 of that on": 0.98},
    )


def _inspect_repaired(run: Run, metric: str) -> Evidence:
    names = REPAIRED[: run.size(6, 4)]
    radii = {}
    for name in names:
        system = benchmark(name)
        P = stabilising_metric(system) if metric == "riccati" else np.eye(system.state_dim)
        radii[name] = metric_radius(system, P)
    return Evidence(
        Grade.NUMERICAL,
        max(radii.values()) < 1.0,
        f"ρ(K_P) from {min(radii.values()):.4f} to {max(radii.values()):.4f} on {len(names)} benchmarks with ρ(K) ≥ 1",
        radii,
        as_code(benchmark(names[0])),
    )


def _inspect_norm(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for system in drawn_systems(run.rng("norm"), run.size(60, 20), TAME, 4, 3, full_column_rank=True):
            try:
                P = stabilising_metric(system)
            except UndecidedError:
                continue
            loop = uniform_convergence.greedy_closed_loop(in_metric(system, P))
            # Q = I: λ_min(P⁻¹) = 1/‖P‖.
            weakest = 1.0 / float(np.linalg.norm(P, 2))
            if weakest > 1.0 - 1e-9:
                continue
            found = float(np.linalg.norm(loop, 2)) ** 2
            allowance = rounding_allowance(1.0, system.state_dim**2, float(np.linalg.cond(P)))
            check = TheoremCheck(found, 1.0 - factor * weakest, "=", allowance, {"stabilisable": True})
            yield check, as_code(system)

    return judged(evaluations(), "‖P^{1/2}K_P P^{-1/2}‖² against 1 − λ_min(P⁻¹), Q = I")


def _inspect_reach(decay: float) -> Evidence:
    try:
        P = stabilising_metric(UNREACHABLE, None, decay)
        radius = metric_radius(UNREACHABLE, P)
    except UndecidedError as error:
        return Evidence(Grade.NUMERICAL, False, str(error), {"decay": decay}, as_code(UNREACHABLE))
    return Evidence(
        Grade.NUMERICAL,
        radius < decay,
        f"unreached eigenvalue 1.05, c = {decay}: ρ(K_P) = {radius:.6f}",
        {"radius": radius},
        as_code(UNREACHABLE, decay=decay),
    )


def _inspect_rest(run: Run, offset: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("rest")
        for system in drawn_systems(rng, run.size(40, 15), TAME, 4, 2, full_column_rank=True):
            n = system.state_dim
            root = rng.standard_normal((n, n))
            P = root @ root.T + 0.1 * np.eye(n)
            if n == system.action_dim or np.linalg.cond(np.eye(n) - system.A) > 1e6:
                continue
            action = rng.standard_normal(system.action_dim)
            outside = np.linalg.svd(system.B)[0][:, -1]
            goal = np.linalg.solve(np.eye(n) - system.A, system.B @ action + offset * outside)
            K = metric_closed_loop(system, P)
            step = (np.eye(n) - K) @ goal - _greedy_push(system, P) @ goal
            scale = float(np.linalg.norm(goal)) * (1.0 + float(np.linalg.norm(system.A, 2)))
            allowance = rounding_allowance(
                scale, n * n, float(np.linalg.cond(P) * np.linalg.cond(np.eye(n) - system.A))
            )
            yield (
                TheoremCheck(float(np.linalg.norm(step)), 0.0, "=", allowance, {"any": True}),
                as_code(system),
            )

    return judged(evaluations(), "distance from g after one greedy step from g, in a drawn metric")


def _greedy_push(system: LinearSystem, P: np.ndarray) -> np.ndarray:
    gram = system.B.T @ P
    return np.asarray(system.B @ np.linalg.solve(gram @ system.B, gram))


def _inspect_pair(changed: bool) -> Evidence:
    system = benchmark("cart_pole_upright")
    if changed:
        system = in_metric(system, stabilising_metric(system, None, 0.9))
    radius = uniform_convergence.greedy_radius(system)
    # The best pair where one exists; a mild one otherwise, of which U3 says that it cannot do.
    pair = uniform_convergence.best_uniform_step_size(system, 1.0) if radius < 1.0 else (0.1, 0.1)
    rate = stop_gradient.uniform_rate(system, 1.0, pair)
    return Evidence(
        Grade.NUMERICAL,
        rate < 1.0,
        f"cart_pole_upright: ρ(K) = {radius:.4f}; (η_s, η_a) = ({pair[0]:.3g}, {pair[1]:.3g}) has r = {rate:.5f}",
        {"ρ(K)": radius, "r": rate},
        as_code(system, beta=1.0, step_size=pair),
    )


def _inspect_goal_term(factor: float) -> Evidence:
    """Over ratios η_a/η_s from 10⁻³ to 10⁶: a pair with r < 1 exists where all μ have Re μ > 0 around the circle."""
    beta = factor * GOAL_THRESHOLD
    P = stabilising_metric(GOAL_ONLY)
    z = np.exp(1j * np.linspace(0.0, np.pi, 181))[:, None, None]
    A, B = GOAL_ONLY.A, GOAL_ONLY.B
    pull = B.T + beta * B.T @ P
    H = 2.0 * np.block([[np.eye(2), -B], [-B.T, pull @ B]])
    F = 2.0 * np.block([[A, np.zeros((2, 1))], [-pull @ A, np.zeros((1, 1))]])
    best = (-np.inf, 1.0, 1.0)
    for ratio in np.geomspace(1e-3, 1e6, 37):
        mu = np.linalg.eigvals(np.diag([1.0, 1.0, ratio]) @ (H - z * F))
        eta_s = float((1.0 / mu).real.min())
        rate = float(np.abs(1.0 - max(eta_s, 1e-9) * mu).max())
        best = max(best, (float(mu.real.min()), float(ratio), rate))
    return Evidence(
        Grade.NUMERICAL,
        best[0] > 0.0 and best[2] < 1.0,
        f"A = [[0, 1], [1, 1.5]], B = e₁, ρ(K) = 1.5, ρ(K_P) = {metric_radius(GOAL_ONLY, P):.3f}, β = {beta:.4f}: the largest of "
        f"min Re μ over ratios is {best[0]:.4g} at η_a/η_s = {best[1]:.3g}, where r = {best[2]:.6f}",
        {"min Re μ": best[0], "r": best[2]},
        as_code(GOAL_ONLY, beta=beta),
    )


CLAIMS = (
    Claim(
        id="ours-metrics",
        title="For every stabilisable system there is a distance in which greedy is stable",
        source="ours, beyond Theorem 6 (docs/theory/metrics.md, U14 and U23)",
        statement=(
            "A metric P with ρ((I − B(BᵀPB)⁻¹BᵀP)A) < 1 exists if and only if (A, B) is stabilisable; the Riccati equation with "
            "free actions gives one, in which the greedy step is a contraction of norm (1 − λ_min(P⁻¹Q))^{1/2}.  "
            "With the goal term alone in that metric step sizes with r < 1 exist for large β, and need not for small β."
        ),
        latex=r"\exists P \succ 0: \rho(K_P) < 1 \iff (A, B) \text{ stabilisable}",
        assumptions=("time-invariant linear dynamics", "B has full column rank"),
        check=check_metrics,
    ),
)
