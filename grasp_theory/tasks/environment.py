"""What every task gets from its `Task`: a Gymnasium environment, random histories and goals, and marked pictures."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float, UInt8

from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import Task
from linear_systems.checked import checked
from linear_systems.errors import InvalidInputError, NonFiniteError, ParameterError, ShapeError
from linear_systems.validation import positive_integer

VIEW_SIZE = 256
"""Side in pixels of the pictures for human eyes."""
_ATTEMPTS = 100
_REST = 1e-6
"""States at rest change by less than this, in their units, from rounding and from contact forces that die out."""
_OPTIONS = {"state", "history", "goal"}


def depth(task: Task) -> int:
    """Return how many states, the present one included, the stacked frames reach back over."""
    return max(task.frame_offsets) + 1


@checked
def sample_histories(task: Task, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N depth S"]:
    """Return the last states, newest first, of random states that were left to themselves with zero actions."""
    return _left_alone(task, task.sample_states(rng, count))


@checked
def sample_goals(task: Task, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N depth S"]:
    """Return histories, newest first, of random states at rest: under zero actions they stay where they are.

    Components per second are set to zero, and states that move all the same (a body that a wall pushes off) are
    drawn again.

    Raises
        ParameterError: if hardly any of the task's states rests.
    """
    positive_integer("count", count, minimum=0)
    histories = np.empty((count, depth(task), task.state_dim))
    moving = np.arange(count)
    for _ in range(_ATTEMPTS):
        states = task.sample_states(rng, len(moving))
        states[:, ["/s" in name for name in task.state_names]] = 0
        histories[moving] = _left_alone(task, states)
        drift = np.abs(histories[moving] - states[:, None]).max(axis=(1, 2))
        moving = moving[drift > _REST]
        if not len(moving):
            return histories
    hint = "give the units of velocities in state_names, and sample states in equilibrium"
    raise ParameterError("task", "states that can be at rest", f"{len(moving)} draws that all move", hint)


def with_goal(
    task: Task, states: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"], size: int = VIEW_SIZE
) -> UInt8[np.ndarray, "N size size 3"]:
    """Return pictures of states with their goals as faint shadows (the tasks' backgrounds are light)."""
    shadow = 255 - (255 - task.render(goals, size).astype(np.float32)) * 0.3
    marked: UInt8[np.ndarray, "N size size 3"] = np.minimum(
        task.render(states, size), shadow.astype(np.uint8)
    )
    return marked


@checked
class TaskEnv(gymnasium.Env[UInt8[np.ndarray, "*frames size size 3"], Float[np.ndarray, " A"]]):
    """A task as a Gymnasium environment: pictures in, actions out, success ends the episode.

    An observation is one picture (size, size, 3), or for a task of K stacked frames (K, size, size, 3), newest
    first.  Actions are the task's own, each component in [action_low, action_high].  The reward is 1 for success
    and 0 otherwise.  `info` holds the true `state` and `goal`, the task's `distance` between them and `success`.

    `reset(options=...)` sets, each unless it is left out,
    `state` (S,): where the episode starts, having been there in all frames;
    `history` (depth, S): in place of `state`, the states of the last `depth(task)` environment steps, newest first;
    `goal` (S,).  A random start is no success; a given start and goal may be one.

    Arguments
        task: a task or its name.
        size: side of the observations in pixels.
        render_mode: `rgb_array` or None; `render()` returns a larger picture with the goal marked.

    Raises
        ParameterError: for an unknown task, render mode, size or option, or an action outside the action space.
        ShapeError, NonFiniteError: for a state or goal that is not S finite numbers.
        InvalidInputError: for one that the task's physics refuses, such as a position inside a wall.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own attribute)

    def __init__(self, task: Task | str, size: int = 64, render_mode: str | None = None) -> None:
        self.task = by_name(task, "task") if isinstance(task, str) else task
        if size < 1:
            raise ParameterError("size", "a positive number of pixels", f"{size}", "64 is usual")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ParameterError("render_mode", "rgb_array or None", repr(render_mode), "use rgb_array")
        self.size, self.render_mode = size, render_mode
        frames = len(self.task.frame_offsets)
        shape = (size, size, 3) if frames == 1 else (frames, size, size, 3)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        low, high = self.task.action_low, self.task.action_high
        self.action_space = gymnasium.spaces.Box(low, high, (self.task.action_dim,), np.float32)
        self._history: deque[Float[np.ndarray, " S"]] = deque(maxlen=depth(self.task))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[UInt8[np.ndarray, "*frames size size 3"], dict[str, Any]]:
        """Start an episode; see the class for the options."""
        super().reset(seed=seed)
        given = options or {}
        if not set(given) <= _OPTIONS:
            raise ParameterError(
                "options", f"keys among {sorted(_OPTIONS)}", f"{sorted(given)}", "remove the others"
            )
        if {"state", "history"} <= set(given):
            raise ParameterError("options", "state or history", "both", "leave out one")
        for _ in range(_ATTEMPTS):
            history = self._start(given)
            goal = self._states("goal", given["goal"], 1) if "goal" in given else self._random_goal()
            done = bool(self.task.success(history[:1], goal)[0])
            if not done or ("goal" in given and len(given) == 2):
                break
        else:
            found = f"success at the start in each of {_ATTEMPTS} draws"
            raise ParameterError("options", "a start that is no success", found, "give both state and goal")
        self._history = deque(history, maxlen=depth(self.task))
        self._goal = goal[0]
        return self._observe(), self._info()

    def step(
        self, action: Float[np.ndarray, " A"]
    ) -> tuple[UInt8[np.ndarray, "*frames size size 3"], float, bool, bool, dict[str, Any]]:
        """Take one environment step."""
        taken = np.asarray(action, dtype=float)
        low, high = self.task.action_low, self.task.action_high
        if taken.shape != self.action_space.shape or not ((taken >= low) & (taken <= high)).all():
            raise ParameterError(
                "action", f"an element of {self.action_space}", f"{taken}", "bring it into range"
            )
        self._history.appendleft(self.task.simulate(self._history[0][None], taken[None, None])[0, 1])
        info = self._info()
        return self._observe(), float(info["success"]), info["success"], False, info

    def render(self) -> UInt8[np.ndarray, "size size 3"] | None:
        """Return a picture for human eyes, the goal a faint shadow; None without a render mode."""
        if self.render_mode is None:
            return None
        (picture,) = with_goal(self.task, self._history[0][None], self._goal[None])
        marked: UInt8[np.ndarray, "size size 3"] = picture
        return marked

    def _start(self, given: dict[str, Any]) -> Float[np.ndarray, "depth S"]:
        if "history" in given:
            return self._states("history", given["history"], depth(self.task))
        if "state" in given:
            return np.repeat(self._states("state", given["state"], 1), depth(self.task), axis=0)
        history: Float[np.ndarray, "depth S"] = sample_histories(self.task, self.np_random, 1)[0]
        return history

    def _random_goal(self) -> Float[np.ndarray, "1 S"]:
        return sample_goals(self.task, self.np_random, 1)[:, 0]

    def _states(self, name: str, value: Any, count: int) -> Float[np.ndarray, "count S"]:
        states = np.array(value, dtype=float)
        shape = (self.task.state_dim,) if name != "history" else (count, self.task.state_dim)
        if states.shape != shape:
            raise ShapeError(name, f"shape {shape}", f"{states.shape}", f"components {self.task.state_names}")
        if not np.isfinite(states).all():
            raise NonFiniteError(name, "finite numbers", f"{states}", "take a state of sample_states")
        states = states.reshape(count, -1)
        try:  # The physics refuses a state that cannot be; no step is taken.
            self.task.simulate(states, np.zeros((count, 0, self.task.action_dim)))
        except InvalidInputError as error:
            raise type(error)(name, error.expected, error.found, error.hint) from error
        return states

    def _observe(self) -> UInt8[np.ndarray, "*frames size size 3"]:
        stacked = np.stack([self._history[offset] for offset in self.task.frame_offsets])
        pictures = self.task.render(stacked, self.size)
        return np.squeeze(pictures, axis=0) if len(pictures) == 1 else pictures

    def _info(self) -> dict[str, Any]:
        state, goal = self._history[0][None], self._goal[None]
        return {
            "state": state[0].copy(),
            "goal": goal[0].copy(),
            "distance": float(self.task.distance(state, goal)[0]),
            "success": bool(self.task.success(state, goal)[0]),
        }


def _left_alone(task: Task, states: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N depth S"]:
    still = np.zeros((len(states), depth(task) - 1, task.action_dim))
    return task.simulate(states, still)[:, ::-1]
