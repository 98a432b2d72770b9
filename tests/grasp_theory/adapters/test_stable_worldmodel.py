"""The solver of stable-worldmodel: its protocol, its policy's calls, and the real package where it imports."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn
from world_model_doubles import Embedding, LeWMDouble, PreJEPADouble, images, seeded

from grasp_theory import CEM, GRASP, GradientDescent, Planner, rollout
from grasp_theory.adapters import (
    LeWMModel,
    PreJEPAModel,
    StableWorldModelSolver,
    as_stable_worldmodel_solver,
    history_problem,
)
from linear_systems.errors import ParameterError, ShapeError

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
    with pytest.raises(ShapeError, match="past_actions"):
        solver.solve(short)
    with pytest.raises(ParameterError, match="goal"):
        solver.solve({"pixels": images(ENVIRONMENTS, 1, 0)})


# The real package


def _import(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of environments that are not installed
        return pytest.importorskip(name, exc_type=ImportError)


@dataclass
class _Encoded:
    last_hidden_state: Tensor


class _Encoder(nn.Module):
    """What the projects need of a vision transformer: a class token and patches."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.embed = Embedding(48, tokens * dim, 40).float()

    def forward(self, pixels: Tensor, interpolate_pos_encoding: bool = False) -> _Encoded:
        return _Encoded(self.embed(pixels.flatten(1).unsqueeze(1)).view(len(pixels), self.tokens, -1))


def _float32(info: dict[str, Any]) -> dict[str, Any]:
    return {key: value.float() if isinstance(value, Tensor) else value for key, value in info.items()}


def _with_samples(info: dict[str, Any]) -> dict[str, Any]:
    return {key: value.unsqueeze(1) for key, value in info.items() if isinstance(value, Tensor)}


def _check_rollout(model: Any, adapted: Any, own: Any, known: int) -> None:
    info = _float32(_info(known))
    actions = torch.randn(ENVIRONMENTS, HORIZON, 2, generator=seeded(3))
    problem, history = history_problem(
        adapted, adapted.encode(info), adapted.encode_goal(info), HORIZON, 2,
        past_actions=info.get("action_history"),
    )  # fmt: skip
    with torch.no_grad():
        states = rollout(problem.model, problem.initial_state, actions)
    torch.testing.assert_close(history.frame(states), own(_with_samples(info), actions)[:, known - 1 :])
    plan = _solver(GRASP(iterations=20, sync_every=10), model).solve(info)["plan"]
    with torch.no_grad():
        idle = rollout(problem.model, problem.initial_state, torch.zeros_like(actions))[:, -1]
    assert (plan.loss < (idle - problem.goal).square().sum(1)).all()


@pytest.mark.parametrize("known", [1, 3])
def test_the_real_lewm(known: int) -> None:
    lewm, module = _import("stable_worldmodel.wm.lewm.lewm"), _import("stable_worldmodel.wm.lewm.module")
    torch.manual_seed(0)
    model = lewm.LeWM(
        _Encoder(1, 8),
        module.Predictor(num_frames=3, depth=2, heads=2, mlp_dim=16, input_dim=8, hidden_dim=8, dim_head=4),
        module.Embedder(2, 2, 8),
    ).eval()
    for parameter in model.parameters():  # its blocks start as the identity
        nn.init.normal_(parameter, std=0.3)

    def own(info: dict[str, Any], actions: Tensor) -> Tensor:
        with torch.no_grad():
            latents: Tensor = model.rollout(info, actions.unsqueeze(1))["predicted_emb"]
        return latents[:, 0]

    _check_rollout(model, LeWMModel(model), own, known)


@pytest.mark.parametrize("known", [1, 3])
@pytest.mark.parametrize("order", [("action", "proprio"), ("proprio", "action")])
def test_the_real_prejepa(order: tuple[str, ...], known: int) -> None:
    prejepa, module = (
        _import("stable_worldmodel.wm.prejepa.prejepa"),
        _import("stable_worldmodel.wm.prejepa.module"),
    )
    torch.manual_seed(0)
    sizes = {"action": (2, 4), "proprio": (5, 2)}
    encoders = {key: module.Embedder(in_chans=sizes[key][0], emb_dim=sizes[key][1]) for key in order}
    predictor = module.CausalPredictor(
        num_patches=3, num_frames=3, dim=12, depth=2, heads=2, mlp_dim=16, dim_head=4
    )
    model = prejepa.PreJEPA(_Encoder(4, 6), predictor, nn.ModuleDict(encoders)).eval()
    start = 6 + sum(sizes[key][1] for key in order[: order.index("action")])

    def own(info: dict[str, Any], actions: Tensor) -> Tensor:
        info = {**info, "id": torch.zeros(ENVIRONMENTS, 1), "step_idx": torch.zeros(ENVIRONMENTS, 1)}
        with torch.no_grad():
            z: Tensor = model.rollout(info, actions.unsqueeze(1))["predicted_emb"][:, 0]
        return torch.cat([z[..., :start], z[..., start + 4 :]], -1)

    _check_rollout(model, PreJEPAModel(model), own, known)


def test_the_real_protocol() -> None:
    solver = _import("stable_worldmodel.planning.solver.solver")
    assert isinstance(_solver(CEM(), LeWMDouble()), solver.Solver)
