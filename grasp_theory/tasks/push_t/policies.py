"""Behaviour policies of Push-T: what moves the pusher while data are collected.

- `random`: actions uniform in [−1, 1]², new at every step.
- `correlated`: a stationary AR(1) process of coefficient 0.9 and standard deviation 0.45 a component, cut at ±1.
- `push` (goal-directed, contact-rich): the pusher goes round the block to a point of its outline, pushes in a random
  direction within 45° of the inward normal for 6 to 24 steps, goes towards a random point of the board for 1 to 4
  steps, and starts again; a new speed for each part, and a little noise on every action.  Of four random outline
  points it takes one that is near and from which the push leads towards the middle of the board, and it lets
  go of a block that it presses into a wall, so that the block does not end in a corner or beyond a wall.
- `shaken`: `push` with independent noise on every action, of a standard deviation between 0.1 and 1.2 that each row
  draws once: jerky as the plans of optimisers are.
- `saturated`: every component ±1, held for 1 to 6 steps, half the time the signs that lead to the block; back to
  the middle of the board when it presses the block into a wall.

Measured over 200 episodes of 100 steps from `PushT.sample_states`: the share of model steps (5 environment steps) in
which the block moves (`PushT.block_moved`) is 0.08 under `random`, 0.06 under `correlated`, 0.42 under `push`,
0.45 under `shaken`, 0.34 under `saturated`, and 0.37 under the default mixture, where the block moves in 0.92 of the episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp_theory.tasks.push_t.physics import (
    ACTION_SCALE,
    BOARD,
    OUTLINE,
    PUSHER_RADIUS,
    WALL,
    distance_to_block,
    to_world,
)
from linear_systems.errors import ParameterError

Policy = Callable[[Float[np.ndarray, "N 7"]], Float[np.ndarray, "N 2"]]
"""A closed-loop policy of N rows, with its own memory: from the present states to the next actions."""

OFFLINE_MIXTURE: Mapping[str, float] = MappingProxyType({"random": 0.05, "correlated": 0.1, "push": 0.85})
"""Default shares of episodes: behaviour data alone."""
ROBUST_MIXTURE: Mapping[str, float] = MappingProxyType({"push": 0.5, "saturated": 0.5})
"""Shares of episodes of the extra data for robust models: contacts and saturated actions."""
DIVERSE_MIXTURE: Mapping[str, float] = MappingProxyType(
    {"push": 0.4, "shaken": 0.4, "random": 0.05, "correlated": 0.05, "saturated": 0.1}
)
"""Shares of episodes of behaviour data whose actions are as jerky as those that planners try."""

LOOK_AHEAD = 0.05
"""How far ahead the policies see that the block is being pressed into a wall, s."""
STANDOFF = 25.0
"""A push begins with the pusher's centre this far from the block's outline, px."""
CENTRE_OF_GRAVITY = np.array([[0.0, 45.0]])
"""In the block's frame, px."""


def random(rng: np.random.Generator, count: int) -> Policy:
    """Return the `random` policy."""
    return lambda states: rng.uniform(-1, 1, (count, 2))


def correlated(rng: np.random.Generator, count: int) -> Policy:
    """Return the `correlated` policy."""
    deviation, memory = 0.45, 0.9
    process = deviation * rng.standard_normal((count, 2))

    def act(states: Float[np.ndarray, "N 7"]) -> Float[np.ndarray, "N 2"]:
        nonlocal process
        fresh = deviation * np.sqrt(1 - memory**2) * rng.standard_normal((count, 2))
        process = memory * process + fresh
        cut: Float[np.ndarray, "N 2"] = np.clip(process, -1, 1)
        return cut

    return act


def saturated(rng: np.random.Generator, count: int) -> Policy:
    """Return the `saturated` policy."""
    actions = np.zeros((count, 2))
    left = np.zeros(count, dtype=int)

    def act(states: Float[np.ndarray, "N 7"]) -> Float[np.ndarray, "N 2"]:
        nonlocal left
        pusher, poses = states[:, :2], states[:, 2:5]
        to_the_block = to_world(CENTRE_OF_GRAVITY, poses)[:, 0] - pusher
        signs = np.where(rng.random((count, 1)) < 0.5, to_the_block, rng.uniform(-1, 1, (count, 2)))
        pressed = _pressed_into_a_wall(states)
        signs = np.where(pressed[:, None], BOARD / 2 - pusher, signs)
        redraw = (left == 0) | pressed
        actions[redraw] = np.where(signs[redraw] >= 0, 1.0, -1.0)
        left = np.where(redraw, rng.integers(1, 7, count), left) - 1
        return actions.copy()

    return act


_APPROACH, _PUSH, _LEAVE = range(3)


class Push:
    """The `push` policy of N rows: approach a point of the outline, push through it, leave, again.

    Arguments
        rng: random numbers.
        count: N.
        noise: least and greatest standard deviation of the noise on actions; each row draws its own once.
    """

    candidates = 4
    """Outline points drawn for each push, of which one is taken."""
    patience = 12
    """Steps after which an approach is given up and the push begins where the pusher is."""

    def __init__(
        self, rng: np.random.Generator, count: int, noise: tuple[float, float] = (0.05, 0.05)
    ) -> None:
        self._rng, self._count = rng, count
        self._noise = noise[0] if noise[0] == noise[1] else rng.uniform(*noise, (count, 1))
        self._phase = np.full(count, _LEAVE)
        self._left = np.zeros(count, dtype=int)
        self._speed = np.ones(count)
        self._contact = np.zeros((count, 2))
        self._normal = np.zeros((count, 2))
        self._heading = np.zeros(count)
        self._waypoint = np.zeros((count, 2))
        self._side = np.ones(count)

    def __call__(self, states: Float[np.ndarray, "N 7"]) -> Float[np.ndarray, "N 2"]:
        """Return the next actions."""
        pusher, poses = states[:, :2], states[:, 2:5]
        pressed, gap = _pressed_into_a_wall(states), distance_to_block(pusher, poses)
        missed = (self._phase == _PUSH) & (gap > STANDOFF + 20)
        over = (self._left == 0) | missed | (pressed & (self._phase != _LEAVE))
        leave, approach = over & (pressed | (self._phase == _PUSH)), over & (self._phase == _LEAVE)
        self._begin_approach(approach, pusher, poses)
        self._begin_leave(leave)
        standoff = to_world((self._contact + STANDOFF * self._normal)[:, None], poses)[:, 0]
        arrived = (np.linalg.norm(standoff - pusher, axis=-1) < 15) | (self._left == 0)
        self._begin_push((self._phase == _APPROACH) & arrived, poses)
        self._left -= 1
        free = self._phase != _PUSH
        aim = np.where((self._phase == _APPROACH)[:, None], standoff, self._waypoint)
        towards = self._round_the_block(pusher, aim, poses) / ACTION_SCALE
        length = np.linalg.norm(towards, axis=-1, keepdims=True)
        towards *= np.minimum(1, self._speed[:, None] / np.maximum(length, 1e-9))
        push = self._speed[:, None] * np.stack([np.cos(self._heading), np.sin(self._heading)], axis=-1)
        noise = self._noise * self._rng.standard_normal((self._count, 2))
        actions: Float[np.ndarray, "N 2"] = np.clip(np.where(free[:, None], towards, push) + noise, -1, 1)
        return actions

    def _round_the_block(
        self, pusher: Float[np.ndarray, "N 2"], aim: Float[np.ndarray, "N 2"], poses: Float[np.ndarray, "N 3"]
    ) -> Float[np.ndarray, "N 2"]:
        """Return the way to go: straight, or where the block is in it and near, along the block on one side."""
        away = _away_from_block(pusher, poses)
        gap = distance_to_block(pusher, poses)
        along = np.stack([-away[:, 1], away[:, 0]], axis=-1) * ACTION_SCALE
        keep_off = (STANDOFF + 10 - gap)[:, None] * away
        detour = along * self._side[:, None] + keep_off
        off_board = ((pusher + detour < 0) | (pusher + detour > BOARD)).any(axis=-1)
        self._side = np.where(off_board, -self._side, self._side)
        detour = along * self._side[:, None] + keep_off
        detouring = _blocked(pusher, aim, poses) & (gap < 2 * STANDOFF)
        way: Float[np.ndarray, "N 2"] = np.where(detouring[:, None], detour, aim - pusher)
        return way

    def _begin_approach(
        self, rows: Bool[np.ndarray, " N"], pusher: Float[np.ndarray, "N 2"], poses: Float[np.ndarray, "N 3"]
    ) -> None:
        points, normals = _outline_points(self._rng, (self._count, self.candidates))
        standoff = to_world(points + STANDOFF * normals, poses)
        reachable = ((standoff >= PUSHER_RADIUS) & (standoff <= BOARD - PUSHER_RADIUS)).all(axis=-1)
        inward = -to_world(normals, poses * np.array([0.0, 0.0, 1.0]))
        middle = BOARD / 2 - to_world(CENTRE_OF_GRAVITY, poses)
        far = np.linalg.norm(standoff - pusher[:, None], axis=-1)
        score = (inward * middle).sum(axis=-1) - 0.5 * far - BOARD * ~reachable
        best = score.argmax(axis=-1)
        every = np.arange(self._count)
        self._contact[rows], self._normal[rows] = points[every, best][rows], normals[every, best][rows]
        centre = to_world(CENTRE_OF_GRAVITY, poses)[:, 0]
        start, end = pusher - centre, standoff[every, best] - centre
        turn = np.where(start[:, 0] * end[:, 1] >= start[:, 1] * end[:, 0], 1.0, -1.0)
        self._side[rows] = turn[rows]
        self._phase[rows], self._left[rows] = _APPROACH, self.patience
        self._speed[rows] = self._rng.uniform(0.5, 1.0, self._count)[rows]

    def _begin_push(self, rows: Bool[np.ndarray, " N"], poses: Float[np.ndarray, "N 3"]) -> None:
        inward = np.arctan2(-self._normal[:, 1], -self._normal[:, 0]) + poses[:, 2]
        spread = self._rng.uniform(-np.pi / 4, np.pi / 4, self._count)
        self._heading[rows] = (inward + spread)[rows]
        self._phase[rows], self._left[rows] = _PUSH, self._rng.integers(6, 25, self._count)[rows]
        self._speed[rows] = self._rng.uniform(0.15, 0.8, self._count)[rows]

    def _begin_leave(self, rows: Bool[np.ndarray, " N"]) -> None:
        margin = 2 * PUSHER_RADIUS
        self._waypoint[rows] = self._rng.uniform(margin, BOARD - margin, (self._count, 2))[rows]
        self._phase[rows], self._left[rows] = _LEAVE, self._rng.integers(1, 5, self._count)[rows]


POLICIES: Mapping[str, Callable[[np.random.Generator, int], Policy]] = MappingProxyType(
    {
        "random": random, "correlated": correlated, "push": Push, "saturated": saturated,
        "shaken": partial(Push, noise=(0.1, 1.2)),
    }
)  # fmt: skip
"""Every policy by name: from a generator and a number of rows to a policy with memory."""


def assign(
    rng: np.random.Generator, mixture: Mapping[str, float], count: int
) -> dict[str, Int[np.ndarray, " K"]]:
    """Return which of N rows follow which policy: each row draws one with the mixture's weights.

    Raises
        ParameterError: if the mixture names an unknown policy, or its weights are no shares.
    """
    unknown = sorted(set(mixture) - set(POLICIES))
    if unknown:
        raise ParameterError("mixture", f"policies among {sorted(POLICIES)}", f"{unknown}", "OFFLINE_MIXTURE")
    if not all(0 <= weight < np.inf for weight in mixture.values()) or sum(mixture.values()) <= 0:
        raise ParameterError("mixture", "weights >= 0, not all 0", f"{dict(mixture)}", "OFFLINE_MIXTURE")
    names = sorted(mixture)
    weights = np.array([mixture[name] for name in names], dtype=float)
    drawn = rng.choice(len(names), size=count, p=weights / weights.sum())
    return {name: np.flatnonzero(drawn == k) for k, name in enumerate(names)}


def _pressed_into_a_wall(states: Float[np.ndarray, "N 7"]) -> Bool[np.ndarray, " N"]:
    """Return whether the pusher is at the block and the block, moving with it, is soon beyond a wall's face.

    The pusher, which nothing stops, would push it through.
    """
    ahead = to_world(OUTLINE, states[:, 2:5]) + LOOK_AHEAD * states[:, None, 5:]
    beyond = ((ahead < WALL) | (ahead > BOARD - WALL)).any(axis=(1, 2))
    gap = distance_to_block(states[:, :2], states[:, 2:5])
    pressed: Bool[np.ndarray, " N"] = beyond & (gap < PUSHER_RADIUS + 5)
    return pressed


def _outline_points(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[Float[np.ndarray, "*shape 2"], Float[np.ndarray, "*shape 2"]]:
    """Return points uniform on the T's outline and their outward normals, in the block's frame."""
    edges = np.roll(OUTLINE, -1, axis=0) - OUTLINE
    lengths = np.linalg.norm(edges, axis=-1)
    edge = rng.choice(len(edges), size=shape, p=lengths / lengths.sum())
    points = OUTLINE[edge] + rng.uniform(0, 1, (*shape, 1)) * edges[edge]
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=-1) / lengths[:, None]
    return points, normals[edge]


def _blocked(
    pusher: Float[np.ndarray, "N 2"], aim: Float[np.ndarray, "N 2"], poses: Float[np.ndarray, "N 3"]
) -> Bool[np.ndarray, " N"]:
    """Return whether the block is in the pusher's straight way to its aim (at eight points of it)."""
    way = np.linspace(0, 1, 9)[1:, None, None]
    gaps = distance_to_block(pusher + way * (aim - pusher), np.broadcast_to(poses, (8, *poses.shape)))
    blocked: Bool[np.ndarray, " N"] = gaps.min(axis=0) < PUSHER_RADIUS
    return blocked


def _away_from_block(
    pusher: Float[np.ndarray, "N 2"], poses: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "N 2"]:
    """Return the direction in which the distance to the block grows (central differences), of length 1 or 0."""
    shifts = 0.5 * np.eye(2)[:, None]
    wide = np.broadcast_to(poses, (2, *poses.shape))
    slope = distance_to_block(pusher + shifts, wide) - distance_to_block(pusher - shifts, wide)
    away: Float[np.ndarray, "N 2"] = (slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-9)).T
    return away
