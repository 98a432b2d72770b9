"""Planners go on where they can: what is shown changes nothing, a row has diverged when it cannot be planned further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planner_cases import GRADIENT_PLANNERS, PLANNERS, Pendulum, pendulum_problem
from torch import Tensor, nn

from grasp_theory import (
    CEM,
    CEMGD,
    GRASP,
    ICEM,
    MPPI,
    Balls,
    Box,
    GradientDescent,
    Planner,
    PlanningProblem,
    Status,
)
from grasp_theory.action_sets import ActionSet
from linear_systems.errors import ParameterError
from linear_systems.system import LinearSystem

every_planner = pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())


def _holed(depth: float) -> PlanningProblem:
    """Points that move by at most 0.15 and whose straight way leads through a hole, where the state is `depth`."""

    def step(state: Tensor, action: Tensor) -> Tensor:
        following = state + 0.15 * torch.tanh(action)
        fallen = (following - torch.tensor([0.5, 0.0])).norm(dim=-1, keepdim=True) < 0.2
        return torch.where(fallen, depth, following)

    goal = torch.tensor([[1.0, 0.0]]).expand(64, 2)
    return PlanningProblem(
        step, torch.zeros(64, 2), goal, horizon=12, action_dim=2, seeds=torch.arange(64),
        reached=lambda s, g: (s - g).norm(dim=1) < 0.1,
    )  # fmt: skip


@pytest.mark.parametrize("depth", [torch.inf, 1e6, 100.0])
@pytest.mark.parametrize("planner", [MPPI(), MPPI(noise_exponent=0.0), CEM(), ICEM()], ids=repr)
def test_sampling_planners_go_around_a_hole(planner: Planner, depth: float) -> None:
    """A plan that falls is shown now and then, and its loss is however large: neither ends nor misleads the planning."""
    assert planner.plan(_holed(depth)).reached.float().mean() >= 0.95


@pytest.mark.parametrize("planner", [MPPI(iterations=12), CEM(iterations=5)], ids=["MPPI", "CEM"])
@pytest.mark.parametrize("depth", [torch.inf, 1e6])
def test_looking_changes_nothing(planner: Planner, depth: float) -> None:
    problem = replace(_holed(depth), reached=None)
    often, seldom = (
        replace(planner, check_every=every, returned="last").plan(problem) for every in (1, None)
    )
    assert torch.equal(often.actions, seldom.actions)
    assert torch.equal(often.status, seldom.status)
    assert (often.looks >= seldom.looks).all()


@every_planner
def test_looks_leave_the_iterates_alone(planner: Planner) -> None:
    problem = pendulum_problem(reached=None)
    looking = replace(planner, check_every=1, returned="last").plan(problem)
    blind = replace(planner, check_every=None, returned="last").plan(problem)
    assert torch.equal(looking.actions, blind.actions)


@every_planner
def test_states_whose_squares_overflow_are_finite(planner: Planner) -> None:
    """A = 1.8 over 80 steps takes states of float32 to 1e20, and a loss to 1e40."""
    system = LinearSystem(np.array([[1.8]]), np.array([[1.0]]))
    start, goal = torch.ones(3, 1), torch.zeros(3, 1)
    problem = PlanningProblem(system, start, goal, horizon=80, action_dim=1, seeds=torch.arange(3))
    plan = replace(planner, iterations=min(planner.iterations, 12)).plan(problem)
    assert (plan.iterations > 0).all()
    assert plan.actions.isfinite().all()
    assert plan.states.isfinite().all()
    if isinstance(planner, CEM | MPPI):
        assert (plan.status == Status.STEP_LIMIT).all()
        doing_nothing = 1.8**80
        assert (plan.states[:, -1].abs() < 0.5 * doing_nothing).all()


class _Deaf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(2, 2)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + self.weights(state)  # type: ignore[no-any-return]


@pytest.mark.parametrize("planner", [PLANNERS[name] for name in GRADIENT_PLANNERS], ids=GRADIENT_PLANNERS)
def test_a_model_that_is_deaf_to_actions_is_refused(planner: Planner) -> None:
    problem = PlanningProblem(_Deaf(), torch.zeros(2, 2), torch.ones(2, 2), horizon=3, action_dim=2)
    with pytest.raises(ParameterError, match=r"dynamics: .*depends on the action"):
        planner.plan(problem)


def test_a_model_that_is_deaf_to_states_is_not() -> None:
    problem = PlanningProblem(lambda s, a: a, torch.zeros(2, 2), torch.ones(2, 2), horizon=3, action_dim=2)
    plan = GRASP(iterations=60, stop_state_gradient=False, action_lr=0.1).plan(problem)
    assert (plan.loss < 0.1).all()


@every_planner
def test_inference_mode_is_named(planner: Planner) -> None:
    problem = pendulum_problem(2)
    with torch.inference_mode():
        if isinstance(planner, CEM | MPPI) and type(planner).__name__ != "CEMGD":
            planner.plan(problem)
        else:
            with pytest.raises(ParameterError, match=r"leave torch.inference_mode\(\)"):
                planner.plan(problem)


class _Watching:
    """The pendulum driven by the sum of two components, remembering the actions that it was given."""

    def __init__(self) -> None:
        self.actions: list[Tensor] = []

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        self.actions.append(action.detach().flatten(0, -2).clone())
        return Pendulum().step(state, action.sum(-1, keepdim=True))


class _Quadrant:
    """Any object with `project`: no component may be negative."""

    def project(self, actions: Tensor) -> Tensor:
        return actions.clamp(min=0.0)


@every_planner
@pytest.mark.parametrize(
    "chosen",
    [Balls(0.3, 2), Box(-0.2, torch.tensor([0.1, 0.3])), Box(torch.tensor([0.2, -1.0]), torch.tensor([0.2, 1.0])), _Quadrant()],
    ids=["balls", "box", "held still", "own"],
)  # fmt: skip
def test_every_action_that_is_tried_is_allowed(planner: Planner, chosen: ActionSet) -> None:
    model, base = _Watching(), pendulum_problem(3, reached=None)
    problem = PlanningProblem(
        model, base.initial_state, base.goal, 8, 2, action_set=chosen, seeds=base.seeds,
        initial_actions=torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    )  # fmt: skip
    model.actions.clear()  # a problem tries its model with zero actions
    plan = planner.plan(problem)
    tried = torch.cat(model.actions)
    torch.testing.assert_close(tried, chosen.project(tried), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(plan.actions, chosen.project(plan.actions), rtol=1e-12, atol=1e-12)
    assert len(tried.unique(dim=0)) > 10


@pytest.mark.parametrize("planner", [GradientDescent(), CEMGD()], ids=["GD", "CEMGD"])
def test_projected_steps_use_the_whole_of_a_ball(planner: Planner) -> None:
    """The best plan under a limit on the length of actions goes straight at full length."""
    start, goal = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    problem = PlanningProblem(
        lambda s, a: s + a, start, goal, 4, 2, action_set=Balls(1.0, 2), seeds=torch.tensor([0])
    )
    plan = planner.plan(problem)
    torch.testing.assert_close(plan.states[:, -1], torch.tensor([[2.4, 3.2]]), rtol=0.02, atol=0.02)
