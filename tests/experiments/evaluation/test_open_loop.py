"""Open-loop errors on models that are exactly right, exactly still, or off by a known amount."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from evaluation_doubles import SMALL, GhostModel, PerfectModel, StateModel, TellingPushT, TellingWall
from torch import Tensor

from experiments.evaluation.open_loop import HORIZON, STEPS, STRIDE, held_out_windows, open_loop
from grasp_theory.tasks.task import FRAMESKIP
from linear_systems.errors import NonFiniteError

TASK = TellingWall()
WINDOWS = held_out_windows(TASK, SMALL, seed=1)


def test_windows_are_true_paths_with_their_frames_and_actions() -> None:
    per_episode = (SMALL.length // FRAMESKIP - HORIZON) // STRIDE + 1
    np.testing.assert_array_equal(WINDOWS.episode, np.repeat(np.arange(SMALL.episodes), per_episode))
    actions = WINDOWS.actions.reshape(len(WINDOWS.episode), HORIZON * FRAMESKIP, 2)
    np.testing.assert_allclose(TASK.simulate(WINDOWS.states[:, 0], actions), WINDOWS.states, atol=1e-9)
    np.testing.assert_array_equal(WINDOWS.frames[:, 0, 0], WINDOWS.states[:, 0])
    np.testing.assert_array_equal(WINDOWS.frames[:, 1, 0], WINDOWS.states[:, FRAMESKIP])
    other = held_out_windows(TASK, SMALL, seed=2)
    assert not np.isin(other.states[:, 0, 0], WINDOWS.states[..., 0]).any()
    np.testing.assert_array_equal(held_out_windows(TASK, SMALL, seed=1).states, WINDOWS.states)


def test_the_true_physics_has_no_error_at_any_step() -> None:
    errors, curves = open_loop(TASK, PerfectModel(TASK), WINDOWS, SMALL, seed=1)
    assert list(errors) == ["all"]
    assert list(errors["all"]) == [str(h) for h in STEPS]
    curve = curves["all"]["position"]
    assert curve["model"] == {part: [0.0] * (HORIZON + 1) for part in ("mean", "low", "high")}
    assert curve["identity"][0] == 0
    assert min(curve["identity"][1:]) > 3
    for row in errors["all"].values():
        assert row["windows"] == len(WINDOWS.episode)
        assert row["episodes"] == SMALL.episodes
        assert row["errors"]["position"]["model"]["median"]["value"] == 0


def test_a_model_in_which_nothing_moves_is_the_identity_baseline() -> None:
    errors, curves = open_loop(TASK, StateModel(TASK), WINDOWS, SMALL, seed=1)
    for row in errors["all"].values():
        assert row["errors"]["position"]["model"] == row["errors"]["position"]["identity"]
    assert curves["all"]["position"]["model"]["mean"] == curves["all"]["position"]["identity"]
    moved = np.linalg.norm(WINDOWS.states[:, 4 * FRAMESKIP] - WINDOWS.states[:, 0], axis=1)
    error = errors["all"]["4"]["errors"]["position"]["model"]
    assert error["mean"]["value"] == pytest.approx(moved.mean(), rel=1e-5)
    assert error["median"]["value"] == pytest.approx(np.median(moved), rel=1e-5)
    assert error["mean"]["low"] < error["mean"]["value"] < error["mean"]["high"]


def test_a_model_without_walls_is_right_once_encoded_and_wrong_later() -> None:
    _, curves = open_loop(TASK, GhostModel(TASK), WINDOWS, SMALL, seed=1)
    curve = curves["all"]["position"]["model"]["mean"]
    assert curve[0] == 0
    assert 0 < curve[1] < curve[4] < curve[20]


def test_an_error_of_the_probe_alone_is_seen_at_step_0_and_at_every_other() -> None:
    class Biased(PerfectModel):
        def probe(self, state: Tensor) -> Tensor:
            return super().probe(state) + torch.tensor([3.0, 4.0])

    _, curves = open_loop(TASK, Biased(TASK), WINDOWS, SMALL, seed=1)
    np.testing.assert_allclose(curves["all"]["position"]["model"]["mean"], 5, rtol=1e-5)


def test_actions_read_in_the_wrong_order_are_caught() -> None:
    class Backwards(PerfectModel):
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return super().step(state, action.unflatten(-1, (FRAMESKIP, 2)).flip(-2).flatten(-2))

    _, curves = open_loop(TASK, Backwards(TASK), WINDOWS, SMALL, seed=1)
    assert curves["all"]["position"]["model"]["mean"][HORIZON] > 0.1


def test_a_model_that_diverges_is_refused() -> None:
    class Exploding(StateModel):
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return state * torch.inf

    with pytest.raises(NonFiniteError, match="diverges"):
        open_loop(TASK, Exploding(TASK), WINDOWS, SMALL, seed=1)


def test_push_t_also_has_the_windows_in_which_the_block_moves() -> None:
    task = TellingPushT()
    windows = held_out_windows(task, SMALL, seed=1)
    errors, curves = open_loop(task, StateModel(task), windows, SMALL, seed=1)
    assert list(errors) == ["all", "moving"]
    assert list(errors["moving"]) == [str(h) for h in STEPS if h], "no block moves in no time"
    json.dumps([errors, curves], allow_nan=False)
    for h in STEPS[1:]:
        moving = task.block_moved(windows.states[:, : FRAMESKIP * h + 1])
        assert 0 < moving.sum() < len(moving) or h > 4
        row = errors["moving"][str(h)]
        assert (row["windows"], row["episodes"]) == (moving.sum(), len(set(windows.episode[moving])))
        pushed = np.linalg.norm((windows.states[:, FRAMESKIP * h] - windows.states[:, 0])[:, 2:4], axis=1)
        assert row["errors"]["block"]["model"]["mean"]["value"] == pytest.approx(
            pushed[moving].mean(), rel=1e-5
        )
        everywhere = errors["all"][str(h)]["errors"]["block"]["model"]["mean"]["value"]
        assert everywhere == pytest.approx(pushed.mean(), rel=1e-5)
        assert set(row["errors"]) == {"pusher", "block", "angle", "velocity"}
    assert curves["moving"]["block"]["identity"][0] is None
    assert curves["moving"]["block"]["model"]["high"][0] is None
