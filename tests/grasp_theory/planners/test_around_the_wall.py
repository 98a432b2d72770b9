"""Every planner takes the ball around the wall, at a rate that is on record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.scripts.planning_toys import BallAroundWall
from grasp_theory import CEM, CEMGD, GRASP, ICEM, MPPI, GradientDescent, LatCo, Planner, rollout

PROBLEMS, HORIZON, SEED = 64, 16, 0

# Algorithm 1's plain steps with lengths for this model (an action moves the ball by a quarter).
PAPER = replace(GRASP.paper(), action_lr=0.3, sync_lr=0.8, sync_steps=25)

RECORDED: dict[str, tuple[Planner, float]] = {
    "GRASP": (GRASP(), 0.97),
    "GRASP.parallel": (GRASP.parallel(), 0.81),
    "GRASP.paper": (PAPER, 0.98),
    "GRASP.released": (GRASP.released(), 0.44),
    "GradientDescent": (GradientDescent(), 1.0),
    "GradientDescent without noise": (GradientDescent(lr=0.1, action_noise=0.0), 0.59),
    "CEM": (CEM(), 1.0),
    "ICEM": (ICEM(), 1.0),
    "MPPI": (MPPI(), 1.0),
    "CEMGD": (CEMGD(), 1.0),
    "LatCo": (LatCo(), 0.34),
    "LatCo.paper": (LatCo.paper(), 0.16),
}
"""Planner: (settings, success rate measured on these 64 problems with these seeds)."""

SLACK = 0.12
"""Two standard errors of a rate at 64 problems: other rounding may send a row around the other side."""


SLOW = (
    "GRASP",
    "GRASP.parallel",
    "GRASP.paper",
    "GRASP.released",
    "GradientDescent without noise",
    "LatCo.paper",
)
"""Slow where rows fail: those use every iteration."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in RECORDED]
)
def test_success_rate(name: str) -> None:
    planner, rate = RECORDED[name]
    ball = BallAroundWall()
    problem = replace(ball.problem(PROBLEMS, HORIZON, seed=SEED), seeds=torch.arange(PROBLEMS))
    plan = planner.plan(problem)
    found = float(plan.reached.float().mean())
    assert abs(found - rate) <= SLACK
    assert found > 0
    # What counts as reached is a plan that the model itself carries around the wall.
    paths = rollout(ball, problem.initial_state, plan.actions)[plan.reached]
    assert bool(ball.reached(paths[:, -1], problem.goal[plan.reached]).all())
    assert float(paths[:, :, 1].abs().amax(1).min()) > ball.half_height - 0.1


def test_a_greedy_plan_does_not_get_around() -> None:
    """The control: going straight for the goal reaches nothing within the horizon."""
    ball = BallAroundWall()
    problem = ball.problem(PROBLEMS, HORIZON, seed=SEED)
    state = problem.initial_state
    for _ in range(HORIZON):
        state = ball.step(state, ((problem.goal - state) / ball.max_step).clamp(-1, 1))
    assert not bool(ball.reached(state, problem.goal).any())
    assert np.all(state[:, 0].numpy() < 0)
