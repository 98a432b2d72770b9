"""Adapted world models roll out as their projects roll them out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import OnDevice, fake_device
from torch import Tensor, nn
from world_model_doubles import DINOWMDouble, LeWMDouble, PreJEPADouble, images, seeded

from grasp_theory import GRASP, rollout
from grasp_theory.adapters import DINOWMModel, LeWMModel, PreJEPAModel, history_problem
from linear_systems.errors import ParameterError, ShapeError

BATCH, HORIZON = 2, 6


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def _info(known: int) -> tuple[dict[str, Tensor], Tensor]:
    info = {
        "pixels": images(BATCH, known, 0),
        "goal": images(BATCH, 1, 1),
        "proprio": _draw(2, BATCH, known, 5),
        "goal_proprio": _draw(3, BATCH, 1, 5),
        "action_history": _draw(4, BATCH, known - 1, 2),
    }
    return info, _draw(5, BATCH, HORIZON, 2)


@pytest.mark.parametrize("known", [1, 2, 3])
def test_lewm(known: int) -> None:
    double = LeWMDouble()
    model, (info, actions) = LeWMModel(double), _info(known)
    assert model.window == 3
    problem, history = history_problem(
        model, model.encode(info), model.encode_goal(info), HORIZON, 2, past_actions=info["action_history"]
    )
    states = rollout(problem.model, problem.initial_state, actions)
    torch.testing.assert_close(history.frame(states), double.latents(info, actions)[:, known - 1 :])
    goal = double.encode({"pixels": info["goal"]})["emb"][:, -1]
    torch.testing.assert_close(history.frame(problem.goal), goal)
    assert not problem.initial_state.requires_grad


def test_lewm_without_num_frames_has_the_projects_default() -> None:
    double = LeWMDouble()
    del double.predictor.num_frames
    assert LeWMModel(double).window == 3


@pytest.mark.parametrize("known", [1, 2, 3])
@pytest.mark.parametrize("order", [("action", "proprio"), ("proprio", "action")])
def test_prejepa(order: tuple[str, ...], known: int) -> None:
    double = PreJEPADouble(order)
    model, (info, actions) = PreJEPAModel(double), _info(known)
    problem, history = history_problem(
        model, model.encode(info), model.encode_goal(info), HORIZON, 2, past_actions=info["action_history"]
    )
    states = rollout(problem.model, problem.initial_state, actions)
    own = double.without_action(double.latents(info, actions))
    torch.testing.assert_close(history.frame(states), own[:, known - 1 :])
    assert torch.equal(model.encode_goal(info)[..., 6:], _proprioception(double, info["goal_proprio"]))


def _proprioception(double: PreJEPADouble, proprio: Tensor) -> Tensor:
    return double.extra_encoders["proprio"](proprio)[:, -1:].expand(-1, double.PATCHES, -1)


def test_prejepa_needs_an_action_encoder() -> None:
    with pytest.raises(ParameterError, match="action"):
        PreJEPAModel(PreJEPADouble(("proprio",)))


@pytest.mark.parametrize("known", [1, 2, 3])
@pytest.mark.parametrize(("concat_dim", "repeats"), [(0, (1, 1)), (1, (1, 1)), (1, (3, 2))])
def test_dino_wm(concat_dim: int, repeats: tuple[int, int], known: int) -> None:
    double = DINOWMDouble(concat_dim, *repeats)
    model, (info, actions) = DINOWMModel(double), _info(known)
    observations = {"visual": info["pixels"], "proprio": info["proprio"]}
    goal = model.encode({"visual": info["goal"], "proprio": info["goal_proprio"]})[:, -1]
    problem, history = history_problem(
        model, model.encode(observations), goal, HORIZON, 2, past_actions=info["action_history"]
    )
    states = rollout(problem.model, problem.initial_state, actions)
    z = double.rollout(observations, torch.cat([info["action_history"], actions], 1))
    torch.testing.assert_close(history.frame(states), double.without_action(z)[:, known - 1 :])
    plan = GRASP(iterations=20, sync_every=10).plan(problem)
    idle = rollout(problem.model, problem.initial_state, torch.zeros_like(actions))[:, -1]
    assert (plan.loss < (idle - problem.goal).square().sum(1)).all()


def test_dino_wm_knows_its_two_layouts() -> None:
    double = DINOWMDouble(1)
    double.concat_dim = 2
    with pytest.raises(ParameterError, match="concat_dim"):
        DINOWMModel(double)


@pytest.mark.parametrize("wrong", ["order of actions", "window"])
def test_a_wrong_pairing_would_be_seen(wrong: str) -> None:
    """The doubles tell apart what an adapter may get wrong."""

    class Wrong(LeWMModel):
        def predict(self, frames: Tensor, actions: Tensor) -> Tensor:
            if wrong == "window":
                return super().predict(frames[:, -1:], actions[:, -1:])
            return super().predict(frames, actions.flip(1))

    double = LeWMDouble()
    info, actions = _info(3)
    model = Wrong(double)
    problem, history = history_problem(
        model, model.encode(info), model.encode_goal(info), HORIZON, 2, past_actions=info["action_history"]
    )
    states = rollout(problem.model, problem.initial_state, actions)
    gap = (history.frame(states) - double.latents(info, actions)[:, 2:]).abs().max()
    assert gap > 1e-3


def test_a_missing_observation_is_named() -> None:
    info, _ = _info(1)
    del info["goal_proprio"]
    with pytest.raises(ParameterError, match="goal_proprio"):
        PreJEPAModel(PreJEPADouble()).encode_goal(info)


@pytest.mark.parametrize("adapter", [LeWMModel, PreJEPAModel, DINOWMModel])
def test_a_model_of_another_kind_is_told_what_it_lacks(adapter: Any) -> None:
    for model in (None, nn.Linear(2, 2), SimpleNamespace(encode=len, predict=len, encode_obs=len)):
        with pytest.raises(ParameterError, match="without"):
            adapter(model)


def test_what_is_no_mapping_is_named() -> None:
    for info in (None, [1], images(2, 1, 0)):
        with pytest.raises(ParameterError, match="info"):
            LeWMModel(LeWMDouble()).encode(info)


def test_sources_have_the_same_frames() -> None:
    info, _ = _info(3)
    with pytest.raises(ShapeError, match="history_keys"):
        PreJEPAModel(PreJEPADouble()).encode({**info, "proprio": info["proprio"][:, -1:]})
    with pytest.raises(ShapeError, match="proprio"):
        DINOWMModel(DINOWMDouble(1)).encode({"visual": info["pixels"], "proprio": info["proprio"][:, -1:]})


def _dino_observations(info: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"visual": info["pixels"], "proprio": info["proprio"]}


def test_observations_go_to_the_models_device_and_dtype() -> None:
    info, _ = _info(2)
    arrays = {name: np.asarray(value) for name, value in info.items()}
    with fake_device() as device:
        for adapter, double, given in (
            (LeWMModel, LeWMDouble(), arrays),
            (PreJEPAModel, PreJEPADouble(), info),
            (DINOWMModel, DINOWMDouble(1), _dino_observations(info)),
        ):
            here = adapter(double).encode(given)
            there = adapter(double.float().to(device)).encode(given)
            assert isinstance(there, OnDevice)
            torch.testing.assert_close(there.held, here.float())
