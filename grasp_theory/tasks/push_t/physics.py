"""Push-T's geometry, and its physics: gym-pusht's own space, bodies and control, without its reward and pictures.

Coordinates are the reference's: a board of 512×512 px with the second axis down, angles in radians from the first
axis to the second.  The block is a T of two rectangles fixed to one body, whose origin is the middle of the bar's
outer edge; its centre of gravity lies 45 px along the stem.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from linear_systems.errors import MissingPackageError

BOARD = 512.0
"""Side of the board that a picture shows, px."""
WALL = 7.0
"""The walls' inner faces lie this far inside the board's edges, px (segments 5 px inside, of radius 2 px)."""
PUSHER_RADIUS = 15.0
"""Radius of the pusher's disc, px."""
BAR = (-60.0, 0.0, 60.0, 30.0)
"""The T's bar in the block's own frame: left, top, right, bottom, px."""
STEM = (-15.0, 30.0, 15.0, 120.0)
"""The T's stem in the block's own frame: left, top, right, bottom, px."""
OUTLINE = np.array(
    [[-60, 0], [60, 0], [60, 30], [15, 30], [15, 120], [-15, 120], [-15, 30], [-60, 30]], dtype=float
)
"""The T's corners in the block's own frame, in order, px."""
ACTION_SCALE = 100.0
"""px by which an action of 1 puts the control's target ahead of the pusher."""
PHYSICS_STEP = 0.01
"""Seconds in one physics step."""
PHYSICS_STEPS = 10
"""Physics steps in one environment step: control at 10 Hz."""
STIFFNESS = 100.0
"""k_p of the pusher's control, 1/s²."""
FRICTION = 20.0
"""k_v of the pusher's control, 1/s."""


def reference_environment() -> Any:
    """Return gym-pusht's own environment class.

    Its module imports OpenCV, for pictures that are not used here; where OpenCV does not load (its wheel wants a
    system's libGL, which a bare machine lacks), an empty module stands in for it during the import.

    Raises
        MissingPackageError: gym-pusht is missing, or pymunk is not the one that it is written for.
    """
    hint = "pip install 'grasp-theory[tasks]', which brings gym-pusht with a pymunk below 7"
    for package in ("gym_pusht", "pymunk"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError("name", "the physics of push_t", f"no package {package}", hint)
    # gym-pusht sets up collision handlers in a way that pymunk 7 has no more.
    if not hasattr(importlib.import_module("pymunk").Space, "add_collision_handler"):
        found = f"pymunk {importlib.metadata.version('pymunk')}"
        raise MissingPackageError("name", "pymunk below 7 for the physics of push_t", found, hint)
    try:
        importlib.import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = ModuleType("cv2")
        try:
            return importlib.import_module("gym_pusht.envs.pusht").PushTEnv
        finally:
            del sys.modules["cv2"]
    return importlib.import_module("gym_pusht.envs.pusht").PushTEnv


def to_world(
    points: Float[np.ndarray, "*#batch K 2"], poses: Float[np.ndarray, "*#batch 3"]
) -> Float[np.ndarray, "*batch K 2"]:
    """Return points of the block's frame on the board, for block poses (x, y, angle)."""
    x, y = points[..., 0], points[..., 1]
    cosine, sine = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
    rotated = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
    moved: Float[np.ndarray, "*batch K 2"] = rotated + poses[..., None, :2]
    return moved


def to_block(
    points: Float[np.ndarray, "*batch 2"], poses: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 2"]:
    """Return points of the board in the block's frame, for block poses (x, y, angle); inverse of `to_world`."""
    away = points - poses[..., :2]
    cosine, sine = np.cos(poses[..., 2]), np.sin(poses[..., 2])
    return np.stack(
        [cosine * away[..., 0] + sine * away[..., 1], cosine * away[..., 1] - sine * away[..., 0]], axis=-1
    )


def distance_to_block(
    points: Float[np.ndarray, "*batch 2"], poses: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch"]:
    """Return the distance from points of the board to the T, px; 0 within it.

    The pusher overlaps the block where this is less than `PUSHER_RADIUS`.
    """
    local = to_block(points, poses)
    distances = []
    for left, top, right, bottom in (BAR, STEM):
        low, high = np.array([left, top]), np.array([right, bottom])
        distances.append(np.linalg.norm(np.maximum(np.maximum(low - local, local - high), 0), axis=-1))
    nearest: Float[np.ndarray, "*batch"] = np.minimum(*distances)
    return nearest


class Board:
    """One board in a given state (7): pusher xy, block xy, block angle, pusher velocity xy.

    A state does not hold all that pymunk carries from one physics step to the next.  At the end of a step in contact
    the solver has given the block a velocity, which moves it at the start of the next step and is then damped to
    zero; and contacts keep their impulses as the solver's first guess.  Both follow from the positions and the
    pusher's velocity, up to the solver's convergence, so a board is built by one physics step that ends in the given
    state: the pusher starts one step behind, the block in place.  The reference's own `_set_state` sets the block's
    position before its angle, which shifts it by up to 90 px, and knows no velocity.

    What remains, of contact-rich trajectories cut while the pusher touches the block and gone on with from the bare
    state: the block is off by 0.003 px in the mean and 0.4 px at most one environment step later, and by 0.008 px
    and 0.4 px 25 steps later (without the building step: 0.5 and 1.8 px, 0.3 and 3.5 px).  Under saturated actions,
    which squeeze the block into walls, the mean over all cuts is 0.14 px 5 steps later, 1.5% are off by more than
    1 px, and of 780 one was by 50 px.  Cut where nothing has touched the block for three physics steps,
    trajectories go on exactly, but for 0.1 px where the pusher later meets two sides of the block at once, in an
    order that pymunk takes from its history.
    """

    def __init__(self, state: Float[np.ndarray, " 7"]) -> None:
        pusher_x, pusher_y, block_x, block_y, angle, velocity_x, velocity_y = state.tolist()
        _REFERENCE._setup()
        self._space, self._pusher, self._block = _REFERENCE.space, _REFERENCE.agent, _REFERENCE.block
        # Angle first: it turns the block about its centre of gravity, which moves the body's origin.
        self._block.angle = angle
        self._block.position = (block_x, block_y)
        self._pusher.velocity = (velocity_x, velocity_y)
        self._pusher.position = (pusher_x - velocity_x * PHYSICS_STEP, pusher_y - velocity_y * PHYSICS_STEP)
        self._space.step(PHYSICS_STEP)
        self._pusher.position = (pusher_x, pusher_y)

    def state(self) -> list[float]:
        """Return the state; the angle in [0, 2π), as the reference observes it."""
        return [
            *self._pusher.position,
            *self._block.position,
            self._block.angle % (2 * np.pi),
            *self._pusher.velocity,
        ]

    def step(self, target_x: float, target_y: float) -> None:
        """Take one environment step: ten physics steps of the reference's control towards a target, px.

        v ← v + (k_p (target − p) − k_v v) dt, then a physics step; the pusher is kinematic, so no contact slows it.
        """
        space, pusher = self._space, self._pusher
        for _ in range(PHYSICS_STEPS):
            (x, y), (velocity_x, velocity_y) = pusher.position, pusher.velocity
            pusher.velocity = (
                velocity_x + (STIFFNESS * (target_x - x) - FRICTION * velocity_x) * PHYSICS_STEP,
                velocity_y + (STIFFNESS * (target_y - y) - FRICTION * velocity_y) * PHYSICS_STEP,
            )
            space.step(PHYSICS_STEP)


_REFERENCE = reference_environment()()
"""Used for `_setup` alone, which gives it a new space and bodies; a board keeps those and the reference moves on."""
