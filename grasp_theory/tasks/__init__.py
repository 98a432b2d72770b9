"""The three visual tasks, as batched `Task`s (`by_name`) and, once this is imported, as Gymnasium environments.

`gymnasium.make("grasp_theory/PushT-v0")`, and likewise WallSingle, WallSingleLong, PointMaze and PointMazeLong.
"""

from __future__ import annotations

from importlib import import_module

from grasp_theory.tasks.task import Task
from linear_systems.checked import checked
from linear_systems.errors import MissingPackageError, ParameterError

try:
    from grasp_theory.tasks import gymnasium_ids  # noqa: F401  registers them
except ModuleNotFoundError as missing:
    raise MissingPackageError(
        "tasks",
        "gymnasium and the physics",
        f"no package {missing.name}",
        "pip install 'grasp-theory[tasks]'",
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
def by_name(name: str, argument: str = "name") -> Task:
    """Return a task by its name, which errors call by the argument's.

    Raises
        ParameterError: if there is no such task; it lists the names.
        MissingPackageError: its physics is not installed, or in a version that does not fit.
    """
    if name not in _PRESETS:
        raise ParameterError(argument, f"one of {', '.join(TASKS)}", repr(name), "check the spelling")
    module, preset = _PRESETS[name].split(":")
    try:
        task: Task = getattr(import_module(f"{__name__}.{module}"), preset)
    except MissingPackageError:
        raise
    except ModuleNotFoundError as missing:
        raise MissingPackageError(
            "name",
            f"the physics of {name}",
            f"no package {missing.name}",
            "pip install 'grasp-theory[tasks]'",
        ) from missing
    return task
