"""WallSingle: a dot in a walled room with a door, after the setting of DINO-WM; batched in numpy.

The world is 65×65 px.  The dot's centre stays in [5, 60]²; a vertical wall, 6 px wide and centred at x = 32,
crosses the room except at a door, y in [6, 14].  An environment step moves the dot by 2·action and slides it along
the walls that it meets (`Walls.move`); y points down, as in the pictures.

Actuator limit (part of the dynamics): an action longer than 1.8 is shortened to that length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from grasp_theory.action_sets import ActionSet, Balls
from grasp_theory.tasks.raster import (
    Viewport,
    blank,
    draw_convex_polygons,
    draw_discs,
    rectangle,
)
from grasp_theory.tasks.task import FRAMESKIP
from grasp_theory.tasks.wall_single.walls import Walls
from linear_systems.errors import NonFiniteError, ParameterError, ShapeError

WORLD = 65.0
BORDER = 5.0
SUCCESS_RADIUS = 4.5
DOT_RADIUS = 2.0
ACTION_LIMIT = 1.8
LENGTH_MEAN, LENGTH_SPREAD = 1.0, 0.4
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (220, 20, 20)


@dataclass(frozen=True)
class WallSingle:
    """The task; all lengths in pixels of the 65×65 world.

    Arguments
        name: what sets and models are stored under.
        doors: (x, y) of each vertical wall's centre line and of the centre of its door.
        width: width of the walls; at least the success radius, so that success never reaches through one.
        half_opening: half the height of a door.
        gain: how far an action of length 1 moves the dot in one environment step.

    Raises
        ParameterError: if a wall is thinner than the success radius, leaves the room or lacks its door.
    """

    name: str = "wall_single"
    doors: tuple[tuple[float, float], ...] = ((32.0, 10.0),)
    width: float = 6.0
    half_opening: float = 4.0
    gain: float = 2.0

    state_dim: int = field(default=2, init=False)
    action_dim: int = field(default=2, init=False)
    action_low: float = field(default=-ACTION_LIMIT, init=False)
    action_high: float = field(default=ACTION_LIMIT, init=False)
    action_set: ActionSet = field(default=Balls(ACTION_LIMIT, 2), init=False, compare=False)
    frame_offsets: tuple[int, ...] = field(default=(0,), init=False)
    state_names: tuple[str, ...] = field(default=("x (px)", "y (px)"), init=False)
    probe_names: tuple[str, ...] = field(default=("x (px)", "y (px)"), init=False)
    mixtures: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {"offline": OFFLINE, "robust": ROBUST, "diverse": DIVERSE},
        init=False,
        compare=False,
    )

    def __post_init__(self) -> None:
        if not self.width >= SUCCESS_RADIUS:
            raise ParameterError(
                "width", f"at least {SUCCESS_RADIUS}", f"{self.width}", "make the walls thicker"
            )
        for name, value in (("half_opening", self.half_opening), ("gain", self.gain)):
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(name, "a positive length", f"{value}", "give it in pixels of the world")
        half = np.array([self.width / 2, self.half_opening])
        for door in self.doors:
            if not ((door - half > BORDER) & (door + half < WORLD - BORDER)).all():
                expected = f"walls and doors within {BORDER} to {WORLD - BORDER}"
                raise ParameterError("doors", expected, f"{door}", "move the wall or the door inwards")

    @property
    def action_unit(self) -> str:
        """What an action component of 1 does."""
        return f"{self.gain:g} px of motion"

    @cached_property
    def walls(self) -> Walls:
        """The room and its walls, each in two parts above and below the door."""
        rectangles = []
        for x, y in self.doors:
            left, right = x - self.width / 2, x + self.width / 2
            rectangles.append((left, -np.inf, right, y - self.half_opening))
            rectangles.append((left, y + self.half_opening, right, np.inf))
        return Walls(BORDER, WORLD - BORDER, tuple(rectangles))

    def room(self, states: Float[np.ndarray, "N 2"]) -> Int[np.ndarray, " N"]:
        """Return the number of walls left of each state: start and goal of a `random` problem lie in different rooms."""
        return np.searchsorted(np.sort([x for x, _ in self.doors]), np.asarray(states)[:, 0])

    @property
    def reach(self) -> float:
        """The farthest that the dot moves in one model step, in pixels."""
        return FRAMESKIP * self.gain * ACTION_LIMIT

    def step(
        self, states: Float[np.ndarray, "N 2"], actions: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 2"]:
        """Return the states one environment step later, by the actuator limit and `Walls.move`."""
        lengths = np.linalg.norm(actions, axis=-1, keepdims=True)
        return self.walls.move(
            states, self.gain * actions * (ACTION_LIMIT / np.maximum(lengths, ACTION_LIMIT))
        )

    def simulate(
        self, states: Float[np.ndarray, "N 2"], actions: Float[np.ndarray, "N L 2"]
    ) -> Float[np.ndarray, "N L+1 2"]:
        """Return the true states before, between and after L environment steps of each row.

        Raises
            ShapeError: if states or actions have the wrong shape.
            NonFiniteError: if an action is not finite.
            ParameterError: if a state is in a wall or outside the room.
        """
        states, actions = np.asarray(states, dtype=float), np.asarray(actions, dtype=float)
        self._require_free(states)
        if actions.ndim != 3 or actions.shape[::2] != states.shape:
            found = f"{actions.shape}"
            raise ShapeError("actions", f"({len(states)}, L, 2)", found, "one row of L actions a state")
        if not np.isfinite(actions).all():
            raise NonFiniteError("actions", "finite numbers", "NaN or infinity", "look at what proposed them")
        path = np.empty((len(states), actions.shape[1] + 1, 2))
        path[:, 0] = states
        for t in range(actions.shape[1]):
            path[:, t + 1] = self.step(path[:, t], actions[:, t])
        return path

    def sample_states(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N 2"]:
        """Return positions distributed uniformly over the free space."""
        states = rng.uniform(BORDER, WORLD - BORDER, (count, 2))
        blocked = np.flatnonzero(~self.walls.free(states))
        while blocked.size:
            states[blocked] = rng.uniform(BORDER, WORLD - BORDER, (blocked.size, 2))
            blocked = blocked[~self.walls.free(states[blocked])]
        return states

    def behaviour(
        self,
        rng: np.random.Generator,
        states: Float[np.ndarray, "N 2"],
        length: int,
        *,
        mixture: Mapping[str, float],
    ) -> tuple[Float[np.ndarray, "N L+1 2"], Float[np.ndarray, "N L 2"]]:
        """Return the states and actions of N episodes, each by one policy drawn from the mixture.

        Arguments
            rng: the source of all randomness.
            states: (N, 2) where the episodes start.
            length: L, environment steps.
            mixture: weights of the policies in `POLICIES`, such as `mixtures["offline"]`.

        Raises
            ParameterError: if the mixture names an unknown policy, or its weights are not positive.
            ShapeError, ParameterError: as `simulate` for the states.
        """
        unknown = sorted(set(mixture) - set(POLICIES))
        if unknown:
            raise ParameterError(
                "mixture", f"policies among {sorted(POLICIES)}", f"{unknown}", "check the names"
            )
        # In one order, whatever the mixture's: the same weights are the same episodes.
        names = [name for name in POLICIES if name in mixture]
        weights = np.array([mixture[name] for name in names], dtype=float)
        if not (weights.size and np.isfinite(weights).all() and (weights > 0).all()):
            raise ParameterError(
                "mixture", "positive weights", f"{dict(mixture)}", "leave unused policies out"
            )
        states = np.asarray(states, dtype=float)
        self._require_free(states)
        path, actions = np.empty((len(states), length + 1, 2)), np.empty((len(states), length, 2))
        chosen = rng.choice(len(weights), size=len(states), p=weights / weights.sum())
        for k, policy in enumerate(names):
            rows = np.flatnonzero(chosen == k)
            act = POLICIES[policy](self, rng, len(rows))
            now = path[rows, 0] = states[rows]
            for t in range(length):
                action = actions[rows, t] = act(now)
                now = path[rows, t + 1] = self.step(now, action)
        return path, actions

    def render(self, states: Float[np.ndarray, "N 2"], size: int = 64) -> UInt8[np.ndarray, "N size size 3"]:
        """Return one picture a state: black walls on white, the dot in red (radius 2 px of the world)."""
        states = np.asarray(states, dtype=float)
        view = Viewport(0, 0, WORLD, size)
        pictures = np.repeat(_background(self, size), len(states), axis=0)
        draw_discs(pictures, view.pixels(states), view.length(DOT_RADIUS), RED)
        return pictures

    def distance(
        self, states: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, " N"]:
        """Return the straight distance in pixels, ignoring walls."""
        distance: Float[np.ndarray, " N"] = np.linalg.norm(np.asarray(states) - np.asarray(goals), axis=-1)
        return distance

    def success(
        self, states: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"]
    ) -> Bool[np.ndarray, " N"]:
        """Return whether the dot is less than 4.5 px from its goal."""
        return self.distance(states, goals) < SUCCESS_RADIUS

    def geodesic(
        self, states: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, " N"]:
        """Return the length in pixels of the shortest path around the walls."""
        return self.walls.geodesic(np.asarray(states, dtype=float), np.asarray(goals, dtype=float))

    def shortest_steps(
        self, states: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, " N"]:
        """Return the geodesic distance to the success disc over the farthest that a model step moves.

        A lower bound, not rounded up: sliding never moves the dot farther than the action would.
        """
        starts, ends = np.asarray(states, dtype=float), np.asarray(goals, dtype=float)
        return self.walls.geodesic_to_disc(starts, ends, SUCCESS_RADIUS) / self.reach

    def probe_targets(self, states: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Return the position itself."""
        return np.asarray(states)

    def state_errors(
        self, targets: Float[np.ndarray, "N 2"], states: Float[np.ndarray, "N 2"]
    ) -> dict[str, Float[np.ndarray, " N"]]:
        """Return the position errors in pixels."""
        return {"position": self.distance(targets, states)}

    def _require_free(self, states: Float[np.ndarray, "N 2"]) -> None:
        if states.ndim != 2 or states.shape[1] != 2:
            raise ShapeError("states", "(N, 2)", f"{states.shape}", "one row (x, y) a state")
        bad = np.flatnonzero(~(self.walls.free(states) & np.isfinite(states).all(axis=1)))
        if bad.size:
            found = f"{states[bad[0]]} in row {bad[0]}"
            raise ParameterError(
                "states", "positions in the free space", found, "draw them with sample_states"
            )


@lru_cache(maxsize=16)
def _background(task: WallSingle, size: int) -> UInt8[np.ndarray, "1 size size 3"]:
    """Return the picture of the empty room; everything that the dot's centre cannot enter is black."""
    view = Viewport(0, 0, WORLD, size)
    picture = blank(1, size, BLACK)
    room = rectangle(task.walls.low, task.walls.low, task.walls.high, task.walls.high)
    draw_convex_polygons(picture, view.pixels(room)[None], WHITE)
    for left, top, right, bottom in task.walls.rectangles:
        sides = rectangle(left, max(top, 0), right, min(bottom, WORLD))
        draw_convex_polygons(picture, view.pixels(sides)[None], BLACK)
    picture.flags.writeable = False
    return picture


Act = Callable[[Float[np.ndarray, "N 2"]], Float[np.ndarray, "N 2"]]


def _directed(lengths: Float[np.ndarray, " N"], angles: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 2"]:
    actions: Float[np.ndarray, "N 2"] = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return actions


def _lengths(rng: np.random.Generator, count: int) -> Float[np.ndarray, " N"]:
    """Return action lengths: normal with mean 1.0 and spread 0.4, clipped to [0, 1.8]."""
    return np.clip(rng.normal(LENGTH_MEAN, LENGTH_SPREAD, count), 0, ACTION_LIMIT)


def _random(task: WallSingle, rng: np.random.Generator, count: int) -> Act:
    """Independent actions: usual lengths, uniform directions."""
    return lambda states: _directed(_lengths(rng, count), rng.uniform(-np.pi, np.pi, count))


def _correlated(task: WallSingle, rng: np.random.Generator, count: int) -> Act:
    """Usual lengths; the direction walks randomly by a normal angle of 0.6 rad a step."""
    angles = rng.uniform(-np.pi, np.pi, count)

    def act(states: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        angles[:] += rng.normal(0, 0.6, count)
        return _directed(_lengths(rng, count), angles)

    return act


def _goal_directed(task: WallSingle, rng: np.random.Generator, count: int) -> Act:
    """Usual lengths along the geodesic to a random goal, turned by a normal angle of 0.4 rad; at a goal, a new one."""
    goals = task.sample_states(rng, count)

    def act(states: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        reached = np.flatnonzero(task.success(states, goals))
        goals[reached] = task.sample_states(rng, len(reached))
        towards = task.walls.waypoints(states, goals) - states
        angles = np.arctan2(towards[:, 1], towards[:, 0]) + rng.normal(0, 0.4, count)
        return _directed(_lengths(rng, count), angles)

    return act


def _saturated(task: WallSingle, rng: np.random.Generator, count: int) -> Act:
    """Full length; a uniform direction is held for a geometric time of mean 8 steps, into walls and along them."""
    angles = rng.uniform(-np.pi, np.pi, count)

    def act(states: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        turning = np.flatnonzero(rng.random(count) < 1 / 8)
        angles[turning] = rng.uniform(-np.pi, np.pi, len(turning))
        return _directed(np.full(count, ACTION_LIMIT), angles)

    return act


def _contact(task: WallSingle, rng: np.random.Generator, count: int) -> Act:
    """Heads straight for a random point within a wall, with uniform lengths; a new one every 10 steps on average."""
    corners = np.array(task.walls.rectangles)
    low = np.maximum(corners[:, :2], BORDER)
    high = np.minimum(corners[:, 2:], WORLD - BORDER)

    def draw(number: int) -> Float[np.ndarray, "N 2"]:
        wall = rng.integers(len(low), size=number)
        points: Float[np.ndarray, "N 2"] = rng.uniform(low[wall], high[wall])
        return points

    targets = draw(count)

    def act(states: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        turning = np.flatnonzero(rng.random(count) < 1 / 10)
        targets[turning] = draw(len(turning))
        towards = targets - states
        angles = np.arctan2(towards[:, 1], towards[:, 0]) + rng.normal(0, 0.3, count)
        return _directed(rng.uniform(0, ACTION_LIMIT, count), angles)

    return act


POLICIES: Mapping[str, Callable[[WallSingle, np.random.Generator, int], Act]] = {
    "random": _random,
    "correlated": _correlated,
    "goal_directed": _goal_directed,
    "saturated": _saturated,
    "contact": _contact,
}
"""The behaviour policies by name; each is documented at its function."""

OFFLINE: Mapping[str, float] = {"random": 0.2, "correlated": 0.4, "goal_directed": 0.4}
"""The mixture of behaviour data."""

ROBUST: Mapping[str, float] = {"saturated": 0.5, "contact": 0.5}
"""The mixture of the extra data of robust models: saturated actions and contacts with walls."""

DIVERSE: Mapping[str, float] = {"correlated": 0.2, "goal_directed": 0.3, "saturated": 0.2, "contact": 0.3}
"""The mixture for models that are to know walls from behaviour data alone."""

WALL_SINGLE = WallSingle()
WALL_SINGLE_LONG = WallSingle(
    name="wall_single_long",
    doors=((16.0, 10.0), (27.0, 55.0), (38.0, 10.0), (49.0, 55.0)),
    width=5.0,
    gain=1.0,
)
"""Four walls with alternating doors and half the step: paths up to 226 px, and 9 px a model step at most: 25 model steps."""
