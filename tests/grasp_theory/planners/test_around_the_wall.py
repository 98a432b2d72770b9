"""Every planner takes the ball around the wall, at a rate that is on record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.planning_toys import BallAroundWall
from grasp_theory import Planner, rollout

PROBLEMS, HORIZON, SEED = 64, 16, 0

RECORDED: dict[str, tuple[Planner, float]] = {}
"""Planner: (settings, success rate measured on these 64 problems with these seeds)."""

SLACK = 0.12
"""Two standard errors of a rate at 64 problems: other rounding may send a row around the other side."""


@pytest.mark.parametrize("name", RECORDED)
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
