"""The solver of stable-worldmodel: its protocol and its policy's calls.  The package itself: test_the_real_package.py."""

from __future__ import annotations

import pickle
from inspect import unwrap
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytest
import torch
from fake_device import OnDevice, fake_device
from gymnasium import spaces
from planner_cases import PLANNERS
from torch import Tensor, nn
from world_model_doubles import LeWMDouble, PreJEPADouble, images, seeded

from grasp_theory import CEM, GRASP, MPPI, Balls, Box, GradientDescent, Planner
from grasp_theory.adapters import (
    LeWMModel,
    NotConfiguredError,
    PreJEPAModel,
    StableWorldModelSolver,
    as_stable_worldmodel_solver,
)
from linear_systems.errors import DTypeError, HorizonError, NonFiniteError, ParameterError, ShapeError

ENVIRONMENTS, HORIZON = 3, 5
BOX = spaces.Box(-1.0, 1.0, (ENVIRONMENTS, 1), np.float32)
CONFIG = SimpleNamespace(horizon=HORIZON, action_block=2, receding_horizon=2)


def _info(known: int = 1, batch: int = ENVIRONMENTS) -> dict[str, Any]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=seeded(7), dtype=torch.float64)

    info = {
        "pixels": images(batch, known, 0),
        "goal": images(batch, 1, 1),
        "proprio": draw(batch, known, 5),
        "goal_proprio": draw(batch, 1, 5),
        "action": torch.full((batch, 1, 2), torch.nan),  # as after a reset
        "id": list(range(batch)),
    }
    return info if known == 1 else {**info, "action_history": draw(batch, known - 1, 2)}


def _solver(planner: Planner, model: Any, **options: Any) -> StableWorldModelSolver:
    solver = as_stable_worldmodel_solver(
        planner, model, generator=torch.Generator().manual_seed(0), **options
    )
    solver.configure(action_space=BOX, n_envs=ENVIRONMENTS, config=CONFIG)
    return solver


@pytest.mark.parametrize("model", [LeWMDouble(), PreJEPADouble()], ids=["LeWM", "PreJEPA"])
@pytest.mark.parametrize("known", [1, 3])
@pytest.mark.parametrize(
    "planner",
    [
        GRASP(iterations=5, sync_every=5),
        GradientDescent(iterations=3),
        CEM(iterations=2, samples=20, elites=4),
    ],
    ids=["GRASP", "GradientDescent", "CEM"],
)
def test_solves_as_the_policy_calls_it(planner: Planner, known: int, model: Any) -> None:
    solver = _solver(planner, model)
    assert (solver.action_dim, solver.n_envs, solver.horizon) == (2, ENVIRONMENTS, HORIZON)
    info = _info(known)
    outputs = solver(info, init_action=None)
    assert outputs["actions"].shape == (ENVIRONMENTS, HORIZON, 2)
    assert outputs["actions"].device.type == "cpu"
    assert not outputs["actions"].requires_grad
    assert outputs["costs"] == outputs["plan"].loss.tolist()
    assert set(info) == set(_info(known))  # nothing of ours is left in the caller's entries
    rest = outputs["actions"][:, 2:]
    again = solver.solve(_info(known), init_action=rest)
    assert again["actions"].shape == (ENVIRONMENTS, HORIZON, 2)


def test_a_plan_is_better_than_no_plan() -> None:
    double, info = LeWMDouble(), _info()
    outputs = _solver(GRASP(iterations=50), double, memory_scale=0.1).solve(info)
    goal = double.encode({"pixels": info["goal"]})["emb"][:, -1]

    def cost(actions: Tensor) -> Tensor:
        return (double.latents({"pixels": info["pixels"]}, actions)[:, -1] - goal).square().sum(1)

    planned = cost(outputs["actions"])
    assert (planned < cost(torch.zeros_like(outputs["actions"]))).all()


def test_the_given_actions_are_the_start() -> None:
    start = torch.full((ENVIRONMENTS, 2, 2), 0.3)
    held = GRASP(iterations=1, action_lr=0.0, sync_every=None)
    actions = _solver(held, LeWMDouble()).solve(_info(), init_action=start)["actions"]
    expected = torch.zeros(ENVIRONMENTS, HORIZON, 2, dtype=torch.float64)
    expected[:, :2] = 0.3
    torch.testing.assert_close(actions, expected, atol=1e-7, rtol=0)


def test_fewer_environments_than_configured() -> None:
    outputs = _solver(GradientDescent(iterations=3), LeWMDouble()).solve(_info(batch=2))
    assert outputs["actions"].shape == (2, HORIZON, 2)


def test_arrays_are_read_like_tensors() -> None:
    planner, info = GradientDescent(iterations=5), _info(3)
    arrays = {key: value.numpy() if isinstance(value, Tensor) else value for key, value in info.items()}
    expected = _solver(planner, PreJEPADouble()).solve(info)["actions"]
    assert torch.equal(_solver(planner, PreJEPADouble()).solve(arrays)["actions"], expected)


def test_reached_and_bounds_are_passed_on() -> None:
    outputs = _solver(
        GradientDescent(iterations=3, lr=10.0),
        LeWMDouble(),
        reached=lambda frames, goals: frames[:, 0] < torch.inf,
    ).solve(_info())
    assert outputs["plan"].reached.all()
    outputs = _solver(GradientDescent(iterations=3, lr=10.0), LeWMDouble(), action_bounds=(-0.5, 0.5)).solve(
        _info()
    )
    assert outputs["actions"].abs().max() <= 0.5


def test_models_are_told_apart() -> None:
    assert isinstance(_solver(CEM(), LeWMDouble()).model, LeWMModel)
    assert isinstance(_solver(CEM(), PreJEPADouble()).model, PreJEPAModel)
    own = LeWMModel(LeWMDouble())
    assert _solver(CEM(), own).model is own
    with pytest.raises(ParameterError, match="model"):
        as_stable_worldmodel_solver(CEM(), nn.Linear(2, 2))


def test_bad_input_gets_its_error() -> None:
    solver = as_stable_worldmodel_solver(CEM(), LeWMDouble())
    with pytest.raises(ParameterError, match="configure"):
        solver.solve(_info())
    for space in (spaces.MultiDiscrete([3, 3]), spaces.Discrete(4)):
        with pytest.raises(ParameterError, match="continuous"):
            solver.configure(action_space=space, n_envs=2, config=CONFIG)
    with pytest.raises(ShapeError, match="n_envs"):
        solver.configure(action_space=spaces.Box(-1.0, 1.0, (2,)), n_envs=1, config=CONFIG)
    solver = _solver(CEM(), LeWMDouble())
    with pytest.raises(ShapeError, match="init_action"):
        solver.solve(_info(), init_action=torch.zeros(2, 3, 2))
    with pytest.raises(ShapeError, match="at most 5 steps"):
        solver.solve(_info(), init_action=torch.zeros(ENVIRONMENTS, 6, 2))
    short = _info(3)
    del short["action_history"]
    with pytest.raises(ParameterError, match="action_history"):
        solver.solve(short)
    with pytest.raises(ParameterError, match="goal"):
        solver.solve({"pixels": images(ENVIRONMENTS, 1, 0)})


@pytest.mark.parametrize(
    ("changed", "error", "named"),
    [
        ({"pixels": None}, DTypeError, "pixels"),
        ({"pixels": "a picture"}, DTypeError, "pixels"),
        ({"pixels": images(3, 1, 0)[:, 0, 0, 0]}, ShapeError, "pixels"),
        ({"pixels": images(3, 1, 0)[:, :0]}, ShapeError, "pixels"),
        ({"pixels": images(3, 1, 0) * torch.inf}, NonFiniteError, "frames"),
        ({"proprio": torch.zeros(3, 2, 5)}, ShapeError, "proprio"),
        ({"goal_proprio": torch.zeros(2, 1, 5)}, ShapeError, "goal_proprio"),
        ({"goal": images(2, 1, 0), "goal_proprio": torch.zeros(2, 1, 5)}, ShapeError, "goal"),
        ({"action_history": torch.zeros(3, 4, 2)}, ShapeError, "past_actions"),
        ({"action_history": "none"}, DTypeError, "past_actions"),
    ],
)
def test_a_bad_observation_is_named(changed: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        _solver(CEM(), PreJEPADouble()).solve({**_info(), **changed})


def test_bad_sizes_and_parts_are_named() -> None:
    def configure(**changed: Any) -> None:
        solver = as_stable_worldmodel_solver(CEM(), LeWMDouble())
        solver.configure(**{"action_space": BOX, "n_envs": ENVIRONMENTS, "config": CONFIG, **changed})

    with pytest.raises(ParameterError, match="n_envs"):
        configure(n_envs=0)
    with pytest.raises(ShapeError, match="action_space"):
        configure(n_envs=ENVIRONMENTS - 1)
    for space in (None, "a box", spaces.Dict({"a": BOX})):
        with pytest.raises(ParameterError, match="action_space"):
            configure(action_space=space)
    with pytest.raises(ParameterError, match="config"):
        configure(config=SimpleNamespace(horizon=3))
    with pytest.raises(HorizonError, match=r"config\.horizon"):
        configure(config=SimpleNamespace(horizon=0, action_block=1))
    with pytest.raises(ParameterError, match=r"config\.action_block"):
        configure(config=SimpleNamespace(horizon=3, action_block=1.5))
    configure(config=SimpleNamespace(horizon=np.int64(3), action_block=np.int64(1)))
    with pytest.raises(ParameterError, match="planner"):  # past the types that only tests check
        unwrap(as_stable_worldmodel_solver)("GRASP", LeWMDouble())
    with pytest.raises(ParameterError, match="memory_scale"):
        as_stable_worldmodel_solver(CEM(), LeWMDouble(), memory_scale=-1.0)
    with pytest.raises(DTypeError, match="init_action"):
        _solver(CEM(), LeWMDouble()).solve(_info(), init_action="zeros")


@runtime_checkable
class _Protocol(Protocol):
    """A protocol as the project's `Solver`, whose check looks each attribute up on the object."""

    @property
    def action_dim(self) -> int: ...
    @property
    def n_envs(self) -> int: ...
    @property
    def horizon(self) -> int: ...


def test_before_configure_it_lacks_its_sizes_and_says_so() -> None:
    solver = as_stable_worldmodel_solver(CEM(), LeWMDouble())
    for name in ("action_dim", "n_envs", "horizon"):
        assert not hasattr(solver, name)
        with pytest.raises(NotConfiguredError, match="configure") as caught:
            getattr(solver, name)
        assert isinstance(caught.value, AttributeError)
        assert isinstance(caught.value, ParameterError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    isinstance(solver, _Protocol)  # the answer differs between Pythons; it raises nothing
    solver.configure(action_space=BOX, n_envs=ENVIRONMENTS, config=CONFIG)
    assert isinstance(solver, _Protocol)
    assert hasattr(solver, "horizon")


@pytest.mark.parametrize(("double", "known"), [(LeWMDouble, 1), (PreJEPADouble, 3)])
@pytest.mark.parametrize("planner", [GRASP(iterations=4, sync_every=2), MPPI(iterations=2)])
def test_observations_move_to_the_models_device(planner: Planner, known: int, double: Any) -> None:
    info = _info(known)
    start = torch.full((ENVIRONMENTS, 2, 2), 0.3)
    box = {"action_set": Box([-1.0, -1.0], [1.0, 1.0])}
    expected = _solver(planner, double(), **box).solve(info, start)
    with fake_device() as device:
        outputs = _solver(planner, double().to(device), **box).solve(info, start)
        assert isinstance(outputs["plan"].states, OnDevice)
        assert not isinstance(outputs["actions"], OnDevice)
        torch.testing.assert_close(outputs["actions"], expected["actions"])
        torch.testing.assert_close(outputs["costs"], expected["costs"])


@pytest.mark.gpu
def test_observations_move_to_a_gpu() -> None:
    outputs = _solver(GRASP(iterations=4, sync_every=2), PreJEPADouble().cuda()).solve(
        _info(3), torch.full((ENVIRONMENTS, 2, 2), 0.3)
    )
    assert outputs["plan"].actions.is_cuda
    assert outputs["actions"].device.type == "cpu"


def test_observations_are_cast_to_the_models_one_dtype() -> None:
    info = {**_info(3), "pixels": (255 * images(ENVIRONMENTS, 3, 0)).to(torch.uint8).double()}
    assert _solver(CEM(iterations=1), PreJEPADouble().float()).solve(info)["actions"].dtype == torch.float32
    mixed = LeWMDouble()
    mixed.register_buffer("other", torch.zeros(1))
    assert _solver(CEM(iterations=1), mixed).solve(_info())["actions"].dtype == torch.float64


@pytest.mark.parametrize("name", ["GRASP", "GRASP.released", "GradientDescent", "CEM", "MPPI", "LatCo"])
def test_every_action_that_is_tried_is_in_the_action_set(name: str) -> None:
    tried: list[Tensor] = []
    double = LeWMDouble()
    double.action_encoder.register_forward_pre_hook(
        lambda _, given: tried.append(given[0][:, -1].detach())  # before it: what states remember
    )
    outputs = _solver(PLANNERS[name], double, action_set=Balls(0.1, 1)).solve(
        _info(), init_action=torch.full((ENVIRONMENTS, HORIZON, 2), 5.0)
    )
    assert torch.cat(tried).abs().max() <= 0.1 * (1 + 1e-12)
    assert outputs["actions"].abs().max() > 0.09  # the set is what holds them


def test_budgets_are_kept_and_counted() -> None:
    planner = GradientDescent(iterations=1000, lr=0.01, max_evaluations=200, restarts=1)
    plan = _solver(planner, LeWMDouble()).solve(_info())["plan"]
    assert plan.status.tolist() == [4] * ENVIRONMENTS  # EVALUATION_LIMIT
    assert (plan.evaluations <= 200).all()
    assert (plan.evaluations > 200 - 5 * HORIZON).all()


def test_costs_of_ones_own_are_of_frames() -> None:
    """LeWM's own cost, and an effort beside it."""
    double, info = LeWMDouble(), _info()

    def last(frames: Tensor, goals: Tensor) -> Tensor:
        return (frames - goals).square().sum(1)

    outputs = _solver(
        GRASP(iterations=30),
        double,
        goal_distance=last,
        stage_cost=lambda frames, actions: 0.01 * actions.square().sum(1) + 0.0 * frames.sum(1),
    ).solve(info)
    actions = outputs["actions"]
    reached = double.latents({"pixels": info["pixels"]}, actions)[:, -1]
    goal = double.encode({"pixels": info["goal"]})["emb"][:, -1]
    own = last(reached, goal) + 0.01 * actions.square().sum((1, 2))
    torch.testing.assert_close(torch.tensor(outputs["costs"], dtype=torch.float64), own.detach())


def test_a_model_in_training_mode_is_warned_of() -> None:
    double = LeWMDouble()
    double.predictor.add_module("dropout", nn.Dropout(0.3))
    with pytest.warns(UserWarning, match="dropout"):
        _solver(CEM(iterations=1), double).solve(_info())
    _solver(CEM(iterations=1), double.eval()).solve(_info())
