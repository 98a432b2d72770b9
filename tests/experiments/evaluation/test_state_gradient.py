"""Figure 3's attack on models for which the smallest δ is known in closed form."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_doubles import SMALL, BrittleModel, GhostModel, StateModel, TellingWall
from torch import Tensor

from experiments.evaluation.observe import random_pairs
from experiments.evaluation.open_loop import held_out_windows
from experiments.evaluation.sizes import stream
from experiments.evaluation.state_gradient import (
    TARGET,
    one_gradient_step,
    smallest_perturbation,
    state_gradient,
    typical_step,
)
from grasp_theory.tasks.task import FRAMESKIP
from grasp_theory.tasks.wall_single.wall_single import ACTION_LIMIT

TASK = TellingWall()
WINDOWS = held_out_windows(TASK, SMALL, seed=1)


@cache
def ghost() -> dict[str, Any]:
    """What is measured of a model without walls."""
    return state_gradient(TASK, GhostModel(TASK), WINDOWS, SMALL, seed=1)


class Deaf(StateModel):
    """F(s, a) is one state whatever s."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return 0 * super().step(state, action) + 30


class FreeModel(StateModel):
    """F(s, a) = s + gain · Σ a: no walls and no actuator limit."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + self.task.gain * action.unflatten(-1, (FRAMESKIP, 2)).sum(-2)


def test_a_model_at_rest_needs_the_whole_way() -> None:
    found = ghost()
    relative = found["relative_to_goal"]
    assert 0.9 <= relative["low"] <= relative["high"] < 0.9 * 1.005
    assert found["found"]["value"] == 1
    assert found["one_gradient_step"]["value"] == pytest.approx(0.9, abs=1e-6)


def test_a_brittle_model_needs_as_little_as_its_gain_says() -> None:
    model = BrittleModel(TASK)
    found = state_gradient(TASK, model, WINDOWS, SMALL, seed=1)
    smallest = 0.9 / np.sqrt(1 + model.gain**2)
    relative = found["relative_to_goal"]
    assert smallest <= relative["low"] <= relative["high"] < smallest * 1.005
    # A tenth of the way moves the prediction twice as far as needed; 20 lengths hit the goal to 1/19 of it.
    assert found["one_gradient_step"]["value"] < 1.1 / 19
    rest = ghost()
    assert found["norm"]["value"] < 0.1 * rest["norm"]["value"]
    assert found["goal_distance"] == rest["goal_distance"]


def test_norms_are_relative_to_the_way_and_to_a_step_of_behaviour() -> None:
    found = ghost()
    states, goals = random_pairs(TASK, stream(TASK, 1, "attacked pairs"), SMALL.attacked)
    far = np.median(np.linalg.norm(goals[:, 0] - states[:, 0], axis=1))
    assert found["goal_distance"] == pytest.approx(far, rel=1e-5)
    assert found["norm"]["value"] == pytest.approx(0.9 * far, rel=5e-3)
    moved = WINDOWS.states[:, FRAMESKIP] - WINDOWS.states[:, 0]
    step = typical_step(TASK, GhostModel(TASK), WINDOWS)
    assert step == pytest.approx(np.quantile(np.linalg.norm(moved, axis=1), 0.5, method="lower"))
    assert found["relative_to_step"]["value"] == pytest.approx(found["norm"]["value"] / step, rel=1e-4)


def test_a_model_deaf_to_its_state_has_no_such_perturbation() -> None:
    found = state_gradient(TASK, Deaf(TASK), WINDOWS, SMALL, seed=1)
    assert found["found"]["value"] == 0
    assert found["norm"] == found["relative_to_goal"] == {"value": None, "low": None, "high": None}
    assert found["one_gradient_step"]["value"] == 1


def test_what_the_best_action_reaches() -> None:
    found = state_gradient(TASK, FreeModel(TASK), WINDOWS, SMALL, seed=1)
    states, goals = random_pairs(TASK, stream(TASK, 1, "attacked pairs"), SMALL.attacked)
    way = goals[:, 0] - states[:, 0]
    reach = TASK.gain * FRAMESKIP * ACTION_LIMIT
    far = np.linalg.norm(way, axis=1)
    left = np.maximum(0, far - reach) / far
    assert found["action_residual"]["value"] == pytest.approx(np.median(left), abs=5e-3)
    assert found["action_reaches"]["value"] == pytest.approx((left <= TARGET).mean(), abs=1e-5)
    still = state_gradient(TASK, StateModel(TASK), WINDOWS, SMALL, seed=1)
    assert still["action_residual"]["value"] == 1
    assert still["action_reaches"]["value"] == 0


def test_patch_latents_are_attacked_alike() -> None:
    class Patches:
        """F(s, a) = s on latents (2, 3)."""

        class architecture:
            action_dim = 10

        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return state + 0 * action.sum()

    states, goals = torch.randn(2, 6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norms = smallest_perturbation(Patches(), states, goals, SMALL.attack)
    far = (goals - states).flatten(1).norm(dim=1)
    np.testing.assert_allclose(norms / far, 0.9, rtol=5e-3)
    np.testing.assert_allclose(one_gradient_step(Patches(), states, goals), 0.9, rtol=1e-9)
