"""PointMaze: a ball pushed through a maze, with the MuJoCo physics of gymnasium-robotics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, UInt8

from grasp_theory.action_sets import ActionSet, Box
from grasp_theory.tasks.point_maze.maze_map import Layout, MazeMap
from grasp_theory.tasks.point_maze.physics import MAX_SPEED, point_physics
from grasp_theory.tasks.point_maze.policies import MIXTURES, Mixture
from grasp_theory.tasks.raster import Colour, Viewport, draw_discs
from grasp_theory.tasks.task import FRAMESKIP
from linear_systems.errors import InvalidInputError, NonFiniteError, ShapeError

U_MAZE: Layout = (
    (1, 1, 1, 1, 1),
    (1, 0, 0, 0, 1),
    (1, 1, 1, 0, 1),
    (1, 0, 0, 0, 1),
    (1, 1, 1, 1, 1),
)
"""The layout of PointMaze_UMaze-v3."""
S_MAZE: Layout = (
    (1, 1, 1, 1, 1, 1, 1),
    (1, 0, 0, 0, 0, 0, 1),
    (1, 1, 1, 1, 1, 0, 1),
    (1, 0, 0, 0, 0, 0, 1),
    (1, 0, 1, 1, 1, 1, 1),
    (1, 0, 0, 0, 0, 0, 1),
    (1, 1, 1, 1, 1, 1, 1),
)
"""Two bends and long corridors.

Its longest ways (12 cells) are nearly those of PointMaze_Large-v3 (14) and far longer than those of
PointMaze_Medium-v3 (7), with 11 pixels a cell at 64×64 instead of 6.
"""

RADIUS = 0.1
"""The ball's radius in the physics, in cells."""
DRAWN_RADIUS = 0.2
"""The ball's radius in pictures, in cells: as large as the marker that gymnasium-robotics draws for it."""
SUCCESS_DISTANCE = 0.5
"""A state succeeds when the ball is nearer than this to the goal, in cells."""
TIME_STEP = 0.01
"""Seconds in one environment step."""

CONTACT_GAIN = 0.02
"""How far, in cells of the way, contacts may carry a ball beyond its free speed, at most, in each cell of its way.

Measured, not derived: at most 0.0155 in 300,000 random starts within 0.25 of a corner, most at full speed and force,
and 0.0082 in 180,000 at the seam between two walls.
"""

WALL_COLOUR: Colour = (40, 40, 48)
FLOOR_COLOUR: Colour = (255, 255, 255)
BALL_COLOUR: Colour = (220, 20, 30)

# The model's density, actuator gear and joint damping (assets/point/point.xml of gymnasium-robotics).
_MASS = 1000 * 4 / 3 * np.pi * RADIUS**3
_FORCE = 100.0
_DAMPING = 1.0


@dataclass(frozen=True)
class PointMaze:
    """A ball of radius 0.1 in a maze of unit cells, pushed by a force; implements `Task`.

    A state is (x, y, vx, vy) in cells and m/s (a cell is 1 m), an action the force in [-1, 1]² of 100 N on 4.19 kg.
    One environment step is 0.01 s of MuJoCo on gymnasium-robotics' model: the velocity is clipped to [-5, 5] before
    each step and the action to [-1, 1] (both the environment's own limits), walls are frictionless soft contacts.
    One picture does not show the velocity; two that are a model step apart do.

    Arguments
        name: under which data, problem sets and models are stored.
        layout: the maze; rows from the top, 1 is a wall.
    """

    name: str
    layout: Layout

    state_dim: ClassVar[int] = 4
    action_dim: ClassVar[int] = 2
    action_low: ClassVar[float] = -1.0
    action_high: ClassVar[float] = 1.0
    action_set: ClassVar[ActionSet] = Box(-1.0, 1.0)
    frame_offsets: ClassVar[tuple[int, ...]] = (0, FRAMESKIP)
    state_names: ClassVar[tuple[str, ...]] = ("x [cells]", "y [cells]", "vx [m/s]", "vy [m/s]")
    probe_names: ClassVar[tuple[str, ...]] = ("x [cells]", "y [cells]", "vx [m/s]", "vy [m/s]")
    action_unit: ClassVar[str] = "full force (gear 100)"
    mixtures: ClassVar[Mapping[str, Mapping[str, float]]] = MIXTURES

    @property
    def maze(self) -> MazeMap:
        """The maze's geometry."""
        return _maze_map(self.layout)

    def simulate(
        self, states: Float[np.ndarray, "N 4"], actions: Float[np.ndarray, "N L 2"]
    ) -> Float[np.ndarray, "N L+1 4"]:
        """Return the states before, between and after L environment steps of each row.

        Raises
            ShapeError, NonFiniteError: if the arrays do not fit or are not finite.
            InvalidInputError: if a ball's centre lies inside a wall.
        """
        states = self._checked(states, "states")
        actions = np.asarray(actions, dtype=np.float64)
        if actions.ndim != 3 or actions.shape[0] != len(states) or actions.shape[2] != 2:
            raise ShapeError(
                "actions", f"shape ({len(states)}, L, 2)", str(actions.shape), "one row per state"
            )
        if not np.isfinite(actions).all():
            raise NonFiniteError("actions", "finite forces", "NaN or infinity", "check the planner's actions")
        physics = point_physics(self.layout)
        path = np.empty((len(states), actions.shape[1] + 1, 4))
        path[:, 0] = states
        for k in range(actions.shape[1]):
            path[:, k + 1] = physics.step(path[:, k], actions[:, k])
        return path

    def sample_states(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N 4"]:
        """Return states uniform over the ball's free positions and over velocities in [-5, 5]² m/s."""
        maze = self.maze
        positions = np.empty((count, 2))
        missing = np.arange(count)
        while len(missing):
            cells = maze.free_cells[rng.integers(len(maze.free_cells), size=len(missing))]
            positions[missing] = maze.centres(cells) + rng.uniform(-0.5, 0.5, (len(missing), 2))
            missing = missing[maze.wall_distance(positions[missing]) < RADIUS]
        return np.concatenate([positions, rng.uniform(-MAX_SPEED, MAX_SPEED, (count, 2))], axis=1)

    def behaviour(
        self,
        rng: np.random.Generator,
        states: Float[np.ndarray, "N 4"],
        length: int,
        *,
        mixture: Mapping[str, float],
    ) -> tuple[Float[np.ndarray, "N L+1 4"], Float[np.ndarray, "N L 2"]]:
        """Return the states and actions of N episodes, each by a policy drawn from the mixture.

        The policies are those of `grasp_theory.tasks.point_maze.policies`.

        Raises
            ParameterError: if the mixture names an unknown policy or its weights are no shares.
        """
        states = self._checked(states, "states")
        physics = point_physics(self.layout)
        policy = Mixture(mixture, rng, len(states), self.maze)
        path = np.empty((len(states), length + 1, 4))
        actions = np.empty((len(states), length, 2))
        path[:, 0] = states
        for k in range(length):
            actions[:, k] = policy.act(path[:, k])
            path[:, k + 1] = physics.step(path[:, k], actions[:, k])
        return path, actions

    def render(self, states: Float[np.ndarray, "N 4"], size: int = 64) -> UInt8[np.ndarray, "N size size 3"]:
        """Return top views: dark walls (the border cut to half a cell), a white floor and a red ball."""
        viewport = self.viewport(size)
        background = _background(self.layout, size)
        pictures = np.broadcast_to(background, (len(states), size, size, 3)).copy()
        draw_discs(pictures, viewport.pixels(states[:, :2]), viewport.length(DRAWN_RADIUS), BALL_COLOUR)
        return pictures

    def viewport(self, size: int) -> Viewport:
        """Return the square of the world that pictures show."""
        return _viewport(self.layout, size)

    def distance(
        self, states: Float[np.ndarray, "N 4"], goals: Float[np.ndarray, "N 4"]
    ) -> Float[np.ndarray, " N"]:
        """Return the Euclidean distance of the positions, in cells."""
        distance: Float[np.ndarray, " N"] = np.linalg.norm(states[:, :2] - goals[:, :2], axis=1)
        return distance

    def success(
        self, states: Float[np.ndarray, "N 4"], goals: Float[np.ndarray, "N 4"]
    ) -> Bool[np.ndarray, " N"]:
        """Return whether each ball is nearer than 0.5 cells to its goal, at whatever velocity."""
        return self.distance(states, goals) < SUCCESS_DISTANCE

    def geodesic(
        self, states: Float[np.ndarray, "N 4"], goals: Float[np.ndarray, "N 4"]
    ) -> Float[np.ndarray, " N"]:
        """Return the Euclidean length of the shortest path of the ball's centre around the walls, in cells."""
        return self.maze.geodesic(states[:, :2], goals[:, :2])

    def shortest_steps(
        self, states: Float[np.ndarray, "N 4"], goals: Float[np.ndarray, "N 4"]
    ) -> Float[np.ndarray, " N"]:
        """Return a whole number of model steps in fewer of which the ball cannot succeed; 0 only at success.

        With V = 5.23 m/s (a free step at full force from the clipped 5 m/s), an axis moves at most V·0.01 cells a step,
        so the path's length D in the norm of the larger axis bounds the time.  The success region is at most r nearer
        than the goal: r = 0.5, or √2/2 where the region reaches around a corner.  The speed starts at its Euclidean
        norm and grows by the full force on both axes: contacts take energy, though they may turn a speed from one
        axis to the other (hence Euclidean).  A ball that starts pressed into a wall starts at V, as the contact may
        push it.  While a contact turns it, an axis may exceed V; in all, D shrinks by `CONTACT_GAIN`·(1 + D).

        Raises
            InvalidInputError: if a ball's centre is nearer to a wall than the physics allows.
        """
        starts, ends = states[:, :2], goals[:, :2]
        maze = self.maze
        to_bends = np.linalg.norm(ends[:, None] - maze.waypoints, axis=-1)
        around = (to_bends < SUCCESS_DISTANCE).any(axis=1)
        length = maze.geodesic(starts, ends, norm=np.inf)
        length -= SUCCESS_DISTANCE * np.where(around, np.sqrt(2), 1.0)
        length -= CONTACT_GAIN * (1 + length)
        speed = np.linalg.norm(np.clip(states[:, 2:], -MAX_SPEED, MAX_SPEED), axis=1)
        speed[maze.wall_distance(starts) < RADIUS] = MAX_SPEED
        steps = np.zeros(len(states))
        while (ahead := length > 0).any():
            speed = _after_free_step(speed, np.sqrt(2))
            length -= TIME_STEP * np.minimum(speed, _after_free_step(MAX_SPEED, 1))
            steps += ahead
        return np.where(self.success(states, goals), 0, np.maximum(np.ceil(steps / FRAMESKIP), 1))

    def probe_targets(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 4"]:
        """Return (x, y, vx, vy): a state needs no other coordinates."""
        return states.copy()

    def state_errors(
        self, targets: Float[np.ndarray, "N 4"], states: Float[np.ndarray, "N 4"]
    ) -> dict[str, Float[np.ndarray, " N"]]:
        """Return the Euclidean errors of position (cells) and velocity (m/s)."""
        difference = targets - states
        return {
            "position": np.linalg.norm(difference[:, :2], axis=1),
            "velocity": np.linalg.norm(difference[:, 2:], axis=1),
        }

    def _checked(self, states: Float[np.ndarray, "N 4"], name: str) -> Float[np.ndarray, "N 4"]:
        states = np.asarray(states, dtype=np.float64)
        if states.ndim != 2 or states.shape[1] != 4:
            raise ShapeError(name, "shape (N, 4)", str(states.shape), "x, y, vx, vy in each row")
        if not np.isfinite(states).all():
            raise NonFiniteError(name, "finite states", "NaN or infinity", "check where they come from")
        inside = self.maze.free_index(states[:, :2]) < 0
        if inside.any():
            found = f"{int(inside.sum())} inside a wall, such as {states[inside][0].tolist()}"
            raise InvalidInputError(name, "balls in free cells", found, "sample_states")
        return states


def _after_free_step(speed: Float[np.ndarray, " N"] | float, force: float) -> Float[np.ndarray, " N"] | float:
    """Return the speed after a step with no contact: MuJoCo's Euler step takes the damping implicitly."""
    return speed + TIME_STEP * (_FORCE * force - _DAMPING * speed) / (_MASS + TIME_STEP * _DAMPING)


@lru_cache(maxsize=8)
def _maze_map(layout: Layout) -> MazeMap:
    return MazeMap(layout)


def _viewport(layout: Layout, size: int) -> Viewport:
    """Return the square around the maze that leaves out the outer half of its border."""
    rows, columns = len(layout), len(layout[0])
    extent = max(rows, columns) - 1.0
    return Viewport(left=-extent / 2, top=extent / 2, extent=extent, size=size, y_up=True)


@lru_cache(maxsize=8)
def _background(layout: Layout, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture without the ball; a pixel mixes wall and floor by the area that each covers."""
    wall = _maze_map(layout).wall
    viewport = _viewport(layout, size)
    rows, columns = wall.shape
    edges = np.arange(max(wall.shape) + 1)
    lines = viewport.pixels(np.stack([edges - columns / 2, rows / 2 - edges], axis=-1))
    across, down = _overlaps(lines[: columns + 1, 0], size), _overlaps(lines[: rows + 1, 1], size)
    floor = (down.T @ ~wall @ across)[..., None]
    mixed = floor * np.array(FLOOR_COLOUR) + (1 - floor) * np.array(WALL_COLOUR)
    picture: UInt8[np.ndarray, "size size 3"] = np.rint(mixed).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def _overlaps(lines: Float[np.ndarray, " lines"], size: int) -> Float[np.ndarray, "lines-1 {size}"]:
    """Return the length of each pixel that lies between each two neighbouring lines."""
    pixel = np.arange(size)
    upper = np.minimum(lines[1:, None], pixel + 1)
    lower = np.maximum(lines[:-1, None], pixel)
    overlaps: Float[np.ndarray, "K size"] = np.maximum(upper - lower, 0)
    return overlaps


POINT_MAZE = PointMaze("point_maze", U_MAZE)
POINT_MAZE_LONG = PointMaze("point_maze_long", S_MAZE)
