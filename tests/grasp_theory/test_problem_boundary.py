"""What is taken at the door of `PlanningProblem`, and what is refused with the argument's name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grasp_theory import CEM, Balls, Box, PlanningProblem, control, diagnose, rollout
from grasp_theory.dynamics import Model
from grasp_theory.objectives import dynamics_loss
from grasp_theory.trust.agreement import agreement
from linear_systems.errors import DTypeError, InvalidInputError, NonFiniteError, ParameterError, ShapeError

Z = torch.zeros


def _add(state: Tensor, action: Tensor) -> Tensor:
    return state + action


def _decay(state: Tensor, action: Tensor) -> Tensor:
    return 0.5 * state + torch.tanh(action)


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
    with pytest.raises(ShapeError, match=r"reached: expected booleans of shape \(1,\), found True"):
        _problem(reached=lambda s, g: True)
    with pytest.raises(
        ShapeError, match=r"found shape \(2,\).*given 1 rows, and should use its arguments alone"
    ):
        _problem(reached=lambda s, g: torch.ones(2, dtype=torch.bool))


@pytest.mark.parametrize("name", ["reached", "stage_cost", "goal_distance"])
@pytest.mark.parametrize("function", [lambda s: s, lambda s, g, x: s, 0.4, Z(2), bool])
def test_what_is_no_function_of_two_is_told_with_its_arguments(name: str, function: object) -> None:
    names = "states, actions" if name == "stage_cost" else "states, goals"
    with pytest.raises(
        ParameterError, match=rf"^{name}: expected a function of \({names}\), or None"
    ) as caught:
        _problem(**{name: function})
    if inspect.isfunction(function):
        assert str(inspect.signature(function)) in caught.value.found


@pytest.mark.parametrize(
    ("reached", "found"),
    [
        (lambda s, g: True, "True"),
        (lambda s, g: None, "None"),
        (lambda s, g: (s - g).norm() < 1, "shape () of torch.bool"),
        (lambda s, g: (s - g).abs() < 1, "shape (1, 2) of torch.bool"),
        (lambda s, g: (s - g).norm(dim=1), "shape (1,) of torch.float32"),
        (lambda s, g: (s[0] - g[0]).abs() < 1, "shape (2,) of torch.bool"),
        (lambda s, g: np.zeros(len(s)), "shape (1,) of float64"),
        (lambda s, g: [0.5] * len(s), "shape (1,) of float64"),
        (lambda s, g: [[True], [True, False]], "shape () of object"),
        (lambda s, g: Z(1).bool(), "shape (1,) of torch.bool"),  # one answer, whatever the number of states
    ],
)
def test_answers_of_reached_are_looked_at_when_the_problem_is_made(reached: object, found: str) -> None:
    with pytest.raises(ShapeError) as caught:
        _problem(reached=reached)
    assert (caught.value.argument, caught.value.found) == ("reached", found)


@pytest.mark.parametrize("answer", [np.asarray, Tensor.tolist, Tensor.clone])
def test_answers_of_reached_may_be_arrays_and_lists_everywhere(answer: Callable[[Tensor], object]) -> None:
    problem = _problem(_decay, reached=lambda s, g: answer((s - g).norm(dim=1) < 9.0))
    actions = Z(2, 3, 2)
    assert agreement({"one": problem}, actions)["believers"].tolist() == [1.0, 1.0]
    assert diagnose(problem, actions=actions, errors=0.1).reach.idle == 2
    assert control(CEM(iterations=1), problem, _decay).reached.all()
    assert CEM(iterations=1).plan(problem).reached.all()


@pytest.mark.parametrize("name", ["reached", "stage_cost", "goal_distance"])
def test_what_a_function_raises_is_told_as_its_own(name: str) -> None:
    def ambiguous(states: Tensor, others: Tensor) -> Tensor:  # fine for one state
        return Z(1) if (states - others).norm(dim=1) < 1 else Z(1) + 1

    with pytest.raises(ParameterError, match=rf"{name}: .* found RuntimeError: Boolean value of") as caught:
        _problem(**{name: ambiguous if name != "reached" else lambda s, g: ambiguous(s, g).bool()})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_plan_without_a_goal_region_does_not_say_that_none_is_believed() -> None:
    plan = replace(CEM(iterations=1), max_rows=1).plan(_problem())
    assert "of them believed" not in repr(plan)
    assert "the problem has no `reached`" in repr(plan)
    known = CEM(iterations=1).plan(_problem(reached=lambda s, g: (s - g).norm(dim=1) < 0))
    assert "0 of them believed" in repr(known)


LINEAR = nn.Linear(4, 2)


class _Predictor(nn.Module):
    def forward(self, emb: Tensor, act: Tensor, steps: int) -> Tensor:
        return emb


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (lambda s, a: {"emb": s, "cost": a}, ShapeError, r"a dict with 'emb', 'cost'.*model\(state, action\)\['emb'\]"),
        (lambda s, a: (s, a), ShapeError, r"found a tuple of 2.*\(state, action\)\[0\]"),
        (lambda s, a: s.numpy(), ShapeError, "found a numpy array.*compute with torch"),
        (lambda s, a: s.astype(float) + a, ParameterError, "no attribute 'astype'.*compute with torch"),
        (lambda s, a: s + a.double(), DTypeError, r"next states of torch.float32.*found torch.float64.*convert"),
        (lambda s, a: s + nn.functional.one_hot(a[:, 0], 2), ParameterError, r"states and actions are real numbers"),
        (_Predictor(), ParameterError, r"of type _Predictor that takes \(emb, act, steps\).*lambda state, action"),
        (_Predictor, ParameterError, r"found the class _Predictor. Try: make one: _Predictor\("),
        (lambda s, a: (s + a)[:1], ShapeError, r"of shape \(2, 3\), that of the states, found shape \(1, 3\).*\(N, \*S\)"),
        (lambda s, a: s.mean(0, keepdim=True), ShapeError, r"found shape \(1, 3\)"),
        (lambda s, a: (s + a).squeeze(0), ShapeError, r"found shape \(3,\)"),
    ],
)  # fmt: skip
def test_models_that_return_something_else_are_told_what_to_return(
    model: Model, error: type[InvalidInputError], words: str
) -> None:
    with pytest.raises(error, match=words):
        _problem(model, initial_state=Z(4, 3), goal=Z(4, 3), action_dim=3)


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
        ({"action_bounds": (-np.ones(3), np.ones(3))}, ShapeError, "action_bounds"),
        ({"action_set": Box(-1.0, torch.ones(3))}, ShapeError, "action_set"),
        ({"action_bounds": (-1.0, 1.0), "action_set": Box(-1.0, 1.0)}, ParameterError, "action_bounds"),
        ({"action_set": Balls(1.0, 3)}, ShapeError, "action_set"),
        ({"action_set": object()}, ParameterError, "action_set"),
        ({"stage_cost": lambda s, a: s}, ShapeError, "stage_cost"),
        ({"goal_distance": lambda s, g: 1.0}, ShapeError, "goal_distance"),
        ({"goal_distance": lambda s, g: (s - g).norm(dim=1) / 0 * 0}, NonFiniteError, "goal_distance"),
        ({"stage_cost": lambda s, a: (s.sum(1) - 1).log()}, NonFiniteError, "stage_cost"),
        ({"dynamics": lambda s, a: (s, a)}, ShapeError, "dynamics"),
        ({"dynamics": _network, "action_dim": 5}, ShapeError, "action_dim"),
        (
            {"dynamics": _network, "initial_state": Z(2, 2).double(), "goal": Z(2, 2).double()},
            DTypeError, "initial_state",
        ),
        ({"dynamics": lambda s, a: s @ Z(7, 7)}, ParameterError, "dynamics"),
        ({"initial_state": Z(2, 2).long()}, DTypeError, "initial_state"),
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
    with pytest.raises(
        ShapeError, match=r"action_bounds: expected bounds of 2 components.*found shapes \(3,\)"
    ):
        _problem(action_bounds=(-np.ones(3), np.ones(3)))
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


@pytest.mark.parametrize(
    ("mark", "rows"), [("_torchdynamo_orig_callable", [1]), ("none_of_the_compiler", [1, 2])]
)
def test_a_compiled_model_is_tried_on_one_state_only(mark: str, rows: list[int]) -> None:
    """It is compiled anew for each number of rows, and a limited number of times."""
    seen: list[int] = []

    def step(state: Tensor, action: Tensor) -> Tensor:
        seen.append(len(state))
        return state

    setattr(step, mark, step)
    _problem(step)
    assert seen == rows
