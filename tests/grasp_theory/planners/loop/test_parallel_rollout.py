"""Rollouts, responses and gradients by scans are those of the serial loop, of autograd and of dense matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grasp_theory.dynamics import rollout
from grasp_theory.planners.loop.parallel_rollout import (
    Bidiagonal,
    final_state_jacobian,
    linearise,
    newton_sweep,
    parallel_rollout,
)
from linear_systems.errors import ParameterError

HORIZONS = (1, 2, 3, 5, 8, 13)


class Pendula(torch.nn.Module):
    """Smooth nonlinear dynamics on states of any shape."""

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        size = torch.Size(shape).numel()
        self.shape = shape
        self.mix = 0.5 * torch.randn(size, size, dtype=torch.float64)
        self.push = torch.randn(size, actions, dtype=torch.float64)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        flat = state.flatten(-len(self.shape))
        return (flat + 0.3 * torch.tanh(flat @ self.mix.T + action @ self.push.T)).view(state.shape)


def example(shape: tuple[int, ...], horizon: int) -> tuple[Pendula, Tensor, Tensor]:
    model = Pendula(shape, 2)
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    return model, start, torch.randn(3, horizon, 2, generator=generator, dtype=torch.float64)


def line(start: Tensor, horizon: int) -> Tensor:
    return start.unsqueeze(1).repeat(1, horizon + 1, *[1] * (start.ndim - 1))


@pytest.mark.parametrize("horizon", HORIZONS)
def test_solves_are_those_of_the_dense_matrix(horizon: int) -> None:
    torch.manual_seed(2)
    blocks = torch.randn(2, horizon, 3, 3, dtype=torch.float64)
    sources = torch.randn(2, horizon, 3, 4, dtype=torch.float64)
    dense = torch.eye(3 * horizon, dtype=torch.float64).repeat(2, 1, 1)
    for t in range(1, horizon):
        dense[:, 3 * t : 3 * t + 3, 3 * t - 3 : 3 * t] = -blocks[:, t]
    system, flat = Bidiagonal(blocks), sources.flatten(1, 2)
    torch.testing.assert_close(dense @ system.solve(sources).flatten(1, 2), flat)
    torch.testing.assert_close(dense.mT @ system.solve_transposed(sources).flatten(1, 2), flat)


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_jacobians_are_autograds(shape: tuple[int, ...]) -> None:
    model, start, actions = example(shape, 4)
    states = line(start, 4) + torch.randn(3, 5, *shape, dtype=torch.float64)
    linear = linearise(model.step, states, actions)
    size = start[0].numel()
    for row in range(3):
        for t in range(4):
            A, B = torch.autograd.functional.jacobian(model.step, (states[row, t], actions[row, t]))
            torch.testing.assert_close(linear.by_states[row, t], A.reshape(size, size))
            torch.testing.assert_close(linear.by_actions[row, t], B.reshape(size, 2))
    following = torch.stack([model.step(states[:, t], actions[:, t]) for t in range(4)], 1)
    torch.testing.assert_close(linear.defects, (following - states[:, 1:]).flatten(2))


@pytest.mark.parametrize("horizon", HORIZONS)
def test_newtons_rollout_is_the_rollout(horizon: int) -> None:
    model, start, actions = example((3,), horizon)
    states, converged = parallel_rollout(model.step, line(start, horizon), actions, sweeps=horizon + 1)
    assert converged.all()
    torch.testing.assert_close(states, rollout(model, start, actions), rtol=1e-4, atol=1e-4)


def test_each_sweep_makes_one_more_state_exact_and_the_error_is_squared_near_the_rollout() -> None:
    model, start, actions = example((3,), 6)
    truth, states = rollout(model, start, actions), line(start, 6)
    for sweep in range(1, 4):
        states, _ = newton_sweep(model.step, states, actions)
        torch.testing.assert_close(states[:, : sweep + 1], truth[:, : sweep + 1])
    errors = []
    for distance in (1e-2, 1e-4):
        guess = truth.clone()
        guess[:, 1:] += distance * torch.ones_like(guess[:, 1:])
        errors.append(float((newton_sweep(model.step, guess, actions)[0] - truth).abs().max()))
    assert errors[1] < 2e-4 * errors[0]


def test_rows_that_do_not_settle_say_so() -> None:
    def explode(states: Tensor, actions: Tensor) -> Tensor:
        return states * states.square().sum(-1, keepdim=True) + actions

    start = torch.tensor([[0.0, 0.0], [9.0, 9.0]], dtype=torch.float64)
    actions = torch.full((2, 12, 2), 0.1, dtype=torch.float64)
    states, converged = parallel_rollout(explode, line(start, 12), actions, sweeps=6)
    assert converged.tolist() == [True, False]
    torch.testing.assert_close(states[0], rollout(explode, start, actions)[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_final_states_jacobian_is_autograds_and_its_pullback_the_rollouts_gradient(horizon: int) -> None:
    model, start, actions = example((3,), horizon)
    states = rollout(model, start, actions)
    linear = linearise(model.step, states, actions)
    _, by_actions = final_state_jacobian(Bidiagonal(linear.by_states), linear.by_actions)

    def final(plan: Tensor) -> Tensor:
        return rollout(model, start[:1], plan)[0, -1]

    dense = torch.autograd.functional.jacobian(final, actions[:1])
    torch.testing.assert_close(by_actions[0], dense[:, 0].movedim(0, 1))

    gap = 2 * (states[:, -1] - 1.0)
    at_the_end = torch.zeros_like(linear.defects).unsqueeze(3)
    at_the_end[:, -1, :, 0] = gap
    adjoint = Bidiagonal(linear.by_states).solve_transposed(at_the_end)
    gradient = (linear.by_actions.mT @ adjoint).squeeze(3)
    leaf = actions.clone().requires_grad_()
    loss = (rollout(model, start, leaf)[:, -1] - 1.0).square().sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, leaf)[0])


def test_a_backward_pass_that_cannot_be_taken_several_times_is_named() -> None:
    class Spent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, state, action):
            return state + action

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("taken twice. Sorry")

    with pytest.raises(ParameterError, match="taken twice"):
        linearise(Spent.apply, torch.zeros(1, 4, 2), torch.zeros(1, 3, 2))
