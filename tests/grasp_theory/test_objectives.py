"""The planning objectives against literal sums, and their gradients with and without stop-gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from system_strategies import systems
from torch import Tensor

from grasp_theory.dynamics import rollout
from grasp_theory.objectives import dynamics_loss, goal_loss, lifted_loss, rollout_loss
from linear_systems import LinearSystem, lifted
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance

HORIZON = 4


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape))


def _model(state: Tensor, action: Tensor) -> Tensor:
    """A smooth model of states (N, 2, 2) and actions (N, 3)."""
    mixed = state.flatten(1) @ _draw(90, 4, 4) + action @ _draw(91, 3, 4)
    return torch.tanh(mixed).reshape(state.shape)


def _problem(batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    return _draw(0, batch, HORIZON + 1, 2, 2), _draw(1, batch, HORIZON, 3), _draw(2, batch, 2, 2)


def _sums(states: Tensor, actions: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    """Return ‖F(s_t, a_t) − s_{t+1}‖² and ‖F(s_t, a_t) − g‖² for one problem, (T,) each, step by step."""
    consistency, shaping = [], []
    for t in range(HORIZON):
        predicted = _model(states[None, t], actions[None, t])[0]
        consistency.append(((predicted - states[t + 1]) ** 2).sum())
        shaping.append(((predicted - goal) ** 2).sum())
    return torch.stack(consistency), torch.stack(shaping)


@pytest.mark.parametrize("stop", [False, True])
def test_values_are_the_sums_of_the_equations(stop: bool) -> None:
    states, actions, goal = _problem()
    weights = [0.0, 0.5, 1.0, 2.0]
    found = {
        "dynamics": dynamics_loss(_model, states, actions, stop_state_gradient=stop),
        "goal": goal_loss(_model, states, actions, goal, stop_state_gradient=stop),
        "one weight": lifted_loss(_model, states, actions, goal, 0.7, stop_state_gradient=stop),
        "T weights": lifted_loss(_model, states, actions, goal, weights, stop_state_gradient=stop),
    }
    for row in range(3):
        consistency, shaping = _sums(states[row], actions[row], goal[row])
        expected = {
            "dynamics": consistency.sum(),
            "goal": shaping.sum(),
            "one weight": consistency.sum() + 0.7 * shaping.sum(),
            "T weights": consistency.sum() + shaping @ torch.tensor(weights, dtype=torch.float64),
        }
        for name, value in expected.items():
            torch.testing.assert_close(found[name][row], value, rtol=1e-13, atol=0.0)


def test_rollout_loss_is_the_squared_distance_of_the_last_state() -> None:
    states, actions, goal = _problem()
    found = rollout_loss(_model, states[:, 0], actions, goal)
    final = rollout(_model, states[:, 0], actions)[:, -1]
    torch.testing.assert_close(found, (final - goal).square().sum((1, 2)))
    assert torch.equal(found, rollout_loss(_model, states[:, 0], actions, goal, checkpoint=True))


@given(system=systems(max_n=4, max_m=4), seed=st.integers(0, 999))
def test_on_linear_systems_the_dynamics_loss_is_the_lifted_quadratic(system: LinearSystem, seed: int) -> None:
    n, m = system.state_dim, system.action_dim
    states, actions = _draw(seed, HORIZON + 1, n), _draw(seed + 1, HORIZON, m)
    found = float(dynamics_loss(system, states, actions, stop_state_gradient=False))
    M = lifted.residual_matrix(system, HORIZON).toarray()
    right = lifted.right_hand_side(system, HORIZON, states[0].numpy(), states[-1].numpy())
    z = np.concatenate([states[1:-1].numpy().ravel(), actions.numpy().ravel()])
    residual = M @ z - right
    scale = float((np.abs(M) @ np.abs(z) + np.abs(right)).max() ** 2 * len(residual))
    assert abs(found - float(residual @ residual)) <= rounding_allowance(scale, len(z))


def test_a_feasible_trajectory_has_no_dynamics_loss() -> None:
    states, actions, _ = _problem()
    feasible = rollout(_model, states[:, 0], actions)
    assert dynamics_loss(_model, feasible, actions, stop_state_gradient=False).abs().max() <= 1e-28


def test_with_stop_gradient_a_state_feels_only_the_step_before_it() -> None:
    states, actions, goal = _problem()
    states.requires_grad_()
    value = lifted_loss(_model, states, actions, goal, 0.5, stop_state_gradient=True)
    gradient = torch.autograd.grad(value.sum(), states)[0]
    with torch.no_grad():
        predictions = torch.stack([_model(states[:, t], actions[:, t]) for t in range(HORIZON)], dim=1)
    assert torch.equal(gradient[:, 0], torch.zeros_like(gradient[:, 0]))
    torch.testing.assert_close(gradient[:, 1:], 2.0 * (states[:, 1:] - predictions).detach())


def test_without_stop_gradient_the_state_input_is_differentiated_too() -> None:
    states, actions, _ = _problem()
    gradients = []
    for stop in (False, True):
        free = states.clone().requires_grad_()
        value = dynamics_loss(_model, free, actions, stop_state_gradient=stop)
        gradients.append(torch.autograd.grad(value.sum(), free)[0])
    assert gradients[0][:, 0].abs().max() > 0.1
    assert not torch.allclose(gradients[0][:, 1:-1], gradients[1][:, 1:-1])
    # s_T enters no model evaluation, so both agree there.
    torch.testing.assert_close(gradients[0][:, -1], gradients[1][:, -1])


def test_the_action_gradients_are_the_same_with_and_without_stop_gradient() -> None:
    states, actions, goal = _problem()
    gradients = []
    for stop in (False, True):
        free = actions.clone().requires_grad_()
        value = lifted_loss(_model, states, free, goal, 0.5, stop_state_gradient=stop)
        gradients.append(torch.autograd.grad(value.sum(), free)[0])
    assert torch.equal(*gradients)


def test_one_model_evaluation_serves_both_sums() -> None:
    calls = []

    def counted(state: Tensor, action: Tensor) -> Tensor:
        calls.append(len(state))
        return _model(state, action)

    states, actions, goal = _problem()
    lifted_loss(counted, states, actions, goal, 0.5, stop_state_gradient=True)
    assert calls == [3 * HORIZON]


def test_one_goal_serves_a_batch() -> None:
    states, actions, goal = _problem()
    one = goal_loss(_model, states, actions, goal[:1], stop_state_gradient=True)
    many = goal_loss(_model, states, actions, goal[:1].expand(3, 2, 2), stop_state_gradient=True)
    assert torch.equal(one, many)


@pytest.mark.parametrize("goal_shape", [(2, 2), (3, 2), (3, 1, 2), (2, 2, 2), (3, 5, 2, 2)])
def test_a_goal_of_another_shape_is_refused(goal_shape: tuple[int, ...]) -> None:
    states, actions, _ = _problem()
    with pytest.raises(ShapeError, match=r"^goal: expected shape"):
        goal_loss(_model, states, actions, torch.zeros(goal_shape).double(), stop_state_gradient=True)
    with pytest.raises(ShapeError, match=r"^goal: expected shape"):
        rollout_loss(_model, states[:, 0], actions, torch.zeros(goal_shape).double())


@pytest.mark.parametrize(
    ("weight", "error"), [(-0.1, ParameterError), ([1.0, 1.0], ShapeError), (True, DTypeError)]
)
def test_a_goal_weight_outside_its_domain_is_refused(weight: object, error: type[Exception]) -> None:
    states, actions, goal = _problem()
    with pytest.raises(error, match=r"^goal_weight: expected"):
        lifted_loss(_model, states, actions, goal, weight, stop_state_gradient=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("goal", "error"),
    [
        (torch.zeros(2, dtype=torch.complex64), DTypeError),
        (torch.zeros(2, dtype=torch.int64), DTypeError),
        (torch.full((2,), torch.nan), NonFiniteError),
    ],
)
def test_goals_that_are_no_states_are_refused(goal: Tensor, error: type[Exception]) -> None:
    states, actions = torch.zeros(4, 2), torch.zeros(3, 2)

    def model(state: Tensor, action: Tensor) -> Tensor:
        return state + action

    with pytest.raises(error, match=r"^goal: expected"):
        rollout_loss(model, states[0], actions, goal)
    with pytest.raises(error, match=r"^goal: expected"):
        goal_loss(model, states, actions, goal, stop_state_gradient=True)
    with pytest.raises(error, match=r"^goal: expected"):
        lifted_loss(model, states, actions, goal, 0.1, stop_state_gradient=True)
