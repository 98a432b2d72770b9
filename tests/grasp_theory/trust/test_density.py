"""Nearest transitions against brute force, a rollout that is told what its model missed, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from grasp_theory import PlanningProblem, rollout
from grasp_theory.dynamics import TimeVaryingLinearDynamics
from grasp_theory.trust.density import Transitions
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError

N, B, T, K = 400, 6, 3, 5
GENERATOR = torch.Generator().manual_seed(0)
STATES = torch.randn(N, 2, generator=GENERATOR, dtype=torch.float64) * torch.tensor([1.0, 10.0])
ACTIONS = torch.randn(N, 1, generator=GENERATOR, dtype=torch.float64)
START = torch.randn(B, 2, generator=GENERATOR, dtype=torch.float64) * torch.tensor([1.0, 10.0])
PLANS = torch.randn(B, T, 1, generator=GENERATOR, dtype=torch.float64)


def model(state: Tensor, action: Tensor) -> Tensor:
    return 0.9 * state + 0.2 * action


def world(state: Tensor, action: Tensor) -> Tensor:
    return model(state, action) + torch.tensor([0.5, -1.0], dtype=state.dtype)


def distance(state: Tensor, goal: Tensor) -> Tensor:
    return (state - goal).norm(dim=1)


VIEW = PlanningProblem(model, START, torch.zeros_like(START), T, 1, goal_distance=distance)
SEEN = Transitions(model, STATES, ACTIONS, world(STATES, ACTIONS), neighbours=K, action_weight=0.5)


def test_far_and_error_are_those_of_brute_force() -> None:
    def place(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [states / (STATES.numpy().std(0) * np.sqrt(2)), 0.5 * actions / ACTIONS.numpy().std(0)], axis=1
        )

    points = place(STATES.numpy(), ACTIONS.numpy())
    among = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 1 : K + 1].mean(1)
    path = rollout(model, START, PLANS).numpy()
    far = np.zeros((B, T))
    for t in range(T):
        gaps = np.linalg.norm(place(path[:, t], PLANS[:, t].numpy())[:, None] - points[None], axis=2)
        far[:, t] = np.sort(gaps, axis=1)[:, :K].mean(1)
    found = SEEN.features(VIEW, PLANS)
    # The unit is the median of every (N // 512)th transition, here of all.
    np.testing.assert_allclose(found["far"], far.max(1) / np.median(among), rtol=1e-6)
    np.testing.assert_allclose(found["error"], np.full(B, T * np.hypot(0.5, 1.0)), rtol=1e-9)
    assert len(SEEN) == N


def test_a_rollout_told_of_a_constant_error_is_the_world_s() -> None:
    true = distance(rollout(world, START, PLANS)[:, -1], VIEW.goal)
    torch.testing.assert_close(SEEN.features(VIEW, PLANS)["corrected"], true)
    assert (true - distance(rollout(model, START, PLANS)[:, -1], VIEW.goal)).abs().min() > 1e-3
    exact = Transitions(model, STATES, ACTIONS, model(STATES, ACTIONS), neighbours=K)
    found = exact.features(VIEW, PLANS)
    assert not found["error"].any()
    torch.testing.assert_close(found["corrected"], distance(rollout(model, START, PLANS)[:, -1], VIEW.goal))


def test_what_lies_outside_the_data_is_farther() -> None:
    inside = SEEN.features(VIEW, PLANS)["far"]
    outside = SEEN.features(VIEW, PLANS + 20.0)["far"]
    assert bool((outside > 3 * inside).all())


def test_errors_count_where_they_are() -> None:
    """The model is wrong for positive states only, and plans that stay below see no error."""

    def step(state: Tensor, action: Tensor) -> Tensor:
        return model(state, action) + torch.where(state[:, :1] > 0, 1.0, 0.0)

    seen = Transitions(model, STATES, ACTIONS, step(STATES, ACTIONS), neighbours=K)
    start = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    view = PlanningProblem(model, start, torch.zeros_like(start), 1, 1)
    error = seen.features(view, torch.zeros(2, 1, 1, dtype=torch.float64))["error"]
    assert error[0] == 0
    assert error[1] == pytest.approx(np.sqrt(2.0))


def test_pictures_as_states_and_what_diverges() -> None:
    def explode(state: Tensor, action: Tensor) -> Tensor:
        return state / torch.where(action.view(-1, 1, 1) > 3, 0.0, 1.0)

    states = STATES.view(N, 2, 1)
    seen = Transitions(explode, states, ACTIONS.clamp(-1, 1), states, neighbours=K)
    view = PlanningProblem(explode, START.view(B, 2, 1), torch.zeros(B, 2, 1, dtype=torch.float64), T, 1)
    plans = PLANS.clamp(-1, 1)
    plans[3, 1] = 9.0
    for name, values in seen.features(view, plans).items():
        assert values.isinf().tolist() == [i == 3 for i in range(B)], name


def test_errors() -> None:
    following = world(STATES, ACTIONS)
    eye = torch.eye(2).expand(T, 2, 2).clone()
    for error, named, arguments in (
        (
            ParameterError,
            "same at all times",
            (TimeVaryingLinearDynamics(eye, eye), STATES, ACTIONS, following),
        ),
        (ShapeError, "actions", (model, STATES, ACTIONS[1:], following)),
        (ShapeError, "following", (model, STATES, ACTIONS, following[1:])),
        (ShapeError, "in this order", (model, STATES, following, ACTIONS)),
        (NonFiniteError, "actions", (model, STATES, ACTIONS * torch.inf, following)),
        (DTypeError, "states", (model, STATES.half(), ACTIONS, following)),
    ):
        with pytest.raises(error, match=named):
            Transitions(*arguments)
    with pytest.raises(ParameterError, match="neighbours"):
        Transitions(model, STATES, ACTIONS, following, neighbours=N)
    with pytest.raises(ParameterError, match="action_weight"):
        Transitions(model, STATES, ACTIONS, following, action_weight=-1.0)
    with pytest.raises(ShapeError, match="view"):
        SEEN.features(PlanningProblem(lambda s, a: s, START[:, :1], START[:, :1], T, 1), PLANS)


def test_states_far_from_zero_are_as_near_in_float32() -> None:

    def stay(state: Tensor, action: Tensor) -> Tensor:
        return state + 0.2 * action

    far = {}
    for dtype, offset in ((torch.float64, 0.0), (torch.float32, 100.0)):
        states, start = ((x + offset).to(dtype) for x in (STATES, START))
        actions, plans = ACTIONS.to(dtype), PLANS.to(dtype)
        seen = Transitions(stay, states, actions, stay(states, actions), neighbours=K)
        view = PlanningProblem(stay, start, torch.zeros_like(start), T, 1)
        far[dtype] = seen.features(view, plans)["far"].numpy()
    np.testing.assert_allclose(far[torch.float32], far[torch.float64], rtol=1e-3)
