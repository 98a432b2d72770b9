"""The fixed point of the stop-gradient iteration: the greedy rollout, and what uniqueness needs."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, stop_gradient
from linear_systems.errors import RankError
from linear_systems.rounding import EPS, rounding_allowance
from paper_checks.claims.theorem_6.constant import SCALAR
from paper_checks.engine.inspection import Evaluations, drawn_systems, judge
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_fixed_point(run: Run) -> None:
    """Examine that the fixed point is the greedy rollout, and what uniqueness needs."""
    run.examine(
        "the fixed point of the iteration is the greedy rollout towards g, whatever β_t > 0",
        lambda policy: _inspect_greedy(run, policy),
        "greedy",
        false_variants={
            "the rollout with zero actions": "zero",
            "least squares over all actions": "least squares",
        },
    )
    run.examine(
        "without full column rank of B (or with β = 0) ρ(J) = 1 and the fixed point is not unique",
        _inspect_necessity,
        True,
        false_variants={"uniqueness survives": False},
    )


def _inspect_greedy(run: Run, policy: str) -> Evidence:
    rng = run.rng("greedy")

    def evaluations() -> Evaluations:
        for system in drawn_systems(rng, run.size(80, 25), full_column_rank=True, max_n=5):
            T = int(rng.integers(2, 15))
            start, goal = rng.standard_normal((2, system.state_dim))
            fixed = stop_gradient.fixed_point(system, T, rng.uniform(0.1, 3.0, size=T), start, goal)
            states = stop_gradient.split(system, T, fixed)[0]
            if policy == "greedy":
                other = stop_gradient.greedy_rollout(system, T, start, goal)[0][1:]
            elif policy == "zero":
                other = system.rollout(start, np.zeros((T, system.action_dim)))[1:]
            else:
                other = system.rollout(start, _least_squares_actions(system, T, start, goal))[1:]
            gap = float(np.abs(states - other).max())
            growth = np.abs(states).max() + np.abs(other).max()
            amplification = max(1.0, float(np.linalg.norm(system.A, 2))) ** T
            conditioning = float(np.linalg.cond(system.B)) ** 2 * amplification
            allowance = rounding_allowance(float(growth), system.state_dim * T, conditioning)
            yield (
                TheoremCheck(gap, 0.0, "=", allowance, {}),
                partial(as_code, system, horizon=T),
            )

    return judge(evaluations(), "largest |fixed point − rollout| over states, β_t drawn at random")


def _least_squares_actions(
    system: LinearSystem, horizon: int, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> NDArray[np.float64]:
    columns = []
    for index in range(horizon * system.action_dim):
        unit = np.zeros(horizon * system.action_dim)
        unit[index] = 1.0
        columns.append(system.rollout(np.zeros_like(start), unit.reshape(horizon, -1))[-1])
    free = system.rollout(start, np.zeros((horizon, system.action_dim)))[-1]
    solution = np.linalg.lstsq(np.stack(columns, axis=1), goal - free, rcond=None)[0]
    return np.asarray(solution.reshape(horizon, -1))


def _inspect_necessity(non_unique: bool) -> Evidence:
    """On B with dependent columns, and with β = 0: ρ(J), and whether two fixed points exist."""
    wide = LinearSystem([[0.5]], [[1.0, 1.0]])
    null = np.array([0.0, 1.0, -1.0])
    radius = stop_gradient.spectral_radius(wide, 6, 1.0, 0.1)
    J = stop_gradient.update_matrix(wide, 6, 1.0, 0.1)
    moved = np.abs(J @ np.kron(np.eye(6)[0], null) - np.kron(np.eye(6)[0], null)).max()
    refused = False
    try:
        stop_gradient.fixed_point(wide, 6, 1.0, np.ones(1), np.zeros(1))
    except RankError:
        refused = True
    no_goal = stop_gradient.spectral_radius(SCALAR, 6, 0.0, 0.1)
    shown = radius == 1.0 and float(moved) <= 4 * EPS and refused and no_goal == 1.0
    return Evidence(
        Grade.NUMERICAL,
        shown == non_unique,
        f"B = [1, 1]: ρ(J) = {radius}, the direction a = (1, −1) is fixed, and the library refuses a fixed point; β = 0: "
        f"ρ(J) = {no_goal}",
        {"ρ(J), dependent columns": radius, "ρ(J), β = 0": no_goal},
        as_code(wide, horizon=6, beta=1.0, step_size=0.1),
    )


CLAIMS = (
    Claim(
        id="thm6-greedy",
        title="The stable points in the linear case are the greedy rollouts",
        source="Appendix A.4, notes after Theorem 6",
        statement=(
            "In the linear convex case the fixed point is the greedy rollout towards the goal: a_t minimises "
            "‖A s_t + B a_t − g‖² at every step."
        ),
        latex=r"a_t^* = B^{+}(g - A s_t^*)",
        assumptions=("linear dynamics", "β_t > 0", "B has full column rank"),
        check=check_fixed_point,
    ),
)
