"""Levenberg–Marquardt steps solve linear problems at once, stay in the action set and end on rollouts that reach."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grasp_theory.dynamics import LinearDynamics, rollout
from grasp_theory.planners.loop import levenberg_marquardt
from grasp_theory.planners.loop.levenberg_marquardt import LevenbergMarquardt


def free(actions: Tensor) -> Tensor:
    return actions


def straight(start: Tensor, goal: Tensor, horizon: int) -> Tensor:
    fraction = torch.linspace(0, 1, horizon + 1, dtype=start.dtype).view(1, -1, 1)
    return torch.lerp(start.unsqueeze(1), goal.unsqueeze(1), fraction)


def linear_case() -> tuple[LinearDynamics, Tensor, Tensor]:
    torch.manual_seed(0)
    A = torch.eye(3, dtype=torch.float64) + 0.2 * torch.randn(3, 3, dtype=torch.float64)
    model = LinearDynamics(A, torch.randn(3, 2, dtype=torch.float64))
    return model, torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)


def test_on_a_linear_model_one_step_is_the_damped_least_squares_solution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levenberg_marquardt, "DAMPINGS", (0.3,))
    model, start, goal = linear_case()
    begun = torch.randn(4, 6, 2, dtype=torch.float64)
    search = LevenbergMarquardt(model.step, free, straight(start, goal, 6), begun, goal)
    search.step()
    for row in range(4):

        def final(plan: Tensor, row: int = row) -> Tensor:
            return rollout(model, start[row], plan)[-1]

        J = torch.autograd.functional.jacobian(final, begun[row]).flatten(1)
        ridge = 0.3 * torch.trace(J @ J.T) / 3 * torch.eye(3, dtype=torch.float64)
        change = J.T @ torch.linalg.solve(J @ J.T + ridge, goal[row] - final(begun[row]))
        torch.testing.assert_close(search.actions[row], begun[row] + change.view(6, 2))
    torch.testing.assert_close(search.states, rollout(model, start, search.actions))
    assert search.close().all()


def test_a_row_alone_is_the_row_in_the_batch() -> None:
    model, start, goal = linear_case()

    def bent(states: Tensor, actions: Tensor) -> Tensor:
        return torch.tanh(model.step(states, actions))

    def after(rows: slice) -> tuple[Tensor, Tensor]:
        actions = torch.zeros(len(goal[rows]), 6, 2, dtype=torch.float64)
        search = LevenbergMarquardt(bent, free, straight(start, goal, 6)[rows], actions, goal[rows])
        for _ in range(3):
            search.step()
        search.close()
        return search.states, search.actions

    for alone, together in zip(after(slice(1, 2)), after(slice(0, 4)), strict=True):
        torch.testing.assert_close(alone, together[1:2])


def test_actions_stay_in_their_set_and_the_goal_is_reached_within_it() -> None:
    def pendulum(states: Tensor, actions: Tensor) -> Tensor:
        angle, speed = states.unbind(-1)
        speed = speed + 0.1 * (torch.sin(angle) + actions[..., 0])
        return torch.stack([angle + 0.1 * speed, speed], -1)

    def clip(actions: Tensor) -> Tensor:
        return actions.clamp(-2.0, 2.0)

    start, goal = torch.tensor([[3.1416, 0.0]]), torch.tensor([[2.0, 0.0]])
    search = LevenbergMarquardt(pendulum, clip, straight(start, goal, 30), torch.zeros(1, 30, 1), goal)
    for _ in range(6):
        search.step()
    assert search.close().all()
    truth = rollout(pendulum, start, search.actions)
    assert search.actions.abs().max() <= 2.0
    torch.testing.assert_close(search.states, truth, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(truth[:, -1], goal, rtol=0.0, atol=5e-2)


def test_rows_that_cannot_move_stay_and_others_go_on() -> None:
    def half(states: Tensor, actions: Tensor) -> Tensor:
        deaf = torch.tensor([0.0, 1.0], dtype=states.dtype).view(2, 1, 1)
        deaf = deaf.repeat_interleave(len(states) // 2, 0)
        return states + 0.1 * deaf * actions

    start, goal = torch.zeros(2, 2), torch.ones(2, 2)
    begun = torch.full((2, 5, 2), 0.1)
    search = LevenbergMarquardt(half, free, straight(start, goal, 5), begun, goal)
    search.step()
    torch.testing.assert_close(search.actions[0], begun[0])
    assert torch.isfinite(search.states).all()
    torch.testing.assert_close(search.actions[1], torch.full((5, 2), 2.0), rtol=0.05, atol=0.0)
