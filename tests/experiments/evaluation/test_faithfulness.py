"""Latent distances that are the task's, the geodesic ones, or worthless; and the greedy rule they lead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation_doubles import SIZE, SMALL, StateModel, TellingPushT, TellingWall
from torch import Tensor

from experiments.evaluation.faithfulness import candidates, distance_ranks, follow, greedy_success
from grasp_theory.tasks.problems import make_problems
from grasp_theory.tasks.task import FRAMESKIP

TASK = TellingWall()


class Geodesic(StateModel):
    """Latent distances that know the walls."""

    sign = 1.0

    def distance(self, state: Tensor, goal: Tensor) -> Tensor:
        return self.sign * torch.from_numpy(self.task.geodesic(state.numpy(), goal.numpy()))


class Away(Geodesic):
    """The farther the better."""

    sign = -1.0


def test_geodesic_latents_rank_perfectly_and_reversed_ones_backwards() -> None:
    right = distance_ranks(TASK, Geodesic(TASK), SMALL, seed=1)
    assert right["against"] == "geodesic"
    assert right["latent"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    wrong = distance_ranks(TASK, Away(TASK), SMALL, seed=1)
    assert wrong["latent"] == {"value": -1.0, "low": -1.0, "high": -1.0}
    assert right["straight"] == wrong["straight"]
    assert 0.6 < right["straight"]["value"] < 0.95, "the wall must matter, or the measure tells nothing"


def test_latents_that_are_the_position_rank_as_the_straight_distance() -> None:
    ranks = distance_ranks(TASK, StateModel(TASK), SMALL, seed=1)
    assert ranks["latent"] == ranks["straight"]


def test_push_t_is_ranked_against_its_own_distance() -> None:
    task = TellingPushT()
    ranks = distance_ranks(task, StateModel(task), SMALL, seed=1)
    assert ranks["against"] == "distance"
    assert ranks["straight"]["value"] == 1
    assert ranks["latent"]["value"] > 0.95, "between random states the positions rule the task's distance"

    class AngleOnly(StateModel):
        def distance(self, state: Tensor, goal: Tensor) -> Tensor:
            return 1 - torch.cos(state[:, 4] - goal[:, 4])

    assert distance_ranks(task, AngleOnly(task), SMALL, seed=1)["latent"]["high"] < 0.5


def test_greedy_success_follows_the_latents() -> None:
    right = greedy_success(TASK, Geodesic(TASK), SMALL, seed=1)
    assert right["geodesic"]["value"] == 1, "the actions are fine enough to reach every goal"
    assert right["latent"] == right["geodesic"]
    assert 0 < right["straight"]["value"] < 1, "the wall stops the straight rule on some problems"
    blind = greedy_success(TASK, StateModel(TASK), SMALL, seed=1)
    assert blind["latent"] == blind["straight"] == right["straight"]
    away = greedy_success(TASK, Away(TASK), SMALL, seed=1)
    assert away["latent"]["value"] == 0
    assert away["latent"]["count"] == SMALL.greedy


def test_candidates_are_rest_and_held_actions_within_the_bounds() -> None:
    actions = candidates(TASK)
    assert actions.shape == (25, FRAMESKIP, 2)
    assert (actions == actions[:, :1]).all()
    assert (actions[0] == 0).all()
    lengths = np.linalg.norm(actions[:, 0], axis=1)
    np.testing.assert_allclose(np.unique(lengths.round(9)), [0, 0.225, 0.6, 1.8])
    assert len(np.unique(actions[:, 0].round(9), axis=0)) == 25


def test_the_rule_sees_true_next_observations_and_counts_steps() -> None:
    problems = make_problems("wall_single", "random", horizon=2, count=6, purpose="reporting", seed=3)
    seen = []

    def still(frames: np.ndarray, which: np.ndarray) -> np.ndarray:
        seen.append((frames.copy(), which.copy()))
        return np.linalg.norm(frames[:, 0] - problems.starts[which], axis=1)

    assert not follow(TASK, problems, still, steps=3).any()
    frames, which = seen[0]
    np.testing.assert_array_equal(which, np.repeat(np.arange(6), 25))
    expected = TASK.simulate(problems.starts[which], np.tile(candidates(TASK), (6, 1, 1)))[:, -1]
    np.testing.assert_array_equal(frames[:, 0], expected)
    assert len(seen) == 1, "a rule that prefers to rest is stuck after one step"

    towards = lambda frames, which: TASK.geodesic(frames[:, 0], problems.goals[which])  # noqa: E731
    solved_in = [follow(TASK, problems, towards, steps).sum() for steps in (1, 2, 6)]
    assert solved_in == sorted(solved_in)
    assert solved_in[-1] == 6


def test_pictures_of_the_doubles_spell_the_state_out() -> None:
    states = TASK.sample_states(np.random.default_rng(0), 3)
    latents = StateModel(TASK).encode(torch.from_numpy(TASK.render(states, SIZE))[:, None])
    assert latents.numpy() == pytest.approx(states, abs=0)
