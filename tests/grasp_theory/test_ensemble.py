"""Several models at once, against each of them alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grasp_theory import (
    CEM,
    CEMGD,
    GRASP,
    ICEM,
    MPPI,
    Ensemble,
    GradientDescent,
    LatCo,
    PlanningProblem,
    rollout,
)
from grasp_theory.dynamics import TimeVaryingLinearDynamics
from grasp_theory.planners import Planner
from linear_systems import LinearSystem
from linear_systems.errors import DTypeError, InvalidInputError, ParameterError, ShapeError

B, T = 4, 5


def slow(state: Tensor, action: Tensor) -> Tensor:
    return 0.9 * state + 0.5 * action


def picture(state: Tensor, action: Tensor) -> Tensor:
    """Return the next state of a model whose states are 3 x 2."""
    return state + action[:, None, :] * torch.tensor([[0.2], [0.4], [0.6]], dtype=state.dtype)


def near(state: Tensor, goal: Tensor) -> Tensor:
    close: Tensor = (state - goal).flatten(1).norm(dim=1) < 0.4
    return close


ENSEMBLE = Ensemble([slow, picture], [(2,), (3, 2)])


def _starts() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(B, 2, generator=generator, dtype=torch.float64),
        torch.randn(B, 3, 2, generator=generator, dtype=torch.float64),
    )


def _problem(**options: Any) -> PlanningProblem:
    starts, generator = _starts(), torch.Generator().manual_seed(1)
    actions = 0.5 * torch.randn(B, T, 2, generator=generator, dtype=torch.float64)
    goals = [rollout(each, s, actions)[:, -1] for each, s in zip((slow, picture), starts, strict=True)]
    return PlanningProblem(
        ENSEMBLE, ENSEMBLE.stack(starts), ENSEMBLE.stack(goals), T, 2, seeds=range(B),
        **{"reached": ENSEMBLE.reached(near), **options},
    )  # fmt: skip


def test_each_model_goes_its_own_way() -> None:
    starts = _starts()
    actions = torch.randn(B, T, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parts = ENSEMBLE.split(rollout(ENSEMBLE, ENSEMBLE.stack(starts), actions))
    for part, each, start in zip(parts, (slow, picture), starts, strict=True):
        assert torch.equal(part, rollout(each, start, actions))
    for part, start in zip(ENSEMBLE.split(ENSEMBLE.stack(starts)), starts, strict=True):
        assert torch.equal(part, start)


@pytest.mark.parametrize(
    "planner",
    [
        GRASP(iterations=150), GradientDescent(iterations=150, lr=0.1), LatCo(iterations=150),
        CEM(iterations=25, samples=200, elites=20), ICEM(iterations=25, samples=200, elites=20),
        MPPI(iterations=60, samples=200), CEMGD(iterations=20, samples=60, elites=10),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_a_plan_that_all_believe(planner: Planner) -> None:
    problem = _problem()
    plan = planner.plan(problem)
    assert plan.reached.any()
    for part, each, start, goal in zip(
        ENSEMBLE.split(plan.states), (slow, picture), _starts(), ENSEMBLE.split(problem.goal), strict=True
    ):
        alone = rollout(each, start, plan.actions)
        torch.testing.assert_close(part, alone)
        assert near(alone[:, -1], goal)[plan.reached].all()


def test_who_believes() -> None:
    goals = ENSEMBLE.stack(_starts())
    off = goals.clone()
    off[0, 0] += 1.0  # in the first model only
    off[1] += 1.0  # in both
    assert ENSEMBLE.reached(near)(off, goals).tolist() == [False, False, True, True]
    assert ENSEMBLE.reached(near, at_least=1)(off, goals).tolist() == [True, False, True, True]
    never = lambda s, g: torch.zeros(len(s), dtype=torch.bool)  # noqa: E731
    assert not ENSEMBLE.reached(near, never)(goals, goals).any()
    assert ENSEMBLE.reached(never, near, at_least=1)(goals, goals).all()


def test_modules_are_held_and_linear_systems_taken() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))

        def forward(self, state: Tensor, action: Tensor) -> Tensor:
            following: Tensor = self.net(torch.cat([state, action], -1))
            return following

    system = LinearSystem(A=np.eye(2), B=np.ones((2, 1)))
    ensemble = Ensemble([Net(), system]).to(torch.float64)
    state, action = torch.ones(3, 4, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
    with pytest.warns(UserWarning, match="training mode"):
        PlanningProblem(ensemble, state, state, T, 1)
    ensemble.eval()
    assert torch.equal(ensemble.step(state, action), ensemble.step(state, action))
    assert torch.equal(ensemble.split(ensemble.step(state, action))[1], torch.full_like(state[:, :2], 2.0))
    assert ensemble.step(state[:, None].expand(3, T, 4), action[:, None].expand(3, T, 1)).shape == (3, T, 4)


def test_errors() -> None:
    eye = torch.eye(2).expand(T, 2, 2).clone()
    with pytest.raises(ParameterError, match="models"):
        Ensemble([])
    with pytest.raises(ParameterError, match="same at all times"):
        Ensemble([TimeVaryingLinearDynamics(eye, eye)])
    with pytest.raises(ShapeError, match="shapes"):
        Ensemble([slow, picture], [(2,)])
    with pytest.raises(ShapeError, match="states"):
        ENSEMBLE.split(torch.zeros(1, 7))
    with pytest.raises(ShapeError, match="states"):
        ENSEMBLE.stack(_starts()[::-1])
    with pytest.raises(InvalidInputError, match=r"^states: expected .*tensor.* Try: "):
        ENSEMBLE.stack([each.numpy() for each in _starts()])  # type: ignore[misc]
    with pytest.raises(ShapeError, match="as many rows"):
        ENSEMBLE.stack([_starts()[0][:1], _starts()[1]])
    with pytest.raises(DTypeError, match="states"):
        ENSEMBLE.split(np.zeros((1, 8)))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="reached"):
        ENSEMBLE.reached(near, near, near)
    with pytest.raises(ParameterError, match="at_least"):
        ENSEMBLE.reached(near, at_least=3)


def test_a_goal_distance_is_the_sum_of_the_models() -> None:
    def far(state: Tensor, goal: Tensor) -> Tensor:
        distance: Tensor = (state - goal).flatten(1).norm(dim=1)
        return distance

    def twice(state: Tensor, goal: Tensor) -> Tensor:
        return 2 * far(state, goal)

    starts = _starts()
    goals = [torch.zeros_like(each) for each in starts]
    states, ends = ENSEMBLE.stack(starts), ENSEMBLE.stack(goals)
    apart = [far(state, goal) for state, goal in zip(starts, goals, strict=True)]
    torch.testing.assert_close(ENSEMBLE.goal_distance(far)(states, ends), apart[0] + apart[1])
    torch.testing.assert_close(ENSEMBLE.goal_distance(far, twice)(states, ends), apart[0] + 2 * apart[1])
    with pytest.raises(ParameterError, match="distances"):
        ENSEMBLE.goal_distance(far, far, far)
