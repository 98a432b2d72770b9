"""The MuJoCo model of gymnasium-robotics' point maze, stepped on batches of states."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float
from mujoco import rollout

from grasp_theory.tasks.point_maze.maze_map import Layout

MAX_SPEED = 5.0
"""Each velocity component is clipped to this many m/s before a step, as the environment does."""


class PointPhysics:
    """The ball's MuJoCo model in one maze; a step maps N states to N states.

    A step is that of gymnasium-robotics' `PointEnv`: clip the velocity to `MAX_SPEED`, then one `mj_step` of 0.01 s with
    the action as the control (MuJoCo clips it to [-1, 1]).  One flag differs: the contact solver does not start from the
    previous step's solution, so a state alone determines the next, to the bit.  The environment, which does, differs
    by the solver's tolerance.
    """

    def __init__(self, layout: Layout) -> None:
        self.model = reference_model(layout)
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_WARMSTART
        self._data = mujoco.MjData(self.model)
        self._rollout = rollout.Rollout(nthread=0)

    def step(
        self, states: Float[np.ndarray, "N 4"], actions: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 4"]:
        """Return the states (x, y, vx, vy) one environment step later."""
        if not len(states):
            return states.copy()
        # MuJoCo's full state: time, position, velocity.
        full = np.concatenate([np.zeros((len(states), 1)), states], axis=1)
        np.clip(full[:, 3:], -MAX_SPEED, MAX_SPEED, out=full[:, 3:])
        after, _ = self._rollout.rollout(self.model, [self._data], full, actions[:, None])
        following: Float[np.ndarray, "N 4"] = after[:, 0, 1:]
        return following


@lru_cache(maxsize=8)
def point_physics(layout: Layout) -> PointPhysics:
    """Return the physics of a maze, built once per process."""
    return PointPhysics(layout)


def reference_model(layout: Layout) -> mujoco.MjModel:
    """Return the MuJoCo model that gymnasium-robotics builds for a maze of 0 (free) and 1 (wall)."""
    # Importing the package prints a notice about its Adroit hands to standard error; drop that line and no other.
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        package = importlib.import_module("gymnasium_robotics.envs.maze.point_maze")
    sys.stderr.writelines(line for line in printed.getvalue().splitlines(True) if "AdroitHand" not in line)
    env = package.PointMazeEnv(maze_map=[list(row) for row in layout])
    # The environment leaves the file of its model behind.
    Path(env.tmp_xml_file_path).unlink()
    return env.point_env.model
