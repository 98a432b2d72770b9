"""The three visual tasks, as batched `Task`s (`by_name`) and, once this is imported, as Gymnasium environments.

`gymnasium.make("grasp_theory/PushT-v0")`, and likewise WallSingle, WallSingleLong, PointMaze and PointMazeLong.
"""

from __future__ import annotations

from importlib import import_module

from grasp_theory.tasks.task import Task
from linear_systems.checked import checked
from linear_systems.errors import ParameterError

try:
    from grasp_theory.tasks import gymnasium_ids  # noqa: F401  registers them
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


@checked
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
