"""Nonlinear dynamics: convergence near the greedy rollout at a rate and within a radius free of the horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from grasp_theory.theorems import TheoremCheck, local_contraction
from grasp_theory.theorems.local_basin import block_derivatives, stop_gradient_step
from linear_systems.errors import UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.basin import block_growth, contraction_basin
from paper_checks.claims.theorem_6.instances import judged
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run

BEND = 0.2
"""s' = A s + BEND sin(s) + B a: the second derivative of F is at most BEND, and F is affine in a."""
A = torch.tensor([[0.6, 0.3], [0.0, 0.5]], dtype=torch.float64)
B = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
START, GOAL = (torch.tensor(x, dtype=torch.float64) for x in ([1.0, -0.5], [0.5, 0.2]))
GOOD, AGGRESSIVE = (0.3704, 0.1852), (0.35, 0.35)
"""Step sizes with r = 0.85 for the model linearised at the origin, and one step size for both."""
RATE = 0.95


def model(state: Tensor, action: Tensor) -> Tensor:
    """Return A s + BEND sin(s) + B a for one state (2,) and one action (1,)."""
    return A @ state + BEND * torch.sin(state) + B @ action


def greedy_plan(horizon: int) -> Tensor:
    """Return the greedy rollout (T, 3): B is a unit vector, so the best action is the goal's component along it."""
    state, plan = START, []
    for _ in range(horizon):
        action = B.T @ (GOAL - model(state, torch.zeros(1, dtype=torch.float64)))
        state = model(state, action)
        plan.append(torch.cat([state, action]))
    return torch.stack(plan)


def curvature(pair: tuple[float, float], beta: float = 1.0) -> float:
    """Return M = ½ BEND ‖(2η_s I; −2η_a(1+β)Bᵀ)‖: the remainder of sin in every coordinate is at most ½ e²."""
    return 0.5 * BEND * float(np.hypot(2.0 * pair[0], 2.0 * pair[1] * (1.0 + beta)))


def check_nonlinear(run: Run) -> None:
    """Examine U15 and U16."""
    run.examine(
        "from within the radius the errors stay below S (q + S²M‖e⁰‖)^k ‖e⁰‖, at T = 10, 40 and 160",
        lambda factor: _inspect_basin(run, factor),
        1.0,
        false_variants={"with 0.95 S before the power": 0.95},
    )
    run.examine(
        "the radius does not depend on T: it is the same to 0.1% from T = 20 to T = 320",
        _inspect_radius,
        GOOD,
        false_variants={"also with one step size for states and actions, 0.35": AGGRESSIVE},
    )
    run.examine(
        "blocks with Lipschitz constants δ in y_t and ε in y_{t−1} contract by δ + ε in every ℓ^p over time",
        lambda factor: _inspect_global(run, factor),
        1.0,
        false_variants={"by 0.95 (δ + ε)": 0.95},
    )


def _inspect_basin(run: Run, factor: float) -> Evidence:
    """At T = 1 the norms of powers are attained by one error, and S with them."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for T in (10, 40, 160)[: run.size(3, 2)]:
            for seed in range(run.size(4, 2)):
                check = local_contraction(
                    model, START, GOAL, greedy_plan(T), 1.0, GOOD, curvature(GOOD), RATE, 120, seed=seed
                )
                yield replace(check, bound=factor), f"horizon = {T}\nstep_size = {GOOD}\nseed = {seed}"
        for k in range(4):
            yield TheoremCheck(_growth_of_one(k), factor, "<=", 1e-4, {"any": True}), f"horizon = 1\nk = {k}"

    return judged(evaluations(), f"s' = As + {BEND} sin s + Ba, largest error over its bound, q = {RATE}")


def _growth_of_one(k: int) -> float:
    """Return ‖e^k‖ over its bound at T = 1, from a small error along the leading singular vector of D^k."""
    plan = greedy_plan(1)
    D, E = block_derivatives(model, START, GOAL, 1.0, GOOD, plan)
    basin = contraction_basin(block_growth(D, E, 120), curvature(GOOD), RATE)
    S, size = basin.amplification, 1e-6 * basin.radius
    worst = np.linalg.svd(np.linalg.matrix_power(D[0], k))[2][0]
    current = plan + size * torch.from_numpy(worst.copy())[None]
    for _ in range(k):
        current = stop_gradient_step(model, START, GOAL, 1.0, GOOD, current)
    bound = S * (RATE + S * S * curvature(GOOD) * size) ** k * size
    return float((current - plan).norm()) / bound


def _inspect_radius(pair: tuple[float, float]) -> Evidence:
    radii = {}
    for T in (20, 80, 320):
        D, E = block_derivatives(model, START, GOAL, 1.0, pair, greedy_plan(T))
        try:
            radii[T] = contraction_basin(block_growth(D, E, 60), curvature(pair), RATE).radius
        except UndecidedError as error:
            return Evidence(Grade.NUMERICAL, False, f"T = {T}: {error}", {"T": T}, f"step_size = {pair}")
    return Evidence(
        Grade.NUMERICAL,
        max(radii.values()) <= 1.001 * min(radii.values()),
        "radius " + ", ".join(f"{radius:.6f} at T = {T}" for T, radius in radii.items()),
        {f"radius at T = {T}": radius for T, radius in radii.items()},
        f"step_size = {pair}",
    )


def _inspect_global(run: Run, factor: float) -> Evidence:
    """y' = δ tanh(y) + ε tanh(y_{t−1}): at equal small differences it attains δ + ε in the norm max_t."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("global")
        for p in (1.0, 2.0, np.inf):
            for scale in (1e-3, 1.0, 10.0):
                delta, epsilon = rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.35)
                x, y = scale * np.ones(400), np.zeros(400)
                new = [
                    delta * np.tanh(z) + epsilon * np.tanh(np.concatenate([[0.0], z[:-1]])) for z in (x, y)
                ]
                ratio = float(np.linalg.norm(new[0] - new[1], p) / np.linalg.norm(x - y, p))
                bound = factor * (delta + epsilon)
                check = TheoremCheck(ratio, bound, "<=", rounding_allowance(1.0, 400), {"δ + ε < 1": True})
                yield check, f"delta, epsilon, p = {delta}, {epsilon}, {p}"

    return judged(evaluations(), "δ tanh(y_t) + ε tanh(y_{t−1}) on 400 steps, p = 1, 2, ∞")


CLAIMS = (
    Claim(
        id="ours-nonlinear",
        title="Near the greedy rollout a nonlinear iteration converges linearly within a radius free of the horizon",
        source="ours, beyond Theorem 6 (docs/theory/nonlinear.md, U15 and U16)",
        statement=(
            "If the powers of the derivative at the greedy rollout satisfy ‖J_T^k‖ ≤ C q^k free of T, and the second derivatives "
            "of an iteration's blocks are bounded by M free of T, every start with max_t ‖e_t‖ < (1−q)/(S²M) converges linearly."
        ),
        latex=r"\max_t\|e^0_t\| < \frac{1-q}{S^2M} \Rightarrow \max_t\|e^k_t\| \le S\,(q + S^2M\|e^0\|)^k\|e^0\|",
        assumptions=(
            "F three times differentiable, with bounds free of T on a tube around the greedy rollout",
        ),
        check=check_nonlinear,
    ),
)
