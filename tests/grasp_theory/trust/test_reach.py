"""What inputs do: states that fake the goal, actions that reach it, problems that need none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from trust_cases import close, drawn, linear_problem, linearised

from grasp_theory import PlanningProblem, rollout
from grasp_theory.trust import linearisation
from grasp_theory.trust.linearisation import linearise
from grasp_theory.trust.reach import TARGET, Metric, Reach, faking_change, reach
from grasp_theory.trust.smoothness import final_responses
from linear_systems.system import LinearSystem

ROTATION = LinearSystem([[0.8, 0.6], [-0.6, 0.8]], [[0.0], [1.0]])


def _reach(
    problem: PlanningProblem, metric: Metric | Tensor | None = None, actions: Tensor | None = None
) -> Reach:
    taken = problem.start() if actions is None else actions
    linear = linearise(problem, rollout(problem.model, problem.initial_state, taken), taken)
    return reach(problem, problem, linear, final_responses(linear), metric, 1e-12)


def test_gains_are_singular_values() -> None:
    A = np.array([[2.0, 0.0], [0.3, 0.5]])
    found = _reach(linear_problem(LinearSystem(A, [[0.0], [3.0]]), 4))
    assert close(found.state_gain[0], np.linalg.norm(A, 2))
    assert np.allclose(found.action_gains, 3.0)


def test_the_smallest_change_that_fakes_the_goal_of_a_linear_model() -> None:
    """The shortest δ with ‖Aδ − e‖ <= 0.1‖e‖ is (AᵀA + λI)⁻¹Aᵀe with the λ that meets it; ours is hardly longer."""
    A = np.array([[1.0, 0.4, 0.0], [0.0, 0.5, 0.2], [0.0, 0.0, 0.1]])
    problem = linear_problem(LinearSystem(A, np.ones((3, 1))), 1, batch=6)
    start, zeros = problem.initial_state[:, None], torch.zeros(6, 1, 1, dtype=torch.float64)
    change = faking_change(problem, start, zeros).numpy()
    wanted = (problem.goal - problem.initial_state @ torch.tensor(A).T).numpy()
    for delta, e in zip(change, wanted, strict=True):
        assert np.linalg.norm(A @ delta - e) <= TARGET * np.linalg.norm(e) * (1 + 1e-5)
        low, high = -40.0, 40.0
        for _ in range(200):
            middle = (low + high) / 2
            ridge = np.linalg.solve(A.T @ A + math.exp(middle) * np.eye(3), A.T @ e)
            low, high = (
                (middle, high)
                if np.linalg.norm(A @ ridge - e) <= TARGET * np.linalg.norm(e)
                else (low, middle)
            )
        assert np.linalg.norm(ridge) * (1 - 1e-6) <= np.linalg.norm(delta) <= 1.2 * np.linalg.norm(ridge)


def test_a_model_that_keeps_states_has_no_shortcut_and_a_sensitive_one_has() -> None:
    def keeps(state: Tensor, action: Tensor) -> Tensor:
        return state + action

    def jumps(state: Tensor, action: Tensor) -> Tensor:
        return state + action + 20.0 * torch.tanh(5.0 * (state - 1.0))

    start, goal = torch.ones(1, 2, dtype=torch.float64), torch.full((1, 2), 6.0, dtype=torch.float64)
    zeros = torch.zeros(1, 1, 2, dtype=torch.float64)
    for model, least, most in ((keeps, 0.89, 0.91), (jumps, 0.0, 0.1)):
        problem = PlanningProblem(model, start, goal, 1, 2)
        change = faking_change(problem, start[:, None], zeros)
        assert least <= float(change.norm() / (goal - start).norm()) <= most


def test_a_goal_that_no_state_fakes_is_not_faked() -> None:
    problem = PlanningProblem(
        lambda s, a: torch.tanh(s) + 0 * a, drawn(0, 2, 1), torch.full((2, 1), 9.0).double(), 1, 1
    )
    change = faking_change(problem, problem.initial_state[:, None], torch.zeros(2, 1, 1, dtype=torch.float64))
    assert change.isnan().all()


def test_directions_out_of_reach() -> None:
    # One action turns the second entry; the rotation brings it to the first in the next step.
    start, goal = torch.zeros(1, 2).double(), torch.tensor([[3.0, 4.0]]).double()
    problem = PlanningProblem(ROTATION, start, goal, 4, 1)
    found = _reach(problem)
    assert close(found.out_of_step[0], 3.0 / 5.0)
    assert found.out_of_reach[0] < 1e-12
    assert found.left_by_set[0] < 1e-12
    bounded = _reach(replace(problem, action_bounds=(-0.01, 0.01)))
    assert bounded.left_by_set[0] > 0.95
    still = PlanningProblem(LinearSystem(np.eye(2), [[0.0], [1.0]]), start, goal, 4, 1)
    assert close(_reach(still).out_of_reach[0], 3.0 / 5.0)


def test_the_way_to_the_goal_does_not_depend_on_the_plan_of_a_linear_model() -> None:
    problem = linear_problem(LinearSystem(np.eye(2), [[0.0], [1.0]]), 5)
    idle, busy = _reach(problem), _reach(problem, actions=drawn(7, 2, 5, 1))
    np.testing.assert_allclose(busy.out_of_reach, idle.out_of_reach)
    np.testing.assert_allclose(busy.out_of_step, idle.out_of_step)


def test_problems_that_need_no_action_are_counted() -> None:
    start = torch.tensor([[0.1, 0.0], [5.0, 0.0], [0.0, 0.2]]).double()
    problem = PlanningProblem(
        LinearSystem(np.eye(2), np.eye(2)),
        start,
        torch.zeros(3, 2).double(),
        3,
        2,
        lambda s, g: (s - g).norm(dim=1) < 1.0,
    )
    assert _reach(problem).idle == 2
    assert _reach(replace(problem, reached=None)).idle is None
    passing = PlanningProblem(
        LinearSystem([[-1.0]], [[1.0]]), torch.ones(1, 1).double(), torch.full((1, 1), -1.0).double(), 2, 1,
        lambda s, g: (s - g).norm(dim=1) < 0.5, reached_when="any",
    )  # fmt: skip
    assert _reach(passing).idle == 1
    assert _reach(replace(passing, reached_when="last")).idle == 0


def test_least_steps() -> None:
    distance: Metric = lambda s, g: (s - g).norm(dim=1)  # noqa: E731
    start, goal = torch.zeros(2, 2).double(), torch.tensor([[3.0, 4.0], [0.0, 0.5]]).double()
    problem = PlanningProblem(
        LinearSystem(np.eye(2), np.eye(2)), start, goal, 6, 2, action_bounds=(-1.0, 1.0)
    )
    found = _reach(problem, distance)
    assert found.least_steps is not None
    assert close(found.farthest_step, math.sqrt(2.0))
    np.testing.assert_allclose(found.least_steps, [5.0 / math.sqrt(2.0), 0.5 / math.sqrt(2.0)])
    given = _reach(problem, torch.tensor([7.0, 2.0]))
    assert given.least_steps is not None
    assert given.least_steps.tolist() == [7.0, 2.0]
    assert math.isnan(given.farthest_step)
    assert _reach(problem).least_steps is None


def test_products_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = linear_problem(ROTATION, 3)
    dense = _reach(problem)
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    products = _reach(problem)
    for name in ("state_gain", "action_gains", "faking", "out_of_step", "out_of_reach", "left_by_set"):
        np.testing.assert_allclose(getattr(products, name), getattr(dense, name), rtol=1e-5, atol=1e-12)


def test_a_linearisation_is_at_hand_for_every_plan() -> None:
    assert linearised(ROTATION, 3, plans=2).plans == 2


def test_a_warm_start_is_not_doing_nothing() -> None:
    problem = linear_problem(
        LinearSystem([[1.0]], [[1.0]]), 1, reached=lambda s, g: (s - g).norm(dim=1) < 1e-6
    )
    solved = replace(problem, initial_actions=(problem.goal - problem.initial_state)[:, None])
    assert _reach(solved).idle == 0
