"""States to latents and back: decoded states, frames after a step, random pairs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evaluation_doubles import StateModel, TellingWall

from experiments.evaluation import observe
from experiments.evaluation.sizes import TRIALS, stream, trials
from grasp_theory.tasks import TASKS, by_name
from grasp_theory.tasks.task import FRAMESKIP
from linear_systems.errors import NonFiniteError, ParameterError


@pytest.mark.parametrize("name", TASKS)
def test_decoded_states_invert_the_probe_targets(name: str) -> None:
    task = by_name(name)
    states = task.sample_states(np.random.default_rng(0), 20)
    decoded = observe.decoded_states(task, task.probe_targets(states))
    np.testing.assert_allclose(task.probe_targets(decoded), task.probe_targets(states), atol=1e-9)
    assert task.success(decoded, states).all()
    np.testing.assert_allclose(task.distance(decoded, states), 0, atol=1e-9)
    with pytest.raises(ParameterError, match="quantities"):
        observe.decoded_states(task, task.probe_targets(states)[:, :-1])


@pytest.mark.parametrize("name", TASKS)
def test_random_pairs_are_histories_of_the_frames_and_goals_rest(name: str) -> None:
    task = by_name(name)
    states, goals = observe.random_pairs(task, np.random.default_rng(0), 5)
    assert states.shape == goals.shape == (5, len(task.frame_offsets), task.state_dim)
    np.testing.assert_allclose(goals, np.broadcast_to(goals[:, :1], goals.shape), atol=1e-5)
    again, _ = observe.random_pairs(task, np.random.default_rng(0), 5)
    np.testing.assert_array_equal(again, states)


def test_frames_after_a_step_are_its_last_states_newest_first() -> None:
    path = np.arange(2 * (FRAMESKIP + 1) * 7, dtype=float).reshape(2, FRAMESKIP + 1, 7)
    task = by_name("push_t")
    frames = observe.after_model_step(task, path)
    np.testing.assert_array_equal(frames, path[:, [FRAMESKIP - offset for offset in task.frame_offsets]])
    with pytest.raises(ParameterError, match="frames within"):
        observe.after_model_step(SimpleNamespace(frame_offsets=(0, FRAMESKIP + 1)), path)


def test_encoding_in_chunks_is_encoding_at_once() -> None:
    task = TellingWall()
    states = task.sample_states(np.random.default_rng(0), 2 * observe.CHUNK + 3)
    latents = observe.encode(StateModel(task), task, states[:, None])
    np.testing.assert_array_equal(latents.numpy(), states)


def test_probes_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NonFiniteError, match="diverges"):
        observe.probe(StateModel(TellingWall()), torch.tensor([[1.0, torch.nan]], dtype=torch.float64))


def test_every_task_has_problems_and_its_own_random_streams() -> None:
    assert set(TRIALS) == set(TASKS)
    drawn = {
        (name, measure, seed): stream(by_name(name), seed, measure).random()
        for name in TASKS
        for measure in ("episodes", "pairs")
        for seed in (0, 1)
    }
    assert len(set(drawn.values())) == len(drawn)
    unknown = TellingWall(name="elsewhere")
    with pytest.raises(ParameterError, match="elsewhere"):
        trials(unknown)
