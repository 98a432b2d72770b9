"""The public rollout: that of the dynamics, and a warning where a model is in training mode."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import grasp_theory
from grasp_theory import dynamics
from linear_systems.errors import ParameterError


def test_it_is_the_rollout_of_the_dynamics_and_warns_of_training_mode() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    start, actions = torch.zeros(3, 2), torch.ones(3, 4, 2)

    def model(state: Tensor, action: Tensor) -> Tensor:
        found: Tensor = state + network(action)
        return found

    with pytest.warns(UserWarning, match=r"in training mode: .*Dropout.*\.eval\(\)"):
        grasp_theory.rollout(model, start, actions)
    network.eval()
    assert torch.equal(grasp_theory.rollout(model, start, actions), dynamics.rollout(model, start, actions))
    noise = torch.ones(3, 4, 2)
    for options in ({"noise": noise}, {"checkpoint": True}):
        assert torch.equal(
            grasp_theory.rollout(model, start, actions, **options),  # type: ignore[arg-type]
            dynamics.rollout(model, start, actions, **options),  # type: ignore[arg-type]
        )


def test_actions_without_a_batch_axis_beside_a_batch_of_states_are_named() -> None:
    with pytest.raises(ParameterError, match=r"^actions: .*\(B, T, m\)"):
        grasp_theory.rollout(lambda s, a: s + a, torch.zeros(6, 4), torch.zeros(15, 2))
    one = grasp_theory.rollout(lambda s, a: s + a, torch.zeros(2), torch.ones(15, 2))
    assert torch.equal(one[-1], torch.full((2,), 15.0))
