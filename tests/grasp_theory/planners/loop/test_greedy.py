"""A greedy start takes, at each time, the action from which the next state is nearest to the goal."""

from __future__ import annotations

import pytest
import torch
from planner_cases import pendulum_problem

from grasp_theory import GRASP, Box, PlanningProblem, rollout
from grasp_theory.dynamics import TimeVaryingLinearDynamics
from grasp_theory.planners.loop.greedy import greedy_rollout
from grasp_theory.planners.loop.rows import Rows
from linear_systems.errors import ParameterError

GREEDY = GRASP(iterations=3, check_every=1, start="greedy", state_noise=0.0)


def _rows(problem: PlanningProblem, restarts: int = 1) -> Rows:
    return Rows(problem, restarts, torch.arange(problem.batch))


def _walk(action_set: Box | None = None, **options: object) -> PlanningProblem:
    """s' = s + a: the greedy action is the way to the goal, shortened to the set."""
    start, goal = torch.zeros(4, 2), torch.tensor([[3.0, -1.0]]).expand(4, 2)
    return PlanningProblem(
        lambda s, a: s + a, start, goal, 5, 2, action_set=action_set, seeds=torch.arange(4), **options
    )


def test_actions_are_the_best_of_each_step() -> None:
    """In a box of ±1 the way is (1, −1), (1, 0), (1, 0) and then rest, up to the spread of the last elites."""
    actions, states = greedy_rollout(_rows(_walk(Box(-1.0, 1.0))), 1.0)
    expected = torch.tensor([[1.0, -1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert float((actions - expected).abs().max()) < 0.5
    assert float((actions - expected).abs().mean()) < 0.15
    assert float((states[:, -1] - torch.tensor([3.0, -1.0])).norm(dim=1).max()) < 0.3
    assert float(actions.abs().max()) <= 1.0


def test_states_are_the_rollout_of_the_actions() -> None:
    problem = pendulum_problem()
    actions, states = greedy_rollout(_rows(problem), 1.0)
    torch.testing.assert_close(states, rollout(problem.model, problem.initial_state, actions))


def test_every_time_has_its_own_model() -> None:
    """F_t(s, a) = s + (−1)^t a: the best actions towards a far goal change their sign."""
    eye = torch.eye(1)
    model = TimeVaryingLinearDynamics(eye.expand(4, 1, 1), torch.tensor([1.0, -1.0, 1.0, -1.0]).view(4, 1, 1))
    problem = PlanningProblem(
        model, torch.zeros(1, 1), torch.full((1, 1), 100.0), 4, 1, action_set=Box(-1.0, 1.0)
    )
    actions, _ = greedy_rollout(_rows(problem), 1.0)
    assert actions.flatten().sign().tolist() == [1.0, -1.0, 1.0, -1.0]


def test_a_cost_of_the_stage_is_weighed() -> None:
    """With c = ‖a‖² and d = ‖s + a − g‖² the best single step goes half of the way."""
    problem = _walk(stage_cost=lambda s, a: a.square().sum(-1))
    actions, _ = greedy_rollout(_rows(problem), 1.0)
    half = torch.tensor([1.5, -0.5])
    assert float((actions[:, 0] - half).norm(dim=1).max()) < 0.7
    free, _ = greedy_rollout(_rows(_walk()), 1.0)
    assert float(actions[:, 0].norm(dim=1).mean()) < 0.75 * float(free[:, 0].norm(dim=1).mean())


def test_a_row_does_not_depend_on_the_others() -> None:
    problem = pendulum_problem()
    together = GREEDY.plan(problem)
    alone = GREEDY.plan(problem.part(slice(1, 2)))
    torch.testing.assert_close(together.actions[1:2], alone.actions)


def test_the_greedy_plan_is_shown_first() -> None:
    problem = _walk(Box(-1.0, 1.0), reached=lambda s, g: (s - g).norm(dim=1) < 0.3)
    plan = GREEDY.plan(problem)
    assert bool(plan.reached.all())
    assert plan.iterations.tolist() == [1] * problem.batch
    torch.testing.assert_close(plan.actions, greedy_rollout(_rows(problem), 1.0)[0])


def test_the_spread_is_checked() -> None:
    with pytest.raises(ParameterError, match="greedy_spread"):
        GRASP(greedy_spread=0.0)
