"""The tasks as Gymnasium environments: importing this registers their ids."""

from __future__ import annotations

import gymnasium

_IDS = {
    "grasp_theory/WallSingle-v0": ("wall_single", 100),
    "grasp_theory/WallSingleLong-v0": ("wall_single_long", 400),
    "grasp_theory/PointMaze-v0": ("point_maze", 300),
    "grasp_theory/PointMazeLong-v0": ("point_maze_long", 600),
    "grasp_theory/PushT-v0": ("push_t", 300),
}
"""The task of each registered id, and the environment steps after which its episodes are truncated."""


for _id, (_name, _steps) in _IDS.items():
    gymnasium.register(
        _id,
        entry_point=f"{__package__}.environment:TaskEnv",
        max_episode_steps=_steps,
        kwargs={"task": _name},
    )
