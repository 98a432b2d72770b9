"""Dynamics: adapters, rollouts and one-step predictions, against numpy and literal recursion."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from system_strategies import horizons, systems, time_varying_systems
from torch import Tensor

from grasp_theory.dynamics import (
    Dynamics,
    LinearDynamics,
    ModelDynamics,
    TimeVaryingDynamics,
    TimeVaryingLinearDynamics,
    as_dynamics,
    one_step_predictions,
    rollout,
    trajectory,
)
from linear_systems import AnySystem, LinearSystem, TimeVaryingLinearSystem
from linear_systems.errors import DTypeError, HorizonError, NonFiniteError, ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape))


class _Residual(torch.nn.Module):
    """A model of pictures: states (N, 2, 3), actions (N, 4), one batch axis only."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 6, dtype=torch.float64)

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        assert state.ndim == 3
        assert action.ndim == 2
        return torch.tanh(state + self.linear(action).reshape(-1, 2, 3))


@given(system=systems(max_n=4, max_m=4), horizon=horizons(8), seed=st.integers(0, 999))
def test_rollout_of_a_linear_system_is_numpys(system: LinearSystem, horizon: int, seed: int) -> None:
    _same_as_numpy(system, horizon, seed)


@given(system=time_varying_systems(max_n=4, max_m=4, max_length=8), seed=st.integers(0, 999))
def test_rollout_of_a_time_varying_system_is_numpys(system: TimeVaryingLinearSystem, seed: int) -> None:
    assert system.length is not None
    _same_as_numpy(system, system.length, seed)


def _same_as_numpy(system: AnySystem, horizon: int, seed: int) -> None:
    start, actions = _draw(seed, 3, system.state_dim), _draw(seed + 1, 3, horizon, system.action_dim)
    found = rollout(system, start, actions)
    expected = system.rollout(start.numpy(), actions.numpy())
    growth = float(np.prod([max(1.0, np.linalg.norm(A, 2)) for A in system.matrices(horizon)[0]]))
    scale = float(np.abs(expected).max() + np.linalg.norm(system.B) * actions.abs().max().item() + 1.0)
    allowance = rounding_allowance(scale, horizon * (system.state_dim + system.action_dim), growth)
    assert np.abs(found.numpy() - expected).max() <= allowance


def test_every_row_of_a_batch_is_that_row_alone() -> None:
    model, start, actions = _Residual(), _draw(0, 5, 2, 3), _draw(1, 5, 7, 4)
    together = rollout(model, start, actions)
    assert together.shape == (5, 8, 2, 3)
    for row in range(5):
        alone = rollout(model, start[row], actions[row])
        torch.testing.assert_close(together[row], alone, rtol=0.0, atol=rounding_allowance(2.0, 4 * 7))


def test_one_initial_state_serves_many_candidates() -> None:
    model, start, actions = _Residual(), _draw(0, 2, 1, 2, 3), _draw(1, 2, 6, 3, 4)
    torch.testing.assert_close(
        rollout(model, start, actions)[1, 4], rollout(model, start[1, 0], actions[1, 4])
    )


def test_checkpointing_changes_neither_states_nor_gradients() -> None:
    model, start, actions = _Residual(), _draw(0, 3, 2, 3), _draw(1, 3, 6, 4)
    results = []
    for checkpoint in (False, True):
        free = actions.clone().requires_grad_()
        states = rollout(model, start, free, checkpoint=checkpoint)
        results.append(
            (states.detach(), *torch.autograd.grad(states.square().sum(), (free, *model.parameters())))
        )
    for plain, checkpointed in zip(*results, strict=True):
        assert torch.equal(plain, checkpointed)


def test_checkpointing_evaluates_the_model_again_in_the_backward_pass() -> None:
    calls = []

    def model(state: Tensor, action: Tensor) -> Tensor:
        calls.append(1)
        return torch.tanh(state + action)

    actions = _draw(0, 4, 2).requires_grad_()
    states = rollout(model, torch.zeros(2, dtype=torch.float64), actions, checkpoint=True)
    assert len(calls) == 4
    states.sum().backward()
    assert len(calls) == 8


def test_a_trajectory_is_the_rollout_and_goes_no_further_than_asked() -> None:
    calls = []

    def model(state: Tensor, action: Tensor) -> Tensor:
        calls.append(1)
        return torch.tanh(state + action)

    start, actions = _draw(0, 3, 2), _draw(1, 3, 4, 2)
    states = torch.stack(list(trajectory(model, start, actions)), 1)
    assert torch.equal(states, rollout(model, start, actions))
    calls.clear()
    states_one_by_one = trajectory(model, start, actions)
    assert torch.equal(next(states_one_by_one), start)
    assert torch.equal(next(states_one_by_one), states[:, 1])
    assert len(calls) == 1


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_a_model_raises_is_told_as_the_dynamics_own(checkpoint: bool) -> None:
    network = torch.nn.Linear(2, 2)

    def model(state: Tensor, action: Tensor) -> Tensor:
        return network(state) + action

    start, actions = torch.zeros(3, 2).double(), torch.zeros(3, 4, 2)
    for inputs, hint in (
        (actions, r"actions\.to\(states\)"),
        (actions.double(), r"the model, \.to\(torch\.float64\)"),
    ):
        words = (
            rf"dynamics: expected a function that takes \(3, 2\) and \(3, 2\) of .* RuntimeError: .*{hint}"
        )
        with pytest.raises(ParameterError, match=words) as caught:
            rollout(model, start, inputs, checkpoint=checkpoint)
        assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ParameterError, match=r"dynamics: .*RuntimeError"):
        one_step_predictions(model, torch.zeros(3, 5, 2).double(), actions)


def test_an_error_of_the_models_own_and_the_end_of_the_memory_pass() -> None:
    class StopHere(Exception):
        pass

    for error in (StopHere, torch.OutOfMemoryError):

        def model(state: Tensor, action: Tensor, error: type[Exception] = error) -> Tensor:
            raise error

        with pytest.raises(error):
            rollout(model, torch.zeros(1, 2), torch.zeros(1, 3, 2))


def test_a_rollout_within_a_checkpoint_is_recomputed() -> None:
    """Torch stops the second pass, when it has all that it needs, by an exception through the model."""
    weight = torch.eye(2).requires_grad_()

    def rolled(actions: Tensor) -> Tensor:
        return rollout(lambda s, a: torch.tanh(s @ weight + a), torch.zeros(2), actions)

    actions = torch.ones(3, 2).requires_grad_()
    found = torch.autograd.grad(
        torch.utils.checkpoint.checkpoint(rolled, actions, use_reentrant=False).sum(), actions
    )
    assert torch.equal(found[0], torch.autograd.grad(rolled(actions).sum(), actions)[0])


def test_noise_is_added_after_each_step() -> None:
    system = LinearSystem([[0.5]], [[1.0]])
    noise = torch.tensor([[1.0], [10.0]], dtype=torch.float64)
    states = rollout(system, torch.tensor([2.0]).double(), torch.zeros(2, 1).double(), noise=noise)
    assert states.flatten().tolist() == [2.0, 2.0, 11.0]


@given(system=time_varying_systems(max_n=3, max_m=3, max_length=6), seed=st.integers(0, 999))
def test_one_step_predictions_of_a_rollout_are_its_next_states(
    system: TimeVaryingLinearSystem, seed: int
) -> None:
    assert system.length is not None
    start, actions = _draw(seed, 2, system.state_dim), _draw(seed + 1, 2, system.length, system.action_dim)
    states = rollout(system, start, actions)
    predictions = one_step_predictions(system, states, actions)
    scale = float(states.abs().max()) * (1.0 + float(np.abs(system.A).max())) + 10.0
    torch.testing.assert_close(predictions, states[:, 1:], rtol=0.0, atol=rounding_allowance(scale, 6))


def test_one_step_predictions_evaluate_the_model_once() -> None:
    batches = []

    def model(state: Tensor, action: Tensor) -> Tensor:
        batches.append(len(state))
        return state

    one_step_predictions(model, _draw(0, 2, 5, 3), _draw(1, 2, 4, 1))
    assert batches == [8]


def test_as_dynamics_adapts_and_is_idempotent() -> None:
    invariant = as_dynamics(LinearSystem([[1.0]], [[1.0]]))
    varying = as_dynamics(TimeVaryingLinearSystem([[[1.0]]], [[[1.0]]]))
    adapted = as_dynamics(_Residual())
    assert isinstance(invariant, LinearDynamics)
    assert isinstance(varying, TimeVaryingDynamics)
    assert isinstance(adapted, ModelDynamics)
    assert isinstance(adapted, Dynamics)
    for dynamics in (invariant, varying, adapted):
        assert as_dynamics(dynamics) is dynamics
    with pytest.raises(ParameterError, match="model: expected a function or module of"):
        # Without the annotation's check at run time, which only these tests switch on.
        inspect.unwrap(as_dynamics)("a name")


def test_linear_dynamics_move_between_types() -> None:
    moved = LinearDynamics(torch.eye(2), torch.ones(2, 1)).to(torch.float64)
    assert moved.step(_draw(0, 4, 2), _draw(1, 4, 1)).dtype == torch.float64


def test_linear_gradients_are_the_matrices() -> None:
    system = LinearSystem([[0.9, 0.1], [0.0, 1.1]], [[0.0], [1.0]])
    dynamics = as_dynamics(system)
    assert isinstance(dynamics, LinearDynamics)
    of_state, of_action = torch.func.jacrev(dynamics.step, argnums=(0, 1))(_draw(0, 2), _draw(1, 1))
    assert of_state.tolist() == system.A.tolist()
    assert of_action.tolist() == system.B.tolist()


def _identity(state: Tensor, action: Tensor) -> Tensor:
    return state


@pytest.mark.parametrize(
    ("start", "actions", "error", "argument"),
    [
        (torch.zeros(2), torch.zeros(3), ShapeError, "actions"),
        (torch.zeros(2), torch.zeros(0, 3), ShapeError, "actions"),
        (torch.zeros(2), torch.zeros(5, 4, 3), ShapeError, "initial_state"),
        (torch.zeros(2, 2), torch.zeros(5, 4, 3), ShapeError, "initial_state"),
        (torch.zeros(2, dtype=torch.int64), torch.zeros(4, 3), DTypeError, "initial_state"),
        (torch.zeros(2), torch.zeros(4, 3, dtype=torch.bool), DTypeError, "actions"),
    ],
)
def test_rollout_refuses_misshapen_input(
    start: Tensor, actions: Tensor, error: type[Exception], argument: str
) -> None:
    with pytest.raises(error, match=f"^{argument}: expected"):
        rollout(_identity, start, actions)


def test_rollout_refuses_noise_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"noise: expected shape \(4, 2\)"):
        rollout(_identity, torch.zeros(2), torch.zeros(4, 1), noise=torch.zeros(4, 3))


def test_predictions_refuse_a_trajectory_of_another_length() -> None:
    with pytest.raises(ShapeError, match="T\\+1 states"):
        one_step_predictions(_identity, torch.zeros(4, 2), torch.zeros(4, 1))


def test_predictions_refuse_actions_without_a_time_axis() -> None:
    with pytest.raises(ShapeError, match=r"^actions: expected shape"):
        one_step_predictions(_identity, torch.zeros(4, 2), torch.zeros(3))


def test_a_model_that_changes_the_state_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match="dynamics: expected next states of shape"):
        rollout(lambda s, a: s[:, :1], torch.zeros(2), torch.zeros(4, 1))


def test_time_varying_dynamics_refuse_longer_plans() -> None:
    with pytest.raises(HorizonError, match="at most 1 steps"):
        rollout(
            TimeVaryingLinearSystem([[[1.0]]], [[[1.0]]]), torch.zeros(1).double(), torch.zeros(2, 1).double()
        )


@pytest.mark.parametrize(
    ("A", "B", "error", "argument"),
    [
        (torch.eye(2, dtype=torch.complex64), torch.ones(2, 1), DTypeError, "A"),
        (torch.eye(2, dtype=torch.int64), torch.ones(2, 1), DTypeError, "A"),
        (torch.eye(2), torch.ones(2, 1).double(), DTypeError, "B"),
        (torch.eye(2), torch.ones(3, 1), ShapeError, "A, B"),
        (torch.ones(2, 3), torch.ones(2, 1), ShapeError, "A, B"),
        (torch.eye(2), torch.full((2, 1), torch.nan), NonFiniteError, "B"),
    ],
)
def test_matrices_that_are_no_system_are_refused(
    A: Tensor, B: Tensor, error: type[Exception], argument: str
) -> None:
    with pytest.raises(error, match=f"^{argument}: expected"):
        LinearDynamics(A, B)
    with pytest.raises(error, match=f"^{argument}: expected"):
        TimeVaryingLinearDynamics(A.unsqueeze(0), B.unsqueeze(0))
