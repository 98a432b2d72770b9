"""Problems and hyper-parameters that cannot be meant are refused with a typed error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from planner_cases import Pendulum, pendulum_problem

import grasp_theory
from grasp_theory import CEM, CEMGD, GRASP, MPPI, GradientDescent, LatCo, Planner, PlanningProblem
from linear_systems.errors import (
    DTypeError,
    HorizonError,
    InvalidInputError,
    NonFiniteError,
    ParameterError,
    ShapeError,
)
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

DOUBLE = torch.float64


def _problem(**changes: object) -> PlanningProblem:
    return pendulum_problem(3, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "argument"),
    [
        ({"initial_state": torch.zeros(2, dtype=DOUBLE)}, ShapeError, "initial_state"),
        ({"initial_state": torch.zeros(0, 2, dtype=DOUBLE)}, ShapeError, "initial_state"),
        ({"initial_state": torch.zeros(3, 2, dtype=torch.long)}, DTypeError, "initial_state"),
        ({"initial_state": torch.full((3, 2), torch.nan, dtype=DOUBLE)}, NonFiniteError, "initial_state"),
        ({"goal": torch.zeros(3, 3, dtype=DOUBLE)}, ShapeError, "goal"),
        ({"goal": torch.zeros(1, 2, dtype=DOUBLE)}, ShapeError, "goal"),
        ({"goal": torch.zeros(3, 2)}, DTypeError, "goal"),
        ({"goal": torch.full((3, 2), torch.inf, dtype=DOUBLE)}, NonFiniteError, "goal"),
        ({"goal": torch.zeros(3, 2, dtype=DOUBLE, device="meta")}, ParameterError, "goal"),
        ({"horizon": 0}, HorizonError, "horizon"),
        ({"action_dim": 0}, ParameterError, "action_dim"),
        ({"initial_actions": torch.zeros(3, 7, 1, dtype=DOUBLE)}, ShapeError, "initial_actions"),
        ({"initial_actions": torch.full((3, 8, 1), torch.nan)}, NonFiniteError, "initial_actions"),
        ({"action_bounds": (1.0, -1.0)}, ParameterError, "action_bounds"),
        ({"action_bounds": (torch.zeros(2), 1.0)}, ShapeError, "action_bounds"),
        ({"seeds": torch.arange(2)}, ShapeError, "seeds"),
        ({"seeds": torch.zeros(3)}, ShapeError, "seeds"),
    ],
)
def test_a_bad_problem_gets_its_error(
    changes: dict[str, object], error: type[InvalidInputError], argument: str
) -> None:
    with pytest.raises(error) as caught:
        _problem(**changes)
    assert caught.value.argument == argument


def test_a_model_of_another_shape_is_refused() -> None:
    class Wrong:
        def step(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return state[..., :1]

    with pytest.raises(ShapeError, match="next state"):
        _problem(dynamics=Wrong())


def test_a_time_varying_system_limits_the_horizon() -> None:
    system = TimeVaryingLinearSystem(np.ones((4, 2, 2)), np.ones((4, 2, 1)))
    with pytest.raises(HorizonError, match="at most 4"):
        _problem(dynamics=system)
    plan = GRASP(iterations=3).plan(_problem(dynamics=system, horizon=4, initial_actions=None))
    assert plan.actions.shape == (3, 4, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_linear_system_follows_the_states(dtype: torch.dtype) -> None:
    system = LinearSystem(np.eye(2), np.ones((2, 1)))
    problem = PlanningProblem(system, torch.zeros(1, 2, dtype=dtype), torch.ones(1, 2, dtype=dtype), 3, 1)
    assert GradientDescent(iterations=5).plan(problem).states.dtype == dtype


MAKERS: list[tuple[Callable[[], Planner], str]] = [
    (lambda: GRASP(iterations=0), "iterations"),
    (lambda: GRASP(restarts=0), "restarts"),
    (lambda: GRASP(check_every=0), "check_every"),
    (lambda: GRASP(time_limit=0.0), "time_limit"),
    (lambda: GRASP(restarts=4, max_rows=3), "max_rows"),
    (lambda: GRASP(state_lr=-1.0), "state_lr"),
    (lambda: GRASP(action_lr=float("nan")), "action_lr"),
    (lambda: GRASP(goal_weight=-0.1), "goal_weight"),
    (lambda: GRASP(state_noise=float("inf")), "state_noise"),
    (lambda: GRASP(noise_decay=1.1), "noise_decay"),
    (lambda: GRASP(cycle_decay=0.0), "cycle_decay"),
    (lambda: GRASP(sync_every=0), "sync_every"),
    (lambda: GRASP(sync_steps=0), "sync_steps"),
    (lambda: GRASP(restarts=2, state_noise=0.0), "restarts"),
    (lambda: GradientDescent(lr=0.0), "lr"),
    (lambda: GradientDescent(restarts=2, action_noise=0.0), "restarts"),
    (lambda: CEM(elites=1), "elites"),
    (lambda: CEM(samples=10, elites=20), "samples"),
    (lambda: CEM(momentum=1.0), "momentum"),
    (lambda: CEM(kept_elites=1.0), "kept_elites"),
    (lambda: CEM(population_decay=0.5), "population_decay"),
    (lambda: MPPI(temperature=0.0), "temperature"),
    (lambda: MPPI(samples=1), "samples"),
    (lambda: CEMGD(refined=11), "refined"),
    (lambda: LatCo(defect_tolerance=0.0), "defect_tolerance"),
    (lambda: LatCo(restarts=2, initial_state_noise=0.0), "restarts"),
]


@pytest.mark.parametrize(("make", "argument"), MAKERS)
def test_a_bad_hyper_parameter_gets_its_error(make: Callable[[], Planner], argument: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert caught.value.argument == argument


@pytest.mark.parametrize("flag", ["sync_at_start", "sync_states", "stop_state_gradient", "fix_final_state"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_flags_are_booleans(flag: str, value: object) -> None:
    planner = GRASP()
    object.__setattr__(
        planner, flag, value
    )  # past the check of annotations, which only these tests switch on
    with pytest.raises(ParameterError) as caught:
        planner.__post_init__()
    assert caught.value.argument == flag


def test_what_is_exported_exists() -> None:
    assert len(grasp_theory.__all__) <= 30
    assert all(hasattr(grasp_theory, name) for name in grasp_theory.__all__)


def test_problems_are_not_changed_by_planning() -> None:
    problem = pendulum_problem(2)
    copies = [problem.initial_state.clone(), problem.goal.clone(), problem.start().clone()]
    for planner in (
        GRASP(iterations=5),
        GradientDescent(iterations=5),
        LatCo(iterations=5),
        CEM(iterations=2),
    ):
        planner.plan(problem)
    assert torch.equal(problem.initial_state, copies[0])
    assert torch.equal(problem.goal, copies[1])
    assert torch.equal(problem.start(), copies[2])
    assert isinstance(replace(problem).dynamics, Pendulum)
