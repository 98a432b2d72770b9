"""Distances along executed plans, where the latent is the true state."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_doubles import StateModel, TellingWall

from experiments.study.figure_data.cases import demonstrations
from experiments.study.figure_data.detours import recedes
from experiments.study.figure_data.distances import latent_distances, true_distances
from experiments.study.trials.judge import Judge
from grasp_theory.tasks.task import FRAMESKIP

HORIZON = 6


@pytest.fixture(scope="module")
def shown() -> tuple[Judge, np.ndarray]:
    task = TellingWall()
    problems, path = demonstrations(task, HORIZON, 30)
    return Judge(task, StateModel(task), problems, range(30)), path


def test_demonstrations_start_at_the_start_and_end_at_the_goal(shown: tuple[Judge, np.ndarray]) -> None:
    judge, path = shown
    assert path.shape == (30, FRAMESKIP * HORIZON + 1, 2)
    np.testing.assert_array_equal(path[:, 0], judge.starts)
    np.testing.assert_array_equal(path[:, -1], judge.goals)
    again, _ = demonstrations(judge.task, HORIZON, 30)
    np.testing.assert_array_equal(again.starts, judge.starts)


def test_latent_distances_are_the_true_ones_where_latents_are_states(shown: tuple[Judge, np.ndarray]) -> None:
    judge, path = shown
    latent, true = latent_distances(judge, path), true_distances(judge, path[:, ::FRAMESKIP])
    assert latent.shape == (30, HORIZON + 1)
    np.testing.assert_allclose(latent, true, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(true[:, 0], 1)
    np.testing.assert_array_equal(true[:, -1], 0)
    # Random behaviour wanders, and going straight does not.
    assert recedes(true).any()
    straight = np.linspace(judge.starts, judge.goals, HORIZON + 1, axis=1)
    assert not recedes(true_distances(judge, straight)).any()
