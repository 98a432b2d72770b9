"""Behaviour policies of the point maze: what moves the ball in the data that world models learn from.

A policy steers N episodes at once.  `MIXTURES` names how episodes are divided among policies:

- `random`: a fresh uniform force at every step; the ball hardly moves, the actions are as diverse as can be.
- `correlated`: an Ornstein-Uhlenbeck force with a memory of 0.3 s: a slow random walk.
- `goal_directed`: a proportional-derivative controller along the shortest way through the cells to random goals,
  with gains, goals and lanes of its own in each episode, plus a correlated disturbance.
- `shaken`: `goal_directed` with independent noise on every force, of a standard deviation between 0.1 and 1.2 in each
  episode: jerky as the plans of optimisers are.
- `saturated`: each axis at full force or none, held for up to 0.5 s: full speed, walls rammed and pressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp_theory.tasks.point_maze.maze_map import MazeMap
from linear_systems.errors import ParameterError

MIXTURES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "offline": MappingProxyType({"random": 0.1, "correlated": 0.35, "goal_directed": 0.55}),
        "robust": MappingProxyType(
            {"random": 0.1, "correlated": 0.2, "goal_directed": 0.3, "saturated": 0.4}
        ),
        "diverse": MappingProxyType(
            {"shaken": 0.4, "goal_directed": 0.2, "saturated": 0.2, "random": 0.1, "correlated": 0.1}
        ),
    }
)
"""Shares of episodes: offline data is behaviour only; robust data adds walls and saturated actions;
actions of diverse data are as jerky as those that planners try."""

MEMORY = 30.0
"""Steps over which a correlated force forgets."""
LONGEST_HOLD = 50
"""The most steps for which a saturated force is held."""
ARRIVAL = 0.3
"""Distance in cells at which a goal counts as reached and the next is drawn."""


class Policy(Protocol):
    """Forces for N episodes, from their states."""

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the forces of this step, in [-1, 1]."""


class Random:
    """A fresh uniform force at every step."""

    def __init__(self, rng: np.random.Generator, count: int, maze: MazeMap) -> None:
        self._rng = rng

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return forces uniform in [-1, 1]²."""
        return self._rng.uniform(-1, 1, (len(states), 2))


class Correlated:
    """An Ornstein-Uhlenbeck force of standard deviation 0.7, clipped to [-1, 1]."""

    def __init__(self, rng: np.random.Generator, count: int, maze: MazeMap, deviation: float = 0.7) -> None:
        self._rng = rng
        self._deviation = deviation
        self._force = deviation * rng.standard_normal((count, 2))

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the present force and let it drift."""
        force = np.clip(self._force, -1, 1)
        keep = np.exp(-1 / MEMORY)
        fresh = self._deviation * self._rng.standard_normal(self._force.shape)
        self._force = keep * self._force + np.sqrt(1 - keep**2) * fresh
        return force


class GoalDirected:
    """A noisy controller along the shortest way through the cells to one random goal after the other.

    In each episode the proportional gain is log-uniform in [0.5, 4] per cell and the damping ratio of the
    controlled ball uniform in [0.4, 1.2].  The ball heads for a point of the next cell (a lane that is drawn
    with the goal), so that ways fill the width of the corridors.
    """

    def __init__(self, rng: np.random.Generator, count: int, maze: MazeMap) -> None:
        self._rng, self._maze = rng, maze
        self._gain = np.exp(rng.uniform(np.log(0.5), np.log(4.0), (count, 1)))
        ratio = rng.uniform(0.4, 1.2, (count, 1))
        # x'' = 24 u for the free ball (100 N on 4.19 kg), so u = -k x - d x' has damping ratio d √(24 / k) / 2.
        self._damping = 2 * ratio * np.sqrt(self._gain / 24.0)
        self._noise = Correlated(rng, count, maze, deviation=0.3)
        self._goals: Int[np.ndarray, " N"] = np.zeros(count, dtype=int)
        self._lanes: Float[np.ndarray, "N 2"] = np.zeros((count, 2))
        self._draw(np.ones(count, dtype=bool))

    def _draw(self, which: Bool[np.ndarray, " N"]) -> None:
        count = int(which.sum())
        self._goals[which] = self._rng.integers(len(self._maze.free_cells), size=count)
        self._lanes[which] = self._rng.uniform(-0.38, 0.38, (count, 2))

    def _points(self, cells: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N 2"]:
        points: Float[np.ndarray, "N 2"] = self._maze.centres(self._maze.free_cells[cells]) + self._lanes
        return points

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the controller's force plus the disturbance, clipped to [-1, 1]."""
        positions, velocities = states[:, :2], states[:, 2:]
        self._draw(np.linalg.norm(self._points(self._goals) - positions, axis=1) < ARRIVAL)
        here = self._maze.free_index(positions)
        target = self._points(self._maze.next_cell[here, self._goals])
        force = self._gain * (target - positions) - self._damping * velocities + self._noise.act(states)
        clipped: Float[np.ndarray, "N 2"] = np.clip(force, -1, 1)
        return clipped


class Shaken(GoalDirected):
    """`GoalDirected` with independent noise on every force, of a standard deviation between 0.1 and 1.2 in each episode."""

    def __init__(self, rng: np.random.Generator, count: int, maze: MazeMap) -> None:
        super().__init__(rng, count, maze)
        self._spread = rng.uniform(0.1, 1.2, (count, 1))

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the controller's shaken force, clipped to [-1, 1]."""
        shaken = super().act(states) + self._spread * self._rng.standard_normal((len(states), 2))
        clipped: Float[np.ndarray, "N 2"] = np.clip(shaken, -1, 1)
        return clipped


class Saturated:
    """Each axis pushed with -1, 0 or 1, held for 1 to `LONGEST_HOLD` steps."""

    def __init__(self, rng: np.random.Generator, count: int, maze: MazeMap) -> None:
        self._rng = rng
        self._force = np.zeros((count, 2))
        self._left = np.zeros((count, 2), dtype=int)

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the held forces, drawing anew those that ran out."""
        over = self._left == 0
        count = int(over.sum())
        self._force[over] = self._rng.choice([-1.0, 0.0, 1.0], p=[0.4, 0.2, 0.4], size=count)
        self._left[over] = self._rng.integers(1, LONGEST_HOLD, endpoint=True, size=count)
        self._left -= 1
        return self._force.copy()


POLICIES = MappingProxyType(
    {
        "random": Random,
        "correlated": Correlated,
        "goal_directed": GoalDirected,
        "saturated": Saturated,
        "shaken": Shaken,
    }
)


class Mixture:
    """Episodes divided at random among named policies.

    Arguments
        weights: the share of each policy of `POLICIES`, in any positive scale.

    Raises
        ParameterError: if a name is unknown or the weights are not non-negative with a positive sum.
    """

    def __init__(
        self, weights: Mapping[str, float], rng: np.random.Generator, count: int, maze: MazeMap
    ) -> None:
        unknown = sorted(set(weights) - set(POLICIES))
        if unknown:
            raise ParameterError("mixture", f"policies among {sorted(POLICIES)}", str(unknown), "check names")
        # In one order, whatever the weights': the same weights are the same episodes.
        names = [name for name in POLICIES if name in weights]
        shares = np.array([weights[name] for name in names], dtype=float)
        if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
            found = str(dict(weights))
            raise ParameterError("mixture", "non-negative weights with a positive sum", found, "shares")
        drawn = rng.choice(len(shares), p=shares / shares.sum(), size=count)
        self._groups: list[tuple[Int[np.ndarray, " n"], Policy]] = []
        for k, name in enumerate(names):
            rows = np.flatnonzero(drawn == k)
            self._groups.append((rows, POLICIES[name](rng, len(rows), maze)))

    def act(self, states: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 2"]:
        """Return the forces of this step."""
        forces = np.empty((len(states), 2))
        for rows, policy in self._groups:
            forces[rows] = policy.act(states[rows])
        return forces
