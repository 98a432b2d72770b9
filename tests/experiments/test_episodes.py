"""Episodes: reproducible, resumable, and lined up with their frames."""

import numpy as np
import pytest

from experiments import episodes as data
from experiments.episodes import Episodes, collect, frame_states
from grasp_theory.tasks import by_name
from linear_systems.errors import ParameterError

TASKS = ("wall_single", "point_maze", "push_t")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(data, "SHARD", 3)


def some(folder, name="wall_single", *, episodes=5, length=20, seed=0) -> Episodes:
    task = by_name(name)
    return collect(
        task, episodes=episodes, length=length, seed=seed, folder=folder, mixture=task.mixtures["offline"]
    )


@pytest.mark.parametrize("name", TASKS)
def test_stored_episodes_are_true_trajectories(tmp_path, name):
    made, read = some(tmp_path, name), some(tmp_path, name)
    assert np.array_equal(made.states, read.states)
    assert np.array_equal(made.actions, read.actions)
    if name == "push_t":  # its contacts remember more than the state: see push_t_physics
        return
    simulated = made.task.simulate(made.states[:, 0], made.actions)
    np.testing.assert_allclose(simulated, made.states, rtol=0, atol=1e-9)


def test_more_episodes_begin_with_the_same_ones_and_another_seed_does_not(tmp_path):
    few, many, other = some(tmp_path), some(tmp_path, episodes=8), some(tmp_path, seed=1)
    assert np.array_equal(many.states[:5], few.states)
    assert not np.array_equal(other.states, few.states)


@pytest.mark.parametrize("name", TASKS)
def test_the_order_of_a_mixture_does_not_matter(tmp_path, name):
    task = by_name(name)
    for kind in ("offline", "robust"):
        mixture = task.mixtures[kind]
        made = [
            collect(task, episodes=3, length=10, seed=0, folder=tmp_path / f"{kind}{k}", mixture=given)
            for k, given in enumerate((dict(mixture), dict(reversed(mixture.items()))))
        ]
        assert np.array_equal(made[0].actions, made[1].actions)


def test_a_killed_collection_makes_only_what_is_missing(tmp_path):
    whole = some(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    times = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    again = some(tmp_path)
    assert np.array_equal(again.states, whole.states)
    assert files[0].stat().st_mtime_ns == times[0]


def test_a_damaged_file_is_named(tmp_path):
    some(tmp_path)
    file = min(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ParameterError, match=file.name):
        some(tmp_path)


@pytest.mark.parametrize("name", TASKS)
def test_model_steps_and_stacked_frames_line_up_with_the_environment_steps(tmp_path, name):
    episodes = some(tmp_path, name, length=23)
    offsets = np.array(episodes.task.frame_offsets)
    count, steps = episodes.model_states.shape[:2]
    assert episodes.model_actions.shape == (count, steps - 1, 10)
    grid = np.meshgrid(np.arange(count), np.arange(steps), indexing="ij")
    stacked = frame_states(episodes, *grid)
    assert np.array_equal(stacked[:, :, 0], episodes.model_states)
    for step in range(steps):
        time = episodes.first + 5 * step
        assert np.array_equal(stacked[:, step], episodes.states[:, time - offsets])
    assert np.array_equal(
        episodes.model_actions[:, 0].reshape(count, 5, 2),
        episodes.actions[:, episodes.first : episodes.first + 5],
    )
