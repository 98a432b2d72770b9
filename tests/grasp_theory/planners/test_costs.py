"""A problem's own costs: all planners minimise and are judged by J(a) = d(s_T, g) + Σ_t c(s_{t+1}, a_t)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from planner_cases import GRADIENT_PLANNERS, PLANNERS, Pendulum, pendulum_problem
from torch import Tensor

from grasp_theory import (
    CEM,
    CEMGD,
    GRASP,
    MPPI,
    GradientDescent,
    LatCo,
    Observation,
    Planner,
    PlanningProblem,
    rollout,
)
from grasp_theory.planners.loop.evaluations import rollout_gradient
from grasp_theory.planners.loop.rows import Rows
from linear_systems.errors import ParameterError

every_planner = pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())


def _square(states: Tensor, goals: Tensor) -> Tensor:
    return (states - goals).square().flatten(1).sum(1)


def _angle(states: Tensor, goals: Tensor) -> Tensor:
    return 1 - torch.cos(states[:, 0] - goals[:, 0])


def _effort(states: Tensor, actions: Tensor) -> Tensor:
    return 0.01 * actions.square().sum(1) + 0.02 * torch.tanh(states[:, 1])


def _loss(problem: PlanningProblem, actions: Tensor) -> Tensor:
    """J, written plainly."""
    states = rollout(Pendulum(), problem.initial_state, actions)
    assert problem.goal_distance is not None
    loss = problem.goal_distance(states[:, -1], problem.goal)
    for t in range(problem.horizon):
        if problem.stage_cost is not None:
            loss = loss + problem.stage_cost(states[:, t + 1], actions[:, t])
    return loss


@every_planner
def test_the_default_is_the_papers_square(planner: Planner) -> None:
    """Written out it gives the same plans, up to the order of the sums."""
    if isinstance(planner, GRASP) and planner.sync_method == "shooting":
        planner = replace(planner, sync_method="gradient")  # what every cost of one's own is synced by
    problem = pendulum_problem(3)
    expected, found = planner.plan(problem), planner.plan(replace(problem, goal_distance=_square))
    torch.testing.assert_close(found.actions, expected.actions, rtol=1e-6, atol=1e-6)
    assert torch.equal(found.evaluations, expected.evaluations)


@every_planner
def test_plans_are_judged_by_the_problems_own_costs(planner: Planner) -> None:
    problem = pendulum_problem(4, reached=None, stage_cost=_effort, goal_distance=_angle)
    plan = planner.plan(problem)
    torch.testing.assert_close(plan.loss, _loss(problem, plan.actions))
    assert (plan.loss < _loss(problem, problem.start())).sum() >= 3
    # What is minimised is another function than the square's.
    assert not torch.allclose(plan.actions, planner.plan(pendulum_problem(4, reached=None)).actions)


@pytest.mark.parametrize("objective", ["last", "all"])
def test_the_rollout_gradient_is_that_of_the_costs(objective: str) -> None:
    problem = pendulum_problem(2, stage_cost=_effort, goal_distance=_angle)
    actions = torch.randn(2, 8, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = Rows(problem, 1, torch.arange(2))
    gradient, _ = rollout_gradient(rows, actions, objective)  # type: ignore[arg-type]

    def loss(a: Tensor) -> float:
        total = _loss(problem, a)
        if objective == "all":
            states = rollout(Pendulum(), problem.initial_state, a)
            total = total + sum(_angle(states[:, t], problem.goal) for t in range(1, 8))
        return float(total.sum())

    h = 1e-6
    for i in range(8):
        unit = torch.zeros_like(actions)
        unit[1, i] = h
        slope = (loss(actions + unit) - loss(actions - unit)) / (2 * h)
        assert slope == pytest.approx(float(gradient[1, i]), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_grasp_takes_them_on_one_step_predictions(stop: bool, reduction: str) -> None:
    """L = Σ‖F(s̄, a) − s⁺‖² + γ Σ d(F(s̄, a), g) + Σ c(F(s̄, a), a), as (9)-(10) have the square."""
    problem = pendulum_problem(2, reached=None, action_bounds=None, stage_cost=_effort, goal_distance=_angle)
    planner = GRASP(
        iterations=1, check_every=1, optimizer="sgd", state_noise=0.0, cycle_decay=1.0, sync_every=None,
        state_lr=0.2, action_lr=0.05, goal_weight=0.3, initial_state_noise=0.3, stop_state_gradient=stop,
        reduction=reduction,  # type: ignore[arg-type]
    )  # fmt: skip
    seen: list[Observation] = []
    planner.plan(problem, callback=seen.append)
    before, after = seen
    assert before.virtual_states is not None
    assert after.virtual_states is not None
    states = before.virtual_states.requires_grad_()
    actions = before.actions.requires_grad_()
    prediction = Pendulum().step((states.detach() if stop else states)[:, :-1], actions)
    loss = (prediction - states[:, 1:]).square().sum()
    for t in range(problem.horizon):
        loss = (
            loss
            + 0.3 * _angle(prediction[:, t], problem.goal).sum()
            + _effort(prediction[:, t], actions[:, t]).sum()
        )
    along_states, along_actions = torch.autograd.grad(loss, (states, actions))
    share = 0.5 if reduction == "mean" else 1.0
    torch.testing.assert_close(after.actions, before.actions - 0.05 * share * along_actions)
    torch.testing.assert_close(
        after.virtual_states[:, 1:-1], (states - 0.2 * share * along_states)[:, 1:-1].detach()
    )


class _Point:
    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + 0.25 * torch.tanh(action)


def _bump(states: Tensor, actions: Tensor) -> Tensor:
    """A hill on the straight way, a little off it so that gradients know a side."""
    return 4 * torch.exp(-(states - states.new_tensor([0.5, -0.05])).square().sum(1) / 0.04)


@pytest.mark.parametrize(
    "planner",
    [GradientDescent(), GRASP(), LatCo(), CEM(), MPPI()],
    ids=lambda planner: type(planner).__name__,
)
def test_an_obstacle_is_avoided(planner: Planner) -> None:
    goal = torch.tensor([[1.0, 0.0]])
    free = PlanningProblem(_Point(), torch.zeros(1, 2), goal, 10, 2, seeds=torch.tensor([0]))
    straight = planner.plan(free)
    around = planner.plan(replace(free, stage_cost=_bump))

    def cost(states: Tensor) -> float:
        return float(_bump(states[0, 1:], states[0, 1:]).sum())

    assert cost(around.states) < 0.5 * cost(straight.states)
    assert (around.states[:, -1] - goal).norm() < 0.25


@pytest.mark.parametrize("planner", [PLANNERS[name] for name in GRADIENT_PLANNERS], ids=GRADIENT_PLANNERS)
def test_a_step_is_a_cost_that_gradients_do_not_see(planner: Planner) -> None:
    problem = pendulum_problem(2, stage_cost=lambda s, a: (s[:, 0] > 1).to(s.dtype))
    plan = planner.plan(problem)
    torch.testing.assert_close(plan.loss, _loss(replace(problem, goal_distance=_square), plan.actions))


def test_a_distance_without_a_gradient_is_named() -> None:
    problem = pendulum_problem(2, goal_distance=lambda s, g: _square(s, g).detach())
    # At once, and not at the first sync.
    for planner in (
        GradientDescent(),
        GRASP(sync_every=None),
        LatCo(constraint="multipliers"),
        CEMGD(iterations=5),
    ):
        with pytest.raises(ParameterError, match=r"goal_distance: .*differentiable"):
            planner.plan(problem)
    CEM(iterations=2).plan(problem)


def test_a_distance_cannot_hide_that_a_state_is_infinite() -> None:
    class Exploding:
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return torch.where(action > 0.5, torch.inf, state + action)

    problem = PlanningProblem(
        Exploding(), torch.zeros(2, 1), torch.ones(2, 1), 3, 1, seeds=torch.arange(2),
        goal_distance=lambda s, g: torch.exp(-s.abs().flatten(1).sum(1)),
    )  # fmt: skip
    plan = CEM(iterations=5, samples=60, elites=6).plan(problem)
    assert plan.states.isfinite().all()
    assert plan.loss.max() < 1


@pytest.mark.parametrize(
    "own", [{"goal_distance": _angle}, {"stage_cost": _effort}], ids=["distance", "stage cost"]
)
def test_a_cost_of_ones_own_is_synced_by_gradients(own: dict[str, object]) -> None:
    problem = pendulum_problem(2, **own)
    shooting = replace(GRASP.parallel(), iterations=8, sync_every=4)
    gradient = replace(shooting, sync_method="gradient")
    assert torch.equal(shooting.plan(problem).actions, gradient.plan(problem).actions)
