"""The Gymnasium environments: the checker, settable states, stacked frames, goals at rest, errors."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from grasp_theory.tasks import TASKS, by_name
from grasp_theory.tasks.environment import TaskEnv, depth, sample_goals, sample_histories, with_goal
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.tasks.wall_single.wall_single import WALL_SINGLE
from linear_systems.errors import InvalidInputError, NonFiniteError, ParameterError, ShapeError

IDS = ["WallSingle", "WallSingleLong", "PointMaze", "PointMazeLong", "PushT"]
CLOSE = {"state": np.array([20.0, 30.0]), "goal": np.array([24.9, 30.0])}


# The spaces are in the tasks' own units, which the models have too; Gymnasium would rather have [-1, 1].
@pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric and normalized space:UserWarning")
@pytest.mark.parametrize("name", IDS)
def test_registered_environments_pass_the_checker_without_a_warning(name: str) -> None:
    env = gymnasium.make(f"grasp_theory/{name}-v0", render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.reset(seed=0)[0].dtype == np.uint8
    assert env.spec.max_episode_steps > 0
    env.close()


@pytest.mark.parametrize("name", TASKS)
def test_every_name_gives_its_task(name: str) -> None:
    task = by_name(name)
    assert isinstance(task, Task)
    assert task.name == name


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ParameterError, match=", ".join(TASKS)):
        by_name("wall_singel")


def test_an_episode_is_the_tasks_own() -> None:
    env = TaskEnv("wall_single", render_mode="rgb_array")
    picture, info = env.reset(options={"state": [20, 30], "goal": [30, 10]})
    np.testing.assert_array_equal(picture, WALL_SINGLE.render(np.array([[20.0, 30.0]]))[0])
    assert info["distance"] == pytest.approx(np.hypot(10, 20))
    assert not info["success"]
    picture, reward, terminated, truncated, info = env.step(np.array([0.5, -0.25]))
    expected = WALL_SINGLE.simulate(np.array([[20.0, 30.0]]), np.array([[[0.5, -0.25]]]))[:, 1]
    np.testing.assert_allclose(info["state"], expected[0], rtol=1e-12)
    np.testing.assert_array_equal(picture, WALL_SINGLE.render(expected)[0])
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert env.render().shape == (256, 256, 3)


@pytest.mark.parametrize("name", TASKS)
def test_an_action_is_the_same_in_the_task_and_in_the_gym(name: str) -> None:
    task, env = by_name(name), TaskEnv(name, size=8)
    _, info = env.reset(seed=3)
    action = np.full(task.action_dim, 0.7 * task.action_high)
    expected = task.simulate(info["state"][None], action[None, None])[0, 1]
    np.testing.assert_array_equal(env.step(action)[4]["state"], expected)
    for bound in (task.action_low, task.action_high):
        env.step(np.full(task.action_dim, bound))
        env.step(np.full(task.action_dim, bound, dtype=np.float32))


@pytest.mark.parametrize("name", TASKS)
def test_the_action_set_is_what_the_world_does(name: str) -> None:
    """Any model action has the effect of its projection, and within the set no two directions are cut alike."""
    task, rng = by_name(name), np.random.default_rng(0)
    states = task.sample_states(rng, 8)
    actions = rng.uniform(-2 * task.action_high, 2 * task.action_high, (8, FRAMESKIP, task.action_dim))
    projected = (
        task.action_set.project(torch.from_numpy(actions.reshape(8, -1))).numpy().reshape(actions.shape)
    )
    assert (np.abs(projected) <= task.action_high + 1e-12).all()
    assert (projected != actions).any()
    if name.startswith(
        "wall_single"
    ):  # the other two clip in each component too, and refuse what lies beyond
        np.testing.assert_allclose(
            task.simulate(states, projected), task.simulate(states, actions), rtol=1e-12, atol=1e-12
        )


def test_success_ends_the_episode() -> None:
    env = TaskEnv(WALL_SINGLE)
    _, info = env.reset(options=CLOSE)
    assert not info["success"]
    _, reward, terminated, _, info = env.step(np.array([0.5, 0.0]))
    assert (reward, terminated, info["success"]) == (1.0, True, True)
    assert env.render() is None


def test_a_random_start_is_never_a_success() -> None:
    env = TaskEnv(WALL_SINGLE, size=8)
    env.reset(seed=0)
    assert not any(env.reset()[1]["success"] for _ in range(200))
    assert not any(env.reset(options={"goal": [20, 30]})[1]["success"] for _ in range(200))
    with pytest.raises(ParameterError, match="no success"):
        # No start is left where all are a success.
        TaskEnv(_Won(WALL_SINGLE)).reset(seed=0)


class _Won:
    """A task whose every state is a success."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __getattr__(self, name: str) -> object:
        return getattr(self._task, name)

    def success(self, states: np.ndarray, goals: np.ndarray) -> np.ndarray:
        return np.ones(len(states), dtype=bool)


def test_same_seed_same_episode() -> None:
    first, second, other = (TaskEnv(WALL_SINGLE).reset(seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1]["goal"], second[1]["goal"])
    assert not np.array_equal(first[1]["state"], other[1]["state"])


@pytest.mark.parametrize("name", ["point_maze", "push_t"])
def test_stacked_frames_are_those_of_the_offsets(name: str) -> None:
    task = by_name(name)
    env = TaskEnv(task, size=32)
    rng = np.random.default_rng(0)
    goal = task.sample_states(rng, 1)[0]
    path = task.behaviour(rng, task.sample_states(rng, 1), depth(task) + 2, mixture=task.mixtures["offline"])[
        0
    ][0]
    past = path[: depth(task)][::-1]
    pictures, _ = env.reset(options={"history": past, "goal": goal})
    np.testing.assert_array_equal(pictures, task.render(past[list(task.frame_offsets)], 32))
    states = list(past)
    for _ in range(3):
        pictures, _, _, _, info = env.step(np.full(2, 0.7))
        states.insert(0, info["state"])
        expected = np.stack([states[offset] for offset in task.frame_offsets])
        np.testing.assert_array_equal(pictures, task.render(expected, 32))
    still, _ = env.reset(options={"state": goal, "goal": past[0]})
    assert (still == still[:1]).all()


@pytest.mark.parametrize("name", TASKS)
def test_goals_rest_and_starts_come_from_the_simulation(name: str) -> None:
    task = by_name(name)
    goals = sample_goals(task, np.random.default_rng(1), 40)
    assert goals.shape == (40, depth(task), task.state_dim)
    later = task.simulate(goals[:, 0], np.zeros((40, 10, task.action_dim)))
    np.testing.assert_allclose(later, np.repeat(goals[:, :1], 11, axis=1), rtol=0, atol=1e-5)
    starts = sample_histories(task, np.random.default_rng(2), 10)
    oldest = starts[:, -1]
    path = task.simulate(oldest, np.zeros((10, depth(task) - 1, task.action_dim)))
    np.testing.assert_array_equal(path[:, ::-1], starts)


def test_a_task_that_never_rests_has_no_goals() -> None:
    class Drifting(_Won):
        def simulate(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
            return self._task.simulate(states, actions) + 0.1

    with pytest.raises(ParameterError, match="at rest"):
        sample_goals(Drifting(WALL_SINGLE), np.random.default_rng(0), 3)


@pytest.mark.parametrize("name", TASKS)
def test_the_goal_is_marked_and_the_state_stays_clear(name: str) -> None:
    task = by_name(name)
    rng = np.random.default_rng(3)
    states, goals = task.sample_states(rng, 4), task.sample_states(rng, 4)
    plain, marked = task.render(states, 256).astype(int), with_goal(task, states, goals).astype(int)
    assert ((plain != marked).any(axis=-1).sum(axis=(1, 2)) > 50).all()
    assert (marked <= plain).all()
    assert np.abs(plain - marked).max() <= 0.3 * 255 + 1
    np.testing.assert_array_equal(with_goal(task, states, states), plain)


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"sate": [20, 30]}, ParameterError, "options"),
        ({"state": [20, 30], "history": [[20, 30]]}, ParameterError, "options"),
        ({"state": [20, 30, 1]}, ShapeError, "state"),
        ({"history": [20, 30]}, ShapeError, "history"),
        ({"goal": [[20, 30]]}, ShapeError, "goal"),
        ({"goal": [20, np.nan]}, NonFiniteError, "goal"),
        ({"goal": [32, 40]}, ParameterError, "goal"),
        ({"goal": [2, 30]}, ParameterError, "goal"),
        ({"state": [32, 40]}, ParameterError, "state"),
        ({"history": [[32, 40]]}, ParameterError, "history"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], error: type[Exception], argument: str) -> None:
    with pytest.raises(error) as caught:
        TaskEnv(WALL_SINGLE).reset(options=options)
    assert caught.value.argument == argument


def test_a_goal_inside_a_wall_of_the_maze_is_refused() -> None:
    env = TaskEnv("point_maze")
    with pytest.raises(InvalidInputError, match="goal"):
        env.reset(options={"goal": [0, 0, 0, 0]})
    assert env.reset(seed=0, options={"goal": [-1, -1, 0, 0]})[1]["goal"][0] == -1


@pytest.mark.parametrize("action", [[1.81, 0.0], [np.nan, 0.0], [0.1], [[0.1, 0.1]]])
def test_actions_out_of_the_space_are_refused_not_clipped(action: list[float]) -> None:
    env = TaskEnv(WALL_SINGLE)
    env.reset(seed=0)
    with pytest.raises(ParameterError, match="action"):
        env.step(np.array(action))


@pytest.mark.parametrize("arguments", [{"size": 0}, {"render_mode": "human"}, {"task": "maze"}])
def test_bad_settings_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        TaskEnv(**({"task": WALL_SINGLE} | arguments))
