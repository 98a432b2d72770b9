"""The adapters with the package stable-worldmodel itself, its release and its main branch: `make peers`."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn
from world_model_doubles import Embedding, seeded

from grasp_theory import CEM, GRASP, MPPI, Balls, Planner, rollout
from grasp_theory.adapters import (
    LeWMModel,
    PreJEPAModel,
    as_stable_worldmodel_solver,
    history_problem,
)
from linear_systems.errors import ParameterError, ShapeError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of environments that are not installed
    swm = pytest.importorskip("stable_worldmodel", exc_type=ImportError)
    from stable_worldmodel.wm.lewm import lewm
    from stable_worldmodel.wm.lewm import module as lewm_module
    from stable_worldmodel.wm.pldm import module as pldm_module
    from stable_worldmodel.wm.pldm import pldm
    from stable_worldmodel.wm.prejepa import module as prejepa_module
    from stable_worldmodel.wm.prejepa import prejepa

MAIN = "history_max_len" in inspect.signature(swm.PlanConfig).parameters
"""Whether past actions are told apart from candidates: on the main branch; release 0.1.1 has them among the candidates."""
BATCH, HORIZON, PIXELS = 3, 5, 8
PAGE = Path(__file__).parents[3] / "docs" / "adapters.md"


@dataclass
class _Encoded:
    last_hidden_state: Tensor


class _Encoder(nn.Module):
    """What the projects need of a vision transformer: a class token and patches."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.embed = Embedding(3 * PIXELS * PIXELS, tokens * dim, 40).float()

    def forward(self, pixels: Tensor, interpolate_pos_encoding: bool = False) -> _Encoded:
        small = nn.functional.adaptive_avg_pool2d(pixels, PIXELS)
        return _Encoded(self.embed(small.flatten(1).unsqueeze(1)).view(len(pixels), self.tokens, -1))


def _flat(kind: str, action_dim: int = 2) -> Any:
    """A LeWM or a PLDM."""
    made, module = {"LeWM": (lewm.LeWM, lewm_module), "PLDM": (pldm.PLDM, pldm_module)}[kind]
    torch.manual_seed(0)
    model = made(
        _Encoder(1, 8),
        module.Predictor(num_frames=3, depth=2, heads=2, mlp_dim=16, input_dim=8, hidden_dim=8, dim_head=4),
        module.Embedder(action_dim, 2, 8),
    ).eval()
    for parameter in model.parameters():  # its blocks start as the identity
        nn.init.normal_(parameter, std=0.3)
    return model


SIZES = {"action": 4, "proprio": 2}


def _prejepa(order: tuple[str, ...] = ("action", "proprio"), action_dim: int = 2, proprio: int = 5) -> Any:
    torch.manual_seed(0)
    inputs = {"action": action_dim, "proprio": proprio}
    encoders = {key: prejepa_module.Embedder(in_chans=inputs[key], emb_dim=SIZES[key]) for key in order}
    predictor = prejepa_module.CausalPredictor(
        num_patches=3, num_frames=3, dim=12, depth=2, heads=2, mlp_dim=16, dim_head=4
    )
    return prejepa.PreJEPA(_Encoder(4, 6), predictor, nn.ModuleDict(encoders)).eval()


def _info(known: int) -> dict[str, Tensor]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=seeded(len(shape) + shape[1]))

    return {
        "pixels": draw(BATCH, known, 3, PIXELS, PIXELS),
        "goal": draw(BATCH, 1, 3, PIXELS, PIXELS),
        "proprio": draw(BATCH, known, 5),
        "goal_proprio": draw(BATCH, 1, 5),
        "action": torch.full((BATCH, 1, 2), torch.nan),  # as after a reset
        "action_history": draw(BATCH, known - 1, 2),
        "id": torch.zeros(BATCH, 1),
        "step_idx": torch.zeros(BATCH, 1),
    }


def _own_rollout(model: Any, info: dict[str, Tensor], actions: Tensor) -> Tensor:
    """The project's own rollout (B, n + T, *F) of actions (B, T, m) that follow n frames."""
    samples = {key: value.unsqueeze(1) for key, value in info.items()}
    candidates = actions.unsqueeze(1)
    if not MAIN:
        candidates = torch.cat([samples.pop("action_history"), candidates], 2)
    with torch.no_grad():
        found = model.rollout(samples, candidates)
    key = "predicted_embedding" if "predicted_embedding" in found else "predicted_emb"
    predicted: Tensor = found[key][:, 0]
    return predicted


def _check_rollout(model: Any, adapted: Any, own: Tensor, actions: Tensor, known: int) -> None:
    info = _info(known)
    problem, history = history_problem(
        adapted, adapted.encode(info), adapted.encode_goal(info), HORIZON, 2,
        past_actions=info["action_history"],
    )  # fmt: skip
    with torch.no_grad():
        states = rollout(problem.model, problem.initial_state, actions)
    torch.testing.assert_close(history.frame(states), own[:, known - 1 :])
    plan = _solver(GRASP(iterations=20, sync_every=10), model).solve(info)["plan"]
    with torch.no_grad():
        idle = rollout(problem.model, problem.initial_state, torch.zeros_like(actions))[:, -1]
    assert (plan.loss < (idle - problem.goal).square().sum(1)).all()


def _solver(planner: Planner, model: Any, **options: Any) -> Any:
    solver = as_stable_worldmodel_solver(planner, model, generator=seeded(0), **options)
    space = spaces.Box(-1.0, 1.0, (BATCH, 2), np.float32)
    config = swm.PlanConfig(horizon=HORIZON, receding_horizon=2)
    solver.configure(action_space=space, n_envs=BATCH, config=config)
    return solver


@pytest.mark.parametrize("known", [1, 2, 3])
@pytest.mark.parametrize("kind", ["LeWM", "PLDM"])
def test_the_real_flat_models(kind: str, known: int) -> None:
    model, actions = _flat(kind), torch.randn(BATCH, HORIZON, 2, generator=seeded(3))
    _check_rollout(model, LeWMModel(model), _own_rollout(model, _info(known), actions), actions, known)


@pytest.mark.parametrize("known", [1, 2, 3])
@pytest.mark.parametrize("order", [("action", "proprio"), ("proprio", "action")])
def test_the_real_prejepa(order: tuple[str, ...], known: int) -> None:
    model, actions = _prejepa(order), torch.randn(BATCH, HORIZON, 2, generator=seeded(3))
    own = _own_rollout(model, _info(known), actions)
    start = 6 + sum(SIZES[key] for key in order[: order.index("action")])
    own = torch.cat([own[..., :start], own[..., start + SIZES["action"] :]], -1)
    _check_rollout(model, PreJEPAModel(model), own, actions, known)


def _own_cost(model: Any, info: dict[str, Tensor], actions: Tensor) -> Tensor:
    if MAIN:
        model = swm.planning.ShootingCostEvaluator(model, swm.planning.GoalMSE())
    costs = []
    for row in range(BATCH):  # alone: the release pairs goals with candidates where there are several of both
        samples = {key: value[row, None, None] for key, value in info.items()}
        with torch.no_grad():
            costs.append(model.get_cost(samples, actions[row, None, None])[0, 0])
    return torch.stack(costs)


@pytest.mark.parametrize("kind", ["LeWM", "PLDM"])
@pytest.mark.parametrize("planner", [GRASP(iterations=20), CEM(iterations=3, samples=30, elites=5)])
def test_its_own_cost_of_our_plan_is_ours(planner: Planner, kind: str) -> None:
    model, info = _flat(kind), _info(1)
    outputs = _solver(
        planner, model, goal_distance=lambda frames, goals: (frames - goals).square().sum(1)
    ).solve(info)
    own = _own_cost(model, info, outputs["actions"])
    torch.testing.assert_close(torch.tensor(outputs["costs"]), own)
    assert (own <= _own_cost(model, info, torch.zeros_like(outputs["actions"]))).all()


def test_the_real_protocol() -> None:
    protocol = swm.planning.solver.Solver if MAIN else swm.solver.Solver
    solver = as_stable_worldmodel_solver(CEM(), _flat("LeWM"))
    isinstance(solver, protocol)  # whatever it says of a solver without its sizes, it raises nothing
    assert not hasattr(solver, "horizon")
    assert isinstance(_solver(CEM(), _flat("LeWM")), protocol)


def test_what_is_no_world_model_of_ours_is_refused() -> None:
    kind = pytest.importorskip("stable_worldmodel.wm.tdmpc2.tdmpc2", exc_type=ImportError).TDMPC2
    untrained = kind.__new__(kind)
    nn.Module.__init__(untrained)
    untrained.extra_encoders = nn.ModuleDict({"proprio": nn.Linear(2, 2)})
    others = [untrained]
    if MAIN:
        others.append(swm.planning.ShootingCostEvaluator(_flat("LeWM"), swm.planning.GoalMSE()))
    for model in others:
        with pytest.raises(ParameterError, match="model"):
            as_stable_worldmodel_solver(CEM(), model)


# Its policy in its Push-T, which needs pymunk 7 and the packages that draw it


class Scaler:
    """Normalises actions, as scikit-learn's `StandardScaler` does."""

    mean, scale = np.array([0.1, -0.1], np.float32), np.array([0.4, 0.5], np.float32)

    def transform(self, x: Any) -> Any:
        return (x - self.mean) / self.scale

    def inverse_transform(self, x: Any) -> Any:
        return x * self.scale + self.mean


def as_image(picture: Tensor) -> Tensor:
    return picture.float() / 255


@pytest.fixture
def world() -> Iterator[Any]:
    for name in ("cv2", "pygame", "shapely"):
        pytest.importorskip(name, exc_type=ImportError)
    if not hasattr(pytest.importorskip("pymunk").Space, "on_collision"):
        pytest.skip("its Push-T needs pymunk 7, which gym-pusht does not allow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium's, of its observations
        made = swm.World("swm/PushT-v1", num_envs=2, image_shape=(16, 16), max_episode_steps=8)
        yield made
        made.close()


@pytest.mark.parametrize("history", [1, 2] if MAIN else [1])
@pytest.mark.parametrize("kind", ["LeWM", "PreJEPA"])
@pytest.mark.parametrize(
    "planner", [GRASP(iterations=6, sync_every=3), MPPI(iterations=2, samples=10)], ids=["GRASP", "MPPI"]
)
def test_its_policy_drives_its_world(world: Any, planner: Planner, kind: str, history: int) -> None:
    model = _flat(kind, 4) if kind == "LeWM" else _prejepa(action_dim=4, proprio=4)
    solver = as_stable_worldmodel_solver(planner, model, action_set=Balls(0.3, 2), generator=seeded(0))
    plans: list[Any] = []
    frames: list[int] = []
    solve = solver.solve

    def noted(info: Any, init_action: Any = None) -> Any:
        frames.append(info["pixels"].shape[1])
        plans.append(solve(info, init_action))
        return plans[-1]

    solver.solve = noted
    config = swm.PlanConfig(horizon=3, receding_horizon=1, action_block=2, history_len=history)
    keys = {"history_keys": ("pixels", "proprio")} if MAIN else {}
    scaler = Scaler()
    images = {"pixels": as_image, "goal": as_image}
    policy = swm.policy.WorldModelPolicy(solver, config, process={"action": scaler}, transform=images, **keys)
    taken: list[Any] = []
    act = policy.get_action

    def acted(info: Any) -> Any:
        taken.append(act(info))
        return taken[-1]

    policy.get_action = acted
    world.set_policy(policy)
    assert 0 <= world.evaluate(episodes=2, seed=0)["success_rate"] <= 100
    assert len(plans) >= 4
    assert max(frames) == history
    for outputs in plans:
        lengths = outputs["actions"].unflatten(2, (2, 2)).norm(dim=-1)
        assert lengths.max() <= 0.3 * (1 + 1e-6)
    lengths = np.linalg.norm(scaler.transform(np.stack(taken)), axis=-1)
    assert len(taken) == 8
    assert np.isfinite(lengths).all()
    assert lengths.max() <= 0.3 * (1 + 1e-4)


@pytest.mark.skipif(not MAIN, reason="release 0.1.1 hands over one frame")
def test_a_source_that_is_not_stacked_is_named(world: Any) -> None:
    solver = as_stable_worldmodel_solver(CEM(iterations=1), _prejepa(action_dim=4, proprio=4))
    config = swm.PlanConfig(horizon=3, receding_horizon=1, action_block=2, history_len=2)
    transform = {"pixels": as_image, "goal": as_image}
    world.set_policy(swm.policy.WorldModelPolicy(solver, config, transform=transform))
    with pytest.raises(ShapeError, match="history_keys"):
        world.evaluate(episodes=2, seed=0)


def test_the_page_runs(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) == 2
    pictures = torch.rand(2, 1, 3, 16, 16, generator=seeded(0))
    names: dict[str, Any] = {
        "model": _flat("LeWM", 10), "pictures": pictures, "goals": pictures.flip(0), "scaler": Scaler(), "as_image": as_image,
    }  # fmt: skip
    for snippet in snippets:
        exec(compile(snippet, PAGE.name, "exec"), names)
    assert names["latents"].shape == (2, 5, 8)
    assert "Plan of 2 problems" in capsys.readouterr().out
    names["world"].close()
