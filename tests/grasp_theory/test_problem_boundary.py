"""What is taken at the door of `PlanningProblem`, and what is refused with the argument's name."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grasp_theory import CEM, Balls, Box, PlanningProblem, rollout
from grasp_theory.dynamics import Model
from grasp_theory.objectives import dynamics_loss
from linear_systems.errors import DTypeError, InvalidInputError, ParameterError, ShapeError

Z = torch.zeros


def _add(state: Tensor, action: Tensor) -> Tensor:
    return state + action


def _problem(model: Model = _add, **changes: object) -> PlanningProblem:
    given = {"initial_state": Z(2, 2), "goal": Z(2, 2) + 1, "horizon": 3, "action_dim": 2}
    return PlanningProblem(model, **{**given, **changes})  # type: ignore[arg-type]


def test_harmless_types_are_taken() -> None:
    expected = CEM(iterations=2).plan(_problem(seeds=torch.tensor([4, 5])))
    found = CEM(iterations=2).plan(
        _problem(
            initial_state=np.zeros((2, 2), dtype=np.float32), goal=[[1, 1], [1, 1]], horizon=np.int64(3),
            action_dim=np.int64(2), seeds=[4, 5], initial_actions=np.zeros((2, 3, 2)),
        )
    )  # fmt: skip
    assert torch.equal(found.actions, expected.actions)
    assert _problem(initial_state=[[0, 0]], goal=((1, 1),)).initial_state.dtype == torch.float32


def test_an_array_is_copied_and_a_tensor_of_inference_mode_can_be_planned_from() -> None:
    array = np.zeros((2, 2))
    problem = _problem(initial_state=array, goal=array)
    array += 1
    assert (problem.initial_state == 0).all()
    with torch.inference_mode():
        start = Z(2, 2)
    assert not _problem(initial_state=start).initial_state.is_inference()


def test_answers_that_are_not_tensors() -> None:
    fine = _problem(reached=lambda s, g: np.ones(len(s), dtype=bool))
    assert CEM(iterations=1).plan(fine).reached.all()
    with pytest.raises(ShapeError, match="reached: expected 2 booleans"):
        CEM(iterations=1).plan(_problem(reached=lambda s, g: True))


LINEAR = nn.Linear(4, 2)


def _network(state: Tensor, action: Tensor) -> Tensor:
    found: Tensor = LINEAR(torch.cat([state, action], dim=1))
    return found


@pytest.mark.parametrize(
    ("changes", "error", "argument"),
    [
        ({"initial_state": {"position": 1.0}}, DTypeError, "initial_state"),
        ({"initial_state": (Z(2, 2), Z(2, 2))}, DTypeError, "initial_state"),
        ({"initial_state": Z(2, 2).to_sparse()}, DTypeError, "initial_state"),
        ({"initial_state": np.ma.masked_array(np.zeros((2, 2)))}, DTypeError, "initial_state"),
        ({"initial_state": Z(2, 2, dtype=torch.float16)}, DTypeError, "initial_state"),
        ({"initial_state": Z(2, 2, dtype=torch.bfloat16)}, DTypeError, "initial_state"),
        ({"initial_state": Z(2, 2, dtype=torch.complex64)}, DTypeError, "initial_state"),
        ({"initial_state": Z(2, 2, device="meta"), "goal": Z(2, 2, device="meta")}, ParameterError, "initial_state"),
        ({"goal": Z(2, 2, dtype=torch.float16)}, DTypeError, "goal"),
        ({"goal": "somewhere"}, DTypeError, "goal"),
        ({"seeds": [0.5, 1.0]}, ShapeError, "seeds"),
        ({"seeds": [True, False]}, ShapeError, "seeds"),
        ({"action_bounds": (torch.nan, 1.0)}, InvalidInputError, "action_bounds"),
        ({"action_bounds": 3.0}, ParameterError, "action_bounds"),
        ({"action_bounds": (-1.0, 1.0), "action_set": Box(-1.0, 1.0)}, ParameterError, "action_bounds"),
        ({"action_set": Balls(1.0, 3)}, ShapeError, "action_set"),
        ({"action_set": object()}, ParameterError, "action_set"),
        ({"stage_cost": lambda s, a: s}, ShapeError, "stage_cost"),
        ({"goal_distance": lambda s, g: 1.0}, ShapeError, "goal_distance"),
        ({"dynamics": lambda s, a: (s, a)}, ShapeError, "dynamics"),
        ({"dynamics": _network, "action_dim": 5}, ShapeError, "action_dim"),
        (
            {"dynamics": _network, "initial_state": Z(2, 2).double(), "goal": Z(2, 2).double()},
            DTypeError, "initial_state",
        ),
        ({"dynamics": lambda s, a: s @ Z(7, 7)}, ParameterError, "dynamics"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(
    changes: dict[str, object], error: type[InvalidInputError], argument: str
) -> None:
    model = changes.pop("dynamics", _add)
    with pytest.raises(error) as caught:
        _problem(model, **changes)  # type: ignore[arg-type]
    assert caught.value.argument == argument


def test_the_hint_says_what_the_model_takes() -> None:
    with pytest.raises(ShapeError, match="action_dim: expected 2, which the model takes, found 5"):
        _problem(_network, action_dim=5)
    with pytest.raises(DTypeError, match=r"expected torch.float32, which the model takes"):
        _problem(_network, initial_state=Z(2, 2).double(), goal=Z(2, 2).double())


def test_a_model_that_writes_into_its_input_is_refused_and_the_start_untouched() -> None:
    start = Z(2, 2)
    with pytest.raises(ParameterError, match="writes into"):
        _problem(lambda s, a: s.add_(a), initial_state=start)
    assert (start == 0).all()
    with pytest.raises(ParameterError, match="writes into"):
        rollout(lambda s, a: s.add_(a), Z(1, 2), torch.ones(1, 3, 2))
    with pytest.raises(ParameterError, match="writes into"):
        rollout(lambda s, a: s + a.mul_(2), Z(1, 2), torch.ones(1, 3, 2))
    with pytest.raises(ParameterError, match="writes into"):
        dynamics_loss(lambda s, a: s.add_(a), Z(1, 4, 2), torch.ones(1, 3, 2), stop_state_gradient=True)


class _Holder:
    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + self.network(action)  # type: ignore[no-any-return]


def _call(network: nn.Module, state: Tensor, action: Tensor) -> Tensor:
    return state + network(action)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "module", [nn.Dropout(0.3), nn.BatchNorm1d(2), nn.Sequential(nn.Tanh(), nn.Dropout(0.3))]
)
def test_modules_in_training_mode_are_named(module: nn.Module) -> None:
    models: list[Model] = [
        lambda s, a: s + module(a), _Holder(module), _Holder(module).step, functools.partial(_call, module),
    ]  # fmt: skip
    kind = type(module[1] if isinstance(module, nn.Sequential) else module).__name__
    for model in models:
        module.train()
        if isinstance(
            module, nn.BatchNorm1d
        ):  # one row has no statistics: the model is warned of before it fails
            with (
                pytest.warns(UserWarning, match=kind),
                pytest.raises(ParameterError, match="Expected more than 1"),
            ):
                _problem(model)
        else:
            with pytest.warns(UserWarning, match=rf"in training mode: .*\({kind}\).*\.eval\(\)"):
                _problem(model)
        module.eval()
        _problem(model)


def test_modules_that_are_the_same_in_training_are_not() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Dropout(0.0)).train()
    _problem(_Holder(network))


def test_a_changed_problem_is_made_from_what_was_given() -> None:
    problem = _problem(action_bounds=(-1.0, 1.0))
    assert replace(problem, horizon=10).start().shape == (2, 10, 2)
    assert replace(problem, action_dim=2, dynamics=lambda s, a: s + a).model is not problem.model
    with pytest.raises(ShapeError, match="initial_actions"):
        replace(_problem(initial_actions=Z(2, 3, 2)), horizon=10)


def test_a_problem_prints_in_one_line() -> None:
    assert repr(_problem()).count("\n") == 0
    assert "2 problems" in repr(_problem())
    assert len(repr(_problem())) < 200
