"""Which problems need a detour: whether the distance to the goal must grow somewhere on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from grasp_theory.tasks.point_maze.maze_map import MazeMap
from grasp_theory.tasks.task import Task
from grasp_theory.tasks.wall_single.walls import Walls

MARGIN = 0.05
"""Growth that counts, as a share of the distance at the start."""
DEEP = 0.1
"""How deep inside a wall a decoded position must lie to count, as a share of a maze's cell or of WallSingle's wall."""
_MOST_BENDS = 20


@runtime_checkable
class HasWalls(Protocol):
    """A task of a point among rectangular walls."""

    @property
    def walls(self) -> Walls:
        """The walls."""


@runtime_checkable
class HasMaze(Protocol):
    """A task of a ball in a maze."""

    @property
    def maze(self) -> MazeMap:
        """The maze."""


def above_start(distances: Float[np.ndarray, "N T"]) -> Bool[np.ndarray, " N"]:
    """Return which distances at some time exceed that at the start, by `MARGIN` of it."""
    above: Bool[np.ndarray, " N"] = distances.max(axis=1) > (1 + MARGIN) * distances[:, 0]
    return above


def recedes(distances: Float[np.ndarray, "N T"]) -> Bool[np.ndarray, " N"]:
    """Return which distances ever exceed their smallest value so far, by `MARGIN` of that at the start."""
    growth = distances - np.minimum.accumulate(distances, axis=1)
    grows: Bool[np.ndarray, " N"] = growth.max(axis=1) > MARGIN * distances[:, 0]
    return grows


def needs_detour(
    task: Task, starts: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"]
) -> Bool[np.ndarray, " N"] | None:
    """Return for which problems the straight distance recedes on the shortest path around the walls; None for a task without
    walls."""
    if not isinstance(task, HasWalls | HasMaze):
        return None
    # Twenty points a leg find the foot of the goal's perpendicular on it to 5% of the leg.
    share = np.linspace(0, 1, 21)[:, None]
    answer = np.zeros(len(starts), dtype=bool)
    for i, (start, goal) in enumerate(zip(starts[:, :2], goals[:, :2], strict=True)):
        bends = shortest_path(task, start, goal)
        legs = [(1 - share) * a + share * b for a, b in pairwise(bends)]
        distance = np.linalg.norm(np.concatenate(legs) - goal, axis=1)
        answer[i] = recedes(distance[None])[0]
    return answer


def shortest_path(
    task: HasWalls | HasMaze, start: Float[np.ndarray, " 2"], goal: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "K 2"]:
    """Return start, bends and goal of a shortest path around the walls."""
    path = [start]
    while not np.array_equal(path[-1], goal) and len(path) < _MOST_BENDS:
        path.append(_next_bend(task, path[-1], goal))
    return np.array(path)


def _next_bend(
    task: HasWalls | HasMaze, point: Float[np.ndarray, " 2"], goal: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 2"]:
    if isinstance(task, HasWalls):
        bend: Float[np.ndarray, " 2"] = task.walls.waypoints(point[None], goal[None])[0]
        return bend
    maze = task.maze
    corners = maze.waypoints
    if maze.sees(point[None], goal[None])[0] or not len(corners):
        return goal
    here, there = np.broadcast_to(point, corners.shape), np.broadcast_to(goal, corners.shape)
    legs = np.linalg.norm(corners - here, axis=1)
    usable = maze.sees(here, corners) & (legs > 0)
    lengths = np.where(usable, legs + maze.geodesic(corners, there), np.inf)
    best: Float[np.ndarray, " 2"] = corners[lengths.argmin()]
    return best


def in_walls(task: Task, positions: Float[np.ndarray, "*batch 2"]) -> Bool[np.ndarray, "*batch"] | None:
    """Return which positions lie deep inside a wall (see `DEEP`); None for a task without walls."""
    if isinstance(task, HasWalls):
        # The rectangles without a rim; the room's own border has no inside.
        inside = np.zeros(positions.shape[:-1], dtype=bool)
        for left, top, right, bottom in task.walls.rectangles:
            rim = DEEP * (right - left)
            low, high = np.array([left, top]) + rim, np.array([right, bottom]) - rim
            inside |= ((positions > low) & (positions < high)).all(axis=-1)
        return inside
    if isinstance(task, HasMaze):
        # Farther than that from every free cell, in the larger of the two axes; its border has no inside either.
        free = task.maze.centres(task.maze.free_cells)
        away = np.abs(positions[..., None, :] - free).max(axis=-1) - 0.5
        within = ((positions > free.min(axis=0) - 0.5) & (positions < free.max(axis=0) + 0.5)).all(axis=-1)
        return np.asarray((away.min(axis=-1) > DEEP) & within)
    return None
