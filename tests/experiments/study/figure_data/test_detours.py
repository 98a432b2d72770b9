"""Who needs a detour, and what counts as going away from the goal."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.study.figure_data.detours import above_start, in_walls, needs_detour, recedes, shortest_path
from grasp_theory.tasks import by_name

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


def test_growth_is_told_from_noise_and_from_monotone_approach() -> None:
    curves = np.array(
        [
            [1.0, 0.6, 0.3, 0.0],
            [1.0, 1.2, 0.5, 0.0],  # above the start
            [1.0, 0.2, 0.4, 0.0],  # recedes, below the start
            [1.0, 1.04, 0.5, 0.04],  # by less than counts
        ]
    )
    assert above_start(curves).tolist() == [False, True, False, False]
    assert recedes(curves).tolist() == [False, True, True, False]


def test_a_wall_in_the_way_needs_a_detour_and_an_open_door_does_not() -> None:
    task = by_name("wall_single")  # the door is at y = 10
    starts = np.array([[20.0, 50.0], [20.0, 10.0], [10.0, 50.0]])
    goals = np.array([[44.0, 50.0], [44.0, 10.0], [20.0, 55.0]])
    needed = needs_detour(task, starts, goals)
    assert needed is not None
    assert needed.tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["wall_single", "point_maze"])
def test_the_shortest_path_has_the_length_of_the_geodesic(name: str) -> None:
    task = by_name(name)
    states = task.sample_states(np.random.default_rng(0), 80)
    for start, goal in zip(states[:40], states[40:], strict=True):
        bends = shortest_path(task, start[:2], goal[:2])
        length = np.linalg.norm(np.diff(bends, axis=0), axis=1).sum()
        # Between points in the same order of magnitude: sums of at most twenty square roots.
        assert length == pytest.approx(task.geodesic(start[None], goal[None])[0], rel=1e-12)


def test_around_the_bend_of_the_maze() -> None:
    task = by_name("point_maze")  # a U, open at the right
    start, goal = np.array([[-1.0, 1.0, 0, 0]]), np.array([[-1.0, -1.0, 0, 0]])
    assert needs_detour(task, start, goal) == [True]
    assert needs_detour(task, start, np.array([[1.0, 1.0, 0, 0]])) == [False]


def test_only_what_is_deep_inside_counts_as_in_a_wall() -> None:
    wall = in_walls(
        by_name("wall_single"), np.array([[[32.0, 40.0], [32.0, 10.0]], [[29.1, 40.0], [10.0, 10.0]]])
    )
    assert wall is not None
    assert wall.tolist() == [[True, False], [False, False]]
    maze = in_walls(
        by_name("point_maze"), np.array([[-1.4, 0.0], [-0.5, 0.0], [-1.0, 1.0], [-0.9, 0.45], [3.0, 3.0]])
    )
    assert maze is not None
    assert maze.tolist() == [True, True, False, False, False]


def test_a_task_without_walls_has_no_answer() -> None:
    task = by_name("push_t")
    states = task.sample_states(np.random.default_rng(0), 2)
    assert needs_detour(task, states[:1], states[1:]) is None
    assert in_walls(task, states[:, :2]) is None
