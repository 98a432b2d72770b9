"""Push-T: a round pusher moves a T-shaped block; gym-pusht's physics, batched, from any state.

A state is (pusher x, pusher y, block x, block y, block angle, pusher velocity x, pusher velocity y) in px, rad and
px/s.  An action a in [−1, 1]² is relative, as in DINO-WM: the pusher's control aims at its present position + 100·a
for one environment step (0.1 s).  The actuator keeps the target where the pusher's disc lies within the picture,
15 px from the board's edges; nothing stops the pusher itself, which is kinematic and passes over the walls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8

from grasp_theory.action_sets import ActionSet, Box
from grasp_theory.tasks.push_t.physics import (
    ACTION_SCALE,
    BAR,
    BOARD,
    FRICTION,
    OUTLINE,
    PHYSICS_STEP,
    PHYSICS_STEPS,
    PUSHER_RADIUS,
    STEM,
    STIFFNESS,
    WALL,
    Board,
    distance_to_block,
    to_world,
)
from grasp_theory.tasks.push_t.policies import (
    DIVERSE_MIXTURE,
    OFFLINE_MIXTURE,
    POLICIES,
    ROBUST_MIXTURE,
    assign,
)
from grasp_theory.tasks.raster import Viewport, blank, draw_convex_polygons, draw_discs, rectangle
from grasp_theory.tasks.task import FRAMESKIP
from linear_systems.errors import HorizonError, InvalidInputError, NonFiniteError, ShapeError

STATE_DIM = 7
ACTION_DIM = 2
POSITION_TOLERANCE = 20.0
"""Success needs the joint displacement of pusher and block to be less than this, px."""
ANGLE_TOLERANCE = np.pi / 9
"""Success needs the block's angle to be off by less than this, rad."""
MOVED_POSITION = 2.0
"""A block has moved when its position has changed by more than this, px, or ..."""
MOVED_ANGLE = 0.02
"""... its angle by more than this, rad."""

WHITE = (255, 255, 255)
PUSHER_COLOUR = (65, 105, 225)
BAR_COLOUR = (96, 108, 120)
STEM_COLOUR = (150, 162, 176)


@dataclass(frozen=True)
class PushT:
    """The Push-T task; see `grasp_theory.tasks.task.Task`."""

    name: str = field(default="push_t", init=False)
    state_dim: int = field(default=STATE_DIM, init=False)
    action_dim: int = field(default=ACTION_DIM, init=False)
    action_low: float = field(default=-1.0, init=False)
    action_high: float = field(default=1.0, init=False)
    action_set: ActionSet = field(default=Box(-1.0, 1.0), init=False, compare=False)
    frame_offsets: tuple[int, ...] = field(default=(0, 1), init=False)
    probe_names: tuple[str, ...] = field(
        default=(
            "pusher x (px)",
            "pusher y (px)",
            "block x (px)",
            "block y (px)",
            "cosine of the block's angle",
            "sine of the block's angle",
            "pusher velocity x (px/s)",
            "pusher velocity y (px/s)",
        ),
        init=False,
    )
    action_unit: str = field(default="100 px from the pusher to its target", init=False)
    mixtures: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "offline": OFFLINE_MIXTURE,
            "diverse": DIVERSE_MIXTURE,
            "robust": ROBUST_MIXTURE,
        },
        init=False,
        compare=False,
    )
    state_names: tuple[str, ...] = field(
        default=(
            "pusher x (px)",
            "pusher y (px)",
            "block x (px)",
            "block y (px)",
            "block angle (rad)",
            "pusher velocity x (px/s)",
            "pusher velocity y (px/s)",
        ),
        init=False,
    )

    def simulate(
        self, states: Float[np.ndarray, "N 7"], actions: Float[np.ndarray, "N L 2"]
    ) -> Float[np.ndarray, "N L+1 7"]:
        """Return the true states before, between and after L environment steps of each row.

        The first state is returned as it was given; the angles of the others are in [0, 2π).  Rows do not depend on
        each other.  Equal to gym-pusht's own steps towards the same targets (to 1e-9; `Board` says how well a
        state taken in the middle of a trajectory continues it).

        Raises
            ShapeError: if states are not (N, 7) or actions not (N, L, 2).
            NonFiniteError: if either contains NaN or infinity.
            InvalidInputError: if an action lies outside [−1, 1]².
        """
        states, actions = _states(states, "states"), self._actions(actions, len(states))
        trajectory = np.empty((len(states), actions.shape[1] + 1, STATE_DIM))
        trajectory[:, 0] = states
        for i, row in enumerate(actions):
            board = Board(states[i])
            for t, action in enumerate(row):
                board.step(*self._targets(trajectory[i, t, :2], action).tolist())
                trajectory[i, t + 1] = board.state()
        return trajectory

    def sample_states(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N 7"]:
        """Return states at rest: the block at least a pusher's width off the walls, the pusher off the block.

        The block's angle is uniform, its position uniform given the angle; the pusher is uniform over where it can
        be sent and does not touch the block.
        """
        states = np.zeros((count, STATE_DIM))
        states[:, 4] = rng.uniform(0, 2 * np.pi, count)
        corners = to_world(OUTLINE, states[:, 2:5])
        clearance = WALL + 2 * PUSHER_RADIUS
        low, high = clearance - corners.min(axis=1), BOARD - clearance - corners.max(axis=1)
        states[:, 2:4] = rng.uniform(low, high)
        unplaced = np.arange(count)
        while len(unplaced):
            states[unplaced, :2] = rng.uniform(PUSHER_RADIUS, BOARD - PUSHER_RADIUS, (len(unplaced), 2))
            gap = distance_to_block(states[unplaced, :2], states[unplaced, 2:5])
            unplaced = unplaced[gap <= PUSHER_RADIUS]
        return states

    def behaviour(
        self,
        rng: np.random.Generator,
        states: Float[np.ndarray, "N 7"],
        length: int,
        mixture: Mapping[str, float] = OFFLINE_MIXTURE,
    ) -> tuple[Float[np.ndarray, "N L+1 7"], Float[np.ndarray, "N L 2"]]:
        """Return the states and actions of N episodes of a mixture of the policies of `push_t_behaviour`.

        Arguments
            mixture: the weight of each policy by name; each episode draws its policy with them.

        All N boards are held at once, 250 kB each: collect in batches of some hundred episodes.

        Raises
            HorizonError: if the length is not positive.
            ParameterError: if the mixture names an unknown policy, or its weights are no shares.
        """
        states = _states(states, "states")
        if length < 1:
            raise HorizonError("length", "at least 1 environment step", f"{length}", "100")
        trajectory = np.empty((len(states), length + 1, STATE_DIM))
        actions = np.empty((len(states), length, ACTION_DIM))
        trajectory[:, 0] = states
        boards = [Board(state) for state in states]
        groups = [
            (rows, POLICIES[name](rng, len(rows))) for name, rows in assign(rng, mixture, len(states)).items()
        ]
        for t in range(length):
            for rows, policy in groups:
                actions[rows, t] = policy(trajectory[rows, t])
            targets = self._targets(trajectory[:, t, :2], actions[:, t]).tolist()
            for i, board in enumerate(boards):
                board.step(*targets[i])
                trajectory[i, t + 1] = board.state()
        return trajectory, actions

    def render(self, states: Float[np.ndarray, "N 7"], size: int = 64) -> UInt8[np.ndarray, "N size size 3"]:
        """Return one picture a state: the board in white, the pusher blue, the T grey; no goal, no walls.

        The bar is a darker grey than the stem, which helps to tell the angle in small pictures.
        """
        states = _states(states, "states")
        view = Viewport(left=0.0, top=0.0, extent=BOARD, size=size)
        pictures = blank(len(states), size, WHITE)
        if len(states) == 0:
            return pictures
        # The stem is drawn on under the bar, so that no seam shows where the two meet.
        stem = to_world(rectangle(STEM[0], BAR[1], STEM[2], STEM[3]), states[:, 2:5])
        draw_convex_polygons(pictures, view.pixels(stem), STEM_COLOUR)
        bar = to_world(rectangle(*BAR), states[:, 2:5])
        draw_convex_polygons(pictures, view.pixels(bar), BAR_COLOUR)
        draw_discs(pictures, view.pixels(states[:, :2]), view.length(PUSHER_RADIUS), PUSHER_COLOUR)
        return pictures

    def distance(
        self, states: Float[np.ndarray, "N 7"], goals: Float[np.ndarray, "N 7"]
    ) -> Float[np.ndarray, " N"]:
        """Return max(‖Δ(pusher, block)‖ / 20 px, |Δangle| / (π/9)), without unit; success is a distance below 1.

        Symmetric in its arguments; velocities do not count.
        """
        states, goals = _states(states, "states"), _states(goals, "goals")
        position = np.linalg.norm(states[:, :4] - goals[:, :4], axis=-1)
        angle = np.abs(angle_between(states[:, 4], goals[:, 4]))
        larger: Float[np.ndarray, " N"] = np.maximum(position / POSITION_TOLERANCE, angle / ANGLE_TOLERANCE)
        return larger

    def success(
        self, states: Float[np.ndarray, "N 7"], goals: Float[np.ndarray, "N 7"]
    ) -> Bool[np.ndarray, " N"]:
        """Return whether ‖Δ(pusher, block)‖ < 20 px and |Δangle| < π/9, the angle's difference wrapped."""
        return self.distance(states, goals) < 1

    def shortest_steps(
        self, states: Float[np.ndarray, "N 7"], goals: Float[np.ndarray, "N 7"]
    ) -> Float[np.ndarray, " N"]:
        """Return a lower bound on the model steps to success, a fifth for each environment step; 0 if there.

        The pusher's path must be as long as ‖Δpusher‖∞ − 20 px.  If the block has to move and overlaps no wall,
        it stays until the pusher first touches it, so the path leads over a point q where the pusher touches the
        block as it lies: its length is at least ‖p − q‖ + ‖q − g‖ − 20 ≥ d(p) + d(g) − 20 px, d being the
        distance to such points; and 1/√2 of that in the largest component.  Both are divided by how far the
        pusher can go along one axis: its control is linear, v_k = α_k v + β_k u after k physics steps towards a
        target u ahead, and |u| ≤ 100, so |v_k| ≤ |α_k| |v| + |β_k| 100, step after step.

        For a pusher within 100 px of the board, where it always is.
        """
        states, goals = _states(states, "states"), _states(goals, "goals")
        straight = np.abs(states[:, :2] - goals[:, :2]).max(axis=-1)
        must_move = (np.linalg.norm(states[:, 2:4] - goals[:, 2:4], axis=-1) >= POSITION_TOLERANCE) | (
            np.abs(angle_between(states[:, 4], goals[:, 4])) >= ANGLE_TOLERANCE
        )
        corners = to_world(OUTLINE, states[:, 2:5])
        off_walls = ((corners >= WALL) & (corners <= BOARD - WALL)).all(axis=(1, 2))
        touching = [
            np.maximum(distance_to_block(pusher, states[:, 2:5]) - PUSHER_RADIUS, 0)
            for pusher in (states[:, :2], goals[:, :2])
        ]
        over_block = np.where(must_move & off_walls, (touching[0] + touching[1]) / np.sqrt(2), 0.0)
        needed = np.maximum(straight - POSITION_TOLERANCE, over_block - POSITION_TOLERANCE / np.sqrt(2))
        steps = np.where(self.success(states, goals), 0, 1)
        from_velocity, from_target = _control_response()
        speed = np.abs(states[:, 5:]).max(axis=-1)
        reach = np.zeros(len(states))
        while True:
            speeds = np.abs(from_velocity) * speed[:, None] + np.abs(from_target) * ACTION_SCALE
            reach, speed = reach + PHYSICS_STEP * speeds.sum(axis=-1), speeds[:, -1]
            short = (reach < needed) & (steps > 0)
            if not short.any():
                return steps / FRAMESKIP
            steps = steps + short

    def probe_targets(self, states: Float[np.ndarray, "N 7"]) -> Float[np.ndarray, "N 8"]:
        """Return (pusher xy [px], block xy [px], cos and sin of the block's angle, pusher velocity xy [px/s])."""
        states = _states(states, "states")
        angle = states[:, 4:5]
        return np.concatenate([states[:, :4], np.cos(angle), np.sin(angle), states[:, 5:]], axis=-1)

    def state_errors(
        self, targets: Float[np.ndarray, "N 8"], states: Float[np.ndarray, "N 7"]
    ) -> dict[str, Float[np.ndarray, " N"]]:
        """Return the errors of decoded probe targets: pusher and block [px], angle [rad], velocity [px/s]."""
        states = _states(states, "states")
        angle = np.arctan2(targets[:, 5], targets[:, 4])
        return {
            "pusher": np.linalg.norm(targets[:, :2] - states[:, :2], axis=-1),
            "block": np.linalg.norm(targets[:, 2:4] - states[:, 2:4], axis=-1),
            "angle": np.abs(angle_between(angle, states[:, 4])),
            "velocity": np.linalg.norm(targets[:, 6:] - states[:, 5:], axis=-1),
        }

    def block_moved(self, states: Float[np.ndarray, "N steps 7"]) -> Bool[np.ndarray, " N"]:
        """Return whether the block is ever more than 2 px or 0.02 rad from where each window began."""
        away = np.linalg.norm(states[:, :, 2:4] - states[:, :1, 2:4], axis=-1) > MOVED_POSITION
        turned = np.abs(angle_between(states[:, :, 4], states[:, :1, 4])) > MOVED_ANGLE
        moved: Bool[np.ndarray, " N"] = (away | turned).any(axis=1)
        return moved

    def _targets(
        self, pusher: Float[np.ndarray, "*batch 2"], actions: Float[np.ndarray, "*batch 2"]
    ) -> Float[np.ndarray, "*batch 2"]:
        """Return where the control aims: ahead of the pusher by the action, kept on the board by the actuator."""
        return np.clip(pusher + ACTION_SCALE * actions, PUSHER_RADIUS, BOARD - PUSHER_RADIUS)

    def _actions(self, actions: Float[np.ndarray, "N L 2"], count: int) -> Float[np.ndarray, "N L 2"]:
        actions = np.asarray(actions, dtype=float)
        if actions.ndim != 3 or actions.shape[0] != count or actions.shape[2] != ACTION_DIM:
            raise ShapeError(
                "actions", f"({count}, L, 2)", str(actions.shape), "one sequence of actions a state"
            )
        if not np.isfinite(actions).all():
            raise NonFiniteError("actions", "finite numbers", "NaN or infinity", "check the planner's plan")
        if np.abs(actions).max(initial=0) > 1:
            raise InvalidInputError(
                "actions",
                "components in [-1, 1]",
                f"{np.abs(actions).max():g}",
                "bound the plan, or np.clip it",
            )
        return actions


PUSH_T = PushT()
"""The task as DINO-WM sets it."""


def angle_between(
    angles: Float[np.ndarray, "*#batch"], others: Float[np.ndarray, "*#batch"]
) -> Float[np.ndarray, "*batch"]:
    """Return angles − others wrapped to [−π, π), rad."""
    wrapped: Float[np.ndarray, "*batch"] = np.mod(angles - others + np.pi, 2 * np.pi) - np.pi
    return wrapped


def _control_response() -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return the pusher's velocities after 1 to 10 physics steps, per unit of first velocity and of target ahead."""
    position, velocity = np.zeros(2), np.array([1.0, 0.0])
    velocities = []
    for _ in range(PHYSICS_STEPS):
        velocity = (
            velocity + (STIFFNESS * (np.array([0.0, 1.0]) - position) - FRICTION * velocity) * PHYSICS_STEP
        )
        position = position + velocity * PHYSICS_STEP
        velocities.append(velocity)
    from_velocity, from_target = np.array(velocities).T
    return from_velocity, from_target


def _states(states: Float[np.ndarray, "N 7"], argument: str) -> Float[np.ndarray, "N 7"]:
    states = np.asarray(states, dtype=float)
    if states.ndim != 2 or states.shape[1] != STATE_DIM:
        raise ShapeError(argument, "(N, 7)", str(states.shape), "states[None] for a single state")
    if not np.isfinite(states).all():
        raise NonFiniteError(
            argument, "finite numbers", "NaN or infinity", "check where the states come from"
        )
    return states
