"""The three visual tasks, as batched `Task`s (`by_name`) and, once this is imported, as Gymnasium environments.

`gymnasium.make("grasp_theory/PushT-v0")`, and likewise WallSingle, WallSingleLong, PointMaze and PointMazeLong.
"""

from __future__ import annotations

from importlib import import_module

from grasp_theory.tasks.task import Task
from linear_systems.errors import ParameterError

try:
    import gymnasium
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "the tasks need gymnasium and the physics, which the extra `tasks` brings: pip install 'grasp-theory[tasks]'",
        name=missing.name,
    ) from missing

__all__ = ["TASKS", "by_name"]

# A task's module is imported when the task is asked for: MuJoCo and pymunk take seconds to load.
_PRESETS = {
    "wall_single": "wall_single.wall_single:WALL_SINGLE",
    "wall_single_long": "wall_single.wall_single:WALL_SINGLE_LONG",
    "point_maze": "point_maze.point_maze:POINT_MAZE",
    "point_maze_long": "point_maze.point_maze:POINT_MAZE_LONG",
    "push_t": "push_t.push_t:PUSH_T",
}
TASKS = tuple(_PRESETS)
"""The names of all tasks."""

_IDS = {
    "grasp_theory/WallSingle-v0": ("wall_single", 100),
    "grasp_theory/WallSingleLong-v0": ("wall_single_long", 400),
    "grasp_theory/PointMaze-v0": ("point_maze", 300),
    "grasp_theory/PointMazeLong-v0": ("point_maze_long", 600),
    "grasp_theory/PushT-v0": ("push_t", 300),
}
"""The task of each registered id, and the environment steps after which its episodes are truncated."""


def by_name(name: str) -> Task:
    """Return a task by its name.

    Raises
        ParameterError: if there is no such task; it lists the names.
    """
    if name not in _PRESETS:
        raise ParameterError("name", f"one of {', '.join(TASKS)}", repr(name), "check the spelling")
    module, preset = _PRESETS[name].split(":")
    task: Task = getattr(import_module(f"{__name__}.{module}"), preset)
    return task


for _id, (_name, _steps) in _IDS.items():
    gymnasium.register(
        _id, entry_point=f"{__name__}.environment:TaskEnv", max_episode_steps=_steps, kwargs={"task": _name}
    )
